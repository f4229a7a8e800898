import numpy as np

from retrograd.seeing import numbers


def test_numbers_have_four_digits_and_negative_ones_brackets():
    assert [numbers.show_number(v) for v in (1234567.0, 0.1 + 0.2, np.float32(0.1), np.nan)] == [
        "1.235e+06", "0.3", "0.1", "nan",
    ]  # fmt: skip
    assert [numbers.in_brackets(v) for v in (-1.5, 1.5, -0.0)] == ["(-1.5)", "1.5", "0"]


def test_arrays_are_shown_whole_or_by_their_range():
    shown = {
        "5": np.full((1, 1), 5.0),
        "[1, 2]": np.array([1, 2]),
        "(5,) all 1": np.ones(5),
        "(0, 2) empty": np.ones((0, 2)),
        "(5,) bool": np.ones(5, bool),
        "(2, 2) float32 from 0 to 2, 1 not finite": np.array([[0, 1], [2, np.inf]], np.float32),
        "(5,), 5 not finite": np.full(5, np.nan),
    }
    for text, value in shown.items():
        assert numbers.show_value(value) == text


def test_the_largest_element_is_found_of_both_signs():
    assert numbers.largest_place(np.array([1.0, -3.0, 2.0])) == (1,)
    assert numbers.largest_place(np.array([1.0, np.nan, 5.0])) == (1,)


def test_a_place_is_one_of_an_array_that_has_it():
    x = np.ones((2, 3))
    assert [numbers.is_place(x, p) for p in [(1, 2), (2, 0), (0,), (-1, -3)]] == [
        True, False, False, True,
    ]  # fmt: skip
