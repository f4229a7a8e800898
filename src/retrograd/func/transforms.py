"""Derivatives of functions: make variables of the arguments, run the function, go back.

A variable is a call of its own on the argument, recorded in this transform and no other: so a
derivative of a derivative never takes one variable for the other, also where both are made of
the same Tensor ("perturbation confusion").
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from retrograd import autograd, core, tree
from retrograd.core import Tensor, as_array, primitive, record, wrap
from retrograd.func.batching import Plan, leaf, sources
from retrograd.mode import MODE, Mode
from retrograd.registry import defvjp, spelled

Argnums = int | tuple[int, ...]
Function = Callable[..., Any]
Tensors = Sequence[Tensor]

# Rows computed at once are as many as keep the largest array within so many elements: in cache.
CHUNK = 1 << 15


@primitive
def variable(x: Any) -> Any:
    """Return the argument as it is: a place for a transform to stop at."""
    return x


defvjp(variable, lambda g, out, x: g)


class Run:
    """One run of a function on variables.

    `variables` are those of the chosen arguments, `structure` that of these arguments; `outs` are
    the Tensors that came out, with the structure `out_structure`; `aux` has what else came out.
    `outer` tells whether the outputs depend on anything besides that requires grad: then results
    must be differentiable again.
    """

    def __init__(
        self, name: str, f: Function, args: Any, argnums: Argnums, has_aux: bool, /, **kwargs: Any
    ) -> None:
        if not callable(f):
            raise TypeError(f"{name} takes a function first, not {f!r}")
        self.name = f"{name} of {spelled(f)}"
        self.single = isinstance(argnums, int)
        numbers = self._numbers(argnums, len(args))
        leaves, self.structure = tree.flatten(tuple(args[i] for i in numbers))
        mode, start = MODE.get(), core.clock()
        left: list[str] = []
        token = MODE.set(Mode(True, mode.tape, left))
        try:
            self.variables = [
                record(variable, self._source(value, i)) for i, value in enumerate(leaves)
            ]
            given = list(args)
            for i, value in zip(numbers, self.structure.unflatten(self.variables), strict=True):
                given[i] = value
            returned = f(*given, **kwargs)
        finally:
            MODE.reset(token)
        self.aux: list[Any] = []
        if has_aux:
            if not (isinstance(returned, tuple) and len(returned) == 2):
                raise TypeError(
                    f"{self.name} with has_aux needs a function that returns (out, aux)"
                )
            returned, *self.aux = returned
        outs, self.out_structure = tree.flatten(returned)
        self.outs = [self._output(out, left) for out in outs]
        self.outer = mode.grad and (
            any(isinstance(value, Tensor) and value.requires_grad for value in leaves)
            or next(sources(self.outs, start, {id(v): v for v in self.variables}), None) is not None
        )
        self.aux = self.settled(self.aux)

    def _numbers(self, argnums: Argnums, count: int) -> tuple[int, ...]:
        numbers = (argnums,) if isinstance(argnums, int) else argnums
        if not isinstance(numbers, tuple) or not all(isinstance(i, int) for i in numbers):
            raise TypeError(f"{self.name}: argnums is an int or a tuple of ints, not {argnums!r}")
        if not numbers or any(not -count <= i < count for i in numbers):
            raise ValueError(f"{self.name}: argnums {argnums} for {count} positional arguments")
        if len({i % count for i in numbers}) < len(numbers):
            raise ValueError(f"{self.name}: argnums {argnums} names an argument twice")
        return numbers

    def _source(self, value: Any, at: int) -> Tensor:
        if isinstance(value, Tensor) and value.requires_grad:
            return value
        array = as_array(value)
        if array.dtype.kind != "f":
            path = "".join(f"[{key!r}]" for key in self.structure.paths()[at][1:])
            raise TypeError(
                f"{self.name}: an argument{path} of dtype {array.dtype} has no derivative: use "
                ".astype(float), or choose other arguments by argnums"
            )
        return leaf(array)

    def _output(self, out: Any, left: list[str]) -> Tensor:
        if not isinstance(out, (Tensor, np.ndarray, np.generic, float)):
            raise TypeError(f"{self.name}: the function returned {out!r}, not a Tensor")
        if left and not isinstance(out, Tensor):
            raise TypeError(
                f"{self.name}: the function returned {out!r}, not a Tensor, after "
                f"{', '.join(dict.fromkeys(left))} took a value out of the graph: its gradient "
                "would be lost. For a constant return rg.Tensor(...)"
            )
        t = out if isinstance(out, Tensor) else Tensor(out)
        if t.dtype.kind != "f":
            raise TypeError(
                f"{self.name}: the function returned {t.dtype}, which has no derivative: return "
                "it as aux (has_aux=True)"
            )
        return t

    def gradients(self, graph: bool) -> list[Tensor]:
        """Return the gradients of the output; ValueError if it is anything but one number."""
        if len(self.outs) != 1 or self.outs[0].size != 1:
            shapes = ", ".join(str(t.shape) for t in self.outs) or "nothing"
            raise ValueError(
                f"{self.name}, which returned shape {shapes}: it must return one number; use "
                "jacobian or vjp for more"
            )
        return pull(self.outs, self.variables, [np.ones_like(self.outs[0]._data)], graph)

    def value(self) -> Any:
        """Return what the function returned."""
        return self.settled(self.out_structure.unflatten(self.outs))

    def with_aux(self, result: Any) -> Any:
        """Return a result, beside the aux if the function returns one."""
        return (result, *self.aux) if self.aux else result

    def settled(self, results: Any) -> Any:
        """Return a tree of results without this run's graph, unless somebody needs that."""
        return results if self.outer else stop_gradient(results)

    def gathered(self, values: Sequence[Any]) -> Any:
        """Return a value for each variable as the tree of the arguments that were chosen."""
        trees = self.structure.unflatten(values)
        return trees[0] if self.single else trees

    def fitted(
        self, given: Any, what: str, structure: tree.Structure, tensors: Tensors
    ) -> tuple[list[Tensor], bool]:
        """Return the leaves of a tree as Tensors with the shapes and dtypes of others.

        Also tells whether what is computed from them must be differentiable again.
        """
        name = f"the {what} in {self.name}"
        fitting = []
        for value, t in zip(structure.match(given, name), tensors, strict=True):
            fit = value if isinstance(value, Tensor) else wrap(as_array(value))
            if fit.shape != t.shape:
                raise ValueError(f"{name} have shape {fit.shape} where it must be {t.shape}")
            fitting.append(fit if fit.dtype == t.dtype else fit.astype(t.dtype))
        graph = MODE.get().grad and (self.outer or any(t.requires_grad for t in fitting))
        return fitting, graph


def pull(
    roots: Tensors, targets: Tensors, seeds: Sequence[Any], graph: bool, keep: bool | None = None
) -> list[Tensor]:
    """Return the gradients of `targets`, zeros where the roots do not depend on one.

    The graph behind the roots is kept if `keep`, by default if `graph`.
    """
    pairs = [(t, s) for t, s in zip(roots, seeds, strict=True) if t.requires_grad]
    found = autograd.grad(
        [t for t, _ in pairs], targets, [s for _, s in pairs], keep, graph, allow_unused=True
    )
    return [
        wrap(np.zeros(t.shape, t.dtype)) if g is None else g
        for t, g in zip(targets, found, strict=True)
    ]


def grad(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """Return the function that computes the gradient of `f`, which returns one number.

    The gradient has the tree and shapes of argument number `argnums`; it is a tuple of these for
    a tuple of numbers. With `has_aux`, `f` returns `(number, aux)` and the gradient comes as
    `(gradient, aux)`. Raises ValueError if `f` returns anything but one number, TypeError for an
    argument that is not floating.

    >>> rg.func.grad(lambda p: np.sum(p["w"] ** 2) * p["b"])({"w": np.array([1.0, 2.0]), "b": 3.0})
    {'w': Tensor([ 6., 12.]), 'b': Tensor(5.)}
    """

    def gradient(*args: Any, **kwargs: Any) -> Any:
        run = Run("grad", f, args, argnums, has_aux, **kwargs)
        return run.with_aux(run.gathered(run.gradients(run.outer)))

    return _named("the gradient of", f, gradient)


def value_and_grad(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """Return the function that computes the value of `f` and its gradient, as `grad` does.

    With `has_aux` that is `((number, aux), gradient)`.

    >>> rg.func.value_and_grad(lambda x, y: x * y, argnums=(0, 1))(2.0, 3.0)
    (Tensor(6.), (Tensor(3.), Tensor(2.)))
    """

    def both(*args: Any, **kwargs: Any) -> Any:
        run = Run("value_and_grad", f, args, argnums, has_aux, **kwargs)
        gradients = run.gathered(run.gradients(run.outer))
        return run.with_aux(run.value()), gradients

    return _named("the value and gradient of", f, both)


def vjp(f: Function, *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """Return the value of `f` at `primals` and the function from cotangents to gradients.

    Cotangents have the tree and shapes of the value; gradients are a tuple, one tree for each of
    the primals. With `has_aux` the aux of `f` comes third.

    >>> value, pullback = rg.func.vjp(np.multiply, np.array([1.0, 2.0]), 3.0)
    >>> pullback(np.array([1.0, 1.0]))
    (Tensor([3., 3.]), Tensor(3.))
    """
    run = Run("vjp", f, primals, tuple(range(len(primals))), has_aux)

    def pullback(cotangents: Any) -> Any:
        weights, graph = run.fitted(cotangents, "cotangents", run.out_structure, run.outs)
        return run.gathered(pull(run.outs, run.variables, weights, graph, keep=True))

    return run.value(), pullback, *run.aux


def jvp(
    f: Function, primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False
) -> tuple[Any, ...]:
    """Return the value of `f` at `primals` and its derivative along `tangents`.

    Both are tuples of trees of the same shapes, one for each argument; the derivative has the
    tree and shapes of the value. With `has_aux` the aux of `f` comes third.

    >>> rg.func.jvp(np.sin, (0.0,), (2.0,))
    (Tensor(0.), Tensor(2.))
    """
    run, along, graph = _run_along("jvp", f, primals, tangents, has_aux)
    # The gradients are a linear function of weights of the outputs; the derivative of that
    # function with respect to the weights, weighed with the tangents, is what is asked for.
    weights = [_weight(t) for t in run.outs]
    gradients = pull(run.outs, run.variables, weights, graph=True)
    derivatives = pull(gradients, weights, along, graph)
    return run.value(), run.out_structure.unflatten(derivatives), *run.aux


def hvp(
    f: Function, primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False
) -> tuple[Any, ...]:
    """Return the product of the Hessian of `f` at `primals` with `tangents`.

    `f` returns one number. Primals, tangents and the result are tuples of trees of the same
    shapes, one for each argument. With `has_aux` that is `(result, aux)`.

    >>> rg.func.hvp(lambda x: np.sum(x ** 3), (np.array([1.0, 2.0]),), (np.array([1.0, 0.0]),))
    (Tensor([6., 0.]),)
    """
    run, along, graph = _run_along("hvp", f, primals, tangents, has_aux)
    products = pull(run.gradients(graph=True), run.variables, along, graph)
    result: tuple[Any, ...] = run.with_aux(run.gathered(products))
    return result


def _run_along(
    name: str, f: Function, primals: Any, tangents: Any, has_aux: bool
) -> tuple[Run, list[Tensor], bool]:
    if not (isinstance(primals, (tuple, list)) and isinstance(tangents, (tuple, list))):
        raise TypeError(f"{name} takes primals and tangents as tuples, one entry an argument")
    if len(primals) != len(tangents):
        raise ValueError(f"{name} got {len(tangents)} tangents for {len(primals)} primals")
    run = Run(name, f, primals, tuple(range(len(primals))), has_aux)
    return run, *run.fitted(tuple(tangents), "tangents", run.structure, run.variables)


def _weight(t: Tensor) -> Tensor:
    """Return weights for the elements of `t`, to differentiate with respect to."""
    return leaf(np.ones(t.shape, t.dtype))


def _named(what: str, f: Function, transformed: Function) -> Function:
    functools.update_wrapper(transformed, f, assigned=("__module__",), updated=())
    transformed.__name__ = f"{what} {getattr(f, '__name__', repr(f))}"
    return transformed


def jacobian(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """Return the function that computes every derivative of every output of `f`.

    For an output of shape `s` and an argument of shape `t` that is an array `(*s, *t)`; where the
    output is a tree, and the argument too, the result is a tree of outputs with trees of
    arguments in it. Goes backward, one row for each output element, or forward, one column for
    each argument element, whichever is fewer. With `has_aux` the result is `(jacobian, aux)`.

    >>> rg.func.jacobian(lambda x: x ** 2)(np.array([1.0, 2.0]))
    Tensor([[2., 0.],
            [0., 4.]])
    """

    def compute(*args: Any, **kwargs: Any) -> Any:
        run = Run("jacobian", f, args, argnums, has_aux, **kwargs)
        rows, columns = (sum(t.size for t in ts) for ts in (run.outs, run.variables))
        # forward needs one more pass through the graph than backward
        blocks = _forward(run) if 2 * columns < rows else _backward(run)
        return run.with_aux(run.out_structure.unflatten([run.gathered(row) for row in blocks]))

    return _named("the Jacobian of", f, compute)


def hessian(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """Return the function that computes the second derivatives of `f`, which returns one number.

    For an argument of shape `t` that is an array `(*t, *t)`, for a tree of arguments a tree of
    trees. With `has_aux` the result is `(hessian, aux)`.

    >>> rg.func.hessian(lambda x: x[0] ** 2 * x[1])(np.array([2.0, 3.0]))
    Tensor([[6., 4.],
            [4., 0.]])
    """
    return _named("the Hessian of", f, jacobian(grad(f, argnums, has_aux), argnums, has_aux))


def _backward(run: Run) -> list[list[Any]]:
    """Return a list of blocks for each output: gradients, for all of its elements at once."""
    blocks = []
    for out in run.outs:
        w = _weight(out)
        rows = _batch(pull([out], run.variables, [w], graph=True), w, run.outer)
        pairs = zip(rows, run.variables, strict=True)
        blocks.append([row.reshape((*out.shape, *v.shape)) for row, v in pairs])
    return blocks


def _forward(run: Run) -> list[list[Any]]:
    """Return a list of blocks for each output: derivatives along every argument element."""
    weights = [_weight(t) for t in run.outs]
    blocks: list[list[Any]] = [[] for _ in run.outs]
    gradients = pull(run.outs, run.variables, weights, graph=True)
    for gradient, v in zip(gradients, run.variables, strict=True):
        along = _weight(v)
        columns = _batch(pull([gradient], weights, [along], graph=True), along, run.outer)
        for row, column, out in zip(blocks, columns, run.outs, strict=True):
            row.append(np.moveaxis(column, 0, -1).reshape((*out.shape, *v.shape)))
    return blocks


def _batch(results: Tensors, w: Tensor, graph: bool) -> list[Any]:
    """Return linear functions of `w` at every unit vector, along a leading axis."""
    plan, size = Plan(results, [w]), w.size
    if not size:
        return [wrap(np.zeros((0, *t.shape), t.dtype)) for t in results]
    chunk = max(1, CHUNK // max(plan.largest, size))
    parts = []
    for start in range(0, size, chunk):
        rows = min(chunk, size - start)
        units = np.eye(rows, size, start, w.dtype).reshape((rows, *w.shape))
        parts.append(plan.run([wrap(units) if graph else units]))
    joined = [p[0] if len(p) == 1 else np.concatenate(p) for p in zip(*parts, strict=True)]
    return [t if isinstance(t, Tensor) else wrap(np.asarray(t)) for t in joined]


def stop_gradient(values: Any) -> Any:
    """Return a tree of values with every Tensor in it detached: constants for all derivatives.

    >>> rg.func.grad(lambda x: x * rg.func.stop_gradient(x))(3.0)
    Tensor(3.)
    """
    return tree.map(lambda t: t.detach() if isinstance(t, Tensor) else t, values)
