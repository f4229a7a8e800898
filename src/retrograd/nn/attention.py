"""Attention in several heads as a Module."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.checks import check_device, check_sizes
from retrograd.engine import Tensor, TensorLike, defvjp, primitive
from retrograd.nn import functional as F
from retrograd.nn.dropping import generator_to_keep
from retrograd.nn.functional.attention import additive_mask, causal, mixture, weigh
from retrograd.nn.init import xavier_normal_, xavier_uniform_
from retrograd.nn.layers import Linear
from retrograd.nn.module import Module
from retrograd.nn.parameter import Parameter, new_parameter
from retrograd.random import RngLike

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


@primitive
def unstack3(x: Any) -> Any:
    """Return the three parts along axis 0."""
    return x[0], x[1], x[2]


defvjp(unstack3, lambda g, out, x: np.stack(g), multi=True)


class MultiheadAttention(Module):
    """Mixes values by how well their keys answer queries, in several heads side by side.

    Each head has `embed_dim / num_heads` features, in which it has queries, keys and values of its
    own, made of the inputs by affine maps. It gives `softmax(q @ k.T / sqrt(features) + mask) @ v`;
    a last affine map is made of all heads. Called with `(query, key, value)`; the same array three
    times is self-attention, and the fastest.

    Args:
        embed_dim: Number of features E of queries and of the output.
        num_heads: Number of heads, which divides `embed_dim`.
        dropout: In training, the probability of each weight to be set to 0 (default 0.0).
        bias: Whether the affine maps have biases (default True).
        add_bias_kv: Whether there is one more key, and value, that is a parameter (default False).
        add_zero_attn: Whether there is one more key, and value, of zeros (default False).
        kdim: Number of features of the keys; by default `embed_dim`.
        vdim: Number of features of the values; by default `embed_dim`.
        batch_first: Whether the batch comes before the places in inputs and output (default False).
        device: None or "cpu": there is no other device.
        dtype: Floating dtype of the parameters; by default that of `rg.get_default_dtype()`.
        rng: Generator or seed for the initial values and dropout; by default the generator that
            `rg.manual_seed` seeds.

    Shape:
        - query: `(T, N, E)` for T places and a batch of N, `(N, T, E)` with `batch_first`, or
          `(T, E)` without a batch.
        - key: `(S, N, kdim)`, `(N, S, kdim)` or `(S, kdim)`.
        - value: `(S, N, vdim)`, `(N, S, vdim)` or `(S, vdim)`.
        - output: a pair: what is mixed, in the shape of `query`; and the weights `(N, T, S)`, the
          mean of all heads (see `forward`), without a batch no N.

    Attributes:
        in_proj_weight: Parameter `(3 * E, E)` that makes queries, keys and values, by
            `xavier_uniform_`; None if `kdim` or `vdim` is not E.
        q_proj_weight: Parameter `(E, E)`, only if `kdim` or `vdim` is not E, by `xavier_uniform_`.
        k_proj_weight: Parameter `(E, kdim)`, likewise.
        v_proj_weight: Parameter `(E, vdim)`, likewise.
        in_proj_bias: Parameter `(3 * E,)`, at first 0; None without `bias`.
        bias_k: Parameter `(1, 1, E)`, the further key, by `xavier_normal_`; None without
            `add_bias_kv`.
        bias_v: Parameter `(1, 1, E)`, its value, likewise.
        out_proj: `Linear(E, E)`, its bias at first 0.

    Raises:
        ValueError: if a size is no whole number of at least 1, or the heads do not divide the
            features; when called, if shapes do not fit.
        TypeError: when called, if a mask holds integers.

    Vaswani et al. 2017, "Attention is all you need".

    >>> attention = rg.nn.MultiheadAttention(8, 2, batch_first=True)
    >>> x = np.ones((3, 5, 8))
    >>> out, weights = attention(x, x, x)
    >>> out.shape, weights.shape
    ((3, 5, 8), (3, 5, 5))
    """

    in_proj_weight: Parameter | None

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True,
        add_bias_kv: bool = False, add_zero_attn: bool = False,
        kdim: int | None = None, vdim: int | None = None, batch_first: bool = False,
        device: str | None = None, dtype: DTypeLike | None = None, rng: RngLike = None,
    ) -> None:  # fmt: skip
        check_device(type(self).__name__, device)
        check_sizes(type(self).__name__, embed_dim=embed_dim, num_heads=num_heads)
        if embed_dim % num_heads:
            raise ValueError(f"MultiheadAttention: {num_heads} heads of {embed_dim} features")
        self.embed_dim, self.num_heads, self.batch_first = embed_dim, num_heads, batch_first
        self.dropout, self.rng = dropout, generator_to_keep(rng)
        self.kdim, self.vdim = kdim or embed_dim, vdim or embed_dim

        shapes = {"in_proj_weight": (3 * embed_dim, embed_dim)}
        if not self.kdim == self.vdim == embed_dim:
            self.in_proj_weight = None
            widths = {"q": embed_dim, "k": self.kdim, "v": self.vdim}
            shapes = {f"{name}_proj_weight": (embed_dim, n) for name, n in widths.items()}
        for name, shape in shapes.items():
            setattr(self, name, xavier_uniform_(new_parameter(shape, dtype), rng=self.rng))
        self.in_proj_bias = new_parameter((3 * embed_dim,), dtype) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias, dtype=dtype, rng=self.rng)
        if bias:
            self.out_proj.bias = new_parameter((embed_dim,), dtype)
        self.bias_k: Parameter | None = None
        self.bias_v: Parameter | None = None
        if add_bias_kv:
            for name in ("bias_k", "bias_v"):
                one = new_parameter((1, 1, embed_dim), dtype)
                setattr(self, name, xavier_normal_(one, rng=self.rng))
        self.add_zero_attn = add_zero_attn

    def forward(
        self, query: TensorLike, key: TensorLike, value: TensorLike,
        key_padding_mask: TensorLike | None = None, need_weights: bool = True,
        attn_mask: TensorLike | None = None, average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """Mix the values.

        Args:
            query: `(T, N, E)`, with `batch_first` `(N, T, E)`, or without a batch `(T, E)`.
            key: `(S, N, kdim)`, `(N, S, kdim)` or `(S, kdim)`.
            value: `(S, N, vdim)`, `(N, S, vdim)` or `(S, vdim)`.
            key_padding_mask: `(N, S)`, without a batch `(S,)`: booleans, of which True means that a
                key is not attended to; or numbers, which are added to its scores.
            need_weights: Whether to return the weights (default True).
            attn_mask: `(T, S)`, or one for each head `(N * num_heads, T, S)`: booleans, of which
                True means that a query does not attend to a key; or numbers, which are added to the
                scores.
            average_attn_weights: Whether to return the mean of the heads' weights (default True),
                else those of each.
            is_causal: Whether, without `attn_mask`, a query attends only to keys up to its own
                place (default False).

        Returns:
            What is mixed, in the shape of `query`, and the weights `(N, T, S)`, of each head
            `(N, num_heads, T, S)`, without a batch no N; None without `need_weights`. S counts the
            further keys of `add_bias_kv` and `add_zero_attn` too, at its end. A query that
            may attend to nothing gets weights of 0.

        Raises:
            ValueError: if shapes do not fit.
            TypeError: if a mask holds integers, which would mask nothing.

        >>> attention = rg.nn.MultiheadAttention(8, 2)
        >>> x = np.ones((5, 3, 8))
        >>> out, weights = attention.forward(x, x, x, is_causal=True)
        >>> weights[0].round(2)[1].tolist()
        [0.5, 0.5, 0.0, 0.0, 0.0]
        """
        batch, alone = 0 if self.batch_first else 1, query.ndim == 2
        if alone:
            # each once, so that self-attention is still seen to be that
            batched = {id(x): np.expand_dims(x, batch) for x in (query, key, value)}
            query, key, value = (batched[id(x)] for x in (query, key, value))
            if key_padding_mask is not None:
                key_padding_mask = key_padding_mask[None]
        self._check_shapes(query, key, value)
        q, k, v = self._heads(query, key, value)
        mask = self._mask(q, k, key_padding_mask, attn_mask, is_causal)
        if self.bias_k is not None:
            k, v, mask = self._one_more_key(k, v, mask, self.bias_k, self.bias_v)
        if self.add_zero_attn:
            k, v, mask = self._one_more_key(k, v, mask, None, None)
        weights = weigh(q, k, mask, scale=1 / math.sqrt(q.shape[-1]))  # (N, heads, S, T)
        if self.dropout and self.training:
            weights = F.dropout(weights, self.dropout, rng=self.rng)
        mixed = mixture(weights, v)  # (N, heads, T, features)
        order = (0, 2, 1, 3) if self.batch_first else (2, 0, 1, 3)
        out = self.out_proj(np.transpose(mixed, order).reshape(query.shape))
        if alone:
            out = np.squeeze(out, batch)
        if not need_weights:
            return out, None
        weights = np.swapaxes(weights, -1, -2)
        if average_attn_weights:
            weights = np.mean(weights, axis=1)
        return out, weights[0] if alone else weights

    def _check_shapes(self, *inputs: TensorLike) -> None:
        """Raise ValueError unless query, key and value have a common batch and their features."""
        query, key, value = inputs
        batch, widths = 0 if self.batch_first else 1, (self.embed_dim, self.kdim, self.vdim)
        if (
            any(x.ndim != 3 or x.shape[batch] != query.shape[batch] for x in inputs)
            or tuple(x.shape[2] for x in inputs) != widths
            or key.shape[:2] != value.shape[:2]
        ):
            axes = "(N, T, {})" if self.batch_first else "(T, N, {})"
            raise ValueError(
                f"MultiheadAttention takes {', '.join(map(axes.format, widths))}; got "
                f"{query.shape}, {key.shape}, {value.shape}"
            )

    def _heads(self, *inputs: TensorLike) -> Any:
        """Return queries, keys and values `(N, heads, T, features)`."""
        query, key, value = inputs
        e, heads = self.embed_dim, (self.num_heads, self.embed_dim // self.num_heads)
        packed, bias = self.in_proj_weight, self.in_proj_bias
        if packed is not None and query is key is value:
            made = F.linear(query, packed, bias)
            axes = (2, 0, 3, 1, 4) if self.batch_first else (2, 1, 3, 0, 4)
            return unstack3(np.transpose(made.reshape((*made.shape[:2], 3, *heads)), axes))
        order, parts = (0, 2, 1, 3) if self.batch_first else (1, 2, 0, 3), []
        for i, (x, name) in enumerate(zip(inputs, "qkv", strict=True)):
            rows = slice(i * e, (i + 1) * e)
            weight = getattr(self, f"{name}_proj_weight") if packed is None else packed[rows]
            part = F.linear(x, weight, None if bias is None else bias[rows])
            parts.append(np.transpose(part.reshape((*part.shape[:2], *heads)), order))
        return parts

    def _mask(self, q: Any, k: Any, padding: Any, mask: Any, is_causal: bool) -> Any:
        """Return what is added to the scores `(..., S, T)`, or None."""
        (batch, heads, queries, _), keys = q.shape, k.shape[2]
        if mask is not None:
            one, many = (queries, keys), (batch * heads, queries, keys)
            if mask.shape not in (one, many):
                raise ValueError(f"attn_mask must be {one} or {many}, not {mask.shape}")
            mask = additive_mask(mask, q.dtype, False)
            if mask.ndim == 3:
                mask = mask.reshape((batch, heads, queries, keys))
        elif is_causal:
            mask = causal(queries, keys, q.dtype)
        if padding is not None:
            if padding.shape != (batch, keys):
                raise ValueError(f"key_padding_mask must be {(batch, keys)}, not {padding.shape}")
            padding = additive_mask(padding, q.dtype, False)[:, None, None]
            mask = padding if mask is None else mask + padding
        return None if mask is None else np.swapaxes(mask, -1, -2)

    def _one_more_key(self, k: Any, v: Any, mask: Any, key: Any, value: Any) -> tuple[Any, ...]:
        """Return keys, values and mask with one more key, of zeros where none is given."""
        (batch, heads, _, features), rows = k.shape, []
        shape = (batch, heads, 1, features)
        for given, new in ((k, key), (v, value)):
            row: Any = np.zeros(shape, k.dtype)
            if new is not None:
                row = np.broadcast_to(new.reshape((heads, 1, features)), shape)
            rows.append(np.concatenate([given, row], axis=2))
        if mask is not None:
            # every query may attend to it
            mask = np.concatenate([mask, np.zeros_like(mask[..., :1, :])], axis=-2)
        return rows[0], rows[1], mask
