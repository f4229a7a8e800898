"""The logistic function, the softmax and their logarithms, as nets and statistics use them.

They stand below `retrograd.nn`, whose `functional` hands out the first four as its own. These
keep PyTorch's names of arguments and its default axis; `retrograd.special.softmax` and
`retrograd.special.log_softmax`, with SciPy's, call them.
"""

from typing import Any

import numpy as np

from retrograd.engine import Constants, defvjp, primitive

LIMIT = Constants(709.0, 1.0)  # exp overflows above the limit
LIMIT[np.dtype(np.float32)] = Constants(88.0, 1.0)[np.dtype(np.float32)]
LIMIT[np.dtype(np.float16)] = Constants(11.0, 1.0)[np.dtype(np.float16)]


@primitive
def sigmoid(input: Any) -> Any:
    """Return `1 / (1 + exp(-input))`, without overflow.

    >>> F.sigmoid(np.array([0.0, 1000.0]))
    array([0.5, 1. ])
    """
    limit, one = LIMIT[input.dtype]
    return one / (one + np.exp(np.minimum(-input, limit)))


@primitive
def logsigmoid(input: Any) -> Any:
    """Return the logarithm of `sigmoid`, accurate where that is tiny.

    >>> F.logsigmoid(np.array([-1000.0, 1000.0]))
    array([-1000.,     0.])
    """
    return np.minimum(input, 0.0) - np.log1p(np.exp(-np.abs(input)))


@primitive
def softmax(input: Any, axis: int = -1) -> Any:
    """Return `exp(input)` divided by its sum over `axis`.

    >>> F.softmax(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    powers = np.exp(input - np.max(input, axis=axis, keepdims=True))
    return powers / np.sum(powers, axis=axis, keepdims=True)


@primitive
def log_softmax(input: Any, axis: int = -1) -> Any:
    """Return the logarithm of `softmax`, accurate where that is tiny.

    >>> F.log_softmax(np.array([0.0, 1000.0]))
    array([-1000.,     0.])
    """
    shifted = input - np.max(input, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


# fmt: off
defvjp(sigmoid,     lambda g, out, input: g * (out * (1 - out)))
defvjp(logsigmoid,  lambda g, out, input: g * sigmoid(-input))
defvjp(softmax,     lambda g, out, input, axis=-1:
                    out * (g - np.sum(g * out, axis=axis, keepdims=True)))
defvjp(log_softmax, lambda g, out, input, axis=-1:
                    g - np.exp(out) * np.sum(g, axis=axis, keepdims=True))
# fmt: on
