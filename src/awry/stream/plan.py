"""How a stream is judged: what is set once and holds for all its partitions."""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from awry.core import registry
from awry.core.detector import Detector
from awry.core.online import Online
from awry.core.params import Configurable, ParameterError
from awry.judge import Judge
from awry.model import Model
from awry.stream.drift_watch import DriftWatch
from awry.stream.formats import Decoder, decoder

#: Settings of what learns from the stream itself: a fitted model has its own.
WITHOUT_MODEL = (
    "detector", "params", "fields", "per_key", "amount", "place", "threshold", "warmup",
)  # fmt: skip


@dataclass
class Plan:
    """Settings of judging.

    Parameters
    ----------
    detector : str or Detector
        Learns from the stream itself, from its first ``warmup`` records on. An online detector
        goes on learning; any other stays as it was fitted to these. It must not be fitted, as
        what it learnt would be lost; a fitted :class:`~awry.model.Model` is taken as ``model``.
    params : dict
        The detector's parameters.
    model : Judge, optional
        A fitted model, used in place of ``detector``, with columns and a threshold of its own: see
        :data:`WITHOUT_MODEL` for what cannot be given beside it.
    model_name, model_version
        Where the model came from.
    fields : list of str, optional
        Fields to judge; by default all that can be. Of edges (MIDAS) source, target and time.
    key : str, optional
        Field that names the card, host or sensor an event is of. One detector judges all, with
        columns that tell how the event differs from what its key does.
    per_key : bool
        Give each key a detector of its own instead; each begins as the first records taught.
    time, amount : str, optional
        Fields of the events' own time (seconds, milliseconds or ISO 8601) and of the amount.
    place : pair of str, optional
        Fields of latitude and longitude in degrees.
    lateness : float
        Seconds to wait for events that come out of order, of the events' own time.
    threshold
        A rule for :class:`~awry.stream.threshold.OnlineThreshold`.
    warmup : int
        Records from which fields, scales and detector begin; they are not judged.
    capacity : int
        Keys in memory of each partition; the others are put away.
    gap : float
        Anomalies of one key that are at most so far apart are one event: seconds where ``time``
        is given, else items.
    drift : int
        Events from one comparison with the first ones to the next, see
        :class:`~awry.stream.drift_watch.DriftWatch`; 0 for none.
    """

    detector: str | Detector | Judge = "streaming_gaussian"
    params: dict[str, Any] = field(default_factory=dict)
    model: Judge | None = None
    model_name: str | None = None
    model_version: int | None = None
    fields: list[str] | None = None
    ignore: tuple[str, ...] = ()
    key: str | None = None
    per_key: bool = False
    time: str | None = None
    amount: str | None = None
    place: tuple[str, str] | None = None
    lateness: float = 0.0
    threshold: Any = "adaptive:0.001"
    warmup: int = 256
    capacity: int = 100_000
    gap: float = 300.0
    random_state: int = 0
    decode: Decoder = field(default_factory=decoder)
    rules: tuple[Any, ...] = ()
    drift: int = 0
    #: Whether the detector judges edges, see :class:`~awry.stream.edges.Edges`.
    edges: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        if isinstance(self.detector, Judge):
            self.model, self.detector = self.detector, "streaming_gaussian"
        if self.model is not None:
            self._check_model(self.model)
        if self.rules and self.time is None:
            raise ParameterError("a rule needs time: the field that tells when an event happened")
        if self.warmup < 16:
            raise ParameterError(f"warmup must be an integer >= 16, got {self.warmup!r}")
        if self.per_key and self.key is None:
            raise ParameterError("per_key needs a key: the field that names it")
        if self.lateness and self.time is None:
            raise ParameterError("lateness needs time: the field that tells when an event happened")
        if self.drift:
            self.new_watch()
        if self.model is None:
            card = self.new_detector().card
            self.edges = card.family == "edges"
            if self.edges and len(self.fields or ()) != 3:
                raise ParameterError(
                    f"{card.name} judges edges: fields must name source, target and time, "
                    f"got {self.fields!r}"
                )

    def _check_model(self, model: Judge) -> None:
        if not hasattr(model, "detector_"):
            raise ParameterError("model must be fitted")
        for name in WITHOUT_MODEL:
            if getattr(self, name) != getattr(Plan, name, {}):
                raise ParameterError(f"{name} has no effect beside a model, which has its own")

    def named(self) -> dict[str, str]:
        """Fields that are named, and the settings that name them."""
        settings: dict[str, Any] = {
            "ignore": self.ignore, "fields": self.fields, "place": self.place,
            "amount": self.amount, "time": self.time, "key": self.key,
        }  # fmt: skip
        return {
            name: setting
            for setting, given in settings.items()
            for name in ([given] if isinstance(given, str) else given or ())
        }

    def described(self) -> dict[str, Any]:
        """What shapes the state that is kept, as plain data; what is left at nothing is left out.

        A state goes on only with what it began with. The version of a model may be another one,
        and so may what does not shape the state: formats, ``capacity``, ``gap``, ``drift``.
        """
        parts: dict[str, Any] = {
            "key": self.key, "time": self.time, "lateness": self.lateness, "rules": self.rules,
        }  # fmt: skip
        if self.model is not None:
            parts["model"] = self.model_name or type(self.model).__name__
        else:
            parts |= {
                "detector": self.new_detector(), "threshold": self.threshold,
                "warmup": self.warmup, "fields": self.fields, "ignore": sorted(self.ignore),
                "per_key": self.per_key, "amount": self.amount, "place": self.place,
            }  # fmt: skip
        return {name: _plain(value) for name, value in parts.items() if value}

    def new_watch(self) -> DriftWatch | None:
        """What looks for drift, before it has seen anything."""
        if not self.drift:
            return None
        ignore = [name for name in (self.key, self.time, *self.ignore) if name]
        # Beside a detector the scales of the fields learn; of a model's columns nothing does.
        still = isinstance(self.model, Model) and not isinstance(self.model.detector_, Online)
        return DriftWatch(self.drift, ignore, learns=not still).start()

    def new_detector(self) -> Detector:
        """The detector before it has seen anything."""
        assert not isinstance(self.detector, Judge)
        if isinstance(self.detector, Detector):
            from sklearn.base import clone

            if hasattr(self.detector, "decision_scores_"):
                raise ParameterError(
                    "detector must not be fitted, as a stream begins with its own first events; "
                    "give a clone of it, or what awry.fit returns, which judges as it is"
                )
            made: Detector = clone(self.detector)
        else:
            given = dict(self.params)
            # A table that fits a checkpoint: the paper's depth makes 13 MB of it.
            if registry.get(self.detector).card.name == "half_space_trees":
                given.setdefault("max_depth", 8)
            made = registry.create(self.detector, **given)
        if not made.card.inductive or made.card.modality not in ("table", "stream"):
            raise ParameterError(
                f"detector must judge rows one after the other, {made.card.name} does not"
            )
        known = made.get_params(deep=False)
        if "random_state" in known and known["random_state"] is None:
            made.set_params(random_state=self.random_state)
        if "late" in known:
            # What comes out must depend on the messages alone, not on how long a fit takes.
            made.set_params(late="wait")
        return made


def _plain(value: Any) -> Any:
    """A setting as plain data: an object as its class and what is not as it is by default."""
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, Configurable):
        usual = {n: p.default for n, p in inspect.signature(type(value)).parameters.items()}
        given = {
            n: _plain(v)
            for n, v in value.get_params(deep=False).items()
            if usual[n] is inspect.Parameter.empty or _plain(v) != _plain(usual[n])
        }
        return [type(value).__name__, given] if given else type(value).__name__
    # Of what is no plain value, such as a generator, the same text is not to be had again.
    plain = value is None or isinstance(value, (bool, int, float, str))
    return value if plain else type(value).__name__


def lookup(record: dict[str, Any], name: str) -> Any:
    """The value of a field, inside of objects by dots."""
    value = record.get(name)
    if value is None and "." in name:
        inner: Any = record
        for part in name.split("."):
            inner = inner.get(part) if isinstance(inner, dict) else None
        return inner
    return value


def seconds(value: Any) -> float:
    """A time as seconds since 1970, NaN for what is none.

    Numbers above 1e11 are milliseconds, above 1e14 microseconds, above 1e17 nanoseconds.

    Examples
    --------
    >>> seconds("1970-01-01T00:01:00Z"), seconds(60_000_000_000_000_000), seconds("soon")
    (60.0, 60000000000.0, nan)
    """
    if isinstance(value, str):
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            return number(value)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    found = number(value)
    for bound, unit in ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3)):
        if abs(found) > bound:
            return found / unit
    return found


def number(value: Any) -> float:
    """A finite number, else NaN."""
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return found if math.isfinite(found) else math.nan
