"""SGD beyond its numbers: what it takes, what it refuses, what it leaves alone."""

import copy

import numpy as np
import pytest

import retrograd as rg
from retrograd.optim import SGD


def leaf(*values):
    return rg.Tensor(np.array(values, float), requires_grad=True)


def descend(optimizer, params, steps=1):
    for _ in range(steps):
        optimizer.zero_grad()
        sum(np.sum(p * p) for p in params).backward()
        optimizer.step()


# What it takes -----------------------------------------------------------------------------------


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


def test_a_parameter_appears_once():
    p = leaf(1.0)
    with pytest.raises(ValueError, match="twice"):
        SGD([p, p], lr=0.1)
    with pytest.raises(ValueError, match="twice"):
        SGD([{"params": [p]}, {"params": [p]}], lr=0.1)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"lr": -0.1}, "lr"),
        ({"lr": float("nan")}, "lr"),
        ({"lr": float("inf")}, "lr"),
        ({"lr": "fast"}, "lr"),
        ({"lr": None}, "lr"),
        ({"momentum": -0.1}, "momentum"),
        ({"momentum": float("nan")}, "momentum"),
        ({"weight_decay": -1}, "weight_decay"),
        ({"nesterov": True}, "nesterov"),
        ({"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "nesterov"),
    ],
)
def test_options_that_cannot_work_are_refused_by_name(options, match):
    with pytest.raises(ValueError, match=match):
        SGD([leaf(1.0)], **{"lr": 0.1, **options})


def test_a_generator_of_parameters_will_do():
    net = rg.nn.Linear(2, 2)
    assert len(SGD(net.parameters(), lr=0.1).param_groups[0]["params"]) == 2


# Groups ------------------------------------------------------------------------------------------


def test_each_group_has_its_own_options_or_the_defaults():
    a, b, c = leaf(1.0), leaf(1.0), leaf(1.0)
    optimizer = SGD([{"params": a, "lr": 0.5}, {"params": [b]}], lr=0.1)
    optimizer.add_param_group({"params": [c], "lr": 0.0})
    descend(optimizer, [a, b, c])
    assert [p.item() for p in (a, b, c)] == [0.0, pytest.approx(0.8), 1.0]


def test_a_learning_rate_changed_in_a_group_acts_at_the_next_step():
    p = leaf(1.0)
    optimizer = SGD([p], lr=0.5)
    optimizer.param_groups[0]["lr"] = 0.25
    descend(optimizer, [p])
    assert p.item() == 0.5


def test_a_refused_group_changes_nothing():
    p = leaf(1.0)
    optimizer = SGD([p], lr=0.1)
    with pytest.raises(ValueError):
        optimizer.add_param_group({"params": [leaf(1.0), p]})
    with pytest.raises(ValueError):
        optimizer.add_param_group({"params": [leaf(1.0)], "lr": -1})
    assert len(optimizer.param_groups) == 1
    descend(optimizer, [p])


# Gradients that are not there --------------------------------------------------------------------


def test_a_parameter_without_a_gradient_stays_as_it_is():
    a, b = leaf(1.0, 1.0), leaf(1.0)
    optimizer = SGD([a, b], lr=0.5, momentum=0.9, weight_decay=0.1)
    optimizer.step()  # nobody has one
    np.sum(a * a).backward()
    optimizer.step()
    assert b.item() == 1.0
    assert a.data[0] < 1.0


def test_momentum_goes_on_where_gradients_come_and_go():
    def run(together):
        a, b = leaf(1.0), leaf(2.0)
        optimizers = [SGD([a, b], lr=0.1, momentum=0.9)] if together else [
            SGD([a], lr=0.1, momentum=0.9), SGD([b], lr=0.1, momentum=0.9)]  # fmt: skip
        for used in ((a, b), (a,), (a, b), (b,)):
            for optimizer in optimizers:
                optimizer.zero_grad()
            sum(np.sum(p * p) for p in used).backward()
            for optimizer in optimizers:
                optimizer.step()
        return a.item(), b.item()

    assert run(together=True) == pytest.approx(run(together=False), rel=1e-12)


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


# Replaced arrays ---------------------------------------------------------------------------------


def test_a_step_trains_the_array_that_data_is_now():
    a, b = leaf(1.0), leaf(1.0, 1.0)
    optimizer = SGD([a, b], lr=0.25)
    descend(optimizer, [a, b])
    old, fresh = a.data, np.array([4.0])
    a.data = fresh
    descend(optimizer, [a, b])
    assert a.item() == 2.0
    assert np.shares_memory(a.data, fresh) or a.item() == 2.0
    assert old[0] == 0.5
    np.testing.assert_array_equal(b.data, [0.25, 0.25])


def test_loading_a_state_dict_into_the_net_is_seen_by_the_optimizer():
    net = rg.nn.Linear(2, 2, rng=0)
    state = net.state_dict()
    optimizer = SGD(net.parameters(), lr=0.1)
    descend(optimizer, list(net.parameters()), steps=3)
    net.load_state_dict(state)
    descend(optimizer, list(net.parameters()))
    np.testing.assert_allclose(net.weight.data, 0.8 * state["weight"])


# State -------------------------------------------------------------------------------------------


def test_training_goes_on_from_a_saved_state_as_if_it_had_not_stopped():
    def start():
        params = [leaf(1.0, 2.0), leaf(3.0)]
        return params, SGD(params, lr=0.1, momentum=0.9, dampening=0.5)

    params, optimizer = start()
    descend(optimizer, params, steps=2)
    saved = copy.deepcopy(optimizer.state_dict())
    values = [p.data.copy() for p in params]
    descend(optimizer, params, steps=2)

    others, resumed = start()
    for p, value in zip(others, values, strict=True):
        p.data = value
    resumed.load_state_dict(saved)
    descend(resumed, others, steps=2)
    for p, q in zip(params, others, strict=True):
        np.testing.assert_allclose(q.data, p.data, rtol=1e-14)


def test_a_state_dict_is_a_copy():
    p = leaf(1.0)
    optimizer = SGD([p], lr=0.1, momentum=0.9)
    descend(optimizer, [p])
    state = optimizer.state_dict()
    held = copy.deepcopy(state["state"])
    descend(optimizer, [p])
    np.testing.assert_array_equal(state["state"][0]["momentum_buffer"], held[0]["momentum_buffer"])


def test_a_state_that_does_not_fit_changes_nothing():
    p = leaf(1.0, 2.0)
    optimizer = SGD([p], lr=0.1, momentum=0.9)
    descend(optimizer, [p])
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


def test_the_repr_shows_the_options():
    text = repr(SGD([leaf(1.0)], lr=0.1, momentum=0.9))
    assert text.startswith("SGD(lr=0.1, momentum=0.9")
    assert "1 parameters" in text


def test_the_base_of_optimizers_says_what_is_missing():
    optimizer = rg.optim.Optimizer([leaf(1.0)], {"lr": 0.1})
    (optimizer.param_groups[0]["params"][0] * 2).backward()
    with pytest.raises(NotImplementedError, match="update"):
        optimizer.step()


def test_a_momentum_of_zero_leaves_the_buffer_for_later():
    w = rg.Parameter([1.0])
    optimizer = rg.optim.SGD([w], lr=1.0, momentum=0.5)
    for momentum, right in ((0.5, 0.0), (0.0, -2.0), (0.5, -3.5)):
        optimizer.param_groups[0]["momentum"] = momentum
        w.grad = np.array([1.0 if momentum else 2.0])
        optimizer.step()
        assert w.data[0] == right  # the buffer is 1, 1 and 1.5 here

    assert optimizer.state_dict()["state"][0]["momentum_buffer"][0] == 1.5
