"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from retrograd.optim.buckets import State
from retrograd.optim.optimizer import Optimizer, Params, refuse
from retrograd.optim.updates import Options, gradient


class SGD(Optimizer):
    """Stochastic gradient descent with momentum.

    A step takes `lr * b` off the parameter. The buffer `b` is the gradient `g` at first, then
    `momentum * b + (1 - dampening) * g`; with `nesterov` the step is `lr * (g + momentum * b)`.

    Args:
        params: leaves that require grad, or param groups with options of their own.
        lr: the learning rate (default 0.001).
        momentum: how much of the buffer stays at a step (default 0: there is no buffer).
        dampening: how much less a gradient counts in the buffer (default 0).
        weight_decay: adds that much of the parameter to the gradient (default 0).
        nesterov: looks a step ahead (default False).
        maximize: climbs instead (default False).
        foreach, differentiable, fused: PyTorch's choices of an implementation; leave them out.

    Raises:
        TypeError: if `params` are no leaves.
        ValueError: if an option is below 0, or with `nesterov` and no momentum or some dampening.

    Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning", in
    PyTorch's form.

    >>> w = rg.Tensor([1.0], requires_grad=True)
    >>> optimizer = rg.optim.SGD([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); w
    Tensor([0.8], requires_grad=True)
    """

    def __init__(
        self, params: Params, lr: float = 1e-3, momentum: float = 0.0, dampening: float = 0.0,
        weight_decay: float = 0.0, nesterov: bool = False, *, maximize: bool = False,
        foreach: bool | None = None, differentiable: bool = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        refuse(type(self).__name__, foreach=foreach, differentiable=differentiable, fused=fused)
        defaults = {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
            "nesterov": nesterov, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def check(self, options: dict[str, Any]) -> None:
        super().check(options)
        if options["nesterov"] and (options["momentum"] <= 0 or options["dampening"]):
            raise ValueError("nesterov needs a momentum above 0 and no dampening")

    def used_slots(self, options: Options) -> dict[str, float]:
        return {"momentum_buffer": 0.0} if options["momentum"] else {}

    def update(self, p: Any, g: Any, state: State, options: Options, lr: Any, t: Any) -> None:
        if options["weight_decay"] or options["maximize"]:
            g = gradient(p, g, options, lr)
        if options["momentum"] != 0:
            buffer = state["momentum_buffer"]
            buffer *= options["momentum"]
            # The buffer is 0 before the first gradient, which is not dampened: 0 ** 0 is 1.
            damp = options["dampening"]
            buffer += (1 - damp * (1 - 0 ** (t - 1))) * g if damp else g
            g = g + options["momentum"] * buffer if options["nesterov"] else buffer
        p -= lr * g
