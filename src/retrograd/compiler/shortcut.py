"""A program and the conditions under which it holds as one function, for what is called often.

One call of Python costs as much as ten conditions. The function is made of the lines of the program
itself, with their numbers, so that what mends a run which failed finds them.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from retrograd.compiler.guards import GONE, guards_of_argument
from retrograd.compiler.statements import Name
from retrograd.compiler.writer import FastWriter
from retrograd.engine import Tensor, wrap

if TYPE_CHECKING:
    from retrograd.compiler.program import ReadyProgram

RUNS = 16  # a program that has run so often gets one
LINES = 200  # a program of more gains nothing by it
MISSED = object()  # what it returns where the program does not hold

Shortcut = Callable[[tuple[Any, ...]], Any]


def make_shortcut(ready: ReadyProgram) -> Shortcut | None:
    """Return a function of the tuple of arguments that runs a program, or returns `MISSED`.

    It returns a Tensor, as the program's function does. None where it is not worth while: for
    programs of many lines or results, with gradients to come, or that ask NumPy for errors.

    Args:
        ready: the program, settled.
    """
    if not (ready.settled and ready.single) or ready.graph is not None or ready.program.errors:
        return None
    if len(ready.lines) > LINES:
        return None
    space = {**ready.namespace}
    writer = FastWriter(space)
    given = "_given"  # no array has a name that begins so
    missed, tensor = writer.bind("missed", MISSED), writer.bind("tensor", Tensor)
    names = ready.code.inputs
    guards = []
    for i, (name, v) in enumerate(zip(names, ready.program.args, strict=True)):
        guards += guards_of_argument(i, Name(name), v)
    guards += ready.guards
    text = " and ".join(writer.inner(guard.condition) for guard in guards) or "True"
    lines = [f"if len({given}) != {len(names)}: return {missed}"]
    lines += [f"{', '.join(names)}, = {given}"] if names else []
    lines += [
        f"if {n}.__class__ is {tensor} and not {n}.requires_grad: {n} = {n}._array" for n in names
    ]
    lines += ["try:", f" if not ({text}): return {missed}", f"except {GONE}:", f" return {missed}"]
    before = ast.parse("\n".join(["def begin():", *(f" {line}" for line in lines)])).body[0]
    whole = ast.parse("\n".join(ready.lines))
    made = whole.body[0]
    assert isinstance(before, ast.FunctionDef)
    assert isinstance(made, ast.FunctionDef)
    returned = made.body[-1]
    assert isinstance(returned, ast.Return)
    assert isinstance(returned.value, ast.Tuple)
    for statement in before.body:
        for node in ast.walk(statement):
            # on the line of the head, where nothing of the program has happened yet
            if isinstance(node, (ast.stmt, ast.expr, ast.excepthandler)):
                node.lineno = node.end_lineno = 1
                node.col_offset = node.end_col_offset = 0
    made.body[:0] = before.body
    made.args.args = [ast.arg(given)]
    function = ast.Name(writer.bind("wrap", wrap), ast.Load())
    returned.value = ast.Call(function, returned.value.elts, [])
    exec(compile(ast.fix_missing_locations(whole), ready.file, "exec"), space)
    found: Shortcut = space.pop(made.name)
    return found
