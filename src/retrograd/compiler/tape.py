"""The tape: what is heard of a run, event after event. `lower` makes a program of it afterwards.

What a run asks is answered here and now: results of calls and draws, gradients of leaves. So is
what must be refused at the user's line, and what is changed outside is remembered, to put it back.
"""

from __future__ import annotations

import functools
import operator
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn, cast

import numpy as np

from retrograd.compiler.carried import Carried
from retrograd.compiler.ir import root
from retrograd.compiler.lines import TraceError
from retrograd.compiler.live import Live, Reading
from retrograd.compiler.statements import Literal, Operation
from retrograd.engine import Array, Mode, Rule, Tensor, mode_set, pick, touch, wrap
from retrograd.lines import user_line, user_place

READS = (
    "the next run has another value. Return the Tensor and read it after the step; "
    "np.where(condition, x, y) branches on values."
)
_ndarray = np.ndarray


class Event(NamedTuple):
    """One thing that was heard of a run.

    The kinds, and what each tells:

        argument    array, name
        seen        Tensors or arrays as they were given, arrays: arguments of a call looked through
        call        rule, arguments as given, arguments as arrays, keywords, output, the position
                    of the argument that the output is a view of, or None
        write       ufunc, np.copyto or operator.setitem, Tensor that is written, its array, what it
                    is written with, and where to, for `setitem`
        draw        generator, shape, dtype, output
        named       array, name
        grad        leaf, the gradient it had when the run first asked
        gradient    array, its gradient, an output of the call whose rule has computed that
        module ran  Module, output array or None
        training    Module that was asked for its mode
    """

    kind: str
    what: tuple[Any, ...]
    section: str = ""
    place: tuple[str, int] = ("", 0)  # file and number of the user's line


class Tape:
    """What `rg.compile` records; see `retrograd.engine.mode`.

    Attributes:
        log: the events. They hold their arrays, so that an id stands for one array.
        positions: which argument a leaf stands for, by the leaf's id.
        leaves: the leaves from outside whose gradient was used, by id.
        asked: the leaves that were asked whether they have one before anything else, by id.
        inside: the leaves that the run itself made, by id, each with the Tensor whose memory it
            shares, or None. They are gone after the run: no program depends on them.
        started: whether each had one when the run first asked, by id.
        grads: after the run, each leaf and the gradient it is left with, or None.
        lives: the numbers that are read anew in every run.
        updates: each group of an optimizer that was updated, and the bucket.
        optimizers: the optimizers that these are of, by id.
        undo: what puts back what the run changed outside.
        undo_refused: what puts back Tensors that no program can assign as the run did.
        asks_default_dtype: whether it has made Tensors of lists or numbers, or drawn some.
        errors: how NumPy is to take errors in values where the function says so, by their kinds.
        initial: what was in an array that no call had made before it was written, by its id.
    """

    def __init__(self) -> None:
        self.log: list[Event] = []
        self.section = "forward"
        self.positions: dict[int, int] = {}
        self.leaves: dict[int, Tensor] = {}
        self.asked: dict[int, Tensor] = {}
        self.inside: dict[int, tuple[Tensor, Tensor | None]] = {}
        self.started: dict[int, bool] = {}
        self.grads: list[tuple[Tensor, Array | None]] = []
        self.lives: list[Reading] = []
        self.updates: list[tuple[dict[str, Any], Any]] = []
        self.optimizers: dict[int, Any] = {}
        self.undo: dict[int, Callable[[], Any]] = {}
        self.undo_refused: list[Callable[[], Any]] = []
        self.initial: dict[int, Array] = {}
        self.carried: list[Carried] = []  # the places outside to which the run has assigned
        self.asks_default_dtype = False
        self.errors: dict[str, str] = {}
        self._errors_before: dict[str, Any] | None = None  # None if they are not watched
        self._updated: Counter[int] = Counter()  # how often each bucket was updated, by id
        self._apart: set[int] = set()  # ids of the callers' leaves, which the run has as arguments
        self.callers: set[int] = set()  # ids of arguments that are NumPy arrays of the caller's
        self._arguments: set[int] = set()
        self._made: set[int] = set()  # ids of arrays that calls returned
        self._seen: set[int] = set()  # ids of all arrays so far
        self._views: dict[int, Array] = {}  # the argument that a view looks at, by the view's id

    # What a step says before and after the run

    def add_argument(self, name: str, array: Array, leaf: Tensor | None) -> Tensor:
        """Return an argument as the function is to get it, a Tensor of its own.

        Args:
            name: a reader's name for it.
            array: its values.
            leaf: the caller's Tensor if it requires grad, else None.
        """
        t = wrap(array.view())  # another array than what the function may find outside
        if leaf is not None:
            t.requires_grad, t._grad = True, leaf.grad
            self.positions[id(t)] = len(self._arguments)
            self.note(leaf, "_grad")
            self._apart |= {id(leaf), id(array)}
        self._arguments.add(id(t._array))
        self._seen.add(id(t._array))
        self.log.append(Event("argument", (t._array, name)))
        return t

    def watch_errors(self) -> None:
        """Look from now on whether the function changes how NumPy takes errors in values."""
        self._errors_before = {**np.geterr()}

    def _look_at_errors(self, before: dict[str, Any]) -> None:
        for kind, mode in np.geterr().items():
            if mode == before[kind]:
                continue
            if mode not in ("ignore", "warn"):
                self.forbid(
                    f"np.errstate({kind}={mode!r}) inside",
                    "a program has no place where it would stop. Write it around the call, or "
                    "np.where for what is to be there instead.",
                )
            if self.errors.get(kind) != "ignore":
                self.errors[kind] = str(mode)

    def finish(self) -> None:
        """Take the gradients that the run leaves behind."""
        for leaf in self.leaves.values():
            grad = cast("Array | None", leaf._grad)
            if grad is not None:
                self.check((grad,))
                leaf._grad = grad.copy()  # two leaves may share one array
            self.grads.append((leaf, grad))

    def has_made(self, t: Tensor) -> bool:
        """Tell whether the run itself has made a Tensor, or what shares its memory."""
        i = id(self._viewed(t._array))
        return i in self._made or i in self._arguments or id(t) in self.inside

    def carry(self, carried: Sequence[Carried]) -> None:
        """Take note of places outside to which the run has assigned."""
        self.carried = [*carried]
        for each in carried:
            self.undo[id(each)] = functools.partial(each.place.put, each.place.value)

    def take_log(self) -> list[Event]:
        """Return the events and let go of them, and of all arrays of the run."""
        log, self.log = self.log, []
        self._views.clear()
        return log

    def put_back(self, keeps: bool = False) -> None:
        """Put back what the run changed outside.

        Args:
            keeps: whether what no program can do stays: it may be filled once, such as a cache.
        """
        # the last first: an array may be a part of one that was noted before
        everything = [*reversed(self.undo.values())]
        everything += [] if keeps else self.undo_refused
        try:
            for put_back in everything:
                put_back()
        except BaseException:
            for put_back in everything:  # an interrupt must not leave a half: twice does no harm
                put_back()
            raise

    # What the engine says during the run

    def hear(self, kind: str, *what: Any) -> Any:
        """Take note of what a run does, and answer what it asks: see `_ANSWERS` for the kinds."""
        return _ANSWERS[kind](self, *what)

    def refuse(self, what: str, of: Any, why: str, asked: bool) -> NoReturn:
        """Refuse a way by which a value leaves the graph."""
        self.forbid(what, why or READS)

    def forbid(self, what: str, why: str) -> NoReturn:
        """Refuse what cannot be done again, at the user's line."""
        raise TraceError(f"{what} cannot be compiled: {why}{user_line()}")

    def note(self, owner: Any, name: str) -> None:
        """Remember an attribute that is about to change."""
        if id(owner) not in self.undo:
            self.undo[id(owner)] = functools.partial(setattr, owner, name, getattr(owner, name))

    def _check(self, of: Any) -> None:
        if id(of) in self._apart:
            self.forbid("a Tensor that is an argument and found outside", "pass it in one way.")

    def check(self, values: Sequence[Any]) -> None:
        """Refuse arrays, also in lists and tuples, that are found in two ways."""
        seen = self._seen
        for value in values:
            if value.__class__ is _ndarray or isinstance(value, _ndarray):
                if id(value) not in seen:
                    if self._apart:
                        self._check(value)
                    seen.add(id(value))
            elif isinstance(value, (list, tuple)):
                self.check(value)

    def _viewed(self, array: Array) -> Array:
        while id(array) in self._views:
            array = self._views[id(array)]
        return array

    def _call(self, rule: Rule, args: Any, arrays: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        if rule.fn is pick:
            return rule.run(*arrays, **kwargs)
        if rule.looks_through:
            self.check([a for a in arrays if isinstance(a, _ndarray)])
            self.log.append(Event("seen", (args, arrays)))
            lifted = [wrap(a) if isinstance(a, _ndarray) else a for a in arrays]
            with recording(self):
                out = rule.run(*lifted, **kwargs)
            return tuple(map(_array, out)) if isinstance(out, (tuple, list)) else _array(out)
        if self._errors_before is not None:
            self._look_at_errors(self._errors_before)
        self.check(arrays)
        if kwargs:
            self.check([*kwargs.values()])
        out = self._run(rule, [*map(_value, arrays)], kwargs)
        view_of = None
        if rule.multi:
            out = tuple(np.asarray(o) for o in out)
            self._add(out)
        elif not isinstance(out, _ndarray):
            out = np.asarray(out)
            self._add((out,))
        elif id(out) in self._seen:
            self.log.append(Event("seen", (args, arrays)))
            return out  # the function gave back an array that is known already
        else:
            self._add((out,))
            if out.base is not None:
                view_of = self._view(out, arrays)
        what = (rule, args, arrays, kwargs, out, view_of)
        self.log.append(Event("call", what, self.section, user_place()))
        return out

    def _run(self, rule: Rule, values: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Return what a call gives."""
        return rule.run(*values, **kwargs)

    def _unwrapped(self, t: Tensor) -> None:
        self.log.append(Event("seen", ((t,), (t._array,))))

    def _add(self, outs: Sequence[Array]) -> None:
        for out in outs:
            self._made.add(id(out))
            self._seen.add(id(out))

    def _view(self, out: Array, arrays: Sequence[Any]) -> int | None:
        """Return which argument an output looks at."""
        owner, found = root(out), None
        for k, a in enumerate(arrays):
            if isinstance(a, _ndarray) and root(a) is owner:
                found, self._views[id(out)] = k, a
        return found

    def _write(self, ufunc: Callable[..., Any], target: Tensor, other: Any, *at: Any) -> None:
        array = target._array
        given = other._array if isinstance(other, Tensor) else other
        self.check((array,))
        viewed = self._viewed(array)
        if id(viewed) in self._arguments:
            self._forbid_argument()
        if id(array) not in self.undo and id(viewed) not in self._made:
            before = array.copy()
            self.undo[id(array)] = functools.partial(np.copyto, array, before)
            if array is viewed:
                self.initial[id(array)] = before
        self.check((given, *at))
        what = (ufunc, target, array, given, *at)
        self.log.append(Event("write", what, self.section, user_place()))
        if ufunc is operator.setitem:
            array[at[0]] = _value(given)
        elif ufunc is np.copyto:
            np.copyto(array, _value(given), casting="unsafe")
        else:
            ufunc(array, _value(given), out=array)

    def _is_made_inside(self, t: Tensor) -> bool:
        """Tell whether the run itself has made a Tensor that it is about to write into."""
        if id(self._viewed(t._array)) in self._arguments:
            self._forbid_argument()
        return self.has_made(t)

    def _forbid_argument(self) -> NoReturn:
        self.forbid(
            "a write into an argument",
            "return the new value, or let the function find the Tensor outside.",
        )

    def _replace(self, t: Tensor) -> None:
        if id(self._viewed(t._array)) in self.callers:
            self.forbid(
                "x += y on a NumPy array that is an argument",
                "it changes the caller's array where nothing is compiled, a program would not. "
                "Write x = x + y for a new value.",
            )

    def _draw(self, rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Tensor:
        self.asks_default_dtype = True  # perhaps
        kind = dtype if dtype in (np.float32, np.float64) else np.dtype(np.float64)
        self.note(rng.bit_generator, "state")
        out = rng.random(shape, dtype=kind.type)
        self._add((out,))
        self.log.append(Event("draw", (rng, shape, kind, out), self.section, user_place()))
        return wrap(out).astype(dtype)

    def _section(self, section: str) -> str:
        before, self.section = self.section, section
        return before

    def _training_read(self, module: Any) -> None:
        self.log.append(Event("training", (module,)))

    def _module(self, module: Any, args: Any, kwargs: Any) -> Any:
        output = module._forward_with_hooks(args, kwargs)
        out = output._array if isinstance(output, Tensor) else None
        self.log.append(Event("module ran", (module, out)))
        return output

    def _visit(self, t: Tensor, g: Any, rule: Rule) -> Rule:
        return rule

    def _compiled(self, step: Any, args: Any, kwargs: Any) -> Any:
        return step.fn(*args, **kwargs)  # it is compiled as a part of what calls it

    def _leaf_made(self, leaf: Tensor, source: Any) -> None:
        if not isinstance(source, (Tensor, _ndarray, np.generic, type(None))):
            self.asks_default_dtype = True
        shares = isinstance(source, Tensor) and source._array is leaf._array
        self.inside[id(leaf)] = leaf, source if shares else None

    def _is_inside(self, leaf: Tensor) -> bool:
        """Tell whether the run itself made a leaf, or what became a leaf by `requires_grad_()`."""
        array = id(leaf._array)
        if id(leaf) in self.inside or array in self._made:
            return True
        return array in self._arguments and id(leaf) not in self.positions

    def _grad_replaced(self, leaf: Tensor) -> None:
        self._check(leaf)
        if self._is_inside(leaf):
            return
        self.leaves.setdefault(id(leaf), leaf)
        self.note(leaf, "_grad")

    def _has_grad(self, leaf: Tensor) -> bool:
        """Tell whether a leaf has a gradient: a program holds for leaves that have one, or none."""
        self._check(leaf)
        has = leaf._grad is not None
        if not self._is_inside(leaf) and id(leaf) not in self.leaves:
            self.asked.setdefault(id(leaf), leaf)
            self.started.setdefault(id(leaf), has)
        return has

    def _grad(self, leaf: Tensor) -> Array | None:
        self._check(leaf)
        grad = cast("Array | None", leaf._grad)
        if self._is_inside(leaf):
            return grad
        self.note(leaf, "_grad")
        if id(leaf) not in self.leaves:
            self.leaves[id(leaf)] = leaf
            self.started.setdefault(id(leaf), grad is not None)
            if grad is not None:
                self._seen.add(id(grad))
                self.log.append(Event("grad", (leaf, grad)))
        return grad

    def _gradient(self, of: Tensor, g: Any, behind: Tensor) -> None:
        out = behind._array
        first = out[0] if isinstance(out, tuple) else out
        gradient = g._array if isinstance(g, Tensor) else None
        self.log.append(Event("gradient", (of._array, gradient, first)))

    def _update(self, optimizer: Any, group: dict[str, Any], bucket: Any, g: Any) -> None:
        before = self._updated[id(bucket)]
        self._updated[id(bucket)] += 1
        self.updates.append((group, bucket))
        self.optimizers[id(optimizer)] = optimizer
        lr = self._live("lr", group, ("lr",))
        count = self._live("updates", bucket, "count")
        # the count stands at its value before the run, plus what this run has done so far
        t = Live(count.value + 1, Operation("+", count.formula, Literal(before + 1)))
        options = dict(group)
        if options.get("momentum"):
            options["momentum"] = self._live("momentum", group, ("momentum",))
        if "betas" in options:
            beta1 = self._live("beta1", group, ("betas",), (0,))
            options["betas"] = (beta1, *group["betas"][1:])
        with recording(self):
            p = wrap(bucket.data)
            state = {name: wrap(array) for name, array in bucket.state.items()}
            many = len(bucket.params) > 1
            named = {"params": p, "d_params": g, **state} if many else state
            for name, tensor in named.items():
                if isinstance(tensor, Tensor):
                    self.check((tensor._array,))
                    self.log.append(Event("named", (tensor._array, name)))
            optimizer.update(p, g, state, options, lr, t)
        self.note(bucket, "count")
        bucket.count += 1
        touch(*bucket.params)

    def _live(self, stem: str, owner: Any, *path: Any) -> Live:
        same = [reading for reading in self.lives if reading.stem == stem]
        reading = next((reading for reading in same if reading.owner is owner), None)
        if reading is None:
            name = f"{stem}_{len(same) + 1}" if same else stem
            reading = Reading(name, stem, owner, path)
            self.lives.append(reading)
        return Live.of(reading)


# what the engine tells, by kind: see the calls of `tell` there
_ANSWERS: dict[str, Callable[..., Any]] = {
    "call": Tape._call,  # rule, arguments, arrays, keywords: returns what the call returns
    "write": Tape._write,  # ufunc, leaf, other, perhaps an index: changes the leaf's array
    "is made inside": Tape._is_made_inside,  # Tensor that is about to become the result of a write
    "replace": Tape._replace,  # Tensor in whose place `x += y` puts a new one
    "draw": Tape._draw,  # generator, shape, dtype: returns the Tensor drawn
    "section": Tape._section,  # name: returns the one before
    "training read": Tape._training_read,  # Module
    "module": Tape._module,  # Module, arguments, keywords: returns its output
    "visit": Tape._visit,  # Tensor, its gradient, its rule: returns the rule to use
    "compiled": Tape._compiled,  # compiled function, arguments, keywords: returns its results
    "unwrapped": Tape._unwrapped,  # Tensor whose array goes on alone, such as an index
    "leaf made": Tape._leaf_made,  # leaf, what it was made of
    "grad": Tape._grad,  # leaf: returns its gradient
    "has grad": Tape._has_grad,  # leaf: tells whether it has a gradient
    "grad replaced": Tape._grad_replaced,  # leaf
    "gradient": Tape._gradient,  # Tensor, its gradient, Tensor whose call's rule computed that
    "update": Tape._update,  # optimizer, group, bucket, gradient: updates the bucket
}


def recording(tape: Tape, grad: bool = False) -> mode_set:
    """Return a context in which all that is called is recorded."""
    return mode_set(Mode(grad, tape.hear, tape.refuse))


def _array(value: Any) -> Any:
    return value._array if isinstance(value, Tensor) else np.asarray(value)


def _value(value: Any) -> Any:
    return value.value if isinstance(value, Live) else value
