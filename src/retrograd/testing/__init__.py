"""Checks of gradients by difference quotients.

`strategies` and `gradient_property` load Hypothesis on first use.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd import tree
from retrograd.engine import Array, Tensor, as_array, enable_grad, no_grad, spelled, wrap
from retrograd.func import pull, ravel_pytree
from retrograd.later import load_later
from retrograd.random import RngLike, generator

if TYPE_CHECKING:
    from retrograd.testing import strategies
    from retrograd.testing.strategies import gradient_property

__all__ = ["KinkError", "gradcheck", "gradgradcheck", "gradient_property", "strategies"]

STEP = 1e-3  # errors near 1e-12 of values near 1
SHOWN = 8


class KinkError(AssertionError):
    """A derivative differs from the difference quotient only because of a kink: move the input."""


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

    The floating arrays and the Tensors that require grad in the trees `inputs` vary, in float64,
    along random directions or with `full` one by one. Raises AssertionError with a table of the
    entries that differ by more than `atol + rtol * |numeric|`; KinkError if only for a kink;
    TypeError if nothing varies; ValueError if `fn` is random or not finite nearby.

    >>> rg.testing.gradcheck(np.logaddexp, np.array([0.5, 1.5]), np.array(2.0))
    True
    """
    problem = Problem(fn, inputs, "gradcheck")
    return problem.check(step, rtol, atol, directions, full, generator(rng))


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

    This is `gradcheck` of the function from `inputs` and weights of the outputs to the gradient.

    >>> rg.testing.gradgradcheck(np.tanh, np.array([0.5, 1.5]))
    True
    """
    problem = Problem(fn, inputs, "gradgradcheck")
    draws, number = generator(rng), len(problem.start)
    weights = [draws.normal(size=out.shape) for out in problem.outputs(problem.point)]

    def gradient(*values: Tensor) -> list[Tensor]:
        graph = values[0].requires_grad
        # constants for difference quotients: leaves take the gradient then
        xs = [v if graph else Tensor(v, requires_grad=True) for v in values[:number]]
        with enable_grad():
            outs = problem.call(xs)
        return pull(outs, xs, values[number:], graph)

    gradient.__name__ = f"the gradient of {problem.name}"
    second = Problem(gradient, (*problem.start, *weights), "gradgradcheck")
    second.names = problem.names + [f"the weight of out {i}" for i in range(len(weights))]
    return second.check(step, rtol, atol, directions, full, draws)


# where, the derivative by rules and by differences, slopes beside a kink
Entry = tuple[str, float, float, tuple[float, float] | None]


class Problem:
    """`fn` at `inputs`; `start` are those that vary, `point` their elements."""

    def __init__(self, fn: Callable[..., Any], inputs: Sequence[Any], what: str) -> None:
        if not callable(fn):
            raise TypeError(f"{what} takes a function first, not {fn!r}")
        self.fn, self.name = fn, spelled(fn)
        self.leaves, self.structure = tree.flatten(tuple(inputs))
        self.varied = [i for i, leaf in enumerate(self.leaves) if _is_varied(leaf)]
        if not self.varied:
            raise TypeError(
                f"{what} of {self.name} got no floating array or Tensor that requires grad: write "
                "np.array(2.0) for a number"
            )
        self.start = [np.array(as_array(self.leaves[i]), np.float64) for i in self.varied]
        self.point, self.unravel = ravel_pytree(self.start)
        given = dict(enumerate(p.name for p in positional(fn)))
        paths = self.structure.paths()
        self.names = [
            given.get(at, f"input {at}") + "".join(f"[{key!r}]" for key in rest)
            for at, *rest in (paths[i] for i in self.varied)
        ]

    def call(self, values: Sequence[Tensor]) -> list[Tensor]:
        """Return the floating outputs."""
        leaves = list(self.leaves)
        for i, value in zip(self.varied, values, strict=True):
            leaves[i] = value
        given = self.structure.unflatten(leaves)
        try:
            outs = tree.leaves(self.fn(*given))
        except Exception as error:
            if len(given) == 1 and isinstance(given[0], (list, tuple)):
                error.add_note(
                    f"{self.name} was called with one {type(given[0]).__name__}: for several "
                    "arguments write gradcheck(fn, x, y), not gradcheck(fn, (x, y))"
                )
            raise
        tensors = [out if isinstance(out, Tensor) else Tensor(out) for out in outs]
        floating = [t for t in tensors if t.dtype.kind == "f"]
        if not floating:
            raise TypeError(f"{self.name} returned no floating array or Tensor: {outs!r}")
        return floating

    def outputs(self, point: Array) -> list[Tensor]:
        with no_grad(), np.errstate(all="ignore"):
            # a function may keep its arrays
            return self.call([wrap(x) for x in self.unravel(point)])

    def values(self, point: Array) -> Array:
        vector: Array = ravel_pytree(self.outputs(point))[0]._array
        return vector

    def slopes(self, along: Array) -> Array:
        """Return central differences along a direction, of fourth order."""
        h = self.step / 2
        a, b, c, d = (self.values(self.point + k * h * along) for k in (1, -1, 2, -2))
        with np.errstate(all="ignore"):
            slopes: Array = (8 * (a - b) - (c - d)) / (12 * h)
        if not np.all(np.isfinite(slopes)):
            raise ValueError(
                f"{self.name} is not finite within {self.step:g} of the inputs: move them inside "
                "its domain, or pass a smaller step="
            )
        return slopes

    def gradient(self, weights: Array) -> Array:
        xs = [Tensor(x, requires_grad=True) for x in self.start]
        values = ravel_pytree(self.call(xs))[0]
        vector: Array = ravel_pytree(pull([values], xs, [weights], graph=False))[0]._array
        return vector

    def check(
        self, step: float, rtol: float, atol: float, directions: int, full: bool, rng: Any
    ) -> bool:
        if not (0 < step < np.inf and rtol >= 0 and atol >= 0 and directions >= 1):
            raise ValueError(
                "step must be finite and above 0, rtol and atol at least 0, directions at least 1, "
                f"not {step=}, {rtol=}, {atol=}, {directions=}"
            )
        self.step, self.rtol, self.atol = step, rtol, atol
        values = self.values(self.point)
        if not np.array_equal(values, self.values(self.point), equal_nan=True):
            raise ValueError(
                f"{self.name} gives another value each time: pass rng= to what draws, or check "
                "it with .eval()"
            )
        if not np.all(np.isfinite(values)):
            raise ValueError(f"{self.name} is not finite at the inputs: {values!r}")
        if full:
            self.report(self.compared())
        for _ in range(0 if full else directions):
            weights, along = rng.normal(size=values.size), rng.normal(size=self.point.size)
            slopes = self.slopes(along)
            gradient = self.gradient(weights)
            if wrong := self.entry("a random direction", gradient, slopes, along, weights):
                self.report(self.compared(limit=100) or wrong)
        return True

    def compared(self, limit: int | None = None) -> list[Entry]:
        """Return the wrong entries of the Jacobian, for `limit` elements of each array."""
        outs = self.outputs(self.point)
        names = [f"out {k}" for k in range(len(outs))] if len(outs) > 1 else ["out"]
        rows = [(name, self.gradient(row), row) for name, row in _units(names, outs, limit)]
        wrong = []
        for name, along in _units(self.names, self.start, limit):
            slopes = self.slopes(along)
            for row, gradient, weights in rows:
                wrong += self.entry(f"d {row} / d {name}", gradient, slopes, along, weights)
        return wrong

    def entry(
        self, what: str, gradient: Array, slopes: Array, along: Array, weights: Array
    ) -> list[Entry]:

        def value(h: float) -> Any:
            return self.values(self.point + h * along) @ weights

        analytic, numeric = float(gradient @ along), float(slopes @ weights)
        if abs(analytic - numeric) <= self.atol + self.rtol * (np.abs(slopes) @ np.abs(weights)):
            return []
        return [(what, analytic, numeric, find_kink(value, self.step, analytic, numeric))]

    def report(self, wrong: list[Entry]) -> None:
        """Raise an error with a table of the wrong entries, if any."""
        if not wrong:
            return
        wrong.sort(key=lambda entry: -abs(entry[1] - entry[2]))
        smooth = [entry for entry in wrong if entry[3] is None]
        width = max(len(what) for what, *_ in wrong[:SHOWN])
        how = "differs from the difference quotient" if smooth else "meets a kink"
        places = f"{len(wrong)} place{'s' * (len(wrong) > 1)}"
        lines = [
            f"the gradient of {self.name} {how} in {places} (step {self.step:g}, float64)",
            f"  {'':{width}}  {'analytic':>14}  {'numeric':>14}  {'difference':>12}",
        ]
        for what, x, y, kink in wrong[:SHOWN]:
            line = f"  {what:{width}}  {x:14.7g}  {y:14.7g}  {abs(x - y):12.3g}"
            lines.append(line + (f"  kink: slopes {kink[0]:.4g} and {kink[1]:.4g}" if kink else ""))
        if len(wrong) > 1:
            lines[2] += "  <- worst"
        if len(wrong) > SHOWN:
            lines.append(f"  and {len(wrong) - SHOWN} more")
        raise (AssertionError if smooth else KinkError)("\n".join([*lines, _advice(smooth)]))


def _is_varied(leaf: Any) -> bool:
    if isinstance(leaf, Tensor):
        return leaf.requires_grad
    return isinstance(leaf, (np.ndarray, np.floating)) and leaf.dtype.kind == "f"


def positional(fn: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the positional parameters; none where NumPy does not tell."""
    try:
        found = () if isinstance(fn, np.ufunc) else inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def _units(
    names: Sequence[str], arrays: Sequence[Any], limit: int | None
) -> Iterator[tuple[str, Array]]:
    """Yield names and unit vectors for `limit` elements of each array."""
    start, size = 0, sum(x.size for x in arrays)
    for name, x in zip(names, arrays, strict=True):
        for i, index in enumerate(islice(np.ndindex(x.shape), limit), start):
            at = f"[{', '.join(map(str, index))}]" if index else ""
            yield name + at, np.eye(1, size, i)[0]
        start += x.size


def find_kink(
    value: Callable[[float], float], step: float, analytic: float, numeric: float
) -> tuple[float, float] | None:
    """Return the slopes to both sides of 0 if a kink explains why two derivatives differ.

    As the step shrinks, the slopes stay apart at a kink, and any derivative between them is fair;
    near one they come to the analytic one.
    """
    here, small = value(0.0), step / 1024

    def slopes(h: float) -> tuple[float, float]:
        return (here - value(-h)) / h, (value(h) - here) / h

    wide, (left, right) = slopes(step), slopes(small)
    rounding = 64 * np.finfo(float).eps * max(1.0, abs(here)) / small
    error, off = abs(analytic - numeric), abs(analytic - (left + right) / 2)
    if off < 0.1 * error and error > rounding:
        return wide
    gap = abs(right - left)
    if gap < 0.25 * abs(wide[1] - wide[0]) or gap < 1e-4 * (abs(left) + abs(right)) + rounding:
        return None
    return (left, right) if off <= 0.501 * gap else None


def _advice(wrong: list[Entry]) -> str:
    if not wrong:
        return "A kink is no mistake of the rule: move the input, or pass a smaller step="
    analytic, numeric = np.array([entry[1:3] for entry in wrong]).T
    if not np.any(analytic):
        return "All are 0: is the gradient lost on the way, by .data or .detach()?"
    if np.max(np.abs(numeric)) <= 1e-9:
        return "The function does not change: does it depend on this input?"
    factor = analytic @ numeric / (numeric @ numeric)
    if np.allclose(analytic, factor * numeric, rtol=1e-4):
        return f"All are {factor:.6g} times the difference quotient."
    return "Is the rule's formula that of the function?"


_load = load_later(__name__, {"strategies": "strategies gradient_property"})


def __getattr__(name: str) -> Any:
    try:
        return _load(name)
    except ModuleNotFoundError as error:
        error.add_note(f"retrograd.testing.{name} needs Hypothesis: pip install hypothesis")
        raise
