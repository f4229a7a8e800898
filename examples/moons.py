"""Separate two half moons with a small net and a max-margin loss, as micrograd's demo does.

The demo's words mean the same here: a model, a loss with its accuracy, `zero_grad`, `backward`, a
step against the gradient with a falling rate. Values are arrays, so that a step over all points
is a few NumPy calls instead of some 100,000 objects.

Run:    python examples/moons.py            (--steps N, --output FILE, --no-plot)
Prints: the loss and the accuracy of each tenth step:

    step 0 loss 0.9957, accuracy 50.0%
    ...
    step 99 loss 0.0070, accuracy 100.0%

Writes: moons.png, the points and what the net says about the rest of the plane.
"""

import argparse
import sys

import numpy as np

import retrograd as rg
from retrograd import nn

POINTS = 100
NOISE = 0.1  # standard deviation of a point's distance from its moon
ALPHA = 1e-4  # weight of the squared parameters in the loss


def make_moons(rng):
    angle = rng.uniform(0, np.pi, POINTS)
    y = np.arange(POINTS) % 2 * 2.0 - 1.0  # -1 or 1
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
    x = np.where(y[:, None] > 0, lower, upper)
    return x + NOISE * rng.standard_normal(x.shape), y  # (100, 2), (100,)


def make_model(rng):
    return nn.Sequential(
        nn.Linear(2, 16, rng=rng), nn.ReLU(),
        nn.Linear(16, 16, rng=rng), nn.ReLU(),
        nn.Linear(16, 1, rng=rng),
    )  # fmt: skip


def loss(model, x, y):
    scores = model(x)[:, 0]  # (100,)
    data_loss = np.maximum(1 - y * scores, 0).mean()  # each score should be 1 or more on its side
    reg_loss = ALPHA * sum((p * p).sum() for p in model.parameters())
    accuracy = np.mean((scores.data > 0) == (y > 0))
    return data_loss + reg_loss, accuracy


def train(model, x, y, steps):
    optimizer = rg.optim.SGD(model.parameters(), lr=1.0)
    for k in range(steps):
        total_loss, accuracy = loss(model, x, y)
        optimizer.zero_grad()
        total_loss.backward()
        optimizer.param_groups[0]["lr"] = 1.0 - 0.9 * k / steps
        optimizer.step()
        if k % 10 == 0 or k == steps - 1:
            print(f"step {k} loss {total_loss.item():.4f}, accuracy {accuracy:.1%}")
    return accuracy


def draw(model, x, y, path):
    from matplotlib.figure import Figure

    u, v = np.meshgrid(np.linspace(-1.6, 2.6, 200), np.linspace(-1.2, 1.7, 200))
    with rg.no_grad():
        scores = model(np.stack([u.ravel(), v.ravel()], axis=1)).data.reshape(u.shape)
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.add_subplot()
    regions = axes.contourf(u, v, np.clip(scores, -2, 2), 20, cmap="RdBu", alpha=0.7)
    axes.contour(u, v, scores, [-1, 0, 1], colors="black", linestyles=["dotted", "solid", "dotted"])
    for side, color, label in ((-1, "darkred", "upper moon"), (1, "navy", "lower moon")):
        axes.scatter(*x[y == side].T, c=color, edgecolors="white", label=label)
    axes.set(title="Two moons, their border and its margins", xlabel="x1", ylabel="x2")
    axes.legend(loc="lower left")
    figure.colorbar(regions, label="score")
    figure.savefig(path, dpi=120)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--output", default="moons.png", help="the picture")
    parser.add_argument("--no-plot", action="store_true", help="write no picture")
    args = parser.parse_args(argv)
    if args.steps < 1:
        parser.error(f"--steps must be at least 1, not {args.steps}")
    rng = np.random.default_rng(1337)
    x, y = make_moons(rng)
    model = make_model(rng)
    accuracy = train(model, x, y, args.steps)
    if not args.no_plot:
        try:
            draw(model, x, y, args.output)
            print(f"Picture: {args.output}")
        except ImportError:
            print("No picture: matplotlib is missing; python -m pip install matplotlib brings it")
    if args.steps >= 100 and accuracy < 1:
        print(f"expected every point on its side, found {accuracy:.1%}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
