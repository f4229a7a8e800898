"""Hypothesis strategies for arrays, shapes and arguments that gradients can be checked at."""

from __future__ import annotations

import contextlib
import inspect
import math
from collections.abc import Callable, Container, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, mutually_broadcastable_shapes
from hypothesis.strategies import SearchStrategy

from retrograd.core import Array, Tensor
from retrograd.registry import RULES, spelled

Shape = tuple[int, ...]

# Values are (k + offset) / 4 for whole k: off the kinks at whole numbers and halves. Arrays with
# different offsets have no value in common, so that two of them never tie.
OFFSETS = (0.37, 0.61, 0.12, 0.83)


def shapes(
    min_dims: int = 0, max_dims: int = 3, min_side: int = 0, max_side: int = 3
) -> SearchStrategy[Shape]:
    """Draw shapes of arrays, those without axes and without elements included."""
    return array_shapes(min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=max_side)


def broadcastable(
    number: int, max_dims: int = 3, min_side: int = 0, max_side: int = 3
) -> SearchStrategy[tuple[Shape, ...]]:
    """Draw tuples of `number` shapes that broadcast together."""
    drawn = mutually_broadcastable_shapes(
        num_shapes=number, max_dims=max_dims, min_side=min_side, max_side=max_side
    )
    return drawn.map(lambda found: tuple(found.input_shapes))


def values_off_kinks(
    low: float = -3.0, high: float = 3.0, offset: float = OFFSETS[0]
) -> SearchStrategy[float]:
    """Draw numbers from `low` to `high` that are no multiples of 1/4."""
    first, last = math.ceil(4 * low - offset), math.floor(4 * high - offset)
    if first > last:
        raise ValueError(f"values_off_kinks: there is none from {low} to {high}")
    wholes = st.integers(first, last)
    if first < 0 <= last:  # shrinks towards the value nearest to 0
        wholes = st.integers(0, last) | st.integers(first, -1)
    return wholes.map(lambda k: (k + offset) / 4)


@st.composite
def arrays(
    draw: Any,
    shape: Shape | SearchStrategy[Shape] | None = None,
    dtype: Any = np.float64,
    elements: SearchStrategy[float] | None = None,
    distinct: bool = False,
) -> Array:
    """Draw floating arrays; of `distinct` ones no two elements are equal."""
    chosen = shapes() if shape is None else shape
    sides: Shape = draw(chosen) if isinstance(chosen, SearchStrategy) else chosen
    size, values = math.prod(sides), values_off_kinks() if elements is None else elements
    drawn = st.lists(values, min_size=size, max_size=size, unique=distinct)
    return np.array(draw(drawn), dtype).reshape(sides)


def tensors(
    shape: Shape | SearchStrategy[Shape] | None = None,
    dtype: Any = np.float64,
    elements: SearchStrategy[float] | None = None,
    requires_grad: bool = True,
    distinct: bool = False,
) -> SearchStrategy[Tensor]:
    """Draw leaf Tensors with values off the kinks; of `distinct` ones no two elements are equal.

    >>> import retrograd as rg
    >>> rg.testing.strategies.tensors((2, 3)).example().shape  # doctest: +SKIP
    (2, 3)
    """
    drawn: SearchStrategy[Array] = arrays(shape, dtype, elements, distinct)
    return drawn.map(lambda array: Tensor(array, requires_grad=requires_grad))


# Where a function of numbers has values and derivatives: (low, high), for each argument.
WIDE = (-3.0, 3.0)
ABOVE_0, ABOVE_1, WITHIN_1 = (0.1, 3.0), (1.1, 4.0), (-0.9, 0.9)
DOMAINS: dict[Any, tuple[tuple[float, float], ...]] = {
    **dict.fromkeys((np.sqrt, np.cbrt, np.log, np.log2, np.log10), (ABOVE_0,)),
    **dict.fromkeys((np.arcsin, np.arccos, np.arctanh), (WITHIN_1,)),
    **dict.fromkeys((np.power, np.float_power), (ABOVE_0, WIDE)),
    np.arccosh: (ABOVE_1,),
    np.log1p: ((-0.9, 3.0),),
    np.tan: ((-1.2, 1.2),),
}


def for_function(fn: Callable[..., Any]) -> SearchStrategy[tuple[Array, ...]]:
    """Draw arguments for `fn`: arrays that broadcast together, inside its domain, off its kinks.

    `fn` takes as many arrays as its rule has vjps, or else as it has parameters without a
    default. Raises TypeError where that cannot be told.
    """
    number = fn.nin if isinstance(fn, np.ufunc) else RULES[fn].arrays if fn in RULES else 0
    with contextlib.suppress(TypeError, ValueError):
        number = number or len(parameters(fn))
    if not number:
        raise TypeError(
            f"for_function cannot tell how many arrays {spelled(fn)} takes: draw them with arrays()"
        )
    if number == 1 and not isinstance(fn, np.ufunc):
        # it may pick or compare elements: there are some, and no two are equal
        wide = values_off_kinks(-8.0, 8.0)
        return st.tuples(arrays(shapes(1, min_side=1), elements=wide, distinct=True))
    if fn in (np.matmul, np.dot):
        return _products()
    return broadcasting(DOMAINS.get(fn, (WIDE,) * number))


def broadcasting(domains: Sequence[tuple[float, float]]) -> SearchStrategy[tuple[Array, ...]]:
    """Draw arrays that broadcast together, one for each range of values, and never tie."""

    def make(drawn: tuple[Shape, ...]) -> SearchStrategy[tuple[Array, ...]]:
        return st.tuples(*(
            arrays(shape, elements=values_off_kinks(*domains[i], OFFSETS[i % len(OFFSETS)]))
            for i, shape in enumerate(drawn)
        ))  # fmt: skip

    return broadcastable(len(domains)).flatmap(make) if domains else st.just(())


def parameters(fn: Callable[..., Any], named: Container[str] = ()) -> list[str]:
    """Return the parameters that are given by position and have no default, and those `named`."""
    found = inspect.signature(fn).parameters.values()
    plain = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    return [p.name for p in found if p.name in named or (p.default is p.empty and p.kind in plain)]


@st.composite
def _products(draw: Any) -> tuple[Array, ...]:
    rows, inner, columns = (draw(st.integers(0, 3)) for _ in range(3))
    left = draw(st.sampled_from([(rows, inner), (inner,)]))
    right = draw(st.sampled_from([(inner, columns), (inner,)]))
    return draw(arrays(left)), draw(arrays(right, elements=values_off_kinks(offset=OFFSETS[1])))
