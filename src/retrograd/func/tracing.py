"""What all transforms do: make variables of the arguments, run the function, go back.

A variable is a call of its own on the argument, recorded in this transform and no other: so a
derivative of a derivative never takes one variable for the other, also where both are made of
the same Tensor ("perturbation confusion").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from retrograd import autograd, core, tree
from retrograd.core import Tensor, as_array, primitive, record, wrap
from retrograd.mode import MODE, Mode
from retrograd.registry import defvjp, spelled

Argnums = int | tuple[int, ...]


@primitive
def variable(x: Any) -> Any:
    """Return the argument as it is: a place for a transform to stop at."""
    return x


defvjp(variable, lambda g, out, x: g)


class Run:
    """One run of a function on variables.

    `variables` are those of the chosen arguments, `structure` that of these arguments; `outs` are
    the Tensors that came out, with the structure `out_structure`; `aux` is what else came out.
    `outer` tells whether the outputs depend on anything besides that requires grad: then results
    must be differentiable again.
    """

    def __init__(
        self,
        name: str,
        f: Callable[..., Any],
        args: Sequence[Any],
        argnums: Argnums,
        has_aux: bool = False,
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        if not callable(f):
            raise TypeError(f"{name} takes a function first, not {f!r}")
        self.name = f"{name} of {spelled(f)}"
        chosen = self._chosen(args, argnums)
        leaves, self.structure = tree.flatten(chosen)
        self._given_variables = False  # whether an argument requires grad already
        outer_mode = MODE.get().grad
        start = core.clock()
        self._left: list[str] = []
        token = MODE.set(Mode(True, MODE.get().tape, self._left))
        try:
            self.variables = [self._variable(leaf, i) for i, leaf in enumerate(leaves)]
            given = list(args)
            for at, value in zip(
                (argnums,) if isinstance(argnums, int) else argnums,
                self.structure.unflatten(self.variables),
                strict=True,
            ):
                given[at] = value
            returned = f(*given, **(kwargs or {}))
        finally:
            MODE.reset(token)
        self.aux: Any = None
        if has_aux:
            if not (isinstance(returned, tuple) and len(returned) == 2):
                raise TypeError(
                    f"{self.name} with has_aux needs a function that returns (out, aux)"
                )
            returned, self.aux = returned
        outs, self.out_structure = tree.flatten(returned)
        self.outs = [self._output(out) for out in outs]
        self.outer = outer_mode and self._depends_on_more(start)
        if self.aux is not None:
            self.aux = self.settled(self.aux)

    def _chosen(self, args: Sequence[Any], argnums: Argnums) -> tuple[Any, ...]:
        numbers = (argnums,) if isinstance(argnums, int) else argnums
        if not isinstance(numbers, tuple) or not all(isinstance(i, int) for i in numbers):
            raise TypeError(f"{self.name}: argnums is an int or a tuple of ints, not {argnums!r}")
        if not numbers or any(not -len(args) <= i < len(args) for i in numbers):
            raise ValueError(f"{self.name}: argnums {argnums} for {len(args)} positional arguments")
        if len({i % len(args) for i in numbers}) < len(numbers):
            raise ValueError(f"{self.name}: argnums {argnums} names an argument twice")
        return tuple(args[i] for i in numbers)

    def _variable(self, leaf: Any, at: int) -> Tensor:
        if isinstance(leaf, Tensor) and leaf.requires_grad:
            self._given_variables = True
            return record(variable, leaf)
        array = as_array(leaf)
        if array.dtype.kind != "f":
            path = "".join(f"[{key!r}]" for key in self.structure.paths()[at][1:])
            raise TypeError(
                f"{self.name}: an argument{path} of dtype {array.dtype} has no derivative: use "
                ".astype(float), or choose other arguments by argnums"
            )
        source = wrap(array)
        source.requires_grad = True
        return record(variable, source)

    def _output(self, out: Any) -> Tensor:
        if not isinstance(out, (Tensor, np.ndarray, np.generic, float)):
            raise TypeError(f"{self.name}: the function returned {out!r}, not a Tensor")
        if self._left and not isinstance(out, Tensor):
            ways = ", ".join(dict.fromkeys(self._left))
            raise TypeError(
                f"{self.name}: the function returned {out!r}, not a Tensor, after {ways} took a "
                "value out of the graph: its gradient would be lost. For a constant return "
                "rg.Tensor(...)"
            )
        t = out if isinstance(out, Tensor) else Tensor(out)
        if t.dtype.kind != "f":
            raise TypeError(
                f"{self.name}: the function returned {t.dtype}, which has no derivative: return "
                "it as aux (has_aux=True)"
            )
        return t

    def _depends_on_more(self, start: int) -> bool:
        own = {v.order for v in self.variables}
        if self._given_variables:
            return True
        seen = set(own)
        stack = [t for t in self.outs if t.requires_grad]
        while stack:
            t = stack.pop()
            if t.rule is None or t.order < start:
                return True
            if t.order not in seen:
                seen.add(t.order)
                stack += [a for a in t.inputs if isinstance(a, Tensor) and a.requires_grad]
        return False

    def settled(self, results: Any) -> Any:
        """Return a tree of results without this run's graph, unless somebody needs that."""
        if self.outer:
            return results
        return tree.map(lambda t: t.detach() if isinstance(t, Tensor) else t, results)

    def gathered(self, values: Sequence[Any], argnums: Argnums) -> Any:
        """Return a value for each variable as the tree of the arguments that were chosen."""
        trees = self.structure.unflatten(values)
        return trees[0] if isinstance(argnums, int) else trees


def pull(
    roots: Sequence[Tensor],
    targets: Sequence[Tensor],
    seeds: Sequence[Any],
    graph: bool,
    keep: bool = True,
) -> list[Tensor]:
    """Return the gradients of `targets`, zeros where the roots do not depend on one."""
    pairs = [(t, s) for t, s in zip(roots, seeds, strict=True) if t.requires_grad]
    found: Sequence[Any] = [None] * len(targets)
    if pairs:
        found = autograd.grad(
            [t for t, _ in pairs],
            targets,
            [s for _, s in pairs],
            retain_graph=keep,
            create_graph=graph,
            allow_unused=True,
        )
    return [
        wrap(np.zeros(t.shape, t.dtype)) if g is None else g
        for t, g in zip(targets, found, strict=True)
    ]
