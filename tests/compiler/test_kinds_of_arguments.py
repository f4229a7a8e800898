"""Functions that ask what kind of array an argument is: in a program all are Tensors."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import retrograd as rg

X = np.array([1.0, 2.0, 3.0])


@functools.singledispatch
def dispatched(x):
    return np.sum(x)


@dispatched.register
def _(x: np.ndarray):
    return np.sum(x) * 2


def trying(x):
    try:
        return np.sum(x.detach())
    except AttributeError:
        return np.sum(x) * 2


def matching(x):
    match x:
        case np.ndarray():
            return np.sum(x) * 2
        case _:
            return np.sum(x)


ASKING = {
    "isinstance of an array": lambda x: np.sum(x) * (2 if isinstance(x, np.ndarray) else 1),
    "isinstance of a Tensor": lambda x: np.sum(x) * (1 if isinstance(x, rg.Tensor) else 2),
    "type": lambda x: np.sum(x) * (2 if type(x) is np.ndarray else 1),
    "class": lambda x: np.sum(x) * (2 if x.__class__ is np.ndarray else 1),
    "hasattr": lambda x: np.sum(x) * (1 if hasattr(x, "requires_grad") else 2),
    "getattr": lambda x: np.sum(x) * (1 if getattr(x, "is_leaf", False) else 2),
    "an attribute that arrays have not": trying,
    "match": matching,
    "singledispatch": lambda x: dispatched(x),
    "a result more": lambda x: (x * 2, x) if isinstance(x, np.ndarray) else x * 2,
}


@pytest.mark.parametrize("name", [*ASKING])
def test_what_is_something_else_for_arrays_is_refused_for_arrays_alone(name):
    fn = ASKING[name]
    step = rg.compile(fn)
    with pytest.raises(rg.TraceError, match="something else for NumPy arrays than for Tensors"):
        step(X)
    step = rg.compile(fn)
    for _ in range(6):
        np.testing.assert_array_equal(step(rg.Tensor(X)).data, fn(rg.Tensor(X)).data)
    assert len(step.programs) == 1
    with pytest.raises(rg.TraceError, match=r"rg\.Tensor\(x\)"):
        step(X)
    np.testing.assert_array_equal(step(rg.Tensor(X)).data, fn(rg.Tensor(X)).data)


def test_numbers_of_numpy_are_arrays():
    step = rg.compile(lambda x, k: np.sum(x) * (2 if np.isscalar(k) else 1))
    with pytest.raises(rg.TraceError, match="something else for NumPy arrays"):
        step(X, np.float64(2.0))
    assert step(X, 2.0).item() == 12.0


def test_what_is_the_same_for_both_is_taken():
    w = rg.Parameter([1.0, 1.0, 1.0])
    optimizer = rg.optim.SGD([w], lr=0.1)

    def step(x, y):
        x = x if isinstance(x, rg.Tensor) else rg.Tensor(x)
        if isinstance(y, np.ndarray):
            y = y.astype(np.float64)
        optimizer.zero_grad()
        loss = np.mean((x * w - y) ** 2)
        loss.backward()
        optimizer.step()
        return loss if type(loss) is rg.Tensor else None

    compiled = rg.compile(step)
    for number in range(12):
        start = w.data.copy()
        loss, after = compiled(X * number, X), w.data.copy()
        w.data[:] = start
        expected = step(X * number, X)
        assert loss.item() == pytest.approx(expected.item())
        np.testing.assert_allclose(after, w.data, rtol=1e-12)
    assert len(compiled.programs) == 1
