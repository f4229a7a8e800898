"""The reverse pass: visit the calls behind an output and send each gradient to the arguments.

The last recorded comes first. Broadcasting is undone here, once for every rule.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Collection, Iterable, Sequence
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from retrograd.engine.arrays import check_floating
from retrograd.engine.call import describe
from retrograd.engine.hooks import HOOKED, HOOKED_LEAVES, RETAINS, hooks_of
from retrograd.engine.mode import current_mode, mode_set, section, unrecorded
from retrograd.engine.rule import Rule
from retrograd.engine.tensor import (
    CLOCK,
    Parts,
    Tensor,
    as_array,
    borrowed,
    connect,
    pick,
    record,
    total,
    wrap,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_ndarray = np.ndarray


def backward(
    root: Tensor, gradient: ArrayLike | Tensor | None = None, retain_graph: bool = False
) -> None:
    """Add the gradient of `root` to `.grad` of its leaves: see `Tensor.backward`."""
    mode = current_mode()
    lift = mode.records  # a program is made of what the rules record
    seed = seed_of(root, gradient, lift)
    walk = ReversePass(retain_graph, lift)
    if not lift:
        walk.run((root,), (seed,))
        walk.land()
        return
    with mode_set(mode.with_grad(bool(LIMITS))), section("backward"):
        walk.run((root,), (seed,))
        walk.land()


@functools.lru_cache(maxsize=64)
def _one(shape: tuple[int, ...], dtype: Any) -> tuple[Any, Any]:
    """Return an array of ones that nobody may write, and a view of it."""
    one = np.ones(shape, dtype)
    one.flags.writeable = False
    return one, borrowed(one)


def seed_of(root: Tensor, gradient: ArrayLike | Tensor | None, lift: bool) -> Any:
    """Return the gradient that a reverse pass starts with, checked against the root.

    It is a Tensor, or with `lift` false a view, which the walk will not write into.
    """
    if not root.requires_grad:
        raise RuntimeError(
            "backward through a Tensor that does not require grad: was it computed from a leaf "
            "with requires_grad=True, outside of no_grad, without detach() or .data?"
        )
    like = root._array
    if gradient is None:
        if like.size != 1:
            raise RuntimeError(
                f"backward() starts from one number, this Tensor has shape {root.shape}: reduce "
                "it (t.sum(), t.mean()), or pass gradient= of that shape"
            )
        if like.dtype.kind == "c":
            raise RuntimeError(
                f"backward() starts from a real number, this Tensor is {like.dtype}: take a real "
                "number of it (t.real, np.abs(t)), or pass gradient="
            )
        one, view = _one(like.shape, like.dtype)
        return wrap(one) if lift else view
    array = as_array(gradient)
    if array.shape != like.shape:
        raise ValueError(f"gradient= has shape {array.shape}, the Tensor has {like.shape}")
    if array.dtype.kind == "c" and like.dtype.kind != "c":
        raise TypeError(
            f"gradient= is {array.dtype}, the Tensor {like.dtype}: pass real numbers, such as "
            "gradient.real"
        )
    if lift and isinstance(gradient, Tensor) and array.dtype == like.dtype:
        return gradient
    array = array.astype(like.dtype, copy=False)
    if lift:
        return wrap(array)
    seed = array.view()
    seed.flags.writeable = False
    return seed


# Calls of which a rule needs limits, by id: of `eigh` and `svd` with equal values, where their
# derivative is 0 / 0. As long as there are some, gradients are recorded, for `derivative_along`.
LIMITS: dict[int, weakref.ref[Tensor]] = {}


def needs_limit(t: Tensor) -> None:
    """Note that the rule of the call behind `t` will take a limit."""
    key = id(t)
    LIMITS[key] = weakref.ref(t, lambda _: LIMITS.pop(key, None))


def meets_limit(roots: Iterable[Tensor]) -> bool:
    """Tell whether a call that needs a limit lies behind one of the roots."""
    stack, seen = [*roots], set()
    while stack:
        t = stack.pop()
        if t not in seen and t._call is not None:
            if id(t) in LIMITS:
                return True
            seen.add(t)
            stack += [a for a in t.inputs or () if isinstance(a, Tensor)]
    return False


def derivative_along(y: Tensor, whole: Tensor, part: int, direction: Any) -> Any:
    """Return the derivative of `y` along a direction of one of the outputs of a call, or None.

    What is sent back from `y` with weights `u` is linear in these, and its own gradient for them,
    weighed by the direction, is the derivative (Townsend 2017, "A new trick for calculating
    Jacobian vector products").

    Args:
        y: a Tensor whose graph was recorded.
        whole: a call that has several outputs.
        part: which of them.
        direction: an array of the shape of that output.

    Returns:
        A Tensor of the shape of `y`; None where it does not depend on that output.
    """
    u = wrap(np.zeros_like(y._array))
    u.requires_grad = True
    there = ReversePass(True, True, between([y], [whole]), {whole}, calls_hooks=False)
    there.run([y], [u])
    sent = there.found.get(whole)
    weighed = None if sent is None else sent.parts[part]
    if weighed is None or not weighed.requires_grad:
        return None
    total = np.sum(weighed * direction)
    back = ReversePass(True, True, between([total], [u]), calls_hooks=False)
    back.run([total], [wrap(np.ones((), y.dtype))])
    return back.found.get(u)


def between(roots: Sequence[Tensor], targets: Sequence[Tensor]) -> set[Tensor]:
    """Return the Tensors on the ways from the targets to the roots, with the targets.

    These are the only ones that a reverse pass for the targets has to visit.
    """
    wanted = set(targets)
    # what was recorded before the first target depends on none of them
    first = min((0 if t.rule is None else t._order for t in targets), default=0)
    behind = {}  # the recorded Tensors that the roots were computed from, by order
    stack = [t for t in roots if t.rule is not None]
    while stack:
        t = stack.pop()
        if t._order not in behind and t._order >= first:
            behind[t._order] = t
            stack += [a for a in t.inputs or () if isinstance(a, Tensor) and a.rule is not None]
    for order in sorted(behind):
        if any(isinstance(a, Tensor) and a in wanted for a in behind[order].inputs or ()):
            wanted.add(behind[order])
    return wanted


def trace_back(
    outs: Iterable[Tensor], since: int, ends: Collection[Tensor] = ()
) -> tuple[set[Tensor], list[Tensor]]:
    """Return what was recorded on the ways to `outs` since a moment, and what that started from.

    Args:
        outs: Tensors; those that do not require grad lead nowhere.
        since: the moment, a reading of the clock.
        ends: Tensors at which the search stops. They count as recorded since.
    """
    inner, sources = set(ends), dict[Tensor, None]()
    stack = [t for t in outs if t.requires_grad]
    while stack:
        t = stack.pop()
        if t.rule is None or t._order < since:
            sources[t] = None
        elif t not in inner:
            inner.add(t)
            stack += [a for a in t.inputs or () if isinstance(a, Tensor) and a.requires_grad]
    return inner, list(sources)


class ReversePass:
    """One walk over the graph, from outputs back to leaves.

    Args:
        keep: whether the graph stays; else each call is freed once it is visited.
        lift: whether rules run on Tensors in place of arrays, so that what they do is recorded:
            for derivatives of derivatives, and for programs.
        wanted: the Tensors to visit; None for all.
        targets: those of `wanted` whose gradients somebody asks for; None: all of them.
        ends: those of `wanted` that the walk does not go beyond.
        calls_hooks: whether hooks of Tensors are called; not so where what arrives is a step in
            between that no user knows of.

    Attributes:
        found: while the walk goes on, the gradient so far of each Tensor that was met and is not
            visited yet. Afterwards that of each leaf that was met, and of all others that `wanted`
            or `retain_grad` name. An array that is no view belongs to the walk alone, which may add
            to it in place.
    """

    def __init__(
        self,
        keep: bool,
        lift: bool = False,
        wanted: set[Tensor] | None = None,
        ends: Collection[Tensor] = (),
        calls_hooks: bool = True,
        targets: Collection[Tensor] | None = None,
    ) -> None:
        self.keep = keep
        self.lift = lift
        self.wanted = wanted
        self.ends = ends
        self.calls_hooks = calls_hooks
        self.targets = targets
        self.found: dict[Tensor, Any] = {}

    def run(self, roots: Iterable[Tensor], seeds: Iterable[Any]) -> None:
        """Start from `roots` with the gradients `seeds` and visit all that is behind them."""
        found, keep, lift, wanted = self.found, self.keep, self.lift, self.wanted
        if LIMITS and not lift:
            roots = [*roots]
            if meets_limit(roots):
                self._run_lifted(roots, seeds)
                return
        if LIMITS:
            keep = True  # a limit looks at the whole graph
        hear = current_mode().tell
        is_plain = hear is None and not lift
        last_write = CLOCK.last_write
        queue: list[tuple[float, Tensor]] = []  # a heap: the last recorded comes first
        for root, seed in zip(roots, seeds, strict=True):
            if root in found:
                found[root] = _sum(found[root], seed)
            else:
                found[root] = seed
                if root._call is not None:
                    heappush(queue, (-root._order, root))
        if HOOKED_LEAVES.by_id and self.calls_hooks:
            self._await_leaves(queue)
        while queue:
            t = heappop(queue)[1]
            g = found.pop(t)
            rule, inputs, args, kwargs = t._call  # type: ignore[misc]
            if inputs is None:
                raise RuntimeError(
                    "backward through a graph that was freed by an earlier backward: write "
                    "backward(retain_graph=True) the first time"
                )
            if last_write > t._order:
                check_unwritten(t)
                inputs = t.inputs
            if t._retains or wanted is not None:
                if t in self.ends:  # where another walk goes on, with hooks and all
                    found[t] = g
                    continue
                if t._retains & HOOKED:
                    g = self._call_hooks(t, g)
                if t._retains & RETAINS or (wanted is not None and t in wanted):
                    found[t] = g
            through, out = rule.through, t._array
            if rule.multi:
                g = g.full(out)
            arrays = args
            if not is_plain:
                if hear is not None:
                    rule = hear("visit", t, g, rule)
                    through = rule.through
                if lift:
                    args, out = lifted(t)
            given = (g, out, *args)
            try:
                vjps = rule.vjps
                is_joint = rule.joint is not None
                if is_joint:  # what takes the place of each function is what it would return
                    vjps = self._joint(rule, inputs, arrays, given, kwargs)
                for a, like, vjp in zip(inputs, arrays, vjps):  # noqa: B905, options follow
                    # an argument that was no Tensor is the same object in both tuples
                    if vjp is None or a is like or not a.requires_grad:
                        continue
                    if wanted is not None and a not in wanted:
                        continue
                    if (
                        through is not None
                        and a is inputs[0]
                        and (wanted is None or not self._asks_for(a))
                    ):
                        vjp, a, like = one_formula(through, vjp, a, like)
                        through = None  # the same Tensor may be a later argument too
                    if is_joint:
                        ga = vjp
                    else:
                        ga = vjp(*given, **kwargs) if kwargs else vjp(*given)
                    if (
                        ga.__class__ is not _ndarray
                        or ga.shape != like.shape
                        or ga.dtype is not like.dtype
                    ):
                        ga = fitted(ga, like)
                    if (ga is g or not rule.trusted) and not lift:
                        ga = ga.view()  # what `borrowed` does
                    if a in found:
                        ga = found[a] = _sum(found[a], ga)
                    else:
                        found[a] = ga
                        if a._call is not None:
                            heappush(queue, (-a._order, a))
                    if hear is not None:
                        hear("gradient", a, ga, t)
            except Exception as error:
                error.add_note(f"in the gradient of {describe(t.rule, t.args, t.kwargs)}")
                raise
            if not keep:
                t._call = rule.freed

    def _asks_for(self, a: Tensor) -> bool:
        """Tell whether somebody wants the gradient of a wanted Tensor that could be gone past."""
        return self.targets is None or any(a is t for t in self.targets)

    def _joint(
        self, rule: Rule, inputs: Any, arrays: Any, given: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> list[Any]:
        """Return, for a rule with one function for all arrays, the gradient of each, or None."""
        wanted = self.wanted
        needed = [
            i
            for i, a in enumerate(inputs)
            if a is not arrays[i] and a.requires_grad and (wanted is None or a in wanted)
        ]
        gradients = [None] * len(inputs)
        if needed:
            assert rule.joint is not None
            for i, ga in zip(needed, rule.joint(needed, *given, **kwargs), strict=True):
                gradients[i] = ga
        return gradients

    def _call_hooks(self, t: Tensor, g: Any) -> Any:
        """Return the gradient of a Tensor after its hooks have seen it."""
        return after_hooks(t, g, self.lift) if self.calls_hooks else g

    def _await_leaves(self, queue: list[tuple[float, Tensor]]) -> None:
        """Queue for each leaf with hooks that they are called as soon as its gradient is complete.

        That is so when the first recorded of the calls that take it was visited. For that moment a
        Tensor is queued of a call that takes nothing, with a hook that calls those of the leaf.
        """
        first: dict[Tensor, float] = {t: 0 for t in self.found if t._call is None}
        stack = [t for _, t in queue]
        seen = set(stack)
        while stack:
            t = stack.pop()
            for a in t.inputs or ():
                if not isinstance(a, Tensor) or not a.requires_grad:
                    continue
                if a._call is None:
                    first[a] = min(first.get(a, t._order), t._order)
                elif a not in seen and a not in self.ends:
                    seen.add(a)
                    stack.append(a)
        for leaf, order in first.items():
            if leaf in self.ends or (self.wanted is not None and leaf not in self.wanted):
                continue
            if id(leaf) in HOOKED_LEAVES.by_id:
                moment = wrap(leaf._array)
                moment._call = _NOTHING, (), (), {}
                moment._order = order - 0.5  # type: ignore[assignment]
                moment._retains = HOOKED
                moment._hooks = {0: functools.partial(self._call_hooks_of_leaf, leaf)}
                self.found[moment] = moment._array
                heappush(queue, (-moment._order, moment))

    def _call_hooks_of_leaf(self, leaf: Tensor, _: Any) -> None:
        if leaf in self.found:
            self.found[leaf] = self._call_hooks(leaf, self.found[leaf])

    def _run_lifted(self, roots: Iterable[Tensor], seeds: Iterable[Any]) -> None:
        """Run on Tensors, recorded so that a rule can take a limit, and unwrap what is found."""
        walk = ReversePass(
            True, True, self.wanted, self.ends, self.calls_hooks, targets=self.targets
        )
        mode = current_mode()
        with mode_set(mode.with_grad(True)):
            walk.run(roots, [wrap(seed) for seed in seeds])
        for t, g in walk.found.items():
            self.found[t] = g.unwrapped() if isinstance(g, Parts) else borrowed(g._array)

    def land(self) -> None:
        """Add what was found to each `.grad`, now that nothing can fail."""
        if self.lift:
            taken: set[int] = set()
            for leaf, g in self.found.items():
                land(leaf, own_memory(g, taken) if isinstance(g, Tensor) else g)
            return
        for leaf, g in self.found.items():
            if leaf._grad is None and g.base is None:
                leaf._grad = g
            else:
                land(leaf, g)


def after_hooks(t: Tensor, g: Any, lift: bool) -> Any:
    """Return the gradient of a Tensor as its hooks leave it, `g` itself where it has none.

    Args:
        t: the Tensor.
        g: its gradient.
        lift: whether that is a Tensor in place of an array.
    """
    hooks = hooks_of(t)
    if hooks:
        unrecorded("a hook of t.register_hook")
    for hook in hooks.values():
        if not lift:
            # a view that cannot be written: others may have the same memory, or keep it
            g = borrowed(g)
            g.flags.writeable = False
        answer = hook(g)
        if answer is not None:
            g = _replacement(answer, t, lift)
    return g


def _replacement(answer: Any, t: Tensor, lift: bool) -> Any:
    """Return what a hook has returned as a gradient of a Tensor, which others may refer to."""
    if not isinstance(answer, Tensor):
        answer = as_array(answer)
    if answer.shape != t.shape:
        raise RuntimeError(
            f"a hook of a Tensor of shape {t.shape} returned a gradient of shape {answer.shape}"
        )
    if answer.dtype != t.dtype:
        answer = answer.astype(t.dtype)
    if lift:
        return answer if isinstance(answer, Tensor) else wrap(answer)
    return borrowed(as_array(answer))


# the rule of a call that takes nothing and does nothing
_NOTHING = Rule(lambda: None)


def _sum(x: Any, y: Any) -> Any:
    """Return the sum of two gradients, as `total` does; in the memory of `x` where it is ours."""
    if x.__class__ is _ndarray and x.base is None:
        x += y
        return x
    return total(x, y)


def one_formula(
    formulas: dict[Rule, Callable[..., Any]], vjp: Callable[..., Any], a: Tensor, like: Any
) -> tuple[Callable[..., Any], Tensor, Any]:
    """Return the formula for two calls at once, where its result goes, and the array there.

    If the call behind `a` has none, or somebody wants the gradient in between: what was given.
    """
    if a._call is None:
        return vjp, a, like
    rule, inputs, arrays, _ = a._call
    if inputs is None or rule not in formulas or a._retains:
        return vjp, a, like
    if CLOCK.last_write > a._order:
        check_unwritten(a)
        inputs = a.inputs
    return formulas[rule], inputs[0], arrays[0]


def check_unwritten(t: Tensor) -> None:
    """Raise RuntimeError if an argument of the call behind `t` was written since."""
    for a in t.inputs:
        if isinstance(a, Tensor) and a._stamp is not None and a._stamp[0] > t._order:
            raise RuntimeError(
                f"an argument of {t.rule.title}, shape {a.shape}, was written in place after it "
                "was recorded: its gradient would be wrong. Call backward before the write "
                "(optimizer.step(), x += y under no_grad), or record again"
            )


def lifted(t: Tensor) -> tuple[Any, Any]:
    """Return the arguments and the output of the call behind `t` as Tensors for its rule."""
    rule, inputs, args, _ = t._call  # type: ignore[misc]
    out: Any = t
    if not current_mode().grad:
        inputs, out = args, wrap(t._array)
    # all arrays, since a method such as `x.dot(g)` of a plain one does not know Tensors
    inputs = [wrap(a) if isinstance(a, _ndarray) else a for a in inputs]
    if rule.multi:
        return inputs, tuple(record(pick, out, i) for i in range(len(t._array)))
    return inputs, out


def fitted(g: Any, like: Any) -> Any:
    """Return what a rule gave as a gradient of the shape and dtype of an array."""
    if g.__class__ is not _ndarray:
        if isinstance(g, Parts):
            return g
        if not isinstance(g, Tensor):
            given, g = g, np.asarray(g)
            if g.dtype.kind == "O":
                raise TypeError(f"{given!r} is no gradient: a vjp returns an array")
    if g.shape != like.shape:
        g = unbroadcast(g, like.shape)
    if g.dtype != like.dtype:
        if g.dtype.kind == "c" and like.dtype.kind == "f":
            g = np.real(g)  # a real number has no imaginary part to change
        check_floating(like)  # t.requires_grad = True, set by hand, bypasses the check of integers
        g = g.astype(like.dtype)
    return g


def unbroadcast(g: Any, shape: tuple[int, ...]) -> Any:
    """Return `g` in the shape of an argument that was broadcast to the shape of the output.

    It is summed over the axes along which the argument was repeated. A rule may also return less
    than that shape, such as one number for all elements: then it is repeated.
    """
    lead = g.ndim - len(shape)  # axes that the argument did not have
    if lead == 1 and shape and g.shape[1:] == shape:  # as a bias has: written out, it is frequent
        return np.add.reduce(g, axis=0)
    single = [i + lead for i, n in enumerate(shape) if n == 1 and i + lead >= 0]
    axes = (*range(lead), *(i for i in single if g.shape[i] != 1))
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


def own_memory(g: Tensor, taken: set[int]) -> Tensor:
    """Return a gradient that a recording leaves in a leaf in memory that may be written.

    Clipping writes into it: it must not be that of another leaf's, nor one number for all elements.

    Args:
        g: the gradient.
        taken: the memory of other leaves' gradients, by id; grows.
    """
    memory: Any = g._array
    while isinstance(memory.base, _ndarray):
        memory = memory.base
    if id(memory) in taken or not g._array.flags.writeable:
        return cast("Tensor", np.copy(g))
    taken.add(id(memory))
    return g


def land(leaf: Tensor, g: Any) -> None:
    """Add a gradient to `.grad`, which never shares its memory with another array."""
    old = leaf.grad
    if old is not None:
        whole = total(old, g)  # out of place: the user may hold the old one
        leaf._grad = whole._array if isinstance(whole, Tensor) else whole
    elif isinstance(g, Tensor):
        leaf._grad = g._array  # a recording makes a copy when the run is over
    else:
        leaf._grad = g if g.base is None else g.copy()


connect(backward=backward)
