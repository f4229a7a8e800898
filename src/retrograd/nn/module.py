"""`Module`: a part of a net."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from retrograd.checks import OTHER_WORDS, device_and_dtype, refuse_words
from retrograd.engine import (
    Array,
    Handle,
    Tensor,
    TensorLike,
    arguments,
    as_array,
    check_floating,
    complex_of,
    current_mode,
    is_grad_enabled,
    no_grad,
    tell,
    touch,
    unrecorded,
)
from retrograd.nn.found_parameters import FoundParameters
from retrograd.nn.hooks import Hook, Hooks, add_hook, call_with_hooks
from retrograd.nn.own_methods import speak_for
from retrograd.nn.parameter import Parameter
from retrograd.nn.summary import html, output_shapes, text

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike


class AttributeCount:
    """Counts how often an attribute of any Module was set or deleted, but for `training`.

    Who has read attributes and remembers the `count` of that moment need not look at them again
    while it is the same.
    """

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


ATTRIBUTES = AttributeCount()

_VARKEYWORDS = 8  # inspect.CO_VARKEYWORDS
_ANY = (lambda **kwargs: kwargs).__code__  # of a function that takes any keyword


class LoadedKeys(NamedTuple):
    """What `load_state_dict` returns: the names that only one side has.

    Attributes:
        missing_keys: Names of the Module that the `state_dict` lacks.
        unexpected_keys: Names of the `state_dict` that the Module lacks.
    """

    missing_keys: list[str]
    unexpected_keys: list[str]


class Module:
    """A part of a net: assign `Parameter`s and `Module`s to attributes, define `forward`.

    Call a Module as a function: it calls `forward`, and its hooks where it has any. It takes any
    number of arguments; what they must be its `forward` says. What is assigned to attributes is
    found by itself, however deep, under names such as "body.0.weight"; a list or a dict of Modules
    is found in a `ModuleList` or `ModuleDict` only. `__init__` need not call that of `Module`.

    Attributes:
        training: Whether this is training, which Dropout and BatchNorm act by; True at first. Set
            it for a whole net with `train()` and `eval()`.

    Raises:
        NotImplementedError: if a Module that defines no `forward` is called.
        TypeError: if something that is no Parameter is assigned in the place of a Parameter, since
            it would not be trained.

    >>> class Scale(rg.nn.Module):
    ...     def __init__(self):
    ...         self.factor = rg.nn.Parameter([2.0])
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> Scale()(np.ones(2))
    Tensor([2., 2.], call=np.multiply)
    >>> list(Scale().state_dict())
    ['factor']
    """

    _training = True
    _buffers: Mapping[str, bool] = {}  # whether each registered name is in the state_dict
    _hooks: Hooks | None = None  # None in the class shows through where an instance has no hook
    # whether a call is a call of `forward`: there are no hooks, and the class calls as they all do
    _direct: bool = True

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Make a Module that is yet to be initialised, unless its arguments have others' names."""
        if cls.__init__ is object.__init__ and (args or kwargs):
            raise TypeError(f"{cls.__name__}() takes no arguments")
        if kwargs and not OTHER_WORDS.keys().isdisjoint(kwargs):
            own = arguments(cls.__init__)
            takes_all = getattr(cls.__init__, "__code__", _ANY).co_flags & _VARKEYWORDS
            if not takes_all and (unknown := [word for word in kwargs if word not in own]):
                refuse_words(cls.__name__, unknown, own)
        return super().__new__(cls)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__call__ is not Module.__call__:
            cls._direct = False
        if cls.__module__.startswith("retrograd.nn."):
            speak_for(cls, Module, "__init__", "forward")

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the output: every Module defines its own.

        Args:
            *args: What the Module is called with.
            **kwargs: What it is called with by name.

        Returns:
            Whatever the Module is there to compute.

        Raises:
            NotImplementedError: if it is not defined.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._direct and current_mode().tell is None:
            if kwargs:
                return self.forward(*args, **kwargs)
            # written out for one argument, the most frequent case: unpacking takes longer
            return self.forward(args[0]) if len(args) == 1 else self.forward(*args)
        return self._call(args, kwargs)

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call `forward` with hooks around it, where somebody listens, or both."""
        hear = current_mode().tell
        if hear is None:
            return self._forward_with_hooks(args, kwargs)
        return hear("module", self, args, kwargs)

    def _forward_with_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call `forward`, with the hooks around it if there are some."""
        if self._hooks is None:
            return self.forward(*args, **kwargs)
        return call_with_hooks(self, self._hooks, args, kwargs)

    @property
    def training(self) -> bool:
        """Whether this is training, which Dropout and BatchNorm act by."""
        tell("training read", self)
        return self._training

    @training.setter
    def training(self, mode: bool) -> None:
        self._training = bool(mode)

    def __setattr__(self, name: str, value: Any) -> None:
        before = vars(self).get(name)
        if isinstance(before, Parameter) and not isinstance(value, Parameter | None):
            raise TypeError(
                f"{type(self).__name__}.{name} is a Parameter, a {type(value).__name__} is not "
                f"trained: write .{name}.data = ..., assign an nn.Parameter or delete it"
            )
        if name not in ("training", "_training"):
            ATTRIBUTES.count += 1
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        ATTRIBUTES.count += 1
        super().__delattr__(name)

    # What is inside

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield the Modules among the attributes of this one, with their names.

        Yields:
            Pairs of name and Module, in order of assignment; not what is inside those Modules.

        >>> net = rg.nn.Sequential({"first": rg.nn.Linear(2, 1), "act": rg.nn.ReLU()})
        >>> [name for name, child in net.named_children()]
        ['first', 'act']
        """
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value

    def children(self) -> Iterator[Module]:
        """Yield the Modules among the attributes of this one.

        Yields:
            Modules, in order of assignment; not what is inside them.

        >>> list(rg.nn.Sequential(rg.nn.ReLU(), rg.nn.Tanh()).children())
        [ReLU(), Tanh()]
        """
        return (child for _, child in self.named_children())

    def _paths(self, prefix: str = "", above: tuple[int, ...] = ()) -> Iterator[tuple[str, Module]]:
        """Yield this Module and all inside it under every name that leads to it.

        `above` are the ids of the Modules on the way here: one that holds itself does not recurse.
        """
        yield prefix, self
        above = (*above, id(self))
        for name, child in self.named_children():
            if id(child) not in above:
                yield from child._paths(_join(prefix, name), above)

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Yield this Module and all inside it, each once, with dotted names.

        Args:
            prefix: What the names begin with (default "": this Module's own name is "").

        Yields:
            Pairs of dotted name and Module, outer ones before what is inside them.

        >>> net = rg.nn.Sequential(rg.nn.Sequential(rg.nn.ReLU()))
        >>> [name for name, module in net.named_modules()]
        ['', '0', '0.0']
        """
        return once(self._paths(prefix))

    def modules(self) -> Iterator[Module]:
        """Yield this Module and all inside it, each once.

        Yields:
            Modules, outer ones before what is inside them.

        >>> [type(module).__name__ for module in rg.nn.Sequential(rg.nn.ReLU()).modules()]
        ['Sequential', 'ReLU']
        """
        return (module for _, module in self.named_modules())

    def named_parameters(
        self, prefix: str = "", recurse: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yield every Parameter of this Module and of all inside it, each once.

        Args:
            prefix: What the names begin with (default "").
            recurse: Whether those of the Modules inside are yielded too (default True).

        Yields:
            Pairs of dotted name and Parameter. One that is shared comes under its first name.

        >>> [(name, p.shape) for name, p in rg.nn.Linear(3, 2).named_parameters()]
        [('weight', (2, 3)), ('bias', (2,))]
        """
        modules = self.named_modules(prefix) if recurse else [(prefix, self)]
        return once(
            (_join(at, name), value)
            for at, module in modules
            for name, value in vars(module).items()
            if isinstance(value, Parameter)
        )

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield every Parameter of this Module and of all inside it, each once: for optimizers.

        Where there are none, but Modules in a plain list or Tensors that are no Parameters, a
        UserWarning names these.

        Args:
            recurse: Whether those of the Modules inside are yielded too (default True).

        Yields:
            Parameters.

        >>> sum(p.size for p in rg.nn.Linear(3, 2).parameters())
        8
        """
        return FoundParameters(self, recurse)

    def register_parameter(self, name: str, parameter: Parameter | None) -> None:
        """Set an attribute to a Parameter, or to None where this Module goes without.

        Args:
            name: The attribute.
            parameter: A Parameter, or None.

        Raises:
            TypeError: if the attribute is a Parameter and the new value is neither.

        >>> module = rg.nn.Module()
        >>> module.register_parameter("weight", rg.nn.Parameter([1.0]))
        >>> module.weight
        Parameter([1.], requires_grad=True)
        """
        setattr(self, name, parameter)

    def add_module(self, name: str, module: Module) -> None:
        """Set an attribute to a Module; the name need not be one that Python can spell.

        Args:
            name: The attribute.
            module: The Module.

        >>> module = rg.nn.Module()
        >>> module.add_module("0", rg.nn.ReLU())
        >>> module
        Module(
          (0): ReLU()
        )
        """
        setattr(self, name, module)

    def register_buffer(
        self, name: str, array: ArrayLike | Tensor | None, persistent: bool = True
    ) -> None:
        """Set an attribute to a copy of an array that is not trained, such as a running mean.

        What `forward` changes is registered as a Tensor, and either written in place under
        `rg.no_grad()`, as by `self.mean[...] = value`, `self.mean[i] = value`, `self.mean *= 0.9`,
        or assigned, `self.mean = value`, a value that requires no grad. Both work as they are and
        in `rg.compile`.

        Args:
            name: The attribute.
            array: The array, or None for a buffer that is not there. Of a Tensor the buffer is a
                Tensor, of all else an array.
            persistent: Whether `state_dict` has it (default True).

        Raises:
            TypeError: if `array` holds no numbers, or is a Tensor that requires grad, which
                the buffer, a copy, would lose.

        >>> module = rg.nn.Module()
        >>> module.register_buffer("mean", [0.0, 1.0])
        >>> module.mean
        array([0., 1.])
        >>> list(module.state_dict())
        ['mean']

        >>> class Centre(rg.nn.Module):
        ...     def __init__(self, size):
        ...         self.register_buffer("mean", rg.Tensor(np.zeros(size)))
        ...     def forward(self, x):
        ...         if self.training:
        ...             with rg.no_grad():
        ...                 self.mean[...] = 0.9 * self.mean + 0.1 * np.mean(x, axis=0)
        ...         return x - self.mean
        >>> layer = Centre(2)
        >>> fast = rg.compile(layer)
        >>> for _ in range(4):
        ...     _ = fast(np.ones((8, 2)))
        >>> layer.mean
        Tensor([0.3439, 0.3439])
        """
        value: TensorLike | None = None if array is None else as_array(array).copy()
        if isinstance(array, Tensor):
            if array.requires_grad and is_grad_enabled():
                raise TypeError(
                    f"{type(self).__name__}.{name} is a buffer, which has no gradient: write "
                    "t.detach() for the values alone, or make an nn.Parameter an attribute to "
                    "train it"
                )
            value = Tensor(as_array(array).copy())
        setattr(self, name, value)
        self._buffers = {**self._buffers, name: persistent}

    def _own_buffers(self) -> Iterator[tuple[str, TensorLike]]:
        """Yield the buffers of this Module that are there, with their names."""
        for name in self._buffers:
            if (array := getattr(self, name)) is not None:
                yield name, array

    def named_buffers(
        self, prefix: str = "", recurse: bool = True
    ) -> Iterator[tuple[str, TensorLike]]:
        """Yield the registered buffers of this Module and of all inside it.

        Args:
            prefix: What the names begin with (default "").
            recurse: Whether those of the Modules inside are yielded too (default True).

        Yields:
            Pairs of dotted name and array, or Tensor: the buffer itself, not a copy.

        >>> [name for name, array in rg.nn.BatchNorm1d(2).named_buffers()]
        ['running_mean', 'running_var', 'num_batches_tracked']
        """
        for at, module in self.named_modules(prefix) if recurse else [(prefix, self)]:
            for name, array in module._own_buffers():
                yield _join(at, name), array

    def buffers(self, recurse: bool = True) -> Iterator[TensorLike]:
        """Yield the registered buffers of this Module and of all inside it.

        Args:
            recurse: Whether those of the Modules inside are yielded too (default True).

        Yields:
            Arrays and Tensors: the buffers themselves, not copies.

        >>> [array.shape for array in rg.nn.BatchNorm1d(2).buffers()]
        [(2,), (2,), ()]
        """
        return (array for _, array in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Module:
        """Return the Module of a dotted name.

        Args:
            target: The name, as in `named_modules`; "" is this Module.

        Returns:
            The Module.

        Raises:
            AttributeError: if there is none of that name.

        >>> rg.nn.Sequential(rg.nn.Linear(2, 1), rg.nn.ReLU()).get_submodule("1")
        ReLU()
        """
        modules = dict(self._paths())
        if target not in modules:
            raise AttributeError(f"{type(self).__name__} has no Module {target!r}")
        return modules[target]

    # Changing all of it

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call a function on every Module inside, innermost first, and on this one at last.

        Args:
            fn: Takes a Module; what it returns is not used.

        Returns:
            This Module.

        >>> def start_at_zero(module):
        ...     if isinstance(module, rg.nn.Linear):
        ...         rg.nn.init.zeros_(module.weight)
        >>> rg.nn.Sequential(rg.nn.Linear(2, 1)).apply(start_at_zero)[0].weight
        Parameter([[0., 0.]], requires_grad=True)
        """
        for child in self.children():
            child.apply(fn)
        fn(self)
        return self

    def to(self, *args: Any, device: Any = None, dtype: DTypeLike | None = None) -> Self:
        """Change parameters, their gradients and floating buffers to another floating dtype.

        The Parameters stay the same objects, so that an optimizer keeps them.

        Args:
            *args: A floating dtype, "cpu", or "cpu" and a dtype.
            device: None or "cpu": there is no other device.
            dtype: A floating dtype; None changes nothing.

        Returns:
            This Module.

        Raises:
            TypeError: if `dtype` is not floating.
            ValueError: for another device.

        >>> rg.nn.Linear(2, 1).to(np.float32).weight.dtype
        dtype('float32')
        >>> rg.nn.Linear(2, 1).to("cpu").weight.dtype
        dtype('float64')
        """
        name = f"{type(self).__name__}.to"
        dtype = device_and_dtype(name, args, device, dtype)
        if dtype is None:
            return self
        dtype = np.dtype(dtype)
        check_floating(np.empty(0, dtype))
        for _, parameter in self.named_parameters():
            grad, parameter.grad = parameter.grad, None
            wanted = _of_kind(dtype, parameter.dtype)
            parameter.data = as_array(parameter).astype(wanted)
            parameter.grad = None if grad is None else grad.astype(wanted)
        for module in self.modules():
            for name, array in module._own_buffers():
                if array.dtype.kind not in "fc":
                    continue
                wanted = _of_kind(dtype, array.dtype)
                if isinstance(array, Tensor):
                    array.data = as_array(array).astype(wanted)
                else:
                    setattr(module, name, array.astype(wanted))
        return self

    def cpu(self) -> Self:
        """Do nothing: there is no other device that this Module could be on.

        Returns:
            This Module.

        >>> rg.nn.ReLU().cpu()
        ReLU()
        """
        return self

    def float(self) -> Self:
        """Change parameters, their gradients and floating buffers to float32.

        Returns:
            This Module.

        >>> rg.nn.Linear(2, 1).float().weight.dtype
        dtype('float32')
        """
        return self.to(np.float32)

    def double(self) -> Self:
        """Change parameters, their gradients and floating buffers to float64.

        Returns:
            This Module.

        >>> rg.nn.Linear(2, 1, dtype=np.float32).double().weight.dtype
        dtype('float64')
        """
        return self.to(np.float64)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Make every Parameter require a gradient, or none: `False` freezes this Module.

        Args:
            requires_grad: Whether they are trained (default True).

        Returns:
            This Module.

        >>> rg.nn.Linear(2, 1).requires_grad_(False).bias.requires_grad
        False
        """
        for _, parameter in self.named_parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def train(self, mode: bool = True) -> Self:
        """Set this Module and all inside it to training, or to evaluation.

        Args:
            mode: Whether they are training (default True).

        Returns:
            This Module.

        >>> rg.nn.Sequential(rg.nn.Dropout()).train(False)[0].training
        False
        """
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Set this Module and all inside it to evaluation: `train(False)`.

        Gradients are recorded as before: see `rg.no_grad`.

        Returns:
            This Module.

        >>> rg.nn.Dropout(0.5).eval()(rg.Tensor([1.0, 1.0]))
        Tensor([1., 1.])
        """
        return self.train(False)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all Parameters: each `.grad` is None then.

        Args:
            set_to_none: Whether they are dropped (default True); else those that are there become
                zeros.

        >>> layer = rg.nn.Linear(2, 1)
        >>> layer(np.ones(2)).sum().backward()
        >>> layer.zero_grad()
        >>> print(layer.weight.grad)
        None
        """
        for _, parameter in self.named_parameters():
            grad = None if set_to_none else parameter.grad
            parameter.grad = None if grad is None else grad * 0

    # Hooks

    def register_forward_pre_hook(self, hook: Hook) -> Handle:
        """Call a function before `forward`, whenever this Module is called.

        Args:
            hook: Called as `hook(module, args)` with the tuple of arguments by position. What it
                returns, unless None, takes their place: a tuple, or a value for a single one.

        Returns:
            A handle: its `remove()` takes the hook off.

        Raises:
            TypeError: if `hook` cannot be called.

        >>> layer = rg.nn.Identity()
        >>> handle = layer.register_forward_pre_hook(lambda module, args: args[0] + 1)
        >>> layer(1)
        2
        """
        return add_hook(self, "before", hook)

    def register_forward_hook(self, hook: Hook) -> Handle:
        """Call a function after `forward`, whenever this Module is called.

        Args:
            hook: Called as `hook(module, args, output)` with the tuple of arguments by position.
                What it returns, unless None, takes the place of the output.

        Returns:
            A handle: its `remove()` takes the hook off.

        Raises:
            TypeError: if `hook` cannot be called.

        >>> layer = rg.nn.Linear(3, 2)
        >>> handle = layer.register_forward_hook(lambda module, args, out: print(out.shape))
        >>> _ = layer(np.ones((5, 3)))
        (5, 2)
        >>> handle.remove()
        """
        return add_hook(self, "after", hook)

    def register_full_backward_hook(self, hook: Hook) -> Handle:
        """Call a function in the reverse pass, once the gradients of the inputs are known.

        Where no input requires a gradient, it is called once those of the outputs are known. A
        Module with such a hook cannot be compiled.

        Args:
            hook: Called as `hook(module, grad_input, grad_output)` with tuples of Tensors, one for
                each argument by position and one for each output; None for what has no gradient.
                What it returns, unless None, takes the place of `grad_input`: a tuple, or a value
                for a single one.

        Returns:
            A handle: its `remove()` takes the hook off.

        Raises:
            TypeError: if `hook` cannot be called.

        >>> layer = rg.nn.Tanh()
        >>> handle = layer.register_full_backward_hook(
        ...     lambda module, grad_input, grad_output: print(grad_input, grad_output)
        ... )
        >>> layer(rg.Tensor(0.0, requires_grad=True)).backward()
        (Tensor(1.),) (Tensor(1.),)
        """
        return add_hook(self, "backward", hook)

    # State

    def _state(self) -> dict[str, Any]:
        """Return the Parameters and persistent buffers themselves, shared ones under each name."""
        state: dict[str, Any] = {}
        for at, module in self._paths():
            for name, value in vars(module).items():
                if isinstance(value, Parameter):
                    state[_join(at, name)] = value
            for name, array in module._own_buffers():
                if module._buffers[name]:
                    state[_join(at, name)] = array
        return state

    def state_dict(self, *, prefix: str = "") -> dict[str, Array]:
        """Return copies of all Parameters and persistent buffers, under their dotted names.

        What is done to the arrays does not reach the Module, nor does training go on in them; see
        `load_state_dict` for the way back, `rg.save` for files.

        Args:
            prefix: What the names begin with (default ""), with its dot, such as "encoder.".

        Returns:
            A dict of names to arrays. What is shared comes under each of its names.

        >>> layer = rg.nn.Linear(2, 1)
        >>> state = layer.state_dict()
        >>> list(state)
        ['weight', 'bias']
        >>> state["bias"][...] = 5.0
        >>> layer.bias.item() == 5.0
        False
        """
        return {prefix + name: as_array(value).copy() for name, value in self._state().items()}

    def load_state_dict(
        self, state_dict: Mapping[str, ArrayLike | Tensor], strict: bool = True
    ) -> LoadedKeys:
        """Write arrays into the Parameters and persistent buffers of the same names.

        They are copied into the memory that is there, of the dtype that is there.

        Args:
            state_dict: Arrays by dotted name, as `state_dict()` returns them.
            strict: Whether all names must be on both sides (default True). The shapes of those
                that are on both must be the same in any case.

        Returns:
            A pair of lists, `missing_keys` and `unexpected_keys`: names that only this Module has,
            and that only `state_dict` has.

        Raises:
            RuntimeError: if names (where `strict`) or shapes differ, or what is real here is
                complex there, with all that do; nothing is written then.
            TypeError: if `state_dict` is no mapping, or a value in it is no array of numbers.

        >>> layer = rg.nn.Linear(2, 1)
        >>> layer.load_state_dict({"bias": [3.0]}, strict=False)
        LoadedKeys(missing_keys=['weight'], unexpected_keys=[])
        >>> layer.bias
        Parameter([3.], requires_grad=True)
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
        problems += [
            f"dtype of {name}: here {own[name].dtype}, there {array.dtype}"
            for name, array in arrays.items()
            if array.dtype.kind == "c" and own[name].dtype.kind != "c"
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

    # Reading

    def summary(self, *inputs: Any) -> str:
        """Return a table of this Module and all inside it, with their numbers of parameters.

        Given inputs, it also has the shape of each output: the Module is run with them once, as
        for evaluation and without gradients, and is as before then.

        Args:
            *inputs: What to call the Module with, arrays or Tensors; nothing: it is not run.

        Returns:
            The table as text. Its last line has all parameters, how many of them are trained, and
            how many bytes they take.

        >>> print(rg.nn.Sequential(rg.nn.Linear(2, 4), rg.nn.ReLU()).summary(np.ones((8, 2))))
        module           output    parameters
        Sequential       (8, 4)            12
          0: Linear      (8, 4)            12
          1: ReLU        (8, 4)             0
        12 parameters, 12 trained, 96 bytes
        """
        if not inputs:
            return text(self, None)
        with evaluating(self), output_shapes(self) as shapes:
            self(*inputs)
        return text(self, shapes)

    def extra_repr(self) -> str:
        """Return what `repr` shows in the brackets of a Module without Modules inside.

        Returns:
            Text such as "3, 2, bias=True"; "" unless a Module defines its own.
        """
        return ""

    def _repr_html_(self) -> str:
        return html(self)

    def __repr__(self) -> str:
        inside = "".join(f"\n({name}): {child!r}" for name, child in self.named_children())
        inside = inside.replace("\n", "\n  ") + "\n" if inside else self.extra_repr()
        return f"{type(self).__name__}({inside})"


def _join(prefix: str, name: str) -> str:
    """Return a dotted name."""
    return f"{prefix}.{name}" if prefix else name


def once(named: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield each value once, under its first name."""
    seen = set()
    for name, value in named:
        if id(value) not in seen:
            seen.add(id(value))
            yield name, value


@contextlib.contextmanager
def evaluating(module: Module) -> Iterator[None]:
    """Set a Module and all inside it to evaluation, without gradients, for a while."""
    before = [(inner, inner.training) for inner in module.modules()]
    try:
        with no_grad():
            module.eval()
            yield
    finally:
        for inner, training in before:
            inner.training = training


def _of_kind(dtype: np.dtype[Any], now: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype that an array takes where a Module goes to one: complex stays complex."""
    return complex_of(dtype) if now.kind == "c" and dtype.kind == "f" else dtype
