"""Single values far from what was expected of them, which colour many windows of a short series."""

from __future__ import annotations

import numpy as np

from awry.core.inputs import FloatArray
from awry.core.series import Series
from awry.core.surprise import Surprise
from awry.data.expected import departure, expectation

#: Fewer points say too little of what is expected.
ENOUGH = 200
#: Strays must be so much rarer than what windows flag, in powers of ten, as they come on top.
_MARGIN = 2.0
#: More runs of them than this, and than this share of the points, are a habit of the series.
_FEW, _RARE = 3, 0.005
#: Strays no further apart than this are one run.
_GAP = 3
#: So many standard deviations are nobody's usual.
_CLEAR = 6.0
#: Departures are told up to here: of what never varied any is endless.
_FAR = 1e6
#: Beyond this a tail is drawn on too far to be a probability; it still rises, by its logarithm.
_SURE = 6.0


def departures(series: Series, step: float) -> FloatArray:
    """How far each point is from what was expected of it, in standard deviations, shape (T,).

    The farthest of its channels counts; ``step`` is in seconds.
    """
    values = series.values
    _, band = expectation(values, series.times, step)
    return np.abs(departure(values, band)).max(axis=1, initial=0.0).clip(max=_FAR)


def usual(departures: FloatArray) -> FloatArray:
    """Those departures that say what is usual: a shift that lasts would widen their tail."""
    near = departures[departures <= _CLEAR]
    return near if len(near) > len(departures) // 2 else departures


def lifted(scores: FloatArray, far: FloatArray, known: Surprise, i: int, cut: float) -> FloatArray:
    """Scores (T,) of windows, strays among the points lifted to their own surprise.

    Statistics of windows tell what is odd about a stretch, but of 1,500 points three spikes colour
    a third: then the coloured is usual. Departures of single points, measured against the
    departures of all, stand still meanwhile.

    Parameters
    ----------
    scores, far : ndarray of shape (T,)
        Surprises of windows, and :func:`departures`.
    known : Surprise
        Fitted to the :func:`usual` departures of training series, of which this is number ``i``.
    cut : float
        From where on a surprise is a stray, to count them.
    """
    own = known.transform(i, far) - _MARGIN
    own = np.where(own > _SURE, _SURE + np.log10(np.maximum(own - _SURE, 0.0) + 1.0), own)
    out = own > cut
    runs = 1 + int(np.count_nonzero(np.diff(np.flatnonzero(out)) > _GAP))
    if runs > max(_FEW, _RARE * len(far)):
        return scores
    lifted: FloatArray = np.where(out, np.maximum(scores, own), scores)
    return lifted
