"""Solve a differential equation with a net that never sees the solution.

A physics-informed net u(x) is trained until u'' = -pi^2 sin(pi x) holds inside [-1, 1] and u = 0 at
both ends; the solution is sin(pi x). The loss contains u'', so that its gradient with respect to
the weights takes derivatives of derivatives: `create_graph=True`.

Run:    python examples/sine_pinn.py            (--steps N)
Prints: the loss and the largest error before each step of L-BFGS, and the error after all:

    step 0: loss 4.71e+01, largest error 1.12e+00
    ...
    after 10 steps: largest error 2.48e-04
"""

import argparse
import sys

import numpy as np

import retrograd as rg
from retrograd import nn

POINTS = 64  # where the equation should hold
WIDTH = 20
ENDS = np.array([[-1.0], [1.0]])


def make_data():
    return np.linspace(-1, 1, POINTS).reshape(-1, 1)  # (64, 1)


def make_model(rng):
    return nn.Sequential(
        nn.Linear(1, WIDTH, rng=rng), nn.Tanh(),
        nn.Linear(WIDTH, WIDTH, rng=rng), nn.Tanh(),
        nn.Linear(WIDTH, 1, rng=rng),
    )  # fmt: skip


def derivative(u, x):
    # each u[i] depends on x[i] alone, so that the gradient of the sum has all derivatives
    (du,) = rg.autograd.grad(u.sum(), x, create_graph=True)
    return du


def loss_of(model, points):
    x = rg.Tensor(points, requires_grad=True)
    u = model(x)
    d2u = derivative(derivative(u, x), x)  # (64, 1)
    equation = np.mean((d2u + np.pi**2 * np.sin(np.pi * x)) ** 2)
    return equation + np.mean(model(ENDS) ** 2)


def error_of(model):
    x = np.linspace(-1, 1, 501).reshape(-1, 1)
    with rg.no_grad():
        return float(abs(model(x).data - np.sin(np.pi * x)).max())


def train(model, points, steps):
    optimizer = rg.optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = loss_of(model, points)
        loss.backward()
        return loss

    for step in range(steps):
        error = error_of(model)
        loss = optimizer.step(closure)
        print(f"step {step}: loss {loss.item():.2e}, largest error {error:.2e}")
    return error_of(model)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=10, help="of 20 iterations each")
    args = parser.parse_args(argv)
    if args.steps < 1:
        parser.error(f"--steps must be at least 1, not {args.steps}")
    error = train(make_model(np.random.default_rng(0)), make_data(), args.steps)
    print(f"after {args.steps} steps: largest error {error:.2e}")
    if args.steps >= 10 and not error < 1e-3:
        print(f"expected an error below 0.001, found {error:.2e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
