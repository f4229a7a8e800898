"""Values a little off those of a call: there a program is compared with its function.

At the values of a call itself, what was never recorded may well look right: a constant is as good
as what it was computed from while that stays what it is. At other values it is not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd import tree
from retrograd.compiler.program import ReadyProgram
from retrograd.engine import Array, Tensor, wrap

# How far values are moved, relatively, and whether those of arguments change places, too. Where a
# function is not defined there, or decides otherwise about sizes, they are moved less, and at last
# not at all.
DISTANCES = ((0.25, True), (0.25, False), (0.001, False), (0.0, False))
LARGE = 1 << 22  # arrays outside of more elements stay as they are
_PERIOD = 4093  # after so many elements the factors repeat


class Move:
    """Values near others.

    Floats shrink, each by another part, and zeros become small: so they keep their signs, and stay
    in ranges such as [0, 1] or [-1, 1]. Rows change places, also of integers and masks: they keep
    their range, and how many there are of each.

    Args:
        far: by which part of itself a float changes at most; 0 moves nothing.
        turns: whether rows change places.
        seed: equal seeds move equal arrays to the same values.
        jitter: how large a relative error is put on top.
        again: another error for another number.
    """

    def __init__(
        self, far: float, turns: bool = False, seed: int = 0, jitter: float = 0.0, again: int = 0
    ) -> None:
        self.far, self.turns, self.jitter = far, turns, jitter
        self._parts = np.random.default_rng(seed)
        self._errors = np.random.default_rng(again)

    def array(self, given: Any, moves: bool = True) -> Array:
        """Return an array near another, in the same order in memory.

        Args:
            given: the other array.
            moves: whether it is moved, or the error alone is put on it.
        """
        out = np.array(given, order="K")
        if self.turns and out.ndim:
            other = np.roll(out, 1, axis=0)
            np.copyto(out, np.roll(out, 1, axis=-1) if np.array_equal(other, out) else other)
        if out.dtype.kind in "fc":
            if self.far and moves:
                part = _draw(self._parts, self.far / 4, self.far, out)
                np.copyto(out, np.where(out == 0, part, out * (1 - part)), casting="same_kind")
            if self.jitter:
                error = _draw(self._errors, -self.jitter, self.jitter, out)
                np.copyto(out, out * (1 + error), casting="same_kind")
        return out

    def leaf(self, given: Any) -> Any:
        """Return what stands for a leaf of the arguments: an array or a Tensor of its own."""
        if isinstance(given, Tensor):
            t = wrap(self.array(given._array))
            t.requires_grad = given.requires_grad
            grad = given.grad if given.requires_grad else None
            t._grad = None if grad is None else self.array(grad)
            return t
        return self.array(given) if isinstance(given, (np.ndarray, np.generic)) else given


def _draw(rng: np.random.Generator, low: float, high: float, like: Array) -> Array:
    """Return factors in the shape of an array; they repeat if it is large.

    Complex numbers get complex ones, which turn them too.
    """
    if not like.size:
        return np.zeros(like.shape)
    count = min(like.size, _PERIOD)
    factors = rng.uniform(low, high, count)
    if like.dtype.kind == "c":
        factors = factors + 1j * rng.uniform(low, high, count)
    return np.resize(factors, like.shape)


def _moved(value: Any, move: Move) -> Any:
    """Return what stands for a leaf of what is in a place outside."""
    if isinstance(value, Tensor):
        return wrap(move.array(value._array))
    return move.array(value) if isinstance(value, np.ndarray) else value


class State:
    """What a program finds outside and a run of it changes: moved for a check, and put back.

    Parameters are moved only if the program writes or leaves gradients. Nobody may use what a
    training step trains while it runs; but several threads may use one model to predict.

    Args:
        ready: the program.
    """

    def __init__(self, ready: ReadyProgram) -> None:
        program = ready.program
        held = {id(v.array): v.array for v in ready.captured if v.tensor is not None}
        written = {id(array): array for array in ready.written}
        self._held = [
            array
            for array in held.values()
            if array.dtype.kind in "fc" and array.flags.writeable and array.size <= LARGE
        ]
        leaves = [leaf for leaf, _ in program.grads if id(leaf) not in ready.positions]
        self._carried = [(c.place, c.place.read()) for c, _ in program.carried]
        self._is_pure = not written and not leaves and not self._carried
        self._is_touched = not self._is_pure
        self._arrays = {id(array): (array, array.copy()) for array in self._held}
        self._arrays.update(
            (key, (a, a.copy())) for key, a in written.items() if key not in self._arrays
        )
        self._gradients = [(leaf, leaf.grad) for leaf in leaves]
        self._starts: list[Any] = [
            v.tensor for v in program.starts if id(v.tensor) not in ready.positions
        ]
        self._counts = [(bucket, bucket.count) for _, bucket in program.updates]
        self._generators = [(bits, bits.state) for bits in ready.bit_generators]

    def move(self, move: Move) -> None:
        """Put values near the ones that were there into what is outside."""
        self.put_back()
        if not move.jitter and (self._is_pure or not move.far):
            return
        self._is_touched = True
        for array in self._held:
            np.copyto(array, move.array(self._arrays[id(array)][1], not self._is_pure))
        for leaf in self._starts:
            leaf._grad = move.array(leaf._grad)
        for place, old in self._carried:
            place.put(tree.map(lambda v: _moved(v, move), old))

    def put_back(self) -> None:
        """Put back all that was moved, or changed by a run."""
        if self._is_touched:
            for array, old in self._arrays.values():
                np.copyto(array, old)
        for leaf, grad in self._gradients:
            leaf._grad = grad
        for place, old in self._carried:
            place.put(old)
        for bucket, count in self._counts:
            bucket.count = count
        for bits, state in self._generators:
            bits.state = state


class Trial:
    """A run for comparison, at values near those of a call.

    Args:
        ready: the program.
        state: what it finds outside and changes.
        given: the leaves of the arguments.
        far: how far values are moved: see `Move`.
        turns: whether rows of arguments change places.

    Attributes:
        leaves: what stands for the leaves of the arguments.
    """

    def __init__(
        self, ready: ReadyProgram, state: State, given: list[Any], far: float, turns: bool
    ) -> None:
        self.far = far
        self.leaves = given
        self._turns = turns
        self._seed = ready.checks_left  # each check is at other values
        self._state, self._given = state, given

    def begin(self, jitter: float = 0.0, again: int = 0) -> list[Any]:
        """Put all values where the run is to find them; return the arguments that are arrays.

        Args:
            jitter: how large a relative error is put on them.
            again: another error for another number.
        """
        self._state.move(Move(self.far, False, self._seed, jitter, again))
        move = Move(self.far, self._turns, self._seed + 1, jitter, again)
        self.leaves = [move.leaf(leaf) for leaf in self._given]
        return [a for a in self.leaves if isinstance(a, (np.ndarray, Tensor))]
