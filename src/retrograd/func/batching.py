"""Recorded calls run for many values at once, along a leading axis.

A part of the graph that is linear in some variables (gradients, in weights of the outputs) is run
again with a batch of values for these: arrays that have an axis more, the leading one. Most
functions need only be told of it, by shifting the axes that they go over (`BATCHERS`). A function
written in NumPy calls is taken apart into these. Any other is run once for each entry of the batch.
"""

from __future__ import annotations

import itertools
import math
import operator
import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from retrograd.engine import Tensor, astype, enable_grad, pick, run, wrap
from retrograd.engine.backward import between
from retrograd.func.run import leaf
from retrograd.rules.indexing import put
from retrograd.rules.joining import concat
from retrograd.rules.products import contract


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
            known[t] = Call(t, known, graph, size).result()
        for t in self.outputs:
            if t not in known:
                known[t] = np.broadcast_to(t if graph else t._array, (size, *t.shape))
        return [known[t] for t in self.outputs]


class Call:
    """One call of a plan, on other values.

    Args:
        t: The Tensor that it made when it was recorded.
        known: The values of the variables, and of the calls before this one.
        graph: Whether the result can be differentiated.
        size: The length of the leading axis.

    Attributes:
        values: The arguments; those that have the leading axis are flagged.
        flags: A bool for each argument.
        x: The first argument.
        ndim: How many axes each argument has without the leading one.
        shape: That of the result, with the leading axis.
    """

    def __init__(self, t: Tensor, known: dict[Tensor, Any], graph: bool, size: int) -> None:
        assert t.rule is not None
        self.t, self.rule, self.size = t, t.rule, size
        self.flags = [isinstance(a, Tensor) and a in known for a in t.inputs]
        self.values = [
            known[a] if flag else a if graph else plain
            for a, plain, flag in zip(t.inputs, t.args, self.flags, strict=True)
        ]
        self.x, self.ndim = self.values[0], [getattr(a, "ndim", 0) for a in t.args]
        self.shape = size, *getattr(t._array, "shape", ())

    def map_flagged(self, change: Callable[[Any], Any], values: Sequence[Any]) -> list[Any]:
        """Return the values with those changed that have the leading axis."""
        return [change(v) if flag else v for v, flag in zip(values, self.flags, strict=True)]

    def run(self, values: list[Any], /, **changes: Any) -> Any:
        """Run the function on these values, with other keywords where some are given."""
        kwargs = {**self.t.kwargs, **changes}
        if any(isinstance(v, Tensor) for v in values):
            return run(self.rule, tuple(values), kwargs)
        return self.rule.run(*values, **kwargs)

    def result(self) -> Any:
        """Return what the call gives, by the fastest way there is for its function."""
        fn = self.rule.fn
        if isinstance(fn, np.ufunc) and fn.signature is None:
            return _elementwise(self)
        if fn in BATCHERS:
            return BATCHERS[fn](self)
        return _look_through(self) if self.rule.looks_through else _one_by_one(self)


def _one_by_one(c: Call) -> Any:
    """Run a function once for each entry of the batch."""
    rows = [c.run(c.map_flagged(operator.itemgetter(i), c.values)) for i in range(c.size)]
    if c.rule.multi:
        return tuple(np.stack(part) for part in zip(*rows, strict=True))
    return np.stack(rows)


def _look_through(c: Call) -> Any:
    """Record the NumPy calls inside a function, and run these on the batch."""
    args = [
        leaf(plain) if flag else wrap(v) if isinstance(v, np.ndarray) else v
        for v, plain, flag in zip(c.values, c.t.args, c.flags, strict=True)
    ]
    with enable_grad():
        out = c.rule.run(*args, **c.t.kwargs)
    variables, values = (list(itertools.compress(a, c.flags)) for a in (args, c.values))
    found = Plan(out if isinstance(out, tuple) else (out,), variables).run(values)
    return tuple(found) if isinstance(out, tuple) else found[0]


def _elementwise(c: Call) -> Any:
    return c.run(c.map_flagged(lambda v: _widen(v, 1 + max(c.ndim)), c.values))


def _widen(x: Any, ndim: int) -> Any:
    """Put axes of length 1 behind the leading one, for `ndim` axes in all."""
    gap = (1,) * (ndim - x.ndim)
    return x.reshape((*x.shape[:1], *gap, *x.shape[1:])) if gap else x


def _along_axes(c: Call) -> Any:
    """Run a function that goes over axes of its one array."""
    shifted = {k: _shift(c.t.kwargs.get(k), c.ndim[0]) for k in AXES[c.rule.fn]}
    return c.run(c.values, **shifted)


def _shift(axis: Any, ndim: int) -> Any:
    """Return what `axis` of an array with `ndim` axes is called where there is a leading one."""
    if axis is None:
        return tuple(range(1, ndim + 1))
    return tuple(a % ndim + 1 for a in axis) if np.ndim(axis) else axis % ndim + 1


def _transpose(c: Call) -> Any:
    axes = c.t.kwargs.get("axes")
    order = range(c.t.ndim)[::-1] if axes is None else axes
    return np.transpose(c.x, (0, *_shift(order, c.t.ndim)))


def _matmul(c: Call) -> Any:
    x, y = c.values
    nx, ny = c.ndim
    if not c.flags[1] and ny <= 2:  # all rows of all matrices in one product
        out = np.matmul(x.reshape((math.prod(x.shape[:-1]), x.shape[-1])), y)
    elif not c.flags[0] and nx <= 2 and ny == 1:
        out = np.matmul(y, x.T)
    else:
        x, y = x[..., None, :] if nx == 1 else x, y[..., None] if ny == 1 else y
        out = np.matmul(*c.map_flagged(lambda v: _widen(v, max(nx, ny, 2) + 1), [x, y]))
    return out.reshape(c.shape)


def _contract(c: Call) -> Any:
    terms, _, result = c.t.kwargs["subscripts"].partition("->")
    lead = next(a for a in string.ascii_letters if a not in c.t.kwargs["subscripts"])
    named = (lead * flag + term for term, flag in zip(terms.split(","), c.flags, strict=True))
    return c.run(c.values, subscripts=f"{','.join(named)}->{lead}{result}")


def _concat(c: Call) -> Any:
    axis = c.t.kwargs.get("axis", 0)
    if axis is None:
        return _one_by_one(c)
    parts = [
        v if flag else np.broadcast_to(v, (c.size, *v.shape))
        for v, flag in zip(c.values, c.flags, strict=True)
    ]
    return np.concatenate(parts, axis=_shift(axis, c.t.ndim))


def _indexing(c: Call) -> Any:
    index = c.t.args[1]
    parts = index if isinstance(index, tuple) else (index,)
    if not c.flags[0] or not _keeps_lead(parts):
        return _one_by_one(c)
    whole = (slice(None), *parts)
    return put(c.x, whole, c.shape) if c.rule.fn is put else c.x[whole]


def _keeps_lead(parts: tuple[Any, ...]) -> bool:
    """Tell whether `x[:, *parts]` puts no axis before the leading one."""
    if all(p is None or p is Ellipsis or isinstance(p, (int, slice)) for p in parts):
        return True
    arrays = [p for p in parts if isinstance(p, (np.ndarray, list))]
    return len(arrays) == 1 and not any(isinstance(p, (int, np.integer)) for p in parts)


# The keywords of functions of one array that name axes, which are to be shifted.
AXES: dict[Callable[..., Any], tuple[str, ...]] = {
    **dict.fromkeys((np.sum, np.mean, np.prod, np.max, np.min, np.var, np.std), ("axis",)),
    **dict.fromkeys((np.copy, astype), ()),
    np.swapaxes: ("axis1", "axis2"),
    np.moveaxis: ("source", "destination"),
}
# How functions run on a batch, where it is not one by one. Ufuncs are known to be elementwise.
BATCHERS: dict[Callable[..., Any], Callable[[Call], Any]] = {
    **dict.fromkeys(AXES, _along_axes),
    **dict.fromkeys((np.reshape, np.ravel, np.squeeze, np.expand_dims),
                    lambda c: c.x.reshape(c.shape)),
    np.where: _elementwise, np.clip: _elementwise, np.transpose: _transpose, np.matmul: _matmul,
    np.broadcast_to: lambda c: np.broadcast_to(_widen(c.x, c.t.ndim + 1), c.shape),
    operator.getitem: _indexing, put: _indexing, concat: _concat, contract: _contract,
    pick: lambda c: c.x[c.values[1]],
}  # fmt: skip
