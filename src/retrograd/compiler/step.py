"""`rg.compile`: run a function once, and from then on the NumPy program it amounts to."""

from __future__ import annotations

import functools
import inspect
import threading
import warnings
from collections.abc import Callable
from os import PathLike
from typing import Any

import numpy as np

from retrograd import tree
from retrograd.compiler.checking import (
    Watch,
    find_differing_call,
    find_differing_result,
    find_first_difference,
)
from retrograd.compiler.lines import TraceError
from retrograd.compiler.lower import lower
from retrograd.compiler.outside import find_change, look_around
from retrograd.compiler.program import ReadyProgram
from retrograd.compiler.tape import Tape, recording
from retrograd.engine import MODE, Tensor, wrap
from retrograd.nn.module import Module

_ARRAYS = (np.ndarray, np.generic, Tensor)
PROGRAMS = 32  # as many are kept for one function


class CompiledStep:
    """A function that records itself for each kind of arguments, then replays: see `rg.compile`.

    Call it as the function. It has the function's name and docstring, and `programs`, `source`
    and `export` besides.

    Args:
        fn: the function or the Module.
        replay_first: whether the first call, too, gives what the program does, rather than what
            the function did; the two may differ by rounding.

    Raises:
        TypeError: if `fn` cannot be called.

    >>> step = rg.compile(lambda x: np.sum(x * x))
    >>> step(np.arange(3.0))
    Tensor(5.)
    >>> len(step.programs)
    1
    """

    def __init__(self, fn: Callable[..., Any], replay_first: bool = False) -> None:
        if not callable(fn):
            raise TypeError(f"rg.compile takes a function or a Module, not {type(fn).__name__}")
        functools.update_wrapper(self, fn, updated=())
        self.__name__: str = getattr(fn, "__name__", type(fn).__name__)
        self.fn, self.replay_first = fn, replay_first
        self._programs: dict[Any, list[ReadyProgram]] = {}
        self._last: ReadyProgram | None = None
        self._lock = threading.RLock()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        mode = MODE.get()
        if mode.tell is not None:
            return self.fn(*args, **kwargs)  # it is compiled as a part of what calls it
        with self._lock:
            last = self._last
            if last and last.settled and not kwargs and last.grad is mode.grad:
                arrays = [
                    a._array if a.__class__ is Tensor and not a.requires_grad else a for a in args
                ]
                if last.ready(arrays):
                    return last.replay(arrays)
            return self._look_up(args, kwargs, mode.grad)

    @property
    def programs(self) -> list[ReadyProgram]:
        """The programs so far, those used last at the end.

        There is one for each kind of arguments: structure, shapes, dtypes and other values. At most
        32 are kept; then the oldest goes, with a RuntimeWarning.
        """
        return [program for same in self._programs.values() for program in same]

    @property
    def source(self) -> str:
        """The source of the program that ran last: one NumPy statement a line, in sections.

        Beside each stands the shape of what it fills. What is computed before all runs, such as
        buffers and constants, is not shown: `export` writes that too.

        Raises:
            RuntimeError: if nothing is recorded yet.

        >>> @rg.compile
        ... def step(x):
        ...     return np.exp(x) + 1
        >>> _ = step(np.zeros(2))
        >>> print(step.source)
        def step(x):
            # x: (2,) float64
        <BLANKLINE>
            # forward
            np.exp(x, out=exp)         # (2,)
            np.add(exp, one, out=add)  # (2,)
            return add
        """
        return self._ran().source

    def export(self, path: str | PathLike[str], overwrite: bool = False) -> None:
        """Write the program that ran last to a Python script, which needs NumPy only.

        The script defines `step(...)` (`predict(...)` for a Module), which takes arrays and returns
        arrays, and a `main()` that runs it on arrays from a file. Arrays of more than 1000 elements
        in all go to a `.npz` of the same name beside it.

        Args:
            path: where the script is to be; it ends in `.py`.
            overwrite: whether files that are there already are replaced; False.

        Raises:
            FileExistsError: if there is such a file and `overwrite` is False.
            FileNotFoundError: if its folder is not there.
            RuntimeError: if nothing is recorded yet.
            TypeError: if the program adds to gradients from before, or calls a function whose
                source cannot be found or taken along.
            ValueError: if `path` does not end in `.py`.

        >>> import pathlib, tempfile
        >>> step = rg.compile(lambda x: x * 2)
        >>> _ = step(np.ones(3))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     step.export(pathlib.Path(folder, "double.py"))
        ...     print(sorted(file.name for file in pathlib.Path(folder).iterdir()))
        ['double.py']
        """
        from retrograd.compiler.export import export

        name = "predict" if isinstance(self.fn, Module) else "step"
        export(self._ran(), name, path, overwrite)

    def _ran(self) -> ReadyProgram:
        if not self._last:
            raise RuntimeError("nothing is recorded yet: call the compiled function first")
        return self._last

    def _look_up(self, args: Any, kwargs: dict[str, Any], grad: bool) -> Any:
        """Run the program for these arguments, or record one."""
        leaves, structure = tree.flatten((args, kwargs))
        key = structure, tuple(map(_kind, leaves)), grad
        arrays = [a for a in leaves if isinstance(a, _ARRAYS)]
        own = [id(a) for a in arrays if isinstance(a, Tensor) and a.requires_grad]
        if len({*own}) < len(own):
            raise ValueError(
                f"{self.__name__} got the same Tensor, which requires grad, twice: pass it once, "
                "or let the function find it outside"
            )
        same = self._programs[key] = self._programs.pop(key, [])
        for program in same:
            if program.holds():
                self._last = program
                return self._replay(program, same, leaves, structure, arrays)
        # a program never holds again once a Tensor that it reads has another array
        same[:] = [p for p in same if all(t._array is array for t, array in p.holders)]
        tape, result = self._record(leaves, structure)
        plain = all(type(a) in (np.ndarray, Tensor) for a in args)
        simple = plain and not kwargs and not tape.positions
        self._last = ReadyProgram(lower(tape, self.fn, result), grad, simple)
        same.append(self._last)
        if len(self.programs) > PROGRAMS:
            self._drop_oldest()
        if self.replay_first:
            tape.put_back()
            result = self._check(self._last, leaves, structure, arrays)
        tape.undo.clear()
        return tree.map(lambda v: wrap(v._array.copy()) if isinstance(v, Tensor) else v, result)

    def _drop_oldest(self) -> None:
        key, programs = next(iter(self._programs.items()))
        programs.pop(0)
        if not programs:
            del self._programs[key]
        warnings.warn(
            f"{self.__name__} has recorded more than {PROGRAMS} programs, for as many shapes, "
            "dtypes and values: pad to a few shapes, pass numbers as arrays",
            RuntimeWarning,
            stacklevel=4,
        )

    def _replay(
        self, program: ReadyProgram, same: list[ReadyProgram], leaves: Any, structure: Any,
        arrays: Any,
    ) -> Any:  # fmt: skip
        """Run a program, compared with the function as long as it is new."""
        if not program.checks_left:
            return program(arrays)
        try:
            result = self._check(program, leaves, structure, arrays)
        except (RuntimeError, ValueError):
            same.remove(program)  # what failed once may be recorded anew
            raise
        program.checks_left -= 1
        if not program.checks_left:
            program.settle()
        return result

    def _names(self, structure: tree.Structure) -> list[str]:
        """Return a name for each leaf of the arguments, by the parameters of the function."""
        try:
            signature = inspect.signature(getattr(self.fn, "forward", self.fn))
            known = [
                p.name + "_{}" * (p.kind is p.VAR_POSITIONAL) for p in signature.parameters.values()
            ]
        except (TypeError, ValueError):
            known = []
        names = []
        for where, first, *rest in structure.paths():
            if where == 0:
                first = (known[min(first, len(known) - 1)] if known else "arg{}").format(first)
            names.append("_".join(map(str, (first, *rest))))
        return names

    def _record(self, leaves: Any, structure: Any, again: bool = True) -> tuple[Tape, Any]:
        """Run the function and return what was heard of it, and its result.

        What it fills once outside, such as a cache, is there in another run: so `again`.
        """
        tape = Tape()
        given = list(leaves)
        standing: list[tuple[Tensor, Tensor]] = []
        for i, name in enumerate(self._names(structure)):
            leaf = leaves[i]
            if not isinstance(leaf, _ARRAYS):
                continue
            array = leaf._array if isinstance(leaf, Tensor) else np.asarray(leaf)
            trained = leaf if isinstance(leaf, Tensor) and leaf.requires_grad else None
            t = given[i] = tape.add_argument(name, array, trained)
            if trained is not None:
                standing.append((t, trained))
        args, kwargs = structure.unflatten(given)
        before = look_around(self.fn)
        try:
            with recording(tape, MODE.get().grad):
                result = self.fn(*args, **kwargs)
            changed = find_change(before, self.fn)
            if changed:
                tape.put_back()
                if not again:
                    raise TraceError(
                        f"{self.__name__} changes {changed!r} outside: a compiled function runs "
                        "its Python once only. Return the value and change things after the step"
                    )
            tape.finish()
        finally:
            for t, leaf in standing:
                leaf._grad = t._grad
        return self._record(leaves, structure, again=False) if changed else (tape, result)

    def _check(self, program: ReadyProgram, leaves: Any, structure: Any, arrays: Any) -> Any:
        """Run the function, put back what it changed, run the program, and compare the two."""
        watch = Watch(program, arrays)
        tape, result = self._record(leaves, structure)
        second = lower(tape, self.fn)
        problem, constants = find_differing_call(program.recorded, second)
        if problem := problem or watch.find_mutation():
            raise TraceError(f"{self.__name__} cannot be compiled: {problem}")
        if not program.constants.issuperset(constants):
            program.write(constants)  # before it runs: it may round differently afterwards
        after = watch.results(result)
        tape.put_back()
        replayed = program(arrays)
        if problem := find_differing_result(watch.results(replayed), after):
            tape.put_back()
            kept, _ = self._record(leaves, structure)
            trace = lower(kept, self.fn, keep=True)
            kept.put_back()
            raise RuntimeError(
                f"the compiled {self.__name__} computes something else: "
                f"{problem}{find_first_difference(program, arrays, trace)}"
            )
        return replayed


def _kind(leaf: Any) -> Any:
    """Return what a program depends on of a leaf of the arguments."""
    if isinstance(leaf, _ARRAYS):
        starts = None
        if isinstance(leaf, Tensor) and not leaf.is_leaf:
            raise TypeError(
                "a compiled function got a Tensor with a graph, whose gradient would be lost: "
                "pass t.detach(), or compile what computes it too"
            )
        if isinstance(leaf, Tensor) and leaf.requires_grad:
            starts = leaf._grad is None
        return leaf.shape, leaf.dtype, starts
    try:
        hash(leaf)
    except TypeError:
        raise TypeError(
            f"a compiled function got a {type(leaf).__name__}: pass arrays, Tensors, dicts, lists "
            "and tuples of them, or hashable values"
        ) from None
    return type(leaf), leaf


def compile(fn: Callable[..., Any]) -> CompiledStep:
    """Compile a function, or a Module, into a NumPy program; a decorator too: `@rg.compile`.

    The first call with arguments of given shapes, dtypes and values runs the function and records
    its NumPy calls: forward, `backward()`, `zero_grad()`, `step()`, clipping. Later ones run these
    calls alone, optimised and with buffers that are there already; the first of them are compared
    with the function. What is read outside by name (parameters, an optimizer's learning rate,
    `training`) is read anew, or lets it be recorded anew.

    Args:
        fn: takes arrays, Tensors, dicts, lists and tuples of them, and hashable values, each value
            a program of its own. It returns Tensors, trees of them, and plain values.

    Returns:
        A function that takes the same and returns the same; its Tensors are copies without a
        graph. It has `source`, the program as text, and `export(path)`.

    Raises:
        TypeError: if `fn` cannot be called; when called, for arguments that are neither arrays nor
            hashable, or a Tensor that has a graph.
        TraceError: when called, with the line, if the function does what a program cannot do
            again: reads a value (`.item()`, `float(t)`, `if t > 0`), writes into an argument,
            changes something outside, or does something else in its second run.
        RuntimeError: when called, if a program does not compute what the function does.

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
