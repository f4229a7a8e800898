"""Derivatives of functions of trees of arrays, to any order.

A variable is a call of its own on an argument: nested derivatives never take one for another made
of the same Tensor ("perturbation confusion").
"""

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from retrograd import autograd, random, tree
from retrograd.engine import (
    CLOCK,
    MODE,
    Mode,
    ReversePass,
    Rule,
    Tensor,
    as_array,
    borrowed,
    defvjp,
    enable_grad,
    mode_set,
    primitive,
    record,
    run,
    spelled,
    wrap,
)
from retrograd.func.batching import Plan, leaf
from retrograd.engine.tensor import INSTEAD_OF_A_NUMBER
from retrograd.nn.module import Module

__all__ = [
    "checkpoint", "functional_call", "grad", "hessian", "hvp", "jacobian", "jvp", "ravel_pytree",
    "stop_gradient", "value_and_grad", "vjp",
]  # fmt: skip

Argnums = int | tuple[int, ...]
Function = Callable[..., Any]
Tensors = Sequence[Tensor]

CHUNK = 1 << 15  # elements of the largest array, for as many rows at once: in cache


@primitive
def variable(x: Any) -> Any:
    """Return the argument: a place for a transform to stop at."""
    return x


defvjp(variable, lambda g, out, x: g)


def sources(outs: Tensors, since: int, inner: set[Tensor]) -> list[Tensor]:
    """Return what from before `since` gave `outs`; put calls since into `inner`."""
    found: dict[Tensor, None] = {}
    stack = [t for t in outs if t.requires_grad]
    while stack:
        t = stack.pop()
        if t.rule is None or t.order < since:
            found[t] = None
        elif t not in inner:
            inner.add(t)
            stack += [a for a in t.inputs if isinstance(a, Tensor) and a.requires_grad]
    return list(found)


class Run:
    """A run of a function on variables made of the leaves of the chosen arguments.

    With `outer`, `outs` depend on more that requires grad: results have a graph.
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
        mode, start = MODE.get(), CLOCK.tick()
        left: list[str] = []

        def note_escape(what: str, of: Any, why: str, asked: bool) -> None:
            if of is not None and of.requires_grad and MODE.get().grad:
                if not asked:
                    raise TypeError(
                        f"{self.name}: {what} took a value out of the graph, which loses its "
                        f"gradient. {INSTEAD_OF_A_NUMBER}"
                    )
                left.append(what)
            if mode.on_escape is not None:
                mode.on_escape(what, of, why, asked)

        with mode_set(Mode(True, mode.tell, note_escape)):
            self.variables = [
                record(variable, self._source(value, i)) for i, value in enumerate(leaves)
            ]
            given = list(args)
            for i, value in zip(numbers, self.structure.unflatten(self.variables), strict=True):
                given[i] = value
            returned = f(*given, **kwargs)
        aux: list[Any] = []
        if has_aux:
            if not (isinstance(returned, tuple) and len(returned) == 2):
                raise TypeError(f"{self.name} with has_aux: the function must return (out, aux)")
            returned, *aux = returned
        outs, self.out_structure = tree.flatten(returned)
        self.outs = [self._output(out, left) for out in outs]
        self.outer = mode.grad and (
            any(isinstance(value, Tensor) and value.requires_grad for value in leaves)
            or bool(sources(self.outs, start, set(self.variables)))
        )
        self.aux = self.settled(aux)

    def _numbers(self, argnums: Argnums, count: int) -> tuple[int, ...]:
        numbers = (argnums,) if isinstance(argnums, int) else argnums
        if not isinstance(numbers, tuple) or not all(isinstance(i, int) for i in numbers):
            raise TypeError(f"{self.name}: argnums is an int or a tuple of ints, not {argnums!r}")
        places = {i % count for i in numbers if -count <= i < count}
        if len(places) < len(numbers) or not places:
            raise ValueError(
                f"{self.name}: argnums {argnums} must name different ones of {count} arguments"
            )
        return numbers

    def _source(self, value: Any, at: int) -> Tensor:
        if isinstance(value, Tensor) and value.requires_grad:
            return value
        array = as_array(value)
        if array.dtype.kind != "f":
            path = "".join(f"[{key!r}]" for key in self.structure.paths()[at][1:])
            raise TypeError(
                f"{self.name}: an argument{path} of dtype {array.dtype} has no derivative: use "
                ".astype(float), or other argnums"
            )
        return leaf(array)

    def _output(self, out: Any, left: list[str]) -> Tensor:
        if isinstance(out, Tensor):
            t = out
        elif left or not isinstance(out, (np.ndarray, np.generic, float)):
            why = (
                f", after {', '.join(dict.fromkeys(left))} took a value out of the graph, which "
                "loses its gradient. For a constant return rg.Tensor(...)"
            )
            raise TypeError(
                f"{self.name}: the function returned {out!r}, not a Tensor{why if left else ''}"
            )
        else:
            t = Tensor(out)
        if t.dtype.kind != "f":
            raise TypeError(
                f"{self.name}: the function returned {t.dtype}, which has no derivative: use "
                "has_aux=True"
            )
        return t

    def gradients(self, graph: bool) -> list[Tensor]:
        if len(self.outs) != 1 or self.outs[0].size != 1:
            raise ValueError(
                f"{self.name}, which returned {[t.shape for t in self.outs]}, not one number: use "
                "jacobian or vjp"
            )
        return pull(self.outs, self.variables, [np.ones_like(self.outs[0]._array)], graph)

    def value(self) -> Any:
        return self.settled(self.out_structure.unflatten(self.outs))

    def with_aux(self, result: Any) -> Any:
        return (result, *self.aux) if self.aux else result

    def settled(self, results: Any) -> Any:
        """Return results without this run's graph, unless that is needed."""
        return results if self.outer else stop_gradient(results)

    def gathered(self, values: Sequence[Any]) -> Any:
        """Return values of the variables as the tree of the arguments."""
        trees = self.structure.unflatten(values)
        return trees[0] if self.single else trees

    def fitted(
        self, given: Any, what: str, structure: tree.Structure, tensors: Tensors
    ) -> tuple[list[Tensor], bool]:
        """Return the leaves of a tree, like `tensors`, and whether they need a graph."""
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
    """Return the gradients of `targets`, zeros where there are none."""
    pairs = [(t, s) for t, s in zip(roots, seeds, strict=True) if t.requires_grad]
    found = autograd.grad(
        [t for t, _ in pairs], targets, [s for _, s in pairs], keep, graph, allow_unused=True
    )
    return [
        wrap(np.zeros_like(t._array)) if g is None else g
        for t, g in zip(targets, found, strict=True)
    ]


def _transform(
    name: str, f: Function, argnums: Argnums, has_aux: bool, result: Callable[[Run], Any]
) -> Function:
    def transformed(*args: Any, **kwargs: Any) -> Any:
        return result(Run(name, f, args, argnums, has_aux, **kwargs))

    functools.update_wrapper(transformed, f, assigned=("__module__",), updated=())
    transformed.__name__ = f"{name} of {spelled(f)}"
    return transformed


def grad(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """Return the function that computes the gradient of `f`, which returns one number.

    It has the tree and shapes of argument number `argnums`, or is a tuple of these. With
    `has_aux`, `f` returns `(number, aux)` and the function `(gradient, aux)`. Raises ValueError
    unless `f` returns one number, TypeError for arguments that are not floating.

    >>> rg.func.grad(lambda p: np.sum(p["w"] ** 2) * p["b"])({"w": np.array([1.0, 2.0]), "b": 3.0})
    {'w': Tensor([ 6., 12.]), 'b': Tensor(5.)}
    """
    return _transform(
        "grad", f, argnums, has_aux,
        lambda run: run.with_aux(run.gathered(run.gradients(run.outer))),
    )  # fmt: skip


def value_and_grad(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """Return the function that computes the value of `f` and its gradient, as `grad`.

    With `has_aux`: `((number, aux), gradient)`.

    >>> rg.func.value_and_grad(lambda x, y: x * y, argnums=(0, 1))(2.0, 3.0)
    (Tensor(6.), (Tensor(3.), Tensor(2.)))
    """
    return _transform(
        "value_and_grad", f, argnums, has_aux,
        lambda run: (run.with_aux(run.value()), run.gathered(run.gradients(run.outer))),
    )  # fmt: skip


def vjp(f: Function, *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """Return the value of `f` at `primals` and the function from cotangents to gradients.

    Cotangents have the tree and shapes of the value; gradients are a tuple of trees, one a
    primal. With `has_aux` the aux of `f` comes third.

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

    Both are tuples of trees of the same shapes, one an argument; the derivative is like the
    value. With `has_aux` the aux of `f` comes third.

    >>> rg.func.jvp(np.sin, (0.0,), (2.0,))
    (Tensor(0.), Tensor(2.))
    """
    run, along, graph = _run_along("jvp", f, primals, tangents, has_aux)
    # gradients are linear in weights of the outputs: their derivative, weighed with the tangents
    weights = [leaf(np.ones_like(t._array)) for t in run.outs]
    gradients = pull(run.outs, run.variables, weights, graph=True)
    derivatives = pull(gradients, weights, along, graph)
    return run.value(), run.out_structure.unflatten(derivatives), *run.aux


def hvp(
    f: Function, primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False
) -> tuple[Any, ...]:
    """Return the product of the Hessian of `f` at `primals` with `tangents`.

    `f` returns one number; all three are tuples as in `jvp`. With `has_aux`: `(result, aux)`.

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


def jacobian(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """Return the function that computes every derivative of every output of `f`.

    Outputs of shape `s` and an argument of shape `t` give shape `(*s, *t)`; trees give a tree of
    outputs with trees of arguments in it. Goes backward, a row for each output element, or
    forward, a column for each argument element, whichever is fewer. With `has_aux`:
    `(jacobian, aux)`.

    >>> rg.func.jacobian(lambda x: x ** 2)(np.array([1.0, 2.0]))
    Tensor([[2., 0.],
            [0., 4.]])
    """

    def compute(run: Run) -> Any:
        rows, columns = (sum(t.size for t in ts) for ts in (run.outs, run.variables))
        blocks: Any
        if 0 < 2 * columns < rows:  # forward needs one more pass through the graph than backward
            weights = [leaf(np.ones_like(t._array)) for t in run.outs]
            gradients = pull(run.outs, run.variables, weights, graph=True)
            found = [_batch(gradient, weights, run.outer) for gradient in gradients]
            blocks = [[np.moveaxis(t, 0, -1) for t in row] for row in zip(*found, strict=True)]
        else:
            blocks = [_batch(out, run.variables, run.outer) for out in run.outs]
        trees = [
            run.gathered(
                [t.reshape((*out.shape, *v.shape)) for t, v in zip(row, run.variables, strict=True)]
            )
            for row, out in zip(blocks, run.outs, strict=True)
        ]
        return run.with_aux(run.out_structure.unflatten(trees))

    return _transform("jacobian", f, argnums, has_aux, compute)


def hessian(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """Return the function that computes the second derivatives of `f`, which returns one number.

    An argument of shape `t` gives shape `(*t, *t)`, a tree gives a tree of trees. With `has_aux`:
    `(hessian, aux)`.

    >>> rg.func.hessian(lambda x: x[0] ** 2 * x[1])(np.array([2.0, 3.0]))
    Tensor([[6., 4.],
            [4., 0.]])
    """
    return jacobian(grad(f, argnums, has_aux), argnums, has_aux)


def _batch(root: Tensor, targets: Tensors, graph: bool) -> list[Tensor]:
    """Return the gradients of each element of the root, along a leading axis."""
    w = leaf(np.ones_like(root._array))
    results = pull([root], targets, [w], graph=True)
    plan, size = Plan(results, [w]), w.size
    chunk = max(1, CHUNK // max(plan.largest, size, 1))
    parts: list[Any] = [[np.zeros((0, *t.shape), t.dtype) for t in results]]
    for start in range(0, size, chunk):
        rows = min(chunk, size - start)
        units = np.eye(rows, size, start, w.dtype).reshape((rows, *w.shape))
        parts.append(plan.run([wrap(units) if graph else units]))
    joined = map(np.concatenate, zip(*parts, strict=True))
    return [t if isinstance(t, Tensor) else wrap(t) for t in joined]


def stop_gradient(values: Any) -> Any:
    """Return a tree with its Tensors detached: a constant for all derivatives.

    >>> rg.func.grad(lambda x: x * rg.func.stop_gradient(x))(3.0)
    Tensor(3.)
    """
    return tree.map(lambda t: t.detach() if isinstance(t, Tensor) else t, values)


def functional_call(module: Module, params: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
    """Return `module(*args)` as if `params` were its parameters and buffers.

    `params` has arrays or Tensors under names of `state_dict`. Raises KeyError for unknown names,
    ValueError for other shapes.

    >>> net = rg.nn.Linear(2, 1)
    >>> params = {"weight": np.array([[1.0, 2.0]]), "bias": np.zeros(1)}
    >>> rg.func.functional_call(net, params, np.array([[3.0, 4.0]]))
    Tensor([[11.]])
    >>> rg.func.grad(lambda p: np.sum(rg.func.functional_call(net, p, np.ones((5, 2)))))(params)
    {'weight': Tensor([[5., 5.]]), 'bias': Tensor([5.])}
    """
    if not (isinstance(module, Module) and isinstance(params, Mapping)):
        raise TypeError(
            "functional_call takes a Module first and a dict of parameters, not "
            f"{type(module).__name__} and {type(params).__name__}"
        )
    named = {**module._state(), **dict(module.named_buffers())}
    if unknown := [repr(name) for name in params if name not in named]:
        raise KeyError(f"{type(module).__name__} has no parameter {', '.join(unknown)}")
    new: dict[int, Any] = {}  # by id of what it replaces
    for name, value in params.items():
        t, old = value if isinstance(value, Tensor) else wrap(as_array(value)), named[name]
        if t.shape != old.shape:
            raise ValueError(f"{name} has shape {old.shape}, functional_call got {t.shape}")
        new[id(old)] = t if isinstance(old, Tensor) else t._array
    with contextlib.ExitStack() as afterwards:
        for attributes in map(vars, module.modules()):
            for key in [key for key, old in attributes.items() if id(old) in new]:
                afterwards.callback(attributes.__setitem__, key, attributes[key])
                attributes[key] = new[id(attributes[key])]
        return module(*args, **kwargs)


def ravel_pytree(values: Any) -> tuple[Any, Function]:
    """Return the leaves of a tree as one vector, and the function from vectors to trees.

    The vector is a Tensor if a leaf is; leaves come back with their shapes and dtypes. Raises
    TypeError for leaves that are not floating; the function, ValueError for another length.

    >>> vector, unravel = rg.func.ravel_pytree({"w": np.ones((2, 2)), "b": 3.0})
    >>> vector
    array([1., 1., 1., 1., 3.])
    >>> unravel(2 * vector)["b"]
    array(6.)
    """
    leaves, structure = tree.flatten(values)
    leaves = [leaf if isinstance(leaf, Tensor) else as_array(leaf) for leaf in leaves]
    like = [(leaf.shape, leaf.dtype) for leaf in leaves]  # alone, not to keep the arrays
    for _, dtype in like:
        if dtype.kind != "f":
            raise TypeError(f"ravel_pytree takes floating leaves, this one is {dtype}")
    ends = np.cumsum([leaf.size for leaf in leaves], dtype=int)
    vector = np.concatenate([leaf.reshape(-1) for leaf in leaves] or [np.zeros(0)])
    size = vector.size

    def unravel(flat: Any) -> Any:
        v = flat if isinstance(flat, Tensor) else np.asarray(flat)
        if v.shape != (size,):
            raise ValueError(f"unravel takes a vector of {size} elements, not shape {v.shape}")
        parts = zip(np.split(v, ends), like, strict=False)
        return structure.unflatten([v.reshape(shape).astype(dtype) for v, (shape, dtype) in parts])

    return vector, unravel


def checkpoint(f: Function, *args: Any, **kwargs: Any) -> Any:
    """Return `f(*args)` without keeping what it computes on the way, which backward recomputes.

    Gradients flow to the Tensors in `args` (trees) and all others that `f` uses. Draws of the
    default generator repeat; all else must.

    >>> x = rg.Tensor([0.0, 1.0], requires_grad=True)
    >>> np.sum(rg.func.checkpoint(lambda x: np.exp(np.sin(x)), x)).backward()
    >>> x.grad.round(3)
    array([1.   , 1.253])
    """
    if not callable(f):
        raise TypeError(f"checkpoint takes a function first, not {f!r}")
    mode = MODE.get()
    if mode.tell is not None or not mode.grad:
        return f(*args, **kwargs)  # nothing is kept anyway
    bits = random._default().bit_generator
    draws = bits.state

    def run_once() -> tuple[list[Tensor], tree.Structure, set[Tensor], list[Tensor]]:
        start, inner = CLOCK.tick(), set[Tensor]()
        values, structure = tree.flatten(f(*args, **kwargs))
        outs = [t if isinstance(t, Tensor) else Tensor(t) for t in values]
        return outs, structure, inner, sources(outs, start, inner)

    def gradients(g: Sequence[Any], out: Sequence[Any]) -> list[Any]:
        lift = isinstance(out[0], Tensor)
        now, bits.state = bits.state, draws
        try:
            with enable_grad():
                outs, _, inner, ends = run_once()
        finally:
            bits.state = now
        walk = ReversePass(True, lift, {*inner, *ends}, set(ends))
        pairs = [(t, part) for t, part in zip(outs, g, strict=True) if t.requires_grad]
        # views: no walk must write into what another holds
        walk.run([t for t, _ in pairs], [part if lift else borrowed(part) for _, part in pairs])
        found = [walk.found.get(t, np.zeros_like(t._array)) for t in used]
        return [part if isinstance(part, Tensor) else borrowed(part) for part in found]

    outs, structure, inner, used = run_once()
    if not used:
        return structure.unflatten(outs)
    # what shares memory could be written with that
    first = [t._array if t in inner and t._array.base is None else t._array.copy() for t in outs]
    results = run(_AGAIN, tuple(used), {"first": first, "gradients": gradients})
    first.clear()
    return structure.unflatten(
        [t if o.requires_grad else t.detach() for t, o in zip(results, outs, strict=True)]
    )


def _recomputed(*used: Any, first: list[Any], gradients: Function) -> tuple[Any, ...]:
    return tuple(first)


def _again_joint(
    needed: Any, g: Any, out: Any, *used: Any, first: Any, gradients: Function
) -> list[Any]:
    found = gradients(g, out)
    return [found[i] for i in needed]


_AGAIN = Rule(_recomputed, joint=_again_joint, multi=True)
