"""`gradient_property`: a test of all that a gradient must do, made of one function."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any, overload

import numpy as np
from hypothesis import given, reject
from hypothesis import strategies as st

from retrograd.checks import one_of
from retrograd.engine import RULES, Array, Tensor, pick, spelled
from retrograd.testing.check import KinkError, gradcheck, gradgradcheck
from retrograd.testing.problem import Problem, positional_parameters
from retrograd.testing.strategies import WIDE, broadcasting, for_function

Test = Callable[..., None]


@overload
def gradient_property(function: Callable[..., Any], /) -> Test: ...
@overload
def gradient_property(
    *, order: int = 2, **strategies: st.SearchStrategy[Any]
) -> Callable[[Callable[..., Any]], Test]: ...
def gradient_property(function: Any = None, /, *, order: int = 2, **strategies: Any) -> Any:
    """Make a Hypothesis test of the gradients of a function: a decorator, or a call.

    At each point that is drawn, off the kinks, the derivatives up to `order` agree with difference
    quotients, float32 gives float32 values and gradients, no input is written into, and no two
    gradients share memory. It needs Hypothesis.

    Args:
        function: A function of Tensors, which takes as many arrays as it has parameters without a
            default. A ufunc, or a function that has a gradient rule, may be given itself:
            `test_tanh = gradient_property(np.tanh)`.
        order: Up to which order derivatives are compared, 1 or 2 (default 2).
        **strategies: By the name of a parameter the strategy that draws it (`rg.testing.strategies`
            has some). All others are arrays of float64 that broadcast together.

    Returns:
        The test, a function without parameters under the name of `function`, for pytest to run or
        to be called. Without `function`, a decorator that makes one.

    Raises:
        TypeError: if `function` is no function, or has no parameter of a name in `strategies`.
        ValueError: if `order` is neither 1 nor 2.
        AssertionError: when the test runs, for what does not hold.

    >>> @rg.testing.gradient_property
    ... def test_softplus(x):
    ...     return np.log1p(np.exp(x))
    >>> test_softplus()
    """
    if function is None:
        return functools.partial(gradient_property, order=order, **strategies)
    if not callable(function):
        raise TypeError(f"gradient_property decorates a function, not {function!r}")
    one_of("order", order, 1, 2)

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
    dtypes = []
    for i, out in enumerate(problem.call(xs)):
        dtypes.append((f"{problem.name} as out {i}", out.dtype))
        # the engine casts gradients to the dtype of what they belong to, so the rule is asked
        if out.rule is None or out.rule.multi or out.rule.fn is pick:
            continue
        g = np.ones(out.shape, np.float32)
        needed = [i for i, a in enumerate(out.inputs) if isinstance(a, Tensor) and a.requires_grad]
        found = out.rule.gradients(needed, g, out._array, out.args, out.kwargs)
        what = f"the gradient rule of {out.rule.name}"
        dtypes += [(what, np.asarray(part).dtype) for part in found if part is not None]
    for what, dtype in dtypes:
        if dtype != np.float32:
            raise AssertionError(
                f"{what} makes {dtype} of float32: are its constants Python floats?"
            )


def check_memory(problem: Problem) -> None:
    """Raise AssertionError if inputs are written into, or if two gradients share memory."""
    xs = [Tensor(x, requires_grad=True) for x in problem.start]
    gradients: list[Array] = []
    for x in xs:
        x._array.flags.writeable = False
    try:
        for out in problem.call(xs):
            if out.requires_grad:
                gradients.append(np.ones_like(out._array))
                gradients[-1].flags.writeable = False
                out.backward(gradients[-1], retain_graph=True)
    except ValueError as error:
        if "read-only" in str(error):
            raise AssertionError(
                f"{problem.name} or its gradient rule writes into its input: {error}"
            ) from error
        raise
    gradients += [x.grad for x in xs if x.grad is not None]
    if any(np.shares_memory(a, b) for a, b in itertools.combinations(gradients, 2)):
        raise AssertionError(f"two gradients of {problem.name} share memory")


def _points(
    function: Callable[..., Any], strategies: dict[str, st.SearchStrategy[Any]]
) -> st.SearchStrategy[tuple[Any, ...]]:
    """Return a strategy for the arguments of a function, of which `strategies` draws some."""
    if not strategies and (isinstance(function, np.ufunc) or function in RULES):
        return for_function(function)
    parameters = positional_parameters(function)
    names = [p.name for p in parameters if p.name in strategies or p.default is p.empty]
    if unknown := strategies.keys() - set(names):
        raise TypeError(
            f"gradient_property: {spelled(function)} has no parameter {', '.join(sorted(unknown))}"
        )

    def point(parts: tuple[tuple[Any, ...], dict[str, Any]]) -> tuple[Any, ...]:
        arrays, chosen = iter(parts[0]), parts[1]
        return tuple(chosen[name] if name in chosen else next(arrays) for name in names)

    arrays = broadcasting((WIDE,) * (len(names) - len(strategies)))
    return st.tuples(arrays, st.fixed_dictionaries(strategies)).map(point)
