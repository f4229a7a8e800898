"""Rprop: steps whose sizes depend on the signs of gradients alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.checks import ensure
from retrograd.optim.buckets import State
from retrograd.optim.optimizer import Optimizer, Params, refuse
from retrograd.optim.updates import Options, write_to

Pair = tuple[float, float]


class Rprop(Optimizer):
    """Resilient backpropagation: steps whose sizes depend on the signs of gradients alone.

    Each element of a parameter has a step size of its own. It grows where the gradient has the
    sign of the last one, and shrinks where the sign has changed; there the element stays once.
    For gradients of all data: those of batches change their signs by chance.

    Args:
        params: leaves that require grad, or param groups with options of their own.
        lr: the size of the first step (default 0.01).
        etas: what a step size is multiplied by to shrink, between 0 and 1, and to grow, above 1
            (default (0.5, 1.2)).
        step_sizes: the smallest and the largest step size (default (1e-6, 50)).
        foreach, capturable, differentiable: PyTorch's choices of an implementation; leave them out.
        maximize: climbs instead (default False).

    Raises:
        TypeError: if `params` are no leaves.
        ValueError: if an option is outside its bounds.

    Riedmiller & Braun 1993, "A direct adaptive method for faster backpropagation learning: the
    RPROP algorithm", in PyTorch's form.

    >>> w = rg.Tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = rg.optim.Rprop([w], lr=0.5)
    >>> for _ in range(3):
    ...     optimizer.zero_grad(); (w * w).sum().backward(); optimizer.step()
    ...     print(w.data.round(4))
    [  0.5 -19.5]
    [ -0.1 -18.9]
    [ -0.1  -18.18]
    """

    def __init__(
        self, params: Params, lr: float = 1e-2, etas: Pair = (0.5, 1.2),
        step_sizes: Pair = (1e-6, 50.0), *, capturable: bool = False,
        foreach: bool | None = None, maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        refuse(
            type(self).__name__, foreach=foreach, capturable=capturable,
            differentiable=differentiable,
        )  # fmt: skip
        defaults = {"lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize}
        super().__init__(params, defaults)

    def check(self, options: dict[str, Any]) -> None:
        super().check(options)
        etas, sizes = options["etas"], options["step_sizes"]
        good = _is_pair(etas) and 0 < etas[0] < 1 < etas[1]
        ensure(good, "etas", "a number between 0 and 1 and one above 1", etas)
        good = _is_pair(sizes) and 0 <= sizes[0] <= sizes[1]
        ensure(good, "step_sizes", "two numbers, the smaller one first", sizes)

    def used_slots(self, options: Options) -> dict[str, float]:
        return {"prev": 0.0, "step_size": 0.0}

    def update(self, p: Any, g: Any, state: State, options: Options, lr: Any, t: Any) -> None:
        previous, size = state["prev"], state["step_size"]
        (shrink, grow), (least, most) = options["etas"], options["step_sizes"]
        if options["maximize"]:
            g = -g
        size += lr * (t < 2)  # the learning rate matters at the first step only
        sign = np.sign(g * previous)
        size *= np.where(sign > 0, grow, np.where(sign < 0, shrink, 1 - sign))
        write_to(size, np.maximum, least)
        write_to(size, np.minimum, most)
        g = np.where(sign < 0, 0, g)
        p -= np.sign(g) * size
        previous *= 0
        previous += g


def _is_pair(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == 2
