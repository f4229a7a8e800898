"""Names for the arrays of a program: those the user gave, as far as they can be found."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable
from typing import Any

from retrograd.compiler.tape import Node, Tape, Var
from retrograd.core import Tensor


def surroundings(fn: Callable[..., Any]) -> dict[str, Any]:
    """Return the globals and enclosed variables that a function names, with their values."""
    code = getattr(fn, "__code__", None)
    if code is None:
        return {}
    found = {n: fn.__globals__[n] for n in code.co_names if n in fn.__globals__}
    for name, cell in zip(code.co_freevars, fn.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # of a variable that has no value yet
            found[name] = cell.cell_contents
    return found


def name_outside(fn: Callable[..., Any], tape: Tape) -> None:
    """Name what a function finds outside: parameters by their dotted names."""
    from retrograd.nn.module import Module

    scope = {"": fn} if isinstance(fn, Module) else surroundings(fn)
    if not isinstance(fn, Module) and hasattr(fn, "__self__"):
        scope["self"] = fn.__self__
    inner = {id(c) for m in tape.ran.values() for c in m.children()}
    tops = [m for i, m in tape.ran.items() if i not in inner]
    tops += [m for m in scope.values() if isinstance(m, Module) and id(m) not in tape.ran]

    def name(value: Any, wish: str) -> None:
        var = tape.find(value._data if isinstance(value, Tensor) else value)
        if var is not None:
            var.wish = var.wish or wish

    for top in tops:
        for path, module in top.named_modules():
            short = _short(path, module)
            for attribute, value in vars(module).items():
                name(value, f"{short}_{attribute}" if short else attribute)
            out = tape.outputs.get(id(module))
            if out is not None:
                out.wish = out.wish or short
    for variable, value in scope.items():
        name(value, variable)


def name_assigned(nodes: list[Node]) -> None:
    """Name what a line of the user's forward pass ends in by the variable it is assigned to."""
    for node, following in zip(nodes, [*nodes[1:], None], strict=False):
        if node.section != "forward" or (following is not None and following.line == node.line):
            continue
        if node.kind == "call" and len(node.outs) == 1 and not node.outs[0].wish:
            node.outs[0].wish = assigned(node.line[2])


def wish(var: Var) -> str:
    """Return the name a reader would give a Var: its own, or `d_` and what it is a gradient of."""
    prefix, met = "", set()
    # merged calls may each be the gradient of the other
    while not var.wish and var.grad_of is not None and var not in met:
        met.add(var)
        prefix, var = "d_" + prefix, var.grad_of
    if var.wish:
        name = var.wish
    elif var.node is None:
        name = {"const": "constant", "grad": "start"}.get(var.kind, "array")
    else:
        name = "drawn" if var.node.kind == "draw" else getattr(var.node.fn, "__name__", "t")
        name = {"getitem": "part", "concat": "joined", "contract": "einsum"}.get(name, name)
    return prefix + name


def assigned(text: str) -> str:
    """Return the variable that a line assigns to, if it is one."""
    try:
        body = ast.parse(text).body
    except SyntaxError:
        return ""
    if len(body) != 1 or not isinstance(body[0], ast.Assign) or len(body[0].targets) != 1:
        return ""
    target = body[0].targets[0]
    return getattr(target, "id", "") or getattr(target, "attr", "")


def _short(path: str, module: Any) -> str:
    """Return a dotted path as an identifier; a number goes with what it numbers."""
    parts = path.split(".")
    if parts[-1].isdigit():
        parts[-1] = type(module).__name__.lower() + parts[-1]
    return "_".join(p for p in parts if not p.isdigit())
