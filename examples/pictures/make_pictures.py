"""Draw the README's pictures: what the first example learns, its net, a derived backward pass.

Run:    python examples/pictures/make_pictures.py            (--folder FOLDER)
Writes: result.png, graph.svg and backward.png, beside this file unless a folder is given.

The last picture is read off the program that the library prints: each arrow is a value that one
line computes and another takes. Only the places of the boxes are chosen by hand.
"""

import argparse
import importlib.util
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

import retrograd as rg

HERE = Path(__file__).resolve().parent
INK = "#333333"
FORWARD, BACKWARD, KEPT = "#dbe9f6", "#fde3cf", "#c04000"
WIDTH, HEIGHT = 0.88, 0.66  # of a box, where columns and rows are 1 apart
# the values of the program that get a box, each with its column and row
PLACES = {
    "x": (0, 2), "fc1": (1, 2), "a1": (2, 2), "fc2": (3, 2), "a2": (4, 2), "loss": (5, 2),
    "d_fc1": (1, 1), "d_a1": (2, 1), "d_fc2": (3, 1), "y": (5, 1),
    "d_fc1_weight": (0, 0), "d_fc1_bias": (1, 0), "d_fc2_weight": (3, 0), "d_fc2_bias": (4, 0),
}  # fmt: skip


def load(name: str) -> ModuleType:
    """Import the example of a name, wherever this is run."""
    spec = importlib.util.spec_from_file_location(name, HERE.parent / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# what the first example learns


def draw_result(figure: Figure) -> None:
    example = load("xor_quadrant")
    runs = {
        "Record's net": example.train(example.Recipe(), seed=42, epochs=1000),
        "Better recipe": example.train(example.BETTER, seed=42, epochs=1000),
    }
    x, y = example.make_data(np.random.RandomState(42))
    panels = figure.subplots(1, 3)
    for (label, run), color in zip(runs.items(), ("tab:blue", "tab:orange"), strict=True):
        panels[0].plot(run.losses, color, label=label)
    panels[0].set(title="Training loss", xlabel="Epoch", ylabel="Loss")
    panels[0].grid(alpha=0.3)
    panels[0].legend()
    for panel, (label, run) in zip(panels[1:], runs.items(), strict=True):
        regions = example.draw_regions(panel, label, run, x, y)
    figure.colorbar(regions, ax=panels[2], label="Probability of class 1")


# the record's net


def draw_graph(path: Path) -> None:
    example = load("read_the_backward_pass")
    random = np.random.RandomState(42)
    x, y = example.make_data(random)
    net = example.Net(random)
    loss = rg.nn.BCELoss()(net(x), y)
    rg.draw(loss).save(path)


# a derived backward pass


@dataclass(frozen=True)
class Line:
    """What a line of the program computes: how, and from which values."""

    text: str
    taken: frozenset[str]


def read_program(step) -> dict[str, Line]:
    """Return the line that computes each value of a program, in the program's order."""
    return {
        row.targets[0]: Line(row.text.partition(" = ")[2], frozenset(row.inputs))
        for row in step.readable().rows
        # what is written in place is a parameter, and what has no dtype is the size of the batch
        if not row.writes and row.dtype is not None
    }


def steps_to(name: str, program: dict[str, Line], boxes: set[str]) -> list[str]:
    """Return the values computed for one alone, in order, with itself last."""
    found, rest = set(), [name]
    while rest:
        step = rest.pop()
        if step in program:
            found.add(step)
            rest.extend(program[step].taken - boxes - found)
    return [step for step in program if step in found]


def draw_backward(figure: Figure) -> None:
    example = load("read_the_backward_pass")
    random = np.random.RandomState(42)
    x, y = example.make_data(random)
    step = example.make_step(example.Net(random))
    step(x, y)
    program = read_program(step)
    panel = figure.subplots()
    boxes = {}
    for name, (column, row) in PLACES.items():
        color = FORWARD if row == 2 or name == "y" else BACKWARD
        corner = (column - WIDTH / 2, row - HEIGHT / 2)
        boxes[name] = FancyBboxPatch(
            corner, WIDTH, HEIGHT, boxstyle="round,pad=0,rounding_size=0.06", fc=color, ec=INK
        )
        panel.add_patch(boxes[name])
    for name, (column, row) in PLACES.items():
        steps = steps_to(name, program, {*PLACES})
        draw_text(panel, name, [program[n].text for n in steps], column, row)
        for source in {n for s in steps for n in program[s].taken} & {*PLACES}:
            kept = PLACES[source][1] == 2 > row
            panel.add_patch(FancyArrowPatch(
                PLACES[source], (column, row), patchA=boxes[source], patchB=boxes[name],
                arrowstyle="-|>", mutation_scale=12, color=KEPT if kept else INK,
                linestyle="--" if kept else "-", zorder=0.5,
            ))  # fmt: skip
    notes = {"forward": 2, "backward": 1, "gradients of\nthe parameters": 0}
    for note, row in notes.items():
        panel.text(-0.56, row, note, ha="right", va="center", style="italic", color=INK)
    note = "dashed: what the\nbackward pass takes\nfrom the forward pass"
    panel.text(4.53, 0, note, va="center", style="italic", color=KEPT)
    panel.set(xlim=(-1.3, 5.5), ylim=(-0.4, 2.4))
    panel.axis("off")


def draw_text(panel, name: str, lines: list[str], column: float, row: float) -> None:
    """Write a value's name over the lines that compute it; of many lines, over the last one."""
    if len(lines) > 2:
        lines = [f"({len(lines) - 1} lines, then)", lines[-1]]
    lines = lines or ["(given)"]
    panel.text(column, row + 0.2, name, ha="center", va="center", weight="bold", size=9)
    text = "\n".join(textwrap.fill(line, 25) for line in lines)
    panel.text(
        column, row - 0.07, text, ha="center", va="center", family="monospace", size=6.6, color=INK
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=HERE, help="where the pictures go")
    folder = parser.parse_args(argv).folder
    for name, draw, size in (
        ("result", draw_result, (12, 3.4)),
        ("backward", draw_backward, (12, 4.4)),
    ):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        figure.savefig(folder / f"{name}.png", dpi=100)
    draw_graph(folder / "graph.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
