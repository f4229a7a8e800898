"""A recorded run as NumPy source, kept ready."""

import contextlib
import functools
import itertools
import linecache
import operator
import re
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from retrograd import tree
from retrograd.compiler.passes import optimise
from retrograd.compiler.spelling import sized_by_values
from retrograd.compiler.tape import Node, Tape, TraceError, Var, current, root, viewed
from retrograd.compiler.writer import Statement, Writer
from retrograd.engine import CLOCK, Array, Tensor, stamps, wrap
from retrograd.nn.module import ATTRIBUTES, Module

CHECKS = 2  # replays to compare with the function
_numbered = itertools.count(1)
_UFUNCS = "|".join(name for name, fn in vars(np).items() if isinstance(fn, np.ufunc))
_ATOMIC = re.compile(rf"np\.({_UFUNCS}|copyto)\(|\w+\.dot\(|\w+\[\.\.\.\] = (?!np\.linalg)")
# deprecated for maximum and minimum
_OUT_LAST = re.compile(
    rf"^((?:np\.(?!maximum|minimum)(?:{_UFUNCS})|\w+\.dot)\([^()]*), out=(\w+)\)$"
)


class Program:
    """A recorded run as a function; it hands out copies of its buffers.

    One that fails leaves all outside as before or after: once it has written there, the rest is
    run, or, unless that is single NumPy calls, what was there is put back.
    """

    def __init__(self, fn: Any, tape: Tape, result: Any, grad: bool, simple: bool) -> None:
        self.tape = tape
        self.args = tape.args
        self.grad = grad  # the mode
        self.simple = simple  # takes plain arrays by position
        self.settled = False
        self.checks_left = CHECKS
        values, self.structure = tree.flatten(result)
        if any(isinstance(v, np.ndarray) for v in values):
            raise TraceError(
                "a compiled function returns Tensors or plain values: an array made without "
                "recorded calls would never change"
            )
        self.outs = [tape.see(v._array) if isinstance(v, Tensor) else v for v in values]
        self.grads = [(leaf, grad) for leaf, grad in tape.grads if leaf.is_leaf]
        name_outside(fn, tape)
        self.lives, self.buckets = tape.lives, tape.updates
        self.starts = [v for v in tape.known.values() if v.kind == "grad"]
        self.namespace: dict[str, Any] = {}
        self.write()

    def write(self) -> None:
        tape = self.tape
        for v in tape.constants:
            v.kind = "const"
        tape.constants.clear()
        inside = {id(m): m for ran in tape.ran.values() for m in ran.modules()}
        self.attributes = [(m, _attributes(m)) for m in inside.values()]
        wanted = [*self.outs, *(g for _, g in self.grads)]
        nodes, became = optimise(tape.nodes, [v for v in wanted if isinstance(v, Var)])
        outs = [became[v] if isinstance(v, Var) else None for v in self.outs]
        grads = [g and became[g] for _, g in self.grads]
        name_assigned(tape.nodes)
        w = self.writer = Writer(nodes, [v for v in outs if v], [g for g in grads if g], tape.lives)
        for v in self.args:
            w.name(v)
        w.write()
        self.grad_names = [None if g is None else w.name(g) for g in grads]
        self.results = [None if v is None else w.name(v) for v in outs]
        self.inputs = [w.text(v) for v in (*self.args, *self.starts)]
        self.captured = [v for v in w.names if v.kind == "captured"]
        self.holders = [(v.tensor, v.array) for v in self.captured if v.tensor is not None]
        targets = filter(None, map(_written_outside, nodes))
        self.written = [*{id(v.array): v.array for v in targets if v.kind == "captured"}.values()]
        roots = {id(root(a)) for a in self.written}
        self.trained = [t for t, a in self.holders if id(root(a)) in roots]
        self.namespace.clear()  # the garbage collector would wait
        self.namespace.update({"np": np, **w.data, **w.functions})
        self.file = f"<retrograd program {next(_numbered)}>"
        exec(compile("\n".join(w.setup), f"{self.file} setup", "exec"), self.namespace)
        for node in nodes:
            if node.view_of is not None:
                pair = [w.text(v) for v in (node.outs[0], node.args[node.view_of])]
                here, of = map(self.namespace.get, pair)
                static = here is not None and of is not None and here.size
                if static and not np.may_share_memory(here, of):
                    raise RuntimeError(f"internal: {pair[0]} is a copy")
        self.make()

    def settle(self) -> None:
        """Let go of what the checks needed."""
        self.settled = self.simple and not self.starts
        self.tape.nodes.clear()
        self.tape.known.clear()
        self.writer.nodes.clear()

    def attributes_hold(self) -> bool:
        now = ATTRIBUTES.count
        for module, then in self.attributes:
            has = _attributes(module)
            if has.keys() != then.keys() or any(has[n] is not value for n, value in then.items()):
                return False
        self.seen[0] = now
        return True

    def leaf(self, leaf: Any, given: Sequence[Any]) -> Any:
        """Return a leaf or the argument for it."""
        at = self.tape.positions.get(id(leaf))
        return leaf if at is None else given[at]

    def arrays(self, given: Sequence[Any]) -> list[Any]:
        starts = [self.leaf(v.tensor, given).grad for v in self.starts]
        return [a._array if isinstance(a, Tensor) else a for a in given] + starts

    def numbers(self) -> list[Any]:
        return [current(owner, read) for _, owner, read in self.lives.values()]

    def advances(self) -> dict[str, int]:
        counts = {text: of for text, (name, of, _) in self.lives.items() if name == "updates"}
        return {text: sum(b is of for _, b in self.buckets) for text, of in counts.items()}

    @property
    def source(self) -> str:
        text = self.writer.text
        lines = [f"def step({', '.join([*self.inputs, *self.lives])}):"]
        lines += [f"    # {text(v)}: {v.array.shape} {v.array.dtype}" for v in self.args]
        lines += self.sections()
        if results := ", ".join(filter(None, self.results)):
            lines.append(f"    return {results}")
        return "\n".join(lines)

    def sections(self) -> list[str]:
        body = self.writer.body
        lengths = (len(s.text) for s in body if s.target)
        width = max((n for n in lengths if n < 68), default=0)
        lines = []
        for section, statements in itertools.groupby(body, lambda s: s.node.section):
            lines.append(f"\n    # {section}")
            for s in statements:
                shape = f"  # {s.target.array.shape}" if s.target else ""
                lines.append(f"    {s.text:<{width}}{shape}".rstrip())
        return lines

    def __call__(self, given: Sequence[Any]) -> Any:
        results = self.replay(self.arrays(given))
        for leaf, grad in self.handed if self.tape.positions else ():
            if id(leaf) in self.tape.positions:
                # the next run may be for another
                self.leaf(leaf, given)._grad = grad and grad.copied()
        return results

    def replay(self, arrays: Sequence[Any]) -> Any:
        try:
            outs = self.run(*arrays)
        except BaseException as error:
            self.recover(error)
            raise
        if self.single:
            return wrap(outs[0])
        leaves = [v if o is None else wrap(o) for v, o in zip(self.outs, outs, strict=True)]
        return self.structure.unflatten(leaves)

    def recover(self, error: BaseException) -> None:
        walk = traceback.walk_tb(error.__traceback__)
        frame, at = next((x for x in walk if x[0].f_code.co_filename == self.file), (None, 0))
        if not frame:
            return
        s = self.statements.get(at)
        if s and isinstance(error, Exception):
            error.add_note(f"in `{s.text}` of a compiled program, from{s.node.line}")
            if isinstance(error, ValueError) and sized_by_values(s.node):
                error.add_note(
                    "A program keeps the shapes of its first run, but values decide the size of "
                    "this result: write np.where(mask, x, 0), or leave it outside"
                )
        written = at >= self.first_write
        space = {**self.namespace, **frame.f_locals}
        if written and self.finishes:
            with np.errstate(all="ignore"):
                for line in self.lines[at : self.end]:
                    exec(line.strip(), space)
            return
        for leaf, grad in self.handed:
            if leaf._grad is not None and leaf._grad is grad:
                leaf._grad = None  # from a buffer that this run wrote to
        if written:
            for array, backup in self.backups:
                array[...] = backup
            for text in self.advances():
                self.lives[text][1].count = space[text]

    def make(self) -> None:
        w, bind = self.writer, self._bind
        writes = (i for i, s in enumerate(w.body) if s.target and _written_outside(s.node))
        at = next(writes, len(w.body))
        self.finishes = all(_ATOMIC.match(s.text) for s in w.body[at:])
        self.backups = [] if self.finishes else [(a, np.empty_like(a)) for a in self.written]
        self.single = self.structure == tree.LEAF and self.results[0] is not None
        self.statements: dict[int, Statement] = {}
        owners = {text: bind("owner", owner) for text, (_, owner, _) in self.lives.items()}
        lines = [f"def program({', '.join(self.inputs)}):"]
        lines += [f"    {t} = {owners[t]}{read}" for t, (_, _, read) in self.lives.items()]
        self._add(lines, w.body[:at])
        copy = bind("copyto", np.copyto)
        lines += [f"    {copy}({bind('kept', b)}, {bind('of', a)})" for a, b in self.backups]
        self.first_write = len(lines) + 1
        self._add(lines, w.body[at:])
        lines += [f"    {owners[text]}.count = {text} + {n}" for text, n in self.advances().items()]
        self.handed: list[tuple[Tensor, Any]] = []
        for (leaf, _), name in zip(self.grads, self.grad_names, strict=True):
            grad = None
            if name is not None:
                buffer = self.namespace.get(name)
                if buffer is None:  # a variable of this run alone: an argument, a view of one
                    buffer = np.empty_like(leaf._array)
                    lines.append(f"    {copy}({bind('handed', buffer)}, {name})")
                grad = Pending(buffer)
            self.handed.append((leaf, grad))
        for leaf, grad in self.handed:
            if id(leaf) not in self.tape.positions:
                lines.append(f"    {bind('leaf', leaf)}._grad = {bind('grad', grad)}")
        if self.trained:
            written = bind("stamps", stamps(self.trained))
            lines.append(f"    {bind('stamp_written', CLOCK.write)}({written})")
        self.end = len(lines)
        copied = bind("copied", np.array)
        results = ", ".join("None" if r is None else f"{copied}({r})" for r in self.results)
        lines.append(f"    return ({results}{',' if results else ''})")
        self.lines = lines
        linecache.cache[self.file] = (0, None, [line + "\n" for line in lines], self.file)
        exec(compile("\n".join(lines), self.file, "exec"), self.namespace)
        self.run: Callable[..., Any] = self.namespace["program"]
        kinds = [f"len(args) == {len(self.args)}"]
        for i, v in enumerate(self.args):
            kinds.append(f"(a{i} := args[{i}]).__class__ is {bind('ndarray', np.ndarray)}")
            kinds.append(f"a{i}.shape == {v.array.shape}")
            kinds.append(f"a{i}.dtype is {bind('dtype', v.array.dtype)}")
        holds = " and ".join(self._conditions()) or "True"
        self.holds: Callable[[], bool] = eval(f"lambda: {holds}", self.namespace)
        ready = f"lambda args: {' and '.join(kinds)} and {holds}"
        self.ready: Callable[[Sequence[Any]], bool] = eval(ready, self.namespace)

    def _bind(self, stem: str, value: Any) -> str:
        name = f"_{stem}_{len(self.namespace)}"
        self.namespace[name] = value
        return name

    def _add(self, lines: list[str], statements: Iterable[Statement]) -> None:
        # names, and the output by position, save 0.1 us
        def local(match: re.Match[str]) -> str:
            dotted = match.group(1)
            name = "_np_" + dotted.replace(".", "_")
            if name not in self.namespace:
                self.namespace[name] = functools.reduce(getattr, dotted.split("."), np)
            return f"{name}("

        for s in statements:
            text = _OUT_LAST.sub(r"\1, \2)", s.text)
            lines.append("    " + re.sub(r"\bnp\.([\w.]+)\(", local, text))
            self.statements[len(lines)] = s

    def _conditions(self) -> list[str]:
        bind, tape = self._bind, self.tape
        holds = []
        for holder, array in self.holders:
            name = bind("holder", holder)
            holds.append(f"{name}._array is {bind('array', array)}")
            holds.append(f"{name}.requires_grad is {holder.requires_grad}")
        holds += [f"{bind('module', m)}._training is {m._training}" for m in tape.modules.values()]
        for group, bucket in self.buckets:
            options, name = bind("group", group), bind("bucket", bucket)
            holds.append(f"{name}.data is {bind('data', bucket.data)}")
            live = ["lr", "params", "betas"]
            if group.get("momentum"):
                live.append("momentum")
                holds.append(f'{options}["momentum"] != 0')
            if fixed := [option for option in group if option not in live]:
                read = operator.itemgetter(*fixed)
                holds.append(f"{bind('read', read)}({options}) == {bind('options', read(group))}")
            if "betas" in group:
                holds.append(f'{options}["betas"][1:] == {group["betas"][1:]}')
            for key, array in bucket.state.items():
                holds.append(f"{name}.state.get({key!r}) is {bind('state', array)}")
        if self.attributes:
            self.seen = [ATTRIBUTES.count]
            seen, now = bind("seen", self.seen), bind("attributes", ATTRIBUTES)
            hold = bind("attributes_hold", self.attributes_hold)
            holds.append(f"({seen}[0] == {now}.count or {hold}())")
        for key, leaf in tape.leaves.items():
            if key in tape.started and key not in tape.positions:
                holds.append(f"({bind('started', leaf)}._grad is not None) is {tape.started[key]}")
        return holds


def _written_outside(node: Node) -> Var | None:
    target = viewed(node.outs[0])
    return target if node.kind == "write" and target.kind != "made" else None


def _attributes(module: Any) -> dict[str, Any]:
    return {**vars(module), "training": None, "_training": None}


class Pending:
    """A gradient in a buffer of a program: see `engine.tensor.PendingGradient`."""

    def __init__(self, buffer: Array) -> None:
        self.buffer = buffer

    def copied(self) -> Array:
        return np.array(self.buffer)


def surroundings(fn: Callable[..., Any]) -> dict[str, Any]:
    """Return the variables outside that a function names."""
    code = getattr(fn, "__code__", None)
    if code is None:
        return {}
    found = {n: fn.__globals__[n] for n in code.co_names if n in fn.__globals__}
    for name, cell in zip(code.co_freevars, fn.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # it has no value yet
            found[name] = cell.cell_contents
    return found


def name_outside(fn: Callable[..., Any], tape: Tape) -> None:
    """Name what a function finds outside."""
    scope = {"": fn} if isinstance(fn, Module) else surroundings(fn)
    if hasattr(fn, "__self__"):
        scope["self"] = fn.__self__
    inner = {id(c) for m in tape.ran.values() for c in m.children()}
    tops = [m for i, m in tape.ran.items() if i not in inner]
    tops += [m for m in scope.values() if isinstance(m, Module) and id(m) not in tape.ran]

    def name(value: Any, wish: str) -> None:
        var = tape.find(value._array if isinstance(value, Tensor) else value)
        if var:
            var.wish = var.wish or wish

    for top in tops:
        for path, module in top.named_modules():
            short = _short(path, module)
            for attribute, value in vars(module).items():
                name(value, f"{short}_{attribute}" if short else attribute)
            if out := tape.outputs.get(id(module)):
                out.wish = out.wish or short
    for variable, value in scope.items():
        name(value, variable)


def name_assigned(nodes: list[Node]) -> None:
    """Name what lines of the forward pass assign."""
    for line, (*_, node) in itertools.groupby(nodes, lambda node: node.line):
        found = re.search(r":\d+: (?:\w+\.)*(\w+) ?=[^=].*[^(\[{,]$", line)
        if found and node.section == "forward" and node.kind == "call" and len(node.outs) == 1:
            node.outs[0].wish = node.outs[0].wish or found[1]


def _short(path: str, module: Any) -> str:
    parts = path.split(".")
    if parts[-1].isdigit():
        parts[-1] = type(module).__name__.lower() + parts[-1]
    return "_".join(p for p in parts if not p.isdigit())
