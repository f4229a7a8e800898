"""SGD, and what optimizers share.

An update is NumPy code: an optimizer runs it on arrays, the compiler on Tensors that record it.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from retrograd.engine import (
    CLOCK,
    Array,
    Tensor,
    as_array,
    is_recording,
    section,
    stamps,
    tell,
)
from retrograd.rules.joining import concat

State = dict[str, Any]
Options = Mapping[str, Any]

# Parameters up to this size share a flat array: an update of many costs as many NumPy calls as one.
# Gathering the gradients of larger ones would cost more.
SMALL = 16384
LIMITS = dict.fromkeys(
    ("momentum", "weight_decay", "eps", "lr_decay", "momentum_decay", "initial_accumulator_value"),
    math.inf,
) | {"alpha": 1, "rho": 1}
_ndarray = np.ndarray


def ensure(good: bool, name: str, wanted: str, got: Any) -> None:
    """Raise ValueError for an argument that cannot work."""
    if not good:
        raise ValueError(f"{name} must be {wanted}, not {got!r}")


def positive(**values: Any) -> None:
    """Raise ValueError for a value that is not a whole number of at least 1."""
    for name, value in values.items():
        good = isinstance(value, (int, np.integer)) and int(value) >= 1
        ensure(good, name, "a whole number of at least 1", value)


def cut(flat: Array, params: Sequence[Tensor]) -> list[Array]:
    """Return each parameter's part of a flat array; all of a number, or for one."""
    if len(params) == 1 or not flat.ndim:
        return [flat] * len(params)
    parts = np.split(flat, np.cumsum([p.size for p in params[:-1]]))
    return [part.reshape(p.shape) for part, p in zip(parts, params, strict=True)]


class Bucket:
    """Parameters updated as one array `data`, of which theirs are views, `count` times so far."""

    def __init__(self, params: list[Tensor]) -> None:
        self.params = params
        self.count = 0
        self.state: dict[str, Array] = {}
        self.gather()

    def gather(self) -> None:
        """Make `data` of the parameters' arrays."""
        self.data = self.params[0]._array
        if len(self.params) > 1:
            self.data = np.concatenate([p._array for p in self.params], axis=None)
        self.views = cut(self.data, self.params)
        for p, view in zip(self.params, self.views, strict=True):
            p._array = view
        self.stamps = stamps(self.params)

    def gradient(self) -> Any:
        """Return the gradients as one array, or None if that takes more than joining."""
        grads = []
        for p, view in zip(self.params, self.views):  # noqa: B905, as many by construction
            g = p._grad
            if g.__class__ is not _ndarray or p._array is not view:
                return None
            grads.append(g)
        return np.concatenate(grads, axis=None) if len(grads) > 1 else grads[0]

    def retire(self) -> None:
        """Let programs that are compiled over it hold no longer."""
        self.data = self.data[:0]

    def entries(self) -> dict[int, State]:
        """Return the count and a copy of the state by a parameter's id."""
        parts = {slot: cut(flat, self.params) for slot, flat in self.state.items()}
        return {
            id(p): {"step": self.count, **{slot: each[i].copy() for slot, each in parts.items()}}
            for i, p in enumerate(self.params)
        }


def gradient(p: Any, g: Any, options: Options, lr: Any) -> Any:
    """Return the gradient after `maximize` and `weight_decay`; if decoupled, decay `p`."""
    if options["maximize"]:
        g = -g
    if options["weight_decay"]:
        if options.get("decoupled_weight_decay"):
            p *= 1 - lr * options["weight_decay"]
        else:
            g = g + options["weight_decay"] * p
    return g


class Optimizer:
    """Base of the optimizers: define `update` and, where it keeps state, `used_slots`.

    `params` are Tensors that require grad, or dicts {"params": ..., options} with options of their
    own. TypeError for anything else, ValueError for none or one twice.
    """

    scalars: tuple[str, ...] = ()  # the state that is one number

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor) or hasattr(params, "parameters"):
            kind = type(params).__name__
            raise TypeError(
                f"an optimizer takes an iterable, not a {kind}: pass its .parameters() or [tensor]"
            )
        others = ("self", "params", "__class__")  # in a constructor's locals()
        self.defaults = {k: v for k, v in defaults.items() if k not in others}
        self.param_groups: list[dict[str, Any]] = []
        self._buckets: list[list[Bucket]] = []
        given = list(params)
        if not given:
            raise ValueError("an optimizer got no parameters")
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self.add_param_group(group)

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Train further parameters, with the options in `group`, else the defaults."""
        if not isinstance(group, Mapping) or "params" not in group:
            raise TypeError('a param group is a dict with the key "params"')
        params = group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        if unknown := [key for key in group if key not in ("params", *self.defaults)]:
            raise ValueError(f"{type(self).__name__} has no option {', '.join(unknown)}")
        seen = {id(x) for p in self._all() for x in (p, p._array)}
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"an optimizer trains Tensors, not {type(p).__name__}")
            fault = "is given twice" if id(p) in seen else ""
            if not fault and id(p._array) in seen:
                fault = "has the array of another: give both modules one Parameter"
            if not p.requires_grad or not p.is_leaf:
                fault = "has requires_grad=False" if p.is_leaf else "was computed"
            if fault:
                raise ValueError(
                    f"an optimizer trains leaves that require grad: a Tensor {p.shape} {fault}"
                )
            seen |= {id(p), id(p._array)}
        made = {**self.defaults, **group, "params": params}
        self.check(made)
        self.param_groups.append(made)
        self._buckets.append([])
        # not at the first step: arrays taken from now on stay the parameters'
        self._arrange(-1, {})

    def check(self, options: dict[str, Any]) -> None:
        """Raise ValueError for options that cannot work."""
        lr = options["lr"]
        finite = isinstance(lr, (int, float, np.number)) and math.isfinite(lr)
        ensure(finite and lr >= 0, "lr", "a finite number of at least 0", lr)
        for name, top in LIMITS.items():
            value = options.get(name, 0)
            ensure(0 <= value <= top, name, f"from 0 to {top}", value)
        betas = options.get("betas", (0, 0))
        good = isinstance(betas, (tuple, list)) and len(betas) == 2
        good = good and all(0 <= beta < 1 for beta in betas)
        ensure(good, "betas", "two numbers from 0 to below 1", betas)

    def update(self, p: Any, g: Any, state: State, options: Options, lr: Any, t: Any) -> None:
        """Change `p` and `state` in place by the gradient `g`; `t` counts updates from 1."""
        raise NotImplementedError(f"{type(self).__name__} does not define update")

    def used_slots(self, options: Options) -> dict[str, float]:
        """Return the state that these options need, with first values."""
        return {}

    # A step

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop all gradients, or with `set_to_none=False` fill them with 0."""
        if set_to_none and not is_recording():
            for group in self.param_groups:
                for p in group["params"]:
                    p._grad = None
            return
        for p in self._all():
            if set_to_none or p._grad is not None:
                p.grad = None if set_to_none else np.zeros_like(p._array)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters that have a gradient; return what `closure` returns."""
        loss = closure() if closure is not None else None
        if is_recording():
            with section("update"):
                for at, group in enumerate(self.param_groups):
                    for bucket, g in self._arranged(at, group):
                        tell("update", self, group, bucket, g)
            return loss
        for at, group in enumerate(self.param_groups):
            for bucket, g in self._ready(at, group):
                self.update(bucket.data, g, bucket.state, group, group["lr"], bucket.count + 1)
                bucket.count += 1
                CLOCK.write(bucket.stamps)
        return loss

    def _ready(self, at: int, group: dict[str, Any]) -> list[tuple[Bucket, Any]]:
        """Return the buckets that have gradients, and these."""
        ready = []
        slots = self.used_slots(group)
        for bucket in self._buckets[at]:
            g = bucket.gradient()
            if g is None or (slots and not slots.keys() <= bucket.state.keys()):
                return self._arranged(at, group)
            ready.append((bucket, g))
        return ready or self._arranged(at, group)

    def _arranged(self, at: int, group: dict[str, Any]) -> list[tuple[Bucket, Any]]:
        """Do so where buckets must change first or a recording see the gradients."""
        for bucket in [*self._buckets[at]]:
            have = {p.grad is not None for p in bucket.params}
            dtypes = {p.dtype for p in bucket.params}
            if len(have) > 1 or (True in have and dtypes != {bucket.data.dtype}):
                self._part(at, group, bucket)
        ready: list[tuple[Bucket, Any]] = []
        for bucket in self._buckets[at]:
            self._add_slots(bucket, group)  # those of an option that was changed since
            grads = [p.grad for p in bucket.params]
            if grads[0] is None:
                continue
            if any(
                p._array is not view for p, view in zip(bucket.params, bucket.views, strict=True)
            ):
                bucket.gather()
            ready.append((bucket, grads[0] if len(grads) == 1 else concat(*grads, axis=None)))
        return ready

    def _arrange(self, at: int, entries: Mapping[int, State]) -> None:
        """Put a group into buckets, with the state by the ids of parameters.

        Buckets of the right parameters stay: programs are compiled over their arrays.
        """
        together: dict[Any, list[Tensor]] = {}
        group = self.param_groups[at]
        for p in group["params"]:
            entry = entries.get(id(p), {})
            numbers = [float(entry.get(slot, 0)) for slot in ("step", *self.scalars)]
            key = (p.dtype, *numbers) if p.size <= SMALL else id(p)
            together.setdefault(key, []).append(p)
        old = {tuple(map(id, bucket.params)): bucket for bucket in self._buckets[at]}
        made = []
        for params in together.values():
            ids = tuple(map(id, params))
            bucket = old.pop(ids) if ids in old else Bucket(params)
            made.append(self._filled(bucket, group, entries))
        self._buckets[at][:] = made
        for bucket in old.values():
            bucket.retire()

    def _part(self, at: int, group: Options, bucket: Bucket) -> None:
        """Part a bucket by dtype and by who has a gradient."""
        parts: dict[Any, list[Tensor]] = {}
        for p in bucket.params:
            parts.setdefault((p.dtype, p._grad is None), []).append(p)
        entries, i = bucket.entries(), self._buckets[at].index(bucket)
        made = [self._filled(Bucket(params), group, entries) for params in parts.values()]
        self._buckets[at][i : i + 1] = made
        bucket.retire()

    def _filled(self, bucket: Bucket, group: Options, entries: Mapping[int, State]) -> Bucket:
        found = [entries.get(id(p), {}) for p in bucket.params]
        bucket.count = found[0].get("step", 0)
        self._add_slots(bucket, group)
        for slot, first in self.used_slots(group).items():
            for piece, entry in zip(cut(bucket.state[slot], bucket.params), found, strict=True):
                piece[...] = entry.get(slot, first)
        return bucket

    def _add_slots(self, bucket: Bucket, group: Options) -> None:
        for slot, first in self.used_slots(group).items():
            if slot not in bucket.state:
                shape = () if slot in self.scalars else None
                bucket.state[slot] = np.full_like(bucket.data, first, shape=shape)

    # State

    def state_dict(self) -> dict[str, Any]:
        """Return the options of groups and a copy of the state by a parameter's position."""
        order = {id(p): i for i, p in enumerate(self._all())}
        state = {
            order[key]: entry
            for buckets in self._buckets
            for bucket in buckets
            if bucket.count
            for key, entry in bucket.entries().items()
        }
        groups = [
            {**group, "params": [order[id(p)] for p in group["params"]]}
            for group in self.param_groups
        ]
        return {"state": dict(sorted(state.items())), "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take the options and state of another optimizer over the same parameters.

        ValueError, and no change, if it does not fit.
        """
        try:
            groups = state_dict["param_groups"]
            state = {int(i): entry for i, entry in state_dict["state"].items()}
            lengths = [len(g["params"]) for g in groups]
        except (KeyError, TypeError) as error:
            raise ValueError("an optimizer loads what its state_dict() returns") from error
        own = [len(g["params"]) for g in self.param_groups]
        if lengths != own:
            raise ValueError(f"the param groups have {lengths} parameters, here they have {own}")
        name = type(self).__name__
        # not flags, of which other versions may have fewer
        needed = [k for k, v in self.defaults.items() if type(v) in (int, float, tuple)]
        options, entries = [], {}
        for old, new in zip(self.param_groups, groups, strict=True):
            if missing := [k for k in needed if k not in new]:
                raise ValueError(f"{name} finds no {', '.join(missing)}: a state of another kind")
            group = {**old, **new, "params": old["params"]}
            self.check(group)
            options.append(group)
            # by the positions in the groups, as in torch
            for i, p in zip(new["params"], old["params"], strict=True):
                if (entry := state.pop(int(i), None)) is None:
                    continue
                # torch's SGD counts no steps: where state is, there was one
                entries[id(p)] = found = State(step=int(entry.get("step", 1)))
                for slot in self.used_slots(group):
                    if entry.get(slot) is None:
                        raise ValueError(f"{name} needs {slot} of parameter {i}, it has {[*entry]}")
                    found[slot] = array = as_array(entry[slot])
                    shape = () if slot in self.scalars else p.shape
                    if array.shape != shape:
                        raise ValueError(
                            f"{slot} of parameter {i} has shape {array.shape}, here it is {shape}"
                        )
        if state:
            raise ValueError(f"no group has parameter {', '.join(map(str, state))} of the state")
        for at, group in enumerate(options):
            self.param_groups[at].update(group)
            self._arrange(at, entries)

    def _all(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]

    def __repr__(self) -> str:
        shown = [
            "".join(f"{k}={v!r}, " for k, v in group.items() if k != "params")
            + f"{len(group['params'])} parameters"
            for group in self.param_groups
        ]
        return f"{type(self).__name__}({'; '.join(shown)})"


class SGD(Optimizer):
    """Stochastic gradient descent with momentum.

    The step is `lr * b` with `b = momentum * b + (1 - dampening) * g`, at first `g`; if `nesterov`,
    `lr * (g + momentum * b)`. `weight_decay` adds that much of the parameter to the gradient;
    `maximize` climbs.

    >>> w = rg.Tensor([1.0], requires_grad=True)
    >>> optimizer = rg.optim.SGD([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); w
    Tensor([0.8], requires_grad=True)
    """

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-3, momentum: float = 0.0,
        dampening: float = 0.0, weight_decay: float = 0.0, nesterov: bool = False, *,
        maximize: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, locals())

    def check(self, options: dict[str, Any]) -> None:
        super().check(options)
        if options["nesterov"] and (options["momentum"] <= 0 or options["dampening"]):
            raise ValueError("nesterov needs a momentum above 0 and no dampening")

    def used_slots(self, options: Options) -> dict[str, float]:
        return {"momentum_buffer": 0.0} if options["momentum"] else {}

    def update(self, p: Any, g: Any, state: State, options: Options, lr: Any, t: Any) -> None:
        if options["weight_decay"] or options["maximize"]:
            g = gradient(p, g, options, lr)
        if options["momentum"] != 0:
            buffer = state["momentum_buffer"]
            buffer *= options["momentum"]
            # not dampened at first, where 0 ** 0 is 1
            damp = options["dampening"]
            buffer += (1 - damp * (1 - 0 ** (t - 1))) * g if damp else g
            g = g + options["momentum"] * buffer if options["nesterov"] else buffer
        p -= lr * g
