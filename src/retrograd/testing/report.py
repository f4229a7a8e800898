"""What a check found, derivative by derivative, and how it is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

SHOWN = 8  # entries in a table, the worst ones


class Entry(NamedTuple):
    """A derivative that the rules and the difference quotient do not agree about."""

    what: str  # such as "d out[2] / d x[2]"
    analytic: float  # by the rules
    numeric: float  # by the difference quotient
    kink: tuple[float, float] | None  # the slopes to both sides, where a kink explains it


def find_kink(
    value: Callable[[float], float], step: float, analytic: float, numeric: float
) -> tuple[float, float] | None:
    """Return the slopes to both sides of 0 if a kink explains why two derivatives differ.

    As the step shrinks, the slopes stay apart at a kink, and any derivative between them is fair;
    near one they come to the analytic one.

    Args:
        value: The function along the direction that the derivatives are for.
        step: The step of the difference quotient.
        analytic: The derivative by the rules.
        numeric: The derivative by the difference quotient.
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


def has_only_kinks(wrong: list[Entry]) -> bool:
    """Tell whether a kink explains every entry."""
    return all(entry.kink is not None for entry in wrong)


def table(name: str, step: float, wrong: list[Entry]) -> str:
    """Return the wrong derivatives of a function as a table, the worst one first, with advice."""
    wrong = sorted(wrong, key=lambda entry: -abs(entry.analytic - entry.numeric))
    width = max(len(entry.what) for entry in wrong[:SHOWN])
    how = "meets a kink" if has_only_kinks(wrong) else "differs from the difference quotient"
    places = f"{len(wrong)} place{'s' * (len(wrong) > 1)}"
    lines = [
        f"the gradient of {name} {how} in {places} (step {step:g}, float64)",
        f"  {'':{width}}  {'analytic':>14}  {'numeric':>14}  {'difference':>12}",
    ]
    for what, x, y, kink in wrong[:SHOWN]:
        line = f"  {what:{width}}  {x:14.7g}  {y:14.7g}  {abs(x - y):12.3g}"
        lines.append(line + (f"  kink: slopes {kink[0]:.4g} and {kink[1]:.4g}" if kink else ""))
    if len(wrong) > 1:
        lines[2] += "  <- worst"
    if len(wrong) > SHOWN:
        lines.append(f"  and {len(wrong) - SHOWN} more")
    return "\n".join([*lines, _advice([entry for entry in wrong if entry.kink is None])])


def _advice(wrong: list[Entry]) -> str:
    """Return what the entries that no kink explains have in common."""
    if not wrong:
        return "A kink is no mistake of the rule: move the input, or pass a smaller step="
    analytic = np.array([entry.analytic for entry in wrong])
    numeric = np.array([entry.numeric for entry in wrong])
    if not np.any(analytic):
        return "All are 0: is the gradient lost on the way, by .data or .detach()?"
    if np.max(np.abs(numeric)) <= 1e-9:
        return "The function does not change: does it depend on this input?"
    factor = analytic @ numeric / (numeric @ numeric)
    if np.allclose(analytic, factor * numeric, rtol=1e-4):
        return f"All are {factor:.6g} times the difference quotient."
    return "Is the rule's formula that of the function?"
