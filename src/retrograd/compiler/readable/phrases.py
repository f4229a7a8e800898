"""Calls as expressions: how a reader would write each of them."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from retrograd.compiler.ir import Call, Var
from retrograd.compiler.live import Live
from retrograd.compiler.statements import (
    Attribute,
    Expression,
    Index,
    Invoke,
    List,
    Literal,
    Negative,
    NumPy,
    Operation,
    Tuple,
    method,
    numpy,
)
from retrograd.engine import astype, spelled
from retrograd.rules.joining import concat
from retrograd.rules.products import contract

OPERATORS: dict[Any, str] = {
    np.add: "+", np.subtract: "-", np.multiply: "*", np.divide: "/", np.matmul: "@",
    np.power: "**", np.greater: ">", np.less: "<", np.greater_equal: ">=", np.less_equal: "<=",
    np.equal: "==", np.not_equal: "!=", np.floor_divide: "//", np.remainder: "%",
    np.bitwise_and: "&", np.bitwise_or: "|",
}  # fmt: skip
WRITES: dict[Any, str] = {np.add: "+", np.subtract: "-", np.multiply: "*", np.divide: "/"}


@dataclass(frozen=True, slots=True)
class Ref(Expression):
    """The value of a Var, whatever it is called."""

    var: Var


@dataclass(frozen=True, slots=True)
class Number(Expression):
    """A constant of one value where that number can stand for it."""

    var: Var


@dataclass(frozen=True, slots=True)
class Helper(Expression):
    """A function that is none of NumPy's."""

    fn: Any


def map_expression(how: Callable[[Expression], Expression | None], e: Expression) -> Expression:
    """Return an expression in which `how` has replaced parts; where it returns None they stay."""
    found = how(e)
    if found is not None:
        return found
    names = names_of_fields(type(e))
    values = [getattr(e, name) for name in names]
    new = [_map_value(how, value) for value in values]
    if all(map(operator.is_, values, new)):
        return e
    return type(e)(*new)


def _map_value(how: Callable[[Expression], Expression | None], value: Any) -> Any:
    if isinstance(value, Expression):
        return map_expression(how, value)
    if isinstance(value, tuple):
        new = tuple(_map_value(how, v) for v in value)
        return new if any(a is not b for a, b in zip(new, value, strict=True)) else value
    return value


def refs(e: Expression) -> list[Var]:
    """Return the Vars in an expression, as often as they stand there."""
    found: list[Var] = []
    stack: list[Any] = [e]
    while stack:
        part = stack.pop()
        if isinstance(part, (Ref, Number)):
            found.append(part.var)
        elif isinstance(part, tuple):
            stack += part
        elif isinstance(part, Expression):
            stack += [getattr(part, name) for name in names_of_fields(type(part))]
    return found[::-1]


def names_of_fields(kind: Any) -> tuple[str, ...]:
    """Return the names of the fields of a kind of expressions."""
    return _names_of_fields(kind)


@functools.cache
def _names_of_fields(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def argument(value: Any) -> Expression:
    """Return an argument of a call as an expression."""
    if isinstance(value, Var):
        return Ref(value)
    if isinstance(value, Live):
        return value.formula
    if isinstance(value, tuple):
        return Tuple(tuple(map(argument, value)))
    if isinstance(value, list):
        return List(tuple(map(argument, value)))
    return Literal(value)


def phrase(call: Call) -> Expression:
    """Return a call as an expression of Refs."""
    fn = call.fn
    if call.kind == "draw":
        shape, dtype = call.args
        options = {} if np.dtype(dtype) == np.float64 else {"dtype": dtype}
        return Invoke(Attribute(Helper(fn), "random"), (argument(shape),), _options(options))
    if isinstance(fn, np.ufunc):
        return _ufunc(call)
    if fn in _PHRASES:
        found = _PHRASES[fn](call)
        if found is not None:
            return found
    return _invoke(call)


def _options(options: dict[str, Any]) -> tuple[tuple[str, Expression], ...]:
    return tuple((k, argument(v)) for k, v in options.items())


def _invoke(call: Call, *args: Any, **options: Any) -> Invoke:
    name = spelled(call.fn)
    function: Expression = NumPy(name[3:]) if name.startswith("np.") else Helper(call.fn)
    given = args or call.args
    return Invoke(function, tuple(map(argument, given)), _options(options or call.kwargs))


def operands(call: Call) -> list[Expression]:
    """Return the arguments of an elementwise call; numbers stand for constants of one value."""
    out = call.outs[0]
    arrays = [a for a in call.args if isinstance(a, Var)]
    found: list[Expression] = []
    if isinstance(call.fn, np.ufunc) and call.fn.signature is not None:
        return [*map(argument, call.args)]
    for a in call.args:
        others = [b for b in arrays if b is not a and b.kind != "const"]
        if (
            isinstance(a, Var)
            and a.kind == "const"
            and a.dtype.kind in "fiub"
            and is_of_one_value(a)
            and others
            and np.broadcast_shapes(*(b.shape for b in others)) == out.shape
            and any(b.dtype == a.dtype for b in others)
        ):
            found.append(Number(a))
        elif type(a) is float and a.is_integer() and abs(a) < 1e6 and (a or str(a) == "0.0"):
            whole = any(b.dtype.kind == "f" for b in arrays)
            found.append(Literal(int(a) if whole else a))
        else:
            found.append(argument(a))
    return found


def is_of_one_value(v: Var) -> bool:
    """Tell whether all elements of a constant are the same, to the bit."""
    a = v.array
    return bool(a.size) and a.tobytes() == a.reshape(-1)[:1].tobytes() * a.size


def _ufunc(call: Call) -> Expression:
    args = operands(call)
    options = call.kwargs
    if not options and call.fn is np.multiply:
        for factor, other in (args, args[::-1]):
            if (divisor := _divisor(factor)) is not None:
                return Operation("/", other, divisor)
    if not options and call.fn in OPERATORS and len(args) == 2:
        return Operation(OPERATORS[call.fn], *args)
    if not options and call.fn is np.negative:
        return Negative(args[0])
    if not options and call.fn is np.square:
        return Operation("**", args[0], Literal(2))
    if not options and call.fn is np.absolute:
        return numpy("abs", args[0])
    name = spelled(call.fn)
    function: Expression = NumPy(name[3:]) if name.startswith("np.") else Helper(call.fn)
    return Invoke(function, tuple(args), _options(options))


def _divisor(factor: Expression) -> Expression | None:
    """Return what a factor of the form `1 / n` divides by."""
    formula = getattr(factor.value, "formula", None) if isinstance(factor, Literal) else None
    if not isinstance(formula, Operation) or formula.symbol != "/":
        return None
    return formula.right if formula.left == Literal(1) else None


def _transpose(call: Call) -> Expression:
    options = [*call.args[1:], *call.kwargs.values()]
    axes = options[0] if options else None
    x = argument(call.args[0])
    if axes is None or [*axes] == [*range(len(axes))][::-1]:
        return Attribute(x, "T")
    return Invoke(Attribute(x, "transpose"), tuple(map(argument, axes)))


def _method(name: str) -> Callable[[Call], Expression]:
    def write(call: Call) -> Expression:
        options = [*call.args[1:], *call.kwargs.values()]
        return Invoke(Attribute(argument(call.args[0]), name), tuple(map(argument, options)))

    return write


def _reshape(call: Call) -> Expression | None:
    if len(call.args) != 2 or call.kwargs:
        return None
    shape = call.args[1]
    given = (shape,) if not isinstance(shape, (tuple, list)) else tuple(shape)
    if not given:
        given = ((),)
    return Invoke(Attribute(argument(call.args[0]), "reshape"), tuple(map(argument, given)))


def _reduction(call: Call) -> Expression | None:
    options = dict(call.kwargs)
    if len(call.args) == 2:
        options = {"axis": call.args[1], **options}
    elif len(call.args) > 2:
        return None
    axis = options.get("axis", 0)
    if axis is None:
        del options["axis"]
    elif isinstance(axis, tuple) and len(axis) == 1:
        options["axis"] = axis[0]
    if options.get("keepdims") is False:
        del options["keepdims"]
    function = NumPy(spelled(call.fn)[3:])
    return Invoke(function, (argument(call.args[0]),), _options(options))


def _where(call: Call) -> Expression | None:
    if len(call.args) != 3 or call.kwargs:
        return None
    return Invoke(NumPy("where"), tuple(operands(call)))


def _concat(call: Call) -> Expression:
    parts = List(tuple(map(argument, call.args)))
    axis = call.kwargs.get("axis", 0)
    options = {} if axis == 0 and axis is not None else {"axis": axis}
    return Invoke(NumPy("concatenate"), (parts,), _options(options))


def _einsum(call: Call) -> Expression:
    options = {k: v for k, v in call.kwargs.items() if k != "subscripts" and v}
    args = (Literal(call.kwargs["subscripts"]), *map(argument, call.args))
    return Invoke(NumPy("einsum"), args, _options(options))


def _astype(call: Call) -> Expression:
    return method(argument(call.args[0]), "astype", *map(argument, call.args[1:]))


_PHRASES: dict[Any, Callable[[Call], Expression | None]] = {
    operator.getitem: lambda c: Index(argument(c.args[0]), argument(c.args[1])),
    np.transpose: _transpose,
    np.swapaxes: _method("swapaxes"),
    np.reshape: _reshape,
    np.ravel: lambda c: method(argument(c.args[0]), "ravel") if len(c.args) == 1 else None,
    np.copy: lambda c: method(argument(c.args[0]), "copy"),
    **dict.fromkeys((np.sum, np.mean, np.max, np.min, np.prod, np.any, np.all), _reduction),
    np.where: _where,
    concat: _concat,
    contract: _einsum,
    astype: _astype,
}

VIEWS: Sequence[Any] = (np.transpose, np.swapaxes, operator.getitem, np.reshape, np.ravel,
                        np.expand_dims, np.squeeze)  # fmt: skip
