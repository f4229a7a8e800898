"""Special functions that NumPy lacks, in NumPy alone, to 12 digits and differentiable.

They have the names and arguments of `scipy.special`, whose own functions can be called on
Tensors too.
"""

from retrograd.special.errors import erf, erfc, erfcinv, erfcx, erfinv, log_ndtr, ndtr, ndtri
from retrograd.special.gammas import betaln, digamma, gamma, gammaln, polygamma
from retrograd.special.logarithms import (
    entr,
    expit,
    kl_div,
    log_expit,
    log_softmax,
    logit,
    logsumexp,
    rel_entr,
    softmax,
    xlog1py,
    xlogy,
)  # fmt: skip

__all__ = [
    "betaln", "digamma", "entr", "erf", "erfc", "erfcinv", "erfcx", "erfinv", "expit", "gamma",
    "gammaln", "kl_div", "log_expit", "log_ndtr", "log_softmax", "logit", "logsumexp", "ndtr",
    "ndtri", "polygamma", "rel_entr", "softmax", "xlog1py", "xlogy",
]  # fmt: skip
