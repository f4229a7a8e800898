"""Hypothesis strategies for arrays, shapes and arguments that gradients can be checked at."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
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
    # shrinks towards the value nearest to 0
    wholes = st.integers(min(max(first, 0), last), last) | st.integers(first, min(-1, last))
    if first >= 0 or last < 0:
        wholes = st.integers(first, last)
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
    size = math.prod(sides)
    drawn = st.lists(
        values_off_kinks() if elements is None else elements,
        min_size=size,
        max_size=size,
        unique=distinct,
    )
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
    np.sqrt: (ABOVE_0,),
    np.cbrt: (ABOVE_0,),
    np.log: (ABOVE_0,),
    np.log2: (ABOVE_0,),
    np.log10: (ABOVE_0,),
    np.log1p: ((-0.9, 3.0),),
    np.arcsin: (WITHIN_1,),
    np.arccos: (WITHIN_1,),
    np.arctanh: (WITHIN_1,),
    np.arccosh: (ABOVE_1,),
    np.tan: ((-1.2, 1.2),),
    np.power: (ABOVE_0, WIDE),
    np.float_power: (ABOVE_0, WIDE),
}


def for_function(fn: Callable[..., Any]) -> SearchStrategy[tuple[Array, ...]]:
    """Draw arguments for `fn`: arrays that broadcast together, inside its domain, off its kinks.

    `fn` takes as many arrays as its rule has vjps, or else as it has parameters without a
    default. Raises TypeError where that cannot be told.
    """
    number = _arity(fn)
    if number == 1 and not isinstance(fn, np.ufunc):
        # it may pick or compare elements: there are some, and no two are equal
        wide = values_off_kinks(-8.0, 8.0)
        return st.tuples(arrays(shapes(1, min_side=1), elements=wide, distinct=True))
    domains = DOMAINS.get(fn, (WIDE,) * number)
    if fn in (np.matmul, np.dot):
        return _products()

    def make(drawn: tuple[Shape, ...]) -> SearchStrategy[tuple[Array, ...]]:
        parts = [
            arrays(shape, elements=values_off_kinks(*domains[i], offset=OFFSETS[i % 4]))
            for i, shape in enumerate(drawn)
        ]
        return st.tuples(*parts)

    return broadcastable(number).flatmap(make)


def _arity(fn: Callable[..., Any]) -> int:
    if isinstance(fn, np.ufunc):
        return fn.nin
    rule = RULES.get(fn)
    if rule is not None and 0 < rule.arrays < 100:
        return rule.arrays
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        parameters = ()  # type: ignore[assignment]
    number = sum(
        p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        for p in parameters
    )
    if not number:
        raise TypeError(
            f"for_function cannot tell how many arrays {spelled(fn)} takes: draw them with arrays()"
        )
    return number


@st.composite
def _products(draw: Any) -> tuple[Array, ...]:
    rows, inner, columns = (draw(st.integers(0, 3)) for _ in range(3))
    left = draw(st.sampled_from([(rows, inner), (inner,)]))
    right = draw(st.sampled_from([(inner, columns), (inner,)]))
    return draw(arrays(left)), draw(arrays(right, elements=values_off_kinks(offset=OFFSETS[1])))
