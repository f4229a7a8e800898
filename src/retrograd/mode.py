"""Whether calls are recorded, and where: one `Mode` for each thread and task."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

import numpy as np

if TYPE_CHECKING:
    from retrograd.core import Tensor
    from retrograd.registry import Rule

F = TypeVar("F", bound=Callable[..., Any])


class Tape(Protocol):
    """What `record` asks of the tape while a function is being compiled."""

    def within(self, section: str) -> contextlib.AbstractContextManager[None]:
        """Note that what follows is a section of the program: forward, backward, update."""

    def call(self, rule: Rule, args: Any, arrays: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Run one call and write it down."""

    def write(self, ufunc: Callable[..., Any], target: Tensor, other: Any) -> None:
        """Run an in-place call on the array of `target` and write it down."""

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Tensor:
        """Draw from [0, 1) and write it down."""

    def forbid(self, what: str, why: str = ...) -> NoReturn:
        """Raise: `what` reads a value that will be another one at the next replay."""

    def guard(self, module: Any) -> None:
        """Take note that a Module was asked whether it is being trained."""

    def done(self, module: Any, output: Any) -> None:
        """Take note of the output of a Module."""

    def cleared(self, leaf: Tensor) -> None:
        """Take note that the gradient of a leaf is replaced."""

    def grad_of(self, leaf: Tensor) -> Any:
        """Return the gradient of a leaf as an array that the tape knows."""

    def gradient(self, of: Tensor, g: Tensor) -> None:
        """Take note of which Tensor a gradient belongs to."""

    def update(self, optimizer: Any, group: dict[str, Any], bucket: Any, g: Any) -> None:
        """Run one update of an optimizer and write it down."""


class Mode:
    """What `record` does besides computing: keep calls for gradients, write a tape.

    `left` takes the names of the ways by which values leave the graph, where somebody asks.
    """

    __slots__ = ("grad", "left", "tape")

    def __init__(self, grad: bool, tape: Tape | None = None, left: list[str] | None = None) -> None:
        self.grad = grad
        self.tape = tape
        self.left = left


# A ContextVar: threads and asyncio tasks do not see each other's mode.
MODE: ContextVar[Mode] = ContextVar(
    "retrograd_mode",
    default=Mode(True),  # noqa: B039, nobody changes a Mode: another one is set
)


# What is being recorded in any thread: in between, nobody need ask each thread for its tape.
TAPES: list[Tape] = []


def unrecorded(what: str) -> None:
    """Raise TraceError if what calls this is being compiled: its writes are not recorded."""
    tape = MODE.get().tape
    if tape is not None:
        tape.forbid(what, "a program would not do it again: call it before or after the step.")


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
        self._tokens.append(MODE.set(Mode(self._grad, MODE.get().tape)))

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

    >>> x = rg.Tensor(2.0, requires_grad=True)
    >>> with rg.no_grad():
    ...     print((x * x).requires_grad)
    False
    """

    _grad = False


class enable_grad(_GradMode):
    """Record calls for gradients again, inside a `no_grad`.

    >>> x = rg.Tensor(2.0, requires_grad=True)
    >>> with rg.no_grad(), rg.enable_grad():
    ...     print((x * x).requires_grad)
    True
    """

    _grad = True


class set_grad_enabled(_GradMode):
    """Record calls for gradients or not, from now on; as a context, until its end.

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
        pass

    def __call__(self, func: F) -> F:
        raise TypeError("set_grad_enabled acts at once; decorate with no_grad() or enable_grad()")


def is_grad_enabled() -> bool:
    """Tell whether calls are recorded for gradients in this thread or task."""
    return MODE.get().grad
