"""How calls are done in C: for each element, as products, joined, put, or by a function alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrograd.compiler.c.functions import expression
from retrograd.compiler.c.kernels import Kernel
from retrograd.compiler.c.types import type_name
from retrograd.compiler.ir import Call, Var

Operand = Any  # a Var, a Live or a number


@dataclass(frozen=True, slots=True, eq=False)
class Elementwise:
    """What a call does for each element of its output, or of the array that it reduces.

    Args:
        call: the call.
        operands: its arguments, which are broadcast to `shape`.
        kinds: the dtypes in which it takes them.
        text: returns the value as a C expression of the operands, which are names or numbers.
        dtype: of that value.
        shape: of the elements that are gone over.
        helpers: C functions that the expression calls.
        reduces: by which ufunc the values are put together, or None.
        axes: over which.
        divisor: by how much the result is divided, for a mean.
    """

    call: Call
    operands: tuple[Operand, ...]
    kinds: tuple[np.dtype[Any], ...]
    text: Callable[[list[str]], str]
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    helpers: tuple[str, ...] = ()
    reduces: Any = None
    axes: tuple[int, ...] = ()
    divisor: int = 1

    @property
    def out(self) -> Var:
        """The array that it fills or changes."""
        return self.call.outs[0]


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """A product of matrices, of stacks of them, or a sum of products over axes of two arrays.

    Args:
        call: the call.
        left, right: its arguments.
        axes: the axes that go together, each as those of the left one, of the right one and of the
            result, None where there is none. "m" are in the left one and the result, "k" are
            summed, "n" are in the right one and the result, "batch" in the result and in one or
            both.
    """

    call: Call
    left: Var
    right: Var
    axes: dict[str, list[tuple[int | None, int | None, int | None]]]


@dataclass(frozen=True, slots=True, eq=False)
class Join:
    """The joining of arrays one behind the other, which may lie there already.

    Args:
        call: the call.
        parts: the arrays; one alone where it only gets another shape.
        axis: along which; None for all elements in their order.
    """

    call: Call
    parts: tuple[Var, ...]
    axis: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Put:
    """An array that is put among zeros.

    Args:
        call: the call.
        part: the array.
        index: where, without arrays.
    """

    call: Call
    part: Var
    index: Any


Form = Elementwise | Product | Join | Put | Kernel


def start_of(ufunc: Any, dtype: np.dtype[Any]) -> str:
    """Return what a reduction begins with, as C text."""
    if ufunc is np.add or ufunc is np.logical_or:
        return "0"
    if ufunc in (np.multiply, np.logical_and):
        return "1"
    top = ufunc is np.minimum
    if dtype.kind == "f":
        return "INFINITY" if top else "-INFINITY"
    if dtype.kind == "b":
        return "1" if top else "0"
    name = type_name(dtype)[:-2].upper()
    return f"{name}_MAX" if top else "0" if dtype.kind == "u" else f"{name}_MIN"


def combine(ufunc: Any, total: str, value: str, dtype: np.dtype[Any]) -> str:
    """Return the total of a reduction after one more value, as C text."""
    if ufunc is np.add and dtype.kind == "f":
        return f"{total} + {value}"
    if ufunc is np.add and dtype.kind == "b":
        return f"{total} || {value}"
    return expression(ufunc, [total, value], dtype)
