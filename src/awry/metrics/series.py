"""All that matters about scores of a series, in one dictionary, the flattering metrics last."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from awry.metrics.affiliation import affiliation_scores
from awry.metrics.ranges import (
    detection_delays,
    event_scores,
    false_alarms_per_day,
    point_adjusted_f1,
    range_scores,
    time_to_first_detection,
)
from awry.metrics.ranking import auprc, auroc, best_f, check
from awry.metrics.volume import vus


def evaluate_series(
    y: ArrayLike,
    scores: ArrayLike,
    threshold: float | None = None,
    *,
    window: int | None = None,
    times: ArrayLike | None = None,
) -> dict[str, Any]:
    """Metrics of a series' scores, and of a threshold's decisions.

    Parameters
    ----------
    y : array-like of shape (n,)
        1 at anomalous points, else 0; both must occur.
    scores : array-like of shape (n,)
        Higher = more anomalous, finite.
    threshold : float, optional
        Scores above it are flagged. Without it the threshold with the best F1 over points is taken,
        which sees the labels; ``threshold_from`` says so.
    window : int, optional
        The longest buffer of VUS, best the series' period; 100 or the series' length by default.
    times : array-like of shape (n,), optional
        Dates or seconds; delays are then in seconds, and false alarms per day are given.

    Returns
    -------
    dict
        In this order: VUS and areas, which need no threshold; the threshold; range-based,
        affiliation and event-wise scores; delays (the mean is over the events found, NaN if none);
        and, named ``comparison_only_...``, point-adjusted F1 beside that of as many random flags.

    Examples
    --------
    >>> result = evaluate_series([0, 0, 1, 1, 0, 0], [0, 0, 5, 6, 1, 0], threshold=2.0)
    >>> result["event_f1"], result["range_f1"], result["detection_delay"]
    (1.0, 1.0, 0.0)
    """
    labels, values = check(y, scores)
    volume = vus(labels, values, min(100, len(labels)) if window is None else window)
    given = threshold is not None
    # best_f names the lowest score it flags; decisions are for scores above the threshold.
    cut = (
        float(np.nextafter(best_f(labels, values)[1], -np.inf)) if threshold is None else threshold
    )
    flags = values > cut
    result: dict[str, Any] = {
        "vus_pr": volume.pr,
        "vus_roc": volume.roc,
        "auprc": auprc(labels, values),
        "auroc": auroc(labels, values),
        "threshold": float(cut),
        "threshold_from": "given" if given else "best F1 with the labels in view",
    }
    for name, pair in (
        ("range", range_scores(labels, flags)),
        ("affiliation", affiliation_scores(labels, flags)),
        ("event", event_scores(labels, flags)),
    ):
        result |= {
            f"{name}_f1": pair.f1,
            f"{name}_precision": pair.precision,
            f"{name}_recall": pair.recall,
        }
    delays = detection_delays(labels, flags, times)
    found = ~np.isnan(delays)
    result["detection_delay"] = float(delays[found].mean()) if found.any() else float("nan")
    result["time_to_first_detection"] = time_to_first_detection(labels, flags, times)
    if times is not None:
        result["false_alarms_per_day"] = false_alarms_per_day(labels, flags, times)
    chance = np.random.default_rng(0).permutation(flags)
    for name, decided in (("", flags), ("_of_random_flags", chance)):
        result[f"comparison_only_pa20_f1{name}"] = point_adjusted_f1(labels, decided, 0.2)
        result[f"comparison_only_point_adjusted_f1{name}"] = point_adjusted_f1(labels, decided)
    return result
