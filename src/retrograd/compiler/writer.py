"""Statements as Python text: nothing else in the compiler makes text of a program."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from retrograd.compiler.memory import empty_in_lines
from retrograd.compiler.statements import (
    Assign,
    Attribute,
    Bound,
    Buffer,
    Compute,
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
    Negative,
    NumPy,
    Operation,
    Return,
    Statement,
    Tuple,
    numpy,
)

if TYPE_CHECKING:
    from retrograd.compiler.assembly import Code, Step


# how each kind is written; a table of bound methods would make each writer a circle, which keeps
# the objects of its namespace until Python looks for garbage
_FORMS: dict[type, Callable[[Any, Any], str]] = {
    Name: lambda w, e: e.text,
    Literal: lambda w, e: literal(e.value),
    Bound: lambda w, e: w.bound(e),
    NumPy: lambda w, e: w.function(e),
    Tuple: lambda w, e: _tuple(w._all(e.items)),
    List: lambda w, e: f"[{', '.join(w._all(e.items))}]",
    Attribute: lambda w, e: f"{w.inner(e.of)}.{e.name}",
    Index: lambda w, e: w._index(e),
    Invoke: lambda w, e: w.call(e),
    Operation: lambda w, e: f"{w.inner(e.left)} {e.symbol} {w.inner(e.right)}",
    Negative: lambda w, e: f"-{w.inner(e.of)}",
    Memory: lambda w, e: w._memory(e),
    Do: lambda w, s: w._do(s),
    Assign: lambda w, s: w._assign(s),
    Fill: lambda w, s: f"{w.expression(s.target)}[...] = {w.expression(s.value)}",
    Copy: lambda w, s: w._copy(s),
    Compute: lambda w, s: f"{s.part}({s.state}) and {s.part}_again()",
    Return: lambda w, s: f"return {w.expression(s.value)}",
}


class PythonWriter:
    """Writes expressions and statements as a reader would, with `np.` for NumPy.

    Attributes:
        forms: how each kind of expression and statement is written, given the writer.
    """

    forms: ClassVar[Mapping[type, Callable[[Any, Any], str]]] = _FORMS

    def expression(self, value: Expression) -> str:
        """Return an expression as text, an operation without parentheses around it."""
        return self.forms[value.__class__](self, value)

    def statement(self, statement: Statement) -> str:
        """Return a statement as one line of text."""
        return self.forms[statement.__class__](self, statement)

    def inner(self, value: Expression) -> str:
        """Return an expression as a part of another, an operation in parentheses."""
        text = self.expression(value)
        return f"({text})" if isinstance(value, (Operation, Negative)) else text

    def bound(self, value: Bound) -> str:
        """Return the name of an object of this process."""
        raise TypeError(f"a {type(value.value).__name__} of this process has no text")

    def function(self, function: NumPy) -> str:
        """Return the name of a function of NumPy."""
        return f"np.{function.name}"

    def output(self, statement: Do) -> str:
        """Return how a statement says what it writes into."""
        return f"out={self.expression(statement.out)}"

    def call(self, call: Invoke, *more: str) -> str:
        """Return a call, with further arguments as text."""
        parts = [self._argument(a) for a in call.args]
        parts += [f"{name}={self._argument(a)}" for name, a in call.options]
        return f"{self.inner(call.function)}({', '.join([*parts, *more])})"

    def _argument(self, value: Expression) -> str:
        return self.expression(value)

    def _all(self, values: Iterable[Expression]) -> list[str]:
        return [self.expression(v) for v in values]

    def _index(self, value: Index) -> str:
        index = value.index
        if isinstance(index, Tuple):
            inside = ", ".join(map(self._subscript, index.items))
            inside = inside + "," * (len(index.items) == 1) or "()"
        else:
            inside = self._subscript(index)
        return f"{self.inner(value.of)}[{inside}]"

    def _subscript(self, value: Expression) -> str:
        if not isinstance(value, Literal):
            return self.expression(value)
        if isinstance(value.value, slice):
            start, stop, step = value.value.start, value.value.stop, value.value.step
            ends = ":".join("" if v is None else str(v) for v in (start, stop))
            return ends + (f":{step}" if step not in (None, 1) else "")
        return "..." if value.value is Ellipsis else literal(value.value)

    def _memory(self, value: Memory) -> str:
        buffer = value.buffer
        if buffer.users == 1:
            return self.allocation(buffer)
        return buffer.name if value.size == buffer.size else f"{buffer.name}[:{value.size}]"

    def allocation(self, buffer: Buffer) -> str:
        """Return the call that makes the memory of a buffer."""
        return self.expression(numpy("empty", buffer.size, buffer.dtype))

    def _do(self, statement: Do) -> str:
        return self.call(statement.call, self.output(statement))

    def _assign(self, statement: Assign) -> str:
        return f"{', '.join(self._all(statement.targets))} = {self.expression(statement.value)}"

    def _copy(self, statement: Copy) -> str:
        options: dict[str, Any] = {}
        if statement.where is not None:
            options["where"] = statement.where
        if statement.casts:
            options["casting"] = "unsafe"
        return self.call(numpy("copyto", statement.target, statement.value, **options))


class FastWriter(PythonWriter):
    """Writes what is run: NumPy's functions and objects by names in `namespace`.

    A name costs less than an attribute of `np`, and an output by position less than by keyword:
    0.1 us a call together.
    """

    def __init__(self, namespace: dict[str, Any]) -> None:
        self.namespace = namespace
        self._names: dict[tuple[str, int], str] = {}

    def bind(self, stem: str, value: Any) -> str:
        """Put an object into the namespace, once; return its name there."""
        key = stem, id(value)
        if key not in self._names:
            self._names[key] = name = f"_{stem}_{len(self.namespace)}"
            self.namespace[name] = value
        return self._names[key]

    def bound(self, value: Bound) -> str:
        """Return the name of an object, which is put into the namespace."""
        return self.bind(value.stem, value.value)

    def output(self, statement: Do) -> str:
        """Return the output as the last argument where NumPy takes it so."""
        text = self.expression(statement.out)
        return text if statement.takes_output_last else f"out={text}"

    def call(self, call: Invoke, *more: str) -> str:
        """Return a call, a function of NumPy by a name of its own."""
        function = call.function
        if isinstance(function, NumPy):
            name = f"_np_{function.name.replace('.', '_')}"
            if name not in self.namespace:
                parts = function.name.split(".")
                self.namespace[name] = functools.reduce(getattr, parts, np)
            call = Invoke(Name(name), call.args, call.options)
        return super().call(call, *more)


def literal(value: Any) -> str:
    """Return the source of a value: a number, a dtype, an array, containers of such."""
    if isinstance(value, float) and not math.isfinite(value):
        return "np.nan" if value != value else "np.inf" if value > 0 else "-np.inf"
    if isinstance(value, np.dtype):
        value = value.type
    if isinstance(value, type) and issubclass(value, np.generic):
        return f"np.{value.__name__}"
    if isinstance(value, np.generic):
        return f"np.{type(value).__name__}({literal(value.item())})"
    if isinstance(value, np.ndarray):
        return f"np.array({literal(value.tolist())}, {literal(value.dtype)})"
    if type(value) is str and repr(value) == f"'{value}'":
        return f'"{value}"'
    if type(value) is tuple:
        return _tuple([literal(v) for v in value])
    if type(value) is list:
        return f"[{', '.join(literal(v) for v in value)}]"
    if type(value) is dict:
        return f"{{{', '.join(f'{literal(k)}: {literal(v)}' for k, v in value.items())}}}"
    return repr(value)


def _tuple(items: Sequence[str]) -> str:
    return f"({items[0]},)" if len(items) == 1 else f"({', '.join(items)})"


class SetupWriter(PythonWriter):
    """Writes what comes before all runs in this process, where memory begins at lines of the cache.

    Its text names `EMPTY`, a function of its namespace.
    """

    EMPTY = "_empty_in_lines"

    def allocation(self, buffer: Buffer) -> str:
        """Return the call that makes the memory of a buffer."""
        return f"{self.EMPTY}({buffer.size}, {literal(buffer.dtype)})"


PYTHON = PythonWriter()


def run_setup(code: Code, namespace: dict[str, Any], file: str = "<setup>") -> None:
    """Make what comes before all runs, in the namespace of a program that has its arrays."""
    text = "\n".join(setup_lines(code, SetupWriter()))
    namespace[SetupWriter.EMPTY] = empty_in_lines
    exec(compile(text, file, "exec"), namespace)
    del namespace[SetupWriter.EMPTY]


def setup_lines(code: Code, writer: PythonWriter = PYTHON) -> list[str]:
    """Return the statements that come before all runs: constants, buffers and arrays in them."""
    lines = []
    for item in code.setup:
        if not isinstance(item, Buffer):
            lines.append(writer.statement(item))
        elif item.users > 1:
            lines.append(f"{item.name} = {writer.allocation(item)}")
    return lines


def section_lines(body: Sequence[Step], writer: PythonWriter = PYTHON) -> list[str]:
    """Return the statements of a run in their sections, beside each the shape of what it fills."""
    texts = [writer.statement(step.statement) for step in body]
    lengths = (len(text) for text, step in zip(texts, body, strict=True) if step.fills)
    width = max((n for n in lengths if n < 68), default=0)
    lines = []
    pairs = zip(texts, body, strict=True)
    for section, steps in itertools.groupby(pairs, lambda pair: pair[1].call.section):
        lines.append(f"\n    # {section}")
        for text, step in steps:
            shape = f"  # {step.fills.shape}" if step.fills else ""
            lines.append(f"    {text:<{width}}{shape}".rstrip())
    return lines


def head(name: str, parameters: Iterable[str]) -> str:
    """Return the first line of a function."""
    return f"def {name}({', '.join(parameters)}):"


def source(code: Code) -> str:
    """Return a program as a reader sees it: `def step(...)`, without what comes before all runs."""
    lines = [head("step", [*code.inputs, *code.lives])]
    lines += [f"    # {name}: {v.shape} {v.dtype}" for name, v in code.arguments]
    lines += section_lines(code.body)
    if results := ", ".join(filter(None, code.results)):
        lines.append(f"    return {results}")
    return "\n".join(lines)
