"""`rg.draw`: the graph as a picture that shows itself in notebooks and is saved as SVG."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.compiler.step import CompiledStep
from retrograd.engine import Tensor
from retrograd.files import write_whole
from retrograd.later import public_names
from retrograd.seeing.diagram import make_scene
from retrograd.seeing.graph_diagram import diagram_of_graph
from retrograd.seeing.program_diagram import diagram_of_program
from retrograd.seeing.svg import Scene, paint

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["Drawing", "draw"]
__dir__ = public_names(__name__)


class Drawing:
    """A drawing: it shows itself in a notebook; `save` writes it to a file.

    Args:
        scene: what it shows.

    >>> w = rg.Tensor(2.0, requires_grad=True)
    >>> drawing = rg.draw(w * w)
    >>> drawing
    <Drawing: The graph of multiply1: 1 call, 1 leaf; .save("graph.svg") writes it to a file>
    >>> drawing.svg[:4]
    '<svg'
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._svg = ""

    @property
    def svg(self) -> str:
        """The drawing as an SVG document, which refers to nothing outside."""
        self._svg = self._svg or paint(self.scene)
        return self._svg

    def save(self, path: str | PathLike[str]) -> None:
        """Write the drawing to a file, in place of one that is there.

        Args:
            path: where it is to be; it ends in `.svg`.

        Raises:
            FileNotFoundError: if its folder is not there.
            ValueError: if `path` does not end in `.svg`.

        >>> import pathlib, tempfile
        >>> w = rg.Tensor(2.0, requires_grad=True)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     rg.draw(w * w).save(pathlib.Path(folder, "square.svg"))
        ...     print([file.name for file in pathlib.Path(folder).iterdir()])
        ['square.svg']
        """
        place = Path(fspath(path))
        if place.suffix.lower() != ".svg":
            raise ValueError(f"a drawing is saved as .svg, not as {place.name!r}")
        write_whole(place, lambda file: file.write(self.svg.encode()))

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f'<Drawing: {self.scene.title}; .save("graph.svg") writes it to a file>'


def draw(
    of: Tensor | Sequence[Tensor] | CompiledStep,
    *,
    values: bool = False,
    gradients: bool = False,
    gradient: ArrayLike | Tensor | Sequence[Any] | None = None,
    unfold: bool | str | Collection[str] = False,
    direction: str = "down",
) -> Drawing:
    """Draw the graph behind a Tensor, what was computed from what, or a compiled step.

    Boxes are calls, round ones leaves; frames are Modules and loops. The shade of a box and of an
    arrow is the size of the gradient there, where one can be computed: it is the root mean square,
    which is compared on a logarithmic scale. The pointer on a box shows more about it. Large graphs
    are folded: `unfold` opens them.

    Of a compiled step the boxes are the lines of the program that ran last, as `step.source` has
    them, in frames for forward pass, backward pass and update.

    Args:
        of: a Tensor with a graph, or several in a sequence; a `backward` must not have freed it.
            Or what `rg.compile` returned.
        values: whether the values stand on the arrows: numbers, of arrays the least and the
            largest element; False.
        gradients: whether what is sent back along them stands there too: numbers, of arrays the
            root mean square; False.
        gradient: weighs the elements of the Tensor, in its shape, as for `backward`; None for 1,
            if it has one element. Where there are several Tensors: a sequence with one for each.
        unfold: the groups to open whatever their size, by the names that `rg.explain` has for them
            and the pointer shows, such as "net.0" or "loop1"; True for all; False.
        direction: "down" or "right": where arrows go.

    Returns:
        The drawing. It shows itself at the end of a notebook's cell; `.save("graph.svg")` writes it
        to a file, `.svg` is its text.

    Raises:
        TypeError: if something else than a Tensor is given.
        RuntimeError: if `backward` has freed the graph; if gradients are asked for and the Tensor
            does not require grad, or has more than one element and no weights; if a compiled step
            has not run yet.
        ValueError: if `direction` is another word, or `unfold` names a group that there is not; if
            weights have another shape than their Tensor; if values or gradients of a compiled step
            are asked for.

    >>> x = rg.Tensor([1.0, 2.0], requires_grad=True)
    >>> loss = np.sum(np.tanh(x) ** 2)
    >>> rg.draw(loss, gradients=True)
    <Drawing: The graph of loss: 3 calls, 1 leaf; .save("graph.svg") writes it to a file>

    >>> @rg.compile
    ... def step(x):
    ...     return np.tanh(x) + 1
    >>> _ = step(np.zeros(3))
    >>> rg.draw(step)
    <Drawing: The program of step: 1 line; .save("graph.svg") writes it to a file>
    """
    if direction not in ("down", "right"):
        raise ValueError(f'direction is "down" or "right", not {direction!r}')
    if isinstance(of, CompiledStep):
        if values or gradients or gradient is not None:
            raise ValueError(
                "values and gradients are drawn of the graph of a Tensor, not of a step"
            )
        diagram = diagram_of_program(of.readable())
        return Drawing(make_scene(diagram, unfold, goes_right=direction == "right"))
    with np.errstate(all="ignore"):  # what is nan or infinite is drawn like anything else
        diagram = diagram_of_graph(of, gradient, gradients)
        return Drawing(make_scene(diagram, unfold, values, gradients, direction == "right"))
