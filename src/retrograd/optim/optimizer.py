"""What optimizers share: param groups, a step, state that can be saved.

An update is NumPy code: an optimizer runs it on arrays, the compiler on Tensors that record it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

from retrograd.checks import ensure
from retrograd.engine import (
    CLOCK,
    Mode,
    Tensor,
    as_array,
    current_mode,
    is_recording,
    mode_set,
    section,
    tell,
)
from retrograd.engine.tensor import has_grad
from retrograd.optim.buckets import Buckets, State
from retrograd.optim.updates import Options

# What an optimizer trains: Tensors, or param groups, {"params": Tensors, options of the group}.
Params: TypeAlias = Iterable[Tensor] | Iterable[Mapping[str, Any]]

# Options that must be numbers from 0 to a bound.
BOUNDS = {
    "momentum": math.inf, "weight_decay": math.inf, "eps": math.inf, "lr_decay": math.inf,
    "momentum_decay": math.inf, "initial_accumulator_value": math.inf, "alpha": 1, "rho": 1,
}  # fmt: skip


# Arguments of PyTorch's optimizers that choose among its implementations, and why there is no
# choice here.
REFUSED = {
    "foreach": "small parameters share an array in every update",
    "fused": "rg.compile makes one program of a training step",
    "capturable": "there is no GPU here",
    "differentiable": "updates are not recorded: write them as a function for rg.func.grad",
}


def refuse(where: str, **given: Any) -> None:
    """Raise ValueError for an argument of PyTorch's that is neither None nor False.

    Args:
        where: the optimizer that was called.
        **given: the arguments, each one of `REFUSED`.
    """
    for name, value in given.items():
        if value is not None and value is not False:
            raise ValueError(f"{where} got {name}={value!r}, but {REFUSED[name]}: leave it out")


class Optimizer:
    """Base of the optimizers: define `update` and, where it keeps state, `used_slots`.

    A step changes parameters in place. Small ones share an array, so that an update of many costs
    as many NumPy calls as one: `update` gets that array, and so must act element by element. A
    class whose `update` does not says `elementwise = False`; it gets each parameter in its shape.

    Args:
        params: leaves that require grad, as `model.parameters()`, or pairs of names and leaves, as
            `model.named_parameters()`; or param groups, dicts `{"params": leaves}` with options of
            their own.
        defaults: the options by name, such as `{"lr": 0.1}`, for groups that do not say
            otherwise. There must be an `lr`.

    Attributes:
        param_groups: a list of dicts, each with "params" and its options. An option may be
            changed between two steps: `optimizer.param_groups[0]["lr"] = 0.01`.
        defaults: the options as given.
        scalars: of a class, the names of the state that is one number for a parameter.
        elementwise: of a class, whether small parameters may share an array (default True).

    Raises:
        TypeError: if `params` is a Tensor or a Module, or holds something other than Tensors.
        ValueError: if there are no parameters, if one is given twice, shares its array with
            another, was computed or does not require grad, or if an option cannot work.

    >>> class SignSGD(rg.optim.Optimizer):
    ...     def __init__(self, params, lr=0.1):
    ...         super().__init__(params, {"lr": lr})
    ...     def update(self, p, g, state, options, lr, t):
    ...         p -= lr * np.sign(g)
    >>> w = rg.nn.Parameter([1.0, -3.0])
    >>> optimizer = SignSGD([w])
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (w * w).sum().backward()
    ...     optimizer.step()
    >>> w
    Parameter([ 0.8, -2.8], requires_grad=True)
    """

    scalars: tuple[str, ...] = ()
    elementwise: bool = True

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor) or hasattr(params, "parameters"):
            kind = type(params).__name__
            raise TypeError(
                f"an optimizer takes an iterable, not a {kind}: pass its .parameters() or [tensor]"
            )
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self._buckets: list[Buckets] = []  # of each group
        explain = getattr(params, "explain", str)  # of what `parameters()` returns
        if why := explain():
            raise ValueError(f"an optimizer got no parameters: {why}")
        given: list[Any] = list(params)
        if not given:
            raise ValueError("an optimizer got no parameters")
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self.add_param_group(group)

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Train further parameters.

        Args:
            group: a dict with "params", a leaf or an iterable of them, and the options that are
                not to be the defaults.

        Raises:
            TypeError: if `group` is no such dict, or holds something other than Tensors.
            ValueError: as the class does.

        >>> model = rg.nn.Sequential(rg.nn.Linear(2, 3), rg.nn.Linear(3, 1))
        >>> optimizer = rg.optim.SGD(model[1].parameters(), lr=0.1)
        >>> optimizer.add_param_group({"params": model[0].parameters(), "lr": 0.01})
        >>> [group["lr"] for group in optimizer.param_groups]
        [0.1, 0.01]
        """
        if not isinstance(group, Mapping) or "params" not in group:
            raise TypeError('a param group is a dict with the key "params"')
        params = group["params"]
        params = [params] if isinstance(params, Tensor) else list(map(_leaf, params))
        if unknown := [key for key in group if key not in ("params", *self.defaults)]:
            raise ValueError(f"{type(self).__name__} has no option {', '.join(unknown)}")
        seen = {id(x) for p in self._all() for x in (p, p._array)}
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"an optimizer trains Tensors, not {type(p).__name__}")
            fault = "is given twice" if id(p) in seen else ""
            if p.dtype.kind == "c" and not self.elementwise:
                raise TypeError(
                    f"{type(self).__name__} trains real numbers: train the real and imaginary "
                    f"parts of a {p.dtype} Tensor {p.shape} as Tensors of their own"
                )
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
        self._buckets.append(Buckets(self.scalars, self.elementwise))
        # now and not at the first step: arrays taken of the parameters from here on stay theirs
        self._buckets[-1].arrange(params, self.used_slots(made), {})

    def check(self, options: dict[str, Any]) -> None:
        """Raise ValueError for options that cannot work; define it to check further ones.

        Args:
            options: all options of a param group.

        Raises:
            ValueError: if `lr` is not finite, or an option outside the bounds that its formula
                asks for.

        >>> rg.optim.SGD([rg.nn.Parameter([1.0])]).check({"lr": -1.0})
        Traceback (most recent call last):
            ...
        ValueError: lr must be a finite number of at least 0, not -1.0
        """
        lr = options["lr"]
        finite = isinstance(lr, (int, float, np.number)) and math.isfinite(lr)
        ensure(finite and lr >= 0, "lr", "a finite number of at least 0", lr)
        for name, top in BOUNDS.items():
            value = options.get(name, 0)
            ensure(0 <= value <= top, name, f"from 0 to {top}", value)
        betas = options.get("betas", (0, 0))
        good = isinstance(betas, (tuple, list)) and len(betas) == 2
        good = good and all(0 <= beta < 1 for beta in betas)
        ensure(good, "betas", "two numbers from 0 to below 1", betas)

    def update(self, p: Any, g: Any, state: State, options: Options, lr: Any, t: Any) -> None:
        """Change parameters and their state in place; called by `step`.

        It is written in NumPy calls that act element by element, without a branch on values: the
        compiler runs it on Tensors, to record it, and with numbers `lr` and `t` that only take
        arithmetic and comparisons.

        Args:
            p: the values of parameters, as one array; one of several is flat.
            g: their gradients, in the shape of `p`. Not to be written into.
            state: by slot an array of the shape of `p`, or one number (shape `()`).
            options: the options of the param group.
            lr: the learning rate.
            t: how many updates there are with this one: 1 at first.

        Raises:
            NotImplementedError: if the class does not define it.

        >>> w = np.array([1.0, 2.0])
        >>> optimizer = rg.optim.SGD([rg.nn.Parameter([0.0])], lr=0.1)
        >>> optimizer.update(w, np.ones(2), {}, optimizer.param_groups[0], 0.1, 1)
        >>> w
        array([0.9, 1.9])
        """
        raise NotImplementedError(f"{type(self).__name__} does not define update")

    def used_slots(self, options: Options) -> dict[str, float]:
        """Return the state that these options need; define it where there is some.

        Args:
            options: the options of a param group.

        Returns:
            The names of the state, each with its first value.

        >>> rg.optim.SGD([rg.nn.Parameter([0.0])]).used_slots({"momentum": 0.9})
        {'momentum_buffer': 0.0}
        """
        return {}

    # A step

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters: `backward` adds to those that are there.

        Args:
            set_to_none: whether `.grad` becomes None (default); else those that are there become
                zeros, and a step still moves by momentum and weight decay.
        """
        if set_to_none and not is_recording():
            for group in self.param_groups:
                for p in group["params"]:
                    p._grad = None
            return
        for p in self._all():
            if set_to_none or has_grad(p):
                p.grad = None if set_to_none else np.zeros_like(p._array)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters that have a gradient.

        Args:
            closure: computes the loss anew and calls `backward` on it, before the update. LBFGS
                needs one, others take one so that a loop fits them all.

        Returns:
            What `closure` returns; None without one.
        """
        loss = closure() if closure is not None else None
        if current_mode().tell is not None:
            self._step_heard()
            return loss
        for group, buckets in zip(self.param_groups, self._buckets, strict=True):
            for bucket, g in buckets.gradients(self.used_slots(group)):
                self.update(bucket.data, g, bucket.state, group, group["lr"], bucket.count + 1)
                bucket.count += 1
                CLOCK.write(bucket.stamps)
        return loss

    def _step_heard(self) -> None:
        """Update where somebody listens: one that records does so itself, and counts."""
        mode = current_mode()
        with section("update"):
            if not mode.records:
                with mode_set(Mode(mode.grad, None, mode.on_escape)):
                    self.step()
                return
            for group, buckets in zip(self.param_groups, self._buckets, strict=True):
                for bucket, g in buckets.rearrange(self.used_slots(group)):
                    tell("update", self, group, bucket, g)

    # A step that can be taken back

    def _back_up(self) -> None:
        """Copy the values of all parameters and their state, for `_put_back`."""
        for buckets in self._buckets:
            buckets.back_up()

    def _spoiled(self) -> list[Tensor]:
        """Return the parameters that were finite at the last `_back_up` and are not any more."""
        return [p for buckets in self._buckets for p in buckets.spoiled()]

    def _put_back(self) -> None:
        """Put back what `_back_up` copied, in place."""
        for group, buckets in zip(self.param_groups, self._buckets, strict=True):
            buckets.put_back(self.used_slots(group))

    # State

    def state_dict(self) -> dict[str, Any]:
        """Return what a run needs to go on: options and state, in PyTorch's form.

        Returns:
            `{"state": ..., "param_groups": ...}`: the state of each parameter that was updated,
            by its position in all groups, with the number of updates as "step"; and the options of
            the groups, with the positions of their parameters as "params". Arrays are copies.

        >>> w = rg.nn.Parameter([1.0])
        >>> optimizer = rg.optim.SGD([w], lr=0.1, momentum=0.9)
        >>> w.grad = np.array([2.0])
        >>> optimizer.step()
        >>> optimizer.state_dict()["state"]
        {0: {'step': 1, 'momentum_buffer': array([2.])}}
        """
        order = {id(p): i for i, p in enumerate(self._all())}
        state = {
            order[key]: entry
            for buckets in self._buckets
            for key, entry in buckets.entries().items()
        }
        groups = [
            {**group, "params": [order[id(p)] for p in group["params"]]}
            for group in self.param_groups
        ]
        return {"state": dict(sorted(state.items())), "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take the options and the state of another optimizer over the same parameters.

        Args:
            state_dict: what `state_dict` returned, here or in PyTorch (with arrays).

        Raises:
            ValueError: if it is of another kind of optimizer, other groups or parameters of other
                shapes. Nothing is changed then.

        >>> model = rg.nn.Linear(2, 1)
        >>> optimizer, other = (rg.optim.Adam(model.parameters(), lr=lr) for lr in (0.1, 0.2))
        >>> other.load_state_dict(optimizer.state_dict())
        >>> other.param_groups[0]["lr"]
        0.1
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
        options, entries = [], {}
        for old, new in zip(self.param_groups, groups, strict=True):
            group = self._options_from(old, new)
            slots = self.used_slots(group)
            options.append(group)
            # by the positions in the groups, as in torch
            for i, p in zip(new["params"], old["params"], strict=True):
                if (entry := state.pop(int(i), None)) is not None:
                    entries[id(p)] = self._entry_from(entry, i, p, slots)
        if state:
            raise ValueError(f"no group has parameter {', '.join(map(str, state))} of the state")
        for own_group, group, buckets in zip(
            self.param_groups, options, self._buckets, strict=True
        ):
            own_group.update(group)
            buckets.arrange(own_group["params"], self.used_slots(own_group), entries)

    def _options_from(self, old: Options, new: Options) -> dict[str, Any]:
        """Return a group with its own parameters and the options of a loaded one, checked."""
        # not flags, of which other versions may have fewer
        needed = [k for k, v in self.defaults.items() if type(v) in (int, float, tuple)]
        if missing := [k for k in needed if k not in new]:
            name = type(self).__name__
            raise ValueError(f"{name} finds no {', '.join(missing)}: a state of another kind")
        group = {**old, **new, "params": old["params"]}
        self.check(group)
        return group

    def _entry_from(self, entry: State, i: Any, p: Tensor, slots: Mapping[str, float]) -> State:
        """Return the loaded state of parameter `i`, checked."""
        # torch's SGD counts no steps: where state is, there was one
        found = State(step=int(entry.get("step", 1)))
        for slot in slots:
            if entry.get(slot) is None:
                name = type(self).__name__
                raise ValueError(f"{name} needs {slot} of parameter {i}, it has {[*entry]}")
            found[slot] = array = as_array(entry[slot])
            shape = () if slot in self.scalars else p.shape
            if array.dtype.kind == "c" and p.dtype.kind != "c":
                raise ValueError(f"{slot} of parameter {i} is {array.dtype}, here it is {p.dtype}")
            if array.shape != shape:
                raise ValueError(
                    f"{slot} of parameter {i} has shape {array.shape}, here it is {shape}"
                )
        return found

    def _all(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]

    def __repr__(self) -> str:
        shown = [
            "".join(f"{k}={v!r}, " for k, v in group.items() if k != "params")
            + f"{len(group['params'])} parameters"
            for group in self.param_groups
        ]
        return f"{type(self).__name__}({'; '.join(shown)})"


def _leaf(given: Any) -> Any:
    """Return the Tensor of a pair such as `named_parameters` gives; anything else as it is."""
    pair = isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], str)
    return given[1] if pair else given
