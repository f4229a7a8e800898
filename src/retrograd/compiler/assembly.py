"""From calls to code: names, constants, buffers, and statements that fill them."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from retrograd.compiler.buffers import Buffers, Place, find_joined
from retrograd.compiler.carried import Carried
from retrograd.compiler.ir import Call, Flow, Names, Program, Var
from retrograd.compiler.live import Live
from retrograd.compiler.names import Taken, wish
from retrograd.compiler.scalars import find_numbers
from retrograd.compiler.spelling import fill, spell, view_of
from retrograd.compiler.statements import (
    Assign,
    Attribute,
    Buffer,
    Copy,
    Do,
    Expression,
    Fill,
    Index,
    Invoke,
    List,
    Literal,
    Memory,
    Name,
    NumPy,
    Statement,
    Tuple,
    method,
    numpy,
)
from retrograd.engine import Array, spelled

_NUMBERS = {0.0: "zero", 1.0: "one", 2.0: "two", 0.5: "half", -1.0: "minus_one"}


@dataclass(slots=True)
class Step:
    """A statement, the call it comes from, and the array it fills.

    Args:
        statement: the statement.
        call: the call, the first one where there are several.
        fills: the array that it fills, None where that is none, or not one alone.
        writes: whether it writes into an array outside though it fills none.
    """

    statement: Statement
    call: Call
    fills: Var | None
    writes: bool = False


@dataclass(slots=True)
class Code:
    """A program as statements.

    Args:
        arguments: the names of the arguments, and what they are.
        inputs: the names of what a run is given: arguments and gradients from before.
        lives: the names of numbers that are read anew.
        setup: what comes before all runs: buffers, constants, arrays in buffers, in order.
        body: what a run does.
        results: the name of each result, None for what is no array.
        grads: the name of each gradient that is left behind, None for none.
        carried: the places outside to which it assigns, and the names of what, None for what is
            no array.
        data: the arrays that the program finds or holds, by name.
        functions: the functions and generators that it calls, by name.
        names: the name of each array.
        bind: puts what the statements call that is not NumPy's into a namespace with the arrays.
        source_in_c: what C does of it, "" where that is nothing.
        middle: where the second half of the body begins, where C knows of halves; see `halves`.
        late: the arrays that the second half makes.
    """

    arguments: list[tuple[str, Var]] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    lives: list[str] = field(default_factory=list)
    setup: list[Buffer | Assign] = field(default_factory=list)
    body: list[Step] = field(default_factory=list)
    results: list[str | None] = field(default_factory=list)
    grads: list[str | None] = field(default_factory=list)
    carried: list[tuple[Carried, list[str | None]]] = field(default_factory=list)
    data: dict[str, Array] = field(default_factory=dict)
    functions: dict[str, Any] = field(default_factory=dict)
    names: dict[Var, str] = field(default_factory=dict)
    bind: Callable[[dict[str, Any]], None] | None = None
    source_in_c: str = ""
    middle: int | None = None
    late: Collection[Var] = ()


def assemble(program: Program) -> Code:
    """Return the code of a program."""
    return assemble_by(Assembly(program), program)


def assemble_by(assembly: Assembly, program: Program) -> Code:
    """Return the code of a program, its calls added by an assembly of it."""
    code = assembly.code
    code.arguments = [(assembly.name(v), v) for v in program.args]
    assembly.add_calls()
    name = assembly.name
    code.grads = [None if g is None else name(g) for _, g in program.grads]
    code.carried = [
        (place, [name(v) if isinstance(v, Var) else None for v in ends])
        for place, ends in program.carried
    ]
    code.results = [name(v) if isinstance(v, Var) else None for v in program.results]
    code.inputs = [name(v) for v in (*program.args, *program.starts)]
    return code


class Assembly:
    """Code in the making; `spelling` asks it for names, constants and views.

    Args:
        program: the program.
        calls: its calls where some of them are done otherwise than by NumPy, in a new order: so
            they use memory. No array is a Python number then.
        placed: the arrays that are parts of joined ones, where that is known already.

    Attributes:
        code: what is there so far.
        numbers: the arrays that are Python numbers instead.
        placed: the arrays that are parts of joined ones, and where.
    """

    def __init__(
        self, program: Program, calls: Sequence[Call] | None = None,
        placed: dict[Var, Place] | None = None,
    ) -> None:  # fmt: skip
        self.calls: Sequence[Call] = program.calls if calls is None else calls
        self.flow = Flow(self.calls)
        grads = [g for _, g in program.grads if g is not None]
        self.numbers = find_numbers(self.calls, grads) if calls is None else set()
        self.placed = find_joined(self.calls, self.flow) if placed is None else placed
        lives = [reading.name for reading in program.lives]
        self.code = Code(lives=lives)
        self._names = Names({**program.names.wishes}, program.names.gradient_of)
        self._taken = Taken(lives)
        self.code.names.update((v, name) for name, v in program.kept)
        self._made: dict[Any, str] = {}  # names of constants and views, by how they are computed
        self._functions: dict[int, str] = {}
        kept = program.wanted()
        self._buffers = Buffers(self.calls, kept, self.placed, self.flow, self._taken)

    # Names

    def name(self, var: Var) -> str:
        """Return the name of an array; a constant is defined when it is first asked for."""
        names = self.code.names
        if var in names:
            return names[var]
        fixed = var.kind == "const" and var.size and var.dtype.kind in "fiu"
        if fixed and _is_of_one_value(var.array):
            name = self._full(var, var.array.reshape(-1)[0].item())
        else:
            name = self._taken.fresh(self.wish(var))
            if var.kind in ("const", "captured"):
                self.code.data[name] = var.array
        names[var] = name
        return name

    def wish(self, var: Var) -> str:
        """Return a reader's name for an array, which another may have already."""
        return wish(var, self._names, self.flow)

    def _full(self, var: Var, value: Any) -> str:
        if not var.ndim:
            return self.constant(value, var.dtype)
        if var.ndim == 1 and value == 1:
            return self.ones(var.size, var.dtype)
        made = numpy("full", var.shape, value, var.dtype)
        return self.define_once("zeros" if value == 0 else "constant", made)

    def fresh(self, stem: str) -> Name:
        """Return a name that nothing has yet."""
        return Name(self._taken.fresh(stem))

    def define_once(self, stem: str, value: Expression, *same: Any) -> str:
        """Return the name of a value that is computed before all runs, once.

        Args:
            stem: what to call it.
            value: how it is computed.
            same: what tells it apart, where that is not how it is computed.
        """
        key = same or value
        if key not in self._made:
            self._made[key] = self._taken.fresh(stem)
            self.define(self._made[key], value)
        return self._made[key]

    def define(self, name: str, value: Expression) -> None:
        """Compute a value before all runs."""
        self.code.setup.append(Assign((Name(name),), value))

    def function(self, fn: Any, stem: str) -> Name:
        """Return the name of a function, or of a generator."""
        if id(fn) not in self._functions:
            self._functions[id(fn)] = name = self._taken.fresh(stem)
            self.code.functions[name] = fn
        return Name(self._functions[id(fn)])

    # Expressions

    def expression(self, value: Any) -> Expression:
        """Return an argument of a call as an expression."""
        if isinstance(value, Var):
            return Name(self.name(value))
        if isinstance(value, Live):
            return value.formula
        if isinstance(value, tuple):
            return Tuple(tuple(map(self.expression, value)))
        if isinstance(value, list):
            return List(tuple(map(self.expression, value)))
        return Literal(value)

    def invoke(self, call: Call) -> Invoke:
        """Return a call as a user would write it."""
        name = spelled(call.fn)
        function: Expression = NumPy(name[3:])
        if not name.startswith("np."):
            plain = getattr(call.fn, "__wrapped__", call.fn)
            function = self.function(plain, call.fn.__name__)
        args = tuple(map(self.expression, call.args))
        options = tuple((k, self.expression(v)) for k, v in call.kwargs.items())
        return Invoke(function, args, options)

    def operands(self, call: Call) -> tuple[Expression, ...]:
        """Return the arguments of a ufunc; numbers as arrays cost less."""
        out, kinds = call.outs[0], loop_dtypes(call)
        shape, back = memory_order(out)
        wide = call.fn in (np.maximum, np.minimum) and out.size >= 64
        found: list[Expression] = []
        for a, kind in zip(call.args, kinds, strict=True):
            if isinstance(a, Live):
                found.append(self._live(a, kind, call))
            elif isinstance(a, np.generic):
                found.append(Name(self.constant(a, a.dtype)))
            elif call.fn is not np.ldexp and _fits(a, kind):
                if wide and kind == out.dtype:  # a whole array of the number lets NumPy use SIMD
                    made = turn_back(numpy("full", shape, a, kind), back)
                    found.append(Name(self.define_once("zeros" if a == 0 else "limit", made)))
                else:
                    found.append(Name(self.constant(a, kind)))
            elif self.is_static(a) and a.ndim and a.size == 1 != out.size:
                found.append(self.view_as(a, ()))
            else:
                found.append(self.expression(a))
        return tuple(found)

    def constant(self, value: Any, dtype: np.dtype[Any]) -> str:
        """Return the name of a number as a 0-d array."""
        known = f"c_{value:.4g}".replace("-", "m").replace(".", "p")
        if not isinstance(value, (complex, np.complexfloating)):
            known = _NUMBERS.get(float(value), known)
        # compared by their bits: 0.0 is not -0.0, and large integers are equal as floats
        bits = np.array(value, dtype).tobytes()
        return self.define_once(known.replace("+", ""), numpy("array", value, dtype), bits, dtype)

    def ones(self, n: int, dtype: np.dtype[Any]) -> str:
        """Return the name of a vector of ones."""
        return self.define_once("ones", numpy("ones", n, dtype))

    def _live(self, value: Live, dtype: np.dtype[Any], call: Call) -> Name:
        formula, known = value.formula, len(self._made)
        stem = f"{formula.text}_now" if isinstance(formula, Name) else "factor"
        name = Name(self.define_once(stem, numpy("empty", (), dtype), formula, dtype))
        if len(self._made) > known:
            self._add(call, None, Fill(name, formula))
        return name

    def view_as(self, var: Var, shape: int | tuple[int, ...], turn: bool = False) -> Name:
        """Return a view of another shape, of the transpose with `turn`, made before all runs."""
        name = Name(self.name(var))
        if shape == var.shape:
            return name
        of = Attribute(name, "T") if turn else name
        return Name(self.define_once(f"{name.text}_flat", method(of, "reshape", shape)))

    def flat(self, var: Var) -> Expression:
        """Return an array without gaps as a vector."""
        if var.ndim == 1:
            return self.expression(var)
        return self.view_as(var, -1, turn=not var.is_c_contiguous)

    def is_static(self, value: Any) -> bool:
        """Tell whether an array lies in the same memory in all runs."""
        moving = ("arg", "grad", "kept")
        return isinstance(value, Var) and self.flow.viewed(value).kind not in moving

    def lies_over(self, var: Var) -> Var | None:
        """Return the argument of the call that makes an array in whose place that lies."""
        return self._buffers.over.get(var)

    def part(self, part: Var, flat: Var, start: int) -> Expression:
        """Return the place of a part in a joined array."""
        whole = Name(self.name(flat))
        if flat.ndim > 1:
            first = start * flat.shape[0] // max(flat.size, 1)
            return Index(whole, Literal(slice(first, first + part.shape[0])))
        place = Index(whole, Literal(slice(start, start + part.size)))
        return place if part.ndim == 1 else method(place, "reshape", part.shape)

    # Statements

    def add_calls(self) -> None:
        """Add what all calls do."""
        for i, call in enumerate(self.calls):
            self.add_call(call, i)
            self._buffers.release(i)

    def add_call(self, call: Call, i: int) -> None:
        """Add what one call does, the one at position `i`."""
        if call.view_of is not None:
            self._view(call)
        elif call.kind == "write":
            self._write(call)
        else:
            self.allocate(call, i)
            self._call(call)

    def allocate(self, call: Call, i: int) -> None:
        """Lay out what a call makes that is no Python number."""
        for v in call.outs:
            if v not in self.numbers:
                self._allocate(call, v, i)

    def _add(self, call: Call, fills: Var | None, *statements: Statement) -> None:
        self.code.body += [Step(statement, call, fills) for statement in statements]

    def _view(self, call: Call) -> None:
        out, value = call.outs[0], view_of(self, call)
        wishes = self._names.wishes
        if not wishes.get(out) and (found := _name_of_view(value, out)):
            wishes[out] = found
        if self.is_static(out):
            self.define(self.name(out), value)
        else:
            self._add(call, out, Assign((Name(self.name(out)),), value))

    def _write(self, call: Call) -> None:
        target = call.args[0]
        name = Name(self.name(target))
        if call.fn is np.copyto:
            value = self.expression(call.args[1])
            self._add(call, target, Copy(name, value, casts=True))
            return
        if call.fn is operator.setitem:
            value, index = map(self.expression, call.args[1:])
            self._add(call, target, Assign((Index(name, index),), value))
            return
        other = self.operands(call)[1]
        self._add(call, target, Do(Invoke(self.ufunc(call.fn), (name, other)), name))

    def ufunc(self, fn: Any) -> Expression:
        """Return the name of a ufunc."""
        name = spelled(fn)
        return NumPy(name[3:]) if name.startswith("np.") else self.function(fn, fn.__name__)

    def _allocate(self, call: Call, v: Var, i: int) -> None:
        if v in self.placed:
            flat, start = self.placed[v]
            if flat not in self.code.names:
                shape = flat.size if flat.ndim == 1 else flat.shape
                self.define(self.name(flat), numpy("empty", shape, flat.dtype))
            if flat is not v:
                self.define(self.name(v), self.part(v, flat, start))
            return
        if twin := self._buffers.twin(call, v, i):
            # one object under two names: NumPy need not ask whether input and output overlap
            self._buffers.take_over(v, twin)
            value: Expression = Name(self.name(twin))
        else:
            buffer, is_new = self._buffers.allocate(v)
            if is_new:
                self.code.setup.append(buffer)
            shape, back = memory_order(v)
            value = Memory(buffer, v.size)
            if v.ndim != 1:
                value = method(value, "reshape", shape)
            value = turn_back(value, back)
        self.define(self.name(v), value)

    def _call(self, call: Call) -> None:
        out = call.outs[0]
        if call.kind == "draw":
            random = Attribute(self.function(call.fn, "rng"), "random")
            drawn = Invoke(random, (), (("dtype", Literal(call.args[1])),))
            self._add(call, out, Do(drawn, Name(self.name(out))))
        elif len(call.outs) > 1:
            names = [self.fresh(f"{self.name(v)}_new") for v in call.outs]
            self._add(call, None, Assign(tuple(names), self.invoke(call)))
            for v, new in zip(call.outs, names, strict=True):
                self._add(call, v, fill(call, v, Name(self.name(v)), new))
        else:
            self._add(call, out, *spell(self, call, Name(self.name(out))))


def _is_of_one_value(a: Array) -> bool:
    return a.tobytes() == a.reshape(-1)[:1].tobytes() * a.size


def _name_of_view(value: Expression, out: Var) -> str:
    """Return what to call a view of an array that has a name."""
    if isinstance(value, Attribute) and value.name == "T" and isinstance(value.of, Name):
        return f"{value.of.text}_T"
    of = value.function if isinstance(value, Invoke) else None
    if isinstance(of, Attribute) and of.name == "reshape" and out.ndim == 1:
        return f"{of.of.text}_flat" if isinstance(of.of, Name) else ""
    return ""


def memory_order(var: Var) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    """Return the shape in the order of memory, and the axes that lead back to the array's own.

    The axes are None where the order is the same, and empty where it is the reverse.
    """
    axes = list(range(var.ndim))
    order = sorted(axes, key=lambda i: -abs(var.strides[i]))
    back: tuple[int, ...] | None = tuple(map(order.index, axes))
    if order == axes:
        back = None
    elif order == axes[::-1]:
        back = ()
    return tuple(var.shape[i] for i in order), back


def turn_back(value: Expression, back: tuple[int, ...] | None) -> Expression:
    """Return an array in the order of memory as one with the axes in their own order."""
    if back is None:
        return value
    return method(value, "transpose", back) if back else Attribute(value, "T")


def loop_dtypes(call: Call) -> Sequence[np.dtype[Any]]:
    """Return the dtypes in which a ufunc takes its arguments.

    A Python number takes the dtype that NumPy computes in, which need not be that of the array
    beside it: `np.float_power` computes in float64. A NumPy scalar is as strong as an array.
    """
    values = [a.value if isinstance(a, Live) else a for a in call.args]
    weak = [type(value) in (int, float) for value in values]
    given: list[Any] = [
        type(value) if is_weak else getattr(value, "dtype", np.dtype(bool))
        for value, is_weak in zip(values, weak, strict=True)
    ]
    if all(weak):  # NumPy takes Python numbers alone as arrays
        given = [np.asarray(value).dtype for value in values]
    return _resolve(call.fn, *given)


@functools.lru_cache(maxsize=1024)
def _resolve(ufunc: np.ufunc, *given: Any) -> tuple[np.dtype[Any], ...]:
    outputs = (None,) * ufunc.nout
    loop: tuple[np.dtype[Any], ...] = ufunc.resolve_dtypes((*given, *outputs))
    return loop[: len(given)]


def _fits(value: Any, kind: np.dtype[Any]) -> bool:
    """Tell whether a dtype holds a value."""
    if kind.kind in "iu" and type(value) is int:
        return int(np.iinfo(kind).min) <= value <= np.iinfo(kind).max
    return kind.kind == "f" and type(value) in (int, float)
