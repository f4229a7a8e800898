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
    "-std=c99", "-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off",
    "-fopenmp-simd", "-w", "-shared", "-fPIC",
)  # fmt: skip
# for this machine alone, which not all compilers can be told
NATIVE = ("-march=native",)
# functions of whole vectors are in a library of their own where there are any
LIBRARIES = (
    ("-Wl,--as-needed", "-lmvec", "-lm")
    if platform.libc_ver()[0] == "glibc" and platform.machine() == "x86_64"
    else ("-lm",)
)
NAMES = ("cc", "gcc", "clang")


@functools.cache
def _find_named(named: str, path: str) -> tuple[str, ...]:
    if named.strip():
        whole = shutil.which(named, path=path)  # its path may have spaces in it
        try:
            words = [named] if whole else shlex.split(named)
        except ValueError:  # a quotation that does not end
            words = []
        found = whole or (shutil.which(words[0], path=path) if words else None)
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
    asked = _run([*command, "--version"])
    cpu = platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu += next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return "\n".join([*command, asked.stdout, sys.platform, cpu])


def _run(line: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a compiler, never through a shell.

    Raises:
        CompilerNotFoundError: if it cannot be run.
    """
    try:
        return subprocess.run(
            line, capture_output=True, text=True, errors="replace", check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except OSError as error:
        raise CompilerNotFoundError(
            f"the C compiler {line[0]} cannot be run: {error}. Name another one in the environment "
            "variable CC"
        ) from error


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


def _passing_folder() -> Path:
    # a child of this process may have removed it at its end
    if not _passing or not Path(_passing[-1].name).is_dir():
        _passing.append(tempfile.TemporaryDirectory(prefix="retrograd-"))
    return Path(_passing[-1].name)


# removed at the end of the process
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
    name = _file_name(source, libraries)
    try:
        return _build_in(cache_folder(), name, source, libraries)
    except OSError:  # the folder is full, or takes no programs
        return _build_in(_passing_folder(), name, source, libraries)


def cache_file(source: str, libraries: Sequence[str] = LIBRARIES) -> Path:
    """Return where the library of a source is kept: by the source, the compiler and the machine."""
    return cache_folder() / _file_name(source, libraries)


def _file_name(source: str, libraries: Sequence[str]) -> str:
    told = "\n".join([source, _describe(find_compiler()), *FLAGS, *NATIVE, *libraries])
    return f"{hashlib.sha256(told.encode()).hexdigest()[:32]}.so"


def _build_in(folder: Path, name: str, source: str, libraries: Sequence[str]) -> ctypes.CDLL:
    file = folder / name
    if not _is_whole(file):
        _compile(source, find_compiler(), libraries, file)
    return ctypes.PyDLL(str(file))


def _seal(file: Path) -> Path:
    return file.with_suffix(".sha256")


def _is_whole(file: Path) -> bool:
    """Tell whether a library is there as it was built."""
    try:
        return _seal(file).read_text() == hashlib.sha256(file.read_bytes()).hexdigest()
    except (OSError, UnicodeDecodeError):
        return False


def _compile(source: str, command: tuple[str, ...], libraries: Sequence[str], file: Path) -> None:
    library = _make_library(source, command, libraries)
    digest = hashlib.sha256(library).hexdigest()
    write_whole(file, lambda out: out.write(library))
    write_whole(_seal(file), lambda out: out.write(digest.encode()))


def _make_library(source: str, command: tuple[str, ...], libraries: Sequence[str]) -> bytes:
    """Return what a compiler makes of a source."""
    with tempfile.TemporaryDirectory(prefix="retrograd-") as folder:
        given, made = Path(folder, "program.c"), Path(folder, "program.so")
        given.write_text(source, encoding="utf-8")
        told = ""
        for native in (NATIVE, ()):
            ran = _run([*command, *FLAGS, *native, "-o", str(made), str(given), *libraries])
            if not ran.returncode and made.exists():
                return made.read_bytes()
            told = told or ran.stderr.strip() or "it has made nothing, and said nothing"
    raise RuntimeError(
        f"the C compiler {' '.join(command)} does not take the program, so name another one in the "
        f"environment variable CC, or leave out the target:\n{told}"
    )
