"""Recurrent layers as Modules: they go over a sequence and carry a state from step to step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.checks import (
    check_device,
    check_probability,
    check_sizes,
    ensure,
    one_of,
    whole,
)
from retrograd.engine import Tensor, TensorLike
from retrograd.nn import functional as F
from retrograd.nn.dropping import generator_to_keep
from retrograd.nn.functional.recurrent import gru, lstm, rnn
from retrograd.nn.init import uniform_
from retrograd.nn.module import Module
from retrograd.nn.parameter import new_parameter
from retrograd.nn.reprs import unusual
from retrograd.random import RngLike

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    State = TensorLike | tuple[TensorLike, TensorLike]
    States = tuple[Any, ...]

WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class Recurrent(Module):
    """What layers and cells share: the weights of one layer in one direction, and its states.

    The functions that make the steps return all that each step made in rows `(T, rows, N)`, of
    which the last `hidden_size` are the hidden state; see `functional`.
    """

    _gates: int  # how many blocks of `hidden_size` rows each weight has
    _states: int  # how many arrays there are in a state

    input_size: int
    hidden_size: int
    proj_size: int = 0  # of an LSTM: how many features its hidden state is brought to

    @property
    def _out_size(self) -> int:
        """How many features the hidden state has."""
        return self.proj_size or self.hidden_size

    def _steps(self, x: Any, state: States, weights: States) -> Any:
        """Return what all steps over `x` `(T, N, features)` made."""
        raise NotImplementedError

    def _make_weights(
        self, features: int, bias: bool, dtype: Any, rng: Any, suffix: str = ""
    ) -> None:
        """Set the weights of one layer in one direction, drawn uniformly; biases may be None."""
        h = self.hidden_size
        rows, bound = self._gates * h, 1 / math.sqrt(h)
        shapes: Any = ((rows, features), (rows, self._out_size), (rows,), (rows,))
        named = [*zip(WEIGHTS, shapes, strict=True)]
        if self.proj_size:
            named.append(("weight_hr", (self.proj_size, h)))
        for name, shape in named:
            parameter = None
            if bias or len(shape) == 2:
                parameter = uniform_(new_parameter(shape, dtype), -bound, bound, rng)
            setattr(self, name + suffix, parameter)

    def _run(self, x: Any, state: States, suffix: str = "") -> Any:
        """Return what all steps of one layer in one direction made."""
        names = (*WEIGHTS, "weight_hr") if self.proj_size else WEIGHTS
        return self._steps(x, state, tuple(getattr(self, name + suffix) for name in names))

    def _first_state(self, hx: Any, alone: bool, shape: tuple[int, ...], dtype: Any) -> States:
        """Return the arrays of a first state, 0 where none is given; ValueError for other shapes.

        `alone` says that the axis of the batch is left out.
        """
        shapes = [(*shape[:-1], self._out_size), shape][: self._states]
        if hx is None:
            return tuple(np.zeros(each, dtype) for each in shapes)
        states = tuple(hx) if self._states > 1 else (hx,)
        if alone:
            states = tuple(np.expand_dims(s, -2) for s in states)
        got = [getattr(s, "shape", s) for s in states]
        if got != shapes:
            raise ValueError(f"{type(self).__name__} takes a state {shapes}, not {got}")
        return states

    def _last_state(self, made: Any) -> States:
        """Return the arrays of the state after the last step: a hidden one, then that of a cell."""
        out = self._out_size
        hidden = made[-1, -out:].T
        if self._states == 1:
            return (hidden,)
        return hidden, made[-1, -out - self.hidden_size : -out].T

    def _state_for_user(self, states: States, alone: bool) -> Any:
        """Return a state as users have it: one array or a pair, without a batch as it came."""
        if alone:
            states = tuple(np.squeeze(s, -2) for s in states)
        return states if self._states > 1 else states[0]

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}"


class RnnSteps(Recurrent):
    """Steps `h = tanh(w_ih @ x + b_ih + w_hh @ h + b_hh)`, or with relu for tanh."""

    _gates, _states = 1, 1
    nonlinearity: str

    def _set_nonlinearity(self, nonlinearity: str) -> None:
        one_of("nonlinearity", nonlinearity, "tanh", "relu")
        self.nonlinearity = nonlinearity

    def _steps(self, x: Any, state: States, weights: States) -> Any:
        return rnn(x, *state, *weights, nonlinearity=self.nonlinearity)  # type: ignore[misc]


class LstmSteps(Recurrent):
    """Steps of long short-term memory, with a state `(h, c)`."""

    _gates, _states = 4, 2

    def _steps(self, x: Any, state: States, weights: States) -> Any:
        if self.proj_size:
            return _projected_steps(x, *state, *weights)
        return lstm(x, *state, *weights)


def _projected_steps(
    x: Any, h: Any, c: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, w_hr: Any
) -> Any:
    """Return the cells and the hidden states, each brought to fewer features by `w_hr`.

    As the functions that make steps without a projection do, it returns rows `(T, rows, N)`.
    """
    steps = []
    for t in range(x.shape[0]):
        gates = F.linear(x[t], w_ih, b_ih) + F.linear(h, w_hh, b_hh)
        write, keep, news, show = np.split(gates, 4, axis=1)
        c = F.sigmoid(keep) * c + F.sigmoid(write) * np.tanh(news)
        h = F.linear(F.sigmoid(show) * np.tanh(c), w_hr)
        steps.append(np.transpose(np.concatenate([c, h], axis=1)))
    return np.stack(steps)


class GruSteps(Recurrent):
    """Steps of gated recurrent units."""

    _gates, _states = 3, 1

    def _steps(self, x: Any, state: States, weights: States) -> Any:
        return gru(x, *state, *weights)


class _Layers(Recurrent):
    """Several layers, each in one direction or both, over the outputs of the one before it."""

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
        device: str | None = None, dtype: DTypeLike | None = None, rng: RngLike = None,
    ) -> None:  # fmt: skip
        name = type(self).__name__
        check_device(name, device)
        check_sizes(name, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        check_probability(name, dropout)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.bidirectional = bias, batch_first, bidirectional
        self.dropout, self.rng = dropout, generator_to_keep(rng)
        self._directions = ("", "_reverse")[: 1 + bidirectional]
        for layer in range(num_layers):
            features = self._out_size * len(self._directions) if layer else input_size
            for direction in self._directions:
                self._make_weights(features, bias, dtype, self.rng, f"_l{layer}{direction}")

    def forward(self, input: TensorLike, hx: State | None = None) -> tuple[Tensor, Any]:
        """Go over a sequence.

        Args:
            input: The sequence `(T, N, input_size)`, with `batch_first` `(N, T, input_size)`, or
                without a batch `(T, input_size)`.
            hx: The first state, as it is returned; by default 0. An LSTM's is a pair.

        Returns:
            The hidden states of the last layer at all steps, like `input` with
            `D * hidden_size` features, and the last state of each layer and direction,
            `(num_layers * D, N, hidden_size)` (without a batch no N), where D is 2 if
            `bidirectional`, else 1. An LSTM's is a pair of such arrays, `(h, c)`.

        Raises:
            ValueError: if shapes do not fit, or there are no steps.

        >>> layer = rg.nn.GRU(3, 4)
        >>> first, h = layer.forward(np.ones((5, 2, 3)))
        >>> second, h = layer.forward(np.ones((5, 2, 3)), h)
        >>> second.shape, h.shape
        ((5, 2, 4), (1, 2, 4))
        """
        x, name, n, alone = input, type(self).__name__, self.input_size, input.ndim == 2
        if x.ndim not in (2, 3) or x.shape[-1] != n:
            axes = "N, T" if self.batch_first else "T, N"
            raise ValueError(f"{name} takes an input ({axes}, {n}) or (T, {n}), not {x.shape}")
        x = self._steps_first(x, alone)
        if not x.shape[0]:
            raise ValueError(f"{name} got no steps: {input.shape}")
        shape = (self.num_layers * len(self._directions), x.shape[1], self.hidden_size)
        first = self._first_state(hx, alone, shape, x.dtype)
        ends: list[States] = []
        for layer in range(self.num_layers):
            if layer and self.dropout and self.training:
                x = F.dropout(x, self.dropout, rng=self.rng)
            outs = []
            for direction in self._directions:
                state = tuple(s[len(ends)] for s in first)
                made = self._run(x[::-1] if direction else x, state, f"_l{layer}{direction}")
                out = np.transpose(made[:, -self._out_size :], (0, 2, 1))
                outs.append(out[::-1] if direction else out)
                ends.append(self._last_state(made))
            x = outs[0] if len(outs) == 1 else np.concatenate(outs, axis=2)
        last = tuple(np.stack(states) for states in zip(*ends, strict=True))
        return self._like_input(x, alone), self._state_for_user(last, alone)

    def _steps_first(self, x: Any, alone: bool) -> Any:
        """Return a sequence as `(T, N, features)`."""
        if alone:
            return np.expand_dims(x, 1)
        return np.swapaxes(x, 0, 1) if self.batch_first else x

    def _like_input(self, x: Any, alone: bool) -> Any:
        """Return a sequence `(T, N, features)` with its axes as those of the input are."""
        if alone:
            return np.squeeze(x, 1)
        return np.swapaxes(x, 0, 1) if self.batch_first else x

    def extra_repr(self) -> str:
        return super().extra_repr() + unusual(
            self, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False
        )


class RNN(_Layers, RnnSteps):
    """A recurrent net: each step makes its state of what comes in and of the state before it.

    `h = tanh(weight_ih @ x + bias_ih + weight_hh @ h + bias_hh)` at each step, or with relu in the
    place of tanh. Further layers go over the states of the one before them. Called with
    `(input, h_0)`, or `input` alone; returns the outputs and the last states.

    Args:
        input_size: Number of features that come in at each step.
        hidden_size: Number of features of the state.
        num_layers: Number of layers (default 1).
        nonlinearity: "tanh" (the default) or "relu".
        bias: Whether there are biases (default True).
        batch_first: Whether the batch comes before the steps in input and output (default False).
        dropout: In training, the probability of each element between layers to be set to 0 (default
            0.0).
        bidirectional: Whether each layer goes over the sequence backwards too, with weights of its
            own, and puts out both (default False).
        device: None or "cpu": there is no other device.
        dtype: Floating dtype of the parameters; by default that of `rg.get_default_dtype()`.
        rng: Generator or seed for the initial values and dropout; by default the generator that
            `rg.manual_seed` seeds.

    Shape:
        - input: `(T, N, input_size)` for T steps and a batch of N; `(N, T, input_size)` with
          `batch_first`; `(T, input_size)` without a batch.
        - h_0: `(num_layers * D, N, hidden_size)`, without a batch no N; D is 2 if `bidirectional`,
          else 1. By default 0.
        - output: a pair: the states of the last layer at all steps, like the input with
          `D * hidden_size` features; and the last states, like `h_0`.

    Attributes:
        weight_ih_l0: Parameter `(hidden_size, input_size)`; of the layers `_l1` and on
            `(hidden_size, D * hidden_size)`. Those that go backwards end in `_reverse`. All
            parameters are at first uniform within `1 / sqrt(hidden_size)` of 0.
        weight_hh_l0: Parameter `(hidden_size, hidden_size)`, for each layer.
        bias_ih_l0: Parameter `(hidden_size,)`, for each layer; None without `bias`.
        bias_hh_l0: likewise.

    Raises:
        ValueError: if a size is no whole number of at least 1, `dropout` no probability, or
            `nonlinearity` not known; when called, if shapes do not fit or there are no steps.

    Elman 1990, "Finding structure in time".

    >>> out, h = rg.nn.RNN(3, 4, num_layers=2)(np.ones((5, 2, 3)))
    >>> out.shape, h.shape
    ((5, 2, 4), (2, 2, 4))
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh",
        bias: bool = True, batch_first: bool = False, dropout: float = 0.0,
        bidirectional: bool = False, device: str | None = None, dtype: DTypeLike | None = None,
        rng: RngLike = None,
    ) -> None:  # fmt: skip
        self._set_nonlinearity(nonlinearity)
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device,
            dtype, rng,
        )  # fmt: skip


class LSTM(_Layers, LstmSteps):
    """Long short-term memory: a recurrent net whose gates say what its cells keep and show.

    At each step gates i, f, o, sigmoids of `w_ih @ x + b_ih + w_hh @ h + b_hh`, and g, a tanh of
    the like, make the cells `c = f * c + i * g` and the hidden state `h = o * tanh(c)`. Further
    layers go over the hidden states of the one before them. Called with `(input, (h_0, c_0))`, or
    `input` alone; returns the outputs and the last `(h, c)`.

    Args:
        input_size: Number of features that come in at each step.
        hidden_size: Number of features of the hidden state, and of the cells.
        num_layers: Number of layers (default 1).
        bias: Whether there are biases (default True).
        batch_first: Whether the batch comes before the steps in input and output (default False).
        dropout: In training, the probability of each element between layers to be set to 0 (default
            0.0).
        bidirectional: Whether each layer goes over the sequence backwards too, with weights of its
            own, and puts out both (default False).
        proj_size: Number of features that the hidden state is brought to by one more matrix, below
            `hidden_size`; by default 0, there is none.
        device: None or "cpu": there is no other device.
        dtype: Floating dtype of the parameters; by default that of `rg.get_default_dtype()`.
        rng: Generator or seed for the initial values and dropout; by default the generator that
            `rg.manual_seed` seeds.

    Shape:
        - input: `(T, N, input_size)` for T steps and a batch of N; `(N, T, input_size)` with
          `batch_first`; `(T, input_size)` without a batch.
        - h_0 and c_0: `(num_layers * D, N, hidden_size)` each, without a batch no N; D is 2 if
          `bidirectional`, else 1. By default 0. With `proj_size` that is the length of h.
        - output: a pair: the hidden states of the last layer at all steps, like the input with
          `D * hidden_size` features; and the pair of the last `(h, c)`, like `(h_0, c_0)`.

    Attributes:
        weight_ih_l0: Parameter `(4 * hidden_size, input_size)`, rows in the order i, f, g, o; of
            the layers `_l1` and on `(4 * hidden_size, D * hidden_size)`. Those that go backwards
            end in `_reverse`. All parameters are at first uniform within `1 / sqrt(hidden_size)` of
            0.
        weight_hh_l0: Parameter `(4 * hidden_size, hidden_size)`, for each layer.
        bias_ih_l0: Parameter `(4 * hidden_size,)`, for each layer; None without `bias`.
        bias_hh_l0: likewise.
        weight_hr_l0: Parameter `(proj_size, hidden_size)`, for each layer, only with `proj_size`,
            which `weight_hh_l0` has for its second length then.

    Raises:
        ValueError: if a size is no whole number of at least 1, or `dropout` no probability, or
            `proj_size` not below `hidden_size`; when called, if shapes do not fit or there are no
            steps.

    Hochreiter and Schmidhuber 1997, "Long short-term memory".

    >>> out, (h, c) = rg.nn.LSTM(3, 4, bidirectional=True)(np.ones((5, 2, 3)))
    >>> out.shape, h.shape, c.shape
    ((5, 2, 8), (2, 2, 4), (2, 2, 4))
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
        proj_size: int = 0, device: str | None = None, dtype: DTypeLike | None = None,
        rng: RngLike = None,
    ) -> None:  # fmt: skip
        name = type(self).__name__
        whole(name, at_least=0, proj_size=proj_size)
        check_sizes(name, hidden_size=hidden_size)
        wanted = f"below hidden_size={hidden_size}"
        ensure(proj_size < hidden_size, "proj_size", wanted, proj_size, name)
        self.proj_size = proj_size
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device,
            dtype, rng,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return super().extra_repr() + unusual(self, proj_size=0)


class GRU(_Layers, GruSteps):
    """Gated recurrent units: a recurrent net whose gates say how much of its state it renews.

    At each step gates r and z, sigmoids of `w_ih @ x + b_ih + w_hh @ h + b_hh`, and news
    `n = tanh(w_in @ x + b_in + r * (w_hn @ h + b_hn))` make the state `h = (1 - z) * n + z * h`.
    Further layers go over the states of the one before them. Called with `(input, h_0)`, or `input`
    alone; returns the outputs and the last states.

    Args:
        input_size: Number of features that come in at each step.
        hidden_size: Number of features of the state.
        num_layers: Number of layers (default 1).
        bias: Whether there are biases (default True).
        batch_first: Whether the batch comes before the steps in input and output (default False).
        dropout: In training, the probability of each element between layers to be set to 0 (default
            0.0).
        bidirectional: Whether each layer goes over the sequence backwards too, with weights of its
            own, and puts out both (default False).
        device: None or "cpu": there is no other device.
        dtype: Floating dtype of the parameters; by default that of `rg.get_default_dtype()`.
        rng: Generator or seed for the initial values and dropout; by default the generator that
            `rg.manual_seed` seeds.

    Shape:
        - input: `(T, N, input_size)` for T steps and a batch of N; `(N, T, input_size)` with
          `batch_first`; `(T, input_size)` without a batch.
        - h_0: `(num_layers * D, N, hidden_size)`, without a batch no N; D is 2 if `bidirectional`,
          else 1. By default 0.
        - output: a pair: the states of the last layer at all steps, like the input with
          `D * hidden_size` features; and the last states, like `h_0`.

    Attributes:
        weight_ih_l0: Parameter `(3 * hidden_size, input_size)`, rows in the order r, z, n; of the
            layers `_l1` and on `(3 * hidden_size, D * hidden_size)`. Those that go backwards end in
            `_reverse`. All parameters are at first uniform within `1 / sqrt(hidden_size)` of 0.
        weight_hh_l0: Parameter `(3 * hidden_size, hidden_size)`, for each layer.
        bias_ih_l0: Parameter `(3 * hidden_size,)`, for each layer; None without `bias`.
        bias_hh_l0: likewise.

    Raises:
        ValueError: if a size is no whole number of at least 1, or `dropout` no probability; when
            called, if shapes do not fit or there are no steps.

    Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder for statistical
    machine translation".

    >>> out, h = rg.nn.GRU(3, 4, batch_first=True)(np.ones((2, 5, 3)))
    >>> out.shape, h.shape
    ((2, 5, 4), (1, 2, 4))
    """
