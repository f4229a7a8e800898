"""Programs as C files, compiled with all warnings and run without Python's arrays."""

import ctypes
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

import retrograd as rg
from retrograd.compiler.c.code import Function
from retrograd.compiler.c.header import bytes_on_stack, find_prefix

nn, F = rg.nn, rg.nn.functional
README = Path(__file__).parents[3] / "README.md"
STRICT = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-pedantic"]


def pointer(a):
    return ctypes.c_void_p(a.ctypes.data)


@pytest.fixture
def build(compiler, tmp_path):
    """Return a function that exports a step, compiles it strictly and loads it."""

    def build(step, name="step", options=()):
        step.export(tmp_path / f"{name}.c", overwrite=True)
        library = tmp_path / f"{name}_{len([*tmp_path.iterdir()])}.so"
        line = [*compiler, *STRICT, *options, "-shared", "-fPIC", f"{name}.c", "-o", str(library)]
        subprocess.run([*line, "-lm"], cwd=tmp_path, check=True)
        text = (tmp_path / f"{name}.h").read_text()
        size = int(text.partition("RAM: ")[2].split()[0]) if "RAM: a little" not in text else 0
        return ctypes.CDLL(str(library)), np.zeros(size + 64, np.uint8), text

    return build


def make_digits(dtype, optimizer):
    model = nn.Sequential(nn.Linear(16, 8, rng=1), nn.ReLU(), nn.Linear(8, 4, rng=2))
    for p in model.parameters():
        p.data = p.data.astype(dtype)
    update = optimizer(model.parameters())

    @rg.compile
    def step(x, y):
        update.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        update.step()
        return loss

    return step, model, update


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "optimizer",
    [
        lambda p: rg.optim.SGD(p, lr=0.1, momentum=0.9),
        lambda p: rg.optim.Adam(p, lr=0.01),
    ],
)
def test_an_exported_step_trains_as_the_compiled_one(build, dtype, optimizer):
    step, _, _ = make_digits(dtype, optimizer)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 16)).astype(dtype), rng.integers(0, 4, 12)
    for _ in range(4):
        step(x, y)
    library, state, text = build(step)
    assert "x: (12, 16)" in text
    run = library.step_run
    run.restype = ctypes.c_double if dtype == np.float64 else ctypes.c_float
    library.step_init(pointer(state))
    for _ in range(5):
        here, there = step(x, y).item(), run(pointer(state), pointer(x), pointer(y))
        assert here == pytest.approx(there, rel=float(300 * np.finfo(dtype).eps))
    wrong = np.where(np.arange(12) == 3, 9, y)
    before = state.copy()
    assert np.isnan(run(pointer(state), pointer(x), pointer(wrong)))
    count = 8 * 3 + 172 * np.dtype(dtype).itemsize  # the numbers and the parameters
    np.testing.assert_array_equal(state[:count], before[:count])


@pytest.mark.parametrize("options", [(), ("-DVECTORS", "-fopenmp-simd", "-O3")])
def test_an_exported_model_predicts_with_constant_weights(build, options):
    model = nn.Sequential(
        nn.Linear(3, 5, rng=0), nn.Tanh(), nn.Linear(5, 4, rng=1), nn.Softmax(axis=1)
    )
    compiled, x = rg.compile(model), np.random.default_rng(0).normal(size=(6, 3))
    with rg.no_grad():
        for _ in range(3):
            expected = compiled(x).data
    library, state, text = build(compiled, "predict", options)
    assert "init" not in text
    found = np.zeros((6, 4))
    library.predict(pointer(state), pointer(x), pointer(found))
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_results_of_any_layout_come_in_their_order(build):
    step = rg.compile(lambda x: (np.transpose(np.exp(x)), x[1:, ::2] * 2, np.sum(x)))
    x = np.random.default_rng(0).normal(size=(3, 4))
    expected = [t.data for t in (step(x), step(x))[1]]
    library, state, _ = build(step)
    outs = [np.zeros(t.shape) for t in expected]
    library.step_run(pointer(state), pointer(x), *map(pointer, outs))
    for a, b in zip(outs, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)


def test_sanitizers_find_nothing(compiler, tmp_path):
    step, _, _ = make_digits(np.float64, lambda p: rg.optim.Adam(p, lr=0.01))
    rng = np.random.default_rng(0)
    for _ in range(2):
        step(rng.normal(size=(12, 16)), rng.integers(0, 4, 12))
    step.export(tmp_path / "step.c")
    (tmp_path / "main.c").write_text("""
#include "step.h"
static step_state state;
int main(void) {
    double x[192] = {1.0, -2.0}, total = 0;
    int64_t y[12] = {1, 3};
    int i;
    step_init(&state);
    for (i = 0; i < 20; i++) total += step_run(&state, x, y);
    y[4] = 11;
    return !(total > 0) || step_run(&state, x, y) == 0;
}
""")
    checks = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    line = [*compiler, *STRICT, *checks, "main.c", "step.c", "-o", "main", "-lm"]
    made = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    if made.returncode and "sanitize" in made.stderr + "asan" * ("asan" in made.stderr):
        pytest.skip("the compiler has no sanitizers")
    assert made.returncode == 0, made.stderr
    ran = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.skipif(not README.exists(), reason="these tests run without a README")
def test_the_lines_of_c_in_the_readme_train(compiler, tmp_path):
    model = nn.Sequential(nn.Linear(2, 4, rng=0), nn.ReLU(), nn.Linear(4, 1, rng=1)).float()
    optimizer = rg.optim.SGD(model.parameters(), lr=0.1)

    @rg.compile
    def step(x, y):
        optimizer.zero_grad()
        loss = np.mean((model(x) - y) ** 2)
        loss.backward()
        optimizer.step()
        return loss

    x, y = np.ones((3, 2), np.float32), np.ones((3, 1), np.float32)
    step(x, y)
    step.export(tmp_path / "step.c")
    (text,) = re.findall(r"^```c\n(.*?)^```$", README.read_text(), re.M | re.S)
    (tmp_path / "train.c").write_text(text)
    strict = [*compiler, *STRICT, "-shared", "-fPIC", "train.c", "step.c", "-o", "train.so", "-lm"]
    subprocess.run(strict, cwd=tmp_path, check=True)
    train = ctypes.CDLL(str(tmp_path / "train.so")).train
    train.restype = ctypes.c_float
    found = train(pointer(x), pointer(y), 20)
    expected = [step(x, y).item() for _ in range(20)][-1]
    assert found == pytest.approx(expected, rel=1e-3)


def test_what_has_no_form_is_refused_with_the_line(tmp_path):
    step = rg.compile(lambda x: np.linalg.inv(np.exp(x)) * 2)
    step(np.eye(3))
    with pytest.raises(TypeError, match=r"linalg.inv.* has no form in C") as found:
        step.export(tmp_path / "step.c")
    assert "rg.compile(lambda x: np.linalg.inv(np.exp(x))" in str(found.value)
    assert not [*tmp_path.iterdir()]


def test_files_that_are_there_are_left_alone(tmp_path):
    step = rg.compile(lambda x: np.exp(x))
    step(np.eye(3))
    (tmp_path / "step.h").write_text("mine")
    with pytest.raises(FileExistsError, match=r"step\.h exists: pass overwrite=True"):
        step.export(tmp_path / "step.c")
    assert (tmp_path / "step.h").read_text() == "mine"
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        step.export(tmp_path / "no" / "step.c")


def test_the_bytes_on_the_stack_are_those_of_the_function_that_has_most():
    texts = ["double t[4][8];\n    int r;", "float a[3]; uint8_t b[2][5];\n double c = x[7];", ""]
    found = [Function(f"f{i}", text, []) for i, text in enumerate(texts)]
    assert bytes_on_stack(found) == 256
    assert bytes_on_stack(found[1:]) == 22
    assert bytes_on_stack([]) == 0


@pytest.mark.parametrize(
    ("name", "prefix"),
    [("step", "step"), ("2nd net", "n2nd_net"), ("größe", "gr__e"), ("_x_", "x"), ("é", "program")],
)
def test_names_begin_with_that_of_the_file(name, prefix):
    assert find_prefix(Path("folder", f"{name}.c")) == prefix


def test_a_step_compiled_for_c_is_exported_as_any(build):
    step, _, _ = make_digits(np.float64, lambda p: rg.optim.SGD(p, lr=0.1))
    other = rg.compile(step.fn, target="c")
    x, y = np.ones((12, 16)), np.arange(12) % 4
    for _ in range(3):
        other(x, y)
    library, state, _ = build(other)
    library.step_init(pointer(state))
    library.step_run.restype = ctypes.c_double
    found = library.step_run(pointer(state), pointer(x), pointer(y))
    assert found == pytest.approx(other(x, y).item(), rel=1e-12)


@pytest.mark.parametrize("name", ["math.c", 'a"b.c', "a\\b.c", "a\nb.c"])
def test_a_file_that_could_not_be_included_is_refused(name, tmp_path):
    step = rg.compile(lambda x: np.exp(x))
    step(np.ones(3))
    with pytest.raises(ValueError, match=r"another name|a name without"):
        step.export(tmp_path / name)
    assert not [*tmp_path.iterdir()]


def test_extremes_of_float32_need_no_numbers_of_64_bits(tmp_path):
    step = rg.compile(lambda x: (np.max(x, axis=0), np.min(x, axis=1), np.max(x * 2)))
    x = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    for _ in range(2):
        step(x)
    step.export(tmp_path / "step.c")
    assert "double" not in (tmp_path / "step.c").read_text()


@pytest.mark.parametrize(
    ("fn", "instead"),
    [
        (lambda x: np.argsort(x > 0), 'kind="stable"'),
        (lambda x: np.sort(x > 0), 'kind="stable"'),
        (lambda x: np.digitize(x, [0.5, 0.0]), "list that go up"),
    ],
)
def test_a_refusal_names_the_line_and_what_to_write(fn, instead, tmp_path):
    step = rg.compile(fn)
    for _ in range(3):
        step(np.linspace(-1, 1, 40))
    with pytest.raises(TypeError, match="has no form in C") as caught:
        step.export(tmp_path / "step.c")
    assert instead in str(caught.value)
    assert "test_export.py" in str(caught.value)
    assert not [*tmp_path.iterdir()]


BETA, OPTIONS, SHARES = 0.75, {"lam": 0.5, '*/ """ \\': 3}, (1.5, np.float32(2.5))


def test_a_file_names_the_numbers_that_it_has_built_in(build, tmp_path):
    model = nn.Sequential(nn.Linear(3, 2, rng=0), nn.LeakyReLU(0.25))
    optimizer = rg.optim.Adam(model.parameters(), lr=0.01, weight_decay=0.125)
    width = 7

    def scaled(x, by=0.0625):
        return x * BETA * OPTIONS["lam"] * by + SHARES[0] * width

    @rg.compile
    def step(x, power):
        optimizer.zero_grad()
        loss = np.sum(model(scaled(x)) ** power)
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(3):
        step(np.ones((4, 3)), 2)
    _, _, text = build(step)
    step.export(tmp_path / "fast.py")
    step.export(tmp_path / "read.py", readable=True)
    texts = [text, (tmp_path / "fast.py").read_text(), (tmp_path / "read.py").read_text()]
    for found in texts:
        told = found.partition("Built in ")[2]
        for line in (
            "power = 2", "BETA = 0.75", 'OPTIONS["lam"] = 0.5', "SHARES = (1.5, 2.5)", "width = 7",
            "scaled.__defaults__ = (0.0625,)", "weight_decay of the optimizer = 0.125",
            "betas[1] of the optimizer = 0.999",
        ):  # fmt: skip
            assert f"    {line}\n" in told, line
        assert "negative_slope = 0.25" in told
        assert "lr of the" not in told
    for name in ("fast", "read"):
        exec(compile((tmp_path / f"{name}.py").read_text(), name, "exec"), {"__name__": name})


def test_a_file_without_numbers_from_outside_names_none(build):
    step = rg.compile(lambda x: x * 2)
    for _ in range(3):
        step(np.ones(3))
    assert "Built in" not in build(step)[2]
