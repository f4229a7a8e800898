"""Rarer ways in which a function finds something outside: changed after some calls, it is seen."""

from __future__ import annotations

import array
import collections
import contextvars
import functools
import operator
import sys
import threading
import types
import weakref

import numpy as np
import pytest

import retrograd as rg

X = np.array([1.0, 2.0, 3.0])
SCALE = 1.0
settings = types.ModuleType("settings_of_the_rare_spellings")


class Lookup(type):
    @property
    def scale(cls):
        return cls.inner


class Half:
    def __get__(self, instance, owner=None):
        return instance.whole / 2


class Held:
    def __init__(self):
        self.inner = types.SimpleNamespace(scale=1.0)


def spellings():
    """Return by name: a function of an array, and what changes something that it depends on."""

    class Looked(metaclass=Lookup):
        inner = 1.0

    class Base(rg.nn.Module):
        factor = 1.0

        def forward(self, x):
            return x * self.factor

    class Net(Base):
        scale = 1.0

        def forward(self, x):
            return super().forward(x) * type(self).scale

    class Plain:
        half = Half()

        def __init__(self):
            self.whole = 2.0

        @property
        def double(self):
            return 2 * self.whole

        def apply(self, x):
            return x * self.whole

        def maybe(self, x):
            return x * getattr(self, "late", 1.0)

    def helper(x, factor=1.0, *, more=1.0):
        return x * factor * more

    def other(x, factor=1.0, *, more=1.0):
        return x * 3

    helper.scale = 1.0
    plain, net, get = Plain(), Net(), operator.attrgetter("inner.scale")
    user, chained = collections.UserDict(a=1.0), collections.ChainMap({}, {"a": 1.0})
    lists, base = collections.UserList([1.0]), {"a": 1.0}
    proxy, values, raw = types.MappingProxyType(base), array.array("d", [1.0]), bytearray([1])
    numbers, table = [1.0] * 1000, dict.fromkeys(range(1000), 1.0)
    held = Held()
    weak, variable, local = weakref.ref(held), contextvars.ContextVar("scale"), threading.local()
    named = weakref.WeakValueDictionary(held=held)
    variable.set(1.0)
    local.scale = 1.0
    settings.scale = 1.0
    partial = functools.partial(helper, factor=1.0)

    def imports(x):
        import settings_of_the_rare_spellings as found

        return x * found.scale

    def imports_a_name(x):
        from settings_of_the_rare_spellings import scale

        return x * scale

    def by_globals(x):
        return x * globals()["SCALE"]

    def made_of_a_list(x):
        return x.astype(np.float32) * rg.Tensor([0.1, 0.2, 0.3])

    return {
        "attribute of a function": (
            lambda x: x * helper.scale,
            lambda: setattr(helper, "scale", 2.0),
        ),
        "default": (lambda x: helper(x), lambda: setattr(helper, "__defaults__", (2.0,))),
        "keyword's default": (lambda x: helper(x), lambda: helper.__kwdefaults__.update(more=2.0)),
        "code": (lambda x: helper(x), lambda: setattr(helper, "__code__", other.__code__)),
        "keyword of a partial": (partial, lambda: partial.keywords.update(factor=2.0)),
        "UserDict": (lambda x: x * user["a"], lambda: user.update(a=2.0)),
        "UserList": (lambda x: x * lists[0], lambda: lists.__setitem__(0, 2.0)),
        "ChainMap": (lambda x: x * chained["a"], lambda: chained.update(a=2.0)),
        "read-only dict": (lambda x: x * proxy["a"], lambda: base.update(a=2.0)),
        "array of Python's": (lambda x: x * values[0], lambda: values.__setitem__(0, 2.0)),
        "bytes": (lambda x: x * raw[0], lambda: raw.__setitem__(0, 2)),
        "long list": (lambda x: x * numbers[900], lambda: numbers.__setitem__(900, 2.0)),
        "long dict": (lambda x: x * table[900], lambda: table.update({900: 2.0})),
        "weak reference": (
            lambda x: x * weak().inner.scale,
            lambda: setattr(held.inner, "scale", 2.0),
        ),
        "weak dict": (
            lambda x: x * named["held"].inner.scale,
            lambda: setattr(held.inner, "scale", 2.0),
        ),
        "context variable": (lambda x: x * variable.get(), lambda: variable.set(2.0)),
        "variable of a thread": (lambda x: x * local.scale, lambda: setattr(local, "scale", 2.0)),
        "attrgetter": (lambda x: x * get(held), lambda: setattr(held.inner, "scale", 2.0)),
        "metaclass": (lambda x: x * Looked.scale, lambda: setattr(Looked, "inner", 2.0)),
        "descriptor": (lambda x: x * plain.half, lambda: setattr(plain, "whole", 4.0)),
        "class of a Module": (net, lambda: setattr(Net, "scale", 2.0)),
        "class above": (net, lambda: setattr(Base, "factor", 2.0)),
        "forward": (net, lambda: setattr(Net, "forward", lambda self, x: x * 5)),
        "forward above": (net, lambda: setattr(Base, "forward", lambda self, x: x * 5)),
        "forward of one Module": (
            lambda x: net(x),
            lambda: setattr(net, "forward", lambda x: x * 5),
        ),
        "method": (plain.apply, lambda: setattr(Plain, "whole", 9.0) or setattr(plain, "whole", 5)),
        "method of a class": (
            lambda x: plain.apply(x),
            lambda: setattr(Plain, "apply", lambda self, x: x * 7),
        ),
        "method of one object": (
            lambda x: plain.apply(x),
            lambda: setattr(plain, "apply", lambda x: x * 7),
        ),
        "property": (
            lambda x: x * plain.double,
            lambda: setattr(Plain, "double", property(lambda self: 9.0)),
        ),
        "attribute that was not there": (plain.maybe, lambda: setattr(plain, "late", 2.0)),
        "import": (imports, lambda: setattr(settings, "scale", 2.0)),
        "import of a name": (imports_a_name, lambda: setattr(settings, "scale", 2.0)),
        "globals()": (by_globals, lambda: globals().update(SCALE=2.0)),
        "default dtype": (made_of_a_list, lambda: rg.set_default_dtype(np.float32)),
    }


@pytest.fixture(autouse=True)
def _as_it_was():
    sys.modules[settings.__name__] = settings
    yield
    del sys.modules[settings.__name__]
    globals().update(SCALE=1.0)
    rg.set_default_dtype(np.float64)


@pytest.mark.parametrize("calls", [1, 3, 5])
@pytest.mark.parametrize("name", [*spellings()])
def test_what_is_changed_outside_between_two_calls_is_seen(name, calls):
    fn, change = spellings()[name]
    compiled = rg.compile(fn)
    for _ in range(calls):
        np.testing.assert_array_equal(compiled(X).data, fn(rg.Tensor(X)).data)
    before = fn(rg.Tensor(X))
    change()
    after = fn(rg.Tensor(X))
    assert before.dtype != after.dtype or not np.array_equal(before.data, after.data)
    for _ in range(5):
        found = compiled(X)
        assert found.dtype == after.dtype
        np.testing.assert_array_equal(found.data, after.data)
    assert len(compiled.programs) <= 2
