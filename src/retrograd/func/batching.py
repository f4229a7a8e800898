"""Recorded calls run for many values at once, along a leading axis.

A part of the graph that is linear in some variables (gradients, in the weights of the outputs) is
run again with a whole batch of values for them. Most functions need only to have their axes
shifted; any other is run once for each entry and stacked, so every function works.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from retrograd import core
from retrograd.core import Tensor, astype, pick, wrap
from retrograd.mode import enable_grad
from retrograd.registry import Rule
from retrograd.rules.indexing import put
from retrograd.rules.joining import concat
from retrograd.rules.products import contract

# For a function: how it runs on `values`, of which those with a true flag have the leading axis.
Batcher = Callable[[Rule, Sequence[Any], Sequence[bool], dict[str, Any], tuple[Any, ...]], Any]
BATCHERS: dict[Callable[..., Any], Batcher] = {}


class Plan:
    """The calls that lead from `variables` to `outputs`, to be run on batches of values."""

    def __init__(self, outputs: Sequence[Tensor], variables: Sequence[Tensor]) -> None:
        self.outputs, self.variables = outputs, variables
        self.calls = _between(outputs, variables)
        sizes = [t.size for t in (*outputs, *self.calls) if not isinstance(t._data, tuple)]
        self.largest = max(sizes, default=0)  # elements of the largest array, without a batch

    def run(self, values: Sequence[Any]) -> list[Any]:
        """Return the outputs with `values` for the variables, each with a leading axis.

        What was recorded without a gradient (masks, orders) stays as it was: it does not depend
        on the variables where the outputs are linear in them.
        The values are arrays, or Tensors: then what comes out can be differentiated.
        """
        graph = any(isinstance(v, Tensor) for v in values)
        size = values[0].shape[0]
        known: dict[int, Any] = {
            id(v): value for v, value in zip(self.variables, values, strict=True)
        }
        for t in self.calls:
            known[id(t)] = _step(t, known, graph)
        results = []
        for t in self.outputs:
            if id(t) in known:
                results.append(known[id(t)])
            else:
                results.append(np.broadcast_to(t if graph else t._data, (size, *t.shape)))
        return results


def _between(outputs: Sequence[Tensor], variables: Sequence[Tensor]) -> list[Tensor]:
    """Return the calls that lie between variables and outputs, in the order they were recorded."""
    inner: dict[int, Tensor] = {}
    stack = [t for t in outputs if t.rule is not None]
    own = {id(v) for v in variables}
    while stack:
        t = stack.pop()
        if t.order not in inner and id(t) not in own:
            inner[t.order] = t
            stack += [a for a in t.inputs if isinstance(a, Tensor) and a.rule is not None]
    reached = set(own)
    calls = []
    for order in sorted(inner):
        t = inner[order]
        if any(id(a) in reached for a in t.inputs):
            reached.add(id(t))
            calls.append(t)
    return calls


def _step(t: Tensor, known: dict[int, Any], graph: bool) -> Any:
    """Run one call on the batched values of its arguments."""
    rule = t.rule
    assert rule is not None
    values, flags = [], []
    for given, plain in zip(t.inputs, t.args, strict=True):
        flags.append(id(given) in known)
        values.append(known[id(given)] if flags[-1] else given if graph else plain)
    if rule.fn is pick:
        return values[0][values[1]]
    if isinstance(rule.fn, np.ufunc) and rule.fn.signature is None:
        return _elementwise(rule, values, flags, t.kwargs, t.args)
    batcher = BATCHERS.get(rule.fn)
    if batcher is not None:
        return batcher(rule, values, flags, t.kwargs, t.args)
    if rule.looks_through:
        return _look_through(rule, values, flags, t.kwargs, t.args)
    return _one_by_one(rule, values, flags, t.kwargs, t.args)


def run(rule: Rule, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Run a function on arrays, or on Tensors so that it is recorded."""
    if any(isinstance(a, Tensor) for a in args):
        return core.run(rule, tuple(args), kwargs)
    return rule.run(*args, **kwargs)


def _shape(plain: Any) -> tuple[int, ...]:
    return plain.shape if isinstance(plain, np.ndarray) else ()


def _aligned(values: Sequence[Any], flags: Sequence[bool], plain: Sequence[Any]) -> list[Any]:
    """Put axes of length 1 behind the leading one, so that all the others line up."""
    widest = max(len(_shape(p)) for p in plain)
    aligned = []
    for value, flag, p in zip(values, flags, plain, strict=True):
        shape = _shape(p)
        if flag and len(shape) < widest:
            gap = (1,) * (widest - len(shape))
            value = value.reshape((value.shape[0], *gap, *shape))
        aligned.append(value)
    return aligned


def _elementwise(rule: Rule, values: Any, flags: Any, kwargs: Any, plain: Any) -> Any:
    return run(rule, _aligned(values, flags, plain), kwargs)


def _look_through(rule: Rule, values: Any, flags: Any, kwargs: Any, plain: Any) -> Any:
    """Record the NumPy calls inside a function and run these."""
    graph = any(isinstance(v, Tensor) for v in values)
    inner: list[Any] = []
    for value, flag, p in zip(values, flags, plain, strict=True):
        if flag:
            p = wrap(p)
            p.requires_grad = True
            inner.append(p)
        else:
            inner.append(value if graph else p)
    with enable_grad():
        # an argument without the leading axis may be a plain array: the body takes either
        out = rule.run(*(wrap(a) if isinstance(a, np.ndarray) else a for a in inner), **kwargs)
    variables = [a for a, flag in zip(inner, flags, strict=True) if flag]
    outs = out if isinstance(out, tuple) else (out,)
    batches = [v for v, flag in zip(values, flags, strict=True) if flag]
    found = Plan(outs, variables).run(batches)
    return tuple(found) if isinstance(out, tuple) else found[0]


def _one_by_one(rule: Rule, values: Any, flags: Any, kwargs: Any, plain: Any) -> Any:
    """Run a function for each entry of the leading axis."""
    size = next(v for v, flag in zip(values, flags, strict=True) if flag).shape[0]
    rows = [
        run(rule, [v[i] if flag else v for v, flag in zip(values, flags, strict=True)], kwargs)
        for i in range(size)
    ]
    if rule.multi:
        return tuple(np.stack(part) for part in zip(*rows, strict=True))
    return np.stack(rows)


# --- functions whose axes are shifted ------------------------------------------------------------


def batcher(*fns: Callable[..., Any]) -> Callable[[Batcher], Batcher]:
    """Let the decorated function run `fns` on a batch."""

    def register(how: Batcher) -> Batcher:
        for fn in fns:
            BATCHERS[fn] = how
        return how

    return register


def _shifted(axis: Any, ndim: int) -> Any:
    """Return `axis` as it is called where there is a leading axis."""
    if axis is None:
        return tuple(range(1, ndim + 1))
    if isinstance(axis, (tuple, list)):
        return tuple(a % ndim + 1 for a in axis)
    return axis % ndim + 1


BATCHERS[np.where] = _elementwise
BATCHERS[np.clip] = _elementwise


@batcher(np.copy, astype)
def _same(rule: Rule, values: Any, flags: Any, kwargs: Any, plain: Any) -> Any:
    return run(rule, values, kwargs)


@batcher(np.sum, np.mean, np.prod, np.max, np.min, np.var, np.std)
def _reduction(rule: Rule, values: Any, flags: Any, kwargs: Any, plain: Any) -> Any:
    ndim = plain[0].ndim
    if len(values) > 1 or not kwargs.keys() <= {"axis", "keepdims", "ddof"}:
        return _one_by_one(rule, values, flags, kwargs, plain)
    return run(rule, values, {**kwargs, "axis": _shifted(kwargs.get("axis"), ndim)})


@batcher(np.reshape)
def _reshape(rule: Rule, values: Any, flags: Any, kwargs: Any, plain: Any) -> Any:
    shape = np.reshape(plain[0], *plain[1:], **kwargs).shape
    return values[0].reshape((values[0].shape[0], *shape))


@batcher(np.ravel, np.squeeze, np.expand_dims)
def _like_reshape(rule: Rule, values: Any, flags: Any, kwargs: Any, plain: Any) -> Any:
    shape = rule.run(*plain, **kwargs).shape
    return values[0].reshape((values[0].shape[0], *shape))


@batcher(np.transpose)
def _transpose(rule: Rule, values: Any, flags: Any, kwargs: Any, plain: Any) -> Any:
    ndim = plain[0].ndim
    axes = kwargs.get("axes")
    order = range(ndim)[::-1] if axes is None else [a % ndim for a in axes]
    return np.transpose(values[0], (0, *(a + 1 for a in order)))


@batcher(np.swapaxes, np.moveaxis)
def _exchange(rule: Rule, values: Any, flags: Any, kwargs: Any, plain: Any) -> Any:
    ndim = plain[0].ndim
    return run(rule, values[:1], {k: _shifted(v, ndim) for k, v in kwargs.items()})


@batcher(np.broadcast_to)
def _broadcast(rule: Rule, values: Any, flags: Any, kwargs: Any, plain: Any) -> Any:
    shape = rule.run(*plain, **kwargs).shape
    size, gap = values[0].shape[0], (1,) * (len(shape) - plain[0].ndim)
    return np.broadcast_to(values[0].reshape((size, *gap, *plain[0].shape)), (size, *shape))


@batcher(np.matmul)
def _matmul(rule: Rule, values: Any, flags: Any, kwargs: Any, plain: Any) -> Any:
    x, y = values
    nx, ny = (p.ndim for p in plain)
    if flags[0] and not flags[1] and nx == 1 and ny <= 2:
        return np.matmul(x, y)  # rows of a matrix
    if flags[1] and not flags[0] and ny == 1 and nx <= 2:
        return np.matmul(y, x.T)
    if flags[0] and not flags[1] and nx == 2 and ny == 2:
        # all rows of all matrices in one product
        flat = x.reshape((x.shape[0] * x.shape[1], x.shape[2]))
        return np.matmul(flat, y).reshape((x.shape[0], x.shape[1], y.shape[1]))
    if nx == 1:
        x = x[:, None, :] if flags[0] else x[None, :]
    if ny == 1:
        y = y[..., None]
    gap = max(nx, ny, 2) - 2
    if flags[0]:
        lead = (1,) * (gap - max(nx - 2, 0))
        x = x.reshape((x.shape[0], *lead, *x.shape[1:]))
    if flags[1]:
        lead = (1,) * (gap - max(ny - 2, 0))
        y = y.reshape((y.shape[0], *lead, *y.shape[1:]))
    out = np.matmul(x, y)
    if nx == 1:
        out = out[..., 0, :] if ny > 1 else out[..., 0, 0]
    elif ny == 1:
        out = out[..., 0]
    return out


@batcher(contract)
def _contract(rule: Rule, values: Any, flags: Any, kwargs: Any, plain: Any) -> Any:
    terms, _, result = kwargs["subscripts"].partition("->")
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    lead = next(c for c in letters if c not in kwargs["subscripts"])
    named = [lead + t if flag else t for t, flag in zip(terms.split(","), flags, strict=True)]
    return run(rule, values, {**kwargs, "subscripts": f"{','.join(named)}->{lead}{result}"})


@batcher(concat)
def _concat(rule: Rule, values: Any, flags: Any, kwargs: Any, plain: Any) -> Any:
    axis = kwargs.get("axis", 0)
    if axis is None:
        return _one_by_one(rule, values, flags, kwargs, plain)
    size = next(v for v, flag in zip(values, flags, strict=True) if flag).shape[0]
    parts = [
        v if flag else np.broadcast_to(v, (size, *p.shape))
        for v, flag, p in zip(values, flags, plain, strict=True)
    ]
    return np.concatenate(parts, axis=_shifted(axis, plain[0].ndim))


def _keeps_lead(index: Any) -> bool:
    """Tell whether `x[:, *index]` puts no axis before the leading one."""
    parts = index if isinstance(index, tuple) else (index,)
    if all(p is None or p is Ellipsis or isinstance(p, (int, slice)) for p in parts):
        return True
    arrays = [i for i, p in enumerate(parts) if isinstance(p, (np.ndarray, list))]
    return len(arrays) == 1 and not any(isinstance(p, (int, np.integer)) for p in parts)


def _whole(index: Any) -> tuple[Any, ...]:
    return (slice(None), *(index if isinstance(index, tuple) else (index,)))


@batcher(operator.getitem)
def _getitem(rule: Rule, values: Any, flags: Any, kwargs: Any, plain: Any) -> Any:
    index = plain[1]
    if not flags[0] or not _keeps_lead(index):
        return _one_by_one(rule, values, flags, kwargs, plain)
    return values[0][_whole(index)]


@batcher(put)
def _put(rule: Rule, values: Any, flags: Any, kwargs: Any, plain: Any) -> Any:
    given = {**dict(zip(rule.names or (), plain, strict=False)), **kwargs}
    index, shape = given["index"], given["shape"]
    if not _keeps_lead(index):
        return _one_by_one(rule, values, flags, kwargs, plain)
    moved = {"index": _whole(index), "shape": (values[0].shape[0], *shape)}
    return run(rule, values[:1], moved)
