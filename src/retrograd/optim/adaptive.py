"""Optimizers that adapt to the gradients so far: Adam and its relatives, L-BFGS."""

import math
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np

from retrograd.core import Array, Tensor
from retrograd.mode import MODE, enable_grad
from retrograd.nn.utils import parameters_to_vector, vector_to_parameters
from retrograd.optim.optimizer import Optimizer, Options, State, ensure, gradient, positive


def average(mean: Any, x: Any, beta: float) -> None:
    """Move a running mean towards `x` in place."""
    mean *= beta
    mean += (1 - beta) * x


def at_least(x: Any, bound: Any) -> None:
    """Raise `x` in place to `bound`."""
    if isinstance(x, Tensor):
        x._update(np.maximum, bound)
    else:
        np.maximum(x, bound, out=x)


class Adam(Optimizer):
    """Steps of about `lr`, whatever the size of the gradients (Kingma & Ba 2015).

    With the running means `m` of `g` and `v` of `g * g` the step is
    `lr * m / (1 - beta1 ** t) / (sqrt(v / (1 - beta2 ** t)) + eps)`. `amsgrad` divides by the
    largest `v` so far (Reddi et al. 2018). `weight_decay` adds that much of the parameter to the
    gradient, or if `decoupled_weight_decay` acts as in AdamW.

    >>> w = rg.Tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = rg.optim.Adam([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); print(w.data.round(4))
    [  0.9 -19.9]
    """

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0.0, amsgrad: bool = False, *,
        maximize: bool = False, decoupled_weight_decay: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, locals())

    def used_slots(self, options: Options) -> dict[str, float]:
        slots = {"exp_avg": 0.0, "exp_avg_sq": 0.0}
        return {**slots, "max_exp_avg_sq": 0.0} if options["amsgrad"] else slots

    def update(self, p: Any, g: Any, state: State, options: Options, lr: Any, t: Any) -> None:
        beta1, beta2 = options["betas"]
        m, v = state["exp_avg"], state["exp_avg_sq"]
        g = gradient(p, g, options, lr)
        average(m, g, beta1)
        average(v, g * g, beta2)
        if options["amsgrad"]:
            at_least(state["max_exp_avg_sq"], v)
            v = state["max_exp_avg_sq"]
        # numbers correct m and v, without passes over them
        root = (1 - beta2**t) ** 0.5
        p -= lr * root / (1 - beta1**t) * m / (np.sqrt(v) + options["eps"] * root)


class AdamW(Adam):
    """Adam that first takes `lr * weight_decay` of the parameter off (Loshchilov & Hutter 2019).

    >>> w = rg.Tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = rg.optim.AdamW([w], lr=0.1, weight_decay=0.5)
    >>> (w * w).sum().backward(); optimizer.step(); print(w.data.round(4))
    [  0.85 -18.9 ]
    """

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 1e-2, amsgrad: bool = False, *,
        maximize: bool = False,
    ) -> None:  # fmt: skip
        options = (lr, betas, eps, weight_decay, amsgrad)
        super().__init__(params, *options, maximize=maximize, decoupled_weight_decay=True)


class Adamax(Optimizer):
    """Adam dividing by `u = max(beta2 * u, abs(g) + eps)` (Kingma & Ba 2015, algorithm 2).

    >>> w = rg.Tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = rg.optim.Adamax([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); print(w.data.round(4))
    [  0.9 -19.9]
    """

    def __init__(
        self, params: Iterable[Any], lr: float = 2e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0.0, *, maximize: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, locals())

    def used_slots(self, options: Options) -> dict[str, float]:
        return {"exp_avg": 0.0, "exp_inf": 0.0}

    def update(self, p: Any, g: Any, state: State, options: Options, lr: Any, t: Any) -> None:
        beta1, beta2 = options["betas"]
        m, u = state["exp_avg"], state["exp_inf"]
        g = gradient(p, g, options, lr)
        average(m, g, beta1)
        u *= beta2
        at_least(u, np.abs(g) + options["eps"])
        p -= lr / (1 - beta1**t) * m / u


class NAdam(Optimizer):
    """Adam with Nesterov's look ahead (Dozat 2016).

    The momentum of step `t` is `mu[t] = beta1 * (1 - 0.96 ** (t * momentum_decay) / 2)`; `m` is
    that of the next step, both corrected by the product of the `mu`.

    >>> w = rg.Tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = rg.optim.NAdam([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); print(w.data.round(4))
    [  0.8944 -19.8944]
    """

    scalars = ("mu_product",)

    def __init__(
        self, params: Iterable[Any], lr: float = 2e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0.0, momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False, *, maximize: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, locals())

    def used_slots(self, options: Options) -> dict[str, float]:
        return {"mu_product": 1.0, "exp_avg": 0.0, "exp_avg_sq": 0.0}

    def update(self, p: Any, g: Any, state: State, options: Options, lr: Any, t: Any) -> None:
        beta1, beta2 = options["betas"]
        m, v, product = state["exp_avg"], state["exp_avg_sq"], state["mu_product"]
        g = gradient(p, g, options, lr)
        decay = options["momentum_decay"]
        mu, following = (beta1 * (1 - 0.5 * 0.96 ** (at * decay)) for at in (t, t + 1))
        product *= mu
        average(m, g, beta1)
        average(v, g * g, beta2)
        ahead = lr * (1 - mu) / (1 - product) * g + lr * following / (1 - product * following) * m
        p -= ahead / (np.sqrt(v / (1 - beta2**t)) + options["eps"])


class RMSprop(Optimizer):
    """Divide each gradient by the root of the running mean of its squares (Hinton 2012).

    If `centered`, by its deviation (Graves 2013); `momentum` acts on the quotient.

    >>> w = rg.Tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = rg.optim.RMSprop([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); print(w.data.round(4))
    [  0. -19.]
    """

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8,
        weight_decay: float = 0.0, momentum: float = 0.0, centered: bool = False, *,
        maximize: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, locals())

    def used_slots(self, options: Options) -> dict[str, float]:
        slots = {"square_avg": 0.0}
        if options["momentum"]:
            slots["momentum_buffer"] = 0.0
        if options["centered"]:
            slots["grad_avg"] = 0.0
        return slots

    def update(self, p: Any, g: Any, state: State, options: Options, lr: Any, t: Any) -> None:
        alpha, v = options["alpha"], state["square_avg"]
        g = gradient(p, g, options, lr)
        average(v, g * g, alpha)
        if options["centered"]:
            m = state["grad_avg"]
            average(m, g, alpha)
            v = v - m * m
        step = g / (np.sqrt(v) + options["eps"])
        if options["momentum"] != 0:
            buffer = state["momentum_buffer"]
            buffer *= options["momentum"]
            buffer += step
            step = buffer
        p -= lr * step


class Adagrad(Optimizer):
    """Divide each gradient by the root of the sum of all its squares (Duchi et al. 2011).

    The sum starts at `initial_accumulator_value`, `lr` falls as `1 / (1 + (t - 1) * lr_decay)`.

    >>> w = rg.Tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = rg.optim.Adagrad([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); print(w.data.round(4))
    [  0.9 -19.9]
    """

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-2, lr_decay: float = 0.0,
        weight_decay: float = 0.0, initial_accumulator_value: float = 0.0, eps: float = 1e-10, *,
        maximize: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, locals())

    def used_slots(self, options: Options) -> dict[str, float]:
        return {"sum": options["initial_accumulator_value"]}

    def update(self, p: Any, g: Any, state: State, options: Options, lr: Any, t: Any) -> None:
        total = state["sum"]
        g = gradient(p, g, options, lr)
        total += g * g
        p -= lr / (1 + (t - 1) * options["lr_decay"]) * g / (np.sqrt(total) + options["eps"])


class Adadelta(Optimizer):
    """Step by the gradient times the root mean square of steps over its own (Zeiler 2012).

    `eps` is inside the roots.

    >>> w = rg.Tensor([1.0, -20.0], requires_grad=True)
    >>> optimizer = rg.optim.Adadelta([w], lr=100.0)
    >>> (w * w).sum().backward(); optimizer.step(); print(w.data.round(4))
    [  0.6838 -19.6838]
    """

    def __init__(
        self, params: Iterable[Any], lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6,
        weight_decay: float = 0.0, *, maximize: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(params, locals())

    def used_slots(self, options: Options) -> dict[str, float]:
        return {"square_avg": 0.0, "acc_delta": 0.0}

    def update(self, p: Any, g: Any, state: State, options: Options, lr: Any, t: Any) -> None:
        rho, eps = options["rho"], options["eps"]
        v, d = state["square_avg"], state["acc_delta"]
        g = gradient(p, g, options, lr)
        average(v, g * g, rho)
        delta = np.sqrt((d + eps) / (v + eps)) * g
        average(d, delta * delta, rho)
        p -= lr * delta


class Point(NamedTuple):
    """A loss and its gradient, with step length and slope on a line."""

    loss: float
    grad: Array
    t: float = 0.0
    slope: float = 0.0


class LBFGS(Optimizer):
    """Limited-memory BFGS (Liu & Nocedal 1989), for few parameters and a loss without noise.

    `step(closure)` makes up to `max_iter` iterations with up to `max_eval` losses (by default
    `max_iter * 5 // 4`); `closure` clears gradients, calls `backward` and returns the loss. An
    iteration steps by `lr`, or as far as `line_search_fn="strong_wolfe"` finds (Nocedal & Wright,
    Numerical Optimization, algorithms 3.5 and 3.6). A step ends early if the gradient is at most
    `tolerance_grad` everywhere, or loss or parameters change by less than `tolerance_change`.

    >>> w = rg.Tensor([3.0, -4.0], requires_grad=True)
    >>> optimizer = rg.optim.LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((w - 1) ** 4).sum()
    ...     loss.backward()
    ...     return loss
    >>> optimizer.step(closure); print(w.data.round(1))
    Tensor(641., requires_grad=True)
    [1. 1.]
    """

    def __init__(
        self, params: Iterable[Any], lr: float = 1.0, max_iter: int = 20,
        max_eval: int | None = None, tolerance_grad: float = 1e-7, tolerance_change: float = 1e-9,
        history_size: int = 100, line_search_fn: str | None = None,
    ) -> None:  # fmt: skip
        self._state: dict[str, Any] = {}
        max_eval = max_iter * 5 // 4 if max_eval is None else max_eval
        super().__init__(params, locals())

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        if self.param_groups:
            raise ValueError("LBFGS takes one param group")
        super().add_param_group(group)

    def check(self, options: dict[str, Any]) -> None:
        super().check(options)
        positive(**{name: options[name] for name in ("max_iter", "max_eval", "history_size")})
        search = options["line_search_fn"]
        ensure(search in (None, "strong_wolfe"), "line_search_fn", "'strong_wolfe' or None", search)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Iterate, calling `closure`; return its first loss."""
        tape = MODE.get().tape
        if tape is not None:
            tape.forbid("LBFGS.step, which decides by losses,")
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
            before = parameters_to_vector(self._all())._data
            if group["line_search_fn"]:
                left = most - state["func_evals"]
                point = self._search(closure, before, d, point, left)
                state["t"] = point.t
            vector_to_parameters(before + state["t"] * d, self._all())
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
            vector_to_parameters(before + t * d, self._all())
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
        grads = [np.zeros_like(p._data) if p.grad is None else p.grad for p in self._all()]
        return loss, Point(float(loss), np.concatenate(grads, axis=None))

    def state_dict(self) -> dict[str, Any]:
        """Return options, and the history as the first parameter's state."""
        state = {0: deepcopy(self._state)} if self._state else {}
        return {**super().state_dict(), "state": state}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take the state of another LBFGS."""
        size = sum(p.size for p in self._all())
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
