"""Losses, torch's formulas. `reduction` is "mean", "sum" or "none"."""

import functools
import math
from typing import Any

import numpy as np

from retrograd.engine import Constants, Tensor, defvjp, nograd, primitive
from retrograd.nn.functional.dense import log_softmax, logsigmoid, relu, sigmoid

TINY = Constants(math.exp(-100), 1.0)  # keeps log above -100, torch's bound
EPSILON = 9.999999960041972e-13  # 1e-12 in float32, torch's


def _reduced(values: Any, reduction: str, weight: Any = None) -> Any:
    values = values if weight is None else values * weight
    if reduction == "mean":
        return np.sum(values) / values.size
    if reduction == "sum":
        return np.sum(values)
    if reduction == "none":
        return values
    raise ValueError(f'reduction must be "mean", "sum" or "none", not {reduction!r}')


def _share(g: Any, values: Any, reduction: str, weight: Any = None) -> Any:
    """Return the gradient of each value."""
    g = g / values.size if reduction == "mean" else g
    return g if weight is None else g * weight


def _same_shape(name: str, input: Any, target: Any) -> None:
    if input.shape != target.shape:
        raise ValueError(
            f"{name} takes input and target of one shape, got {input.shape} and {target.shape}: "
            "reshape one of them"
        )


@primitive
def mse_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """Return the squared difference of `input` and `target`, of one shape.

    >>> float(F.mse_loss(np.array([1.0, 3.0]), np.array([1.0, 1.0])))
    2.0
    """
    _same_shape("mse_loss", input, target)
    return _reduced(np.square(input - target), reduction)


# fmt: off
defvjp(mse_loss, lambda g, out, input, target, reduction="mean":
       _share(g, input, reduction) * 2 * (input - target),
       lambda g, out, input, target, reduction="mean":
       _share(g, input, reduction) * 2 * (target - input))
# fmt: on


@primitive
def binary_cross_entropy(
    input: Any, target: Any, weight: Any = None, reduction: str = "mean"
) -> Any:
    """Return `-(target * log(input) + (1 - target) * log(1 - input))` for probabilities.

    The logarithms stop at -100. `weight` broadcasts. `backward` takes this loss and a sigmoid in
    one formula, `(input - target) * ...`, which holds also where rounding makes `input` 0 or 1.

    >>> float(F.binary_cross_entropy(np.array([0.5]), np.array([1.0])).round(4))
    0.6931
    """
    if input.shape != target.shape:
        _same_shape("binary_cross_entropy", input, target)
    tiny, one = TINY[input.dtype]
    yes, no = np.log(input + tiny), np.log((one - input) + tiny)
    if weight is None and reduction != "none":
        total = -(np.vdot(target, yes) + np.vdot(one - target, no))
        if total.__class__ is not Tensor and total != total and np.any(np.abs(input - 0.5) > 0.5):
            raise ValueError(
                "binary_cross_entropy takes probabilities from 0 to 1: put a sigmoid before it, or "
                "use binary_cross_entropy_with_logits"
            )
        return total / input.size if reduction == "mean" else total
    return -_reduced(target * yes + (1 - target) * no, reduction, weight)


def _bce_through_sigmoid(
    g: Any, out: Any, input: Any, target: Any, weight: Any = None, reduction: str = "mean"
) -> Any:
    slope = (input - target) * g
    if reduction == "mean":
        (part,) = _part_of(input.size)[input.dtype]
        slope = slope * part
    return slope if weight is None else slope * weight


@functools.cache
def _part_of(size: int) -> Constants:
    """Return an element's share in a mean."""
    return Constants(1 / max(size, 1))


# fmt: off
defvjp(binary_cross_entropy, lambda g, out, input, target, weight=None, reduction="mean":
       (input - target) / np.maximum(input * (1 - input), EPSILON) *
       _share(g, input, reduction, weight),
       lambda g, out, input, target, weight=None, reduction="mean":
       (np.log(1 - input + math.exp(-100)) - np.log(input + math.exp(-100))) *
       _share(g, input, reduction, weight), None, through={sigmoid: _bce_through_sigmoid})
# fmt: on


@primitive
def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, pos_weight: Any = None, reduction: str = "mean"
) -> Any:
    """Return the `binary_cross_entropy` of `sigmoid(input)`, accurate for large logits.

    `pos_weight` multiplies the loss of positive targets, `weight` all; both broadcast.

    >>> float(F.binary_cross_entropy_with_logits(np.array([-1000.0]), np.array([1.0])))
    1000.0
    """
    _same_shape("binary_cross_entropy_with_logits", input, target)
    scale = 1 if pos_weight is None else 1 + (pos_weight - 1) * target
    return _reduced((1 - target) * input - scale * logsigmoid(input), reduction, weight)


def _logits_slope(input: Any, target: Any, pos_weight: Any) -> Any:
    p = sigmoid(input)
    return p - target if pos_weight is None else (1 - target) * p - pos_weight * target * (1 - p)


# fmt: off
defvjp(binary_cross_entropy_with_logits,
       lambda g, out, input, target, weight=None, pos_weight=None, reduction="mean":
       _share(g, input, reduction, weight) * _logits_slope(input, target, pos_weight),
       lambda g, out, input, target, weight=None, pos_weight=None, reduction="mean":
       _share(g, input, reduction, weight) *
       (-input if pos_weight is None else -input - (pos_weight - 1) * logsigmoid(input)),
       None, None)
# fmt: on


# Losses of class scores


def _by_class(x: Any, weight: Any) -> Any:
    return x if weight is None else x * weight.reshape((-1,) + (1,) * (x.ndim - 2))


@primitive(looks_through=False)
def class_hits(target: Any, classes: int, ndim: int, ignore_index: int) -> Any:
    """Return where an element of scores with `ndim` axes is of the target class."""
    numbers = np.arange(classes).reshape((-1,) + (1,) * (ndim - 2))
    hit = (target[:, None] if target.ndim else target) == numbers
    if 0 <= ignore_index < classes:
        hit &= numbers != ignore_index
    if np.count_nonzero(hit) < target.size:
        wrong = target[((target < 0) | (target >= classes)) & (target != ignore_index)]
        if wrong.size:
            raise IndexError(f"a loss of {classes} classes got class number {wrong[0]}")
    return hit


nograd(class_hits)


def _hits(input: Any, target: Any, ignore_index: int) -> Any:
    return class_hits(target, input.shape[:2][-1], input.ndim, ignore_index)


def _check_classes(name: str, input: Any, target: Any, weight: Any, ignore_index: int) -> None:
    axis = min(input.ndim - 1, 1)
    if axis < 0 or target.shape != input.shape[:axis] + input.shape[axis + 1 :]:
        raise ValueError(
            f"{name} takes input (N, C, ...) and class numbers (N, ...), not {input.shape} and "
            f"{target.shape}"
        )
    if target.dtype.kind not in "iu":
        raise TypeError(f"{name} takes class numbers as integers, not {target.dtype}")
    number = input.shape[axis]
    if weight is not None and weight.shape != (number,):
        raise ValueError(f"{name} takes a weight a class, ({number},), not {weight.shape}")


def nll_loss(
    input: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean"
) -> Any:
    """Return minus the log-probability of the target class.

    `input` is `(N, C, ...)` or `(C,)`; `target` holds class numbers and has no class axis.
    `weight` `(C,)` weighs classes, also in the mean; targets of `ignore_index` do not count.
    Raises TypeError unless targets are integers, IndexError unless they are classes.

    >>> float(F.nll_loss(np.log([[0.5, 0.25, 0.25]]), np.array([0])).round(4))
    0.6931
    """
    _check_classes("nll_loss", input, target, weight, ignore_index)
    return _picked_loss(input, target, weight, ignore_index=ignore_index, reduction=reduction)


@primitive
def _picked_loss(input: Any, target: Any, weight: Any, ignore_index: int, reduction: str) -> Any:
    losses = np.where(_hits(input, target, ignore_index), _by_class(-input, weight), 0.0)
    if reduction == "mean":
        return np.sum(losses) / _total_weight(input, target, weight, ignore_index)
    return _reduced(np.sum(losses, axis=min(input.ndim - 1, 1)), reduction)


def _total_weight(input: Any, target: Any, weight: Any, ignore_index: int) -> Any:
    if weight is None:
        return np.sum((target != ignore_index).astype(input.dtype))
    return np.sum(_by_class(_hits(input, target, ignore_index).astype(input.dtype), weight))


def _picked_dx(
    g: Any, out: Any, input: Any, target: Any, weight: Any, ignore_index: int, reduction: str
) -> Any:
    if reduction == "mean":
        g = g / _total_weight(input, target, weight, ignore_index)
    elif g.ndim:
        g = g[:, None]
    return _by_class(np.where(_hits(input, target, ignore_index), -g, 0.0), weight)


defvjp(_picked_loss, _picked_dx, None, None)


def cross_entropy(
    input: Any, target: Any, weight: Any = None, ignore_index: int = -100,
    reduction: str = "mean", label_smoothing: float = 0.0,
) -> Any:  # fmt: skip
    """Return the `nll_loss` of `log_softmax(input)`.

    `target` may be probabilities, of the shape of `input`. `label_smoothing` is the part of it that
    all classes share.

    >>> float(F.cross_entropy(np.array([[0.0, 0.0]]), np.array([1])).round(4))
    0.6931
    """
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy takes {label_smoothing=} from 0 to 1")
    soft = target.dtype.kind == "f" and target.shape == input.shape
    if not soft:
        _check_classes("cross_entropy", input, target, weight, ignore_index)
    axis = min(input.ndim - 1, 1)
    scores = log_softmax(input, axis=axis)
    if not (soft or label_smoothing):
        return _picked_loss(scores, target, weight, ignore_index=ignore_index, reduction=reduction)
    shares = target if soft else _hits(input, target, ignore_index).astype(input.dtype)
    if label_smoothing:
        shares = shares * (1 - label_smoothing) + label_smoothing / input.shape[axis]
    values = -np.sum(_by_class(scores * shares, weight), axis=axis)
    if not soft:
        values = np.where(target != ignore_index, values, 0.0)
        if reduction == "mean":
            return np.sum(values) / _total_weight(input, target, weight, ignore_index)
    return _reduced(values, reduction)


def kl_div(input: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Any:
    """Return the divergence of log-probabilities `input` from probabilities `target`.

    With `log_target` those are logarithms too. `reduction="batchmean"` divides by the length of
    axis 0.

    >>> float(F.kl_div(np.log([0.5, 0.5]), np.array([1.0, 0.0]), reduction="sum").round(4))
    0.6931
    """
    if log_target:
        values = np.exp(target) * (target - input)
    else:
        values = target * np.log(np.where(target == 0, 1.0, target)) - target * input
    if reduction == "batchmean":
        return np.sum(values) / (input.shape[0] if input.ndim else 1)
    return _reduced(values, reduction)


def l1_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """Return the distance of `input` and `target`, of one shape; its slope at 0 is 0.

    >>> float(F.l1_loss(np.array([1.0, 4.0]), np.array([1.0, 1.0])))
    1.5
    """
    _same_shape("l1_loss", input, target)
    return _reduced(np.abs(input - target), reduction)


@primitive
def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Any:
    """Return half the squared difference d, beyond `delta` `delta * (|d| - delta / 2)`.

    >>> F.huber_loss(np.array([0.5, 3.0]), np.array([0.0, 0.0]), reduction="none")
    array([0.125, 2.5  ])
    """
    _same_shape("huber_loss", input, target)
    size = np.abs(input - target)
    near = np.minimum(size, delta)
    return _reduced(near * (size - 0.5 * near), reduction)


# fmt: off
defvjp(huber_loss, lambda g, out, input, target, reduction="mean", delta=1.0:
       _share(g, input, reduction) * np.clip(input - target, -delta, delta),
       lambda g, out, input, target, reduction="mean", delta=1.0:
       _share(g, input, reduction) * np.clip(target - input, -delta, delta))
# fmt: on


def smooth_l1_loss(input: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Any:
    """Return the `huber_loss` with `delta=beta`, divided by `beta`; for 0 the `l1_loss`.

    >>> F.smooth_l1_loss(np.array([0.5, 3.0]), np.array([0.0, 0.0]), reduction="none")
    array([0.125, 2.5  ])
    """
    if beta < 0:
        raise ValueError(f"smooth_l1_loss takes beta from 0, not {beta}")
    if beta == 0:
        return l1_loss(input, target, reduction)
    return huber_loss(input, target, reduction=reduction, delta=beta) / beta


def poisson_nll_loss(
    input: Any, target: Any, log_input: bool = True, full: bool = False, eps: float = 1e-8,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """Return minus the log-probability of counts `target` at rates `exp(input)`.

    Without `log_input` rates are `input`, their logarithm finite by `eps`. `full` adds Stirling's
    `log(target!)` for counts above 1.

    >>> float(F.poisson_nll_loss(np.array([0.0]), np.array([2.0])))
    1.0
    """
    rate, log = (np.exp(input), input) if log_input else (input, np.log(input + eps))
    values = rate - target * log
    if full:
        many = np.maximum(target, 1.0)
        stirling = many * np.log(many) - many + 0.5 * np.log(2 * math.pi * many)
        values = values + np.where(target > 1, stirling, 0.0)
    return _reduced(values, reduction)


def gaussian_nll_loss(
    input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    """Return minus the log-density of `target` at mean `input` and variance `var`.

    `var`, at least `eps`, may have 1 for the last axis of `input`, or lack it. `full` adds
    `log(2 pi) / 2`.

    >>> float(F.gaussian_nll_loss(np.array([2.0]), np.array([0.0]), np.array([1.0])))
    2.0
    """
    if var.shape == input.shape[:-1] and var.shape != input.shape:
        var = np.expand_dims(var, -1)
    elif var.shape not in (input.shape, (*input.shape[:-1], 1)):
        raise ValueError(f"gaussian_nll_loss takes var {input.shape}, not {var.shape}")
    var = np.maximum(var, eps)
    values = 0.5 * (np.log(var) + np.square(input - target) / var)
    return _reduced(values + 0.5 * math.log(2 * math.pi) if full else values, reduction)


def normalize(input: Any, p: float = 2.0, axis: int = 1, eps: float = 1e-12) -> Any:
    """Return `input` divided by its p-norm over `axis`, or by `eps` if larger.

    >>> F.normalize(np.array([[3.0, 4.0]]))
    array([[0.6, 0.8]])
    """
    return input / np.maximum(np.linalg.norm(input, p, axis, keepdims=True), eps)


def cosine_similarity(x1: Any, x2: Any, axis: int = 1, eps: float = 1e-8) -> Any:
    """Return the cosine of the angle between `x1` and `x2` along `axis`.

    >>> F.cosine_similarity(np.array([[1.0, 0.0]]), np.array([[1.0, 1.0]])).round(4)
    array([0.7071])
    """
    if np.ndim(x1) != np.ndim(x2):
        x1, x2 = np.broadcast_arrays(x1, x2)
    return np.sum(normalize(x1, 2.0, axis, eps) * normalize(x2, 2.0, axis, eps), axis=axis)


def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6) -> Any:
    """Return the p-norm of `x1 - x2 + eps` over the last axis.

    >>> F.pairwise_distance(np.array([[3.0, 4.0]]), np.zeros((1, 2))).round(4)
    array([5.])
    """
    return np.linalg.norm(x1 - x2 + eps, p, axis=-1)


def hinge_embedding_loss(
    input: Any, target: Any, margin: float = 1.0, reduction: str = "mean"
) -> Any:
    """Return `input` where the target is 1, and `max(0, margin - input)` where it is -1.

    >>> F.hinge_embedding_loss(np.array([0.3, 0.3]), np.array([1, -1]), reduction="none")
    array([0.3, 0.7])
    """
    alike = np.where(target == -1, 0.0, input)
    return _reduced(alike + np.where(target == 1, 0.0, relu(margin - input)), reduction)


def margin_ranking_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0.0, reduction: str = "mean"
) -> Any:
    """Return how far `input1` is from above `input2` (target 1) or below it (target -1).

    >>> float(F.margin_ranking_loss(np.array([1.0]), np.array([3.0]), np.array([1.0])))
    2.0
    """
    return _reduced(relu(margin - target * (input1 - input2)), reduction)


def triplet_margin_loss(
    anchor: Any, positive: Any, negative: Any, margin: float = 1.0, p: float = 2.0,
    eps: float = 1e-6, swap: bool = False, reduction: str = "mean",
) -> Any:  # fmt: skip
    """Return how far `positive` `(N, D)` is from being `margin` closer to `anchor` than `negative`.

    With `swap` the negative's distance is that to the closer of both.

    >>> a, b = np.zeros((1, 2)), np.array([[3.0, 4.0]])
    >>> float(F.triplet_margin_loss(a, b, a).round(4))
    6.0
    """
    near = pairwise_distance(anchor, positive, p, eps)
    far = pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = np.minimum(far, pairwise_distance(positive, negative, p, eps))
    return _reduced(relu(near - far + margin), reduction)


def cosine_embedding_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0.0, reduction: str = "mean"
) -> Any:
    """Return `1 - cos` where the target is 1, and `max(0, cos - margin)` where it is -1.

    `input1` and `input2` are `(N, D)` or `(D,)`, `target` `(N,)` or `()`.

    >>> x = np.array([[1.0, 0.0]])
    >>> float(F.cosine_embedding_loss(x, -x, np.array([1])).round(4))
    2.0
    """
    one, two = (np.sum(x * x, axis=-1) + 1e-12 for x in (input1, input2))
    cosine = np.sum(input1 * input2, axis=-1) / np.sqrt(one * two)
    return _reduced(np.where(target == 1, 1 - cosine, relu(cosine - margin)), reduction)
