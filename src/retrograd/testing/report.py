"""What a check found, entry by entry, and how it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from retrograd.testing.problem import Problem

SHOWN = 8


@dataclass
class Entry:
    """One derivative: what it is, by the rules, by difference quotient, and the slopes nearby.

    `size` bounds what cancels in the numeric value; `kink` has the slopes to the two sides where
    a kink explains the difference.
    """

    what: str
    analytic: float
    numeric: float
    size: float
    kink: tuple[float, float] | None = None

    def wrong(self, rtol: float, atol: float) -> bool:
        """Tell whether the two values differ by more than the tolerance."""
        return not abs(self.analytic - self.numeric) <= atol + rtol * self.size


def compare(
    problem: Problem, step: float, rtol: float, atol: float, limit: int | None = None
) -> list[Entry]:
    """Return the wrong entries of the Jacobian, of at most `limit` elements of each input."""
    outputs = problem.values(problem.start)
    rows = {}
    for k, out in enumerate(outputs):
        for index in list(np.ndindex(out.shape))[:limit]:
            weights = [np.zeros_like(o) for o in outputs]
            weights[k][index] = 1.0
            rows[k, index] = problem.gradients(weights)
    wrong = []
    for at, x in enumerate(problem.start):
        for j in list(np.ndindex(x.shape))[:limit]:
            direction = problem.one_hot(at, j)
            numeric = problem.along(direction, step)
            for (k, i), gradients in rows.items():
                value = float(numeric[k][i])
                entry = Entry(
                    f"d out{_named(k, i, len(outputs))} / d {problem.names[at]}{_index(j)}",
                    float(gradients[at][j]),
                    value,
                    abs(value),
                )
                if entry.wrong(rtol, atol):

                    def element(h: float, k: int = k, i: tuple[int, ...] = i) -> float:
                        return float(problem.values(problem.moved(direction, h))[k][i])  # noqa: B023

                    entry.kink = find_kink(element, step, entry.analytic, value)
                    wrong.append(entry)
    return wrong


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


def nothing_but_kinks(entries: list[Entry]) -> bool:
    """Tell whether all entries that are wrong lie at kinks."""
    return all(entry.kink is not None for entry in entries)


def table(problem: Problem, step: float, wrong: list[Entry]) -> str:
    """Return the wrong entries as a table, the worst one marked, with what they suggest."""
    errors = [abs(entry.analytic - entry.numeric) for entry in wrong]
    order = sorted(range(len(wrong)), key=lambda i: -errors[i])
    worst = order[0]
    kinks = nothing_but_kinks(wrong)
    lines = [
        f"the gradient of {problem.name} "
        + ("meets a kink" if kinks else "differs from the difference quotient")
        + f" in {len(wrong)} place{'s' * (len(wrong) > 1)} (step {step:g}, float64)"
    ]
    shown = sorted(order[:SHOWN])
    width = max(len(wrong[i].what) for i in shown)
    lines.append(f"  {'':{width}}  {'analytic':>14}  {'numeric':>14}  {'difference':>12}")
    for i in shown:
        entry = wrong[i]
        end = "  <- worst" if i == worst and len(wrong) > 1 else ""
        if entry.kink is not None:
            end += f"  kink: slopes {entry.kink[0]:.4g} and {entry.kink[1]:.4g}"
        lines.append(
            f"  {entry.what:{width}}  {entry.analytic:14.7g}  {entry.numeric:14.7g}  "
            f"{errors[i]:12.3g}{end}"
        )
    if len(wrong) > len(shown):
        lines.append(f"  and {len(wrong) - len(shown)} more")
    lines.append(_advice([entry for entry in wrong if entry.kink is None]))
    return "\n".join(lines)


def _advice(wrong: list[Entry]) -> str:
    if not wrong:
        return (
            "A kink is no mistake of the rule: move the input away from it, or pass a smaller step="
        )
    analytic = np.array([entry.analytic for entry in wrong])
    numeric = np.array([entry.numeric for entry in wrong])
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


def _named(k: int, index: tuple[int, ...], number: int) -> str:
    return (f" {k}" if number > 1 else "") + _index(index)
