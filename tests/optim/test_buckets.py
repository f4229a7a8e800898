"""Parameters in buckets move as each alone, whatever becomes of gradients, arrays and dtypes."""

import numpy as np
import pytest

import retrograd as rg
from helpers import leaf
from optim.problems import (
    SLOTS,
    assert_equal,
    descend_all,
    make,
    problem,
    run,
    values,
)
from retrograd.optim import SGD


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


def test_a_step_trains_the_array_that_data_is_now():
    a, b = leaf(1.0), leaf(1.0, 1.0)
    optimizer = SGD([a, b], lr=0.25)
    descend_all(optimizer, [a, b])
    old, fresh = a.data, np.array([4.0])
    a.data = fresh
    descend_all(optimizer, [a, b])
    assert a.item() == 2.0
    assert np.shares_memory(a.data, fresh) or a.item() == 2.0
    assert old[0] == 0.5
    np.testing.assert_array_equal(b.data, [0.25, 0.25])


def test_loading_a_state_dict_into_the_net_is_seen_by_the_optimizer():
    net = rg.nn.Linear(2, 2, rng=0)
    state = net.state_dict()
    optimizer = SGD(net.parameters(), lr=0.1)
    descend_all(optimizer, list(net.parameters()), steps=3)
    net.load_state_dict(state)
    descend_all(optimizer, list(net.parameters()))
    np.testing.assert_allclose(net.weight.data, 0.8 * state["weight"])


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


def stepped(optimizer, *gradients):
    for p, g in zip(optimizer.param_groups[0]["params"], gradients, strict=True):
        p.grad = None if g is None else np.full_like(p.data, g)
    optimizer.step()


@pytest.mark.parametrize("parted", [False, True])
def test_a_step_can_be_taken_back_even_where_it_parts_a_bucket(parted):
    a, b = rg.Parameter([1.0, 2.0]), rg.Parameter([3.0])
    optimizer = rg.optim.Adam([a, b], lr=0.1)
    stepped(optimizer, 1.0, 2.0)
    before = repr((a.data, b.data, optimizer.state_dict()))
    optimizer._back_up()
    assert optimizer._spoiled() == []
    with np.errstate(invalid="ignore"):
        stepped(optimizer, np.inf, None if parted else 1.0)
    assert np.isnan(a.data).all()
    (spoiled,) = optimizer._spoiled()
    assert spoiled is a
    optimizer._put_back()
    assert repr((a.data, b.data, optimizer.state_dict())) == before
    stepped(optimizer, 1.0, 1.0)
    other = [rg.Parameter([1.0, 2.0]), rg.Parameter([3.0])]
    twin = rg.optim.Adam(other, lr=0.1)
    stepped(twin, 1.0, 2.0)
    stepped(twin, 1.0, 1.0)
    for p, q in zip((a, b), other, strict=True):
        np.testing.assert_array_equal(p.data, q.data)


def test_an_update_that_does_not_act_element_by_element_gets_each_parameter_in_its_shape():
    shapes = []

    class Centred(rg.optim.Optimizer):
        elementwise = False

        def __init__(self, params, lr=0.1):
            super().__init__(params, {"lr": lr})

        def update(self, p, g, state, options, lr, t):
            shapes.append(p.shape)
            p -= lr * (g - g.mean())

    params = [rg.Parameter(np.ones((2, 3))), rg.Parameter(np.ones(4))]
    stepped(Centred(params), 1.0, 2.0)
    assert shapes == [(2, 3), (4,)]
    assert all((p.data == 1).all() for p in params)
