"""Polynomials as arrays of coefficients, the highest power first."""

import functools
from typing import Any

import numpy as np

from retrograd.engine import adapted, composed, defvjp, primitive
from retrograd.rules.axes import check_at_least, to_array, to_floats
from retrograd.rules.shaping import at_least


@composed(np.polyval)
def _polyval(p: Any, x: Any) -> Any:
    p, x = to_array(p), to_array(x)
    return functools.reduce(lambda y, c: y * x + c, p, np.zeros_like(x))


def _lengthen(p: Any, other: Any) -> Any:
    """Return `p` with zeros before it, where `other` has more coefficients."""
    p, other = at_least(1, to_array(p)), to_array(other)
    return np.concatenate([np.zeros(max(other.size - p.shape[0], 0), p.dtype), p])


composed(np.polyadd)(lambda a1, a2: _lengthen(a1, a2) + _lengthen(a2, a1))
composed(np.polysub)(lambda a1, a2: _lengthen(a1, a2) - _lengthen(a2, a1))
composed(np.polymul)(lambda a1, a2: np.convolve(to_array(a1), to_array(a2)))


@composed(np.polyder)
def _polyder(p: Any, m: int = 1) -> Any:
    check_at_least(0, "np.polyder", "m", m)
    for _ in range(m):
        p = p[:-1] * np.arange(p.shape[0] - 1, 0, -1)
    return p


@composed(np.polyint)
def _polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    check_at_least(0, "np.polyint", "m", m)
    p = to_array(p)
    constants = np.broadcast_to(np.zeros(1) if k is None else at_least(1, to_array(k)), (m,))
    for i in range(m):
        p = np.concatenate([p / np.arange(p.shape[0], 0, -1), constants[i : i + 1]])
    return p


@composed(np.vander)
def _vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    x = x.astype(np.promote_types(x.dtype, int))
    powers = np.arange(x.shape[0] if N is None else N, dtype=x.dtype)
    return x[:, None] ** (powers if increasing else powers[::-1])


@composed(np.polyfit)
def _polyfit(
    x: Any, y: Any, deg: int, rcond: float | None = None, full: bool = False, w: Any = None,
    cov: bool = False,
) -> Any:  # fmt: skip
    if full or cov:
        raise TypeError("np.polyfit of a Tensor gives coefficients: leave full= and cov= out")
    # least squares, with columns scaled to length 1 as NumPy does
    x, y = to_array(x) + 0.0, to_array(y) + 0.0
    left = _vander(x, deg + 1)
    if w is not None:
        w = to_array(w)
        left = left * w[:, None]
        y = (y.T * w).T
    scale = np.sqrt(np.sum(np.square(left), axis=0))
    if rcond is None:
        rcond = x.shape[0] * float(np.finfo(x.dtype).eps)
    return ((np.linalg.pinv(left / scale, rcond) @ y).T / scale).T


@composed(np.poly)
def _poly(seq_of_zeros: Any) -> Any:
    roots = to_array(seq_of_zeros)
    if roots.ndim == 2:
        roots = np.linalg.eigvals(roots)
    one = np.ones(1, roots.dtype)
    factors = (np.concatenate([one, -roots[i : i + 1]]) for i in range(roots.shape[0]))
    return functools.reduce(np.convolve, factors, one)


# Roots


@primitive(looks_through=False)
def polynomial_roots(p: Any) -> Any:
    """Return `np.roots` of coefficients: real numbers where all roots of real ones are real."""
    return np.roots(p)


def _roots_dp(g: Any, out: Any, p: Any) -> Any:
    # of p(r) = 0: the slope of p at r times dr is minus r ** (n - i) for coefficient i
    slope = np.polyval(np.polyder(p).astype(p.dtype), out)
    powers = np.vander(out, p.shape[0]).astype(out.dtype)
    return -np.matmul(g / slope, powers)


defvjp(polynomial_roots, _roots_dp)
adapted(np.roots)(lambda p: polynomial_roots(to_floats(np.atleast_1d(p))))
