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
