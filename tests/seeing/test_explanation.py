import html
import re

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn
from retrograd.engine import RULES
from retrograd.nn import functional as F
from seeing.registry import all_losses

LOSSES = all_losses()


def leaf(values):
    return rg.Tensor(values, requires_grad=True)


NEURON = """\
loss = 2.138: 5 calls back to 2 leaves
(g is the gradient that arrives at a call, out its value, other names are its arguments)

loss = subtract1**2 = (-1.462)**2 = 2.138
    arrives       1, with which the reverse pass begins
    to subtract1  1 x (-2.924) = -2.924
                  g * 2 * x = 1 * 2 * (-1.462)

subtract1 = y - 1 = (-0.4621) - 1 = -1.462
    arrives  -2.924
    to y     -2.924 x 1 = -2.924
             g

y = np.tanh(z) = np.tanh(-0.5) = -0.4621
    arrives  -2.924
    to z     -2.924 x 0.7864 = -2.3
             g * (1 - out * out) = (-2.924) * (1 - (-0.4621) * (-0.4621))

z = multiply1 + b = 1 + (-1.5) = -0.5
    arrives       -2.3
    to multiply1  -2.3 x 1 = -2.3
                  g
    to b          -2.3 x 1 = -2.3
                  g

multiply1 = w * 0.5 = 2 * 0.5 = 1
    arrives  -2.3
    to w     -2.3 x 0.5 = -1.15
             g * y = (-2.3) * 0.5

leaf  value  gradient
w     2      -1.15
b     -1.5   -2.3"""


def test_a_neuron_reads_like_a_textbook():
    w, b = leaf(2.0), leaf(-1.5)
    z = w * 0.5 + b
    y = np.tanh(z)
    loss = (y - 1.0) ** 2
    assert str(rg.explain(loss)) == NEURON
    assert repr(rg.explain(loss)) == NEURON


@pytest.mark.parametrize("name", LOSSES)
def test_every_function_is_explained_as_text_and_as_a_table(name):
    loss = LOSSES[name]()
    if loss is None:  # it has no gradient
        return
    explanation = rg.explain(loss, unfold=True)
    text, table = str(explanation), explanation._repr_html_()
    for node in explanation.graph.calls:
        last = node.function.rpartition(".")[2]
        assert last in text or node.rule.fn in _SPELLED, node.function
    assert table.count("<tr>") == table.count("</tr>") > len(explanation.graph.calls)
    leaves = [node.tensor for node in explanation.graph.leaves if node.tensor.requires_grad]
    expected = rg.autograd.grad(loss, leaves, allow_unused=True)
    for node, g in zip((explanation.graph[t] for t in leaves), expected, strict=True):
        if g is not None:
            np.testing.assert_allclose(node.gradient, g.data, rtol=1e-9, atol=1e-12)


# calls that are written without the name of their function
_SPELLED = {fn for fn, rule in RULES.items() if rule.name.rpartition(".")[2] in (
    "add", "subtract", "multiply", "divide", "matmul", "power", "remainder", "negative", "square",
    "getitem", "pick", "astype", "floor_divide",
)}  # fmt: skip


@pytest.mark.parametrize("name", ["np.power", "np.absolute", "np.linalg.norm", "F.max_pool2d"])
def test_gradients_that_were_recorded_are_explained(name):
    # of several cases the first that has a gradient
    made = (make() for key, make in LOSSES.items() if key.split()[0] == name)
    loss = next(loss for loss in made if loss is not None)
    leaves = [t for t in rg.explain(loss).graph.leaves if t.tensor.requires_grad]
    first = rg.autograd.grad(loss, [node.tensor for node in leaves], create_graph=True)
    assert "arrives" in str(rg.explain(sum(np.sum(g) for g in first if g.requires_grad)))


def test_gradients_and_graph_stay_as_they_were():
    x = leaf([1.0, 2.0])
    loss = np.sum(np.exp(x))
    before = str(rg.explain(loss))
    assert x.grad is None
    assert str(rg.explain(loss)) == before
    loss.backward()
    np.testing.assert_array_equal(x.grad, np.exp(x.data))
    with pytest.raises(RuntimeError, match="freed by an earlier backward"):
        rg.explain(loss)


def test_chosen_elements_are_shown_of_all_arrays_that_have_them():
    x, w = leaf(np.arange(6.0).reshape(2, 3)), leaf([1.0, 2.0, 3.0])
    text = str(rg.explain(np.sum(np.tanh(x * w) ** 2), at=(1, 0)))
    assert "at [1, 0]: 1.989 * (1 - 0.9951 * 0.9951) = 0.01962" not in text  # that is at [1, 0]
    assert text.count("at [1, 0]:") == 4
    two = str(rg.explain(np.sum(x * w), at=[(0, 1), (2,)]))
    assert "at [0, 1]: 1 * 2 = 2" in two
    assert "at [2]:" in two
    with pytest.raises(TypeError, match="at= is a place"):
        rg.explain(np.sum(x), at="01")


def test_an_output_of_many_elements_needs_weights():
    x = leaf([1.0, 2.0])
    with pytest.raises(RuntimeError, match="pass gradient="):
        rg.explain(x * 2)
    assert "[2, 20]" in str(rg.explain(x * 2, gradient=np.array([1.0, 10.0])))


def test_a_long_graph_is_folded_by_module_and_unfolds_on_request():
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    net = nn.TransformerEncoder(layer, 2)
    loss = np.mean(net(np.ones((1, 3, 8))) ** 2)
    explanation = rg.explain(loss)
    text = str(explanation)
    assert "net.layers.0: TransformerEncoderLayer, 23 calls, folded" in text
    assert "net.layers.1.self_attn: MultiheadAttention, 12 calls, folded" in text
    one = str(explanation.unfold("net.layers.0"))
    assert "net.layers.0.self_attn: MultiheadAttention, 12 calls\n" in one
    assert "net.layers.1.self_attn: MultiheadAttention, 12 calls, folded" in one
    assert str(rg.explain(loss, unfold="net.layers.0")) == one
    whole = str(explanation.unfold())
    assert "folded" not in whole
    assert len(re.findall(r"^ +arrives", whole, flags=re.M)) == len(explanation.graph.calls)
    with pytest.raises(
        ValueError, match=r"no group 'net\.9' to unfold; there are: net, net\.layers"
    ):
        explanation.unfold("net.9")


def test_of_a_loop_one_round_is_shown_with_what_arrives_in_the_others():
    w, h = leaf(0.5), 1.0
    for _ in range(50):
        h = np.tanh(h * w)
    explanation = rg.explain(h)
    text = str(explanation)
    assert "loop1: 49 equal rounds of 2 calls; below is the last" in text  # the first has no Tensor
    assert "by round: 49: " in text
    assert text.count("h = np.tanh(multiply50)") == 1
    assert "50 terms" in text
    assert str(explanation.unfold("loop1")).count("loop1, round") == 49


def test_what_has_no_parts_to_fold_is_cut_with_a_count():
    rng = np.random.default_rng(0)
    t = x = leaf(0.5)
    for i in rng.integers(0, 3, 300):
        t = (np.sin, np.cos, np.tanh)[i](t)
    assert "more calls: unfold=True shows all" in str(rg.explain(t))
    assert str(rg.explain(t, unfold=True)).count("    arrives") == 300
    many = sum((leaf(1.0) for _ in range(50)), x)
    assert "and 11 more leaves" in str(rg.explain(many))


def test_a_hook_that_replaces_a_gradient_is_told_of():
    x = leaf(3.0)
    y = x * 2
    y.register_hook(lambda g: g * 10)
    text = str(rg.explain(y * 1))
    assert "10 after its hooks" in text
    assert "10 x 2 = 20" in text


def test_a_rule_of_ones_own_is_shown_as_it_was_written():
    @rg.primitive
    def cube(x, shift=0.0):
        return x**3 + shift

    def cube_dx(g, out, x, shift=0.0):
        """Return three times the square."""
        slope = 3 * x * x
        return g * slope

    rg.defvjp(cube, cube_dx)
    x = leaf(2.0)
    assert "g * (3 * x * x) = 1 * (3 * 2 * 2)" in str(rg.explain(cube(x, shift=1.0)))
    del RULES[cube]


def test_a_table_escapes_what_users_write():
    x = rg.name(leaf(1.0), "<script>")
    table = rg.explain(x * 2)._repr_html_()
    assert "<script>" not in table
    assert html.escape("<script>") in table


def test_it_cannot_be_compiled():
    w = leaf([1.0])
    with pytest.raises(rg.TraceError, match="looking at a graph"):
        rg.compile(lambda x: rg.explain(np.sum(w * x)))(np.ones(1))


def test_dtypes_and_what_is_not_finite_are_told():
    x = rg.Tensor(np.array([[0.0, 1.0, 2.0]] * 2, np.float32), requires_grad=True)
    with np.errstate(divide="ignore"):
        text = str(rg.explain(np.sum(np.log(x))))
    assert "(2, 3) float32 from 0 to 0.6931, 2 not finite" in text
    assert "g / x" in text


def test_a_formula_for_two_calls_says_so():
    z = leaf([0.5, -0.5, 1.0, 2.0, 3.0])
    p = F.sigmoid(z)
    text = str(rg.explain(F.binary_cross_entropy(p, np.ones(5))))
    assert "past p: one rule for binary_cross_entropy and sigmoid" in text
    assert "arrives  nothing: binary_cross_entropy1 sends past it" in text
