"""`rg.compile`: run a function once, and from then on the NumPy program it amounts to."""

import copy
import functools
import inspect
import itertools
import threading
import warnings
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from retrograd import tree
from retrograd.compiler.program import Program, surroundings
from retrograd.compiler.tape import Live, Node, Tape, TraceError, Var, memory, recording, writes
from retrograd.engine import MODE, Array, Tensor, spelled, wrap
from retrograd.nn.module import Module

__all__ = ["CompiledStep", "TraceError", "compile"]

_ARRAYS = (np.ndarray, np.generic, Tensor)
_CONTAINERS = (dict, list, set)
PROGRAMS = 32  # that a step keeps
_WATCHED = 1_000_000  # larger arrays outside are not watched


class CompiledStep:
    """A function that records itself for each kind of arguments, then replays.

    With `replay_first` the first call, too, gives what the program does.
    """

    def __init__(self, fn: Callable[..., Any], replay_first: bool = False) -> None:
        if not callable(fn):
            raise TypeError(f"rg.compile takes a function or a Module, not {type(fn).__name__}")
        functools.update_wrapper(self, fn, updated=())
        self.__name__: str = getattr(fn, "__name__", type(fn).__name__)
        self.fn, self.replay_first = fn, replay_first
        self._programs: dict[Any, list[Program]] = {}
        self._last: Program | None = None
        self._lock = threading.RLock()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        mode = MODE.get()
        if mode.tell is not None:
            return self.fn(*args, **kwargs)  # compiled as a part of what calls it
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
    def programs(self) -> list[Program]:
        """The programs so far, those used last at the end."""
        return [program for same in self._programs.values() for program in same]

    @property
    def source(self) -> str:
        """The source of the program that ran last."""
        return self._ran().source

    def export(self, path: Any, overwrite: bool = False) -> None:
        """Write the program that ran last to the script `path`, which needs only NumPy.

        It defines `step(...)` (`predict(...)` for a Module) and `main()`; large arrays go to a
        `.npz` beside it. Raises FileExistsError unless `overwrite`, TypeError if the program adds
        to gradients from before or calls what has no source.
        """
        from retrograd.compiler.export import export

        name = "predict" if isinstance(self.fn, Module) else "step"
        export(self._ran(), name, path, overwrite)

    def _ran(self) -> Program:
        if not self._last:
            raise RuntimeError("nothing is recorded yet: call the compiled function first")
        return self._last

    def _look_up(self, args: Any, kwargs: dict[str, Any], grad: bool) -> Any:
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
                if not program.checks_left:
                    return program(arrays)
                try:
                    result = self._checked(program, leaves, structure, arrays)
                except (RuntimeError, ValueError):
                    same.remove(program)  # what failed once may be recorded anew
                    raise
                program.checks_left -= 1
                if not program.checks_left:
                    program.settle()
                return result
        # with another array in a Tensor a program never holds again
        same[:] = [p for p in same if all(t._array is array for t, array in p.holders)]
        tape, result = self._record(leaves, structure)
        plain = all(type(a) in (np.ndarray, Tensor) for a in args)
        simple = plain and not kwargs and not tape.positions
        self._last = Program(self.fn, tape, result, grad, simple)
        same.append(self._last)
        if len(self.programs) > PROGRAMS:
            key, programs = next(iter(self._programs.items()))
            programs.pop(0)
            if not programs:
                del self._programs[key]
            warnings.warn(
                f"{self.__name__} has recorded more than {PROGRAMS} programs, for as many shapes, "
                "dtypes and values: pad to a few shapes, pass numbers as arrays",
                RuntimeWarning,
                stacklevel=3,
            )
        if self.replay_first:
            tape.put_back()
            result = self._checked(self._last, leaves, structure, arrays)
        tape.undo.clear()
        return tree.map(lambda v: wrap(v._array.copy()) if isinstance(v, Tensor) else v, result)

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
                first = (known[min(first, len(known) - 1)] if known else "arg{}").format(first)
            names.append("_".join(map(str, (first, *rest))))
        return names

    def _record(
        self, leaves: Any, structure: Any, keep: bool = False, again: bool = True
    ) -> tuple[Tape, Any]:
        tape = Tape(keep)
        given = list(leaves)
        standing: list[tuple[Tensor, Tensor]] = []
        for i, name in enumerate(self._names(structure)):
            leaf = leaves[i]
            if not isinstance(leaf, _ARRAYS):
                continue
            array = leaf._array if isinstance(leaf, Tensor) else np.asarray(leaf)
            t = given[i] = wrap(array.view())  # apart from the same found outside
            if isinstance(leaf, Tensor) and leaf.requires_grad:
                t.requires_grad, t._grad = True, leaf.grad
                tape.positions[id(t)] = len(tape.args)
                standing.append((t, leaf))
                tape.note(leaf, "_grad")
                tape.apart |= {id(leaf), id(array)}
            tape.args.append(Var(t._array, "arg", None, keep))
            tape.args[-1].wish = name
            tape.known[id(t._array)] = tape.args[-1]
        args, kwargs = structure.unflatten(given)
        outside = {name: (v, _contents(v)) for name, v in _around(self.fn).items()}
        try:
            with recording(tape, MODE.get().grad):
                result = self.fn(*args, **kwargs)
            changed = _changed(outside, _around(self.fn))
            if changed:
                tape.put_back()
                if not again:
                    raise TraceError(
                        f"{self.__name__} changes {changed!r} outside: a compiled function runs "
                        "its Python once only. Return the value and change things after the step"
                    )
            for leaf in tape.leaves.values():
                var = None
                grad = cast("Array | None", leaf._grad)
                if grad is not None:
                    var = tape.see(grad)
                    leaf._grad = grad.copy()  # two leaves may share one array
                tape.grads.append((leaf, var))
        finally:
            for t, leaf in standing:
                leaf._grad = t._grad
        # what is filled once, such as a cache, is there in another run
        return self._record(leaves, structure, keep, again=False) if changed else (tape, result)

    def _checked(self, program: Program, leaves: Any, structure: Any, arrays: Any) -> Any:
        watch = _Watch(program, arrays)
        tape, result = self._record(leaves, structure)
        if problem := _differing_call(program.tape, tape) or watch.mutated():
            raise TraceError(f"{self.__name__} cannot be compiled: {problem}")
        if program.tape.constants:  # before it runs: it may round differently afterwards
            program.write()
        after = watch.results(result)
        tape.put_back()
        replayed = program(arrays)
        if problem := _differing_results(watch.results(replayed), after):
            tape.put_back()
            kept, _ = self._record(leaves, structure, keep=True)
            kept.put_back()
            raise RuntimeError(
                f"the compiled {self.__name__} computes something else: "
                f"{problem}{_first_difference(program, arrays, kept)}"
            )
        return replayed


def _around(fn: Any) -> dict[str, Any]:
    found = surroundings(fn)
    owner = fn if isinstance(fn, Module) else getattr(fn, "__self__", None)
    return found if owner is None else {**found, "self": owner}


def _contents(value: Any) -> dict[Any, tuple[Any, Any]]:
    """Return each part that a function may change of something outside, with a mark to compare."""
    if isinstance(value, Module):  # attributes that are set let it be recorded anew
        inside = [v for m in value.modules() for v in vars(m).values()]
        return {id(v): (len(v), v) for v in inside if isinstance(v, _CONTAINERS)}
    if isinstance(value, dict):
        return {len: (len(value), None), **{k: (_mark(v), v) for k, v in value.items()}}
    if isinstance(value, (list, set)):
        return {len: (len(value), None), **{i: (_mark(v), v) for i, v in enumerate(value)}}
    package = type(value).__module__.split(".")[0]
    if callable(value) or package in ("builtins", "numpy", "retrograd"):
        return {}
    return {f".{k}": (_mark(v), v) for k, v in getattr(value, "__dict__", {}).items()}


def _mark(value: Any) -> Any:
    if isinstance(value, _CONTAINERS):
        return len(value)
    if isinstance(value, (int, float, str)):
        return value if value == value else None
    return id(value)


def _changed(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Return what is no more what it was."""
    for name, (value, parts) in before.items():
        if after.get(name, value) is not value:
            return name
        now = _contents(value)
        for key, (mark, _) in parts.items():
            if key in now and now[key][0] != mark:
                return f"{name}{key}" if isinstance(key, str) and key[:1] == "." else name
    return ""


def _kind(leaf: Any) -> Any:
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


class _Watch:
    def __init__(self, program: Program, arguments: Any) -> None:
        self.written = program.written
        self.leaves = [program.leaf(leaf, arguments) for leaf, _ in program.grads]
        for leaf in self.leaves:
            _ = leaf.grad  # a program hands it over before it runs again
        self.groups = [(group, {**group}) for group, _ in program.buckets]
        self.outside = [
            (v.array, v.array.copy())
            for v in program.captured
            if v.tensor is None and v.array.size <= _WATCHED
            and not any(np.shares_memory(v.array, a) for a in program.written)
        ]  # fmt: skip

    def mutated(self) -> str:
        for group, options in self.groups:
            if changed := ", ".join(k for k, v in options.items() if group[k] is not v):
                return f"it changes {changed} of an optimizer: do so before or after the step"
        for array, old in self.outside:
            if not _close(array, old, exact=True):
                return (
                    f"it writes into an array outside, of shape {old.shape}, without a recorded "
                    "call; use a Tensor and `t += ...` under rg.no_grad()"
                )
        return ""

    def results(self, result: Any) -> list[tuple[str, Any]]:
        found = [("a result", v._array) for v in tree.leaves(result) if isinstance(v, Tensor)]
        found += [("an array it writes", a) for a in self.written]
        return copy.deepcopy(found + [("a gradient", leaf.grad) for leaf in self.leaves])


def _differing_call(first: Tape, second: Tape) -> str:
    """Return where two recordings differ; other arrays that are equal are constants."""
    ours: dict[Var, int] = {}
    theirs: dict[Var, int] = {}
    written = writes(first.nodes)
    for mine, other in zip(first.nodes, second.nodes, strict=False):
        pairs = zip(mine.vars(), other.vars(), strict=False)
        fresh = [(v, w) for v, w in pairs if v not in ours]
        if _spelling(mine, ours) != _spelling(other, theirs):
            names = [spelled(n.fn) for n in (other, mine)]
            what = "the second run called {} where the first had {}, or with other arguments"
            return _at(other, what.format(*names))
        for v, w in fresh:
            same = v.array is w.array or v.tensor is w.tensor is not None
            if same or v.kind not in ("captured", "const"):
                continue
            if memory(v) in written:
                return (
                    f"it writes into an array of shape {v.array.shape}, made without recorded "
                    f"calls: take a copy first, t = t.copy(){written[memory(v)].line}"
                )
            if not _close(v.array, w.array, exact=True):
                what = f"an array of shape {w.array.shape}, made without recorded calls, differs"
                return _at(other, f"{what} between two runs; pass it as an argument")
            if v.kind == "captured":
                first.constants.append(v)
    less, more = sorted((first.nodes, second.nodes), key=len)
    for node in more[len(less) :]:
        return _at(node, f"one run called {spelled(node.fn)}, the other did not")
    return ""


def _spelling(node: Node, known: dict[Var, int]) -> Any:
    def look(value: Any) -> Any:
        if isinstance(value, Var):
            outside = value.node is None and value.kind in ("captured", "const")
            kind = "outside" if outside else value.kind * (value.node is None)
            return known.setdefault(value, len(known)), kind
        return value.text if isinstance(value, Live) else value

    args = repr(node.given(look))
    # each run of a Function is bound to what it leaves
    fn = "draw" if node.kind == "draw" else getattr(node.fn, "_bound", node.fn)
    return node.kind, fn, args, [look(v) for v in node.outs]


def _at(node: Node, what: str) -> str:
    return f"{what}. A branch or a number outside decides it: pass it as an argument.{node.line}"


def _close(x: Array, y: Array, exact: bool = False) -> bool:
    if x.shape != y.shape or x.dtype != y.dtype:
        return False
    if exact or x.dtype.kind != "f":
        return bool(np.array_equal(x, y, equal_nan=x.dtype.kind == "f"))
    scale = np.abs(y[np.isfinite(y)]).max(initial=0.0)
    # 1e-3 more, for noise where 0 is right
    bound = {8: 1e-7, 4: 1e-3}.get(x.dtype.itemsize, 0.05) * (scale + 1e-3)
    return np.allclose(x, y, 0, bound, equal_nan=True)


def _differing_results(replayed: list[tuple[str, Any]], after: list[tuple[str, Any]]) -> str:
    for (what, mine), (_, right) in zip(replayed, after, strict=True):
        if (mine is None) != (right is None):
            return "a gradient is there in one of the two only"
        if mine is not None and not _close(mine, right):
            worst = np.abs(mine - right).max() if mine.shape == right.shape else "shape"
            return f"{what} of shape {right.shape} differs by {worst}"
    return ""


def _first_difference(program: Program, arguments: Any, tape: Tape) -> str:
    right: dict[Any, Node] = dict(zip(program.tape.nodes, tape.nodes, strict=True))
    values = [*program.arrays(arguments), *program.numbers()]
    names = [*program.inputs, *program.lives]
    space = {**program.namespace, **dict(zip(names, values, strict=True))}
    written = {v for node in tape.nodes if node.kind == "write" for v in node.outs}
    for node, statements in itertools.groupby(program.writer.body, lambda s: s.node):
        for s in statements:
            exec(s.text, space)
        twin = right.get(node.origin)
        if twin is None or s.target is None or len(node.outs) != 1 or twin.outs[0] in written:
            continue
        if not _close(np.asarray(space[program.writer.text(s.target)]), twin.outs[0].array):
            return f"; first in `{s.text}`, from{node.line}"
    return ""


def compile(fn: Callable[..., Any]) -> CompiledStep:
    """Compile a function, or a Module, into a NumPy program; a decorator too: `@rg.compile`.

    `fn` may run forward, `backward()`, `zero_grad()`, `step()`, clipping, on arrays, Tensors,
    dicts, lists and tuples of them, and hashable values. The first call with given shapes, dtypes
    and values records its NumPy calls; later ones run these alone, the first compared with `fn`.
    Returned Tensors are copies without a graph.

    Raises TraceError with the line for what cannot be recorded: reading a value (`.item()`,
    `float`, `if t > 0`), changing something outside.

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
