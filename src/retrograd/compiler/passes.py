"""Passes over calls: each returns fewer that compute the same, and leaves those it took as is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from retrograd.compiler.ir import Call, Flow, Program, Var
from retrograd.compiler.live import Live
from retrograd.compiler.names import merge, name_assigned
from retrograd.compiler.spelling import is_sized_by_mask
from retrograd.compiler.stacking import products_at_once, sums_at_once
from retrograd.engine import RULES, Array, astype

Calls = Sequence[Call]
Replaced = dict[Var, Var]


def optimise(program: Program, constants: Collection[Var] = ()) -> Program:
    """Return a program with fewer calls, which computes the same.

    Args:
        program: a program as recorded.
        constants: those of its arrays from outside that are known never to change.
    """
    return stack(simplify(program, constants))


def simplify(program: Program, constants: Collection[Var] = ()) -> Program:
    """Return a program without what is computed in vain, twice or of constants: for `stack`.

    Args:
        program: a program as recorded.
        constants: those of its arrays from outside that are known never to change.
    """
    written = {v for call in program.calls if call.kind == "write" for v in call.outs}
    fresh = {v: _copy(v, program.initial[v]) for v in constants if v in written}
    replaced: Replaced = {v: v.constant() for v in constants}
    replaced |= {v: call.outs[0] for v, call in fresh.items()}
    calls = [*fresh.values(), *substitute(program.calls, replaced)]
    became = [*replaced.items()]
    wanted = {v: replaced.get(v, v) for v in program.wanted()}
    calls = _repeat(calls, wanted, became)
    names = name_assigned(merge(program.names, became), program.calls)
    names = merge(names, [pair for pair in became if pair[1].kind == "const"])
    return replace(program.with_calls(calls, wanted), names=names)


def stack(program: Program) -> Program:
    """Return a program that computes many sums and products at once: for speed alone."""
    wanted = {v: v for v in program.wanted()}
    calls = products_at_once(sums_at_once(program.calls, wanted.values()))
    became: list[tuple[Var, Var]] = []
    calls = _repeat(calls, wanted, became)
    return replace(program.with_calls(calls, wanted), names=merge(program.names, became))


def _repeat(calls: Calls, wanted: Replaced, became: list[tuple[Var, Var]]) -> list[Call]:
    """Shorten calls until nothing changes, and note what became of what."""
    before = -1
    while len(calls) != before:
        before = len(calls)
        calls, replaced = shorten(calls)
        became += replaced.items()
        wanted.update({v: replaced.get(now, now) for v, now in wanted.items()})
        calls = prune(calls, wanted.values())
    return [*calls]


def _copy(var: Var, initial: Array) -> Call:
    """Return the call that begins a run with what a run has made without a recorded call.

    Such an array is written into, so that it cannot be a constant itself.
    """
    made = Var("made", np.copy(initial), None, var.stem)
    rule = RULES.get(np.copy)
    return Call("call", np.copy, (var.constant(initial),), {}, (made,), rule=rule)


def substitute(calls: Calls, replaced: Replaced) -> list[Call]:
    """Return the calls with other Vars in the place of some."""
    if not replaced:
        return [*calls]

    def now(value: Any) -> Any:
        return replaced.get(value, value) if isinstance(value, Var) else value

    changed = []
    for call in calls:
        args, kwargs = call.change(now)
        outs = tuple(map(now, call.outs)) if call.kind == "write" else call.outs
        changed.append(replace(call, args=args, kwargs=kwargs, outs=outs))
    return changed


def prune(calls: Calls, results: Iterable[Var]) -> list[Call]:
    """Drop calls that nothing uses, but no draws, no acts, nor sizes that values decide.

    A function may have asked for such a size: another one is found by the call that has it.
    """
    flow = Flow(calls)
    needed = set(results)
    used = {flow.memory(v) for v in needed}  # so that what writes into it through any view is kept
    used |= {flow.memory(v) for call in calls for v in call.vars() if v.kind != "made"}
    kept = []
    for call in reversed(calls):
        if (
            call.kind == "draw"
            or call.acts
            or (call.kind == "write" and flow.memory(call.outs[0]) in used)
            or (call.kind == "call" and not needed.isdisjoint(call.outs))
            or (call.kind == "call" and is_sized_by_mask(call))
        ):
            kept.append(call)
            taken = call.vars()
            needed.update(taken)
            used.update(map(flow.memory, taken))
    return kept[::-1]


def shorten(calls: Calls) -> tuple[list[Call], Replaced]:
    """Compute constants, merge equal calls, leave out what gives back an argument.

    Memory that is written stays apart. Also return what became of what.
    """
    written = Flow(calls).writes(calls)
    flow = Flow()
    versions: Counter[Any] = Counter()
    seen: dict[Any, tuple[Var, ...]] = {}
    replaced: Replaced = {}
    kept: list[Call] = []

    def now(value: Any) -> Any:
        return replaced.get(value, value) if isinstance(value, Var) else value

    def key(value: Any) -> Any:
        if isinstance(value, Var):
            return id(value), versions[flow.memory(value)]
        return type(value), value.formula if isinstance(value, Live) else value

    for call in calls:
        if replaced and any(v in replaced for v in call.vars()):
            (call,) = substitute((call,), replaced)
        flow.add(call)
        if call.kind == "call" and not call.acts:
            apart = bool(written) and any(flow.memory(v) in written for v in call.outs)
            constant = all(v.kind == "const" for v in call.vars()) and not call.vars(Live)
            same: tuple[Var, ...] | None = None
            if not apart:
                same = compute(call) if constant else find_same_argument(call, flow, written)
            if same is None and (call.view_of is not None or not apart):
                same = seen.setdefault((call.fn, repr(call.change(key))), call.outs)
            if same is not None and same is not call.outs:
                replaced.update(zip(call.outs, same, strict=True))
                continue
        elif call.kind == "write":
            versions[flow.memory(call.outs[0])] += 1
        kept.append(call)
    return kept, replaced


def compute(call: Call) -> tuple[Var, ...]:
    """Return what a call of constants gives, as constants."""
    args, kwargs = call.change(lambda v: v.array if isinstance(v, Var) else v)
    out = (call.rule.run if call.rule else call.fn)(*args, **kwargs)
    several = len(call.outs) > 1 or isinstance(out, tuple)
    values = out if several else [out]
    return tuple(v.constant(np.asarray(x)) for v, x in zip(call.outs, values, strict=True))


def find_same_argument(call: Call, flow: Flow, written: Collection[Any]) -> tuple[Var] | None:
    """Return the argument that a call gives back."""
    x, y = (*call.args, None, None)[:2]
    if call.fn is np.multiply and _is_one(x):
        x, y = y, x
    if call.fn is np.negative and (inner := flow.maker(x)) and inner.fn is np.negative:
        x = inner.args[0]
    elif call.fn in (np.multiply, np.divide):
        x = x if _is_one(y) else None
    elif call.fn not in (np.copy, astype, np.positive):
        return None
    if not isinstance(x, Var) or flow.memory(x) in written:
        return None
    return (x,) if x.layout_is(call.outs[0]) else None


def _is_one(value: Any) -> bool:
    if isinstance(value, Var):
        return value.kind == "const" and value.size > 0 and bool((value.array == 1).all())
    return isinstance(value, (int, float)) and value == 1
