"""SciPy's own functions of Tensors."""

import subprocess
import sys

import numpy as np
import pytest

import retrograd as rg
from retrograd.testing import gradgradcheck
from special.points import DIFFERENTIATED, WITH_PARAMETERS

scipy_special = pytest.importorskip("scipy.special")


@pytest.mark.parametrize("name", sorted(set(DIFFERENTIATED) - {"logsumexp", "softmax",
                                                               "log_softmax"}))  # fmt: skip
def test_scipys_function_of_a_tensor_is_differentiated(name):
    inputs = DIFFERENTIATED[name]
    gradgradcheck(getattr(scipy_special, name), *inputs)
    out = getattr(scipy_special, name)(*(rg.Tensor(x, requires_grad=True) for x in inputs))
    assert type(out) is rg.Tensor
    assert out.requires_grad
    np.testing.assert_allclose(out.data, getattr(scipy_special, name)(*inputs), rtol=1e-11)


@pytest.mark.parametrize("name", sorted(set(WITH_PARAMETERS) - {"zeta"}))
def test_scipys_function_of_parameters_and_a_tensor_is_differentiated(name):
    *parameters, x = WITH_PARAMETERS[name]
    fn = getattr(scipy_special, name)
    gradgradcheck(lambda x: fn(*parameters, x), x)
    out = fn(*parameters, rg.Tensor(x, requires_grad=True))
    assert out.requires_grad
    np.testing.assert_allclose(out.data, fn(*parameters, x), rtol=1e-11)


def test_psi_is_another_name_of_digamma():
    x = rg.Tensor([2.5], requires_grad=True)
    np.testing.assert_array_equal(scipy_special.psi(x).data, rg.special.digamma(x).data)


def test_a_scipy_function_without_a_rule_is_named_as_scipys():
    with pytest.raises(TypeError, match=r"scipy\.special\.yv has no gradient rule"):
        scipy_special.yv(1.0, rg.Tensor([1.0], requires_grad=True))


def test_scipy_is_never_imported():
    code = (
        "import sys, numpy as np, retrograd as rg\n"
        "rg.special.erf(rg.Tensor([0.5], requires_grad=True)).backward()\n"
        "try:\n    np.frompyfunc(abs, 1, 1)(rg.Tensor([1.0]))\nexcept TypeError:\n    pass\n"
        "assert not any(name.startswith('scipy') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
