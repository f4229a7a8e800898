"""Products of arrays, most of them made of `np.matmul` and `np.einsum`."""

import functools
import math
from typing import Any

import numpy as np

from retrograd.engine import adapted, composed, defvjp, defvjp_joint, record
from retrograd.rules.axes import axes_of, check_at_least, conjugate, to_array
from retrograd.rules.shaping import at_least


def swap_last(x: Any) -> Any:
    """Return matrices transposed; the methods cost a fifth of `np.swapaxes`."""
    return x.T if x.ndim == 2 else x.swapaxes(-1, -2)


def _matmul_dx(g: Any, out: Any, x: Any, y: Any) -> Any:
    if y.ndim == 1:
        return g[..., None] * y
    if x.ndim == 1:
        return np.matmul(g[..., None, :], swap_last(y))[..., 0, :]
    return np.matmul(g, swap_last(y))


def _matmul_dy(g: Any, out: Any, x: Any, y: Any) -> Any:
    if x.ndim == 1:
        return g[..., None, :] * x[:, None] if y.ndim > 1 else g * x
    if y.ndim == 1:
        return np.matmul(g.reshape(-1), x.reshape((g.size, x.shape[-1])))
    if y.ndim == 2 and x.ndim > 2:  # one product in place of a stack
        rows = math.prod(x.shape[:-1])
        x, g = x.reshape((rows, x.shape[-1])), g.reshape((rows, g.shape[-1]))
    return np.matmul(swap_last(x), g)


defvjp(np.matmul, _matmul_dx, _matmul_dy)


@composed(np.dot)
def _dot(a: Any, b: Any, out: Any = None) -> Any:
    a, b = to_array(a), to_array(b)
    if not a.ndim or not b.ndim:
        return a * b
    if b.ndim <= 2 and (a.ndim <= 2 or b.ndim == 1):
        return np.matmul(a, b)
    return _tensordot(a, b, (-1, -2))


@composed(np.tensordot)
def _tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    a, b = to_array(a), to_array(b)
    if isinstance(axes, int):
        axes = range(a.ndim - axes, a.ndim), range(axes)
    over_a, over_b = ([ax] if isinstance(ax, int) else list(ax) for ax in axes)
    over_a, over_b = [*axes_of(a, tuple(over_a))], [*axes_of(b, tuple(over_b))]
    summed = [a.shape[i] for i in over_a]
    if summed != [b.shape[i] for i in over_b]:
        raise ValueError(f"np.tensordot: {over_a} of {a.shape} are not {over_b} of {b.shape}")
    a = np.transpose(a, [i for i in range(a.ndim) if i not in over_a] + over_a)
    b = np.transpose(b, over_b + [i for i in range(b.ndim) if i not in over_b])
    rows, columns, n = a.shape[: -len(summed) or None], b.shape[len(summed) :], math.prod(summed)
    left = np.reshape(a, (math.prod(rows), n))
    right = np.reshape(b, (n, math.prod(columns)))
    return np.reshape(np.matmul(left, right), rows + columns)


# Einstein sums

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def contract(*operands: Any, subscripts: str, optimize: Any = False) -> Any:
    """Return `np.einsum` with the operands as arguments, so that each may be a Tensor."""
    return np.einsum(subscripts, *operands, optimize=optimize)


def _contract_joint(
    needed: Any, g: Any, out: Any, *operands: Any, subscripts: str, optimize: Any = False
) -> Any:
    return [_contract_piece(i, g, operands, subscripts, optimize) for i in needed]


def _contract_piece(position: int, g: Any, operands: Any, subscripts: str, optimize: Any) -> Any:
    """Return the gradient of one operand: `g` contracted with all others.

    An axis that appears nowhere else was summed: the gradient is repeated along it, which is a
    product with ones.
    """
    inputs, result = subscripts.split("->")
    names, arrays = inputs.split(","), [*operands]
    here, term = arrays[position], names[position]
    names[position], arrays[position] = result, g
    sizes = dict(zip(term, here.shape, strict=True))
    # a name that the operand repeats is a diagonal: its second axis gets a name of its own, and
    # an identity matrix puts the gradient on the diagonal
    spare = (c for c in _LETTERS if c not in subscripts)
    target = ""
    for name in term:
        if name in target:
            fresh = next(spare)
            arrays.append(np.eye(sizes[name], dtype=here.dtype))
            names.append(name + fresh)
            name = fresh
        target += name
    for name in target:
        if not any(name in t for t in names):
            arrays.append(np.ones(sizes[name], dtype=here.dtype))
            names.append(name)
    return np.einsum(f"{','.join(names)}->{target}", *arrays, optimize=optimize)


defvjp_joint(contract, _contract_joint, title="np.einsum")


@adapted(np.einsum)
def _einsum(*operands: Any, optimize: Any = False) -> Any:
    if not isinstance(operands[0], str):
        operands = _from_lists(operands)
    subscripts, arrays = operands[0].replace(" ", ""), tuple(map(to_array, operands[1:]))
    return record(contract, *arrays, subscripts=_explicit(subscripts, arrays), optimize=optimize)


def _from_lists(operands: tuple[Any, ...]) -> tuple[Any, ...]:
    """Turn `a, [0, 1], b, [1, 2], [0, 2]` into `"ab,bc->ac", a, b`."""
    text = ["".join("..." if i is Ellipsis else _LETTERS[i] for i in axes)
            for axes in (*operands[1::2], *operands[len(operands) // 2 * 2 :])]  # fmt: skip
    n = len(operands) // 2
    return "->".join([",".join(text[:n]), *text[n:]]), *operands[: 2 * n : 2]


def _explicit(subscripts: str, arrays: tuple[Any, ...]) -> str:
    """Return subscripts with a result, and with letters in place of ellipses."""
    # letters of an ellipsis are counted from the last, since shorter ones broadcast with longer
    inputs, arrow, result = subscripts.partition("->")
    terms = inputs.split(",")
    if len(terms) != len(arrays):
        raise ValueError(f"np.einsum: {subscripts!r} names {len(terms)} arrays, got {len(arrays)}")
    spare = "".join(c for c in reversed(_LETTERS) if c not in subscripts)
    ellipsis = ""
    for i, (term, array) in enumerate(zip(terms, arrays, strict=True)):
        if "..." in term:
            axes = np.ndim(array) - len(term.replace("...", ""))
            hidden = spare[len(spare) - axes :]
            terms[i] = term.replace("...", hidden)
            ellipsis = max(ellipsis, hidden, key=len)
    if arrow:
        result = result.replace("...", ellipsis)
    else:
        named = "".join(terms)
        once = sorted(c for c in set(named) if named.count(c) == 1 and c not in ellipsis)
        result = ellipsis + "".join(once)
    return f"{','.join(terms)}->{result}"


# Of vectors


def _inner(a: Any, b: Any) -> Any:
    return _tensordot(a, b, (-1, -1)) if a.ndim and b.ndim else a * b


@composed(np.vecdot, np.linalg.vecdot)
def _vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    left, right = (np.moveaxis(to_array(x), axis, -1) for x in (x1, x2))
    if left.shape[-1] != right.shape[-1]:
        raise ValueError(f"np.vecdot of shapes {left.shape} and {right.shape}: last axes differ")
    return np.matmul(conjugate(left)[..., None, :], right[..., None])[..., 0, 0]


@composed(np.linalg.outer)
def _linalg_outer(x1: Any, x2: Any, /) -> Any:
    x1, x2 = to_array(x1), to_array(x2)
    if x1.ndim != 1 or x2.ndim != 1:
        raise ValueError(f"np.linalg.outer of shapes {x1.shape} and {x2.shape}: one axis")
    return np.outer(x1, x2)


# fmt: off
if hasattr(np, "matvec"):  # NumPy 2.2
    composed(np.matvec)(lambda x1, x2, /: np.matmul(x1, to_array(x2)[..., None])[..., 0])
    composed(np.vecmat)(lambda x1, x2, /:
        np.matmul(conjugate(to_array(x1))[..., None, :], x2)[..., 0, :])
composed(np.outer)(lambda a, b, out=None: np.ravel(to_array(a))[:, None] * np.ravel(to_array(b)))
composed(np.vdot)(lambda a, b:
    np.matmul(conjugate(np.ravel(to_array(a))), np.ravel(to_array(b))))
composed(np.inner)(lambda a, b: _inner(to_array(a), to_array(b)))
adapted(np.linalg.matmul)(lambda x1, x2, /: np.matmul(x1, x2))
composed(np.linalg.tensordot)(lambda x1, x2, /, *, axes=2: np.tensordot(x1, x2, axes))
composed(np.linalg.cross)(lambda x1, x2, /, *, axis=-1: np.cross(x1, x2, axis=axis))
# fmt: on


@composed(np.kron)
def _kron(a: Any, b: Any) -> Any:
    a, b = to_array(a), to_array(b)
    n = max(a.ndim, b.ndim)
    sa, sb = ((1,) * (n - x.ndim) + x.shape for x in (a, b))
    left = np.reshape(a, [m for i in sa for m in (i, 1)])
    right = np.reshape(b, [m for i in sb for m in (1, i)])
    return np.reshape(left * right, tuple(i * j for i, j in zip(sa, sb, strict=True)))


@composed(np.cross)
def _cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Any:
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = np.moveaxis(to_array(a), axisa, -1), np.moveaxis(to_array(b), axisb, -1)
    if a.shape[-1] != 3 or b.shape[-1] != 3:
        raise ValueError(
            f"np.cross takes vectors of length 3, not {a.shape[-1]} and {b.shape[-1]}; of two "
            "numbers, write x[..., 0] * y[..., 1] - x[..., 1] * y[..., 0]"
        )
    # (a x b)[i + 2] = a[i] b[i + 1] - a[i + 1] b[i], counted round
    later = a * np.roll(b, -1, axis=-1) - np.roll(a, -1, axis=-1) * b
    return np.moveaxis(np.roll(later, -1, axis=-1), -1, axisc)


# Convolutions


def _convolve_piece(g: Any, other: Any, n: int) -> Any:
    """Return the gradient of the factor of length `n`: `g` correlated with the other one."""
    m = other.shape[0]
    return np.convolve(g, other[::-1])[m - 1 : m - 1 + n]


defvjp(
    np.convolve,
    lambda g, out, a, v: _convolve_piece(g, v, a.shape[0]),
    lambda g, out, a, v: _convolve_piece(g, a, v.shape[0]),
)


@composed(np.convolve)
def _convolve(a: Any, v: Any, mode: str = "full") -> Any:
    a, v = at_least(1, to_array(a)), at_least(1, to_array(v))
    return _cut(a, v, mode, (min(a.shape[0], v.shape[0]) - 1) // 2)


@composed(np.correlate)
def _correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    a, v = at_least(1, to_array(a)), at_least(1, to_array(v))
    n, m = a.shape[0], v.shape[0]
    return _cut(a, conjugate(v[::-1]), mode, (m - 1) // 2 if m <= n else n // 2)


def _cut(a: Any, v: Any, mode: str, start: int) -> Any:
    """Return what a mode leaves of the convolution; "same" begins at `start`."""
    full = record(np.convolve, a, v)
    short, long = sorted((a.shape[0], v.shape[0]))
    if mode == "full":
        return full
    if mode not in ("same", "valid"):
        raise ValueError(f'a convolution takes mode "full", "same" or "valid", not {mode!r}')
    return full[short - 1 : long] if mode == "valid" else full[start : start + long]


# Of several matrices


@composed(np.linalg.multi_dot)
def _multi_dot(arrays: Any, *, out: Any = None) -> Any:
    arrays = [to_array(a) for a in arrays]
    check_at_least(2, "np.linalg.multi_dot", "arrays", len(arrays))
    first, last = math.prod(arrays[0].shape[:-1]), math.prod(arrays[-1].shape[1:])
    sizes = [first, *(a.shape[-1] for a in arrays[:-1]), last]

    @functools.cache
    def plan(i: int, j: int) -> tuple[int, int]:
        """Return the fewest multiplications for factors i to j, and after which to cut."""
        cuts = (
            (plan(i, k)[0] + plan(k + 1, j)[0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
            for k in range(i, j)
        )
        return min(cuts, default=(0, i))

    def product(i: int, j: int) -> Any:
        if i == j:
            return arrays[i]
        k = plan(i, j)[1]
        return np.matmul(product(i, k), product(k + 1, j))

    return product(0, len(arrays) - 1)
