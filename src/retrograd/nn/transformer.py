"""A whole transformer as a Module: an encoder, and a decoder that attends to what it gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.checks import check_device, whole
from retrograd.engine import Array, Tensor, TensorLike, get_default_dtype
from retrograd.nn.decoders import TransformerDecoder, TransformerDecoderLayer
from retrograd.nn.dropping import generator_to_keep
from retrograd.nn.encoders import TransformerEncoder, TransformerEncoderLayer
from retrograd.nn.init import xavier_uniform_
from retrograd.nn.module import Module
from retrograd.nn.normalization import LayerNorm
from retrograd.random import RngLike

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


class Transformer(Module):
    """An encoder of a source, and a decoder of a target that attends to what the encoder gives.

    It has no embeddings and no map to words: it goes from features to features. Called with `src`
    and `tgt`, and masks if need be (see `forward`).

    Args:
        d_model: Number of features E (default 512).
        nhead: Number of heads of the attentions, which divides `d_model` (default 8).
        num_encoder_layers: Number of layers of the encoder (default 6).
        num_decoder_layers: Number of layers of the decoder (default 6).
        dim_feedforward: Number of features between the affine maps (default 2048).
        dropout: In training, the probability of an element to be set to 0 (default 0.1).
        activation: "relu" (the default), "gelu" or a function of a Tensor.
        custom_encoder: A Module to take in the place of the encoder, or None.
        custom_decoder: A Module to take in the place of the decoder, or None.
        layer_norm_eps: The eps of the norms (default 1e-5).
        batch_first: Whether the batch comes before the places (default False).
        norm_first: Whether the norms come before the parts rather than behind them (default False).
        bias: Whether affine maps and norms have biases (default True).
        device: None or "cpu": there is no other device.
        dtype: Floating dtype of the parameters; by default that of `rg.get_default_dtype()`.
        rng: Generator or seed for the initial values and dropout; by default the generator that
            `rg.manual_seed` seeds.

    Shape:
        - src: `(S, N, E)` for S places and a batch of N, `(N, S, E)` with `batch_first`, or
          `(S, E)` without a batch.
        - tgt: `(T, N, E)`, `(N, T, E)` or `(T, E)`.
        - output: the shape of tgt.

    Attributes:
        encoder: `TransformerEncoder` with a `LayerNorm` at its end, or `custom_encoder`.
        decoder: `TransformerDecoder` with a `LayerNorm` at its end, or `custom_decoder`. All
            matrices of both are at first by `xavier_uniform_`.

    Raises:
        ValueError: if a size is no whole number of at least 1, the heads do not divide the
            features, `dropout` is no probability or `activation` not known; when called, if shapes
            do not fit.

    Vaswani et al. 2017, "Attention is all you need".

    >>> net = rg.nn.Transformer(8, 2, 1, 1, dim_feedforward=16, batch_first=True)
    >>> net(np.ones((3, 7, 8)), np.ones((3, 5, 8))).shape
    (3, 5, 8)
    """

    def __init__(
        self, d_model: int = 512, nhead: int = 8, num_encoder_layers: int = 6,
        num_decoder_layers: int = 6, dim_feedforward: int = 2048, dropout: float = 0.1,
        activation: str | Callable[[Any], Any] = "relu", custom_encoder: Module | None = None,
        custom_decoder: Module | None = None, layer_norm_eps: float = 1e-5,
        batch_first: bool = False, norm_first: bool = False, bias: bool = True,
        device: str | None = None, dtype: DTypeLike | None = None, rng: RngLike = None,
    ) -> None:  # fmt: skip
        check_device(type(self).__name__, device)
        rng = generator_to_keep(rng)
        sizes = d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps
        options: Any = {"batch_first": batch_first, "norm_first": norm_first, "bias": bias}
        options |= {"dtype": dtype, "rng": rng}

        def norm() -> LayerNorm:
            return LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)

        self.encoder = custom_encoder or TransformerEncoder(
            TransformerEncoderLayer(*sizes, **options), num_encoder_layers, norm()
        )
        self.decoder = custom_decoder or TransformerDecoder(
            TransformerDecoderLayer(*sizes, **options), num_decoder_layers, norm()
        )
        for _, parameter in self.named_parameters():
            if parameter.ndim > 1:
                xavier_uniform_(parameter, rng=rng)
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first

    def forward(
        self, src: TensorLike, tgt: TensorLike, src_mask: TensorLike | None = None,
        tgt_mask: TensorLike | None = None, memory_mask: TensorLike | None = None,
        src_key_padding_mask: TensorLike | None = None,
        tgt_key_padding_mask: TensorLike | None = None,
        memory_key_padding_mask: TensorLike | None = None, src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None, memory_is_causal: bool = False,
    ) -> Tensor:  # fmt: skip
        """Encode the source, and decode the target with it.

        Args:
            src: `(S, N, E)`, with `batch_first` `(N, S, E)`, or without a batch `(S, E)`.
            tgt: `(T, N, E)`, `(N, T, E)` or `(T, E)`.
            src_mask: `(S, S)`, or one for each head `(N * nhead, S, S)`: booleans, of which True
                means that a place does not attend to another; or numbers, which are added to the
                scores.
            tgt_mask: `(T, T)`, likewise, in the target; see `generate_square_subsequent_mask`.
            memory_mask: `(T, S)`, likewise, of what the target attends to in the source.
            src_key_padding_mask: `(N, S)`, without a batch `(S,)`: booleans, of which True means
                that a place is not attended to; or numbers, which are added to its scores.
            tgt_key_padding_mask: `(N, T)`, or `(T,)`, likewise.
            memory_key_padding_mask: `(N, S)`, or `(S,)`, likewise, for what the decoder attends to.
            src_is_causal: Whether, without `src_mask`, a place of the source attends only to those
                up to itself; None, the default, is False.
            tgt_is_causal: Whether, without `tgt_mask`, a place of the target attends only to those
                up to itself; None, the default, is False.
            memory_is_causal: Whether, without `memory_mask`, a place of the target attends only to
                those of the source up to itself (default False).

        Returns:
            A Tensor of the shape of `tgt`.

        Raises:
            ValueError: if shapes do not fit.
            TypeError: if a mask holds integers, which would mask nothing.

        >>> net = rg.nn.Transformer(8, 2, 1, 1, dim_feedforward=16)
        >>> net.forward(np.ones((7, 3, 8)), np.ones((5, 3, 8)), tgt_is_causal=True).shape
        (5, 3, 8)
        """
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        masks = tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask
        out: Tensor = self.decoder(tgt, memory, *masks, tgt_is_causal, memory_is_causal)
        return out

    @staticmethod
    def generate_square_subsequent_mask(
        sz: int, device: str | None = None, dtype: DTypeLike | None = None
    ) -> Array:
        """Return the mask by which a place attends only to those up to itself.

        Args:
            sz: Number of places.
            device: None or "cpu": there is no other device.
            dtype: A floating dtype; by default that of `rg.get_default_dtype()`.

        Returns:
            An array `(sz, sz)`: 0 up to the diagonal, minus infinity above it.

        Raises:
            ValueError: if `sz` is no whole number of at least 1.

        >>> rg.nn.Transformer.generate_square_subsequent_mask(2)
        array([[  0., -inf],
               [  0.,   0.]])
        """
        check_device("generate_square_subsequent_mask", device)
        whole("generate_square_subsequent_mask", sz=sz)
        return np.triu(np.full((sz, sz), -np.inf, dtype or get_default_dtype()), 1)
