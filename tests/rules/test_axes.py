"""Axes that are not there, or are named twice, are errors in every function, as in NumPy."""

import inspect

import numpy as np
import pytest

import retrograd as rg
from retrograd.engine.rule import ADAPTED, COMPOSED, RULES, load_rules, spelled

load_rules()
X = np.random.default_rng(0).normal(size=(2, 3))
LISTS = {np.concatenate, np.stack}
FURTHER = {  # the arguments that follow the array
    np.take: ([0],), np.repeat: (2,), np.partition: (1,), np.argpartition: (1,), np.delete: (0,),
    np.insert: (0, 1.0), np.append: (X,), np.roll: (1,), np.split: (1,), np.array_split: (1,),
    np.quantile: (0.5,), np.percentile: (50,), np.nanquantile: (0.5,), np.nanpercentile: (50,),
    np.compress: ([True, False],), np.take_along_axis: (np.zeros((2, 3), int),),
    np.cross: (X,), np.vecdot: (X,), np.linalg.vecdot: (X,), np.linalg.cross: (X,),
}  # fmt: skip


def has_axis(fn):
    try:
        return "axis" in inspect.signature(fn).parameters
    except (TypeError, ValueError):
        return False


def call(fn, x, axis):
    first = [x, x] if fn in LISTS else x
    return fn(first, *FURTHER.get(fn, ()), axis=axis)


def outcome(fn, x, axis):
    try:
        call(fn, x, axis)
    except Exception as error:
        return isinstance(error, (np.exceptions.AxisError, ValueError, TypeError, IndexError))
    return "no error"


OURS = {**RULES, **ADAPTED, **COMPOSED}
WITH_AXIS = [fn for fn in OURS if spelled(fn).startswith("np.") and has_axis(fn)]


@pytest.mark.parametrize("fn", WITH_AXIS, ids=lambda fn: fn.__name__)
@pytest.mark.parametrize("axis", [5, -4, (0, 5), (0, 0)], ids=str)
def test_an_axis_that_numpy_refuses_is_refused(fn, axis):
    assert outcome(fn, rg.Tensor(X), axis) == outcome(fn, X, axis)


def test_axes_of_layers_and_of_products_must_be_there():
    x, F = rg.Tensor(X), rg.nn.functional
    for wrong in (
        lambda: np.tensordot(x, x, axes=([2], [1])), lambda: np.linalg.norm(x, "fro", axis=(0, 2)),
        lambda: np.apply_over_axes(np.sum, x, [2]), lambda: F.flatten(x, 0, 2),
        lambda: F.unflatten(x, 2, (3, 1)), lambda: F.glu(rg.Tensor(np.ones((2, 4))), -3),
        lambda: rg.nn.utils.weight_norm(rg.nn.Linear(2, 3), axis=2),
    ):  # fmt: skip
        with pytest.raises(np.exceptions.AxisError):
            wrong()
