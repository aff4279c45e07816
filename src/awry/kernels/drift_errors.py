"""Followers of a stream of errors or values, whose states are short arrays changed in place.

Each takes ``values``, a ``state`` that :func:`numpy.zeros` starts, and the detector's parameters,
and writes 0, 1 (warning) or 2 (drift) for every value into ``status``. After a drift the state is
zeros again.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

WARNING, DRIFT = 1, 2


@njit(cache=True)
def page_hinkley(
    values: np.ndarray, status: np.ndarray, state: np.ndarray, params: tuple[float, ...]
) -> None:
    """State: n, mean, both sums, the least of the first and the greatest of the second."""
    least, delta, threshold, alpha, up, down = params
    for t in range(len(values)):
        x = values[t]
        state[0] += 1
        state[1] += (x - state[1]) / state[0]
        away = x - state[1]
        state[2] = alpha * state[2] + away - delta
        state[3] = alpha * state[3] + away + delta
        if state[0] == 1 or state[2] < state[4]:
            state[4] = state[2]
        if state[0] == 1 or state[3] > state[5]:
            state[5] = state[3]
        rise, fall = state[2] - state[4], state[5] - state[3]
        if state[0] >= least and ((up > 0 and rise > threshold) or (down > 0 and fall > threshold)):
            status[t] = DRIFT
            state[:] = 0


@njit(cache=True)
def ddm(
    values: np.ndarray, status: np.ndarray, state: np.ndarray, params: tuple[float, ...]
) -> None:
    """State: n, the rate of errors, and rate and deviation where their sum was least."""
    least, warning, drift = params
    for t in range(len(values)):
        state[0] += 1
        state[1] += (values[t] - state[1]) / state[0]
        rate = state[1]
        deviation = math.sqrt(max(rate * (1 - rate), 0.0) / state[0])
        if state[0] <= least:
            continue
        if state[0] == least + 1 or rate + deviation <= state[2] + state[3]:
            state[2], state[3] = rate, deviation
        if rate + deviation > state[2] + drift * state[3]:
            status[t] = DRIFT
            state[:] = 0
        elif rate + deviation > state[2] + warning * state[3]:
            status[t] = WARNING


@njit(cache=True)
def eddm(
    values: np.ndarray, status: np.ndarray, state: np.ndarray, params: tuple[float, ...]
) -> None:
    """State: n, the last error's place, errors, mean and squares of gaps, the most, the level."""
    least, warning, drift = params
    for t in range(len(values)):
        state[0] += 1
        if values[t] > 0:
            gap = state[0] - state[1]
            state[1] = state[0]
            state[2] += 1
            before = gap - state[3]
            state[3] += before / state[2]
            state[4] += before * (gap - state[3])
            if state[0] > least:
                spread = math.sqrt(state[4] / (state[2] - 1)) if state[2] > 1 else 0.0
                reach = state[3] + 2 * spread
                if reach > state[5]:
                    state[5] = reach
                elif state[2] > least:
                    ratio = reach / state[5]
                    state[6] = DRIFT if ratio < drift else WARNING if ratio < warning else 0
        # Between errors nothing is learnt, so what was said last still holds.
        status[t] = int(state[6])
        if state[6] == DRIFT:
            state[:] = 0


@njit(cache=True)
def hddm_a(
    values: np.ndarray, status: np.ndarray, state: np.ndarray, params: tuple[float, ...]
) -> None:
    """State: n and mean of all, at the cut for a rise, and at the cut for a fall."""
    drift, warning, both = params
    for t in range(len(values)):
        state[0] += 1
        state[1] += (values[t] - state[1]) / state[0]
        bound = math.sqrt(math.log(1 / drift) / (2 * state[0]))
        for place, sign in ((2, 1.0), (4, -1.0)):
            cut = state[place]
            if cut == 0 or sign * (state[place + 1] - state[1]) >= bound - math.sqrt(
                math.log(1 / drift) / (2 * cut)
            ):
                state[place], state[place + 1] = state[0], state[1]
        said = _moved(state, 2, 1.0, drift, warning)
        if both > 0:
            said = max(said, _moved(state, 4, -1.0, drift, warning))
        status[t] = said
        if said == DRIFT:
            state[:] = 0


@njit(cache=True)
def _moved(state: np.ndarray, place: int, sign: float, drift: float, warning: float) -> int:
    """Whether the mean of all lies past the mean at the cut by Hoeffding's bound."""
    n, cut = state[0], state[place]
    if cut == n:
        return 0
    share = (n - cut) / (cut * n)
    rise = sign * (state[1] - state[place + 1])
    if rise >= math.sqrt(share / 2 * math.log(2 / drift)):
        return DRIFT
    return WARNING if rise >= math.sqrt(share / 2 * math.log(2 / warning)) else 0


@njit(cache=True)
def hddm_w(
    values: np.ndarray, status: np.ndarray, state: np.ndarray, params: tuple[float, ...]
) -> None:
    """State, five averages of (begun, mean, sum of squared weights): all, and before and after the
    cut for a rise and for a fall; then both cuts' heights and whether they are set."""
    drift, warning, weight, both = params
    for t in range(len(values)):
        x = values[t]
        _average(state, 0, x, weight)
        bound = math.sqrt(state[2] * math.log(1 / drift) / 2)
        said = 0
        for k in range(2):
            sign = 1.0 - 2 * k
            before, after, height = 3 + 6 * k, 6 + 6 * k, 15 + 2 * k
            edge = sign * state[1] + bound
            if state[height + 1] == 0 or edge < state[height]:
                state[height], state[height + 1] = edge, 1
                state[before : before + 3] = state[:3]
                state[after : after + 3] = 0
            else:
                _average(state, after, x, weight)
            if state[after] > 0 and (k == 0 or both > 0):
                rise = sign * (state[after + 1] - state[before + 1])
                squares = state[before + 2] + state[after + 2]
                if rise > math.sqrt(squares * math.log(1 / drift) / 2):
                    said = DRIFT
                elif rise > math.sqrt(squares * math.log(1 / warning) / 2):
                    said = max(said, WARNING)
        status[t] = said
        if said == DRIFT:
            state[:] = 0


@njit(cache=True)
def _average(state: np.ndarray, at: int, x: float, weight: float) -> None:
    """An exponentially weighted mean, and the sum of its squared weights, one value on."""
    if state[at] == 0:
        state[at], state[at + 1], state[at + 2] = 1, x, 1
    else:
        state[at + 1] += weight * (x - state[at + 1])
    state[at + 2] = weight**2 + (1 - weight) ** 2 * state[at + 2]
