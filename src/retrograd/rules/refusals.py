"""Functions of NumPy that cannot be handed a Tensor, with what to write instead."""

import numpy as np

from retrograd.engine import refuse

refuse(
    "like= hands the call to the Tensor; leave it out, and wrap the array in rg.Tensor",
    np.arange, np.array, np.asanyarray, np.asarray, np.ascontiguousarray, np.asfortranarray,
    np.empty, np.eye, np.frombuffer, np.fromfile, np.fromfunction, np.fromiter, np.fromstring,
    np.full, np.genfromtxt, np.identity, np.loadtxt, np.ones, np.require, np.tri, np.zeros,
)  # fmt: skip
refuse(
    "write t.data, or save a state with rg.save",
    np.save, np.savez, np.savez_compressed, np.savetxt,
)  # fmt: skip
refuse(
    "a Tensor holds numbers, not dates",
    np.busday_count, np.busday_offset, np.is_busday, np.datetime_as_string, np.isnat,
)  # fmt: skip
refuse("count in one dimension with np.histogram", np.histogram2d, np.histogramdd)
refuse("it trims by value; solve for the coefficients with np.linalg.lstsq", np.polydiv)

# All functions of a module
refuse("a Tensor has no fields; take them apart as arrays", "numpy.lib.recfunctions")
refuse("a Tensor holds numbers, not text", "numpy.strings", "numpy.char")
refuse("write it as np.polyval in one variable after the other", "numpy.polynomial")
