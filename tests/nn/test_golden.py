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
    check_outputs_and_input_gradients,
    decode,
    prepare_inputs,
)


@pytest.mark.parametrize("case", cases(MODULES))
def test_a_module_gives_pytorchs_outputs_gradients_and_state(case):
    module = build(rg.nn, case["name"], case)
    state = decode(case["state"])
    shapes = {key: array(value).shape for key, value in module.state_dict().items()}
    assert list(shapes.items()) == [(key, value.shape) for key, value in state.items()]
    module.load_state_dict(state)
    module.train(case["training"])

    inputs, leaves = prepare_inputs(case)
    result = module(*inputs, **decode(case["call"]))

    check_outputs_and_input_gradients(case, leaves, result)
    gradients = {key: parameter.grad for key, parameter in module.named_parameters()}
    assert_all_same(gradients, case["parameter_grads"], "gradient of")
    assert_all_same(module.state_dict(), case["state"] | case["state_after"], "state after")


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
