"""What a file holds: arrays by name, and a description in JSON that puts them together.

In the description a JSON object has one entry that says what it stands for: {"array": name},
{"scalar": name} for a number that NumPy has a type of its own for, {"dict": pairs}, {"tuple":
items}, {"generator": state}. Lists, strings, numbers and None stand for themselves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from retrograd.engine import Array, Tensor
from retrograd.random import restore

DESCRIPTION = "retrograd.json"  # where a file has the description
GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")


def encode(state: Any) -> tuple[dict[str, Array], str]:
    """Return the arrays of a state by name, and its description; "" for a dict of arrays alone."""
    arrays: dict[str, Array] = {}
    tree = _encode(state, "state", (), arrays)
    if tree == {"dict": [(name, {"array": name}) for name in arrays]}:
        return arrays, ""
    return arrays, json.dumps({"version": 1, "state": tree})


def decode(arrays: dict[str, Array], description: str) -> Any:
    """Return the state that `encode` was given; an error of any kind if it does not fit."""
    if not description:
        return arrays
    content = json.loads(description, object_hook=lambda entry: _decode(entry, arrays))
    if content["version"] != 1:
        raise ValueError(f"its description has version {content['version']!r}, not 1")
    return content["state"]


def plain(array: Array, place: str) -> Array:
    """Return an array in C order and this machine's byte order; TypeError if it holds no numbers.

    Args:
        array: any array.
        place: where it is, for the message.
    """
    widest = 16 if array.dtype.kind == "c" else 8
    if array.dtype.kind not in "fiubc" or array.dtype.itemsize > widest:
        raise TypeError(f"{place} is an array of {array.dtype}, not of numbers or bools")
    return np.asarray(array, array.dtype.newbyteorder("="), order="C")


def _encode(value: Any, place: str, path: tuple[str, ...], arrays: dict[str, Array]) -> Any:
    """Return a value as JSON, and put its arrays into `arrays`, named by their paths."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, (np.ndarray, Tensor, np.generic)):
        name = ".".join(path) if path else "state"
        while name in arrays:
            name += "_"
        array = value._array if isinstance(value, Tensor) else np.asarray(value)
        arrays[name] = plain(array, place)
        return {"scalar" if isinstance(value, np.generic) else "array": name}
    if isinstance(value, (Mapping, list, tuple)):
        pairs = []
        for key, v in value.items() if isinstance(value, Mapping) else enumerate(value):
            if type(key) not in (str, int):
                raise TypeError(f"{place} has the key {key!r}: save takes strings and ints")
            pairs.append((key, _encode(v, f"{place}[{key!r}]", (*path, str(key)), arrays)))
        if isinstance(value, Mapping):
            return {"dict": pairs}
        inner = [v for _, v in pairs]
        return inner if isinstance(value, list) else {"tuple": inner}
    if isinstance(value, np.random.Generator):
        return {"generator": _encode(value.bit_generator.state, place, path, arrays)}
    hint = ": pass its state_dict()" if hasattr(value, "state_dict") else ""
    raise TypeError(f"{place} is a {type(value).__name__}, which save does not take{hint}")


def _decode(entry: dict[str, Any], arrays: Mapping[str, Array]) -> Any:
    """Return what a JSON object stands for; what is in it is decoded already."""
    if "version" in entry:
        return entry
    ((kind, content),) = entry.items()
    if kind == "array":
        return arrays[content]
    if kind == "scalar":
        return arrays[content][()]
    if kind == "dict":
        return dict(content)
    if kind == "tuple":
        return tuple(content)
    if kind != "generator" or content["bit_generator"] not in GENERATORS:
        raise ValueError(f"its description has an entry {entry}")
    rng = np.random.Generator(getattr(np.random, content["bit_generator"])(0))
    restore(rng, content)
    return rng
