"""`np.linalg`, over stacks of matrices.

Where a derivative does not exist the rule does not make one up: singular matrices raise
LinAlgError as they do forward; parts that belong to equal eigenvalues or singular values, whose
vectors are not determined, count as 0. Of a symmetric matrix NumPy reads one triangle only: that
triangle gets the whole gradient.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retrograd.core import primitive, record
from retrograd.registry import RULES, composed, defvjp, nograd
from retrograd.rules.reductions import given


def mT(x: Any) -> Any:
    """Return `x` with its last two axes exchanged."""
    return np.swapaxes(x, -1, -2)


def eye(n: int, like: Any) -> Any:
    """Return the identity matrix in the dtype of another array."""
    return np.eye(n, dtype=like.dtype)


def reciprocal(x: Any) -> Any:
    """Return `1 / x`, 0 where `x` is 0."""
    zero = x == 0
    return np.where(zero, 0.0, 1.0 / np.where(zero, 1.0, x))


def gaps(values: Any) -> Any:
    """Return `1 / (values[j] - values[i])` at `[i, j]`, 0 where they are equal."""
    return reciprocal(values[..., None, :] - values[..., None])


def read(g: Any, upper: bool) -> Any:
    """Gather the gradient of a symmetric matrix in the triangle that NumPy reads."""
    whole = g + mT(g) - g * eye(g.shape[-1], g)
    return np.triu(whole) if upper else np.tril(whole)


# --- inverses and determinants -------------------------------------------------------------------

# fmt: off
defvjp(np.linalg.inv,     lambda g, out, a: -mT(out) @ g @ mT(out))
defvjp(np.linalg.det,     lambda g, out, a: (g * out)[..., None, None] * mT(np.linalg.inv(a)))
defvjp(np.linalg.slogdet, lambda g, out, a: g[1][..., None, None] * mT(np.linalg.inv(a)))
defvjp(np.linalg.solve,   lambda g, out, a, b: -np.linalg.solve(mT(a), g) @ mT(out),
                          lambda g, out, a, b: np.linalg.solve(mT(a), g))
# fmt: on
RULES[np.linalg.slogdet].multi = True
nograd(np.linalg.matrix_rank)


@composed(np.linalg.solve)
def solve(a: Any, b: Any) -> Any:
    """Answer `np.linalg.solve`."""
    a, b = given(a), given(b)
    if b.ndim == 1:
        return record(np.linalg.solve, a, b[:, None])[..., 0]
    return record(np.linalg.solve, a, b)


def pinv_dx(g: Any, out: Any, a: Any, rcond: Any = None) -> Any:
    """Return the gradient of the pseudo-inverse, where the rank stays the same."""
    p, gT = out, mT(g)
    left = eye(a.shape[-2], a) - a @ p
    right = eye(a.shape[-1], a) - p @ a
    return -mT(p) @ g @ mT(p) + left @ gT @ (p @ mT(p)) + (mT(p) @ p) @ gT @ right


defvjp(np.linalg.pinv, pinv_dx)


@composed(np.linalg.pinv)
def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    """Answer `np.linalg.pinv`."""
    if hermitian:
        raise TypeError("np.linalg.pinv of a Tensor computes any matrix: leave hermitian= out")
    options = {} if (rcond if rtol is None else rtol) is None else {
        "rcond": rcond if rtol is None else rtol
    }  # fmt: skip
    return record(np.linalg.pinv, a, **options)


@composed(np.linalg.lstsq)
def lstsq(a: Any, b: Any, rcond: Any = None) -> tuple[Any, Any, Any, Any]:
    """Answer `np.linalg.lstsq`; solution and residuals have gradients.

    With more rows than columns there are residuals, also where the rank is too low.
    """
    a, b = given(a), given(b)
    m, n = a.shape
    if rcond is None:
        rcond = float(np.finfo(a.dtype).eps) * max(m, n)
    elif rcond == -1:
        rcond = float(np.finfo(a.dtype).eps)
    values = np.linalg.svdvals(a) if hasattr(np.linalg, "svdvals") else svd(a)[1]
    rank = np.sum(values > rcond * np.max(values, initial=0.0)).astype(np.intc)
    x = pinv(a, rcond) @ b
    residuals = np.sum(np.atleast_2d(np.square(b - a @ x).T), axis=-1)
    if m <= n:
        residuals = np.ravel(residuals)[:0]
    return x, residuals, rank, values


@composed(np.linalg.matrix_power)
def matrix_power(a: Any, n: int) -> Any:
    """Answer `np.linalg.matrix_power` by squaring."""
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise np.linalg.LinAlgError(f"matrix_power takes square matrices, not shape {a.shape}")
    if not n:
        return np.broadcast_to(eye(a.shape[-1], a), a.shape) + a * 0
    if n < 0:
        a, n = np.linalg.inv(a), -n
    result = None
    while True:
        if n % 2:
            result = a if result is None else result @ a
        n //= 2
        if not n:
            return result
        a = a @ a


@composed(np.linalg.tensorsolve)
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    """Answer `np.linalg.tensorsolve`."""
    a, b = given(a), given(b)
    if axes is not None:
        moved = [i % a.ndim for i in axes]
        a = np.transpose(a, [i for i in range(a.ndim) if i not in moved] + moved)
    shape = a.shape[b.ndim :]
    n = math.prod(shape)
    if a.size != n * n:
        raise np.linalg.LinAlgError(f"tensorsolve takes as many equations as unknowns: {a.shape}")
    return solve(np.reshape(a, (n, n)), np.ravel(b)).reshape(shape)


@composed(np.linalg.tensorinv)
def tensorinv(a: Any, ind: int = 2) -> Any:
    """Answer `np.linalg.tensorinv`."""
    if ind <= 0:
        raise ValueError(f"tensorinv takes ind of 1 or more, not {ind}")
    n = math.prod(a.shape[ind:])
    return np.linalg.inv(np.reshape(a, (n, -1))).reshape(a.shape[ind:] + a.shape[:ind])


# --- factors -------------------------------------------------------------------------------------


def cholesky_dx(g: Any, out: Any, a: Any, upper: bool = False) -> Any:
    """Return the gradient of a triangular factor (Murray, 2016, arXiv:1602.07527)."""
    if upper:
        g, out = mT(g), mT(out)
    inner = np.tril(mT(out) @ np.tril(g))
    inner = inner - 0.5 * inner * eye(inner.shape[-1], inner)
    half = np.linalg.solve(mT(out), mT(np.linalg.solve(mT(out), mT(inner))))
    return read(0.5 * (half + mT(half)), upper)


defvjp(np.linalg.cholesky, cholesky_dx)


def qr_dx(g: Any, out: Any, a: Any) -> Any:
    """Return the gradient of `q, r` for a matrix that is no wider than it is high."""
    (gq, gr), (q, r) = g, out
    m = r @ mT(gr) - mT(gq) @ q
    whole = np.tril(m) + mT(np.tril(m, -1))
    return mT(np.linalg.solve(r, mT(gq + q @ whole)))


defvjp(np.linalg.qr, qr_dx)
RULES[np.linalg.qr].multi = True
QR: Any = type(np.linalg.qr(np.zeros((0, 0))))


@composed(np.linalg.qr)
def qr(a: Any, mode: str = "reduced") -> Any:
    """Answer `np.linalg.qr`."""
    m, n = a.shape[-2:]
    if mode not in ("reduced", "r") and not (mode == "complete" and m <= n):
        raise TypeError(
            f"np.linalg.qr of a Tensor, shape {a.shape}, in mode {mode!r} is not determined by "
            'its derivative: write mode="reduced"'
        )
    factors: Any = record(np.linalg.qr, a[..., :m] if n > m else a)
    if n > m:
        rest = mT(factors[0]) @ a[..., m:]
        factors = QR(factors[0], np.concatenate([factors[1], rest], axis=-1))
    return factors[1] if mode == "r" else factors


def eigh_dx(g: Any, out: Any, a: Any, UPLO: str = "L") -> Any:
    """Return the gradient of eigenvalues and eigenvectors of a symmetric matrix."""
    (gw, gv), (w, v) = g, out
    inner = gaps(w) * (mT(v) @ gv) + gw[..., None] * eye(w.shape[-1], w)
    whole = v @ inner @ mT(v)
    return read(0.5 * (whole + mT(whole)), UPLO.upper() == "U")


def eig_dx(g: Any, out: Any, a: Any) -> Any:
    """Return the gradient of real eigenvalues and eigenvectors of length 1."""
    (gw, gv), (w, v) = g, out
    one = eye(w.shape[-1], w)
    inner = mT(v) @ gv
    inner = inner - (mT(v) @ v) * np.sum(inner * one, axis=-1)[..., None, :]
    return np.linalg.solve(mT(v), (gw[..., None] * one + gaps(w) * inner) @ mT(v))


defvjp(np.linalg.eigh, eigh_dx)


@primitive(looks_through=False)
def real_eig(a: Any) -> Any:
    """Return eigenvalues and vectors where all are real; NumPy 2.5 hands them out as complex."""
    found = np.linalg.eig(a)
    if found[0].dtype.kind == "c":
        if np.any(found[0].imag):
            raise TypeError("this matrix has complex eigenvalues: a Tensor holds real numbers only")
        return type(found)(found[0].real, found[1].real)
    return found


defvjp(real_eig, eig_dx)
RULES[np.linalg.eigh].multi = RULES[real_eig].multi = True


@composed(np.linalg.eig)
def eig(a: Any) -> Any:
    """Answer `np.linalg.eig`."""
    return real_eig(a)


@composed(np.linalg.eigvals)
def eigvals(a: Any) -> Any:
    """Answer `np.linalg.eigvals`."""
    return np.linalg.eig(a)[0]


@composed(np.linalg.eigvalsh)
def eigvalsh(a: Any, UPLO: Any = "L") -> Any:
    """Answer `np.linalg.eigvalsh`."""
    return np.linalg.eigh(a, UPLO)[0]


def svd_dx(g: Any, out: Any, a: Any, full_matrices: bool = False) -> Any:
    """Return the gradient of `u, s, vh` (Townsend, 2016: Differentiating the SVD)."""
    (gu, gs, gvh), (u, s, vh) = g, out
    one = eye(s.shape[-1], s)
    f = gaps(s * s)
    left, right = mT(u) @ gu, vh @ mT(gvh)
    inner = (
        (f * (left - mT(left))) * s[..., None, :]
        + s[..., None] * (f * (right - mT(right)))
        + gs[..., None] * one
    )
    whole = u @ inner @ vh
    inverse = reciprocal(s)
    if u.shape[-2] > s.shape[-1]:
        outside = gu - u @ left
        whole = whole + (outside * inverse[..., None, :]) @ vh
    if vh.shape[-1] > s.shape[-1]:
        outside = gvh - mT(right) @ vh
        whole = whole + u @ (inverse[..., None] * outside)
    return whole


defvjp(np.linalg.svd, svd_dx)
RULES[np.linalg.svd].multi = True


@composed(np.linalg.svd)
def svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    """Answer `np.linalg.svd`."""
    if hermitian:
        raise TypeError("np.linalg.svd of a Tensor computes any matrix: leave hermitian= out")
    if compute_uv and full_matrices and a.shape[-1] != a.shape[-2]:
        raise TypeError(
            f"np.linalg.svd of a Tensor, shape {a.shape}: the vectors that complete a basis are "
            "not determined; write full_matrices=False"
        )
    factors = record(np.linalg.svd, a, full_matrices=False)
    return factors if compute_uv else factors[1]


def _svdvals(x: Any, /) -> Any:
    """Answer `np.linalg.svdvals`."""
    return svd(x, compute_uv=False)


if hasattr(np.linalg, "svdvals"):
    composed(np.linalg.svdvals)(_svdvals)


# --- norms ---------------------------------------------------------------------------------------


def length(x: Any, axis: Any, keepdims: bool = True) -> Any:
    """Return the root of the sum of squares, whose gradient at 0 is 0."""
    squares = np.sum(x * x, axis=axis, keepdims=keepdims)
    return root(squares, 2)


def root(x: Any, order: float) -> Any:
    """Return `x ** (1 / order)`; at 0 it is 0 with gradient 0."""
    zero = x == 0
    safe = np.where(zero, 1.0, x)
    power = np.sqrt(safe) if order == 2 else safe ** (1 / order)
    return np.where(zero, 0.0, power)


def vector_length(x: Any, order: Any, axis: Any, keepdims: bool) -> Any:
    """Return the norm of vectors along `axis` (all axes for None)."""
    if order is None or order == 2:
        return length(x, axis, keepdims)
    sizes = np.abs(x)
    if order == math.inf:
        return np.max(sizes, axis=axis, keepdims=keepdims)
    if order == -math.inf:
        return np.min(sizes, axis=axis, keepdims=keepdims)
    if order == 0:
        return np.sum((x != 0).astype(x.dtype), axis=axis, keepdims=keepdims)
    if order == 1:
        return np.sum(sizes, axis=axis, keepdims=keepdims)
    if isinstance(order, str):
        raise ValueError(f"{order!r} is no norm of a vector")
    return root(np.sum(sizes**order, axis=axis, keepdims=keepdims), order)


def matrix_length(x: Any, order: Any, axes: tuple[int, int], keepdims: bool) -> Any:
    """Return the norm of matrices that are on two axes."""
    row, column = (i % x.ndim for i in axes)
    if row == column:
        raise ValueError("a norm of matrices takes two axes that differ")
    if order in (None, "fro"):
        return length(x, (row, column), keepdims)
    if order in (1, -1, math.inf, -math.inf):
        over = row if abs(order) == 1 else column
        sums = np.sum(np.abs(x), axis=over, keepdims=True)
        last = column if over == row else row
        found = (np.max if order > 0 else np.min)(sums, axis=last, keepdims=True)
    elif order in (2, -2, "nuc"):
        values = svd(np.moveaxis(x, (row, column), (-2, -1)), compute_uv=False)
        pick: Any = {2: np.max, -2: np.min, "nuc": np.sum}[order]
        found = np.expand_dims(pick(values, axis=-1), (row, column))
    else:
        raise ValueError(f"{order!r} is no norm of a matrix")
    return found if keepdims else np.squeeze(found, axis=(row, column))


@composed(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Answer `np.linalg.norm`."""
    x = x if x.dtype.kind == "f" else x.astype(float)
    if axis is None:
        if ord is None:
            flat = length(np.ravel(x), 0, False)
            return flat.reshape((1,) * x.ndim) if keepdims else flat
        axis = tuple(range(x.ndim))
    axes = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    if len(axes) == 1:
        return vector_length(x, ord, axes[0], keepdims)
    if len(axes) != 2:
        raise ValueError(f"np.linalg.norm takes one axis or two, not {axis}")
    return matrix_length(x, ord, axes, keepdims)


@composed(np.linalg.vector_norm)
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """Answer `np.linalg.vector_norm`."""
    x = x if x.dtype.kind == "f" else x.astype(float)
    return vector_length(x, ord, axis, keepdims)


@composed(np.linalg.matrix_norm)
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """Answer `np.linalg.matrix_norm`."""
    return matrix_length(x, ord, (-2, -1), keepdims)


@composed(np.linalg.cond)
def cond(x: Any, p: Any = None) -> Any:
    """Answer `np.linalg.cond`."""
    if p in (None, 2, -2):
        values = svd(x, compute_uv=False)
        large, small = values[..., 0], values[..., -1]
        return small / large if p == -2 else large / small
    inverse = np.linalg.inv(x)
    return matrix_length(x, p, (-2, -1), False) * matrix_length(inverse, p, (-2, -1), False)
