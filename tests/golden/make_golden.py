"""Write the numbers that PyTorch gives, as data for the tests to compare with.

Run:    python tests/golden/make_golden.py     (needs torch; the tests do not)
Writes: the .json files beside it, one case a line; the same bytes each time.

`nn.json` and `optim.json` hold the first parts of the library, the others the later ones.
How a case is read and compared is in `__init__.py`. Arrays stand as {"array": nested lists} of
float64, int64 or bool; a tuple as {"tuple": [...]}; a module among the arguments of another as
{"module": name, "args": [...], "kwargs": {...}}. Arguments called `dim` by PyTorch and `axis` here
are positional in every case.
"""

import json
import zlib
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch import nn
from torch.nn import functional

HERE = Path(__file__).parent
STEPS = 20


class Module:
    """A module among the arguments of another: what to build, for either library."""

    def __init__(self, name, *args, **kwargs):
        self.name, self.args, self.kwargs = name, args, kwargs


def encode(value):
    if isinstance(value, torch.Tensor):
        value = value.detach().numpy()
    if isinstance(value, np.ndarray):
        assert value.dtype in (np.float64, np.int64, np.bool_), value.dtype
        return {"array": value.tolist()}
    if isinstance(value, Module):
        return {"module": value.name, "args": encode(list(value.args)),
                "kwargs": encode(value.kwargs)}  # fmt: skip
    if isinstance(value, tuple):
        return {"tuple": [encode(item) for item in value]}
    if isinstance(value, list):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        return {key: encode(item) for key, item in value.items()}
    return value


def to_torch(value):
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    if isinstance(value, Module):
        return getattr(nn, value.name)(*to_torch(list(value.args)), **to_torch(value.kwargs))
    if isinstance(value, tuple | list):
        return type(value)(to_torch(item) for item in value)
    if isinstance(value, dict):
        return {key: to_torch(item) for key, item in value.items()}
    return value


def flat(tree):
    if isinstance(tree, tuple | list):
        return [leaf for item in tree for leaf in flat(item)]
    return [] if tree is None else [tree]


def titled(name, note):
    return f"{name}: {note}" if note else name


def generator(name):
    """Make one generator a case, from its name: adding a case changes no other."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def normal(rng, shape, scale=1.0):
    return np.round(rng.standard_normal(shape) * scale, 3)  # short in JSON, exact in binary


class Shapes:
    """An input to draw: `N(2, 3)` normal, `U(4)` in (0, 1), `INT(5, 2)` integers below 5, ..."""

    def __init__(self, kind, *args):
        self.kind, self.args = kind, args

    def draw(self, rng):
        if self.kind == "N":
            return normal(rng, self.args)
        if self.kind == "U":
            return np.round(rng.uniform(0.05, 0.95, self.args), 3)
        if self.kind == "INT":
            return rng.integers(self.args[0], size=self.args[1:])
        if self.kind == "B":
            return rng.integers(2, size=self.args).astype(float)
        if self.kind == "SIGN":
            return rng.choice([-1.0, 1.0], size=self.args)
        if self.kind == "P":  # rows of probabilities, exact to three places
            counts = rng.multinomial(1000, np.full(self.args[-1], 1 / self.args[-1]),
                                     size=self.args[:-1])  # fmt: skip
            return counts / 1000
        raise ValueError(self.kind)


N, U, INT, B, SIGN, P = (partial(Shapes, kind) for kind in ("N", "U", "INT", "B", "SIGN", "P"))


def drawn(tree, rng):
    if isinstance(tree, Shapes):
        return tree.draw(rng)
    if isinstance(tree, tuple | list):
        return type(tree)(drawn(item, rng) for item in tree)
    return tree


def case(note, name, inputs, *args, function=None, call=None, training=True, wanted=None, **kwargs):
    """Run one module, or one function where `name` is None, forward and backward.

    `wanted` says how many of the inputs, from the first, get a gradient: all floats by default.
    """
    title = titled(name or function, note)
    rng = generator(title)
    inputs = drawn(inputs, rng)
    made = {"id": title, "name": name, "function": function, "args": list(args)}
    made |= {"kwargs": kwargs, "training": training, "call": call or {}}
    x = to_torch(inputs)
    leaves = flat(x)
    for leaf in leaves[:wanted]:
        leaf.requires_grad_(leaf.is_floating_point())
    parameters = {}
    if name:
        module = to_torch(Module(name, *args, **kwargs)).double()
        module.train(training)
        parameters = dict(module.named_parameters())
        with torch.no_grad():
            for key, parameter in parameters.items():
                parameter.copy_(
                    torch.from_numpy(normal(generator(title + key), parameter.shape, 0.5))
                )
            for key, buffer in module.named_buffers():
                if "running" in key:
                    values = normal(generator(title + key), buffer.shape, 0.5)
                    buffer.copy_(
                        torch.from_numpy(values if "mean" in key else 0.5 + np.abs(values))
                    )
        made["state"] = {key: value.clone() for key, value in module.state_dict().items()}
        out = module(*x, **to_torch(call or {}))
    else:
        out = getattr(functional, function)(*x, *to_torch(list(args)), **to_torch(kwargs))
    outputs = flat(out)
    made["inputs"] = inputs
    made["outputs"] = outputs
    if outputs[0].is_floating_point():
        made["upstream"] = [normal(rng, tuple(output.shape)) for output in outputs]
        total = sum((o * torch.from_numpy(np.asarray(u))).sum()
                    for o, u in zip(outputs, made["upstream"], strict=True))  # fmt: skip
        total.backward()
        made["input_grads"] = [leaf.grad for leaf in leaves]
        made["parameter_grads"] = {key: p.grad for key, p in parameters.items()}
    if name:
        after = module.state_dict()
        changed = {k: v for k, v in after.items() if not torch.equal(v, made["state"][k])}
        made["state_after"] = changed
        if function:
            again = getattr(functional, function)(*x, *to_torch(list(args)), **to_torch(kwargs))
            assert torch.equal(again, out), title
    return made


def core_nn():
    yield case("", "Linear", [N(4, 3)], 3, 2)
    yield case("no bias", "Linear", [N(4, 3)], 3, 2, bias=False)
    yield case("one sample", "Linear", [N(3)], 3, 2)
    yield case("leading axes", "Linear", [N(2, 3, 3)], 3, 2)
    yield case("", None, [N(4, 3), N(2, 3), N(2)], function="linear")
    for name in ("ReLU", "Sigmoid", "Tanh"):
        yield case("", name, [N(3, 4)], function=name.lower())
    for name, function in (("Softmax", "softmax"), ("LogSoftmax", "log_softmax")):
        for axis in (0, -1):
            yield case(f"axis {axis}", name, [N(3, 4)], axis, function=function)
        yield case("large inputs", name, [np.array([[1e4, 0.0, -1e4], [800.0, 801.0, 802.0]])], 1,
                   function=function)  # fmt: skip
    yield case("large inputs", "Sigmoid", [np.array([-800.0, -40.0, 0.0, 40.0, 800.0])])
    yield case("", "Flatten", [N(2, 3, 2, 2)])
    yield case("inner axes", "Flatten", [N(2, 3, 2, 2)], 2, -1)
    yield case("evaluating", "Dropout", [N(3, 4)], 0.5, training=False)
    yield case("p 0", "Dropout", [N(3, 4)], 0.0)
    layers = [Module("Linear", 3, 4), Module("Tanh"), Module("Linear", 4, 2)]
    yield case("", "Sequential", [N(5, 3)], *layers)
    yield case("nested", "Sequential", [N(5, 3)], Module("Sequential", *layers), Module("Sigmoid"))
    for reduction in ("mean", "sum", "none"):
        two = {"reduction": reduction, "wanted": 1}
        yield case(reduction, "MSELoss", [N(4, 3), N(4, 3)], function="mse_loss", **two)
        yield case(reduction, "BCELoss", [U(4, 1), B(4, 1)],
                   function="binary_cross_entropy", **two)  # fmt: skip
        yield case(reduction, "BCEWithLogitsLoss", [N(4, 1), B(4, 1)],
                   function="binary_cross_entropy_with_logits", **two)  # fmt: skip
        yield case(reduction, "CrossEntropyLoss", [N(4, 3), INT(3, 4)],
                   function="cross_entropy", **two)  # fmt: skip
        yield case(reduction, "NLLLoss", [N(4, 3), INT(3, 4)], function="nll_loss", **two)
    edge = [np.array([0.0, 1.0, 0.0, 1.0, 0.5]), np.array([0.0, 1.0, 1.0, 0.0, 0.3])]
    yield case("at 0 and 1", "BCELoss", edge, wanted=1)
    edge = [np.array([-800.0, 800.0, -800.0, 800.0, 0.0]), np.array([0.0, 1.0, 1.0, 0.0, 0.5])]
    yield case("large inputs", "BCEWithLogitsLoss", edge, wanted=1)
    edge = [np.array([[1e4, 0.0, -1e4], [800.0, 801.0, 802.0]]), np.array([1, 2])]
    yield case("large inputs", "CrossEntropyLoss", edge, wanted=1)


def nets_activations():
    for name, function in (("SELU", "selu"), ("SiLU", "silu"), ("Mish", "mish"),
                           ("Softsign", "softsign"), ("LogSigmoid", "logsigmoid"),
                           ("LeakyReLU", "leaky_relu"), ("ELU", "elu"), ("GELU", "gelu"),
                           ("Softplus", "softplus"), ("Hardtanh", "hardtanh")):  # fmt: skip
        yield case("", name, [N(3, 4)], function=function)
    yield case("slope", "LeakyReLU", [N(3, 4)], 0.2, function="leaky_relu")
    yield case("alpha", "ELU", [N(3, 4)], 0.7, function="elu")
    yield case("tanh", "GELU", [N(3, 4)], function="gelu", approximate="tanh")
    yield case("beta and threshold", "Softplus", [N(3, 4)], 2.0, 1.0, function="softplus")
    yield case("bounds", "Hardtanh", [N(3, 4)], -0.5, 0.8, function="hardtanh")
    for name in ("SiLU", "Mish", "GELU", "LogSigmoid", "Softplus", "ELU"):
        yield case("large inputs", name, [np.array([-800.0, -40.0, 0.3, 40.0, 800.0])])
    yield case("one slope", "PReLU", [N(3, 4)])
    yield case("a slope a channel", "PReLU", [N(2, 3, 4)], 3)
    yield case("", "GLU", [N(3, 4)], function="glu")
    yield case("axis 0", "GLU", [N(4, 3)], 0, function="glu")
    yield case("", "Identity", [N(3, 4)])


def nets_losses():
    a, b = N(4, 3), N(4, 3)
    for reduction in ("mean", "sum", "none"):
        r = {"reduction": reduction}
        yield case(reduction, "L1Loss", [a, b], function="l1_loss", wanted=1, **r)
        yield case(reduction, "SmoothL1Loss", [a, b], function="smooth_l1_loss", wanted=1,
                   beta=0.5, **r)  # fmt: skip
        yield case(reduction, "HuberLoss", [a, b], function="huber_loss", wanted=1, delta=0.7, **r)
        yield case(reduction, "PoissonNLLLoss", [a, U(4, 3)], function="poisson_nll_loss",
                   wanted=1, **r)  # fmt: skip
        yield case(reduction, "GaussianNLLLoss", [a, b, U(4, 3)], function="gaussian_nll_loss", **r)
        yield case(reduction, "HingeEmbeddingLoss", [a, SIGN(4, 3)],
                   function="hinge_embedding_loss", wanted=1, margin=0.8, **r)  # fmt: skip
        yield case(reduction, "MarginRankingLoss", [N(5), N(5), SIGN(5)],
                   function="margin_ranking_loss", wanted=2, margin=0.3, **r)  # fmt: skip
        yield case(reduction, "TripletMarginLoss", [a, b, N(4, 3)],
                   function="triplet_margin_loss", **r)  # fmt: skip
        yield case(reduction, "CosineEmbeddingLoss", [a, b, SIGN(4)],
                   function="cosine_embedding_loss", wanted=2, margin=0.2, **r)  # fmt: skip
        yield case(f"weight {reduction}", "BCELoss", [U(4, 3), B(4, 3)],
                   function="binary_cross_entropy", wanted=1,
                   weight=np.array([0.5, 1.0, 2.0]), **r)  # fmt: skip
        yield case(f"weight and pos_weight {reduction}", "BCEWithLogitsLoss", [a, B(4, 3)],
                   function="binary_cross_entropy_with_logits", wanted=1,
                   weight=np.array([0.5, 1.0, 2.0]), pos_weight=np.array([2.0, 0.5, 3.0]),
                   **r)  # fmt: skip
        weight = np.array([0.5, 1.0, 2.0])
        yield case(f"weight {reduction}", "CrossEntropyLoss", [a, INT(3, 4)],
                   function="cross_entropy", wanted=1, weight=weight, **r)  # fmt: skip
        yield case(f"label_smoothing {reduction}", "CrossEntropyLoss", [a, INT(3, 4)],
                   function="cross_entropy", wanted=1, label_smoothing=0.1, **r)  # fmt: skip
        yield case(f"everything {reduction}", "CrossEntropyLoss", [N(6, 3), INT(3, 6)],
                   function="cross_entropy", wanted=1, weight=weight, ignore_index=1,
                   label_smoothing=0.1, **r)  # fmt: skip
        yield case(f"class probabilities {reduction}", "CrossEntropyLoss", [a, P(4, 3)],
                   function="cross_entropy", wanted=1, weight=weight, label_smoothing=0.1,
                   **r)  # fmt: skip
        yield case(f"weight and ignore_index {reduction}", "NLLLoss", [N(6, 3), INT(3, 6)],
                   function="nll_loss", wanted=1, weight=weight, ignore_index=0, **r)  # fmt: skip
        yield case(f"images {reduction}", "CrossEntropyLoss", [N(2, 3, 2, 2), INT(3, 2, 2, 2)],
                   function="cross_entropy", wanted=1, **r)  # fmt: skip
    for reduction in ("mean", "sum", "none", "batchmean"):
        yield case(reduction, "KLDivLoss", [a, P(4, 3)], function="kl_div", wanted=1,
                   reduction=reduction)  # fmt: skip
    yield case("log target", "KLDivLoss", [a, b], function="kl_div", wanted=1,
               reduction="batchmean", log_target=True)  # fmt: skip
    yield case("rates", "PoissonNLLLoss", [U(4, 3), U(4, 3)], function="poisson_nll_loss",
               wanted=1, log_input=False)  # fmt: skip
    counts = np.array([[0.0, 1.0, 2.0], [5.0, 1.0, 7.0], [3.0, 0.0, 4.0], [2.0, 9.0, 1.0]])
    yield case("full", "PoissonNLLLoss", [a, counts], function="poisson_nll_loss", wanted=1,
               full=True)  # fmt: skip
    yield case("full", "GaussianNLLLoss", [a, b, U(4, 3)], function="gaussian_nll_loss",
               full=True)  # fmt: skip
    yield case("variance a sample", "GaussianNLLLoss", [a, b, U(4, 1)],
               function="gaussian_nll_loss")  # fmt: skip
    yield case("p 1 and swap", "TripletMarginLoss", [a, b, N(4, 3)],
               function="triplet_margin_loss", p=1.0, margin=0.5, swap=True)  # fmt: skip


def nets_layers():
    yield case("", "Embedding", [INT(5, 2, 4)], 5, 3)
    yield case("padding_idx", "Embedding", [np.array([[1, 2, 2], [0, 1, 4]])], 5, 3, padding_idx=1)
    yield case("", "Unflatten", [N(2, 6)], 1, (2, 3))
    yield case("", "Conv1d", [N(2, 3, 7)], 3, 4, 3)
    yield case("stride 2, padding 1, dilation 2", "Conv1d", [N(2, 3, 9)], 3, 4, 3, stride=2,
               padding=1, dilation=2)  # fmt: skip
    yield case("same", "Conv1d", [N(2, 2, 6)], 2, 2, 4, padding="same")
    yield case("groups", "Conv1d", [N(2, 4, 6)], 4, 6, 3, groups=2, bias=False)
    yield case("no batch", "Conv1d", [N(2, 6)], 2, 3, 3)
    yield case("", "Conv2d", [N(2, 2, 5, 6)], 2, 3, 3)
    yield case("stride, padding, dilation", "Conv2d", [N(2, 2, 7, 6)], 2, 3, (3, 2), stride=(2, 1),
               padding=(1, 2), dilation=(1, 2))  # fmt: skip
    yield case("same", "Conv2d", [N(1, 2, 4, 5)], 2, 2, (3, 2), padding="same", dilation=2)
    yield case("valid", "Conv2d", [N(1, 2, 4, 5)], 2, 2, 3, padding="valid", bias=False)
    yield case("groups", "Conv2d", [N(2, 4, 4, 4)], 4, 4, 3, padding=1, groups=2)
    yield case("depthwise", "Conv2d", [N(1, 3, 4, 4)], 3, 3, 3, groups=3)
    yield case("no batch", "Conv2d", [N(2, 4, 5)], 2, 3, 3)
    yield case("", "ConvTranspose2d", [N(2, 2, 3, 4)], 2, 3, 3)
    yield case("stride, padding", "ConvTranspose2d", [N(1, 2, 3, 4)], 2, 3, 3, stride=2, padding=1,
               output_padding=1)  # fmt: skip
    yield case("dilation, groups", "ConvTranspose2d", [N(1, 4, 3, 3)], 4, 6, (2, 3), stride=(1, 2),
               dilation=2, groups=2, bias=False)  # fmt: skip
    for d, shape in ((1, (2, 2, 7)), (2, (2, 2, 6, 7))):
        yield case("", f"MaxPool{d}d", [N(*shape)], 2, function=f"max_pool{d}d")
        yield case("stride 1, padding", f"MaxPool{d}d", [N(*shape)], 3, stride=1, padding=1,
                   function=f"max_pool{d}d")  # fmt: skip
        yield case("dilation", f"MaxPool{d}d", [N(*shape)], 2, stride=2, dilation=2,
                   function=f"max_pool{d}d")  # fmt: skip
        yield case("", f"AvgPool{d}d", [N(*shape)], 2, function=f"avg_pool{d}d")
        yield case("stride, padding", f"AvgPool{d}d", [N(*shape)], 3, stride=2, padding=1,
                   function=f"avg_pool{d}d")  # fmt: skip
        yield case("padding not counted", f"AvgPool{d}d", [N(*shape)], 3, stride=2, padding=1,
                   count_include_pad=False, function=f"avg_pool{d}d")  # fmt: skip
        for size in (1, 3):
            yield case(f"to {size}", f"AdaptiveAvgPool{d}d", [N(*shape)], size,
                       function=f"adaptive_avg_pool{d}d")  # fmt: skip
    yield case("rectangle", "MaxPool2d", [N(1, 2, 6, 7)], (2, 3), stride=(2, 1),
               function="max_pool2d")  # fmt: skip
    yield case("rectangle", "AdaptiveAvgPool2d", [N(1, 2, 6, 7)], (2, 3),
               function="adaptive_avg_pool2d")  # fmt: skip
    for training in (True, False):
        note = "training" if training else "evaluating"
        yield case(note, "BatchNorm1d", [N(5, 3)], 3, training=training)
        yield case(f"sequences, {note}", "BatchNorm1d", [N(3, 2, 4)], 2, training=training)
        yield case(note, "BatchNorm2d", [N(3, 2, 2, 3)], 2, training=training)
    yield case("momentum None", "BatchNorm1d", [N(5, 3)], 3, momentum=None)
    yield case("not affine", "BatchNorm1d", [N(5, 3)], 3, affine=False, momentum=0.3, eps=1e-3)
    yield case("no running statistics", "BatchNorm2d", [N(3, 2, 2, 3)], 2,
               track_running_stats=False, training=False)  # fmt: skip
    yield case("", "LayerNorm", [N(2, 3, 4)], 4)
    yield case("two axes", "LayerNorm", [N(2, 3, 4)], (3, 4), eps=1e-3)
    yield case("no bias", "LayerNorm", [N(2, 4)], 4, bias=False)
    yield case("not affine", "LayerNorm", [N(2, 4)], 4, elementwise_affine=False)
    yield case("", "GroupNorm", [N(2, 4, 3)], 2, 4)
    yield case("images, not affine", "GroupNorm", [N(2, 4, 2, 2)], 4, 4, affine=False)
    yield case("", "RMSNorm", [N(2, 3, 4)], 4)
    yield case("two axes", "RMSNorm", [N(2, 3, 4)], (3, 4), eps=1e-3)


def nets_recurrent():
    for name in ("RNN", "LSTM", "GRU"):
        hidden = 3

        def start(layers, batch=2, name=name, hidden=hidden):
            h = N(layers, batch, hidden)
            return (h, N(layers, batch, hidden)) if name == "LSTM" else h

        yield case("", name, [N(4, 2, 2)], 2, hidden)
        yield case("initial state", name, [N(4, 2, 2), start(1)], 2, hidden)
        yield case("two layers, both directions, batch first", name, [N(2, 3, 2), start(4)], 2,
                   hidden, num_layers=2, bidirectional=True, batch_first=True)  # fmt: skip
        yield case("no bias", name, [N(3, 2, 2)], 2, hidden, bias=False)
        yield case("no batch", name, [N(3, 2)], 2, hidden)
        yield case("dropout evaluating", name, [N(3, 2, 2)], 2, hidden, num_layers=2, dropout=0.5,
                   training=False)  # fmt: skip
        state = (N(2, hidden), N(2, hidden)) if name == "LSTM" else N(2, hidden)
        yield case("", f"{name}Cell", [N(2, 2), state], 2, hidden)
        yield case("zero state", f"{name}Cell", [N(2, 2)], 2, hidden)
    yield case("relu", "RNN", [N(4, 2, 2)], 2, 3, nonlinearity="relu")
    yield case("relu", "RNNCell", [N(2, 2), N(2, 3)], 2, 3, nonlinearity="relu")


def nets_attention():
    mask = np.triu(np.ones((3, 3), bool), 1)
    padding = np.array([[False, False, True], [False, False, False]])
    three = [N(2, 3, 4), N(2, 3, 4), N(2, 3, 4)]
    many = "MultiheadAttention"
    yield case("", many, three, 4, 2)
    yield case("batch first", many, three, 4, 2, batch_first=True)
    yield case("no bias", many, three, 4, 2, bias=False, batch_first=True)
    yield case("weights of each head", many, three, 4, 2, batch_first=True,
               call={"average_attn_weights": False})  # fmt: skip
    yield case("no weights", many, three, 4, 2, batch_first=True, call={"need_weights": False})
    yield case("causal mask", many, three, 4, 2, batch_first=True, call={"attn_mask": mask})
    yield case("added mask", many, three, 4, 2, batch_first=True,
               call={"attn_mask": np.where(mask, -1.5, 0.25)})  # fmt: skip
    yield case("padding mask", many, three, 4, 2, batch_first=True,
               call={"key_padding_mask": padding})  # fmt: skip
    yield case("other widths", many, [N(2, 3, 4), N(2, 5, 6), N(2, 5, 2)], 4, 2, kdim=6, vdim=2,
               batch_first=True)  # fmt: skip
    yield case("no batch", many, [N(3, 4), N(5, 4), N(5, 4)], 4, 2)
    layer = "TransformerEncoderLayer"
    plain = {"dim_feedforward": 6, "dropout": 0.0}
    yield case("", layer, [N(3, 2, 4)], 4, 2, **plain)
    yield case("norm first, gelu, batch first", layer, [N(2, 3, 4)], 4, 2, norm_first=True,
               activation="gelu", batch_first=True, **plain)  # fmt: skip
    yield case("masks", layer, [N(2, 3, 4)], 4, 2, batch_first=True, **plain,
               call={"src_mask": mask, "src_key_padding_mask": padding})  # fmt: skip
    inner = Module(layer, 4, 2, batch_first=True, **plain)
    yield case("two layers", "TransformerEncoder", [N(2, 3, 4)], inner, 2,
               enable_nested_tensor=False)  # fmt: skip
    yield case("last norm, mask", "TransformerEncoder", [N(2, 3, 4)], inner, 1,
               norm=Module("LayerNorm", 4), enable_nested_tensor=False,
               call={"mask": mask})  # fmt: skip


def nets_functions():
    def f(function, note, inputs, *args, **kwargs):
        return case(note, None, inputs, *args, function=function, **kwargs)

    q = [N(2, 2, 3, 4), N(2, 2, 5, 4), N(2, 2, 5, 3)]
    attention = "scaled_dot_product_attention"
    yield f(attention, "", q)
    yield f(attention, "scale", q, scale=0.3)
    yield f(attention, "causal", [N(2, 3, 4), N(2, 3, 4), N(2, 3, 4)], is_causal=True)
    allowed = np.array([[True, True, False], [False, True, True], [True, False, False]])
    yield f(attention, "allowed", [N(2, 3, 4), N(2, 3, 4), N(2, 3, 4)], attn_mask=allowed)
    yield f(attention, "added", [N(2, 3, 4), N(2, 3, 4), N(2, 3, 4)],
            attn_mask=np.where(allowed, 0.5, -2.0))  # fmt: skip
    yield f("normalize", "", [N(3, 4)])
    yield f("normalize", "p 1, axis 0", [N(3, 4)], 1.0, 0)
    yield f("normalize", "a zero row", [np.array([[0.0, 0.0], [3.0, 4.0]])])
    yield f("cosine_similarity", "", [N(3, 4), N(3, 4)])
    yield f("cosine_similarity", "broadcast, last axis", [N(2, 3, 4), N(1, 4)], -1)
    yield f("one_hot", "", [INT(3, 2, 4)])
    yield f("one_hot", "classes", [INT(3, 5)], 6)
    image = [N(1, 2, 3, 4)]
    yield f("pad", "constant", image, (1, 2))
    yield f("pad", "value, two axes", image, (1, 0, 2, 1), value=0.7)
    yield f("pad", "negative", image, (-1, 1))
    for mode in ("reflect", "replicate", "circular"):
        yield f("pad", mode, image, (1, 2, 2, 1), mode=mode)
    yield f("interpolate", "nearest up", image, scale_factor=2, mode="nearest")
    yield f("interpolate", "nearest to size", image, size=(5, 3), mode="nearest")
    yield f("interpolate", "nearest 1d", [N(2, 3, 5)], size=8, mode="nearest")
    for corners in (False, True):
        yield f("interpolate", f"bilinear, corners {corners}", image, size=(5, 3),
                mode="bilinear", align_corners=corners)  # fmt: skip
    yield f("interpolate", "bilinear up", image, scale_factor=2, mode="bilinear")
    yield f("embedding", "", [INT(5, 2, 3), N(5, 2)])
    yield f("prelu", "", [N(2, 3, 2), N(3)])
    yield f("conv1d", "", [N(2, 3, 6), N(4, 3, 3), N(4)], stride=2, padding=1)
    yield f("conv2d", "", [N(1, 2, 5, 5), N(2, 1, 3, 2), N(2)], groups=2, padding=(1, 0))
    yield f("conv_transpose2d", "", [N(1, 2, 3, 3), N(2, 3, 2, 2), N(3)], stride=2)
    yield f("layer_norm", "", [N(2, 3, 4)], (4,))
    yield f("group_norm", "", [N(2, 4, 3)], 2)
    yield f("rms_norm", "", [N(2, 4)], (4,))


def clipped(note, function, *args, **kwargs):
    """Clip the gradients of two parameters."""
    rng = generator(f"{function}: {note}")
    gradients = [normal(rng, shape) for shape in ((2, 3), (4,))]
    parameters = [nn.Parameter(torch.zeros(g.shape)) for g in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = to_torch(gradient)
    total = getattr(nn.utils, function)(parameters, *args, **kwargs)
    return {"id": titled(function, note), "name": function, "args": list(args), "kwargs": kwargs,
            "gradients": gradients, "clipped": [p.grad for p in parameters],
            "total": total}  # fmt: skip


def nets_clipping():
    yield clipped("long", "clip_grad_norm_", 0.7)
    yield clipped("short", "clip_grad_norm_", 100.0)
    yield clipped("sum", "clip_grad_norm_", 0.7, norm_type=1.0)
    yield clipped("largest", "clip_grad_norm_", 0.7, norm_type=float("inf"))
    yield clipped("", "clip_grad_value_", 0.3)


def network():
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def problem():
    """Return the small net's first state and the data that every optimizer trains it on."""
    rng = generator("problem")
    state = {key: normal(rng, tuple(value.shape), 0.6)
             for key, value in network().state_dict().items()}  # fmt: skip
    return {"state": state, "x": normal(rng, (8, 3)), "y": normal(rng, (8, 2))}


def optimized(note, name, groups=None, drift=2e-12, **kwargs):
    """Train the small net; `groups` lists (parameter names, options) for each group.

    Losses are those before each step; LBFGS gives its closure's first one.
    """
    data = problem()

    def run(nudge):
        net = network()
        net.load_state_dict(to_torch(data["state"]))
        named = dict(net.named_parameters())
        x, y = to_torch(data["x"]) + nudge, to_torch(data["y"])
        target = net.parameters()
        if groups:
            target = [{"params": [named[key] for key in keys], **options}
                      for keys, options in groups]  # fmt: skip
        optimizer = getattr(torch.optim, name)(target, **kwargs)

        def closure():
            optimizer.zero_grad()
            loss = functional.mse_loss(net(x), y)
            loss.backward()
            return loss

        losses = [optimizer.step(closure).item() for _ in range(STEPS)]
        return losses, {key: value.detach() for key, value in named.items()}

    losses, final = run(0.0)
    _, nudged = run(1e-15)
    lost = max((final[key] - nudged[key]).abs().max().item() for key in final)
    assert lost < drift, f"{name}: {note} loses {lost}: no two libraries would agree"
    assert max(losses) < 1e4, f"{name}: {note} diverges"
    return {"id": titled(name, note), "name": name, "kwargs": kwargs,
            "groups": groups, "losses": losses, "final": final}  # fmt: skip


TWO_GROUPS = [(["0.weight", "0.bias"], {}), (["2.weight", "2.bias"], {"lr": 0.02})]


def core_optim():
    for momentum in (0.0, 0.9):
        for dampening in (0.0, 0.3):
            for weight_decay in (0.0, 0.1):
                for nesterov in (False, True):
                    for maximize in (False, True):
                        if nesterov and (momentum == 0 or dampening != 0):
                            continue  # refused by PyTorch
                        options = {"momentum": momentum, "dampening": dampening,
                                   "weight_decay": weight_decay, "nesterov": nesterov,
                                   "maximize": maximize}  # fmt: skip
                        used = {key: value for key, value in options.items() if value}
                        note = ", ".join(f"{key} {value}" for key, value in used.items())
                        lr = 0.005 if maximize else 0.05
                        yield optimized(note, "SGD", lr=lr, **used)
    yield optimized("two groups", "SGD", TWO_GROUPS, lr=0.1)
    groups = [(["0.weight", "2.weight"], {"weight_decay": 0.2, "momentum": 0.5}),
              (["0.bias", "2.bias"], {"lr": 0.01, "nesterov": True})]  # fmt: skip
    yield optimized("groups with other options", "SGD", groups, lr=0.05, momentum=0.9)


def nets_optim():
    for name in ("Adam", "AdamW"):
        yield optimized("", name)
        for options in (
            {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-4},
            {"lr": 0.05, "weight_decay": 0.1},
            {"lr": 0.05, "amsgrad": True},
            {"lr": 0.01, "maximize": True},
            {"lr": 0.05, "weight_decay": 0.1, "amsgrad": True},
        ):
            yield optimized(", ".join(options), name, **options)
        yield optimized("two groups", name, TWO_GROUPS, lr=0.1)
    for name, variants in (
        ("Adamax", [{"betas": (0.8, 0.95), "eps": 1e-4}, {"weight_decay": 0.1}]),
        ("NAdam", [{"momentum_decay": 0.01}, {"weight_decay": 0.1},
                   {"weight_decay": 0.1, "decoupled_weight_decay": True}]),
        ("RMSprop", [{"alpha": 0.9}, {"momentum": 0.9}, {"centered": True}, {"weight_decay": 0.1},
                     {"momentum": 0.5, "centered": True, "weight_decay": 0.1}]),
        ("Adagrad", [{"lr_decay": 0.1}, {"initial_accumulator_value": 0.1}, {"weight_decay": 0.1}]),
        ("Adadelta", [{"rho": 0.8, "eps": 1e-4}, {"weight_decay": 0.1}]),
    ):  # fmt: skip
        yield optimized("", name)
        for options in variants:
            yield optimized(", ".join(options), name, lr=0.02, **options)
        yield optimized("maximize", name, lr=0.005, maximize=True)
        yield optimized("two groups", name, TWO_GROUPS, lr=0.03)
    yield optimized("plain", "LBFGS", lr=0.1, max_iter=1)
    yield optimized("history 3", "LBFGS", lr=0.1, max_iter=2, history_size=3)
    yield optimized("strong Wolfe", "LBFGS", max_iter=1, line_search_fn="strong_wolfe")
    yield from later_optim()


def later_optim():
    yield optimized("", "RAdam")
    for options in (
        {"lr": 0.05},
        {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-4},
        {"lr": 0.02, "betas": (0.8, 0.5)},
        {"lr": 0.02, "betas": (0.5, 0.7)},
        {"lr": 0.02, "weight_decay": 0.1},
        {"lr": 0.02, "weight_decay": 0.1, "decoupled_weight_decay": True},
        {"lr": 0.005, "maximize": True},
    ):
        note = ", ".join(f"{key} {value}" for key, value in options.items())
        yield optimized(note, "RAdam", **options)
    yield optimized("two groups", "RAdam", TWO_GROUPS, lr=0.03)
    yield optimized("", "Rprop")
    for options in (
        {"lr": 0.1, "etas": (0.3, 1.5)},
        {"lr": 0.02, "step_sizes": (0.01, 0.05)},
        {"lr": 0.005, "maximize": True},
    ):
        yield optimized(", ".join(options), "Rprop", **options)
    yield optimized("two groups", "Rprop", TWO_GROUPS, lr=0.03)
    weights = [(["0.weight", "2.weight"], {})]
    # PyTorch's iteration without its rounding to bfloat16, of which nobody else's agrees in full.
    with mock.patch.object(torch.Tensor, "bfloat16", torch.Tensor.clone):
        yield optimized("", "Muon", weights)
        for options in (
            {"lr": 0.05, "momentum": 0.5},
            {"lr": 0.05, "nesterov": False},
            {"lr": 0.05, "weight_decay": 0.0, "adjust_lr_fn": "original"},
            {"lr": 0.05, "adjust_lr_fn": "match_rms_adamw"},
            {"lr": 0.05, "ns_steps": 3, "ns_coefficients": (2.0, -1.5, 0.5), "eps": 0.1},
        ):
            yield optimized(", ".join(options), "Muon", weights, **options)
        groups = [(["0.weight"], {"lr": 0.1}), (["2.weight"], {"momentum": 0.8, "lr": 0.01})]
        yield optimized("two groups", "Muon", groups)


def rounded():
    """Muon as it is in PyTorch, with an iteration in bfloat16."""
    yield optimized("bfloat16", "Muon", [(["0.weight", "2.weight"], {})], drift=1.0, lr=0.01)


VALLEYS = {
    "rosenbrock": ([-1.2, 1.0], lambda w: (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2),
    "quartic": ([3.0, -4.0], lambda w: ((w - 1) ** 4).sum()),
    "kink": ([3.0, -4.0], lambda w: (w.abs() * w.abs().sqrt()).sum() + (w[0] - w[1]).abs()),
    "barrier": ([5.0, 3.0], lambda w: (1 / (w**2 + 0.01) + w**2).sum()),
    "wave": ([0.3, 2.5], lambda w: (w.sin() * w + 0.1 * w**2).sum()),
}


def searched(note, valley, steps, **kwargs):
    """Let L-BFGS take whole steps down a valley, and count what they take."""
    start, function = VALLEYS[valley]
    w = torch.tensor(start, requires_grad=True)
    optimizer = torch.optim.LBFGS([w], **kwargs)

    def closure():
        optimizer.zero_grad()
        loss = function(w)
        loss.backward()
        return loss

    losses = [optimizer.step(closure).item() for _ in range(steps)]
    counts = {key: optimizer.state[w][key] for key in ("n_iter", "func_evals")}
    return {"id": titled(valley, note), "name": valley, "kwargs": kwargs, "start": start,
            "losses": losses, "final": w, "counts": counts}  # fmt: skip


def nets_line_searches():
    wolfe = {"line_search_fn": "strong_wolfe"}
    for valley in VALLEYS:
        yield searched("strong Wolfe", valley, 2, **wolfe)
        yield searched("strong Wolfe, history 2", valley, 6, max_iter=3, history_size=2, **wolfe)
        yield searched("strong Wolfe, far", valley, 3, max_iter=4, max_eval=20, lr=30.0,
                       **wolfe)  # fmt: skip
        yield searched("strong Wolfe, few losses", valley, 3, max_iter=4, max_eval=3, **wolfe)
        yield searched("fixed", valley, 6, lr=0.01, max_iter=5)
    yield searched("strong Wolfe, near", "quartic", 4, max_iter=2, lr=1e-4, **wolfe)


LRS = (0.5, 0.1)  # two groups: a schedule scales each group's own rate


def scheduled(note, name, optimizer="SGD", metrics=None, options=None, extra=None, **kwargs):
    """Step a schedule and keep what the groups say, first before any step.

    `extra` may have: "before", schedules that are made before it and stepped before it, or "after";
    "resumed", how many steps a schedule like it has made before it, which goes on with
    `last_epoch`; "epochs", what `step` is called with; "by hand", by step a factor that the rates
    are multiplied by before it.
    """
    extra = extra or {}
    groups = [{"params": [torch.zeros(1, requires_grad=True)], "lr": lr} for lr in LRS]
    opt = getattr(torch.optim, optimizer)(groups, lr=1.0, **(options or {}))
    module = torch.optim.lr_scheduler

    def build(name, kwargs):
        kwargs = dict(kwargs)
        if "lr_lambda" in kwargs:
            kwargs["lr_lambda"] = eval(f"lambda epoch: {kwargs['lr_lambda']}")
        for scaled in kwargs.keys() & {"scale_fn"}:
            kwargs[scaled] = eval(f"lambda x: {kwargs[scaled]}")
        if "schedulers" in kwargs:
            kwargs["schedulers"] = [build(*inner) for inner in kwargs["schedulers"]]
        if name == "ChainedScheduler":
            return module.ChainedScheduler(**kwargs)
        return getattr(module, name)(opt, **kwargs)

    if "resumed" in extra:
        old = build(name, kwargs)
        for _ in range(extra["resumed"]):
            opt.step()
            old.step()
        scheduler = build(name, {**kwargs, "last_epoch": old.last_epoch - 1})
    else:
        before = [build(*each) for each in extra.get("before", [])]
        scheduler = build(name, kwargs)
        after = [build(*each) for each in extra.get("after", [])]
    others = ([], []) if "resumed" in extra else (before, after)
    keys = [key for key in ("lr", "momentum", "betas") if key in opt.param_groups[0]]

    def now():
        return [[group[key] for key in keys] for group in opt.param_groups]

    history = [now()]
    for step in range(STEPS):
        opt.step()
        for group in opt.param_groups:
            group["lr"] *= extra.get("by hand", {}).get(str(step), 1)
        taken = metrics or extra.get("epochs")
        for each in others[0]:
            each.step()
        scheduler.step(*([taken[step]] if taken else []))
        for each in others[1]:
            each.step()
        history.append(now())
    return {"id": titled(name, note), "name": name, "kwargs": kwargs,
            "optimizer": optimizer, "options": options or {}, "metrics": metrics,
            "lrs": list(LRS), "keys": keys, "history": history,
            **({"extra": extra} if extra else {})}  # fmt: skip


def nets_schedules():
    yield scheduled("", "StepLR", step_size=3, gamma=0.5)
    yield scheduled("", "MultiStepLR", milestones=[2, 5, 5, 11], gamma=0.3)
    yield scheduled("", "ExponentialLR", gamma=0.9)
    yield scheduled("", "LinearLR")
    yield scheduled("down", "LinearLR", start_factor=1.0, end_factor=0.2, total_iters=7)
    yield scheduled("past T_max", "CosineAnnealingLR", T_max=8, eta_min=0.01)
    yield scheduled("", "CosineAnnealingLR", T_max=STEPS)
    yield scheduled("", "CosineAnnealingWarmRestarts", T_0=6)
    yield scheduled("longer and longer", "CosineAnnealingWarmRestarts", T_0=2, T_mult=2,
                    eta_min=0.01)  # fmt: skip
    momentum = {"momentum": 0.9}
    yield scheduled("", "OneCycleLR", max_lr=1.0, total_steps=STEPS, options=momentum)
    yield scheduled("linear, three phases", "OneCycleLR", max_lr=[1.0, 2.0], total_steps=25,
                    pct_start=0.4, anneal_strategy="linear", three_phase=True, options=momentum,
                    div_factor=10.0, final_div_factor=100.0)  # fmt: skip
    yield scheduled("Adam", "OneCycleLR", "Adam", max_lr=1.0, epochs=5, steps_per_epoch=5)
    yield scheduled("momentum left alone", "OneCycleLR", max_lr=1.0, total_steps=STEPS,
                    cycle_momentum=False)  # fmt: skip
    flat_then_better = [3.0, 2.0, 2.0, 2.0, 2.0, 1.9, 1.9, 1.9, 1.9, 1.9, 1.0, 1.0, 1.0, 1.0, 1.0,
                        1.0, 0.99995, 0.9, 0.9, 0.9]  # fmt: skip
    plateau = "ReduceLROnPlateau"
    yield scheduled("", plateau, metrics=flat_then_better, patience=2)
    yield scheduled("max, cooldown", plateau, metrics=[-m for m in flat_then_better], mode="max",
                    factor=0.5, patience=1, cooldown=2, min_lr=0.02)  # fmt: skip
    yield scheduled("absolute threshold", plateau, metrics=flat_then_better, patience=1,
                    threshold=0.2, threshold_mode="abs", factor=0.3)  # fmt: skip
    yield scheduled("", "LambdaLR", lr_lambda="0.95 ** epoch")
    yield scheduled("warm up, then cosine", "SequentialLR", milestones=[4],
                    schedulers=[["LinearLR", {"start_factor": 0.1, "total_iters": 4}],
                                ["CosineAnnealingLR", {"T_max": 12}]])  # fmt: skip
    yield scheduled("three", "SequentialLR", milestones=[3, 9],
                    schedulers=[["ExponentialLR", {"gamma": 0.8}], ["StepLR", {"step_size": 2}],
                                ["LambdaLR", {"lr_lambda": "1 / (1 + epoch)"}]])  # fmt: skip
    yield from later_schedules()


def later_schedules():
    yield scheduled("", "ConstantLR")
    yield scheduled("a half", "ConstantLR", factor=0.5, total_iters=9)
    yield scheduled("", "PolynomialLR")
    yield scheduled("a square", "PolynomialLR", total_iters=15, power=2.0)
    yield scheduled("", "MultiplicativeLR", lr_lambda="1 - 0.01 * epoch")
    momentum = {"momentum": 0.9}
    cyclic = {"base_lr": 0.1, "max_lr": 1.0, "step_size_up": 3}
    yield scheduled("", "CyclicLR", options=momentum, **cyclic)
    yield scheduled("halves", "CyclicLR", options=momentum, mode="triangular2", step_size_down=2,
                    base_momentum=0.7, max_momentum=0.95, **cyclic)  # fmt: skip
    yield scheduled("powers, Adam", "CyclicLR", "Adam", mode="exp_range", gamma=0.9,
                    **{**cyclic, "base_lr": [0.1, 0.01], "max_lr": [1.0, 0.5]})  # fmt: skip
    for mode in ("cycle", "iterations"):
        yield scheduled(f"a function of {mode}", "CyclicLR", scale_fn="1 / (x + 1)",
                        scale_mode=mode, cycle_momentum=False, **cyclic)  # fmt: skip
    linear = ["LinearLR", {"start_factor": 0.1, "total_iters": 4}]
    exponential = ["ExponentialLR", {"gamma": 0.9}]
    cosine = ["CosineAnnealingLR", {"T_max": 8, "eta_min": 0.01}]
    yield scheduled("", "ChainedScheduler", schedulers=[linear, exponential])
    yield scheduled("four", "ChainedScheduler", schedulers=[
        linear, cosine, ["StepLR", {"step_size": 3, "gamma": 0.5}],
        ["PolynomialLR", {"total_iters": 18}]])  # fmt: skip
    alone = {
        "StepLR": {"step_size": 4}, "MultiStepLR": {"milestones": [2, 7]},
        "ExponentialLR": {"gamma": 0.9}, "LinearLR": {"total_iters": 8},
        "ConstantLR": {"total_iters": 8}, "PolynomialLR": {"total_iters": 12},
        "CosineAnnealingLR": {"T_max": 8, "eta_min": 0.01},
        "MultiplicativeLR": {"lr_lambda": "0.95"}, "LambdaLR": {"lr_lambda": "0.95 ** epoch"},
        "CosineAnnealingWarmRestarts": {"T_0": 6},
    }  # fmt: skip
    for name, kwargs in alone.items():
        for steps in (1, 5, 10):
            yield scheduled(f"resumed after {steps}", name, extra={"resumed": steps}, **kwargs)
        yield scheduled("by hand", name, extra={"by hand": {"3": 0.1, "11": 20.0}}, **kwargs)
        yield scheduled("after a warm-up", name, extra={"before": [linear]}, **kwargs)
        if name not in ("LambdaLR", "CosineAnnealingWarmRestarts"):
            others = {"before": [exponential], "after": [cosine, linear]}
            yield scheduled("with others", name, extra=others, **kwargs)
        yield scheduled(f"warm up, then {name}", "SequentialLR", milestones=[4],
                        schedulers=[linear, [name, kwargs]])  # fmt: skip
        yield scheduled(f"{name}, then down", "SequentialLR", milestones=[4],
                        schedulers=[[name, kwargs], exponential])  # fmt: skip
    parts = [step / 4 for step in range(1, STEPS + 1)]
    yield scheduled("within epochs", "CosineAnnealingWarmRestarts", T_0=2, extra={"epochs": parts})
    yield scheduled("within epochs, longer", "CosineAnnealingWarmRestarts", T_0=1, T_mult=2,
                    extra={"epochs": parts})  # fmt: skip
    mixed = [None if step % 3 else step / 2 for step in range(STEPS)]
    yield scheduled("within epochs or not", "CosineAnnealingWarmRestarts", T_0=7,
                    extra={"epochs": mixed})  # fmt: skip


def write(name, cases, **head):
    cases = list(cases)
    ids = [each["id"] for each in cases]
    repeated = {each for each in ids if ids.count(each) > 1}
    assert not repeated, repeated
    lines = [json.dumps(encode(each), separators=(",", ":")) for each in cases]
    head = json.dumps({"torch": torch.__version__.partition("+")[0], **encode(head)})
    text = head[:-1] + ', "cases": [\n' + ",\n".join(lines) + "\n]}\n"
    (HERE / name).write_text(text)
    print(f"{name}: {len(cases)} cases, {len(text) // 1000} KB")


def main():
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    write("nn.json", core_nn())
    write("optim.json", core_optim(), problem=problem())
    write("activations.json", nets_activations())
    write("losses.json", nets_losses())
    write("layers.json", nets_layers())
    write("recurrent.json", nets_recurrent())
    write("attention.json", nets_attention())
    write("functions.json", nets_functions())
    write("clipping.json", nets_clipping())
    write("optimizers.json", nets_optim(), problem=problem())
    write("muon.json", rounded(), problem=problem())
    write("line_searches.json", nets_line_searches())
    write("schedules.json", nets_schedules())


if __name__ == "__main__":
    main()
