"""What is in containers and objects of all kinds that a function finds outside is watched."""

from __future__ import annotations

import argparse
import configparser
import enum
import string
import threading
import types

import numpy as np
import pytest

import retrograd as rg
from compiler.parts import assert_seen_at_once
from retrograd.compiler.containers import find_entries, is_compared

X = np.array([1.0, 2.0, 3.0])


class Shown:
    def __init__(self):
        self.text = "a"

    def __repr__(self):
        return self.text


class Holder:
    def __init__(self):
        self.scale = 1.0


def spellings():
    """Return by name: a function of an array, and what changes something that it depends on."""
    table = {"a": 1.0, "b": 1.0}
    keys, values, items = table.keys(), table.values(), table.items()
    raw = bytearray([1, 2])
    looked_at = memoryview(raw)
    objects = np.array([1.0, [1.0], {"k": 1.0}], dtype=object)
    options = argparse.Namespace(scale=1.0, nested=argparse.Namespace(by=1.0))
    parser = configparser.ConfigParser()
    parser["net"] = {"scale": "1.0"}
    template, event, shown = string.Template("1"), threading.Event(), Shown()
    members, frozen, chosen = [types.SimpleNamespace(scale=1.0)], frozenset([Holder()]), {Holder()}

    def scales_of(holders):
        return lambda x: sum(x * holder.scale for holder in holders)

    return {
        "keys": (lambda x: x * len(keys), lambda: table.update(c=1.0)),
        "values": (lambda x: sum(x * v for v in values), lambda: table.update(a=2.0)),
        "items": (lambda x: sum(x * v for _, v in items), lambda: table.update(b=2.0)),
        "memory": (lambda x: x * looked_at[1], lambda: raw.__setitem__(1, 9)),
        "objects in an array": (lambda x: x * objects[0], lambda: objects.__setitem__(0, 2.0)),
        "list in an array": (
            lambda x: x * objects[1][0], lambda: objects[1].__setitem__(0, 2.0),
        ),
        "dict in an array": (lambda x: x * objects[2]["k"], lambda: objects[2].update(k=2.0)),
        "arguments of a command": (
            lambda x: x * options.scale, lambda: setattr(options, "scale", 2.0),
        ),
        "arguments in arguments": (
            lambda x: x * options.nested.by, lambda: setattr(options.nested, "by", 2.0),
        ),
        "settings from a file": (
            lambda x: x * float(parser["net"]["scale"]),
            lambda: parser["net"].__setitem__("scale", "2.0"),
        ),
        "template": (
            lambda x: x * float(template.substitute()), lambda: setattr(template, "template", "2"),
        ),
        "event": (lambda x: x * (2 if event.is_set() else 1), event.set),
        "text": (lambda x: x * len(str(shown)), lambda: setattr(shown, "text", "ab")),
        "text in a text": (lambda x: x * len(f"{shown!r}"), lambda: setattr(shown, "text", "ab")),
        "objects in a list": (scales_of(members), lambda: setattr(members[0], "scale", 2.0)),
        "objects in a set": (scales_of(chosen), lambda: setattr(next(iter(chosen)), "scale", 2.0)),
        "objects in a frozen set": (
            scales_of(frozen), lambda: setattr(next(iter(frozen)), "scale", 2.0),
        ),
    }  # fmt: skip


@pytest.mark.parametrize("calls", [1, 3, 5])
@pytest.mark.parametrize("name", [*spellings()])
def test_what_changes_inside_is_seen_at_once(name, calls):
    assert_seen_at_once(*spellings()[name], X, calls)


def test_an_object_in_an_array_is_seen_though_it_lies_where_another_lay():
    objects = np.array([[1.0]], dtype=object)
    step = rg.compile(lambda x: x * objects[0, 0])
    for number in range(12):
        objects[0, 0] = None  # so that the next number may take the place of the last
        objects[0, 0] = float(f"{number // 3}.5")
        np.testing.assert_array_equal(step(X).data, X * (number // 3 + 0.5))


def test_a_slot_keeps_a_tensor_from_call_to_call():
    class Cell:
        __slots__ = ("h",)

    def run(wrap):
        cell = Cell()
        cell.h = rg.Tensor(np.zeros(3))

        @wrap
        def step(x):
            cell.h = np.tanh(cell.h * 0.5 + x)
            return np.sum(cell.h)

        losses = []
        for number in range(12):
            if number == 7:
                cell.h = rg.Tensor(np.ones(3))
            losses.append(step(X * number).item())
        return [*losses, *cell.h.data]

    np.testing.assert_allclose(run(rg.compile), run(lambda fn: fn), rtol=1e-12)


class Colour(enum.Enum):
    RED = 1


ENTRIES = {
    "dict": ({"a": 1, 2: 3}, ["list(it)", 'it["a"]', "it[2]"]),
    "list": ([1, 2], ["len(it)", "it[0]", "it[1]"]),
    "tuple": ((1, 2), ["it[0]", "it[1]"]),
    "set": ({Colour.RED}, ["it", "it"]),
    "frozen set": (frozenset([1]), ["it"]),
    "bytes": (bytearray([1, 2]), ["it"]),
    "long list": ([0] * 300, ["it"]),
    "very long list": ([0] * 5000, ["len(it)"]),
}


@pytest.mark.parametrize("name", [*ENTRIES])
def test_entries_have_the_names_that_a_reader_would_write(name):
    value, names = ENTRIES[name]
    assert [entry.name for entry in find_entries("it", value)] == names
    assert [entry.name for entry in find_entries("it", value, each=False)] == names[
        : not isinstance(value, (tuple, frozenset))
    ]


def test_long_containers_are_compared_if_nothing_in_them_can_change():
    assert is_compared([[]])
    assert is_compared([0] * 300)
    assert is_compared(dict.fromkeys(range(300)))
    assert not is_compared([[]] * 300)
    assert not is_compared([0] * 5000)
