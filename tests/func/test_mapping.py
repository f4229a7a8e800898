"""`vmap` by itself, in other transforms and they in it, against a loop over the entries."""

import numpy as np
import pytest

import retrograd as rg
from comparing import assert_compiled_agrees
from retrograd.func import (
    checkpoint,
    functional_call,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    value_and_grad,
    vjp,
    vmap,
)
from retrograd.nn import functional as F

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 3))
Y = RNG.normal(size=5)
PARAMS = {"w": RNG.normal(size=(4, 3)), "b": RNG.normal(size=4), "v": RNG.normal(size=4)}


def loss(params, x, y):
    return (np.tanh(params["w"] @ x + params["b"]) @ params["v"] - y) ** 2


def special_loss(params, x, y):
    hidden = F.softplus(F.linear(x, params["w"], params["b"]))
    return np.sum(rg.special.gammaln(1.0 + hidden * F.sigmoid(params["v"]))) * y


def loop(f, *batches):
    return [f(*entry) for entry in zip(*batches, strict=True)]


def stacked(trees):
    leaves = zip(*map(rg.tree.leaves, trees), strict=True)
    return [np.stack([np.asarray(t) for t in ts]) for ts in leaves]


def assert_same(got, want):
    found = [np.asarray(t) for t in rg.tree.leaves(got)]
    assert len(found) == len(want)
    for a, b in zip(found, want, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


INSIDE = {
    "grad": lambda f, x, y: grad(f)(PARAMS, x, y),
    "value_and_grad": lambda f, x, y: value_and_grad(f)(PARAMS, x, y),
    "jacobian": lambda f, x, y: jacobian(lambda x: np.outer(x, f(PARAMS, x, y)))(x),
    "hessian": lambda f, x, y: hessian(f, 1)(PARAMS, x, y),
    "jvp": lambda f, x, y: jvp(lambda x: f(PARAMS, x, y), (x,), (X[0],)),
    "vjp": lambda f, x, y: vjp(lambda x: f(PARAMS, x, y), x)[1](2.0),
    "hvp": lambda f, x, y: hvp(lambda x: f(PARAMS, x, y), (x,), (X[1],)),
    "checkpoint": lambda f, x, y: checkpoint(f, PARAMS, x, y),
    "compile": lambda f, x, y: rg.compile(f)(PARAMS, x, y),
}


@pytest.mark.parametrize("of", [loss, special_loss])
@pytest.mark.parametrize("inside", INSIDE.values(), ids=INSIDE)
def test_other_transforms_stand_in_vmap(inside, of):
    assert_same(
        vmap(lambda x, y: inside(of, x, y))(X, Y),
        stacked(loop(lambda x, y: inside(of, x, y), X, Y)),
    )


@pytest.mark.parametrize("of", [loss, special_loss])
@pytest.mark.parametrize("around", [grad, jacobian, hessian])
def test_vmap_stands_in_other_transforms(around, of):
    def mapped(p):
        return np.sum(np.sin(vmap(of, (None, 0, 0))(p, X, Y)))

    def looped(p):
        return np.sum(np.sin(np.stack(loop(lambda x, y: of(p, x, y), X, Y))))

    p = PARAMS if around is not hessian else {"b": PARAMS["b"]}
    if around is hessian:
        rest = {k: v for k, v in PARAMS.items() if k != "b"}
        got, want = (around(lambda q, f=f: f({**rest, **q}))(p) for f in (mapped, looped))
    else:
        got, want = around(mapped)(p), around(looped)(p)
    assert_same(got, [np.asarray(t) for t in rg.tree.leaves(want)])


@pytest.mark.parametrize("of", [loss, special_loss])
def test_a_loss_of_gradients_of_samples_trains(of):
    """A gradient through vmap of a gradient, for shared parameters and for what is mapped over."""

    def mapped(p, x):
        return np.sum(vmap(grad(of, 1), (None, 0, 0))(p, x, Y) ** 2)

    def looped(p, x):
        return sum(np.sum(grad(of, 1)(p, x[i], Y[i]) ** 2) for i in range(len(x)))

    got, want = grad(mapped, (0, 1))(PARAMS, X), grad(looped, (0, 1))(PARAMS, X)
    assert_same(got, [np.asarray(t) for t in rg.tree.leaves(want)])


def test_backward_reaches_leaves_that_the_function_finds_outside():
    w = rg.Tensor(PARAMS["w"], requires_grad=True)
    x = rg.Tensor(X, requires_grad=True)
    np.sum(vmap(lambda x: F.relu(w @ x).sum() ** 2)(x)).backward()
    v, z = (rg.Tensor(t.data, requires_grad=True) for t in (w, x))
    sum(F.relu(v @ z[i]).sum() ** 2 for i in range(5)).backward()
    np.testing.assert_allclose(w.grad, v.grad)
    np.testing.assert_allclose(x.grad, z.grad)


def test_what_is_stopped_or_not_recorded_inside_has_no_gradient_outside():
    x = rg.Tensor(X, requires_grad=True)

    def f(x):
        with rg.no_grad():
            y = x * 2.0
        return np.sum(x * y * rg.func.stop_gradient(x * 3.0))

    np.sum(vmap(f)(x)).backward()
    np.testing.assert_allclose(x.grad, 6.0 * X**2)


def test_nothing_is_recorded_where_nobody_differentiates():
    assert not vmap(grad(loss), (None, 0, 0))(PARAMS, X, Y)["w"].requires_grad
    x = rg.Tensor(X, requires_grad=True)
    with rg.no_grad():
        assert not vmap(np.sum)(x).requires_grad


def test_vmap_stands_in_itself():
    def f(x, y):
        return np.exp(x @ y) * x

    got = vmap(vmap(f, (None, 0)), (0, None))(X, X[:4])
    want = np.stack([[f(x, y) for y in X[:4]] for x in X])
    np.testing.assert_allclose(got.data, want)
    inner = grad(lambda x, y: np.sum(f(x, y)))
    got = vmap(vmap(inner, (None, 0)), (0, None))(X, X[:4])
    want = np.stack([[inner(x, y).data for y in X[:4]] for x in X])
    np.testing.assert_allclose(got.data, want)


def test_axes_are_ints_none_or_trees_of_these():
    args = {"a": X.T, "b": [Y, 2.0]}
    axes = ({"a": -1, "b": [0, None]},)

    def f(t):
        return {"s": t["a"] * t["b"][0] * t["b"][1], "c": t["b"][1]}

    got = vmap(f, in_axes=axes, out_axes={"s": 1, "c": None})(args)
    np.testing.assert_allclose(got["s"].data, X.T * Y * 2.0)
    assert got["c"].item() == 2.0
    np.testing.assert_array_equal(vmap(lambda x: (x, 1.0))(Y)[1].data, np.ones(5))


def test_a_batch_of_nothing_gives_the_shapes_of_something():
    got = vmap(grad(loss), (None, 0, 0))(PARAMS, X[:0], Y[:0])
    assert got["w"].shape == (0, 4, 3)
    x = rg.Tensor(X[:0], requires_grad=True)
    np.sum(vmap(np.exp)(x)).backward()
    assert x.grad.shape == (0, 3)


def test_integers_stay_integers_and_float32_stays_float32():
    table = np.arange(12.0, dtype=np.float32).reshape(4, 3)
    got = vmap(lambda i, x: (i + 1, rg.Tensor(table)[i] * x))(np.array([2, 0]), table[:2])
    assert got[0].dtype.kind == "i"
    assert got[1].dtype == np.float32
    np.testing.assert_array_equal(got[1].data, table[[2, 0]] * table[:2])


@pytest.mark.parametrize(
    "pick",
    [
        lambda x, i: x[i],
        lambda x, i: x[i, None] * 2,
        lambda x, i: rg.Tensor(X)[i] * x,
        lambda x, i: np.outer(x, x)[i, [0, 1]],
        lambda x, i: np.outer(x, x)[:, i],
        lambda x, i: np.take(x, i),
        lambda x, i: F.cross_entropy(x[None], i[None]),
        lambda x, i: F.embedding(i, x[:, None]),
    ],
)
def test_each_entry_may_have_an_index_of_its_own(pick):
    indices = np.array([0, 2, 1, 1, 2])

    def each(x, i):
        return grad(lambda x: np.sum(np.sin(pick(x, i))) + x[0] * 0)(x)

    want = loop(lambda x, i: each(rg.Tensor(x), rg.Tensor(i)), X, indices)
    assert_same(vmap(each)(X, indices), stacked(want))


def test_random_draws_are_one_for_each_entry():
    rng = np.random.default_rng(3)
    got = vmap(lambda x: x * 0 + rg.random.uniform(rng, (3,)))(X)
    np.testing.assert_array_equal(got.data, np.random.default_rng(3).random((5, 3)))
    dropped = vmap(lambda x: F.dropout(x, 0.5, rng=rng))(np.ones((50, 20)))
    assert len({row.tobytes() for row in dropped.data}) > 40
    nested = vmap(vmap(lambda x: rg.random.normal(rng)))(X)
    assert len(set(nested.data.reshape(-1))) == 15


def test_modules_are_functions_of_a_batch_of_parameters():
    net = rg.nn.Sequential(rg.nn.Linear(3, 4, rng=0), rg.nn.Tanh(), rg.nn.Linear(4, 1, rng=1))
    many = {k: np.stack([v + 0.1 * i for i in range(6)]) for k, v in net.state_dict().items()}
    got = vmap(lambda p: functional_call(net, p, X))(many)
    want = [functional_call(net, {k: v[i] for k, v in many.items()}, X).data for i in range(6)]
    np.testing.assert_allclose(got.data, want)


def step_of_samples():
    params = {name: rg.nn.Parameter(p) for name, p in PARAMS.items()}
    optimizer = rg.optim.SGD(params.values(), lr=0.1)

    def step(x, y):
        grads = vmap(grad(loss), (None, 0, 0))(params, x, y)
        optimizer.zero_grad()
        total = sum((np.sum(p * rg.func.stop_gradient(np.mean(np.tanh(grads[name]), axis=0)))
                     for name, p in params.items()), 0.0)  # fmt: skip
        total.backward()
        optimizer.step()
        return total

    return step, optimizer


def losses_of_samples():
    net = rg.nn.Sequential(rg.nn.Linear(3, 4, rng=0), rg.nn.ReLU(), rg.nn.Linear(4, 1, rng=1))
    optimizer = rg.optim.Adam(net.parameters(), lr=0.1)

    def step(x, y):
        optimizer.zero_grad()
        value = np.mean(vmap(lambda x, y: F.mse_loss(net(x)[0], y))(x, y))
        value.backward()
        optimizer.step()
        return value

    return step, net


@pytest.mark.parametrize("make", [step_of_samples, losses_of_samples])
def test_a_compiled_step_computes_what_the_function_does(make):
    assert_compiled_agrees(make, [(X + 0.1 * i, Y - 0.1 * i) for i in range(6)])


def test_a_compiled_step_draws_for_each_entry():
    rng = np.random.default_rng(0)
    draw = rg.compile(lambda x: vmap(lambda x: x + rg.random.uniform(rng))(x))
    assert len({v for _ in range(4) for v in draw(np.zeros(5)).data}) == 20


def test_report_tells_what_ran_one_by_one():
    vmap.report()
    vmap(lambda x: np.sum(np.exp(x)))(X)
    assert vmap.report() == {}
    vmap(lambda x: np.convolve(x, x))(X)
    assert vmap.report() == {"np.convolve": 1}
    assert vmap.report() == {}


# What it refuses


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: vmap(np.sin, in_axes=(0, 0))(X), "in_axes for 2 arguments"),
        (lambda: vmap(np.sin, in_axes=None)(X), "nothing to map over"),
        (lambda: vmap(np.sin)(3.0), "one number"),
        (lambda: vmap(np.sin)(np.array(3.0)), "no axis to map over"),
        (lambda: vmap(lambda x, s: x)(X, "mean"), "no array to map over"),
        (lambda: vmap(np.sin, in_axes="x")(X), "an int, None, or a tree"),
        (lambda: vmap(np.sin, in_axes=({"a": 0},))(X), "does not fit the tree"),
        (lambda: vmap(3)(X), "function"),
        (lambda: vmap(lambda x: "x")(X), "no batch can be made"),
        (lambda: vmap(lambda x: x if x[0] > 0 else -x)(X), "np.where"),
        (lambda: vmap(lambda x: x[0].item())(X), "one value where each"),
        (lambda: vmap(lambda x: float(x[0]))(X), "one value where each"),
        (lambda: vmap(lambda x: np.asarray(x))(X), "one value where each"),
        (lambda: vmap(lambda x: x[x > 0])(X), "np.where"),
        (lambda: vmap(lambda x: np.allclose(x, 1.0))(X), "before or after"),
        (lambda: vmap(lambda x: F.dropout(x, rng=0))(X), "Generator"),
        (lambda: vmap(written)(X), "in place"),
        (lambda: vmap(went_backward)(X), "rg.func.grad"),
    ],
)  # fmt: skip
def test_what_has_no_batch_is_refused_in_words(call, words):
    with pytest.raises(TypeError, match=words):
        call()


def written(x):
    buffer = rg.Tensor(np.zeros(3))
    with rg.no_grad():
        buffer[0] = x[0]
    return buffer


def went_backward(x):
    w = rg.Tensor(PARAMS["v"], requires_grad=True)
    np.sum(w * x[0]).backward()
    return w.grad


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: vmap(np.add)(X, X[:4]), "argument 0 has 5, argument 1 has 4"),
        (lambda: vmap(np.sin, in_axes=2)(X), "has no axis 2"),
        (lambda: vmap(np.sin, out_axes=2)(X), "has no axis 2"),
        (lambda: vmap(np.sin, out_axes=None)(X), "out_axes is None"),
        (lambda: vmap(lambda x: np.flatnonzero(x > 0))(X), "must not depend on values"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_an_error_inside_names_the_shapes_of_one_entry():
    with pytest.raises(ValueError, match="match") as caught:
        vmap(lambda x: x @ np.ones(4))(X)
    assert any("float64[3]" in note for note in caught.value.__notes__)


def test_a_module_that_writes_statistics_says_what_to_do():
    norm = rg.nn.BatchNorm1d(3)
    with pytest.raises(TypeError, match="eval"):
        vmap(lambda x: norm(x[None] * np.ones((2, 1))))(X)


def branches(x):
    return np.sum(x) if np.sum(x) > 0 else -np.sum(x)


def fills(x):
    out = np.empty_like(x)
    for i in range(len(x)):
        out[i] = x[i] ** 2
    return out


def cuts(x):
    out = x.copy()
    out[out < 0] = 0.0
    return out


def leaves_numpy(x):
    return np.array([float(v) ** 2 for v in x])


SLOPES = {
    branches: lambda g, out, x: g * np.sign(np.sum(x)) * np.ones_like(x),
    fills: lambda g, out, x: 2 * g * x,
    cuts: lambda g, out, x: g * (x > 0),
    leaves_numpy: lambda g, out, x: 2 * g * x,
}


@pytest.mark.parametrize("fn", SLOPES)
def test_a_primitive_that_asks_for_values_is_run_for_each_entry(fn):
    own = rg.primitive(fn)
    rg.defvjp(own, SLOPES[fn])
    x = np.random.default_rng(0).normal(size=(3, 4))
    vmap.report()
    np.testing.assert_array_equal(vmap(own)(x).data, [fn(row) for row in x])
    assert vmap.report() == {fn.__name__: 1}

    def loss(row):
        return np.sum(own(row) ** 2)

    want = [grad(loss)(row).data for row in x]
    np.testing.assert_allclose(vmap(grad(loss))(x).data, want)
    np.testing.assert_allclose(grad(lambda x: vmap(loss)(x).sum())(x).data, want)
    twice = np.stack([x, -x])
    np.testing.assert_allclose(vmap(vmap(own))(twice).data, [[fn(r) for r in y] for y in twice])


def test_what_is_wrong_with_a_primitive_is_told():
    own = rg.primitive(lambda x: x + "a")
    rg.defvjp(own, lambda g, out, x: g)
    for f in (own, grad(own)):
        with pytest.raises(TypeError, match="ufunc 'add'"):
            vmap(f)(np.ones(3))
