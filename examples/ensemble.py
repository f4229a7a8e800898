"""Train sixteen nets in one compiled step, and see where they agree.

The nets differ in their first weights and in the points that each gets to see. Their parameters
lie on top of each other, `(16, ...)`, and `rg.func.vmap` makes of a loss of one net one of all of
them: one forward pass, one backward pass, one update. Where there were points the nets agree; away
from these they do not, and how far they are apart tells how little they know (Lakshminarayanan et
al. 2017, "Simple and scalable predictive uncertainty estimation using deep ensembles").

Run:    python examples/ensemble.py            (--steps N)
Prints: the mean loss every 200 steps, and how far the nets are apart in two places:

    step 0: mean loss 1.2365
    ...
    apart where there were points: 0.011, where there were none: 0.379
"""

import argparse
import sys

import numpy as np

import retrograd as rg

NETS = 16
WIDTH = 20
POINTS = 80
SEEN = 60  # how many of the points each net gets


def make_data(rng):
    x = rng.uniform(-1, 1, POINTS)
    return x, np.sin(3 * x) + 0.05 * rng.normal(size=POINTS)


def make_model(rng):
    """Return the parameters of all nets, each with an axis of 16 in front."""
    return {
        "hidden": rg.nn.Parameter(2 * rng.normal(size=(NETS, WIDTH))),
        "shift": rg.nn.Parameter(2 * rng.normal(size=(NETS, WIDTH))),
        "out": rg.nn.Parameter(rng.normal(size=(NETS, WIDTH)) / WIDTH**0.5),
    }


def net(params, x):
    """Return what one net says of points `(n,)`."""
    hidden = np.tanh(np.multiply.outer(x, params["hidden"]) + params["shift"])  # (n, WIDTH)
    return hidden @ params["out"]


def loss_of_net(params, x, y):
    return np.mean((net(params, x) - y) ** 2)


losses_of_nets = rg.func.vmap(loss_of_net)


def train(params, x, y, steps):
    """Train on points `(16, n)` of the nets."""
    optimizer = rg.optim.Adam(params.values(), lr=0.02)

    @rg.compile
    def step(x, y):
        losses = losses_of_nets(params, x, y)  # (16,)
        optimizer.zero_grad()
        np.sum(losses).backward()  # each net has a gradient of its own loss alone
        optimizer.step()
        return losses

    for i in range(steps):
        losses = step(x, y)
        if i % 200 == 0:
            print(f"step {i}: mean loss {losses.data.mean():.4f}")


def spread_of(params, x):
    """Return the standard deviation of what the nets say, on average over some points."""
    with rg.no_grad():
        said = rg.func.vmap(net, in_axes=(0, None))(params, x)  # (16, n)
    return float(said.data.std(axis=0).mean())


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=1000)
    args = parser.parse_args(argv)
    if args.steps < 1:
        parser.error(f"--steps must be at least 1, not {args.steps}")
    rng = np.random.default_rng(0)
    x, y = make_data(rng)
    seen = np.stack([rng.choice(POINTS, SEEN, replace=False) for _ in range(NETS)])  # (16, n)
    params = make_model(rng)
    train(params, x[seen], y[seen], args.steps)
    near, far = spread_of(params, np.linspace(-1, 1, 50)), spread_of(params, np.linspace(2, 3, 50))
    print(f"apart where there were points: {near:.3f}, where there were none: {far:.3f}")
    if args.steps >= 1000 and not (near < 0.1 and far > 3 * near):
        print("expected the nets to agree among the points alone", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
