"""A readable program as a script: its source, what it was exported with, and a `main()`."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from retrograd.compiler.export import INLINE, MAIN, SAVE_AT_END, tell_built_in, write_script
from retrograd.compiler.readable.form import Parameter, Readable
from retrograd.compiler.writer import literal
from retrograd.engine import Array

HEAD = '''"""{title}

It needs NumPy only. `{name}({arguments})` runs it once; whatever else it takes is what it was
exported with, in `PARAMETERS`{state}.
{sizes}
Several threads may call it{turns}.{built_in}
As a script it takes the arguments by their names from a file and prints each result:

    python {file} ARRAYS.npz {options}
"""

import functools
import sys
import threading
'''

IN_TURN = """

def _in_turn(function):
    turn = threading.Lock()

    @functools.wraps(function)
    def run(*args, **options):
        with turn:
            return function(*args, **options)

    return run


{name} = _in_turn({name})"""

SAVE = '''

def save(path):
    """Write the arrays that are trained, each under its name, to a .npz file."""
    with open(path, "wb") as file:
        np.savez(file, **{{name: PARAMETERS[name] for name in TRAINED}})'''


def export_readable(
    readable: Readable, path: Any, overwrite: bool, built_in: Sequence[str] = ()
) -> None:
    """Answer `CompiledStep.export` with `readable=True`.

    Args:
        readable: the program.
        path: where the script is to be.
        overwrite: whether files that are there are replaced.
        built_in: what is built in, line by line: see `find_built_in`.
    """
    target = Path(path)
    saved: dict[str, Array] = {}
    write_script(target, saved, overwrite, lambda: _script(readable, target.name, saved, built_in))


def _script(readable: Readable, file: str, saved: dict[str, Array], built_in: Sequence[str]) -> str:
    given = [p for p in readable.parameters if p.role == "argument"]
    others = [p for p in readable.parameters if p.role != "argument"]
    written = {name for row in readable.rows for name in row.writes}
    trained = [p.name for p in others if p.name in written or p.role == "state"]
    refuse(others, {*trained})
    options = "[STEPS [SAVED.npz]]" if trained else "[STEPS]"
    imports, helpers = _split_imports(readable)
    head = HEAD.format(
        title="A training step." if trained else "A function of arrays.",
        name=readable.name, arguments=", ".join(p.name for p in given), file=file,
        state=", of which it updates arrays in place" if trained else "", options=options,
        sizes="It takes arrays of the shapes and dtypes in `ARGUMENTS`." if readable.note
        else "It takes batches of any size: the shapes in `ARGUMENTS` are those of one.",
        turns=": they take turns" if trained else "", built_in=tell_built_in(built_in),
    )  # fmt: skip
    shapes = [(p.name, p.shape, p.dtype.name) for p in given if p.dtype is not None]
    lines = [head.rstrip(), *imports]
    values = _values(others, saved)
    if saved:
        lines.append("from pathlib import Path")
    lines += ["", "import numpy as np", "", f"ARGUMENTS = {shapes!r}", "", ""]
    lines += [readable.function, *(f"\n\n{part}" for part in helpers), "", ""]
    lines += values
    lines.append(f"{readable.name}.__kwdefaults__ = PARAMETERS")
    if trained:
        lines.append(f"TRAINED = {trained!r}")
        lines.append(IN_TURN.format(name=readable.name))
        lines.append(SAVE.format())
    main = MAIN.format(
        name=readable.name, options=options, counts="(2, 3, 4)" if trained else "(2, 3)",
        saving=SAVE_AT_END if trained else "",
    )  # fmt: skip
    return "\n".join([*lines, main])


def _split_imports(readable: Readable) -> tuple[list[str], list[str]]:
    """Return the imports of the helpers, and the helpers themselves."""
    imports = [part for part in readable.helpers if part.startswith("import ")]
    lines = [line for part in imports for line in part.split("\n")]
    known = {"import functools", "import sys", "import threading"}
    return [line for line in lines if line not in known], [
        part for part in readable.helpers if part not in imports
    ]


def refuse(others: list[Parameter], trained: set[str]) -> None:
    """Raise TypeError where a script cannot hold what a program is passed."""
    for p in others:
        if p.role == "function":
            raise TypeError(f"export cannot find the source of {p.name}")
    arrays = [p for p in others if isinstance(p.value, np.ndarray) and p.value.size]
    for p, q in itertools.combinations(arrays, 2):
        if {p.name, q.name} & trained and np.may_share_memory(p.value, q.value):
            raise TypeError(
                f"{p.name} and {q.name} share memory, which they would not in a readable script: "
                "export without readable=True"
            )


def _values(others: list[Parameter], saved: dict[str, Array]) -> list[str]:
    """Return source for what the program is exported with; many elements go to `saved`."""
    arrays = {p.name: p.value for p in others if isinstance(p.value, np.ndarray)}
    large = sum(a.size for a in arrays.values()) > INLINE
    lines = []
    if large:
        saved.update(arrays)
        lines.append('_arrays = np.load(Path(__file__).with_suffix(".npz"), allow_pickle=False)')
    lines.append("PARAMETERS = {")
    for p in others:
        if p.name in arrays and large:
            text = f'_arrays["{p.name}"]'
        elif p.name in arrays:
            a = arrays[p.name]
            shape = "" if a.size else f".reshape({a.shape})"
            inside = "\n        ".join(textwrap.wrap(literal(a.tolist()), 88))
            text = f"np.array({inside}, {literal(a.dtype)}){shape}"
        elif p.role == "generator":
            kind = type(p.value.bit_generator).__name__
            text = f"np.random.Generator(np.random.{kind}())"
        else:
            text = literal(p.value)
        lines.append(f'    "{p.name}": {text},')
    lines.append("}")
    for p in others:
        if p.role == "generator":
            state = literal(p.value.bit_generator.state)
            lines.append(f'PARAMETERS["{p.name}"].bit_generator.state = {state}')
    return lines
