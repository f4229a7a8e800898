"""Other calls that are C functions of their own: choices, sums of products, several results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from retrograd.compiler.c.functions import expression, has_form, helper
from retrograd.compiler.c.kernels import Body, Kernel, indent, loop, nest
from retrograd.compiler.c.types import is_float, number, type_name
from retrograd.compiler.ir import Call, Var
from retrograd.nn.functional.classes import class_hits
from retrograd.nn.functional.likelihoods import variance_from
from retrograd.nn.functional.linear import row_factors
from retrograd.rules.piecewise import choose


def _spread(var: Var, counters: list[str]) -> list[str]:
    """Return the counters for an array that is broadcast."""
    ahead = len(counters) - var.ndim
    return ["0" if n == 1 else counters[ahead + d] for d, n in enumerate(var.shape)]


def find_choice(call: Call) -> Kernel | None:
    """Return the form of `np.choose`, or of a variance that is looked at first."""
    how = {choose: _choose, variance_from: _variance, class_hits: _hits, row_factors: _factors}
    return how[call.fn](call) if call.fn in how else None


def _hits(call: Call) -> Kernel | None:
    """Return the form of where an element of scores is of the target class."""
    names = ("target", "classes", "ndim", "ignore_index")
    given = {**dict(zip(names, call.args, strict=False)), **call.kwargs}
    target, classes, ignored = given["target"], given["classes"], given["ignore_index"]
    out = call.outs[0]
    if not isinstance(target, Var) or target.dtype.kind not in "iu":
        return None

    def write(body: Body) -> None:
        hits, classes_of = body.array(out, fills=True), body.array(target)
        counters = body.counters(target.shape)
        which = body.counters((classes,))[0]
        below = "" if target.dtype.kind == "u" else "c < 0 || "
        missed = number(ignored, np.dtype(np.int64))
        kind = classes_of.kind
        let_pass = f" && {which} != {ignored}" * (0 <= ignored < classes)
        element = hits.at(*counters[:1], which, *counters[1:])
        lines = [
            "{",
            f"    const {kind} c = {classes_of.at(*counters)};",
            f"    if (({below}c >= {classes}) && (int64_t)c != {missed}) return {body.code};",
            *indent(loop(which, classes, [f"{element} = ({kind}){which} == c{let_pass};"])),
            "}",
        ]
        body.add(*nest(counters, target.shape, lines))

    return Kernel(call, write, True)


def _factors(call: Call) -> Kernel | None:
    """Return the form of what rows of a table are multiplied by where they are looked up."""
    names = ("index", "table", "max_norm", "norm_type")
    given = {**dict(zip(names, call.args, strict=False)), **call.kwargs}
    index, table, most = given["index"], given["table"], given["max_norm"]
    out = call.outs[0]
    if not isinstance(index, Var) or not isinstance(table, Var) or given["norm_type"] != 2:
        return None
    if not is_float(table.dtype) or out.dtype != table.dtype:
        return None
    n, width = table.shape

    def write(body: Body) -> None:
        factors, places, rows = body.array(out, True), body.array(index), body.array(table)
        row, column = body.counters((2, 2))
        counters = body.counters(index.shape)
        body.add(*loop(row, n, [f"{factors.at(row, '0')} = 1;"]))
        x = rows.at("place", column)
        double = np.dtype(float)
        lines = [
            f"ptrdiff_t place = (ptrdiff_t){places.at(*counters)};",
            "double total = 0;",
            f"if (place < 0) place += {n};",
            f"if (place < 0 || place >= {n}) return {body.code};",
            *loop(column, width, [f"total = total + (double){x} * {x};"]),
            "total = sqrt(total);",
            f"if (total > {number(float(most), double)})",
            f"    {factors.at('place', '0')} = ({factors.kind})"
            f"({number(float(most), double)} / (total + 1e-7));",
        ]
        body.add(*nest(counters, index.shape, ["{", *indent(lines), "}"]))

    return Kernel(call, write, True)


def _choose(call: Call) -> Kernel | None:
    which, *choices = call.args
    mode, out = call.kwargs.get("mode", "raise"), call.outs[0]
    if not isinstance(which, Var) or which.dtype.kind not in "iu" or len(choices) < 1:
        return None
    if any(isinstance(c, Var) and c.dtype != out.dtype for c in choices):
        return None
    if not all(isinstance(c, (Var, int, float, np.generic)) for c in choices):
        return None
    n = len(choices)

    def write(body: Body) -> None:
        y, places = body.array(out, fills=True), body.array(which)
        counters = body.counters(out.shape)
        lines = [f"ptrdiff_t place = (ptrdiff_t){places.at(*_spread(which, counters))};"]
        if mode == "wrap":
            lines.append(f"place = (place % {n} + {n}) % {n};")
        elif mode == "clip":
            lines.append(f"place = (place < 0) ? 0 : (place > {n - 1}) ? {n - 1} : place;")
        else:
            lines.append(f"if (place < 0 || place >= {n}) return {body.code};")
        values = [
            body.array(c).at(*_spread(c, counters)) if isinstance(c, Var) else number(c, out.dtype)
            for c in choices
        ]
        text = values[-1]
        for i in range(n - 2, -1, -1):
            text = f"(place == {i}) ? {values[i]} : {text}"
        lines.append(f"{y.at(*counters)} = {text};")
        body.add(*nest(counters, out.shape, ["{", *indent(lines), "}"]))

    return Kernel(call, write, mode == "raise")


def _variance(call: Call) -> Kernel | None:
    names = ("var", "eps")
    given = {**dict(zip(names, call.args, strict=False)), **call.kwargs}
    x, least, out = given["var"], given["eps"], call.outs[0]
    if not isinstance(x, Var) or x.dtype != out.dtype or not is_float(x.dtype):
        return None
    if x.shape != out.shape or isinstance(least, Var):
        return None

    def write(body: Body) -> None:
        y, values = body.array(out, fills=True), body.array(x)
        counters = body.counters(out.shape)
        here, low = values.at(*counters), number(least, out.dtype)
        lines = [
            f"if ({here} < 0) return {body.code};",
            f"{y.at(*counters)} = ({here} < {low}) ? {low} : {here};",
        ]
        body.add(*nest(counters, out.shape, lines))

    return Kernel(call, write, True)


def find_sum(call: Call) -> Kernel | None:
    """Return the form of any Einstein sum: a loop for each letter."""
    inputs, result = call.kwargs["subscripts"].split("->")
    return _sum(call, inputs.split(","), result)


def find_mixed_product(call: Call) -> Kernel | None:
    """Return the form of `np.matmul` for whole numbers, and for factors of different dtypes."""
    if call.kwargs or len(call.args) != 2 or not all(isinstance(a, Var) for a in call.args):
        return None
    x, y = call.args
    stacks = "".join(chr(ord("a") + i) for i in range(max(x.ndim, y.ndim) - 2))
    ends = [stacks[len(stacks) - max(v.ndim - 2, 0) :] for v in (x, y)]
    rows, columns = "y" * (x.ndim > 1), "z" * (y.ndim > 1)
    return _sum(call, [f"{ends[0]}{rows}x", f"{ends[1]}x{columns}"], f"{stacks}{rows}{columns}")


def _sum(call: Call, terms: Sequence[str], result: str) -> Kernel | None:
    """Return the form of a sum of products, each factor taken in the dtype of the result.

    Args:
        call: the call.
        terms: a letter for each axis of each argument.
        result: the letters of the result; the sum is over all others.
    """
    if not all(isinstance(a, Var) for a in call.args):
        return None
    out = call.outs[0]
    kind = type_name(out.dtype)
    # sums of floats are added up as doubles, those of whole numbers may overflow
    wide = {"f": "double", "b": kind}.get(out.dtype.kind, "uint64_t")
    lengths: dict[str, int] = {}
    for term, array in zip(terms, call.args, strict=True):
        for letter, n in zip(term, array.shape, strict=True):
            lengths[letter] = max(n, lengths.get(letter, 1))
    summed = [letter for letter in lengths if letter not in result]
    cost = 1
    for n in lengths.values():
        cost *= n

    def write(body: Body) -> None:
        y = body.array(out, fills=True)
        counters = {c: body.counters((n,))[0] for c, n in lengths.items()}
        factors = []
        for term, array in zip(terms, call.args, strict=True):
            index = ["0" if n == 1 else counters[c] for c, n in zip(term, array.shape, strict=True)]
            factor = body.array(array).at(*index)
            if array.dtype != out.dtype and out.dtype.kind != "b":
                factor = f"({kind}){factor}"
            factors.append(f"({wide}){factor}" if wide not in (kind, "double") else factor)
        if out.dtype.kind == "b":
            lines = [f"total = total || ({' && '.join(f'{f} != 0' for f in factors)});"]
        else:
            cast = "(double)" if wide == "double" else ""
            lines = [f"total = total + {cast}{' * '.join(factors)};"]
        lines = nest([counters[c] for c in summed], [lengths[c] for c in summed], lines)
        lines = [
            "{", f"    {wide} total = 0;", *indent(lines),
            f"    {y.at(*(counters[c] for c in result))} = ({y.kind})total;", "}",
        ]  # fmt: skip
        body.add(*nest([counters[c] for c in result], [lengths[c] for c in result], lines))

    return Kernel(call, write, cost=cost)


# Functions with several results

_SEVERAL = {
    np.modf: ["{0} = isinf({x}) ? copysign{f}(0, {x}) : {x} - trunc{f}({x});",
              "if ({0} == 0) {0} = copysign{f}({0}, {x});", "{1} = trunc{f}({x});"],
    np.frexp: ["{0} = frexp{f}({x}, &power);", "{1} = power;"],
}  # fmt: skip


def find_several(call: Call) -> Kernel | None:
    """Return the form of a function of elements that has two results."""
    if call.fn is np.divmod:
        return _divmod(call)
    if call.fn not in _SEVERAL or len(call.args) != 1 or call.kwargs:
        return None
    (x,) = call.args
    if not isinstance(x, Var) or not is_float(x.dtype):
        return None
    if call.outs[0].dtype != x.dtype or not has_form(np.trunc, x.dtype):
        return None

    def write(body: Body) -> None:
        first, second = (body.array(v, fills=True) for v in call.outs)
        counters = body.counters(x.shape)
        f = "f" if x.dtype.itemsize == 4 else ""
        words: Any = {"f": f, "x": body.array(x).at(*counters)}
        lines = [
            line.format(first.at(*counters), second.at(*counters), **words)
            for line in _SEVERAL[call.fn]
        ]
        if call.fn is np.frexp:
            lines = ["{", *indent(["int power = 0;", *lines]), "}"]
        body.add(*nest(counters, x.shape, lines))

    return Kernel(call, write)


def _divmod(call: Call) -> Kernel | None:
    x, y = call.args
    kind = call.outs[0].dtype
    arrays = [v for v in (x, y) if isinstance(v, Var)]
    plain = all(isinstance(v, (Var, int, float, np.generic)) for v in (x, y))
    if call.kwargs or not plain or any(v.dtype != kind for v in arrays):
        return None
    if not has_form(np.remainder, kind):
        return None

    def write(body: Body) -> None:
        counters = body.counters(call.outs[0].shape)
        given = [
            body.array(v).at(*_spread(v, counters)) if isinstance(v, Var) else number(v, kind)
            for v in (x, y)
        ]
        lines = []
        for fn, out in zip((np.floor_divide, np.remainder), call.outs, strict=True):
            if text := helper(fn, kind):
                body.helpers.append(text)
            target = body.array(out, fills=True).at(*counters)
            lines.append(f"{target} = {expression(fn, given, kind)};")
        body.add(*nest(counters, call.outs[0].shape, lines))

    return Kernel(call, write)
