"""A function that was written for one entry, run for all entries of a batch at once.

The function runs once, on Tensors that stand for the first entry. It is listened to (see
`retrograd.engine.mode`): each call that it makes is run on the whole batch instead, and what the
function gets to see of the result is its first entry, a view. So shapes are those of one entry,
errors come at the line of the mistake, and what is inside, such as gradients, is made of the same
calls as ever.

Each array that the function sees has a value outside, by which it is known: the whole batch, or,
where it does not depend on the batch, what it is itself. Values outside are Tensors where somebody
around differentiates or records them, another batch run among them. So transforms may stand in each
other in any order.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from retrograd import random, tree
from retrograd.engine import Array, Mode, Rule, Tensor, current_mode, mode_set, pick, run, wrap
from retrograd.engine.backward import fitted
from retrograd.engine.tensor import plain
from retrograd.func.batchers import batcher_of
from retrograd.func.calls import Call, look_at, one_by_one

_ndarray = np.ndarray


class BatchRun:
    """What a function is listened to by.

    Args:
        name: The transform and the function, for errors.
        size: How many entries there are, at least one.
        mode: The mode around the transform.

    Attributes:
        entered: Ids of the arrays that stand for the arguments.
    """

    def __init__(self, name: str, size: int, mode: Mode) -> None:
        self.name, self.size, self.around = name, size, mode
        # for the id of an array: the array, its value outside, and whether that has the leading
        # axis; the array is kept so that the id stays its own
        self._known: dict[int, tuple[Any, Any, bool]] = {}
        self.entered: set[int] = set()
        self._tells = mode.tell is not None

    def inside(self, grad: bool = True) -> mode_set:
        """Return a context in which calls are listened to."""
        return mode_set(Mode(grad, self.hear, self.refuse))

    def _outside(self, grad: bool) -> mode_set:
        """Return a context in which calls are those of the whole batch."""
        return mode_set(self.around.with_grad(grad and self.around.grad))

    def enter(self, batch: Array | Tensor) -> Tensor:
        """Return the Tensor that stands for a batch inside."""
        if self._tells and not self.around.records and not isinstance(batch, Tensor):
            batch = wrap(batch)  # who watches is told of calls on Tensors
        t = wrap(self._first(batch))
        # so that transforms inside know that somebody outside differentiates
        t.requires_grad = isinstance(batch, Tensor) and batch.requires_grad
        return t

    def leave(self, t: Tensor) -> tuple[Any, bool]:
        """Return the value outside of a Tensor, and whether it has the leading axis."""
        _, value, flag = self._known.get(id(t._array), (None, t, False))
        return value, flag

    def _first(self, batch: Any) -> Array:
        array = batch._array if isinstance(batch, Tensor) else batch
        one: Array = array[0, ...]
        self._known[id(one)] = one, batch, True
        return one

    def _keep(self, array: Any, value: Any) -> Array:
        """Take note of an array that does not depend on the batch."""
        own: Array = array if isinstance(array, _ndarray) else np.asarray(array)
        self._known[id(own)] = own, value, False
        return own

    def _find(self, array: Array) -> Any:
        """Return the batch that an array stands for, or None."""
        known = self._known.get(id(array))
        return known[1] if known is not None and known[2] else None

    def _stands_for_batch(self, value: Any) -> bool:
        array = value._array if isinstance(value, Tensor) else value
        return isinstance(array, _ndarray) and self._find(array) is not None

    # What the engine says during the run

    def hear(self, kind: str, *what: Any) -> Any:
        """Answer what a run asks: see `_ANSWERS` for the kinds, all others go to who is around."""
        answer = _ANSWERS.get(kind)
        if answer is not None:
            return answer(self, *what)
        return None if self.around.tell is None else self.around.tell(kind, *what)

    def _unwrapped(self, t: Tensor) -> None:
        if id(t._array) not in self._known and self.around.tell is not None:
            self.around.tell("unwrapped", t)

    def _call(self, rule: Rule, args: Any, arrays: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        if rule.fn is pick:
            return rule.run(*arrays, **kwargs)
        known = self._known
        values, flags = [], []
        any_flag = any_graph = False
        for given, a in zip(args, arrays, strict=True):
            value, flag = given, False
            if a.__class__ is _ndarray:
                found = known.get(id(a))
                if found is not None:
                    _, value, flag = found
            elif a.__class__ is tuple or a.__class__ is list:
                value, flag = look_at(a, self._find)
            any_flag = any_flag or flag
            any_graph = any_graph or (isinstance(value, Tensor) and value.requires_grad)
            values.append(value)
            flags.append(flag)
        batcher = batcher_of(rule.fn)
        for name, option in kwargs.items():
            seen, flag = look_at(option, self._find)
            if flag:
                kwargs, batcher, any_flag = {**kwargs, name: seen}, one_by_one, True
        graph = any_graph and self.around.grad and current_mode().grad
        if not any_flag:
            return self._call_once(rule, arrays, values, kwargs, graph)
        if batcher is None:
            if rule.looks_through and not graph:
                try:
                    return self._look_through(rule, arrays, kwargs)
                except TypeError:  # it branches on values, writes, ...: see _run_mapped
                    batcher = one_by_one
            else:
                batcher = _run_mapped if rule.looks_through else one_by_one
        if graph or self._tells:
            with self._outside(graph):
                out = batcher(Call(rule, arrays, values, flags, kwargs, self.size))
        else:
            values = [v._array if isinstance(v, Tensor) else v for v in values]
            out = batcher(Call(rule, arrays, values, flags, kwargs, self.size))
        if rule.multi:
            firsts: Any = map(self._first, out)
            return out._make(firsts) if hasattr(out, "_make") else tuple(firsts)
        return self._first(out)

    def _call_once(
        self, rule: Rule, arrays: Any, values: Any, kwargs: dict[str, Any], graph: bool
    ) -> Any:
        """Run a call that does not depend on the batch."""
        if graph or self._tells:
            with self._outside(graph):
                t: Any = run(rule, tuple(values), kwargs)
            if rule.multi:
                outs = [self._keep(part._array, part) for part in t]
                return t._make(outs) if hasattr(t, "_make") else tuple(outs)
            return self._keep(t._array, t)
        out = rule.run(*arrays, **kwargs)
        if rule.multi:
            outs = [self._keep_new(part, arrays) for part in out]
            return out._make(outs) if hasattr(out, "_make") else tuple(outs)
        return self._keep_new(out, arrays)

    def _keep_new(self, out: Any, arrays: Any) -> Array:
        """Take note of a constant, unless the function gave back one of its arguments."""
        if any(out is a for a in arrays):
            known: Array = out
            return known
        array = out if isinstance(out, _ndarray) else np.asarray(out)
        return self._keep(array, array)

    def _look_through(self, rule: Rule, arrays: Any, kwargs: dict[str, Any]) -> Any:
        """Run a function that is written in NumPy calls, which are listened to."""
        lifted = [wrap(a) if isinstance(a, _ndarray) else a for a in arrays]
        with self.inside(grad=False):
            out = rule.run(*lifted, **kwargs)
        if isinstance(out, (tuple, list)):
            return tuple(map(self._seen, out))
        return self._seen(out)

    def _seen(self, out: Any) -> Array:
        if isinstance(out, Tensor):
            own: Array = out._array
            return own
        array = np.asarray(out)
        return self._keep(array, array)

    def _draw(self, rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Tensor:
        """Draw for each entry of the batch by itself."""
        with self._outside(grad=False):
            return self.enter(random.uniform(rng, (self.size, *shape), dtype))

    def _leaf_made(self, leaf: Tensor, source: Any) -> None:
        """Take note of a Tensor that does not have the graph of what it was made of."""
        known = self._known.get(id(leaf._array))
        value: Any = leaf._array
        if known is None:
            if isinstance(source, Tensor) and source._array is leaf._array and self._tells:
                value = source.detach() if source.requires_grad else source
            self._known[id(leaf._array)] = leaf._array, value, False
            return
        _, value, flag = known
        if isinstance(value, Tensor) and value.requires_grad:
            with self._outside(grad=False):
                value = value.detach()
            leaf._array = leaf._array.view()
            self._known[id(leaf._array)] = leaf._array, value, flag

    def _is_made_inside(self, t: Tensor) -> bool:
        """Tell whether the run itself has made a Tensor that it is about to write into."""
        if id(t._array) in self.entered:
            raise TypeError(
                f"{self.name}: a write into an argument would not be seen outside: write into a "
                "copy, t = t.copy()"
            )
        return id(t._array) in self._known

    def _write(self, ufunc: Callable[..., Any], target: Tensor, other: Any, *at: Any) -> None:
        of_batch = look_at((target._array, plain(other), *at), self._find)[1]
        if of_batch:
            raise TypeError(
                f"{self.name}: a write in place of what differs from entry to entry of the batch: "
                "write it in grad mode into what is made inside, or x = x + y. (BatchNorm "
                "writes its running statistics while it trains: call model.eval())"
            )
        if self.around.tell is not None and self.around.records:
            self.around.tell("write", ufunc, target, other, *at)
            return
        given = plain(other)
        if ufunc is operator.setitem:
            target._array[at[0]] = given
        elif ufunc is np.copyto:
            np.copyto(target._array, given, casting="unsafe")
        else:
            ufunc(target._array, given, out=target._array)

    def _refuse_grads(self, *_: Any) -> NoReturn:
        raise TypeError(
            f"{self.name}: backward(), .grad and optimizers know nothing of entries of a batch: "
            "write rg.func.grad(f)(params, x) inside, which returns the gradient, and update after"
        )

    def refuse(self, what: str, of: Any, why: str, asked: bool) -> None:
        """Refuse a way by which a value that differs from entry to entry leaves the run."""
        if of is None:
            raise TypeError(
                f"{self.name}: {what} is not possible inside, since the function runs once for "
                f"the whole batch: do it before or after. {why}".rstrip()
            )
        if not self._stands_for_batch(of):
            if self.around.on_escape is not None:
                self.around.on_escape(what, self.leave(of)[0], why, asked)
            return
        raise TypeError(
            f"{self.name}: {what} asks for one value where each of the {self.size} entries of the "
            "batch has its own, and the function runs once for all of them. np.where(condition, "
            "x, y) branches on values; rg.Tensor(table)[t] looks up; return the Tensor to read it "
            "afterwards"
        )


# what the engine tells, by kind: see `retrograd.engine.mode`
_ANSWERS: dict[str, Callable[..., Any]] = {
    "call": BatchRun._call,
    "draw": BatchRun._draw,
    "unwrapped": BatchRun._unwrapped,
    "leaf made": BatchRun._leaf_made,
    "is made inside": BatchRun._is_made_inside,
    "write": BatchRun._write,
    "grad": BatchRun._refuse_grads,
    "has grad": BatchRun._refuse_grads,
    "grad replaced": BatchRun._refuse_grads,
    "update": BatchRun._refuse_grads,
    "replace": lambda *_: None,  # another Tensor takes the place of one, nothing is written
    "gradient": lambda *_: None,
    "module": lambda _, module, args, kwargs: module._forward_with_hooks(args, kwargs),
    "visit": lambda _, t, g, rule: rule,
    "compiled": lambda _, step, args, kwargs: step.fn(*args, **kwargs),
}


def run_batch(
    name: str, f: Callable[..., Any], values: Sequence[Any], flags: Sequence[bool], size: int
) -> tuple[list[tuple[Any, bool]], tree.Structure]:
    """Run a function for a whole batch at once.

    Args:
        name: The transform and the function, for errors.
        f: The function of one entry.
        values: Its arguments; those that are flagged are arrays or Tensors that have a leading
            axis, and the function gets a Tensor without it.
        flags: A bool for each argument.
        size: The length of the leading axis, at least 1.

    Returns:
        For each leaf of what the function returned its value and whether that has the leading axis;
        and the tree of these.
    """
    mode = current_mode()
    batch = BatchRun(name, size, mode)
    with batch.inside(mode.grad):
        given = [batch.enter(v) if flag else v for v, flag in zip(values, flags, strict=True)]
        batch.entered = {id(t._array) for t, flag in zip(given, flags, strict=True) if flag}
        leaves, structure = tree.flatten(f(*given))
    return [batch.leave(t) if isinstance(t, Tensor) else (t, False) for t in leaves], structure


# A function with a gradient rule of its own, of NumPy calls that run on the whole batch


def mapped(*arrays: Any, rule: Rule, flags: Any, size: int, options: dict[str, Any]) -> Any:
    """Return what a function gives for all entries of a batch: one call, with its own gradient.

    Args:
        *arrays: its arguments; those that are flagged have a leading axis.
        rule: its rule.
        flags: a bool for each argument.
        size: the length of the leading axis.
        options: its keywords.
    """
    found, _ = run_batch(rule.name, lambda *a: rule.run(*a, **options), arrays, flags, size)
    outs = [_with_lead(value, flag, size) for value, flag in found]
    return tuple(outs) if rule.multi else outs[0]


def _with_lead(value: Any, flag: bool, size: int) -> Any:
    if flag:
        return value
    value = value if isinstance(value, Tensor) else np.asarray(value)
    return np.broadcast_to(value, (size, *value.shape))


def _mapped_joint(
    needed: Any, g: Any, out: Any, *arrays: Any, rule: Rule, flags: Any, size: int,
    options: dict[str, Any],
) -> list[Any]:  # fmt: skip
    """Return the gradients of the arguments, of each entry by the function's own rule."""
    gs, outs = ([*g], [*out]) if rule.multi else ([g], [out])
    n = len(gs)

    def gradients(*values: Any) -> list[Any]:
        own_g, own_out, args = values[:n], values[n : 2 * n], values[2 * n :]
        one_g, one_out = (own_g, own_out) if rule.multi else (own_g[0], own_out[0])
        parts = rule.gradients(needed, one_g, one_out, args, options)
        likes = [args[i] if hasattr(args[i], "shape") else np.asarray(args[i]) for i in needed]
        return [
            np.zeros(like.shape, like.dtype) if part is None else fitted(part, like)
            for part, like in zip(parts, likes, strict=True)
        ]

    all_flags = [*[True] * (2 * n), *flags]
    found, _ = run_batch(rule.name, gradients, [*gs, *outs, *arrays], all_flags, size)
    results = []
    for i, (value, has_lead) in zip(needed, found, strict=True):
        whole = _with_lead(value, has_lead, size)
        results.append(whole if flags[i] else np.sum(whole, axis=0))
    return results


_MAPPED = [
    Rule(mapped, joint=_mapped_joint, looks_through=True, multi=multi) for multi in (False, True)
]


def _run_mapped(c: Call) -> Any:
    options = {"rule": c.rule, "flags": tuple(c.flags), "size": c.size, "options": c.kwargs}
    try:
        return run(_MAPPED[c.rule.multi], tuple(c.values), options)
    except TypeError:
        # it does what has one value for the whole batch, such as `if x > 0`, which it may for an
        # entry; what is wrong with it raises again
        return one_by_one(c)
