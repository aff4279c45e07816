"""What the staff of a company do in its web application, session by session."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd

from . import places
from .incidents import Incidents, Kind
from .population import Population, rhythm
from .simulation import Columns, EventSimulation, hour_of_week

#: Action: median and sigma (of the log) of bytes moved, and median response time (ms).
_ACTIONS: dict[str, tuple[float, float, float]] = {
    "login_failed": (700, 0.2, 180),
    "login": (1.6e3, 0.3, 240),
    "view": (6.0e4, 0.9, 130),
    "search": (2.4e4, 0.8, 320),
    "edit": (9.0e3, 1.0, 210),
    "download": (1.5e6, 1.8, 600),
    "upload": (8.0e5, 1.7, 900),
    "delete": (900, 0.3, 150),
    "logout": (500, 0.2, 90),
}
_NAMES = list(_ACTIONS)
_BYTES, _SIGMA, _MILLIS = np.array(list(_ACTIONS.values())).T
_FAILED, _LOGIN, _VIEW, _DOWNLOAD, _LOGOUT = (
    _NAMES.index(a) for a in ("login_failed", "login", "view", "download", "logout")
)
#: Markov chain of a session: probability of the next action, in the order above; what is missing
#: to 1 is a session that ends without logout.
_NEXT = np.array(
    [
        [0.25, 0.65, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0.62, 0.25, 0.04, 0.02, 0.02, 0.00, 0.02],
        [0, 0, 0.48, 0.16, 0.12, 0.07, 0.02, 0.01, 0.07],
        [0, 0, 0.66, 0.20, 0.02, 0.04, 0.00, 0.00, 0.04],
        [0, 0, 0.42, 0.08, 0.32, 0.02, 0.03, 0.02, 0.06],
        [0, 0, 0.46, 0.16, 0.04, 0.20, 0.01, 0.00, 0.07],
        [0, 0, 0.46, 0.06, 0.16, 0.02, 0.18, 0.02, 0.06],
        [0, 0, 0.50, 0.10, 0.10, 0.00, 0.00, 0.20, 0.06],
        [0, 0, 0, 0, 0, 0, 0, 0, 0],
    ]
)
_NEXT_REACH = np.cumsum(_NEXT, axis=1)
_LONGEST = 120

_RESOURCES = ["wiki", "files", "crm", "tickets", "code", "ledger", "payroll", "admin_console"]
#: Role: share of staff, and how its work spreads over the resources above.
_ROLES: dict[str, tuple[float, tuple[float, ...]]] = {
    "sales": (0.28, (0.12, 0.2, 0.58, 0.1, 0, 0, 0, 0)),
    "support": (0.22, (0.2, 0.1, 0.15, 0.55, 0, 0, 0, 0)),
    "engineering": (0.28, (0.2, 0.12, 0, 0.18, 0.5, 0, 0, 0)),
    "finance": (0.10, (0.08, 0.22, 0.05, 0, 0, 0.6, 0.05, 0)),
    "people": (0.07, (0.15, 0.25, 0, 0.05, 0, 0, 0.55, 0)),
    "operations": (0.05, (0.15, 0.15, 0, 0.2, 0.1, 0, 0, 0.4)),
}
_ROLE_SHARE = np.array([share for share, _ in _ROLES.values()])
_ROLE_REACH = np.cumsum([mix for _, mix in _ROLES.values()], axis=1)
_DEVICES = ["windows", "mac", "linux", "android", "ios"]

_OFFICE = (1.0, 1.05, 1.05, 1.0, 0.85, 0.06, 0.05)
_RHYTHMS = np.array(
    [
        rhythm(((9.6, 1.2, 1.0), (14.3, 1.7, 0.9)), 0.004, _OFFICE),
        rhythm(((7.6, 1.1, 1.0), (12.6, 1.6, 0.9)), 0.004, _OFFICE),
        rhythm(((11.5, 1.8, 0.9), (17.5, 2.5, 1.0)), 0.01, (1, 1, 1, 1, 0.9, 0.25, 0.3)),
        rhythm(((1.5, 2.5, 1.0), (22.5, 1.8, 1.0)), 0.05, (1, 1, 1, 1, 1, 0.8, 0.8)),
    ]
)
_NIGHT_SHIFT = 3
_POOL = 40


class UserBehavior(EventSimulation):
    """Each user has a role, hours, devices, a home and a speed; see docs/generators.md."""

    identifier = "event_id"
    default_entities = 200
    kinds: ClassVar = {
        "mass_download": Kind("point", (1, 1)),
        "suspicious_access": Kind("contextual", (3, 10)),
        "privilege_misuse": Kind("contextual", (1, 4)),
        "bot": Kind("collective", (25, 60)),
        "brute_force": Kind("collective", (12, 40)),
    }
    columns: ClassVar = {
        "user_id": "category",
        "role": "category",
        "session_id": "int64",
        "action": "category",
        "resource": "category",
        "device": "category",
        "ip": "category",
        "country": "category",
        "city": "category",
        "bytes": "int64",
        "response_ms": "float64",
    }

    def build(self, rng: np.random.Generator) -> dict[str, list[str]]:
        n, cities = self.entities, len(places.CITY)
        self._role = rng.choice(len(_ROLES), n, p=_ROLE_SHARE)
        group = rng.choice(4, n, p=[0.5, 0.22, 0.2, 0.08])
        self.users = Population(rng.lognormal(-2.8, 0.5, n), group, _RHYTHMS)
        offices = rng.choice(places.HOMES, 5, replace=False)
        home = rng.choice(offices, n, p=[0.4, 0.25, 0.15, 0.12, 0.08])
        self._travel = places.Travel(rng, home, 0.25, self.clock)
        self._think = rng.lognormal(np.log(18), 0.35, n)
        self._devices = rng.choice(5, (n, 2), p=[0.45, 0.25, 0.1, 0.1, 0.1])
        self._sessions = 0
        countries = sorted(set(places.COUNTRY))
        self._country = np.array([countries.index(c) for c in places.COUNTRY])
        # Addresses: each user's home, then a pool per city: offices, hotels, networks of phones.
        # The first three octets are a function of the position, all different.
        last = rng.integers(1, 255, size=n + cities * _POOL)
        ips = [
            f"{62 + i % 38}.{i // 38 % 256}.{(37 * i + i // 9728) % 256}.{d}"
            for i, d in enumerate(last)
        ]
        return {
            "user_id": [f"user_{i:04d}" for i in range(n)],
            "role": list(_ROLES),
            "action": _NAMES,
            "resource": _RESOURCES,
            "device": _DEVICES,
            "ip": ips,
            "country": countries,
            "city": places.CITY,
        }

    @property
    def pace(self) -> float:
        return 9.3 * float(self.users.pace.sum())

    def normal(self, rng: np.random.Generator, begin: float, hours: pd.DatetimeIndex) -> Columns:
        time, user = self.users.arrivals(rng, hour_of_week(hours))
        time, n = begin + 3600 * time, len(user)
        number = self._open_sessions(n)
        city = self._travel.where(user, time)
        device = self._devices[user, (rng.random(n) < 0.2).astype(np.intp)]
        ip = self._address(rng, user, city)
        session, action, resource, when = self._walk(rng, user, time)
        rows = {
            "user_id": user[session],
            "session_id": number[session],
            "action": action,
            "resource": resource,
            "device": device[session],
            "ip": ip[session],
            "city": city[session],
        }
        order = np.argsort(when)
        rows = {name: values[order] for name, values in rows.items()}
        return self._events(rng, when[order], rows)

    def _walk(
        self, rng: np.random.Generator, user: np.ndarray, start: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        """Sessions as Markov chains, all advanced together.

        Returns, for each event, the index of its session, its action, resource and time.
        """
        session, time = np.arange(len(user)), start
        action = np.where(rng.random(len(user)) < 0.1, _FAILED, _LOGIN)
        resource = self._work(rng, user)
        steps = []
        for _ in range(_LONGEST):
            steps.append((session, action, resource, time))
            following = (_NEXT_REACH[action] <= rng.random((len(action), 1))).sum(axis=1)
            go = following < len(_NAMES)
            if not go.any():
                break
            session, action, resource, time = session[go], following[go], resource[go], time[go]
            who = user[session]
            resource = np.where(rng.random(len(who)) < 0.2, self._work(rng, who), resource)
            time = time + 1 + self._think[who] * rng.lognormal(0, 0.9, len(who))
        return tuple(np.concatenate(part) for part in zip(*steps, strict=True))

    def _work(self, rng: np.random.Generator, user: np.ndarray) -> np.ndarray:
        """A resource that belongs to the user's role."""
        reach = _ROLE_REACH[self._role[user], :-1]
        return np.asarray(np.sum(reach <= rng.random((len(user), 1)), axis=1))

    def _address(self, rng: np.random.Generator, user: np.ndarray, city: np.ndarray) -> np.ndarray:
        pool = self.entities + city * _POOL + (_POOL * rng.random(len(user)) ** 3).astype(np.intp)
        at_home = (city == self._travel.home[user]) & (rng.random(len(user)) < 0.35)
        return np.where(at_home, user, pool)

    def _open_sessions(self, n: int) -> np.ndarray:
        self._sessions += n
        return self._sessions - n + 1 + np.arange(n)

    def _events(self, rng: np.random.Generator, time: np.ndarray, rows: Columns) -> Columns:
        """Add what follows from who does what, and where: role, country, bytes, response time."""
        action, n = rows["action"], len(time)
        size = _BYTES[action] * np.exp(_SIGMA[action] * rng.normal(size=n))
        # Backups, videos, data sets: some honest files are huge.
        huge = (rng.random(n) < 0.08) & (_SIGMA[action] > 1.5)
        size = np.round(np.where(huge, rng.lognormal(np.log(4e8), 1.1, n), size))
        hour = (time + self.clock) / 3600 % 24
        busy = 1 + 0.35 * np.exp(-0.5 * ((hour - 11) / 3) ** 2)
        wait = _MILLIS[action] * busy * rng.lognormal(0, 0.35, n) + size / 2.5e4
        return rows | {
            "time": time,
            "role": self._role[rows["user_id"]],
            "country": self._country[rows["city"]],
            "bytes": size,
            "response_ms": np.round(wait, 1),
        }

    def _session_like(self, made: Incidents, normal: Columns, rows: np.ndarray) -> Columns:
        """Columns of a new session per incident, who and where taken from a normal row."""
        names = ("user_id", "device", "ip", "city", "resource")
        columns = {name: normal[name][rows][made.which] for name in names}
        columns["session_id"] = self._open_sessions(len(made.size))[made.which]
        return columns

    def _mass_download(self, made: Incidents, normal: Columns) -> Columns:
        """Within an ordinary session, one download of gigabytes, faster than a browser takes it."""
        rng = made.rng
        victim = made.victims(normal["action"] != _LOGOUT)
        names = ("user_id", "session_id", "device", "ip", "city", "resource")
        rows = {name: normal[name][victim] for name in names}
        rows["action"] = np.full(len(victim), _DOWNLOAD)
        events = self._events(rng, normal["time"][victim] + rng.uniform(3, 40, len(victim)), rows)
        size = rng.lognormal(np.log(2.5e9), 0.8, len(victim))
        events["bytes"] = np.round(size)
        events["response_ms"] = np.round(size / rng.uniform(6e4, 1.5e5, len(victim)), 1)
        return events

    def _suspicious_access(self, made: Incidents, normal: Columns) -> Columns:
        """A stolen password: the user's account, from far away, on another device, at night."""
        rng, m = made.rng, len(made.size)
        victim = made.victims(self.users.group[normal["user_id"]] != _NIGHT_SHIFT)
        user = normal["user_id"][victim]
        hour = (self.users.quiet_hour(rng, user) + rng.uniform(0, 0.7, m)) * 3600
        begin = normal["time"][victim]
        begin = begin + (hour - begin - self.clock) % 86_400
        city = places.far_city(rng, self._travel.where(user, begin), 1000, normal["city"])
        own = self._devices[user]
        others = np.array([[d not in pair for d in range(5)] for pair in own]) * rng.random((m, 5))
        rows = self._session_like(made, normal, victim)
        rows["device"] = others.argmax(axis=1)[made.which]
        rows["city"] = city[made.which]
        rows["ip"] = (self.entities + city * _POOL + rng.integers(_POOL, size=m))[made.which]
        busy = rng.choice(
            [_VIEW, _DOWNLOAD, _NAMES.index("search")], len(made.which), p=[0.6, 0.2, 0.2]
        )
        rows["action"] = np.where(made.step == 0, _LOGIN, busy)
        rows["resource"] = self._work(rng, rows["user_id"])
        pause = 1 + self._think[rows["user_id"]] * rng.lognormal(0, 0.9, len(made.which))
        return self._events(rng, begin[made.which] + made.elapsed(pause), rows)

    def _privilege_misuse(self, made: Incidents, normal: Columns) -> Columns:
        """Within an ordinary session, a look at what belongs to another role."""
        rng = made.rng
        victim = made.victims(normal["action"] != _LOGOUT)
        rows = self._session_like(made, normal, victim)
        rows["session_id"] = normal["session_id"][victim][made.which]
        mix = np.diff(_ROLE_REACH, axis=1, prepend=0)[self._role[normal["user_id"][victim]]]
        alien = ((mix < 0.01) * rng.random(mix.shape)).argmax(axis=1)
        rows["resource"] = alien[made.which]
        rows["action"] = rng.choice([_VIEW, _NAMES.index("search"), _DOWNLOAD], len(made.which))
        pause = 1 + self._think[rows["user_id"]] * rng.lognormal(0, 0.9, len(made.which))
        begin = (normal["time"][victim] + rng.uniform(2, 30, len(victim)))[made.which]
        return self._events(rng, begin + made.elapsed(pause), rows)

    def _bot(self, made: Incidents, normal: Columns) -> Columns:
        """A script on a user's account: page after page, at a beat no hand keeps."""
        rng, n = made.rng, len(made.which)
        victim = made.victims(normal["bytes"] > 0)
        rows = self._session_like(made, normal, victim)
        rows["action"] = np.where(made.step == 0, _LOGIN, _VIEW)
        beat = made.uniform(0.6, 3.0) * rng.normal(1, 0.04, n)
        begin = (normal["time"][victim] + rng.uniform(60, 7200, len(victim)))[made.which]
        return self._events(rng, begin + made.elapsed(beat), rows)

    def _brute_force(self, made: Incidents, normal: Columns) -> Columns:
        """Password after password for one user from one address; now and then one is right."""
        rng, n = made.rng, len(made.which)
        victim = made.victims(normal["bytes"] > 0)
        rows = self._session_like(made, normal, victim)
        last = made.step == made.size[made.which] - 1
        right = (rng.random(len(made.size)) < 0.3)[made.which]
        rows["action"] = np.where(last & right, _LOGIN, _FAILED)
        city = places.far_city(rng, normal["city"][victim], 800, normal["city"])
        ip = self.entities + city * _POOL + rng.integers(_POOL, size=len(made.size))
        rows["city"], rows["ip"] = city[made.which], ip[made.which]
        begin = (normal["time"][victim] + rng.uniform(60, 7200, len(victim)))[made.which]
        return self._events(rng, begin + made.elapsed(1.5 + rng.exponential(4, n)), rows)
