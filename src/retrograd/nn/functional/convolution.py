"""Convolution: windows are laid out as columns, then one matrix product mixes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np

from retrograd.checks import per_axis
from retrograd.engine import Array, Tensor, TensorLike, TensorT, defvjp_joint, primitive
from retrograd.nn.functional.windows import (
    Sizes,
    batch_first,
    batch_last,
    columns,
    fit_windows,
    fold,
)

__all__ = ["conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d"]


def _as_groups(x: Any, groups: int) -> Any:
    """Return a matrix (further axes flattened) as `groups` matrices of as many rows each."""
    return x.reshape((groups, x.shape[0] // groups, -1))


@primitive
def mix(cols: Any, weight: Any, bias: Any, groups: int, size: tuple[int, ...]) -> Any:
    """Return `weight` times the columns, each group its own, plus `bias`, as `(N, O, *size)`."""
    mixed = np.matmul(_as_groups(weight, groups), _as_groups(cols, groups))
    mixed = mixed.reshape((weight.shape[0], *size, -1))
    if bias is not None:
        mixed = mixed + bias.reshape((-1,) + (1,) * (len(size) + 1))
    return batch_first(mixed)


def _mix_gradients(
    needed: Sequence[int], g: Any, out: Any, cols: Any, weight: Any, bias: Any, groups: int,
    size: tuple[int, ...],
) -> list[Any]:  # fmt: skip
    g = _as_groups(batch_last(g), groups)
    gradients = (
        lambda: np.matmul(np.swapaxes(_as_groups(weight, groups), 1, 2), g).reshape(cols.shape),
        lambda: np.matmul(g, np.swapaxes(_as_groups(cols, groups), 1, 2)).reshape(weight.shape),
        lambda: np.sum(g, axis=2).reshape(bias.shape),
    )
    return [gradients[i]() for i in needed]


defvjp_joint(mix, _mix_gradients, arrays=3)


@overload
def conv1d(
    input: TensorLike, weight: Tensor, bias: TensorLike | None = None, stride: Sizes = 1,
    padding: Sizes | str = 0, dilation: Sizes = 1, groups: int = 1,
) -> Tensor: ...  # fmt: skip
@overload
def conv1d(
    input: TensorT, weight: Array, bias: Array | None = None, stride: Sizes = 1,
    padding: Sizes | str = 0, dilation: Sizes = 1, groups: int = 1,
) -> TensorT: ...  # fmt: skip
def conv1d(
    input: TensorLike, weight: TensorLike, bias: TensorLike | None = None, stride: Sizes = 1,
    padding: Sizes | str = 0, dilation: Sizes = 1, groups: int = 1,
) -> TensorLike:  # fmt: skip
    """Slide the filters `weight` along `input` and return their dot products with what they cover.

    `out[n, o, i] = sum(weight[o, c, j] * padded[n, c, stride * i + dilation * j]) + bias[o]`, the
    sum over the channels c and the places j in a filter. As everywhere in deep learning the filters
    are not reversed: this is a cross-correlation.

    Args:
        input: signals `(N, C, L)`: a batch of N, each of C channels and length L. Or one signal
            `(C, L)`.
        weight: O filters of length k, `(O, C / groups, k)`.
        bias: `(O,)`, added to all of a filter's products, or None.
        stride: how many elements a filter moves on.
        padding: how many zeros to put on both sides of `input`; "same" puts as many as keep the
            length (with stride 1; where their number is odd, one more behind), "valid" none.
        dilation: how far apart in `input` the elements are that a filter covers.
        groups: makes of the channels and the filters this many groups; a group of filters sees its
            own group of channels only. Must divide C and O.

    Returns:
        A Tensor `(N, O, M)`, or `(O, M)` for one signal, where
        `M = (L + 2 * padding - dilation * (k - 1) - 1) // stride + 1`; an array if all
        arguments are arrays.

    Raises:
        ValueError: if shapes do not fit, `input` is shorter than a filter, or an option is none of
            the above.

    >>> F.conv1d(np.arange(5.0).reshape(1, 1, 5), np.ones((1, 1, 3)))
    array([[[3., 6., 9.]]])
    """
    return _convolve(1, input, weight, bias, stride, padding, dilation, groups)


@overload
def conv2d(
    input: TensorLike, weight: Tensor, bias: TensorLike | None = None, stride: Sizes = 1,
    padding: Sizes | str = 0, dilation: Sizes = 1, groups: int = 1,
) -> Tensor: ...  # fmt: skip
@overload
def conv2d(
    input: TensorT, weight: Array, bias: Array | None = None, stride: Sizes = 1,
    padding: Sizes | str = 0, dilation: Sizes = 1, groups: int = 1,
) -> TensorT: ...  # fmt: skip
def conv2d(
    input: TensorLike, weight: TensorLike, bias: TensorLike | None = None, stride: Sizes = 1,
    padding: Sizes | str = 0, dilation: Sizes = 1, groups: int = 1,
) -> TensorLike:  # fmt: skip
    """Slide the filters `weight` over images and return their dot products with what they cover.

    The product with filter o at row y and column x is the sum, over the channels c and the places
    (i, j) in the filter, of
    `weight[o, c, i, j] * padded[n, c, stride * y + dilation * i, stride * x + dilation * j]`, plus
    `bias[o]`. As everywhere in deep learning the filters are not reversed: this is a
    cross-correlation.

    Args:
        input: images `(N, C, H, W)`: a batch of N, each of C channels, height H and width W. Or
            one image `(C, H, W)`.
        weight: O filters of k by l elements, `(O, C / groups, k, l)`.
        bias: `(O,)`, added to all of a filter's products, or None.
        stride: how many elements a filter moves on; this and the next two are one number for both
            axes, or a pair (rows, columns).
        padding: how many zeros to put on both sides of an axis; "same" puts as many as keep height
            and width (with stride 1; where their number is odd, one more behind), "valid" none.
        dilation: how far apart in `input` the elements are that a filter covers.
        groups: makes of the channels and the filters this many groups; a group of filters sees its
            own group of channels only (with `groups=C`, a "depthwise" convolution). Must divide C
            and O.

    Returns:
        A Tensor `(N, O, P, Q)`, or `(O, P, Q)` for one image, where
        `P = (H + 2 * padding - dilation * (k - 1) - 1) // stride + 1`, and Q likewise of W and l;
        an array if all arguments are arrays.

    Raises:
        ValueError: if shapes do not fit, `input` is smaller than a filter, or an option is none of
            the above.

    LeCun et al. 1989, "Backpropagation applied to handwritten zip code recognition".

    >>> F.conv2d(np.ones((1, 1, 3, 2)), np.ones((1, 1, 2, 2)))
    array([[[[4.], [4.]]]])
    """
    return _convolve(2, input, weight, bias, stride, padding, dilation, groups)


def _convolve(axes: int, input: Any, weight: Any, bias: Any, *options: Any) -> Any:
    if input.ndim == axes + 1:
        return _convolve(axes, input[None], weight, bias, *options)[0]
    name, kernel, (stride, padding, dilation, groups) = f"conv{axes}d", weight.shape[2:], options
    _output_channels(name, axes, input, weight, bias, groups)
    stride = per_axis("stride", stride, axes, 1)
    dilation = per_axis("dilation", dilation, axes, 1)
    pads = padding_pairs(name, padding, kernel, stride, dilation)
    windows = fit_windows(name, input.shape[2:], kernel, stride, dilation, pads)
    return mix(columns(input, windows=windows), weight, bias, groups=groups, size=windows[3])


def _output_channels(
    name: str, axes: int, input: Any, weight: Any, bias: Any, groups: int, transposed: bool = False
) -> int:
    """Return how many channels come out; ValueError for shapes that do not fit."""
    fit = input.ndim == weight.ndim == axes + 2
    if fit:
        outs, channels = weight.shape[0], weight.shape[1] * groups
        if transposed:
            outs, channels = channels, outs
        fit = input.shape[1] == channels and weight.shape[0] % groups == 0
    if not fit:
        raise ValueError(
            f"{name} takes input and weight of {axes + 2} axes whose channels fit, not "
            f"{input.shape}, {weight.shape} and {groups=}"
        )
    if bias is not None and bias.shape != (outs,):
        raise ValueError(f"{name} takes a bias ({outs},), not {bias.shape}")
    return int(outs)


def padding_pairs(name: str, padding: Any, kernel: Any, stride: Any, dilation: Any) -> Any:
    """Return for each axis how many zeros come before and after."""
    if padding == "same":
        if max(stride) > 1:
            raise ValueError(f"{name} with {padding=} takes stride 1, not {stride}")
        totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple((t // 2, t - t // 2) for t in totals)
    if padding == "valid":
        padding = 0
    if isinstance(padding, str):
        raise ValueError(f'{name} takes numbers, "same" or "valid", not {padding=}')
    return tuple((p, p) for p in per_axis("padding", padding, len(kernel), 0))


@overload
def conv_transpose1d(
    input: TensorLike, weight: Tensor, bias: TensorLike | None = None, stride: Sizes = 1,
    padding: Sizes = 0, output_padding: Sizes = 0, groups: int = 1, dilation: Sizes = 1,
) -> Tensor: ...  # fmt: skip
@overload
def conv_transpose1d(
    input: TensorT, weight: Array, bias: Array | None = None, stride: Sizes = 1,
    padding: Sizes = 0, output_padding: Sizes = 0, groups: int = 1, dilation: Sizes = 1,
) -> TensorT: ...  # fmt: skip
def conv_transpose1d(
    input: TensorLike, weight: TensorLike, bias: TensorLike | None = None, stride: Sizes = 1,
    padding: Sizes = 0, output_padding: Sizes = 0, groups: int = 1, dilation: Sizes = 1,
) -> TensorLike:  # fmt: skip
    """Return what `conv1d` with these filters and options sends back to its input, plus `bias`.

    Each element of `input` adds the filters, times itself, to the output, `stride` apart: signals
    become longer. It is the adjoint of `conv1d` (its transpose, written as a matrix), not its
    inverse: `sum(conv_transpose1d(x, w) * y) == sum(x * conv1d(y, w))`.

    Args:
        input: signals `(N, C, L)`, or one signal `(C, L)`.
        weight: filters `(C, O / groups, k)`, which `conv1d` would use from O channels to C.
        bias: `(O,)`, or None.
        stride: how many elements apart in the output two neighbours of `input` add their filters.
        padding: how many elements to leave out at both ends.
        output_padding: how many more elements there are at the end: with a stride above 1
            `conv1d` makes the same of several lengths, and this chooses which of them comes out.
            Must be below the stride or the dilation.
        groups: makes of C and of O this many groups, each for itself. Must divide C.
        dilation: how far apart in the output the elements of a filter come.

    Returns:
        A Tensor `(N, O, M)`, or `(O, M)` for one signal, where
        `M = (L - 1) * stride - 2 * padding + dilation * (k - 1) + output_padding + 1`; an array if
        all arguments are arrays.

    Raises:
        ValueError: if shapes do not fit, nothing would be left, or an option is none of the above.

    Zeiler et al. 2010, "Deconvolutional networks".

    >>> F.conv_transpose1d(np.ones((1, 1, 2)), np.ones((1, 1, 2)), stride=2)
    array([[[1., 1., 1., 1.]]])
    """
    options = stride, padding, output_padding, groups, dilation
    return _convolve_transposed(1, input, weight, bias, *options)


@overload
def conv_transpose2d(
    input: TensorLike, weight: Tensor, bias: TensorLike | None = None, stride: Sizes = 1,
    padding: Sizes = 0, output_padding: Sizes = 0, groups: int = 1, dilation: Sizes = 1,
) -> Tensor: ...  # fmt: skip
@overload
def conv_transpose2d(
    input: TensorT, weight: Array, bias: Array | None = None, stride: Sizes = 1,
    padding: Sizes = 0, output_padding: Sizes = 0, groups: int = 1, dilation: Sizes = 1,
) -> TensorT: ...  # fmt: skip
def conv_transpose2d(
    input: TensorLike, weight: TensorLike, bias: TensorLike | None = None, stride: Sizes = 1,
    padding: Sizes = 0, output_padding: Sizes = 0, groups: int = 1, dilation: Sizes = 1,
) -> TensorLike:  # fmt: skip
    """Return what `conv2d` with these filters and options sends back to its input, plus `bias`.

    Each element of `input` adds the filters, times itself, to the output, `stride` apart: images
    become larger. It is the adjoint of `conv2d` (its transpose, written as a matrix), not its
    inverse: `sum(conv_transpose2d(x, w) * y) == sum(x * conv2d(y, w))`.

    Args:
        input: images `(N, C, H, W)`, or one image `(C, H, W)`.
        weight: filters `(C, O / groups, k, l)`, which `conv2d` would use from O channels to C.
        bias: `(O,)`, or None.
        stride: how many elements apart in the output two neighbours of `input` add their filters;
            a number for both axes or a pair, as all that follows but `groups`.
        padding: how many elements to leave out at both ends of an axis.
        output_padding: how many more elements an axis has at its end: with a stride above 1
            `conv2d` makes the same of several sizes, and this chooses which of them comes out.
            Must be below the stride or the dilation.
        groups: makes of C and of O this many groups, each for itself. Must divide C.
        dilation: how far apart in the output the elements of a filter come.

    Returns:
        A Tensor `(N, O, P, Q)`, or `(O, P, Q)` for one image, where
        `P = (H - 1) * stride - 2 * padding + dilation * (k - 1) + output_padding + 1`, and Q
        likewise of W and l; an array if all arguments are arrays.

    Raises:
        ValueError: if shapes do not fit, nothing would be left, or an option is none of the above.

    Zeiler et al. 2010, "Deconvolutional networks".

    >>> F.conv_transpose2d(np.ones((1, 1, 1, 2)), np.ones((1, 1, 1, 2)), stride=2)
    array([[[[1., 1., 1., 1.]]]])
    """
    options = stride, padding, output_padding, groups, dilation
    return _convolve_transposed(2, input, weight, bias, *options)


def _convolve_transposed(axes: int, input: Any, weight: Any, bias: Any, *options: Any) -> Any:
    if input.ndim == axes + 1:
        return _convolve_transposed(axes, input[None], weight, bias, *options)[0]
    name = f"conv_transpose{axes}d"
    stride, padding, output_padding, groups, dilation = options
    outs = _output_channels(name, axes, input, weight, bias, groups, transposed=True)
    kernel, here = weight.shape[2:], input.shape[2:]
    stride = per_axis("stride", stride, axes, 1)
    dilation = per_axis("dilation", dilation, axes, 1)
    pads = tuple((p, p) for p in per_axis("padding", padding, axes, 0))
    extra = per_axis("output_padding", output_padding, axes, 0)
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        raise ValueError(f"output_padding {extra} must be below stride or dilation")
    along = zip(here, kernel, stride, dilation, pads, extra, strict=True)
    size = [(n - 1) * s - 2 * p + d * (k - 1) + e + 1 for n, k, s, d, (p, _), e in along]
    if min(size) < 1:
        raise ValueError(f"{padding=} leaves nothing of {input.shape}")
    x = _as_groups(batch_last(input), groups)
    cols = np.matmul(np.swapaxes(_as_groups(weight, groups), 1, 2), x)
    cols = cols.reshape((groups * cols.shape[1], x.shape[2]))
    windows = (kernel, stride, dilation, here, pads)
    out = fold(cols, shape=(input.shape[0], outs, *size), windows=windows)
    return out if bias is None else out + bias.reshape((-1,) + (1,) * axes)
