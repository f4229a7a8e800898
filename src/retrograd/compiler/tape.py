"""The tape: every NumPy call of one run of a function, forward, backward and update.

Arrays are known by identity, so that the engine can pass plain arrays about while it is recorded.
"""

from __future__ import annotations

import contextlib
import operator
import os
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import numpy as np

from retrograd.core import Array, Tensor, pick, touch, wrap
from retrograd.mode import MODE, Mode
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

    __slots__ = ("array", "grad_of", "kind", "name", "node", "ref", "tensor", "whole", "wish")

    def __init__(self, array: Any, kind: str, node: Node | None = None, keep: bool = False) -> None:
        # An array from outside is held. Of what a run makes only the layout is, so that the memory
        # goes as it goes without a tape.
        held = keep or kind not in ("made", "arg") or not isinstance(array, np.ndarray)
        self.ref = None if held else weakref.ref(array)
        self.whole = None if held else weakref.ref(root(array))
        self.array = array if held else blank(array.shape, array.dtype, array.strides)
        self.kind = kind
        self.node = node
        self.tensor: Tensor | None = None  # the leaf that holds a captured array
        self.wish = ""  # the name a reader would give it
        self.grad_of: Var | None = None
        self.name = ""


class Live:
    """A number that is read anew in every run, such as a learning rate, or a formula of such."""

    def __init__(self, value: float, text: str) -> None:
        self.value = value
        self.text = text

    def _with(self, other: Any, op: str, swap: bool = False) -> Any:
        if isinstance(other, Live):
            value, text = other.value, other.text
        elif isinstance(other, (int, float)):
            value, text = other, repr(other)
        else:
            return NotImplemented
        a, b = ((value, text), (self.value, self.text))[:: 1 if swap else -1]
        return Live(_OPERATIONS[op](a[0], b[0]), f"({a[1]} {op} {b[1]})")

    def at_most(self, bound: float) -> Live:
        """Return the smaller of the number and a bound."""
        return Live(min(self.value, bound), f"min({self.text}, {bound!r})")

    # fmt: off
    def __add__(self, y: Any) -> Any: return self._with(y, "+")
    def __radd__(self, x: Any) -> Any: return self._with(x, "+", True)
    def __sub__(self, y: Any) -> Any: return self._with(y, "-")
    def __rsub__(self, x: Any) -> Any: return self._with(x, "-", True)
    def __mul__(self, y: Any) -> Any: return self._with(y, "*")
    def __rmul__(self, x: Any) -> Any: return self._with(x, "*", True)
    def __truediv__(self, y: Any) -> Any: return self._with(y, "/")
    def __rtruediv__(self, x: Any) -> Any: return self._with(x, "/", True)
    def __pow__(self, y: Any) -> Any: return self._with(y, "**")
    def __rpow__(self, x: Any) -> Any: return self._with(x, "**", True)
    def __neg__(self) -> Any: return Live(-self.value, f"(-{self.text})")
    def __bool__(self) -> bool:
        raise TraceError(f"a branch on {self.text}, which is another number in the next run")
    # fmt: on


_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "/": lambda x, y: x / y,
    "**": lambda x, y: x**y,
}


class Node:
    """One call on the tape: `outs` from `args`, where each array is a Var.

    A `write` changes the array of its first argument, which is its output too; a `draw` takes
    numbers from the generator in `fn`.
    """

    __slots__ = (
        "args", "fn", "kind", "kwargs", "line", "origin", "outs", "rule", "section", "view_of",
    )  # fmt: skip

    def __init__(
        self, kind: str, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any], section: str
    ) -> None:
        self.kind = kind
        self.fn = fn
        self.rule: Rule | None = None
        self.args = args
        self.kwargs = kwargs
        self.outs: list[Var] = []
        self.section = section
        self.line: tuple[str, int, str] = ("", 0, "")
        self.origin = self
        self.view_of: int | None = None  # the argument whose memory the output looks at

    def copy(self) -> Node:
        """Return a node that passes may change; `origin` stays the one on the tape."""
        twin = Node(self.kind, self.fn, self.args, self.kwargs, self.section)
        twin.rule, twin.outs, twin.line, twin.origin = self.rule, self.outs, self.line, self
        twin.view_of = self.view_of
        for v in self.outs:
            if self.kind != "write":
                v.node, v.kind = twin, "made"
        return twin

    def vars(self) -> list[Var]:
        """Return the Vars among the arguments."""
        found: list[Var] = []

        def visit(value: Any) -> None:
            if isinstance(value, Var):
                found.append(value)
            elif isinstance(value, (tuple, list)):
                for v in value:
                    visit(v)
            elif isinstance(value, dict):
                visit(list(value.values()))

        visit(self.args)
        visit(self.kwargs)
        return found


def substitute(value: Any, how: Callable[[Any], Any]) -> Any:
    """Return `value` with `how` applied to every part of its tuples, lists and dicts."""
    if isinstance(value, (tuple, list)):
        return type(value)(substitute(v, how) for v in value)
    if isinstance(value, dict):
        return {k: substitute(v, how) for k, v in value.items()}
    return how(value)


def root(array: Any) -> Any:
    """Return the array that owns the memory of a view."""
    while isinstance(array, np.ndarray) and isinstance(array.base, np.ndarray):
        array = array.base
    return array


def blank(shape: tuple[int, ...], dtype: Any, strides: Any = None) -> Array:
    """Return an array that has a layout but no memory; its elements must not be read."""
    if strides is None:
        strides, step = [], np.dtype(dtype).itemsize
        for n in reversed(shape):
            strides.insert(0, step)
            step *= max(n, 1)
    return np.lib.stride_tricks.as_strided(np.empty(1, dtype), shape, strides)


def memory(var: Var) -> int:
    """Return what is the same for two Vars if they are views of one memory."""
    while var.kind == "made" and var.node is not None and var.node.view_of is not None:
        var = var.node.args[var.node.view_of]
    return id(var) if var.kind == "made" else id(root(var.array))


def basic(index: Any) -> bool:
    """Tell whether indexing by this gives a view."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(p is None or p is Ellipsis or isinstance(p, (int, slice, np.integer)) for p in parts)


class Tape:
    """What `rg.compile` records; see `retrograd.mode.Tape` for what the engine calls."""

    def __init__(self, keep: bool = False) -> None:
        self.keep = keep  # the values of all calls
        self.nodes: list[Node] = []
        self.known: dict[int, Var] = {}
        self.section = "forward"
        self.modules: dict[int, Any] = {}  # Modules that were asked for `training`, by id
        self.ran: dict[int, Any] = {}  # Modules that ran
        self.outputs: dict[int, Var] = {}  # their outputs
        self.constants: list[Var] = []  # captured arrays that turn out to be made in every run
        self.leaves: dict[int, Tensor] = {}  # leaves whose .grad was read, cleared or filled
        self.grads: dict[int, Array | None] = {}  # and what it was at the end
        self.positions: dict[int, int] = {}  # leaves that are arguments: the place of each
        self.started: dict[int, bool] = {}  # for those: had they a gradient, if that mattered
        # numbers read in every run: the name, whose they are, and how they are read from there
        self.lives: dict[str, tuple[str, Any, str]] = {}
        self.updates: list[tuple[Any, dict[str, Any], Any]] = []  # optimizer, group, bucket

    # What the engine calls -----------------------------------------------------------------------

    def call(self, rule: Rule, args: Any, arrays: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Run a function on arrays and write the NumPy calls down that it makes."""
        for a, array in zip(args, arrays, strict=True):
            if isinstance(array, np.ndarray):
                self.see(array, a if isinstance(a, Tensor) else None)
        if rule.looks_through:
            lifted = [wrap(a) if isinstance(a, np.ndarray) else a for a in arrays]
            token = MODE.set(Mode(False, self))
            try:
                out = rule.run(*lifted, **kwargs)
            finally:
                MODE.reset(token)
            if isinstance(out, (tuple, list)):
                return tuple(o._data if isinstance(o, Tensor) else np.asarray(o) for o in out)
            return out._data if isinstance(out, Tensor) else np.asarray(out)
        plain = [a.value if isinstance(a, Live) else a for a in arrays]
        out = rule.run(*plain, **kwargs)
        if rule.fn is pick:
            return out
        if rule.multi:
            out = tuple(np.asarray(o) for o in out)
        elif not isinstance(out, np.ndarray):
            out = np.asarray(out)
        elif self.find(out) is not None:
            return out  # an argument, as it came
        self._append(Node("call", rule.fn, tuple(arrays), kwargs, self.section), out, rule)
        return out

    def write(self, ufunc: Callable[..., Any], target: Tensor, other: Any) -> None:
        """Run an in-place call on the array of `target` and write it down."""
        array = target._data
        whole = self.see(array, target)
        while whole.node is not None and whole.node.view_of is not None:
            whole = whole.node.args[whole.node.view_of]
        if whole.kind == "arg":
            self.forbid(
                "a write into an argument",
                "return the new value, or let the function find the Tensor outside of it.",
            )
        given = other._data if isinstance(other, Tensor) else other
        node = Node("write", ufunc, (array, given), {}, self.section)
        self._encode(node)
        self._place(node)
        self.nodes.append(node)
        node.outs = [self.see(array)]
        plain = given.value if isinstance(given, Live) else given
        ufunc(array, plain, out=array)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Tensor:
        """Draw from [0, 1), now and in every run."""
        kind = dtype if dtype in (np.float32, np.float64) else np.dtype(np.float64)
        out = rng.random(shape, dtype=kind.type)
        self._append(Node("draw", rng, (shape, kind), {}, self.section), out, None)
        drawn = wrap(out)
        return drawn if kind == dtype else drawn.astype(dtype)

    def forbid(self, what: str, why: str = READS) -> NoReturn:
        """Raise a TraceError that names the user's line."""
        file, number, text = user_line()
        raise TraceError(f"{what} cannot be compiled: {why}\n  {file}:{number}: {text}")

    @contextlib.contextmanager
    def within(self, section: str) -> Iterator[None]:
        """Note that what follows is a section of the program: forward, backward, update."""
        before, self.section = self.section, section
        try:
            yield
        finally:
            self.section = before

    def guard(self, module: Any) -> None:
        """Remember a Module that asks for `training`: the other answer needs another program."""
        self.modules[id(module)] = module

    def done(self, module: Any, output: Any) -> None:
        """Remember a Module that ran, and its output, for their names."""
        self.ran[id(module)] = module
        if isinstance(output, Tensor) and (var := self.find(output._data)) is not None:
            self.outputs.setdefault(id(module), var)

    def cleared(self, leaf: Tensor) -> None:
        """Note that the gradient of a leaf is dropped, so that what it was does not matter."""
        if id(leaf) not in self.leaves:
            self.leaves[id(leaf)] = leaf

    def grad_of(self, leaf: Tensor) -> Array | None:
        """Return the gradient of a leaf; the first time it is what it was before the run."""
        if id(leaf) not in self.leaves:
            self.leaves[id(leaf)] = leaf
            self.started[id(leaf)] = leaf._grad is not None
            if leaf._grad is not None:
                var = self.known[id(leaf._grad)] = Var(leaf._grad, "grad")
                var.tensor = leaf
        grad: Array | None = leaf._grad
        return grad

    def gradient(self, of: Tensor, g: Tensor) -> None:
        """Note which Tensor a gradient belongs to, for its name."""
        var, here = self.find(g._data), self.find(of._data)
        if var is not None and here is not None and var.grad_of is None:
            var.grad_of = here

    def update(self, optimizer: Any, group: dict[str, Any], bucket: Any, g: Any) -> None:
        """Record one update of a bucket of parameters; learning rate and count stay live."""
        self.updates.append((optimizer, group, bucket))
        before = [b for _, _, b in self.updates[:-1]].count(bucket)
        lr = self.live("lr", group, '["lr"]')
        count = self.live("updates", bucket, ".count")
        options = dict(group)  # with what schedules change as numbers of their own
        if options.get("momentum"):
            options["momentum"] = self.live("momentum", group, '["momentum"]')
        if "betas" in options:
            beta1 = self.live("beta1", group, '["betas"][0]')
            options["betas"] = (beta1, *group["betas"][1:])
        t = Live(count.value + 1, f"({count.text} + {before + 1})")
        token = MODE.set(Mode(False, self))
        try:
            p = wrap(bucket.data)
            state = {name: wrap(array) for name, array in bucket.state.items()}
            many = len(bucket.params) > 1
            for name, t_ in (("params" if many else "", p), *state.items()):
                if name:
                    self.see(t_._data).wish = name
            if many and isinstance(g, Tensor):
                self.see(g._data).wish = "d_params"
            optimizer.update(p, g, state, options, lr, t)
        finally:
            MODE.reset(token)
        bucket.count += 1
        touch(*bucket.params)

    # Bookkeeping ---------------------------------------------------------------------------------

    def live(self, name: str, owner: Any, read: str) -> Live:
        """Return a number that every run reads from its owner: `owner` followed by `read`."""
        value = eval(f"owner{read}", {"owner": owner})
        taken = 0
        for text, (stem, of, how) in self.lives.items():
            if (stem, how) == (name, read) and of is owner:
                return Live(value, text)
            taken += stem == name
        text = f"{name}_{taken + 1}" if taken else name
        self.lives[text] = name, owner, read
        return Live(value, text)

    def find(self, array: Array) -> Var | None:
        """Return the Var of an array, or None if the tape has not met it."""
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

    def _encode(self, node: Node) -> None:
        def how(value: Any) -> Any:
            if not isinstance(value, np.ndarray):
                return value
            if not (value.ndim or value.flags.writeable or value.base is not None):
                return value.item()  # a number of `Constants`
            return self.see(value)

        node.args = substitute(node.args, how)
        node.kwargs = substitute(node.kwargs, how)

    def _place(self, node: Node) -> None:
        node.line = user_line()

    def _append(self, node: Node, out: Any, rule: Rule | None) -> None:
        self._encode(node)
        self._place(node)
        node.rule = rule
        self.nodes.append(node)
        for o in out if isinstance(out, tuple) else (out,):
            var = self.known[id(o)] = Var(o, "made", node, self.keep)
            node.outs.append(var)
        plain = node.fn is not operator.getitem or basic(node.args[1])
        if not isinstance(out, tuple) and out.base is not None and plain:
            for k, a in enumerate(node.args):
                if not isinstance(a, Var):
                    continue
                whole = root(a.array) if a.whole is None else a.whole()
                if whole is root(out):
                    node.view_of = k


def user_line() -> tuple[str, int, str]:
    """Return file, number and text of the line outside this library that is being run."""
    import linecache

    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    file, number = frame.f_code.co_filename, frame.f_lineno
    return file, number, linecache.getline(file, number).strip()
