"""Recurrent layers and cells."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retrograd.core import Tensor
from retrograd.nn import functional as F
from retrograd.nn import init
from retrograd.nn.functional.recurrent import gru, lstm, rnn
from retrograd.nn.layers import at_least_1
from retrograd.nn.module import Module, new_parameter
from retrograd.random import RngLike, generator

Weights = tuple[Any, Any, Any, Any]  # of the input, of the state, and the biases, maybe None


class _Recurrent(Module):
    """What layers and cells share: the weights of one layer in one direction, and its run."""

    _gates = 1  # blocks of rows in each weight
    _states = 1  # arrays in the state

    input_size: int
    hidden_size: int

    def _weights(self, inputs: int, bias: bool, dtype: Any, rng: Any, suffix: str = "") -> None:
        h = self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (self._gates * h, inputs)}
        shapes["weight_hh"] = (self._gates * h, h)
        for name in ("bias_ih", "bias_hh"):
            if bias:
                shapes[name] = (self._gates * h,)
            elif not suffix:
                setattr(self, name, None)
        for name, shape in shapes.items():
            parameter = new_parameter(shape, dtype)
            setattr(self, name + suffix, init.uniform_(parameter, *_within(h), rng))

    def _run(self, x: Any, state: tuple[Any, ...], weights: Weights) -> Any:
        """Return what `functional.recurrent` does for one layer in one direction."""
        raise NotImplementedError

    def _first(self, hx: Any, shape: tuple[int, ...], dtype: Any) -> tuple[Any, ...]:
        """Return the arrays of the first state, zeros where none is given, checked."""
        if hx is None:
            return (np.zeros(shape, dtype),) * self._states
        states = hx if self._states > 1 else (hx,)
        if len(states) != self._states or any(s.shape != shape for s in states):
            got = [getattr(s, "shape", s) for s in states]
            raise ValueError(
                f"{type(self).__name__} takes {self._states} state(s) of shape {shape}, got {got}"
            )
        return tuple(states)


def _within(hidden: int) -> tuple[float, float]:
    bound = 1 / math.sqrt(hidden)
    return -bound, bound


class _Rnn(_Recurrent):
    _gates, _states = 1, 1
    nonlinearity = "tanh"

    def _run(self, x: Any, state: tuple[Any, ...], weights: Weights) -> Any:
        return rnn(x, state[0], *weights, nonlinearity=self.nonlinearity)


class _Lstm(_Recurrent):
    _gates, _states = 4, 2

    def _run(self, x: Any, state: tuple[Any, ...], weights: Weights) -> Any:
        return lstm(x, state[0], state[1], *weights)


class _Gru(_Recurrent):
    _gates, _states = 3, 1

    def _run(self, x: Any, state: tuple[Any, ...], weights: Weights) -> Any:
        return gru(x, state[0], *weights)


class _Layers(_Recurrent):
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        dtype: Any = None,
        rng: RngLike = None,
    ) -> None:
        at_least_1(
            type(self).__name__,
            input_size=input_size, hidden_size=hidden_size, num_layers=num_layers,
        )  # fmt: skip
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
        if input.ndim == 2:
            axis = 0 if self.batch_first else 1
            if hx is not None:
                states = hx if self._states > 1 else (hx,)
                hx = tuple(np.expand_dims(s, 1) for s in states)
                hx = hx if self._states > 1 else hx[0]
            out, last = self.forward(np.expand_dims(input, axis), hx)
            alone = tuple(np.squeeze(s, axis=1) for s in (last if self._states > 1 else (last,)))
            return np.squeeze(out, axis=axis), alone if self._states > 1 else alone[0]
        if input.ndim != 3 or input.shape[2] != self.input_size:
            axes = "(N, T, {0})" if self.batch_first else "(T, N, {0})"
            raise ValueError(
                f"{type(self).__name__} takes an input {axes.format(self.input_size)} or "
                f"(T, {self.input_size}), not {input.shape}"
            )
        x = np.swapaxes(input, 0, 1) if self.batch_first else input
        if not x.shape[0]:
            raise ValueError(f"{type(self).__name__} got a sequence of no steps: {input.shape}")
        h, directions = self.hidden_size, self._directions
        first = self._first(hx, (self.num_layers * len(directions), x.shape[1], h), x.dtype)
        ends: list[list[Any]] = [[] for _ in first]
        for layer in range(self.num_layers):
            if layer and self.dropout and self.training:
                x = F.dropout(x, self.dropout, rng=self.rng)
            outs = []
            for i, direction in enumerate(directions):
                at = layer * len(directions) + i
                made = self._run(
                    x[::-1] if direction else x,
                    tuple(s[at] for s in first),
                    self._parameters(f"_l{layer}{direction}"),
                )
                out = np.transpose(made[:, -h:], (0, 2, 1))
                outs.append(out[::-1] if direction else out)
                for j, end in enumerate(ends):  # the hidden state last, the cell before it
                    rows = made.shape[1] - j * h
                    end.append(np.transpose(made[-1, rows - h : rows]))
            x = outs[0] if len(outs) == 1 else np.concatenate(outs, axis=2)
        last = tuple(np.stack(end) for end in ends)
        out = np.swapaxes(x, 0, 1) if self.batch_first else x
        return out, last if self._states > 1 else last[0]

    def _parameters(self, suffix: str) -> Weights:
        bias_ih, bias_hh = (getattr(self, name + suffix, None) for name in ("bias_ih", "bias_hh"))
        return (
            getattr(self, "weight_ih" + suffix), getattr(self, "weight_hh" + suffix),
            bias_ih, bias_hh,
        )  # fmt: skip

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        for name, usual in (
            ("num_layers", 1), ("bias", True), ("batch_first", False), ("dropout", 0.0),
            ("bidirectional", False),
        ):  # fmt: skip
            if getattr(self, name) != usual:
                text += f", {name}={getattr(self, name)}"
        return text


class RNN(_Layers, _Rnn):
    """Layers of `h = tanh(W_ih x + b_ih + W_hh h + b_hh)` over a sequence; or relu for tanh.

    All weights are uniform within `1 / sqrt(hidden_size)`. Called with `(input, h_0)`; returns
    the outputs and the last hidden states.

    >>> import numpy as np, retrograd as rg
    >>> out, h = rg.nn.RNN(3, 4, num_layers=2)(np.ones((5, 2, 3)))
    >>> out.shape, h.shape
    ((5, 2, 4), (2, 2, 4))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        dtype: Any = None,
        rng: RngLike = None,
    ) -> None:
        self.nonlinearity = _nonlinearity(nonlinearity)
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype,
            rng,
        )  # fmt: skip


def _nonlinearity(name: str) -> str:
    if name not in ("tanh", "relu"):
        raise ValueError(f'nonlinearity must be "tanh" or "relu", not {name!r}')
    return name


class LSTM(_Layers, _Lstm):
    """Layers of long short-term memory over a sequence (Hochreiter and Schmidhuber 1997).

    All weights are uniform within `1 / sqrt(hidden_size)`, the rows of the gates in the order
    i, f, g, o. Called with `(input, (h_0, c_0))`; returns the outputs and the last `(h, c)`.

    >>> import numpy as np, retrograd as rg
    >>> out, (h, c) = rg.nn.LSTM(3, 4, bidirectional=True)(np.ones((5, 2, 3)))
    >>> out.shape, h.shape, c.shape
    ((5, 2, 8), (2, 2, 4), (2, 2, 4))
    """


class GRU(_Layers, _Gru):
    """Layers of gated recurrent units over a sequence (Cho et al. 2014).

    All weights are uniform within `1 / sqrt(hidden_size)`, the rows of the gates in the order
    r, z, n. Called with `(input, h_0)`; returns the outputs and the last hidden states.

    >>> import numpy as np, retrograd as rg
    >>> out, h = rg.nn.GRU(3, 4, batch_first=True)(np.ones((2, 5, 3)))
    >>> out.shape, h.shape
    ((2, 5, 4), (1, 2, 4))
    """


class _Cell(_Recurrent):
    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        dtype: Any = None,
        rng: RngLike = None,
    ) -> None:
        at_least_1(type(self).__name__, input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size = input_size, hidden_size
        self._weights(input_size, bias, dtype, generator(rng))

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Return the next state; `input` is `(N, input_size)` or `(input_size,)`."""
        if input.ndim == 1:
            if hx is not None:
                hx = tuple(s[None] for s in hx) if self._states > 1 else hx[None]
            states = self.forward(input[None], hx)
            return tuple(s[0] for s in states) if self._states > 1 else states[0]
        if input.ndim != 2 or input.shape[1] != self.input_size:
            raise ValueError(
                f"{type(self).__name__} takes an input (N, {self.input_size}), not {input.shape}"
            )
        h = self.hidden_size
        state = self._first(hx, (input.shape[0], h), input.dtype)
        weights = (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        made = self._run(input[None], state, weights)
        hidden = np.transpose(made[0, -h:])
        return hidden if self._states == 1 else (hidden, np.transpose(made[0, -2 * h : -h]))

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}"


class RNNCell(_Cell, _Rnn):
    """One step of an `RNN`: `(input, h)` to the next `h`, `(N, hidden_size)`.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.RNNCell(3, 4)(np.ones((2, 3))).shape
    (2, 4)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        dtype: Any = None,
        rng: RngLike = None,
    ) -> None:
        self.nonlinearity = _nonlinearity(nonlinearity)
        super().__init__(input_size, hidden_size, bias, dtype, rng)


class LSTMCell(_Cell, _Lstm):
    """One step of an `LSTM`: `(input, (h, c))` to the next `(h, c)`, each `(N, hidden_size)`.

    >>> import numpy as np, retrograd as rg
    >>> h, c = rg.nn.LSTMCell(3, 4)(np.ones((2, 3)))
    >>> h.shape, c.shape
    ((2, 4), (2, 4))
    """


class GRUCell(_Cell, _Gru):
    """One step of a `GRU`: `(input, h)` to the next `h`, `(N, hidden_size)`.

    >>> import numpy as np, retrograd as rg
    >>> rg.nn.GRUCell(3, 4)(np.ones((2, 3))).shape
    (2, 4)
    """
