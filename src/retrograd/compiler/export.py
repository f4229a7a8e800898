"""A program as a script that needs only NumPy: its source, its arrays and a `main()`."""

from __future__ import annotations

import ast
import builtins
import inspect
import io
import os
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.compiler.program import Program, sections
from retrograd.compiler.spelling import literal
from retrograd.compiler.tape import root
from retrograd.core import Array

if TYPE_CHECKING:
    from retrograd.compiler.step import CompiledStep

INLINE = 1000  # arrays of up to so many elements in all stand in the script itself

HEAD = '''"""{title}

It needs NumPy only. `{name}({arguments})` runs it once{state}.
As a script it takes the arguments by their names from a file and prints each result:

    python {file} ARRAYS.npz [STEPS]
"""

from __future__ import annotations

import sys
'''

MAIN = """

def main(argv):
    if len(argv) not in (2, 3):
        print("usage: python", argv[0], "ARRAYS.npz [STEPS]; the file holds:")
        for name, shape, dtype in ARGUMENTS:
            print(f"    {{name}}: {{shape}} {{dtype}}")
        return 2
    with np.load(argv[1], allow_pickle=False) as arrays:
        given = [arrays[name] for name, _, _ in ARGUMENTS]
    for _ in range(int(argv[2]) if len(argv) == 3 else 1):
        print({name}(*given))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
"""


def export(program: Program, step: CompiledStep, path: Any, overwrite: bool = False) -> None:
    """Write a program to the script `path`; large arrays go to a `.npz` of the same name.

    The script defines `step(...)` (`predict(...)` for a Module) and `main()`. Raises
    FileExistsError unless `overwrite`, and TypeError for a program that adds to gradients from
    before or uses a function whose source cannot stand alone. Nothing is written then.
    """
    from retrograd.nn.module import Module

    target = Path(path)
    if target.suffix != ".py":
        raise ValueError(f"export writes a Python script: {target.name} must end in .py")
    data_file = target.with_suffix(".npz")
    if program.starts:
        raise TypeError(
            "this program adds to gradients that were there before: call zero_grad() inside it"
        )
    name = "predict" if isinstance(step.fn, Module) else "step"
    saved: dict[str, Array] = {}
    text = _script(program, name, target.name, saved)
    wanted = [target, data_file] if saved else [target]
    for file in wanted:
        if file.exists() and not overwrite:
            raise FileExistsError(f"{file} exists: pass overwrite=True to replace it")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {target.parent}")
    if saved:
        buffer = io.BytesIO()
        np.savez(buffer, **saved)  # type: ignore[arg-type]
        _write(data_file, buffer.getvalue())
    _write(target, text.encode())


def _write(path: Path, content: bytes) -> None:
    """Write a file such that it is there whole or as it was before."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _script(program: Program, name: str, file: str, saved: dict[str, Array]) -> str:
    w = program.writer
    arguments = [w.text(v) for v in program.args]
    imports: set[str] = set()
    functions: dict[str, str] = {}
    generators = []
    for known, fn in w.functions.items():
        if isinstance(fn, np.random.Generator):
            generators.append(known)
        else:
            parts: dict[str, str] = {}
            _collect(fn, known, parts, imports)
            functions[known] = _enclosed(known, parts)
    counts = [text for text, source in program.lives if source[0] == "updates"]
    title = "A training step." if program.written else "A function of arrays."
    state = ", and updates the arrays above it" if program.written else ""
    lines = [HEAD.format(title=title, name=name, arguments=", ".join(arguments), state=state,
                         file=file).rstrip()]  # fmt: skip
    lines += [f"import {m}" for m in sorted(imports)]
    shapes = [(n, v.array.shape, v.array.dtype.name)
              for n, v in zip(arguments, program.args, strict=True)]  # fmt: skip
    body = ["", "import numpy as np", "", f"ARGUMENTS = {shapes!r}", ""]
    body += _data(program, saved)
    for (text, _), number in zip(program.lives, program.numbers(), strict=True):
        body.append(f"{text} = {number!r}")
    for known in generators:
        state_text = repr(w.functions[known].bit_generator.state)
        kind = type(w.functions[known].bit_generator).__name__
        body.append(f"{known} = np.random.Generator(np.random.{kind}())")
        body.append(f"{known}.bit_generator.state = {_plain(state_text)}")
    if saved:
        lines.append("from pathlib import Path")
    lines += body
    for source_text in functions.values():
        lines += ["", "", source_text.rstrip()]
    lines += ["", *w.setup, "", "", f"def {name}({', '.join(arguments)}):"]
    if counts:
        lines.append(f"    global {', '.join(counts)}")
    for (argument, shape, kind), _ in zip(shapes, program.args, strict=True):
        lines.append(f"    {argument} = np.asarray({argument}, np.{_kind(kind)})")
        lines.append(f"    if {argument}.shape != {shape}:")
        lines.append(f'        raise ValueError(f"{argument} must have the shape {shape}, '
                     f'not {{{argument}.shape}}")')  # fmt: skip
    lines += sections(program)
    lines += [f"    {text} += {program.advance(text)}" for text in counts]
    results = [f"np.array({r})" for r in program.results if r is not None]
    lines.append(f"    return {', '.join(results) or None}")
    lines.append(MAIN.format(name=name).rstrip())
    return "\n".join(lines) + "\n"


def _kind(dtype: str) -> str:
    return "bool_" if dtype == "bool" else dtype


def _plain(text: str) -> str:
    return text.replace("array(", "np.array(").replace("dtype=", "dtype=np.")


def _data(program: Program, saved: dict[str, Array]) -> list[str]:
    """Return the source that brings the arrays back, putting large ones into `saved`."""
    w = program.writer
    owners: dict[int, str] = {}
    for var, name in w.names.items():
        if var.kind in ("captured", "const") and root(var.array) is var.array:
            owners[id(var.array)] = name
    whole, views = {}, []
    for name, array in w.data.items():
        of = owners.get(id(root(array)))
        if of is not None and of != name:
            views.append((name, array, of))
        else:
            whole[name] = array
    lines = []
    total = sum(a.size for a in whole.values())
    if total > INLINE:
        saved.update(whole)
        lines.append('_arrays = np.load(Path(__file__).with_suffix(".npz"), allow_pickle=False)')
        lines += [f'{name} = _arrays["{name}"]' for name in whole]
    else:
        for name, a in whole.items():
            shape = "" if a.size else f".reshape({a.shape})"  # which an empty list does not tell
            lines.append(f"{name} = np.array({_numbers(a)}, {literal(a.dtype)}){shape}")
    for name, a, of in views:
        base = root(a)
        start = a.__array_interface__["data"][0] - base.__array_interface__["data"][0]
        if a.flags.c_contiguous and base.flags.c_contiguous:
            first = start // a.itemsize
            flat = of if base.ndim == 1 else f"{of}.reshape(-1)"
            lines.append(f"{name} = {flat}[{first}:{first + a.size}].reshape({a.shape})")
        else:
            lines.append(f"{name} = np.ndarray({a.shape}, {literal(a.dtype)}, {of}, {start}, "
                         f"{a.strides})")  # fmt: skip
    return lines


def _numbers(a: Array) -> str:
    text = repr(a.tolist())
    if a.dtype.kind == "f" and not np.isfinite(a).all():
        text = text.replace("inf", "np.inf").replace("nan", "np.nan")
    return "\n    ".join(textwrap.wrap(text, 92))


def _enclosed(name: str, parts: dict[str, str]) -> str:
    """Return the source of a function with its helpers in a scope of their own."""
    if len(parts) == 1 and parts[name].startswith("def "):
        return parts[name]
    inside = textwrap.indent("\n".join(reversed(parts.values())), "    ")
    return f"def _make_{name}():\n{inside}\n    return {name}\n\n\n{name} = _make_{name}()"


def _collect(
    fn: Callable[..., Any], name: str, functions: dict[str, str], imports: set[str]
) -> None:
    """Add the source of a function and of all that it uses, so that it can stand alone."""
    if name in functions:
        return
    try:
        source = textwrap.dedent(inspect.getsource(fn))
    except (OSError, TypeError):
        raise TypeError(f"export needs the source of {name}, which cannot be found") from None
    parsed = ast.parse(source).body[0]
    if not isinstance(parsed, ast.FunctionDef):
        raise TypeError(f"export takes functions made with def: {name} is not")
    parsed.decorator_list, parsed.name = [], name
    functions[name] = ""
    before = ""
    used = {n.id for n in ast.walk(parsed) if isinstance(n, ast.Name)}
    scope = {**fn.__globals__, **inspect.getclosurevars(fn).nonlocals}
    annotations = {n.id for a in _annotations(parsed) for n in ast.walk(a)
                   if isinstance(n, ast.Name)}  # fmt: skip
    for other in sorted(used - annotations):
        value = scope.get(other, builtins)
        if value is builtins or value is np or hasattr(builtins, other):
            continue
        if isinstance(value, ModuleType) and value.__name__ == other:
            imports.add(other)
        elif inspect.isfunction(value):
            _collect(getattr(value, "__wrapped__", value), other, functions, imports)
        elif isinstance(value, (int, float, str, tuple, frozenset)) or value is None:
            before += f"{other} = {value!r}\n"
        else:
            raise TypeError(f"export cannot take {other} along, which {name} uses")
    functions[name] = before + ast.unparse(parsed)


def _annotations(parsed: ast.FunctionDef) -> list[ast.expr]:
    arguments = parsed.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [a for a in (arguments.vararg, arguments.kwarg) if a is not None]
    found = [a.annotation for a in every if a.annotation is not None]
    return found + ([parsed.returns] if parsed.returns is not None else [])
