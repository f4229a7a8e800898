"""A compiled function as one call of the graph: its backward pass is a program too.

A function that is called where gradients are recorded, and whose results require grad, is recorded
twice. The one program is the function. The other also takes gradients of its results, and returns
those of what it used. At first it runs as a whole when `backward` comes to the call, and what the
function drew and wrote is set back for that while, so that both runs are the same. Once it was
checked, it takes the place of the first, in halves: see `halves`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from retrograd import autograd, tree
from retrograd.compiler.halves import Halves, Run
from retrograd.compiler.ir import Program
from retrograd.compiler.program import ReadyProgram
from retrograd.compiler.tape import Tape
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
    section,
    wrap,
)

_ARRAYS = (np.ndarray, np.generic, Tensor)


class Graph:
    """How gradients flow through a function, as one recording of it has shown.

    Args:
        fn: the function.
        outs: which of the leaves of its results have a gradient.
        used: what gradients flow to: a Tensor outside, or the position of an argument among those
            that are arrays.
        structure: the tree of the arguments.
        compile: makes a compiled function of a function and the number of arguments that the first
            half of its programs takes.

    Attributes:
        is_eager: whether the function is not compiled at all, since it uses Tensors outside that
            have a graph, which are others in every call.
        count: how many Tensors the function returns, once gradients were asked for.
    """

    def __init__(
        self, fn: Callable[..., Any], outs: Sequence[int], used: Sequence[Tensor | int],
        structure: tree.Structure, compile: Callable[..., Any],
    ) -> None:  # fmt: skip
        self.fn = fn
        self._compile = compile
        self.outs = outs
        self.used = used
        self.structure = structure
        self.is_eager = any(isinstance(u, Tensor) and not u.is_leaf for u in used)
        self._step: Any = None  # the compiled function that computes results and gradients
        self._halves: Halves | None = None
        self._inputs: tuple[Any, ...] | None = None  # what gradients flow to, if always the same
        self._whole: list[ReadyProgram] = []  # its programs that do not fall into halves
        self.count = 0

    def run_eagerly(self, leaves: Sequence[Any]) -> Any:
        """Call the function itself, with Tensors for arrays as in a recording."""
        tensors = [_as_tensor(v) if isinstance(v, _ARRAYS) else v for v in leaves]
        args, kwargs = self.structure.unflatten(tensors)
        return self.fn(*args, **kwargs)

    def answer(self, ready: ReadyProgram, leaves: Sequence[Any], arrays: Sequence[Any]) -> Any:
        """Run a program that needs no checks any more, as one call of the graph.

        Args:
            ready: the program.
            leaves: the arguments of the call.
            arrays: these as arrays.
        """
        call = RecordedCall(self, ready, leaves)
        halves = self._find_halves(ready, arrays)
        if halves is None:
            return self.connect(ready.replay(arrays), call)
        try:
            call.run = run = halves.start(arrays)
        except BaseException:
            call.put_back()
            raise
        if ready.single:
            return self._connect_one(run.results[0], call)
        remaining = iter(run.results)
        program = ready.program
        values = [
            v if name is None else wrap(next(remaining))
            for v, name in zip(program.results, ready.code.results, strict=True)
        ]
        return self.connect(program.structure.unflatten(values), call)

    def _find_halves(self, ready: ReadyProgram, arrays: Sequence[Any]) -> Halves | None:
        """Return the program of results and gradients in halves, once it can be had.

        Args:
            ready: the program of the results, which holds.
            arrays: the arguments.
        """
        halves = self._halves
        if halves is not None and halves.holds_beside(ready.guards):
            return halves
        for program in self._step.programs if self._step is not None else ():
            if program.settled and program not in self._whole and program.holds():
                self._halves = Halves.split(program, len(arrays), self.count)
                if self._halves is not None:
                    return self._halves
                self._whole.append(program)
        return None

    def connect(self, result: Any, call: RecordedCall) -> Any:
        """Return the results of a program as those of one recorded call.

        Args:
            result: what the program returned.
            call: what is kept of the call for its backward pass.
        """
        if result.__class__ is Tensor:
            values, structure = [result], tree.LEAF
        else:
            values, structure = tree.flatten(result)
        call.first = tuple(values[i]._array for i in self.outs)
        inputs = tuple(call.arrays[u] if isinstance(u, int) else u for u in self.used)
        if len(self.outs) == 1:
            values[self.outs[0]] = run(_ONE, inputs, {"call": call})
        else:
            for i, t in zip(self.outs, run(_SEVERAL, inputs, {"call": call}), strict=True):
                values[i] = t
        call.first = ()
        return structure.unflatten(values)

    def _connect_one(self, array: Array, call: RecordedCall) -> Tensor:
        """Return an array, the only result, as that of one recorded call."""
        inputs = self._inputs
        if inputs is None:
            inputs = tuple(call.arrays[u] if isinstance(u, int) else u for u in self.used)
            if not any(isinstance(u, int) for u in self.used):
                self._inputs = inputs
        arrays = tuple([t._array for t in inputs])
        return keep((_ONE, inputs, arrays, {"call": call}), array, True, current_mode())

    def step(self, leaves: Sequence[Any]) -> Any:
        """Return the compiled function of arrays and gradients of results, which gives both.

        Args:
            leaves: the arguments of a call, which in all calls are alike but for the arrays.
        """
        if self._step is None:
            function = self._gradients_of(leaves)
            function.__name__ = f"gradient of {_name_of(self.fn)}"
            self._step = self._compile(function, sum(isinstance(v, _ARRAYS) for v in leaves))
        return self._step

    def _gradients_of(self, example: Sequence[Any]) -> Callable[..., Any]:
        is_array = [isinstance(v, _ARRAYS) for v in example]
        fixed = [None if is_one else v for v, is_one in zip(example, is_array, strict=True)]
        structure = self.structure
        count = sum(is_array)
        fn, outs, used = self.fn, self.outs, self.used
        trained = {u for u in used if isinstance(u, int)}

        def gradients(*given: Tensor) -> tuple[Any, ...]:
            arrays = [_leaf(t) if i in trained else t for i, t in enumerate(given[:count])]
            remaining = iter(arrays)
            leaves = [
                next(remaining) if is_one else v for v, is_one in zip(fixed, is_array, strict=True)
            ]
            args, kwargs = structure.unflatten(leaves)
            with enable_grad():
                results = tree.leaves(fn(*args, **kwargs))
            roots = [results[i] for i in outs]
            wanted = [arrays[u] if isinstance(u, int) else u for u in used]
            with section("backward"):
                found = autograd.grad(roots, wanted, given[count:], allow_unused=True)
            values = [t.detach() for t in results if isinstance(t, Tensor)]
            self.count = len(values)
            return *values, *found

        return gradients


class RecordedCall:
    """What is kept of a call of a compiled function for its backward pass.

    Args:
        graph: how gradients flow through it.
        ready: the program that is about to run.
        leaves: the leaves of its arguments, as given.
    """

    __slots__ = ("arrays", "draws", "first", "graph", "leaves", "places", "run", "written")

    def __init__(self, graph: Graph, ready: ReadyProgram, leaves: Sequence[Any]) -> None:
        self.graph = graph
        self.leaves = leaves
        self.first: tuple[Any, ...] = ()
        self.run: Run | None = None
        self.arrays: Sequence[Any] = leaves
        if not ready.simple:
            self.arrays = [v for v in leaves if isinstance(v, _ARRAYS)]
        self.written: Sequence[Any] = ()
        self.places: Sequence[Any] = ()
        self.draws: Sequence[Any] = ()
        if ready.changes:
            self.written = [(array, array.copy()) for array in ready.written]
            self.places = [(c.place, c.place.read()) for c, _ in ready.program.carried]
            self.draws = [(bits, bits.state) for bits in ready.bit_generators]

    def __repr__(self) -> str:
        return f"<a call of {_name_of(self.graph.fn)}>"

    @contextlib.contextmanager
    def _as_before(self) -> Iterator[None]:
        """Set what the call has changed outside to what it was before, for a while."""
        draws = [(bits, bits.state) for bits, _ in self.draws]
        written = [(array, array.copy()) for array, _ in self.written]
        places = [(place, place.read()) for place, _ in self.places]
        try:
            self.put_back()
            yield
        finally:
            _set(draws, written, places)

    def gradients(self, needed: Sequence[int], seeds: Sequence[Any]) -> list[Any]:
        """Return the gradients of what the function used, at the positions in `needed`.

        Args:
            needed: positions in `Graph.used`.
            seeds: the gradient of each result that has one: arrays, or Tensors where gradients
                are to be differentiated again. The function runs as it is then.
        """
        if isinstance(seeds[0], Tensor):
            return self._recorded(needed, seeds)
        found = self.run.finish(seeds) if self.run is not None else None
        if found is not None:
            return [found[i] for i in needed]
        step = self.graph.step(self.leaves)
        arrays = [as_array(a) for a in self.arrays]
        with self._as_before():
            gradients = step(*arrays, *seeds)[self.graph.count :]
        return [None if gradients[i] is None else gradients[i]._array for i in needed]

    def put_back(self) -> None:
        """Put back what the call has changed outside."""
        _set(self.draws, self.written, self.places)

    def _recorded(self, needed: Sequence[int], seeds: Sequence[Tensor]) -> list[Any]:
        start = CLOCK.tick()
        with self._as_before(), enable_grad():
            results = tree.leaves(self.graph.run_eagerly(self.leaves))
        roots = [results[i] for i in self.graph.outs]
        inner, ends, _ = _trace(roots, start)
        walk = ReversePass(True, True, {*inner, *ends}, set(ends))
        walk.run(roots, seeds)
        used: list[Any] = [self.arrays[u] if isinstance(u, int) else u for u in self.graph.used]
        return [walk.found.get(used[i]) for i in needed]


def _set(
    draws: Sequence[tuple[Any, Any]], written: Sequence[tuple[Any, Any]],
    places: Sequence[tuple[Any, Any]],
) -> None:  # fmt: skip
    for bits, state in draws:
        bits.state = state
    for array, values in written:
        array[...] = values
    for place, value in places:
        place.put(value)


def find_graph(
    fn: Callable[..., Any], tape: Tape, result: Any, start: int, recorded: Program,
    structure: tree.Structure, compile: Callable[..., Any],
) -> Graph | None:  # fmt: skip
    """Return how gradients flow to the results of a run, None where nobody can ask for any.

    A run that calls `backward` or changes what is trained is a step, and its results are values.

    Args:
        fn: the function.
        tape: what was heard of the run.
        result: what the function returned.
        start: when the run began, by the clock of recorded calls.
        recorded: the run as a program.
        structure: the tree of the arguments.
        compile: as for `Graph`.
    """
    values = tree.leaves(result)
    outs = [i for i, v in enumerate(values) if isinstance(v, Tensor) and v.requires_grad]
    if not outs or tape.leaves or tape.updates:
        return None
    held = {id(v.tensor): v.tensor for call in recorded.calls for v in call.vars()}
    if any(
        call.kind == "write" and (t := call.outs[0].tensor) is not None and t.requires_grad
        for call in recorded.calls
    ):
        return None
    live, used = [], dict[Tensor, None]()
    for i in outs:
        _, ends, is_free = _trace([values[i]], start)
        if not is_free:  # what is left of a graph that the run itself has used up
            live.append(i)
            used.update(dict.fromkeys(ends))
    found: list[Tensor | int] = []
    for t in used:
        if id(t) in tape.positions:
            found.append(tape.positions[id(t)])
        elif id(t) in held or not t.is_leaf:  # others were made inside
            found.append(t)
    return Graph(fn, live, found, structure, compile) if found else None


def flow_alike(first: Graph | None, second: Graph | None) -> bool:
    """Tell whether gradients flow from the same results to the same Tensors and arguments."""
    if first is None or second is None:
        return first is second
    pairs = zip(first.used, second.used, strict=False)
    return (
        first.outs == second.outs
        and len(first.used) == len(second.used)
        and all(x is y or (isinstance(x, int) and x == y) for x, y in pairs)
    )


def _trace(outs: Sequence[Tensor], start: int) -> tuple[set[Tensor], list[Tensor], bool]:
    """Return what was recorded since a moment, what it started from, and whether it was freed."""
    inner, ends, is_free = set[Tensor](), dict[Tensor, None](), False
    stack = [t for t in outs if t.requires_grad]
    while stack:
        t = stack.pop()
        if t.rule is None or t._order < start:
            ends[t] = None
        elif t not in inner:
            inner.add(t)
            is_free |= t.inputs is None
            stack += [a for a in t.inputs or () if isinstance(a, Tensor) and a.requires_grad]
    return inner, list(ends), is_free


def _name_of(fn: Any) -> str:
    return str(getattr(fn, "__name__", type(fn).__name__))


def _as_tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else wrap(as_array(value))


def _leaf(t: Tensor) -> Tensor:
    """Return a leaf with the array of a Tensor."""
    leaf = wrap(t._array)
    leaf.requires_grad = True
    return leaf


def stand_ins(leaves: Sequence[Any]) -> list[Any]:
    """Return the leaves of arguments with leaves in the place of Tensors that have a graph."""
    return [_leaf(v) if isinstance(v, Tensor) and not v.is_leaf else v for v in leaves]


def refuse_lost_gradients(tape: Tape, leaves: Sequence[Any]) -> None:
    """Raise TypeError if a run sends gradients to arguments that have a graph, beyond itself."""
    arrays: list[Any] = [v for v in leaves if isinstance(v, _ARRAYS)]
    reached = [tape.positions.get(i) for i in tape.leaves]
    if any(at is not None and not arrays[at].is_leaf for at in reached):
        tape.put_back()
        raise TypeError(
            "a compiled function that calls backward got a Tensor with a graph, whose gradient "
            "would be lost: pass t.detach(), or compile what computes it too"
        )


def _results(*used: Any, call: RecordedCall) -> tuple[Any, ...]:
    return call.first


def _result(*used: Any, call: RecordedCall) -> Any:
    return call.first[0]


def _gradients_of_results(
    needed: Any, g: Any, out: Any, *used: Any, call: RecordedCall
) -> list[Any]:
    return call.gradients(needed, g)


def _gradients_of_result(
    needed: Any, g: Any, out: Any, *used: Any, call: RecordedCall
) -> list[Any]:
    return call.gradients(needed, (g,))


_SEVERAL = Rule(_results, joint=_gradients_of_results, multi=True)
_ONE = Rule(_result, joint=_gradients_of_result)
