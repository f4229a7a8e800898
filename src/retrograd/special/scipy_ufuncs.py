"""SciPy's ufuncs are answered by the functions of this package that have their names.

Loaded when a Tensor comes to one of them, so that SciPy is never imported for it.
"""

import numpy as np
from scipy import special as scipy_special

from retrograd import special
from retrograd.engine.rule import ADAPTED

for _name in (*special.__all__, "psi"):
    _ufunc = getattr(scipy_special, _name, None)
    if isinstance(_ufunc, np.ufunc):
        ADAPTED[_ufunc] = getattr(special, "digamma" if _name == "psi" else _name)
