"""Products of matrices as C functions, in tiles whose totals stay in registers."""

from __future__ import annotations

import re
from collections.abc import Callable

from retrograd.compiler.c.forms import Product
from retrograd.compiler.c.loops import Function
from retrograd.compiler.c.names import CNames
from retrograd.compiler.c.places import Place, Places
from retrograd.compiler.c.types import type_name
from retrograd.compiler.ir import Var

ROWS = 4  # of a tile
PACKED = 256  # rows of a tile: so many are copied at once, which takes 32 kB of stack at most
BYTES = 128  # of a row of a tile: two of the longest vectors
LANES = 8  # so many numbers are taken for one vector in comparing the ways


def _sides(form: Product, places: Places) -> list[tuple[Place, int, int]] | None:
    """Return for both factors and the product the place and the strides of rows and columns."""
    found = []
    for var, is_right in ((form.left, False), (form.right, True), (form.call.outs[0], None)):
        place = places.find(var)
        if place is None:
            return None
        strides = place.strides
        if len(strides) == 2:
            row, column = strides
        elif is_right or (is_right is None and form.n == 1 and form.right.ndim == 1):
            row, column = (strides or (0,))[0], 0
        else:
            row, column = 0, strides[0]
        found.append((place, row, column))
    return found


def has_places(form: Product, places: Places) -> bool:
    """Tell whether it is known where the arrays of a product lie."""
    return _sides(form, places) is not None


def write_product(name: str, form: Product, places: Places, wish: Callable[[Var], str]) -> Function:
    """Return a product as a function.

    Args:
        name: of the function.
        form: the product.
        places: where its arrays lie.
        wish: returns what to call an array.
    """
    sides = _sides(form, places)
    assert sides is not None
    names = CNames()
    roots = [place.root for place, _, _ in sides]
    known: dict[Var, str] = {}
    for root in roots:
        if root not in known:
            known[root] = names.fresh(wish(root))
    kind = type_name(form.call.outs[0].dtype)
    head = [
        f"{'' if root is roots[2] else 'const '}{kind} *restrict {text}"
        for root, text in known.items()
    ]
    (a, a_row, a_column), (b, b_row, b_column), (o, o_row, o_column) = sides
    m, k, n = form.m, form.k, form.n
    begins = {root: min(p.offset for p, _, _ in sides if p.root is root) for root in roots}
    a_text, b_text, o_text = (_base(known[p.root], p.offset - begins[p.root]) for p in (a, b, o))

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
    if inside > max(by_column, by_row):
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
    lines = [f"static void {name}({', '.join(head)}) {{", *("    " + line for line in body), "}"]
    arrays = [(root, begins[root]) for root in known]
    return Function(name, "\n".join(lines), arrays, cost=m * k * n)


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
    lines = ["int r, s;"]
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
        lines += _at_place("j", whole_columns, rows(n % width))
    return _declared(lines)


def _at_place(name: str, value: int, body: list[str]) -> list[str]:
    """Return the body of a loop that has one turn."""
    return [f"{name} = {value};", *body] if _uses(body, name) else body


def _uses(lines: list[str], name: str) -> bool:
    return any(re.search(rf"\b{name}\b", line) for line in lines)


def _declared(lines: list[str]) -> list[str]:
    """Return lines after the declaration of the counters that they use."""
    counters = [name for name in "ijk" if _uses(lines, name)]
    return [f"ptrdiff_t {', '.join(counters)};", *lines]


def _loop(name: str, first: int, last: int, step: int, body: list[str]) -> list[str]:
    if last - first == step:
        return _at_place(name, first, body)
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
            inner += _at_place("j", whole, block(i, n % wide))
        return _loop("i", first, last, i, inner)

    whole = m - m % high
    lines += rows(0, whole, high)
    if m % high:
        lines += rows(whole, m, m % high)
    return _declared(lines)


def _plus(name: str, more: int) -> str:
    return f"{name} + {more}" if more else name
