"""Names that a reader knows: of arguments, attributes of Modules and assigned variables."""

from __future__ import annotations

import builtins
import itertools
import keyword
import re
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from retrograd.compiler.ir import Call, Flow, Names, Var
from retrograd.compiler.outside import surroundings
from retrograd.engine import Tensor
from retrograd.nn.module import Module

# what a name must not be: Python's own, and what programs and scripts use themselves
_RESERVED = {*keyword.kwlist, *dir(builtins), "np", "program", "step", "predict", "main", "sys",
             "Path", "ARGUMENTS", "save", "threading"} - {"input"}  # fmt: skip
_PLAIN = {"getitem": "part", "concat": "joined", "contract": "einsum", "allreduce": "reduced"}
_ASSIGNED = re.compile(r"(?:\w+\.)*(\w+) ?=[^=].*[^(\[{,]$")


class Taken:
    """The names of a program, each given once."""

    def __init__(self, more: Iterable[str] = ()) -> None:
        self._taken = {*_RESERVED, *more}
        self._next: dict[str, int] = {}  # the next number to try behind each stem

    def fresh(self, wish: str) -> str:
        """Return an identifier like the wish that no other has, numbered from 2 on."""
        name = stem = re.sub(r"^(?=\d|$)", "t", re.sub(r"\W", "_", wish).strip("_"))
        if name in self._taken:
            numbers = itertools.count(self._next.get(stem, 2))
            name = next(n for n in (f"{stem}_{i}" for i in numbers) if n not in self._taken)
            self._next[stem] = next(numbers)
        self._taken.add(name)
        return name


def stem_of(call: Call) -> str:
    """Return what to call the output of a call that nobody gave a name."""
    if call.kind == "draw":
        return "drawn"
    name: str = getattr(call.fn, "__name__", "t")
    return _PLAIN.get(name, name)


def wish(var: Var, names: Names, flow: Flow) -> str:
    """Return a reader's name for a Var: a user's, `d_` and that of what it is the gradient of."""
    prefix, met = "", set()
    wishes, gradient_of = names.wishes, names.gradient_of
    while not wishes.get(var) and var in gradient_of and var not in met:
        met.add(var)  # calls that were merged may be the gradients of each other: a circle
        prefix, var = "d_" + prefix, gradient_of[var]
    made = flow.makers.get(var)
    return prefix + (wishes.get(var) or (stem_of(made) if made else var.stem))


def merge(names: Names, replaced: Iterable[tuple[Var, Var]]) -> Names:
    """Return the names where a Var that stands for another takes its name too."""
    wishes, gradient_of = {**names.wishes}, {**names.gradient_of}
    for old, new in replaced:
        if old in wishes and not wishes.get(new):
            wishes[new] = wishes[old]
        if old in gradient_of:
            gradient_of.setdefault(new, gradient_of[old])
    return Names(wishes, gradient_of)


def name_assigned(names: Names, calls: Iterable[Call]) -> Names:
    """Return the names with those that lines of the forward pass assign to."""
    wishes = {**names.wishes}
    for line, (*_, call) in itertools.groupby(calls, lambda call: call.line):
        found = _ASSIGNED.match(line.text)
        if found and call.section == "forward" and call.kind == "call" and len(call.outs) == 1:
            wishes.setdefault(call.outs[0], found[1])
    return Names(wishes, names.gradient_of)


def name_outside(
    fn: Callable[..., Any], ran: Mapping[int, Any], find: Callable[[Any], Var | None],
    outputs: Mapping[int, Var], wishes: dict[Var, str],
) -> None:  # fmt: skip
    """Give what a function finds outside the names that it has there.

    Args:
        fn: the function, or a Module.
        ran: the Modules that ran, by id.
        find: returns the Var of an array, if the program has one.
        outputs: the first output of Modules, by their ids.
        wishes: takes the names of those that have none.
    """
    scope = {"": fn} if isinstance(fn, Module) else surroundings(fn)
    # a proxy of what is gone cannot even be asked for its class
    scope = {n: v for n, v in scope.items() if type(v) not in weakref.ProxyTypes}
    if hasattr(fn, "__self__"):
        scope["self"] = fn.__self__
    inner: set[int] = set()
    for i, m in ran.items():
        if i not in inner:
            inner |= {id(part) for _, part in m.named_modules() if part is not m}
    tops = [m for i, m in ran.items() if i not in inner]
    tops += [m for m in scope.values() if isinstance(m, Module) and id(m) not in ran]

    def name(value: Any, wish: str) -> None:
        var = find(value._array if isinstance(value, Tensor) else value)
        if var is not None and wish:
            wishes.setdefault(var, wish)

    for top in tops:
        for path, module in top.named_modules():
            short = _short(path, module)
            for attribute, value in vars(module).items():
                name(value, f"{short}_{attribute}" if short else attribute)
            if short and (out := outputs.get(id(module))):
                wishes.setdefault(out, short)
    for variable, value in scope.items():
        name(value, variable)


def _short(path: str, module: Any) -> str:
    parts = path.split(".")
    if path.isdigit():
        return type(module).__name__.lower() + path
    return ("block" if parts[0].isdigit() else "") + "_".join(parts)
