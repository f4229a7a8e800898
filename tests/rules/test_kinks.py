"""What a gradient is where there is no derivative, as `help(rg.rules)` tells."""

import gc

import numpy as np
import pytest

import retrograd as rg
from retrograd.engine.backward import LIMITS


def leaf(value):
    array = np.asarray(value)
    return rg.Tensor(array.astype(np.result_type(array, float)), requires_grad=True)


def gradients(fn, *values):
    leaves = [*map(leaf, values)]
    out = fn(*leaves)
    grads = rg.autograd.grad(out, leaves, np.ones(out.shape), allow_unused=True)
    return [None if g is None else g.data.tolist() for g in grads]


@pytest.mark.parametrize("fn", [np.maximum, np.minimum, np.fmax, np.fmin])
def test_a_tie_of_two_arguments_is_halved(fn):
    assert gradients(fn, 2.0, 2.0) == [0.5, 0.5]


def test_the_maximum_without_nan_ignores_it():
    assert gradients(np.fmax, [np.nan, 1.0, 2.0], [3.0, np.nan, 1.0]) == [[0, 1, 1], [1, 0, 0]]


@pytest.mark.parametrize("fn", [np.max, np.min, np.amax, np.amin])
def test_ties_along_an_axis_share_equally(fn):
    assert gradients(fn, [1.0, 1.0, 1.0, 1.0]) == [[0.25] * 4]


@pytest.mark.parametrize("fn", [np.nanmax, np.nanmin, np.linalg.norm])
def test_ties_are_shared_without_nan_and_in_norms(fn):
    options = {"ord": np.inf} if fn is np.linalg.norm else {}
    assert gradients(lambda x: fn(x, **options), [1.0, 1.0]) == [[0.5, 0.5]]


@pytest.mark.parametrize("fn", [np.maximum, np.minimum, np.fmax, np.fmin])
def test_ties_of_a_running_extreme_are_shared_by_those_that_attain_it(fn):
    for i in range(1, 5):
        ((*shares, rest),) = gradients(lambda x, n=i: fn.accumulate(x)[n - 1], np.ones(5))
        assert sum(shares) == 1.0
        assert all(share > 0 for share in shares[:i])
        assert shares[i:] == [0.0] * (4 - i)
        assert rest == 0.0


def test_a_range_of_equal_values_has_no_gradient():
    assert gradients(np.ptp, [1.0, 1.0]) == [[0.0, 0.0]]


@pytest.mark.parametrize("fn", [np.abs, np.fabs, np.sign, np.linalg.norm, np.square, np.sinc])
def test_the_slope_at_0_is_0(fn):
    x = rg.Tensor(np.zeros(2), requires_grad=True)
    out = np.sum(fn(x)) + np.sum(0 * x)
    out.backward()
    assert x.grad.tolist() == [0.0, 0.0]


def test_the_slope_of_a_sign_that_is_copied_onto_0_is_0():
    assert gradients(lambda x: np.copysign(x, -1.0), 0.0) == [0.0]
    assert gradients(rg.nn.functional.relu, 0.0) == [0.0]


def test_the_angle_of_the_origin_has_no_gradient_but_nan():
    with np.errstate(invalid="ignore"):
        assert np.isnan(gradients(np.arctan2, 0.0, 0.0)).all()


def test_norms_of_zeros_by_singular_values_have_the_gradient_of_these():
    for order in ("nuc", 2, -2):
        (found,) = gradients(lambda x, n=order: np.linalg.norm(x, n), np.zeros((2, 2)))
        np.testing.assert_allclose(found, np.eye(2) if order == "nuc" else np.eye(2) / 2)


def test_hypot_at_the_origin_has_slope_0():
    assert gradients(np.hypot, 0.0, 0.0) == [0.0, 0.0]


@pytest.mark.parametrize("fn", [np.sqrt, np.cbrt])
def test_the_slope_of_a_root_at_0_is_infinite(fn):
    with np.errstate(divide="ignore"):
        assert gradients(fn, 0.0) == [np.inf]


def test_a_deviation_of_equal_values_has_no_gradient():
    assert gradients(np.std, [2.0, 2.0]) == [[0.0, 0.0]]
    assert gradients(lambda x: np.std(x, where=[True, True]), [2.0, 2.0]) == [[0.0, 0.0]]


@pytest.mark.parametrize("order", [None, 1, 2, 3, np.inf, "fro"])
def test_the_norm_of_zeros_has_no_gradient(order):
    axis = (0, 1) if order == "fro" else 0
    found = gradients(lambda x: np.linalg.norm(x, ord=order, axis=axis), np.zeros((2, 1)))
    assert found == [[[0.0], [0.0]]]


def test_a_power_0_has_no_gradient_to_the_base():
    assert gradients(np.power, [0.0, 2.0], [0.0, 0.0])[0] == [0.0, 0.0]
    x = rg.Tensor(0.0, requires_grad=True)
    (x**0).backward()
    assert x.grad == 0.0


def test_the_mixed_second_derivative_of_a_power_at_exponent_0():
    x, y = (rg.Tensor(v, requires_grad=True) for v in (2.0, 0.0))
    (dx,) = rg.autograd.grad(np.power(x, y), x, create_graph=True)
    (dxdy,) = rg.autograd.grad(dx, y)
    assert dxdy.item() == pytest.approx(0.5)


def test_a_power_of_0_has_no_gradient_to_the_exponent():
    assert gradients(np.power, [0.0, 0.0], [2.0, 0.0])[1] == [0.0, 0.0]
    assert gradients(lambda y: 0.0**y, [2.0, 0.0]) == [[0.0, 0.0]]


@pytest.mark.parametrize("fn", [
    np.sign, np.floor, np.round, np.argmax, np.argsort, lambda x: x > 0,
    lambda x: np.heaviside(x.detach(), 0.5),
])  # fmt: skip
def test_steps_have_no_gradient(fn):
    assert not fn(rg.Tensor([0.0, 0.0], requires_grad=True)).requires_grad


def test_a_step_has_no_gradient_to_its_place_but_to_its_height():
    assert gradients(np.heaviside, 0.0, 0.5) == [None, 1.0]


def test_at_a_jump_the_slope_is_that_of_the_pieces_beside_it():
    for fn in (np.remainder, np.fmod):
        assert gradients(fn, 2.0, 1.0) == [1.0, -2.0]
    assert gradients(lambda x: np.modf(x)[0], 2.0) == [1.0]
    assert gradients(np.unwrap, [0.0, np.pi]) == [[1.0, 1.0]]


@pytest.mark.parametrize(("x", "slope"), [(0.0, 1.0), (1.0, 4.0), (2.0, 4.0)])
def test_at_a_point_of_a_broken_line_the_slope_is_that_to_its_right(x, slope):
    assert gradients(lambda x: np.interp(x, [0.0, 1.0, 2.0], [0.0, 1.0, 5.0]), x) == [slope]


def test_within_bounds_includes_the_bounds():
    assert gradients(lambda x: np.clip(x, 0.0, 1.0), [-1.0, 0.0, 0.5, 1.0, 2.0]) == [
        [0.0, 1.0, 1.0, 1.0, 0.0]
    ]


def test_crossed_bounds_give_the_upper_one():
    assert gradients(np.clip, 0.0, 2.0, 1.0) == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("fn", [np.sort, lambda x: x[np.argsort(x)], np.partition])
def test_equal_elements_sort_by_position(fn):
    args = ([0, 1],) if fn is np.partition else ()
    x = rg.Tensor([1.0, 1.0], requires_grad=True)
    np.sum(fn(x, *args) * np.array([1.0, 10.0])).backward()
    assert sorted(x.grad.tolist()) == [1.0, 10.0]


def test_the_median_of_an_even_number_is_shared_by_the_two_in_the_middle():
    assert gradients(np.median, [4.0, 1.0, 2.0, 3.0]) == [[0.0, 0.0, 0.5, 0.5]]


def test_of_equal_values_the_first_is_unique():
    assert gradients(np.unique, [2.0, 1.0, 2.0]) == [[1.0, 1.0, 0.0]]


def test_of_equal_values_in_sets_the_first_has_the_gradient():
    assert gradients(lambda x: np.union1d(x, [2.0]), [2.0, 2.0]) == [[1.0, 0.0]]
    assert gradients(lambda x: np.intersect1d(x, [2.0]), [2.0, 2.0]) == [[1.0, 0.0]]


def test_a_product_has_exact_derivatives_at_zeros():
    assert gradients(np.prod, [0.0, 2.0, 3.0]) == [[6.0, 0.0, 0.0]]
    assert gradients(np.cumprod, [2.0, 0.0, 3.0]) == [[1.0, 8.0, 0.0]]
    assert gradients(np.prod, [0.0, 0.0, 3.0]) == [[0.0, 0.0, 0.0]]


def test_nan_is_left_out_with_gradient_0():
    assert gradients(np.nansum, [1.0, np.nan]) == [[1.0, 0.0]]
    assert gradients(np.nanmax, [1.0, np.nan, 3.0]) == [[0.0, 0.0, 1.0]]
    assert gradients(np.nanvar, [1.0, np.nan, 3.0]) == [[-1.0, 0.0, 1.0]]
    assert gradients(np.nan_to_num, [1.0, np.nan, np.inf]) == [[1.0, 0.0, 0.0]]


def test_at_equal_eigenvalues_the_eigenvalues_still_have_gradients():
    weights = np.array([1.0, 1.0])
    found = gradients(lambda a: np.sum(np.linalg.eigvalsh(a) * weights), np.eye(2))
    np.testing.assert_allclose(found, [np.eye(2)])


@pytest.mark.parametrize("vectors", [
    lambda a: np.linalg.eigh(a)[1], lambda a: np.linalg.eig(a)[1], lambda a: np.linalg.svd(a)[0],
])  # fmt: skip
def test_vectors_of_equal_values_have_no_gradient_but_nan(vectors):
    weights = np.arange(4.0).reshape((2, 2))
    ((found),) = gradients(lambda a: np.sum(vectors(a) * weights), np.eye(2))
    assert np.any(np.isnan(found))


C = np.array([[0.3, 1.2, -0.4], [0.7, -0.2, 0.9], [0.1, 0.5, 0.6]])
EQUAL = [np.eye(3), np.diag([1.0, 1.0, 2.0]), np.diag([1.0, 2.0, 2.0])]


def polar(a):
    u, _, vh = np.linalg.svd(a, full_matrices=False)
    return u @ vh


def projection(a, k):
    _, v = np.linalg.eigh(a)
    return v[:, :k] @ v[:, :k].T


def slopes(fn, a):
    h, found = 1e-4, np.zeros(a.shape)
    for at in np.ndindex(a.shape):
        unit = np.zeros(a.shape)
        unit[at] = h
        found[at] = (np.sum(fn(a + unit)) - np.sum(fn(a - unit))) / (2 * h)
    return found


@pytest.mark.parametrize("a", [*EQUAL, np.eye(3)[:, :2], np.eye(3)[:2]], ids=str)
@pytest.mark.parametrize("wrap", [lambda fn: fn, rg.compile], ids=["eager", "compiled"])
def test_the_polar_factor_of_equal_singular_values_has_its_gradient(a, wrap):
    weights = C[: a.shape[0], : a.shape[1]]

    def loss(a):
        return np.sum(polar(a) * weights)

    found = wrap(rg.func.grad(loss))(a).data
    np.testing.assert_allclose(found, slopes(loss, a), atol=1e-7)
    if a is EQUAL[0]:
        np.testing.assert_allclose(found, (C - C.T) / 2, atol=1e-12)


@pytest.mark.parametrize("a", EQUAL, ids=str)
@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_a_projection_on_vectors_of_equal_values_is_right_or_nan(a, k):
    w = np.diag(a)
    ((found),) = gradients(lambda a: np.sum(projection(a, k) * C), a)
    if 0 < k < 3 and w[k - 1] == w[k]:
        assert np.all(np.isnan(np.diag(found)))
    else:
        right = slopes(lambda a: projection(np.tril(a) + np.tril(a, -1).T, k) * C, a)
        np.testing.assert_allclose(found, right, atol=1e-7)


ROTATION, _ = np.linalg.qr(C)
TURNED = ROTATION @ np.diag([1.0, 1.0, 3.0]) @ ROTATION.T


def whole_of(a):
    """The symmetric matrix of which NumPy reads the lower triangle."""
    return np.tril(a) + np.tril(a, -1).T


def of_eigenvalues(f):
    def fn(a):
        w, v = np.linalg.eigh(a)
        return np.sum((v * f(w)) @ v.T * C)

    return fn


def of_singular_values(f):
    def fn(a):
        u, s, vh = np.linalg.svd(a, full_matrices=False)
        return np.sum((u * f(s)) @ vh * C[: a.shape[0], : a.shape[1]])

    return fn


def polar_and_values(a):
    u, s, vh = np.linalg.svd(a)
    return np.sum(s**3) + np.sum(u @ vh * C)


EAGER_AND_COMPILED = pytest.mark.parametrize(
    "wrap", [lambda fn: fn, rg.compile], ids=["eager", "compiled"]
)


@pytest.mark.parametrize("a", [*EQUAL, TURNED], ids=str)
@pytest.mark.parametrize("f", [np.sqrt, np.log, np.exp, np.reciprocal, np.positive, np.square])
@EAGER_AND_COMPILED
def test_a_function_of_a_matrix_with_equal_eigenvalues_has_its_gradient(a, f, wrap):
    loss = of_eigenvalues(f)
    right = slopes(lambda a: loss(whole_of(a)), a)
    np.testing.assert_allclose(wrap(rg.func.grad(loss))(a).data, right, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("a", [*EQUAL, TURNED, np.eye(3)[:, :2], np.eye(3)[:2],
                               np.outer([1.0, 2.0, 3.0], [1.0, 1.0]), np.diag([1.0, 0.0, 0.0]),
                               np.ones((2, 3))], ids=str)  # fmt: skip
@pytest.mark.parametrize("f", [np.positive, np.sin, lambda s: s**3], ids=["same", "sin", "cube"])
@EAGER_AND_COMPILED
def test_an_odd_function_of_equal_singular_values_or_of_0_has_its_gradient(a, f, wrap):
    loss = of_singular_values(f)
    found = wrap(rg.func.grad(loss))(a).data
    np.testing.assert_allclose(found, slopes(loss, a), atol=1e-6)


@EAGER_AND_COMPILED
def test_an_even_function_of_the_singular_value_0_is_nan(wrap):
    a = np.diag([1.0, 0.0, 0.0])
    assert np.any(np.isnan(wrap(rg.func.grad(of_singular_values(np.cos)))(a).data))
    a = np.eye(3)
    found = wrap(rg.func.grad(polar_and_values))(a).data
    np.testing.assert_allclose(found, slopes(polar_and_values, a), atol=1e-6)


def test_the_limit_is_that_of_backward_and_of_stacks_too():
    stack = np.stack([*EQUAL, np.diag([1.0, 2.0, 3.0])])

    def loss(a):
        w, v = np.linalg.eigh(a)
        return np.sum((v * np.sqrt(w)[:, None, :]) @ np.swapaxes(v, -1, -2) * C)

    right = [slopes(lambda a: of_eigenvalues(np.sqrt)(whole_of(a)), a) for a in stack]
    x = rg.Tensor(stack, requires_grad=True)
    loss(x).backward()
    np.testing.assert_allclose(x.grad, right, atol=1e-6)
    loss(x).backward()
    np.testing.assert_allclose(x.grad, 2 * np.array(right), atol=1e-6)


def test_functions_of_eigenvalues_that_need_no_symmetry_have_the_limit():
    def loss(a):
        w, v = np.linalg.eig(a)
        return np.sum((v * np.exp(w)) @ np.linalg.inv(v) * C)

    found = rg.func.grad(loss)(np.eye(3)).data
    np.testing.assert_allclose(found, np.e * C, atol=1e-12)


@pytest.mark.parametrize("loss", [of_eigenvalues(np.sqrt), polar_and_values])
def test_a_program_is_right_at_equal_values_wherever_it_was_recorded(loss):
    points = [np.diag([1.0, 2.0, 3.0]), np.eye(3), np.diag([1.0, 1.0, 2.0])]
    right = [slopes(lambda a: loss(whole_of(a)), a) for a in points]
    if loss is polar_and_values:
        right = [slopes(loss, a) for a in points]
    for order in ([0, 1, 2, 0], [1, 0, 2, 1]):
        step = rg.compile(rg.func.grad(loss))
        for i in order:
            np.testing.assert_allclose(step(points[i]).data, right[i], atol=1e-6)


def test_limits_are_forgotten_with_their_graph():
    x = rg.Tensor(np.eye(3), requires_grad=True)
    gc.collect()
    before = {*LIMITS}
    out = of_eigenvalues(np.sqrt)(x)
    assert len({*LIMITS} - before) == 1
    rg.autograd.grad(out, x)
    del out
    gc.collect()
    assert not {*LIMITS} - before


def test_other_graphs_are_walked_as_ever_while_one_has_limits():
    held = of_eigenvalues(np.sqrt)(rg.Tensor(np.eye(3), requires_grad=True))

    class Twice(rg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        @rg.autograd.once_differentiable
        def backward(ctx, g):
            assert isinstance(g, np.ndarray)
            return 2 * g

    x = rg.Tensor([1.0, 2.0], requires_grad=True)
    np.sum(Twice.apply(x)).backward()
    assert x.grad.tolist() == [2.0, 2.0]
    assert held.requires_grad


def test_the_second_derivative_at_equal_eigenvalues_is_right_or_nan():
    # of a function of a 2 x 2 matrix: the square, whose second derivatives are constant
    found = hessian(of_square, np.eye(2))
    right_or_nan(found, hessian(of_square, np.diag([1.0, 2.0])))


def of_square(a):
    w, v = np.linalg.eigh(a)
    return np.sum((v * w**2) @ v.T * C[:2, :2])


def test_values_that_rounding_alone_parts_count_as_equal():
    turn, _ = np.linalg.qr(C)
    a = turn @ np.diag([1.0, 1.0, 3.0]) @ turn.T
    ((found),) = gradients(lambda a: np.sum(projection(a, 1) * C), a)
    assert np.all(np.isnan(np.diag(found)))
    right = slopes(lambda a: projection(np.tril(a) + np.tril(a, -1).T, 2) * C, a)
    (found,) = gradients(lambda a: np.sum(projection(a, 2) * C), a)
    np.testing.assert_allclose(found, right, atol=1e-7)


def test_the_second_derivative_of_a_function_of_equal_values_is_right_or_nan():
    square = hessian(lambda a: np.sum(np.linalg.eigvalsh(a) ** 2), np.eye(2))
    right_or_nan(square, np.diag([2.0, 0.0, 4.0, 2.0]))
    nuclear = hessian(lambda a: np.linalg.norm(a, "nuc"), np.eye(2))
    right = np.array([[0, 0, 0, 0], [0, 0.5, -0.5, 0], [0, -0.5, 0.5, 0], [0, 0, 0, 0]])
    right_or_nan(nuclear, right)


def test_a_singular_matrix_has_the_pseudo_inverse_of_constant_rank():
    for fn in (np.linalg.pinv, lambda a: np.linalg.lstsq(a, np.ones(2))[0]):
        (found,) = gradients(lambda a, f=fn: np.sum(f(a)), np.ones((2, 2)))
        # of a * ones the pseudo-inverse is ones / (4 a)
        np.testing.assert_allclose(np.sum(found), -1.0)


def test_a_symmetric_matrix_has_its_gradient_in_the_triangle_that_numpy_reads():
    a = np.array([[2.0, 0.5], [0.5, 1.0]])
    lower = gradients(lambda a: np.sum(np.linalg.cholesky(a)), a)[0]
    assert lower[0][1] == 0.0
    upper = gradients(lambda a: np.sum(np.linalg.eigvalsh(a, "U") * np.array([1.0, 0.0])), a)[0]
    assert upper[1][0] == 0.0


@pytest.mark.parametrize("fn", [
    np.linalg.det, lambda a: np.linalg.slogdet(a)[1], np.linalg.inv,
    lambda a: np.linalg.solve(a, np.ones(2)),
])  # fmt: skip
def test_a_singular_matrix_raises(fn):
    with pytest.raises(np.linalg.LinAlgError):
        gradients(fn, np.zeros((2, 2)))


def test_a_correlation_is_not_clipped():
    (found,) = gradients(lambda x: np.corrcoef(x)[0, 1], [[1.0, 2.0, 4.0], [2.0, 4.0, 8.0]])
    np.testing.assert_allclose(found, np.zeros((2, 3)), atol=1e-15)


def test_complex_vectors_have_no_gradient_where_it_turns_them():
    """LAPACK chooses a factor of length 1: what does not depend on that has a gradient."""
    a = np.array([[1.0, 2j, 0.5], [0.3, -1.0, 1j], [0.2, 1.0, 3.0]])
    hermitian = lambda a: a + np.conjugate(a.T)  # noqa: E731
    for vectors in (
        lambda a: np.linalg.eigh(hermitian(a))[1], lambda a: np.linalg.eig(a)[1],
        lambda a: np.linalg.svd(a)[0], lambda a: np.linalg.svd(a)[2],
    ):  # fmt: skip
        assert np.isnan(gradients(lambda a, v=vectors: np.sum(np.imag(v(a))), a)).any()
        assert np.isfinite(gradients(lambda a, v=vectors: np.sum(np.abs(v(a)) ** 4), a)).all()


def test_a_quantile_at_the_ends_has_no_slope_beyond_them():
    x = np.array([1.0, 2.0, 5.0])
    slope = rg.func.grad(lambda q, **kind: np.quantile(x, q, **kind))
    assert [slope(q).item() for q in (0.0, 0.25, 0.5, 1.0)] == [2.0, 2.0, 6.0, 0.0]
    assert slope(0.1, method="weibull").item() == 0.0
    assert slope(0.3, method="nearest").item() == 0.0


def test_parts_of_a_number_that_is_not_finite_are_replaced_one_by_one():
    x = np.array([complex(np.nan, 1.0), complex(2.0, np.inf), 3 + 4j])
    (found,) = gradients(lambda x: np.sum(np.nan_to_num(x) * (1 - 1j)).real, x)
    np.testing.assert_array_equal(found, [1j, 1.0, 1 + 1j])


def test_the_size_of_a_complex_0_has_the_gradient_0_and_its_sign_and_angle_nan():
    assert gradients(np.abs, 0j) == [0.0]
    with np.errstate(invalid="ignore"):
        assert np.isnan(gradients(lambda z: np.sign(z).real, 0j)).all()
        assert np.isnan(gradients(np.angle, 0j)).all()


@pytest.mark.parametrize(("fn", "at", "along"), [
    (np.arcsin, 2, 1), (np.arcsin, -2, 1), (np.arccos, 2, 1), (np.arccos, -2, 1),
    (np.arccosh, -2, 1), (np.arccosh, 0.5, 1), (np.arcsinh, 2j, 1j), (np.arctan, 2j, 1j),
    (np.arctanh, 2, 1), (np.sqrt, -2, 1), (np.log, -2, 1), (np.log1p, -3, 1),
    (lambda z: z**1.5, -2, 1), (lambda z: np.power(z, 1.5 + 1j), -2, 1),
    (lambda z: np.power(z.real, 1.5 + 1j), -2, 1), (lambda z: (-2) ** z, 0.5, 1),
    (lambda z: np.emath.power(z.real, 0.5), -2, 1), (lambda z: np.emath.arccos(z.real), 2, 1),
    (lambda z: np.emath.log(z.real), -2, 1), (lambda z: np.emath.arcsin(z.real), -2, 1),
], ids=lambda value: getattr(value, "__name__", str(value)))  # fmt: skip
def test_on_a_branch_cut_the_gradient_is_that_of_the_side_that_numpy_is_on(fn, at, along):
    at, step = np.array(complex(at)), 1e-6 * along
    expected = (fn(at + step) - fn(at - step)) / 2e-6
    real, imag = (gradients(part, at)[0] for part in (lambda z: fn(z).real, lambda z: fn(z).imag))
    found = [np.real(np.conjugate(g) * along) for g in (real, imag)]
    np.testing.assert_allclose(found, [expected.real, expected.imag], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("call", [
    lambda a: np.linalg.svd(a), lambda a: np.linalg.qr(a, "complete"),
    lambda a: np.linalg.qr(a, "raw"),
    lambda a: np.sum(a, out=np.zeros(())), lambda a: np.mean(a, 0, None, np.zeros(2)),
    lambda a: np.add.reduce(a, out=np.zeros(2)), lambda a: np.add.at(a, 0, 1.0),
    lambda a: np.arctan2.reduce(a), lambda a: np.pad(a, 1, "empty"),
    lambda a: np.pad(a, 1, lambda *args: None),
    lambda a: np.sin(a, where=np.ones(2, bool)), lambda a: np.trim_zeros(a),
    lambda a: np.repeat(np.ones(3), a[0]), lambda a: np.polyfit(a[0], a[1], 1, full=True),
    lambda a: np.histogram(a, "auto"), lambda a: np.reshape(a, -1, "F"),
    lambda a: np.array([a, a]), lambda a: np.sum([a, a]), lambda a: np.full(3, a[0, 0]),
])  # fmt: skip
def test_what_would_lose_a_gradient_raises(call):
    with pytest.raises(TypeError):
        call(rg.Tensor(np.arange(6.0).reshape((3, 2)), requires_grad=True))


# To second order: right, nan or an error, but never a number that is finite and wrong


def hessian(fn, *values):
    leaves = [*map(leaf, values)]
    with np.errstate(all="ignore"):
        first = rg.autograd.grad(fn(*leaves), leaves, create_graph=True, allow_unused=True)
        pairs = zip(first, leaves, strict=True)
        first = [rg.Tensor(np.zeros(x.shape)) if g is None else g for g, x in pairs]
        rows = []
        for g in first:
            for part in np.reshape(g, -1):
                if not part.requires_grad:
                    rows.append(np.zeros(sum(x.size for x in leaves)))
                    continue
                row = rg.autograd.grad(part, leaves, retain_graph=True, allow_unused=True)
                rows.append(np.concatenate([
                    np.zeros(x.size) if r is None else r.data.ravel()
                    for r, x in zip(row, leaves, strict=True)
                ]))  # fmt: skip
    return np.array(rows)


def right_or_nan(found, right):
    bad = ~np.isnan(found) & ~np.isclose(found, right)
    assert not np.any(bad), found


ZEROS, OPPOSED = np.zeros((2, 2)), np.array([[1.0, -1.0], [-1.0, 1.0]])
SMOOTH_ALTHOUGH_MADE_OF_KINKS = [
    (lambda x: np.linalg.norm(x) ** 2, np.zeros(2), 2 * np.eye(2)),
    (lambda x: np.linalg.norm(x, 2, axis=0) ** 2, np.zeros(2), 2 * np.eye(2)),
    (lambda x: np.linalg.norm(x) ** 2, ZEROS, 2 * np.eye(4)),
    (lambda x: np.linalg.norm(x, "fro") ** 2, ZEROS, 2 * np.eye(4)),
    (lambda x: np.linalg.matrix_norm(x) ** 2, ZEROS, 2 * np.eye(4)),
    (lambda x: np.linalg.vector_norm(x) ** 2, ZEROS, 2 * np.eye(4)),
    (lambda x: np.sum(np.hypot(x[0], x[1]) ** 2), np.zeros(2), 2 * np.eye(2)),
    (lambda x: np.sum(np.hypot(x, 0.0) ** 2), np.zeros(2), 2 * np.eye(2)),
    (lambda x: np.std(x) ** 2, np.ones(2), np.array([[0.5, -0.5], [-0.5, 0.5]])),
    (lambda x: np.nanstd(x) ** 2, np.ones(2), np.array([[0.5, -0.5], [-0.5, 0.5]])),
    (lambda x: np.std(x, where=[True, True]) ** 2, np.ones(2),
     np.array([[0.5, -0.5], [-0.5, 0.5]])),
    (lambda x: np.sum(np.abs(x) ** 2), np.zeros(2), 2 * np.eye(2)),
    (lambda x: np.sum(np.abs(x) * np.abs(x)), np.zeros(2), 2 * np.eye(2)),
    (lambda x: np.sum(np.fabs(x) ** 2), np.zeros(2), 2 * np.eye(2)),
    (lambda x: np.sum(np.copysign(x, -1.0) ** 2), np.zeros(2), 2 * np.eye(2)),
    (lambda x: np.linalg.norm(x, 1) ** 2, np.zeros(1), 2 * np.eye(1)),
    (lambda x: np.linalg.norm(x, np.inf) ** 2, np.zeros(1), 2 * np.eye(1)),
    (lambda x: np.linalg.norm(x, 3) ** 2, np.zeros(1), 2 * np.eye(1)),
    (lambda x: np.linalg.norm(x, 0.5) ** 2, np.zeros(1), 2 * np.eye(1)),
    (lambda x: np.linalg.norm(x, 1.5) ** 1.5, np.zeros(1), np.full((1, 1), np.inf)),
    (lambda x: np.linalg.norm(x, 3) ** 3, np.array([0.0, 1.0]), np.diag([0.0, 6.0])),
    (lambda x: np.sum(np.maximum(x, -x) ** 2), np.zeros(2), 2 * np.eye(2)),
    (lambda x: np.sum(np.minimum(x, -x) ** 2), np.zeros(2), 2 * np.eye(2)),
    (lambda x: np.sum(np.fmax(x, -x) ** 2), np.zeros(2), 2 * np.eye(2)),
    (lambda x: np.sum(np.maximum(x, 1.0) ** 2 + np.minimum(1.0, x) ** 2), np.ones(2),
     2 * np.eye(2)),
    (lambda x: np.ptp(x) ** 2, np.ones(2), 2 * OPPOSED),
    (lambda x: np.max(x) * np.min(x), np.ones(2), np.eye(2)[::-1]),
    (lambda x: np.sum(np.max(x, axis=0) ** 2 + np.min(x, axis=0, keepdims=True) ** 2),
     np.ones((2, 1)), 2 * np.eye(2)),
    (lambda x: np.amax(x) ** 2 + np.nanmin(x) ** 2, np.ones(2), 2 * np.eye(2)),
    (lambda x: np.max(x, initial=0.0) ** 2 + x.min() ** 2, np.ones(2), 2 * np.eye(2)),
    (lambda x: np.linalg.norm(x, np.inf) ** 2 + np.linalg.norm(x, -np.inf) ** 2, np.ones(2),
     2 * np.eye(2)),
    (lambda x: np.maximum.accumulate(x)[1] ** 2 + x.min() ** 2, np.ones(2), 2 * np.eye(2)),
    (lambda x: np.maximum.reduce(x) ** 2 + np.fmin.reduce(x) ** 2, np.ones(2), 2 * np.eye(2)),
    (lambda x: np.sum(np.sqrt(x) ** 4), np.zeros(2), 2 * np.eye(2)),
    (lambda x: np.sum(np.cbrt(x) ** 6), np.zeros(2), 2 * np.eye(2)),
    (lambda x: np.sum(x ** 2.0), np.zeros(2), 2 * np.eye(2)),
]  # fmt: skip


@pytest.mark.parametrize(("fn", "point", "right"), SMOOTH_ALTHOUGH_MADE_OF_KINKS)
def test_what_is_smooth_at_a_kink_of_its_parts_has_no_wrong_second_derivative(fn, point, right):
    right_or_nan(hessian(fn, point), right)


def test_the_mixed_second_derivative_of_a_power_of_0_is_right_or_nan():
    # of x ** y at x = 0: -inf at y = 1, 0 at y = 2
    for y, right in ((1.0, -np.inf), (2.0, 0.0)):
        found = hessian(np.power, 0.0, y)
        right_or_nan(found, np.array([[2.0 * (y == 2), right], [right, 0.0]]))


def test_a_size_that_a_condition_leaves_out_has_right_second_derivatives():
    def huber(x):
        size = np.abs(x)
        return np.sum(np.where(size < 1.0, 0.5 * x * x, size - 0.5))

    np.testing.assert_allclose(hessian(huber, [0.0, 0.5, 2.0]), np.diag([1.0, 1.0, 0.0]))
    np.testing.assert_allclose(hessian(lambda x: np.sum(np.abs(x)), [0.0, 1.0]), ZEROS)
    relu_squared = hessian(lambda x: np.sum(np.maximum(x, 0.0) ** 2), [0.0, -1.0, 1.0])
    np.testing.assert_array_equal(np.diag(relu_squared), [np.nan, 0.0, 2.0])
    relu_squared = hessian(lambda x: np.sum(rg.nn.functional.relu(x) ** 2), [0.0, -1.0, 1.0])
    np.testing.assert_allclose(relu_squared, np.diag([0.0, 0.0, 2.0]))


@pytest.mark.parametrize("fn", [np.abs, np.max, np.ptp, lambda x: np.maximum(x, 1.0)])
def test_where_gradients_do_not_vary_the_second_derivative_is_that_of_the_pieces(fn):
    x = np.zeros(2) if fn is np.abs else np.ones(2)
    np.testing.assert_array_equal(hessian(lambda x: np.sum(3.0 * fn(x)), x), ZEROS)


@pytest.mark.parametrize("fn", [np.abs, np.copysign, np.maximum, np.max, np.min, np.fmin])
def test_first_derivatives_at_kinks_are_the_same_whichever_way_they_are_taken(fn):
    def call(x):
        return fn(x, x[::-1] + 1e-300) if isinstance(fn, np.ufunc) and fn.nin == 2 else fn(x)

    def wide(x):  # of which the Jacobian is taken forward
        return np.broadcast_to(call(x), (9, 2))

    x, v = np.zeros(2), np.array([1.0, 2.0])
    backward = np.broadcast_to(rg.func.jacobian(call)(x).data, (9, 2, 2))
    assert np.all(np.isfinite(backward))
    np.testing.assert_array_equal(rg.func.jacobian(wide)(x).data, backward)
    np.testing.assert_array_equal(rg.func.jvp(wide, (x,), (v,))[1].data, backward @ v)


def test_second_derivatives_at_kinks_are_right_or_nan_whichever_way_they_are_taken():
    def f(x):
        return np.sum(np.abs(x) ** 2)

    x, v = np.array([0.0, 1.0]), np.ones(2)
    along = [
        rg.func.hvp(f, (x,), (v,))[0], rg.func.jvp(rg.func.grad(f), (x,), (v,))[1],
        rg.func.grad(lambda x: rg.func.jvp(f, (x,), (v,))[1])(x),
        rg.func.jacobian(rg.func.grad(f))(x) @ v,
    ]  # fmt: skip
    for found in along:
        right_or_nan(found.data, [2.0, 2.0])


@pytest.mark.parametrize("order", [-2, -1, -0.5, 0.5, 1, 1.5, 2, 3, 2.5, np.inf, -np.inf])
def test_the_norm_of_any_order_has_a_finite_gradient_where_elements_are_0(order):
    for x in ([0.0, 0.0], [0.0, 2.0], [3.0, 0.0]):
        (found,) = gradients(lambda x: np.linalg.norm(x, order), x)
        assert np.all(np.isfinite(found)), found
        if not np.any(x):
            np.testing.assert_allclose(found, 0.0)


def test_a_sum_of_powers_of_minus_infinity_has_gradient_0():
    for fn in (np.logaddexp, np.logaddexp2):
        assert gradients(fn, -np.inf, -np.inf) == [0.0, 0.0]
        assert gradients(fn, -np.inf, 1.0) == [0.0, 1.0]
        assert gradients(fn, 1.0, np.inf) == [0.0, 1.0]
        assert not np.any(hessian(fn, -np.inf, -np.inf))
    logsumexp = rg.special.logsumexp
    assert gradients(logsumexp, [-np.inf, -np.inf]) == [[0.0, 0.0]]
    assert gradients(logsumexp, [1.0, np.inf]) == [[0.0, 1.0]]


def test_the_recorded_gradient_of_a_size_can_be_differentiated():
    x = rg.Tensor([3.0, 0.0, -4.0], requires_grad=True)
    (slope,) = rg.autograd.grad(np.sum(np.abs(x)), x, create_graph=True)
    np.sum(slope**2).backward()
    assert x.grad is None or x.grad.tolist() == [0.0, 0.0, 0.0]
