"""`rg.detect_anomaly`: all that is computed in a context is looked at."""

from __future__ import annotations

import contextlib
import copy
import functools
import sys
import warnings
import weakref
import zlib
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

from retrograd.anomaly import cures
from retrograd.anomaly.faults import (
    MOVING,
    AnomalyError,
    Fault,
    argument_names,
    arrays_in,
    has_nan,
    is_elementwise,
    is_finite,
    makers_of,
)
from retrograd.anomaly.naming import called_function, caller_in_library, function_name
from retrograd.engine import MODE, Array, Mode, ReversePass, Rule, Tensor, current_mode, pick
from retrograd.lines import NOWHERE, Line, line_at, user_frame


class detect_anomaly:
    """Raise where a value or a gradient first is nan or infinite: a context.

    Inside `with rg.detect_anomaly():` each call on Tensors is looked at, and each gradient on its
    way back. The first that has nan or inf, though what it was computed from is finite, raises
    `rg.AnomalyError` with the function, the place, the inputs there, the user's line of the forward
    call, and what usually helps. So does nan that comes in with the data or the parameters.

    It also raises RuntimeError where an array was written into by `t.data`, or by any other way
    that the library does not see, between a call and its gradient, which would be wrong.

    Compiled functions run as plain functions inside; `step.find_nan(*args)` looks through the
    program itself. All of it takes several times as long as without, so it is for finding a fault.
    Outside of the context nothing is slower.

    NumPy itself names the function in less detail and without a context of ours:
    `np.errstate(all="raise")` makes each nan and inf that NumPy computes a FloatingPointError, to
    which is added in which call or gradient it was. It raises as well where a nan is computed only
    to be left out by np.where, and does not see nan in the data.

    Returns:
        A context, which may be entered again.

    Raises:
        AnomalyError: inside, at the first bad value.
        RuntimeError: inside, if a value that a gradient needs was written into unseen.

    >>> x = rg.Tensor([4.0, 0.0], requires_grad=True)
    >>> try:
    ...     with rg.detect_anomaly():
    ...         np.sum(np.sqrt(x)).backward()
    ... except rg.AnomalyError as error:
    ...     print(str(error).splitlines()[0])
    the gradient of np.sqrt for x is inf at (1,)
    """

    def __init__(self) -> None:
        self._contexts: list[tuple[Any, Any]] = []

    def __enter__(self) -> None:
        before = current_mode()
        quiet = without_warnings()
        quiet.__enter__()
        mode = before
        if not before.records:  # a recording runs the function as it is, to make a program of it
            mode = Mode(before.grad, Watcher().hear, before.on_escape, records=False)
        self._contexts.append((MODE.set(mode), quiet))

    def __exit__(self, *error: object) -> None:
        token, quiet = self._contexts.pop()
        MODE.reset(token)
        quiet.__exit__(None, None, None)


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """Leave out what NumPy warns of where it makes nan, before anybody could look at that."""
    with warnings.catch_warnings():
        for message in _WARNINGS:
            warnings.filterwarnings("ignore", message, RuntimeWarning)
        yield


_WARNINGS = (
    "Mean of empty slice", "Degrees of freedom <= 0", "invalid value encountered in (add|reduce)",
    "overflow encountered in (add|reduce|cast)",
)  # fmt: skip


class _Origin(NamedTuple):
    """Where a call comes from: the user's line, and what the user called there."""

    place: tuple[str, int] = ("", 0)
    called: str = ""
    inner: str = ""  # the innermost function that the user knows around it
    is_gradient: bool = False  # whether the call is a part of a gradient, at the line of that

    @property
    def line(self) -> Line:
        return line_at(self.place) if self.place[0] else NOWHERE


class _Note(NamedTuple):
    """What is remembered of a call until its output is gone."""

    output: weakref.ref[Array]
    origin: _Origin
    sums: tuple[int, ...]  # of the bytes of its arguments and its outputs


class Watcher:
    """Hears of a run: see `retrograd.engine.mode.Listener`."""

    def __init__(self) -> None:
        self._notes: dict[int, _Note] = {}  # by the id of the output
        self._inside = 0  # how many rules of the reverse pass are running

    def hear(self, kind: str, *what: Any) -> Any:
        """Look at one thing that happens; the methods below have the kinds."""
        answer = getattr(self, "_hear_" + kind.replace(" ", "_"), None)
        return None if answer is None else answer(*what)

    def _hear_module(self, module: Any, args: Any, kwargs: Any) -> Any:
        return module._forward_with_hooks(args, kwargs)

    def _hear_compiled(self, step: Any, args: Any, kwargs: Any) -> Any:
        return step.fn(*args, **kwargs)

    # Forward

    def _hear_call(self, rule: Rule, args: Any, arrays: Any, kwargs: dict[str, Any]) -> Any:
        with np.errstate(all="ignore"):
            out = rule.run(*arrays, **kwargs)
        if rule.fn is pick:
            return out
        if not rule.multi:
            out = np.asarray(out) if type(out) is not np.ndarray else out
            if id(out) in self._notes or any(out is a for a in arrays):
                out = out.view()  # an object of its own, which stands for this call
        self.look_at(rule, args, arrays, kwargs, out)
        return out

    def look_at(self, rule: Rule, args: Any, arrays: Any, kwargs: Any, out: Any) -> None:
        """Raise AnomalyError if a call gave something not finite; else remember the call.

        Args:
            rule: the rule of the function that was called.
            args: its arguments as given.
            arrays: its arguments as arrays.
            kwargs: its keywords.
            out: what it returned.
        """
        if rule.fn is pick:
            return
        origin = self._origin()
        # a rule may well compute with inf on its way, as long as the gradient that it gives is
        # finite; what it gives is looked at when it is done
        if not origin.is_gradient:
            self._check_values(rule, args, arrays, kwargs, out, origin)
        self._remember(out, arrays, origin)

    def _check_values(
        self, rule: Rule, args: Any, arrays: Any, kwargs: Any, out: Any, origin: _Origin
    ) -> None:
        """Raise if an output is not finite, and the inputs are or should be."""
        given = (*arrays, *kwargs.values())
        if is_finite(out) or rule.fn is np.empty_like or any(map(_is_meant, given)):
            return
        came = ""
        if any(_is_parameter(a) and not is_finite(a) for a in args):
            came = cures.SPOILED_LEAF
        elif has_nan(out) and any(map(has_nan, given)):
            # where data is only moved, or looked at by functions for that, it may be left out yet
            if rule.name in MOVING or origin.called.startswith("np.nan"):
                return
            came = cures.SPOILED_DATA
        elif not has_nan(out) and not all(map(is_finite, given)):
            return  # inf that was meant, such as a mask
        function, within = _names(rule, origin)
        names = argument_names(rule, len(arrays))
        raise AnomalyError(
            Fault(
                function=function,
                values=next(a for a in arrays_in(out) if not is_finite(a)),
                inputs=dict(zip(names, arrays, strict=True)),
                line=origin.line,
                within=within,
                makers=dict(zip(names, map(makers_of, args), strict=True)),
                elementwise=is_elementwise(rule, out, arrays),
                options=kwargs,
                came=came,
            )
        )

    def _remember(self, out: Any, arrays: Any, origin: _Origin) -> None:
        first = out[0] if isinstance(out, tuple) and out else out
        if type(first) is not np.ndarray or any(first is a for a in arrays):
            return
        key, notes = id(first), self._notes
        sums = _sums((*arrays, *(out if isinstance(out, tuple) else (out,))))
        notes[key] = _Note(weakref.ref(first, lambda _: notes.pop(key, None)), origin, sums)

    def _note_of(self, t: Tensor) -> _Note | None:
        array: Any = t._array
        first = array[0] if isinstance(array, tuple) and array else array
        note = self._notes.get(id(first))
        return note if note is not None and note.output() is first else None

    def _origin(self) -> _Origin:
        """Return where the call that is being made comes from."""
        frame = user_frame()
        place = frame.f_code.co_filename, frame.f_lineno
        if self._inside and (t := _visited(frame)) is not None:
            note = self._note_of(t)
            at = note.origin.place if note is not None else ("", 0)
            before = note.origin if note is not None else _Origin()
            gradient = f"the gradient of {_names(t.rule, before)[0]}"
            return _Origin(at, gradient, gradient, True)
        return _Origin(place, called_function(frame), caller_in_library(frame))

    # Backward

    def _hear_visit(self, t: Tensor, g: Any, rule: Rule) -> Rule:
        """Look at a gradient that arrives, and return the rule with all that it sends watched."""
        note = self._note_of(t)
        if note is not None and rule.fn is not pick:
            self._check_unwritten(t, note)
        if not is_finite(g):
            values = next(a for a in arrays_in(g) if not is_finite(a))
            raise AnomalyError(
                Fault(
                    function="", values=values, inputs={}, of=f"the output of {_name(t)}",
                    came=cures.SPOILED_SEED, line=note.origin.line if note else NOWHERE,
                )
            )  # fmt: skip
        watched = copy.copy(rule)
        watched.vjps = tuple(
            vjp and functools.partial(self._gradient, t, g, i, vjp)
            for i, vjp in enumerate(rule.vjps)
        )
        if rule.joint is not None:
            watched.joint = functools.partial(self._gradients, t, g, rule.joint)
        if rule.through is not None:
            watched.through = {
                inner: functools.partial(self._gradient, t, g, 0, vjp)
                for inner, vjp in rule.through.items()
            }
        return watched

    def _gradient(
        self, t: Tensor, g: Any, i: int, vjp: Callable[..., Any], *given: Any, **kwargs: Any
    ) -> Any:
        ga = self._run_rule(vjp, *given, **kwargs)
        self._check_gradient(t, g, i, ga)
        return ga

    def _gradients(
        self, t: Tensor, g: Any, joint: Callable[..., Any], needed: Sequence[int], *given: Any,
        **kwargs: Any,
    ) -> Any:  # fmt: skip
        found = self._run_rule(joint, needed, *given, **kwargs)
        for i, ga in zip(needed, found, strict=True):
            self._check_gradient(t, g, i, ga)
        return found

    def _run_rule(self, rule: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self._inside += 1
        try:
            with np.errstate(all="ignore"):
                return rule(*args, **kwargs)
        finally:
            self._inside -= 1

    def _check_gradient(self, t: Tensor, g: Any, i: int, ga: Any) -> None:
        if is_finite(ga):
            return
        rule, note = t.rule, self._note_of(t)
        origin = note.origin if note is not None else _Origin()
        names = argument_names(rule, len(t.args))
        values = next(a for a in arrays_in(ga) if not is_finite(a))
        out = t._array
        function, within = _names(rule, origin)
        raise AnomalyError(
            Fault(
                function=function,
                values=values,
                inputs=dict(zip(names, t.args, strict=True)),
                of=names[i],
                g=g,
                out=out,
                line=origin.line,
                within=within,
                makers=dict(zip(names, map(makers_of, t.inputs), strict=True)),
                elementwise=is_elementwise(rule, out, t.args) and values.shape == np.shape(out),
                options=t.kwargs,
                # functions of the library's own in a gradient know where it has no derivative
                came=cures.KINK if origin.is_gradient and not function_name(rule) else "",
            )
        )

    def _hear_gradient(self, t: Tensor, g: Any, behind: Tensor) -> None:
        """Look at the sum of the gradients that have come to a Tensor, each of which is finite."""
        if is_finite(g):
            return
        note = self._note_of(t)
        values = next(a for a in arrays_in(g) if not is_finite(a))
        kind = np.finfo(values.dtype)
        raise AnomalyError(
            Fault(
                function="", values=values, inputs={}, of=_name(t),
                came="the sum of the gradients that meet there, or along axes that were repeated: "
                + cures.EXPLOSION.format(dtype=values.dtype.name, largest=float(kind.max)),
                line=note.origin.line if note is not None else NOWHERE,
            )
        )  # fmt: skip

    def _check_unwritten(self, t: Tensor, note: _Note) -> None:
        """Raise RuntimeError if memory that the gradient of a call needs is no more what it was."""
        outs = t._array if isinstance(t._array, tuple) else (t._array,)
        arrays = (*t.args, *outs)
        for i, (before, now) in enumerate(zip(note.sums, _sums(arrays), strict=True)):
            if before != now:
                names = argument_names(t.rule, len(t.args))
                which = f"the argument {names[i]}" if i < len(t.args) else "the result"
                raise RuntimeError(
                    f"{which} of {_name(t)}, shape {np.shape(arrays[i])}, was written into after "
                    "the call, by `t.data` or through an array that shares its memory: the "
                    "gradient would be wrong. Write after backward, or into a copy; under "
                    f"rg.no_grad(), `t += ...` on a leaf tells of itself{note.origin.line}"
                )


def _is_meant(value: Any) -> bool:
    """Tell whether a value is nan because somebody wrote it so, as a number."""
    return isinstance(value, float) and value != value


def _names(rule: Rule, origin: _Origin) -> tuple[str, str]:
    """Return what a user calls the function of a rule, and what it is a part of, or ""."""
    function = function_name(rule) or origin.inner or rule.name
    return function, "" if origin.called == function else origin.called


def _name(t: Tensor) -> str:
    """Return what to call a value: by the function that made it, or as a leaf."""
    if t.rule is None:
        return f"a leaf of shape {t.shape}"
    return function_name(t.rule) or t.rule.name


def _is_parameter(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_leaf and value.requires_grad


def _sums(values: Sequence[Any]) -> tuple[int, ...]:
    """Return a checksum of each array, 0 for what is none."""
    return tuple(
        zlib.crc32(np.ascontiguousarray(v).view(np.uint8).data)
        if type(v) is np.ndarray and v.size and v.dtype.kind in "fiub"
        else 0
        for v in values
    )


def _visited(user: FrameType) -> Tensor | None:
    """Return the Tensor whose gradient a call is a part of; None for a call of the user's.

    Args:
        user: the user's frame that the call comes from.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame is not user:
        if frame.f_code is ReversePass.run.__code__:
            found: Tensor = frame.f_locals["t"]
            return found
        frame = frame.f_back
    return None
