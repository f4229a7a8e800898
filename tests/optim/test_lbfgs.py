import numpy as np
import pytest

import retrograd as rg
from golden import cases, decode

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
