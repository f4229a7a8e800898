"""One property over the registry: what C does of a function's values and gradients is NumPy's.

The calls are those that the gradient rules are checked with, so a new function costs no line here.
Those of a room are one program, since each program is compiled.
"""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import retrograd as rg
from retrograd.compiler.assembly import assemble_by
from retrograd.compiler.c import build, rearranging
from retrograd.compiler.c.assembly import CAssembly, uses_numpy
from retrograd.compiler.c.matches import find_form
from retrograd.compiler.ir import Call, Var
from retrograd.compiler.passes import stack
from retrograd.engine import RULES, spelled
from rules import cases
from rules.checking import floats, gradients, make, replace_floats, tensors
from rules.drawing import CASES, STAND_INS, Draw

pytestmark = pytest.mark.usefixtures("compiler")
# each example is compiled, which takes too long for shrinking what fails
EXAMPLES = settings(
    max_examples=max(3, settings.default.max_examples // 10), deadline=None,
    suppress_health_check=[*HealthCheck], phases=[Phase.explicit, Phase.reuse, Phase.generate],
)  # fmt: skip
# complex numbers have no form in C
ROOMS = [name for name in cases.__all__ if name not in ("complexes", "fourier")]
# values decide the shapes of these, or whether they are complex
CHANGING = (np.trim_zeros, np.roots)


@pytest.fixture(scope="module")
def quickly():
    """Compile fast rather than for speed."""
    patch = pytest.MonkeyPatch()
    patch.setattr(build, "FLAGS", tuple("-O0" if f == "-O3" else f for f in build.FLAGS))
    yield
    patch.undo()


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
        several = out if isinstance(out, (tuple, list)) else [out]
        outs = [t for t in several if isinstance(t, rg.Tensor)]
        real = floats(outs)
        us = [np.cos(np.arange(o.size, dtype=o.dtype)).reshape(o.shape) for o in real]
        found.append((outs, gradients(real, own, us, False)))
    return found


def scale_of(arrays):
    """Return the largest magnitude among the finite floats of some arrays."""
    finite = [np.abs(a[np.isfinite(a)]) for a in arrays if a.dtype.kind in "fc"]
    return max((float(a.max(initial=0)) for a in finite), default=0.0)


def assert_near(found, expected, dtype, what, scale=None):
    """Assert that floats are equal but for rounding in the scale of the result, all else equal."""
    assert found.dtype == expected.dtype, what
    assert found.shape == expected.shape, what
    if expected.dtype.kind not in "fc":
        np.testing.assert_array_equal(found, expected, what)
        return
    scale = scale_of([expected]) if scale is None else scale
    kind = np.finfo(dtype)
    atol = 64 * kind.eps * scale + kind.tiny
    np.testing.assert_allclose(found, expected, rtol=64 * kind.eps, atol=atol, err_msg=what)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("room", ROOMS)
@EXAMPLES
@given(data=st.data())
def test_a_function_in_c_is_numpys(quickly, room, dtype, data):
    calls = draw_calls(data, room, dtype)
    arrays = [a for _, tree in calls for a in floats(tree)]

    def step(*leaves):
        return results(calls, list(leaves))

    with np.errstate(all="ignore"):
        ours, theirs = (rg.compile(step, target=target) for target in ("c", "numpy"))
        for _ in range(2):
            found, expected = ours(*tensors(arrays)), theirs(*tensors(arrays))
    for (fn, tree), mine, numpys in zip(calls, found, expected, strict=True):
        what = f"{spelled(fn)} of {tree}"
        for a, b in zip(mine[0], numpys[0], strict=True):
            assert_near(a.data, b.data, dtype, what)
        # a gradient may be all rounding, such as that of the mean given to `np.std`: then its scale
        # is that of a quotient
        quotient = scale_of([b.data for b in numpys[0]]) / max(scale_of(floats(tree)), 1e-3)
        (mine, _), (numpys, _) = rg.tree.flatten(mine[1]), rg.tree.flatten(numpys[1])
        scale = max(quotient, scale_of([b.data for b in numpys]))
        for a, b in zip(mine, numpys, strict=True):
            assert_near(a.data, b.data, dtype, what, scale)


def is_numpys(step):
    """Tell whether NumPy does something in a step though C could be asked to: no views, no none.

    Nor does C move elements to places that an array outside has, which may have others next time.
    """
    arrays = [*step.call.vars(), *step.call.outs]
    if step.call.fn in rearranging.FUNCTIONS and any(v.kind == "captured" for v in arrays):
        return False
    return step.call.view_of is None and all(v.size and v.dtype.kind in "fiub" for v in arrays)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("room", ROOMS)
@EXAMPLES
@given(data=st.data())
def test_what_has_no_form_in_c_is_listed(room, data):
    listed = {*rg.coverage().not_in_c}
    draw, rng = Draw(data), np.random.default_rng(0)
    for fn, drawn in cases_of(room):
        if spelled(fn) in listed or not spelled(fn).startswith("np."):
            continue
        args, kwargs = drawn(draw)
        call = STAND_INS.get(fn, fn), make((tuple(args), kwargs), rng)
        step = rg.compile(lambda *leaves, call=call: results([call], list(leaves)))
        with np.errstate(all="ignore"):
            step(*tensors(floats(call[1])))
        program = stack(step.programs[-1].plain)
        left = uses_numpy(assemble_by(CAssembly(program, alone=True), program))
        left = [s for s in left if is_numpys(s)]
        assert not left, (spelled(fn), call[1], [spelled(s.call.fn) for s in left])


def test_what_is_listed_as_without_form_is_not_written():
    names = {name.removeprefix("np.") for name in rg.coverage().not_in_c}
    x = Var("arg", np.ones((3, 3)))
    for fn, rule in RULES.items():
        name = spelled(fn).removeprefix("np.")
        if name in names and not rule.multi and spelled(fn).startswith("np."):
            call = Call("call", fn, (x,), {}, (Var("made", np.ones((3, 3))),))
            assert find_form(call, alone=True) is None, name
