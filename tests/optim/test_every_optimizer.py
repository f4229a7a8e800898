"""What holds for each of the optimizers, on parabolas and in valleys."""

import copy

import numpy as np
import pytest

import retrograd as rg
from optim.problems import (
    SLOTS,
    assert_equal,
    descend,
    make,
    parabola,
    problem,
    rosenbrock,
    run,
    values,
)

# name: (options, options for Rosenbrock's valley, steps)
TABLE = {
    "SGD": ({"lr": 0.1}, {"lr": 1e-3, "momentum": 0.9}, 2000),
    "Adam": ({"lr": 0.1}, {"lr": 0.05}, 2000),
    "AdamW": ({"lr": 0.1, "weight_decay": 0.0}, {"lr": 0.05, "weight_decay": 0.0}, 2000),
    "Adamax": ({"lr": 0.1}, {"lr": 0.05}, 3000),
    "NAdam": ({"lr": 0.1}, {"lr": 0.02}, 2000),
    "RMSprop": ({"lr": 0.01}, {"lr": 1e-3}, 4000),
    "Adagrad": ({"lr": 0.5}, {"lr": 0.2}, 4000),
    "RAdam": ({"lr": 0.1}, {"lr": 4e-3, "betas": (0.9, 0.95)}, 4000),
    "Rprop": ({"lr": 0.1}, {"lr": 0.01}, 2000),
    "Adadelta": ({"lr": 1.0, "rho": 0.5, "eps": 1e-3}, {"lr": 0.03, "rho": 0.5}, 4000),
    "LBFGS": ({}, {"line_search_fn": "strong_wolfe"}, 5),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("f", [parabola, rosenbrock])
@pytest.mark.parametrize("name", TABLE)
def test_an_optimizer_finds_the_minimum_and_keeps_the_dtype(name, f, dtype):
    easy, valley, steps = TABLE[name]
    w = rg.Tensor(np.array([-0.5, 0.7], dtype), requires_grad=True)
    optimizer = make(name, [w], **(easy if f is parabola else valley))
    descend(optimizer, f, w, steps if f is rosenbrock else min(steps, 500))
    assert w.dtype == dtype
    assert abs(w.data - 1).max() < 0.1
    for state in optimizer.state_dict()["state"].values():
        arrays = [v for v in state.values() if isinstance(v, np.ndarray)]
        assert all(array.dtype == dtype for array in arrays)


@pytest.mark.parametrize("name", SLOTS)
def test_a_saved_state_continues_bit_for_bit_and_has_pytorchs_names(name):
    options, slots = SLOTS[name]
    params, gradients = problem()
    optimizer = make(name, params, **options)
    run(optimizer, params, gradients[:3])
    saved, halfway = optimizer.state_dict(), values(params)
    run(optimizer, params, gradients[3:])
    assert list(saved["state"]) == [0, 1, 2]
    for i, entry in saved["state"].items():
        assert set(entry) == {"step", *slots}
        assert entry["step"] == 3
        for slot in slots - {"mu_product"}:
            assert entry[slot].shape == params[i].shape

    again = [rg.nn.Parameter(value) for value in halfway]
    other = make(name, again, **options)
    other.load_state_dict(saved)
    assert other.state_dict()["param_groups"] == saved["param_groups"]
    for i, entry in other.state_dict()["state"].items():
        for slot, value in entry.items():
            np.testing.assert_array_equal(value, saved["state"][i][slot])
    run(other, again, gradients[3:])
    assert_equal(values(again), values(params))


def test_a_step_does_not_write_into_gradients():
    for name in SLOTS:
        params, gradients = problem()
        decay = {} if name == "Rprop" else {"weight_decay": 0.1}
        optimizer = make(name, params[:1], **SLOTS[name][0], **decay, maximize=True)
        g = gradients[0][0]
        before = g.copy()
        g.flags.writeable = False
        run(optimizer, params[:1], [[g]])
        np.testing.assert_array_equal(g, before)


def test_copies_of_a_model_and_its_optimizer_train_on_their_own():
    params, gradients = problem()
    optimizer = rg.optim.Adam(params)
    run(optimizer, params, gradients[:2])
    twins, twin = copy.deepcopy((params, optimizer))
    before = values(params)
    run(twin, twins, gradients[2:])
    assert_equal(values(params), before)
    run(optimizer, params, gradients[2:])
    assert_equal(values(params), values(twins))


COMPILED = {
    **{name: options for name, (options, _) in SLOTS.items()},
    "Muon": {},
    "Muon, AdamW's rates": {"nesterov": False, "adjust_lr_fn": "match_rms_adamw"},
    "RAdam, few squares": {"betas": (0.5, 0.6), "weight_decay": 0.1},
    "RAdam, some squares": {
        "betas": (0.5, 0.75), "decoupled_weight_decay": True, "weight_decay": 0.1,
    },
    "Rprop, up": {"maximize": True, "etas": (0.3, 2.5), "step_sizes": (0.01, 0.02)},
    "RMSprop": {"centered": True, "momentum": 0.9},
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("title", COMPILED)
def test_compiled_steps_are_the_eager_ones_with_rates_that_change(title, dtype):
    results = []
    for wrap in (lambda f: f, rg.compile):
        rng = np.random.default_rng(0)
        shapes = [(3, 2), (2, 4)] if title.startswith("Muon") else [(3, 2), (), (4,)]
        params = [rg.nn.Parameter(rng.standard_normal(s).astype(dtype)) for s in shapes]
        optimizer = make(title.partition(",")[0], params, **COMPILED[title])

        def step(x, optimizer=optimizer, params=params):
            optimizer.zero_grad()
            loss = sum((np.sin(p * x) ** 2).sum() for p in params)
            loss.backward()
            optimizer.step()
            return loss

        step = wrap(step)
        for n in range(12):
            optimizer.param_groups[0]["lr"] = 0.01 / (1 + n % 3)
            step(np.asarray(1 + n / 10, dtype))
        results.append(values(params))
        assert all(p.dtype == dtype for p in params)
        assert {entry["step"] for entry in optimizer.state_dict()["state"].values()} == {12}
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    for eager, compiled in zip(*results, strict=True):
        np.testing.assert_allclose(compiled, eager, rtol=tolerance, atol=tolerance)


BAD = [
    ({"lr": -1.0}, "lr"),
    ({"lr": float("nan")}, "lr"),
    ({"lr": "fast"}, "lr"),
    ({"betas": (1.0, 0.9)}, "betas"),
    ({"betas": (0.9, -0.1)}, "betas"),
    ({"eps": -1e-8}, "eps"),
    ({"weight_decay": -0.1}, "weight_decay"),
    ({"alpha": 1.5}, "alpha"),
    ({"rho": -0.5}, "rho"),
    ({"momentum": -0.5}, "momentum"),
    ({"lr_decay": -0.5}, "lr_decay"),
    ({"initial_accumulator_value": -0.5}, "initial_accumulator_value"),
    ({"momentum_decay": -0.5}, "momentum_decay"),
    ({"etas": (1.2, 0.5)}, "etas"),
    ({"etas": 0.5}, "etas"),
    ({"step_sizes": (1.0, 0.5)}, "step_sizes"),
    ({"ns_steps": 100}, "ns_steps"),
    ({"ns_steps": 2.5}, "ns_steps"),
    ({"ns_coefficients": (1.0, 2.0)}, "ns_coefficients"),
    ({"adjust_lr_fn": "rms"}, "adjust_lr_fn"),
]
OWN = {"alpha": "RMSprop", "rho": "Adadelta", "momentum": "SGD", "lr_decay": "Adagrad"}
OWN |= {"initial_accumulator_value": "Adagrad", "momentum_decay": "NAdam"}
OWN |= dict.fromkeys(("etas", "step_sizes"), "Rprop")
OWN |= dict.fromkeys(("ns_steps", "ns_coefficients", "adjust_lr_fn"), "Muon")


@pytest.mark.parametrize(("options", "name"), BAD)
def test_options_that_cannot_work_are_refused_by_name(options, name):
    with pytest.raises(ValueError, match=f"{name} must be"):
        make(OWN.get(name, "Adam"), problem()[0][:1], **options)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="Adamm"):
        rg.optim.Adamm  # noqa: B018
    assert {"Adam", "LBFGS", "lr_scheduler"} <= set(dir(rg.optim))
