"""A function at a point, as the checks see it: values, gradients, difference quotients."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from retrograd import autograd, tree
from retrograd.core import Array, Tensor, wrap
from retrograd.mode import no_grad
from retrograd.registry import spelled


class Problem:
    """`fn` at `inputs`, of which some arrays are varied and all else stays as it is.

    Varied are the floating arrays and the Tensors that require grad, in float64, also where they
    stand inside dicts, lists and tuples. Raises TypeError if there are none.
    """

    def __init__(self, fn: Callable[..., Any], inputs: Sequence[Any], what: str) -> None:
        if not callable(fn):
            raise TypeError(f"{what} takes a function first, not {fn!r}")
        self.fn = fn
        self.name = spelled(fn)
        self.leaves, self.structure = tree.flatten(tuple(inputs))
        self.varied = [i for i, leaf in enumerate(self.leaves) if _is_varied(leaf)]
        if not self.varied:
            raise TypeError(
                f"{what} of {self.name} got no floating array and no Tensor that requires grad: "
                "write np.array(2.0) for a number"
            )
        self.start = [
            np.array(x._data if isinstance(x, Tensor) else x, np.float64)
            for x in (self.leaves[i] for i in self.varied)
        ]
        paths = self.structure.paths()
        given = _parameter_names(fn, len(inputs))
        self.names = [_spelled_path(given, paths[i]) for i in self.varied]

    def call(self, values: Sequence[Any]) -> list[Tensor]:
        """Return the floating outputs of the function with `values` in place of what varies."""
        leaves = list(self.leaves)
        for i, value in zip(self.varied, values, strict=True):
            leaves[i] = value if isinstance(value, Tensor) else wrap(value)
        given = self.structure.unflatten(leaves)
        try:
            outputs = tree.leaves(self.fn(*given))
        except Exception as error:
            if len(given) == 1 and isinstance(given[0], (list, tuple)):
                error.add_note(
                    f"{self.name} was called with one {type(given[0]).__name__}: for several "
                    "arguments write gradcheck(fn, x, y), not gradcheck(fn, (x, y))"
                )
            raise
        floating = []
        for out in outputs:
            t = out if isinstance(out, Tensor) else Tensor(out)
            if t.dtype.kind == "f":
                floating.append(t)
        if not floating:
            raise TypeError(f"{self.name} returned no floating array or Tensor: {outputs!r}")
        return floating

    def values(self, point: Sequence[Array]) -> list[Array]:
        """Return the outputs at `point`, as arrays."""
        with no_grad(), np.errstate(all="ignore"):
            # each evaluation gets arrays of its own: a function that keeps them sees no change
            return [t._data for t in self.call([wrap(x.copy()) for x in point])]

    def gradients(self, weights: Sequence[Array], lift: bool = False) -> list[Array]:
        """Return the gradient of the outputs, weighed and summed, with respect to what varies.

        With `lift` the rules run on Tensors, as they do for second derivatives.
        """
        xs = [Tensor(x, requires_grad=True) for x in self.start]
        outputs = self.call(xs)
        roots = [(t, w) for t, w in zip(outputs, weights, strict=True) if t.requires_grad]
        found: Sequence[Tensor | None] = [None] * len(xs)
        if roots:
            found = autograd.grad(
                [t for t, _ in roots],
                xs,
                [w for _, w in roots],
                create_graph=lift,
                allow_unused=True,
            )
        return [
            np.zeros_like(x._data) if g is None else g._data for x, g in zip(xs, found, strict=True)
        ]

    def along(self, directions: Sequence[Array], step: float) -> list[Array]:
        """Return the derivative of each output along `directions`, by central differences.

        Two steps are combined so that the error is of fourth order in the step.
        """
        wide, narrow = (self._central(directions, h) for h in (step, step / 2))
        return [(4 * n - w) / 3 for w, n in zip(wide, narrow, strict=True)]

    def _central(self, directions: Sequence[Array], step: float) -> list[Array]:
        above = self.values(self.moved(directions, step))
        below = self.values(self.moved(directions, -step))
        return [(a - b) / (2 * step) for a, b in zip(above, below, strict=True)]

    def moved(self, directions: Sequence[Array], step: float) -> list[Array]:
        """Return the point that lies `step` away along `directions`."""
        return [x + step * v for x, v in zip(self.start, directions, strict=True)]

    def one_hot(self, at: int, index: tuple[int, ...]) -> list[Array]:
        """Return the directions that vary one element of one input."""
        directions = [np.zeros_like(x) for x in self.start]
        directions[at][index] = 1.0
        return directions


def _is_varied(leaf: Any) -> bool:
    if isinstance(leaf, Tensor):
        return leaf.requires_grad
    return isinstance(leaf, (np.ndarray, np.floating)) and leaf.dtype.kind == "f"


def _parameter_names(fn: Callable[..., Any], number: int) -> list[str]:
    try:
        parameters = () if isinstance(fn, np.ufunc) else inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        parameters = ()
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return names[:number] + [f"input {i}" for i in range(len(names), number)]


def _spelled_path(given: list[str], path: tree.Path) -> str:
    return given[path[0]] + "".join(f"[{key!r}]" for key in path[1:])
