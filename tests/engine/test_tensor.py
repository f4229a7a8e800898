"""What a Tensor is, tells, lets out and refuses, and which calls it keeps."""

import copy
import operator
import pickle

import numpy as np
import pytest

import retrograd as rg
from helpers import leaf

# Making one


def test_a_leaf_owns_its_memory_and_another_tensor_shares_it():
    array = np.ones(2)
    assert not np.shares_memory(rg.Tensor(array, requires_grad=True).data, array)
    assert np.shares_memory(rg.Tensor(array).data, array)


def test_only_what_depends_on_a_leaf_requires_grad():
    x, c = leaf(1.0), rg.Tensor([2.0])
    assert (x * c).requires_grad
    assert not (c * c).requires_grad
    assert not (x > 0).requires_grad
    assert not np.sign(x).requires_grad
    assert not x.detach().requires_grad
    assert not x.astype(int).requires_grad
    assert (x * c).is_leaf is False
    assert x.is_leaf
    assert c.is_leaf


def test_requires_grad_is_switched_on_a_leaf_only():
    c = rg.Tensor([2.0]).requires_grad_()
    assert c.requires_grad
    assert not c.requires_grad_(False).requires_grad
    with pytest.raises(RuntimeError, match="detach"):
        (leaf(1.0) * 2).requires_grad_(False)


# What it tells


def test_it_has_the_attributes_of_its_array():
    x = rg.Tensor(np.ones((2, 3), np.float32))
    assert (x.shape, x.ndim, x.size, x.dtype, x.nbytes, len(x)) == ((2, 3), 2, 6, np.float32, 24, 2)
    assert np.shape(x) == (2, 3)
    assert np.ndim(x) == 2
    assert np.size(x) == 6
    assert np.result_type(x, np.float64) == np.float64


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (rg.Tensor(1.5), "Tensor(1.5)"),
        (rg.Tensor([1, 2]), "Tensor([1, 2])"),
        (rg.Tensor([1.0], requires_grad=True), "Tensor([1.], requires_grad=True)"),
        (rg.Tensor(np.zeros((2, 1))), "Tensor([[0.],\n        [0.]])"),
        (rg.Parameter([1.0]), "Parameter([1.], requires_grad=True)"),
        (rg.Tensor(np.ones(1, np.float32)), "Tensor([1.], dtype=float32)"),
    ],
)
def test_its_repr_is_that_of_its_array(tensor, text):
    assert repr(tensor) == text
    assert f"{tensor}" == text


def test_a_number_is_formatted_as_a_number():
    assert f"{rg.Tensor(0.69314):.2f}" == "0.69"
    with pytest.raises(ValueError, match="one element"):
        f"{rg.Tensor([1.0, 2.0]):.2f}"


def test_hash_is_identity_and_equality_is_numpys():
    x = leaf(1.0)
    assert len({x, x, leaf(1.0)}) == 2
    assert type(x == 1.0) is rg.Tensor


def test_truth_is_numpys():
    assert rg.Tensor(1.0)
    assert not rg.Tensor([0.0])
    with pytest.raises(ValueError, match="ambiguous"):
        bool(rg.Tensor([1.0, 2.0]))


# Ways out


def test_values_leave_as_numbers_lists_and_arrays():
    x = rg.Tensor([[1.0, 2.0]])
    assert x.tolist() == [[1.0, 2.0]]
    assert rg.Tensor([[2.5]]).item() == 2.5
    assert float(rg.Tensor([2.5])) == 2.5
    assert int(rg.Tensor(2.5)) == 2
    assert [10, 20, 30][rg.Tensor(1)] == 20
    assert np.shares_memory(x.numpy(), x.data)
    assert [t.tolist() for t in x] == [[1.0, 2.0]]


@pytest.mark.parametrize("out", [float, int, rg.Tensor.item])
def test_only_one_element_leaves_as_a_number(out):
    with pytest.raises(ValueError, match="one element"):
        out(rg.Tensor([1.0, 2.0]))


def test_only_an_integer_is_an_index():
    with pytest.raises(TypeError):
        operator.index(rg.Tensor(1.0))


@pytest.mark.parametrize(
    "door",
    [
        np.array,
        np.asarray,
        lambda t: np.array([t, t]),
        lambda t: np.zeros(2).__setitem__(slice(None), t),
        lambda t: np.ones(2).dot(t),
        lambda t: np.full(2, t),
        np.float64,
    ],
)
def test_a_tensor_that_requires_grad_does_not_become_an_array_unasked(door):
    with pytest.raises(TypeError, match=r"np\.stack.*t\.detach\(\)"):
        door(leaf(1.0, 2.0))
    door(rg.Tensor([1.0, 2.0]))


def test_a_zero_dim_tensor_has_no_length_and_no_items():
    with pytest.raises(TypeError, match=r"t\.item\(\)"):
        iter(rg.Tensor(1.0))
    with pytest.raises(TypeError):
        len(rg.Tensor(1.0))


def test_detached_values_share_memory_and_no_gradient():
    x = leaf(2.0)
    y = x * x.detach()
    assert np.shares_memory(x.detach().data, x.data)
    y.backward()
    assert x.grad[0] == 2.0


@pytest.mark.parametrize("made", [rg.Tensor, rg.nn.Parameter])
def test_a_tensor_of_one_with_a_graph_is_refused_and_says_what_to_write(made):
    x = leaf(2.0)
    with pytest.raises(
        RuntimeError, match=made.__name__ + r"\(t\).*t itself, t\.copy\(\).*t\.detach"
    ):
        made(x * 2)
    with rg.no_grad():
        assert not rg.Tensor(x * 2).requires_grad
    assert made(x, requires_grad=True).requires_grad  # a leaf of a leaf is what it says


def test_a_tensor_of_a_leaf_does_not_lose_its_gradient_without_a_word():
    with pytest.raises(RuntimeError, match=r"t\.detach\(\)"):
        rg.Tensor(leaf(2.0))
    assert rg.Tensor(rg.Tensor([2.0])).data[0] == 2.0


# What may be replaced or written


def test_data_is_replaced_by_an_array_of_the_same_shape_and_a_floating_dtype():
    x = leaf(1.0, 2.0)
    x.data = np.array([3.0, 4.0], np.float32)
    assert x.dtype == np.float32
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        x.data = np.ones(3)
    with pytest.raises(TypeError, match="astype"):
        x.data = np.array([1, 2])
    np.testing.assert_array_equal(x.data, [3.0, 4.0])
    with pytest.raises(RuntimeError, match="leaf"):
        (x * 2).data = np.ones(2)


def test_a_gradient_is_set_only_where_it_fits():
    x = leaf(1.0, 2.0)
    x.grad = np.ones(2)
    np.sum(x).backward()
    np.testing.assert_array_equal(x.grad, [2.0, 2.0])
    x.grad = rg.Tensor([5.0, 5.0])
    assert type(x.grad) is np.ndarray
    x.grad = None
    for wrong in (np.ones(3), np.ones(2, np.float32), 1.0):
        with pytest.raises(ValueError, match="shape"):
            x.grad = wrong
    assert x.grad is None


def test_adding_to_a_name_binds_it_to_a_new_tensor():
    x = leaf(1.0, 2.0)
    y = first = x * 1
    y += 1
    y *= x
    assert y is not first
    np.testing.assert_array_equal(first.data, [1.0, 2.0])
    np.sum(y).backward()
    np.testing.assert_array_equal(x.grad, [3.0, 5.0])


def test_setting_an_item_of_a_leaf_that_requires_grad_says_what_to_write():
    x = leaf(1.0, 2.0)
    with pytest.raises(TypeError, match=r"copy\(\).*np\.where.*no_grad"):
        x[0] = 5.0
    with rg.no_grad():
        x[0] = rg.Tensor(5.0)
    np.testing.assert_array_equal(x.data, [5.0, 2.0])


def test_a_failed_write_in_place_changes_nothing():
    x = leaf(1.0, 2.0)
    with rg.no_grad(), pytest.raises(ValueError):
        x += np.ones(3)
    np.testing.assert_array_equal(x.data, [1.0, 2.0])


# Copies


@pytest.mark.parametrize("kind", [rg.Tensor, rg.Parameter])
@pytest.mark.parametrize("how", [copy.deepcopy, copy.copy, lambda t: pickle.loads(pickle.dumps(t))])
def test_a_leaf_is_copied_with_its_gradient(kind, how):
    x = kind([1.0, 2.0], requires_grad=True)
    np.sum(x * x).backward()
    y = how(x)
    assert isinstance(y, rg.Parameter) is (kind is rg.Parameter)
    assert y.requires_grad
    np.testing.assert_array_equal(y.data, x.data)
    np.testing.assert_array_equal(y.grad, x.grad)
    assert not np.shares_memory(y.data, x.data)


def test_a_copy_has_a_gradient_of_its_own():
    x = leaf(1.0, 2.0)
    np.sum(x * x).backward()
    assert not np.shares_memory(copy.copy(x).grad, x.grad)


class Bounded(rg.Parameter):
    """A Parameter with an attribute of its own."""

    def __init__(self, data, top):
        super().__init__(data)
        self.top = top


class Slotted(rg.Tensor):
    __slots__ = ("note",)


def test_a_parameter_is_a_class_to_build_on():
    w = Bounded([1.0, 2.0], top=3.0)
    net = rg.nn.Module()
    net.w = w
    assert list(net.parameters()) == [w]
    (w * w).sum().backward()
    np.testing.assert_array_equal(w.grad, [2.0, 4.0])
    assert repr(w) == "Bounded([1., 2.], requires_grad=True)"
    rg.optim.SGD([w], lr=0.5).step()
    np.testing.assert_array_equal(w.data, [0.0, 0.0])


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
def test_a_copy_does_not_lose_its_class_nor_what_was_put_into_it(how):
    w = Bounded([1.0], top=[3.0])
    w.grad = np.array([7.0])
    out = how(w)
    assert type(out) is Bounded
    assert (out.top, out.requires_grad, out.grad.tolist()) == ([3.0], True, [7.0])
    assert not np.shares_memory(out.data, w.data)
    t = Slotted([1.0])
    t.note = "a"
    assert (type(how(t)), how(t).note, how(t).tolist()) == (Slotted, "a", [1.0])


def test_a_parameter_of_integers_needs_no_gradient():
    p = rg.Parameter(np.array([1, 2]), requires_grad=False)
    assert p.dtype.kind == "i"
    assert isinstance(p, rg.Parameter)
    data = np.ones(2)
    assert not np.shares_memory(rg.Parameter(data, requires_grad=False).data, data)


def test_a_deepcopy_keeps_what_was_shared_shared():
    x = leaf(1.0)
    first, second = copy.deepcopy([x, x])
    assert first is second
    assert not np.shares_memory(first.data, x.data)


@pytest.mark.parametrize("how", [copy.deepcopy, copy.copy, pickle.dumps])
def test_a_graph_is_not_copied(how):
    with pytest.raises(RuntimeError, match=r"t\.detach\(\)"):
        how(leaf(1.0) * 2)


def test_a_copy_of_a_net_trains_alone():
    net = rg.nn.Sequential(rg.nn.Linear(2, 2, rng=0), rg.nn.ReLU())
    other = copy.deepcopy(net)
    np.sum(other(np.ones((1, 2)))).backward()
    assert net[0].weight.grad is None
    assert other[0].weight.grad is not None


# Recording


def test_comparisons_and_the_like_are_recorded_without_a_gradient():
    x = leaf(-1.5, 2.5)
    for y in (x > 0, np.sign(x), np.floor(x), np.isnan(x), x == x, np.argmax(x)):
        assert type(y) is rg.Tensor
        assert not y.requires_grad
    np.sum(x * (x > 0)).backward()
    np.testing.assert_array_equal(x.grad, [0.0, 1.0])


def test_a_call_that_fails_records_nothing():
    x = leaf(1.0, 2.0)
    y = np.sum(x * x)
    with pytest.raises(ValueError):
        x + np.ones(3)
    y.backward()
    np.testing.assert_array_equal(x.grad, [2.0, 4.0])


def test_numpys_errors_come_with_what_was_called():
    with pytest.raises(ValueError, match="matmul") as caught:
        leaf(1.0, 2.0) @ np.ones((3, 2), np.float32)
    assert any("np.matmul(float64[2], float32[3, 2])" in note for note in caught.value.__notes__)
    with pytest.raises(ValueError, match="out of bounds") as caught:
        np.sum(leaf(1.0), axis=3)
    assert any("axis=3" in note for note in caught.value.__notes__)


def test_complex_results_of_real_numbers_have_gradients():
    x = leaf(2.0)
    z = np.exp(1j * x)
    assert z.dtype == np.complex128
    np.imag(z).backward()  # the sine
    np.testing.assert_allclose(x.grad, [np.cos(2.0)])


def test_a_complex_tensor_has_parts_and_a_conjugate():
    z = rg.Tensor([1 + 2j, 3 - 4j], requires_grad=True)
    np.testing.assert_array_equal(z.real.data, [1.0, 3.0])
    np.testing.assert_array_equal(z.imag.data, [2.0, -4.0])
    np.testing.assert_array_equal(z.conj().data, z.conjugate().data)
    assert z.sum().conj().item() == 4 + 2j
    (z.real + 2 * z.imag).sum().backward()
    np.testing.assert_array_equal(z.grad, [1 + 2j, 1 + 2j])
    x = leaf(1.0)
    assert x.real is x
    assert x.imag.item() == 0.0


def test_float32_goes_with_complex64():
    z = rg.Tensor(np.ones(2, np.complex64), requires_grad=True)
    x = rg.Tensor(np.ones(2, np.float32), requires_grad=True)
    out = np.abs(z * x * 2.0 + 1j)
    assert out.dtype == np.float32
    out.sum().backward()
    assert (z.grad.dtype, x.grad.dtype) == (np.complex64, np.float32)


def test_complex_becomes_one_as_float_does():
    assert complex(rg.Tensor(1 + 2j)) == 1 + 2j
    assert complex(rg.Tensor([2.0])) == 2
    assert repr(rg.Tensor([1 + 2j], requires_grad=True)) == ("Tensor([1.+2.j], requires_grad=True)")
    with pytest.raises(TypeError, match="real"):
        float(rg.Tensor(1 + 2j))
    with pytest.warns(UserWarning, match=r"t\.item"):
        assert complex(rg.Tensor(2j, requires_grad=True)) == 2j


@pytest.mark.parametrize("other", [[2.0, 3.0], (2, 3)])
@pytest.mark.parametrize(
    "call",
    [
        lambda t, y: t**y,
        lambda t, y: y @ t,
        lambda t, y: t / y,
        np.power,
        np.arctan2,
        np.dot,
        lambda t, y: np.outer(y, t),
    ],
)
def test_a_list_is_an_operand_as_its_array_is(call, other):
    x, like = leaf(1.5, 2.5), leaf(1.5, 2.5)
    np.sum(call(x, other)).backward()
    np.sum(call(like, np.array(other))).backward()
    np.testing.assert_array_equal(x.grad, like.grad)
    (g,) = rg.autograd.grad(np.sum(call(x, other)), x, create_graph=True)
    np.testing.assert_array_equal(g.data, like.grad)


@pytest.mark.parametrize("y", [2, 2.0, 0.5, np.float64(2), np.float64(0.5), np.int64(2), True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_a_power_has_numpys_dtype(y, dtype):
    x = np.array([1, 4], dtype)
    got = rg.Tensor(x) ** y
    right = np.power(x, y)  # before NumPy 2.1 `x**y` itself has float32 for float64
    assert got.dtype == right.dtype
    np.testing.assert_array_equal(got.data, right)
