import numpy as np

import retrograd as rg
from retrograd import nn
from retrograd.seeing import Graph, Names, fold
from retrograd.seeing.folding import find_loops


def show(group, depth=0):
    """Return the groups of a graph as indented lines, single calls as dots."""
    lines = []
    for part in group.parts:
        if hasattr(part, "parts"):
            lines += ["  " * depth + repr(part), *show(part, depth + 1)]
    return lines


def test_calls_belong_to_the_module_whose_parameters_they_take_or_lie_between():
    net = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
    loss = np.mean((net(np.ones((5, 2))) - 1.0) ** 2)
    group = fold(Graph(loss), Names())
    assert show(group) == [
        "<net: Sequential, 3 calls>", "  <net.0: Linear, 1 call>", "  <net.2: Linear, 1 call>",
    ]  # fmt: skip
    assert [node.function for node in group.parts[1:]] == ["np.subtract", "np.square", "np.mean"]


def test_what_is_made_of_parameters_alone_belongs_to_their_module():
    class Doubled(nn.Module):
        def __init__(self):
            self.weight = nn.Parameter(np.ones((2, 2)))

        def forward(self, x):
            return x @ (self.weight * 2.0).T

    net = nn.Sequential(Doubled(), Doubled())
    group = fold(Graph(net(np.ones((3, 2))).sum()), Names())
    assert show(group) == [
        "<net: Sequential, 6 calls>", "  <net.0: Doubled, 3 calls>", "  <net.1: Doubled, 3 calls>",
    ]  # fmt: skip


def test_a_loop_is_found_where_the_first_round_differs():
    w, h, total = rg.Tensor(np.eye(3), requires_grad=True), np.ones(3), 0.0
    for _ in range(6):
        h = np.tanh(w @ h)
        total = np.sum(h) + total
    group = fold(Graph(total), Names())
    assert show(group)[0] == "<loop of 5 rounds, 20 calls>"
    assert [node.function for node in group.parts[4].parts[0].parts] == [
        "np.matmul", "np.tanh", "np.sum", "np.add",
    ]  # fmt: skip


def test_equal_modules_are_a_loop_and_loops_are_found_inside_loops():
    x = t = rg.Tensor(1.0, requires_grad=True)
    for _ in range(4):
        for _ in range(3):
            t = np.sin(t)
        t = t * x
    group = fold(Graph(t), Names())
    assert show(group)[:3] == [
        "<loop of 4 rounds, 16 calls>", "  <round, 4 calls>", "    <loop of 3 rounds, 3 calls>",
    ]  # fmt: skip

    net = nn.Sequential(*(nn.Sequential(nn.Linear(2, 2), nn.Tanh()) for _ in range(5)))
    whole = fold(Graph(net(np.ones((1, 2)))), Names()).parts[0]
    assert repr(whole.parts[0]) == "<loop of 4 rounds, 8 calls>"


def test_every_call_is_in_one_group_in_recorded_order():
    net = nn.GRU(3, 4)
    loss = np.sum(net(np.ones((6, 2, 3)))[0])
    graph = Graph(loss)
    assert [*fold(graph, Names()).nodes()] == graph.calls


def test_inputs_and_outputs_of_a_group_are_the_nodes_on_its_border():
    net = nn.Sequential(nn.Linear(2, 4), nn.Linear(4, 1))
    loss = np.sum(net(np.ones((5, 2))))
    graph = Graph(loss)
    first = fold(graph, Names()).parts[0].parts[0]
    assert [node.tensor for node in first.inputs()] == [net[0].weight, net[0].bias]
    assert first.outputs(graph) == [*first.nodes()]


def test_of_overlapping_loops_the_one_that_covers_most_is_taken_with_the_shortest_round():
    def loops(text):
        return find_loops([*map(ord, text)], text.lower())

    assert loops("xaaab") == [(1, 1, 3)]
    assert loops("xaaabaaabaaab") == [(1, 4, 3)]
    assert loops("abababababab") == [(0, 2, 6)]
    assert loops("xababababy") == [(1, 2, 4)]
    assert loops("ababc") == loops("") == []


def test_what_is_left_of_a_round_belongs_to_a_first_round_that_differs():
    def loops(text):
        return find_loops([*map(ord, text)], text.lower())

    assert loops("abababa") == [(0, 2, 3)]
    assert loops("Abababab") == [(2, 2, 3)]
    assert loops("xabababa") == [(1, 2, 3)]


def test_residual_blocks_are_whole_and_their_views_theirs():
    class Block(nn.Module):
        def __init__(self):
            self.inner, self.norm = nn.Linear(4, 4), nn.LayerNorm(4)

        def forward(self, x):
            return self.norm(x + np.tanh(self.inner(x)))

    net = nn.Sequential(*(Block() for _ in range(3)))
    whole = fold(Graph(np.sum(net(np.ones((2, 5, 4))))), Names()).parts[0]
    loop = whole.parts[0]
    assert len(whole.parts) == 1
    assert [repr(r.parts[0]) for r in loop.parts] == [
        f"<net.{i}: Block, 6 calls>" for i in range(3)
    ]  # fmt: skip
