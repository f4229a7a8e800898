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
from retrograd.compiler.check import (
    differing_call,
    differing_results,
    first_difference,
    snapshot,
)
from retrograd.compiler.names import Namer
from retrograd.compiler.program import Program
from retrograd.compiler.tape import Tape, TraceError, Var
from retrograd.core import Tensor, wrap
from retrograd.mode import MODE, Mode

CHECKS = 2  # so many first replays of a program are compared with the function itself
_ARRAYS = (np.ndarray, np.generic, Tensor)
PROGRAMS = 32  # a step keeps so many programs


class CompiledStep:
    """A function that records itself once for each kind of arguments and then replays.

    `programs` lists what was recorded, `source` is the program that ran last.
    """

    def __init__(self, fn: Callable[..., Any]) -> None:
        if not callable(fn):
            raise TypeError(f"rg.compile takes a function or a Module, not {type(fn).__name__}")
        functools.update_wrapper(self, fn, updated=())
        self.__name__: str = getattr(fn, "__name__", type(fn).__name__)
        self.fn = fn
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
                if last.runner.ready(arrays):
                    return last.runner.replay(arrays)
            return self._look_up(args, kwargs, mode.grad)

    @property
    def programs(self) -> list[Program]:
        """The programs recorded so far, the one used last at the end."""
        return [program for same in self._programs.values() for program in same]

    @property
    def source(self) -> str:
        """The source of the program that ran last."""
        if self._last is None:
            raise RuntimeError("nothing is recorded yet: call the compiled function first")
        return self._last.source

    def export(self, path: Any, overwrite: bool = False) -> None:
        """Write the program that ran last as a script that needs only NumPy; see `export`."""
        from retrograd.compiler.export import export

        if self._last is None:
            raise RuntimeError("nothing is recorded yet: call the compiled function first")
        export(self._last, self, path, overwrite)

    # Finding the program -------------------------------------------------------------------------

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
                    return program.runner(arrays)
                result = self._checked(program, leaves, structure, arrays)
                program.checks_left -= 1
                if program.tape.constants:
                    program = program.with_constants()
                    same[same.index(self._last)] = self._last = program
                if not program.checks_left:
                    program.settle()
                return result
        same[:] = [p for p in same if not p.is_stale()]
        tape, inputs, result = self._record(leaves, structure)
        names = self._names(structure)
        for v, name in zip(inputs, _of_arrays(names, leaves), strict=True):
            v.wish = name
        values, shape = tree.flatten(result)
        if any(isinstance(v, np.ndarray) for v in values):
            raise TraceError(
                "a compiled function returns Tensors or plain values; an array made outside "
                "of recorded calls would be the same in every run"
            )
        outs = [tape.see(v._data) if isinstance(v, Tensor) else v for v in values]
        grads = [
            (leaf, None if grad is None else tape.see(grad))
            for leaf, grad in ((leaf, tape.grads[key]) for key, leaf in tape.leaves.items())
            if leaf.is_leaf
        ]
        result = _detached(result)
        program = Program(tape, Namer(self.fn, tape), inputs, outs, shape, grads)
        tape.grads.clear()
        plain = all(
            a.__class__ is np.ndarray or (a.__class__ is Tensor and not a.requires_grad)
            for a in args
        )
        program.grad, program.checks_left = grad, CHECKS
        program.simple = plain and not kwargs and not program.starts
        same.append(program)
        self._last = program
        self._bound()
        return result

    def _bound(self) -> None:
        while len(self.programs) > PROGRAMS:
            key = next(iter(self._programs))
            self._programs[key].pop(0)
            if not self._programs[key]:
                del self._programs[key]
            warnings.warn(
                f"{self.__name__} has recorded more than {PROGRAMS} programs: its arguments "
                "change in shape, dtype or static values nearly every time; pad them to a few "
                "shapes, or pass numbers as arrays",
                RuntimeWarning,
                stacklevel=4,
            )

    def _names(self, structure: tree.Structure) -> list[str]:
        """Return a name for each leaf of the arguments."""
        forward = getattr(self.fn, "forward", self.fn)
        try:
            known = [
                p.name + "_{}" * (p.kind is p.VAR_POSITIONAL)
                for p in inspect.signature(forward).parameters.values()
            ]
        except (TypeError, ValueError):
            known = []
        names = []
        for where, first, *rest in structure.paths():
            if where == 0:
                stem = known[min(first, len(known) - 1)] if known else f"arg{first}"
                first = stem.format(first)
            names.append("_".join(str(part) for part in (first, *rest)))
        return names

    # Recording -----------------------------------------------------------------------------------

    def _record(
        self, leaves: list[Any], structure: tree.Structure, keep: bool = False
    ) -> tuple[Tape, list[Var], Any]:
        """Run the function with everything recorded; what it does is done for real."""
        tape = Tape(keep)
        inputs: list[Var] = []
        given: list[Any] = []
        standing: list[tuple[Tensor, Tensor]] = []
        for leaf in leaves:
            if not isinstance(leaf, _ARRAYS):
                given.append(leaf)
                continue
            array = leaf._data if isinstance(leaf, Tensor) else np.asarray(leaf)
            t = wrap(array.view())  # known apart from the same array found elsewhere
            var = tape.known[id(t._data)] = Var(t._data, "arg", None, keep)
            if isinstance(leaf, Tensor) and leaf.requires_grad:
                t.requires_grad, t._grad = True, leaf.grad
                tape.positions[id(t)] = len(inputs)
                standing.append((t, leaf))
            inputs.append(var)
            given.append(t)
        args, kwargs = structure.unflatten(given)
        outside = _Outside(self.fn)
        token = MODE.set(Mode(MODE.get().grad, tape))
        try:
            result = self.fn(*args, **kwargs)
        finally:
            MODE.reset(token)
            for t, leaf in standing:
                leaf._grad = t._grad
        outside.check()
        tape.grads = {key: leaf._grad for key, leaf in tape.leaves.items()}
        for leaf in tape.leaves.values():
            if leaf._grad is not None:
                leaf._grad = leaf._grad.copy()  # on the tape two leaves may share one array
        for t, leaf in standing:
            leaf._grad = t._grad
        return tape, inputs, result

    def _checked(self, program: Program, leaves: Any, structure: Any, arrays: Any) -> Any:
        """Run the function, then the program from the same start, and compare."""
        before = snapshot(program, arrays)
        tape, _, result = self._record(leaves, structure)
        problem = differing_call(program.tape, tape) or before.mutated()
        if problem:
            raise TraceError(f"{self.__name__} cannot be compiled: {problem}")
        after = before.results(tape, result)
        before.restore()
        replayed = program.runner(arrays)
        problem = differing_results(program, after, replayed, before)
        if problem:
            before.restore()
            kept, _, _ = self._record(leaves, structure, keep=True)
            before.restore()
            first = first_difference(program, arrays, kept)
            raise RuntimeError(
                f"the compiled {self.__name__} does not compute what the function does: "
                f"{problem}{first}"
            )
        return replayed


class _Outside:
    """What a function could change besides Tensors: its globals and what it encloses."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn
        self.before = self._look()

    def _look(self) -> dict[str, Any]:
        code = getattr(self.fn, "__code__", None)
        if code is None:
            return {}
        scope = {n: self.fn.__globals__[n] for n in code.co_names if n in self.fn.__globals__}
        for name, cell in zip(code.co_freevars, self.fn.__closure__ or (), strict=True):
            try:
                scope[name] = cell.cell_contents
            except ValueError:
                continue
        return {name: (value, _contents(value)) for name, value in scope.items()}

    def check(self) -> None:
        """Raise TraceError if something is not what it was."""
        for name, (value, inside) in self._look().items():
            old = self.before.get(name)
            if old is not None and (old[0] is not value or old[1] != inside):
                raise TraceError(
                    f"{getattr(self.fn, '__name__', 'the function')} changes {name!r}, which is "
                    "outside of it: a compiled function runs its Python once only. Return the "
                    "value and change things after the step"
                )


def _contents(value: Any) -> Any:
    """Return what a container holds, by identity; None for what is no container."""
    if isinstance(value, dict):
        return [(k, id(v)) for k, v in value.items()]
    if isinstance(value, (list, set)):
        return [id(v) for v in value]
    return None


def _of_arrays(names: list[str], leaves: list[Any]) -> list[str]:
    return [name for name, leaf in zip(names, leaves, strict=True) if isinstance(leaf, _ARRAYS)]


def _kind(leaf: Any) -> Any:
    """Return what must be the same for two arguments to share a program."""
    if isinstance(leaf, Tensor):
        if not leaf.is_leaf:
            raise TypeError(
                "a compiled function got a Tensor with a graph, whose gradient would be lost: "
                "pass t.detach(), or compile the part that computes it too"
            )
        if not leaf.requires_grad:
            return leaf.shape, leaf.dtype, None  # as an array
        return leaf.shape, leaf.dtype, leaf._grad is None
    if isinstance(leaf, (np.ndarray, np.generic)):
        return leaf.shape, leaf.dtype, None
    try:
        hash(leaf)
    except TypeError:
        raise TypeError(
            f"an argument of a compiled function is a {type(leaf).__name__}: pass arrays, "
            "Tensors, dicts, lists and tuples of them, or hashable values"
        ) from None
    return type(leaf), leaf


def _detached(result: Any) -> Any:
    return tree.map(lambda v: wrap(v._data.copy()) if isinstance(v, Tensor) else v, result)


def compile(fn: Callable[..., Any]) -> CompiledStep:
    """Compile a function of arrays into a NumPy program: a call, or the decorator `@rg.compile`.

    `fn` may run forward, `backward()`, `zero_grad()`, `step()`, clipping; or be a Module. Its
    arguments are arrays, Tensors, dicts, lists and tuples of them, and hashable values. The first
    call with given shapes, dtypes and values runs `fn` and records every NumPy call; later calls
    run these calls alone. It returns what `fn` returns, Tensors as copies without a graph.

    The first replays are compared with `fn`. Raises TraceError, naming the line, for what cannot
    be recorded: reading a value (`.item()`, `float`, `if t > 0`), or changing something outside.

    >>> import numpy as np, retrograd as rg
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
