"""OmniAnomaly: points that are unlikely, given a state drawn step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from awry.core.card import Card
from awry.core.params import any_of, integer, listing, nothing
from awry.detectors.deep_series import DeepSeriesDetector, SeriesTraining

if TYPE_CHECKING:
    from awry.nn.omni_anomaly import OmniAnomalyNetwork


class OmniAnomaly(DeepSeriesDetector):
    """Points that are unlikely, given a state drawn step by step.

    A GRU reads the window; the state z_t is drawn from a Gaussian that follows from what was read
    and from z_(t-1) (equations 2 and 3), and bent by planar normalising flows (equation 4); a
    second GRU reads the states and says of each x_t mean and standard deviation. The states' prior
    is a linear Gaussian state space model. All learn to make the evidence lower bound
    E[log p(x | z) + log p(z) - log q(z | x)] large (equation 8). The score of a point is
    -E log p(x_t | z), its reconstruction probability with the sign turned, and a channel's
    contribution its part of it.

    Parameters
    ----------
    window : int or None, default=100
        Points in a window; None takes the dominant period, up to 64.
    hidden : list of int or None, default=None
        One number, the width of the recurrent and dense layers; None takes 64.
    latent : int, default=3
        Width of a state.
    n_flows : int, default=20
        Planar flows.
    n_draws : int, default=8
        Draws of the states for the score, the same for every window.
    clip : float or None, default=10.0
        Norm that gradients are cut to.
    **training

    Attributes
    ----------
    window_ : int
    history_ : dict of str to list
        Losses per step, epoch by epoch: ``"loss"``, the bound with the sign turned, and
        ``"reconstruction"``, -log p(x | z).
    weights_ : dict of str to ndarray
        The network's weights.

    Notes
    -----
    Prior, flows and the order of drawing and bending are those of the authors' code
    (``model.py``, ``recurrent_distribution.py``). Departures: a width of 64 in place of 500 and 8
    draws in place of 1024, to run on a CPU; gradients go back through the chain of draws, which the
    scan in that code does not let them; noise is not truncated; a point is judged by the mean over
    the windows that hold it: ``causal=True`` judges it by the one that ends there, as the paper
    does. The chain makes the export to ONNX long: it holds every step of the window by itself.

    References
    ----------
    Su, Zhao, Niu, Liu, Sun & Pei: "Robust Anomaly Detection for Multivariate Time Series through
    Stochastic Recurrent Neural Network", KDD 2019.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.sin(np.arange(600) / 4)
    >>> x[300] = 4.0
    >>> detector = OmniAnomaly(window=16, hidden=[16], epochs=5, lr=0.01, random_state=0).fit(x)
    >>> bool(285 < detector.decision_scores_.argmax() < 315)
    True
    """

    card = Card(
        name="omni_anomaly",
        summary="Points that are unlikely, given a state drawn step by step.",
        modality="series",
        family="networks",
        paper="Su et al., Robust Anomaly Detection for Multivariate Time Series, KDD",
        year=2019,
        fit_cost="O(T L w e), windows of L points, w weights, e epochs",
        score_cost="O(T L w m), m draws",
        finds="points that few states explain, and channels that break their relation",
        misses="what a state can follow; odd orders of usual values",
        aliases=("omnianomaly",),
        extra="deep",
        stochastic=True,
        min_rows=32,
    )
    constraints = {
        "hidden": any_of(nothing(), listing(integer(1))),
        "latent": integer(1),
        "n_flows": integer(0),
        "n_draws": integer(1),
    }

    def __init__(  # type: ignore[misc]  # defaults of its own
        self,
        *,
        window: int | None = 100,
        latent: int = 3,
        n_flows: int = 20,
        n_draws: int = 8,
        clip: float | None = 10.0,
        **training: Unpack[SeriesTraining],
    ) -> None:
        super().__init__(window=window, clip=clip, **training)
        self.latent = latent
        self.n_flows = n_flows
        self.n_draws = n_draws

    def _build(self, d: int) -> OmniAnomalyNetwork:
        from awry.nn.omni_anomaly import OmniAnomalyNetwork

        return OmniAnomalyNetwork(
            self.window_,
            d,
            hidden=self.hidden[0] if self.hidden else 64,
            latent=self.latent,
            n_flows=self.n_flows,
            n_draws=self.n_draws,
            dropout=self.dropout,
        )
