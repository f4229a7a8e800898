"""`rg.compile`: run a function once, keep the NumPy program it amounts to, and run that."""

from __future__ import annotations

import functools
import inspect
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd import tree
from retrograd.compiler.check import Snapshot, differing_call, differing_results, first_difference
from retrograd.compiler.program import Program
from retrograd.compiler.spelling import surroundings
from retrograd.compiler.tape import Tape, TraceError, Var, recording
from retrograd.core import Tensor, wrap
from retrograd.mode import MODE

_ARRAYS = (np.ndarray, np.generic, Tensor)
PROGRAMS = 32  # a step keeps so many programs


class CompiledStep:
    """A function that records itself once for each kind of arguments and then replays.

    `programs` lists what was recorded, `source` is the program that ran last. With `replay_first`
    the recording is undone, and the first call too gives what the program computes.
    """

    def __init__(self, fn: Callable[..., Any], replay_first: bool = False) -> None:
        if not callable(fn):
            raise TypeError(f"rg.compile takes a function or a Module, not {type(fn).__name__}")
        functools.update_wrapper(self, fn, updated=())
        self.__name__: str = getattr(fn, "__name__", type(fn).__name__)
        self.fn, self.replay_first = fn, replay_first
        self._programs: OrderedDict[Any, list[Program]] = OrderedDict()
        self._last: Program | None = None
        self._lock = threading.RLock()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        mode = MODE.get()
        if mode.tape is not None:
            return self.fn(*args, **kwargs)  # compiled as a part of what calls it
        with self._lock:
            last = self._last
            if last is not None and last.settled and not kwargs and last.grad is mode.grad:
                arrays = [
                    a._data if a.__class__ is Tensor and not a.requires_grad else a for a in args
                ]
                if last.ready(arrays):
                    return last.replay(arrays)
            return self._look_up(args, kwargs, mode.grad)

    @property
    def programs(self) -> list[Program]:
        """The programs recorded so far, the one used last at the end."""
        return [program for same in self._programs.values() for program in same]

    @property
    def source(self) -> str:
        """The source of the program that ran last."""
        return self._ran().source

    def export(self, path: Any, overwrite: bool = False) -> None:
        """Write the program that ran last as a script that needs only NumPy; see `export`."""
        from retrograd.compiler.export import export

        export(self._ran(), self, path, overwrite)

    def _ran(self) -> Program:
        if self._last is None:
            raise RuntimeError("nothing is recorded yet: call the compiled function first")
        return self._last

    def _look_up(self, args: Any, kwargs: dict[str, Any], grad: bool) -> Any:
        leaves, structure = tree.flatten((args, kwargs))
        key = structure, tuple(map(_kind, leaves)), grad
        arrays = [a for a in leaves if isinstance(a, _ARRAYS)]
        same = self._programs.setdefault(key, [])
        self._programs.move_to_end(key)
        for program in same:
            if program.holds():
                self._last = program
                if not program.checks_left:
                    return program(arrays)
                result = self._checked(program, leaves, structure, arrays)
                program.checks_left -= 1
                if not program.checks_left:
                    program.settle()
                return result
        same[:] = [p for p in same if not p.is_stale()]
        tape, result = self._record(leaves, structure)
        args_left = iter(tape.args)
        for name, leaf in zip(self._names(structure), leaves, strict=True):
            if isinstance(leaf, _ARRAYS):
                next(args_left).wish = name
        simple = not kwargs and all(
            a.__class__ is np.ndarray or (a.__class__ is Tensor and not a.requires_grad)
            for a in args
        )
        self._last = Program(self.fn, tape, result, grad, simple)
        same.append(self._last)
        self._bound()
        undo = list(tape.undo.values())
        tape.undo.clear()
        if self.replay_first:
            for put_back in reversed(undo):  # an array may be a part of one that changed before
                put_back()
            return self._checked(self._last, leaves, structure, arrays)
        return tree.map(lambda v: wrap(v._data.copy()) if isinstance(v, Tensor) else v, result)

    def _bound(self) -> None:
        if len(self.programs) > PROGRAMS:
            key, programs = next(iter(self._programs.items()))
            programs.pop(0)
            if not programs:
                del self._programs[key]
            warnings.warn(
                f"{self.__name__} has recorded more than {PROGRAMS} programs: its arguments "
                "change in shape, dtype or static values nearly every time; pad them to a few "
                "shapes, or pass numbers as arrays",
                RuntimeWarning,
                stacklevel=4,
            )

    def _names(self, structure: tree.Structure) -> list[str]:
        try:
            signature = inspect.signature(getattr(self.fn, "forward", self.fn))
            known = [p.name + "_{}" * (p.kind is p.VAR_POSITIONAL)
                     for p in signature.parameters.values()]  # fmt: skip
        except (TypeError, ValueError):
            known = []
        names = []
        for where, first, *rest in structure.paths():
            if where == 0:
                stem = known[min(first, len(known) - 1)] if known else f"arg{first}"
                first = stem.format(first)
            names.append("_".join(map(str, (first, *rest))))
        return names

    def _record(self, leaves: Any, structure: Any, keep: bool = False) -> tuple[Tape, Any]:
        """Run the function with everything recorded; what it does is done for real."""
        tape = Tape(keep)
        given = list(leaves)
        standing: list[tuple[Tensor, Tensor]] = []
        for i, leaf in enumerate(leaves):
            if not isinstance(leaf, _ARRAYS):
                continue
            array = leaf._data if isinstance(leaf, Tensor) else np.asarray(leaf)
            t = given[i] = wrap(array.view())  # known apart from the same array found elsewhere
            if isinstance(leaf, Tensor) and leaf.requires_grad:
                t.requires_grad, t._grad = True, leaf.grad
                tape.positions[id(t)] = len(tape.args)
                standing.append((t, leaf))
                tape.note(leaf, "_grad")
            tape.args.append(Var(t._data, "arg", None, keep))
            tape.known[id(t._data)] = tape.args[-1]
        args, kwargs = structure.unflatten(given)
        outside = {name: (v, _contents(v)) for name, v in surroundings(self.fn).items()}
        try:
            with recording(tape, MODE.get().grad):
                result = self.fn(*args, **kwargs)
            for name, value in surroundings(self.fn).items():
                old, held = outside.get(name, (value, _contents(value)))
                if old is not value or held != _contents(value):
                    raise TraceError(
                        f"{self.__name__} changes {name!r}, which is outside of it: a compiled "
                        "function runs its Python once only. Return the value and change things "
                        "after the step"
                    )
            for key, leaf in tape.leaves.items():
                tape.grads[key] = leaf._grad
                if leaf._grad is not None:
                    leaf._grad = leaf._grad.copy()  # on the tape two leaves may share one array
        finally:
            for t, leaf in standing:
                leaf._grad = t._grad
        return tape, result

    def _checked(self, program: Program, leaves: Any, structure: Any, arrays: Any) -> Any:
        """Run the function, then the program from the same start, and compare."""
        before = Snapshot(program, arrays)
        tape, result = self._record(leaves, structure)
        problem = differing_call(program.tape, tape) or before.mutated()
        if problem:
            raise TraceError(f"{self.__name__} cannot be compiled: {problem}")
        if program.tape.constants:  # before it runs: it may round differently afterwards
            program.write()
        after = before.results(result)
        before.restore()
        replayed = program(arrays)
        problem = differing_results(before.results(replayed), after)
        if problem:
            before.restore()
            kept, _ = self._record(leaves, structure, keep=True)
            before.restore()
            raise RuntimeError(
                f"the compiled {self.__name__} does not compute what the function does: "
                f"{problem}{first_difference(program, arrays, kept)}"
            )
        return replayed


def _contents(value: Any) -> Any:
    """Return what a container holds, by identity; None for what is no container."""
    if isinstance(value, dict):
        return [(k, id(v)) for k, v in value.items()]
    return [id(v) for v in value] if isinstance(value, (list, set)) else None


def _kind(leaf: Any) -> Any:
    """Return what must be the same for two arguments to share a program."""
    if isinstance(leaf, _ARRAYS):
        starts = None
        if isinstance(leaf, Tensor) and not leaf.is_leaf:
            raise TypeError(
                "a compiled function got a Tensor with a graph, whose gradient would be lost: "
                "pass t.detach(), or compile the part that computes it too"
            )
        if isinstance(leaf, Tensor) and leaf.requires_grad:
            starts = leaf._grad is None
        return leaf.shape, leaf.dtype, starts
    try:
        hash(leaf)
    except TypeError:
        raise TypeError(
            f"an argument of a compiled function is a {type(leaf).__name__}: pass arrays, "
            "Tensors, dicts, lists and tuples of them, or hashable values"
        ) from None
    return type(leaf), leaf


def compile(fn: Callable[..., Any]) -> CompiledStep:
    """Compile a function of arrays into a NumPy program: a call, or the decorator `@rg.compile`.

    `fn` may run forward, `backward()`, `zero_grad()`, `step()`, clipping; or be a Module. Its
    arguments are arrays, Tensors, dicts, lists and tuples of them, and hashable values. The first
    call with given shapes, dtypes and values runs `fn` and records every NumPy call; later calls
    run these calls alone. It returns what `fn` returns, Tensors as copies without a graph.

    The first replays are compared with `fn`. Raises TraceError, naming the line, for what cannot
    be recorded: reading a value (`.item()`, `float`, `if t > 0`), or changing something outside.

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
    return CompiledStep(fn)
