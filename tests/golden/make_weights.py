"""Write weights as PyTorch saves them, and what its nets answer, for the tests to compare with.

Run:    python tests/golden/make_weights.py     (needs torch and safetensors)
Writes: weights/*.safetensors and weights/nets.json beside it.

`nets.json` has for each file the net (as `make_golden.py` writes modules), an input, and the
outputs in evaluation mode.
"""

import json
from pathlib import Path

import torch
from make_golden import Module, encode, flat, generator, normal, to_torch
from safetensors.torch import save_file

HERE = Path(__file__).parent / "weights"
NETS = {
    "mlp": (
        Module("Sequential", Module("Linear", 3, 8), Module("Tanh"), Module("Linear", 8, 2)),
        (4, 3),
    ),
    "convnet": (
        Module(
            "Sequential", Module("Conv2d", 1, 4, 3, padding=1), Module("BatchNorm2d", 4),
            Module("ReLU"), Module("MaxPool2d", 2), Module("Flatten"), Module("Linear", 64, 3),
        ),
        (2, 1, 8, 8),
    ),
    "lstm": (Module("LSTM", 3, 4, 2, bidirectional=True, batch_first=True), (2, 5, 3)),
    "transformer": (
        Module(
            "TransformerEncoder",
            Module("TransformerEncoderLayer", 8, 2, dim_feedforward=16, batch_first=True),
            2, enable_nested_tensor=False,
        ),
        (2, 5, 8),
    ),
}  # fmt: skip


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    HERE.mkdir(exist_ok=True)
    nets = {}
    for name, (net, shape) in NETS.items():
        module = to_torch(net)
        with torch.no_grad():
            for parameter in module.parameters():  # no layer like another, as after training
                parameter.add_(0.1 * torch.randn_like(parameter))
            for key, buffer in module.named_buffers():
                if "running" in key:
                    buffer.add_(torch.rand_like(buffer))
        module.eval()
        x = normal(generator(name), shape)
        with torch.no_grad():
            outputs = flat(module(torch.tensor(x, dtype=torch.float32)))
        save_file(module.state_dict(), HERE / f"{name}.safetensors")
        nets[name] = {"net": net, "input": x, "outputs": [o.double() for o in outputs]}
    lines = [f"{json.dumps(name)}: {json.dumps(encode(each))}" for name, each in nets.items()]
    (HERE / "nets.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
