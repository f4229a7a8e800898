"""One program: what one run of a function recorded, made into NumPy source and kept ready."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from retrograd import tree
from retrograd.compiler.batching import batch
from retrograd.compiler.names import Namer
from retrograd.compiler.passes import fold, merge, prune, simplify
from retrograd.compiler.runner import Runner
from retrograd.compiler.tape import Node, Tape, Var, memory, root
from retrograd.compiler.writer import Writer
from retrograd.core import Tensor


class Program:
    """A recorded run as a function of its arguments, its learning rates and its counts.

    `source` is readable NumPy. A run leaves its results in buffers; what is handed out is copied.
    """

    def __init__(
        self,
        tape: Tape,
        namer: Namer,
        args: list[Var],
        outs: list[Any],
        structure: tree.Structure,
        grads: list[tuple[Tensor, Var | None]],
    ) -> None:
        self.tape = tape
        self.args = args
        self.recorded = namer, args, outs, structure, grads
        self.checks_left = 0
        self.grad = True
        self.simple = False  # takes plain arrays by position, and hands nothing to them
        self.settled = False
        inside = {id(m): m for ran in tape.ran.values() for m in ran.modules()}
        self.attributes = [(m, _attributes(m)) for m in inside.values()]
        self.structure = structure
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
        for _, g in self.grads:  # a constant gets its name, and so its place, here
            writer.text(g)
        self.results = [writer.text(v) if isinstance(v, Var) else None for v in self.outs]
        self.find_memory()
        self.runner = Runner(self)

    def holds(self) -> bool:
        """Tell whether everything outside that the recording relied on is still so."""
        return self.runner.holds()

    @property
    def namespace(self) -> dict[str, Any]:
        """The buffers, views, functions and outside arrays of the program, by name."""
        return self.runner.namespace

    def find_memory(self) -> None:
        """Find the arrays outside that the program reads and writes, and who holds them."""
        self.captured = [v for v in self.writer.names if v.kind == "captured"]
        self.holders = [(v.tensor, v.array) for v in self.captured if v.tensor is not None]
        written = {memory(v): v.array for n in self.nodes if n.kind == "write"
                   for v in n.outs if v.kind == "captured"}  # fmt: skip
        self.written = list(written.values())
        self.trained = [t for t, a in self.holders if id(root(a)) in written]
        self.buckets = [(group, bucket) for _, group, bucket in self.tape.updates]

    def with_constants(self) -> Program:
        """Return the program written anew, now that some arrays are known to be constants."""
        for v in self.tape.constants:
            v.kind = "const"
        self.tape.constants.clear()
        program = Program(self.tape, *self.recorded)
        program.grad, program.simple = self.grad, self.simple
        program.checks_left = self.checks_left
        self.namespace.clear()  # its buffers, which the garbage collector would find late
        return program

    def settle(self) -> None:
        """Let go of what only the checks needed; from now on it may run without a look-up."""
        self.settled = self.simple
        self.tape.nodes.clear()
        self.tape.known.clear()
        self.nodes.clear()
        del self.recorded

    def attributes_hold(self) -> bool:
        """Tell whether the Modules that ran have the attributes that they had."""
        return all(
            (now := _attributes(m)).keys() == then.keys()
            and all(now[name] is value for name, value in then.items())
            for m, then in self.attributes
        )

    def is_stale(self) -> bool:
        """Tell whether arrays it was recorded with were replaced, so that it never holds again."""
        return any(holder._data is not array for holder, array in self.holders)

    def parameters(self) -> list[str]:
        """Return the names of the arguments of the function as a reader sees it."""
        w = self.writer
        names = [w.text(v) for v in self.args] + [text for text, _ in self.lives]
        return names + [w.text(v) for v in self.starts]

    def leaf(self, leaf: Any, given: Sequence[Any]) -> Any:
        """Return the leaf meant by one of the recording: itself, or an argument of this call."""
        place = self.tape.positions.get(id(leaf))
        return leaf if place is None else given[place]

    def numbers(self) -> list[Any]:
        """Return the learning rates, counts and the like as they are now."""
        return [eval(f"owner{read}", {"owner": owner}) for _, (_, owner, read) in self.lives]

    def advance(self, text: str) -> int:
        """Return by how much a run advances the count that goes by this name."""
        owner = dict(self.lives)[text][1]
        return sum(bucket is owner for _, bucket in self.buckets)

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


def _attributes(module: Any) -> dict[str, Any]:
    return {name: v for name, v in vars(module).items() if name not in ("training", "_training")}


def _resolve(var: Var, replaced: dict[Var, Var]) -> Var:
    while var in replaced:
        var = replaced[var]
    return var


def _optimised(nodes: list[Node], results: list[Var]) -> tuple[list[Node], dict[Var, Var]]:
    """Run the passes until nothing changes any more."""
    replaced: dict[Var, Var] = {}
    batched = False
    while True:
        before = len(nodes)
        nodes = fold(nodes)
        for reduce in (simplify, merge):
            nodes, found = reduce(nodes)
            replaced.update(found)
        nodes = prune(nodes, [_resolve(v, replaced) for v in results])
        if len(nodes) == before:
            if batched:
                return nodes, replaced
            nodes, batched = batch(nodes, [_resolve(v, replaced) for v in results]), True
