"""Special functions that NumPy lacks, in NumPy alone, to 12 digits and differentiable.

They have the names and arguments of `scipy.special`, and take arrays and Tensors. Where SciPy is
imported, its own ufuncs of these names take Tensors too, and are answered by these; and values of
arrays are computed by SciPy's kernels, in a tenth of the time. (Beside the zeros of `gammaln` these
keep fewer digits.) float16 is computed in float32, and arguments of two dtypes in the wider one.

>>> x = rg.Tensor([0.5], requires_grad=True)
>>> rg.special.erf(x).backward()
>>> x.grad.round(4)
array([0.8788])
"""

from typing import TYPE_CHECKING

from retrograd.later import load_later

if TYPE_CHECKING:
    from retrograd.special.bessel import i0, i0e, i1, i1e, iv, ive, jv, k0, k1
    from retrograd.special.errors import (
        erf,
        erfc,
        erfcinv,
        erfcx,
        erfinv,
        log_ndtr,
        ndtr,
        ndtri,
    )  # fmt: skip
    from retrograd.special.gammas import beta, betaln, digamma, gamma, gammaln, polygamma, zeta
    from retrograd.special.incomplete import betainc, gammainc, gammaincc
    from retrograd.special.logarithms import (
        entr,
        kl_div,
        log_softmax,
        logsumexp,
        rel_entr,
        softmax,
        xlog1py,
        xlogy,
    )  # fmt: skip
    from retrograd.special.logistic import expit, log_expit, logit

__all__ = [
    "beta", "betainc", "betaln", "digamma", "entr", "erf", "erfc", "erfcinv", "erfcx", "erfinv",
    "expit", "gamma", "gammainc", "gammaincc", "gammaln", "i0", "i0e", "i1", "i1e", "iv", "ive",
    "jv", "k0", "k1", "kl_div", "log_expit", "log_ndtr", "log_softmax", "logit", "logsumexp",
    "ndtr", "ndtri", "polygamma", "rel_entr", "softmax", "xlog1py", "xlogy", "zeta",
]  # fmt: skip

# Loaded on first use: nets need `logistic` alone, which they import by its own name.
__getattr__ = load_later(__name__, {
    "bessel": "i0 i0e i1 i1e iv ive jv k0 k1",
    "errors": "erf erfc erfcinv erfcx erfinv log_ndtr ndtr ndtri",
    "gammas": "beta betaln digamma gamma gammaln polygamma zeta",
    "incomplete": "betainc gammainc gammaincc",
    "logarithms": "entr kl_div log_softmax logsumexp rel_entr softmax xlog1py xlogy",
    "logistic": "expit log_expit logit",
})  # fmt: skip
