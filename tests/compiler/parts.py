"""What the tests of the compiler share."""

from __future__ import annotations

import dataclasses

import numpy as np

import retrograd as rg
from retrograd.compiler.ir import Call, Names, Program, Var, apply
from retrograd.compiler.live import Live
from retrograd.compiler.names import stem_of
from retrograd.engine import RULES
from retrograd.lines import NOWHERE

# Small programs, written out by hand


def argument(*shape, dtype=float):
    return Var("arg", np.empty(shape, dtype), stem="x")


def constant(value):
    return Var("const", np.asarray(value), stem="constant")


def outside(*shape):
    return Var("captured", np.arange(float(np.prod(shape))).reshape(shape), stem="w")


def call(fn, *args, section="forward", line=NOWHERE, **kwargs):
    """Return a call of a function, with an output of the layout that NumPy gives it."""

    def example(value):
        if isinstance(value, Var):
            return value.example() if value.array is None else value.array
        return value.value if isinstance(value, Live) else value

    out = np.asarray(fn(*apply(example, args), **kwargs))
    view_of = 0 if out.base is not None and isinstance(args[0], Var) else None
    made = Call("call", fn, args, kwargs, (), section, line, RULES.get(fn), view_of)
    return dataclasses.replace(made, outs=(Var("made", out, stem=stem_of(made)),))


def write(ufunc, target, other):
    return Call("write", ufunc, (target, other), {}, (target,))


def program(args, calls, *results, **more):
    names = Names({v: "xyz"[i] for i, v in enumerate(args)}, {})
    return Program(args=tuple(args), calls=tuple(calls), results=results, names=names, **more)


def listing(calls, *known):
    """Return calls as text: `known` are x, y, z, all other Vars a, b, c as they come."""
    names = dict(zip(known, "xyz", strict=False))

    def name(value):
        if not isinstance(value, Var):
            return repr(value) if not isinstance(value, slice) else f"{value.start}:{value.stop}"
        if value.kind == "const":
            return f"{value.array.tolist()}"
        return names.setdefault(value, "abcdefghijklmnopqrstuvw"[len(names) - len(known)])

    lines = []
    for c in calls:
        args = [name(a) for a in c.args] + [f"{k}={name(v)}" for k, v in c.kwargs.items()]
        text = f"{c.fn.__name__}({', '.join(args)})"
        lines.append(text if c.kind == "write" else f"{name(c.outs[0])} = {text}")
    return lines


def assert_seen_at_once(fn, change, x, calls=5):
    """Check that a compiled function is `fn` before and after a change outside, at every call."""
    compiled = rg.compile(fn)
    for _ in range(calls):
        np.testing.assert_array_equal(compiled(x).data, fn(rg.Tensor(x)).data)
    before = fn(rg.Tensor(x))
    change()
    after = fn(rg.Tensor(x))
    assert before.dtype != after.dtype or not np.array_equal(before.data, after.data)
    for _ in range(5):
        np.testing.assert_array_equal(compiled(x).data, after.data)
    assert len(compiled.programs) <= 2
