"""Write the arguments that PyTorch's module classes take, as data for a test to compare with.

Run:    python tests/golden/make_signatures.py     (needs torch; the test does not)
Writes: signatures.json beside it, for every class that both libraries have: a list of arguments of
        the constructor and of `forward`, each `[name, kind, default]`; what has no default is
        required. A default that is no plain value, such as a function, stands as null.
"""

import inspect
import json
import sys
from pathlib import Path

import torch
from torch import nn

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "src"))

import retrograd as rg  # noqa: E402

# Recurrent layers take `*args` and hand them to this.
BASE = inspect.signature(nn.RNNBase.__init__)


def entries(signature):
    made = []
    for p in list(signature.parameters.values())[1:]:
        if p.name.startswith("_"):
            continue
        entry = [p.name, p.kind.name]
        if p.default is not p.empty:
            plain = p.default is None or isinstance(p.default, bool | int | float | str)
            entry.append(p.default if plain else None)
        made.append(entry)
    return made


def recurrent(name):
    made = [e for e in entries(BASE) if e[0] != "mode" and (name == "LSTM" or e[0] != "proj_size")]
    if name == "RNN":
        made.insert(3, ["nonlinearity", "POSITIONAL_OR_KEYWORD", "tanh"])
    return made


def main():
    classes = {}
    for name in rg.nn.__all__:
        theirs = getattr(nn, name, None)
        if not isinstance(theirs, type) or name in ("Module", "Parameter"):
            continue
        made = entries(inspect.signature(theirs.__init__))
        if name in ("RNN", "LSTM", "GRU"):
            made = recurrent(name)
        forward = entries(inspect.signature(theirs.forward))
        classes[name] = {"init": made, "forward": forward}
    text = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(classes.items()))
    version = torch.__version__.partition("+")[0]
    text = f'{{"torch": "{version}", "classes": {{\n{text}\n}}}}\n'
    (HERE / "signatures.json").write_text(text)
    print(f"signatures.json: {len(classes)} classes")


if __name__ == "__main__":
    main()
