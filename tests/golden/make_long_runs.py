"""Write where PyTorch's optimizers are after long runs of gradients that never adapt.

Run:    python tests/golden/make_long_runs.py     (needs torch; the tests do not)
Writes: long_runs.json beside it, one case a line: an optimizer with options, a dtype, the kind of
        gradients, and the values of a parameter at the end: numbers, "nan", "inf" or "-inf".
"""

import json
from pathlib import Path

import torch

STEPS = 1500
START = [[1.0, -2.0], [0.5, 0.0]]
# gradients in the course of the steps, from 0
KINDS = {
    "constant": lambda step: 1.0,
    "zero": lambda step: 0.0,
    "tiny": lambda step: 1e-30,
    "huge": lambda step: 1e30,
    "alternating": lambda step: (-1.0) ** step,
    "one, then none": lambda step: float(step == 0),
    "huge, then small": lambda step: 1e25 if step == 0 else 1e-3,
}
OPTIMIZERS = [
    ("SGD", {"lr": 1e-3}),
    ("SGD", {"lr": 1e-3, "momentum": 0.9, "nesterov": True}),
    ("Adam", {}),
    ("Adam", {"amsgrad": True, "weight_decay": 0.1}),
    ("AdamW", {}),
    ("Adamax", {}),
    ("NAdam", {}),
    ("RAdam", {}),
    ("RAdam", {"betas": (0.9, 0.9), "eps": 0.0}),
    ("RMSprop", {}),
    ("RMSprop", {"momentum": 0.9}),
    ("RMSprop", {"centered": True}),
    ("RMSprop", {"centered": True, "momentum": 0.9, "alpha": 0.9}),
    ("Adagrad", {}),
    ("Adagrad", {"lr_decay": 0.1, "initial_accumulator_value": 0.1}),
    ("Adadelta", {}),
    ("Rprop", {}),
    ("Muon", {}),
]


def run(name, options, dtype, gradient):
    w = torch.tensor(START, dtype=dtype, requires_grad=True)
    optimizer = getattr(torch.optim, name)([w], **options)
    for step in range(STEPS):
        w.grad = torch.full_like(w, gradient(step))
        optimizer.step()
    return [x if abs(x) < float("inf") else str(x) for x in w.flatten().tolist()]


def main():
    torch.set_num_threads(1)
    lines = []
    for name, options in OPTIMIZERS:
        for dtype in (torch.float32, torch.float64):
            for kind, gradient in KINDS.items():
                case = {"name": name, "options": options, "dtype": str(dtype).partition(".")[2],
                        "gradients": kind, "end": run(name, options, dtype, gradient)}  # fmt: skip
                lines.append(json.dumps(case))
    head = {"torch": torch.__version__.partition("+")[0], "steps": STEPS, "start": START}
    text = json.dumps(head)[:-1] + ', "cases": [\n' + ",\n".join(lines) + "\n]}\n"
    Path(__file__).with_name("long_runs.json").write_text(text)


if __name__ == "__main__":
    main()
