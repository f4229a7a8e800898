"""Random numbers in workers: for each sample a state of its own, whichever worker reads it."""

from __future__ import annotations

import hashlib
import random
import types
from typing import Any

import numpy as np

from retrograd.random import generator

LOOKED_AT = 10_000  # so many objects are looked at for generators
_CLOSED = (np.ndarray, np.generic, str, bytes, int, float, type, types.ModuleType)


class Draws:
    """Gives all that may draw a state for a sample, which follows from a seed and its index.

    Args:
        seed: the seed of the epoch.
        *holders: objects in whose attributes generators are looked for, such as the data set.
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
    """Return the generators among an object's attributes, items, and theirs in turn.

    Args:
        root: the object. Arrays, strings, functions, classes and modules are not looked into, nor
            containers of more than 100 items.
    """
    found: list[Any] = []
    seen: dict[int, Any] = {}
    waiting = [root]
    while waiting and len(seen) < LOOKED_AT:
        value = waiting.pop()
        if id(value) in seen or isinstance(value, _CLOSED):
            continue
        seen[id(value)] = value
        if isinstance(value, (np.random.Generator, random.Random)):
            found.append(value)
        elif isinstance(value, (dict, list, tuple)):
            if len(value) <= 100:
                waiting += reversed([*(value.values() if isinstance(value, dict) else value)])
        else:
            waiting += reversed([*getattr(value, "__dict__", {}).values()])
    return found
