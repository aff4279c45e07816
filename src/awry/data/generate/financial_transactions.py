"""Card payments of a European bank: shops, cash machines and online, at home and on trips."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd

from . import places
from .incidents import Incidents, Kind
from .population import Population, favourite, rhythm
from .simulation import Columns, EventSimulation, hour_of_week

#: Category: median amount (EUR), spread (sigma of log amount), share of purchases, online share.
_CATEGORIES: dict[str, tuple[float, float, float, float]] = {
    "groceries": (24.0, 0.65, 0.30, 0.05),
    "restaurants": (19.0, 0.60, 0.17, 0.10),
    "transport": (6.0, 0.75, 0.10, 0.40),
    "fuel": (48.0, 0.40, 0.07, 0.00),
    "digital": (8.0, 0.70, 0.09, 1.00),
    "pharmacy": (14.0, 0.65, 0.06, 0.15),
    "fashion": (52.0, 0.75, 0.06, 0.50),
    "home": (60.0, 1.00, 0.04, 0.40),
    "electronics": (95.0, 1.10, 0.03, 0.60),
    "travel": (170.0, 1.00, 0.02, 0.70),
    "cash": (80.0, 0.60, 0.06, 0.00),
}
_MEDIAN, _SIGMA, _SHARE, _ONLINE = np.array(list(_CATEGORIES.values())).T
_NAMES = list(_CATEGORIES)
_CASH = _NAMES.index("cash")
_CHANNELS = ["chip", "contactless", "online", "cash_machine"]
_CHIP, _CONTACTLESS, _WEB, _MACHINE = range(4)

_WORKDAY = (1.0, 1.0, 1.02, 1.05, 1.2, 1.25, 0.75)
_RHYTHMS = np.array(
    [
        rhythm(((8.5, 1.2, 0.5), (12.5, 1.3, 1.0), (17.8, 1.8, 1.4)), 0.004, _WORKDAY),
        rhythm(((10.5, 1.8, 1.2), (15.5, 2.2, 1.0)), 0.002, _WORKDAY),
        rhythm(((13.0, 1.8, 0.7), (19.5, 2.2, 1.4)), 0.006, (0.9, 0.9, 1, 1.1, 1.5, 1.5, 0.9)),
        rhythm(((3.0, 2.2, 1.0), (22.5, 2.0, 1.0)), 0.05, (1, 1, 1, 1, 1.1, 1.0, 0.9)),
    ]
)
_NIGHT_OWLS = 3
#: Spending by month: holidays in summer, presents in December.
_SEASON = np.array([0.92, 0.92, 0.97, 0.99, 1.0, 1.02, 1.04, 1.02, 0.98, 1.0, 1.06, 1.2])
_SHOPS_PER_CITY = 60
_WEB_SHOPS = 400
_HABITS = 24


class FinancialTransactions(EventSimulation):
    """Each card has its owner's home, hours, shops, purse and trips; see docs/generators.md."""

    identifier = "transaction_id"
    default_entities = 500
    kinds: ClassVar = {
        "large_amount": Kind("point", (1, 1)),
        "unusual_amount": Kind("contextual", (1, 1)),
        "unusual_time": Kind("contextual", (1, 3)),
        "impossible_travel": Kind("contextual", (1, 3)),
        "card_testing": Kind("collective", (8, 24)),
    }
    columns: ClassVar = {
        "card_id": "category",
        "merchant_id": "category",
        "category": "category",
        "channel": "category",
        "amount": "float64",
        "country": "category",
        "city": "category",
        "lat": "float64",
        "lon": "float64",
        "distance_from_home_km": "float64",
    }

    def build(self, rng: np.random.Generator) -> dict[str, list[str]]:
        self._build_shops(rng)
        n, shops = self.entities, len(self._category_of)
        home = places.home_cities(rng, n)
        group = rng.choice(4, n, p=[0.5, 0.2, 0.22, 0.08])
        self.cards = Population(rng.lognormal(-2.5, 0.6, n), group, _RHYTHMS)
        self._travel = places.Travel(rng, home, 0.4, self.clock)
        self._purse = rng.lognormal(0.0, 0.35, n)
        self._lat = places.LAT[home] + rng.normal(0, 0.06, n)
        self._lon = places.LON[home] + rng.normal(0, 0.09, n)
        taste = self._shop_reach(home, rng.random((n, _HABITS)))
        web = shops - _WEB_SHOPS + favourite(rng, n * _HABITS, _WEB_SHOPS).reshape(n, _HABITS)
        self._habits = np.where(rng.random((n, _HABITS)) < 0.25, web, taste)
        countries = sorted(set(places.COUNTRY))
        self._country = np.array([countries.index(c) for c in places.COUNTRY])
        return {
            "card_id": [f"card_{i:05d}" for i in range(n)],
            "merchant_id": [f"shop_{i:04d}" for i in range(shops)],
            "category": _NAMES,
            "channel": _CHANNELS,
            "country": countries,
            "city": places.CITY,
        }

    def _build_shops(self, rng: np.random.Generator) -> None:
        """Shops of every city in order of popularity, then the web shops."""
        cities = len(places.CITY)
        street = _SHARE * (1 - _ONLINE)
        web = _SHARE * _ONLINE
        # A quota of each category, shuffled, so that every city has every category.
        share = np.arange(_SHOPS_PER_CITY) / _SHOPS_PER_CITY
        quota = np.searchsorted(np.cumsum(street) / street.sum(), share, side="right")
        local = rng.permuted(np.tile(quota, (cities, 1)), axis=1)
        online = rng.choice(len(_NAMES), _WEB_SHOPS, p=web / web.sum())
        self._category_of = np.concatenate([local.ravel(), online])
        total = len(self._category_of)
        self._dearness = rng.lognormal(0.0, 0.25, total)
        city = np.repeat(np.arange(cities), _SHOPS_PER_CITY)
        self._shop_lat = places.LAT[city] + rng.normal(0, 0.05, len(city))
        self._shop_lon = places.LON[city] + rng.normal(0, 0.07, len(city))

    @staticmethod
    def _shop_reach(city: np.ndarray, u: np.ndarray) -> np.ndarray:
        """A shop of each city, the popular ones more often."""
        return (city.reshape(-1, *[1] * (u.ndim - 1)) * _SHOPS_PER_CITY) + (
            _SHOPS_PER_CITY * u**1.5
        ).astype(np.intp)

    @property
    def pace(self) -> float:
        return float(self.cards.pace.sum())

    def normal(self, rng: np.random.Generator, begin: float, hours: pd.DatetimeIndex) -> Columns:
        level = _SEASON[hours.month - 1] * np.where(hours.day >= 26, 1.1, 1.0)
        time, card = self.cards.arrivals(rng, hour_of_week(hours), level)
        time = begin + 3600 * time
        city = self._travel.where(card, time)
        shop = self._habits[card, favourite(rng, len(card), _HABITS)]
        # Someone away from home, and at times someone at home, buys where he happens to be.
        street = shop < len(self._shop_lat)
        new = street & ((city != self._travel.home[card]) | (rng.random(len(card)) < 0.15))
        shop = np.where(new, self._shop_reach(city, rng.random(len(card))), shop)
        amount = self._usual_amount(rng, card, shop)
        # Now and then a repair, a bicycle, a family's flights: rare, honest, very large.
        amount *= np.where(rng.random(len(card)) < 0.006, 3 + 5 * rng.pareto(1.3, len(card)), 1.0)
        return self._purchases(rng, time, card, city, shop, amount)

    def _purchases(
        self,
        rng: np.random.Generator,
        time: np.ndarray,
        card: np.ndarray,
        city: np.ndarray,
        shop: np.ndarray,
        amount: np.ndarray | None = None,
    ) -> Columns:
        """Rows of purchases; ``city`` is where the card, or the browser, is."""
        n, category = len(card), self._category_of[shop]
        if amount is None:
            amount = self._usual_amount(rng, card, shop)
        tap = (amount < 50) & (rng.random(n) < 0.8)
        street = shop < len(self._shop_lat)
        channel = np.where(street, np.where(tap, _CONTACTLESS, _CHIP), _WEB)
        channel[category == _CASH] = _MACHINE
        at_home = ~street & (city == self._travel.home[card])
        spot = np.where(street, shop, 0)
        browse = rng.normal(0, 0.01, (2, n))
        lat = np.where(street, self._shop_lat[spot], places.LAT[city] + 4 * browse[0])
        lon = np.where(street, self._shop_lon[spot], places.LON[city] + 4 * browse[1])
        lat = np.where(at_home, self._lat[card] + browse[0], lat)
        lon = np.where(at_home, self._lon[card] + browse[1], lon)
        away = places.distance_km(lat, lon, self._lat[card], self._lon[card])
        return {
            "time": np.floor(time),
            "card_id": card,
            "merchant_id": shop,
            "category": category,
            "channel": channel,
            "amount": self._priced(amount, category),
            "country": self._country[city],
            "city": city,
            "lat": np.round(lat, 4),
            "lon": np.round(lon, 4),
            "distance_from_home_km": np.round(away, 2),
        }

    def _expected(self, card: np.ndarray, shop: np.ndarray) -> np.ndarray:
        """Median amount of a card in a shop, EUR."""
        typical = _MEDIAN[self._category_of] * self._dearness
        return np.asarray(typical[shop] * self._purse[card])

    def _usual_amount(
        self, rng: np.random.Generator, card: np.ndarray, shop: np.ndarray
    ) -> np.ndarray:
        spread = _SIGMA[self._category_of[shop]] * rng.normal(size=len(card))
        return np.asarray(self._expected(card, shop) * np.exp(spread))

    @staticmethod
    def _priced(amount: np.ndarray, category: np.ndarray) -> np.ndarray:
        notes = 10 * np.clip(np.round(amount / 10), 1, 200)
        return np.where(category == _CASH, notes, np.maximum(np.round(amount, 2), 0.5))

    def _large_amount(self, made: Incidents, normal: Columns) -> Columns:
        """One web purchase far above what people pay, sent from where the owner is not."""
        rng, n = made.rng, len(made.size)
        victim = made.victims(normal["amount"] > 0)
        card = normal["card_id"][victim]
        city = places.far_city(rng, self._travel.home[card], 800)
        shop = self._web_shop(rng, n, ("electronics", "fashion", "home", "travel"))
        time = normal["time"][victim] + rng.uniform(0, 12 * 3600, n)
        amount = rng.lognormal(np.log(1800), 0.6, n)
        return self._purchases(rng, time, card, city, shop, amount)

    def _unusual_amount(self, made: Incidents, normal: Columns) -> Columns:
        """A purchase at a card's own cheap shop of an amount that others pay elsewhere."""
        low, high = np.quantile(normal["amount"], [0.93, 0.98])
        tries = np.column_stack([made.victims(normal["amount"] > 0) for _ in range(6)])
        usual = self._expected(normal["card_id"][tries], normal["merchant_id"][tries])
        usual *= np.exp(_SIGMA[normal["category"][tries]])
        usual[normal["category"][tries] == _CASH] = np.inf
        victim = np.take_along_axis(tries, usual.argmin(axis=1)[:, None], axis=1)[:, 0]
        card, shop = normal["card_id"][victim], normal["merchant_id"][victim]
        paid = normal["amount"][(normal["amount"] >= low) & (normal["amount"] <= high)]
        time = normal["time"][victim] + made.rng.uniform(60, 7200, len(victim))
        return self._purchases(
            made.rng, time, card, normal["city"][victim], shop, made.pick(np.sort(paid))
        )

    def _unusual_time(self, made: Incidents, normal: Columns) -> Columns:
        """Web purchases like the owner's, at the hours of the day at which he never buys."""
        rng = made.rng
        victim = made.victims(self.cards.group[normal["card_id"]] != _NIGHT_OWLS)
        card = normal["card_id"][victim]
        hour = (self.cards.quiet_hour(rng, card) + rng.uniform(0, 0.8, len(card))) * 3600
        wait = (hour - normal["time"][victim] - self.clock) % 86_400
        time = (normal["time"][victim] + wait)[made.which]
        time = time + made.elapsed(rng.uniform(30, 300, len(time)))
        shop = self._web_shop(rng, len(time), ("digital", "fashion", "electronics", "home"))
        card = card[made.which]
        return self._purchases(rng, time, card, self._travel.where(card, time), shop)

    def _impossible_travel(self, made: Incidents, normal: Columns) -> Columns:
        """The card is read in a city that its owner cannot have reached since he last paid."""
        rng = made.rng
        victim = made.victims(normal["channel"] != _WEB)
        city = places.far_city(rng, normal["city"][victim], 700, normal["city"])[made.which]
        time = (normal["time"][victim] + rng.uniform(300, 2400, len(victim)))[made.which]
        time = time + made.elapsed(rng.uniform(120, 900, len(time)))
        shop = self._shop_reach(city, rng.random(len(time)))
        return self._purchases(rng, time, normal["card_id"][victim][made.which], city, shop)

    def _card_testing(self, made: Incidents, normal: Columns) -> Columns:
        """A run of small web payments in minutes, each to another shop: is the card alive?"""
        rng = made.rng
        victim = made.victims(normal["amount"] > 0)[made.which]
        time = normal["time"][victim] + made.uniform(0, 3600)
        time = time + made.elapsed(rng.exponential(25, len(time)) + 4)
        card = normal["card_id"][victim]
        shop = self._web_shop(rng, len(time), ("digital", "transport"))
        return self._purchases(rng, time, card, normal["city"][victim], shop)

    def _web_shop(
        self, rng: np.random.Generator, n: int, categories: tuple[str, ...]
    ) -> np.ndarray:
        wanted = np.isin(self._category_of, [_NAMES.index(c) for c in categories])
        wanted[: len(self._shop_lat)] = False
        return rng.choice(np.flatnonzero(wanted), n)
