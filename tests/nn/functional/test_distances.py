import numpy as np
import pytest

from retrograd.nn import functional as F
from retrograd.testing import gradgradcheck

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, np.inf])
def test_a_norm_of_any_order_divides_to_length_one(p):
    x = RNG.normal(size=(3, 4))
    np.testing.assert_allclose(np.linalg.norm(F.normalize(x, p), p, axis=1), np.ones(3))
    assert gradgradcheck(lambda x: F.normalize(x, p), x)
