"""Functions that are none of NumPy's, and generators, in a readable program."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import numpy as np

from retrograd.compiler.names import Taken
from retrograd.compiler.readable.form import Parameter
from retrograd.compiler.sources import parts_of, source_of


class Helpers:
    """What a readable program calls besides NumPy.

    Args:
        taken: the names of the program.
    """

    def __init__(self, taken: Taken) -> None:
        self.taken = taken
        self._names: dict[int, str] = {}
        self._found: dict[str, Any] = {}
        self._passed: list[Parameter] = []

    def name(self, fn: Any) -> str:
        """Return the name of a function or a generator."""
        if id(fn) not in self._names:
            is_generator = isinstance(fn, np.random.Generator)
            stem = "rng" if is_generator else getattr(fn, "__name__", "function")
            self._names[id(fn)] = name = self.taken.fresh(stem)
            self._found[name] = fn
        return self._names[id(fn)]

    def sources(self) -> tuple[str, ...]:
        """Return the source of each function that has one; the others are parameters."""
        texts: dict[str, str] = {}
        imports: set[str] = set()
        for name, fn in self._found.items():
            if isinstance(fn, np.random.Generator):
                self._passed.append(Parameter(name, "generator", functools.partial(_same, fn)))
                continue
            try:
                parts = parts_of(inspect.unwrap(fn), name, imports)
            except TypeError:
                self._passed.append(Parameter(name, "function", functools.partial(_same, fn)))
                continue
            # what several functions call stands there once
            if any(texts.get(part, text) != text for part, text in parts.items()):
                parts = {name: source_of(inspect.unwrap(fn), name, imports)}
            texts.update(parts)
        head = ["\n".join(f"import {m}" for m in sorted(imports))] if imports else []
        return (*head, *(text.rstrip() for text in texts.values()))

    def parameters(self) -> list[Parameter]:
        """Return the parameters for generators, and for functions without a source."""
        return self._passed


def _same(value: Any) -> Any:
    """Return a value: it never changes."""
    return value
