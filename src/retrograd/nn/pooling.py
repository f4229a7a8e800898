"""Pooling as modules; each applies the function of the same name."""

from __future__ import annotations

from retrograd.nn.functional.convolution import Sizes
from retrograd.nn.module import Applied


class _MaxPool(Applied):
    _shown = ("kernel_size", "stride", "padding", "dilation")

    def __init__(
        self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0,
        dilation: Sizes = 1,
    ) -> None:  # fmt: skip
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation


class MaxPool1d(_MaxPool):
    """The largest of each window of `(N, C, L)` or `(C, L)`.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.MaxPool1d(2)(rg.Tensor(np.ones((2, 3, 8)))).shape
    (2, 3, 4)
    """

    _name = "max_pool1d"


class MaxPool2d(_MaxPool):
    """The largest of each window of `(N, C, H, W)` or `(C, H, W)`.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.MaxPool2d(2)(rg.Tensor(np.ones((2, 3, 8, 6)))).shape
    (2, 3, 4, 3)
    """

    _name = "max_pool2d"


class _AvgPool(Applied):
    _shown = ("kernel_size", "stride", "padding", "count_include_pad")

    def __init__(
        self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0, *,
        count_include_pad: bool = True,
    ) -> None:  # fmt: skip
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.count_include_pad = padding, count_include_pad


class AvgPool1d(_AvgPool):
    """The mean of each window of `(N, C, L)` or `(C, L)`.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.AvgPool1d(2)(rg.Tensor(np.ones((2, 3, 8)))).shape
    (2, 3, 4)
    """

    _name = "avg_pool1d"


class AvgPool2d(_AvgPool):
    """The mean of each window of `(N, C, H, W)` or `(C, H, W)`.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.AvgPool2d(2)(rg.Tensor(np.ones((2, 3, 8, 6)))).shape
    (2, 3, 4, 3)
    """

    _name = "avg_pool2d"


class AdaptiveAvgPool1d(Applied):
    """Means of windows of `(N, C, L)` that leave `output_size` of them.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.AdaptiveAvgPool1d(3)(rg.Tensor(np.ones((2, 3, 8)))).shape
    (2, 3, 3)
    """

    _name, _shown = "adaptive_avg_pool1d", ("output_size",)

    def __init__(self, output_size: int | tuple[int | None, ...]) -> None:
        self.output_size = output_size


class AdaptiveAvgPool2d(AdaptiveAvgPool1d):
    """Means of windows of `(N, C, H, W)` that leave `output_size`, a length or two.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.AdaptiveAvgPool2d((1, 3))(rg.Tensor(np.ones((2, 3, 8, 6)))).shape
    (2, 3, 1, 3)
    """

    _name = "adaptive_avg_pool2d"
