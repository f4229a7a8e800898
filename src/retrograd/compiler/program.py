"""One program: what one run of a function recorded, made into NumPy source and kept ready."""

from __future__ import annotations

import functools
import linecache
import operator
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from retrograd import tree
from retrograd.compiler.names import Namer
from retrograd.compiler.passes import fold, merge, prune, simplify
from retrograd.compiler.tape import Node, Tape, TraceError, Var, root
from retrograd.compiler.writer import Statement, Writer
from retrograd.core import Array, Tensor, touch, wrap

_ndarray = np.ndarray

_count = 0


class Program:
    """A recorded run as a function of its arguments, its learning rates and its counts.

    `source` is readable NumPy. A run leaves its results in buffers; what is handed out is copied.
    """

    def __init__(
        self, tape: Tape, namer: Namer, args: list[Var], result: Any, names: list[str]
    ) -> None:
        self.tape = tape
        self.args = args
        self.checks_left = 0
        self.grad = True
        self.simple = False
        for v, name in zip(args, names, strict=True):
            v.wish = name
        self.specs = [(v.array.shape, v.array.dtype) for v in args]
        leaves, self.structure = tree.flatten(result)
        outs = [tape.see(v._data) if isinstance(v, Tensor) else v for v in leaves]
        for v in leaves:
            if isinstance(v, np.ndarray):
                raise TraceError(
                    "a compiled function returns Tensors or plain values; an array made outside "
                    "of recorded calls would be the same in every run"
                )
        grads = [
            (leaf, None if tape.grads[key] is None else tape.see(tape.grads[key]))
            for key, leaf in tape.leaves.items()
            if leaf.is_leaf
        ]
        wanted = [v for v in outs if isinstance(v, Var)] + [g for _, g in grads if g is not None]
        nodes, replaced = _optimised([node.copy() for node in tape.nodes], wanted)
        self.outs = [_resolve(v, replaced) if isinstance(v, Var) else v for v in outs]
        self.grads = [(leaf, g and _resolve(g, replaced)) for leaf, g in grads]
        self.nodes = nodes
        results = [v for v in self.outs if isinstance(v, Var)]
        namer.finish(nodes, tape)
        writer = Writer(nodes, results, [g for _, g in self.grads if g], namer.wish, tape.lives)
        for v in args:
            writer.name(v)
        writer.write()
        self.writer = writer
        self.lives = list(tape.lives.items())
        self.starts = [v for v in tape.known.values() if v.kind == "grad"]
        self._find_memory()
        self._make()

    # What the program touches --------------------------------------------------------------------

    def _find_memory(self) -> None:
        captured = [v for v in self.writer.names if v.kind == "captured"]
        self.captured = captured
        self.holders = [(v.tensor, v.array) for v in captured if v.tensor is not None]
        written = {id(root(v.array)): v for n in self.nodes if n.kind == "write" for v in n.outs
                   if v.kind == "captured"}  # fmt: skip
        self.written = [v.array for v in written.values()]
        self.backups = [np.empty_like(a) for a in self.written]
        self.mark = [False]
        self.groups = [_Update(group, bucket) for _, group, bucket in self.tape.updates]
        self.modules = [(m, m.training) for m in self.tape.modules.values()]
        self.started = [
            (leaf, self.tape.started[key])
            for key, leaf in self.tape.leaves.items()
            if key in self.tape.started and key not in self.tape.positions
        ]
        self.trained = [t for t, a in self.holders if id(root(a)) in written]

    def fits(self, args: Sequence[Any]) -> bool:
        """Tell whether plain positional arguments are of the kind recorded."""
        if not self.simple or len(args) != len(self.specs):
            return False
        for a, (shape, dtype) in zip(args, self.specs):  # noqa: B905, lengths are equal
            if a.__class__ is not _ndarray or a.shape != shape or a.dtype is not dtype:
                return False
        return True

    def is_stale(self) -> bool:
        """Tell whether arrays it was recorded with were replaced, so that it never holds again."""
        return any(holder._data is not array for holder, array in self.holders)

    def holds(self) -> bool:
        """Tell whether everything outside that the recording relied on is still so."""
        for holder, array in self.holders:
            if holder._data is not array:
                return False
        for module, training in self.modules:
            if module._training is not training:
                return False
        for group in self.groups:
            if not group.holds():
                return False
        for leaf, started in self.started:
            if (leaf._grad is not None) is not started:
                return False
        return True

    # The function --------------------------------------------------------------------------------

    def _make(self) -> None:
        global _count
        _count += 1
        w = self.writer
        self.namespace: dict[str, Any] = {"np": np, **w.data, **w.functions}
        self.results = [w.text(v) if isinstance(v, Var) else None for v in self.outs]
        lines = self._lines()
        self.file = f"<retrograd program {_count}>"
        setup = "\n".join(w.setup)
        exec(compile(setup, self.file + " setup", "exec"), self.namespace)
        self.namespace["_mark"] = self.mark
        text = "\n".join(lines)
        linecache.cache[self.file] = (len(text), None, lines, self.file)
        exec(compile(text, self.file, "exec"), self.namespace)
        self.run: Callable[..., Any] = self.namespace["program"]
        handed = [
            (leaf, None if g is None else _handing_over(self, w.text(g)))
            for leaf, g in self.grads
        ]
        places = self.tape.positions
        self.fresh_grads = [pair for pair in handed if id(pair[0]) not in places]
        self.argument_grads = [pair for pair in handed if id(pair[0]) in places]
        self.inputs = [source[2] for _, source in self.lives if source[2] is not None]
        self.single = self.structure == tree.LEAF and self.results[0] is not None

    def parameters(self) -> list[str]:
        """Return the names of the arguments of the function."""
        w = self.writer
        names = [w.text(v) for v in self.args] + [text for text, _ in self.lives]
        return names + [w.text(v) for v in self.starts]

    def _lines(self) -> list[str]:
        """Return the lines of the function as it is run."""
        lines = [f"def program({', '.join(self.parameters())}):"]
        saved = not self.written
        for s in self.writer.body:
            if not saved and s.node is not None and s.node.kind == "write":
                saved = True
                for i in range(len(self.written)):
                    self.namespace[f"_kept_{i}"] = self.backups[i]
                    self.namespace[f"_written_{i}"] = self.written[i]
                    lines.append(self._bound(f"    np.copyto(_kept_{i}, _written_{i})"))
                lines.append("    _mark[0] = True")
            lines.append("    " + self._bound(s.text))
        results = [r or "None" for r in self.results]
        lines.append(f"    return ({', '.join(results)}{',' if results else ''})")
        return lines

    def _bound(self, text: str) -> str:
        """Return a statement with NumPy's functions as names of the program, found faster."""

        def local(match: re.Match[str]) -> str:
            dotted = match.group(1)
            name = "np_" + dotted.replace(".", "_")
            if name not in self.namespace:
                self.namespace[name] = functools.reduce(getattr, dotted.split("."), np)
            return f"{name}("

        return re.sub(r"\bnp\.([\w.]+)\(", local, text)

    def __call__(self, given: Sequence[Any]) -> Any:
        """Run on arrays and Tensors of the recorded kind; what it hands out is copied."""
        arrays = given if self.simple else [_array(a) for a in given]
        if self.inputs:
            arrays = [*arrays, *(number() for number in self.inputs)]
        if self.starts:
            arrays = [*arrays, *(self.leaf(v.tensor, given).grad for v in self.starts)]
        counts = [group.bucket.count for group in self.groups]
        try:
            outs = self.run(*arrays)
            copies = [None if o is None else wrap(np.array(o)) for o in outs]
            for group in self.groups:
                group.bucket.count += 1
            self.mark[0] = False
        except BaseException:
            self.undo(counts)
            raise
        for leaf, grad in self.fresh_grads:
            leaf._grad = grad
        for leaf, grad in self.argument_grads:
            self.leaf(leaf, given)._grad = grad
        if self.trained:
            touch(*self.trained)
        if self.single:
            return copies[0]
        leaves = [
            v if o is None else o for v, o in zip(self.outs, copies, strict=True)
        ]
        return self.structure.unflatten(leaves)

    def leaf(self, leaf: Any, given: Sequence[Any]) -> Any:
        """Return the leaf meant by one of the recording: itself, or an argument of this call."""
        place = self.tape.positions.get(id(leaf))
        return leaf if place is None else given[place]

    def advance(self, text: str) -> int:
        """Return by how much a run advances the count that goes by this name."""
        owner = dict(self.lives)[text][1]
        return sum(group.bucket is owner for group in self.groups)

    def undo(self, counts: Sequence[int]) -> None:
        """Put back what an interrupted run has written."""
        if self.mark[0]:
            for array, backup in zip(self.written, self.backups, strict=True):
                array[...] = backup
            for group, count in zip(self.groups, counts, strict=True):
                group.bucket.count = count
            self.mark[0] = False

    # Reading -------------------------------------------------------------------------------------

    @property
    def source(self) -> str:
        """The program as a reader wants it: one function, shapes as comments, sections."""
        return listing(self)


def sections(program: Program) -> list[str]:
    """Return the statements of a run under the headings forward, backward and update."""
    rows: list[tuple[str, str]] = []
    section = ""
    for s in program.writer.body:
        if s.section != section:
            section = s.section
            rows.append((f"\n    # {section}", ""))
        shape = "" if s.target is None else f"# {s.target.array.shape}"
        rows.append(("    " + s.text, shape))
    width = max((len(text) for text, shape in rows if shape and len(text) < 72), default=0)
    return [f"{text:<{width}}  {shape}" if shape else text for text, shape in rows]


def listing(program: Program) -> str:
    """Return the source of a program's function with sections and shapes."""
    w = program.writer
    lines = [f"def step({', '.join(program.parameters())}):"]
    lines += [f"    # {w.text(v)}: {v.array.shape} {v.array.dtype}" for v in program.args]
    lines += sections(program)
    results = [r for r in program.results if r is not None]
    if results:
        lines.append(f"    return {', '.join(results)}")
    return "\n".join(lines)


class _Update:
    """One update of a bucket, and what must stay so for it to be the same calls."""

    def __init__(self, group: dict[str, Any], bucket: Any) -> None:
        self.group = group
        self.bucket = bucket
        self.data = bucket.data
        names = [name for name in group if name not in ("lr", "params")]
        self.options = operator.itemgetter(*names) if names else len
        self.values = self.options(group)
        self.state = tuple(bucket.state.items())

    def holds(self) -> bool:
        """Tell whether options, arrays and state are those that were recorded."""
        bucket = self.bucket
        if bucket.data is not self.data or self.options(self.group) != self.values:
            return False
        for name, array in self.state:
            if bucket.state.get(name) is not array:
                return False
        return True


def _array(value: Any) -> Any:
    return value._data if isinstance(value, Tensor) else value


def _handing_over(program: Program, name: str) -> Callable[[Tensor], Array]:
    """Return what gives a leaf its gradient when somebody asks: a copy of the buffer."""
    buffer = program.namespace.get(name)

    def hand_over(leaf: Tensor) -> Array:
        return np.array(buffer)

    return hand_over


def _resolve(var: Var, replaced: dict[Var, Var]) -> Var:
    while var in replaced:
        var = replaced[var]
    return var


def _optimised(nodes: list[Node], results: list[Var]) -> tuple[list[Node], dict[Var, Var]]:
    """Run the passes until nothing changes any more."""
    replaced: dict[Var, Var] = {}
    while True:
        before = len(nodes)
        nodes = fold(nodes)
        for reduce in (simplify, merge):
            nodes, found = reduce(nodes)
            replaced.update(found)
        nodes = prune(nodes, [_resolve(v, replaced) for v in results])
        if len(nodes) == before:
            return nodes, replaced
