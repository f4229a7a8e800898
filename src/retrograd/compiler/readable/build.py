"""From a program to its readable form."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from retrograd.compiler.ir import Flow, Names, Program, Var, root
from retrograd.compiler.names import Taken, wish
from retrograd.compiler.passes import simplify
from retrograd.compiler.readable.buckets import split_buckets
from retrograd.compiler.readable.constants import number_of, write_constants
from retrograd.compiler.readable.form import Parameter, Readable, Row
from retrograd.compiler.readable.helpers import Helpers
from retrograd.compiler.readable.items import Item, itemise
from retrograd.compiler.readable.loops import roll
from retrograd.compiler.readable.numbers import Numbers, live_names
from retrograd.compiler.readable.phrases import Ref
from retrograd.compiler.readable.sizes import Sized, find_constants, find_sizes
from retrograd.compiler.readable.text import ReadableWriter
from retrograd.compiler.readable.tidy import tidy
from retrograd.compiler.readable.turns import Loop
from retrograd.compiler.writer import literal

# what to call what nobody has named, by the function that makes it
_NOUNS = {
    "matmul": "product", "add": "total", "subtract": "difference", "multiply": "scaled",
    "divide": "ratio", "negative": "minus", "power": "power", "square": "squared",
    "sqrt": "root", "max": "largest", "min": "smallest", "sum": "total", "where": "chosen",
    "greater": "mask", "less": "mask", "greater_equal": "mask", "less_equal": "mask",
    "not_equal": "mask", "equal": "mask", "getitem": "part", "reshape": "reshaped",
    "transpose": "turned", "swapaxes": "turned", "concat": "joined", "maximum": "larger",
    "minimum": "smaller", "columns": "windows", "class_hits": "hits", "rows": "found",
    "put_taken": "spread", "contract": "product", "astype": "cast", "absolute": "size",
    "put": "spread",
}  # fmt: skip


def build(sized: Sized, name: str, fixed: str = "") -> Readable:
    """Return the readable form of a program.

    Args:
        sized: the program without buffers, and what its sizes depend on.
        name: what its function is called.
        fixed: what to say where it takes arrays of one size only.
    """
    return _Building(sized, name, fixed).build()


def make_readable(ready: Any, name: str, record: Callable[[Any, list[Any]], Program]) -> Readable:
    """Return the readable form of a program that is ready to run.

    Args:
        ready: the program.
        name: what its function is called.
        record: records the function for other arguments, and returns a program without buffers.
    """
    plain, sample = ready.plain, ready.sample

    def again(leaves: list[Any]) -> Program:
        return record(ready, leaves)

    if ready.checks_left:  # nobody knows yet which arrays never change
        with contextlib.suppress(Exception), np.errstate(all="ignore"):
            same = again(sample.make([part.shape for part in sample.arrays()]))
            plain = simplify(plain, find_constants(plain, same))
    sized = find_sizes(plain, sample, again)
    return build(sized or Sized(plain), name, "for arrays of these shapes")


class _Building:
    """Names and rows in the making."""

    def __init__(self, sized: Sized, name: str, fixed: str) -> None:
        self.name = name
        self.sized = sized
        self.fixed = fixed
        self.program: Program = split_buckets(tidy(sized.program))
        self.items = itemise(self.program)
        self.flow = Flow(self.program.calls)
        self.names: dict[Var, str] = {}
        self.groups: dict[Var, tuple[Var, ...]] = {}  # what a loop goes through
        self.numbers = Numbers(self.program, self.items)
        self.taken = Taken(self.numbers.names())
        self.variable = self.taken.fresh("i" if self.numbers.counts else "t")
        self.helpers = Helpers(self.taken)
        self.wishes = self._wishes()
        buckets = [bucket for _, bucket in self.program.updates]
        self.states = {id(root(a)) for bucket in buckets for a in bucket.state.values()}

    def build(self) -> Readable:
        """Return the readable form."""
        for v in self.program.args:
            self.name_of(v)
        items = self.numbers.write(self.items)
        self._find_captured(items)
        nodes = roll(items, self.program)
        nodes = write_constants(nodes, self.sized.formulas, self.wishes.wishes)
        rows = self.numbers.count(self._rows(nodes))
        returns = self._returns()
        rows = self._with_size(rows, returns)
        helpers = self.helpers.sources()
        parameters = (*self._arguments(), *self._others())
        return Readable(self.name, parameters, tuple(rows), returns, helpers, self._note())

    # Names

    def _wishes(self) -> Names:
        wishes = {**self.program.names.wishes}
        arrays = [v for v in self.program.results if isinstance(v, Var)]
        trains = any(call.section != "forward" for call in self.program.calls)
        if trains and len(arrays) == 1 and not arrays[0].ndim:
            wishes.setdefault(arrays[0], "loss")
        return Names(wishes, self.program.names.gradient_of)

    def name_of(self, var: Var) -> str:
        """Return the name of a Var."""
        if var not in self.names:
            wished = wish(var, self.wishes, self.flow)
            made = self.flow.makers.get(var)
            plain = made is not None and made.kind == "call" and not self.wishes.wishes.get(var)
            if plain and var not in self.wishes.gradient_of:
                wished = _NOUNS.get(wished, wished)
            self.names[var] = self.taken.fresh(wished)
        return self.names[var]

    def writer(self) -> ReadableWriter:
        """Return what writes expressions with these names; it refers to this, and is not kept."""
        writer = ReadableWriter(self.name_of, self.helpers.name)
        formulas = self.sized.formulas.items()
        writer.formulas = {v: number_of(e) for v, (e, one) in formulas if one}
        return writer

    def same_name(self, variables: Iterable[Var]) -> None:
        """Give Vars one name."""
        first, *others = variables
        name = self.name_of(first)
        for v in others:
            self.names[v] = name

    # Parameters

    def _find_captured(self, items: Sequence[Item]) -> None:
        """Name what comes from outside, in the order in which it is met."""
        self.outside: dict[Var, None] = {}
        for v in self.program.starts:
            self.outside[v] = None
        for item in items:
            for v in [*item.reads(), *item.targets]:
                if v.kind == "captured":
                    self.outside[v] = None
        for v in self.program.wanted():
            if v.kind == "captured":
                self.outside[v] = None
        for v in self.outside:
            self.name_of(v)

    def _arguments(self) -> list[Parameter]:
        found = []
        for i, v in enumerate(self.program.args):
            sizes = tuple(self._length(i, axis, n) for axis, n in enumerate(v.shape))
            name = self.name_of(v)
            found.append(Parameter(name, "argument", _nothing, v.shape, v.dtype, v, sizes))
        return found

    def _length(self, argument: int, axis: int, n: int) -> str:
        """Return the length of an axis of an argument as text."""
        factor = self.sized.growth.get((argument, axis))
        if factor is None or self.sized.size is None:
            return str(n)
        name = self.name_of(self.sized.size)
        return name if factor == 1 else f"{factor} * {name}"

    def _others(self) -> list[Parameter]:
        found = []
        for v in self.outside:
            role = "state" if id(root(v.array)) in self.states else "array"
            read = functools.partial(_read_array, v)
            found.append(Parameter(self.names[v], role, read, v.shape, v.dtype, v))
        for v, name in self.names.items():
            if v.kind == "const" and v not in self.assigned:
                read = functools.partial(_read_array, v)
                found.append(Parameter(name, "constant", read, v.shape, v.dtype, v))
        found += self.numbers.parameters()
        return [*found, *self.helpers.parameters()]

    # Rows

    def _rows(self, nodes: Sequence[Item | Loop]) -> list[Row]:
        rows: list[Row] = []
        self.assigned: set[Var] = set()
        for node in nodes:
            if isinstance(node, Loop):
                rows += self._loop(node)
            else:
                rows.append(self._row(node))
        return rows

    def _row(self, item: Item, depth: int = 1, times: int = 1) -> Row:
        text = self._statement(item)
        self.assigned |= {*item.targets} if item.place is None else set()
        v = item.targets[0]
        live = {*live_names(item.value)}
        inputs = dict.fromkeys([*(self.name_of(r) for r in _read(item)), *sorted(live)])
        is_array = v.kind not in ("number", "kept")
        return Row(
            text, item.call.section, tuple(self.name_of(t) for t in item.targets), tuple(inputs),
            v.shape if v.kind != "kept" else None, v.dtype if is_array else None, item.call.origin,
            depth, times, self._written(item),
        )  # fmt: skip

    def _written(self, item: Item) -> tuple[str, ...]:
        """Return the names of the arrays that a statement changes in place."""
        if item.place is None:
            return ()
        found = []
        for v in item.targets:
            of = self.flow.viewed(self.groups.get(v, (v,))[0])
            found += [self.name_of(w) for w in self.groups.get(v, (of,))]
        return tuple(found)

    def _statement(self, item: Item) -> str:
        write = self.writer().expression
        if item.place is not None:
            place = write(item.place)
            if item.symbol:
                return f"{place} {item.symbol}= {write(item.value)}"
            return f"{place}[...] = {write(item.value)}"
        value = write(item.value)
        return f"{', '.join(self.name_of(v) for v in item.targets)} = {value}"

    def _loop(self, loop: Loop) -> list[Row]:
        """Return the rows of a loop."""
        section, origin = loop.call.section, loop.call.origin
        if loop.variable is not None:
            self.names[loop.variable] = self.variable
        for group in loop.same:
            self.same_name([group[-1], *group[:-1]])
        rows = []

        def add(text: str, targets: tuple[str, ...], inputs: Iterable[str], like: Var | None,
                depth: int = 1, times: int = 1) -> None:  # fmt: skip
            shape, dtype = (None, None) if like is None else (like.shape, like.dtype)
            rows.append(
                Row(text, section, targets, tuple(inputs), shape, dtype, origin, depth, times)
            )

        for var, start in loop.before:
            named = [part.var for part in start.parts() if isinstance(part, Ref)]
            name, read = self.name_of(var), [self.name_of(v) for v in named]
            text = self.writer().expression(start)
            if text != name:
                add(f"{name} = {text}", (name,), read, None if var.kind == "kept" else var)
                self.assigned.add(var)
        for var, collected in loop.lists.items():
            collected.stem = f"all_{self.name_of(var)}"
            name = self.name_of(collected)
            first = self.name_of(var) if var in loop.from_start else ""
            add(f"{name} = [{first}]", (name,), [first] if first else [], None)
            self.assigned.add(collected)
        self._name_each(loop)
        for row in self._head(loop):
            add(*row, None, 1, loop.count)
        differ = any(len({v.shape for v in group}) > 1 for group in loop.each)
        for item in loop.body:
            line = self._row(item, 2, loop.count)
            rows.append(replace(line, shape=None) if differ else line)
            for v in item.targets:
                if v in loop.lists:
                    name, made = self.name_of(loop.lists[v]), self.name_of(v)
                    add(f"{name}.append({made})", (name,), (name, made), v, 2, loop.count)
        return rows

    def _name_each(self, loop: Loop) -> None:
        """Name what stands for one parameter after the other, as textbooks do."""
        for group, var in loop.each.items():
            self.groups[var] = group
            names = [self.name_of(v) for v in group]
            first = group[0]
            if first.kind == "captured" and id(root(first.array)) not in self.states:
                var.stem = "w"
            elif first.kind == "captured":
                var.stem = _SLOTS.get(first.stem, first.stem)
            else:
                var.stem = "dw" if all(n.startswith("d_") for n in names) else _common_end(names)
            self.name_of(var)
            self.assigned.add(var)

    def _head(self, loop: Loop) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
        """Return the text, the targets and the inputs of each line of a `for`."""
        variable = loop.variable
        if loop.each:
            columns = [[self.name_of(v) for v in group] for group in loop.each]
            targets = tuple(self.name_of(v) for v in loop.each.values())
            rows = [*zip(*columns, strict=True)]
            if len(targets) == 1:
                lines = [f"    {row[0]}," for row in rows]
            else:
                lines = [f"    ({', '.join(row)})," for row in rows]
            names = ", ".join(targets)
            head, end = f"for {names} in (", "):"
            if variable is not None:
                t = self.name_of(variable)
                self.assigned.add(variable)
                inside = f"({names})" if len(targets) > 1 else names
                head, end = f"for {t}, {inside} in enumerate((", ")):"
                targets = (t, *targets)
            found = [(head, targets, ())]
            found += [(line, (), row) for line, row in zip(lines, rows, strict=True)]
            return [*found, (end, (), ())]
        name = "_" if variable is None else self.name_of(variable)
        if variable is not None:
            self.assigned.add(variable)
        n, turn = loop.count, loop.counter
        if turn.by == 1:
            start = f"{turn.first}, " if turn.first else ""
            text = f"range({start}{turn.first + n})"
        else:
            low = turn.first - n + 1
            start = f"{low}, " if low else ""
            text = f"reversed(range({start}{turn.first + 1}))"
        return [(f"for {name} in {text}:", (name,) if variable is not None else (), ())]

    def _with_size(self, rows: list[Row], returns: str) -> list[Row]:
        """Return the rows with one that measures the batch, if any row asks for that."""
        size = self.sized.size
        if size is None or size not in self.names or self.sized.source is None:
            return rows
        v, axis = self.sized.source
        x = self.name_of(v)
        text = f"len({x})" if axis == 0 else f"{x}.shape[{axis}]"
        first = rows[0]
        n = self.names[size]
        return [Row(f"{n} = {text}", first.section, (n,), (x,), (), None, first.origin), *rows]

    def _returns(self) -> str:
        """Return the text of what is returned."""
        program = self.program
        written = Flow(program.calls).writes(program.calls)
        values: list[Any] = []
        for v in program.results:
            if isinstance(v, Var):
                memory = self.flow.memory(v)
                own = self.flow.viewed(v).kind == "made" and memory not in written
                values.append(_Text(self.name_of(v) + ("" if own else ".copy()")))
            else:
                values.append(_Text(literal(v) if _is_plain(v) else "None"))
        result = program.structure.unflatten(values)
        text = _tree_text(result)
        if any(call.kind == "write" for call in program.calls):
            return text
        grads = [self.name_of(g) for _, g in program.grads if g is not None]
        return ", ".join([text, *grads]) if text != "None" or grads else ""

    def _note(self) -> str:
        return self.fixed if self.sized.size is None else ""


# what textbooks call the state of optimizers
_SLOTS = {"exp_avg": "m", "exp_avg_sq": "v", "momentum_buffer": "velocity", "square_avg": "s"}


def _common_end(names: Sequence[str]) -> str:
    """Return the words with which all names end."""
    words = [name.split("_")[::-1] for name in names]
    same = []
    for column in zip(*words, strict=False):
        if len({*column}) > 1:
            break
        same.append(column[0])
    return "_".join(same[::-1])


class _Text:
    """Text in the place of a value."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _tree_text(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(k)}: {_tree_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, tuple):
        parts = [_tree_text(v) for v in value]
        return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"
    if isinstance(value, list):
        return f"[{', '.join(_tree_text(v) for v in value)}]"
    return repr(value)


def _is_plain(value: Any) -> bool:
    return isinstance(value, (int, float, str, bool, type(None), np.generic))


def _nothing() -> None:
    """Return nothing: an argument has no value before a call."""


def _read_array(v: Var) -> Any:
    """Return an array from outside as it is now, a gradient from before as a leaf has it."""
    return v.tensor.grad if v.kind == "grad" and v.tensor is not None else v.array


def _read(item: Item) -> list[Var]:
    """Return what stands under a name in a statement."""
    inside = [*item.value.parts(), *(item.place.parts() if item.place is not None else ())]
    return [part.var for part in inside if isinstance(part, Ref)]
