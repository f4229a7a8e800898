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
        with pytest.raises(TypeError, match=r"rg\.array\(\[\[.*\]\).*np\.full.*a @ t"):
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


def rows(t):
    return [[t[0], 2.0], [1.0, t[1] * 3.0]]


def ends(t):
    return [t[0], t[1] * 2.0]


TAKE_LISTS = {  # of a Tensor, a list and a list of lists that hold Tensors
    "operators": lambda t, v, m: (t + v) * v - m / t,
    "operators before": lambda t, v, m: v + m * t,
    "matmul": lambda t, v, m: v @ t + t @ m,
    "comparison": lambda t, v, m: np.where(t < v, v, 0.0),
    "where": lambda t, v, m: np.where([[True, False], [False, True]], m, t),
    "select": lambda t, v, m: np.select([t > 0.6], [v], v),
    "choose": lambda t, v, m: np.choose([0, 1], [t, v]),
    "maximum": lambda t, v, m: np.maximum(v, t),
    "arctan2": lambda t, v, m: np.arctan2(t, m),
    "divmod": lambda t, v, m: np.divmod(t, v)[1],
    "dot": lambda t, v, m: np.dot(t, v) + np.dot(m, t),
    "vdot": lambda t, v, m: np.vdot(v, t),
    "inner": lambda t, v, m: np.inner(v, t),
    "outer": lambda t, v, m: np.outer(t, v),
    "linalg.outer": lambda t, v, m: np.linalg.outer(v, t),
    "einsum": lambda t, v, m: np.einsum("ij,j->i", m, t),
    "convolve": lambda t, v, m: np.convolve(v, t) + np.correlate(t, v, "full"),
    "solve": lambda t, v, m: np.linalg.solve(m, t),
    "interp": lambda t, v, m: np.interp(v, [0.0, 1.0], t),
    "polynomials": lambda t, v, m: np.polyval(v, t) + np.polyadd(v, t) + np.polysub(t, v),
    "products of polynomials": lambda t, v, m: np.polymul(t, v),
    "gradient": lambda t, v, m: np.gradient(t, v),
    "average": lambda t, v, m: np.average(t, weights=v),
    "sets": lambda t, v, m: np.union1d(t, v) * np.union1d(v, t),
    "other sets": lambda t, v, m: np.concatenate([np.setdiff1d(v, t), np.setxor1d(v, t)]),
    "extract": lambda t, v, m: np.extract(t > 0.6, v),
    "joined": lambda t, v, m: np.stack([v, t]) + np.vstack([t, v]) + np.stack([m[1], t]),
    "joined lengthwise": lambda t, v, m: np.concatenate([v, t]) + np.hstack([t, v]),
    "joined as columns": lambda t, v, m: np.column_stack([v, t]) + np.dstack([t, v])[0],
}


@pytest.mark.parametrize("fn", TAKE_LISTS.values(), ids=TAKE_LISTS)
def test_lists_of_tensors_are_arrays_wherever_a_tensor_is_beside_them(fn):
    t = leaf(0.5, 0.7)
    of_lists, of_arrays = fn(t, ends(t), rows(t)), fn(t, rg.array(ends(t)), rg.array(rows(t)))
    np.testing.assert_array_equal(of_lists.data, of_arrays.data)
    weights = np.arange(1.0, 1.0 + of_lists.size).reshape(of_lists.shape)
    found = [rg.autograd.grad(np.sum(out * weights), t)[0].data for out in (of_lists, of_arrays)]
    np.testing.assert_allclose(*found, rtol=1e-14)


@pytest.mark.parametrize(
    "fn", [np.stack, np.concatenate, np.vstack, np.hstack, np.column_stack, np.dstack, np.array]
)
def test_lists_of_lists_alone_which_numpy_does_not_hand_over_are_refused_by_the_way(fn):
    t = leaf(0.5, 0.7)
    with pytest.raises(TypeError, match=r"rg\.array\(\[\[t, 1\.0\], \.\.\.\]\)"):
        fn(rows(t))
    np.testing.assert_array_equal(fn(rows(t.detach())), fn(rows(t.data)))


def test_a_list_in_a_function_without_a_gradient_is_computed_anew_in_a_compiled_function():
    @rg.compile
    def count(x):
        return np.isclose([x[0], x[1]], x + 0.5) + 2 * (x < [x[1], x[0]])

    for value in ([0.5, 2.5], [2.5, 0.5], [3.5, 1.5], [1.5, 1.5], [0.5, 0.5]):
        x = np.array(value)
        expected = np.isclose(x, x + 0.5) + 2 * (x < x[::-1])
        np.testing.assert_array_equal(count(x).data, expected)
