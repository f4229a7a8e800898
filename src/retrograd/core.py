"""A `Tensor` is an array plus the NumPy call that made it.

`record` runs a NumPy function and, where a gradient may be wanted, keeps the call. A gradient
rule is NumPy code: handed arrays it computes, handed Tensors it records, so one line a function
gives derivatives of every order.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from retrograd.mode import MODE
from retrograd.registry import RULES, UFUNC_METHODS, Rule, defvjp, load_rest

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray

    Array = NDArray[Any]
else:
    Array = Any

# set by the modules that stand on this one
_backward: Callable[..., None] = print  # retrograd.backward
_answer: Callable[..., Tensor] = print  # type: ignore[assignment] # retrograd.doors

# Recorded order is a topological order, and the stamp of a write compares with it.
clock = itertools.count(1).__next__
last_write = 0


class Elsewhere:
    """A name that others have as a method and a Tensor has not: the error says what to write.

    A `__getattr__` would say so for every name, but makes each attribute three times as slow.
    """

    def __init__(self, name: str, write: str) -> None:
        self.name, self.write = name, write

    def __get__(self, t: Any, owner: Any = None) -> Any:
        if t is None:
            return self
        raise AttributeError(
            f"a Tensor has no attribute {self.name!r}: write {self.write}", name=self.name, obj=t
        )


class Tensor:
    """An array that records the NumPy calls made on it, so that gradients can be computed.

    `data` is anything NumPy makes an array of. An array keeps its dtype; lists of floats and
    Python floats take the default dtype. With `requires_grad` the Tensor is a leaf: it owns a copy
    of its data, `backward` puts its gradient into `.grad`, and its dtype must be floating
    (TypeError). Without, it shares the memory of an array.

    >>> x = rg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> y = np.sum(x ** 2)
    >>> y.backward()
    >>> x.grad
    array([2., 4., 6.])
    """

    # A Tensor holds the arguments it was computed from and is held by nothing it holds: there are
    # no reference cycles.
    __slots__ = (
        "__weakref__", "_array", "_grad", "_parameter", "_retains", "_stamp", "call", "order",
        "requires_grad",
    )  # fmt: skip

    _array: Array  # not _data, which np.ma would take for the values of a masked array
    _grad: Any
    _stamp: list[int] | None  # when the memory was last written in place; shared by views
    requires_grad: bool
    # The call that made it: its rule, the arguments as given and as arrays, the keywords. None for
    # a leaf; once backward has freed it, all but the rule are None.
    call: tuple[Rule, Any, Any, Any] | None
    order: int
    _retains: bool
    _parameter: bool  # there on Parameters only

    def __init__(self, data: ArrayLike | Tensor, requires_grad: bool = False) -> None:
        array = as_array(data)
        if requires_grad:
            check_floating(array)
            array = array.copy()
        self._array = array
        self._grad = self._stamp = self.call = None
        self.requires_grad = bool(requires_grad)
        if isinstance(data, Tensor) and not requires_grad:
            _share_stamp(self, data)

    # What an array tells of itself

    @property
    def data(self) -> Array:
        """The values, as the array itself: writing into it is not seen by `backward`."""
        self._leave("t.data")
        return self._array

    @data.setter
    def data(self, value: ArrayLike) -> None:
        array = as_array(value)
        if self.call is not None:
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
        """The gradient `backward` has added up here, an array of the leaf's shape and dtype."""
        grad = self._grad
        if grad is not None and not isinstance(grad, np.ndarray):
            grad = self._grad = grad(self)  # a compiled step hands it over when asked
        tape = MODE.get().tape
        if tape is not None:
            grad = tape.grad_of(self)
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
        tape = MODE.get().tape
        if tape is not None:
            tape.cleared(self)
        self._grad = value

    shape = property(lambda self: self._array.shape, doc="Lengths of the axes.")
    ndim = property(lambda self: self._array.ndim, doc="Number of axes.")
    size = property(lambda self: self._array.size, doc="Number of elements.")
    dtype = property(lambda self: self._array.dtype, doc="Type of the elements.")
    nbytes = property(lambda self: self._array.nbytes, doc="Bytes of the elements.")
    is_leaf = property(lambda self: self.call is None, doc="Whether no recorded call made it.")
    rule = property(lambda self: self.call and self.call[0], doc="The rule of that call.")
    inputs = property(lambda self: self.call and self.call[1], doc="Its arguments as given.")
    args = property(lambda self: self.call and self.call[2], doc="Its arguments as arrays.")
    kwargs = property(lambda self: self.call and self.call[3], doc="Its keywords.")

    def __len__(self) -> int:
        return len(self._array)

    def __iter__(self) -> Iterator[Tensor]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d Tensor: it has one value, t.item()")
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        name = "Parameter" if isinstance(self, Parameter) else "Tensor"
        text = (
            repr(self._array).replace("array", name, 1).replace("\n", "\n" + " " * (len(name) - 5))
        )
        return f"{text[:-1]}, requires_grad=True)" if self.requires_grad else text

    # Ways out: values leave the graph

    def _leave(self, what: str) -> None:
        mode = MODE.get()
        if mode.tape is not None:
            mode.tape.forbid(what)
        if mode.left is not None and self.requires_grad:
            mode.left.append(what)

    def numpy(self) -> Array:
        """Return the values as an array that shares the memory; it has no gradient."""
        self._leave("t.numpy()")
        return self._array

    def item(self) -> Any:
        """Return the one value as a Python number; ValueError if there are more."""
        self._leave("t.item()")
        if self.size != 1:
            raise ValueError(f"t.item() needs one element, shape {self.shape} has {self.size}")
        return self._array.item()

    def tolist(self) -> Any:
        """Return the values as nested Python lists."""
        self._leave("t.tolist()")
        return self._array.tolist()

    def __float__(self) -> float:
        self._leave("float(t)")
        return float(self.item())

    def __int__(self) -> int:
        self._leave("int(t)")
        return int(self.item())

    def __index__(self) -> int:
        self._leave("a Tensor as an index of a Python sequence")
        return operator.index(self._array)

    def __bool__(self) -> bool:
        self._leave("the truth of a Tensor (`if t`, `while t`, `and`, `not`)")
        return bool(self._array)

    def __format__(self, spec: str) -> str:
        if not spec:
            return repr(self)
        self._leave("a formatted Tensor")
        return format(self.item(), spec)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        raise TypeError(
            "a Tensor does not become an array by itself, its gradient would be lost: use "
            "np.stack for a list of Tensors, t.data for the values alone"
        )

    def detach(self) -> Tensor:
        """Return a Tensor of the same memory that gradients do not flow through."""
        out = wrap(self._array)
        _share_stamp(out, self)
        return out

    # Gradients

    def backward(
        self, gradient: ArrayLike | Tensor | None = None, retain_graph: bool = False
    ) -> None:
        """Add the gradient of this Tensor to `.grad` of every leaf it was computed from.

        `gradient` (the Tensor's shape) weighs the elements; a Tensor of one element needs none.
        The graph is freed on the way unless `retain_graph`. Raises RuntimeError if nothing here
        requires grad, if the graph is freed, or if a value it needs was written since.
        """
        _backward(self, gradient, retain_graph)

    def retain_grad(self) -> Tensor:
        """Make `backward` fill `.grad` here too, though this is no leaf; returns the Tensor."""
        if not self.requires_grad:
            raise RuntimeError("retain_grad of a Tensor that does not require grad")
        self._retains = True
        return self

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Make this leaf require a gradient, or not; returns the Tensor."""
        if self.call is not None:
            raise RuntimeError("requires_grad_ is for leaves; use detach() to leave the graph")
        if requires_grad:
            check_floating(self._array)
        self.requires_grad = bool(requires_grad)
        return self

    # Copies

    def __reduce__(self) -> Any:
        if self.call is not None:
            raise RuntimeError(
                "a Tensor with a graph cannot be copied or pickled: use t.detach(), or t.data"
            )
        if type(self) is not Tensor:
            raise TypeError(f"how to copy or pickle a {type(self).__name__}, its class must say")
        kind = Parameter if isinstance(self, Parameter) else Tensor
        return _restore, (kind, self._array, self.requires_grad, self.grad)

    def __copy__(self) -> Tensor:
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        restore, (kind, data, requires_grad, grad) = self.__reduce__()
        out = restore(kind, data.copy(), requires_grad, None if grad is None else grad.copy())
        memo[id(self)] = out
        return cast(Tensor, out)

    # NumPy's two doors

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **kwargs: Any) -> Any:
        if method != "__call__":
            named = UFUNC_METHODS.get((ufunc, method))
            if named is None and load_rest():
                named = UFUNC_METHODS.get((ufunc, method))
            if named is None:
                raise TypeError(f"np.{ufunc.__name__}.{method} of a Tensor has no gradient rule")
            return named(*args, **kwargs)
        rule = RULES.get(ufunc)
        if rule is None or kwargs or len(args) != rule.arrays or not rule.differentiable:
            return _answer(ufunc, args, kwargs)
        return run(rule, args, {})

    def __array_function__(
        self, fn: Callable[..., Any], types: Any, args: Any, kwargs: dict[str, Any]
    ) -> Any:
        return _answer(fn, args, kwargs)

    # Indexing

    def __getitem__(self, index: Any) -> Tensor:
        return record(operator.getitem, self, plain(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        if not self._writable():
            raise TypeError(
                "t[...] = value would change a recorded value: write np.where(mask, value, t), or "
                "do it under rg.no_grad() on a leaf"
            )
        self._check_own()
        tape = MODE.get().tape
        if tape is not None:
            tape.forbid("t[...] = value")
        self._array[plain(index)] = plain(value)
        touch(self)

    def _writable(self) -> bool:
        return self.call is None and not MODE.get().grad

    def _check_own(self) -> None:
        if self._stamp is not None and len(self._stamp) > 1:
            raise TypeError(
                "this Tensor shares the memory of a recorded value, whose gradient would be "
                "wrong after a write: take a copy first, t.detach().copy()"
            )

    def _update(self, ufunc: np.ufunc, other: Any) -> Tensor:
        """`x += y` makes a new Tensor; under no_grad it writes into the memory of a leaf."""
        mode = MODE.get()
        if mode.grad or self.call is not None:
            return record(ufunc, self, other)
        self._check_own()
        if mode.tape is not None:
            mode.tape.write(ufunc, self, other)
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

    # Methods, as ndarray has them: see below for their docstrings

    @property
    def T(self) -> Tensor:
        """The Tensor with its axes reversed."""
        return record(np.transpose, self)

    @property
    def mT(self) -> Tensor:
        """The Tensor with its last two axes exchanged."""
        return record(np.swapaxes, self, axis1=-1, axis2=-2)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        return record(np.sum, self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        return record(np.mean, self, axis=axis, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        return record(np.max, self, axis=axis, keepdims=keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        return record(np.min, self, axis=axis, keepdims=keepdims)

    def prod(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        return record(np.prod, self, axis=axis, keepdims=keepdims)

    def var(self, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Tensor:
        return record(np.var, self, axis=axis, ddof=ddof, keepdims=keepdims)

    def std(self, axis: Any = None, ddof: float = 0, keepdims: bool = False) -> Tensor:
        return record(np.std, self, axis=axis, ddof=ddof, keepdims=keepdims)

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> Tensor:
        return record(np.argmax, self, axis=axis, keepdims=keepdims)

    def argmin(self, axis: int | None = None, keepdims: bool = False) -> Tensor:
        return record(np.argmin, self, axis=axis, keepdims=keepdims)

    def any(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        return record(np.any, self, axis=axis, keepdims=keepdims)

    def all(self, axis: Any = None, keepdims: bool = False) -> Tensor:
        return record(np.all, self, axis=axis, keepdims=keepdims)

    def clip(self, min: Any = None, max: Any = None) -> Tensor:
        return record(np.clip, self, min, max)

    def dot(self, other: Any) -> Tensor:
        return _answer(np.dot, (self, other), {})

    def reshape(self, *shape: Any) -> Tensor:
        """Return the elements in another shape; one length may be -1."""
        return record(np.reshape, self, shape[0] if len(shape) == 1 else shape)

    def ravel(self) -> Tensor:
        return record(np.reshape, self, -1)

    flatten = ravel

    def transpose(self, *axes: Any) -> Tensor:
        """Return the Tensor with its axes in another order, reversed when none is given."""
        order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes or None
        return record(np.transpose, self, axes=order)

    def swapaxes(self, axis1: int, axis2: int) -> Tensor:
        return record(np.swapaxes, self, axis1=axis1, axis2=axis2)

    def squeeze(self, axis: Any = None) -> Tensor:
        return record(np.squeeze, self, axis=axis)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
        return _answer(np.diagonal, (self, offset, axis1, axis2), {})

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
        return _answer(np.trace, (self, offset, axis1, axis2), {})

    def cumsum(self, axis: int | None = None) -> Tensor:
        return _answer(np.cumsum, (self, axis), {})

    def cumprod(self, axis: int | None = None) -> Tensor:
        return _answer(np.cumprod, (self, axis), {})

    def take(self, indices: Any, axis: int | None = None, mode: Any = "raise") -> Tensor:
        return _answer(np.take, (self, indices, axis), {"mode": mode})

    def repeat(self, repeats: Any, axis: int | None = None) -> Tensor:
        return _answer(np.repeat, (self, repeats, axis), {})

    def compress(self, condition: Any, axis: int | None = None) -> Tensor:
        return _answer(np.compress, (condition, self, axis), {})

    def argsort(self, axis: int | None = -1, *, stable: bool | None = None) -> Tensor:
        return _answer(np.argsort, (self, axis), {"stable": stable})

    def round(self, decimals: int = 0) -> Tensor:
        return _answer(np.round, (self, decimals), {})

    def astype(self, dtype: DTypeLike) -> Tensor:
        """Return the values in another dtype; floating dtypes keep the gradient."""
        return record(astype, self, np.dtype(dtype))

    def copy(self) -> Tensor:
        """Return the values in memory of their own; the gradient flows through."""
        return record(np.copy, self)

    # fmt: on


for _name, _method in vars(Tensor).items():
    if _name.isalpha() and callable(_method) and not _method.__doc__:
        _method.__doc__ = f"Return what `numpy.{_name}` gives for this Tensor."

OTHER_WORDS = {  # what PyTorch, or NumPy as a function, calls what a Tensor has by another name
    **{f: f"np.{f}(t)" for f in np.__all__ if isinstance(vars(np).get(f), np.ufunc)},
    "cat": "np.concatenate", "double": "t.astype(np.float64)", "float": "t.astype(np.float32)",
    "masked_fill": "np.where(mask, value, t)", "norm": "np.linalg.norm(t)",
    "permute": "t.transpose(...)", "relu": "nn.functional.relu(t)",
    "sigmoid": "nn.functional.sigmoid(t)", "softmax": "nn.functional.softmax(t, axis)", "t": "t.T",
    "to": "t.astype(dtype)", "unsqueeze": "np.expand_dims(t, axis)", "view": "t.reshape(...)",
}  # fmt: skip
for _name, _write in OTHER_WORDS.items():
    if not hasattr(Tensor, _name):
        setattr(Tensor, _name, Elsewhere(_name, _write))


class _Marked(type):
    """The type of Parameter: its instances are marked Tensors.

    CPython finds attributes several times faster where all objects that come by are of one class.
    """

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, Tensor) and hasattr(value, "_parameter")


class Parameter(Tensor, metaclass=_Marked):
    """A leaf that a `Module` trains: requires grad unless told otherwise.

    >>> rg.nn.Parameter([1.0, 2.0])
    Parameter([1., 2.], requires_grad=True)
    """

    __slots__ = ()

    def __new__(cls, data: ArrayLike | Tensor, requires_grad: bool = True) -> Parameter:
        t = Tensor(data, requires_grad)
        if not requires_grad:
            t = t.copy()
        t._parameter = True
        return cast(Parameter, t)

    def __init_subclass__(cls) -> None:
        raise TypeError(f"{cls.__name__}: Parameter is a mark on a Tensor, not a class to derive")


# making Tensors

_default_dtype: np.dtype[Any] = np.dtype(np.float64)


def set_default_dtype(dtype: DTypeLike) -> None:
    """Set the dtype that lists of floats, Python floats and new parameters take.

    >>> rg.set_default_dtype(np.float32)
    >>> rg.Tensor([0.5]).dtype
    dtype('float32')
    >>> rg.set_default_dtype(np.float64)
    """
    global _default_dtype
    if np.dtype(dtype).kind != "f":
        raise TypeError(f"the default dtype must be floating, not {np.dtype(dtype)}")
    _default_dtype = np.dtype(dtype)


def get_default_dtype() -> np.dtype[Any]:
    """Return the dtype that lists of floats, Python floats and new parameters take."""
    return _default_dtype


def as_array(data: Any) -> Array:
    """Return `data` as a real, numeric array; a Tensor or an array gives its own memory."""
    if isinstance(data, Tensor):
        return data._array
    given = isinstance(data, (np.ndarray, np.generic))
    array = unmasked(data)
    kind = array.dtype.kind
    if kind == "c":
        raise TypeError("complex numbers are not supported: use the real and imaginary parts")
    if kind not in "fiub":
        raise TypeError(f"a Tensor holds numbers, not {array.dtype} (from {type(data).__name__})")
    if kind == "f" and not given and array.dtype != _default_dtype:
        array = array.astype(_default_dtype)
    return array


# The arrays of all Constants, by id: a program has numbers in their place.
NUMBERS: dict[int, Array] = {}


class Constants(dict[Any, Any]):
    """Numbers as 0-d arrays, by dtype: a Python number NumPy takes apart anew in every call.

    >>> zero, one = Constants(0.0, 1.0)[np.dtype(np.float32)]
    >>> one.dtype, one.ndim
    (dtype('float32'), 0)
    """

    def __init__(self, *numbers: float) -> None:
        super().__init__()
        self.numbers = numbers

    def __missing__(self, dtype: Any) -> Any:
        kept = dtype if dtype.kind == "f" else _float64
        made = tuple(np.array(number, kept) for number in self.numbers)
        for array in made:
            array.flags.writeable = False
            NUMBERS[id(array)] = array
        self[dtype] = made
        return made


def unmasked(value: Any) -> Array:
    """Return a value as an array of NumPy's own class; TypeError for a masked one."""
    if isinstance(value, _ndarray) and hasattr(value, "mask"):
        raise TypeError("masked arrays are not supported: write np.where(mask, value, array)")
    return np.asarray(value)


def check_floating(array: Array) -> None:
    """Raise TypeError unless the array's dtype can have a gradient."""
    if array.dtype.kind != "f":
        raise TypeError(
            f"only floating dtypes can require grad, this is {array.dtype}: use .astype(float)"
        )


def wrap(array: Array) -> Tensor:
    """Return a Tensor of the array as it is: no checks, no copy, no gradient."""
    t = _new(Tensor)
    t._array = array
    t._grad = t._stamp = t.call = None
    t.requires_grad = False
    return t


def _restore(kind: type[Tensor], data: Array, requires_grad: bool, grad: Array | None) -> Tensor:
    t = kind(data, requires_grad=requires_grad)
    t._grad = grad
    return t


def touch(*written: Tensor) -> None:
    """Stamp Tensors whose memory is written, so that `backward` refuses older calls on them."""
    renew(stamps(written))


def stamps(tensors: Iterable[Tensor]) -> list[list[int]]:
    """Return the stamps of Tensors, which stay theirs."""
    for t in tensors:
        if t._stamp is None:
            t._stamp = [0]
    return [cast(list[int], t._stamp) for t in tensors]


def renew(stamps: list[list[int]]) -> None:
    """Write the time of now on stamps."""
    global last_write
    now = last_write = clock()
    for stamp in stamps:
        stamp[0] = now


def _share_stamp(view: Tensor, of: Tensor) -> None:
    if of._stamp is None:
        # a second entry marks the memory of a recorded output, which rules read: no writes
        of._stamp = [0] if of.call is None else [0, 1]
    view._stamp = of._stamp


def plain(value: Any) -> Any:
    """Return `value` with its Tensors, also those in lists and tuples, as arrays."""
    if isinstance(value, Tensor):
        return value._array
    if isinstance(value, (list, tuple)):
        return type(value)(plain(v) for v in value)
    return value


# recording

_new = object.__new__
_ndarray = np.ndarray
_float64, _float32 = np.dtype(np.float64), np.dtype(np.float32)


def record(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Tensor:
    """Run `fn`, arrays by position and all else as its rule has it, and keep the call.

    The call is kept if an argument requires grad, `fn` has a gradient and the mode says so.
    Errors of `fn` itself get a note of what was called with which shapes.
    """
    return run(RULES[fn], args, kwargs)


def run(rule: Rule, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """Do what `record` does for the function of a rule; several Tensors if it returns several."""
    arrays: Any = []
    needs = False
    for a in args:
        if isinstance(a, Tensor):
            if a.requires_grad:
                needs = True
            a = a._array
        elif (a.__class__ is list or a.__class__ is tuple) and _is_operand(rule, len(arrays)):
            i = len(arrays)
            return run(rule, (*args[:i], np.asarray(a), *args[i + 1 :]), kwargs)
        arrays.append(a)
    arrays = tuple(arrays)
    mode = MODE.get()
    try:
        if mode.tape is not None:
            out = mode.tape.call(rule, args, arrays, kwargs)
        elif kwargs:
            out = rule.run(*arrays, **kwargs)
        else:
            out = rule.run(*arrays)
    except Exception as error:
        error.add_note(f"in {describe(rule, arrays, kwargs)}")
        raise
    t = _new(Tensor)
    t._grad = t._stamp = None
    if out.__class__ is not _ndarray:
        if rule.multi:
            return cast(Tensor, _several(t, rule, args, arrays, kwargs, out, needs and mode.grad))
        out = unmasked(out)
    t._array = out
    if out.base is not None or out is arrays[0]:
        share_memory(t, out, args)
    dtype = out.dtype
    if dtype is not _float64 and dtype is not _float32 and not floating(rule, dtype):
        needs = False
    if needs and mode.grad and rule.differentiable:
        t.requires_grad = True
        t.call = rule, args, arrays, kwargs
        t.order = clock()
        t._retains = False
    else:
        t.requires_grad = False
        t.call = None
    return t


def _is_operand(rule: Rule, position: int) -> bool:
    return position < rule.arrays and rule.vjps[position] is not None


def floating(rule: Rule, dtype: Any) -> bool:
    """Tell whether a result can have a gradient."""
    if dtype.kind == "c":
        raise TypeError(f"the result of {rule.name} is complex: not supported")
    if dtype.kind not in "fiub":
        raise TypeError(f"the result of {rule.name} is no array of numbers")
    return bool(dtype.kind == "f")


def _several(
    whole: Tensor, rule: Rule, args: Any, arrays: Any, kwargs: Any, outs: Any, needs: bool
) -> Any:
    """Return the outputs of a call that has several, each picked from the one that has them all."""
    whole._array = outs
    whole.requires_grad = needs and rule.differentiable
    whole.call = None
    if whole.requires_grad:
        whole.call = rule, args, arrays, kwargs
        whole.order = clock()
        whole._retains = False
    picked = [record(pick, whole, i) for i in range(len(outs))]
    return outs._make(picked) if hasattr(outs, "_make") else tuple(picked)


def share_memory(view: Tensor, out: Array, args: tuple[Any, ...]) -> None:
    """Let a Tensor and the argument whose memory its array `out` looks at share a stamp."""
    base = out if out.base is None else out.base
    for a in args:
        if isinstance(a, Tensor) and (a._array is base or getattr(a._array, "base", None) is base):
            _share_stamp(view, a)
            return


def describe(rule: Rule | None, args: Any, kwargs: dict[str, Any]) -> str:
    """Return a call as text, with dtypes and shapes for arrays."""
    assert rule is not None
    shown = [f"{a.dtype}{list(a.shape)}" if isinstance(a, _ndarray) else repr(a) for a in args]
    shown += [f"{k}={v!r}" for k, v in kwargs.items()]
    return f"{rule.name}({', '.join(shown)})"


def astype(x: Any, dtype: np.dtype[Any]) -> Any:
    """Return the array or Tensor in another dtype."""
    return x.astype(dtype)


def _power(x: Tensor, y: Any) -> Tensor:
    # NumPy's own shortcuts for these exponents, which np.power itself does not take
    if type(y) is float or type(y) is int:
        if y == 2 and (type(y) is int or x.dtype.kind == "f"):
            return record(np.square, x)
        if y == 0.5:
            return record(np.sqrt, x)
    return record(np.power, x, y)


def pick(outs: Any, i: int) -> Any:
    """Return one output of a function that has several."""
    return outs[i]


class Parts:
    """The gradient of a call that has several outputs: a part for each, or None."""

    base = None

    def __init__(self, parts: list[Any]) -> None:
        self.parts = parts

    def __add__(self, other: Parts) -> Parts:
        pairs = zip(self.parts, other.parts, strict=True)
        return Parts([x if y is None else y if x is None else total(x, y) for x, y in pairs])

    def full(self, outs: Any) -> tuple[Any, ...]:
        """Return the parts, zeros where there is none."""
        pairs = zip(outs, self.parts, strict=True)
        return tuple(np.zeros_like(o) if part is None else part for o, part in pairs)


def total(x: Any, y: Any) -> Any:
    """Return the sum of two gradients; NumPy gives a scalar for 0-d arrays."""
    out = x + y
    return np.asarray(out) if isinstance(out, np.generic) else out


defvjp(astype, lambda g, out, x, dtype: g.astype(x.dtype))
defvjp(pick, lambda g, out, outs, i: Parts([g if k == i else None for k in range(len(outs))]))
