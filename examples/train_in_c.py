"""Write a training step as C, and train in a process that has no Python.

The net is that of a lab record: 2 -> 4 -> 1 with ReLU and sigmoid on XOR-quadrant data. The step,
with its backward pass and update, becomes one C99 file that needs libm alone: no allocation, all
state in one struct. A C program of twenty lines trains with it for as many epochs as
the compiled step does here, and the two are compared: the record's lines, and every weight.

Run:    python examples/train_in_c.py [--epochs 1000] [--float32] [--keep FOLDER]
Needs:  a C compiler, cc or what the environment variable CC names
Prints: the record's ten lines as the C program prints them, then

    6.38 us an epoch, 22,712 bytes of RAM, 8,798 bytes of code and numbers
    The 10 lines are those of the step here, and its 17 weights equal to within 2.2e-16
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import retrograd as rg

STRICT = ["-std=c99", "-O3", "-Wall", "-Wextra", "-Werror", "-pedantic"]
TOLERANCE = {np.float64: 1e-12, np.float32: 1e-4}  # of weights, after 1000 epochs of rounding
LINE = "Epoch %d, Loss: %.4f, Accuracy: %.4f"
MAIN = """
#include <stdio.h>
#include <time.h>
#include "step.h"
#include "data.h"

static step_state state;

int main(void) {
    const clock_t start = clock();
    size_t i, epoch;
    step_init(&state);
    for (epoch = 0; epoch < EPOCHS; epoch++) {
        real loss, p[ROWS];
        int right = 0;
        step_run(&state, x, y, &loss, p);
        for (i = 0; i < ROWS; i++) right += (p[i] > 0.5) == (y[i] > 0.5);
        if (epoch % EVERY == 0) printf("LINE\\n", (int)epoch, loss, right / (double)ROWS);
    }
    printf("%.2f %d\\n", (double)(clock() - start) * 1e6 / CLOCKS_PER_SEC / EPOCHS,
           (int)sizeof state);
    for (i = 0; i < sizeof state.params / sizeof state.params[0]; i++)
        printf("%.17g\\n", state.params[i]);
    return 0;
}
""".replace("LINE", LINE)


def make_data(random: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
    x = random.randn(200, 2)
    return x, (x[:, :1] * x[:, 1:] > 0).astype(float)


def make_model(random: np.random.RandomState) -> rg.nn.Sequential:
    hidden, output = rg.nn.Linear(2, 4), rg.nn.Linear(4, 1)
    for layer in (hidden, output):
        n_out, n_in = layer.weight.shape
        layer.weight.data[...] = random.randn(n_in, n_out).T * 0.01  # the record's
        layer.bias.data[...] = 0.0
    return rg.nn.Sequential(hidden, rg.nn.ReLU(), output, rg.nn.Sigmoid())


def make_step(model: rg.nn.Module):
    criterion = rg.nn.BCELoss()
    optimizer = rg.optim.SGD(model.parameters(), lr=0.1)

    @rg.compile
    def step(x, y):
        p = model(x)  # (200, 1)
        loss = criterion(p, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss, p

    return step


def as_c(name: str, array: np.ndarray) -> str:
    return f"static const real {name}[] = {{{', '.join(map(repr, array.ravel().tolist()))}}};"


def train_in_c(folder: Path, compiler: list[str], epochs: int, x, y) -> tuple[str, str, list[str]]:
    """Compile the step in a folder with a main, and run it: lines, what it took, weights."""
    real = "float" if x.dtype == np.float32 else "double"
    defined = {"EPOCHS": epochs, "ROWS": len(x), "EVERY": every(epochs)}
    lines = [f"typedef {real} real;", *(f"#define {k} {v}" for k, v in defined.items())]
    (folder / "data.h").write_text("\n".join([*lines, as_c("x", x), as_c("y", y), ""]))
    (folder / "main.c").write_text(MAIN)
    for name in ("step", "main"):
        subprocess.run([*compiler, *STRICT, "-c", f"{name}.c"], cwd=folder, check=True)
    subprocess.run([*compiler, "step.o", "main.o", "-o", "train", "-lm"], cwd=folder, check=True)
    ran = subprocess.run([folder / "train"], capture_output=True, text=True, check=True)
    *printed, took = ran.stdout.splitlines()[: -17 or None]
    return "\n".join(printed), took, ran.stdout.splitlines()[-17:]


def every(epochs: int) -> int:
    return max(epochs // 10, 1)


def find_compiler() -> list[str] | None:
    try:
        command = shlex.split(os.environ.get("CC", "cc"))
    except ValueError:  # a quotation that does not end
        return None
    return command if command and shutil.which(command[0]) else None


def bytes_of_code(folder: Path) -> str:
    """Return what goes into the flash of a device, as the linker's tools count it."""
    if shutil.which("size") is None:
        return "some"
    told = subprocess.run(
        ["size", "step.o"], cwd=folder, capture_output=True, text=True, check=True
    )
    return f"{int(told.stdout.splitlines()[1].split()[0]):,}"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=1000, help="to train")
    parser.add_argument("--float32", action="store_true", help="as on a device")
    parser.add_argument("--keep", type=Path, help="a folder for the C files")
    args = parser.parse_args(argv)
    if args.epochs < 1:
        parser.error(f"--epochs must be at least 1, got {args.epochs}")
    compiler = find_compiler()
    if compiler is None:
        print("there is no C compiler: install gcc or clang, or name one in CC", file=sys.stderr)
        return 1

    dtype = np.float32 if args.float32 else np.float64
    random = np.random.RandomState(42)
    x, y = make_data(random)
    model = make_model(random)
    for parameter in model.parameters():
        parameter.data = parameter.data.astype(dtype)
    x, y = x.astype(dtype), y.astype(dtype)
    step = make_step(model)
    start = model.state_dict()
    step(x, y)  # recorded
    model.load_state_dict(start)

    with tempfile.TemporaryDirectory() as temporary:
        folder = (args.keep or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        step.export(folder / "step.c", overwrite=True)
        printed, took, weights = train_in_c(folder, compiler, args.epochs, x, y)
        code = bytes_of_code(folder)
    print(printed)
    microseconds, ram = took.split()
    print(
        f"{microseconds} us an epoch, {int(ram):,} bytes of RAM, {code} bytes of code and numbers"
    )

    lines = []
    for epoch in range(args.epochs):
        loss, p = step(x, y)
        if epoch % every(args.epochs) == 0:
            accuracy = np.mean((p.data > 0.5) == (y > 0.5))
            lines.append(LINE % (epoch, loss.item(), accuracy))
    here = np.concatenate([p.data.ravel() for p in model.parameters()])
    worst = np.abs(np.array(weights, float) - here).max()
    same = printed == "\n".join(lines)
    print(f"The {len(lines)} lines are {'those' if same else 'NOT those'} of the step here, and "
          f"its {len(here)} weights equal to within {worst:.1e}")  # fmt: skip
    return 0 if same and worst <= TOLERANCE[dtype] else 1


if __name__ == "__main__":
    sys.exit(main())
