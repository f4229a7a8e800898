"""Which calls are products of matrices, or of stacks of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.compiler.c.forms import Elementwise, Form, Product
from retrograd.compiler.c.types import is_float
from retrograd.compiler.ir import Call, Var


def _is_of_ones(value: Any) -> bool:
    return isinstance(value, Var) and value.kind == "const" and bool((value.array == 1).all())


def find_product(call: Call) -> Form | None:
    """Return the form of `np.matmul`, None where only NumPy does it."""
    if call.kwargs or len(call.args) != 2 or not all(isinstance(a, Var) for a in call.args):
        return None
    x, y = call.args
    out = call.outs[0]
    if not is_float(out.dtype) or not x.dtype == y.dtype == out.dtype:
        return None
    if x.ndim == y.ndim == 1:
        return Elementwise(
            call, (x, y), (x.dtype, y.dtype), lambda names: " * ".join(names), out.dtype,
            x.shape, (), np.add, (0,),
        )  # fmt: skip
    # sums are often written as products with ones
    for ones, of, axis in ((x, y, y.ndim - 2), (y, x, x.ndim - 1)):
        if ones.ndim == 1 and _is_of_ones(ones):
            return Elementwise(
                call, (of,), (of.dtype,), lambda names: names[0], out.dtype, of.shape, (), np.add,
                (axis,),
            )  # fmt: skip
    if x.ndim > 1 < y.ndim and x.shape[-1] == 1:
        # an outer product is one of elements, in a loop with what follows; of -0 the sum is 0
        return Elementwise(
            call, (x, y), (x.dtype, y.dtype), lambda names: f"{' * '.join(names)} + 0", out.dtype,
            out.shape,
        )  # fmt: skip
    ends = out.ndim - (x.ndim > 1) - (y.ndim > 1)  # axes of the stack
    axes: dict[str, list[tuple[int | None, int | None, int | None]]] = {
        "batch": [], "m": [], "k": [(x.ndim - 1, max(y.ndim - 2, 0), None)], "n": [],
    }  # fmt: skip
    for d in range(ends):
        left, right = d - ends + x.ndim - 2, d - ends + y.ndim - 2
        role = "m" if y.ndim == 2 else "batch"  # one product in place of a stack
        axes[role].append((left if left >= 0 else None, right if right >= 0 else None, d))
    if x.ndim > 1:
        axes["m"].append((x.ndim - 2, None, out.ndim - 1 - (y.ndim > 1)))
    if y.ndim > 1:
        axes["n"].append((None, y.ndim - 1, out.ndim - 1))
    return Product(call, x, y, axes)


def find_contraction(call: Call) -> Form | None:
    """Return the form of an Einstein sum of two arrays that is a product of matrices."""
    if len(call.args) != 2 or not all(isinstance(a, Var) for a in call.args):
        return None
    x, y = call.args
    out = call.outs[0]
    if not is_float(out.dtype) or not x.dtype == y.dtype == out.dtype:
        return None
    inputs, result = call.kwargs["subscripts"].split("->")
    one, two = inputs.split(",")
    if any(len({*term}) < len(term) for term in (one, two, result)):
        return None
    axes: dict[str, list[tuple[int | None, int | None, int | None]]] = {
        "batch": [], "m": [], "k": [], "n": [],
    }  # fmt: skip
    lengths = {**dict(zip(one, x.shape, strict=True))}
    for letter in dict.fromkeys(result + one + two):
        here = tuple(term.index(letter) if letter in term else None for term in (one, two, result))
        in_one, in_two, in_out = (i is not None for i in here)
        if not in_out and not (in_one and in_two):
            return None
        if in_one and in_two and lengths[letter] != y.shape[two.index(letter)]:
            return None  # one of them is broadcast
        role = "k" if not in_out else "batch" if in_one and in_two else "m" if in_one else "n"
        axes[role].append((here[0], here[1], here[2]))
    return Product(call, x, y, axes) if axes["k"] and axes["n"] and axes["m"] else None
