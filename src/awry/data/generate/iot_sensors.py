"""Readings every five minutes from machines whose sensors obey the same physics."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import pandas as pd

from .incidents import Kind
from .population import fixed_noise, rhythm
from .simulation import Columns, Simulation, hour_of_week

_TICK_MINUTES = 5
_TICKS_PER_DAY = 24 * 60 // _TICK_MINUTES
#: Machine type: rated rpm, pressure at rated speed (bar), temperature rise at full load (K),
#: vibration at rated speed (mm/s, ISO 10816 velocity), rated power (kW).
_TYPES: dict[str, tuple[float, ...]] = {
    "pump": (2950.0, 9.0, 34.0, 2.0, 55.0),
    "compressor": (1480.0, 12.0, 58.0, 3.0, 160.0),
    "blower": (3550.0, 6.5, 42.0, 2.5, 90.0),
}
_SHIFTS = np.array(
    [
        rhythm(((13.0, 6.0, 0.25),), 1.0, (1, 1, 1, 1, 1, 0.95, 0.9)),
        rhythm(((10.0, 2.6, 1.0), (18.0, 2.6, 0.9)), 0.12, (1, 1, 1, 1, 1, 0.45, 0.12)),
        rhythm(((10.0, 2.2, 1.0), (14.5, 2.0, 0.9)), 0.10, (1, 1, 1, 1, 0.9, 0.1, 0.1)),
    ]
)
_SHIFTS = 0.85 * _SHIFTS / _SHIFTS.max(axis=1, keepdims=True)
_SENSORS = ("temperature_c", "pressure_bar", "vibration_mm_s")
#: What a transmitter can tell at 20 mA; at 4 mA it says 0.
_SPAN = (150.0, 25.0, 25.0)
_READINGS = ("load_pct", "speed_rpm", "power_kw", "ambient_c", *_SENSORS)


class IotSensors(Simulation):
    """Load drives speed, speed drives pressure and vibration, load heats; docs/generators.md."""

    identifier = "reading_id"
    default_entities = 12
    kinds: ClassVar = {
        "sensor_fault": Kind("point", (1, 1)),
        "overheating": Kind("contextual", (3, 12)),
        "pressure_loss": Kind("contextual", (3, 12)),
        "bearing_wear": Kind("collective", (24, 60)),
        "stuck_sensor": Kind("collective", (18, 48)),
    }
    columns: ClassVar = {
        "machine_id": "category",
        "machine_type": "category",
        "site": "category",
        **dict.fromkeys(_READINGS, "float64"),
    }

    def build(self, rng: np.random.Generator) -> dict[str, list[str]]:
        n = self.entities
        self._ticks = max(96, math.ceil(self.block_rows / n))
        self._type = rng.integers(len(_TYPES), size=n)
        self._site = rng.integers(3, size=n)
        self._shift = rng.choice(3, n, p=[0.4, 0.35, 0.25])
        # No two machines of a type are alike: ratings differ by some per cent, mountings by more.
        rated = np.array(list(_TYPES.values()))[self._type].T
        spread = rng.lognormal(0.0, np.array([0.02, 0.08, 0.10, 0.25, 0.08])[:, None], rated.shape)
        self._rpm, self._head, self._rise, self._shake, self._kw = rated * spread
        self._critical = rng.uniform(0.5, 0.9, n)
        self._service_days = rng.uniform(40, 90, n)
        self._serviced = rng.random(n)
        self._salt = int(rng.integers(2**32))
        self._smooth: Columns = {}
        self._ahead: Columns = {}
        return {
            "machine_id": [f"machine_{i:03d}" for i in range(n)],
            "machine_type": list(_TYPES),
            "site": ["north", "south", "harbour"],
        }

    def _filter(
        self, name: str, signal: np.ndarray, minutes: float, first: np.ndarray
    ) -> np.ndarray:
        """First-order lag of each column, from ``first`` on; its state goes on between blocks."""
        before = self._smooth.get(name, first)
        alpha = 1 - math.exp(-_TICK_MINUTES / minutes)
        whole = pd.DataFrame(np.vstack([before, signal])).ewm(alpha=alpha, adjust=False).mean()
        self._smooth[name] = whole.iloc[-1].to_numpy()
        return whole.iloc[1:].to_numpy()

    def _drift(
        self, rng: np.random.Generator, name: str, minutes: float, sigma: float, columns: int
    ) -> np.ndarray:
        """Ornstein-Uhlenbeck noise: standard deviation ``sigma``, memory ``minutes``."""
        alpha = 1 - math.exp(-_TICK_MINUTES / minutes)
        shocks = math.sqrt((2 - alpha) / alpha) * sigma * rng.normal(size=(self._ticks, columns))
        return self._filter(name, shocks, minutes, sigma * rng.normal(size=columns))

    def _physics(self, index: int) -> Columns:
        """Healthy readings of a block, each (ticks, machines)."""
        rng, shape = self.rng(index, 0x100), (self._ticks, self.entities)
        tick = index * self._ticks + np.arange(self._ticks)
        time = self.calendar(tick * _TICK_MINUTES * 60)
        day = np.asarray(time.day_of_year + (time.hour * 60 + time.minute) / 1440)[:, None]
        machine = np.arange(self.entities)

        job = fixed_noise(self._salt, tick[:, None] // 30 + 7 * machine, machine)
        demand = _SHIFTS[self._shift][:, hour_of_week(time)].T * (0.85 + 0.3 * job)
        load = self._filter("load", demand, 20, demand[0]) + self._drift(
            rng, "hand", 60, 0.03, shape[1]
        )
        load = np.clip(load, 0.02, 1.1)
        speed = (0.3 + 0.7 * load) * (1 + 0.004 * rng.normal(size=shape))

        weather = self._drift(rng, "weather", 2 * 1440, 2.0, 3)
        season = 15 - 9 * np.cos(2 * np.pi * (day - 20) / 365.25)
        ambient = season - 4 * np.cos(2 * np.pi * (day - 3 / 24)) + weather
        ambient = ambient[:, self._site] + 0.2 * rng.normal(size=shape)

        heat = ambient + self._rise * (0.1 + 0.9 * load**1.3)
        temperature = self._filter("heat", heat, 35, heat[0]) + 0.4 * rng.normal(size=shape)
        valve = 1 + self._drift(rng, "valve", 90, 0.02, shape[1])
        pressure = 1.0 + self._head * speed**2 * valve * (273 + temperature) / (273 + 55)

        wear = (tick[:, None] / _TICKS_PER_DAY / self._service_days + self._serviced) % 1
        resonance = 0.7 * np.exp(-(((speed - self._critical) / 0.03) ** 2))
        knock = np.where(rng.random(shape) < 0.002, rng.uniform(1.3, 3.0, shape), 1.0)
        vibration = self._shake * (0.25 + 0.75 * speed**2) * (1 + resonance) * (1 + 0.7 * wear**2)
        vibration = vibration * knock * np.exp(0.09 * rng.normal(size=shape))
        power = self._kw * (0.08 + 0.92 * load) * (1 + 0.012 * rng.normal(size=shape))
        return {
            "load_pct": 100 * load,
            "speed_rpm": self._rpm * speed,
            "power_kw": power,
            "ambient_c": ambient,
            "temperature_c": temperature,
            "pressure_bar": pressure,
            "vibration_mm_s": vibration,
            "kind": np.zeros(shape, np.int8),
            "incident": np.zeros(shape, np.int64),
        }

    def block(self, index: int) -> Columns:
        # Incidents that begin in this block may reach into the next, which is made ahead for that.
        current = self._ahead or self._physics(index)
        ahead = self._physics(index + 1)
        rows = {name: np.concatenate([current[name], ahead[name]]) for name in current}
        budget = self._ticks * self.entities * self.anomaly_rate
        for code, kind, incidents in self.incidents(index, budget):
            numbers = self.number(incidents)[incidents.step == 0]
            for part, (number, size) in enumerate(zip(numbers, incidents.size, strict=True)):
                first, last = (self._ticks * p // len(numbers) for p in (part, part + 1))
                spot = self._spot(incidents.rng, kind, rows, int(size), first, last)
                if spot is not None:
                    getattr(self, f"_{kind}")(incidents.rng, {k: v[spot] for k, v in rows.items()})
                    rows["kind"][spot], rows["incident"][spot] = code, number
        self._ahead = {name: values[self._ticks :].copy() for name, values in rows.items()}
        flat = {name: values[: self._ticks].ravel() for name, values in rows.items()}
        flat |= {name: np.round(flat[name], 3) for name in _READINGS}
        machine = np.tile(np.arange(self.entities), self._ticks)
        tick = index * self._ticks + np.repeat(np.arange(self._ticks), self.entities)
        return flat | {
            "time": tick * _TICK_MINUTES * 60.0,
            "machine_id": machine,
            "machine_type": self._type[machine],
            "site": self._site[machine],
        }

    def _spot(
        self,
        rng: np.random.Generator,
        kind: str,
        rows: Columns,
        size: int,
        first: int,
        last: int,
    ) -> tuple[slice, int] | None:
        """A stretch of one machine that is still healthy, where this kind of failure is odd.

        It begins from tick ``first`` to ``last``, so that a block's incidents spread over it.
        """
        begin = rng.integers(first, max(last, first + 1), size=6)
        machine = rng.integers(self.entities, size=6)
        # Hot is odd at low load, low pressure at high load; the others are odd anywhere.
        side = {"overheating": 1, "pressure_loss": -1}.get(kind, 0)
        for i in np.argsort(side * rows["load_pct"][begin, machine], kind="stable"):
            spot = slice(begin[i], begin[i] + size), machine[i]
            if not rows["kind"][spot].any():
                return spot
        return None

    # The failures below change, in place, the rows of one stretch of one machine.

    def _sensor_fault(self, rng: np.random.Generator, rows: Columns) -> None:
        """One transmitter fails: broken wire or saturation, as NAMUR NE 43 signals them.

        The current leaves 4 to 20 mA, so the reading leaves the span of the sensor.
        """
        sensor = rng.integers(len(_SENSORS))
        milliamps = rng.uniform(0, 2.5) if rng.random() < 0.5 else rng.uniform(21, 22.5)
        rows[_SENSORS[sensor]][:] = _SPAN[sensor] * (milliamps - 4) / 16

    def _overheating(self, rng: np.random.Generator, rows: Columns) -> None:
        """Cooling fails: at low load the machine gets as warm as it is at a high one."""
        n = len(rows["kind"])
        excess = rng.uniform(14, 24) * (1 - np.exp(-(np.arange(n) + 2) / 2.0))
        rows["pressure_bar"][:] *= (273 + rows["temperature_c"] + excess) / (
            273 + rows["temperature_c"]
        )
        rows["temperature_c"][:] += excess

    def _pressure_loss(self, rng: np.random.Generator, rows: Columns) -> None:
        """A leak: under load the pressure is what it is at half speed, and power is wasted."""
        n = len(rows["kind"])
        loss = rng.uniform(0.35, 0.55) * (1 - np.exp(-(np.arange(n) + 2) / 1.5))
        rows["pressure_bar"][:] = 1 + (rows["pressure_bar"] - 1) * (1 - loss)
        rows["power_kw"][:] *= 1 + 0.06 * loss

    def _bearing_wear(self, rng: np.random.Generator, rows: Columns) -> None:
        """A bearing goes: vibration climbs for hours, friction warms and costs a little power."""
        growth = np.linspace(0, 1, len(rows["kind"])) ** 1.5
        rows["vibration_mm_s"][:] *= 1 + rng.uniform(0.6, 1.1) * growth
        rows["temperature_c"][:] += rng.uniform(2, 5) * growth
        rows["power_kw"][:] *= 1 + 0.03 * growth

    def _stuck_sensor(self, rng: np.random.Generator, rows: Columns) -> None:
        """One sensor repeats a reading while the machine goes on."""
        sensor = _SENSORS[rng.integers(3)]
        # The middle one of three, lest it sticks at a knock and every row is odd by itself.
        rows[sensor][:] = np.median(rows[sensor][:3])
