"""What a run of `fit` has measured."""

from __future__ import annotations

import functools
import io
import os
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class History(dict[str, list[float]]):
    """What was measured after each epoch: a dict of names and lists, one number an epoch.

    "loss" is the mean over the training samples, "lr" the learning rate of the first param group.
    With validation there are "val_loss" and, for each of the metrics, "val_" and its name.

    >>> history = rg.training.History(loss=[2.0, 1.0], val_loss=[2.5, 1.5], lr=[0.1, 0.1])
    >>> history.epochs, min(history["val_loss"])
    (2, 1.5)
    """

    writes = True  # whether `plot` writes to files: not so on ranks other than the first

    @property
    def epochs(self) -> int:
        """How many epochs were measured."""
        return len(self.get("loss", ()))

    def plot(self, path: str | os.PathLike[str] | None = None) -> Figure:
        """Draw all that was measured over the epochs, training and validation in one panel.

        A learning rate that never changed is left out. A notebook shows the picture, also that of
        the history itself.

        Args:
            path: a file to write the picture to (default: none is written). Of several ranks the
                first one writes it.

        Returns:
            The matplotlib figure, which pyplot need not know of.

        Raises:
            ImportError: if matplotlib is not installed.

        >>> history = rg.training.History(loss=[2.0, 1.0], lr=[0.1, 0.1])
        >>> history.plot("history.png")  # doctest: +SKIP
        """
        try:
            figure_class = _picture_class()
        except ImportError as error:
            raise ImportError("a plot needs matplotlib: pip install matplotlib") from error
        titles = list(dict.fromkeys(name.removeprefix("val_") for name in self))
        if len(set(self.get("lr", ()))) == 1 and len(titles) > 1:
            titles.remove("lr")
        figure = figure_class(figsize=(4.5 * len(titles), 3.5), layout="constrained")
        for i, title in enumerate(titles, 1):
            axes = figure.add_subplot(1, len(titles), i, title=title, xlabel="epoch", ylabel=title)
            for name, label in ((title, "training"), (f"val_{title}", "validation")):
                if name in self:
                    axes.plot(range(1, len(self[name]) + 1), self[name], label=label)
            axes.grid(alpha=0.3)
            if title != "lr":
                axes.legend()
        if path is not None and self.writes:
            figure.savefig(path)
        return figure

    def _repr_png_(self) -> bytes | None:
        try:
            figure: Any = self.plot()
        except ImportError:
            return None
        return cast("bytes", figure._repr_png_())


@functools.cache
def _picture_class() -> type[Figure]:
    """Return a class of figures that notebooks show, also where pyplot has not prepared them."""
    from matplotlib.figure import Figure

    class Picture(Figure):
        def _repr_png_(self) -> bytes:
            file = io.BytesIO()
            self.savefig(file, format="png")
            return file.getvalue()

        def __repr__(self) -> str:
            return f"<a picture of {', '.join(axes.get_title() for axes in self.axes)}>"

    return Picture
