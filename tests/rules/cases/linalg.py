"""Calls of `np.linalg`: stacks of matrices that are far from singular ones."""

import numpy as np

from rules.checking import Array, distinct, scattered
from rules.drawing import call, case, check_as

STACKS = ((), (2,), (0,), (2, 1))


def regular(rng, shape, offset=0.37):
    """Matrices far from singular ones, with eigenvalues that are real and apart.

    They are not symmetric: of those that should be, NumPy reads a triangle only.
    """
    n, m = shape[-2:]
    return rng.uniform(0.1, 0.3, shape) + np.eye(n, m) * (1.0 + 2 * np.arange(m))


# Order and signs of eigenvectors are LAPACK's choice and may change with the last digit.


def ordered_eigh(a, UPLO="L"):
    w, v = np.linalg.eigh(a, UPLO)
    return w, v * np.sign(v[..., :1, :])


def real(x):
    # NumPy 2.5 hands real eigenvalues of an array out as complex
    return x.real if isinstance(x, np.ndarray) and x.dtype.kind == "c" else x


def ordered_eig(a):
    w, v = map(real, np.linalg.eig(a))
    order = np.argsort(w, axis=-1)
    v = np.take_along_axis(v, order[..., None, :], axis=-1)
    return np.take_along_axis(w, order, axis=-1), v * np.sign(v[..., :1, :])


def ordered_svd(a, **options):
    if not options.get("compute_uv", True):
        return np.linalg.svd(a, **options)
    u, s, vh = np.linalg.svd(a, **options)
    signs = np.sign(u[..., :1, :])
    return u * signs, s, vh * np.swapaxes(signs, -1, -2)


check_as(np.linalg.eigh, ordered_eigh)
check_as(np.linalg.eig, ordered_eig)
check_as(np.linalg.svd, ordered_svd)
check_as(np.linalg.eigvals, lambda a: np.sort(real(np.linalg.eigvals(a))))


def square(d, least=0):
    n = d.integer(least, 3)
    return Array((*d.one_of(*STACKS), n, n), regular)


def oblong(d, stacks=STACKS):
    n, m = d.integers(1, 3, 2)
    return Array((*d.one_of(*stacks), n, m), regular)


case(np.linalg.inv, np.linalg.det, np.linalg.slogdet)(lambda d: call(square(d)))
case(np.linalg.matrix_power)(lambda d: call(square(d), d.integer(-3, 4)))


@case(np.linalg.solve)
def solve(d):
    a = square(d)
    n = a.shape[-1]
    return call(a, Array(d.one_of((n,), (n, 2), (2, n, 1)) if a.shape[:-2] != (0,) else (n, 2)))


@case(np.linalg.cholesky)
def cholesky(d):
    options = {"upper": True} if d.flag() and "upper" in CHOLESKY else {}
    return call(square(d), **options)


CHOLESKY = np.linalg.cholesky.__wrapped__.__code__.co_varnames


@case(np.linalg.eigh, np.linalg.eigvalsh)
def eigh(d):
    return call(square(d), UPLO=d.one_of("L", "U"))


case(np.linalg.eig, np.linalg.eigvals)(lambda d: call(square(d, 1)))
case(np.linalg.pinv)(lambda d: call(oblong(d), **d.one_of({}, {"rcond": 1e-9}, {"rtol": 1e-9})))
case(np.linalg.pinv)(lambda d: call(square(d), hermitian=True))
case("linalg.svdvals")(lambda d: call(oblong(d)))
case(np.linalg.cond)(
    lambda d: call(Array((2, 3, 3), regular), d.one_of(None, 2, -2, 1, np.inf, "fro", -1))
)


@case(np.linalg.svd)
def svd(d):
    a = oblong(d)
    return call(a, full_matrices=a.shape[-1] == a.shape[-2] and d.flag())


case(np.linalg.svd)(lambda d: call(oblong(d), compute_uv=False))


@case(np.linalg.qr)
def qr(d):
    return call(oblong(d), mode=d.one_of("reduced", "r"))


@case(np.linalg.lstsq)
def lstsq(d):
    n, m = d.integers(1, 3, 2)
    return call(Array((n, m), regular), Array(d.one_of((n,), (n, 2))), rcond=None)


@case(np.linalg.tensorsolve)
def tensorsolve(d):
    return call(*d.one_of(
        (Array((2, 1, 2), tensor), Array((2, 1))), (Array((2, 2, 1), tensor), Array((2, 1)), (0,)),
    ))  # fmt: skip


@case(np.linalg.tensorinv)
def tensorinv(d):
    return call(*d.one_of((Array((2, 2, 4), tensor), 2), (Array((4, 2, 2), tensor), 1)))


def tensor(rng, shape, offset=0.37):
    n = round(np.sqrt(np.prod(shape)))
    return regular(rng, (n, n)).reshape(shape)


# norms: no two sizes are equal, nor sums of them over rows or columns

VECTOR_ORDERS = (None, 2, 1, 3, 2.5, np.inf, -np.inf, 0, -1, 0.5)
MATRIX_ORDERS = (None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)


def of_both_signs(rng, shape, offset=0.37):
    """Regular matrices of which rows and columns have changed signs."""
    rows, columns = (*shape[:-1], 1), (*shape[:-2], 1, *shape[-1:])
    return regular(rng, shape) * rng.choice([-1, 1], rows) * rng.choice([-1, 1], columns)


@case(np.linalg.norm)
def norm_of_vectors(d):
    options = {"ord": d.one_of(*VECTOR_ORDERS), "axis": d.one_of(0, -1), "keepdims": d.flag()}
    return call(Array((3, 2), distinct), **options)


@case(np.linalg.norm)
def norm_of_matrices(d):
    options = {"ord": d.one_of(*MATRIX_ORDERS), "axis": d.one_of(None, (0, 1), (-1, 0))}
    return call(Array((3, 2), of_both_signs), **options)


case(np.linalg.norm)(lambda d: call(Array(d.shape(side=1), scattered), keepdims=d.flag()))


@case(np.linalg.vector_norm)
def vector_norm(d):
    order, axis = d.one_of(*VECTOR_ORDERS[1:]), d.one_of(None, 0, (0, 1))
    return call(Array((3, 2), distinct), ord=order, axis=axis, keepdims=d.flag())


@case(np.linalg.matrix_norm)
def matrix_norm(d):
    x = Array((2, 3, 2), of_both_signs)
    return call(x, ord=d.one_of(*MATRIX_ORDERS[1:]), keepdims=d.flag())
