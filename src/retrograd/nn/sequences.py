"""Layers over sequences: recurrent layers and cells, attention and transformers."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd.core import Tensor, primitive
from retrograd.nn import functional as F
from retrograd.nn.functional.attention import added, causal, mixture, weigh
from retrograd.nn.functional.recurrent import gru, lstm, rnn
from retrograd.nn.init import uniform_, xavier_uniform_, zeros_
from retrograd.nn.layers import Dropout, LayerNorm, Linear, ModuleList, at_least_1, not_usual
from retrograd.nn.module import Module, new_parameter
from retrograd.random import RngLike, generator
from retrograd.registry import RULES, defvjp

WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class _Recurrent(Module):
    """What layers and cells share: the weights of one layer in one direction, and its run."""

    _function: Any  # of `functional.recurrent`
    _gates = 1  # blocks of rows in each weight
    _states = 1  # arrays in the state
    nonlinearity: str

    input_size: int
    hidden_size: int

    def _weights(self, inputs: int, bias: bool, dtype: Any, rng: Any, suffix: str = "") -> None:
        rows, bound = self._gates * self.hidden_size, 1 / math.sqrt(self.hidden_size)
        shapes: Any = ((rows, inputs), (rows, self.hidden_size), (rows,), (rows,))
        for name, shape in zip(WEIGHTS, shapes, strict=True):
            if bias or len(shape) == 2:
                parameter = uniform_(new_parameter(shape, dtype), -bound, bound, rng)
                setattr(self, name + suffix, parameter)
            elif not suffix:
                setattr(self, name, None)

    def _run(self, x: Any, state: tuple[Any, ...], *weights: Any) -> Any:
        """Return all that the steps of one layer in one direction made, the hidden states last."""
        if self._function is rnn:
            return rnn(x, *state, *weights, nonlinearity=self.nonlinearity)
        return self._function(x, *state, *weights)

    def _first(self, hx: Any, alone: bool, shape: tuple[int, ...], dtype: Any) -> tuple[Any, ...]:
        """Return the arrays of the first state, zeros where none is given, checked."""
        if hx is None:
            return (np.zeros(shape, dtype),) * self._states
        states = tuple(hx) if self._states > 1 else (hx,)
        if alone:
            states = tuple(np.expand_dims(s, -2) for s in states)
        if len(states) != self._states or any(s.shape != shape for s in states):
            got = [getattr(s, "shape", s) for s in states]
            raise ValueError(
                f"{type(self).__name__} takes {self._states} state(s) of shape {shape}, got {got}"
            )
        return states

    def _handed(self, states: tuple[Any, ...], alone: bool) -> Any:
        """Return states as a caller gets them."""
        if alone:
            states = tuple(np.squeeze(s, -2) for s in states)
        return states if self._states > 1 else states[0]

    def _last(self, made: Any) -> tuple[Any, ...]:
        """Return the last state: the rows end with the hidden state, the cell is before it."""
        h = self.hidden_size
        hidden = np.transpose(made[-1, -h:])
        return (hidden,) if self._states == 1 else (hidden, np.transpose(made[-1, -2 * h : -h]))

    def _set_nonlinearity(self, name: str) -> None:
        if name not in ("tanh", "relu"):
            raise ValueError(f'nonlinearity must be "tanh" or "relu", not {name!r}')
        self.nonlinearity = name

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}"


class _Layers(_Recurrent):
    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
        dtype: Any = None, rng: RngLike = None,
    ) -> None:  # fmt: skip
        at_least_1(self, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        if not 0 <= dropout <= 1:
            raise ValueError(f"dropout must be a probability from 0 to 1, not {dropout}")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, dropout
        self.bidirectional, self.rng = bidirectional, rng if rng is None else generator(rng)
        self._directions = ("", "_reverse") if bidirectional else ("",)
        for layer in range(num_layers):
            inputs = input_size if layer == 0 else hidden_size * len(self._directions)
            for direction in self._directions:
                self._weights(inputs, bias, dtype, self.rng, f"_l{layer}{direction}")

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """Return the hidden states of the last layer at all times, and the last state of each.

        `input` is `(T, N, input_size)`, with `batch_first` `(N, T, input_size)`, or without a
        batch `(T, input_size)`. A state is `(num_layers * directions, N, hidden_size)`; `hx` is
        the first one, by default 0. The output is `(T, N, directions * hidden_size)`.
        """
        name, alone = type(self).__name__, input.ndim == 2
        if input.ndim not in (2, 3) or input.shape[-1] != self.input_size:
            axes = "N, T" if self.batch_first else "T, N"
            raise ValueError(
                f"{name} takes an input ({axes}, {self.input_size}) or (T, {self.input_size}), "
                f"not {input.shape}"
            )
        if alone:
            x = np.expand_dims(input, 1)
        else:
            x = np.swapaxes(input, 0, 1) if self.batch_first else input
        if not x.shape[0]:
            raise ValueError(f"{name} got a sequence of no steps: {input.shape}")
        h, directions = self.hidden_size, self._directions
        shape = (self.num_layers * len(directions), x.shape[1], h)
        first = self._first(hx, alone, shape, x.dtype)
        ends: list[tuple[Any, ...]] = []
        for layer in range(self.num_layers):
            if layer and self.dropout and self.training:
                x = F.dropout(x, self.dropout, rng=self.rng)
            outs = []
            for direction in directions:
                state = tuple(s[len(ends)] for s in first)
                names = (f"{name}_l{layer}{direction}" for name in WEIGHTS)
                weights = (getattr(self, name, None) for name in names)
                made = self._run(x[::-1] if direction else x, state, *weights)
                out = np.transpose(made[:, -h:], (0, 2, 1))
                outs.append(out[::-1] if direction else out)
                ends.append(self._last(made))
            x = outs[0] if len(outs) == 1 else np.concatenate(outs, axis=2)
        last = tuple(np.stack(states) for states in zip(*ends, strict=True))
        if alone:
            x = np.squeeze(x, 1)
        elif self.batch_first:
            x = np.swapaxes(x, 0, 1)
        return x, self._handed(last, alone)

    def extra_repr(self) -> str:
        return super().extra_repr() + not_usual(
            self, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False
        )


class RNN(_Layers):
    """Layers of `h = tanh(W_ih x + b_ih + W_hh h + b_hh)` over a sequence; or relu for tanh.

    All weights are uniform within `1 / sqrt(hidden_size)`. Called with `(input, h_0)`; returns
    the outputs and the last hidden states.

    >>> out, h = rg.nn.RNN(3, 4, num_layers=2)(np.ones((5, 2, 3)))
    >>> out.shape, h.shape
    ((5, 2, 4), (2, 2, 4))
    """

    _function = staticmethod(rnn)

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh",
        bias: bool = True, batch_first: bool = False, dropout: float = 0.0,
        bidirectional: bool = False, dtype: Any = None, rng: RngLike = None,
    ) -> None:  # fmt: skip
        self._set_nonlinearity(nonlinearity)
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype,
            rng,
        )  # fmt: skip


class LSTM(_Layers):
    """Layers of long short-term memory over a sequence (Hochreiter and Schmidhuber 1997).

    As `RNN`, called with `(input, (h_0, c_0))`; returns the outputs and the last `(h, c)`. The
    rows of the gates are in the order i, f, g, o.

    >>> out, (h, c) = rg.nn.LSTM(3, 4, bidirectional=True)(np.ones((5, 2, 3)))
    >>> out.shape, h.shape, c.shape
    ((5, 2, 8), (2, 2, 4), (2, 2, 4))
    """

    _function, _gates, _states = staticmethod(lstm), 4, 2


class GRU(_Layers):
    """Layers of gated recurrent units over a sequence (Cho et al. 2014).

    As `RNN`. The rows of the gates are in the order r, z, n.
    """

    _function, _gates = staticmethod(gru), 3


class _Cell(_Recurrent):
    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, dtype: Any = None,
        rng: RngLike = None,
    ) -> None:  # fmt: skip
        at_least_1(self, input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size = input_size, hidden_size
        self._weights(input_size, bias, dtype, generator(rng))

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Return the next state; `input` is `(N, input_size)` or `(input_size,)`."""
        alone = input.ndim == 1
        if input.ndim not in (1, 2) or input.shape[-1] != self.input_size:
            raise ValueError(
                f"{type(self).__name__} takes an input (N, {self.input_size}), not {input.shape}"
            )
        if alone:
            input = input[None]
        first = self._first(hx, alone, (input.shape[0], self.hidden_size), input.dtype)
        weights = (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        return self._handed(self._last(self._run(input[None], first, *weights)), alone)


class RNNCell(_Cell):
    """One step of an `RNN`: `(input, h)` to the next `h`, `(N, hidden_size)`."""

    _function = staticmethod(rnn)

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh",
        dtype: Any = None, rng: RngLike = None,
    ) -> None:  # fmt: skip
        self._set_nonlinearity(nonlinearity)
        super().__init__(input_size, hidden_size, bias, dtype, rng)


class LSTMCell(_Cell):
    """One step of an `LSTM`: `(input, (h, c))` to the next `(h, c)`, each `(N, hidden_size)`.

    >>> h, c = rg.nn.LSTMCell(3, 4)(np.ones((2, 3)))
    >>> h.shape, c.shape
    ((2, 4), (2, 4))
    """

    _function, _gates, _states = staticmethod(lstm), 4, 2


class GRUCell(_Cell):
    """One step of a `GRU`: `(input, h)` to the next `h`, `(N, hidden_size)`."""

    _function, _gates = staticmethod(gru), 3


# Attention ---------------------------------------------------------------------------------------


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
    before its part. `activation` is "relu", "gelu" or a function. See `TransformerEncoder`.
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
