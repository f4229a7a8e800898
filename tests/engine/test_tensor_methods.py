"""Indexing and methods of a Tensor do what those of its array do, and keep the gradient."""

import numpy as np
import pytest

import retrograd as rg
from helpers import leaf


@pytest.mark.parametrize(
    "index",
    [
        0, -1, slice(None), slice(None, None, -1), slice(1, 1), ..., None, (..., 0), (None, 1, ...),
        (slice(None), slice(0, 2)), [0, 0, 1], ([0, 0], [1, 1]), ([[0], [1]], [0, 2, 2]),
        np.array([[0, 1], [1, 1]]), np.array([True, False]), (np.array([True, True]), 0),
        np.ones((2, 3), bool), (slice(None), [2, 0, 2]), (0, [1, 1]), np.array(1), True,
    ],
)  # fmt: skip
def test_indexing_is_numpys_and_its_gradient_counts_what_was_picked(index):
    array = np.arange(6.0).reshape(2, 3)
    x = rg.Tensor(array, requires_grad=True)
    y = x[index]
    np.testing.assert_array_equal(y.data, array[index])
    counts = np.zeros((2, 3))
    np.add.at(counts, index, 1.0)
    np.sum(y).backward()
    np.testing.assert_array_equal(x.grad, counts)


def test_a_tensor_is_an_index():
    x = leaf(1.0, 2.0, 3.0)
    np.testing.assert_array_equal(x[rg.Tensor([2, 0])].data, [3.0, 1.0])
    np.testing.assert_array_equal(x[x > 1.5].data, [2.0, 3.0])


def test_an_index_out_of_bounds_names_the_call():
    with pytest.raises(IndexError) as caught:
        leaf(1.0, 2.0)[5]
    assert "float64[2]" in caught.value.__notes__[0]


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (1,), (1, 1)])
def test_zero_dim_and_empty_arrays_go_forward_and_backward(shape):
    x = rg.Tensor(np.ones(shape), requires_grad=True)
    y = np.sum(np.exp(x.reshape(-1)) * 2) + np.sum(x.T)
    y.backward()
    assert x.grad.shape == shape
    np.testing.assert_allclose(x.grad, np.full(shape, 2 * np.e + 1))


def test_a_reduction_of_a_zero_dim_tensor_is_a_tensor():
    x = rg.Tensor(2.0, requires_grad=True)
    for y in (x.sum(), x.mean(), x.max(), x.prod(), np.squeeze(x), x.reshape(())):
        assert type(y) is rg.Tensor
        assert y.shape == ()


@pytest.mark.parametrize(
    "method",
    [
        lambda a: a.sum(), lambda a: a.sum(0), lambda a: a.sum(axis=(0, 1), keepdims=True),
        lambda a: a.mean(-1), lambda a: a.max(1), lambda a: a.min(), lambda a: a.prod(0),
        lambda a: a.var(ddof=1), lambda a: a.std(0), lambda a: a.clip(1.0, 3.0),
        lambda a: a.clip(max=2.0), lambda a: a.dot(a.T), lambda a: a.reshape(3, 2),
        lambda a: a.reshape((6,)), lambda a: a.reshape(-1, 1), lambda a: a.ravel(),
        lambda a: a.flatten(), lambda a: a.transpose(), lambda a: a.transpose(1, 0),
        lambda a: a.transpose((1, 0)), lambda a: a.swapaxes(0, 1), lambda a: a[:1].squeeze(0),
        lambda a: a.squeeze(), lambda a: a.astype(np.float32), lambda a: a.copy(), lambda a: a.T,
        lambda a: a.mT, lambda a: a.transpose(None),
    ],
)  # fmt: skip
def test_a_method_does_what_it_does_on_an_array_and_keeps_the_gradient(method):
    array = np.arange(6.0).reshape(2, 3)
    x = rg.Tensor(array, requires_grad=True)
    y = method(x)
    np.testing.assert_allclose(y.data, method(array))
    assert y.requires_grad
    y.backward(np.ones(y.shape))
    assert x.grad.shape == (2, 3)


@pytest.mark.parametrize("name", ["argmax", "argmin", "any", "all"])
def test_a_method_without_a_gradient_gives_a_tensor(name):
    array = np.arange(6.0).reshape(2, 3)
    for axis in (None, 0, -1):
        got = getattr(rg.Tensor(array, requires_grad=True), name)(axis=axis)
        assert type(got) is rg.Tensor
        assert not got.requires_grad
        np.testing.assert_array_equal(got.data, getattr(array, name)(axis=axis))


def test_a_method_that_is_not_there_says_what_to_write():
    t = rg.Tensor([1.0, 2.0])
    for name, says in (
        ("exp", r"no attribute 'exp': write np\.exp\(t\)"),
        ("view", r"write t\.reshape\(\.\.\.\)"),
        ("unsqueeze", r"write np\.expand_dims\(t, axis\)"),
        ("frobnicate", "no attribute 'frobnicate'$"),
    ):
        with pytest.raises(AttributeError, match=says):
            getattr(t, name)
    assert not hasattr(t, "__array_interface__")
