"""Whether calls are recorded, and who is told of them: one `Mode` for each thread and task."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Protocol, TypeVar

import numpy as np

F = TypeVar("F", bound=Callable[..., Any])


class Listener(Protocol):
    """What hears of a run: what `rg.compile` records with, and what only watches.

    One that records is asked for what a program does again; one that watches (`Mode.records` is
    False) hears the same things, but only what it answers to "call", "visit", "module" and
    "compiled" is used.
    """

    def __call__(self, kind: str, *what: Any) -> Any:
        """Take note of one thing that happened, and return what its kind asks for.

        Args:
            kind: one of these, each with what it tells:

                - "call": rule, arguments as given, arguments as arrays, keywords. Runs the call and
                  returns what it returns.
                - "write": ufunc, leaf, other. Writes `ufunc(leaf, other)` into the leaf's array.
                  With `operator.setitem` and an index, it writes `other` there.
                - "is made inside": Tensor that is to become the result of a recorded write. Returns
                  False where it comes from outside of the run, and is written in place.
                - "draw": generator, shape, dtype. Returns a Tensor drawn from [0, 1).
                - "section": name of the part of the program that begins. Returns the one before.
                - "grad": leaf. Returns its gradient.
                - "grad replaced": leaf whose gradient is about to be set.
                - "gradient": Tensor and its gradient, once a reverse pass knows it, and the Tensor
                  whose call's rule has computed that.
                - "update": optimizer, group, bucket, gradient. Updates the bucket.
                - "module": Module, arguments, keywords. Runs the Module and returns its output.
                - "visit": Tensor that a reverse pass comes to, its gradient, its rule. Returns the
                  rule to use.
                - "compiled": compiled function, arguments, keywords. Returns what a call of it
                  gives.
                - "training read": Module that was asked whether it is being trained.
            *what: what is told.
        """


class EscapeObserver(Protocol):
    """Who is asked when a value leaves the graph, as by `t.item()`."""

    def __call__(self, what: str, of: Any, why: str, asked: bool) -> None:
        """Allow it by returning, or raise.

        Args:
            what: how the value leaves, as the user wrote it.
            of: the Tensor whose value it is, or None where there is none.
            why: what to write instead, or "".
            asked: whether that is what the user asked for, as by `t.item()`; not so where a
                function that knows no Tensors makes a number of one, as `math.sin(t)` does.
        """


class Mode:
    """What recording a call does besides computing it. Nobody changes a Mode: another one is set.

    Args:
        grad: whether calls are kept for gradients.
        tell: hears of all that is done; None where nobody listens.
        on_escape: is asked when a value leaves the graph; None where nobody minds.
        records: whether a program is made of what `tell` hears; else it only watches, and all goes
            on as if it did not.
    """

    __slots__ = ("grad", "on_escape", "records", "tell")

    def __init__(
        self,
        grad: bool,
        tell: Listener | None = None,
        on_escape: EscapeObserver | None = None,
        records: bool = True,
    ) -> None:
        self.grad = grad
        self.tell = tell
        self.on_escape = on_escape
        self.records = records and tell is not None

    def with_grad(self, grad: bool) -> Mode:
        """Return this Mode with calls kept for gradients or not."""
        return Mode(grad, self.tell, self.on_escape, self.records)


# A ContextVar: threads and asyncio tasks do not see each other's mode.
MODE: ContextVar[Mode] = ContextVar("retrograd_mode", default=Mode(True))  # noqa: B039
# Bound once: `MODE.get()` would make a method of it at every call.
current_mode = MODE.get


def tell(kind: str, *what: Any) -> Any:
    """Tell whoever listens to this run, and return the answer; None where nobody does."""
    listener = current_mode().tell
    return None if listener is None else listener(kind, *what)


def is_recording() -> bool:
    """Tell whether this run is being recorded for a program."""
    return current_mode().records


class section:
    """Tell a listener that what happens inside belongs to a section of the program: a context.

    Args:
        name: the section.
    """

    __slots__ = ("_before", "_name")

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        self._before = tell("section", self._name)

    def __exit__(self, *error: object) -> None:
        tell("section", self._before)


def escape(what: str, of: Any = None, why: str = "", asked: bool = True) -> None:
    """Say that a value leaves the graph: see `EscapeObserver`."""
    observer = current_mode().on_escape
    if observer is not None:
        observer(what, of, why, asked)


def unrecorded(what: str) -> None:
    """Refuse, in a recording only, what no program would do again; `what` is done here."""
    if is_recording():
        escape(what, None, "a program would not do it again: call it before or after the step.")


class mode_set:
    """Set a Mode for a while: a context.

    It is no generator: an interrupt may cut an exit short, and what is left of a generator would
    run at some later time, when another mode is due.

    Args:
        mode: the Mode.
    """

    __slots__ = ("_mode", "_token")

    def __init__(self, mode: Mode) -> None:
        self._mode = mode

    def __enter__(self) -> None:
        self._token = MODE.set(self._mode)

    def __exit__(self, *error: object) -> None:
        MODE.reset(self._token)


_IN_REHEARSAL: ContextVar[bool] = ContextVar("retrograd_rehearsal", default=False)


class rehearsal:
    """Run programs for comparison only: a context in which nothing is done outside of them.

    What acts on other processes, such as a sum over all of them, stands still in it.
    """

    __slots__ = ("_token",)

    def __enter__(self) -> None:
        self._token = _IN_REHEARSAL.set(True)

    def __exit__(self, *error: object) -> None:
        _IN_REHEARSAL.reset(self._token)


def is_rehearsal() -> bool:
    """Tell whether this run is recorded or compared: its results are not those of the user's call.

    A call of a compiled function may run the function and its program several times, more often in
    one process than in another. What acts on other processes is to happen once in each call.
    """
    return current_mode().records or _IN_REHEARSAL.get()


# what code objects of generators and async functions have set (inspect.CO_GENERATOR and so on)
_RUNS_LATER = 0x20 | 0x80 | 0x200


class _GradMode(contextlib.ContextDecorator):
    _grad: bool

    def __init__(self, *function: Any) -> None:
        if function:
            name = type(self).__name__
            raise TypeError(f"{name} takes no arguments: decorate with @rg.{name}()")
        self._tokens: list[Token[Mode]] = []

    def __call__(self, func: F) -> F:
        if getattr(getattr(func, "__code__", None), "co_flags", 0) & _RUNS_LATER:
            raise TypeError(
                f"{type(self).__name__}() cannot decorate a generator or an async function, whose "
                f"body runs later: write `with rg.{type(self).__name__}():` inside"
            )
        return super().__call__(func)

    def __enter__(self) -> None:
        self._tokens.append(MODE.set(current_mode().with_grad(self._grad)))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        MODE.reset(self._tokens.pop())

    def _recreate_cm(self) -> _GradMode:
        return type(self)()


class no_grad(_GradMode):
    """Do not record calls for gradients: a context (`with rg.no_grad():`) or a decorator.

    Args:
        *function: Nothing. A decorator is written with parentheses: `@rg.no_grad()`.

    Raises:
        TypeError: if it decorates without parentheses, or a generator or an async function, whose
            body would run after the context has ended.

    >>> x = rg.Tensor(2.0, requires_grad=True)
    >>> with rg.no_grad():
    ...     print((x * x).requires_grad)
    False
    """

    _grad = False


class enable_grad(_GradMode):
    """Record calls for gradients again, inside a `no_grad`: a context or a decorator.

    Args:
        *function: Nothing. A decorator is written with parentheses: `@rg.enable_grad()`.

    Raises:
        TypeError: as `no_grad` does.

    >>> x = rg.Tensor(2.0, requires_grad=True)
    >>> with rg.no_grad(), rg.enable_grad():
    ...     print((x * x).requires_grad)
    True
    """

    _grad = True


class set_grad_enabled(_GradMode):
    """Record calls for gradients or not, from now on; as a context, until its end.

    Args:
        mode: whether calls are recorded.

    Raises:
        TypeError: if `mode` is no bool, or if it is used as a decorator.

    >>> with rg.set_grad_enabled(False):
    ...     rg.is_grad_enabled()
    False
    """

    def __init__(self, mode: bool) -> None:
        if not isinstance(mode, (bool, np.bool_)):
            raise TypeError(f"set_grad_enabled takes True or False, not {mode!r}")
        super().__init__()
        self._grad = bool(mode)
        super().__enter__()

    def __enter__(self) -> None:
        pass  # it acts since it was made

    def __call__(self, func: F) -> F:
        raise TypeError("set_grad_enabled acts at once; decorate with no_grad() or enable_grad()")


def is_grad_enabled() -> bool:
    """Tell whether calls are recorded for gradients in this thread or task.

    Returns:
        True, unless inside `no_grad` or after `set_grad_enabled(False)`.

    >>> rg.is_grad_enabled()
    True
    """
    return current_mode().grad
