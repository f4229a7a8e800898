"""`Module`: a part of a net."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from retrograd.autograd import Function
from retrograd.engine import (
    MODE,
    Array,
    Tensor,
    as_array,
    check_floating,
    escape,
    get_default_dtype,
    no_grad,
    tell,
    touch,
    unrecorded,
    wrap,
)
from retrograd.nn.parameter import Parameter

Hook = Callable[..., Any]


class LoadedKeys(NamedTuple):
    """What only one side of `load_state_dict` has."""

    missing_keys: list[str]
    unexpected_keys: list[str]


# how often attributes were set, for compiled programs
changes = [0]


class Module:
    """A part of a net: assign `Parameter`s and `Module`s to attributes, define `forward`.

    >>> class Scale(rg.nn.Module):
    ...     def __init__(self):
    ...         self.factor = rg.nn.Parameter([2.0])
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> Scale()(np.ones(2))
    Tensor([2., 2.], requires_grad=True)
    >>> list(Scale().state_dict())
    ['factor']
    """

    _training = True
    _buffers: Mapping[str, bool] = {}  # whether it is persistent
    _hooks: dict[str, dict[int, Hook]] | None = None  # by moment

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._hooks is None and MODE.get().tell is None:
            return self.forward(*args, **kwargs)
        return self._call(args, kwargs)

    def _call(self, args: Any, kwargs: Any) -> Any:
        if self._hooks is None:
            out = self.forward(*args, **kwargs)
        else:
            out = _hooked(self, args, kwargs)
        tell("module ran", self, out)
        return out

    @property
    def training(self) -> bool:
        """Whether this is training."""
        tell("training read", self)
        return self._training

    @training.setter
    def training(self, mode: bool) -> None:
        self._training = bool(mode)

    def __setattr__(self, name: str, value: Any) -> None:
        held = vars(self).get(name)
        if isinstance(held, Parameter) and not isinstance(value, Parameter | None):
            raise TypeError(
                f"{type(self).__name__}.{name} is a Parameter, a {type(value).__name__} is not "
                f"trained: write .{name}.data = ..., assign an nn.Parameter or delete it"
            )
        if name not in ("training", "_training"):
            changes[0] += 1
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        changes[0] += 1
        super().__delattr__(name)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield the names and Modules among the attributes."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value

    def children(self) -> Iterator[Module]:
        """Yield the Modules among the attributes."""
        return (child for _, child in self.named_children())

    def _paths(self, prefix: str = "", above: tuple[int, ...] = ()) -> Iterator[tuple[str, Module]]:
        yield prefix, self
        above = (*above, id(self))
        for name, child in self.named_children():
            if id(child) not in above:
                yield from child._paths(_dotted(prefix, name), above)

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Yield dotted names and Modules: this one and all inside it, each once."""
        return once(self._paths(prefix))

    def modules(self) -> Iterator[Module]:
        """Yield this Module and all inside, each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """Yield dotted names and Parameters, each once."""
        return once(
            (_dotted(at, name), value)
            for at, module in self.named_modules(prefix)
            for name, value in vars(module).items()
            if isinstance(value, Parameter)
        )

    def parameters(self) -> Iterator[Parameter]:
        """Yield every Parameter inside, each once."""
        return (parameter for _, parameter in self.named_parameters())

    def register_parameter(self, name: str, parameter: Parameter | None) -> None:
        """Set an attribute to a Parameter or None."""
        setattr(self, name, parameter)

    def add_module(self, name: str, module: Module) -> None:
        """Set an attribute to a Module."""
        setattr(self, name, module)

    def register_buffer(self, name: str, array: Any, persistent: bool = True) -> None:
        """Keep a copy of an array; `state_dict` has it if `persistent`."""
        setattr(self, name, None if array is None else as_array(array).copy())
        self._buffers = {**self._buffers, name: persistent}

    def _own_buffers(self) -> Iterator[tuple[str, Array]]:
        for name in self._buffers:
            if (array := getattr(self, name)) is not None:
                yield name, array

    def named_buffers(self, prefix: str = "") -> Iterator[tuple[str, Array]]:
        """Yield dotted names and registered buffers."""
        for at, module in self.named_modules(prefix):
            for name, array in module._own_buffers():
                yield _dotted(at, name), array

    def buffers(self) -> Iterator[Array]:
        """Yield every registered buffer inside."""
        return (array for _, array in self.named_buffers())

    def get_submodule(self, target: str) -> Module:
        """Return the Module of a dotted name; AttributeError if there is none."""
        found = dict(self._paths())
        if target not in found:
            raise AttributeError(f"{type(self).__name__} has no Module {target!r}")
        return found[target]

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call `fn` on every Module, innermost first; returns this one."""
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def to(self, dtype: Any) -> Self:
        """Change Parameters (the same objects), gradients and floating buffers to a dtype.

        >>> rg.nn.Linear(2, 1).to(np.float32).weight.dtype
        dtype('float32')
        """
        check_floating(np.empty(0, dtype))
        for parameter in self.parameters():
            grad, parameter.grad = parameter.grad, None
            parameter.data = as_array(parameter).astype(dtype)
            parameter.grad = None if grad is None else grad.astype(dtype)
        for module in self.modules():
            for name, array in module._own_buffers():
                if array.dtype.kind == "f":
                    setattr(module, name, array.astype(dtype))
        return self

    def float(self) -> Self:
        """Return `to(np.float32)`."""
        return self.to(np.float32)

    def double(self) -> Self:
        """Return `to(np.float64)`."""
        return self.to(np.float64)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Make every Parameter require a gradient or not; returns this one."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def register_forward_pre_hook(self, hook: Hook) -> Handle:
        """Call `hook(module, args)` before `forward`; it may return other args.

        Returns a handle: `remove()` takes the hook off.
        """
        return self._hook("before", hook)

    def register_forward_hook(self, hook: Hook) -> Handle:
        """Call `hook(module, args, output)` after `forward`; it may return another output.

        >>> layer = rg.nn.Linear(3, 2)
        >>> handle = layer.register_forward_hook(lambda module, args, out: print(out.shape))
        >>> _ = layer(np.ones((5, 3)))
        (5, 2)
        """
        return self._hook("after", hook)

    def register_full_backward_hook(self, hook: Hook) -> Handle:
        """Call `hook(module, grad_input, grad_output)` once the gradients of the inputs are known.

        Both are tuples, None for what has no gradient. It may return another `grad_input`. Where
        no input requires grad, the gradients of the outputs suffice.
        """
        return self._hook("backward", hook)

    def _hook(self, moment: str, hook: Hook) -> Handle:
        if not callable(hook):
            raise TypeError(f"a hook is a function, not {hook!r}")
        key, hooks = next(_keys), self._hooks or {"before": {}, "after": {}, "backward": {}}
        # another dict: compiled programs look whether it is the one they know
        self._hooks = {**hooks, moment: {**hooks[moment], key: hook}}
        return Handle(self, key)

    def train(self, mode: bool = True) -> Self:
        """Set every Module inside to `mode`; returns this one."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Set every Module inside to evaluation; returns this one."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Drop all gradients."""
        for parameter in self.parameters():
            parameter.grad = None

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = {}
        for at, module in self._paths():
            for name, value in vars(module).items():
                if isinstance(value, Parameter):
                    state[_dotted(at, name)] = value
            for name, array in module._own_buffers():
                if module._buffers[name]:
                    state[_dotted(at, name)] = array
        return state

    def state_dict(self) -> dict[str, Array]:
        """Return dotted names and copies of parameters and buffers; shared ones have several."""
        return {name: as_array(value).copy() for name, value in self._state().items()}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> LoadedKeys:
        """Write the arrays into the parameters and buffers of the same names.

        Raises RuntimeError, writing nothing, if shapes or (`strict`) names differ.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(
                f"load_state_dict takes a dict of arrays, not {type(state_dict).__name__}"
            )
        unrecorded("load_state_dict")
        own = self._state()
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        arrays = {name: as_array(state_dict[name]) for name in own if name in state_dict}
        differ = {"missing": missing, "unexpected": unexpected} if strict else {}
        problems = [f"{what}: {', '.join(names)}" for what, names in differ.items() if names]
        problems += [
            f"shape of {name}: here {own[name].shape}, there {array.shape}"
            for name, array in arrays.items()
            if array.shape != own[name].shape
        ]
        if problems:
            raise RuntimeError(
                "\n  ".join([f"the state_dict does not fit {type(self).__name__}:", *problems])
            )
        for name, array in arrays.items():
            as_array(own[name])[...] = array
            if isinstance(own[name], Tensor):
                touch(own[name])
        return LoadedKeys(missing, unexpected)

    def summary(self, *inputs: Any) -> str:
        """Return a table of Modules, parameters and output shapes for `inputs`.

        >>> print(rg.nn.Sequential(rg.nn.Linear(2, 4), rg.nn.ReLU()).summary(np.ones((8, 2))))
        module           output    parameters
        Sequential       (8, 4)            12
          0: Linear      (8, 4)            12
          1: ReLU        (8, 4)             0
        12 parameters, 12 trained, 96 bytes
        """
        shapes = _shapes(self, inputs) if inputs else {}
        rows = [("module", "output" if inputs else "", "parameters")]
        for name, inner in self.named_modules():
            *above, label = name.split(".")
            title = f"{'  ' * (len(above) + 1)}{label}: " if name else ""
            size = sum(p.size for p in inner.parameters())
            rows.append((title + type(inner).__name__, shapes.get(id(inner), ""), str(size)))
        wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [f"{m:{wide[0]}}  {s:{wide[1]}}  {p:>{wide[2]}}" for m, s, p in rows]
        trained = sum(p.size for p in self.parameters() if p.requires_grad)
        size = sum(p.nbytes for p in self.parameters())
        return "\n".join([*lines, f"{rows[1][2]} parameters, {trained} trained, {size} bytes"])

    def extra_repr(self) -> str:
        """Return what `repr` shows in brackets."""
        return ""

    def __repr__(self) -> str:
        inside = "".join(f"\n({name}): {child!r}" for name, child in self.named_children())
        inside = inside.replace("\n", "\n  ") + "\n" if inside else self.extra_repr()
        return f"{type(self).__name__}({inside})"


def _dotted(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def once(named: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield each value once, under its first name."""
    seen = set()
    for name, value in named:
        if id(value) not in seen:
            seen.add(id(value))
            yield name, value


def new_parameter(shape: tuple[int, ...], dtype: Any = None, value: float = 0.0) -> Parameter:
    """Return a Parameter of one value."""
    return Parameter(np.full(shape, value, dtype or get_default_dtype()))


# Hooks


_keys = itertools.count()


class Handle:
    """What registering a hook returns."""

    def __init__(self, module: Module, key: int) -> None:
        self._module, self._key = module, key

    def remove(self) -> None:
        """Take the hook off."""
        left = {
            moment: {key: hook for key, hook in each.items() if key != self._key}
            for moment, each in (self._module._hooks or {}).items()
        }
        self._module._hooks = left if any(left.values()) else None


def _hooked(module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    hooks: Any = module._hooks
    before, after, backward = (tuple(each.values()) for each in hooks.values())
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
    outs = _watched(out if isinstance(out, tuple) else (out,), on_output)
    return outs if isinstance(out, tuple) else outs[0]


def _changed(values: tuple[Any, ...], answer: Any) -> tuple[Any, ...]:
    if answer is None:  # by a hook
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
    """Return the values, whose gradients `seen` gets and may replace."""
    mode = MODE.get()
    if mode.tell is not None:
        escape("a backward hook")
    places = {i: t for i, t in enumerate(values) if isinstance(t, Tensor) and t.requires_grad}
    if not places or not mode.grad:
        return values

    def pass_on(grads: Any) -> Any:
        known = dict(zip(places, grads, strict=True))
        found = seen(tuple(known.get(i) for i in range(len(values))))
        return [found[i] for i in places]

    tapped = dict(zip(places, _Tap.apply(pass_on, *places.values()), strict=True))
    return tuple(tapped.get(i, value) for i, value in enumerate(values))


@contextlib.contextmanager
def evaluating(module: Module) -> Iterator[None]:
    """Set a Module to evaluation, without gradients, for a while."""
    before = [(inner, inner.training) for inner in module.modules()]
    try:
        with no_grad():
            module.eval()
            yield
    finally:
        for inner, training in before:
            inner.training = training


def _shapes(module: Module, inputs: tuple[Any, ...]) -> dict[int, str]:
    """Return the shape of each output by the id of its Module."""
    shapes: dict[int, str] = {}

    def note(inner: Module, args: Any, out: Any) -> None:
        while isinstance(out, (tuple, list)):
            out = out[0]
        shapes[id(inner)] = str(getattr(out, "shape", ""))

    handles = [inner.register_forward_hook(note) for inner in module.modules()]
    try:
        with evaluating(module):
            module(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return shapes
