import numpy as np

import retrograd as rg
from retrograd.seeing import Graph, Names, label
from retrograd.seeing.calls import Writer, show_index


def leaf(values):
    return rg.Tensor(values, requires_grad=True)


def written(root):
    """Return how the last call behind a Tensor is written, with names and with numbers."""
    graph, names = Graph(root), Names()
    writer = Writer(label(graph, names), names)
    return writer.call(graph.roots[0]), writer.call_with_numbers(graph.roots[0])


def test_operators_are_written_as_such_and_functions_with_their_keywords():
    x, y = leaf(-2.0), leaf(3.0)
    assert written(x - y) == ("x - y", "(-2) - 3")
    assert written(-x) == ("-x", "-(-2)")
    assert written(x**2) == ("x**2", "(-2)**2")
    assert written(np.exp(x)) == ("np.exp(x)", "np.exp(-2)")
    w, targets = leaf([[1.0, 2.0]]), np.ones(2)
    assert written(w @ targets)[0] == "w @ targets"
    assert written(np.sum(w, axis=1))[0] == "np.sum(w, axis=1)"
    assert written(w + np.zeros(2))[0] == "w + array(2,)"
    assert written(w.astype(np.float32))[0] == "w.astype(float32)"
    assert written(w[:, 1])[0] == "w[:, 1]"
    assert written(np.linalg.qr(leaf(np.eye(2)))[1])[0] == "qr1[1]"


def test_indices_are_written_short():
    index = (slice(1, None, 2), np.array([True, False]), np.array(3), -1)
    assert show_index(index) == "1::2, array(2,), 3, -1"


def test_a_number_without_a_name_stands_in_the_call_as_a_number():
    x = rg.Tensor(0.5, requires_grad=True)
    (dx,) = rg.autograd.grad(np.exp(x), x, create_graph=True)
    assert "1 * exp1 = 1 * 1.649" in str(rg.explain(dx))
    assert "constant" not in str(rg.explain(dx)) + rg.draw(dx).svg
    assert "x * (-2)" in str(rg.explain(x * rg.Tensor(-2.0)))
