"""A program as a C99 file that stands alone, with a header: for devices without Python."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.compiler.assembly import Step, assemble_by
from retrograd.compiler.c.assembly import CAssembly, uses_numpy
from retrograd.compiler.c.names import CNames
from retrograd.compiler.c.types import has_type, number, type_name
from retrograd.compiler.c.unit import Unit
from retrograd.compiler.ir import Flow, Program, Var, root
from retrograd.compiler.passes import stack
from retrograd.compiler.statements import (
    Expression,
    Literal,
    Name,
    Negative,
    Operation,
)
from retrograd.compiler.writer import PYTHON, setup_lines
from retrograd.files import write_whole

if TYPE_CHECKING:
    from retrograd.compiler.program import ReadyProgram

MACROS = """\
/* A compiler may put sums together in any order where it is told so, and then uses vectors:
   compile with -DVECTORS -fopenmp-simd for that. */
#ifdef VECTORS
#define PRAGMA(text) _Pragma(#text)
#define SUMS(...) PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#define TOGETHER PRAGMA(omp simd)
#else
#define SUMS(...)
#define TOGETHER
#endif
#define MULTIPLY_ADD(x, y, sum) ((x) * (y) + (sum))
"""


@dataclass(slots=True)
class _Memory:
    """An array that the file holds.

    Args:
        name: its name.
        array: the elements that it begins with, None where a run fills it before it reads it.
        size: how many they are.
        dtype: of what.
        is_fixed: whether nothing writes into it.
    """

    name: str
    array: Any
    size: int
    dtype: np.dtype[Any]
    is_fixed: bool

    @property
    def bytes(self) -> int:
        return self.size * self.dtype.itemsize


def export_c(ready: ReadyProgram, name: str, path: Any, overwrite: bool) -> None:
    """Write a program as C, and its header beside it.

    Args:
        ready: the program.
        name: "step", or "predict" for a Module.
        path: where the file is to be; it ends in `.c`.
        overwrite: whether files that are there already are replaced.
    """
    target = Path(path)
    header = target.with_suffix(".h")
    source, declared = _Writer(ready, name, header.name).write()
    for file in (target, header):
        if file.exists() and not overwrite:
            raise FileExistsError(f"{file} exists: pass overwrite=True to replace it")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {target.parent}")
    write_whole(header, lambda file: file.write(declared.encode()))
    write_whole(target, lambda file: file.write(source.encode()))


def _refuse(program: Program, body: Iterable[Step]) -> None:
    """Raise TypeError for what a file in C cannot do, with the user's line."""
    if program.starts:
        raise TypeError("this program adds to gradients from before: call zero_grad() inside it")
    if program.carried:
        place = program.carried[0][0].place.name
        raise TypeError(
            f"this program assigns to {place}, which a file in C has not: write into the Tensor "
            f"that is there under rg.no_grad(), {place}[...] = value"
        )
    for step in body:
        call = step.call
        what = "a random draw" if call.kind == "draw" else f"`{PYTHON.statement(step.statement)}`"
        raise TypeError(
            f"{what} has no form in C, from{call.line}\nWrite it with other functions, or export "
            'to a script that needs NumPy, export("step.py")'
        )


class _Writer:
    """Writes one program."""

    def __init__(self, ready: ReadyProgram, name: str, header: str) -> None:
        self.name, self.header = name, header
        self.program = program = stack(ready.plain)
        assembly = CAssembly(program, math.inf)
        self.code = code = assemble_by(assembly, program)
        assembly.gather_parts()
        _refuse(program, uses_numpy(code))
        self.unit: Unit = assembly.unit
        self.numbers = dict(zip(code.lives, ready.numbers(), strict=True))
        self.counts = program.advances()
        self.namespace: dict[str, Any] = {"np": np, **code.data, **code.functions}
        exec("\n".join(setup_lines(code)), self.namespace)
        flow = Flow(program.calls)
        self.written = {id(root(a.array)) for a in program.written_outside(flow)}
        self.names = CNames()
        words = (name, f"{name}_state", f"{name}_init", f"{name}_run", "state", "i")
        for word in (*words, *self.numbers):
            self.names.fresh(word)
        self.memories: dict[int, _Memory] = {}

    # Where arrays lie

    def _memory(self, array: Any, wish: str) -> _Memory:
        """Return the memory that an array lies in."""
        base = root(array)
        found = self.memories.get(id(base))
        if found is None:
            known = {id(a): n for n, a in self.namespace.items() if root(a) is a}
            kept = {id(root(a)) for a in self.code.data.values()}
            other = f"{wish}_memory" if id(base) in kept else "buffer"
            name = self.names.fresh(known.get(id(base), other))
            held = id(base) in kept
            fixed = held and id(base) not in self.written
            ravelled = base.ravel(order="K") if held else None
            found = self.memories[id(base)] = _Memory(name, ravelled, base.size, base.dtype, fixed)
        return found

    def _pointer(self, var: Var, begin: int = 0) -> str:
        if var.kind == "arg":
            return f"{self.arguments[var]} + {begin}" if begin else self.arguments[var]
        array = self.namespace[self.code.names[var]]
        memory = self._memory(array, self.code.names[var])
        start = _address(array) - _address(root(array))
        text = memory.name if memory.is_fixed else f"state->{memory.name}"
        first = start // memory.dtype.itemsize + begin
        return f"{text} + {first}" if first else text

    # The text

    def write(self) -> tuple[str, str]:
        """Return the source and the header."""
        program, code, unit = self.program, self.code, self.unit
        scope = CNames()
        scope.fresh("state")
        self.arguments = {v: scope.fresh(name) for name, v in code.arguments}
        for v in self.arguments:
            if not has_type(v.dtype):
                raise TypeError(f"C99 has no numbers of the dtype {v.dtype}")
        results = [v for v in program.results if isinstance(v, Var)]
        checks = any(f.returns for part in unit.parts for f in part.functions)
        single = len(results) == 1 and not results[0].ndim
        outs = {} if single else {v: scope.fresh(f"{code.names[v]}_out") for v in results}
        calls = []
        for part in unit.parts:
            for f in part.functions:
                given = [self._pointer(v, begin) for v, begin in f.arrays]
                given += [self._formula(formula) for formula in f.numbers]
                call = f"{f.name}({', '.join(given)})"
                wrong = self._wrong(single, results)
                calls.append(f"if ({call}) return {wrong};" if f.returns else f"{call};")
        calls += [f"state->{count} += {n};" for count, n in self.counts.items()]
        ends: list[str] = []
        for v, out in outs.items():
            ends += self._copy_result(v, out)
        if single:
            ends.append(f"return {self._element(results[0])};")
        elif checks:
            ends.append("return 0;")
        for _, grad in program.grads:
            if grad is not None and grad in code.names and code.names[grad] in self.namespace:
                self._memory(self.namespace[code.names[grad]], code.names[grad])
        fields = [m for m in self.memories.values() if not m.is_fixed]
        fixed = [m for m in self.memories.values() if m.is_fixed]
        has_state = bool(fields or self.numbers)
        kind = type_name(results[0].dtype) if single else "int" if checks else "void"
        run = self.name if self.name == "predict" else f"{self.name}_run"
        taken = [f"{self.name}_state *state"] if has_state else []
        taken += [f"const {type_name(v.dtype)} *{n}" for v, n in self.arguments.items()]
        taken += [f"{type_name(v.dtype)} *{out}" for v, out in outs.items()]
        prototype = f"{kind} {run}({', '.join(taken) or 'void'})"
        begins = [m for m in fields if m.array is not None]
        init = bool(begins or self.numbers)
        ram = sum(m.bytes for m in fields) + 8 * len(self.numbers)
        flash = sum(m.bytes for m in (*fixed, *begins))
        loops = any("for (i = 0;" in line for line in ends)
        body = (["ptrdiff_t i;"] if loops else []) + calls + ends
        used = [n for n in self.arguments.values() if not any(n in line for line in body)]
        body = body[:loops] + [f"(void){n};" for n in used] + body[loops:]
        functions = [f for part in unit.parts for f in part.functions]
        helpers = dict.fromkeys(text for f in functions for text in f.helpers)
        lines = [
            f"/* {self._title()} See {self.header}. */", "", f'#include "{self.header}"', "",
            "#include <math.h>", "#include <stddef.h>", "#include <string.h>", "", MACROS,
        ]  # fmt: skip
        lines += [self._constant(m, m.name) for m in fixed]
        lines += [*helpers]
        for text in dict.fromkeys(f.text for f in functions):
            lines += [text, ""]
        if init:
            lines += [self._constant(m, f"{m.name}_at_first") for m in begins]
            lines += self._init(begins)
        lines += [f"{prototype} {{", *("    " + line for line in body), "}", ""]
        declared = self._header(prototype, fields if has_state else None, init, ram, flash, checks)
        return "\n".join(lines), declared

    def _title(self) -> str:
        return "A training step." if self.written else "A function of arrays."

    def _header(
        self, prototype: str, fields: Sequence[_Memory] | None, init: bool, ram: int, flash: int,
        checks: bool,
    ) -> str:  # fmt: skip
        guard = self.header.upper()
        guard = "".join(c if c.isalnum() and c.isascii() else "_" for c in guard)
        guard = f"RETROGRAD_{guard}"
        about = [f"{self._title()} It needs C99 and its mathematical functions alone.", ""]
        about += [f"    {n}: {v.shape} {v.dtype}" for v, n in self.arguments.items()]
        if fields is not None:
            about += [
                "",
                f"RAM: {ram} bytes, all of them in {self.name}_state, and a little stack.",
            ]
        else:
            about += ["", "RAM: a little stack."]
        about += [f"Flash: {flash} bytes of numbers, besides the code."]
        if checks:
            about += ["A class number that is none gives nan, or 1, and trains nothing."]
        lines = ["/* " + "\n   ".join(about).replace("\n   \n", "\n\n"), "*/", ""]
        lines += [f"#ifndef {guard}", f"#define {guard}", "", "#include <stdint.h>", ""]
        if fields is not None:
            lines.append("typedef struct {")
            for count in self.numbers:
                lines.append(f"    double {count};")
            for m in sorted(fields, key=lambda m: -m.dtype.itemsize):
                lines.append(f"    {type_name(m.dtype)} {m.name}[{m.size}];")
            lines += [f"}} {self.name}_state;", ""]
            if init:
                lines += ["/* Begin with what was there when this file was written. */"]
                lines += [f"void {self.name}_init({self.name}_state *state);", ""]
        lines += [f"{prototype};", "", "#endif", ""]
        return "\n".join(lines)

    def _init(self, begins: Sequence[_Memory]) -> list[str]:
        lines = [f"void {self.name}_init({self.name}_state *state) {{"]
        for count, value in self.numbers.items():
            lines.append(f"    state->{count} = {number(float(value), np.dtype(np.float64))};")
        lines += [
            f"    memcpy(state->{m.name}, {m.name}_at_first, sizeof state->{m.name});"
            for m in begins
        ]
        return [*lines, "}", ""]

    @staticmethod
    def _constant(m: _Memory, name: str) -> str:
        values = ", ".join(number(v, m.dtype) for v in m.array)
        text = "\n".join(textwrap.wrap(values, 92, initial_indent="    ", subsequent_indent="    "))
        return f"static const {type_name(m.dtype)} {name}[{m.size}] = {{\n{text}\n}};\n"

    def _wrong(self, single: bool, results: Sequence[Var]) -> str:
        if not single:
            return "1"
        return "NAN" if results[0].dtype.kind == "f" else "0"

    def _element(self, var: Var) -> str:
        return f"*({self._result_pointer(var)})" if var.kind != "arg" else f"*{self.arguments[var]}"

    def _result_pointer(self, var: Var) -> str:
        if var.kind == "arg":
            return self.arguments[var]
        return self._pointer(var)

    def _copy_result(self, var: Var, out: str) -> list[str]:
        """Return the lines that copy a result, element by element in its order."""
        place = self._places(var)
        text, strides = place
        terms, size = [], var.size
        step = size
        for n, stride in zip(var.shape, strides, strict=True):
            step //= n
            if n > 1:
                index = f"i / {step} % {n}" if step > 1 else f"i % {n}"
                terms.append(f"{index} * {stride}" if stride != 1 else f"({index})")
        in_order = all(
            s == math.prod(var.shape[d + 1 :]) or n == 1
            for d, (n, s) in enumerate(zip(var.shape, strides, strict=True))
        )
        index = "i" if in_order else " + ".join(terms) or "0"
        return [f"for (i = 0; i < {size}; i++) {out}[i] = ({text})[{index}];"]

    def _places(self, var: Var) -> tuple[str, tuple[int, ...]]:
        if var.kind == "arg":
            return self.arguments[var], tuple(
                math.prod(var.shape[d + 1 :]) for d in range(var.ndim)
            )
        array = self.namespace.get(self.code.names[var])
        if array is None:
            raise TypeError(
                "a result that is a view of an argument has no form in C: return a copy of it"
            )
        return self._pointer(var), tuple(s // array.itemsize for s in array.strides)

    def _formula(self, e: Expression) -> str:
        """Return a formula of numbers that a run reads, as C text."""
        if isinstance(e, Name):
            return f"state->{e.text}"
        if isinstance(e, Literal):
            return number(float(e.value), np.dtype(np.float64))
        if isinstance(e, Negative):
            return f"(-{self._formula(e.of)})"
        assert isinstance(e, Operation)
        left, right = self._formula(e.left), self._formula(e.right)
        return f"pow({left}, {right})" if e.symbol == "**" else f"({left} {e.symbol} {right})"


def _address(array: Any) -> int:
    found: int = array.__array_interface__["data"][0]
    return found
