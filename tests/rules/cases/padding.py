"""Calls of `np.pad`."""

import numpy as np

from rules.checking import Array, distinct, scattered
from rules.drawing import call, case


@case(np.pad)
def pad(d):
    shape = d.shape(1, 2, 1)
    widths = d.one_of(2, (1, 2), [d.integers(0, 4, 2) for _ in shape])
    mode = d.one_of(
        "constant", "edge", "wrap", "reflect", "symmetric", "linear_ramp", "maximum", "minimum",
        "mean", "median",
    )  # fmt: skip
    # the second axis has medians of medians, among which there must be no ties
    x = Array(shape, scattered if mode == "median" else distinct)
    options = {}
    if mode in ("reflect", "symmetric"):
        options = {"reflect_type": d.one_of("even", "odd")}
    elif mode in ("maximum", "minimum", "mean", "median") and d.flag():
        options = {"stat_length": d.one_of(1, 2, (1, 2))}
    elif mode == "constant" and d.flag():
        options = {"constant_values": d.one_of(0.5, (1.5, Array(())))}
    elif mode == "linear_ramp" and d.flag():
        options = {"end_values": d.one_of(0.5, (1.5, Array(())))}
    return call(x, widths, mode, **options)
