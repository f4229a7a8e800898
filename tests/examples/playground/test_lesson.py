import contextlib
import io
import itertools
import json
import re
import runpy

import numpy as np
import pytest

import retrograd as rg
from record import TEN_LINES

RECORD = {
    "data": "quadrants", "layers": [4], "activation": "relu", "loss": "bce", "optimizer": "sgd",
    "rate": 0.1, "momentum": 0, "init": "small", "seed": 42,
}  # fmt: skip
TEN = [*TEN_LINES.splitlines(), "1000 steps: loss 0.4670, accuracy 0.8700"]


@pytest.fixture
def lesson(load_page_module, tmp_path, monkeypatch):
    module = load_page_module("lesson")
    monkeypatch.setattr(module, "_folder", tmp_path)
    monkeypatch.setattr(module, "_session", None)
    return module


@pytest.fixture
def ask(lesson):
    def ask(do, **request):
        text, _ = lesson.answer(json.dumps({"do": do, **request}))
        return json.loads(text, parse_constant=pytest.fail)  # JavaScript's JSON has no NaN

    return ask


def test_the_record_trains_to_its_ten_lines(ask):
    ask("start", settings=RECORD)
    ask("train", steps=400)
    answer = ask("train", steps=600)
    assert answer["epoch"] == 1000
    assert answer["lines"] == TEN


@pytest.mark.parametrize("data", ["quadrants", "moons", "circles", "spirals", "own"])
def test_the_script_prints_what_the_page_shows(ask, tmp_path, data):
    points = [[1.0, 0.5, 1], [-1.0, 2.25, 0], [0.5, -1.0, 1], [-2.0, -0.1, 0]]
    settings = {
        **RECORD, "data": data, "points": points, "layers": [5, 3], "activation": "tanh",
        "init": "xavier", "optimizer": "rmsprop", "rate": 0.01, "momentum": 0.5, "seed": 7,
    }  # fmt: skip
    ask("start", settings=settings)
    lines = ask("train", steps=130)["lines"]
    path = tmp_path / "copied.py"
    path.write_text(ask("script", steps=130)["script"])
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        runpy.run_path(str(path), run_name="__main__")
    assert printed.getvalue().splitlines() == lines
    assert len(lines) == 3
    assert max(map(len, path.read_text().splitlines())) <= 100


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "linear"])
def test_the_lines_shown_compute_what_the_next_step_does(
    lesson, load_page_module, tmp_path, optimizer, activation
):
    make = load_page_module("recipe").Recipe
    recipe = make(
        optimizer=optimizer, activation=activation, momentum=0.5, layers=(3, 2), init="xavier"
    )
    session = lesson.Lesson(recipe, tmp_path)
    for _ in range(3):
        lines = session.run_program()
        values = {name: after for line in lines for name, (_, after) in line.items()}
        session.train(1)
        for name, parameter in session.net.named_parameters():
            np.testing.assert_allclose(values[name.replace(".", "_")], parameter.data, rtol=1e-9)
    shown = [row.text for row in session.readable().rows]
    assert shown == [row.text for row in session.module.step.readable().rows]


def test_a_line_tells_its_value_rule_place_and_origin(ask):
    rows = ask("start", settings=RECORD)["program"]["rows"]
    ask("train", steps=3)
    texts = [row["text"] for row in rows]
    line = ask("line", number=texts.index("d_fc1 = d_a1 * (fc1 > 0)"))
    assert line["rule"] == "relu(fc1) sends to fc1: g * np.sign(out)"
    assert line["place"]["parts"] == ["layer1"]
    assert line["origin_text"].startswith("a1 = F.relu(self.fc1(x))")
    assert line["values"][0]["shape"] == "(200, 4)"
    update = ask("line", number=texts.index("fc2_weight -= lr * d_fc2_weight"))["values"][0]
    assert update["before"] != update["value"]
    assert "no such line" in ask("line", number=len(rows))["error"]


def test_every_line_has_a_rule(ask):
    for optimizer, activation in itertools.product(("sgd", "adam"), ("relu", "linear")):
        settings = {**RECORD, "layers": [3, 2], "optimizer": optimizer, "activation": activation}
        rows = ask("start", settings=settings)["program"]["rows"]
        assert all(ask("line", number=i)["rule"] for i in range(len(rows)))


@pytest.mark.parametrize(("name", "place"), [("fc1.weight", [0, 1]), ("fc2.bias", [0])])
def test_a_weight_is_explained_tried_and_left_as_it_was(ask, lesson, name, place):
    ask("start", settings=RECORD)
    ask("train", steps=500)
    before = lesson._session.net.state_dict()
    found = ask("weight", name=name, place=place)
    assert found["changed"] == pytest.approx(found["expected"], rel=0.01)
    assert f"to {name}" in found["text"]
    assert "g.T.dot" in found["said"]
    for key, value in lesson._session.net.state_dict().items():
        np.testing.assert_array_equal(value, before[key])
    assert "no fc9.weight" in ask("weight", name="fc9.weight", place=[0, 0])["error"]
    assert "no fc1.weight[4, 0]" in ask("weight", name="fc1.weight", place=[4, 0])["error"]


def test_looking_changes_no_run(ask):
    ask("start", settings=RECORD)
    alone = ask("train", steps=20)["losses"]
    ask("start", settings=RECORD)
    looked = []
    for _ in range(20):
        looked += ask("train", steps=1)["losses"]
        ask("line", number=12)
        ask("weight", name="fc1.weight", place=[0, 0])
    assert looked == alone


def test_gradients_are_those_that_the_next_step_uses(lesson, load_page_module, tmp_path):
    session = lesson.Lesson(load_page_module("recipe").Recipe(init="kaiming"), tmp_path)
    session.train(3)
    found, before = session.gradients(), session.net.state_dict()
    session.train(1)
    for name, parameter in session.net.named_parameters():
        moved = before[name] - 0.1 * found[name].data
        np.testing.assert_allclose(parameter.data, moved, rtol=1e-12)


def test_pictures_hold_the_plane_and_each_unit(lesson):
    text, pixels = lesson.answer(
        json.dumps({"do": "start", "settings": {**RECORD, "layers": [3, 2], "init": "kaiming"}})
    )
    grid = json.loads(text)["grid"]
    planes = np.frombuffer(pixels, np.uint8).reshape(1 + 3 + 2 + 1, grid, grid)
    assert (planes[1:-1].min(axis=(1, 2)) >= 127).all()  # no unit is below 0 after a ReLU
    assert planes[0].std() > 0


def test_the_border_of_a_net_that_is_nearly_undecided_is_told(lesson):
    text, pixels = lesson.answer(json.dumps({"do": "start", "settings": RECORD}))
    grid = json.loads(text)["grid"]
    planes = np.frombuffer(pixels, np.uint8).reshape(1 + 4 + 1, grid, grid)
    assert np.ptp(planes[0]) <= 1
    assert np.ptp(planes[-1]) > 100
    says = lesson._session.forward(rg.Tensor(lesson._session.plane))[1].data
    decided = says[:, 0] != 0.5
    np.testing.assert_array_equal((planes[-1].ravel() > 127.5)[decided], says[decided, 0] > 0.5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": "stars"}, "There is no data 'stars'"),
        ({"layers": [9]}, "1 to 8 units"),
        ({"layers": [1] * 5}, "At most 4 hidden layers"),
        ({"rate": 0}, "above 0"),
        ({"rate": "fast"}, "cannot be read"),
        ({"rate": float("inf")}, "above 0"),
        ({"momentum": 1}, "below 1"),
        ({"seed": -1}, "whole number"),
        ({"data": "own", "points": [[0, 0, 1]]}, "one point of each class"),
        ({"data": "own", "points": [[0, 0]]}, "cannot be read"),
    ],
)
def test_bad_settings_are_refused_in_words(ask, change, words):
    assert words in ask("start", settings={**RECORD, **change})["error"]


@pytest.mark.parametrize(
    "change",
    [
        {"layers": [8, 8], "init": "kaiming", "rate": 1e4},
        {"layers": [4, 3], "data": "moons", "init": "kaiming", "rate": 1000},
        {"layers": [4], "init": "kaiming", "rate": 1e200},
        {"layers": [4], "init": "kaiming", "optimizer": "adam", "rate": 1e5},
    ],
)
def test_a_rate_that_diverges_is_told_with_one_that_does_not(ask, change):
    settings = {**RECORD, **change}
    ask("start", settings=settings)
    answer = ask("train", steps=1000)
    assert f"the learning rate {settings['rate']:g} is too large" in answer["error"]
    # what it did until then is shown
    assert len(answer["losses"]) == len(answer["accuracies"]) == answer["epoch"] < 1000
    lower = re.search(r"Try a rate of (.*?)\. ", answer["error"] + " ")
    if lower:
        ask("start", settings={**settings, "rate": float(lower[1])})
        answer = ask("train", steps=100)
        assert "error" not in answer
        assert answer["losses"][-1] <= answer["losses"][0]
    else:
        assert settings["rate"] == 1e200


def test_a_request_before_the_first_or_an_unknown_one_is_answered(ask):
    assert "Nothing has been started" in ask("train", steps=1)["error"]
    ask("start", settings=RECORD)
    assert "Nothing here answers" in ask("sing")["error"]
