"""How each call is written in a program, with `out=` wherever NumPy has it."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.compiler.tape import Live, Node, Var
from retrograd.core import astype
from retrograd.registry import spelled
from retrograd.rules.joining import concat
from retrograd.rules.products import contract

if TYPE_CHECKING:
    from retrograd.compiler.writer import Writer

# One statement or more for a call, given the writer, the call and the name of the output.
Spelling = Callable[["Writer", Node, str], list[str]]
SPELLINGS: dict[Any, Spelling] = {}
VIEWS: dict[Any, Callable[[Writer, Node], str]] = {}

# Calls on numbers, when all they work on are results of products: Python's operators are faster.
_OPERATORS = {
    np.add: "{} + {}", np.subtract: "{} - {}", np.multiply: "{} * {}", np.divide: "{} / {}",
    np.negative: "-{}",
}  # fmt: skip
_SMALL_SUM = 4096  # up to here a product with ones sums as exactly as it needs to


def spelling(*fns: Any) -> Callable[[Spelling], Spelling]:
    """Write calls of `fns` the way the decorated function says."""

    def register(spell: Spelling) -> Spelling:
        for fn in fns:
            SPELLINGS[fn] = spell
        return spell

    return register


def spell(w: Writer, node: Node, out: str) -> list[str]:
    """Return the statements of a call whose output is in the array named `out`."""
    special = SPELLINGS.get(node.fn)
    if special is not None and (node.outs[0] not in w.numbers or node.fn in PRODUCTS):
        return special(w, node, out)
    if node.outs[0] in w.numbers:
        return [f"{out} = {_OPERATORS[node.fn].format(*map(w.text, node.args))}"]
    if isinstance(node.fn, np.ufunc) and node.fn.nout == 1:
        args = w.operands(node)
        return [f"{spelled(node.fn)}({', '.join(args)}, out={out})"]
    first = "[0]" if node.fn is np.nonzero else ""  # of one axis
    return [fill(node, node.outs[0], out, f"{w.function(node)}({w.arguments(node)}){first}")]


def fill(node: Node, var: Var, out: str, text: str) -> str:
    """Return the statement that copies the result of a call into its array."""
    if sized_by_values(node) and var.array.ndim:
        return f"np.concatenate(({text},), out={out})"  # where an assignment would broadcast
    return f"{out}[...] = {text}"


_SIZED = (np.nonzero, np.flatnonzero, np.argwhere, np.repeat, np.extract, np.compress, np.bincount)


def sized_by_values(node: Node) -> bool:
    """Tell whether the values of the arguments may decide how large the result is."""
    if node.fn is operator.getitem:
        index = node.args[1] if isinstance(node.args[1], tuple) else (node.args[1],)
        return any(isinstance(i, Var) and i.array.dtype.kind == "b" for i in index)
    if node.rule is not None and node.rule.multi and len(node.outs) == 1:
        return node.fn is np.nonzero  # others may give an array or a tuple of one
    return node.fn in _SIZED or not spelled(node.fn).startswith("np.")


def literal(value: Any) -> str:
    """Return the source of a static argument."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"inf": "np.inf", "-inf": "-np.inf"}.get(repr(value), "np.nan")
    if isinstance(value, np.dtype):
        return f"np.{value.name}" if value.name != "bool" else "np.bool_"
    if isinstance(value, type) and issubclass(value, np.generic):
        return f"np.{value.__name__}"
    if isinstance(value, np.generic):
        return f"np.{type(value).__name__}({value.item()!r})"
    if isinstance(value, slice):
        return f"slice({value.start}, {value.stop}, {value.step})"
    return repr(value)


def index_text(w: Writer, index: Any) -> str:
    """Return what stands in the brackets."""

    def part(i: Any) -> str:
        if isinstance(i, slice):
            ends = ["" if v is None else str(v) for v in (i.start, i.stop)]
            return ":".join(ends) + (f":{i.step}" if i.step not in (None, 1) else "")
        if i is Ellipsis:
            return "..."
        return w.text(i)

    if isinstance(index, tuple):
        return ", ".join(map(part, index)) + ("," if len(index) == 1 else "") or "()"
    return part(index)


# --- products ------------------------------------------------------------------------------------


@spelling(np.matmul, np.dot)
def _matmul(w: Writer, node: Node, out: str) -> list[str]:
    """Write products as `x.dot(y)`, which takes 0.5 us less, on vectors where it can."""
    x, y = node.args[:2]
    o = node.outs[0]
    a, b = (v.array if isinstance(v, Var) else np.asarray(v) for v in (x, y))
    same = a.dtype == b.dtype == o.array.dtype and o.array.dtype.kind == "f"
    if not (same and a.ndim == b.ndim == 2 and w.is_c(o)):
        if same and a.ndim <= 2 and b.ndim <= 2 and w.is_c(o):
            return w.dot(node, w.text(x), w.text(y), out)
        return [f"np.matmul({w.text(x)}, {w.text(y)}, out={out})"]
    left, right, flat = w.text(x), w.text(y), False
    if a.shape[0] == 1 and w.is_static(x):
        left, flat = w.view(x, ".reshape(-1)", a.reshape(-1)), True
    if b.shape[1] == 1 and w.is_static(y):
        right, flat = w.view(y, ".reshape(-1)", b.reshape(-1)), True
    if flat:
        shape = (a.shape[0],) * (left == w.text(x)) + (b.shape[1],) * (right == w.text(y))
        out = w.view(o, f".reshape({shape})", o.array.reshape(shape))
    return w.dot(node, left, right, out)


@spelling(contract)
def _einsum(w: Writer, node: Node, out: str) -> list[str]:
    operands = ", ".join(w.text(a) for a in node.args)
    options = node.kwargs
    optimize = f", optimize={options['optimize']!r}" if options.get("optimize") else ""
    return [f"np.einsum({options['subscripts']!r}, {operands}, out={out}{optimize})"]


PRODUCTS = (np.matmul, np.sum)  # what gives a number that Python can go on with


def numbers(nodes: list[Node], results: Collection[Var], grads: Collection[Var]) -> set[Var]:
    """Return the Vars of no axes that need no array: products, and arithmetic on them alone."""
    found: set[Var] = set()
    for node in nodes:
        if node.kind != "call" or len(node.outs) != 1:
            continue
        out = node.outs[0].array
        if out.ndim or out.dtype.kind != "f":
            continue
        args = [v for v in node.args if isinstance(v, Var)]
        if node.fn in _OPERATORS:
            good = bool(args) and all(v in found for v in args)
            good = good and not any(isinstance(a, Live) for a in node.args)
        elif node.fn is np.matmul:
            good = len(args) == 2 and all(v.array.ndim == 1 for v in args)
            good = good and args[0].array.dtype == args[1].array.dtype == out.dtype
        else:
            good = node.fn is np.sum and not node.kwargs.get("keepdims") and bool(args)
            good = (
                good and 1 < args[0].array.size <= _SMALL_SUM and args[0].array.dtype == out.dtype
            )
            good = good and args[0].kind == "made" and _dense(args[0].array)
        if good:
            found.add(node.outs[0])
    while True:
        wrong = {
            v
            for node in nodes
            if node.kind != "call" or not found & set(node.outs) or node.fn in PRODUCTS
            for v in node.vars()
            if v in found
        } | (found & set(grads))
        if not wrong:
            return found
        found -= wrong
        # what was computed from a number that became an array works on an array now
        found = {v for v in found if v.node is None or not any(
            a not in found for a in v.node.vars()) or v.node.fn in PRODUCTS}  # fmt: skip


def _dense(a: Any) -> bool:
    return bool(a.flags.c_contiguous or a.flags.f_contiguous)


# --- reductions ----------------------------------------------------------------------------------


def _reduction(ufunc: str) -> Spelling:
    def write(w: Writer, node: Node, out: str) -> list[str]:
        x, *rest = node.args
        options = dict(node.kwargs)
        axis = rest[0] if rest else options.pop("axis", None)
        keep = ", keepdims=True" if options.pop("keepdims", False) else ""
        extra = "".join(f", {k}={w.text(v)}" for k, v in options.items())
        if ufunc == "add" and not extra:
            product = _as_product(w, node, x, axis)
            if product:
                return product
        call = f"np.{ufunc}.reduce({w.text(x)}, axis={axis!r}{keep}{extra}"
        return [f"{out} = {call})" if node.outs[0] in w.numbers else f"{call}, out={out})"]

    return write


def _as_product(w: Writer, node: Node, x: Any, axis: Any) -> list[str] | None:
    """Write a sum as a product with ones, where that is faster and as exact."""
    o = node.outs[0]
    if not isinstance(x, Var) or x.array.dtype != o.array.dtype or x.array.dtype.kind != "f":
        return None
    a = x.array
    if axis == ():
        return None
    if axis is None or a.ndim == 1:
        if 1 < a.size <= _SMALL_SUM and w.is_static(x) and w.is_dense(x):
            ones = w.ones(a.size, a.dtype)
            out = w.view(o, ".reshape(())", o.array.reshape(())) if o.array.ndim else w.text(o)
            return w.dot(node, ones, w.flat(x), out)
        return None
    if a.ndim != 2 or isinstance(axis, tuple) or a.shape[axis % 2] > _SMALL_SUM:
        return None
    axis %= 2
    if not a.size or not w.is_c(o):
        return None
    n = o.array.size
    out = w.text(o) if o.array.ndim == 1 else w.view(o, ".reshape(-1)", o.array.reshape(n))
    ones = w.ones(a.shape[axis], a.dtype)
    pair = (ones, w.text(x)) if axis == 0 else (w.text(x), ones)
    return w.dot(node, *pair, out)


SPELLINGS[np.sum] = _reduction("add")
SPELLINGS[np.max] = SPELLINGS[np.amax] = _reduction("maximum")
SPELLINGS[np.min] = SPELLINGS[np.amin] = _reduction("minimum")
SPELLINGS[np.prod] = _reduction("multiply")
SPELLINGS[np.all] = _reduction("logical_and")
SPELLINGS[np.any] = _reduction("logical_or")


@spelling(np.mean)
def _mean(w: Writer, node: Node, out: str) -> list[str]:
    x, o = node.args[0], node.outs[0]
    if set(node.kwargs) - {"axis", "keepdims"} or x.array.dtype != o.array.dtype:
        return [f"{out}[...] = np.mean({w.arguments(node)})"]
    count = x.array.size // max(o.array.size, 1)
    number = w.constant(float(count), o.array.dtype)
    return [*SPELLINGS[np.sum](w, node, out), f"np.divide({out}, {number}, out={out})"]


@spelling(np.argmax, np.argmin)
def _argmax(w: Writer, node: Node, out: str) -> list[str]:
    return [f"{w.function(node)}({w.arguments(node)}, out={out})"]


# --- moving elements -----------------------------------------------------------------------------


@spelling(concat)
def _concatenate(w: Writer, node: Node, out: str) -> list[str]:
    if node.outs[0] in w.packed:  # most of its parts are computed where they belong
        lines, start = [], 0
        for part in node.args:
            if part not in w.placed or w.placed[part] != (node.outs[0], start):
                place = w.place_text(part, node.outs[0], start)
                lines.append(f"np.copyto({place}, {w.text(part)})")
            start += part.array.size
        return lines
    parts = ", ".join(w.text(a) for a in node.args)
    return [f"np.concatenate(({parts},), axis={node.kwargs.get('axis', 0)}, out={out})"]


@spelling(astype)
def _astype(w: Writer, node: Node, out: str) -> list[str]:
    return [f'np.copyto({out}, {w.text(node.args[0])}, casting="unsafe")']


@spelling(np.copy, np.reshape, np.ravel, np.broadcast_to, np.positive)
def _copy(w: Writer, node: Node, out: str) -> list[str]:
    x = w.text(node.args[0])
    if node.fn in (np.reshape, np.ravel):
        x += f".reshape({node.outs[0].array.shape})"
    return [f"np.copyto({out}, {x})"]


@spelling(np.where)
def _where(w: Writer, node: Node, out: str) -> list[str]:
    given = node.args[0]
    condition, x, y = (w.text(a) for a in node.args)
    if not isinstance(given, Var) or given.array.dtype.kind != "b":
        condition = f"np.not_equal({condition}, 0)"
    return [f"np.copyto({out}, {y})", f"np.copyto({out}, {x}, where={condition})"]


@spelling(operator.getitem)
def _getitem(w: Writer, node: Node, out: str) -> list[str]:
    x, index = node.args
    return [fill(node, node.outs[0], out, f"{w.text(x)}[{index_text(w, index)}]")]


@spelling(np.clip)
def _clip(w: Writer, node: Node, out: str) -> list[str]:
    return [f"np.clip({w.arguments(node)}, out={out})"]


# --- views ---------------------------------------------------------------------------------------


def view_text(w: Writer, node: Node) -> str:
    """Return the expression of a call that looks at an argument's memory in another way."""
    x = node.args[0]
    name, shape = w.text(x), node.outs[0].array.shape
    if node.fn is operator.getitem:
        return f"{name}[{index_text(w, node.args[1])}]"
    if node.fn is np.transpose:
        axes = node.args[1] if len(node.args) > 1 else node.kwargs.get("axes")
        if axes is None or list(axes) == list(range(len(axes)))[::-1]:
            return f"{name}.T"
        return f"{name}.transpose({tuple(axes)})"
    if node.fn is np.swapaxes:
        axes = [*node.args[1:], *node.kwargs.values()]
        return f"{name}.swapaxes({axes[0]}, {axes[1]})"
    if node.fn in (np.reshape, np.ravel, np.squeeze, np.expand_dims):
        flat = len(shape) == 1 and shape[0] > 0
        return f"{name}.reshape({-1 if flat else shape})"
    return f"{w.function(node)}({w.arguments(node)})"
