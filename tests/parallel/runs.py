"""Small runs of every kind, the same on any number of ranks: as a script it writes their results.

mpiexec -n 2 python runs.py results.npz 0

The number says from how many bytes on gradients are added up in shared memory.
"""

import itertools
import sys

import numpy as np

import retrograd as rg
from retrograd.parallel import group

STEPS = 200
BATCH = 10  # of 46 samples: the last batch of an epoch has 6, and 3 or 4 ranks have unequal parts
COUNT = 46


def make_data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(COUNT, 4))
    return rg.data.TensorDataset(x, np.sin(x[:, :2] * 2) + 0.1 * x[:, 2:])


def make_optimizer(name, params):
    if name == "sgd":
        return rg.optim.SGD(params, lr=0.05, momentum=0.9)
    return rg.optim.Adam(params, lr=0.01)


def train(name, compiled=False, norm=False, steps=STEPS):
    """Return the losses of so many steps, and the state of the model afterwards."""
    # a bias before a norm has the gradient 0, of whose rounding errors Adam would make steps
    layers = [rg.nn.Linear(4, 8, bias=not norm, rng=1), rg.nn.Tanh(), rg.nn.Linear(8, 2, rng=2)]
    if norm:
        layers.insert(1, rg.nn.BatchNorm1d(8))
    model = rg.nn.Sequential(*layers)
    if norm:
        rg.parallel.SyncBatchNorm.convert_sync_batchnorm(model)
    optimizer = rg.parallel.DataParallel(make_optimizer(name, model.parameters()), model)
    sampler = rg.parallel.DistributedSampler(rng=3)
    loader = rg.data.DataLoader(make_data(), BATCH, sampler=sampler)

    def step(x, y):
        def closure():
            optimizer.zero_grad()
            loss = rg.nn.functional.mse_loss(model(x), y)
            loss.backward()
            return loss

        return optimizer.step(closure, batch_size=len(x))

    if compiled:
        step = rg.compile(step)
    epochs = itertools.chain.from_iterable(itertools.repeat(loader))
    losses = [step(x, y).item() for x, y in itertools.islice(epochs, steps)]
    state = np.concatenate([a.ravel() for a in model.state_dict().values()])
    return losses, state, step


KINDS = [*itertools.product(("sgd", "adam"), (False, True))]


def results():
    """Return the losses and the weights of all kinds of runs, by name."""
    found = {}
    for name, compiled in KINDS:
        losses, state, _ = train(name, compiled)
        key = f"{name} {'compiled' if compiled else 'eager'}"
        found |= {f"{key} losses": np.array(losses), f"{key} state": state}
    for name, compiled in (("sgd", False), ("adam", True)):
        losses, state, _ = train(name, compiled, norm=True, steps=12)
        key = f"{name} norm"
        found |= {f"{key} losses": np.array(losses), f"{key} state": state}
    return found


if __name__ == "__main__":
    group.SHARED_FROM = float(sys.argv[2])
    every = rg.parallel.size()
    mine = results()
    for value in mine.values():  # the ranks are equal, bit by bit
        total = rg.parallel.allreduce(value, op="sum")
        np.testing.assert_allclose(total, every * value, rtol=1e-15)
    if rg.parallel.rank() == 0:
        np.savez(sys.argv[1], **mine)
