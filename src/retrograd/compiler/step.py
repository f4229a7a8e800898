"""`rg.compile`: run a function once, and from then on the NumPy program it amounts to."""

from __future__ import annotations

import copy
import functools
import threading
import warnings
from collections import Counter
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from types import MethodType
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd import tree
from retrograd.compiler.arguments import ARRAYS, kind_of, objects_given
from retrograd.compiler.callables import (
    bind_method,
    check_compilable,
    check_target,
    reduce_step,
    remember_for_forks,
    takes_self,
)
from retrograd.compiler.comparison import Comparison
from retrograd.compiler.differentiable import Graph, RecordedCall
from retrograd.compiler.graphs import (
    find_graph,
    flow_alike,
    refuse_lost_gradients,
    stand_ins,
)
from retrograd.compiler.ir import Program
from retrograd.compiler.likeness import Likeness
from retrograd.compiler.lines import TraceError
from retrograd.compiler.lower import lower
from retrograd.compiler.outside import Outside
from retrograd.compiler.passes import simplify
from retrograd.compiler.program import ReadyProgram
from retrograd.compiler.readable import Readable
from retrograd.compiler.recorder import record_run
from retrograd.compiler.records import flatten, flatten_results, kinds_of
from retrograd.compiler.sample import Sample
from retrograd.compiler.shortcut import MISSED, RUNS, make_shortcut
from retrograd.compiler.tape import Tape
from retrograd.engine import CLOCK, Tensor, current_mode, mode_set, wrap
from retrograd.nn.module import Module

if TYPE_CHECKING:
    from retrograd.compiler.profiling import ProgramProfile

PROGRAMS = 32  # as many are kept for one function
REASONS = 4  # so often something outside may change before that is worth a warning


class CompiledStep:
    """A function that records itself for each kind of arguments, then replays: see `rg.compile`.

    Call it as the function. It has the function's name and docstring, and `programs`, `source`
    and `export` besides.

    Args:
        fn: the function or the Module.
        replay_first: whether the first call, too, gives what the program does, rather than what
            the function did; the two may differ by rounding.
        target: what computes the programs, "numpy" or "c".

    Raises:
        TypeError: if `fn` cannot be called.

    >>> step = rg.compile(lambda x: np.sum(x * x))
    >>> step(np.arange(3.0))
    Tensor(5.)
    >>> len(step.programs)
    1
    """

    def __init__(
        self, fn: Callable[..., Any], replay_first: bool = False, target: str = "numpy"
    ) -> None:
        check_compilable(fn)
        check_target(target)
        functools.update_wrapper(self, fn, updated=())
        self.__name__: str = getattr(fn, "__name__", type(fn).__name__)
        self.fn, self.replay_first, self.target = fn, replay_first, target
        self.halved_at = 0  # how many of its arguments the first half of a program takes
        self._programs: dict[Any, list[ReadyProgram]] = {}
        self._last: ReadyProgram | None = None
        self._reasons: Counter[str] = Counter()  # how often each thing outside was a reason
        self._closed: set[type] = set()  # dataclasses of arrays that are watched as objects
        self._lock = threading.RLock()
        self.attribute = ""  # the name that a class has it under
        remember_for_forks(self)

    # As an object of Python

    def __set_name__(self, owner: type, name: str) -> None:
        self.attribute = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None or not takes_self(self.fn):
            return self
        if current_mode().records:
            return MethodType(self.fn, instance)  # a part of what is recorded now
        if isinstance(instance, type):
            return MethodType(self, instance)  # of a classmethod: the class is an argument
        return bind_method(self, instance)

    def __reduce__(self) -> Any:
        return reduce_step(self)

    def __copy__(self) -> CompiledStep:
        made = reduce_step(self)
        return self if isinstance(made, str) else made[0](*made[1])

    def __deepcopy__(self, memo: dict[int, Any]) -> CompiledStep:
        made = reduce_step(self)
        return self if isinstance(made, str) else made[0](*copy.deepcopy(made[1], memo))

    def _after_fork(self) -> None:
        """Make this usable in a child process, whatever other threads were at in the parent."""
        if self._lock.acquire(blocking=False):
            self._lock.release()
        else:  # a thread that is not here was inside, perhaps writing a program
            self._lock, self._programs, self._last = threading.RLock(), {}, None

    # Calls

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        mode = current_mode()
        if mode.tell is not None:
            return mode.tell("compiled", self, args, kwargs)
        with self._lock:
            last = self._last
            if last is not None and last.settled and not kwargs and last.grad is mode.grad:
                runs = last.runs + 1
                if runs < last.next_audit:
                    shortcut = last.shortcut
                    if shortcut is not None:  # which asks all that `enter` does
                        try:
                            found = shortcut(args)
                        except BaseException as error:
                            last.recover(error)
                            raise
                        if found is not MISSED:
                            last.runs = runs
                            return found
                    else:
                        enter = last.enter  # a function that it has, not a method
                        arrays = enter(args)
                        if arrays is not None:
                            last.runs = runs
                            graph = last.graph
                            if graph is None:
                                return last.replay(arrays)
                            return graph.answer(last, args, arrays)
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
        """The program that ran last, for readers: it runs as it stands, with NumPy alone.

        The function takes the arguments, and by keyword whatever it finds outside: parameters,
        which it updates in place, the optimizer's state, the learning rate. It returns what the
        function returns, then, if it updates nothing, the gradients that it leaves. Each line
        stands in its section, beside it its shape and the line of your code that it comes from; in
        the backward pass this is the line whose gradient it computes. What your code repeats, such
        as the steps of a recurrent net, is a loop. Sizes follow those of the arguments where they
        do so in the function; to see that, it is recorded for one more size at the first time.

        It computes what the compiled step does but for rounding. That one writes into buffers
        which it keeps: see `fast_source`.

        Raises:
            RuntimeError: if nothing is recorded yet.

        >>> @rg.compile
        ... def step(x):
        ...     return np.exp(x) + 1
        >>> _ = step(np.zeros(2))
        >>> for line in step.source.splitlines():
        ...     print(line.partition("  # (2,)")[0])
        def step(x):
            # x: (n,) float64
        <BLANKLINE>
            # forward
            total = np.exp(x) + 1
            return total
        """
        return self.readable().source

    @property
    def fast_source(self) -> str:
        """The source of the program that ran last as it runs: NumPy calls into kept buffers.

        Beside each stands the shape of what it fills. What is computed before all runs, such as
        buffers and constants, is not shown: `export` writes that too. Behind it stands what C does,
        for a function that was compiled with `target="c"`.

        Raises:
            RuntimeError: if nothing is recorded yet.

        >>> @rg.compile
        ... def step(x):
        ...     return np.exp(x) + 1
        >>> _ = step(np.zeros(2))
        >>> print(step.fast_source)
        def step(x):
            # x: (2,) float64
        <BLANKLINE>
            # forward
            np.exp(x, out=exp)         # (2,)
            np.add(exp, one, out=add)  # (2,)
            return add
        """
        ready = self._ran()
        return f"{ready.source}\n\n{ready.code.source_in_c}".rstrip()

    def readable(self) -> Readable:
        """Return the program that ran last for readers as data: `source` is its text.

        Returns:
            An object with `parameters`, `rows`, one for each line, with its names, shape, section
            and origin, and `arrays()`, what to pass by keyword.

        Raises:
            RuntimeError: if nothing is recorded yet.

        >>> step = rg.compile(lambda x: np.sum(np.exp(x)))
        >>> _ = step(np.zeros(2))
        >>> [(row.targets, row.inputs, row.shape) for row in step.readable().rows]
        [(('total',), ('x',), ())]
        """
        from retrograd.compiler.readable.build import make_readable

        with self._lock:
            ready = self._ran()
            found = ready.readable
            if found is None:
                name = "predict" if isinstance(self.fn, Module) else "step"
                found = ready.readable = make_readable(ready, name, self._record_plainly)
            return found

    def _record_plainly(self, ready: ReadyProgram, leaves: list[Any]) -> Program:
        """Record the function for other arguments; return the program without buffers."""
        mode = current_mode()
        with mode_set(mode.with_grad(ready.grad)):
            tape, result = self._record(leaves, ready.sample.structure)
            tape.put_back()
        recorded = lower(tape, self.fn, result)
        known = {id(v.array) for v in ready.captured}
        inside = [v for call in recorded.calls for v in call.vars()]
        fresh = [v for v in inside if v.kind == "captured" and id(v.array) not in known]
        return simplify(recorded, dict.fromkeys(fresh))

    def export(
        self, path: str | PathLike[str], overwrite: bool = False, readable: bool = False
    ) -> None:
        """Write the program that ran last to a Python script, which needs NumPy only, or as C.

        The script defines `step(...)` (`predict(...)` for a Module), which takes arrays and returns
        arrays, and a `main()` that runs it on arrays from a file. Arrays of other shapes, or of
        dtypes that do not fit, are refused. Several threads may call it. Where it trains,
        `save(path)` writes what it has trained to a `.npz`, each array under its name. Arrays of
        more than 1000 elements in all go to a `.npz` of the same name beside it.

        Where `path` ends in `.c`, one file in C99 is written that needs libm alone, and its header
        beside it, which C++ can include too. It allocates nothing: what it trains and computes with
        lies in one struct, whose bytes the header tells. In `step.c`, `step_init(&state)` begins
        with what is there now, `step_run(&state, x, y, out)` runs the program on arrays in the
        order of C and on numbers, and copies its results to where the last arguments point; one
        number alone it returns. Learning rates are fields of the struct. What draws has a generator
        of its own: other numbers than here, those of `step_seed(&state, seed)`. The names begin
        with that of the file, so that a program may have several. Of a Module it is
        `predict(&state, x, out)` (`net_predict` in `net.c`), with constant weights.

        Numbers that the function found outside, in variables, containers and attributes, are built
        in as they are now: a comment at the top of the file names them.

        Args:
            path: where the script is to be; it ends in `.py`, or in `.c`.
            overwrite: whether files that are there already are replaced; False.
            readable: whether the script holds the program for readers (see `source`), which takes
                batches of any size where the function does, in the place of the fast one; False.

        Raises:
            FileExistsError: if there is such a file and `overwrite` is False.
            FileNotFoundError: if its folder is not there.
            RuntimeError: if nothing is recorded yet.
            TypeError: if the program adds to gradients from before, or calls a function whose
                source cannot be found or taken along; for C, if it calls what has no form there,
                with the line, or has numbers of a dtype that C99 has not.
            ValueError: if `path` ends in neither, or is no name for a C file.

        >>> import pathlib, tempfile
        >>> step = rg.compile(lambda x: x * 2)
        >>> _ = step(np.ones(3))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     step.export(pathlib.Path(folder, "double.py"))
        ...     print(sorted(file.name for file in pathlib.Path(folder).iterdir()))
        ['double.py']
        """
        from retrograd.compiler.built_in import find_built_in

        ready = self._ran()
        built_in = find_built_in(ready, self.fn)
        if readable:
            from retrograd.compiler.readable.script import export_readable

            export_readable(self.readable(), path, overwrite, built_in)
            return
        if Path(path).suffix == ".c":
            from retrograd.compiler.c.export import export_c

            export_c(ready, isinstance(self.fn, Module), path, overwrite, built_in)
            return
        from retrograd.compiler.export import export

        name = "predict" if isinstance(self.fn, Module) else "step"
        export(ready.in_numpy(), name, path, overwrite, built_in)

    def __repr__(self) -> str:
        count = len(self.programs)
        told = f"{count} program{'s' * (count != 1)}" if count else "nothing is recorded yet"
        return f"<compiled {self.__name__}: {told}>"

    def _repr_html_(self) -> str:
        """Return the program for a notebook."""
        import html

        return (
            self.readable()._repr_html_() if self._last else f"<pre>{html.escape(repr(self))}</pre>"
        )

    def find_nan(self, *args: Any, **kwargs: Any) -> None:
        """Look for the first nan or inf of a call; all that the call changes is put back.

        The function is run once with each call and each gradient looked at, as inside
        `rg.detect_anomaly()`, and its program statement by statement. Parameters, gradients,
        states of optimizers and generators are as before then, so that it can be asked before a
        step, or again after one that went wrong.

        Args:
            *args: what the function is called with.
            **kwargs: likewise.

        Returns:
            None where all is finite.

        Raises:
            AnomalyError: with the function, the place, the inputs there, the user's line, the
                program's line, and what usually helps.

        >>> step = rg.compile(lambda x: np.mean(np.log(x)))
        >>> try:
        ...     step.find_nan(np.array([1.0, 0.0]))
        ... except rg.AnomalyError as error:
        ...     print(error.fault.function, error.fault.index, "|", error.fault.program_line)
        np.log (1,) | np.log(x, out=log)
        """
        from retrograd.compiler.finding import find_nan

        find_nan(self, args, kwargs)

    def profile(self, *args: Any, **kwargs: Any) -> ProgramProfile:
        """Time each line of the program for some arguments; all that it changes is put back.

        The program is run some times with a clock after each line. `print` of what is returned
        shows the lines, the hottest first; its `in_order()` shows them as they run.

        Args:
            *args: what the function is called with.
            **kwargs: likewise.

        Returns:
            The lines with their microseconds and bytes, a `retrograd.compiler.ProgramProfile`.

        >>> step = rg.compile(lambda x: np.mean(np.exp(x)))
        >>> profile = step.profile(np.zeros(1000))
        >>> profile.lines[0].text, profile.lines[0].bytes
        ('np.exp(x, out=exp)', 16000)
        """
        from retrograd.compiler.profiling import profile

        return profile(self, args, kwargs)

    def _ran(self) -> ReadyProgram:
        if not self._last:
            raise RuntimeError("nothing is recorded yet: call the compiled function first")
        return self._last

    def _look_up(self, args: Any, kwargs: dict[str, Any], grad: bool) -> Any:
        """Run the program for these arguments, or record one."""
        given, structure = self._flatten(args, kwargs)
        key = self._key(given, structure)
        leaves = stand_ins(given)
        arrays = [a for a in leaves if isinstance(a, ARRAYS)]
        own = [id(a) for a in arrays if isinstance(a, Tensor) and a.requires_grad]
        if len({*own}) < len(own):
            raise ValueError(
                f"{self.__name__} got the same Tensor, which requires grad, twice: pass it once, "
                "or let the function find it outside"
            )
        same = self._programs[key] = self._programs.pop(key, [])
        for program in same:
            if program.holds():
                if program.tells_kinds:
                    self._refuse_arrays(given)
                self._last = program
                graph = program.graph
                if graph is None:
                    return self._replay(program, same, leaves, structure, arrays)
                if graph.is_eager:
                    return graph.run_eagerly(given)
                if not program.checks_left and program.runs + 1 < program.next_audit:
                    program.runs += 1
                    return graph.answer(program, given, program.arrays(arrays))
                call = RecordedCall(graph, program, given)
                result = self._replay(program, same, leaves, structure, arrays)
                return graph.connect(result, call)
        name, changes = same[-1].find_reason() if same else ("", [])
        # a program never holds again once a Tensor that it reads has another array
        same[:] = [p for p in same if all(t._array is array for t, array in p.holders)]
        start = CLOCK.tick()
        try:
            tape, result = self._record(leaves, structure)
        except TraceError:
            records = {*kinds_of(structure)}
            if not records:
                raise
            self._closed |= records  # it may keep something in them: they are watched as they are
            return self._look_up(args, kwargs, grad)
        refuse_lost_gradients(tape, given)
        recorded, outside = lower(tape, self.fn, result), self._outside(leaves, structure)
        graph = None
        if grad:
            graph = find_graph(
                self.fn, tape, result, start, recorded, structure,
                functools.partial(_compile_half, self.target),
            )  # fmt: skip
            if graph is not None and recorded.acts():
                graph.is_eager = True  # its backward pass would act a second time
        likeness = Likeness(recorded)
        found = self._find_same(same, likeness, outside, changes, graph)
        if found is None:
            plain = all(type(a) in (np.ndarray, Tensor) for a in args)
            simple = plain and not kwargs and not tape.positions
            simple = simple and not (graph and graph.is_eager)
            found = ReadyProgram(
                recorded, grad, simple, outside, graph, likeness, self.target, self.halved_at
            )
            found.sample = Sample.of(structure, leaves)
            same.append(found)
            recorded.announce()
        program = self._last = found
        is_eager = program.graph is not None and program.graph.is_eager
        ignored = bool(changes) and all((id(m), key) in program.ignored for m, key in changes)
        if name and not ignored and not is_eager:
            self._count_reason(name)
        if len(self.programs) > PROGRAMS:
            self._drop_oldest()
        if program.graph is not None:
            tape.put_back()
            return program.graph.run_eagerly(given)
        # which a recording only rehearses; or its result may be that for Tensors alone
        if self.replay_first or recorded.acts() or outside.asks_kinds:
            tape.put_back()
            if program.checks_left:
                result = self._check(program, leaves, structure, arrays)
            else:
                result = program(arrays)
        tape.undo.clear()
        values, made = flatten_results(result)
        return made.unflatten(
            [wrap(v._array.copy()) if isinstance(v, Tensor) else v for v in values]
        )

    def _flatten(self, args: Any, kwargs: dict[str, Any]) -> tuple[list[Any], tree.Structure]:
        """Return the leaves of the arguments, and their tree."""
        return flatten((args, kwargs), self._closed)

    def _key(self, given: Any, structure: tree.Structure) -> Any:
        """Return what programs are kept by: the kinds of the arguments, and the grad mode."""
        return structure, tuple(map(kind_of, given)), current_mode().grad

    def _find_same(
        self, same: list[ReadyProgram], likeness: Likeness, outside: Outside,
        changes: list[tuple[Module, str]], graph: Graph | None,
    ) -> ReadyProgram | None:  # fmt: skip
        """Return the program that a recording turns out to be, made to hold again, or None.

        Attributes of Modules whose change was no reason, and which no code reads, are watched no
        more.
        """
        for program in reversed(same):
            if flow_alike(program.graph, graph) and program.takes(likeness, outside):
                program.ignored |= {(id(m), key) for m, key in changes if not outside.reads(m, key)}
                program.watch(outside)
                return program
        return None

    def _count_reason(self, name: str) -> None:
        """Warn once of what changes again and again, each time at the cost of a recording."""
        self._reasons[name] += 1
        if self._reasons[name] == REASONS:
            warnings.warn(
                f"{name!r}, which {self.__name__} finds outside, has changed before {REASONS} "
                "calls, and each of these recorded the function anew: pass it as an argument, a "
                "number as an array, or keep it in a 0-d Tensor",
                RuntimeWarning,
                stacklevel=4,
            )

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
        program.runs += 1
        if not program.checks_left:
            if program.runs >= program.next_audit:
                self._audit(program, same, leaves, structure)
                if program.runs >= RUNS and program.shortcut is None:
                    program.shortcut = make_shortcut(program)
            return program(arrays)
        try:
            result = self._check(program, leaves, structure, arrays)
        except BaseException:
            # what failed once may be recorded anew; what was interrupted may be half written
            self._last = None
            same.remove(program)
            raise
        program.checks_left -= 1
        if not program.checks_left:
            program.settle()
        self._look_again(program, leaves, structure)
        return result

    def _look_again(self, program: ReadyProgram, leaves: Any, structure: Any) -> None:
        """Let a program hold after its function has run: it may make anew what it finds outside."""
        if not program.holds():
            program.watch(self._outside(leaves, structure))

    def _outside(self, leaves: Any, structure: Any) -> Outside:
        """Return what the function finds outside, also in objects among its arguments."""
        return Outside(self.fn, objects_given(self.fn, leaves, structure))

    def _audit(
        self, program: ReadyProgram, same: list[ReadyProgram], leaves: Any, structure: Any
    ) -> None:
        """Record the function beside a replay, and raise if it is another one by now.

        What no guard sees lives on in a program until here: audits come at 4, 8, 16, ... calls.
        """
        program.next_audit *= 2
        try:
            tape, result = self._record(leaves, structure)
            tape.put_back()
            problem = program.find_difference(Likeness(lower(tape, self.fn, result)))
            if problem:
                suspects = program.suspects.describe() if program.suspects else ""
                raise TraceError(
                    f"{self.__name__} is no more what was recorded, by something that it reads "
                    f"outside in a way which is not watched: {problem}\n{suspects}Some calls may "
                    "have run as it was before. The next one records it anew; pass as an argument "
                    "what changes"
                )
        except BaseException:
            same.remove(program)
            self._last = None
            raise
        self._look_again(program, leaves, structure)

    def _record(
        self, leaves: Any, structure: Any, kind: Callable[[], Tape] = Tape, as_arrays: bool = False
    ) -> tuple[Tape, Any]:
        name = self.__name__
        return record_run(self.fn, name, leaves, structure, kind=kind, as_arrays=as_arrays)

    def _check(self, program: ReadyProgram, leaves: Any, structure: Any, arrays: Any) -> Any:
        """Compare the program with the function, then run it."""

        def record(
            given: Any, as_arrays: bool = False, kind: Callable[[], Tape] = Tape
        ) -> tuple[Tape, Any]:
            return self._record(given, structure, kind, as_arrays)

        comparison = Comparison(self.fn, self.__name__, program, record)
        comparison.check(leaves, arrays)
        if comparison.tells_kinds:
            program.tells_kinds, program.simple = True, False
            self._refuse_arrays(leaves)
        return program(arrays)

    def _refuse_arrays(self, leaves: Any) -> None:
        """Refuse arguments that are NumPy arrays, for which the function does something else."""
        if any(isinstance(leaf, (np.ndarray, np.generic)) for leaf in leaves):
            raise TraceError(
                f"{self.__name__} does something else for NumPy arrays than for Tensors, as "
                "isinstance(x, np.ndarray), type(x) or hasattr(x, ...) tells: in a compiled "
                "function all arguments that are arrays are Tensors. Call it with Tensors, "
                "rg.Tensor(x), or let it do the same for both"
            )


def _compile_half(target: str, fn: Callable[..., Any], halved_at: int) -> CompiledStep:
    """Return a compiled function for a target, to be run in halves: see `Graph`."""
    step = CompiledStep(fn, target=target)
    step.halved_at = halved_at
    return step
