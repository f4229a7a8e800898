"""Steps of which C does what it can, beside those of NumPy alone."""

import functools
import threading

import numpy as np
import pytest

import retrograd as rg
from retrograd.compiler.c.assembly import uses_numpy

pytestmark = pytest.mark.usefixtures("compiler")
nn, F = rg.nn, rg.nn.functional


OPTIMIZERS = (
    lambda parameters: rg.optim.SGD(parameters, lr=0.1),
    lambda parameters: rg.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=0.01),
    lambda parameters: rg.optim.Adam(parameters, lr=0.01),
    lambda parameters: rg.optim.AdamW(parameters, lr=0.01),
)


def make_step(target, kind, which, dtype):
    """Return a step, its arguments and its model."""
    rng = np.random.default_rng(0)
    if kind == "record":
        layers = [nn.Linear(2, 4, rng=1), nn.ReLU(), nn.Linear(4, 1, rng=2), nn.Sigmoid()]
        x = rng.normal(size=(200, 2))
        y, loss_of = (x[:, :1] * x[:, 1:] > 0).astype(dtype), F.binary_cross_entropy
    else:
        layers = [nn.Linear(64, 32, rng=1), nn.Tanh(), nn.Linear(32, 10, rng=2)]
        x = rng.normal(size=(50, 64))
        y, loss_of = rng.integers(0, 10, 50), F.cross_entropy
    model = nn.Sequential(*layers)
    for p in model.parameters():
        p.data = p.data.astype(dtype)
    optimizer = OPTIMIZERS[which](model.parameters())

    @rg.compile(target=target)
    def step(x, y):
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step, (x.astype(dtype), y), model


@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize(("kind", "dtype"), [("record", np.float64), ("digits", np.float32)])
def test_a_step_trains_as_the_numpy_program_does(kind, which, dtype):
    (ours, batch, model), (theirs, _, other) = (
        make_step(target, kind, which, dtype) for target in ("c", "numpy")
    )
    rounding = np.finfo(dtype).eps
    for _ in range(6):
        a, b = ours(*batch), theirs(*batch)
        assert a.dtype == dtype
        np.testing.assert_allclose(a.data, b.data, rtol=200 * rounding)
    assert not uses_numpy(ours.programs[-1].code)
    # the first steps of Adam have the size of the rate, whatever the gradient
    size = 3e4 if which > 1 else 200
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(p.data, q.data, rtol=0, atol=size * rounding)
        scale = np.abs(q.grad).max() + 1
        np.testing.assert_allclose(p.grad, q.grad, rtol=0, atol=size * rounding * scale)


def test_what_has_no_form_in_c_is_numpys_call_between_parts():
    @rg.compile(target="c")
    def step(x):
        y = np.exp(x) + 1
        return np.linalg.inv(y) * 2 - np.sort(x, axis=0)

    x = np.random.default_rng(0).normal(size=(5, 5))
    for _ in range(4):
        found = step(x)
        np.testing.assert_allclose(
            found.data, np.linalg.inv(np.exp(x) + 1) * 2 - np.sort(x, axis=0)
        )
    names = {step.call.fn for step in uses_numpy(step.programs[-1].code)}
    assert np.linalg.inv in names
    assert np.exp not in names


def test_arguments_in_any_order_in_memory_give_the_same():
    @rg.compile(target="c")
    def step(x, s):
        return np.tanh(x).sum(axis=0) * s

    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 4))
    wide = np.zeros((6, 12))
    wide[:, ::3] = x
    odd = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(np.float64).reshape(x.shape)
    expected = np.tanh(x).sum(axis=0) * 2
    for given in (x, np.asfortranarray(x), wide[:, ::3], x[::-1][::-1], odd, x, x):
        np.testing.assert_allclose(step(given, np.float64(2)).data, expected, rtol=1e-14)
    assert len(step.programs) == 1


def test_a_rate_may_be_any_number():
    w = rg.Tensor(np.ones(3), requires_grad=True)
    optimizer = rg.optim.SGD([w], lr=0.5)

    @rg.compile(target="c")
    def step(x):
        optimizer.zero_grad()
        loss = np.sum(w * x)
        loss.backward()
        optimizer.step()
        return loss

    expected = np.ones(3)
    for lr in (0.5, 0.5, 0.5, np.float32(0.25), 1, np.float64(2), 0.5):
        optimizer.param_groups[0]["lr"] = lr
        step(np.arange(3.0))
        expected = expected - float(lr) * np.arange(3.0)
        np.testing.assert_allclose(w.data, expected)


def test_a_wrong_class_number_raises_and_trains_nothing():
    step, (x, y), model = make_step("c", "digits", 2, np.float64)
    for _ in range(4):
        step(x, y)
    before = [p.data.copy() for p in model.parameters()]
    with pytest.raises(IndexError, match="a loss of 10 classes got class number 77"):
        step(x, np.where(np.arange(50) == 7, 77, y))
    for p, old in zip(model.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.data, old)
    step(x, np.where(np.arange(50) == 7, -100, y))


def test_what_is_written_and_read_in_one_run_is_in_order():
    t = rg.Tensor(np.arange(6.0).reshape(2, 3))

    def run(x):
        nonlocal t
        with rg.no_grad():
            before = t * 1
            t[...] = np.exp(x) + t
            t += before.T.reshape((2, 3))
            first = t[0] * 2
            t[...] = t * 0.5
        return before, first, t + 1

    results = []
    for target in ("c", "numpy"):
        t.data[...] = np.arange(6.0).reshape(2, 3)
        step = rg.compile(run, target=target)
        for _ in range(5):
            found = [r.data for r in step(np.ones((2, 3)))]
        results.append([*found, t.data.copy()])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-15)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, bool])
def test_reductions_over_any_axes_are_numpys(dtype):
    x = np.random.default_rng(0).normal(size=(3, 40, 30, 1)) * 2
    x = x.astype(dtype)
    axes = [None, 0, 1, 2, 3, -2, (0, 1), (1, 2), (0, 2), (0, 1, 2), (0, 1, 2, 3)]
    functions = [np.sum, np.max, np.min, np.all, np.any]
    functions += [np.mean, np.prod] if np.dtype(dtype).kind == "f" else []

    def run(x):
        turned = np.transpose(x, (2, 0, 3, 1))
        found = [f(x, axis=axis) for f in functions for axis in axes]
        found += [f(turned, axis=axis, keepdims=True) for f in functions for axis in axes]
        return [*found, np.sum(x[:, ::2, 1:] * x[:, ::-2, :-1], axis=(0, 2))]

    step = rg.compile(run, target="c")
    with np.errstate(over="ignore"):
        step(x)
        found, expected = step(x), run(x)
    assert not uses_numpy(step.programs[-1].code)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        if b.dtype.kind == "f":
            b, precise = np.asarray(b), np.sum(np.abs(x)) * np.finfo(b.dtype).eps
            np.testing.assert_allclose(
                a.data, b, rtol=1e3 * np.finfo(b.dtype).eps, atol=4 * precise
            )
        else:
            np.testing.assert_array_equal(a.data, b)


def test_sums_with_nan_and_inf_are_so_too():
    step = rg.compile(
        lambda x: (np.sum(x, axis=1), np.max(x, axis=1), np.min(x, axis=0)), target="c"
    )
    x = np.ones((4, 700))
    x[0, 3], x[1, 650], x[2, :2] = np.nan, np.inf, (np.inf, -np.inf)
    with np.errstate(invalid="ignore"):
        for _ in range(3):
            found = step(x)
        expected = np.sum(x, axis=1), np.max(x, axis=1), np.min(x, axis=0)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a.data, b)


def test_threads_take_turns():
    step, (x, y), _ = make_step("c", "record", 0, np.float64)
    other = rg.compile(lambda x: np.sum(np.exp(x), axis=1), target="c")
    expected, wrong = np.sum(np.exp(x), axis=1), []

    def work(seed):
        for _ in range(50):
            step(x, y)
            if not np.allclose(other(x).data, expected):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_two_programs_of_one_source_have_memory_of_their_own():
    steps = [make_step("c", "record", 1, np.float64) for _ in range(2)]
    for _ in range(5):
        a = steps[0][0](*steps[0][1])
    for _ in range(5):
        b = steps[1][0](*steps[1][1])
    assert a.item() == b.item()


def test_gradients_flow_through_a_compiled_model():
    model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.Tanh(), nn.Linear(4, 2, rng=1))
    compiled, x = rg.compile(model, target="c"), np.random.default_rng(0).normal(size=(5, 3))
    for _ in range(6):
        grads = []
        for net in (model, compiled):
            model.zero_grad()
            np.sum(net(x) ** 2).backward()
            grads.append([p.grad.copy() for p in model.parameters()])
        for a, b in zip(*grads, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14)


def test_an_argument_in_memory_that_is_written_is_refused():
    """C may write there before it has read, and NumPy's order would be lost."""
    w = rg.Tensor(np.arange(4.0))

    @functools.partial(rg.compile, target="c")
    def step(x):
        with rg.no_grad():
            w.__iadd__(np.ones(4))
        return np.sum(x)

    for i in range(3):
        assert step(w.data.copy()).item() == 6 + 4 * i
    before = w.data.copy()
    for shared in (w.data, w.data[::-1], w.data.view()):
        with pytest.raises(ValueError, match="x shares memory with an array that this program"):
            step(shared)
    np.testing.assert_array_equal(w.data, before)
    assert step(w.data.copy()).item() == before.sum()
