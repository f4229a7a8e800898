"""Scripts of readable programs, which run where the library cannot be imported."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest

import retrograd as rg
from compiler.test_export import run_alone, training
from retrograd.compiler.names import Taken
from retrograd.compiler.readable.helpers import Helpers
from retrograd.compiler.readable.script import refuse

RNG = np.random.default_rng(5)


def net(width):
    return rg.nn.Sequential(
        rg.nn.Linear(6, width), rg.nn.BatchNorm1d(width), rg.nn.ReLU(),
        rg.nn.Dropout(0.3, rng=np.random.default_rng(2)), rg.nn.Linear(width, 3),
    )  # fmt: skip


def made(width=8):
    """Return a step that has run some times, and a batch."""
    rg.manual_seed(0)
    model = net(width)
    optimizer = rg.optim.AdamW(model.parameters(), lr=0.05, eps=1e-3)
    step = training(model, optimizer, rg.nn.CrossEntropyLoss())
    x, y = RNG.normal(size=(7, 6)), RNG.integers(0, 3, 7)
    for _ in range(4):
        step(x, y)
    return step, optimizer, x, y


@pytest.mark.parametrize("width", [8, 200])
def test_a_readable_script_goes_on_as_the_compiled_step(width, tmp_path):
    step, _, x, y = made(width)
    step.export(tmp_path / "exported.py", readable=True)
    alone = run_alone(tmp_path, x=x, y=y)
    np.testing.assert_allclose(alone, [step(x, y).item() for _ in range(5)], rtol=1e-9)
    assert (tmp_path / "exported.npz").exists() == (width == 200)
    assert step.readable().function in (tmp_path / "exported.py").read_text()


def load(path):
    space = {"__name__": "exported", "__file__": str(path)}
    exec(path.read_text(), space)
    return space


def test_a_script_holds_what_numbers_are_now_and_takes_other_batches_and_options(tmp_path):
    step, optimizer, x, y = made()
    assert "0.05" in step.source
    optimizer.param_groups[0]["lr"] = 0.0
    step.export(tmp_path / "exported.py", readable=True)
    script = load(tmp_path / "exported.py")
    before = {k: np.copy(v) for k, v in script["PARAMETERS"].items() if k.endswith("weight")}
    script["step"](x[:4], y[:4])
    assert all(np.array_equal(script["PARAMETERS"][k], v) for k, v in before.items())
    assert script["PARAMETERS"]["updates"] == 5
    script["step"](x[:4], y[:4], lr=0.1)
    assert not any(np.array_equal(script["PARAMETERS"][k], v) for k, v in before.items())


def test_threads_take_turns_where_a_script_trains(tmp_path):
    step, _, x, y = made()
    step.export(tmp_path / "exported.py", readable=True)
    script = load(tmp_path / "exported.py")

    def work():
        for _ in range(25):
            script["step"](x, y)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert script["PARAMETERS"]["updates"] == 104


def test_a_script_prints_losses_and_saves_what_it_trains(tmp_path):
    step, _, x, y = made()
    step.export(tmp_path / "exported.py", readable=True)
    np.savez(tmp_path / "data.npz", x=x, y=y)
    command = [sys.executable, "exported.py", "data.npz", "3", "saved.npz"]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    losses = [step(x, y).item() for _ in range(3)]
    np.testing.assert_allclose([*map(float, done.stdout.split())], losses, rtol=1e-9)
    with np.load(tmp_path / "saved.npz") as saved:
        for name, array in step.readable().arrays().items():
            if isinstance(array, np.ndarray) and array.dtype.kind == "f" and name in saved:
                np.testing.assert_allclose(saved[name], array, rtol=1e-7, atol=1e-12)
        assert "linear0_weight" in saved


def test_files_that_are_there_are_replaced_only_if_asked(tmp_path):
    step = rg.compile(lambda x: x * 2)
    step(np.ones(3))
    step.export(tmp_path / "double.py", readable=True)
    with pytest.raises(FileExistsError, match="overwrite"):
        step.export(tmp_path / "double.py", readable=True)
    step.export(tmp_path / "double.py", readable=True, overwrite=True)
    assert load(tmp_path / "double.py")["step"](np.ones(5)).tolist() == [2.0] * 5


def test_functions_that_programs_call_go_along(tmp_path):
    step = rg.compile(lambda x, i: rg.nn.functional.embedding(i, x))
    x, i = RNG.normal(size=(4, 3)), np.array([2, 0, 2])
    step(x, i)
    step.export(tmp_path / "rows.py", readable=True)
    script = load(tmp_path / "rows.py")
    np.testing.assert_array_equal(script["step"](x, i), x[i])
    assert script["rows"].__doc__


def test_a_function_without_a_source_is_passed_and_no_script_is_made_of_it():
    helpers = Helpers(Taken())
    assert helpers.name(max) == "max_2"
    assert helpers.sources() == ()
    (parameter,) = helpers.parameters()
    assert (parameter.role, parameter.value) == ("function", max)
    with pytest.raises(TypeError, match="cannot find the source of max_2"):
        refuse([parameter], set())
