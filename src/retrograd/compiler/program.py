"""A program made ready to run: buffers are there, its function is compiled, failures are mended."""

from __future__ import annotations

import copy
import itertools
import linecache
import traceback
import weakref
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd import tree
from retrograd.compiler.assembly import Code, Step, assemble
from retrograd.compiler.guards import (
    Attributes,
    compile_entry,
    compile_guards,
    find_failing,
    guards_of,
)
from retrograd.compiler.ir import Call, Flow, Program, Var, root
from retrograd.compiler.likeness import Likeness, find_any_difference
from retrograd.compiler.masks import Masks
from retrograd.compiler.outside import Outside
from retrograd.compiler.passes import simplify, stack
from retrograd.compiler.places import is_compiled
from retrograd.compiler.sample import Sample
from retrograd.compiler.shortcut import Shortcut
from retrograd.compiler.spelling import is_sized_by_values
from retrograd.compiler.statements import (
    Assign,
    Attribute,
    Bound,
    Copy,
    Do,
    Expression,
    Index,
    Invoke,
    Literal,
    Name,
    Operation,
    Return,
    Statement,
    Tuple,
)
from retrograd.compiler.suspects import Suspects
from retrograd.compiler.writer import PYTHON, FastWriter, head, run_setup, source
from retrograd.engine import CLOCK, Array, Tensor, stamps, wrap

if TYPE_CHECKING:
    from retrograd.compiler.differentiable import Graph
    from retrograd.compiler.readable.form import Readable

CHECKS = 2  # as many replays are compared with the function
FIRST_AUDIT = 4  # the call at which the function is recorded again, then at twice as many
_numbered = itertools.count(1)


class Pending:
    """A gradient in a buffer of a program: see `engine.tensor.PendingGradient`."""

    def __init__(self, buffer: Array) -> None:
        self.buffer = buffer

    def copied(self) -> Array:
        """Return the gradient as an array of its own."""
        return np.array(self.buffer)


class ReadyProgram:
    """A program as a function; it hands out copies of its buffers.

    One that fails leaves all outside as before or after: once it has written there, the rest is
    run, or, unless that is single NumPy calls, what was there is put back. One that is interrupted
    runs its rest too, so that draws and gradients are those of a whole run.

    Args:
        recorded: the program as it was recorded.
        grad: whether gradients were recorded, as the mode said.
        simple: whether it takes plain arrays by position.
        outside: what the function finds outside.
        graph: how gradients flow to its results, None if nobody can ask for any.
        likeness: of the recorded program, if it is known already.
        target: what computes it, "numpy" or "c".
        halved_at: how many of the arguments its first half takes; 0 where nobody asks for halves.

    Attributes:
        likeness: what other recordings are compared with.
        runs: how often the function was called for this program, the recording included.
        suspects: what it may depend on and no condition asks for.
        next_audit: at which of these calls the function is recorded again, to compare.
        ignored: attributes of Modules that were found not to matter, with the Modules' ids.
        recorded: as given, until `settle` lets go of its calls.
        constants: arrays outside that were found never to change.
        program: what runs, after all passes.
        code: that as statements.
        plain: that before buffers, and before many calls were made one: for readers.
        sample: some elements of the arguments, to record the function for others of the kind.
        readable: the program for readers, once somebody has asked.
        checks_left: how many of the next replays are to be compared with the function.
        tells_kinds: whether the function does something else for arrays than for Tensors.
        settled: whether it may be replayed without looking at how arguments are put together.
        shortcut: what runs it and looks at its conditions at once, None where there is none yet.
    """

    def __init__(
        self, recorded: Program, grad: bool, simple: bool, outside: Outside | None = None,
        graph: Graph | None = None, likeness: Likeness | None = None, target: str = "numpy",
        halved_at: int = 0,
    ) -> None:  # fmt: skip
        self.recorded = recorded
        self.target, self.halved_at = target, halved_at
        self.likeness = likeness or Likeness(recorded)
        self.runs = 1
        self.next_audit = FIRST_AUDIT
        self.outside = outside
        self.suspects: Suspects | None = None
        self._suspected: Outside | None = None  # of which outside these are
        self.ignored: set[tuple[int, str]] = set()
        self.grad = grad
        self.simple = simple
        self.graph = graph
        self.settled = self.tells_kinds = False
        self.checks_left = CHECKS
        self.constants: set[Var] = set()
        self.positions = recorded.positions
        self.namespace: dict[str, Any] = {}
        # those of its texts, which tracebacks show; by how much their lines are later ones
        self.files: dict[str, int] = {}
        self.sample = Sample(None, [])
        self.readable: Readable | None = None
        self.masks = Masks(recorded.calls)
        weakref.finalize(self, _let_go, self.namespace, self.files).atexit = False
        self.write()

    def write(self, constants: Collection[Var] = ()) -> None:
        """Make the code and the function; again if more is found to be constant."""
        self.constants |= {*constants}
        self.readable = None
        self.plain = simplify(self.recorded, self.constants)
        program = self.program = stack(self.plain)
        self.code = self._assemble(program)
        self.captured = [v for v in self.code.names if v.kind == "captured"]
        self.holders = [(v.tensor, v.array) for v in self.captured if v.tensor is not None]
        flow = Flow(program.calls)
        drawing = (f for f in self.code.functions.values() if isinstance(f, np.random.Generator))
        self.bit_generators = [rng.bit_generator for rng in drawing]
        self.written = [v.array for v in program.written_outside(flow)]
        self.changes = bool(self.written or program.carried or self.bit_generators)
        self._first_write = self._find_first_write(flow)
        roots = {id(root(a)) for a in self.written}
        self.trained = [t for t, a in self.holders if id(root(a)) in roots]
        buckets = [bucket for _, bucket in program.updates]
        # an update writes into these also where no call reads them
        known = {id(t) for t, _ in self.holders}
        trained = {id(p): p for bucket in buckets for p in bucket.params if id(p) not in known}
        self.holders += [(p, p._array) for p in trained.values()]
        _let_go(self.namespace, self.files)
        self.namespace.update({"np": np, **self.code.data, **self.code.functions})
        self.file = f"<retrograd program {next(_numbered)}>"
        run_setup(self.code, self.namespace, f"{self.file} setup")
        self._check_views()
        if self.code.bind is not None:
            self.code.bind(self.namespace)
        self.make()

    def in_numpy(self) -> ReadyProgram:
        """Return a copy whose code is NumPy's calls alone: for scripts, not to be run."""
        if self.target == "numpy":
            return self
        twin = copy.copy(self)
        twin.program = stack(self.plain)
        twin.code = assemble(twin.program)
        return twin

    def _assemble(self, program: Program) -> Code:
        if self.target == "c":
            from retrograd.compiler.c import assemble_in_c

            return assemble_in_c(program, self.halved_at)
        return assemble(program)

    def _find_first_write(self, flow: Flow) -> int:
        """Return the position of the first statement that writes outside."""
        body = self.code.body
        for i, step in enumerate(body):
            writes = step.fills is not None and step.call.kind == "write"
            outside = writes and flow.viewed(step.call.outs[0]).kind != "made"
            if outside or step.writes:
                return i
        return len(body)

    def _check_views(self) -> None:
        """Raise RuntimeError if what should be a view is a copy."""
        names = self.code.names
        for call in self.program.calls:
            if call.view_of is None:
                continue
            pair = [names.get(v, "") for v in (call.outs[0], call.args[call.view_of])]
            here, of = map(self.namespace.get, pair)
            static = here is not None and of is not None and here.size
            if static and not np.may_share_memory(here, of):
                raise RuntimeError(f"internal: {pair[0]} is a copy")

    def settle(self) -> None:
        """Let go of what the checks needed."""
        self.settled = self.simple and not self.program.starts
        self.recorded = Program()
        self.program = self.program.with_calls((), {})
        initial = self.likeness.initial
        self.likeness.initial = {v: initial[v] for v in self.constants if v in initial}

    # What a reader, a script and the checks ask for

    @property
    def source(self) -> str:
        """The program as a reader sees it."""
        return source(self.code)

    def numbers(self) -> list[Any]:
        """Return the numbers that are read anew, as they are now."""
        return [reading.value() for reading in self.program.lives]

    def leaf(self, leaf: Any, given: Sequence[Any]) -> Any:
        """Return a leaf or the argument for it."""
        at = self.positions.get(id(leaf))
        return leaf if at is None else given[at]

    def arrays(self, given: Sequence[Any]) -> list[Any]:
        """Return what a run is given: the arguments as arrays, and gradients from before."""
        starts = [self.leaf(v.tensor, given).grad for v in self.program.starts]
        return [a._array if isinstance(a, Tensor) else a for a in given] + starts

    # Running

    def __repr__(self) -> str:
        count = len(self.program.calls)
        return f"<program of {count} call{'s' * (count != 1)}>"

    def _repr_html_(self) -> str:
        import html

        return f"<pre>{html.escape(self.source)}</pre>"

    def __call__(self, given: Sequence[Any]) -> Any:
        """Run on arguments of the recorded kinds; gradients of arguments land in these."""
        results = self.replay(self.arrays(given))
        for leaf, grad in self.handed if self.positions else ():
            if id(leaf) in self.positions:
                # a copy, since the next run may be for another Tensor
                self.leaf(leaf, given)._grad = grad and grad.copied()
        return results

    def replay(self, arrays: Sequence[Any]) -> Any:
        """Run on arrays; return what the function returned, its Tensors made of copies."""
        try:
            outs = self.run(*arrays)
        except BaseException as error:
            self.recover(error)
            raise
        if self.single:
            return wrap(outs[0])
        found = zip(self.program.results, outs, strict=True)
        return self.program.structure.unflatten([v if o is None else wrap(o) for v, o in found])

    def recover(self, error: BaseException) -> None:
        """Finish a run that failed, or put back what it wrote; say where it failed."""
        walk = traceback.walk_tb(error.__traceback__)
        frame, at = next((x for x in walk if x[0].f_code.co_filename in self.files), (None, 0))
        if not frame:
            return
        at -= self.files[frame.f_code.co_filename]
        step = self.steps.get(at)
        if step and isinstance(error, Exception):
            text = PYTHON.statement(step.statement)
            error.add_note(f"in `{text}` of a compiled program, from{step.call.line}")
            if isinstance(error, ValueError) and is_sized_by_values(step.call):
                error.add_note(
                    "A program keeps the shapes of its first run, but values decide the size of "
                    "this result: write np.where(mask, x, 0), or leave it outside"
                )
        if at < self.first_step:
            return  # nothing has happened yet
        written = at >= self.first_write
        interrupted = not isinstance(error, Exception)
        space = {**self.namespace, **frame.f_locals}
        # an interrupt behind the call that tells the time comes before the name has its value
        space.setdefault("_now", CLOCK.tick())
        # perhaps only a part of the statement is done, but not so of a draw
        again = bool(step and not step.statement.is_single and step.call.kind != "draw")
        if (interrupted and not (again and _writes_over(step, space))) or (
            written and self.finishes
        ):
            with np.errstate(all="ignore"):
                for line in self.lines[at - (again and interrupted) : self.end]:
                    exec(line.strip(), space)
            return
        for leaf, grad in self.handed:
            if leaf._grad is not None and leaf._grad is grad:
                leaf._grad = None  # nobody has read it, and this run wrote into its buffer
        if written:
            for array, backup in self.backups:
                array[...] = backup
            for reading in self.program.lives:
                if reading.stem == "updates":
                    reading.owner.count = space[reading.name]

    # Making the function

    def make(self) -> None:
        """Compile the function and its guards from the statements."""
        code, program, at = self.code, self.program, self._first_write
        writer = FastWriter(self.namespace)
        self.finishes = all(step.statement.is_single for step in code.body[at:])
        self.backups = [] if self.finishes else [(a, np.empty_like(a)) for a in self.written]
        self.single = program.structure == tree.LEAF and code.results[0] is not None
        self.steps: dict[int, Step] = {}  # by line
        self.handed: list[tuple[Tensor, Any]] = []
        self.lines = [head("program", code.inputs)]
        owners: dict[str, Expression] = {
            reading.name: Name(writer.bind("owner", reading.owner)) for reading in program.lives
        }
        for reading in program.lives:
            name = Name(reading.name)
            self._add(writer, Assign((name,), reading.expression(owners[reading.name])))
        self.first_step = len(self.lines) + 1
        self._add_steps(writer, code.body[:at])
        for array, backup in self.backups:
            self._add(writer, Copy(Bound("kept", backup), Bound("of", array)))
        self.first_write = len(self.lines) + 1
        self._add_steps(writer, code.body[at:])
        for text, n in program.advances().items():
            count = Operation("+", Name(text), Literal(n))
            self._add(writer, Assign((Attribute(owners[text], "count"),), count))
        for place, names in code.carried:
            statement = place.assignment(writer, names)
            self._add(writer, statement)
            self.steps[len(self.lines)] = Step(statement, Call("keep", None, (), {}, ()), None)
        self._hand_over(writer)
        self._stamp_written(writer)
        self.end = len(self.lines)
        copied = Bound("copied", np.array)
        results = [
            Literal(None) if name is None else Invoke(copied, (Name(name),))
            for name in code.results
        ]
        self._add(writer, Return(Tuple(tuple(results))))
        self.compile(self.lines, self.namespace)
        self.run: Callable[..., Any] = self.namespace["program"]
        if program.errors:
            self.run = np.errstate(**program.errors)(self.run)  # type: ignore[arg-type]
        self.args = program.args
        self.watch(self.outside)

    def find_difference(self, other: Likeness) -> str:
        """Return where another recording of the function differs from this program, or ""."""
        problem, found = find_any_difference(self.likeness, other, self.constants)
        if not problem and found:
            problem = f"an array outside, of shape {found[0].shape}, is another one"
        return problem

    def takes(self, other: Likeness, outside: Outside) -> bool:
        """Tell whether another recording is the same program, which then goes on.

        Args:
            other: the recording.
            outside: what the function finds outside now.
        """
        known = outside.memory() | (set() if self.outside is None else self.outside.memory())
        problem, found = find_any_difference(self.likeness, other, self.constants, known)
        if problem or (found and not self.checks_left):
            return False
        if not self.masks.hold():
            return False  # the same calls, of other sizes
        if found:
            self.write(found)
        return True

    def find_reason(self) -> tuple[str, list[tuple[Any, str]]]:
        """Return why the program does not hold now.

        Returns:
            The name of what is no more what it was outside, as the user would write it, or "";
            and the attributes of Modules that have changed, with these.
        """
        changes = list(self.attributes.find_changes())
        guard = find_failing(self.guards)
        name = guard.name if guard else ""
        if not name and changes:
            # of what changes together, that which the user knows
            at, _, attribute = min(changes, key=lambda change: change[2].startswith("_"))
            name = f"{at}.{attribute}"
        return name, [(module, attribute) for _, module, attribute in changes]

    def watch(self, outside: Outside | None) -> None:
        """Make the guards, of what is outside now.

        Args:
            outside: what the function finds outside.
        """
        self.outside = outside
        inside = {} if outside is None else {**outside.modules}
        for ran in self.program.ran:
            for path, m in ran.named_modules():
                name = type(ran).__name__
                if not is_compiled(m):
                    inside.setdefault(id(m), (f"{name}.{path}" if path else name, m))
        assigned = {(id(c.place.owner), c.place.key) for c, _ in self.program.carried}
        self.attributes = Attributes(inside.values(), self.ignored | assigned)
        captured = [v.array for v in self.captured]
        if outside is not None and outside is not self._suspected:
            self.suspects = Suspects(outside, {id(root(a)) for a in captured})
            self._suspected = outside
            outside.let_go()
        found = guards_of(self.program, self.holders, self.attributes, outside, captured)
        found += self.masks.guards()
        self.guards = found
        self.shortcut: Shortcut | None = None  # which asks for what was outside before
        self.holds = compile_guards(found, {})
        self.enter = compile_entry(self.args, found, {})

    def _add(self, writer: FastWriter, statement: Statement) -> None:
        self.lines.append("    " + writer.statement(statement))

    def _add_steps(self, writer: FastWriter, steps: Iterable[Step]) -> None:
        for step in steps:
            self._add(writer, step.statement)
            self.steps[len(self.lines)] = step

    def compile(
        self, lines: Sequence[str], namespace: dict[str, Any], what: str = "", later: int = 0
    ) -> None:
        """Make the function of a text of this program, which tracebacks then show.

        Args:
            lines: the text.
            namespace: takes the function.
            what: tells this text from others of the program.
            later: by how much the lines of the program are later ones there.
        """
        file = f"{self.file} {what}".rstrip()
        self.files[file] = later
        linecache.cache[file] = (0, None, [line + "\n" for line in lines], file)
        exec(compile("\n".join(lines), file, "exec"), namespace)

    def _stamp_written(self, writer: FastWriter) -> None:
        """Add what `Clock.write` does, written out: it is a call less."""
        if self.trained:
            now, clock = Name("_now"), Bound("clock", CLOCK)
            self._add(writer, Assign((now,), Invoke(Bound("tick", CLOCK.tick), ())))
            self._add(writer, Assign((Attribute(clock, "last_write"),), now))
            for stamp in stamps(self.trained):
                self._add(writer, Assign((Index(Bound("stamp", stamp), Literal(0)),), now))

    def _hand_over(self, writer: FastWriter) -> None:
        """Add what gives each leaf its gradient, which is copied only when somebody reads it."""
        for (leaf, _), name in zip(self.program.grads, self.code.grads, strict=True):
            grad = None
            if name is not None:
                buffer = self.namespace.get(name)
                if buffer is None:  # it lies in no buffer: an argument, or a view of one
                    buffer = np.empty_like(leaf._array)
                    self._add(writer, Copy(Bound("handed", buffer), Name(name)))
                grad = Pending(buffer)
            self.handed.append((leaf, grad))
        for leaf, grad in self.handed:
            if id(leaf) not in self.positions:
                target = Attribute(Bound("leaf", leaf), "_grad")
                self._add(writer, Assign((target,), Bound("grad", grad)))


def _writes_over(step: Any, space: dict[str, Any]) -> bool:
    """Tell whether a statement writes into what it reads, so that it must not be done twice."""
    statement = step.statement
    if not isinstance(statement, Do):
        if isinstance(statement, Assign):
            return bool(step.call.kind == "write")
        return isinstance(statement, Copy)
    out = eval(PYTHON.expression(statement.out), space)
    names = {part.text for part in statement.call.parts() if isinstance(part, Name)}
    read = [space[name] for name in names if isinstance(space.get(name), np.ndarray)]
    return any(np.may_share_memory(out, array) for array in read)


def _let_go(namespace: dict[str, Any], files: dict[str, int]) -> None:
    """Let go of the buffers of a program and of its source, which tracebacks show."""
    # the function in the namespace refers to it: a circle, which would keep the buffers for long
    namespace.clear()
    while files:
        linecache.cache.pop(files.popitem()[0], None)
