"""The recorded graph behind some Tensors as data, and the gradients on its way back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from retrograd.engine import Rule, Tensor, current_mode, mode_set, seed_of, unrecorded
from retrograd.engine.backward import (
    LIMITS,
    after_hooks,
    check_unwritten,
    fitted,
    lifted,
    meets_limit,
    one_formula,
)
from retrograd.engine.tensor import CLOCK, Parts, total
from retrograd.later import public_names

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["Argument", "Graph", "Node"]
__dir__ = public_names(__name__)


class Argument:
    """One argument of a call, by position.

    Attributes:
        value: what the function got: an array, a number, an index.
        node: the node of the Tensor that was given, None where it was no Tensor.
        sent: the gradient that the call sends back for it, an array of its shape; None where there
            is none. It is known once `Graph.send_gradients` was called.
        to: the node that it is sent to. That is `node`, but for a formula that takes two calls at
            once, such as that of `binary_cross_entropy` of a `sigmoid`: there it is what the inner
            call was made of.
        rule: the function that computed it, None where nothing is sent.
        summed: whether it was summed over axes along which the argument was repeated.

    >>> x = rg.Tensor(3.0, requires_grad=True)
    >>> graph = rg.seeing.Graph(x * 2)
    >>> [argument.value for argument in graph.nodes[-1].arguments]
    [array(3.), 2]
    """

    __slots__ = ("node", "rule", "sent", "summed", "to", "value")

    def __init__(self, value: Any, node: Node | None) -> None:
        self.value = value
        self.node = node
        self.sent: Any = None
        self.to: Node | None = None
        self.rule: Callable[..., Any] | None = None
        self.summed = False


class Node:
    """One value of a graph: what a call returned, or a leaf.

    Attributes:
        tensor: the Tensor.
        index: its place in `Graph.nodes`.
        arguments: those of the call, in order; none for a leaf.
        arrived: the sum of all that is sent to it, an array of its shape; None where nothing is. It
            is known once `Graph.send_gradients` was called.
        gradient: the same after its hooks, which may have put something in its place.

    >>> x = rg.Tensor(3.0, requires_grad=True)
    >>> graph = rg.seeing.Graph(x * 2)
    >>> graph.nodes
    [<leaf>, <np.multiply>]
    """

    __slots__ = ("arguments", "arrived", "gradient", "index", "tensor")

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor
        self.index = -1
        self.arguments: tuple[Argument, ...] = ()
        self.arrived: Any = None
        self.gradient: Any = None

    @property
    def rule(self) -> Rule | None:
        """The rule of the call, None for a leaf."""
        call = self.tensor._call
        return None if call is None else call[0]

    @property
    def function(self) -> str:
        """The name of the function that was called, as a user writes it; "" for a leaf."""
        return self.rule.name if self.rule else ""

    @property
    def keywords(self) -> dict[str, Any]:
        """The keywords of the call."""
        return self.tensor.kwargs or {}

    @property
    def value(self) -> Any:
        """The array; of a call with several outputs, the tuple of all."""
        return self.tensor._array

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded call made it."""
        return self.rule is None

    @property
    def is_several(self) -> bool:
        """Whether it stands for all outputs of a call that has several."""
        return self.rule is not None and self.rule.multi

    def __repr__(self) -> str:
        return f"<{self.function or 'leaf'}>"


class Graph:
    """The recorded graph behind some Tensors.

    Args:
        roots: a Tensor, or several in a sequence.

    Attributes:
        nodes: in recorded order, each once, so that arguments come before what is made of them. A
            leaf stands before the first call that it is an argument of.
        roots: the nodes of the given Tensors.

    Raises:
        TypeError: if something else than a Tensor is given.
        RuntimeError: if a `backward` has freed the graph.

    >>> x = rg.Tensor([1.0, 2.0], requires_grad=True)
    >>> graph = rg.seeing.Graph(np.sum(x * x))
    >>> graph.nodes
    [<leaf>, <np.multiply>, <np.sum>]
    >>> graph.send_gradients()
    >>> graph.leaves[0].gradient
    array([2., 4.])
    """

    def __init__(self, roots: Tensor | Sequence[Tensor]) -> None:
        tensors = [roots] if isinstance(roots, Tensor) else list(roots)
        for t in tensors:
            if not isinstance(t, Tensor):
                raise TypeError(f"a graph is that of a Tensor, not of {type(t).__name__}")
        unrecorded("looking at a graph")
        self.nodes: list[Node] = []
        self._of: dict[Tensor, Node] = {}
        for t in sorted(_calls_behind(tensors), key=lambda t: t._order):
            self._add(t)
        self.roots = [self._of[t] if t in self._of else self._add(t) for t in tensors]

    def __repr__(self) -> str:
        return f"<Graph: {len(self.calls)} calls, {len(self.leaves)} leaves>"

    def _add(self, t: Tensor) -> Node:
        node = Node(t)
        if t._call is not None:
            _, inputs, arrays, _ = t._call
            node.arguments = tuple(
                Argument(value, self._of.get(given) or self._add(given))
                if isinstance(given, Tensor)
                else Argument(value, None)
                for given, value in zip(inputs, arrays, strict=True)
            )
        node.index = len(self.nodes)
        self.nodes.append(node)
        self._of[t] = node
        return node

    def __len__(self) -> int:
        return len(self.nodes)

    def __getitem__(self, t: Tensor) -> Node:
        """Return the node of a Tensor; KeyError where it is no part of the graph."""
        return self._of[t]

    def __contains__(self, t: Tensor) -> bool:
        return t in self._of

    @property
    def leaves(self) -> list[Node]:
        """The nodes that no recorded call made."""
        return [node for node in self.nodes if node.is_leaf]

    @property
    def calls(self) -> list[Node]:
        """The nodes that a call made."""
        return [node for node in self.nodes if not node.is_leaf]

    def edges(self) -> Iterator[tuple[Node, Argument, Node]]:
        """Go through the arguments that are Tensors, in recorded order of the calls.

        Returns:
            An iterator over `(node, argument, call)`: the node of the Tensor, the argument that it
            is, and the node of the call that takes it.

        >>> x = rg.Tensor(2.0, requires_grad=True)
        >>> graph = rg.seeing.Graph(np.exp(x) * x)
        >>> [call.rule.name for _, _, call in graph.edges()]
        ['np.exp', 'np.multiply', 'np.multiply']
        """
        for node in self.nodes:
            for argument in node.arguments:
                if argument.node is not None:
                    yield argument.node, argument, node

    def received(self) -> dict[Node, list[tuple[Node, Argument]]]:
        """Return for each node what is sent to it: by which call, and for which argument of it.

        The order is that in which they arrive. The gradient of the node is their sum, to which for
        a root comes what the reverse pass starts with.

        Returns:
            A dict from each node to pairs of the call and its argument; to an empty list where
            nothing arrives.

        >>> x = rg.Tensor(2.0, requires_grad=True)
        >>> graph = rg.seeing.Graph(np.exp(x) * x)
        >>> graph.send_gradients()
        >>> [float(argument.sent) for _, argument in graph.received()[graph.leaves[0]]]
        [7.38905609893065, 14.7781121978613]
        """
        found: dict[Node, list[tuple[Node, Argument]]] = {node: [] for node in self.nodes}
        for node in reversed(self.nodes):
            for argument in node.arguments:
                if argument.to is not None:
                    found[argument.to].append((node, argument))
        return found

    def send_gradients(self, gradient: ArrayLike | Tensor | Sequence[Any] | None = None) -> None:
        """Fill in what each call sends to its arguments, and what arrives at each node.

        It is what `backward` does, call by call; but no `.grad` changes and nothing is freed.

        Args:
            gradient: weighs the elements of the root, in its shape; None (default) is 1 for a root
                of one element. Where there are several roots: a list with one for each.

        Raises:
            RuntimeError: as `backward` does: if a root does not require grad or has more than one
                element and no weights, or if a value was written since it was used.
            ValueError: if weights do not have the shape of their root.
        """
        weights: Any = gradient
        if len(self.roots) == 1 and not isinstance(gradient, list):
            weights = [gradient]
        elif gradient is None:
            weights = [None] * len(self.roots)
        lift = bool(LIMITS) and meets_limit(node.tensor for node in self.roots)
        for node in self.nodes:
            node.arrived = node.gradient = None
            for argument in node.arguments:
                argument.sent = argument.to = argument.rule = None
        mode = current_mode()
        with mode_set(mode.with_grad(lift)):
            for root, weight in zip(self.roots, weights, strict=True):
                _arrive(root, seed_of(root.tensor, weight, lift))
            for node in reversed(self.nodes):
                if node.gradient is None:
                    continue
                # in this order a leaf comes when all that take it have sent
                node.arrived = node.gradient
                node.gradient = after_hooks(node.tensor, node.gradient, lift)
                if not node.is_leaf:
                    self._send(node, lift)
        if lift:
            self._unwrap()

    def _send(self, node: Node, lift: bool) -> None:
        """Send the gradient of a node on to the arguments of its call."""
        t = node.tensor
        rule, inputs, arrays, kwargs = t._call  # type: ignore[misc]
        if CLOCK.last_write > t._order:
            check_unwritten(t)
            inputs = t.inputs
        g, out = node.gradient, t._array
        if rule.multi:
            g = g.full(out)
        args = arrays
        if lift:
            args, out = lifted(t)
        vjps: Sequence[Any] = rule.vjps
        if rule.joint is not None:
            vjps = [rule.joint] * len(inputs)
        needed = [
            i
            for i, (a, vjp) in enumerate(zip(inputs, vjps, strict=False))
            if isinstance(a, Tensor) and a.requires_grad and vjp is not None
        ]
        gradients = iter(())
        if rule.joint is not None and needed:
            gradients = iter(rule.joint(needed, g, out, *args, **kwargs))
        for i in needed:
            argument, a, like, vjp = node.arguments[i], inputs[i], arrays[i], vjps[i]
            if rule.through is not None and i == 0:
                vjp, a, like = one_formula(rule.through, vjp, a, like)
            sent = next(gradients) if rule.joint else vjp(g, out, *args, **kwargs)
            if sent is None:
                continue
            argument.rule, argument.to = vjp, self._of[a]
            argument.sent = fitted(sent, like)
            argument.summed = getattr(sent, "size", 0) > getattr(like, "size", 0)
            _arrive(argument.to, argument.sent)

    def _unwrap(self) -> None:
        for node in self.nodes:
            node.arrived = _unwrapped(node.arrived)
            node.gradient = _unwrapped(node.gradient)
            for argument in node.arguments:
                argument.sent = _unwrapped(argument.sent)


def _arrive(node: Node, gradient: Any) -> None:
    node.gradient = gradient if node.gradient is None else total(node.gradient, gradient)


def _unwrapped(gradient: Any) -> Any:
    if isinstance(gradient, Parts):
        return gradient.unwrapped()
    return gradient._array if isinstance(gradient, Tensor) else gradient


def _calls_behind(roots: Sequence[Tensor]) -> set[Tensor]:
    """Return the Tensors behind the roots that recorded calls made; RuntimeError if freed."""
    stack = [t for t in roots if t._call is not None]
    seen = set(stack)
    while stack:
        t = stack.pop()
        inputs = t.inputs
        if inputs is None:
            raise RuntimeError(
                "this graph was freed by an earlier backward: look at it before, or write "
                "backward(retain_graph=True)"
            )
        for a in inputs:
            if isinstance(a, Tensor) and a._call is not None and a not in seen:
                seen.add(a)
                stack.append(a)
    return seen
