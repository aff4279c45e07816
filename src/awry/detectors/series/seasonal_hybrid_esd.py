"""S-H-ESD: the season taken out by STL, the rest tested by medians for several outliers."""

from __future__ import annotations

import numpy as np

from awry.core.card import Card
from awry.core.inputs import FloatArray
from awry.core.params import any_of, boolean, integer, nothing, real
from awry.core.series import Moments
from awry.core.threshold import Threshold
from awry.detectors.series._residuals import Parts, Residuals
from awry.kernels import loess
from awry.kernels.deviates import critical_deviates, median_deviates


class SeasonalHybridESD(Residuals):
    """Values that the generalised ESD test by medians rejects once the season is out.

    The season, the same in every cycle, is found by robust STL; the residual is the value less
    season and median of the series. The extreme residual is removed, so many times; its distance
    from the median of what is left, in scaled median absolute deviations, is compared with Rosner's
    critical value, and the outliers are those up to the last that exceeds it. The score is that
    distance from what the test leaves, over the critical value of the next removal:
    ``contamination="fixed:1"`` flags the outliers.

    Parameters
    ----------
    period : int or None, default=None
        Points in a cycle. None takes the shortest :func:`~awry.data.periods.find_periods` finds.
    max_outliers : float, default=0.1
        The largest share of outliers, below 0.5.
    alpha : float, default=0.05
        Level of the test, of each channel.
    causal : bool, default=False
        Whether values are judged by those before them only: against the last training cycle,
        continued, around the median of the values before, as many as in a period.
    contamination : float, str, Threshold or None, default=None
        How scores become decisions, see :class:`~awry.core.detector.Detector`.

    Attributes
    ----------
    periods_ : list of int
        The period; empty where none was found.
    center_, scale_ : ndarray of shape (d,)
        Median of what the test leaves, and its scaled median absolute deviation times the critical
        value.

    Notes
    -----
    New series as in :class:`~awry.detectors.series.stl.STL`.

    References
    ----------
    Hochenbaum, Vallis & Kejariwal: "Automatic Anomaly Detection in the Cloud Via Statistical
    Learning", arXiv:1704.07706, 2017, algorithm 1 and section 4.3.2 (S-H-ESD).

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sin(np.arange(240) * 2 * np.pi / 24) + np.random.default_rng(0).normal(0, 0.1, 240)
    >>> x[[60, 100]] += 1.0
    >>> detector = SeasonalHybridESD(period=24, alpha=0.001, contamination="fixed:1").fit(x)
    >>> np.flatnonzero(detector.labels_).tolist()
    [60, 100]
    """

    card = Card(
        name="seasonal_hybrid_esd",
        summary="Values that the ESD test by medians rejects once the season is out.",
        modality="series",
        family="decomposition",
        paper="Hochenbaum, Vallis & Kejariwal, Automatic Anomaly Detection in the Cloud",
        year=2017,
        fit_cost="O(T log T d)",
        score_cost="O(T log T d)",
        finds="many values out of season in a level series, at a stated error rate",
        misses="anything where the level drifts; odd shapes within the usual range",
        aliases=("s_h_esd",),
        univariate=True,
        min_rows=4,
    )

    constraints = {
        "period": any_of(nothing(), integer(2)),
        "max_outliers": real(0, 0.5, "()"),
        "alpha": real(0, 1, "()"),
        "causal": boolean(),
    }

    def __init__(
        self,
        period: int | None = None,
        max_outliers: float = 0.1,
        alpha: float = 0.05,
        causal: bool = False,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.period = period
        self.max_outliers = max_outliers
        self.alpha = alpha
        self.causal = causal
        self.contamination = contamination

    def _periods(self, X):  # type: ignore[no-untyped-def]
        return super()._periods(X)[:1]

    def _split(self, values: FloatArray, periods: list[int]) -> Parts:
        seasons = np.zeros((len(periods), len(values)))
        for k, period in enumerate(periods):
            seasons[k] = loess.stl(values, period, seasonal=None, robust=True).season
        return Parts(seasons, np.full(len(values), np.median(values)))

    def _moments(self, rest: FloatArray) -> Moments:
        n = len(rest)
        steps = min(max(int(self.max_outliers * n), 1), n - 3)
        if steps < 1:
            return Moments(np.asarray(np.median(rest)), np.asarray(rest.std()))
        critical = critical_deviates(n, steps + 1, self.alpha)
        deviates, _, centres, scales = median_deviates(np.sort(rest), steps)
        above = np.flatnonzero(deviates > critical[:-1])
        found = int(above[-1]) + 1 if len(above) else 0
        scale = scales[found] or np.sqrt(np.mean((rest - centres[found]) ** 2))
        return Moments(centres[found], scale * critical[found])
