"""The works in JAX: one jitted function from parameters and batch to parameters and loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.rows import Row, over
from benchmarks.works import Work

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_enable_x64", True)

Params = dict[str, Any]


def loss_of(work: Work) -> Callable[[Params, Any, Any], Any]:
    """Return the loss of `work` as a function of its parameters and a batch."""
    if work.kind == "rnn":
        return recurrent

    def loss(params: Params, x: Any, y: Any) -> Any:
        a = x
        for index, (weight, bias) in enumerate(work.layers):
            a = jax.nn.relu(a) if index else a
            a = a @ params[weight].T + params[bias]
        if work.kind == "record":
            p = jax.nn.sigmoid(a)
            return -jnp.mean(y * jnp.log(p + 1e-8) + (1 - y) * jnp.log(1 - p + 1e-8))
        return -jnp.mean(jax.nn.log_softmax(a)[jnp.arange(len(y)), y])

    return loss


def recurrent(params: Params, x: Any, y: Any) -> Any:
    """Return the RNN's loss, cell after cell."""
    h = jnp.zeros((x.shape[1], params["cell.wh"].shape[0]), x.dtype)
    for t in range(x.shape[0]):
        h = jnp.tanh(x[t] @ params["cell.wx"].T + h @ params["cell.wh"].T + params["cell.b"])
    return jnp.mean((h @ params["read.weight"].T + params["read.bias"] - y) ** 2)


def sgd(work: Work, params: Params, grads: Params, state: Any) -> tuple[Params, Any]:
    """Return parameters and velocity after a step of SGD with momentum."""
    if work.momentum:
        state = {name: work.momentum * state[name] + grads[name] for name in params}
        grads = state
    return {name: params[name] - work.lr * grads[name] for name in params}, state


def adam(work: Work, params: Params, grads: Params, state: Any) -> tuple[Params, Any]:
    """Return parameters and moments after a step of Adam."""
    first, second, t = state
    t = t + 1
    first = {name: 0.9 * first[name] + 0.1 * grads[name] for name in params}
    second = {name: 0.999 * second[name] + 0.001 * grads[name] ** 2 for name in params}
    rate = work.lr / (1 - 0.9**t)
    root = jnp.sqrt(1 - 0.999**t)
    new = {
        name: params[name] - rate * first[name] / (jnp.sqrt(second[name]) / root + 1e-8)
        for name in params
    }
    return new, (first, second, t)


def step_of(work: Work) -> Callable[[Any, Any], Any]:
    """Return the jitted training step of `work`, holding its own parameters."""
    params = {name: jnp.asarray(value) for name, value in work.copy_weights().items()}
    zeros = {name: jnp.zeros_like(value) for name, value in params.items()}
    is_adam = work.optimizer == "adam"
    state: Any = (zeros, zeros, jnp.float32(0)) if is_adam else zeros
    update = adam if is_adam else sgd
    value_and_grad = jax.value_and_grad(loss_of(work))

    @jax.jit
    def step(params: Params, state: Any, x: Any, y: Any) -> Any:
        loss, grads = value_and_grad(params, x, y)
        return *update(work, params, grads, state), loss

    def call(x: Any, y: Any) -> Any:
        nonlocal params, state
        params, state, loss = step(params, state, x, y)
        return loss

    return call


def batches(work: Work) -> list[tuple[Any, Any]]:
    """Return the batches of `work` as JAX arrays."""
    return [(jnp.asarray(x), jnp.asarray(y)) for x, y in work.batches]


def rows(work: Work, skipped: dict[str, str]) -> list[Row]:
    """Return the row of `work` under jit; its first call compiles."""
    return [Row("JAX jit", over(batches(work), step_of(work)))]
