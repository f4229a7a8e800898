"""What becomes an array: numbers, lists and arrays as numeric arrays of a dtype."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np

from retrograd.engine.mode import unrecorded

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

_default_dtype: np.dtype[Any] = np.dtype(np.float64)


def set_default_dtype(dtype: DTypeLike) -> None:
    """Set the dtype that lists of floats, Python floats and new parameters take.

    Args:
        dtype: a floating dtype; float64 at first.

    Raises:
        TypeError: if `dtype` is not floating.

    >>> rg.set_default_dtype(np.float32)
    >>> rg.Tensor([0.5]).dtype
    dtype('float32')
    >>> rg.set_default_dtype(np.float64)
    """
    global _default_dtype
    unrecorded("set_default_dtype")
    if np.dtype(dtype).kind != "f":
        raise TypeError(f"the default dtype must be floating, not {np.dtype(dtype)}")
    _default_dtype = np.dtype(dtype)


def get_default_dtype() -> np.dtype[Any]:
    """Return the dtype that lists of floats, Python floats and new parameters take.

    Returns:
        A floating dtype.

    >>> rg.get_default_dtype()
    dtype('float64')
    """
    return _default_dtype


def numeric_array(data: Any) -> Array:
    """Return numbers as an array: an array itself, of its own dtype; TypeError for anything else.

    Floats that come in no array take the default dtype, complex numbers that of two of these.
    """
    given = isinstance(data, (np.ndarray, np.generic))
    array = unmasked(data)
    kind = array.dtype.kind
    if kind not in "fiubc":
        raise TypeError(f"a Tensor holds numbers, not {array.dtype} (from {type(data).__name__})")
    if not given and kind in "fc":
        dtype = _default_dtype if kind == "f" else complex_of(_default_dtype)
        if array.dtype != dtype:
            array = array.astype(dtype)
    return array


def complex_of(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the complex dtype whose parts have a floating one: complex64 for float32."""
    return np.result_type(dtype, np.complex64)


_NOTHING: dict[np.dtype[Any], Array] = {}


def make_stand_in(like: Array) -> Array:
    """Return an array of a shape and dtype alone, in place of one whose values are gone."""
    nothing = _NOTHING.get(like.dtype)
    if nothing is None:
        nothing = _NOTHING[like.dtype] = np.zeros((), like.dtype)
        nothing.flags.writeable = False
    return np.ndarray(like.shape, like.dtype, nothing, 0, (0,) * like.ndim)


def is_stand_in(array: Any) -> bool:
    """Tell whether an array has a shape and dtype alone: its values were written over."""
    base = getattr(array, "base", None)
    return base is not None and base is _NOTHING.get(array.dtype)


def unmasked(value: Any) -> Array:
    """Return a value as an array of NumPy's own class; TypeError for a masked one."""
    if isinstance(value, np.ndarray) and hasattr(value, "mask"):
        raise TypeError("masked arrays are not supported: write np.where(mask, value, array)")
    return np.asarray(value)


def check_floating(array: Array) -> None:
    """Raise TypeError unless the array's dtype can have a gradient."""
    if array.dtype.kind not in "fc":
        raise TypeError(
            f"only floating dtypes, real or complex, can require grad, this is {array.dtype}: use "
            ".astype(float)"
        )


class Constants(dict[Any, Any]):
    """Numbers as 0-d arrays, by dtype: NumPy would convert a Python number anew in every call.

    >>> zero, one = Constants(0.0, 1.0)[np.dtype(np.float32)]
    >>> one.dtype, one.ndim
    (dtype('float32'), 0)
    """

    # The arrays of all Constants, by id. They stay for good, so an id stands for one array.
    _made: ClassVar[dict[int, Array]] = {}

    def __init__(self, *numbers: float) -> None:
        super().__init__()
        self.numbers = numbers

    def __missing__(self, dtype: Any) -> Any:
        # of a complex dtype that of its parts: a float32 leaves complex64 as it is
        kept = np.zeros((), dtype).real.dtype if dtype.kind in "fc" else np.dtype(np.float64)
        arrays = tuple(np.array(number, kept) for number in self.numbers)
        for array in arrays:
            array.flags.writeable = False
            self._made[id(array)] = array
        self[dtype] = arrays
        return arrays

    @classmethod
    def number(cls, array: Array) -> float | None:
        """Return the number that an array of some Constants stands for, None for other arrays."""
        return array.item() if id(array) in cls._made else None
