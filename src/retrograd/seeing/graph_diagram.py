"""The diagram of a recorded graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.engine import Tensor
from retrograd.engine.tensor import Parts
from retrograd.seeing.diagram import Arrow, Diagram, Value, describe, number, size_of
from retrograd.seeing.folding import fold
from retrograd.seeing.graph import Argument, Graph, Node
from retrograd.seeing.names import Names, label
from retrograd.seeing.svg import LONGEST, Text

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_OPERATORS = {
    "np.add": "{} + {}", "np.subtract": "{} - {}", "np.multiply": "{} * {}",
    "np.divide": "{} / {}", "np.true_divide": "{} / {}", "np.power": "{} ** {}",
    "np.matmul": "{} @ {}", "np.negative": "-{}", "np.square": "{} ** 2", "getitem": "{}[{}]",
    "pick": "{}[{}]",
}  # fmt: skip


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
                arrows.append(Arrow(key, node, describe(argument.value), sent))
                if sent is None and argument.to is not None:
                    passed_by = argument.node
                    arrows.append(Arrow(argument.to, passed_by, "", _flat(argument.sent)))
            if not node.is_leaf:
                values[node] = self._call_value(node)
            elif self._has_box(node):
                values[node] = self._leaf_value(node)
        calls, leaves = len(self.graph.calls), len(self.graph.leaves)
        roots = ", ".join(self.labels[root] for root in self.graph.roots)
        title = f"The graph of {roots}: {_count(calls, 'call')}, {_count(leaves, 'leaf')}"
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
        owner = self.names.owner(t)
        lines = (Text(name, "name"), Text(_shape(t.data), "note"))
        kind = "parameter" if t.requires_grad else "data"
        inside = owner is not None or not self.names.of(t)
        gradient = node.gradient
        return Value(
            name, lines, kind, self._hint(node, name), gradient, inside, shape=_shape(t.data)
        )

    def _array_value(self, array: Any) -> Value:
        name = self.names.of(array)
        lines = (Text(name, "name"), Text(_shape(array), "note"))
        hint = f"{name}: {array.dtype} {array.shape}\n{describe(array)}"
        inside = self.names.owner(array) is not None
        return Value(name, lines, "data", hint, stays_inside=inside, shape=_shape(array))

    def _call_value(self, node: Node) -> Value:
        name, formula = self.labels[node], self._formula(node)
        shape = describe(node.value) if node.is_several else _shape(node.value)
        is_named = bool(self.names.of(node.tensor))
        is_result = node in self.graph.roots
        kind = "result" if is_result else "call"
        if is_named:
            lines = [Text(name, "name"), Text(formula), Text(shape, "note")]
        elif _is_view(node) and not is_result:
            kind = "view"
            lines = [Text(_with_name(name, shape), "note")]
        else:
            lines = [Text(formula), Text(_with_name(name, shape), "note")]
        gradient = _flat(node.gradient)
        hint = self._hint(node, f"{name} = {self._formula(node, 200)}")
        return Value(name, tuple(lines), kind, hint, gradient, False, node.function, shape)

    def _formula(self, node: Node, longest: int = LONGEST) -> str:
        """Write a call as one would, with as many of its keywords as there is room for."""
        arguments = [self._argument(a, node) for a in node.arguments]
        pattern = _OPERATORS.get(node.function, "")
        if pattern.count("{}") == len(arguments) and not node.keywords:
            return pattern.format(*arguments)
        while len(arguments) > 1 and arguments[-1] == "None":
            arguments.pop()
        options = [
            f"{key}={value!r}"
            for key, value in node.keywords.items()
            if value is not None and value is not False
        ]
        return _fit(node.function, arguments, options, longest)

    def _argument(self, argument: Argument, call: Node) -> str:
        node, value = argument.node, argument.value
        if node is not None and self._key(argument) is not None:
            name = self.labels[node]
            # within its Module a Parameter is called as the Module does
            return name.rpartition(".")[2] if self.names.owner(node.tensor) else name
        if isinstance(value, np.ndarray):
            name = self.names.of(value)
            if name:
                return name.rpartition(".")[2] if self.names.owner(value) is not None else name
            return describe(value) if value.size == 1 else "array"
        if call.function == "getitem":
            return _index(value)
        if isinstance(value, float):
            return number(value)
        return repr(value)

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
    arrays = [a.value for a in node.arguments if isinstance(a.value, np.ndarray)]
    return bool(value.size) and any(np.may_share_memory(value, array) for array in arrays)


def _index(value: Any) -> str:
    """Write an index as it stands between brackets."""
    if isinstance(value, tuple):
        return ", ".join(map(_index, value))
    if isinstance(value, slice):
        ends = ["" if end is None else str(end) for end in (value.start, value.stop)]
        return ":".join(ends) + ("" if value.step is None else f":{value.step}")
    if value is Ellipsis:
        return "..."
    return "array" if isinstance(value, np.ndarray) else repr(value)


def _fit(function: str, arguments: list[str], options: list[str], longest: int) -> str:
    """Write a call with as many arguments and keywords as there is room for."""
    for n in range(len(options), -1, -1):
        text = f"{function}({', '.join(arguments + options[:n])})"
        if len(text) <= longest:
            return text
    for n in range(len(arguments) - 1, 0, -1):
        text = f"{function}({', '.join(arguments[:n])}, \N{HORIZONTAL ELLIPSIS})"
        if len(text) <= longest:
            return text
    return f"{function}(\N{HORIZONTAL ELLIPSIS})"


def _count(n: int, what: str) -> str:
    if n == 1:
        return f"1 {what}"
    return f"{n} {'leaves' if what == 'leaf' else what + 's'}"
