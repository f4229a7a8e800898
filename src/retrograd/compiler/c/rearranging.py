"""Functions that only move and repeat elements, or put zeros between them, in C."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.compiler.c.kernels import Body, Kernel, nest
from retrograd.compiler.c.places import in_order
from retrograd.compiler.ir import Call, Var

FUNCTIONS = {
    np.tile, np.repeat, np.resize, np.delete, np.diag, np.diagflat, np.diagonal, np.roll,
    np.rot90, np.flip, np.fliplr, np.flipud, np.lib.stride_tricks.sliding_window_view,
}  # fmt: skip
LONGEST = 20_000  # places: so many stand in a function as numbers


def _origins(call: Call) -> Any:
    """Return from which element of its argument each of a result is, -1 for a zero; or None."""
    x = call.args[0]
    others = [*call.args[1:], *call.kwargs.values()]
    if not isinstance(x, Var) or x.dtype != call.outs[0].dtype:
        return None
    if any(isinstance(v, Var) and v.kind != "const" for v in others):
        return None
    args, kwargs = call.change(lambda v: v.array if isinstance(v, Var) and v is not x else v)
    numbers = np.arange(1, x.size + 1).reshape(x.shape)
    try:
        found = np.asarray(call.fn(numbers, *args[1:], **kwargs)) - 1
    except (TypeError, ValueError, IndexError):
        return None
    return found if found.shape == call.outs[0].shape else None


def _along_axes(places: Any) -> list[Any] | None:
    """Return numbers for each axis whose sums are the places, None where there are none."""
    first = places[(0,) * places.ndim]
    lines = []
    total = np.full(places.shape, first)
    for d in range(places.ndim):
        index: Any = [0] * places.ndim
        index[d] = slice(None)
        line = places[tuple(index)] - first
        lines.append(line)
        total = total + line.reshape((-1,) + (1,) * (places.ndim - 1 - d))
    return lines if (total == places).all() else None


def find_rearrangement(call: Call) -> Kernel | None:
    """Return how a call moves elements in C, None where it does something else."""
    if call.fn not in FUNCTIONS or not call.args:
        return None
    origins = _origins(call)
    if origins is None:
        return None
    x, out = call.args[0], call.outs[0]
    plain = (origins >= 0).all()
    is_regular = plain and _along_axes(_by_strides(origins, x.shape, in_order(x.shape)))
    if not is_regular and origins.size > LONGEST:
        return None

    def write(body: Body) -> None:
        y, source = body.array(out, fills=True), body.array(x)
        counters = body.counters(out.shape)
        places = _by_strides(origins, x.shape, source.strides)
        lines = _along_axes(places) if plain else None
        if lines is None:
            place = body.table(np.where(origins < 0, -1, places)).at(*counters)
            value = source.element([(place, 1)])
            value = value if plain else f"({place} < 0) ? 0 : {value}"
            body.add(*nest(counters, out.shape, [f"{y.at(*counters)} = {value};"], y.strides))
            return
        terms: list[tuple[Any, int]] = []
        for counter, line in zip(counters, lines, strict=True):
            steps = np.diff(line)
            if not steps.size or (steps == steps[0]).all():
                terms.append((counter, int(steps[0]) if steps.size else 0))
            else:
                terms.append((body.table(line).at(counter), 1))
        value = source.element(terms, int(places[(0,) * places.ndim]))
        body.add(*nest(counters, out.shape, [f"{y.at(*counters)} = {value};"], y.strides))

    return Kernel(call, write)


def _by_strides(origins: Any, shape: tuple[int, ...], strides: tuple[int, ...]) -> Any:
    """Return the places in memory of elements that are counted in the order of an array."""
    index = np.unravel_index(np.maximum(origins, 0), shape) if shape else ()
    found = np.zeros(origins.shape, np.int64)
    for along, stride in zip(index, strides, strict=True):
        found = found + along * stride
    return found
