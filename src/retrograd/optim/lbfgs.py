"""L-BFGS: steps along a direction that takes the curvature from the last gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np

from retrograd.checks import one_of, whole
from retrograd.engine import Array, Tensor, complex_of, enable_grad, touch, unrecorded
from retrograd.optim.buckets import as_reals
from retrograd.optim.optimizer import Optimizer, Params


class Point(NamedTuple):
    """A loss and its gradient, with the step length and the slope on a line."""

    loss: float
    grad: Array
    t: float = 0.0
    slope: float = 0.0


class LBFGS(Optimizer):
    """Limited-memory BFGS, for few parameters and a loss without noise.

    A step makes several iterations, each along minus the gradient times an approximate inverse
    Hessian, which is made of the changes of parameters and gradients in the last iterations.

    A step ends early where the gradient is at most `tolerance_grad` everywhere, or where the loss
    or all parameters change by less than `tolerance_change`.

    Args:
        params: leaves that require grad, or one param group.
        lr: how much of the direction an iteration goes (default 1), and where a line search
            begins.
        max_iter: the most iterations in a step (default 20).
        max_eval: the most losses in a step (default `max_iter * 5 // 4`).
        tolerance_grad: a gradient that is small enough (default 1e-7).
        tolerance_change: a change that is too small to go on (default 1e-9).
        history_size: how many iterations the Hessian is made of (default 100).
        line_search_fn: "strong_wolfe" to look for the length of each iteration, or None (default).

    Raises:
        TypeError: if `params` are no leaves.
        ValueError: if there are several param groups, a count is no whole number above 0, or
            `line_search_fn` is something else.

    Liu & Nocedal 1989, "On the limited memory BFGS method for large scale optimization"; the line
    search is algorithms 3.5 and 3.6 of Nocedal & Wright, "Numerical optimization".

    >>> w = rg.Tensor([3.0, -4.0], requires_grad=True)
    >>> optimizer = rg.optim.LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((w - 1) ** 4).sum()
    ...     loss.backward()
    ...     return loss
    >>> optimizer.step(closure); print(w.data.round(1))
    Tensor(641., call=np.sum)
    [1. 1.]
    """

    def __init__(
        self, params: Params, lr: float = 1.0, max_iter: int = 20, max_eval: int | None = None,
        tolerance_grad: float = 1e-7, tolerance_change: float = 1e-9, history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:  # fmt: skip
        self._state: dict[str, Any] = {}
        self._state_then: dict[str, Any] = {}  # at the last `_back_up`
        defaults = {
            "lr": lr, "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad, "tolerance_change": tolerance_change,
            "history_size": history_size, "line_search_fn": line_search_fn,
        }  # fmt: skip
        super().__init__(params, defaults)

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        if self.param_groups:
            raise ValueError("LBFGS takes one param group")
        super().add_param_group(group)

    def check(self, options: dict[str, Any]) -> None:
        super().check(options)
        whole(**{name: options[name] for name in ("max_iter", "max_eval", "history_size")})
        one_of("line_search_fn", options["line_search_fn"], "strong_wolfe", None)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Iterate until the loss no longer falls, or as often as the options say.

        Args:
            closure: clears the gradients, computes the loss, calls `backward` on it and returns
                it. It is called several times.

        Returns:
            The first loss that `closure` returned.

        Raises:
            TypeError: if there is no `closure`.
        """
        unrecorded("LBFGS.step, which decides by losses,")
        if closure is None:
            raise TypeError("LBFGS.step takes a closure that returns the loss after backward()")
        group, state = self.param_groups[0], self._state
        most = state.get("func_evals", 0) + group["max_eval"]
        first, point = self._evaluate(closure)
        if _largest(point.grad) <= group["tolerance_grad"]:
            return first
        for iteration in range(1, group["max_iter"] + 1):
            d = self._direction(point)
            t = group["lr"]
            if state["n_iter"] == 1:
                t *= min(1.0, 1.0 / float(np.abs(point.grad).sum()))
            state.update(d=d, prev_flat_grad=point.grad, prev_loss=point.loss, t=t)
            point = point._replace(t=0.0, slope=float(point.grad @ d))
            if point.slope > -group["tolerance_change"]:
                break
            before = _join(p._array for p in self._all())
            if group["line_search_fn"]:
                left = most - state["func_evals"]
                point = self._search(closure, before, d, point, left)
                state["t"] = point.t
            _put(before + state["t"] * d, self._all())
            if not group["line_search_fn"] and iteration < group["max_iter"]:
                _, point = self._evaluate(closure)
            if (
                state["func_evals"] >= most
                or _largest(point.grad) <= group["tolerance_grad"]
                or _largest(state["t"] * d) <= group["tolerance_change"]
                or abs(point.loss - state["prev_loss"]) < group["tolerance_change"]
            ):
                break
        return first

    def _direction(self, point: Point) -> Array:
        """Return minus the inverse Hessian, from the history, times the gradient."""
        state = self._state
        state["n_iter"] = state.get("n_iter", 0) + 1
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1.0)
            return -point.grad
        y, s = point.grad - state["prev_flat_grad"], state["t"] * state["d"]
        curvature = float(y @ s)
        if curvature > 1e-10:
            for key, value in (("old_dirs", y), ("old_stps", s), ("ro", 1.0 / curvature)):
                state[key].append(value)
                del state[key][: -self.param_groups[0]["history_size"]]
            state["H_diag"] = curvature / float(y @ y)
        history = list(zip(state["old_dirs"], state["old_stps"], state["ro"], strict=True))
        q, weights = -point.grad, []
        for y, s, ro in reversed(history):
            weights.append(float(s @ q) * ro)
            q -= weights[-1] * y
        q *= state["H_diag"]
        for (y, s, ro), weight in zip(history, reversed(weights), strict=True):
            q += (weight - float(y @ q) * ro) * s
        return q

    def _search(
        self, closure: Callable[[], Any], before: Array, d: Array, start: Point, most: int
    ) -> Point:
        """Return a point that meets the strong Wolfe conditions, or the best of `most` losses."""

        def at(t: float) -> Point:
            _put(before + t * d, self._all())
            _, point = self._evaluate(closure)
            return point._replace(t=t, slope=float(point.grad @ d))

        def too_high(point: Point) -> bool:
            return point.loss > start.loss + 1e-4 * point.t * start.slope

        def flat_enough(point: Point) -> bool:
            return abs(point.slope) <= -0.9 * start.slope

        last, new = start, at(self._state["t"])
        tries = 0
        while tries < most:
            if too_high(new) or (tries > 1 and new.loss >= last.loss):
                break
            if flat_enough(new):
                return new
            if new.slope >= 0:
                break
            bounds = (new.t + 0.01 * (new.t - last.t), new.t * 10)
            last, new = new, at(_cubic_minimum(last, new, bounds))
            tries += 1
        else:
            last = start

        # a point between `low`, of lower loss, and `high` meets both conditions
        low, high = sorted((last, new), key=lambda point: point.loss)
        tolerance, width = self.param_groups[0]["tolerance_change"], _largest(d)
        stalled = False
        while tries < most:
            left, right = sorted((low.t, high.t))
            if (right - left) * width < tolerance:
                break
            t = _cubic_minimum(low, high, (left, right))
            margin = 0.1 * (right - left)
            close = min(right - t, t - left) < margin
            if close and (stalled or t in (left, right)):
                t = min(max(t, left + margin), right - margin)
                close = False
            stalled = close
            new = at(t)
            tries += 1
            if too_high(new) or new.loss >= low.loss:
                low, high = sorted((low, new), key=lambda point: point.loss)
                continue
            if flat_enough(new):
                return new
            low, high = new, low if new.slope * (high.t - low.t) >= 0 else high
        return low

    def _evaluate(self, closure: Callable[[], Any]) -> tuple[Any, Point]:
        with enable_grad():
            loss = closure()
        self._state["func_evals"] = self._state.get("func_evals", 0) + 1
        grads = [np.zeros_like(p._array) if p.grad is None else p.grad for p in self._all()]
        value = loss.item() if isinstance(loss, Tensor) else float(loss)
        return loss, Point(value, _join(grads))

    def _back_up(self) -> None:
        super()._back_up()
        # Its arrays are not written into, its lists are.
        kept = {k: [*v] if isinstance(v, list) else v for k, v in self._state.items()}
        self._state_then = kept

    def _put_back(self) -> None:
        super()._put_back()
        self._state = self._state_then

    def state_dict(self) -> dict[str, Any]:
        """Return what a run needs to go on: options, and the history of iterations.

        Returns:
            `{"state": ..., "param_groups": ...}`, with the whole history as the state of the
            first parameter. Arrays are copies.

        >>> rg.optim.LBFGS([rg.nn.Parameter([1.0])]).state_dict()["state"]
        {}
        """
        state = {0: deepcopy(self._state)} if self._state else {}
        return {**super().state_dict(), "state": state}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take the options and the history of another LBFGS over the same parameters.

        Args:
            state_dict: what `state_dict` returned, here or in PyTorch (with arrays).

        Raises:
            ValueError: if it is of another optimizer, or of parameters of other sizes.

        >>> w = rg.nn.Parameter([1.0])
        >>> optimizer, other = rg.optim.LBFGS([w], lr=0.5), rg.optim.LBFGS([w])
        >>> other.load_state_dict(optimizer.state_dict())
        >>> other.param_groups[0]["lr"]
        0.5
        """
        size = sum(as_reals(p._array).size for p in self._all())
        state = {k: v for k, v in state_dict["state"].get(0, {}).items() if v is not None}
        for key in {"d", "prev_flat_grad", "old_dirs", "old_stps"} & state.keys():
            array = np.array(state[key])
            if array.size and array.shape[-1] != size:
                raise ValueError(
                    f"a history of {array.shape[-1]} numbers, the parameters have {size}"
                )
            state[key] = list(array) if key.startswith("old") else array
        super().load_state_dict({**state_dict, "state": {}})
        self._state = deepcopy(state)


def _join(arrays: Iterable[Array]) -> Array:
    """Return a copy of all elements as one vector, complex ones as two numbers."""
    flat: Array = np.concatenate([as_reals(a) for a in arrays])
    return flat


def _put(vector: Array, params: Sequence[Tensor]) -> None:
    """Write what `_join` returns into parameters."""
    start = 0
    for p in params:
        stop = start + as_reals(p._array).size
        part = vector[start:stop]
        if p.dtype.kind == "c":
            part = part.view(complex_of(part.dtype))
        p._array[...] = part.reshape(p.shape)
        start = stop
    touch(*params)


def _largest(array: Array) -> float:
    return float(np.abs(array).max(initial=0.0))


def _cubic_minimum(a: Point, b: Point, bounds: tuple[float, float]) -> float:
    """Return where the cubic of both is least within `bounds` (equation 3.59)."""
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if square >= 0:
        d2 = math.copysign(math.sqrt(square), b.t - a.t)
        if below := b.slope - a.slope + 2 * d2:
            t = b.t - (b.t - a.t) * (b.slope + d2 - d1) / below
            return min(max(t, bounds[0]), bounds[1])
    return sum(bounds) / 2
