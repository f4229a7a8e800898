import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import retrograd as rg
from retrograd.compiler.program import Program
from retrograd.data import DataLoader, TensorDataset
from retrograd.training import History


def line(count=20, seed=0):
    x = np.random.default_rng(seed).uniform(-1, 1, (count, 1))
    return TensorDataset(x, 3 * x + 1)


def parts(shuffle=True, lr=0.1):
    model = rg.nn.Linear(1, 1, rng=0)
    optimizer = rg.optim.SGD(model.parameters(), lr=lr)
    return model, DataLoader(line(), 6, shuffle, rng=1), rg.nn.MSELoss(), optimizer


def absolute(output, target):
    return np.abs(output - target).mean()


def test_it_trains_and_measures_after_each_epoch():
    model, data, loss, optimizer = parts()
    seen = []
    history = rg.fit(
        model, data, loss, optimizer, epochs=30,
        validation=DataLoader(line(7, seed=1), 4), metrics={"error": absolute},
        callbacks=[lambda run: seen.append((run.epoch, run.update))],
    )  # fmt: skip
    assert seen == [(n, 4 * n) for n in range(1, 31)]
    assert set(history) == {"loss", "val_loss", "val_error", "lr"}
    assert history.epochs == 30
    assert {len(values) for values in history.values()} == {30}
    assert history["val_loss"][-1] < 1e-3 < history["val_loss"][0]
    np.testing.assert_allclose(model.weight.data, [[3.0]], atol=0.05)
    expected = rg.evaluate(model, [line(7, seed=1)[:]], {"error": absolute})
    assert history["val_error"][-1] == pytest.approx(expected["error"])


def test_it_is_the_loop_one_would_write():
    model, data, loss, optimizer = parts()
    losses = []
    for _ in range(3):
        for x, y in data:
            optimizer.zero_grad()
            value = loss(model(x), y)
            value.backward()
            optimizer.step()
            losses.append(value.item() * len(y))
    other, data, loss, optimizer = parts()
    history = rg.fit(other, data, loss, optimizer, epochs=3)
    np.testing.assert_array_equal(other.weight.data, model.weight.data)
    assert history["loss"] == pytest.approx([sum(losses[n : n + 4]) / 20 for n in (0, 4, 8)])


def test_lbfgs_and_models_of_several_inputs_train_too():
    class Sum(rg.nn.Module):
        def __init__(self):
            self.a, self.b = rg.nn.Linear(1, 1, rng=0), rg.nn.Linear(1, 1, rng=1)

        def forward(self, x, z):
            return self.a(x) + self.b(z)

    x = np.linspace(-1, 1, 9).reshape(9, 1)
    model = Sum()
    optimizer = rg.optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe")
    history = rg.fit(model, [(x, x**2, x - x**2)], rg.nn.MSELoss(), optimizer, epochs=3)
    assert history["loss"][-1] < 1e-10


def test_the_schedule_steps_after_epochs_or_updates():
    for every, steps in (("epoch", 3), ("update", 12)):
        model, data, loss, optimizer = parts()
        schedule = rg.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        rg.fit(model, data, loss, optimizer, epochs=3, scheduler=schedule, step_scheduler=every)
        assert schedule.last_epoch == steps


def test_a_plateau_gets_the_validation_loss():
    model, data, loss, optimizer = parts(lr=0.0)
    schedule = rg.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=2)
    history = rg.fit(
        model, data, loss, optimizer, epochs=3, scheduler=schedule, validation=[line(5)[:]]
    )
    assert schedule.best == history["val_loss"][0]
    assert schedule.num_bad_epochs == 2


def test_early_stopping_ends_the_run_and_the_best_weights_come_back():
    model, data, loss, optimizer = parts()
    weights = []

    def spoil(run):
        weights.append(run.model.weight.data.copy())
        if run.epoch >= 4:
            optimizer.param_groups[0]["lr"] = 1.5  # diverges

    history = rg.fit(
        model, data, loss, optimizer, epochs=50, patience=3, keep_best=True,
        validation=[line(9, seed=2)[:]], callbacks=[spoil],
    )  # fmt: skip
    best = int(np.argmin(history["val_loss"]))
    assert history.epochs == best + 1 + 3 < 50
    np.testing.assert_array_equal(model.weight.data, weights[best])


def test_a_callback_may_stop_the_run():
    def enough(run):
        run.stop = run.epoch == 2

    assert rg.fit(*parts(), epochs=9, callbacks=[enough]).epochs == 2


def test_validation_runs_without_gradients_and_leaves_the_modes_as_they_were():
    modes = []

    class Watch(rg.nn.Module):
        def __init__(self):
            self.inner = rg.nn.Linear(1, 1)
            self.inner.eval()

        def forward(self, x):
            modes.append((self.training, self.inner.training, rg.is_grad_enabled()))
            return self.inner(x)

    model = Watch()
    rg.evaluate(model, [line(3)[:]], {"error": absolute})
    assert modes == [(False, False, False)]
    assert (model.training, model.inner.training) == (True, False)


def test_clip_norm_bounds_the_step():
    model, data, loss, optimizer = parts(lr=1.0)
    before = np.append(model.weight.data, model.bias.data)
    rg.fit(model, [next(iter(data))], loss, optimizer, epochs=1, clip_norm=0.01)
    after = np.append(model.weight.data, model.bias.data)
    assert np.linalg.norm(after - before) == pytest.approx(0.01, rel=1e-3)


def test_a_compiled_run_is_the_eager_run():
    model, data, loss, optimizer = parts()
    eager = rg.fit(model, data, loss, optimizer, epochs=3)
    other, data, loss, optimizer = parts()
    compiled = rg.fit(other, data, loss, optimizer, epochs=3, compile=True)
    assert compiled["loss"] == pytest.approx(eager["loss"], rel=1e-12)
    np.testing.assert_allclose(other.weight.data, model.weight.data, rtol=1e-12)


# --- history -------------------------------------------------------------------------------------


def test_the_history_draws_training_and_validation_in_one_panel(tmp_path):
    pytest.importorskip("matplotlib")
    history = History(loss=[2.0, 1.0], val_loss=[2.5, 1.5], val_error=[0.5, 0.4], lr=[0.1, 0.1])
    figure = history.plot(tmp_path / "history.png")
    assert (tmp_path / "history.png").read_bytes()[:4] == b"\x89PNG"
    assert [axes.get_title() for axes in figure.axes] == ["loss", "error", "lr"]
    legend = figure.axes[0].get_legend().get_texts()
    assert [text.get_text() for text in legend] == ["training", "validation"]
    assert figure.axes[0].get_xlabel() == "epoch"


def test_without_matplotlib_only_the_picture_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    history = rg.fit(*parts(), epochs=1)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        history.plot()


def test_without_tqdm_it_trains_the_same(monkeypatch):
    shown = rg.fit(*parts(), epochs=2)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert rg.fit(*parts(), epochs=2) == shown
    assert rg.fit(*parts(), epochs=2, progress=False) == shown


def test_the_bar_counts_updates_and_shows_epoch_and_loss(monkeypatch):
    shown = []

    class Bar:
        disable = False

        def __init__(self, total, initial, **_):
            shown.append((initial, total))

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def set_postfix_str(self, text, refresh):
            shown.append(text)

        def update(self):
            shown.append("+1")

    monkeypatch.setattr(pytest.importorskip("tqdm"), "tqdm", Bar)
    history = rg.fit(*parts(), epochs=2)
    assert shown[0] == (0, 8)
    assert shown.count("+1") == 8
    assert shown[1].startswith("epoch 1, loss ")
    assert shown[-2].startswith("epoch 2, loss ")
    assert history.epochs == 2


# --- checkpoints ---------------------------------------------------------------------------------

RUN = """
import json, sys
import numpy as np
import retrograd as rg

path, save_every, resume = sys.argv[1], int(sys.argv[2]) or None, sys.argv[3] == "resume"
rg.manual_seed(0)
x = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32)
data = rg.data.DataLoader(
    rg.data.TensorDataset(x, x[:, :1] * x[:, 1:2]), 8, shuffle=True, rng=1, drop_last=False
)
model = rg.nn.Sequential(
    rg.nn.Linear(3, 8), rg.nn.Dropout(0.2), rg.nn.Tanh(), rg.nn.Dropout(0.2, rng=2),
    rg.nn.Linear(8, 1),
)
optimizer = rg.optim.Adam(model.parameters(), lr=0.02, amsgrad=True)
schedule = rg.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=60)
noise = np.random.default_rng(3)

def loss(output, target):
    print("update", flush=True)
    return ((output - target + 0.01 * noise.standard_normal(target.shape)) ** 2).mean()

history = rg.fit(
    model, data, loss, optimizer, epochs=6, validation=data, scheduler=schedule,
    step_scheduler="update", keep_best=True, checkpoint=path, save_every=save_every,
    resume=resume, rngs={"noise": noise}, progress=False,
)
final = {name: value.tobytes().hex() for name, value in model.state_dict().items()}
print(json.dumps([final, history, optimizer.param_groups[0]["lr"], noise.random()]), flush=True)
"""


def start(path, save_every, resume):
    environment = os.environ | {"PYTHONPATH": str(Path(rg.__file__).parents[1])}
    command = [sys.executable, "-c", RUN, str(path), str(save_every), resume]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)


def result(process):
    out, _ = process.communicate()
    assert process.returncode == 0
    return json.loads(out.splitlines()[-1])


@pytest.mark.parametrize(("save_every", "kills"), [(0, [17, 35]), (3, [8, 13]), (1, [31])])
def test_a_run_killed_at_any_moment_goes_on_bit_for_bit(save_every, kills, tmp_path):
    with start(tmp_path / "whole.npz", save_every, "new") as process:
        whole = result(process)
    path = tmp_path / "killed.npz"
    for lines in kills:
        with start(path, save_every, "resume") as process:
            for _ in range(lines):
                assert process.stdout.readline() == "update\n"
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        assert path.exists()
    with start(path, save_every, "resume") as process:
        assert result(process) == whole
    with start(path, save_every, "resume") as process:  # there is nothing left to do
        assert result(process)[1:3] == whole[1:3]


class Stops(DataLoader):
    """A loader that ends the run before it hands out batch `left`."""

    left = -1

    def __iter__(self):
        for batch in super().__iter__():
            if self.left == 0:
                raise KeyboardInterrupt
            self.left -= 1
            yield batch


def run_of_nets(path, stop=-1, resume=False, compile=True):
    """Train on batches of 6, 6, 6 and 2; return all that a run leaves, None if it is stopped."""
    rg.manual_seed(5 if resume else 0)
    x = np.random.default_rng(0).standard_normal((20, 5)).astype(np.float32)
    data = Stops(TensorDataset(x, np.sin(x[:, :2])), 6, shuffle=True, rng=1)
    data.left = stop
    model = rg.nn.Sequential(
        rg.nn.Linear(5, 16, rng=0), rg.nn.BatchNorm1d(16), rg.nn.Tanh(), rg.nn.Dropout(0.3),
        rg.nn.Linear(16, 9, rng=1), rg.nn.GELU(), rg.nn.Dropout(0.2, rng=2),
        rg.nn.Linear(9, 2, rng=3),
    )  # fmt: skip
    optimizer = rg.optim.Adam(model.parameters(), lr=0.02, weight_decay=0.01)
    schedule = rg.optim.lr_scheduler.ExponentialLR(optimizer, 0.97)
    try:
        history = rg.fit(
            model, data, rg.nn.MSELoss(), optimizer, epochs=4, validation=[(x, x[:, :2])],
            scheduler=schedule, step_scheduler="update", clip_norm=1.0, checkpoint=path,
            save_every=1, resume=resume, compile=compile,
        )  # fmt: skip
    except KeyboardInterrupt:
        return None
    state = {k: v.tobytes() for k, v in model.state_dict().items()}
    slots = [v.tobytes() for e in optimizer.state_dict()["state"].values()
             for v in e.values() if isinstance(v, np.ndarray)]  # fmt: skip
    return state, slots, history, rg.random.generator().bit_generator.state


def test_a_compiled_run_that_is_stopped_goes_on_bit_for_bit(tmp_path):
    whole = run_of_nets(tmp_path / "whole.npz")
    eager = run_of_nets(tmp_path / "eager.npz", compile=False)
    assert whole[2]["loss"] == pytest.approx(eager[2]["loss"], rel=1e-4)
    assert whole[3] == eager[3]
    # before, at and after the first short batch
    for stops in ([2], [3], [4], [1, 1, 4]):
        path = tmp_path / f"{stops}.npz"
        for i, stop in enumerate(stops):
            assert run_of_nets(path, stop, resume=i > 0) is None
        assert run_of_nets(path, resume=True) == whole


def test_each_shape_of_batches_goes_through_one_program_from_the_first_on(monkeypatch):
    runs = []
    replay = Program.replay
    monkeypatch.setattr(
        Program, "replay", lambda self, arrays: runs.append(self.file) or replay(self, arrays)
    )
    model, data, loss, optimizer = parts()
    rg.fit(model, data, loss, optimizer, epochs=2, compile=True)
    assert len(runs) == 8
    assert len(set(runs)) == 2
    assert [runs.index(name) for name in runs] == [0, 0, 0, 3, 0, 0, 0, 3]


def test_the_recording_of_a_compiled_update_leaves_no_trace():
    found = []
    for compile in (False, True):
        rg.manual_seed(3)
        model = rg.nn.Sequential(
            rg.nn.Linear(1, 4, rng=0), rg.nn.BatchNorm1d(4), rg.nn.Dropout(), rg.nn.Linear(4, 1)
        )
        # the last layer is not trained: its gradients add up
        optimizer = rg.optim.SGD(model[0].parameters(), lr=0.1, momentum=0.9)
        rg.fit(
            model, [line()[:]], rg.nn.MSELoss(), optimizer, epochs=1, clip_norm=1, compile=compile
        )
        found.append([
            *model.state_dict().values(), *(p.grad for p in model.parameters()),
            *(v for entry in optimizer.state_dict()["state"].values() for v in entry.values()),
            rg.random.generator().random(),
        ])  # fmt: skip
    for eager, compiled in zip(*found, strict=True):
        np.testing.assert_allclose(compiled, eager, rtol=1e-12)


def test_without_resume_a_run_begins_anew(tmp_path):
    path = tmp_path / "run.npz"
    first = rg.fit(*parts(), epochs=2, checkpoint=path)
    assert rg.fit(*parts(), epochs=2, checkpoint=path) == first
    model, data, loss, optimizer = parts()
    longer = rg.fit(model, data, loss, optimizer, epochs=4, checkpoint=path, resume=True)
    assert longer["loss"][:2] == first["loss"]
    assert longer == rg.fit(*parts(), epochs=4)


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    path = tmp_path / "run.npz"
    rg.fit(*parts(), epochs=1, checkpoint=path)

    def resume(model, data, loss, optimizer, **options):
        rg.fit(model, data, loss, optimizer, epochs=2, checkpoint=path, resume=True, **options)

    model, data, loss, optimizer = parts()
    with pytest.raises(ValueError, match="generators"):
        resume(model, data, loss, optimizer, rngs={"own": np.random.default_rng()})
    with pytest.raises(ValueError, match="state of data"):
        resume(model, Quiet(data), loss, optimizer)
    schedule = rg.optim.lr_scheduler.StepLR(optimizer, 1)
    with pytest.raises(ValueError, match="state of scheduler"):
        resume(model, data, loss, optimizer, scheduler=schedule)
    rg.save({"model": {}}, path)
    with pytest.raises(ValueError, match=r"no checkpoint of rg\.fit"):
        resume(model, data, loss, optimizer)


class Quiet:
    """Batches without a state."""

    def __init__(self, data):
        self.batches, self.rng = list(data), data.rng

    def __iter__(self):
        return iter(self.batches)


def other_schedule():
    return rg.optim.lr_scheduler.StepLR(rg.optim.SGD([rg.Parameter([1.0])]), 1)


# --- arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"model": lambda x: x}, TypeError, "trains a Module, not function"),
        ({"optimizer": None}, TypeError, "takes an Optimizer, not NoneType"),
        ({"loss": "mse"}, TypeError, "function of output and target"),
        ({"loss": rg.nn.MSELoss}, TypeError, r"pass MSELoss\(\)"),
        ({"model": rg.nn.Linear(2, 1)}, ValueError, "no parameter of the model"),
        ({"data": iter([])}, TypeError, "iterated every epoch"),
        ({"data": np.zeros((3, 2))}, TypeError, "TensorDataset"),
        ({"data": 5}, TypeError, "data gives batches"),
        ({"validation": iter([])}, TypeError, "validation is iterated"),
        ({"epochs": 0}, ValueError, "epochs must be"),
        ({"epochs": 1.5}, ValueError, "epochs must be"),
        ({"save_every": 2}, ValueError, "checkpoint="),
        ({"resume": True}, ValueError, "checkpoint="),
        ({"save_every": 2, "checkpoint": "x.npz", "data": []}, ValueError, "DataLoader"),
        ({"step_scheduler": "batch"}, ValueError, "step_scheduler is"),
        ({"checkpoint": "run.pt"}, ValueError, "must end in"),
        ({"checkpoint": "no/such/folder/run.npz"}, FileNotFoundError, "no/such/folder"),
        ({"scheduler": rg.optim.lr_scheduler.StepLR}, TypeError, "takes a schedule, not type"),
        ({"scheduler": other_schedule()}, ValueError, "schedule of another optimizer"),
        ({"rngs": {"a": 5}}, TypeError, "a is int"),
        ({"rngs": [np.random.default_rng()]}, TypeError, "rngs is list"),
        ({"metrics": [absolute]}, TypeError, "metrics is a dict"),
        ({"callbacks": print}, TypeError, "callbacks is a list"),
        ({"callbacks": [1]}, TypeError, "callbacks is a list"),
        ({"patience": 0}, ValueError, "patience must be"),
        ({"patience": "a"}, ValueError, "patience must be"),
        ({"clip_norm": -1.0}, ValueError, "clip_norm must be"),
        ({"data": []}, ValueError, "no batches"),
        ({"validation": []}, ValueError, "no batches"),
        ({"data": [np.zeros((3, 2))]}, TypeError, "a batch is a tuple"),
        ({"data": [(np.zeros((3, 2)),)]}, TypeError, "a batch is a tuple"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(change, error, message):
    model, data, loss, optimizer = parts()
    arguments = {"model": model, "data": data, "loss": loss, "optimizer": optimizer, "epochs": 1}
    before = model.state_dict()
    with pytest.raises(error, match=message):
        rg.fit(**arguments | change)
    if change.get("validation") != []:
        np.testing.assert_array_equal(arguments["model"].weight.data, before["weight"])


def test_a_plateau_is_refused_where_nothing_is_measured():
    model, data, loss, optimizer = parts()
    plateau = rg.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    with pytest.raises(ValueError, match="ReduceLROnPlateau steps after an epoch"):
        rg.fit(model, data, loss, optimizer, epochs=1, scheduler=plateau, step_scheduler="update")


def test_a_resume_that_fails_changes_nothing(tmp_path):
    path = tmp_path / "run.npz"
    rg.fit(*parts(), epochs=1, checkpoint=path)
    model, data, loss, _ = parts()
    optimizer = rg.optim.Adam(model.parameters())
    before = (model.state_dict(), optimizer.state_dict(), data.state_dict())
    with pytest.raises(ValueError, match="the checkpoint is of another run: Adam"):
        rg.fit(model, data, loss, optimizer, epochs=2, checkpoint=path, resume=True)
    after = (model.state_dict(), optimizer.state_dict(), data.state_dict())
    assert repr(before) == repr(after)
    wide = rg.nn.Sequential(rg.nn.Linear(1, 1), rg.nn.Linear(1, 1))
    with pytest.raises(ValueError, match="the checkpoint is of another run"):
        rg.fit(
            wide, data, loss, rg.optim.SGD(wide.parameters()), epochs=2, checkpoint=path,
            resume=True,
        )  # fmt: skip
