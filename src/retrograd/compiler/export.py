"""A program as a script: its source, its arrays and a `main()`."""

import ast
import builtins
import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from retrograd.compiler.assembly import Code
from retrograd.compiler.ir import root
from retrograd.compiler.outside import surroundings
from retrograd.compiler.program import ReadyProgram
from retrograd.compiler.writer import literal, section_lines, setup_lines
from retrograd.engine import Array
from retrograd.files import write_whole

INLINE = 1000  # elements: as many stand in the script itself, more go to a file beside it

HEAD = '''"""{title}

It needs NumPy only. `{name}({arguments})` runs it once{state}.
As a script it takes the arguments by their names from a file and prints each result:

    python {file} ARRAYS.npz [STEPS]
"""

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


def export(program: ReadyProgram, name: str, path: Any, overwrite: bool) -> None:
    """Answer `CompiledStep.export`."""
    target = Path(path)
    if target.suffix != ".py":
        raise ValueError(f"export writes a Python script: {target.name} must end in .py")
    if program.program.starts:
        raise TypeError("this program adds to gradients from before: call zero_grad() inside it")
    saved: dict[str, Array] = {}
    text = _script(program, name, target.name, saved)
    data_file = target.with_suffix(".npz")
    for file in [target, data_file] if saved else [target]:
        if file.exists() and not overwrite:
            raise FileExistsError(f"{file} exists: pass overwrite=True to replace it")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {target.parent}")
    if saved:
        write_whole(data_file, lambda file: np.savez(file, **saved))  # type: ignore[arg-type]
    write_whole(target, lambda file: file.write(text.encode()))


def _script(program: ReadyProgram, name: str, file: str, saved: dict[str, Array]) -> str:
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
            parts: dict[str, str] = {}
            _collect(fn, known, parts, imports)
            functions += ["", "", _enclosed(known, parts).rstrip()]
    title = "A training step." if program.written else "A function of arrays."
    state = ", and updates the arrays above it" if program.written else ""
    head = HEAD.format(title=title, name=name, arguments=given, state=state, file=file)
    data = _arrays(code, saved)
    counts = program.program.advances()
    lines = [head.rstrip(), *(f"import {m}" for m in sorted(imports))]
    if saved:
        lines.append("from pathlib import Path")
    shapes = [(argument, shape, dtype.name) for argument, shape, dtype in arguments]
    lines += ["", "import numpy as np", "", f"ARGUMENTS = {shapes!r}", "", *data]
    lines += [f"{text} = {n!r}" for text, n in zip(code.lives, program.numbers(), strict=True)]
    lines += [*generators, *functions, "", *setup_lines(code), "", "", f"def {name}({given}):"]
    if counts:
        lines.append(f"    global {', '.join(counts)}")
    for argument, shape, dtype in arguments:
        lines.append(f"    {argument} = np.asarray({argument}, {literal(dtype)})")
        lines.append(f"    if {argument}.shape != {shape}:")
        lines.append(f'        raise ValueError(f"{argument} must have the shape {shape}, '
                     f'not {{{argument}.shape}}")')  # fmt: skip
    lines += section_lines(code.body)
    lines += [f"    {text} += {n}" for text, n in counts.items()]
    results = [f"np.array({r})" for r in code.results if r is not None]
    lines.append(f"    return {', '.join(results) or None}")
    return "\n".join([*lines, MAIN.format(name=name)])


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
        if a.flags.c_contiguous and base.flags.c_contiguous:
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


def _enclosed(name: str, parts: dict[str, str]) -> str:
    if len(parts) == 1 and parts[name].startswith("def "):
        return parts[name]
    inside = textwrap.indent("\n".join(reversed(parts.values())), "    ")
    return f"def _make_{name}():\n{inside}\n    return {name}\n\n\n{name} = _make_{name}()"


def _collect(
    fn: Callable[..., Any], name: str, functions: dict[str, str], imports: set[str]
) -> None:
    if name in functions:
        return
    try:
        source = textwrap.dedent(inspect.getsource(fn))
    except (OSError, TypeError):
        raise TypeError(f"export cannot find the source of {name}") from None
    parsed = ast.parse(source).body[0]
    if not isinstance(parsed, ast.FunctionDef):
        raise TypeError(f"export takes functions made with def: {name} is not")
    parsed.decorator_list, parsed.name = [], name
    functions[name] = before = ""
    for n in ast.walk(parsed):
        if isinstance(n, ast.arg):
            n.annotation = None
        elif isinstance(n, ast.FunctionDef):
            n.returns = None
    used = {n.id for n in ast.walk(parsed) if isinstance(n, ast.Name)}
    scope = {**fn.__globals__, **surroundings(fn)}
    for other in sorted(used & scope.keys()):
        value = scope[other]
        if value is np or hasattr(builtins, other):
            continue
        if inspect.ismodule(value) and value.__name__ == other:
            imports.add(other)
        elif inspect.isfunction(value):
            _collect(getattr(value, "__wrapped__", value), other, functions, imports)
        elif isinstance(value, (int, float, str, tuple, frozenset)) or value is None:
            before += f"{other} = {value!r}\n"
        else:
            raise TypeError(f"export cannot take {other} along, which {name} uses")
    functions[name] = before + ast.unparse(parsed)
