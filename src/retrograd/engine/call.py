"""A recorded call, as those see it who look at a Tensor."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.engine.rule import Rule, defaults


class Call:
    """The call that made a Tensor: `t.call`. Printed, it is the call as one would write it.

    Attributes:
        rule: how the function is run and differentiated: its `fn` is the function that was called.
        inputs: the arguments as they were given, Tensors among them; None once a `backward` has
            freed the graph.
        args: the same arguments as the function got them, arrays in place of Tensors; None too.
        kwargs: the keywords; None too.

    >>> x = rg.Tensor([1.0, 2.0], requires_grad=True)
    >>> (x * 3.0).call
    np.multiply(float64[2], 3.0)
    >>> x.call is None
    True
    """

    __slots__ = ("args", "inputs", "kwargs", "rule")

    def __init__(self, rule: Rule, inputs: Any, args: Any, kwargs: Any) -> None:
        self.rule = rule
        self.inputs = inputs
        self.args = args
        self.kwargs = kwargs

    @property
    def name(self) -> str:
        """The function, as a user writes it.

        >>> np.tanh(rg.Tensor(0.0, requires_grad=True)).call.name
        'np.tanh'
        """
        return self.rule.name

    def __repr__(self) -> str:
        if self.args is None:
            return f"{self.name}(...), freed by backward"
        return describe(self.rule, self.args, told_keywords(self.rule, self.kwargs), self.inputs)


def told_keywords(rule: Rule, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the keywords that are not what the function takes anyhow."""
    own = defaults(rule.fn)
    # NumPy's mark for "not given", where a method gives False or None
    unset = getattr(np, "_NoValue", None)
    return {
        k: v
        for k, v in kwargs.items()
        if not (v is own.get(k, kwargs) or (own.get(k) is unset and (v is None or v is False)))
    }


def describe(rule: Rule, args: Any, kwargs: dict[str, Any], inputs: Any = ()) -> str:
    """Return a call as text, with dtypes and shapes for arrays.

    Args:
        rule: the rule of the function.
        args: its arguments as arrays.
        kwargs: its keywords.
        inputs: its arguments as given, for the names of those that have one.
    """
    names = [getattr(t, "_name", None) for t in inputs] or [None] * len(args)
    shown = [_shown(a) if name is None else name for name, a in zip(names, args, strict=True)]
    shown += [f"{k}={v!r}" for k, v in kwargs.items()]
    return f"{rule.title}({', '.join(shown)})"


def _shown(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{list(value.shape)}"
    if isinstance(value, tuple) and any(isinstance(part, np.ndarray) for part in value):
        return f"({', '.join(map(_shown, value))})"
    return repr(value)
