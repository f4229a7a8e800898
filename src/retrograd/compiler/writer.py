"""From calls to source: names, buffers, statements with `out=`."""

import builtins
import itertools
import keyword
import math
import operator
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrograd.compiler.tape import Live, Node, Var, maker, memory, viewed, writes
from retrograd.core import Array, astype
from retrograd.registry import spelled
from retrograd.rules.joining import concat
from retrograd.rules.products import contract

# with what scripts use themselves
_RESERVED = {*keyword.kwlist, *dir(builtins), "np", "program", "step", "predict", "main", "sys",
             "Path", "ARGUMENTS"} - {"input"}  # fmt: skip
_NUMBERS = {0.0: "zero", 1.0: "one", 2.0: "two", 0.5: "half", -1.0: "minus_one"}


@dataclass(slots=True)
class Statement:
    """A line, the call it comes from, and the array it fills."""

    text: str
    node: Node
    target: Var | None


class Writer:
    """Writes the statements of a run, `body`, and of their buffers, `setup`."""

    def __init__(
        self, nodes: list[Node], results: list[Var], grads: list[Var], lives: Iterable[str]
    ) -> None:
        self.nodes = nodes
        self.keep = results + grads  # to be read after the run
        self.numbers = numbers(nodes, grads)
        self.setup: list[str] = []
        self.data: dict[str, Array] = {}
        self.functions: dict[str, Any] = {}
        self.body: list[Statement] = []
        self.names: dict[Var, str] = {}
        self._taken = {*_RESERVED, *lives}
        self._made: dict[Any, str] = {}
        self._free: list[str] = []
        self._slot: dict[int, str] = {}  # the buffer of each memory
        self._buffers: dict[str, Array] = {}
        self._users: Counter[str] = Counter()
        self.last: dict[int, int] = {}  # use of each memory
        for i, node in enumerate(nodes):
            self.last.update((memory(v), i) for v in (*node.vars(), *node.outs))
        self.last.update((memory(v), len(nodes)) for v in self.keep)
        self._pack()

    def fresh(self, wish: str) -> str:
        name = stem = re.sub(r"^(?=\d|$)", "t", re.sub(r"\W", "_", wish).strip("_"))
        numbered = itertools.count(2)
        while name in self._taken:
            name = f"{stem}_{next(numbered)}"
        self._taken.add(name)
        return name

    def name(self, var: Var) -> str:
        if var not in self.names:
            a = var.array
            fixed = var.kind == "const" and a.size and a.dtype.kind in "fiu"
            if fixed and a.tobytes() == (first := a.reshape(-1)[:1]).tobytes() * a.size:
                value = first.item()
                if not a.ndim:
                    name = self.constant(value, a.dtype)
                elif a.ndim == 1 and value == 1:
                    name = self.ones(a.size, a.dtype)
                else:
                    text = f"np.full({a.shape}, {literal(value)}, {literal(a.dtype)})"
                    name = self._once("zeros" if value == 0 else "constant", text)
            else:
                name = self.fresh(wish(var))
                if var.kind in ("const", "captured"):
                    self.data[name] = a
            self.names[var] = name
        return self.names[var]

    def _once(self, wish: str, text: str, *same: Any) -> str:
        key = same or text
        if key not in self._made:
            self._made[key] = self.fresh(wish)
            self.setup.append(f"{self._made[key]} = {text}")
        return self._made[key]

    def text(self, value: Any) -> str:
        if isinstance(value, Var):
            return self.name(value)
        if isinstance(value, Live):
            return value.text
        if isinstance(value, (tuple, list)):
            inside = ", ".join(self.text(v) for v in value)
            if isinstance(value, list):
                return f"[{inside}]"
            return f"({inside},)" if len(value) == 1 else f"({inside})"
        return literal(value)

    def function(self, fn: Any, wish: str) -> str:
        name = next((n for n, known in self.functions.items() if known is fn), "")
        if not name:
            name = self.fresh(wish)
            self.functions[name] = fn
        return name

    def call(self, node: Node, *more: str) -> str:
        name = spelled(node.fn)
        if not name.startswith("np."):
            name = self.function(getattr(node.fn, "__wrapped__", node.fn), node.fn.__name__)
        parts = [self.text(a) for a in node.args]
        parts += [f"{k}={self.text(v)}" for k, v in node.kwargs.items()]
        return f"{name}({', '.join([*parts, *more])})"

    def operands(self, node: Node) -> list[str]:
        """Return the arguments of a ufunc; numbers as arrays cost less."""
        out = node.outs[0].array
        kind = next((a.array.dtype for a in node.args if isinstance(a, Var)), out.dtype)
        shape, back = _layout(out)
        wide = node.fn in (np.maximum, np.minimum) and out.size >= 64 and kind == out.dtype
        texts = []
        for a in node.args:
            if isinstance(a, Live):
                texts.append(self.live(a, kind, node))
            elif node.fn is not np.ldexp and _fits(a, kind):
                if wide:  # for SIMD
                    text = f"np.full({shape}, {literal(a)}, {literal(kind)}){back}"
                    texts.append(self._once("zeros" if a == 0 else "limit", text))
                else:
                    texts.append(self.constant(a, kind))
            elif self.is_static(a) and a.array.ndim and a.array.size == 1 != out.size:
                texts.append(self.view(a, ".reshape(())"))
            else:
                texts.append(self.text(a))
        return texts

    def dot(self, node: Node, left: str, right: str, out: str) -> list[str]:
        if node.outs[0] in self.numbers:
            return [f"{out} = {left}.dot({right})"]
        return [f"{left}.dot({right}, out={out})"]

    def constant(self, value: float, dtype: np.dtype[Any]) -> str:
        known = _NUMBERS.get(float(value), f"c_{value:.4g}".replace("-", "m").replace(".", "p"))
        text = f"np.array({literal(value)}, {literal(dtype)})"
        # bits tell 0.0 from -0.0, and large integers apart
        return self._once(known.replace("+", ""), text, np.array(value, dtype).tobytes(), dtype)

    def ones(self, n: int, dtype: np.dtype[Any]) -> str:
        return self._once("ones", f"np.ones({n}, {literal(dtype)})")

    def live(self, value: Live, dtype: np.dtype[Any], node: Node) -> str:
        text, known = value.text, len(self._made)
        wish = f"{text}_now" if text.isidentifier() else "factor"
        name = self._once(wish, f"np.empty((), {literal(dtype)})", text, dtype)
        if len(self._made) > known:
            self._add(node, None, f"{name}[...] = {text[1:-1] if text[0] == '(' else text}")
        return name

    def view(self, var: Var, suffix: str) -> str:
        name = self.name(var)
        whole = suffix == f".reshape({var.array.shape})"
        return name if whole else self._once(f"{name}_flat", f"{name}{suffix}")

    def flat(self, var: Var) -> str:
        if var.array.ndim == 1:
            return self.text(var)
        return self.view(var, ".reshape(-1)" if var.array.flags.c_contiguous else ".T.reshape(-1)")

    def is_static(self, value: Any) -> bool:
        return isinstance(value, Var) and viewed(value).kind not in ("arg", "grad")

    def _pack(self) -> None:
        """Compute the parts of joined arrays in place."""
        self.placed: dict[Var, tuple[Var, int]] = {}
        written = writes(self.nodes)
        for node in self.nodes:
            flat, start = node.outs[0], 0
            found = {flat: (flat, 0)}
            if (
                node.fn is not concat
                or memory(flat) in written
                or node.kwargs.get("axis", 0) not in (0, None)
                or not all(isinstance(p, Var) and p.array.dtype == flat.array.dtype
                           for p in node.args)
                or not flat.array.flags.c_contiguous
            ):  # fmt: skip
                continue
            for part in node.args:
                made = maker(part)
                if (
                    made
                    and made.view_of is None
                    and len(made.outs) == 1
                    and part not in self.placed
                    and part not in found
                    and memory(part) not in written
                    and part.array.flags.c_contiguous
                ):
                    found[part] = (flat, start)
                start += part.array.size
            if 2 * len(found) >= len(node.args) + 2:
                self.placed.update(found)
                self.last.update((memory(v), len(self.nodes)) for v in found)

    def _allocate(self, node: Node, i: int) -> None:
        for v in node.outs:
            if v in self.numbers:
                continue
            if v in self.placed:
                flat, start = self.placed[v]
                if flat not in self.names:
                    a = flat.array
                    shape = a.size if a.ndim == 1 else a.shape
                    self.setup.append(f"{self.name(flat)} = np.empty({shape}, {literal(a.dtype)})")
                if flat is not v:
                    self.setup.append(f"{self.name(v)} = {self.place_text(v, flat, start)}")
                continue
            if twin := self._in_place(node, v, i):
                # the same object: NumPy need not ask whether they overlap
                buffer = self._slot.pop(memory(twin))
                text = self.name(twin)
            else:
                buffer, a = self._from_free(v), v.array
                size = f"[:{a.size}]" if self._buffers[buffer].size != a.size else ""
                shape, back = _layout(a)
                text = f"{buffer}{size}{f'.reshape({shape})' if a.ndim != 1 else ''}{back}"
            self._slot[memory(v)] = buffer
            self._users[buffer] += 1
            self.setup.append(f"{self.name(v)} = {text}")

    def place_text(self, part: Var, flat: Var, start: int) -> str:
        a, whole = part.array, self.name(flat)
        if flat.array.ndim > 1:
            first = start * len(flat.array) // max(flat.array.size, 1)
            return f"{whole}[{first}:{first + len(a)}]"
        shape = "" if a.ndim == 1 else f".reshape({a.shape})"
        return f"{whole}[{start}:{start + a.size}]{shape}"

    def _in_place(self, node: Node, out: Var, i: int) -> Var | None:
        """Return an argument like the output and last used here."""
        if not isinstance(node.fn, np.ufunc) or node.fn.signature:
            return None
        o = out.array
        for v in node.vars():
            a, at = v.array, memory(v)
            last = self._slot.get(at) and self.last[at] == i and viewed(v).array.size == a.size
            if last and (a.shape, a.strides, a.dtype) == (o.shape, o.strides, o.dtype):
                return v
        return None

    def _from_free(self, v: Var) -> str:
        n, dtype = v.array.size, v.array.dtype
        free = [(self._buffers[name], name) for name in self._free]
        fitting = [(b.size, name) for b, name in free
                   if b.dtype.name == dtype.name and n <= b.size <= 4 * n + 64]  # fmt: skip
        if fitting:
            name = min(fitting)[1]
            self._free.remove(name)
            return name
        name = self.fresh("buffer")
        self.setup.append(f"{name} = np.empty({n}, {literal(dtype)})")
        self._buffers[name] = v.array
        return name

    def write(self) -> None:
        for i, node in enumerate(self.nodes):
            if node.view_of is not None:
                out, text = node.outs[0], view_text(self, node)
                if text.endswith(".T"):
                    out.wish = out.wish or text.replace(".T", "_T")
                elif ".reshape(" in text and out.array.ndim == 1:
                    out.wish = out.wish or f"{text.partition('.')[0]}_flat"
                line = f"{self.name(out)} = {text}"
                if self.is_static(out):
                    self.setup.append(line)
                else:
                    self._add(node, out, line)
                continue
            if node.kind == "write":
                target = node.args[0]
                (text,) = self.operands(node)[1:]
                name = self.name(target)
                self._add(node, target, f"{spelled(node.fn)}({name}, {text}, out={name})")
            else:
                self._allocate(node, i)
                self._call(node)
            over = [at for at in self._slot if self.last[at] == i]
            self._free += map(self._slot.pop, over)
        for k in reversed(range(len(self.setup))):
            buffer, made = self.setup[k].split(" = ", 1)
            if self._users[buffer] == 1:  # which needs no name of its own
                user = self.setup.pop(k + 1)
                self.setup[k] = user.replace(f" = {buffer}", f" = {made}")

    def _call(self, node: Node) -> None:
        out = node.outs[0]
        if node.kind == "draw":
            rng = self.function(node.fn, "rng")
            dtype = literal(node.args[1])
            self._add(node, out, f"{rng}.random(dtype={dtype}, out={self.name(out)})")
        elif len(node.outs) > 1:
            names = [self.fresh(f"{self.name(v)}_new") for v in node.outs]
            self._add(node, None, f"{', '.join(names)} = {self.call(node)}")
            for v, new in zip(node.outs, names, strict=True):
                self._add(node, v, fill(node, v, self.name(v), new))
        else:
            self._add(node, out, *spell(self, node, self.name(out)))

    def _add(self, node: Node, target: Var | None, *lines: str) -> None:
        self.body += [Statement(line, node, target) for line in lines]


def _layout(a: Array) -> tuple[tuple[int, ...], str]:
    """Return the shape in memory order, and the way back."""
    axes = list(range(a.ndim))
    order = sorted(axes, key=lambda i: -abs(a.strides[i]))
    back = f".transpose({tuple(map(order.index, axes))})"
    if order == axes:
        back = ""
    elif order == axes[::-1]:
        back = ".T"
    return tuple(a.shape[i] for i in order), back


def _fits(value: Any, kind: np.dtype[Any]) -> bool:
    """Tell whether a dtype holds a value."""
    if kind.kind in "iu" and type(value) is int:
        return int(np.iinfo(kind).min) <= value <= np.iinfo(kind).max
    return kind.kind == "f" and isinstance(value, (int, float)) and not isinstance(value, bool)


def wish(var: Var) -> str:
    """Return a reader's name for a Var."""
    prefix, met = "", set()
    while not var.wish and var.grad_of and var not in met:
        met.add(var)  # merged calls may be the gradients of each other
        prefix, var = "d_" + prefix, var.grad_of
    if var.wish:
        name = var.wish
    elif var.node is None:
        name = {"const": "constant", "grad": "start"}.get(var.kind, "array")
    else:
        name = "drawn" if var.node.kind == "draw" else getattr(var.node.fn, "__name__", "t")
        name = {"getitem": "part", "concat": "joined", "contract": "einsum"}.get(name, name)
    return prefix + name


# Python is faster on numbers from products
_OPERATORS = {
    np.add: "{} + {}", np.subtract: "{} - {}", np.multiply: "{} * {}", np.divide: "{} / {}",
    np.negative: "-{}",
}  # fmt: skip
_SMALL_SUM = 4096  # so far products with ones are exact enough
_REDUCTIONS = {
    np.sum: "add", np.max: "maximum", np.min: "minimum", np.prod: "multiply",
    np.all: "logical_and", np.any: "logical_or",
}  # fmt: skip


def spell(w: Writer, node: Node, out: str) -> list[str]:
    """Return a call as statements."""
    if node.fn in SPELLINGS:
        return SPELLINGS[node.fn](w, node, out)
    if node.outs[0] in w.numbers:
        return [f"{out} = {_OPERATORS[node.fn].format(*map(w.text, node.args))}"]
    if isinstance(node.fn, np.ufunc) and node.fn.nout == 1:
        return [f"{spelled(node.fn)}({', '.join(w.operands(node))}, out={out})"]
    first = "[0]" if node.fn is np.nonzero else ""  # of one axis
    return [fill(node, node.outs[0], out, view_text(w, node) + first)]


def fill(node: Node, var: Var, out: str, text: str) -> str:
    """Return the copy of a result into its array."""
    if sized_by_values(node) and var.array.ndim:
        return f"np.concatenate(({text},), out={out})"  # an assignment would broadcast
    return f"{out}[...] = {text}"


def sized_by_values(node: Node) -> bool:
    """Tell whether values may decide the size."""
    if node.fn is operator.getitem:
        index = node.args[1] if isinstance(node.args[1], tuple) else (node.args[1],)
        return any(isinstance(i, Var) and i.array.dtype.kind == "b" for i in index)
    if node.rule is not None and node.rule.multi and len(node.outs) == 1:
        return node.fn is np.nonzero  # others may give an array
    sized = (np.nonzero, np.flatnonzero, np.argwhere, np.repeat, np.bincount)
    return node.fn in sized or not spelled(node.fn).startswith("np.")


def literal(value: Any) -> str:
    """Return the source of a static argument."""
    if isinstance(value, float) and not math.isfinite(value):
        return not_finite(str(value))
    if isinstance(value, np.dtype):
        value = value.type
    if isinstance(value, type) and issubclass(value, np.generic):
        return f"np.{value.__name__}"
    if isinstance(value, np.generic):
        return f"np.{type(value).__name__}({value.item()!r})"
    return repr(value)


def not_finite(text: str) -> str:
    """Return numbers as source."""
    return re.sub("inf|nan", r"np.\g<0>", text)


def _index(w: Writer, index: Any) -> str:
    def part(i: Any) -> str:
        if isinstance(i, slice):
            ends = ["" if v is None else str(v) for v in (i.start, i.stop)]
            return ":".join(ends) + (f":{i.step}" if i.step not in (None, 1) else "")
        return "..." if i is Ellipsis else w.text(i)

    if isinstance(index, tuple):
        return ", ".join(map(part, index)) + "," * (len(index) == 1) or "()"
    return part(index)


def _matmul(w: Writer, node: Node, out: str) -> list[str]:
    """Write `x.dot(y)`, which saves 0.5 us, of vectors if possible."""
    x, y = node.args[:2]
    o = node.outs[0]
    a, b = (v.array if isinstance(v, Var) else np.asarray(v) for v in (x, y))
    left, right = w.text(x), w.text(y)
    same = a.dtype == b.dtype == o.array.dtype and o.array.dtype.kind == "f"
    if not same or a.ndim > 2 or b.ndim > 2 or not o.array.flags.c_contiguous:
        return [f"np.matmul({left}, {right}, out={out})"]
    if a.ndim == b.ndim == 2:
        row, column = a.shape[:1], b.shape[1:]
        if row == (1,) and w.is_static(x):
            row, left = (), w.view(x, ".reshape(-1)")
        if column == (1,) and w.is_static(y):
            column, right = (), w.view(y, ".reshape(-1)")
        out = w.view(o, f".reshape({row + column})")
    return w.dot(node, left, right, out)


def _einsum(w: Writer, node: Node, out: str) -> list[str]:
    operands = ", ".join(w.text(a) for a in node.args)
    optimize = node.kwargs.get("optimize")
    more = f", optimize={optimize!r}" if optimize else ""
    return [f"np.einsum({node.kwargs['subscripts']!r}, {operands}, out={out}{more})"]


def numbers(nodes: list[Node], grads: Iterable[Var]) -> set[Var]:
    """Return the Vars that may be Python numbers."""
    arrays = set(grads)
    while True:
        found: set[Var] = set()
        for node in nodes:
            if node.outs[0] not in arrays and _gives_number(node, found):
                found.add(node.outs[0])
            if node.fn in (np.matmul, np.sum) or node.outs[0] not in found:
                arrays.update(node.vars())
        if arrays.isdisjoint(found):
            return found


def _gives_number(node: Node, known: set[Var]) -> bool:
    out = node.outs[0].array
    args = [v for v in node.args if isinstance(v, Var)]
    if node.kind != "call" or len(node.outs) > 1 or out.ndim or out.dtype.kind != "f" or not args:
        return False
    if node.fn in _OPERATORS:
        return all(v in known for v in args) and not any(isinstance(a, Live) for a in node.args)
    if any(v.array.dtype != out.dtype for v in args):
        return False
    if node.fn is np.matmul:
        return len(args) == 2 and all(v.array.ndim == 1 for v in args)
    x = args[0]
    short = 1 < x.array.size <= _SMALL_SUM and x.kind == "made" and x.array.flags.forc
    return short and node.fn is np.sum and not node.kwargs.get("keepdims")


def _reduction(w: Writer, node: Node, out: str) -> list[str]:
    x, *rest = node.args
    options = dict(node.kwargs)
    axis = rest[0] if rest else options.pop("axis", None)
    keep = ", keepdims=True" if options.pop("keepdims", False) else ""
    extra = "".join(f", {k}={w.text(v)}" for k, v in options.items())
    ufunc = _REDUCTIONS.get(node.fn, "add")  # a mean is a sum first
    if ufunc == "add" and not extra and (product := _as_product(w, node, x, axis)):
        return product
    call = f"np.{ufunc}.reduce({w.text(x)}, axis={axis!r}{keep}{extra}"
    return [f"{out} = {call})" if node.outs[0] in w.numbers else f"{call}, out={out})"]


def _as_product(w: Writer, node: Node, x: Any, axis: Any) -> list[str]:
    """Write a sum as a product with ones if that is faster."""
    o = node.outs[0]
    if not isinstance(x, Var) or x.array.dtype != o.array.dtype or x.array.dtype.kind != "f":
        return []
    a = x.array
    if axis is None or (a.ndim == 1 and axis != ()):
        if not (1 < a.size <= _SMALL_SUM and w.is_static(x) and a.flags.forc):
            return []
        ones, out = w.ones(a.size, a.dtype), w.view(o, ".reshape(())")
        return w.dot(node, ones, w.flat(x), out)
    if a.ndim != 2 or isinstance(axis, tuple) or a.shape[axis] > _SMALL_SUM:
        return []
    if not a.size or not o.array.flags.c_contiguous:
        return []
    out = w.text(o) if o.array.ndim == 1 else w.view(o, ".reshape(-1)")
    ones, text = w.ones(a.shape[axis], a.dtype), w.text(x)
    return w.dot(node, *((ones, text) if axis in (0, -2) else (text, ones)), out)


def _mean(w: Writer, node: Node, out: str) -> list[str]:
    x, o = node.args[0], node.outs[0]
    if set(node.kwargs) - {"axis", "keepdims"} or x.array.dtype != o.array.dtype:
        return [f"{out}[...] = {w.call(node)}"]
    count = x.array.size // max(o.array.size, 1)
    number = w.constant(float(count), o.array.dtype)
    return [*_reduction(w, node, out), f"np.divide({out}, {number}, out={out})"]


def _concatenate(w: Writer, node: Node, out: str) -> list[str]:
    flat = node.outs[0]
    if w.placed.get(flat) != (flat, 0):
        parts = ", ".join(w.text(a) for a in node.args)
        return [f"np.concatenate(({parts},), axis={node.kwargs.get('axis', 0)}, out={out})"]
    lines, start = [], 0
    for part in node.args:
        if w.placed.get(part) != (flat, start):
            lines.append(f"np.copyto({w.place_text(part, flat, start)}, {w.text(part)})")
        start += part.array.size
    return lines


def _copy(w: Writer, node: Node, out: str) -> list[str]:
    shape = f".reshape({node.outs[0].array.shape})" if node.fn in (np.reshape, np.ravel) else ""
    casting = ', casting="unsafe"' if node.fn is astype else ""
    return [f"np.copyto({out}, {w.text(node.args[0])}{shape}{casting})"]


def _where(w: Writer, node: Node, out: str) -> list[str]:
    given = node.args[0]
    condition, x, y = map(w.text, node.args)
    if not isinstance(given, Var) or given.array.dtype.kind != "b":
        condition = f"np.not_equal({condition}, 0)"
    return [f"np.copyto({out}, {y})", f"np.copyto({out}, {x}, where={condition})"]


def view_text(w: Writer, node: Node) -> str:
    """Return a call as an expression."""
    name, shape = w.text(node.args[0]), node.outs[0].array.shape
    options = [*node.args[1:], *node.kwargs.values()]
    if node.fn is operator.getitem:
        return f"{name}[{_index(w, options[0])}]"
    if node.fn is np.transpose:
        axes = options[0] if options else None
        if axes is None or [*axes] == [*range(len(axes))][::-1]:
            return f"{name}.T"
        return f"{name}.transpose({tuple(axes)})"
    if node.fn is np.swapaxes:
        return f"{name}.swapaxes({options[0]}, {options[1]})"
    if node.fn in (np.reshape, np.ravel, np.squeeze, np.expand_dims):
        return f"{name}.reshape({-1 if len(shape) == 1 and shape[0] > 0 else shape})"
    return w.call(node)


SPELLINGS: dict[Any, Callable[[Writer, Node, str], list[str]]] = {
    **dict.fromkeys(_REDUCTIONS, _reduction),
    **dict.fromkeys((np.copy, np.reshape, np.ravel, np.broadcast_to, astype), _copy),
    **dict.fromkeys(
        (np.clip, np.argmax, np.argmin), lambda w, node, out: [w.call(node, f"out={out}")]
    ),
    np.matmul: _matmul, contract: _einsum, np.mean: _mean, concat: _concatenate, np.where: _where,
}  # fmt: skip
