"""Updates of single parameters, where an optimizer updates many as one array."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from retrograd.compiler.ir import Call, Flow, Names, Program, Var
from retrograd.compiler.passes import prune
from retrograd.compiler.readable.tidy import made
from retrograd.engine import Array, Tensor, astype
from retrograd.optim.buckets import cut
from retrograd.rules.joining import concat

_ELEMENTWISE = (np.where, np.clip, np.copy, astype)


def split_buckets(program: Program) -> Program:
    """Return the program with the updates of each bucket parameter by parameter."""
    names = program.names
    wishes = {**names.wishes}
    calls = list(program.calls)
    known = {id(v.array): v for call in calls for v in call.vars() if v.kind == "captured"}
    seen: set[int] = set()
    for _, bucket in program.updates:
        if id(bucket) in seen:
            continue
        seen.add(id(bucket))
        params = [_parameter(p, known) for p in bucket.params]
        slots = {slot: a for slot, a in bucket.state.items() if id(a) in known}
        if len(params) == 1:
            for slot, array in slots.items():
                name = wishes.get(params[0])
                wishes[known[id(array)]] = f"{name}_{slot}" if name else slot
            continue
        if id(bucket.data) not in known or bucket.dtype != bucket.data.dtype:
            continue
        parts = {known[id(bucket.data)]: params}
        for slot, array in slots.items():
            if array.shape == bucket.data.shape:
                pieces = zip(params, cut(array, bucket.params), strict=True)
                parts[known[id(array)]] = made_of = []
                for p, piece in pieces:
                    state = Var("captured", piece, stem=slot)
                    name = wishes.get(p)
                    wishes[state] = f"{name}_{slot}" if name else slot
                    made_of.append(state)
        new = _Split(parts, bucket.data.shape, len(params)).run(calls)
        if new is not None:
            calls = new
    wanted = program.wanted()
    return replace(
        program, calls=tuple(prune(calls, wanted)), names=Names(wishes, names.gradient_of)
    )


def _parameter(p: Tensor, known: dict[int, Var]) -> Var:
    """Return the Var of a parameter, a new one if no call reads it."""
    array: Array = p._array
    if id(array) not in known:
        known[id(array)] = Var("captured", array, p)
    return known[id(array)]


class _Split:
    """The calls of one bucket, split.

    Args:
        parts: for each array of the bucket those of the parameters; grows by what calls make.
        shape: the shape of the bucket's array.
        count: how many parameters it has.
    """

    def __init__(self, parts: dict[Var, list[Var]], shape: tuple[int, ...], count: int) -> None:
        self.parts = parts
        self.shape = shape
        self.count = count
        self.of = next(iter(parts.values()))

    def run(self, calls: list[Call]) -> list[Call] | None:
        """Return the calls with those of the bucket split, or None if one cannot be."""
        new: list[list[Call] | Call] = []
        for call in calls:
            if self._joins(call):
                self.parts[call.outs[0]] = [*call.args]
                new.append(call)  # if anybody else uses it, it stays
            elif any(v in self.parts for v in call.vars()):
                split = self._split(call)
                if split is None:
                    return None
                new.append(split)
            else:
                new.append(call)
        return [*self._by_parameter(new, calls)]

    def _joins(self, call: Call) -> bool:
        if call.fn is not concat or call.kwargs.get("axis", 0) is not None:
            return False
        shapes = [a.shape if isinstance(a, Var) else None for a in call.args]
        return shapes == [p.shape for p in self.of] and call.outs[0].shape == self.shape

    def _split(self, call: Call) -> list[Call] | None:
        """Return a call for each parameter."""
        elementwise = isinstance(call.fn, np.ufunc) or call.fn in _ELEMENTWISE
        if not elementwise or call.kind == "draw" or len(call.outs) > 1:
            return None
        whole = [v for v in call.vars() if v not in self.parts]
        if call.outs[0].shape != self.shape or any(v.size != 1 or v.ndim for v in whole):
            return None
        split = []
        outs = self.parts.get(call.outs[0])
        if outs is None:
            if call.kind == "write":
                return None
            out = call.outs[0]
            outs = self.parts[out] = [made(p.shape, out.dtype, out.stem) for p in self.of]
        for k, out in enumerate(outs):
            args, kwargs = call.change(functools.partial(self._part, k))
            split.append(replace(call, args=args, kwargs=kwargs, outs=(out,)))
        return split

    def _part(self, k: int, value: Any) -> Any:
        """Return what stands for an argument in the update of one parameter."""
        return self.parts[value][k] if isinstance(value, Var) and value in self.parts else value

    def _by_parameter(self, new: list[list[Call] | Call], calls: list[Call]) -> Iterable[Call]:
        """Yield all that is done to one parameter, then all that is done to the next."""
        places = [i for i, found in enumerate(new) if isinstance(found, list)]
        if not places:
            return [c for c in new if isinstance(c, Call)]
        first, last = places[0], places[-1]
        between = [c for c in new[first:last] if isinstance(c, Call)]
        flow = Flow(calls)
        changed: set[Any] = set()
        for found in reversed(new[first:last]):
            for c in found if isinstance(found, list) else [found]:
                if isinstance(found, Call) and c.kind != "call":
                    changed |= {flow.memory(v) for v in c.outs}
                elif isinstance(found, list) and any(flow.memory(v) in changed for v in c.vars()):
                    # a number that all parameters share changes after it was used
                    return [
                        c for found in new for c in (found if isinstance(found, list) else [found])
                    ]
        middle = [new[i] for i in places]
        ordered = [found[k] for k in range(self.count) for found in middle]  # type: ignore[index]
        before = [c for c in new[:first] if isinstance(c, Call)]
        after = [c for c in new[last + 1 :] if isinstance(c, Call)]
        return [*before, *between, *ordered, *after]
