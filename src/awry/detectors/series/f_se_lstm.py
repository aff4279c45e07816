"""F-SE-LSTM: stretches of a series whose frequencies do not go on as usual."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from awry.core.card import Card
from awry.core.params import any_of, integer, listing, nothing
from awry.detectors.deep_series import DeepSeriesDetector, SeriesTraining

if TYPE_CHECKING:
    from awry.nn.f_se_lstm import FSELSTMNetwork


class FSELSTM(DeepSeriesDetector):
    """Stretches of a series whose frequencies do not go on as usual.

    A second, shorter window slides over the window, and the Fourier transform makes of each
    stretch the amplitudes of its frequencies: the rows of the frequency matrix. A convolution
    looks at neighbouring frequencies, squeeze-and-excitation weighs its maps, an LSTM reads the
    rows in turn, and dense layers rebuild the matrix from its last state. They learn to make the
    mean squared error of the amplitudes small; the score of a point is that error, summed over the
    frequencies and averaged over the stretches that hold the point, a channel's contribution its
    part of it.

    Parameters
    ----------
    window : int or None, default=60
        Points in a window; None takes the dominant period, up to 64.
    stretch : int or None, default=None
        Points in the shorter window; None takes half the window.
    hidden : list of int or None, default=None
        Widths of the LSTM and of the layer after it; None takes 64 and 32.
    maps : int, default=16
        Filters of the convolution.
    dropout : float, default=0.2
        Share of the LSTM's state left out at random in each step of training.
    **training

    Attributes
    ----------
    window_ : int
    history_ : dict of str to list
        Losses, epoch by epoch.
    weights_ : dict of str to ndarray
        The network's weights.

    Notes
    -----
    Matrix, layers and sizes are those of the paper and its authors' code, which learn from labels
    whether a window is odd. Departures: here they learn without, so the last layer rebuilds the
    matrix in place of two classes; channels are the maps that the convolution starts from;
    amplitudes are scaled so that a wave of height 1 has a 1. A matrix of amplitudes knows nothing
    of phases: a jump in time within a wave shows at its seam alone.

    References
    ----------
    Lu, Jin, Chen, Liu & Geng: "F-SE-LSTM: A Time Series Anomaly Detection Method with Frequency
    Domain Information", arXiv:2412.02474, 2024. Hu, Shen & Sun: "Squeeze-and-Excitation Networks",
    CVPR 2018.

    Examples
    --------
    >>> import numpy as np
    >>> at = np.arange(900)
    >>> x = np.sin(at / 4)
    >>> x[500:540] = np.sin(at[500:540] / 2)
    >>> detector = FSELSTM(window=32, hidden=[16, 16], epochs=10, lr=0.01, random_state=0).fit(x)
    >>> bool(490 < detector.decision_scores_.argmax() < 550)
    True
    """

    card = Card(
        name="f_se_lstm",
        summary="Stretches of a series whose frequencies do not go on as usual.",
        modality="series",
        family="networks",
        paper="Lu et al., F-SE-LSTM, arXiv:2412.02474",
        year=2024,
        fit_cost="O(T L (s d + w) e), windows of L points, stretches of s, w weights, e epochs",
        score_cost="O(T L (s d + w))",
        finds="changes of frequency, of amplitude and of level",
        misses="changes of phase; where in a stretch something is odd",
        extra="deep",
        stochastic=True,
        min_rows=32,
    )
    constraints = {
        "stretch": any_of(nothing(), integer(2)),
        "hidden": any_of(nothing(), listing(integer(1))),
        "maps": integer(1),
    }

    def __init__(  # type: ignore[misc]  # defaults of its own
        self,
        *,
        window: int | None = 60,
        stretch: int | None = None,
        maps: int = 16,
        dropout: float = 0.2,
        **training: Unpack[SeriesTraining],
    ) -> None:
        super().__init__(window=window, dropout=dropout, **training)
        self.stretch = stretch
        self.maps = maps

    def _build(self, d: int) -> FSELSTMNetwork:
        from awry.nn.f_se_lstm import FSELSTMNetwork

        length = self.stretch or self.window_ // 2
        if length > self.window_:
            raise ValueError(
                f"FSELSTM: stretch must be at most the window of {self.window_} points, "
                f"got {length}"
            )
        widths = [64, 32] if self.hidden is None else self.hidden
        return FSELSTMNetwork(
            self.window_,
            d,
            length=length,
            maps=self.maps,
            hidden=widths[0],
            dense=widths[-1],
            dropout=self.dropout,
        )
