"""`checkpoint`: compute twice, keep less."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from retrograd import core, random, tree
from retrograd.backward import ReversePass
from retrograd.core import Tensor, wrap
from retrograd.mode import MODE, Mode, enable_grad
from retrograd.registry import Rule, Vjp


def checkpoint(f: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return `f(*args)` without keeping what it computes on the way, which backward recomputes.

    Gradients flow to the Tensors in `args` (trees of them) and to those that `f` uses besides,
    such as the parameters of a Module. Draws of the default generator are the same again; `f`
    must give the same values each time.

    >>> import numpy as np, retrograd as rg
    >>> x = rg.Tensor([0.0, 1.0], requires_grad=True)
    >>> np.sum(rg.func.checkpoint(lambda x: np.exp(np.sin(x)), x)).backward()
    >>> x.grad.round(3)
    array([1.   , 1.253])
    """
    if not callable(f):
        raise TypeError(f"checkpoint takes a function first, not {f!r}")
    mode = MODE.get()
    if mode.tape is not None or not mode.grad:
        return f(*args, **kwargs)  # nothing is kept anyway
    again = _Again(f, args, kwargs)
    start = core.clock()
    outs, structure = again.run()
    inner, sources = _graph(outs, start)
    if not sources:
        return structure.unflatten(outs)
    again.sources = sources
    # a value that is not of this run's making would be written together with its owner
    again.first = [
        t._data if id(t) in inner and t._data.base is None else t._data.copy() for t in outs
    ]
    results = core.run(RULE, tuple(sources), {"again": again})
    again.first = []
    kept = [t if o.requires_grad else t.detach() for t, o in zip(results, outs, strict=True)]
    return structure.unflatten(kept)


class _Again:
    """A function and its arguments, to be run again with the draws of the first time."""

    def __init__(self, f: Callable[..., Any], args: Any, kwargs: Any) -> None:
        self.f, self.args, self.kwargs = f, args, kwargs
        self.draws = random._default().bit_generator.state
        self.sources: list[Tensor] = []  # what gradients flow to
        self.first: list[Any] = []  # the values of the first time, while they are recorded

    def run(self) -> tuple[list[Tensor], tree.Structure]:
        outs, structure = tree.flatten(self.f(*self.args, **self.kwargs))
        return [t if isinstance(t, Tensor) else Tensor(t) for t in outs], structure

    def repeat(self) -> list[Tensor]:
        bits = random._default().bit_generator
        now, bits.state = bits.state, self.draws
        try:
            with enable_grad():
                return self.run()[0]
        finally:
            bits.state = now


def _graph(outs: Sequence[Tensor], start: int) -> tuple[dict[int, Tensor], list[Tensor]]:
    """Return what was recorded since `start` (by id), and what that was computed from."""
    inner: dict[int, Tensor] = {}
    sources: dict[int, Tensor] = {}
    stack = [t for t in outs if t.requires_grad]
    while stack:
        t = stack.pop()
        if t.rule is None or t.order < start:
            sources[id(t)] = t
        elif id(t) not in inner:
            inner[id(t)] = t
            stack += [a for a in t.inputs if isinstance(a, Tensor) and a.requires_grad]
    return inner, list(sources.values())


def _gradients(g: Sequence[Any], sources: Sequence[Tensor], again: _Again, lift: bool) -> list[Any]:
    """Return the gradients of the sources, from a new run of the function."""
    start = core.clock()
    outs = again.repeat()
    inner, found = _graph(outs, start)
    walk = ReversePass(True, lift, {*inner.values(), *found}, set(found))
    token = MODE.set(Mode(lift))
    try:
        pairs = [(t, part) for t, part in zip(outs, g, strict=True) if t.requires_grad]
        # views: the walk must not write into what others hold
        walk.run((t for t, _ in pairs), (part if lift else part.view() for _, part in pairs))
    finally:
        MODE.reset(token)
    gradients = []
    for t in sources:
        gradient = walk.found[t] if t in walk.found else np.zeros(t.shape, t.dtype)
        # a view: the engine must not write into what this walk holds
        gradients.append(gradient if isinstance(gradient, Tensor) else gradient.view())
    return gradients


def recomputed(*sources: Any, again: _Again) -> Any:
    """Return what the function gave the first time."""
    return tuple(again.first)


class _Together(Sequence[Vjp]):
    """The vjps of `recomputed`: the function runs once a visit and serves all of them."""

    def __getitem__(self, position: Any) -> Any:
        return next(itertools.islice(iter(self), position, None))

    def __len__(self) -> int:
        return 1 << 30

    def __iter__(self) -> Iterator[Vjp]:
        known: list[list[Any]] = []

        def at(position: int) -> Vjp:
            def vjp(g: Any, out: Any, *arrays: Any, again: _Again) -> Any:
                if not known:
                    lift = isinstance(out[0], Tensor)
                    parts = [wrap(p) if lift and not isinstance(p, Tensor) else p for p in g]
                    known.append(_gradients(parts, again.sources, again, lift))
                return known[0][position]

            return vjp

        return (at(position) for position in itertools.count())


RULE = Rule(recomputed, [lambda g, out, *sources, again: g])
RULE.vjps, RULE.arrays, RULE.multi = _Together(), 0, True
