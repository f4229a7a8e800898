"""Optimizers that divide each gradient by the size of those before: what Adam grew from."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.optim.buckets import State
from retrograd.optim.optimizer import Optimizer, Params, refuse
from retrograd.optim.updates import Options, average, gradient


class RMSprop(Optimizer):
    """Divide each gradient by the root of the running mean of its squares.

    With the running mean `v` of `g * g` the step is `lr * q`, where `q = g / (sqrt(v) + eps)`;
    with momentum `lr * b`, where `b = momentum * b + q`.

    Args:
        params: leaves that require grad, or param groups with options of their own.
        lr: the learning rate (default 0.01).
        alpha: how much of the running mean stays at a step (default 0.99).
        eps: is added to the root (default 1e-8).
        weight_decay: adds that much of the parameter to the gradient (default 0).
        momentum: how much of the buffer `b` stays at a step (default 0: there is none).
        centered: divides by the standard deviation instead, so that a steady gradient does not
            slow itself down (default False). The variance is at least `v` times the rounding error
            of the dtype: of a constant gradient the rest is noise, below 0 as often as above.
        maximize: climbs instead (default False).
        foreach, capturable, differentiable: PyTorch's choices of an implementation; leave them out.

    Raises:
        TypeError: if `params` are no leaves.
        ValueError: if an option is below 0, or `alpha` above 1.

    Hinton 2012, "Neural networks for machine learning", lecture 6; `centered` is Graves's, 2013,
    "Generating sequences with recurrent neural networks".

    >>> w = rg.Tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = rg.optim.RMSprop([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); print(w.data.round(4))
    [  0. -19.]
    """

    def __init__(
        self, params: Params, lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8,
        weight_decay: float = 0.0, momentum: float = 0.0, centered: bool = False,
        capturable: bool = False, foreach: bool | None = None, maximize: bool = False,
        differentiable: bool = False,
    ) -> None:  # fmt: skip
        refuse(
            type(self).__name__, foreach=foreach, capturable=capturable,
            differentiable=differentiable,
        )  # fmt: skip
        defaults = {
            "lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay,
            "momentum": momentum, "centered": centered, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def used_slots(self, options: Options) -> dict[str, float]:
        slots = {"square_avg": 0.0}
        if options["momentum"]:
            slots["momentum_buffer"] = 0.0
        if options["centered"]:
            slots["grad_avg"] = 0.0
        return slots

    def update(self, p: Any, g: Any, state: State, options: Options, lr: Any, t: Any) -> None:
        alpha, v = options["alpha"], state["square_avg"]
        g = gradient(p, g, options, lr)
        average(v, g * g, alpha)
        if options["centered"]:
            m = state["grad_avg"]
            average(m, g, alpha)
            # A variance that rounding cannot tell from 0, or that overflow makes inf - inf, is
            # as large as rounding may make it: never negative, and never nan.
            v = np.fmax(v - m * m, np.finfo(p.dtype).eps * v)
        step = g / (np.sqrt(v) + options["eps"])
        if options["momentum"] != 0:
            buffer = state["momentum_buffer"]
            buffer *= options["momentum"]
            buffer += step
            step = buffer
        p -= lr * step


class Adagrad(Optimizer):
    """Divide each gradient by the root of the sum of all its squares.

    With the sum `s` of `g * g` so far the step is
    `lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps)`.

    Args:
        params: leaves that require grad, or param groups with options of their own.
        lr: the learning rate (default 0.01).
        lr_decay: how fast the rate falls (default 0).
        weight_decay: adds that much of the parameter to the gradient (default 0).
        initial_accumulator_value: what the sum starts at (default 0).
        eps: is added to the root (default 1e-10).
        maximize: climbs instead (default False).
        foreach, differentiable, fused: PyTorch's choices of an implementation; leave them out.

    Raises:
        TypeError: if `params` are no leaves.
        ValueError: if an option is below 0.

    Duchi et al. 2011, "Adaptive subgradient methods for online learning and stochastic
    optimization".

    >>> w = rg.Tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = rg.optim.Adagrad([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); print(w.data.round(4))
    [  0.9 -19.9]
    """

    def __init__(
        self, params: Params, lr: float = 1e-2, lr_decay: float = 0.0, weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0, eps: float = 1e-10,
        foreach: bool | None = None, *, maximize: bool = False, differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:  # fmt: skip
        refuse(type(self).__name__, foreach=foreach, differentiable=differentiable, fused=fused)
        defaults = {
            "lr": lr, "lr_decay": lr_decay, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "eps": eps,
            "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def used_slots(self, options: Options) -> dict[str, float]:
        return {"sum": options["initial_accumulator_value"]}

    def update(self, p: Any, g: Any, state: State, options: Options, lr: Any, t: Any) -> None:
        total = state["sum"]
        g = gradient(p, g, options, lr)
        total += g * g
        p -= lr / (1 + (t - 1) * options["lr_decay"]) * g / (np.sqrt(total) + options["eps"])


class Adadelta(Optimizer):
    """Step by the gradient, times the root mean square of steps over that of gradients.

    With the running means `v` of `g * g` and `d` of the squares of `delta` the step is
    `lr * delta`, where `delta = sqrt((d + eps) / (v + eps)) * g`.

    Args:
        params: leaves that require grad, or param groups with options of their own.
        lr: what the step is multiplied by (default 1).
        rho: how much of the running means stays at a step (default 0.9).
        eps: is added inside the roots (default 1e-6); it is what the first steps grow from.
        weight_decay: adds that much of the parameter to the gradient (default 0).
        maximize: climbs instead (default False).
        foreach, capturable, differentiable: PyTorch's choices of an implementation; leave them out.

    Raises:
        TypeError: if `params` are no leaves.
        ValueError: if an option is below 0, or `rho` above 1.

    Zeiler 2012, "ADADELTA: an adaptive learning rate method".

    >>> w = rg.Tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = rg.optim.Adadelta([w], lr=100.0)
    >>> (w * w).sum().backward(); optimizer.step(); print(w.data.round(4))
    [  0.6838 -19.6838]
    """

    def __init__(
        self, params: Params, lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6,
        weight_decay: float = 0.0, foreach: bool | None = None, *, capturable: bool = False,
        maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        refuse(
            type(self).__name__, foreach=foreach, capturable=capturable,
            differentiable=differentiable,
        )  # fmt: skip
        defaults = {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def used_slots(self, options: Options) -> dict[str, float]:
        return {"square_avg": 0.0, "acc_delta": 0.0}

    def update(self, p: Any, g: Any, state: State, options: Options, lr: Any, t: Any) -> None:
        rho, eps = options["rho"], options["eps"]
        v, d = state["square_avg"], state["acc_delta"]
        g = gradient(p, g, options, lr)
        average(v, g * g, rho)
        delta = np.sqrt((d + eps) / (v + eps)) * g
        average(d, delta * delta, rho)
        p -= lr * delta
