"""What the reprs of layers show: the arguments they were made with, or those that are unusual."""

from __future__ import annotations

from typing import Any

from retrograd.engine import arguments
from retrograd.nn.module import Module


class ShowsArguments(Module):
    """A Module whose repr shows the arguments of its `__init__` that it keeps as attributes.

    Shown are numbers, text and tuples, by name, those of a derived class before its base's.
    """

    def extra_repr(self) -> str:
        kinds: Any = type(self).__mro__
        names = (name for kind in kinds for name in arguments(kind.__init__))
        # a dict: an argument that a derived class has too is shown once
        values = {name: vars(self).get(name) for name in names}
        simple = (int, float, str, tuple)
        return ", ".join(f"{n}={v!r}" for n, v in values.items() if isinstance(v, simple))


def unusual(module: Module, **usual: Any) -> str:
    """Return for a repr the attributes whose values are not the usual ones given by name."""
    values = {name: getattr(module, name) for name in usual}
    return "".join(f", {n}={v!r}" for n, v in values.items() if v != usual[n])
