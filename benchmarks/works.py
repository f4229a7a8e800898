"""The training steps under test: data, starting weights and constants, the same for every row."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

Array = np.ndarray
Batches = list[tuple[Array, Array]]


@dataclass(frozen=True)
class Work:
    """A training step: its batches, its starting weights by name, and its constants.

    `kind` says which model is built: `record`, `mlp` (ReLU layers and cross entropy) or `rnn`.
    `tolerance` is how far, relatively, a row's losses may be from the control's.
    """

    name: str
    title: str
    kind: str
    batches: Batches
    weights: dict[str, Array]
    optimizer: str
    lr: float
    momentum: float
    tolerance: float

    def copy_weights(self) -> dict[str, Array]:
        """Return the starting weights as arrays of the caller's own."""
        return {name: value.copy() for name, value in self.weights.items()}

    @property
    def layers(self) -> list[tuple[str, str]]:
        """Return the names of each `Linear`'s weight and bias, as `nn.Sequential` counts them."""
        names = list(self.weights)
        return list(zip(names[::2], names[1::2], strict=True))

    @property
    def sizes(self) -> list[int]:
        """Return the widths of a `Sequential`, from input to output."""
        shapes = [self.weights[weight].shape for weight, _ in self.layers]
        return [shapes[0][1]] + [shape[0] for shape in shapes]


def record() -> Work:
    """Return the lab record's step: 200x2-4-1, float64, full batch, binary cross entropy."""
    rng = np.random.RandomState(42)
    x = rng.randn(200, 2)
    y = (x[:, 0] * x[:, 1] > 0).astype(float).reshape(-1, 1)
    first, second = rng.randn(2, 4) * 0.01, rng.randn(4, 1) * 0.01
    weights = {
        "0.weight": np.ascontiguousarray(first.T),
        "0.bias": np.zeros(4),
        "2.weight": np.ascontiguousarray(second.T),
        "2.bias": np.zeros(1),
    }
    # The record adds 1e-8 inside its logarithms where the libraries clamp, hence the tolerance.
    title = "lab record, 200x2-4-1, float64, SGD"
    # The labels turn round at every step: a net that has learned them by heart has gradients that
    # are denormals, and the more steps a row has run, the more it would time those.
    batches = [(x, y), (x, 1 - y)]
    return Work("record", title, "record", batches, weights, "sgd", 0.1, 0.0, 1e-6)


def classifier(
    name: str, title: str, sizes: list[int], batch: int, optimizer: str, lr: float,
    dtype: type = np.float32,
) -> Work:  # fmt: skip
    """Return a ReLU net with cross entropy over `sizes` (widths, input to output)."""
    rng = np.random.default_rng(0)
    weights: dict[str, Array] = {}
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        bound = 1 / math.sqrt(inputs)
        weight = rng.uniform(-bound, bound, (outputs, inputs))
        weights[f"{2 * index}.weight"] = weight.astype(dtype)
        weights[f"{2 * index}.bias"] = rng.uniform(-bound, bound, outputs).astype(dtype)
    # Each input comes back under other labels: a net that has learned its batch by heart has
    # gradients of zero and moments that decay into denormals, which would time those instead.
    inputs_of = [rng.standard_normal((batch, sizes[0])).astype(dtype) for _ in range(8)]
    batches = [(x, rng.integers(0, sizes[-1], batch)) for _ in range(2) for x in inputs_of]
    momentum = 0.9 if optimizer == "sgd" else 0.0
    return Work(name, title, "mlp", batches, weights, optimizer, lr, momentum, 1e-4)


def mlp() -> Work:
    """Return the larger net: 784-256-256-10, batch 128, SGD with momentum."""
    title = "MLP 784-256-256-10, batch 128, float32, momentum"
    return classifier("mlp", title, [784, 256, 256, 10], 128, "sgd", 0.01)


def digits() -> Work:
    """Return the digits net: 64-128-10, batch 64, Adam."""
    title = "digits net 64-128-10, batch 64, float32, Adam"
    return classifier("digits", title, [64, 128, 10], 64, "adam", 0.001)


def small(optimizer: str, lr: float) -> Work:
    """Return a net for small images of digits: 64-32-10, batch 50, float64."""
    told = "momentum" if optimizer == "sgd" else "Adam"
    title = f"small digits net 64-32-10, batch 50, float64, {told}"
    return classifier(f"small_{told.lower()}", title, [64, 32, 10], 50, optimizer, lr, np.float64)


def small_adam() -> Work:
    """Return the small digits net with Adam."""
    return small("adam", 0.001)


def small_momentum() -> Work:
    """Return the small digits net with momentum."""
    return small("sgd", 0.01)


def rnn(steps: int = 50, batch: int = 16, inputs: int = 8, hidden: int = 32) -> Work:
    """Return a tanh RNN unrolled in time: x `(steps, batch, inputs)`, y `(batch, 1)`."""
    rng = np.random.default_rng(0)
    bound = 1 / math.sqrt(hidden)

    def draw(*shape: int) -> Array:
        return rng.uniform(-bound, bound, shape).astype(np.float32)

    weights = {
        "cell.wx": draw(hidden, inputs),
        "cell.wh": draw(hidden, hidden),
        "cell.b": draw(hidden),
        "read.weight": draw(1, hidden),
        "read.bias": draw(1),
    }
    sequences = [rng.standard_normal((steps, batch, inputs)).astype(np.float32) for _ in range(8)]
    batches = [
        (x, rng.standard_normal((batch, 1)).astype(np.float32)) for _ in range(2) for x in sequences
    ]
    title = f"tanh RNN, {steps} steps, batch {batch}, {inputs}-{hidden}-1, float32, SGD"
    return Work("rnn", title, "rnn", batches, weights, "sgd", 0.01, 0.0, 1e-4)


WORKS: dict[str, Callable[[], Work]] = {
    "record": record,
    "mlp": mlp,
    "digits": digits,
    "small_adam": small_adam,
    "small_momentum": small_momentum,
    "rnn": rnn,
}
