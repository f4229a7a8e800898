"""Loops over elements as C functions: several calls in one loop, sums and the like at its end."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrograd.compiler.c.code import Function
from retrograd.compiler.c.forms import Elementwise, combine, start_of
from retrograd.compiler.c.groups import Group
from retrograd.compiler.c.names import CNames
from retrograd.compiler.c.places import Places, in_order, is_uniform, spread, without_ones
from retrograd.compiler.c.types import number, type_name
from retrograd.compiler.ir import Var
from retrograd.compiler.live import Live

BLOCK = 256  # elements: longer sums are sums of the sums of so many, for their rounding
LONG = 128  # elements: sums of so many gain by the longest vectors
ON_STACK = 1024  # elements: so many totals are kept aside while a loop adds to them


Key = tuple[Var, int, tuple[int, ...]]  # an array, and which element of it belongs to each turn


@dataclass(slots=True)
class _Total:
    """A reduction in the loop."""

    form: Elementwise
    name: str
    kept: tuple[int, ...]  # strides of the output by axis of the loop, 0 where it is reduced
    depth: int = 0  # the loop before which it begins
    value: str = ""


class LoopWriter:
    """Writes the calls of one group as a function.

    Args:
        name: of the function.
        group: the calls.
        places: where their arrays lie.
        stored: the arrays that are read elsewhere.
        wish: returns what to call an array.
    """

    def __init__(
        self, name: str, group: Group, places: Places, stored: Collection[Var],
        wish: Callable[[Var], str],
    ) -> None:  # fmt: skip
        assert group.shape is not None
        self.function = Function(name, "", [])
        self.shape = group.shape
        self.forms: list[Elementwise] = [f for f in group.forms if isinstance(f, Elementwise)]
        self.places = places
        self.stored = stored
        self.wish = wish
        self.names = CNames()
        self.pointers: dict[Var, str] = {}
        self.offsets: dict[Var, set[int]] = {}
        self.fills: set[Var] = set()
        self.lives: dict[Any, str] = {}
        self.values: dict[Key, tuple[str, np.dtype[Any]]] = {}
        self.loads: list[tuple[Key, str, np.dtype[Any]]] = []
        self.lines: list[str] = []
        self.stores: dict[Key, str] = {}
        self.totals: list[_Total] = []

    def write(self) -> Function:
        """Return the function."""
        for form in self.forms:
            self._add(form)
        axes = self._order()
        lines = self._loops(axes)
        head = [
            f"{'' if root in self.fills else 'const '}{type_name(root.dtype)} *restrict {name}"
            for root, name in self.pointers.items()
        ]
        head += [f"double {name}" for name in self.lives.values()]
        text = f"static void {self.function.name}({', '.join(head) or 'void'}) {{"
        self.function.text = "\n".join([text, *lines, "}"])
        self.function.arrays = [(root, self._begin(root)) for root in self.pointers]
        self.function.numbers = [*self.lives]
        self.function.cost = math.prod(self.shape) * len(self.forms)
        return self.function

    # What is done for each element

    def _add(self, form: Elementwise) -> None:
        pairs = zip(form.operands, form.kinds, strict=True)
        given = [self._operand(value, kind, form) for value, kind in pairs]
        text = form.text(given)
        for helper in form.helpers:
            if helper not in self.function.helpers:
                self.function.helpers.append(helper)
        out = form.out
        if form.reduces is not None:
            self._add_total(form, text)
            return
        name = self.names.fresh(self.wish(out))
        self.lines.append(f"const {type_name(out.dtype)} {name} = {text};")
        key = self._key(out, form.shape)
        self.values[key] = name, out.dtype
        if form.call.kind == "write" or key[0] in self.stored:
            self._pointer(key[0], key[1], fills=True)
            self.stores[key] = name

    def _operand(self, value: Any, kind: np.dtype[Any], form: Elementwise) -> str:
        """Return an argument, in the dtype in which it is taken, as a name or number."""
        if isinstance(value, Live):
            name = self._live(value)
            return name if kind == np.float64 else f"({type_name(kind)}){name}"
        if not isinstance(value, Var):
            return number(value, kind)
        if value.kind == "const" and is_uniform(value):
            return number(value.array.reshape(-1)[0].astype(kind), kind)
        key = self._key(value, form.shape)
        if key not in self.values:
            name = self.names.fresh(f"{self.wish(value)}_i")
            self._pointer(key[0], key[1])
            self.loads.append((key, name, value.dtype))
            self.values[key] = name, value.dtype
        name, dtype = self.values[key]
        if dtype == kind:
            return name
        return f"({name} != 0)" if kind.kind == "b" else f"({type_name(kind)}){name}"

    def _live(self, live: Live) -> str:
        if live.formula not in self.lives:
            stem = getattr(live.formula, "text", "factor")
            self.lives[live.formula] = self.names.fresh(stem)
        return self.lives[live.formula]

    def _key(self, var: Var, over: tuple[int, ...]) -> Key:
        place = self.places.find(var)
        assert place is not None
        return place.root, place.offset, spread(place, var.shape, over)

    def _begin(self, root: Var) -> int:
        """Return the element of an array from which on the function is given it.

        So parts of arrays that are used alike are given to one function.
        """
        offsets = self.offsets[root]
        return next(iter(offsets)) if len(offsets) == 1 else 0

    def _pointer(self, root: Var, offset: int, fills: bool = False) -> str:
        self.offsets.setdefault(root, set()).add(offset)
        if fills:
            self.fills.add(root)
        if root not in self.pointers:
            self.pointers[root] = self.names.fresh(self.wish(root))
        return self.pointers[root]

    def _add_total(self, form: Elementwise, text: str) -> None:
        out, place = form.out, self.places.find(form.out)
        assert place is not None
        kept_axes = [i for i in range(len(form.shape)) if i not in form.axes]
        strides = [s for s, n in zip(place.strides, out.shape, strict=True) if n != 1]
        kept_lengths = [form.shape[i] for i in kept_axes if form.shape[i] != 1]
        assert len(strides) == len(kept_lengths)
        remaining = iter(strides)
        kept = tuple(
            next(remaining) if i in kept_axes else 0 for i, n in enumerate(form.shape) if n != 1
        )
        self._pointer(place.root, place.offset, fills=True)
        total = _Total(form, self.names.fresh(f"{self.wish(out)}_total"), kept)
        total.value = self.names.fresh("term")
        self.lines.append(f"const {type_name(self._kind(form))} {total.value} = {text};")
        self.totals.append(total)

    @staticmethod
    def _kind(form: Elementwise) -> np.dtype[Any]:
        """Return the dtype of a total: sums of float32 are added up as float64."""
        rounds = form.dtype.kind == "f" and form.reduces not in (np.maximum, np.minimum)
        return np.dtype(np.float64) if rounds else form.dtype

    # The loops around it

    def _order(self) -> list[list[int]]:
        """Return the axes from the outermost to the innermost, those that are one loop together."""
        all_strides = [key[2] for key, _, _ in self.loads] + [key[2] for key in self.stores]
        all_strides += [total.kept for total in self.totals]
        axes = sorted(
            range(len(self.shape)),
            key=lambda i: (-sum(abs(s[i]) for s in all_strides), i),
        )
        merged: list[list[int]] = []
        for axis in axes:
            n = self.shape[axis]
            if merged and all(s[merged[-1][-1]] == n * s[axis] for s in all_strides):
                merged[-1].append(axis)
            else:
                merged.append([axis])
        return merged

    def _loops(self, axes: Sequence[list[int]]) -> list[str]:
        lengths = [math.prod(self.shape[i] for i in group) for group in axes]
        depth = len(axes)
        inner = [group[-1] for group in axes]  # the axis that tells the stride of each loop

        def index(strides: tuple[int, ...], offset: int = 0) -> str:
            parts = [
                f"i{d}" if strides[a] == 1 else f"i{d} * {strides[a]}"
                for d, a in enumerate(inner)
                if strides[a]
            ]
            if offset or not parts:
                parts.append(str(offset))
            return " + ".join(parts).replace("+ -", "- ")

        def element(root: Var, offset: int, strides: tuple[int, ...]) -> str:
            return f"{self.pointers[root]}[{index(strides, offset - self._begin(root))}]"

        counter = False
        before: list[str] = []
        after: list[str] = []
        opening: dict[int, list[str]] = {d: [] for d in range(depth + 1)}
        closing: dict[int, list[str]] = {d: [] for d in range(depth + 1)}
        innermost: list[_Total] = []
        body_end: list[str] = []
        for total in self.totals:
            form, kind = total.form, type_name(self._kind(total.form))
            start = start_of(form.reduces, form.dtype)
            first = depth
            while first and not total.kept[inner[first - 1]]:
                first -= 1
            suffix = not any(
                not total.kept[a] and lengths[d] > 1 for d, a in enumerate(inner[:first])
            )
            place = self.places.find(form.out)
            assert place is not None
            there = element(place.root, place.offset, total.kept)
            if suffix:
                total.depth = first
                opening[first].append(f"{kind} {total.name} = {start};")
                update = combine(form.reduces, total.name, total.value, self._kind(form))
                body_end.append(f"{total.name} = {update};")
                done = self._finished(form, total.name)
                closing[first].append(f"{there} = {done};")
                if first < depth:
                    innermost.append(total)
                continue
            # the loop comes back to each total: they stand aside, one behind the other, or, where
            # these are too many, in the output
            kept = [d for d, a in enumerate(inner) if total.kept[a]]
            count = math.prod(lengths[d] for d in kept)
            if count <= ON_STACK:
                steps = dict(zip(kept, in_order(tuple(lengths[d] for d in kept)), strict=True))
                where = " + ".join(f"i{d}" if s == 1 else f"i{d} * {s}" for d, s in steps.items())
                here, counter = f"{total.name}[{where or 0}]", True
                before.append(f"{kind} {total.name}[{count}];")
                before.append(f"for (i = 0; i < {count}; i++) {total.name}[i] = {start};")
            else:
                here = there
                before += _nest([f"{there} = {start};"], kept, lengths)
            update = combine(form.reduces, here, total.value, self._kind(form))
            body_end.append(f"{here} = {update};")
            if here != there or form.divisor != 1:
                after += _nest([f"{there} = {self._finished(form, here)};"], kept, lengths)
        body = []
        for key, name, dtype in self.loads:
            load = f"const {type_name(dtype)} {name} = {element(*key)};"
            first = max((d + 1 for d, a in enumerate(inner) if key[2][a]), default=0)
            if first < depth and key[0] not in self.fills:
                opening[first].append(load)  # once, before the loops in which it stays what it is
            else:
                body.append(load)
        body += self.lines
        body += [f"{element(*key)} = {name};" for key, name in self.stores.items()]
        body += body_end
        text = [*opening[depth], *body, *closing[depth]]
        for d in range(depth - 1, -1, -1):
            if d < depth - 1:
                text = _nest(text, [d], lengths)
            elif innermost:
                text = self._sums(d, lengths[d], text, innermost)
            else:
                apart = all(total.kept[inner[d]] for total in self.totals)
                text = _nest(text, [d], lengths)
                text = ["TOGETHER", *text] if apart and lengths[d] > 3 else text
            text = [*opening[d], *text, *closing[d]]
        counters = [f"i{d}" for d in range(depth)]
        if counter:
            counters.insert(0, "i")
        if any("for (first = " in line for line in text):
            counters.append("first")
        declared = [f"ptrdiff_t {', '.join(counters)};"] if counters else []
        return ["    " + line for line in (*declared, *before, *text, *after)]

    def _finished(self, form: Elementwise, total: str) -> str:
        if form.divisor != 1:
            total = f"{total} / {number(float(form.divisor), np.dtype(np.float64))}"
        return total if self._kind(form) == form.dtype else f"(float)({total})"

    def _sums(self, d: int, n: int, body: list[str], totals: list[_Total]) -> list[str]:
        """Return a loop around a body; sums at its end are put together in any order."""
        inside = ["    " + line for line in body]
        sums = [t for t in totals if t.form.reduces is np.add and t.form.dtype.kind == "f"]
        self.function.wide = n >= LONG and not any(kind == np.float32 for _, _, kind in self.loads)
        if len(sums) < len(totals) or not sums:
            return [f"for (i{d} = 0; i{d} < {n}; i{d}++) {{", *inside, "}"]
        if n <= 2 * BLOCK:
            pragma = f"SUMS({', '.join(t.name for t in sums)})"
            return [pragma, f"for (i{d} = 0; i{d} < {n}; i{d}++) {{", *inside, "}"]
        parts = {t.name: f"{t.name}_part" for t in sums}
        for name, part in parts.items():
            inside = [line.replace(f"{name} = {name} +", f"{part} = {part} +") for line in inside]
        return [
            f"for (first = 0; first < {n}; first += {BLOCK}) {{",
            f"    const ptrdiff_t end = first + {BLOCK} < {n} ? first + {BLOCK} : {n};",
            *(f"    double {part} = 0;" for part in parts.values()),
            f"    SUMS({', '.join(parts.values())})",
            f"    for (i{d} = first; i{d} < end; i{d}++) {{",
            *("    " + line for line in inside),
            "    }",
            *(f"    {name} += {part};" for name, part in parts.items()),
            "}",
        ]


def _nest(lines: list[str], loops: Sequence[int], lengths: Sequence[int]) -> list[str]:
    """Return lines inside some of the loops."""
    for d in reversed(loops):
        inside = ("    " + line for line in lines)
        lines = [f"for (i{d} = 0; i{d} < {lengths[d]}; i{d}++) {{", *inside, "}"]
    return lines


def is_placed(form: Elementwise, places: Places) -> bool:
    """Tell whether it is known where all arrays of a call lie."""
    values = [v for v in (*form.operands, form.out) if isinstance(v, Var)]
    if any(places.find(v) is None and not (v.kind == "const" and is_uniform(v)) for v in values):
        return False
    return len(without_ones(form.shape)) <= 8
