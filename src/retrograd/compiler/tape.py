"""The tape: every NumPy call of one run of a function, forward, backward and update.

Arrays are known by identity, so that the engine can pass plain arrays about while it is recorded.
"""

from __future__ import annotations

import contextlib
import linecache
import operator
import os
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from retrograd.core import NUMBERS, Array, Tensor, pick, touch, wrap
from retrograd.mode import MODE, TAPES, Mode
from retrograd.registry import Rule

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
READS = (
    "it reads a value that is another one in the next run. Return the Tensor and read it after "
    "the step; write np.where(condition, x, y) for a branch on values."
)


class TraceError(RuntimeError):
    """A function does something that a recorded program cannot do again."""


class Var:
    """One array of a program.

    `kind` is "arg" (an argument), "captured" (an array that exists outside, read anew in every
    run), "grad" (the `.grad` a leaf had before), "const", or "made" by a node.
    """

    __slots__ = ("array", "grad_of", "kind", "node", "ref", "tensor", "wish")

    def __init__(self, array: Any, kind: str, node: Node | None = None, keep: bool = False) -> None:
        # An array from outside is held. Of what a run makes only the layout is, so that the memory
        # goes as it goes without a tape.
        held = keep or kind not in ("made", "arg") or not isinstance(array, np.ndarray)
        self.ref = None if held else weakref.ref(array)
        self.array = array if held else blank(array)
        self.kind, self.node = kind, node
        self.tensor: Tensor | None = None  # the leaf that holds a captured array
        self.wish = ""  # the name a reader would give it
        self.grad_of: Var | None = None


def _operators(symbol: str, compute: Callable[[Any, Any], Any]) -> tuple[Any, Any]:
    """Return the methods of Live for `self op other` and `other op self`."""

    def method(swap: bool) -> Callable[[Live, Any], Any]:
        def apply(self: Live, other: Any) -> Any:
            if not isinstance(other, (Live, int, float)):
                return NotImplemented
            given = other if isinstance(other, Live) else Live(other, repr(other))
            a, b = (given, self) if swap else (self, given)
            return Live(compute(a.value, b.value), f"({a.text} {symbol} {b.text})")

        return apply

    return method(False), method(True)


class Live:
    """A number that is read anew in every run, such as a learning rate, or a formula of such."""

    def __init__(self, value: float, text: str) -> None:
        self.value, self.text = value, text

    __add__, __radd__ = _operators("+", operator.add)
    __sub__, __rsub__ = _operators("-", operator.sub)
    __mul__, __rmul__ = _operators("*", operator.mul)
    __truediv__, __rtruediv__ = _operators("/", operator.truediv)
    __pow__, __rpow__ = _operators("**", operator.pow)

    def __neg__(self) -> Live:
        return Live(-self.value, f"(-{self.text})")

    def __bool__(self) -> bool:
        raise TraceError(f"a branch on {self.text}, which is another number in the next run")


@dataclass(slots=True, eq=False)
class Node:
    """One call on the tape: `outs` from `args`, where each array is a Var.

    `kind` is "call"; "write", which changes the array of its first argument, its output too; or
    "draw", which takes numbers from the generator in `fn`.
    """

    kind: str
    fn: Any
    args: Any
    kwargs: Any
    section: str
    line: tuple[str, int, str] = ("", 0, "")
    rule: Rule | None = None
    outs: list[Var] = field(default_factory=list)
    view_of: int | None = None  # the argument whose memory the output looks at
    origin: Node | None = None  # the call on the tape that this is a copy of

    def vars(self) -> list[Var]:
        return [v for v in parts(self.args, self.kwargs) if isinstance(v, Var)]

    def given(self, how: Callable[[Any], Any]) -> Any:
        """Return the arguments, and those by keyword, with `how` applied to all in them."""
        return substitute((self.args, self.kwargs), how)


def substitute(value: Any, how: Callable[[Any], Any]) -> Any:
    """Return `value` with `how` applied to every part of its tuples, lists and dicts."""
    if isinstance(value, (tuple, list)):
        return type(value)([substitute(v, how) for v in value])
    if isinstance(value, dict):
        return {k: substitute(v, how) for k, v in value.items()}
    return how(value)


def parts(*values: Any) -> list[Any]:
    """Return all that is in values, and in their tuples, lists and dicts."""
    found: list[Any] = []
    for value in values:
        if isinstance(value, (tuple, list)):
            found += parts(*value)
        elif isinstance(value, dict):
            found += parts(*value.values())
        else:
            found.append(value)
    return found


def root(array: Any) -> Any:
    """Return the array that owns the memory of a view."""
    while isinstance(array, np.ndarray) and isinstance(array.base, np.ndarray):
        array = array.base
    return array


def blank(a: Array) -> Array:
    """Return an array laid out like another, without the memory: its elements must not be read."""
    return np.lib.stride_tricks.as_strided(np.empty(1, a.dtype), a.shape, a.strides)


def viewed(var: Var) -> Var:
    """Return the Var that a view, or a view of a view, looks at; any other Var itself."""
    while var.kind == "made" and var.node is not None and var.node.view_of is not None:
        var = var.node.args[var.node.view_of]
    return var


def memory(var: Var) -> int:
    """Return what is the same for two Vars if they are views of one memory."""
    var = viewed(var)
    return id(var) if var.kind == "made" else id(root(var.array))


def writes(nodes: list[Node]) -> dict[int, Node]:
    """Return for each memory that is written in place the last call that does so."""
    return {memory(node.outs[0]): node for node in nodes if node.kind == "write"}


def current(owner: Any, read: str) -> Any:
    """Return the number that is read from its owner by `read`, such as `.count`."""
    return eval(f"owner{read}", {"owner": owner})


@contextlib.contextmanager
def recording(tape: Tape, grad: bool = False) -> Iterator[None]:
    """Write the calls that are made inside on the tape."""
    token = MODE.set(Mode(grad, tape))
    TAPES.append(tape)
    try:
        yield
    finally:
        TAPES.remove(tape)
        MODE.reset(token)


class Tape:
    """What `rg.compile` records; see `retrograd.mode.Tape` for what the engine calls."""

    def __init__(self, keep: bool = False) -> None:
        self.keep = keep  # the values of all calls
        self.nodes: list[Node] = []
        self.known: dict[int, Var] = {}
        self.args: list[Var] = []
        self.section = "forward"
        self.modules: dict[int, Any] = {}  # asked for `training`: the other is another program
        self.ran: dict[int, Any] = {}  # Modules that ran
        self.outputs: dict[int, Var] = {}  # their outputs
        self.constants: list[Var] = []  # captured arrays that turn out to be made in every run
        self.leaves: dict[int, Tensor] = {}  # leaves whose .grad was read, cleared or filled
        self.grads: dict[int, Array | None] = {}  # and what it was at the end
        self.positions: dict[int, int] = {}  # leaves that are arguments: the place of each
        self.started: dict[int, bool] = {}  # for those: had they a gradient, if that mattered
        # numbers read in every run: the name, whose they are, and how they are read from there
        self.lives: dict[str, tuple[str, Any, str]] = {}
        self.updates: list[tuple[dict[str, Any], Any]] = []  # group, bucket

    def call(self, rule: Rule, args: Any, arrays: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        for a, array in zip(args, arrays, strict=True):
            if isinstance(array, np.ndarray):
                self.see(array, a if isinstance(a, Tensor) else None)
        if rule.looks_through:
            lifted = [wrap(a) if isinstance(a, np.ndarray) else a for a in arrays]
            with recording(self):
                out = rule.run(*lifted, **kwargs)
            return tuple(map(_array, out)) if isinstance(out, (tuple, list)) else _array(out)
        out = rule.run(*map(_value, arrays), **kwargs)
        if rule.fn is pick:
            return out
        if rule.multi:
            out = tuple(np.asarray(o) for o in out)
        elif not isinstance(out, np.ndarray):
            out = np.asarray(out)
        elif self.find(out) is not None:
            return out  # an argument, as it came
        self._append("call", rule.fn, tuple(arrays), kwargs, out, rule)
        return out

    def write(self, ufunc: Callable[..., Any], target: Tensor, other: Any) -> None:
        array = target._data
        if viewed(self.see(array, target)).kind == "arg":
            self.forbid(
                "a write into an argument",
                "return the new value, or let the function find the Tensor outside of it.",
            )
        given = other._data if isinstance(other, Tensor) else other
        self._append("write", ufunc, (array, given), {}).outs = [self.see(array)]
        ufunc(array, _value(given), out=array)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Tensor:
        kind = dtype if dtype in (np.float32, np.float64) else np.dtype(np.float64)
        out = rng.random(shape, dtype=kind.type)
        self._append("draw", rng, (shape, kind), {}, out)
        drawn = wrap(out)
        return drawn if kind == dtype else drawn.astype(dtype)

    def forbid(self, what: str, why: str = READS) -> NoReturn:
        raise TraceError(f"{what} cannot be compiled: {why}{place(user_line())}")

    @contextlib.contextmanager
    def within(self, section: str) -> Iterator[None]:
        before, self.section = self.section, section
        try:
            yield
        finally:
            self.section = before

    def guard(self, module: Any) -> None:
        self.modules[id(module)] = module

    def done(self, module: Any, output: Any) -> None:
        self.ran[id(module)] = module
        if isinstance(output, Tensor) and (var := self.find(output._data)) is not None:
            self.outputs.setdefault(id(module), var)

    def cleared(self, leaf: Tensor) -> None:
        self.leaves.setdefault(id(leaf), leaf)

    def grad_of(self, leaf: Tensor) -> Array | None:
        grad: Array | None = leaf._grad
        if id(leaf) not in self.leaves:  # it is what it was before the run
            self.leaves[id(leaf)] = leaf
            self.started[id(leaf)] = grad is not None
            if grad is not None:
                var = self.known[id(grad)] = Var(grad, "grad")
                var.tensor = leaf
        return grad

    def gradient(self, of: Tensor, g: Tensor) -> None:
        var, here = self.find(g._data), self.find(of._data)
        if var is not None and here is not None and var.grad_of is None:
            var.grad_of = here

    def update(self, optimizer: Any, group: dict[str, Any], bucket: Any, g: Any) -> None:
        before = sum(b is bucket for _, b in self.updates)
        self.updates.append((group, bucket))
        lr = self._live("lr", group, '["lr"]')
        count = self._live("updates", bucket, ".count")
        options = dict(group)  # with what schedules change as numbers of their own
        if options.get("momentum"):
            options["momentum"] = self._live("momentum", group, '["momentum"]')
        if "betas" in options:
            beta1 = self._live("beta1", group, '["betas"][0]')
            options["betas"] = (beta1, *group["betas"][1:])
        t = Live(count.value + 1, f"({count.text} + {before + 1})")
        with recording(self):
            p = wrap(bucket.data)
            state = {name: wrap(array) for name, array in bucket.state.items()}
            many = len(bucket.params) > 1
            named = {"params": p, "d_params": g, **state} if many else state
            for name, tensor in named.items():
                if isinstance(tensor, Tensor):
                    self.see(tensor._data).wish = name
            optimizer.update(p, g, state, options, lr, t)
        bucket.count += 1
        touch(*bucket.params)

    def _live(self, name: str, owner: Any, read: str) -> Live:
        """Return a number that every run reads from its owner: `owner` followed by `read`."""
        same = {text: of for text, (stem, of, _) in self.lives.items() if stem == name}
        text = next((text for text, of in same.items() if of is owner), "")
        if not text:
            text = f"{name}_{len(same) + 1}" if same else name
            self.lives[text] = name, owner, read
        return Live(current(owner, read), text)

    def find(self, array: Array) -> Var | None:
        var = self.known.get(id(array))
        return var if var is None or var.ref is None or var.ref() is array else None

    def see(self, array: Array, holder: Tensor | None = None) -> Var:
        """Return the Var of an array; one that nothing here made is captured."""
        var = self.find(array)
        if var is None:
            fixed = not array.flags.writeable and array.base is None
            var = self.known[id(array)] = Var(array, "const" if fixed else "captured")
            if holder is not None and holder.is_leaf:
                var.tensor = holder
        return var

    def _known(self, value: Any) -> Any:
        """Return the Var of an array, or the number that a 0-d array of `Constants` holds."""
        if not isinstance(value, np.ndarray):
            return value
        return value.item() if id(value) in NUMBERS else self.see(value)

    def _append(
        self, kind: str, fn: Any, args: Any, kwargs: Any, out: Any = (), rule: Rule | None = None
    ) -> Node:
        """Write a call down, with `out` as what it made."""
        node = Node(kind, fn, args, kwargs, self.section, user_line(), rule)
        node.args, node.kwargs = node.given(self._known)
        self.nodes.append(node)
        for o in out if isinstance(out, tuple) else (out,):
            var = self.known[id(o)] = Var(o, "made", node, self.keep)
            node.outs.append(var)
        viewing = fn is not operator.getitem or _basic(args[1])
        if not isinstance(out, tuple) and out.base is not None and viewing:
            for k, a in enumerate(args):
                if isinstance(a, np.ndarray) and root(a) is root(out):
                    node.view_of = k
        return node


def _array(value: Any) -> Any:
    return value._data if isinstance(value, Tensor) else np.asarray(value)


def _value(value: Any) -> Any:
    return value.value if isinstance(value, Live) else value


def _basic(index: Any) -> bool:
    """Tell whether indexing by this gives a view."""
    each = index if isinstance(index, tuple) else (index,)
    return all(p is None or p is Ellipsis or isinstance(p, (int, slice, np.integer)) for p in each)


def user_line() -> tuple[str, int, str]:
    """Return file, number and text of the line outside this library that is being run."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    file, number = frame.f_code.co_filename, frame.f_lineno
    return file, number, linecache.getline(file, number).strip()


def place(line: tuple[str, int, str]) -> str:
    """Return a user's line as the end of a message."""
    file, number, text = line
    return f"\n  {file}:{number}: {text}"
