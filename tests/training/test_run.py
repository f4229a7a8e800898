"""A run that is stopped at any moment goes on from its checkpoint as if it had not been."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import retrograd as rg
from retrograd.data import DataLoader, TensorDataset
from training.parts import parts

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


def test_without_resume_a_run_begins_anew(tmp_path):
    path = tmp_path / "run.npz"
    first = rg.fit(*parts(), epochs=2, checkpoint=path)
    assert rg.fit(*parts(), epochs=2, checkpoint=path) == first
    model, data, loss, optimizer = parts()
    longer = rg.fit(model, data, loss, optimizer, epochs=4, checkpoint=path, resume=True)
    assert longer["loss"][:2] == first["loss"]
    assert longer == rg.fit(*parts(), epochs=4)


class Quiet:
    """Batches without a state."""

    def __init__(self, data):
        self.batches, self.rng = list(data), data.rng

    def __iter__(self):
        return iter(self.batches)


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


def test_a_run_says_what_callbacks_may_read():
    seen = []
    rg.fit(*parts(), epochs=2, callbacks=[lambda run: seen.append(repr(run))])
    assert seen[1].startswith("Training(epoch=2, update=8, history: loss ")
    for name in ("best=", "stop=False", "model, optimizer, scheduler, data, best_weights"):
        assert name in seen[1]
