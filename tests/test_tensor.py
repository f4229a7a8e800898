"""What a Tensor is, tells, lets out and refuses."""

import copy
import operator
import pickle

import numpy as np
import pytest

import retrograd as rg


def leaf(*values):
    return rg.Tensor(np.array(values, float), requires_grad=True)


# Making one --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1.0, np.float64),
        ([1.0, 2.0], np.float64),
        ([1, 2], np.int64),
        (True, np.bool_),
        (np.float32(1), np.float32),
        (np.ones(2, np.float16), np.float16),
        (np.arange(3, dtype=np.uint8), np.uint8),
    ],
)
def test_what_comes_in_keeps_its_dtype(data, dtype):
    assert rg.Tensor(data).dtype == dtype


def test_lists_and_python_floats_take_the_default_dtype_and_arrays_do_not():
    rg.set_default_dtype(np.float32)
    try:
        assert rg.Tensor([0.5]).dtype == np.float32
        assert rg.Tensor(0.5).dtype == np.float32
        assert rg.Tensor(np.array([0.5])).dtype == np.float64
        assert rg.Tensor([1]).dtype == np.int64
        assert rg.get_default_dtype() == np.float32
        assert rg.nn.Linear(2, 2).weight.dtype == np.float32
    finally:
        rg.set_default_dtype(np.float64)


@pytest.mark.parametrize("dtype", [int, bool, complex, "no dtype"])
def test_the_default_dtype_must_be_floating(dtype):
    with pytest.raises(TypeError):
        rg.set_default_dtype(dtype)
    assert rg.get_default_dtype() == np.float64


@pytest.mark.parametrize("data", ["text", None, [None], {"a": 1}, object()])
def test_what_is_no_number_is_a_type_error(data):
    with pytest.raises(TypeError, match="a Tensor holds numbers"):
        rg.Tensor(data)


def test_a_ragged_list_is_an_error():
    with pytest.raises(ValueError, match="inhomogeneous"):
        rg.Tensor([[1.0], [1.0, 2.0]])


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


# What it tells -----------------------------------------------------------------------------------


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


# Ways out ----------------------------------------------------------------------------------------


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
        lambda t: np.float64(t) if t.ndim else np.zeros(2).fill(t),
    ],
)
def test_a_tensor_does_not_become_an_array_unasked(door):
    for t in (leaf(1.0, 2.0), rg.Tensor([1.0, 2.0])):
        with pytest.raises(TypeError, match=r"np\.stack|t\.data"):
            door(t)


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


# .grad -------------------------------------------------------------------------------------------


def test_a_gradient_is_a_plain_array_on_leaves_only():
    x = leaf(1.0, 2.0)
    y = x * 2
    np.sum(y).backward()
    assert type(x.grad) is np.ndarray
    assert x.grad.shape == (2,)
    assert y.grad is None


def test_retain_grad_fills_a_gradient_that_is_no_leafs():
    x = leaf(1.0, 2.0)
    y = (x * 2).retain_grad()
    np.sum(y * y).backward()
    np.testing.assert_array_equal(y.grad, [4.0, 8.0])
    np.testing.assert_array_equal(x.grad, [8.0, 16.0])
    with pytest.raises(RuntimeError, match="does not require grad"):
        rg.Tensor([1.0]).retain_grad()
    assert leaf(1.0).retain_grad().grad is None


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


def test_an_array_set_as_gradient_is_not_written_by_backward():
    x, given = leaf(1.0), np.ones(1)
    x.grad = given
    (x * 2).backward()
    assert given[0] == 1.0
    assert x.grad[0] == 3.0


# backward's own errors ---------------------------------------------------------------------------


def test_backward_starts_from_one_number_or_takes_a_gradient():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match=r"one number.*\(2,\)"):
        (x * 2).backward()
    with pytest.raises(ValueError, match=r"\(3,\).*\(2,\)"):
        (x * 2).backward(np.ones(3))
    with pytest.raises(TypeError, match="complex"):
        (x * 2).backward(np.ones(2, complex))
    assert x.grad is None
    (x * 2).backward([1, 10])
    np.testing.assert_array_equal(x.grad, [2.0, 20.0])
    (x[:1] * 2).backward(rg.Tensor([1.0]))
    np.testing.assert_array_equal(x.grad, [4.0, 20.0])


def test_backward_from_what_needs_no_gradient_is_an_error_that_says_why():
    with rg.no_grad():
        y = leaf(1.0) * 2
    for t in (y, rg.Tensor(1.0), leaf(1.0).detach() * 2):
        with pytest.raises(RuntimeError, match="does not require grad"):
            t.backward()


def test_backward_of_a_leaf_is_one():
    x = rg.Tensor(3.0, requires_grad=True)
    x.backward()
    assert x.grad == 1.0
    assert x.grad.shape == ()


def test_a_backward_that_fails_leaves_every_gradient_as_it_was():
    @rg.primitive
    def broken(x):
        return x * 2

    def fails(g, out, x):
        raise ZeroDivisionError

    rg.defvjp(broken, fails)
    x, y = leaf(1.0), leaf(2.0)
    x.grad = np.array([7.0])
    inner = broken(x * 3).retain_grad()
    loss = y * 2 + inner + x
    with pytest.raises(ZeroDivisionError):
        loss.backward()
    assert x.grad[0] == 7.0
    assert y.grad is None
    assert inner.grad is None


# In place ----------------------------------------------------------------------------------------


def test_adding_to_a_name_binds_it_to_a_new_tensor():
    x = leaf(1.0, 2.0)
    y = x
    y += 1
    y *= x
    assert y is not x
    np.testing.assert_array_equal(x.data, [1.0, 2.0])
    np.sum(y).backward()
    np.testing.assert_array_equal(x.grad, [3.0, 5.0])


def test_setting_an_item_says_np_where():
    x = leaf(1.0, 2.0)
    with pytest.raises(TypeError, match=r"np\.where"):
        x[0] = 5.0
    y = x * 2
    with rg.no_grad(), pytest.raises(TypeError, match=r"np\.where"):
        y[0] = 5.0
    with rg.no_grad():
        x[0] = rg.Tensor(5.0)
    np.testing.assert_array_equal(x.data, [5.0, 2.0])


def test_a_failed_write_in_place_changes_nothing():
    x = leaf(1.0, 2.0)
    with rg.no_grad(), pytest.raises(ValueError):
        x += np.ones(3)
    np.testing.assert_array_equal(x.data, [1.0, 2.0])


# Copies ------------------------------------------------------------------------------------------


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


# Views, indexing, empty and 0-d ------------------------------------------------------------------


@pytest.mark.parametrize(
    "index",
    [
        0, -1, slice(None), slice(None, None, -1), slice(1, 1), ..., None, (..., 0), (None, 1, ...),
        (slice(None), slice(0, 2)), [0, 0, 1], ([0, 0], [1, 1]), ([[0], [1]], [0, 2, 2]),
        np.array([[0, 1], [1, 1]]), np.array([True, False]), (np.array([True, True]), 0),
        np.ones((2, 3), bool), (slice(None), [2, 0, 2]), (0, [1, 1]), np.array(1), True,
    ],
)  # fmt: skip
def test_indexing_is_numpys_and_its_gradient_counts_what_was_picked(index):
    array = np.arange(6.0).reshape(2, 3)
    x = rg.Tensor(array, requires_grad=True)
    y = x[index]
    np.testing.assert_array_equal(y.data, array[index])
    counts = np.zeros((2, 3))
    np.add.at(counts, index, 1.0)
    np.sum(y).backward()
    np.testing.assert_array_equal(x.grad, counts)


def test_a_tensor_is_an_index():
    x = leaf(1.0, 2.0, 3.0)
    np.testing.assert_array_equal(x[rg.Tensor([2, 0])].data, [3.0, 1.0])
    np.testing.assert_array_equal(x[x > 1.5].data, [2.0, 3.0])


def test_an_index_out_of_bounds_names_the_call():
    with pytest.raises(IndexError) as caught:
        leaf(1.0, 2.0)[5]
    assert "float64[2]" in caught.value.__notes__[0]


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (1,), (1, 1)])
def test_zero_dim_and_empty_arrays_go_forward_and_backward(shape):
    x = rg.Tensor(np.ones(shape), requires_grad=True)
    y = np.sum(np.exp(x.reshape(-1)) * 2) + np.sum(x.T)
    y.backward()
    assert x.grad.shape == shape
    np.testing.assert_allclose(x.grad, np.full(shape, 2 * np.e + 1))


def test_a_reduction_of_a_zero_dim_tensor_is_a_tensor():
    x = rg.Tensor(2.0, requires_grad=True)
    for y in (x.sum(), x.mean(), x.max(), x.prod(), np.squeeze(x), x.reshape(())):
        assert type(y) is rg.Tensor
        assert y.shape == ()


# Methods -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method",
    [
        lambda a: a.sum(), lambda a: a.sum(0), lambda a: a.sum(axis=(0, 1), keepdims=True),
        lambda a: a.mean(-1), lambda a: a.max(1), lambda a: a.min(), lambda a: a.prod(0),
        lambda a: a.var(ddof=1), lambda a: a.std(0), lambda a: a.clip(1.0, 3.0),
        lambda a: a.clip(max=2.0), lambda a: a.dot(a.T), lambda a: a.reshape(3, 2),
        lambda a: a.reshape((6,)), lambda a: a.reshape(-1, 1), lambda a: a.ravel(),
        lambda a: a.flatten(), lambda a: a.transpose(), lambda a: a.transpose(1, 0),
        lambda a: a.transpose((1, 0)), lambda a: a.swapaxes(0, 1), lambda a: a[:1].squeeze(0),
        lambda a: a.squeeze(), lambda a: a.astype(np.float32), lambda a: a.copy(), lambda a: a.T,
        lambda a: a.mT, lambda a: a.transpose(None),
    ],
)  # fmt: skip
def test_a_method_does_what_it_does_on_an_array_and_keeps_the_gradient(method):
    array = np.arange(6.0).reshape(2, 3)
    x = rg.Tensor(array, requires_grad=True)
    y = method(x)
    np.testing.assert_allclose(y.data, method(array))
    assert y.requires_grad
    y.backward(np.ones(y.shape))
    assert x.grad.shape == (2, 3)


@pytest.mark.parametrize("name", ["argmax", "argmin", "any", "all"])
def test_a_method_without_a_gradient_gives_a_tensor(name):
    array = np.arange(6.0).reshape(2, 3)
    for axis in (None, 0, -1):
        got = getattr(rg.Tensor(array, requires_grad=True), name)(axis=axis)
        assert type(got) is rg.Tensor
        assert not got.requires_grad
        np.testing.assert_array_equal(got.data, getattr(array, name)(axis=axis))


def test_an_integer_leaf_is_refused_also_where_requires_grad_was_set():
    t = rg.Tensor([1, 2])
    t.requires_grad = True
    with pytest.raises(TypeError, match=r"int64: use \.astype\(float\)"):
        np.sum(t * 1.5).backward()
    assert t.grad is None


def test_a_method_that_is_not_there_says_what_to_write():
    t = rg.Tensor([1.0, 2.0])
    for name, says in (
        ("exp", r"no attribute 'exp': write np\.exp\(t\)"),
        ("view", r"write t\.reshape\(\.\.\.\)"),
        ("unsqueeze", r"write np\.expand_dims\(t, axis\)"),
        ("frobnicate", "no attribute 'frobnicate'$"),
    ):
        with pytest.raises(AttributeError, match=says):
            getattr(t, name)
    assert not hasattr(t, "__array_interface__")
