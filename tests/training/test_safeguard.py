"""A run whose data or loss is not finite stops, and leaves all as it was before that batch."""

import copy

import numpy as np
import pytest

import retrograd as rg
from retrograd.data import DataLoader, TensorDataset
from training.parts import line, parts

OPTIMIZERS = {
    "SGD": lambda p: rg.optim.SGD(p, lr=0.1, momentum=0.9),
    "Adam": lambda p: rg.optim.Adam(p, lr=0.1, amsgrad=True),
    "NAdam": lambda p: rg.optim.NAdam(p, lr=0.1),
    "RMSprop": lambda p: rg.optim.RMSprop(p, centered=True),
    "LBFGS": lambda p: rg.optim.LBFGS(p, line_search_fn="strong_wolfe"),
}


def net():
    return rg.nn.Sequential(
        rg.nn.Linear(1, 5, rng=0), rg.nn.BatchNorm1d(5), rg.nn.Tanh(), rg.nn.Linear(5, 1, rng=1)
    )


def batches(bad=None, at=2, value=np.nan):
    """Return four batches, of which one has a value that is not finite in its input or target."""
    made = [(x.copy(), y.copy()) for x, y in DataLoader(line(24), 6)]
    if bad is not None:
        made[at][bad][3, 0] = value
    return made


def state_of(model, optimizer):
    return copy.deepcopy((model.state_dict(), optimizer.state_dict()))


def assert_same_state(one, other):
    (leaves, structure), (others, also) = rg.tree.flatten(one), rg.tree.flatten(other)
    assert structure == also
    for a, b in zip(leaves, others, strict=True):
        np.testing.assert_array_equal(a, b)


def fit(model, data, optimizer, epochs=1, **options):
    with np.errstate(all="ignore"):
        return rg.fit(model, data, rg.nn.MSELoss(), optimizer, epochs=epochs, **options)


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(
    ("bad", "value", "message"),
    [
        (0, np.nan, r"epoch 1, batch 3: the loss is nan: the input has nan at \(3, 0\)"),
        (0, np.inf, r"epoch 1, batch 3: the loss is nan: the input has inf at \(3, 0\)"),
        (1, np.nan, r"epoch 1, batch 3: the loss is nan: the target has nan at \(3, 0\)"),
        (1, -np.inf, r"epoch 1, batch 3: the loss is inf: the target has -inf at \(3, 0\)"),
    ],
)
def test_data_that_is_not_finite_stops_a_run_that_is_left_as_it_was(
    bad, value, message, name, compile
):
    if name == "LBFGS" and compile:
        pytest.skip("LBFGS decides by losses")
    model = net()
    optimizer = OPTIMIZERS[name](model.parameters())
    fit(model, batches()[:2], optimizer, compile=compile)
    right = state_of(model, optimizer)

    model = net()
    optimizer = OPTIMIZERS[name](model.parameters())
    with pytest.raises(ValueError, match=message):
        fit(model, batches(bad, value=value), optimizer, compile=compile)
    assert_same_state(state_of(model, optimizer), right)
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("compile", [False, True])
def test_a_run_that_was_stopped_may_go_on(compile):
    results = []
    for spoil in (False, True):
        model = net()
        optimizer = OPTIMIZERS["Adam"](model.parameters())
        fit(model, batches(), optimizer, compile=compile)
        if spoil:
            with pytest.raises(ValueError, match="batch 1: the loss is nan"):
                fit(model, batches(0, at=0), optimizer, compile=compile)
        fit(model, batches(), optimizer, compile=compile)
        results.append(state_of(model, optimizer))
    assert_same_state(*results)


def test_the_first_batch_of_all_may_be_the_bad_one():
    for compile in (False, True):
        model = net()
        optimizer = OPTIMIZERS["Adam"](model.parameters())
        before = state_of(model, optimizer)
        with pytest.raises(ValueError, match="epoch 1, batch 1"):
            fit(model, batches(1, at=0), optimizer, compile=compile)
        assert_same_state(state_of(model, optimizer), before)


def test_a_loss_that_is_not_finite_by_itself_says_what_may_help():
    model, data, _, optimizer = parts()
    before = model.state_dict()
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="may help") as error:
        rg.fit(model, data, lambda out, y: np.log(out * 0).mean(), optimizer, epochs=1)
    assert "epoch 1, batch 1: the loss is -inf" in str(error.value)
    np.testing.assert_array_equal(model.weight.data, before["weight"])


def test_gradients_that_are_not_finite_are_named_where_the_loss_is_finite():
    class Root(rg.nn.Module):
        def __init__(self):
            self.w = rg.Parameter([0.0, 4.0])

        def forward(self, x):
            return np.sqrt(self.w) * x

    model = Root()
    optimizer = rg.optim.SGD(model.parameters(), lr=0.1)
    data = [(np.ones(2), np.ones(2))]
    with pytest.raises(ValueError, match=r"the gradient of w has -?inf at \(0,\)"):
        fit(model, data, optimizer)
    np.testing.assert_array_equal(model.w.data, [0.0, 4.0])


def test_weights_that_were_not_finite_before_are_named():
    model, data, loss, optimizer = parts()
    model.weight.data[0, 0] = np.inf
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="parameter weight has inf at"):
        rg.fit(model, data, loss, optimizer, epochs=1)


def test_weights_that_are_not_finite_and_take_no_part_stop_nothing():
    model, data, loss, optimizer = parts()
    unused = rg.Parameter([np.inf])
    optimizer.add_param_group({"params": [unused]})
    assert rg.fit(model, data, loss, optimizer, epochs=2).epochs == 2


def test_masks_of_infinities_among_the_data_stop_nothing():
    class Masked(rg.nn.Module):
        def __init__(self):
            self.net = rg.nn.Linear(2, 2, rng=0)

        def forward(self, x, mask):
            return rg.special.softmax(self.net(x) + mask, axis=-1)

    model = Masked()
    optimizer = rg.optim.SGD(model.parameters(), lr=0.1)
    mask = np.array([[0.0, -np.inf]])
    assert fit(model, [(np.ones((1, 2)), mask, np.ones((1, 2)))], optimizer).epochs == 1


def test_an_update_that_overflows_is_undone():
    for compile in (False, True):
        model, data, loss, optimizer = parts(lr=1e308)
        before = model.state_dict()
        message = "epoch 1, batch 1: the update makes weights that are not finite: the data and"
        with np.errstate(all="ignore"), pytest.raises(ValueError, match=message):
            rg.fit(model, data, loss, optimizer, epochs=1, compile=compile)
        np.testing.assert_array_equal(model.weight.data, before["weight"])


def test_the_batch_is_counted_from_the_beginning_of_the_epoch_after_a_resume(tmp_path):
    x, y = (part.copy() for part in line(24)[:])
    y[20, 0] = np.nan  # in the fourth batch
    path = tmp_path / "run.npz"

    def run(**options):
        model = net()
        optimizer = OPTIMIZERS["Adam"](model.parameters())
        data = DataLoader(TensorDataset(x, y), 6)
        fit(model, data, optimizer, checkpoint=path, save_every=2, **options)

    for options in ({}, {"resume": True}):
        with pytest.raises(ValueError, match="epoch 1, batch 4: the loss is nan: the target has"):
            run(**options)


def test_weights_that_a_callback_replaced_are_those_that_come_back():
    model, data, loss, optimizer = parts()

    def replace(run):
        model.weight.data = np.array([[7.0]])
        data.dataset[:][1][...] = np.nan

    with pytest.raises(ValueError, match="epoch 2, batch 1"):
        rg.fit(model, data, loss, optimizer, epochs=3, callbacks=[replace])
    np.testing.assert_array_equal(model.weight.data, [[7.0]])
