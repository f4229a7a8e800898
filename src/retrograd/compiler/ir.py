"""What a program is: calls that make arrays from arrays, as data that nobody changes.

A `Program` is what `lower` makes of a recording. Passes take its calls and return others; Vars and
calls stay as they are, so that a program can be optimised again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.lines import NOWHERE, Line

if TYPE_CHECKING:
    from retrograd.compiler.carried import Carried
    from retrograd.compiler.live import Reading
    from retrograd.engine import Array, Rule, Tensor


class Var:
    """An array of a program.

    Args:
        kind: where it comes from: "arg", an argument; "captured", an array outside; "grad", the
            gradient that a leaf had before; "kept", what the run before has left in a place
            outside; "const", which never changes; "made" by a call.
        array: the array, for its layout.
        tensor: the leaf that holds it outside, or whose gradient it was.
        stem: what to call it where nobody gave it a name.
        keep: whether to hold the array also of what a run makes.

    Attributes:
        array: the array itself where a program needs it; None for what a run makes.
        shape, dtype, strides: its layout.
        writeable: whether its memory may be written through it: not so for some views.
    """

    __slots__ = ("array", "dtype", "kind", "shape", "stem", "strides", "tensor", "writeable")

    def __init__(
        self,
        kind: str,
        array: Array,
        tensor: Tensor | None = None,
        stem: str = "array",
        keep: bool = False,
    ) -> None:
        self.kind = kind
        self.array: Any = array if keep or kind not in ("made", "arg", "kept") else None
        self.shape: tuple[int, ...] = array.shape
        self.dtype: np.dtype[Any] = array.dtype
        self.strides: tuple[int, ...] = array.strides
        self.writeable = array.flags.writeable
        self.tensor = tensor
        self.stem = stem

    def __repr__(self) -> str:
        return f"Var({self.kind}, {self.shape}, {self.dtype})"

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        n = 1
        for length in self.shape:
            n *= length
        return n

    @property
    def is_c_contiguous(self) -> bool:
        """Whether the elements lie in order, without gaps."""
        return _in_order(self, range(len(self.shape) - 1, -1, -1))

    @property
    def is_dense(self) -> bool:
        """Whether they do so in the order of the axes or in the reverse of it."""
        return self.is_c_contiguous or _in_order(self, range(len(self.shape)))

    def layout_is(self, other: Var) -> bool:
        """Tell whether two arrays have one shape, dtype and strides."""
        return (
            self.shape == other.shape
            and self.strides == other.strides
            and self.dtype == other.dtype
        )

    def example(self) -> Array:
        """Return zeros of this shape and dtype, and of such an order in memory."""
        one = np.empty(1, self.dtype)
        return np.zeros_like(np.lib.stride_tricks.as_strided(one, self.shape, self.strides))

    def constant(self, array: Array | None = None) -> Var:
        """Return a constant in its place, of its own array or of another."""
        stem = "constant" if self.kind == "captured" else self.stem
        return Var("const", self.array if array is None else array, None, stem)


def _in_order(var: Var, axes: Iterable[int]) -> bool:
    """Tell whether elements lie without gaps, the last of `axes` outermost."""
    step = var.dtype.itemsize
    if 0 in var.shape:
        return True
    for axis in axes:
        if var.shape[axis] != 1:
            if var.strides[axis] != step:
                return False
            step *= var.shape[axis]
    return True


@dataclass(slots=True, eq=False)
class Call:
    """One step of a program.

    Args:
        kind: "call", of `fn`; "write", which changes its first argument by the ufunc `fn`, by
            `np.copyto` or by `operator.setitem`, whose index comes last; or "draw", from the
            generator `fn`.
        fn: what is called.
        args: its arguments, Vars in the place of arrays, also in lists and tuples.
        kwargs: its keywords, likewise.
        outs: what it makes; what a write changes.
        section: "forward", "backward" or "update".
        line: the user's line that called it.
        rule: the rule of `fn`, if it has one.
        view_of: the position of the argument whose memory the output looks at.
        number: the position in the recording; None for what a pass made.
        origin: the user's line that it comes from: in the backward pass that of the call whose
            gradient it computes, where `line` is that of `backward()`; else the same.
    """

    kind: str
    fn: Any
    args: Any
    kwargs: dict[str, Any]
    outs: tuple[Var, ...]
    section: str = "forward"
    line: Line = NOWHERE
    rule: Rule | None = None
    view_of: int | None = None
    number: int | None = None
    origin: Line = NOWHERE

    @property
    def acts(self) -> bool:
        """Whether it acts on other processes, which each run does once: see `Rule.on_program`."""
        return self.rule is not None and self.rule.on_program is not None

    def vars(self, kind: Any = Var) -> list[Var]:
        """Return the Vars among the arguments, or what else is of a kind."""
        found: list[Var] = []
        collect(self.args, kind, found)
        if self.kwargs:
            collect([*self.kwargs.values()], kind, found)
        return found

    def change(self, how: Callable[[Any], Any]) -> tuple[Any, dict[str, Any]]:
        """Return the arguments and the keywords after `how`."""
        return apply(how, self.args), {k: apply(how, v) for k, v in self.kwargs.items()}


def apply(how: Callable[[Any], Any], value: Any) -> Any:
    """Apply `how` to all in tuples and lists: a fast `tree.map`."""
    if isinstance(value, (tuple, list)):
        return type(value)([apply(how, v) for v in value])
    return how(value)


def collect(value: Any, kind: Any, found: list[Any]) -> None:
    """Add all of a kind in tuples and lists to `found`."""
    for v in value:
        if isinstance(v, kind):
            found.append(v)
        elif isinstance(v, (tuple, list)):
            collect(v, kind, found)


def root(array: Any) -> Any:
    """Return the owner of an array's memory."""
    while isinstance(array, np.ndarray) and isinstance(array.base, np.ndarray):
        array = array.base
    return array


class Flow:
    """Who makes what among calls, and which arrays share memory."""

    def __init__(self, calls: Iterable[Call] = ()) -> None:
        self.makers: dict[Var, Call] = {}
        self._viewed: dict[Var, Var] = {}
        for call in calls:
            self.add(call)

    def add(self, call: Call) -> None:
        """Take note of one more call."""
        if call.kind != "write":
            for v in call.outs:
                self.makers[v] = call

    def maker(self, value: Any) -> Call | None:
        """Return the call, no draw, that makes a Var; None for all else."""
        call = self.makers.get(value) if isinstance(value, Var) else None
        return call if call is not None and call.kind == "call" else None

    def viewed(self, var: Var) -> Var:
        """Return the Var that a view looks at; any other itself."""
        known = self._viewed.get(var)
        if known is not None:
            return known
        seen = []
        while True:
            call = self.makers.get(var)
            if call is None or call.view_of is None:
                break
            seen.append(var)
            var = call.args[call.view_of]
            if var in self._viewed:
                var = self._viewed[var]
                break
        for v in seen:
            self._viewed[v] = var
        return var

    def memory(self, var: Var) -> Any:
        """Return what is the same for all that share memory."""
        var = self.viewed(var)
        return var if var.kind == "made" or var.array is None else id(root(var.array))

    def writes(self, calls: Iterable[Call]) -> dict[Any, Call]:
        """Return the memory that is written, with the last call that does."""
        return {self.memory(call.outs[0]): call for call in calls if call.kind == "write"}


@dataclass(frozen=True, slots=True)
class Names:
    """What is known of readers' names for arrays: see the room `names`.

    Args:
        wishes: the names that users gave, by array.
        gradient_of: of which array another is the gradient.
    """

    wishes: dict[Var, str]
    gradient_of: dict[Var, Var]


@dataclass(frozen=True, eq=False)
class Program:
    """A recorded run as data.

    Args:
        args: the arguments that are arrays.
        starts: gradients from before, which the run adds to.
        calls: what it does, in order.
        results: what it returns, in the order of the leaves of `structure`: a Var for a Tensor,
            anything else as it is.
        structure: the tree of the results.
        grads: each leaf whose gradient the run leaves behind, and which, or None.
        lives: the numbers that it reads anew.
        updates: each group of an optimizer that it updates, and the bucket, in order.
        optimizers: the optimizers that these are of.
        positions: which argument a leaf stands for, by id.
        leaves: the leaves whose gradient mattered.
        started: whether a leaf had a gradient before, by id, where that mattered.
        modules: the Modules that were asked for `training`.
        ran: the Modules that ran.
        names: what is known of readers' names.
        initial: what was in the arrays that it writes and has not made, before it did.
        kept: what it reads anew in places to which it assigns, with the names of the readings.
        carried: the places to which it assigns, and what: Vars, anything else as it is.
        default_dtype: the dtype that new Tensors take, None where that does not matter.
        errors: how NumPy is to take errors in values, by their kinds, as for `np.errstate`; of the
            kinds that the function itself has set.
    """

    args: tuple[Var, ...] = ()
    starts: tuple[Var, ...] = ()
    calls: tuple[Call, ...] = ()
    results: tuple[Any, ...] = ()
    structure: Any = None
    grads: tuple[tuple[Any, Var | None], ...] = ()
    lives: tuple[Reading, ...] = ()
    updates: tuple[tuple[dict[str, Any], Any], ...] = ()
    optimizers: tuple[Any, ...] = ()
    positions: dict[int, int] = field(default_factory=dict)
    leaves: tuple[Any, ...] = ()
    started: dict[int, bool] = field(default_factory=dict)
    modules: tuple[Any, ...] = ()
    ran: tuple[Any, ...] = ()
    names: Names = field(default_factory=lambda: Names({}, {}))
    initial: dict[Var, Array] = field(default_factory=dict)
    kept: tuple[tuple[str, Var], ...] = ()
    carried: tuple[tuple[Carried, tuple[Any, ...]], ...] = ()
    default_dtype: np.dtype[Any] | None = None
    errors: dict[str, str] = field(default_factory=dict)

    def acts(self) -> bool:
        """Tell whether a call of it acts on other processes."""
        return any(call.acts for call in self.calls)

    def announce(self) -> None:
        """Tell what acts on other processes that a new program does so: see `Rule.on_program`."""
        heard = {id(c.rule): c.rule.on_program for c in self.calls if c.rule and c.acts}
        for on_program in heard.values():
            if on_program is not None:
                on_program([getattr(call.fn, "__name__", call.kind) for call in self.calls])

    def wanted(self) -> list[Var]:
        """Return the Vars that are read after a run: results, gradients, what is assigned."""
        found = [v for v in self.results if isinstance(v, Var)]
        found += [v for _, ends in self.carried for v in ends if isinstance(v, Var)]
        return found + [g for _, g in self.grads if g is not None]

    def with_calls(self, calls: Iterable[Call], became: dict[Var, Var]) -> Program:
        """Return the program with other calls, given what became of Vars."""

        def now(v: Any) -> Any:
            return became.get(v, v) if isinstance(v, Var) else v

        return replace(
            self,
            calls=tuple(calls),
            results=tuple(map(now, self.results)),
            grads=tuple((leaf, now(g)) for leaf, g in self.grads),
            carried=tuple((place, tuple(map(now, ends))) for place, ends in self.carried),
        )

    def written_outside(self, flow: Flow) -> list[Var]:
        """Return the arrays outside that calls write into, each once."""
        targets = (flow.viewed(call.outs[0]) for call in self.calls if call.kind == "write")
        return [*{id(v.array): v for v in targets if v.kind == "captured"}.values()]

    def advances(self) -> dict[str, int]:
        """Return how often a run updates what is counted, by the name of the count."""
        return {
            reading.name: sum(bucket is reading.owner for _, bucket in self.updates)
            for reading in self.lives
            if reading.stem == "updates"
        }
