"""Every way by which NumPy, Python, SciPy and others take values out of a Tensor.

Without a gradient nothing can be lost, and each way works. With one, a way that asks for an array
is refused, one that asks for a number warns, once a line, and is refused inside a transform.
"""

import array
import cmath
import contextlib
import io
import json
import math
import operator
import random
import re
import statistics
import struct
import warnings

import numpy as np
import pytest
from scipy import integrate, optimize
from scipy import linalg as scipy_linalg
from scipy import special as scipy_special

import retrograd as rg


def set_item(a, t):
    a[0] = t
    return a


def add_to_item(a, t):
    a[1] += t
    return a


def filled(t):
    a = np.zeros(2)
    a.fill(t)
    return a


NUMBERS = {  # each takes a 0-d Tensor
    "float": float,
    "int": int,
    "complex": complex,
    "math.sin": math.sin,
    "math.hypot": lambda t: math.hypot(t, 2.0),
    "math.fsum": lambda t: math.fsum([t, 1.0]),
    "math.floor": math.floor,
    "math.isclose": lambda t: math.isclose(t, 1.0),
    "cmath.sin": cmath.sin,
    "statistics.fmean": lambda t: statistics.fmean([t, 1.0]),
    "struct.pack": lambda t: struct.pack("d", t),
    "array.array": lambda t: array.array("d", [t]),
    "'%f' % t": lambda t: f"{1.0}" + "%f" % t,  # noqa: UP031, that way of formatting is meant
    "array[i] = t": lambda t: set_item(np.zeros(2), t),
    "array[i] += t": lambda t: add_to_item(np.zeros(2), t),
    "array.fill": filled,
    "np.fromiter": lambda t: np.fromiter([t, t], float),
    "np.float64": np.float64,
    "random.choices": lambda t: random.Random(0).choices([1, 2], weights=[t, 1.0]),
    "scipy.integrate.quad": lambda t: integrate.quad(lambda x: x * t, 0.0, 1.0)[0],
    "scipy.optimize.brentq": lambda t: optimize.brentq(lambda x: x - t, 0.0, 3.0),
    "rng.integers": lambda t: np.random.default_rng(0).integers(int(t), 9),
}

ARRAYS = {  # each takes a Tensor of two probabilities
    "np.asarray": np.asarray,
    "np.array": lambda t: np.array(t),
    "np.array of a list": lambda t: np.array([t, t]),
    "np.array of nested lists": lambda t: np.array([[t[0], 1.0], [2.0, t[1]]]),
    "np.float32": np.float32,
    "array[:] = t": lambda t: set_slice(np.zeros(2), t),
    "array[:] = [t, t]": lambda t: set_slice(np.zeros(2), [t[0], t[1]]),
    "array.dot": lambda t: np.ones(2).dot(t),
    "array.searchsorted": lambda t: np.arange(3.0).searchsorted(t),
    "array.put": lambda t: np.zeros(2).put([0, 1], t),
    "rng.choice": lambda t: np.random.default_rng(0).choice(2, p=t),
    "rng.normal": lambda t: np.random.default_rng(0).normal(t),
    "np.random.RandomState": lambda t: np.random.RandomState(0).multinomial(3, t),
    "assert_allclose": lambda t: np.testing.assert_allclose(t, [0.5, 0.5]),
    "scipy.linalg": lambda t: scipy_linalg.norm(t),
    "memory of another dtype": lambda t: np.array(t, np.float32),
}


def set_slice(a, value):
    a[:] = value
    return a


def changed(change, *args):
    """An array of two ones after a call that writes into it."""
    a = np.ones(2)
    change(a, *args)
    return a


def saved(save, t):
    file = io.BytesIO()
    save(file, t)
    return file.getvalue()


CALLS = {  # each is answered by the Tensor, which takes two elements or one
    "array += t": lambda t: changed(operator.iadd, t),
    "array *= t": lambda t: changed(operator.imul, t),
    "array[0:1] += t[0]": lambda t: operator.iadd(np.ones(3)[0:1], t[0]),
    "ufunc(out=)": lambda t: np.exp(t, out=np.ones(2)),
    "ufunc(a, b, out)": lambda t: np.add(t, t, np.ones(2)),
    "np.sum(out=)": lambda t: np.sum(t, out=np.ones(())),
    "np.sum(a, axis, dtype, out)": lambda t: np.sum(t, 0, None, np.ones(())),
    "np.argmax(out=)": lambda t: np.argmax(t, out=np.zeros((), np.intp)),
    "np.add.reduce(out=)": lambda t: np.add.reduce(t, out=np.ones(())),
    "np.add.at": lambda t: changed(np.add.at, [0, 0], t),
    "np.subtract.reduceat": lambda t: np.subtract.reduceat(t, [0]),
    "np.copyto": lambda t: changed(np.copyto, t),
    "np.put": lambda t: changed(np.put, [0, 1], t),
    "np.place": lambda t: changed(np.place, [True, True], t),
    "np.putmask": lambda t: changed(np.putmask, [True, False], t),
    "np.full_like": lambda t: np.full_like(np.ones(2), t),
    "np.frompyfunc": lambda t: np.frompyfunc(lambda x: x + 1, 1, 1)(t),
    "np.save": lambda t: saved(np.save, t),
    "np.savetxt": lambda t: saved(np.savetxt, t),
    "np.savez": lambda t: np.load(io.BytesIO(saved(np.savez, t)))["arr_0"],
    "scipy.special": lambda t: scipy_special.ellipk(t),
}


@contextlib.contextmanager
def refused(kind, match):
    """An error of this kind, or what NumPy in `array[i] = t`, or struct, makes of it."""
    with pytest.raises((kind, ValueError, struct.error)) as found:
        yield
    error = found.value if isinstance(found.value, kind) else found.value.__cause__
    if not isinstance(found.value, struct.error):
        assert isinstance(error, kind)
        assert re.search(match, str(error))


@pytest.fixture
def number():
    return rg.Tensor(1.25)


@pytest.fixture
def pair():
    return rg.Tensor([0.5, 0.5])


@pytest.mark.parametrize("way", NUMBERS.values(), ids=NUMBERS)
def test_a_number_without_a_gradient_is_taken_quietly(way, number):
    np.testing.assert_equal(way(number), way(np.array(1.25)))


@pytest.mark.parametrize("way", NUMBERS.values(), ids=NUMBERS)
def test_a_number_with_a_gradient_is_taken_with_a_warning_at_the_line(way, number):
    with pytest.warns(UserWarning, match=r"gradient is lost.*t\.item\(\).*np\.stack") as found:
        way(number.requires_grad_() * 1.0)
    assert found[0].filename == __file__


def test_the_warning_comes_once_a_line(number):
    t = number.requires_grad_()
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("default")
        for _ in range(3):
            float(t)
        float(t)
    assert len(found) == 2


def test_nothing_is_lost_and_nothing_said_where_gradients_are_off(number):
    t = number.requires_grad_()
    with rg.no_grad():
        assert math.sin(t) == math.sin(1.25)


@pytest.mark.parametrize("way", NUMBERS.values(), ids=NUMBERS)
def test_a_transform_refuses_to_make_a_number_of_its_variable(way):
    def f(x):
        way(x)
        return x * x

    with refused(TypeError, r"took a value out of the graph.*t\.item\(\)|t\.detach\(\)"):
        rg.func.grad(f)(1.25)


@pytest.mark.parametrize("way", ARRAYS.values(), ids=ARRAYS)
def test_an_array_is_made_of_a_tensor_without_a_gradient(way, pair):
    np.testing.assert_equal(way(pair), way(np.array([0.5, 0.5])))


@pytest.mark.parametrize("way", ARRAYS.values(), ids=ARRAYS)
def test_no_array_is_made_of_a_tensor_that_requires_grad(way, pair):
    with pytest.raises(TypeError, match=r"t\.detach\(\)"):
        way(pair.requires_grad_())
    with pytest.raises(TypeError, match=r"t\.detach\(\)"):
        rg.func.grad(lambda x: (way(x), np.sum(x))[1])(np.array([0.5, 0.5]))


@pytest.mark.parametrize("way", CALLS.values(), ids=CALLS)
def test_a_call_that_no_rule_answers_gives_arrays_where_there_is_no_gradient(way, pair):
    got = way(pair)
    assert not isinstance(got, rg.Tensor)
    np.testing.assert_equal(got, way(np.array([0.5, 0.5])))
    with rg.no_grad():
        np.testing.assert_equal(way(pair.requires_grad_()), got)


@pytest.mark.parametrize("way", CALLS.values(), ids=CALLS)
def test_a_call_that_no_rule_answers_is_refused_where_there_is_a_gradient(way, pair):
    with pytest.raises(TypeError, match=r"write|not supported"):
        way(pair.requires_grad_())
    with pytest.raises(TypeError, match=r"write|not supported"):
        rg.func.grad(lambda x: (way(x), np.sum(x))[1])(np.array([0.5, 0.5]))


def test_nothing_is_written_into_a_tensor_by_a_function_that_knows_none(pair):
    for write in (
        lambda: np.exp([1.0, 2.0], out=pair), lambda: np.multiply.at(pair, [0], 1.0),
        lambda: np.clip([1.0, 2.0], 0.0, 1.0, out=pair),
    ):  # fmt: skip
        with pytest.raises(TypeError, match="write"):
            write()
    assert pair.tolist() == [0.5, 0.5]


def test_an_array_is_made_like_no_tensor(pair):
    with pytest.raises(TypeError, match="like="):
        np.zeros(2, like=pair)


def test_an_array_is_clipped_by_tensors():
    low, high = (rg.Tensor(v, requires_grad=True) for v in (0.25, 0.75))
    np.sum(np.array([0.0, 0.5, 1.0, 2.0]).clip(low, high)).backward()
    assert (low.grad, high.grad) == (1.0, 2.0)


def test_an_array_is_indexed_by_tensors_without_a_gradient():
    a = np.arange(3.0)
    np.testing.assert_array_equal(a[rg.Tensor(np.array([2, 0]))], [2.0, 0.0])
    np.testing.assert_array_equal(a[rg.Tensor([1.0, 0.0, 1.0]) > 0.5], [0.0, 2.0])
    with_gradient = rg.Tensor([1.0, 0.0, 1.0], requires_grad=True)
    np.testing.assert_array_equal(a[with_gradient > 0.5], [0.0, 2.0])  # a mask has none
    assert ["a", "b"][rg.Tensor(np.array(1))] == "b"


def test_the_array_is_the_tensors_own_or_a_copy_as_numpy_has_it(pair):
    assert np.asarray(pair) is pair.data
    assert not np.shares_memory(np.array(pair), pair.data)
    assert np.asarray(pair, dtype=np.float32).dtype == np.float32
    with pytest.raises(ValueError, match="copy"):
        np.array(pair, dtype=np.float32, copy=False)


ASKED = {
    "t.item()": lambda t: t.item(),
    "t.data": lambda t: t.data,
    "t.numpy()": lambda t: t.numpy(),
    "t.tolist()": lambda t: t.tolist(),
    "t.detach()": lambda t: np.asarray(t.detach()),
    "format": lambda t: f"{t:.2f}",
    "json": lambda t: json.dumps(t.tolist()),
}


@pytest.mark.parametrize("way", ASKED.values(), ids=ASKED)
def test_what_is_asked_for_by_name_is_quiet(way, number):
    np.testing.assert_equal(way(number.requires_grad_()), way(rg.Tensor(1.25)))


@pytest.mark.parametrize("way", (NUMBERS | ARRAYS).values(), ids=[*NUMBERS, *ARRAYS])
def test_no_value_is_taken_while_a_function_is_compiled(way, number, pair):
    given = number if way in NUMBERS.values() else pair

    @rg.compile
    def step(x):
        way(x * 1.0)
        return x

    with refused(rg.TraceError, "cannot be compiled"):
        step(given)


def test_matplotlib_draws_a_tensor_without_a_gradient(pair):
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    (line,) = axes.plot(rg.Tensor([0.0, 1.0]), pair)
    np.testing.assert_array_equal(line.get_ydata(), [0.5, 0.5])
    axes.imshow(rg.Tensor(np.ones((2, 2))))


def test_scipy_takes_a_tensor_without_a_gradient(pair):
    from scipy import interpolate, stats

    assert interpolate.interp1d(rg.Tensor([0.0, 1.0]), pair)(0.5) == 0.5
    assert stats.norm.pdf(pair, 0.0, 1.0).shape == (2,)


def test_scikit_learn_takes_a_tensor_without_a_gradient():
    from sklearn.linear_model import LinearRegression
    from sklearn.metrics import accuracy_score

    x, y = rg.Tensor([[0.0], [1.0], [2.0]]), rg.Tensor([0.0, 2.0, 4.0])
    assert LinearRegression().fit(x, y).coef_ == pytest.approx([2.0])
    assert accuracy_score(rg.Tensor([0.0, 1.0]) > 0.5, np.array([False, True])) == 1.0


def test_an_update_that_would_train_nothing_is_refused():
    p = rg.nn.Parameter([1.0, 2.0])
    np.sum(p * p).backward()
    for update in (lambda p: p.__isub__(p.grad), lambda p: p.__imul__(0.5)):
        with pytest.raises(TypeError, match=r"rg\.no_grad\(\)"):
            update(p)
    np.testing.assert_array_equal(p.data, [1.0, 2.0])
    with rg.no_grad():
        p -= 0.5 * p.grad
    np.testing.assert_array_equal(p.data, [0.0, 0.0])
    y = p * 2  # of a Tensor that was computed, or has no gradient, it makes a new one
    y += 1
    x = rg.Tensor([1.0])
    z = x
    z += p[:1]
    assert z is not x
    assert z.requires_grad
