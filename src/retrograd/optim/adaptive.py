"""Optimizers that adapt to the gradients so far: Adam and its relatives."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from retrograd.engine import Tensor
from retrograd.optim.optimizer import Optimizer, Options, State, gradient


def average(mean: Any, x: Any, beta: float) -> None:
    """Move a running mean towards `x` in place."""
    mean *= beta
    mean += (1 - beta) * x


def at_least(x: Any, bound: Any) -> None:
    """Raise `x` in place to `bound`."""
    if isinstance(x, Tensor):
        x._update(np.maximum, bound)
    else:
        np.maximum(x, bound, out=x)


class Adam(Optimizer):
    """Steps of about `lr`, whatever the size of the gradients (Kingma & Ba 2015).

    With the running means `m` of `g` and `v` of `g * g` the step is
    `lr * m / (1 - beta1 ** t) / (sqrt(v / (1 - beta2 ** t)) + eps)`. `amsgrad` divides by the
    largest `v` so far (Reddi et al. 2018). `weight_decay` adds that much of the parameter to the
    gradient, or if `decoupled_weight_decay` acts as in AdamW.

    >>> w = rg.Tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = rg.optim.Adam([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); print(w.data.round(4))
    [  0.9 -19.9]
    """

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0.0, amsgrad: bool = False, *,
        maximize: bool = False, decoupled_weight_decay: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, locals())

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
            at_least(state["max_exp_avg_sq"], v)
            v = state["max_exp_avg_sq"]
        # numbers correct m and v, without passes over them
        root = (1 - beta2**t) ** 0.5
        p -= lr * root / (1 - beta1**t) * m / (np.sqrt(v) + options["eps"] * root)


class AdamW(Adam):
    """Adam that first takes `lr * weight_decay` of the parameter off (Loshchilov & Hutter 2019).

    >>> w = rg.Tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = rg.optim.AdamW([w], lr=0.1, weight_decay=0.5)
    >>> (w * w).sum().backward(); optimizer.step(); print(w.data.round(4))
    [  0.85 -18.9 ]
    """

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 1e-2, amsgrad: bool = False, *,
        maximize: bool = False,
    ) -> None:  # fmt: skip
        options = (lr, betas, eps, weight_decay, amsgrad)
        super().__init__(params, *options, maximize=maximize, decoupled_weight_decay=True)


class Adamax(Optimizer):
    """Adam dividing by `u = max(beta2 * u, abs(g) + eps)` (Kingma & Ba 2015, algorithm 2).

    >>> w = rg.Tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = rg.optim.Adamax([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); print(w.data.round(4))
    [  0.9 -19.9]
    """

    def __init__(
        self, params: Iterable[Any], lr: float = 2e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0.0, *, maximize: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, locals())

    def used_slots(self, options: Options) -> dict[str, float]:
        return {"exp_avg": 0.0, "exp_inf": 0.0}

    def update(self, p: Any, g: Any, state: State, options: Options, lr: Any, t: Any) -> None:
        beta1, beta2 = options["betas"]
        m, u = state["exp_avg"], state["exp_inf"]
        g = gradient(p, g, options, lr)
        average(m, g, beta1)
        u *= beta2
        at_least(u, np.abs(g) + options["eps"])
        p -= lr / (1 - beta1**t) * m / u


class NAdam(Optimizer):
    """Adam with Nesterov's look ahead (Dozat 2016).

    The momentum of step `t` is `mu[t] = beta1 * (1 - 0.96 ** (t * momentum_decay) / 2)`; `m` is
    that of the next step, both corrected by the product of the `mu`.

    >>> w = rg.Tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = rg.optim.NAdam([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); print(w.data.round(4))
    [  0.8944 -19.8944]
    """

    scalars = ("mu_product",)

    def __init__(
        self, params: Iterable[Any], lr: float = 2e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0.0, momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False, *, maximize: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, locals())

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


class RMSprop(Optimizer):
    """Divide each gradient by the root of the running mean of its squares (Hinton 2012).

    If `centered`, by its deviation (Graves 2013); `momentum` acts on the quotient.

    >>> w = rg.Tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = rg.optim.RMSprop([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); print(w.data.round(4))
    [  0. -19.]
    """

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8,
        weight_decay: float = 0.0, momentum: float = 0.0, centered: bool = False, *,
        maximize: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, locals())

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
            v = v - m * m
        step = g / (np.sqrt(v) + options["eps"])
        if options["momentum"] != 0:
            buffer = state["momentum_buffer"]
            buffer *= options["momentum"]
            buffer += step
            step = buffer
        p -= lr * step


class Adagrad(Optimizer):
    """Divide each gradient by the root of the sum of all its squares (Duchi et al. 2011).

    The sum starts at `initial_accumulator_value`, `lr` falls as `1 / (1 + (t - 1) * lr_decay)`.

    >>> w = rg.Tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = rg.optim.Adagrad([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); print(w.data.round(4))
    [  0.9 -19.9]
    """

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-2, lr_decay: float = 0.0,
        weight_decay: float = 0.0, initial_accumulator_value: float = 0.0, eps: float = 1e-10, *,
        maximize: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, locals())

    def used_slots(self, options: Options) -> dict[str, float]:
        return {"sum": options["initial_accumulator_value"]}

    def update(self, p: Any, g: Any, state: State, options: Options, lr: Any, t: Any) -> None:
        total = state["sum"]
        g = gradient(p, g, options, lr)
        total += g * g
        p -= lr / (1 + (t - 1) * options["lr_decay"]) * g / (np.sqrt(total) + options["eps"])


class Adadelta(Optimizer):
    """Step by the gradient times the root mean square of steps over its own (Zeiler 2012).

    `eps` is inside the roots.

    >>> w = rg.Tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = rg.optim.Adadelta([w], lr=100.0)
    >>> (w * w).sum().backward(); optimizer.step(); print(w.data.round(4))
    [  0.6838 -19.6838]
    """

    def __init__(
        self, params: Iterable[Any], lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6,
        weight_decay: float = 0.0, *, maximize: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, locals())

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
