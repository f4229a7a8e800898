"""Modules as functions of their parameters, trees as vectors, and what is computed twice."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from retrograd import core, random, tree
from retrograd.backward import ReversePass
from retrograd.core import Tensor, as_array, wrap
from retrograd.func.batching import sources
from retrograd.mode import MODE, enable_grad, no_grad
from retrograd.nn.module import Module
from retrograd.registry import Rule, Vjp


def functional_call(module: Module, params: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
    """Return `module(*args)` as if `params` were its parameters and buffers.

    `params` has arrays or Tensors under dotted names, as `state_dict` has; what is missing stays
    as it is. The module itself is not changed. Raises KeyError for unknown names and ValueError
    for other shapes.

    >>> net = rg.nn.Linear(2, 1)
    >>> params = {"weight": np.array([[1.0, 2.0]]), "bias": np.zeros(1)}
    >>> rg.func.functional_call(net, params, np.array([[3.0, 4.0]]))
    Tensor([[11.]])
    >>> loss = lambda params: np.sum(rg.func.functional_call(net, params, np.ones((5, 2))))
    >>> rg.func.grad(loss)(params)["bias"]
    Tensor([5.])
    """
    if not isinstance(module, Module):
        raise TypeError(f"functional_call takes a Module first, not {type(module).__name__}")
    if not isinstance(params, Mapping):
        raise TypeError(f"functional_call takes a dict of parameters, not {type(params).__name__}")
    places: dict[int, list[tuple[dict[str, Any], str]]] = {}  # of each value, by its id
    named = {}
    for prefix, owner in module.named_modules():
        for key, value in vars(owner).items():
            if isinstance(value, Tensor) or key in owner._buffers:
                places.setdefault(id(value), []).append((vars(owner), key))
                named[f"{prefix}.{key}" if prefix else key] = value
    if unknown := [repr(name) for name in params if name not in named]:
        raise KeyError(f"{type(module).__name__} has no parameter {', '.join(unknown)}")
    swaps = []
    for name, value in params.items():
        old = named[name]
        new: Any = value if isinstance(value, Tensor) else wrap(as_array(value))
        if new.shape != np.shape(old):
            raise ValueError(f"{name} has shape {np.shape(old)}, functional_call got {new.shape}")
        kept = new if isinstance(old, Tensor) else new._data
        swaps += [(attributes, key, kept, old) for attributes, key in places[id(old)]]
    try:
        for attributes, key, new, _ in swaps:
            attributes[key] = new
        return module(*args, **kwargs)
    finally:
        for attributes, key, _, old in swaps:
            attributes[key] = old


def ravel_pytree(values: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Return the leaves of a tree as one vector, and the function from vectors to trees.

    The vector is a Tensor if a leaf is, and an array otherwise; so are the leaves of the tree
    that the function returns for it, with the shapes and dtypes they had. Raises TypeError for
    leaves that are not floating; the function raises ValueError for vectors of another length.

    >>> vector, unravel = rg.func.ravel_pytree({"w": np.ones((2, 2)), "b": 3.0})
    >>> vector
    array([1., 1., 1., 1., 3.])
    >>> unravel(2 * vector)["b"]
    array(6.)
    """
    leaves, structure = tree.flatten(values)
    arrays = [as_array(leaf) for leaf in leaves]
    for array in arrays:
        if array.dtype.kind != "f":
            raise TypeError(f"ravel_pytree takes floating leaves, this one is {array.dtype}")
    like = [(array.shape, array.dtype) for array in arrays]  # alone, not to keep the arrays
    edges = np.cumsum([0, *(array.size for array in arrays)]).tolist()
    parts = [
        (leaf if isinstance(leaf, Tensor) else array).reshape(-1)
        for leaf, array in zip(leaves, arrays, strict=True)
    ]
    vector = np.concatenate(parts) if parts else np.zeros(0)

    def unravel(flat: Any) -> Any:
        """Return the tree whose leaves lie one after the other in `flat`."""
        v = flat if isinstance(flat, (Tensor, np.ndarray)) else np.asarray(flat)
        if v.shape != (edges[-1],):
            raise ValueError(f"unravel takes a vector of {edges[-1]} elements, not shape {v.shape}")
        return structure.unflatten([
            v[a:b].reshape(shape).astype(dtype)
            for (a, b), (shape, dtype) in zip(itertools.pairwise(edges), like, strict=True)
        ])  # fmt: skip

    return vector, unravel


def checkpoint(f: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return `f(*args)` without keeping what it computes on the way, which backward recomputes.

    Gradients flow to the Tensors in `args` (trees of them) and to those that `f` uses besides,
    such as the parameters of a Module. Draws of the default generator are the same again; `f`
    must give the same values each time.

    >>> x = rg.Tensor([0.0, 1.0], requires_grad=True)
    >>> np.sum(rg.func.checkpoint(lambda x: np.exp(np.sin(x)), x)).backward()
    >>> x.grad.round(3)
    array([1.   , 1.253])
    """
    if not callable(f):
        raise TypeError(f"checkpoint takes a function first, not {f!r}")
    mode = MODE.get()
    if mode.tape is not None or not mode.grad:
        return f(*args, **kwargs)  # nothing is kept anyway
    again, start = _Again(f, args, kwargs), core.clock()
    outs, structure = again.run()
    inner: dict[int, Tensor] = {}
    again.sources = list({id(t): t for t in sources(outs, start, inner)}.values())
    if not again.sources:
        return structure.unflatten(outs)
    # a value that is not of this run's making would be written together with its owner
    first = [t._data if id(t) in inner and t._data.base is None else t._data.copy() for t in outs]

    def recomputed(*sources: Any) -> Any:
        return tuple(first)

    rule = Rule(recomputed, again)
    rule.multi = True
    results = core.run(rule, tuple(again.sources), {})
    first.clear()
    return structure.unflatten(
        [t if o.requires_grad else t.detach() for t, o in zip(results, outs, strict=True)]
    )


class _Again(Sequence[Vjp]):
    """The vjps of a call that runs a function again, with the draws of the first time."""

    def __init__(self, f: Callable[..., Any], args: Any, kwargs: Any) -> None:
        self.f, self.args, self.kwargs = f, args, kwargs
        self.draws = random._default().bit_generator.state
        self.sources: list[Tensor] = []  # what gradients flow to

    def run(self) -> tuple[list[Tensor], tree.Structure]:
        outs, structure = tree.flatten(self.f(*self.args, **self.kwargs))
        return [t if isinstance(t, Tensor) else Tensor(t) for t in outs], structure

    def gradients(self, g: Sequence[Any], lift: bool) -> list[Any]:
        bits, start = random._default().bit_generator, core.clock()
        now, bits.state = bits.state, self.draws
        try:
            with enable_grad():
                outs, _ = self.run()
        finally:
            bits.state = now
        inner: dict[int, Tensor] = {}
        ends = set(sources(outs, start, inner))
        walk = ReversePass(True, lift, {*inner.values(), *ends}, ends)
        pairs = [(t, part) for t, part in zip(outs, g, strict=True) if t.requires_grad]
        # views: neither walk must write into what the other holds
        with enable_grad() if lift else no_grad():
            walk.run([t for t, _ in pairs], [part if lift else part.view() for _, part in pairs])
        found = [walk.found.get(t, np.zeros_like(t._data)) for t in self.sources]
        return [part if isinstance(part, Tensor) else part.view() for part in found]

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, i: Any) -> Any:
        return list(self)[i]

    def __iter__(self) -> Iterator[Vjp]:
        known: list[Any] = []  # one run a visit serves all sources

        def at(i: int) -> Vjp:
            def vjp(g: Any, out: Any, *sources: Any) -> Any:
                if not known:
                    known.extend(self.gradients(g, isinstance(out[0], Tensor)))
                return known[i]

            return vjp

        return map(at, range(len(self.sources)))
