"""State in files: `.npz` and `.safetensors`, never pickles.

A dict of arrays becomes a file of just these, for any program to open. Anything nested has JSON
beside its arrays that tells how to put them together.
"""

import json
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from retrograd.engine import Array, Tensor
from retrograd.files import write_whole
from retrograd.random import restore

DESCRIPTION = "retrograd.json"  # where a file has the JSON
GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")


def save(state: Any, path: str | os.PathLike[str]) -> None:
    """Write `state` to a `.npz` or `.safetensors` file (an extra to install).

    `state` is an array, a Tensor, a number, a string, None, a `numpy.random.Generator`, or a dict,
    list or tuple of these; TypeError names the place of anything else. A killed process leaves
    the old file or the new one.

    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/run.npz"
    >>> rg.save({"model": rg.nn.Linear(2, 1).state_dict(), "epoch": 3}, path)
    >>> rg.load(path)["epoch"]
    3
    """
    path, package = checked(path)
    arrays: dict[str, Array] = {}
    tree = _encode(state, "state", (), arrays)
    description = ""
    if tree != {"dict": [(name, {"array": name}) for name in arrays]}:
        description = json.dumps({"version": 1, "state": tree})
    if package is None:
        write_whole(path, lambda file: _write_npz(file, arrays, description))
        return
    if "__metadata__" in arrays:
        raise ValueError("an array in a .safetensors file cannot have the name '__metadata__'")
    # one entry: the package writes several in any order
    note = {DESCRIPTION: _checksum(arrays, description) + description}
    content = package.numpy.save(arrays, note)
    write_whole(path, lambda file: file.write(content))


def load(path: str | os.PathLike[str]) -> Any:
    """Return what `save` was given, Tensors as arrays; or the arrays of another program's file.

    Nothing in it is executed. Raises ValueError for a damaged file or one of another kind,
    OSError for one that cannot be opened.

    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/run.npz"
    >>> rg.save([0.5, np.arange(2.0)], path)
    >>> rg.load(path)
    [0.5, array([0., 1.])]
    """
    path, package = checked(path)
    try:
        with open(path, "rb") as file:
            found = _read_npz(file) if package is None else _read_safetensors(file.read(), package)
        arrays, description = found
        if not description:
            return arrays
        content = json.loads(description, object_hook=lambda entry: _decode(entry, arrays))
        if content["version"] != 1:
            raise ValueError(f"its description has version {content['version']!r}, not 1")
        return content["state"]
    except (MemoryError, OSError):
        raise
    except Exception as error:  # whatever reading something else may raise
        raise ValueError(f"{path} cannot be read as {path.suffix} of arrays: {error}") from error


def checked(path: str | os.PathLike[str]) -> tuple[Path, Any]:
    """Return where a file is and the package that writes it, None for NumPy."""
    # where a link leads: the link stays
    path = Path(os.path.realpath(path))
    if path.suffix == ".npz":
        return path, None
    if path.suffix != ".safetensors":
        raise ValueError(f"a file's name must end in .npz or .safetensors, not {path.name!r}")
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError('use .npz, or pip install "retrograd[safetensors]"') from error
    return path, safetensors


def _plain(array: Array, place: str) -> Array:
    """Return numbers in C order and this machine's byte order."""
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise TypeError(f"{place} is an array of {array.dtype}, not of real numbers or bools")
    return np.asarray(array, array.dtype.newbyteorder("="), order="C")


def _encode(value: Any, place: str, path: tuple[str, ...], arrays: dict[str, Array]) -> Any:
    """Return `value` as JSON, its arrays put in `arrays` and named."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, (np.ndarray, Tensor, np.generic)):
        name = ".".join(path) if path else "state"
        while name in arrays:
            name += "_"
        array = value._array if isinstance(value, Tensor) else np.asarray(value)
        arrays[name] = _plain(array, place)
        return {"scalar" if isinstance(value, np.generic) else "array": name}
    if isinstance(value, (Mapping, list, tuple)):
        pairs = []
        for key, v in value.items() if isinstance(value, Mapping) else enumerate(value):
            if type(key) not in (str, int):
                raise TypeError(f"{place} has the key {key!r}: save takes strings and ints")
            pairs.append((key, _encode(v, f"{place}[{key!r}]", (*path, str(key)), arrays)))
        if isinstance(value, Mapping):
            return {"dict": pairs}
        inner = [v for _, v in pairs]
        return inner if isinstance(value, list) else {"tuple": inner}
    if isinstance(value, np.random.Generator):
        return {"generator": _encode(value.bit_generator.state, place, path, arrays)}
    hint = ": pass its state_dict()" if hasattr(value, "state_dict") else ""
    raise TypeError(f"{place} is a {type(value).__name__}, which save does not take{hint}")


def _decode(entry: dict[str, Any], arrays: Mapping[str, Array]) -> Any:
    """Return what a JSON object stands for, its parts decoded."""
    if "version" in entry:
        return entry
    ((kind, content),) = entry.items()
    if kind == "array":
        return arrays[content]
    if kind == "scalar":
        return arrays[content][()]
    if kind == "dict":
        return dict(content)
    if kind == "tuple":
        return tuple(content)
    if kind != "generator" or content["bit_generator"] not in GENERATORS:
        raise ValueError(f"its description has an entry {entry}")
    rng = np.random.Generator(getattr(np.random, content["bit_generator"])(0))
    restore(rng, content)
    return rng


def _write_npz(file: IO[bytes], arrays: Mapping[str, Array], description: str) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            if "\0" in name:
                raise ValueError(f"a name in an .npz file cannot have a zero byte: {name!r}")
            # no date: same state, same bytes
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                npy.write_array(member, array, allow_pickle=False)
        if description:
            archive.writestr(zipfile.ZipInfo(DESCRIPTION), description)


def _read_npz(file: IO[bytes]) -> tuple[dict[str, Array], str]:
    arrays: dict[str, Array] = {}
    description, end = "", 0
    with zipfile.ZipFile(file) as archive:
        # nothing is read twice or left out
        for member in sorted(archive.infolist(), key=lambda member: member.header_offset):
            name, array = member.filename, member.filename.removesuffix(".npy")
            if member.header_offset != end:
                raise ValueError(f"{name} is not where the last member ends")
            if member.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{name} is compressed: use np.savez")
            file.seek(end + 26)
            end += 30 + sum(struct.unpack("<HH", file.read(4))) + member.file_size
            with archive.open(member) as content:
                if name == DESCRIPTION:
                    description = content.read().decode()
                elif array == name or array in arrays:
                    raise ValueError(f"{name!r} is no array or there twice")
                else:
                    arrays[array] = _read_npy(content, name)
        if end != archive.start_dir:
            raise ValueError("it has more than its members")
    return arrays, description


def _read_npy(content: IO[bytes], name: str) -> Array:
    try:
        array: Array = npy.read_array(content, allow_pickle=False)
    except MemoryError as error:
        raise ValueError(f"{name} tells of more than fits into memory") from error
    if content.read():
        raise ValueError(f"{name} holds more than it tells of")
    return _plain(array, name)


_DTYPES = {f"{kind.upper()}{8 * size}": f"<{kind}{size}" for kind in "fiu" for size in (1, 2, 4, 8)}
_DTYPES |= {"BOOL": "?", "BF16": "<u2"}


def _read_safetensors(content: bytes, package: Any) -> tuple[dict[str, Array], str]:
    parts = dict(package.deserialize(content))
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    # in the writer's order, not the package's
    arrays = {name: _tensor(name, **parts[name]) for name in header if name in parts}
    note = header.get("__metadata__", {}).get(DESCRIPTION)
    if note is None:
        return arrays, ""
    if note[:8] != _checksum(arrays, note[8:]):
        raise ValueError("its checksum is of other values")
    return arrays, note[8:]


def _tensor(name: str, data: bytes, dtype: str, shape: list[int]) -> Array:
    if dtype not in _DTYPES:
        raise ValueError(f"{name} is of {dtype}, which NumPy does not have")
    array = np.frombuffer(data, _DTYPES[dtype])
    if dtype == "BF16":  # float32 without its lower half
        array = (array.astype("<u4") << 16).view("<f4")
    return _plain(array.reshape(shape), name)


def _checksum(arrays: Mapping[str, Array], description: str) -> str:
    crc = zlib.crc32(description.encode())  # zip archives have their own
    for name, array in sorted(arrays.items()):  # the package has its own order
        crc = zlib.crc32(f"{name}{array.dtype}{array.shape}".encode(), crc)
        crc = zlib.crc32(array.tobytes(), crc)
    return f"{crc:08x}"
