"""What cascades tell of their stages."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest
from typing import Any, NamedTuple


class CascadeWarning(UserWarning):
    """An earlier stage's answer stands for rows that a later one was to judge."""


class Stage(NamedTuple):
    """What a stage of a cascade did.

    Attributes
    ----------
    detector : str
    rows : int
        Rows that were put to it.
    cpu_seconds : float
        Of the process, while it judged them; where it learnt in the same go, of both.
    unjudged : int
        Rows of those that it did not judge.
    reason : str
        Why not.
    learnt : int
        Rows that it learnt from, in training.
    learning_seconds : float
        CPU seconds of that alone; 0 where it judged in the same go.
    """

    detector: str
    rows: int
    cpu_seconds: float
    unjudged: int = 0
    reason: str = ""
    learnt: int = 0
    learning_seconds: float = 0.0

    def __str__(self) -> str:
        more = f", {self.unjudged:,} of them not judged: {self.reason}" if self.unjudged else ""
        if self.learning_seconds:
            more += f" after {self.learning_seconds:.2g} CPU s of learning from {self.learnt:,}"
        elif self.learnt:
            more += " with learning from them"
        return f"{self.detector} on {self.rows:,} rows in {self.cpu_seconds:.2g} CPU s{more}"

    def told(self) -> dict[str, Any]:
        """As plain data, of scoring."""
        return {name: getattr(self, name) for name in self._fields[:5]}


def in_training(stages: list[Stage]) -> str:
    """What each stage did in training, in words.

    Examples
    --------
    >>> in_training([Stage("ecod", 9, 0.2, learnt=9), Stage("vae", 2, 0.1)])
    'in training ecod on 9 rows in 0.2 CPU s with learning from them, vae on 2 rows in 0.1 CPU s'
    >>> in_training([Stage("vae", 2, 0.1, learnt=7, learning_seconds=3.0)])
    'in training vae on 2 rows in 0.1 CPU s after 3 CPU s of learning from 7'
    """
    return "in training " + ", ".join(map(str, stages))


class StageSums:
    """What the stages of cascades did over many scorings.

    Parameters
    ----------
    detectors : iterable of Detector
        Of which only cascades count.

    Attributes
    ----------
    stages : list of Stage
        Sums; of the reasons the last. Empty without cascades, or before they scored.
    """

    def __init__(self, detectors: Iterable[Any]) -> None:
        self._cascades = [d for d in detectors if hasattr(d, "stages_")]
        self._seen = [d.last_[0] for d in self._cascades]
        self.stages: list[Stage] = []

    def add(self) -> None:
        """Count what has been scored since the last call: call it after each scoring."""
        for i, cascade in enumerate(self._cascades):
            # A scoring leaves new stages, be they equal to those before.
            if cascade.last_[0] is not self._seen[i]:
                self._seen[i] = cascade.last_[0]
                pairs = zip_longest(self.stages, cascade.last_)
                self.stages = [new if old is None else _sum(old, new) for old, new in pairs]


def _sum(one: Stage, two: Stage) -> Stage:
    return one._replace(
        rows=one.rows + two.rows,
        cpu_seconds=one.cpu_seconds + two.cpu_seconds,
        unjudged=one.unjudged + two.unjudged,
        reason=two.reason or one.reason,
    )
