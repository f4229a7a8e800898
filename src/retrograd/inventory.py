"""What happens to each function of NumPy that is handed a Tensor: `rg.coverage()`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import numpy as np

from retrograd.engine import RULES, Tensor, spelled
from retrograd.engine.rule import (
    ADAPTED,
    COMPOSED,
    METADATA,
    UFUNC_METHODS,
    VALUES,
    home_of,
    load_rules,
    remedy_for,
)
from retrograd.later import public_names
from retrograd.tables import as_html

__all__ = ["Coverage", "coverage"]
__dir__ = public_names(__name__)

# Methods that a Tensor has from ndarray, and that have no gradient.
_WITHOUT_GRADIENT = {
    "argmax", "argmin", "argsort", "any", "all", "nonzero", "round", "item", "tolist",
}  # fmt: skip

# Functions that have no form in C, or not with all of their options: a test compares them with
# what the writer of C takes. NumPy's Fourier transforms and most of its linear algebra are LAPACK's
# and pocketfft's, sets and positions have sizes that values decide.
_NOT_IN_C = """
argwhere i0 isin ix_ lexsort nanargmax nanargmin packbits percentile polyfit quantile
ravel_multi_index roots setdiff1d setxor1d trim_zeros union1d unique unique_all unique_counts
unique_inverse unique_values unpackbits unravel_index unwrap intersect1d in1d nanquantile
nanpercentile histogram_bin_edges
linalg.cholesky linalg.cond linalg.det linalg.eig linalg.eigh linalg.eigvals linalg.eigvalsh
linalg.inv linalg.lstsq linalg.matrix_norm linalg.matrix_power linalg.matrix_rank linalg.norm
linalg.pinv linalg.qr linalg.slogdet linalg.solve linalg.svd linalg.svdvals linalg.tensorinv
linalg.tensorsolve
lib.scimath.arccos lib.scimath.arcsin lib.scimath.arctanh lib.scimath.log lib.scimath.log10
lib.scimath.log2 lib.scimath.logn lib.scimath.power lib.scimath.sqrt
fft.fft fft.fft2 fft.fftn fft.hfft fft.ifft fft.ifft2 fft.ifftn fft.ihfft fft.irfft fft.irfft2
fft.irfftn fft.rfft fft.rfft2 fft.rfftn
"""


class Coverage(NamedTuple):
    """The names of NumPy's functions by what happens to them, as a user writes them.

    `print` of it counts each kind.

    Attributes:
        differentiable: functions that have gradients, such as "np.cumsum".
        without_gradient: functions that give a Tensor without a gradient, such as "np.argmax".
        metadata: functions that tell of an array or compare it, and give no Tensor: "np.shape".
        refused: functions that raise TypeError for a Tensor that requires grad, each with what to
            write instead.
        methods: methods of ufuncs and of ndarray that have gradients: "np.add.reduce",
            "ndarray.sum".
        unknown: the others. There are none, unless NumPy is newer than this library.
        not_in_c: those of `differentiable` and `without_gradient` that have no form in C, or not
            with all of their options: `rg.compile(fn, target="c")` runs them as NumPy's calls
            between parts in C, and `step.export("step.c")` refuses them. Complex numbers and
            float16 have none either.

    >>> found = rg.coverage()
    >>> found._fields[:3]
    ('differentiable', 'without_gradient', 'metadata')
    >>> "np.argmax" in found.without_gradient, "ndarray.sum" in found.methods
    (True, True)
    >>> found.unknown
    ()
    """

    differentiable: tuple[str, ...]
    without_gradient: tuple[str, ...]
    metadata: tuple[str, ...]
    refused: dict[str, str]
    methods: tuple[str, ...]
    unknown: tuple[str, ...]
    not_in_c: tuple[str, ...] = ()

    def _kinds(self) -> list[tuple[Collection[str], str]]:
        """Return the names of each kind, and what there is to say of it."""
        return [
            (self.differentiable, "functions differentiate"),
            (self.methods, "methods of ufuncs and of ndarray differentiate"),
            (self.without_gradient, "are recorded without a gradient"),
            (self.metadata, "tell of the array, or compare it"),
            (self.refused, "are refused with a remedy"),
            (self.not_in_c, "of the first and third kind have no form in C, or not in all ways"),
        ]

    def __str__(self) -> str:
        return "\n".join(f"{len(names):4} {what}" for names, what in self._kinds())

    def _repr_html_(self) -> str:
        rows = [(str(len(names)), what, ", ".join(names)) for names, what in self._kinds()]
        return as_html([("", "functions", "names"), *rows], right=(0,))


def coverage() -> Coverage:
    """Sort the functions of the installed NumPy that can be handed a Tensor, each once.

    Returns:
        A named tuple of their names: see `retrograd.inventory.Coverage`. `print` of it counts them.

    >>> "np.cumsum" in rg.coverage().differentiable
    True
    >>> rg.coverage().refused["np.save"]
    'write t.data, or save a state with rg.save'
    """
    # NumPy lists only functions of modules that are loaded
    import numpy.char
    import numpy.fft
    import numpy.polynomial  # noqa: F401
    from numpy.testing import overrides

    load_rules()
    found: dict[str, tuple[str, str]] = {}
    ufuncs: Any = overrides.get_overridable_numpy_ufuncs()
    for fn in (*ufuncs, *overrides.get_overridable_numpy_array_functions()):
        kind = _kind_of(fn)
        # NumPy lists inner functions too, under the name of the one that calls them
        if kind[0] != "unknown" or _name_of(fn) not in found:
            found[_name_of(fn)] = kind
    names: Any = {kind: tuple(sorted(name for name in found if found[name][0] == kind))
                  for kind in Coverage._fields}  # fmt: skip
    here = {*names["differentiable"], *names["without_gradient"]}
    names["not_in_c"] = tuple(sorted(here & {f"np.{name}" for name in _NOT_IN_C.split()}))
    names["refused"] = {name: found[name][1] for name in names["refused"]}
    return Coverage(**{**names, "methods": tuple(sorted(_methods()))})


def _name_of(fn: Callable[..., Any]) -> str:
    """Return the name of a function with that of its module, also where that is no public one."""
    name = spelled(fn)
    if isinstance(fn, np.ufunc) and not name.startswith("np."):
        name = f"{home_of(fn)}.{name.lstrip('_')}".replace("numpy", "np", 1)
    return name


def _kind_of(fn: Callable[..., Any]) -> tuple[str, str]:
    """Return the kind of a function, a field of Coverage, and the remedy where it is refused."""
    public: Any = np
    for part in spelled(fn).removeprefix("np.").split("."):
        public = getattr(public, part, None)
    fn = fn if public is None else public
    if fn in METADATA or fn in VALUES:
        return "metadata", ""
    if fn in ADAPTED or fn in COMPOSED or (fn in RULES and RULES[fn].differentiable):
        return "differentiable", ""
    if fn in RULES:
        return "without_gradient", ""
    remedy = remedy_for(fn)
    return ("refused" if remedy else "unknown"), remedy


def _methods() -> list[str]:
    """Return the methods of ufuncs and of ndarray that have gradients."""
    common = {name for name in dir(np.ndarray) if not name.startswith("_")} & set(dir(Tensor))
    return [
        *(f"np.{f.__name__}.{method}" for f, method in UFUNC_METHODS if RULES[f].differentiable),
        *(f"ndarray.{n}" for n in common - _WITHOUT_GRADIENT if callable(getattr(Tensor, n))),
    ]
