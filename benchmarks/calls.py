"""What recording costs: microseconds a call of add, matmul and exp over raw NumPy."""

from __future__ import annotations

import importlib.util
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.clock import interleave
from benchmarks.rows import Row

CALLS = 100
SHAPE = (8, 8)
CONTROL = "NumPy"


def repeat(call: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    """Return `CALLS` calls in one, each result dropped as the next one comes."""
    turns = range(CALLS)

    def run() -> Any:
        for _ in turns:
            result = call(*arguments)
        return result

    return run


def functions(name: str) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Return a framework's constructor of an array that wants a gradient, and its `exp`."""
    if name == "retrograd":
        import retrograd as rg

        return lambda a: rg.Tensor(a, requires_grad=True), np.exp
    if name == "torch":
        import torch

        return lambda a: torch.from_numpy(a.copy()).requires_grad_(), torch.exp
    if name == "autograd":
        import autograd.numpy as anp
        from autograd.tracer import new_box

        return lambda a: new_box(a, 0, vjp_root()), anp.exp
    import mygrad as mg

    return mg.tensor, mg.exp


def vjp_root() -> Any:
    """Return what autograd takes for the start of a graph to record."""
    from autograd.core import VJPNode

    return VJPNode.new_root()


def rows(operation: str) -> Iterator[Row]:
    """Yield raw NumPy and every installed peer that records call by call."""
    x = np.random.default_rng(0).standard_normal(SHAPE)
    for name in (CONTROL, "retrograd", "torch", "autograd", "mygrad"):
        exp: Callable[[Any], Any] = np.exp
        if name == CONTROL:
            array = x
        elif importlib.util.find_spec(name) is not None:
            wrap, exp = functions(name)
            array = wrap(x)
        else:
            continue
        if operation == "exp":
            call = repeat(exp, array)
        else:
            call = repeat(getattr(operator, operation), array, array)
        yield Row(name, call, lambda result: 0.0)


def run(options: dict[str, Any]) -> dict[str, Any]:
    """Return, for each operation and framework, the median microseconds a call and the excess."""
    table: dict[str, Any] = {}
    for operation in ("add", "matmul", "exp"):
        times = interleave(list(rows(operation)), options["rounds"], options["seconds"] / 3)
        control = np.array(times[CONTROL]) / CALLS
        table[operation] = {
            name: {
                "median": float(np.median(taken) / CALLS),
                "over_numpy": float(np.median(np.array(taken) / CALLS - control)),
            }
            for name, taken in times.items()
        }
    return {"shape": list(SHAPE), "operations": table}
