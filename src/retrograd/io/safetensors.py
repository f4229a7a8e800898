"""Files `.safetensors`: those of the package safetensors, which is an extra to install."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from retrograd.engine import Array
from retrograd.io.content import DESCRIPTION, plain

# safetensors' names of dtypes, and NumPy's
DTYPES = {f"{kind.upper()}{8 * size}": f"<{kind}{size}" for kind in "fiu" for size in (1, 2, 4, 8)}
DTYPES |= {"BOOL": "?", "BF16": "<u2", "C64": "<c8"}


def package() -> Any:
    """Return the package safetensors; ImportError says how to install it."""
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError('use .npz, or pip install "retrograd[safetensors]"') from error
    return safetensors


def write(file: IO[bytes], arrays: Mapping[str, Array], description: str) -> None:
    """Write arrays by name, and a description unless it is "". The same give the same bytes."""
    if "__metadata__" in arrays:
        raise ValueError("an array in a .safetensors file cannot have the name '__metadata__'")
    for name, array in arrays.items():
        if array.dtype == np.complex128:
            raise TypeError(
                f"{name} is an array of complex128, which .safetensors files cannot have: save it "
                "as complex64, or in a .npz file"
            )
    # one entry: the package writes several in any order
    note = {DESCRIPTION: _checksum(arrays, description) + description}
    file.write(package().numpy.save(arrays, note))


def read(file: IO[bytes]) -> tuple[dict[str, Array], str]:
    """Return arrays by name, and the description or ""."""
    content = file.read()
    parts = dict(package().deserialize(content))
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    # in the writer's order, not the package's
    arrays = {name: _read_array(name, **parts[name]) for name in header if name in parts}
    notes = header.get("__metadata__", {})
    note = notes.get(DESCRIPTION)
    if note is None:
        if damaged := [name for name in notes if _is_nearly(name, DESCRIPTION)]:
            raise ValueError(f"its header is damaged: it says {damaged[0]!r} for {DESCRIPTION!r}")
        return arrays, ""
    if note[:8] != _checksum(arrays, note[8:]):
        raise ValueError("its checksum is of other values")
    return arrays, note[8:]


def _read_array(name: str, data: bytes, dtype: str, shape: list[int]) -> Array:
    if dtype not in DTYPES:
        raise ValueError(f"{name} is of {dtype}, which NumPy does not have")
    array = np.frombuffer(data, DTYPES[dtype])
    if dtype == "BF16":  # float32 without its lower half
        array = (array.astype("<u4") << 16).view("<f4")
    return plain(array.reshape(shape), name)


def _is_nearly(name: str, wanted: str) -> bool:
    """Tell whether a name is another one, but for a few characters: a damaged byte or two."""
    return len(name) == len(wanted) and sum(a != b for a, b in zip(name, wanted, strict=True)) <= 3


def _checksum(arrays: Mapping[str, Array], description: str) -> str:
    """Return eight digits that tell whether a file was damaged; zip archives have their own."""
    crc = zlib.crc32(description.encode())
    for name, array in sorted(arrays.items()):  # the package has its own order
        crc = zlib.crc32(f"{name}{array.dtype}{array.shape}".encode(), crc)
        crc = zlib.crc32(array.tobytes(), crc)
    return f"{crc:08x}"
