"""`gradcheck` and `gradgradcheck`: gradients against difference quotients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from retrograd import autograd
from retrograd.core import Array, Tensor
from retrograd.mode import enable_grad
from retrograd.random import RngLike, generator
from retrograd.testing.problem import Problem
from retrograd.testing.report import Entry, compare, find_kink, nothing_but_kinks, table

STEP = 1e-3  # with fourth-order differences: errors near 1e-12 where values are near 1


class KinkError(AssertionError):
    """A derivative that differs from the difference quotient only because of a kink.

    The slopes to the two sides differ, and the gradient lies between them: move the input.
    """


def gradcheck(
    fn: Callable[..., Any],
    *inputs: Any,
    step: float = STEP,
    rtol: float = 1e-5,
    atol: float = 1e-7,
    directions: int = 3,
    full: bool = False,
    rng: RngLike = 0,
) -> bool:
    """Compare the gradient of `fn` at `inputs` with difference quotients; return True.

    Varied are the floating arrays and the Tensors that require grad among `inputs`, also inside
    dicts, lists and tuples, in float64; all else is passed as it is. Random directions are
    compared, or with `full` every entry of the Jacobian. Raises AssertionError with a table of
    the entries, the worst one marked, if they differ by more than `atol + rtol * |numeric|`;
    KinkError (an AssertionError too) if that is only because of a kink; TypeError if there is
    nothing to vary; ValueError if `fn` gives other values each time or has no value nearby.

    >>> import numpy as np, retrograd as rg
    >>> rg.testing.gradcheck(np.logaddexp, np.array([0.5, 1.5]), np.array(2.0))
    True
    """
    _check_options(step, rtol, atol, directions)
    problem = Problem(fn, inputs, "gradcheck")
    _check(problem, step, rtol, atol, directions, full, generator(rng))
    return True


def gradgradcheck(
    fn: Callable[..., Any],
    *inputs: Any,
    step: float = STEP,
    rtol: float = 1e-5,
    atol: float = 1e-7,
    directions: int = 3,
    full: bool = False,
    rng: RngLike = 0,
) -> bool:
    """Compare the second derivatives of `fn` at `inputs` with difference quotients; return True.

    What is checked, as by `gradcheck`, is the function that takes `inputs` and weights of the
    outputs to the gradient.

    >>> import numpy as np, retrograd as rg
    >>> rg.testing.gradgradcheck(np.tanh, np.array([0.5, 1.5]))
    True
    """
    _check_options(step, rtol, atol, directions)
    problem = Problem(fn, inputs, "gradgradcheck")
    draws = generator(rng)
    weights = [draws.normal(size=out.shape) for out in problem.values(problem.start)]
    second = _gradient_of(problem)
    lifted = Problem(second, (*problem.start, *weights), "gradgradcheck")
    lifted.names = problem.names + [f"the weight of out {i}" for i in range(len(weights))]
    _check(lifted, step, rtol, atol, directions, full, draws)
    return True


def _gradient_of(problem: Problem) -> Callable[..., Any]:
    """Return the function from a point and weights of the outputs to the gradient."""
    number = len(problem.start)

    def gradient(*values: Tensor) -> list[Tensor]:
        graph = values[0].requires_grad
        # Difference quotients come as constants: leaves of their own take the gradient then.
        xs = [v if graph else Tensor(v, requires_grad=True) for v in values[:number]]
        with enable_grad():
            outputs = problem.call(xs)
        pairs = [(t, w) for t, w in zip(outputs, values[number:], strict=True) if t.requires_grad]
        if not pairs:
            return [x * 0.0 for x in xs]
        found = autograd.grad(
            [t for t, _ in pairs], xs, [w for _, w in pairs], create_graph=graph, allow_unused=True
        )
        return [x * 0.0 if g is None else g for x, g in zip(xs, found, strict=True)]

    gradient.__name__ = f"the gradient of {problem.name}"
    return gradient


def _check_options(step: float, rtol: float, atol: float, directions: int) -> None:
    if not (np.isfinite(step) and step > 0):
        raise ValueError(f"step must be a finite number above 0, not {step!r}")
    if not (rtol >= 0 and atol >= 0):
        raise ValueError(f"rtol and atol must be at least 0, not {rtol!r} and {atol!r}")
    if directions < 1:
        raise ValueError(f"directions must be at least 1, not {directions!r}")


def _check(
    problem: Problem,
    step: float,
    rtol: float,
    atol: float,
    directions: int,
    full: bool,
    rng: np.random.Generator,
) -> None:
    _check_repeatable(problem)
    if full:
        wrong = compare(problem, step, rtol, atol)
        if wrong:
            _fail(problem, step, wrong)
        return
    shapes = [out.shape for out in problem.values(problem.start)]
    for _ in range(directions):
        weights = [rng.normal(size=shape) for shape in shapes]
        along = [rng.normal(size=x.shape) for x in problem.start]
        entry = _direction(problem, weights, along, step)
        if not np.isfinite(entry.numeric):
            _no_value(problem, step)
        if entry.wrong(rtol, atol):
            wrong = compare(problem, step, rtol, atol, limit=100)
            if not wrong:
                entry.kink = find_kink(
                    lambda h: _weighed(problem.values(problem.moved(along, h)), weights),  # noqa: B023
                    step,
                    entry.analytic,
                    entry.numeric,
                )
            _fail(problem, step, wrong or [entry])


def _direction(
    problem: Problem, weights: Sequence[Array], along: Sequence[Array], step: float
) -> Entry:
    parts = problem.along(along, step)
    numeric = _weighed(parts, weights)
    analytic = _weighed(problem.gradients(weights), along)
    size = _weighed([np.abs(p) for p in parts], [np.abs(w) for w in weights])
    return Entry("a random direction", analytic, numeric, size)


def _weighed(parts: Sequence[Array], weights: Sequence[Array]) -> float:
    return float(sum(np.sum(p * w) for p, w in zip(parts, weights, strict=True)))


def _check_repeatable(problem: Problem) -> None:
    first, again = problem.values(problem.start), problem.values(problem.start)
    for x, y in zip(first, again, strict=True):
        if not np.array_equal(x, y, equal_nan=True):
            raise ValueError(
                f"{problem.name} gives another value each time it is called: pass rng= to what "
                "draws, or check it with .eval()"
            )
        if not np.all(np.isfinite(x)):
            raise ValueError(f"{problem.name} is not finite at the given inputs: {x!r}")


def _no_value(problem: Problem, step: float) -> None:
    raise ValueError(
        f"{problem.name} is not finite within {step:g} of the given inputs: move them inside its "
        "domain, or pass a smaller step="
    )


def _fail(problem: Problem, step: float, wrong: list[Entry]) -> None:
    if any(not np.isfinite(entry.numeric) for entry in wrong):
        _no_value(problem, step)
    text = table(problem, step, wrong)
    raise (KinkError if nothing_but_kinks(wrong) else AssertionError)(text)
