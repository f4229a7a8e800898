"""`Function`: an operation with a gradient of the user's own."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

import numpy as np

from retrograd.engine import (
    Mode,
    Rule,
    Tensor,
    as_array,
    borrowed,
    current_mode,
    defvjp_joint,
    is_recording,
    mode_set,
    record,
    run,
    wrap,
)
from retrograd.later import public_names

B = TypeVar("B", bound=Callable[..., Any])

__all__ = ["Context", "Function", "once_differentiable"]

__dir__ = public_names(__name__)


class Context:
    """What one `forward` of a `Function` leaves for its `backward`: both get it first, as `ctx`.

    Arrays go through `save_for_backward`. Anything else that `backward` needs (axes, shapes, flags)
    may be an attribute of any name that does not begin with an underscore: `ctx.axis = axis`.

    Attributes:
        needs_input_grad: A bool for each argument of `apply`, in a tuple: whether its gradient is
            wanted. What `backward` returns for the others is not looked at, so it may be None.

    >>> class Product(rg.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x, y):
    ...         ctx.save_for_backward(x, y)
    ...         return x * y
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         x, y = ctx.saved_tensors
    ...         dx = g * y if ctx.needs_input_grad[0] else None
    ...         dy = g * x if ctx.needs_input_grad[1] else None
    ...         return dx, dy
    >>> x = rg.Tensor(3.0, requires_grad=True)
    >>> Product.apply(x, 2.0).backward()
    >>> x.grad
    array(2.)
    """

    needs_input_grad: tuple[bool, ...] = ()

    _saved: Sequence[Any] = ()
    # Where each saved value stands among the arguments and outputs; None for any other value.
    _places: Sequence[int | None] = ()
    # The arguments and outputs as `backward` is to see them, arrays or Tensors, while it runs.
    _current: Sequence[Any] = ()
    _non_differentiable: Sequence[Any] = ()
    _is_constant: Sequence[bool] = ()  # for each output, once `forward` has run
    _returned_tuple = False

    def save_for_backward(self, *arrays: Any) -> None:
        """Keep values for `backward`, which finds them in `saved_tensors`.

        Args:
            *arrays: Arguments or outputs of `forward`, the objects themselves: second derivatives
                flow through these. Any other array is a constant for a second derivative, which
                is therefore refused.
        """
        self._saved = arrays

    def mark_non_differentiable(self, *outputs: Any) -> None:
        """Give some outputs of `forward` no gradient. Outputs of integers have none anyway.

        Args:
            *outputs: Arrays that `forward` returns, the objects themselves. `backward` still gets
                a gradient for each of them: zeros.

        >>> class WithLength(rg.autograd.Function):
        ...     @staticmethod
        ...     def forward(ctx, x):
        ...         length = np.sqrt(np.sum(x * x))
        ...         ctx.mark_non_differentiable(length)
        ...         return 2 * x, length
        ...     @staticmethod
        ...     def backward(ctx, g, g_length):
        ...         return 2 * g
        >>> twice, length = WithLength.apply(rg.Tensor([3.0, 4.0], requires_grad=True))
        >>> twice.requires_grad, length.requires_grad
        (True, False)
        """
        self._non_differentiable = outputs

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What `save_for_backward` got, in a tuple.

        Arrays, or Tensors where a second derivative is wanted. RuntimeError in that case if a
        saved array is neither an argument nor an output of `forward`.
        """
        current = self._current
        if not current:
            return tuple(self._saved)
        pairs = [*zip(self._saved, self._places, strict=True)]
        if isinstance(current[-1], Tensor):
            for value, place in pairs:
                if place is None:
                    _refuse_constant("save_for_backward got an array", value)
        return tuple(value if place is None else current[place] for value, place in pairs)


class Function:
    """An operation with a gradient of its own: derive from it, then call `apply` of the class.

    A derived class defines two static methods. `forward(ctx, *args)` computes on arrays, in any
    way it likes. `backward(ctx, *grads)` returns the gradients of its arguments. In between `ctx`,
    a `Context`, has what the one leaves for the other.

    If `backward` is written in NumPy calls and operators on what it is given, it can be
    differentiated again: it then gets Tensors. Otherwise decorate it with `once_differentiable`.
    `rg.compile` runs `forward` and `backward` as they are, as one call each.

    Raises:
        TypeError: if it is called like a class that has instances: write `.apply(...)`.

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

    _rules: tuple[Rule, Rule]  # of forward and of backward

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._rules = _make_rules(cls)

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"a Function is not made but applied: {cls.__name__}.apply(...)")

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        """Compute the outputs; for a derived class to define.

        Args:
            ctx: A `Context`, to leave things for `backward` in.
            *args: The arguments of `apply`, with arrays in place of Tensors.

        Returns:
            An array of numbers, or a tuple of such arrays.

        Raises:
            NotImplementedError: if the derived class does not define it.

        >>> class Twice(rg.autograd.Function):
        ...     @staticmethod
        ...     def forward(ctx, x):
        ...         return 2 * x
        >>> Twice.apply(np.array([1.0, 2.0]))
        Tensor([2., 4.])
        """
        raise NotImplementedError("a Function defines forward(ctx, *args)")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Compute the gradients of the arguments; for a derived class to define.

        Args:
            ctx: The `Context` that `forward` had.
            *grads: The gradient of each output, in its shape; zeros for an output that was not
                used. Arrays that must not be written into, or Tensors where a second derivative
                is wanted.

        Returns:
            One gradient for each argument of `forward`, in a shape that broadcasts with the
            argument's: a tuple of them, or the gradient itself where there is one argument. None
            stands for no gradient.

        Raises:
            NotImplementedError: if the derived class does not define it.

        >>> class Twice(rg.autograd.Function):
        ...     @staticmethod
        ...     def forward(ctx, x):
        ...         return 2 * x
        ...     @staticmethod
        ...     def backward(ctx, g):
        ...         return 2 * g
        >>> rg.func.grad(Twice.apply)(3.0)
        Tensor(2.)
        """
        raise NotImplementedError("a Function defines backward(ctx, *grads)")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run `forward` on the arguments and record it as one call.

        Args:
            *args: What `forward` takes. Gradients flow to Tensors that require grad; all else is
                handed on as it is.

        Returns:
            A Tensor, or a tuple of Tensors where `forward` returns a tuple. It shares no memory
            with an argument.

        Raises:
            TypeError: if a Tensor is in a list, tuple or dict, where it would get no gradient, or
                if `forward` returns something else than numbers.
            RuntimeError: from `backward`, if it does not return one gradient for each argument.

        >>> class Reversed(rg.autograd.Function):
        ...     @staticmethod
        ...     def forward(ctx, x, axis):
        ...         ctx.axis = axis
        ...         return np.flip(x, axis)
        ...     @staticmethod
        ...     def backward(ctx, g):
        ...         return np.flip(g, ctx.axis), None
        >>> x = rg.Tensor([[1.0, 2.0]], requires_grad=True)
        >>> Reversed.apply(x, 1)
        Tensor([[2., 1.]], call=Reversed)
        """
        for a in args:
            parts = a.values() if isinstance(a, dict) else a
            if isinstance(a, (dict, list, tuple)) and any(isinstance(p, Tensor) for p in parts):
                raise TypeError(
                    f"{cls.__name__}.apply got a Tensor in a {type(a).__name__}, which would get "
                    "no gradient: pass it as an argument of its own"
                )
        ctx, grad = Context(), current_mode().grad
        ctx.needs_input_grad = tuple(
            grad and isinstance(a, Tensor) and a.requires_grad for a in args
        )
        outs = _run_with_context(cls._rules[0], args, ctx)
        outs = tuple(t.detach() if c else t for t, c in zip(outs, ctx._is_constant, strict=True))
        return outs if ctx._returned_tuple else outs[0]


def once_differentiable(backward: B) -> B:
    """Decorate a `backward` that cannot be differentiated itself: it always gets arrays.

    Args:
        backward: The `backward` of a `Function`, which may use anything: loops, other libraries,
            arrays that `forward` left as attributes of `ctx`. `@staticmethod` goes above.

    Returns:
        The function to use in its place. A second derivative through it raises RuntimeError.

    >>> class Cube(rg.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.slope = 3 * x**2
    ...         return x**3
    ...     @staticmethod
    ...     @rg.autograd.once_differentiable
    ...     def backward(ctx, g):
    ...         return g * ctx.slope
    >>> rg.func.grad(Cube.apply)(2.0)
    Tensor(12.)
    """

    @functools.wraps(backward)
    def run(ctx: Any, *grads: Any) -> Any:
        return backward(ctx, *grads)

    run._once = True  # type: ignore[attr-defined]
    return run  # type: ignore[return-value]


# How a Function is recorded


def _make_rules(cls: type[Function]) -> tuple[Rule, Rule]:
    """Return the rules of `forward` and of `backward`, each a call with several outputs."""

    def forward(*args: Any, ctx: Context) -> tuple[Any, ...]:
        # a program runs it again and again with one context: forget the last run
        ctx.save_for_backward()
        ctx.mark_non_differentiable()
        returned = _run_unrecorded(cls.forward, ctx, *args)
        ctx._returned_tuple = isinstance(returned, (tuple, list))
        parts = [*returned] if ctx._returned_tuple else [returned]
        outs = [as_array(part) for part in parts]
        # found by what `forward` returned, which may be a NumPy scalar, not by the array made of it
        known = [*args, *parts]
        ctx._places = [
            next((i for i, one in enumerate(known) if one is value), None) for value in ctx._saved
        ]
        ctx._is_constant = [any(p is c for c in ctx._non_differentiable) for p in parts]
        ctx._non_differentiable = ()
        # an output that is an argument, or a view, would be written together with it
        return tuple(
            o.copy() if o.base is not None or any(o is a for a in args) else o for o in outs
        )

    def backward(*arrays: Any, ctx: Context) -> tuple[Any, ...]:
        n = len(ctx._is_constant)
        g, outs, args = arrays[:n], arrays[n : 2 * n], arrays[2 * n :]
        found = _run_unrecorded(_call_backward, cls, ctx, g, outs, args)
        # copies, since the outputs of a recorded call must not be views of its inputs
        return tuple(np.array(as_array(g)) for g in itertools.compress(found, ctx.needs_input_grad))

    forward.__name__ = cls.__name__
    backward.__name__ = f"{cls.__name__}_backward"
    joint = functools.partial(_gradients, cls)
    return (
        Rule(forward, joint=joint, multi=True, title=forward.__name__),
        Rule(backward, [None], multi=True, title=backward.__name__),
    )


def _run_unrecorded(fn: Callable[..., Any], *args: Any) -> Any:
    """Run a function on arrays, of which neither a graph nor a program shall know."""
    with mode_set(Mode(False)):
        return fn(*args)


def _run_with_context(rule: Rule, args: Sequence[Any], ctx: Context) -> Any:
    """Run a rule with its context, which in a program is a part of the function itself.

    A program holds its functions and calls them on arrays alone. So while one is recorded, each
    run gets a function of its own that has the context bound to it; `_bound` is the function that
    those of two recordings of one step have in common.
    """
    if not is_recording():
        return run(rule, tuple(args), {"ctx": ctx})
    bound = functools.partial(rule.run, ctx=ctx)

    def fn(*arrays: Any) -> Any:
        outs = bound(*arrays)
        return outs if len(outs) > 1 else outs[0]  # a program assigns the output itself

    fn.__name__ = rule.name
    fn._bound = rule.fn  # type: ignore[attr-defined]
    joint = rule.joint and functools.partial(rule.joint, ctx=ctx)
    again = Rule(fn, rule.vjps, joint=joint, run=bound, multi=True, title=rule.title)
    return run(again, tuple(args), {})


# How its gradients are computed


def _gradients(
    cls: type[Function],
    needed: Sequence[int],
    g: Sequence[Any],
    outs: Sequence[Any],
    *args: Any,
    ctx: Context,
) -> Sequence[Any]:
    """Return the needed gradients of the arguments, as Tensors where the outputs are Tensors."""
    found = _all_gradients(cls, g, outs, args, ctx)
    return [found[i] for i in needed]


def _all_gradients(
    cls: type[Function], g: Sequence[Any], outs: Sequence[Any], args: Sequence[Any], ctx: Context
) -> Sequence[Any]:
    """Return a gradient for each argument, by whichever way `backward` can go.

    On arrays it just runs. On Tensors that are to be differentiated again it runs on these; if it
    cannot (`once_differentiable`), or nobody wants a second derivative, its arrays are recorded as
    one call, as those of `forward` are.
    """
    if not isinstance(outs[0], Tensor):
        return _call_backward(cls, ctx, g, outs, args)
    g = [part if isinstance(part, Tensor) else wrap(part) for part in g]
    graph = current_mode().grad
    if graph and not hasattr(cls.backward, "_once"):
        for name, value in vars(ctx).items():
            if not name.startswith("_"):
                _refuse_constant(f"ctx.{name} holds an array", value)
        return _call_backward(cls, ctx, g, outs, args)
    found = iter(_run_with_context(cls._rules[1], (*g, *outs, *args), ctx))
    if graph:
        found = (record(refuse_second, t, *g, *args, name=cls.__name__) for t in found)
    return [next(found) if needed else None for needed in ctx.needs_input_grad]


def _call_backward(cls: type[Function], ctx: Context, g: Any, outs: Any, args: Any) -> list[Any]:
    """Return what `backward` of the class gives: one gradient for each argument."""
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
            found[i] = borrowed(part)  # it may be g, or something that was saved
    return found


Function._rules = _make_rules(Function)


# What cannot be differentiated again


def refuse_second(value: Any, *sources: Any, name: str) -> Any:
    """Return a gradient that arrays alone were computed for: its own derivative is an error.

    Args:
        value: the gradient.
        *sources: what it was computed from, so that a derivative leads here.
        name: the Function, for the error.
    """
    return value.copy()


def _refuse_second_joint(needed: Any, g: Any, out: Any, *arrays: Any, name: str) -> NoReturn:
    raise RuntimeError(
        f"{name}.backward is once_differentiable, it has no second derivative: write it in NumPy "
        "calls on what it is given and leave the decorator out"
    )


defvjp_joint(refuse_second, _refuse_second_joint)


def _refuse_constant(what: str, value: Any) -> None:
    """Raise if a second derivative or a replay would take an array for a constant."""
    if isinstance(value, np.ndarray) and (is_recording() or value.dtype.kind in "fc"):
        raise RuntimeError(
            f"{what} that is no argument or output of forward: a second derivative would take it "
            "for a constant. Compute it in backward, return it as an output, or decorate backward "
            "with once_differentiable"
        )
