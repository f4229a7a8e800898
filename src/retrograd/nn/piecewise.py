"""Activations of straight pieces as Modules: clipped, shrunk towards 0, or cut off at a threshold.

Each calls the function of `functional` that has its name. Input and output have one shape.
"""

from __future__ import annotations

from retrograd.engine import TensorT
from retrograd.nn import functional as F
from retrograd.nn.reprs import ShowsArguments


class ReLU6(ShowsArguments):
    """The input limited to the range from 0 to 6; the slope is 0 beyond.

    Args:
        inplace: Does nothing; it is there so that PyTorch's arguments fit.

    Shape:
        - input: any shape `(...)`.
        - output: the same shape.

    Howard et al. 2017, "MobileNets: efficient convolutional neural networks for mobile vision
    applications".

    >>> rg.nn.ReLU6()(rg.Tensor([-1.0, 2.0, 9.0]))
    Tensor([0., 2., 6.])
    """

    def __init__(self, inplace: bool = False) -> None: ...

    def forward(self, input: TensorT) -> TensorT:
        return F.relu6(input)


class Hardsigmoid(ShowsArguments):
    """A sigmoid of three straight pieces: `min(max(input + 3, 0), 6) / 6`, from 0 to 1.

    Args:
        inplace: Does nothing; it is there so that PyTorch's arguments fit.

    Shape:
        - input: any shape `(...)`.
        - output: the same shape.

    >>> rg.nn.Hardsigmoid()(rg.Tensor([-4.0, 0.0, 4.0]))
    Tensor([0. , 0.5, 1. ])
    """

    def __init__(self, inplace: bool = False) -> None: ...

    def forward(self, input: TensorT) -> TensorT:
        return F.hardsigmoid(input)


class Hardswish(ShowsArguments):
    """The input times its hard sigmoid: a `SiLU` without exponentials.

    Args:
        inplace: Does nothing; it is there so that PyTorch's arguments fit.

    Shape:
        - input: any shape `(...)`.
        - output: the same shape.

    Howard et al. 2019, "Searching for MobileNetV3".

    >>> rg.nn.Hardswish()(rg.Tensor([0.0, 1.0, 4.0])).round(4)
    Tensor([0.    , 0.6667, 4.    ])
    """

    def __init__(self, inplace: bool = False) -> None: ...

    def forward(self, input: TensorT) -> TensorT:
        return F.hardswish(input)


class Hardshrink(ShowsArguments):
    """The input where it is further from 0 than `lambd`, elsewhere 0.

    Args:
        lambd: Up to where elements become 0, and their slope too (default 0.5).

    Shape:
        - input: any shape `(...)`.
        - output: the same shape.

    >>> rg.nn.Hardshrink()(rg.Tensor([-2.0, 0.5, 2.0]))
    Tensor([-2.,  0.,  2.])
    """

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = lambd

    def forward(self, input: TensorT) -> TensorT:
        return F.hardshrink(input, self.lambd)


class Softshrink(ShowsArguments):
    """The input moved towards 0 by `lambd`, and 0 where it comes to the other side.

    Args:
        lambd: By how much, from 0 (default 0.5).

    Shape:
        - input: any shape `(...)`.
        - output: the same shape.

    Raises:
        ValueError: when called, if `lambd` is negative.

    >>> rg.nn.Softshrink()(rg.Tensor([-2.0, 0.5, 2.0]))
    Tensor([-1.5,  0. ,  1.5])
    """

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = lambd

    def forward(self, input: TensorT) -> TensorT:
        return F.softshrink(input, self.lambd)


class Tanhshrink(ShowsArguments):
    """The input less its tanh: flat at 0, and steep far from it.

    Shape:
        - input: any shape `(...)`.
        - output: the same shape.

    >>> rg.nn.Tanhshrink()(rg.Tensor([0.0, 1.0])).round(4)
    Tensor([0.    , 0.2384])
    """

    def forward(self, input: TensorT) -> TensorT:
        return F.tanhshrink(input)


class Threshold(ShowsArguments):
    """The input where it is above a threshold, elsewhere another value, of slope 0.

    Args:
        threshold: Above which elements stay as they are.
        value: What the others become.
        inplace: Does nothing; it is there so that PyTorch's arguments fit.

    Shape:
        - input: any shape `(...)`.
        - output: the same shape.

    >>> rg.nn.Threshold(1.0, -1.0)(rg.Tensor([0.5, 2.0]))
    Tensor([-1.,  2.])
    """

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        self.threshold, self.value = threshold, value

    def forward(self, input: TensorT) -> TensorT:
        return F.threshold(input, self.threshold, self.value)
