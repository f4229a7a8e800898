"""Read the backward pass of a small net as NumPy code, and run it without the library.

The net is that of a lab record: 2 -> 4 -> 1 with ReLU and sigmoid on XOR-quadrant data. The record
writes the gradient of each weight out by hand; here the library derives the same program, prints
it, and saves it as a script that imports NumPy alone. The script then trains in a Python process
where this library cannot be imported, and its losses are compared with those of the compiled step.

Run:    python examples/read_the_backward_pass.py [--steps 1000] [--keep FOLDER]
Prints: the program, then

    1000 losses of the script and of the step are equal to within 0.0e+00; the last is 0.4670
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import retrograd as rg

TOLERANCE = 1e-12  # the script adds up in another order: the last digits may differ
# -I keeps this folder and the environment's paths out, the finder refuses what is installed
TRAIN_ALONE = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "retrograd":
            raise ImportError("this process does without")
sys.meta_path.insert(0, Refuse())
sys.path.insert(0, sys.argv[1])
import numpy as np
import step
with np.load(sys.argv[1] + "/data.npz") as data:
    x, y = data["x"], data["y"]
np.save(sys.argv[1] + "/losses.npy", [step.step(x, y) for _ in range(int(sys.argv[2]))])
"""


class Net(rg.nn.Module):
    def __init__(self, random: np.random.RandomState) -> None:
        self.fc1 = rg.nn.Linear(2, 4)
        self.fc2 = rg.nn.Linear(4, 1)
        for layer in (self.fc1, self.fc2):
            n_out, n_in = layer.weight.shape
            layer.weight.data[...] = random.randn(n_in, n_out).T * 0.01  # the record's
            layer.bias.data[...] = 0.0

    def forward(self, x):
        a1 = rg.nn.functional.relu(self.fc1(x))  # (200, 4)
        a2 = rg.nn.functional.sigmoid(self.fc2(a1))  # (200, 1)
        return a2  # noqa: RET504, the program takes the name


def make_data(random: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    x = random.randn(200, 2)
    return x, (x[:, :1] * x[:, 1:] > 0).astype(float)


def make_step(model: Net):
    criterion = rg.nn.BCELoss()
    optimizer = rg.optim.SGD(model.parameters(), lr=0.1)

    @rg.compile
    def step(x, y):
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=1000, help="to compare")
    parser.add_argument("--keep", type=Path, help="a folder for the script and its data")
    args = parser.parse_args(argv)
    if args.steps < 1:
        parser.error(f"--steps must be at least 1, got {args.steps}")

    random = np.random.RandomState(42)
    x, y = make_data(random)
    model = Net(random)
    step = make_step(model)
    start = model.state_dict()
    step(x, y)  # recorded
    print(step.source)

    model.load_state_dict(start)
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        step.export(folder / "step.py", overwrite=True, readable=True)
        np.savez(folder / "data.npz", x=x, y=y)
        command = [sys.executable, "-I", "-c", TRAIN_ALONE, str(folder), str(args.steps)]
        subprocess.run(command, check=True)
        alone = np.load(folder / "losses.npy")
    here = np.array([step(x, y).item() for _ in range(args.steps)])
    worst = np.abs(alone - here).max()
    print(f"\n{args.steps} losses of the script and of the step are equal to within {worst:.1e}; "
          f"the last is {here[-1]:.4f}")  # fmt: skip
    return 0 if worst <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
