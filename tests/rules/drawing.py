"""How arguments are drawn for functions that are no ufuncs: `case(np.sum)(lambda d: ...)`.

A case takes a `Draw` and returns `call(*args, **kwargs)`, with `Array` placeholders for values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, mutually_broadcastable_shapes

from retrograd.engine.rule import load_rules
from rules.checking import Array, anywhere, distinct

load_rules()  # so that the tables below see every rule

Call = tuple[tuple[Any, ...], dict[str, Any]]
CASES: dict[Callable[..., Any], list[Callable[[Draw], Call]]] = {}


def case(*fns: Any) -> Callable[[Callable[[Draw], Call]], None]:
    """Say how to call `fns`; a function may have several cases, names are looked up in NumPy."""

    def register(drawn: Callable[[Draw], Call]) -> None:
        for fn in fns:
            if isinstance(fn, str):  # a function that older versions of NumPy do not have
                fn = newer(fn)
            if fn is not None:
                CASES.setdefault(fn, []).append(drawn)

    return register


def newer(name: str) -> Any:
    found: Any = np
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def method_of(ufunc: np.ufunc, method: str) -> Any:
    """Return `np.add.reduce` and the like, the same object each time."""
    return METHODS.setdefault((ufunc, method), Method(ufunc, method))


@dataclass(frozen=True)
class Method:
    """A method of a ufunc, with the name a user writes."""

    ufunc: Any
    method: str
    __module__ = "numpy"

    @property
    def __name__(self) -> str:
        return f"{self.ufunc.__name__}.{self.method}"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return getattr(self.ufunc, self.method)(*args, **kwargs)


METHODS: dict[tuple[np.ufunc, str], Method] = {}


def check_as(fn: Any, stand_in: Any) -> None:
    """Check a function by another one that has the same derivatives."""
    STAND_INS[fn] = stand_in


STAND_INS: dict[Any, Any] = {}


def call(*args: Any, **kwargs: Any) -> Call:
    return args, kwargs


class Draw:
    """Draws what functions take, from one hypothesis example."""

    def __init__(self, data: st.DataObject) -> None:
        self.draw = data.draw

    def shape(self, low: int = 0, high: int = 3, side: int = 0, most: int = 3) -> tuple[int, ...]:
        return self.draw(array_shapes(min_dims=low, max_dims=high, min_side=side, max_side=most))

    def shapes(self, n: int, side: int = 0) -> tuple[tuple[int, ...], ...]:
        return self.draw(
            mutually_broadcastable_shapes(num_shapes=n, min_side=side, max_side=3, max_dims=3)
        ).input_shapes

    def array(self, low: int = 0, high: int = 3, side: int = 0, values: Any = anywhere) -> Array:
        return Array(self.shape(low, high, side), values)

    def apart(self, low: int = 0, high: int = 3, side: int = 1) -> Array:
        """An array whose values all differ."""
        return Array(self.shape(low, high, side), distinct)

    def one_of(self, *choices: Any) -> Any:
        return self.draw(st.sampled_from(choices))

    def integer(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def integers(self, low: int, high: int, size: int) -> list[int]:
        return [self.integer(low, high) for _ in range(size)]

    def flag(self) -> bool:
        return self.draw(st.booleans())

    def axis(self, x: Array) -> int:
        """One axis of an array that has some, counted from either end."""
        return self.integer(-len(x.shape), len(x.shape) - 1)

    def some_axis(self, x: Array) -> int | None:
        return self.axis(x) if x.shape and self.flag() else None

    def axes(self, x: Array) -> Any:
        """None, one axis or several, counted from either end."""
        n = len(x.shape)
        if not n or self.integer(0, 2) == 0:
            return None
        several = self.draw(st.lists(st.integers(0, n - 1), unique=True, max_size=n))
        signed = tuple(a - n if self.flag() else a for a in several)
        return signed[0] if len(signed) == 1 and self.flag() else signed

    def order(self, n: int) -> list[int]:
        return self.draw(st.permutations(range(n)))

    def mask(self, shape: tuple[int, ...]) -> Any:
        size = int(np.prod(shape))
        bits = self.draw(st.lists(st.booleans(), min_size=size, max_size=size))
        return np.array(bits, dtype=bool).reshape(shape)
