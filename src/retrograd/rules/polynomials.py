"""Polynomials as arrays of coefficients, the highest power first."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.registry import composed
from retrograd.rules.reductions import given


@composed(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    """Answer `np.polyval` by Horner's scheme."""
    p, x = given(p), given(x)
    y = x * 0.0
    for i in range(p.shape[0]):
        y = y * x + p[i]
    return y


def _longer(p: Any, n: int) -> Any:
    p = np.atleast_1d(p)
    return np.concatenate([np.zeros(n - p.shape[0], p.dtype), p])


@composed(np.polyadd)
def polyadd(a1: Any, a2: Any) -> Any:
    """Answer `np.polyadd`."""
    n = max(np.size(a1), np.size(a2))
    return _longer(a1, n) + _longer(a2, n)


@composed(np.polysub)
def polysub(a1: Any, a2: Any) -> Any:
    """Answer `np.polysub`."""
    n = max(np.size(a1), np.size(a2))
    return _longer(a1, n) - _longer(a2, n)


@composed(np.polymul)
def polymul(a1: Any, a2: Any) -> Any:
    """Answer `np.polymul`."""
    return np.convolve(a1, a2)


@composed(np.polyder)
def polyder(p: Any, m: int = 1) -> Any:
    """Answer `np.polyder`."""
    if m < 0:
        raise ValueError(f"np.polyder takes m of 0 or more, not {m}")
    for _ in range(m):
        p = p[:-1] * np.arange(p.shape[0] - 1, 0, -1)
    return p


@composed(np.polyint)
def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    """Answer `np.polyint`."""
    if m < 0:
        raise ValueError(f"np.polyint takes m of 0 or more, not {m}")
    p = given(p)
    constants = np.broadcast_to(np.zeros(1) if k is None else np.atleast_1d(k), (m,))
    for i in range(m):
        p = np.concatenate([p / np.arange(p.shape[0], 0, -1), constants[i : i + 1]])
    return p


@composed(np.vander)
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """Answer `np.vander`."""
    n = x.shape[0] if N is None else N
    x = x.astype(np.promote_types(x.dtype, int))
    columns = [x * 0 + 1]
    for _ in range(n - 1):
        columns.append(columns[-1] * x)
    columns = columns[:n]
    if not columns:
        return x[:, None][:, :0]
    return np.stack(columns if increasing else columns[::-1], axis=-1)


@composed(np.polyfit)
def polyfit(
    x: Any, y: Any, deg: int, rcond: float | None = None, full: bool = False, w: Any = None,
    cov: bool = False,
) -> Any:  # fmt: skip
    """Answer `np.polyfit`: the coefficients alone."""
    if full or cov:
        raise TypeError("np.polyfit of a Tensor gives the coefficients: leave full= and cov= out")
    x, y = given(x) + 0.0, given(y) + 0.0
    left = vander(x, deg + 1)
    if w is not None:
        left = left * given(w)[:, None]
        y = y * (given(w)[:, None] if y.ndim == 2 else w)
    scale = np.sqrt(np.sum(np.square(left), axis=0))
    if rcond is None:
        rcond = x.shape[0] * float(np.finfo(x.dtype).eps)
    solution = np.linalg.pinv(left / scale, rcond) @ y
    return (solution.T / scale).T


@composed(np.poly)
def poly(seq_of_zeros: Any) -> Any:
    """Answer `np.poly`: of roots, or of a matrix whose eigenvalues they are."""
    roots = given(seq_of_zeros)
    if roots.ndim == 2:
        roots = np.linalg.eigvals(roots)
    p = np.ones(1, roots.dtype)
    for i in range(roots.shape[0]):
        p = np.convolve(p, np.stack([np.ones((), roots.dtype), -roots[i]]))
    return p
