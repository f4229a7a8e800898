"""What the tests of many rooms make use of."""

import numpy as np

import retrograd as rg


def leaf(*values):
    """Return a vector of float64 that requires grad."""
    return rg.Tensor(np.array(values, float), requires_grad=True)


def assert_close(got, want):
    """Assert that a Tensor or array has these values."""
    got = got.data if isinstance(got, rg.Tensor) else got
    np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


def with_rule(body, *vjps):
    """Return a primitive that computes `body` and has these vjps, right or wrong."""
    fn = rg.primitive(body)
    rg.defvjp(fn, *vjps)
    return fn
