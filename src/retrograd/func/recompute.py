"""`checkpoint`: compute twice, keep less."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ParamSpec, TypeVar

import numpy as np

from retrograd import random, tree
from retrograd.checks import takes_function
from retrograd.engine import (
    CLOCK,
    ReversePass,
    Rule,
    Tensor,
    borrowed,
    current_mode,
    enable_grad,
    run,
    trace_back,
)

P = ParamSpec("P")
R = TypeVar("R")


def checkpoint(f: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Return `f(*args)` without keeping what it computes on the way, which backward recomputes.

    It trades time for memory: `f` runs once more in each backward pass, and in between only what
    goes in and comes out is kept. In a recording of `rg.compile`, and where nothing is recorded
    for gradients, it just calls `f`.

    Args:
        f: A function of Tensors, such as a block of layers, which gives the same values each time.
            What layers and functions of this package draw is drawn alike again, from whichever
            generator; so is what `f` draws from a generator that is among its arguments, that it
            refers to by name, or that a Module has which is. Any other is for `f` to set back.
        *args: Its arguments, trees (nested dicts, lists, tuples) of anything. Gradients flow to
            the Tensors in them, and to all others that `f` uses, such as parameters of a Module.
        **kwargs: Its keywords.

    Returns:
        What `f` returns, with Tensors in place of arrays and numbers.

    Raises:
        TypeError: if `f` is no function.

    Griewank 1992, "Achieving logarithmic growth of temporal and spatial complexity in reverse
    automatic differentiation"; Chen et al. 2016, "Training deep nets with sublinear memory cost".

    >>> x = rg.Tensor([0.0, 1.0], requires_grad=True)
    >>> np.sum(rg.func.checkpoint(lambda x: np.exp(np.sin(x)), x)).backward()
    >>> x.grad.round(3)
    array([1.   , 1.253])
    """
    takes_function("checkpoint", f)
    mode = current_mode()
    if mode.records or not mode.grad:
        return f(*args, **kwargs)  # nothing is kept anyway
    drawn = {id(rng): (rng, rng.bit_generator.state) for rng in _generators(f, args, kwargs)}

    def run_once() -> tuple[list[Tensor], tree.Structure, set[Tensor], list[Tensor]]:
        start = CLOCK.tick()
        with random.watch(drawn):
            values, structure = tree.flatten(f(*args, **kwargs))
        outs = [t if isinstance(t, Tensor) else Tensor(t) for t in values]
        return outs, structure, *trace_back(outs, start)

    def gradients(g: Sequence[Any], out: Sequence[Any]) -> list[Any]:
        """Return the gradient of each of `used`, from another run of the function."""
        lift = isinstance(out[0], Tensor)
        now = [(rng, rng.bit_generator.state) for rng, _ in drawn.values()]
        _set_back(drawn.values())
        try:
            with enable_grad():
                outs, _, inner, ends = run_once()
        finally:
            _set_back(now)
        walk = ReversePass(True, lift, {*inner, *ends}, set(ends))
        pairs = [(t, part) for t, part in zip(outs, g, strict=True) if t.requires_grad]
        # neither this walk nor the one around it may write into a gradient that the other has
        walk.run([t for t, _ in pairs], [part if lift else borrowed(part) for _, part in pairs])
        found = [walk.found.get(t, np.zeros_like(t._array)) for t in used]
        return [part if isinstance(part, Tensor) else borrowed(part) for part in found]

    outs, structure, inner, used = run_once()
    if used:
        # an output that shares memory with something else would be written together with that
        is_own = [t in inner and t._array.base is None for t in outs]
        first = [t._array if own else t._array.copy() for t, own in zip(outs, is_own, strict=True)]
        results = run(_RECOMPUTE, tuple(used), {"first": first, "gradients": gradients})
        first.clear()
        pairs = zip(results, outs, strict=True)
        outs = [t if out.requires_grad else t.detach() for t, out in pairs]
    result: R = structure.unflatten(outs)
    return result


def _set_back(states: Iterable[tuple[np.random.Generator, Any]]) -> None:
    for rng, state in states:
        rng.bit_generator.state = state


def _generators(f: Callable[..., Any], args: Any, kwargs: Any) -> list[np.random.Generator]:
    """Return the generators that a function may draw from by itself, and the default one."""
    code, cells = getattr(f, "__code__", None), getattr(f, "__closure__", None) or ()
    names = getattr(code, "co_names", ())
    outside = getattr(f, "__globals__", {})
    near = [cell.cell_contents for cell in cells if _is_filled(cell)]
    near += [outside[name] for name in names if name in outside]
    near += [f, getattr(f, "__self__", None), *(getattr(f, "__defaults__", None) or ())]
    near += tree.leaves((args, kwargs))
    found = [random._default(), *near]
    for value in near:
        if hasattr(type(value), "modules"):
            found += [part for module in value.modules() for part in vars(module).values()]
    return [value for value in found if isinstance(value, np.random.Generator)]


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:  # a name that gets its value later
        return False
    return True


def recompute(*used: Any, first: list[Any], gradients: Callable[..., Any]) -> tuple[Any, ...]:
    """Return what the function gave when it ran first: the one call that stands for all of its.

    Args:
        *used: what it used that gradients flow to.
        first: its outputs, as arrays.
        gradients: runs it again and returns the gradient of each of `used`.
    """
    return tuple(first)


def _recompute_joint(
    needed: Any, g: Any, out: Any, *used: Any, first: Any, gradients: Callable[..., Any]
) -> list[Any]:
    found = gradients(g, out)
    return [found[i] for i in needed]


_RECOMPUTE = Rule(recompute, joint=_recompute_joint, multi=True)
