"""Grubbs' test: the NIST handbook's example, the level under no outliers, masking."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from awry.core.threshold import Fixed
from awry.detectors.tabular.grubbs import Grubbs

#: NIST/SEMATECH handbook, section 1.3.5.17.1.
NIST = np.array([199.31, 199.53, 200.19, 200.82, 201.92, 201.95, 202.18, 245.57])[:, None]


def test_nist_example():
    # The handbook tests one side: its critical value at 0.05 is the two-sided one at 0.1.
    detector = Grubbs(alpha=0.1, contamination=Fixed(1)).fit(NIST)
    assert detector.statistic_[0] == pytest.approx(2.4687, abs=1e-4)
    assert detector.critical_ == pytest.approx(2.032, abs=5e-4)
    assert detector.labels_.tolist() == [0] * 7 + [1]
    assert detector.decision_scores_[-1] == pytest.approx(2.4687 / 2.032, abs=1e-3)


def test_the_p_value_is_the_level_at_which_the_statistic_is_critical():
    x = np.random.default_rng(0).normal(size=(40, 3))
    detector = Grubbs().fit(x)
    for statistic, p in zip(detector.statistic_, detector.pvalue_, strict=True):
        if p < 1:
            square = t.isf(p / 80, 38) ** 2
            assert 39 / np.sqrt(40) * np.sqrt(square / (38 + square)) == pytest.approx(statistic)


def test_level_of_the_test_over_several_columns():
    rng = np.random.default_rng(0)
    detector = Grubbs(alpha=0.2, contamination=Fixed(1))
    flagged = [detector.fit_predict(rng.normal(size=(30, 4))).any() for _ in range(400)]
    # 0.2 shared among independent columns rejects 1 - 0.95^4 = 0.185 of tables; 3.5 s is 0.07.
    assert abs(np.mean(flagged) - 0.185) < 0.07


def test_two_outliers_mask_each_other():
    x = np.append(np.random.default_rng(0).normal(size=8), [50.0, 50.0])[:, None]
    assert Grubbs(contamination=Fixed(1)).fit(x).labels_.sum() == 0
