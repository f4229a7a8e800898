import numpy as np
import pytest

import retrograd as rg
from retrograd.nn import functional as F
from retrograd.testing import gradgradcheck

RNG = np.random.default_rng(0)


def x(*shape):
    return rg.Tensor(np.ones(shape), requires_grad=True)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: F.layer_norm(x(2, 3), (2,)), "the last axes differ"),
        (lambda: F.layer_norm(x(2, 3), (3,), x(2)), r"weight \(3,\), not \(2,\)"),
        (lambda: F.group_norm(x(2, 3), 2), "2 groups"),
        (lambda: F.batch_norm(x(1, 3), None, None, training=True), "more than one value"),
    ],
)
def test_what_does_not_fit_is_a_value_error(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_long_rows_are_normalized_as_exactly_as_short_ones():
    x = RNG.normal(3.0, 2.0, size=(2, 1000))
    out = F.layer_norm(x, (1000,), eps=0.0)
    np.testing.assert_allclose(out.mean(axis=1), 0, atol=1e-14)
    np.testing.assert_allclose(out.var(axis=1), 1)
    assert gradgradcheck(lambda x: F.layer_norm(x, (1000,)), x, directions=1)


@pytest.mark.parametrize("kind", [np.asarray, rg.Tensor])
def test_running_values_move_in_place_towards_those_of_the_batch(kind):
    x, mean, var = RNG.normal(size=(5, 3)), np.zeros(3), np.ones(3)
    F.batch_norm(x, kind(mean), kind(var), training=True, momentum=0.25)
    np.testing.assert_allclose(mean, 0.25 * x.mean(axis=0))
    np.testing.assert_allclose(var, 0.75 + 0.25 * x.var(axis=0, ddof=1))


NOTHING = {
    "softmax": (lambda x: F.softmax(x, 0), (0, 3)),
    "softmax of no classes": (lambda x: F.softmax(x, 1), (2, 0)),
    "log_softmax": (lambda x: F.log_softmax(x, 0), (0,)),
    "log_softmax of no classes": (F.log_softmax, (2, 0)),
    "group_norm": (lambda x: F.group_norm(x, 2, np.ones(4), np.ones(4)), (0, 4)),
    "group_norm of images": (lambda x: F.group_norm(x, 2), (0, 4, 3)),
    "group_norm of empty channels": (lambda x: F.group_norm(x, 2), (2, 4, 0)),
    "group_norm of no channels": (lambda x: F.group_norm(x, 2), (2, 0)),
    "layer_norm": (lambda x: F.layer_norm(x, (3,)), (0, 3)),
    "layer_norm of nothing": (lambda x: F.layer_norm(x, (0,)), (2, 0)),
    "rms_norm": (lambda x: F.rms_norm(x, (3,)), (0, 3)),
    "batch_norm": (lambda x: F.batch_norm(x, None, None, training=True), (0, 3)),
    "batch_norm of lines": (lambda x: F.batch_norm(x, None, None, training=True), (2, 3, 0)),
    "normalize": (F.normalize, (0, 3)), "glu": (F.glu, (0, 4)),
}  # fmt: skip


@pytest.mark.parametrize("name", NOTHING)
@pytest.mark.parametrize("wrap", [lambda fn: fn, rg.compile], ids=["eager", "compiled"])
def test_of_nothing_comes_nothing(name, wrap):
    fn, shape = NOTHING[name]
    x = rg.Tensor(np.zeros(shape), requires_grad=True)

    def step(x):
        out = fn(x)
        np.sum(out).backward()
        return out

    out = wrap(step)(x)
    assert out.size == 0
    assert out.shape == shape or name == "glu"
    assert x.grad.shape == shape
    assert fn(np.zeros(shape)).shape == out.shape


@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 2), (2, 3, 0)])
def test_an_empty_batch_is_counted_but_leaves_the_running_values(shape):
    norm = rg.nn.BatchNorm1d(3)
    assert norm(rg.Tensor(np.zeros(shape))).shape == shape
    assert norm.running_mean.tolist() == [0.0] * 3
    assert norm.running_var.tolist() == [1.0] * 3
    assert norm.num_batches_tracked == 1
    assert norm.eval()(rg.Tensor(np.zeros(shape))).shape == shape


@pytest.mark.parametrize("make", [
    lambda eps: rg.nn.BatchNorm1d(3, eps=eps), lambda eps: rg.nn.BatchNorm2d(3, eps=eps),
    lambda eps: rg.nn.LayerNorm(3, eps=eps), lambda eps: rg.nn.RMSNorm(3, eps=eps),
    lambda eps: rg.nn.GroupNorm(1, 3, eps=eps), lambda eps: rg.nn.InstanceNorm1d(3, eps=eps),
])  # fmt: skip
def test_an_eps_below_0_is_a_value_error(make):
    for eps in (-1.0, float("nan")):
        with pytest.raises(ValueError, match=r"Norm.* takes eps from 0, not"):
            make(eps)
    make(0.0)
