"""Teach a tiny transformer to sort digits, writing one at a time.

The net reads eight digits, ">" and what it has written so far, and says what comes next. Nothing
tells it how to sort: attention has to find, among the digits not yet written, the smallest.

Run:    python examples/transformer.py            (--steps N, --compile)
Prints: the loss and the share of sequences that are sorted without a mistake, and one of them:

    step 100: loss 0.6942, sorted 12.0%
    ...
    step 400: loss 0.0126, sorted 99.2%
    31415926 > 11234569
"""

import argparse
import sys

import numpy as np

import retrograd as rg
from retrograd import nn

LENGTH = 8
SYMBOLS = "0123456789>"
TIME = 2 * LENGTH  # 8 digits, ">", and the first 7 of the answer
WIDTH, HEADS, BLOCKS = 32, 4, 2
BATCH = 64
TESTED = 500


def make_data(rng, count):
    digits = rng.integers(10, size=(count, LENGTH))
    answer = np.sort(digits, axis=1)
    start = np.full((count, 1), SYMBOLS.index(">"))
    return np.concatenate([digits, start, answer[:, :-1]], axis=1), answer  # (n, 16), (n, 8)


class Sorter(nn.Module):
    def __init__(self, rng):
        self.embed = nn.Embedding(len(SYMBOLS), WIDTH, rng=rng)
        self.place = nn.Embedding(TIME, WIDTH, rng=rng)
        self.blocks = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(
                WIDTH, HEADS, 4 * WIDTH, dropout=0.0, batch_first=True, norm_first=True
            ),
            BLOCKS,
        )
        self.norm = nn.LayerNorm(WIDTH)
        self.read = nn.Linear(WIDTH, 10, rng=rng)
        # each place sees itself and those before it
        self.future = np.triu(np.ones((TIME, TIME), bool), 1)

    def forward(self, x):
        time = x.shape[1]
        h = self.embed(x) + self.place(np.arange(time))  # (n, time, WIDTH)
        h = self.blocks(h, mask=self.future[:time, :time])
        return self.read(self.norm(h[:, LENGTH:]))  # (n, time - 8, 10)


def loss_of(model, x, y):
    return nn.functional.cross_entropy(model(x).reshape(-1, 10), y.reshape(-1))


def write(model, digits):
    """Let the net write its answer; it reads its own digits."""
    x = np.concatenate([digits, np.full((len(digits), 1), SYMBOLS.index(">"))], axis=1)
    with rg.no_grad():
        for _ in range(LENGTH):
            following = model(x).data[:, -1].argmax(axis=1)
            x = np.concatenate([x, following[:, None]], axis=1)
    return x[:, LENGTH + 1 :]


def train(model, rng, steps, compile):
    optimizer = rg.optim.AdamW(model.parameters(), lr=3e-3)
    schedule = rg.optim.lr_scheduler.OneCycleLR(
        optimizer, 3e-3, total_steps=steps, cycle_momentum=False
    )

    def step(x, y):
        optimizer.zero_grad()
        loss = loss_of(model, x, y)
        loss.backward()
        optimizer.step()
        return loss

    if compile:
        step = rg.compile(step)
    x_test, y_test = make_data(rng, TESTED)
    for n in range(1, steps + 1):
        loss = step(*make_data(rng, BATCH))
        schedule.step()
        if n % 100 == 0 or n == steps:
            correct = np.mean((write(model, x_test[:, :LENGTH]) == y_test).all(axis=1))
            print(f"step {n}: loss {loss.item():.4f}, sorted {correct:.1%}")
    return correct


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--compile", action="store_true", help="train as a NumPy program")
    args = parser.parse_args(argv)
    if args.steps < 1:
        parser.error(f"--steps must be at least 1, not {args.steps}")
    rg.manual_seed(0)
    rng = np.random.default_rng(0)
    model = Sorter(rng).to(np.float32)
    correct = train(model, rng, args.steps, args.compile)
    digits = np.array([[3, 1, 4, 1, 5, 9, 2, 6]])
    print(*("".join(map(str, row)) for row in (digits[0], write(model, digits)[0])), sep=" > ")
    if args.steps >= 400 and correct < 0.9:
        print(f"expected 90% to be sorted, found {correct:.1%}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
