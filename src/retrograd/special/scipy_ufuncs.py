"""SciPy's ufuncs of a Tensor are answered by the functions of this package that do the same.

Loaded when a Tensor comes to one of them, and only after the user has imported `scipy.special`:
this package never imports SciPy by itself.
"""

from scipy import special as theirs

from retrograd import special as ours
from retrograd.engine import adapted

# fmt: off
adapted(theirs.expit)(ours.expit)
adapted(theirs.log_expit)(ours.log_expit)
adapted(theirs.logit)(ours.logit)

adapted(theirs.entr)(ours.entr)
adapted(theirs.rel_entr)(ours.rel_entr)
adapted(theirs.kl_div)(ours.kl_div)
adapted(theirs.xlogy)(ours.xlogy)
adapted(theirs.xlog1py)(ours.xlog1py)

adapted(theirs.erf)(ours.erf)
adapted(theirs.erfc)(ours.erfc)
adapted(theirs.erfcx)(ours.erfcx)
adapted(theirs.erfinv)(ours.erfinv)
adapted(theirs.erfcinv)(ours.erfcinv)
adapted(theirs.ndtr)(ours.ndtr)
adapted(theirs.log_ndtr)(ours.log_ndtr)
adapted(theirs.ndtri)(ours.ndtri)

adapted(theirs.gamma)(ours.gamma)
adapted(theirs.gammaln)(ours.gammaln)
adapted(theirs.digamma, theirs.psi)(ours.digamma)
adapted(theirs.beta)(ours.beta)
adapted(theirs.betaln)(ours.betaln)
adapted(theirs.betainc)(ours.betainc)
adapted(theirs.gammainc)(ours.gammainc)
adapted(theirs.gammaincc)(ours.gammaincc)

adapted(theirs.i0)(ours.i0)
adapted(theirs.i0e)(ours.i0e)
adapted(theirs.i1)(ours.i1)
adapted(theirs.i1e)(ours.i1e)
adapted(theirs.iv)(ours.iv)
adapted(theirs.ive)(ours.ive)
adapted(theirs.jv)(ours.jv)
adapted(theirs.k0)(ours.k0)
adapted(theirs.k1)(ours.k1)
# fmt: on
