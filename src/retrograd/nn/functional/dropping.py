"""Dropout: parts of what goes through a net, drawn at random, are set to 0 in training."""

from __future__ import annotations

import math
from typing import Any

from retrograd.checks import check_probability, ensure
from retrograd.engine import TensorT
from retrograd.random import RngLike, generator, uniform

__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d"]


def dropout(
    input: TensorT, p: float = 0.5, training: bool = True, inplace: bool = False,
    rng: RngLike = None,
) -> TensorT:  # fmt: skip
    """Return `input` with elements drawn at random set to 0, and the others made larger.

    Each element is set to 0 with probability `p`; the rest is multiplied by `1 / (1 - p)`, so that
    the expected value of each stays the same.

    Args:
        input: array or Tensor of any shape.
        p: the probability, from 0 to 1.
        training: whether to do so; if not, `input` itself comes back.
        inplace: does nothing; it is there so that PyTorch's arguments fit.
        rng: where to draw from: a Generator, a seed, or None for the default generator (which
            `rg.manual_seed` seeds).

    Returns:
        A Tensor of the shape of `input`; an array for an array.

    Raises:
        ValueError: if `p` is no probability.

    Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting".

    >>> F.dropout(np.ones(6), 0.5, rng=0)
    array([2., 0., 0., 0., 2., 2.])
    """
    return _drop("dropout", input, input.shape, p, training, rng)


def dropout1d(
    input: TensorT, p: float = 0.5, training: bool = True, inplace: bool = False,
    rng: RngLike = None,
) -> TensorT:  # fmt: skip
    """Return signals with whole channels drawn at random set to 0, and the others made larger.

    Neighbours in a signal are so alike that to drop single elements would hide little.

    Args:
        input: signals `(N, C, L)`, or one signal `(C, L)`.
        p: the probability of each channel, from 0 to 1; the rest is multiplied by `1 / (1 - p)`.
        training: whether to do so; if not, `input` itself comes back.
        inplace: does nothing; it is there so that PyTorch's arguments fit.
        rng: where to draw from: a Generator, a seed, or None for the default generator (which
            `rg.manual_seed` seeds).

    Returns:
        A Tensor of the shape of `input`; an array for an array.

    Raises:
        ValueError: if `p` is no probability, or `input` has another number of axes.

    Tompson et al. 2015, "Efficient object localization using convolutional networks".

    >>> F.dropout1d(np.ones((1, 3, 2)), 0.5, rng=0)
    array([[[2., 2.],
            [0., 0.],
            [0., 0.]]])
    """
    ensure(input.ndim in (2, 3), "input", "(N, C, L) or (C, L)", input.shape, "dropout1d")
    return _drop("dropout1d", input, (*input.shape[:-1], 1), p, training, rng)


def dropout2d(
    input: TensorT, p: float = 0.5, training: bool = True, inplace: bool = False,
    rng: RngLike = None,
) -> TensorT:  # fmt: skip
    """Return images with whole channels drawn at random set to 0, and the others made larger.

    Neighbours in an image are so alike that to drop single elements would hide little.

    Args:
        input: images `(N, C, H, W)`. What has three axes is taken for signals `(N, C, L)`, as by
            PyTorch, and not for one image.
        p: the probability of each channel, from 0 to 1; the rest is multiplied by `1 / (1 - p)`.
        training: whether to do so; if not, `input` itself comes back.
        inplace: does nothing; it is there so that PyTorch's arguments fit.
        rng: where to draw from: a Generator, a seed, or None for the default generator (which
            `rg.manual_seed` seeds).

    Returns:
        A Tensor of the shape of `input`; an array for an array.

    Raises:
        ValueError: if `p` is no probability, or `input` has another number of axes.

    Tompson et al. 2015, "Efficient object localization using convolutional networks".

    >>> F.dropout2d(np.ones((1, 3, 1, 2)), 0.5, rng=0)
    array([[[[2., 2.]],
            [[0., 0.]],
            [[0., 0.]]]])
    """
    ensure(input.ndim in (3, 4), "input", "(N, C, H, W)", input.shape, "dropout2d")
    channels = (*input.shape[:2], *(1,) * (input.ndim - 2))
    return _drop("dropout2d", input, channels, p, training, rng)


def alpha_dropout(
    input: TensorT, p: float = 0.5, training: bool = False, inplace: bool = False,
    rng: RngLike = None,
) -> TensorT:  # fmt: skip
    """Return `input` with elements drawn at random set to what `selu` comes near far below 0.

    All is then scaled and shifted, so that mean 0 and variance 1 stay so: the dropout for nets of
    `selu`.

    Args:
        input: array or Tensor of any shape.
        p: the probability, from 0 to 1.
        training: whether to do so; if not (the default, as in PyTorch), `input` itself comes back.
        inplace: does nothing; it is there so that PyTorch's arguments fit.
        rng: where to draw from: a Generator, a seed, or None for the default generator (which
            `rg.manual_seed` seeds).

    Returns:
        A Tensor of the shape of `input`; an array for an array.

    Raises:
        ValueError: if `p` is no probability.

    Klambauer et al. 2017, "Self-normalizing neural networks".

    >>> F.alpha_dropout(np.zeros(4), 0.5, training=True, rng=0).round(4)
    array([ 0.7792, -0.7792, -0.7792, -0.7792])
    """
    check_probability("alpha_dropout", p)
    if not training or p == 0:
        return input
    kept = _draw(input, input.shape, p, rng)
    if p == 1:
        return input * kept
    scale = 1 / math.sqrt((SELU_LIMIT**2 * p + 1) * (1 - p))
    return (input * kept + SELU_LIMIT * (1 - kept)) * scale - scale * SELU_LIMIT * p


SELU_LIMIT = -1.7580993408473766  # -1.0507 * 1.6733, with all digits


def _drop(
    name: str, input: Any, shape: tuple[int, ...], p: float, training: bool, rng: RngLike
) -> Any:
    """Return the input times a mask of a shape that broadcasts with its own."""
    if not 0 <= p <= 1:
        raise ValueError(f"{name} takes a probability p from 0 to 1, not {p}")
    if not training or p == 0:
        return input
    return input * (_draw(input, shape, p, rng) * (1 / (1 - p) if p < 1 else 0.0))


def _draw(input: Any, shape: tuple[int, ...], p: float, rng: RngLike) -> Any:
    """Return 0 with probability `p` and 1 elsewhere, in the dtype of the input."""
    mask: Any = uniform(generator(rng), shape, input.dtype) >= p
    return mask.astype(input.dtype)
