"""What every gradient rule must do, checked at one point: `check(fn, args, kwargs, seed)`.

Arguments are trees (lists, tuples, dicts) with `Array` placeholders, so that the same call can be
made again at fresh values. Every float array made from a placeholder is differentiated.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import retrograd as rg
from comparing import assert_compiled_agrees
from retrograd.engine import RULES, Rule
from retrograd.engine.rule import load_rules
from retrograd.engine.tensor import Parts

STEP = 2e-4
# of their arguments NumPy asks only the first ones whether they are Tensors
ASKED = {np.pad: 1, np.full_like: 1, np.interp: 3}
# multiples of the step and weights of the central difference of fourth order
STENCIL = ((1, 8 / 12), (-1, -8 / 12), (2, -1 / 12), (-2, 1 / 12))


# values


def anywhere(rng: np.random.Generator, shape: tuple[int, ...], offset: float = 0.37) -> Any:
    """Values off the kinks at whole numbers; arrays with other offsets have no value in common."""
    return (rng.integers(-12, 12, shape) + offset) / 4


def positive(rng: np.random.Generator, shape: tuple[int, ...], offset: float = 0.37) -> Any:
    return np.abs(anywhere(rng, shape, offset)) + 0.1


def within_one(rng: np.random.Generator, shape: tuple[int, ...], offset: float = 0.37) -> Any:
    return anywhere(rng, shape, offset) / 4


def above_one(rng: np.random.Generator, shape: tuple[int, ...], offset: float = 0.37) -> Any:
    return np.abs(anywhere(rng, shape, offset)) + 1.1


def distinct(rng: np.random.Generator, shape: tuple[int, ...], offset: float = 0.37) -> Any:
    """Values that all differ, by 1/4 at least."""
    n = math.prod(shape)
    return ((rng.permutation(n) - n // 2) + offset).reshape(shape) / 4


def scattered(rng: np.random.Generator, shape: tuple[int, ...], offset: float = 0.37) -> Any:
    """Values of which no sums are equal."""
    return rng.choice([-1, 1], shape) * rng.uniform(0.2, 2.0, shape)


def with_gaps(rng: np.random.Generator, shape: tuple[int, ...], offset: float = 0.37) -> Any:
    """Values that all differ, of which each third is nan."""
    values = distinct(rng, shape, offset)
    values.flat[::3] = np.nan
    return values


def whole(rng: np.random.Generator, shape: tuple[int, ...], offset: float = 0.0) -> Any:
    """Integers: these get no gradient."""
    return rng.integers(-3, 4, shape)


@dataclass(frozen=True)
class Array:
    """A float array to be made: its shape, and where its values come from."""

    shape: tuple[int, ...]
    values: Callable[..., Any] = anywhere
    offset: float = 0.37


def make(tree: Any, rng: np.random.Generator) -> Any:
    """Return the tree with arrays in place of the placeholders."""
    return map_tree(lambda a: np.asarray(a.values(rng, a.shape, a.offset)), tree, Array)


def map_tree(change: Callable[[Any], Any], tree: Any, kind: type) -> Any:
    if isinstance(tree, kind):
        return change(tree)
    if isinstance(tree, (list, tuple)):
        parts = [map_tree(change, part, kind) for part in tree]
        return tuple(parts) if isinstance(tree, tuple) else parts
    if isinstance(tree, dict):
        return {key: map_tree(change, part, kind) for key, part in tree.items()}
    return tree


def floats(tree: Any) -> list[Any]:
    """Return the float arrays and Tensors of a tree, in order."""
    return [a for a in inexact(tree) if a.dtype.kind == "f"]


def inexact(tree: Any) -> list[Any]:
    """Return the arrays and Tensors of a tree that hold floats or complex numbers, in order."""
    found: list[Any] = []

    def visit(a: Any) -> None:
        if a.dtype.kind in "fc":
            found.append(a)

    map_tree(visit, tree, (np.ndarray, np.inexact, rg.Tensor))  # type: ignore[arg-type]
    return found


def replace_floats(tree: Any, arrays: list[Any]) -> Any:
    """Return the tree with its float arrays replaced, in order."""
    rest = iter(arrays)
    return map_tree(lambda a: next(rest) if a.dtype.kind == "f" else a, tree, np.ndarray)


# watched rules


def watch(rule: Rule) -> None:
    """Let a rule find all it is given read-only, and check the dtypes of what it gives."""
    rule.vjps = tuple(vjp and watch_vjp(vjp, i) for i, vjp in enumerate(rule.vjps))
    rule.joint = rule.joint and watch_joint(rule.joint)


def watch_vjp(vjp: Callable[..., Any], position: int) -> Callable[..., Any]:
    def watched(g: Any, out: Any, *args: Any, **options: Any) -> Any:
        lock(g, out, args)
        found = vjp(g, out, *args, **options)
        check_dtype(found, args[position], out)
        return found

    return watched


def watch_joint(joint: Callable[..., Any]) -> Callable[..., Any]:
    def watched(needed: Any, g: Any, out: Any, *args: Any, **options: Any) -> Any:
        lock(g, out, args)
        found = joint(needed, g, out, *args, **options)
        for position, part in zip(needed, found, strict=True):
            check_dtype(part, args[position], out)
        return found

    return watched


def lock(*values: Any) -> None:
    def lock_array(value: Any) -> None:
        if isinstance(value, rg.Tensor):
            lock(value._array)  # several, where a call has several outputs
        else:
            value.flags.writeable = False

    map_tree(lock_array, values, (np.ndarray, rg.Tensor))


def check_dtype(found: Any, like: Any, out: Any) -> None:
    if isinstance(found, Parts) or found is None:
        return
    found = found if isinstance(found, rg.Tensor) else np.asarray(found)
    whole = [part.dtype for part in inexact((out, like))]
    # of complex results a real argument gets the real part of what its rule gives
    kinds = "fc" if any(dtype.kind == "c" for dtype in whole) else "f"
    assert found.dtype.kind in kinds, f"a rule gave a gradient of {found.dtype}"
    widest = max((np.finfo(dtype).bits for dtype in whole), default=16)
    assert np.finfo(found.dtype).bits <= widest, f"a rule turned {like.dtype} into {found.dtype}"


@contextlib.contextmanager
def watching() -> Iterator[None]:
    """Watch all rules for a while."""
    load_rules()
    kept = [(rule, rule.vjps, rule.joint) for rule in RULES.values()]
    for rule, *_ in kept:
        watch(rule)
    try:
        yield
    finally:
        for rule, vjps, joint in kept:
            rule.vjps, rule.joint = vjps, joint


# the properties


def tensors(arrays: list[Any]) -> list[rg.Tensor]:
    leaves = [rg.Tensor(a, requires_grad=True) for a in arrays]
    for leaf in leaves:
        leaf._array.flags.writeable = False
    return leaves


def gradients(outs: list[Any], inputs: Any, weights: list[Any], create_graph: bool) -> list[Any]:
    """Return d(sum of weights * outs) / d(inputs), zeros where there is no way."""
    pairs = [(o, w) for o, w in zip(outs, weights, strict=True) if _wants_grad(o)]
    found: Any = [None] * len(inputs)
    if pairs:
        roots, seeds = map(list, zip(*pairs, strict=True))
        found = rg.autograd.grad(roots, inputs, seeds, create_graph=create_graph, allow_unused=True)
    for g, x in zip(found, inputs, strict=True):
        assert g is None or (g.shape == x.shape and g.dtype == x.dtype), (g, x)
    return [rg.Tensor(np.zeros(x.shape, x.dtype)) if g is None else g
            for g, x in zip(found, inputs, strict=True)]  # fmt: skip


def _wants_grad(x: Any) -> bool:
    return isinstance(x, rg.Tensor) and x.requires_grad


def along(xs: list[Any], vs: list[Any]) -> Any:
    return sum((np.sum(x * v) for x, v in zip(xs, vs, strict=True)), 0.0)


def slope(of: Callable[[list[Any]], Any], xs: list[Any], vs: list[Any]) -> float:
    """Return the central difference of `of` at `xs` along `vs`."""
    parts = (
        c * of([np.asarray(x + k * STEP * v) for x, v in zip(xs, vs, strict=True)])
        for k, c in STENCIL
    )
    return float(sum(parts)) / STEP


def close(found: Any, expected: float, scale: float, what: str) -> None:
    error = abs(float(found) - expected)
    assert error <= 1e-6 * (1 + scale), f"{what}: the rule gives {found}, differences {expected}"


def check(
    fn: Callable[..., Any], args: Any = (), kwargs: Any = None, seed: int = 0, replay: bool = True
) -> None:
    """Check all that a rule must do, for one call of `fn` at values drawn from `seed`.

    Without `replay` for a function whose result has another shape at other values.
    """
    rng = np.random.default_rng(seed)
    tree = make((tuple(args), kwargs or {}), rng)
    fresh = make((tuple(args), kwargs or {}), rng)

    def run(leaves: list[Any]) -> list[Any]:
        given, named = replace_floats(tree, leaves)
        out = fn(*given, **named)
        return list(out) if isinstance(out, (tuple, list)) else [out]

    xs, others = floats(tree), floats(fresh)
    with watching():
        check_values(run, xs)
        check_one_at_a_time(run, xs, ASKED.get(fn, len(xs)))
        check_float32(run, xs)
        check_memory(run, xs)
        if replay:
            check_replay(run, xs, others)
        # after the rules have run at `xs`: a mask that was kept from there is wrong here
        check_derivatives(run, others, rng)


def check_values(run: Any, xs: list[Any]) -> None:
    """The Tensors' values, shapes and dtypes are NumPy's."""
    expected, found = run([x.copy() for x in xs]), run(tensors(xs))
    assert len(found) == len(expected)
    for f, e in zip(found, expected, strict=True):
        assert isinstance(f, rg.Tensor), f"gave {type(f)}"
        e = np.asarray(e)
        assert (f.shape, f.dtype) == (e.shape, e.dtype), (f.shape, f.dtype, e.shape, e.dtype)
        np.testing.assert_allclose(f.data, e, rtol=1e-9, atol=1e-9)


def check_one_at_a_time(run: Any, xs: list[Any], asked: int) -> None:
    """With all but one argument plain arrays, values and gradient are those for all Tensors."""
    if len(xs) < 2:
        return
    leaves = tensors(xs)
    expected = floats(run(leaves))
    weights = [np.ones(o.shape, o.dtype) for o in expected]
    gs = gradients(expected, leaves, weights, False)
    for i, x in enumerate(xs[:asked]):
        (leaf,) = tensors([x])
        found = floats(run([*(a.copy() for a in xs[:i]), leaf, *(a.copy() for a in xs[i + 1 :])]))
        for f, e in zip(found, expected, strict=True):
            assert f.dtype == e.dtype, (i, f.dtype, e.dtype)
            np.testing.assert_allclose(getattr(f, "_array", f), e.data, rtol=1e-9, atol=1e-9)
        (g,) = gradients(found, [leaf], weights, False)
        np.testing.assert_allclose(g.data, gs[i].data, rtol=1e-9, atol=1e-12)


def directions(xs: list[Any], rng: np.random.Generator) -> list[Any]:
    return [rng.choice([-1, 1], x.shape) * rng.uniform(0.5, 1, x.shape) for x in xs]


def check_derivatives(run: Any, xs: list[Any], rng: np.random.Generator) -> None:
    """First and second order agree with central differences along random directions."""
    vs, ws = directions(xs, rng), directions(xs, rng)
    us = directions([np.asarray(o) for o in floats(run(xs))], rng)

    def first(at: list[Any]) -> list[Any]:
        leaves = tensors(at)
        return [g.data for g in gradients(floats(run(leaves)), leaves, us, False)]

    gs = first(xs)
    scale = float(along([np.abs(g) for g in gs], [1.0] * len(gs)))
    close(along(gs, vs), slope(lambda at: along(floats(run(at)), us), xs, vs), scale, "slope")

    leaves = tensors(xs)
    lifted = gradients(floats(run(leaves)), leaves, us, True)
    for g, expected in zip(lifted, gs, strict=True):
        np.testing.assert_allclose(g.data, expected, rtol=1e-9, atol=1e-12)
    curvature = gradients([along(lifted, ws)], leaves, [np.array(1.0)], False)
    hs = [h.data for h in curvature]
    scale += float(along([np.abs(h) for h in hs], [1.0] * len(hs)))
    close(along(hs, vs), slope(lambda at: along(first(at), ws), xs, vs), scale, "curvature")


def check_third_order(fn: Callable[..., Any], args: Any, kwargs: Any, seed: int = 0) -> None:
    """The third derivative agrees with the central difference of the second."""
    rng = np.random.default_rng(seed)
    tree = make((tuple(args), kwargs or {}), rng)
    xs = floats(tree)
    vs, ws = directions(xs, rng), directions(xs, rng)

    def second(at: list[Any], create_graph: bool) -> tuple[list[Any], list[Any]]:
        leaves = tensors(at)
        given, named = replace_floats(tree, leaves)
        out = fn(*given, **named)
        outs = floats(list(out) if isinstance(out, (tuple, list)) else [out])
        us = [np.cos(np.arange(o.size)).reshape(o.shape) for o in outs]
        first = gradients(outs, leaves, us, True)
        return leaves, gradients([along(first, vs)], leaves, [np.array(1.0)], create_graph)

    leaves, lifted = second(xs, True)
    found = gradients([along(lifted, ws)], leaves, [np.array(1.0)], False)
    hs = [h.data for h in found]
    expected = slope(lambda at: along([g.data for g in second(at, False)[1]], ws), xs, vs)
    scale = float(along([np.abs(h) for h in hs], [1.0] * len(hs)))
    close(along(hs, vs), expected, scale, "third derivative")


def check_float32(run: Any, xs: list[Any]) -> None:
    """Nothing widens float32 where NumPy does not, in the output, in rules, in gradients."""
    small = [x.astype(np.float32) for x in xs]
    expected = [np.asarray(o) for o in run(small)]
    leaves = tensors(small)
    found = run(leaves)
    assert [f.dtype for f in found] == [e.dtype for e in expected]
    outs = floats(found)
    gradients(outs, leaves, [np.ones(o.shape, o.dtype) for o in outs], False)


def check_memory(run: Any, xs: list[Any]) -> None:
    """Gradients share no memory with each other, the inputs or the outputs."""
    leaves = tensors(xs)
    outs = floats(run(leaves))
    seeds = [np.ones(o.shape, o.dtype) for o in outs]
    for o, seed in zip(outs, seeds, strict=True):
        if o.requires_grad:
            o.backward(seed, retain_graph=True)
    grads = [leaf.grad for leaf in leaves if leaf.grad is not None]
    others = [o.data for o in outs] + [leaf.data for leaf in leaves] + seeds
    for i, g in enumerate(grads):
        assert g.flags.writeable
        for other in grads[:i] + others:
            assert not np.may_share_memory(g, other) or not np.shares_memory(g, other)


def check_replay(run: Any, xs: list[Any], fresh: list[Any]) -> None:
    """The compiled forward and backward, run again at fresh values, equal eager there."""

    def step(*leaves: rg.Tensor) -> Any:
        outs = floats(run(list(leaves)))
        us = [np.cos(np.arange(o.size, dtype=o.dtype)).reshape(o.shape) for o in outs]
        return outs, gradients(outs, leaves, us, False)

    calls = [tensors(xs), tensors(fresh)]
    assert_compiled_agrees(lambda: (step,), calls, rtol=1e-9, atol=1e-12)
