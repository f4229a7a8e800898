import numpy as np
import pytest

import retrograd as rg
from retrograd.nn import init


def blank(*shape):
    return rg.nn.Parameter(np.zeros(shape))


def test_orthogonal_gives_right_angles_whichever_side_is_longer():
    for shape in ((3, 5), (5, 3), (4, 2, 3)):
        w = init.orthogonal_(blank(*shape), gain=2.0, rng=0).data.reshape(shape[0], -1)
        small = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
        np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-12)


def test_trunc_normal_keeps_to_the_bounds_and_the_distribution():
    values = init.trunc_normal_(blank(20000), mean=1.0, std=2.0, a=0.0, b=2.0, rng=0).data
    assert values.min() >= 0
    assert values.max() <= 2
    assert abs(values.mean() - 1.0) < 0.02
    tail = init.trunc_normal_(blank(100), a=3.0, b=50.0, rng=0).data
    assert tail.min() >= 3
    assert tail.max() < 7


def test_sparse_leaves_a_part_of_each_column_zero():
    w = init.sparse_(blank(10, 4), sparsity=0.25, rng=0).data
    assert ((w == 0).sum(axis=0) == 3).all()


def test_dirac_hands_channels_on():
    layer = rg.nn.Conv2d(4, 4, 3, padding=1, groups=2, bias=False)
    init.dirac_(layer.weight, groups=2)
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 5))
    np.testing.assert_allclose(layer(x).data, x)


def test_eye_is_the_identity_matrix():
    np.testing.assert_array_equal(init.eye_(blank(2, 3)).data, np.eye(2, 3))


def test_the_gain_of_a_convolution_is_one():
    assert init.calculate_gain("conv2d") == 1.0
    with pytest.raises(ValueError, match="swish"):
        init.calculate_gain("swish")


@pytest.mark.parametrize(
    "call",
    [
        lambda: init.eye_(blank(2)),
        lambda: init.dirac_(blank(2, 2)),
        lambda: init.dirac_(blank(3, 2, 2), groups=2),
        lambda: init.orthogonal_(blank(3)),
        lambda: init.sparse_(blank(3), 0.5),
        lambda: init.trunc_normal_(blank(3), a=2.0, b=1.0),
    ],
)
def test_a_shape_or_bound_that_does_not_fit_is_refused(call):
    with pytest.raises(ValueError):
        call()


ARGUMENTS = {"constant_": (2.0,), "sparse_": (0.5,)}
FILLERS = [name for name in init.__all__ if name.endswith("_")]


def shape_for(name):
    return (4, 2, 3) if name == "dirac_" else (4, 2)


@pytest.mark.parametrize("name", FILLERS)
def test_each_function_fills_a_tensor_in_place_and_returns_it(name):
    w = rg.nn.Parameter(np.full(shape_for(name), np.nan))
    memory = w.data
    assert getattr(init, name)(w, *ARGUMENTS.get(name, ())) is w
    assert np.shares_memory(w.data, memory)
    assert np.isfinite(w.data).all()


@pytest.mark.parametrize("name", FILLERS)
def test_only_a_tensor_is_filled(name):
    with pytest.raises(TypeError, match="fills a Tensor, not ndarray"):
        getattr(init, name)(np.ones(shape_for(name)), *ARGUMENTS.get(name, ()))


def test_a_mode_is_one_of_two():
    with pytest.raises(ValueError, match=r"fan_in.*fan_out.*'fan'"):
        init.kaiming_normal_(blank(2, 3), mode="fan")
    wide, narrow = (
        init.kaiming_uniform_(blank(10, 1000), mode=mode, rng=0).data.std()
        for mode in ("fan_out", "fan_in")
    )
    np.testing.assert_allclose(wide / narrow, 10)
