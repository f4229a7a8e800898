"""Places in C: of numbers among others, of what is true, and how often each number is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd.compiler.c.kernels import (
    Body,
    Kernel,
    indent,
    loop,
    named_arguments,
    nest,
    options_of,
)
from retrograd.compiler.c.types import is_float
from retrograd.compiler.ir import Call, Var


def _search(call: Call) -> Kernel | None:
    """Return the form of `np.searchsorted`, and of `np.digitize` for bins that go up."""
    out = call.outs[0]
    if call.fn is np.digitize:
        given = named_arguments(call, "x", "bins", "right")
        if given is None:
            return None
        v, bins = given["x"], given["bins"]
        known = bins.array if isinstance(bins, Var) and bins.kind == "const" else bins
        if isinstance(known, Var) or not (np.diff(known) >= 0).all():
            return None
        left = bool(given.get("right"))
    else:
        given = named_arguments(call, "a", "v", "side", "sorter")
        if given is None or "sorter" in given:
            return None
        bins, v = given["a"], given["v"]
        left = given.get("side", "left") in ("left", "l")
    if not isinstance(v, Var):
        return None
    if not isinstance(bins, Var):
        bins = np.asarray(bins)  # numbers in a list
        if bins.dtype.kind in "iu" and is_float(v.dtype):
            bins = bins.astype(np.float64)
    alike = bins.dtype == v.dtype or (is_float(bins.dtype) and is_float(v.dtype))
    alike |= bins.dtype == np.float64 and v.dtype.kind in "iu"
    if bins.ndim != 1 or not alike or v.shape != out.shape or not bins.size:
        return None

    def write(body: Body) -> None:
        y, values = body.array(out, fills=True), body.array(v)
        edges = body.array(bins) if isinstance(bins, Var) else body.table(bins)
        counters = body.counters(v.shape)
        middle = edges.at("middle")
        # nan is behind all numbers
        below = f"{middle} < value" if left else f"{middle} <= value"
        if v.dtype.kind == "f":
            behind = f"{middle} == {middle}" if left else "1"
            below = f"{below} || (value != value && {behind})"
        lines = [
            f"const {values.kind} value = {values.at(*counters)};",
            f"ptrdiff_t low = 0, high = {bins.size};",
            "while (low < high) {",
            "    const ptrdiff_t middle = low + (high - low) / 2;",
            f"    if ({below}) low = middle + 1;",
            "    else high = middle;",
            "}",
            f"{y.at(*counters)} = low;",
        ]
        body.add(*nest(counters, v.shape, ["{", *indent(lines), "}"]))

    return Kernel(call, write, cost=20 * v.size)


def _count(call: Call) -> Kernel | None:
    """Return the form of `np.bincount`; its length must be what it was."""
    given = options_of(call, "x", "weights", "minlength")
    out = call.outs[0]
    if given is None:
        return None
    x, weights, least = given["x"], given.get("weights"), given.get("minlength", 0)
    if x.ndim != 1 or x.dtype.kind not in "iu" or type(least) is not int:
        return None
    if weights is not None and not (isinstance(weights, Var) and weights.dtype == out.dtype):
        return None
    if weights is not None and weights.shape != x.shape:
        return None

    def write(body: Body) -> None:
        y, values = body.array(out, fills=True), body.array(x)
        counter, more = body.counters(x.shape)[0], body.counter()
        added = "1" if weights is None else body.array(weights).at(counter)
        place = f"(ptrdiff_t){values.at(counter)}"
        lines = [
            f"const ptrdiff_t place = {place};",
            f"if (place < 0 || place >= {out.size}) return {body.code};",
            "if (place > most) most = place;",
            f"{y.at('place')} += {added};",
        ]
        body.lines.insert(0, "ptrdiff_t most = -1;")
        body.add(*loop(more, out.size, [f"{y.at(more)} = 0;"]))
        body.add(*loop(counter, x.size, ["{", *indent(lines), "}"]))
        if least < out.size:
            body.add(f"if (most != {out.size - 1}) return {body.code};")

    return Kernel(call, write, True)


def _true_places(call: Call) -> Kernel | None:
    """Return the form of `np.flatnonzero`, and of `np.nonzero`; as many must be true as before."""
    x = call.args[0]
    if len(call.args) != 1 or call.kwargs or not isinstance(x, Var) or not x.ndim:
        return None
    if call.fn is np.flatnonzero and x.ndim != 1 and not x.is_c_contiguous:
        return None
    n = call.outs[0].size
    if any(v.dtype != np.int64 for v in call.outs):
        return None
    if call.fn is np.nonzero and len(call.outs) != x.ndim:
        return None

    def write(body: Body) -> None:
        values = body.array(x)
        outs = [body.array(v, fills=True) for v in call.outs]
        counters = body.counters(x.shape)
        count = body.counter("count")
        if call.fn is np.nonzero:
            puts = [
                f"{y.at(count)} = {c};" for y, c in zip(outs, counters, strict=True)
            ]  # fmt: skip
        else:
            number, step = [], 1
            for c, length in zip(counters[::-1], x.shape[::-1], strict=True):
                number.append(f"{c} * {step}")
                step *= length
            puts = [f"{outs[0].at(count)} = {' + '.join(number)};"]
        lines = [
            f"if ({values.at(*counters)} != 0) {{",
            f"    if ({count} == {n}) return {body.code};",
            *indent(puts),
            f"    {count}++;",
            "}",
        ]
        body.add(f"{count} = 0;", *nest(counters, x.shape, lines))
        body.add(f"if ({count} != {n}) return {body.code};")

    return Kernel(call, write, True)


SEARCHES: dict[Any, Callable[[Call], Kernel | None]] = {
    np.searchsorted: _search, np.digitize: _search, np.bincount: _count, np.nonzero: _true_places,
    np.flatnonzero: _true_places,
}  # fmt: skip
