"""Under which conditions a program holds, as data: each with what it means to a reader.

All conditions together become one function, since they are asked before every run. One by one they
tell why a program does not hold.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from retrograd.compiler.ir import Program, Var
from retrograd.compiler.outside import attributes
from retrograd.compiler.statements import (
    Attribute,
    Bound,
    Expression,
    Index,
    Invoke,
    Let,
    Literal,
    Name,
    Operation,
    method,
)
from retrograd.compiler.writer import FastWriter
from retrograd.nn.module import ATTRIBUTES


class Guard(NamedTuple):
    """A condition under which a program holds.

    Args:
        description: what must be so, such as "the learning rate's group has the same options".
        condition: the expression that is true where it is.
    """

    description: str
    condition: Expression


class Attributes:
    """The attributes of Modules, compared only if some were set anywhere since the last time."""

    def __init__(self, modules: Iterable[Any]) -> None:
        self.then = [(m, attributes(m)) for m in modules]
        self.seen = [ATTRIBUTES.count]

    def hold(self) -> bool:
        """Tell whether all are the same objects as at first."""
        now = ATTRIBUTES.count
        for module, then in self.then:
            has = attributes(module)
            if has.keys() != then.keys() or any(has[n] is not value for n, value in then.items()):
                return False
        self.seen[0] = now
        return True

    def condition(self) -> Expression:
        """Return the condition that they hold."""
        seen = Index(Bound("seen", self.seen), Literal(0))
        unchanged = Operation("==", seen, Attribute(Bound("attributes", ATTRIBUTES), "count"))
        return Operation("or", unchanged, Invoke(Bound("attributes_hold", self.hold), ()))


def guards_of(
    program: Program, holders: Iterable[tuple[Any, Any]], modules: Attributes
) -> list[Guard]:
    """Return the conditions of what is outside.

    Args:
        program: what was recorded.
        holders: the Tensors outside that it reads or writes, and the array that each holds.
        modules: the attributes of the Modules that ran.
    """
    found = []
    for holder, array in holders:
        t = Bound("holder", holder)
        what = f"a Tensor outside, of shape {array.shape},"
        same = _is(Attribute(t, "_array"), Bound("array", array))
        found.append(Guard(f"{what} holds the same array", same))
        needs = _is(Attribute(t, "requires_grad"), Literal(holder.requires_grad))
        found.append(Guard(f"{what} has requires_grad={holder.requires_grad}", needs))
    for module in program.modules:
        mode = _is(Attribute(Bound("module", module), "_training"), Literal(module._training))
        name = type(module).__name__
        found.append(Guard(f"{name}.training is {module._training}", mode))
    for group, bucket in program.updates:
        found += _of_update(group, bucket)
    if modules.then:
        what = "the attributes of the Modules that ran are the same"
        found.append(Guard(what, modules.condition()))
    for leaf in program.leaves:
        started = program.started.get(id(leaf))
        if started is not None and id(leaf) not in program.positions:
            has = Operation("is not", Attribute(Bound("started", leaf), "_grad"), Literal(None))
            what = f"a leaf of shape {leaf.shape} has {'a' if started else 'no'} gradient before"
            found.append(Guard(what, _is(has, Literal(started))))
    return found


def _is(left: Expression, right: Expression) -> Expression:
    return Operation("is", left, right)


def _of_update(group: dict[str, Any], bucket: Any) -> list[Guard]:
    options, of = Bound("group", group), Bound("bucket", bucket)
    same = _is(Attribute(of, "data"), Bound("data", bucket.data))
    found = [Guard("an optimizer keeps its parameters in the same array", same)]
    live = ["lr", "params", "betas"]
    if group.get("momentum"):
        live.append("momentum")
        there = Operation("!=", Index(options, Literal("momentum")), Literal(0))
        found.append(Guard("an optimizer's momentum is not 0", there))
    if fixed := [option for option in group if option not in live]:
        read = operator.itemgetter(*fixed)
        now = Invoke(Bound("read", read), (options,))
        equal = Operation("==", now, Bound("options", read(group)))
        found.append(Guard(f"an optimizer has the same {', '.join(fixed)}", equal))
    if "betas" in group:
        rest = Index(Index(options, Literal("betas")), Literal(slice(1, None)))
        equal = Operation("==", rest, Literal(group["betas"][1:]))
        found.append(Guard("an optimizer has the same second beta", equal))
    for key, array in bucket.state.items():
        kept = _is(method(Attribute(of, "state"), "get", key), Bound("state", array))
        found.append(Guard(f"an optimizer keeps {key} in the same array", kept))
    return found


def argument_guards(args: Sequence[Var]) -> list[Guard]:
    """Return the conditions of a list `args` of arguments: plain arrays of the recorded kinds."""
    given = Name("args")
    count = Operation("==", Invoke(Name("len"), (given,)), Literal(len(args)))
    found = [Guard(f"there are {len(args)} arguments", count)]
    for i, v in enumerate(args):
        name = Name(f"a{i}")
        first = Let(name.text, Index(given, Literal(i)))
        kind = _is(Attribute(first, "__class__"), Bound("ndarray", np.ndarray))
        shape = Operation("==", Attribute(name, "shape"), Literal(v.shape))
        dtype = _is(Attribute(name, "dtype"), Bound("dtype", v.dtype))
        found.append(Guard(f"argument {i} is an array", kind))
        found.append(Guard(f"argument {i} has the shape {v.shape}", shape))
        found.append(Guard(f"argument {i} has the dtype {v.dtype}", dtype))
    return found


def compile_guards(
    guards: Iterable[Guard], namespace: dict[str, Any], parameters: str = ""
) -> Callable[..., bool]:
    """Return one function that tells whether all conditions hold.

    Args:
        guards: the conditions, asked in order until one does not hold.
        namespace: takes the objects that they refer to.
        parameters: the parameters of the function.
    """
    writer = FastWriter(namespace)
    text = " and ".join(writer.inner(guard.condition) for guard in guards) or "True"
    made: Callable[..., bool] = eval(f"lambda {parameters}: {text}", namespace)
    return made


def first_failing(guards: Iterable[Guard], **arguments: Any) -> str:
    """Return the description of the first condition that does not hold, or "".

    Args:
        guards: conditions of what is outside, or of arguments.
        **arguments: what the conditions call by name: `args` for those of arguments.
    """
    space = {**arguments}
    writer = FastWriter(space)
    for guard in guards:
        # a name that one condition gives is global, so that later ones find it
        exec(f"_holds = {writer.expression(guard.condition)}", space)
        if not space["_holds"]:
            return guard.description
    return ""
