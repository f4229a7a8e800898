"""Planted faults: a usual cause each, in one line, with what must be told of it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import retrograd as rg

F = rg.nn.functional


class Planted(NamedTuple):
    """A fault.

    Args:
        compute: takes one Tensor that requires grad; its line is where the fault is.
        value: what it is called with.
        function: the function that is to be blamed.
        cure: a part of the usual cure.
        of: the argument whose gradient it is; "" where the fault is in the value.
        index: the first bad place.
    """

    compute: Callable[[Any], Any]
    value: Any
    function: str
    cure: str
    of: str = ""
    index: tuple[int, ...] = (1,)


_inf = np.array([1.0, np.inf])
_none = np.array([False, False])

PLANTED = {
    # values
    "log of 0": Planted(
        lambda x: np.log(x),
        [1.0, 0.0],
        "np.log",
        "log_softmax",
    ),
    "log of a softmax": Planted(
        lambda x: np.log(F.softmax(x, 0)),
        [2000.0, 0.0],
        "np.log",
        "log_softmax(logits)",
    ),
    "log of 1 - sigmoid": Planted(
        lambda x: np.log(1.0 - F.sigmoid(x)),
        [1.0, 50.0],
        "np.log",
        "logsigmoid(logits)",
    ),
    "logsumexp by hand": Planted(
        lambda x: np.log(np.sum(np.exp(x))),
        [-1e3, -2e3],
        "np.log",
        "special.logsumexp",
        index=(),
    ),
    "log of a negative": Planted(
        lambda x: np.log10(x),
        [1.0, -2.0],
        "np.log10",
        "negative number",
    ),
    "log1p of -1": Planted(
        lambda x: np.log1p(x),
        [1.0, -1.0],
        "np.log1p",
        "logsigmoid",
    ),
    "root of a negative": Planted(
        lambda x: np.sqrt(x),
        [1.0, -1e-17],
        "np.sqrt",
        "np.maximum(x, 0.0)",
    ),
    "division by a norm": Planted(
        lambda x: x[1:] / np.linalg.norm(x[1:]),
        [1.0, 0.0],
        "np.divide",
        "nn.functional.normalize",
        index=(0,),
    ),
    "division by a deviation": Planted(
        lambda x: (x - np.mean(x)) / np.std(x),
        [1.0, 1.0],
        "np.divide",
        "std + 1e-5",
        index=(0,),
    ),
    "division by two norms": Planted(
        lambda x: np.sum(x * x) / (np.linalg.norm(x) * np.linalg.norm(x)),
        [0.0, 0.0],
        "np.divide",
        "nn.functional.normalize",
        index=(),
    ),
    "division by a count": Planted(
        lambda x: x / np.sum(x * _none),
        [1.0, 2.0],
        "np.divide",
        "np.maximum(count, 1)",
        index=(0,),
    ),
    "division by 0": Planted(
        lambda x: 1.0 / x,
        [1.0, 0.0],
        "np.divide",
        "x / np.where(y == 0, 1.0, y)",
    ),
    "overflow of exp": Planted(
        lambda x: np.exp(x),
        [1.0, 1000.0],
        "np.exp",
        "largest number first",
    ),
    "softmax by hand": Planted(
        lambda x: np.exp(x) / np.sum(np.exp(x)),
        [1.0, 800.0],
        "np.exp",
        "nn.functional.softmax",
    ),
    "softmax by hand, to 0": Planted(
        lambda x: np.exp(-x) / np.sum(np.exp(-x)),
        [1e3, 2e3],
        "np.divide",
        "nn.functional.softmax",
        index=(0,),
    ),
    "masked row": Planted(
        lambda x: F.softmax(np.where(_none, x, -np.inf), 0),
        [1.0, 2.0],
        "nn.functional.softmax",
        "masked whole",
        index=(0,),
    ),
    "power of 0": Planted(
        lambda x: x**-1.5,
        [1.0, 0.0],
        "np.power",
        "negative power of 0",
    ),
    "power of a negative": Planted(
        lambda x: x**1.5,
        [1.0, -1.0],
        "np.power",
        "np.cbrt",
    ),
    "arccos above 1": Planted(
        lambda x: np.arccos(x),
        [1.0 - 1e-9, 1.0 + 1e-9],
        "np.arccos",
        "np.clip",
    ),
    "arctanh of 1": Planted(
        lambda x: np.arctanh(x),
        [0.0, 1.0],
        "np.arctanh",
        "np.clip",
    ),
    "0 times inf": Planted(
        lambda x: (x - 2.0) * _inf,
        [1.0, 2.0],
        "np.multiply",
        "np.where(mask, x, 0.0)",
    ),
    "inf less inf": Planted(
        lambda x: (x * _inf) - _inf,
        [1.0, 2.0],
        "np.subtract",
        "inf - inf has no value",
    ),
    "mean of nothing": Planted(
        lambda x: np.mean(x[_none]),
        [1.0, 2.0],
        "np.mean",
        "no elements",
        index=(),
    ),
    "variance of one": Planted(
        lambda x: np.var(x[:1], ddof=1),
        [1.0, 2.0],
        "np.var",
        "too few elements",
        index=(),
    ),
    "overflow of float32": Planted(
        lambda x: x.astype(np.float32),
        [1.0, 1e39],
        "t.astype",
        "narrower dtype",
    ),
    "overflow": Planted(
        lambda x: x * 1e200 * x * 1e200,
        [1.0, 2.0],
        "np.multiply",
        "learning rate",
        index=(0,),
    ),
    "remainder by 0": Planted(
        lambda x: 5.0 % x,
        [1.0, 0.0],
        "np.remainder",
        "divisor away from 0",
    ),
    "nan in the data": Planted(
        lambda x: x * np.array([1.0, np.nan]),
        [1.0, 2.0],
        "np.multiply",
        "in the data",
    ),
    "logit of 1": Planted(
        lambda x: rg.special.logit(x),
        [0.5, 1.0],
        "special.logit",
        "keep the logits",
    ),
    "pole of gamma": Planted(
        lambda x: rg.special.gammaln(x),
        [0.5, 0.0],
        "special.gammaln",
        "pole",
    ),
    "a norm layer without eps": Planted(
        lambda x: F.layer_norm(x[None], (2,), eps=0.0),
        [1.0, 1.0],
        "nn.functional.layer_norm",
        "eps",
        index=(0, 0),
    ),
    # gradients
    "slope of a root": Planted(
        lambda x: np.sqrt(x),
        [1.0, 0.0],
        "np.sqrt",
        "np.sqrt(x + 1e-12)",
        "x",
    ),
    "slope of a length": Planted(
        lambda x: np.sqrt(np.sum(x * x)),
        [0.0, 0.0],
        "np.sqrt",
        "np.linalg.norm(x)",
        "x",
        (),
    ),
    "slope of a distance": Planted(
        lambda x: np.sqrt(x**2 + (2 * x) ** 2),
        [1.0, 0.0],
        "np.sqrt",
        "np.hypot(x, y)",
        "x",
    ),
    "two-sided where": Planted(
        lambda x: np.where(x > 0, np.sqrt(x), 0.0),
        [1.0, 0.0],
        "np.sqrt",
        "safe = np.where",
        "x",
    ),
    "slope of a power": Planted(
        lambda x: x**0.3,
        [1.0, 0.0],
        "np.power",
        "(x + 1e-12) ** y",
        "x",
    ),
    "slope of arccos": Planted(
        lambda x: np.arccos(x),
        [0.5, 1.0],
        "np.arccos",
        "np.arctan2(cross, dot)",
        "x",
    ),
    "slope of arcsin": Planted(
        lambda x: np.arcsin(x),
        [0.5, -1.0],
        "np.arcsin",
        "np.clip",
        "x",
    ),
    "slope of arccosh": Planted(
        lambda x: np.arccosh(x),
        [2.0, 1.0],
        "np.arccosh",
        "1 + 1e-7",
        "x",
    ),
    "slope of the third root": Planted(
        lambda x: np.cbrt(x),
        [1.0, 0.0],
        "np.cbrt",
        "np.cbrt(x + 1e-12)",
        "x",
    ),
    "angle of the origin": Planted(
        lambda x: np.arctan2(x, x * 0.0),
        [1.0, 0.0],
        "np.arctan2",
        "(0, 0) has no slope",
        "y",
    ),
    "overflow of a gradient": Planted(
        lambda x: np.exp(x) * 1e300 * 1e-300,
        [1.0, 600.0],
        "np.multiply",
        "learning rate",
    ),
    "slope of an entropy": Planted(
        lambda x: rg.special.entr(x),
        [1.0, 0.0],
        "special.rel_entr",
        "slope of -x log(x)",
        "x",
    ),
    "explosion": Planted(
        lambda x: x * 1e200 * 1e200,
        [1e-250, 1e-250],
        "np.multiply",
        "grow from call to call",
        "x",
        (0,),
    ),
}
