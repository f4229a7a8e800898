"""Products of arrays: `matmul` and `einsum` have rules, the others are put together from them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retrograd.core import record
from retrograd.registry import composed, defvjp, defvjp_each


def matmul_dx(g: Any, out: Any, x: Any, y: Any) -> Any:
    """Return the gradient to the left factor."""
    if y.ndim == 1:
        return g[..., None] * y
    if x.ndim == 1:
        return np.matmul(g[..., None, :], np.swapaxes(y, -1, -2))[..., 0, :]
    return np.matmul(g, np.swapaxes(y, -1, -2))


def matmul_dy(g: Any, out: Any, x: Any, y: Any) -> Any:
    """Return the gradient to the right factor; a stack of `x` is folded into one product."""
    if x.ndim == 1:
        return g[..., None, :] * x[:, None] if y.ndim > 1 else g * x
    if y.ndim == 1:
        return np.matmul(g.reshape(-1), x.reshape((g.size, x.shape[-1])))
    if y.ndim == 2 and x.ndim > 2:
        rows = math.prod(x.shape[:-1])
        x, g = x.reshape((rows, x.shape[-1])), g.reshape((rows, g.shape[-1]))
    return np.matmul(np.swapaxes(x, -1, -2), g)


defvjp(np.matmul, matmul_dx, matmul_dy)


@composed(np.dot)
def dot(a: Any, b: Any) -> Any:
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
def outer(a: Any, b: Any) -> Any:
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
