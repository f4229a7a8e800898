"""Batches of samples, and their order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from retrograd import tree


def collate(samples: list[Any]) -> Any:
    """Return a batch: samples stacked along a new first axis.

    Args:
        samples: a list of arrays, Tensors or numbers of one shape; or of tuples, lists or dicts
            of them.

    Returns:
        An array or a Tensor with one axis more; or a tuple or dict of them.

    >>> rg.data.collate([(1.0, 2), (3.0, 4)])
    (array([1., 3.]), array([2, 4]))
    """
    first = samples[0]
    if isinstance(first, Mapping):
        return {key: collate([sample[key] for sample in samples]) for key in first}
    if isinstance(first, (tuple, list)):
        return tuple(collate(list(part)) for part in zip(*samples, strict=True))
    return np.stack(samples)


def collate_none(sample: Any, collate: Any) -> Any:
    """Return a batch of no samples, like those of `sample` but for its length."""
    return tree.map(lambda a: a[:0], collate([sample]))
