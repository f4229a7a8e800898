"""Fourier transforms, `np.fft`: linear functions, whose gradients are transforms back.

A transform of length n multiplies with the matrix `exp(-2j * pi * j * k / n)`, and its inverse with
the conjugate over n. So the gradient of one is the other, scaled as `norm` does it the other way
round. The transforms of several axes are those of one axis after the other.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from retrograd.engine import adapted, composed, defvjp
from retrograd.rules.axes import conjugate, is_complex, to_array

# What undoes the scale of a norm: that of the inverse without its own.
_SCALED_BACK: dict[Any, Any] = {
    None: "forward",
    "backward": "forward",
    "forward": "backward",
    "ortho": "ortho",
}


def _resized(g: Any, n: int, axis: int) -> Any:
    """Return the gradient of an axis that had length `n` before it was cut or filled."""
    length = g.shape[axis]
    if length > n:
        return np.take(g, np.arange(n), axis=axis)
    if length < n:
        widths = [(0, 0)] * g.ndim
        widths[axis] = (0, n - length)
        return np.pad(g, widths)
    return g


def _weigh_inner(g: Any, n: int, axis: int, weight: float) -> Any:
    """Weigh what stands for two: all frequencies but 0 and, of an even length `n`, n / 2."""
    size = g.shape[axis]
    weights = np.full(size, weight, g.real.dtype)
    weights[:1] = 1.0
    if n % 2 == 0 and size == n // 2 + 1:
        weights[-1] = 1.0
    shape = [1] * g.ndim
    shape[axis] = size
    return g * weights.reshape(shape)


def _fft_da(g: Any, out: Any, a: Any, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
    back = np.fft.ifft(g, axis=axis, norm=_SCALED_BACK[norm])
    return _resized(back, a.shape[axis], axis)


def _ifft_da(g: Any, out: Any, a: Any, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
    back = np.fft.fft(g, axis=axis, norm=_SCALED_BACK[norm])
    return _resized(back, a.shape[axis], axis)


def _rfft_da(g: Any, out: Any, a: Any, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
    length = a.shape[axis] if n is None else n
    halves = _weigh_inner(g, length, axis, 0.5)
    back = np.fft.irfft(halves, length, axis=axis, norm=_SCALED_BACK[norm])
    return _resized(back, a.shape[axis], axis)


def _irfft_da(g: Any, out: Any, a: Any, n: Any = None, axis: int = -1, norm: Any = None) -> Any:
    length = out.shape[axis]
    back = np.fft.rfft(g, axis=axis, norm=_SCALED_BACK[norm])
    found = _resized(_weigh_inner(back, length, axis, 2.0), a.shape[axis], axis)
    return found if is_complex(a) else np.real(found)


defvjp(np.fft.fft, _fft_da, analytic=False)
defvjp(np.fft.ifft, _ifft_da, analytic=False)
defvjp(np.fft.rfft, _rfft_da, analytic=False)
defvjp(np.fft.irfft, _irfft_da)


@composed(np.fft.hfft)
def _hfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    n = (a.shape[axis] - 1) * 2 if n is None else n
    return np.fft.irfft(conjugate(a), n, axis=axis, norm=_SCALED_BACK[norm])


@composed(np.fft.ihfft)
def _ihfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    return conjugate(np.fft.rfft(a, n, axis=axis, norm=_SCALED_BACK[norm]))


# Of several axes


def _lengths(a: Any, s: Any, axes: Any) -> tuple[list[int], list[int]]:
    """Return the axes to transform, and the length of each before that."""
    if axes is None:
        axes = range(a.ndim) if s is None else range(-len(s), 0)
    axes = [int(axis) for axis in axes]
    if s is None:
        return axes, [a.shape[axis] for axis in axes]
    if len(s) != len(axes):
        raise ValueError(f"Fourier transform: {len(s)} lengths for {len(axes)} axes")
    return axes, [a.shape[axis] if n == -1 else int(n) for n, axis in zip(s, axes, strict=True)]


def _one_by_one(
    fn: Callable[..., Any], a: Any, axes: Sequence[int], lengths: Sequence[int], norm: Any
) -> Any:
    for axis, n in zip(reversed(axes), reversed(lengths), strict=True):
        a = fn(a, n, axis=axis, norm=norm)
    return a


def _transform(fn: Callable[..., Any]) -> Callable[..., Any]:
    def transform(
        a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None
    ) -> Any:
        axes, lengths = _lengths(a, s, axes)
        return _one_by_one(fn, a, axes, lengths, norm)

    return transform


@composed(np.fft.rfftn)
def _rfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    axes, lengths = _lengths(a, s, axes)
    half = np.fft.rfft(a, lengths[-1], axis=axes[-1], norm=norm)
    return _one_by_one(np.fft.fft, half, axes[:-1], lengths[:-1], norm)


@composed(np.fft.irfftn)
def _irfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    last_is_open = s is None or s[-1] == -1
    axes, lengths = _lengths(a, s, axes)
    n = (a.shape[axes[-1]] - 1) * 2 if last_is_open else lengths[-1]
    for axis, length in zip(axes[:-1], lengths[:-1], strict=True):
        a = np.fft.ifft(a, length, axis=axis, norm=norm)
    return np.fft.irfft(a, n, axis=axes[-1], norm=norm)


composed(np.fft.fftn)(_transform(np.fft.fft))
composed(np.fft.ifftn)(_transform(np.fft.ifft))
for _two, _several in ((np.fft.fft2, np.fft.fftn), (np.fft.ifft2, np.fft.ifftn),
                       (np.fft.rfft2, np.fft.rfftn), (np.fft.irfft2, np.fft.irfftn)):  # fmt: skip

    def _of_two(
        a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None,
        fn: Callable[..., Any] = _several,
    ) -> Any:  # fmt: skip
        return fn(a, s, axes, norm)

    adapted(_two)(_of_two)


def _shift_by(sign: int) -> Callable[..., Any]:
    def shift(x: Any, axes: Any = None) -> Any:
        x = to_array(x)
        if axes is None:
            axes = tuple(range(x.ndim))
        axes = (axes,) if isinstance(axes, int) else tuple(axes)
        return np.roll(x, tuple(sign * (x.shape[axis] // 2) for axis in axes), axis=axes)

    return shift


composed(np.fft.fftshift)(_shift_by(1))
composed(np.fft.ifftshift)(_shift_by(-1))
