import numpy as np
import pytest

import retrograd as rg
from retrograd.nn import functional as F
from retrograd.nn.functional import classes


def x(*shape):
    return rg.Tensor(np.ones(shape), requires_grad=True)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: F.cross_entropy(x(2, 3), np.zeros(2, int), weight=x(2)), r"\(3,\), not \(2,\)"),
        (lambda: F.cross_entropy(x(2, 3), np.zeros(2, int), label_smoothing=2.0), "2.0"),
        (lambda: F.one_hot(np.array([3]), 3), "from 0 to 2"),
        (lambda: F.one_hot(np.array([], int)), "num_classes"),
    ],
)
def test_what_does_not_fit_is_a_value_error(call, says):
    with pytest.raises(ValueError, match=says):
        call()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: F.one_hot(np.array([0.5]), 3), "float64"),
        (lambda: F.nll_loss(x(2, 3), np.zeros(2)), "float64"),
    ],
)
def test_numbers_of_classes_are_integers(call, says):
    with pytest.raises(TypeError, match=says):
        call()


def test_an_ignored_target_may_be_any_number():
    logits = x(3, 2)
    loss = F.cross_entropy(logits, np.array([-7, 1, 0]), ignore_index=-7)
    loss.backward()
    np.testing.assert_array_equal(logits.grad[0], [0, 0])
    np.testing.assert_allclose(loss.item(), np.log(2))


def test_masked_logits_leave_the_cross_entropy_finite():
    logits = rg.Tensor([[0.0, -np.inf, 1.0]], requires_grad=True)
    F.cross_entropy(logits, np.array([0])).backward()
    assert np.isfinite(logits.grad).all()


def test_probabilities_do_not_go_with_a_class_to_ignore():
    x, y = rg.Tensor(np.zeros((2, 3))), np.full((2, 3), 1 / 3)
    with pytest.raises(ValueError, match="ignore_index=1 with class numbers only"):
        F.cross_entropy(x, y, ignore_index=1)
    with pytest.raises(ValueError, match="ignore_index=0 with class numbers only"):
        rg.nn.CrossEntropyLoss(ignore_index=0)(x, y)
    assert F.cross_entropy(x, y, ignore_index=-1).item() == pytest.approx(np.log(3))


def test_one_hot_in_a_recording_says_to_pass_the_number_of_classes():
    numbers = np.array([1, 0, 2])
    with pytest.raises(rg.TraceError, match=r"Pass their number: one_hot\(t, 10\)"):
        rg.compile(F.one_hot)(numbers)
    np.testing.assert_array_equal(rg.compile(F.one_hot)(numbers, 3).data, F.one_hot(numbers, 3))


@pytest.mark.parametrize("ignore_index", [-100, 1])
def test_hits_lie_as_the_scores_do(ignore_index):
    x, y = np.random.default_rng(0).normal(size=(5, 3)), np.array([0, 2, 1, 1, 2])
    found = classes._hits(x, y, ignore_index), classes._hits(x.T.copy().T, y, ignore_index)
    assert found[0].flags.c_contiguous
    assert found[1].flags.f_contiguous
    assert not found[1].flags.c_contiguous
    np.testing.assert_array_equal(*found)
    with pytest.raises(IndexError, match="class number 3"):
        classes._hits(x.T.copy().T, np.array([0, 2, 3, 1, 2]), ignore_index)
