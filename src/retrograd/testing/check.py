"""`gradcheck` and `gradgradcheck`: gradients against difference quotients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.engine import Array, Tensor, enable_grad
from retrograd.func.run import pull
from retrograd.random import RngLike, generator
from retrograd.testing.problem import Problem
from retrograd.testing.report import Entry, find_kink, has_only_kinks, table

if TYPE_CHECKING:
    from numpy.random import Generator

STEP = 1e-3  # with differences of fourth order: errors near 1e-12 of values near 1
HALVINGS = 20  # how often a step that may be too long is halved, down to a millionth
# how far a value may be off by rounding, in units of its size, in a quotient of fourth order
ROUNDING = 16 * float(np.finfo(np.float64).eps)


class KinkError(AssertionError):
    """A derivative differs from the difference quotient, but only because of a kink.

    The slopes to the two sides of the point differ, and the gradient lies between them, as it may.
    It is no mistake of the rule: move the input away from the kink.

    >>> try:
    ...     rg.testing.gradcheck(F.relu, np.array([0.0, 1.0]))
    ... except rg.testing.KinkError as error:
    ...     print(str(error).splitlines()[0])
    the gradient of relu meets a kink in 1 place (step 0.001, float64)
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

    The quotient is central and of fourth order: with `h = step / 2` and `f(t) = fn(x + t * v)` it
    is `(8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h`. A gradient fits where it differs by at most
    `atol + rtol * |numeric|`, for a sum of outputs by `rtol` times the sum of the absolute values,
    and by what rounding does to the quotient of large values. Where the function bends too much
    for the step, shorter ones are tried: it also fits if the quotients come to it.

    Args:
        fn: A function of Tensors, which returns an array or Tensor of floats, or a tree (nested
            dicts, lists, tuples) with such in it. Other outputs are not looked at.
        *inputs: Its arguments, trees too. The floating arrays and the Tensors that require grad in
            them vary, in float64; all else, also Python numbers, is handed on as it is.
        step: How far the difference quotient reaches (default 1e-3), at first.
        rtol: The relative tolerance (default 1e-5).
        atol: The absolute tolerance (default 1e-7).
        directions: In how many random directions the inputs vary together, each with random weights
            of the outputs (default 3). A wrong element shows in nearly any
            direction, so this takes a few calls, however many elements there are.
        full: Whether each element of the Jacobian is compared instead.
        rng: A Generator, or a seed for it, to draw directions with (default 0).

    Returns:
        True, always: a gradient that does not fit is an error.

    Raises:
        AssertionError: with a table of the derivatives that do not fit.
        KinkError: which is an AssertionError, if only because of a kink.
        TypeError: if `fn` is no function, if nothing varies, or if no output is floating.
        ValueError: if `fn` gives other values each time, or is not finite at or near the inputs, or
            if an option is out of range.

    >>> rg.testing.gradcheck(np.logaddexp, np.array([0.5, 1.5]), np.array(2.0))
    True
    """
    problem = Problem(fn, inputs, "gradcheck")
    return _check(problem, step, rtol, atol, directions, full, generator(rng))


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

    It is `gradcheck` of a function made of `fn`: that from `inputs`, and random weights of the
    outputs, to the gradient of the weighed sum of the outputs.

    Args:
        fn: A function of Tensors, which returns an array or Tensor of floats, or a tree (nested
            dicts, lists, tuples) with such in it. Other outputs are not looked at.
        *inputs: Its arguments, trees too. The floating arrays and the Tensors that require grad in
            them vary, in float64; all else, also Python numbers, is handed on as it is.
        step: How far the difference quotient reaches (default 1e-3).
        rtol: The relative tolerance (default 1e-5).
        atol: The absolute tolerance (default 1e-7).
        directions: In how many random directions inputs and weights vary together (default 3).
        full: Whether each second derivative is compared instead.
        rng: A Generator, or a seed for it, to draw weights and directions with (default 0).

    Returns:
        True, always: a derivative that does not fit is an error.

    Raises:
        AssertionError: with a table of the derivatives that do not fit.
        KinkError: which is an AssertionError, if only because of a kink of the gradient.
        TypeError: if `fn` is no function, if nothing varies, or if no output is floating.
        ValueError: if `fn` gives other values each time, or is not finite at or near the inputs, or
            if an option is out of range.

    >>> rg.testing.gradgradcheck(np.tanh, np.array([0.5, 1.5]))
    True
    """
    problem = Problem(fn, inputs, "gradgradcheck")
    draws, number = generator(rng), len(problem.start)
    weights = [draws.normal(size=out.shape) for out in problem.outputs(problem.point)]

    def gradient(*values: Tensor) -> list[Tensor]:
        graph = values[0].requires_grad
        # for difference quotients the values are constants: leaves take the gradient then
        xs = [v if graph else Tensor(v, requires_grad=True) for v in values[:number]]
        with enable_grad():
            outs = problem.call(xs)
        return pull(outs, xs, values[number:], graph)

    gradient.__name__ = f"the gradient of {problem.name}"
    second = Problem(gradient, (*problem.start, *weights), "gradgradcheck")
    second.names = problem.names + [f"the weight of out {i}" for i in range(len(weights))]
    return _check(second, step, rtol, atol, directions, full, draws)


def _check(
    problem: Problem,
    step: float,
    rtol: float,
    atol: float,
    directions: int,
    full: bool,
    rng: Generator,
) -> bool:
    """Compare the gradient of a problem in random directions, or in full."""
    if not (0 < step < np.inf and rtol >= 0 and atol >= 0 and directions >= 1):
        raise ValueError(
            "step must be finite and above 0, rtol and atol at least 0, directions at least 1, "
            f"not {step=}, {rtol=}, {atol=}, {directions=}"
        )
    values = problem.values(problem.point)
    if not np.array_equal(values, problem.values(problem.point), equal_nan=True):
        raise ValueError(
            f"{problem.name} gives another value each time: pass rng= to what draws, or check "
            "it with .eval()"
        )
    if not np.all(np.isfinite(values)):
        raise ValueError(f"{problem.name} is not finite at the inputs: {values!r}")
    comparison = _Comparison(problem, step, rtol, atol)
    wrong = comparison.elements() if full else []
    for _ in range(0 if full else directions):
        weights, along = rng.normal(size=values.size), rng.normal(size=problem.point.size)
        slopes, gradient = problem.slopes(along, step), problem.gradient(weights)
        entries = comparison.entries("a random direction", gradient, slopes, along, weights)
        if entries:
            wrong = comparison.elements(limit=100) or entries
            break
    if wrong:
        error = KinkError if has_only_kinks(wrong) else AssertionError
        raise error(table(problem.name, step, wrong))
    return True


class _Comparison:
    """How derivatives of a problem are compared: with which step and within what tolerance."""

    def __init__(self, problem: Problem, step: float, rtol: float, atol: float) -> None:
        self.problem, self.step, self.rtol, self.atol = problem, step, rtol, atol
        self.values = problem.values(problem.point)

    def elements(self, limit: int | None = None) -> list[Entry]:
        """Return the wrong elements of the Jacobian, of the first `limit` of each array."""
        problem, outs = self.problem, self.problem.outputs(self.problem.point)
        names = [f"out {k}" for k in range(len(outs))] if len(outs) > 1 else ["out"]
        rows = [(name, problem.gradient(unit), unit) for name, unit in _units(names, outs, limit)]
        wrong = []
        for name, along in _units(problem.names, problem.start, limit):
            slopes = problem.slopes(along, self.step)
            for row, gradient, weights in rows:
                wrong += self.entries(f"d {row} / d {name}", gradient, slopes, along, weights)
        return wrong

    def entries(
        self, what: str, gradient: Array, slopes: Array, along: Array, weights: Array
    ) -> list[Entry]:
        """Return the entry for one derivative if it is wrong, in a list, and else none.

        Args:
            what: What it is called in a report.
            gradient: The gradient of the weighed sum of the values, by the rules.
            slopes: The derivative of each value along the direction, by differences.
            along: The direction.
            weights: The weights of the values.
        """
        problem = self.problem

        def value(h: float) -> Any:
            return problem.values(problem.point + h * along) @ weights

        analytic, numeric = float(gradient @ along), float(slopes @ weights)
        if abs(analytic - numeric) <= self._tolerance(slopes, weights, self.step):
            return []
        shorter = self._shorten_step(along, weights, numeric)
        if shorter is not None:
            numeric, enough = shorter
            if abs(analytic - numeric) <= enough:
                return []
            return [Entry(what, analytic, numeric, None)]
        return [Entry(what, analytic, numeric, find_kink(value, self.step, analytic, numeric))]

    def _tolerance(self, slopes: Array, weights: Array, step: float) -> float:
        """Return by how much a gradient may differ from slopes that were taken with a step."""
        exact = self.rtol * (np.abs(slopes) @ np.abs(weights))
        return float(self.atol + exact + self._rounding(weights, step))

    def _rounding(self, weights: Array, step: float) -> float:
        """Return how far rounding may turn a difference quotient: of large values it has less."""
        return float(ROUNDING * (np.abs(self.values) @ np.abs(weights)) / step)

    def _shorten_step(
        self, along: Array, weights: Array, first: float
    ) -> tuple[float, float] | None:
        """Return the slope by a shorter step, and the tolerance, if the function needs one.

        Where it is smooth and bends much, half the step makes the error 16 times smaller, until
        slopes stay the same. At a kink they do so from the start, and near one they jump.

        Args:
            along: The direction.
            weights: The weights of the values.
            first: The slope by the step itself.
        """
        step, last, change = self.step, first, 0.0
        for halving in range(HALVINGS):
            step /= 2
            try:
                slopes = self.problem.slopes(along, step)
            except ValueError:  # not finite there
                change = np.inf
                continue
            slope, enough = float(slopes @ weights), self._tolerance(slopes, weights, step)
            if self._rounding(weights, step) > 1e-3 * abs(slope) + self.atol:
                return None
            before, change = change, abs(slope - last)
            if change <= enough:
                gradual = halving and before <= 64 * enough
                return (slope, enough) if gradual else None
            last = slope
        return None


def _units(
    names: Sequence[str], arrays: Sequence[Any], limit: int | None
) -> Iterator[tuple[str, Array]]:
    """Yield a name and a unit vector for each of the first `limit` elements of each array."""
    start, size = 0, sum(x.size for x in arrays)
    for name, x in zip(names, arrays, strict=True):
        for i, index in enumerate(islice(np.ndindex(x.shape), limit), start):
            at = f"[{', '.join(map(str, index))}]" if index else ""
            yield name + at, np.eye(1, size, i)[0]
        start += x.size
