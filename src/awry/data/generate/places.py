"""Cities of the world, distances between them, and trips that people make."""

from __future__ import annotations

from typing import Any

import numpy as np

from .population import fixed_noise

#: Name, country (ISO 3166), latitude, longitude (degrees), weight (how often people live in or
#: visit it). The first ``HOMES`` keep Central European Time, so one clock fits all residents.
_TABLE: tuple[tuple[str, str, float, float, float], ...] = (
    ("Berlin", "DE", 52.52, 13.40, 3.7),
    ("Hamburg", "DE", 53.55, 9.99, 1.9),
    ("Munich", "DE", 48.14, 11.58, 1.5),
    ("Cologne", "DE", 50.94, 6.96, 1.1),
    ("Frankfurt", "DE", 50.11, 8.68, 0.8),
    ("Paris", "FR", 48.86, 2.35, 4.5),
    ("Lyon", "FR", 45.76, 4.84, 1.3),
    ("Marseille", "FR", 43.30, 5.37, 0.9),
    ("Madrid", "ES", 40.42, -3.70, 3.3),
    ("Barcelona", "ES", 41.39, 2.17, 2.1),
    ("Rome", "IT", 41.90, 12.50, 2.8),
    ("Milan", "IT", 45.46, 9.19, 1.7),
    ("Amsterdam", "NL", 52.37, 4.90, 1.2),
    ("Brussels", "BE", 50.85, 4.35, 1.2),
    ("Vienna", "AT", 48.21, 16.37, 1.9),
    ("Zurich", "CH", 47.37, 8.54, 0.6),
    ("Prague", "CZ", 50.08, 14.44, 1.3),
    ("Warsaw", "PL", 52.23, 21.01, 1.8),
    ("Copenhagen", "DK", 55.68, 12.57, 0.8),
    ("Stockholm", "SE", 59.33, 18.07, 1.0),
    ("London", "GB", 51.51, -0.13, 6.0),
    ("Dublin", "IE", 53.35, -6.26, 1.2),
    ("Lisbon", "PT", 38.72, -9.14, 1.5),
    ("Athens", "GR", 37.98, 23.73, 1.4),
    ("Istanbul", "TR", 41.01, 28.98, 2.0),
    ("Marrakesh", "MA", 31.63, -7.99, 0.8),
    ("Cairo", "EG", 30.04, 31.24, 0.7),
    ("Lagos", "NG", 6.52, 3.38, 0.4),
    ("Cape Town", "ZA", -33.92, 18.42, 0.5),
    ("Dubai", "AE", 25.20, 55.27, 1.4),
    ("Mumbai", "IN", 19.08, 72.88, 0.7),
    ("Bangkok", "TH", 13.76, 100.50, 1.3),
    ("Singapore", "SG", 1.35, 103.82, 0.9),
    ("Tokyo", "JP", 35.68, 139.69, 1.1),
    ("Sydney", "AU", -33.87, 151.21, 0.5),
    ("New York", "US", 40.71, -74.01, 2.2),
    ("Miami", "US", 25.76, -80.19, 0.9),
    ("Los Angeles", "US", 34.05, -118.24, 0.9),
    ("Toronto", "CA", 43.65, -79.38, 0.6),
    ("Mexico City", "MX", 19.43, -99.13, 0.6),
    ("Sao Paulo", "BR", -23.55, -46.63, 0.5),
    ("Buenos Aires", "AR", -34.60, -58.38, 0.4),
)
HOMES = 20
CITY = [row[0] for row in _TABLE]
COUNTRY = [row[1] for row in _TABLE]
LAT = np.array([row[2] for row in _TABLE])
LON = np.array([row[3] for row in _TABLE])
WEIGHT = np.array([row[4] for row in _TABLE])

_EARTH_RADIUS_KM = 6371.0
_TRIP_PERIOD_DAYS = 30


def distance_km(lat: Any, lon: Any, lat2: Any, lon2: Any) -> Any:
    """Great-circle distance in kilometres between points in degrees (haversine formula)."""
    lat, lon, lat2, lon2 = (np.radians(v) for v in (lat, lon, lat2, lon2))
    chord = (
        np.sin((lat2 - lat) / 2) ** 2 + np.cos(lat) * np.cos(lat2) * np.sin((lon2 - lon) / 2) ** 2
    )
    return 2 * _EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.minimum(chord, 1.0)))


#: Distances between city centres, kilometres.
BETWEEN = distance_km(LAT[:, None], LON[:, None], LAT, LON)


def home_cities(rng: np.random.Generator, n: int) -> np.ndarray:
    """Home city of each of ``n`` people, drawn by weight."""
    weight = WEIGHT[:HOMES]
    return rng.choice(HOMES, n, p=weight / weight.sum())


def far_city(
    rng: np.random.Generator, city: np.ndarray, least_km: float, seen: np.ndarray | None = None
) -> np.ndarray:
    """For each city another one at least ``least_km`` away.

    Drawn by weight, or by how often it is among the cities ``seen``, so that it is odd for the
    person and not for the world.
    """
    weight = WEIGHT if seen is None else np.bincount(seen, minlength=len(WEIGHT)) + 1e-6 * WEIGHT
    reach = np.cumsum((BETWEEN[city] >= least_km) * weight, axis=1)
    return np.asarray(np.sum(reach <= rng.random((len(city), 1)) * reach[:, -1:], axis=1))


class Travel:
    """Where each person is at a time: at home, or on a trip of two to eight days.

    Trips are a fixed function of person and time, so a block of rows can be made without the
    blocks before it and a person on a trip stays there from row to row.

    Parameters
    ----------
    rng : numpy.random.Generator
    home : (n,) array
        Home city of each person.
    propensity : float
        Mean probability of a trip in 30 days; people differ.
    clock : float
        Seconds past midnight at which the simulation starts. People leave and come back at four
        in the morning, so that nobody pays here and an hour later on another continent.
    """

    def __init__(
        self, rng: np.random.Generator, home: np.ndarray, propensity: float, clock: float
    ) -> None:
        self.home = home
        self._clock = clock - 4 * 3600
        self._salt = int(rng.integers(2**32))
        self._phase = rng.integers(1, 1 + _TRIP_PERIOD_DAYS, len(home))
        self._propensity = rng.beta(1.0, 1 / propensity - 1, len(home))
        self._reach = np.cumsum(WEIGHT) / WEIGHT.sum()

    def where(self, person: np.ndarray, seconds: np.ndarray) -> np.ndarray:
        """City of each person at each time (seconds of the simulation clock)."""
        day = np.floor((seconds + self._clock) / 86_400).astype(np.int64) + self._phase[person]
        period, day = np.divmod(day, _TRIP_PERIOD_DAYS)
        on_trip = fixed_noise(self._salt, person, period) < self._propensity[person]
        city = self.home.take(person)
        who = np.flatnonzero(on_trip)
        draws = [fixed_noise(self._salt, person[who], period[who], i) for i in range(3)]
        since = day[who] - np.floor(22 * draws[0])
        away = (since >= 0) & (since < 2 + np.floor(7 * draws[1]))
        city[who[away]] = np.searchsorted(self._reach, draws[2][away], side="right")
        return city
