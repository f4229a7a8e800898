"""The table that `Module.summary` returns, and that a notebook shows of a Module."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from retrograd.tables import as_html, as_text

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


def rows_of(module: Module, shapes: dict[int, str] | None) -> list[tuple[str, str, str]]:
    """Return a row for each Module inside: its name, its output's shape and its parameters.

    Args:
        module: the whole.
        shapes: the shape of each output by the id of its Module, or None if it was not run.

    Returns:
        The rows, that of the heads first.
    """
    rows = [("module", "" if shapes is None else "output", "parameters")]
    for name, inner in module.named_modules():
        *above, label = name.split(".")
        title = f"{'  ' * (len(above) + 1)}{label}: " if name else ""
        size = sum(p.size for _, p in inner.named_parameters())
        shape = (shapes or {}).get(id(inner), "")
        rows.append((title + type(inner).__name__, shape, str(size)))
    return rows


def total(module: Module) -> str:
    """Return how many parameters there are, how many are trained, and how many bytes they take."""
    parameters = [parameter for _, parameter in module.named_parameters()]
    count = sum(p.size for p in parameters)
    trained = sum(p.size for p in parameters if p.requires_grad)
    size = sum(p.nbytes for p in parameters)
    return f"{count} parameters, {trained} trained, {size} bytes"


def text(module: Module, shapes: dict[int, str] | None) -> str:
    """Return the table as text, the last line of which tells the total."""
    return f"{as_text(rows_of(module, shapes), right=(2,))}\n{total(module)}"


def html(module: Module) -> str:
    """Return the table as HTML, without the shapes of outputs."""
    rows = [(name, size) for name, _, size in rows_of(module, None)]
    return as_html(rows, right=(1,), caption=total(module))
