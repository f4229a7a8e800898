"""Watch the lab record's net learn: what it says of the plane, its loss, and each unit's line.

The net, 2 -> 4 -> 1 with ReLU and sigmoid, learns in which quadrants a point lies, from the data
and the draws of `xor_quadrant.py`. A hidden unit is 0 on one side of a line in the plane,
`w[0] * x1 + w[1] * x2 + b = 0`, and grows on the other side, to which its arrow points. Learning is
these lines finding their places: nothing seems to happen until they are where they can share the
work.

Run:    python examples/watch_it_learn.py            (--epochs N, --frames N, --folder FOLDER)
Prints: the loss and the accuracy of each frame of the filmstrip:

    epoch    0: loss 0.6932, accuracy 0.3650
    ...
    epoch 3000: loss 0.1386, accuracy 0.9600

Writes: watch_it_learn.gif, the film, and watch_it_learn.png, six frames of it.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import retrograd as rg

LEARNING_RATE = 0.1
SIDE = 3.0  # of the plane that is shown, from the middle
GRID = 90  # points a side: what the net says is smooth
STRIP = 6  # frames in the filmstrip
UNITS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")  # told apart by the color-blind too
CLASSES = ((0, "#8c2d19", "v"), (1, "#1b3a6b", "o"))


@dataclass(frozen=True)
class Frame:
    """The net at one epoch: what it says of the plane, and the lines of its hidden units."""

    epoch: int
    plane: np.ndarray  # (GRID, GRID), probability of class 1
    weight: np.ndarray  # (4, 2)
    bias: np.ndarray  # (4,)
    out: np.ndarray  # (4,), what each unit counts for
    accuracy: float


def make_data(random):
    x = random.randn(200, 2)
    return x, (x[:, :1] * x[:, 1:] > 0).astype(float)  # (200, 2), (200, 1)


def make_net(random):
    net = rg.nn.Sequential(
        rg.nn.Linear(2, 4), rg.nn.ReLU(), rg.nn.Linear(4, 1), rg.nn.Sigmoid()
    )  # fmt: skip
    for layer in (net[0], net[2]):
        n_out, n_in = layer.weight.shape
        layer.weight.data[...] = random.randn(n_in, n_out).T * 0.01  # the record's
        layer.bias.data[...] = 0.0
    return net


def corners():
    side = np.linspace(-SIDE, SIDE, GRID)
    return np.meshgrid(side, side)


def look(net, epoch, x, y):
    u, v = corners()
    with rg.no_grad():
        plane = net(np.stack([u.ravel(), v.ravel()], axis=1)).data.reshape(GRID, GRID)
        accuracy = float(np.mean((net(x).data > 0.5) == (y > 0.5)))
    hidden, last = net[0], net[2]
    return Frame(
        epoch, plane, hidden.weight.data.copy(), hidden.bias.data.copy(),
        last.weight.data[0].copy(), accuracy,
    )  # fmt: skip


def train(net, x, y, epochs, every):
    """Return the loss before each epoch and at the end, and a frame every so many epochs."""
    criterion = rg.nn.BCELoss()
    optimizer = rg.optim.SGD(net.parameters(), lr=LEARNING_RATE)

    @rg.compile
    def step(x, y):
        loss = criterion(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    losses, frames = [], []
    for epoch in range(epochs):
        if epoch % every == 0:
            frames.append(look(net, epoch, x, y))
        losses.append(step(x, y).item())
    with rg.no_grad():
        losses.append(criterion(net(x), y).item())
    frames.append(look(net, epochs, x, y))
    return losses, frames


# The pictures


def draw_plane(panel, frame, x, y):
    """Color the plane by what the net says, under the points and the line of each unit."""
    u, v = corners()
    panel.contourf(u, v, frame.plane, levels=np.linspace(0, 1, 9), cmap="RdBu", alpha=0.55)
    if frame.plane.min() < 0.5 < frame.plane.max():
        panel.contour(u, v, frame.plane, levels=[0.5], colors="#222222", linewidths=1.6)
    for value, color, marker in CLASSES:
        panel.scatter(*x[y[:, 0] == value].T, s=9, c=color, marker=marker, linewidths=0)
    strength = np.linalg.norm(frame.weight, axis=1) * np.abs(frame.out)
    for unit, color in enumerate(UNITS):
        (a, b), c = frame.weight[unit], frame.bias[unit]
        length = np.hypot(a, b)
        if not length:
            continue
        normal = np.array([a, b]) / length
        foot = -c / length * normal  # of the line, nearest to the middle
        along = np.array([-normal[1], normal[0]])
        width = 1.0 + 2.2 * strength[unit] / max(strength.max(), 1e-12)
        panel.plot(*np.stack([foot - 9 * along, foot + 9 * along], axis=1), color, lw=width)
        for start in (foot + 0.75 * SIDE * along, foot - 0.75 * SIDE * along):
            if np.abs(start).max() < SIDE:
                panel.annotate(
                    "", start + 0.7 * normal, start,
                    arrowprops={"arrowstyle": "-|>", "color": color, "lw": 1.4, "shrinkA": 0},
                )  # fmt: skip
    panel.set(xlim=(-SIDE, SIDE), ylim=(-SIDE, SIDE), xticks=[], yticks=[], aspect="equal")


def draw_loss(panel, losses):
    panel.plot(losses, color="#444444", lw=1.6)
    panel.set(xlabel="Epoch", ylabel="Loss", xlim=(0, len(losses) - 1), ylim=(0, None))
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(alpha=0.25)


def draw_film(path, losses, frames, x, y):
    from matplotlib.animation import PillowWriter
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 3.0), dpi=80, layout="constrained")
    plane, curve = figure.subplots(1, 2, width_ratios=[1, 1.05])
    draw_loss(curve, losses)
    (dot,) = curve.plot([0], [losses[0]], "o", color="#d55e00", ms=8)
    writer = PillowWriter(fps=7)
    with writer.saving(figure, path, dpi=80):
        for frame in frames:
            plane.clear()
            draw_plane(plane, frame, x, y)
            plane.set_title(f"Epoch {frame.epoch}", fontsize=11)
            dot.set_data([frame.epoch], [losses[frame.epoch]])
            loss = losses[frame.epoch]
            curve.set_title(f"Loss {loss:.3f}, accuracy {frame.accuracy:.1%}", fontsize=11)
            for _ in range(1 if frame is not frames[-1] else 10):  # the end stays for a while
                writer.grab_frame()


def draw_strip(path, losses, frames, x, y):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.9), layout="constrained")
    grid = figure.add_gridspec(2, len(frames), height_ratios=[1.9, 1])
    curve = figure.add_subplot(grid[1, :])
    draw_loss(curve, losses)
    for i, frame in enumerate(frames):
        panel = figure.add_subplot(grid[0, i])
        draw_plane(panel, frame, x, y)
        panel.set_title(f"Epoch {frame.epoch}: {frame.accuracy:.1%}", fontsize=11)
        curve.plot([frame.epoch], [losses[frame.epoch]], "o", color="#d55e00", ms=7)
    figure.savefig(path, dpi=100)


def choose(frames, losses, count):
    """Return frames from the first to the last, more of them where the loss falls."""
    fallen = (losses[0] - np.array(losses)) / max(losses[0] - losses[-1], 1e-12)
    progress = [fallen[frame.epoch] + frame.epoch / len(losses) for frame in frames]
    at = np.searchsorted(progress, np.linspace(progress[0], progress[-1], count))
    return [frames[i] for i in dict.fromkeys(np.minimum(at, len(frames) - 1).tolist())]


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=3000)
    parser.add_argument("--frames", type=int, default=36, help="of the film")
    parser.add_argument("--folder", type=Path, default=Path(), help="where the pictures go")
    args = parser.parse_args(argv)
    if args.epochs < 1 or args.frames < 2:
        parser.error("--epochs must be at least 1 and --frames at least 2")
    if not args.folder.is_dir():
        parser.error(f"there is no folder {args.folder}")
    random = np.random.RandomState(42)
    x, y = make_data(random)
    every = max(1, args.epochs // 300)
    losses, frames = train(make_net(random), x, y, args.epochs, every)
    stills, film = (choose(frames, losses, count) for count in (STRIP, args.frames))
    for frame in stills:
        loss = losses[frame.epoch]
        print(f"epoch {frame.epoch:4}: loss {loss:.4f}, accuracy {frame.accuracy:.4f}")
    try:
        for name, draw, shown in (("png", draw_strip, stills), ("gif", draw_film, film)):
            path = args.folder / f"watch_it_learn.{name}"
            draw(path, losses, shown, x, y)
            print(f"Picture: {path}")
    except ImportError:
        print("No pictures: matplotlib is missing; python -m pip install matplotlib brings it")
    if args.epochs >= 3000 and stills[-1].accuracy < 0.95:
        print(f"expected 95% on their side, found {stills[-1].accuracy:.1%}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
