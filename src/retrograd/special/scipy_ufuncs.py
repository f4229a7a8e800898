"""`scipy.special` on Tensors: its ufuncs are answered by the functions of the same name here."""

from __future__ import annotations

import sys

import numpy as np

from retrograd import special
from retrograd.registry import COMPOSED


def adopt() -> None:
    """Answer the ufuncs of SciPy, which the user has imported."""
    for theirs, ours in (*zip(special.__all__, special.__all__, strict=True), ("psi", "digamma")):
        ufunc = getattr(sys.modules["scipy.special"], theirs, None)
        if isinstance(ufunc, np.ufunc):
            COMPOSED[ufunc] = getattr(special, ours)
