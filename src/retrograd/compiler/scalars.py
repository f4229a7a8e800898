"""Which arrays of a program are Python numbers instead: Python is faster on these."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from retrograd.compiler.ir import Call, Var
from retrograd.compiler.live import Live

# what Python computes with numbers as NumPy does with 0-d arrays
OPERATORS = {
    np.add: "+", np.subtract: "-", np.multiply: "*", np.divide: "/", np.negative: "-",
}  # fmt: skip
SMALL_SUM = 4096  # elements: the sum of so many is exact enough as a product with ones


def find_numbers(calls: Sequence[Call], grads: Iterable[Var]) -> set[Var]:
    """Return the Vars that may be Python numbers: dot products, and what is computed of these.

    Args:
        calls: the calls of a program.
        grads: its gradients, which must be arrays.
    """
    arrays = set(grads)
    while True:
        found: set[Var] = set()
        for call in calls:
            if call.outs[0] not in arrays and _gives_number(call, found):
                found.add(call.outs[0])
        for call in reversed(calls):
            out = call.outs[0]
            if call.fn in (np.matmul, np.sum) or out not in found or out in arrays:
                arrays.update(call.vars())
        if arrays.isdisjoint(found):
            return found


def _gives_number(call: Call, known: set[Var]) -> bool:
    out = call.outs[0]
    args = [v for v in call.args if isinstance(v, Var)]
    if call.kind != "call" or len(call.outs) > 1 or out.ndim or out.dtype.kind != "f" or not args:
        return False
    if call.fn in OPERATORS:
        return all(v in known for v in args) and not any(isinstance(a, Live) for a in call.args)
    if any(v.dtype != out.dtype for v in args):
        return False
    if call.fn is np.matmul:
        return len(args) == 2 and all(v.ndim == 1 for v in args)
    x = args[0]
    short = 1 < x.size <= SMALL_SUM and x.kind == "made" and x.is_dense
    return short and call.fn is np.sum and not call.kwargs.get("keepdims")
