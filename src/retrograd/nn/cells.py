"""Recurrent cells as Modules: one step of a recurrent layer, for loops of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from retrograd.checks import check_device, check_sizes
from retrograd.engine import TensorLike
from retrograd.nn.recurrent import GruSteps, LstmSteps, Recurrent, RnnSteps
from retrograd.random import RngLike, generator

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from retrograd.nn.recurrent import State


class _Cell(Recurrent):
    """One layer in one direction, a step a call."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True,
        device: str | None = None, dtype: DTypeLike | None = None, rng: RngLike = None,
    ) -> None:  # fmt: skip
        check_device(type(self).__name__, device)
        check_sizes(type(self).__name__, input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size = input_size, hidden_size
        self._make_weights(input_size, bias, dtype, generator(rng))

    def forward(self, input: TensorLike, hx: State | None = None) -> Any:
        """Make one step.

        Args:
            input: What comes in, `(N, input_size)`, or `(input_size,)` without a batch.
            hx: The state before, as it is returned; by default 0. That of an LSTMCell is a pair.

        Returns:
            The state after, `(N, hidden_size)`, or `(hidden_size,)` without a batch; of an LSTMCell
            the pair `(h, c)`.

        Raises:
            ValueError: if shapes do not fit.

        >>> cell, h = rg.nn.GRUCell(3, 4), None
        >>> for x in np.ones((5, 2, 3)):
        ...     h = cell.forward(x, h)
        >>> h.shape
        (2, 4)
        """
        alone = input.ndim == 1
        if input.ndim not in (1, 2) or input.shape[-1] != self.input_size:
            raise ValueError(
                f"{type(self).__name__} takes an input (N, {self.input_size}), not {input.shape}"
            )
        if alone:
            input = input[None]
        shape = (input.shape[0], self.hidden_size)
        first = self._first_state(hx, alone, shape, input.dtype)
        return self._state_for_user(self._last_state(self._run(input[None], first)), alone)


class RNNCell(_Cell, RnnSteps):
    """One step of an `RNN`: from `(input, h)` to the next `h`.

    `h = tanh(weight_ih @ input + bias_ih + weight_hh @ h + bias_hh)`, or with relu in the place of
    tanh.

    Args:
        input_size: Number of features that come in.
        hidden_size: Number of features of the state.
        bias: Whether there are biases (default True).
        nonlinearity: "tanh" (the default) or "relu".
        device: None or "cpu": there is no other device.
        dtype: Floating dtype of the parameters; by default that of `rg.get_default_dtype()`.
        rng: Generator or seed for the initial values; by default the generator that
            `rg.manual_seed` seeds.

    Shape:
        - input: `(N, input_size)`, or `(input_size,)` without a batch.
        - h: `(N, hidden_size)`, or `(hidden_size,)` without a batch; by default 0.
        - output: the shape of h.

    Attributes:
        weight_ih: Parameter `(hidden_size, input_size)`. All parameters are at first uniform within
            `1 / sqrt(hidden_size)` of 0.
        weight_hh: Parameter `(hidden_size, hidden_size)`.
        bias_ih: Parameter `(hidden_size,)`; None without `bias`.
        bias_hh: likewise.

    Raises:
        ValueError: if a size is no whole number of at least 1, or `nonlinearity` is not known; when
            called, if shapes do not fit.

    Elman 1990, "Finding structure in time".

    >>> cell = rg.nn.RNNCell(3, 4)
    >>> h = cell(np.ones((2, 3)))
    >>> cell(np.ones((2, 3)), h).shape
    (2, 4)
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh",
        device: str | None = None, dtype: DTypeLike | None = None, rng: RngLike = None,
    ) -> None:  # fmt: skip
        self._set_nonlinearity(nonlinearity)
        super().__init__(input_size, hidden_size, bias, device, dtype, rng)


class LSTMCell(_Cell, LstmSteps):
    """One step of an `LSTM`: from `(input, (h, c))` to the next `(h, c)`.

    Gates i, f, o, sigmoids of `weight_ih @ input + bias_ih + weight_hh @ h + bias_hh`, and g, a
    tanh of the like, make the cells `c = f * c + i * g` and the hidden state `h = o * tanh(c)`.

    Args:
        input_size: Number of features that come in.
        hidden_size: Number of features of the hidden state, and of the cells.
        bias: Whether there are biases (default True).
        device: None or "cpu": there is no other device.
        dtype: Floating dtype of the parameters; by default that of `rg.get_default_dtype()`.
        rng: Generator or seed for the initial values; by default the generator that
            `rg.manual_seed` seeds.

    Shape:
        - input: `(N, input_size)`, or `(input_size,)` without a batch.
        - h and c: `(N, hidden_size)` each, or `(hidden_size,)` without a batch; by default 0.
        - output: a pair of the shapes of h and c.

    Attributes:
        weight_ih: Parameter `(4 * hidden_size, input_size)`, rows in the order i, f, g, o. All
            parameters are at first uniform within `1 / sqrt(hidden_size)` of 0.
        weight_hh: Parameter `(4 * hidden_size, hidden_size)`.
        bias_ih: Parameter `(4 * hidden_size,)`; None without `bias`.
        bias_hh: likewise.

    Raises:
        ValueError: if a size is no whole number of at least 1; when called, if shapes do not fit.

    Hochreiter and Schmidhuber 1997, "Long short-term memory".

    >>> cell = rg.nn.LSTMCell(3, 4)
    >>> h, c = cell(np.ones((2, 3)))
    >>> h, c = cell(np.ones((2, 3)), (h, c))
    >>> h.shape, c.shape
    ((2, 4), (2, 4))
    """


class GRUCell(_Cell, GruSteps):
    """One step of a `GRU`: from `(input, h)` to the next `h`.

    Gates r and z, sigmoids of `weight_ih @ input + bias_ih + weight_hh @ h + bias_hh`, and news
    `n = tanh(w_in @ input + b_in + r * (w_hn @ h + b_hn))` make the state
    `h = (1 - z) * n + z * h`.

    Args:
        input_size: Number of features that come in.
        hidden_size: Number of features of the state.
        bias: Whether there are biases (default True).
        device: None or "cpu": there is no other device.
        dtype: Floating dtype of the parameters; by default that of `rg.get_default_dtype()`.
        rng: Generator or seed for the initial values; by default the generator that
            `rg.manual_seed` seeds.

    Shape:
        - input: `(N, input_size)`, or `(input_size,)` without a batch.
        - h: `(N, hidden_size)`, or `(hidden_size,)` without a batch; by default 0.
        - output: the shape of h.

    Attributes:
        weight_ih: Parameter `(3 * hidden_size, input_size)`, rows in the order r, z, n. All
            parameters are at first uniform within `1 / sqrt(hidden_size)` of 0.
        weight_hh: Parameter `(3 * hidden_size, hidden_size)`.
        bias_ih: Parameter `(3 * hidden_size,)`; None without `bias`.
        bias_hh: likewise.

    Raises:
        ValueError: if a size is no whole number of at least 1; when called, if shapes do not fit.

    Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder for statistical
    machine translation".

    >>> cell = rg.nn.GRUCell(3, 4)
    >>> h = cell(np.ones((2, 3)))
    >>> cell(np.ones((2, 3)), h).shape
    (2, 4)
    """
