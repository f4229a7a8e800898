import copy

import numpy as np
import pytest

import retrograd as rg

# name: (options, options for Rosenbrock's valley, steps)
TABLE = {
    "SGD": ({"lr": 0.1}, {"lr": 1e-3, "momentum": 0.9}, 2000),
    "Adam": ({"lr": 0.1}, {"lr": 0.05}, 2000),
    "AdamW": ({"lr": 0.1, "weight_decay": 0.0}, {"lr": 0.05, "weight_decay": 0.0}, 2000),
    "Adamax": ({"lr": 0.1}, {"lr": 0.05}, 3000),
    "NAdam": ({"lr": 0.1}, {"lr": 0.02}, 2000),
    "RMSprop": ({"lr": 0.01}, {"lr": 1e-3}, 4000),
    "Adagrad": ({"lr": 0.5}, {"lr": 0.2}, 4000),
    "Adadelta": ({"lr": 1.0, "rho": 0.5, "eps": 1e-3}, {"lr": 0.03, "rho": 0.5}, 4000),
    "LBFGS": ({}, {"line_search_fn": "strong_wolfe"}, 5),
}
SLOTS = {
    "SGD": ({"momentum": 0.9}, {"momentum_buffer"}),
    "Adam": ({"amsgrad": True}, {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"}),
    "AdamW": ({}, {"exp_avg", "exp_avg_sq"}),
    "Adamax": ({}, {"exp_avg", "exp_inf"}),
    "NAdam": ({}, {"mu_product", "exp_avg", "exp_avg_sq"}),
    "RMSprop": (
        {"centered": True, "momentum": 0.9},
        {"square_avg", "momentum_buffer", "grad_avg"},
    ),
    "Adagrad": ({"initial_accumulator_value": 0.5}, {"sum"}),
    "Adadelta": ({}, {"square_avg", "acc_delta"}),
}


def make(name, params, **options):
    return getattr(rg.optim, name)(params, **options)


def parabola(w):
    return ((w - 1.0) ** 2).sum()


def rosenbrock(w):
    return (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2


def descend(optimizer, f, w, steps):
    def closure():
        optimizer.zero_grad()
        loss = f(w)
        loss.backward()
        return loss

    for _ in range(steps):
        optimizer.step(closure)


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


def problem(seed=0):
    rng = np.random.default_rng(seed)
    params = [rg.nn.Parameter(rng.standard_normal(shape)) for shape in ((3, 2), (), (4,))]
    gradients = [[rng.standard_normal(p.shape) for p in params] for _ in range(6)]
    return params, gradients


def run(optimizer, params, gradients):
    for grads in gradients:
        for p, g in zip(params, grads, strict=True):
            p.grad = g
        optimizer.step()


def values(params):
    return [p.data.copy() for p in params]


def assert_equal(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


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


def test_loading_a_state_keeps_the_parameters_in_one_flat_array():
    params, gradients = problem()
    optimizer = rg.optim.Adam(params)
    run(optimizer, params, gradients)
    (flat,) = {id(p.data.base) for p in params}
    optimizer.load_state_dict(optimizer.state_dict())
    assert {id(p.data.base) for p in params} == {flat}
    other_params, _ = problem()
    other = rg.optim.Adam(other_params)
    other.load_state_dict(optimizer.state_dict())
    run(other, other_params, gradients)
    assert len({id(p.data.base) for p in other_params}) == 1


@pytest.mark.parametrize("name", SLOTS)
def test_parameters_without_a_gradient_stay_and_keep_their_own_count(name):
    options, _ = SLOTS[name]
    params, gradients = problem()
    optimizer = make(name, params, **options)
    alone = [rg.nn.Parameter(p.data) for p in params]
    separate = [make(name, [p], **options) for p in alone]
    skipped = {1: {0}, 3: {1, 2}, 4: {0, 1, 2}}
    for step, grads in enumerate(gradients):
        for i, g in enumerate(grads):
            g = None if i in skipped.get(step, ()) else g
            params[i].grad = alone[i].grad = g
        optimizer.step()
        for each in separate:
            each.step()
    for p, q in zip(params, alone, strict=True):
        np.testing.assert_allclose(p.data, q.data, rtol=1e-13)
    counts = [entry["step"] for entry in optimizer.state_dict()["state"].values()]
    assert counts == [4, 4, 4]


@pytest.mark.parametrize("name", ["SGD", *SLOTS])
def test_many_small_parameters_move_as_each_alone(name):
    options, _ = SLOTS[name]
    params, gradients = problem()
    params.append(rg.nn.Parameter(np.ones(20000)))  # large ones keep an array of their own
    gradients = [[*grads, np.full(20000, grads[1])] for grads in gradients]
    alone = [rg.nn.Parameter(p.data) for p in params]
    run(make(name, params, **options), params, gradients)
    for i, p in enumerate(alone):
        run(make(name, [p], **options), [p], [[grads[i]] for grads in gradients])
    for p, q in zip(params, alone, strict=True):
        np.testing.assert_allclose(p.data, q.data, rtol=1e-13)


def test_a_step_does_not_write_into_gradients():
    for name in SLOTS:
        params, gradients = problem()
        optimizer = make(name, params[:1], **SLOTS[name][0], weight_decay=0.1, maximize=True)
        g = gradients[0][0]
        before = g.copy()
        g.flags.writeable = False
        run(optimizer, params[:1], [[g]])
        np.testing.assert_array_equal(g, before)


def test_options_changed_between_steps_act():
    params, gradients = problem()
    optimizer = rg.optim.SGD(params, lr=0.1)
    run(optimizer, params, gradients[:1])
    optimizer.param_groups[0].update(lr=0.0, momentum=0.5)
    before = values(params)
    run(optimizer, params, gradients[:1])
    assert_equal(values(params), before)
    assert "momentum_buffer" in optimizer.state_dict()["state"][0]


def test_parameters_replaced_between_steps_are_followed():
    params, gradients = problem()
    optimizer = rg.optim.SGD(params, lr=1.0)
    run(optimizer, params, gradients[:1])
    params[0].data = np.zeros((3, 2))
    run(optimizer, params, gradients[1:2])
    np.testing.assert_array_equal(params[0].data, -gradients[1][0])


@pytest.mark.parametrize("name", SLOTS)
def test_parameters_whose_dtype_changes_take_their_state_along(name):
    options, _ = SLOTS[name]
    model = rg.nn.Sequential(rg.nn.Linear(3, 2), rg.nn.Linear(2, 1))
    params = list(model.parameters())
    optimizer = make(name, params, **options)
    run(optimizer, params, [[np.ones(p.shape) for p in params]] * 2)
    model[0].to(np.float32)
    run(optimizer, params, [[np.ones(p.shape, p.dtype) for p in params]])
    assert [p.dtype for p in params] == [np.float32, np.float32, np.float64, np.float64]
    for p, entry in zip(params, optimizer.state_dict()["state"].values(), strict=True):
        assert entry["step"] == 3
        assert all(v.dtype == p.dtype for v in entry.values() if isinstance(v, np.ndarray))


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


def state_of(name="Adam"):
    params, gradients = problem()
    optimizer = make(name, params)
    run(optimizer, params, gradients[:1])
    return optimizer.state_dict()


def broken(change):
    state = state_of()
    change(state)
    return state


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "state_dict"),
        (None, "state_dict"),
        (broken(lambda s: s["param_groups"][0]["params"].pop()), "2.* have .3"),
        (broken(lambda s: s["state"][0].pop("exp_avg")), "needs exp_avg of parameter 0"),
        (broken(lambda s: s["state"].update({7: {}})), "parameter 7"),
        (broken(lambda s: s["state"][0].update(exp_avg=np.zeros(5))), r"\(5,\), here it is \(3, 2"),
        (broken(lambda s: s["param_groups"][0].update(lr=-1.0)), "lr must be"),
        (state_of("Adamax"), "needs exp_avg_sq"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(state, message):
    params, gradients = problem()
    optimizer = rg.optim.Adam(params)
    run(optimizer, params, gradients[:2])
    before = repr(optimizer.state_dict())
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(state)
    assert repr(optimizer.state_dict()) == before


def test_lbfgs_continues_from_a_saved_state_bit_for_bit():
    options = {"line_search_fn": "strong_wolfe", "max_iter": 3, "history_size": 2}
    w = rg.Tensor([-1.2, 1.0], requires_grad=True)
    optimizer = rg.optim.LBFGS([w], **options)
    descend(optimizer, rosenbrock, w, 3)
    v = rg.Tensor(w.data, requires_grad=True)
    other = rg.optim.LBFGS([v], **options)
    other.load_state_dict(optimizer.state_dict())
    descend(optimizer, rosenbrock, w, 3)
    descend(other, rosenbrock, v, 3)
    np.testing.assert_array_equal(v.data, w.data)


def test_lbfgs_says_what_it_needs():
    w = rg.Tensor([1.0], requires_grad=True)
    v = rg.Tensor([1.0], requires_grad=True)
    with pytest.raises(TypeError, match="closure"):
        rg.optim.LBFGS([w]).step()
    with pytest.raises(ValueError, match="one param group"):
        rg.optim.LBFGS([{"params": [w]}, {"params": [v]}])
    with pytest.raises(ValueError, match="strong_wolfe"):
        rg.optim.LBFGS([w], line_search_fn="wolfe")
    with pytest.raises(ValueError, match="max_iter"):
        rg.optim.LBFGS([w], max_iter=0)
    optimizer = rg.optim.LBFGS([w])
    descend(optimizer, parabola, w, 1)
    descend(optimizer, parabola, w, 1)
    with pytest.raises(ValueError, match="1 numbers, the parameters have 2"):
        rg.optim.LBFGS([rg.Tensor([1.0, 2.0], requires_grad=True)]).load_state_dict(
            optimizer.state_dict() | {"state": {0: {"d": np.zeros(1)}}}
        )


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
]
OWN = {"alpha": "RMSprop", "rho": "Adadelta", "momentum": "SGD", "lr_decay": "Adagrad"}
OWN |= {"initial_accumulator_value": "Adagrad", "momentum_decay": "NAdam"}


@pytest.mark.parametrize(("options", "name"), BAD)
def test_options_that_cannot_work_are_refused_by_name(options, name):
    with pytest.raises(ValueError, match=f"{name} must be"):
        make(OWN.get(name, "Adam"), problem()[0], **options)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ([], ValueError, "no parameters"),
        (rg.nn.Parameter([1.0]), TypeError, r"\[tensor\]"),
        ([np.zeros(2)], TypeError, "trains Tensors, not ndarray"),
        ([rg.Tensor([1.0])], ValueError, "requires_grad=False"),
        ([rg.nn.Parameter([1.0]) * 2], ValueError, "was computed"),
        ([{"lr": 0.1}], TypeError, '"params"'),
        ([{"params": [rg.nn.Parameter([1.0])], "rate": 0.1}], ValueError, "no option rate"),
    ],
)
def test_what_cannot_be_trained_is_refused(params, error, message):
    with pytest.raises(error, match=message):
        rg.optim.Adam(params)


def test_a_parameter_given_twice_is_refused():
    w = rg.nn.Parameter([1.0])
    with pytest.raises(ValueError, match="given twice"):
        rg.optim.Adam([w, w])


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="Adamm"):
        rg.optim.Adamm  # noqa: B018
    assert {"Adam", "LBFGS", "lr_scheduler"} <= set(dir(rg.optim))


def test_the_state_of_an_optimizer_of_another_kind_is_refused():
    p = rg.nn.Parameter([1.0, 2.0])
    adam, sgd = rg.optim.Adam([p]), rg.optim.SGD([p], lr=0.5, momentum=0.9)
    with pytest.raises(ValueError, match=r"SGD finds no momentum, dampening.*another kind"):
        sgd.load_state_dict(adam.state_dict())
    assert sgd.param_groups[0]["lr"] == 0.5
    with pytest.raises(ValueError, match="Adam finds no betas, eps"):
        adam.load_state_dict(sgd.state_dict())


def test_a_module_in_place_of_its_parameters_is_refused():
    with pytest.raises(TypeError, match=r"not a Linear: pass its \.parameters\(\)"):
        rg.optim.SGD(rg.nn.Linear(2, 2), lr=0.1)


def test_two_parameters_of_one_array_are_refused_as_an_update_would_part_them():
    a, b = rg.Parameter([1.0]), rg.Parameter([2.0])
    b.data = a.data
    with pytest.raises(ValueError, match="the array of another: give both modules one Parameter"):
        rg.optim.SGD([a, b])
