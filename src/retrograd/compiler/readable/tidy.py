"""Calls as one would write them by hand, where the recorded ones were chosen for speed.

A sum that was recorded as a product with ones is a sum again, a transposed product is a product of
transposes, the derivative of relu is a comparison. Rounding may differ, by the last digits.
"""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from retrograd.compiler.ir import Call, Flow, Program, Var
from retrograd.compiler.live import Live
from retrograd.compiler.names import merge
from retrograd.compiler.passes import prune, substitute
from retrograd.rules.joining import concat

_ROUNDS = 12  # a change may make another one possible; more than so many never follow


def tidy(program: Program) -> Program:
    """Return the program with calls that read better and give the same but for rounding."""
    calls: list[Call] = _join_constants(program.calls)
    wanted = {v: v for v in program.wanted()}
    names = program.names
    for _ in range(_ROUNDS):
        change = _Tidying(calls, wanted.values())
        new = change.run()
        became = change.became
        merged, same = _merge_equal(new)
        became |= same
        names = merge(names, became.items())
        wanted = {v: _end(became, now) for v, now in wanted.items()}
        new = prune(merged, wanted.values())
        if not change.count and len(new) == len(calls):
            break
        calls = new
    return replace(program.with_calls(calls, wanted), names=names)


def _end(became: dict[Var, Var], var: Var) -> Var:
    while var in became:
        var = became[var]
    return var


def _join_constants(calls: Sequence[Call]) -> list[Call]:
    """Let one constant stand for all that are equal."""
    known: dict[Any, Var] = {}
    replaced: dict[Var, Var] = {}
    for call in calls:
        for v in call.vars():
            if v.kind == "const" and v not in replaced:
                key = v.shape, v.dtype, v.array.tobytes()
                same = known.setdefault(key, v)
                if same is not v:
                    replaced[v] = same
    return substitute(calls, replaced)


def _merge_equal(calls: Sequence[Call]) -> tuple[list[Call], dict[Var, Var]]:
    """Leave out calls that repeat another one; also return what became of what."""
    flow = Flow(calls)
    written = flow.writes(calls)
    seen: dict[Any, Call] = {}
    became: dict[Var, Var] = {}

    def key(value: Any) -> Any:
        if isinstance(value, Var):
            return id(value)
        return (type(value), value.formula if isinstance(value, Live) else value)

    kept: list[Call] = []
    so_far: set[Any] = set()
    for call in calls:
        if became and any(v in became for v in call.vars()):
            (call,) = substitute((call,), became)
        if call.kind == "write":
            so_far.add(flow.memory(call.outs[0]))
        elif call.kind == "call" and _stays(call, flow, written, so_far):
            same = seen.setdefault((call.fn, repr(call.change(key))), call)
            if same is not call:
                became.update(zip(call.outs, same.outs, strict=True))
                continue
        kept.append(call)
    return kept, became


def _stays(call: Call, flow: Flow, written: Any, so_far: set[Any]) -> bool:
    """Tell whether another call may stand for a call, or be merged with it.

    What it reads must not have been written yet, and what it makes must stay as it is.
    """
    if any(flow.memory(v) in so_far for v in call.vars()):
        return False
    return call.view_of is not None or not any(flow.memory(v) in written for v in call.outs)


def made(shape: tuple[int, ...], dtype: Any, stem: str = "t") -> Var:
    """Return a Var for what a call makes."""
    return Var("made", np.broadcast_to(np.empty((), dtype), shape), stem=stem)


class _Tidying:
    """One round through all calls.

    Attributes:
        became: what stands for a Var from now on.
        count: how many calls were changed.
    """

    def __init__(self, calls: Sequence[Call], wanted: Any) -> None:
        self.calls = calls
        self.flow = Flow(calls)
        self.written = self.flow.writes(calls)
        self.uses: Counter[Var] = Counter(v for call in calls for v in set(call.vars()))
        self.uses.update(wanted)
        self.became: dict[Var, Var] = {}
        self.count = 0
        self.new: list[Call] = []

    def run(self) -> list[Call]:
        """Return the calls after this round."""
        so_far: set[Any] = set()
        for call in self.calls:
            if call.kind == "write":
                so_far.add(self.flow.memory(call.outs[0]))
            if self.became and any(v in self.became for v in call.vars()):
                (call,) = substitute((call,), self.became)
            rule = RULES.get(call.fn) if call.kind == "call" and len(call.outs) == 1 else None
            if rule is not None and _stays(call, self.flow, self.written, so_far):
                found = rule(self, call)
                if isinstance(found, Var):
                    alone = call.view_of is not None or self.flow.memory(found) not in self.written
                    if alone and found.shape == call.outs[0].shape:
                        self.became[call.outs[0]] = found
                        self.count += 1
                        continue
                elif found is not None:
                    self.count += 1
                    call = found
            self.new.append(call)
            for v in call.outs:
                self.flow.makers[v] = call
        return self.new

    # What rules ask for

    def maker(self, value: Any, fn: Any = None) -> Call | None:
        """Return the call that makes a value, if it is one of `fn`."""
        call = self.flow.maker(value)
        return call if call is not None and (fn is None or call.fn is fn) else None

    def only(self, value: Any, fn: Any) -> Call | None:
        """Return the call of `fn` that makes a value which nothing else uses."""
        return self.maker(value, fn) if isinstance(value, Var) and self.uses[value] == 1 else None

    def put(self, like: Call, fn: Any, *args: Any, **kwargs: Any) -> Var:
        """Add a call; return what it makes."""
        shape = _shape(fn, args, kwargs)
        dtype = np.result_type(*[a.dtype for a in args if isinstance(a, Var)])
        out = made(shape, dtype, getattr(fn, "__name__", "t"))
        view = 0 if fn in (np.transpose, np.reshape) else None
        call = replace(like, fn=fn, args=args, kwargs=kwargs, outs=(out,), view_of=view, rule=None)
        self.add(call)
        return out

    def add(self, call: Call) -> None:
        """Add a call of one output, which one other call uses."""
        self.new.append(call)
        self.flow.makers[call.outs[0]] = call
        self.uses[call.outs[0]] = 1

    def transposed(self, like: Call, x: Var) -> Var:
        """Return the transpose of a matrix, of a transpose what that is of."""
        call = self.maker(x, np.transpose)
        if call is not None and is_transpose(call):
            inner: Var = call.args[0]
            return inner
        return self.put(like, np.transpose, x)


def _like(v: Var) -> Var:
    return made(v.shape, v.dtype, v.stem)


def _shape(fn: Any, args: Any, kwargs: Any) -> tuple[int, ...]:
    examples = [
        np.broadcast_to(np.empty((), a.dtype), a.shape) if isinstance(a, Var) else a for a in args
    ]
    if fn is np.matmul:
        a, b = examples
        return (*a.shape[:-1], b.shape[-1])
    with np.errstate(all="ignore"):
        return np.shape(fn(*examples, **kwargs))


def is_transpose(call: Call) -> bool:
    """Tell whether a call turns a matrix."""
    axes = _axes(call)
    return call.outs[0].ndim == 2 and (axes is None or [*axes] == [1, 0])


def _axes(call: Call) -> Any:
    return call.args[1] if len(call.args) > 1 else call.kwargs.get("axes")


def is_ones(value: Any) -> bool:
    """Tell whether a value is a constant array of ones."""
    return (
        isinstance(value, Var)
        and value.kind == "const"
        and value.size > 0
        and bool((value.array == 1).all())
    )


def reduced_axis(call: Call) -> tuple[Any, bool]:
    """Return the axis of a reduction, and whether it is kept."""
    axis = call.args[1] if len(call.args) > 1 else call.kwargs.get("axis")
    return axis, bool(call.kwargs.get("keepdims", False))


# Rules: each takes the round and a call, and returns another call for the same output, what stands
# for the output, or None

Found = Call | Var | None


def _matmul(t: _Tidying, call: Call) -> Found:
    x, y = call.args[:2]
    out = call.outs[0]
    if not (isinstance(x, Var) and isinstance(y, Var)) or call.kwargs:
        return None
    if x.dtype != out.dtype or y.dtype != out.dtype:
        return None
    if is_ones(y) and y.ndim == 1:
        return replace(call, fn=np.sum, args=(x,), kwargs=_along(x, -1), rule=None)
    if is_ones(y) and y.ndim == 2 and y.shape[1] == 1 and x.ndim == 2:
        kwargs = {**_along(x, -1), "keepdims": True}
        return replace(call, fn=np.sum, args=(x,), kwargs=kwargs, rule=None)
    if is_ones(x) and x.ndim == 1 and y.ndim > 1:
        return replace(call, fn=np.sum, args=(y,), kwargs=_along(y, -2), rule=None)
    if x.ndim == y.ndim == 1 and not is_ones(x):
        flat = [t.maker(v) for v in (x, y)]
        if all(c is not None and c.fn in (np.ravel, np.reshape) for c in flat):
            a, b = (c.args[0] for c in flat if c is not None)
            if a.shape == b.shape and a is not b:
                product = t.put(call, np.multiply, a, b)
                return replace(call, fn=np.sum, args=(product,), kwargs={}, rule=None)
    return None


def _along(x: Var, axis: int) -> dict[str, Any]:
    return {} if x.ndim == 1 else {"axis": axis + x.ndim if x.ndim == 2 else axis}


def _transpose(t: _Tidying, call: Call) -> Found:
    x = call.args[0]
    if not isinstance(x, Var) or not is_transpose(call):
        if isinstance(x, Var) and _axes(call) is not None and x.ndim == len(_axes(call)):
            inner = t.maker(x, np.transpose)
            axes = _axes(call)
            if inner is not None and _axes(inner) is not None:
                both = tuple(_axes(inner)[a] for a in axes)
                if both == tuple(range(len(both))):
                    return inner.args[0]  # type: ignore[no-any-return]
        return None
    inner = t.maker(x)
    if inner is None:
        return None
    if inner.fn is np.transpose and is_transpose(inner):
        return inner.args[0]  # type: ignore[no-any-return]
    if inner.fn is np.matmul and t.uses[x] == 1 and len(inner.args) == 2 and not inner.kwargs:
        a, b = inner.args
        if isinstance(a, Var) and isinstance(b, Var) and a.ndim == b.ndim == 2:
            args = t.transposed(inner, b), t.transposed(inner, a)
            return replace(
                inner, args=args, outs=call.outs, view_of=None, rule=None, section=call.section
            )
    return None


def _swapaxes(t: _Tidying, call: Call) -> Found:
    inner = t.maker(call.args[0], np.swapaxes)
    if inner is None:
        return None
    pairs = [{a % c.outs[0].ndim for a in _two_axes(c)} for c in (call, inner)]
    return inner.args[0] if pairs[0] == pairs[1] else None


def _two_axes(call: Call) -> list[int]:
    return [*call.args[1:], *(call.kwargs[k] for k in ("axis1", "axis2") if k in call.kwargs)]


def _reshape(t: _Tidying, call: Call) -> Found:
    x = call.args[0]
    if not isinstance(x, Var):
        return None
    if x.shape == call.outs[0].shape:
        return x
    inner = t.maker(x)
    if inner is None:
        return None
    inserts = inner.fn is operator.getitem and inner.args[1] is None
    if inserts or inner.fn in (np.reshape, np.ravel, np.expand_dims, np.squeeze):
        of = inner.args[0]
        if isinstance(of, Var) and of.shape == call.outs[0].shape:
            return of
        return replace(call, args=(of, *call.args[1:]))
    return None


def _getitem(t: _Tidying, call: Call) -> Found:
    x, index = call.args
    inner = t.maker(x)
    if inner is None or not isinstance(x, Var):
        return None
    first = index[0] if isinstance(index, tuple) and index else index
    if inner.fn is operator.getitem and inner.args[1] is None and type(first) is int:
        rest = index[1:] if isinstance(index, tuple) else ()
        if first in (0, -1):
            if not rest:
                return inner.args[0]  # type: ignore[no-any-return]
            return replace(call, args=(inner.args[0], rest))
    return None


def _sum(t: _Tidying, call: Call) -> Found:
    x = call.args[0]
    axis, keeps = reduced_axis(call)
    if not isinstance(x, Var) or set(call.kwargs) - {"axis", "keepdims"} or len(call.args) > 2:
        return None
    inner = t.maker(x, np.transpose)
    if inner is not None and is_transpose(inner) and type(axis) is int and not keeps:
        kwargs = {**call.kwargs, "axis": 1 - axis % 2}
        return replace(call, args=(inner.args[0],), kwargs=kwargs)
    return None


def _scaled_sum(t: _Tidying, call: Call, total: Any, number: Any, divides: bool) -> Found:
    """Return the mean that a sum by its count is."""
    inner = t.only(total, np.sum)
    if inner is None or isinstance(number, (Var, Live)) or type(number) is bool:
        return None
    if set(inner.kwargs) - {"axis", "keepdims"} or not isinstance(inner.args[0], Var):
        return None
    x, out = inner.args[0], inner.outs[0]
    count = x.size / max(out.size, 1)
    if out.shape != call.outs[0].shape or x.dtype != call.outs[0].dtype or count < 2:
        return None
    value = float(number)
    if not math.isclose(value if divides else 1 / value if value else 0.0, count, rel_tol=1e-12):
        return None
    if len({out.dtype, x.dtype, call.outs[0].dtype}) > 1 or x.dtype.kind != "f":
        return None
    return replace(inner, fn=np.mean, outs=call.outs, rule=None)


def _divide(t: _Tidying, call: Call) -> Found:
    x, y = call.args
    minus = t.only(x, np.negative)
    if minus is not None and t.only(minus.args[0], np.sum):
        (total,) = minus.args
        mean = _scaled_sum(t, replace(call, outs=(_like(call.outs[0]),)), total, y, True)
        if isinstance(mean, Call):
            t.add(mean)
            return replace(minus, args=mean.outs, outs=call.outs)
    return _scaled_sum(t, call, x, y, True)


def _multiply(t: _Tidying, call: Call) -> Found:
    x, y = call.args
    found = _scaled_sum(t, call, x, y, False) or _scaled_sum(t, call, y, x, False)
    if found is not None:
        return found
    if not (isinstance(x, Var) and isinstance(y, Var)):
        return None
    for k, other in ((0, y), (1, x)):
        sign = t.only(call.args[k], np.sign)
        relu = t.maker(sign.args[0], np.maximum) if sign else None
        if sign is None or relu is None or not _is_zero(relu.args[1]):
            continue
        if sign.outs[0].dtype != call.outs[0].dtype or other.dtype != call.outs[0].dtype:
            continue
        mask = made(sign.outs[0].shape, np.bool_, "mask")
        compared = replace(sign, fn=np.greater, args=(relu.args[0], 0), outs=(mask,), rule=None)
        t.add(compared)
        return replace(call, args=(mask, other) if k == 0 else (other, mask))
    return None


def _is_zero(value: Any) -> bool:
    if isinstance(value, Var):
        return value.kind == "const" and value.size > 0 and not value.array.any()
    return isinstance(value, (int, float)) and value == 0


def _greater(t: _Tidying, call: Call) -> Found:
    x, y = call.args
    relu = t.maker(x, np.maximum)
    if relu is not None and _is_zero(relu.args[1]) and _is_zero(y) and isinstance(y, (int, float)):
        return replace(call, args=(relu.args[0], y))
    return None


def _add(t: _Tidying, call: Call) -> Found:
    x, y = call.args
    for a, b in ((x, y), (y, x)):
        if type(b) is float and b == 0.0 and isinstance(a, Var) and a.dtype.kind == "f":
            return a if a.shape == call.outs[0].shape and a.dtype == call.outs[0].dtype else None
    first, second = (t.only(v, np.sum) for v in (x, y))
    if first is None or second is None or first is second:
        return None
    a, b = first.args[0], second.args[0]
    same = isinstance(a, Var) and isinstance(b, Var) and a.shape == b.shape and a.dtype == b.dtype
    whole = all((reduced_axis(c)[0] is None and not set(c.kwargs) - {"axis"}) or
                reduced_axis(c) == (None, False) for c in (first, second))  # fmt: skip
    if not same or not whole or first.section != second.section:
        return None
    total = t.put(call, np.add, a, b)
    return replace(call, fn=np.sum, args=(total,), kwargs={}, rule=None)


def _concat(t: _Tidying, call: Call) -> Found:
    axis = call.kwargs.get("axis", 0)
    if axis is None or not call.args or not all(isinstance(a, Var) for a in call.args):
        return None
    parts = tuple(a for a in call.args if a.size)
    if len(parts) == 1 and parts[0].shape == call.outs[0].shape:
        return parts[0]  # type: ignore[no-any-return]
    return replace(call, args=parts) if 0 < len(parts) < len(call.args) else None


RULES: dict[Any, Callable[[_Tidying, Call], Found]] = {
    np.matmul: _matmul,
    np.transpose: _transpose,
    np.swapaxes: _swapaxes,
    np.reshape: _reshape,
    np.ravel: _reshape,
    operator.getitem: _getitem,
    np.sum: _sum,
    np.divide: _divide,
    np.multiply: _multiply,
    np.greater: _greater,
    np.add: _add,
    concat: _concat,
}
