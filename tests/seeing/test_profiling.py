"""`rg.profile` tells by function and by Module what takes time and memory."""

import numpy as np
import pytest

import retrograd as rg

F = rg.nn.functional


def rows(p):
    return {row.name: row for row in p.functions}


def test_functions_and_modules_are_counted_forward_and_backward():
    net = rg.nn.Sequential(rg.nn.Linear(3, 64, rng=0), rg.nn.Tanh(), rg.nn.Linear(64, 2, rng=1))
    optimizer = rg.optim.Adam(net.parameters())
    x, y = np.ones((32, 3)), np.zeros(32, int)
    with rg.profile() as p:
        for _ in range(3):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
    found = rows(p)
    assert {name: row.calls for name, row in found.items()} == {
        "nn.functional.linear": 6, "np.tanh": 3, "nn.functional.log_softmax": 3,
        "nn.functional.cross_entropy": 3, "optimizer.step": 3,
    }  # fmt: skip
    assert [row.name for row in p.functions] == sorted(
        found, key=lambda name: -found[name].microseconds
    )
    assert all(row.forward > 0 for row in found.values())
    assert all(row.backward > 0 for name, row in found.items() if name != "optimizer.step")
    modules = {row.name: row for row in p.modules}
    assert list(modules) == ["net", "net.0", "net.1", "net.2"]
    assert {row.calls for row in modules.values()} == {3}
    inner = [modules[f"net.{i}"] for i in range(3)]
    assert modules["net"].forward > sum(row.forward for row in inner)
    assert modules["net"].backward == pytest.approx(sum(row.backward for row in inner))
    assert p.microseconds > sum(row.microseconds for row in found.values())


def test_memory_is_counted_once_and_let_go_of():
    w = rg.Tensor(np.ones(1000), requires_grad=True)
    with rg.profile() as p:
        y = np.exp(w)  # keeps its output, 8000 bytes; the parameter is not counted
        loss = np.sum(y * y)  # the product, and the sum of 8 bytes
        loss.backward()
        del y, loss
        with rg.no_grad():
            np.exp(w)
    found = rows(p)
    assert {name: row.held for name, row in found.items()} == {
        "np.exp": 8000, "np.multiply": 8000, "np.sum": 8,
    }  # fmt: skip
    assert p.peak == 16008
    assert p._now == 0


def test_results_are_the_same_and_second_derivatives_count_as_backward():
    def run():
        x = rg.Tensor([0.5, 1.0], requires_grad=True)
        (dx,) = rg.autograd.grad(np.sum(np.sin(x) ** 3), x, create_graph=True)
        (ddx,) = rg.autograd.grad(np.sum(dx), x)
        return ddx.data

    with rg.profile() as p:
        found = run()
    np.testing.assert_array_equal(found, run())
    assert rows(p)["np.sin"].calls == 1
    assert rows(p)["np.sin"].backward > 0


def test_compiled_functions_are_one_row():
    step = rg.compile(lambda x: np.mean(np.exp(x)))
    with rg.profile() as p:
        for _ in range(3):
            step(np.ones(4))
    assert {name: row.calls for name, row in rows(p).items()} == {"<lambda>": 3}
    assert len(step.programs) == 1


def test_it_prints_tables_also_in_a_notebook():
    net = rg.nn.Sequential(rg.nn.Linear(3, 2, rng=0))
    with rg.profile() as p:
        np.sum(net(np.ones((2, 3)))).backward()
    head, *lines = str(p).splitlines()
    assert head.split() == [
        "function", "calls", "forward", "us", "backward", "us", "%", "bytes", "held",
    ]  # fmt: skip
    assert any(line.startswith("net: Sequential") for line in lines)
    assert any(line.startswith("  net.0: Linear") for line in lines)
    assert lines[-1].endswith("bytes held for backward")
    html = p._repr_html_()
    assert html.count("<table>") == 2
    assert "<code>nn.functional.linear</code>" in html
    assert "held for backward" in repr(p)
