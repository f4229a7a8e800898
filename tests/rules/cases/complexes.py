"""Calls of functions of complex numbers, and how what is complex is checked as real numbers."""

import numpy as np

from rules.drawing import call, case, check_as


def parts_of(fn):
    """Return a function that gives the real and the imaginary parts of what `fn` gives."""

    def parts(*args, **kwargs):
        out = fn(*args, **kwargs)
        return np.real(out), np.imag(out)

    return parts


case(np.real, np.imag, np.real_if_close, np.sign)(lambda d: call(d.array()))
case(np.angle)(lambda d: call(d.array(), deg=d.flag()))
case(np.sort_complex)(lambda d: call(d.apart(low=1)))
check_as(np.sort_complex, parts_of(np.sort_complex))
