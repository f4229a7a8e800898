"""The decoder of a transformer as Modules: a layer, and several of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from retrograd.checks import check_device, check_sizes
from retrograd.engine import Tensor, TensorLike
from retrograd.nn.attention import MultiheadAttention
from retrograd.nn.dropping import Dropout, generator_to_keep
from retrograd.nn.encoders import copies_of, named_activation
from retrograd.nn.layers import Linear
from retrograd.nn.module import Module
from retrograd.nn.normalization import LayerNorm
from retrograd.random import RngLike

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


class TransformerDecoderLayer(Module):
    """A layer of a transformer that also attends to something else, such as what an encoder gives.

    With `attend` for self-attention, `look` for attention to `memory`, and `feed` for two affine
    maps with an activation between, each with dropout, it is `x = norm1(x + attend(x))`, then
    `x = norm2(x + look(x))`, then `norm3(x + feed(x))`; with `norm_first` each norm comes before
    its part instead. Called with `tgt` and `memory`, and masks if need be (see `forward`).

    Args:
        d_model: Number of features E of input, memory and output.
        nhead: Number of heads of the attentions, which divides `d_model`.
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
        - tgt: `(T, N, E)` for T places and a batch of N, `(N, T, E)` with `batch_first`, or
          `(T, E)` without a batch.
        - memory: `(S, N, E)`, `(N, S, E)` or `(S, E)`.
        - output: the shape of tgt.

    Attributes:
        self_attn: `MultiheadAttention(d_model, nhead)` to `tgt`.
        multihead_attn: `MultiheadAttention(d_model, nhead)` to `memory`.
        linear1: `Linear(d_model, dim_feedforward)`.
        linear2: `Linear(dim_feedforward, d_model)`.
        norm1: `LayerNorm(d_model)` of the self-attention; `norm2` likewise of the other one,
            `norm3` of the affine maps.

    Raises:
        ValueError: if a size is no whole number of at least 1, the heads do not divide the
            features, `dropout` is no probability or `activation` not known; when called, if shapes
            do not fit.

    Vaswani et al. 2017, "Attention is all you need".

    >>> layer = rg.nn.TransformerDecoderLayer(8, 2, dim_feedforward=16, batch_first=True)
    >>> layer(np.ones((3, 5, 8)), np.ones((3, 7, 8))).shape
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
        heads: Any = {"batch_first": batch_first, "dtype": dtype, "rng": rng}
        norms: Any = {"eps": layer_norm_eps, "bias": bias, "dtype": dtype}
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias, **heads)
        self.multihead_attn = MultiheadAttention(d_model, nhead, dropout, bias, **heads)
        self.linear1 = Linear(d_model, dim_feedforward, bias, dtype=dtype, rng=rng)
        self.dropout = Dropout(dropout, rng=rng)
        self.linear2 = Linear(dim_feedforward, d_model, bias, dtype=dtype, rng=rng)
        self.norm_first = norm_first
        self.norm1, self.norm2 = LayerNorm(d_model, **norms), LayerNorm(d_model, **norms)
        self.norm3 = LayerNorm(d_model, **norms)
        self.dropout1, self.dropout2 = Dropout(dropout, rng=rng), Dropout(dropout, rng=rng)
        self.dropout3 = Dropout(dropout, rng=rng)
        self.activation = named_activation(activation)

    def forward(
        self, tgt: TensorLike, memory: TensorLike, tgt_mask: TensorLike | None = None,
        memory_mask: TensorLike | None = None, tgt_key_padding_mask: TensorLike | None = None,
        memory_key_padding_mask: TensorLike | None = None, tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        """Apply the three parts.

        Args:
            tgt: `(T, N, E)`, with `batch_first` `(N, T, E)`, or without a batch `(T, E)`.
            memory: `(S, N, E)`, `(N, S, E)` or `(S, E)`.
            tgt_mask: `(T, T)`, or one for each head `(N * nhead, T, T)`: booleans, of which True
                means that a place does not attend to another; or numbers, which are added to the
                scores.
            memory_mask: `(T, S)`, likewise, of what places attend to in `memory`.
            tgt_key_padding_mask: `(N, T)`, without a batch `(T,)`: booleans, of which True means
                that a place is not attended to; or numbers, which are added to its scores.
            memory_key_padding_mask: `(N, S)`, or `(S,)`, likewise, for `memory`.
            tgt_is_causal: Whether, without `tgt_mask`, a place attends only to those up to itself
                (default False).
            memory_is_causal: Whether, without `memory_mask`, a place attends only to those of
                `memory` up to itself (default False).

        Returns:
            A Tensor of the shape of `tgt`.

        Raises:
            ValueError: if shapes do not fit.
            TypeError: if a mask holds integers, which would mask nothing.

        >>> layer = rg.nn.TransformerDecoderLayer(8, 2, 16)
        >>> layer.forward(np.ones((5, 3, 8)), np.ones((7, 3, 8)), tgt_is_causal=True).shape
        (5, 3, 8)
        """

        def attend(x: Any) -> Any:
            masks = tgt_key_padding_mask, False, tgt_mask, True, tgt_is_causal
            return self.dropout1(self.self_attn(x, x, x, *masks)[0])

        def look(x: Any) -> Any:
            masks = memory_key_padding_mask, False, memory_mask, True, memory_is_causal
            return self.dropout2(self.multihead_attn(x, memory, memory, *masks)[0])

        def feed(x: Any) -> Any:
            return self.dropout3(self.linear2(self.dropout(self.activation(self.linear1(x)))))

        x: Any = tgt
        for norm, part in ((self.norm1, attend), (self.norm2, look), (self.norm3, feed)):
            x = x + part(norm(x)) if self.norm_first else norm(x + part(x))
        return x


class TransformerDecoder(Module):
    """Copies of a transformer's decoder layer one after another, then a norm where there is one.

    The copies begin with the values of the layer they are made of, and then go their own ways. They
    draw from its generator where it has one. Called with `tgt` and `memory`, and masks if need be
    (see `forward`).

    Args:
        decoder_layer: The layer, such as a `TransformerDecoderLayer`.
        num_layers: Number of copies.
        norm: A Module for the end, such as a `LayerNorm`; by default none.

    Shape:
        - tgt: as for `decoder_layer`, such as `(T, N, E)`.
        - memory: likewise, such as `(S, N, E)`; all layers attend to it.
        - output: the shape of tgt.

    Attributes:
        layers: `ModuleList` of the copies.
        norm: The Module for the end, or None.

    Raises:
        ValueError: if `num_layers` is no whole number of at least 1; when called, if shapes do not
            fit.

    Vaswani et al. 2017, "Attention is all you need".

    >>> layer = rg.nn.TransformerDecoderLayer(8, 2, 16, batch_first=True)
    >>> rg.nn.TransformerDecoder(layer, 2)(np.ones((3, 5, 8)), np.ones((3, 7, 8))).shape
    (3, 5, 8)
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        check_sizes(type(self).__name__, num_layers=num_layers)
        self.layers = copies_of(decoder_layer, num_layers)
        self.num_layers, self.norm = num_layers, norm

    def forward(
        self, tgt: TensorLike, memory: TensorLike, tgt_mask: TensorLike | None = None,
        memory_mask: TensorLike | None = None, tgt_key_padding_mask: TensorLike | None = None,
        memory_key_padding_mask: TensorLike | None = None, tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Any:  # fmt: skip
        """Apply all layers, then the norm.

        Args:
            tgt: As for the layers, such as `(T, N, E)`.
            memory: As for the layers, such as `(S, N, E)`.
            tgt_mask: `(T, T)`, or one for each head `(N * nhead, T, T)`: booleans, of which True
                means that a place does not attend to another; or numbers, which are added to the
                scores.
            memory_mask: `(T, S)`, likewise, of what places attend to in `memory`.
            tgt_key_padding_mask: `(N, T)`, without a batch `(T,)`: booleans, of which True means
                that a place is not attended to; or numbers, which are added to its scores.
            memory_key_padding_mask: `(N, S)`, or `(S,)`, likewise, for `memory`.
            tgt_is_causal: Whether, without `tgt_mask`, a place attends only to those up to itself;
                None, the default, is False.
            memory_is_causal: Whether, without `memory_mask`, a place attends only to those of
                `memory` up to itself (default False).

        Returns:
            A Tensor of the shape of `tgt`.

        Raises:
            ValueError: if shapes do not fit.
            TypeError: if a mask holds integers, which would mask nothing.

        >>> decoder = rg.nn.TransformerDecoder(rg.nn.TransformerDecoderLayer(8, 2, 16), 2)
        >>> decoder.forward(np.ones((5, 3, 8)), np.ones((7, 3, 8)), tgt_is_causal=True).shape
        (5, 3, 8)
        """
        masks = tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask
        for layer in self.layers:
            tgt = layer(tgt, memory, *masks, bool(tgt_is_causal), memory_is_causal)
        return tgt if self.norm is None else self.norm(tgt)
