"""What a detector says about itself; the registry, the docs and the automatic choice read this."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Modality = Literal["table", "series", "sequence", "image", "video", "graph", "stream", "text"]
Supervision = Literal["none", "optional", "required"]


@dataclass(frozen=True, slots=True)
class Card:
    """The card beside each detector class.

    Parameters
    ----------
    name : str
        The name used on the command line and in the registry, ``snake_case``.
    summary : str
        One sentence: what it calls anomalous.
    modality : str
        What an item is.
    family : str
        Heading under which the docs list it, such as ``"trees"`` or ``"neighbours"``.
    paper : str
        Authors, title, venue; year in ``year``.
    fit_cost, score_cost : str
        Growth in rows n and columns d, in O-notation.
    finds, misses : str
        The kinds of anomalies it is good at, and those it does not see.
    aliases : tuple of str
        Other names the registry answers to, such as PyOD's.
    pyod : str or None
        PyOD's class of the same algorithm, ``module.Class`` below ``pyod.models``.
    extra : str or None
        The extra of awry it needs.
    inductive : bool
        Scores rows it has not been fitted on.
    online : bool
        Has ``partial_fit`` and ``score_one``.
    supervision : str
        Whether ``fit`` uses ``y``: ``"none"``, ``"optional"`` or ``"required"``.
    stochastic : bool
        Takes ``random_state``.
    univariate : bool
        Looks at one column at a time, so it cannot see odd combinations.
    max_rows : int or None
        The most rows for which its cost stays sensible; None where it scales.
    min_rows : int
        The fewest rows it can be fitted on.
    """

    name: str
    summary: str
    family: str
    paper: str
    year: int
    fit_cost: str
    score_cost: str
    finds: str
    misses: str
    modality: Modality = "table"
    aliases: tuple[str, ...] = ()
    pyod: str | None = None
    extra: str | None = None
    inductive: bool = True
    online: bool = False
    supervision: Supervision = "none"
    stochastic: bool = False
    univariate: bool = False
    max_rows: int | None = None
    min_rows: int = 2

    def to_dict(self) -> dict[str, Any]:
        """The card as plain data."""
        return asdict(self)
