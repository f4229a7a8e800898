"""A run of a function on variables: what every transform does first.

A transform runs its function once, on Tensors that stand for the leaves of the chosen arguments:
its *variables*. Each variable is a recorded call of its own, also where two are made of the same
Tensor, and derivatives are taken with respect to these calls. So a derivative inside another never
takes the variables of one for those of the other, a mistake known as perturbation confusion:

    grad(lambda x: x * grad(lambda y: x + y)(1.0))(1.0)

The inner derivative, of `x + y` with respect to `y`, is 1; so the outer function is `x * 1` and its
derivative is 1. Who marks all variables alike lets `x` count as `y`, takes the inner derivative
for 2, and answers 2.

Siskind and Pearlmutter 2005, "Perturbation confusion and referential transparency: correct
functional implementation of forward-mode AD".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from retrograd import autograd, tree
from retrograd.checks import takes_function
from retrograd.engine import (
    CLOCK,
    Array,
    Mode,
    Tensor,
    as_array,
    current_mode,
    defvjp,
    mode_set,
    primitive,
    record,
    spelled,
    tell,
    trace_back,
    wrap,
)
from retrograd.engine.tensor import INSTEAD_OF_A_NUMBER
from retrograd.func.trees import stop_gradient

Argnums = int | tuple[int, ...] | list[int]
Tensors = Sequence[Tensor]


@primitive
def variable(x: Any) -> Any:
    """Return the argument: a place in the graph for a transform to stop at."""
    return x


defvjp(variable, lambda g, out, x: g)


class Run:
    """One run of a function on variables, and what transforms need of it.

    Args:
        name: The transform, for errors.
        f: The function.
        args: Its positional arguments.
        argnums: The numbers of the arguments to differentiate with respect to.
        has_aux: Whether the function returns `(out, aux)`.
        **kwargs: The function's keywords.

    Attributes:
        name: The transform and the function, for errors.
        variables: A Tensor for each leaf of the chosen arguments.
        structure: The tree of the chosen arguments, a tuple with one entry each.
        outs: The Tensors that the function returned.
        out_structure: The tree in which it returned them.
        aux: What it returned beside them, alone in a list; empty without `has_aux`.
        outer: Whether the chosen arguments, or the outputs in another way, depend on Tensors from
            outside that require grad. Results keep their graph then, for a derivative around this.
    """

    def __init__(
        self,
        name: str,
        f: Callable[..., Any],
        args: Sequence[Any],
        argnums: Argnums,
        has_aux: bool,
        /,
        **kwargs: Any,
    ) -> None:
        takes_function(name, f)
        self.name = f"{name} of {spelled(f)}"
        self._is_single = isinstance(argnums, int)
        numbers = self._check_argnums(argnums, len(args))
        leaves, self.structure = tree.flatten(tuple(args[i] for i in numbers))
        mode, start = current_mode(), CLOCK.tick()
        escapes: list[str] = []
        with mode_set(_watching(self.name, mode, escapes)):
            self.variables = [
                record(variable, self._source(value, i)) for i, value in enumerate(leaves)
            ]
            arguments = list(args)
            for i, value in zip(numbers, self.structure.unflatten(self.variables), strict=True):
                arguments[i] = value
            try:
                returned = f(*arguments, **kwargs)
            except ValueError as error:
                # NumPy's words for any error in `array[i] = t` hide the one that was raised
                if isinstance(error.__cause__, EscapeError):
                    raise error.__cause__.with_traceback(error.__traceback__) from None
                raise
        aux: list[Any] = []
        if has_aux:
            if not (isinstance(returned, tuple) and len(returned) == 2):
                raise TypeError(f"{self.name} with has_aux: the function must return (out, aux)")
            returned, *aux = returned
        outs, self.out_structure = tree.flatten(returned)
        self.outs = [self._output(out, escapes) for out in outs]
        self.outer = mode.grad and (
            any(isinstance(value, Tensor) and value.requires_grad for value in leaves)
            or bool(trace_back(self.outs, start, self.variables)[1])
        )
        self.aux = self.settle(aux)

    def _check_argnums(self, argnums: Argnums, count: int) -> tuple[int, ...]:
        """Return the numbers of the chosen ones of so many arguments."""
        numbers = (argnums,) if isinstance(argnums, int) else argnums
        if not isinstance(numbers, (tuple, list)) or not all(isinstance(i, int) for i in numbers):
            raise TypeError(f"{self.name}: argnums is an int or a tuple of ints, not {argnums!r}")
        numbers = tuple(numbers)
        places = {i % count for i in numbers if -count <= i < count}
        if len(places) < len(numbers) or not places:
            raise ValueError(
                f"{self.name}: argnums {argnums} must name different ones of {count} arguments"
            )
        return numbers

    def _source(self, value: Any, at: int) -> Tensor:
        """Return the leaf number `at` of the arguments as a Tensor that requires grad."""
        if isinstance(value, Tensor) and value.requires_grad:
            return value
        array = as_array(value)
        if array.dtype.kind not in "fc":
            path = "".join(f"[{key!r}]" for key in self.structure.paths()[at][1:])
            instead = repr(float(value)) if isinstance(value, int) else ".astype(float)"
            raise TypeError(
                f"{self.name}: an argument{path} of dtype {array.dtype} has no derivative: use "
                f"{instead}, or other argnums"
            )
        return leaf(array, value)

    def _output(self, out: Any, escapes: list[str]) -> Tensor:
        """Return one of the values that the function returned as a Tensor."""
        if isinstance(out, Tensor):
            t = out
        elif escapes or not isinstance(out, (np.ndarray, np.generic, float, complex)):
            why = (
                f", after {', '.join(dict.fromkeys(escapes))} took a value out of the graph, which "
                "loses its gradient. For a constant return rg.Tensor(...)"
            )
            raise TypeError(
                f"{self.name}: the function returned {out!r}, not a Tensor{why if escapes else ''}"
            )
        else:
            t = Tensor(out)
        if t.dtype.kind not in "fc":
            raise TypeError(
                f"{self.name}: the function returned {t.dtype}, which has no derivative: use "
                "has_aux=True"
            )
        return t

    def gradients(self, graph: bool) -> list[Tensor]:
        """Return the gradient of the one number that came out with respect to each variable."""
        if len(self.outs) != 1 or self.outs[0].size != 1:
            raise ValueError(
                f"{self.name}, which returned {[t.shape for t in self.outs]}, not one number: use "
                "jacobian or vjp"
            )
        if self.outs[0].dtype.kind == "c":
            raise TypeError(
                f"{self.name}, which returned a complex number: return a real number of it "
                "(z.real, np.abs(z)), or use vjp"
            )
        return pull(self.outs, self.variables, [np.ones_like(self.outs[0]._array)], graph)

    def value(self) -> Any:
        """Return what the function returned, as a tree of Tensors."""
        return self.settle(self.out_structure.unflatten(self.outs))

    def with_aux(self, result: Any) -> Any:
        """Return a result, with `has_aux` in a pair with what the function returned besides."""
        return (result, *self.aux) if self.aux else result

    def settle(self, results: Any) -> Any:
        """Return a tree of results without this run's graph, unless that is needed."""
        return results if self.outer else stop_gradient(results)

    def gather(self, values: Sequence[Any]) -> Any:
        """Return a value for each variable as the tree of the argument, or a tuple of trees."""
        trees = self.structure.unflatten(values)
        return trees[0] if self._is_single else trees

    def fit(
        self, values: Any, what: str, structure: tree.Structure, tensors: Tensors
    ) -> tuple[list[Tensor], bool]:
        """Return the leaves of a tree that must be like others, and whether they need a graph.

        Args:
            values: The tree.
            what: What it is, for errors.
            structure: The tree that it must be like.
            tensors: The leaves of that tree, which tell the shapes and dtypes.
        """
        name = f"the {what} in {self.name}"
        fitting = []
        for value, like in zip(structure.match(values, name), tensors, strict=True):
            t = value if isinstance(value, Tensor) else wrap(as_array(value))
            if t.shape != like.shape:
                raise ValueError(f"{name} have shape {t.shape} where it must be {like.shape}")
            if t.dtype.kind == "c" and like.dtype.kind != "c":
                raise TypeError(f"{name} are {t.dtype} where they must be {like.dtype}")
            fitting.append(t if t.dtype == like.dtype else t.astype(like.dtype))
        graph = current_mode().grad and (self.outer or any(t.requires_grad for t in fitting))
        return fitting, graph


class EscapeError(TypeError):
    """A function that knows no Tensors took a number out of one inside a transform."""


def _watching(name: str, mode: Mode, escapes: list[str]) -> Mode:
    """Return a mode that records, as `mode` does, and notes by which ways gradients get lost.

    A way that nobody asked for, as in `math.sin(t)`, is refused in the name of the transform.
    """

    def on_escape(what: str, of: Any, why: str, asked: bool) -> None:
        if of is not None and of.requires_grad and current_mode().grad:
            if not asked:
                raise EscapeError(
                    f"{name}: {what} took a value out of the graph, which loses its gradient. "
                    f"{INSTEAD_OF_A_NUMBER}"
                )
            escapes.append(what)
        if mode.on_escape is not None:
            mode.on_escape(what, of, why, asked)

    return Mode(True, mode.tell, on_escape, mode.records)


def leaf(array: Array, source: Any = None) -> Tensor:
    """Return a Tensor of the array itself that requires grad.

    Args:
        array: the array.
        source: what it came from, if that may be a Tensor.
    """
    t = wrap(array)
    t.requires_grad = True
    tell("leaf made", t, source)
    return t


def pull(
    roots: Tensors, targets: Tensors, seeds: Sequence[Any], graph: bool, keep: bool | None = None
) -> list[Tensor]:
    """Return the gradients of `targets`, zeros where there are none.

    Args:
        roots: The Tensors to differentiate.
        targets: The Tensors to differentiate with respect to.
        seeds: Weights of the elements of the roots: an array or Tensor of its shape for each.
        graph: Whether the gradients can be differentiated again.
        keep: Whether the graph stays for another pass (default: if `graph`).
    """
    pairs = [(t, s) for t, s in zip(roots, seeds, strict=True) if t.requires_grad]
    found = autograd.grad(
        [t for t, _ in pairs], targets, [s for _, s in pairs], keep, graph, allow_unused=True
    )
    return [
        wrap(np.zeros_like(t._array)) if g is None else g
        for t, g in zip(targets, found, strict=True)
    ]
