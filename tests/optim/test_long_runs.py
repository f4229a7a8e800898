"""No optimizer ends at nan where PyTorch's does not: long runs of gradients that never adapt."""

import numpy as np
import pytest

import retrograd as rg
from golden import table

KINDS = {
    "constant": lambda step: 1.0,
    "zero": lambda step: 0.0,
    "tiny": lambda step: 1e-30,
    "huge": lambda step: 1e30,
    "alternating": lambda step: (-1.0) ** step,
    "one, then none": lambda step: float(step == 0),
    "huge, then small": lambda step: 1e25 if step == 0 else 1e-3,
}
CASES = table("long_runs")["cases"]


def titled(case):
    options = "".join(f", {key} {value}" for key, value in case["options"].items())
    return f"{case['name']}{options}, {case['dtype']}, {case['gradients']}"


def run(case):
    w = rg.nn.Parameter(np.array(table("long_runs")["start"], case["dtype"]))
    optimizer = getattr(rg.optim, case["name"])([w], **case["options"])
    with np.errstate(all="ignore"):
        for step in range(table("long_runs")["steps"]):
            w.grad = np.full_like(w.data, KINDS[case["gradients"]](step))
            optimizer.step()
    return w.data.ravel()


@pytest.mark.parametrize("case", CASES, ids=titled)
def test_a_long_run_ends_where_pytorchs_does_and_never_at_nan(case):
    end, expected = run(case), np.array([float(x) for x in case["end"]])
    known = ~np.isnan(expected)
    assert not np.isnan(end[known]).any()
    centered = case["options"].get("centered")
    if centered:
        assert np.isfinite(end).all()
    # what is left of a steady gradient's variance is noise
    noise = centered and case["gradients"] not in ("zero", "tiny", "one, then none")
    if not noise and case["name"] != "Muon":  # which PyTorch computes in bfloat16
        tolerance = 1e-2 if case["dtype"] == "float32" else 1e-9
        np.testing.assert_allclose(end[known], expected[known], rtol=tolerance, atol=1e-5)


@pytest.mark.parametrize("wrap", [lambda f: f, rg.compile])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_centered_rmsprop_of_a_constant_gradient_goes_on(dtype, wrap):
    for size in (1.0, 3.7, 1e-3):
        w = rg.nn.Parameter(np.zeros(3, dtype))
        optimizer = rg.optim.RMSprop([w], centered=True)

        def step(x, optimizer=optimizer, w=w):
            optimizer.zero_grad()
            loss = (w * x).sum()
            loss.backward()
            optimizer.step()
            return loss

        step = wrap(step)
        for _ in range(5):
            before = w.data.copy()
            for _ in range(800):
                step(np.full(3, size, dtype))
            assert (w.data < before).all()
            assert np.isfinite(w.data).all()
