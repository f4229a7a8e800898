"""Train on 2 GB of samples in 300 MB of memory: blocks of files, read ahead by a thread.

The samples are generated: 256 numbers each, and whether a quadratic function of them is above 0.
They lie in files, `.npy`, of 64 MB, which are read block by block, the blocks in random order.

Run:    python examples/larger_than_memory.py            (--megabytes N, --prefetch N)
Needs:  2 GB of disk, in the folder for temporary files
Prints: what was trained on, how well it went, and the most memory that the process had:

    32 files, 2,000,000 samples, 2048 MB
    loss 0.0631 over the last tenth, accuracy 97.3% on new samples
    27.3 s to train, at most 163 MB of memory
"""

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import retrograd as rg
from retrograd import nn

FEATURES = 256
PER_FILE = 62_500  # samples: 64 MB
BATCH = 512
BLOCK = 2048  # samples that are read at once: 2 MB
LIMIT = 300  # MB


def make_samples(count, rng):
    x = rng.standard_normal((count, FEATURES), dtype=np.float32)
    y = (x[:, :1] * x[:, 1:2] + x[:, 2:3] > 0).astype(np.float32)
    return x, y


def write_files(folder, files, rng):
    for i in range(files):
        x, y = make_samples(PER_FILE, rng)
        np.save(folder / f"x{i}.npy", x)
        np.save(folder / f"y{i}.npy", y)
    names = range(files)
    return [rg.data.Shards([folder / f"{kind}{i}.npy" for i in names]) for kind in "xy"]


def make_model():
    model = nn.Sequential(
        nn.Linear(FEATURES, 64, rng=1), nn.ReLU(), nn.Linear(64, 16, rng=2), nn.ReLU(),
        nn.Linear(16, 1, rng=3),
    )  # fmt: skip
    return model.to(np.float32)


def train(model, loader):
    loss_fn = nn.BCEWithLogitsLoss()
    optimizer = rg.optim.Adam(model.parameters(), lr=3e-3)

    @rg.compile
    def step(x, y):
        loss = loss_fn(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return [step(x, y).item() for x, y in loader]


def most_memory():
    """Return the most memory that this process has had so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=2048)
    parser.add_argument("--prefetch", type=int, default=4, help="batches that are read ahead")
    args = parser.parse_args(argv)
    files = args.megabytes * 1_000_000 // (PER_FILE * FEATURES * 4)
    if files < 1:
        parser.error(f"--megabytes must be at least 64, not {args.megabytes}")
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        x, y = write_files(Path(folder), files, rng)
        print(f"{files} files, {len(x):,} samples, {args.megabytes} MB")
        loader = rg.data.DataLoader(
            rg.data.TensorDataset(x, y), BATCH, shuffle=True, rng=rng, block_size=BLOCK,
            drop_last=True, prefetch=args.prefetch,
        )  # fmt: skip
        model, start = make_model(), time.perf_counter()
        losses = train(model, loader)
    seconds = time.perf_counter() - start
    new, right = make_samples(4096, rng)
    with rg.no_grad():
        accuracy = np.mean((model(new).data > 0) == (right > 0))
    last = np.mean(losses[-len(losses) // 10 :])
    print(f"loss {last:.4f} over the last tenth, accuracy {accuracy:.1%} on new samples")
    print(f"{seconds:.1f} s to train, at most {most_memory():.0f} MB of memory")
    if files >= 32 and (accuracy < 0.9 or most_memory() > LIMIT):
        print(f"expected 90% at least, in {LIMIT} MB", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
