"""Whole matrices of derivatives: many gradients in one backward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from retrograd.core import Tensor, wrap
from retrograd.func.batching import Plan
from retrograd.func.tracing import Argnums, Run, pull
from retrograd.func.transforms import _named, grad, weight

# Rows computed at once are as many as keep the largest array within so many elements: in cache.
CHUNK = 1 << 15


def jacobian(
    f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Return the function that computes every derivative of every output of `f`.

    For an output of shape `s` and an argument of shape `t` that is an array `(*s, *t)`; where the
    output is a tree, and the argument too, the result is a tree of outputs with trees of
    arguments in it. Goes backward, one row for each output element, or forward, one column for
    each argument element, whichever is fewer. With `has_aux` the result is `(jacobian, aux)`.

    >>> import numpy as np, retrograd as rg
    >>> rg.func.jacobian(lambda x: x ** 2)(np.array([1.0, 2.0]))
    Tensor([[2., 0.],
            [0., 4.]])
    """

    @_named("the Jacobian of", f)
    def compute(*args: Any, **kwargs: Any) -> Any:
        run = Run("jacobian", f, args, argnums, has_aux, kwargs)
        rows = sum(t.size for t in run.outs)
        columns = sum(v.size for v in run.variables)
        # forward needs one more pass through the graph than backward
        blocks = _forward(run) if 2 * columns < rows else _backward(run)
        found = run.out_structure.unflatten([run.gathered(row, argnums) for row in blocks])
        return (found, run.aux) if has_aux else found

    return compute


def hessian(
    f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Return the function that computes the second derivatives of `f`, which returns one number.

    For an argument of shape `t` that is an array `(*t, *t)`, for a tree of arguments a tree of
    trees. With `has_aux` the result is `(hessian, aux)`.

    >>> import numpy as np, retrograd as rg
    >>> rg.func.hessian(lambda x: x[0] ** 2 * x[1])(np.array([2.0, 3.0]))
    Tensor([[6., 4.],
            [4., 0.]])
    """
    return _named("the Hessian of", f)(jacobian(grad(f, argnums, has_aux), argnums, has_aux))


def _backward(run: Run) -> list[list[Tensor]]:
    """Return a list of blocks for each output: gradients, for all of its elements at once."""
    blocks = []
    for out in run.outs:
        w = weight(out)
        gradients = pull([out], run.variables, [w], graph=True)
        blocks.append(
            [
                block.reshape((*out.shape, *v.shape))
                for block, v in zip(_batch(gradients, w, run.outer), run.variables, strict=True)
            ]
        )
    return blocks


def _forward(run: Run) -> list[list[Tensor]]:
    """Return a list of blocks for each output: derivatives along every argument element."""
    weights = [weight(t) for t in run.outs]
    gradients = pull(run.outs, run.variables, weights, graph=True)
    columns = []
    for gradient, v in zip(gradients, run.variables, strict=True):
        along = weight(v)
        derivatives = pull([gradient], weights, [along], graph=True)
        moved = []
        for column, out in zip(_batch(derivatives, along, run.outer), run.outs, strict=True):
            last = column.transpose(*range(1, column.ndim), 0)
            moved.append(last.reshape((*out.shape, *v.shape)))
        columns.append(moved)
    return [list(row) for row in zip(*columns, strict=True)]


def _batch(results: Sequence[Tensor], w: Tensor, graph: bool) -> list[Tensor]:
    """Return linear functions of `w` at every unit vector, along a leading axis."""
    plan, size = Plan(results, [w]), w.size
    chunk = max(1, CHUNK // max(plan.largest, size, 1))
    parts = []
    for start in range(0, size, chunk):
        stop = min(start + chunk, size)
        units = np.zeros((stop - start, size), w.dtype)
        units[np.arange(stop - start), np.arange(start, stop)] = 1.0
        value = units.reshape((stop - start, *w.shape))
        parts.append(plan.run([wrap(value) if graph else value]))
    if not size:
        return [wrap(np.zeros((0, *t.shape), t.dtype)) for t in results]
    joined = [p[0] if len(p) == 1 else np.concatenate(p) for p in zip(*parts, strict=True)]
    return [t if isinstance(t, Tensor) else wrap(np.asarray(t)) for t in joined]
