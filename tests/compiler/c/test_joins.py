"""Arrays joined, put among zeros and given other shapes in C."""

import numpy as np
import pytest

import retrograd as rg
from retrograd.compiler.c.assembly import uses_numpy

pytestmark = pytest.mark.usefixtures("compiler")


def shapes(x, y):
    """Return arrays in all the ways in which elements are copied elsewhere."""
    e, f = np.exp(x), np.transpose(np.exp(y))  # (2, 3, 4), (4, 2)
    return (
        np.concatenate([e, x[:, 1:2], e * 2], axis=1),
        np.concatenate([e, e[:0], x], axis=0),
        np.concatenate([f, f], axis=-1),
        np.stack([f, f + 1], axis=2),
        np.concatenate([e, f], axis=None),
        np.reshape(f, (2, 4)),
        np.ravel(np.transpose(e)) * 2,
        np.reshape(np.transpose(e, (1, 0, 2)), (6, 4)),
    )


def gradients(x, y):
    """Return gradients of parts, which are put among zeros."""
    x = rg.Tensor(x.detach(), requires_grad=True)
    parts = np.sum(np.exp(x[1, ::2, :-1])) + np.sum(x[..., -1] ** 2) + np.sum(x[0, 1, 1:][::-1])
    return rg.autograd.grad(parts, x)


@pytest.mark.parametrize("run", [shapes, gradients])
def test_elements_come_where_numpy_puts_them(run):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 4))
    step = rg.compile(run, target="c")
    expected = [t.data for t in step(x, y)]
    for _ in range(3):
        found = step(x, y)
    assert not uses_numpy(step.programs[-1].code)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a.data, b, rtol=1e-14)


def test_a_recurrent_net_is_one_part_with_few_functions():
    rg.manual_seed(0)
    net, out = rg.nn.RNN(3, 5), rg.nn.Linear(5, 1)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 4, 3)), rng.normal(size=(4, 1))

    def run(x, y):
        for p in (*net.parameters(), *out.parameters()):
            p.grad = None
        loss = np.mean((out(net(x)[0][-1]) - y) ** 2)
        loss.backward()
        return loss

    results = []
    for target in ("c", "numpy"):
        step = rg.compile(run, target=target)
        for _ in range(4):
            loss = step(x, y)
        results.append([loss.data, *(p.grad for p in (*net.parameters(), *out.parameters()))])
        if target == "c":
            assert not uses_numpy(step.programs[-1].code)
            assert step.fast_source.count("static void") < 60
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
