"""Train on handwritten digits in several processes, each with a part of every batch.

The ranks average their gradients in each step, so that the losses are those of one process.

Run:    mpiexec -n 2 python examples/data_parallel.py            (--epochs N, --eager)
        python examples/data_parallel.py                         (the same in one process)
Needs:  python -m pip install "retrograd[examples,mpi]"
Prints: the loss of each fifth epoch and the accuracy on images that were never trained on:

    2 ranks, 1438 images to train on, batches of 64
    epoch 5: loss 0.182239
    ...
    epoch 20: loss 0.033873
    test accuracy 99.2%
"""

import argparse
import sys

import numpy as np

import retrograd as rg
from retrograd import nn

BATCH = 64  # of all ranks together
GOAL = 0.96


def make_data():
    from sklearn.datasets import load_digits

    digits = load_digits()
    data = rg.data.TensorDataset(digits.data / 16, digits.target)
    return rg.data.random_split(data, [0.8, 0.2], rng=0)


def make_model():
    return nn.Sequential(nn.Linear(64, 128, rng=1), nn.ReLU(), nn.Linear(128, 10, rng=2))


def accuracy(model, data):
    """Return which part is read well, each rank looking at a part of the images."""
    images, digits = data[rg.parallel.rank() :: rg.parallel.size()]
    with rg.no_grad():
        right = np.sum(model(images).data.argmax(axis=1) == digits)
    right, count = rg.parallel.allreduce([float(right), len(digits)], op="sum")
    return right / count


def train(train_data, epochs, compile):
    model = make_model()
    # wraps any optimizer: averages the gradients of all ranks before each update
    optimizer = rg.parallel.DataParallel(rg.optim.Adam(model.parameters(), lr=4e-3), model)
    # one permutation everywhere, of which each rank reads its part
    sampler = rg.parallel.DistributedSampler(shuffle=True, rng=0)
    loader = rg.data.DataLoader(train_data, BATCH, sampler=sampler)

    def report(run):  # called on rank 0 only
        if run.epoch % 5 == 0:
            print(f"epoch {run.epoch}: loss {run.history['loss'][-1]:.6f}", flush=True)

    history = rg.fit(
        model, loader, nn.CrossEntropyLoss(), optimizer, epochs=epochs, callbacks=[report],
        compile=compile, progress=False,
    )  # fmt: skip
    return model, history


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--eager", action="store_true", help="train call by call")
    args = parser.parse_args(argv)
    if args.epochs < 1:
        parser.error(f"--epochs must be at least 1, not {args.epochs}")
    is_first = rg.parallel.rank() == 0
    train_data, test_data = make_data()
    if is_first:
        ranks = f"{rg.parallel.size()} rank{'s' * (rg.parallel.size() > 1)}"
        print(f"{ranks}, {len(train_data)} images to train on, batches of {BATCH}")
    model, _ = train(train_data, args.epochs, not args.eager)
    reached = accuracy(model, test_data)
    if is_first:
        print(f"test accuracy {reached:.1%}")
    if args.epochs >= 20 and reached < GOAL:
        print(f"expected an accuracy of {GOAL}, found {reached:.4f}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
