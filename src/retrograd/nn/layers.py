"""Layers: each is a few lines over `nn.functional`."""

from __future__ import annotations

import math
from typing import Any

from retrograd.core import Tensor
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
        at_least_1("Linear", in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        self.weight = new_parameter((out_features, in_features), dtype)
        self.bias = new_parameter((out_features,), dtype) if bias else None
        init_affine(self.weight, self.bias, rng)

    def forward(self, input: Any) -> Any:
        """Apply the affine map."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"


def at_least_1(name: str, **sizes: Any) -> None:
    """Raise ValueError for a size that is not a whole number of at least 1."""
    for what, value in sizes.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} takes {what} of at least 1, not {value!r}")


def init_affine(weight: Tensor, bias: Tensor | None, rng: RngLike) -> None:
    """Draw a weight as kaiming_uniform with a = sqrt(5), a bias within 1 / sqrt(fan in)."""
    rng = generator(rng)
    init.kaiming_uniform_(weight, a=math.sqrt(5), rng=rng)
    if bias is not None:
        bound = 1 / math.sqrt(init.fans(weight)[0])
        init.uniform_(bias, -bound, bound, rng)


class Embedding(Module):
    """A table of vectors: numbers `(...)` below `num_embeddings` to `(..., embedding_dim)`.

    `weight` is `(num_embeddings, embedding_dim)`, normal; the row `padding_idx` starts at 0 and
    gets no gradient.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.Embedding(10, 3)(np.array([[1, 2], [4, 5]])).shape
    (2, 2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        dtype: Any = None,
        rng: RngLike = None,
    ) -> None:
        at_least_1("Embedding", num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ValueError(f"padding_idx {padding_idx} is not one of {num_embeddings} rows")
            padding_idx %= num_embeddings
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = padding_idx
        self.weight = init.normal_(new_parameter((num_embeddings, embedding_dim), dtype), rng=rng)
        if padding_idx is not None:
            self.weight._data[padding_idx] = 0

    def forward(self, input: Any) -> Any:
        """Look up the rows."""
        return F.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


class Identity(Module):
    """The input itself; whatever it is made with is ignored.

    >>> import retrograd as rg
    >>> rg.nn.Identity(54, unused=True)(rg.Tensor([1.0]))
    Tensor([1.])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def forward(self, input: Any) -> Any:
        """Return the input."""
        return input


class Flatten(Module):
    """Make one axis of those from `start_axis` to `end_axis`; the first stays as the batch.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.Flatten()(rg.Tensor(np.ones((2, 3, 4)))).shape
    (2, 12)
    """

    _shown = ("start_axis", "end_axis")

    def __init__(self, start_axis: int = 1, end_axis: int = -1) -> None:
        self.start_axis, self.end_axis = start_axis, end_axis

    def forward(self, input: Any) -> Any:
        """Apply `functional.flatten`."""
        return F.flatten(input, self.start_axis, self.end_axis)


class Unflatten(Module):
    """Make several axes of the one at `axis`; one length may be -1.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.Unflatten(1, (3, -1))(rg.Tensor(np.ones((2, 12)))).shape
    (2, 3, 4)
    """

    _shown = ("axis", "unflattened_size")

    def __init__(self, axis: int, unflattened_size: tuple[int, ...] | list[int]) -> None:
        self.axis, self.unflattened_size = axis, tuple(unflattened_size)

    def forward(self, input: Any) -> Any:
        """Apply `functional.unflatten`."""
        return F.unflatten(input, self.axis, self.unflattened_size)


class Dropout(Module):
    """In training, set elements to zero with probability `p` and scale up the others.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.Dropout(0.5).eval()(rg.Tensor([1.0, 1.0]))
    Tensor([1., 1.])
    """

    _shown = ("p",)

    def __init__(self, p: float = 0.5, rng: RngLike = None) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout takes a probability p from 0 to 1, not {p}")
        self.p = p
        self.rng = rng if rng is None else generator(rng)

    def forward(self, input: Any) -> Any:
        """Apply `functional.dropout`."""
        return F.dropout(input, self.p, self.training, self.rng)
