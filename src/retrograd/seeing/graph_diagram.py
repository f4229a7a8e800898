"""The diagram of a recorded graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.engine import Tensor, is_stand_in
from retrograd.engine.tensor import Parts
from retrograd.seeing.calls import Writer, count
from retrograd.seeing.diagram import Arrow, Content, Diagram, Value, describe, size_of
from retrograd.seeing.folding import fold
from retrograd.seeing.graph import Argument, Graph, Node
from retrograd.seeing.names import Names, label
from retrograd.seeing.svg import LONGEST, Text

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def diagram_of_graph(
    roots: Tensor | Sequence[Tensor],
    gradient: ArrayLike | Tensor | Sequence[Any] | None = None,
    must_have_gradients: bool = False,
) -> Diagram:
    """Return the diagram of the graph behind some Tensors.

    Args:
        roots: a Tensor, or several in a sequence.
        gradient: weighs the elements of the root, as for `backward`; None (default) for 1.
        must_have_gradients: whether it is an error if there are none.

    Raises:
        TypeError: if something else than a Tensor is given.
        RuntimeError: if a `backward` has freed the graph, or if there must be gradients and cannot.
        ValueError: if weights do not have the shape of their root.
    """
    return _Reader(Graph(roots), gradient, must_have_gradients).diagram()


class _Reader:
    def __init__(self, graph: Graph, gradient: Any, must_have_gradients: bool) -> None:
        self.graph = graph
        self.names = Names()
        self.labels = label(graph, self.names)
        # within its Module a Parameter is called as the Module calls it
        short = {
            node: name.rpartition(".")[2] if self.names.owner(node.tensor) else name
            for node, name in self.labels.items()
        }
        self.writer = Writer(short, self.names)
        self.notes: list[str] = []
        if must_have_gradients or gradient is not None:
            graph.send_gradients(gradient)
        elif all(n.tensor.requires_grad and n.tensor.size == 1 for n in graph.roots):
            try:
                graph.send_gradients()
            except RuntimeError as error:
                self.notes.append(f"without gradients: {str(error).partition(':')[0]}")
        # calls whose gradient is not computed: one formula covers them and what takes them
        self.passed = {
            argument.node
            for node in graph.nodes
            for argument in node.arguments
            if argument.to is not argument.node and argument.to is not None
        }

    def diagram(self) -> Diagram:
        values: dict[Any, Value] = {}
        arrows: list[Arrow] = []
        for node in self.graph.nodes:
            for argument in node.arguments:
                key = self._key(argument)
                if key is None:
                    continue
                if argument.node is None and key not in values:
                    values[key] = self._array_value(argument.value)
                sent = _flat(argument.sent) if argument.to is argument.node else None
                arrows.append(Arrow(key, node, argument.value, sent))
                if sent is None and argument.to is not None:
                    passed_by = argument.node
                    arrows.append(Arrow(argument.to, passed_by, None, _flat(argument.sent)))
            if not node.is_leaf:
                values[node] = self._call_value(node)
            elif self._has_box(node):
                values[node] = self._leaf_value(node)
        calls, leaves = len(self.graph.calls), len(self.graph.leaves)
        roots = ", ".join(self.labels[root] for root in self.graph.roots)
        title = f"The graph of {roots}: {count(calls, 'call')}, {count(leaves, 'leaf')}"
        return Diagram(values, arrows, fold(self.graph, self.names), title, self.notes)

    def _has_box(self, node: Node) -> bool:
        """Tell whether a leaf has a box: a number without a name stands in the formula."""
        t = node.tensor
        return t.requires_grad or t.ndim > 0 or bool(self.names.of(t)) or node in self.graph.roots

    def _key(self, argument: Argument) -> Any:
        """Return what stands for an argument in the diagram, None if nothing does."""
        node, value = argument.node, argument.value
        if node is not None:
            return node if not node.is_leaf or self._has_box(node) else None
        if isinstance(value, np.ndarray) and self.names.of(value):
            return "array", id(value)
        return None

    # What stands in boxes

    def _leaf_value(self, node: Node) -> Value:
        t = node.tensor
        name = self.labels[node]

        def content() -> Content:
            shape = _shape(node.value)
            lines = (Text(name, "name"), Text(shape, "note"))
            return Content(lines, self._hint(node, name), shape)

        kind = "parameter" if t.requires_grad else "data"
        inside = self.names.owner(t) is not None or not self.names.of(t)
        return Value(name, content, kind, node.gradient, inside)

    def _array_value(self, array: Any) -> Value:
        name = self.names.of(array)

        def content() -> Content:
            shape = _shape(array)
            hint = f"{name}: {array.dtype} {array.shape}\n{describe(array)}"
            return Content((Text(name, "name"), Text(shape, "note")), hint, shape)

        inside = self.names.owner(array) is not None
        return Value(name, content, "data", stays_inside=inside)

    def _call_value(self, node: Node) -> Value:
        is_result = node in self.graph.roots

        def content() -> Content:
            name, formula = self.labels[node], self.writer.call(node)
            shape = describe(node.value) if node.is_several else _shape(node.value)
            lines = [Text(_fit(formula)), Text(_with_name(name, shape), "note")]
            if self.names.of(node.tensor):
                lines = [Text(name, "name"), Text(_fit(formula)), Text(shape, "note")]
            elif _is_view(node) and not is_result:
                lines = lines[1:]
            return Content(tuple(lines), self._hint(node, f"{name} = {formula}"), shape)

        kind = "result" if is_result else "call"
        name, gradient = self.labels[node], _flat(node.gradient)
        return Value(name, content, kind, gradient, function=node.function)

    def _hint(self, node: Node, first: str) -> str:
        lines = [first]
        if not node.is_several:
            lines.append(f"{node.value.dtype} {node.value.shape}, {describe(node.value)}")
            if node.gradient is not None:
                lines.append(f"gradient: {describe(node.gradient)}")
                if node.value.size > 1:
                    lines[-1] += f", root mean square {size_of(node.gradient):.3g}"
        if node.gradient is None and node in self.passed:
            lines.append("its gradient is not needed: one formula covers it and the next call")
        return "\n".join(lines)


def _flat(gradient: Any) -> Any:
    """Return a gradient; of a call with several outputs those of all, in a row."""
    if not isinstance(gradient, Parts):
        return gradient
    parts = [np.ravel(part) for part in gradient.parts if part is not None]
    return np.concatenate(parts) if parts else None


def _shape(array: Any) -> str:
    return describe(array) if array.ndim == 0 else str(array.shape)


def _with_name(name: str, shape: str) -> str:
    is_shape = shape.startswith("(") or shape.endswith("outputs")
    return f"{name}: {shape}" if is_shape else f"{name} = {shape}"


def _is_view(node: Node) -> bool:
    """Tell whether a call only looks at its argument in another way."""
    if node.is_several or node.function == "pick":
        return node.function in ("pick", "unstack3") or "split" in node.function
    value = node.value
    if is_stand_in(value):
        return False
    arrays = [a.value for a in node.arguments if isinstance(a.value, np.ndarray)]
    return bool(value.size) and any(np.may_share_memory(value, array) for array in arrays)


def _fit(call: str) -> str:
    """Write a call with as many of its arguments as there is room for."""
    if len(call) <= LONGEST or not call.endswith(")"):
        return call
    end = call.rfind(", ", 0, LONGEST - 3)
    return f"{call[:end]}, \N{HORIZONTAL ELLIPSIS})" if end > 0 else call
