"""Recurrent layers and cells, attention and transformers."""

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd.engine import defvjp, primitive
from retrograd.nn import functional as F
from retrograd.nn.functional.attention import additive_mask, causal, mixture, weigh
from retrograd.nn.functional.recurrent import gru, lstm, rnn
from retrograd.nn.init import uniform_, xavier_uniform_
from retrograd.nn.layers import (
    Dropout,
    LayerNorm,
    Linear,
    ModuleList,
    at_least_1,
    kept,
    not_usual,
    probability,
)
from retrograd.nn.module import Module, new_parameter
from retrograd.random import RngLike, generator

WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class _Recurrent(Module):
    _function: Any
    _gates = 1  # blocks of rows in weights
    _states = 1  # arrays in the state
    input_size: int
    hidden_size: int

    def _weights(self, inputs: int, bias: bool, dtype: Any, rng: Any, suffix: str = "") -> None:
        h = self.hidden_size
        rows, bound = self._gates * h, 1 / math.sqrt(h)
        shapes: Any = ((rows, inputs), (rows, h), (rows,), (rows,))
        for name, shape in zip(WEIGHTS, shapes, strict=True):
            given = bias or len(shape) == 2
            parameter = uniform_(new_parameter(shape, dtype), -bound, bound, rng) if given else None
            setattr(self, name + suffix, parameter)

    def _run(self, x: Any, state: tuple[Any, ...], suffix: str = "") -> Any:
        weights = (getattr(self, name + suffix) for name in WEIGHTS)
        options = {"nonlinearity": self.nonlinearity} if self._function is rnn else {}
        return self._function(x, *state, *weights, **options)

    def _first(self, hx: Any, alone: bool, shape: tuple[int, ...], dtype: Any) -> tuple[Any, ...]:
        if hx is None:
            return (np.zeros(shape, dtype),) * self._states
        states = tuple(hx) if self._states > 1 else (hx,)
        if alone:
            states = tuple(np.expand_dims(s, -2) for s in states)
        got, fits = [getattr(s, "shape", s) for s in states], [shape] * self._states
        if got != fits:
            raise ValueError(f"{type(self).__name__} takes a state {fits}, not {got}")
        return states

    def _handed(self, states: tuple[Any, ...], alone: bool) -> Any:
        if alone:
            states = tuple(np.squeeze(s, -2) for s in states)
        return states if self._states > 1 else states[0]

    def _last(self, made: Any) -> tuple[Any, ...]:
        h = self.hidden_size  # the last rows, after the cell
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
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.bidirectional = bias, batch_first, bidirectional
        self.dropout, self.rng = probability(self, dropout), kept(rng)
        self._directions = ("", "_reverse")[: 1 + bidirectional]
        for layer in range(num_layers):
            inputs = hidden_size * len(self._directions) if layer else input_size
            for direction in self._directions:
                self._weights(inputs, bias, dtype, self.rng, f"_l{layer}{direction}")

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """Return the hidden states of the last layer, and the last state of each.

        `(T, N, input_size)` (with `batch_first` `(N, T, input_size)`) or `(T, input_size)` gives
        `directions * hidden_size` features. The first state `hx`, by default 0, is `(num_layers *
        directions, N, hidden_size)`.
        """
        x, name, n, alone = input, type(self).__name__, self.input_size, input.ndim == 2
        if x.ndim not in (2, 3) or x.shape[-1] != n:
            axes = "N, T" if self.batch_first else "T, N"
            raise ValueError(f"{name} takes an input ({axes}, {n}) or (T, {n}), not {x.shape}")
        if alone:
            x = np.expand_dims(x, 1)
        elif self.batch_first:
            x = np.swapaxes(x, 0, 1)
        if not x.shape[0]:
            raise ValueError(f"{name} got no steps: {input.shape}")
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
                made = self._run(x[::-1] if direction else x, state, f"_l{layer}{direction}")
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
    """Layers of `h = tanh(W_ih x + b_ih + W_hh h + b_hh)` over a sequence, or relu for tanh.

    Weights are uniform within `1 / sqrt(hidden_size)`. `(input, h_0)` to the outputs and `h`.

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
    """As `RNN`, of long short-term memory: `(input, (h_0, c_0))` to the outputs and `(h, c)`.

    Rows are in the order i, f, g, o (Hochreiter and Schmidhuber 1997).

    >>> out, (h, c) = rg.nn.LSTM(3, 4, bidirectional=True)(np.ones((5, 2, 3)))
    >>> out.shape, h.shape, c.shape
    ((5, 2, 8), (2, 2, 4), (2, 2, 4))
    """

    _function, _gates, _states = staticmethod(lstm), 4, 2


class GRU(_Layers):
    """As `RNN`, of gated recurrent units, rows in the order r, z, n (Cho et al. 2014)."""

    _function, _gates = staticmethod(gru), 3


class _Cell(_Recurrent):
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
        return self._handed(self._last(self._run(input[None], first)), alone)


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
    """One step of an `LSTM`: `(input, (h, c))` to the next `(h, c)`."""

    _function, _gates, _states = staticmethod(lstm), 4, 2


class GRUCell(_Cell):
    """One step of a `GRU`: `(input, h)` to the next `h`."""

    _function, _gates = staticmethod(gru), 3


# Attention


@primitive
def unstack3(x: Any) -> Any:
    """Return the parts along axis 0."""
    return x[0], x[1], x[2]


defvjp(unstack3, lambda g, out, x: np.stack(g), multi=True)


class MultiheadAttention(Module):
    """Attention in `num_heads` parts of `embed_dim` (Vaswani et al. 2017).

    `in_proj_weight` `(3 * embed_dim, embed_dim)`, or with `kdim` or `vdim` three weights, make
    queries, keys and values; xavier_uniform, biases 0.

    >>> x = np.ones((3, 5, 8))
    >>> out, weights = rg.nn.MultiheadAttention(8, 2, batch_first=True)(x, x, x)
    >>> out.shape, weights.shape
    ((3, 5, 8), (3, 5, 5))
    """

    in_proj_weight: Any

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True, *,
        kdim: int | None = None, vdim: int | None = None, batch_first: bool = False,
        dtype: Any = None, rng: RngLike = None,
    ) -> None:  # fmt: skip
        at_least_1(self, embed_dim=embed_dim, num_heads=num_heads)
        if embed_dim % num_heads:
            raise ValueError(f"MultiheadAttention: {num_heads} heads of {embed_dim} features")
        self.embed_dim, self.num_heads, self.batch_first = embed_dim, num_heads, batch_first
        self.dropout, self.rng = dropout, kept(rng)
        self.kdim, self.vdim = kdim or embed_dim, vdim or embed_dim

        shapes = {"in_proj_weight": (3 * embed_dim, embed_dim)}
        if not self.kdim == self.vdim == embed_dim:
            self.in_proj_weight = None
            widths = {"q": embed_dim, "k": self.kdim, "v": self.vdim}
            shapes = {f"{name}_proj_weight": (embed_dim, n) for name, n in widths.items()}
        for name, shape in shapes.items():
            setattr(self, name, xavier_uniform_(new_parameter(shape, dtype), rng=self.rng))
        self.in_proj_bias = new_parameter((3 * embed_dim,), dtype) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias, dtype, self.rng)
        if bias:
            self.out_proj.bias = new_parameter((embed_dim,), dtype)

    def forward(
        self, query: Any, key: Any, value: Any, key_padding_mask: Any = None,
        need_weights: bool = True, attn_mask: Any = None, average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Any, Any]:  # fmt: skip
        """Return the output, like the query, and the weights `(N, T, S)` or None.

        Queries are `(T, N, E)`, keys and values `(S, N, E)` (`kdim`, `vdim`), with `batch_first` N
        first; it may be left out. `key_padding_mask` is `(N, S)`, `attn_mask` `(T, S)` or
        `(N * num_heads, T, S)`: numbers are added to scores, true means may not attend. Without
        `average_attn_weights` the weights are `(N, num_heads, T, S)`.
        """
        batch, alone = 0 if self.batch_first else 1, query.ndim == 2
        if alone:
            batched = {id(x): np.expand_dims(x, batch) for x in (query, key, value)}
            query, key, value = (batched[id(x)] for x in (query, key, value))
            if key_padding_mask is not None:
                key_padding_mask = key_padding_mask[None]
        widths, given = (self.embed_dim, self.kdim, self.vdim), (query, key, value)
        if (
            any(x.ndim != 3 or x.shape[batch] != query.shape[batch] for x in given)
            or tuple(x.shape[2] for x in given) != widths
            or key.shape[:2] != value.shape[:2]
        ):
            axes = "(N, T, {})" if self.batch_first else "(T, N, {})"
            raise ValueError(
                f"MultiheadAttention takes {', '.join(map(axes.format, widths))}; got "
                f"{query.shape}, {key.shape}, {value.shape}"
            )
        q, k, v = self._heads(given)
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

    def _heads(self, given: tuple[Any, Any, Any]) -> Any:
        """Return queries, keys and values `(N, heads, T, features)`."""
        e, heads = self.embed_dim, (self.num_heads, self.embed_dim // self.num_heads)
        packed, bias = self.in_proj_weight, self.in_proj_bias
        if packed is not None and given[0] is given[1] is given[2]:
            made = F.linear(given[0], packed, bias)
            axes = (2, 0, 3, 1, 4) if self.batch_first else (2, 1, 3, 0, 4)
            return unstack3(np.transpose(made.reshape((*made.shape[:2], 3, *heads)), axes))
        order, parts = (0, 2, 1, 3) if self.batch_first else (1, 2, 0, 3), []
        for i, (x, name) in enumerate(zip(given, "qkv", strict=True)):
            rows = slice(i * e, (i + 1) * e)
            weight = getattr(self, f"{name}_proj_weight") if packed is None else packed[rows]
            part = F.linear(x, weight, None if bias is None else bias[rows])
            parts.append(np.transpose(part.reshape((*part.shape[:2], *heads)), order))
        return parts

    def _mask(self, q: Any, k: Any, padding: Any, mask: Any, is_causal: bool) -> Any:
        """Return what is added to the scores, transposed."""
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


class TransformerEncoderLayer(Module):
    """Self-attention, then two linear layers (Vaswani et al. 2017).

    `(T, N, d_model)`, with `batch_first` `(N, T, d_model)`. `activation` is "relu", "gelu" or a
    function.
    """

    def __init__(
        self, d_model: int, nhead: int, dim_feedforward: int = 2048, dropout: float = 0.1,
        activation: str | Callable[[Any], Any] = "relu", layer_norm_eps: float = 1e-5,
        batch_first: bool = False, norm_first: bool = False, bias: bool = True,
        dtype: Any = None, rng: RngLike = None,
    ) -> None:  # fmt: skip
        rng = kept(rng)
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
        known: Any = {"relu": F.relu, "gelu": F.gelu}
        if isinstance(activation, str) and activation not in known:
            raise ValueError(f'activation must be "relu", "gelu" or a function, not {activation!r}')
        self.activation = known.get(activation, activation)

    def forward(
        self, src: Any, src_mask: Any = None, src_key_padding_mask: Any = None,
        is_causal: bool = False,
    ) -> Any:  # fmt: skip
        """Apply all parts; see `MultiheadAttention` for masks."""

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
    """`num_layers` copies of a layer, then `norm`; `enable_nested_tensor` does nothing.

    >>> layer = rg.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    >>> rg.nn.TransformerEncoder(layer, 2)(np.ones((3, 5, 8))).shape
    (3, 5, 8)
    """

    def __init__(
        self, encoder_layer: Module, num_layers: int, norm: Module | None = None,
        enable_nested_tensor: bool = False,
    ) -> None:  # fmt: skip
        at_least_1(self, num_layers=num_layers)
        held = [v for m in encoder_layer.modules() for v in vars(m).values()]
        shared = {id(v): v for v in held if isinstance(v, np.random.Generator)}
        # a copied generator would drop the same elements again
        copies = (copy.deepcopy(encoder_layer, {**shared}) for _ in range(num_layers))
        self.layers = ModuleList(copies)
        self.num_layers, self.norm = num_layers, norm

    def forward(
        self, src: Any, mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False
    ) -> Any:
        """Apply all parts; see `MultiheadAttention` for masks."""
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, is_causal)
        return src if self.norm is None else self.norm(src)
