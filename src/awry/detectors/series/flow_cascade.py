"""Flow cascade: odd flows, and ordinary ones in an odd order or at an odd rate."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from awry.core.card import Card
from awry.core.detector import Detector
from awry.core.inputs import FloatArray, IntArray
from awry.core.params import (
    ParameterError,
    any_of,
    instance,
    integer,
    listing,
    nothing,
    random_state,
    real,
)
from awry.core.series import Series, SeriesDetector
from awry.core.stages import Stage, in_training
from awry.core.threshold import Threshold
from awry.detectors.compose import Committee
from awry.detectors.scale import Scale


class FlowCascade(SeriesDetector, Committee):
    """Odd flows, and ordinary ones in an odd order or at an odd rate.

    The points of the series are flows of a network (or other events) in the order they come, a
    column for each of their features. Three stages look at them: one flow by itself; what an
    autoencoder of flows makes of it; and the order of what it made.

    1. ``screen`` scores each flow. Those it finds oddest, a share ``suspects``, are kept from the
       second stage's lesson.
    2. ``features``, an autoencoder, gives each flow its code and its error.
    3. ``sequence`` judges the codes, the errors and, where the series has times, the time since the
       flow before, as a series with a channel for each.

    A flow's score is the weighted mean of the three scores, each as the negative log of the share
    of training flows that score as high.

    Parameters
    ----------
    screen : str or Detector, default="isolation_forest"
        A fast detector of tables.
    features : str or Detector, default="autoencoder"
        A network detector of tables that encodes its rows.
    sequence : str or Detector, default="conv_lstm"
        A detector of series.
    suspects : float in (0, 1), default=0.05
        Share of the training flows that the second stage does not learn from.
    weights : three floats, default=(0.2, 0.3, 0.5)
        Of the stages' scores.
    epochs : int or None, default=None
        Passes over the flows of the stages that learn in such; None leaves them their own.
    random_state : int, Generator or None, default=None
    contamination : float, str, Threshold or None, default=None

    Attributes
    ----------
    members_ : list of Detector
        The three stages, fitted.
    stages_ : list of :class:`~awry.core.stages.Stage`
        How many flows each stage saw in training and its CPU seconds, those of learning included.
    last_ : list of :class:`~awry.core.stages.Stage`
        The same of the last scoring.

    Notes
    -----
    Unlike :class:`~awry.detectors.tabular.cascade.Cascade` no stage spares the next one work: the
    flows of an attack may each be ordinary, so the third has to see all. Give flows of one place
    or of one kind of host: among those of a thousand hosts the order of one is lost.

    References
    ----------
    Liu, Ting & Zhou: "Isolation Forest", ICDM 2008. Sakurada & Yairi: "Anomaly Detection Using
    Autoencoders", MLSDA 2014. Shi et al.: "Convolutional LSTM Network", NeurIPS 2015. That they
    follow one another in this way is of this project.

    Examples
    --------
    >>> import numpy as np
    >>> from awry.detectors import AutoEncoder, ConvLSTM
    >>> kind = np.tile([0, 1, 2, 3], 150)
    >>> kind[400:416] = 2  # by itself an ordinary flow
    >>> flows = np.eye(4)[kind] + np.random.default_rng(0).normal(0, 0.05, (600, 4))
    >>> cascade = FlowCascade(
    ...     features=AutoEncoder(epochs=10, lr=0.01),
    ...     sequence=ConvLSTM(window=16, hidden=[8], epochs=4, lr=0.02),
    ...     random_state=0,
    ... ).fit(flows)
    >>> bool(395 < cascade.decision_scores_.argmax() < 425)
    True
    """

    card = Card(
        name="flow_cascade",
        summary="Odd flows, and ordinary ones in an odd order or at an odd rate.",
        modality="series",
        family="combination",
        paper="Liu et al., ICDM 2008; Sakurada & Yairi, MLSDA 2014; Shi et al., ConvLSTM, NeurIPS",
        year=2015,
        fit_cost="sum of its stages",
        score_cost="sum of its stages",
        finds="odd flows; floods, scans and repetitions made of flows that are each ordinary",
        misses="slow attacks spread over many windows, or lost among the flows of many hosts",
        extra="deep",
        stochastic=True,
        min_rows=32,
    )
    constraints = {
        "screen": any_of(instance(str), instance(Detector)),
        "features": any_of(instance(str), instance(Detector)),
        "sequence": any_of(instance(str), instance(Detector)),
        "suspects": real(0.0, 1.0, "()"),
        "weights": listing(real(0.0)),
        "epochs": any_of(nothing(), integer(1)),
        "random_state": random_state(),
    }

    def __init__(
        self,
        screen: str | Detector = "isolation_forest",
        features: str | Detector = "autoencoder",
        sequence: str | Detector = "conv_lstm",
        *,
        suspects: float = 0.05,
        weights: Sequence[float] = (0.2, 0.3, 0.5),
        epochs: int | None = None,
        random_state: Any = None,
        contamination: float | str | Threshold | None = None,
    ) -> None:
        self.screen = screen
        self.features = features
        self.sequence = sequence
        self.suspects = suspects
        self.weights = weights
        self.epochs = epochs
        self.random_state = random_state
        self.contamination = contamination

    # -- fitting ----------------------------------------------------------------------------------

    def _fit(self, X: Series, y: IntArray | None) -> FloatArray:
        weights = np.asarray(self.weights, dtype=np.float64)
        if len(weights) != 3 or weights.sum() <= 0:
            raise ParameterError(
                f"FlowCascade: weights must be three numbers >= 0, not all 0, got {self.weights!r}"
            )
        self.weights_ = weights / weights.sum()
        self.members_ = self._members([self.screen, self.features, self.sequence])
        screen, features, sequence = self.members_
        for member in self.members_:
            if self.epochs is not None and "epochs" in member.get_params(deep=False):
                member.set_params(epochs=self.epochs)
        values, holes = X.filled()
        clock = [time.process_time()]
        first = screen.fit(values).decision_scores_
        clock.append(time.process_time())
        features.fit(values[first <= np.quantile(first, 1 - self.suspects)])
        if not hasattr(getattr(features, "network_", None), "encode"):
            raise ValueError(
                f"FlowCascade: features must be an autoencoder, got {features.card.name}"
            )
        second = features.decision_function(values)
        # Codes and errors are on the scales of these two; the third's comes after them.
        self.scales_ = [Scale().fit(first), Scale().fit(second)]
        story = self._story(X, values, second)
        clock.append(time.process_time())
        third = sequence.fit(story).decision_scores_
        clock.append(time.process_time())
        self.scales_.append(Scale().fit(third))
        self.stages_ = [s._replace(learnt=s.rows) for s in self._stages(len(X), clock)]
        self.last_ = list(self.stages_)
        return self._blend([first, second, third], holes)

    def _story(self, X: Series, values: FloatArray, errors: FloatArray) -> FloatArray:
        """What the third stage reads: codes, errors and the time since the flow before, (T, k)."""
        features: Any = self.members_[1]
        code = features._apply(features.network_.encode, values)
        channels = [code, np.log1p(self.scales_[1].transform(errors))[:, None]]
        if X.times is not None:
            gaps = np.diff(X.times).astype("timedelta64[us]").astype(np.float64)
            # In logarithms: what matters is how many times as quick.
            channels.append(np.log1p(np.r_[gaps[:1], gaps])[:, None])
        return np.hstack(channels)

    # -- scoring ----------------------------------------------------------------------------------

    def _score(self, X: Series) -> FloatArray:
        screen, features, sequence = self.members_
        values, holes = X.filled()
        clock = [time.process_time()]
        first = screen._score_chunks(values)
        clock.append(time.process_time())
        second = features._score_chunks(values)
        story = self._story(X, values, second)
        clock.append(time.process_time())
        third = sequence.decision_function(story)
        clock.append(time.process_time())
        self.last_[:] = self._stages(len(X), clock)
        return self._blend([first, second, third], holes)

    def _stages(self, rows: int, clock: list[float]) -> list[Stage]:
        spent = np.diff(clock).tolist()
        names = [member.card.name for member in self.members_]
        return [Stage(name, rows, cpu) for name, cpu in zip(names, spent, strict=True)]

    def _blend(self, scores: list[FloatArray], holes: Any) -> FloatArray:
        scaled = [s.transform(found) for s, found in zip(self.scales_, scores, strict=True)]
        return np.where(holes.all(axis=1), np.nan, self.weights_ @ np.vstack(scaled))

    @property
    def choice_(self) -> str:
        """What each stage did in training, in words."""
        return in_training(self.stages_)
