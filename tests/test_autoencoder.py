"""Autoencoder: reconstruction errors, curved relations, persistence, word on too few rows."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

torch = pytest.importorskip("torch")

from awry import io  # noqa: E402
from awry.core.errors import MissingDependencyError  # noqa: E402
from awry.core.params import ParameterError  # noqa: E402
from awry.detectors.deep import FewRowsWarning  # noqa: E402
from awry.detectors.tabular.autoencoder import AutoEncoder  # noqa: E402

RNG = np.random.default_rng(0)
ANGLE = RNG.uniform(0, 2 * np.pi, 600)
#: A ring, its radius and noise: its middle is what linear methods take for most normal.
RING = np.column_stack([np.cos(ANGLE), np.sin(ANGLE), np.cos(2 * ANGLE), np.sin(2 * ANGLE)])
RING += RNG.normal(0, 0.03, RING.shape)
MIDDLE = RNG.normal(0, 0.1, (30, 4))


@pytest.fixture(scope="module")
def fitted():
    return AutoEncoder(random_state=0, epochs=60, lr=5e-3).fit(RING)


def test_it_finds_what_breaks_a_curved_relation(fitted):
    y = np.repeat([0, 1], [len(RING), len(MIDDLE)])
    assert roc_auc_score(y, fitted.decision_function(np.vstack([RING, MIDDLE]))) > 0.95


def test_the_score_is_the_squared_error_and_the_contributions_its_terms(fitted):
    z = torch.tensor((MIDDLE - RING.mean(axis=0)) / RING.std(axis=0))
    with torch.no_grad():
        errors = (z - fitted.network_.decoder(fitted.network_.encoder(z))).numpy() ** 2
    why = fitted.explain(MIDDLE)
    np.testing.assert_allclose(fitted.decision_function(MIDDLE), errors.sum(axis=1))
    np.testing.assert_allclose(why.values, errors)
    assert not why.base.any()


def test_a_loaded_model_scores_bit_for_bit_the_same(fitted, tmp_path):
    fitted.save(tmp_path / "m.awry")
    again = io.load(tmp_path / "m.awry")
    assert "_network" not in vars(again)
    assert np.array_equal(again.decision_function(MIDDLE), fitted.decision_function(MIDDLE))
    assert again.history_ == fitted.history_


def test_units_of_the_columns_do_not_matter(fitted):
    scaled = clone(fitted).fit(RING * [1e-6, 1, 1e3, 1e9] + [0, 5, 0, 1e8])
    np.testing.assert_allclose(scaled.decision_scores_, fitted.decision_scores_, rtol=1e-2)


def test_settings_reach_the_network():
    detector = AutoEncoder(hidden=[7, 5], latent=2, dropout=0.5, epochs=1, random_state=0)
    layers = [*detector.fit(RING).network_.encoder]
    assert [m.out_features for m in layers if isinstance(m, torch.nn.Linear)] == [7, 5, 2]
    assert sum(isinstance(m, torch.nn.Dropout) for m in layers) == 2
    assert sum(isinstance(m, torch.nn.BatchNorm1d) for m in layers) == 2
    assert len(detector.history_["loss"]) == 1
    with pytest.raises(ParameterError, match="AutoEncoder: patience must be an integer >= 1"):
        AutoEncoder(patience=0).fit(RING)
    with pytest.raises(TypeError, match="epoch"):
        AutoEncoder(epoch=3)


def test_parameters_of_all_networks_are_spelt_out():
    params = AutoEncoder().get_params()
    assert {"latent", "hidden", "epochs", "device", "contamination"} <= set(params)
    assert "epochs : int or None, default=None" in (AutoEncoder.__doc__ or "")
    assert clone(AutoEncoder(epochs=3, latent=2)).get_params()["epochs"] == 3


def test_too_few_rows_are_warned_of():
    with pytest.warns(FewRowsWarning, match="60 rows of 4 columns are few for a network"):
        AutoEncoder(epochs=1, random_state=0).fit(RING[:60])
    AutoEncoder(epochs=1, random_state=0).fit(RING[:100])


def test_a_killed_fit_goes_on_from_its_checkpoint(tmp_path, monkeypatch):
    from awry.nn.autoencoder import AutoEncoderNetwork

    path = str(tmp_path / "fit.ckpt")
    whole = AutoEncoder(random_state=0, epochs=6).fit(RING)

    def stop(self, epoch, epochs):
        if epoch == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(AutoEncoderNetwork, "on_epoch", stop)
        with pytest.raises(KeyboardInterrupt):
            AutoEncoder(random_state=0, epochs=6, checkpoint=path).fit(RING)
    resumed = AutoEncoder(random_state=0, epochs=6, checkpoint=path).fit(RING)
    assert np.array_equal(resumed.decision_scores_, whole.decision_scores_)


def test_without_torch_all_works_but_networks_and_they_say_what_to_install():
    script = textwrap.dedent("""
        import sys
        class Missing:
            def find_spec(self, name, *rest):
                if name.split(".")[0] == "torch":
                    raise ImportError(name)
        sys.meta_path.insert(0, Missing())
        from awry.core import registry
        from awry.detectors import AutoEncoder
        import numpy as np
        assert registry.get("autoencoder").card.extra == "deep"
        registry.create("ecod").fit(np.eye(9))
        try:
            AutoEncoder().fit(np.ones((200, 2)))
        except ImportError as error:
            print(type(error).__name__, error)
    """)
    command = [sys.executable, "-c", script]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert out.strip() == (
        f"{MissingDependencyError.__name__} AutoEncoder needs torch: pip install 'awry[deep]'"
    )
