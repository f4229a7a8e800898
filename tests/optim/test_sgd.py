"""SGD beyond its numbers: momentum, and the options that it refuses."""

import numpy as np
import pytest

import retrograd as rg
from helpers import leaf
from retrograd.optim import SGD


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


def test_a_momentum_of_zero_leaves_the_buffer_for_later():
    w = rg.Parameter([1.0])
    optimizer = rg.optim.SGD([w], lr=1.0, momentum=0.5)
    for momentum, right in ((0.5, 0.0), (0.0, -2.0), (0.5, -3.5)):
        optimizer.param_groups[0]["momentum"] = momentum
        w.grad = np.array([1.0 if momentum else 2.0])
        optimizer.step()
        assert w.data[0] == right  # the buffer is 1, 1 and 1.5 here

    assert optimizer.state_dict()["state"][0]["momentum_buffer"][0] == 1.5
