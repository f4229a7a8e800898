"""Numbers that a program has built in as they were: an exported file names them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.compiler.arguments import name_arguments
from retrograd.compiler.places import is_users

if TYPE_CHECKING:
    from retrograd.compiler.program import ReadyProgram

SHOWN = 60  # lines: so many numbers are named, of the others how many they are
BUILT_IN = "Built in as it was when this file was written; another value needs another file:"
_WHERE = {"variable", "cell", "attribute", "item", "context"}


def find_built_in(ready: ReadyProgram, fn: Callable[..., Any]) -> list[str]:
    """Return what a program has built in, line by line, such as `beta = 0.9`.

    These are the numbers among its arguments, those that the function found outside, in variables,
    containers and attributes, and those options of optimizers that are not read anew in every run.

    Args:
        ready: the program.
        fn: the function that it was recorded from.
    """
    found = dict.fromkeys(
        f"{name} = {_text(value)}" for name, value in _numbers(ready, fn) if _is_number(value)
    )
    lines = [_on_one_line(line) for line in found]
    more = len(lines) - SHOWN
    return [*lines[:SHOWN], f"and {more} more"] if more > 0 else lines


def _numbers(ready: ReadyProgram, fn: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    if ready.sample.structure is not None:
        yield from zip(name_arguments(fn, ready.sample.structure), ready.sample.leaves, strict=True)
    for place in () if ready.outside is None else ready.outside.places:
        if place.how in _WHERE:
            yield place.name, place.value
    for name, module, then in ready.attributes.then:
        own = is_users(type(module).__module__)
        for attribute, value in then.items():
            # of the library's own Modules the whole numbers are sizes, which arrays show as well
            if attribute not in ("training", "_training") and (own or isinstance(value, float)):
                yield f"{name}.{attribute}", value
    lives = ready.program.lives
    for group, _ in ready.program.updates:
        yield from _options(group, {live.path for live in lives if live.owner is group})


def _options(group: dict[str, Any], read: Collection[tuple[Any, ...]]) -> Iterator[tuple[str, Any]]:
    """Yield the options of a group that are not read anew, by the paths of those that are."""
    for option, value in group.items():
        if option == "params" or ((option,),) in read:
            continue
        if isinstance(value, tuple):
            for i, part in enumerate(value):
                if ((option,), (i,)) not in read:
                    yield f"{option}[{i}] of the optimizer", part
        elif value:  # options that are off do nothing
            yield f"{option} of the optimizer", value


def _is_number(value: Any) -> bool:
    if isinstance(value, tuple):
        return bool(value) and all(map(_is_number, value))
    return isinstance(value, (bool, int, float, complex, np.number, np.bool_))


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(map(_text, value))}{',' * (len(value) == 1)})"
    return repr(value.item() if isinstance(value, np.generic) else value)


def _on_one_line(text: str) -> str:
    """Return a text as it may stand in a comment of C and in a docstring of Python."""
    text = "".join(c if c.isprintable() else "?" for c in text).replace("\\", "/")
    return text.replace("*/", "* /").replace("/*", "/ *").replace('"""', "'''")
