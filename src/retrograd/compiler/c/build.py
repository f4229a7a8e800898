"""A C source as functions of this process: compiled once, kept in a folder of the user's own."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from retrograd.compiler.lines import CompilerNotFoundError
from retrograd.files import write_whole

FLAGS = (
    "-std=c99", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math",
    "-ffp-contract=off", "-fopenmp-simd", "-w", "-shared", "-fPIC",
)  # fmt: skip
# functions of whole vectors are in a library of their own where there are any
LIBRARIES = (
    ("-Wl,--as-needed", "-lmvec", "-lm")
    if platform.libc_ver()[0] == "glibc" and platform.machine() == "x86_64"
    else ("-lm",)
)
NAMES = ("cc", "gcc", "clang")
SEAL = hashlib.sha256().digest_size


@functools.cache
def _find_named(named: str, path: str) -> tuple[str, ...]:
    if named:
        words = shlex.split(named)
        found = shutil.which(words[0], path=path) if words else None
        if found is None:
            raise CompilerNotFoundError(
                f"the environment variable CC names {named!r}, which is no program here: let it "
                "name a C compiler, such as gcc, or leave it unset"
            )
        return (found, *words[1:])
    for name in NAMES:
        found = shutil.which(name, path=path)
        if found:
            return (found,)
    raise CompilerNotFoundError(
        'rg.compile(fn, target="c") needs a C compiler, and none of cc, gcc and clang is on the '
        "PATH: install one (Debian and Ubuntu: apt install gcc; Fedora: dnf install gcc; macOS: "
        'xcode-select --install) or name yours in the environment variable CC; target="numpy" '
        "needs none"
    )


def find_compiler() -> tuple[str, ...]:
    """Return the command of the C compiler: what `CC` names, else cc, gcc or clang.

    Raises:
        CompilerNotFoundError: if there is none.
    """
    return _find_named(os.environ.get("CC", ""), os.environ.get("PATH", os.defpath))


@functools.cache
def _describe(command: tuple[str, ...]) -> str:
    """Return what tells a compiler apart, and the machine that it compiles for."""
    asked = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    cpu = platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu += next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return "\n".join([*command, asked.stdout, sys.platform, cpu])


def cache_folder() -> Path:
    """Return the folder that compiled programs are kept in, which is made if it is not there.

    It is `retrograd` in `XDG_CACHE_HOME`, or in `.cache` in the user's home. Where that cannot be
    made, or others may write into it, it is a new one that goes with the process.
    """
    home = os.environ.get("XDG_CACHE_HOME", "")
    with contextlib.suppress(OSError, RuntimeError):
        folder = (Path(home) if os.path.isabs(home) else Path.home() / ".cache") / "retrograd"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _is_own(folder):
            return folder
    return _passing_folder()


@functools.cache
def _passing_folder() -> Path:
    made = tempfile.TemporaryDirectory(prefix="retrograd-")
    _passing.append(made)  # it is removed at the end of the process
    return Path(made.name)


_passing: list[tempfile.TemporaryDirectory[str]] = []


def _is_own(folder: Path) -> bool:
    """Tell whether nobody else can put files into a folder."""
    about = folder.stat()
    if not hasattr(os, "getuid"):
        return os.access(folder, os.W_OK)
    others = stat.S_IWGRP | stat.S_IWOTH
    return about.st_uid == os.getuid() and not about.st_mode & others and os.access(folder, os.W_OK)


def build(source: str, libraries: Sequence[str] = LIBRARIES) -> ctypes.CDLL:
    """Compile a source, unless that was done before, and load it.

    Args:
        source: the source, in C99.
        libraries: options for what it is linked with.

    Raises:
        CompilerNotFoundError: if there is no compiler.
        RuntimeError: if it does not take the source.
    """
    file = cache_file(source, libraries)
    if not _is_whole(file):
        _compile(source, find_compiler(), libraries, file)
    return ctypes.PyDLL(str(file))


def cache_file(source: str, libraries: Sequence[str] = LIBRARIES) -> Path:
    """Return where the library of a source is kept: by the source, the compiler and the machine."""
    told = "\n".join([source, _describe(find_compiler()), *FLAGS, *libraries])
    return cache_folder() / f"{hashlib.sha256(told.encode()).hexdigest()[:32]}.so"


def _seal(file: Path) -> Path:
    return file.with_suffix(".sha256")


def _is_whole(file: Path) -> bool:
    """Tell whether a library is there as it was built."""
    try:
        return _seal(file).read_text() == hashlib.sha256(file.read_bytes()).hexdigest()
    except (OSError, UnicodeDecodeError):
        return False


def _compile(source: str, command: tuple[str, ...], libraries: Sequence[str], file: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="retrograd-") as folder:
        given, made = Path(folder, "program.c"), Path(folder, "program.so")
        given.write_text(source)
        line = [*command, *FLAGS, "-o", str(made), str(given), *libraries]
        ran = subprocess.run(line, capture_output=True, text=True, check=False)
        if ran.returncode or not made.exists():
            raise RuntimeError(
                f"the C compiler {command[0]} does not take the program:\n{ran.stderr.strip()}"
            )
        library = made.read_bytes()
    digest = hashlib.sha256(library).hexdigest()
    write_whole(file, lambda out: out.write(library))
    write_whole(_seal(file), lambda out: out.write(digest.encode()))
