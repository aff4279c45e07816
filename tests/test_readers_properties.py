"""Whatever a person writes to a file is a table or one clear error, and encodes to numbers."""

from __future__ import annotations

import csv
import datetime
import io
import json
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from awry.core.errors import DataError
from awry.data.encode import TableEncoder
from awry.data.parse import NA_WORDS
from awry.data.readers import open_source

quick = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)

WORDS = st.sampled_from(
    ["a", "Rome", "x y", "é", "日本", "yes", "no", "5 kg", "$3.50", "1,5", "0012"]
)
CELLS = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.floats().map(str),
    st.dates().map(str),
    st.datetimes().map(str),
    st.sampled_from([*NA_WORDS, "NULL", "inf", "-Infinity", "∞", "12:30", "31/12/2024", "1e999"]),
    WORDS,
    st.text(max_size=12),
    st.text(alphabet="\",;\t\n\r |\\'", max_size=6),
)
COLUMNS = st.one_of(CELLS.map(lambda one: st.just(one)), st.just(CELLS), st.just(WORDS)).flatmap(
    lambda cells: st.lists(cells, min_size=0, max_size=25)
)


@st.composite
def files(draw) -> bytes:
    """A table as a person may write it: some cells missing, some too many, some junk between."""
    columns = draw(st.lists(COLUMNS, min_size=1, max_size=5))
    rows = [list(row) for row in zip(*columns, strict=False)]
    if draw(st.booleans()):
        rows.insert(0, [draw(st.one_of(st.text(max_size=8), WORDS)) for _ in columns])
    for _ in range(draw(st.integers(0, 3))):
        if rows:
            row = rows[draw(st.integers(0, len(rows) - 1))]
            row[:] = draw(st.sampled_from([row[:-1], [*row, "more"], [], [*row, *row]]))
    out = io.StringIO()
    writer = csv.writer(
        out,
        delimiter=draw(st.sampled_from(",;\t|")),
        lineterminator=draw(st.sampled_from(["\n", "\r\n"])),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
    )
    writer.writerows(rows)
    text = out.getvalue()
    if draw(st.booleans()):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.text(alphabet='"\n,;x\x00', max_size=4)) + text[at:]
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252"]))
    return text.encode(encoding, "replace")


def _check(data: bytes, **options) -> pa.Table | None:
    """Read ``data``; None where it is an error, which must then be one line that tells."""
    try:
        source = open_source(io.BytesIO(data), **options)
        table = source.read()
    except DataError as error:
        said = str(error)
    else:
        said = None
    if said is not None:
        assert said
        assert "\n" not in said
        return None
    assert len(set(table.column_names)) == table.num_columns >= 1
    assert all(name for name in table.column_names)
    assert table.num_rows == source.rows_read
    for problem in source.problems:
        assert str(problem)
    return table


def _check_encoding(table: pa.Table) -> None:
    encoder = TableEncoder().fit(table)
    X = encoder.transform(table)
    assert X.shape == (table.num_rows, len(encoder.feature_names_))
    assert np.isfinite(X).all()
    assert len(encoder.feature_sources_) == X.shape[1]
    for row in range(0, table.num_rows, 4):
        np.testing.assert_array_equal(encoder.transform(table.slice(row, 4)), X[row : row + 4])
    assert not encoder.novelty(table).any()
    for profile in encoder.profiles_:
        assert profile.describe().startswith(profile.name)
        json.dumps(profile.to_dict(), allow_nan=False)
        json.dumps(encoder.typical(profile.name), allow_nan=False)
        assert encoder.show(profile.name, table[profile.name][0].as_py())


@quick
@given(files())
def test_any_table_a_person_writes_is_a_table_or_a_clear_error(data):
    table = _check(data)
    if table is not None and table.num_rows:
        _check_encoding(table)


@quick
@given(st.one_of(st.binary(max_size=300), st.text(max_size=200).map(str.encode)))
def test_any_bytes_are_a_table_or_a_clear_error(data):
    _check(data)
    _check(data, format="json")


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)


@quick
@given(st.lists(JSON, max_size=8), st.sampled_from(["lines", "array", "value"]), st.data())
def test_any_json_is_a_table_or_a_clear_error(values, shape, data):
    if shape == "lines":
        text = "\n".join(map(json.dumps, values))
    else:
        text = json.dumps(values if shape == "array" else values[:1] and values[0])
    if data.draw(st.booleans()):
        text = text[: data.draw(st.integers(0, len(text)))]
    table = _check(text.encode(), format="json")
    if table is not None and table.num_rows:
        _check_encoding(table)


def _plain_word(text: str) -> bool:
    return (
        text.strip() == text and text.lower() not in NA_WORDS and not any(c.isdigit() for c in text)
    )


SAFE = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp", "Nd", "Zs")),
    min_size=3,
).filter(lambda t: _plain_word(t) and t.lower() not in ("inf", "yes", "true", "false"))
TYPED = {
    "whole": st.integers(-(2**53), 2**53),
    "real": st.floats(allow_nan=False, allow_infinity=False),
    "word": SAFE,
    "moment": st.datetimes(datetime.datetime(1, 1, 1), datetime.datetime(9999, 1, 1)),
}


@quick
@given(st.integers(1, 30), st.sampled_from([",", ";", "\t", "|"]), st.data())
def test_clean_values_come_back(n, delimiter, data):
    columns = {
        f"{kind} column": data.draw(st.lists(values, min_size=n, max_size=n))
        for kind, values in TYPED.items()
    }
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow([c.isoformat(" ") if isinstance(c, datetime.datetime) else c for c in row])
    source = open_source(io.BytesIO(out.getvalue().encode()), batch_rows=7)
    found = source.read().to_pydict()
    assert not source.problems
    assert list(found) == list(columns)
    for name, expected in columns.items():
        assert found[name] == expected, name


@quick
@given(
    st.lists(
        st.one_of(st.none(), st.floats(), st.sampled_from([1e308, -1e308, 5e-324, 0.0, -0.0])),
        min_size=1,
        max_size=60,
    ),
    st.lists(st.floats(), min_size=1, max_size=20),
)
def test_any_numbers_encode_to_finite_ones_in_order(train, new):
    encoder = TableEncoder({"x": "number"}).fit({"x": pa.array(train, pa.float64())})
    X = encoder.transform({"x": pa.array(new, pa.float64())})
    assert np.isfinite(X).all()
    if X.shape[1] and encoder.feature_names_[0] == "x":
        known = [(v, z) for v, z in zip(new, X[:, 0], strict=True) if math.isfinite(v)]
        ordered = [z for _, z in sorted(known)]
        assert ordered == sorted(ordered)


@pytest.mark.parametrize("depth", [50, 5_000, 100_000])
def test_deep_json_is_no_traceback(depth):
    text = '{"a":' * depth + "1" + "}" * depth
    _check(text.encode())
    _check(("[" + text + "]").encode())
