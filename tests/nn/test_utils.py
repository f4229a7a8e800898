import numpy as np
import pytest

import retrograd as rg


def blank(*shape):
    return rg.nn.Parameter(np.zeros(shape))


def test_a_vector_goes_into_the_parameters_and_back():
    layer = rg.nn.Linear(3, 2, rng=0)
    vector = rg.nn.utils.parameters_to_vector(layer.parameters())
    rg.nn.utils.vector_to_parameters(vector.data * 2, layer.parameters())
    again = rg.nn.utils.parameters_to_vector(layer.parameters())
    np.testing.assert_array_equal(again.data, 2 * vector.data)
    again.sum().backward()
    np.testing.assert_array_equal(layer.weight.grad, np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"\(8,\)"):
        rg.nn.utils.vector_to_parameters(np.ones(7), layer.parameters())


def test_clipping_refuses_a_norm_that_is_not_finite_if_asked():
    p = blank(2)
    p.grad = np.array([np.inf, 1.0])
    with pytest.raises(RuntimeError, match="inf"):
        rg.nn.utils.clip_grad_norm_(p, 1.0, error_if_nonfinite=True)
    assert rg.nn.utils.clip_grad_norm_([blank(2)], 1.0).item() == 0


def test_clipping_a_module_says_what_to_pass():
    with pytest.raises(TypeError, match=r"\.parameters\(\) of the Linear"):
        rg.nn.utils.clip_grad_norm_(rg.nn.Linear(1, 1), 1.0)


def test_clipping_takes_one_parameter_too_and_leaves_small_gradients_as_they_are():
    p = blank(2)
    p.grad = np.array([3.0, 4.0])
    assert rg.nn.utils.clip_grad_norm_(p, 10.0, norm_type=np.inf).item() == 4.0
    np.testing.assert_array_equal(p.grad, [3.0, 4.0])
    rg.nn.utils.clip_grad_value_(p, 3.5)
    np.testing.assert_array_equal(p.grad, [3.0, 3.5])


def test_complex_gradients_are_clipped_by_their_sizes_and_have_no_order():
    z = rg.nn.Parameter(np.zeros(2, complex))
    z.grad, x = np.array([3j, 4.0]), blank(1)
    x.grad = np.array([12.0])
    assert rg.nn.utils.clip_grad_norm_([z, x], 1.0).item() == 13.0
    np.testing.assert_allclose(z.grad, np.array([3j, 4.0]) / 13, rtol=1e-6)
    assert rg.nn.utils.clip_grad_norm_(z, 1.0, norm_type=np.inf).item() == pytest.approx(4 / 13)
    with pytest.raises(TypeError, match="no order"):
        rg.nn.utils.clip_grad_value_([x, z], 1.0)
    np.testing.assert_allclose(x.grad, 12 / 13, rtol=1e-6)
    with pytest.raises(TypeError, match="some of the parameters are real"):
        rg.nn.utils.vector_to_parameters(np.ones(3, complex), [z, x])
