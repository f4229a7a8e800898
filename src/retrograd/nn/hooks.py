"""What looks into a Module: hooks before and after `forward` and on gradients, the summary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from retrograd.core import Tensor, as_array, wrap
from retrograd.function import Function
from retrograd.mode import MODE, no_grad
from retrograd.nn.module import Module

Hook = Callable[..., Any]


class Handle:
    """What registering a hook returns: `remove()` takes the hook off again."""

    def __init__(self, hooks: dict[Handle, Hook]) -> None:
        self._hooks = hooks

    def remove(self) -> None:
        """Take the hook off; a second time does nothing."""
        self._hooks.pop(self, None)


class Hooks:
    """The hooks of one Module, each kind in order of registration."""

    def __init__(self) -> None:
        self.kinds: dict[str, dict[Handle, Hook]] = {"before": {}, "after": {}, "backward": {}}

    def add(self, kind: str, hook: Hook) -> Handle:
        """Register a hook of one kind."""
        if not callable(hook):
            raise TypeError(f"a hook is a function, not {hook!r}")
        handle = Handle(self.kinds[kind])
        self.kinds[kind][handle] = hook
        return handle

    def call(self, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the Module with its hooks around it."""
        before, after, backward = (tuple(hooks.values()) for hooks in self.kinds.values())
        for hook in before:
            args = _changed(args, hook(module, args))
        given: tuple[Any, ...] = ()  # the gradients of the outputs

        def on_input(grads: tuple[Any, ...]) -> tuple[Any, ...]:
            for hook in backward:
                grads = _changed(grads, hook(module, grads, given))
            return grads

        def on_output(grads: tuple[Any, ...]) -> tuple[Any, ...]:
            nonlocal given
            given = grads
            if watched is args:
                on_input((None,) * len(args))
            return grads

        watched = _watched(args, on_input) if backward else args
        out = module.forward(*watched, **kwargs)
        for hook in after:
            changed = hook(module, args, out)
            out = out if changed is None else changed
        if not backward:
            return out
        return (
            _watched(out, on_output) if isinstance(out, tuple) else _watched((out,), on_output)[0]
        )


def _changed(values: tuple[Any, ...], answer: Any) -> tuple[Any, ...]:
    """Return what a hook answered in place of the values, as a tuple."""
    if answer is None:
        return values
    return answer if isinstance(answer, tuple) else (answer,)


class _Tap(Function):
    @staticmethod
    def forward(ctx: Any, seen: Hook, *arrays: Any) -> Any:
        ctx.seen = seen
        return arrays

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        lifted = isinstance(grads[0], Tensor)
        found = ctx.seen(grads if lifted else [wrap(g) for g in grads])
        return (None, *(found if lifted else map(as_array, found)))


def _watched(values: tuple[Any, ...], seen: Hook) -> tuple[Any, ...]:
    """Return the values; on the way back `seen` gets the gradients of all and gives others."""
    mode = MODE.get()
    if mode.tape is not None:
        mode.tape.forbid("a backward hook")
    at = [i for i, t in enumerate(values) if isinstance(t, Tensor) and t.requires_grad]
    if not at or not mode.grad:
        return values

    def pass_on(grads: Any) -> Any:
        by_place = dict(zip(at, grads, strict=True))
        found = seen(tuple(by_place.get(i) for i in range(len(values))))
        return [found[i] for i in at]

    tapped = dict(zip(at, _Tap.apply(pass_on, *(values[i] for i in at)), strict=True))
    return tuple(tapped.get(i, value) for i, value in enumerate(values))


def summary(module: Module, inputs: tuple[Any, ...]) -> str:
    """Return the table of `Module.summary`."""
    shapes = _shapes(module, inputs) if inputs else {}
    rows = [("module", "output" if inputs else "", "parameters")]
    for name, inner in module.named_modules():
        *above, label = name.split(".")
        title = f"{'  ' * (len(above) + 1)}{label}: " if name else ""
        size = sum(p.size for p in inner.parameters())
        rows.append((title + type(inner).__name__, shapes.get(id(inner), ""), str(size)))
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [f"{m:{wide[0]}}  {s:{wide[1]}}  {p:>{wide[2]}}" for m, s, p in rows]
    parameters = list(module.parameters())
    trained = sum(p.size for p in parameters if p.requires_grad)
    size = sum(p.nbytes for p in parameters)
    return "\n".join([*lines, f"{rows[1][2]} parameters, {trained} trained, {size} bytes"])


def _shapes(module: Module, inputs: tuple[Any, ...]) -> dict[int, str]:
    """Run the net once and return what each Module put out, by id."""
    shapes: dict[int, str] = {}

    def note(inner: Module, args: Any, out: Any) -> None:
        while isinstance(out, (tuple, list)):
            out = out[0]
        shapes[id(inner)] = str(out.shape)

    before = [(m, m.training, m.register_forward_hook(note)) for m in module.modules()]
    try:
        with no_grad():
            module.eval()(*inputs)
    finally:
        for inner, training, handle in before:
            inner.training = training
            handle.remove()
    return shapes
