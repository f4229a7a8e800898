"""`Module`: a function with parameters, which are found among its attributes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from retrograd.core import Array, Parameter, Tensor, as_array, touch
from retrograd.mode import MODE


class LoadedKeys(NamedTuple):
    """What `load_state_dict` did not find on either side."""

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """A part of a net: assign `Parameter`s and `Module`s to attributes, define `forward`.

    >>> import numpy as np, retrograd as rg
    >>> class Scale(rg.nn.Module):
    ...     def __init__(self):
    ...         self.factor = rg.nn.Parameter([2.0])
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> scale = Scale()
    >>> scale(np.ones(2))
    Tensor([2., 2.], requires_grad=True)
    >>> list(scale.state_dict())
    ['factor']
    """

    training = True
    _buffers: tuple[str, ...] = ()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output: every Module defines its own."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        tape = MODE.get().tape
        if tape is not None:
            tape.guard(self)
        return self.forward(*args, **kwargs)

    # What is inside ------------------------------------------------------------------------------

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield the Modules among the attributes, with their names, in order of assignment."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value

    def children(self) -> Iterator[Module]:
        """Yield the Modules among the attributes."""
        return (child for _, child in self.named_children())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Yield this Module and all inside it, each once, with dotted names."""
        seen = set()
        stack: list[tuple[str, Module]] = [(prefix, self)]
        while stack:
            name, module = stack.pop()
            if id(module) in seen:
                continue
            seen.add(id(module))
            yield name, module
            below = [(_dotted(name, n), child) for n, child in module.named_children()]
            stack.extend(reversed(below))

    def modules(self) -> Iterator[Module]:
        """Yield this Module and all inside it, each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """Yield every Parameter inside, each once, with dotted names."""
        seen = set()
        for at, module in self.named_modules(prefix):
            for name, value in vars(module).items():
                if isinstance(value, Parameter) and id(value) not in seen:
                    seen.add(id(value))
                    yield _dotted(at, name), value

    def parameters(self) -> Iterator[Parameter]:
        """Yield every Parameter inside, each once."""
        return (parameter for _, parameter in self.named_parameters())

    def register_buffer(self, name: str, array: ArrayLike) -> None:
        """Keep an array that is state but not trained, such as a running mean."""
        setattr(self, name, as_array(array).copy())
        self._buffers = (*self._buffers, name)

    def named_buffers(self, prefix: str = "") -> Iterator[tuple[str, Array]]:
        """Yield the registered buffers of every Module inside, with dotted names."""
        for at, module in self.named_modules(prefix):
            for name in module._buffers:
                yield _dotted(at, name), getattr(module, name)

    # State ---------------------------------------------------------------------------------------

    def train(self, mode: bool = True) -> Module:
        """Set this Module and all inside it to training (dropout acts) or not; returns it."""
        for module in self.modules():
            module.training = bool(mode)
        return self

    def eval(self) -> Module:
        """Set this Module and all inside it to evaluation; returns it."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Drop the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    def _state(self) -> dict[str, Any]:
        """Return each name's Parameter or buffer; a shared Parameter goes by all its names."""
        state: dict[str, Any] = {}

        def visit(module: Module, prefix: str, above: tuple[int, ...]) -> None:
            for name, value in vars(module).items():
                if isinstance(value, Parameter):
                    state[prefix + name] = value
            for name in module._buffers:
                state[prefix + name] = getattr(module, name)
            for name, child in module.named_children():
                if id(child) not in above:
                    visit(child, f"{prefix}{name}.", (*above, id(child)))

        visit(self, "", (id(self),))
        return state

    def state_dict(self) -> dict[str, Array]:
        """Return a copy of every parameter and buffer under its dotted name."""
        return {name: as_array(value).copy() for name, value in self._state().items()}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> LoadedKeys:
        """Write the arrays of `state_dict` into the parameters and buffers of the same names.

        Raises RuntimeError listing missing and unexpected names (if `strict`) and the names whose
        shapes differ, with both shapes; nothing is written then.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(
                f"load_state_dict takes a dict of arrays, not {type(state_dict).__name__}"
            )
        own = self._state()
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        arrays = {name: as_array(state_dict[name]) for name in own if name in state_dict}
        problems = []
        if strict and missing:
            problems.append(f"missing: {', '.join(missing)}")
        if strict and unexpected:
            problems.append(f"unexpected: {', '.join(unexpected)}")
        problems += [
            f"shape of {name}: here {own[name].shape}, in the state_dict {array.shape}"
            for name, array in arrays.items()
            if array.shape != own[name].shape
        ]
        if problems:
            raise RuntimeError(
                f"the state_dict does not fit {type(self).__name__}:\n  " + "\n  ".join(problems)
            )
        for name, array in arrays.items():
            as_array(own[name])[...] = array
            if isinstance(own[name], Tensor):
                touch(own[name])
        return LoadedKeys(missing, unexpected)

    # Reading -------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """Return what `repr` shows in the brackets of a Module without children."""
        return ""

    def __repr__(self) -> str:
        lines = [
            f"({name}): " + repr(child).replace("\n", "\n  ")
            for name, child in self.named_children()
        ]
        if not lines:
            return f"{type(self).__name__}({self.extra_repr()})"
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)"


def _dotted(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def new_parameter(shape: tuple[int, ...], dtype: Any = None) -> Parameter:
    """Return a Parameter of zeros, of the default dtype unless one is given."""
    from retrograd.core import get_default_dtype

    return Parameter(np.zeros(shape, dtype or get_default_dtype()))
