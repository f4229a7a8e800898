"""Write the numbers that PyTorch gives for what `make_golden.py` does not ask for.

Run:    python tests/golden/make_further.py     (needs torch; the tests do not)
Writes: further.json and weight_norms.json beside it, the same bytes each time.
"""

import numpy as np
import torch
from make_golden import INT, SIGN, Module, N, case, generator, normal, titled, write
from torch import nn


def alone(case):
    """Leave a case without its gradients, as some of its outputs have none."""
    del case["upstream"]
    return case


def activations():
    for name, function in (
        ("ReLU6", "relu6"),
        ("CELU", "celu"),
        ("Hardswish", "hardswish"),
        ("Hardshrink", "hardshrink"),
        ("Softshrink", "softshrink"),
        ("Tanhshrink", "tanhshrink"),
        ("Hardsigmoid", "hardsigmoid"),
    ):
        wide = [np.array([-9.0, -3.5, -2.9, -0.7, -0.2, 0.3, 0.8, 2.8, 4.0, 6.5])]
        # PyTorch's gradient of hardsigmoid is only right to the places of a float32
        for note, x in (("", [N(3, 4)]), ("wide", wide)):
            made = case(note, name, x, function=function)
            yield alone(made) if name == "Hardsigmoid" else made
    yield case("alpha", "CELU", [N(3, 4)], 0.5, function="celu")
    yield case("lambd", "Hardshrink", [N(3, 4)], 0.2, function="hardshrink")
    yield case("lambd", "Softshrink", [N(3, 4)], 0.2, function="softshrink")
    yield case("", "Threshold", [N(3, 4)], 0.1, -2.0, function="threshold")
    for axis in (0, -1):
        yield case(f"axis {axis}", "Softmin", [N(3, 4)], axis, function="softmin")
    for name, shape in (("Dropout1d", (2, 3, 4)), ("Dropout2d", (2, 3, 4, 2)),
                        ("AlphaDropout", (3, 4))):  # fmt: skip
        yield case("evaluating", name, [N(*shape)], 0.5, training=False)
        yield case("p 0", name, [N(*shape)], 0.0)


def pooling():
    for axes, size in ((1, (7,)), (2, (7, 8))):
        x = [N(1, 2, *size)]
        for kernel, stride, padding in ((2, None, 0), (3, 2, 1), (4, 3, 2), (2, 3, 1), (3, 4, 0)):
            note = f"ceil {kernel} {stride} {padding}"
            p = [kernel, stride, padding]
            yield case(note, f"MaxPool{axes}d", x, *p, ceil_mode=True, function=f"max_pool{axes}d")
            yield case(note, f"AvgPool{axes}d", x, *p, True, function=f"avg_pool{axes}d")
            yield case(f"{note} without padding", f"AvgPool{axes}d", x, *p, True, False,
                       function=f"avg_pool{axes}d")  # fmt: skip
        yield case("dilation and ceil", f"MaxPool{axes}d", x, 3, 2, 1, 2, False, True)
        yield case("by place", None, x, 3, 2, 1, 2, True, function=f"max_pool{axes}d")
        for note, options in (("", {}), ("padding", {"padding": 1, "kernel_size": 3}),
                              ("ceil", {"stride": 3, "ceil_mode": True})):  # fmt: skip
            options = {"kernel_size": 2, "return_indices": True, **options}
            yield alone(case(f"indices {note}".strip(), f"MaxPool{axes}d", x, **options))
    yield case("divisor", "AvgPool2d", [N(1, 2, 7, 8)], 3, 2, 1, divisor_override=5,
               function="avg_pool2d")  # fmt: skip
    yield case("divisor and ceil", "AvgPool2d", [N(3, 7, 8)], 3, 2, 1, True, False, 4,
               function="avg_pool2d")  # fmt: skip
    equal = np.array([[[2.0, 2.0, 1.0, 2.0, 0.0, 0.0, 3.0, 3.0]]])
    yield alone(case("equal elements", "MaxPool1d", [equal], 2, return_indices=True))


def layers():
    for options in ({}, {"stride": 2, "padding": 1, "output_padding": 1},
                    {"groups": 2, "dilation": 2, "bias": False}):  # fmt: skip
        note = ", ".join(options)
        yield case(note, "ConvTranspose1d", [N(2, 4, 5)], 4, 6, 3, **options)
    yield case("one signal", "ConvTranspose1d", [N(4, 5)], 4, 2, 3)
    yield case("output size", "ConvTranspose1d", [N(2, 4, 5)], 4, 2, 3, 2, 1,
               call={"output_size": [10]})  # fmt: skip
    yield case("output size", "ConvTranspose2d", [N(2, 4, 3, 3)], 4, 2, 3, 2, 1,
               call={"output_size": [6, 5]})  # fmt: skip
    yield case("", None, [N(2, 4, 5), N(4, 3, 3), N(6)], 2, 1, 1, 2, 1,
               function="conv_transpose1d")  # fmt: skip
    for axes, size in ((1, (5,)), (2, (3, 4))):
        name = f"InstanceNorm{axes}d"
        yield case("", name, [N(2, 3, *size)], 3)
        yield case("affine", name, [N(2, 3, *size)], 3, affine=True, eps=0.1)
        yield case("one sample", name, [N(3, *size)], 3, affine=True)
        yield case("no bias", name, [N(2, 3, *size)], 3, affine=True, bias=False)
        for training in (True, False):
            note = "running, training" if training else "running, evaluating"
            yield case(note, name, [N(2, 3, *size)], 3, momentum=0.3, affine=True,
                       track_running_stats=True, training=training)  # fmt: skip
    yield case("", None, [N(2, 3, 4)], function="instance_norm")
    yield case("no bias", "BatchNorm1d", [N(4, 3)], 3, bias=False)
    yield case("no bias", "BatchNorm2d", [N(4, 3, 2, 2)], 3, bias=False, training=False)
    yield case("no bias", "GroupNorm", [N(2, 4, 3)], 2, 4, bias=False)
    for kind, mode in (("Constant", "constant"), ("Zero", "constant"), ("Reflection", "reflect"),
                       ("Replication", "replicate"), ("Circular", "circular")):  # fmt: skip
        value = [1.5] if kind == "Constant" else []
        yield case("both sides", f"{kind}Pad1d", [N(2, 3, 5)], 2, *value)
        yield case("a pair", f"{kind}Pad1d", [N(3, 5)], (3, 1), *value)
        yield case("all sides", f"{kind}Pad2d", [N(2, 3, 4, 5)], 2, *value)
        yield case("four", f"{kind}Pad2d", [N(3, 4, 5)], (1, 2, 3, 0), *value)
        yield case("cut", f"{kind}Pad1d", [N(2, 3, 5)], (-1, 2), *value)
        for widths in ((-1, -1), (2, -1), (-2, 0), (1, 1, -1, 2)):
            x = N(2, 3, 5) if len(widths) == 2 else N(2, 3, 4, 5)
            yield case(f"{mode} {widths} of {kind}", None, [x], widths, mode, function="pad")
    yield case("nearest", "Upsample", [N(2, 3, 4)], scale_factor=1.7)
    yield case("size", "Upsample", [N(2, 3, 4, 3)], (5, 6))
    yield case("linear", "Upsample", [N(2, 3, 4)], scale_factor=2.3, mode="linear")
    yield case("bilinear", "Upsample", [N(2, 3, 4, 3)], scale_factor=(2.3, 1.5), mode="bilinear",
               align_corners=True)  # fmt: skip
    yield case("recomputed", "Upsample", [N(2, 3, 4, 3)], scale_factor=2.3, mode="bilinear",
               recompute_scale_factor=True)  # fmt: skip
    yield case("recomputed", None, [N(2, 3, 4)], None, 1.7, "linear", None, True,
               function="interpolate")  # fmt: skip
    yield case("", "CosineSimilarity", [N(3, 4), N(3, 4)])
    yield case("axis 0", "CosineSimilarity", [N(3, 4), N(3, 4)], 0)
    yield case("", "PixelShuffle", [N(2, 8, 3, 2)], 2, function="pixel_shuffle")
    yield case("one image", "PixelShuffle", [N(9, 2, 2)], 3, function="pixel_shuffle")
    yield case("", "Bilinear", [N(4, 2), N(4, 3)], 2, 3, 5)
    yield case("no bias, more axes", "Bilinear", [N(2, 4, 2), N(2, 4, 3)], 2, 3, 5, bias=False)
    yield case("", None, [N(4, 2), N(4, 3), N(5, 2, 3), N(5)], function="bilinear")
    yield case("max_norm", "Embedding", [INT(5, 2, 3)], 5, 3, max_norm=0.5)
    yield case("max_norm and norm_type", "Embedding", [INT(5, 2, 3)], 5, 3, 1, 0.5, 1.0)


def losses():
    for reduction in ("mean", "sum", "none"):
        r = {"reduction": reduction}
        yield case(reduction, "SoftMarginLoss", [N(4, 3), SIGN(4, 3)], wanted=1,
                   function="soft_margin_loss", **r)  # fmt: skip
        yield case(reduction, "MultiMarginLoss", [N(4, 3), INT(3, 4)], wanted=1,
                   function="multi_margin_loss", **r)  # fmt: skip
        yield case(f"weight {reduction}", "MultiMarginLoss", [N(4, 3), INT(3, 4)], 2, 0.7,
                   wanted=1, function="multi_margin_loss", weight=np.array([0.5, 1.0, 2.0]),
                   **r)  # fmt: skip
    yield case("one sample", "MultiMarginLoss", [N(3), INT(3)], 2, wanted=1,
               function="multi_margin_loss")  # fmt: skip


def attention():
    x, memory = N(3, 2, 4), N(5, 2, 4)
    for options in ({"add_bias_kv": True}, {"add_zero_attn": True},
                    {"add_bias_kv": True, "add_zero_attn": True}):  # fmt: skip
        note = " and ".join(options)
        for masks in ({}, {"attn_mask": np.triu(np.ones((3, 5), bool), 3),
                           "key_padding_mask": np.array([[0, 0, 0, 1, 0], [0, 1, 0, 0, 1]],
                                                        bool)}):  # fmt: skip
            yield case(note + (", masks" if masks else ""), "MultiheadAttention",
                       [x, memory, memory], 4, 2, call=masks, **options)  # fmt: skip
    options = {"dim_feedforward": 6, "dropout": 0.0}
    for more in ({}, {"norm_first": True, "activation": "gelu"}, {"batch_first": True},
                 {"bias": False, "activation": "gelu"}):  # fmt: skip
        note = ", ".join(more)
        a, b = (N(2, 3, 4), N(2, 5, 4)) if "batch_first" in more else (x, memory)
        yield case(note, "TransformerDecoderLayer", [a, b], 4, 2, **options, **more)
        yield case(note, "Transformer", [b, a], 4, 2, 1, 2, **options, **more)
    above = np.triu(np.ones((3, 3), bool), 1)
    padding = np.array([[0, 0, 0, 1, 0], [0, 1, 0, 0, 1]], bool)
    masks = {"tgt_mask": above, "memory_key_padding_mask": padding,
             "memory_mask": np.triu(np.ones((3, 5), bool), 3)}  # fmt: skip
    yield case("masks", "TransformerDecoderLayer", [x, memory], 4, 2, call=masks, **options)
    yield case("masks", "Transformer", [memory, x], 4, 2, 1, 1,
               call=masks | {"src_key_padding_mask": padding}, **options)  # fmt: skip
    layer = Module("TransformerDecoderLayer", 4, 2, **options)
    yield case("", "TransformerDecoder", [x, memory], layer, 2)
    yield case("norm and masks", "TransformerDecoder", [x, memory], layer, 2,
               Module("LayerNorm", 4), call=masks)  # fmt: skip


def recurrent():
    for more in ({}, {"num_layers": 2, "bidirectional": True}, {"bias": False}):
        note = ", ".join(["proj_size", *more])
        yield case(note, "LSTM", [N(5, 2, 3)], 3, 4, proj_size=2, **more)
    yield case("proj_size and state", "LSTM", [N(5, 2, 3), (N(1, 2, 2), N(1, 2, 4))], 3, 4,
               proj_size=2)  # fmt: skip
    yield case("proj_size, one sequence", "LSTM", [N(5, 3)], 3, 4, proj_size=2, batch_first=True)


def weight_norms():
    """Yield what modules give, in two calls, whose weight is computed, and their gradients."""
    kinds = [("weight_norm", {}), ("weight_norm", {"axis": None}), ("weight_norm", {"axis": 1}),
             ("spectral_norm", {}), ("spectral_norm", {"n_power_iterations": 3})]  # fmt: skip
    modules = [("Linear", [3, 2], (4, 3)), ("Conv1d", [2, 4, 3], (2, 2, 5)),
               ("ConvTranspose1d", [2, 4, 3], (2, 2, 5))]  # fmt: skip
    for function, options in kinds:
        for name, args, shape in modules:
            title = titled(f"{function} of {name}", str(options or ""))
            rng, module = generator(title), getattr(nn, name)(*args)
            with torch.no_grad():
                for parameter in module.parameters():
                    parameter.copy_(torch.from_numpy(normal(rng, parameter.shape, 0.5)))
            own = {("dim" if key == "axis" else key): value for key, value in options.items()}
            getattr(nn.utils, function)(module, **own)
            state = {key: value.clone() for key, value in module.state_dict().items()}
            x, outputs = normal(rng, shape), []
            upstream = None
            for training in (True, True, False):
                out = module.train(training)(torch.from_numpy(x))
                upstream = normal(rng, out.shape) if upstream is None else upstream
                outputs.append(out)
            sum((out * torch.from_numpy(upstream)).sum() for out in outputs).backward()
            yield {"id": title, "function": function, "kwargs": options, "name": name,
                   "args": args, "state": state, "inputs": [x], "outputs": outputs,
                   "upstream": upstream, "state_after": module.state_dict(),
                   "parameter_grads": {k: p.grad for k, p in module.named_parameters()},
                   }  # fmt: skip


def main():
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    parts = activations, pooling, layers, losses, attention, recurrent
    write("further.json", (each for part in parts for each in part()))
    write("weight_norms.json", weight_norms())


if __name__ == "__main__":
    main()
