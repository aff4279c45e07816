"""Patch transformer: patches of a series that the patches around them do not tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from awry.core.card import Card
from awry.core.params import any_of, boolean, integer, listing, nothing, option, real
from awry.detectors.deep_series import DeepSeriesDetector, SeriesTraining

if TYPE_CHECKING:
    from awry.nn.patch_transformer import PatchTransformerNetwork


class PatchTransformer(DeepSeriesDetector):
    """Patches of a series that the patches around them do not tell.

    Each channel of a window is brought to mean 0 and variance 1 and cut into patches, which a
    transformer reads as words. A share of them, drawn anew for each window, is hidden; it learns to
    make the mean squared error of those small. For the score patches are hidden in turn, every
    third one at a time by default, so that none is seen by what judges it: the score of a point is
    its squared error, summed over the channels, a channel's contribution its own.

    Parameters
    ----------
    window : int or None, default=96
        Points in a window; None takes the dominant period, up to 64.
    patch : int, default=8
        Points in a patch, at most half a window.
    hidden : list of int or None, default=None
        Width of the transformer, the same for each layer, as often as there are layers; None takes
        three of 64.
    n_heads : int, default=8
        Heads of the attention, lowered to what divides the width.
    masked : float, default=0.4
        Share of the patches that are hidden; 0 rebuilds all from all.
    instance_norm : bool, default=True
        Bring the channels of each window to mean 0 and variance 1, and their errors back.
    positions : {"sinusoidal", "learnable", "rotary"}, default="learnable"
        How attention is told which patch is which.
    dropout : float, default=0.2
        Share of the units left out at random in each step of training.
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
    The training is the paper's self-supervised one (section 3.2): patches that do not overlap,
    channels that share the weights and do not see each other, 40 % hidden by zeros. The paper
    forecasts; to judge each patch while it is hidden is ours. Departures: windows of 96 and
    patches of 8 in place of 512 and 12, a width of 64 in place of 128, to learn on a CPU; layers
    are normalised over their width, not over the batch. Mean and variance of a window are those of
    all its points, the hidden ones too.

    References
    ----------
    Nie, Nguyen, Sinthong & Kalagnanam: "A Time Series is Worth 64 Words: Long-term Forecasting with
    Transformers" (PatchTST), ICLR 2023.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sin(np.arange(900) / 4)
    >>> x[500:506] = 0.0
    >>> detector = PatchTransformer(
    ...     window=48, patch=6, hidden=[16, 16], dropout=0.0, epochs=10, lr=0.01, random_state=0
    ... ).fit(x)
    >>> bool(490 < detector.decision_scores_.argmax() < 516)
    True
    """

    card = Card(
        name="patch_transformer",
        summary="Patches of a series that the patches around them do not tell.",
        modality="series",
        family="networks",
        paper="Nie et al., A Time Series is Worth 64 Words, ICLR",
        year=2023,
        fit_cost="O(T d L/p (L/p + w) e), windows of L points, patches of p, w weights, e epochs",
        score_cost="O(T d L/p (L/p + w) / m), a share m of the patches hidden at a time",
        finds="odd shapes as long as a patch, whatever the level and scale of the window",
        misses="channels that break their relation; shifts of level as long as the window",
        aliases=("patch_tst",),
        extra="deep",
        stochastic=True,
        min_rows=32,
    )
    constraints = {
        "patch": integer(1),
        "hidden": any_of(nothing(), listing(integer(1))),
        "n_heads": integer(1),
        "masked": real(0, 1, "[)"),
        "instance_norm": boolean(),
        "positions": option("sinusoidal", "learnable", "rotary"),
    }

    def __init__(  # type: ignore[misc]  # defaults of its own
        self,
        *,
        window: int | None = 96,
        patch: int = 8,
        n_heads: int = 8,
        masked: float = 0.4,
        instance_norm: bool = True,
        positions: str = "learnable",
        dropout: float = 0.2,
        **training: Unpack[SeriesTraining],
    ) -> None:
        super().__init__(window=window, dropout=dropout, **training)
        self.patch = patch
        self.n_heads = n_heads
        self.masked = masked
        self.instance_norm = instance_norm
        self.positions = positions

    def _build(self, d: int) -> PatchTransformerNetwork:
        from awry.nn.attention import fitting_heads
        from awry.nn.patch_transformer import PatchTransformerNetwork

        widths = list(self.hidden or [64] * 3)
        if len(set(widths)) != 1:
            raise ValueError(
                f"PatchTransformer: hidden must be the same width for each layer, got {widths}"
            )
        if self.patch > self.window_ // 2:
            raise ValueError(
                f"PatchTransformer: patch must be at most half the window of {self.window_} "
                f"points, got {self.patch}"
            )
        return PatchTransformerNetwork(
            self.window_,
            patch=self.patch,
            width=widths[0],
            n_layers=len(widths),
            heads=fitting_heads(widths[0], self.n_heads),
            inner=2 * widths[0],
            masked=self.masked,
            instance_norm=self.instance_norm,
            dropout=self.dropout,
            positions=self.positions,
        )
