"""What cascades tell of their stages."""

from __future__ import annotations

from typing import NamedTuple


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
        Of the process, while it was at work.
    unjudged : int
        Rows of those that it did not judge.
    reason : str
        Why not.
    """

    detector: str
    rows: int
    cpu_seconds: float
    unjudged: int = 0
    reason: str = ""

    def __str__(self) -> str:
        left = f", {self.unjudged:,} of them not judged: {self.reason}" if self.unjudged else ""
        return f"{self.detector} on {self.rows:,} rows in {self.cpu_seconds:.2g} CPU s{left}"


def in_training(stages: list[Stage]) -> str:
    """What each stage did in training, in words.

    Examples
    --------
    >>> in_training([Stage("ecod", 1000, 0.02), Stage("vae", 100, 3.0)])
    'in training ecod on 1,000 rows in 0.02 CPU s, vae on 100 rows in 3 CPU s'
    """
    return "in training " + ", ".join(map(str, stages))
