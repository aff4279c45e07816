"""GESD: Rosner's example, the level under no outliers, masking undone."""

from __future__ import annotations

import numpy as np
import pytest

from awry.core.params import ParameterError
from awry.core.threshold import Fixed
from awry.detectors.tabular.gesd import GESD
from test_kernels_columns import ROSNER

CUT = Fixed(1)


def test_rosners_example():
    detector = GESD(max_outliers=10, contamination=CUT).fit(ROSNER[:, None])
    published = [3.158, 3.151, 3.143, 3.136, 3.128, 3.120, 3.111, 3.103, 3.094, 3.085]
    np.testing.assert_allclose(detector.critical_[:10], published, atol=1.1e-3)
    # Neither the first nor the second removal is significant, the third is: three outliers.
    assert detector.n_outliers_.tolist() == [3]
    assert np.flatnonzero(detector.labels_).tolist() == [51, 52, 53]


def test_a_cluster_of_outliers_on_both_sides_does_not_mask_itself():
    rng = np.random.default_rng(0)
    odd = [9.0, 9.0, 9.1, -8.0, -8.2]
    X = np.column_stack([np.append(rng.normal(size=95), odd), rng.normal(size=100)])
    detector = GESD(contamination=CUT).fit(X)
    assert detector.n_outliers_.tolist() == [5, 0]
    assert np.flatnonzero(detector.labels_).tolist() == list(range(95, 100))
    np.testing.assert_allclose(detector.low_[0], X[:95, 0].mean())


def test_flags_exactly_the_outliers_found():
    rng = np.random.default_rng(1)
    for share in (0.02, 0.05, 0.1):
        x = rng.standard_t(2, size=(400, 1))
        detector = GESD(max_outliers=share, contamination=CUT).fit(x)
        found = detector.n_outliers_[0]
        if found < int(share * 400):  # otherwise the limit cut the test short
            assert detector.labels_.sum() == found


def test_level_of_the_test():
    rng = np.random.default_rng(0)
    detector = GESD(max_outliers=5, alpha=0.2, contamination=CUT)
    flagged = [detector.fit_predict(rng.normal(size=(40, 2))).any() for _ in range(300)]
    assert abs(np.mean(flagged) - 0.19) < 0.08


def test_max_outliers_as_number_and_share_agree():
    x = np.random.default_rng(0).normal(size=(50, 2))
    by_share = GESD(max_outliers=0.1).fit(x)
    assert len(by_share.critical_) == 6
    np.testing.assert_array_equal(by_share.critical_, GESD(max_outliers=5).fit(x).critical_)
    with pytest.raises(ParameterError, match="max_outliers"):
        GESD(max_outliers=0.7).fit(x)
