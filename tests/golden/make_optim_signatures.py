"""Write what PyTorch's optimizers and schedules are called with, for the tests to compare with.

Run:    python tests/golden/make_optim_signatures.py     (needs torch; the tests do not)
Writes: optim_signatures.json beside it: for each class its arguments in order, as [name, by place,
        default], without a default where one must be given.
"""

import inspect
import json
from pathlib import Path

import torch

NAMESPACES = {"optim": torch.optim, "optim.lr_scheduler": torch.optim.lr_scheduler}


def signature(cls):
    arguments = []
    for parameter in list(inspect.signature(cls.__init__).parameters.values())[1:]:
        by_place = parameter.kind is not inspect.Parameter.KEYWORD_ONLY
        default = [] if parameter.default is inspect.Parameter.empty else [parameter.default]
        arguments.append([parameter.name, by_place, *default])
    return arguments


def classes(namespace):
    for name in sorted(vars(namespace)):
        value = getattr(namespace, name)
        public = isinstance(value, type) and not name.startswith("_")
        if public and value.__module__.startswith("torch.optim"):
            yield name, value


def main():
    lines = []
    for title, namespace in NAMESPACES.items():
        for name, value in classes(namespace):
            if title == "optim" or name != "Optimizer":
                lines.append(f"{json.dumps(f'{title}.{name}')}: {json.dumps(signature(value))}")
    head = f'{{"torch": {json.dumps(torch.__version__.partition("+")[0])}, "classes": {{\n'
    text = head + ",\n".join(lines) + "\n}}\n"
    Path(__file__).with_name("optim_signatures.json").write_text(text)


if __name__ == "__main__":
    main()
