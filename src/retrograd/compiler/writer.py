"""From the list of calls to the source of a program: names, buffers, statements."""

from __future__ import annotations

import builtins
import keyword
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from retrograd.compiler.spelling import fill, literal, numbers, spell, view_text
from retrograd.compiler.tape import Live, Node, Var, memory
from retrograd.core import Array
from retrograd.registry import spelled
from retrograd.rules.joining import concat

# what programs and exported scripts use themselves
_RESERVED = {
    *keyword.kwlist, *dir(builtins), "np", "program", "step", "predict", "main", "sys", "Path",
    "ARGUMENTS",
} - {"input"}  # fmt: skip


class Statement:
    """One line of a program: its source, the array it fills, and the call it comes from."""

    __slots__ = ("node", "section", "target", "text", "writes")

    def __init__(self, text: str, section: str, node: Node | None, target: Var | None) -> None:
        self.text = text
        self.section = section
        self.node = node
        self.target = target
        self.writes = False  # to memory outside of the program


class Writer:
    """Writes the statements of a program and what has to stand before them.

    `setup` is source that makes buffers and views, `data` the arrays that it takes as they are,
    `body` the statements of one run.
    """

    def __init__(
        self,
        nodes: list[Node],
        results: Iterable[Var],
        grads: Iterable[Var],
        wishes: Callable[[Var], str],
        reserved: Iterable[str] = (),
    ) -> None:
        self.nodes = nodes
        self.keep = [*results, *grads]  # arrays that are read after the run
        self.numbers = numbers(nodes, set(results), set(grads))
        self.wishes = wishes
        self.setup: list[str] = []
        self.data: dict[str, Array] = {}
        self.functions: dict[str, Any] = {}
        self.body: list[Statement] = []
        self.names: dict[Var, str] = {}
        self.packed: set[Var] = set()
        self._taken = {*_RESERVED, *reserved}
        self._views: dict[Any, str] = {}
        self._constants: dict[Any, str] = {}
        self._lives: dict[Any, str] = {}
        self._runtime: set[Var] = set()  # views of arguments, made anew in every run
        self._current: Node | None = None
        self._plan()

    # Names ---------------------------------------------------------------------------------------

    def fresh(self, wish: str) -> str:
        """Return the wish as an identifier that nothing else has."""
        stem = "".join(c if c.isalnum() or c == "_" else "_" for c in wish).strip("_") or "t"
        if stem[0].isdigit():
            stem = f"t{stem}"
        name, k = stem, 1
        while name in self._taken:
            k += 1
            name = f"{stem}_{k}"
        self._taken.add(name)
        return name

    def name(self, var: Var) -> str:
        """Return the name of a Var, choosing it at the first call."""
        if var not in self.names:
            if var.kind == "const" and var.array.size and _uniform(var.array):
                self.names[var] = self._uniform(var.array)
                return self.names[var]
            self.names[var] = self.fresh(self.wishes(var))
            if var.kind in ("const", "captured"):
                self.data[self.names[var]] = var.array
        return self.names[var]

    # What spellings ask --------------------------------------------------------------------------

    def text(self, value: Any) -> str:
        """Return the source of an argument."""
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

    def arguments(self, node: Node) -> str:
        """Return all arguments of a call as source."""
        parts = [self.text(a) for a in node.args]
        parts += [f"{k}={self.text(v)}" for k, v in node.kwargs.items()]
        return ", ".join(parts)

    def function(self, node: Node) -> str:
        """Return the source of a function; one that NumPy lacks comes with the program."""
        name = spelled(node.fn)
        if name.startswith("np."):
            return name
        body = getattr(node.fn, "__wrapped__", node.fn)
        for known, fn in self.functions.items():
            if fn is body:
                return known
        name = self.fresh(node.fn.__name__)
        self.functions[name] = body
        return name

    def operands(self, node: Node) -> list[str]:
        """Return the arguments of a ufunc; numbers become arrays of no axes, which cost less."""
        out = node.outs[0].array
        arrays = [a.array for a in node.args if isinstance(a, Var)]
        kind = arrays[0].dtype if arrays else out.dtype
        texts = []
        for a in node.args:
            if isinstance(a, Live):
                texts.append(self.live(a, kind))
            elif _is_number(a) and node.fn is not np.ldexp and _fits(a, kind):
                if node.fn in (np.maximum, np.minimum) and out.size >= 64 and kind == out.dtype:
                    texts.append(self.full(a, node.outs[0]))  # two full operands use SIMD
                else:
                    texts.append(self.constant(a, kind))
            elif isinstance(a, Var) and a.array.size == 1 and a.array.ndim and out.ndim:
                if self.is_static(a) and a.array.size != out.size:
                    texts.append(self.view(a, ".reshape(())", a.array.reshape(())))
                else:
                    texts.append(self.text(a))
            else:
                texts.append(self.text(a))
        return texts

    def dot(self, node: Node, left: str, right: str, out: str) -> list[str]:
        """Return a product as a statement: into an array, or as a number."""
        if node.outs[0] in self.numbers:
            return [f"{out} = {left}.dot({right})"]
        return [f"{left}.dot({right}, out={out})"]

    def constant(self, value: float, dtype: Any) -> str:
        """Return the name of a number as an array of no axes."""
        # by its bits: 0.0 == -0.0, and large integers are equal as floats
        key = (np.array(value, dtype).tobytes(), np.dtype(dtype).name)
        if key not in self._constants:
            words = {0.0: "zero", 1.0: "one", 2.0: "two", 0.5: "half", -1.0: "minus_one"}
            known = words.get(float(value), f"c_{value:.4g}".replace("-", "m").replace(".", "p"))
            name = self._constants[key] = self.fresh(known.replace("+", ""))
            self.setup.append(f"{name} = np.array({literal(value)}, {literal(np.dtype(dtype))})")
        return self._constants[key]

    def _uniform(self, a: Array) -> str:
        """Return the name of a constant array that has one value everywhere."""
        value = a.reshape(-1)[0].item()
        if not a.ndim:
            return self.constant(value, a.dtype)
        if a.ndim == 1 and value == 1:
            return self.ones(a.size, a.dtype)
        key = ("uniform", repr(value), a.shape, a.dtype.name)
        if key not in self._constants:
            name = self._constants[key] = self.fresh("zeros" if value == 0 else "constant")
            self.setup.append(f"{name} = np.full({a.shape}, {literal(value)}, {literal(a.dtype)})")
        return self._constants[key]

    def full(self, value: float, like: Var) -> str:
        """Return the name of an array that has one value everywhere, laid out like another."""
        a = like.array
        key = ("full", repr(value), a.shape, _order(a), a.dtype.name)
        if key not in self._constants:
            name = self._constants[key] = self.fresh("zeros" if value == 0 else "limit")
            number = f"np.full({_memory(a)}, {literal(value)}, {literal(a.dtype)})"
            self.setup.append(f"{name} = {number}{_back(a)}")
        return self._constants[key]

    def ones(self, n: int, dtype: Any) -> str:
        """Return the name of a vector of ones."""
        key = ("ones", n, np.dtype(dtype).name)
        if key not in self._constants:
            name = self._constants[key] = self.fresh("ones")
            self.setup.append(f"{name} = np.ones({n}, {literal(np.dtype(dtype))})")
        return self._constants[key]

    def live(self, value: Live, dtype: Any) -> str:
        """Return the name of an array of no axes that every run fills with a number."""
        key = (value.text, np.dtype(dtype).name)
        if key not in self._lives:
            wish = f"{value.text}_now" if value.text.isidentifier() else "factor"
            name = self._lives[key] = self.fresh(wish)
            self.setup.append(f"{name} = np.empty((), {literal(np.dtype(dtype))})")
            text = value.text
            while text.startswith("(") and _closes_at_end(text):
                text = text[1:-1]
            assert self._current is not None
            line = f"{name}[...] = {text}"
            self.body.append(Statement(line, self._current.section, None, None))
        return self._lives[key]

    def view(self, var: Var, suffix: str, array: Array) -> str:
        """Return the name of a view that is made once, before all runs."""
        if suffix == f".reshape({var.array.shape})":
            return self.text(var)
        key = (var, suffix)
        if key not in self._views:
            name = self._views[key] = self.fresh(f"{self.name(var)}_flat")
            self.setup.append(f"{name} = {self.name(var)}{suffix}")
        return self._views[key]

    def flat(self, value: Any) -> str:
        """Return a value as a vector: a view where its memory is one block."""
        if not isinstance(value, Var):
            return f"np.ravel({self.text(value)})"
        if value.array.ndim == 1:
            return self.text(value)
        if self.is_static(value) and value.array.flags.c_contiguous:
            return self.view(value, ".reshape(-1)", value.array.reshape(-1))
        if self.is_static(value) and value.array.flags.f_contiguous:
            return self.view(value, ".T.reshape(-1)", value.array.T.reshape(-1))
        return f"{self.text(value)}.reshape(-1)"

    def is_static(self, value: Any) -> bool:
        """Tell whether the memory of a value is the same in every run."""
        return isinstance(value, Var) and not self._moves(value)

    def _moves(self, var: Var) -> bool:
        return var.kind in ("arg", "grad") or var in self._runtime

    def is_c(self, var: Var) -> bool:
        """Tell whether an array is one block in C order."""
        return bool(var.array.flags.c_contiguous)

    def is_dense(self, var: Var) -> bool:
        """Tell whether an array is one block in C or Fortran order."""
        return bool(var.array.flags.c_contiguous or var.array.flags.f_contiguous)

    # Buffers -------------------------------------------------------------------------------------

    def _plan(self) -> None:
        """Find out who owns which memory, how long it is used, and what is packed together."""
        self.owner: dict[int, Var] = {}
        self.views: set[Node] = set()
        for node in self.nodes:
            for v in node.vars():
                if v.kind != "made":
                    self.owner.setdefault(memory(v), v)
            if node.kind == "write":
                continue
            if node.view_of is not None:
                self.views.add(node)
                if any(self._moves(v) for v in node.vars()):
                    self._runtime.add(node.outs[0])
                continue
            for v in node.outs:
                self.owner[memory(v)] = v
        self.last: dict[int, int] = {}
        for i, node in enumerate(self.nodes):
            for v in (*node.vars(), *node.outs):
                self.last[memory(v)] = i
        for v in self.keep:
            self.last[memory(v)] = len(self.nodes)
        self._pack()
        self._free: dict[Any, list[tuple[int, str]]] = {}
        self._slot: dict[int, tuple[str, int]] = {}
        self._sizes: dict[str, tuple[int, Any]] = {}
        self._slot_vars: dict[str, list[Var]] = {}

    def _pack(self) -> None:
        """Let the parts of a flat array be computed in their places of it."""
        self.placed: dict[Var, tuple[Var, int]] = {}
        producer = {v: node for node in self.nodes if node.kind == "call" for v in node.outs}
        written = {memory(v) for node in self.nodes if node.kind == "write" for v in node.outs}
        for node in self.nodes:
            if node.fn is not concat or memory(node.outs[0]) in written:
                continue
            flat, start, found = node.outs[0], 0, {}
            axis = node.kwargs.get("axis", 0)
            alike = all(isinstance(p, Var) and p.array.dtype == flat.array.dtype for p in node.args)
            if axis not in (0, None) or not alike or not self.is_c(flat):
                continue
            for part in node.args:
                maker = producer.get(part)
                if (
                    maker is not None
                    and maker not in self.views
                    and len(maker.outs) == 1
                    and part not in self.placed
                    and part not in found
                    and part not in self.packed
                    and memory(part) not in written
                    and self.is_c(part)
                ):
                    found[part] = (flat, start)
                start += part.array.size
            if 2 * len(found) >= len(node.args):
                self.placed.update(found)
                self.packed.add(flat)
                for part in found:
                    self.last[memory(part)] = len(self.nodes)
                self.last[memory(flat)] = len(self.nodes)

    def _allocate(self, node: Node, i: int) -> None:
        """Give each output memory: its place in a flat array, that of an argument, or a slot."""
        for v in node.outs:
            place = memory(v)
            if v in self.numbers:
                continue
            if v in self.packed:
                if place not in self._slot:
                    self._new_slot(v)
                continue
            if v in self.placed:
                flat, start = self.placed[v]
                if memory(flat) not in self._slot:
                    self._new_slot(flat)
                self.setup.append(f"{self.name(v)} = {self.place_text(v, flat, start)}")
                self._slot[place] = (self.name(v), -1)
                continue
            twin = self._in_place(node, v, i)
            if twin is not None:
                # the same array object: NumPy looks no further whether the two overlap
                slot = self._slot.pop(memory(twin))  # it is not free afterwards
                text = self.name(twin)
            else:
                slot = self._from_free(v)
                a = v.array
                size = f"[:{a.size}]" if self._sizes[slot[0]][0] != a.size else ""
                shape = f".reshape({_memory(a)})" if a.ndim != 1 else ""
                text = f"{slot[0]}{size}{shape}{_back(a)}"
            self._slot[place] = slot
            self._slot_vars.setdefault(slot[0], []).append(v)
            self.setup.append(f"{self.name(v)} = {text}")

    def _new_slot(self, v: Var) -> None:
        a = v.array
        shape = a.size if a.ndim == 1 else a.shape
        self.setup.append(f"{self.name(v)} = np.empty({shape}, {literal(a.dtype)})")
        self._slot[memory(v)] = (self.name(v), -1)

    def place_text(self, part: Var, flat: Var, start: int) -> str:
        """Return the expression of a part of a packed array."""
        a, whole = part.array, self.name(flat)
        if flat.array.ndim > 1 and a.shape[1:] == flat.array.shape[1:]:
            row = math.prod(a.shape[1:]) or 1  # of no elements: any place will do
            return f"{whole}[{start // row}:{start // row + a.shape[0]}]"
        if flat.array.ndim > 1:
            whole += ".reshape(-1)"
        return f"{whole}[{start}:{start + a.size}]" + (
            "" if a.ndim == 1 else f".reshape({a.shape})"
        )

    def _in_place(self, node: Node, out: Var, i: int) -> Var | None:
        """Return an argument whose memory is read here for the last time and fits the output."""
        if not isinstance(node.fn, np.ufunc) or node.fn.nin == 0 or node.fn.signature:
            return None
        for v in node.vars():
            place = memory(v)
            slot = self._slot.get(place)
            alike = v.array.shape == out.array.shape and v.array.strides == out.array.strides
            if slot is None or slot[1] < 0 or not alike or v.array.dtype != out.array.dtype:
                continue
            whole = self.owner.get(place)
            if self.last[place] == i and whole is not None and whole.array.size == v.array.size:
                return v
        return None

    def _from_free(self, v: Var) -> tuple[str, int]:
        free = self._free.setdefault(v.array.dtype.name, [])
        fitting = [s for s in free if s[0] >= v.array.size and s[0] <= 4 * v.array.size + 64]
        if fitting:
            best = min(fitting)
            free.remove(best)
            return best[1], best[0]
        name = self.fresh("buffer")
        self.setup.append(f"{name} = np.empty({v.array.size}, {literal(v.array.dtype)})")
        self._sizes[name] = (v.array.size, v.array.dtype)
        return name, v.array.size

    def _release(self, i: int) -> None:
        """Take back the memory that is read for the last time in call `i`."""
        for place in [m for m in self._slot if self.last.get(m) == i]:
            name, size = self._slot.pop(place)
            if size >= 0:
                self._free.setdefault(self._sizes[name][1].name, []).append((size, name))

    # Statements ----------------------------------------------------------------------------------

    def write(self) -> None:
        """Write all statements."""
        for i, node in enumerate(self.nodes):
            self._current = node
            if node in self.views:
                out, text = node.outs[0], view_text(self, node)
                if text.endswith(".T") and not out.wish:
                    out.wish = text.replace(".T", "_T")
                elif ".reshape(" in text and out.array.ndim == 1 and not out.wish:
                    out.wish = f"{text.partition('.')[0]}_flat"
                line = f"{self.name(out)} = {text}"
                if out in self._runtime:
                    self.body.append(Statement(line, node.section, node, out))
                else:
                    self.setup.append(line)
                continue
            if node.kind == "write":
                target = node.args[0]
                (text,) = self.operands(node)[1:]
                name = self.name(target)
                line = f"{spelled(node.fn)}({name}, {text}, out={name})"
                self.body.append(Statement(line, node.section, node, target))
                self.body[-1].writes = memory(target) not in self._slot
                self._release(i)
                continue
            self._allocate(node, i)
            if node.kind == "draw":
                rng = self.fresh("rng") if id(node.fn) not in self._constants else ""
                rng = self._constants.setdefault(id(node.fn), rng)
                self.functions[rng] = node.fn
                drawn = self.name(node.outs[0])
                line = f"{rng}.random(dtype={literal(node.args[1])}, out={drawn})"
                self.body.append(Statement(line, node.section, node, node.outs[0]))
            elif len(node.outs) > 1:
                names = [self.fresh(f"{self.name(v)}_new") for v in node.outs]
                call = f"{', '.join(names)} = {self.function(node)}({self.arguments(node)})"
                self.body.append(Statement(call, node.section, node, None))
                for v, new in zip(node.outs, names, strict=True):
                    line = fill(node, v, self.name(v), new)
                    self.body.append(Statement(line, node.section, node, v))
            else:
                out = node.outs[0]
                for line in spell(self, node, self.name(out)):
                    self.body.append(Statement(line, node.section, node, out))
            self._release(i)
        for name, users in self._slot_vars.items():
            if len(users) == 1:  # a buffer with one user needs no name of its own
                made = next(line for line in self.setup if line.startswith(f"{name} = "))
                self.setup.remove(made)
                self.setup = [
                    line.replace(f" = {name}", f" = {made.removeprefix(f'{name} = ')}")
                    if line.startswith(f"{self.name(users[0])} = ") else line
                    for line in self.setup
                ]  # fmt: skip


def _uniform(a: Array) -> bool:
    first = a.reshape(-1)[0]
    alike = a.dtype.kind in "fiu" and bool((a == first).all())
    return alike and (first != 0 or bool((np.signbit(a) == np.signbit(first)).all()))


def _order(a: Array) -> tuple[int, ...]:
    """Return the axes from the slowest in memory to the fastest."""
    return tuple(sorted(range(a.ndim), key=lambda i: (-abs(a.strides[i]), i)))


def _memory(a: Array) -> tuple[int, ...]:
    return tuple(a.shape[i] for i in _order(a))


def _back(a: Array) -> str:
    """Return what turns an array in memory order into one with the axes of `a`."""
    order = _order(a)
    if order == tuple(range(a.ndim)):
        return ""
    if order == tuple(range(a.ndim))[::-1]:
        return ".T"
    return f".transpose({tuple(order.index(i) for i in range(a.ndim))})"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _fits(value: float, kind: np.dtype[Any]) -> bool:
    if kind.kind == "f":
        return True
    if kind.kind not in "iu" or not isinstance(value, int):
        return False
    return bool(np.iinfo(kind).min <= value <= np.iinfo(kind).max)


def _closes_at_end(text: str) -> bool:
    depth = 0
    for i, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if depth == 0:
            return i == len(text) - 1
    return False
