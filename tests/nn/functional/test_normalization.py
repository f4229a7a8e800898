import numpy as np
import pytest

import retrograd as rg
from retrograd.nn import functional as F
from retrograd.testing import gradgradcheck

RNG = np.random.default_rng(0)


def x(*shape):
    return rg.Tensor(np.ones(shape), requires_grad=True)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: F.layer_norm(x(2, 3), (2,)), "the last axes differ"),
        (lambda: F.layer_norm(x(2, 3), (3,), x(2)), r"weight \(3,\), not \(2,\)"),
        (lambda: F.group_norm(x(2, 3), 2), "2 groups"),
        (lambda: F.batch_norm(x(1, 3), None, None, training=True), "more than one value"),
    ],
)
def test_what_does_not_fit_is_a_value_error(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_long_rows_are_normalized_as_exactly_as_short_ones():
    x = RNG.normal(3.0, 2.0, size=(2, 1000))
    out = F.layer_norm(x, (1000,), eps=0.0)
    np.testing.assert_allclose(out.mean(axis=1), 0, atol=1e-14)
    np.testing.assert_allclose(out.var(axis=1), 1)
    assert gradgradcheck(lambda x: F.layer_norm(x, (1000,)), x, directions=1)


@pytest.mark.parametrize("kind", [np.asarray, rg.Tensor])
def test_running_values_move_in_place_towards_those_of_the_batch(kind):
    x, mean, var = RNG.normal(size=(5, 3)), np.zeros(3), np.ones(3)
    F.batch_norm(x, kind(mean), kind(var), training=True, momentum=0.25)
    np.testing.assert_allclose(mean, 0.25 * x.mean(axis=0))
    np.testing.assert_allclose(var, 0.75 + 0.25 * x.var(axis=0, ddof=1))
