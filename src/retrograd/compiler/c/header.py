"""The header of an exported file: what can be called, with what, and how much memory it takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from retrograd.compiler.built_in import BUILT_IN
from retrograd.compiler.c.code import Function
from retrograd.compiler.c.draws import WORDS
from retrograd.compiler.c.memories import Memory
from retrograd.compiler.c.types import type_name
from retrograd.compiler.ir import Var

_BYTES = {
    "double": 8, "float": 4,
    **{f"{sign}int{n}_t": n // 8 for sign in ("", "u") for n in (8, 16, 32, 64)},
}  # fmt: skip
_LOCAL = re.compile(r"\b(double|float|u?int\d+_t) \w+((?:\[\d+\])+);")

# a compiler may take a header of such a name for its own
_STANDARD_TEXT = """
assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdarg
stdbool stddef stdint stdio stdlib string tgmath time wchar wctype
"""
_STANDARD = {*_STANDARD_TEXT.split()}


def check_name(path: Path) -> None:
    """Raise ValueError if a file has a name that no C file can have."""
    if path.stem in _STANDARD:
        raise ValueError(
            f"export would write {path.stem}.h, which compilers have already: give the file "
            "another name"
        )
    if re.search(r'["\\\x00-\x1f]', path.name):
        raise ValueError(
            f"a header named like {path.name!r} cannot be included: give the file a name without "
            "quotation marks, backslashes and line ends"
        )


def find_prefix(path: Path) -> str:
    """Return what the names of a file begin with: the name of the file, as C writes names."""
    stem = re.sub(r"[^0-9a-zA-Z_]", "_", path.stem).strip("_") or "program"
    return f"n{stem}" if stem[0].isdigit() else stem


def bytes_on_stack(functions: Iterable[Function]) -> int:
    """Return how much the arrays of the function take that has the most of them."""
    most = 0
    for function in functions:
        total = 0
        for kind, lengths in _LOCAL.findall(function.text):
            count = _BYTES[kind]
            for length in re.findall(r"\d+", lengths):
                count *= int(length)
            total += count
        most = max(most, total)
    return most


@dataclass(slots=True)
class Interface:
    """What a file offers.

    Args:
        title: what it is, as a sentence.
        header: the name of its header.
        prefix: what the names begin with.
        arguments: the arguments and their names.
        outs: the arrays that results are copied to, and their names.
        result: what `run` returns, in words, or "".
        prototype: of the function that runs.
        numbers: the numbers that a run reads anew, as they are in the struct.
        draws: whether it draws.
        fields: the arrays of the struct.
        fixed: the constants.
        has_init: whether there is something to begin with.
        stack: the bytes of the largest arrays on the stack.
        checks: whether a run may find that an argument is wrong.
        built_in: numbers that were found outside and stay what they were, line by line.
    """

    title: str
    header: str
    prefix: str
    arguments: Mapping[Var, str]
    outs: Mapping[Var, str]
    result: str
    prototype: str
    numbers: Sequence[str]
    draws: bool
    fields: Sequence[Memory]
    fixed: Sequence[Memory]
    has_init: bool
    stack: int
    checks: bool
    built_in: Sequence[str]

    @property
    def has_state(self) -> bool:
        """Whether there is a struct."""
        return bool(self.fields or self.numbers or self.draws)

    def bytes_of_state(self) -> int:
        """Return the size of the struct, on a device where it is a multiple of its largest part."""
        sizes = [8] * (len(self.numbers) + WORDS * self.draws)
        largest = max([*sizes[:1], *(m.dtype.itemsize for m in self.fields)], default=1)
        total = sum(sizes) + sum(m.bytes for m in self.fields)
        return -(-total // largest) * largest

    def write(self) -> str:
        """Return the header."""
        guard = f"RETROGRAD_{re.sub(r'[^0-9A-Z]', '_', self.header.upper())}"
        lines = ["/*", *(f"   {line}".rstrip() for line in self._about()), "*/", ""]
        lines += [f"#ifndef {guard}", f"#define {guard}", "", "#include <stdint.h>", ""]
        lines += ["#ifdef __cplusplus", 'extern "C" {', "#endif", ""]
        if self.has_state:
            lines += self._struct()
        lines += [f"{self.prototype};", "", "#ifdef __cplusplus", "}", "#endif", "", "#endif", ""]
        return "\n".join(lines)

    def _about(self) -> list[str]:
        lines = [f"{self.title} It needs C99 and its mathematical functions alone.", ""]
        shown = [("takes", self.arguments), ("fills", self.outs)]
        for verb, values in shown:
            if values:
                lines.append(f"It {verb}, with the elements of arrays in the order of C:")
                lines += [f"    {name}: {v.shape} {v.dtype}" for v, name in values.items()]
                lines.append("")
        if self.result:
            lines += [f"It returns {self.result}.", ""]
        stack = f"{self.stack} bytes of arrays on the stack" if self.stack else "a little stack"
        if self.has_state:
            size = self.bytes_of_state()
            lines.append(f"RAM: {size} bytes, all of them in {self.prefix}_state, and {stack}.")
        else:
            lines.append(f"RAM: {stack}.")
        numbers = sum(m.bytes for m in (*self.fixed, *(m for m in self.fields if m.is_held)))
        lines.append(f"Flash: {numbers} bytes of numbers, besides the code.")
        if self.has_state:
            lines.append(f"Each thread needs a {self.prefix}_state of its own, and arrays that are")
            lines.append("passed lie outside of it.")
        if self.checks:
            lines.append("A class number that is none gives nan, or 1, and trains nothing.")
        if self.built_in:
            lines += ["", BUILT_IN, *(f"    {line}" for line in self.built_in)]
        return lines

    def _struct(self) -> list[str]:
        state = f"{self.prefix}_state"
        lines = ["typedef struct {", *(f"    double {name};" for name in self.numbers)]
        if self.draws:
            lines.append(f"    uint64_t random[{WORDS}];")
        # the larger numbers first, so that there are no gaps
        for m in sorted(self.fields, key=lambda m: -m.dtype.itemsize):
            told = m.describe()
            if told:
                lines += ["    /* " + ",\n       ".join(told) + " */"]
            lines.append(f"    {m.declaration()};")
        lines += [f"}} {state};", ""]
        if self.has_init:
            lines += ["/* Begin with what was there when this file was written. */"]
            lines += [f"void {self.prefix}_init({state} *state);", ""]
        if self.draws:
            lines += ["/* Draw other numbers than those after init, which seeds with 0. */"]
            lines += [f"void {self.prefix}_seed({state} *state, uint64_t seed);", ""]
        return lines


def parameter(var: Var, name: str) -> str:
    """Return how a function takes an argument: a number by its value."""
    kind = type_name(var.dtype)
    return f"const {kind} *{name}" if var.ndim else f"{kind} {name}"
