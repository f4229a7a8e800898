"""Complex parameters are trained as pairs of real numbers, as PyTorch trains them."""

import json
from pathlib import Path

import numpy as np
import pytest

import golden
import retrograd as rg
from golden.complex_draws import draw
from optim.problems import SLOTS, make

CASES = json.loads((Path(golden.__file__).parent / "complex_optimizers.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda c: "-".join([c["name"], *c["options"]]))
def test_a_descent_is_pytorchs(case):
    w = rg.nn.Parameter(draw((2, 3), "complex128", 0))
    a, b = (draw((2, 3), "complex128", i) for i in (1, 2))
    optimizer = getattr(rg.optim, case["name"])([w], lr=0.05, **case["options"])

    def closure():
        optimizer.zero_grad()
        loss = np.sum(np.abs(w * a - b) ** 2)
        loss.backward()
        return loss

    for expected in case["values"]:
        optimizer.step(closure)
        np.testing.assert_allclose(w.data.ravel().view(float), expected, rtol=1e-9, atol=1e-11)


def parameters(dtype=complex):
    rng = np.random.default_rng(0)
    shapes = (2, 3), (), (4,), (5,)
    arrays = [rng.normal(size=s) + 1j * rng.normal(size=s) for s in shapes[:3]]
    return [*(rg.nn.Parameter(a.astype(dtype)) for a in arrays), rg.nn.Parameter(np.ones(5))]


def gradients(params, seed):
    rng = np.random.default_rng(seed)
    for p in params:
        g = rng.normal(size=p.shape) + 1j * rng.normal(size=p.shape)
        p.grad = (g if p.dtype.kind == "c" else g.real).astype(p.dtype)


@pytest.mark.parametrize("name", ["SGD", *(name for name in SLOTS if name != "Muon")])
def test_parts_move_as_real_parameters_do_and_state_has_the_parameters_dtype(name):
    options, _ = SLOTS[name]
    params = parameters()
    parts = [rg.nn.Parameter(np.array([p.data.real, p.data.imag])) for p in params[:3]]
    both = make(name, params, **options), make(name, parts, **options)
    for seed in range(4):
        gradients(params, seed)
        for p, q in zip(params, parts, strict=False):
            q.grad = np.array([p.grad.real, p.grad.imag])
        for optimizer in both:
            optimizer.step()
    for p, q in zip(params, parts, strict=False):
        np.testing.assert_array_equal(p.data, q.data[0] + 1j * q.data[1])
    state = both[0].state_dict()
    for slot, array in state["state"][0].items():
        if np.ndim(array):
            assert (array.dtype, array.shape) == (params[0].dtype, params[0].shape), slot
    again = [rg.nn.Parameter(p.data.copy()) for p in params]
    other = make(name, again, **options)
    other.load_state_dict(state)
    for ps, optimizer in ((params, both[0]), (again, other)):
        gradients(ps, 9)
        optimizer.step()
    for p, q in zip(params, again, strict=True):
        np.testing.assert_array_equal(p.data, q.data)


def test_a_step_is_compiled_and_exported(tmp_path):
    def train(compiled):
        params = parameters()
        optimizer = rg.optim.Adam(params, lr=0.05)

        def step(x):
            y = np.fft.ifft(np.fft.fft(x) * params[2]) * params[1]
            loss = np.mean(np.abs(y - 1) ** 2) + np.sum(np.abs(params[0])) * params[3].sum()
            optimizer.zero_grad()
            loss.backward()
            rg.nn.utils.clip_grad_norm_(params, 1.0)
            optimizer.step()
            return loss

        run = rg.compile(step) if compiled else step
        x = np.random.default_rng(1).normal(size=(3, 4))
        losses = [run(x).item() for _ in range(6)]
        return run, x, losses, params

    (_, _, expected, params), (run, x, found, others) = train(False), train(True)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    for p, q in zip(params, others, strict=True):
        np.testing.assert_allclose(p.data, q.data, rtol=1e-12)
    run.export(tmp_path / "exported.py")
    scope = {"__name__": "exported", "__file__": str(tmp_path / "exported.py")}
    exec((tmp_path / "exported.py").read_text(), scope)
    np.testing.assert_allclose(
        [scope["step"](x) for _ in range(3)], [run(x).item() for _ in range(3)]
    )


def test_complex64_stays_and_a_loaded_state_must_fit():
    params = parameters(np.complex64)
    optimizer = rg.optim.Adam(params)
    gradients(params, 0)
    optimizer.step()
    assert params[0].dtype == np.complex64
    state = optimizer.state_dict()
    real = rg.optim.Adam([rg.nn.Parameter(np.ones(p.shape)) for p in params])
    with pytest.raises(ValueError, match="exp_avg of parameter 0 is complex64, here it is float64"):
        real.load_state_dict(state)


def test_what_does_not_act_element_by_element_refuses_them():
    with pytest.raises(TypeError, match="Muon trains real numbers"):
        rg.optim.Muon([rg.nn.Parameter(np.ones((2, 2), complex))])
