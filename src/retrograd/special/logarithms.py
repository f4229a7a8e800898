"""Logarithms that keep their digits: of sums of exponentials, in entropies, next to zeros."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retrograd.checks import refuse_words
from retrograd.engine import TensorLike, TensorT, defvjp, primitive
from retrograd.rules.axes import spread
from retrograd.rules.elementwise import kinked, share_of_sum
from retrograd.special import logistic
from retrograd.special.logistic import Axis
from retrograd.special.precision import in_common_dtype

__all__ = [
    "entr", "kl_div", "log_softmax", "logsumexp", "rel_entr", "softmax", "xlog1py", "xlogy",
]  # fmt: skip


# Products with a logarithm


def _harmless(x: Any, y: Any, low: float = 0.0) -> Any:
    """Return `y`, but `low + 1`, of logarithm 0, where it is too low or infinite and `x` is 0.

    Its derivative is nan there, since to second order nothing is known of such a product.
    """
    hit = (x == 0) & ((y <= low) | (y == math.inf))
    return np.where(hit, low + 1.0, kinked(np.broadcast_to(y, hit.shape), hit))


@in_common_dtype
@primitive
def xlogy(x: TensorLike, y: TensorLike) -> Any:
    """Return `x * log(y)`, and 0 where `x` is 0, whatever `y`.

    Args:
        x: array or Tensor.
        y: array or Tensor that broadcasts with `x`.

    Returns:
        A Tensor of the common shape; an array for arrays. nan where `y` is negative and `x` not 0.

    >>> rg.special.xlogy(np.array([0.0, 2.0]), np.array([0.0, 3.0])).round(4)
    array([0.    , 2.1972])
    """
    return x * np.log(_harmless(x, y))


@in_common_dtype
@primitive
def xlog1py(x: TensorLike, y: TensorLike) -> Any:
    """Return `x * log(1 + y)`, accurate where `y` is tiny, and 0 where `x` is 0, whatever `y`.

    Args:
        x: array or Tensor.
        y: array or Tensor that broadcasts with `x`.

    Returns:
        A Tensor of the common shape; an array for arrays. nan where `y` is below -1 and `x` not 0.

    >>> rg.special.xlog1py(np.array([0.0, 1.0]), np.array([-1.0, 1e-20]))
    array([0.e+00, 1.e-20])
    """
    return x * np.log1p(_harmless(x, y, -1.0))


# fmt: off
defvjp(xlogy,   lambda g, out, x, y: g * np.log(_harmless(x, y)),
                lambda g, out, x, y: g * x / _harmless(x, y))
defvjp(xlog1py, lambda g, out, x, y: g * np.log1p(_harmless(x, y, -1.0)),
                lambda g, out, x, y: g * x / (1 + _harmless(x, y, -1.0)))
# fmt: on


# Entropies: each function gives the terms, of which the entropy is the sum


def entr(x: TensorT) -> TensorT:
    """Return `-x * log(x)`, the terms of an entropy.

    Args:
        x: array or Tensor of probabilities, of any shape.

    Returns:
        A Tensor of the shape of `x`; an array for an array. 0 at 0, -inf below.

    Their sum is Shannon's entropy in nats (Shannon 1948, "A mathematical theory of communication").

    >>> rg.special.entr(np.array([0.0, 0.5, 0.5])).sum().round(4)
    np.float64(0.6931)
    """
    return 0.0 - rel_entr(x, np.ones_like(x))


@in_common_dtype
@primitive
def rel_entr(x: TensorLike, y: TensorLike) -> Any:
    """Return `x * log(x / y)`, the terms of a relative entropy.

    Args:
        x: array or Tensor of probabilities.
        y: array or Tensor of probabilities that broadcasts with `x`.

    Returns:
        A Tensor of the common shape; an array for arrays. 0 where `x` is 0, inf where only `y` is,
        or where either is negative.

    Their sum is the divergence of two distributions (Kullback and Leibler 1951, "On information
    and sufficiency").

    >>> rg.special.rel_entr(np.array([0.0, 0.5, 1.0]), np.array([0.5, 0.25, 0.0])).round(4)
    array([0.    , 0.3466,    inf])
    """
    inside = (x > 0.0) & (y > 0.0)
    ratio = np.where(inside, x, 1.0) / np.where(inside, y, 1.0)
    value = np.where(inside, x * np.log(ratio), 0.0)
    value = np.where(inside | ((x == 0.0) & (y >= 0.0)), value, math.inf)
    return np.where(np.isnan(x) | np.isnan(y), math.nan, value)


# fmt: off
defvjp(rel_entr, lambda g, out, x, y: g * (np.log(x / y) + 1),
                 lambda g, out, x, y: -g * x / y)
# fmt: on


@in_common_dtype
def kl_div(x: TensorLike, y: TensorLike) -> Any:
    """Return `x * log(x / y) - x + y`, which is 0 where `x` is `y` and positive elsewhere.

    Args:
        x: array or Tensor of numbers from 0.
        y: array or Tensor of numbers from 0 that broadcasts with `x`.

    Returns:
        A Tensor of the common shape; an array for arrays. inf where `rel_entr` is.

    For probabilities that sum to 1 it has the sum of `rel_entr`. `nn.functional.kl_div`, PyTorch's,
    takes a logarithm first and another order.

    >>> rg.special.kl_div(np.array([0.5, 0.5]), np.array([0.5, 0.25])).round(4)
    array([0.    , 0.0966])
    """
    return rel_entr(x, y) - x + y


# Sums of exponentials


def logsumexp(
    a: TensorT, axis: Axis = None, b: TensorLike | None = None, keepdims: bool = False,
    **_words: Any,
) -> TensorT:  # fmt: skip
    """Return `log(sum(b * exp(a)))` over `axis`, without overflow.

    Args:
        a: array or Tensor of any shape.
        axis: the axis that is summed; several, or None for all.
        b: weighs the terms, an array or Tensor that broadcasts with `a`; None is 1. It may be 0 or
            below, as long as the sum is not: the logarithm is nan then.
        keepdims: whether the summed axes stay, with length 1.

    Returns:
        A Tensor without the summed axes; an array for an array. -inf where all elements are -inf.

    >>> rg.special.logsumexp(np.array([[1000.0, 1000.0], [0.0, 0.0]]), axis=1).round(4)
    array([1.0006931e+03, 6.9310000e-01])
    """
    if _words:
        refuse_words("logsumexp", _words)
    if b is None:
        return _logsumexp(a, axis=axis, keepdims=keepdims)
    return _weighed(a, b, axis=axis, keepdims=keepdims)


@primitive
def _weighed(a: Any, b: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    # a term of weight 0 is none, however large
    counts = b != 0.0
    a, b = np.where(counts, a, -math.inf), np.where(counts, b, 0.0)
    top = np.max(a, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    total = np.sum(b * np.exp(a - top), axis=axis, keepdims=True)
    above = total > 0.0
    out = np.log(np.where(above, total, 1.0)) + top
    out = np.where(above, out, np.where(total == 0.0, -math.inf, math.nan))
    return out if keepdims else np.squeeze(out, axis=axis)


def _share(out: Any, a: Any, b: Any, axis: Axis, keepdims: bool) -> Any:
    """Return `exp(a) / sum(b * exp(a))`, in the common shape of `a` and `b`."""
    whole = a + np.zeros_like(b)
    return np.exp(share_of_sum(whole, spread(out, whole, axis, keepdims)))


@primitive
def _logsumexp(a: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    top = np.max(a, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    total = np.sum(np.exp(a - top), axis=axis, keepdims=True)
    none = total == 0.0
    out: Any = np.where(none, -math.inf, np.log(np.where(none, 1.0, total)) + top)
    return out if keepdims else np.squeeze(out, axis=axis)


# fmt: off
defvjp(_weighed, lambda g, out, a, b, axis=None, keepdims=False:
                 spread(g, a + np.zeros_like(b), axis, keepdims) * b
                 * _share(out, np.where(b != 0.0, a, -math.inf), b, axis, keepdims),
                 lambda g, out, a, b, axis=None, keepdims=False:
                 spread(g, a + np.zeros_like(b), axis, keepdims)
                 * _share(out, a, b, axis, keepdims))
defvjp(_logsumexp, lambda g, out, a, axis=None, keepdims=False:
                  spread(g, a, axis, keepdims)
                  * np.exp(share_of_sum(a, spread(out, a, axis, keepdims))))
# fmt: on


def softmax(x: TensorT, axis: Axis = None, **_words: Any) -> TensorT:
    """Return `exp(x)` divided by its sum over `axis`, as `nn.functional.softmax`.

    Args:
        x: array or Tensor of any shape.
        axis: the axis along which the result sums to 1; several, or None for all.

    Returns:
        A Tensor of the shape of `x`; an array for an array.

    >>> rg.special.softmax(np.array([[1000.0, 1000.0], [1000.0, 1000.0]]))
    array([[0.25, 0.25],
           [0.25, 0.25]])
    """
    if _words:
        refuse_words("softmax", _words)
    return logistic.softmax(x, axis)


def log_softmax(x: TensorT, axis: Axis = None, **_words: Any) -> TensorT:
    """Return the logarithm of `softmax(x, axis)`, accurate where that is tiny.

    Args:
        x: array or Tensor of any shape.
        axis: the axis along which the softmax sums to 1; several, or None for all.

    Returns:
        A Tensor of the shape of `x`, 0 at most; an array for an array.

    >>> rg.special.log_softmax(np.array([0.0, 1000.0]))
    array([-1000.,     0.])
    """
    if _words:
        refuse_words("log_softmax", _words)
    return logistic.log_softmax(x, axis)
