"""The conv net and the transformer of `benchmarks.nets` in JAX: each a jitted training step."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

jax.config.update("jax_platforms", "cpu")

Params = dict[str, Any]
HEADS = 4


def cross_entropy(scores: Any, y: Any) -> Any:
    """Return the mean cross entropy of scores `(N, C)`."""
    return -jnp.mean(jax.nn.log_softmax(scores)[jnp.arange(len(y)), y])


def conv(params: Params, x: Any) -> Any:
    """Return the conv net's scores of images `(N, 1, 28, 28)`."""
    for name in ("0", "3"):
        x = lax.conv_general_dilated(
            x, params[f"{name}.weight"], (1, 1), "VALID",
            dimension_numbers=("NCHW", "OIHW", "NCHW"),
        )  # fmt: skip
        x = jax.nn.relu(x + params[f"{name}.bias"][:, None, None])
        x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
    return x.reshape(len(x), -1) @ params["7.weight"].T + params["7.bias"]


def layer_norm(x: Any, weight: Any, bias: Any) -> Any:
    """Return the last axis with mean 0 and variance 1, scaled."""
    centred = x - x.mean(-1, keepdims=True)
    spread = jnp.mean(centred * centred, -1, keepdims=True)
    return centred / jnp.sqrt(spread + 1e-5) * weight + bias


def attention(of: Callable[[str], Any], x: Any) -> Any:
    """Return self-attention of `(N, T, C)`; `of` gives parameters by name."""
    n, steps, width = x.shape
    joined = x @ of("in_proj_weight").T + of("in_proj_bias")
    parts = joined.reshape(n, steps, 3, HEADS, width // HEADS)
    q, k, v = (parts[:, :, i].transpose(0, 2, 1, 3) for i in range(3))
    shares = jax.nn.softmax(q @ k.transpose(0, 1, 3, 2) / np.sqrt(width // HEADS), axis=-1)
    out = (shares @ v).transpose(0, 2, 1, 3).reshape(n, steps, width)
    return out @ of("out_proj.weight").T + of("out_proj.bias")


def transformer(params: Params, x: Any) -> Any:
    """Return the transformer's scores `(N * T, C)` of words `(N, T)`."""
    h = params["words.weight"][x]
    for block in range(2):

        def of(name: str, block: int = block) -> Any:
            return params[f"blocks.layers.{block}.{name}"]

        a = attention(lambda name, of=of: of(f"self_attn.{name}"), h)
        h = layer_norm(h + a, of("norm1.weight"), of("norm1.bias"))
        a = jax.nn.relu(h @ of("linear1.weight").T + of("linear1.bias"))
        a = a @ of("linear2.weight").T + of("linear2.bias")
        h = layer_norm(h + a, of("norm2.weight"), of("norm2.bias"))
    return (h @ params["out.weight"].T + params["out.bias"]).reshape(-1, 50)


MODELS = {"conv net": conv, "transformer": transformer}


def step_of(
    name: str, weights: dict[str, Any], rate: float, x: Any, y: Any, adam: bool
) -> Callable[[], float]:
    """Return the training step of a net.

    Args:
        name: of the net, a key of `MODELS`.
        weights: its parameters by PyTorch's names.
        rate: the learning rate.
        x: the batch.
        y: its classes.
        adam: whether Adam trains it, or plain SGD.
    """
    model = MODELS[name]
    value_and_grad = jax.value_and_grad(lambda params, x, y: cross_entropy(model(params, x), y))

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params: Params, state: Any, x: Any, y: Any) -> Any:
        loss, grads = value_and_grad(params, x, y)
        if not adam:
            return {n: params[n] - rate * grads[n] for n in params}, state, loss
        first, second, t = state
        t = t + 1
        first = {n: 0.9 * first[n] + 0.1 * grads[n] for n in params}
        second = {n: 0.999 * second[n] + 0.001 * grads[n] ** 2 for n in params}
        by, root = rate / (1 - 0.9**t), jnp.sqrt(1 - 0.999**t)
        new = {n: params[n] - by * first[n] / (jnp.sqrt(second[n]) / root + 1e-8) for n in params}
        return new, (first, second, t), loss

    params = {n: jnp.array(w) for n, w in weights.items()}
    zeros = [{n: jnp.zeros_like(w) for n, w in params.items()} for _ in range(2)]
    state: Any = (*zeros, jnp.float32(0)) if adam else ()
    given = jnp.asarray(x), jnp.asarray(y)

    def call() -> float:
        nonlocal params, state
        params, state, loss = step(params, state, *given)
        return float(loss)

    return call
