"""Detectors on windows: their memory, their parameters and what they are made of."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from awry.core import registry
from awry.core.windows import spread, windows
from awry.detectors import ECOD
from awry.detectors.series import _windows
from awry.detectors.series.sub_pca import SubPCA
from awry.detectors.series.windowed import Windowed


def _waves(n=1000):
    rng = np.random.default_rng(0)
    return np.sin(np.arange(n) / 5) + rng.normal(scale=0.1, size=n)


def test_scores_are_those_of_the_table_detector_on_the_windows():
    x = _waves()
    model = SubPCA(window=20).fit(x)
    rows = windows(x[:, None], 20).reshape(-1, 20)
    expected = spread(registry.create("pca").fit(rows).decision_scores_, len(x), 20)
    np.testing.assert_allclose(model.decision_scores_, expected, rtol=1e-9)


def test_parts_change_no_score_and_bound_the_table(monkeypatch):
    x = _waves()
    whole = Windowed("ecod", window=20).fit(x)
    expected = whole.decision_function(x)
    sizes = []
    inner = _windows.WindowDetector._rows
    monkeypatch.setattr(
        _windows.WindowDetector, "_rows",
        lambda self, values, first: sizes.append(len(first)) or inner(self, values, first),
    )  # fmt: skip
    monkeypatch.setattr(_windows, "SCORE_CELLS", 20 * 37)
    np.testing.assert_allclose(whole.decision_function(x), expected, rtol=1e-12)
    assert max(sizes) == 37
    monkeypatch.setattr(_windows, "FIT_CELLS", 20 * 100)
    sizes.clear()
    Windowed("ecod", window=20).fit(x)
    assert sizes[0] <= 100


@pytest.mark.parametrize("name", ["sub_knn", "sub_lof", "sub_pca", "sub_isolation_forest"])
def test_normalised_windows_know_shape_alone(name):
    x = _waves()
    params = {"random_state": 0} if name == "sub_isolation_forest" else {}
    model = registry.create(name, window=31, normalize=True, **params)
    scores, moved = (model.fit(z).decision_scores_.copy() for z in (x, x * 7.0 - 3.0))
    np.testing.assert_allclose(moved, scores, rtol=1e-6, atol=1e-9)


def test_a_transductive_detector_is_refused():
    class HereOnly(ECOD):
        card = dataclasses.replace(ECOD.card, name="here_only", inductive=False, aliases=())

    try:
        with pytest.raises(ValueError, match="inductive"):
            Windowed(HereOnly()).fit(_waves())
    finally:
        registry._by_name.pop("here_only")
