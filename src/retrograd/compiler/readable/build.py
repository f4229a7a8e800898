"""From a program to its readable form."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from retrograd.compiler.ir import Flow, Names, Program, Var, root
from retrograd.compiler.names import Taken, wish
from retrograd.compiler.passes import simplify
from retrograd.compiler.readable.buckets import split_buckets
from retrograd.compiler.readable.form import Parameter, Readable, Row
from retrograd.compiler.readable.helpers import Helpers
from retrograd.compiler.readable.items import Item, itemise, weight
from retrograd.compiler.readable.loops import roll
from retrograd.compiler.readable.phrases import Ref, is_of_one_value, map_expression, refs
from retrograd.compiler.readable.sizes import Sized, find_constants, find_sizes, full
from retrograd.compiler.readable.text import ReadableWriter
from retrograd.compiler.readable.tidy import tidy
from retrograd.compiler.readable.turns import Loop
from retrograd.compiler.statements import (
    Expression,
    Index,
    Invoke,
    Literal,
    Name,
    NumPy,
    Operation,
    Tuple,
    numpy,
)
from retrograd.compiler.writer import literal
from retrograd.engine import Array

SMALL = 12  # elements: constants of up to so many stand in the text
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
    plain, example = ready.plain, ready.example

    def again(leaves: list[Any]) -> Program:
        return record(ready, leaves)

    if ready.checks_left:  # nobody knows yet which arrays never change
        with contextlib.suppress(Exception), np.errstate(all="ignore"):
            same = again(example.make([part.shape for part in example.arrays()]))
            plain = simplify(plain, find_constants(plain, same))
    sized = find_sizes(plain, example, again)
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
        self.counts = _counts(self.program)
        self.lives = _lives(self.program, self.counts)
        self.counted = counted = any(
            name in self.counts for i in self.items for name in _live_names(i.value)
        )
        self.taken = Taken([*self.lives.values(), *(["t"] if counted else [])])
        self.variable = self.taken.fresh("i" if counted else "t")
        self.helpers = Helpers(self.taken)
        self.writer = ReadableWriter(self.name_of, self.helpers.name)
        self.writer.formulas = {v: number_of(e) for v, (e, one) in sized.formulas.items() if one}
        self.wishes = self._wishes()
        buckets = [bucket for _, bucket in self.program.updates]
        self.states = {id(root(a)) for bucket in buckets for a in bucket.state.values()}

    def build(self) -> Readable:
        """Return the readable form."""
        for v in self.program.args:
            self.name_of(v)
        items = self._with_numbers(self.items)
        self._find_captured(items)
        nodes = roll(items, self.program)
        nodes = self._with_constants(nodes)
        rows = self._rows(nodes)
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

    def same_name(self, variables: Iterable[Var]) -> None:
        """Give Vars one name."""
        first, *others = variables
        name = self.name_of(first)
        for v in others:
            self.names[v] = name

    # Numbers that are read anew

    def _with_numbers(self, items: Sequence[Item]) -> list[Item]:
        """Return the items with formulas of the readings, longer ones in lines of their own."""
        at = next((i for i, it in enumerate(items) if _live_names(it.value)), None)
        if at is None:
            return [*items]
        while at and items[at - 1].call.section == items[at].call.section:
            at -= 1
        made: dict[Expression, tuple[Var, Item]] = {}
        here = items[at].call

        def change(e: Expression) -> Expression | None:
            if isinstance(e, Operation) and _is_count(e):
                count = self.counts.get(e.left.text)  # type: ignore[attr-defined]
                if count is not None:
                    return _plus(Name("t"), e.right.value - 1)  # type: ignore[attr-defined]
            if isinstance(e, Name) and e.text in self.lives:
                return Name(self.lives[e.text])
            return None

        def hoist(e: Expression) -> Expression | None:
            names = _live_names(e)
            if not names or refs(e) or weight(e) < 4:
                return None
            if e not in made:
                stem = "rate" if any(n.startswith("lr") for n in names) else "factor"
                var = Var("number", np.empty(()), stem=stem)
                made[e] = var, Item((var,), map_expression(change, e), here)
            return Ref(made[e][0])

        changed = []
        for item in items:
            value = map_expression(hoist, item.value)
            item.value = map_expression(change, value)
            changed.append(item)
        return [*changed[:at], *(item for _, item in made.values()), *changed[at:]]

    # Constants

    def _with_constants(self, nodes: list[Item | Loop]) -> list[Item | Loop]:
        """Return the nodes with constants written out: where they are used, or before."""
        uses: Counter[Var] = Counter()
        inside: set[Var] = set()
        first: dict[Var, int] = {}
        for i, node in enumerate(nodes):
            for value in _values(node):
                for part in value.parts():
                    if isinstance(part, Ref) and part.var.kind == "const":
                        uses[part.var] += 1
                        first.setdefault(part.var, i)
                        if isinstance(node, Loop):
                            inside.add(part.var)
        written: dict[Var, Expression] = {}
        before: dict[int, list[Item]] = {}
        for var, count in uses.items():
            constant = self._constant(var)
            if constant is None:
                continue
            if count == 1 and var not in inside:
                written[var] = constant
            else:
                line = _items(nodes[first[var]])[0]
                self.wishes.wishes.setdefault(var, _stem(constant))
                before.setdefault(first[var], []).append(Item((var,), constant, line.call))

        def put_in(e: Expression) -> Expression | None:
            return written.get(e.var) if isinstance(e, Ref) else None

        found: list[Item | Loop] = []
        for i, node in enumerate(nodes):
            found += before.get(i, [])
            for item in _items(node):
                item.value = map_expression(put_in, item.value)
            if isinstance(node, Loop):
                node.before = [(v, map_expression(put_in, e)) for v, e in node.before]
            found.append(node)
        return found

    def _constant(self, var: Var) -> Expression | None:
        """Return how a constant is written out, None if it is passed instead."""
        if var in self.sized.formulas:
            return self.sized.formulas[var][0]
        a = var.array
        if not var.ndim:
            return numpy("array", a.item(), dtype=a.dtype) if a.dtype.kind in "fiub" else None
        if a.dtype.kind in "fiub" and is_of_one_value(var):
            return full(var.shape, a.reshape(-1)[0].item(), a.dtype)
        if a.dtype.kind in "iu" and var.ndim == 1 and np.array_equal(a, np.arange(a.size)):
            options = {} if a.dtype == np.arange(1).dtype else {"dtype": a.dtype}
            return numpy("arange", a.size, **options)
        if a.dtype.kind in "fiub" and (found := _repeated(a)):
            return found
        if a.size <= SMALL and a.dtype.kind in "fiub":
            return numpy("array", a.tolist(), dtype=a.dtype)
        return None

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
        return [
            Parameter(self.name_of(v), "argument", None, v.shape, v.dtype, v)
            for v in self.program.args
        ]

    def _others(self) -> list[Parameter]:
        found = []
        for v in self.outside:
            value = v.array if v.tensor is None or v.kind == "captured" else v.tensor.grad
            role = "state" if id(root(v.array)) in self.states else "array"
            found.append(Parameter(self.names[v], role, value, v.shape, v.dtype, v))
        for v, name in self.names.items():
            if v.kind == "const" and v not in self.assigned:
                found.append(Parameter(name, "constant", v.array, v.shape, v.dtype, v))
        seen = set()
        for reading in self.program.lives:
            name = self.lives[reading.name]
            if name in seen or name not in self.used:
                continue
            seen.add(name)
            if reading.name in self.counts:
                now = np.array(reading.value())
                found.append(Parameter(name, "count", now, now.shape, now.dtype))
            else:
                found.append(Parameter(name, "number", reading.value()))
        return [*found, *self.helpers.parameters()]

    # Rows

    def _rows(self, nodes: Sequence[Item | Loop]) -> list[Row]:
        rows: list[Row] = []
        self.assigned: set[Var] = set()
        self.used = {name for node in nodes for e in _values(node) for name in _live_names(e)}
        for node in nodes:
            if isinstance(node, Loop):
                rows += self._loop(node)
            else:
                rows.append(self._row(node))
        if self.counted:
            rows = self._with_count(rows)
        return rows

    def _row(self, item: Item, depth: int = 1, times: int = 1) -> Row:
        text = self._statement(item)
        self.assigned |= {*item.targets} if item.place is None else set()
        v = item.targets[0]
        live = _names(item.value)
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
        write = self.writer.expression
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
            name, read = self.name_of(var), [self.name_of(v) for v in refs(start)]
            text = self.writer.expression(start)
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
        for item in loop.body:
            rows.append(self._row(item, 2, loop.count))
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
                slot = _common_end(names)
                var.stem = _SLOTS.get(slot, slot or "state")
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

    def _with_count(self, rows: list[Row]) -> list[Row]:
        """Return the rows with what counts the updates."""
        name = next(iter(self.counts.values()))[0]
        n = next(iter(self.counts.values()))[1]
        at = next(i for i, row in enumerate(rows) if row.section == "update")
        section, origin = rows[at].section, rows[at].origin
        while at and rows[at - 1].section == section:
            at -= 1
        self.used.add(name)
        one = Row(f"{name} += {n}", section, (name,), (name,), (), None, origin)
        less = f" - {n - 1}" if n > 1 else ""
        two = Row(f"t = int({name}){less}", section, ("t",), (name,), (), None, origin)
        return [*rows[:at], one, two, *rows[at:]]

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


def _stem(value: Expression) -> str:
    function = value.function if isinstance(value, Invoke) else None
    name = function.name if isinstance(function, NumPy) else "constant"
    return name if name in ("zeros", "ones") else "constant"


def number_of(e: Expression) -> Expression:
    """Return the number of which an array is made: 1 for `np.ones(shape)`."""
    assert isinstance(e, Invoke)
    assert isinstance(e.function, NumPy)
    known: dict[str, Expression] = {"zeros": Literal(0.0), "ones": Literal(1.0)}
    return known.get(e.function.name) or e.args[1]


def _repeated(a: Array) -> Expression | None:
    """Return a column of a few values, each many times, as a repetition."""
    if a.size < SMALL or max(a.shape) != a.size:
        return None
    flat = a.reshape(-1)
    starts = np.flatnonzero(np.r_[True, flat[1:] != flat[:-1]])
    each = int(np.gcd.reduce(np.diff(np.r_[starts, a.size])))
    values = flat[::each]
    if len(values) > 8 or each == 1:
        return None
    some: Any = values.tolist()
    if a.dtype != np.array(some).dtype:
        some = numpy("array", some, dtype=a.dtype)
    whole: Expression = numpy("repeat", some, each)
    if a.ndim > 1:
        index = tuple(Literal(slice(None)) if n == a.size else Literal(None) for n in a.shape)
        whole = Index(whole, Tuple(index))
    return whole


def _live_names(e: Expression) -> list[str]:
    return [part.text for part in e.parts() if isinstance(part, Name)]


def _names(e: Expression) -> set[str]:
    return {part.text for part in e.parts() if isinstance(part, Name)}


def _read(item: Item) -> list[Var]:
    """Return what stands under a name in a statement."""
    inside = [*item.value.parts(), *(item.place.parts() if item.place is not None else ())]
    return [part.var for part in inside if isinstance(part, Ref)]


def _is_count(e: Operation) -> bool:
    return (
        e.symbol == "+"
        and isinstance(e.left, Name)
        and isinstance(e.right, Literal)
        and type(e.right.value) is int
    )


def _plus(e: Expression, n: int) -> Expression:
    return Operation("+", e, Literal(n)) if n else e


def _counts(program: Program) -> dict[str, tuple[str, int]]:
    """Return for each reading that counts updates the name of its count, and how much it grows.

    Counts that are equal are one: they grow alike.
    """
    advances = program.advances()
    counts = [r for r in program.lives if r.stem == "updates"]
    known: dict[tuple[int, int], str] = {}
    found = {}
    for reading in counts:
        key = reading.value(), advances[reading.name]
        found[reading.name] = known.setdefault(key, reading.name), advances[reading.name]
    return found if len(known) == 1 else {}


def _lives(program: Program, counts: dict[str, tuple[str, int]]) -> dict[str, str]:
    return {r.name: counts[r.name][0] if r.name in counts else r.name for r in program.lives}


def _items(node: Item | Loop) -> list[Item]:
    return node.body if isinstance(node, Loop) else [node]


def _values(node: Item | Loop) -> list[Expression]:
    values = [item.value for item in _items(node)]
    return values + (node.expressions() if isinstance(node, Loop) else [])
