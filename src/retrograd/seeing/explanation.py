"""`rg.explain`: where each gradient comes from, call by call, as text or as a table."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from retrograd.engine import Tensor
from retrograd.later import public_names
from retrograd.seeing.calls import count, size_of
from retrograd.seeing.entries import Entry, Teller
from retrograd.seeing.folding import Group, fold, name_groups
from retrograd.seeing.graph import Graph, Node
from retrograd.seeing.names import Names, label, user_frames
from retrograd.seeing.numbers import show_value
from retrograd.seeing.pages import as_table, as_text

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["Explanation", "explain"]
__dir__ = public_names(__name__)

# How many calls and groups are shown before more is folded, and how many leaves.
_PAGE, _LEAVES = 16, 40
_KEY = "(g is the gradient that arrives at a call, out its value, other names are its arguments)"


def explain(
    t: Tensor,
    at: Sequence[int] | Sequence[Sequence[int]] | None = None,
    *,
    gradient: ArrayLike | Tensor | None = None,
    unfold: bool | str | Collection[str] = False,
) -> Explanation:
    """Explain where the gradients of a Tensor come from, from it back to the leaves.

    For each call it says what its value is, what gradient arrives, and for each argument the rule
    as it is written in the library (or by you), the numbers put in, and what is sent on. Where
    several paths meet, the sum is written as a sum. Of arrays it shows shape and range, and the
    largest element or those that you choose.

    A long graph is folded: the calls of a Module are one line, and of a part that repeats itself
    the last round is shown. Call it before `backward`, which frees the graph. It changes no `.grad`
    and no graph; hooks of Tensors are called, since they may replace what is sent on.

    Args:
        t: the Tensor, such as a loss.
        at: an element to show in each array that has it, such as `(0, 3)`; or several in a list.
            None (default) shows the largest.
        gradient: weighs the elements of `t`, in its shape; a Tensor of one element needs none.
        unfold: the groups to show call by call, by the names under which they are shown, such as
            "net.0" or "loop1"; True for all.

    Returns:
        The explanation: print it. In a notebook it shows itself as a table.

    Raises:
        TypeError: if `t` is no Tensor, or `at` no place in an array.
        RuntimeError: if `t` does not require grad, if it has more than one element and there is no
            `gradient`, or if the graph was freed by an earlier `backward`.
        ValueError: if `unfold` names a group that there is not.

    >>> w, x = rg.Tensor(2.0, requires_grad=True), 0.5
    >>> y = np.tanh(w * x)
    >>> print(rg.explain(y))
    y = 0.7616: 2 calls back to 1 leaf
    (g is the gradient that arrives at a call, out its value, other names are its arguments)
    <BLANKLINE>
    y = np.tanh(multiply1) = np.tanh(1) = 0.7616
        arrives       1, with which the reverse pass begins
        to multiply1  1 x 0.42 = 0.42
                      g * (1 - out * out) = 1 * (1 - 0.7616 * 0.7616)
    <BLANKLINE>
    multiply1 = w * 0.5 = 2 * 0.5 = 1
        arrives       0.42
        to w          0.42 x 0.5 = 0.21
                      g * y = 0.42 * 0.5
    <BLANKLINE>
    leaf  value  gradient
    w     2      0.21
    """
    graph = Graph(t)
    graph.send_gradients(gradient)
    return Explanation(graph, Names(user_frames()), _places(at), unfold)


def _places(at: Any) -> list[tuple[int, ...]]:
    """Return one place, or several, as a list of tuples."""
    if at is None:
        return []
    try:
        listed = [at] if not at or hasattr(at[0], "__index__") else at
        return [tuple(i.__index__() for i in place) for place in listed]
    except (AttributeError, TypeError):
        raise TypeError(f"at= is a place such as (0, 3), or a list of places, not {at!r}") from None


class Explanation:
    """What `rg.explain` returns: text when printed, a table in a notebook.

    Args:
        graph: the graph, with its gradients.
        names: what the user calls things.
        at: places of elements to show.
        unfold: the groups to show call by call, by name; True for all.

    Attributes:
        graph: the graph with all gradients, as data.
        top: its calls in groups, as data.
        groups: the names of the groups that can be unfolded.

    >>> explanation = rg.explain(np.exp(rg.Tensor(0.0, requires_grad=True)))
    >>> explanation.graph.nodes[0].gradient
    array(1.)
    """

    def __init__(
        self,
        graph: Graph,
        names: Names,
        at: Sequence[tuple[int, ...]] = (),
        unfold: bool | str | Collection[str] = False,
    ) -> None:
        self.graph = graph
        self.top = fold(graph, names)
        self._labels = label(graph, names)
        self._teller = Teller(graph, self._labels, names, at)
        self._names = name_groups(self.top)
        self.groups = list(dict.fromkeys(self._names.values()))
        self._choose(unfold)

    def _choose(self, unfold: bool | str | Collection[str]) -> None:
        """Choose which groups are open: those that were asked for, and others that fit a page."""
        wanted = [unfold] if isinstance(unfold, str) else [] if isinstance(unfold, bool) else unfold
        if unknown := [wish for wish in wanted if wish not in self.groups]:
            known = ", ".join(self.groups) or "none"
            raise ValueError(f"there is no group {unknown[0]!r} to unfold; there are: {known}")
        self._wanted = {*wanted}
        self._all = unfold is True or len(self.graph.calls) <= _PAGE
        self._open: set[int] = set()
        shown, depth = len(self.top.parts), [self.top]
        while depth:
            # of two as large the one nearer to the root comes first, as it does on the page
            shown_parts = (part for group in depth for part in reversed(_shown(group)))
            inner = [part for part in shown_parts if isinstance(part, Group)]
            for group in sorted(inner, key=lambda group: len(_shown(group))):
                if shown + len(_shown(group)) <= _PAGE or self._names[id(group)] in self._wanted:
                    shown += len(_shown(group))
                    self._open.add(id(group))
            depth = inner

    def unfold(self, *groups: str) -> Explanation:
        """Return the explanation with groups unfolded.

        Args:
            *groups: their names, as they are shown; none for all.

        Returns:
            Another explanation of the same graph.

        Raises:
            ValueError: if there is no such group.

        >>> t = x = rg.Tensor(0.5, requires_grad=True)
        >>> for _ in range(50):
        ...     t = np.sin(t)
        >>> explanation = rg.explain(t)
        >>> explanation.groups
        ['loop1']
        >>> len(str(explanation.unfold("loop1"))) > 5 * len(str(explanation))
        True
        """
        other = object.__new__(Explanation)
        vars(other).update(vars(self))
        other._choose(groups or True)
        return other

    def entries(self) -> Iterator[Entry]:
        """Yield what is shown as data, from the root back to the leaves.

        Yields:
            What there is to say of each call, group and leaf.

        >>> x = rg.Tensor(0.5, requires_grad=True)
        >>> [entry.title for entry in rg.explain(np.sin(x) * 2).entries()]
        ['multiply1 = sin1 * 2 = 0.4794 * 2', 'sin1 = np.sin(x) = np.sin(0.5)', 'x']
        """
        yield from self._inside(self.top.parts, 0, self._all)
        leaves = [node for node in self.graph.leaves if node.tensor.requires_grad]
        most = len(leaves) if self._all else _LEAVES
        yield from (self._teller.leaf(node) for node in leaves[:most])
        if len(leaves) > most:
            yield _more(len(leaves) - most, "more leaf")

    def _inside(self, parts: Sequence[Node | Group], depth: int, whole: bool) -> Iterator[Entry]:
        """Yield what is shown of the parts of a group, the last recorded first."""
        most = len(parts) if whole else _PAGE
        for part in [*reversed(parts)][:most]:
            if isinstance(part, Group):
                yield from self._group(part, depth, whole)
            else:
                yield self._teller.call(part, depth)
        if len(parts) > most:
            yield _more(sum(_size(part) for part in parts[:-most]), "more call", depth)

    def _group(self, group: Group, depth: int, whole: bool) -> Iterator[Entry]:
        if self._all:
            for part in reversed(group.parts):
                inside = part.parts if isinstance(part, Group) and part.kind == "round" else [part]
                yield from self._inside(inside, depth, True)
            return
        name = self._names[id(group)]
        whole = whole or name in self._wanted
        if _size(group) == 1:
            yield from self._inside([*group.nodes()], depth, whole)
            return
        if not whole and id(group) not in self._open:
            yield self._teller.folded(group, depth, name)
            return
        if group.kind == "module" and len(group.parts) == 1 and isinstance(group.parts[0], Group):
            yield from self._inside(group.parts, depth, whole)  # which says it all
            return
        yield self._teller.opened(group, depth, name, whole)
        if group.kind != "loop":
            yield from self._inside(group.parts, depth + 1, whole)
            return
        for i in range(len(group.parts), 0, -1) if whole else [len(group.parts)]:
            if whole:
                yield Entry("round", depth + 1, f"{name}, round {i}")
            yield from self._inside(_parts_of(group.parts[i - 1]), depth + 1, whole)

    def __str__(self) -> str:
        root = self.graph.roots[0]
        value = show_value(root.value)
        head = f"{self._labels[root]} = {value}: {size_of(self.graph)}"
        return as_text(f"{head}\n{_KEY}", self.entries())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_table(f"{size_of(self.graph)} {_KEY}", self.entries())


def _more(number: int, what: str, depth: int = 0) -> Entry:
    return Entry("more", depth, f"and {count(number, what)}: unfold=True shows all")


def _parts_of(part: Node | Group) -> list[Node | Group]:
    return part.parts if isinstance(part, Group) else [part]


def _shown(group: Group) -> list[Node | Group]:
    """Return the parts of a group that are shown where it is open: of a loop the last round's."""
    return _parts_of(group.parts[-1]) if group.kind == "loop" else group.parts


def _size(part: Node | Group) -> int:
    return sum(1 for _ in part.nodes()) if isinstance(part, Group) else 1
