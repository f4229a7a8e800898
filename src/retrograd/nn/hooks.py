"""Hooks of Modules: functions called around `forward`, and when gradients are known."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from retrograd.autograd import Function
from retrograd.engine import Handle, Tensor, as_array, current_mode, escape, wrap

if TYPE_CHECKING:
    from retrograd.nn.module import Module

Hook = Callable[..., Any]
# the hooks of each moment ("before" and "after" forward, and "backward"), in order of registration
Hooks = dict[str, dict[int, Hook]]

_numbers = itertools.count()


def add_hook(module: Module, moment: str, hook: Hook) -> Handle:
    """Give a Module one more hook.

    Args:
        module: the Module.
        moment: when it is called: "before" or "after" `forward`, or "backward".
        hook: the function.

    Returns:
        What takes it off again.

    Raises:
        TypeError: if the hook cannot be called.
    """
    if not callable(hook):
        raise TypeError(f"a hook is a function, not {hook!r}")
    number = next(_numbers)
    hooks = module._hooks or {"before": {}, "after": {}, "backward": {}}
    # A new dict rather than the old one changed: compiled programs look whether it is the one that
    # they were recorded with.
    module._hooks = {**hooks, moment: {**hooks[moment], number: hook}}
    module._direct = False
    return Handle(lambda: _remove_hook(module, number))


def _remove_hook(module: Module, number: int) -> None:
    hooks = module._hooks or {}
    if not any(number in each for each in hooks.values()):
        return
    left = {
        moment: {n: hook for n, hook in each.items() if n != number}
        for moment, each in hooks.items()
    }
    if any(left.values()):
        module._hooks = left
    else:
        # What the class says shows again, so that calls go straight to `forward` as before.
        del module._hooks, module._direct


def call_with_hooks(
    module: Module, hooks: Hooks, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Return what a Module gives for some arguments with its hooks called around `forward`."""
    before, after, backward = (tuple(each.values()) for each in hooks.values())
    for hook in before:
        args = _answer_or(args, hook(module, args))
    if not backward:
        return _call_after(module, after, args, module.forward(*args, **kwargs))

    output_grads: tuple[Any, ...] = ()

    def on_input(grads: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in backward:
            grads = _answer_or(grads, hook(module, grads, output_grads))
        return grads

    def on_output(grads: tuple[Any, ...]) -> tuple[Any, ...]:
        nonlocal output_grads
        output_grads = grads
        if inputs is args:  # no input has a gradient that could be waited for
            on_input((None,) * len(args))
        return grads

    inputs = _watch(args, on_input)
    out = _call_after(module, after, args, module.forward(*inputs, **kwargs))
    if isinstance(out, tuple):
        return _watch(out, on_output)
    return _watch((out,), on_output)[0]


def _call_after(module: Module, hooks: tuple[Hook, ...], args: tuple[Any, ...], out: Any) -> Any:
    """Return an output, or what the hooks that see it put in its place."""
    for hook in hooks:
        answer = hook(module, args, out)
        if answer is not None:
            out = answer
    return out


def _answer_or(values: tuple[Any, ...], answer: Any) -> tuple[Any, ...]:
    """Return the values that a hook got, or what it answered if it answered anything."""
    if answer is None:
        return values
    return answer if isinstance(answer, tuple) else (answer,)


class _Tap(Function):
    """The identity on some arrays, whose gradients a function sees together and may replace."""

    @staticmethod
    def forward(ctx: Any, on_grads: Hook, *arrays: Any) -> Any:
        ctx.on_grads = on_grads
        return arrays

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        # Hooks see Tensors, also in a reverse pass that runs on arrays.
        on_tensors = isinstance(grads[0], Tensor)
        answers = ctx.on_grads(grads if on_tensors else [wrap(g) for g in grads])
        return (None, *(answers if on_tensors else map(as_array, answers)))


def _watch(values: tuple[Any, ...], on_grads: Hook) -> tuple[Any, ...]:
    """Return values of which `on_grads` gets the gradients, all together, and may replace them.

    It gets None for what has no gradient. Where none has, the values themselves come back.
    """
    mode = current_mode()
    if mode.records:
        escape("a backward hook")
    places = {i: t for i, t in enumerate(values) if isinstance(t, Tensor) and t.requires_grad}
    if not places or not mode.grad:
        return values

    def pass_on(grads: Any) -> Any:
        by_place = dict(zip(places, grads, strict=True))
        answers = on_grads(tuple(by_place.get(i) for i in range(len(values))))
        return [answers[i] for i in places]

    tapped = dict(zip(places, _Tap.apply(pass_on, *places.values()), strict=True))
    return tuple(tapped.get(i, value) for i, value in enumerate(values))
