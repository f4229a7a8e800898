"""A place where numbers stop being finite: what was computed, from what, and what to do."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from retrograd.anomaly import cures
from retrograd.engine import Array, Rule, Tensor, astype
from retrograd.lines import NOWHERE, Line

SHOWN = 3  # so many bad places are listed


class AnomalyError(FloatingPointError, RuntimeError):
    """A value or a gradient is nan or infinite, though what it was computed from is not.

    The message has the function, how many elements are bad and where, the inputs at the first of
    them, the usual cure, and the line of the user's code that made the forward call.

    It is a FloatingPointError as NumPy raises under `np.errstate(all="raise")`, and a RuntimeError
    as PyTorch's anomaly mode raises.

    Args:
        fault: what was found.

    Attributes:
        fault: what was found, for programs: its `function`, `line`, `index`, `inputs`, `cure`.

    >>> x = rg.Tensor([1.0, 0.0], requires_grad=True)
    >>> try:
    ...     with rg.detect_anomaly():
    ...         np.log(x)
    ... except rg.AnomalyError as error:
    ...     print(error.fault.function, error.fault.index, error.fault.numbers)
    np.log (1,) {'x': 0.0, 'out': -inf}
    """

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault

    def __str__(self) -> str:
        return str(self.fault)


@dataclass
class Fault:
    """What was found where numbers stop being finite.

    Args:
        function: the function, as a user writes it.
        values: what it gave: its result, or a gradient.
        inputs: its arguments, by name.
        of: the argument that `values` is the gradient of; "" where they are the result.
        g: the gradient that arrived.
        out: the result, where `values` are a gradient.
        line: the user's line of the forward call.
        within: what the user called, where the function is a part of that; "".
        makers: the functions that made each argument, by its name.
        elementwise: whether each element comes of the elements at its place alone.
        options: the keywords of the call.
        came: what is wrong with the inputs already: "" for nothing, else a sentence.
        program_line: the line of a compiled program; "".

    >>> fault = rg.anomaly.Fault("np.log", np.array([-np.inf, 0.0]), {"x": np.array([0.0, 1.0])})
    >>> fault.count, fault.index, fault.numbers
    (1, (0,), {'x': 0.0, 'out': -inf})
    """

    function: str
    values: Array
    inputs: Mapping[str, Any]
    of: str = ""
    g: Any = None
    out: Any = None
    line: Line = NOWHERE
    within: str = ""
    makers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    elementwise: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    came: str = ""
    program_line: str = ""

    @property
    def places(self) -> list[tuple[int, ...]]:
        """The indices of all elements that are not finite, in order."""
        return [tuple(map(int, at)) for at in np.argwhere(~np.isfinite(self.values))]

    @property
    def count(self) -> int:
        """How many elements are not finite."""
        return int(np.count_nonzero(~np.isfinite(self.values)))

    @property
    def index(self) -> tuple[int, ...]:
        """The index of the first of them."""
        return tuple(map(int, np.unravel_index(self._first, self.values.shape)))

    @property
    def _first(self) -> int:
        return int(np.argmax(~np.isfinite(self.values.reshape(-1))))

    @property
    def numbers(self) -> dict[str, float]:
        """The inputs there, by name, with `g` and `out`; those that have an element there."""
        found = {}
        known = {**self.inputs, "g": self.g, "out": self.values if not self.of else self.out}
        for name, value in known.items():
            at = _element(value, self.index, self.values.shape)
            is_result = name == "out" and not self.of
            if at is not None and (self.elementwise or np.ndim(value) == 0 or is_result):
                found[name] = at
        return found

    @property
    def cure(self) -> str:
        """What usually helps, in a sentence or two."""
        if self.came:
            return self.came
        at = {**self.numbers, **self._counts()}
        usual = cures.GRADIENTS if self.of else cures.VALUES
        table = [
            cure for name in (self.function, self.within) for cure in usual.get(_last(name), ())
        ]
        if self.of and at.get("g") == 0 and math.isnan(float(self.values[self.index])):
            return cures.BOTH_SIDES
        if cure := cures.find_cure(table, at, self.makers):
            return cure
        inputs = [self.g, *self.inputs.values()] if self.of else self.inputs.values()
        if any(not is_finite(value) for value in inputs):
            return cures.INFINITE
        sizes = [self.values] if self.of else [self.values, *self.inputs.values()]
        wide = _widest(sizes)
        if self._is_overflow():
            text = cures.EXPLOSION if self.of else cures.OVERFLOW
            return text.format(dtype=wide.name, largest=float(np.finfo(wide).max))
        return cures.OWN_FORMULA.format(function=self.function)

    def _counts(self) -> dict[str, float]:
        """Return what the causes of reductions go by: how many elements each result is of."""
        x = next(iter(self.inputs.values()), None)
        elements = np.size(x) / max(self.values.size, 1) if x is not None else math.nan
        return {"elements": elements, "ddof": float(self.options.get("ddof", 0) or 0)}

    def _is_overflow(self) -> bool:
        """Tell whether the result is infinite because it is large, not because of a pole."""
        if math.isnan(float(self.values[self.index])):
            return False
        parts = [self.g, self.out, *self.inputs.values()] if self.of else self.inputs.values()
        largest = max((_largest(value) for value in parts), default=0.0)
        return largest > 1.0

    def __str__(self) -> str:
        shape, value = self.values.shape, self.values[self.index]
        what = f"the gradient of {self.function} for {self.of}" if self.of else self.function
        if self.of and self.function == "":
            what = f"the gradient of {self.of}"
        elif self.of and self.function.startswith("the gradient"):
            what = f"the derivative of {self.function}"
        inside = f" (in {self.within})" if self.within else ""
        lines = [f"{what}{inside} is {value}"]
        if shape:
            places = self.places[:SHOWN]
            shown = ", ".join(str(at) for at in places)
            more = ", ..." if self.count > len(places) else ""
            lines[0] += f" at {self.index}"
            lines.append(
                f"{self.count} of {self.values.size} elements, shape {shape}, are not finite: "
                f"{_kinds(self)}, at {shown}{more}"
            )
        there = {n: v for n, v in self.numbers.items() if n != "out" or self.of}
        if there:
            given = ", ".join(f"{name} = {_text(number)}" for name, number in there.items())
            lines.append(f"from {given}")
        for name, value in self.inputs.items():
            if name not in there and _is_float(value):
                lines.append(f"{name} has the shape {value.shape}{_range(value)}")
        lines.append(f"cure: {self.cure}")
        if self.program_line:
            lines.append(f"program: {self.program_line}")
        return "\n  ".join(lines) + str(self.line)


# What a call gave, and what it was given


def argument_names(rule: Rule, count: int) -> list[str]:
    """Return a name for each of so many arguments of a call: those that the rule has."""
    known = list(rule.names or ())[:count]
    if len(known) == count and rule.arrays:
        return known
    return [f"argument {i}" for i in range(count)] if count > 1 else ["x"]


def makers_of(value: Any) -> frozenset[str]:
    """Return the functions that made an argument, behind those that move, shift and scale it."""
    found: set[str] = set()
    stack = [value]
    for _ in range(_LOOKED_AT):
        if not stack:
            break
        t = stack.pop()
        if not isinstance(t, Tensor) or t.rule is None:
            continue
        if t.rule.name in MOVING or t.rule.name in _LINEAR:
            stack += t.inputs or ()
        else:
            found.add(t.rule.name)
    return frozenset(found)


_LOOKED_AT = 32  # so many arguments at most

# functions that put values elsewhere, and compute nothing
MOVING = {
    "np.reshape", "np.transpose", "np.expand_dims", "np.squeeze", "np.broadcast_to", "getitem",
    "np.ravel", "np.swapaxes", "np.moveaxis", "np.where", "np.sort", "np.copy", "np.concatenate",
    "np.flip", "np.roll", "np.pad", "np.take_along_axis", "np.take", "concat", "astype", "pick",
    "np.repeat", "np.tile",
}  # fmt: skip
# functions that shift and scale values, or bound them
_LINEAR = {"np.add", "np.subtract", "np.multiply", "np.negative", "np.maximum", "np.clip"}


def is_elementwise(rule: Rule, values: Any, arrays: Iterable[Any]) -> bool:
    """Tell whether each element of a result comes of the elements at its place alone."""
    fn = rule.fn
    if isinstance(fn, np.ufunc):
        return fn.signature is None
    shapes = [np.shape(a) for a in arrays if isinstance(a, np.ndarray)]
    if fn in (np.where, np.clip, astype):
        return True
    home = str(getattr(fn, "__module__", ""))
    own = home.startswith("retrograd.special") and "soft" not in rule.name
    users = not home.startswith(("numpy", "retrograd"))  # most likely, where shapes are equal
    return (own or users) and all(shape == np.shape(values) for shape in shapes)


def arrays_in(value: Any) -> list[Array]:
    """Return the arrays of floats of a value, which may be several, Tensors, or none."""
    if isinstance(value, Tensor):
        value = value._array
    if isinstance(value, (tuple, list)):
        return [a for part in value for a in arrays_in(part)]
    if hasattr(value, "parts"):
        return [a for part in value.parts for a in arrays_in(part)]
    if isinstance(value, np.generic):
        value = np.asarray(value)
    return [value] if isinstance(value, np.ndarray) and value.dtype.kind in "fc" else []


def is_finite(value: Any) -> bool:
    """Tell whether there is neither nan nor inf in a value."""
    if isinstance(value, (float, complex)):
        return bool(np.isfinite(value))
    return all(bool(np.isfinite(a).all()) for a in arrays_in(value))


def has_nan(value: Any) -> bool:
    """Tell whether there is nan in arrays; that of a plain number was meant."""
    return any(bool(np.isnan(a).any()) for a in arrays_in(value))


def _is_float(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.size > 0


def _element(value: Any, index: tuple[int, ...], shape: tuple[int, ...]) -> float | None:
    """Return the element of a value that went into the result at an index, None if there is none.

    Args:
        value: an array that is broadcast to the result, or a number.
        index: the place in the result.
        shape: the shape of the result.
    """
    if isinstance(value, (bool, int, float)):
        return float(value)
    if isinstance(value, Tensor):
        value = value._array
    if not isinstance(value, (np.ndarray, np.generic)) or value.dtype.kind not in "fiub":
        return None
    try:
        return float(np.broadcast_to(value, shape)[index])
    except ValueError:
        return None


def _widest(values: Iterable[Any]) -> np.dtype[Any]:
    kinds = [a.dtype for value in values for a in arrays_in(value)]
    return np.result_type(*kinds) if kinds else np.dtype(np.float64)


def _largest(value: Any) -> float:
    if isinstance(value, (int, float)):
        return abs(float(value))
    found = [np.abs(a[np.isfinite(a)]).max(initial=0.0) for a in arrays_in(value)]
    return float(max(found, default=0.0))


def _last(name: str) -> str:
    """Return a name as the tables of cures have it."""
    name = name.removeprefix("special.").removeprefix("nn.functional.")
    return name.replace("np.lib.scimath.", "np.")


def _kinds(fault: Fault) -> str:
    x = fault.values
    counts = {"nan": np.isnan(x).sum(), "inf": np.isposinf(x).sum(), "-inf": np.isneginf(x).sum()}
    return " and ".join(f"{n} {kind}" for kind, n in counts.items() if n)


def _text(number: float) -> str:
    return f"{number:.6g}"


def _range(value: Array) -> str:
    finite = value[np.isfinite(value)]
    rest = value.size - finite.size
    text = f", from {finite.min():.6g} to {finite.max():.6g}" if finite.size else ""
    return text + (f", {rest} of it not finite" if rest else "")
