"""A compiled function as one call of the graph: its backward pass is a program too.

A function that is called where gradients are recorded, and whose results require grad, is recorded
twice. The one program is the function. The other also takes gradients of its results, and returns
those of what it used. At first it runs as a whole when `backward` comes to the call, and what the
function drew and wrote is set back for that while, so that both runs are the same. Once it was
checked, it takes the place of the first, in halves: see `halves`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from retrograd import tree
from retrograd.compiler.arguments import ARRAYS
from retrograd.compiler.gradients import Gradients, Paths, Results, name_of
from retrograd.compiler.halves import Halves, Run
from retrograd.compiler.program import ReadyProgram
from retrograd.compiler.records import flatten_results
from retrograd.engine import (
    CLOCK,
    Array,
    ReversePass,
    Rule,
    Tensor,
    as_array,
    current_mode,
    enable_grad,
    keep,
    run,
    trace_back,
    wrap,
)


class Graph:
    """How gradients flow through a function, as one recording of it has shown.

    Some losses have one formula for themselves and the last call behind them, such as cross entropy
    for a sigmoid. Where such a call made a result, gradients begin at what it took, and it stands
    in the graph by itself, so that the loss finds it as it does when nothing is compiled.

    Args:
        fn: the function.
        outs: which of the leaves of its results have a gradient.
        passed: which of these were made by a call that has a formula together with another.
        count: how many of the leaves are Tensors.
        used: what gradients flow to: a Tensor outside, or the position of an argument among those
            that are arrays; with the positions in `outs` of the results that were made of it.
        structure: the tree of the arguments.
        compile: makes a compiled function of a function and the number of arguments that the first
            half of its programs takes.

    Attributes:
        is_eager: whether the function is not compiled at all, since it uses Tensors outside that
            have a graph, which are others in every call.
        count: how many arrays there are of results, and of what `passed` ones were made of.
    """

    def __init__(
        self, fn: Callable[..., Any], outs: Sequence[int], passed: Mapping[int, Rule], count: int,
        used: Sequence[tuple[Tensor | int, set[int]]], structure: tree.Structure,
        compile: Callable[..., Any],
    ) -> None:  # fmt: skip
        self.fn = fn
        self._compile = compile
        self.outs = outs
        self.passed = passed
        self.count = count + len(passed)
        self.used = [u for u, _ in used]
        # what is compiled for this has these alone, so that it does not refer to this
        self.paths = Paths(fn, outs, passed, self.used, structure)
        self._behind = [behind for _, behind in used]
        self.structure = structure
        self.is_eager = any(isinstance(u, Tensor) and not u.is_leaf for u in self.used)
        self._step: Any = None  # the compiled function that computes results and gradients
        self._results: Any = None  # the one that computes results and what came before them
        self._halves: Halves | None = None
        # what gradients flow to, as Tensors and as arrays, if these are the same in all calls
        self._inputs: tuple[tuple[Any, ...], tuple[Any, ...]] | None = None
        self._whole: list[ReadyProgram] = []  # its programs that do not fall into halves

    def run_eagerly(self, leaves: Sequence[Any]) -> Any:
        """Call the function itself, with Tensors for arrays as in a recording."""
        tensors = [_as_tensor(v) if isinstance(v, ARRAYS) else v for v in leaves]
        args, kwargs = self.structure.unflatten(tensors)
        return self.fn(*args, **kwargs)

    def answer(self, ready: ReadyProgram, leaves: Sequence[Any], arrays: Sequence[Any]) -> Any:
        """Run a program that needs no checks any more, as one call of the graph.

        Args:
            ready: the program.
            leaves: the arguments of the call.
            arrays: these as arrays.
        """
        call, halves = RecordedCall(self, ready, leaves), self._halves
        if halves is None or not halves.holds_beside(ready.guards):
            halves = self._find_halves(arrays)
            if halves is None:
                return self.connect(ready.replay(arrays), call)
        try:
            found = call.begin(halves, arrays)
        except BaseException:
            call.put_back()
            raise
        if ready.single:
            return self._connect_one(found, call)
        remaining = iter(found)
        program = ready.program
        values = [
            v if name is None else wrap(next(remaining))
            for v, name in zip(program.results, ready.code.results, strict=True)
        ]
        return self._connect(values, program.structure, [*remaining], call)

    def _find_halves(self, arrays: Sequence[Any]) -> Halves | None:
        """Return the program of results and gradients in halves, once it can be had.

        Args:
            arrays: the arguments of a call.
        """
        for program in self._step.programs if self._step is not None else ():
            if program.settled and program not in self._whole and program.holds():
                self._halves = Halves.split(program, len(arrays), self.count)
                if self._halves is not None:
                    return self._halves
                self._whole.append(program)
        return None

    def without_unused(
        self, needed: Sequence[int], gradients: Sequence[Any], came: Sequence[bool]
    ) -> list[Any]:
        """Return gradients, None for what is behind no result that anybody has used.

        Args:
            needed: positions in `used`.
            gradients: the gradient of each of these.
            came: for each of the results in `outs`, whether a gradient came to it.
        """
        pairs = zip(needed, gradients, strict=True)
        return [g if any(came[k] for k in self._behind[i]) else None for i, g in pairs]

    def connect(self, result: Any, call: RecordedCall) -> Any:
        """Return the results of a program as those of one recorded call.

        Args:
            result: what the program returned.
            call: what is kept of the call for its backward pass.
        """
        before = []
        if self.passed:
            call.put_back()
            arrays = [as_array(a) for a in call.arrays]
            found = self.results(call.leaves)(*arrays)
            before = [t._array for t in found[-len(self.passed) :]]
        if result.__class__ is Tensor:
            values, structure = [result], tree.LEAF
        else:
            values, structure = flatten_results(result)
        return self._connect(values, structure, before, call)

    def _connect(
        self, values: list[Any], structure: tree.Structure, before: Sequence[Array],
        call: RecordedCall,
    ) -> Any:  # fmt: skip
        """Return the tree of results, with Tensors that have the call in their graph.

        Args:
            values: the leaves of the results.
            structure: their tree.
            before: what the calls took that made those in `passed`.
            call: as for `connect`.
        """
        inner = dict(zip(self.passed, before, strict=True))
        call.first = tuple([inner[i] if i in inner else values[i]._array for i in self.outs])
        inputs = tuple(call.arrays[u] if isinstance(u, int) else u for u in self.used)
        several = len(self.outs) > 1
        found: Any = run(_SEVERAL if several else _ONE, inputs, {"call": call})
        roots = found if several else [found]
        for i, root in zip(self.outs, roots, strict=True):
            rule = self.passed.get(i)
            values[i] = root if rule is None else _after(rule, root, values[i]._array)
        call.first = ()
        return structure.unflatten(values)

    def _connect_one(self, found: Sequence[Array], call: RecordedCall) -> Tensor:
        """Return the only result as that of one recorded call, given it and what was before it."""
        inputs, arrays = self._inputs or self._find_inputs(call)
        root = keep((_ONE, inputs, arrays, {"call": call}), found[-1], True, current_mode())
        return _after(self.passed[0], root, found[0]) if self.passed else root

    def _find_inputs(self, call: RecordedCall) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return what gradients flow to, as Tensors and as arrays.

        Where all are Tensors outside, they are remembered: these have the same arrays in all calls,
        or the program does not hold.
        """
        tensors = tuple(call.arrays[u] if isinstance(u, int) else u for u in self.used)
        inputs = tensors, tuple([t._array for t in tensors])
        if not any(isinstance(u, int) for u in self.used):
            self._inputs = inputs
        return inputs

    def step(self, leaves: Sequence[Any]) -> Any:
        """Return the compiled function of arrays and gradients of results, which gives both.

        Args:
            leaves: the arguments of a call, which in all calls are alike but for the arrays.
        """
        if self._step is None:
            count = sum(isinstance(v, ARRAYS) for v in leaves)
            self._step = self._compile(Gradients(self.paths, leaves), count)
        return self._step

    def results(self, leaves: Sequence[Any]) -> Any:
        """Return the compiled function of arrays that gives results and what came before them.

        Args:
            leaves: as for `step`.
        """
        if self._results is None:
            self._results = self._compile(Results(self.paths, leaves), 0)
        return self._results


class _Changing(NamedTuple):
    """What a call changes outside, with what it was at some time."""

    written: list[tuple[Array, Array]]
    places: list[tuple[Any, Any]]
    draws: list[tuple[Any, Any]]

    def as_now(self) -> _Changing:
        """Return the same with what it is now."""
        return _Changing(
            [(array, array.copy()) for array, _ in self.written],
            [(place, place.read()) for place, _ in self.places],
            [(bits, bits.state) for bits, _ in self.draws],
        )

    def put_back(self) -> None:
        """Make all outside what it was."""
        for array, values in self.written:
            array[...] = values
        for place, value in self.places:
            place.put(value)
        for bits, state in self.draws:
            bits.state = state


class RecordedCall(Run):
    """What is kept of a call of a compiled function for its backward pass.

    Args:
        graph: how gradients flow through it.
        ready: the program that is about to run.
        leaves: the leaves of its arguments, as given.
    """

    __slots__ = ("before", "first", "graph", "leaves")
    first: tuple[Any, ...]  # what the program gave, until it stands in the graph

    def __init__(self, graph: Graph, ready: ReadyProgram, leaves: Sequence[Any]) -> None:
        self.graph = graph
        self.leaves = leaves
        self.halves = None
        self.before = None
        if ready.changes:
            self.before = _Changing(
                [(array, array.copy()) for array in ready.written],
                [(c.place, c.place.read()) for c, _ in ready.program.carried],
                [(bits, bits.state) for bits in ready.bit_generators],
            )

    @property
    def arrays(self) -> list[Any]:
        """The arguments that are arrays or Tensors."""
        return [v for v in self.leaves if isinstance(v, ARRAYS)]

    def __repr__(self) -> str:
        return f"<a call of {name_of(self.graph.fn)}>"

    def _as_before(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Call a function while what this call has changed outside is as it was before it."""
        if self.before is None:
            return fn(*args)
        now = self.before.as_now()
        try:
            self.before.put_back()
            return fn(*args)
        finally:
            try:
                now.put_back()
            except BaseException:  # an interrupt must not leave the past: twice does no harm
                now.put_back()
                raise

    def gradients(self, needed: Sequence[int], seeds: Sequence[Any]) -> Sequence[Any]:
        """Return the gradients of what the function used, at the positions in `needed`.

        Args:
            needed: positions in `Graph.used`.
            seeds: the gradient of each result that has one: arrays, or Tensors where gradients
                are to be differentiated again. The function runs as it is then.
        """
        if isinstance(seeds[0], Tensor):
            return self._recorded(needed, seeds)
        found = self.finish(seeds) if self.halves is not None else None
        if found is not None:
            return found if len(found) == len(needed) else [found[i] for i in needed]
        step = self.graph.step(self.leaves)
        arrays = [as_array(a) for a in self.arrays]
        gradients = self._as_before(step, *arrays, *seeds)[self.graph.count :]
        return [None if gradients[i] is None else gradients[i]._array for i in needed]

    def put_back(self) -> None:
        """Put back what the call has changed outside."""
        if self.before is not None:
            self.before.put_back()

    def _recorded(self, needed: Sequence[int], seeds: Sequence[Tensor]) -> list[Any]:
        start = CLOCK.tick()
        with enable_grad():
            made = self._as_before(self.graph.run_eagerly, self.leaves)
        results, _ = flatten_results(made)
        roots = self.graph.paths.roots(results)
        inner, ends = trace_back(roots, start)
        walk = ReversePass(True, True, {*inner, *ends}, set(ends))
        walk.run(roots, seeds)
        used: list[Any] = [self.arrays[u] if isinstance(u, int) else u for u in self.graph.used]
        return [walk.found.get(used[i]) for i in needed]


def _after(rule: Rule, root: Tensor, array: Array) -> Tensor:
    """Return an array as the result of a function of one Tensor."""
    return keep((rule, (root,), (root._array,), {}), array, True, current_mode())


def _as_tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else wrap(as_array(value))


def compiled_several(*used: Any, call: RecordedCall) -> tuple[Any, ...]:
    """Return what a program gave: it stands in the graph for the program."""
    return call.first


def compiled(*used: Any, call: RecordedCall) -> Any:
    """Return the one result that a program gave: it stands in the graph for the program."""
    return call.first[0]


def gradient_program_of_several(
    needed: Any, g: Any, out: Any, *used: Any, call: RecordedCall
) -> Sequence[Any]:
    """Return the gradients of what was used, of those of the results that have one."""
    found = call.gradients(needed, g)
    return found if all(g.came) else call.graph.without_unused(needed, found, g.came)


def gradient_program(
    needed: Any, g: Any, out: Any, *used: Any, call: RecordedCall
) -> Sequence[Any]:
    """Return the gradients of what was used, of that of the one result."""
    return call.gradients(needed, (g,))


_TITLE = "a compiled function"
_SEVERAL = Rule(compiled_several, joint=gradient_program_of_several, multi=True, title=_TITLE)
_ONE = Rule(compiled, joint=gradient_program, title=_TITLE)
