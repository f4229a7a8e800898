"""Read handwritten digits: 8x8 pixels, an MLP or a small convolutional net.

The 1797 images come with scikit-learn. A fifth of them is for the test and is never trained on.

Run:    python examples/digits.py            (--net conv, --epochs N, --compile)
Needs:  python -m pip install "retrograd[examples]"
Prints: the loss and the test accuracy of each fifth epoch, and the digits that are confused:

    mlp: 9,610 parameters, 1438 images to train on, 359 to test
    epoch 5: loss 0.1154, test accuracy 96.7%
    ...
    epoch 20: loss 0.0282, test accuracy 98.9%
    confused: 9 as 5 (1 times), 9 as 8 (1 times), 6 as 1 (1 times)
"""

import argparse
import sys
from collections import Counter

import numpy as np

import retrograd as rg
from retrograd import nn

BATCH = 64
GOALS = {"mlp": 0.97, "conv": 0.985}  # accuracy on the test


def make_data(rng):
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images[:, None] / 16).astype(np.float32)  # (1797, 1, 8, 8) in [0, 1]
    data = rg.data.TensorDataset(images, digits.target)
    train, test = rg.data.random_split(data, [0.8, 0.2], rng)
    return rg.data.DataLoader(train, BATCH, shuffle=True, rng=rng), test[:]


def make_model(net, rng):
    if net == "mlp":
        return nn.Sequential(
            nn.Flatten(), nn.Linear(64, 128, rng=rng), nn.ReLU(), nn.Linear(128, 10, rng=rng)
        )
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, rng=rng), nn.ReLU(),  # (n, 16, 8, 8)
        nn.Conv2d(16, 32, 3, padding=1, rng=rng), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(),  # (n, 512)
        nn.Dropout(0.3, rng=rng), nn.Linear(512, 10, rng=rng),
    )  # fmt: skip


def accuracy(output, target):
    return np.mean(output.data.argmax(axis=1) == target)


def train(model, data, test, epochs, compile):
    def report(run):
        if run.epoch % 5 == 0 or run.epoch == epochs:
            values = run.history["loss"][-1], run.history["val_accuracy"][-1]
            print("epoch {}: loss {:.4f}, test accuracy {:.1%}".format(run.epoch, *values))

    optimizer = rg.optim.Adam(model.parameters(), lr=8e-3)
    schedule = rg.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs, eta_min=1e-4)
    history = rg.fit(
        model, data, nn.CrossEntropyLoss(), optimizer, epochs=epochs, scheduler=schedule,
        validation=[test], metrics={"accuracy": accuracy}, callbacks=[report], compile=compile,
    )  # fmt: skip
    return history["val_accuracy"][-1]


def confused(model, test):
    images, digits = test
    with rg.no_grad():
        read = model.eval()(images).data.argmax(axis=1)
    pairs = Counter(zip(digits[read != digits], read[read != digits], strict=True))
    return ", ".join(f"{a} as {b} ({n} times)" for (a, b), n in pairs.most_common(3)) or "none"


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--net", choices=GOALS, default="mlp")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--compile", action="store_true", help="train as a NumPy program")
    args = parser.parse_args(argv)
    if args.epochs < 1:
        parser.error(f"--epochs must be at least 1, not {args.epochs}")
    rng = np.random.default_rng(0)
    try:
        data, test = make_data(rng)
    except ImportError:
        parser.error("the images come with scikit-learn: python -m pip install scikit-learn")
    model = make_model(args.net, rng).to(np.float32)
    count = sum(p.size for p in model.parameters())
    sizes = f"{len(data.dataset)} images to train on, {len(test[1])} to test"
    print(f"{args.net}: {count:,} parameters, {sizes}")
    reached = train(model, data, test, args.epochs, args.compile)
    print(f"confused: {confused(model, test)}")
    if args.epochs >= 20 and reached < GOALS[args.net]:
        print(f"expected an accuracy of {GOALS[args.net]}, found {reached:.4f}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
