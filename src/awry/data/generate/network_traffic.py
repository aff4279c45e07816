"""Flow records of a company network: workstations, servers, and the internet outside."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd

from .incidents import Incidents, Kind
from .places import COUNTRY
from .population import Population, favourite, rhythm
from .simulation import Columns, EventSimulation, hour_of_week

#: Service: port, UDP, median and sigma (of the log) of bytes out, bytes in and seconds.
_SERVICES: dict[str, tuple[float, ...]] = {
    "https": (443, 0, 2.6e3, 1.1, 2.4e4, 1.6, 6.0, 1.4),
    "http": (80, 0, 9.0e2, 0.9, 8.0e3, 1.6, 2.0, 1.3),
    "dns": (53, 1, 7.0e1, 0.2, 1.8e2, 0.5, 0.02, 0.8),
    "smb": (445, 0, 9.0e3, 1.7, 6.0e4, 2.0, 14.0, 1.4),
    "imap": (993, 0, 1.6e3, 0.7, 1.2e4, 1.8, 3.0, 1.2),
    "smtp": (25, 0, 1.8e4, 1.7, 6.0e2, 0.4, 1.5, 0.8),
    "ssh": (22, 0, 7.0e3, 1.3, 1.0e4, 1.5, 150.0, 1.5),
    "ntp": (123, 1, 7.6e1, 0.01, 7.6e1, 0.01, 0.03, 0.5),
    "sql": (5432, 0, 1.1e3, 0.8, 9.0e3, 1.9, 0.6, 1.5),
    "backup": (873, 0, 8.0e7, 1.8, 9.0e4, 0.8, 260.0, 0.8),
    "cloud": (443, 0, 1.5e8, 1.7, 1.5e5, 0.8, 420.0, 0.8),
}
_PORT, _UDP, _OUT, _OUT_SIGMA, _IN, _IN_SIGMA, _SECONDS, _SECONDS_SIGMA = np.array(
    list(_SERVICES.values())
).T
_CODE = {name: i for i, name in enumerate(_SERVICES)}
_STATES = ["completed", "no_reply", "rejected", "reset"]
_COMPLETED, _NO_REPLY, _REJECTED, _RESET = range(4)
#: Ports that strays and scanners knock on, beside the high ones.
_DOORS = np.array([21, 22, 23, 25, 80, 110, 135, 139, 443, 445, 1433, 3306, 3389, 5900, 8080])

_SERVERS = ["web", "web", "mail", "dns", "file", "database", "backup", "backup"]
#: What a workstation, and each kind of server, starts flows for: service to weight.
_WORK = {
    "https": 52,
    "http": 4,
    "dns": 20,
    "smb": 9,
    "imap": 7,
    "smtp": 3,
    "sql": 2,
    "ssh": 1,
    "ntp": 2,
}
_DUTIES: dict[str, dict[str, int]] = {
    "web": {"sql": 70, "dns": 22, "ntp": 4, "https": 4},
    "mail": {"smtp": 60, "dns": 36, "ntp": 4},
    "dns": {"dns": 92, "ntp": 8},
    "file": {"dns": 40, "ntp": 10, "backup": 50},
    "database": {"dns": 40, "ntp": 10, "backup": 50},
    "backup": {"cloud": 60, "backup": 30, "dns": 10},
}
#: Which server provides a service; the others are provided outside.
_PROVIDERS = {
    "dns": "dns", "smb": "file", "imap": "mail", "smtp": "mail", "sql": "database",
    "ssh": "database", "ntp": "dns", "backup": "backup",
}  # fmt: skip
_OFFICE_DAYS = (1.0, 1.05, 1.05, 1.0, 0.9, 0.08, 0.06)
_RHYTHMS = np.array(
    [
        rhythm(((9.8, 1.5, 1.0), (14.5, 2.0, 1.0)), 0.012, _OFFICE_DAYS),
        rhythm(((8.0, 1.5, 1.0), (13.0, 2.0, 0.9)), 0.012, _OFFICE_DAYS),
        rhythm(((12.5, 3.0, 0.6), (20.5, 2.5, 1.0)), 0.12, (1, 1, 1, 1, 0.95, 0.85, 0.95)),
        rhythm(((11.5, 3.5, 0.8),), 0.35, (1, 1, 1, 1, 1, 0.6, 0.6)),
        rhythm(((2.0, 1.3, 1.0),), 0.02),
    ]
)
_VISITORS_RHYTHM, _SERVER_RHYTHM, _NIGHT_RHYTHM = 2, 3, 4
_HOSTING = ["DE", "US", "IE", "NL", "FR", "GB"]
_OUTSIDE = 6_000
_SITES = 1_500
_VISITORS = 3_000
_HABITS = 48


class NetworkTraffic(EventSimulation):
    """Addresses are workstations, then servers, then the outside; see docs/generators.md."""

    identifier = "flow_id"
    default_entities = 50
    kinds: ClassVar = {
        "bulk_exfiltration": Kind("point", (1, 1)),
        "data_exfiltration": Kind("contextual", (1, 4)),
        "ddos": Kind("collective", (30, 90), 1.5),
        "port_scan": Kind("collective", (15, 50)),
        "beaconing": Kind("collective", (12, 36)),
    }
    columns: ClassVar = {
        "src_ip": "category",
        "dst_ip": "category",
        "dst_port": "int32",
        "protocol": "category",
        "state": "category",
        "country": "category",
        "duration_s": "float64",
        "bytes_out": "int64",
        "bytes_in": "int64",
        "packets": "int64",
    }

    def build(self, rng: np.random.Generator) -> dict[str, list[str]]:
        n, servers = self.entities, len(_SERVERS)
        self._outside = n + servers
        self._server = {
            role: n + np.flatnonzero(np.array(_SERVERS) == role) for role in set(_SERVERS)
        }
        nightly = np.isin(_SERVERS, ["file", "database", "backup"])
        group = np.concatenate(
            [
                rng.choice(2, n, p=[0.65, 0.35]),
                np.where(nightly, _NIGHT_RHYTHM, _SERVER_RHYTHM),
                np.full(_VISITORS, _VISITORS_RHYTHM),
            ]
        )
        visits = 1 / np.arange(1, _VISITORS + 1) ** 0.7
        pace = np.concatenate(
            [
                rng.lognormal(0.9, 0.5, n),
                n * np.where(nightly, 0.05, 0.06),
                1.1 * n * visits / visits.sum(),
            ]
        )
        self.hosts = Population(pace, group, _RHYTHMS)
        self._volume = rng.lognormal(0.0, 0.35, len(pace))
        jobs = [_WORK] * n + [_DUTIES[role] for role in _SERVERS]
        habits = [self._habits_of(rng, host, job) for host, job in enumerate(jobs)]
        self._service = np.array([service for service, _ in habits])
        self._peer = np.array([peer for _, peer in habits])
        return self._words(rng)

    def _habits_of(
        self, rng: np.random.Generator, host: int, job: dict[str, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Services and peers that a host returns to, as many slots as its habit is strong."""
        weights = np.array(list(job.values()))
        names = rng.choice(list(job), _HABITS, p=weights / weights.sum())
        outside = self._outside + favourite(rng, _HABITS, _SITES)
        peer = outside.copy()
        for service, role in _PROVIDERS.items():
            peer[names == service] = rng.choice(self._server[role])
        # The mail and name servers pass on to their like outside what they serve inside.
        away = (peer == host) | ((names == "smtp") & (job is _DUTIES["mail"]))
        peer[away] = outside[away]
        return np.array([_CODE[name] for name in names]), peer

    def _words(self, rng: np.random.Generator) -> dict[str, list[str]]:
        # First octets that are public and unicast, so none clashes with the 10.0.0.0/8 inside.
        first = rng.choice([o for o in range(11, 223) if o not in (127, 169, 172, 192)], _OUTSIDE)
        second = rng.integers(256, size=_OUTSIDE)
        third, fourth = np.divmod(rng.permutation(256 * 254)[:_OUTSIDE], 254)
        octets = zip(first, second, third, fourth + 1, strict=True)
        outside = [".".join(map(str, address)) for address in octets]
        inside = [f"10.{i // 62_500}.{i // 250 % 250}.{i % 250 + 1}" for i in range(self.entities)]
        servers = [f"10.255.0.{i + 1}" for i in range(len(_SERVERS))]
        # Most of the internet that a European company meets is hosted in few countries.
        others = sorted(set(COUNTRY) - set(_HOSTING))
        countries = ["inside", *_HOSTING, *others]
        common = 1 / np.arange(1, len(countries)) ** 1.3
        self._country = 1 + rng.choice(len(common), _OUTSIDE, p=common / common.sum())
        ips = inside + servers + outside
        return {
            "src_ip": ips,
            "dst_ip": ips,
            "protocol": ["tcp", "udp"],
            "state": _STATES,
            "country": countries,
        }

    @property
    def pace(self) -> float:
        return float(self.hosts.pace.sum())

    def normal(self, rng: np.random.Generator, begin: float, hours: pd.DatetimeIndex) -> Columns:
        time, src = self.hosts.arrivals(rng, hour_of_week(hours))
        n = len(src)
        visitor = src >= self._outside
        known = np.where(visitor, 0, src)
        slot = rng.integers(_HABITS, size=n)
        service, dst = self._service[known, slot], self._peer[known, slot]
        # Visitors come to the web servers, mail from outside to the mail server.
        post = visitor & (rng.random(n) < 0.12)
        service[visitor], service[post] = _CODE["https"], _CODE["smtp"]
        dst[visitor] = rng.choice(self._server["web"], int(visitor.sum()))
        dst[post] = self._server["mail"][0]
        new = ~visitor & (service == _CODE["https"]) & (rng.random(n) < 0.15)
        dst[new] = self._outside + favourite(rng, int(new.sum()), _OUTSIDE)
        rows = self._flows(rng, begin + 3600 * time, src, dst, service)
        # Scanners of the internet and misconfigured clients: part of every normal day.
        return self._knock(rng, rows, rng.random(n) < 0.02)

    def _flows(
        self,
        rng: np.random.Generator,
        time: np.ndarray,
        src: np.ndarray,
        dst: np.ndarray,
        service: np.ndarray,
        bytes_out: np.ndarray | None = None,
        completed: bool = False,
    ) -> Columns:
        n = len(src)
        # One factor per flow for all three sizes: long flows carry more, both ways.
        size = rng.normal(size=n)
        volume = self._volume[np.minimum(src, len(self._volume) - 1)]
        spread = rng.normal(size=(3, n))
        mixed = [0.6 * size + 0.8 * z for z in spread]
        if bytes_out is None:
            bytes_out = _OUT[service] * volume * np.exp(_OUT_SIGMA[service] * mixed[0])
        bytes_in = _IN[service] * volume * np.exp(_IN_SIGMA[service] * mixed[1])
        seconds = _SECONDS[service] * np.exp(_SECONDS_SIGMA[service] * mixed[2])
        # No link here is faster than 1 Gbit/s.
        seconds = np.maximum(seconds, (bytes_out + bytes_in) / 1.2e8)
        state = np.searchsorted([0.965, 0.975, 0.985], rng.random(n), side="right")
        state = np.where(_UDP[service] == 1, np.minimum(state, _NO_REPLY), state)
        state = np.where(completed, _COMPLETED, state)
        outer = np.where(dst >= self._outside, dst, src) - self._outside
        flows = {
            "time": time,
            "src_ip": src,
            "dst_ip": dst,
            "dst_port": _PORT[service],
            "protocol": _UDP[service].astype(np.int8),
            "state": state,
            "country": np.where(outer >= 0, self._country[np.maximum(outer, 0)], 0),
            "duration_s": seconds,
            "bytes_out": bytes_out,
            "bytes_in": bytes_in,
        }
        return self._settle(flows)

    @staticmethod
    def _settle(flows: Columns) -> Columns:
        """Make sizes agree with the state: refused flows carry a header or two and no answer."""
        refused = (flows["state"] == _NO_REPLY) | (flows["state"] == _REJECTED)
        sent = np.where(refused, np.minimum(flows["bytes_out"], 180), flows["bytes_out"])
        back = np.where(flows["state"] == _REJECTED, 40, flows["bytes_in"])
        flows["bytes_out"] = np.maximum(np.round(sent), 40)
        flows["bytes_in"] = np.where(flows["state"] == _NO_REPLY, 0, np.maximum(np.round(back), 40))
        flows["duration_s"] = np.round(
            np.where(refused, np.minimum(flows["duration_s"], 3.0), flows["duration_s"]), 4
        )
        flows["packets"] = (
            2 + np.ceil(flows["bytes_out"] / 1100) + np.ceil(flows["bytes_in"] / 1100)
        )
        return flows

    def _knock(self, rng: np.random.Generator, flows: Columns, where: np.ndarray) -> Columns:
        """Turn the flows ``where`` says into attempts at a port that mostly is closed."""
        m = int(where.sum())
        door = _DOORS[rng.integers(len(_DOORS), size=m)]
        flows["dst_port"] = flows["dst_port"].copy()
        flows["dst_port"][where] = np.where(rng.random(m) < 0.5, door, rng.integers(1, 49_152, m))
        flows["protocol"][where] = 0
        flows["state"][where] = rng.choice([_NO_REPLY, _REJECTED, _RESET], m, p=[0.5, 0.4, 0.1])
        for name in ("bytes_out", "bytes_in"):
            flows[name][where] = rng.choice([40, 44, 52, 60, 120, 180], m)
        flows["duration_s"][where] = rng.exponential(0.3, m)
        return self._settle(flows)

    def _workstations(self, made: Incidents) -> np.ndarray:
        return made.rng.integers(self.entities, size=len(made.size))

    def _hideouts(self, made: Incidents) -> np.ndarray:
        """Outside addresses that few have reason to talk to, one per incident."""
        return self._outside + made.rng.integers(_SITES, _OUTSIDE, len(made.size))

    def _bulk_exfiltration(self, made: Incidents, normal: Columns) -> Columns:
        """One upload of gigabytes, for an hour and more, to an address outside."""
        rng, n = made.rng, len(made.size)
        time = made.times(normal["time"])
        service = np.full(n, _CODE["cloud"])
        sent = rng.lognormal(np.log(6e9), 0.9, n)
        source, peer = self._workstations(made), self._hideouts(made)
        flows = self._flows(rng, time, source, peer, service, sent, completed=True)
        flows["bytes_in"] = np.round(sent * rng.uniform(0.0005, 0.004, n))
        flows["duration_s"] = np.round(sent / rng.uniform(1e6, 4e6, n), 4)
        return self._settle(flows)

    def _data_exfiltration(self, made: Incidents, normal: Columns) -> Columns:
        """A workstation uploads at night, outside, as much as the backup servers do then."""
        rng = made.rng
        low, high = np.quantile(normal["bytes_out"], [0.965, 0.985])
        like = (normal["bytes_out"] >= low) & (normal["bytes_out"] <= high)
        src = self._workstations(made)
        hour = (self.hosts.quiet_hour(rng, src) + rng.uniform(0, 0.7, len(src))) * 3600
        day = normal["time"][made.victims(normal["bytes_out"] > 0)]
        time = (day + (hour - day - self.clock) % 86_400)[made.which]
        time = time + made.elapsed(rng.uniform(60, 600, len(time)))
        service = np.full(len(time), _CODE["cloud"])
        sent = rng.choice(np.sort(normal["bytes_out"][like]), len(time))
        peer = self._hideouts(made)[made.which]
        return self._flows(rng, time, src[made.which], peer, service, sent, completed=True)

    def _ddos(self, made: Incidents, normal: Columns) -> Columns:
        """Addresses all over the world ask a web server for little, all within minutes."""
        rng, n = made.rng, len(made.which)
        begin = made.times(normal["time"])
        time = begin + made.elapsed(rng.exponential(1.5, n))
        target = made.pick(self._server["web"])[made.which]
        source = self._outside + rng.integers(_OUTSIDE, size=n)
        flows = self._flows(rng, time, source, target, np.full(n, _CODE["https"]))
        flows["state"] = np.where(rng.random(n) < 0.35, _NO_REPLY, flows["state"])
        return self._settle(flows)

    def _port_scan(self, made: Incidents, normal: Columns) -> Columns:
        """One address, inside or outside, tries port after port of a server."""
        rng, n = made.rng, len(made.which)
        begin = made.times(normal["time"])
        time = begin + made.elapsed(rng.exponential(2.0, n))
        inner = rng.random(len(made.size)) < 0.5
        source = np.where(inner, self._workstations(made), self._hideouts(made))[made.which]
        target = (self.entities + rng.integers(len(_SERVERS), size=len(made.size)))[made.which]
        flows = self._flows(rng, time, source, target, np.full(n, _CODE["http"]))
        return self._knock(rng, flows, np.ones(n, dtype=bool))

    def _beaconing(self, made: Incidents, normal: Columns) -> Columns:
        """A workstation calls the same address at a steady beat, a little each time."""
        rng, n = made.rng, len(made.which)
        begin = made.times(normal["time"])
        beat = made.uniform(45, 600)
        time = begin + made.elapsed(beat * rng.normal(1, 0.02, n))
        source, peer = self._workstations(made)[made.which], self._hideouts(made)[made.which]
        service = np.full(n, _CODE["https"])
        return self._flows(rng, time, source, peer, service, completed=True)
