"""Gradients as values, and operations with gradients of the user's own."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence, ValuesView
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

import numpy as np

from retrograd.engine import (
    MODE,
    Mode,
    ReversePass,
    Rule,
    Tensor,
    as_array,
    borrowed,
    defvjp_joint,
    is_recording,
    mode_set,
    record,
    run,
    seed_of,
    wrap,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

B = TypeVar("B", bound=Callable[..., Any])

__all__ = ["Function", "grad", "once_differentiable"]


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: ArrayLike | Tensor | Sequence[Any] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor, ...]:
    """Return the gradients of `outputs` with respect to each of `inputs`; no `.grad` changes.

    `grad_outputs` weighs the elements of the outputs (their shapes); one element needs none. With
    `create_graph` the results can be differentiated again. The graph is kept if `retain_graph`,
    by default if `create_graph`. Raises RuntimeError for an input that the outputs do not depend
    on, unless `allow_unused`: then its gradient is None.

    >>> x = rg.Tensor(3.0, requires_grad=True)
    >>> (dx,) = rg.autograd.grad(x ** 3, x, create_graph=True)
    >>> (d2x,) = rg.autograd.grad(dx, x)
    >>> dx, d2x
    (Tensor(27., requires_grad=True), Tensor(18.))
    """
    roots, targets = _tensors(outputs, "outputs"), _tensors(inputs, "inputs")
    if isinstance(outputs, Tensor):
        grad_outputs = [grad_outputs]
    elif grad_outputs is None:
        grad_outputs = [None] * len(roots)
    weights = cast(Sequence[Any], grad_outputs)
    if len(weights) != len(roots):
        raise ValueError(f"grad_outputs has {len(weights)} entries for {len(roots)} outputs")
    for t in targets:
        if not t.requires_grad:
            raise RuntimeError(f"an input of shape {t.shape} does not require grad")
    keep = create_graph if retain_graph is None else retain_graph
    mode = MODE.get()
    lift = create_graph or mode.tell is not None
    seeds = [seed_of(root, w, lift) for root, w in zip(roots, weights, strict=True)]
    walk = ReversePass(keep, lift, between(roots, targets))
    with mode_set(Mode(create_graph, mode.tell, mode.on_escape)):
        walk.run(roots, seeds)
    found: list[Any] = []
    for t in targets:
        g = walk.found.get(t)
        if g is None and not allow_unused:
            raise RuntimeError(
                f"the outputs do not depend on an input of shape {t.shape}: pass "
                "allow_unused=True to get None for it"
            )
        if g is not None and not isinstance(g, Tensor):
            g = wrap(g if g.base is None else g.copy())
        found.append(g)
    return tuple(found)


def _tensors(given: Any, name: str) -> list[Tensor]:
    listed = list(given) if isinstance(given, (Sequence, Iterator, ValuesView)) else [given]
    for t in listed:
        if not isinstance(t, Tensor):
            raise TypeError(f"autograd.grad takes Tensors as {name}, not {type(t).__name__}")
    return listed


def between(roots: Sequence[Tensor], targets: Sequence[Tensor]) -> set[Tensor]:
    """Return the Tensors on the ways from the targets to the roots, with the targets."""
    wanted = set(targets)
    # what was recorded before the first target depends on none
    first = min((0 if t.rule is None else t.order for t in targets), default=0)
    inner = {}
    stack = [t for t in roots if t.rule is not None]
    while stack:
        t = stack.pop()
        if t.order not in inner and t.order >= first:
            inner[t.order] = t
            stack += [a for a in t.inputs or () if isinstance(a, Tensor) and a.rule is not None]
    for order in sorted(inner):
        if any(isinstance(a, Tensor) and a in wanted for a in inner[order].inputs or ()):
            wanted.add(inner[order])
    return wanted


class Context:
    """What `forward` leaves for `backward`.

    `needs_input_grad` has a bool for each argument of `apply`. Arrays go through
    `save_for_backward`; anything else (axes, shapes, flags) may be an attribute.
    """

    needs_input_grad: tuple[bool, ...] = ()
    _saved: Sequence[Any] = ()
    _places: Sequence[int | None] = ()  # of what is saved, among arguments and outputs
    _current: Sequence[Any] = ()  # arguments and outputs, during backward
    _constant: Sequence[Any] = ()  # outputs; after forward a bool for each
    _many = False

    def save_for_backward(self, *arrays: Any) -> None:
        """Keep arrays for `backward`: arguments or outputs, for second derivatives to flow."""
        self._saved = arrays

    def mark_non_differentiable(self, *outputs: Any) -> None:
        """Give these outputs of `forward` no gradient."""
        self._constant = outputs

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What `save_for_backward` got: arrays, or Tensors while second derivatives are built."""
        known = self._current
        if not known:
            return tuple(self._saved)
        for value, at in zip(self._saved, self._places, strict=True):
            if at is None and isinstance(known[-1], Tensor):
                _refuse_constant("save_for_backward got an array", value)
        pairs = zip(self._saved, self._places, strict=True)
        return tuple(value if at is None else known[at] for value, at in pairs)


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

    _rules: tuple[Rule, Rule]  # of forward and backward

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._rules = _rules(cls)

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"a Function is not made but applied: {cls.__name__}.apply(...)")

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        """Compute the outputs from arrays."""
        raise NotImplementedError("a Function defines forward(ctx, *args)")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Compute the gradients of the arguments."""
        raise NotImplementedError("a Function defines backward(ctx, *grads)")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run `forward` and record it; returns a Tensor, or a tuple where `forward` does.

        Raises TypeError for a Tensor inside a list, tuple or dict.
        """
        for a in args:
            parts = a.values() if isinstance(a, dict) else a
            if isinstance(a, (dict, list, tuple)) and any(isinstance(p, Tensor) for p in parts):
                raise TypeError(
                    f"{cls.__name__}.apply got a Tensor in a {type(a).__name__}, which would get "
                    "no gradient: pass it as an argument of its own"
                )
        ctx, grad = Context(), MODE.get().grad
        ctx.needs_input_grad = tuple(
            grad and isinstance(a, Tensor) and a.requires_grad for a in args
        )
        outs = _run(cls._rules[0], args, ctx)
        outs = tuple(t.detach() if c else t for t, c in zip(outs, ctx._constant, strict=True))
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


def _rules(cls: type[Function]) -> tuple[Rule, Rule]:
    """Return the rules of forward and backward, calls with several outputs."""

    def forward(*args: Any, ctx: Context) -> tuple[Any, ...]:
        ctx.save_for_backward()
        ctx.mark_non_differentiable()
        returned = _plainly(cls.forward, ctx, *args)
        ctx._many = isinstance(returned, (tuple, list))
        outs = [as_array(o) for o in (returned if ctx._many else (returned,))]
        known = [*args, *outs]
        ctx._places = [
            next((i for i, one in enumerate(known) if one is value), None) for value in ctx._saved
        ]
        ctx._constant = [any(o is c for c in ctx._constant) for o in outs]
        # an output that is an argument, or a view, would be written together with it
        return tuple(
            o.copy() if o.base is not None or any(o is a for a in args) else o for o in outs
        )

    def backward(*arrays: Any, ctx: Context) -> tuple[Any, ...]:
        n = len(ctx._constant)
        found = _plainly(_backward, cls, ctx, arrays[:n], arrays[n : 2 * n], arrays[2 * n :])
        # copies: outputs must not be views of inputs
        return tuple(np.array(as_array(g)) for g in itertools.compress(found, ctx.needs_input_grad))

    forward.__name__ = cls.__name__
    backward.__name__ = f"{cls.__name__}_backward"
    joint = functools.partial(_gradients, cls)
    return Rule(forward, joint=joint, multi=True), Rule(backward, [None], multi=True)


def _plainly(fn: Callable[..., Any], *args: Any) -> Any:
    """Run a function without recording anything."""
    with mode_set(Mode(False)):
        return fn(*args)


def _run(rule: Rule, args: Sequence[Any], ctx: Context) -> Any:
    """Run a rule with its context, which in a program is part of the function itself."""
    if not is_recording():
        return run(rule, tuple(args), {"ctx": ctx})
    bound = functools.partial(rule.run, ctx=ctx)

    def fn(*arrays: Any) -> Any:
        outs = bound(*arrays)
        return outs if len(outs) > 1 else outs[0]  # a program assigns the output itself

    fn.__name__ = rule.name
    fn._bound = rule.fn  # type: ignore[attr-defined]
    joint = rule.joint and functools.partial(rule.joint, ctx=ctx)
    again = Rule(fn, rule.vjps, joint=joint, run=bound, multi=True)
    return run(again, tuple(args), {})


def _gradients(
    cls: type[Function],
    needed: Sequence[int],
    g: Sequence[Any],
    outs: Sequence[Any],
    *args: Any,
    ctx: Context,
) -> Sequence[Any]:
    """Return the needed gradients of the arguments, as Tensors where the outputs are."""
    found = _all_gradients(cls, g, outs, args, ctx)
    return [found[i] for i in needed]


def _all_gradients(
    cls: type[Function], g: Sequence[Any], outs: Sequence[Any], args: Sequence[Any], ctx: Context
) -> Sequence[Any]:
    if not isinstance(outs[0], Tensor):
        return _backward(cls, ctx, g, outs, args)
    g = [part if isinstance(part, Tensor) else wrap(part) for part in g]
    graph = MODE.get().grad
    if graph and not hasattr(cls.backward, "_once"):
        for name, value in vars(ctx).items():
            if not name.startswith("_"):
                _refuse_constant(f"ctx.{name} holds an array", value)
        return _backward(cls, ctx, g, outs, args)
    # One opaque call, as forward is: it reads what forward left in ctx, whatever that is.
    found = iter(_run(cls._rules[1], (*g, *outs, *args), ctx))
    if graph:
        found = (record(no_second, t, *g, *args, name=cls.__name__) for t in found)
    return [next(found) if needed else None for needed in ctx.needs_input_grad]


def _backward(cls: type[Function], ctx: Context, g: Any, outs: Any, args: Any) -> list[Any]:
    """Return what `backward` does, one gradient for each argument."""
    ctx._current = *args, *outs
    try:
        returned = cls.backward(ctx, *g)
    finally:
        ctx._current = ()
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
            found[i] = borrowed(part)  # it may be g, or something saved
    return found


Function._rules = _rules(Function)


def no_second(value: Any, *sources: Any, name: str) -> Any:
    """Return `value`, computed from the sources in a way that has no derivative."""
    return value.copy()


def _no_second_joint(needed: Any, g: Any, out: Any, *arrays: Any, name: str) -> NoReturn:
    raise RuntimeError(
        f"{name}.backward is once_differentiable, it has no second derivative: write it in NumPy "
        "calls on what it is given and leave the decorator out"
    )


defvjp_joint(no_second, _no_second_joint)


def _refuse_constant(what: str, value: Any) -> None:
    """Raise if a second derivative or a replay would take an array for a constant."""
    if isinstance(value, np.ndarray) and (is_recording() or value.dtype.kind == "f"):
        raise RuntimeError(
            f"{what} that is no argument or output of forward: a second derivative would take it "
            "for a constant. Compute it in backward, return it as an output, or decorate backward "
            "with once_differentiable"
        )
