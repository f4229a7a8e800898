"""The table that `Module.summary` returns."""

from __future__ import annotations

from typing import Any

from retrograd.mode import no_grad
from retrograd.nn.module import Module


def summary(module: Module, inputs: tuple[Any, ...]) -> str:
    """Return the table of `Module.summary`."""
    shapes = _shapes(module, inputs) if inputs else {}
    rows = [("module", "output" if inputs else "", "parameters")]
    for name, inner in module.named_modules():
        depth = name.count(".") + 1 if name else 0
        label = f"{name.rpartition('.')[2]}: " if name else ""
        size = sum(p.size for p in inner.parameters())
        title = f"{'  ' * depth}{label}{type(inner).__name__}"
        rows.append((title, shapes.get(id(inner), ""), str(size)))
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [f"{m:{wide[0]}}  {s:{wide[1]}}  {p:>{wide[2]}}" for m, s, p in rows]
    parameters = list(module.parameters())
    total = sum(p.size for p in parameters)
    trained = sum(p.size for p in parameters if p.requires_grad)
    size = sum(p.nbytes for p in parameters)
    return "\n".join([*lines, f"{total} parameters, {trained} trained, {size} bytes"])


def _shapes(module: Module, inputs: tuple[Any, ...]) -> dict[int, str]:
    """Run the net once and return what each Module put out, by id."""
    shapes: dict[int, str] = {}

    def note(inner: Module, args: Any, out: Any) -> None:
        while isinstance(out, (tuple, list)):
            out = out[0]
        shapes[id(inner)] = str(tuple(out.shape))

    handles = [inner.register_forward_hook(note) for inner in module.modules()]
    modes = [(inner, inner.training) for inner in module.modules()]
    try:
        with no_grad():
            module.eval()(*inputs)
    finally:
        for inner, training in modes:
            inner.training = training
        for handle in handles:
            handle.remove()
    return shapes
