"""The encoder of a transformer as Modules: a layer, and several of them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.checks import check_device, check_sizes
from retrograd.engine import Tensor, TensorLike
from retrograd.nn import functional as F
from retrograd.nn.attention import MultiheadAttention
from retrograd.nn.containers import ModuleList
from retrograd.nn.dropping import Dropout, generator_to_keep
from retrograd.nn.layers import Linear
from retrograd.nn.module import Module
from retrograd.nn.normalization import LayerNorm
from retrograd.random import RngLike

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


def named_activation(activation: str | Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the function of a name, or a function as it is; ValueError for another name."""
    known: Any = {"relu": F.relu, "gelu": F.gelu}
    if isinstance(activation, str) and activation not in known:
        raise ValueError(f'activation must be "relu", "gelu" or a function, not {activation!r}')
    function: Callable[[Any], Any] = known.get(activation, activation)
    return function


def copies_of(layer: Module, number: int) -> ModuleList:
    """Return copies of a layer, which draw from its generators where it has some."""
    values = [v for m in layer.modules() for v in vars(m).values()]
    # Generators are not copied: copies of one would drop the same elements in each layer.
    generators = {id(v): v for v in values if isinstance(v, np.random.Generator)}
    return ModuleList(copy.deepcopy(layer, {**generators}) for _ in range(number))


class TransformerEncoderLayer(Module):
    """A layer of a transformer: self-attention, then two affine maps with an activation between.

    With `attend` and `feed` for the two, each with dropout, it is `x = norm1(x + attend(x))`, then
    `norm2(x + feed(x))`; with `norm_first` it is `x = x + attend(norm1(x))`, then
    `x + feed(norm2(x))`. Called with `src`, and masks if need be (see `forward`).

    Args:
        d_model: Number of features E of input and output.
        nhead: Number of heads of the attention, which divides `d_model`.
        dim_feedforward: Number of features between the affine maps (default 2048).
        dropout: In training, the probability of an element to be set to 0 (default 0.1).
        activation: "relu" (the default), "gelu" or a function of a Tensor.
        layer_norm_eps: The eps of the norms (default 1e-5).
        batch_first: Whether the batch comes before the places (default False).
        norm_first: Whether the norms come before the parts rather than behind them (default False).
        bias: Whether affine maps and norms have biases (default True).
        device: None or "cpu": there is no other device.
        dtype: Floating dtype of the parameters; by default that of `rg.get_default_dtype()`.
        rng: Generator or seed for the initial values and dropout; by default the generator that
            `rg.manual_seed` seeds.

    Shape:
        - src: `(T, N, E)` for T places and a batch of N, `(N, T, E)` with `batch_first`, or
          `(T, E)` without a batch.
        - output: the shape of src.

    Attributes:
        self_attn: `MultiheadAttention(d_model, nhead)`.
        linear1: `Linear(d_model, dim_feedforward)`.
        linear2: `Linear(dim_feedforward, d_model)`.
        norm1: `LayerNorm(d_model)`, of the attention; `norm2` likewise of the affine maps.

    Raises:
        ValueError: if a size is no whole number of at least 1, the heads do not divide the
            features, `dropout` is no probability or `activation` not known; when called, if shapes
            do not fit.

    Vaswani et al. 2017, "Attention is all you need".

    >>> layer = rg.nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True)
    >>> layer(np.ones((3, 5, 8))).shape
    (3, 5, 8)
    """

    activation: Callable[[Any], Any]

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1,
        activation: str | Callable[[Any], Any] = "relu", layer_norm_eps: float = 1e-5,
        batch_first: bool = False, norm_first: bool = False, bias: bool = True,
        device: str | None = None, dtype: DTypeLike | None = None, rng: RngLike = None,
    ) -> None:  # fmt: skip
        check_device(type(self).__name__, device)
        rng = generator_to_keep(rng)
        self.self_attn = MultiheadAttention(
            d_model, nhead, dropout, bias, batch_first=batch_first, dtype=dtype, rng=rng
        )
        self.linear1 = Linear(d_model, dim_feedforward, bias, dtype=dtype, rng=rng)
        self.dropout = Dropout(dropout, rng=rng)
        self.linear2 = Linear(dim_feedforward, d_model, bias, dtype=dtype, rng=rng)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.dropout1, self.dropout2 = Dropout(dropout, rng=rng), Dropout(dropout, rng=rng)
        self.activation = named_activation(activation)

    def forward(
        self, src: TensorLike, src_mask: TensorLike | None = None,
        src_key_padding_mask: TensorLike | None = None, is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        """Apply both parts.

        Args:
            src: `(T, N, E)`, with `batch_first` `(N, T, E)`, or without a batch `(T, E)`.
            src_mask: `(T, T)`, or one for each head `(N * nhead, T, T)`: booleans, of which True
                means that a place does not attend to another; or numbers, which are added to the
                scores.
            src_key_padding_mask: `(N, T)`, without a batch `(T,)`: booleans, of which True means
                that a place is not attended to; or numbers, which are added to its scores.
            is_causal: Whether, without `src_mask`, a place attends only to those up to itself
                (default False).

        Returns:
            A Tensor of the shape of `src`.

        Raises:
            ValueError: if shapes do not fit.
            TypeError: if a mask holds integers, which would mask nothing.

        >>> layer = rg.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        >>> layer.forward(np.ones((3, 5, 8)), is_causal=True).shape
        (3, 5, 8)
        """

        def attend(x: Any) -> Any:
            out, _ = self.self_attn(x, x, x, src_key_padding_mask, False, src_mask, True, is_causal)
            return self.dropout1(out)

        def feed(x: Any) -> Any:
            return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))

        if self.norm_first:
            x = src + attend(self.norm1(src))
            return x + feed(self.norm2(x))
        x = self.norm1(src + attend(src))
        return self.norm2(x + feed(x))


class TransformerEncoder(Module):
    """Copies of a transformer's layer one after another, then a norm where there is one.

    The copies begin with the values of the layer they are made of, and then go their own ways. They
    draw from its generator where it has one. Called with `src`, and masks if need be (see
    `forward`).

    Args:
        encoder_layer: The layer, such as a `TransformerEncoderLayer`.
        num_layers: Number of copies.
        norm: A Module for the end, such as a `LayerNorm`; by default none.
        enable_nested_tensor: Does nothing; it is there so that PyTorch's arguments fit.
        mask_check: likewise.

    Shape:
        - src: as for `encoder_layer`, such as `(T, N, E)`.
        - output: the shape of src.

    Attributes:
        layers: `ModuleList` of the copies.
        norm: The Module for the end, or None.

    Raises:
        ValueError: if `num_layers` is no whole number of at least 1; when called, if shapes do not
            fit.

    Vaswani et al. 2017, "Attention is all you need".

    >>> layer = rg.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    >>> rg.nn.TransformerEncoder(layer, 2)(np.ones((3, 5, 8))).shape
    (3, 5, 8)
    """

    def __init__(
        self, encoder_layer: Module, num_layers: int, norm: Module | None = None,
        enable_nested_tensor: bool = True, mask_check: bool = True,
    ) -> None:  # fmt: skip
        check_sizes(type(self).__name__, num_layers=num_layers)
        self.layers = copies_of(encoder_layer, num_layers)
        self.num_layers, self.norm = num_layers, norm

    def forward(
        self, src: TensorLike, mask: TensorLike | None = None,
        src_key_padding_mask: TensorLike | None = None, is_causal: bool | None = None,
    ) -> Any:  # fmt: skip
        """Apply all layers, then the norm.

        Args:
            src: As for the layers, such as `(T, N, E)`.
            mask: `(T, T)`, or one for each head `(N * nhead, T, T)`: booleans, of which True means
                that a place does not attend to another; or numbers, which are added to the scores.
            src_key_padding_mask: `(N, T)`, without a batch `(T,)`: booleans, of which True means
                that a place is not attended to; or numbers, which are added to its scores.
            is_causal: Whether, without `mask`, a place attends only to those up to itself; None,
                the default, is False.

        Returns:
            A Tensor of the shape of `src`.

        Raises:
            ValueError: if shapes do not fit.
            TypeError: if a mask holds integers, which would mask nothing.

        >>> layer = rg.nn.TransformerEncoderLayer(8, 2, 16)
        >>> rg.nn.TransformerEncoder(layer, 2).forward(np.ones((5, 3, 8)), is_causal=True).shape
        (5, 3, 8)
        """
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, bool(is_causal))
        return src if self.norm is None else self.norm(src)
