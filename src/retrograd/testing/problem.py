"""A function at a point, as the checks see it: its values, slopes and gradients."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from retrograd import tree
from retrograd.checks import takes_function
from retrograd.engine import Array, Tensor, as_array, no_grad, spelled, wrap
from retrograd.func.run import pull
from retrograd.func.trees import ravel_pytree


class Problem:
    """A function at a point: some of its inputs vary, in float64, and all else stays as it is.

    The floating arrays and the Tensors that require grad vary, also those in dicts, lists and
    tuples. Their elements, one after the other, are a vector, the point; so are the elements of the
    outputs, the values.

    Args:
        fn: The function.
        inputs: Its arguments.
        what: The check that this is for, for errors.

    Attributes:
        name: The function as a user writes it.
        start: The arrays that vary.
        point: Their elements.
        names: What each of them is called in a report, such as `x` or `params['w']`.

    Raises:
        TypeError: if `fn` is no function, or if nothing varies.
    """

    def __init__(self, fn: Callable[..., Any], inputs: Sequence[Any], what: str) -> None:
        takes_function(what, fn)
        self.fn, self.name = fn, spelled(fn)
        self._leaves, self._structure = tree.flatten(tuple(inputs))
        self._places = [i for i, leaf in enumerate(self._leaves) if _varies(leaf)]
        if not self._places:
            raise TypeError(
                f"{what} of {self.name} got no floating array or Tensor that requires grad: write "
                "np.array(2.0) for a number"
            )
        self.start = [_as_reals(as_array(self._leaves[i])) for i in self._places]
        self.point, self._unravel = ravel_pytree(self.start)
        parameters = dict(enumerate(p.name for p in positional_parameters(fn)))
        paths = self._structure.paths()
        self.names = [
            parameters.get(at, f"input {at}") + "".join(f"[{key!r}]" for key in rest)
            for at, *rest in (paths[i] for i in self._places)
        ]

    def call(self, varied: Sequence[Tensor]) -> list[Tensor]:
        """Return the floating outputs for these Tensors in place of the inputs that vary."""
        leaves = list(self._leaves)
        for i, value in zip(self._places, varied, strict=True):
            pairs = as_array(self._leaves[i]).dtype.kind == "c"
            leaves[i] = value[..., 0] + 1j * value[..., 1] if pairs else value
        inputs = self._structure.unflatten(leaves)
        try:
            outs = tree.leaves(self.fn(*inputs))
        except Exception as error:
            if len(inputs) == 1 and isinstance(inputs[0], (list, tuple)):
                error.add_note(
                    f"{self.name} was called with one {type(inputs[0]).__name__}: for several "
                    "arguments write gradcheck(fn, x, y), not gradcheck(fn, (x, y))"
                )
            raise
        tensors = [out if isinstance(out, Tensor) else Tensor(out) for out in outs]
        tensors = [_parts(t) if t.dtype.kind == "c" else t for t in tensors]
        floating = [t for t in tensors if t.dtype.kind == "f"]
        if not floating:
            raise TypeError(f"{self.name} returned no floating array or Tensor: {outs!r}")
        return floating

    def outputs(self, point: Array) -> list[Tensor]:
        """Return the floating outputs at a point."""
        with no_grad(), np.errstate(all="ignore"):
            # new arrays each time, since a function may keep those that it gets
            return self.call([wrap(x) for x in self._unravel(point)])

    def values(self, point: Array) -> Array:
        """Return the elements of the outputs at a point."""
        vector: Array = ravel_pytree(self.outputs(point))[0]._array
        return vector

    def slopes(self, along: Array, step: float) -> Array:
        """Return the derivative of each value along a direction, by central differences.

        Values at half the step and at the step are combined so that the error is of fourth order
        in the step (Fornberg 1988, "Generation of finite difference formulas on arbitrarily spaced
        grids").

        Args:
            along: The direction, a vector like the point.
            step: How far the outermost values lie from the point, in lengths of `along`.

        Raises:
            ValueError: if the function is not finite there.
        """
        h = step / 2
        a, b, c, d = (self.values(self.point + k * h * along) for k in (1, -1, 2, -2))
        with np.errstate(all="ignore"):
            slopes: Array = (8 * (a - b) - (c - d)) / (12 * h)
        if not np.all(np.isfinite(slopes)):
            raise ValueError(
                f"{self.name} is not finite within {step:g} of the inputs: move them inside "
                "its domain, or pass a smaller step="
            )
        return slopes

    def gradient(self, weights: Array) -> Array:
        """Return the gradient of the weighed sum of the values, by the rules."""
        xs = [Tensor(x, requires_grad=True) for x in self.start]
        values = ravel_pytree(self.call(xs))[0]
        vector: Array = ravel_pytree(pull([values], xs, [weights], graph=False))[0]._array
        return vector


def _varies(leaf: Any) -> bool:
    if isinstance(leaf, Tensor):
        return leaf.requires_grad
    return isinstance(leaf, (np.ndarray, np.inexact)) and leaf.dtype.kind in "fc"


def _parts(t: Tensor) -> Tensor:
    """Return complex numbers as real ones, with their two parts as a last axis."""
    parts: Any = np.stack([np.real(t), np.imag(t)], axis=-1)
    return cast("Tensor", parts)


def _as_reals(array: Array) -> Array:
    """Return a float64 copy of an array; of complex numbers with their two parts as a last axis."""
    if array.dtype.kind == "c":
        return np.stack([array.real, array.imag], axis=-1).astype(np.float64)
    return np.array(array, np.float64)


def positional_parameters(fn: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the parameters that may be given by position; none where NumPy does not tell."""
    try:
        found = () if isinstance(fn, np.ufunc) else inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
