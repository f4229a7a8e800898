"""Log densities of distributions, under SciPy's names and parameters, differentiable.

`loc` shifts a distribution and `scale` stretches it, as in `scipy.stats`. All arguments are
numbers, arrays or Tensors that broadcast, and gradients flow to all of them. Where a parameter
cannot be, or something is nan, the result is nan. It has the dtype of the widest array or Tensor:
numbers are as wide as these.

>>> x = rg.Tensor([0.0, 2.0], requires_grad=True)
>>> np.sum(rg.stats.norm.logpdf(x, scale=2.0)).backward()
>>> x.grad
array([-0. , -0.5])
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from retrograd.engine import Tensor, TensorLike
from retrograd.later import public_names
from retrograd.linalg import solve_triangular
from retrograd.rules.axes import in_dtype, to_array
from retrograd.special.gammas import betaln, gammaln
from retrograd.special.logarithms import xlog1py, xlogy

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["beta", "binom", "gamma", "multivariate_normal", "norm", "poisson", "t"]

__dir__ = public_names(__name__)


def _floats(*values: Any) -> list[Any]:
    """Return arguments as arrays or Tensors of the widest dtype of those that have one."""
    arrays = [to_array(value) for value in values]
    has_dtype = [hasattr(v, "dtype") or isinstance(a, Tensor)
                 for v, a in zip(values, arrays, strict=True)]  # fmt: skip
    kinds = [a.dtype for a in itertools.compress(arrays, has_dtype) if a.dtype.kind == "f"]
    dtype = np.result_type(*kinds) if kinds else np.dtype(float)
    return [in_dtype(a, dtype) for a in arrays]


def _within(inside: Any, valid: Any, logs: Any) -> Any:
    """Return what is inside of the support, -inf outside, and nan for parameters that cannot be."""
    return np.where(valid, np.where(inside, logs, -math.inf), math.nan)


# The formulas


def _norm(x: Any, loc: Any, scale: Any) -> Any:
    return -0.5 * ((x - loc) / scale) ** 2 - np.log(scale) - 0.5 * math.log(2 * math.pi)


def _multivariate_normal(x: Any, mean: Any, cov: Any) -> Any:
    factor, apart = np.linalg.cholesky(cov), x - mean
    z = solve_triangular(factor, apart[..., None], lower=True)[..., 0]
    logs = np.sum(np.log(np.diagonal(factor, axis1=-2, axis2=-1)), axis=-1)
    return -0.5 * np.sum(z**2, axis=-1) - logs - 0.5 * x.shape[-1] * math.log(2 * math.pi)


def _t(x: Any, df: Any, loc: Any, scale: Any) -> Any:
    z = (x - loc) / scale
    size = -betaln(0.5 * df, np.full_like(df, 0.5)) - 0.5 * np.log(df) - np.log(scale)
    return size - 0.5 * (df + 1) * np.log1p(z**2 / df)


def _gamma(x: Any, a: Any, loc: Any, scale: Any) -> Any:
    z = (x - loc) / scale
    inside, valid = z >= 0.0, (a > 0.0) & (scale > 0.0) & ~np.isnan(z)
    z = np.where(inside, z, 1.0)
    return _within(inside, valid, xlogy(a - 1.0, z) - z - gammaln(a) - np.log(scale))


def _beta(x: Any, a: Any, b: Any, loc: Any, scale: Any) -> Any:
    z = (x - loc) / scale
    inside = (z >= 0.0) & (z <= 1.0)
    valid = (a > 0.0) & (b > 0.0) & (scale > 0.0) & ~np.isnan(z)
    z = np.where(inside, z, 0.5)
    logs = xlogy(a - 1.0, z) + xlog1py(b - 1.0, -z)
    return _within(inside, valid, logs - betaln(a, b) - np.log(scale))


def _poisson(k: Any, mu: Any) -> Any:
    inside, valid = (k >= 0.0) & (k == np.floor(k)), (mu >= 0.0) & ~np.isnan(k)
    n = np.where(inside, k, 0.0)
    return _within(inside, valid, xlogy(n, mu) - mu - gammaln(n + 1.0))


def _binom(k: Any, n: Any, p: Any) -> Any:
    inside = (k >= 0.0) & (k <= n) & (k == np.floor(k))
    valid = (n >= 0.0) & (n == np.floor(n)) & (p >= 0.0) & (p <= 1.0) & ~np.isnan(k)
    k, n = np.where(inside, k, 0.0), np.where(valid, n, 0.0)
    ways = -betaln(k + 1.0, n - k + 1.0) - np.log(n + 1.0)
    return _within(inside, valid, ways + xlogy(k, p) + xlog1py(n - k, -p))


# Their names


class norm:
    """The normal distribution.

    >>> rg.stats.norm.logpdf(0.0).round(4)
    np.float64(-0.9189)
    """

    @staticmethod
    def logpdf(
        x: ArrayLike | TensorLike,
        loc: ArrayLike | TensorLike = 0.0,
        scale: ArrayLike | TensorLike = 1.0,
    ) -> Any:
        """Return the logarithm of the density.

        Args:
            x: where.
            loc: the mean.
            scale: the standard deviation, above 0.

        Returns:
            A Tensor of the common shape, or an array: `-z^2 / 2 - log(scale) - log(2 pi) / 2` for
            `z = (x - loc) / scale`.
        """
        return _norm(*_floats(x, loc, scale))


class multivariate_normal:
    """The normal distribution of vectors.

    >>> rg.stats.multivariate_normal.logpdf(np.zeros(2), np.zeros(2), np.eye(2)).round(4)
    np.float64(-1.8379)
    """

    @staticmethod
    def logpdf(
        x: ArrayLike | TensorLike, mean: ArrayLike | TensorLike, cov: ArrayLike | TensorLike
    ) -> Any:
        """Return the logarithm of the density.

        Args:
            x: where, `(..., d)`.
            mean: the mean, `(..., d)`.
            cov: the covariances, `(..., d, d)`, positive definite; the lower triangle is read.

        Returns:
            A Tensor `(...)`, or an array: `-|z|^2 / 2 - sum(log(diag(L))) - d log(2 pi) / 2`, where
            `L` is the factor of Cholesky of `cov` and `L z = x - mean`.

        Raises:
            LinAlgError: if `cov` is not positive definite.
        """
        return _multivariate_normal(*_floats(x, mean, cov))


class t:
    """Student's distribution.

    >>> rg.stats.t.logpdf(0.0, 1.0).round(4)
    np.float64(-1.1447)
    """

    @staticmethod
    def logpdf(
        x: ArrayLike | TensorLike,
        df: ArrayLike | TensorLike,
        loc: ArrayLike | TensorLike = 0.0,
        scale: ArrayLike | TensorLike = 1.0,
    ) -> Any:
        """Return the logarithm of the density.

        Args:
            x: where.
            df: the degrees of freedom, above 0, finite.
            loc: shifts it.
            scale: stretches it.

        Returns:
            A Tensor of the common shape, or an array: `-betaln(df / 2, 1 / 2) - log(df) / 2 -
            log(scale) - (df + 1) / 2 log(1 + z^2 / df)` for `z = (x - loc) / scale`.
        """
        return _t(*_floats(x, df, loc, scale))


class gamma:
    """The gamma distribution, of sums of waiting times.

    >>> rg.stats.gamma.logpdf(1.0, 2.0).round(4)
    np.float64(-1.0)
    """

    @staticmethod
    def logpdf(
        x: ArrayLike | TensorLike,
        a: ArrayLike | TensorLike,
        loc: ArrayLike | TensorLike = 0.0,
        scale: ArrayLike | TensorLike = 1.0,
    ) -> Any:
        """Return the logarithm of the density.

        Args:
            x: where; below `loc` the density is 0.
            a: the shape, above 0.
            loc: shifts it.
            scale: stretches it; one divided by the rate.

        Returns:
            A Tensor of the common shape, or an array: `(a - 1) log(z) - z - gammaln(a) -
            log(scale)` for `z = (x - loc) / scale`, -inf for `z` below 0.
        """
        return _gamma(*_floats(x, a, loc, scale))


class beta:
    """The beta distribution, of shares between 0 and 1.

    >>> rg.stats.beta.logpdf(0.5, 2.0, 2.0).round(4)
    np.float64(0.4055)
    """

    @staticmethod
    def logpdf(
        x: ArrayLike | TensorLike,
        a: ArrayLike | TensorLike,
        b: ArrayLike | TensorLike,
        loc: ArrayLike | TensorLike = 0.0,
        scale: ArrayLike | TensorLike = 1.0,
    ) -> Any:
        """Return the logarithm of the density.

        Args:
            x: where; the density is 0 outside of `loc` to `loc + scale`.
            a: the first shape, above 0.
            b: the second shape, above 0.
            loc: shifts it.
            scale: stretches it.

        Returns:
            A Tensor of the common shape, or an array: `(a - 1) log(z) + (b - 1) log(1 - z) -
            betaln(a, b) - log(scale)` for `z = (x - loc) / scale`, -inf outside.
        """
        return _beta(*_floats(x, a, b, loc, scale))


class poisson:
    """Poisson's distribution, of counts.

    >>> rg.stats.poisson.logpmf(2, 3.0).round(4)
    np.float64(-1.4959)
    """

    @staticmethod
    def logpmf(k: ArrayLike | TensorLike, mu: ArrayLike | TensorLike) -> Any:
        """Return the logarithm of the probability.

        Args:
            k: the count.
            mu: the mean, from 0.

        Returns:
            A Tensor of the common shape, or an array: `k log(mu) - mu - gammaln(k + 1)`, -inf for
            a `k` that is no count.
        """
        return _poisson(*_floats(k, mu))


class binom:
    """The binomial distribution, of successes among trials.

    >>> rg.stats.binom.logpmf(1, 2, 0.5).round(4)
    np.float64(-0.6931)
    """

    @staticmethod
    def logpmf(
        k: ArrayLike | TensorLike, n: ArrayLike | TensorLike, p: ArrayLike | TensorLike
    ) -> Any:
        """Return the logarithm of the probability.

        Args:
            k: how many successes.
            n: how many trials.
            p: the probability of a success.

        Returns:
            A Tensor of the common shape, or an array: the logarithm of `n! / (k! (n - k)!) p^k
            (1 - p)^(n - k)`, -inf for a `k` that is no count from 0 to `n`.
        """
        return _binom(*_floats(k, n, p))
