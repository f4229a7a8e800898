"""Weights that are computed of other parameters: their length apart, or their size bounded.

A Module whose weight is computed gets a class of its own, in which the weight is a property. So it
is computed anew whenever it is read, and nothing stale stays behind when parameters change.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from retrograd.checks import refuse_words, whole
from retrograd.engine import Tensor, as_array, no_grad, wrap
from retrograd.nn.convolution import ConvTranspose1d, ConvTranspose2d
from retrograd.nn.module import Module
from retrograd.nn.parameter import Parameter
from retrograd.random import RngLike, generator
from retrograd.rules.axes import axis_of

__all__ = ["remove_spectral_norm", "remove_weight_norm", "spectral_norm", "weight_norm"]

ModuleT = TypeVar("ModuleT", bound=Module)


class Computed:
    """How an attribute of a Module is computed of its other attributes.

    Args:
        name: the attribute.
    """

    parts: tuple[str, ...]  # what the names of the attributes that it is computed of end in

    def __init__(self, name: str) -> None:
        self.name = name

    def read(self, module: Module) -> Any:
        """Return the value of the attribute."""
        raise NotImplementedError

    def refuse(self, module: Module, value: Any) -> None:
        """Raise AttributeError for a value that is to be assigned to the attribute."""
        own = " and ".join(f".{self.name}{part}" for part in self.parts)
        raise AttributeError(
            f"{type(module).__name__}.{self.name} is computed of {own}: assign to these"
        )


def _class_of(plain: type[Module], ways: tuple[Computed, ...]) -> type[Module]:
    """Return a class like another one, of whose attributes some are computed."""
    if not ways:
        return plain

    def reduce(self: Module) -> Any:
        return _new, (plain, ways), vars(self)

    names: dict[str, Any] = {way.name: property(way.read, way.refuse) for way in ways}
    names |= {"__doc__": plain.__doc__, "__module__": plain.__module__, "__reduce__": reduce}
    names |= {"_plain": plain, "_ways": ways}
    return type(plain.__name__, (plain,), names)


def _new(plain: type[Module], ways: tuple[Computed, ...]) -> Module:
    """Return a Module that is yet to get its attributes: for copies."""
    return plain.__new__(_class_of(plain, ways))


def _compute(module: Module, way: Computed) -> None:
    """Let an attribute of a Module be computed from now on."""
    plain = getattr(module, "_plain", type(module))
    module.__class__ = _class_of(plain, (*getattr(module, "_ways", ()), way))


def _remove(module: Module, name: str, kind: type[Computed], what: str) -> None:
    """Make a computed attribute a Parameter again, of the value that it has."""
    ways: tuple[Computed, ...] = getattr(module, "_ways", ())
    way = next((way for way in ways if way.name == name and isinstance(way, kind)), None)
    if way is None:
        raise ValueError(f"{type(module).__name__}.{name} has no {what}")
    with no_grad():
        value = as_array(getattr(module, name)).copy()
    for part in way.parts:
        delattr(module, name + part)
    module.__class__ = _class_of(module._plain, tuple(w for w in ways if w is not way))  # type: ignore[attr-defined]
    module._buffers = {n: kept for n, kept in module._buffers.items() if hasattr(module, n)}
    setattr(module, name, Parameter(value))


def _parameter_of(module: Module, name: str, where: str) -> Parameter:
    parameter = vars(module).get(name)
    if not isinstance(parameter, Parameter):
        raise ValueError(f"{where}: {type(module).__name__} has no Parameter {name!r}")
    return parameter


# Length and direction


class _WeightNorm(Computed):
    parts = ("_g", "_v")

    def __init__(self, name: str, axis: int | None) -> None:
        super().__init__(name)
        self.axis = axis

    def read(self, module: Module) -> Any:
        length, direction = (getattr(module, self.name + part) for part in self.parts)
        return direction * (length / _length(direction, self.axis))


def _length(x: Any, axis: int | None) -> Any:
    """Return the length of each slice along an axis, which stays; of all where that is None."""
    if axis is None:
        return np.sqrt(np.sum(np.square(x)))
    kept = axis_of(x, axis)
    others = tuple(i for i in range(x.ndim) if i != kept)
    return np.sqrt(np.sum(np.square(x), axis=others, keepdims=True))


def weight_norm(
    module: ModuleT, name: str = "weight", axis: int | None = 0, **_words: Any
) -> ModuleT:
    """Make a weight of two parameters, its lengths and its direction: `g * v / norm(v)`.

    Args:
        module: The Module, which is changed.
        name: Its weight (default "weight"). In its place there are the Parameters `weight_g`, the
            lengths, and `weight_v`, the direction, which give the same weight at first.
        axis: The axis of which each slice has a length of its own (default 0, that of the outputs);
            None makes one length of all.

    Returns:
        The same Module.

    Raises:
        ValueError: if there is no Parameter of that name, or it has no such axis.

    Salimans and Kingma 2016, "Weight normalization: a simple reparameterization to accelerate
    training of deep neural networks".

    >>> layer = rg.nn.utils.weight_norm(rg.nn.Linear(2, 3))
    >>> [(name, p.shape) for name, p in layer.named_parameters()]
    [('bias', (3,)), ('weight_g', (3, 1)), ('weight_v', (3, 2))]
    >>> layer(np.ones((5, 2))).shape
    (5, 3)
    """
    if _words:
        refuse_words("weight_norm", _words)
    weight = _parameter_of(module, name, "weight_norm")
    length = Parameter(_length(as_array(weight), axis))
    delattr(module, name)
    setattr(module, f"{name}_g", length)
    setattr(module, f"{name}_v", weight)
    _compute(module, _WeightNorm(name, axis))
    return module


def remove_weight_norm(module: ModuleT, name: str = "weight") -> ModuleT:
    """Make a weight of `weight_norm` one Parameter again, of the value that it has.

    Args:
        module: The Module, which is changed.
        name: Its weight (default "weight").

    Returns:
        The same Module.

    Raises:
        ValueError: if it has no such weight.

    >>> layer = rg.nn.utils.weight_norm(rg.nn.Linear(2, 3))
    >>> [name for name, p in rg.nn.utils.remove_weight_norm(layer).named_parameters()]
    ['bias', 'weight']
    """
    _remove(module, name, _WeightNorm, "weight_norm")
    return module


# The largest singular value


class _SpectralNorm(Computed):
    parts = ("_orig", "_u", "_v")

    def __init__(self, name: str, iterations: int, eps: float, axis: int) -> None:
        super().__init__(name)
        self.iterations, self.eps, self.axis = iterations, eps, axis

    def read(self, module: Module) -> Any:
        weight, *buffers = (getattr(module, self.name + part) for part in self.parts)
        matrix = self.matrix(weight)
        # Through Tensors, as a compiled step does it again in each of its runs.
        u, v = (Tensor(buffer) for buffer in buffers)
        if module.training:
            with no_grad():
                for _ in range(self.iterations):
                    v = self.unit(np.matmul(u, matrix))
                    u = self.unit(np.matmul(matrix, v))
                for buffer, value in zip(buffers, (u, v), strict=True):
                    target: Any = wrap(buffer)
                    target *= 0.0
                    target += value
        return weight / np.sum(u * np.matmul(matrix, v))

    def matrix(self, weight: Any) -> Any:
        """Return the weight as a matrix with a row for each output."""
        return np.moveaxis(weight, self.axis, 0).reshape((weight.shape[self.axis], -1))

    def unit(self, x: Any) -> Any:
        """Return a vector of length 1."""
        return x / np.maximum(np.sqrt(np.sum(np.square(x))), self.eps)


def spectral_norm(
    module: ModuleT, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12,
    axis: int | None = None, rng: RngLike = None, **_words: Any,
) -> ModuleT:  # fmt: skip
    """Divide a weight by its largest singular value, so that it makes no difference larger.

    That value is found by power iteration, a step or more each time that the weight is read in
    training; the vectors are kept for the next time.

    Args:
        module: The Module, which is changed.
        name: Its weight (default "weight"), taken for a matrix with a row for each output. In its
            place there are the Parameter `weight_orig` and the buffers `weight_u` and `weight_v`.
        n_power_iterations: Number of steps each time (default 1).
        eps: The least length to divide by (default 1e-12).
        axis: The axis of the outputs; by default 0, of a transposed convolution 1.
        rng: Generator or seed for the first vectors; by default the generator that `rg.manual_seed`
            seeds.

    Returns:
        The same Module.

    Raises:
        ValueError: if there is no Parameter of that name, or `n_power_iterations` is no whole
            number of at least 1.

    Miyato et al. 2018, "Spectral normalization for generative adversarial networks".

    >>> layer = rg.nn.utils.spectral_norm(rg.nn.Linear(2, 3), n_power_iterations=50)
    >>> float(np.linalg.norm(layer.weight.data, 2).round(4))
    1.0
    """
    if _words:
        refuse_words("spectral_norm", _words)
    whole("spectral_norm", n_power_iterations=n_power_iterations)
    weight = _parameter_of(module, name, "spectral_norm")
    if axis is None:
        axis = int(isinstance(module, (ConvTranspose1d, ConvTranspose2d)))
    way = _SpectralNorm(name, n_power_iterations, eps, axis)
    rows, columns = way.matrix(as_array(weight)).shape
    delattr(module, name)
    setattr(module, f"{name}_orig", weight)
    draws = generator(rng)
    for part, n in (("_u", rows), ("_v", columns)):
        vector = way.unit(draws.standard_normal(n)).astype(weight.dtype)
        module.register_buffer(name + part, vector)
    _compute(module, way)
    return module


def remove_spectral_norm(module: ModuleT, name: str = "weight") -> ModuleT:
    """Make a weight of `spectral_norm` one Parameter again, of the value that it has.

    Args:
        module: The Module, which is changed.
        name: Its weight (default "weight").

    Returns:
        The same Module.

    Raises:
        ValueError: if it has no such weight.

    >>> layer = rg.nn.utils.spectral_norm(rg.nn.Linear(2, 3))
    >>> list(rg.nn.utils.remove_spectral_norm(layer).state_dict())
    ['bias', 'weight']
    """
    _remove(module, name, _SpectralNorm, "spectral_norm")
    return module
