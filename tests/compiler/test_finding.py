"""`step.find_nan` finds the first nan of a compiled call, and puts all back."""

import linecache

import numpy as np
import pytest

import retrograd as rg
from anomaly.planted import PLANTED

F = rg.nn.functional


def compiled(compute, value):
    """Return a compiled step that trains a leaf, and the leaf."""
    w = rg.Tensor(np.array(value, float), requires_grad=True)
    optimizer = rg.optim.SGD([w], lr=0.1)

    @rg.compile
    def step(scale):
        loss = np.sum(compute(w) * scale)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step, w


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found_at_the_users_line_and_in_the_program(name):
    planted = PLANTED[name]
    step, w = compiled(planted.compute, planted.value)
    with pytest.raises(rg.AnomalyError) as caught:
        step.find_nan(1.0)
    fault = caught.value.fault
    code = planted.compute.__code__
    assert (fault.function, fault.of, fault.index) == (
        planted.function, planted.of, planted.index,
    )  # fmt: skip
    assert planted.cure in fault.cure
    assert fault.line.text == linecache.getline(code.co_filename, code.co_firstlineno).strip()
    assert fault.program_line
    assert f"program: {fault.program_line}" in str(caught.value)
    np.testing.assert_array_equal(w.data, planted.value)
    assert w.grad is None


def net_and_step():
    net = rg.nn.Sequential(
        rg.nn.Linear(3, 8, rng=0), rg.nn.BatchNorm1d(8), rg.nn.Tanh(), rg.nn.Dropout(0.5, rng=1),
        rg.nn.Linear(8, 2, rng=2),
    )  # fmt: skip
    optimizer = rg.optim.Adam(net.parameters())

    @rg.compile
    def step(x, y):
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return net, optimizer, step


X, Y = np.random.default_rng(0).normal(size=(4, 3)), np.array([0, 1, 1, 0])


def test_where_all_is_finite_nothing_is_found_and_nothing_is_changed():
    def train(look):
        net, optimizer, step = net_and_step()
        losses = []
        for _ in range(6):
            if look:
                assert step.find_nan(X, Y) is None
            losses.append(step(X, Y).item())
        grads = [p.grad for p in net.parameters()]
        return losses, net.state_dict(), optimizer.state_dict()["state"], grads

    watched, right = train(True), train(False)
    assert watched[0] == right[0]
    for mine, other in zip(rg.tree.leaves(watched), rg.tree.leaves(right), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_a_step_that_went_wrong_is_explained_after_it():
    net, _, step = net_and_step()
    for _ in range(4):
        step(X, Y)
    bad = X.copy()
    bad[2, 1] = np.nan
    with pytest.raises(rg.AnomalyError, match="it is in the data") as caught:
        step.find_nan(bad, Y)
    assert caught.value.fault.function == "nn.functional.linear"
    assert "net(x)" in caught.value.fault.line.text
    assert all(np.isfinite(p.data).all() for p in net.parameters())
    step.find_nan(X, Y)
    with rg.no_grad():
        net[0].weight[...] = np.inf
    with pytest.raises(rg.AnomalyError, match="spoiled by an earlier update"):
        step.find_nan(X, Y)


def test_an_update_that_overflows_is_found():
    w = rg.Tensor(np.array([1.0, 2.0]), requires_grad=True)
    optimizer = rg.optim.SGD([w], lr=1e300)

    @rg.compile
    def step(x):
        w.grad = None
        loss = np.sum(w * x)
        loss.backward()
        optimizer.step()
        return loss

    with pytest.raises(rg.AnomalyError, match="learning rate") as caught:
        step.find_nan(np.array([1.0, 1e30]))
    assert caught.value.fault.line.text == "optimizer.step()"
    assert caught.value.fault.program_line.startswith("np.multiply(")


def test_inf_that_is_clamped_later_is_none_of_the_programs_faults():
    p = rg.Tensor(np.array([0.0, 1.0]), requires_grad=True)

    @rg.compile
    def step(y):
        p.grad = None
        loss = F.binary_cross_entropy(p, y)
        loss.backward()
        return loss

    assert step.find_nan(np.array([0.0, 1.0])) is None


def test_a_module_and_a_function_of_other_arguments_can_be_asked_too():
    class Log(rg.nn.Module):
        def forward(self, x, power):
            return np.log(x) ** power

    model = rg.compile(Log())
    model(np.ones(2), 2)
    with pytest.raises(rg.AnomalyError) as caught:
        model.find_nan(np.array([1.0, 0.0, 2.0]), power=3)
    assert caught.value.fault.line.text == "return np.log(x) ** power"
    assert caught.value.fault.index == (1,)
    assert len(model.programs) == 1


def test_text_of_the_programs_line_is_that_of_the_source():
    step, _ = compiled(lambda x: np.log(x), [1.0, 2.0])
    step(1.0)
    bad, _ = compiled(lambda x: np.log(x), [1.0, 0.0])
    with pytest.raises(rg.AnomalyError) as caught:
        bad.find_nan(1.0)
    assert caught.value.fault.program_line in step.fast_source
