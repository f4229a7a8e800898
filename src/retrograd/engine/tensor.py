"""A `Tensor` is an array plus the NumPy call that made it.

`record` runs a NumPy function and, where a gradient may be wanted, keeps the call. A gradient
rule is NumPy code: handed arrays it computes, handed Tensors it records, so one line a function
gives derivatives of every order.
"""

from __future__ import annotations

import bisect
import copy
import itertools
import operator
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import (
    TYPE_CHECKING,
    Any,
    NamedTuple,
    NoReturn,
    Protocol,
    Self,
    TypeAlias,
    TypeVar,
    cast,
)

import numpy as np

from retrograd.checks import device_and_dtype, refuse_words
from retrograd.engine.arrays import Array, check_floating, numeric_array, unmasked
from retrograd.engine.call import Call, describe
from retrograd.engine.elsewhere import KnowsElsewhere
from retrograd.engine.hooks import RETAINS, Handle, Hook, add_hook
from retrograd.engine.mode import Mode, current_mode, escape, is_recording, tell
from retrograd.engine.rule import RULES, Rule, defvjp
from retrograd.lines import is_of_library

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike


class Clock:
    """Numbers recorded calls and writes, so that each can be told to be before or after another.

    Recorded order is a topological order of the graph.
    """

    __slots__ = ("last_write", "tick")

    def __init__(self) -> None:
        self.tick = itertools.count(1).__next__
        self.last_write = 0

    def write(self, stamps: Iterable[list[int]]) -> None:
        """Stamp memory as written now."""
        now = self.last_write = self.tick()
        for stamp in stamps:
            stamp[0] = now


CLOCK = Clock()


def _not_connected(*args: Any, **kwargs: Any) -> NoReturn:
    raise RuntimeError("this part of retrograd was imported by itself: import retrograd")


class _Above:
    """What a Tensor asks of the rooms that stand on this one: each is set once, by `connect`.

    `backward` runs the reverse pass; `answer` is what a user's call of a NumPy function gives,
    `answer_method` what one of a method of a ufunc gives; `nest` makes a Tensor of lists; `write`
    makes a Tensor the result of a write into it, and `read` takes elements of one that was written.
    """

    backward: Callable[[Tensor, ArrayLike | Tensor | None, bool], None] = _not_connected
    answer: Callable[[Callable[..., Any], Any, dict[str, Any]], Tensor] = _not_connected
    answer_method: Callable[[np.ufunc, str, Any, dict[str, Any]], Any] = _not_connected
    nest: Callable[[Any], Any] = _not_connected
    write: Callable[[Tensor, Any, Any], None] = _not_connected
    read: Callable[[Tensor, Any], Tensor] = _not_connected


def connect(**rooms: Callable[..., Any]) -> None:
    """Set what a Tensor asks of other rooms: see `_Above`."""
    for name, function in rooms.items():
        setattr(_Above, name, staticmethod(function))


class PendingGradient(Protocol):
    """A gradient that a compiled step still has in a buffer of its own, and copies when asked."""

    def copied(self) -> Array:
        """Return the gradient as an array that nothing else refers to."""


class Tensor(metaclass=KnowsElsewhere):
    """An array that records the NumPy calls made on it, so that gradients can be computed.

    Args:
        data: anything NumPy makes an array of numbers of. An array keeps its dtype; lists of
            floats and Python floats take the default dtype (`rg.set_default_dtype`), complex ones
            that with two parts of it.
        requires_grad: makes the Tensor a leaf: it owns a copy of its data, and `backward` puts
            its gradient into `.grad`. Without, it shares the memory of an array.

    Raises:
        TypeError: if `data` holds no numbers, or `requires_grad` and its dtype is neither floating
            nor complex.
        RuntimeError: if `data` is a Tensor with a graph, which would be lost without a word.

    >>> x = rg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> y = np.sum(x ** 2)
    >>> y.backward()
    >>> x.grad
    array([2., 4., 6.])
    """

    # A Tensor holds the arguments it was computed from and is held by nothing it holds: there are
    # no reference cycles.
    __slots__ = (
        "__weakref__", "_array", "_call", "_grad", "_hooks", "_name", "_order", "_retains",
        "_stamp", "_versions", "requires_grad",
    )  # fmt: skip

    _array: Array  # not _data, which np.ma would take for the values of a masked array
    _grad: Array | PendingGradient | None
    _stamp: list[int] | None  # when the memory was last written in place; shared by views
    requires_grad: bool
    # The call that made it: its rule, the arguments as given and as arrays, the keywords. None for
    # a leaf; once backward has freed it, all but the rule are None.
    _call: tuple[Rule, Any, Any, Any] | None
    _order: int  # of its call among all recorded calls
    _retains: int  # RETAINS and HOOKED, added up
    # These are not set where there are none, as `_order` and `_retains` are not for a leaf.
    _hooks: dict[int, Hook]
    _name: str
    _versions: list[Version]  # what it was before each write into it that was recorded

    def __init__(self, data: ArrayLike | Tensor, requires_grad: bool = False) -> None:
        if isinstance(data, Tensor) and data.requires_grad:
            check_detached(type(self).__name__, data, requires_grad)
        array = as_array(data)
        if requires_grad:
            check_floating(array)
            array = copied(array)
        self._array = array
        self._grad = self._stamp = self._call = None
        self.requires_grad = bool(requires_grad)
        if isinstance(data, Tensor) and not requires_grad:
            _share_stamp(self, data)
        if current_mode().tell is not None:
            tell("leaf made", self, data)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        TENSORS.add(cls)

    def __dir__(self) -> list[str]:
        return sorted({*dir(type(self)), *getattr(self, "__dict__", ())})

    # What an array tells of itself

    @property
    def data(self) -> Array:
        """The values, as the array itself: writing into it is not seen by `backward`.

        A leaf's may be replaced by another array of its shape: RuntimeError for a Tensor that is
        no leaf, ValueError for another shape, TypeError for integers where it requires grad.
        """
        escape("t.data", self, _DATA_STAYS)
        return self._array

    @data.setter
    def data(self, value: ArrayLike) -> None:
        escape("t.data = value", self, _DATA_STAYS)
        array = as_array(value)
        if self._call is not None:
            raise RuntimeError("t.data can be replaced on a leaf only: make a new Tensor")
        if array.shape != self._array.shape:
            raise ValueError(
                f"t.data of shape {self._array.shape} cannot become an array of shape "
                f"{array.shape}: make a new Tensor"
            )
        if self.requires_grad:
            check_floating(array)
        self._array = array
        touch(self)

    @property
    def grad(self) -> Any:
        """The gradient `backward` has added up here, an array of the leaf's shape and dtype.

        None where there is none. It may be set to None, or to an array of that shape and dtype
        (ValueError for others).
        """
        grad = self._grad
        if grad is not None and not isinstance(grad, np.ndarray):
            grad = self._grad = grad.copied()
        if current_mode().records:
            grad = tell("grad", self)
            return None if grad is None else wrap(grad)
        return grad

    @grad.setter
    def grad(self, value: Array | Tensor | None) -> None:
        if value is not None:
            value = as_array(value)
            if value.shape != self.shape or value.dtype != self.dtype:
                raise ValueError(
                    f".grad must have the shape {self.shape} and dtype {self.dtype} of its "
                    f"Tensor, not {value.shape} and {value.dtype}"
                )
        tell("grad replaced", self)
        self._grad = value

    @property
    def name(self) -> str | None:
        """What it is called where people look at a graph; None where nobody has named it.

        A string, or None to take the name away (TypeError for others). `rg.name(t, "x")` names a
        Tensor in passing.
        """
        return getattr(self, "_name", None)

    @name.setter
    def name(self, value: str | None) -> None:
        if value is None:
            if self.name is not None:
                del self._name
        elif isinstance(value, str):
            self._name = value
        else:
            raise TypeError(f"t.name is a string, or None, not {value!r}")

    shape = property(lambda self: self._array.shape, doc="Lengths of the axes, a tuple of ints.")
    ndim = property(lambda self: self._array.ndim, doc="Number of axes.")
    size = property(lambda self: self._array.size, doc="Number of elements.")
    dtype = property(lambda self: self._array.dtype, doc="Type of the elements.")
    nbytes = property(lambda self: self._array.nbytes, doc="Bytes of the elements.")
    is_leaf = property(lambda self: self._call is None, doc="Whether no recorded call made it.")

    @property
    def call(self) -> Call | None:
        """The recorded call that made it, with its function and arguments; None for a leaf."""
        return None if self._call is None else Call(*as_recorded(self))

    rule = property(
        lambda self: self._call and self._call[0], doc="The rule of the call that made it, or None."
    )
    inputs = property(
        lambda self: self._call and as_recorded(self)[1],
        doc="The call's arguments as given, or None.",
    )
    args = property(
        lambda self: self._call and self._call[2], doc="The call's arguments as arrays, or None."
    )
    kwargs = property(
        lambda self: self._call and self._call[3], doc="The call's keywords, or None."
    )

    def __len__(self) -> int:
        return len(self._array)

    def __iter__(self) -> Iterator[Tensor]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d Tensor: it has one value, t.item()")
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        name = type(self).__name__
        text = (
            repr(self._array).replace("array", name, 1).replace("\n", "\n" + " " * (len(name) - 5))
        )
        more = [] if self.name is None else [f"name={self.name!r}"]
        if self._call is not None:
            rule, inputs, *_ = self._call
            # of several outputs each is picked from a Tensor that stands for the call
            made_by = inputs[0].rule if inputs and rule is RULES[pick] else rule
            more.append(f"call={made_by.name}")
        elif self.requires_grad:
            more.append("requires_grad=True")
        return f"{text[:-1]}{''.join(f', {part}' for part in more)})" if more else text

    # Ways out: values leave the graph

    def numpy(self) -> Array:
        """Return the values as an array, which has no gradient.

        Returns:
            The array itself: it shares the memory.

        >>> rg.Tensor([1.0, 2.0]).numpy()
        array([1., 2.])
        """
        escape("t.numpy()", self)
        return self._array

    def item(self) -> Any:
        """Return the one value as a Python number.

        Returns:
            A float, int or bool.

        Raises:
            ValueError: if there is not exactly one element.

        >>> rg.Tensor([[2.5]]).item()
        2.5
        """
        escape("t.item()", self)
        if self.size != 1:
            raise ValueError(f"t.item() needs one element, shape {self.shape} has {self.size}")
        return self._array.item()

    def tolist(self) -> Any:
        """Return the values as nested Python lists.

        Returns:
            Lists as deep as there are axes, a number for a 0-d Tensor.

        >>> rg.Tensor([[1.0, 2.0]]).tolist()
        [[1.0, 2.0]]
        """
        escape("t.tolist()", self)
        return self._array.tolist()

    def __float__(self) -> float:
        self._warn_of_loss("float(t)")
        return float(self.item())

    def __complex__(self) -> complex:
        self._warn_of_loss("complex(t)")
        return complex(self.item())

    def __int__(self) -> int:
        self._warn_of_loss("int(t)")
        return int(self.item())

    def _warn_of_loss(self, what: str) -> None:
        """Warn, once a line, where a number is taken that had a gradient, and nobody asked for it.

        `math.sin(t)` and `array[i] = t` do that: they know no Tensors, only numbers.
        """
        escape(what, self, _STAYS_A_TENSOR, asked=False)
        if self.requires_grad and current_mode().grad:
            warnings.warn(
                f"{what} made a number of a Tensor that requires grad, and its gradient is lost. "
                f"{INSTEAD_OF_A_NUMBER}",
                UserWarning,
                stacklevel=_frames_of_libraries(),
            )

    def __index__(self) -> int:
        escape("a Tensor as an index of a Python sequence", self)
        return operator.index(self._array)

    def __bool__(self) -> bool:
        escape("the truth of a Tensor (`if t`, `while t`, `and`, `not`)", self)
        return bool(self._array)

    def __format__(self, spec: str) -> str:
        if not spec:
            return repr(self)
        escape("a formatted Tensor", self)
        return format(self.item(), spec)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        if self.requires_grad and not current_mode().records:
            raise TypeError(
                "a Tensor that requires grad does not become an array by itself, its gradient "
                "would be lost: write rg.array([[t, 1.0], ...]) for lists of Tensors and numbers, "
                "also where they go to np.stack and its like, np.broadcast_to(t, shape) for "
                "np.full, a @ t for a.dot(t), t.detach() for the values alone"
            )
        escape("np.asarray(t)", self, _NO_ARRAY_OF_IT, asked=False)
        return np.array(self._array, dtype, copy=copy)

    def detach(self) -> Tensor:
        """Return a Tensor of the same values that gradients do not flow through.

        Returns:
            A Tensor that shares the memory and does not require grad.

        >>> x = rg.Tensor([1.0], requires_grad=True)
        >>> (x * x.detach()).requires_grad, x.detach().requires_grad
        (True, False)
        """
        out = wrap(self._array)
        _share_stamp(out, self)
        if current_mode().tell is not None:
            tell("leaf made", out, self)
        return out

    def cpu(self) -> Self:
        """Return the Tensor itself: there is no other device that it could be on.

        Returns:
            The Tensor itself.

        >>> rg.Tensor([1.0]).cpu()
        Tensor([1.])
        """
        return self

    def to(self, device: Any) -> Self:
        """Return the Tensor itself for "cpu": there is no other device. `astype` sets a dtype.

        Args:
            device: "cpu".

        Returns:
            The Tensor itself.

        Raises:
            AttributeError: for a dtype, which `astype` takes.
            ValueError: for another device.

        >>> rg.Tensor([1.0]).to("cpu")
        Tensor([1.])
        """
        if device_and_dtype("t.to", (device,), None, None) is not None:
            raise AttributeError("a Tensor has no .to(dtype): write t.astype(dtype)")
        return self

    # Gradients

    def backward(
        self, gradient: ArrayLike | Tensor | None = None, retain_graph: bool = False
    ) -> None:
        """Add the gradient of this Tensor to `.grad` of every leaf it was computed from.

        Args:
            gradient: weighs the elements, in the Tensor's shape; a Tensor of one element needs
                none.
            retain_graph: keeps the graph for another `backward`; else it is freed on the way.

        Raises:
            RuntimeError: if nothing here requires grad, if there is more than one element and no
                `gradient`, if the graph is freed, or if a value it needs was written since.
            ValueError: if `gradient` has another shape.

        >>> x = rg.Tensor([1.0, 2.0], requires_grad=True)
        >>> (x * x).backward(np.array([1.0, 10.0]))
        >>> x.grad
        array([ 2., 40.])
        """
        _Above.backward(self, gradient, retain_graph)

    def retain_grad(self) -> Self:
        """Make `backward` fill `.grad` here too, though this is no leaf.

        Returns:
            The Tensor itself.

        Raises:
            RuntimeError: if it does not require grad.

        >>> x = rg.Tensor(3.0, requires_grad=True)
        >>> y = (x * 2).retain_grad()
        >>> (y * y).backward()
        >>> float(y.grad), float(x.grad)
        (12.0, 24.0)
        """
        if not self.requires_grad:
            raise RuntimeError("retain_grad of a Tensor that does not require grad")
        if self._call is not None:
            self._retains |= RETAINS
        return self

    def register_hook(self, hook: Callable[[Any], Any]) -> Handle:
        """Let a function see the gradient of this Tensor whenever it is computed.

        It is called once in each reverse pass that comes here, as soon as the gradient is complete
        and before it goes on: to what this Tensor was computed from, and into `.grad`. What it
        returns takes the place of the gradient, None leaves it. Several are called in the order in
        which they were registered, each with what the one before has left.

        A hook is PyTorch's, but it gets an array, which it must not write into. Where gradients are
        recorded (`create_graph=True`) it gets a Tensor. A recorded program would not call it:
        `rg.compile` refuses it by name.

        Args:
            hook: a function of the gradient, an array of this Tensor's shape. It returns None, or
                an array of that shape.

        Returns:
            A handle; its `remove()` takes the hook off again.

        Raises:
            RuntimeError: if this Tensor does not require grad; and from the reverse pass, if the
                hook returns another shape.
            TypeError: if the hook cannot be called.

        >>> x = rg.Tensor(3.0, requires_grad=True)
        >>> y = x * x
        >>> handle = y.register_hook(lambda g: print("arrives:", g))
        >>> _ = x.register_hook(lambda g: np.clip(g, -1.0, 1.0))
        >>> (2 * y).backward()
        arrives: 2.0
        >>> x.grad
        array(1.)
        """
        return add_hook(self, hook)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Make this leaf require a gradient, or not.

        Args:
            requires_grad: whether it does from now on.

        Returns:
            The Tensor itself.

        Raises:
            RuntimeError: if it is no leaf.
            TypeError: if its dtype is not floating.

        >>> rg.Tensor([1.0]).requires_grad_()
        Tensor([1.], requires_grad=True)
        """
        if self._call is not None:
            raise RuntimeError("requires_grad_ is for leaves; use detach() to leave the graph")
        if requires_grad:
            check_floating(self._array)
        self.requires_grad = bool(requires_grad)
        return self

    # Copies

    def __reduce__(self) -> Any:
        escape("a pickled Tensor", self)
        self._check_copyable()
        made = type(self), self._array, self.requires_grad, self.grad
        return _restored, made, (None, self._own())

    def _check_copyable(self) -> None:
        if self._call is not None:
            raise RuntimeError(
                "a Tensor with a graph cannot be copied or pickled: use t.detach(), or t.data"
            )

    def _own(self) -> dict[str, Any]:
        """Return its name and the attributes that a derived class has put in."""
        own = dict(getattr(self, "__dict__", {}))
        if self.name is not None:
            own["_name"] = self.name
        for cls in type(self).__mro__[: -len(Tensor.__mro__)]:
            names = getattr(cls, "__slots__", ())
            own |= {name: getattr(self, name) for name in names if hasattr(self, name)}
        return own

    def __copy__(self) -> Self:
        return self._copied(lambda value: value)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        out = memo[id(self)] = self._copied(lambda value: copy.deepcopy(value, memo))
        return out

    def _copied(self, part: Callable[[Any], Any]) -> Self:
        self._check_copyable()
        grad = None if self._grad is None and not self.requires_grad else self.grad
        copy_of_grad = None if grad is None else copied(as_array(grad))
        out = _restored(type(self), copied(self._array), self.requires_grad, copy_of_grad)
        tell("leaf made", out, None)
        for name, value in self._own().items():
            setattr(out, name, part(value))
        return cast("Self", out)

    # NumPy's two doors

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **kwargs: Any) -> Any:
        if method != "__call__":
            return _Above.answer_method(ufunc, method, args, kwargs)
        rule = RULES.get(ufunc)
        if rule is None or kwargs or len(args) != rule.arrays or not rule.differentiable:
            return _Above.answer(ufunc, args, kwargs)
        return run(rule, args, {})

    def __array_function__(
        self, fn: Callable[..., Any], types: Any, args: Any, kwargs: dict[str, Any]
    ) -> Any:
        return _Above.answer(fn, args, kwargs)

    # Indexing

    def __getitem__(self, index: Any) -> Tensor:
        if self._stamp is not None and self._stamp.__class__ is not list:
            return _Above.read(self, plain(index))
        return run(RULES[operator.getitem], (self, plain(index)), {})

    def __setitem__(self, index: Any, value: Any) -> None:
        if current_mode().grad or self._call is not None or was_written(self):
            _Above.write(self, index, value)
            return
        self._check_own()
        if current_mode().records:
            self._record_write(index, value)
        else:
            self._array[plain(index)] = plain(value)
        touch(self)

    def _record_write(self, index: Any, value: Any) -> None:
        """Write into a part of this Tensor so that a program does it again."""
        parts = index if isinstance(index, tuple) else (index,)
        if is_basic_index(index):
            target = self
            if not (len(parts) == 1 and parts[0] is ...):
                # with an ellipsis it is a view also where a single element is meant
                has_dots = any(part is ... for part in parts)
                target = record(operator.getitem, self, parts if has_dots else (*parts, ...))
            tell("write", np.copyto, target, value)
        elif len(parts) == 1 and _is_mask(index) and np.ndim(value) == 0:
            mask = index[(..., *[None] * (self.ndim - index.ndim))]
            tell("write", np.copyto, self, record(np.where, mask, value, self))
        else:
            tell("write", operator.setitem, self, value, plain(index))

    def _check_own(self) -> None:
        if self._stamp is not None and len(self._stamp) > 1:
            raise TypeError(
                "this Tensor shares the memory of a recorded value, whose gradient would be "
                "wrong after a write: take a copy first, t.detach().copy()"
            )

    def _update(self, ufunc: np.ufunc, other: Any) -> Tensor:
        """Answer `x += y`: a new Tensor, or under no_grad a write into the memory of a leaf."""
        mode = current_mode()
        if mode.grad or self._call is not None:
            if self._call is None and self.requires_grad:
                raise TypeError(
                    "an update in place of a leaf that requires grad would make a new Tensor and "
                    "leave the leaf as it is: write `with rg.no_grad():` around it, or x = x + y "
                    "where a new Tensor is meant"
                )
            tell("replace", self)
            return record(ufunc, self, other)
        if was_written(self):
            _Above.write(self, ..., record(ufunc, self, other))
            return self
        self._check_own()
        if mode.records:
            tell("write", ufunc, self, other)
        else:
            ufunc(self._array, plain(other), out=self._array)
        touch(self)
        return self

    # Operators
    # fmt: off

    def __add__(self, y: Any) -> Tensor: return run(RULES[np.add], (self, y), {})
    def __radd__(self, x: Any) -> Tensor: return run(RULES[np.add], (x, self), {})
    def __iadd__(self, y: Any) -> Tensor: return self._update(np.add, y)
    def __sub__(self, y: Any) -> Tensor: return run(RULES[np.subtract], (self, y), {})
    def __rsub__(self, x: Any) -> Tensor: return run(RULES[np.subtract], (x, self), {})
    def __isub__(self, y: Any) -> Tensor: return self._update(np.subtract, y)
    def __mul__(self, y: Any) -> Tensor: return run(RULES[np.multiply], (self, y), {})
    def __rmul__(self, x: Any) -> Tensor: return run(RULES[np.multiply], (x, self), {})
    def __imul__(self, y: Any) -> Tensor: return self._update(np.multiply, y)
    def __truediv__(self, y: Any) -> Tensor: return run(RULES[np.divide], (self, y), {})
    def __rtruediv__(self, x: Any) -> Tensor: return run(RULES[np.divide], (x, self), {})
    def __itruediv__(self, y: Any) -> Tensor: return self._update(np.divide, y)
    def __matmul__(self, y: Any) -> Tensor: return run(RULES[np.matmul], (self, y), {})
    def __rmatmul__(self, x: Any) -> Tensor: return run(RULES[np.matmul], (x, self), {})
    def __pow__(self, y: Any) -> Tensor: return _power(self, y)
    def __rpow__(self, x: Any) -> Tensor: return run(RULES[np.power], (x, self), {})
    def __ipow__(self, y: Any) -> Tensor: return self._update(np.power, y)
    def __mod__(self, y: Any) -> Tensor: return run(RULES[np.remainder], (self, y), {})
    def __rmod__(self, x: Any) -> Tensor: return run(RULES[np.remainder], (x, self), {})
    def __floordiv__(self, y: Any) -> Tensor: return run(RULES[np.floor_divide], (self, y), {})
    def __rfloordiv__(self, x: Any) -> Tensor: return run(RULES[np.floor_divide], (x, self), {})
    def __neg__(self) -> Tensor: return run(RULES[np.negative], (self,), {})
    def __pos__(self) -> Tensor: return self
    def __abs__(self) -> Tensor: return run(RULES[np.abs], (self,), {})
    def __invert__(self) -> Tensor: return run(RULES[np.invert], (self,), {})
    def __and__(self, y: Any) -> Tensor: return run(RULES[np.bitwise_and], (self, y), {})
    def __or__(self, y: Any) -> Tensor: return run(RULES[np.bitwise_or], (self, y), {})
    def __xor__(self, y: Any) -> Tensor: return run(RULES[np.bitwise_xor], (self, y), {})
    def __rand__(self, x: Any) -> Tensor: return run(RULES[np.bitwise_and], (x, self), {})
    def __ror__(self, x: Any) -> Tensor: return run(RULES[np.bitwise_or], (x, self), {})
    def __rxor__(self, x: Any) -> Tensor: return run(RULES[np.bitwise_xor], (x, self), {})
    def __lt__(self, y: Any) -> Tensor: return run(RULES[np.less], (self, y), {})
    def __le__(self, y: Any) -> Tensor: return run(RULES[np.less_equal], (self, y), {})
    def __gt__(self, y: Any) -> Tensor: return run(RULES[np.greater], (self, y), {})
    def __ge__(self, y: Any) -> Tensor: return run(RULES[np.greater_equal], (self, y), {})
    def __eq__(self, y: object) -> Tensor: return run(RULES[np.equal], (self, y), {})  # type: ignore[override]
    def __ne__(self, y: object) -> Tensor: return run(RULES[np.not_equal], (self, y), {})  # type: ignore[override]
    __hash__ = object.__hash__

    # Methods, as ndarray has them
    # fmt: on

    @property
    def real(self) -> Tensor:
        """The real parts, as `np.real`: of real numbers these themselves.

        >>> rg.Tensor([1 + 2j, 3.0]).real
        Tensor([1., 3.])
        """
        return np.real(self) if self._array.dtype.kind == "c" else self

    @property
    def imag(self) -> Tensor:
        """The imaginary parts, as `np.imag`: of real numbers zeros.

        >>> rg.Tensor([1 + 2j, 3.0]).imag
        Tensor([2., 0.])
        """
        return np.imag(self)

    def conj(self) -> Tensor:
        """Return the complex conjugate, as `np.conj`.

        Returns:
            A Tensor of the same shape and dtype.

        >>> rg.Tensor([1 + 2j]).conj()
        Tensor([1.-2.j])
        """
        return record(np.conjugate, self)

    conjugate = conj

    @property
    def T(self) -> Tensor:
        """The Tensor with its axes reversed."""
        return run(RULES[np.transpose], (self,), {})

    @property
    def mT(self) -> Tensor:
        """The Tensor with its last two axes exchanged."""
        return record(np.swapaxes, self, axis1=-1, axis2=-2)

    def sum(self, axis: Any = None, keepdims: bool = False, **_words: Any) -> Tensor:
        """Return the sum of the elements, as `np.sum`.

        Args:
            axis: the axis, or axes in a tuple, to go over; None means all.
            keepdims: whether the axes stay, with length 1.

        Returns:
            A Tensor without those axes, or with `keepdims` of length 1 there.

        >>> rg.Tensor([[1.0, 2.0]]).sum(axis=1)
        Tensor([3.])
        """
        if _words:
            refuse_words("Tensor.sum", _words)
        return run(RULES[np.sum], (self,), {"axis": axis, "keepdims": keepdims})

    def mean(self, axis: Any = None, keepdims: bool = False, **_words: Any) -> Tensor:
        """Return the mean of the elements, as `np.mean`.

        Args:
            axis: the axis, or axes in a tuple, to go over; None means all.
            keepdims: whether the axes stay, with length 1.

        Returns:
            A Tensor without those axes, or with `keepdims` of length 1 there.

        >>> rg.Tensor([[1.0, 2.0]]).mean()
        Tensor(1.5)
        """
        if _words:
            refuse_words("Tensor.mean", _words)
        return run(RULES[np.mean], (self,), {"axis": axis, "keepdims": keepdims})

    def max(self, axis: Any = None, keepdims: bool = False, **_words: Any) -> Tensor:
        """Return the largest element, as `np.max`; equal ones share the gradient.

        Args:
            axis: the axis, or axes in a tuple, to go over; None means all.
            keepdims: whether the axes stay, with length 1.

        Returns:
            A Tensor without those axes, or with `keepdims` of length 1 there.

        Raises:
            ValueError: if there are no elements.

        >>> rg.Tensor([[1.0, 2.0]]).max()
        Tensor(2.)
        """
        if _words:
            refuse_words("Tensor.max", _words)
        return record(np.max, self, axis=axis, keepdims=keepdims)

    def min(self, axis: Any = None, keepdims: bool = False, **_words: Any) -> Tensor:
        """Return the smallest element, as `np.min`; equal ones share the gradient.

        Args:
            axis: the axis, or axes in a tuple, to go over; None means all.
            keepdims: whether the axes stay, with length 1.

        Returns:
            A Tensor without those axes, or with `keepdims` of length 1 there.

        Raises:
            ValueError: if there are no elements.

        >>> rg.Tensor([[1.0, 2.0]]).min()
        Tensor(1.)
        """
        if _words:
            refuse_words("Tensor.min", _words)
        return record(np.min, self, axis=axis, keepdims=keepdims)

    def prod(self, axis: Any = None, keepdims: bool = False, **_words: Any) -> Tensor:
        """Return the product of the elements, as `np.prod`.

        Args:
            axis: the axis, or axes in a tuple, to go over; None means all.
            keepdims: whether the axes stay, with length 1.

        Returns:
            A Tensor without those axes, or with `keepdims` of length 1 there.

        >>> rg.Tensor([[2.0, 3.0]]).prod()
        Tensor(6.)
        """
        if _words:
            refuse_words("Tensor.prod", _words)
        return record(np.prod, self, axis=axis, keepdims=keepdims)

    def var(
        self, axis: Any = None, ddof: float = 0, keepdims: bool = False, **_words: Any
    ) -> Tensor:
        """Return the variance of the elements, as `np.var`.

        Args:
            axis: the axis, or axes in a tuple, to go over; None means all.
            ddof: is taken from the number of elements that the squares are divided by.
            keepdims: whether the axes stay, with length 1.

        Returns:
            A Tensor without those axes, or with `keepdims` of length 1 there.

        >>> rg.Tensor([1.0, 3.0]).var(ddof=1)
        Tensor(2.)
        """
        if _words:
            refuse_words("Tensor.var", _words)
        return record(np.var, self, axis=axis, ddof=ddof, keepdims=keepdims)

    def std(
        self, axis: Any = None, ddof: float = 0, keepdims: bool = False, **_words: Any
    ) -> Tensor:
        """Return the standard deviation of the elements, as `np.std`.

        Args:
            axis: the axis, or axes in a tuple, to go over; None means all.
            ddof: is taken from the number of elements that the squares are divided by.
            keepdims: whether the axes stay, with length 1.

        Returns:
            A Tensor without those axes, or with `keepdims` of length 1 there.

        >>> rg.Tensor([1.0, 3.0]).std()
        Tensor(1.)
        """
        if _words:
            refuse_words("Tensor.std", _words)
        return record(np.std, self, axis=axis, ddof=ddof, keepdims=keepdims)

    def argmax(self, axis: int | None = None, keepdims: bool = False, **_words: Any) -> Tensor:
        """Return where the largest element is, as `np.argmax`; it has no gradient.

        Args:
            axis: the axis to go along; None means the elements in their order in memory.
            keepdims: whether the axes stay, with length 1.

        Returns:
            An integer Tensor without that axis.

        Raises:
            ValueError: if there are no elements.

        >>> rg.Tensor([1.0, 5.0, 2.0]).argmax()
        Tensor(1)
        """
        if _words:
            refuse_words("Tensor.argmax", _words)
        return record(np.argmax, self, axis=axis, keepdims=keepdims)

    def argmin(self, axis: int | None = None, keepdims: bool = False, **_words: Any) -> Tensor:
        """Return where the smallest element is, as `np.argmin`; it has no gradient.

        Args:
            axis: the axis to go along; None means the elements in their order in memory.
            keepdims: whether the axes stay, with length 1.

        Returns:
            An integer Tensor without that axis.

        Raises:
            ValueError: if there are no elements.

        >>> rg.Tensor([3.0, 1.0, 2.0]).argmin()
        Tensor(1)
        """
        if _words:
            refuse_words("Tensor.argmin", _words)
        return record(np.argmin, self, axis=axis, keepdims=keepdims)

    def any(self, axis: Any = None, keepdims: bool = False, **_words: Any) -> Tensor:
        """Tell whether any element is not zero, as `np.any`; it has no gradient.

        Args:
            axis: the axis, or axes in a tuple, to go over; None means all.
            keepdims: whether the axes stay, with length 1.

        Returns:
            A boolean Tensor without those axes.

        >>> rg.Tensor([0.0, 2.0]).any()
        Tensor(True)
        """
        if _words:
            refuse_words("Tensor.any", _words)
        return record(np.any, self, axis=axis, keepdims=keepdims)

    def all(self, axis: Any = None, keepdims: bool = False, **_words: Any) -> Tensor:
        """Tell whether all elements are not zero, as `np.all`; it has no gradient.

        Args:
            axis: the axis, or axes in a tuple, to go over; None means all.
            keepdims: whether the axes stay, with length 1.

        Returns:
            A boolean Tensor without those axes.

        >>> rg.Tensor([0.0, 2.0]).all()
        Tensor(False)
        """
        if _words:
            refuse_words("Tensor.all", _words)
        return record(np.all, self, axis=axis, keepdims=keepdims)

    def clip(self, min: Any = None, max: Any = None) -> Tensor:
        """Return the elements moved into bounds, as `np.clip`.

        Args:
            min: the lower bound, a number or an array that broadcasts; None for none.
            max: the upper bound, likewise.

        Returns:
            A Tensor of the shape that all broadcast to.

        >>> rg.Tensor([-1.0, 5.0]).clip(0, 2)
        Tensor([0., 2.])
        """
        return record(np.clip, self, min, max)

    def dot(self, other: Any) -> Tensor:
        """Return the dot product with another array, as `np.dot`.

        Args:
            other: an array or Tensor, whose last axis but one (or only axis) is as long as the last
                here.

        Returns:
            A Tensor; for two vectors 0-d, for two matrices their product.

        Raises:
            ValueError: if the lengths differ.

        >>> rg.Tensor([1.0, 2.0]).dot(np.array([3.0, 4.0]))
        Tensor(11.)
        """
        return _Above.answer(np.dot, (self, other), {})

    def reshape(self, *shape: Any) -> Tensor:
        """Return the elements in another shape, as `ndarray.reshape`.

        Args:
            *shape: lengths of the axes, also in a tuple; one may be -1, which is worked out.

        Returns:
            A Tensor of that shape; it shares the memory where that is possible.

        Raises:
            ValueError: if the elements do not fit.

        >>> rg.Tensor([1.0, 2.0]).reshape(2, 1).shape
        (2, 1)
        """
        shape = shape[0] if len(shape) == 1 else shape
        return run(RULES[np.reshape], (self, shape), {})

    def ravel(self) -> Tensor:
        """Return the elements in one axis, as `ndarray.ravel`.

        Returns:
            A Tensor of one axis; it shares the memory where that is possible.

        >>> rg.Tensor([[1.0], [2.0]]).ravel()
        Tensor([1., 2.])
        """
        return record(np.reshape, self, -1)

    def flatten(self) -> Tensor:
        """Return the elements in one axis: `ravel` by another name.

        Returns:
            A Tensor of one axis.

        >>> rg.Tensor([[1.0], [2.0]]).flatten()
        Tensor([1., 2.])
        """
        return record(np.reshape, self, -1)

    def transpose(self, *axes: Any) -> Tensor:
        """Return the Tensor with its axes in another order, as `ndarray.transpose`.

        Args:
            *axes: the order, also in a tuple; none means reversed.

        Returns:
            A Tensor that shares the memory.

        Raises:
            ValueError: if the axes do not fit.

        >>> rg.Tensor(np.ones((2, 3, 4))).transpose(0, 2, 1).shape
        (2, 4, 3)
        """
        order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes or None
        return record(np.transpose, self, axes=order)

    def swapaxes(self, axis1: int, axis2: int) -> Tensor:
        """Return the Tensor with two axes exchanged, as `np.swapaxes`.

        Args:
            axis1: one of them.
            axis2: the other one.

        Returns:
            A Tensor that shares the memory.

        >>> rg.Tensor(np.ones((2, 3))).swapaxes(0, 1).shape
        (3, 2)
        """
        return record(np.swapaxes, self, axis1=axis1, axis2=axis2)

    def squeeze(self, axis: Any = None, **_words: Any) -> Tensor:
        """Return the Tensor without axes of length 1, as `np.squeeze`.

        Args:
            axis: the axis, or axes in a tuple, to leave out; None means all of length 1.

        Returns:
            A Tensor that shares the memory.

        Raises:
            ValueError: if an axis is longer than 1.

        >>> rg.Tensor([[1.0, 2.0]]).squeeze()
        Tensor([1., 2.])
        """
        if _words:
            refuse_words("Tensor.squeeze", _words)
        return record(np.squeeze, self, axis=axis)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
        """Return the diagonal of matrices, as `np.diagonal`.

        Args:
            offset: how far above the main diagonal.
            axis1: the axis of the rows.
            axis2: the axis of the columns.

        Returns:
            A Tensor without the two axes, with the diagonal as its last.

        >>> rg.Tensor([[1.0, 2.0], [3.0, 4.0]]).diagonal()
        Tensor([1., 4.])
        """
        return _Above.answer(np.diagonal, (self, offset, axis1, axis2), {})

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
        """Return the sum of the diagonal of matrices, as `np.trace`.

        Args:
            offset: how far above the main diagonal.
            axis1: the axis of the rows.
            axis2: the axis of the columns.

        Returns:
            A Tensor without the two axes.

        >>> rg.Tensor([[1.0, 2.0], [3.0, 4.0]]).trace()
        Tensor(5.)
        """
        return _Above.answer(np.trace, (self, offset, axis1, axis2), {})

    def cumsum(self, axis: int | None = None, **_words: Any) -> Tensor:
        """Return the sums so far, as `np.cumsum`.

        Args:
            axis: the axis to go along; None means the elements in their order in memory.

        Returns:
            A Tensor of the same shape; of one axis if `axis` is None.

        >>> rg.Tensor([1.0, 2.0, 3.0]).cumsum()
        Tensor([1., 3., 6.])
        """
        if _words:
            refuse_words("Tensor.cumsum", _words)
        return _Above.answer(np.cumsum, (self, axis), {})

    def cumprod(self, axis: int | None = None, **_words: Any) -> Tensor:
        """Return the products so far, as `np.cumprod`.

        Args:
            axis: the axis to go along; None means the elements in their order in memory.

        Returns:
            A Tensor of the same shape; of one axis if `axis` is None.

        >>> rg.Tensor([1.0, 2.0, 3.0]).cumprod()
        Tensor([1., 2., 6.])
        """
        if _words:
            refuse_words("Tensor.cumprod", _words)
        return _Above.answer(np.cumprod, (self, axis), {})

    def take(
        self, indices: Any, axis: int | None = None, mode: Any = "raise", **_words: Any
    ) -> Tensor:
        """Return the elements at indices, as `np.take`.

        Args:
            indices: whole numbers, of any shape.
            axis: the axis to go along; None means the elements in their order in memory.
            mode: what to do with an index out of bounds: "raise", "wrap" or "clip".

        Returns:
            A Tensor in which `axis` is replaced by the axes of `indices`.

        Raises:
            IndexError: if an index is out of bounds and `mode` is "raise".

        >>> rg.Tensor([1.0, 2.0, 3.0]).take([2, 0])
        Tensor([3., 1.])
        """
        if _words:
            refuse_words("Tensor.take", _words)
        return _Above.answer(np.take, (self, indices, axis), {"mode": mode})

    def repeat(self, repeats: Any, axis: int | None = None, **_words: Any) -> Tensor:
        """Return the elements each repeated, as `np.repeat`.

        Args:
            repeats: how often, a number or one for each along `axis`.
            axis: the axis to go along; None means the elements in their order in memory.

        Returns:
            A Tensor longer along `axis`.

        >>> rg.Tensor([1.0, 2.0]).repeat(2)
        Tensor([1., 1., 2., 2.])
        """
        if _words:
            refuse_words("Tensor.repeat", _words)
        return _Above.answer(np.repeat, (self, repeats, axis), {})

    def compress(self, condition: Any, axis: int | None = None, **_words: Any) -> Tensor:
        """Return the slices where a condition is true, as `np.compress`.

        Args:
            condition: booleans, one for each slice along `axis`.
            axis: the axis to go along; None means the elements in their order in memory.

        Returns:
            A Tensor shorter along `axis`.

        >>> rg.Tensor([1.0, 2.0, 3.0]).compress([True, False, True])
        Tensor([1., 3.])
        """
        if _words:
            refuse_words("Tensor.compress", _words)
        return _Above.answer(np.compress, (condition, self, axis), {})

    def argsort(
        self, axis: int | None = -1, *, stable: bool | None = None, **_words: Any
    ) -> Tensor:
        """Return the indices that sort the elements, as `np.argsort`; they have no gradient.

        Args:
            axis: the axis to go along; None means the elements in their order in memory.
            stable: whether equal elements keep their order.

        Returns:
            An integer Tensor of the same shape.

        >>> rg.Tensor([3.0, 1.0, 2.0]).argsort()
        Tensor([1, 2, 0])
        """
        if _words:
            refuse_words("Tensor.argsort", _words)
        return _Above.answer(np.argsort, (self, axis), {"stable": stable})

    def round(self, decimals: int = 0) -> Tensor:
        """Return the elements rounded, as `np.round`; they have no gradient.

        Args:
            decimals: digits behind the point.

        Returns:
            A Tensor of the same shape.

        >>> rg.Tensor([1.26]).round(1)
        Tensor([1.3])
        """
        return _Above.answer(np.round, (self, decimals), {})

    def astype(self, dtype: DTypeLike) -> Tensor:
        """Return the values in another dtype.

        Args:
            dtype: the dtype; gradients flow between floating ones.

        Returns:
            A Tensor of the same shape.

        >>> rg.Tensor([1.0]).astype(np.float32).dtype
        dtype('float32')
        """
        return record(astype, self, np.dtype(dtype))

    def copy(self) -> Tensor:
        """Return the values in memory of their own; the gradient flows through.

        Returns:
            A Tensor of the same shape.

        >>> rg.Tensor([1.0]).copy()
        Tensor([1.])
        """
        return record(np.copy, self)


# Tensor and the classes derived from it. A class is looked up here where it counts: `isinstance`
# takes three times as long for an array, since the class of Tensor is not `type`.
TENSORS: set[type] = {Tensor}

# Types of arguments and results, for signatures. `TensorLike` is an array or a Tensor: it has a
# shape and a dtype. (Where numbers and lists do as well, write `ArrayLike | Tensor`.) `TensorT` is
# for functions that give an array for an array and a Tensor for a Tensor, as most do: used for the
# argument and for the result, it tells a type checker which of the two comes out.
TensorLike: TypeAlias = Tensor | Array
TensorT = TypeVar("TensorT", Tensor, Array, TensorLike)


# Making Tensors


def as_array(data: Any) -> Array:
    """Return `data` as a numeric array; a Tensor or an array gives its own memory."""
    return data._array if isinstance(data, Tensor) else numeric_array(data)


def copied(array: Array) -> Array:
    """Return a copy of an array; in a recording it is a call like any other."""
    if not is_recording():
        return array.copy()
    made: Array = tell("call", RULES[np.copy], (array,), (array,), {})
    return made


def check_detached(name: str, data: Tensor, requires_grad: bool) -> None:
    """Raise RuntimeError where a Tensor of `data` would lose the gradient without a word."""
    if current_mode().grad and (data._call is not None or not requires_grad):
        instead = "t.detach().requires_grad_()" if requires_grad else "t.detach()"
        raise RuntimeError(
            f"{name}(t) of a Tensor that requires grad would leave its graph, and lose the "
            f"gradient: write t itself, t.copy() for memory of its own, or {instead} to leave it"
        )


def has_grad(t: Tensor) -> bool:
    """Tell whether a Tensor has a gradient; a recording hears of the question."""
    return bool(tell("has grad", t)) if is_recording() else t._grad is not None


def wrap(array: Array) -> Tensor:
    """Return a Tensor of the array as it is: no checks, no copy, no gradient."""
    t = _new(Tensor)
    t._array = array
    t._grad = t._stamp = t._call = None
    t.requires_grad = False
    return t


def _restored(kind: type[Tensor], data: Array, requires_grad: bool, grad: Array | None) -> Tensor:
    """Return a leaf that was copied or pickled."""
    t = _new(kind)
    t._array, t._grad, t.requires_grad = data, grad, requires_grad
    t._stamp = t._call = None
    return t


def is_basic_index(index: Any) -> bool:
    """Tell whether an index picks a block of elements: whole numbers, slices, `...` and None."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is None or part is ... or _is_basic(part) for part in parts)


def _is_basic(index: Any) -> bool:
    return isinstance(index, (slice, int, np.integer)) and not isinstance(index, bool)


def _is_mask(index: Any) -> bool:
    return isinstance(index, (np.ndarray, Tensor)) and index.dtype == np.bool_


def plain(value: Any) -> Any:
    """Return `value` with its Tensors, also those in lists and tuples, as arrays."""
    if isinstance(value, Tensor):
        if current_mode().records:
            tell("unwrapped", value)
        return value._array
    if isinstance(value, (list, tuple)):
        return type(value)(plain(v) for v in value)
    return value


_DATA_STAYS = (
    "the next run has another value. Return the Tensor and read it after the step; change it under "
    "rg.no_grad(), p -= lr * p.grad or p[...] = value."
)


def holds_tensors(data: Any) -> bool:
    """Tell whether there is a Tensor somewhere in nested lists and tuples."""
    if isinstance(data, (list, tuple)):
        return any(map(holds_tensors, data))
    return isinstance(data, Tensor)


def holds_gradients(data: Any) -> bool:
    """Tell whether a Tensor somewhere in nested lists and tuples requires grad."""
    if isinstance(data, (list, tuple)):
        return any(map(holds_gradients, data))
    return isinstance(data, Tensor) and data.requires_grad


_STAYS_A_TENSOR = (
    "the next run has another value. Return the Tensor and read it after the step; "
    "np.where(condition, x, y) branches on values; what a step writes into must be a Tensor too: "
    "t[...] = value under rg.no_grad()."
)
_NO_ARRAY_OF_IT = (
    "an array outside that is indexed by a Tensor, or computed with one by a function that knows "
    "no Tensors, must be a Tensor too: X = rg.Tensor(X) once, outside. Otherwise " + _STAYS_A_TENSOR
)
INSTEAD_OF_A_NUMBER = (
    "Write t.item() for the number alone; np.sin and the like for math.sin; np.stack, or a write "
    "into a Tensor, to build an array of several"
)


def _frames_of_libraries() -> int:
    """Return how many frames up the user's line is, for `warnings.warn` in the caller."""
    frame, count = sys._getframe(2), 2
    while frame.f_back is not None and is_of_library(frame):
        frame, count = frame.f_back, count + 1
    return count


# Stamps: when the memory of a Tensor was last written in place


def touch(*written: Tensor) -> None:
    """Stamp Tensors whose memory is written, so that `backward` refuses older calls on them."""
    CLOCK.write(stamps(written))


def stamps(tensors: Iterable[Tensor]) -> list[list[int]]:
    """Return the stamps of Tensors, the same lists that they keep, made where they had none."""
    for t in tensors:
        if t._stamp is None:
            t._stamp = [0]
    return [cast("list[int]", t._stamp) for t in tensors]


def was_written(t: Tensor) -> bool:
    """Tell whether a Tensor, or what it is a view of, was written in a recorded way."""
    return t._stamp is not None and t._stamp.__class__ is not list


def _share_stamp(view: Tensor, of: Tensor) -> None:
    stamp: Any = of._stamp
    if stamp is None:
        # Rules read the output of a recorded call, so its memory must never be written: a second
        # entry says so, which `_check_own` looks for.
        stamp = of._stamp = [0] if of._call is None else [0, 1]
    elif stamp.__class__ is not list:  # it was written in a recorded way
        stamp.add(view, of)
        stamp = of._stamp
    view._stamp = stamp


def share_memory(view: Tensor, out: Array, args: tuple[Any, ...]) -> None:
    """Let a Tensor share the stamp of the argument whose memory its array `out` looks at.

    The first will do: arguments of the same memory share a stamp already.
    """
    base = out if out.base is None else out.base
    for a in args:
        if isinstance(a, Tensor) and (a._array is base or getattr(a._array, "base", None) is base):
            _share_stamp(view, a)
            return


# Versions: what a Tensor was before a write into it that was recorded


class Version(NamedTuple):
    """What a Tensor was for the calls that were recorded before a write into it.

    Args:
        order: of the call that made it, 0 for a leaf.
        find: returns it, or None where it is gone: its graph was freed, and nothing needs it.
        requires_grad: whether it does.
    """

    order: int
    find: Callable[[], Tensor | None]
    requires_grad: bool


def as_recorded(t: Tensor) -> Any:
    """Return the call behind a Tensor, with arguments as they were when it was recorded."""
    call: Any = t._call
    if call[1] is None or CLOCK.last_write <= t._order:
        return call
    inputs = [_version(a, t._order) if isinstance(a, Tensor) else a for a in call[1]]
    if any(a is not given for a, given in zip(inputs, call[1], strict=True)):
        call = t._call = (call[0], tuple(inputs), *call[2:])
    return call


def _version(t: Tensor, order: int) -> Tensor:
    """Return what a Tensor was for a call of this order."""
    versions = getattr(t, "_versions", None)
    if versions is None or t._order <= order:
        return t
    version = versions[bisect.bisect_right(versions, order, key=operator.itemgetter(0)) - 1]
    found: Tensor | None = version.find()
    if found is None:
        found = wrap(np.zeros(()))
        if version.requires_grad:
            found.requires_grad = True
            found._call = Rule(_version).freed
            found._order = found._retains = 0
    return found


# Recording

_new = object.__new__
_tick = CLOCK.tick
_ndarray = np.ndarray
_float64, _float32 = np.dtype(np.float64), np.dtype(np.float32)


def record(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Tensor:
    """Run `fn`, arrays by position and all else as its rule has it, and keep the call if need be.

    The call is kept if an argument requires grad, `fn` has a gradient and the mode says so.
    Errors of `fn` itself get a note of what was called with which shapes.
    """
    return run(RULES[fn], args, kwargs)


def run(rule: Rule, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """Do what `record` does, for a rule that is at hand; several Tensors if it returns several."""
    arrays: Any = []
    needs = False
    for a in args:
        cls = a.__class__
        if cls is Tensor or cls in TENSORS:
            if a.requires_grad:
                needs = True
            a = a._array
        elif cls is list or cls is tuple:
            i = len(arrays)
            is_array = rule.takes_array(i)
            if (is_array or not rule.differentiable) and holds_tensors(a):
                return run(rule, (*args[:i], _Above.nest(a), *args[i + 1 :]), kwargs)
            if is_array:
                return run(rule, (*args[:i], np.asarray(a), *args[i + 1 :]), kwargs)
        arrays.append(a)
    arrays = tuple(arrays)
    mode = current_mode()
    try:
        if mode.tell is not None:
            out = mode.tell("call", rule, args, arrays, kwargs)
        elif kwargs:
            out = rule.run(*arrays, **kwargs)
        else:
            out = rule.run(*arrays)
    except Exception as error:
        error.add_note(f"in {describe(rule, arrays, kwargs)}")
        raise
    return keep((rule, args, arrays, kwargs), out, needs, mode)


def keep(
    call: tuple[Rule, tuple[Any, ...], tuple[Any, ...], dict[str, Any]],
    out: Any,
    needs: bool,
    mode: Mode,
) -> Tensor:
    """Return the output of a call as a Tensor, which keeps the call if a gradient may be wanted.

    Args:
        call: the rule of the function that was called, its arguments as given, its arguments as
            arrays, and its keywords.
        out: what it returned.
        needs: whether an argument requires grad.
        mode: the mode it ran in.
    """
    t = _new(Tensor)
    t._grad = t._stamp = None
    rule = call[0]
    if out.__class__ is not _ndarray:
        if rule.multi:
            return cast("Tensor", _several(t, call, out, needs and mode.grad))
        out = unmasked(out)
    t._array = out
    # a view, or the first argument as it came; a user's function may return any of its arguments
    if out.base is not None or out is call[2][0] or not rule.trusted:
        share_memory(t, out, call[1])
    dtype = out.dtype
    if dtype is not _float64 and dtype is not _float32:
        needs = _is_floating(rule, dtype) and needs
        if dtype.kind == "c":
            rule = rule.conjugated()
            call = (rule, *call[1:])
    if needs and mode.grad and rule.differentiable:
        t.requires_grad = True
        t._call = call
        t._order = _tick()
        t._retains = 0
    else:
        t.requires_grad = False
        t._call = None
    return t


def _is_floating(rule: Rule, dtype: np.dtype[Any]) -> bool:
    """Tell whether a result can have a gradient; TypeError where no Tensor can hold it."""
    if dtype.kind not in "fiubc":
        raise TypeError(f"the result of {rule.title} is no array of numbers")
    return dtype.kind in "fc"


def _several(whole: Tensor, call: Any, outs: Any, needs: bool) -> Any:
    """Return the outputs of a call that has several, each picked from the one that has them all.

    That one is a Tensor which no user sees: its "array" is the tuple of all outputs.
    """
    rule = call[0]
    whole._array = outs
    whole.requires_grad = needs and rule.differentiable
    whole._call = None
    if whole.requires_grad:
        if any(np.iscomplexobj(out) for out in outs):
            call = (rule.conjugated(), *call[1:])
        whole._call = call
        whole._order = CLOCK.tick()
        whole._retains = 0
    picked = [record(pick, whole, i) for i in range(len(outs))]
    return outs._make(picked) if hasattr(outs, "_make") else tuple(picked)


# Functions that stand for what Tensors do by a method or an operator


def astype(x: Any, dtype: np.dtype[Any]) -> Any:
    """Return the array or Tensor in another dtype."""
    return x.astype(dtype)


def _power(x: Tensor, y: Any) -> Tensor:
    # `x**2` and `x**0.5` of an array are a square and a root; `np.power(x, 2)` takes longer
    if type(y) is float or type(y) is int:
        if y == 2 and (type(y) is int or x.dtype.kind in "fc"):
            return record(np.square, x)
        if y == 0.5:
            return record(np.sqrt, x)
    return record(np.power, x, y)


def pick(outs: Any, i: int) -> Any:
    """Return one output of a function that has several."""
    return outs[i]


class Parts:
    """The gradient of a call that has several outputs: a part for each, or None."""

    base = None  # as an array has it: the reverse pass asks whether it may add in place

    def __init__(self, parts: list[Any]) -> None:
        self.parts = parts

    def __add__(self, other: Parts) -> Parts:
        pairs = zip(self.parts, other.parts, strict=True)
        return Parts([x if y is None else y if x is None else total(x, y) for x, y in pairs])

    def unwrapped(self) -> Parts:
        """Return the arrays of parts that are Tensors."""
        return Parts([None if part is None else borrowed(part._array) for part in self.parts])

    def full(self, outs: Any) -> WholeParts:
        """Return the parts, zeros where there is none; arrays that are not to be written into."""
        pairs = zip(outs, self.parts, strict=True)
        whole = (np.zeros_like(o) if part is None else part for o, part in pairs)
        found = WholeParts(borrowed(g) if isinstance(g, _ndarray) else g for g in whole)
        found.came = tuple(part is not None for part in self.parts)
        return found


class WholeParts(tuple[Any, ...]):
    """What a rule gets as `g`: the gradients of all outputs.

    Attributes:
        came: for each output, whether a gradient came to it; if not, its part is zeros.
    """

    came: tuple[bool, ...]


def borrowed(g: Array) -> Array:
    """Return a gradient that something else refers to, marked so: the walk never writes a view."""
    return g.view()


def total(x: Any, y: Any) -> Any:
    """Return the sum of two gradients; NumPy gives a scalar for 0-d arrays."""
    out = x + y
    return np.asarray(out) if isinstance(out, np.generic) else out


def _astype_dx(g: Any, out: Any, x: Any, dtype: Any) -> Any:
    return g.astype(np.result_type(x.dtype, g.dtype) if g.dtype.kind == "c" else x.dtype)


def _pick_douts(g: Any, out: Any, outs: Any, i: int) -> Any:
    return Parts([g if k == i else None for k in range(len(outs))])


defvjp(astype, _astype_dx)
defvjp(pick, _pick_douts, analytic=False)
