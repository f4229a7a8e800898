"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from retrograd.optim.optimizer import Optimizer, at_most, gradient


class SGD(Optimizer):
    """Stochastic gradient descent with momentum, torch's formulas.

    The buffer is `b = momentum * b + (1 - dampening) * g`, the first one is `g`; the step is
    `lr * b`, with `nesterov` `lr * (g + momentum * b)`. `weight_decay` adds that much of the
    parameter to the gradient; `maximize` climbs.

    >>> w = rg.Tensor([1.0], requires_grad=True)
    >>> optimizer = rg.optim.SGD([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    Tensor([0.8], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
            },
        )

    def check(self, options: dict[str, Any]) -> None:
        super().check(options)
        if options["nesterov"] and (options["momentum"] <= 0 or options["dampening"]):
            raise ValueError("nesterov needs a momentum above 0 and no dampening")

    def used_slots(self, options: Mapping[str, Any]) -> dict[str, float]:
        return {"momentum_buffer": 0.0} if options["momentum"] else {}

    def update(
        self, p: Any, g: Any, state: dict[str, Any], options: Mapping[str, Any], lr: Any, t: Any
    ) -> None:
        if options["weight_decay"] or options["maximize"]:
            g = gradient(p, g, options, lr)
        if "momentum_buffer" in state:
            buffer = state["momentum_buffer"]
            buffer *= options["momentum"]
            # the buffer is 0 before the first update, which is not dampened
            damp = options["dampening"]
            buffer += (1 - damp * at_most(t - 1, 1)) * g if damp else g
            g = g + options["momentum"] * buffer if options["nesterov"] else buffer
        p -= lr * g
