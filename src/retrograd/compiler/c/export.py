"""A program as a C99 file that stands alone, with a header: for devices without Python."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.compiler.assembly import Step, assemble_by
from retrograd.compiler.c.assembly import CAssembly, uses_numpy
from retrograd.compiler.c.code import Function
from retrograd.compiler.c.draws import Draw, DrawFunction, has_draw, seed_lines, write_draw
from retrograd.compiler.c.groups import Group
from retrograd.compiler.c.header import (
    Interface,
    bytes_on_stack,
    check_name,
    find_prefix,
    parameter,
)
from retrograd.compiler.c.memories import Memories, Memory
from retrograd.compiler.c.names import CNames
from retrograd.compiler.c.places import in_order
from retrograd.compiler.c.types import has_type, number, type_name
from retrograd.compiler.ir import Call, Program, Var
from retrograd.compiler.passes import stack
from retrograd.compiler.statements import Expression, Literal, Name, Negative, Operation
from retrograd.compiler.writer import PYTHON, setup_lines
from retrograd.files import write_whole

if TYPE_CHECKING:
    from retrograd.compiler.program import ReadyProgram

MACROS = """\
/* A program may ask of numbers without a sign whether they are below 0, which compilers warn of. */
#ifdef __GNUC__
#pragma GCC diagnostic ignored "-Wtype-limits"
#endif
/* A compiler may put sums together in any order where it is told so, and then uses vectors:
   compile with -DVECTORS -fopenmp-simd for that. */
#ifdef VECTORS
#ifdef __clang__ /* which warns of loops where vectors do not pay */
#pragma clang diagnostic ignored "-Wpass-failed"
#endif
#define PRAGMA(text) _Pragma(#text)
#define SUMS(...) PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#define TOGETHER PRAGMA(omp simd)
#else
#define SUMS(...)
#define TOGETHER
#endif
#define MULTIPLY_ADD(x, y, sum) ((x) * (y) + (sum))
/* x for 1 and y for 0 */
#define CHOOSE_F32(one, x, y) ((one) ? (x) : (y))
#define CHOOSE_F64(one, x, y) ((one) ? (x) : (y))
"""


def export_c(
    ready: ReadyProgram, is_module: bool, path: Any, overwrite: bool, built_in: Sequence[str] = ()
) -> None:
    """Write a program as C, and its header beside it.

    Args:
        ready: the program.
        is_module: whether it is that of a Module, which predicts.
        path: where the file is to be; it ends in `.c`.
        overwrite: whether files that are there already are replaced.
        built_in: what is built in, line by line: see `find_built_in`.
    """
    target = Path(path)
    header = target.with_suffix(".h")
    check_name(target)
    source, declared = _Writer(ready, is_module, target, built_in).write()
    for file in (target, header):
        if file.exists() and not overwrite:
            raise FileExistsError(f"{file} exists: pass overwrite=True to replace it")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {target.parent}")
    write_whole(header, lambda file: file.write(declared.encode()))
    write_whole(target, lambda file: file.write(source.encode()))


class _Assembly(CAssembly):
    """Code of which C does all, random draws too."""

    def _form_of(self, call: Call) -> Any:
        if call.kind == "draw":
            return Draw(call) if has_draw(call) else None
        return super()._form_of(call)

    def _write_functions(self, group: Group) -> list[Function]:
        if isinstance(group.forms[0], Draw):
            return [write_draw("DRAW", group.forms[0], self.places, self.wish)]
        return super()._write_functions(group)


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
        # results are copied from where views of them lie, and of no elements none are copied
        if call.view_of is not None or not any(v.size for v in call.outs):
            continue
        what = "a random draw" if call.kind == "draw" else f"`{PYTHON.statement(step.statement)}`"
        instead = _INSTEAD.get(call.fn, "Write it with other functions")
        raise TypeError(
            f"{what} has no form in C, from{call.line}\n{instead}, or export to a script that "
            'needs NumPy, export("step.py")'
        )


# what to write in the place of calls that have a form with other options
_INSTEAD: dict[Any, str] = {
    np.argsort: 'Say which of equal elements comes first, kind="stable", along one axis',
    np.argpartition: 'Write np.argsort(x, kind="stable")',
    np.digitize: "Write its bins as numbers in a list that go up",
}


class _Writer:
    """Writes one program."""

    def __init__(
        self, ready: ReadyProgram, is_module: bool, target: Path, built_in: Sequence[str]
    ) -> None:
        self.built_in = built_in
        self.program = program = stack(ready.plain)
        assembly = _Assembly(program, alone=True)
        self.code = code = assemble_by(assembly, program)
        assembly.gather_parts()
        _refuse(program, uses_numpy(code))
        self.places = assembly.places
        self.functions = [f for part in assembly.unit.parts for f in part.functions]
        self.prefix = prefix = find_prefix(target)
        self.header = target.with_suffix(".h").name
        self.run = f"{prefix}_run"
        if is_module:
            self.run = "predict" if prefix == "predict" else f"{prefix}_predict"
        self.counts = program.advances()

        namespace: dict[str, Any] = {"np": np, **code.data, **code.functions}
        exec("\n".join(setup_lines(code)), namespace)
        arrays = {name: a for name, a in namespace.items() if isinstance(a, np.ndarray)}
        self.memories = Memories(arrays, code.names, ready.written)

        # all names of the file are different ones, so that none hides another
        self.names = CNames()
        helpers = "\n".join(h for f in self.functions for h in f.helpers)
        taken = [f.name for f in self.functions] + re.findall(r"^static \w+ (\w+)", helpers, re.M)
        for word in (
            *taken,
            prefix,
            self.run,
            *(f"{prefix}_{w}" for w in ("state", "init", "seed")),
        ):
            self.names.fresh(word)
        numbers = zip(code.lives, ready.numbers(), strict=True)
        self.numbers = {name: (self.names.fresh(name), value) for name, value in numbers}
        self.arguments = {v: self.names.fresh(name) for name, v in code.arguments}

    def write(self) -> tuple[str, str]:
        """Return the source and the header."""
        results = [*dict.fromkeys(v for v in self.program.results if isinstance(v, Var))]
        for v in (*self.arguments, *results):
            if not has_type(v.dtype):
                raise TypeError(
                    f"C99 has no numbers of the dtype {v.dtype}, which an argument or a result of "
                    "this program has"
                )
        checks = any(f.returns for f in self.functions)
        draws = any(isinstance(f, DrawFunction) for f in self.functions)
        single = len(results) == 1 and not results[0].ndim
        single &= not checks or results[0].dtype.kind == "f"
        code = self.code
        outs = {} if single else {v: self.names.fresh(f"{code.names[v]}_out") for v in results}
        for f in self.functions:
            for v, _ in f.arrays:
                if v not in self.arguments:
                    self.memories.find(v)
        for v in results:
            self._place(v)
        memories = self.memories.name(self.names.fresh, self.prefix)
        fields = [m for m in memories if not m.is_fixed]
        fixed = [m for m in memories if m.is_fixed]
        begins = [m for m in fields if m.is_held]

        kind = type_name(results[0].dtype) if single else "int" if checks else "void"
        told = f"{code.names[results[0]]}, a number" if single else ""
        interface = Interface(
            title="A training step." if self.written(fields) else "A function of arrays.",
            header=self.header, prefix=self.prefix, arguments=self.arguments, outs=outs,
            result=told, prototype="", numbers=[name for name, _ in self.numbers.values()],
            draws=draws, fields=fields, fixed=fixed,
            has_init=bool(begins or self.numbers or draws),
            stack=bytes_on_stack(self.functions), checks=checks, built_in=self.built_in,
        )  # fmt: skip
        taken = [f"{self.prefix}_state *state"] if interface.has_state else []
        taken += [parameter(v, name) for v, name in self.arguments.items()]
        taken += [f"{type_name(v.dtype)} *{name}" for v, name in outs.items()]
        interface.prototype = f"{kind} {self.run}({', '.join(taken) or 'void'})"
        body = self._body(outs, results if single else [], checks, interface.has_state)

        helpers = dict.fromkeys(text for f in self.functions for text in f.helpers)
        lines = [
            f"/* {interface.title} See {self.header}. */", "", f'#include "{self.header}"', "",
            "#include <math.h>", "#include <stddef.h>", "#include <string.h>", "", MACROS,
            *(m.constant() for m in fixed), *helpers,
        ]  # fmt: skip
        for text in dict.fromkeys(f.text for f in self.functions):
            lines += [text, ""]
        if draws:
            lines += self._seed()
        if interface.has_init:
            lines += self._init(begins, draws)
        lines += [f"{interface.prototype} {{", *("    " + line for line in body), "}", ""]
        return "\n".join(lines), interface.write()

    @staticmethod
    def written(fields: Iterable[Memory]) -> bool:
        """Tell whether a run changes what the next one reads."""
        return any(m.is_held for m in fields)

    def _body(
        self, outs: Mapping[Var, str], returned: list[Var], checks: bool, has_state: bool
    ) -> list[str]:
        calls = []
        wrong = "NAN" if returned else "1"
        for f in self.functions:
            given = ["state->random"] if isinstance(f, DrawFunction) else []
            given += [self._pointer(v, begin) for v, begin in f.arrays]
            given += [self._formula(formula) for formula in f.numbers]
            call = f"{f.name}({', '.join(given)})"
            calls.append(f"if ({call}) return {wrong};" if f.returns else f"{call};")
        calls += [f"state->{self.numbers[name][0]} += {n};" for name, n in self.counts.items()]
        for v, out in outs.items():
            calls += self._copy_result(v, out)
        if returned:
            pointer, _ = self._place(returned[0])
            calls.append(f"return *({pointer});")
        elif checks:
            calls.append("return 0;")
        words = {*re.findall(r"\w+", "\n".join(calls))}
        given = [*self.arguments.values(), *outs.values(), *(["state"] if has_state else [])]
        unused = [f"(void){name};" for name in given if name not in words]
        counter = ["ptrdiff_t i;"] if any("for (i = 0;" in line for line in calls) else []
        return [*counter, *unused, *calls]

    def _pointer(self, var: Var, begin: int = 0) -> str:
        if var in self.arguments:
            name = self.arguments[var]
            text = name if var.ndim else f"&{name}"
        else:
            memory, at = self.memories.find(var)
            text = memory.name if memory.is_fixed else f"state->{memory.name}"
            begin += at
        return f"{text} + {begin}" if begin else text

    def _place(self, var: Var) -> tuple[str, tuple[int, ...]]:
        """Return where a result lies, and its strides in elements."""
        if not var.size:
            return "", in_order(var.shape)
        place = self.places.find(var)
        if place is None or (
            place.root not in self.arguments and place.root not in self.code.names
        ):
            raise TypeError(
                f"a result of the shape {var.shape} lies where C cannot find it: return a copy"
            )
        return self._pointer(place.root, place.offset), place.strides

    def _copy_result(self, var: Var, out: str) -> list[str]:
        """Return the lines that copy a result, element by element in its order."""
        text, strides = self._place(var)
        terms, step = [], var.size
        if not step:
            return []
        for n, stride in zip(var.shape, strides, strict=True):
            step //= n
            if n > 1 and stride:
                index = f"i / {step} % {n}" if step > 1 else f"i % {n}"
                terms.append(f"{index} * {stride}" if stride != 1 else f"({index})")
        pairs = zip(var.shape, strides, in_order(var.shape), strict=True)
        is_in_order = all(n == 1 or a == b for n, a, b in pairs)
        index = "i" if is_in_order else " + ".join(terms) or "0"
        return [f"for (i = 0; i < {var.size}; i++) {out}[i] = ({text})[{index}];"]

    def _seed(self) -> list[str]:
        lines = [f"void {self.prefix}_seed({self.prefix}_state *state, uint64_t seed) {{"]
        return [*lines, *("    " + line for line in seed_lines("state->random", "seed")), "}", ""]

    def _init(self, begins: Iterable[Memory], draws: bool) -> list[str]:
        lines = [m.constant(f"{m.name}_at_first") for m in begins]
        lines.append(f"void {self.prefix}_init({self.prefix}_state *state) {{")
        for name, value in self.numbers.values():
            lines.append(f"    state->{name} = {number(float(value), np.dtype(np.float64))};")
        lines += [
            f"    memcpy(state->{m.name}, {m.name}_at_first, sizeof state->{m.name});"
            for m in begins
        ]
        lines += [f"    {self.prefix}_seed(state, 0);"] * draws
        return [*lines, "}", ""]

    def _formula(self, e: Expression) -> str:
        """Return a formula of numbers that a run reads, as C text."""
        if isinstance(e, Name):
            return f"state->{self.numbers[e.text][0]}"
        if isinstance(e, Literal):
            return number(float(e.value), np.dtype(np.float64))
        if isinstance(e, Negative):
            return f"(-{self._formula(e.of)})"
        assert isinstance(e, Operation)
        left, right = self._formula(e.left), self._formula(e.right)
        return f"pow({left}, {right})" if e.symbol == "**" else f"({left} {e.symbol} {right})"
