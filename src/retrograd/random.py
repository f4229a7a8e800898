"""Random draws: what `rng` may be, and the default generator.

NumPy's global state is neither read nor seeded. Compiled functions draw by `uniform` and `normal`.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy  # for the text of RngLike, which readers of annotations evaluate
import numpy as np

from retrograd.engine import escape, get_default_dtype, is_recording, tell, unrecorded
from retrograd.later import public_names

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

__all__ = ["RngLike", "generator", "manual_seed", "normal", "restore", "uniform"]

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
    unrecorded("manual_seed")
    # in place, so that compiled steps see it too
    _default().bit_generator.state = np.random.default_rng(seed).bit_generator.state
    return _default()


States: TypeAlias = "dict[int, tuple[np.random.Generator, Any]]"

_watching: ContextVar[tuple[States, ...]] = ContextVar("_watching", default=())


@contextlib.contextmanager
def watch(found: States) -> Iterator[None]:
    """Collect for a while each generator that `generator` hands out, with its state at first.

    Args:
        found: is filled, by the id of the generator; what it has already stays.
    """
    token = _watching.set((*_watching.get(), found))
    try:
        yield
    finally:
        _watching.reset(token)


def _hand_out(rng: np.random.Generator) -> np.random.Generator:
    for found in _watching.get():
        if id(rng) not in found:
            found[id(rng)] = rng, rng.bit_generator.state
    return rng


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
        return _hand_out(_default())
    if isinstance(rng, np.random.Generator):
        return _hand_out(rng)
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


def uniform(
    rng: RngLike = None, shape: tuple[int, ...] = (), dtype: DTypeLike | None = None
) -> Any:
    """Draw from [0, 1), in a compiled function at every run anew.

    This and `normal` are how a compiled function draws: the program draws from the same generator,
    the same numbers as the function itself. (What `rng.random()` gives is an array like any other,
    and would stay as it was when the function was recorded.)

    Args:
        rng: a Generator made outside, or None for the default one, which `rg.manual_seed` seeds;
            a seed for a new one, though not in a compiled function.
        shape: the shape of what is drawn, () by default.
        dtype: its dtype, a floating one; by default that of `rg.set_default_dtype`.

    Returns:
        An array; while a program is recorded, a Tensor.

    >>> rg.random.uniform(np.random.default_rng(0), (2,), np.float32)
    array([0.8506242 , 0.63696164], dtype=float32)
    >>> rng = np.random.default_rng(1)
    >>> jitter = rg.compile(lambda x: x + 0.1 * rg.random.uniform(rng, x.shape))
    >>> len({jitter(np.zeros(2)).data.tobytes() for _ in range(5)})
    5
    """
    kind: Any = np.dtype(get_default_dtype() if dtype is None else dtype)
    rng = generator(rng)
    drawn = tell("draw", rng, shape, kind)
    if drawn is not None:
        return drawn
    if kind in (np.float64, np.float32):
        return rng.random(shape, dtype=kind.type)
    return rng.random(shape).astype(kind)


def normal(rng: RngLike = None, shape: tuple[int, ...] = (), dtype: DTypeLike | None = None) -> Any:
    """Draw from the normal distribution of mean 0 and variance 1, in a compiled function, too.

    For another mean and deviation write `mean + std * normal(...)`. The draws are made of uniform
    ones, `sqrt(-2 log(1 - u)) cos(2 pi v)`, so they are not those of `rng.normal()`.

    Args:
        rng: as for `uniform`.
        shape: the shape of what is drawn, () by default.
        dtype: its dtype, a floating one; by default that of `rg.set_default_dtype`.

    Returns:
        An array; while a program is recorded, a Tensor.

    Box and Muller 1958, "A note on the generation of random normal deviates".

    >>> rng = np.random.default_rng(0)
    >>> drawn = rg.random.normal(rng, (10_000,))
    >>> bool(abs(drawn.mean()) < 0.05), bool(abs(drawn.std() - 1) < 0.05)
    (True, True)
    """
    rng = generator(rng)
    u, v = uniform(rng, shape, dtype), uniform(rng, shape, dtype)
    return np.sqrt(-2.0 * np.log1p(-u)) * np.cos(2.0 * math.pi * v)
