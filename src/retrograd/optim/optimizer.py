"""What all optimizers share: param groups, flat buckets of parameters, state that can be saved.

An update is NumPy code on arrays, like a gradient rule: an optimizer runs it on the arrays
themselves, the compiler on Tensors that record it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from retrograd.core import Array, Tensor, as_array, renew, stamps
from retrograd.mode import MODE
from retrograd.rules.joining import concat

# Parameters up to this many elements share a flat array, so that an update of many small ones
# costs as many NumPy calls as one; of larger ones, gathering the gradients would cost more.
SMALL = 16384
NOT_NEGATIVE = (
    "momentum", "weight_decay", "eps", "lr_decay", "momentum_decay", "initial_accumulator_value",
)  # fmt: skip


_ndarray = np.ndarray


class Bucket:
    """Parameters that are updated as one array `data`, with the state of that update.

    The arrays of several parameters become views of `data`. `count` is the number of updates.
    """

    def __init__(self, params: list[Tensor], count: int = 0) -> None:
        self.params = params
        self.count = count
        self.state: dict[str, Array] = {}
        self.gather()

    def gather(self) -> None:
        """Make `data` from the parameters' arrays, at first and after they were replaced."""
        if len(self.params) == 1:
            self.data = self.params[0]._data
            self.views = [self.data]
        else:
            self.data = np.concatenate([p._data.ravel() for p in self.params])
            self.views = self.cut(self.data)
            for p, view in zip(self.params, self.views, strict=True):
                p._data = view
        self.stamps = stamps(self.params)

    def gradient(self) -> Any:
        """Return the gradients as one array, or None where it takes more than joining them."""
        grads = []
        for p, view in zip(self.params, self.views):  # noqa: B905, as many by construction
            g = p._grad
            if g.__class__ is not _ndarray or p._data is not view:
                return None
            grads.append(g)
        return np.concatenate(grads, axis=None) if len(grads) > 1 else grads[0]

    def cut(self, flat: Array) -> list[Array]:
        """Return the part of each parameter in an array like `data`, in its shape.

        A state of one number for all, shape `()`, is whole in every part.
        """
        if len(self.params) == 1:
            return [flat]
        if not flat.ndim:
            return [flat] * len(self.params)
        parts, start = [], 0
        for p in self.params:
            parts.append(flat[start : start + p.size].reshape(p.shape))
            start += p.size
        return parts

    def entries(self) -> list[dict[str, Any]]:
        """Return the count and the state of each parameter, as views."""
        parts = {slot: self.cut(flat) for slot, flat in self.state.items()}
        return [
            {"step": self.count, **{slot: pieces[i] for slot, pieces in parts.items()}}
            for i in range(len(self.params))
        ]

    def fill(self, entries: list[dict[str, Any]]) -> None:
        """Take the state of each parameter from what `entries` returned, where it is in there."""
        for slot, flat in self.state.items():
            for piece, entry in zip(self.cut(flat), entries, strict=True):
                if slot in entry:
                    piece[...] = entry[slot]


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
    """Base of the optimizers: define `update` and, where it keeps state, `used_slots`.

    `params` is an iterable of Tensors that require grad, or of dicts {"params": ..., options} with
    options of their own. Raises TypeError for anything else, ValueError for an empty iterable or
    a parameter that appears twice.
    """

    scalars: tuple[str, ...] = ()  # the state that is one number, not an array like the parameter

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError("an optimizer takes an iterable of parameters: [tensor], not a Tensor")
        if hasattr(params, "parameters"):
            raise TypeError(
                f"an optimizer takes parameters, not a {type(params).__name__}: pass its "
                ".parameters()"
            )
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
            if not p.is_leaf or not p.requires_grad:
                raise ValueError(
                    f"an optimizer trains leaves that require grad; a Tensor of shape {p.shape} "
                    + ("was computed" if not p.is_leaf else "has requires_grad=False")
                )
            if id(p) in seen:
                raise ValueError(f"a parameter of shape {p.shape} is given twice")
            seen.add(id(p))
        options = {**self.defaults, **{k: v for k, v in group.items() if k != "params"}}
        self.check(options)
        self.param_groups.append({"params": params, **options})
        self._buckets.append([])
        # now and not at the first step: arrays taken from the parameters from here on stay theirs
        self._arrange(len(self._buckets) - 1, self.param_groups[-1], {})

    def check(self, options: dict[str, Any]) -> None:
        """Raise ValueError for options that cannot work."""
        lr = options["lr"]
        if not (isinstance(lr, (int, float, np.number)) and math.isfinite(lr) and lr >= 0):
            raise ValueError(f"lr must be a finite number of at least 0, not {lr!r}")
        for name in NOT_NEGATIVE:
            if name in options and not options[name] >= 0:
                raise ValueError(f"{name} must be at least 0, not {options[name]!r}")
        for name in ("alpha", "rho"):
            if name in options and not 0 <= options[name] <= 1:
                raise ValueError(f"{name} must be from 0 to 1, not {options[name]!r}")
        for beta in options.get("betas", ()):
            if not 0 <= beta < 1:
                raise ValueError(f"betas must be from 0 to below 1, not {options['betas']!r}")

    def update(
        self, p: Any, g: Any, state: dict[str, Any], options: Mapping[str, Any], lr: Any, t: Any
    ) -> None:
        """Change `p` and `state` in place; `g` is the gradient and `t` counts updates from 1."""
        raise NotImplementedError(f"{type(self).__name__} does not define update")

    def used_slots(self, options: Mapping[str, Any]) -> dict[str, float]:
        """Return the names of the state that these options need, each with its first value."""
        return {}

    # A step --------------------------------------------------------------------------------------

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or with `set_to_none=False` fill them with 0."""
        if set_to_none and MODE.get().tape is None:
            for group in self.param_groups:
                for p in group["params"]:
                    p._grad = None
            return
        for p in self._all():
            if set_to_none:
                p.grad = None
            elif p._grad is not None:
                p.grad = np.zeros_like(p._data)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient; return what `closure` returns, if given."""
        loss = closure() if closure is not None else None
        tape = MODE.get().tape
        if tape is not None:
            with tape.within("update"):
                for at, group in enumerate(self.param_groups):
                    for bucket, g in self._arranged(at, group):
                        tape.update(self, group, bucket, g)
            return loss
        for at, group in enumerate(self.param_groups):
            for bucket, g in self._ready(at, group):
                self.update(bucket.data, g, bucket.state, group, group["lr"], bucket.count + 1)
                bucket.count += 1
                renew(bucket.stamps)
        return loss

    def _ready(self, at: int, group: dict[str, Any]) -> list[tuple[Bucket, Any]]:
        """Return the buckets that have gradients, each with its gradient as one array."""
        ready = []
        slots = self.used_slots(group)
        for bucket in self._buckets[at]:
            g = bucket.gradient()
            if g is None or (slots and not slots.keys() <= bucket.state.keys()):
                return self._arranged(at, group)
            ready.append((bucket, g))
        return ready or self._arranged(at, group)

    def _arranged(self, at: int, group: dict[str, Any]) -> list[tuple[Bucket, Any]]:
        """Do so where buckets must change first, or a tape must see the gradients."""
        if not self._buckets[at]:
            self._arrange(at, group, {})
        ready: list[tuple[Bucket, Any]] = []
        slots = self.used_slots(group)
        for bucket in self._buckets[at]:
            self._add_slots(bucket, slots)  # those of an option that was changed since
            flat, missing = [], 0
            for p, view in zip(bucket.params, bucket.views, strict=True):
                g = p.grad
                if g is None:
                    missing += 1
                    continue
                if p._data is not view:
                    if p.dtype != view.dtype:
                        self._retype(at, group)
                        return self._arranged(at, group)
                    bucket.gather()
                flat.append(g)
            if not missing:
                one = len(flat) == 1
                ready.append((bucket, flat[0] if one else concat(*flat, axis=None)))
            elif flat:
                self._part(at, group, bucket)
                return self._arranged(at, group)
        return ready

    def _arrange(self, at: int, group: dict[str, Any], entries: dict[int, dict[str, Any]]) -> None:
        """Put the parameters of a group, with the state found by their ids, into buckets.

        Buckets that hold the right parameters already stay, so that programs compiled over their
        arrays stay valid.
        """
        together: dict[Any, list[Tensor]] = {}
        for p in group["params"]:
            entry = entries.get(id(p), {})
            numbers = [float(entry[slot]) for slot in self.scalars if slot in entry]
            key = (p.dtype, entry.get("step", 0), *numbers) if p.size <= SMALL else id(p)
            together.setdefault(key, []).append(p)
        old = {tuple(map(id, bucket.params)): bucket for bucket in self._buckets[at]}
        self._buckets[at][:] = [
            self._bucket(params, group, entries, old.get(tuple(map(id, params))))
            for params in together.values()
        ]

    def _bucket(
        self,
        params: list[Tensor],
        group: dict[str, Any],
        entries: dict[int, dict[str, Any]],
        bucket: Bucket | None = None,
    ) -> Bucket:
        found = [entries.get(id(p), {}) for p in params]
        bucket = bucket or Bucket(params)
        bucket.count = found[0].get("step", 0)
        self._add_slots(bucket, slots := self.used_slots(group))
        for slot, first in slots.items():
            bucket.state[slot][...] = first
        bucket.fill(found)
        return bucket

    def _add_slots(self, bucket: Bucket, slots: Mapping[str, float]) -> None:
        for slot, first in slots.items():
            if slot not in bucket.state:
                shape = () if slot in self.scalars else None
                bucket.state[slot] = np.full_like(bucket.data, first, shape=shape)

    def _part(self, at: int, group: dict[str, Any], bucket: Bucket) -> None:
        """Make two buckets of one of whose parameters only some have a gradient."""
        entries = {id(p): e for p, e in zip(bucket.params, bucket.entries(), strict=True)}
        some = [p for p in bucket.params if p._grad is not None]
        rest = [p for p in bucket.params if p._grad is None]
        i = self._buckets[at].index(bucket)
        self._buckets[at][i : i + 1] = [self._bucket(ps, group, entries) for ps in (some, rest)]

    def _retype(self, at: int, group: dict[str, Any]) -> None:
        """Make the buckets of a group anew, in the dtypes that its parameters now have."""
        entries = {
            id(p): entry
            for bucket in self._buckets[at]
            for p, entry in zip(bucket.params, bucket.entries(), strict=True)
        }
        self._buckets[at].clear()
        self._arrange(at, group, entries)

    # State ---------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return the options of each group and a copy of each parameter's state, by position."""
        order = {id(p): i for i, p in enumerate(self._all())}
        state = {
            order[id(p)]: {k: v if k == "step" else v.copy() for k, v in entry.items()}
            for buckets in self._buckets
            for bucket in buckets
            if bucket.count
            for p, entry in zip(bucket.params, bucket.entries(), strict=True)
        }
        groups = [
            {**group, "params": [order[id(p)] for p in group["params"]]}
            for group in self.param_groups
        ]
        return {"state": dict(sorted(state.items())), "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take the options and state of another optimizer over the same parameters.

        Raises ValueError if groups, counts or shapes differ, or state is missing; nothing is
        changed then.
        """
        try:
            groups, state = state_dict["param_groups"], state_dict["state"]
            lengths = [len(g["params"]) for g in groups]
        except (KeyError, TypeError) as error:
            raise ValueError(
                'an optimizer loads what state_dict() returns: {"state": ..., "param_groups": ...}'
            ) from error
        own = [len(g["params"]) for g in self.param_groups]
        if lengths != own:
            raise ValueError(f"the param groups have {lengths} parameters, here they have {own}")
        # not the flags: files of other versions may have fewer
        needed = [k for k, v in self.defaults.items() if type(v) in (int, float, tuple)]
        missing = [k for k in needed if any(k not in group for group in groups)]
        if missing:
            raise ValueError(
                f"{type(self).__name__} finds no {', '.join(missing)} in the param groups: the "
                "state_dict is of an optimizer of another kind"
            )
        options = [
            {**old, **{k: v for k, v in new.items() if k != "params"}}
            for old, new in zip(self.param_groups, groups, strict=True)
        ]
        for group in options:
            self.check(group)
        # entries go by the positions written in the groups, as torch has it
        params = {
            int(i): (p, group)
            for group, new, old in zip(options, groups, self.param_groups, strict=True)
            for i, p in zip(new["params"], old["params"], strict=True)
        }
        entries: dict[int, dict[str, Any]] = {}
        for i, entry in state.items():
            if int(i) not in params:
                raise ValueError(f"the state is of a parameter {i}, which is in no group")
            p, group = params[int(i)]
            entries[id(p)] = self._entry(i, p, group, entry)
        for at, group in enumerate(options):
            self.param_groups[at].update(group)
            self._arrange(at, self.param_groups[at], entries)

    def _entry(
        self, i: Any, p: Tensor, group: Mapping[str, Any], entry: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return one parameter's loaded state, checked."""
        # torch's SGD counts no steps: that there is state tells that there was one
        checked: dict[str, Any] = {"step": int(entry.get("step", 1))}
        for slot in self.used_slots(group):
            if entry.get(slot) is None:
                raise ValueError(
                    f"{type(self).__name__} needs {slot} of parameter {i}, the state_dict has only "
                    f"{', '.join(entry) or 'nothing'}"
                )
            checked[slot] = array = as_array(entry[slot])
            shape = () if slot in self.scalars else p.shape
            if array.shape != shape:
                raise ValueError(
                    f"{slot} of parameter {i} has shape {array.shape}, here it is {shape}"
                )
        return checked

    def _all(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]

    def __repr__(self) -> str:
        shown = [
            ", ".join(f"{k}={v!r}" for k, v in group.items() if k != "params")
            + f", {len(group['params'])} parameters"
            for group in self.param_groups
        ]
        return f"{type(self).__name__}(" + "; ".join(shown) + ")"
