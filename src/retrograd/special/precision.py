"""In which dtype special functions are computed, and by whose code."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from retrograd.engine import arguments

F = TypeVar("F", bound=Callable[..., Any])

HALF, SINGLE = np.dtype(np.float16), np.dtype(np.float32)


def check_real(fn: Callable[..., Any], dtype: np.dtype[Any]) -> None:
    """Raise TypeError for complex numbers, of which a cast would take the real parts alone."""
    if dtype.kind == "c":
        name = getattr(fn, "__name__", "this function")
        raise TypeError(f"{name} takes real numbers, not {dtype}: take t.real or np.abs(t) first")


def at_least_single(fn: F) -> F:
    """Compute a function of one array in float32 where it is given float16, as PyTorch does.

    What comes between would overflow, or lose most digits, in float16. The result has the dtype of
    the argument. Whole numbers are computed with as float64.
    """
    (name, *_) = arguments(getattr(fn, "__wrapped__", fn))

    @functools.wraps(fn)
    def compute(*args: Any, **kwargs: Any) -> Any:
        if not args:
            if name not in kwargs:
                return fn(**kwargs)  # which says what is missing
            args = (kwargs.pop(name),)
        x, *rest = args
        dtype = getattr(x, "dtype", None)
        if dtype is None:
            return fn(*args, **kwargs)
        if dtype == HALF:
            return fn(x.astype(SINGLE), *rest, **kwargs).astype(HALF)
        if dtype.kind != "f":
            check_real(fn, dtype)
            x = x.astype(float)
        return fn(x, *rest, **kwargs)

    return compute  # type: ignore[return-value]


def in_single(fn: Callable[..., Any], x: Any, *options: Any) -> Any:
    """Return `fn(x, *options)` of a float16 array, computed in float32.

    It is what `at_least_single` does, for functions that are so fast that they ask themselves.
    """
    return fn(x.astype(SINGLE), *options).astype(HALF)


def in_common_dtype(fn: F) -> F:
    """Compute a function of two arrays in the dtype of its result, and at least in float32."""
    first, second = arguments(getattr(fn, "__wrapped__", fn))

    @functools.wraps(fn)
    def compute(*args: Any, **kwargs: Any) -> Any:
        if len(args) + len(kwargs) != 2 or not kwargs.keys() <= {first, second}:
            return fn(*args, **kwargs)  # which says what is wrong
        x, y = args if not kwargs else (*args, *(kwargs[n] for n in (first, second) if n in kwargs))
        if hasattr(x, "dtype") and hasattr(y, "dtype"):
            wanted = dtype = x.dtype if x.dtype == y.dtype else np.result_type(x.dtype, y.dtype)
            if dtype == HALF:
                wanted = SINGLE
            elif dtype.kind != "f":
                check_real(fn, dtype)
                wanted = dtype = np.dtype(float)
            x, y = (a if a.dtype == wanted else a.astype(wanted) for a in (x, y))
            if wanted != dtype:
                return fn(x, y).astype(dtype)
        return fn(x, y)

    return compute  # type: ignore[return-value]


def scipy_kernel(name: str, x: Any) -> Callable[..., Any] | None:
    """Return SciPy's function for an array, which takes a tenth of the time; else None.

    Only where the user has imported `scipy.special`: this package never does by itself.
    """
    theirs = sys.modules.get("scipy.special")
    return getattr(theirs, name, None) if isinstance(x, (np.ndarray, np.generic)) else None


def of_parameters(fn: F) -> F:
    """Compute a function of arrays and numbers in the dtype of the widest array, at least float32.

    Numbers, lists and whole arrays are floats then, so that its rule may compute with them.
    """
    names = arguments(getattr(fn, "__wrapped__", fn))

    @functools.wraps(fn)
    def compute(*args: Any, **kwargs: Any) -> Any:
        if kwargs and len(args) + len(kwargs) == len(names) and kwargs.keys() <= {*names}:
            args = (*args, *(kwargs.pop(name) for name in names[len(args) :] if name in kwargs))
        arrays = [a if hasattr(a, "dtype") else np.asarray(a, float) for a in args]
        kinds = [a.dtype for a in args if hasattr(a, "dtype") and a.dtype.kind == "f"]
        dtype = np.result_type(*kinds) if kinds else np.dtype(float)
        wanted = SINGLE if dtype == HALF else dtype
        out = fn(*(a if a.dtype == wanted else a.astype(wanted) for a in arrays), **kwargs)
        return out if wanted == dtype else out.astype(dtype)

    return compute  # type: ignore[return-value]


def no_gradient_to(what: str, g: Any, out: Any, *args: Any) -> Any:
    """Refuse a gradient that no formula here has."""
    raise TypeError(f"{what} has no gradient here: pass a number, or t.detach()")
