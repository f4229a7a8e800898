"""Which calls have a form in C, and which."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd.compiler.assembly import loop_dtypes
from retrograd.compiler.c.choices import (
    find_choice,
    find_mixed_product,
    find_several,
    find_sum,
)
from retrograd.compiler.c.elements import FILLED, OF_ONE, is_close, to_whole
from retrograd.compiler.c.factors import find_contraction, find_product
from retrograd.compiler.c.forms import Elementwise, Form, Join, Put
from retrograd.compiler.c.functions import expression, has_form, helper
from retrograd.compiler.c.indexing import find_indexing
from retrograd.compiler.c.kernels import Kernel
from retrograd.compiler.c.lines import find_line
from retrograd.compiler.c.rearranging import find_rearrangement
from retrograd.compiler.c.types import has_type, is_float
from retrograd.compiler.c.windows import FORMS as WINDOWS
from retrograd.compiler.ir import Call, Var
from retrograd.compiler.live import Live
from retrograd.compiler.spelling import is_sized_by_mask
from retrograd.engine import astype
from retrograd.rules.indexing import put, put_taken
from retrograd.rules.joining import concat
from retrograd.rules.nesting import pile
from retrograd.rules.products import contract

_REDUCTIONS = {
    np.sum: np.add, np.max: np.maximum, np.min: np.minimum, np.prod: np.multiply,
    np.all: np.logical_and, np.any: np.logical_or, np.mean: np.add, np.count_nonzero: np.add,
}  # fmt: skip


def find_form(call: Call, alone: bool = False) -> Form | None:
    """Return how a call is done in C, or None where only NumPy does it.

    Args:
        call: the call.
        alone: whether there will be no NumPy, which would do some calls better.
    """
    if call.kind == "draw" or call.acts or not call.outs or call.view_of is not None:
        return None
    arrays = [*call.vars(), *call.outs]
    if not all(has_type(v.dtype) for v in arrays):
        return None
    if len(call.outs) == 1 and not call.outs[0].size and not is_sized_by_mask(call):
        return Join(call, (), None)  # there is nothing to be done
    if not all(v.size for v in call.outs):
        return None
    if call.fn is not concat and not all(v.size for v in arrays):
        return _of_none(call)
    if len(call.outs) > 1:
        return find_several(call) or find_line(call, alone)
    if call.kind == "write":
        return _write(call) or find_indexing(call)
    if isinstance(call.fn, np.ufunc):
        if call.fn is not np.matmul:
            return _ufunc(call)
        # NumPy does those of other dtypes after a copy by its BLAS
        return find_product(call) or (find_mixed_product(call) if alone else None)
    if call.fn in _FORMS:
        return _FORMS[call.fn](call)
    return find_whole(call, alone)


def find_whole(call: Call, alone: bool) -> Kernel | None:
    """Return the form of a call that is a function of its own, None where there is none."""
    windowed = WINDOWS.get(call.fn)
    if windowed:
        return windowed(call)
    return (
        find_indexing(call) or find_line(call, alone) or find_rearrangement(call)
        or find_choice(call)
    )  # fmt: skip


def _is_basic(index: Any) -> bool:
    """Tell whether an index consists of whole numbers and slices."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(type(p) in (int, slice, type(None), type(Ellipsis)) for p in parts)


def _join(call: Call) -> Join | None:
    if not all(isinstance(a, Var) for a in call.args):
        return None
    parts = tuple(a for a in call.args if a.size)
    if any(a.dtype != call.outs[0].dtype for a in call.args):
        return None
    return Join(call, parts, None if call.fn is pile else call.kwargs.get("axis", 0))


def _reshape(call: Call) -> Join | None:
    plain = not {"order", "copy"} & set(call.kwargs) and isinstance(call.args[0], Var)
    return Join(call, call.args[:1], None) if plain and len(call.args) <= 2 else None


def _put(call: Call) -> Form | None:
    if isinstance(call.args[0], Var) and _is_basic(call.args[1]):
        return Put(call, *call.args[:2])
    return find_indexing(call)


def _of_one(call: Call) -> Elementwise | None:
    """Return the form of a function of one array and plain options."""
    x, out = call.args[0], call.outs[0]
    if not isinstance(x, Var) or x.shape != out.shape:
        return None
    try:
        text = OF_ONE[call.fn](x.dtype, *call.args[1:], **call.kwargs)
    except TypeError:
        return None
    if text is None or any(isinstance(v, Var) for v in (*call.args[1:], *call.kwargs.values())):
        return None
    return Elementwise(
        call, (x,), (x.dtype,), lambda names: text.format(*names), out.dtype, out.shape
    )


def _filled(call: Call) -> Elementwise:
    return _fill(call, FILLED[call.fn])


def _fill(call: Call, value: Any) -> Elementwise:
    out = call.outs[0]
    return Elementwise(call, (value,), (out.dtype,), lambda names: names[0], out.dtype, out.shape)


def _of_none(call: Call) -> Elementwise | None:
    """Return the form of a call that has no elements to compute its result from."""
    if call.fn in _ZERO_OF_NONE:
        return _fill(call, 0)
    if any(v.size for v in call.vars()):
        return None
    args, kwargs = call.change(lambda v: v.example() if isinstance(v, Var) else v)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = np.asarray((call.rule.run if call.rule else call.fn)(*args, **kwargs))
    except (TypeError, ValueError, IndexError):
        return None
    first = found.reshape(-1)[:1]
    is_uniform = found.tobytes() == first.tobytes() * found.size
    return _fill(call, first[0]) if is_uniform else None


def _is_close(call: Call) -> Elementwise | None:
    x, y, *rest = call.args
    out = call.outs[0]
    arrays = [v for v in (x, y) if isinstance(v, Var)]
    plain = all(type(v) in (int, float, bool) for v in (*rest, *call.kwargs.values()))
    if not plain or not all(_number(v) for v in (x, y)) or not arrays:
        return None
    text, double = is_close(*rest, **call.kwargs), np.dtype(float)
    return Elementwise(
        call, (x, y), (double, double), lambda names: text.format(*names), out.dtype, out.shape
    )


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
    if not same or not all(map(has_type, kinds)) or not _is_known(call.fn, kind):
        return None
    if any(isinstance(a, Live) for a in args) and not is_float(kind):
        return None
    out, fn = call.outs[0], call.fn
    if fn is np.power and kind.kind == "i" and not _is_never_negative(args[1]):
        return None  # NumPy raises where an exponent is negative
    if fn in (np.power, np.float_power) and not isinstance(args[1], (Var, Live)):
        if args[1] == 2:
            fn, args, kinds = np.square, args[:1], kinds[:1]
        elif args[1] == 0.5 and is_float(kind):
            return None  # a root is not that power of minus infinity, and NumPy decides which
    shape = np.broadcast_shapes(*(a.shape for a in args if isinstance(a, Var)), out.shape)
    if shape != out.shape:
        return None
    if fn is np.reciprocal and not is_float(kind):
        text, found = to_whole(np.dtype(np.float64), kind)
        return Elementwise(
            call, args, kinds, lambda names: text.format(f"1.0 / {names[0]}"), out.dtype, shape,
            (found,),
        )  # fmt: skip
    found = helper(fn, kind)
    if fn in _BOUNDED and is_float(kind) and isinstance(args[1], (int, float)):
        bounded = _BOUNDED[fn]
        if args[1] == args[1]:
            return Elementwise(
                call, args, kinds, lambda names: bounded.format(*names), out.dtype, shape
            )
    return Elementwise(
        call, args, kinds, lambda names: expression(fn, names, kind), out.dtype, shape,
        (found,) if found else (),
    )  # fmt: skip


# with a number that is not nan: one comparison, which nan passes
_BOUNDED = {np.maximum: "!({0} <= {1}) ? {0} : {1}", np.minimum: "!({0} >= {1}) ? {0} : {1}"}


def _is_known(fn: Any, kind: np.dtype[Any]) -> bool:
    return has_form(fn, kind) or (fn is np.reciprocal and kind.kind in "iu")


def _is_never_negative(value: Any) -> bool:
    if isinstance(value, Var):
        return value.dtype.kind in "bu"
    return isinstance(value, (int, np.integer)) and bool(value >= 0)


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


def _copied(call: Call) -> Elementwise | None:
    return _copy(call, call.args[0])


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
    if not has_type(kind):
        return None
    text = "{0} != 0" if out.dtype.kind == "b" else "{0}"
    helpers: tuple[str, ...] = ()
    if kind.kind == "f" and out.dtype.kind in "iu":
        # C leaves open what a float out of range becomes
        text, needed = to_whole(kind, out.dtype)
        helpers = (needed,)
    return Elementwise(
        call, (value,), (kind,), lambda names: text.format(*names), out.dtype, out.shape, helpers
    )


def _where(call: Call) -> Elementwise | None:
    if len(call.args) != 3 or call.kwargs:
        return None
    condition, x, y = call.args
    out = call.outs[0]
    if not all(map(_number, call.args)) or any(isinstance(a, Live) for a in call.args):
        return None
    given = condition.dtype if isinstance(condition, Var) else np.asarray(condition).dtype
    if not has_type(given):
        return None
    text = "({} != 0) ? {} : {}"
    if given.kind == "b" and is_float(out.dtype):
        text = _choose(out.dtype, "{}", "{}", "{}")
    return Elementwise(
        call, (condition, x, y), (given, out.dtype, out.dtype),
        lambda names: text.format(*names), out.dtype, out.shape,
    )  # fmt: skip


def _choose(dtype: np.dtype[Any], one: str, x: str, y: str) -> str:
    """Return x for 1 and y for 0, without a branch: that keeps a loop from using vectors."""
    return f"CHOOSE_F{8 * dtype.itemsize}({one}, {x}, {y})"


def _clip(call: Call) -> Elementwise | None:
    out = call.outs[0]
    args = (*call.args, *(call.kwargs.get(k) for k in ("a_min", "a_max")[len(call.args) - 1 :]))
    if set(call.kwargs) - {"a_min", "a_max"} or len(args) != 3 or not isinstance(args[0], Var):
        return None
    x, low, high = args
    bounds = [b for b in (low, high) if b is not None]
    if not all(map(_number, bounds)) or any(isinstance(b, Live) for b in bounds):
        return None
    if not all(has_type(v.dtype) for v in (x, out, *bounds) if isinstance(v, Var)):
        return None
    # the larger one of x and the lower bound, then the smaller one of that and the upper bound, so
    # that the upper one holds where they cross, and nan where one of the three is
    keeps = [sign for bound, sign in ((low, ">"), (high, "<")) if bound is not None]
    # of a zero and a bound that is one of the other sign, x is kept only between two numbers
    ties = (
        "=" if len(bounds) == 2 and not any(isinstance(b, Var) and b.ndim for b in bounds) else ""
    )
    text = "{0}"
    for place, sign in enumerate(keeps, 1):
        kept = f"{text} {sign}{ties} {{{place}}}"
        if is_float(out.dtype):
            text = _choose(out.dtype, f"({kept}) | ({text} != {text})", text, f"{{{place}}}")
        else:
            text = f"(({kept}) ? {text} : {{{place}}})"
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
    if call.fn is np.mean and not (floats and has_type(x.dtype)):
        return None
    count = 1
    for a in axes:
        count *= x.shape[a]
    divisor = count if call.fn is np.mean else 1
    asks = ufunc in (np.logical_and, np.logical_or) or call.fn is np.count_nonzero
    text = "{0} != 0" if asks else "{0}"
    return Elementwise(
        call, (x,), (x.dtype if asks else out.dtype,), lambda names: text.format(*names),
        out.dtype, x.shape, (), ufunc, axes, divisor,
    )  # fmt: skip


# sums of no elements, and places among none
_ZERO_OF_NONE = (
    np.sum, np.matmul, put, put_taken, contract, np.searchsorted, np.digitize, np.count_nonzero,
)  # fmt: skip

_FORMS: dict[Any, Callable[[Call], Form | None]] = {
    **dict.fromkeys(_REDUCTIONS, _reduction),
    **dict.fromkeys((np.copy, astype, np.broadcast_to), _copied),
    **dict.fromkeys((np.reshape, np.ravel), _reshape),
    **dict.fromkeys((concat, pile), _join),
    **dict.fromkeys(OF_ONE, _of_one),
    **dict.fromkeys(FILLED, _filled),
    np.where: _where, np.clip: _clip, np.isclose: _is_close, put: _put,
    contract: lambda call: find_contraction(call) or find_sum(call),
}  # fmt: skip
