"""Recorded calls run for many values at once, along a leading axis.

A part of the graph that is linear in some variables (gradients, in weights of the outputs) is run
again with a batch of values. Most functions need only their axes shifted; any other is run once
for each entry.
"""

import itertools
import math
import operator
import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from retrograd import autograd
from retrograd.engine import Tensor, astype, enable_grad, pick, run, wrap
from retrograd.rules.indexing import put
from retrograd.rules.joining import concat
from retrograd.rules.products import contract


def leaf(array: Any) -> Tensor:
    """Return a leaf of the array itself."""
    t = wrap(array)
    t.requires_grad = True
    return t


class Plan:
    """The calls from `variables` to `outputs`, to be run on batches."""

    def __init__(self, outputs: Sequence[Tensor], variables: Sequence[Tensor]) -> None:
        self.outputs, self.variables = outputs, variables
        found = autograd.between(outputs, variables).difference(variables)
        self.calls = sorted(found, key=lambda t: t.order)
        sizes = [t.size for t in (*outputs, *self.calls) if not isinstance(t._array, tuple)]
        self.largest = max(sizes, default=0)  # elements, without a batch

    def run(self, values: Sequence[Any]) -> list[Any]:
        """Return the outputs for `values` of the variables, with a leading axis.

        What has no gradient (masks, orders) stays as recorded, as the outputs are linear in the
        variables. Arrays give arrays, Tensors what can be differentiated.
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
    """The call behind `t` at other values; flags tell which have the leading axis."""

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

    def changed(self, change: Callable[[Any], Any], values: Sequence[Any]) -> list[Any]:
        """Change values that have the leading axis."""
        return [change(v) if flag else v for v, flag in zip(values, self.flags, strict=True)]

    def run(self, values: list[Any], /, **changes: Any) -> Any:
        kwargs = {**self.t.kwargs, **changes}
        if any(isinstance(v, Tensor) for v in values):
            return run(self.rule, tuple(values), kwargs)
        return self.rule.run(*values, **kwargs)

    def result(self) -> Any:
        fn = self.rule.fn
        if isinstance(fn, np.ufunc) and fn.signature is None:
            return _elementwise(self)
        if fn in BATCHERS:
            return BATCHERS[fn](self)
        return _look_through(self) if self.rule.looks_through else _one_by_one(self)


def _one_by_one(c: Call) -> Any:
    rows = [c.run(c.changed(operator.itemgetter(i), c.values)) for i in range(c.size)]
    if c.rule.multi:
        return tuple(np.stack(part) for part in zip(*rows, strict=True))
    return np.stack(rows)


def _look_through(c: Call) -> Any:
    """Run the NumPy calls inside a function."""
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
    return c.run(c.changed(lambda v: _widened(v, 1 + max(c.ndim)), c.values))


def _widened(x: Any, ndim: int) -> Any:
    """Put axes of length 1 behind the leading one, for `ndim` in all."""
    gap = (1,) * (ndim - x.ndim)
    return x.reshape((*x.shape[:1], *gap, *x.shape[1:])) if gap else x


def _along_axes(c: Call) -> Any:
    shifted = {k: _shifted(c.t.kwargs.get(k), c.ndim[0]) for k in AXES[c.rule.fn]}
    return c.run(c.values, **shifted)


def _shifted(axis: Any, ndim: int) -> Any:
    """Return `axis` as called with a leading axis."""
    if axis is None:
        return tuple(range(1, ndim + 1))
    return tuple(a % ndim + 1 for a in axis) if np.ndim(axis) else axis % ndim + 1


def _transpose(c: Call) -> Any:
    axes = c.t.kwargs.get("axes")
    order = range(c.t.ndim)[::-1] if axes is None else axes
    return np.transpose(c.x, (0, *_shifted(order, c.t.ndim)))


def _matmul(c: Call) -> Any:
    x, y = c.values
    nx, ny = c.ndim
    if not c.flags[1] and ny <= 2:  # all rows of all matrices in one product
        out = np.matmul(x.reshape((math.prod(x.shape[:-1]), x.shape[-1])), y)
    elif not c.flags[0] and nx <= 2 and ny == 1:
        out = np.matmul(y, x.T)
    else:
        x, y = x[..., None, :] if nx == 1 else x, y[..., None] if ny == 1 else y
        out = np.matmul(*c.changed(lambda v: _widened(v, max(nx, ny, 2) + 1), [x, y]))
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
    return np.concatenate(parts, axis=_shifted(axis, c.t.ndim))


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


# keywords for axes to shift
AXES: dict[Callable[..., Any], tuple[str, ...]] = {
    **dict.fromkeys((np.sum, np.mean, np.prod, np.max, np.min, np.var, np.std), ("axis",)),
    **dict.fromkeys((np.copy, astype), ()),
    np.swapaxes: ("axis1", "axis2"),
    np.moveaxis: ("source", "destination"),
}
BATCHERS: dict[Callable[..., Any], Callable[[Call], Any]] = {
    **dict.fromkeys(AXES, _along_axes),
    **dict.fromkeys((np.reshape, np.ravel, np.squeeze, np.expand_dims),
                    lambda c: c.x.reshape(c.shape)),
    np.where: _elementwise, np.clip: _elementwise, np.transpose: _transpose, np.matmul: _matmul,
    np.broadcast_to: lambda c: np.broadcast_to(_widened(c.x, c.t.ndim + 1), c.shape),
    operator.getitem: _indexing, put: _indexing, concat: _concat, contract: _contract,
    pick: lambda c: c.x[c.values[1]],
}  # fmt: skip
