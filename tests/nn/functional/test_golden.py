import pytest

from golden import MODULES, cases, check_outputs_and_input_gradients, decode, prepare_inputs
from retrograd.nn import functional as F


@pytest.mark.parametrize("case", cases(MODULES, key="function"))
def test_a_function_gives_pytorchs_outputs_and_gradients(case):
    inputs, leaves = prepare_inputs(case)
    function = getattr(F, case["function"])
    result = function(*inputs, *decode(case["args"]), **decode(case["kwargs"]))
    check_outputs_and_input_gradients(case, leaves, result)
