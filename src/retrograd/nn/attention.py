"""Attention and transformer layers."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd.core import primitive
from retrograd.nn import functional as F
from retrograd.nn.containers import ModuleList
from retrograd.nn.functional.attention import added, causal, mixture, weigh
from retrograd.nn.init import xavier_uniform_, zeros_
from retrograd.nn.layers import Dropout, LayerNorm, Linear, at_least_1
from retrograd.nn.module import Module, new_parameter
from retrograd.random import RngLike, generator
from retrograd.registry import RULES, defvjp


@primitive
def unstack3(x: Any) -> Any:
    """Return the three parts along axis 0."""
    return x[0], x[1], x[2]


defvjp(unstack3, lambda g, out, x: np.stack(g))
RULES[unstack3].multi = True


class MultiheadAttention(Module):
    """Attention in `num_heads` parts of `embed_dim` each (Vaswani et al. 2017).

    `in_proj_weight` `(3 * embed_dim, embed_dim)` makes queries, keys and values, or with `kdim`
    or `vdim` three weights of their own; xavier_uniform, biases 0. Queries are `(T, N, E)`, keys
    `(S, N, kdim)`, values `(S, N, vdim)`, with `batch_first` the batch N is axis 0; without a
    batch they have two axes.

    >>> import numpy as np, retrograd as rg
    >>> attention = rg.nn.MultiheadAttention(8, 2, batch_first=True)
    >>> x = np.ones((3, 5, 8))
    >>> out, weights = attention(x, x, x)
    >>> out.shape, weights.shape
    ((3, 5, 8), (3, 5, 5))
    """

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True, *,
        kdim: int | None = None, vdim: int | None = None, batch_first: bool = False,
        dtype: Any = None, rng: RngLike = None,
    ) -> None:  # fmt: skip
        at_least_1(self, embed_dim=embed_dim, num_heads=num_heads)
        if embed_dim % num_heads:
            raise ValueError(f"MultiheadAttention: {num_heads} heads of {embed_dim} features")
        self.embed_dim, self.num_heads, self.batch_first = embed_dim, num_heads, batch_first
        self.dropout, self.rng = dropout, rng if rng is None else generator(rng)
        self.kdim, self.vdim = kdim or embed_dim, vdim or embed_dim
        self.in_proj_weight = None
        if self.kdim == self.vdim == embed_dim:
            self.in_proj_weight = new_parameter((3 * embed_dim, embed_dim), dtype)
            weights = [self.in_proj_weight]
        else:
            self.q_proj_weight = new_parameter((embed_dim, embed_dim), dtype)
            self.k_proj_weight = new_parameter((embed_dim, self.kdim), dtype)
            self.v_proj_weight = new_parameter((embed_dim, self.vdim), dtype)
            weights = [self.q_proj_weight, self.k_proj_weight, self.v_proj_weight]
        for weight in weights:
            xavier_uniform_(weight, rng=self.rng)
        self.in_proj_bias = new_parameter((3 * embed_dim,), dtype) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias, dtype, self.rng)
        if self.out_proj.bias is not None:
            zeros_(self.out_proj.bias)

    def forward(
        self, query: Any, key: Any, value: Any, key_padding_mask: Any = None,
        need_weights: bool = True, attn_mask: Any = None, average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Any, Any]:  # fmt: skip
        """Return the output, like the query, and the weights `(N, T, S)` or None.

        `key_padding_mask` is `(N, S)`, `attn_mask` `(T, S)` or `(N * num_heads, T, S)`: numbers
        are added to the scores, of booleans true means may not attend. `is_causal` stands for
        the causal mask where none is given. Without `average_attn_weights` the weights are those
        of each head, `(N, num_heads, T, S)`.
        """
        batch, alone = 0 if self.batch_first else 1, query.ndim == 2
        if alone:
            same = query is key is value
            query = np.expand_dims(query, batch)
            key, value = (query if same else np.expand_dims(a, batch) for a in (key, value))
            if key_padding_mask is not None:
                key_padding_mask = key_padding_mask[None]
        widths = (self.embed_dim, self.kdim, self.vdim)
        if (
            any(x.ndim != 3 for x in (query, key, value))
            or (query.shape[2], key.shape[2], value.shape[2]) != widths
            or key.shape[:2] != value.shape[:2]
            or query.shape[batch] != key.shape[batch]
        ):
            axes = "(N, T, {})" if self.batch_first else "(T, N, {})"
            raise ValueError(
                "MultiheadAttention takes query, key and value "
                f"{', '.join(map(axes.format, widths))}; got {query.shape}, {key.shape} and "
                f"{value.shape}"
            )
        q, k, v = self._heads(query, key, value)
        mask = self._mask(q, k, key_padding_mask, attn_mask, is_causal)
        weights = weigh(q, k, mask, scale=1 / math.sqrt(q.shape[-1]))
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

    def _heads(self, query: Any, key: Any, value: Any) -> Any:
        """Return queries, keys and values as `(N, heads, T, features)`."""
        e, heads = self.embed_dim, (self.num_heads, self.embed_dim // self.num_heads)
        packed, bias = self.in_proj_weight, self.in_proj_bias
        if packed is not None and query is key is value:
            made = F.linear(query, packed, bias)
            axes = (2, 0, 3, 1, 4) if self.batch_first else (2, 1, 3, 0, 4)
            return unstack3(np.transpose(made.reshape((*made.shape[:2], 3, *heads)), axes))
        rows = [slice(i * e, (i + 1) * e) for i in range(3)]
        if packed is None:
            weights: list[Any] = [self.q_proj_weight, self.k_proj_weight, self.v_proj_weight]
        else:
            weights = [packed[own] for own in rows]
        order = (0, 2, 1, 3) if self.batch_first else (1, 2, 0, 3)
        parts = []
        for x, weight, own in zip((query, key, value), weights, rows, strict=True):
            part = F.linear(x, weight, None if bias is None else bias[own])
            parts.append(np.transpose(part.reshape((*part.shape[:2], *heads)), order))
        return parts

    def _mask(self, q: Any, k: Any, padding: Any, mask: Any, is_causal: bool) -> Any:
        """Return what is added to the transposed scores, or None."""
        batch, keys, queries = k.shape[0], k.shape[-2], q.shape[-2]
        if mask is not None:
            one, many = (queries, keys), (batch * self.num_heads, queries, keys)
            if mask.shape not in (one, many):
                raise ValueError(f"attn_mask must be {one} or {many}, not {mask.shape}")
            mask = added(mask, q.dtype, False)
            if mask.ndim == 3:
                mask = mask.reshape((batch, self.num_heads, queries, keys))
        elif is_causal:
            mask = causal(queries, keys, q.dtype)
        if padding is not None:
            if padding.shape != (batch, keys):
                raise ValueError(f"key_padding_mask must be {(batch, keys)}, not {padding.shape}")
            padding = added(padding, q.dtype, False)[:, None, None]
            mask = padding if mask is None else mask + padding
        return None if mask is None else np.swapaxes(mask, -1, -2)


class TransformerEncoderLayer(Module):
    """Self-attention and a two-layer net, each with dropout, a sum with its input and a norm.

    `(T, N, d_model)` or, with `batch_first`, `(N, T, d_model)`. `norm_first` puts each norm
    before its part. `activation` is "relu", "gelu" or a function.

    >>> import numpy as np, retrograd as rg
    >>> layer = rg.nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True)
    >>> layer(np.ones((3, 5, 8))).shape
    (3, 5, 8)
    """

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1,
        activation: str | Callable[[Any], Any] = "relu", layer_norm_eps: float = 1e-5,
        batch_first: bool = False, norm_first: bool = False, bias: bool = True,
        dtype: Any = None, rng: RngLike = None,
    ) -> None:  # fmt: skip
        rng = rng if rng is None else generator(rng)
        self.self_attn = MultiheadAttention(
            d_model, nhead, dropout, bias, batch_first=batch_first, dtype=dtype, rng=rng
        )
        self.linear1 = Linear(d_model, dim_feedforward, bias, dtype, rng)
        self.dropout = Dropout(dropout, rng)
        self.linear2 = Linear(dim_feedforward, d_model, bias, dtype, rng)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.dropout1, self.dropout2 = Dropout(dropout, rng), Dropout(dropout, rng)
        if isinstance(activation, str):
            if activation not in ("relu", "gelu"):
                raise ValueError(f'activation must be "relu", "gelu" or a function: {activation!r}')
            activation = F.relu if activation == "relu" else F.gelu
        self.activation: Any = activation

    def forward(
        self, src: Any, src_mask: Any = None, src_key_padding_mask: Any = None,
        is_causal: bool = False,
    ) -> Any:  # fmt: skip
        """Apply both parts; the masks are those of `MultiheadAttention`."""

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
    """`num_layers` copies of a layer one after another, then `norm` where there is one.

    `enable_nested_tensor` is there for the sake of torch's signature; nothing depends on it.

    >>> import numpy as np, retrograd as rg
    >>> layer = rg.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    >>> rg.nn.TransformerEncoder(layer, 2)(np.ones((3, 5, 8))).shape
    (3, 5, 8)
    """

    def __init__(
        self, encoder_layer: Module, num_layers: int, norm: Module | None = None,
        enable_nested_tensor: bool = False,
    ) -> None:  # fmt: skip
        at_least_1(self, num_layers=num_layers)
        self.layers = ModuleList(copy.deepcopy(encoder_layer) for _ in range(num_layers))
        self.num_layers, self.norm = num_layers, norm

    def forward(
        self, src: Any, mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False
    ) -> Any:
        """Apply the layers; the masks are those of `MultiheadAttention`."""
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, is_causal)
        return src if self.norm is None else self.norm(src)
