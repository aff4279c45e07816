"""Drift in a stream of errors, 1 for a wrong answer and 0 for a right one, or of values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from awry.core.inputs import FloatArray
from awry.core.params import boolean, integer, option, real
from awry.drift.online import OnlineDrift
from awry.kernels import drift_errors as kernels


class _Follower(OnlineDrift):
    """Base of detectors whose state is one short array, from zeros, and whose loop is a kernel."""

    _kernel: ClassVar[Callable[..., None]]
    _size: ClassVar[int]

    def _numbers(self) -> tuple[float, ...]:
        """The parameters as the kernel takes them."""
        raise NotImplementedError

    def _start(self, width: int) -> tuple[Any, ...]:
        return (np.zeros(self._size),)

    def _run(self, values: FloatArray, status: np.ndarray) -> None:
        type(self)._kernel(values, status, self.state_[0], self._numbers())


class PageHinkley(_Follower):
    """Page-Hinkley test: the sum of departures from the mean so far, less a tolerance.

    Drift is when the sum rises by ``threshold`` above its least value (or falls so far below its
    greatest). Sums fade by ``alpha`` a value. The threshold is in units of the values.

    Parameters
    ----------
    min_samples : int, default=30
        Values before any alarm.
    delta : float, default=0.005
        Departure that is tolerated.
    threshold : float, default=50.0
    alpha : float, default=0.9999
    direction : {"both", "up", "down"}, default="both"

    References
    ----------
    E. S. Page. Continuous inspection schemes. Biometrika 41 (1954). D. Hinkley. Inference about the
    change-point from cumulative sum tests. Biometrika 58 (1971). Defaults and fading are those of
    MOA and river.

    Examples
    --------
    >>> PageHinkley().update_many(np.r_[np.zeros(500), np.ones(500)])
    array([553])
    """

    _kernel, _size = staticmethod(kernels.page_hinkley), 6
    constraints = {
        "min_samples": integer(1),
        "delta": real(0),
        "threshold": real(0, None, "()"),
        "alpha": real(0, 1, "(]"),
        "direction": option("both", "up", "down"),
    }

    def __init__(
        self,
        min_samples: int = 30,
        delta: float = 0.005,
        threshold: float = 50.0,
        alpha: float = 0.9999,
        direction: str = "both",
    ) -> None:
        self.min_samples = min_samples
        self.delta = delta
        self.threshold = threshold
        self.alpha = alpha
        self.direction = direction

    def _numbers(self) -> tuple[float, ...]:
        sides = (float(self.direction != "down"), float(self.direction != "up"))
        return (float(self.min_samples), self.delta, self.threshold, self.alpha, *sides)


class DDM(_Follower):
    """Drift detection method: the error rate p and its deviation s against the best p + s so far.

    A warning is p + s above p_min + 2 s_min, a drift above p_min + 3 s_min.

    Parameters
    ----------
    min_samples : int, default=30
        Values before any alarm.
    warning, drift : float, default=2.0, 3.0
        Deviations.

    References
    ----------
    J. Gama, P. Medas, G. Castillo, P. Rodrigues. Learning with drift detection. SBIA (2004).

    Examples
    --------
    >>> errors = np.r_[np.tile([0, 0, 0, 0, 1], 100), np.tile([0, 1], 100)]
    >>> bool(DDM().update_many(errors)[0] > 500)
    True
    """

    _kernel, _size, span = staticmethod(kernels.ddm), 4, (0.0, 1.0)
    constraints = {"min_samples": integer(1), "warning": real(0), "drift": real(0)}

    def __init__(self, min_samples: int = 30, warning: float = 2.0, drift: float = 3.0) -> None:
        self.min_samples = min_samples
        self.warning = warning
        self.drift = drift

    def _numbers(self) -> tuple[float, ...]:
        return float(self.min_samples), float(self.warning), float(self.drift)


class EDDM(_Follower):
    """Early drift detection method: how far errors lie apart, against the farthest so far.

    With the mean p' and the deviation s' of the gaps between errors, (p' + 2s') over its maximum
    below ``warning`` is a warning, below ``drift`` a drift; both only after ``min_samples`` errors.

    Parameters
    ----------
    min_samples : int, default=30
        Errors, and values, before any alarm.
    warning, drift : float, default=0.95, 0.9

    References
    ----------
    M. Baena-García, J. del Campo-Ávila, R. Fidalgo, A. Bifet, R. Gavaldà, R. Morales-Bueno. Early
    drift detection method. IWKDDS (2006). The maximum is kept from ``min_samples`` values on, as in
    MOA.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> errors = np.r_[rng.random(1000) < 0.1, rng.random(1000) < 0.5]
    >>> found = EDDM(drift=0.7).update_many(errors)
    >>> bool(((found > 1000) & (found < 1100)).any())
    True
    """

    _kernel, _size, span = staticmethod(kernels.eddm), 7, (0.0, 1.0)
    constraints = {"min_samples": integer(2), "warning": real(0, 1), "drift": real(0, 1)}

    def __init__(self, min_samples: int = 30, warning: float = 0.95, drift: float = 0.9) -> None:
        self.min_samples = min_samples
        self.warning = warning
        self.drift = drift

    def _numbers(self) -> tuple[float, ...]:
        return float(self.min_samples), float(self.warning), float(self.drift)


class HDDMA(_Follower):
    """Hoeffding drift detection with averages: the mean of all against the mean up to the best cut.

    Values in [0, 1], not errors alone; nothing is assumed of their distribution.

    Parameters
    ----------
    drift, warning : float, default=0.001, 0.005
        Chances of a false alarm of one comparison.
    two_sided : bool, default=False
        Whether a fall of the mean is a drift too.

    References
    ----------
    I. Frías-Blanco, J. del Campo-Ávila, G. Ramos-Jiménez, R. Morales-Bueno, A. Ortiz-Díaz,
    Y. Caballero-Mota. Online and non-parametric drift detection methods based on Hoeffding's
    bounds. IEEE TKDE 27 (2015), algorithm 1.

    Examples
    --------
    >>> HDDMA().update_many(np.r_[np.zeros(500), np.ones(500)])
    array([503])
    """

    _kernel, _size, span = staticmethod(kernels.hddm_a), 6, (0.0, 1.0)
    constraints = {
        "drift": real(0, 1, "()"),
        "warning": real(0, 1, "()"),
        "two_sided": boolean(),
    }

    def __init__(
        self, drift: float = 0.001, warning: float = 0.005, two_sided: bool = False
    ) -> None:
        self.drift = drift
        self.warning = warning
        self.two_sided = two_sided

    def _numbers(self) -> tuple[float, ...]:
        return float(self.drift), float(self.warning), float(self.two_sided)


class HDDMW(_Follower):
    """Hoeffding drift detection with weights: exponentially weighted means before and after a cut.

    Values in [0, 1]. McDiarmid's bound takes the place of Hoeffding's; it suits gradual drift.

    Parameters
    ----------
    drift, warning : float, default=0.001, 0.005
        Chances of a false alarm of one comparison.
    weight : float, default=0.05
        Of the newest value (λ).
    two_sided : bool, default=False
        Whether a fall of the mean is a drift too.

    References
    ----------
    I. Frías-Blanco et al. IEEE TKDE 27 (2015), algorithm 2.

    Examples
    --------
    >>> bool(500 < HDDMW().update_many(np.r_[np.zeros(500), np.ones(500)])[0] < 520)
    True
    """

    _kernel, _size, span = staticmethod(kernels.hddm_w), 19, (0.0, 1.0)
    constraints = {**HDDMA.constraints, "weight": real(0, 1, "()")}

    def __init__(
        self,
        drift: float = 0.001,
        warning: float = 0.005,
        weight: float = 0.05,
        two_sided: bool = False,
    ) -> None:
        self.drift = drift
        self.warning = warning
        self.weight = weight
        self.two_sided = two_sided

    def _numbers(self) -> tuple[float, ...]:
        return float(self.drift), float(self.warning), float(self.weight), float(self.two_sided)
