import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import retrograd as rg
from helpers import leaf
from retrograd import nn
from retrograd.engine import spelled
from rules import cases  # noqa: F401, fills CASES
from rules.checking import floats, make, map_tree, replace_floats
from rules.drawing import CASES, STAND_INS, Draw
from rules.test_elementwise import UFUNCS, arguments
from seeing.pictures import check, read, texts

F = nn.functional
DRAWN = [*UFUNCS, *CASES]


@pytest.mark.parametrize("fn", DRAWN, ids=spelled)
@settings(max_examples=1, derandomize=True, database=None)
@given(st.data())
def test_every_function_of_the_registry_is_drawn(fn, data):
    if fn in CASES:
        draw = Draw(data)
        args, kwargs = draw.one_of(*CASES[fn])(draw)
    else:
        args, kwargs = arguments(fn, data), {}
    made = make([args, kwargs], np.random.default_rng(0))
    leaves = [rg.Tensor(a, requires_grad=True) for a in floats(made)]
    args, kwargs = replace_floats(made, leaves)
    with np.errstate(all="ignore"):
        out = STAND_INS.get(fn, fn)(*args, **kwargs)
    found = []
    map_tree(lambda t: found.append(t) or t, out, rg.Tensor)
    roots = [t for t in found if t.requires_grad]
    if roots:
        weights = [np.ones(t.shape) for t in roots]
        weights = weights if len(roots) > 1 else weights[0]
        shown = check(rg.draw(roots, values=True, gradients=True, gradient=weights))
        assert len(shown) >= 2


def test_scalars_read_like_a_textbook():
    a, b = rg.Tensor(2.0, requires_grad=True), rg.Tensor(-3.0, requires_grad=True)
    c = a * b + 10.0
    shown = check(rg.draw(c, values=True, gradients=True))
    assert ["a", "2"] == shown[shown.index("a") :][:2]
    assert "a * b" in shown
    assert "multiply1 + 10" in shown
    assert [text for text in shown if text.startswith("grad")] == ["grad -3", "grad 2", "grad 1"]


def test_values_and_gradients_stand_on_the_arrows_only_if_asked():
    x = leaf(1.0, 3.0)
    loss = np.sum(x * x)
    assert not [text for text in check(rg.draw(loss)) if "\N{HORIZONTAL ELLIPSIS}" in text]
    assert "1 \N{HORIZONTAL ELLIPSIS} 3" in check(rg.draw(loss, values=True))
    # x is an argument twice, and is sent x each time: 2 * (1, 3)
    assert f"grad {np.sqrt((4 + 36) / 2):.2g}" in check(rg.draw(loss, gradients=True))


def small_net():
    return nn.Sequential(nn.Linear(2, 4, rng=0), nn.ReLU(), nn.Linear(4, 1, rng=1), nn.Sigmoid())


def test_a_net_is_drawn_with_its_modules_parameters_and_variables():
    net, x, y = small_net(), np.ones((5, 2)), np.zeros((5, 1))
    loss = nn.BCELoss()(net(x), y)
    shown = check(rg.draw(loss))
    assert [text for text in shown if ":" in text and "(" not in text] == [
        "net: Sequential", "net.0: Linear", "net.2: Linear",
    ]  # fmt: skip
    assert {"x", "y", "weight", "bias", "loss", "linear(x, weight, bias)"} <= {*shown}
    root = read(rg.draw(loss).svg)
    assert root[0].text == "The graph of loss: 5 calls, 4 leaves"
    assert root[1].text.startswith("From ")


def test_drawing_leaves_gradients_and_the_graph_as_they_were():
    w = leaf(1.0, 2.0)
    loss = np.sum(np.tanh(w))
    rg.draw(loss, gradients=True).svg  # noqa: B018, it is computed when it is asked for
    assert w.grad is None
    loss.backward()
    assert w.grad is not None


@pytest.mark.parametrize("n", [50, 500, 5000])
def test_large_graphs_are_folded_to_what_one_can_look_at(n):
    rng = np.random.default_rng(0)
    weights = [rg.Tensor(v, requires_grad=True) for v in rng.normal(size=30)]
    steps = [np.tanh, lambda t: t * weights[rng.integers(30)], lambda t: t + np.sin(t)]
    loss = weights[0]
    for i in rng.integers(3, size=n):
        loss = steps[i](loss)
    drawing = rg.draw(loss)
    check(drawing)
    assert len(drawing.scene.boxes) <= 40
    assert len(drawing.scene.edges) <= 80


def test_a_loop_is_drawn_as_its_first_round():
    w, h = rg.Tensor(np.eye(3), requires_grad=True), np.ones(3)
    for _ in range(100):
        h = np.tanh(w @ h)
    loss = np.sum(h)
    shown = check(rg.draw(loss))
    assert "100 equal parts" in shown
    assert "99 more" in shown
    assert len(rg.draw(loss, unfold=True).scene.boxes) == 1 + 200 + 1


@pytest.mark.parametrize("direction", ["down", "right"])
def test_a_module_is_unfolded_by_its_name(direction):
    class Block(nn.Module):
        def __init__(self):
            self.layers = nn.ModuleList(nn.Linear(3, 3) for _ in range(12))

        def forward(self, x):
            for i, layer in enumerate(self.layers):
                x = (np.sin, np.tanh, F.relu)[i % 3](layer(x)) + i
            return x

    net = nn.Sequential(Block(), Block())
    loss = np.sum(net(np.ones((2, 3))))
    few = rg.draw(loss, direction=direction)
    more = rg.draw(loss, unfold="net.1.layers.3", direction=direction)
    check(few)
    assert len(more.scene.boxes) > len(few.scene.boxes)
    assert "layers.3: Linear" in " ".join(check(more))


def test_a_graph_with_several_roots_and_one_without_a_call_are_drawn():
    x, y = leaf(1.0), leaf(2.0)
    assert rg.draw([x * 2, x + y]).scene.title == "The graph of multiply1, add1: 2 calls, 2 leaves"
    assert check(rg.draw(x))[:2] == ["x", "(1,)"]


def test_a_call_whose_gradient_is_not_needed_is_passed():
    z, y = leaf(0.3, -0.2), np.array([1.0, 0.0])
    loss = F.binary_cross_entropy(F.sigmoid(z), y)
    drawing = rg.draw(loss, gradients=True)
    heats = {box.lines[0].text: box.heat for box in drawing.scene.boxes}
    assert heats["sigmoid(z)"] is None
    assert heats["z"] is not None
    assert "one formula covers it and the next call" in drawing.svg


def test_nan_and_zero_gradients_are_drawn():
    x = leaf(0.0, 1.0)
    with np.errstate(all="ignore"):
        loss = np.sum(np.log(x) * 0.0)
    check(rg.draw(loss, values=True, gradients=True))


def test_a_drawing_is_written_as_svg_and_shows_itself_in_a_notebook(tmp_path):
    drawing = rg.draw(np.sum(leaf(1.0)))
    drawing.save(tmp_path / "graph.svg")
    assert (tmp_path / "graph.svg").read_text(encoding="utf-8") == drawing._repr_svg_()
    with pytest.raises(ValueError, match=r"as \.svg, not as 'graph\.png'"):
        drawing.save(tmp_path / "graph.png")


def test_bad_input_is_refused_in_words():
    x = leaf(1.0, 2.0)
    loss = np.sum(x)
    with pytest.raises(ValueError, match='"down" or "right", not \'up\''):
        rg.draw(loss, direction="up")
    with pytest.raises(TypeError, match="of a Tensor, not of float64"):
        rg.draw(np.ones(2))
    with pytest.raises(RuntimeError, match="starts from one number"):
        rg.draw(x * 2, gradients=True)
    assert check(rg.draw(x * 2))
    loss.backward()
    with pytest.raises(RuntimeError, match="freed by an earlier backward"):
        rg.draw(loss)


def test_what_was_written_since_is_drawn_without_gradients_and_says_so():
    x = leaf(1.0, 2.0)
    loss = np.sum(x * x)
    with rg.no_grad():
        x += 1.0
    shown = check(rg.draw(loss))
    assert any(text.startswith("without gradients: ") for text in shown)
    assert texts(read(rg.draw(loss).svg)) == shown


def test_a_group_that_there_is_not_is_refused_with_those_that_there_are():
    net = small_net()
    loss = np.sum(net(np.ones((2, 2))))
    with pytest.raises(ValueError, match=r"no group 'net\.9' to unfold; there are: net, net\.0"):
        rg.draw(loss, unfold="net.9")
