"""Train a net so that no single sample shows in it: clip the gradient of each, and add noise.

Differential privacy's inner loop (Abadi et al. 2016, "Deep learning with differential privacy")
needs the gradient of each sample by itself. `rg.func.grad` gives the gradient of one sample's loss,
`rg.func.vmap` that of every sample of a batch at once. The whole step is compiled: its program is
printed with `--source`.

Run:    python examples/private_samples.py            (--steps N, --noise S, --source)
Prints: the loss every 100 steps, and the share of new points that are told rightly:

    step 0: loss 0.6979, longest gradient of a sample 2.27
    ...
    after 400 steps: 99.3% of new points are told rightly
"""

import argparse
import sys

import numpy as np

import retrograd as rg
from retrograd.nn import functional as F

BATCH = 128
WIDTH = 16
CLIP = 1.0  # no sample moves the sum of gradients by more than this
LEARNING_RATE = 1.0


def make_data(rng, number):
    x = rng.normal(size=(number, 2))  # points in the plane
    return x, (np.sum(x**2, axis=1) > 1.4).astype(float)  # 1 outside of a circle


def make_model(rng):
    return {
        "hidden": rg.nn.Parameter(rng.normal(size=(WIDTH, 2))),
        "shift": rg.nn.Parameter(rng.normal(size=WIDTH)),
        "out": rg.nn.Parameter(rng.normal(size=WIDTH) / WIDTH**0.5),
    }


def score(params, x):
    """Return the score of one point `(2,)`: above 0 for those outside."""
    return np.tanh(params["hidden"] @ x + params["shift"]) @ params["out"]


def loss_of_sample(params, x, y):
    return F.binary_cross_entropy_with_logits(score(params, x), y)


gradients_of_samples = rg.func.vmap(rg.func.value_and_grad(loss_of_sample), in_axes=(None, 0, 0))


def make_step(params, noise, rng):
    @rg.compile
    def step(x, y):
        with rg.no_grad():
            losses, gradients = gradients_of_samples(params, x, y)  # (B,), and (B, ...) for each
            squares = [np.sum(g.reshape(len(x), -1) ** 2, axis=1) for g in gradients.values()]
            lengths = np.sqrt(sum(squares))  # (B,): over all parameters
            factors = CLIP / np.maximum(lengths, CLIP)  # (B,): 1 for those that are short enough
            for name, p in params.items():
                clipped = np.einsum("b,b...->...", factors, gradients[name])
                noisy = clipped + noise * CLIP * rg.random.normal(rng, p.shape)
                p -= LEARNING_RATE / len(x) * noisy
        return np.mean(losses), np.max(lengths)

    return step


def train(params, steps, noise, rng, show_source):
    step = make_step(params, noise, rng)
    for i in range(steps):
        x, y = make_data(rng, BATCH)
        loss, longest = step(x, y)
        if i % 100 == 0:
            print(
                f"step {i}: loss {loss.item():.4f}, longest gradient of a sample "
                f"{longest.item():.2f}"
            )
    if show_source:
        print(step.source)
    x, y = make_data(rng, 1000)
    scores = rg.func.vmap(score, in_axes=(None, 0))(params, x)
    return float(np.mean((scores.data > 0) == (y > 0.5)))


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=400, help="of a batch each")
    parser.add_argument("--noise", type=float, default=1.0, help="deviation, in clipping lengths")
    parser.add_argument("--source", action="store_true", help="print the program of a step")
    args = parser.parse_args(argv)
    if args.steps < 1:
        parser.error(f"--steps must be at least 1, not {args.steps}")
    rng = np.random.default_rng(0)
    right = train(make_model(rng), args.steps, args.noise, rng, args.source)
    print(f"after {args.steps} steps: {right:.1%} of new points are told rightly")
    if args.steps >= 400 and args.noise <= 1.0 and not right > 0.93:
        print(f"expected more than 93%, found {right:.1%}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
