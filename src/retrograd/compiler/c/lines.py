"""What is done along one axis in C: places of extremes, running sums, variances, orders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from retrograd.compiler.c.kernels import Body, Kernel, indent, loop, nest, options_of
from retrograd.compiler.c.searching import SEARCHES
from retrograd.compiler.c.types import is_float, number
from retrograd.compiler.ir import Call, Var
from retrograd.rules.statistics import places

SHORT = 256  # elements: NumPy puts longer lines in order faster


def _axis(given: dict[str, Any], x: Var) -> int | None:
    axis = given.get("axis")
    return axis % x.ndim if type(axis) is int and x.ndim else None


def _isnan(text: str, var: Var) -> str:
    return f"{text} != {text}" if var.dtype.kind == "f" else "0"


def _add_for_each_line(
    body: Body, lines: list[str], counters: Sequence[str], shape: Sequence[int], axes: Sequence[int]
) -> None:
    """Add a block of C that runs along some axes of an array, once for each place on the others."""
    others = [d for d in range(len(shape)) if d not in axes]
    lines = ["{", *indent(lines), "}"]
    body.add(*nest([counters[d] for d in others], [shape[d] for d in others], lines))


def _extreme(call: Call) -> Kernel | None:
    """Return the form of `np.argmax` and `np.argmin`: the first place, nan before all others."""
    given = options_of(call, "a", "axis", "keepdims")
    if given is None:
        return None
    x, out = given["a"], call.outs[0]
    axis = _axis(given, x)
    if axis is None and "axis" in given:
        return None
    sign = ">" if call.fn is np.argmax else "<"

    def write(body: Body) -> None:
        y, values = body.array(out, fills=True), body.array(x)
        counters = body.counters(x.shape)
        along = [*range(x.ndim)] if axis is None else [axis]
        kept = [c for d, c in enumerate(counters) if d not in along]
        if len(kept) != out.ndim:  # with keepdims
            kept = ["0" if d in along else c for d, c in enumerate(counters)]
        start = ["0" if d in along else c for d, c in enumerate(counters)]
        value = "value"
        better = f"value {sign} best"
        if x.dtype.kind == "f":
            better += " || (value != value && best == best)"
        lines = [
            f"const {values.kind} {value} = {values.at(*counters)};",
            f"if ({better}) {{ best = value; place = number; }}",
            "number++;",
        ]
        for d in reversed(along):
            lines = loop(counters[d], x.shape[d], lines)
        if all(counters[d] == "0" for d in along):
            lines = ["{", *indent(lines), "}"]
        lines = [
            f"{values.kind} best = {values.at(*start)};",
            "ptrdiff_t place = 0, number = 0;",
            *lines,
            f"{y.at(*kept)} = place;",
        ]
        _add_for_each_line(body, lines, counters, x.shape, along)

    return Kernel(call, write)


def _running_sum(call: Call) -> Kernel | None:
    given = options_of(call, "a", "axis")
    if given is None:
        return None
    x, out = given["a"], call.outs[0]
    axis = 0 if x.ndim == 1 else _axis(given, x)
    if axis is None or x.dtype != out.dtype or x.shape != out.shape or x.dtype.kind == "b":
        return None

    def write(body: Body) -> None:
        y, values = body.array(out, fills=True), body.array(x)
        counters = body.counters(x.shape)
        text = f"total + {values.at(*counters)}"
        if x.dtype.kind == "i":
            unsigned = f"u{y.kind}"
            text = f"({y.kind})(({unsigned})total + ({unsigned}){values.at(*counters)})"
        lines = loop(
            counters[axis], x.shape[axis], [f"total = {text};", f"{y.at(*counters)} = total;"]
        )
        others = [d for d in range(x.ndim) if d != axis]
        first = "-0.0" if is_float(out.dtype) else "0"  # a sum of -0 alone is -0
        lines = ["{", f"    {y.kind} total = {first};", *indent(lines), "}"]
        body.add(*nest([counters[d] for d in others], [x.shape[d] for d in others], lines))

    return Kernel(call, write)


def _variance(call: Call) -> Kernel | None:
    """Return the form of `np.var` and `np.std`."""
    options = dict(call.kwargs)
    x, out = call.args[0] if call.args else None, call.outs[0]
    axis = call.args[1] if len(call.args) == 2 else options.pop("axis", None)
    ddof = options.pop("ddof", options.pop("correction", 0))
    options.pop("keepdims", None)
    if len(call.args) > 2 or options or not isinstance(x, Var) or not is_float(out.dtype):
        return None
    # of whole numbers it is a float64
    if x.dtype != (out.dtype if is_float(x.dtype) else x.dtype) or type(ddof) not in (int, float):
        return None
    if axis is None:
        axes = [*range(x.ndim)]
    else:
        axes = sorted(a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,)))
    count = 1
    for a in axes:
        count *= x.shape[a]
    double = np.dtype(float)
    if count - ddof <= 0:
        return None

    def write(body: Body) -> None:
        y, values = body.array(out, fills=True), body.array(x)
        counters = body.counters(x.shape)
        kept = [c for d, c in enumerate(counters) if d not in axes]
        if len(kept) != out.ndim:
            kept = ["0" if d in axes else c for d, c in enumerate(counters)]

        def over(line: str) -> list[str]:
            lines = [line]
            for d in reversed(axes):
                if counters[d] != "0" and lines == [line] and line.startswith("total"):
                    lines = ["SUMS(total)", *loop(counters[d], x.shape[d], lines)]
                else:
                    lines = loop(counters[d], x.shape[d], lines)
            return lines

        here = values.at(*counters)
        spread = f"total / {number(float(count - ddof), double)}"
        lines = [
            "double total = 0, mean;",
            *over(f"total = total + {here};"),
            f"mean = total / {number(float(count), double)};",
            "total = 0;",
            *over(f"total = total + ({here} - mean) * ({here} - mean);"),
            f"{y.at(*kept)} = ({y.kind}){f'sqrt({spread})' if call.fn is np.std else spread};",
        ]
        _add_for_each_line(body, lines, counters, x.shape, axes)

    return Kernel(call, write, cost=4 * x.size)


_SORT = """
/* Put the numbers of n elements into their order, equal ones as they stand and nan last: heaps. */
static int comes_after_{s}(const {T} *x, ptrdiff_t step, int64_t i, int64_t j) {{
    const {T} a = x[i * step], b = x[j * step];
    if (a > b || ({nan_a} && !({nan_b}))) return 1;
    if (a < b || ({nan_b} && !({nan_a}))) return 0;
    return i > j;
}}
static void order_of_{s}(const {T} *x, ptrdiff_t step, ptrdiff_t n, int64_t *out, ptrdiff_t by) {{
    ptrdiff_t i, end = n, root = n / 2;
    for (i = 0; i < n; i++) out[i * by] = i;
    while (end > 1) {{
        int64_t taken;
        if (root > 0) {{
            taken = out[--root * by];
        }} else {{
            taken = out[--end * by];
            out[end * by] = out[0];
        }}
        for (i = root; 2 * i + 1 < end;) {{
            ptrdiff_t child = 2 * i + 1;
            if (child + 1 < end
                && comes_after_{s}(x, step, out[(child + 1) * by], out[child * by])) child++;
            if (!comes_after_{s}(x, step, out[child * by], taken)) break;
            out[i * by] = out[child * by];
            i = child;
        }}
        out[i * by] = taken;
    }}
}}"""


def _order(call: Call, alone: bool) -> Kernel | None:
    """Return the form of `np.argsort` and `np.argpartition`.

    Equal elements come in the order in which they stand. NumPy's default may have them otherwise,
    so where NumPy is at hand it does these itself.
    """
    partial = call.fn is np.argpartition
    names = ("a", "kth", "axis", "kind", "order") if partial else ("a", "axis", "kind", "order")
    given = options_of(call, *names, *(() if partial else ("stable",)))
    if given is None or "order" in given:
        return None
    x, out = given["a"], call.outs[0]
    axis = _axis({"axis": given.get("axis", -1)}, x)
    stable = given.get("stable") or given.get("kind") in ("stable", "mergesort")
    if axis is None or out.dtype != np.int64:
        return None
    if x.dtype.kind == "b" and not stable:
        return None  # nearly all are equal, so that the order would be another one than NumPy's
    if not alone and (not stable or x.shape[axis] > SHORT):
        return None

    def write(body: Body) -> None:
        y, values = body.array(out, fills=True), body.array(x)
        word = f"{x.dtype.kind}{8 * x.dtype.itemsize}"
        body.helpers.append(
            _SORT.format(
                T=values.kind, s=word, nan_a=_isnan("a", x), nan_b=_isnan("b", x)
            ).strip()
        )  # fmt: skip
        counters = body.counters(x.shape)
        start = ["0" if d == axis else c for d, c in enumerate(counters)]
        n, step, by = x.shape[axis], values.strides[axis], y.strides[axis]
        line = f"order_of_{word}(&{values.at(*start)}, {step}, {n}, &{y.at(*start)}, {by});"
        others = [d for d in range(x.ndim) if d != axis]
        unused = [counters[axis]] if counters[axis] != "0" else []
        body.drop(unused)
        body.add(*nest([counters[d] for d in others], [x.shape[d] for d in others], [line]))

    return Kernel(call, write, cost=8 * x.size)


def _ranks(call: Call) -> Kernel | None:
    """Return the form of where quantiles are among sorted elements, by NumPy's default method."""
    given = options_of(call, "x", "q", "method", "skip")
    if given is None or given.get("method", "linear") != "linear":
        return None
    x, q, skip, out = given["x"], given["q"], given.get("skip", False), call.outs[0]
    shape = q.shape if isinstance(q, Var) else ()
    if not isinstance(q, (Var, int, float, np.floating)) or not x.ndim:
        return None
    if out.dtype != np.float64 or out.shape != (*shape, *x.shape[:-1]):
        return None
    if isinstance(q, Var) and not is_float(q.dtype):
        return None

    def write(body: Body) -> None:
        y, values = body.array(out, fills=True), body.array(x)
        which, counters = body.counters(shape), body.counters(x.shape)
        last, n = counters[-1], x.shape[-1]
        share = body.array(q).at(*which) if isinstance(q, Var) else number(q, np.dtype(float))
        here = values.at(*counters)
        counts = [f"if ({here} == {here}) count++;"] if x.dtype.kind == "f" else ["count++;"]
        known = "count == 0" if skip else f"count < {n}"
        lines = [
            "ptrdiff_t count = 0;",
            *loop(last, n, counts),
            f"if ({share} < 0 || {share} > 1) return {body.code};",
            f"{y.at(*which, *counters[:-1])} = ({known}) ? NAN : (double)(count - 1) * {share};",
        ]
        lines = ["{", *indent(lines), "}"]
        body.add(*nest([*which, *counters[:-1]], [*shape, *x.shape[:-1]], lines))

    return Kernel(call, write, True)


def _convolve(call: Call) -> Kernel | None:
    if len(call.args) != 2 or call.kwargs or not all(isinstance(a, Var) for a in call.args):
        return None
    a, v = call.args
    out = call.outs[0]
    if not a.dtype == v.dtype == out.dtype or not is_float(out.dtype) or a.ndim != 1 != v.ndim:
        return None

    def write(body: Body) -> None:
        y, x, w = body.array(out, fills=True), body.array(a), body.array(v)
        i, j, more = (body.counter() for _ in range(3))
        body.add(*loop(more, out.size, [f"{y.at(more)} = 0;"]))
        inner = loop(j, v.size, [f"{y.at(f'{i} + {j}')} += {x.at(i)} * {w.at(j)};"])
        body.add(*loop(i, a.size, inner))

    return Kernel(call, write, cost=a.size * v.size)


def find_line(call: Call, alone: bool) -> Kernel | None:
    """Return how a call goes along one axis in C, None where it does something else.

    Args:
        call: the call.
        alone: whether there will be no NumPy, which would do some of these better.
    """
    if call.fn in (np.argsort, np.argpartition):
        return _order(call, alone)
    how = FORMS.get(call.fn)
    return how(call) if how else None


FORMS: dict[Any, Callable[[Call], Kernel | None]] = {
    np.argmax: _extreme, np.argmin: _extreme, np.cumsum: _running_sum, np.var: _variance,
    np.std: _variance, places: _ranks, np.convolve: _convolve, **SEARCHES,
}  # fmt: skip
