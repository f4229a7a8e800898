import functools

import numpy as np
import pytest

import retrograd as rg
from retrograd.nn import functional as F


def x(*shape):
    return rg.Tensor(np.ones(shape), requires_grad=True)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: F.linear(x(2, 3), x(3)), r"\(out, in\), not \(2, 3\) and \(3,\)"),
        (lambda: F.linear(x(2, 3), x(3, 2)), r"not \(2, 3\) and \(3, 2\)"),
        (lambda: F.linear(x(1, 2, 3), x(3, 2)), r"not \(1, 2, 3\) and \(3, 2\)"),
        (lambda: F.unflatten(x(2, 6), 1, (4, 2)), r"length 6, into \(4, 2\)"),
        (lambda: F.unflatten(x(2, 6), 1, (-1, -1)), "into"),
        (lambda: F.embedding(np.array([0]), x(3)), r"\(3,\)"),
    ],
)
def test_what_does_not_fit_is_a_value_error(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_numbers_of_rows_are_integers():
    with pytest.raises(TypeError, match="float64"):
        F.embedding(np.array([0.5]), x(3, 2))


@pytest.mark.parametrize("number", [-1, 3])
def test_an_embedding_has_no_row_for_other_numbers(number):
    with pytest.raises(IndexError, match=str(number)):
        F.embedding(np.array([0, number]), x(3, 2))


def test_batches_of_nothing_give_nothing():
    assert F.embedding(np.zeros((0, 2), int), x(3, 4)).shape == (0, 2, 4)
    empty = x(0, 3)
    F.linear(empty, x(2, 3)).sum().backward()
    assert empty.grad.shape == (0, 3)


@pytest.mark.parametrize("wrap", [lambda f: f, rg.compile], ids=["eager", "compiled"])
def test_gradients_of_rows_are_divided_by_how_often_they_are_looked_up(wrap):
    index, u = np.array([[1, 2], [1, 0], [3, 1]]), np.arange(12.0).reshape(3, 2, 2)

    def gradient(table, index, **options):
        return rg.func.grad(lambda t: np.sum(F.embedding(index, t, **options) * u))(table)

    table = np.ones((5, 2))
    for padding in (None, 3, -2):
        options = {"padding_idx": padding}
        scaled = wrap(lambda t, i, o=options: gradient(t, i, scale_grad_by_freq=True, **o))
        for numbers in (index, index[::-1] % 3):
            counts = np.maximum(np.bincount(numbers.ravel(), minlength=5), 1)[:, None]
            expected = gradient(table, numbers, **options).data / counts
            np.testing.assert_allclose(scaled(table, numbers).data, expected)
    layer = rg.nn.Embedding(5, 2, scale_grad_by_freq=True)
    np.sum(layer(index)).backward()
    assert layer.weight.grad[:, 0].tolist() == [1.0, 1.0, 1.0, 1.0, 0.0]


def test_a_row_for_padding_must_be_there():
    for wrong in (5, -6):
        with pytest.raises(ValueError, match="padding_idx must be one of 5 rows"):
            F.embedding(np.array([0]), np.ones((5, 2)), padding_idx=wrong)


INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")


@pytest.fixture
def _old_numpy(monkeypatch):
    """Let NumPy refuse all numbers that it cannot safely make its own places of, as 2.0 does."""

    def strict(fn, position):
        @functools.wraps(fn)
        def called(*args, **kwargs):
            given = args[position]
            if isinstance(given, np.ndarray):
                assert np.can_cast(given.dtype, np.intp), f"{fn.__name__} of {given.dtype}"
            return fn(*args, **kwargs)

        return called

    for name, position in (("take", 1), ("bincount", 0), ("repeat", 1), ("choose", 0)):
        monkeypatch.setattr(np, name, strict(getattr(np, name), position))


@pytest.mark.usefixtures("_old_numpy")
@pytest.mark.parametrize("by_frequency", [False, True])
@pytest.mark.parametrize("dtype", INTEGERS)
def test_row_numbers_may_have_every_integer_dtype(dtype, by_frequency):
    options = {"scale_grad_by_freq": by_frequency, "padding_idx": 3, "max_norm": 2.5}

    def penalty(table, index):
        """Return a sum of squared gradients, for which the gradient is put back twice."""
        found = F.embedding(index, table * 1.0, **options)
        (slope,) = rg.autograd.grad(np.sum(found**3), [table], create_graph=True)
        return np.sum(slope**2)

    table = np.arange(15.0).reshape(5, 3) / 7
    index = np.array([[4, 0, 4], [3, 1, 0]])
    expected = rg.func.value_and_grad(penalty)(table, index)
    found = rg.func.value_and_grad(penalty)(table, index.astype(dtype))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    mapped = rg.func.vmap(F.embedding, (0, None))(index.astype(dtype), table)
    np.testing.assert_array_equal(mapped, table[index])


@pytest.mark.parametrize("number", [2**63, 2**64 - 1])
def test_a_row_number_that_no_array_has_is_refused(number):
    with pytest.raises(IndexError, match=str(number)):
        F.embedding(np.array([0, number], np.uint64), x(3, 2))
