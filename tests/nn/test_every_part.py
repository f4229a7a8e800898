"""What holds for every module and function that has golden numbers, whatever the numbers are."""

import numpy as np
import pytest

import retrograd as rg
from golden import MODULES, array, assert_same, build, cases, decode, flat
from retrograd.func import grad, vmap
from retrograd.testing import gradgradcheck

ALL = [*cases(MODULES), *cases(MODULES, key="function")]
SMOOTH = [p for p in ALL if "upstream" in p.values[0] and "large inputs" not in p.id
          and "at 0 and 1" not in p.id and "a zero row" not in p.id
          and "below eps" not in p.id]  # fmt: skip


def prepared(case, dtype=float):
    """Return a function of the inputs that have a gradient, and those inputs as arrays."""
    if case["name"]:
        fn = build(rg.nn, case["name"], case)
        fn.load_state_dict(decode(case["state"]))
        fn.train(case["training"]).to(dtype)
        args, kwargs = [], decode(case["call"])
    else:
        fn = getattr(rg.nn.functional, case["function"])
        args, kwargs = decode(case["args"]), decode(case["kwargs"])
    wanted = iter(case.get("input_grads") or [])
    leaves = []

    def slots(value):
        if isinstance(value, tuple | list):
            return type(value)(slots(item) for item in value)
        if np.issubdtype(value.dtype, np.floating):
            value = value.astype(dtype)
        if next(wanted, None) is None:
            return lambda given: value
        leaves.append(value)
        at = len(leaves) - 1
        return lambda given: given[at]

    def filled(tree, given):
        if isinstance(tree, tuple | list):
            return type(tree)(filled(item, given) for item in tree)
        return tree(given)

    def cast(value):
        floats = isinstance(value, np.ndarray) and value.dtype.kind == "f"
        return value.astype(dtype) if floats else value

    tree = slots(decode(case["inputs"]))
    args, kwargs = [cast(a) for a in args], {k: cast(v) for k, v in kwargs.items()}

    def call(*given):
        outputs = flat(fn(*filled(tree, given), *args, **kwargs))
        return tuple(o for o in outputs if isinstance(o, rg.Tensor))

    return fn, call, leaves


# modules that take batches, and the shapes of inputs without samples
WITHOUT_SAMPLES = {
    "Linear(3, 2)": [(0, 3)],
    "Bilinear(3, 4, 2)": [(0, 3), (0, 4)],
    "Conv1d(2, 3, 3)": [(0, 2, 8)],
    "Conv2d(2, 4, 3, padding=1, groups=2)": [(0, 2, 8, 8)],
    "ConvTranspose1d(2, 3, 3)": [(0, 2, 8)],
    "ConvTranspose2d(2, 4, 3, groups=2)": [(0, 2, 8, 8)],
    "MaxPool2d(2)": [(0, 2, 8, 8)],
    "AvgPool2d(2)": [(0, 2, 8, 8)],
    "AdaptiveAvgPool2d(1)": [(0, 2, 8, 8)],
    "RNN(3, 4, 2, batch_first=True)": [(0, 5, 3)],
    "LSTM(3, 4, 2, batch_first=True, bidirectional=True)": [(0, 5, 3)],
    "GRU(3, 4)": [(5, 0, 3)],
    "RNNCell(3, 4)": [(0, 3)],
    "LSTMCell(3, 4)": [(0, 3)],
    "GRUCell(3, 4)": [(0, 3)],
    "LayerNorm(3)": [(0, 4, 3)],
    "GroupNorm(2, 4)": [(0, 4, 3)],
    "BatchNorm1d(3)": [(0, 3)],
    "InstanceNorm1d(3, affine=True, track_running_stats=True)": [(0, 3, 4)],
    "InstanceNorm2d(3)": [(0, 3, 4, 4)],
    "MultiheadAttention(8, 2, batch_first=True)": [(0, 5, 8)] * 3,
    "TransformerEncoderLayer(8, 2, 16, batch_first=True)": [(0, 5, 8)],
    "TransformerDecoderLayer(8, 2, 16, batch_first=True)": [(0, 5, 8), (0, 4, 8)],
    "Upsample(scale_factor=2, mode='bilinear')": [(0, 2, 4, 4)],
}


@pytest.mark.parametrize("name", WITHOUT_SAMPLES)
def test_a_batch_without_samples_has_no_gradient_and_leaves_the_state(name):
    module = eval(f"nn.{name}", {"nn": rg.nn})
    inputs = [rg.Tensor(np.zeros(shape), requires_grad=True) for shape in WITHOUT_SAMPLES[name]]
    running = {k: b.copy() for k, b in module.named_buffers() if k.startswith("running")}
    outputs = [t for t in rg.tree.leaves(module(*inputs)) if isinstance(t, rg.Tensor)]
    assert outputs
    assert all(t.size == 0 for t in outputs)
    sum(np.sum(t) for t in outputs).backward()
    assert all(not np.any(p.grad) for p in module.parameters() if p.grad is not None)
    for k, b in module.named_buffers():
        assert k not in running or np.array_equal(b, running[k])


@pytest.mark.parametrize("case", SMOOTH)
def test_the_second_derivatives_are_those_of_the_first(case):
    fn, call, leaves = prepared(case)
    parameters = list(fn.parameters()) if case["name"] else []

    def with_parameters(*given):
        for parameter, value in zip(parameters, given[len(leaves) :], strict=True):
            swap(fn, parameter, value)
        return call(*given[: len(leaves)])

    assert gradgradcheck(with_parameters, *leaves, *(p.data for p in parameters), directions=1)


def swap(module, parameter, value):
    """Put a Tensor where a parameter was, under the name it had at first."""
    for inner in module.modules():
        places = vars(inner).setdefault("places", {})
        for name, held in list(vars(inner).items()):
            if held is parameter or places.get(name) is parameter:
                places[name] = parameter
                vars(inner)[name] = value


@pytest.mark.parametrize("case", SMOOTH)
def test_float32_stays_float32_forward_and_backward(case):
    fn, call, leaves = prepared(case, np.float32)
    xs = [rg.Tensor(x, requires_grad=True) for x in leaves]
    outputs = call(*xs)
    assert {o.dtype for o in outputs} == {np.dtype(np.float32)}
    for output, expected in zip(outputs, case["outputs"], strict=True):
        np.testing.assert_allclose(output.data, decode(expected), rtol=2e-3, atol=1e-4)
    sum(o.sum() for o in outputs).backward()
    parameters = list(fn.parameters()) if case["name"] else []
    for t in [*xs, *parameters]:
        assert t.grad is None or t.grad.dtype == np.float32


@pytest.mark.parametrize("case", SMOOTH)
def test_compiled_it_gives_the_same_numbers(case):
    fn, call, leaves = prepared(case)
    xs = [rg.nn.Parameter(x) for x in leaves]
    parameters = list(fn.parameters()) if case["name"] else []
    upstream = decode(case["upstream"])

    @rg.compile
    def step():
        for t in [*xs, *parameters]:
            t.grad = None
        outputs = call(*xs)
        sum((o * u).sum() for o, u in zip(outputs, upstream, strict=True)).backward()
        return outputs

    before = fn.state_dict() if case["name"] else {}
    for _ in range(3):
        if case["name"]:
            fn.load_state_dict(before)
        outputs = step()
        for i, (output, expected) in enumerate(zip(outputs, case["outputs"], strict=True)):
            assert_same(array(output), expected, f"output {i}")
        wanted = [g for g in case["input_grads"] if g is not None]
        for x, expected in zip(xs, wanted, strict=True):
            assert_same(x.grad, expected, "gradient of an input")
        if case["name"]:
            for name, parameter in fn.named_parameters():
                assert_same(parameter.grad, case["parameter_grads"][name], f"gradient of {name}")
            for key, expected in case["state_after"].items():
                assert_same(fn.state_dict()[key], expected, f"state {key}")


@pytest.mark.parametrize("case", SMOOTH)
def test_a_batch_gives_what_a_loop_gives(case):
    """Values, gradients of each entry, and a gradient through the batch."""
    _, call, leaves = prepared(case)
    if not leaves or (case.get("training") and "running_mean" in str(case.get("state"))):
        return  # a BatchNorm that trains writes statistics of all its calls
    batch = [np.stack([x, x * 1.01 + 0.001, x * 0.97]) for x in leaves]

    def total(*given):
        return sum(np.sum(np.cos(out)) for out in call(*given))

    def slopes(*given):
        return grad(total, tuple(range(len(given))))(*given)

    for f in (call, slopes):
        want = [f(*(rg.Tensor(x[i]) for x in batch)) for i in range(3)]
        for whole, *parts in zip(vmap(f)(*batch), *want, strict=True):
            parts = np.stack([part.data for part in parts])
            np.testing.assert_allclose(whole.data, parts, rtol=1e-8, atol=1e-9)
    through = grad(lambda *xs: np.sum(vmap(total)(*xs)), tuple(range(len(batch))))(*batch)
    for whole, *parts in zip(through, *want, strict=True):
        parts = np.stack([part.data for part in parts])
        np.testing.assert_allclose(whole.data, parts, rtol=1e-8, atol=1e-9)
