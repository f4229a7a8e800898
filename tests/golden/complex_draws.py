"""The numbers that the complex calls are given: the same for PyTorch and for the tests."""

import numpy as np


def draw(shape, dtype, seed):
    """Return an array of numbers from 0.2 to 1.2, of which no two are equal."""
    rng = np.random.default_rng(seed)
    x = rng.random(shape) + 0.2
    if np.dtype(dtype).kind == "c":
        x = x + 1j * (rng.random(shape) - 0.4)
    return np.asarray(x, dtype)


def inputs(case):
    """Return the arrays that a call is given."""
    pairs = zip(case["shapes"], case["dtypes"], strict=True)
    return [draw(shape, dtype, i) for i, (shape, dtype) in enumerate(pairs)]
