"""`vmap`: functions of one entry as functions of batches."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from retrograd import tree
from retrograd.checks import takes_function
from retrograd.engine import Tensor, as_array, spelled, wrap
from retrograd.engine.tensor import share_memory
from retrograd.func.batch_run import run_batch
from retrograd.func.calls import ONE_BY_ONE

Axes = Any  # an int, None, or a tree of them like that of the values, or like its upper part


def vmap(f: Callable[..., Any], in_axes: Axes = 0, out_axes: Axes = 0) -> Callable[..., Any]:
    """Return the function that does for each entry of a batch what `f` does for one.

    It is a loop over the entries without the loop: `f` runs once, on Tensors that have the shape of
    one entry, and each NumPy call that it makes is run for all entries at once. It may stand in
    `grad`, `vjp`, `jvp`, `jacobian`, `hessian`, `rg.compile` and in itself, and these in it.
    `vmap(grad(loss), in_axes=(None, 0, 0))(params, x, y)` gives the gradient of each sample.

    Args:
        f: A function written in NumPy calls and operators. It gets a Tensor for each array that is
            mapped over, and it may return a Tensor, an array, a number, or a tree (nested dicts,
            lists, tuples) of these. What it draws by `rg.random.uniform`, `normal` and Dropout is
            drawn for each entry by itself.
        in_axes: Which axis of each argument counts the entries: an int for all arguments, or a
            tuple with an entry for each. An entry is an int; None for an argument that all entries
            share, which `f` gets as it is; or a tree of these like the argument's own, or like its
            upper part. Keywords are shared.
        out_axes: Which axis of each result counts the entries: an int, or a tree of these like
            the result's. None for what does not depend on the batch, to have it once.

    Returns:
        A function that takes what `f` takes, with an axis more in what is mapped over, all of one
        length. It returns the tree that `f` returns, of Tensors that have the axis more.

    Raises:
        TypeError: when called, if `f` is no function; if what is to be mapped over has no axes,
            such as a number; if `in_axes` fits no argument, or names none to map over; if `f` does
            what has one value for the whole batch: `if t > 0`, `t.item()`, `backward()`, a write
            into an argument or under `no_grad`, a mask as an index; or if it returns what is no
            array.
        ValueError: when called, if lengths differ, an axis is not there, a result that `out_axes`
            wants once depends on the batch, or a shape depends on values.

    A function that NumPy cannot run for many entries at once, such as `np.convolve`, or a primitive
    of one's own that branches on values or fills arrays, is run for each of them: right, and
    slower. `rg.func.vmap.report()` tells which ones, and how often, since it was last asked.

    >>> x, w = np.arange(6.0).reshape(3, 2), np.array([1.0, 10.0])
    >>> rg.func.vmap(np.dot, in_axes=(0, None))(x, w)
    Tensor([10., 32., 54.])
    >>> loss = lambda w, x: np.sum(w * x) ** 2
    >>> rg.func.vmap(rg.func.grad(loss), in_axes=(None, 0))(w, x)
    Tensor([[  0.,  20.],
            [128., 192.],
            [432., 540.]])
    """
    takes_function("vmap", f)
    name = f"vmap of {spelled(f)}"

    def batched(*args: Any, **kwargs: Any) -> Any:
        leaves, structure = tree.flatten(args)
        axes = _axes_of_arguments(name, in_axes, args)
        paths = structure.paths()
        values = [
            v if axis is None else _lead(name, v, axis, path)
            for v, axis, path in zip(leaves, axes, paths, strict=True)
        ]
        flags = [axis is not None for axis in axes]
        size = _size(name, values, flags, paths)
        if not size:  # one entry of ones, of which nothing is left at the end
            values = [_pad(v) if flag else v for v, flag in zip(values, flags, strict=True)]

        def call(*given: Any) -> Any:
            return f(*structure.unflatten(given), **kwargs)

        found, made = run_batch(name, call, values, flags, max(size, 1))
        axes_out = _fit(f"{name}: out_axes", out_axes, made.unflatten([*range(made.size)]))
        tensors = [v for v in leaves if isinstance(v, Tensor)]
        results = [
            _result(name, value, flag, axis, size, tensors)
            for (value, flag), axis in zip(found, axes_out, strict=True)
        ]
        return made.unflatten(results)

    functools.update_wrapper(batched, f, assigned=("__module__",), updated=())
    batched.__name__ = name
    return batched


def report() -> dict[str, int]:
    """Return which functions `vmap` ran one by one, and in how many calls, since last asked.

    Returns:
        The number of calls by the name of the function; empty if all ran on whole batches.

    >>> _ = rg.func.vmap.report()
    >>> _ = rg.func.vmap(lambda x: np.convolve(x, x))(np.ones((2, 3)))
    >>> rg.func.vmap.report()
    {'np.convolve': 1}
    """
    found = dict(ONE_BY_ONE)
    ONE_BY_ONE.clear()
    return found


vmap.report = report  # type: ignore[attr-defined]


# Axes


def _axes_of_arguments(name: str, in_axes: Axes, args: tuple[Any, ...]) -> list[int | None]:
    """Return the axis of each leaf of the arguments, None where it is shared."""
    if isinstance(in_axes, (tuple, list)) and len(in_axes) != len(args):
        raise TypeError(
            f"{name} has in_axes for {len(in_axes)} arguments, {in_axes!r}, and got {len(args)}: "
            "write an int for all, or an entry for each, None for one that is shared"
        )
    entries = in_axes if isinstance(in_axes, (tuple, list)) else [in_axes] * len(args)
    axes = [
        axis
        for i, (entry, arg) in enumerate(zip(entries, args, strict=True))
        for axis in _fit(f"{name}: in_axes of argument {i}", entry, arg)
    ]
    if all(axis is None for axis in axes):
        raise TypeError(
            f"{name} has nothing to map over: in_axes={in_axes!r} leaves all of {len(args)} "
            "arguments shared. Without a batch, call the function itself"
        )
    return axes


def _fit(what: str, axes: Axes, values: Any) -> list[int | None]:
    """Return an axis for each leaf of a tree, of axes in a tree like it or like its upper part."""
    if axes is None or (isinstance(axes, (int, np.integer)) and not isinstance(axes, bool)):
        return [None if axes is None else int(axes)] * len(tree.leaves(values))
    inside, given = _open(values), _open(axes)
    if given is None:
        raise TypeError(f"{what} is an int, None, or a tree of these, not {axes!r}")
    if inside is None or inside.keys() != given.keys():
        shown = tree.flatten(values)[1]
        raise TypeError(f"{what} is {axes!r}, which does not fit the tree {shown!r}")
    return [axis for key, value in inside.items() for axis in _fit(what, given[key], value)]


def _open(values: Any) -> dict[Any, Any] | None:
    if isinstance(values, dict):
        return values
    return dict(enumerate(values)) if isinstance(values, (tuple, list)) else None


def _lead(name: str, value: Any, axis: int, path: tuple[Any, ...]) -> Any:
    """Return an argument with the axis that counts the entries in front."""
    if isinstance(value, Tensor):
        v: Any = value
    elif isinstance(value, (np.ndarray, np.generic, float, int)):
        v = as_array(value)
    else:
        raise TypeError(
            f"{name}: {_place(path)} is {value!r}, which is no array to map over: write None for "
            "it in in_axes"
        )
    if not v.ndim:
        raise TypeError(
            f"{name}: {_place(path)} is one number, {value!r}, with no axis to map over: write "
            "None for it in in_axes, or pass an array with a number for each entry"
        )
    if not -v.ndim <= axis < v.ndim:
        raise ValueError(
            f"{name}: {_place(path)} of shape {v.shape} has no axis {axis}, which in_axes names"
        )
    return np.moveaxis(v, axis, 0) if axis % v.ndim else v


def _place(path: tuple[Any, ...]) -> str:
    return f"argument {path[0]}" + "".join(f"[{key!r}]" for key in path[1:])


def _size(name: str, values: list[Any], flags: list[bool], paths: list[tuple[Any, ...]]) -> int:
    """Return how many entries there are."""
    sizes = {_place(path): v.shape[0]
             for v, flag, path in zip(values, flags, paths, strict=True) if flag}  # fmt: skip
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{place} has {size}" for place, size in sizes.items())
        raise ValueError(f"{name} maps over batches of different sizes: {told}")
    size: int = next(iter(sizes.values()))
    return size


def _pad(value: Any) -> Any:
    one = np.ones((1, *value.shape[1:]), value.dtype)
    return np.concatenate([value, one]) if isinstance(value, Tensor) else one


def _result(
    name: str, value: Any, flag: bool, axis: int | None, size: int, sources: list[Tensor]
) -> Tensor:
    """Return one of the results, with the axis that counts the entries where it is wanted."""
    if not isinstance(value, Tensor):
        if not isinstance(value, (np.ndarray, np.generic, float, int)):
            raise TypeError(
                f"{name}: the function returned {value!r}, of which no batch can be made: return "
                "Tensors, arrays and numbers, in dicts, lists and tuples"
            )
        value = as_array(value)
    if axis is None:
        if flag:
            raise ValueError(
                f"{name}: out_axes is None for a result that differs from entry to entry: write "
                "an int, or return what does not depend on the batch"
            )
        return _tensor(value, sources)
    if not flag:
        value = np.broadcast_to(value, (size, *value.shape))
        value = value if isinstance(value, Tensor) else value.copy()
    elif not size:
        value = value[:0]
    if not -value.ndim <= axis < value.ndim:
        raise ValueError(f"{name}: a result of shape {value.shape} has no axis {axis} (out_axes)")
    return _tensor(np.moveaxis(value, 0, axis) if axis % value.ndim else value, sources)


def _tensor(value: Any, sources: list[Tensor]) -> Tensor:
    if isinstance(value, Tensor):
        return value
    t = wrap(value)
    if value.base is not None or any(value is s._array for s in sources):
        share_memory(t, value, tuple(sources))
    return t
