"""Random numbers in workers: for each sample a state of its own, whichever worker reads it."""

from __future__ import annotations

import functools
import hashlib
import random
import sys
import types
from typing import Any

import numpy as np

from retrograd.random import generator

LOOKED_AT = 10_000  # so many objects are looked at for generators
_KINDS = (np.random.Generator, random.Random, np.random.RandomState)
_CLOSED = (np.ndarray, np.generic, str, bytes, int, float, type, types.ModuleType)


class Draws:
    """Gives all that may draw a state for a sample, which follows from a seed and its index.

    Args:
        seed: the seed of the epoch.
        *holders: objects whose generators these are, such as the data set.
    """

    def __init__(self, seed: int, *holders: Any) -> None:
        self._seed = seed
        found = [generator(), *generators_in(holders)]
        self._generators = list({id(each): each for each in found}.values())

    def __call__(self, index: int) -> None:
        """Give the generators their states for a sample.

        Args:
            index: that of the sample in the data set.
        """
        for place, each in enumerate(self._generators):
            text = b"%d %d %d" % (self._seed, index, place)
            drawn = int.from_bytes(hashlib.blake2b(text, digest_size=32).digest(), "little")
            if isinstance(each, random.Random):
                each.seed(drawn)
            elif isinstance(each, np.random.RandomState):
                each.seed(drawn & 0xFFFFFFFF)
            else:
                _seed_generator(each.bit_generator, drawn)
            if not place:
                # of this process, which is a worker's: forked ones would all draw the same
                random.seed(drawn)
                np.random.seed(drawn & 0xFFFFFFFF)  # noqa: NPY002


def _seed_generator(bits: Any, drawn: int) -> None:
    if type(bits) is np.random.PCG64:  # as below, in a quarter of the time
        low, high = drawn & (1 << 128) - 1, drawn >> 128
        bits.state = {
            "bit_generator": "PCG64", "state": {"state": low, "inc": high | 1},
            "has_uint32": 0, "uinteger": 0,
        }  # fmt: skip
    else:
        bits.state = type(bits)(drawn).state


def generators_in(root: Any) -> list[Any]:
    """Return the generators that an object can reach, each once.

    They are looked for in attributes and items, in what functions close over, and beside classes
    and functions, in the variables of their modules. Arrays and texts are not looked into, nor
    containers of more than 100 items.

    Args:
        root: the object.
    """
    found: list[Any] = []
    seen: dict[int, Any] = {}
    waiting = [root]
    while waiting and len(seen) < LOOKED_AT:
        value = waiting.pop()
        if id(value) in seen or isinstance(value, _CLOSED):
            continue
        seen[id(value)] = value
        if isinstance(value, _KINDS):
            found.append(value)
        else:
            waiting += reversed(_parts(value))
    return found


def _parts(value: Any) -> list[Any]:
    """Return what an object can reach at once."""
    if isinstance(value, (dict, list, tuple)):
        items = value.values() if isinstance(value, dict) else value
        return [*items] if len(value) <= 100 else []
    if isinstance(value, types.MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, types.CellType):
        try:
            return [value.cell_contents]
        except ValueError:  # it is empty
            return []
    if isinstance(value, types.FunctionType):
        reached = [*(value.__closure__ or ()), *(value.__defaults__ or ())]
        return reached + _beside(value.__globals__)
    module = sys.modules.get(type(value).__module__)
    return [*getattr(value, "__dict__", {}).values(), *_beside(getattr(module, "__dict__", {}))]


def _beside(variables: dict[str, Any]) -> list[Any]:
    return [each for each in [*variables.values()] if isinstance(each, _KINDS)]
