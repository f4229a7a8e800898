"""`rg.array` makes one Tensor of nested lists, and NumPy's functions that join take such lists."""

import numpy as np
import pytest

import retrograd as rg
from helpers import leaf


def test_a_state_of_an_ode_keeps_its_gradient():
    th, omega, g = leaf(0.5)[0], leaf(1.0)[0], 9.81
    out = rg.array([omega, -g * np.sin(th)])
    assert out.shape == (2,)
    th_grad, omega_grad = rg.autograd.grad(np.sum(out * np.array([2.0, 3.0])), [th, omega])
    assert omega_grad.item() == 2.0
    assert th_grad.item() == pytest.approx(-3 * g * np.cos(0.5))


def test_lists_nest_as_deep_as_they_are():
    t, v = leaf(3.0), leaf(1.0, 2.0)
    out = rg.array([[t[0], 2.0], [3, t[0]], v, (np.float64(5.0), v[1])])
    np.testing.assert_array_equal(out.data, [[3.0, 2.0], [3.0, 3.0], [1.0, 2.0], [5.0, 2.0]])
    np.sum(out * np.arange(8.0).reshape(4, 2)).backward()
    np.testing.assert_array_equal(t.grad, [3.0])
    np.testing.assert_array_equal(v.grad, [4.0, 12.0])
    assert rg.array([[[t]]]).shape == (1, 1, 1, 1)


def test_second_derivatives_and_compiled_functions_see_through_it():
    def f(x):
        return np.sum(rg.array([[x[0], 1.0], [x[1] * x[0], x[1]]]) ** 2)

    x = np.array([2.0, 3.0])
    expected = [[2 * (1 + 9.0), 4 * 6.0], [4 * 6.0, 2 * (1 + 4.0)]]
    np.testing.assert_allclose(rg.func.hessian(f)(x).data, expected)
    program = rg.compile(f)
    for value in (x, 2 * x):
        assert program(value).item() == pytest.approx(f(rg.Tensor(value)).item())


def test_dtypes_are_those_that_suit_all():
    single = rg.Tensor(np.ones(2, np.float32), requires_grad=True)
    assert rg.array([single[0], 2.0, 3]).dtype == np.float32
    assert rg.array([single, np.ones(2)]).dtype == np.float64
    assert rg.array([single, single], dtype=np.float64).dtype == np.float64
    assert rg.array([rg.Tensor([1]), [2]]).dtype.kind == "i"
    assert rg.array([1.0, 2.0]).dtype == np.float64


def test_what_holds_no_tensor_and_a_tensor_itself_are_copied():
    x, array = leaf(1.0), np.ones(2)
    made = rg.array(array)
    array[0] = 5.0
    np.testing.assert_array_equal(made.data, [1.0, 1.0])
    assert type(made) is rg.Tensor
    copy = rg.array(x)
    assert copy.requires_grad
    assert copy.data is not x.data


def test_lists_that_do_not_fit_say_where():
    v = leaf(1.0, 2.0)
    with pytest.raises(ValueError, match=r"rg\.array joins .* \[1\] holds \(\), \(2,\)"):
        rg.array([[v, v], [v, v[0]]])
    with pytest.raises(TypeError, match="numbers"):
        rg.array([v[0], "text"])


def test_numpy_says_to_write_it():
    t = leaf(1.0)
    for call in (
        lambda: np.array([t[0], 2.0]), lambda: np.stack([[t[0], 2.0], [3.0, t[0]]]),
        lambda: np.full(3, t[0]), lambda: np.ones(1).dot(t),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=r"rg\.array\(\[\.\.\.\]\).*np\.full.*a @ t"):
            call()
    with pytest.raises(TypeError, match=r"np\.broadcast_to\(t, shape\)"):
        np.full(3, t[0], dtype=float)


def test_functions_that_join_take_lists_of_tensors_and_their_own_default_of_casting():
    t, v = leaf(3.0)[0], leaf(1.0, 2.0)
    for fn in (np.concatenate, np.stack, np.vstack, np.hstack):
        out = fn([[t, 2.0], v], casting="same_kind")
        np.testing.assert_array_equal(out.data, fn([[3.0, 2.0], [1.0, 2.0]]))
        assert out.requires_grad
        with pytest.raises(TypeError, match=rf"np\.{fn.__name__} .*casting='unsafe'"):
            fn([v, v], casting="unsafe")
    np.testing.assert_array_equal(np.dstack([[t, 2.0], v]).data, [[[3.0, 1.0], [2.0, 2.0]]])
