"""A long chain of calls: nanoseconds a node to record, to walk back and to drop.

Every framework and length runs in a process of its own, since some end in a crash.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.process import Failed, call_in_process

LENGTHS = (1_000, 10_000, 100_000, 1_000_000)
PEERS = ("retrograd", "torch", "autograd", "mygrad")
FACTOR = 0.9999999


def grow(x: Any, length: int) -> Any:
    """Return `x` multiplied `length` times, one call after another."""
    for _ in range(length):
        x = x * FACTOR
    return x


def tape(name: str, start: np.ndarray, length: int) -> tuple[Callable[[], Any], Any]:
    """Return a call that records the chain, and a call that walks it back."""
    if name == "autograd":
        from autograd import make_vjp

        return lambda: make_vjp(lambda x: grow(x, length))(start), lambda made: made[0](start)
    if name == "retrograd":
        import retrograd as rg

        x: Any = rg.Tensor(start, requires_grad=True)
    elif name == "torch":
        import torch

        x = torch.from_numpy(start).requires_grad_()
    else:
        import mygrad as mg

        x = mg.tensor(start)
    return lambda: grow(x, length).sum(), lambda made: made.backward()


def measure(options: dict[str, Any]) -> dict[str, float]:
    """Return the nanoseconds a node for one framework and length, in this process."""
    length = options["length"]
    forward, backward = tape(options["peer"], np.ones(4), 10)
    backward(forward())
    forward, backward = tape(options["peer"], np.ones(4), length)
    marks = [time.perf_counter()]
    made = forward()
    marks.append(time.perf_counter())
    backward(made)
    marks.append(time.perf_counter())
    del made
    marks.append(time.perf_counter())
    # A graph may also die without having been walked, and must not recurse then either.
    made = forward()
    unwalked = time.perf_counter()
    del made
    names = ("forward", "backward", "drop")
    spans = zip(names, pairwise(marks), strict=True)
    taken = {name: (end - start) / length * 1e9 for name, (start, end) in spans}
    taken["drop_unwalked"] = (time.perf_counter() - unwalked) / length * 1e9
    return taken


def run(options: dict[str, Any]) -> dict[str, Any]:
    """Return the times of every peer at every length it survives, and how it failed beyond."""
    lengths = LENGTHS[:2] if options["quick"] else LENGTHS
    table: dict[str, Any] = {}
    for peer in PEERS:
        if importlib.util.find_spec(peer) is None:
            continue
        table[peer] = {}
        for length in lengths:
            asked = {"peer": peer, "length": length}
            try:
                table[peer][str(length)] = call_in_process("chain:measure", asked, timeout=120)
            except Failed as failure:
                table[peer][str(length)] = {"failed": str(failure)}
                break
    return table
