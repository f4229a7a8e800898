"""Special functions that NumPy lacks, in NumPy alone, to 12 digits and differentiable.

They have the names and arguments of `scipy.special`, whose own functions take Tensors too.
"""

from typing import TYPE_CHECKING

from retrograd.later import load_later

if TYPE_CHECKING:
    from retrograd.special.functions import (
        betaln,
        digamma,
        entr,
        erf,
        erfc,
        erfcinv,
        erfcx,
        erfinv,
        expit,
        gamma,
        gammaln,
        kl_div,
        log_expit,
        log_ndtr,
        log_softmax,
        logit,
        logsumexp,
        ndtr,
        ndtri,
        polygamma,
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

# Loaded on first use: nets need `logistic` alone, and import it by its own name.
__getattr__ = load_later(__name__, {"functions": " ".join(__all__)})


def __dir__() -> list[str]:
    return __all__
