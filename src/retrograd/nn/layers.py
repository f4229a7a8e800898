"""Layers, each a few lines over `nn.functional`, and Modules that hold other Modules."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self, cast

import numpy as np

from retrograd.core import Tensor, get_default_dtype, wrap
from retrograd.mode import MODE, no_grad
from retrograd.nn import functional as F
from retrograd.nn.init import fans, kaiming_uniform_, normal_, ones_, uniform_
from retrograd.nn.module import Module, new_parameter
from retrograd.random import RngLike, generator


def at_least_1(module: Module, **sizes: Any) -> None:
    """Raise ValueError for a size that is not a whole number of at least 1."""
    for what, value in sizes.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{type(module).__name__} takes {what} of at least 1, not {value!r}")


def init_affine(weight: Tensor, bias: Tensor | None, rng: RngLike) -> None:
    """Draw a weight as kaiming_uniform with a = sqrt(5), a bias within 1 / sqrt(fan in)."""
    rng = generator(rng)
    kaiming_uniform_(weight, a=math.sqrt(5), rng=rng)
    if bias is not None:
        bound = 1 / math.sqrt(fans(weight)[0])
        uniform_(bias, -bound, bound, rng)


def not_usual(module: Module, **usual: Any) -> str:
    """Return, for repr, the options that differ from these values."""
    given = {name: getattr(module, name) for name in usual}
    return "".join(f", {name}={given[name]!r}" for name in usual if given[name] != usual[name])


class Linear(Module):
    """`input @ weight.T + bias`: `(..., in_features)` to `(..., out_features)`.

    `weight` is `(out_features, in_features)`, kaiming_uniform with a = sqrt(5); `bias` is
    uniform within 1 / sqrt(in_features).

    >>> rg.nn.Linear(3, 2)(np.ones((5, 3))).shape
    (5, 2)
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, dtype: Any = None,
        rng: RngLike = None,
    ) -> None:  # fmt: skip
        at_least_1(self, in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        self.weight = new_parameter((out_features, in_features), dtype)
        self.bias = new_parameter((out_features,), dtype) if bias else None
        init_affine(self.weight, self.bias, rng)

    def forward(self, input: Any) -> Any:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"


class Embedding(Module):
    """A table of vectors: numbers `(...)` below `num_embeddings` to `(..., embedding_dim)`.

    `weight` is `(num_embeddings, embedding_dim)`, normal; the row `padding_idx` starts at 0 and
    gets no gradient.

    >>> rg.nn.Embedding(10, 3)(np.array([[1, 2], [4, 5]])).shape
    (2, 2, 3)
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None,
        dtype: Any = None, rng: RngLike = None,
    ) -> None:  # fmt: skip
        at_least_1(self, num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = padding_idx
        self.weight = normal_(new_parameter((num_embeddings, embedding_dim), dtype), rng=rng)
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ValueError(f"padding_idx {padding_idx} is not one of {num_embeddings} rows")
            self.padding_idx = padding_idx % num_embeddings
            self.weight._data[padding_idx] = 0

    def forward(self, input: Any) -> Any:
        return F.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        return f"{self.num_embeddings}, {self.embedding_dim}{not_usual(self, padding_idx=None)}"


class Identity(Module):
    """The input itself; whatever it is made with is ignored.

    >>> rg.nn.Identity(54, unused=True)(rg.Tensor([1.0]))
    Tensor([1.])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def forward(self, input: Any) -> Any:
        return input


class Flatten(Module):
    """Make one axis of those from `start_axis` to `end_axis`; the first stays as the batch.

    >>> rg.nn.Flatten()(rg.Tensor(np.ones((2, 3, 4)))).shape
    (2, 12)
    """

    _shown = ("start_axis", "end_axis")

    def __init__(self, start_axis: int = 1, end_axis: int = -1) -> None:
        self.start_axis, self.end_axis = start_axis, end_axis

    def forward(self, input: Any) -> Any:
        return F.flatten(input, self.start_axis, self.end_axis)


class Unflatten(Module):
    """Make several axes of the one at `axis`; one length may be -1."""

    _shown = ("axis", "unflattened_size")

    def __init__(self, axis: int, unflattened_size: tuple[int, ...] | list[int]) -> None:
        self.axis, self.unflattened_size = axis, tuple(unflattened_size)

    def forward(self, input: Any) -> Any:
        return F.unflatten(input, self.axis, self.unflattened_size)


class Dropout(Module):
    """In training, set elements to zero with probability `p` and scale up the others.

    >>> rg.nn.Dropout(0.5).eval()(rg.Tensor([1.0, 1.0]))
    Tensor([1., 1.])
    """

    _shown = ("p",)

    def __init__(self, p: float = 0.5, rng: RngLike = None) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout takes a probability p from 0 to 1, not {p}")
        self.p, self.rng = p, rng if rng is None else generator(rng)

    def forward(self, input: Any) -> Any:
        return F.dropout(input, self.p, self.training, self.rng)


# Normalization -----------------------------------------------------------------------------------


class _BatchNorm(Module):
    _axes: tuple[int, ...]
    _shown = ("num_features", "eps", "momentum", "affine", "track_running_stats")
    running_mean: Any
    running_var: Any
    num_batches_tracked: Any

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1,
        affine: bool = True, track_running_stats: bool = True, dtype: Any = None,
    ) -> None:  # fmt: skip
        at_least_1(self, num_features=num_features)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        shape, dtype = (num_features,), dtype or get_default_dtype()
        self.weight = ones_(new_parameter(shape, dtype)) if affine else None
        self.bias = new_parameter(shape, dtype) if affine else None
        tracked = track_running_stats
        self.register_buffer("running_mean", np.zeros(shape, dtype) if tracked else None)
        self.register_buffer("running_var", np.ones(shape, dtype) if tracked else None)
        self.register_buffer("num_batches_tracked", np.zeros((), np.int64) if tracked else None)

    def forward(self, input: Any) -> Any:
        n = self.num_features
        if input.ndim not in self._axes or input.shape[1] != n:
            raise ValueError(
                f"{type(self).__name__}({n}) takes an input (N, {n}, ...) of "
                f"{' or '.join(map(str, self._axes))} axes, not {input.shape}"
            )
        training, momentum = self.training, cast(Any, self.momentum)
        if self.running_mean is None:
            training = True
        elif training:
            with no_grad():
                count = wrap(self.num_batches_tracked)
                count += 1
                if momentum is None:
                    momentum = 1 / count.astype(self.running_mean.dtype)
        buffers = self.running_mean, self.running_var
        return F.batch_norm(input, *buffers, self.weight, self.bias, training, momentum, self.eps)


class BatchNorm1d(_BatchNorm):
    """Channels of mean 0 and variance 1 over the batch: `(N, C)` or `(N, C, L)`.

    In evaluation the running mean and variance are used, which training moves towards the
    batch's by `momentum` (None: their plain average so far).

    >>> rg.nn.BatchNorm1d(1)(np.array([[1.0], [3.0]])).data.round(4).tolist()
    [[-1.0], [1.0]]
    """

    _axes = (2, 3)


class BatchNorm2d(_BatchNorm):
    """As `BatchNorm1d`, over the batch and the image: `(N, C, H, W)`."""

    _axes = (4,)


class LayerNorm(Module):
    """The last axes, of `normalized_shape`, with mean 0 and variance 1, scaled and shifted.

    >>> rg.nn.LayerNorm(2)(np.array([[1.0, 3.0]])).data.round(4).tolist()
    [[-1.0, 1.0]]
    """

    _shown = ("normalized_shape", "eps", "elementwise_affine")

    def __init__(
        self, normalized_shape: int | tuple[int, ...] | list[int], eps: float = 1e-5,
        elementwise_affine: bool = True, bias: bool = True, dtype: Any = None,
    ) -> None:  # fmt: skip
        self.normalized_shape = shape = _shape(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.weight = ones_(new_parameter(shape, dtype)) if elementwise_affine else None
        self.bias = new_parameter(shape, dtype) if elementwise_affine and bias else None

    def forward(self, input: Any) -> Any:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)


class RMSNorm(Module):
    """The last axes, of `normalized_shape`, with mean square 1, scaled."""

    _shown = ("normalized_shape", "eps", "elementwise_affine")

    def __init__(
        self, normalized_shape: int | tuple[int, ...] | list[int], eps: float | None = None,
        elementwise_affine: bool = True, dtype: Any = None,
    ) -> None:  # fmt: skip
        self.normalized_shape = shape = _shape(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.weight = ones_(new_parameter(shape, dtype)) if elementwise_affine else None

    def forward(self, input: Any) -> Any:
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)


def _shape(given: int | tuple[int, ...] | list[int]) -> tuple[int, ...]:
    shape = (given,) if isinstance(given, int) else tuple(given)
    if math.prod(shape) < 1:
        raise ValueError(f"normalized_shape is {given}: it must hold an element")
    return shape


class GroupNorm(Module):
    """Groups of channels of `(N, C, ...)` with mean 0 and variance 1, scaled and shifted."""

    _shown = ("num_groups", "num_channels", "eps", "affine")

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        at_least_1(self, num_groups=num_groups, num_channels=num_channels)
        if num_channels % num_groups:
            raise ValueError(f"GroupNorm: {num_groups} groups of {num_channels} channels")
        self.num_groups, self.num_channels = num_groups, num_channels
        self.eps, self.affine = eps, affine
        self.weight = ones_(new_parameter((num_channels,), dtype)) if affine else None
        self.bias = new_parameter((num_channels,), dtype) if affine else None

    def forward(self, input: Any) -> Any:
        if input.ndim < 2 or input.shape[1] != self.num_channels:
            raise ValueError(f"GroupNorm of {self.num_channels} channels got {input.shape}")
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)


# Containers --------------------------------------------------------------------------------------


class _Container(Module):
    def _put(self, name: str, module: Any) -> None:
        kind = type(self)
        if not isinstance(module, Module):
            raise TypeError(f"{kind.__name__} takes Modules, {name!r} is {module!r}")
        if hasattr(kind, name):
            raise KeyError(f"{name!r} is a method of {kind.__name__}: take another name")
        setattr(self, name, module)


class _Numbered(_Container):
    _order: tuple[Module, ...] = ()  # the children, kept for a quick forward

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self.extend(modules)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        vars(self)["_order"] = tuple(self.children())

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        vars(self)["_order"] = tuple(self.children())

    def append(self, module: Module) -> Self:
        """Add a Module at the end; returns this one."""
        self._put(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add Modules at the end; returns this one."""
        for module in modules:
            self.append(module)
        return self

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._order)

    def __getitem__(self, index: int | slice) -> Any:
        found = self._order[index]
        if isinstance(found, Module):
            return found
        return Sequential(*found) if isinstance(self, Sequential) else ModuleList(found)

    def __setitem__(self, index: int, module: Module) -> None:
        self._put([name for name, _ in self.named_children()][index], module)


class Sequential(_Numbered):
    """Modules applied one after another, named "0", "1", ... in the state_dict, or by a dict.

    >>> rg.nn.Sequential(rg.nn.Linear(2, 4), rg.nn.ReLU())
    Sequential(
      (0): Linear(2, 4, bias=True)
      (1): ReLU()
    )
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            for name, module in modules[0].items():
                self._put(name, module)
        else:
            super().__init__(modules)  # type: ignore[arg-type]

    def forward(self, input: Any) -> Any:
        plain = MODE.get().tape is None
        for module in self._order:
            # where a call would do no more, without the call
            input = module.forward(input) if plain and module._direct else module(input)
        return input


class ModuleList(_Numbered):
    """A list of Modules, named "0", "1", ... in the state_dict, without a forward of its own.

    >>> list(rg.nn.ModuleList(rg.nn.Linear(2, 2) for _ in range(3)).state_dict())[:2]
    ['0.weight', '0.bias']
    """


class ModuleDict(_Container):
    """Modules by name, without a forward of its own.

    >>> rg.nn.ModuleDict({"mean": rg.nn.Linear(2, 1), "spread": rg.nn.Linear(2, 1)})["mean"]
    Linear(2, 1, bias=True)
    """

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        self.update(modules or {})

    def update(self, modules: Mapping[str, Module]) -> None:
        """Add Modules under their names, over those that had the names before."""
        for name, module in modules.items():
            self[name] = module

    def __setitem__(self, name: str, module: Module) -> None:
        self._put(name, module)

    def __getitem__(self, name: str) -> Module:
        return dict(self.items())[name]

    def __delitem__(self, name: str) -> None:
        self[name]  # a KeyError for what is no Module
        delattr(self, name)

    def __len__(self) -> int:
        return len(dict(self.items()))

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.items())

    def keys(self) -> Iterator[str]:
        """Yield the names."""
        return iter(self)

    def values(self) -> Iterator[Module]:
        """Yield the Modules."""
        return self.children()

    def items(self) -> Iterator[tuple[str, Module]]:
        """Yield names and Modules."""
        return self.named_children()
