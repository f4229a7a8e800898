"""Products of arrays: `matmul` and `einsum` have rules, the others are put together from them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retrograd.core import record
from retrograd.registry import composed, defvjp, defvjp_each
from retrograd.rules.reductions import given


def turned(x: Any) -> Any:
    """Return a stack of matrices transposed; the method costs a fifth of `np.swapaxes`."""
    return x.T if x.ndim == 2 else x.swapaxes(-1, -2)


def matmul_dx(g: Any, out: Any, x: Any, y: Any) -> Any:
    """Return the gradient to the left factor."""
    if y.ndim == 1:
        return g[..., None] * y
    if x.ndim == 1:
        return np.matmul(g[..., None, :], turned(y))[..., 0, :]
    return np.matmul(g, turned(y))


def matmul_dy(g: Any, out: Any, x: Any, y: Any) -> Any:
    """Return the gradient to the right factor; a stack of `x` is folded into one product."""
    if x.ndim == 1:
        return g[..., None, :] * x[:, None] if y.ndim > 1 else g * x
    if y.ndim == 1:
        return np.matmul(g.reshape(-1), x.reshape((g.size, x.shape[-1])))
    if y.ndim == 2 and x.ndim > 2:
        rows = math.prod(x.shape[:-1])
        x, g = x.reshape((rows, x.shape[-1])), g.reshape((rows, g.shape[-1]))
    return np.matmul(turned(x), g)


defvjp(np.matmul, matmul_dx, matmul_dy)


@composed(np.dot)
def dot(a: Any, b: Any, out: Any = None) -> Any:
    """Answer `np.dot`: a product of numbers, of matrices, or over one axis of each."""
    na, nb = np.ndim(a), np.ndim(b)
    if not na or not nb:
        return a * b
    if nb <= 2 and (na <= 2 or nb == 1):
        return np.matmul(a, b)
    return tensordot(a, b, (-1, -2))


@composed(np.vdot)
def vdot(a: Any, b: Any) -> Any:
    """Answer `np.vdot`."""
    return np.matmul(np.ravel(a), np.ravel(b))


@composed(np.outer)
def outer(a: Any, b: Any, out: Any = None) -> Any:
    """Answer `np.outer`."""
    return np.ravel(a)[:, None] * np.ravel(b)


@composed(np.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """Answer `np.tensordot`: one matrix product between transposes."""
    na, nb = np.ndim(a), np.ndim(b)
    if isinstance(axes, int):
        over_a, over_b = list(range(na - axes, na)), list(range(axes))
    else:
        over_a, over_b = ([ax] if isinstance(ax, int) else list(ax) for ax in axes)
    over_a, over_b = [i % na for i in over_a], [i % nb for i in over_b]
    sa, sb = np.shape(a), np.shape(b)
    if [sa[i] for i in over_a] != [sb[i] for i in over_b]:
        raise ValueError(f"np.tensordot: axes {over_a} of {sa} and {over_b} of {sb} differ")
    stay_a = [i for i in range(na) if i not in over_a]
    stay_b = [i for i in range(nb) if i not in over_b]
    shape = [sa[i] for i in stay_a] + [sb[i] for i in stay_b]
    inner = math.prod(sa[i] for i in over_a)
    left = np.reshape(np.transpose(a, stay_a + over_a), (math.prod(sa[i] for i in stay_a), inner))
    right = np.reshape(np.transpose(b, over_b + stay_b), (inner, math.prod(sb[i] for i in stay_b)))
    return np.reshape(np.matmul(left, right), shape)


def contract(*operands: Any, subscripts: str, optimize: Any = False) -> Any:
    """Sum products over named axes: `np.einsum` with the operands as arguments."""
    return np.einsum(subscripts, *operands, optimize=optimize)


def contract_piece(
    position: int, g: Any, out: Any, *operands: Any, subscripts: str, optimize: Any = False
) -> Any:
    """Contract `g` with all other operands; what appears nowhere else is repeated."""
    inputs, result = subscripts.split("->")
    terms = inputs.split(",")
    here = operands[position]
    sizes = dict(zip(terms[position], here.shape, strict=True))
    arrays = [g, *(o for i, o in enumerate(operands) if i != position)]
    names = [result, *(t for i, t in enumerate(terms) if i != position)]
    # a repeated name is a diagonal: the second one gets a name of its own and an identity matrix
    spare = (c for c in _LETTERS if c not in subscripts)
    target = ""
    for name in terms[position]:
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


defvjp_each(contract, contract_piece)
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@composed(np.einsum)
def einsum(*operands: Any, optimize: Any = False) -> Any:
    """Answer `np.einsum`: spell the ellipses out, then record."""
    if not isinstance(operands[0], str):
        operands = _from_lists(operands)
    subscripts, arrays = operands[0].replace(" ", ""), operands[1:]
    return record(contract, *arrays, subscripts=_spelled_out(subscripts, arrays), optimize=optimize)


def _from_lists(operands: tuple[Any, ...]) -> tuple[Any, ...]:
    """Turn `a, [0, 1], b, [1, 2], [0, 2]` into `"ab,bc->ac", a, b`."""

    def term(axes: Any) -> str:
        return "".join("..." if i is Ellipsis else _LETTERS[i] for i in axes)

    arrays, lists = operands[: len(operands) // 2 * 2 : 2], operands[1::2]
    text = ",".join(term(axes) for axes in lists)
    if len(operands) % 2:
        text += "->" + term(operands[-1])
    return text, *arrays


def _spelled_out(subscripts: str, arrays: tuple[Any, ...]) -> str:
    """Return the subscripts with a result, and names in place of each ellipsis."""
    inputs, arrow, result = subscripts.partition("->")
    terms = inputs.split(",")
    if len(terms) != len(arrays):
        raise ValueError(f"np.einsum: {subscripts!r} names {len(terms)} arrays, got {len(arrays)}")
    spare = [c for c in _LETTERS if c not in subscripts]
    widest = 0
    for i, (term, array) in enumerate(zip(terms, arrays, strict=True)):
        if "..." in term:
            hidden = np.ndim(array) - len(term.replace("...", ""))
            widest = max(widest, hidden)
            terms[i] = term.replace("...", "".join(reversed(spare[:hidden])))
    ellipsis = "".join(reversed(spare[:widest]))
    if arrow:
        result = result.replace("...", ellipsis)
    else:
        named = "".join(terms)
        once = sorted(c for c in set(named) if named.count(c) == 1 and c not in ellipsis)
        result = ellipsis + "".join(once)
    return f"{','.join(terms)}->{result}"


# --- put together --------------------------------------------------------------------------------


@composed(np.linalg.matmul)
def linalg_matmul(x1: Any, x2: Any, /) -> Any:
    """Answer `np.linalg.matmul`."""
    return np.matmul(x1, x2)


@composed(np.linalg.outer)
def linalg_outer(x1: Any, x2: Any, /) -> Any:
    """Answer `np.linalg.outer`, which takes vectors only."""
    if np.ndim(x1) != 1 or np.ndim(x2) != 1:
        raise ValueError(f"np.linalg.outer of shapes {np.shape(x1)} and {np.shape(x2)}: one axis")
    return np.outer(x1, x2)


@composed(np.linalg.tensordot)
def linalg_tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    """Answer `np.linalg.tensordot`."""
    return np.tensordot(x1, x2, axes)


@composed(np.inner)
def inner(a: Any, b: Any) -> Any:
    """Answer `np.inner`: over the last axis of both."""
    return tensordot(a, b, (-1, -1)) if np.ndim(a) and np.ndim(b) else given(a) * b


@composed(np.linalg.vecdot)
def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Answer `np.vecdot`: over one axis, the others broadcast."""
    left, right = np.moveaxis(given(x1), axis, -1), np.moveaxis(given(x2), axis, -1)
    if left.shape[-1] != right.shape[-1]:
        raise ValueError(f"np.vecdot of axes of length {left.shape[-1]} and {right.shape[-1]}")
    return np.sum(left * right, axis=-1)


def matvec(x1: Any, x2: Any, /) -> Any:
    """Answer `np.matvec`."""
    return np.matmul(x1, given(x2)[..., None])[..., 0]


def vecmat(x1: Any, x2: Any, /) -> Any:
    """Answer `np.vecmat`."""
    return np.matmul(given(x1)[..., None, :], x2)[..., 0, :]


composed(np.vecdot)(vecdot)
if hasattr(np, "matvec"):  # NumPy 2.2
    composed(np.matvec)(matvec)
    composed(np.vecmat)(vecmat)


@composed(np.kron)
def kron(a: Any, b: Any) -> Any:
    """Answer `np.kron`."""
    a, b = given(a), given(b)
    n = max(a.ndim, b.ndim)
    sa, sb = ((1,) * (n - x.ndim) + x.shape for x in (a, b))
    left = np.reshape(a, [m for i in sa for m in (i, 1)])
    right = np.reshape(b, [m for i in sb for m in (1, i)])
    return np.reshape(left * right, tuple(i * j for i, j in zip(sa, sb, strict=True)))


@composed(np.cross)
def cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Any:
    """Answer `np.cross` for vectors of length 3."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = np.moveaxis(given(a), axisa, -1), np.moveaxis(given(b), axisb, -1)
    if a.shape[-1] != 3 or b.shape[-1] != 3:
        raise ValueError(
            f"np.cross of Tensors takes vectors of length 3, not {a.shape[-1]} and "
            f"{b.shape[-1]}; of length 2, write x[..., 0] * y[..., 1] - x[..., 1] * y[..., 0]"
        )
    # (a x b)[i + 2] = a[i] b[i + 1] - a[i + 1] b[i]
    turned = a * np.roll(b, -1, axis=-1) - np.roll(a, -1, axis=-1) * b
    return np.moveaxis(np.roll(turned, -1, axis=-1), -1, axisc)


@composed(np.linalg.cross)
def linalg_cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Answer `np.linalg.cross`."""
    return cross(x1, x2, axis=axis)


def convolve_piece(g: Any, other: Any, n: int) -> Any:
    """Return what each of `n` elements adds to a full convolution with `other`."""
    m = other.shape[0]
    return np.convolve(g, other[::-1])[m - 1 : m - 1 + n]


defvjp(
    np.convolve,
    lambda g, out, a, v: convolve_piece(g, v, a.shape[0]),
    lambda g, out, a, v: convolve_piece(g, a, v.shape[0]),
)


@composed(np.convolve)
def convolve(a: Any, v: Any, mode: str = "full") -> Any:
    """Answer `np.convolve`: the whole, or the part that NumPy cuts out of it."""
    a, v = np.atleast_1d(a), np.atleast_1d(v)
    n, m = a.shape[0], v.shape[0]
    return _cut(record(np.convolve, a, v), n, m, mode, (min(n, m) - 1) // 2)


@composed(np.correlate)
def correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    """Answer `np.correlate`: a convolution with the second array turned round."""
    a, v = np.atleast_1d(a), np.atleast_1d(v)
    n, m = a.shape[0], v.shape[0]
    return _cut(record(np.convolve, a, v[::-1]), n, m, mode, (m - 1) // 2 if m <= n else n // 2)


def _cut(full: Any, n: int, m: int, mode: str, start: int) -> Any:
    if mode == "full":
        return full
    short, long = min(n, m), max(n, m)
    if mode == "valid":
        return full[short - 1 : long]
    if mode == "same":
        return full[start : start + long]
    raise ValueError(f'a convolution takes mode "full", "same" or "valid", not {mode!r}')


@composed(np.linalg.multi_dot)
def multi_dot(arrays: Any, *, out: Any = None) -> Any:
    """Answer `np.linalg.multi_dot`: products in the order that takes the fewest operations."""
    arrays = [given(a) for a in arrays]
    if len(arrays) < 2:
        raise ValueError("np.linalg.multi_dot takes two arrays or more")
    first, last = arrays[0].ndim == 1, arrays[-1].ndim == 1
    if first:
        arrays[0] = arrays[0][None]
    if last:
        arrays[-1] = arrays[-1][:, None]
    n = len(arrays)
    sizes = [a.shape[0] for a in arrays] + [arrays[-1].shape[1]]
    plan: dict[tuple[int, int], int] = {}
    cost = dict.fromkeys(((i, i) for i in range(n)), 0)
    for width in range(1, n):
        for i in range(n - width):
            j = i + width
            plan[i, j] = min(range(i, j), key=lambda k: (
                cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1]
            ))  # fmt: skip
            k = plan[i, j]
            cost[i, j] = cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1]

    def product(i: int, j: int) -> Any:
        if i == j:
            return arrays[i]
        return np.matmul(product(i, plan[i, j]), product(plan[i, j] + 1, j))

    result = product(0, n - 1)
    index = (0,) if first else (slice(None),)
    return result[(*index, 0)] if last else result[index]
