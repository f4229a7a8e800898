import re

import numpy as np

import retrograd as rg
from retrograd import nn


def test_a_summary_counts_and_leaves_the_net_as_it_was():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 2))
    net[3].bias.requires_grad_(False)
    before = net.state_dict()
    text = net.summary(np.ones((2, 1, 8, 8)))
    lines = text.splitlines()
    assert lines[0].split() == ["module", "output", "parameters"]
    assert lines[2].split() == ["0:", "Conv2d", "(2,", "4,", "6,", "6)", "40"]
    assert lines[-1] == "338 parameters, 336 trained, 2704 bytes"
    assert all(module.training for module in net.modules())
    for key, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[key])
    assert "output" not in net.summary()


def test_a_summary_finds_the_shape_of_the_first_of_several_outputs():
    assert "(5, 2, 4)" in nn.LSTM(3, 4).summary(np.ones((5, 2, 3)))


def test_a_summary_without_inputs_does_not_run_the_net():
    class Counted(nn.Module):
        calls = 0

        def forward(self, *inputs):
            Counted.calls += 1
            return inputs

    net = Counted()
    assert "output" not in net.summary()
    assert not net.calls
    assert "(3,)" in net.summary(np.ones(3), np.ones(4))
    assert net.calls == 1


def test_an_output_that_is_no_array_leaves_its_place_empty():
    class Other(nn.Module):
        def forward(self, x):
            return {"x": x} if x.ndim else ()

    for x in (np.ones(2), np.ones(())):
        assert Other().summary(x).splitlines()[1].split() == ["Other", "0"]


def test_a_summary_runs_the_net_without_gradients_as_for_evaluation():
    seen = []

    class Watching(nn.Module):
        def forward(self, x):
            seen.append((self.training, rg.is_grad_enabled()))
            return x

    net = nn.Sequential(Watching(), Watching().eval())
    net.summary(np.ones(2))
    assert seen == [(False, False)] * 2
    assert [module.training for module in net] == [True, False]


def test_a_notebook_shows_the_summary_as_a_table():
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh())
    html = net._repr_html_()
    assert html.startswith("<table>")
    assert "9 parameters, 9 trained, 72 bytes" in html
    assert re.search(r"&nbsp;&nbsp;0: Linear</td><td [^>]*text-align:right[^>]*>9</td>", html)
