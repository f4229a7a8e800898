"""Any number of ranks train as one process does with the same batches."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import retrograd as rg
from parallel import runs
from parallel.launch import environment, launch, needs_mpi


@pytest.fixture(scope="module")
def alone():
    return runs.results()


@needs_mpi
@pytest.mark.parametrize("shared_from", ["0", "inf"], ids=["shared memory", "messages"])
@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_losses_and_weights_are_those_of_one_process(ranks, shared_from, alone, tmp_path):
    path = tmp_path / "results.npz"
    launch(ranks, "runs.py", path, shared_from)
    with np.load(path) as found:
        assert len(found) == 2 * (len(runs.KINDS) + 2)
        for name, value in found.items():
            np.testing.assert_allclose(value, alone[name], rtol=0, atol=1e-12, err_msg=name)


BUFFERS = """
import sys
import numpy as np
import retrograd as rg

rng = np.random.default_rng(0)
single = rg.Tensor(np.ones(3, np.float32), requires_grad=True)
doubles = [rg.Tensor(rng.normal(size=n), requires_grad=True) for n in (3, 20_000, 2)]
optimizer = rg.parallel.DataParallel(rg.optim.Adam([single, *doubles]))

@rg.compile
def step(x):
    loss = sum(((p * x.mean() - 1) ** 2).sum() for p in [single, *doubles])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step(batch_size=len(x))
    return loss

for _ in range(5):
    step(rng.normal(size=4))
for text in (step.fast_source, step.source):
    # a flat buffer of each dtype, one Allreduce of each
    assert text.count("allreduce(") + text.count("allreduce_2(") == 2, text
    assert "weight=" in text
step.profile(rng.normal(size=4))
if rg.parallel.rank() == 0:
    step.find_nan(rng.normal(size=4))  # one rank alone may look: nothing is exchanged
same = rg.parallel.allreduce(doubles[1].data)
assert np.array_equal(same, doubles[1].data)
try:
    step.export("step.py")
except TypeError as error:
    print(error)
"""


@needs_mpi
def test_a_step_has_one_allreduce_of_each_flat_buffer_as_a_line_of_its_program():
    assert "acts on other processes" in launch(2, BUFFERS).out


PARTS = """
import copy
import numpy as np
import retrograd as rg

rank = rg.parallel.rank()
rg.manual_seed(rank)
other = rg.parallel.DataParallel(rg.optim.SGD([rg.nn.Parameter([1.0])]))
assert copy.deepcopy(other).group is other.group
model = rg.nn.Sequential(rg.nn.Linear(2, 3), rg.nn.BatchNorm1d(3))
inner = rg.optim.Adam(model.parameters())
if rank == 0:
    model(np.ones((4, 2)) * np.arange(4)[:, None]).sum().backward()
    inner.step()
    inner.zero_grad()
optimizer = rg.parallel.DataParallel(inner, model)

states = [*model.state_dict().values()]
for state in optimizer.state_dict()["state"].values():
    states += [state["exp_avg"], np.array(state["step"])]
assert len(states) > 8
first = rg.parallel.broadcast(states)
for mine, other in zip(states, first):
    np.testing.assert_array_equal(mine, other)

# clipping takes the norm of the averaged gradient, whatever the parts
model[0].weight.grad = np.full((3, 2), 4.0 * rank)
count = [1, 3][rank]
optimizer.synchronize(batch_size=count)
np.testing.assert_allclose(model[0].weight.grad, 3.0)
rg.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
before = model[0].weight.data.copy()
optimizer.step()
assert not np.array_equal(before, model[0].weight.data)

# a rank without samples takes part, whatever its gradient
model[0].weight.grad = np.full((3, 2), [1.0, np.nan][rank])
optimizer.synchronize(batch_size=[2, 0][rank])
np.testing.assert_array_equal(model[0].weight.grad, 1.0)

x = rg.Tensor([1.0 + rank, 2.0], requires_grad=True)
total = rg.parallel.allreduce(x * x, op="sum")
np.testing.assert_array_equal(total.data, [5.0, 8.0])
(total * np.array([1.0, rank])).sum().backward()
np.testing.assert_array_equal(x.grad, [4.0 + 4 * rank, 4.0])
assert rg.parallel.allreduce(np.float16(rank)).dtype == np.float16
assert rg.parallel.allreduce(rank) == 0.5
"""


@needs_mpi
def test_ranks_begin_equal_and_gradients_are_averaged_by_batch_sizes():
    launch(2, PARTS)


def test_in_one_process_it_is_the_optimizer():
    def train(wrap):
        model = rg.nn.Linear(2, 1, rng=0)
        optimizer = wrap(rg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))
        schedule = rg.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        for _ in range(3):
            optimizer.zero_grad()
            (model(np.ones((3, 2))) ** 2).mean().backward()
            optimizer.step()
            schedule.step()
        return model.weight.data, optimizer

    (weight, plain), (other, parallel) = train(lambda o: o), train(rg.parallel.DataParallel)
    np.testing.assert_array_equal(weight, other)
    assert str(plain.state_dict()) == str(parallel.state_dict())
    fresh = rg.parallel.DataParallel(copy.deepcopy(plain))
    fresh.load_state_dict(parallel.state_dict())
    assert str(fresh.state_dict()) == str(plain.state_dict())
    fresh.add_param_group({"params": [rg.nn.Parameter([1.0])], "lr": 3.0})
    assert [group["lr"] for group in fresh.optimizer.param_groups][1] == 3.0


def test_without_mpiexec_mpi_is_not_started():
    code = "import sys, retrograd as rg; print(rg.parallel.size(), 'mpi4py' in sys.modules)"
    clean = {k: v for k, v in environment().items() if not k.startswith(("PMI", "OMPI"))}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=clean
    )
    assert done.stdout.split() == ["1", "False"]


def test_what_cannot_be_is_refused():
    w = rg.nn.Parameter([1.0])
    with pytest.raises(TypeError, match="takes an optimizer, not list"):
        rg.parallel.DataParallel([w])
    with pytest.raises(TypeError, match="LBFGS decides by losses"):
        rg.parallel.DataParallel(rg.optim.LBFGS([w]))
    optimizer = rg.optim.SGD([w])
    with pytest.raises(TypeError, match="model is a Module, not list"):
        rg.parallel.DataParallel(optimizer, [w])
    with pytest.raises(ValueError, match="timeout must be a number of seconds above 0"):
        rg.parallel.DataParallel(optimizer, timeout=0)
    with pytest.raises(ValueError, match="a communicator of mpi4py"):
        rg.parallel.DataParallel(optimizer, comm=3)
    # also in one process, where several are tried out
    parallel = rg.parallel.DataParallel(optimizer)
    for act in (parallel.step, parallel.synchronize):
        with pytest.raises(ValueError, match="batch_size must be a whole number of at least 0"):
            act(batch_size=-1)
    with pytest.raises(ValueError, match=r"a loss is one number, .* not of shape \(2,\)"):
        parallel.step(lambda: rg.Tensor([1.0, 2.0]))
    with pytest.raises(ValueError, match="root must be a whole number"):
        rg.parallel.broadcast(1, root="first")


def test_it_can_be_copied_and_pickled():
    model = rg.nn.Linear(2, 1, rng=0)
    optimizer = rg.parallel.DataParallel(rg.optim.SGD(model.parameters(), lr=0.5), model)
    for other in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        assert other.group.size == 1
        (np.sum(other.model.weight) * 2).backward()
        before = other.model.weight.data.copy()
        other.step()
        np.testing.assert_array_equal(other.model.weight.data, before - 1.0)
    assert model.weight.grad is None
