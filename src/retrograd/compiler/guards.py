"""Under which conditions a program holds, as data: each with what it means to a reader.

All conditions together become one function, since they are asked before every run. One by one they
tell why a program does not hold.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from types import MethodType
from typing import Any, NamedTuple

import numpy as np

from retrograd.compiler.ir import Program, Var, root
from retrograd.compiler.outside import Outside, attributes
from retrograd.compiler.places import MISSING, Contents, Place, WeakPlace, is_equal
from retrograd.compiler.statements import (
    Attribute,
    Bound,
    Expression,
    Index,
    Invoke,
    Literal,
    Name,
    Operation,
    method,
)
from retrograd.compiler.writer import FastWriter, PythonWriter
from retrograd.engine import HOOKED_LEAVES, Tensor, get_default_dtype, hooks_of
from retrograd.nn.module import ATTRIBUTES

GIVEN = "_given"  # the name of the tuple of arguments; no array of a program has one like it
# what reading a place raises that is no more
GONE = "(KeyError, IndexError, AttributeError, ValueError)"


class Guard(NamedTuple):
    """A condition under which a program holds.

    Args:
        description: what must be so, such as "the learning rate's group has the same options".
        condition: the expression that is true where it is.
        name: what is watched, as the user would write it: `beta`, `self.t`; or "".
    """

    description: str
    condition: Expression
    name: str = ""


class Attributes:
    """The attributes of Modules, compared only if some were set anywhere since the last time.

    Args:
        modules: the Modules, each with its name.
        ignored: the attributes that do not matter, each with the id of its Module.
    """

    def __init__(
        self, modules: Iterable[tuple[str, Any]], ignored: Collection[tuple[int, str]] = ()
    ) -> None:
        self.then = [(name, m, attributes(m)) for name, m in modules]
        self.ignored = {*ignored}
        self.seen = [ATTRIBUTES.count]

    def find_changes(self) -> Iterator[tuple[str, Any, str]]:
        """Yield each attribute that has changed: the Module's name, the Module, and which."""
        for name, module, then in self.then:
            has = attributes(module)
            for n in (*then, *(n for n in has if n not in then)):
                old, new = then.get(n, then), has.get(n, then)
                if (id(module), n) not in self.ignored and not is_equal(old, new):
                    yield name, module, n

    def hold(self) -> bool:
        """Tell whether all are the same objects as at first, or equal plain values."""
        now = ATTRIBUTES.count
        for _ in self.find_changes():
            return False
        self.seen[0] = now
        return True

    def condition(self) -> Expression:
        """Return the condition that they hold."""
        seen = Index(Bound("seen", self.seen), Literal(0))
        unchanged = Operation("==", seen, Attribute(Bound("attributes", ATTRIBUTES), "count"))
        return Operation("or", unchanged, Invoke(Bound("attributes_hold", self.hold), ()))


class Hooks:
    """Tensors outside that have no hooks, asked only if a hook was registered since the last time.

    Args:
        tensors: the Tensors, none of which has a hook now: a recording refuses those that have.
    """

    def __init__(self, tensors: Iterable[Any]) -> None:
        self.tensors = [*tensors]
        self.seen = [HOOKED_LEAVES.count]

    def hold(self) -> bool:
        """Tell whether none of them has a hook."""
        now = HOOKED_LEAVES.count
        if any(hooks_of(t) for t in self.tensors):
            return False
        self.seen[0] = now
        return True

    def condition(self) -> Expression:
        """Return the condition that none has."""
        seen = Index(Bound("hooks_seen", self.seen), Literal(0))
        unchanged = Operation("==", seen, Attribute(Bound("hooked", HOOKED_LEAVES), "count"))
        return Operation("or", unchanged, Invoke(Bound("hooks_hold", self.hold), ()))


def guards_of(
    program: Program, holders: Iterable[tuple[Any, Any]], modules: Attributes,
    outside: Outside | None = None, captured: Iterable[Any] = (),
) -> list[Guard]:  # fmt: skip
    """Return the conditions of what is outside.

    Args:
        program: what was recorded.
        holders: the Tensors outside that it reads or writes, and the array that each holds.
        modules: the attributes of the Modules that ran.
        outside: what the function finds outside.
        captured: the arrays outside that the program reads in every run.
    """
    found = []
    if outside is not None:
        found += _of_places(outside, captured, {place.key for place, _ in program.carried})
    if program.default_dtype is not None:
        dtype = Invoke(Bound("default_dtype", get_default_dtype), ())
        is_same = Operation("==", dtype, Bound("dtype", program.default_dtype))
        found.append(Guard("the default dtype is the same", is_same, "rg.get_default_dtype()"))
    for place, _ in program.carried:
        what = f"{place.place.name} has arrays of the same kinds"
        kinds = Invoke(Bound("kept", place.holds), ())
        found.append(Guard(what, kinds, place.place.name))
    optimizers = {id(o): o for o in program.optimizers}
    if outside is not None:
        optimizers |= outside.optimizers
    for optimizer in optimizers.values():
        found += _of_optimizer(optimizer)
    holders = [*holders]
    for holder, array in holders:
        t = Bound("holder", holder)
        what = f"a Tensor outside, of shape {array.shape},"
        same = _is(Attribute(t, "_array"), Bound("array", array))
        found.append(Guard(f"{what} holds the same array", same))
        needs = _is(Attribute(t, "requires_grad"), Literal(holder.requires_grad))
        found.append(Guard(f"{what} has requires_grad={holder.requires_grad}", needs))
    if program.leaves:
        hooks = Hooks([holder for holder, _ in holders])
        found.append(Guard("no Tensor outside has a hook", hooks.condition()))
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


def _of_places(
    outside: Outside, captured: Iterable[Any], assigned: Collection[tuple[int, str, Any]]
) -> list[Guard]:
    found = []
    for place in outside.places:
        if (id(place.owner), place.how, place.key) not in assigned:
            what = f"{place.name} is what it was"
            what += f": {place.value}" if place.how == "length" else ""
            found.append(Guard(what, _is_as_it_was(place), place.name))
    for name, module, key, value in outside.library.functions():
        same = _is(Attribute(Bound("library", module), key), Bound("function", value))
        found.append(Guard(f"{name} is what it was", same, name))
    live = {id(root(a)) for a in captured}
    for name, array in outside.arrays:
        if id(root(array)) not in live:
            holds = Invoke(Bound("equal", Contents(name, array).holds), ())
            found.append(Guard(f"the values of {name} are what they were", holds, name))
    return found


def _is_as_it_was(place: Place) -> Expression:
    """Return the condition that a place holds: see `Place` for how they are read."""
    owner, then = Bound("outside", place.owner), Attribute(Bound("place", place), "value")
    holds = Invoke(Bound("equal", place.holds), ())
    if place.how in ("context", "alive", "weakly") or isinstance(place, WeakPlace):
        return holds
    if place.value is MISSING:
        return holds
    if place.how == "length":
        return Operation("==", Invoke(Name("len"), (owner,)), Literal(place.value))
    if place.how == "keys":
        plain = all(type(key) in (str, int) for key in place.value)
        keys = Literal(place.value) if plain else then
        return Operation("==", Invoke(Name("tuple"), (owner,)), keys)
    if place.how == "content":
        return Operation("==", owner, then)
    if place.how == "class":
        return _is(Attribute(owner, "__class__"), Bound("class", place.value))
    if place.how == "attribute":
        now: Expression = Attribute(owner, place.key)
    elif place.how == "cell":
        now = Attribute(owner, "cell_contents")
    elif place.how == "in class":
        now = Index(Attribute(owner, "__dict__"), Literal(place.key))
    else:
        known = type(place.key) in (str, int)
        now = Index(owner, Literal(place.key) if known else Bound("key", place.key))
    return Operation("or", _is(now, then), holds)


def _of_optimizer(optimizer: Any) -> list[Guard]:
    groups = Attribute(Bound("optimizer", optimizer), "param_groups")
    n = len(optimizer.param_groups)
    count = Operation("==", Invoke(Name("len"), (groups,)), Literal(n))
    found = [Guard(f"an optimizer has {n} param groups", count)]
    for i, group in enumerate(optimizer.param_groups):
        same = _is(Index(groups, Literal(i)), Bound("group", group))
        found.append(Guard(f"param group {i} of an optimizer is the same dict", same))
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


class _Naming(PythonWriter):
    """Writes conditions so that equal texts are one condition."""

    def bound(self, value: Bound) -> str:
        """Return what stands for an object: itself, or what a place outside is and holds."""
        of = value.value
        if isinstance(of, MethodType) and isinstance(of.__self__, Place):
            of = of.__self__
        if isinstance(of, Place):
            owner = of.reference if isinstance(of, WeakPlace) else of.owner
            return f"place_{id(owner)}_{of.how}_{of.key!r}_{id(of.value)}"
        return f"{value.stem}_{id(of)}"


def find_further(guards: Iterable[Guard], known: Iterable[Guard]) -> list[Guard]:
    """Return the conditions that are not among others, which are asked already.

    Args:
        guards: conditions of what is outside.
        known: others, whose objects are alive.
    """
    writer = _Naming()
    asked = {writer.expression(guard.condition) for guard in known}
    return [guard for guard in guards if writer.expression(guard.condition) not in asked]


def argument_guards(names: Iterable[str], args: Iterable[Var]) -> list[Guard]:
    """Return the conditions of arguments: plain arrays of the recorded kinds.

    Args:
        names: their names.
        args: what they were.
    """
    found = []
    for i, (text, v) in enumerate(zip(names, args, strict=True)):
        name = Name(text)
        kind = _is(Attribute(name, "__class__"), Bound("ndarray", np.ndarray))
        shape = Operation("==", Attribute(name, "shape"), Literal(v.shape))
        dtype = _is(Attribute(name, "dtype"), Bound("dtype", v.dtype))
        found.append(Guard(f"argument {i} is an array", kind))
        found.append(Guard(f"argument {i} has the shape {v.shape}", shape))
        found.append(Guard(f"argument {i} has the dtype {v.dtype}", dtype))
    return found


def compile_guards(guards: Iterable[Guard], namespace: dict[str, Any]) -> Callable[[], bool]:
    """Return one function that tells whether all conditions hold.

    Args:
        guards: the conditions, asked in order until one does not hold.
        namespace: takes the objects that they refer to.
    """
    text = _conjunction(guards, FastWriter(namespace))
    lines = ["def holds():", " try:", f"  return {text}", f" except {GONE}:", "  return False"]
    exec("\n".join(lines), namespace)
    made: Callable[[], bool] = namespace.pop("holds")
    return made


def compile_entry(
    args: Sequence[Var], guards: Iterable[Guard], namespace: dict[str, Any]
) -> Callable[[Sequence[Any]], tuple[Any, ...] | None]:
    """Return a function of arguments, which gives them as arrays if all conditions hold, else None.

    All this is one function, since it is called before every run.

    Args:
        args: the arguments of the program.
        guards: the conditions of what is outside; those of arguments come first.
        namespace: takes the objects that they refer to.
    """
    names = [f"a{i}" for i in range(len(args))]
    lines = entry_lines(names, args, guards, FastWriter(namespace), "None")
    lines = [f"def enter({GIVEN}):", *lines, f"    return {_tuple_of(names)}"]
    exec("\n".join(lines), namespace)
    made: Callable[[Sequence[Any]], tuple[Any, ...] | None] = namespace.pop("enter")
    return made


def entry_lines(
    names: Sequence[str], args: Sequence[Var], guards: Iterable[Guard], writer: FastWriter,
    missed: str,
) -> list[str]:  # fmt: skip
    """Return how a function begins that gives names to arguments if all conditions hold.

    Args:
        names: the names, which are then those of arrays.
        args: the arguments of the program.
        guards: the conditions of what is outside; those of arguments come first.
        writer: writes the conditions.
        missed: what the function returns where one does not hold.
    """
    kinds = argument_guards(names, args)
    tensor = writer.bind("tensor", Tensor)
    is_plain = f"{{0}}.__class__ is {tensor} and not {{0}}.requires_grad"
    unwrapped = [f"        if {is_plain.format(n)}: {n} = {n}._array" for n in names]
    return [
        "    try:",
        f"        {_tuple_of(names)} = {GIVEN}",
        *unwrapped,
        f"        if not ({_conjunction([*kinds, *guards], writer)}): return {missed}",
        f"    except {GONE}: return {missed}",
    ]


def _tuple_of(names: Iterable[str]) -> str:
    return f"({''.join(f'{name}, ' for name in names)})"


def _conjunction(guards: Iterable[Guard], writer: FastWriter) -> str:
    return " and ".join(writer.inner(guard.condition) for guard in guards) or "True"


def first_failing(guards: Iterable[Guard], **arguments: Any) -> str:
    """Return the description of the first condition that does not hold, or "".

    Args:
        guards: conditions of what is outside, or of arguments.
        **arguments: what the conditions call by name: the names of arguments.
    """
    guard = find_failing(guards, **arguments)
    return "" if guard is None else guard.description


def find_failing(guards: Iterable[Guard], **arguments: Any) -> Guard | None:
    """Return the first condition that does not hold, or None; see `first_failing`."""
    space = {**arguments}
    writer = FastWriter(space)
    for guard in guards:
        # a name that one condition gives is global, so that later ones find it
        text = writer.expression(guard.condition)
        exec(f"try:\n _holds = {text}\nexcept {GONE}:\n _holds = False", space)
        if not space["_holds"]:
            return guard
    return None
