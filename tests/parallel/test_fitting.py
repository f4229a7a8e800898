"""`fit` on several ranks is `fit` in one process, and goes on from checkpoints on any number."""

import shutil

import numpy as np
import pytest

import retrograd as rg
from parallel import fitting
from parallel.launch import launch, needs_mpi


@pytest.fixture(scope="module")
def whole():
    return fitting.fit()


def assert_same(path, whole):
    with np.load(path) as found:
        assert {*found} == {*whole}
        for name, values in whole.items():
            np.testing.assert_allclose(found[name], values, rtol=1e-12, err_msg=name)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Return the checkpoint of a run of two ranks of which one is killed."""
    path = tmp_path_factory.mktemp("killed")
    checkpoint = path / "run.npz"
    done = launch(2, "fitting.py", path / "history.npz", checkpoint, 3, "kill", 8, check=False)
    assert done.code != 0
    assert done.seconds < 30
    assert [path.name for path in path.iterdir()] == ["run.npz"]  # whole, and no part of one
    assert rg.load(checkpoint)["update"] == 6  # within the second epoch
    return checkpoint


@needs_mpi
@pytest.mark.parametrize("ranks", [1, 4])
def test_a_run_of_two_ranks_of_which_one_is_killed_goes_on_with_one_or_four(
    ranks, whole, killed, tmp_path
):
    out, checkpoint = tmp_path / "history.npz", tmp_path / "run.npz"
    shutil.copy(killed, checkpoint)
    done = launch(ranks, "fitting.py", out, checkpoint, 3)
    assert_same(out, whole)
    # the first rank alone prints and plots
    assert done.out.splitlines() == ["epoch 2", "epoch 3"]
    assert sorted(p.name for p in tmp_path.glob("*.png")) == ["history0.png"]


EMPTY = """
import numpy as np
from parallel import fitting
import retrograd as rg
fitting.COUNT = 7  # the second batch is one sample: ranks 1 and 2 have none
for compiled in (False, True):
    history = fitting.fit(compile=compiled)
    if rg.parallel.rank() == 0:
        print(repr(dict(history)))
"""


@needs_mpi
def test_ranks_without_samples_take_part_eager_and_compiled(monkeypatch):
    monkeypatch.setattr(fitting, "COUNT", 7)
    whole = fitting.fit()
    lines = launch(3, EMPTY).out.splitlines()
    assert len(lines) == 2
    for found in map(eval, lines):
        for name, values in whole.items():
            np.testing.assert_allclose(found[name], values, rtol=1e-9)


DATA = """
import retrograd as rg
import numpy as np
model = rg.nn.Linear(1, 1)
optimizer = rg.parallel.DataParallel(rg.optim.SGD(model.parameters()))
data = rg.data.TensorDataset(np.ones((4, 1)), np.ones((4, 1)))
for batches in (rg.data.DataLoader(data, 2), [data[:]] * (1 + rg.parallel.rank())):
    try:
        rg.fit(model, batches, rg.nn.MSELoss(), optimizer, epochs=1)
    except Exception as error:
        if rg.parallel.rank() == 0:
            print(error)
sampler = rg.parallel.DistributedSampler()
loader = rg.data.DataLoader(data, 2, sampler=sampler)
calls = [print] if rg.parallel.rank() else []  # on the first rank alone callbacks are called
rg.fit(model, loader, rg.nn.MSELoss(), optimizer, epochs=1, callbacks=calls)
try:
    rg.fit(model, loader, rg.nn.MSELoss(), optimizer, epochs=1 + rg.parallel.rank())
except rg.parallel.RanksDifferError as error:
    if rg.parallel.rank() == 0:
        print(error)
"""


@needs_mpi
def test_data_and_arguments_that_do_not_fit_the_ranks_are_refused():
    first, second, third = launch(2, DATA).out.splitlines()
    assert third.startswith("the ranks differ in the arguments of fit: rank 0 has {'epochs': 1,")
    assert "every rank would train on all samples" in first
    assert "the number of batches of an epoch: rank 0 has 1; rank 1 has 2" in second


def test_generators_go_on_where_they_were_saved_and_new_ranks_have_their_own():
    from retrograd.training.ranks import _generators

    rngs = [np.random.default_rng(seed).bit_generator.state for seed in range(3)]
    state = {"rngs": {"data": rngs[0], "default": rngs[1]}, "ranks": [{"default": rngs[2]}]}
    assert _generators(state, 1) == {"default": rngs[2]}
    third, fourth = (_generators(state, rank) for rank in (2, 3))
    assert third["data"] == fourth["data"] == rngs[0]
    assert len({str(s["default"]) for s in (third, fourth)} | {str(rngs[1])}) == 3
