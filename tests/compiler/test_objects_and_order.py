"""Objects among the arguments, the order of dicts, the environment: what changes there is seen."""

from __future__ import annotations

import collections
import dataclasses
import functools
import importlib
import os
import sys
import types
import weakref
from os import environ, getenv

import numpy as np
import pytest

import retrograd as rg
from retrograd.compiler import TraceError

X = np.array([1.0, 2.0, 3.0])
VARIABLE, MODULE = "RETROGRAD_TEST_SCALE", "module_of_objects_and_order"
module = types.ModuleType(MODULE)


class Scale:
    """Has a number as an attribute, behind a property, and in a Module's way."""

    def __init__(self):
        self.by, self.inner = 1.0, {"by": [1.0]}

    @property
    def twice(self):
        return 2 * self.by

    def apply(self, x):
        return x * self.by

    def __call__(self, x):
        return x * self.inner["by"][0]


class Grid(np.ndarray):
    pass


class Weights(rg.Tensor):
    pass


class Net(rg.nn.Module):
    def __init__(self):
        super().__init__()
        self.by = 1.0

    def forward(self, x):
        return x * self.by


@dataclasses.dataclass(frozen=True)
class Frozen:
    inner: types.SimpleNamespace = dataclasses.field(
        default_factory=lambda: types.SimpleNamespace(by=1.0), compare=False
    )


@dataclasses.dataclass
class Options:
    by: float = 1.0


def fold(x, pairs):
    """Return what depends on the order of pairs."""
    for _, factor in pairs:
        x = x * factor + 1
    return x


def spellings():
    """Return by name: a function, what it is called with besides X, and what changes."""
    scale, net, frozen, factors = Scale(), Net(), Frozen(), [1.0]
    space = types.SimpleNamespace(by=1.0)
    order = {"a": 2.0, "b": 3.0}
    ordered = collections.OrderedDict(order)
    proxy = weakref.proxy(scale)
    module.by = 1.0
    os.environ[VARIABLE] = "1"

    @functools.singledispatch
    def generic(x):
        return x

    grid, weights = np.ones(3).view(Grid), Weights(np.ones(3))
    grid.by = weights.by = 1.0
    polynomial = np.poly1d([1.0, 2.0])

    def missed(x):
        try:
            return x * scale.late
        except AttributeError:
            return x * 3

    def of_a_global(x):
        try:
            return x * LATE
        except NameError:
            return x * 1

    def set_late():
        nonlocal late
        late = 2.0

    def of_a_variable(x):
        try:
            return x * late
        except NameError:
            return x * 1

    late = None
    del late

    def optional(x, *, factor=1.0):
        return x * factor

    def turn(d):
        d["a"] = d.pop("a")

    def another(value):
        os.environ[VARIABLE] = value

    return {
        "attribute of an argument": (
            lambda x, s: x * s.by,
            (scale,),
            lambda: setattr(scale, "by", 2.0),
        ),
        "property of an argument": (
            lambda x, s: x * s.twice,
            (scale,),
            lambda: setattr(scale, "by", 2.0),
        ),
        "method of an argument": (
            lambda x, s: s.apply(x),
            (scale,),
            lambda: setattr(scale, "by", 2.0),
        ),
        "argument that is called": (
            lambda x, s: s(x),
            (scale,),
            lambda: scale.inner["by"].__setitem__(0, 2.0),
        ),
        "bound method as an argument": (
            lambda x, f: f(x),
            (scale.apply,),
            lambda: setattr(scale, "by", 2.0),
        ),
        "closure of a function as an argument": (
            lambda x, f: f(x),
            (lambda x: x * factors[0],),
            lambda: factors.__setitem__(0, 2.0),
        ),
        "argument in a tree": (
            lambda x, tree: x * tree["all"][0].by,
            ({"all": [scale]},),
            lambda: setattr(scale, "by", 2.0),
        ),
        "Module as an argument": (lambda x, m: m(x), (net,), lambda: setattr(net, "by", 2.0)),
        "class as an argument": (
            lambda x, c: x * getattr(c, "by", 1.0),
            (Net,),
            lambda: setattr(Net, "by", 2.0),
        ),
        "what a frozen argument holds": (
            lambda x, f: x * f.inner.by,
            (frozen,),
            lambda: setattr(frozen.inner, "by", 2.0),
        ),
        "namespace that a default argument holds": (
            lambda x, s=space: x * s.by,
            (),
            lambda: setattr(space, "by", 2.0),
        ),
        "keywords' defaults as a whole": (
            lambda x: optional(x),
            (),
            lambda: setattr(optional, "__kwdefaults__", {"factor": 2.0}),
        ),
        "generic function": (
            lambda x: generic(x),
            (),
            lambda: generic.register(object, lambda x: x * 2),
        ),
        "attribute of an array": (
            lambda x: x * grid.by,
            (),
            lambda: setattr(grid, "by", 2.0),
        ),
        "attribute of a Tensor": (
            lambda x: x * weights.by,
            (),
            lambda: setattr(weights, "by", 2.0),
        ),
        "attribute that a class had not": (
            lambda x: x * (2.0 if hasattr(scale, "late") else 1.0),
            (),
            lambda: setattr(Scale, "late", 1),
        ),
        "attribute that was missed": (missed, (), lambda: setattr(Scale, "late", 1)),
        "global variable that was not there": (
            of_a_global,
            (),
            lambda: globals().update(LATE=2.0),
        ),
        "variable around that had no value": (of_a_variable, (), set_late),
        "object of NumPy's": (
            lambda x: polynomial(x),
            (),
            lambda: polynomial.coeffs.__setitem__(0, 5.0),
        ),
        "order of a dict": (lambda x: fold(x, order.items()), (), lambda: turn(order)),
        "order of an OrderedDict": (
            lambda x: fold(x, ordered.items()),
            (),
            lambda: ordered.move_to_end("a"),
        ),
        "weak proxy": (lambda x: x * proxy.by, (), lambda: setattr(scale, "by", 2.0)),
        "object that is not hashable": (
            lambda x, s: x * s.by,
            (space,),
            lambda: setattr(space, "by", 2.0),
        ),
        "os.environ": (lambda x: x * float(os.environ[VARIABLE]), (), lambda: another("2")),
        "os.getenv": (lambda x: x * float(os.getenv(VARIABLE)), (), lambda: another("2")),
        "environ": (lambda x: x * float(environ.get(VARIABLE)), (), lambda: another("2")),
        "getenv": (lambda x: x * float(getenv(VARIABLE)), (), lambda: another("2")),
        "import_module": (
            lambda x: x * importlib.import_module("module_of_objects_and_order").by,
            (),
            lambda: setattr(module, "by", 2.0),
        ),
        "sys.modules": (
            lambda x: x * sys.modules["module_of_objects_and_order"].by,
            (),
            lambda: setattr(module, "by", 2.0),
        ),
    }


@pytest.fixture(autouse=True)
def _as_it_was():
    sys.modules[MODULE] = module
    yield
    del sys.modules[MODULE]
    os.environ.pop(VARIABLE, None)
    globals().pop("LATE", None)
    if "late" in vars(Scale):
        del Scale.late
    if "by" in vars(Net):
        del Net.by


@pytest.mark.parametrize("calls", [1, 3, 5])
@pytest.mark.parametrize("name", [*spellings()])
def test_what_changes_between_two_calls_is_seen(name, calls):
    fn, given, change = spellings()[name]
    compiled = rg.compile(fn)
    for _ in range(calls):
        np.testing.assert_array_equal(compiled(X, *given).data, fn(rg.Tensor(X), *given).data)
    before = fn(rg.Tensor(X), *given)
    change()
    after = fn(rg.Tensor(X), *given)
    assert not np.array_equal(before.data, after.data)
    for _ in range(5):
        np.testing.assert_array_equal(compiled(X, *given).data, after.data)
    assert len(compiled.programs) <= 2


def test_objects_that_are_equal_have_programs_of_their_own_if_they_may_change():
    first, second = Options(), Options()
    fn = rg.compile(lambda x, options: x * options.by)
    for _ in range(5):
        fn(X, first)
        fn(X, second)
    second.by = 2.0
    for _ in range(5):
        np.testing.assert_array_equal(fn(X, first).data, X)
        np.testing.assert_array_equal(fn(X, second).data, X * 2)


def test_what_is_not_changed_is_no_reason_to_record_anew():
    scale, net, order = Scale(), Net(), {"a": 1.0, "b": 2.0}
    fn = rg.compile(lambda x, s, m, f: f(m(s.apply(fold(x, order.items())))))
    for i in range(20):
        fn(X + i, scale, net, scale)
    assert len(fn.programs) == 1


def test_gradients_through_a_call_with_objects_follow_them():
    scale, w = Scale(), rg.Parameter(X.copy())
    fn = rg.compile(lambda x, s: s.apply(w * x))
    for i in range(12):
        scale.by = 1.0 + i // 6
        w.grad = None
        np.sum(fn(X, scale)).backward()
        np.testing.assert_array_equal(w.grad, X * scale.by)


def test_a_state_in_an_object_that_is_passed_goes_on():
    state = types.SimpleNamespace(h=rg.Tensor(np.zeros(3)))

    def follow(x, s):
        s.h = np.tanh(s.h + x)
        return s.h * 1

    compiled, expected = rg.compile(follow), np.zeros(3)
    for i in range(10):
        expected = np.tanh(expected + X / (i + 1))
        np.testing.assert_allclose(compiled(X / (i + 1), state).data, expected)
    np.testing.assert_allclose(state.h.data, expected)


def test_a_number_changed_in_an_object_that_is_passed_is_refused():
    scale = Scale()

    def count(x, s):
        s.by += 1
        return x * 2

    with pytest.raises(TraceError, match=r"changes 's\.by' outside"):
        rg.compile(count)(X, scale)


NUMBERS = np.arange(12.0).reshape(3, 4)


@pytest.mark.parametrize(
    "read",
    [
        lambda x, t: x[t],
        lambda x, t: x[t, None],
        lambda x, t: x[:, t],
        lambda x, t: x[[0, 1], t[:2]] + x[t[0], 0],
        lambda x, t: np.take(x, t, axis=0),
        lambda x, t: np.sum(x, axis=0, where=(t > 0)[:, None]),
        lambda x, t: np.sum(x, axis=1, initial=t[0]),
        lambda x, t: np.take_along_axis(x, t[:, None], axis=1),
    ],
)
@pytest.mark.parametrize("how", ["replaced", "written"])
def test_a_tensor_outside_that_chooses_elements_is_read_anew(read, how):
    chooses = rg.Tensor(np.array([2, 0, 1]))
    fn = rg.compile(lambda x: read(x, chooses))
    for _ in range(5):
        before = fn(NUMBERS).data
    if how == "replaced":
        chooses.data = np.array([0, 1, 2])
    else:
        with rg.no_grad():
            chooses[...] = np.array([0, 1, 2])
    after = read(rg.Tensor(NUMBERS), chooses).data
    assert not np.array_equal(before, after)
    for _ in range(3):
        np.testing.assert_array_equal(fn(NUMBERS).data, after)


def test_a_tensor_outside_that_chooses_where_to_write_is_read_anew():
    chooses, kept = rg.Tensor(np.array([2, 0])), rg.Tensor(np.zeros(3))

    def put(x):
        with rg.no_grad():
            kept[chooses] = x
        return kept * 1

    fn = rg.compile(put)
    for i in range(5):
        fn(X[:2] + i)
    chooses.data, kept.data = np.array([1, 0]), np.zeros(3)
    np.testing.assert_array_equal(fn(X[:2]).data, [2.0, 1.0, 0.0])
