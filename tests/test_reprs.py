"""What a value shows at the end of a cell is never an address."""

import numpy as np
import pytest

import retrograd as rg

DATA = rg.data.TensorDataset(np.zeros((10, 3)), np.zeros(10, np.int64))


@rg.compile
def double(x):
    return x * 2


class Model:
    @rg.compile
    def scaled(self, x):
        return x * 3


def test_a_compiled_function_says_what_it_is_and_what_it_has():
    assert repr(double) == "<compiled double: nothing is recorded yet>"
    assert repr(double) in double._repr_html_().replace("&lt;", "<").replace("&gt;", ">")
    double(np.ones(3))
    assert repr(double) == "<compiled double: 1 program>"
    double(np.ones((3, 1)))
    assert repr(double) == "<compiled double: 2 programs>"
    assert "scaled: nothing is recorded yet" in repr(Model().scaled)


def test_data_says_its_shapes_and_batches():
    assert repr(DATA) == "TensorDataset(float64 (10, 3), int64 (10,))"
    assert repr(rg.data.Subset(DATA, [1, 2])) == f"Subset(2 samples of {DATA!r})"
    loader = rg.data.DataLoader(DATA, batch_size=4, shuffle=True)
    assert repr(loader) == f"DataLoader({DATA!r}, batch_size=4, shuffle=True): 3 batches"
    assert repr(loader.sampler) == "Sampler(shuffle=True, block_size=None)"


def test_nothing_that_a_user_is_handed_shows_an_address():
    double(np.ones(3))
    x = rg.Tensor([1.0, 2.0], requires_grad=True)
    handle = x.register_hook(print)
    loss = np.sum(x * x)
    model = rg.nn.Linear(2, 1)
    optimizer = rg.optim.SGD(model.parameters(), lr=0.1)
    values = [
        handle, x, loss, loss.call, rg.explain(loss), rg.draw(loss), rg.seeing.Graph(loss), model,
        optimizer, rg.optim.lr_scheduler.StepLR(optimizer, 2), rg.coverage(), rg.training.History(),
        rg.compile(model), double, double.readable(), DATA, *double.programs, rg.nn.MSELoss(),
    ]  # fmt: skip
    assert [type(value) for value in values if " at 0x" in repr(value)] == []


def test_programs_show_themselves_in_notebooks():
    double(np.ones(3))
    shown = double._repr_html_()
    assert shown == double.readable()._repr_html_()
    assert "<pre>def step(x):" in shown
    assert str(double.readable()) == double.source
    assert "np.multiply(x, " in double.programs[-1]._repr_html_()


def test_a_picture_says_what_it_is_of():
    pytest.importorskip("matplotlib")
    history = rg.training.History(loss=[2.0, 1.0], accuracy=[0.5, 0.6])
    assert repr(history.plot()) == "<a picture of loss, accuracy>"
