"""Calls of functions that reduce axes."""

import numpy as np

from rules.checking import Array, distinct, positive
from rules.drawing import call, case


@case(np.sum, np.prod)
def reduction(d):
    x = d.array()
    return call(x, axis=d.axes(x), keepdims=d.flag())


@case(np.mean)
def average(d):
    x = d.array(side=1)
    return call(x, axis=d.axes(x), keepdims=d.flag())


@case(np.max, np.min)
def extreme(d):
    x = d.apart()
    return call(x, axis=d.axes(x), keepdims=d.flag())


@case(np.var, np.std)
def spread(d):
    x = Array(d.shape(1, 3, 2), distinct)
    return call(x, axis=d.one_of(None, 0, -1, (0,)), ddof=d.one_of(0, 1), keepdims=d.flag())


@case(np.sum, np.prod)
def masked_reduction(d):
    x = d.array()
    axis = d.axes(x)
    if d.flag():
        return call(x, axis, np.float64)
    start = d.one_of({}, {"initial": 1.5}, {"initial": 0.5})
    return call(x, axis=axis, keepdims=d.flag(), where=d.mask(x.shape), **start)


@case(np.max, np.min)
def masked_extreme(d):
    x = d.apart(side=0)
    return call(x, axis=d.axes(x), keepdims=d.flag(), where=d.mask(x.shape), initial=0.11)


@case(np.amax, np.amin, np.ptp)
def plain_extreme(d):
    x = d.apart()
    return call(x, axis=d.axes(x), keepdims=d.flag())


def counting(d, x, axis, least):
    """A mask that leaves at least so many elements for each of the result."""
    mask = d.mask(x.shape)
    index = [slice(None)] * len(x.shape)
    index[0 if axis is None else axis] = slice(0, least)
    mask[tuple(index)] = True
    return mask


@case(np.mean, np.var, np.std)
def masked_mean(d):
    x = Array(d.shape(1, 3, 3, 4), distinct)
    axis = d.one_of(None, 0, -1)
    return call(x, axis=axis, keepdims=d.flag(), where=counting(d, x, axis, 2))


@case(np.var, np.std)
def around_a_mean(d):
    x = Array(d.shape(1, 3, 3), distinct)
    axis = d.one_of(None, 0, -1)
    mean_shape = tuple(1 if axis is None or i == axis % len(x.shape) else n
                       for i, n in enumerate(x.shape))  # fmt: skip
    return call(x, axis=axis, mean=Array(mean_shape), correction=1)


@case(np.average)
def weighted(d):
    x = d.array(low=1, side=1)
    axis = d.one_of(None, 0, -1)
    if d.flag():
        weights = d.one_of(None, Array(x.shape, positive))
        return call(x, axis=axis, weights=weights, keepdims=d.flag())
    return call(x, axis=-1, weights=Array(x.shape[-1:], positive), returned=True)
