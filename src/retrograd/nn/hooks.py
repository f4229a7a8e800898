"""Hooks of Modules: calls before and after `forward`, and when gradients are known."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from retrograd.core import Tensor, record, wrap
from retrograd.mode import MODE
from retrograd.registry import RULES, Vjp, defvjp_each


class Handle:
    """What registering a hook returns: `remove()` takes the hook off again."""

    def __init__(self, hooks: dict[int, Callable[..., Any]], key: int) -> None:
        self._hooks, self._key = hooks, key

    def remove(self) -> None:
        """Take the hook off; a second time does nothing."""
        self._hooks.pop(self._key, None)


class Hooks:
    """The hooks of one Module, each kind in order of registration."""

    def __init__(self) -> None:
        self.count = itertools.count()
        self.kinds: dict[str, dict[int, Callable[..., Any]]] = {
            "before": {}, "after": {}, "backward": {},
        }  # fmt: skip

    def add(self, kind: str, hook: Callable[..., Any]) -> Handle:
        """Register a hook of one kind."""
        if not callable(hook):
            raise TypeError(f"a hook is a function, not {hook!r}")
        key = next(self.count)
        self.kinds[kind][key] = hook
        return Handle(self.kinds[kind], key)

    def call(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the Module with its hooks around it."""
        before, after, backward = (tuple(self.kinds[k].values()) for k in self.kinds)
        for hook in before:
            changed = hook(module, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        watch = None
        if backward:
            watch = _Watch(module, backward)
            args = watch.inputs(args)
        out = module.forward(*args, **kwargs)
        for hook in after:
            changed = hook(module, args, out)
            if changed is not None:
                out = changed
        return out if watch is None else watch.outputs(out)


class _Watch:
    """Catches the gradients on both sides of one call of a Module."""

    def __init__(self, module: Any, hooks: tuple[Callable[..., Any], ...]) -> None:
        if (tape := MODE.get().tape) is not None:
            tape.forbid("a backward hook")
        self.module, self.hooks = module, hooks
        self.grad_output: tuple[Any, ...] = ()
        self.arity, self.watched = 0, False

    def inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        at = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]
        self.arity, self.watched = len(args), bool(at) and MODE.get().grad
        if not self.watched:
            return args

        def seen(grads: tuple[Any, ...]) -> tuple[Any, ...]:
            full: list[Any] = [None] * len(args)
            for i, g in zip(at, grads, strict=True):
                full[i] = g
            changed = self.call(tuple(full))
            return grads if changed is None else tuple(changed[i] for i in at)

        passed = list(args)
        for i, t in zip(at, record(tap, *(args[i] for i in at), seen=seen), strict=True):
            passed[i] = t
        return tuple(passed)

    def outputs(self, out: Any) -> Any:
        outs = out if isinstance(out, tuple) else (out,)
        at = [i for i, t in enumerate(outs) if isinstance(t, Tensor) and t.requires_grad]
        if not at:
            return out

        def seen(grads: tuple[Any, ...]) -> tuple[Any, ...]:
            full: list[Any] = [None] * len(outs)
            for i, g in zip(at, grads, strict=True):
                full[i] = g
            self.grad_output = tuple(full)
            if not self.watched:
                self.call((None,) * self.arity)
            return grads

        passed = list(outs)
        for i, t in zip(at, record(tap, *(outs[i] for i in at), seen=seen), strict=True):
            passed[i] = t
        return tuple(passed) if isinstance(out, tuple) else passed[0]

    def call(self, grad_input: tuple[Any, ...]) -> tuple[Any, ...] | None:
        answer = None
        for hook in self.hooks:
            changed = hook(self.module, grad_input, self.grad_output)
            if changed is not None:
                grad_input = answer = changed if isinstance(changed, tuple) else (changed,)
        return answer


def tap(*arrays: Any, seen: Callable[..., Any]) -> Any:
    """Return the arrays; on the way back `seen` gets all their gradients and returns others."""
    return tuple(np.copy(a) for a in arrays)


class _Once(Sequence[Vjp]):
    """The vjps of `tap`: the first one of a visit calls `seen`, the others use what it gave."""

    def __getitem__(self, position: Any) -> Any:
        raise NotImplementedError

    def __len__(self) -> int:
        return 1 << 30

    def __iter__(self) -> Iterator[Vjp]:
        given: list[tuple[Any, ...]] = []

        def vjp(position: int) -> Vjp:
            def run(g: Any, out: Any, *arrays: Any, seen: Callable[..., Any]) -> Any:
                if not given:
                    lifted = isinstance(g[0], Tensor)
                    found = seen(g if lifted else tuple(wrap(part) for part in g))
                    given.append(tuple(t if lifted else t._data for t in found))
                return given[0][position]

            return run

        return (vjp(i) for i in itertools.count())


defvjp_each(tap, lambda position, g, out, *arrays, seen: g[position])
RULES[tap].vjps, RULES[tap].multi = _Once(), True
