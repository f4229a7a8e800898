"""From calls to code of which C does what it can: NumPy does the rest, between its parts."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from retrograd.compiler.assembly import Assembly, Code, Step, assemble_by
from retrograd.compiler.buffers import find_joined
from retrograd.compiler.c.checks import find_wrong
from retrograd.compiler.c.choices import find_sum
from retrograd.compiler.c.code import Function
from retrograd.compiler.c.forms import Elementwise, Form, Join, Product, Put
from retrograd.compiler.c.groups import Group, Grouping
from retrograd.compiler.c.joins import write_join, write_put
from retrograd.compiler.c.kernels import Kernel, write_kernel
from retrograd.compiler.c.loops import LoopWriter, is_placed
from retrograd.compiler.c.matches import find_form
from retrograd.compiler.c.places import MOVING, Places, in_order, is_uniform
from retrograd.compiler.c.products import find_layout, is_small, write_product
from retrograd.compiler.c.unit import Part, Unit
from retrograd.compiler.ir import Call, Flow, Program, Var
from retrograd.compiler.statements import (
    Assign,
    Compute,
    Expression,
    Index,
    Literal,
    Name,
    Tuple,
)
from retrograd.rules.products import contract

FEW = 12  # values: more are put into a list as a slice


def assemble_in_c(program: Program, halved_at: int = 0) -> Code:
    """Return the code of a program of which C does what it can.

    Args:
        program: the program.
        halved_at: how many of the arguments its first half takes; 0 where it has no halves.
    """
    assembly = CAssembly(program, late=find_late(program, halved_at))
    code = assemble_by(assembly, program)
    assembly.gather_parts()
    return code


class CAssembly(Assembly):
    """Code in the making, where calls that have a form in C become parts of one C source.

    Args:
        program: the program.
        alone: whether there will be no NumPy; then C does all it can, also what NumPy does faster.
        late: the calls of the second half.
    """

    def __init__(self, program: Program, alone: bool = False, late: Collection[Call] = ()) -> None:
        self._late = late
        self._written = program.written_outside(Flow(program.calls))
        order = sorted(program.calls, key=lambda call: call in late) if late else program.calls
        self._all = Flow(program.calls)
        placed = find_joined(program.calls, self._all)
        self.places = Places(self._all, placed)
        self.is_alone = alone
        groups = Grouping(order, self._all, self.places, self._form_of, late).groups
        self.groups = groups
        self._stored = self._find_stored(groups, program.wanted(), placed)
        calls = [*self._arrange(groups, program)]
        super().__init__(program, calls, placed)
        self._functions_of: dict[int, list[Function]] = {}  # by the step
        self._checks: list[Kernel] = []
        self._texts: dict[str, str] = {}  # the names of functions

    def _form_of(self, call: Call) -> Form | None:
        form = find_form(call, self.is_alone)
        if isinstance(form, Elementwise):
            return form if is_placed(form, self.places) else None
        if isinstance(form, Product):
            layout = find_layout(form, self.places)
            if layout is None and call.fn is contract:
                form = find_sum(call)
            # NumPy's sums by subscripts are loops too, unless they are put in a better order
            loops = call.fn is contract and not call.kwargs.get("optimize")
            small = layout is not None and is_small(layout, call.outs[0].dtype)
            if isinstance(form, Product) and not (layout and (self.is_alone or loops or small)):
                return None
        if isinstance(form, Kernel):
            if not all(self.places.find(v) is not None for v in (*call.vars(), *call.outs)):
                return None
            memory = self._all.memory
            written = memory(call.outs[0]) if call.kind == "write" else None
            # what a write reads of its own target it would have to read before
            return None if written in map(memory, call.vars()[1:]) else form
        if isinstance(form, (Join, Put)):
            values = [*(form.parts if isinstance(form, Join) else call.vars()), *call.outs]
            if isinstance(form, Join) and form.axis is None:
                out = call.outs[0]
                place = self.places.find(out)
                if place is None or place.strides != in_order(out.shape):
                    return None
            return form if all(self.places.find(v) is not None for v in values) else None
        return form

    def _find_stored(
        self, groups: Iterable[Group], wanted: Iterable[Var], placed: Collection[Var]
    ) -> set[Var]:
        """Return the arrays that are read elsewhere than in the group that makes them."""
        viewed = self._all.viewed
        maker = {v: group for group in groups for call in group.calls for v in call.outs}
        stored = {viewed(v) for v in wanted} | {*placed}
        for group in groups:
            for call in group.calls:
                for v in call.vars():
                    root = viewed(v)
                    reduced = any(
                        isinstance(f, Elementwise) and f.reduces is not None and f.out is root
                        for f in group.forms
                    )
                    if maker.get(root) is not group or reduced:
                        stored.add(root)
                if call.kind == "write":
                    stored.add(viewed(call.outs[0]))
        for group in groups:
            for form in group.forms:
                if not isinstance(form, Elementwise) or form.reduces is not None:
                    stored.add(form.call.outs[0])
        return stored

    def _arrange(self, groups: Iterable[Group], program: Program) -> Iterable[Call]:
        """Yield NumPy's calls, the views that these need, and one call for each other group."""
        views = {c.outs[0]: c for c in program.calls if c.view_of is not None}
        done: set[Var] = set()

        for group in groups:
            if group.is_in_c:
                yield self._as_call(group)
                continue
            for call in group.calls:
                for v in call.vars():
                    yield from _views_for(v, views, done)
                yield call
        for v in program.wanted():
            yield from _views_for(v, views, done)

    def _as_call(self, group: Group) -> Call:
        """Return a group as one call, which reads and makes whole arrays."""
        viewed = self._all.viewed
        made = [v for call in group.calls if call.kind != "write" for v in call.outs]
        kept = tuple(v for v in made if v in self._stored)
        read: dict[Var, None] = {}
        is_loop = group.shape is not None  # in which such constants stand as numbers
        for call in group.calls:
            for v in (*call.vars(), *(call.outs if call.kind == "write" else ())):
                root = viewed(v)
                if root not in made and not (is_loop and root.kind == "const" and is_uniform(root)):
                    read[root] = None
        first = group.calls[0]
        return Call(
            "part", group, tuple(read), {}, kept, first.section, first.line, origin=first.origin
        )

    def wish(self, var: Var) -> str:
        """Return a reader's name for an array, which another may have already."""
        self.flow, flow = self._all, self.flow
        try:
            return super().wish(var)
        finally:
            self.flow = flow

    def add_call(self, call: Call, i: int) -> None:
        """Add what one call does, or one group."""
        if call.kind != "part":
            super().add_call(call, i)
            return
        group: Group = call.fn
        for v in call.args:
            self.name(v)
        self.allocate(call, i)
        writes = any(self._all.viewed(c.outs[0]).kind != "made" for c in group.writes)
        step = Step(Compute("", "", True), group.calls[0], None, writes)
        self.code.body.append(step)
        functions = self._write_group(group)
        self._functions_of[id(step)] = functions

    def _write_group(self, group: Group) -> list[Function]:
        return [self._name_function(f) for f in self._write_functions(group)]

    def _name_function(self, function: Function) -> Function:
        """Return a function under a name of its own; what has one text is one function."""
        stem = function.name.lower()
        name = self._texts.setdefault(function.text, f"{stem}_{len(self._texts) + 1}")
        function.text = function.text.replace(function.name, name, 1)
        function.name = name
        return function

    def _write_functions(self, group: Group) -> list[Function]:
        """Return what a group does as functions whose names are yet to be found."""
        if group.shape is not None:
            return [LoopWriter("LOOP", group, self.places, self._stored, self.wish).write()]
        (form,) = group.forms
        if isinstance(form, Product):
            layout = find_layout(form, self.places)
            assert layout is not None
            return [write_product("PRODUCT", form, layout, self.wish)]
        if isinstance(form, Join):
            return write_join("JOIN", form, self.places, self.placed, self.wish)
        if isinstance(form, Put):
            return [write_put("PUT", form, self.places, self.wish)]
        assert isinstance(form, Kernel)
        self._checks.append(form)
        code = len(self._checks) + 1
        name = getattr(form.call.fn, "__name__", "kernel").upper()
        return [write_kernel(name, form, code, self.places, self.wish)]

    # Parts

    def gather_parts(self) -> None:
        """Make parts of what stands side by side in the body, and let the code call them."""
        code = self.code
        state, given = self.fresh("state").text, self.fresh("given").text
        body: list[Step] = []
        parts: list[Part] = []
        self.unit = Unit([], [], [], [], code.names, (given, state))
        last: Step | None = None  # the part that is open
        pending_check = False
        for step in code.body:
            if step.call in self._late and code.middle is None:
                code.middle, code.late = len(body), {v for c in self._late for v in c.outs}
                first_half = len(parts)
                last = None
            if id(step) not in self._functions_of:
                body.append(step)
                last = None
                continue
            functions = self._functions_of[id(step)]
            if not functions:
                continue
            checks = any(f.returns for f in functions)
            if last is None or (step.writes and pending_check):
                parts.append(Part(self.fresh(f"part_{len(parts) + 1}").text))
                last = step
                pending_check = False
                body.append(step)
            parts[-1].functions += functions
            pending_check |= checks
            last.writes |= step.writes
            last.statement = Compute(parts[-1].name, state, not pending_check)
        if not parts:
            return
        arrays = dict.fromkeys(v for p in parts for f in p.functions for v, _ in f.arrays)
        moving = [v for v in arrays if v.kind in MOVING]
        at_first = len(moving)
        if code.middle is not None:
            read = {v for p in parts[:first_half] for f in p.functions for v, _ in f.arrays}
            at_first = sum(v in read for v in moving)
            for p in parts[:first_half]:
                p.moving = at_first
        static = [v for v in arrays if v.kind not in MOVING]
        formulas = [*dict.fromkeys(n for p in parts for f in p.functions for n in f.numbers)]
        self.unit = unit = Unit(
            parts, static, moving, formulas, code.names, (given, state), self._written
        )
        given_by_name: list[Expression] = [Name(code.names[v]) for v in moving]
        first = [*formulas, *given_by_name[:at_first]]
        if given_by_name[at_first:]:
            assert code.middle is not None
            load = self._load(given, len(first), given_by_name[at_first:], body)
            body.insert(code.middle, load)
        if first:
            body.insert(0, self._load(given, 0, first, body))
            if code.middle is not None:
                code.middle += 1
        code.body = body
        code.source_in_c = unit.source()
        # the code does not refer to this assembly, which has the code
        check = functools.partial(_check, self._checks, self.places)
        code.bind = lambda namespace: unit.bind(namespace, check)

    @staticmethod
    def _load(given: str, at: int, values: Sequence[Expression], body: Sequence[Step]) -> Step:
        """Return the statement that puts what a run is given where C reads it.

        Args:
            given: the name of the list there.
            at: the place of the first of the values.
            values: what is put there.
            body: the statements.
        """
        end = at + len(values)
        places: list[Any] = [*range(at, end)] if len(values) <= FEW else [slice(at, end)]
        targets = tuple(Index(Name(given), Literal(place)) for place in places)
        value = values[0] if len(values) == 1 == len(places) else Tuple(tuple(values))
        call = Call("load", None, (), {}, (), body[0].call.section, body[0].call.line)
        return Step(Assign(targets, value), call, None)


def _check(checks: Sequence[Any], places: Places, wrong: int, arrays: dict[Var, Any]) -> None:
    """Raise what NumPy's call does where C has found that an argument is wrong."""
    find_wrong(checks[wrong - 2], places, arrays)


def _views_for(v: Var, views: Mapping[Var, Call], done: set[Var]) -> Iterator[Call]:
    """Yield the calls of views, each once, that an array is made by, in the order of a run."""
    view = views.get(v)
    if view is not None and v not in done:
        done.add(v)
        for source in view.vars():
            yield from _views_for(source, views, done)
        yield view


def find_late(program: Program, halved_at: int) -> Collection[Call]:
    """Return the calls that need the arguments of the second half; none where that cannot wait.

    Args:
        program: the program.
        halved_at: how many of the arguments the first half takes; 0 where there are no halves.
    """
    if not halved_at:
        return ()
    needing = {*program.args[halved_at:]}
    late: dict[Call, None] = {}
    for call in program.calls:
        if not needing.isdisjoint(call.vars()):
            late[call] = None
            needing.update(call.outs)
        elif late and call.kind != "call":
            return ()  # it writes what late calls before it may read
    return late if all(call.kind == "call" and not call.acts for call in late) else ()


def uses_numpy(code: Code) -> list[Step]:
    """Return the statements that NumPy does."""
    inside = (step for step in code.body if step.call.kind != "load")
    return [step for step in inside if not isinstance(step.statement, Compute)]
