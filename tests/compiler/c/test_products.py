"""Products of matrices in C."""

import itertools

import numpy as np
import pytest

import retrograd as rg
from retrograd.compiler.c.assembly import uses_numpy

pytestmark = pytest.mark.usefixtures("compiler")
SIZES = [1, 2, 3, 5, 8, 17, 34]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_products_of_all_sizes_and_orders_are_numpys(dtype):
    rng = np.random.default_rng(0)
    a = rng.normal(size=(34, 34)).astype(dtype)
    drawn = [*itertools.product(SIZES, repeat=3)]
    chosen = [drawn[i] for i in rng.permutation(len(drawn))[:40]]

    def run(a):
        found = []
        for i, (m, k, n) in enumerate(chosen):
            x = a[:m, :k] if i % 2 else np.transpose(a[:k, -m:])
            y = a[-k:, :n] if i % 3 else np.transpose(a[:n, :k])
            found.append(np.matmul(x, y))
        return [*found, a[:3, :5] @ a[0, :5], a[1, :7] @ a[:7, :4], a[1] @ a[2], a[:, 1] @ a[2]]

    step = rg.compile(run, target="c")
    step(a)
    found = step(a)
    assert not uses_numpy(step.programs[-1].code)
    for t, expected in zip(found, run(a), strict=True):
        atol = 4 * np.finfo(dtype).eps * np.abs(a).max() ** 2 * 34
        np.testing.assert_allclose(t.data, expected, rtol=0, atol=atol)


def test_large_products_are_left_to_numpy():
    step = rg.compile(lambda x: np.exp(x @ x), target="c")
    x = np.full((300, 300), 0.01)
    for _ in range(2):
        np.testing.assert_allclose(step(x).data, np.exp(x @ x), rtol=1e-14)
    assert [s.call.fn for s in uses_numpy(step.programs[-1].code)] == [np.matmul]
