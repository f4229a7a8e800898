"""A program made ready to run: its guard, its function, and what happens when a run fails."""

from __future__ import annotations

import functools
import linecache
import operator
import re
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd import core, tree
from retrograd.compiler.spelling import sized_by_values
from retrograd.core import Array, Tensor, touch, wrap

if TYPE_CHECKING:
    from retrograd.compiler.program import Program
    from retrograd.compiler.writer import Statement

_count = 0
_ATOMIC = re.compile(
    r"np\.(add|subtract|multiply|divide|negative|sqrt|square|maximum|minimum|abs|absolute|sign"
    r"|copyto|power|exp|log)\(|\w+\.dot\(|\w+\[\.\.\.\] = "
)
# Calls whose last argument may be the output; NumPy 2.4 deprecates that for maximum and minimum.
_OUT_LAST = re.compile(
    r"^((?:np\.(?:add|subtract|multiply|divide|negative|exp|log|tanh|sqrt|sign|greater|square)"
    r"|\w+\.dot)\([^()]*), out=(\w+)\)$"
)


class Runner:
    """Compiles the source of a program and runs it.

    A run that fails leaves everything outside as before or as after it: if nothing outside was
    written yet there is nothing to do; else the statements that are left are run, or, where not
    all of them are single NumPy calls, what was written is put back.
    """

    def __init__(self, program: Program) -> None:
        global _count
        _count += 1
        self.program = program
        self.file = f"<retrograd program {_count}>"
        w = program.writer
        self.namespace: dict[str, Any] = {"np": np, **w.data, **w.functions}
        exec(compile("\n".join(w.setup), f"{self.file} setup", "exec"), self.namespace)
        for node in w.views:
            assert node.view_of is not None
            pair = node.outs[0], node.args[node.view_of]
            here, of = (self.namespace.get(w.text(v)) for v in pair)
            if here is None or of is None or not here.size:
                continue  # an array without elements shares no memory
            if not np.may_share_memory(here, of):
                raise RuntimeError(f"internal: {w.text(node.outs[0])} does not look at its buffer")
        self.single = program.structure == tree.LEAF and program.results[0] is not None
        self.make()

    def make(self) -> None:
        """Compile the functions from the statements."""
        self.first_write = 0
        self.written = self.program.written
        self.finishes = self._all_atomic()
        self.backups = [] if self.finishes else [np.empty_like(a) for a in self.written]
        guard, lines = self._guard(), self._lines()
        linecache.cache[self.file] = (0, None, [line + "\n" for line in lines], self.file)
        exec(compile("\n".join(lines), self.file, "exec"), self.namespace)
        exec("\n".join(guard), self.namespace)
        self.run: Callable[..., Any] = self.namespace["program"]
        self.ready: Callable[[Sequence[Any]], bool] = self.namespace["_ready"]
        self.holds: Callable[[], bool] = self.namespace["_holds"]
        self.lines = lines

    def __call__(self, given: Sequence[Any]) -> Any:
        """Run on arrays and Tensors of the recorded kind; what it hands out is copied."""
        program = self.program
        arrays = [a._data if isinstance(a, Tensor) else a for a in given]
        arrays += [program.leaf(v.tensor, given).grad for v in program.starts]
        results = self.replay(arrays)
        for leaf, grad in self.argument_grads:
            # at once: the next run may be for another argument
            program.leaf(leaf, given)._grad = None if grad is None else grad(leaf)
        return results

    def replay(self, arrays: Sequence[Any]) -> Any:
        """Run on exactly the arrays that the program takes."""
        try:
            outs = self.run(*arrays)
        except BaseException as error:
            self.recover(error)
            raise
        if self.single:
            return wrap(outs[0])
        program = self.program
        leaves = [v if o is None else wrap(o) for v, o in zip(program.outs, outs, strict=True)]
        return program.structure.unflatten(leaves)

    def _attributes_hold(self) -> bool:
        space = self.namespace
        now = space["_changes"][0]
        good = self.program.attributes_hold()
        if good:
            space["_seen"][0] = now
        return good

    # When a run fails ----------------------------------------------------------------------------

    def _all_atomic(self) -> bool:
        """Tell whether each statement from the first write on is one call into NumPy.

        Python can be interrupted behind such a call only, so that one which was reached was done.
        """
        body = self.program.writer.body
        at = next((i for i, s in enumerate(body) if s.writes), len(body))
        return all(_ATOMIC.match(s.text) for s in body[at:])

    def recover(self, error: BaseException) -> None:
        """Finish an interrupted run or put back what it has written."""
        trace: TracebackType | None = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename != self.file:
            trace = trace.tb_next
        if trace is None:
            return
        self.explain(error, trace.tb_lineno)
        if trace.tb_lineno < self.first_write or not self.finishes:
            for i, (leaf, _) in enumerate(self.program.grads):
                if leaf._grad is not None and leaf._grad is self.namespace.get(f"_grad{i}"):
                    leaf._grad = None  # it was to be read from a buffer that this run wrote to
        if trace.tb_lineno < self.first_write:
            return
        space = {**self.namespace, **trace.tb_frame.f_locals}
        if self.finishes:
            with np.errstate(all="ignore"):
                for line in self.lines[trace.tb_lineno : self.end]:
                    exec(line.strip(), space)
        else:
            for array, backup in zip(self.written, self.backups, strict=True):
                array[...] = backup
            for i, (_, bucket) in enumerate(self.program.buckets):
                bucket.count = space.get(f"_count{i}", bucket.count)

    def explain(self, error: BaseException, number: int) -> None:
        """Note on an error of a statement which line of the user it comes from."""
        s = self.statements.get(number)
        if s is None or s.node is None or not isinstance(error, Exception):
            return
        file, line, text = s.node.line
        error.add_note(f"in `{s.text}` of a compiled program, from\n  {file}:{line}: {text}")
        if isinstance(error, ValueError) and sized_by_values(s.node):
            error.add_note(
                "A program keeps the shapes of its first run, and values decide how large this "
                "result is: write np.where(mask, x, 0), or do it outside of the compiled function"
            )

    # Source --------------------------------------------------------------------------------------

    def _lines(self) -> list[str]:
        """Return the lines of the function as it is run."""
        program, space, w = self.program, self.namespace, self.program.writer
        arguments = [w.text(v) for v in (*program.args, *program.starts)]
        lines = [f"def program({', '.join(arguments)}):"]
        for i, (text, (_, owner, read)) in enumerate(program.lives):
            space[f"_owner{i}"] = owner
            lines.append(f"    {text} = _owner{i}{read}")
        self.first_write = 1 << 30
        self.statements: dict[int, Statement] = {}
        for s in w.body:
            if s.writes and self.first_write == 1 << 30:
                for i, array in enumerate(self.backups):
                    space[f"_kept{i}"], space[f"_written{i}"] = array, self.written[i]
                    lines.append(f"    np.copyto(_kept{i}, _written{i})")
                if not self.finishes:
                    for i, (_, bucket) in enumerate(program.buckets):
                        space[f"_bucket{i}"] = bucket
                        lines.append(f"    _count{i} = _bucket{i}.count")
                self.first_write = len(lines) + 1
            lines.append("    " + self._bound(s.text))
            self.statements[len(lines)] = s
        self.first_write = min(self.first_write, len(lines) + 1)
        for i, (text, (kind, _, _)) in enumerate(program.lives):
            if kind == "updates":
                lines.append(f"    _owner{i}.count = {text} + {program.advance(text)}")
        lines += self._gradient_lines()
        if program.trained:
            touch(*program.trained)  # they all have a stamp from here on
            space["_core"], space["_clock"] = core, core.clock
            for i, t in enumerate(program.trained):
                space[f"_stamp{i}"] = t._stamp
            names = "".join(f"_stamp{i}[0] = " for i in range(len(program.trained)))
            lines.append(f"    _core.last_write = {names}_clock()")
        self.end = len(lines)
        space["_copied"] = np.array
        results = ", ".join("None" if r is None else f"_copied({r})" for r in program.results)
        lines.append(f"    return ({results}{',' if results else ''})")
        return lines

    def _gradient_lines(self) -> list[str]:
        """Return the statements that leave gradients in the leaves, read when somebody asks."""
        lines = []
        self.argument_grads = []
        for i, (leaf, g) in enumerate(self.program.grads):
            hand_over = None
            if g is not None:
                hand_over = _handing_over(self.namespace, self.program.writer.text(g))
            if id(leaf) in self.program.tape.positions:
                self.argument_grads.append((leaf, hand_over))
                continue
            self.namespace[f"_leaf{i}"], self.namespace[f"_grad{i}"] = leaf, hand_over
            lines.append(f"    _leaf{i}._grad = _grad{i}")
        return lines

    def _bound(self, text: str) -> str:
        """Return a statement in the form that runs fastest.

        NumPy's functions are names of the program, and the output stands by position: 0.1 us.
        """

        def local(match: re.Match[str]) -> str:
            dotted = match.group(1)
            name = "_np_" + dotted.replace(".", "_")
            if name not in self.namespace:
                self.namespace[name] = functools.reduce(getattr, dotted.split("."), np)
            return f"{name}("

        text = _OUT_LAST.sub(r"\1, \2)", text)
        return re.sub(r"\bnp\.([\w.]+)\(", local, text)

    def _guard(self) -> list[str]:
        """Return the functions that tell whether the program may run."""
        program, space = self.program, self.namespace
        space["_ndarray"] = np.ndarray
        names = [f"a{i}" for i in range(len(program.args))]
        kinds = [f"len(args) == {len(names)}"]
        for i, v in enumerate(program.args):
            space[f"_dtype{i}"] = v.array.dtype
            kinds.append(f"(a{i} := args[{i}]).__class__ is _ndarray and "
                         f"a{i}.shape == {v.array.shape} and a{i}.dtype is _dtype{i}")  # fmt: skip
        holds = []
        for i, (holder, array) in enumerate(program.holders):
            space[f"_holder{i}"], space[f"_array{i}"] = holder, array
            holds.append(f"_holder{i}._data is _array{i}")
            holds.append(f"_holder{i}.requires_grad is {holder.requires_grad}")
        for i, module in enumerate(program.tape.modules.values()):
            space[f"_module{i}"] = module
            holds.append(f"_module{i}._training is {module._training}")
        for i, (group, bucket) in enumerate(program.buckets):
            options = fixed_options(group)
            space[f"_group{i}"], space[f"_of{i}"] = group, bucket
            space[f"_data{i}"] = bucket.data
            holds.append(f"_of{i}.data is _data{i}")
            if options:
                read = operator.itemgetter(*options)
                space[f"_read{i}"], space[f"_options{i}"] = read, read(group)
                holds.append(f"_read{i}(_group{i}) == _options{i}")
            if "betas" in group:  # the first one is read in every run
                holds.append(f'_group{i}["betas"][1:] == {group["betas"][1:]}')
            for j, (name, array) in enumerate(bucket.state.items()):
                space[f"_state{i}_{j}"] = array
                holds.append(f"_of{i}.state.get({name!r}) is _state{i}_{j}")
        if program.attributes:
            from retrograd.nn.module import changes

            space["_changes"], space["_seen"] = changes, [changes[0]]
            space["_attributes_hold"] = self._attributes_hold
            holds.append("(_seen[0] == _changes[0] or _attributes_hold())")
        started = program.tape.started
        for i, (key, leaf) in enumerate(program.tape.leaves.items()):
            if key in started and key not in program.tape.positions:
                space[f"_started{i}"] = leaf
                holds.append(f"(_started{i}._grad is not None) is {started[key]}")
        return [
            "def _ready(args):",
            f"    return {' and '.join([*kinds, *holds])}",
            "def _holds():",
            f"    return {' and '.join(holds) or True}",
        ]


def fixed_options(group: dict[str, Any]) -> list[str]:
    """Return the options of a group that a program takes as they were recorded."""
    live = {"lr", "params", "momentum"} if group.get("momentum") else {"lr", "params"}
    return [name for name in group if name not in live and name != "betas"]


def _handing_over(space: dict[str, Any], name: str) -> Callable[[Tensor], Array]:
    """Return what gives a leaf its gradient when somebody asks: a copy of the buffer."""
    buffer = space.get(name)

    def hand_over(leaf: Tensor) -> Array:
        return np.array(buffer)

    return hand_over
