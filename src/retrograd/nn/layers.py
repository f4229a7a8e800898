"""Layers that stand for themselves: affine maps, tables of vectors, dropout, other shapes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from retrograd.checks import check_device, check_probability, check_sizes
from retrograd.engine import Tensor, TensorLike, TensorT
from retrograd.nn import functional as F
from retrograd.nn.init import fans, normal_, uniform_
from retrograd.nn.module import Module
from retrograd.nn.parameter import new_parameter
from retrograd.nn.reprs import ShowsArguments
from retrograd.random import RngLike, generator

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


def init_affine(weight: Tensor, bias: Tensor | None, rng: RngLike) -> None:
    """Draw a weight and a bias uniformly within 1 / sqrt(fan in).

    That is what PyTorch does: for the weight it is `kaiming_uniform_` with `a=sqrt(5)`.
    """
    rng, bound = generator(rng), 1 / math.sqrt(fans(weight)[0])
    uniform_(weight, -bound, bound, rng)
    if bias is not None:
        uniform_(bias, -bound, bound, rng)


def generator_to_keep(rng: RngLike) -> RngLike:
    """Return the Generator that a layer draws from, or None: the default one of each moment."""
    return rng if rng is None else generator(rng)


class Linear(Module):
    """An affine map of the last axis: `input @ weight.T + bias`.

    Args:
        in_features: Length of the last axis of the input.
        out_features: Length of the last axis of the output.
        bias: Whether a bias is added (default True).
        device: None or "cpu": there is no other device.
        dtype: Floating dtype of the parameters; by default that of `rg.get_default_dtype()`.
        rng: Generator or seed for the initial values; by default the generator that
            `rg.manual_seed` seeds.

    Shape:
        - input: `(..., in_features)`.
        - output: `(..., out_features)`.

    Attributes:
        weight: Parameter `(out_features, in_features)`, at first uniform within
            `1 / sqrt(in_features)` of 0.
        bias: Parameter `(out_features,)`, at first drawn like `weight`; None without `bias`.

    Raises:
        ValueError: if a size is no whole number of at least 1; when called, if the last axis of the
            input is not `in_features` long.

    >>> layer = rg.nn.Linear(3, 2)
    >>> layer
    Linear(3, 2, bias=True)
    >>> layer(np.ones((5, 3))).shape
    (5, 2)
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True,
        device: str | None = None, dtype: DTypeLike | None = None, rng: RngLike = None,
    ) -> None:  # fmt: skip
        check_device(type(self).__name__, device)
        check_sizes(type(self).__name__, in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        self.weight = new_parameter((out_features, in_features), dtype)
        self.bias = new_parameter((out_features,), dtype) if bias else None
        init_affine(self.weight, self.bias, rng)

    def forward(self, input: TensorLike) -> Tensor:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"


class Embedding(ShowsArguments):
    """A table of vectors, looked up by row number: for words, categories and other names.

    Args:
        num_embeddings: Number of rows.
        embedding_dim: Length of each vector.
        padding_idx: A row that starts at 0 and gets no gradient, so that it stays there; negative
            numbers count from the end. By default there is none.
        device: None or "cpu": there is no other device.
        dtype: Floating dtype of `weight`; by default that of `rg.get_default_dtype()`.
        rng: Generator or seed for the initial values; by default the generator that
            `rg.manual_seed` seeds.

    Shape:
        - input: integers `(...)`, from 0 to `num_embeddings - 1`.
        - output: `(..., embedding_dim)`.

    Attributes:
        weight: Parameter `(num_embeddings, embedding_dim)`, at first drawn from the standard normal
            distribution, but 0 in the row `padding_idx`.
        padding_idx: The row as a number from 0, or None.

    Raises:
        ValueError: if a size is no whole number of at least 1, or `padding_idx` is no row.
        TypeError: when called, if the input does not hold integers.
        IndexError: when called, if a number is no row.

    >>> layer = rg.nn.Embedding(10, 3, padding_idx=0)
    >>> layer(np.array([[1, 2], [4, 5]])).shape
    (2, 2, 3)
    >>> layer(np.array([0])).data
    array([[0., 0., 0.]])
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None,
        device: str | None = None, dtype: DTypeLike | None = None, rng: RngLike = None,
    ) -> None:  # fmt: skip
        name = type(self).__name__
        check_device(name, device)
        check_sizes(name, num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = padding_idx
        self.weight = new_parameter((num_embeddings, embedding_dim), dtype)
        normal_(self.weight, rng=rng)
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ValueError(f"padding_idx {padding_idx} is not one of {num_embeddings} rows")
            self.padding_idx = padding_idx % num_embeddings
            self.weight._array[padding_idx] = 0

    def forward(self, input: TensorLike) -> Tensor:
        return F.embedding(input, self.weight, self.padding_idx)


class Identity(Module):
    """The input itself: what stands where a layer is left out.

    Args:
        *args: Ignored, so that it can be made with the arguments of the layer that is left out.
        **kwargs: Ignored too.

    Shape:
        - input: anything.
        - output: the input.

    >>> rg.nn.Identity(54, unused=True)(rg.Tensor([1.0]))
    Tensor([1.])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def forward(self, input: TensorT) -> TensorT:
        return input


class Flatten(ShowsArguments):
    """Several axes made one, by default all but the first, which stays as the batch.

    Args:
        start_axis: The first of them (default 1).
        end_axis: The last of them (default -1, the last there is).

    Shape:
        - input: `(N, A, B, ...)`.
        - output: `(N, A * B * ...)`; with other axes, those from `start_axis` to `end_axis` as one.

    Raises:
        ValueError: when called, if `end_axis` is before `start_axis`.

    >>> rg.nn.Flatten()(np.ones((2, 3, 4))).shape
    (2, 12)
    >>> rg.nn.Flatten(0, 1)(np.ones((2, 3, 4))).shape
    (6, 4)
    """

    def __init__(self, start_axis: int = 1, end_axis: int = -1) -> None:
        self.start_axis, self.end_axis = start_axis, end_axis

    def forward(self, input: TensorT) -> TensorT:
        return F.flatten(input, self.start_axis, self.end_axis)


class Unflatten(ShowsArguments):
    """One axis made several: the way back from `Flatten`.

    Args:
        axis: Which axis; negative numbers count from the end.
        unflattened_size: The lengths of the new axes, of which one may be -1: what is left.

    Shape:
        - input: `(..., L, ...)` with L at `axis`.
        - output: `(..., *unflattened_size, ...)`.

    Raises:
        ValueError: when called, if the product of the lengths is not that of the axis.

    >>> rg.nn.Unflatten(1, (3, -1))(np.ones((2, 12))).shape
    (2, 3, 4)
    """

    def __init__(self, axis: int, unflattened_size: tuple[int, ...] | list[int]) -> None:
        self.axis, self.unflattened_size = axis, tuple(unflattened_size)

    def forward(self, input: TensorT) -> TensorT:
        return F.unflatten(input, self.axis, self.unflattened_size)


class Dropout(ShowsArguments):
    """In training each element is set to 0 with probability `p`, the others are scaled up.

    They are multiplied by `1 / (1 - p)`, so that the expected value stays. In evaluation (see
    `eval`) the input passes as it is.

    Args:
        p: The probability, from 0 to 1 (default 0.5).
        inplace: Does nothing; it is there so that PyTorch's arguments fit.
        rng: Generator to draw from, or a seed for one of this layer's own; by default the generator
            that `rg.manual_seed` seeds.

    Shape:
        - input: any shape `(...)`.
        - output: the same shape.

    Raises:
        ValueError: if `p` is not from 0 to 1.

    Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting".

    >>> layer = rg.nn.Dropout(0.5, rng=0)
    >>> layer(rg.Tensor(np.ones(6)))
    Tensor([2., 0., 0., 0., 2., 2.])
    >>> layer.eval()(rg.Tensor(np.ones(6)))
    Tensor([1., 1., 1., 1., 1., 1.])
    """

    def __init__(self, p: float = 0.5, inplace: bool = False, rng: RngLike = None) -> None:
        check_probability(type(self).__name__, p)
        self.p, self.rng = p, generator_to_keep(rng)

    def forward(self, input: TensorT) -> TensorT:
        return F.dropout(input, self.p, self.training, rng=self.rng)
