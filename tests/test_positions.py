"""Positions: waves, learnt numbers, and turns that leave how far apart two steps are."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from awry.detectors.series.anomaly_transformer import AnomalyTransformer  # noqa: E402
from awry.detectors.series.tranad import TranAD  # noqa: E402
from awry.nn.attention import EncoderLayer, MultiHead  # noqa: E402
from awry.nn.positions import Positions, Rotary, rotary_steps  # noqa: E402

KINDS = ("sinusoidal", "learnable", "rotary")


@pytest.mark.parametrize("width", [8, 7, 2])
def test_products_of_turned_vectors_depend_on_their_distance_alone(width):
    turn = Rotary(12, width).double()
    q, k = torch.randn(2, 1, width).double().expand(2, 12, width)
    products = (turn(q) @ turn(k).T).numpy()
    for apart in range(-11, 12):
        np.testing.assert_allclose(np.ptp(np.diagonal(products, apart)), 0.0, atol=1e-5)
    assert np.ptp(products[0]) > 0.01
    torch.testing.assert_close(turn(q).norm(dim=1), q.norm(dim=1))


def test_attention_turns_queries_and_keys():
    attention = MultiHead(8, 2, rotary=10).double()
    x = torch.randn(1, 1, 8).double().expand(1, 10, 8)
    weights = attention(x, x)[1][0].log()
    steps = (weights[:, :, 1:] - weights[:, :, :-1]).detach().numpy()
    for head in steps:
        for apart in range(-8, 8):
            np.testing.assert_allclose(np.ptp(np.diagonal(head, apart)), 0.0, atol=1e-5)
    assert np.ptp(steps) > 1e-3
    plain = MultiHead(8, 2).double()(x, x)[1]
    torch.testing.assert_close(plain, torch.full_like(plain, 0.1))


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_the_steps_matters_with_each_kind_and_not_without(kind):
    x = torch.randn(2, 6, 8)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    layer = EncoderLayer(8, 2, 16, 0.0, rotary=rotary_steps(kind, 6))
    where = Positions(kind, 6, 8)
    assert not torch.allclose(layer(where(x))[:, order], layer(where(x[:, order])), atol=1e-6)
    blind = EncoderLayer(8, 2, 16, 0.0)
    torch.testing.assert_close(blind(x)[:, order], blind(x[:, order]))
    assert len(list(where.parameters())) == (kind == "learnable")
    assert len(where.state_dict()) == (kind == "learnable")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("cls", "style"),
    [(TranAD, {"window": 8}), (AnomalyTransformer, {"window": 12, "hidden": [8], "n_heads": 2})],
)
@pytest.mark.filterwarnings("ignore:.*are few for a network")
def test_detectors_take_all_kinds(cls, style, kind):
    x = np.sin(np.arange(200) / 4)
    detector = cls(positions=kind, epochs=2, stride=4, random_state=0, **style).fit(x)
    assert np.isfinite(detector.decision_scores_).all()
    turned = [m for m in detector.network_.modules() if isinstance(m, Rotary)]
    assert bool(turned) == (kind == "rotary")
    assert any("where" in name for name in detector.weights_) == (kind == "learnable")
    with pytest.raises(ValueError, match="positions must be"):
        cls(positions="absent", **style).fit(x)
