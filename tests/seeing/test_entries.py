import numpy as np

import retrograd as rg
from retrograd import nn
from retrograd.seeing import Graph, Names, fold, label
from retrograd.seeing.entries import Sent, Teller


def leaf(values):
    return rg.Tensor(values, requires_grad=True)


def teller_of(root, at=()):
    graph, names = Graph(root), Names()
    graph.send_gradients()
    return Teller(graph, label(graph, names), names, at), graph


def test_where_paths_meet_the_sum_is_written_as_a_sum():
    x = leaf(3.0)
    loss = x * x + 2 * x
    tell, graph = teller_of(loss)
    assert tell.arrives(graph[x]) == (
        "2 (from multiply2) + 3 (from multiply1) + 3 (from multiply1) = 8",
    )


def test_a_long_sum_is_cut_and_counted():
    x = leaf(1.0)
    tell, graph = teller_of(sum((x * float(i) for i in range(10)), 0.0))
    (line,) = tell.arrives(graph[x])
    assert line.endswith("+ ... + 0 (from multiply1) = 45, 10 terms")


def test_sums_of_arrays_are_shown_at_an_element():
    x = leaf(np.arange(6.0).reshape(2, 3))
    tell, graph = teller_of(np.sum(x * x + 2 * x), at=[(1, 2)])
    first, element = tell.arrives(graph[x])
    assert first == "(2, 3) from 2 to 12, the sum of 3: from multiply2, multiply1"
    assert element == (
        "at [1, 2]: 2 (from multiply2) + 5 (from multiply1) + 5 (from multiply1) = 12"
    )


def test_an_argument_that_was_repeated_says_that_it_is_summed():
    x, b = leaf(np.ones((4, 3))), leaf(np.ones(3))
    total = x + b
    tell, graph = teller_of(np.sum(total))
    *_, sent = tell.call(graph[total], 0).sent
    assert sent == Sent(
        "b", "[4, 4, 4]", "", ("g",),
        ("summed to (3,), over the axes along which b was repeated",),
    )  # fmt: skip


def test_a_slope_that_cannot_be_told_is_left_out():
    x = leaf(2.0)
    y = x * x
    tell, graph = teller_of(y * 0.0)
    assert [sent.product for sent in tell.call(graph[y], 0).sent] == ["", ""]


def test_a_rule_without_a_formula_is_named():
    net = nn.GRU(2, 3)
    out, _ = net(np.ones((4, 1, 2)))
    tell, graph = teller_of(np.sum(out))
    rules = [s.rule for node in graph.calls for s in tell.call(node, 0).sent]
    assert ("_gru_gradients of retrograd.nn.functional.recurrent",) in rules


def test_a_group_tells_what_arrives_and_what_it_sends_on():
    first, second = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3)), nn.Linear(3, 1)
    h = first(np.ones((4, 2)))
    loss = np.sum(second(h))
    tell, graph = teller_of(loss)
    group = fold(graph, Names()).parts[1]
    entry = tell.folded(group, 0, "second")
    assert entry.title == "second: Linear, 1 call, folded (unfold='second' shows it)"
    assert entry.arrives == ("at linear2: (4, 1) all 1",)
    assert {sent.to for sent in entry.sent} == {"second.bias", "second.weight", "h"}


def test_several_outputs_are_told_as_such():
    _, r = np.linalg.qr(leaf([[2.0, 1.0], [0.5, 3.0]]))
    tell, graph = teller_of(np.sum(r))
    whole = graph.calls[0]
    assert tell.arrives(whole) == ("for 1 output of it",)
    assert tell.call(whole, 0).value == "2 outputs"
