"""What happens when NumPy's own functions are called with a Tensor."""

import numpy as np
import pytest

import retrograd as rg
from helpers import leaf
from retrograd.engine import spelled


def test_a_function_without_a_rule_is_refused_with_the_lines_that_give_it_one():
    unknown = np.frompyfunc(abs, 1, 1)
    with pytest.raises(TypeError, match="has no gradient rule") as caught:
        unknown(leaf(1.0))
    for line in ("@rg.primitive", "rg.defvjp(", "t.data"):
        assert line in str(caught.value)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.add(x, x, out=np.zeros(2)),
        lambda x: np.exp(x, out=np.zeros(2)),
        lambda x: np.sum(x, out=np.zeros(())),
        lambda x: np.add(np.ones(2), np.ones(2), out=x),
    ],
)
def test_out_is_refused_because_the_gradient_would_be_lost(call):
    with pytest.raises(TypeError, match="out="):
        call(leaf(1.0, 2.0))


@pytest.mark.parametrize("method", [np.multiply.at, np.subtract.reduceat], ids=spelled)
def test_a_method_of_a_ufunc_without_a_rule_is_refused(method):
    with pytest.raises(TypeError, match=spelled(method)):
        method(leaf(1.0, 2.0), [0], 1.0)


def test_what_tells_of_the_array_answers_plainly():
    x = leaf(1.0, 2.0)
    assert np.shape(x) == (2,)
    assert np.shares_memory(x, x.detach())
    assert not np.iscomplexobj(x)
    assert np.allclose(x, [1.0, 2.0])
    assert np.array_equal(x, x)


def test_tensors_in_lists_keep_their_gradients():
    x, y = leaf(1.0), leaf(2.0)
    for joined in (np.stack([x, y])[:, 0], np.concatenate((x, y)), np.stack([x, np.ones(1)])[:, 0]):
        assert joined.requires_grad
        x.grad = None
        joined.backward([3.0, 5.0])
        assert x.grad[0] == 3.0


@pytest.mark.parametrize("method", [np.sum, np.prod, np.mean, np.max])
def test_a_condition_that_is_a_tensor_is_no_endless_recursion(method):
    where, more = rg.Tensor([True, False]), {"initial": 0.0} if method is np.max else {}
    got = method(np.array([3.0, 5.0]), where=where, **more)
    assert got.item() == 3.0
