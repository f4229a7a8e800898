"""`fit` is the loop one would write, and refuses what does not fit before it trains."""

import itertools
import sys
import types

import numpy as np
import pytest

import retrograd as rg
from retrograd.compiler.program import ReadyProgram
from retrograd.data import DataLoader
from training.parts import absolute, line, parts


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


def test_without_tqdm_it_trains_the_same(monkeypatch):
    shown = rg.fit(*parts(), epochs=2)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert rg.fit(*parts(), epochs=2) == shown
    assert rg.fit(*parts(), epochs=2, progress=False) == shown


def test_the_bar_counts_updates_and_shows_epoch_and_loss(monkeypatch):
    shown = []

    class Bar:
        disable = False

        def __init__(self, total, initial, disable, **_):
            shown.append((initial, total, disable))

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def set_postfix_str(self, text, refresh):
            shown.append(text)

        def update(self):
            shown.append("+1")

    monkeypatch.setattr(pytest.importorskip("tqdm.auto"), "tqdm", Bar)
    history = rg.fit(*parts(), epochs=2)
    assert shown[0] == (0, 8, None)
    assert shown.count("+1") == 8
    assert shown[1].startswith("epoch 1, loss ")
    assert shown[-2].startswith("epoch 2, loss ")
    assert history.epochs == 2
    kernel = types.SimpleNamespace(config={"IPKernelApp": {}})
    ipython = types.SimpleNamespace(get_ipython=lambda: kernel)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    rg.fit(*parts(), epochs=1)
    assert (0, 4, False) in shown  # a notebook is no terminal, and shows it nevertheless


def test_each_shape_of_batches_goes_through_one_program_from_the_first_on(monkeypatch):
    runs = []
    replay = ReadyProgram.replay
    monkeypatch.setattr(
        ReadyProgram, "replay", lambda self, arrays: runs.append(self.file) or replay(self, arrays)
    )
    model, data, loss, optimizer = parts()
    rg.fit(model, data, loss, optimizer, epochs=2, compile=True)
    # three full batches and a short one, twice; checks of new programs run them more often
    assert len(runs) >= 8
    assert len(set(runs)) == 2
    turns = [name for name, _ in itertools.groupby(runs)]
    assert [turns.index(name) for name in turns] == [0, 1, 0, 1]


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


def other_schedule():
    return rg.optim.lr_scheduler.StepLR(rg.optim.SGD([rg.Parameter([1.0])]), 1)


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
