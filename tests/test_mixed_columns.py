"""Tables of numbers and categories in networks: embeddings, losses per kind, levels never seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

torch = pytest.importorskip("torch")

import awry  # noqa: E402
from awry import io  # noqa: E402
from awry.core.params import ParameterError  # noqa: E402
from awry.detectors import ECOD  # noqa: E402
from awry.detectors.tabular.autoencoder import AutoEncoder  # noqa: E402
from awry.detectors.tabular.vae import VAE  # noqa: E402
from awry.nn.mixed import MixedColumns  # noqa: E402

#: Country decides currency, both decide the size of the amount; a flag and noise beside them.
CODES = [7, 1, 4, 9]
BRIEF = {"epochs": 40, "lr": 1e-2, "batch_size": 64, "random_state": 0}


def table(n=500, seed=0):
    rng = np.random.default_rng(seed)
    country = rng.integers(0, 4, n)
    flag = rng.random(n) < 0.3
    amount = country * 2.0 + rng.normal(0, 0.3, n)
    return np.column_stack([np.take(CODES, country), amount, country + 20, flag]).astype(float)


X = table()
#: Each country and each currency is as common as before, but they do not belong together.
ODD = table(60, seed=1)
ODD[:, 2] = 20 + (ODD[:, 2] - 20 + 1 + np.arange(60) % 3) % 4
NEW = table(300, seed=2)


def auc(detector):
    scores = np.concatenate([detector.decision_function(NEW), detector.decision_function(ODD)])
    return roc_auc_score(np.repeat([0, 1], [len(NEW), len(ODD)]), scores)


@pytest.fixture(scope="module", params=[AutoEncoder, VAE])
def detector(request):
    own = {"latent": 3} if request.param is AutoEncoder else {"latent": 3, "warm_up": 0.5}
    return request.param(categories=[0, 2], **own, **BRIEF).fit(X)


def test_an_odd_pair_of_common_levels_is_found_and_not_by_columns_alone(detector):
    assert auc(detector) > 0.97
    assert auc(ECOD().fit(X)) < 0.7


def test_contributions_sum_to_the_score_and_point_at_the_odd_pair(detector):
    why = detector.explain(ODD)
    np.testing.assert_allclose(why.base + why.values.sum(axis=1), why.total, rtol=1e-9)
    rest = NEW[:60]
    rise = why.values.mean(axis=0) - detector.explain(rest).values.mean(axis=0)
    assert rise[[0, 2]].sum() > 3 * rise[3]


def test_what_the_codes_are_makes_no_difference(detector):
    """They are names: others in their place, in another order, give the same scores."""
    swapped = {7: 4, 1: 9, 4: 7, 9: 1}
    other = X.copy()
    other[:, 0] = [swapped[code] for code in X[:, 0]]
    again = type(detector)(**detector.get_params()).fit(other)
    spread = np.std(detector.decision_scores_)
    apart = np.abs(np.median(again.decision_scores_) - np.median(detector.decision_scores_))
    assert apart < spread
    moved = ODD.copy()
    moved[:, 0] = [swapped[code] for code in ODD[:, 0]]
    usual = np.quantile(again.decision_scores_, 0.9)
    assert (again.decision_function(moved) > usual).mean() > 0.8


def test_levels_never_seen_share_one_improbable_bucket(detector):
    rows = np.repeat(NEW[:50], 2, axis=0)
    rows[::2, 0], rows[1::2, 0] = 2.0, 77.0
    scores = detector.decision_function(rows)
    np.testing.assert_array_equal(scores[::2], scores[1::2])
    assert (scores[::2] > detector.decision_function(NEW[:50])).all()
    assert np.median(scores) > np.quantile(detector.decision_scores_, 0.98)


def test_saved_and_exported_it_scores_the_same(detector, tmp_path):
    again = io.loads(io.dumps(detector))
    assert np.array_equal(again.decision_function(ODD), detector.decision_function(ODD))
    pytest.importorskip("onnxscript")
    rows = np.vstack([ODD, NEW[:20]])
    rows[0, 0] = 5.0
    assert detector.to_onnx(tmp_path / "m.onnx", rows=rows)["difference"] < 1e-4


def test_columns_can_be_named_and_wrong_names_are_told():
    frame = pd.DataFrame(X, columns=["country", "amount", "currency", "flag"])
    brief = {**BRIEF, "epochs": 1}
    named = VAE(categories=["currency", "country"], **brief).fit(frame)
    placed = VAE(categories=[0, 2], **brief).fit(X)
    assert named.categories_.tolist() == [0, 2]
    np.testing.assert_allclose(named.decision_scores_, placed.decision_scores_, rtol=1e-5)
    for wrong, data in ((["city"], frame), ([4], X), (["country"], X)):
        with pytest.raises(ParameterError, match="categories must name columns"):
            VAE(categories=wrong, **brief).fit(data)
    with pytest.raises(ValueError, match="whole numbers"):
        AutoEncoder(categories=[1], **brief).fit(X)


def test_without_categories_nothing_changes():
    for kind in (AutoEncoder, VAE):
        brief = {**BRIEF, "epochs": 2}
        none, empty = (kind(categories=c, **brief).fit(X) for c in (None, []))
        assert np.array_equal(none.decision_scores_, empty.decision_scores_)
        assert not any("embedding" in name for name in none.weights_)


# -- from a file ----------------------------------------------------------------------------------


def frame(rows):
    countries, currencies = (
        np.array(["fr", "us", "jp", "uk"]),
        np.array(["eur", "usd", "jpy", "gbp"]),
    )
    at = np.array([CODES.index(code) for code in rows[:, 0]])
    return pd.DataFrame(
        {
            "country": countries[at],
            "amount": rows[:, 1],
            "currency": currencies[(rows[:, 2] - 20).astype(int)],
            "member": np.where(rows[:, 3] == 1, "yes", "no"),
        }
    )


def test_a_file_with_categories_reaches_the_embeddings(tmp_path):
    data = frame(np.vstack([X, ODD[:5]]))
    data.to_csv(tmp_path / "mixed.csv", index=False)
    params = {k: v for k, v in BRIEF.items() if k != "random_state"}
    result = awry.detect(tmp_path / "mixed.csv", detector="vae", params={**params, "latent": 3})
    model = result.model
    assert model.detector_.categories_.tolist() == model.encoder_.code_columns_
    assert {model.encoder_.feature_sources_[i] for i in model.encoder_.code_columns_} == {
        "country", "currency", "member",
    }  # fmt: skip
    assert np.median(result.scores[500:]) > np.quantile(result.scores[:500], 0.98)
    top = [{reason.column for reason in row[:1]} for row in model.reasons(result.table)[500:]]
    assert set.union(*top) <= {"country", "currency", "amount"}
    # Few rows take another way through the encoder, and end the same.
    few = result.table.slice(495, 10)
    np.testing.assert_allclose(model.score(few), result.scores[495:505], rtol=1e-7)
    again = io.loads(io.dumps(model))
    assert np.array_equal(again.score(few), model.score(few))


def test_other_detectors_and_contexts_get_categories_as_before():
    data = frame(X)
    params = {**BRIEF, "epochs": 1}
    del params["random_state"]
    plain = awry.detect(data, detector="ecod").model
    assert plain.encoder_.code_columns_ == []
    given = awry.detect(data, detector="vae", params={**params, "categories": []}).model
    assert given.encoder_.feature_names_ == plain.encoder_.feature_names_
    within = awry.detect(data, detector="vae", params=params, context=["country"]).model
    assert within.encoder_.code_columns_ == []
    apart = awry.detect(data, detector="vae", params=params, by=["member"]).model
    assert apart.detector_.categories_.tolist() == apart.encoder_.code_columns_ != []


# -- the layers -----------------------------------------------------------------------------------


def test_embeddings_have_the_width_of_their_levels():
    columns = MixedColumns(4, {1: range(5), 3: range(400)})
    assert [e.out_features for e in columns.embeddings] == [3, 50]
    x = torch.tensor([[0.5, 2.0, -1.0, 399.0], [0.1, 8.0, 0.2, 1.0]])
    taken = columns.embed(x)
    assert taken.shape == (2, columns.width) == (2, 2 + 3 + 50)
    torch.testing.assert_close(taken[0, :2], torch.tensor([0.5, -1.0]))
    torch.testing.assert_close(taken[0, 2:5], columns.embeddings[0].weight[:, 2])
    assert (taken[1, 2:5] == 0).all(), "a level never seen says nothing"


def test_cross_entropies_are_those_of_the_levels():
    columns = MixedColumns(3, {0: [3, 5], 2: [0, 1, 2]})
    logits = torch.randn(4, columns.n_logits)
    x = torch.tensor([[3.0, 9.0, 0.0], [5.0, 9.0, 2.0], [4.0, 9.0, 1.0], [3.0, 9.0, 8.0]])
    found = columns.cross_entropy(x, logits)
    first, second = torch.tensor([0, 1, 2, 0]), torch.tensor([0, 2, 1, 3])
    torch.testing.assert_close(
        found[:, 0], torch.nn.functional.cross_entropy(logits[:, :3], first, reduction="none")
    )
    torch.testing.assert_close(
        found[:, 2], torch.nn.functional.cross_entropy(logits[:, 3:], second, reduction="none")
    )
    assert (found[:, 1] == 0).all()
