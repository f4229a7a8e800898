"""Programs of complex numbers give what the functions give, at other values too."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import retrograd as rg
from comparing import assert_compiled_agrees

MATRIX = np.random.default_rng(3).normal(size=(4, 4)) * (1 + 0.5j)


def evolved(t):
    values, vectors = np.linalg.eigh(MATRIX + MATRIX.conj().T)
    return (vectors * np.exp(-1j * t * values)) @ vectors.conj().T


def optics(aperture, phase):
    light = np.fft.fft2(aperture.real * np.exp(1j * phase.real))
    return np.sum(np.abs(light) ** 2 * np.arange(4.0))


def quantum(time, state):
    return np.abs(np.vdot(state[0], evolved(np.sum(time.real)) @ state[1])) ** 2


def spectral(a, b):
    first, second = (np.log1p(np.abs(np.fft.rfft(x.real))) for x in (a, b))
    return np.mean((first - second) ** 2)


def algebra(a, b):
    solved = np.linalg.solve(a + 4 * np.eye(4), b)
    return np.sum(np.abs(solved)) + np.linalg.slogdet(a + 4 * np.eye(4))[1] + np.var(b)


PROGRAMS = [optics, quantum, spectral, algebra]


def values(rng):
    return [rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4)) for _ in range(2)]


def with_gradients(fn):
    def step(a, b):
        out = fn(a, b)
        return out, *rg.autograd.grad(out, [a, b], allow_unused=True)

    return step


def calls(number):
    drawn = [values(np.random.default_rng(seed)) for seed in range(number)]
    return [[rg.Tensor(x, requires_grad=True) for x in pair] for pair in drawn]


@pytest.mark.parametrize("fn", PROGRAMS)
def test_a_program_gives_what_the_function_gives(fn):
    assert_compiled_agrees(lambda: (with_gradients(fn),), calls(5), rtol=1e-9, atol=1e-12)


OF_ONE = [
    np.exp, np.sin, np.square, np.conj, np.sign, np.sqrt, np.negative, np.fft.fft, np.fft.ifft2,
    lambda x: x * np.abs(x), lambda x: x.real + 2j * x.imag, lambda x: x * 0.5 + 1j,
    lambda x: x.T, lambda x: x**2.0, lambda x: np.where(x.real > 0, x, 1j), lambda x: x / 3,
    lambda x: np.fft.irfft(x, 4) + 0j, lambda x: x - np.mean(x, axis=0),
]  # fmt: skip
OF_TWO = [np.add, np.multiply, np.matmul, np.subtract, lambda x, y: x * np.sum(y, axis=0)]


@settings(max_examples=max(4, settings.default.max_examples // 4))
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9), st.integers(0, 9)), max_size=6))
def test_a_drawn_program_gives_what_the_function_gives(drawn):
    def run(a, b):
        known = [a * 0.1, b * 0.1]
        for which, i, j in drawn:
            x, y = known[i % len(known)], known[j % len(known)]
            if which < len(OF_ONE):
                known.append(OF_ONE[which](x) * 0.5)
            else:
                known.append(OF_TWO[which % len(OF_TWO)](x, y))
        return np.sum(np.abs(known[-1]))

    assert_compiled_agrees(lambda: (with_gradients(run),), calls(3), rtol=1e-7, atol=1e-9)


def test_what_values_decide_the_dtype_of_is_refused():
    turning = np.array([[0.0, -1.0], [1.0, 0.0]])
    with pytest.raises(TypeError, match=r"eigenvalues.*astype\(complex\)"):
        rg.compile(np.linalg.eigvals)(rg.Tensor(turning))
    with pytest.raises(rg.TraceError, match=r"real_if_close.*t\.real"):
        rg.compile(np.real_if_close)(rg.Tensor([1 + 0j]))
    for fn, real, turned in (
        (np.emath.sqrt, [1.0, 4.0], [-1.0, 4.0]), (np.roots, [1.0, 0.0, -2.0], [1.0, 0.0, 2.0]),
    ):  # fmt: skip
        compiled = rg.compile(lambda x, fn=fn: fn(x))
        for x in (np.array(real), 1.1 * np.array(real)):
            compiled(rg.Tensor(x))
        with pytest.raises(TypeError):
            compiled(rg.Tensor(turned))
    found = rg.compile(lambda a: np.linalg.eigvals(a.astype(complex)))(rg.Tensor(turning))
    np.testing.assert_allclose(np.sort(found.data.imag), [-1.0, 1.0])
