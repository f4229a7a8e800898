"""`python -m benchmarks.transforms`: Hessians, gradients of samples, and the peers.

A net of two layers with about 1,000 parameters in float64, one BLAS thread. Every row computes
the same numbers, checked before timing; rows run in interleaved rounds, medians are shown. The
gradient itself is the control: what everything else is counted in.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import machine

IN, HIDDEN, POINTS = 30, 31, 32  # 993 parameters
SAMPLES = 256  # of which each has a gradient of its own, (256, 993) in all
TOLERANCE = 1e-9
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
Rows = dict[str, Callable[[], Any]]
SAMPLES_WORK = f"gradients of {SAMPLES} samples"


def unpack(w: Any) -> tuple[Any, Any, Any, Any]:
    at = IN * HIDDEN
    weight = w[:at].reshape(HIDDEN, IN)
    return weight, w[at : at + HIDDEN], w[at + HIDDEN : at + 2 * HIDDEN], w[-1]


def make_data() -> tuple[Any, Any, Any, Any]:
    rng = np.random.default_rng(0)
    w = 0.3 * rng.normal(size=IN * HIDDEN + 2 * HIDDEN + 1)
    return w, rng.normal(size=w.size), rng.normal(size=(POINTS, IN)), rng.normal(size=POINTS)


def make_samples(w: Any) -> tuple[dict[str, Any], Any, Any]:
    """Return the parameters by name, as nets have them, and samples."""
    rng = np.random.default_rng(1)
    params = dict(zip(("weight", "bias", "out", "last"), unpack(w), strict=True))
    return params, rng.normal(size=(SAMPLES, IN)), rng.normal(size=SAMPLES)


def joined(gradients: dict[str, Any]) -> Any:
    """Return gradients `(samples, ...)` as one array, to be compared: by name, as JAX sorts."""
    return np.concatenate(
        [np.asarray(gradients[name]).reshape((SAMPLES, -1)) for name in sorted(gradients)], axis=1
    )


def ours(w: Any, v: Any, x: Any, y: Any) -> dict[str, Rows]:
    import retrograd as rg
    from retrograd import func

    def loss(w: Any) -> Any:
        weight, bias, out, last = unpack(w)
        return np.mean((np.tanh(x @ weight.T + bias) @ out + last - y) ** 2)

    def loss_of(p: Any, x: Any, y: Any) -> Any:
        return (np.tanh(p["weight"] @ x + p["bias"]) @ p["out"] + p["last"] - y) ** 2

    gradient, hessian = func.grad(loss), func.hessian(loss)
    samples, (p, xs, ys) = func.vmap(func.grad(loss_of), (None, 0, 0)), make_samples(w)
    compiled = rg.compile(samples)
    return {
        SAMPLES_WORK: {
            "retrograd": lambda: samples(p, xs, ys),
            "retrograd, compiled": lambda: compiled(p, xs, ys),
        },
        "gradient": {"retrograd": lambda: gradient(w).data},
        "hvp": {"retrograd": lambda: func.hvp(loss, (w,), (v,))[0].data},
        "hessian": {"retrograd": lambda: hessian(w).data},
    }


def torch(w: Any, v: Any, x: Any, y: Any) -> dict[str, Rows]:
    import torch

    torch.set_num_threads(1)
    tw, tv, tx, ty = (torch.tensor(a) for a in (w, v, x, y))

    def loss(w: Any) -> Any:
        weight, bias, out, last = unpack(w)
        return ((torch.tanh(tx @ weight.T + bias) @ out + last - ty) ** 2).mean()

    def loss_of(p: Any, x: Any, y: Any) -> Any:
        return (torch.tanh(p["weight"] @ x + p["bias"]) @ p["out"] + p["last"] - y) ** 2

    gradient, hessian = torch.func.grad(loss), torch.func.hessian(loss)
    samples = torch.func.vmap(torch.func.grad(loss_of), (None, 0, 0))
    p, xs, ys = make_samples(w)
    tp = {name: torch.tensor(value) for name, value in p.items()}
    txs, tys = torch.tensor(xs), torch.tensor(ys)
    return {
        SAMPLES_WORK: {"torch.func": lambda: samples(tp, txs, tys)},
        "gradient": {"torch.func": lambda: gradient(tw).numpy()},
        "hvp": {"torch.func": lambda: torch.func.jvp(gradient, (tw,), (tv,))[1].numpy()},
        "hessian": {"torch.func": lambda: hessian(tw).numpy()},
    }


def jax(w: Any, v: Any, x: Any, y: Any) -> dict[str, Rows]:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    jw, jv, jx, jy = (jnp.asarray(a) for a in (w, v, x, y))

    def loss(w: Any) -> Any:
        weight, bias, out, last = unpack(w)
        return jnp.mean((jnp.tanh(jx @ weight.T + bias) @ out + last - jy) ** 2)

    def loss_of(p: Any, x: Any, y: Any) -> Any:
        return (jnp.tanh(p["weight"] @ x + p["bias"]) @ p["out"] + p["last"] - y) ** 2

    gradient, hessian = jax.jit(jax.grad(loss)), jax.jit(jax.hessian(loss))
    product = jax.jit(lambda w, v: jax.jvp(jax.grad(loss), (w,), (v,))[1])
    samples = jax.jit(jax.vmap(jax.grad(loss_of), (None, 0, 0)))
    p, xs, ys = make_samples(w)
    jp = {name: jnp.asarray(value) for name, value in p.items()}
    jxs, jys = jnp.asarray(xs), jnp.asarray(ys)
    return {
        SAMPLES_WORK: {"jax.jit": lambda: jax.block_until_ready(samples(jp, jxs, jys))},
        "gradient": {"jax.jit": lambda: np.asarray(gradient(jw))},
        "hvp": {"jax.jit": lambda: np.asarray(product(jw, jv))},
        "hessian": {"jax.jit": lambda: np.asarray(hessian(jw))},
    }


def hips(w: Any, v: Any, x: Any, y: Any) -> dict[str, Rows]:
    import autograd
    import autograd.numpy as anp

    def loss(w: Any) -> Any:
        weight, bias, out, last = unpack(w)
        return anp.mean((anp.tanh(anp.dot(x, weight.T) + bias) @ out + last - y) ** 2)

    gradient, hessian = autograd.grad(loss), autograd.hessian(loss)
    product = autograd.hessian_vector_product(loss)
    return {
        "gradient": {"autograd": lambda: gradient(w)},
        "hvp": {"autograd": lambda: product(w, v)},
        "hessian": {"autograd": lambda: hessian(w)},
    }


def gather() -> tuple[dict[str, Rows], list[str]]:
    """Return the rows of each work, and which peers are not installed."""
    data = make_data()
    works: dict[str, Rows] = {}
    missing = []
    for peer in (ours, torch, jax, hips):
        try:
            found = peer(*data)
        except ImportError as error:
            missing.append(error.name or peer.__name__)
            continue
        for work, rows in found.items():
            works.setdefault(work, {}).update(rows)
    return works, missing


def check(rows: Rows) -> None:
    """Raise unless every row computes what the first one does."""
    first, *others = rows
    want = _array(rows[first]())
    for name in others:
        apart = np.max(np.abs(_array(rows[name]()) - want)) / np.max(np.abs(want))
        if not apart < TOLERANCE:
            raise RuntimeError(f"{name} and {first} differ by {apart:.1e}")


def _array(result: Any) -> Any:
    return joined(result) if isinstance(result, dict) else result


def interleaved(rows: Rows, rounds: int, seconds: float) -> dict[str, list[float]]:
    """Return the microseconds of a run, for each row and round, the slots in turn."""
    repeats = {}
    for name, run in rows.items():
        start = time.perf_counter()
        run()
        one = time.perf_counter() - start
        repeats[name] = max(1, round(seconds / rounds / len(rows) / one))
    times: dict[str, list[float]] = {name: [] for name in rows}
    order = list(rows)
    for turn in range(rounds + 1):
        order.append(order.pop(0))
        for name in order:
            start = time.perf_counter()
            for _ in range(repeats[name]):
                rows[name]()
            taken = (time.perf_counter() - start) / repeats[name] * 1e6
            if turn:
                times[name].append(taken)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each work")
    parser.add_argument("--json", help="a file for the medians")
    args = parser.parse_args()
    works, missing = gather()
    medians: dict[str, dict[str, float]] = {}
    for work, rows in works.items():
        check(rows)
        times = interleaved(rows, args.rounds, args.seconds)
        medians[work] = {name: float(np.median(taken)) for name, taken in times.items()}
    print("| work | row | microseconds | in our gradients |")
    print("|---|---|---:|---:|")
    unit = medians["gradient"]["retrograd"]
    for work, found in medians.items():
        for name, median in found.items():
            print(f"| {work} | {name} | {median:,.0f} | {median / unit:.1f} |")
    print(f"\n{make_data()[0].size} parameters, float64, one thread, {args.rounds} rounds.")
    if missing:
        print(f"Not installed: {', '.join(missing)}")
    if args.json:
        with open(args.json, "w") as file:
            json.dump({"machine": machine.describe(), "microseconds": medians}, file, indent=2)


if __name__ == "__main__":
    if any(os.environ.get(name) != "1" for name in THREADS):
        # BLAS reads them once, when it is loaded
        os.environ.update(dict.fromkeys(THREADS, "1"))
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks.transforms", *sys.argv[1:]])
    main()
