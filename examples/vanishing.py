"""See why gradients vanish: their size, layer by layer, in nets that are not trained yet.

Backward, each layer multiplies the gradient by the slope of its activation and by its weights. The
slope of a sigmoid is at most 1/4, so that little is left after some layers. Those of tanh and ReLU
are up to 1; then the size of the weights decides, and where they are drawn too small the gradient
vanishes as well. Xavier's draws keep tanh in balance, Kaiming's, twice as wide, ReLU, which lets
half of the signals through.

Run:    python examples/vanishing.py            (--depth N, --width N, --output FILE, --no-plot)
Prints: for each activation and draw the gradient at the first layer as a part of that at the last:

    sigmoid, std 0.02      2.6e-27
    ...
    relu, Kaiming          1.9e+00

Writes: vanishing.png, the gradients by layer, and that at the first layer by depth.
"""

import argparse
import itertools
import sys

import numpy as np

import retrograd as rg

F = rg.nn.functional
ACTIVATIONS = {"sigmoid": F.sigmoid, "tanh": np.tanh, "relu": F.relu}
DRAWS = {  # standard deviation of a weight, by the width of the net
    "std 0.02": lambda width: 0.02,
    "Xavier": lambda width: (1 / width) ** 0.5,
    "Kaiming": lambda width: (2 / width) ** 0.5,
}
DEPTHS = (2, 5, 10, 20, 30, 40, 50)
COLORS = {"sigmoid": "#d55e00", "tanh": "#0072b2", "relu": "#009e73"}
BATCH = 64
FLOOR = 1e-30  # smaller ones are drawn there


def make_weights(draw, depth, width, rng):
    std = DRAWS[draw](width)
    return [
        rg.Tensor(std * rng.normal(size=(width, width)), requires_grad=True) for _ in range(depth)
    ]


def gradients(activation, draw, depth, width):
    """Return the root mean square of the gradient at each layer's output, a part of the last's."""
    rng = np.random.default_rng(0)
    h = rng.normal(size=(BATCH, width))
    layers = []
    for weight in make_weights(draw, depth, width, rng):
        h = ACTIVATIONS[activation](h @ weight)  # (64, width)
        h.retain_grad()
        layers.append(h)
    loss = np.mean((h - rng.normal(size=h.shape)) ** 2)
    loss.backward()
    sizes = np.array([np.sqrt(np.mean(layer.grad**2)) for layer in layers])
    return sizes / sizes[-1]


def draw_layers(panel, found, draw, depth):
    for activation, color in COLORS.items():
        sizes = np.maximum(found[activation, draw], FLOOR)
        panel.semilogy(range(1, depth + 1), sizes, color=color, lw=2.2, label=activation)
    panel.set(title=f"Weights: {draw}", xlabel="Layer", xlim=(1, depth))


def draw_depths(panel, width):
    for activation, draw in (("sigmoid", "Xavier"), ("tanh", "Xavier"), ("relu", "Kaiming")):
        first = [gradients(activation, draw, depth, width)[0] for depth in DEPTHS]
        panel.semilogy(
            DEPTHS, np.maximum(first, FLOOR), "o-", color=COLORS[activation], lw=2.2, ms=5,
            label=f"{activation}, {draw}",
        )  # fmt: skip
    panel.set(title="First layer, by depth", xlabel="Layers of the net")


def draw(found, depth, width, path):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.6), layout="constrained")
    panels = figure.subplots(1, len(DRAWS) + 1, sharey=True)
    for panel, name in zip(panels, DRAWS, strict=False):
        draw_layers(panel, found, name, depth)
    draw_depths(panels[-1], width)
    panels[0].set(ylabel="Gradient, as a part of the last", ylim=(1e-20, 100))
    panels[0].legend(loc="lower right")
    panels[-1].legend(loc="center right")
    for panel in panels:
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=100)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--depth", type=int, default=20, help="layers")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--output", default="vanishing.png", help="the picture")
    parser.add_argument("--no-plot", action="store_true", help="write no picture")
    args = parser.parse_args(argv)
    if args.depth < 2 or args.width < 1:
        parser.error("--depth must be at least 2 and --width at least 1")
    found = {
        (activation, draw): gradients(activation, draw, args.depth, args.width)
        for activation, draw in itertools.product(ACTIVATIONS, DRAWS)
    }
    parts = {case: sizes[0] for case, sizes in found.items()}
    for (activation, draw_name), part in parts.items():
        print(f"{activation + ', ' + draw_name:<22} {part:.1e}")
    if not args.no_plot:
        try:
            draw(found, args.depth, args.width, args.output)
            print(f"Picture: {args.output}")
        except ImportError:
            print("No picture: matplotlib is missing; python -m pip install matplotlib brings it")
    balanced = parts["tanh", "Xavier"], parts["relu", "Kaiming"]
    if args.depth >= 10 and not (parts["sigmoid", "Xavier"] < 1e-3 < min(balanced)):
        print(f"expected sigmoid alone to vanish, found {parts}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
