"""Random draws: what `rng` may be, and the default generator."""

from __future__ import annotations  # numpy.random is slow to import

import functools
from typing import Any, TypeAlias

import numpy as np

from retrograd.engine import escape, is_recording, tell

# as text, since importing numpy.random takes long
RngLike: TypeAlias = "np.random.Generator | int | None"


@functools.cache
def _default() -> np.random.Generator:
    return np.random.default_rng()


def manual_seed(seed: int) -> np.random.Generator:
    """Seed the generator that is used where no `rng` is given, and return it.

    >>> rg.manual_seed(0).random() == rg.manual_seed(0).random()
    True
    """
    if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool):
        raise TypeError(f"manual_seed takes an int, not {seed!r}")
    if seed < 0:
        raise ValueError(f"manual_seed takes an int from 0 on, not {seed}")
    # in place, so that compiled steps see it too
    _default().bit_generator.state = np.random.default_rng(seed).bit_generator.state
    return _default()


def generator(rng: RngLike = None) -> np.random.Generator:
    """Return `rng` as a Generator: itself, one seeded by an int, or for None the default one."""
    if rng is None:
        return _default()
    if isinstance(rng, np.random.Generator):
        return rng
    if isinstance(rng, (int, np.integer)) and not isinstance(rng, bool):
        if is_recording():
            escape("rng=seed", None, "every run would draw the same. Make a Generator outside.")
        return np.random.default_rng(int(rng))
    raise TypeError(f"rng must be a Generator, a seed or None, not {type(rng).__name__}")


def restore(rng: np.random.Generator, state: Any) -> None:
    """Give a generator a state; ValueError where NumPy would read beyond its memory."""
    inner = state["state"]
    pos = inner.get("pos", 0) if isinstance(inner, dict) else 0
    if not (0 <= pos <= 624 and 0 <= state.get("buffer_pos", 0) <= 4):  # MT19937 and Philox
        raise ValueError(f"no state of a {state['bit_generator']}: it stands outside its buffer")
    rng.bit_generator.state = state


def uniform(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Any:
    """Draw from [0, 1): an array, or in a recording a Tensor that each replay draws again."""
    kind = np.dtype(dtype)
    drawn = tell("draw", rng, shape, kind)
    if drawn is not None:
        return drawn
    if kind in (np.float64, np.float32):
        return rng.random(shape, dtype=kind.type)
    return rng.random(shape).astype(kind)
