"""What a compiled function does is what the function does, whatever happens between calls."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import retrograd as rg
from comparing import assert_compiled_agrees

RNG = np.random.default_rng(7)
SMALL = np.arange(1.0, 4.0)
X, Y = RNG.normal(size=(20, 3)), RNG.normal(size=(20, 2))


def net(seed=0):
    return rg.nn.Sequential(rg.nn.Linear(3, 5, rng=seed), rg.nn.Tanh(), rg.nn.Linear(5, 2, rng=1))


def over_a_net(make):
    """Return what builds a net and what `make` builds over it, the same each time."""

    def build():
        model = net()
        step, *more = make(model)
        return step, model, *more

    return build


OPTIMIZERS = {
    "sgd": lambda p: rg.optim.SGD(p, lr=0.1),
    "momentum": lambda p: rg.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "dampened": lambda p: rg.optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.5),
    "nesterov": lambda p: rg.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: rg.optim.Adam(p, lr=0.01),
    "adamw": lambda p: rg.optim.AdamW(p, lr=0.01),
    "amsgrad": lambda p: rg.optim.Adam(p, lr=0.01, amsgrad=True, weight_decay=0.1),
    "adamax": lambda p: rg.optim.Adamax(p, lr=0.01),
    "nadam": lambda p: rg.optim.NAdam(p, lr=0.01),
    "rmsprop": lambda p: rg.optim.RMSprop(p, lr=0.01, centered=True, momentum=0.9),
    "adagrad": lambda p: rg.optim.Adagrad(p, lr=0.01, lr_decay=0.1),
    "adadelta": lambda p: rg.optim.Adadelta(p, lr=1.0),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_compiled_training_step_trains_as_the_eager_one(name):
    def make(model):
        optimizer = OPTIMIZERS[name](model.parameters())
        loss_fn = rg.nn.MSELoss()

        def step(x, y):
            loss = loss_fn(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        return step, optimizer

    def schedule(number, model, optimizer):
        if number == 6:
            optimizer.param_groups[0]["lr"] *= 0.1

    calls = [(X + i, Y) for i in range(12)]
    compiled = assert_compiled_agrees(over_a_net(make), calls, before=schedule)
    assert len(compiled.programs) <= 2


def sgd_step(model):
    return training_step(model, rg.optim.SGD(model.parameters(), lr=0.1))


def training_step(model, optimizer):
    def step(x, y):
        loss = rg.nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step, optimizer


def test_parameters_changed_between_calls_are_seen():
    state = net(5).state_dict()

    def change(number, model, _):
        if number == 4:
            model.load_state_dict(state)
        if number == 6:
            with rg.no_grad():
                for p in model.parameters():
                    p *= 0.5
        if number == 8:
            for p in model.parameters():
                p.data = p.data * 2.0

    assert_compiled_agrees(over_a_net(sgd_step), [(X, Y)] * 12, before=change)


def test_an_optimizer_state_loaded_between_calls_is_seen():
    def make(model):
        optimizer = rg.optim.Adam(model.parameters(), lr=0.01)

        def step(x, y):
            loss = rg.nn.functional.mse_loss(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        return step, optimizer

    saved = []

    def load(number, model, optimizer):
        if number == 3:
            saved.append(copy.deepcopy(optimizer.state_dict()))
        if number == 7:
            optimizer.load_state_dict(copy.deepcopy(saved[0]))

    assert_compiled_agrees(over_a_net(make), [(X, Y)] * 12, before=load)


def test_other_shapes_dtypes_static_values_and_modes_are_programs_of_their_own():
    model = rg.nn.Sequential(rg.nn.Linear(3, 4, rng=0), rg.nn.Dropout(0.5, rng=3))
    calls = []

    @rg.compile
    def forward(x, scale=1.0):
        calls.append(1) if False else None
        return model(x) * scale

    for _ in range(4):
        assert forward(X).shape == (20, 4)
        assert forward(X[:7]).shape == (7, 4)
        assert forward(X.astype(np.float32)[:5]).dtype == np.float64
        forward(X, 2.0)
        model.eval()
        np.testing.assert_allclose(forward(X).data, model(X).data)
        model.train()
    assert len(forward.programs) == 5
    with rg.no_grad():
        forward(X)
    assert len(forward.programs) == 6


def test_random_draws_replay_from_the_same_generator():
    for p in (0.3, 0.5):

        def make(p=p):
            layer = rg.nn.Dropout(p, rng=np.random.default_rng(3))
            return (lambda x: layer(x),)

        assert_compiled_agrees(make, [(np.ones((6, 4)),)] * 6, rtol=0, atol=0)
    rg.manual_seed(3)
    first = rg.compile(lambda x: rg.nn.functional.dropout(x, 0.5))
    for _ in range(5):
        first(np.ones(8))
    rg.manual_seed(3)
    again = first(np.ones(8)).data
    rg.manual_seed(3)
    np.testing.assert_array_equal(again, first(np.ones(8)).data)


def test_trees_of_arguments_and_results_keep_their_structure():
    @rg.compile
    def f(batch, *, scale):
        x, (y,) = batch["x"], batch["rest"]
        return {"sum": (x + y) * scale, "pair": [x * y, 3], "none": None}

    for i in range(5):
        x, y = np.full(3, float(i)), np.arange(3.0)
        out = f({"x": x, "rest": (rg.Tensor(y),)}, scale=2.0)
        np.testing.assert_allclose(out["sum"].data, (x + y) * 2)
        np.testing.assert_allclose(out["pair"][0].data, x * y)
        assert out["pair"][1] == 3
        assert out["none"] is None


def test_what_is_returned_is_a_copy():
    f = rg.compile(lambda x: x * 2)
    outs = [f(np.full(2, float(i))) for i in range(6)]
    np.testing.assert_array_equal([o.data[0] for o in outs], [0, 2, 4, 6, 8, 10])
    g = rg.compile(lambda x: x)
    array = np.ones(2)
    for _ in range(4):
        assert not np.shares_memory(g(array).data, array)


def test_comparisons_argmax_sorting_and_indexing_by_arrays_replay():
    start = RNG.normal(size=(6, 4))

    def make():
        w = rg.Tensor(start, requires_grad=True)

        def f(x, index, k):
            picked = w[index]
            best = np.argmax(x, axis=1)
            order = np.sort(x, axis=0)
            total = np.sum(np.where(x > 0, picked, order) * (best == k)[:, None])
            w.grad = None
            total.backward()
            return total, best, order

        return f, w

    calls = [
        (RNG.normal(size=(3, 4)), RNG.integers(0, 6, size=3), np.array(i % 4)) for i in range(6)
    ]
    assert_compiled_agrees(make, calls)


def test_gradients_accumulate_over_calls_that_do_not_clear_them():
    def make(model):
        def step(x, y):
            rg.nn.functional.mse_loss(model(x), y).backward()

        return (step,)

    def clear(number, model):
        if number % 4 == 0:
            model.zero_grad()

    assert_compiled_agrees(over_a_net(make), [(X, Y)] * 9, before=clear)


def test_several_losses_clipping_and_updates_by_hand_compile():
    def make(model):
        params = list(model.parameters())

        def step(x, y):
            out = model(x)
            model.zero_grad()
            first = rg.nn.functional.mse_loss(out, y)
            second = np.sum(out**2) * 0.01
            first.backward(retain_graph=True)
            second.backward()
            norm = rg.nn.utils.clip_grad_norm_(params, 0.5)
            with rg.no_grad():
                for p in params:
                    p -= 0.1 * p.grad
            return first, second, norm

        return (step,)

    assert_compiled_agrees(over_a_net(make), [(X + i, Y) for i in range(6)])


def test_the_gradient_of_an_argument_lands_in_that_argument():
    f = rg.compile(lambda x: np.sum(x**3).backward())
    for i in range(5):
        x = rg.Tensor([1.0, 2.0 + i], requires_grad=True)
        f(x)
        np.testing.assert_allclose(x.grad, 3 * x.data**2)
        f(x)
        np.testing.assert_allclose(x.grad, 6 * x.data**2)


def test_second_derivatives_compile():
    x0 = rg.Tensor([1.0, 2.0], requires_grad=True)

    @rg.compile
    def f(v):
        y = np.sum(x0**3 * v)
        (g,) = rg.autograd.grad(y, x0, create_graph=True)
        x0.grad = None
        np.sum(g * g).backward()
        return g

    for i in range(5):
        v = np.array([1.0, i + 1.0])
        g = f(v)
        np.testing.assert_allclose(g.data, 3 * x0.data**2 * v)
        np.testing.assert_allclose(x0.grad, 2 * g.data * 6 * x0.data * v)


def test_two_steps_in_one_call_count_twice():
    def make(model):
        optimizer = rg.optim.Adam(model.parameters(), lr=0.01)

        def step(x, y):
            for _ in range(2):
                loss = rg.nn.functional.mse_loss(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            return loss

        return (step,)

    assert_compiled_agrees(over_a_net(make), [(X, Y)] * 6)


def test_a_module_compiles_for_inference():
    model = net().eval()
    fast = rg.compile(model)
    with rg.no_grad():
        for n in (4, 4, 4, 9, 9):
            np.testing.assert_allclose(fast(X[:n]).data, model(X[:n]).data)


def test_batch_norm_statistics_are_updated_by_replays():
    def make():
        model = rg.nn.Sequential(rg.nn.Linear(3, 4, rng=0), rg.nn.BatchNorm1d(4))
        step, optimizer = sgd_step(model)
        return step, model, optimizer

    assert_compiled_agrees(make, [(X + i, np.tile(Y, 2)) for i in range(6)])


def test_a_schedule_of_rate_and_momentum_needs_one_program():
    for make in (
        lambda p: rg.optim.SGD(p, lr=0.1, momentum=0.9),
        lambda p: rg.optim.Adam(p, lr=0.01),
    ):
        schedules = {}

        def build(model, make=make, schedules=schedules):
            step, optimizer = training_step(model, make(model.parameters()))
            schedules[id(optimizer)] = rg.optim.lr_scheduler.OneCycleLR(
                optimizer, max_lr=0.1, total_steps=12
            )
            return step, optimizer

        def move(number, model, optimizer, schedules=schedules):
            if number > 0:
                schedules[id(optimizer)].step()

        calls = [(X, Y)] * 11
        compiled = assert_compiled_agrees(over_a_net(build), calls, before=move)
        assert len(compiled.programs) == 1


def test_a_parameter_that_is_frozen_between_calls_stays_as_it_is():
    def freeze(number, model, _):
        if number == 4:
            model[0].weight.requires_grad_(False)
            model.zero_grad()

    assert_compiled_agrees(over_a_net(sgd_step), [(X, Y)] * 9, before=freeze)


def test_a_tensor_with_a_graph_is_refused_by_what_calls_backward():
    w = rg.Tensor(SMALL, requires_grad=True)
    step = rg.compile(lambda x: np.sum(x * 2).backward())
    for _ in range(3):
        with pytest.raises(TypeError, match="detach"):
            step(w * 2)
    assert w.grad is None


def test_a_value_that_has_no_hash_is_refused():
    with pytest.raises(TypeError, match="bytearray"):
        rg.compile(lambda x, s: x)(SMALL, bytearray(b"s"))


def test_what_is_no_function_is_refused():
    with pytest.raises(TypeError, match="function or a Module"):
        rg.compile(3)
    with pytest.raises(RuntimeError, match="call the compiled function first"):
        _ = rg.compile(lambda x: x).fast_source


def test_many_programs_warn_and_stay_bounded():
    f = rg.compile(lambda x, k: x * k)
    for k in range(32):
        f(SMALL, k)
    with pytest.warns(RuntimeWarning, match="more than 32 programs"):
        f(SMALL, 100)
    assert len(f.programs) == 32


def test_a_leaf_that_comes_twice_is_refused():
    w = rg.Parameter([1.0, 2.0])
    step = rg.compile(lambda p, q: np.sum(p * q))
    with pytest.raises(ValueError, match="the same Tensor, which requires grad, twice"):
        step(w, w)
    with pytest.raises(ValueError, match="twice"):
        rg.compile(lambda tied: np.sum(tied["in"] * tied["out"]))({"in": w, "out": w})


def test_gradients_that_two_leaves_share_are_clipped_once():
    """The rule of a sum hands both the same array, and that of a total one number for all."""

    def make():
        params = [rg.nn.Parameter(np.full(3, value)) for value in (1.0, 2.0, 3.0)]

        def step(x):
            loss = np.sum((params[0] + params[1]) ** 2) * x + np.sum(params[2])
            for p in params:
                p.grad = None
            loss.backward()
            norm = rg.nn.utils.clip_grad_norm_(params, 0.5)
            return norm, *(rg.Tensor(p.grad) * 1.0 for p in params)

        return (step,)

    assert_compiled_agrees(make, [(1.0 + i,) for i in range(6)])
