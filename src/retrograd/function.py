"""`Function`: an operation of the user's own, with its gradient written beside it."""

from __future__ import annotations

import copy
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from retrograd import core
from retrograd.core import Tensor, as_array, wrap
from retrograd.mode import MODE, Mode
from retrograd.registry import Rule, Vjp, defvjp_each

B = TypeVar("B", bound=Callable[..., Any])


class Context:
    """What `forward` leaves for `backward`.

    `needs_input_grad` has a bool for each argument of `apply`. Arrays go through
    `save_for_backward`; anything else (axes, shapes, flags) may be an attribute.
    """

    needs_input_grad: tuple[bool, ...] = ()

    def __init__(self) -> None:
        self._given: tuple[Any, ...] = ()  # what forward saved
        self._saved: list[tuple[str, Any]] = []  # the same, inputs and outputs by position
        self._constant: tuple[Any, ...] = ()
        self._many = False
        self._current: tuple[Any, Any] | None = None  # arguments and outputs, during backward

    def save_for_backward(self, *arrays: Any) -> None:
        """Keep arrays for `backward`, which finds them in `saved_tensors`.

        Second derivatives flow through those that are arguments or outputs of `forward`.
        """
        self._given = arrays

    def mark_non_differentiable(self, *outputs: Any) -> None:
        """Give these outputs of `forward` no gradient."""
        self._constant = outputs

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What `save_for_backward` got: arrays, or Tensors while second derivatives are built."""
        if self._current is None:
            return self._given
        args, outs = self._current
        found = []
        for kind, value in self._saved:
            if kind == "argument":
                found.append(args[value])
            elif kind == "output":
                found.append(outs[value])
            else:
                if isinstance(outs[0], Tensor):
                    _refuse_constant("save_for_backward got an array", value)
                found.append(value)
        return tuple(found)

    def _settle(self, args: Sequence[Any], outs: Sequence[Any]) -> None:
        """Remember which of the saved arrays are arguments or outputs."""
        self._saved = []
        for value in self._given:
            for kind, those in (("argument", args), ("output", outs)):
                at = [i for i, one in enumerate(those) if one is value]
                if at:
                    self._saved.append((kind, at[0]))
                    break
            else:
                self._saved.append(("own", value))
        self._given = ()


class Function:
    """An operation with a gradient of its own: define `forward` and `backward`, call `apply`.

    `forward(ctx, *args)` gets the Tensors of `apply` as arrays and returns an array or a tuple of
    arrays. `backward(ctx, *grads)` gets a gradient for each output and returns one for each
    argument, None where there is none. Written in NumPy calls and operators, it can be
    differentiated again: it then gets Tensors.

    >>> class Exp(rg.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         out = np.exp(x)
    ...         ctx.save_for_backward(out)
    ...         return out
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         (out,) = ctx.saved_tensors
    ...         return g * out
    >>> x = rg.Tensor([0.0, 1.0], requires_grad=True)
    >>> np.sum(Exp.apply(x)).backward()
    >>> x.grad.round(4)
    array([1.    , 2.7183])
    """

    _forward_rule: Rule
    _backward_rule: Rule

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._forward_rule, cls._backward_rule = _make_rule(cls), _make_backward_rule(cls)

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"a Function is not made but applied: {cls.__name__}.apply(...)")

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        """Compute the outputs from arrays: every Function defines its own."""
        raise NotImplementedError("a Function defines forward(ctx, *args)")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Compute the gradients of the arguments: every Function defines its own."""
        raise NotImplementedError("a Function defines backward(ctx, *grads)")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run `forward` and record it; returns a Tensor, or a tuple where `forward` does.

        Raises TypeError for a Tensor inside a list, tuple or dict, which would get no gradient.
        """
        for a in args:
            inside = (
                a.values() if isinstance(a, dict) else a if isinstance(a, (list, tuple)) else ()
            )
            if any(isinstance(part, Tensor) for part in inside):
                raise TypeError(
                    f"{cls.__name__}.apply got a {type(a).__name__} with a Tensor in it, which "
                    "would get no gradient: pass each Tensor as an argument of its own"
                )
        ctx = Context()
        grad = MODE.get().grad
        ctx.needs_input_grad = tuple(
            grad and isinstance(a, Tensor) and a.requires_grad for a in args
        )
        outs = _run_with(cls._forward_rule, args, ctx=ctx)
        outs = tuple(t.detach() if any(t._data is o for o in ctx._constant) else t for t in outs)
        ctx._constant = ()
        return outs if ctx._many else outs[0]


def once_differentiable(backward: B) -> B:
    """Decorate a `backward` that cannot be differentiated: it gets arrays, always.

    A second derivative through it raises RuntimeError.
    """

    @functools.wraps(backward)
    def run(ctx: Any, *grads: Any) -> Any:
        return backward(ctx, *grads)

    run._once = True  # type: ignore[attr-defined]
    return run  # type: ignore[return-value]


# --- how a Function is recorded ------------------------------------------------------------------


def _make_rule(cls: type[Function]) -> Rule:
    """Return the rule of a Function: its outputs are those of one call, never looked through."""

    def forward(*args: Any, ctx: Context) -> tuple[Any, ...]:
        token = MODE.set(Mode(False))
        try:
            returned = cls.forward(ctx, *args)
        finally:
            MODE.reset(token)
        ctx._many = isinstance(returned, (tuple, list))
        outs = [as_array(o) for o in (returned if ctx._many else (returned,))]
        ctx._settle(args, outs)
        constant = [any(o is c for c in ctx._constant) for o in outs]
        # an output that is an argument, or a view, would be written together with it
        own = tuple(
            o.copy() if o.base is not None or any(o is a for a in args) else o for o in outs
        )
        ctx._constant = tuple(o for o, c in zip(own, constant, strict=True) if c)
        return own

    forward.__name__ = forward.__qualname__ = cls.__name__
    rule = Rule(forward, [lambda g, out, *args, ctx: g])
    rule.vjps, rule.arrays, rule.multi, rule.names = _Together(cls), 0, True, ("ctx",)
    return rule


def _run_with(rule: Rule, args: tuple[Any, ...], **options: Any) -> Any:
    """Run a rule with options that are objects: in a program, part of the function itself."""
    if MODE.get().tape is None:
        return core.run(rule, args, options)

    def run(*arrays: Any) -> Any:
        return rule.run(*arrays, **options)

    def fn(*arrays: Any) -> Any:
        outs = run(*arrays)
        return outs if len(outs) > 1 else outs[0]  # a program assigns the output itself

    fn.__name__ = fn.__qualname__ = rule.name
    fn._bound = rule.fn  # type: ignore[attr-defined]
    bound = copy.copy(rule)
    bound.fn, bound.run = fn, run
    if isinstance(rule.vjps, _Together):
        bound.vjps = _Together(rule.vjps.cls, options["ctx"])
    return core.run(bound, args, {})


class _Together(Sequence[Vjp]):
    """The vjps of a Function: `backward` runs once a visit and serves all of them."""

    def __init__(self, cls: type[Function], ctx: Context | None = None) -> None:
        self.cls, self.ctx = cls, ctx

    def __getitem__(self, position: Any) -> Any:
        return next(itertools.islice(iter(self), position, None))

    def __len__(self) -> int:
        return 1 << 30

    def __iter__(self) -> Iterator[Vjp]:
        known: list[Any] = []

        def at(position: int) -> Vjp:
            def vjp(g: Any, out: Any, *args: Any, ctx: Any = self.ctx) -> Any:
                if not known:
                    known.append(_gradients(self.cls, ctx, g, out, args))
                return known[0][position]

            return vjp

        return (at(position) for position in itertools.count())


def _gradients(cls: type[Function], ctx: Context, g: Any, outs: Any, args: Any) -> Sequence[Any]:
    if not isinstance(outs[0], Tensor):
        return _run(cls, ctx, g, outs, args)
    g = [part if isinstance(part, Tensor) else wrap(part) for part in g]
    mode = MODE.get()
    once = getattr(cls.backward, "_once", False)
    if mode.grad and not once:
        for name, value in vars(ctx).items():
            if not name.startswith("_"):
                _refuse_constant(f"ctx.{name} holds an array", value)
        return _run(cls, ctx, g, outs, args)
    # One opaque call, as forward is: it reads what forward left in ctx, whatever that is.
    wanted = [i for i, needed in enumerate(ctx.needs_input_grad) if needed]
    found = _run_with(
        cls._backward_rule, (*g, *outs, *args), ctx=ctx, number=len(outs), wanted=wanted
    )
    if mode.grad:
        found = [core.record(no_second, t, *g, *args, name=cls.__name__) for t in found]
    full: list[Any] = [None] * len(args)
    for i, t in zip(wanted, found, strict=True):
        full[i] = t
    return full


def _run(cls: type[Function], ctx: Context, g: Any, outs: Any, args: Any) -> list[Any]:
    """Return what `backward` does, one gradient for each argument."""
    ctx._current = args, outs
    try:
        returned = cls.backward(ctx, *g)
    finally:
        ctx._current = None
    found = list(returned) if isinstance(returned, (tuple, list)) else [returned]
    if len(found) < len(args) or any(part is not None for part in found[len(args) :]):
        raise RuntimeError(
            f"{cls.__name__}.backward returned {len(found)} gradients for {len(args)} arguments "
            "of forward: return one for each, None where there is none"
        )
    for i, (part, a) in enumerate(zip(found, args, strict=False)):
        if part is None and isinstance(a, (np.ndarray, Tensor)):
            found[i] = np.zeros(a.shape, a.dtype)
        elif isinstance(part, np.ndarray):
            found[i] = part.view()  # it may be g, or something saved: the engine must not write it
    return found


def _make_backward_rule(cls: type[Function]) -> Rule:
    def backward(*arrays: Any, ctx: Context, number: int, wanted: list[int]) -> Any:
        g, outs, args = arrays[:number], arrays[number : 2 * number], arrays[2 * number :]
        token = MODE.set(Mode(False))
        try:
            found = _run(cls, ctx, g, outs, args)
        finally:
            MODE.reset(token)
        # copies: what is recorded must not be a view of what it was computed from
        return tuple(np.array(as_array(found[i])) for i in wanted)

    backward.__name__ = backward.__qualname__ = f"{cls.__name__}_backward"
    rule = Rule(backward, [None])
    rule.multi = True
    return rule


Function._forward_rule = _make_rule(Function)
Function._backward_rule = _make_backward_rule(Function)


def no_second(value: Any, *sources: Any, name: str) -> Any:
    """Return `value`, which was computed from the sources in a way that has no derivative."""
    return value.copy()


def _no_second_vjp(position: int, g: Any, out: Any, *arrays: Any, name: str) -> Any:
    raise RuntimeError(
        f"{name}.backward is once_differentiable: it has no second derivative. Write it in NumPy "
        "calls on what it is given and leave the decorator out"
    )


defvjp_each(no_second, _no_second_vjp)


def _refuse_constant(what: str, value: Any) -> None:
    """Raise if a second derivative or a replay would take an array for a constant."""
    replayed = MODE.get().tape is not None
    if isinstance(value, np.ndarray) and (replayed or value.dtype.kind == "f"):
        raise RuntimeError(
            f"{what} that is no argument and no output of forward: a second derivative would take "
            "it for a constant. Compute it in backward from what is saved, return it as an "
            "output, or decorate backward with once_differentiable"
        )
