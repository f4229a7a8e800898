"""Where special functions are checked, and how their values are compared with SciPy's."""

import numpy as np

WIDE = np.concatenate([np.linspace(-30, 30, 4001), np.logspace(-300, 1.4, 500),
                       -np.logspace(-300, 1.4, 500), [0.0]])  # fmt: skip
POSITIVE = np.concatenate([np.logspace(-300, 8, 2000), np.linspace(0.01, 40, 4001)])
NEAR = np.concatenate([np.logspace(-15, -5, 50), -np.logspace(-15, -5, 50)])
NEGATIVE = -np.linspace(0.05, 20, 997)  # away from the poles and from most of the zeros
UNIT = np.concatenate([np.linspace(0, 1, 2001)[1:-1], np.logspace(-300, -1, 300),
                       1 - np.logspace(-15, -1, 100), 0.5 + np.logspace(-15, -1, 50)])  # fmt: skip

# a few, at which functions are differentiated
POINTS = np.array([-2.3, -0.7, 0.4, 1.3, 2.6])
ABOVE = np.array([0.3, 0.8, 1.3, 2.6, 12.5])
WITHIN = np.array([0.11, 0.37, 0.52, 0.93])
DIFFERENTIATED = {
    "erf": (POINTS,), "erfc": (POINTS,), "erfcx": (POINTS,), "erfinv": (WITHIN * 2 - 1,),
    "erfcinv": (2 * WITHIN,), "expit": (POINTS,), "log_expit": (POINTS,), "logit": (WITHIN,),
    "gammaln": (np.append(ABOVE, [-0.4, -1.6]),), "digamma": (np.append(ABOVE, [-0.4, -1.6]),),
    "gamma": (np.append(ABOVE[:4], [-0.4, -1.6]),), "entr": (ABOVE,), "ndtr": (POINTS,),
    "log_ndtr": (POINTS * 4,), "ndtri": (WITHIN,), "xlogy": (POINTS, ABOVE),
    "xlog1py": (POINTS, ABOVE - 0.9), "rel_entr": (ABOVE, ABOVE[::-1] + 0.1),
    "kl_div": (ABOVE, ABOVE[::-1] + 0.1), "betaln": (ABOVE, ABOVE[::-1]),
    "beta": (ABOVE[:4], ABOVE[:4][::-1]), "i0": (POINTS,), "i0e": (POINTS,), "i1": (POINTS,),
    "i1e": (POINTS,), "k0": (ABOVE,), "k1": (ABOVE,),
    "logsumexp": (POINTS,), "softmax": (POINTS,), "log_softmax": (POINTS,),
}  # fmt: skip
# functions of parameters that have no gradient, and of an argument that has one
WITH_PARAMETERS = {
    "iv": (1.3, ABOVE), "ive": (2.0, POINTS), "jv": (0.4, ABOVE), "gammainc": (1.7, ABOVE),
    "gammaincc": (0.6, ABOVE), "betainc": (1.5, 2.25, WITHIN), "zeta": (2.5, ABOVE),
}  # fmt: skip


def relative(got, want):
    """Return the largest relative error."""
    with np.errstate(all="ignore"):
        return np.max(np.abs(np.where(got == want, 0, (got - want) / want)))
