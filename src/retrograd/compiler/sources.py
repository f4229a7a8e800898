"""The source of functions that are none of NumPy's, with all that they call, for scripts."""

import ast
import builtins
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd.compiler.outside import surroundings


def source_of(fn: Callable[..., Any], name: str, imports: set[str]) -> str:
    """Return the source of a function under a name, with all that it calls.

    Args:
        fn: the function.
        name: its name there.
        imports: takes the names of the modules that it needs.

    Raises:
        TypeError: if it has none, or uses what has no source.
    """
    return _enclosed(name, parts_of(fn, name, imports))


def parts_of(fn: Callable[..., Any], name: str, imports: set[str]) -> dict[str, str]:
    """Return the source of a function under a name, and of each that it calls, by names.

    Args:
        fn: the function.
        name: its name there.
        imports: takes the names of the modules that it needs.

    Raises:
        TypeError: if it has none, or uses what has no source.
    """
    parts: dict[str, str] = {}
    _collect(fn, name, parts, imports)
    return parts


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
    fn = inspect.unwrap(fn)  # what a primitive hands on to has the names that its source uses
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
        elif isinstance(n, ast.AnnAssign):
            n.annotation = ast.Constant(None)  # of a variable inside, which says nothing there
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
