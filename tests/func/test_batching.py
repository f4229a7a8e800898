"""Every function in a batch gives what it gives one by one."""

import operator

import numpy as np
import pytest

import retrograd as rg
from comparing import assert_compiled_agrees
from retrograd.func import batchers, batching, jacobian, jacobians
from retrograd.func.batching import Plan
from retrograd.nn import functional as F

RNG = np.random.default_rng(0)
M = RNG.normal(size=(3, 4))
CUBE = RNG.normal(size=(2, 3, 4))


FUNCTIONS = [
    lambda x: np.sin(x) * x,
    lambda x: x * np.ones((2, 3, 4)),
    lambda x: np.ones((5, 1, 1)) + x[0],
    lambda x: np.where(M > 0, x, x[0, 0]),
    lambda x: np.clip(x, -0.5, 0.5),
    lambda x: x.astype(np.float64).copy(),
    lambda x: x.sum(),
    lambda x: x.sum(0),
    lambda x: x.mean(axis=(0, -1), keepdims=True),
    lambda x: x.max(axis=1),
    lambda x: x.std(axis=-1, ddof=1),
    lambda x: x.reshape(2, -1),
    lambda x: np.ravel(x)[None],
    lambda x: np.expand_dims(x, (0, 2)),
    lambda x: np.squeeze(x[:, None]),
    lambda x: x.T,
    lambda x: np.transpose(x[None], (2, 0, -2)),
    lambda x: np.swapaxes(x[None], 0, -1),
    lambda x: np.moveaxis(x[None], [0, 1], [-1, 0]),
    lambda x: np.broadcast_to(x, (2, 3, 4)),
    lambda x: np.broadcast_to(x[0, 0], (2, 3)),
    lambda x: x @ M.T,
    lambda x: M.T @ x,
    lambda x: x @ x.T,
    lambda x: x @ M[0],
    lambda x: M[:, 0] @ x,
    lambda x: x[0] @ M.T,
    lambda x: M @ x[0],
    lambda x: x[0] @ x[1],
    lambda x: x[0] @ M[1],
    lambda x: CUBE @ x.T,
    lambda x: x @ np.swapaxes(CUBE, 1, 2),
    lambda x: CUBE @ x[0],
    lambda x: x[:, 0] @ CUBE,
    lambda x: np.stack([x, x]) @ CUBE.transpose(0, 2, 1),
    lambda x: np.einsum("ij,kj->ik", x, M),
    lambda x: np.einsum("ij,ij->", x, x),
    lambda x: np.concatenate([x, M, x], axis=0),
    lambda x: np.concatenate([x, M], axis=None),
    lambda x: np.stack([x, M], axis=-1),
    lambda x: x[1],
    lambda x: x[..., None, ::2],
    lambda x: x[[0, 0, 2]],
    lambda x: x[:, [1, 1]],
    lambda x: x[[0, 1], [2, 2]],
    lambda x: x[0, [1, 2]],
    lambda x: x[[0, 1], :, None],
    lambda x: x[M > 0],
    lambda x: np.cumsum(x, axis=1),
    lambda x: np.diff(x, axis=0),
    lambda x: np.linalg.inv(x[:, :3] + 3 * np.eye(3)),
    lambda x: np.modf(x)[0],
    lambda x: F.relu(x),
    lambda x: F.linear(x, M, x[:, 0]),
    lambda x: F.softmax(x),
    lambda x: F.sigmoid(x) * 2,
    lambda x: F.log_softmax(x, axis=0),
    lambda x: np.prod(x, axis=1),
    lambda x: np.pad(x, 1),
    lambda x: np.take_along_axis(x, np.argsort(M, axis=0), axis=0),
]


@pytest.mark.parametrize("fn", FUNCTIONS)
def test_a_function_run_on_a_batch_gives_what_it_gives_one_by_one(fn):
    x = rg.Tensor(RNG.normal(size=(3, 4)), requires_grad=True)
    out = fn(x)
    batch = RNG.normal(size=(5, 3, 4))
    (found,) = Plan([out], [x]).run([batch])
    want = np.stack([fn(rg.Tensor(row)).data for row in batch])
    assert found.shape == want.shape
    np.testing.assert_allclose(found, want, rtol=1e-12, atol=1e-12)
    (recorded,) = Plan([out], [x]).run([rg.Tensor(batch, requires_grad=True)])
    assert recorded.requires_grad
    np.testing.assert_allclose(recorded.data, want, rtol=1e-12, atol=1e-12)


def test_an_output_that_does_not_depend_on_the_variables_is_repeated():
    x, c = rg.Tensor(M, requires_grad=True), rg.Tensor([1.0, 2.0])
    (found,) = Plan([c], [x]).run([np.ones((5, 3, 4))])
    np.testing.assert_array_equal(found, np.tile([1.0, 2.0], (5, 1)))


def test_what_has_no_batcher_goes_one_by_one(monkeypatch):
    calls = []
    one_by_one = batching.one_by_one
    monkeypatch.setattr(batching, "one_by_one", lambda *a: calls.append(a[0]) or one_by_one(*a))
    monkeypatch.delitem(batchers.BATCHERS, operator.getitem)
    got = jacobian(lambda x: x[1] * 2)(M)
    assert [rule.fn for rule in calls] == []  # backward is put, not getitem
    np.testing.assert_array_equal(got.data[0, 1], [2.0, 0.0, 0.0, 0.0])
    jacobian(lambda x: np.cumsum(np.outer(x, x)))(M[0])
    assert calls


@pytest.mark.parametrize("elements", [1, 7, 1 << 20])
def test_the_size_of_chunks_changes_nothing(elements, monkeypatch):
    monkeypatch.setattr(jacobians, "CHUNK", elements)
    w = RNG.normal(size=(5, 4))

    def f(x):
        return np.tanh(x @ w.T)

    t = np.tanh(M @ w.T)
    want = np.einsum("ij,ik,jl->ijkl", 1 - t**2, np.eye(3), w)
    np.testing.assert_allclose(jacobian(f)(M).data, want, atol=1e-12)


EQUAL_THEN_OTHERS = [(M,)] * 4 + [(RNG.normal(size=(3, 4)),) for _ in range(2)]


@pytest.mark.parametrize("columns", [12, 3], ids=["backward", "forward"])
@pytest.mark.parametrize("fn", FUNCTIONS)
def test_a_compiled_jacobian_follows_its_argument(fn, columns):
    def few(x):
        return fn(np.tanh(np.outer(x, M[0])))

    calls = EQUAL_THEN_OTHERS if columns == 12 else [(x[:, 0],) for (x,) in EQUAL_THEN_OTHERS]
    derivative = jacobian(fn if columns == 12 else few)
    step = assert_compiled_agrees(lambda: (derivative,), calls, rtol=1e-9, atol=1e-12)
    assert len(step.programs) == 1
