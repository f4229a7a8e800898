"""New arrays made of a few values: filled ones, grids, and ranges between two ends."""

import math
from typing import Any

import numpy as np

from retrograd.engine import composed, record
from retrograd.rules.axes import in_dtype, is_complex, to_array, vector_along

# fmt: off
composed(np.full_like)(
    lambda a, fill_value, dtype=None, order="K", subok=True, shape=None, *, device=None:
    record(np.copy, np.broadcast_to(to_array(fill_value), a.shape if shape is None else shape)
                    .astype(a.dtype if dtype is None else dtype)))
# fmt: on


@composed(np.meshgrid)
def _meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> Any:
    if indexing not in ("xy", "ij"):
        raise ValueError(f'np.meshgrid takes indexing "xy" or "ij", not {indexing!r}')
    places = list(range(len(xi)))
    if indexing == "xy" and len(xi) > 1:
        places[:2] = 1, 0
    out = [vector_along(to_array(x), i, len(xi)) for x, i in zip(xi, places, strict=True)]
    return tuple(out) if sparse else np.broadcast_arrays(*out)


@composed(np.linspace)
def _linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False,
    dtype: Any = None, axis: int = 0, *, device: Any = None,
) -> Any:  # fmt: skip
    start, stop = to_array(start), to_array(stop)
    kind = np.result_type(start.dtype, stop.dtype, float(num))
    start, stop = start.astype(kind), stop.astype(kind)
    parts = max(num - endpoint, 0)
    step = (stop - start) / (parts or math.nan)
    numbers = vector_along(np.arange(num, dtype=kind), 0, 1 + step.ndim)
    out = start + numbers * (step if parts else stop - start)
    if endpoint and num > 1:
        # the last is `stop` itself, without rounding
        out = np.concatenate([out[:-1], np.broadcast_to(stop, out.shape[1:])[None]])
    out = in_dtype(np.moveaxis(out, 0, axis), dtype)
    return (out, step) if retstep else out


@composed(np.logspace)
def _logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0,
    dtype: Any = None, axis: int = 0,
) -> Any:  # fmt: skip
    if np.ndim(base):
        base = np.expand_dims(base, axis)
    return in_dtype(np.power(base, _linspace(start, stop, num, endpoint, axis=axis)), dtype)


@composed(np.geomspace)
def _geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Any:
    start, stop = to_array(start), to_array(stop)
    kind = np.result_type(start.dtype, stop.dtype, float)
    start, stop = start.astype(kind), stop.astype(kind)
    signs = np.sign(start)
    # of complex numbers it goes along a spiral
    last = np.log(stop / signs) if is_complex(stop) else np.log(np.abs(stop))
    powers = _linspace(np.log(np.abs(start)), last, num, endpoint, axis=axis)
    signs = np.broadcast_to(signs, (start + stop).shape)
    return in_dtype(np.exp(powers) * np.expand_dims(signs, axis), dtype)
