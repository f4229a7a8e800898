"""The reverse pass: visit the calls behind an output and send each gradient to the arguments.

The last recorded comes first. Broadcasting is undone here, once for every rule.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd import core
from retrograd.core import Tensor, as_array, check_floating, describe, pick, wrap
from retrograd.mode import MODE, Mode

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_ndarray = np.ndarray


def backward(
    root: Tensor, gradient: ArrayLike | Tensor | None = None, retain_graph: bool = False
) -> None:
    """Add the gradient of `root` to `.grad` of its leaves: see `Tensor.backward`."""
    seed = seed_of(root, gradient)
    tape = MODE.get().tape
    walk = ReversePass(retain_graph, lift=tape is not None)
    if tape is None:
        walk.run([root], [seed])
        walk.land()
        return
    token = MODE.set(Mode(False, tape))
    try:
        with tape.within("backward"):
            walk.run([root], [seed])
            walk.land()
    finally:
        MODE.reset(token)


@functools.lru_cache(maxsize=64)
def _one(shape: tuple[int, ...], dtype: Any) -> Any:
    one = np.ones(shape, dtype)
    one.flags.writeable = False
    return one


def seed_of(root: Tensor, gradient: ArrayLike | Tensor | None) -> Any:
    """Return the gradient that a reverse pass starts with, checked against the root."""
    if not root.requires_grad:
        raise RuntimeError(
            "backward through a Tensor that does not require grad: was it computed from a leaf "
            "with requires_grad=True, outside of no_grad, without detach() or .data?"
        )
    if gradient is None:
        if root.size != 1:
            raise RuntimeError(
                f"backward() starts from one number, this Tensor has shape {root.shape}: reduce "
                "it (t.sum(), t.mean()), or pass gradient= of that shape"
            )
        return _one(root.shape, root.dtype)
    array = as_array(gradient)
    if array.shape != root.shape:
        raise ValueError(f"gradient= has shape {array.shape}, the Tensor has {root.shape}")
    if array.dtype != root.dtype:
        array = array.astype(root.dtype)
        return wrap(array) if isinstance(gradient, Tensor) else array
    return gradient if isinstance(gradient, Tensor) else array


class ReversePass:
    """One walk over the graph. Afterwards `found` has the gradient of each leaf that was met.

    Rules run on arrays, or with `lift` on Tensors, so that they are recorded themselves.
    `wanted` limits the walk to these Tensors (by key); None means all. `found` also has the
    gradients of those that `retain_grad` or `wanted` name.
    """

    def __init__(self, keep: bool, lift: bool = False, wanted: set[int] | None = None) -> None:
        self.keep = keep
        self.lift = lift
        self.wanted = wanted
        # By key: a Tensor, its gradient so far, and whether nothing else refers to that array.
        self.found: dict[int, list[Any]] = {}
        self.inner: dict[int, list[Any]] = {}
        self.queue: list[int] = []  # a heap of minus the orders: the last recorded comes first

    def run(self, roots: Sequence[Tensor], seeds: Sequence[Any]) -> None:
        """Start from `roots` with the gradients `seeds` and visit all that is behind them."""
        for root, seed in zip(roots, seeds, strict=True):
            if self.lift and not isinstance(seed, Tensor):
                seed = wrap(seed)
            self.send(root, seed if self.lift else as_array(seed), shared=True)
        queue, inner, wanted, keep = self.queue, self.inner, self.wanted, self.keep
        while queue:
            order = -heappop(queue)
            t, g, _ = inner.pop(order)
            if t.inputs is None:
                raise RuntimeError(
                    "backward through a graph that was freed by an earlier backward: write "
                    "backward(retain_graph=True) the first time"
                )
            if core.last_write > order:
                check_unwritten(t)
            if t._retains or (wanted is not None and order in wanted):
                self.found[order] = [t, g, False]
            try:
                self.visit(t, g)
            except Exception as error:
                error.add_note(f"in the gradient of {describe(t.rule, t.args, t.kwargs)}")
                raise
            if not keep:
                t.inputs = t.args = None

    def visit(self, t: Tensor, g: Any) -> None:
        """Run the rule of the call behind `t` and send what comes out to its arguments."""
        rule, args, out, kwargs, wanted = t.rule, t.args, t._data, t.kwargs, self.wanted
        assert rule is not None
        if rule.multi:
            g = tuple(
                np.zeros_like(o) if part is None else part for o, part in zip(out, g, strict=True)
            )
        if self.lift:
            args, out = _lifted(t)
        through = rule.through
        for a, vjp in zip(t.inputs, rule.vjps):  # noqa: B905, options follow the arrays
            if vjp is None or not isinstance(a, Tensor) or not a.requires_grad:
                continue
            if wanted is not None and key_of(a) not in wanted:
                continue
            if (
                through is not None
                and a.rule in through
                and a is t.inputs[0]
                and (wanted is None and not a._retains and a.inputs is not None)
            ):  # two calls in one formula, unless somebody wants the gradient in between
                if core.last_write > a.order:
                    check_unwritten(a)
                vjp, a = through[a.rule], a.inputs[0]
            if rule.fn is pick:
                self.gather(a, g, args[1])
            else:
                ga = vjp(g, out, *args, **kwargs)
                self.send(a, ga, ga is g)

    def send(self, to: Tensor, g: Any, shared: bool) -> None:
        """Add `g` to the gradient of a Tensor; `shared` if something else refers to it too."""
        like = to._data
        if g.__class__ is not _ndarray and not isinstance(g, Tensor):
            g = np.asarray(g)
        if g.shape != like.shape:
            g = unbroadcast(g, like.shape)
        if g.dtype is not like.dtype and g.dtype != like.dtype:
            check_floating(like)  # t.requires_grad = True went round the check of integers
            g = g.astype(like.dtype)
        if to.rule is None:
            store, key = self.found, -id(to)
        else:
            store, key = self.inner, to.order
        met = store.get(key)
        if met is None:
            if to.rule is not None:
                heappush(self.queue, -key)
            store[key] = [to, g, not (shared or self.lift) and g.base is None]
        elif met[2]:
            met[1] += g
        else:
            met[1] = g = _sum(met[1], g)
            met[2] = not self.lift
        if self.lift and (tape := MODE.get().tape) is not None:
            tape.gradient(to, g)

    def gather(self, whole: Tensor, g: Any, i: int) -> None:
        """Send the gradient of output `i` of a call that has several."""
        if whole.order not in self.inner:
            self.inner[whole.order] = [whole, [None] * len(whole._data), False]
            heappush(self.queue, -whole.order)
        parts = self.inner[whole.order][1]
        parts[i] = g if parts[i] is None else _sum(parts[i], g)

    def land(self) -> None:
        """Add what was found to each `.grad`, now that nothing can fail."""
        for leaf, g, fresh in self.found.values():
            if leaf._grad is None and fresh:
                leaf._grad = g
            else:
                land(leaf, g, fresh)


def check_unwritten(t: Tensor) -> None:
    """Raise RuntimeError if an argument of the call behind `t` was written since."""
    for a in t.inputs:
        if isinstance(a, Tensor) and a._stamp is not None and a._stamp[0] > t.order:
            assert t.rule is not None
            raise RuntimeError(
                f"an argument of {t.rule.name}, shape {a.shape}, was written in place after it "
                "was recorded: its gradient would be wrong. Call backward before the write "
                "(optimizer.step(), x += y under no_grad), or record again"
            )


def _sum(x: Any, y: Any) -> Any:
    total = x + y
    return total if isinstance(total, (_ndarray, Tensor)) else np.asarray(total)


def key_of(t: Tensor) -> int:
    """Return what a walk knows a Tensor by: its order, for a leaf something below 0."""
    return -id(t) if t.rule is None else t.order


def _lifted(t: Tensor) -> tuple[Any, Any]:
    """Return the arguments and the output of the call behind `t` as Tensors for its rule."""
    args, out = t.inputs, t
    if not MODE.get().grad:
        args = [wrap(a) if isinstance(a, _ndarray) else a for a in t.args]
        out = wrap(t._data)
    if t.rule is not None and t.rule.multi:
        return args, tuple(core.record(pick, out, i) for i in range(len(t._data)))
    return args, out


def unbroadcast(g: Any, shape: tuple[int, ...]) -> Any:
    """Sum `g` over the axes that broadcasting had repeated, and repeat it where it is short."""
    lead = g.ndim - len(shape)
    short = [i + lead for i, n in enumerate(shape) if n == 1 and i + lead >= 0]
    axes = (*range(lead), *(i for i in short if g.shape[i] != 1))
    if axes:
        g = np.add.reduce(g, axis=axes, keepdims=True)
    if lead > 0:
        g = g.reshape(g.shape[lead:])
    if g.shape == shape:
        return g
    if isinstance(g, Tensor):
        return np.broadcast_to(g, shape)
    full = np.empty(shape, g.dtype)
    full[...] = g
    return full


def land(leaf: Tensor, g: Any, fresh: bool) -> None:
    """Add a gradient to `.grad`, which never shares its memory with another array."""
    old = leaf.grad
    if old is not None:
        total = old + g  # out of place: the user may hold the old one
        leaf._grad = total._data if isinstance(total, Tensor) else np.asarray(total)
    else:
        lifted = isinstance(g, Tensor)  # what a tape knows is copied at its end
        leaf._grad = g._data if lifted else g if fresh else g.copy()


core._backward = backward
