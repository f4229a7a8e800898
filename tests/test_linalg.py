import numpy as np
import pytest

import retrograd as rg
from retrograd.linalg import solve_triangular
from retrograd.testing import gradcheck, gradgradcheck

RNG = np.random.default_rng(0)
A = RNG.normal(size=(2, 3, 3)) + 3.0 * np.eye(3)
B = RNG.normal(size=(2, 3, 4))


@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("lower", [False, True])
def test_it_solves_what_scipy_solves_in_batches(lower, unit):
    scipy = pytest.importorskip("scipy.linalg")
    got = solve_triangular(A, B, lower=lower, unit_diagonal=unit)
    want = [scipy.solve_triangular(a, b, lower=lower, unit_diagonal=unit)
            for a, b in zip(A, B, strict=True)]  # fmt: skip
    np.testing.assert_allclose(got, want, rtol=1e-12)
    vector = solve_triangular(A[0], B[0, :, 0], lower=lower, unit_diagonal=unit)
    np.testing.assert_allclose(vector, want[0][:, 0], rtol=1e-12)
    assert solve_triangular(A[0], B, lower=lower).shape == (2, 3, 4)


@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("lower", [False, True])
def test_its_gradients_are_right_and_stay_in_the_triangle(lower, unit):
    def solve(a, b):
        return solve_triangular(a, b, lower=lower, unit_diagonal=unit)

    gradcheck(solve, A, B, full=True)
    gradgradcheck(solve, A[0], B[0, :, 0])
    a = rg.Tensor(A, requires_grad=True)
    np.sum(solve(a, B) ** 2).backward()
    k = int(unit)
    other = np.triu(a.grad, 1 - k) if lower else np.tril(a.grad, k - 1)
    assert not other.any()


def test_what_has_no_solution_is_refused():
    with pytest.raises(np.linalg.LinAlgError, match="square"):
        solve_triangular(np.ones((2, 3)), np.ones(2))
    with pytest.raises(np.linalg.LinAlgError):
        solve_triangular(np.diag([1.0, 0.0]), np.ones(2))
