"""A loss for every function that has a rule: what shows graphs must show each of them."""

import functools
import inspect
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

import golden
import retrograd as rg
from retrograd.engine import spelled
from retrograd.nn import functional as F
from rules import cases  # noqa: F401, fills CASES
from rules.checking import Array, anywhere, floats, make, map_tree
from rules.drawing import CASES, STAND_INS, Draw
from rules.test_elementwise import DOMAINS, OFFSETS, UFUNCS

DRAWN_BY_HYPOTHESIS = {operator.getitem: (1,), np.broadcast_to: ((4, 2, 3),)}


class AnyDraw(Draw):
    """Draws from a generator what a case takes: no array is empty."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def shape(self, low: int = 0, high: int = 3, side: int = 0, most: int = 3) -> tuple[int, ...]:
        dims = self.integer(max(low, 1), max(high, 1))
        return tuple(self.integer(max(side, 1), most) for _ in range(dims))

    def shapes(self, n: int, side: int = 0) -> tuple[tuple[int, ...], ...]:
        shape = self.shape(1, 3)
        return tuple(shape[self.integer(0, len(shape)) :] if i else shape for i in range(n))

    def one_of(self, *choices: Any) -> Any:
        return choices[self.rng.integers(len(choices))]

    def integer(self, low: int, high: int) -> int:
        return int(self.rng.integers(max(low, min(high, 1)), high + 1))

    def flag(self) -> bool:
        return bool(self.rng.integers(2))

    def axes(self, x: Array) -> Any:
        return self.one_of(None, 0, -1, tuple(range(len(x.shape)))) if x.shape else None

    def order(self, n: int) -> list[int]:
        return [int(i) for i in self.rng.permutation(n)]

    def mask(self, shape: tuple[int, ...]) -> Any:
        return self.rng.integers(0, 2, shape).astype(bool)


def _loss(fn: Callable[..., Any], tree: Any) -> rg.Tensor | None:
    """Return the sum of all that a function gives for leaves, None where it has no gradient."""

    def leaf(array: Any) -> Any:
        return rg.Tensor(array, requires_grad=True) if array.dtype.kind == "f" else array

    args, kwargs = map_tree(leaf, tree, np.ndarray)
    out = fn(*args, **kwargs)
    outs = floats(list(out) if isinstance(out, tuple | list) else [out])
    total = sum((np.sum(o) for o in outs if getattr(o, "requires_grad", False)), 0.0)
    return total if isinstance(total, rg.Tensor) else None


def _of_ufunc(fn: Any) -> Callable[[], Any]:
    domains = DOMAINS.get(fn, (anywhere,) * fn.nin)
    args = [Array((2, 3)[i:], *a) for i, a in enumerate(zip(domains, OFFSETS, strict=False))]
    return lambda: _loss(fn, (make(tuple(args), np.random.default_rng(0)), {}))


def _of_case(fn: Any, drawn: Callable[[Draw], Any], seed: int) -> Callable[[], Any]:
    def loss() -> Any:
        draw = AnyDraw(seed)
        args, kwargs = drawn(draw)
        return _loss(STAND_INS.get(fn, fn), make((args, kwargs), draw.rng))

    return loss


def _of_golden(case: Any) -> Callable[[], Any]:
    def loss() -> Any:
        inputs, _ = golden.prepare_inputs(case)
        args, kwargs = golden.decode(case["args"]), golden.decode(case["kwargs"])
        out = getattr(F, case["function"])(*inputs, *args, **kwargs)
        outs = [o for o in golden.flat(out) if getattr(o, "requires_grad", False)]
        return sum(np.sum(o) for o in outs) if outs else None

    return loss


# The first arguments of special functions, such as orders, to which they have no gradient.
WITHOUT_GRADIENT = {
    "polygamma": (1,), "iv": (1.0,), "ive": (1.0,), "jv": (1.0,), "gammainc": (1.5,),
    "gammaincc": (1.5,), "betainc": (1.5, 2.5), "zeta": (2.0,),
}  # fmt: skip


def all_losses() -> dict[str, Callable[[], Any]]:
    """Return for each function what makes a loss of it, or None where it has no gradient."""
    found: dict[str, Any] = {spelled(fn): _of_ufunc(fn) for fn in UFUNCS}
    for seed, (fn, drawn) in enumerate(CASES.items()):
        if fn not in DRAWN_BY_HYPOTHESIS:
            found |= {f"{spelled(fn)} {i}": _of_case(fn, one, seed) for i, one in enumerate(drawn)}
    for parameter in golden.cases(golden.MODULES, key="function"):
        case = parameter.values[0]
        found.setdefault(f"F.{case['function']}", _of_golden(case))
    x = anywhere(np.random.default_rng(0), (2, 3))
    for fn, rest in DRAWN_BY_HYPOTHESIS.items():
        found[spelled(fn)] = functools.partial(_loss, fn, ((x, *rest), {}))
    for name in sorted({*rg.special.__all__} - {"softmax", "log_softmax"}):  # which are in F
        fn = getattr(rg.special, name)
        needed = [
            p for p in inspect.signature(fn).parameters.values()
            if p.default is p.empty and p.kind is not p.VAR_KEYWORD
        ]  # fmt: skip
        numbers = WITHOUT_GRADIENT.get(name, ())
        count = max(len(needed), len(numbers) + 1) - len(numbers)
        args = (*numbers, *[np.array(0.3)] * count)
        found.setdefault(name, functools.partial(_loss, fn, (args, {})))
    return found
