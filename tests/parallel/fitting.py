"""A run of `fit` on any number of ranks, which may be killed and resumed.

mpiexec -n 2 python fitting.py history.npz checkpoint.npz EPOCHS [kill|nan|raise UPDATE]
"""

import os
import signal
import sys

import numpy as np

import retrograd as rg

COUNT = 23  # by batches of 6 in threes of ranks and fours: the last batch of 5 leaves none empty


def fit(checkpoint=None, epochs=3, fault="", at=-1, compile=False, resume=True, **options):
    """Return the history of a run; `fault` is what rank 1 does at an update."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(COUNT, 3))
    y = np.tanh(x.sum(axis=1, keepdims=True))
    model = rg.nn.Sequential(rg.nn.Linear(3, 4, rng=1), rg.nn.Tanh(), rg.nn.Linear(4, 1, rng=2))
    optimizer = rg.parallel.DataParallel(rg.optim.Adam(model.parameters(), lr=0.02), model)
    sampler = rg.parallel.DistributedSampler(rng=5)
    loader = rg.data.DataLoader(rg.data.TensorDataset(x, y), 6, sampler=sampler)
    updates = []

    def forward(module, inputs):
        if module.training:
            updates.append(1)
        if len(updates) != at or rg.parallel.rank() != 1:
            return
        if fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault == "raise":
            raise ArithmeticError("the brew is cold")
        elif fault == "exit":
            sys.exit(0)
        elif fault == "nan":
            inputs[0][0, 2] = np.nan

    if fault:
        model.register_forward_pre_hook(forward)
    validation = rg.data.DataLoader(rg.data.TensorDataset(x[:9], y[:9]), 4)
    return rg.fit(
        model, loader, rg.nn.MSELoss(), optimizer, epochs=epochs, validation=validation,
        metrics={"error": lambda out, y: np.abs(out.data - y).mean()}, clip_norm=0.5,
        checkpoint=checkpoint, save_every=3 if checkpoint else None,
        resume=bool(checkpoint) and resume, compile=compile, **options,
    )  # fmt: skip


if __name__ == "__main__":
    out, checkpoint, epochs, *fault = sys.argv[1:]
    wrong = (fault[0], int(fault[1])) if fault else ()
    report = [lambda run: print("epoch", run.epoch)]
    history = fit(checkpoint, int(epochs), *wrong, callbacks=report)
    if rg.parallel.rank() == 0:
        np.savez(out, **history)
    history.plot(out.replace(".npz", f"{rg.parallel.rank()}.png"))
