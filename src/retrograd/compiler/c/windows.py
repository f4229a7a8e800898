"""Windows of convolutions and pools in C, and arrays with a margin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from retrograd.compiler.c.kernels import Body, Kernel, Operand, loop, nest
from retrograd.compiler.c.places import in_order
from retrograd.compiler.c.types import number
from retrograd.compiler.ir import Call, Var
from retrograd.nn.functional.pooling import from_window, places_of_largest, to_window
from retrograd.nn.functional.resizing import surround
from retrograd.nn.functional.windows import columns, fold, padded_size


def clear(array: Operand, body: Body, value: str = "0") -> None:
    """Let a body fill an array that has no gaps with one number."""
    counter = body.counter()
    body.add(*loop(counter, math.prod(array.shape), [f"{array.name}[{counter}] = {value};"]))


def _columns(call: Call) -> Kernel | None:
    """Return the form of windows as columns, or of columns that are added up in windows."""
    adds = call.fn is fold
    given, windows = call.args[0], call.kwargs.get("windows")
    out = call.outs[0]
    if windows is None or len(call.args) != 1 or not isinstance(given, Var):
        return None
    if given.dtype != out.dtype or (adds and out.dtype.kind != "f"):
        return None
    image, cols = (out, given) if adds else (given, out)
    kernel, stride, dilation, count, pads = windows
    n, c, *size = image.shape

    def write(body: Body) -> None:
        x, y = body.array(image, fills=adds), body.array(cols, fills=not adds)
        row, column = y.strides
        # columns are (c, kernel..., count..., n)
        inner = [s * row for s in in_order((c, *kernel))]
        outer = [s * column for s in in_order((*count, n))]
        channel, batch = body.counters((c,))[0], body.counters((n,))[0]
        steps, turns = body.counters(kernel), body.counters(count)
        axes = range(len(size))
        terms: list[tuple[Any, int]] = [(batch, x.strides[0]), (channel, x.strides[1])]
        first = 0
        inside: list[str | None] = []
        for d in axes:
            low = pads[d][0]
            along = x.strides[2 + d]
            terms += [(turns[d], along * stride[d]), (steps[d], along * dilation[d])]
            first -= low * along
            reach = (count[d] - 1) * stride[d] + (kernel[d] - 1) * dilation[d]
            padded = low > 0 or reach - low >= size[d]
            place = f"{turns[d]} * {stride[d]} + {steps[d]} * {dilation[d]} - {low}"
            # a place before the first is a very large number without a sign
            inside.append(f"(size_t)({place}) < {size[d]}" if padded else None)
        here = x.element(terms, first)
        there = y.element([
            (channel, inner[0]), *zip(steps, inner[1:], strict=True),
            *zip(turns, outer[:-1], strict=True), (batch, outer[-1]),
        ])  # fmt: skip
        if adds:
            clear(x, body)
        tight = loop(batch, n, [f"{here} += {there};" if adds else f"{there} = {here};"])
        tests = [t for t in inside if t is not None]
        if tests:
            tight = [f"if ({' && '.join(tests)})", *("    " + line for line in tight)]
            if not adds:
                tight += ["else", *("    " + t for t in loop(batch, n, [f"{there} = 0;"]))]
            tight = ["{", *("    " + line for line in tight), "}"] if batch == "0" else tight
        order = [*nest([*steps, *turns], [*kernel, *count], tight)]
        body.add(*loop(channel, c, order))

    return Kernel(call, write, cost=2 * cols.size)


def _window_offsets(x: Var, strides: Sequence[int], places: Any) -> list[int]:
    """Return from which element on each place in the windows of an array goes."""
    found = []
    for place in places:
        index = place[1:]
        ahead = x.ndim - len(index)
        first = 0
        for d, part in enumerate(index):
            first += part.indices(x.shape[ahead + d])[0] * strides[ahead + d]
        found.append(first)
    return found


def _window_steps(x: Var, strides: Sequence[int], places: Any) -> list[int]:
    """Return how far windows lie apart along each axis."""
    index = places[0][1:]
    ahead = x.ndim - len(index)
    return [
        s * (index[d - ahead].step or 1) if d >= ahead else s for d, s in enumerate(strides)
    ]  # fmt: skip


def _are_plain(places: Any) -> bool:
    return all(
        place[0] is Ellipsis and all(type(p) is slice and (p.step or 1) > 0 for p in place[1:])
        for place in places
    )


def _covers_once(x: Var, places: Any) -> bool:
    """Tell whether each element is in exactly one window."""
    axes = len(places[0]) - 1
    hits = np.zeros(x.shape[x.ndim - axes :], int)
    for place in places:
        hits[place] += 1
    return bool((hits == 1).all())


def _are_gradients(call: Call, windows: Any) -> bool:
    """Tell whether a call moves gradients between an array and its windows in a way C has.

    Args:
        call: of gradients, the array and the largest of each window or None.
        windows: which of its variables has an element for each window.
    """
    g, x, top = call.args
    places, out = call.kwargs.get("places"), call.outs[0]
    if places is None or not isinstance(g, Var) or not isinstance(x, Var):
        return False
    if not _are_plain(places) or g.dtype != out.dtype or out.dtype.kind != "f":
        return False
    return not isinstance(top, Var) or (top.dtype == x.dtype and top.shape == windows.shape)


def _to_window(call: Call) -> Kernel | None:
    g, x, top = call.args
    places, out = call.kwargs.get("places"), call.outs[0]
    if not _are_gradients(call, g):
        return None
    once = _covers_once(x, places)

    def write(body: Body) -> None:
        dx, share = body.array(out, fills=True), body.array(g)
        if not once:
            clear(dx, body)
        counters = body.counters(g.shape)
        puts = "=" if once else "+="
        lines = [f"{dx.kind} left = {share.at(*counters)};"]
        into = _window_offsets(out, dx.strides, places)
        steps = [*zip(counters, _window_steps(out, dx.strides, places), strict=True)]
        if isinstance(top, Var):
            values, best = body.array(x), body.array(top)
            here = [*zip(counters, _window_steps(x, values.strides, places), strict=True)]
            lines.append(f"const {best.kind} most = {best.at(*counters)};")
            lines.append(f"{dx.kind} won;")
            offsets = _window_offsets(x, values.strides, places)
            for start, end in zip(offsets, into, strict=True):
                lines.append(f"won = ({values.element(here, start)} == most) * left;")
                lines.append(f"{dx.element(steps, end)} {puts} won;")
                lines.append("left = left - won;")
        else:
            lines += [f"{dx.element(steps, end)} {puts} left;" for end in into]
        body.add(*nest(counters, g.shape, lines, share.strides))

    return Kernel(call, write, cost=3 * out.size)


def _from_window(call: Call) -> Kernel | None:
    g, x, top = call.args
    places, out = call.kwargs.get("places"), call.outs[0]
    if not _are_gradients(call, out):
        return None

    def write(body: Body) -> None:
        y, given = body.array(out, fills=True), body.array(g)
        counters = body.counters(out.shape)
        from_ = [*zip(counters, _window_steps(g, given.strides, places), strict=True)]
        offsets = _window_offsets(g, given.strides, places)
        terms = [given.element(from_, start) for start in offsets]
        if isinstance(top, Var):
            values, best = body.array(x), body.array(top)
            here = [*zip(counters, _window_steps(x, values.strides, places), strict=True)]
            lines = [f"{y.kind} found = 0;", "int is_free = 1, hit;"]
            lines.append(f"const {best.kind} most = {best.at(*counters)};")
            starts = _window_offsets(x, values.strides, places)
            for start, term in zip(starts, terms, strict=True):
                lines.append(f"hit = is_free && {values.element(here, start)} == most;")
                lines.append(f"found = found + hit * {term};")
                lines.append("is_free = is_free && !hit;")
        else:
            lines = [f"{y.kind} found = {terms[0]};"]
            lines += [f"found = found + {term};" for term in terms[1:]]
        lines.append(f"{y.at(*counters)} = found;")
        body.add(*nest(counters, out.shape, lines, y.strides))

    return Kernel(call, write, cost=2 * g.size)


def _places_of_largest(call: Call) -> Kernel | None:
    x, top, numbers = call.args
    places, out = call.kwargs.get("places"), call.outs[0]
    if places is None or not all(isinstance(v, Var) for v in call.args):
        return None
    if not _are_plain(places) or top.dtype != x.dtype or top.shape != out.shape:
        return None
    if numbers.dtype != out.dtype:
        return None

    def write(body: Body) -> None:
        y, values, best = body.array(out, fills=True), body.array(x), body.array(top)
        count = body.array(numbers)
        counters = body.counters(out.shape)
        here = [*zip(counters, _window_steps(x, values.strides, places), strict=True)]
        ahead = out.ndim - numbers.ndim
        wide = [*(0,) * ahead, *_window_steps(numbers, count.strides, places)]
        shape = (1,) * ahead + numbers.shape
        of = [(i, s if n != 1 else 0) for i, s, n in zip(counters, wide, shape, strict=True)]
        starts = _window_offsets(x, values.strides, places)
        reads = _window_offsets(numbers, count.strides, places)
        lines = [f"const {best.kind} most = {best.at(*counters)};", f"{y.kind} found = 0;"]
        for start, read in zip(starts[::-1], reads[::-1], strict=True):
            value = values.element(here, start)
            lines.append(
                f"if ({value} == most || {value} != {value}) found = {count.element(of, read)};"
            )
        lines.append(f"{y.at(*counters)} = found;")
        body.add(*nest(counters, out.shape, lines, y.strides))

    return Kernel(call, write)


def _surround(call: Call) -> Kernel | None:
    names = ("x", "widths", "value")
    given = {**dict(zip(names, call.args, strict=False)), **call.kwargs}
    x, widths, value = given["x"], given["widths"], given["value"]
    out = call.outs[0]
    if not isinstance(x, Var) or x.dtype != out.dtype or out.dtype.kind == "b":
        return None
    _, middle = padded_size(x.shape, widths)

    def write(body: Body) -> None:
        y, source = body.array(out, fills=True), body.array(x)
        clear(y, body, number(value, out.dtype))
        counters = body.counters(x.shape)
        first = sum(m.start * s for m, s in zip(middle, y.strides, strict=True))
        there = y.element(zip(counters, y.strides, strict=True), first)
        body.add(*nest(counters, x.shape, [f"{there} = {source.at(*counters)};"], y.strides))

    return Kernel(call, write)


FORMS = {
    columns: _columns, fold: _columns, to_window: _to_window, from_window: _from_window,
    places_of_largest: _places_of_largest, surround: _surround,
}  # fmt: skip
