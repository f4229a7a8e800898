"""Sorting and sets, where the shape of the result depends on values."""

import numpy as np

import retrograd as rg


def test_trimmed_zeros_have_gradient_0():
    x = rg.Tensor([0.0, 0.0, 1.5, 0.0, 2.0, 0.0], requires_grad=True)
    out = np.trim_zeros(x)
    assert out.data.tolist() == [1.5, 0.0, 2.0]
    np.sum(out * np.array([1.0, 2.0, 3.0])).backward()
    assert x.grad.tolist() == [0.0, 0.0, 1.0, 2.0, 3.0, 0.0]
    assert np.trim_zeros(x, "f").shape == (4,)
    assert np.trim_zeros(x * 0.0).shape == (0,)
