"""The page in a real browser, with Python in it. Pictures of it go to a folder if one is named:

RETROGRAD_SCREENSHOTS=shots python -m pytest tests/examples/playground/test_page.py
"""

import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from record import TEN_LINES

# milliseconds, so many that a machine that is busy with other tests keeps to them
LOADED = 240_000  # 10 MB of WebAssembly are compiled
RUN = 90_000
ROOT = Path(__file__).parents[3]
TEN = [*TEN_LINES.splitlines(), "1000 steps: loss 0.4670, accuracy 0.8700"]


@contextlib.contextmanager
def open_page(browser, address, **options):
    """Open the page in a context of its own, and fail on whatever it complains of."""
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"], **options)
    page = context.new_page()
    complaints = []
    page.set_default_timeout(RUN)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
    page.goto(address)
    page.wait_for_selector("#play:enabled", timeout=LOADED)
    page.wait_for_selector(".line", timeout=RUN)
    yield page
    assert complaints == []
    context.close()


@pytest.fixture(scope="module")
def opened(browser, address):
    with open_page(browser, address, viewport={"width": 1500, "height": 1000}) as page:
        yield page


@pytest.fixture
def page(opened):
    """Give the one page of this file, with the record's settings and no step done."""
    set_address(opened, "data=quadrants")
    return opened


def set_address(page, query):
    page.evaluate(
        "query => { document.getElementById('status').textContent = ''; location.hash = query; }",
        query,
    )
    wait_for_status(page, r"^Ready|^\d+ steps: loss")


def wait_for_status(page, pattern):
    page.wait_for_function(
        "pattern => new RegExp(pattern).test(document.getElementById('status').textContent)",
        arg=pattern, timeout=RUN,
    )  # fmt: skip


def train(page, button="#record"):
    page.click(button)
    wait_for_status(page, r"^1000 steps: loss")


def read_log(page):
    return page.text_content("#log").splitlines()


def take_picture(page, name):
    folder = os.environ.get("RETROGRAD_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder, f"{name}.png"), full_page=True)


def find_serious(page, cache):
    """Return what axe-core finds serious or worse, each with the elements concerned."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate((cache / "axe.min.js").read_text())
    found = page.evaluate("() => axe.run()")
    assert len(found["passes"]) > 20  # it has looked
    return {
        f"{v['id']}: {v['help']}": [node["html"][:120] for node in v["nodes"]]
        for v in found["violations"] if v["impact"] in ("serious", "critical")
    }  # fmt: skip


def test_the_record_trains_to_its_ten_lines(page):
    train(page)
    assert read_log(page) == TEN
    assert page.text_content("#epoch") == "1000"


def test_the_better_recipe_ends_at_accuracy_1(page):
    train(page, "#better")
    assert page.text_content("#accuracy") == "1.0000"
    assert page.text_content("#loss") == "0.0230"
    assert "100.0 percent" in page.get_attribute("#plane", "aria-label")


def test_data_and_layers_change_the_net_and_its_program(page):
    page.check("[value=circles]")
    page.click("#layer-more")
    page.fill("[aria-label='Units in hidden layer 1']", "6")
    page.select_option("#activation", "tanh")
    page.wait_for_selector(".line:has-text('np.tanh(fc2)')")
    assert page.locator("button.unit").count() == 6 + 4 + 1
    assert page.locator("#edges .hit").count() == 2 * 6 + 6 * 4 + 4
    page.click("#step")
    wait_for_status(page, r"^1 steps: loss")


def test_a_line_shows_its_value_rule_and_place(page):
    page.click("#step")
    wait_for_status(page, r"^1 steps: loss")
    line = page.locator(".line:has-text('d_fc1 = d_a1 * (fc1 > 0)')")
    line.click()
    detail = page.locator("#rows .detail:visible")
    detail.wait_for()
    said = detail.inner_text()
    for words in ("(200, 4)", "relu(fc1) sends to fc1", "hidden layer 1", "self.fc1(x)"):
        assert words in said
    assert line.get_attribute("aria-expanded") == "true"
    assert page.locator("button.unit.marked").count() == 4
    line.press("Enter")
    assert page.locator("#rows .detail:visible").count() == 0


def test_a_weight_is_explained_by_a_click_and_from_the_list(page):
    page.click("#step")
    wait_for_status(page, r"^1 steps: loss")
    name, x, y = page.evaluate("""() => {
        // the first line whose middle no other line hides
        for (const path of document.querySelectorAll("#edges .hit")) {
            const { x, y } = path.getPointAtLength(path.getTotalLength() / 2);
            const box = document.getElementById("edges").getBoundingClientRect();
            const [left, top] = [box.left + x, box.top + y];
            if (document.elementFromPoint(left, top) === path) return [path.textContent, left, top];
        }
    }""")
    page.mouse.click(x, y)
    page.wait_for_selector(f"#weight-detail h3:has-text('{name.replace(',', ', ')}')")
    assert page.input_value("#weight") == name.replace("[", "|").strip("]")
    assert "rg.explain" in page.inner_text("#weight-detail")
    page.select_option("#weight", "fc2.bias|0")
    page.wait_for_selector("#weight-detail h3:has-text('fc2.bias[0]')")
    assert "to fc2.bias" in page.inner_text("#weight-detail")


def test_the_shared_address_restores_the_run(page, browser, address):
    set_address(page, "data=moons&layers=5-3&activation=tanh&init=xavier&optimizer=adam"
                      "&rate=0.02&seed=3&steps=250")  # fmt: skip
    wait_for_status(page, "^250 steps")
    page.click("#share")
    wait_for_status(page, "copied")
    shared = page.evaluate("() => navigator.clipboard.readText()")
    with open_page(browser, shared) as other:
        wait_for_status(other, "^250 steps")
        assert other.url == page.url == shared
        assert read_log(other) == read_log(page)
        assert other.input_value("#optimizer") == "adam"


def test_points_of_ones_own_are_trained_and_shared(page):
    page.check("[value=own]")
    wait_for_status(page, "one point of each class")
    box = page.locator("#plane").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.25)
    page.check("[name=class][value='0']")
    page.fill("#own-x1", "-1.5")
    page.fill("#own-x2", "-1")
    page.click("#own-add")
    page.wait_for_selector(".line")
    page.click("#step")
    wait_for_status(page, r"^1 steps: loss")
    found = re.search(r"points=([^&]*)", page.url)[1]
    assert found.endswith("-1.5%2C-1%2C0")


def test_the_copied_script_prints_the_same_losses_elsewhere(page, tmp_path):
    train(page)
    page.click("#copy")
    wait_for_status(page, "copied")
    path = tmp_path / "copied.py"
    path.write_text(page.evaluate("() => navigator.clipboard.readText()"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, path], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.splitlines() == read_log(page) == TEN


def test_a_rate_that_diverges_is_said_in_words(page, cache):
    set_address(page, "layers=8-8&init=kaiming&rate=10000")
    page.click("#play")
    page.wait_for_selector("#error:visible")
    assert "learning rate 10000 is too large" in page.text_content("#error")
    assert float(page.text_content("#loss")) > 10  # the step that went too far is shown
    take_picture(page, "desktop-diverged")
    assert find_serious(page, cache) == {}
    assert page.text_content("#play") == "Play"
    page.fill("#rate", "0.1")
    page.press("#rate", "Tab")
    page.wait_for_selector("#error", state="hidden")
    page.click("#step")
    wait_for_status(page, r"^1 steps: loss")


def test_an_address_that_holds_no_run_is_said_in_words(page):
    page.evaluate("() => { location.hash = 'data=stars'; }")
    page.wait_for_selector("#error:visible")
    assert "There is no data 'stars'" in page.text_content("#error")
    assert page.is_checked("[value=quadrants]")


def test_the_keyboard_alone_trains_and_opens_a_line(page):
    page.focus("#step")
    page.keyboard.press("Enter")
    wait_for_status(page, r"^1 steps: loss")
    page.focus(".skip")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.wait_for_selector("#rows .detail:visible")
    page.focus("[name=data]:checked")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => location.hash.includes('data=moons')")


def test_the_link_to_the_program_leaves_the_run_as_it_is(page):
    set_address(page, "data=moons&layers=3&steps=20")
    wait_for_status(page, "^20 steps")
    before = page.url
    page.focus(".skip")
    page.keyboard.press("Enter")
    assert page.evaluate("() => document.activeElement.id") == "program"
    page.click("#step")
    wait_for_status(page, "^21 steps")
    assert page.url == before.replace("steps=20", "steps=21")


def test_a_page_that_changes_its_size_between_two_runs_draws_the_one_it_has(page):
    size = page.viewport_size
    page.evaluate("() => { change({ layers: [3, 2] }); }")  # asked for, and not there yet
    page.evaluate("() => { buildNet(); draw(); change({ layers: [] }); buildNet(); draw(); }")
    page.wait_for_function("() => document.querySelectorAll('button.unit').length === 1")
    page.set_viewport_size({"width": 700, "height": 900})
    assert not page.is_visible("#activation")
    page.set_viewport_size(size)
    page.wait_for_selector("#activation:visible")


def test_no_task_of_the_page_keeps_it_from_drawing(page):
    set_address(page, "layers=8-8-8-8&init=kaiming&optimizer=adam&rate=0.001")
    page.evaluate("""() => {
        window.tasks = [];
        new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) window.tasks.push(entry.duration);
        }).observe({ type: "longtask" });
    }""")
    page.select_option("#speed", "0")
    page.click("#play")
    page.wait_for_function("() => Number(document.getElementById('epoch').textContent) > 300",
                           timeout=RUN)  # fmt: skip
    page.click("#play")
    page.select_option("#speed", "200")
    tasks = page.evaluate("() => window.tasks")
    print("tasks over 50 ms while training, in ms:", json.dumps(tasks))
    # told, not judged: how long a task takes says as much of the machine as of the page


@pytest.fixture(scope="module")
def phone(browser, address):
    options = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
    with open_page(browser, address, **options) as page:
        yield page


def test_points_are_set_on_a_phone_beneath_the_picture(phone, cache):
    phone.click("#settings summary")
    phone.check("[value=own]")
    wait_for_status(phone, "one point of each class")
    assert phone.text_content("#epoch") == "0"
    assert phone.locator("#own").evaluate("e => e.closest('section').id") == "picture"
    phone.tap("#plane", position={"x": 250, "y": 80})
    phone.check("[name=class][value='0']")
    phone.tap("#plane", position={"x": 80, "y": 250})
    phone.wait_for_selector(".line")
    phone.click("#settings summary")
    assert phone.text_content("#settings-now").startswith("My own, 4 ReLU")
    take_picture(phone, "phone-own")
    assert find_serious(phone, cache) == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_it_is_accessible_and_fits(request, cache, size, scheme):
    page = request.getfixturevalue({"desktop": "page", "phone": "phone"}[size])
    page.emulate_media(color_scheme=scheme)
    train(page, "#record" if scheme == "light" else "#better")
    page.click(".line:has-text('d_fc1 =')")
    page.wait_for_selector("#rows .detail:visible")
    take_picture(page, f"{size}-{scheme}-line")
    assert find_serious(page, cache) == {}
    page.select_option("#weight", "fc1.weight|1,0")
    page.wait_for_selector("#weight-detail h3")
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert find_serious(page, cache) == {}
    width, shown = page.evaluate("() => [document.documentElement.scrollWidth, innerWidth]")
    assert width <= shown
    take_picture(page, f"{size}-{scheme}-weight")
