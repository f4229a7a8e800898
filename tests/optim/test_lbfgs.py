import numpy as np
import pytest

import retrograd as rg
from golden import cases, decode
from optim.problems import descend, parabola, rosenbrock

VALLEYS = {
    "rosenbrock": lambda w: (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2,
    "quartic": lambda w: ((w - 1) ** 4).sum(),
    "kink": lambda w: (abs(w) * np.sqrt(abs(w))).sum() + abs(w[0] - w[1]),
    "barrier": lambda w: (1 / (w**2 + 0.01) + w**2).sum(),
    "wave": lambda w: (np.sin(w) * w + 0.1 * w**2).sum(),
}


@pytest.mark.parametrize("case", cases(["line_searches"]))
def test_it_goes_down_a_valley_by_pytorchs_steps(case):
    w = rg.Tensor(case["start"], requires_grad=True)
    optimizer = rg.optim.LBFGS([w], **case["kwargs"])

    def closure():
        optimizer.zero_grad()
        loss = VALLEYS[case["name"]](w)
        loss.backward()
        return loss

    losses = [optimizer.step(closure).item() for _ in case["losses"]]
    # what rounds differently grows from step to step, faster where the valley is narrow
    assert losses == pytest.approx(case["losses"], rel=1e-8, abs=1e-8)
    np.testing.assert_allclose(w.data, decode(case["final"]), rtol=1e-6)
    state = optimizer.state_dict()["state"][0]
    assert {key: state[key] for key in case["counts"]} == case["counts"]


def test_it_stops_where_the_gradient_is_small_or_the_loss_no_longer_falls():
    w = rg.Tensor([1.0, 1.0], requires_grad=True)
    optimizer = rg.optim.LBFGS([w])
    calls = []

    def closure():
        optimizer.zero_grad()
        loss = ((w - 1.0) ** 2).sum()
        loss.backward()
        calls.append(loss.item())
        return loss

    optimizer.step(closure)
    assert calls == [0.0]
    with rg.no_grad():
        w += 1e-6
    optimizer.step(closure)
    assert len(calls) == 2


def test_parameters_without_a_gradient_stay():
    w, v = (rg.Tensor([2.0], requires_grad=True) for _ in range(2))
    optimizer = rg.optim.LBFGS([w, v])

    def closure():
        optimizer.zero_grad()
        loss = (w**2).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert abs(w.item()) < 1e-6
    assert v.item() == 2.0


def test_it_makes_no_steps_from_a_loss_that_is_not_finite():
    w = rg.Tensor([1.0], requires_grad=True)
    optimizer = rg.optim.LBFGS([w], line_search_fn="strong_wolfe", max_iter=3)

    def closure():
        optimizer.zero_grad()
        loss = (w * float("nan")).sum()
        loss.backward()
        return loss

    assert np.isnan(optimizer.step(closure).item())


def test_it_says_that_it_cannot_be_compiled():
    w = rg.Tensor([1.0], requires_grad=True)
    optimizer = rg.optim.LBFGS([w])
    with pytest.raises(rg.TraceError, match=r"LBFGS\.step"):
        rg.compile(lambda: optimizer.step(lambda: w.sum()))()


def test_it_continues_from_a_saved_state_bit_for_bit():
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


def test_it_says_what_it_needs():
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
