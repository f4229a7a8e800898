"""From the log of a run to a program: arrays become Vars, calls take and make them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd.compiler.ir import Call, Names, Program, Var
from retrograd.compiler.lines import TraceError
from retrograd.compiler.live import Reading
from retrograd.compiler.names import name_outside, stem_of
from retrograd.compiler.records import flatten_results
from retrograd.compiler.tape import Event, Tape
from retrograd.engine import Array, Constants, Rule, Tensor, get_default_dtype
from retrograd.lines import Line, line_at

_ndarray = np.ndarray


def lower(tape: Tape, fn: Callable[..., Any], result: Any = None, keep: bool = False) -> Program:
    """Return what a tape has heard as a program; the tape lets go of its log.

    Args:
        tape: of a run that is over.
        fn: the function that ran, for the names of what it finds outside.
        result: what it returned.
        keep: whether Vars hold their arrays, which shows what each call gave.

    Raises:
        TraceError: if the result has an array that no recorded call made.
    """
    values, structure = flatten_results(result)
    if any(isinstance(v, np.ndarray) for v in values):
        raise TraceError(
            "a compiled function returns Tensors or plain values: an array made without "
            "recorded calls would never change"
        )
    lowering = _Lowering(tape.inside, keep)
    readings = lowering.read_kept(tape)
    log = tape.take_log()
    log.reverse()
    while log:
        # what was read is let go of, so that the objects do not become more, which would have
        # Python look for garbage among all of them; the ids of arrays are not given anew, since
        # no array is made meanwhile
        event = log.pop()
        _TAKEN[event.kind](lowering, event)
    see = lowering.see
    grads = [(leaf, None if grad is None else see(grad)) for leaf, grad in tape.grads]
    tape.check([v._array for v in values if isinstance(v, Tensor)])
    results = [see(v._array) if isinstance(v, Tensor) else v for v in values]
    carried = [
        (place, tuple(see(v._array) if isinstance(v, Tensor) else v for v in place.ends))
        for place in tape.carried
    ]
    _join_updates(lowering.calls, results)
    name_outside(fn, lowering.ran, lowering.find, lowering.outputs, lowering.wishes)
    return Program(
        args=tuple(lowering.args),
        starts=tuple(lowering.starts),
        calls=tuple(lowering.calls),
        results=tuple(results),
        structure=structure,
        grads=tuple((leaf, grad) for leaf, grad in grads if leaf.is_leaf),
        lives=(*tape.lives, *readings),
        updates=tuple(tape.updates),
        optimizers=tuple(tape.optimizers.values()),
        positions=tape.positions,
        leaves=tuple({**tape.asked, **tape.leaves}.values()),
        started=tape.started,
        modules=tuple(lowering.modules.values()),
        ran=tuple(lowering.ran.values()),
        names=Names(lowering.wishes, lowering.gradient_of),
        initial={lowering.known[i]: array for i, array in tape.initial.items()},
        kept=tuple(lowering.kept),
        carried=tuple(carried),
        errors=tape.errors,
        default_dtype=get_default_dtype() if tape.asks_default_dtype else None,
    )


def _join_updates(calls: list[Call], results: list[Any]) -> None:
    """Put what a user's own updates alone need into their section, such as `lr * p.grad`."""
    sections = [call.section for call in calls]
    if "backward" not in sections or "update" not in sections:
        return
    users: dict[Any, set[str]] = {v: {"result"} for v in results if isinstance(v, Var)}
    for call in reversed(calls[sections.index("backward") :]):
        needed = {section for out in call.outs for section in users.get(out, ())}
        if call.section == "forward" and needed == {"update"}:
            call.section = "update"
        for var in call.vars():
            users.setdefault(var, set()).add(call.section)


class _Lowering:
    """What is known after each event."""

    def __init__(self, inside: dict[int, tuple[Tensor, Tensor | None]], keep: bool) -> None:
        self.inside = inside
        self.keep = keep
        self.known: dict[int, Var] = {}  # by the id of the array
        self.args: list[Var] = []
        self.starts: list[Var] = []
        self.kept: list[tuple[str, Var]] = []
        self.calls: list[Call] = []
        self.wishes: dict[Var, str] = {}
        self.gradient_of: dict[Var, Var] = {}
        self.modules: dict[int, Any] = {}
        self.ran: dict[int, Any] = {}
        self.outputs: dict[int, Var] = {}
        self.lines: dict[tuple[str, int], Line] = {}
        self.makers: dict[Var | None, Call] = {}
        self.explained = 0  # so many calls are known to belong to the gradient of another

    def read_kept(self, tape: Tape) -> list[Reading]:
        """Return how a run reads what is in the places to which it assigns."""
        readings: list[Reading] = []
        for place in tape.carried:
            taken = [reading.name for reading in (*tape.lives, *readings)]
            for reading, array in place.readings(taken):
                var = self.known[id(array)] = Var("kept", array, None, reading.name, self.keep)
                self.kept.append((reading.name, var))
                readings.append(reading)
        return readings

    def find(self, array: Any) -> Var | None:
        """Return the Var of an array, None for one that the log has not."""
        return self.known.get(id(array))

    def see(self, array: Array, holder: Any = None) -> Var:
        """Return the Var of an array, a new one for what comes from outside."""
        var = self.known.get(id(array))
        if var is None:
            fixed = not array.flags.writeable and array.base is None
            kind, stem = ("const", "constant") if fixed else ("captured", "array")
            var = self.known[id(array)] = Var(kind, array, self._outside(holder), stem)
        return var

    def _outside(self, holder: Any) -> Tensor | None:
        """Return the leaf outside that holds an array: what the run made of it leads back to it."""
        while id(holder) in self.inside:
            holder = self.inside[id(holder)][1]
        return holder if isinstance(holder, Tensor) and holder.is_leaf else None

    def _look(self, value: Any) -> Any:
        """Return what stands for an argument in a program."""
        if isinstance(value, _ndarray):
            number = Constants.number(value) if value.ndim == 0 else None
            return self.see(value) if number is None else number
        if isinstance(value, (tuple, list)):
            return type(value)([self._look(v) for v in value])
        return value

    def _line(self, place: tuple[str, int]) -> Line:
        line = self.lines.get(place)
        if line is None:
            line = self.lines[place] = line_at(place)
        return line

    def _add(
        self, event: Event, fn: Any, args: Any, kwargs: Any, outs: Any, rule: Rule | None = None,
        view_of: int | None = None,
    ) -> None:  # fmt: skip
        number, line = len(self.calls), self._line(event.place)
        call = Call(
            event.kind, fn, args, kwargs, (), event.section, line, rule, view_of, number, line
        )
        self.calls.append(call)
        if event.kind == "write":
            call.outs = outs
            return
        known, keep, stem = self.known, self.keep, stem_of(call)
        made = [Var("made", out, None, stem, keep) for out in outs]
        for out, var in zip(outs, made, strict=True):
            known[id(out)] = var
            self.makers[var] = call
        call.outs = tuple(made)

    def _argument(self, event: Event) -> None:
        array, name = event.what
        var = self.known[id(array)] = Var("arg", array, keep=self.keep)
        self.args.append(var)
        self.wishes[var] = name

    def _seen(self, event: Event) -> None:
        given, arrays = event.what
        for a, array in zip(given, arrays, strict=True):
            if isinstance(array, _ndarray):
                self.see(array, a)

    def _call(self, event: Event) -> None:
        rule, given, arrays, kwargs, out, view_of = event.what
        known, look, args = self.known, self._look, []
        for a, array in zip(given, arrays, strict=True):
            if isinstance(array, _ndarray):
                var = known.get(id(array)) or self.see(array, a)
                args.append(var if var.kind == "made" or array.ndim else look(array))
            else:
                args.append(look(array))
        options = {k: look(v) for k, v in kwargs.items()} if kwargs else kwargs
        outs = out if isinstance(out, tuple) else (out,)
        self._add(event, rule.fn, tuple(args), options, outs, rule, view_of)

    def _write(self, event: Event) -> None:
        ufunc, target, array, given, *at = event.what
        var = self.see(array, target)
        if event.section == "forward" and target.requires_grad and target.is_leaf:
            event = event._replace(section="update")  # one written by hand
        self._add(event, ufunc, (var, *map(self._look, (given, *at))), {}, (var,))

    def _draw(self, event: Event) -> None:
        rng, shape, dtype, out = event.what
        self._add(event, rng, (shape, dtype), {}, (out,))

    def _named(self, event: Event) -> None:
        array, name = event.what
        self.wishes[self.see(array)] = name

    def _grad(self, event: Event) -> None:
        leaf, grad = event.what
        var = self.known[id(grad)] = Var("grad", grad, leaf, "start")
        self.starts.append(var)

    def _gradient(self, event: Event) -> None:
        of, g, behind = map(self.find, event.what)
        if of is not None and g is not None:
            self.gradient_of.setdefault(g, of)
        if behind in self.makers:
            # the rule has done all that was recorded since another one was over
            origin = self.makers[behind].origin
            for call in self.calls[self.explained :]:
                if call.section == "backward":
                    call.origin = origin
        self.explained = len(self.calls)

    def _module_ran(self, event: Event) -> None:
        module, out = event.what
        self.ran[id(module)] = module
        if out is not None and (var := self.find(out)):
            self.outputs.setdefault(id(module), var)

    def _training(self, event: Event) -> None:
        (module,) = event.what
        self.modules[id(module)] = module


_TAKEN: dict[str, Callable[[_Lowering, Event], None]] = {
    "argument": _Lowering._argument,
    "seen": _Lowering._seen,
    "call": _Lowering._call,
    "write": _Lowering._write,
    "draw": _Lowering._draw,
    "named": _Lowering._named,
    "grad": _Lowering._grad,
    "gradient": _Lowering._gradient,
    "module ran": _Lowering._module_ran,
    "training": _Lowering._training,
}
