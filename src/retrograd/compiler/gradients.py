"""The functions of arrays that are compiled for a call of a graph: its results, and its gradients.

Each runs a function that somebody has compiled, with the arguments that are no arrays as they were
in one call. What they find outside is what that function finds there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from retrograd import tree
from retrograd.compiler.arguments import ARRAYS, objects_given
from retrograd.compiler.records import flatten_results
from retrograd.engine import (
    ReversePass,
    Rule,
    Tensor,
    current_mode,
    enable_grad,
    mode_set,
    section,
    seed_of,
    wrap,
)
from retrograd.engine.backward import LIMITS, between


class Paths(NamedTuple):
    """Between what gradients flow in a function: see `Graph`, which has the same attributes."""

    fn: Callable[..., Any]
    outs: Sequence[int]
    passed: Mapping[int, Rule]
    used: Sequence[Tensor | int]
    structure: tree.Structure

    def roots(self, results: Sequence[Any]) -> list[Tensor]:
        """Return where gradients begin, for the leaves of what the function has returned."""
        found = []
        for i in self.outs:
            t = results[i]
            found.append(t.inputs[0] if i in self.passed else t)
        return found


class Results:
    """Gives the Tensors that a function returns, and those that its last calls took.

    Args:
        paths: between what gradients flow in the function.
        example: the leaves of the arguments of a call.
    """

    def __init__(self, paths: Paths, example: Sequence[Any]) -> None:
        self._paths = paths
        self._is_array = [isinstance(v, ARRAYS) for v in example]
        self._rest = [None if is_one else v for v, is_one in zip(example, self._is_array)]  # noqa: B905
        self._count = sum(self._is_array)
        self._trained = {u for u in paths.used if isinstance(u, int)}
        self.__wrapped__ = paths.fn
        self.given = objects_given(paths.fn, example, paths.structure)
        self.__name__ = f"{self._what} of {name_of(paths.fn)}"

    _what = "results"

    def __call__(self, *given: Tensor) -> tuple[Any, ...]:
        """Return the results, then what came before those that have a formula for two calls."""
        return tuple(self._run(given)[0])

    def _run(self, given: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Return the values, the Tensors where gradients begin, and the arguments."""
        paths, leaves = self._paths, [*self._rest]
        arrays = [
            leaf_of(t) if i in self._trained else t for i, t in enumerate(given[: self._count])
        ]
        remaining = iter(arrays)
        for i, is_one in enumerate(self._is_array):
            if is_one:
                leaves[i] = next(remaining)
        args, kwargs = paths.structure.unflatten(leaves)
        with enable_grad():
            results, _ = flatten_results(paths.fn(*args, **kwargs))
        roots = paths.roots(results)
        before = [root for i, root in zip(paths.outs, roots, strict=True) if i in paths.passed]
        values = [t.detach() for t in (*results, *before) if isinstance(t, Tensor)]
        return values, roots, arrays


class Gradients(Results):
    """Gives what `Results` does and, of further arguments, the gradients of what was used."""

    _what = "gradient"

    def __call__(self, *given: Tensor) -> tuple[Any, ...]:
        """Return the results and the gradients, for arrays and the gradients of results."""
        values, roots, arrays = self._run(given)
        wanted = [arrays[u] if isinstance(u, int) else u for u in self._paths.used]
        mode = current_mode()
        lift = mode.records
        seeds = [seed_of(r, w, lift) for r, w in zip(roots, given[self._count :], strict=True)]
        # the walk ends at what is wanted: its hooks are called where the gradients are used
        walk = ReversePass(False, lift, between(roots, wanted), {*wanted}, targets=wanted)
        with mode_set(mode.with_grad(lift and bool(LIMITS))), section("backward"):
            walk.run(roots, seeds)
        return *values, *[_as_value(walk.found.get(t)) for t in wanted]


def _as_value(gradient: Any) -> Tensor | None:
    """Return what a walk has found as a Tensor without a graph."""
    if gradient is None:
        return None
    if isinstance(gradient, Tensor):
        return gradient.detach()
    return wrap(gradient if gradient.base is None else gradient.copy())


def name_of(fn: Any) -> str:
    """Return what to call a function or a Module."""
    return str(getattr(fn, "__name__", type(fn).__name__))


def leaf_of(t: Tensor) -> Tensor:
    """Return a leaf with the array of a Tensor."""
    leaf = wrap(t._array)
    leaf.requires_grad = True
    return leaf
