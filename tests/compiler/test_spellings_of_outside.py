"""Every way in which a function finds something outside: changed after some calls, it is seen."""

from __future__ import annotations

import collections
import copy
import dataclasses
import enum
import functools
import types

import numpy as np
import pytest

import retrograd as rg

X = np.array([1.0, 2.0, 3.0])
F = rg.nn.functional

beta = 1.0
table = np.array([1.0, 2.0, 3.0])
config = {"lam": 1.0, "deep": {"lam": 1.0}, "rates": [1.0, 2.0]}
act = np.tanh
namespace = types.SimpleNamespace(alpha=1.0)
late = None


class Settings:
    scale = 1.0
    deep = types.SimpleNamespace(scale=1.0)


@dataclasses.dataclass
class Options:
    alpha: float = 1.0
    kinds: tuple = (1, 2)


class Kind(enum.Enum):
    PLAIN = 1
    SQUARE = 2


Pair = collections.namedtuple("Pair", "a b")


class Trainer:
    k = 1.0
    __slots__ = ("__dict__", "slot")

    def __init__(self):
        self.alpha, self.options, self.net = 1.0, {"p": 2.0}, rg.nn.Linear(3, 1, rng=0)
        self.inner = types.SimpleNamespace(scale=[1.0])
        self.slot, self._hidden, self.fn = 1.0, 1.0, np.sin
        self.table = np.ones(3)

    @property
    def hidden(self):
        return self._hidden

    @functools.cached_property
    def cached(self):
        return 2.0

    @staticmethod
    def double(x):
        return x * 2 * beta

    @classmethod
    def scaled(cls, x):
        return x * cls.k

    def step(self, x):
        return np.sum(x * self.alpha)

    def by_class(self, x):
        return np.sum(self.scaled(x))

    def by_static(self, x):
        return np.sum(self.double(x))

    def by_property(self, x):
        return np.sum(x * self.hidden)

    def by_cached(self, x):
        return np.sum(x * self.cached)

    def by_slot(self, x):
        return np.sum(x * self.slot)

    def by_dict(self, x):
        return np.sum(x ** self.options["p"])

    def by_alias(self, x):
        me = self
        inner = me.inner
        return np.sum(x * inner.scale[0])

    def by_getattr(self, x, name="alpha"):
        return np.sum(x * getattr(self, name))

    def by_fn(self, x):
        return np.sum(self.fn(x))

    def by_net(self, x):
        return np.sum(x @ self.net.weight.T)

    def by_values(self, x):
        return np.sum(x * float(self.table.sum()))

    def by_method(self, x):
        return self.by_alias(x) + self.step(x)


class Net(rg.nn.Module):
    def __init__(self):
        self.options = {"scale": 1.0}
        self.scales = [1.0, 2.0]
        self.alpha = 1.0
        self.layer = rg.nn.Linear(3, 1, rng=0)

    def forward(self, x):
        return np.sum(self.layer(x) * self.options["scale"] * self.scales[1] * self.alpha)


def helper(x):
    return deeper(x) * 2


def deeper(x):
    return x * beta


def set_global(**values):
    globals().update(values)


def spellings():
    """Return by name: a function of X, and what changes something that it depends on."""
    cell, lam, items = 1.0, {"a": 1.0}, [np.ones(3), 2.0]
    trainer, net, options = Trainer(), Net(), Options()
    w = rg.Parameter([1.0, 2.0, 3.0])
    module, target = rg.nn.Linear(3, 1, rng=0), rg.nn.Linear(3, 1, rng=1)
    layers = [rg.nn.Linear(3, 3, rng=0), rg.nn.Tanh()]
    mask, flags, matrix = np.array([1.0, 0.0, 1.0]), np.array([1, 0]), np.eye(3)
    kind, pair, chosen = Kind.PLAIN, Pair(1.0, 2.0), {1, 2}
    scalar, number, dtype = np.float64(2.0), np.array(2.0), np.float32
    queue = collections.deque([1.0, 2.0])
    loss_fn, text, nothing, zero = F.mse_loss, "mean", None, 0.0
    table_of = collections.defaultdict(float, a=1.0)

    def set_cell(**values):
        nonlocal cell, target, mask, kind, pair, scalar, number, dtype, loss_fn, text, nothing
        nonlocal zero, w, module, options
        cell = values.get("cell", cell)
        target, mask = values.get("target", target), values.get("mask", mask)
        kind, pair = values.get("kind", kind), values.get("pair", pair)
        scalar, number = values.get("scalar", scalar), values.get("number", number)
        dtype, loss_fn = values.get("dtype", dtype), values.get("loss_fn", loss_fn)
        text, nothing = values.get("text", text), values.get("nothing", nothing)
        zero, w, module = values.get("zero", zero), values.get("w", w), values.get("module", module)
        options = values.get("options", options)

    def default(x, rates={"r": 1.0}):  # noqa: B006
        return np.sum(x * rates["r"])

    def inner_function(x):
        def inside(y):
            return y * cell

        return np.sum(inside(x))

    def comprehension(x):
        return sum(np.sum(x * c) for c in config["rates"])

    def branch(x):
        return np.sum(x * x) if config["lam"] > 1 else np.sum(x)

    def through_layers(x):
        for layer in layers:
            x = layer(x)
        return np.sum(x)

    def local_import(x):
        import retrograd.nn.functional as functional

        return np.sum(functional.relu(x) * beta)

    def nested_class(x):
        class Inside:
            factor = beta

        return np.sum(x * Inside.factor)

    def loop(x):
        for _ in range(len(items)):
            x = x * 2
        return np.sum(x)

    compiled_inside = rg.compile(lambda x: np.sum(x * cell))
    change = set_cell
    return {
        "global number": (lambda x: np.sum(x * beta), lambda: set_global(beta=2.0)),
        "global array": (lambda x: np.sum(x * table), lambda: set_global(table=table * 2)),
        "global array in place": (lambda x: np.sum(x * table), lambda: table.__imul__(2)),
        "global function": (lambda x: np.sum(act(x)), lambda: set_global(act=np.exp)),
        "global from None": (
            lambda x: np.sum(x if late is None else x * late),
            lambda: set_global(late=3.0),
        ),
        "helper of a helper": (lambda x: np.sum(helper(x)), lambda: set_global(beta=3.0)),
        "dict entry": (lambda x: np.sum(x * config["lam"]), lambda: config.update(lam=3)),
        "dict in a dict": (
            lambda x: np.sum(x * config["deep"]["lam"]),
            lambda: config["deep"].update(lam=3.0),
        ),
        "dict replaced": (
            lambda x: np.sum(x * config["lam"]),
            lambda: set_global(config={**config, "lam": 4.0}),
        ),
        "dict replaced inside": (
            lambda x: np.sum(x * config["deep"]["lam"]),
            lambda: config.update(deep={"lam": 5.0}),
        ),
        "list entry": (
            lambda x: np.sum(x * config["rates"][1]),
            lambda: config["rates"].__setitem__(1, 5.0),
        ),
        "list grown": (comprehension, lambda: config["rates"].append(3.0)),
        "length": (loop, lambda: items.append(1)),
        "list of arrays": (
            lambda x: np.sum(x * items[0]),
            lambda: items.__setitem__(0, np.full(3, 2.0)),
        ),
        "dict by get": (lambda x: np.sum(x * lam.get("b", 1.0)), lambda: lam.update(b=2.0)),
        "dict entry deleted": (lambda x: np.sum(x * lam.get("a", 3.0)), lambda: lam.pop("a")),
        "defaultdict": (lambda x: np.sum(x * table_of["a"]), lambda: table_of.update(a=2.0)),
        "set": (lambda x: np.sum(x * 2) if 3 in chosen else np.sum(x), lambda: chosen.add(3)),
        "deque": (lambda x: np.sum(x * queue[0]), lambda: queue.rotate(1)),
        "namespace": (
            lambda x: np.sum(x * namespace.alpha),
            lambda: setattr(namespace, "alpha", 5),
        ),
        "class attribute": (
            lambda x: np.sum(x * Settings.scale),
            lambda: setattr(Settings, "scale", 2.0),
        ),
        "object in a class": (
            lambda x: np.sum(x * Settings.deep.scale),
            lambda: setattr(Settings.deep, "scale", 2.0),
        ),
        "dataclass": (
            lambda x: np.sum(x * options.alpha),
            lambda: setattr(options, "alpha", 5.0),
        ),
        "dataclass replaced": (
            lambda x: np.sum(x * options.alpha),
            lambda: change(options=Options(alpha=7.0)),
        ),
        "tuple in a dataclass": (
            lambda x: np.sum(x * options.kinds[1]),
            lambda: setattr(options, "kinds", (1, 3)),
        ),
        "cell": (lambda x: np.sum(x * cell), lambda: change(cell=2.0)),
        "cell of an inner function": (inner_function, lambda: change(cell=2.0)),
        "minus zero": (lambda x: np.copysign(x, zero), lambda: change(zero=-0.0)),
        "int for float": (lambda x: x * cell, lambda: change(cell=3)),
        "enum": (
            lambda x: np.sum(x * x) if kind is Kind.SQUARE else np.sum(x),
            lambda: change(kind=Kind.SQUARE),
        ),
        "namedtuple": (lambda x: np.sum(x * pair.b), lambda: change(pair=Pair(1.0, 3.0))),
        "scalar of NumPy": (lambda x: x * scalar, lambda: change(scalar=np.float64(3.0))),
        "0-d array": (lambda x: x * number, lambda: change(number=np.array(3.0))),
        "0-d array in place": (lambda x: x * number, lambda: number.fill(3.0)),
        "dtype": (lambda x: x.astype(dtype), lambda: change(dtype=np.float16)),
        "text": (
            lambda x: F.mse_loss(x, np.zeros(3), reduction=text),
            lambda: change(text="sum"),
        ),
        "library function": (
            lambda x: loss_fn(x, np.zeros(3)),
            lambda: change(loss_fn=F.l1_loss),
        ),
        "None": (
            lambda x: np.sum(x) if nothing is None else np.sum(x * nothing),
            lambda: change(nothing=np.full(3, 2.0)),
        ),
        "Tensor replaced": (
            lambda x: np.sum(w * x),
            lambda: change(w=rg.Tensor([2.0, 2.0, 2.0], requires_grad=True)),
        ),
        "data replaced": (
            lambda x: np.sum(w * x),
            lambda: setattr(w, "data", np.array([3.0, 3.0, 3.0])),
        ),
        "Module replaced": (
            lambda x: np.sum(module(x)),
            lambda: change(module=rg.nn.Linear(3, 1, rng=5)),
        ),
        "Module copied": (
            lambda x: np.sum(target(x)),
            lambda: change(target=doubled(copy.deepcopy(target))),
        ),
        "Parameter replaced": (
            lambda x: np.sum(x @ module.weight.T),
            lambda: setattr(module, "weight", rg.Parameter(np.ones((1, 3)))),
        ),
        "list of Modules": (through_layers, lambda: layers.append(rg.nn.Sigmoid())),
        "Module in a list": (through_layers, lambda: layers.__setitem__(1, rg.nn.ReLU())),
        "mask replaced": (lambda x: np.sum(x * mask), lambda: change(mask=1 - mask)),
        "slice": (lambda x: np.sum(x[:2] * matrix[0, :2]), lambda: matrix.fill(5.0)),
        "slice of a transpose": (lambda x: np.sum(x * matrix.T[1]), lambda: matrix.fill(5.0)),
        "computed from an array": (
            lambda x: np.sum(x * (mask * 2)),
            lambda: mask.__setitem__(1, 5.0),
        ),
        "number of an array": (
            lambda x: np.sum(x * float(mask.sum())),
            lambda: mask.__setitem__(1, 5.0),
        ),
        "branch on an array": (
            lambda x: np.sum(x * x) if flags.all() else np.sum(x),
            lambda: flags.fill(1),
        ),
        "branch": (branch, lambda: config.update(lam=9.0)),
        "default": (default, lambda: default.__defaults__[0].update(r=2.0)),
        "local import": (local_import, lambda: set_global(beta=4.0)),
        "class inside": (nested_class, lambda: set_global(beta=4.0)),
        "partial": (
            functools.partial(lambda options, x: np.sum(x * options["a"]), lam),
            lambda: lam.update(a=4.0),
        ),
        "compiled inside": (lambda x: compiled_inside(x), lambda: change(cell=4.0)),
        "method": (trainer.step, lambda: setattr(trainer, "alpha", 5.0)),
        "attribute of a class by self": (trainer.by_class, lambda: setattr(Trainer, "k", 2.0)),
        "global by a static method": (trainer.by_static, lambda: set_global(beta=6.0)),
        "property": (trainer.by_property, lambda: setattr(trainer, "_hidden", 2.0)),
        "cached property": (trainer.by_cached, lambda: setattr(trainer, "cached", 3.0)),
        "slot": (trainer.by_slot, lambda: setattr(trainer, "slot", 2.0)),
        "dict of self": (trainer.by_dict, lambda: trainer.options.update(p=3.0)),
        "alias of self": (trainer.by_alias, lambda: trainer.inner.scale.__setitem__(0, 2.0)),
        "replaced below self": (
            trainer.by_alias,
            lambda: setattr(trainer, "inner", types.SimpleNamespace(scale=[4.0])),
        ),
        "getattr": (trainer.by_getattr, lambda: setattr(trainer, "alpha", 2.0)),
        "function in an attribute": (trainer.by_fn, lambda: setattr(trainer, "fn", np.cos)),
        "Module of self": (trainer.by_net, lambda: setattr(trainer, "net", rg.nn.Linear(3, 1))),
        "values of self": (trainer.by_values, lambda: trainer.table.fill(2.0)),
        "method of a method": (trainer.by_method, lambda: setattr(trainer, "inner", doubles())),
        "object": (lambda x: trainer.step(x), lambda: setattr(trainer, "alpha", 6.0)),
        "Module's dict": (net, lambda: net.options.update(scale=2.0)),
        "Module's list": (net, lambda: net.scales.__setitem__(1, 3.0)),
        "Module's number": (net, lambda: setattr(net, "alpha", 3.0)),
        "Module's layer": (net, lambda: setattr(net, "layer", rg.nn.Linear(3, 1, rng=9))),
        "Module's number by a function": (
            lambda x: net(x) * 2,
            lambda: setattr(net, "alpha", 3.0),
        ),
        "Module's number by attribute": (
            lambda x: np.sum(x * net.alpha),
            lambda: setattr(net, "alpha", 3.0),
        ),
    }


def doubles():
    return types.SimpleNamespace(scale=[8.0])


def doubled(net):
    for p in net.parameters():
        p.data = p.data * 2
    return net


@pytest.fixture(autouse=True)
def _globals_as_they_were():
    before = {n: copy.deepcopy(globals()[n]) for n in ("beta", "table", "config", "namespace")}
    yield
    set_global(**before, act=np.tanh, late=None)
    Settings.scale, Settings.deep.scale, Trainer.k = 1.0, 1.0, 1.0


@pytest.mark.parametrize("calls", [1, 2, 3, 5])
@pytest.mark.parametrize("name", [*spellings()])
def test_what_is_changed_outside_between_two_calls_is_seen(name, calls):
    fn, change = spellings()[name]
    compiled = rg.compile(fn)
    for _ in range(calls):
        np.testing.assert_array_equal(compiled(X).data, fn(rg.Tensor(X)).data)
    before = fn(rg.Tensor(X))
    change()
    after = fn(rg.Tensor(X))
    assert before.dtype != after.dtype or not same_bits(before.data, after.data)
    for _ in range(5):
        found = compiled(X)
        assert found.dtype == after.dtype
        assert same_bits(found.data, after.data)
    assert len(compiled.programs) <= 2


def same_bits(x, y):
    return np.allclose(x, y, rtol=1e-13, atol=0) and np.array_equal(np.signbit(x), np.signbit(y))
