"""An exported program runs in a process where the library cannot be imported."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import retrograd as rg

RNG = np.random.default_rng(5)
ALONE = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "retrograd":
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
sys.path.insert(0, "")
import numpy as np
import exported
data = np.load("arguments.npz")
call = getattr(exported, "step", None) or exported.predict
np.save("out.npy", [call(*[data[n] for n, _, _ in exported.ARGUMENTS]) for _ in range(5)])
"""


def run_alone(folder, **arguments):
    np.savez(folder / "arguments.npz", **arguments)
    subprocess.run([sys.executable, "-W", "error", "-c", ALONE], cwd=folder, check=True,
                   env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"})  # fmt: skip
    return np.load(folder / "out.npy")


def training(model, optimizer, loss_fn):
    @rg.compile
    def step(x, y):
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


NETS = {
    "small": lambda: rg.nn.Sequential(rg.nn.Linear(6, 4), rg.nn.Tanh(), rg.nn.Linear(4, 3)),
    "large": lambda: rg.nn.Sequential(rg.nn.Linear(6, 200), rg.nn.ReLU(), rg.nn.Linear(200, 3)),
    "dropout": lambda: rg.nn.Sequential(
        rg.nn.Linear(6, 8), rg.nn.Dropout(0.5, rng=np.random.default_rng(2)), rg.nn.Linear(8, 3)
    ),
    "batch norm": lambda: rg.nn.Sequential(
        rg.nn.Linear(6, 8), rg.nn.BatchNorm1d(8), rg.nn.Linear(8, 3)
    ),
    "convolution": lambda: rg.nn.Sequential(
        rg.nn.Unflatten(1, (1, 6)), rg.nn.Conv1d(1, 4, 3, padding=1), rg.nn.ReLU(),
        rg.nn.MaxPool1d(2), rg.nn.Flatten(), rg.nn.Linear(12, 3),
    ),
}  # fmt: skip


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("net", NETS)
def test_an_exported_training_step_goes_on_as_the_compiled_one(net, optimizer, tmp_path):
    model = NETS[net]()
    step = training(
        model, getattr(rg.optim, optimizer)(model.parameters(), lr=0.05), rg.nn.CrossEntropyLoss()
    )
    x, y = RNG.normal(size=(7, 6)), RNG.integers(0, 3, 7)
    for _ in range(4):
        step(x, y)
    step.export(tmp_path / "exported.py")
    alone = run_alone(tmp_path, x=x, y=y)
    np.testing.assert_allclose(alone, [step(x, y).item() for _ in range(5)], rtol=1e-12)
    assert (tmp_path / "exported.npz").exists() == (net in ("large",) or optimizer == "never")


def test_an_exported_module_predicts(tmp_path):
    model = NETS["large"]().eval()
    fast = rg.compile(model)
    x = RNG.normal(size=(5, 6))
    with rg.no_grad():
        fast(x)
    fast.export(tmp_path / "exported.py")
    alone = run_alone(tmp_path, input=x)
    np.testing.assert_allclose(alone[0], model(x).data, rtol=1e-12)


def test_functions_that_are_one_call_of_a_program_go_along(tmp_path):
    special = rg.special
    step = rg.compile(
        lambda x: special.jv(0.5, x) + special.gammainc(2.0, x) + special.betainc(2, 3, x / 9)
    )
    x = np.linspace(0.5, 2.0, 4)
    want = step(x)
    step.export(tmp_path / "exported.py")
    np.testing.assert_allclose(run_alone(tmp_path, x=x)[0], want.data, rtol=1e-11)


def exported(tmp_path, fn=lambda x: x * 2, x=(1.0, 1.0, 1.0)):
    step = rg.compile(fn)
    step(np.array(x))
    step.export(tmp_path / "exported.py")
    return step


def test_main_runs_on_a_file_and_says_what_it_takes(tmp_path):
    exported(tmp_path)
    script = [sys.executable, str(tmp_path / "exported.py")]
    done = subprocess.run(script, capture_output=True, text=True)
    assert done.returncode == 2
    assert "x: (3,) float64" in done.stdout
    np.savez(tmp_path / "data.npz", x=np.arange(3.0))
    done = subprocess.run(
        [*script, str(tmp_path / "data.npz"), "2"], capture_output=True, text=True
    )
    assert done.stdout == "[0. 2. 4.]\n[0. 2. 4.]\n"


def test_an_exported_function_refuses_another_shape(tmp_path, monkeypatch):
    exported(tmp_path)
    space = {"__file__": str(tmp_path / "exported.py"), "__name__": "exported"}
    exec((tmp_path / "exported.py").read_text(), space)
    with pytest.raises(ValueError, match=r"x must have the shape \(3,\), not \(4,\)"):
        space["step"](np.ones(4))


def test_a_file_that_exists_is_overwritten_only_when_asked(tmp_path):
    step = exported(tmp_path)
    before = (tmp_path / "exported.py").read_bytes()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        step.export(tmp_path / "exported.py")
    step.export(tmp_path / "exported.py", overwrite=True)
    assert (tmp_path / "exported.py").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["exported.py"]


def test_what_cannot_be_exported_writes_nothing(tmp_path):
    w = rg.Tensor(np.ones(3), requires_grad=True)
    adds = rg.compile(lambda x: np.sum(w * x).backward())
    adds(np.ones(3))
    adds(np.ones(3))
    with pytest.raises(TypeError, match="zero_grad"):
        adds.export(tmp_path / "exported.py")
    step = rg.compile(lambda x: x)
    with pytest.raises(RuntimeError, match="call the compiled function first"):
        step.export(tmp_path / "exported.py")
    step(np.ones(2))
    with pytest.raises(ValueError, match=r"end in \.py"):
        step.export(tmp_path / "exported.txt")
    with pytest.raises(FileNotFoundError, match="no folder"):
        step.export(tmp_path / "none" / "exported.py")
    assert not list(tmp_path.iterdir())


# Scripts that several threads call, that are given other dtypes, that save what they have trained

THREADS = """
import threading
import numpy as np
import exported

inputs = [np.full((64, 6), float(i)) for i in range(4)]
right = [exported.predict(x) for x in inputs]
wrong = []

def call(i):
    for _ in range(200):
        if not np.array_equal(exported.predict(inputs[i]), right[i]):
            wrong.append(i)

threads = [threading.Thread(target=call, args=(i,)) for i in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not wrong, len(wrong)
"""


def run_script(folder, code, *arguments):
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_threads_may_call_one_exported_function(tmp_path):
    fast = rg.compile(NETS["large"]().eval())
    with rg.no_grad():
        fast(RNG.normal(size=(64, 6)))
    fast.export(tmp_path / "exported.py")
    done = run_script(tmp_path, THREADS)
    assert done.returncode == 0, done.stderr


TYPES = """
import numpy as np, exported
print(exported.step(np.arange(3)), exported.step([1, 2, 3]), exported.step(np.ones(3, np.float32)))
for wrong in (np.ones(3, np.longdouble), np.ones(3, complex), np.array(["a", "b", "c"])):
    try:
        exported.step(wrong)
    except TypeError as error:
        print(error)
"""

LABELS = """
import numpy as np, exported
print(exported.step(np.array([1, 0], np.int32)), exported.step([1, 0]), exported.step([True, 0]))
for wrong in (np.array([1.0, 0.0]), [1.7, 0.0], np.array([1, 0], np.uint64)):
    try:
        exported.step(wrong)
    except TypeError as error:
        print(error)
"""


def test_dtypes_of_arguments_are_checked(tmp_path):
    exported(tmp_path)
    lines = run_script(tmp_path, TYPES).stdout.splitlines()
    assert lines[0] == "[0. 2. 4.] [2. 4. 6.] [2. 2. 2.]"
    assert [line[:33] for line in lines[1:]] == ["x must have the dtype float64, no"] * 3
    folder = tmp_path / "labels"
    folder.mkdir()
    table = rg.Tensor([10.0, 20.0])
    step = rg.compile(lambda y: table[y])
    step(np.array([0, 1]))
    step.export(folder / "exported.py")
    lines = run_script(folder, LABELS).stdout.splitlines()
    assert lines[0] == "[20. 10.] [20. 10.] [20. 10.]"
    dtypes = ["float64", "float64", "uint64"]
    assert lines[1:] == [f"y must have the dtype int64, not {dtype}" for dtype in dtypes]


def test_lists_of_numbers_fit_arguments_of_float32(tmp_path):
    exported(tmp_path, x=np.ones(3, np.float32))
    done = run_script(tmp_path, "import exported; print(exported.step([0.5, 1, 2]).dtype)")
    assert done.stdout == "float32\n"


@pytest.mark.parametrize("net", ["small", "large"])
def test_what_is_trained_is_saved(net, tmp_path):
    model = NETS[net]()
    step = training(model, rg.optim.Adam(model.parameters(), lr=0.05), rg.nn.CrossEntropyLoss())
    x, y = RNG.normal(size=(7, 6)), RNG.integers(0, 3, 7)
    for _ in range(4):
        step(x, y)
    step.export(tmp_path / "exported.py")
    np.savez(tmp_path / "data.npz", x=x, y=y)
    command = [sys.executable, "exported.py", "data.npz", "3", "saved.npz"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for _ in range(3):
        step(x, y)
    saved = rg.load(tmp_path / "saved.npz")
    for i in (0, 2):
        for name in ("weight", "bias"):
            found = saved[f"linear{i}_{name}"]
            np.testing.assert_allclose(found, getattr(model[i], name).data, rtol=1e-12)
    assert saved["updates"] == 7


def test_what_trains_nothing_saves_nothing(tmp_path):
    exported(tmp_path)
    assert "def save" not in (tmp_path / "exported.py").read_text()
