"""Writes that differentiate: what a Tensor becomes by `t[index] = value`."""

import copy
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import retrograd as rg
from helpers import leaf
from retrograd.engine import is_stand_in
from retrograd.testing import gradcheck, gradgradcheck

X = np.array([0.3, -0.7])


def decay(x, n=5):
    xs = rg.Tensor(np.zeros(n))
    for i in range(n):
        xs[i] = x
        x = x - 0.5 * x * 0.2
    return xs


def test_an_array_that_is_built_by_writes_has_its_gradient():
    x = rg.Tensor(2.0, requires_grad=True)
    xs = decay(x)
    np.testing.assert_allclose(xs.data, 2 * 0.9 ** np.arange(5))
    np.sum(xs).backward()
    np.testing.assert_allclose(x.grad, np.sum(0.9 ** np.arange(5)))
    assert gradgradcheck(lambda x: np.sum(decay(x) ** 3), np.array(1.3))


def test_an_earlier_call_goes_on_to_mean_what_the_tensor_was():
    def f(x):
        t = np.exp(x)
        before = t * t
        t[0] = before[1] * x[0]
        between = np.sin(t)
        t[1] = t[0] + 2.0
        return before + between * t

    x = leaf(*X)
    a, b = np.exp(X)
    c = b * b * X[0]
    expected = [a * a + np.sin(c) * c, b * b + np.sin(b) * (c + 2)]
    np.testing.assert_allclose(f(x).data, expected)
    assert gradcheck(f, X)
    assert gradgradcheck(f, X)


# Programs of reads and writes

INDICES = [
    0, -1, (1, 0), (slice(None), 1), slice(0, 2), (slice(None, None, -1), 0), ..., (0, ..., None),
    [0, 0], [2, 1], ([0, 2], [1, 1]), np.array([True, False, True]), np.eye(3, 2, dtype=bool),
]  # fmt: skip


def _shape(index):
    return np.zeros((3, 2))[index].shape


def _fill(index, value):
    """Return a value that can be written where an index says, made of one of two numbers."""
    return value[0] * np.linspace(0.5, 1.5, int(np.prod(_shape(index)))).reshape(_shape(index))


STEPS = {
    "write a number": lambda t, i, x, kept: t.__setitem__(i, 0.75),
    "write": lambda t, i, x, kept: t.__setitem__(i, _fill(i, x)),
    "write what was read": lambda t, i, x, kept: t.__setitem__(i, np.sin(t[i]) * x[1]),
    "write all": lambda t, i, x, kept: t.__setitem__(..., t[::-1] * x),
    "move": lambda t, i, x, kept: t.__setitem__(slice(1, None), t[:-1]),
    "write itself": lambda t, i, x, kept: t.__setitem__(..., t),
    "add": lambda t, i, x, kept: _iadd(t, i, x),
    "add at": lambda t, i, x, kept: np.add.at(t, i, _fill(i, x)),
    "use": lambda t, i, x, kept: kept.append(np.cos(t) * x[0]),
    "use a part": lambda t, i, x, kept: kept.append(t[i] * t[i]),
    "use in another form": lambda t, i, x, kept: kept.append(np.exp(t.T) @ t),
    "copy": lambda t, i, x, kept: kept.append(t[i].copy()),
}
VIEWS = {
    **STEPS,
    "keep": lambda t, i, x, kept: kept.append(t[i]),
    "keep all": lambda t, i, x, kept: kept.append(t.T),
    "write into what was kept": lambda t, i, x, kept: _write_last(kept, x[1]),
}


def _weights(shape):
    return np.linspace(-1.0, 1.0, int(np.prod(shape))).reshape(shape)


def _write_last(kept, value):
    if kept[-1].ndim:  # a NumPy scalar cannot be written
        kept[-1][...] = value


def _iadd(t, i, x):
    t[i] += x[0]


def program(steps, start):
    """Return a function of two numbers that takes the steps on an array, or a Tensor."""

    def f(x):
        t = start(x)
        kept = []
        for step, index in steps:
            step(t, index, x, kept)
        return sum(np.sum(part * _weights(part.shape)) for part in (*kept, t))

    return f


def _zeros(x):
    return rg.Tensor(np.zeros((3, 2))) if isinstance(x, rg.Tensor) else np.zeros((3, 2))


STARTS = [_zeros, lambda x: np.exp(x * np.arange(6.0).reshape(3, 2) * 0.1)]


def programs(steps):
    step = st.tuples(st.sampled_from(sorted(steps)), st.sampled_from(range(len(INDICES))))
    return st.lists(step, min_size=1, max_size=6), st.sampled_from([0, 1])


@given(*programs(STEPS))
def test_programs_of_reads_and_writes_are_numpys_with_their_gradients(drawn, start):
    steps = [(STEPS[name], INDICES[i]) for name, i in drawn]
    f = program(steps, STARTS[start])
    gradient = rg.func.grad(f)
    along = np.array([0.6, -0.8])
    value, by_rules = rg.func.jvp(f, (X,), (along,))
    np.testing.assert_allclose(value.data, f(X), rtol=1e-12, atol=1e-12)
    ahead, behind = X + 1e-5 * along, X - 1e-5 * along
    np.testing.assert_allclose(by_rules.data, (f(ahead) - f(behind)) / 2e-5, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(gradient(X).data @ along, by_rules.data, rtol=1e-10, atol=1e-10)
    differences = (gradient(ahead).data - gradient(behind).data) / 2e-5
    second = rg.func.hvp(f, (X,), (along,))[0]
    np.testing.assert_allclose(second.data, differences, rtol=1e-5, atol=1e-6)


@given(*programs(VIEWS))
def test_where_views_are_kept_it_is_numpys_value_or_an_error(drawn, start):
    steps = [(VIEWS[name], INDICES[i]) for name, i in drawn]
    f = program(steps, STARTS[start])
    try:
        expected = f(X)
    except (IndexError, TypeError):  # nothing is kept yet, or a number is
        return
    for x in (leaf(*X), rg.Tensor(X)):
        try:
            found = f(x)
        except (TypeError, RuntimeError) as error:
            if not re.search("be seen by|a view of|does not support item", str(error)):
                raise
        else:
            np.testing.assert_allclose(found.data, expected, rtol=1e-12, atol=1e-12)


@given(*programs(STEPS))
@settings(max_examples=8)
def test_compiled_programs_of_reads_and_writes_give_the_same(drawn, start):
    steps = [(STEPS[name], INDICES[i]) for name, i in drawn]
    step = rg.func.value_and_grad(program(steps, STARTS[start]))
    compiled = rg.compile(lambda x: step(x))
    for x in (X, 2 * X, X[::-1]):
        for found, expected in zip(compiled(rg.Tensor(x)), step(x), strict=True):
            np.testing.assert_allclose(found.data, expected.data, rtol=1e-12, atol=1e-13)


# Who looks at the memory


def written_rows():
    x = leaf(*X)
    t = rg.Tensor(np.zeros((3, 2)))
    t[0] = x
    return t, x


@pytest.mark.parametrize(
    "take", [lambda t: t[0], lambda t: t[:, 1], lambda t: t.T, rg.Tensor.detach]
)
def test_a_write_that_a_view_would_not_see_names_it(take):
    for t in (written_rows()[0], rg.Tensor(np.zeros((3, 2)))):
        x, before = leaf(*X), t.data.copy()
        column = take(t)
        with pytest.raises(TypeError, match="not be seen by the Tensor column of shape"):
            t[0] = x
        np.testing.assert_array_equal(t.data, before)
        del column
        t[0] = x
        np.testing.assert_array_equal(t.data[0], X)


def test_a_name_of_its_own_names_a_view():
    t, x = written_rows()
    kept = [rg.name(t[0], "first")]
    with pytest.raises(TypeError, match="the Tensor first of shape"):
        t[0] = x
    assert len(kept) == 1


def test_a_view_of_other_elements_does_not_mind():
    for t in (written_rows()[0], rg.Tensor(np.zeros((3, 2)))):
        x, last, column = leaf(*X), t[2], t[1:, 0]
        t[0] = x
        t[1, 1] = x[0]
        np.testing.assert_array_equal(last.data, [0, 0])
        np.testing.assert_array_equal(column.data, [0, 0])


def test_a_write_into_a_view_names_its_base():
    for table in (
        written_rows()[0],
        rg.Tensor(np.zeros((3, 2))),
        np.exp(leaf(*X) * np.ones((3, 2))),
    ):
        row = table[1]
        with pytest.raises(TypeError, match="not be seen by the Tensor table of shape"):
            row[0] = leaf(*X)[0]


def test_a_view_of_what_nobody_holds_can_be_written():
    x = leaf(*X)
    row = np.exp(x * np.ones((3, 2))).reshape(2, 3)
    row[0] = x[0] * 2
    np.sum(row).backward()
    np.testing.assert_allclose(x.grad, [6 + np.exp(X[0]), 2 * np.exp(X[1])])


def test_a_view_whose_holder_was_not_found_raises_once_it_is_used():
    t, x = written_rows()
    row = t[0]
    y = np.sin(row)
    hides_it = row.data
    t[0] = 2 * x
    for use in (lambda: row + 1, lambda: row.data, lambda: row[0], lambda: row.requires_grad):
        with pytest.raises(RuntimeError, match="was taken as a view of a Tensor that was written"):
            use()
    assert "written" in repr(row)
    np.testing.assert_array_equal(hides_it, X)
    np.sum(y).backward()
    np.testing.assert_allclose(x.grad, np.cos(X))


def test_a_constant_is_seen_by_all_where_no_gradient_depends_on_it():
    t = rg.Tensor(np.zeros((3, 2)))
    row = t[0]
    t[0] = 1.5
    np.testing.assert_array_equal(row.data, [1.5, 1.5])


def test_an_array_that_a_tensor_was_made_of_is_not_written():
    array = np.zeros(2)
    t = rg.Tensor(array)
    t[0] = leaf(1.0)[0]
    np.testing.assert_array_equal(array, [0, 0])


# Costs


def test_elements_are_written_where_they_are_unless_the_old_are_needed():
    x = leaf(*X)
    t = rg.Tensor(np.zeros(1000))
    memory = t.data.ctypes.data
    for i in range(10):
        t[i] = x[0]
        np.sin(t[i])
        t[i : i + 2] += x[1]
    assert t.data.ctypes.data == memory
    kept = t * t
    t[0] = x[1]
    assert t.data.ctypes.data != memory
    memory = t.data.ctypes.data
    t[1] = x[1]
    assert t.data.ctypes.data == memory
    np.sum(kept).backward()


# What else a write touches


def test_leaves_that_require_grad_are_refused_with_what_to_write():
    x = leaf(*X)
    for write in (
        lambda: x.__setitem__(0, 5.0), lambda: np.put(x, [0], 5.0), lambda: np.add.at(x, [0], 5.0),
        lambda: np.copyto(x, 5.0), lambda: x[:1].__setitem__(0, 5.0),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=r"copy\(\)"):
            write()
    np.testing.assert_array_equal(x.data, X)


def test_under_no_grad_leaves_are_written_in_place():
    for x in (leaf(*X), rg.Tensor(X.copy())):
        view, y = x[:1], x * leaf(1.0, 1.0)
        with rg.no_grad():
            x[0] = 5.0
            np.add.at(x, [0, 0], 1.0)
            np.put(x, [1], 2.0)
        np.testing.assert_array_equal(x.data, [7.0, 2.0])
        np.testing.assert_array_equal(view.data, [7.0])
        with pytest.raises(RuntimeError, match="written in place"):
            np.sum(y).backward()


def test_under_no_grad_a_graph_is_not_lost():
    t, x = written_rows()
    with rg.no_grad(), pytest.raises(TypeError, match=r"no_grad.*detach\(\)\.copy\(\)"):
        t[0] = x


def test_constants_may_be_written_in_both_modes():
    t, x = rg.Tensor(np.zeros(2)), leaf(*X)
    t[0] = 1.0
    y = t * x
    with rg.no_grad():
        t[1] = 2.0
        t += 1
    np.testing.assert_array_equal(t.data, [2.0, 3.0])
    np.sum(y).backward()
    np.testing.assert_array_equal(x.grad, [1.0, 0.0])


def test_integers_do_not_swallow_a_gradient():
    t = rg.Tensor(np.zeros(2, int))
    with pytest.raises(TypeError, match=r"int\d+ would lose its gradient"):
        t[0] = leaf(1.0)[0]
    t[0] = 2.7
    np.testing.assert_array_equal(t.data, [2, 0])


def test_a_write_that_fails_changes_nothing():
    t, x = written_rows()
    row = t.data.copy()
    for wrong in (
        lambda: t.__setitem__(5, x), lambda: t.__setitem__(0, leaf(1.0, 2.0, 3.0)),
        lambda: t.__setitem__([0, 7], x), lambda: np.put(t, [99], x),
    ):  # fmt: skip
        with pytest.raises((IndexError, ValueError)):
            wrong()
    np.testing.assert_array_equal(t.data, row)
    np.sum(t).backward()
    np.testing.assert_array_equal(x.grad, [1.0, 1.0])


def test_hooks_stay_with_what_was_there_and_retained_gradients_with_what_is():
    t, x = written_rows()
    seen = []
    handle = t.retain_grad().register_hook(lambda g: seen.append(g.copy()))
    t[1] = x
    loss = np.sum(t * t)
    loss.backward(retain_graph=True)
    np.testing.assert_allclose(t.grad, 2 * t.data)
    np.testing.assert_allclose(seen, [[2 * X, [0, 0], [0, 0]]])
    handle.remove()
    loss.backward()
    assert len(seen) == 1


def test_a_freed_graph_says_so_also_to_earlier_calls():
    x = leaf(*X)
    t = rg.Tensor(np.zeros(2))
    apart = t * x
    t[0] = x[0]
    between = t * x
    t[1] = x[1]
    np.sum(t).backward()
    np.sum(apart).backward()
    with pytest.raises(RuntimeError, match="freed by an earlier backward"):
        np.sum(between).backward()


def test_arrays_that_index_are_copied():
    x, at = leaf(*X), np.array([0])
    t = rg.Tensor(np.zeros(2))
    t[at] = x[0]
    at[0] = 1
    t.backward(np.array([1.0, 10.0]))
    np.testing.assert_array_equal(x.grad, [1.0, 0.0])


def test_the_last_of_several_values_has_the_gradient():
    v = leaf(1.0, 2.0, 3.0)
    t = rg.Tensor(np.zeros(2))
    t[[0, 0, 1]] = v
    np.sum(t).backward()
    np.testing.assert_array_equal(v.grad, [0.0, 1.0, 1.0])


def test_lists_of_tensors_are_written():
    t, x = written_rows()
    t[1] = [x[1], 3.0]
    np.sum(t[1]).backward()
    np.testing.assert_array_equal(x.grad, [0.0, 1.0])


def test_float32_stays():
    x = rg.Tensor(np.float32([1.0, 2.0]), requires_grad=True)
    t = rg.Tensor(np.zeros(2, np.float32))
    t[0] = x[0]
    t[1] = leaf(1.0)[0]
    assert t.dtype == np.float32
    np.sum(t).backward()
    assert x.grad.dtype == np.float32


def test_it_is_told_as_a_call():
    t, x = written_rows()
    t[1] = x
    assert repr(t.call) == "written(float64[3, 2], float64[2], 1)"
    assert "call=written" in repr(t)
    before = t.inputs[0]
    assert is_stand_in(before._array)
    text = str(rg.explain(np.sum(t)))
    assert "written(before, x, 1)" in text
    assert "written over since" in text
    assert rg.draw(np.sum(t)).svg.count("written") >= 1


def test_what_only_watches_hears_of_it():
    with rg.detect_anomaly():
        t, x = written_rows()
        t[1] = np.sin(t[0])
        np.sum(t).backward()
    np.testing.assert_allclose(x.grad, 1 + np.cos(X))


def test_a_written_leaf_can_be_copied():
    t = rg.Tensor(np.zeros(2))
    t[0] = 1.0
    for twin in (copy.copy(t), copy.deepcopy(t)):
        twin[1] = 2.0
        np.testing.assert_array_equal(twin.data, [1.0, 2.0])
    np.testing.assert_array_equal(t.data, [1.0, 0.0])


# Transforms and programs


def shifted(v):
    t = v * 1.0
    t[0] = v[1] ** 2
    return t


def test_transforms_run_through_writes():
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_allclose(rg.func.vmap(shifted)(x).data, [[4.0, 2.0], [16.0, 4.0]])
    each = rg.func.vmap(rg.func.grad(lambda v: np.sum(shifted(v))))(x)
    np.testing.assert_allclose(each.data, [[0.0, 5.0], [0.0, 9.0]])
    np.testing.assert_allclose(
        rg.func.hessian(lambda v: np.sum(shifted(v)))(x[0]).data, [[0, 0], [0, 2]]
    )
    with pytest.raises(TypeError, match="write into a copy"):
        rg.func.vmap(lambda v: v.__setitem__(0, 1.0))(x)
