"""Loops in C call the functions of whole vectors that the GNU C library has."""

import platform
import re
import subprocess

import numpy as np
import pytest

import retrograd as rg
from retrograd.compiler.c import unit
from retrograd.compiler.c.build import cache_file

F = rg.nn.functional

SHAPE = (7, 100)

# what is computed, and the functions that it needs
LOSSES = {
    "sine and cosine": (lambda x: np.sum(np.sin(x)), {"sin", "cos"}),
    "power": (lambda x: np.sum(np.abs(x) ** 1.7), {"pow"}),
    "angle": (lambda x: np.sum(np.arctan2(x, 2.0)), {"atan2"}),
    "distance": (lambda x: np.sum(np.hypot(x, 2.0)), {"hypot"}),
    "one branch": (lambda x: np.sum(np.where(x > 1, x, np.tanh(x))), {"tanh"}),
    "the same condition twice": (lambda x: np.sum(F.softplus(x)), {"exp", "log1p"}),
    "bounds": (lambda x: np.sum(np.log(np.clip(F.sigmoid(x), 0.1, 0.9))), {"exp", "log"}),
    "gelu": (lambda x: np.sum(F.gelu(x)), {"exp"}),
}


def values(result):
    """Return the array of a Tensor, or that which is given."""
    return result.data if isinstance(result, rg.Tensor) else result


def has_vectors(compiler):
    """Tell whether the C library has vectors of these functions, and the compiler calls them."""
    name, version = platform.libc_ver()
    if name != "glibc" or [*map(int, version.split("."))] < [2, 35]:
        return False
    told = subprocess.run(
        [*compiler, "-dM", "-E", "-x", "c", "/dev/null"], capture_output=True, text=True, check=True
    ).stdout
    return "__GNUC__" in told and "__clang__" not in told and platform.machine() == "x86_64"


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=lambda t: t.__name__)
@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_and_its_gradient_use_vectors(name, dtype, compiler, monkeypatch):
    if not has_vectors(compiler):
        pytest.skip("there are no functions of whole vectors")
    loss_of, needed = LOSSES[name]
    sources, build = [], unit.build

    def note(source):
        sources.append(source)
        return build(source)

    monkeypatch.setattr(unit, "build", note)
    x = np.random.default_rng(0).normal(size=SHAPE).astype(dtype)
    w = rg.Tensor(np.ones(SHAPE[1:], dtype), requires_grad=True)

    def step(x):
        loss = loss_of(x * w)
        w.grad = None
        loss.backward()
        return loss, w.grad

    compiled = rg.compile(step, target="c")
    compiled(x)
    for want, got in zip(step(x), compiled(x), strict=True):
        np.testing.assert_allclose(values(got), values(want), rtol=1e-4)
    code = cache_file(sources[-1]).read_bytes()
    called = re.findall(rb"_ZGV[a-e]N\d+v+_(\w+)", code)
    suffix = "f" if dtype is np.float32 else ""
    assert {f"{word}{suffix}" for word in needed} <= {word.decode() for word in called}


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=lambda t: t.__name__)
def test_what_is_not_chosen_does_not_matter(dtype, compiler):
    x = np.array([1, np.nan, np.inf, -np.inf, -0.0, 0.0, 5e-42, 2], dtype)
    for y in (x[::-1].copy(), np.full(8, np.nan, dtype)):
        for odd in (0, 1):
            chosen = np.arange(8) % 2 == odd
            compiled = rg.compile(lambda c, x, y: np.where(c, x, y), target="c")
            compiled(chosen, x, y)
            got = values(compiled(chosen, x, y))
            assert got.tobytes() == np.where(chosen, x, y).tobytes()
    # bytes that are neither 0 nor 1 are true
    strange = np.arange(8, dtype=np.uint8).view(bool)
    got = values(compiled(strange, x, y))
    assert got.tobytes() == np.where(np.arange(8) != 0, x, y).tobytes()
