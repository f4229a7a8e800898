"""First derivatives, and products with second ones."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from retrograd import tree
from retrograd.core import Tensor, as_array, wrap
from retrograd.func.tracing import Argnums, Run, pull
from retrograd.mode import MODE

Function = Callable[..., Any]


def grad(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """Return the function that computes the gradient of `f`, which returns one number.

    The gradient has the tree and shapes of argument number `argnums`; it is a tuple of these for
    a tuple of numbers. With `has_aux`, `f` returns `(number, aux)` and the gradient comes as
    `(gradient, aux)`. Raises ValueError if `f` returns anything but one number, TypeError for an
    argument that is not floating.

    >>> import numpy as np, retrograd as rg
    >>> rg.func.grad(lambda p: np.sum(p["w"] ** 2) * p["b"])({"w": np.array([1.0, 2.0]), "b": 3.0})
    {'w': Tensor([ 6., 12.]), 'b': Tensor(5.)}
    """
    both = _value_and_grad("grad", f, argnums, has_aux)

    @_named("the gradient of", f)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, gradients = both(*args, **kwargs)
        return (gradients, value[1]) if has_aux else gradients

    return gradient


def value_and_grad(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """Return the function that computes the value of `f` and its gradient, as `grad` does.

    With `has_aux` that is `((number, aux), gradient)`.

    >>> import retrograd as rg
    >>> rg.func.value_and_grad(lambda x, y: x * y, argnums=(0, 1))(2.0, 3.0)
    (Tensor(6.), (Tensor(3.), Tensor(2.)))
    """
    return _named("the value and gradient of", f)(
        _value_and_grad("value_and_grad", f, argnums, has_aux)
    )


def _value_and_grad(name: str, f: Function, argnums: Argnums, has_aux: bool) -> Function:
    def both(*args: Any, **kwargs: Any) -> Any:
        run = Run(name, f, args, argnums, has_aux, kwargs)
        if len(run.outs) != 1 or run.outs[0].size != 1:
            shapes = ", ".join(str(t.shape) for t in run.outs) or "nothing"
            raise ValueError(
                f"{run.name}, which returned shape {shapes}: it must return one number; use "
                "jacobian or vjp for more"
            )
        (out,) = run.outs
        seed = np.ones(out.shape, out.dtype)
        gradients = pull([out], run.variables, [seed], run.outer, keep=run.outer)
        value = run.settled(run.out_structure.unflatten([out]))
        return (value, run.aux) if has_aux else value, run.gathered(gradients, argnums)

    return both


def vjp(f: Function, *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """Return the value of `f` at `primals` and the function from cotangents to gradients.

    Cotangents have the tree and shapes of the value; gradients are a tuple, one tree for each of
    the primals. With `has_aux` the aux of `f` comes third.

    >>> import numpy as np, retrograd as rg
    >>> value, pullback = rg.func.vjp(np.multiply, np.array([1.0, 2.0]), 3.0)
    >>> pullback(np.array([1.0, 1.0]))
    (Tensor([3., 3.]), Tensor(3.))
    """
    run = Run("vjp", f, primals, tuple(range(len(primals))), has_aux)
    structure, outs = run.out_structure, run.outs

    def pullback(cotangents: Any) -> tuple[Any, ...]:
        weights = like(cotangents, structure, outs, f"the cotangents in {run.name}")
        needed = run.outer or any(w.requires_grad for w in weights)
        graph = MODE.get().grad and needed
        return tuple(run.gathered(pull(outs, run.variables, weights, graph), ()))

    value = run.settled(structure.unflatten(outs))
    return (value, pullback, run.aux) if has_aux else (value, pullback)


def jvp(
    f: Function, primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False
) -> tuple[Any, ...]:
    """Return the value of `f` at `primals` and its derivative along `tangents`.

    Both are tuples of trees of the same shapes, one for each argument; the derivative has the
    tree and shapes of the value. With `has_aux` the aux of `f` comes third.

    >>> import numpy as np, retrograd as rg
    >>> rg.func.jvp(np.sin, (0.0,), (2.0,))
    (Tensor(0.), Tensor(2.))
    """
    _check_tuples("jvp", primals, tangents)
    run = Run("jvp", f, primals, tuple(range(len(primals))), has_aux)
    along = like(tuple(tangents), run.structure, run.variables, f"the tangents in {run.name}")
    graph = run.outer or (MODE.get().grad and any(v.requires_grad for v in along))
    derivatives = push(run.outs, run.variables, along, graph)
    results = run.out_structure.unflatten(derivatives)
    value = run.settled(run.out_structure.unflatten(run.outs))
    return (value, results, run.aux) if has_aux else (value, results)


def push(
    outs: Sequence[Tensor], variables: Sequence[Tensor], tangents: Sequence[Any], graph: bool
) -> list[Tensor]:
    """Return the derivatives of `outs` along `tangents`.

    The gradients are a linear function of weights of the outputs; the derivative of that function
    with respect to the weights, weighed with the tangents, is what is asked for.
    """
    weights = [weight(t) for t in outs]
    gradients = pull(outs, variables, weights, graph=True)
    return pull(gradients, weights, tangents, graph, keep=graph)


def weight(t: Tensor) -> Tensor:
    """Return weights for the elements of `t`, to differentiate with respect to."""
    w = wrap(np.ones(t.shape, t.dtype))
    w.requires_grad = True
    return w


def hvp(
    f: Function, primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False
) -> tuple[Any, ...]:
    """Return the product of the Hessian of `f` at `primals` with `tangents`.

    `f` returns one number. Primals, tangents and the result are tuples of trees of the same
    shapes, one for each argument. With `has_aux` that is `(result, aux)`.

    >>> import numpy as np, retrograd as rg
    >>> rg.func.hvp(lambda x: np.sum(x ** 3), (np.array([1.0, 2.0]),), (np.array([1.0, 0.0]),))
    (Tensor([6., 0.]),)
    """
    _check_tuples("hvp", primals, tangents)
    run = Run("hvp", f, primals, tuple(range(len(primals))), has_aux)
    if len(run.outs) != 1 or run.outs[0].size != 1:
        raise ValueError(f"{run.name}: the function must return one number")
    along = like(tuple(tangents), run.structure, run.variables, f"the tangents in {run.name}")
    graph = run.outer or (MODE.get().grad and any(v.requires_grad for v in along))
    (out,) = run.outs
    gradients = pull([out], run.variables, [np.ones(out.shape, out.dtype)], graph=True)
    products = pull(gradients, run.variables, along, graph, keep=graph)
    result = tuple(run.gathered(products, ()))
    return (result, run.aux) if has_aux else result


def like(
    given: Any, structure: tree.Structure, tensors: Sequence[Tensor], name: str
) -> list[Tensor]:
    """Return the leaves of a tree as Tensors that fit the shapes and dtypes of others."""
    fitting = []
    for value, t in zip(structure.match(given, name), tensors, strict=True):
        array = as_array(value)
        if array.shape != t.shape:
            raise ValueError(f"{name} have shape {array.shape} where it must be {t.shape}")
        if isinstance(value, Tensor) and array.dtype == t.dtype:
            fitting.append(value)
        elif isinstance(value, Tensor):
            fitting.append(value.astype(t.dtype))
        else:
            fitting.append(wrap(array.astype(t.dtype, copy=False)))
    return fitting


def _check_tuples(name: str, primals: Any, tangents: Any) -> None:
    if not (isinstance(primals, (tuple, list)) and isinstance(tangents, (tuple, list))):
        raise TypeError(f"{name} takes primals and tangents as tuples, one entry an argument")
    if len(primals) != len(tangents):
        raise ValueError(f"{name} got {len(tangents)} tangents for {len(primals)} primals")


def _named(what: str, f: Function) -> Callable[[Function], Function]:
    def rename(transformed: Function) -> Function:
        functools.update_wrapper(transformed, f, assigned=("__module__",), updated=())
        transformed.__name__ = f"{what} {getattr(f, '__name__', repr(f))}"
        return transformed

    return rename
