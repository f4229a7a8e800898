"""A call as one would write it: `x @ w`, `np.tanh(z)`, with names or with numbers."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from retrograd.engine import astype, pick
from retrograd.engine.call import told_keywords
from retrograd.seeing.graph import Argument, Graph, Node
from retrograd.seeing.names import Names
from retrograd.seeing.numbers import in_brackets, is_number, show_shape

_OPERATORS: Mapping[Any, str] = {
    np.add: "+", np.subtract: "-", np.multiply: "*", np.divide: "/", np.matmul: "@",
    np.power: "**", np.remainder: "%", np.floor_divide: "//",
}  # fmt: skip
# a list or a text of more letters than this is cut
_LONG = 40


class Writer:
    """Writes calls and their arguments.

    Args:
        labels: what the nodes are called.
        names: what the user calls things.
    """

    def __init__(self, labels: Mapping[Node, str], names: Names) -> None:
        self.labels = labels
        self.names = names

    def call(self, node: Node) -> str:
        """Return the call of a node with names, such as "np.tanh(z)"."""
        return self._written(node, self.argument)

    def call_with_numbers(self, node: Node) -> str:
        """Return the call with numbers put in, "" where not all that it takes are numbers."""
        if not all(is_number(a.value) for a in node.arguments) or not is_number(node.value):
            return ""
        text = self._written(node, lambda argument: in_brackets(_item(argument.value)))
        return "" if text == self.call(node) else text

    def _written(self, node: Node, write: Callable[[Argument], str]) -> str:
        assert node.rule is not None
        fn = node.rule.fn
        given = [*node.arguments]
        while given and given[-1].value is None:  # such as a bias that there is not
            given.pop()
        shown = [write(argument) for argument in given]
        if fn in _OPERATORS and len(shown) == 2:
            return f"{shown[0]} {_OPERATORS[fn]} {shown[1]}"
        if fn is np.negative:
            return f"-{shown[0]}"
        if fn is np.square:
            return f"{shown[0]}**2"
        if fn is operator.getitem or fn is pick:
            return f"{shown[0]}[{show_index(node.arguments[1].value)}]"
        shown = [*map(_bare, shown)]
        keywords = told_keywords(node.rule, node.keywords)
        shown += [f"{key}={_bare(self.other(value))}" for key, value in keywords.items()]
        if fn is astype:
            return f"{shown[0]}.astype({shown[1]})"
        return f"{node.function}({', '.join(shown)})"

    def argument(self, argument: Argument) -> str:
        """Return what an argument is called: a Tensor or an array by name, a number as it is."""
        node = argument.node
        if node is None:
            return self.other(argument.value)
        is_constant = node.is_leaf and not node.tensor.requires_grad and not node.tensor.ndim
        if is_constant and not self.names.of(node.tensor):
            return in_brackets(_item(node.value))  # a number that nobody has a name for
        return self.labels[node]

    def other(self, value: Any) -> str:
        """Return what a value is called that is no Tensor of the graph."""
        if isinstance(value, np.ndarray):
            called = self.names.of(value)
            if called:
                return called
            return in_brackets(_item(value)) if value.size == 1 else f"array{show_shape(value)}"
        if isinstance(value, (int, float, np.generic)):
            return in_brackets(value)
        text = getattr(value, "__name__", None) or repr(value)
        if isinstance(value, np.dtype):
            text = str(value)
        return text if len(text) <= _LONG and "\n" not in text else f"<{type(value).__name__}>"


def _bare(text: str) -> str:
    """Return a number without the brackets that it has among operators."""
    return text[1:-1] if text.startswith("(-") and text.endswith(")") else text


def _item(value: Any) -> Any:
    return value.reshape(())[()] if isinstance(value, np.ndarray) else value


def show_index(index: Any) -> str:
    """Return an index as it stands between brackets.

    >>> from retrograd.seeing.calls import show_index
    >>> show_index((slice(None), 0, None, ...)), show_index(np.array([0, 2]))
    (':, 0, None, ...', 'array(2,)')
    """
    if isinstance(index, tuple):
        return ", ".join(map(show_index, index))
    if isinstance(index, slice):
        ends = ["" if end is None else str(end) for end in (index.start, index.stop)]
        return ":".join(ends) + ("" if index.step is None else f":{index.step}")
    if isinstance(index, np.ndarray):
        return f"array{index.shape}" if index.ndim else str(index)
    return "..." if index is ... else str(index)


def count(number: int, what: str) -> str:
    """Return a number of things: "1 call", "2 calls"."""
    plural = f"{what[:-1]}ves" if what.endswith("leaf") else f"{what}s"
    return f"{number:,} {what if number == 1 else plural}"


def size_of(graph: Graph) -> str:
    """Return how large a graph is: "3 calls back to 2 leaves"."""
    wanting = sum(node.tensor.requires_grad for node in graph.leaves)
    return f"{count(len(graph.calls), 'call')} back to {count(wanting, 'leaf')}"
