"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from numpy import sqrt

from retrograd.optim.optimizer import Optimizer, at_least, gradient

State = dict[str, Any]
Options = Mapping[str, Any]


def average(mean: Any, x: Any, beta: float) -> None:
    """Move a running mean towards `x` in place; for an update to call."""
    mean *= beta
    mean += (1 - beta) * x


class Adam(Optimizer):
    """Adam: steps of about `lr`, whatever the size of the gradients (Kingma & Ba 2015).

    With the running means `m` of `g` and `v` of `g * g` the step is
    `lr * m / (1 - beta1 ** t) / (sqrt(v / (1 - beta2 ** t)) + eps)`. `amsgrad` divides by the
    largest `v` so far (Reddi et al. 2018). `weight_decay` adds that much of the parameter to the
    gradient, or with `decoupled_weight_decay` takes `lr * weight_decay` of it away, as AdamW does.

    >>> import retrograd as rg
    >>> w = rg.Tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = rg.optim.Adam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step(); w
    Tensor([  0.9, -19.9], requires_grad=True)
    """

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0.0, amsgrad: bool = False, *,
        maximize: bool = False, decoupled_weight_decay: bool = False,
    ) -> None:  # fmt: skip
        options = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
            "maximize": maximize, "decoupled_weight_decay": decoupled_weight_decay,
        }  # fmt: skip
        super().__init__(params, options)

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
        # the corrections of m and v as numbers, so that no pass over the arrays is spent on them
        root = (1 - beta2**t) ** 0.5
        p -= lr * root / (1 - beta1**t) * m / (sqrt(v) + options["eps"] * root)


class AdamW(Adam):
    """Adam whose weight decay leaves the gradient alone (Loshchilov & Hutter 2019).

    Each step first takes `lr * weight_decay` of the parameter away.

    >>> import retrograd as rg
    >>> w = rg.Tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = rg.optim.AdamW([w], lr=0.1, weight_decay=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step(); w
    Tensor([  0.85, -18.9 ], requires_grad=True)
    """

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 1e-2, amsgrad: bool = False, *,
        maximize: bool = False,
    ) -> None:  # fmt: skip
        options = (lr, betas, eps, weight_decay, amsgrad)
        super().__init__(params, *options, maximize=maximize, decoupled_weight_decay=True)
