"""Classes that a function names, and objects of them: what stands in them is watched."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import retrograd as rg
from compiler.parts import assert_seen_at_once

X = np.array([1.0, 2.0, 3.0])


class Tenfold:
    def __get__(self, instance, owner=None):
        return 10.0 if instance is None else 10.0 * instance.inner


def spellings():
    """Return by name: a function of an array, and what changes something that it depends on."""

    class Scale:
        factor, tenfold = 1.0, Tenfold()

        def __init__(self):
            self.inner = 1.0

        @classmethod
        def by_class(cls, x):
            return x * cls.factor

        @staticmethod
        def twice(x):
            return x * 2

        @property
        def outer(self):
            return self.inner

        @functools.cached_property
        def kept(self):
            return self.inner

        def apply(self, x, factor):
            return x * self.inner * factor

        applied = functools.partialmethod(apply, factor=2.0)

        def __call__(self, x):
            return x * self.inner

    class Below(Scale):
        pass

    class Other:
        def __init__(self):
            self.inner = 1.0

        def apply(self, x, factor):
            return x * 7

        def __call__(self, x):
            return x * 7

    class Computed:
        def __init__(self):
            self.inner = 1.0

        def __getattribute__(self, name):
            found = object.__getattribute__(self, name)
            return found * 3 if name == "inner" else found

    class Slotted:
        __slots__ = ("late",)

    class First(rg.nn.Module):
        def forward(self, x):
            return x * 1

    class Second(rg.nn.Module):
        def forward(self, x):
            return x * 7

    scale, below, computed, slotted, net = Scale(), Below(), Computed(), Slotted(), First()
    listed = [First()]

    def late(x):
        return x * slotted.late if hasattr(slotted, "late") else x * 1

    def becomes(value, other):
        return lambda: setattr(value, "__class__", other)

    def changes(name, value):
        return lambda: setattr(Scale, name, value)

    return {
        "class method": (lambda x: Scale.by_class(x), changes("factor", 2.0)),
        "class method of another": (
            lambda x: Scale.by_class(x),
            changes("by_class", classmethod(lambda cls, x: x * 9)),
        ),
        "class method below": (lambda x: Below.by_class(x), lambda: setattr(Below, "factor", 2.0)),
        "class method of an object": (
            lambda x: scale.by_class(x),
            changes("by_class", classmethod(lambda cls, x: x * 9)),
        ),
        "static method": (
            lambda x: Scale.twice(x), changes("twice", staticmethod(lambda x: x * 9)),
        ),
        "property beside its class": (
            lambda x: x * scale.outer if isinstance(scale, Scale) else x,
            lambda: setattr(scale, "inner", 2.0),
        ),
        "cached property beside its class": (
            lambda x: x * scale.kept if isinstance(scale, Scale) else x,
            lambda: setattr(scale, "kept", 2.0),
        ),
        "descriptor beside its class": (
            lambda x: x * scale.tenfold * Scale.tenfold,
            lambda: setattr(scale, "inner", 2.0),
        ),
        "partial method": (
            lambda x: scale.applied(x),
            changes("applied", functools.partialmethod(Scale.apply, factor=9.0)),
        ),
        "call": (lambda x: scale(x), changes("__call__", lambda self, x: x * 9)),
        "call of what is compiled": (scale, changes("__call__", lambda self, x: x * 9)),
        "computed attribute": (
            lambda x: x * computed.inner, lambda: setattr(computed, "inner", 2.0),
        ),
        "slot without a value": (late, lambda: setattr(slotted, "late", 2.0)),
        "class of an object": (lambda x: scale.apply(x, 1.0), becomes(scale, Other)),
        "class of what is called": (lambda x: below(x), becomes(below, Other)),
        "class of what is asked for": (
            lambda x: x * 2 if isinstance(scale, Other) else x * 1, becomes(scale, Other),
        ),
        "class of a Module": (net, becomes(net, Second)),
        "class of a Module in a list": (lambda x: listed[0](x), becomes(listed[0], Second)),
    }  # fmt: skip


@pytest.mark.parametrize("calls", [1, 3, 5])
@pytest.mark.parametrize("name", [*spellings()])
def test_what_changes_in_a_class_is_seen_at_once(name, calls):
    assert_seen_at_once(*spellings()[name], X, calls)
