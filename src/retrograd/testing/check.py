"""`gradcheck` and `gradgradcheck`: gradients against difference quotients."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from retrograd import tree
from retrograd.core import Array, Tensor, wrap
from retrograd.func.transforms import pull
from retrograd.mode import enable_grad, no_grad
from retrograd.random import RngLike, generator
from retrograd.registry import spelled

STEP = 1e-3  # with fourth-order differences: errors near 1e-12 where values are near 1
SHOWN = 8


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
    Problem(fn, inputs, "gradcheck", step, rtol, atol, directions).check(full, generator(rng))
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
    options = "gradgradcheck", step, rtol, atol, directions
    problem = Problem(fn, inputs, *options)
    draws = generator(rng)
    weights = [draws.normal(size=out.shape) for out in problem.values(problem.start)]

    def gradient(*values: Tensor) -> list[Tensor]:
        number = len(problem.start)
        graph = values[0].requires_grad
        # Difference quotients come as constants: leaves of their own take the gradient then.
        xs = [v if graph else Tensor(v, requires_grad=True) for v in values[:number]]
        with enable_grad():
            outs = problem.call(xs)
        return pull(outs, xs, values[number:], graph)

    gradient.__name__ = f"the gradient of {problem.name}"
    second = Problem(gradient, (*problem.start, *weights), *options)
    second.names = problem.names + [f"the weight of out {i}" for i in range(len(weights))]
    second.check(full, draws)
    return True


class Entry(NamedTuple):
    """A derivative that is wrong: what it is, by the rules, and by difference quotient.

    `kink` has the slopes to the two sides where a kink explains the difference.
    """

    what: str
    analytic: float
    numeric: float
    kink: tuple[float, float] | None


class Problem:
    """`fn` at `inputs`, of which some arrays are varied and all else stays as it is.

    Varied are the floating arrays and the Tensors that require grad, in float64, also where they
    stand inside dicts, lists and tuples. Raises TypeError if there are none.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        inputs: Sequence[Any],
        what: str,
        step: float = STEP,
        rtol: float = 1e-5,
        atol: float = 1e-7,
        directions: int = 3,
    ) -> None:
        if not callable(fn):
            raise TypeError(f"{what} takes a function first, not {fn!r}")
        if not (np.isfinite(step) and step > 0):
            raise ValueError(f"step must be a finite number above 0, not {step!r}")
        if not (rtol >= 0 and atol >= 0):
            raise ValueError(f"rtol and atol must be at least 0, not {rtol!r} and {atol!r}")
        if directions < 1:
            raise ValueError(f"directions must be at least 1, not {directions!r}")
        self.step, self.rtol, self.atol, self.directions = step, rtol, atol, directions
        self.fn, self.name = fn, spelled(fn)
        self.leaves, self.structure = tree.flatten(tuple(inputs))
        self.varied = [i for i, leaf in enumerate(self.leaves) if _is_varied(leaf)]
        if not self.varied:
            raise TypeError(
                f"{what} of {self.name} got no floating array and no Tensor that requires grad: "
                "write np.array(2.0) for a number"
            )
        varied = [self.leaves[i] for i in self.varied]
        self.start = [np.array(getattr(x, "_data", x), np.float64) for x in varied]
        given, paths = _parameter_names(fn, len(inputs)), self.structure.paths()
        self.names = [
            given[at] + "".join(f"[{key!r}]" for key in rest)
            for at, *rest in (paths[i] for i in self.varied)
        ]

    def call(self, values: Sequence[Tensor]) -> list[Tensor]:
        """Return the floating outputs of the function with `values` in place of what varies."""
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

    def values(self, point: Sequence[Array]) -> list[Array]:
        """Return the outputs at `point`, as arrays."""
        with no_grad(), np.errstate(all="ignore"):
            # each evaluation gets arrays of its own: a function that keeps them sees no change
            return [t._data for t in self.call([wrap(x.copy()) for x in point])]

    def moved(self, along: Sequence[Array], step: float) -> list[Array]:
        """Return the outputs at the point that lies `step` away along directions."""
        return self.values([x + step * v for x, v in zip(self.start, along, strict=True)])

    def slopes(self, along: Sequence[Array]) -> list[Array]:
        """Return the derivative of each output along directions, by central differences.

        Two steps are combined so that the error is of fourth order in the step.
        """
        h = self.step / 2
        points = [self.moved(along, h), self.moved(along, -h)]
        points += [self.moved(along, 2 * h), self.moved(along, -2 * h)]
        return [(8 * (a - b) - (c - d)) / (12 * h) for a, b, c, d in zip(*points, strict=True)]

    def gradients(self, weights: Sequence[Array]) -> list[Array]:
        """Return the gradient of the outputs, weighed and summed, with respect to what varies."""
        xs = [Tensor(x, requires_grad=True) for x in self.start]
        return [g._data for g in pull(self.call(xs), xs, weights, graph=False)]

    def check(self, full: bool, rng: np.random.Generator) -> None:
        """Compare derivatives along random directions, or all entries of the Jacobian."""
        outs = self.values(self.start)
        for x, y in zip(outs, self.values(self.start), strict=True):
            if not np.array_equal(x, y, equal_nan=True):
                raise ValueError(
                    f"{self.name} gives another value each time it is called: pass rng= to what "
                    "draws, or check it with .eval()"
                )
            if not np.all(np.isfinite(x)):
                raise ValueError(f"{self.name} is not finite at the given inputs: {x!r}")
        if full:
            self.report(self.compared(outs))
        for _ in range(0 if full else self.directions):
            weights = [rng.normal(size=out.shape) for out in outs]
            along = [rng.normal(size=x.shape) for x in self.start]
            slopes = self.slopes(along)
            wrong = self.entry(
                "a random direction",
                _weighed(self.gradients(weights), along),
                _weighed(slopes, weights),
                _weighed(map(np.abs, slopes), map(np.abs, weights)),
                lambda h: _weighed(self.moved(along, h), weights),  # noqa: B023
            )
            if wrong:
                self.report(self.compared(outs, limit=100) or wrong)

    def compared(self, outs: Sequence[Array], limit: int | None = None) -> list[Entry]:
        """Return the wrong entries of the Jacobian, of at most `limit` elements of each array."""
        rows = [(k, i, self.gradients(_one_hot(outs, k, i))) for k, i in _places(outs, limit)]
        wrong = []
        for at, j in _places(self.start, limit):
            along = _one_hot(self.start, at, j)
            slopes = self.slopes(along)
            for k, i, gradients in rows:
                numeric, number = float(slopes[k][i]), f" {k}" if len(outs) > 1 else ""
                wrong += self.entry(
                    f"d out{number}{_index(i)} / d {self.names[at]}{_index(j)}",
                    float(gradients[at][j]),
                    numeric,
                    abs(numeric),
                    lambda h: float(self.moved(along, h)[k][i]),  # noqa: B023
                )
        return wrong

    def entry(
        self,
        what: str,
        analytic: float,
        numeric: float,
        size: float,
        value: Callable[[float], float],
    ) -> list[Entry]:
        """Return an entry if two derivatives of `value` differ; `size` bounds what cancels."""
        if not np.isfinite(numeric):
            raise ValueError(
                f"{self.name} is not finite within {self.step:g} of the given inputs: move them "
                "inside its domain, or pass a smaller step="
            )
        if abs(analytic - numeric) <= self.atol + self.rtol * size:
            return []
        return [Entry(what, analytic, numeric, find_kink(value, self.step, analytic, numeric))]

    def report(self, wrong: list[Entry]) -> None:
        """Raise an error with a table of the wrong entries, if there are any."""
        if wrong:
            kinks = all(entry.kink for entry in wrong)
            raise (KinkError if kinks else AssertionError)(_table(self, wrong, kinks))


def _is_varied(leaf: Any) -> bool:
    if isinstance(leaf, Tensor):
        return leaf.requires_grad
    return isinstance(leaf, (np.ndarray, np.floating)) and leaf.dtype.kind == "f"


def _parameter_names(fn: Callable[..., Any], number: int) -> list[str]:
    try:
        parameters = () if isinstance(fn, np.ufunc) else inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        parameters = ()
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return names[:number] + [f"input {i}" for i in range(len(names), number)]


def _weighed(parts: Iterable[Array], weights: Iterable[Array]) -> float:
    return float(sum(np.sum(p * w) for p, w in zip(parts, weights, strict=True)))


def _places(arrays: Sequence[Array], limit: int | None) -> list[tuple[int, tuple[int, ...]]]:
    """Return for the elements, at most `limit` of each array, which array it is and where."""
    return [(k, i) for k, x in enumerate(arrays) for i in islice(np.ndindex(x.shape), limit)]


def _one_hot(arrays: Sequence[Array], at: int, index: tuple[int, ...]) -> list[Array]:
    """Return zeros like `arrays`, but for 1 in one element of one of them."""
    zeros = [np.zeros_like(x) for x in arrays]
    zeros[at][index] = 1.0
    return zeros


def find_kink(
    value: Callable[[float], float], step: float, analytic: float, numeric: float
) -> tuple[float, float] | None:
    """Return the slopes to the left and right of 0 if a kink explains why the two values differ.

    Slopes of a smooth function come together as the step shrinks. At a kink they stay apart, and
    any value between them is a fair derivative; near a kink they come to the analytic value.
    """
    here = value(0.0)

    def slopes(h: float) -> tuple[float, float]:
        return (here - value(-h)) / h, (value(h) - here) / h

    wide = slopes(step)
    small = step / 1024
    left, right = slopes(small)
    rounding = 64 * np.finfo(float).eps * max(1.0, abs(here)) / small
    error = abs(analytic - numeric)
    if abs(analytic - (left + right) / 2) < 0.1 * error and error > rounding:
        return wide
    gap = abs(right - left)
    if gap < 0.25 * abs(wide[1] - wide[0]) or gap < 1e-4 * (abs(left) + abs(right)) + rounding:
        return None
    low, high = sorted((left, right))
    margin = 1e-3 * gap
    return (left, right) if low - margin <= analytic <= high + margin else None


def _table(problem: Problem, wrong: list[Entry], kinks: bool) -> str:
    """Return the wrong entries as a table, the worst one marked, with what they suggest."""
    errors = [abs(entry.analytic - entry.numeric) for entry in wrong]
    order = sorted(range(len(wrong)), key=lambda i: -errors[i])
    shown = sorted(order[:SHOWN])
    width = max(len(wrong[i].what) for i in shown)
    lines = [
        f"the gradient of {problem.name} "
        + ("meets a kink" if kinks else "differs from the difference quotient")
        + f" in {len(wrong)} place{'s' * (len(wrong) > 1)} (step {problem.step:g}, float64)",
        f"  {'':{width}}  {'analytic':>14}  {'numeric':>14}  {'difference':>12}",
    ]
    for i in shown:
        what, analytic, numeric, kink = wrong[i]
        end = "  <- worst" if i == order[0] and len(wrong) > 1 else ""
        if kink:
            end += f"  kink: slopes {kink[0]:.4g} and {kink[1]:.4g}"
        lines.append(f"  {what:{width}}  {analytic:14.7g}  {numeric:14.7g}  {errors[i]:12.3g}{end}")
    if len(wrong) > len(shown):
        lines.append(f"  and {len(wrong) - len(shown)} more")
    return "\n".join([*lines, _advice([entry for entry in wrong if not entry.kink])])


def _advice(wrong: list[Entry]) -> str:
    if not wrong:
        return (
            "A kink is no mistake of the rule: move the input away from it, or pass a smaller step="
        )
    analytic, numeric = (np.array([entry[i] for entry in wrong]) for i in (1, 2))
    if not np.any(analytic):
        return "All are 0: is the gradient lost on the way, by .data, .detach() or no_grad?"
    if not np.any(np.abs(numeric) > 1e-9):
        return "The function does not change here: does it depend on this input at all?"
    with np.errstate(all="ignore"):
        ratios = analytic / numeric
    if np.all(np.isfinite(ratios)) and np.ptp(ratios) < 1e-4 * np.max(np.abs(ratios)):
        return f"All are {ratios.mean():.6g} times the difference quotient."
    return "Is the rule's formula that of the function?"


def _index(index: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, index))}]" if index else ""
