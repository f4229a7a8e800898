"""The tape: every NumPy call of a run. Arrays are known by identity."""

from __future__ import annotations

import contextlib
import functools
import linecache
import operator
import os
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, cast

import numpy as np

from retrograd.engine import Array, Constants, Mode, Rule, Tensor, mode_set, pick, touch, wrap

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
READS = (
    "the next run has another value. Return the Tensor and read it after the step; "
    "np.where(condition, x, y) branches on values."
)


class TraceError(RuntimeError):
    """A function does something that a recorded program cannot do again."""


class Var:
    """An array: "arg", "captured" from outside, "grad" of a leaf before, "const" or "made"."""

    __slots__ = ("array", "grad_of", "kind", "node", "ref", "tensor", "wish")

    def __init__(self, array: Any, kind: str, node: Node | None = None, keep: bool = False) -> None:
        # of what a run makes only the layout is held
        held = keep or kind not in ("made", "arg")
        self.ref = None if held else weakref.ref(array)
        self.array = array if held else blank(array)
        self.kind, self.node = kind, node
        self.tensor: Tensor | None = None  # the leaf that holds it
        self.wish = ""  # its name for a reader
        self.grad_of: Var | None = None


def _operators(symbol: str, compute: Callable[[Any, Any], Any]) -> tuple[Any, Any]:
    def apply(a: Any, b: Any) -> Any:
        if not all(isinstance(v, (Live, int, float)) for v in (a, b)):
            return NotImplemented
        x, y = (v if isinstance(v, Live) else Live(v, repr(v)) for v in (a, b))
        return Live(compute(x.value, y.value), f"({x.text} {symbol} {y.text})")

    return apply, lambda self, other: apply(other, self)


class Live:
    """A number read anew in every run, or a formula of them."""

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
        raise TraceError(f"a branch on {self.text}, which changes between runs{user_line()}")


@dataclass(slots=True, eq=False)
class Node:
    """A "call"; a "write", which changes the first; or a "draw" from the generator `fn`."""

    kind: str
    fn: Any
    args: Any
    kwargs: Any
    section: str
    line: str = ""  # of the user
    rule: Rule | None = None
    outs: list[Var] = field(default_factory=list)
    view_of: int | None = None  # the argument that the output looks at
    origin: Node | None = None  # the call on the tape that this copies

    def vars(self, kind: Any = Var) -> list[Var]:
        found: list[Var] = []
        self.given(lambda v: found.append(v) if isinstance(v, kind) else None)
        return found

    def given(self, how: Callable[[Any], Any]) -> Any:
        return apply(how, self.args), {k: apply(how, v) for k, v in self.kwargs.items()}


def apply(how: Callable[[Any], Any], value: Any) -> Any:
    """Apply `how` to all in tuples and lists: a fast `tree.map`."""
    if isinstance(value, (tuple, list)):
        return type(value)([apply(how, v) for v in value])
    return how(value)


def root(array: Any) -> Any:
    """Return the owner of an array's memory."""
    while isinstance(array, np.ndarray) and isinstance(array.base, np.ndarray):
        array = array.base
    return array


def blank(a: Array) -> Array:
    """Return the layout of an array, without its memory."""
    return np.lib.stride_tricks.as_strided(np.empty(1, a.dtype), a.shape, a.strides)


def viewed(var: Var) -> Var:
    """Return the Var that a view looks at; any other itself."""
    while var.kind == "made" and var.node is not None and var.node.view_of is not None:
        var = var.node.args[var.node.view_of]
    return var


def maker(value: Any) -> Node | None:
    """Return the call that makes a Var."""
    made = isinstance(value, Var) and value.kind == "made"
    return value.node if made and value.node.kind == "call" else None


def memory(var: Var) -> int:
    """Return what is the same for all views."""
    var = viewed(var)
    return id(var) if var.kind == "made" else id(root(var.array))


def writes(nodes: list[Node]) -> dict[int, Node]:
    """Return the memory that is written, with the last call."""
    return {memory(node.outs[0]): node for node in nodes if node.kind == "write"}


def current(owner: Any, read: str) -> Any:
    """Return the number read from its owner."""
    return eval(f"owner{read}", {"owner": owner})


@contextlib.contextmanager
def recording(tape: Tape, grad: bool = False) -> Iterator[None]:
    """Record what is called inside."""
    with mode_set(Mode(grad, tape.hear, tape.refuse)):
        yield


class Tape:
    """What `rg.compile` records; see `retrograd.engine.mode`."""

    def __init__(self, keep: bool = False) -> None:
        self.keep = keep  # values too
        self.nodes: list[Node] = []
        self.known: dict[int, Var] = {}
        self.args: list[Var] = []
        self.section = "forward"
        self.modules: dict[int, Any] = {}  # asked for `training`
        self.ran: dict[int, Any] = {}  # Modules that ran
        self.outputs: dict[int, Var] = {}
        self.constants: list[Var] = []  # captured, but made in every run
        self.leaves: dict[int, Tensor] = {}  # whose .grad was used
        self.grads: list[tuple[Tensor, Var | None]] = []  # at the end
        self.positions: dict[int, int] = {}  # of leaves that are arguments
        self.apart: set[int] = set()  # what stands behind them
        self.started: dict[int, bool] = {}  # with a gradient, if that mattered
        self.lives: dict[str, tuple[str, Any, str]] = {}  # name, owner, as read from it
        self.updates: list[tuple[dict[str, Any], Any]] = []  # group, bucket
        self.undo: dict[int, Callable[[], Any]] = {}  # what puts things back

    def hear(self, kind: str, *what: Any) -> Any:
        """Hear of what a run does."""
        return getattr(self, "hear_" + kind.replace(" ", "_"))(*what)

    def refuse(self, what: str, of: Any, why: str, asked: bool) -> NoReturn:
        """Refuse a way by which a value leaves the graph."""
        self.forbid(what, why or READS)

    def hear_call(
        self, rule: Rule, args: Any, arrays: Sequence[Any], kwargs: dict[str, Any]
    ) -> Any:
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

    def hear_write(self, ufunc: Callable[..., Any], target: Tensor, other: Any) -> None:
        array = target._array
        if viewed(self.see(array, target)).kind == "arg":
            self.forbid(
                "a write into an argument",
                "return the new value, or let the function find the Tensor outside.",
            )
        if id(array) not in self.undo and viewed(self.see(array)).kind != "made":
            self.undo[id(array)] = functools.partial(np.copyto, array, array.copy())
        given = other._array if isinstance(other, Tensor) else other
        self._append("write", ufunc, (array, given), {}).outs = [self.see(array)]
        ufunc(array, _value(given), out=array)

    def hear_draw(self, rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Tensor:
        kind = dtype if dtype in (np.float32, np.float64) else np.dtype(np.float64)
        self.note(rng.bit_generator, "state")
        out = rng.random(shape, dtype=kind.type)
        self._append("draw", rng, (shape, kind), {}, out)
        return wrap(out).astype(dtype)

    def forbid(self, what: str, why: str = READS) -> NoReturn:
        raise TraceError(f"{what} cannot be compiled: {why}{user_line()}")

    def hear_section(self, section: str) -> str:
        before, self.section = self.section, section
        return before

    def hear_training_read(self, module: Any) -> None:
        self.modules[id(module)] = module

    def hear_module_ran(self, module: Any, output: Any) -> None:
        self.ran[id(module)] = module
        if isinstance(output, Tensor) and (var := self.find(output._array)):
            self.outputs.setdefault(id(module), var)

    def _check(self, of: Any) -> None:
        if id(of) in self.apart:
            self.forbid("a Tensor that is an argument and found outside", "pass it in one way.")

    def hear_grad_replaced(self, leaf: Tensor) -> None:
        self._check(leaf)
        self.leaves.setdefault(id(leaf), leaf)
        self.note(leaf, "_grad")

    def hear_grad(self, leaf: Tensor) -> Array | None:
        self._check(leaf)
        grad = cast("Array | None", leaf._grad)
        self.note(leaf, "_grad")
        if id(leaf) not in self.leaves:
            self.leaves[id(leaf)] = leaf
            self.started[id(leaf)] = grad is not None
            if grad is not None:
                var = self.known[id(grad)] = Var(grad, "grad")
                var.tensor = leaf
        return grad

    def hear_gradient(self, of: Tensor, g: Tensor) -> None:
        if not isinstance(g, Tensor):
            return
        var, here = self.find(g._array), self.find(of._array)
        if var and here and not var.grad_of:
            var.grad_of = here

    def hear_update(self, optimizer: Any, group: dict[str, Any], bucket: Any, g: Any) -> None:
        before = sum(b is bucket for _, b in self.updates)
        self.updates.append((group, bucket))
        lr = self._live("lr", group, '["lr"]')
        count = self._live("updates", bucket, ".count")
        options = dict(group)
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
                    self.see(tensor._array).wish = name
            optimizer.update(p, g, state, options, lr, t)
        self.note(bucket, "count")
        bucket.count += 1
        touch(*bucket.params)

    def _live(self, name: str, owner: Any, read: str) -> Live:
        same = {text: of for text, (stem, of, _) in self.lives.items() if stem == name}
        text = next((text for text, of in same.items() if of is owner), "")
        if not text:
            text = f"{name}_{len(same) + 1}" if same else name
            self.lives[text] = name, owner, read
        return Live(current(owner, read), text)

    def note(self, owner: Any, name: str) -> None:
        """Remember an attribute that is about to change."""
        put_back = functools.partial(setattr, owner, name, getattr(owner, name))
        self.undo.setdefault(id(owner), put_back)

    def put_back(self) -> None:
        for put_back in reversed(self.undo.values()):  # an array may be a part of one before
            put_back()

    def find(self, array: Array) -> Var | None:
        var = self.known.get(id(array))
        return var if var and (var.ref is None or var.ref() is array) else None

    def see(self, array: Array, holder: Tensor | None = None) -> Var:
        var = self.find(array)
        if var is None:
            self._check(array)
            fixed = not array.flags.writeable and array.base is None
            var = self.known[id(array)] = Var(array, "const" if fixed else "captured")
            if holder is not None and holder.is_leaf:
                var.tensor = holder
        return var

    def _known(self, value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        number = Constants.number(value)
        return self.see(value) if number is None else number

    def _append(
        self, kind: str, fn: Any, args: Any, kwargs: Any, out: Any = (), rule: Rule | None = None
    ) -> Node:
        node = Node(kind, fn, args, kwargs, self.section, user_line(), rule)
        node.args, node.kwargs = node.given(self._known)
        self.nodes.append(node)
        for o in out if isinstance(out, tuple) else (out,):
            var = self.known[id(o)] = Var(o, "made", node, self.keep)
            node.outs.append(var)
        if isinstance(out, np.ndarray) and out.base is not None:
            for k, a in enumerate(args):
                if isinstance(a, np.ndarray) and root(a) is root(out):
                    node.view_of = k
        return node


def _array(value: Any) -> Any:
    return value._array if isinstance(value, Tensor) else np.asarray(value)


def _value(value: Any) -> Any:
    return value.value if isinstance(value, Live) else value


def user_line() -> str:
    """Return the line being run outside this library, to end a message."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    file, number = frame.f_code.co_filename, frame.f_lineno
    return f"\n  {file}:{number}: {linecache.getline(file, number).strip()}"
