"""Gradients as values, and operations with gradients of the user's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, ValuesView
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, cast

from retrograd.engine import ReversePass, Tensor, current_mode, mode_set, section, seed_of, wrap
from retrograd.engine.backward import LIMITS, between
from retrograd.function import Context, Function, once_differentiable
from retrograd.later import public_names

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["Context", "Function", "grad", "once_differentiable"]

__dir__ = public_names(__name__)


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: ArrayLike | Tensor | Sequence[Any] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor, ...]:
    """Return the gradients of `outputs` with respect to each of `inputs`; no `.grad` changes.

    It is `outputs.backward()` whose results come as values. Only calls that lie between the inputs
    and the outputs are visited. Inputs need not be leaves.

    Args:
        outputs: The Tensor to differentiate, or a sequence of Tensors, whose gradients are added.
        inputs: The Tensor, or the Tensors in a sequence, to differentiate with respect to.
        grad_outputs: Weighs the elements of the outputs: an array or Tensor of the output's shape;
            a sequence of these, or of None, where `outputs` is a sequence. None (default) is 1 for
            an output of one element.
        retain_graph: Whether the graph stays for another pass. By default it does if
            `create_graph`; else it is freed.
        create_graph: Whether the gradients are recorded, so that they can be differentiated again.
        allow_unused: Whether an input that the outputs do not depend on has the gradient None
            (default: an error).

    Returns:
        A tuple with a Tensor for each input, in its shape and dtype, also where there is one.

    Raises:
        TypeError: if an output or input is no Tensor.
        RuntimeError: if an output or input does not require grad, if the outputs do not depend on
            an input, if an output without weights has more than one element, if the graph was
            freed by an earlier pass, or if a value that it needs was written since.
        ValueError: if weights do not have the number or the shapes of the outputs.

    >>> x = rg.Tensor(3.0, requires_grad=True)
    >>> (dx,) = rg.autograd.grad(x ** 3, x, create_graph=True)
    >>> (d2x,) = rg.autograd.grad(dx, x)
    >>> dx, d2x
    (Tensor(27., call=np.multiply), Tensor(18.))
    """
    roots, targets = _tensors(outputs, "outputs"), _tensors(inputs, "inputs")
    if isinstance(outputs, Tensor):
        grad_outputs = [grad_outputs]
    elif grad_outputs is None:
        grad_outputs = [None] * len(roots)
    weights = cast(Sequence[Any], grad_outputs)
    if len(weights) != len(roots):
        raise ValueError(f"grad_outputs has {len(weights)} entries for {len(roots)} outputs")
    for t in targets:
        if not t.requires_grad:
            raise RuntimeError(f"an input of shape {t.shape} does not require grad")
    keep = create_graph if retain_graph is None else retain_graph
    mode = current_mode()
    lift = create_graph or mode.records
    seeds = [seed_of(root, w, lift) for root, w in zip(roots, weights, strict=True)]
    walk = ReversePass(keep, lift, between(roots, targets), targets=targets)
    # what is differentiated again is not the end of a program, which goes forward from there
    part = section("backward") if mode.records and not create_graph else nullcontext()
    with mode_set(mode.with_grad(create_graph or (lift and bool(LIMITS)))), part:
        walk.run(roots, seeds)
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
        elif g is not None and g.requires_grad and not create_graph:
            g = g.detach()  # there is a graph where a limit was taken
        found.append(g)
    return tuple(found)


def _tensors(given: Any, name: str) -> list[Tensor]:
    """Return one Tensor or several as a list."""
    listed = list(given) if isinstance(given, (Sequence, Iterator, ValuesView)) else [given]
    for t in listed:
        if not isinstance(t, Tensor):
            raise TypeError(f"autograd.grad takes Tensors as {name}, not {type(t).__name__}")
    return listed
