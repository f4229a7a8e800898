"""Fit a differential equation to measurements, by gradients through every step of its solution.

Prey and predators live by the equations of Lotka and Volterra: prey grow by themselves and are
eaten, predators die by themselves and grow by eating. The solution is computed by Runge and Kutta's
steps of fourth order, which are NumPy calls like all others, so that the gradient of the misfit
goes back through all of them: to the four rates, and to where it began. The step of the fit is run
call by call first, then compiled.

Going back needs what was computed on the way: memory for all calls of all steps. `checkpoint` keeps
where each block of steps began alone, and computes the block again when its turn comes: a third
more time, and the memory of one block. It pays where memory is what there is too little of: many
steps, or a large state. The last lines tell for this one. (A compiled step allocates its buffers
once, which the last figure leaves out, and records what is in a checkpoint like all else.)

Run:    python examples/fit_an_ode.py            (--steps N)
Prints: the misfit, the rates that were found, and what checkpoint does:

    step 0: misfit 1.5e-01
    ...
    found growth 1.09, dying 0.41, eaten 0.40, feeding 0.10
    a step takes, call by call, 6.1 ms and 686 KiB; with checkpoint 9.2 ms and 133 KiB; compiled ...
"""

import argparse
import sys
import time
import tracemalloc

import numpy as np

import retrograd as rg

RATES = np.array([[1.1, -0.4], [-0.4, 0.1]])  # how prey and predators grow; what meeting does
START = np.array([10.0, 5.0])  # prey, predators
TIME_STEP = 0.2
BLOCKS, BLOCK = 10, 5  # 50 steps in all, of which each block of 5 ends at a measurement


def slope(rates, z):
    """Return how fast prey and predators `(2,)` change."""
    return z * (rates[0] + rates[1] * z[::-1])


def runge_kutta(rates, z):
    h = TIME_STEP
    k1 = slope(rates, z)
    k2 = slope(rates, z + h / 2 * k1)
    k3 = slope(rates, z + h / 2 * k2)
    k4 = slope(rates, z + h * k3)
    return z + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def run_block(rates, z):
    for _ in range(BLOCK):
        z = runge_kutta(rates, z)
    return z


def solve(rates, start, call=lambda f, *args: f(*args)):
    """Return the solution at the end of each block, `(10, 2)`."""
    z, ends = start, []
    for _ in range(BLOCKS):
        z = call(run_block, rates, z)
        ends.append(z)
    return np.stack(ends)


def make_data(rng):
    noise = 1 + 0.02 * rng.normal(size=(BLOCKS, 2))
    return solve(RATES, START) * noise


def make_model():
    """Return what is fitted, in logarithms, as all rates and numbers have a known sign."""
    return {
        "rates": rg.nn.Parameter(np.log([[0.8, 0.6], [0.3, 0.15]])),
        "start": rg.nn.Parameter(np.log([8.0, 6.0])),
    }


def solution(params, call=lambda f, *args: f(*args)):
    return solve(np.sign(RATES) * np.exp(params["rates"]), np.exp(params["start"]), call)


def make_step(params, measured, call=lambda f, *args: f(*args)):
    optimizer = rg.optim.Adam(params.values(), lr=0.05)

    def step():
        misfit = np.mean((np.log(solution(params, call)) - np.log(measured)) ** 2)
        optimizer.zero_grad()
        misfit.backward()
        optimizer.step()
        return misfit

    return step


def train(params, measured, steps):
    step = rg.compile(make_step(params, measured))
    for i in range(steps):
        misfit = step()
        if i % 100 == 0:
            print(f"step {i}: misfit {misfit.item():.1e}")


def cost_of(step):
    """Return the milliseconds that a step takes, and how many KiB it holds at its peak."""
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        step()
        taken.append(time.perf_counter() - start)
    tracemalloc.start()
    step()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return f"{min(taken) * 1e3:.1f} ms and {peak / 1024:.0f} KiB"


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=300)
    args = parser.parse_args(argv)
    if args.steps < 1:
        parser.error(f"--steps must be at least 1, not {args.steps}")
    measured = make_data(np.random.default_rng(0))
    params = make_model()
    train(params, measured, args.steps)
    found = np.exp(params["rates"].data)
    names = ("growth", "dying"), ("eaten", "feeding")
    told = [f"{n} {found[i, j]:.2f}" for i, row in enumerate(names) for j, n in enumerate(row)]
    print(f"found {', '.join(told)}")
    print(
        f"a step takes, call by call, {cost_of(make_step(make_model(), measured))}; with "
        f"checkpoint {cost_of(make_step(make_model(), measured, rg.func.checkpoint))}; compiled "
        f"{cost_of(rg.compile(make_step(make_model(), measured)))}"
    )
    if args.steps >= 300 and not np.allclose(found, np.abs(RATES), rtol=0.15):
        print(f"expected the rates {np.abs(RATES).tolist()}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
