"""Metrics of a model on batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from retrograd.nn.module import Module, evaluating

# A function of output and target that returns a number: the mean over the samples of a batch.
Metric: TypeAlias = Callable[[Any, Any], Any]


def evaluate(model: Module, data: Iterable[Any], metrics: Mapping[str, Metric]) -> dict[str, float]:
    """Return the mean over all samples of each metric, with the model in evaluation mode.

    No gradients are recorded. Afterwards the modes are what they were.

    Args:
        model: is called with the inputs of each batch.
        data: batches `(*inputs, target)`, such as a `DataLoader`.
        metrics: by name functions of output and target that return the mean over their batch;
            losses are such functions.

    Returns:
        A number for each metric, by name.

    Raises:
        TypeError: if a batch is no such tuple.
        ValueError: if there are no batches.

    >>> data = [(np.ones(3), np.ones(3)), (np.zeros(1), np.ones(1))]
    >>> rg.evaluate(rg.nn.Identity(), data, {"error": lambda out, y: abs(out - y).mean()})
    {'error': 0.25}
    """
    sums, count = add_up(model, data, metrics)
    return means(sums, count)


def add_up(
    model: Module, data: Iterable[Any], metrics: Mapping[str, Metric]
) -> tuple[dict[str, float], float]:
    """Return the sum over all samples of each metric, and how many samples there are."""
    sums, count = dict.fromkeys(metrics, 0.0), 0
    with evaluating(model):
        for inputs, target in inputs_and_targets(data):
            if not len(target):  # a rank may have no samples of a batch
                continue
            output = model(*inputs)
            count += len(target)
            for name, metric in metrics.items():
                sums[name] += float(metric(output, target)) * len(target)
    return sums, count


def means(sums: Mapping[str, float], count: float) -> dict[str, float]:
    """Return sums over samples as means; ValueError if there are no samples."""
    if not count:
        raise ValueError("the data to evaluate on has no batches")
    return {name: total / count for name, total in sums.items()}


def inputs_and_targets(data: Iterable[Any]) -> Iterator[tuple[list[Any], Any]]:
    """Yield the inputs and the target of each batch; TypeError for one that has not both."""
    for batch in data:
        if not isinstance(batch, (tuple, list)) or len(batch) < 2:
            raise TypeError(f"a batch is a tuple (*inputs, target), not {type(batch).__name__}")
        *inputs, target = batch
        yield inputs, target
