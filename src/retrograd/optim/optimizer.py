"""What all optimizers share: param groups, flat buckets of parameters, state that can be saved.

An update is NumPy code on arrays, like a gradient rule: an optimizer runs it on the arrays
themselves, the compiler on Tensors that record it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from retrograd.core import Array, Tensor, as_array, touch, wrap
from retrograd.mode import MODE
from retrograd.rules.shaping import concat

# Parameters up to this many elements share a flat array, so that an update of many small ones
# costs as many NumPy calls as one; of larger ones, gathering the gradients would cost more.
SMALL = 16384


class Bucket:
    """Parameters that are updated as one array `data`, with the state of that update.

    The arrays of several parameters become views of `data`. `count` is the number of updates.
    """

    def __init__(self, params: list[Tensor], slots: Iterable[str], count: int = 0) -> None:
        self.params = params
        self.count = count
        self.state: dict[str, Array] = {}
        self.gather()
        for slot in slots:
            self.state[slot] = np.zeros_like(self.data)

    def gather(self) -> None:
        """Make `data` from the parameters' arrays, at first and after they were replaced."""
        if len(self.params) == 1:
            self.data = self.params[0]._data
            self.views = [self.data]
            return
        self.data = np.concatenate([p._data.ravel() for p in self.params])
        self.views = self.cut(self.data)
        for p, view in zip(self.params, self.views, strict=True):
            p._data = view

    def cut(self, flat: Array) -> list[Array]:
        """Return the part of each parameter in an array like `data`, in its shape."""
        if len(self.params) == 1:
            return [flat]
        parts, start = [], 0
        for p in self.params:
            parts.append(flat[start : start + p.size].reshape(p.shape))
            start += p.size
        return parts

    def intact(self) -> bool:
        """Tell whether every parameter still is a view of `data`."""
        return all(p._data is view for p, view in zip(self.params, self.views, strict=True))

    def split(self) -> list[Bucket]:
        """Return a bucket for each parameter, with its part of the state."""
        made = [Bucket([p], (), self.count) for p in self.params]
        for slot, flat in self.state.items():
            for bucket, part in zip(made, self.cut(flat), strict=True):
                bucket.state[slot] = part.copy()
        return made


def at_most(x: Any, bound: float) -> Any:
    """Return the smaller of a number and a bound; the compiler's numbers know how themselves."""
    return min(x, bound) if isinstance(x, (int, float)) else x.at_most(bound)


def at_least(x: Any, bound: Any) -> None:
    """Raise the elements of `x` in place to those of `bound`; for an update to call."""
    if isinstance(x, Tensor):
        x._update(np.maximum, bound)
    else:
        np.maximum(x, bound, out=x)


def gradient(p: Any, g: Any, options: Mapping[str, Any], lr: Any) -> Any:
    """Return the gradient to descend along, after `maximize` and `weight_decay`.

    A `decoupled_weight_decay` is taken off the parameters here instead.
    """
    if options["maximize"]:
        g = -g
    if options["weight_decay"]:
        if options.get("decoupled_weight_decay"):
            p *= 1 - lr * options["weight_decay"]
        else:
            g = g + options["weight_decay"] * p
    return g


class Optimizer:
    """Base of the optimizers: define `defaults`, `slots` and `update`.

    `params` is an iterable of Tensors that require grad, or of dicts {"params": ..., options} with
    options of their own. Raises TypeError for anything else, ValueError for an empty iterable or
    a parameter that appears twice.
    """

    slots: tuple[str, ...] = ()

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError("an optimizer takes an iterable of parameters: [tensor], not a Tensor")
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self._buckets: list[list[Bucket]] = []
        given = list(params)
        if not given:
            raise ValueError("an optimizer got no parameters")
        if not isinstance(given[0], dict):
            given = [{"params": given}]
        for group in given:
            self.add_param_group(group)

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Train further parameters, with the options in `group` or else the defaults."""
        if not isinstance(group, Mapping) or "params" not in group:
            raise TypeError('a param group is a dict with the key "params"')
        params = group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        unknown = [key for key in group if key not in self.defaults and key != "params"]
        if unknown:
            raise ValueError(f"{type(self).__name__} has no option {', '.join(unknown)}")
        seen = {id(p) for g in self.param_groups for p in g["params"]}
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"an optimizer trains Tensors, not {type(p).__name__}")
            if p.call is not None or not p.requires_grad:
                raise ValueError(
                    f"an optimizer trains leaves that require grad; a Tensor of shape {p.shape} "
                    + ("was computed" if p.call is not None else "has requires_grad=False")
                )
            if id(p) in seen:
                raise ValueError(f"a parameter of shape {p.shape} is given twice")
            seen.add(id(p))
        options = {**self.defaults, **{k: v for k, v in group.items() if k != "params"}}
        self.check(options)
        self.param_groups.append({"params": params, **options})
        self._buckets.append([])

    def check(self, options: dict[str, Any]) -> None:
        """Raise ValueError for options that cannot work."""
        lr = options["lr"]
        if not (isinstance(lr, (int, float, np.number)) and math.isfinite(lr) and lr >= 0):
            raise ValueError(f"lr must be a finite number of at least 0, not {lr!r}")
        for name in ("momentum", "weight_decay", "eps"):
            if name in options and not options[name] >= 0:
                raise ValueError(f"{name} must be at least 0, not {options[name]!r}")
        for beta in options.get("betas", ()):
            if not 0 <= beta < 1:
                raise ValueError(f"betas must be from 0 to below 1, not {options['betas']!r}")

    def update(
        self, p: Any, g: Any, state: dict[str, Any], options: Mapping[str, Any], lr: Any, t: Any
    ) -> None:
        """Change `p` and `state` in place; `g` is the gradient and `t` counts updates from 1."""
        raise NotImplementedError(f"{type(self).__name__} does not define update")

    def used_slots(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the names of the state that these options need."""
        return self.slots

    # A step --------------------------------------------------------------------------------------

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or with `set_to_none=False` fill them with 0."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p._grad = None
                elif p._grad is not None:
                    p.grad = np.zeros_like(p._data)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; return what `closure` returns, if given."""
        loss = closure() if closure is not None else None
        tape = MODE.get().tape
        for at, group in enumerate(self.param_groups):
            for bucket, g in self._ready(at, group):
                if tape is not None:
                    tape.update(self, group, bucket, g)
                    continue
                self.update(bucket.data, g, bucket.state, group, group["lr"], bucket.count + 1)
                bucket.count += 1
                for p in bucket.params:
                    touch(p)
        return loss

    def _ready(self, at: int, group: dict[str, Any]) -> list[tuple[Bucket, Any]]:
        """Return the buckets that have gradients, each with its gradient as one array."""
        buckets = self._buckets[at]
        if not buckets:
            buckets = self._buckets[at] = self._bucketed(group)
        ready = []
        for bucket in list(buckets):
            grads = [p._grad for p in bucket.params]
            if len(grads) == 1:
                if grads[0] is not None:
                    if bucket.data is not bucket.params[0]._data:
                        bucket.gather()
                    ready.append((bucket, bucket.params[0].grad))
                continue
            missing = sum(g is None for g in grads)
            if missing == len(grads):
                continue
            if missing:
                # they no longer move together
                i = buckets.index(bucket)
                buckets[i : i + 1] = bucket.split()
                return self._ready(at, group)
            if not bucket.intact():
                bucket.gather()
            ready.append((bucket, concat(*[p.grad.reshape(-1) for p in bucket.params])))
        return ready

    def _bucketed(self, group: dict[str, Any]) -> list[Bucket]:
        slots = self.used_slots(group)
        small: dict[Any, list[Tensor]] = {}
        buckets = []
        for p in group["params"]:
            if p.size <= SMALL:
                small.setdefault(p.dtype, []).append(p)
            else:
                buckets.append(Bucket([p], slots))
        return buckets + [Bucket(params, slots) for params in small.values()]

    # State ---------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return the options of each group and a copy of each parameter's state, by position."""
        order = {id(p): i for i, p in enumerate(self._all())}
        state = {}
        for buckets in self._buckets:
            for bucket in buckets:
                parts = {slot: bucket.cut(flat) for slot, flat in bucket.state.items()}
                for i, p in enumerate(bucket.params):
                    if bucket.count:
                        own = {slot: pieces[i].copy() for slot, pieces in parts.items()}
                        state[order[id(p)]] = {"step": bucket.count, **own}
        groups = [
            {**group, "params": [order[id(p)] for p in group["params"]]}
            for group in self.param_groups
        ]
        return {"state": dict(sorted(state.items())), "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take the options and state of another optimizer over the same parameters.

        Raises ValueError if groups, counts or shapes differ; nothing is changed then.
        """
        groups, state = state_dict["param_groups"], state_dict["state"]
        lengths = [len(g["params"]) for g in groups]
        own = [len(g["params"]) for g in self.param_groups]
        if lengths != own:
            raise ValueError(f"the param groups have {lengths} parameters, here they have {own}")
        params = self._all()
        loaded: dict[int, dict[str, Array]] = {}
        for i, entry in state.items():
            p = params[int(i)]
            loaded[id(p)] = {k: as_array(v) for k, v in entry.items() if k != "step"}
            for slot, array in loaded[id(p)].items():
                if array.shape != p.shape:
                    raise ValueError(
                        f"{slot} of parameter {i} has shape {array.shape}, the parameter {p.shape}"
                    )
        for group, new in zip(self.param_groups, groups, strict=True):
            self.check({**self.defaults, **{k: v for k, v in new.items() if k != "params"}})
        for at, (group, new) in enumerate(zip(self.param_groups, groups, strict=True)):
            group.update({k: v for k, v in new.items() if k != "params"})
            slots = self.used_slots(group)
            buckets = []
            for p in group["params"]:
                bucket = Bucket([p], slots, int(state.get(params.index(p), {}).get("step", 0)))
                for slot in slots:
                    if slot in loaded.get(id(p), {}):
                        bucket.state[slot][...] = loaded[id(p)][slot]
                buckets.append(bucket)
            self._buckets[at] = buckets

    def _all(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]

    def __repr__(self) -> str:
        shown = [
            ", ".join(f"{k}={v!r}" for k, v in group.items() if k != "params")
            + f", {len(group['params'])} parameters"
            for group in self.param_groups
        ]
        return f"{type(self).__name__}(" + "; ".join(shown) + ")"
