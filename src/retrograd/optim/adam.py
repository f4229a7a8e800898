"""Adam and its family: steps of about the learning rate, whatever the size of the gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.optim.buckets import State
from retrograd.optim.optimizer import Optimizer, Params, refuse
from retrograd.optim.updates import Options, average, gradient, write_to

Betas = tuple[float, float]


class Adam(Optimizer):
    """Adam: steps of about `lr`, whatever the size of the gradients.

    With the running means `m` of the gradient `g` and `v` of `g * g` the step is
    `lr * m / (1 - beta1 ** t) / (sqrt(v / (1 - beta2 ** t)) + eps)`.

    Args:
        params: leaves that require grad, or param groups with options of their own.
        lr: the learning rate (default 0.001).
        betas: how much of the running means of `g` and of `g * g` stays at a step (default
            (0.9, 0.999)).
        eps: is added to the root (default 1e-8).
        weight_decay: adds that much of the parameter to the gradient (default 0).
        amsgrad: divides by the largest `v` so far (default False).
        maximize: climbs instead (default False).
        decoupled_weight_decay: lets `weight_decay` act as in AdamW (default False).
        foreach, capturable, differentiable, fused: PyTorch's choices of an implementation; leave
            them out.

    Raises:
        TypeError: if `params` are no leaves.
        ValueError: if an option is below 0, or a beta not below 1.

    Kingma & Ba 2015, "Adam: a method for stochastic optimization"; for `amsgrad` Reddi et al.
    2018, "On the convergence of Adam and beyond".

    >>> w = rg.Tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = rg.optim.Adam([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); print(w.data.round(4))
    [  0.9 -19.9]
    """

    def __init__(
        self, params: Params, lr: float = 1e-3, betas: Betas = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0.0, amsgrad: bool = False, *,
        foreach: bool | None = None, maximize: bool = False, capturable: bool = False,
        differentiable: bool = False, fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:  # fmt: skip
        refuse(
            type(self).__name__, foreach=foreach, capturable=capturable,
            differentiable=differentiable, fused=fused,
        )  # fmt: skip
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
            "maximize": maximize, "decoupled_weight_decay": decoupled_weight_decay,
        }  # fmt: skip
        super().__init__(params, defaults)

    def used_slots(self, options: Options) -> dict[str, float]:
        slots = {"exp_avg": 0.0, "exp_avg_sq": 0.0}
        return {**slots, "max_exp_avg_sq": 0.0} if options["amsgrad"] else slots

    def update(self, p: Any, g: Any, state: State, options: Options, lr: Any, t: Any) -> None:
        beta1, beta2 = options["betas"]
        m, v = state["exp_avg"], state["exp_avg_sq"]
        g = gradient(p, g, options, lr)
        average(m, g, beta1)
        average(v, g * g, beta2)
        if options["amsgrad"]:
            write_to(state["max_exp_avg_sq"], np.maximum, v)
            v = state["max_exp_avg_sq"]
        # Numbers correct m and v, so that no pass over the arrays is spent on that.
        root = (1 - beta2**t) ** 0.5
        p -= lr * root / (1 - beta1**t) * m / (np.sqrt(v) + options["eps"] * root)


class AdamW(Adam):
    """Adam whose weight decay leaves the gradient alone.

    A step first takes `lr * weight_decay` of the parameter off, then does what Adam does.

    Args:
        params: leaves that require grad, or param groups with options of their own.
        lr: the learning rate (default 0.001).
        betas: how much of the running means of `g` and of `g * g` stays at a step (default
            (0.9, 0.999)).
        eps: is added to the root (default 1e-8).
        weight_decay: how much of the parameter a step takes off, times `lr` (default 0.01).
        amsgrad: divides by the largest mean of `g * g` so far (default False).
        maximize: climbs instead (default False).
        foreach, capturable, differentiable, fused: PyTorch's choices of an implementation; leave
            them out.

    Raises:
        TypeError: if `params` are no leaves.
        ValueError: if an option is below 0, or a beta not below 1.

    Loshchilov & Hutter 2019, "Decoupled weight decay regularization".

    >>> w = rg.Tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = rg.optim.AdamW([w], lr=0.1, weight_decay=0.5)
    >>> (w * w).sum().backward(); optimizer.step(); print(w.data.round(4))
    [  0.85 -18.9 ]
    """

    def __init__(
        self, params: Params, lr: float = 1e-3, betas: Betas = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False,
        foreach: bool | None = None, capturable: bool = False, differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:  # fmt: skip
        options = (lr, betas, eps, weight_decay, amsgrad)
        super().__init__(
            params, *options, foreach=foreach, maximize=maximize, capturable=capturable,
            differentiable=differentiable, fused=fused, decoupled_weight_decay=True,
        )  # fmt: skip


class Adamax(Optimizer):
    """Adam with the largest recent gradient in the place of the root mean square.

    With the running mean `m` of the gradient `g` and `u = max(beta2 * u, abs(g) + eps)` the step
    is `lr * m / (1 - beta1 ** t) / u`.

    Args:
        params: leaves that require grad, or param groups with options of their own.
        lr: the learning rate (default 0.002).
        betas: how much of `m` and of `u` stays at a step (default (0.9, 0.999)).
        eps: is added to `abs(g)` (default 1e-8).
        weight_decay: adds that much of the parameter to the gradient (default 0).
        maximize: climbs instead (default False).
        foreach, capturable, differentiable: PyTorch's choices of an implementation; leave them out.

    Raises:
        TypeError: if `params` are no leaves.
        ValueError: if an option is below 0, or a beta not below 1.

    Kingma & Ba 2015, "Adam: a method for stochastic optimization", algorithm 2.

    >>> w = rg.Tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = rg.optim.Adamax([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); print(w.data.round(4))
    [  0.9 -19.9]
    """

    def __init__(
        self, params: Params, lr: float = 2e-3, betas: Betas = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0.0, foreach: bool | None = None, *, maximize: bool = False,
        differentiable: bool = False, capturable: bool = False,
    ) -> None:  # fmt: skip
        refuse(
            type(self).__name__, foreach=foreach, capturable=capturable,
            differentiable=differentiable,
        )  # fmt: skip
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def used_slots(self, options: Options) -> dict[str, float]:
        return {"exp_avg": 0.0, "exp_inf": 0.0}

    def update(self, p: Any, g: Any, state: State, options: Options, lr: Any, t: Any) -> None:
        beta1, beta2 = options["betas"]
        m, u = state["exp_avg"], state["exp_inf"]
        g = gradient(p, g, options, lr)
        average(m, g, beta1)
        u *= beta2
        write_to(u, np.maximum, np.abs(g) + options["eps"])
        p -= lr / (1 - beta1**t) * m / u


class NAdam(Optimizer):
    """Adam with Nesterov's look ahead.

    The momentum of step `t` is `mu[t] = beta1 * (1 - 0.96 ** (t * momentum_decay) / 2)`. The
    running means are `m` of the gradient `g` and `v` of `g * g`. Where `P[t]` is the product of
    `mu[1]` to `mu[t]`, the step is `lr` times
    `(1 - mu[t]) / (1 - P[t]) * g + mu[t + 1] / (1 - P[t + 1]) * m`, divided by
    `sqrt(v / (1 - beta2 ** t)) + eps`.

    Args:
        params: leaves that require grad, or param groups with options of their own.
        lr: the learning rate (default 0.002).
        betas: how much of the running means of `g` and of `g * g` stays at a step (default
            (0.9, 0.999)).
        eps: is added to the root (default 1e-8).
        weight_decay: adds that much of the parameter to the gradient (default 0).
        momentum_decay: how fast `mu` rises from `beta1 / 2` to `beta1` (default 0.004).
        decoupled_weight_decay: lets `weight_decay` act as in AdamW (default False).
        maximize: climbs instead (default False).
        foreach, capturable, differentiable: PyTorch's choices of an implementation; leave them out.

    Raises:
        TypeError: if `params` are no leaves.
        ValueError: if an option is below 0, or a beta not below 1.

    Dozat 2016, "Incorporating Nesterov momentum into Adam".

    >>> w = rg.Tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = rg.optim.NAdam([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); print(w.data.round(4))
    [  0.8944 -19.8944]
    """

    scalars = ("mu_product",)

    def __init__(
        self, params: Params, lr: float = 2e-3, betas: Betas = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0.0, momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False, *, foreach: bool | None = None,
        maximize: bool = False, capturable: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        refuse(
            type(self).__name__, foreach=foreach, capturable=capturable,
            differentiable=differentiable,
        )  # fmt: skip
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "momentum_decay": momentum_decay, "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def used_slots(self, options: Options) -> dict[str, float]:
        return {"mu_product": 1.0, "exp_avg": 0.0, "exp_avg_sq": 0.0}

    def update(self, p: Any, g: Any, state: State, options: Options, lr: Any, t: Any) -> None:
        beta1, beta2 = options["betas"]
        m, v, product = state["exp_avg"], state["exp_avg_sq"], state["mu_product"]
        g = gradient(p, g, options, lr)
        decay = options["momentum_decay"]
        mu, following = (beta1 * (1 - 0.5 * 0.96 ** (at * decay)) for at in (t, t + 1))
        product *= mu
        average(m, g, beta1)
        average(v, g * g, beta2)
        ahead = lr * (1 - mu) / (1 - product) * g + lr * following / (1 - product * following) * m
        p -= ahead / (np.sqrt(v / (1 - beta2**t)) + options["eps"])


class RAdam(Optimizer):
    """Adam that does not divide by the size of gradients before it knows that well.

    The running means are `m` of the gradient `g` and `v` of `g * g`. The number of squares that
    `v` is the mean of is `rho = top - 2 * t * beta2 ** t / (1 - beta2 ** t)`, at the end
    `top = 2 / (1 - beta2) - 1`. While it is at most 5, the step is `lr * m / (1 - beta1 ** t)`;
    then that is multiplied by `r * sqrt(1 - beta2 ** t) / (sqrt(v) + eps)`, where `r` is the root
    of `(rho - 4) * (rho - 2) * top / ((top - 4) * (top - 2) * rho)`.

    Args:
        params: leaves that require grad, or param groups with options of their own.
        lr: the learning rate (default 0.001).
        betas: how much of the running means of `g` and of `g * g` stays at a step (default
            (0.9, 0.999)).
        eps: is added to the root (default 1e-8).
        weight_decay: adds that much of the parameter to the gradient (default 0).
        decoupled_weight_decay: lets `weight_decay` act as in AdamW (default False).
        foreach, capturable, differentiable: PyTorch's choices of an implementation; leave them out.
        maximize: climbs instead (default False).

    Raises:
        TypeError: if `params` are no leaves.
        ValueError: if an option is below 0, or a beta not below 1.

    Liu et al. 2020, "On the variance of the adaptive learning rate and beyond".

    >>> w = rg.Tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = rg.optim.RAdam([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); print(w.data.round(4))
    [  0.8 -16. ]
    """

    def __init__(
        self, params: Params, lr: float = 1e-3, betas: Betas = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0.0, decoupled_weight_decay: bool = False, *,
        foreach: bool | None = None, maximize: bool = False, capturable: bool = False,
        differentiable: bool = False,
    ) -> None:  # fmt: skip
        refuse(
            type(self).__name__, foreach=foreach, capturable=capturable,
            differentiable=differentiable,
        )  # fmt: skip
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "decoupled_weight_decay": decoupled_weight_decay, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def used_slots(self, options: Options) -> dict[str, float]:
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0}

    def update(self, p: Any, g: Any, state: State, options: Options, lr: Any, t: Any) -> None:
        beta1, beta2 = options["betas"]
        m, v = state["exp_avg"], state["exp_avg_sq"]
        g = gradient(p, g, options, lr)
        average(m, g, beta1)
        average(v, g * g, beta2)
        pace = lr / (1 - beta1**t)
        top = 2 / (1 - beta2) - 1
        if top <= 5:  # and so is rho at every step
            p -= pace * m
            return
        known = 1 - beta2**t
        rho = top - 2 * t * (1 - known) / known
        late = rho > 5  # a number, 0 or 1: there are no branches on t
        squared = (rho - 4) * (rho - 2) / rho * (top / ((top - 4) * (top - 2)))
        # Before that the divisor is not 0, and may be infinite.
        root = np.sqrt(v) + (options["eps"] + (1 - late))
        p -= m * (pace * (late * squared * known) ** 0.5 / root + pace * (1 - late))
