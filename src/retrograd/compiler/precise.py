"""A run whose calls are each done in double precision: it shows how far rounding takes another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from retrograd.compiler.tape import Tape
from retrograd.engine import Rule

_WIDE = {np.dtype(np.float16): np.float64, np.dtype(np.float32): np.float64,
         np.dtype(np.complex64): np.complex128}  # fmt: skip


class PreciseTape(Tape):
    """Hears a run in which each call of short floats gives what it would without its own rounding.

    NumPy adds up float32 numbers in float32: along the first axis one after the other, so that of
    a million rows the last three digits may be lost. Here calls get their arguments as float64, and
    their results are rounded once.
    """

    def _run(self, rule: Rule, values: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        out = super()._run(rule, values, kwargs)
        outs = out if rule.multi else (out,)
        # views of an argument have no rounding of their own, and stay views
        if not all(isinstance(o, (np.ndarray, np.generic)) and o.base is None for o in outs):
            return out
        if not any(o.dtype in _WIDE for o in outs):
            return out
        try:
            wide = rule.run(*map(_widened, values), **kwargs)
        except (TypeError, ValueError):  # a function of one dtype alone
            return out
        pairs = zip(wide if rule.multi else (wide,), outs, strict=True)
        found = [_rounded(w, o) for w, o in pairs]
        return tuple(found) if rule.multi else found[0]


def _widened(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype in _WIDE:
        return value.astype(_WIDE[value.dtype])
    return value


def _rounded(wide: Any, out: Any) -> Any:
    """Return a result in the dtype that it should have; `out` where it is something else."""
    wide = np.asarray(wide)
    return wide.astype(out.dtype) if wide.shape == out.shape and out.dtype in _WIDE else out
