"""NumPy's two protocols: what happens when a user calls `np.f(t)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from retrograd.engine.mode import MODE, escape, is_recording
from retrograd.engine.rule import (
    ADAPTED,
    COMPOSED,
    METADATA,
    REFUSED,
    RULES,
    VALUES,
    Rule,
    bind,
    load_rules,
    no_out,
    spelled,
    writes_out,
)
from retrograd.engine.tensor import Tensor, connect, plain, run


def call_numpy(fn: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """Answer `fn(*args, **kwargs)` as a user wrote it, some argument being a Tensor.

    The tables of `rule` are asked in turn: functions that call others, functions that tell of an
    array, functions with a rule. Then the rules that are not loaded yet are, and all is asked anew.
    """
    # both run on Tensors; that a table names its functions rightly matters to readers alone
    answer = ADAPTED.get(fn) or COMPOSED.get(fn)
    if answer is not None:
        if writes_out(fn, args, kwargs):
            raise TypeError(no_out(spelled(fn)))
        kwargs.pop("out", None)
        return answer(*args, **kwargs)
    if fn in METADATA or fn in VALUES:
        if fn in VALUES and is_recording():
            escape(spelled(fn))
        return fn(*(plain(a) for a in args), **{k: plain(v) for k, v in kwargs.items()})
    rule = RULES.get(fn)
    if rule is not None:
        args, kwargs = bind(rule, args, kwargs)
        if not rule.differentiable:
            # Nothing is lost where Tensors in lists become arrays here. Where there is a gradient,
            # a list is an array of numbers, and a Tensor in it is refused when it is made.
            args = [plain(a) if isinstance(a, (list, tuple)) else a for a in args]
            kwargs = {k: plain(v) for k, v in kwargs.items()}
        elif kwargs:
            kwargs = {k: _constant(rule, k, v) for k, v in kwargs.items()}
        return run(rule, tuple(args), kwargs)
    if load_rules():
        return call_numpy(fn, args, kwargs)
    name = spelled(fn)
    if fn in REFUSED:
        raise TypeError(f"{name} of a Tensor is not possible: {REFUSED[fn]}")
    raise TypeError(
        f"{name} has no gradient rule. For the values alone write {name}(t.data). "
        "To give it a rule:\n"
        "    @rg.primitive\n"
        "    def f(x):\n"
        f"        return {name}(x)\n"
        "    rg.defvjp(f, lambda g, out, x: g * ...)  # ... in NumPy calls\n"
        "    f(t)"
    )


def _constant(rule: Rule, name: str, value: Any) -> Any:
    """Return a keyword's value, a Tensor's as an array; TypeError if it wants a gradient.

    In a recording a Tensor there is refused: a program would keep its value for ever.
    """
    if isinstance(value, Tensor):
        mode = MODE.get()
        if value.requires_grad and mode.grad:
            raise TypeError(
                f"{name}= of {rule.name} has no gradient: pass {name}=t.detach() to go without"
            )
        if mode.records:
            escape(f"a Tensor as {name}= of {rule.name}", value)
        return value._array
    return value


connect(answer=call_numpy)
