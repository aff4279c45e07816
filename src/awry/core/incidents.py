"""Events of many series at one time are one incident: five lines to read, not five thousand."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from awry.core.events import Event

#: Part of its longest event for which an incident draws in what starts.
_REACH = 0.5
#: Times more time for a series that was in incidents with the same leading series before.
_KNOWN_TOGETHER = 3.0
#: Earlier meetings that make two series known together.
_MEETINGS = 2
#: Events of a series expected by its own rate from which it would be there anyhow.
_CHATTY = 0.3
#: Weight of the newest event in a series' usual score.
_NEWEST = 0.1
#: Open incidents an event is compared with, the youngest first.
_OPEN = 16


@dataclass
class Incident:
    """Events that belong together.

    Attributes
    ----------
    start, end : float
        Of the first and the last of its events, such as seconds since the epoch.
    severity : int
        The highest of its events.
    events : list of Event
        In order of their start.
    keys : list of str
        The series in it, the one with the highest score first; ``""`` for one without a name.
    score : float
        The highest of its events.
    words : str
        What happened, in one line.
    """

    start: float
    end: float
    severity: int
    events: list[Event]
    keys: list[str] = field(default_factory=list)
    score: float = 0.0
    words: str = ""

    @property
    def weight(self) -> float:
        """What incidents are ranked by: each doubling of its series adds its severity once more."""
        return self.severity * (1.0 + math.log2(len(self.keys)))

    def finish(self) -> Incident:
        """Fill in what follows from the events."""
        best: dict[str, Event] = {}
        for event in self.events:
            known = best.get(event.key or "")
            if known is None or event.score > known.score:
                best[event.key or ""] = event
        ranked = sorted(best.items(), key=lambda pair: (-pair[1].score, pair[0]))
        self.keys = [key for key, _ in ranked]
        self.score = ranked[0][1].score
        self.words = _words([event for _, event in ranked])
        return self


def _words(events: list[Event]) -> str:
    """One line on the strongest event of each series, the strongest first."""
    if len(events) == 1:
        name, words = events[0].key or "", getattr(events[0], "words", "") or "unusual"
        return f"{name}: {words}" if name else words
    kinds = Counter(getattr(event, "kind", "") or "event" for event in events)
    (kind, most), *others = kinds.most_common()
    what = f"{kind} in all" if not others else f"{kind} in {most}, {others[0][0]} in {others[0][1]}"
    names = [event.key or "" for event in events]
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return f"{len(names):,} series at once, {what}: {', '.join(names[:3])}{more}"


@dataclass
class IncidentBuilder:
    """Joins events, pushed in order of their start, into incidents.

    An event belongs to an incident if it starts within ``tolerance`` of the incident's first event
    or within half the length of its longest one, and to the youngest where there are several. A
    series that was in incidents with the same leading series before is given three times that. A
    series with so many events that it would have one in that time anyhow takes part only with a
    score above its usual. All of it is learnt from the past, so cuts change nothing.

    Parameters
    ----------
    tolerance : float
        Same unit as the positions of the events, such as a few steps of the series.

    Examples
    --------
    >>> def event(start, key, score):
    ...     return Event(0, 0, 0, score, 1, 1, start, start + 5.0, key)
    >>> builder = IncidentBuilder(tolerance=2.0)
    >>> events = [event(0.0, "a", 3.0), event(1.0, "b", 5.0), event(40.0, "a", 4.0)]
    >>> found = [i for e in events for i in builder.push(e)] + list(builder.flush())
    >>> [(i.start, i.keys) for i in found]
    [(0.0, ['b', 'a']), (40.0, ['a'])]
    """

    tolerance: float
    open: list[Incident] = field(default_factory=list)
    _first: float | None = None
    _seen: dict[str, int] = field(default_factory=dict)
    _usual: dict[str, float] = field(default_factory=dict)
    _met: dict[tuple[str, str], int] = field(default_factory=dict)

    def push(self, event: Event) -> Iterator[Incident]:
        """Take the event that starts next and yield the incidents that are over."""
        at, key = event.start, event.key or ""
        self._first = at if self._first is None else self._first
        over = [i for i in self.open if at - i.start > _KNOWN_TOGETHER * self._reach(i)]
        if over:
            self.open = [i for i in self.open if at - i.start <= _KNOWN_TOGETHER * self._reach(i)]
            yield from (incident.finish() for incident in over)
        for incident in reversed(self.open[-_OPEN:]):
            if self._belongs(event, key, incident):
                lead = incident.events[0].key or ""
                if key != lead:
                    self._met[lead, key] = self._met.get((lead, key), 0) + 1
                incident.events.append(event)
                incident.end = max(incident.end, event.end)
                incident.severity = max(incident.severity, event.severity)
                break
        else:
            self.open.append(Incident(at, event.end, event.severity, [event]))
        self._seen[key] = self._seen.get(key, 0) + 1
        usual = self._usual.get(key, event.score)
        self._usual[key] = usual + _NEWEST * (event.score - usual)

    def flush(self) -> Iterator[Incident]:
        """Yield the incidents still open."""
        over, self.open = self.open, []
        yield from (incident.finish() for incident in over)

    def _reach(self, incident: Incident) -> float:
        return max(self.tolerance, _REACH * (incident.end - incident.start))

    def _belongs(self, event: Event, key: str, incident: Incident) -> bool:
        reach, after = self._reach(incident), event.start - incident.start
        lead = incident.events[0].key or ""
        if key != lead and self._met.get((lead, key), 0) < _MEETINGS:
            since = max(event.start - (self._first or 0.0), reach)
            by_chance = self._seen.get(key, 0) * reach / since
            if by_chance > _CHATTY and event.score <= self._usual[key]:
                return False
            return after <= reach
        return after <= (reach if key == lead else _KNOWN_TOGETHER * reach)


def find_incidents(events: Iterable[Event], tolerance: float) -> list[Incident]:
    """The incidents among events, those first that matter most.

    They are ranked by severity and number of series, see :attr:`Incident.weight`, then by score.

    Parameters
    ----------
    events : iterable of Event
        In any order.
    tolerance : float
        See :class:`IncidentBuilder`.
    """
    builder = IncidentBuilder(tolerance)
    found = [
        incident
        for event in sorted(events, key=lambda e: (e.start, e.key or "", e.end, -e.score))
        for incident in builder.push(event)
    ]
    found += builder.flush()
    return sorted(found, key=lambda i: (-i.weight, -i.score, i.start))
