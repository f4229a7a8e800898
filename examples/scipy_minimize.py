"""Fit a small net with SciPy's optimizers: parameters as one vector, exact derivatives.

`scipy.optimize.minimize` wants a function of one vector. `rg.func.ravel_pytree` makes a vector of
a dict of parameters and a dict of a vector; `rg.func.value_and_grad` gives the gradient and
`rg.func.hvp` products with the Hessian, so that BFGS and a Newton method run on exact
derivatives. Without the gradient SciPy takes difference quotients: compare the numbers of calls.

    pip install scipy
    python examples/scipy_minimize.py

prints a line for each method: the final loss and how often the net was evaluated.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import retrograd as rg

POINTS, HIDDEN = 40, 8
DECAY = 1e-3  # keeps the minimum from running off to infinite weights
STEPS = 60


def make_data(rng: np.random.Generator) -> tuple[Any, Any]:
    x = np.linspace(-3.0, 3.0, POINTS)[:, None]  # (POINTS, 1)
    return x, np.sin(2 * x) + 0.05 * rng.normal(size=x.shape)


def make_params(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "hidden": {"weight": rng.normal(size=(1, HIDDEN)), "bias": rng.normal(size=HIDDEN)},
        "out": {"weight": rng.normal(size=(HIDDEN, 1)) * 0.3, "bias": np.zeros(1)},
    }


def model(params: dict[str, Any], x: Any) -> Any:
    hidden = np.tanh(x @ params["hidden"]["weight"] + params["hidden"]["bias"])  # (POINTS, HIDDEN)
    return hidden @ params["out"]["weight"] + params["out"]["bias"]


def make_loss(x: Any, y: Any, unravel: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def loss(vector: Any) -> Any:
        return np.mean((model(unravel(vector), x) - y) ** 2) + DECAY * np.mean(vector**2)

    return loss


def fit(loss: Callable[[Any], Any], start: Any, steps: int = STEPS) -> dict[str, Any]:
    """Return SciPy's result for each way of telling it the derivatives."""
    from scipy.optimize import minimize

    both = rg.func.value_and_grad(loss)

    def value_and_gradient(vector: Any) -> tuple[float, Any]:
        value, gradient = both(vector)
        return value.item(), gradient.data

    def hessian_product(vector: Any, direction: Any) -> Any:
        return rg.func.hvp(loss, (vector,), (direction,))[0].data

    options = {"maxiter": steps}
    return {
        "BFGS, exact gradient": minimize(
            value_and_gradient, start, jac=True, method="BFGS", options=options
        ),
        "Newton-CG, exact Hessian products": minimize(
            value_and_gradient, start, jac=True, hessp=hessian_product, method="Newton-CG",
            options=options,
        ),
        "BFGS, difference quotients": minimize(
            lambda v: loss(v).item(), start, method="BFGS", options=options
        ),
    }  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Fit and print; return 1 if the exact gradient did not help."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=STEPS, help="steps of each method, at most")
    steps = parser.parse_args(argv).steps
    if steps < 1:
        parser.error(f"--steps must be at least 1, not {steps}")
    try:
        import scipy.optimize  # noqa: F401
    except ModuleNotFoundError:
        print("this example needs SciPy: pip install scipy")
        return 0
    rng = np.random.default_rng(0)
    x, y = make_data(rng)
    start, unravel = rg.func.ravel_pytree(make_params(rng))
    loss = make_loss(x, y, unravel)
    with rg.no_grad():
        print(f"{start.size} parameters, loss {loss(start).item():.4f} at the start")
        results = fit(loss, start, steps)
    for name, result in results.items():
        print(f"{name:34} loss {result.fun:.4f}, {result.nit:3} steps, {result.nfev:5} calls")
    exact, differences = results["BFGS, exact gradient"], results["BFGS, difference quotients"]
    return 0 if exact.fun < loss(start).item() / 2 and exact.nfev < differences.nfev else 1


if __name__ == "__main__":
    sys.exit(main())
