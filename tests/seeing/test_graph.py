import numpy as np
import pytest

import retrograd as rg
from retrograd.nn import functional as F
from retrograd.seeing import Graph


def leaf(values):
    return rg.Tensor(values, requires_grad=True)


def test_nodes_come_in_recorded_order_each_once_and_leaves_before_their_first_use():
    x, w = leaf(1.0), leaf(2.0)
    y = x * x
    z = y * w + y
    graph = Graph(z)
    assert [node.function for node in graph.nodes] == [
        "", "np.multiply", "", "np.multiply", "np.add",
    ]  # fmt: skip
    assert [graph[t].index for t in (x, y, w, z)] == [0, 1, 2, 4]
    assert graph.leaves == [graph[x], graph[w]]
    assert [(a.index, b.index) for a, _, b in graph.edges()] == [
        (0, 1), (0, 1), (1, 3), (2, 3), (3, 4), (1, 4),
    ]  # fmt: skip


def test_each_call_sends_what_backward_sends_and_the_sum_arrives():
    x = leaf([1.0, 2.0])
    y = x * x
    loss = np.sum(y * x)
    graph = Graph(loss)
    graph.send_gradients()
    first, second = graph[y].arguments
    np.testing.assert_array_equal(first.sent, x.data * x.data)
    np.testing.assert_array_equal(second.sent, x.data * x.data)
    sources = [(node.function, a.sent.tolist()) for node, a in graph.received()[graph[x]]]
    assert sources == [("np.multiply", [1.0, 4.0])] * 3
    loss.backward()
    np.testing.assert_array_equal(graph[x].gradient, x.grad)


def test_the_graph_and_the_gradients_stay_as_they_were():
    x = leaf([1.0, 2.0])
    loss = np.sum(np.exp(x))
    Graph(loss).send_gradients()
    assert x.grad is None
    loss.backward()
    np.testing.assert_array_equal(x.grad, np.exp(x.data))
    with pytest.raises(RuntimeError, match="freed by an earlier backward"):
        Graph(loss)


def test_a_formula_for_two_calls_sends_past_the_inner_one_as_backward_does():
    z = leaf([-800.0, 3.0])
    p = F.sigmoid(z)
    loss = F.binary_cross_entropy(p, np.array([1.0, 0.0]))
    graph = Graph(loss)
    graph.send_gradients()
    sent = graph.roots[0].arguments[0]
    assert sent.node is graph[p]
    assert sent.to is graph[z]
    assert graph[p].gradient is None
    loss.backward()
    np.testing.assert_array_equal(graph[z].gradient, z.grad)
    assert z.grad[0] == -0.5  # which the slopes of both, one after the other, would make 0


def test_several_roots_and_weights():
    x = leaf([1.0, 2.0])
    graph = Graph([x * 2, x * 3])
    graph.send_gradients([np.array([1.0, 10.0]), np.array([100.0, 1000.0])])
    assert graph[x].gradient.tolist() == [302.0, 3020.0]
    with pytest.raises(RuntimeError, match="pass gradient="):
        graph.send_gradients()


def test_a_call_with_several_outputs_has_a_node_for_all_and_one_for_each():
    a = leaf([[2.0, 1.0], [0.5, 3.0]])
    q, r = np.linalg.qr(a)
    loss = np.sum(q) + np.sum(r * r)
    graph = Graph(loss)
    assert [node.is_several for node in graph.calls[:3]] == [True, False, False]
    graph.send_gradients()
    loss.backward()
    np.testing.assert_allclose(graph[a].gradient, a.grad, rtol=1e-15)


def test_limits_are_taken_as_backward_takes_them():
    a = leaf(np.eye(2))
    values, vectors = np.linalg.eigh(a)
    loss = np.sum((vectors * values[None, :]) @ vectors.T * np.array([[1.0, 2.0], [3.0, 4.0]]))
    graph = Graph(loss)
    graph.send_gradients()
    (expected,) = rg.autograd.grad(loss, a, retain_graph=True)
    np.testing.assert_allclose(graph[a].gradient, expected.data)
    assert isinstance(graph[a].gradient, np.ndarray)


def test_a_write_after_the_call_is_an_error():
    x = leaf([1.0])
    loss = np.sum(x * x)
    with rg.no_grad():
        x[...] = 5.0
    with pytest.raises(RuntimeError, match="written in place"):
        Graph(loss).send_gradients()


def test_what_is_no_tensor_or_has_no_graph_is_an_error():
    with pytest.raises(TypeError, match="not of ndarray"):
        Graph([np.ones(2)])
    with pytest.raises(RuntimeError, match="does not require grad"):
        Graph(rg.Tensor(1.0)).send_gradients()


def test_a_long_chain_needs_no_recursion():
    t = x = leaf(1.0)
    for _ in range(10_000):
        t = t * 1.0
    graph = Graph(t)
    graph.send_gradients()
    assert len(graph) == 10_001
    assert graph[x].gradient == 1.0
