"""Calls of Fourier transforms, checked as their real and imaginary parts."""

import numpy as np

from rules.cases.complexes import parts_of
from rules.drawing import call, case, check_as

NORMS = (None, "backward", "ortho", "forward")
OF_ONE_AXIS = (np.fft.fft, np.fft.ifft, np.fft.rfft, np.fft.irfft, np.fft.hfft, np.fft.ihfft)
OF_TWO = (np.fft.fft2, np.fft.ifft2, np.fft.rfft2, np.fft.irfft2)
OF_ALL = (np.fft.fftn, np.fft.ifftn, np.fft.rfftn, np.fft.irfftn)

for _fn in (*OF_ONE_AXIS, *OF_TWO, *OF_ALL):
    check_as(_fn, parts_of(_fn))


@case(*OF_ONE_AXIS)
def along_one_axis(d):
    x = d.array(low=1, side=2, high=2)
    return call(x, d.one_of(None, 2, 3, 5), axis=d.axis(x), norm=d.one_of(*NORMS))


@case(*OF_TWO)
def along_two_axes(d):
    x = d.array(low=2, side=2)
    return call(x, d.one_of(None, (2, 3), (4, 2)), axes=d.one_of((-2, -1), (1, 0)),
                norm=d.one_of(*NORMS))  # fmt: skip


@case(*OF_ALL)
def along_axes(d):
    x = d.array(low=2, side=2)
    s, axes = d.one_of((None, None), (None, (0,)), ((3, 2), (0, 1)), (None, (-1, 0)))
    return call(x, s, axes=axes, norm=d.one_of(*NORMS))


@case(np.fft.fftshift, np.fft.ifftshift)
def shifted(d):
    x = d.array(low=1)
    return call(x, axes=d.one_of(None, 0, (-1,)))
