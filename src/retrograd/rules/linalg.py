"""`np.linalg`, over stacks of matrices.

Where there is no derivative, none is made up: singular matrices raise LinAlgError, as they do
forwards. What belongs to equal eigenvalues or singular values, whose vectors are not determined,
is nan, unless it is known to be 0. Of a symmetric matrix NumPy reads one triangle: that one gets
the whole gradient.
"""

import functools
import math
from typing import Any

import numpy as np

from retrograd.engine import (
    Tensor,
    adapted,
    complex_of,
    composed,
    defvjp,
    is_recording,
    is_rehearsal,
    nograd,
    primitive,
    record,
)
from retrograd.engine.backward import LIMITS, derivative_along, needs_limit
from retrograd.rules.axes import (
    axes_of,
    check_at_least,
    conjugate,
    is_complex,
    to_array,
    to_floats,
)
from retrograd.rules.complexes import square_size
from retrograd.rules.elementwise import kinked
from retrograd.rules.reductions import root
from retrograd.rules.shaping import at_least

# Parts of rules


def _eye(like: Any) -> Any:
    """Return the identity matrix as wide as `like`, in its dtype."""
    return np.eye(like.shape[-1], dtype=like.dtype)


def adjoint(x: Any) -> Any:
    """Return transposed matrices, of complex numbers their conjugates."""
    return conjugate(x.mT)


def _antisymmetric(x: Any) -> Any:
    """Return the antisymmetric part of matrices, which is that of turns; of complex ones too."""
    return 0.5 * (x - adjoint(x))


def _largest(x: Any) -> Any:
    """Return the largest size in each matrix, as a matrix of one element."""
    return np.max(np.abs(x), axis=(-2, -1), keepdims=True, initial=0.0)


def _rounding(x: Any) -> float:
    """Return the relative error that results of LAPACK have, as wide as `x`."""
    eps = float(np.finfo(x.dtype).eps)
    return 4.0 * int(x.shape[-1]) * eps


class Turns:
    """How vectors turn into each other as a matrix changes: divided by the gaps of their values.

    Between equal values, where the gap is 0, vectors are not determined. Still, what was made of
    them may not depend on how they turn: then the gradient of a turn is 0 there, and 0 / 0 stands
    for a limit, that for values which part. It is 0 if gradients come to the vectors alone, as in
    projections and polar factors; else it is the slope of the gradient, which can be taken where
    gradients are recorded. All that is not known is nan.

    Args:
        values: eigenvalues or singular values.
        place: which output of the call they are.
        g: the gradients of its outputs.
        out: the outputs.
        vectors: the gradients of vectors.
    """

    def __init__(self, values: Any, place: int, g: Any, out: Any, *vectors: Any) -> None:
        self.values, self.place = values, place
        self.alone = not g.came[place]
        # the limits are for real numbers: others have none
        has_limit = LIMITS and isinstance(values, Tensor) and not any(map(is_complex, vectors))
        self.whole = out[place].inputs[0] if has_limit else None
        self.least = _rounding(values) * _largest(values[..., None])
        self.size = functools.reduce(np.maximum, map(_largest, vectors))

    def divide(self, part: Any, gap: Any) -> Any:
        """Return `part / gap(values)`, with limits; `gap` is a linear function."""
        apart = gap(self.values)
        equal = np.abs(apart) <= self.least
        known = np.where(equal, 0.0, part / np.where(equal, 1.0, apart))
        unknown = np.abs(part) > 64 * _rounding(part) * self.size
        limit = self._limit(part, gap)
        if limit is None:
            return np.where(equal, np.where(unknown, math.nan, 0.0 * kinked(part, equal)), known)
        return np.where(equal, np.where(unknown, math.nan, kinked(limit, equal)), known)

    def divide_pairs(self, part: Any, gap: Any) -> Any:
        """Return `divide` of matrices with an element for each pair of values: 0 for itself."""
        same = np.eye(part.shape[-1], dtype=bool)
        return np.where(same, 0.0, self.divide(part, lambda v: np.where(same, math.inf, gap(v))))

    def _limit(self, part: Any, gap: Any) -> Any:
        """Return the limit of `part / gap(values)` as all values part, None for 0."""
        if self.alone:
            return None
        if self.whole is None or not getattr(part, "requires_grad", False):
            return np.full_like(part, math.nan)
        n = self.values.shape[-1]
        apart = np.arange(1.0, n + 1).astype(self.values.dtype)
        direction = np.broadcast_to(apart, self.values.shape)
        slope = derivative_along(part, self.whole, self.place, direction)
        return None if slope is None else slope / gap(direction)


def _unless_turned(part: Any, *vectors: Any) -> Any:
    """Return zeros; nan where a gradient turns a complex vector by a factor of length 1.

    LAPACK chooses that factor, so what depends on it has no gradient.

    Args:
        part: matrices of which the diagonal tells how each vector is turned.
        vectors: the gradients of vectors.
    """
    if not is_complex(part):
        return 0.0
    size = functools.reduce(np.maximum, map(_largest, vectors))
    turned = np.abs(np.imag(part) * _eye(part)) > 64 * _rounding(part) * size
    return np.where(turned, math.nan, 0.0)


def _difference(values: Any) -> Any:
    return values[..., None, :] - values[..., None]


def _total(values: Any) -> Any:
    return values[..., None, :] + values[..., None]


def gather_triangle(g: Any, upper: bool) -> Any:
    """Gather the gradient of a symmetric matrix in the triangle that NumPy reads."""
    whole = (g + adjoint(g)) * (1 - 0.5 * _eye(g))
    return np.triu(whole) if upper else np.tril(whole)


def _pinv_dx(g: Any, out: Any, a: Any, rcond: Any = None) -> Any:
    """Golub and Pereyra 1973, "The differentiation of pseudo-inverses": the rank is constant."""
    p, left, right = out, a @ out, out @ a
    back, turned = adjoint(g), adjoint(p)
    grown = (_eye(left) - left) @ back @ (p @ turned) + (turned @ p) @ back @ (_eye(right) - right)
    return grown - turned @ g @ turned


def _cholesky_dx(g: Any, out: Any, a: Any, upper: bool = False) -> Any:
    """Murray 2016, "Differentiation of the Cholesky decomposition", arXiv:1602.07527."""
    if upper:
        g, out = adjoint(g), adjoint(out)
    inner = np.tril(adjoint(out) @ np.tril(g))
    inner = inner - 0.5 * inner * _eye(inner)
    upper_factor = adjoint(out)
    half = adjoint(np.linalg.solve(upper_factor, adjoint(inner)))
    return gather_triangle(np.linalg.solve(upper_factor, half), upper)


def _qr_dx(g: Any, out: Any, a: Any) -> Any:
    """For a matrix that is no wider than it is high: `_qr` sees to the others."""
    (gq, gr), (q, r) = g, out
    m = r @ adjoint(gr) - adjoint(gq) @ q
    below = np.tril(m, -1)
    # the diagonal of r is real
    whole = below + adjoint(below) + np.real(m) * _eye(m)
    return adjoint(np.linalg.solve(r, adjoint(gq + q @ whole)))


def _eigh_dx(g: Any, out: Any, a: Any, UPLO: str = "L") -> Any:
    (gw, gv), (w, v) = g, out
    inner = gw[..., None] * _eye(v)
    if g.came[1]:
        part = _antisymmetric(adjoint(v) @ gv)
        inner = inner + Turns(w, 0, g, out, gv).divide_pairs(part, _difference)
        inner = inner + _unless_turned(part, gv)
    return gather_triangle(v @ inner @ adjoint(v), UPLO.upper() == "U")


def _eig_dx(g: Any, out: Any, a: Any) -> Any:
    """For vectors of length 1."""
    (gw, gv), (w, v) = g, out
    back = adjoint(v)
    # what all values have in common does not come from the vectors: that of a trace is the identity
    common = gw[..., :1]
    inner = (gw - common)[..., None] * _eye(v)
    if g.came[1]:
        part = back @ gv
        along = np.sum(part * _eye(v), axis=-1)  # the vectors keep their lengths
        inner = inner + _unless_turned(part, gv)
        part = part - (back @ v) * np.real(along)[..., None, :]
        turns = Turns(w, 0, g, out, gv)
        inner = inner + turns.divide_pairs(part, lambda w: conjugate(_difference(w)))
    return np.linalg.solve(back, inner @ back) + common[..., None] * _eye(v)


def _slogdet_da(g: Any, out: Any, a: Any) -> Any:
    """Return the gradient of the logarithm of the determinant: the angle of its sign is one part.

    The sign of real numbers has none.
    """
    slope = g[1]
    if is_complex(a):
        slope = slope + 1j * np.imag(g[0] * np.conjugate(out[0]))
    return slope[..., None, None] * adjoint(np.linalg.inv(a))


def _svd_dx(g: Any, out: Any, a: Any, full_matrices: bool = False) -> Any:
    """Townsend 2016, "Differentiating the singular value decomposition".

    Both bases turn by the same angle as the values' gaps say, and against each other by another
    one, which is determined for equal values too.
    """
    (gu, gs, gvh), (u, s, vh) = g, out
    inner = gs[..., None] * _eye(s)
    if not (g.came[0] or g.came[2]):
        return u @ inner @ vh
    turns = Turns(s, 1, g, out, gu, gvh)
    left, right = adjoint(u) @ gu, vh @ adjoint(gvh)
    one, two = _antisymmetric(left), _antisymmetric(right)
    inner = inner + turns.divide_pairs(one + two, _difference)
    inner = inner + _unless_turned(one + two, gu, gvh)
    if is_complex(u):  # a pair of vectors may turn against each other, by an angle
        inner = inner + turns.divide(one - two, _total)
    else:
        inner = inner + turns.divide_pairs(one - two, _total)
    whole = u @ inner @ vh
    if u.shape[-2] > s.shape[-1]:
        whole = whole + turns.divide(gu - u @ left, lambda v: v[..., None, :]) @ vh
    if vh.shape[-1] > s.shape[-1]:
        whole = whole + u @ turns.divide(gvh - adjoint(right) @ vh, lambda v: v[..., None])
    return whole


class ComplexEigenvaluesError(TypeError):
    """A real matrix has complex eigenvalues where real ones were needed."""


@primitive(looks_through=False)
def real_eig(a: Any) -> Any:
    """Return real eigenvalues and vectors of a real matrix; NumPy 2.5 has them as complex."""
    found: Any = np.linalg.eig(a)
    if is_complex(found[0]):
        if np.any(found[0].imag):
            raise ComplexEigenvaluesError(
                "a real matrix has complex eigenvalues, and in a compiled function values cannot "
                "decide the dtype: write np.linalg.eig(a.astype(complex)), complex for all"
            )
        return found._make(part.real for part in found)
    return found


@primitive(looks_through=False)
def complex_eig(a: Any) -> Any:
    """Return eigenvalues and vectors as complex numbers."""
    found: Any = np.linalg.eig(a)
    kind = complex_of(found[0].dtype)
    return found._make(part.astype(kind, copy=False) for part in found)


def eig(a: Any) -> Any:
    """Return eigenvalues and vectors: real where all those of a real matrix are."""
    if is_complex(a):
        return complex_eig(a)
    try:
        return real_eig(a)
    except ComplexEigenvaluesError:
        if is_rehearsal():
            raise
        return complex_eig(a)


# The rules

# fmt: off
defvjp(np.linalg.inv,     lambda g, out, a: -out.mT @ g @ out.mT)
defvjp(np.linalg.det,     lambda g, out, a: (g * out)[..., None, None] * np.linalg.inv(a).mT)
defvjp(np.linalg.slogdet, _slogdet_da, multi=True, analytic=False)
defvjp(np.linalg.solve,   lambda g, out, a, b: -np.linalg.solve(a.mT, g) @ out.mT,
                          lambda g, out, a, b: np.linalg.solve(a.mT, g))
# fmt: on
defvjp(np.linalg.pinv, _pinv_dx, analytic=False)
defvjp(np.linalg.cholesky, _cholesky_dx, analytic=False)
defvjp(np.linalg.qr, _qr_dx, multi=True, analytic=False)
defvjp(np.linalg.eigh, _eigh_dx, multi=True, analytic=False)
defvjp(real_eig, _eig_dx, multi=True, analytic=False)
defvjp(complex_eig, _eig_dx, multi=True, analytic=False)
defvjp(np.linalg.svd, _svd_dx, multi=True, analytic=False)
nograd(np.linalg.matrix_rank)


# Decompositions and systems of equations

composed(np.linalg.eigvals)(lambda a: eig(a)[0])
composed(np.linalg.eigvalsh)(lambda a, UPLO="L": record(np.linalg.eigh, a, UPLO=UPLO)[0])


def _with_limits(factors: Any, place: int) -> Any:
    """Return the outputs of a decomposition; note it if it has equal values, or the value 0.

    A program has limits whatever the values are when it is recorded, since those of its runs may
    be equal.
    """
    values = factors[place]
    if values.requires_grad and (is_recording() or _has_equal(values._array, place > 0)):
        needs_limit(values.inputs[0])
    return factors


def _has_equal(values: Any, zero_counts: bool) -> bool:
    """Tell whether values are equal but for rounding, or, if that counts, 0."""
    least = _rounding(values) * np.max(np.abs(values), axis=-1, keepdims=True, initial=0.0)
    gaps = np.diff(np.sort(values, axis=-1), axis=-1)
    return bool(np.any(gaps <= least) or (zero_counts and np.any(np.abs(values) <= least)))


@adapted(np.linalg.eigh)
def _eigh(a: Any, UPLO: str = "L") -> Any:
    return _with_limits(record(np.linalg.eigh, a, UPLO=UPLO), 0)


@adapted(np.linalg.eig)
def _eig(a: Any) -> Any:
    return _with_limits(eig(a), 0)


@adapted(np.linalg.solve)
def _solve(a: Any, b: Any) -> Any:
    a, b = to_array(a), to_array(b)
    if b.ndim == 1:
        return record(np.linalg.solve, a, b[:, None])[..., 0]
    return record(np.linalg.solve, a, b)


@adapted(np.linalg.pinv)
def _pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    if hermitian:  # NumPy reads the lower triangle alone, and so does its gradient
        a = to_array(a)
        below = np.tril(a, -1)
        diagonal = np.where(np.eye(a.shape[-1], dtype=bool), np.real(a), 0.0)
        a = below + adjoint(below) + diagonal
    rcond = rcond if rtol is None else rtol
    return record(np.linalg.pinv, a, **({} if rcond is None else {"rcond": rcond}))


@composed(np.linalg.lstsq)
def _lstsq(a: Any, b: Any, rcond: Any = None) -> tuple[Any, Any, Any, Any]:
    """With more rows than columns there are residuals, whatever the rank, unlike NumPy's."""
    a, b = to_array(a), to_array(b)
    # whole numbers are computed with as float64
    kind = np.result_type(*(x.dtype if x.dtype.kind in "fc" else float for x in (a, b)))
    a, b = (x if x.dtype == kind else x.astype(kind) for x in (a, b))
    m, n = a.shape
    if rcond is None or rcond == -1:
        rcond = float(np.finfo(a.dtype).eps) * (max(m, n) if rcond is None else 1)
    values = np.linalg.svd(a, compute_uv=False)
    rank = np.linalg.matrix_rank(a, rtol=rcond).astype(np.intc)
    x = _pinv(a, rcond) @ b
    residuals = np.sum(at_least(2, square_size(b - a @ x).T), axis=-1)
    return x, residuals if m > n else np.ravel(residuals)[:0], rank, values


@composed(np.linalg.matrix_power)
def _matrix_power(a: Any, n: int) -> Any:
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise np.linalg.LinAlgError(f"matrix_power takes square matrices, not shape {a.shape}")
    if n < 0:
        return _matrix_power(np.linalg.inv(a), -n)
    if n < 2:
        return a if n else np.broadcast_to(_eye(a), a.shape) + a * 0
    half = _matrix_power(a, n // 2)
    square = half @ half
    return square @ a if n % 2 else square


@composed(np.linalg.tensorsolve)
def _tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    a, b = to_array(a), to_array(b)
    if axes is not None:
        moved = [*axes_of(a, tuple(axes))]
        a = np.transpose(a, [i for i in range(a.ndim) if i not in moved] + moved)
    shape = a.shape[b.ndim :]
    n = math.prod(shape)
    if a.size != n * n:
        raise np.linalg.LinAlgError(f"tensorsolve of {a.shape}: as many equations as unknowns")
    return _solve(np.reshape(a, (n, n)), np.ravel(b)).reshape(shape)


@composed(np.linalg.tensorinv)
def _tensorinv(a: Any, ind: int = 2) -> Any:
    check_at_least(1, "np.linalg.tensorinv", "ind", ind)
    n = math.prod(a.shape[ind:])
    return np.linalg.inv(np.reshape(a, (n, -1))).reshape(a.shape[ind:] + a.shape[:ind])


_QR: Any = type(np.linalg.qr(np.zeros((0, 0))))  # the named tuple of both factors


@composed(np.linalg.qr)
def _qr(a: Any, mode: str = "reduced") -> Any:
    """Of a wide matrix the first, square part is decomposed; of the rest, `r` has `q.T @ rest`."""
    m, n = a.shape[-2:]
    if mode not in ("reduced", "r") and not (mode == "complete" and m <= n):
        raise TypeError(
            f"np.linalg.qr of a Tensor, shape {a.shape}, in mode {mode!r} has no derivative: "
            'write mode="reduced"'
        )
    factors: Any = record(np.linalg.qr, a[..., :m] if n > m else a)
    if n > m:
        q, r = factors
        factors = _QR(q, np.concatenate([r, adjoint(q) @ a[..., m:]], axis=-1))
    return factors[1] if mode == "r" else factors


@adapted(np.linalg.svd)
def _svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    if hermitian:
        raise TypeError("np.linalg.svd of a Tensor is for any matrix: leave hermitian= out")
    if compute_uv and full_matrices and a.shape[-1] != a.shape[-2]:
        raise TypeError(
            f"np.linalg.svd of a Tensor, shape {a.shape}: the vectors that complete a basis have "
            "no derivative; write full_matrices=False"
        )
    factors = record(np.linalg.svd, a, full_matrices=False)
    return _with_limits(factors, 1) if compute_uv else factors[1]


if hasattr(np.linalg, "svdvals"):
    adapted(np.linalg.svdvals)(lambda x, /: _svd(x, compute_uv=False))


# Norms


def _vector_length(x: Any, order: Any, axis: Any, keepdims: bool = True) -> Any:
    """Return the norm of vectors along `axis`."""
    if isinstance(order, str):
        raise ValueError(f"{order!r} is no norm of a vector")
    over = {"axis": axis, "keepdims": keepdims}
    if order is None or order == 2:
        return root(np.sum(square_size(x), **over))
    if is_complex(x):
        x = np.abs(x)
    if order == 0:
        return np.sum((x != 0).astype(x.dtype), **over)
    if abs(order) == math.inf:
        return (np.max if order > 0 else np.min)(np.abs(x), **over)
    if order == 1:
        return np.sum(np.abs(x), **over)
    return root(np.sum(_size_power(x, order), **over), order)


@primitive
def _size_power(x: Any, order: float) -> Any:
    """Return `abs(x) ** order`, at 0 with gradient 0 whatever the order."""
    zero = x == 0
    return np.where(zero, math.inf if order < 0 else 0.0, np.where(zero, 1.0, np.abs(x)) ** order)


@primitive
def _signed_power(x: Any, order: float) -> Any:
    """Return `sign(x) * abs(x) ** order`, and 0 at 0."""
    return np.sign(x) * np.where(x == 0, 1.0, np.abs(x)) ** order


def _signed_power_dx(g: Any, out: Any, x: Any, order: float) -> Any:
    """Return the gradient: at 0 there is none, unless the order is above 1."""
    slope = order * _size_power(x, order - 1)
    return g * (slope if order > 1 else np.where(x == 0, math.nan, slope))


defvjp(_size_power, lambda g, out, x, order: g * order * _signed_power(x, order - 1))
defvjp(_signed_power, _signed_power_dx)


def _matrix_length(x: Any, order: Any, axes: Any = (-2, -1), keepdims: bool = False) -> Any:
    """Return the norm of matrices on two axes."""
    row, column = axes_of(x, axes)
    if order in (None, "fro"):
        return _vector_length(x, 2, (row, column), keepdims)
    if order in (1, -1, math.inf, -math.inf):
        over, last = (row, column) if abs(order) == 1 else (column, row)
        sums = np.sum(np.abs(x), axis=over, keepdims=True)
        found = (np.max if order > 0 else np.min)(sums, axis=last, keepdims=True)
    elif order in (2, -2, "nuc"):
        values = _svd(np.moveaxis(x, (row, column), (-2, -1)), compute_uv=False)
        pick: Any = {2: np.max, -2: np.min, "nuc": np.sum}[order]
        found = np.expand_dims(pick(values, axis=-1), (row, column))
    else:
        raise ValueError(f"{order!r} is no norm of a matrix")
    return found if keepdims else np.squeeze(found, axis=(row, column))


@composed(np.linalg.norm)
def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    x = to_floats(x)
    if axis is None and ord is None:
        return _vector_length(x, None, None, keepdims)
    axes = axes_of(x, tuple(axis) if isinstance(axis, list) else axis)
    if len(axes) == 1:
        return _vector_length(x, ord, axes[0], keepdims)
    if len(axes) != 2:
        raise ValueError(f"np.linalg.norm takes one axis or two, not {axes}")
    return _matrix_length(x, ord, axes, keepdims)


# fmt: off
composed(np.linalg.vector_norm)(lambda x, /, *, axis=None, keepdims=False, ord=2:
    _vector_length(to_floats(x), ord, axis, keepdims))
composed(np.linalg.matrix_norm)(lambda x, /, *, keepdims=False, ord="fro":
    _matrix_length(x, ord, keepdims=keepdims))
# fmt: on


@composed(np.linalg.cond)
def _cond(x: Any, p: Any = None) -> Any:
    if p in (None, 2, -2):
        values = _svd(x, compute_uv=False)
        large, small = values[..., 0], values[..., -1]
        return small / large if p == -2 else large / small
    return _matrix_length(x, p) * _matrix_length(np.linalg.inv(x), p)
