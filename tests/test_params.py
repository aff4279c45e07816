"""Parameters declared as data."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

from awry.core import params
from awry.core.params import Configurable, ParameterError


class Thing(Configurable):
    constraints = {"k": params.integer(1), "how": params.option("a", None, True)}

    def __init__(self, k=3, how="a"):
        self.k = k
        self.how = how


@pytest.mark.parametrize(
    ("constraint", "good", "bad"),
    [
        (params.integer(1, 5), [1, 5, np.int64(3)], [0, 6, 2.0, True, "2", None]),
        (params.real(0, 1, "(]"), [0.5, 1, np.float32(0.1)], [0, 1.1, np.nan, np.inf, True, "x"]),
        (params.option("a", None, True), ["a", None, True], ["b", 1, False]),
        (params.boolean(), [True, np.True_], [1, "yes"]),
        (params.listing(params.integer(0)), [[], [1, 2], (3,)], [[-1], 3, "ab"]),
        (params.random_state(), [None, 0, np.random.default_rng(0)], [-1, 1.5, "seed"]),
        (params.any_of(params.nothing(), params.real(0.0)), [None, 2.0], [-1, "x"]),
        (params.function(), [len], [3]),
        (params.instance(str, dict), ["a", {}], [1]),
    ],
)
def test_constraints_tell_good_from_bad(constraint, good, bad):
    _, test = constraint
    assert all(test(value) for value in good)
    assert not any(test(value) for value in bad)


def test_the_error_names_the_class_the_parameter_what_must_hold_and_what_was_given():
    with pytest.raises(ParameterError, match=r"^Thing: k must be an integer >= 1, got 0$"):
        Thing(k=0).check_params()
    Thing().check_params()


def test_clone_keeps_parameters():
    assert clone(Thing(k=9)).k == 9
