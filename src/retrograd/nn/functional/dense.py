"""Affine maps, and what goes round them: activations and normalization."""

import functools
import math
from typing import Any

import numpy as np

from retrograd.engine import (
    Constants,
    Tensor,
    defvjp,
    defvjp_joint,
    is_recording,
    no_grad,
    primitive,
    shared,
    wrap,
)
from retrograd.random import RngLike, generator, uniform
from retrograd.rules.indexing import put_taken
from retrograd.special.logistic import log_softmax, logsigmoid, sigmoid, softmax

__all__ = [
    "batch_norm", "dropout", "elu", "embedding", "flatten", "gelu", "glu", "group_norm",
    "hardtanh", "layer_norm", "leaky_relu", "linear", "log_softmax", "logsigmoid", "mish",
    "one_hot", "prelu", "relu", "rms_norm", "selu", "sigmoid", "silu", "softmax", "softplus",
    "softsign", "tanh", "unflatten",
]  # fmt: skip

ZERO = Constants(0.0)


@primitive
def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """Return `input @ weight.T + bias`: `(..., in)`, `(out, in)` and `(out,)` give `(..., out)`.

    >>> F.linear(np.ones((2, 3)), np.ones((1, 3)), np.ones(1))
    array([[4.],
           [4.]])
    """
    try:
        _, _ = weight.shape
        if input.ndim == 2:
            # the transpose first: faster for large, and for sums over rows of small arrays
            out = weight.dot(input.T).T
        else:
            out = np.matmul(input, weight.T)
    except ValueError:
        raise ValueError(
            f"linear takes input (..., in) and weight (out, in), not {input.shape} and "
            f"{weight.shape}"
        ) from None
    return out if bias is None else out + bias


@functools.lru_cache(maxsize=64)
def ones(n: int, dtype: Any, values: tuple[float, ...] = (1,)) -> Any:
    """Return a constant vector of n ones, to sum by, or n of each value."""
    vector = np.repeat(np.array(values, dtype), n)
    vector.flags.writeable = False
    return vector


def _dx(g: Any, out: Any, input: Any, weight: Any, bias: Any = None) -> Any:
    if g.ndim == 2:
        return weight.T.dot(g.T).T
    return np.matmul(g, weight)


def _dw(g: Any, out: Any, input: Any, weight: Any, bias: Any = None) -> Any:
    if g.ndim != 2:
        g, input = g.reshape((-1, g.shape[-1])), input.reshape((-1, input.shape[-1]))
    return g.T.dot(input)


def _db(g: Any, out: Any, input: Any, weight: Any, bias: Any = None) -> Any:
    if g.ndim != 2:
        g = g.reshape((-1, g.shape[-1]))
    return g.T.dot(ones(len(g), g.dtype))  # faster than a sum


defvjp(linear, _dx, _dw, _db)


def flatten(input: Tensor, start_axis: int = 0, end_axis: int = -1) -> Tensor:
    """Return `input` with the axes from `start_axis` to `end_axis` made one.

    >>> F.flatten(np.ones((2, 3, 4)), 1).shape
    (2, 12)
    """
    shape, axes = input.shape or (1,), input.ndim or 1
    start, end = start_axis % axes, end_axis % axes
    if start > end:
        raise ValueError(f"flatten from axis {start_axis} to {end_axis} of {axes} axes")
    return input.reshape((*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


def unflatten(input: Any, axis: int, sizes: tuple[int, ...]) -> Any:
    """Return `input` with `axis` made several of these lengths; one may be -1.

    >>> F.unflatten(np.ones((2, 12)), 1, (3, -1)).shape
    (2, 3, 4)
    """
    shape, at = input.shape, axis % input.ndim
    try:
        sizes = np.empty(shape[at], bool).reshape(sizes).shape
    except ValueError:
        raise ValueError(f"unflatten of axis {axis}, length {shape[at]}, into {sizes}") from None
    return input.reshape((*shape[:at], *sizes, *shape[at + 1 :]))


def embedding(input: Any, weight: Any, padding_idx: int | None = None) -> Any:
    """Return the rows of `weight` `(V, D)` that `input` numbers: `(...)` gives `(..., D)`.

    The row `padding_idx` gets no gradient. Raises TypeError unless numbers are integers, IndexError
    unless they are rows.

    >>> F.embedding(np.array([2, 0]), np.array([[1.0], [2.0], [3.0]]))
    array([[3.],
           [1.]])
    """
    if input.dtype.kind not in "iu":
        raise TypeError(f"embedding takes row numbers as integers, not {input.dtype}")
    if weight.ndim != 2:
        raise ValueError(f"embedding takes a weight (rows, features), not {weight.shape}")
    return rows(input, weight, skip=None if padding_idx is None else padding_idx % len(weight))


@primitive(looks_through=False)
def rows(index: Any, table: Any, skip: int | None = None) -> Any:
    """Return rows of the table; one gets no gradient."""
    if index.size and index.min() < 0:
        raise IndexError(f"embedding got row number {index.min()}")
    return np.take(table, index, axis=0)


def _rows_dw(g: Any, out: Any, index: Any, table: Any, skip: int | None = None) -> Any:
    if skip is not None:
        g = np.where((index == skip)[..., None], 0.0, g)
    return put_taken(g, index, 0, table.shape, "raise")


defvjp(rows, None, _rows_dw)


def one_hot(tensor: Any, num_classes: int = -1) -> Any:
    """Return integers `(..., num_classes)`: 1 at the class number, 0 elsewhere.

    By default the largest number is the last class.

    >>> F.one_hot(np.array([1, 0]), 3)
    array([[0, 1, 0],
           [1, 0, 0]])
    """
    if tensor.dtype.kind not in "iu":
        raise TypeError(f"one_hot takes class numbers as integers, not {tensor.dtype}")
    if num_classes == -1:
        if not tensor.size:
            raise ValueError("one_hot of nothing: num_classes must be given")
        num_classes = int(tensor.max()) + 1
    known = not is_recording() and tensor.size
    if known and not 0 <= int(tensor.min()) <= int(tensor.max()) < num_classes:
        raise ValueError(f"one_hot takes class numbers from 0 to {num_classes - 1}")
    return (tensor[..., None] == np.arange(num_classes)).astype(np.int64)


@primitive
def relu(input: Any) -> Any:
    """Return the larger of `input` and 0; the slope at 0 is 0.

    >>> F.relu(np.array([-1.0, 2.0]))
    array([0., 2.])
    """
    (zero,) = ZERO[input.dtype]
    return np.maximum(input, zero)


# for few elements the sign is the faster way
defvjp(relu, lambda g, out, input: g * (np.sign(out) if out.size < 4096 else out > 0))


def tanh(input: Any) -> Any:
    """Return `np.tanh(input)`."""
    return np.tanh(input)


@primitive
def leaky_relu(input: Any, negative_slope: float = 0.01) -> Any:
    """Return `input` where it is positive, elsewhere `negative_slope * input`.

    >>> F.leaky_relu(np.array([-1.0, 2.0]))
    array([-0.01,  2.  ])
    """
    # faster than np.where on mixed signs
    side = np.maximum if negative_slope <= 1 else np.minimum
    return side(input, negative_slope * input)


def prelu(input: Any, weight: Any) -> Any:
    """Return `leaky_relu` with one slope, or one for each channel (axis 1).

    >>> F.prelu(np.array([[-1.0, -1.0]]), np.array([0.5, 0.25]))
    array([[-0.5 , -0.25]])
    """
    if weight.size != 1:
        if input.ndim < 2 or weight.shape != (input.shape[1],):
            raise ValueError(
                f"prelu takes one slope, or one for each channel (axis 1), not {weight.shape} "
                f"for input {input.shape}"
            )
        weight = weight.reshape((-1,) + (1,) * (input.ndim - 2))
    return np.where(input > 0, input, weight * input)


@primitive
def elu(input: Any, alpha: float = 1.0) -> Any:
    """Return `input` where it is positive, elsewhere `alpha * (exp(input) - 1)`.

    >>> F.elu(np.array([-1000.0, 2.0]))
    array([-1.,  2.])
    """
    return np.maximum(input, 0.0) + alpha * np.expm1(np.minimum(input, 0.0))


def selu(input: Any) -> Any:
    """Return the `elu` that keeps mean 0 and variance 1 (Klambauer et al. 2017).

    >>> F.selu(np.array([0.0, 1.0])).round(2)
    array([0.  , 1.05])
    """
    return 1.0507009873554805 * elu(input, 1.6732632423543772)


def silu(input: Any) -> Any:
    """Return `input * sigmoid(input)`.

    >>> F.silu(np.array([0.0, 1.0])).round(2)
    array([0.  , 0.73])
    """
    return input * sigmoid(input)


@primitive
def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """Return `log(1 + exp(beta * input)) / beta`, or `input` where `beta * input > threshold`.

    >>> F.softplus(np.array([0.0, 1000.0])).round(2)
    array([6.9e-01, 1.0e+03])
    """
    steep = beta * input
    soft = np.log1p(np.exp(np.minimum(steep, threshold))) / beta
    return np.where(steep > threshold, input, soft)


def mish(input: Any) -> Any:
    """Return `input * tanh(softplus(input))` (Misra 2019).

    >>> F.mish(np.array([0.0, 1.0])).round(2)
    array([0.  , 0.87])
    """
    return input * np.tanh(softplus(input))


def gelu(input: Any, approximate: str = "none") -> Any:
    """Return `input` times the probability that a standard normal draw is less.

    `approximate="tanh"` takes a formula for that (Hendrycks and Gimpel 2016).

    >>> F.gelu(np.array([0.0, 1.0])).round(2)
    array([0.  , 0.84])
    """
    if approximate == "tanh":
        return input * _nearly_ndtr(input)
    if approximate != "none":
        raise ValueError(f'gelu takes approximate="none" or "tanh", not {approximate!r}')
    from retrograd.special import ndtr  # loaded on first use

    return input * ndtr(input)


GELU_SLOPE = math.sqrt(8 / math.pi)


@primitive
def _nearly_ndtr(x: Any) -> Any:
    # 0.5 + 0.5 * tanh(u / 2) is the sigmoid of u
    return sigmoid(x * (0.044715 * GELU_SLOPE * np.square(x) + GELU_SLOPE))


def softsign(input: Any) -> Any:
    """Return `input / (1 + abs(input))`.

    >>> F.softsign(np.array([-1.0, 3.0]))
    array([-0.5 ,  0.75])
    """
    return input / (1 + np.abs(input))


@primitive
def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    """Return `input` held between bounds, where the slope is 0.

    >>> F.hardtanh(np.array([-2.0, 0.5]))
    array([-1. ,  0.5])
    """
    return np.minimum(np.maximum(input, min_val), max_val)


def glu(input: Any, axis: int = -1) -> Any:
    """Return the first half along `axis` times the sigmoid of the second (Dauphin et al. 2017).

    >>> F.glu(np.array([3.0, 0.0]))
    array([1.5])
    """
    if not input.ndim or input.shape[axis] % 2:
        raise ValueError(f"glu takes an axis {axis} whose length is even, shape is {input.shape}")
    value, gate = np.split(input, 2, axis=axis)
    return value * sigmoid(gate)


def dropout(input: Any, p: float = 0.5, training: bool = True, rng: RngLike = None) -> Any:
    """Return `input` with 0 in place of a part `p`, and the rest times `1 / (1 - p)`.

    Without `training`, the input. `rng` is a Generator or a seed.

    >>> F.dropout(np.ones(6), 0.5, rng=0)
    array([2., 0., 0., 0., 2., 2.])
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout takes a probability p from 0 to 1, not {p}")
    if not training or p == 0:
        return input
    mask = uniform(generator(rng), input.shape, input.dtype) >= p
    return input * (mask.astype(input.dtype) * (1 / (1 - p) if p < 1 else 0.0))


def batch_last(x: Any) -> Any:
    """Return `x` with its first axis last."""
    return np.transpose(x, (*range(1, x.ndim), 0))


def batch_first(x: Any) -> Any:
    """Return `x` with its last axis first."""
    return np.transpose(x, (x.ndim - 1, *range(x.ndim - 1)))


def _positive(x: Any) -> Any:
    return (x > 0).astype(x.dtype)


# fmt: off
defvjp(leaky_relu,  lambda g, out, input, negative_slope=0.01:
                    g * (_positive(input) * (1 - negative_slope) + negative_slope))
defvjp(_nearly_ndtr, lambda g, out, x:
                    g * (out * (1 - out) * (3 * 0.044715 * GELU_SLOPE * np.square(x) + GELU_SLOPE)))
defvjp(elu,         lambda g, out, input, alpha=1.0:
                    g * (_positive(input) * (1 - alpha) + alpha * np.exp(np.minimum(input, 0.0))))
defvjp(softplus,    lambda g, out, input, beta=1.0, threshold=20.0:
                    np.where(beta * input > threshold, g, g * sigmoid(beta * input)))
defvjp(hardtanh,    lambda g, out, input, min_val=-1.0, max_val=1.0:
                    g * ((input > min_val) & (input < max_val)))
# fmt: on


# Normalization brings rows of a matrix to mean 0 and variance 1


def _row_mean(x: Any) -> Any:
    n = x.shape[1]
    if n >= 512:  # where a sum, more exact, costs no more
        return np.mean(x, axis=1, keepdims=True)
    return np.matmul(x, ones(n, x.dtype)[:, None]) * (1 / n)


def _standard(x: Any, eps: float, centered: bool) -> tuple[Any, Any]:
    """Return the rows, and what they were multiplied by."""
    if centered:
        x = x - _row_mean(x)
    scale = 1 / np.sqrt(_row_mean(x * x) + eps)
    return x * scale, scale


@primitive
def standardize(x: Any, weight: Any, bias: Any, eps: float, centered: bool = True) -> Any:
    """Return rows of mean 0 (if `centered`) and mean square 1, scaled and shifted."""
    out, _ = _standard(x, eps, centered)
    out = out if weight is None else out * weight
    return out if bias is None else out + bias


def _standardize_g(
    g: Any, out: Any, x: Any, weight: Any, bias: Any, eps: float, centered: bool = True
) -> Any:
    """Return the gradient of `x`, and those of `weight` and `bias` in each row."""
    standard, scale = _standard(x, eps, centered)
    along, dx = g * standard, g
    if weight is None:
        mean, slope = _row_mean(g), _row_mean(along)
    else:
        column = weight[:, None] * (1 / x.shape[1])
        mean, slope, dx = np.matmul(g, column), np.matmul(along, column), g * weight
    dx = dx - standard * slope
    return (dx - mean if centered else dx) * scale, along, g


def _column_sum(g: Any) -> Any:
    return np.matmul(ones(len(g), g.dtype), g)


defvjp_joint(
    standardize,
    shared(
        _standardize_g,
        lambda parts, *_, **options: parts[0],
        lambda parts, *_, **options: _column_sum(parts[1]),
        lambda parts, *_, **options: _column_sum(parts[2]),
    ),
    arrays=3,
)


def layer_norm(
    input: Any, normalized_shape: tuple[int, ...] | list[int], weight: Any = None,
    bias: Any = None, eps: float = 1e-5,
) -> Any:  # fmt: skip
    """Return `input` with mean 0 and variance 1 over its last axes, of `normalized_shape`.

    Then scaled by `weight` and shifted by `bias`, of that shape. `eps` is added to the variance.

    >>> F.layer_norm(np.array([[1.0, 3.0]]), (2,)).round(4)
    array([[-1.,  1.]])
    """
    return _over_last("layer_norm", input, normalized_shape, weight, bias, eps, True)


def rms_norm(
    input: Any, normalized_shape: tuple[int, ...] | list[int], weight: Any = None,
    eps: float | None = None,
) -> Any:  # fmt: skip
    """Return `input` with mean square 1 over its last axes, as `layer_norm`.

    `eps` is by default that of the dtype.

    >>> F.rms_norm(np.array([[1.0, 7.0]]), (2,)).round(4)
    array([[0.2, 1.4]])
    """
    eps = float(np.finfo(input.dtype).eps) if eps is None else eps
    return _over_last("rms_norm", input, normalized_shape, weight, None, eps, False)


def _over_last(
    name: str, input: Any, over: Any, weight: Any, bias: Any, eps: float, centered: bool
) -> Any:
    over = tuple(over)
    if not over or input.shape[-len(over) :] != over:
        raise ValueError(f"{name} over {over} of {input.shape}: the last axes differ")
    for what, array in (("weight", weight), ("bias", bias)):
        if array is not None and array.shape != over:
            raise ValueError(f"{name} takes a {what} {over}, not {array.shape}")
    n = math.prod(over)
    if len(over) > 1:
        weight, bias = (None if a is None else a.reshape(n) for a in (weight, bias))
    out = standardize(input.reshape((-1, n)), weight, bias, eps=eps, centered=centered)
    return out.reshape(input.shape)


def group_norm(
    input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    """Return `input` `(N, C, ...)` with mean 0 and variance 1 over each group of channels.

    Then scaled by `weight` and shifted by `bias` `(C,)`.

    >>> F.group_norm(np.array([[1.0, 3.0, 5.0, 5.0]]), 2).round(4)
    array([[-1.,  1.,  0.,  0.]])
    """
    if input.ndim < 2 or input.shape[1] % num_groups:
        raise ValueError(f"group_norm of {num_groups} groups of axis 1 of {input.shape}")
    rows = input.reshape((input.shape[0] * num_groups, -1))
    out = standardize(rows, None, None, eps=eps).reshape((*input.shape[:2], -1))
    return _by_channel(out, weight, bias).reshape(input.shape)


def _by_channel(x: Any, weight: Any, bias: Any) -> Any:
    x = x if weight is None else x * weight[:, None]
    return x if bias is None else x + bias[:, None]


def batch_norm(
    input: Any, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None,
    training: bool = False, momentum: Any = 0.1, eps: float = 1e-5,
) -> Any:  # fmt: skip
    """Return `input` `(N, C, ...)` with mean 0 and variance 1 over each channel.

    Then scaled by `weight` and shifted by `bias` `(C,)`. Mean and variance are `running_mean` and
    `running_var` `(C,)`; in `training` those of the batch, towards which the running ones, unless
    None, move by `momentum` in place.

    >>> F.batch_norm(np.array([[1.0], [3.0]]), None, None, training=True).round(4)
    array([[-1.],
           [ 1.]])
    """
    if input.ndim < 2:
        raise ValueError(f"batch_norm takes an input (N, C, ...), not {input.shape}")
    if not training:
        if isinstance(input, Tensor):
            # which a compiled function reads anew
            running_mean, running_var = Tensor(running_mean), Tensor(running_var)
        scale = 1 / np.sqrt(running_var + eps)
        scale = scale if weight is None else scale * weight
        shift = (0.0 if bias is None else bias) - running_mean * scale
        column = (-1,) + (1,) * (input.ndim - 2)
        return input * scale.reshape(column) + shift.reshape(column)
    channels = input.shape[1]
    rows = batch_last(input).reshape((channels, -1))
    count = rows.shape[1]
    if count < 2:
        raise ValueError(f"batch_norm trains on more than one value a channel, not {input.shape}")
    if running_mean is not None:
        with no_grad():
            mean = _row_mean(rows)
            var = np.sum(np.square(rows - mean), axis=1) * (1 / (count - 1))
            for running, value in ((running_mean, mean[:, 0]), (running_var, var)):
                # the compiler sees writes through Tensors
                held = running if isinstance(running, Tensor) else wrap(running)
                held *= 1 - momentum
                held += momentum * value
    out = _by_channel(standardize(rows, None, None, eps=eps), weight, bias)
    return batch_first(out.reshape((channels, *input.shape[2:], -1)))
