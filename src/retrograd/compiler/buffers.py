"""Where the arrays of a program lie: joined in place, over an argument, or in shared buffers."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence

import numpy as np

from retrograd.compiler.ir import Call, Flow, Var
from retrograd.compiler.names import Taken
from retrograd.compiler.statements import Buffer
from retrograd.engine import written
from retrograd.rules.joining import concat

Place = tuple[Var, int]  # a joined array, and the element of it where a part begins

# What takes 6 to 8 times as long where it writes over its argument: NumPy's loop is one of branches
# then, which processors guess wrong (NumPy 2.4, 2,048 random numbers).
SLOW_IN_PLACE = {np.sign}


def find_joined(calls: Sequence[Call], flow: Flow) -> dict[Var, Place]:
    """Return the arrays that can be computed as parts of the one that joins them, and where.

    The joined array itself is among them.
    """
    placed: dict[Var, Place] = {}
    written = flow.writes(calls)
    for call in calls:
        flat, start = call.outs[0], 0
        found = {flat: (flat, 0)}
        if (
            call.fn is not concat
            or flow.memory(flat) in written
            or call.kwargs.get("axis", 0) not in (0, None)
            or not all(isinstance(p, Var) and p.dtype == flat.dtype for p in call.args)
            or not flat.is_c_contiguous
        ):
            continue
        for part in call.args:
            made = flow.maker(part)
            if (
                made
                and made.view_of is None
                and len(made.outs) == 1
                and part not in placed
                and part not in found
                and flow.memory(part) not in written
                and part.is_c_contiguous
            ):
                found[part] = (flat, start)
            start += part.size
        if 2 * len(found) >= len(call.args) + 2:
            placed.update(found)
    return placed


class Buffers:
    """Hands out memory to arrays one call after the other, and takes back what is used no more.

    Args:
        calls: what is run, in order.
        kept: the arrays that are read after the run.
        apart: arrays that have a place elsewhere.
        flow: of the calls.
        taken: the names of the program.

    Attributes:
        over: the arrays that lie where an argument of their call was, and that argument.
    """

    def __init__(
        self, calls: Sequence[Call], kept: Iterable[Var], apart: Iterable[Var], flow: Flow,
        taken: Taken,
    ) -> None:  # fmt: skip
        self.flow = flow
        self._taken = taken
        self.over: dict[Var, Var] = {}
        memory = flow.memory
        self._last: dict[object, int] = {}  # the call that uses each memory last
        for i, call in enumerate(calls):
            for v in (*call.vars(), *call.outs):
                self._last[memory(v)] = i
        end = len(calls)
        self._last.update((memory(v), end) for v in (*kept, *apart))
        self._over: list[list[object]] = [[] for _ in range(end + 1)]
        for at, i in self._last.items():
            self._over[i].append(at)
        self._slot: dict[object, Buffer] = {}  # that each memory in use lies in
        # the buffers that are not in use: by dtype, smallest first
        self._free: dict[str, list[tuple[int, str, Buffer]]] = {}

    def twin(self, call: Call, out: Var, i: int) -> Var | None:
        """Return an argument of call `i` that is like its output and not used afterwards."""
        givers = call.vars()
        if call.fn is written:  # which reads what is not written from its first argument alone
            memories = [self.flow.memory(v) for v in givers]
            givers = givers[:1] if memories.count(memories[0]) == 1 else []
        elif not isinstance(call.fn, np.ufunc) or call.fn.signature or call.fn in SLOW_IN_PLACE:
            return None
        for v in givers:
            at = self.flow.memory(v)
            last = at in self._slot and self._last[at] == i
            whole = last and self.flow.viewed(v).size == v.size
            if whole and v.writeable and v.layout_is(out):
                return v
        return None

    def take_over(self, out: Var, twin: Var) -> None:
        """Let an output lie where an argument was."""
        self.over[out] = twin
        self._lay(out, self._slot.pop(self.flow.memory(twin)))

    def allocate(self, out: Var) -> tuple[Buffer, bool]:
        """Lay an output into a buffer; return it, and whether it is a new one."""
        n = out.size
        free = self._free.setdefault(out.dtype.name, [])
        at = bisect.bisect_left(free, (n, ""))
        is_new = at == len(free) or free[at][0] > 4 * n + 64
        if is_new:
            buffer = Buffer(self._taken.fresh("buffer"), n, out.dtype)
        else:
            buffer = free.pop(at)[2]
        self._lay(out, buffer)
        return buffer, is_new

    def release(self, i: int) -> None:
        """Take back the buffers of what is used by call `i` for the last time."""
        for at in self._over[i]:
            buffer = self._slot.pop(at, None)
            if buffer is not None:
                free = self._free.setdefault(buffer.dtype.name, [])
                bisect.insort(free, (buffer.size, buffer.name, buffer))

    def _lay(self, out: Var, buffer: Buffer) -> None:
        self._slot[self.flow.memory(out)] = buffer
        buffer.users += 1
