"""Train a small net to tell which quadrants a point lies in, as a lab record did by hand.

A point (x1, x2) is class 1 where x1 * x2 > 0. The record's net, 2 -> 4 -> 1 with ReLU and
sigmoid, learns this from 200 points by full-batch gradient descent; the library derives the
backward pass that the record writes out. Then one thing at a time is changed.

Run:    python examples/xor_quadrant.py            (--help lists the options)
Prints: the record's ten lines, then one line for each change:

    Epoch 0, Loss: 0.6932, Accuracy: 0.3650
    ...
    Epoch 900, Loss: 0.5324, Accuracy: 0.8250
    Learning rate 0.001: final loss 0.6928, accuracy 0.5200
    Learning rate 0.01: final loss 0.6923, accuracy 0.5200
    Learning rate 0.1: final loss 0.4670, accuracy 0.8700
    Loss mse instead of bce: final loss 0.2358, accuracy 0.5150
    Better recipe (kaiming init, 8 hidden units, momentum 0.9): final loss 0.0230, accuracy 1.0000

Writes: xor_quadrant.png, with curves and decision regions.
"""

import argparse
import math
import os
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

import retrograd as rg


def make_data(random):
    x = random.randn(200, 2)
    y = (x[:, :1] * x[:, 1:] > 0).astype(float)
    return x, y  # (200, 2), (200, 1)


def make_model(recipe, random):
    hidden, output = rg.nn.Linear(2, recipe.hidden), rg.nn.Linear(recipe.hidden, 1)
    for layer in (hidden, output):
        n_out, n_in = layer.weight.shape
        # the record draws (in, out), right after the data and from the same generator
        layer.weight.data[...] = random.randn(n_in, n_out).T * STD[recipe.init](n_in)
        layer.bias.data[...] = 0.0
    return rg.nn.Sequential(hidden, rg.nn.ReLU(), output, rg.nn.Sigmoid())


def train(recipe, seed, epochs, every=None, compiled=False):
    random = np.random.RandomState(seed)
    x, y = make_data(random)
    model = make_model(recipe, random)
    criterion = LOSSES[recipe.loss]()
    optimizer = rg.optim.SGD(model.parameters(), lr=recipe.lr, momentum=recipe.momentum)

    def step(x, y):
        optimizer.zero_grad()
        p = model(x)  # (200, 1)
        loss = criterion(p, y)
        loss.backward()
        optimizer.step()
        return loss, p

    run = Run(model, recipe, every)
    step = rg.compile(step) if compiled else step
    for _ in progress(epochs):
        loss, p = step(x, y)
        run.note(loss.item(), np.mean((p.data > 0.5) == (y > 0.5)))
    return run


# That is all of it. Below: what is changed, what is written down, the options and the picture.

RATES = (0.001, 0.01, 0.1)  # the record names these three and shows the last
GRID = 200  # points a side of the decision regions: finer than the picture's pixels
FORMATS = (".png", ".pdf", ".svg")
FIGURE = {"figsize": (12, 10), "layout": "constrained"}
STD = {
    "normal": lambda fan_in: 0.01,  # the record's: so small that 400 epochs pass before it learns
    "kaiming": lambda fan_in: math.sqrt(2 / fan_in),  # keeps the size of signals through a ReLU
}
LOSSES = {"bce": rg.nn.BCELoss, "mse": rg.nn.MSELoss}


@dataclass(frozen=True)
class Recipe:
    """All that may differ between two runs on the same data."""

    lr: float = 0.1
    momentum: float = 0.0
    hidden: int = 4
    init: str = "normal"
    loss: str = "bce"


BETTER = Recipe(momentum=0.9, hidden=8, init="kaiming")


@dataclass
class Run:
    """A net in training: its loss and accuracy before each update, every so many of them told."""

    model: rg.nn.Module
    recipe: Recipe
    every: int | None
    losses: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)

    def note(self, loss: float, accuracy: float) -> None:
        epoch = len(self.losses)
        self.losses.append(loss)
        self.accuracies.append(float(accuracy))
        if not math.isfinite(loss):
            raise ArithmeticError(f"diverged at learning rate {self.recipe.lr:g}: try a lower --lr")
        if self.every and epoch % self.every == 0:
            say(f"Epoch {epoch}, Loss: {loss:.4f}, Accuracy: {accuracy:.4f}")

    def __str__(self) -> str:
        return f"final loss {self.losses[-1]:.4f}, accuracy {self.accuracies[-1]:.4f}"


def find_tqdm():
    try:
        from tqdm import tqdm
    except ImportError:  # a convenience: everything is computed and printed without it
        return None
    return tqdm


tqdm = find_tqdm()


def progress(epochs: int):
    if tqdm is None:
        return range(epochs)
    # a second's delay: short runs show no bar; disable=None: none in a log file either
    return tqdm(range(epochs), unit="epoch", leave=False, delay=1.0, disable=None)


def say(line: str) -> None:
    if tqdm is None:
        print(line)
    else:
        tqdm.write(line)  # does not tear a bar that is on the screen


@np.errstate(over="ignore", invalid="ignore")  # a run that diverges ends with its own message
def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    given = Recipe(args.lr, args.momentum, args.hidden, args.init, args.loss)
    other = "mse" if given.loss == "bce" else "bce"
    changes = {f"Learning rate {lr:g}": replace(given, lr=lr) for lr in sorted({*RATES, given.lr})}
    changes[f"Loss {other} instead of {given.loss}"] = replace(given, loss=other)
    changes["Better recipe (kaiming init, 8 hidden units, momentum 0.9)"] = BETTER
    try:
        runs = {given: train(given, args.seed, args.epochs, args.every, args.compile)}
        for name, recipe in changes.items():
            if recipe not in runs:
                runs[recipe] = train(recipe, args.seed, args.epochs, None, args.compile)
            print(f"{name}: {runs[recipe]}")
        if not args.no_plot:
            plot(args, given, runs)
        if (given, args.seed, args.epochs) == (Recipe(), 42, 1000):
            check(given, runs)
    except (ArithmeticError, ImportError, MemoryError, OSError) as error:
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        return 1
    return 0


def check(given: Recipe, runs: dict[Recipe, Run]) -> None:
    """Raise unless the record's arguments gave what the docstring promises."""
    found = (f"{runs[given].losses[900]:.4f}", runs[BETTER].accuracies[-1])
    if found != ("0.5324", 1.0):
        raise ArithmeticError(f"expected loss 0.5324 and then accuracy 1.0, found {found}")


class Parser(argparse.ArgumentParser):
    def error(self, message: str):
        self.exit(2, f"{self.prog}: {message}\n")


def checked(kind, accepts, wanted):
    """Make an argparse type: a `kind` that `accepts` says yes to."""

    def convert(text: str):
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not accepts(value):
            raise argparse.ArgumentTypeError(f"must be {wanted}, got {text!r}")
        return value

    return convert


def is_writable(path: Path) -> bool:
    return path.parent.is_dir() and os.access(path.parent, os.W_OK) and not path.is_dir()


def parse(argv: list[str] | None) -> argparse.Namespace:
    count = checked(int, lambda n: n >= 1, "a whole number of at least 1")
    rate = checked(float, lambda r: math.isfinite(r) and r > 0, "a finite number above 0")
    part = checked(float, lambda m: 0 <= m < 1, "at least 0 and below 1")
    seed = checked(int, lambda n: 0 <= n < 2**32, "a whole number from 0 to 4294967295")
    picture = checked(
        lambda text: Path(text),
        lambda path: path.suffix.lower() in FORMATS and is_writable(path),
        f"a file ({', '.join(FORMATS)}) in a folder that exists and can be written to",
    )
    parser = Parser(
        description=__doc__.partition("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--epochs", type=count, default=1000, help="full-batch steps")
    parser.add_argument("--lr", type=rate, default=Recipe.lr, help="learning rate")
    parser.add_argument("--momentum", type=part, default=Recipe.momentum, help="of SGD")
    parser.add_argument("--hidden", type=count, default=Recipe.hidden, help="hidden units")
    parser.add_argument("--init", choices=STD, default=Recipe.init, help="first weights")
    parser.add_argument("--loss", choices=LOSSES, default=Recipe.loss, help="what to minimise")
    parser.add_argument("--seed", type=seed, default=42, help="of data and first weights")
    parser.add_argument("--every", type=count, default=100, help="epochs between two lines")
    parser.add_argument("--output", type=picture, default="xor_quadrant.png", help="the picture")
    parser.add_argument("--compile", action="store_true", help="run the step as a NumPy program")
    parser.add_argument("--no-plot", action="store_true", help="write no picture")
    parser.add_argument("--show", action="store_true", help="also open a window")
    args = parser.parse_args(argv)
    if args.show and args.no_plot:
        parser.error("--show needs the picture that --no-plot leaves out")
    return args


def plot(args: argparse.Namespace, given: Recipe, runs: dict[Recipe, Run]) -> None:
    try:
        from matplotlib.figure import Figure  # without pyplot: draws where there is no display
    except ImportError:
        print("No picture: matplotlib is missing; python -m pip install matplotlib brings it")
        return
    figure = Figure(**FIGURE)
    draw(figure, given, args.seed, runs)
    save(figure, args.output)
    print(f"Picture: {args.output}")
    if args.show:
        from matplotlib import pyplot

        if pyplot.get_backend().lower() == "agg":
            print("No window: there is no display")
            return
        draw(pyplot.figure(**FIGURE), given, args.seed, runs)
        pyplot.show()


def draw(figure, given: Recipe, seed: int, runs: dict[Recipe, Run]) -> None:
    """Fill a figure: three panels of curves over two of decision regions."""
    x, y = make_data(np.random.RandomState(seed))
    panels = figure.subplot_mosaic([list("llaarr"), list("gggbbb")], height_ratios=[2, 3])
    name = "Record's net" if given == Recipe() else "Net as given"
    shown = (("g", name, given, "tab:blue"), ("b", "Better recipe", BETTER, "tab:orange"))
    for _, label, recipe, color in shown:
        panels["l"].plot(runs[recipe].losses, color, label=label)
        panels["a"].plot(runs[recipe].accuracies, color, label=label)
    rates = sorted(recipe.lr for recipe in runs if recipe == replace(given, lr=recipe.lr))
    for lr, color in zip(rates, ("tab:green", "tab:red", "tab:purple", "black"), strict=False):
        style = {"c": "tab:blue", "zorder": 3} if lr == given.lr else {"c": color}
        # slow rates lie on one another: the slower, the wider, so that all are seen
        style["linewidth"] = 4.5 - rates.index(lr)
        panels["r"].plot(runs[replace(given, lr=lr)].losses, label=f"learning rate {lr:g}", **style)
    for recipe in runs.keys() - {given}:
        if recipe == replace(given, loss=recipe.loss):
            accuracies = runs[recipe].accuracies
            panels["a"].plot(accuracies, "--", c="gray", label=f"{name}, {recipe.loss} loss")
    titles = {"l": "Training loss", "a": "Training accuracy", "r": "Training loss by learning rate"}
    for key, title in titles.items():
        panels[key].set(title=title, xlabel="Epoch", ylabel=title.split()[1].capitalize())
        panels[key].grid(alpha=0.3)
        panels[key].legend()
    for key, label, recipe, _ in shown:
        regions = draw_regions(panels[key], label, runs[recipe], x, y)
    figure.colorbar(
        regions, ax=[panels["g"], panels["b"]], location="bottom", aspect=60, shrink=0.6,
        label="Probability of class 1",
    )  # fmt: skip
    figure.suptitle("Class 1 where x1 * x2 > 0: what the nets learned")


def draw_regions(panel, label: str, run: Run, x: np.ndarray, y: np.ndarray):
    """Color the plane by what a net says of it, under the points that it was shown."""
    side = np.linspace(-1.1, 1.1, GRID) * np.abs(x).max()
    u, v = np.meshgrid(side, side)
    points = rg.Tensor(np.stack([u.ravel(), v.ravel()], axis=1))  # (GRID * GRID, 2)
    with rg.no_grad():
        p = run.model(points).data.reshape(GRID, GRID)
    regions = panel.contourf(u, v, p, levels=np.linspace(0, 1, 11), cmap="RdBu", alpha=0.6)
    if p.min() < 0.5 < p.max():
        panel.contour(u, v, p, levels=[0.5], colors="black", linewidths=1.2)
    for value, color in ((0, "darkred"), (1, "navy")):
        chosen = x[y[:, 0] == value].T  # (2, n)
        panel.scatter(*chosen, s=18, c=color, edgecolors="white", label=f"class {value}")
    panel.set(title=f"{label}: accuracy {run.accuracies[-1]:.4f}", xlabel="x1", ylabel="x2")
    panel.legend(loc="upper right")
    return regions


def save(figure, path: Path) -> None:
    """Write whole or not at all: beside its place first, then moved there in one step."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        figure.savefig(part, format=path.suffix[1:].lower(), dpi=120)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
