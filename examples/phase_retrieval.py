"""Find the phases of light from pictures of its brightness, by gradients through `np.fft`.

A lens turns the light in its opening into the Fourier transform of it, and a camera sees how bright
that is: sizes without phases. What the lens has done to the phases, its aberration, is found here
from eight pictures, each through a mask that is known. The unknown is a complex number for each
place of the opening, a Parameter like any other, and the gradient goes back through `np.fft.fft2`
and `np.abs` to it. As in PyTorch it points uphill, so that an optimizer takes it as it is.

A turn of all phases by one angle changes no picture: the result is compared but for that.

Run:    python examples/phase_retrieval.py            (--steps N)
Prints: the loss on the way, and how much of the light is where it should be (1 is all):

    step 0: loss 2.6e-01, overlap 0.08
    step 100: loss 8.1e-04, overlap 1.00
    step 200: loss 2.7e-08, overlap 1.00
    step 300: loss 7.6e-13, overlap 1.00
    found the phases: overlap 1.000000
"""

import argparse
import sys

import numpy as np

import retrograd as rg

SIDE, MASKS = 16, 8
STEPS, LEARNING_RATE = 300, 0.1
GOOD = 0.999  # of the light


def make_light(rng):
    """Return light `(SIDE, SIDE)` with a smooth aberration in a round opening."""
    y, x = np.mgrid[-1 : 1 : 1j * SIDE, -1 : 1 : 1j * SIDE]
    a, b, c = rng.normal(size=3)
    phases = 3 * (a * x * y + b * (x**2 - y**2) + c * x * (x**2 + y**2))
    return np.where(x**2 + y**2 < 1, np.exp(1j * phases), 0.0)


def take_pictures(light, masks):
    """Return how large the waves are that arrive at the camera, `(MASKS, SIDE, SIDE)`."""
    return np.abs(np.fft.fft2(light * masks, norm="ortho"))


def overlap(found, light):
    """Return how much of the light was found, from 0 to 1, whatever its phase as a whole."""
    return abs(np.vdot(found, light)) / np.linalg.norm(found) / np.linalg.norm(light)


def train(light, masks, rng, steps):
    pictures = take_pictures(light, masks)
    parts = rng.normal(size=(2, SIDE, SIDE)) * 0.5
    found = rg.nn.Parameter(parts[0] + 1j * parts[1])
    optimizer = rg.optim.Adam([found], lr=LEARNING_RATE)

    @rg.compile
    def step():
        loss = np.mean((take_pictures(found, masks) - pictures) ** 2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    for number in range(steps + 1):
        loss = step().item()
        if number % 100 == 0:
            print(f"step {number}: loss {loss:.1e}, overlap {overlap(found.data, light):.2f}")
    return overlap(found.data, light)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=STEPS, help=f"default {STEPS}")
    steps = parser.parse_args(arguments).steps
    if steps < 1:
        parser.error("--steps must be at least 1")
    rng = np.random.default_rng(0)
    light = make_light(rng)
    masks = np.exp(2j * np.pi * rng.random((MASKS, SIDE, SIDE)))
    reached = train(light, masks, rng, steps)
    print(f"found the phases: overlap {reached:.6f}")
    if steps >= STEPS and not reached > GOOD:
        print(f"the overlap should be above {GOOD}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
