"""`gradient_property`: a test of everything that a gradient must do, out of one function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, overload

import numpy as np
from hypothesis import given, reject
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from retrograd.core import Array, Tensor
from retrograd.registry import RULES, spelled
from retrograd.testing.check import KinkError, Problem, gradcheck, gradgradcheck
from retrograd.testing.strategies import WIDE, broadcasting, for_function, parameters

Test = Callable[..., None]


@overload
def gradient_property(function: Callable[..., Any], /) -> Test: ...
@overload
def gradient_property(
    *, order: int = 2, **strategies: SearchStrategy[Any]
) -> Callable[[Callable[..., Any]], Test]: ...
def gradient_property(
    function: Callable[..., Any] | None = None,
    /,
    *,
    order: int = 2,
    **strategies: SearchStrategy[Any],
) -> Any:
    """Make a Hypothesis test of the gradients of a function.

    At each drawn point the derivatives up to `order` (1 or 2) agree with difference quotients,
    float32 stays float32, nothing writes into the inputs, and no two gradients share memory.
    Points at kinks are passed over. The parameters of the function are drawn as arrays that
    broadcast together, unless `strategies` draws them. A ufunc or a function with a rule may be
    given itself: `test_tanh = gradient_property(np.tanh)`.

    >>> import numpy as np, retrograd as rg
    >>> @rg.testing.gradient_property
    ... def test_softplus(x):
    ...     return np.log1p(np.exp(x))
    >>> test_softplus()
    """
    if function is None:
        return lambda decorated: _property(decorated, order, strategies)
    return _property(function, order, strategies)


def _property(
    function: Callable[..., Any], order: int, strategies: dict[str, SearchStrategy[Any]]
) -> Test:
    if not callable(function):
        raise TypeError(f"gradient_property decorates a function, not {function!r}")
    if order not in (1, 2):
        raise ValueError(f"order must be 1 or 2, not {order!r}")

    @given(_points(function, strategies))
    def test(point: tuple[Any, ...]) -> None:
        check_point(function, point, order)

    test.__name__ = test.__qualname__ = getattr(function, "__name__", "test")
    test.__doc__ = f"Check the gradients of {spelled(function)} at drawn points."
    test.__module__ = getattr(function, "__module__", __name__)
    return test


def check_point(function: Callable[..., Any], point: Sequence[Any], order: int = 2) -> None:
    """Check all that `gradient_property` does at one point."""
    try:
        gradcheck(function, *point)
        if order == 2:
            gradgradcheck(function, *point)
    except KinkError:
        reject()
    problem = Problem(function, point, "gradient_property")
    check_float32(problem)
    check_memory(problem)


def check_float32(problem: Problem) -> None:
    """Raise AssertionError unless float32 inputs give float32 values and gradients."""
    xs = [Tensor(x.astype(np.float32), requires_grad=True) for x in problem.start]
    advice = "are its constants Python floats?"
    for i, out in enumerate(problem.call(xs)):
        if out.dtype != np.float32:
            raise AssertionError(
                f"{problem.name} of float32 inputs gives {out.dtype} as out {i}: {advice}"
            )
        # The engine casts gradients to the dtype of what they belong to, so the rule is asked.
        if out.rule is None or out.rule.multi:
            continue
        g = np.ones(out.shape, np.float32)
        for a, vjp in zip(out.inputs, out.rule.vjps, strict=False):
            if vjp is not None and isinstance(a, Tensor) and a.requires_grad:
                dtype = np.asarray(vjp(g, out._data, *out.args, **out.kwargs)).dtype
                if dtype != np.float32:
                    raise AssertionError(
                        f"the gradient rule of {out.rule.name} makes {dtype} of float32: {advice}"
                    )


def check_memory(problem: Problem) -> None:
    """Raise AssertionError if anything writes into the inputs, or two gradients share memory."""
    xs = [Tensor(x, requires_grad=True) for x in problem.start]
    for x in xs:
        x._data.flags.writeable = False
    weights: list[Array] = []
    try:
        for out in problem.call(xs):
            if out.requires_grad:
                weight = np.ones(out.shape, out.dtype)
                weight.flags.writeable = False
                weights.append(weight)
                out.backward(weight, retain_graph=True)
    except ValueError as error:
        if "read-only" in str(error):
            raise AssertionError(
                f"{problem.name} or its gradient rule writes into its input: {error}"
            ) from error
        raise
    held = [x.grad for x in xs if x.grad is not None]
    for i, grad in enumerate(held):
        if any(np.shares_memory(grad, other) for other in (*held[:i], *weights)):
            raise AssertionError(f"two gradients of {problem.name} share memory")


def _points(
    function: Callable[..., Any], strategies: dict[str, SearchStrategy[Any]]
) -> SearchStrategy[tuple[Any, ...]]:
    if not strategies and (isinstance(function, np.ufunc) or function in RULES):
        return for_function(function)
    names = parameters(function, strategies)
    if unknown := strategies.keys() - set(names):
        raise TypeError(
            f"gradient_property: {spelled(function)} has no parameter {', '.join(sorted(unknown))}"
        )
    drawn = [name for name in names if name not in strategies]
    both = st.tuples(broadcasting((WIDE,) * len(drawn)), st.fixed_dictionaries(strategies))

    def point(parts: tuple[tuple[Any, ...], dict[str, Any]]) -> tuple[Any, ...]:
        given = {**dict(zip(drawn, parts[0], strict=True)), **parts[1]}
        return tuple(given[name] for name in names)

    return both.map(point)
