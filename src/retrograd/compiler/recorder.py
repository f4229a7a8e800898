"""A run of a function that is recorded: arguments handed in, effects found, failures put back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from retrograd import tree
from retrograd.compiler.arguments import ARRAYS, check_arguments, name_arguments, objects_given
from retrograd.compiler.carried import find_kept, find_shared
from retrograd.compiler.changes import look_around
from retrograd.compiler.lines import TraceError
from retrograd.compiler.tape import Tape, recording
from retrograd.engine import MODE, Tensor, current_mode


def record_run(
    fn: Callable[..., Any], called: str, leaves: Sequence[Any], structure: tree.Structure,
    again: bool = True, kind: Callable[[], Tape] = Tape, as_arrays: bool = False,
) -> tuple[Tape, Any]:  # fmt: skip
    """Run a function and return what was heard of it, and its result.

    What a run has changed that fails is put back.

    Args:
        fn: the function.
        called: what to call it.
        leaves: the leaves of its arguments.
        structure: the tree of these.
        again: whether it is run once more where it changes something outside: what it fills once,
            such as a cache, is there then.
        kind: makes the tape that hears it.
        as_arrays: whether arguments are NumPy arrays for it, as where nothing is compiled, but for
            those that require grad.

    Raises:
        TraceError: if it does what no program can do.
    """
    tape = kind()
    given = list(leaves)
    standing: list[tuple[Tensor, Tensor]] = []
    for i, name in enumerate(name_arguments(fn, structure)):
        leaf = leaves[i]
        if not isinstance(leaf, ARRAYS):
            continue
        array = leaf._array if isinstance(leaf, Tensor) else np.asarray(leaf)
        trained = leaf if isinstance(leaf, Tensor) and leaf.requires_grad else None
        if as_arrays and trained is None:
            given[i] = leaf if isinstance(leaf, np.generic) else array.copy()
            continue
        t = given[i] = tape.add_argument(name, array, trained)
        if isinstance(leaf, np.ndarray):
            tape.callers.add(id(t._array))
        if trained is not None:
            standing.append((t, trained))
    args, kwargs = structure.unflatten(given)
    as_given = structure.unflatten(given)
    before = look_around(fn, objects_given(fn, leaves, structure))
    if before.outside.sets_errors:
        tape.watch_errors()
    mode = current_mode()
    try:
        with recording(tape, mode.grad):
            result = fn(*args, **kwargs)
        check_arguments(fn, called, as_given, (args, kwargs), structure)
        kept, problem = find_kept(before, tape, called)
        if problem and not again:
            raise TraceError(problem)
        shared = find_shared(kept, before)
        if problem or shared:
            tape.put_back(keeps=True)
            for each in kept if shared else ():
                each.set_apart(shared)
            return record_run(fn, called, leaves, structure, not problem, kind, as_arrays)
        tape.finish()
        for t, leaf in standing:
            leaf._grad = t._grad
    except BaseException as error:
        find_kept(before, tape, called)
        tape.put_back()
        if isinstance(error, ValueError) and isinstance(error.__cause__, TraceError):
            raise error.__cause__ from None  # NumPy says only that it got no number
        raise
    finally:
        MODE.set(mode)  # an interrupt may have cut short what would have set it back
    return tape, result
