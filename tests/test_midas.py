"""MIDAS, MIDAS-R and MIDAS-F against the authors' algorithm with exact counts."""

from __future__ import annotations

import numpy as np
import pytest

from awry.checks.common import planted_edges
from awry.core.errors import DataError
from awry.detectors.stream.midas import MIDAS
from awry.detectors.stream.midas_f import MIDASF
from awry.detectors.stream.midas_r import MIDASR
from oracles_stream import midas_scores

EDGES, _ = planted_edges()
#: So many buckets that no two of the few keys meet in both rows.
WIDE = {"n_hashes": 2, "n_buckets": 1 << 18, "random_state": 0}
CASES = [
    (MIDAS(**WIDE), {"relational": False, "factor": 0.0}),
    (MIDASR(factor=0.6, **WIDE), {"relational": True, "factor": 0.6}),
    (MIDASF(threshold=30.0, **WIDE), {"relational": True, "factor": 0.5, "threshold": 30.0}),
]


@pytest.mark.parametrize(("detector", "settings"), CASES)
def test_scores_are_those_of_the_authors(detector, settings) -> None:
    edges = EDGES.astype(int) + np.array([0, 0, 1])
    expected = midas_scores(edges.tolist(), **settings)
    np.testing.assert_allclose(detector.fit(EDGES).decision_scores_, expected, rtol=1e-9)
    assert expected.max() > 100
    # Scored by itself the next edge has the score it gets when learnt, in this tick or a later one.
    for later in (0, 1, 5):
        edge = [3, 7, EDGES[-1, 2] + later]
        expected = midas_scores([*edges.tolist(), [3, 7, edges[-1, 2] + later]], **settings)[-1]
        assert detector.score_one(edge) == pytest.approx(expected, rel=1e-9)


def test_few_buckets_count_too_much_never_too_little() -> None:
    narrow = MIDASR(n_buckets=64, random_state=0).fit(EDGES).state_
    for node in range(40):
        count = (EDGES[:, 0] == node).sum()
        rows = [narrow.total[1, row] for row in range(2)]
        assert max(r.max() for r in rows) >= count
    np.testing.assert_allclose(narrow.total.sum(axis=2), len(EDGES))


def test_a_filter_keeps_a_long_attack_from_teaching() -> None:
    calm = np.column_stack([np.tile(np.arange(10), 400), np.tile(np.arange(5), 800),
                            np.repeat(np.arange(200), 20)])  # fmt: skip
    attack = np.column_stack([np.full(6000, 3), np.full(6000, 3), 200 + np.arange(6000) // 300])
    scores = {cls: cls(random_state=0).fit(calm).update(attack)[-1] for cls in (MIDASR, MIDASF)}
    assert scores[MIDASF] > 5 * scores[MIDASR]


def test_explanations_say_whether_source_target_or_edge_is_odd() -> None:
    rng = np.random.default_rng(0)
    calm = np.column_stack([rng.integers(0, 30, (3000, 2)), np.repeat(np.arange(100), 30)])
    fan = np.column_stack([np.full(60, 4), np.arange(60) % 30, np.full(60, 99)])
    detector = MIDASR(random_state=0).fit(calm)
    detector.update(fan)
    assert detector.explain([[4, 9, 99]]).values[0].argmax() == 0
    detector = MIDASR(random_state=0).fit(calm)
    detector.update(fan[:, [1, 0, 2]])
    assert detector.explain([[9, 4, 99]]).values[0].argmax() == 1


def test_late_edges_count_in_the_present_tick() -> None:
    late = EDGES.copy()
    late[-3:, 2] -= 2
    one, other = (MIDASR(random_state=0).fit(Z).decision_scores_ for Z in (EDGES, late))
    np.testing.assert_array_equal(one, other)


def test_what_is_no_edge_is_refused() -> None:
    bad = EDGES.copy()
    bad[4, 1] = 2.5
    with pytest.raises(DataError, match=r"whole numbers.*got 2\.5 at row 4, column 1"):
        MIDAS().fit(bad)
    with pytest.raises(DataError, match="3 columns, source, target and time, got 4"):
        MIDAS().fit(np.ones((9, 4)))
