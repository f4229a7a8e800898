"""Rprop: step sizes that follow the signs of gradients."""

import numpy as np

import retrograd as rg


def test_the_rate_of_the_first_step_is_the_first_step_size():
    w = rg.nn.Parameter([3.0])
    optimizer = rg.optim.Rprop([w], lr=0.5)
    optimizer.param_groups[0]["lr"] = 0.25  # as a schedule does that begins with less
    for rate in (0.25, 7.0):
        optimizer.param_groups[0]["lr"] = rate
        w.grad = np.array([2.0])
        optimizer.step()
    assert w.item() == 3.0 - 0.25 - 0.3


def test_where_the_sign_changes_an_element_stays_once():
    w = rg.nn.Parameter([1.0, 1.0])
    optimizer = rg.optim.Rprop([w], lr=0.5)
    places = []
    for g in ([1.0, 1.0], [1.0, -1.0], [1.0, -1.0]):
        w.grad = np.array(g)
        optimizer.step()
        places.append(w.data.copy())
    np.testing.assert_allclose(places, [[0.5, 0.5], [-0.1, 0.5], [-0.82, 0.75]])
