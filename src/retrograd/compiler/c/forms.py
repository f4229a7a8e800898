"""Which calls have a form in C: as what is done for each element, or as a product of matrices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrograd.compiler.assembly import loop_dtypes
from retrograd.compiler.c.functions import expression, has_form, helper
from retrograd.compiler.c.types import has_type, is_float, type_name
from retrograd.compiler.ir import Call, Var
from retrograd.compiler.live import Live
from retrograd.engine import astype

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
    """A product of two matrices, `(m, k)` and `(k, n)`; vectors have one row, or one column.

    Args:
        call: the call.
        left, right: its arguments.
        m, k, n: the sizes.
    """

    call: Call
    left: Var
    right: Var
    m: int
    k: int
    n: int


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


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """Where an element of scores is of the target class; a class that is none is an error.

    Args:
        call: the call of `class_hits`.
        target: the class numbers.
        classes: how many classes there are.
        ignored: a class number that is let pass.
    """

    call: Call
    target: Var
    classes: int
    ignored: int


Form = Elementwise | Product | Join | Put | Hits

_REDUCTIONS = {
    np.sum: np.add, np.max: np.maximum, np.min: np.minimum, np.prod: np.multiply,
    np.all: np.logical_and, np.any: np.logical_or, np.mean: np.add,
}  # fmt: skip


def find_form(call: Call) -> Form | None:
    """Return how a call is done in C, or None where only NumPy does it."""
    if call.kind == "draw" or call.acts or len(call.outs) != 1 or call.view_of is not None:
        return None
    arrays = [*call.vars(), *call.outs]
    name = getattr(call.fn, "__name__", "")
    if not all(has_type(v.dtype) and (v.size or name == "concat") for v in arrays):
        return None
    if not all(v.size for v in call.outs):
        return None
    if call.kind == "write":
        return _write(call)
    if isinstance(call.fn, np.ufunc):
        return _product(call) if call.fn is np.matmul else _ufunc(call)
    if call.fn in _REDUCTIONS:
        return _reduction(call)
    if call.fn is np.where and len(call.args) == 3:
        return _where(call)
    if call.fn in (np.copy, astype, np.broadcast_to):
        return _copy(call, call.args[0])
    if call.fn is np.clip:
        return _clip(call)
    if name == "concat" and all(isinstance(a, Var) for a in call.args):
        same = all(a.dtype == call.outs[0].dtype for a in call.args)
        parts = tuple(a for a in call.args if a.size)
        return Join(call, parts, call.kwargs.get("axis", 0)) if same else None
    if call.fn in (np.reshape, np.ravel):
        plain = not {"order", "copy"} & set(call.kwargs) and isinstance(call.args[0], Var)
        plain = plain and len(call.args) <= 2
        return Join(call, call.args[:1], None) if plain else None
    if name == "put" and isinstance(call.args[0], Var) and _is_basic(call.args[1]):
        return Put(call, *call.args[:2])
    if name == "class_hits" and len(call.args) == 4:
        target, classes, ndim, ignored = call.args
        plain = isinstance(target, Var) and target.ndim == 1 and ndim == 2
        return Hits(call, target, classes, ignored) if plain else None
    return None


def _is_basic(index: Any) -> bool:
    """Tell whether an index consists of whole numbers and slices."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(type(p) in (int, slice, type(None), type(Ellipsis)) for p in parts)


def _number(value: Any) -> bool:
    return isinstance(value, (Var, Live, bool, int, float, np.generic))


def _ufunc(call: Call) -> Elementwise | None:
    if call.kwargs or call.fn.nout != 1 or call.fn.signature:
        return None
    return _of_ufunc(call, call.args)


def _of_ufunc(call: Call, args: tuple[Any, ...]) -> Elementwise | None:
    if not all(map(_number, args)):
        return None
    try:
        kinds = tuple(loop_dtypes(call))
    except (TypeError, OverflowError):
        return None
    kind = kinds[0]
    same = all(k == kind for k in kinds) or (call.fn is np.ldexp and is_float(kind))
    if not same or not all(map(has_type, kinds)) or not has_form(call.fn, kind):
        return None
    if any(isinstance(a, Live) for a in args) and not is_float(kind):
        return None
    out, fn = call.outs[0], call.fn
    if fn in (np.power, np.float_power) and not isinstance(args[1], (Var, Live)):
        if args[1] == 2:
            fn, args, kinds = np.square, args[:1], kinds[:1]
        elif args[1] == 0.5 and is_float(kind):
            return None  # a root is not that power of minus infinity, and NumPy decides which
    shape = np.broadcast_shapes(*(a.shape for a in args if isinstance(a, Var)), out.shape)
    if shape != out.shape:
        return None
    found = helper(fn, kind)
    return Elementwise(
        call, args, kinds, lambda names: expression(fn, names, kind), out.dtype, shape,
        (found,) if found else (),
    )  # fmt: skip


def _write(call: Call) -> Elementwise | None:
    if isinstance(call.fn, np.ufunc) and call.fn.nout == 1 and len(call.args) == 2:
        found = _of_ufunc(call, call.args)
        # an array that is broadcast onto itself is written more than once
        return None if found is None or 0 in _broad(call.outs[0]) else found
    if call.fn is np.copyto and len(call.args) == 2 and 0 not in _broad(call.outs[0]):
        return _copy(call, call.args[1])
    return None


def _broad(var: Var) -> tuple[int, ...]:
    return tuple(s for s, n in zip(var.strides, var.shape, strict=True) if n > 1)


def _copy(call: Call, value: Any) -> Elementwise | None:
    out = call.outs[0]
    if not _number(value) or isinstance(value, Live):
        return None
    if isinstance(value, Var):
        if np.broadcast_shapes(value.shape, out.shape) != out.shape:
            return None
        kind = value.dtype
    else:
        kind = np.asarray(value).dtype
    if not has_type(kind) or (kind.kind == "f" and out.dtype.kind in "iu"):
        return None  # C leaves open what a float out of range becomes
    text = "{0} != 0" if out.dtype.kind == "b" else "{0}"
    return Elementwise(
        call, (value,), (kind,), lambda names: text.format(*names), out.dtype, out.shape
    )


def _where(call: Call) -> Elementwise | None:
    condition, x, y = call.args
    out = call.outs[0]
    if (
        call.kwargs
        or not all(map(_number, call.args))
        or any(isinstance(a, Live) for a in call.args)
    ):
        return None
    given = condition.dtype if isinstance(condition, Var) else np.asarray(condition).dtype
    if not has_type(given):
        return None
    return Elementwise(
        call, (condition, x, y), (given, out.dtype, out.dtype),
        lambda names: "({} != 0) ? {} : {}".format(*names), out.dtype, out.shape,
    )  # fmt: skip


def _clip(call: Call) -> Elementwise | None:
    out = call.outs[0]
    args = (*call.args, *(call.kwargs.get(k) for k in ("a_min", "a_max")[len(call.args) - 1 :]))
    if set(call.kwargs) - {"a_min", "a_max"} or len(args) != 3 or not isinstance(args[0], Var):
        return None
    x, low, high = args
    bounds = [b for b in (low, high) if b is not None]
    if not all(map(_number, bounds)) or any(isinstance(b, Live) for b in bounds):
        return None
    if x.dtype != out.dtype or any(isinstance(b, Var) and b.dtype != out.dtype for b in bounds):
        return None
    text = "{0}"
    if low is not None:
        text = "({0} < {1}) ? {1} : {0}"
    if high is not None:
        upper = "{2}" if low is not None else "{1}"
        text = f"({{0}} > {upper}) ? {upper} : ({text})"
        if low is not None:  # where the bounds cross, the upper one holds
            beyond = f"{{0}} > {upper} || {{1}} > {upper}"
            text = f"({beyond}) ? {upper} : (({{0}} < {{1}}) ? {{1}} : {{0}})"
            text = f"({{0}} != {{0}}) ? {{0}} : {text}"
    values = (x, *bounds)
    return Elementwise(
        call, values, (out.dtype,) * len(values), lambda names: text.format(*names), out.dtype,
        out.shape,
    )  # fmt: skip


def _reduction(call: Call) -> Elementwise | None:
    x, *rest = call.args
    options = dict(call.kwargs)
    axis = rest[0] if rest else options.pop("axis", None)
    options.pop("keepdims", None)
    if len(rest) > 1 or options or not isinstance(x, Var):
        return None
    if axis is None:
        axes = tuple(range(x.ndim))
    else:
        given = axis if isinstance(axis, tuple) else (axis,)
        axes = tuple(sorted(a % x.ndim for a in given)) if x.ndim else ()
    ufunc, out = _REDUCTIONS[call.fn], call.outs[0]
    floats = is_float(out.dtype)
    if call.fn is np.mean and not (floats and is_float(x.dtype)):
        return None
    count = 1
    for a in axes:
        count *= x.shape[a]
    divisor = count if call.fn is np.mean else 1
    asks = ufunc in (np.logical_and, np.logical_or)
    text = "{0} != 0" if asks else "{0}"
    return Elementwise(
        call, (x,), (x.dtype if asks else out.dtype,), lambda names: text.format(*names),
        out.dtype, x.shape, (), ufunc, axes, divisor,
    )  # fmt: skip


def _is_of_ones(value: Any) -> bool:
    return isinstance(value, Var) and value.kind == "const" and bool((value.array == 1).all())


def _product(call: Call) -> Form | None:
    if call.kwargs or len(call.args) != 2 or not all(isinstance(a, Var) for a in call.args):
        return None
    x, y = call.args
    out = call.outs[0]
    if not is_float(out.dtype) or not x.dtype == y.dtype == out.dtype:
        return None
    if x.ndim == y.ndim == 1:
        return Elementwise(
            call, (x, y), (x.dtype, y.dtype), lambda names: " * ".join(names), out.dtype,
            x.shape, (), np.add, (0,),
        )  # fmt: skip
    if x.ndim > 2 or y.ndim > 2:
        return None
    # sums are often written as products with ones
    for ones, of, axis in ((x, y, 0), (y, x, of_last(x))):
        if ones.ndim == 1 and _is_of_ones(ones):
            return Elementwise(
                call, (of,), (of.dtype,), lambda names: names[0], out.dtype, of.shape, (), np.add,
                (axis,),
            )  # fmt: skip
    m = x.shape[0] if x.ndim == 2 else 1
    n = y.shape[-1] if y.ndim == 2 else 1
    return Product(call, x, y, m, x.shape[-1], n)


def of_last(var: Var) -> int:
    """Return the number of the last axis."""
    return var.ndim - 1


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
