import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import retrograd as rg
from retrograd.data import DataLoader, Subset, TensorDataset, random_split


class Words:
    """A data set of one's own."""

    def __len__(self):
        return 5

    def __getitem__(self, index):
        return {"x": np.full(2, index), "y": float(index)}


def numbers(count):
    return TensorDataset(np.arange(count))


def batches(loader):
    return [batch[0].tolist() for batch in loader]


def test_batches_keep_rows_together_and_dtypes_as_they_are():
    x = np.arange(14, dtype=np.float32).reshape(7, 2)
    y = rg.Tensor(np.arange(7))
    seen = 0
    for a, b in DataLoader(TensorDataset(x, y), 3, shuffle=True, rng=0):
        assert a.dtype == np.float32
        assert isinstance(b, rg.Tensor)
        assert b.dtype == y.dtype
        np.testing.assert_array_equal(a[:, 0], 2 * b.data)
        seen += len(a)
    assert seen == 7


@given(count=st.integers(0, 20), size=st.integers(1, 8), drop=st.booleans(), shuffle=st.booleans())
def test_an_epoch_has_every_sample_once(count, size, drop, shuffle):
    loader = DataLoader(numbers(count), size, shuffle, rng=0, drop_last=drop)
    found = batches(loader)
    assert len(found) == len(loader)
    flat = [n for batch in found for n in batch]
    assert len(flat) == len(set(flat)) == (count - count % size if drop else count)
    assert all(len(batch) == size for batch in found[: count // size])


def test_the_order_comes_from_the_generator_and_differs_between_epochs():
    loader = DataLoader(numbers(20), 20, shuffle=True, rng=3)
    first, second = batches(loader), batches(loader)
    assert first != second
    again = DataLoader(numbers(20), 20, shuffle=True, rng=np.random.default_rng(3))
    assert [batches(again), batches(again)] == [first, second]


def test_without_rng_the_library_generator_draws():
    rg.manual_seed(1)
    first = batches(DataLoader(numbers(9), 9, shuffle=True))
    rg.manual_seed(1)
    assert batches(DataLoader(numbers(9), 9, shuffle=True)) == first


def test_a_batch_is_no_view_of_the_data():
    x = np.zeros((4, 2))
    for (batch,) in DataLoader(TensorDataset(x), 2):
        batch += 1
    assert not x.any()


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("position", [0, 1, 2, 3])
def test_a_loader_goes_on_from_the_middle_of_an_epoch(shuffle, position):
    rng = np.random.default_rng(0)
    loader = DataLoader(numbers(5), 2, shuffle, rng=rng)
    list(loader)
    iterator = iter(loader)
    for _ in range(position):
        next(iterator)
    state, drawn = loader.state_dict(), rng.bit_generator.state
    rest = batches(iterator) + batches(loader)
    rng = np.random.default_rng(9)
    other = DataLoader(numbers(5), 2, shuffle, rng=rng)
    other.load_state_dict(state)
    rng.bit_generator.state = drawn
    if position in (0, 3) and shuffle:
        # between two epochs: the next one draws its order
        assert len(batches(other)) == 3
    else:
        found = (batches(other) if 0 < position < 3 else []) + batches(other)
        assert found == (rest if position else rest[:3])


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "state_dict"),
        (None, "state_dict"),
        ({"order": np.arange(4), "position": 1}, "4 samples, the data set has 5"),
        ({"order": np.zeros(5, int), "position": 1}, "5 samples"),
        ({"order": np.arange(5), "position": 9}, "3 batches, no position 9"),
        ({"order": None, "position": 1}, "another value of shuffle"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(state, message):
    with pytest.raises(ValueError, match=message):
        DataLoader(numbers(5), 2, shuffle=True).load_state_dict(state)


def test_samples_of_a_data_set_of_ones_own_are_stacked():
    first, *_ = DataLoader(Words(), 2)
    np.testing.assert_array_equal(first["x"], [[0, 0], [1, 1]])
    np.testing.assert_array_equal(first["y"], [0.0, 1.0])
    assert first["y"].dtype == np.float64


def test_collate_makes_the_batch():
    loader = DataLoader(Words(), 2, collate=lambda samples: [s["y"] for s in samples])
    assert list(loader) == [[0.0, 1.0], [2.0, 3.0], [4.0]]


def test_tensors_are_stacked_to_a_tensor():
    stacked = rg.data.collate([rg.Tensor([1.0, 2.0]), rg.Tensor([3.0, 4.0])])
    assert isinstance(stacked, rg.Tensor)
    assert stacked.tolist() == [[1.0, 2.0], [3.0, 4.0]]


@given(count=st.integers(2, 50), fractions=st.lists(st.floats(0.01, 1.0), min_size=1, max_size=5))
def test_a_split_has_every_sample_once_in_the_asked_proportions(count, fractions):
    fractions = [f / sum(fractions) for f in fractions]
    parts = random_split(numbers(count), fractions, rng=0)
    assert sorted(int(n) for part in parts for (n,) in map(part.__getitem__, range(len(part)))) == (
        list(range(count))
    )
    for part, fraction in zip(parts, fractions, strict=True):
        assert abs(len(part) - fraction * count) <= len(fractions)


def test_a_split_by_numbers_and_of_a_split():
    train, test = random_split(numbers(10), [7, 3], rng=0)
    one, two = random_split(train, [4, 3], rng=1)
    assert (len(one), len(two), len(test)) == (4, 3, 3)
    flat = [n for part in (one, two, test) for b in batches(DataLoader(part, 2)) for n in b]
    assert sorted(flat) == list(range(10))


@pytest.mark.parametrize("lengths", [[5, 4], [0.5, 0.4], [11, -1], [2.5, 7.5], []])
def test_a_split_that_does_not_add_up_is_refused(lengths):
    with pytest.raises(ValueError, match="add up to 10"):
        random_split(numbers(10), lengths)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: TensorDataset(), ValueError, "no arrays"),
        (lambda: TensorDataset(np.zeros(2), np.zeros(3)), ValueError, r"\(2,\), \(3,\)"),
        (lambda: TensorDataset(np.float64(1.0)), ValueError, "first axes"),
        (lambda: DataLoader(np.zeros(3)), TypeError, r"TensorDataset\(x, y\)"),
        (lambda: DataLoader(iter([])), TypeError, "length and items"),
        (lambda: DataLoader(numbers(3), 0), ValueError, "batch_size must be"),
        (lambda: DataLoader(numbers(3), 2.0), ValueError, "batch_size must be"),
        (lambda: DataLoader(numbers(3), rng="x"), TypeError, "rng must be"),
        (lambda: Subset(numbers(3), [3]), IndexError, "3 samples, no 3"),
        (lambda: Subset(numbers(3), [[1]]), ValueError, "one axis"),
    ],
)
def test_bad_arguments_get_a_clear_error(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("indices", [np.array([True, False]), [0.5]])
def test_indices_are_whole_numbers(indices):
    with pytest.raises(TypeError, match="whole numbers"):
        rg.data.Subset(rg.data.TensorDataset(np.arange(3)), indices)
    assert len(rg.data.Subset(rg.data.TensorDataset(np.arange(3)), [])) == 0


def test_gradients_flow_through_a_data_set_of_tensors():
    x = rg.Tensor([[1.0], [2.0], [3.0]], requires_grad=True)
    for batch, _ in rg.data.DataLoader(rg.data.TensorDataset(x, np.arange(3)), batch_size=2):
        np.sum(batch * batch).backward()
    assert x.grad.tolist() == [[2.0], [4.0], [6.0]]
