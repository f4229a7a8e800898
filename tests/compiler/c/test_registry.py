"""One property over the registry: what C does of a function's values and gradients is NumPy's.

The calls are those that the gradient rules are checked with, so a new function costs no line here.
Those of a room are one program, since each program is compiled.
"""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import retrograd as rg
from retrograd.engine import spelled
from rules import cases
from rules.checking import floats, gradients, make, replace_floats, tensors
from rules.drawing import CASES, STAND_INS, Draw

pytestmark = pytest.mark.usefixtures("compiler")
ROOMS = [name for name in cases.__all__ if name not in ("complexes", "fourier")]
# values decide the shapes of these, or whether they are complex
CHANGING = (np.trim_zeros, np.roots)


def cases_of(room):
    """Return the functions of a room of cases, each with one of its cases."""
    home = f"rules.cases.{room}"
    return [
        (fn, drawn)
        for fn, all_drawn in CASES.items()
        for drawn in all_drawn
        if drawn.__module__ == home and fn not in CHANGING
    ]


def draw_calls(data, room, dtype):
    """Return calls of the functions of a room, with their arrays."""
    draw = Draw(data)
    rng = np.random.default_rng(draw.integer(0, 1000))
    found = []
    for fn, drawn in cases_of(room):
        args, kwargs = drawn(draw)
        tree = make((tuple(args), kwargs), rng)
        tree = replace_floats(tree, [a.astype(dtype) for a in floats(tree)])
        found.append((STAND_INS.get(fn, fn), tree))
    return found


def results(calls, leaves):
    """Return what each call gives, and the gradients of the leaves that it takes."""
    rest = [*leaves]
    found = []
    for fn, tree in calls:
        n = len(floats(tree))
        own, rest = rest[:n], rest[n:]
        given, named = replace_floats(tree, own)
        out = fn(*given, **named)
        outs = [t for t in (out if isinstance(out, (tuple, list)) else [out])]
        outs = [t for t in outs if isinstance(t, rg.Tensor)]
        real = floats(outs)
        us = [np.cos(np.arange(o.size, dtype=o.dtype)).reshape(o.shape) for o in real]
        found.append((outs, gradients(real, own, us, False)))
    return found


def assert_near(found, expected, dtype, what):
    """Assert that floats are equal but for rounding in the scale of the result, all else equal."""
    assert found.dtype == expected.dtype, what
    assert found.shape == expected.shape, what
    if expected.dtype.kind not in "fc":
        np.testing.assert_array_equal(found, expected, what)
        return
    finite = np.abs(expected[np.isfinite(expected)])
    scale = float(finite.max(initial=0))
    kind = np.finfo(dtype)
    atol = 64 * kind.eps * scale + kind.tiny
    np.testing.assert_allclose(found, expected, rtol=64 * kind.eps, atol=atol, err_msg=what)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("room", ROOMS)
@settings(
    max_examples=8,
    suppress_health_check=[*HealthCheck],
)
@given(data=st.data())
def test_a_function_in_c_is_numpys(compiler, room, dtype, data):
    calls = draw_calls(data, room, dtype)
    arrays = [a for _, tree in calls for a in floats(tree)]

    def step(*leaves):
        return results(calls, list(leaves))

    with np.errstate(all="ignore"):
        ours, theirs = (rg.compile(step, target=target) for target in ("c", "numpy"))
        for _ in range(2):
            found, expected = ours(*tensors(arrays)), theirs(*tensors(arrays))
    for (fn, tree), mine, numpys in zip(calls, found, expected, strict=True):
        for a, b in zip(rg.tree.flatten(mine)[0], rg.tree.flatten(numpys)[0], strict=True):
            assert_near(a.data, b.data, dtype, f"{spelled(fn)} of {tree}")
