"""Names that others have as a method and a Tensor has not, with what to write instead."""

from __future__ import annotations

from typing import Any

import numpy as np

OTHER_WORDS = {  # what PyTorch, or NumPy as a function, calls what a Tensor has by another name
    **{f: f"np.{f}(t)" for f in np.__all__ if isinstance(vars(np).get(f), np.ufunc)},
    "cat": "np.concatenate", "cuda": "t alone, there is no GPU here",
    "double": "t.astype(np.float64)", "float": "t.astype(np.float32)",
    "masked_fill": "np.where(mask, value, t)", "norm": "np.linalg.norm(t)",
    "permute": "t.transpose(...)", "relu": "nn.functional.relu(t)",
    "sigmoid": "nn.functional.sigmoid(t)", "softmax": "nn.functional.softmax(t, axis)", "t": "t.T",
    "unsqueeze": "np.expand_dims(t, axis)", "view": "t.reshape(...)",
}  # fmt: skip


class Elsewhere:
    """An attribute that is not there, and says what to write instead.

    A `__getattr__` would say so for every name, but makes each attribute three times as slow.
    """

    def __init__(self, name: str, write: str) -> None:
        self.name, self.write = name, write

    def __get__(self, t: Any, owner: Any = None) -> Any:
        raise AttributeError(
            f"a Tensor has no attribute {self.name!r}: write {self.write}", name=self.name, obj=t
        )


class KnowsElsewhere(type):
    """A class that has such attributes, and does not list them."""

    def __new__(
        cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **kwargs: Any
    ) -> KnowsElsewhere:
        """Make the class, with an `Elsewhere` for each of the words that it does not have."""
        made = super().__new__(cls, name, bases, namespace, **kwargs)
        if not bases:  # the Tensor itself; derived classes inherit them
            for word, write in OTHER_WORDS.items():
                if word not in namespace:
                    setattr(made, word, Elsewhere(word, write))
        return made

    def __dir__(cls) -> list[str]:
        """Return the names of the attributes that are there."""
        return sorted(name for name in super().__dir__() if not cls.is_elsewhere(name))

    def is_elsewhere(cls, name: str) -> bool:
        """Tell whether the attribute of this name is an `Elsewhere`."""
        found = (vars(base).get(name) for base in cls.__mro__)
        return isinstance(next(filter(None, found), None), Elsewhere)
