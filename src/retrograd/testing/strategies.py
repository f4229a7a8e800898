"""Hypothesis strategies to check gradients with, and tests made of them."""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, overload

import numpy as np
from hypothesis import given, reject
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, mutually_broadcastable_shapes

from retrograd.engine import RULES, Array, Tensor, pick, spelled
from retrograd.testing import KinkError, Problem, gradcheck, gradgradcheck, positional

Shape = tuple[int, ...]
Domains = Sequence[tuple[float, float]]
Test = Callable[..., None]

# Values are (k + offset) / 4 for whole k: off kinks at whole numbers and halves; arrays never tie.
OFFSETS = (0.37, 0.61, 0.12, 0.83)


def shapes(
    min_dims: int = 0, max_dims: int = 3, min_side: int = 0, max_side: int = 3
) -> st.SearchStrategy[Shape]:
    """Draw shapes, also without axes or elements."""
    return array_shapes(min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=max_side)


def broadcastable(
    number: int, max_dims: int = 3, min_side: int = 0, max_side: int = 3
) -> st.SearchStrategy[tuple[Shape, ...]]:
    """Draw tuples of `number` shapes that broadcast together."""
    drawn = mutually_broadcastable_shapes(
        num_shapes=number, max_dims=max_dims, min_side=min_side, max_side=max_side
    )
    return drawn.map(lambda found: tuple(found.input_shapes))


def values_off_kinks(
    low: float = -3.0, high: float = 3.0, offset: float = OFFSETS[0]
) -> st.SearchStrategy[float]:
    """Draw numbers from `low` to `high` that are no multiples of 1/4."""
    first, last = math.ceil(4 * low - offset), math.floor(4 * high - offset)
    if first > last:
        raise ValueError(f"values_off_kinks: there is none from {low} to {high}")
    return st.integers(first, last).map(lambda k: (k + offset) / 4)


@st.composite
def arrays(
    draw: Any,
    shape: Shape | st.SearchStrategy[Shape] | None = None,
    dtype: Any = np.float64,
    elements: st.SearchStrategy[float] | None = None,
    distinct: bool = False,
) -> Array:
    """Draw floating arrays; elements of `distinct` ones differ."""
    chosen = shapes() if shape is None else shape
    sides: Shape = draw(chosen) if isinstance(chosen, st.SearchStrategy) else chosen
    size, values = math.prod(sides), values_off_kinks() if elements is None else elements
    drawn = st.lists(values, min_size=size, max_size=size, unique=distinct)
    return np.array(draw(drawn), dtype).reshape(sides)


def tensors(
    shape: Shape | st.SearchStrategy[Shape] | None = None,
    dtype: Any = np.float64,
    elements: st.SearchStrategy[float] | None = None,
    requires_grad: bool = True,
    distinct: bool = False,
) -> st.SearchStrategy[Tensor]:
    """Draw leaf Tensors, as `arrays` draws arrays."""
    drawn: st.SearchStrategy[Array] = arrays(shape, dtype, elements, distinct)
    return drawn.map(lambda array: Tensor(array, requires_grad=requires_grad))


# where functions have derivatives: (low, high) for each argument
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
    """Draw arguments for `fn`: arrays that broadcast, in its domain, off its kinks.

    As many as its rule has vjps, or else as it has parameters without a default; TypeError where
    that cannot be told.
    """
    number = fn.nin if isinstance(fn, np.ufunc) else RULES[fn].arrays if fn in RULES else 0
    number = number or sum(p.default is p.empty for p in positional(fn))
    if not number:
        raise TypeError(
            f"for_function cannot tell how many arrays {spelled(fn)} takes: draw them by arrays()"
        )
    if number == 1 and not isinstance(fn, np.ufunc):
        # it may pick or compare elements
        wide = values_off_kinks(-8.0, 8.0)
        return st.tuples(arrays(shapes(1, min_side=1), elements=wide, distinct=True))
    domains = DOMAINS.get(fn, (WIDE,) * number)
    if fn in (np.matmul, np.dot):
        signature = np.matmul.signature
        drawn = mutually_broadcastable_shapes(signature=signature, max_dims=0, min_side=0)
        return drawn.flatmap(lambda found: _off_ties(found.input_shapes, domains))
    return broadcasting(domains)


def broadcasting(domains: Domains) -> st.SearchStrategy[tuple[Array, ...]]:
    """Draw arrays that broadcast together, one a range of values."""
    if not domains:
        return st.just(())
    return broadcastable(len(domains)).flatmap(lambda drawn: _off_ties(drawn, domains))


def _off_ties(drawn: Sequence[Shape], domains: Domains) -> st.SearchStrategy[tuple[Array, ...]]:
    return st.tuples(*(
        arrays(shape, elements=values_off_kinks(*domain, offset))
        for shape, domain, offset in zip(drawn, domains, itertools.cycle(OFFSETS), strict=False)
    ))  # fmt: skip


@overload
def gradient_property(function: Callable[..., Any], /) -> Test: ...
@overload
def gradient_property(
    *, order: int = 2, **strategies: st.SearchStrategy[Any]
) -> Callable[[Callable[..., Any]], Test]: ...
def gradient_property(function: Any = None, /, *, order: int = 2, **strategies: Any) -> Any:
    """Make a Hypothesis test of the gradients of a function.

    At each point off the kinks the derivatives up to `order` (1 or 2) agree with difference
    quotients, float32 stays, inputs are not written into, and no gradients share memory.
    Parameters that `strategies` does not draw are arrays that broadcast together. A function with
    a rule may be given itself: `test_tanh = gradient_property(np.tanh)`.

    >>> @rg.testing.gradient_property
    ... def test_softplus(x):
    ...     return np.log1p(np.exp(x))
    >>> test_softplus()
    """
    if function is None:
        return functools.partial(gradient_property, order=order, **strategies)
    if not callable(function):
        raise TypeError(f"gradient_property decorates a function, not {function!r}")
    if order not in (1, 2):
        raise ValueError(f"order must be 1 or 2, not {order!r}")

    @given(_points(function, strategies))
    def test(point: tuple[Any, ...]) -> None:
        problem = Problem(function, point, "gradient_property")
        check_memory(problem)  # first, as other checks fail where a rule writes
        check_float32(problem)
        try:
            gradcheck(function, *point)
            if order == 2:
                gradgradcheck(function, *point)
        except KinkError:
            reject()

    test.__name__ = test.__qualname__ = getattr(function, "__name__", "test")
    return test


def check_float32(problem: Problem) -> None:
    """Raise AssertionError unless float32 gives float32 values and gradients."""
    xs = [Tensor(x.astype(np.float32), requires_grad=True) for x in problem.start]
    made = []
    for i, out in enumerate(problem.call(xs)):
        made.append((f"{problem.name} as out {i}", out.dtype))
        # the engine casts gradients, so the rule is asked
        if out.rule is None or out.rule.multi or out.rule.fn is pick:
            continue
        g = np.ones(out.shape, np.float32)
        needed = [i for i, a in enumerate(out.inputs) if isinstance(a, Tensor) and a.requires_grad]
        found = out.rule.gradients(needed, g, out._array, out.args, out.kwargs)
        what = f"the gradient rule of {out.rule.name}"
        made += [(what, np.asarray(part).dtype) for part in found if part is not None]
    for what, dtype in made:
        if dtype != np.float32:
            raise AssertionError(
                f"{what} makes {dtype} of float32: are its constants Python floats?"
            )


def check_memory(problem: Problem) -> None:
    """Raise AssertionError if inputs are written into, or two gradients share memory."""
    xs = [Tensor(x, requires_grad=True) for x in problem.start]
    held: list[Array] = []
    for x in xs:
        x._array.flags.writeable = False
    try:
        for out in problem.call(xs):
            if out.requires_grad:
                held.append(np.ones_like(out._array))
                held[-1].flags.writeable = False
                out.backward(held[-1], retain_graph=True)
    except ValueError as error:
        if "read-only" in str(error):
            raise AssertionError(
                f"{problem.name} or its gradient rule writes into its input: {error}"
            ) from error
        raise
    held += [x.grad for x in xs if x.grad is not None]
    if any(np.shares_memory(a, b) for a, b in itertools.combinations(held, 2)):
        raise AssertionError(f"two gradients of {problem.name} share memory")


def _points(
    function: Callable[..., Any], strategies: dict[str, st.SearchStrategy[Any]]
) -> st.SearchStrategy[tuple[Any, ...]]:
    if not strategies and (isinstance(function, np.ufunc) or function in RULES):
        return for_function(function)
    names = [p.name for p in positional(function) if p.name in strategies or p.default is p.empty]
    if unknown := strategies.keys() - set(names):
        raise TypeError(
            f"gradient_property: {spelled(function)} has no parameter {', '.join(sorted(unknown))}"
        )

    def point(parts: tuple[tuple[Any, ...], dict[str, Any]]) -> tuple[Any, ...]:
        arrays, chosen = iter(parts[0]), parts[1]
        return tuple(chosen[name] if name in chosen else next(arrays) for name in names)

    arrays = broadcasting((WIDE,) * (len(names) - len(strategies)))
    return st.tuples(arrays, st.fixed_dictionaries(strategies)).map(point)
