"""Layers: each is a few lines over `nn.functional`."""

from __future__ import annotations

import math
from typing import Any

from retrograd.core import Tensor, wrap
from retrograd.core import as_array as _as_array
from retrograd.nn import functional as F
from retrograd.nn import init
from retrograd.nn.module import Module, new_parameter
from retrograd.random import RngLike, generator


class Linear(Module):
    """`input @ weight.T + bias`: `(..., in_features)` to `(..., out_features)`.

    `weight` is `(out_features, in_features)`, kaiming_uniform with a = sqrt(5); `bias` is
    uniform within 1 / sqrt(in_features).

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.Linear(3, 2)(np.ones((5, 3))).shape
    (5, 2)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        dtype: Any = None,
        rng: RngLike = None,
    ) -> None:
        for name, value in (("in_features", in_features), ("out_features", out_features)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"Linear takes {name} of at least 1, not {value!r}")
        rng = generator(rng)
        self.in_features, self.out_features = in_features, out_features
        self.weight = new_parameter((out_features, in_features), dtype)
        init.kaiming_uniform_(self.weight, a=math.sqrt(5), rng=rng)
        self.bias = None
        if bias:
            self.bias = new_parameter((out_features,), dtype)
            bound = 1 / math.sqrt(in_features)
            init.uniform_(self.bias, -bound, bound, rng)

    def forward(self, input: Any) -> Tensor:
        """Apply the affine map."""
        if self.bias is None:
            return F.linear(input, self.weight)
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"


class ReLU(Module):
    """The larger of the input and 0.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.ReLU()(rg.Tensor([-1.0, 2.0]))
    Tensor([0., 2.])
    """

    def forward(self, input: Any) -> Tensor:
        """Apply `functional.relu`."""
        return F.relu(input)


class Sigmoid(Module):
    """`1 / (1 + exp(-input))`."""

    def forward(self, input: Any) -> Tensor:
        """Apply `functional.sigmoid`."""
        return F.sigmoid(input)


class Tanh(Module):
    """The hyperbolic tangent."""

    def forward(self, input: Any) -> Tensor:
        """Apply `np.tanh`."""
        return F.tanh(input)


class Softmax(Module):
    """Exponentials that sum to 1 over `axis`."""

    def __init__(self, axis: int = -1) -> None:
        self.axis = axis

    def forward(self, input: Any) -> Tensor:
        """Apply `functional.softmax`."""
        return F.softmax(input, axis=self.axis)

    def extra_repr(self) -> str:
        return f"axis={self.axis}"


class LogSoftmax(Softmax):
    """The logarithm of the softmax over `axis`."""

    def forward(self, input: Any) -> Tensor:
        """Apply `functional.log_softmax`."""
        return F.log_softmax(input, axis=self.axis)


class Flatten(Module):
    """Make one axis of those from `start_axis` to `end_axis`; the first stays as the batch."""

    def __init__(self, start_axis: int = 1, end_axis: int = -1) -> None:
        self.start_axis, self.end_axis = start_axis, end_axis

    def forward(self, input: Any) -> Tensor:
        """Apply `functional.flatten`."""
        return F.flatten(input, self.start_axis, self.end_axis)

    def extra_repr(self) -> str:
        return f"start_axis={self.start_axis}, end_axis={self.end_axis}"


class Dropout(Module):
    """In training, set elements to zero with probability `p` and scale up the others.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.Dropout(0.5).eval()(rg.Tensor([1.0, 1.0]))
    Tensor([1., 1.])
    """

    def __init__(self, p: float = 0.5, rng: RngLike = None) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout takes a probability p from 0 to 1, not {p}")
        self.p = p
        self.rng = generator(rng)

    def forward(self, input: Any) -> Tensor:
        """Apply `functional.dropout`."""
        return F.dropout(input, self.p, self.training, self.rng)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Sequential(Module):
    """Modules applied one after another, named "0", "1", ... in the state_dict.

    >>> import retrograd as rg
    >>> rg.nn.Sequential(rg.nn.Linear(2, 4), rg.nn.ReLU())
    Sequential(
      (0): Linear(2, 4, bias=True)
      (1): ReLU()
    )
    """

    def __init__(self, *modules: Module) -> None:
        for i, module in enumerate(modules):
            if not isinstance(module, Module):
                raise TypeError(f"Sequential takes Modules, argument {i} is {module!r}")
            setattr(self, str(i), module)
        self._order = modules

    def forward(self, input: Any) -> Any:
        """Apply the modules in order."""
        for module in self._order:
            input = module(input)
        return input

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: int) -> Module:
        return self._order[index]
