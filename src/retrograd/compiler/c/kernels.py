"""Calls that are C functions of their own, which read and fill whole arrays."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from retrograd.compiler.c.code import Function
from retrograd.compiler.c.names import CNames
from retrograd.compiler.c.places import Places, in_order
from retrograd.compiler.c.types import number, type_name
from retrograd.compiler.ir import Call, Var

# what functions call their own numbers, so that no array has these names
_WORDS = """
best c count count0 first found hit high is_free left low mean middle most number place power
rest table taken total value won
"""


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """A call that is done by a C function of its own.

    Args:
        call: the call.
        write: writes what the function does into its body.
        checks: whether the function may find that its arguments are wrong.
        cost: about so many operations it does.
    """

    call: Call
    write: Callable[[Body], None]
    checks: bool = False
    cost: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Operand:
    """An array in the body of a function.

    Args:
        name: of the pointer to its first element.
        shape: of the array.
        strides: between neighbours, in elements.
        kind: the C type of its elements.
        var: the array; None for one that stands in the function itself.
    """

    name: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    kind: str
    var: Var | None

    def at(self, *index: Any) -> str:
        """Return an element: a number or a C expression for each axis."""
        return self.element(list(zip(index, self.strides, strict=True)))

    def element(self, terms: Iterable[tuple[Any, int]], first: int = 0) -> str:
        """Return the element that is reached by so many steps of these strides.

        Args:
            terms: how many steps, a number or a C expression, and of which stride.
            first: so many elements behind the first one.
        """
        texts = []
        for steps, stride in terms:
            if not stride or steps in (0, "0"):
                continue
            if isinstance(steps, int):
                first += steps * stride
                continue
            plain = steps if steps.isidentifier() else f"({steps})"
            texts.append(plain if stride == 1 else f"{plain} * {stride}")
        if first or not texts:
            texts.append(str(first))
        return f"{self.name}[{' + '.join(texts)}]".replace("+ -", "- ")


class Body:
    """The body of a C function in the making.

    Args:
        name: of the function.
        places: where arrays lie.
        wish: returns what to call an array.
        code: what the function returns where its arguments are wrong.

    Attributes:
        lines: what stands in it so far.
    """

    def __init__(
        self, name: str, places: Places, wish: Callable[[Var], str], code: int
    ) -> None:  # fmt: skip
        self.name = name
        self.code = code
        self.lines: list[str] = []
        self.helpers: list[str] = []
        self.names = CNames()
        for word in _WORDS.split():
            self.names.fresh(word)
        self._places = places
        self._wish = wish
        self._given: dict[Var, Operand] = {}
        self._filled: set[Var] = set()
        self._counters: list[str] = []
        self._tables: list[str] = []

    def array(self, var: Var, fills: bool = False) -> Operand:
        """Return an array that the function is given, and fills or changes if `fills`."""
        if fills:
            self._filled.add(var)
        if var not in self._given:
            place = self._places.find(var)
            assert place is not None
            name = self.names.fresh(self._wish(var))
            self._given[var] = Operand(
                name, var.shape, place.strides, type_name(var.dtype), var
            )  # fmt: skip
        return self._given[var]

    def table(self, values: Any) -> Operand:
        """Return an array of numbers that stands in the function itself."""
        name = self.names.fresh("table")
        if values.dtype.kind in "iu" and max(map(abs, values.reshape(-1).tolist())) < 2**31:
            flat, kind = [str(int(i)) for i in values.reshape(-1)], "int32_t"
        else:
            flat = [number(v, values.dtype) for v in values.reshape(-1)]
            kind = type_name(values.dtype)
        text = textwrap.wrap(", ".join(flat), 90)
        self._tables += [f"static const {kind} {name}[{len(flat)}] = {{", *indent(text), "};"]
        return Operand(name, values.shape, in_order(values.shape), kind, None)

    def counter(self, wish: str = "i") -> str:
        """Return the name of a new loop counter."""
        n = sum(c.startswith(wish) for c in self._counters)
        name = f"{wish}{n}"
        self._counters.append(name)
        return name

    def counters(self, shape: Sequence[int]) -> list[str]:
        """Return a counter for each axis of a shape, "0" for those of length 1."""
        return [self.counter() if n != 1 else "0" for n in shape]

    def drop(self, counters: Iterable[str]) -> None:
        """Do without counters that nothing uses."""
        self._counters = [c for c in self._counters if c not in counters]

    def add(self, *lines: str) -> None:
        """Add lines."""
        self.lines += lines

    def finish(self, cost: int, checks: bool) -> Function:
        """Return the function."""
        places = {v: self._places.find(v) for v in self._given}
        roots = [place.root for place in places.values() if place is not None]
        head = []
        for var, operand in self._given.items():
            place = places[var]
            assert place is not None
            alone = roots.count(place.root) == 1 or not self._filled
            fixed = "" if var in self._filled else "const "
            head.append(f"{fixed}{operand.kind} *{'restrict ' * alone}{operand.name}")
        lines = [*self._tables]
        if self._counters:
            lines.append(f"ptrdiff_t {', '.join(self._counters)};")
        lines += self.lines
        if checks:
            lines.append("return 0;")
        kind = "int" if checks else "void"
        text = "\n".join(
            [f"static {kind} {self.name}({', '.join(head)}) {{", *indent(lines), "}"]
        )  # fmt: skip
        arrays = [(p.root, p.offset) for p in places.values() if p is not None]
        return Function(self.name, text, arrays, [], self.helpers, cost, checks)


def options_of(call: Call, *names: str) -> dict[str, Any] | None:
    """Return the arguments by name, None where there are others; None values are left out."""
    given = {**dict(zip(names, call.args, strict=False)), **call.kwargs}
    given = {k: v for k, v in given.items() if v is not None}
    return given if set(given) <= {*names} and isinstance(given.get(names[0]), Var) else None


def named_arguments(call: Call, *names: str) -> dict[str, Any] | None:
    """Return the arguments by name, as `options_of` does, also where the first is no array."""
    given = {**dict(zip(names, call.args, strict=False)), **call.kwargs}
    given = {k: v for k, v in given.items() if v is not None}
    return given if set(given) <= {*names} else None


def indent(lines: Iterable[str]) -> list[str]:
    """Return lines one step further in."""
    return ["    " + line for line in lines]


def loop(counter: str, n: int, lines: Sequence[str]) -> list[str]:
    """Return lines in a loop over `n` turns; without it for the counter "0"."""
    if counter == "0":
        return [*lines]
    return [f"for ({counter} = 0; {counter} < {n}; {counter}++) {{", *indent(lines), "}"]


def nest(
    counters: Sequence[str], shape: Sequence[int], lines: Sequence[str],
    strides: Sequence[int] | None = None,
) -> list[str]:  # fmt: skip
    """Return lines in loops, the first outermost, or that of the longest stride where these tell.

    Args:
        counters: of the loops.
        shape: how many turns each has.
        lines: what is inside.
        strides: what each turn goes on by, in an array that is filled.
    """
    axes = [*range(len(shape))]
    if strides is not None:
        axes.sort(key=lambda d: -abs(strides[d]))
    found = [*lines]
    for d in reversed(axes):
        found = loop(counters[d], shape[d], found)
    return found


def write_kernel(
    name: str, form: Kernel, code: int, places: Places, wish: Callable[[Var], str]
) -> Function:
    """Return the function of a call.

    Args:
        name: of the function.
        form: the call.
        code: what it returns where its arguments are wrong.
        places: where its arrays lie.
        wish: returns what to call an array.
    """
    body = Body(name, places, wish, code)
    form.write(body)
    size = sum(v.size for v in (*form.call.vars(), *form.call.outs))
    return body.finish(form.cost or size, form.checks)
