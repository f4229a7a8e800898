import numpy as np
import pytest

import retrograd as rg
from retrograd import nn
from seeing.pictures import check

F = nn.functional


def make_step(net, loss_fn, optimizer):
    @rg.compile
    def step(x, y):
        loss = loss_fn(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


@pytest.fixture
def step():
    net = nn.Sequential(nn.Linear(2, 4, rng=0), nn.Tanh(), nn.Linear(4, 1, rng=1))
    step = make_step(net, nn.MSELoss(), rg.optim.SGD(net.parameters(), lr=0.1))
    step(np.ones((5, 2)), np.ones((5, 1)))
    return step


def test_every_line_of_a_program_that_makes_an_array_is_a_box(step):
    drawing = rg.draw(step)
    shown = check(drawing)
    names = [box.lines[0].text for box in drawing.scene.boxes]
    for row in step.readable().rows:
        if row.dtype is not None:
            assert ", ".join(row.targets) in names
    assert [frame.title for frame in drawing.scene.frames] == ["forward", "backward", "update"]
    assert {"x", "y", "loss"} <= {*names}
    assert drawing.scene.title.startswith("The program of step: ")
    assert "dashed: what the backward pass takes from the forward pass" in shown


def test_arrows_go_from_the_line_that_assigns_a_name_to_those_that_read_it(step):
    scene = rg.draw(step, unfold=True).scene
    names = [box.lines[0].text for box in scene.boxes]
    sections = [box.section for box in scene.boxes]
    rows = {row.targets[0]: row for row in step.readable().rows if row.section != "update"}
    found = 0
    for edge in scene.edges:
        source, target = names[edge.source], names[edge.target]
        if sections[edge.target] == "update":
            assert source in (f"d_{target}", target)
        else:
            assert source in rows[target].inputs
        assert edge.is_dashed == (sections[edge.source] == "forward" != sections[edge.target])
        found += 1
    assert found > 10


def test_programs_of_large_nets_are_folded():
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0)
    net = nn.TransformerEncoder(layer, 4)
    step = make_step(net, nn.MSELoss(), rg.optim.Adam(net.parameters()))
    x = np.random.default_rng(0).normal(size=(2, 3, 8))
    step(x, x)
    drawing = rg.draw(step, direction="right")
    check(drawing)
    assert len(drawing.scene.boxes) <= 50
    assert any("equal parts" in box.lines[0].text for box in drawing.scene.boxes)


def test_two_backward_passes_are_sections_of_their_own():
    w = rg.Tensor(np.ones(3), requires_grad=True)

    @rg.compile
    def step(x):
        for power in (2, 3):
            np.sum((w * x) ** power).backward()
        return w.grad

    step(np.ones(3))
    check(rg.draw(step))


def test_a_program_has_no_gradients_to_draw_and_must_have_run(step):
    with pytest.raises(ValueError, match="of the graph of a Tensor, not of a step"):
        rg.draw(step, gradients=True)
    with pytest.raises(RuntimeError, match="nothing is recorded yet"):
        rg.draw(rg.compile(np.sin))


@pytest.mark.parametrize("make", [
    lambda p: rg.optim.SGD(p, lr=0.1, momentum=0.9), lambda p: rg.optim.Adam(p, lr=0.1),
], ids=["momentum", "adam"])  # fmt: skip
def test_gradients_lead_to_the_loop_that_updates_with_them(make):
    net = nn.Sequential(nn.Linear(2, 4, rng=0), nn.Tanh(), nn.Linear(4, 1, rng=1))
    step = make_step(net, nn.MSELoss(), make(net.parameters()))
    step(np.ones((5, 2)), np.ones((5, 1)))
    scene = rg.draw(step, unfold=True).scene
    boxes = scene.boxes
    into = {
        boxes[edge.source].lines[0].text for edge in scene.edges
        if boxes[edge.target].section == "update" != boxes[edge.source].section
    }  # fmt: skip
    gradients = {name for row in step.readable().rows for name in row.targets
                 if row.section == "backward" and name.endswith(("weight", "bias"))}  # fmt: skip
    assert gradients
    assert gradients == {name for name in into if name.startswith("d_")}
    last = max(i for i, box in enumerate(boxes) if box.section == "backward")
    assert min(i for i, box in enumerate(boxes) if box.section == "update") > last
