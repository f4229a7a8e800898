"""Layers and containers."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

import numpy as np

from retrograd.checks import per_axis
from retrograd.engine import Tensor, arguments, get_default_dtype, no_grad, wrap
from retrograd.nn import functional as F
from retrograd.nn.init import fans, normal_, uniform_
from retrograd.nn.module import Module, new_parameter
from retrograd.random import RngLike, generator

Sizes = int | tuple[int, ...]


def at_least_1(module: Module, **sizes: Any) -> None:
    """Raise ValueError for sizes that are no whole numbers from 1."""
    for what, value in sizes.items():
        if not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{type(module).__name__} takes {what} of at least 1, not {value!r}")


def probability(module: Module, p: float) -> float:
    """Return `p`, checked."""
    if not 0 <= p <= 1:
        raise ValueError(f"{type(module).__name__} takes a probability from 0 to 1, not {p}")
    return p


def kept(rng: RngLike) -> RngLike:
    """Return a Generator to keep, or None for the default one."""
    return rng if rng is None else generator(rng)


def _init_affine(weight: Tensor, bias: Tensor | None, rng: RngLike) -> None:
    rng, bound = generator(rng), 1 / math.sqrt(fans(weight)[0])
    uniform_(weight, -bound, bound, rng)
    if bias is not None:
        uniform_(bias, -bound, bound, rng)


def not_usual(module: Module, **usual: Any) -> str:
    """Return options for repr: what differs."""
    return "".join(f", {n}={v!r}" for n in usual if (v := getattr(module, n)) != usual[n])


class Shown(Module):
    """A Module whose repr shows the arguments it keeps."""

    def __init__(self) -> None: ...

    def extra_repr(self) -> str:
        kinds: Any = type(self).__mro__
        names = (name for kind in kinds for name in arguments(kind.__init__))
        values = {name: vars(self).get(name) for name in names}
        simple = (int, float, str, tuple)
        return ", ".join(f"{n}={v!r}" for n, v in values.items() if isinstance(v, simple))


class Linear(Module):
    """`input @ weight.T + bias`: `(..., in_features)` to `(..., out_features)`.

    `weight` and `bias` are uniform within 1 / sqrt(in_features).

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
        _init_affine(self.weight, self.bias, rng)

    def forward(self, input: Any) -> Any:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"


class Embedding(Shown):
    """See `functional.embedding`; `weight` is normal, its row `padding_idx` 0.

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
            self.weight._array[padding_idx] = 0

    def forward(self, input: Any) -> Any:
        return F.embedding(input, self.weight, self.padding_idx)


class Identity(Module):
    """The input; arguments are ignored."""

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def forward(self, input: Any) -> Any:
        return input


class Flatten(Shown):
    """See `functional.flatten`; the first axis stays as the batch."""

    def __init__(self, start_axis: int = 1, end_axis: int = -1) -> None:
        self.start_axis, self.end_axis = start_axis, end_axis

    def forward(self, input: Any) -> Any:
        return F.flatten(input, self.start_axis, self.end_axis)


class Unflatten(Shown):
    """See `functional.unflatten`."""

    def __init__(self, axis: int, unflattened_size: tuple[int, ...] | list[int]) -> None:
        self.axis, self.unflattened_size = axis, tuple(unflattened_size)

    def forward(self, input: Any) -> Any:
        return F.unflatten(input, self.axis, self.unflattened_size)


class Dropout(Shown):
    """See `functional.dropout`; acts in training only.

    >>> rg.nn.Dropout(0.5).eval()(rg.Tensor([1.0, 1.0]))
    Tensor([1., 1.])
    """

    def __init__(self, p: float = 0.5, rng: RngLike = None) -> None:
        self.p, self.rng = probability(self, p), kept(rng)

    def forward(self, input: Any) -> Any:
        return F.dropout(input, self.p, self.training, self.rng)


# Convolution


class _Conv(Module):
    _axes = 2

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1,
        padding: Sizes | str = 0, dilation: Sizes = 1, groups: int = 1, bias: bool = True,
        padding_mode: str = "zeros", dtype: Any = None, rng: RngLike = None,
    ) -> None:  # fmt: skip
        name, modes = type(self).__name__, ("zeros", "reflect", "replicate", "circular")
        at_least_1(self, in_channels=in_channels, out_channels=out_channels, groups=groups)
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{name}: {groups=} must divide {in_channels} and {out_channels} channels"
            )
        if padding_mode not in modes:
            raise ValueError(f"{name} takes a padding_mode of {modes}, not {padding_mode!r}")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = self._per_axis("kernel_size", kernel_size)
        self.stride = self._per_axis("stride", stride)
        self.dilation = self._per_axis("dilation", dilation)
        self.padding_mode, self.padding = padding_mode, padding
        if not isinstance(padding, str):
            self.padding = self._per_axis("padding", padding, 0)
        self.weight = new_parameter((*self._channels(), *self.kernel_size), dtype)
        self.bias = new_parameter((out_channels,), dtype) if bias else None
        _init_affine(self.weight, self.bias, rng)

    def _per_axis(self, what: str, sizes: Sizes, at_least: int = 1) -> tuple[int, ...]:
        return per_axis(what, sizes, self._axes, at_least)

    def _channels(self) -> tuple[int, int]:
        return self.out_channels, self.in_channels // self.groups

    def forward(self, input: Any) -> Any:
        padding = self.padding
        if self.padding_mode != "zeros":
            options: Any = padding, self.kernel_size, self.stride, self.dilation
            pads = F.convolution._pads(type(self).__name__, *options)
            input = F.pad(input, [n for pair in reversed(pads) for n in pair], self.padding_mode)
            padding = 0
        function = F.conv1d if self._axes == 1 else F.conv2d
        options = self.stride, padding, self.dilation, self.groups
        return function(input, self.weight, self.bias, *options)

    def extra_repr(self) -> str:
        one, zero = (1,) * self._axes, (0,) * self._axes
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}"
        text += not_usual(
            self, stride=one, padding=zero, dilation=one, groups=1, padding_mode="zeros"
        )
        return text if self.bias is not None else text + ", bias=False"


class Conv1d(_Conv):
    """See `functional.conv1d`: `(N, C, L)` or `(C, L)`.

    `weight` is `(out_channels, in_channels / groups, kernel_size)`, drawn as in `Linear`.

    >>> rg.nn.Conv1d(3, 8, 5, padding="same")(np.ones((2, 3, 10))).shape
    (2, 8, 10)
    """

    _axes = 1


class Conv2d(_Conv):
    """As `Conv1d`, of `(N, C, H, W)` or `(C, H, W)`; sizes may be one for each axis.

    >>> rg.nn.Conv2d(1, 8, 3, stride=2)(np.ones((2, 1, 9, 9))).shape
    (2, 8, 4, 4)
    """


class ConvTranspose2d(_Conv):
    """See `functional.conv_transpose2d`; `weight` is `(in_channels, out_channels / groups, k, k)`.

    >>> rg.nn.ConvTranspose2d(8, 1, 2, stride=2)(np.ones((2, 8, 4, 4))).shape
    (2, 1, 8, 8)
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Sizes, stride: Sizes = 1,
        padding: Sizes = 0, output_padding: Sizes = 0, groups: int = 1, bias: bool = True,
        dilation: Sizes = 1, dtype: Any = None, rng: RngLike = None,
    ) -> None:  # fmt: skip
        self.output_padding = self._per_axis("output_padding", output_padding, 0)
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias,
            dtype=dtype, rng=rng,
        )  # fmt: skip

    def _channels(self) -> tuple[int, int]:
        return self.in_channels, self.out_channels // self.groups

    def forward(self, input: Any) -> Any:
        options: Any = (self.stride, self.padding, self.output_padding, self.groups, self.dilation)
        return F.conv_transpose2d(input, self.weight, self.bias, *options)


# Normalization


class _BatchNorm(Shown):
    _axes: tuple[int, ...]
    running_mean: Any
    running_var: Any
    num_batches_tracked: Any
    momentum: Any

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1,
        affine: bool = True, track_running_stats: bool = True, dtype: Any = None,
    ) -> None:  # fmt: skip
        at_least_1(self, num_features=num_features)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        shape, dtype = (num_features,), dtype or get_default_dtype()
        self.weight = new_parameter(shape, dtype, 1.0) if affine else None
        self.bias = new_parameter(shape, dtype) if affine else None
        starts = {
            "running_mean": np.zeros(shape, dtype), "running_var": np.ones(shape, dtype),
            "num_batches_tracked": np.array(0),
        }  # fmt: skip
        for name, start in starts.items():
            self.register_buffer(name, start if track_running_stats else None)

    def forward(self, input: Any) -> Any:
        n = self.num_features
        if input.ndim not in self._axes or input.shape[1] != n:
            raise ValueError(
                f"{type(self).__name__} takes an input (N, {n}, ...) of "
                f"{' or '.join(map(str, self._axes))} axes, not {input.shape}"
            )
        training, momentum = self.training, self.momentum
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
    """See `functional.batch_norm`: `(N, C)` or `(N, C, L)`; `momentum=None` averages all.

    >>> rg.nn.BatchNorm1d(1)(np.array([[1.0], [3.0]])).data.round(4).tolist()
    [[-1.0], [1.0]]
    """

    _axes = (2, 3)


class BatchNorm2d(_BatchNorm):
    """As `BatchNorm1d`, of `(N, C, H, W)`."""

    _axes = (4,)


class LayerNorm(Shown):
    """See `functional.layer_norm`.

    >>> rg.nn.LayerNorm(2)(np.array([[1.0, 3.0]])).data.round(4).tolist()
    [[-1.0, 1.0]]
    """

    def __init__(
        self, normalized_shape: int | tuple[int, ...] | list[int], eps: float = 1e-5,
        elementwise_affine: bool = True, bias: bool = True, dtype: Any = None,
    ) -> None:  # fmt: skip
        self.normalized_shape = shape = _shape(self, normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.weight = new_parameter(shape, dtype, 1.0) if elementwise_affine else None
        self.bias = new_parameter(shape, dtype) if elementwise_affine and bias else None

    def forward(self, input: Any) -> Any:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)


class RMSNorm(Shown):
    """See `functional.rms_norm`."""

    def __init__(
        self, normalized_shape: int | tuple[int, ...] | list[int], eps: float | None = None,
        elementwise_affine: bool = True, dtype: Any = None,
    ) -> None:  # fmt: skip
        self.normalized_shape = shape = _shape(self, normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.weight = new_parameter(shape, dtype, 1.0) if elementwise_affine else None

    def forward(self, input: Any) -> Any:
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)


def _shape(module: Module, given: int | tuple[int, ...] | list[int]) -> tuple[int, ...]:
    shape = (given,) if isinstance(given, int) else tuple(given)
    for length in shape:
        at_least_1(module, normalized_shape=length)
    return shape


class GroupNorm(Shown):
    """See `functional.group_norm`."""

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        at_least_1(self, num_groups=num_groups, num_channels=num_channels)
        if num_channels % num_groups:
            raise ValueError(f"GroupNorm: {num_groups} groups of {num_channels} channels")
        self.num_groups, self.num_channels = num_groups, num_channels
        self.eps, self.affine = eps, affine
        self.weight = new_parameter((num_channels,), dtype, 1.0) if affine else None
        self.bias = new_parameter((num_channels,), dtype) if affine else None

    def forward(self, input: Any) -> Any:
        if input.ndim < 2 or input.shape[1] != self.num_channels:
            raise ValueError(f"GroupNorm of {self.num_channels} channels got {input.shape}")
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)


# Containers


class _Container(Module):
    def _put(self, name: str, module: Any) -> None:
        kind = type(self)
        if not isinstance(module, Module):
            raise TypeError(f"{kind.__name__} takes Modules, {name!r} is {module!r}")
        if hasattr(kind, name) or "." in name:
            raise KeyError(f"{name!r} is a method of {kind.__name__}, or has a dot: rename it")
        setattr(self, name, module)


class _Numbered(_Container):
    _order: tuple[Module, ...] = ()  # the children

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self.extend(modules)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        self._follow()

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        self._follow()

    def _follow(self) -> None:
        order = tuple(self.children())
        if order != self._order:  # else compiled programs are stale
            vars(self)["_order"] = order

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
        if isinstance(self, Sequential):  # which keeps the names
            return Sequential(dict(zip(self._names(index), found, strict=True)))
        return ModuleList(found)

    def __setitem__(self, index: int, module: Module) -> None:
        self._put(self._names(index), module)

    def _names(self, index: int | slice) -> Any:
        return [name for name, _ in self.named_children()][index]


class Sequential(_Numbered):
    """Modules applied one after another, named "0", "1", ... or by a dict.

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
            self.extend(modules)  # type: ignore[arg-type]

    def forward(self, input: Any) -> Any:
        for module in self._order:
            input = module(input)
        return input


class ModuleList(_Numbered):
    """A list of Modules, named "0", "1", ..., without a forward.

    >>> list(rg.nn.ModuleList([rg.nn.Linear(2, 2)]).state_dict())
    ['0.weight', '0.bias']
    """


class ModuleDict(_Container):
    """A dict of Modules, without a forward.

    >>> rg.nn.ModuleDict({"mean": rg.nn.Linear(2, 1)})["mean"]
    Linear(2, 1, bias=True)
    """

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        self.update(modules or {})

    def update(self, modules: Mapping[str, Module]) -> None:
        """Add Modules by name."""
        for name, module in modules.items():
            self[name] = module

    def __getitem__(self, name: str) -> Module:
        return dict(self.items())[name]

    __setitem__ = _Container._put

    def __delitem__(self, name: str) -> None:
        self[name]  # or a KeyError
        delattr(self, name)

    def __len__(self) -> int:
        return len(dict(self.items()))

    def keys(self) -> Iterator[str]:
        """Yield the names."""
        return (name for name, _ in self.items())

    __iter__ = keys
    values, items = Module.children, Module.named_children
