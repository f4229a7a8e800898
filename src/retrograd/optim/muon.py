"""Muon: momentum whose directions are made equally strong, for matrices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retrograd.checks import ensure, one_of
from retrograd.optim.buckets import State
from retrograd.optim.optimizer import Optimizer, Params
from retrograd.optim.updates import Options, average

Three = tuple[float, float, float]


class Muon(Optimizer):
    """Momentum whose directions are made equally strong, for the matrices of hidden layers.

    The running mean of the gradient is `m = momentum * m + (1 - momentum) * g`. With its singular
    value decomposition `U @ S @ Vh` the step goes along about `U @ Vh`: some steps of a
    Newton-Schulz iteration bring the singular values near 1 without computing them. Train biases,
    embeddings, convolutions and output layers by another optimizer, such as AdamW.

    The iteration runs in the dtype of the parameter. PyTorch's runs in bfloat16, and so differs
    from it by some thousandths of a step.

    Args:
        params: leaves with two axes that require grad, or param groups with options of their own.
        lr: the learning rate (default 0.001).
        weight_decay: how much of the parameter a step takes off, times `lr` (default 0.1).
        momentum: how much of the running mean stays at a step (default 0.95).
        nesterov: uses `momentum * m + (1 - momentum) * g` in the place of `m` (default True).
        ns_coefficients: `a, b, c` of the iteration `X = a X + (b X X' + c X X' X X') X` (default
            (3.4445, -4.775, 2.0315)).
        eps: the smallest norm that the momentum is divided by (default 1e-7).
        ns_steps: how many iterations there are (default 5).
        adjust_lr_fn: what a step of a matrix of shape `(rows, columns)` is multiplied by:
            "original" or None (default) for `sqrt(max(1, rows / columns))`, "match_rms_adamw" for
            `0.2 * sqrt(max(rows, columns))`, with which rates for AdamW fit.

    Raises:
        TypeError: if `params` are no leaves.
        ValueError: if a parameter has not two axes, or an option is outside its bounds.

    Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"; for
    "match_rms_adamw" Liu et al. 2025, "Muon is scalable for LLM training".

    >>> w = rg.nn.Parameter(np.eye(2) * [1.0, 100.0])
    >>> optimizer = rg.optim.Muon([w], lr=0.5, weight_decay=0.0)
    >>> (w * w).sum().backward(); optimizer.step(); print((w.data.diagonal() - [1, 100]).round(1))
    [-0.3 -0.3]
    """

    elementwise = False

    def __init__(
        self, params: Params, lr: float = 1e-3, weight_decay: float = 0.1, momentum: float = 0.95,
        nesterov: bool = True, ns_coefficients: Three = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7, ns_steps: int = 5, adjust_lr_fn: str | None = None,
    ) -> None:  # fmt: skip
        defaults = {
            "lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
            "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }  # fmt: skip
        super().__init__(params, defaults)

    def check(self, options: dict[str, Any]) -> None:
        super().check(options)
        for p in options.get("params", ()):
            if p.ndim != 2:
                raise ValueError(
                    f"Muon trains matrices, not a Tensor {p.shape}: give it to another optimizer, "
                    "such as AdamW"
                )
        steps, three = options["ns_steps"], options["ns_coefficients"]
        good = isinstance(steps, (int, np.integer)) and 0 <= int(steps) < 100
        ensure(good, "ns_steps", "a whole number from 0 to below 100", steps)
        good = isinstance(three, (tuple, list)) and len(three) == 3
        ensure(good, "ns_coefficients", "three numbers", three)
        one_of("adjust_lr_fn", options["adjust_lr_fn"], None, "original", "match_rms_adamw")

    def used_slots(self, options: Options) -> dict[str, float]:
        return {"momentum_buffer": 0.0}

    def update(self, p: Any, g: Any, state: State, options: Options, lr: Any, t: Any) -> None:
        momentum, m = options["momentum"], state["momentum_buffer"]
        average(m, g, momentum)
        if options["nesterov"]:
            m = momentum * m + (1 - momentum) * g
        rows, columns = p.shape
        if options["adjust_lr_fn"] == "match_rms_adamw":
            scale = 0.2 * math.sqrt(max(rows, columns))
        else:
            scale = math.sqrt(max(1.0, rows / columns))
        p *= 1 - lr * options["weight_decay"]
        p -= lr * scale * orthogonalize(m, options)


def orthogonalize(x: Any, options: Options) -> Any:
    """Return about `U @ Vh` of a matrix `U @ S @ Vh`, by a Newton-Schulz iteration.

    Args:
        x: a matrix, as an array or a Tensor.
        options: "ns_coefficients", "ns_steps" and "eps", as in `Muon`.
    """
    a, b, c = options["ns_coefficients"]
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / np.maximum(np.sqrt(np.sum(x * x)), options["eps"])  # no singular value is above 1
    for _ in range(options["ns_steps"]):
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.T if tall else x
