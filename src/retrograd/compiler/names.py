"""Names for the arrays of a program: those the user gave, as far as they can be found."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from typing import Any

from retrograd.compiler.tape import Node, Tape, Var
from retrograd.core import Tensor


class Namer:
    """Finds a name for each Var: argument, attribute, assigned variable, `d_` and what it is of."""

    def __init__(self, fn: Callable[..., Any], tape: Tape) -> None:
        self.tape = tape
        self._outside(fn)

    def _outside(self, fn: Callable[..., Any]) -> None:
        """Name what the function finds outside: parameters by their dotted names."""
        from retrograd.nn.module import Module

        scope: dict[str, Any] = {}
        code = getattr(fn, "__code__", None)
        if code is not None:
            scope = {n: fn.__globals__[n] for n in code.co_names if n in fn.__globals__}
            scope.update(inspect.getclosurevars(fn).nonlocals)
        if isinstance(fn, Module):
            scope = {"": fn}
        elif hasattr(fn, "__self__"):
            scope["self"] = fn.__self__
        ran = {id(m): m for m in self.tape.ran.values()}
        inner = {id(c) for m in ran.values() for c in m.children()}
        tops = [m for i, m in ran.items() if i not in inner]
        tops += [m for m in scope.values() if isinstance(m, Module) and id(m) not in ran]
        for top in tops:
            self._module(top)
        for name, value in scope.items():
            array = value._data if isinstance(value, Tensor) else value
            var = self.tape.find(array)
            if var is not None:
                var.wish = var.wish or name

    def _module(self, top: Any) -> None:
        for path, module in top.named_modules():
            short = _short(path, module)
            for name, value in vars(module).items():
                array = value._data if isinstance(value, Tensor) else value
                var = self.tape.find(array)
                if var is not None:
                    var.wish = var.wish or (f"{short}_{name}" if short else name)
            out = self.tape.outputs.get(id(module))
            if out is not None and short:
                out.wish = out.wish or short

    def finish(self, nodes: list[Node], tape: Tape) -> None:
        """Take the names that lines of the user's code assign to."""
        ends: list[Node] = []
        previous = None
        for node in tape.nodes:
            if previous is not None and previous.line != node.line:
                ends.append(previous)
            previous = node if node.section == "forward" else None
        if previous is not None:
            ends.append(previous)
        for node in ends:
            if node.kind == "call" and len(node.outs) == 1:
                name = assigned(node.line[2])
                if name and not node.outs[0].wish:
                    node.outs[0].wish = name

    def wish(self, var: Var) -> str:
        """Return the name a reader would give a Var."""
        prefix, met = "", set()
        # merged calls may each be the gradient of the other
        while not var.wish and var.grad_of is not None and var not in met:
            met.add(var)
            prefix, var = "d_" + prefix, var.grad_of
        return prefix + self._own(var)

    def _own(self, var: Var) -> str:
        if var.wish:
            return var.wish
        node = var.node
        if node is None:
            return {"const": "constant", "grad": "start"}.get(var.kind, "array")
        if node.kind == "draw":
            return "drawn"
        name = getattr(node.fn, "__name__", "t")
        return {"getitem": "part", "concat": "joined", "contract": "einsum"}.get(name, name)


def assigned(text: str) -> str:
    """Return the variable that a line assigns to, if it is one."""
    try:
        body = ast.parse(text).body
    except SyntaxError:
        return ""
    if len(body) == 1 and isinstance(body[0], ast.Assign) and len(body[0].targets) == 1:
        target = body[0].targets[0]
        if isinstance(target, ast.Name):
            return target.id
        if isinstance(target, ast.Attribute):
            return target.attr
    return ""


def _short(path: str, module: Any) -> str:
    """Return a dotted path as an identifier; a number goes with what it numbers."""
    parts = path.split(".") if path else []
    if not parts:
        return ""
    if parts[-1].isdigit():
        parts[-1] = type(module).__name__.lower() + parts[-1]
    return "_".join(p for p in parts if not p.isdigit())
