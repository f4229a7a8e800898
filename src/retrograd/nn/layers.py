"""Layers that stand for themselves: maps with weights, tables of vectors, other shapes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Self

from retrograd.checks import check_device, check_sizes
from retrograd.engine import Tensor, TensorLike, TensorT, as_array
from retrograd.engine.tensor import check_detached
from retrograd.nn import functional as F

# by name: a package that loads names later answers for each attribute more slowly
from retrograd.nn.functional import (
    bilinear,
    embedding,
    flatten,
    linear,
    unflatten,
)
from retrograd.nn.init import fans, normal_, uniform_
from retrograd.nn.module import Module
from retrograd.nn.parameter import Parameter, new_parameter
from retrograd.nn.reprs import ShowsArguments
from retrograd.random import RngLike, generator

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike


def init_affine(weight: Tensor, bias: Tensor | None, rng: RngLike) -> None:
    """Draw a weight and a bias uniformly within 1 / sqrt(fan in).

    That is what PyTorch does: for the weight it is `kaiming_uniform_` with `a=sqrt(5)`.
    """
    rng, bound = generator(rng), 1 / math.sqrt(fans(weight)[0])
    uniform_(weight, -bound, bound, rng)
    if bias is not None:
        uniform_(bias, -bound, bound, rng)


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
        return linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"


class Bilinear(ShowsArguments):
    """A form in two inputs: `input1 @ weight[o] @ input2 + bias[o]` for each output o.

    Args:
        in1_features: Length of the last axis of the first input.
        in2_features: Length of the last axis of the second input.
        out_features: Length of the last axis of the output.
        bias: Whether a bias is added (default True).
        device: None or "cpu": there is no other device.
        dtype: Floating dtype of the parameters; by default that of `rg.get_default_dtype()`.
        rng: Generator or seed for the initial values; by default the generator that
            `rg.manual_seed` seeds.

    Shape:
        - input1: `(..., in1_features)`.
        - input2: `(..., in2_features)`, the other axes as those of input1.
        - output: `(..., out_features)`.

    Attributes:
        weight: Parameter `(out_features, in1_features, in2_features)`, at first uniform within
            `1 / sqrt(in1_features)` of 0.
        bias: Parameter `(out_features,)`, at first drawn like `weight`; None without `bias`.

    Raises:
        ValueError: if a size is no whole number of at least 1; when called, if shapes do not fit.

    >>> rg.nn.Bilinear(2, 3, 4)(np.ones((5, 2)), np.ones((5, 3))).shape
    (5, 4)
    """

    def __init__(
        self, in1_features: int, in2_features: int, out_features: int, bias: bool = True,
        device: str | None = None, dtype: DTypeLike | None = None, rng: RngLike = None,
    ) -> None:  # fmt: skip
        name = type(self).__name__
        check_device(name, device)
        check_sizes(name, in1_features=in1_features, in2_features=in2_features)
        check_sizes(name, out_features=out_features)
        self.in1_features, self.in2_features = in1_features, in2_features
        self.out_features = out_features
        self.weight = new_parameter((out_features, in1_features, in2_features), dtype)
        self.bias = new_parameter((out_features,), dtype) if bias else None
        rng, bound = generator(rng), 1 / math.sqrt(in1_features)
        uniform_(self.weight, -bound, bound, rng)
        if self.bias is not None:
            uniform_(self.bias, -bound, bound, rng)

    def forward(self, input1: TensorLike, input2: TensorLike) -> Tensor:
        return bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, bias={self.bias is not None}"


class Embedding(ShowsArguments):
    """A table of vectors, looked up by row number: for words, categories and other names.

    Args:
        num_embeddings: Number of rows.
        embedding_dim: Length of each vector.
        padding_idx: A row that starts at 0 and gets no gradient, so that it stays there; negative
            numbers count from the end. By default there is none.
        max_norm: Makes the rows that are looked up no longer than this, in `weight` itself, each
            time; by default they stay as they are.
        norm_type: The order of the norm that `max_norm` bounds (default 2.0).
        scale_grad_by_freq: Whether the gradient of each row is divided by how often it was looked
            up (default False).
        sparse: Does nothing: gradients are dense.
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
        max_norm: float | None = None, norm_type: float = 2.0, scale_grad_by_freq: bool = False,
        sparse: bool = False,
        device: str | None = None, dtype: DTypeLike | None = None, rng: RngLike = None,
    ) -> None:  # fmt: skip
        name = type(self).__name__
        check_device(name, device)
        check_sizes(name, num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx, self.max_norm, self.norm_type = padding_idx, max_norm, norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.weight = new_parameter((num_embeddings, embedding_dim), dtype)
        normal_(self.weight, rng=rng)
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ValueError(f"padding_idx {padding_idx} is not one of {num_embeddings} rows")
            self.padding_idx = padding_idx % num_embeddings
            self.weight._array[padding_idx] = 0

    def forward(self, input: TensorLike) -> Tensor:
        options = self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq
        return embedding(input, self.weight, *options)

    @classmethod
    def from_pretrained(
        cls, embeddings: ArrayLike | Tensor, freeze: bool = True, padding_idx: int | None = None,
        max_norm: float | None = None, norm_type: float = 2.0, scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Self:  # fmt: skip
        """Make a table of vectors that are known already.

        Args:
            embeddings: The vectors, `(num_embeddings, embedding_dim)`; the table owns a copy.
            freeze: Whether they stay as they are, rather than being trained (default True).
            padding_idx: A row that gets no gradient; it stays as it is given.
            max_norm: As for the class.
            norm_type: As for the class.
            scale_grad_by_freq: As for the class.
            sparse: Does nothing: gradients are dense.

        Returns:
            An Embedding of the dtype of the vectors.

        Raises:
            ValueError: if the vectors are no matrix, or an argument cannot be, as for the class.
            TypeError: if they are no floating numbers and not frozen.
            RuntimeError: if they are a Tensor with a graph, which would be lost without a word.

        >>> table = rg.nn.Embedding.from_pretrained([[1.0, 2.0], [3.0, 4.0]])
        >>> table(np.array([1]))
        Tensor([[3., 4.]])
        """
        if isinstance(embeddings, Tensor) and embeddings.requires_grad:
            check_detached(f"{cls.__name__}.from_pretrained", embeddings, requires_grad=True)
        array = as_array(embeddings)
        if array.ndim != 2:
            raise ValueError(f"{cls.__name__}.from_pretrained takes a matrix, not {array.shape}")
        options: Any = padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse
        made = cls(*array.shape, *options)
        made.weight = Parameter(array, requires_grad=not freeze)
        return made


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


class CosineSimilarity(ShowsArguments):
    """The cosines of the angles between vectors: `x1 @ x2 / (norm(x1) * norm(x2))`.

    Args:
        axis: The axis of the vectors (default 1: the rows of a matrix).
        eps: The least length to divide by (default 1e-8).

    Shape:
        - x1: any shape `(...)` that has the axis.
        - x2: a shape that broadcasts with it.
        - output: the shape of both without the axis.

    Raises:
        ValueError: when called, if the shapes do not broadcast.

    >>> rg.nn.CosineSimilarity()(rg.Tensor([[1.0, 0.0]]), np.array([[1.0, 1.0]])).round(3)
    Tensor([0.707])
    """

    def __init__(self, axis: int = 1, eps: float = 1e-8) -> None:
        self.axis, self.eps = axis, eps

    def forward(self, x1: TensorT, x2: TensorLike) -> TensorT:
        return F.cosine_similarity(x1, x2, self.axis, self.eps)


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
        return flatten(input, self.start_axis, self.end_axis)


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
        return unflatten(input, self.axis, self.unflattened_size)
