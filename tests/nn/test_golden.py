import numpy as np
import pytest

import retrograd as rg
from golden import (
    CLIPPING,
    MODULES,
    array,
    assert_all_same,
    assert_same,
    build,
    cases,
    decode,
    flat,
)


def prepared(case):
    """Return inputs as they are passed and as a flat list; Tensors where a gradient is stored."""
    # a missing gradient list is a function of integers
    wanted = iter(case.get("input_grads") or [])

    def prepare(value):
        if isinstance(value, tuple | list):
            return type(value)(prepare(item) for item in value)
        return value if next(wanted, None) is None else rg.Tensor(value, requires_grad=True)

    inputs = prepare(decode(case["inputs"]))
    return inputs, flat(inputs)


def check_outputs_and_input_gradients(case, leaves, result):
    outputs = flat(result)
    for i, (output, expected) in enumerate(zip(outputs, case["outputs"], strict=True)):
        assert_same(output, expected, f"output {i}")
    if "upstream" not in case:
        return
    upstream = decode(case["upstream"])
    sum((o * u).sum() for o, u in zip(outputs, upstream, strict=True)).backward()
    for i, (leaf, expected) in enumerate(zip(leaves, case["input_grads"], strict=True)):
        if expected is not None:
            assert_same(leaf.grad, expected, f"gradient of input {i}")


@pytest.mark.parametrize("case", cases(MODULES))
def test_a_module_gives_pytorchs_outputs_gradients_and_state(case):
    module = build(rg.nn, case["name"], case)
    state = decode(case["state"])
    shapes = {key: array(value).shape for key, value in module.state_dict().items()}
    assert list(shapes.items()) == [(key, value.shape) for key, value in state.items()]
    module.load_state_dict(state)
    module.train(case["training"])

    inputs, leaves = prepared(case)
    result = module(*inputs, **decode(case["call"]))

    check_outputs_and_input_gradients(case, leaves, result)
    gradients = {key: parameter.grad for key, parameter in module.named_parameters()}
    assert_all_same(gradients, case["parameter_grads"], "gradient of")
    assert_all_same(module.state_dict(), case["state"] | case["state_after"], "state after")


@pytest.mark.parametrize("case", cases(MODULES, key="function"))
def test_a_function_gives_pytorchs_outputs_and_gradients(case):
    inputs, leaves = prepared(case)
    function = getattr(rg.nn.functional, case["function"])
    result = function(*inputs, *decode(case["args"]), **decode(case["kwargs"]))
    check_outputs_and_input_gradients(case, leaves, result)


@pytest.mark.parametrize("case", cases(CLIPPING))
def test_clipping_gives_pytorchs_gradients_and_norm(case):
    gradients = decode(case["gradients"])
    parameters = [rg.nn.Parameter(np.zeros(gradient.shape)) for gradient in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    function = getattr(rg.nn.utils, case["name"])
    total = function(parameters, *decode(case["args"]), **decode(case["kwargs"]))
    for parameter, expected in zip(parameters, case["clipped"], strict=True):
        assert_same(parameter.grad, expected, "clipped gradient")
    if case["total"] is not None:
        assert_same(total, case["total"], "norm")


def test_the_comparison_notices_a_difference_in_the_tenth_place():
    with pytest.raises(AssertionError):
        assert_same(np.array([1.0 + 3e-10]), {"array": [1.0]}, "value")
    with pytest.raises(AssertionError):
        assert_same(np.ones(1), {"array": 1.0}, "shape")
    with pytest.raises(AssertionError):
        assert_same(np.ones(1, int), {"array": [1.0]}, "dtype")
