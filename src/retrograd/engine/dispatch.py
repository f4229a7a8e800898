"""NumPy's two protocols: what happens when a user calls `np.f(t)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd.engine.mode import current_mode, escape, is_recording
from retrograd.engine.rule import (
    ADAPTED,
    COMPOSED,
    METADATA,
    RULES,
    UFUNC_METHODS,
    VALUES,
    Rule,
    bind,
    load_rules,
    no_out,
    remedy_for,
    spelled,
    target_of_write,
)
from retrograd.engine.tensor import (
    Tensor,
    connect,
    holds_gradients,
    holds_tensors,
    plain,
    run,
)


def call_numpy(fn: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """Answer `fn(*args, **kwargs)` as a user wrote it, some argument being a Tensor.

    The tables of `rule` are asked in turn: functions that call others, functions that tell of an
    array, functions with a rule. Then the rules that are not loaded yet are, and all is asked anew.
    What none of them can answer is left to NumPy, if no gradient is lost by that.
    """
    # both run on Tensors; that a table names its functions rightly matters to readers alone
    answer = ADAPTED.get(fn) or COMPOSED.get(fn)
    if answer is not None:
        if target_of_write(fn, args, kwargs) is not None:
            return leave_to_numpy(fn, args, kwargs, no_out(spelled(fn)))
        kwargs.pop("out", None)
        return answer(*args, **kwargs)
    if fn in METADATA or fn in VALUES:
        if fn in VALUES and is_recording():
            escape(spelled(fn))
        return fn(*(plain(a) for a in args), **{k: plain(v) for k, v in kwargs.items()})
    rule = RULES.get(fn)
    if rule is not None:
        writes = kwargs or len(args) > rule.arrays
        if writes and target_of_write(fn, args, kwargs) is not None:
            return leave_to_numpy(fn, args, kwargs, no_out(rule.title))
        try:
            args, kwargs = bind(rule, args, kwargs)
        except TypeError as error:
            return leave_to_numpy(fn, args, kwargs, str(error))
        if rule.differentiable:
            kwargs = {k: _constant(rule, k, v) for k, v in kwargs.items()}
        else:  # nothing is lost where a Tensor is no array of the rule
            kwargs = {k: plain(v) for k, v in kwargs.items()}
        return run(rule, tuple(args), kwargs)
    if load_rules():
        return call_numpy(fn, args, kwargs)
    name = spelled(fn)
    if remedy := remedy_for(fn):
        why = f"{name} of a Tensor is not possible: {remedy}"
    else:
        why = (
            f"{name} has no gradient rule. For the values alone write {name}(t.data). "
            "To give it a rule:\n"
            "    @rg.primitive\n"
            "    def f(x):\n"
            f"        return {name}(x)\n"
            "    rg.defvjp(f, lambda g, out, x: g * ...)  # ... in NumPy calls\n"
            "    f(t)"
        )
    return leave_to_numpy(fn, args, kwargs, why)


def call_method(ufunc: np.ufunc, method: str, args: Any, kwargs: dict[str, Any]) -> Any:
    """Answer a call of a method of a ufunc, such as `np.add.reduce(t)`, as `call_numpy` does."""
    fn = getattr(ufunc, method)
    answer = UFUNC_METHODS.get((ufunc, method))
    if answer is None and load_rules():
        return call_method(ufunc, method, args, kwargs)
    if answer is None:
        instead = "t.detach() for the values alone"
        if method == "at":
            instead = f"np.add.at(t, indices, values) to add up by index, {instead}"
        why = f"{spelled(fn)} of a Tensor has no gradient rule: write {instead}"
        return leave_to_numpy(fn, args, kwargs, why)
    if kwargs.get("out") is not None:
        return leave_to_numpy(fn, args, kwargs, no_out(spelled(fn)))
    return answer(*args, **kwargs)


def leave_to_numpy(fn: Callable[..., Any], args: Any, kwargs: dict[str, Any], why: str) -> Any:
    """Call a function on the arrays of Tensors, and return what it returns.

    Raises TypeError, with the message `why`, where a gradient would be lost, a program could not do
    it again, or a Tensor would be written into.
    """
    mode, given = current_mode(), [*args, *kwargs.values()]
    loses = mode.grad and holds_gradients(given)
    # no argument is a Tensor where one was given as like=
    no_arrays = not holds_tensors(given) or holds_tensors(target_of_write(fn, args, kwargs))
    if loses or no_arrays or mode.records:
        raise TypeError(why)
    return fn(*(plain(a) for a in args), **{k: plain(v) for k, v in kwargs.items()})


def _constant(rule: Rule, name: str, value: Any) -> Any:
    """Return a keyword's value, a Tensor's as an array; TypeError if it wants a gradient.

    In a recording a Tensor there is refused: a program would keep its value for ever.
    """
    if isinstance(value, Tensor):
        mode = current_mode()
        if value.requires_grad and mode.grad:
            raise TypeError(
                f"{name}= of {rule.title} has no gradient: pass {name}=t.detach() to go without"
            )
        if mode.records:
            escape(f"a Tensor as {name}= of {rule.title}", value)
        return value._array
    return value


connect(answer=call_numpy, answer_method=call_method)
