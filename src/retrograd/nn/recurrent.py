"""Recurrent layers and cells."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retrograd.core import Tensor
from retrograd.nn import functional as F
from retrograd.nn.functional.recurrent import gru, lstm, rnn
from retrograd.nn.init import uniform_
from retrograd.nn.layers import at_least_1, not_usual
from retrograd.nn.module import Module, new_parameter
from retrograd.random import RngLike, generator


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
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, inputs), "weight_hh": (rows, self.hidden_size),
            "bias_ih": (rows,), "bias_hh": (rows,),
        }  # fmt: skip
        for name, shape in shapes.items():
            if bias or len(shape) == 2:
                parameter = uniform_(new_parameter(shape, dtype), -bound, bound, rng)
                setattr(self, name + suffix, parameter)
            elif not suffix:
                setattr(self, name, None)

    def _run(self, x: Any, state: tuple[Any, ...], suffix: str = "") -> Any:
        """Return all that the steps of one layer in one direction made, the hidden states last."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weights = [getattr(self, name + suffix, None) for name in names]
        options = {"nonlinearity": self.nonlinearity} if self._function is rnn else {}
        return self._function(x, *state, *weights, **options)

    def _first(self, hx: Any, shape: tuple[int, ...], dtype: Any) -> tuple[Any, ...]:
        """Return the arrays of the first state, zeros where none is given, checked."""
        if hx is None:
            return (np.zeros(shape, dtype),) * self._states
        if len(hx) != self._states or any(s.shape != shape for s in hx):
            got = [getattr(s, "shape", s) for s in hx]
            raise ValueError(
                f"{type(self).__name__} takes {self._states} state(s) of shape {shape}, got {got}"
            )
        return tuple(hx)

    def _last(self, made: Any) -> tuple[Any, ...]:
        """Return the last state: the rows end with the hidden state, the cell is before it."""
        h, ends = self.hidden_size, range(made.shape[1], 0, -self.hidden_size)
        return tuple(np.transpose(made[-1, end - h : end]) for end in ends[: self._states])

    def _set_nonlinearity(self, name: str) -> None:
        if name not in ("tanh", "relu"):
            raise ValueError(f'nonlinearity must be "tanh" or "relu", not {name!r}')
        self.nonlinearity = name


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
        axis = 0 if self.batch_first else 1  # of the batch
        alone = input.ndim == 2
        if hx is not None and self._states == 1:
            hx = (hx,)
        if alone:
            input = np.expand_dims(input, axis)
            hx = None if hx is None else tuple(np.expand_dims(s, 1) for s in hx)
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
        ends = []
        for layer in range(self.num_layers):
            if layer and self.dropout and self.training:
                x = F.dropout(x, self.dropout, rng=self.rng)
            outs = []
            for i, direction in enumerate(directions):
                state = tuple(s[layer * len(directions) + i] for s in first)
                made = self._run(x[::-1] if direction else x, state, f"_l{layer}{direction}")
                out = np.transpose(made[:, -h:], (0, 2, 1))
                outs.append(out[::-1] if direction else out)
                ends.append(self._last(made))
            x = outs[0] if len(outs) == 1 else np.concatenate(outs, axis=2)
        last = tuple(np.stack(states) for states in zip(*ends, strict=True))
        out = np.swapaxes(x, 0, 1) if self.batch_first else x
        if alone:
            out, last = np.squeeze(out, axis), tuple(np.squeeze(s, 1) for s in last)
        return out, last if self._states > 1 else last[0]

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + not_usual(
            self, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False
        )


class RNN(_Layers):
    """Layers of `h = tanh(W_ih x + b_ih + W_hh h + b_hh)` over a sequence; or relu for tanh.

    All weights are uniform within `1 / sqrt(hidden_size)`. Called with `(input, h_0)`; returns
    the outputs and the last hidden states.

    >>> import numpy as np, retrograd as rg
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

    All weights are uniform within `1 / sqrt(hidden_size)`, the rows of the gates in the order
    i, f, g, o. Called with `(input, (h_0, c_0))`; returns the outputs and the last `(h, c)`.

    >>> import numpy as np, retrograd as rg
    >>> out, (h, c) = rg.nn.LSTM(3, 4, bidirectional=True)(np.ones((5, 2, 3)))
    >>> out.shape, h.shape, c.shape
    ((5, 2, 8), (2, 2, 4), (2, 2, 4))
    """

    _function, _gates, _states = staticmethod(lstm), 4, 2


class GRU(_Layers):
    """Layers of gated recurrent units over a sequence (Cho et al. 2014): see `RNN`.

    The rows of the gates are in the order r, z, n.

    >>> import numpy as np, retrograd as rg
    >>> out, h = rg.nn.GRU(3, 4, batch_first=True)(np.ones((2, 5, 3)))
    >>> out.shape, h.shape
    ((2, 5, 4), (1, 2, 4))
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
        if hx is not None and self._states == 1:
            hx = (hx,)
        if alone:
            input, hx = input[None], None if hx is None else tuple(s[None] for s in hx)
        if input.ndim != 2 or input.shape[1] != self.input_size:
            raise ValueError(
                f"{type(self).__name__} takes an input (N, {self.input_size}), not {input.shape}"
            )
        first = self._first(hx, (input.shape[0], self.hidden_size), input.dtype)
        last = self._last(self._run(input[None], first))
        if alone:
            last = tuple(s[0] for s in last)
        return last if self._states > 1 else last[0]

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}"


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

    >>> import numpy as np, retrograd as rg
    >>> h, c = rg.nn.LSTMCell(3, 4)(np.ones((2, 3)))
    >>> h.shape, c.shape
    ((2, 4), (2, 4))
    """

    _function, _gates, _states = staticmethod(lstm), 4, 2


class GRUCell(_Cell):
    """One step of a `GRU`: `(input, h)` to the next `h`, `(N, hidden_size)`."""

    _function, _gates = staticmethod(gru), 3
