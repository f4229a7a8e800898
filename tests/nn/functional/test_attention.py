import numpy as np
import pytest

import retrograd as rg
from retrograd.nn import functional as F

RNG = np.random.default_rng(0)


def x(*shape):
    return rg.Tensor(np.ones(shape), requires_grad=True)


def test_shapes_that_do_not_fit_are_a_value_error():
    with pytest.raises(ValueError, match=r"\(2, 4\)"):
        F.scaled_dot_product_attention(x(2, 3), x(2, 4), x(2, 3))


def test_attention_takes_one_kind_of_mask():
    x = np.ones((3, 4))
    with pytest.raises(ValueError, match="not both"):
        F.scaled_dot_product_attention(x, x, x, np.ones((3, 3), bool), is_causal=True)


def test_a_mask_of_integers_is_refused_as_it_would_mask_nothing():
    mask = np.tril(np.ones((3, 3), int))
    with pytest.raises(TypeError, match=r"booleans.*not int\d+.*\.astype\(bool\)"):
        F.scaled_dot_product_attention(*[x(1, 3, 4)] * 3, attn_mask=mask)


def test_a_query_that_may_attend_to_nothing_gives_zero_and_no_nan():
    q, k, v = x(2, 3), x(4, 3), x(4, 2)
    out = F.scaled_dot_product_attention(q, k, v, np.array([[False] * 4, [True] * 4]))
    np.testing.assert_array_equal(out.data, [[0, 0], [1, 1]])
    out.sum().backward()
    assert all(np.isfinite(t.grad).all() for t in (q, k, v))


def test_dropout_acts_on_the_weights():
    x = rg.Tensor(np.ones((5, 2, 4)))
    one, two = (F.scaled_dot_product_attention(x, x, x, dropout_p=0.5, rng=s) for s in (0, 1))
    assert not np.array_equal(one.data, two.data)


def test_with_is_causal_what_comes_later_has_no_effect():
    q, k, v = RNG.normal(size=(3, 4, 5))
    out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    k[2:], v[2:] = 7.0, 7.0
    changed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    np.testing.assert_array_equal(out[:2], changed[:2])
    assert not np.allclose(out[2:], changed[2:])
