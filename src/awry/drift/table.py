"""Drift of a table of mixed columns: which moved, by how much, and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
from sklearn.utils.validation import check_is_fitted

from awry.core.errors import DataError
from awry.core.inputs import FloatArray
from awry.core.params import Configurable, any_of, instance, integer, listing, nothing, option, real
from awry.data.columns import ColumnProfile, profile
from awry.data.tables import as_table
from awry.data.values import as_float
from awry.drift.aspects import (
    Shares,
    aspect,
    bins,
    level_names,
    level_shares,
    missing,
    moved_levels,
    moved_numbers,
    view,
)  # fmt: skip
from awry.drift.base import CORRECTIONS, FEWEST, UNKNOWN, DriftTest, Finding, judge
from awry.drift.binned import PSI, ChiSquare, GTest, JensenShannon, KullbackLeibler
from awry.drift.mmd import MMD
from awry.drift.multivariate import ClassifierTwoSample, JointDrift, JointTest, PCAReconstruction
from awry.drift.ordered import CramerVonMises, Energy, KolmogorovSmirnov, Wasserstein

if TYPE_CHECKING:
    from typing import Self

#: Tests by the names that people give them.
NUMBER_TESTS: dict[str, type[DriftTest]] = {
    "ks": KolmogorovSmirnov, "cvm": CramerVonMises, "wasserstein": Wasserstein, "energy": Energy,
    "psi": PSI, "kl": KullbackLeibler, "js": JensenShannon,
}  # fmt: skip
LEVEL_TESTS: dict[str, type[DriftTest]] = {
    "chi_square": ChiSquare, "g": GTest, "psi": PSI, "kl": KullbackLeibler, "js": JensenShannon,
}  # fmt: skip
JOINT_TESTS: dict[str, type[JointTest]] = {
    "mmd": MMD, "classifier": ClassifierTwoSample, "pca": PCAReconstruction,
}  # fmt: skip


class FeatureDrift(NamedTuple):
    """One feature of a table: a column, or something about it.

    Attributes
    ----------
    feature, kind : str
        ``"amount"``, or ``"amount (missing)"``; and what the column is.
    test, measure : str
        The test and what its effect is measured in.
    statistic, p_value, adjusted, effect : float
        NaN where it was not tested.
    significant, material, drifted : bool
        Whether chance is a poor explanation, whether the move is large enough to matter, and both.
    tested : bool
        Whether both sides had values enough to judge by.
    change : str
        What became of it, in words.
    shares : Shares
    """

    feature: str
    kind: str
    test: str
    measure: str
    statistic: float
    p_value: float
    adjusted: float
    effect: float
    significant: bool
    material: bool
    drifted: bool
    tested: bool
    change: str
    shares: Shares

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON, without the picture."""
        return {key: value for key, value in self._asdict().items() if key != "shares"}


class TableChange(NamedTuple):
    """What :meth:`TableDrift.test` found.

    Attributes
    ----------
    features : list of FeatureDrift
        Those that are gone first, then those that drifted, the farthest moved first; last those
        that were not tested.
    joint : JointDrift or None
        What the test of all numbers at once found, where one was asked for.
    notes : list of str
        What could not be compared, and why.
    rows_reference, rows_current : int
    """

    features: list[FeatureDrift]
    joint: JointDrift | None
    notes: list[str]
    rows_reference: int
    rows_current: int

    @property
    def drifted(self) -> list[FeatureDrift]:
        """The features that drifted."""
        return [f for f in self.features if f.drifted]

    @property
    def untested(self) -> list[FeatureDrift]:
        """The features that had too few values to judge by."""
        return [f for f in self.features if not f.tested]

    @property
    def tested(self) -> bool:
        """Whether anything was judged."""
        return len(self.untested) < len(self.features) or self.joint is not None

    def __bool__(self) -> bool:
        return bool(self.drifted) or bool(self.joint)

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        joint = None
        if self.joint is not None:
            joint = {k: v for k, v in self.joint._asdict().items() if k != "by_feature"}
        return {
            "drifted": bool(self),
            "tested": self.tested,
            "rows": {"reference": self.rows_reference, "current": self.rows_current},
            "features": [f.to_dict() for f in self.features],
            "joint": joint,
            "notes": self.notes,
        }


class _Feature(NamedTuple):
    """What is kept of a feature of the reference."""

    name: str
    kind: str
    values: FloatArray  # sorted numbers, or counts of the levels
    levels: list[str]  # empty for numbers
    test: DriftTest | None  # fitted; None where there is too little to judge by


class TableDrift(Configurable):
    """Compare tables of mixed columns with a reference.

    Columns are taken for what :func:`~awry.data.columns.profile` takes the reference's for.
    Numbers are compared by ``numbers``; categories, booleans and constants by ``levels``, levels
    the reference does not know being one more level; of times the hour of the day, or the weekday
    where there are only dates; of texts the length; and of every column the share missing. Of
    identifiers nothing is compared, of empty columns only whether they still are. The correction is
    over all of these at once. A column that is gone has drifted, a new one has not.

    Parameters
    ----------
    numbers : {"ks", "cvm", "wasserstein", "energy", "psi", "kl", "js"}, default="ks"
    levels : {"chi_square", "g", "psi", "kl", "js"}, default="chi_square"
    joint : {"mmd", "classifier", "pca", None}, default=None
        A test of all columns of numbers at once, in units of the reference's standard deviations,
        on the rows in which none is missing.
    alpha : float, default=0.05
    correction : {"benjamini_hochberg", "bonferroni", None}, default="benjamini_hochberg"
    min_effect : float, default=0.1
        Effect below which a move does not matter, in the unit of the test.
    kinds : mapping, optional
        What columns are, where that is known.
    ignore : list of str, optional
        Columns not to compare.
    max_levels : int, default=10000
        Levels told apart, the most frequent; the rest are one. Rare ones are pooled by the test.

    Attributes
    ----------
    profiles_ : list of ColumnProfile

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> old = {"amount": rng.normal(10, 2, 500), "city": rng.choice(["Rome", "Oslo"], 500)}
    >>> new = {"amount": rng.normal(13, 2, 500), "city": rng.choice(["Rome", "Oslo"], 500)}
    >>> found = TableDrift().fit(old).test(new)
    >>> [(f.feature, f.drifted) for f in found.features]
    [('amount', True), ('city', False)]
    """

    constraints = {
        "numbers": option(*NUMBER_TESTS),
        "levels": option(*LEVEL_TESTS),
        "joint": option(None, *JOINT_TESTS),
        "alpha": real(0, 1, "()"),
        "correction": option(*CORRECTIONS),
        "min_effect": real(0),
        "kinds": any_of(nothing(), instance(Mapping)),
        "ignore": any_of(nothing(), listing()),
        "max_levels": integer(1),
    }

    def __init__(
        self,
        numbers: str = "ks",
        levels: str = "chi_square",
        joint: str | None = None,
        alpha: float = 0.05,
        correction: str | None = "benjamini_hochberg",
        min_effect: float = 0.1,
        kinds: Mapping[str, str] | None = None,
        ignore: Sequence[str] | None = None,
        max_levels: int = 10_000,
    ) -> None:
        self.numbers = numbers
        self.levels = levels
        self.joint = joint
        self.alpha = alpha
        self.correction = correction
        self.min_effect = min_effect
        self.kinds = kinds
        self.ignore = ignore
        self.max_levels = max_levels

    def fit(self, reference: Any, y: object = None) -> Self:
        """Profile and sketch the ``reference``, anything that is a table."""
        self.check_params()
        table = _with_rows(as_table(reference), "the reference")
        self.rows_ = table.num_rows
        self.types_ = {field.name: field.type for field in table.schema}
        found = profile(table, self.kinds)
        kinds = {p.name: p.kind for p in found}
        # A column that repeats another may cease to.
        found = [p._replace(kind=kinds[p.stats["of"]]) if "of" in p.stats else p for p in found]
        self.profiles_ = [p for p in found if p.name not in (self.ignore or ())]
        self.features_: dict[str, list[_Feature]] = {}
        numbers = {}
        for column in self.profiles_:
            values, _ = column.typed(table[column.name].combine_chunks())
            self.features_[column.name] = self._sketch(column, values)
            if column.kind == "number":
                numbers[column.name] = as_float(values)
        self.joint_: JointTest | None = None
        if self.joint is not None and numbers:
            self.joint_columns_ = list(numbers)
            rows = _complete(list(numbers.values()))
            self.mean_, spread = rows.mean(axis=0), rows.std(axis=0)
            self.scale_ = np.where(spread > 0, spread, 1.0)
            test = JOINT_TESTS[self.joint](alpha=self.alpha, min_effect=self.min_effect)
            self.joint_ = test.fit((rows - self.mean_) / self.scale_)
        return self

    def test(self, current: Any, *, sparse: bool = False) -> TableChange:
        """Compare ``current``, a table with the reference's columns, with the reference.

        Parameters
        ----------
        current : table-like
        sparse : bool, default=False
            Whether the rows were objects that leave out what they do not have. Then a column that
            none of them has is one without values, which drifted if the reference's had many.
        """
        check_is_fitted(self, "features_")
        table = _with_rows(as_table(current), "the new data")
        known, notes = set(table.column_names), []
        found: list[tuple[_Feature, Finding, str, Shares]] = []
        gone: list[FeatureDrift] = []
        for column in self.profiles_:
            if column.name in known:
                given = table[column.name].combine_chunks()
            else:
                notes.append(f"{column.name} is missing from the new data")
                if not sparse:
                    gone.append(_gone(column))
                    continue
                given = pa.nulls(table.num_rows, self.types_[column.name])
            values, unfit = column.typed(given)
            if len(unfit):
                notes.append(f"{column.name}: {len(unfit):,} values are no {column.kind}")
            for feature in self.features_[column.name]:
                found.append(self._compare(column, feature, values))
            if not self.features_[column.name]:
                notes.append(f"{column.name} is not compared ({column.kind}: {column.why})")
        ours = {p.name for p in self.profiles_} | set(self.ignore or ())
        notes += [f"{name} is new" for name in table.column_names if name not in ours]
        if not (found := [f for f in found if not _never_missing(f)]):
            raise DataError("there is no column that both tables have and that can be compared")
        return TableChange(
            gone + self._judged(found), self._test_joint(table, notes), notes, self.rows_,
            table.num_rows,
        )  # fmt: skip

    # -- one feature ------------------------------------------------------------------------------

    def _sketch(self, column: ColumnProfile, values: pa.Array) -> list[_Feature]:
        if column.kind == "identifier":
            return []
        name, part = column.name, aspect(column)
        gone = self._feature(
            f"{name} (missing)", column.kind, missing(values), ["present", "missing"]
        )
        if column.kind == "empty":
            return [gone]
        levels = level_names(column, values, self.max_levels)
        full = f"{name} ({part})" if part else name
        of = view(column, values, levels)
        return [self._feature(full, column.kind, of, levels), gone]

    def _feature(self, name: str, kind: str, values: FloatArray, levels: list[str]) -> _Feature:
        finite = values[np.isfinite(values)]
        options: dict[str, Any] = {"correction": None, "min_effect": self.min_effect}
        cls = LEVEL_TESTS[self.levels] if levels else NUMBER_TESTS[self.numbers]
        if levels:
            options["bins"] = None
        test = cls(**options).fit(finite) if len(finite) >= FEWEST else None
        kept = np.bincount(finite.astype(int), minlength=len(levels)) if levels else np.sort(finite)
        return _Feature(name, kind, kept.astype(float), levels, test)

    def _compare(
        self, column: ColumnProfile, feature: _Feature, values: pa.Array
    ) -> tuple[_Feature, Finding, str, Shares]:
        is_missing = feature.name == f"{column.name} (missing)"
        new = missing(values) if is_missing else view(column, values, feature.levels)
        new = new[np.isfinite(new)]
        finding = UNKNOWN
        if feature.test is not None and len(new) >= FEWEST:
            told = feature.test.test(new)
            finding = Finding(*(float(a[0]) for a in (told.statistic, told.p_value, told.effect)))
        if feature.levels:
            shares = level_shares(feature.levels, feature.values, new)
            return feature, finding, moved_levels(shares), shares
        change = moved_numbers(feature.values, new, column.stats.get("unit", ("", "")))
        return feature, finding, change, bins(feature.values, new)

    def _judged(self, found: list[tuple[_Feature, Finding, str, Shares]]) -> list[FeatureDrift]:
        verdict = judge(
            "", "", [f.name for f, *_ in found], [finding for _, finding, *_ in found],
            alpha=self.alpha, correction=self.correction, min_effect=self.min_effect,
        )  # fmt: skip
        out = []
        for j, (feature, finding, change, shares) in enumerate(found):
            test, tested = feature.test, finding is not UNKNOWN
            name, measure = (type(test).__name__, test.measure) if test and tested else ("none", "")
            numbers = (*finding[:2], float(verdict.adjusted[j]), finding.effect)
            numbers = numbers if tested else 4 * (float("nan"),)
            out.append(
                FeatureDrift(
                    feature.name, feature.kind, name, measure, *numbers,
                    bool(verdict.significant[j]), bool(verdict.material[j]),
                    bool(verdict.drifted[j]), tested, change, shares,
                )
            )  # fmt: skip
        return sorted(out, key=lambda f: (not f.drifted, not f.tested, -f.effect))

    def _test_joint(self, table: pa.Table, notes: list[str]) -> JointDrift | None:
        if self.joint_ is None:
            return None
        kept = {p.name: p for p in self.profiles_}
        if not set(self.joint_columns_) <= set(table.column_names):
            notes.append("the joint test needs every column of numbers")
            return None
        columns = [
            as_float(kept[name].typed(table[name].combine_chunks())[0])
            for name in self.joint_columns_
        ]
        return self.joint_.test((_complete(columns) - self.mean_) / self.scale_)


def _with_rows(table: pa.Table, what: str) -> pa.Table:
    if not table.num_rows:
        raise DataError(f"{what} holds no rows", remedy="give at least a few")
    return table


def _gone(column: ColumnProfile) -> FeatureDrift:
    """A column that the new data do not have: nothing of it stayed, and no chance is in that."""
    shares = Shares(None, ["there", "gone"], np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    return FeatureDrift(
        column.name, column.kind, "presence", "share that is gone", 1.0, 0.0, 0.0, 1.0, True, True,
        True, True, "the column is gone", shares,
    )  # fmt: skip


def _never_missing(found: tuple[_Feature, Finding, str, Shares]) -> bool:
    """Whether a feature only says that nothing is missing on either side."""
    feature, _, _, shares = found
    gone = shares.reference[1:] + shares.current[1:]
    return feature.levels == ["present", "missing"] and not gone.any()


def _complete(columns: list[FloatArray]) -> FloatArray:
    rows = np.column_stack(columns)
    return rows[np.isfinite(rows).all(axis=1)]
