import numpy as np
import pytest

import retrograd as rg
from retrograd.nn import functional as F
from retrograd.testing import gradgradcheck

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, np.inf])
def test_a_norm_of_any_order_divides_to_length_one(p):
    x = RNG.normal(size=(3, 4))
    np.testing.assert_allclose(np.linalg.norm(F.normalize(x, p), p, axis=1), np.ones(3))
    assert gradgradcheck(lambda x: F.normalize(x, p), x)


def test_a_zero_vector_has_right_second_derivatives_when_normalized():
    x = np.array([[0.0, 0.0], [3.0, 4.0]])
    found = rg.func.hessian(lambda x: np.sum(F.normalize(x, eps=0.5) ** 2))(x).data
    np.testing.assert_allclose(found[0, :, 0], 8 * np.eye(2))
    assert not np.any(found[1, :, 0])
    assert np.all(np.isfinite(found))
