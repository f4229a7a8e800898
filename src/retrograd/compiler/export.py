"""A program as a script: its source, its arrays and a `main()`."""

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from retrograd.compiler.assembly import Code
from retrograd.compiler.built_in import BUILT_IN
from retrograd.compiler.ir import root
from retrograd.compiler.program import ReadyProgram
from retrograd.compiler.sources import source_of
from retrograd.compiler.writer import literal, section_lines, setup_lines
from retrograd.engine import Array
from retrograd.files import write_whole

INLINE = 1000  # elements: as many stand in the script itself, more go to a file beside it

HEAD = '''"""{title}

It needs NumPy only. `{name}({arguments})` runs it once{state}.
It takes arrays of the shapes and dtypes in `ARGUMENTS`, and numbers that fit them. Several threads
may call it: they take turns.{saving}{built_in}
As a script it takes the arguments by their names from a file and prints each result:

    python {file} ARRAYS.npz {options}
"""

import sys
import threading
'''

SAVING = """
`save(path)` writes the arrays that it trains, each under its name, to a `.npz` file."""

TAKEN = """

_turn = threading.Lock()


def _taken(name, value, shape, dtype):
    array = np.asarray(value)
    if array.shape != shape:
        raise ValueError(f"{name} must have the shape {shape}, not {array.shape}")
    casting = "safe" if hasattr(value, "dtype") else "same_kind"  # numbers fit where they can
    if not np.can_cast(array.dtype, dtype, casting):
        raise TypeError(f"{name} must have the dtype {np.dtype(dtype)}, not {array.dtype}")
    return array.astype(dtype, copy=False)"""

SAVE = '''

def save(path):
    """Write the arrays that are trained, each under its name, to a .npz file."""
    with _turn, open(path, "wb") as _file:
        np.savez(_file, {trained})'''

MAIN = """

def main(argv):
    if len(argv) not in {counts}:
        print("usage: python", argv[0], "ARRAYS.npz {options}; the file holds:")
        for name, shape, dtype in ARGUMENTS:
            print(f"    {{name}}: {{shape}} {{dtype}}")
        return 2
    with np.load(argv[1], allow_pickle=False) as arrays:
        given = [arrays[name] for name, _, _ in ARGUMENTS]
    for _ in range(int(argv[2]) if len(argv) > 2 else 1):
        print({name}(*given)){saving}
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
"""

SAVE_AT_END = """
    if len(argv) > 3:
        save(argv[3])"""


def export(
    program: ReadyProgram, name: str, path: Any, overwrite: bool, built_in: Sequence[str] = ()
) -> None:
    """Answer `CompiledStep.export`.

    Args:
        program: the program.
        name: of the function.
        path: where the script is to be.
        overwrite: whether files that are there are replaced.
        built_in: what is built in, line by line: see `find_built_in`.
    """
    target = Path(path)
    if program.program.starts and target.suffix == ".py":
        raise TypeError("this program adds to gradients from before: call zero_grad() inside it")
    if program.program.carried:
        name = program.program.carried[0][0].place.name
        raise TypeError(
            f"this program assigns to {name}, which a script has not: write into the Tensor that "
            f"is there under rg.no_grad(), {name}[...] = value"
        )
    if any(step.call.acts for step in program.code.body):
        raise TypeError(
            "this program acts on other processes, a script would not: export that of the plain "
            "optimizer, in one process"
        )
    saved: dict[str, Array] = {}
    write_script(
        target, saved, overwrite, lambda: _script(program, name, target.name, saved, built_in)
    )


def write_script(
    target: Path, saved: dict[str, Array], overwrite: bool, make: Callable[[], str]
) -> None:
    """Write a script, and a file of arrays beside it.

    Args:
        target: where the script is to be.
        saved: takes the arrays that do not stand in the script.
        overwrite: whether files that are there are replaced.
        make: returns the text of the script, and fills `saved`.
    """
    if target.suffix != ".py":
        raise ValueError(f"export writes a Python script: {target.name} must end in .py, or in .c")
    text = make()
    data_file = target.with_suffix(".npz")
    for file in [target, data_file] if saved else [target]:
        if file.exists() and not overwrite:
            raise FileExistsError(f"{file} exists: pass overwrite=True to replace it")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {target.parent}")
    if saved:
        write_whole(data_file, lambda file: np.savez(file, **saved))  # type: ignore[arg-type]
    write_whole(target, lambda file: file.write(text.encode()))


def tell_built_in(built_in: Sequence[str]) -> str:
    """Return the lines of a docstring that tell what is built in."""
    if not built_in:
        return ""
    return "\n".join(["", "", BUILT_IN, "", *(f"    {line}" for line in built_in), ""])


def _script(
    program: ReadyProgram, name: str, file: str, saved: dict[str, Array], built_in: Sequence[str]
) -> str:
    code = program.code
    arguments = [(argument, v.shape, v.dtype) for argument, v in code.arguments]
    given = ", ".join(argument for argument, _, _ in arguments)
    imports: set[str] = set()
    functions, generators = [], []
    for known, fn in code.functions.items():
        if isinstance(fn, np.random.Generator):
            kind = type(fn.bit_generator).__name__
            generators.append(f"{known} = np.random.Generator(np.random.{kind}())")
            state = literal(fn.bit_generator.state)
            generators.append(f"{known}.bit_generator.state = {state}")
        else:
            functions += ["", "", source_of(fn, known, imports).rstrip()]
    title = "A training step." if program.written else "A function of arrays."
    state = ", and updates the arrays above it" if program.written else ""
    options = "[STEPS [SAVED.npz]]" if program.written else "[STEPS]"
    head = HEAD.format(
        title=title, name=name, arguments=given, state=state, file=file, options=options,
        saving=SAVING if program.written else "", built_in=tell_built_in(built_in),
    )  # fmt: skip
    data = _arrays(code, saved)
    counts = program.program.advances()
    lines = [head.rstrip(), *(f"import {m}" for m in sorted(imports))]
    if saved:
        lines.append("from pathlib import Path")
    shapes = [(argument, shape, dtype.name) for argument, shape, dtype in arguments]
    lines += ["", "import numpy as np", "", f"ARGUMENTS = {shapes!r}", "", *data]
    lines += [f"{text} = {n!r}" for text, n in zip(code.lives, program.numbers(), strict=True)]
    lines += [*generators, *functions, "", *setup_lines(code), TAKEN]
    if program.written:
        trained = [*_trained(program), *counts]
        values = (f"{n}={n}" if n != "path" else 'path=globals()["path"]' for n in trained)
        lines.append(SAVE.format(trained=", ".join(values)))
    lines += ["", "", f"def {name}({given}):"]
    if counts:
        lines.append(f"    global {', '.join(counts)}")
    for argument, shape, dtype in arguments:
        taken = f'_taken("{argument}", {argument}, {shape}, {literal(dtype)})'
        lines.append(f"    {argument} = {taken}")
    body = section_lines(code.body) + [f"    {text} += {n}" for text, n in counts.items()]
    results = [f"np.array({r})" for r in code.results if r is not None]
    body.append(f"    return {', '.join(results) or None}")
    lines += ["    with _turn:", *(textwrap.indent(line, "    ") for line in body)]
    main = MAIN.format(
        name=name, options=options, counts="(2, 3, 4)" if program.written else "(2, 3)",
        saving=SAVE_AT_END if program.written else "",
    )  # fmt: skip
    return "\n".join([*lines, main])


def _trained(program: ReadyProgram) -> list[str]:
    """Return the names of the arrays that a run writes, and of their parts."""
    written = {id(root(array)) for array in program.written}
    return [name for name, array in program.code.data.items() if id(root(array)) in written]


def _arrays(code: Code, saved: dict[str, Array]) -> list[str]:
    """Return source for the arrays; many elements go to `saved`."""
    owners = {id(var.array): name for var, name in code.names.items()
              if var.kind in ("captured", "const")}  # fmt: skip
    whole, views = {}, []
    for name, a in code.data.items():
        base = root(a)
        of = owners.get(id(base), name)
        if of == name:
            whole[name] = a
            continue
        start = a.__array_interface__["data"][0] - base.__array_interface__["data"][0]
        if a.flags.c_contiguous and base.flags.c_contiguous and a.dtype == base.dtype:
            first = start // a.itemsize
            flat = of if base.ndim == 1 else f"{of}.reshape(-1)"
            views.append(f"{name} = {flat}[{first}:{first + a.size}].reshape({a.shape})")
        else:
            layout = f"{a.shape}, {literal(a.dtype)}, {of}, {start}, {a.strides}"
            views.append(f"{name} = np.ndarray({layout})")
    if sum(a.size for a in whole.values()) > INLINE:
        saved.update(whole)
        load = '_arrays = np.load(Path(__file__).with_suffix(".npz"), allow_pickle=False)'
        return [load, *(f'{name} = _arrays["{name}"]' for name in whole), *views]
    lines = []
    for name, a in whole.items():
        shape = "" if a.size else f".reshape({a.shape})"
        text = "\n    ".join(textwrap.wrap(literal(a.tolist()), 92))
        lines.append(f"{name} = np.array({text}, {literal(a.dtype)}){shape}")
    return lines + views
