import numpy as np
import pytest

import retrograd as rg
from retrograd.nn import functional as F
from retrograd.special import logistic


def x(*shape):
    return rg.Tensor(np.ones(shape), requires_grad=True)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: F.prelu(x(2, 3), x(2)), r"\(2,\) for input \(2, 3\)"),
        (lambda: F.glu(x(2, 3)), r"even, shape is \(2, 3\)"),
        (lambda: F.gelu(x(2), "fast"), "fast"),
        (lambda: F.softmax(x(2), axis=3), "axis"),
    ],
)
def test_what_does_not_fit_is_a_value_error(call, says):
    with pytest.raises(ValueError, match=says):
        call()


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_dropout_takes_a_probability(p):
    with pytest.raises(ValueError, match="probability"):
        F.dropout(rg.Tensor([1.0]), p)


def test_dropout_of_all_leaves_nothing():
    x = rg.Tensor(np.ones((5, 2, 4)))
    np.testing.assert_array_equal(F.dropout(x, 1.0).data, np.zeros(x.shape))


def test_the_logistic_functions_are_those_of_special():
    for name in ("sigmoid", "logsigmoid", "softmax", "log_softmax"):
        assert getattr(F, name) is getattr(logistic, name)
