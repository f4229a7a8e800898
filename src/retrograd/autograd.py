"""Gradients as values: `grad` returns them and leaves every `.grad` alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, ValuesView
from typing import TYPE_CHECKING, Any, cast

from retrograd.backward import ReversePass, seed_of
from retrograd.core import Tensor, wrap
from retrograd.function import Function, once_differentiable
from retrograd.mode import MODE, Mode

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["Function", "grad", "once_differentiable"]


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: ArrayLike | Tensor | Sequence[Any] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor, ...]:
    """Return the gradients of `outputs` with respect to each of `inputs`, as Tensors.

    `grad_outputs` weighs the elements of the outputs (their shapes); an output of one element
    needs none. With `create_graph` the results can be differentiated again. The graph is kept if
    `retain_graph`, by default if `create_graph`. Raises RuntimeError for an input that the
    outputs do not depend on, unless `allow_unused`: then its gradient is None.

    >>> x = rg.Tensor(3.0, requires_grad=True)
    >>> (dx,) = rg.autograd.grad(x ** 3, x, create_graph=True)
    >>> (d2x,) = rg.autograd.grad(dx, x)
    >>> dx, d2x
    (Tensor(27., requires_grad=True), Tensor(18.))
    """
    roots = _tensors(outputs, "outputs")
    targets = _tensors(inputs, "inputs")
    weights: list[Any]
    if isinstance(outputs, Tensor):
        weights = [grad_outputs]
    elif grad_outputs is None:
        weights = [None] * len(roots)
    else:
        weights = list(cast(Sequence[Any], grad_outputs))
    if len(weights) != len(roots):
        raise ValueError(f"grad_outputs has {len(weights)} entries for {len(roots)} outputs")
    for t in targets:
        if not t.requires_grad:
            raise RuntimeError(f"an input of shape {t.shape} does not require grad")
    keep = create_graph if retain_graph is None else retain_graph
    tape = MODE.get().tape
    lift = create_graph or tape is not None
    seeds = [seed_of(root, w, lift) for root, w in zip(roots, weights, strict=True)]
    walk = ReversePass(keep, lift, _between(roots, targets))
    token = MODE.set(Mode(create_graph, tape))
    try:
        walk.run(roots, seeds)
    finally:
        MODE.reset(token)
    found: list[Any] = []
    for t in targets:
        g = walk.found.get(t)
        if g is None and not allow_unused:
            raise RuntimeError(
                f"the outputs do not depend on an input of shape {t.shape}: pass "
                "allow_unused=True to get None for it"
            )
        if g is not None and not isinstance(g, Tensor):
            g = wrap(g if g.base is None else g.copy())
        found.append(g)
    return tuple(found)


def _tensors(given: Any, name: str) -> list[Tensor]:
    if isinstance(given, Tensor):
        return [given]
    listed = list(given) if isinstance(given, (Sequence, Iterator, ValuesView)) else [given]
    for t in listed:
        if not isinstance(t, Tensor):
            raise TypeError(
                f"autograd.grad takes a Tensor or a list of Tensors as {name}, this one is of "
                f"{type(t).__name__}"
            )
    return listed


def _between(roots: Sequence[Tensor], targets: Sequence[Tensor]) -> set[Tensor]:
    """Return the Tensors on the ways from the targets to the roots."""
    wanted = set(targets)
    # what was recorded before the first target depends on none
    first = min((0 if t.rule is None else t.order for t in targets), default=0)
    inner = {}
    stack = [t for t in roots if t.rule is not None]
    while stack:
        t = stack.pop()
        if t.order not in inner and t.order >= first:
            inner[t.order] = t
            stack += [a for a in t.inputs or () if isinstance(a, Tensor) and a.rule is not None]
    for order in sorted(inner):
        if any(isinstance(a, Tensor) and a in wanted for a in inner[order].inputs or ()):
            wanted.add(inner[order])
    return wanted
