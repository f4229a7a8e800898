"""The basics that no peer gets right all at once: the README's table, one test or more a row."""

import asyncio
import threading

import numpy as np
import pytest

import retrograd as rg
from helpers import leaf

# A sum with itself is linear ---------------------------------------------------------------------


@rg.primitive
def counted(x):
    return x + x


VISITS = []


def counted_dx(g, out, x):
    VISITS.append(1)
    return 2 * g


rg.defvjp(counted, counted_dx)


def test_doubling_sixteen_times_visits_sixteen_calls():
    x = leaf(1.0)
    y = x
    VISITS.clear()
    for _ in range(16):
        y = counted(y + y)
    y.backward()
    assert len(VISITS) == 16
    assert x.grad[0] == 4.0**16


def test_a_diamond_sends_each_gradient_once_with_everything_added():
    x = leaf(3.0)
    a = x * 2
    b = a * 3
    c = a + b  # a is used by calls recorded at different times
    d = c * a
    d.backward()
    assert x.grad[0] == 2 * 4 * 2 * 2 * 3.0  # d = 16 x^2


# A chain of a million calls ----------------------------------------------------------------------


def test_a_chain_of_a_million_calls_runs_forward_and_backward_and_is_dropped():
    x = rg.Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(1_000_000):
        y = y + 1
    y.backward(retain_graph=True)  # so that the whole graph is there to be dropped at once
    assert x.grad == 1.0
    del y


# Backward twice ----------------------------------------------------------------------------------


def test_backward_twice_with_retain_graph_gives_twice_the_gradient():
    x = leaf(1.0, 2.0)
    loss = np.sum(np.exp(x) * x)
    loss.backward(retain_graph=True)
    once = x.grad.copy()
    loss.backward()
    np.testing.assert_array_equal(x.grad, 2 * once)


def test_backward_twice_without_retain_graph_names_retain_graph():
    x = leaf(1.0, 2.0)
    loss = np.sum(x * x)
    loss.backward()
    before = x.grad.copy()
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        loss.backward()
    np.testing.assert_array_equal(x.grad, before)


def test_a_freed_part_of_a_graph_is_an_error_from_another_root_too():
    x = leaf(1.0, 2.0)
    shared = x * x
    np.sum(shared).backward()
    with pytest.raises(RuntimeError, match="freed"):
        np.sum(shared * 2).backward()
    np.testing.assert_array_equal(x.grad, [2.0, 4.0])


# Accumulation ------------------------------------------------------------------------------------


def test_gradients_add_up_over_mini_batches():
    rng = np.random.default_rng(0)
    w = leaf(0.5, -1.0, 2.0)
    data = rng.normal(size=(12, 3))
    for batch in np.split(data, 4):
        np.sum((batch @ w) ** 2).backward()
    parts = w.grad
    w.grad = None
    np.sum((data @ w) ** 2).backward()
    np.testing.assert_allclose(parts, w.grad, rtol=1e-12)


def test_a_gradient_the_user_holds_does_not_change_when_more_is_added():
    x = leaf(1.0)
    (x * 2).backward()
    held = x.grad
    (x * 3).backward()
    assert held[0] == 2.0
    assert x.grad[0] == 5.0


def test_gradients_of_two_leaves_share_no_memory():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    seed = np.ones(2)
    (x + y).backward(seed)
    assert not np.shares_memory(x.grad, y.grad)
    assert not np.shares_memory(x.grad, seed)


# Mutation between forward and backward -----------------------------------------------------------


def written_in_place():
    return pytest.raises(RuntimeError, match="written in place")


def test_an_optimizer_step_between_forward_and_backward_is_an_error():
    w = leaf(1.0, 2.0)
    optimizer = rg.optim.SGD([w], lr=0.1)
    np.sum(w * w).backward()
    late = np.sum(w * w)
    optimizer.step()
    held = w.grad.copy()
    with written_in_place():
        late.backward()
    np.testing.assert_array_equal(w.grad, held)


def test_the_second_step_between_forward_and_backward_is_an_error_too():
    w = leaf(1.0, 2.0)
    optimizer = rg.optim.SGD([w], lr=0.1)
    for _ in range(2):
        np.sum(w * w).backward()
        optimizer.step()
    late = np.sum(w * w)
    optimizer.step()
    with written_in_place():
        late.backward()


@pytest.mark.parametrize("sizes", [(2,), (2, 3)], ids=["alone", "in one flat array"])
def test_a_view_made_before_a_step_is_an_error_after_it(sizes):
    ws = [leaf(*range(1, n + 1)) for n in sizes]
    optimizer = rg.optim.SGD(ws, lr=0.1)
    sum(np.sum(w * w) for w in ws).backward()
    late = np.sum(ws[0].reshape(2, 1).T * 3.0 * ws[0])
    optimizer.step()
    with written_in_place():
        late.backward()


def test_adding_in_place_under_no_grad_is_an_error_for_older_calls():
    x = leaf(1.0, 2.0)
    y = np.sum(np.exp(x))
    with rg.no_grad():
        x += 1
    with written_in_place():
        y.backward()
    assert x.grad is None


def test_a_write_is_seen_where_two_calls_go_backward_in_one_formula():
    x = rg.Tensor([[0.3, -0.2]], requires_grad=True)
    loss = rg.nn.functional.binary_cross_entropy(rg.nn.functional.sigmoid(x), np.ones((1, 2)))
    with rg.no_grad():
        x += 1
    with written_in_place():
        loss.backward()


@pytest.mark.parametrize("how", ["-=", "*=", "/=", "**=", "[]="])
def test_every_way_of_writing_is_seen(how):
    x = leaf(1.0, 2.0)
    y = np.sum(x * x)
    with rg.no_grad():
        if how == "-=":
            x -= 1
        elif how == "*=":
            x *= 2
        elif how == "/=":
            x /= 2
        elif how == "**=":
            x **= 2
        else:
            x[0] = 5.0
    with written_in_place():
        y.backward()


def test_calls_recorded_after_a_write_are_not_concerned():
    x = leaf(1.0, 2.0)
    with rg.no_grad():
        x += 1
    np.sum(x * x).backward()
    np.testing.assert_array_equal(x.grad, [4.0, 6.0])


def test_loading_a_state_dict_between_forward_and_backward_is_an_error():
    net = rg.nn.Linear(2, 1, rng=0)
    state = net.state_dict()
    loss = np.sum(net(np.ones((3, 2))))
    net.load_state_dict(state)
    with written_in_place():
        loss.backward()


def test_replacing_data_between_forward_and_backward_is_an_error():
    x = leaf(1.0, 2.0)
    y = np.sum(x * x)
    x.data = np.zeros(2)
    with written_in_place():
        y.backward()


SAME = rg.primitive(lambda x: x)
rg.defvjp(SAME, lambda g, out, x: g)


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.T,
        lambda x: x.reshape(-1),
        lambda x: x[1:],
        lambda x: x.T[0].reshape(1, -1),
        lambda x: np.broadcast_to(x, (3, 2, 2)),
        np.squeeze,
        SAME,
    ],
    ids=["transpose", "reshape", "slice", "view of a view", "broadcast", "squeeze", "identity"],
)
def test_a_view_of_a_leaf_sees_a_write_into_the_leaf(view):
    x = rg.Tensor(np.arange(4.0).reshape(2, 2), requires_grad=True)
    y = np.sum(view(x) ** 2)
    with rg.no_grad():
        x += 1
    with written_in_place():
        y.backward()


@pytest.mark.parametrize("view", [np.squeeze, SAME])
def test_a_computed_value_cannot_be_written_through_what_is_the_same_array(view):
    y = np.exp(leaf(1.0, 2.0))
    with rg.no_grad():
        same = view(y)
        with pytest.raises(TypeError, match="copy"):
            same += 1


@pytest.mark.parametrize("view", [lambda x: x[:1], np.squeeze, SAME])
def test_a_leaf_sees_a_write_into_its_view(view):
    x = leaf(0.0, 1.0)
    y = np.sum(x * x)
    with rg.no_grad():
        part = view(x)
        part += 1
    assert x.data[0] == 1.0
    with written_in_place():
        y.backward()


def test_a_leaf_sees_a_write_into_what_was_detached_from_it():
    x = leaf(1.0, 2.0)
    y = np.sum(x * x)
    same = x.detach()
    with rg.no_grad():
        same *= 2
    with written_in_place():
        y.backward()


@rg.no_grad()
def made_of(t):
    return rg.Tensor(t)  # in grad mode it is refused, since it would leave the graph


@pytest.mark.parametrize("door", [rg.Tensor.detach, made_of], ids=["detach", "Tensor"])
def test_a_computed_value_cannot_be_written_through_a_tensor_that_shares_its_memory(door):
    x = leaf(1.0, 2.0)
    y = np.exp(x)
    same = door(y)
    with rg.no_grad(), pytest.raises(TypeError, match="copy"):
        same += 1
    with rg.no_grad(), pytest.raises(TypeError, match="copy"):
        same[0] = 1.0
    np.sum(y).backward()
    np.testing.assert_array_equal(x.grad, np.exp([1.0, 2.0]))


def test_a_view_of_a_computed_value_made_under_no_grad_cannot_be_written():
    y = np.exp(leaf(1.0, 2.0))
    with rg.no_grad():
        view = y[:1]
        with pytest.raises(TypeError, match="copy"):
            view += 1
        copied = y.detach().copy()
        copied += 1


def test_an_intermediate_of_no_grad_can_be_written():
    with rg.no_grad():
        y = leaf(1.0, 2.0) * 2
        y += 1
        view = y[:1]
        view += 1
    np.testing.assert_array_equal(y.data, [4.0, 5.0])


# ndarray and Tensor ------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [2, 2.0, np.float64(2), np.array(2.0), np.array([2.0, 2.0])])
def test_what_numpy_multiplies_with_a_tensor_is_a_tensor(number):
    x = leaf(1.0, 3.0)
    for y in (number * x, x * number):
        assert type(y) is rg.Tensor
        assert y.dtype == np.float64
        x.grad = None
        np.sum(y).backward()
        np.testing.assert_array_equal(x.grad, [2.0, 2.0])


def test_every_operator_takes_an_array_on_either_side():
    a = np.array([2.0, 5.0])
    x = rg.Tensor([3.0, 4.0], requires_grad=True)
    b = x.data
    for got, want in [
        (a + x, a + b), (x + a, b + a), (a - x, a - b), (x - a, b - a),
        (a / x, a / b), (x / a, b / a), (a**x, a**b), (x**a, b**a),
        (a @ x, a @ b), (x @ a, b @ a), (a % x, a % b), (a // x, a // b),
        (a < x, a < b), (a >= x, a >= b), (a == x, a == b), (a != x, a != b),
    ]:  # fmt: skip
        assert type(got) is rg.Tensor
        np.testing.assert_array_equal(got.data, want)


def test_a_numpy_function_of_a_tensor_keeps_the_gradient():
    x = leaf(0.5, 1.5)
    y = np.exp(x)
    assert type(y) is rg.Tensor
    np.sum(y).backward()
    np.testing.assert_array_equal(x.grad, np.exp([0.5, 1.5]))


# float32 stays float32 ---------------------------------------------------------------------------


def test_float32_stays_float32_in_every_value_and_gradient():
    x = rg.Tensor(np.linspace(0.5, 2, 6, dtype=np.float32).reshape(2, 3), requires_grad=True)
    w = rg.Tensor(np.ones((3, 2), np.float32), requires_grad=True)
    y = np.tanh(x @ w * 2 + 0.5) ** 2
    z = np.log1p(np.sqrt(np.abs(y)) + np.mean(y, axis=0)) / 3
    loss = np.sum(np.where(z > 0.1, z, 0.0)) + np.max(z) + np.std(z)
    assert (y.dtype, z.dtype, loss.dtype) == (np.float32,) * 3
    for dx in rg.autograd.grad(loss, [x, w, y, z], retain_graph=True):
        assert dx.dtype == np.float32
    loss.backward()
    assert (x.grad.dtype, w.grad.dtype) == (np.float32, np.float32)


def test_where_dtypes_mix_each_leaf_gets_its_own_dtype():
    x = rg.Tensor(np.ones(2, np.float32), requires_grad=True)
    y = rg.Tensor(np.ones(2), requires_grad=True)
    z = x * y
    assert z.dtype == np.float64
    np.sum(z).backward()
    assert (x.grad.dtype, y.grad.dtype) == (np.float32, np.float64)


def test_a_net_of_float32_trains_in_float32():
    net = rg.nn.Sequential(rg.nn.Linear(3, 4, dtype=np.float32), rg.nn.Tanh(),
                           rg.nn.Linear(4, 1, dtype=np.float32))  # fmt: skip
    optimizer = rg.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    for _ in range(2):
        loss = rg.nn.functional.mse_loss(
            net(np.ones((5, 3), np.float32)), np.zeros((5, 1), np.float32)
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.dtype == np.float32
    assert {p.dtype for p in net.parameters()} == {np.dtype(np.float32)}
    assert {p.grad.dtype for p in net.parameters()} == {np.dtype(np.float32)}


# Integer leaves ----------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [1, [1, 2], np.arange(3), np.array([True])])
def test_an_integer_leaf_is_a_type_error_that_says_astype(data):
    with pytest.raises(TypeError, match=r"\.astype\(float\)"):
        rg.Tensor(data, requires_grad=True)
    with pytest.raises(TypeError, match=r"\.astype\(float\)"):
        rg.Tensor(data).requires_grad_()
    with pytest.raises(TypeError, match=r"\.astype\(float\)"):
        rg.Parameter(data)


@pytest.mark.parametrize("data", [1j, np.ones(2, np.complex64), [1.0, 2j]])
def test_a_complex_leaf_has_a_gradient_that_points_uphill(data):
    """As in PyTorch: the slopes along the real and the imaginary part, as one number."""
    z = rg.Tensor(data, requires_grad=True)
    np.sum(3 * z.real + 4 * z.imag).backward()
    assert z.grad.dtype == z.dtype
    np.testing.assert_array_equal(z.grad, np.full(z.shape, 3 + 4j))


# Shapes of gradients -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x_shape", "y_shape"),
    [((3,), (2, 3)), ((), (2, 3)), ((2, 1), (1, 3)), ((1,), ()), ((0, 3), (3,)), ((1, 1), (0, 1))],
)
def test_the_gradients_of_a_broadcast_where_have_the_inputs_shapes(x_shape, y_shape):
    x = rg.Tensor(np.ones(x_shape), requires_grad=True)
    y = rg.Tensor(np.ones(y_shape), requires_grad=True)
    shape = np.broadcast_shapes(x_shape, y_shape)
    mask = np.arange(np.prod(shape, dtype=int)).reshape(shape) % 2 == 0
    np.sum(np.where(mask, x, y)).backward()
    assert (x.grad.shape, y.grad.shape) == (x_shape, y_shape)
    assert np.sum(x.grad) == np.sum(mask)
    assert np.sum(y.grad) == np.sum(~mask)


def test_a_where_whose_condition_has_more_axes_gives_the_inputs_shapes():
    x = rg.Tensor(np.ones(3), requires_grad=True)
    np.sum(np.where(np.ones((4, 2, 3), bool), x, 0.0)).backward()
    np.testing.assert_array_equal(x.grad, [8.0, 8.0, 8.0])


@pytest.mark.parametrize(
    ("shape", "to"),
    [((3,), (2, 4, 3)), ((), (2, 3)), ((2, 1), (5, 2, 3)), ((1,), (0,)), ((0,), (2, 0)), ((), ())],
)
def test_the_gradient_of_broadcast_to_has_the_inputs_shape(shape, to):
    x = rg.Tensor(np.ones(shape), requires_grad=True)
    np.sum(np.broadcast_to(x, to)).backward()
    assert x.grad.shape == shape
    assert np.sum(x.grad) == np.prod(to)


@pytest.mark.parametrize(("a", "b"), [((), (2, 3)), ((3,), (2, 3)), ((1, 3), (2, 1)), ((0,), (1,))])
def test_the_gradients_of_every_operator_have_the_inputs_shapes(a, b):
    for operator in (np.add, np.subtract, np.multiply, np.divide, np.power, np.maximum):
        x = rg.Tensor(np.full(a, 2.0), requires_grad=True)
        y = rg.Tensor(np.full(b, 3.0), requires_grad=True)
        np.sum(operator(x, y)).backward()
        assert (x.grad.shape, y.grad.shape) == (a, b)


# Second derivatives ------------------------------------------------------------------------------


def test_second_and_third_derivatives_are_right():
    x = rg.Tensor(1.5, requires_grad=True)
    y = np.sin(x) * x**3
    (d1,) = rg.autograd.grad(y, x, create_graph=True)
    (d2,) = rg.autograd.grad(d1, x, create_graph=True)
    (d3,) = rg.autograd.grad(d2, x)
    s, c = np.sin(1.5), np.cos(1.5)
    assert d1.item() == pytest.approx(c * 1.5**3 + s * 3 * 1.5**2)
    assert d2.item() == pytest.approx(-s * 1.5**3 + 6 * c * 1.5**2 + s * 6 * 1.5)
    assert d3.item() == pytest.approx(-c * 1.5**3 - 9 * s * 1.5**2 + 18 * c * 1.5 + 6 * s)


def test_a_gradient_penalty_reaches_the_weights():
    w = leaf(0.5, -0.3)
    x = leaf(1.0, 2.0)
    y = np.tanh(np.sum(w * x))
    (dx,) = rg.autograd.grad(y, x, create_graph=True)
    np.sum(dx**2).backward()
    # d/dw of (1 - t^2)^2 |w|^2, t = tanh(w x)
    t, wd, xd = np.tanh(-0.1), w.data, x.data
    want = 2 * (1 - t**2) * (-2 * t * (1 - t**2)) * xd * (wd @ wd) + (1 - t**2) ** 2 * 2 * wd
    np.testing.assert_allclose(w.grad, want, rtol=1e-12)


# Grad mode ---------------------------------------------------------------------------------------


def test_grad_mode_is_each_threads_own():
    inside, seen = threading.Event(), []
    done = threading.Event()

    def other():
        seen.append(rg.is_grad_enabled())
        with rg.no_grad():
            inside.set()
            done.wait()
            seen.append(rg.is_grad_enabled())

    with rg.no_grad():
        thread = threading.Thread(target=other)
        thread.start()
        inside.wait()
    assert rg.is_grad_enabled()  # though the other thread is within no_grad
    done.set()
    thread.join()
    assert seen == [True, False]


def test_grad_mode_is_each_tasks_own():
    async def plain(entered, seen):
        await entered.wait()
        seen.append(rg.is_grad_enabled())

    async def without(entered, seen):
        with rg.no_grad():
            entered.set()
            await asyncio.sleep(0)
            seen.append(rg.is_grad_enabled())

    async def both():
        entered, first, second = asyncio.Event(), [], []
        await asyncio.gather(plain(entered, first), without(entered, second))
        return first, second

    assert asyncio.run(both()) == ([True], [False])


# No reference cycles -----------------------------------------------------------------------------


def test_training_leaves_nothing_for_the_garbage_collector(garbage):
    net = rg.nn.Sequential(rg.nn.Linear(3, 4, rng=0), rg.nn.ReLU(), rg.nn.Linear(4, 2, rng=1))
    optimizer = rg.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    x, target = np.ones((5, 3)), np.zeros(5, int)

    def train():
        for _ in range(3):
            loss = rg.nn.functional.cross_entropy(net(x), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    assert garbage(train) == 0


def test_graphs_that_are_kept_retained_or_dropped_leave_nothing_either(garbage):
    x = rg.Tensor(np.ones((3, 2)), requires_grad=True)

    def use():
        y = np.stack(np.split(np.exp(x[1:] @ x.T), 3, axis=1)).retain_grad()
        loss = np.sum(y * y.detach())
        loss.backward(retain_graph=True)
        (dx,) = rg.autograd.grad(loss, x, create_graph=True)
        np.sum(dx).backward()
        x.grad = None
        np.mean(x.T)  # never differentiated

    assert garbage(use) == 0
