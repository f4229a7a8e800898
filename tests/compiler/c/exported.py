"""Exported C files, compiled strictly by whichever compilers there are, and run in a process."""

import functools
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from retrograd.compiler.c.header import find_prefix
from retrograd.compiler.c.types import number, type_name

STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
SANITIZED = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
COMPILERS = {
    "gcc": ["gcc", "-O1"],
    "clang": ["clang", "-O1"],
    "gcc for 32 bits": ["gcc", "-m32", "-O1"],
    "clang for 32 bits": ["clang", "-m32", "-O1"],
    "gcc with sanitizers": ["gcc", *SANITIZED],
    "clang with sanitizers": ["clang", *SANITIZED],
    "gcc with vectors": ["gcc", "-O3", "-DVECTORS", "-fopenmp-simd"],
    "clang with vectors": ["clang", "-O3", "-DVECTORS", "-fopenmp-simd"],
}
PROBE = (
    "#include <math.h>\nint main(int n, char **v) { (void)v; return n == 1 ? 0 : (int)sqrt(n); }"
)


@functools.cache
def why_not(name):
    """Return why a compiler cannot be used here, or ""."""
    command = COMPILERS[name]
    if shutil.which(command[0]) is None:
        return f"there is no {command[0]}"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "probe.c").write_text(PROBE)
        line = [*command, "probe.c", "-o", "probe", "-lm"]
        made = subprocess.run(line, cwd=folder, capture_output=True, check=False)
        works = (
            made.returncode == 0 and not subprocess.run([f"{folder}/probe"], check=False).returncode
        )
    return "" if works else f"{' '.join(command)} makes no programs here"


def require(name):
    """Return the command of a compiler, or skip the test."""
    reason = why_not(name)
    if reason:
        pytest.skip(reason)
    return COMPILERS[name]


@dataclass
class Exported:
    """A file and what its header tells.

    Args:
        file: where it is.
        header: the text of its header.
    """

    file: Path
    header: str

    @classmethod
    def of(cls, step, file):
        """Export a step."""
        step.export(file, overwrite=True)
        return cls(file, file.with_suffix(".h").read_text())

    @property
    def prefix(self):
        return find_prefix(self.file)

    @property
    def prototype(self):
        """What it returns, its name and its parameters."""
        found = re.findall(r"^(\w+) (\w+)\(([^)]*)\);", self.header, re.M)
        return next(p for p in found if p[1].endswith(("_run", "predict")))

    @property
    def has_state(self):
        return f"}} {self.prefix}_state;" in self.header

    @property
    def ram(self):
        """The bytes of the struct that the header tells."""
        found = re.search(r"RAM: (\d+) bytes", self.header)
        return int(found[1]) if found else 0

    def main(self, calls, outs, seed=None):
        """Return a C program that runs the file and prints its results, each on a line.

        Args:
            calls: the arguments of each call, as arrays.
            outs: the size of each array that it fills.
            seed: what to seed its generator with.
        """
        kind, name, taken = self.prototype
        params = [p.strip() for p in taken.split(",") if "_state" not in p and p != "void"]
        lines = [
            "#include <math.h>",
            "#include <stdio.h>",
            f'#include "{self.file.with_suffix(".h").name}"',
        ]
        given = ["&state"] if self.has_state else []
        body = ["int i = 0;", "(void)i;"]
        if self.has_state:
            lines.append(f"static {self.prefix}_state state;")
            body.append('printf("%d\\n", (int)sizeof state);')
        if f"void {self.prefix}_init(" in self.header:
            body.append(f"{self.prefix}_init(&state);")
        if seed is not None:
            body.append(f"{self.prefix}_seed(&state, {seed}u);")
        filled = [p for p in params if "*" in p and not p.startswith("const")]
        for i, (p, n) in enumerate(zip(filled, outs, strict=True)):
            lines.append(f"static {p.split()[0]} out{i}[{max(n, 1)}];")
        for c, call in enumerate(calls):
            words = []
            for i, a in enumerate(call):
                a = np.asarray(a)
                values = ", ".join(number(v, a.dtype) for v in a.ravel()) or "0"
                lines.append(f"static const {type_name(a.dtype)} x{c}_{i}[] = {{{values}}};")
                words.append(f"x{c}_{i}" if a.ndim else f"*x{c}_{i}")
            words = [*given, *words, *(f"out{i}" for i in range(len(outs)))]
            text = f"{name}({', '.join(words)})"
            body.append(f'printf("%.17g\\n", (double){text});' if kind != "void" else f"{text};")
            for i, n in enumerate(outs):
                body.append(f'for (i = 0; i < {n}; i++) printf("%.17g ", (double)out{i}[i]);')
                body.append('printf("\\n");')
        lines += ["int main(void) {", *("    " + line for line in body), "    return 0;", "}", ""]
        return "\n".join(lines)

    def run(self, compiler, calls, outs=(), seed=None):
        """Return what each call returned, if that is a number, and filled.

        Args:
            compiler: its name in `COMPILERS`, which must be there.
            calls, outs, seed: as for `main`.
        """
        folder = self.file.parent
        (folder / "main.c").write_text(self.main(calls, outs, seed))
        line = [*COMPILERS[compiler], *STRICT, "main.c", self.file.name, "-o", "main", "-lm"]
        compile_strictly(line, folder)
        quiet = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
        ran = subprocess.run(
            [folder / "main"], capture_output=True, text=True, check=False, env=quiet
        )
        assert ran.returncode == 0, ran.stderr
        lines = ran.stdout.split("\n")[:-1]
        if self.has_state:
            size, lines = int(lines[0]), lines[1:]
            # on devices of 32 bits a struct may end sooner
            assert self.ram - 7 <= size <= self.ram if "32" in compiler else size == self.ram
        found = [np.array(line.split(), float) for line in lines]
        each = len(outs) + (self.prototype[0] != "void")
        return [found[i : i + each] for i in range(0, len(found), each)] if each else []


def compile_strictly(line, folder):
    """Run a compiler, which must have nothing to say."""
    made = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
    assert made.returncode == 0, f"{' '.join(map(str, line))}\n{made.stderr}"
    assert not made.stderr, made.stderr
