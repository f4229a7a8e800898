"""Check a gradient of your own: `rg.testing` finds the sign that was lost.

A new function needs a forward computation and a gradient rule, and the rule is where mistakes
hide: training still runs, only worse. Here Huber's loss is written twice, once with a planted bug
in its rule. `gradcheck` compares the rule with difference quotients, shows where it is wrong and
tells a kink (where there is no derivative) from a mistake; `gradient_property` turns the check
into a test that draws its own inputs.

    python examples/check_your_own_gradient.py

prints what each check found. The property needs Hypothesis (`pip install hypothesis`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import retrograd as rg

BEND = 1.0  # residuals are squared up to here, and weigh by their size beyond
RESIDUALS = np.array([-2.5, -0.4, 0.3, 1.7])  # two on either side of the bend
AT_THE_BEND = np.array([0.3, BEND])


def huber(residual: Any) -> Any:
    """Half the square of small residuals, a straight line beyond."""
    size = np.abs(residual)
    return np.where(size < BEND, 0.5 * residual**2, BEND * (size - 0.5 * BEND))


def make(name: str, vjp: Callable[..., Any]) -> Callable[..., Any]:
    """Return a primitive that computes Huber's loss, with the given gradient rule."""

    def loss(residual: Any) -> Any:
        return huber(residual)

    loss.__name__ = name
    primitive: Callable[..., Any] = rg.primitive(loss)
    rg.defvjp(primitive, vjp)
    return primitive


right = make("huber", lambda g, out, residual: g * np.clip(residual, -BEND, BEND))
# the bug: beyond the bend the slope is BEND on both sides, the sign is lost
wrong = make(
    "buggy huber", lambda g, out, residual: g * np.where(np.abs(residual) < BEND, residual, BEND)
)


def check(loss: Callable[..., Any], residuals: Any) -> str:
    """Return what the checks of first and second derivatives have to say."""
    try:
        rg.testing.gradcheck(loss, residuals, full=True)
        rg.testing.gradgradcheck(loss, residuals, full=True)
    except rg.testing.KinkError as error:
        return f"a kink:\n{error}"
    except AssertionError as error:
        return f"WRONG:\n{error}"
    return "right, to second order"


def find_by_property(loss: Callable[..., Any]) -> str:
    """Return what Hypothesis finds with inputs of its own, here and in two lines of a test file."""

    @rg.testing.gradient_property
    def test_loss(residual: Any) -> Any:
        return loss(residual)

    try:
        test_loss()
    except AssertionError as error:
        return f"WRONG:\n{error}"
    return "right for everything that was drawn"


def main(argv: list[str] | None = None) -> int:
    """Print the findings; return 1 if a check missed the bug or saw one where there is none."""
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args(argv)
    found = {
        "huber": check(right, RESIDUALS),
        "buggy huber": check(wrong, RESIDUALS),
        "huber at the bend": check(right, AT_THE_BEND),
    }
    try:
        found["huber, as a property"] = find_by_property(right)
        found["buggy huber, as a property"] = find_by_property(wrong)
    except ModuleNotFoundError:
        print("(the property needs Hypothesis: pip install hypothesis)\n")
    for name, text in found.items():
        print(f"{name}: {text}\n")
    told_apart = all(("WRONG" in text) == name.startswith("buggy") for name, text in found.items())
    return 0 if told_apart else 1


if __name__ == "__main__":
    sys.exit(main())
