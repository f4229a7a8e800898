"""Functions of complex numbers have PyTorch's gradients, to second order: `golden/complex.json`."""

import json
from pathlib import Path

import numpy as np
import pytest

import golden
import retrograd as rg
from golden.complex_draws import draw, inputs

CASES = json.loads((Path(golden.__file__).parent / "complex.json").read_text())


def adjoint(x):
    return np.conj(np.swapaxes(x, -1, -2))


def positive(x):
    return x @ adjoint(x) + np.eye(x.shape[-1])


def projected(x):
    values, vectors = np.linalg.eigh(x + adjoint(x))
    return (vectors * np.exp(values)) @ adjoint(vectors)


def polar(x):
    u, _, vh = np.linalg.svd(x, full_matrices=False)
    return u @ vh


def exponential(x):
    values, vectors = np.linalg.eig(x)
    return (vectors * np.exp(values)) @ np.linalg.inv(vectors)


def raised(fn):
    """Of a matrix that is far from singular ones, as PyTorch was given."""
    return lambda x, *rest: fn(x + 2 * np.eye(len(x), dtype=x.real.dtype), *rest)


CALLS = {
    "cube": lambda x: x**3,
    "composed": lambda x: np.abs(np.exp(x * x)) ** 2,
    "sum": lambda x: x.sum(0), "prod": lambda x: x.prod(1), "cumsum": lambda x: x.cumsum(1),
    "cumprod": lambda x: x.cumprod(1), "var": lambda x: x.var(0),
    "std": lambda x: x.std(ddof=1), "index": lambda x: x[[1, 0, 1], 1:],
    "flip": lambda x: np.flip(x, 0), "roll": lambda x: np.roll(x, 2), "transpose": lambda x: x.T,
    "triangle": np.tril, "norm": np.linalg.norm,
    "norm 1": lambda x: np.linalg.norm(np.ravel(x), 1),
    "norm 3": lambda x: np.linalg.norm(x, 3, 1),
    "norm inf": lambda x: np.linalg.norm(np.ravel(x), np.inf),
    "norm nuc": lambda x: np.linalg.norm(x, "nuc"), "norm 2": lambda x: np.linalg.norm(x, 2),
    "pinv": np.linalg.pinv, "svd values": lambda x: np.linalg.svd(x, compute_uv=False),
    "polar": polar, "qr": lambda x: np.linalg.qr(x.T), "inv": raised(np.linalg.inv),
    "det": raised(np.linalg.det), "slogdet": raised(np.linalg.slogdet),
    "matrix power": raised(lambda x: np.linalg.matrix_power(x, 3)),
    "cholesky": raised(lambda x: np.linalg.cholesky(positive(x))),
    "eigh values": raised(lambda x: np.linalg.eigvalsh(x + adjoint(x))),
    "eigh": raised(projected), "eigvals": raised(lambda x: np.linalg.eigvals(x).sum()),
    "eig": raised(exponential), "matvec": np.matmul,
    "einsum": lambda x, y: np.einsum("ij,kj->ik", x, y),
    "tensordot": lambda x, y: np.tensordot(x, y, 1), "solve": raised(np.linalg.solve),
    "vecdot": np.vecdot, "where": lambda x, y: np.where(np.eye(2, 3) > 0, x, y),
    "stack": lambda x, y: np.stack([x, y], 1), "concatenate": lambda x, y: np.concatenate([x, y]),
}  # fmt: skip


def call_of(name):
    return CALLS.get(name) or getattr(np.fft, name, None) or getattr(np, name)


def weighed(x, seed):
    weights = draw(x.shape, x.dtype, seed)
    return np.sum(np.real(np.conj(weights) * x))


def numbers(x):
    x = np.ascontiguousarray(x).reshape(-1)
    return x.view(x.real.dtype)


@pytest.mark.parametrize("case", CASES, ids=lambda c: "-".join([c["name"], *c["dtypes"]]))
def test_gradients_to_second_order_are_pytorchs(case):
    xs = [rg.Tensor(x, requires_grad=True) for x in inputs(case)]
    outs = call_of(case["name"])(*xs, **case["options"])
    outs = [outs] if isinstance(outs, rg.Tensor) else list(outs)
    loss = sum(weighed(out, 100 + i) for i, out in enumerate(outs))
    first = gradients(loss, xs)
    second = gradients(sum(weighed(g, 200 + i) for i, g in enumerate(first)), xs)
    single = xs[0].dtype in (np.float32, np.complex64)
    for found, expected in ((first, case["first"]), (second, case["second"])):
        for g, x, numbers_there in zip(found, xs, expected, strict=True):
            assert (g.shape, g.dtype) == (x.shape, x.dtype)
            size = np.max(np.abs(numbers_there), initial=1.0)
            tolerance = (3e-4 if single else 1e-10) * size
            np.testing.assert_allclose(numbers(g.data), numbers_there, rtol=0, atol=tolerance)


def gradients(root, xs):
    found = [None] * len(xs)
    if root.requires_grad:
        found = rg.autograd.grad(root, xs, create_graph=True, allow_unused=True)
    return [rg.Tensor(np.zeros_like(x.data)) if g is None else g
            for g, x in zip(found, xs, strict=True)]  # fmt: skip
