"""`rg.compile`, and the Module that it makes of a Module."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, overload

from retrograd.compiler.step import CompiledStep
from retrograd.nn.module import Module


class CompiledModule(CompiledStep, Module):
    """A Module whose calls run programs; all else it has from the Module that it was made of.

    Args:
        fn: the Module.
        replay_first: as for `CompiledStep`.
        target: likewise.

    >>> model = rg.compile(rg.nn.Linear(2, 1))
    >>> [name for name, _ in model.named_parameters()]
    ['weight', 'bias']
    >>> model(np.ones((3, 2))).shape
    (3, 1)
    """

    def __init__(
        self, fn: Callable[..., Any], replay_first: bool = False, target: str = "numpy"
    ) -> None:
        super().__init__(fn, replay_first, target)
        self.is_made = True

    def __getattr__(self, name: str) -> Any:
        if "fn" not in vars(self):
            raise AttributeError(name)
        return getattr(self.fn, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in vars(self) or "is_made" not in vars(self):
            object.__setattr__(self, name, value)
        else:
            setattr(self.fn, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.fn, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(self.fn)})

    def __repr__(self) -> str:
        return repr(self.fn)

    def __getitem__(self, index: Any) -> Any:
        return self.fn[index]  # type: ignore[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fn)  # type: ignore[call-overload, no-any-return]

    def __len__(self) -> int:
        return len(self.fn)  # type: ignore[arg-type]

    def __bool__(self) -> bool:
        return True


def _hand_on(name: str) -> property:
    return property(lambda self: getattr(self.fn, name), doc=getattr(Module, name).__doc__)


# what a Module has from its class, its Parameters and all inside among it, is that of the inner one
for _name in vars(Module):
    if not _name.startswith("__"):
        setattr(CompiledModule, _name, _hand_on(_name))


@overload
def compile(fn: Callable[..., Any], *, target: str = "numpy") -> CompiledStep: ...


@overload
def compile(fn: None = None, *, target: str = "numpy") -> Callable[..., CompiledStep]: ...


def compile(
    fn: Callable[..., Any] | None = None, *, target: str = "numpy"
) -> CompiledStep | Callable[..., CompiledStep]:
    """Compile a function, or a Module, into a NumPy program; a decorator too: `@rg.compile`.

    The first call with arguments of given shapes, dtypes and values runs the function and records
    its NumPy calls: forward, `backward()`, `zero_grad()`, `step()`, clipping. Later ones run these
    calls alone, optimised and with buffers that are there already; the first of them are compared
    with the function.

    What the function finds outside may change between two calls. Arrays, parameters and learning
    rates are read anew in every run. Numbers, options, names, attributes and entries of dicts and
    lists, in the function and in those of yours that it calls, are watched, and so are functions
    of libraries that it names: another value lets the function be recorded anew. A number that
    changes at every call therefore belongs among the arguments, as an array.

    Not everything can be watched. At the calls 4, 8, 16, ... the function is recorded beside its
    program and compared with it; a difference is an error, which names what has changed where that
    can be known, and the next call records anew. Until then these are what they were:

    - an element, or a number computed in NumPy alone, of an array outside of more than 10,000
      elements that is no Tensor (of such an array some 250 elements are watched);
    - entries of lists and dicts with more than 4096, and what is inside the entries of those with
      more than 256;
    - what is read from files or clocks, or comes out of iterators; a cache that is cleared
      (`lru_cache`) matters if what it calls reads such things;
    - methods of NumPy's and this library's classes, and functions that these call themselves, if
      others are put in their place; special methods of your classes, such as `__add__`, likewise;
    - attributes of objects that are written in C and of most classes of Python's library;
    - whether a weak reference still has its object, if that is a Module or an optimizer.

    Since its Python runs only then, a function may not change anything outside besides what it
    updates by recorded calls; what it prints, logs or writes to files comes at these calls alone,
    more than once at the first. What is kept from call to call is in Tensors: written in place
    under `rg.no_grad()`, also at indices, or assigned to where they were,
    `self.h = np.tanh(self.h + x)`, without a graph. Random numbers come from `rg.random.uniform`
    and `normal`, and from Dropout. All arguments that are arrays are Tensors inside: a function
    for which `isinstance(x, np.ndarray)` decides what it computes is refused where it gets arrays.

    Args:
        fn: takes arrays, Tensors, dicts, lists, tuples and dataclasses of them, and hashable
            values, each value a program of its own; also objects of your classes and functions,
            which are watched as what is found outside: another object is another program. It
            returns Tensors, dicts, lists, tuples and dataclasses of them, and plain values.
        target: what computes the program: "numpy", or "c", for which a C compiler must be there.
            Then all becomes C code, compiled once and kept in the user's cache folder, but for
            large products and for what has no form in C (`rg.coverage().not_in_c` lists it): that
            is NumPy's call as before, between its parts. Results may differ by rounding, and
            NumPy's warnings of overflows and invalid values do not come.

    Returns:
        A function that takes the same and returns the same; it has `source`, the program as text,
        and `export(path)`. Of a Module, a Module with the same parameters, `state_dict`, `train`
        and all else. The Tensors that come back are copies. They have no graph if the function
        calls `backward` itself, updates what is trained, or nothing in it requires grad. Else they
        are one recorded call, in which gradients flow to parameters and to arguments: its backward
        pass is a program too, which runs the function once more with what it drew and wrote then.
        (Derivatives of a higher order run the function as it is.) Call it under `rg.no_grad()`
        where no gradient is wanted.

    Raises:
        CompilerNotFoundError: for `target="c"`, if there is no C compiler.
        TypeError: if `fn` cannot be called, is a class, a generator or an async function; when
            called, for arguments that are neither arrays nor hashable, or if the function calls
            `backward` and gets a Tensor that has a graph.
        TraceError: when called, with the line, if the function does what a program cannot do
            again: reads a value (`.item()`, `float(t)`, `if t > 0`), writes into an argument,
            changes something outside or a dict or list that it gets, does something else in its
            second run, or in one to which it is compared later, or for arrays than for Tensors.
        RuntimeError: when called, if a program does not compute what the function does.
        ValueError: if `target` is neither; when called, for `target="c"`, if an argument lies in
            memory that the function writes.

    >>> w = rg.Tensor([1.0, 2.0], requires_grad=True)
    >>> @rg.compile
    ... def step(x):
    ...     loss = np.sum((w * x) ** 2)
    ...     w.grad = None
    ...     loss.backward()
    ...     return loss
    >>> [step(np.ones(2)).item() for _ in range(4)]
    [5.0, 5.0, 5.0, 5.0]
    >>> w.grad
    array([2., 4.])
    """
    if fn is None:
        return functools.partial(compile, target=target)  # for @rg.compile(target="c")
    if isinstance(fn, (classmethod, staticmethod)):
        return type(fn)(CompiledStep(fn.__func__, target=target))
    if isinstance(fn, CompiledStep):
        return fn
    made = CompiledModule if isinstance(fn, Module) else CompiledStep
    return made(fn, target=target)
