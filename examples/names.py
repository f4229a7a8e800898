"""Learn how names are spelled, a character at a time, and make up new ones.

A recurrent net (GRU) reads the characters of a name and says after each which comes next; "." is
the start and the end. It is measured on names it was not trained on, against a table that counts
which character follows which.

Run:    python examples/names.py            (--epochs N)
Prints: the loss (nats a character) on the held-out names, and names that are in no list:

    970 names to train on, 107 to test
    table of pairs: 2.3971
    epoch 3: 2.2737
    ...
    new: soph, neliana, corl, antora, julina, brendor, sylen, elis, roelian, ellena
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import retrograd as rg
from retrograd import nn

NAMES = Path(__file__).with_name("names.txt")
CHARACTERS = ".abcdefghijklmnopqrstuvwxyz"
NOTHING = -100  # a target that the loss leaves out: what would follow a name's end
WIDTH, HIDDEN = 16, 96
SAMPLES = 10
TEMPERATURE = 0.7  # below 1: likely characters become more so


def make_data(rng):
    names = NAMES.read_text().split()
    length = max(map(len, names)) + 1
    x = np.zeros((len(names), length), int)
    y = np.full((len(names), length), NOTHING)
    for row, name in enumerate(names):
        codes = [CHARACTERS.index(c) for c in name]
        x[row, 1 : len(name) + 1] = codes  # . e m m a
        y[row, : len(name) + 1] = [*codes, 0]  # e m m a .
    train, test = rg.data.random_split(rg.data.TensorDataset(x, y), [0.9, 0.1], rng)
    return names, rg.data.DataLoader(train, 32, shuffle=True, rng=rng), train[:], test[:]


class Speller(nn.Module):
    def __init__(self, rng):
        self.embed = nn.Embedding(len(CHARACTERS), WIDTH, rng=rng)
        self.gru = nn.GRU(WIDTH, HIDDEN, batch_first=True, rng=rng)
        self.drop = nn.Dropout(0.3, rng=rng)
        self.read = nn.Linear(HIDDEN, len(CHARACTERS), rng=rng)

    def forward(self, x):
        states, _ = self.gru(self.embed(x))  # (n, time, HIDDEN)
        return self.read(self.drop(states))  # (n, time, 27)


def loss(scores, target):
    rows = scores.reshape(-1, len(CHARACTERS))
    return nn.functional.cross_entropy(rows, target.reshape(-1), ignore_index=NOTHING)


def table_of_pairs(train, test):
    """Return the loss of counting pairs, each one more than it was seen."""
    counts = np.ones((len(CHARACTERS), len(CHARACTERS)))
    (x, y), (x_test, y_test) = ((x[y != NOTHING], y[y != NOTHING]) for x, y in (train, test))
    np.add.at(counts, (x, y), 1)
    p = counts / counts.sum(axis=1, keepdims=True)
    return -np.log(p[x_test, y_test]).mean()


def invent(model, known, rng):
    model.eval()
    found = []
    while len(found) < SAMPLES:
        text = "."
        while len(text) == 1 or (text[-1] != "." and len(text) < 12):
            with rg.no_grad():
                scores = model(np.array([[CHARACTERS.index(c) for c in text]])).data[0, -1]
            p = np.exp((scores - scores.max()) / TEMPERATURE)
            text += CHARACTERS[rng.choice(len(p), p=p / p.sum())]
        if text[-1] == "." and len(text) > 4 and text[1:-1] not in {*known, *found}:
            found.append(text[1:-1])
    return found


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=12)
    args = parser.parse_args(argv)
    if args.epochs < 1:
        parser.error(f"--epochs must be at least 1, not {args.epochs}")
    rng = np.random.default_rng(0)
    names, data, train, test = make_data(rng)
    print(f"{len(train[0])} names to train on, {len(test[0])} to test")
    baseline = table_of_pairs(train, test)
    print(f"table of pairs: {baseline:.4f}")

    def report(run):
        if run.epoch % 3 == 0:
            print(f"epoch {run.epoch}: {run.history['val_loss'][-1]:.4f}")

    model = Speller(rng)
    history = rg.fit(
        model, data, loss, rg.optim.Adam(model.parameters(), lr=5e-3), epochs=args.epochs,
        validation=[test], keep_best=True, callbacks=[report],
    )  # fmt: skip
    print("new: " + ", ".join(invent(model, names, rng)))
    best = min(history["val_loss"])
    if args.epochs >= 12 and best > baseline - 0.2:
        print(f"expected to beat the table by 0.2, found {best:.4f}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
