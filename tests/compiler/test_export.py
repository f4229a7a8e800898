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
