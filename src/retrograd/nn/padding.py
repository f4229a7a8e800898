"""Padding as Modules: signals and images get further elements at their ends."""

from __future__ import annotations

from collections.abc import Sequence

from retrograd.checks import ensure
from retrograd.engine import TensorT
from retrograd.nn import functional as F
from retrograd.nn.reprs import ShowsArguments


class _Pad(ShowsArguments):
    """What pads inputs of `_axes` axes behind the channels, in one of the modes of `F.pad`."""

    _axes: int
    _mode = "constant"
    padding: tuple[int, ...]

    def __init__(self, padding: int | Sequence[int]) -> None:
        ends = 2 * self._axes
        self.padding = (padding,) * ends if isinstance(padding, int) else tuple(padding)
        wanted = f"a whole number or {ends} of them"
        ensure(len(self.padding) == ends, "padding", wanted, padding, type(self).__name__)

    def forward(self, input: TensorT) -> TensorT:
        ensure(
            input.ndim - self._axes in (1, 2), "input",
            f"of {self._axes + 1} or {self._axes + 2} axes", input.shape, type(self).__name__,
        )  # fmt: skip
        return F.pad(input, self.padding, self._mode, self._value())

    def _value(self) -> float:
        """Return what is put there, where that is the same everywhere."""
        return 0.0


class _ConstantPad(_Pad):
    """What pads with one number."""

    def __init__(self, padding: int | Sequence[int], value: float) -> None:
        super().__init__(padding)
        self.value = value

    def _value(self) -> float:
        return self.value


class ConstantPad1d(_ConstantPad):
    """Makes signals larger, with one number at their ends.

    Args:
        padding: How many elements are put on both sides, or a pair (before, after).
            Negative numbers cut off.
        value: The number.

    Shape:
        - input: `(N, C, L)` or `(C, L)`.
        - output: `(N, C, L + before + after)` or `(C, L + before + after)`.

    Raises:
        ValueError: if `padding` is neither; when called, for another number of axes.

    >>> rg.nn.ConstantPad1d((2, 1), 9.0)(np.array([[1.0, 2.0, 3.0]]))
    array([[9., 9., 1., 2., 3., 9.]])
    """

    _axes = 1


class ConstantPad2d(_ConstantPad):
    """Makes images larger, with one number at their ends.

    Args:
        padding: How many elements are put on all sides, or four numbers (left, right, top, bottom).
            Negative numbers cut off.
        value: The number.

    Shape:
        - input: `(N, C, H, W)` or `(C, H, W)`.
        - output: `(N, C, H + top + bottom, W + left + right)`, or without N.

    Raises:
        ValueError: if `padding` is neither; when called, for another number of axes.

    >>> rg.nn.ConstantPad2d((1, 1, 2, 0), 9.0)(np.ones((1, 3, 4))).shape
    (1, 5, 6)
    """

    _axes = 2


class ZeroPad1d(_Pad):
    """Makes signals larger, with zeros at their ends.

    Args:
        padding: How many elements are put on both sides, or a pair (before, after).
            Negative numbers cut off.

    Shape:
        - input: `(N, C, L)` or `(C, L)`.
        - output: `(N, C, L + before + after)` or `(C, L + before + after)`.

    Raises:
        ValueError: if `padding` is neither; when called, for another number of axes.

    >>> rg.nn.ZeroPad1d((2, 1))(np.array([[1.0, 2.0, 3.0]]))
    array([[0., 0., 1., 2., 3., 0.]])
    """

    _axes = 1


class ZeroPad2d(_Pad):
    """Makes images larger, with zeros at their ends.

    Args:
        padding: How many elements are put on all sides, or four numbers (left, right, top, bottom).
            Negative numbers cut off.

    Shape:
        - input: `(N, C, H, W)` or `(C, H, W)`.
        - output: `(N, C, H + top + bottom, W + left + right)`, or without N.

    Raises:
        ValueError: if `padding` is neither; when called, for another number of axes.

    >>> rg.nn.ZeroPad2d((1, 1, 2, 0))(np.ones((1, 3, 4))).shape
    (1, 5, 6)
    """

    _axes = 2


class ReflectionPad1d(_Pad):
    """Makes signals larger, with what lies mirrored at their ends.

    They are mirrored at their outermost elements, which are not repeated.

    Args:
        padding: How many elements are put on both sides, or a pair (before, after).
            Negative numbers cut off.

    Shape:
        - input: `(N, C, L)` or `(C, L)`.
        - output: `(N, C, L + before + after)` or `(C, L + before + after)`.

    Raises:
        ValueError: if `padding` is neither; when called, for another number of axes, or if an axis
            is too short: the padding must be below its length.

    >>> rg.nn.ReflectionPad1d((2, 1))(np.array([[1.0, 2.0, 3.0]]))
    array([[3., 2., 1., 2., 3., 2.]])
    """

    _axes = 1
    _mode = "reflect"


class ReflectionPad2d(_Pad):
    """Makes images larger, with what lies mirrored at their ends.

    They are mirrored at their outermost elements, which are not repeated.

    Args:
        padding: How many elements are put on all sides, or four numbers (left, right, top, bottom).
            Negative numbers cut off.

    Shape:
        - input: `(N, C, H, W)` or `(C, H, W)`.
        - output: `(N, C, H + top + bottom, W + left + right)`, or without N.

    Raises:
        ValueError: if `padding` is neither; when called, for another number of axes, or if an axis
            is too short: the padding must be below its length.

    >>> rg.nn.ReflectionPad2d((1, 1, 2, 0))(np.ones((1, 3, 4))).shape
    (1, 5, 6)
    """

    _axes = 2
    _mode = "reflect"


class ReplicationPad1d(_Pad):
    """Makes signals larger, with their outermost elements at their ends.

    Args:
        padding: How many elements are put on both sides, or a pair (before, after).
            Negative numbers cut off.

    Shape:
        - input: `(N, C, L)` or `(C, L)`.
        - output: `(N, C, L + before + after)` or `(C, L + before + after)`.

    Raises:
        ValueError: if `padding` is neither; when called, for another number of axes.

    >>> rg.nn.ReplicationPad1d((2, 1))(np.array([[1.0, 2.0, 3.0]]))
    array([[1., 1., 1., 2., 3., 3.]])
    """

    _axes = 1
    _mode = "replicate"


class ReplicationPad2d(_Pad):
    """Makes images larger, with their outermost elements at their ends.

    Args:
        padding: How many elements are put on all sides, or four numbers (left, right, top, bottom).
            Negative numbers cut off.

    Shape:
        - input: `(N, C, H, W)` or `(C, H, W)`.
        - output: `(N, C, H + top + bottom, W + left + right)`, or without N.

    Raises:
        ValueError: if `padding` is neither; when called, for another number of axes.

    >>> rg.nn.ReplicationPad2d((1, 1, 2, 0))(np.ones((1, 3, 4))).shape
    (1, 5, 6)
    """

    _axes = 2
    _mode = "replicate"


class CircularPad1d(_Pad):
    """Makes signals larger, with their other ends at their ends.

    So they go on as if they were a circle.

    Args:
        padding: How many elements are put on both sides, or a pair (before, after).
            Negative numbers cut off.

    Shape:
        - input: `(N, C, L)` or `(C, L)`.
        - output: `(N, C, L + before + after)` or `(C, L + before + after)`.

    Raises:
        ValueError: if `padding` is neither; when called, for another number of axes, or if an axis
            is too short: the padding must be at most its length.

    >>> rg.nn.CircularPad1d((2, 1))(np.array([[1.0, 2.0, 3.0]]))
    array([[2., 3., 1., 2., 3., 1.]])
    """

    _axes = 1
    _mode = "circular"


class CircularPad2d(_Pad):
    """Makes images larger, with their other ends at their ends.

    So they go on as if they were a torus.

    Args:
        padding: How many elements are put on all sides, or four numbers (left, right, top, bottom).
            Negative numbers cut off.

    Shape:
        - input: `(N, C, H, W)` or `(C, H, W)`.
        - output: `(N, C, H + top + bottom, W + left + right)`, or without N.

    Raises:
        ValueError: if `padding` is neither; when called, for another number of axes, or if an axis
            is too short: the padding must be at most its length.

    >>> rg.nn.CircularPad2d((1, 1, 2, 0))(np.ones((1, 3, 4))).shape
    (1, 5, 6)
    """

    _axes = 2
    _mode = "circular"
