"""First derivatives, and products with first and second ones."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from retrograd.checks import refuse_words
from retrograd.engine import Tensor, spelled
from retrograd.func.run import Argnums, Run, leaf, pull


def make_transform(
    name: str,
    f: Callable[..., Any],
    argnums: Argnums,
    has_aux: bool,
    answer: Callable[[Run], Any],
) -> Callable[..., Any]:
    """Return the function that runs `f` on variables and answers with what `answer` makes of it."""

    def transformed(*args: Any, **kwargs: Any) -> Any:
        return answer(Run(name, f, args, argnums, has_aux, **kwargs))

    functools.update_wrapper(transformed, f, assigned=("__module__",), updated=())
    transformed.__name__ = f"{name} of {spelled(f)}"
    return transformed


def grad(
    f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False, **_words: Any
) -> Callable[..., Any]:
    """Return the function that computes the gradient of `f`, which returns one number.

    Args:
        f: A function written in NumPy calls and operators. The chosen arguments are trees (nested
            dicts, lists, tuples) of floats, floating arrays or Tensors; it gets Tensors in their
            place. All other arguments, and keywords, are handed on as they are.
        argnums: The position of the argument to differentiate with respect to, or a tuple or
            list of different positions. Negative ones count from the last argument that is given.
        has_aux: Whether `f` returns a pair `(number, aux)`: the number is differentiated, aux is
            anything else to get out of the same run, such as predictions.

    Returns:
        A function that takes what `f` takes. It returns the gradient: the tree of the chosen
        argument, with a Tensor of the same shape and dtype in place of each leaf; a tuple of such
        trees if `argnums` is a tuple, also of one. With `has_aux` it returns `(gradient, aux)`.
        Its results require grad if `f` uses, or gets, Tensors that do: they can then be
        differentiated further, as in a loss. It leaves every `.grad` as it is.

    Raises:
        TypeError: when the function is called, if `f` is no function, if a chosen argument is not
            floating, if `argnums` is neither an int nor a tuple of ints, if `f` returns no floating
            Tensor or lost its gradient on the way (by `float(t)`, `t.item()`, `t.data`), or if it
            returns no pair with `has_aux`.
        ValueError: when the function is called, if `f` returns more than one number, or if
            `argnums` names an argument that is not there, or one twice.

    The names and conventions are those of JAX.

    >>> rg.func.grad(lambda p: np.sum(p["w"] ** 2) * p["b"])({"w": np.array([1.0, 2.0]), "b": 3.0})
    {'w': Tensor([ 6., 12.]), 'b': Tensor(5.)}
    >>> rg.func.grad(lambda x, y: x * y, argnums=(0, 1))(2.0, 3.0)
    (Tensor(3.), Tensor(2.))
    """
    if _words:
        refuse_words("grad", _words)
    return make_transform(
        "grad", f, argnums, has_aux,
        lambda run: run.with_aux(run.gather(run.gradients(run.outer))),
    )  # fmt: skip


def value_and_grad(
    f: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False, **_words: Any
) -> Callable[..., Any]:
    """Return the function that computes the value of `f` and its gradient in one run.

    Args:
        f: A function that returns one number, as for `grad`.
        argnums: The position of the argument to differentiate with respect to, or a tuple or
            list of different positions. Negative ones count from the last argument that is given.
        has_aux: Whether `f` returns a pair `(number, aux)`, of which aux is not differentiated.

    Returns:
        A function that takes what `f` takes and returns `(number, gradient)`, or with `has_aux`
        `((number, aux), gradient)`. The number is a Tensor in the shape that `f` gave it; the
        gradient is a tree like the chosen argument, or a tuple of trees, as `grad` returns it.

    Raises:
        TypeError: when the function is called, as for `grad`.
        ValueError: when the function is called, as for `grad`: if `f` returns more than one number,
            or if `argnums` names an argument that is not there, or one twice.

    >>> rg.func.value_and_grad(lambda x, y: x * y, argnums=(0, 1))(2.0, 3.0)
    (Tensor(6.), (Tensor(3.), Tensor(2.)))
    """
    if _words:
        refuse_words("value_and_grad", _words)
    return make_transform(
        "value_and_grad", f, argnums, has_aux,
        lambda run: (run.with_aux(run.value()), run.gather(run.gradients(run.outer))),
    )  # fmt: skip


def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """Return the value of `f` and its pullback: the function from cotangents to gradients.

    A vjp is a vector times the Jacobian: with `y = f(x)` of Jacobian `J` and a cotangent `v` in
    the shape of `y`, the pullback gives `v @ J`, in the shape of `x`, without computing `J`.

    Args:
        f: A function written in NumPy calls and operators.
        *primals: Its arguments, all to be differentiated with respect to: trees (nested dicts,
            lists, tuples) of floats, floating arrays or Tensors.
        has_aux: Whether `f` returns a pair `(value, aux)`, of which aux is not differentiated.

    Returns:
        `(value, pullback)`, or with `has_aux` `(value, pullback, aux)`. The value is what `f`
        returned, a tree of Tensors. The pullback takes cotangents in a tree like the value, with
        the same shapes, and returns a tuple of gradients, one tree like each primal. It may be
        called any number of times. It raises ValueError for another tree or another shape.

    Raises:
        TypeError: if `f` is no function, if a primal is not floating, or if `f` returns what has
            no derivative.
        ValueError: if there are no primals.

    >>> value, pullback = rg.func.vjp(np.multiply, np.array([1.0, 2.0]), 3.0)
    >>> value
    Tensor([3., 6.])
    >>> pullback(np.array([1.0, 1.0]))
    (Tensor([3., 3.]), Tensor(3.))
    """
    run = Run("vjp", f, primals, tuple(range(len(primals))), has_aux)

    def pullback(cotangents: Any) -> Any:
        weights, graph = run.fit(cotangents, "cotangents", run.out_structure, run.outs)
        return run.gather(pull(run.outs, run.variables, weights, graph, keep=True))

    return run.value(), pullback, *run.aux


def jvp(
    f: Callable[..., Any],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    has_aux: bool = False,
) -> tuple[Any, ...]:
    """Return the value of `f` and its derivative along a direction.

    A jvp is the Jacobian times a vector: `J @ v`, how `f(x + t * v)` changes with `t` at 0. It is
    computed by going backward twice: the pullback is linear in its cotangents, and the pullback of
    that takes `v` to `J @ v` (Townsend 2017, "A new trick for calculating Jacobian vector
    products").

    Args:
        f: A function written in NumPy calls and operators.
        primals: Its arguments, in a tuple or list: trees (nested dicts, lists, tuples) of floats,
            floating arrays or Tensors.
        tangents: The direction, in a tuple or list: a tree like each primal, in the same shapes.
        has_aux: Whether `f` returns a pair `(value, aux)`, of which aux is not differentiated.

    Returns:
        `(value, derivative)`, or with `has_aux` `(value, derivative, aux)`: two trees of Tensors
        as `f` returns them, in the same shapes.

    Raises:
        TypeError: if `f` is no function, if `primals` or `tangents` is no tuple or list, if a
            primal is not floating, or if `f` returns what has no derivative.
        ValueError: if the tangents differ from the primals in number, tree or shape.

    >>> rg.func.jvp(np.sin, (0.0,), (2.0,))
    (Tensor(0.), Tensor(2.))
    """
    run, along, graph = _run_along("jvp", f, primals, tangents, has_aux)
    weights = [leaf(np.ones_like(t._array)) for t in run.outs]
    gradients = pull(run.outs, run.variables, weights, graph=True)
    derivatives = pull(gradients, weights, along, graph)
    return run.value(), run.out_structure.unflatten(derivatives), *run.aux


def hvp(
    f: Callable[..., Any],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    has_aux: bool = False,
) -> tuple[Any, ...]:
    """Return the product of the Hessian of `f` with a vector, `H @ v`, without computing `H`.

    It is the gradient of the gradient's product with `v`, and takes a few times as long as a
    gradient, however many elements there are (Pearlmutter 1994, "Fast exact multiplication by the
    Hessian").

    Args:
        f: A function that returns one number, written in NumPy calls and operators.
        primals: Its arguments, in a tuple or list: trees (nested dicts, lists, tuples) of floats,
            floating arrays or Tensors.
        tangents: The vector, in a tuple or list: a tree like each primal, in the same shapes.
        has_aux: Whether `f` returns a pair `(number, aux)`, of which aux is not differentiated.

    Returns:
        A tuple of trees of Tensors, one like each primal, also where there is one. With `has_aux`
        `(product, aux)`, where the product is that tuple.

    Raises:
        TypeError: if `f` is no function, if `primals` or `tangents` is no tuple or list, if a
            primal is not floating, or if `f` returns what has no derivative.
        ValueError: if `f` returns more than one number, or if the tangents differ from the primals
            in number, tree or shape.

    >>> rg.func.hvp(lambda x: np.sum(x ** 3), (np.array([1.0, 2.0]),), (np.array([1.0, 0.0]),))
    (Tensor([6., 0.]),)
    """
    run, along, graph = _run_along("hvp", f, primals, tangents, has_aux)
    products = pull(run.gradients(graph=True), run.variables, along, graph)
    result: tuple[Any, ...] = run.with_aux(run.gather(products))
    return result


def _run_along(
    name: str, f: Callable[..., Any], primals: Any, tangents: Any, has_aux: bool
) -> tuple[Run, list[Tensor], bool]:
    """Return a run on all primals, the leaves of the tangents, and whether these need a graph."""
    if not (isinstance(primals, (tuple, list)) and isinstance(tangents, (tuple, list))):
        raise TypeError(f"{name} takes primals and tangents as tuples, one entry an argument")
    if len(primals) != len(tangents):
        raise ValueError(f"{name} got {len(tangents)} tangents for {len(primals)} primals")
    run = Run(name, f, primals, tuple(range(len(primals))), has_aux)
    return run, *run.fit(tuple(tangents), "tangents", run.structure, run.variables)
