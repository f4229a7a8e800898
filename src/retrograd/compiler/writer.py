"""From calls to source: names, buffers, statements with `out=`."""

import builtins
import itertools
import keyword
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrograd.compiler.spelling import fill, literal, numbers, spell, view_text, wish
from retrograd.compiler.tape import Live, Node, Var, maker, memory, viewed, writes
from retrograd.engine import Array, spelled
from retrograd.rules.joining import concat

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
