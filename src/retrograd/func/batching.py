"""Recorded calls run for many values at once, along a leading axis.

A part of the graph that is linear in some variables (gradients, in weights of the outputs) is run
again with a batch of values for these: arrays that have an axis more, the leading one. Most
functions need only be told of it (`retrograd.func.batchers`). A function written in NumPy calls is
taken apart into these. Any other is run once for each entry of the batch.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from retrograd.engine import Tensor, enable_grad, wrap
from retrograd.engine.backward import between
from retrograd.func.batchers import batcher_of
from retrograd.func.calls import Call, one_by_one
from retrograd.func.run import leaf


class Plan:
    """The calls on the ways from some variables to some outputs, to be run on batches.

    Args:
        outputs: Tensors that are linear in the variables, or do not depend on them.
        variables: The Tensors to be replaced.

    Attributes:
        calls: The Tensors in between, each for the call that made it, in recorded order.
        largest: How many elements the largest array has, without a batch.
    """

    def __init__(self, outputs: Sequence[Tensor], variables: Sequence[Tensor]) -> None:
        self.outputs, self.variables = outputs, variables
        found = between(outputs, variables).difference(variables)
        self.calls = sorted(found, key=lambda t: t._order)
        sizes = [t.size for t in (*outputs, *self.calls) if not isinstance(t._array, tuple)]
        self.largest = max(sizes, default=0)

    def run(self, values: Sequence[Any]) -> list[Any]:
        """Return the outputs for a batch of values of the variables.

        What was recorded without a gradient (masks, orders) stays as it was: where the outputs are
        linear in the variables it does not depend on them.

        Args:
            values: A value for each variable, with a leading axis of one length: arrays, or Tensors
                whose results can be differentiated.

        Returns:
            A value for each output, with the leading axis.
        """
        graph = any(isinstance(v, Tensor) for v in values)
        known = dict(zip(self.variables, values, strict=True))
        size = values[0].shape[0]
        for t in self.calls:
            known[t] = _run_again(t, known, graph, size)
        for t in self.outputs:
            if t not in known:
                known[t] = np.broadcast_to(t if graph else t._array, (size, *t.shape))
        return [known[t] for t in self.outputs]


def _run_again(t: Tensor, known: dict[Tensor, Any], graph: bool, size: int) -> Any:
    """Run a call of a plan on other values, by the fastest way there is for its function.

    Args:
        t: The Tensor that it made when it was recorded.
        known: The values of the variables, and of the calls before this one.
        graph: Whether the result can be differentiated.
        size: The length of the leading axis.
    """
    assert t.rule is not None
    flags = [isinstance(a, Tensor) and a in known for a in t.inputs]
    values = [
        known[a] if flag else a if graph else plain
        for a, plain, flag in zip(t.inputs, t.args, flags, strict=True)
    ]
    shape = getattr(t._array, "shape", ())
    call = Call(t.rule, t.args, values, flags, t.kwargs, size, shape)
    batcher = batcher_of(t.rule.fn)
    if batcher is not None:
        return batcher(call)
    return _look_through(call) if t.rule.looks_through else one_by_one(call)


def _look_through(c: Call) -> Any:
    """Record the NumPy calls inside a function, and run these on the batch."""
    args = [
        leaf(plain) if flag else wrap(v) if isinstance(v, np.ndarray) else v
        for v, plain, flag in zip(c.values, c.args, c.flags, strict=True)
    ]
    with enable_grad():
        out = c.rule.run(*args, **c.kwargs)
    variables, values = (list(itertools.compress(a, c.flags)) for a in (args, c.values))
    found = Plan(out if isinstance(out, tuple) else (out,), variables).run(values)
    return tuple(found) if isinstance(out, tuple) else found[0]
