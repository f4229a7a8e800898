"""What optimizers share: what they take and refuse, groups, a step, state that can be saved."""

import copy

import numpy as np
import pytest

import retrograd as rg
from helpers import leaf
from optim.problems import descend_all, make, problem, run
from retrograd.optim import SGD


@pytest.mark.parametrize(
    ("params", "error", "match"),
    [
        ([], ValueError, "no parameters"),
        (rg.Parameter([1.0]), TypeError, "iterable"),
        ([np.ones(2)], TypeError, "ndarray"),
        ([1.0], TypeError, "float"),
        ([rg.Tensor([1.0])], ValueError, "requires_grad=False"),
        ([rg.Parameter([1.0]) * 2], ValueError, "computed"),
        ([{"lr": 0.1}], TypeError, "params"),
        ([{"params": [rg.Parameter([1.0])], "speed": 1}], ValueError, "speed"),
    ],
)
def test_it_trains_leaves_that_require_grad_and_says_what_else_it_got(params, error, match):
    with pytest.raises(error, match=match):
        SGD(params, lr=0.1)


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


def test_a_parameter_appears_once():
    p = leaf(1.0)
    with pytest.raises(ValueError, match="twice"):
        SGD([p, p], lr=0.1)
    with pytest.raises(ValueError, match="twice"):
        SGD([{"params": [p]}, {"params": [p]}], lr=0.1)


def test_two_parameters_of_one_array_are_refused_as_an_update_would_part_them():
    a, b = rg.Parameter([1.0]), rg.Parameter([2.0])
    b.data = a.data
    with pytest.raises(ValueError, match="the array of another: give both modules one Parameter"):
        rg.optim.SGD([a, b])


def test_a_module_in_place_of_its_parameters_is_refused():
    with pytest.raises(TypeError, match=r"not a Linear: pass its \.parameters\(\)"):
        rg.optim.SGD(rg.nn.Linear(2, 2), lr=0.1)


@pytest.mark.parametrize("betas", [(0.9,), 0.9])
def test_betas_are_two_numbers(betas):
    with pytest.raises(ValueError, match="betas must be two numbers"):
        rg.optim.Adam([leaf(1.0)], betas=betas)


def test_a_generator_of_parameters_will_do():
    net = rg.nn.Linear(2, 2)
    assert len(SGD(net.parameters(), lr=0.1).param_groups[0]["params"]) == 2


def test_each_group_has_its_own_options_or_the_defaults():
    a, b, c = leaf(1.0), leaf(1.0), leaf(1.0)
    optimizer = SGD([{"params": a, "lr": 0.5}, {"params": [b]}], lr=0.1)
    optimizer.add_param_group({"params": [c], "lr": 0.0})
    descend_all(optimizer, [a, b, c])
    assert [p.item() for p in (a, b, c)] == [0.0, pytest.approx(0.8), 1.0]


def test_a_learning_rate_changed_in_a_group_acts_at_the_next_step():
    p = leaf(1.0)
    optimizer = SGD([p], lr=0.5)
    optimizer.param_groups[0]["lr"] = 0.25
    descend_all(optimizer, [p])
    assert p.item() == 0.5


def test_a_refused_group_changes_nothing():
    p = leaf(1.0)
    optimizer = SGD([p], lr=0.1)
    with pytest.raises(ValueError):
        optimizer.add_param_group({"params": [leaf(1.0), p]})
    with pytest.raises(ValueError):
        optimizer.add_param_group({"params": [leaf(1.0)], "lr": -1})
    assert len(optimizer.param_groups) == 1
    descend_all(optimizer, [p])


def test_zero_grad_drops_gradients_or_fills_them_with_zeros():
    p = leaf(1.0)
    optimizer = SGD([p], lr=0.1)
    optimizer.zero_grad(set_to_none=False)
    assert p.grad is None
    (p * 2).backward()
    held = p.grad
    optimizer.zero_grad(set_to_none=False)
    assert p.grad[0] == 0.0
    assert held[0] == 2.0
    optimizer.zero_grad()
    assert p.grad is None


def test_a_step_does_not_change_the_gradient():
    p = leaf(1.0, 2.0)
    optimizer = SGD([p], lr=0.1, momentum=0.9, weight_decay=0.5, maximize=True)
    np.sum(p * p).backward()
    held = p.grad.copy()
    optimizer.step()
    np.testing.assert_array_equal(p.grad, held)


def test_a_closure_is_called_once_and_its_loss_returned():
    p = leaf(2.0)
    optimizer, calls = SGD([p], lr=0.1), []

    def closure():
        calls.append(1)
        optimizer.zero_grad()
        loss = np.sum(p * p)
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 4.0
    assert len(calls) == 1
    assert p.item() == pytest.approx(1.6)


def test_training_goes_on_from_a_saved_state_as_if_it_had_not_stopped():
    def start():
        params = [leaf(1.0, 2.0), leaf(3.0)]
        return params, SGD(params, lr=0.1, momentum=0.9, dampening=0.5)

    params, optimizer = start()
    descend_all(optimizer, params, steps=2)
    saved = copy.deepcopy(optimizer.state_dict())
    values = [p.data.copy() for p in params]
    descend_all(optimizer, params, steps=2)

    others, resumed = start()
    for p, value in zip(others, values, strict=True):
        p.data = value
    resumed.load_state_dict(saved)
    descend_all(resumed, others, steps=2)
    for p, q in zip(params, others, strict=True):
        np.testing.assert_allclose(q.data, p.data, rtol=1e-14)


def test_a_state_dict_is_a_copy():
    p = leaf(1.0)
    optimizer = SGD([p], lr=0.1, momentum=0.9)
    descend_all(optimizer, [p])
    state = optimizer.state_dict()
    held = copy.deepcopy(state["state"])
    descend_all(optimizer, [p])
    np.testing.assert_array_equal(state["state"][0]["momentum_buffer"], held[0]["momentum_buffer"])


def test_a_state_of_other_groups_shapes_or_options_changes_nothing():
    p = leaf(1.0, 2.0)
    optimizer = SGD([p], lr=0.1, momentum=0.9)
    descend_all(optimizer, [p])
    good = copy.deepcopy(optimizer.state_dict())
    more = SGD([leaf(1.0, 2.0), leaf(1.0)], lr=0.1).state_dict()
    with pytest.raises(ValueError, match=r"\[2\].*\[1\]"):
        optimizer.load_state_dict(more)
    wrong = copy.deepcopy(good)
    wrong["state"][0]["momentum_buffer"] = np.ones(5)
    with pytest.raises(ValueError, match=r"\(5,\)"):
        optimizer.load_state_dict(wrong)
    wrong = copy.deepcopy(good)
    wrong["param_groups"][0]["lr"] = -1.0
    with pytest.raises(ValueError, match="lr"):
        optimizer.load_state_dict(wrong)
    with pytest.raises((KeyError, TypeError, ValueError)):
        optimizer.load_state_dict({})
    now = optimizer.state_dict()
    assert now["param_groups"] == good["param_groups"]
    np.testing.assert_array_equal(
        now["state"][0]["momentum_buffer"], good["state"][0]["momentum_buffer"]
    )


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


def test_the_state_of_an_optimizer_of_another_kind_is_refused():
    p = rg.nn.Parameter([1.0, 2.0])
    adam, sgd = rg.optim.Adam([p]), rg.optim.SGD([p], lr=0.5, momentum=0.9)
    with pytest.raises(ValueError, match=r"SGD finds no momentum, dampening.*another kind"):
        sgd.load_state_dict(adam.state_dict())
    assert sgd.param_groups[0]["lr"] == 0.5
    with pytest.raises(ValueError, match="Adam finds no betas, eps"):
        adam.load_state_dict(sgd.state_dict())


def test_the_repr_shows_the_options():
    text = repr(SGD([leaf(1.0)], lr=0.1, momentum=0.9))
    assert text.startswith("SGD(lr=0.1, momentum=0.9")
    assert "1 parameters" in text


def test_the_base_of_optimizers_says_what_is_missing():
    optimizer = rg.optim.Optimizer([leaf(1.0)], {"lr": 0.1})
    (optimizer.param_groups[0]["params"][0] * 2).backward()
    with pytest.raises(NotImplementedError, match="update"):
        optimizer.step()
