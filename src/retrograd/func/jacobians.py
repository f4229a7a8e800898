"""Whole matrices of derivatives: many gradients in one backward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd.checks import refuse_words
from retrograd.engine import Tensor, current_mode, is_recording, mode_set, wrap
from retrograd.func.batching import Plan
from retrograd.func.run import Argnums, Run, Tensors, leaf, pull
from retrograd.func.transforms import grad, make_transform

# As many rows are computed at once as keep the largest array within so many elements: in cache.
CHUNK = 1 << 15


def jacobian(
    f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False, **_words: Any
) -> Callable[..., Any]:
    """Return the function that computes the derivative of every output of `f`.

    It goes backward, a row of the matrix for each element of the output, or forward, a column for
    each element of the arguments, whichever takes less (Griewank and Walther 2008, "Evaluating
    derivatives", chapter 3). Many rows are computed in one pass over the graph.

    Args:
        f: A function written in NumPy calls and operators. The chosen arguments are trees (nested
            dicts, lists, tuples) of floats, floating arrays or Tensors; it gets Tensors in their
            place. It may return a Tensor or a tree of Tensors.
        argnums: The position of the argument to differentiate with respect to, or a tuple or
            list of different positions. Negative ones count from the last argument that is given.
        has_aux: Whether `f` returns a pair `(value, aux)`, of which aux is not differentiated.

    Returns:
        A function that takes what `f` takes and returns the Jacobian: for an output of shape `s`
        and an argument of shape `t` a Tensor of shape `(*s, *t)`, of which `[i, j]` is the
        derivative of the output's element `i` with respect to the argument's element `j`. Where
        the output or the argument is a tree, it is the tree of the output, in which each leaf is
        replaced by the tree of the argument; by a tuple of trees if `argnums` is a tuple. With
        `has_aux` it returns `(jacobian, aux)`.

    Raises:
        TypeError: when the function is called, if `f` is no function, if a chosen argument is not
            floating, if `argnums` is neither an int nor a tuple of ints, or if `f` returns what
            has no derivative.
        ValueError: when the function is called, if `argnums` names an argument that is not there,
            or one twice.

    >>> rg.func.jacobian(lambda x: x ** 2)(np.array([1.0, 2.0]))
    Tensor([[2., 0.],
            [0., 4.]])
    """
    if _words:
        refuse_words("jacobian", _words)
    return make_transform("jacobian", f, argnums, has_aux, _jacobian_of)


def hessian(
    f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False, **_words: Any
) -> Callable[..., Any]:
    """Return the function that computes the second derivatives of `f`, which returns one number.

    It is the Jacobian of the gradient. For its product with a vector alone, `hvp` is faster.

    Args:
        f: A function that returns one number, as for `grad`.
        argnums: The position of the argument to differentiate with respect to, or a tuple or
            list of different positions. Negative ones count from the last argument that is given.
        has_aux: Whether `f` returns a pair `(number, aux)`, of which aux is not differentiated.

    Returns:
        A function that takes what `f` takes and returns the Hessian: for an argument of shape `t`
        a Tensor of shape `(*t, *t)`, symmetric in its halves. A tree gives a tree of trees: below
        the path to one leaf and the path to another is the block of the two, of shape
        `(*t1, *t2)`; so does a tuple of `argnums`. With `has_aux` it returns `(hessian, aux)`.

    Raises:
        TypeError: when the function is called, as for `grad`.
        ValueError: when the function is called, as for `grad`: if `f` returns more than one number,
            or if `argnums` names an argument that is not there, or one twice.

    >>> rg.func.hessian(lambda x: x[0] ** 2 * x[1])(np.array([2.0, 3.0]))
    Tensor([[6., 4.],
            [4., 0.]])
    """
    if _words:
        refuse_words("hessian", _words)
    return jacobian(grad(f, argnums, has_aux), argnums, has_aux)


def _jacobian_of(run: Run) -> Any:
    """Return the Jacobian of a run's outputs with respect to its variables, in trees."""
    if any(t.dtype.kind == "c" for t in run.outs):
        raise TypeError(
            f"{run.name} got complex results, whose derivative by one part of an argument is not "
            "that by the other: take it of f(x).real and f(x).imag, or use vjp and jvp"
        )
    has_parts = any(t.dtype.kind == "c" for t in run.variables)
    rows, columns = (sum(t.size for t in ts) for ts in (run.outs, run.variables))
    # going forward takes one pass through the graph more
    forward = 0 < 2 * columns < rows and not has_parts
    blocks = _go_forward(run) if forward else _go_backward(run)
    trees = [
        run.gather(
            [t.reshape((*out.shape, *v.shape)) for t, v in zip(row, run.variables, strict=True)]
        )
        for row, out in zip(blocks, run.outs, strict=True)
    ]
    return run.with_aux(run.out_structure.unflatten(trees))


def _go_backward(run: Run) -> list[list[Tensor]]:
    """Return a list for each output: its derivative by each variable, rows first."""
    return [_rows(out, run.variables, run.outer) for out in run.outs]


def _go_forward(run: Run) -> list[list[Tensor]]:
    """Return the same, from derivatives along each element of the variables: see `jvp`."""
    weights = [leaf(np.ones_like(t._array)) for t in run.outs]
    gradients = pull(run.outs, run.variables, weights, graph=True)
    columns = [_rows(gradient, weights, run.outer) for gradient in gradients]
    blocks: list[Any] = [[np.moveaxis(t, 0, -1) for t in row] for row in zip(*columns, strict=True)]
    return blocks


def _rows(root: Tensor, targets: Tensors, graph: bool) -> list[Tensor]:
    """Return the gradients of each element of `root` with respect to each of `targets`.

    They are stacked along a leading axis. They are linear in the weight of the root's elements: so
    one pass is recorded, and run again with a batch of unit vectors for the weight.
    """
    weight = leaf(np.ones_like(root._array))
    gradients = pull([root], targets, [weight], graph=True)
    plan, size = Plan(gradients, [weight]), weight.size
    chunk = max(1, CHUNK // max(plan.largest, size, 1))
    parts: list[Any] = [[np.zeros((0, *t.shape), t.dtype) for t in gradients]]
    # a recording has to hear of the calls, so they run on Tensors there too
    lift, mode = graph or is_recording(), current_mode()
    with mode_set(mode.with_grad(graph and mode.grad)):
        for start in range(0, size, chunk):
            rows = min(chunk, size - start)
            units = np.eye(rows, size, start, weight.dtype).reshape((rows, *weight.shape))
            parts.append(plan.run([wrap(units) if lift else units]))
    joined = map(np.concatenate, zip(*parts, strict=True))
    return [t if isinstance(t, Tensor) else wrap(t) for t in joined]
