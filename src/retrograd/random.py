"""Random draws: what `rng` may be, and the default generator.

NumPy's global state is neither read nor seeded.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy  # for the text of RngLike, which readers of annotations evaluate
import numpy as np

from retrograd.engine import escape, is_recording, tell
from retrograd.later import public_names

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

__all__ = ["RngLike", "generator", "manual_seed", "restore", "uniform"]

__dir__ = public_names(__name__)

# as text, since importing numpy.random takes long
RngLike: TypeAlias = "numpy.random.Generator | int | None"


@functools.cache
def _default() -> np.random.Generator:
    return np.random.default_rng()


def manual_seed(seed: int) -> np.random.Generator:
    """Seed the generator that draws where no `rng` is given.

    Args:
        seed: an int from 0 on.

    Returns:
        The generator, which stays the same one.

    Raises:
        TypeError: if `seed` is no int.
        ValueError: if it is below 0.

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
    """Return what draws: for functions of one's own that take an `rng`.

    Args:
        rng: a Generator, which is returned; a seed for a new one; or None for the default one,
            which `rg.manual_seed` seeds.

    Returns:
        A `numpy.random.Generator`.

    Raises:
        TypeError: if `rng` is something else, such as a `RandomState`.

    >>> rg.random.generator(7).random() == np.random.default_rng(7).random()
    True
    """
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
    """Give a generator a state, which may come from a file that is not trusted.

    Args:
        rng: the generator.
        state: the `bit_generator.state` of another one of its kind.

    Raises:
        ValueError: if it is of another kind, or if NumPy would read beyond its memory.

    >>> rng, other = np.random.default_rng(0), np.random.default_rng(1)
    >>> rg.random.restore(other, rng.bit_generator.state)
    >>> other.random() == rng.random()
    True
    """
    inner = state["state"]
    pos = inner.get("pos", 0) if isinstance(inner, dict) else 0
    if not (0 <= pos <= 624 and 0 <= state.get("buffer_pos", 0) <= 4):  # MT19937 and Philox
        raise ValueError(f"no state of a {state['bit_generator']}: it stands outside its buffer")
    rng.bit_generator.state = state


def uniform(rng: np.random.Generator, shape: tuple[int, ...], dtype: DTypeLike) -> Any:
    """Draw from [0, 1), in a compiled function at every run anew.

    Args:
        rng: the generator.
        shape: the shape of what is drawn.
        dtype: its dtype, a floating one.

    Returns:
        An array; while a program is recorded, a Tensor.

    >>> rg.random.uniform(np.random.default_rng(0), (2,), np.float32)
    array([0.8506242 , 0.63696164], dtype=float32)
    """
    kind: Any = np.dtype(dtype)
    drawn = tell("draw", rng, shape, kind)
    if drawn is not None:
        return drawn
    if kind in (np.float64, np.float32):
        return rng.random(shape, dtype=kind.type)
    return rng.random(shape).astype(kind)
