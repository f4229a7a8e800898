"""Writes that differentiate: `t[i] = value` makes `t` the result of a call, `written(t, value, i)`.

The Tensor takes over the call, and calls recorded before go on to mean what it was then: that is
kept as another Tensor, its version, and `as_recorded` finds it where a reverse pass comes to one of
them. So a write is a function like any other, and has derivatives of every order.

Such a function would copy the array each time. Neither its gradients nor those of reading elements
look at values, so the memory may be written as it stands where nothing else refers to it, which
the count of references tells; a copy is made where something does.

NumPy shows a write to all that look at the same memory. A Tensor that was taken as a view before
would not see it, so the write is refused while somebody holds one that looks at what is written.
"""

from __future__ import annotations

import operator
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd.engine.hooks import HOOKED, RETAINS
from retrograd.engine.mode import Mode, current_mode, escape, tell
from retrograd.engine.primitive import primitive
from retrograd.engine.rule import RULES, Rule, defvjp
from retrograd.engine.tensor import (
    CLOCK,
    Tensor,
    Version,
    connect,
    holds_gradients,
    is_basic_index,
    keep,
    plain,
    run,
    touch,
    was_written,
)
from retrograd.engine.views import Memory, Retired, is_alone, memory_of, shares_stamp

__all__ = ["added", "read", "write", "written"]

# The two functions of a write, and what the gradient of the first needs


@primitive(looks_through=False)
def written(x: Any, value: Any, index: Any) -> Any:
    """Return a copy of `x` in which `value` stands at `index`."""
    out = np.array(x, order="C")
    out[index] = value
    return out


@primitive(looks_through=False)
def added(x: Any, value: Any, index: Any) -> Any:
    """Return a copy of `x` to which `value` is added at `index`, for each time that it is named."""
    out = np.array(x, order="C")
    np.add.at(out, index, value)
    return out


@primitive(looks_through=False)
def last_at(g: Any, index: Any) -> Any:
    """Return `g[index]`, with 0 where a later part of `index` names the same element.

    Of several values that are written to one element the last one stays.
    """
    picked = g[index]
    if is_basic_index(index) or not picked.ndim:
        return picked
    count = np.arange(picked.size).reshape(picked.shape)
    numbers = np.zeros(g.shape, count.dtype)
    numbers[index] = count
    return np.where(numbers[index] == count, picked, picked.dtype.type(0))


# fmt: off
defvjp(written, lambda g, out, x, value, index: written(g, 0.0, index),
                lambda g, out, x, value, index: last_at(g, index), None)
defvjp(added,   lambda g, out, x, value, index: g,
                lambda g, out, x, value, index: g[index], None)
defvjp(last_at, lambda g, out, x, index: written(np.zeros(x.shape, g.dtype), g, index), None)
# fmt: on

_WRITTEN, _ADDED = RULES[written], RULES[added]


def write(t: Tensor, index: Any, value: Any, fn: Callable[..., Any] = written) -> None:
    """Make a Tensor the result of a write into it.

    Args:
        t: the Tensor.
        index: where, as NumPy takes it.
        value: what; a Tensor, an array, a number, or nested lists of them.
        fn: `written`, or `added`.

    Raises:
        TypeError: if it is a leaf that requires grad, if a gradient would be lost, or if another
            Tensor would not see the write as NumPy would show it.
    """
    mode, index = current_mode(), plain(index)
    wants_grad = holds_gradients(value)
    _check_target(t, wants_grad, mode)
    if mode.records and tell("is made inside", t) is False:
        _write_outside(t, index, value, fn, wants_grad)
        return
    if not was_written(t):
        needs_graph = mode.grad and (wants_grad or t.requires_grad)
        if not mode.grad or (not (needs_graph or mode.records) and shares_stamp(t)):
            _write_for_all(t, index, value, fn)
            return
    if not mode.records:
        index = _own_index(index)
    memory = memory_of(t, index, value)
    stale = memory.find_stale(t, index, value)
    is_here = mode.tell is None and _may_write_here(t) and not isinstance(value, (list, tuple))
    versions = [(now, _version_of(now)) for now in (t, *stale)]
    old = versions[0][1]
    given = old, next((then for now, then in versions if now is value), value), index
    if is_here:
        new = _write_here(given, RULES[fn], t, memory, mode)
    else:
        new = run(RULES[fn], given, {})
    _become(t, new, old)
    for view, then in versions[1:]:
        _retire(view, then)


def read(t: Tensor, index: Any) -> Tensor:
    """Return `t[index]` of a Tensor that was written.

    It is a copy, and its call does not refer to the array of `t`, so that the next write need not
    copy that.
    """
    mode, memory, rule = current_mode(), t._stamp, RULES[operator.getitem]
    if mode.tell is not None or not isinstance(memory, Memory) or memory.owner() is not t:
        return run(rule, (t, index), {})
    array = t._array
    found = array[index]
    is_view = isinstance(found, np.ndarray) and found.base is array
    out = found.copy() if is_view else found
    call: Any = rule, (t, index), (memory.stand_in(array), index), {}
    made = keep(call, out, t.requires_grad, mode)
    if is_view:
        memory.add(made, t, found)
        made._stamp = memory
    return made


def _check_target(t: Tensor, wants_grad: bool, mode: Mode) -> None:
    if t.requires_grad and t._call is None and mode.grad:
        raise TypeError(
            "a write into a leaf that requires grad would change what gradients are asked for: "
            "write t = t.copy() first and then into that, or np.where(mask, value, t); to change "
            "the leaf itself, do it under rg.no_grad()"
        )
    if t._call is not None and not mode.grad:
        raise TypeError(
            "a write under rg.no_grad() into a Tensor that has a graph would leave its gradient "
            "wrong: write outside of it, or into t.detach().copy()"
        )
    if wants_grad and mode.grad and t.dtype.kind not in "fc":
        raise TypeError(
            f"a write of what requires grad into a Tensor of {t.dtype} would lose its gradient: "
            "make it of floats, t.astype(float)"
        )


def _write_outside(t: Tensor, index: Any, value: Any, fn: Any, wants_grad: bool) -> None:
    """Write into what a recorded run found outside, so that its program does it again."""
    if wants_grad or t.requires_grad:
        escape(
            "a write of what requires grad into a Tensor from outside", t,
            "it would keep a graph that no program can keep: make the Tensor inside, or write "
            "value.detach().",
        )  # fmt: skip
    _write_for_all(t, index, value, fn)


def _write_for_all(t: Tensor, index: Any, value: Any, fn: Any) -> None:
    """Write into the memory itself, which all see that look at it."""
    t._check_own()
    if was_written(t):
        memory_of(t, index, value).find_stale(t, index, value)
    if fn is added:
        index, value = ..., added(t, value, index)
    if current_mode().records:
        t._record_write(index, value)
    else:
        t._array[index] = plain(value)
    touch(t)


def _own_index(index: Any) -> Any:
    """Return an index whose arrays nobody else can change, since the gradient needs it later."""
    if isinstance(index, tuple):
        return tuple(map(_own_index, index))
    return np.array(index) if isinstance(index, (list, np.ndarray)) else index


def _may_write_here(t: Tensor) -> bool:
    """Tell whether nothing needs the values in the memory of a Tensor any more."""
    array = t._array
    is_own = array.base is None and array.flags.c_contiguous and array.flags.writeable
    rule = None if t._call is None else t._call[0]
    del array
    return is_own and rule in (None, _WRITTEN, _ADDED) and is_alone(t)


def _write_here(given: Any, rule: Rule, t: Tensor, memory: Memory, mode: Mode) -> Tensor:
    """Write into the memory as it is, and return the result, which has that memory."""
    old, value, index = given
    array, data = t._array, plain(value)
    if rule is _ADDED:
        np.add.at(array, index, data)
    else:
        array[index] = data
    stand_in = old._array = memory.stand_in(array)
    needs = old.requires_grad or (isinstance(value, Tensor) and value.requires_grad)
    return keep((rule, given, (stand_in, data, index), {}), array, needs, mode)


def _version_of(t: Tensor) -> Tensor:
    """Return a Tensor that stands for what another one is now."""
    then = object.__new__(Tensor)
    then._array, then._call, then._grad, then._stamp = t._array, t._call, None, None
    then.requires_grad = t.requires_grad
    if t._call is not None:
        then._order, then._retains = t._order, t._retains & HOOKED
    for slot in ("_hooks", "_name"):
        if hasattr(t, slot):
            setattr(then, slot, getattr(t, slot))
    return then


def _become(t: Tensor, new: Tensor, old: Tensor) -> None:
    """Make a Tensor what another one is, and remember what it was."""
    t._array, t._call, t.requires_grad = new._array, new._call, new.requires_grad
    if new._call is None:
        return
    t._retains = 0 if old._call is None else t._retains & RETAINS
    if hasattr(t, "_hooks"):
        del t._hooks
    t._order = CLOCK.last_write = new._order
    _remember(t, old, weakref.ref(old))


def _retire(view: Tensor, then: Tensor) -> None:
    """Let a view that does not see a write raise where it is used from now on."""
    view._call, view._order = None, CLOCK.tick()
    CLOCK.last_write = view._order
    _remember(view, then, lambda: then)
    view.__class__ = Retired


def _remember(t: Tensor, old: Tensor, find: Callable[[], Tensor | None]) -> None:
    if not hasattr(t, "_versions"):
        t._versions = []
    order = 0 if old._call is None else old._order
    t._versions = [*getattr(t, "_versions", ())]
    t._versions.append(Version(order, find, old.requires_grad))


connect(write=write, read=read)
