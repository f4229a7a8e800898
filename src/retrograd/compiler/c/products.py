"""Products of matrices as C functions, in tiles whose totals stay in registers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrograd.compiler.c.code import Function
from retrograd.compiler.c.forms import Product
from retrograd.compiler.c.loops import LONG
from retrograd.compiler.c.names import CNames
from retrograd.compiler.c.places import Place, Places
from retrograd.compiler.c.types import type_name
from retrograd.compiler.ir import Var

ROWS = 4  # of a tile
PACKED = 256  # rows of a tile: so many are copied at once, which takes 32 kB of stack at most
BYTES = 128  # of a row of a tile: two of the longest vectors
# bytes of factors of all multiplications: NumPy's BLAS does larger products faster, by more than
# the microsecond that it costs to leave C and come back; measured on AVX2 and AVX-512
LARGE = 1_200_000
LARGE_IN_STACK = 60_000  # of each product where there are several
LANES = 8  # so many numbers are taken for one vector in comparing the ways


@dataclass(frozen=True, slots=True)
class Layout:
    """How a product lies in memory: a matrix product in each turn of some loops.

    Args:
        places: of both factors and the result.
        sizes: rows, summed length and columns of each matrix product.
        strides: of rows and columns, for both factors and the result.
        loops: how many turns each loop has, and by how much it goes on in each of the three.
    """

    places: tuple[Place, Place, Place]
    sizes: tuple[int, int, int]
    strides: tuple[tuple[int, int], ...]
    loops: list[tuple[int, tuple[int, int, int]]]


def find_layout(form: Product, places: Places) -> Layout | None:
    """Return how a product lies, None where that is not known, or is no product of matrices."""
    arrays = (form.left, form.right, form.call.outs[0])
    found = [places.find(v) for v in arrays]
    if any(place is None for place in found):
        return None
    loops = []
    main: dict[str, tuple[int, tuple[int, int, int]]] = {}
    for role, axes in form.axes.items():
        steps: list[tuple[int, tuple[int, int, int]]] = []
        for group in axes:
            length, along = 1, [0, 0, 0]
            for i, axis in enumerate(group):
                place = found[i]
                if axis is not None and place is not None and arrays[i].shape[axis] != 1:
                    length, along[i] = arrays[i].shape[axis], place.strides[axis]
            if length == 1:
                continue
            if steps and all(
                before == length * now for before, now in zip(steps[-1][1], along, strict=True)
            ):
                length *= steps.pop()[0]
            steps.append((length, (along[0], along[1], along[2])))
        if role != "batch":
            longest = max(steps, key=lambda step: step[0], default=(1, (0, 0, 0)))
            main[role] = longest
            if longest in steps:
                steps.remove(longest)
            if steps and role == "k":
                return None
        loops += steps
    (m, of_m), (k, of_k), (n, of_n) = (main[role] for role in "mkn")
    strides = ((of_m[0], of_k[0]), (of_k[1], of_n[1]), (of_m[2], of_n[2]))
    a, b, o = found
    assert a is not None
    assert b is not None
    assert o is not None
    return Layout((a, b, o), (m, k, n), strides, loops)


def is_small(layout: Layout, dtype: np.dtype[Any]) -> bool:
    """Tell whether C does a product as fast as NumPy's BLAS."""
    m, k, n = layout.sizes
    size = m * k * n * dtype.itemsize
    return size <= (LARGE_IN_STACK if layout.loops else LARGE)


def write_product(
    name: str, form: Product, layout: Layout, wish: Callable[[Var], str]
) -> Function:  # fmt: skip
    """Return a product as a function.

    Args:
        name: of the function.
        form: the product.
        layout: how its arrays lie.
        wish: returns what to call an array.
    """
    names = CNames()
    for word in ("t", "packed"):
        names.fresh(word)
    roots = [place.root for place in layout.places]
    known: dict[Var, str] = {}
    for root in roots:
        if root not in known:
            known[root] = names.fresh(wish(root))
    kind = type_name(form.call.outs[0].dtype)
    head = [
        f"{'' if root is roots[2] else 'const '}{kind} *restrict {text}"
        for root, text in known.items()
    ]
    m, k, n = layout.sizes
    (a_row, a_column), (b_row, b_column), (o_row, o_column) = layout.strides
    begins = {root: min(p.offset for p in layout.places if p.root is root) for root in roots}
    bases = [_base(known[p.root], p.offset - begins[p.root]) for p in layout.places]
    declared: list[str] = []
    counters = [f"i{d}" for d in range(len(layout.loops))]
    if layout.loops:
        for i, (base, stem) in enumerate(zip(bases, ("left", "right", "out"), strict=True)):
            steps = [
                f"{counter} * {by[i]}"
                for counter, (_, by) in zip(counters, layout.loops, strict=True)
                if by[i]
            ]
            if steps:
                bases[i] = names.fresh(f"{stem}_part")
                fixed = "" if i == 2 else "const "
                declared.append(
                    f"{fixed}{kind} *restrict {bases[i]} = {' + '.join([base, *steps])};"
                )
    a_text, b_text, o_text = bases

    def lanes(length: int, *strides: int) -> float:
        share = length / -(-length // LANES)
        for stride in strides:
            # neighbours in memory are one load, close ones a few, others one each
            share *= 1 if stride == 1 else 0.4 if abs(stride) <= 4 else 0.12
        return share

    def along(rows: int, columns: int, stride: int, out_stride: int) -> float:
        plain = lanes(columns, stride, out_stride)
        if not packs(rows, k, stride):
            return plain
        return max(plain, 0.5 * lanes(columns, out_stride) * rows / (rows + 6))

    by_column = along(m, n, b_column, o_column)
    by_row = along(n, m, a_row, o_row)
    inside = k / (-(-k // LANES) + 3) * (0.5 if 1 not in (a_column, b_row) else 1)
    inside *= 1 if a_column == b_row == 1 else 0.6
    sums = inside > max(by_column, by_row)
    if sums:
        body = _dots(
            kind, (m, k, n), (a_text, a_row, a_column), (b_text, b_row, b_column),
            (o_text, o_row, o_column),
        )  # fmt: skip
    elif by_column >= by_row:
        body = _tiles(
            kind, (m, k, n), (a_text, a_row, a_column), (b_text, b_row, b_column),
            (o_text, o_row, o_column),
        )  # fmt: skip
    else:  # the transposed product
        body = _tiles(
            kind, (n, k, m), (b_text, b_column, b_row), (a_text, a_column, a_row),
            (o_text, o_column, o_row),
        )  # fmt: skip
    turns = 1
    if layout.loops:
        body = [*declared, *body]
        for counter, (length, _) in zip(counters[::-1], layout.loops[::-1], strict=True):
            body = _loop(counter, 0, length, 1, body)
            turns *= length
        body.insert(0, f"ptrdiff_t {', '.join(counters)};")
    lines = [f"static void {name}({', '.join(head)}) {{", *("    " + line for line in body), "}"]
    arrays = [(root, begins[root]) for root in known]
    wide = not sums or (kind == "double" and k >= LONG)
    return Function(name, "\n".join(lines), arrays, cost=turns * m * k * n, wide=wide)


Side = tuple[str, int, int]


def packs(rows: int, k: int, stride: int) -> bool:
    """Tell whether a factor whose neighbours lie apart is copied to where they are side by side.

    Args:
        rows: how often each of its elements is used.
        k: how many of its rows are copied at once.
        stride: between neighbours.
    """
    return stride != 1 and rows >= ROWS and k <= PACKED


def _base(name: str, offset: int) -> str:
    return f"({name} + {offset})" if offset else name


def _at(side: Side, row: str, column: str) -> str:
    text, row_stride, column_stride = side
    parts = [
        index if stride == 1 else f"({index}) * {stride}"
        for index, stride in ((row, row_stride), (column, column_stride))
        if stride and index != "0"
    ]
    return f"{text}[{' + '.join(parts) or 0}]"


def _tiles(kind: str, sizes: tuple[int, int, int], a: Side, b: Side, o: Side) -> list[str]:
    """Return the loops over tiles of the product, which go along its rows."""
    m, k, n = sizes
    width = BYTES // (8 if kind == "double" else 4)
    lines: list[str] = []
    whole_rows, whole_columns = m - m % ROWS, n - n % width
    if packs(m, k, b[2]):
        lines.append(f"{kind} packed[{k}][{min(width, n)}];")

    def rows(wide: int) -> list[str]:
        inner: list[str] = []
        of = b
        if packs(m, k, b[2]):
            source = _at(b, "k", "j + s")
            inner = [f"for (s = 0; s < {wide}; s++)",
                     f"    for (k = 0; k < {k}; k++) packed[k][s] = {source};"]  # fmt: skip
            of = ("packed", 0, 0)
        if whole_rows:
            inner += _loop("i", 0, whole_rows, ROWS, _tile(kind, sizes, ROWS, wide, a, of, o))
        if m % ROWS:
            inner += _loop(
                "i", whole_rows, m, m % ROWS, _tile(kind, sizes, m % ROWS, wide, a, of, o)
            )
        return inner

    if whole_columns:
        lines += _loop("j", 0, whole_columns, width, rows(width))
    if n % width:
        lines += _loop("j", whole_columns, whole_columns + 1, 1, rows(n % width))
    return _declare(lines, ptrdiff_t="ijk", int="rs")


def _uses(lines: list[str], name: str) -> bool:
    return any(re.search(rf"\b{name}\b", line) for line in lines)


def _declare(lines: list[str], **counters: str) -> list[str]:
    """Return lines behind the declarations of the counters that they use, by their type."""
    found = []
    for kind, names in counters.items():
        used = [name for name in names if _uses(lines, name)]
        if used:
            found.append(f"{kind} {', '.join(used)};")
    return [*found, *lines]


def _loop(name: str, first: int, last: int, step: int, body: list[str]) -> list[str]:
    if last - first == step:
        return [f"{name} = {first};", *body] if _uses(body, name) else body
    inside = ("    " + line for line in body)
    return [f"for ({name} = {first}; {name} < {last}; {name} += {step}) {{", *inside, "}"]


def _tile(
    kind: str, sizes: tuple[int, int, int], high: int, wide: int, a: Side, b: Side, o: Side
) -> list[str]:
    k = sizes[1]
    column = "j + s" if wide > 1 else "j"
    row = "i + r" if high > 1 else "i"
    at = "t[r][s]"
    factor = "packed[k][s]" if b[0] == "packed" else _at(b, "k", column)
    over = f"for (r = 0; r < {high}; r++) TOGETHER for (s = 0; s < {wide}; s++)"
    return [
        "{",
        f"    {kind} t[{high}][{wide}];",
        f"    {over} {at} = 0;",
        f"    for (k = 0; k < {k}; k++)",
        f"        {over} {at} = MULTIPLY_ADD({_at(a, row, 'k')}, {factor}, {at});",
        f"    {over} {_at(o, row, column)} = {at};",
        "}",
    ]


def _dots(kind: str, sizes: tuple[int, int, int], a: Side, b: Side, o: Side) -> list[str]:
    """Return the loops over the elements of the product, a few at a time, each a sum."""
    m, k, n = sizes
    lines: list[str] = []
    high = min(4, m)
    wide = min(2, n)

    def block(i: int, j: int) -> list[str]:
        names = [f"t{r}{s}" for r in range(i) for s in range(j)]
        text = [f"{kind} {', '.join(f'{name} = 0' for name in names)};",
                f"SUMS({', '.join(names)})", f"for (k = 0; k < {k}; k++) {{"]  # fmt: skip
        for r in range(i):
            for s in range(j):
                x, y = _at(a, _plus("i", r), "k"), _at(b, "k", _plus("j", s))
                text.append(f"    t{r}{s} = MULTIPLY_ADD({x}, {y}, t{r}{s});")
        text.append("}")
        text += [
            f"{_at(o, _plus('i', r), _plus('j', s))} = t{r}{s};" for r in range(i) for s in range(j)
        ]
        return ["{", *("    " + line for line in text), "}"]

    def rows(first: int, last: int, i: int) -> list[str]:
        whole = n - n % wide
        inner = _loop("j", 0, whole, wide, block(i, wide))
        if n % wide:
            inner += _loop("j", whole, whole + 1, 1, block(i, n % wide))
        return _loop("i", first, last, i, inner)

    whole = m - m % high
    lines += rows(0, whole, high)
    if m % high:
        lines += rows(whole, m, m % high)
    return _declare(lines, ptrdiff_t="ijk")


def _plus(name: str, more: int) -> str:
    return f"{name} + {more}" if more else name
