"""The table that `Module.summary` returns."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retrograd.nn.module import Module


@contextlib.contextmanager
def output_shapes(module: Module) -> Iterator[dict[int, str]]:
    """Give a dict that fills with the shape of each output, by the id of its Module.

    Of several outputs it is the shape of the first.
    """
    shapes: dict[int, str] = {}

    def note(inner: Module, args: Any, out: Any) -> None:
        while isinstance(out, (tuple, list)) and out:
            out = out[0]
        shapes[id(inner)] = str(getattr(out, "shape", ""))

    handles = [inner.register_forward_hook(note) for inner in module.modules()]
    try:
        yield shapes
    finally:
        for handle in handles:
            handle.remove()


def table(module: Module, shapes: dict[int, str] | None) -> str:
    """Return a line for each Module inside: its name, its output's shape and its parameters.

    Args:
        module: the whole.
        shapes: the shape of each output by the id of its Module, or None if it was not run.

    Returns:
        The lines, the last of which tells how many parameters there are, how many of them are
        trained and how many bytes they take.
    """
    rows = [("module", "" if shapes is None else "output", "parameters")]
    for name, inner in module.named_modules():
        *above, label = name.split(".")
        title = f"{'  ' * (len(above) + 1)}{label}: " if name else ""
        size = sum(p.size for _, p in inner.named_parameters())
        shape = (shapes or {}).get(id(inner), "")
        rows.append((title + type(inner).__name__, shape, str(size)))
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [f"{m:{wide[0]}}  {s:{wide[1]}}  {p:>{wide[2]}}" for m, s, p in rows]
    parameters = [parameter for _, parameter in module.named_parameters()]
    total = sum(p.size for p in parameters)
    trained = sum(p.size for p in parameters if p.requires_grad)
    size = sum(p.nbytes for p in parameters)
    return "\n".join([*lines, f"{total} parameters, {trained} trained, {size} bytes"])
