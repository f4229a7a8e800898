"""`scipy.special` on Tensors: its ufuncs are answered by the functions of the same name here."""

from __future__ import annotations

import sys

from retrograd import special
from retrograd.registry import COMPOSED

NAMES = (
    "betaln", "digamma", "entr", "erf", "erfc", "erfcinv", "erfcx", "erfinv", "expit", "gamma",
    "gammaln", "kl_div", "log_expit", "log_ndtr", "logit", "ndtr", "ndtri", "rel_entr", "xlog1py",
    "xlogy",
)  # fmt: skip
OTHER_NAMES = {"psi": "digamma"}


def adopt() -> None:
    """Answer the ufuncs of SciPy, which the user has imported."""
    scipy_special = sys.modules["scipy.special"]
    for name in (*NAMES, *OTHER_NAMES):
        theirs = getattr(scipy_special, name, None)
        if theirs is not None:
            COMPOSED[theirs] = getattr(special, OTHER_NAMES.get(name, name))
