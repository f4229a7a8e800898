"""Hypothesis strategies for arrays, shapes and arguments to check gradients at.

Values are drawn off the kinks that functions have at whole numbers and halves, in domains where
the functions have derivatives; shapes also without axes or elements. It needs Hypothesis.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, mutually_broadcastable_shapes

from retrograd.engine import RULES, Array, Tensor, spelled
from retrograd.later import public_names
from retrograd.testing.problem import positional_parameters

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

Shape = tuple[int, ...]
Domains = Sequence[tuple[float, float]]

__all__ = [
    "arrays", "broadcastable", "broadcasting", "for_function", "shapes", "tensors",
    "values_off_kinks",
]  # fmt: skip

__dir__ = public_names(__name__)


# Values are (k + offset) / 4 for whole k: off kinks at whole numbers and halves. Arrays with
# different offsets have no value in common, so that two of them never tie.
OFFSETS = (0.37, 0.61, 0.12, 0.83)


def shapes(
    min_dims: int = 0, max_dims: int = 3, min_side: int = 0, max_side: int = 3
) -> st.SearchStrategy[Shape]:
    """Draw shapes of arrays, also such without axes or elements.

    Args:
        min_dims: The least number of axes.
        max_dims: The greatest number of axes.
        min_side: The least length of an axis.
        max_side: The greatest length of an axis.

    Returns:
        A strategy for tuples of ints.

    >>> from hypothesis import given
    >>> @given(rg.testing.strategies.shapes(max_dims=2))
    ... def test_it_has_at_most_two_axes(shape):
    ...     assert np.ones(shape).ndim <= 2
    >>> test_it_has_at_most_two_axes()
    """
    return array_shapes(min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=max_side)


def broadcastable(
    number: int, max_dims: int = 3, min_side: int = 0, max_side: int = 3
) -> st.SearchStrategy[tuple[Shape, ...]]:
    """Draw shapes that broadcast together.

    Args:
        number: How many shapes at a time.
        max_dims: The greatest number of axes.
        min_side: The least length of an axis.
        max_side: The greatest length of an axis.

    Returns:
        A strategy for tuples of so many shapes.

    >>> from hypothesis import given
    >>> @given(rg.testing.strategies.broadcastable(2))
    ... def test_they_add(shapes):
    ...     np.ones(shapes[0]) + np.ones(shapes[1])
    >>> test_they_add()
    """
    drawn = mutually_broadcastable_shapes(
        num_shapes=number, max_dims=max_dims, min_side=min_side, max_side=max_side
    )
    return drawn.map(lambda found: tuple(found.input_shapes))


def values_off_kinks(
    low: float = -3.0, high: float = 3.0, offset: float = OFFSETS[0]
) -> st.SearchStrategy[float]:
    """Draw numbers that are no multiples of 1/4, where many functions have kinks.

    Args:
        low: The least number.
        high: The greatest number.
        offset: A number between 0 and 1: what is drawn is `(k + offset) / 4` for a whole `k`. Two
            arrays of different offsets have no number in common.

    Returns:
        A strategy for floats.

    Raises:
        ValueError: if there is no such number from `low` to `high`.

    >>> from hypothesis import given
    >>> @given(rg.testing.strategies.values_off_kinks(0.0, 1.0))
    ... def test_it_is_inside(x):
    ...     assert 0 < x < 1 and x != 0.5
    >>> test_it_is_inside()
    """
    first, last = math.ceil(4 * low - offset), math.floor(4 * high - offset)
    if first > last:
        raise ValueError(f"values_off_kinks: there is none from {low} to {high}")
    return st.integers(first, last).map(lambda k: (k + offset) / 4)


def arrays(
    shape: Shape | st.SearchStrategy[Shape] | None = None,
    dtype: DTypeLike = np.float64,
    elements: st.SearchStrategy[float] | None = None,
    distinct: bool = False,
) -> st.SearchStrategy[Array]:
    """Draw floating arrays, real or complex.

    Args:
        shape: Their shape, or a strategy for it (default: `shapes()`).
        dtype: Their dtype (default: float64).
        elements: A strategy for their elements (default: `values_off_kinks()`); for those of a
            complex dtype it draws the real and the imaginary part of each.
        distinct: Whether the elements of an array differ, for functions that compare them.

    Returns:
        A strategy for arrays.

    >>> from hypothesis import given
    >>> @given(rg.testing.strategies.arrays((2, 3), np.float32))
    ... def test_its_shape_and_dtype(x):
    ...     assert (x.shape, x.dtype) == ((2, 3), np.float32)
    >>> test_its_shape_and_dtype()
    """
    return _arrays(shape, dtype, elements, distinct)


@st.composite
def _arrays(draw: st.DrawFn, shape: Any, dtype: Any, elements: Any, distinct: bool) -> Array:
    chosen = shapes() if shape is None else shape
    sides: Shape = draw(chosen) if isinstance(chosen, st.SearchStrategy) else chosen
    values = values_off_kinks() if elements is None else elements
    parts = 2 if np.dtype(dtype).kind == "c" else 1
    size = parts * math.prod(sides)
    drawn = np.array(draw(st.lists(values, min_size=size, max_size=size, unique=distinct)), float)
    numbers = drawn.view(complex) if parts == 2 else drawn
    return numbers.astype(dtype).reshape(sides)


def tensors(
    shape: Shape | st.SearchStrategy[Shape] | None = None,
    dtype: DTypeLike = np.float64,
    elements: st.SearchStrategy[float] | None = None,
    requires_grad: bool = True,
    distinct: bool = False,
) -> st.SearchStrategy[Tensor]:
    """Draw leaf Tensors, as `arrays` draws arrays.

    Args:
        shape: Their shape, or a strategy for it (default: `shapes()`).
        dtype: Their dtype (default: float64).
        elements: A strategy for their elements (default: `values_off_kinks()`).
        requires_grad: Whether they require grad (default: they do).
        distinct: Whether the elements of a Tensor differ, for functions that compare them.

    Returns:
        A strategy for Tensors.

    >>> from hypothesis import given
    >>> @given(rg.testing.strategies.tensors())
    ... def test_the_gradient_of_a_sum_is_one(x):
    ...     np.sum(x).backward()
    ...     assert np.all(x.grad == 1)
    >>> test_the_gradient_of_a_sum_is_one()
    """
    drawn = arrays(shape, dtype, elements, distinct)
    return drawn.map(lambda array: Tensor(array, requires_grad=requires_grad))


# Where functions have derivatives: (low, high) for each argument.
WIDE, ABOVE_0 = (-3.0, 3.0), (0.1, 3.0)
DOMAINS: dict[Any, Domains] = {
    **dict.fromkeys((np.sqrt, np.cbrt, np.log, np.log2, np.log10), (ABOVE_0,)),
    **dict.fromkeys((np.arcsin, np.arccos, np.arctanh), ((-0.9, 0.9),)),
    **dict.fromkeys((np.power, np.float_power), (ABOVE_0, WIDE)),
    np.arccosh: ((1.1, 4.0),),
    np.log1p: ((-0.9, 3.0),),
    np.tan: ((-1.2, 1.2),),
}


def for_function(fn: Callable[..., Any]) -> st.SearchStrategy[tuple[Array, ...]]:
    """Draw arguments for a function: arrays that broadcast, in its domain, off its kinks.

    Args:
        fn: A ufunc, a function with a gradient rule, or one that takes as many arrays as it has
            parameters without a default.

    Returns:
        A strategy for tuples of float64 arrays, one for each argument. For a function of one array
        that is no ufunc, the elements differ, as it may compare them.

    Raises:
        TypeError: if it cannot be told how many arrays the function takes.

    >>> from hypothesis import given
    >>> @given(rg.testing.strategies.for_function(np.log))
    ... def test_it_is_in_the_domain(args):
    ...     assert np.all(np.isfinite(np.log(*args)))
    >>> test_it_is_in_the_domain()
    """
    number = fn.nin if isinstance(fn, np.ufunc) else RULES[fn].arrays if fn in RULES else 0
    number = number or sum(p.default is p.empty for p in positional_parameters(fn))
    if not number:
        raise TypeError(
            f"for_function cannot tell how many arrays {spelled(fn)} takes: draw them by arrays()"
        )
    if number == 1 and not isinstance(fn, np.ufunc):
        wide = values_off_kinks(-8.0, 8.0)
        return st.tuples(arrays(shapes(1, min_side=1), elements=wide, distinct=True))
    domains = DOMAINS.get(fn, (WIDE,) * number)
    if fn in (np.matmul, np.dot):
        signature = np.matmul.signature
        drawn = mutually_broadcastable_shapes(signature=signature, max_dims=0, min_side=0)
        return drawn.flatmap(lambda found: _without_ties(found.input_shapes, domains))
    return broadcasting(domains)


def broadcasting(domains: Domains) -> st.SearchStrategy[tuple[Array, ...]]:
    """Draw arrays that broadcast together and have no values in common.

    Args:
        domains: For each array the range of its values, `(low, high)`.

    Returns:
        A strategy for tuples of so many float64 arrays.

    >>> from hypothesis import given
    >>> @given(rg.testing.strategies.broadcasting([(-3.0, 3.0), (0.5, 2.0)]))
    ... def test_they_divide(args):
    ...     x, y = args
    ...     assert np.all(np.isfinite(x / y))
    >>> test_they_divide()
    """
    if not domains:
        return st.just(())
    return broadcastable(len(domains)).flatmap(lambda drawn: _without_ties(drawn, domains))


def _without_ties(drawn: Sequence[Shape], domains: Domains) -> st.SearchStrategy[tuple[Array, ...]]:
    return st.tuples(*(
        arrays(shape, elements=values_off_kinks(*domain, offset))
        for shape, domain, offset in zip(drawn, domains, itertools.cycle(OFFSETS), strict=False)
    ))  # fmt: skip
