"""Entities with habits: how often, at what hours and with whom each of them acts."""

from __future__ import annotations

from typing import Any

import numpy as np

HOURS_PER_WEEK = 168


def rhythm(
    peaks: tuple[tuple[float, float, float], ...],
    floor: float = 0.0,
    days: tuple[float, ...] = (1, 1, 1, 1, 1, 1, 1),
) -> np.ndarray:
    """Weekly rhythm: relative activity in each hour from Monday 00:00, mean 1.

    Parameters
    ----------
    peaks : tuple of (hour, width, height)
        Bell-shaped peaks of the day, hours; they wrap round midnight.
    floor : float
        Activity at all hours, on the scale of the heights.
    days : 7 floats
        Factor for each day, Monday first.

    Returns
    -------
    (168,) array
    """
    hour = np.arange(24) + 0.5
    shape = np.full(24, float(floor))
    for centre, width, height in peaks:
        apart = np.abs(hour - centre)
        shape += height * np.exp(-0.5 * (np.minimum(apart, 24 - apart) / width) ** 2)
    week = np.outer(days, shape).ravel()
    return np.asarray(week / week.mean())


def fixed_noise(salt: int, *keys: Any) -> np.ndarray:
    """Uniform numbers in [0, 1) that are a fixed function of integer keys (SplitMix64)."""
    state: np.ndarray = np.asarray(salt, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for key in keys:
            mixed = state + np.asarray(key).astype(np.uint64)
            mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x9E3779B97F4A7C15)
            mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state = mixed ^ (mixed >> np.uint64(31))
    return np.asarray((state >> np.uint64(11)) * 2.0**-53)


def favourite(rng: np.random.Generator, n: int, choices: Any) -> np.ndarray:
    """Index below ``choices`` for each of ``n`` draws, the low ones more often (density ∝ 1/√i)."""
    return np.asarray(choices * rng.random(n) ** 2, dtype=np.intp)


class Population:
    """Entities acting as Poisson processes, each with a pace and the weekly rhythm of its group.

    Parameters
    ----------
    pace : (n,) array
        Mean actions per hour of each entity.
    group : (n,) array of int
        Row of ``rhythms`` that each entity follows.
    rhythms : (g, 168) array
        Weekly rhythms of mean 1, see :func:`rhythm`.
    """

    def __init__(self, pace: np.ndarray, group: np.ndarray, rhythms: np.ndarray) -> None:
        self.pace, self.group, self.rhythms = pace, group, rhythms
        self._order = np.argsort(group, kind="stable")
        self._reach = np.cumsum(pace[self._order])
        self._group_pace = np.bincount(group, pace, minlength=len(rhythms))
        self._before = np.cumsum(self._group_pace) - self._group_pace

    def arrivals(
        self, rng: np.random.Generator, hour_of_week: np.ndarray, level: Any = 1.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Actions in a run of hours.

        Parameters
        ----------
        hour_of_week : (h,) array of int
            Hour of the week of each hour of the run, 0 to 167.
        level : float or (h,) array
            Factor on everyone's pace in each hour: seasons, holidays.

        Returns
        -------
        hours : (m,) array
            Times since the run began, ascending.
        entity : (m,) array of int
        """
        intensity = self.rhythms[:, hour_of_week].T * self._group_pace
        counts = rng.poisson(intensity * np.reshape(level, (-1, 1))).ravel()
        cell = np.repeat(np.arange(counts.size), counts)
        hour, group = np.divmod(cell, len(self.rhythms))
        reach = self._before[group] + rng.random(len(cell)) * self._group_pace[group]
        entity = self._order[np.searchsorted(self._reach[:-1], reach, side="right")]
        time = hour + rng.random(len(cell))
        order = np.argsort(time)
        return time[order], entity[order]

    def quiet_hour(self, rng: np.random.Generator, entity: np.ndarray) -> np.ndarray:
        """For each entity one of the three hours of the day in which it acts least."""
        by_day = self.rhythms.reshape(-1, 7, 24).sum(axis=1)
        quiet = np.argsort(by_day, axis=1)[:, :3]
        return np.asarray(quiet[self.group[entity], rng.integers(3, size=len(entity))])
