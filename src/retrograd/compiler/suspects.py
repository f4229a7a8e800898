"""What nobody looks at between two audits, asked when one has found a difference: was it this?"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from retrograd.compiler.changes import sum_of
from retrograd.compiler.containers import is_compared
from retrograd.compiler.ir import root
from retrograd.compiler.library import methods_of
from retrograd.compiler.outside import Outside
from retrograd.compiler.places import Contents

_FILES = {
    "open", "load", "loadtxt", "genfromtxt", "fromfile", "read", "readline", "readlines",
    "read_text", "read_bytes",
}  # fmt: skip
_CLOCKS = {"time", "time_ns", "perf_counter", "monotonic", "process_time", "now", "today"}
_SOURCES = ((_FILES, "what {} reads of files"), (_CLOCKS, "what {} tells of the time"))


class Suspects:
    """What a program may depend on and no condition asks for.

    Args:
        outside: what the function finds outside.
        live: the ids of the owners of memory that the program reads in every run.
    """

    def __init__(self, outside: Outside, live: Collection[int]) -> None:
        modules = [module for _, module in outside.modules.values()]
        self._methods = [*methods_of([*modules, *outside.optimizers.values()])]
        self._arrays = [
            (f"{name!r}, an array of {array.size} elements,", array, sum_of(array))
            for name, array in outside.arrays
            if array.size > Contents.WHOLE and id(root(array)) not in live
        ]
        self._possible = [*_find_sources(outside), *_find_long(outside)]

    def find_changes(self) -> list[str]:
        """Return what has changed, in words."""
        found = [repr(entry.name) for entry in self._methods if entry.has_changed()]
        found += [what for what, array, before in self._arrays if sum_of(array) != before]
        return [f"{what} has changed" for what in found]

    def describe(self) -> str:
        """Return sentences that name what has changed, or else what may have; or ""."""
        changes = self.find_changes()
        if changes:
            return f"This may be why: {'; '.join(changes)}. "
        if self._possible:
            return f"Not watched are: {', '.join(self._possible)}. "
        return ""


def _find_sources(outside: Outside) -> Iterator[str]:
    for names, what in _SOURCES:
        if found := sorted(names & outside.named):
            yield what.format(" or ".join(map(repr, found)))
    for name, _ in outside.iterators:
        yield f"the iterator {name!r}"
    for name, _ in outside.caches:
        yield f"what {name!r} keeps"


def _find_long(outside: Outside) -> Iterator[str]:
    for name, value in outside.containers:
        if not is_compared(value):
            yield f"the entries of {name!r}, which has {len(value)}"
