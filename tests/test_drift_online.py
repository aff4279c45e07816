"""Detectors of drift along a stream: against slow twins, cut anyhow, and at work."""

from __future__ import annotations

import numpy as np
import pytest

import oracles_drift as oracles
from awry.drift.errors import DDM, EDDM, HDDMA, HDDMW, PageHinkley
from awry.drift.online import OnlineDrift
from awry.drift.windows import ADWIN, KSWIN, MMDEW, critical_distance

ALL = [DDM(), EDDM(), HDDMA(), HDDMW(), PageHinkley(threshold=15), ADWIN(), KSWIN(), MMDEW()]
IDS = [type(d).__name__ for d in ALL]


def errors(
    seed: int = 0, rates: tuple[float, ...] = (0.1, 0.4, 0.05, 0.5), n: int = 700
) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.random(n) < rate for rate in rates]).astype(float)


def stream(detector: OnlineDrift, x: np.ndarray) -> np.ndarray:
    return np.column_stack([x, 1 - x, x]) if detector.multivariate else x


@pytest.mark.parametrize(
    ("detector", "oracle"),
    [
        (PageHinkley(threshold=15, alpha=1.0), lambda x: oracles.page_hinkley(x, 15)),
        (HDDMA(), oracles.hddm_a),
        (HDDMW(), oracles.hddm_w),
        (ADWIN(), oracles.adwin),
    ],
    ids=["PageHinkley", "HDDMA", "HDDMW", "ADWIN"],
)
def test_drifts_are_where_the_slow_twin_sees_them(detector: OnlineDrift, oracle) -> None:  # type: ignore[no-untyped-def]
    x = errors(n=400)
    found = detector.reset().update_many(x).tolist()
    assert found == oracle(x)
    assert found


@pytest.mark.parametrize(("detector", "oracle"), [(DDM(), oracles.ddm), (EDDM(), oracles.eddm)])
def test_warnings_too_are_where_the_slow_twin_sees_them(detector: OnlineDrift, oracle) -> None:  # type: ignore[no-untyped-def]
    x = errors()
    found = detector.reset().statuses(x)
    assert found.tolist() == oracle(x)
    assert set(found) == {0, 1, 2}


@pytest.mark.parametrize("detector", ALL, ids=IDS)
def test_how_the_stream_is_cut_makes_no_difference(detector: OnlineDrift) -> None:
    x = stream(detector, errors(1, n=300))
    whole = detector.reset().statuses(x)
    detector.reset()
    ones = [detector.update(row) for row in x[:150]]
    parts = [detector.statuses(part) for part in np.split(x[150:], [1, 40, 333])]
    np.testing.assert_array_equal(np.concatenate(parts), whole[150:])
    np.testing.assert_array_equal(ones, whole[:150] == 2)
    assert detector.n_seen == len(x)


@pytest.mark.parametrize("detector", ALL, ids=IDS)
def test_a_sudden_drift_is_found_soon_and_memory_stays(detector: OnlineDrift) -> None:
    x = stream(detector, errors(2, (0.1, 0.7), 1500))
    detector.reset().update_many(x[:1500])
    held = sum(np.size(part) for part in detector.state_)
    found = detector.update_many(x[1500:])
    assert found[0] < 150
    assert sum(np.size(part) for part in detector.state_) == held


@pytest.mark.parametrize(
    ("detector", "most"),
    [(DDM(), 12), (HDDMA(), 2), (HDDMW(), 14), (PageHinkley(), 3), (ADWIN(), 1),
     (KSWIN(alpha=1e-5), 6), (MMDEW(), 6)],
    ids=lambda v: type(v).__name__ if isinstance(v, OnlineDrift) else str(v),
)  # fmt: skip
def test_false_alarms_on_a_steady_stream(detector: OnlineDrift, most: int) -> None:
    """At most so many in 20,000 errors at 20 %; EDDM, which has no level, is not asked."""
    x = errors(3, (0.2,), 20_000)
    assert len(detector.reset().update_many(stream(detector, x))) <= most


def test_hddm_of_two_sides_sees_a_fall_and_that_of_one_does_not() -> None:
    x = errors(4, (0.6, 0.1), 1000)
    for cls in (HDDMA, HDDMW):
        falls = cls(two_sided=True).update_many(x)
        assert ((falls >= 1000) & (falls < 1200)).any()
    assert not (HDDMA().update_many(x) >= 1000).any()


def test_adwin_keeps_the_window_of_the_new_mean() -> None:
    detector = ADWIN()
    x = errors(5, (0.1, 0.6), 2000)
    detector.update_many(x)
    assert detector.mean_ == pytest.approx(x[-detector.width_ :].mean())
    assert 1500 < detector.width_ <= 2100
    assert abs(detector.mean_ - 0.6) < 0.05


def test_kswin_sees_a_change_of_spread_that_means_do_not_show() -> None:
    rng = np.random.default_rng(0)
    x = np.r_[rng.normal(size=600), rng.normal(0, 6, size=400)]
    assert (KSWIN(alpha=1e-4, window=200, recent=100).update_many(x) > 600).any()
    assert not len(PageHinkley(threshold=300).update_many(x))


def test_critical_distance_has_its_level() -> None:
    from scipy import stats

    for n, alpha in ((30, 0.005), (20, 0.05)):
        d = critical_distance(n, alpha)
        shift = np.arange(n, dtype=float)
        k = round(d * n)
        apart, less = (stats.ks_2samp(shift, shift + j - 0.5).pvalue for j in (k, k - 1))
        assert apart <= alpha < less


def test_mmdew_keeps_exact_sums_while_buckets_hold_all_their_rows() -> None:
    """Up to two rows no row is forgotten, so sums over all pairs are the kernel's."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3, 2))
    detector = MMDEW(bandwidth=1.0, alpha=1e-9)
    detector.update_many(rows)
    used, sizes, kept, _, sums, pairs, _ = detector.state_[3:]
    assert used[0] == 2
    assert sizes[:2].tolist() == [2, 1]
    kernel = np.exp(-((rows[:, None] - rows) ** 2).sum(axis=2) / 2)
    assert sums[0, 0] == pytest.approx(kernel[:2, :2].sum())
    assert pairs[0, 0] == 4
    assert kept[:2].tolist() == [1, 1]  # log2 of 2 rows
    assert min(abs(sums[1, 0] - kernel[2, i]) for i in range(2)) < 1e-12


def test_mmdew_forgets_what_came_before_the_drift() -> None:
    rng = np.random.default_rng(0)
    rows = np.vstack([rng.normal(size=(1000, 4)), rng.normal(2, 1, size=(600, 4))])
    detector = MMDEW()
    found = detector.update_many(rows)
    assert 1000 < found[0] < 1100
    used, sizes = detector.state_[3], detector.state_[4]
    assert sizes[: used[0]].sum() < 800


@pytest.mark.parametrize("detector", ALL, ids=IDS)
def test_what_is_no_stream_is_refused(detector: OnlineDrift) -> None:
    name = type(detector).__name__
    detector.reset()
    with pytest.raises(ValueError, match=f"{name}: values must be finite"):
        detector.update_many(stream(detector, np.array([0.0, np.nan])))
    with pytest.raises(ValueError, match=f"{name}: values must have the shape"):
        detector.update_many(np.zeros((2, 2, 2)))
    if detector.span:
        with pytest.raises(ValueError, match="from 0 to 1"):
            detector.update(3.0)
    bad = {"min_samples": -1} if "min_samples" in detector.get_params() else None
    if bad:
        with pytest.raises(ValueError, match="min_samples"):
            type(detector)(**bad).update(0.0)


@pytest.mark.parametrize(
    ("mine", "peer"),
    [
        (PageHinkley(threshold=20), "PageHinkley"),
        (DDM(), "DDM"), (EDDM(), "EDDM"), (HDDMA(), "HDDMA"), (HDDMW(), "HDDMW"),
    ],
    ids=["PageHinkley", "DDM", "EDDM", "HDDMA", "HDDMW"],
)  # fmt: skip
def test_drifts_are_where_river_sees_them(mine: OnlineDrift, peer: str) -> None:
    drift = pytest.importorskip("river.drift")
    theirs = (
        drift.PageHinkley(threshold=20) if peer == "PageHinkley" else getattr(drift.binary, peer)()
    )
    x = errors(6)
    seen = []
    for value in x.tolist():
        theirs.update(int(value))
        seen.append(theirs.drift_detected)
    assert mine.reset().update_many(x).tolist() == np.flatnonzero(seen).tolist()


def test_mcd_dd_finds_the_stretch_in_which_the_change_lies_however_the_stream_is_cut() -> None:
    pytest.importorskip("torch")
    from awry.drift.mcd_dd import MCDDD

    rng = np.random.default_rng(0)
    rows = np.vstack([rng.normal(size=(850, 3)), rng.normal(3, 1, size=(200, 3))])
    detector = MCDDD(window=500, quantile=0.999)
    whole = detector.update_many(rows)
    assert whole.tolist()[0] in (899, 949)
    assert (whole % 50 == 49).all()
    cut = np.concatenate([detector.reset().statuses(rows[:577]), detector.statuses(rows[577:])])
    assert np.flatnonzero(cut == 2).tolist() == whole.tolist()
    with pytest.raises(ValueError, match="multiple of n_stretches"):
        MCDDD(window=99).update_many(rows)
