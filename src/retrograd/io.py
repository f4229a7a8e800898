"""Weights and checkpoints in files: `.npz` and `.safetensors`, never pickles.

A dict of names and arrays, such as a model's `state_dict()`, becomes a file with just these arrays,
which NumPy, or whatever reads safetensors, opens as well. Anything nested becomes such a file too:
its arrays go by their paths, and a description in JSON tells how to put them together.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from retrograd.core import Array, Tensor

DESCRIPTION = "retrograd.json"  # a member of the npz, a key of the safetensors metadata
GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")


def save(state: Any, path: str | os.PathLike[str]) -> None:
    """Write `state` to a file whose name ends in `.npz` or `.safetensors` (an extra to install).

    `state` is an array, a Tensor, a number, a string, None, a `numpy.random.Generator`, or a dict,
    list or tuple of these; TypeError names the place of anything else. The file is replaced as a
    whole: a process that is killed meanwhile leaves the old file or the new one, and perhaps a
    hidden part beside it.

    >>> import os, tempfile, retrograd as rg
    >>> model = rg.nn.Linear(2, 1)
    >>> optimizer = rg.optim.Adam(model.parameters())
    >>> path = os.path.join(tempfile.mkdtemp(), "run.npz")
    >>> rg.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)
    >>> loaded = rg.load(path)
    >>> model.load_state_dict(loaded["model"])
    LoadedKeys(missing_keys=[], unexpected_keys=[])
    >>> optimizer.load_state_dict(loaded["optimizer"])
    """
    path = _checked(path)
    arrays: dict[str, Array] = {}
    description = None
    if isinstance(state, Mapping) and all(
        isinstance(name, str) and isinstance(value, (np.ndarray, Tensor))
        for name, value in state.items()
    ):
        arrays |= {name: _plain(value, f"state[{name!r}]") for name, value in state.items()}
    else:
        tree = _encode(state, "state", (), arrays)
        description = json.dumps({"version": 1, "state": tree}, separators=(",", ":"))
    if path.suffix == ".npz":
        _replace(path, lambda file: _write_npz(file, arrays, description))
    else:
        if "__metadata__" in arrays:
            raise ValueError("the name '__metadata__' means something else in .safetensors files")
        # one entry, since the package writes several in any order
        note = _checksum(arrays, description) + (description or "")
        content = _safetensors().save(arrays, metadata={DESCRIPTION: note})
        _replace(path, lambda file: file.write(content))


def load(path: str | os.PathLike[str]) -> Any:
    """Return what `save` was given, Tensors as arrays; or the arrays of another program's file.

    Nothing in a file is executed. Raises ValueError for a file that is damaged, cut off or not
    what its name says, OSError for one that cannot be opened.

    >>> import numpy as np, os, tempfile, retrograd as rg
    >>> path = os.path.join(tempfile.mkdtemp(), "numbers.npz")
    >>> rg.save({"steps": 3, "best": [0.5, np.arange(2.0)]}, path)
    >>> rg.load(path)
    {'steps': 3, 'best': [0.5, array([0., 1.])]}
    """
    path = _checked(path)
    read = _read_npz
    if path.suffix == ".safetensors":
        _safetensors()
        read = _read_safetensors
    try:
        with open(path, "rb") as file:
            arrays, description = read(file)
        if description is None:
            return arrays
        content = json.loads(description)
        if content["version"] != 1:
            raise ValueError(f"its description has version {content['version']!r}, not 1")
        return _decode(content["state"], arrays)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # whatever reading something else as an array may raise
        message = f"{path} cannot be read, damaged or no {path.suffix} file of arrays: {error}"
        raise ValueError(message) from error


def _plain(value: Any, place: str) -> Array:
    """Return an array as files hold it: numbers, in C order, in this machine's byte order."""
    array = value._data if isinstance(value, Tensor) else np.asarray(value)
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise TypeError(f"{place} is an array of {array.dtype}: save takes real numbers and bools")
    return np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")


def _encode(value: Any, place: str, path: tuple[str, ...], arrays: dict[str, Array]) -> Any:
    """Return `value` as JSON, its arrays by their names in `arrays`, where they are put."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, (np.ndarray, Tensor, np.generic)):
        name = ".".join(path) or "state"
        while name in arrays:
            name += "_"
        arrays[name] = _plain(value, place)
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


def _decode(tree: Any, arrays: Mapping[str, Array]) -> Any:
    if isinstance(tree, list):
        return [_decode(item, arrays) for item in tree]
    if not isinstance(tree, dict):
        return tree
    ((kind, content),) = tree.items()
    if kind in ("array", "scalar"):
        return arrays[content] if kind == "array" else arrays[content][()]
    if kind == "tuple":
        return tuple(_decode(item, arrays) for item in content)
    if kind == "dict":
        return {key: _decode(item, arrays) for key, item in content}
    if kind == "generator":
        state = _decode(content, arrays)
        if state["bit_generator"] not in GENERATORS:
            raise ValueError(f"it has a generator {state['bit_generator']!r}")
        bits = getattr(np.random, state["bit_generator"])(0)
        bits.state = state
        return np.random.Generator(bits)
    raise ValueError(f"its description has an entry {kind!r}")


def _write_npz(file: IO[bytes], arrays: Mapping[str, Array], description: str | None) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            if "\0" in name:
                raise ValueError(f"a name in an .npz file cannot have a zero byte: {name!r}")
            # no date: the same state gives the same bytes
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                npy.write_array(member, array, allow_pickle=False)
        if description is not None:
            archive.writestr(zipfile.ZipInfo(DESCRIPTION), description)


def _read_npz(file: IO[bytes]) -> tuple[dict[str, Array], str | None]:
    arrays: dict[str, Array] = {}
    description = None
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        # members that overlapped could each be as large as the file, and one left out of the
        # list of contents would go unnoticed
        end = 0
        for member in sorted(members, key=lambda member: member.header_offset):
            file.seek(end)
            header = file.read(30)
            if member.header_offset != end:
                raise ValueError(f"{member.filename} is not where the last member ends")
            if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
                raise ValueError(f"{member.filename} is compressed or encrypted: use np.savez")
            end += 30 + sum(struct.unpack("<HH", header[26:])) + member.file_size
        if end != archive.start_dir:
            raise ValueError(f"its members end at byte {end}, not at {archive.start_dir}")
        for member in members:
            content, name = archive.read(member), member.filename
            if name == DESCRIPTION:
                description = content.decode()
            elif not name.endswith(".npy") or name[:-4] in arrays:
                raise ValueError(f"it has a member {name!r}, no array or there twice")
            else:
                arrays[name[:-4]] = _read_npy(content, name)
    return arrays, description


def _read_npy(content: bytes, name: str) -> Array:
    """Return the array in an npy file: np.load would allocate what the header says before it reads.

    The format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
    """
    file = BytesIO(content)
    if (version := npy.read_magic(file)) not in ((1, 0), (2, 0)):
        raise ValueError(f"{name} is an array of version {version}")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    try:
        shape, fortran, dtype = read(file)
    except MemoryError as error:  # what the parser raises for too many brackets
        raise ValueError(f"{name} has a header that is no dict") from error
    start = file.tell()
    if dtype.kind not in "fiub" or dtype.itemsize > 8:
        raise ValueError(f"{name} holds {dtype}, not numbers")
    if math.prod(shape) * dtype.itemsize != len(content) - start or min(shape, default=0) < 0:
        raise ValueError(f"{name} has {len(content) - start} bytes for {dtype} of shape {shape}")
    flat = np.frombuffer(content, dtype, offset=start).astype(dtype.newbyteorder("="))
    return flat.reshape(shape, order="F" if fortran else "C")


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        message = 'for .safetensors files: python -m pip install "retrograd[safetensors]"'
        raise ImportError(f"{message}, or use .npz") from error
    return safetensors.numpy


_DTYPES = {f"{kind.upper()}{8 * size}": f"<{kind}{size}" for kind in "fiu" for size in (2, 4, 8)}
_DTYPES |= {"BOOL": "?", "I8": "i1", "U8": "u1"}


def _read_safetensors(file: IO[bytes]) -> tuple[dict[str, Array], str | None]:
    from safetensors import SafetensorError, deserialize

    content = file.read()
    try:
        parts = dict(deserialize(content))  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    # the package gives no order; the header has the writer's
    arrays = {name: _tensor(name, parts[name]) for name in header if name in parts}
    note = header.get("__metadata__", {}).get(DESCRIPTION)
    if note is None:
        return arrays, None
    description = note[8:] or None
    if note[:8] != _checksum(arrays, description):
        raise ValueError("its checksum is of other values")
    return arrays, description


def _checksum(arrays: Mapping[str, Array], description: str | None) -> str:
    """Return the CRC-32 of all there is to a file; zip archives have their own."""
    crc = zlib.crc32((description or "").encode())
    for name, array in sorted(arrays.items()):  # the package writes them in an order of its own
        crc = zlib.crc32(f"{name}{array.dtype}{array.shape}".encode(), crc)
        crc = zlib.crc32(array.reshape(-1).view(np.uint8).data, crc)
    return f"{crc:08x}"


def _tensor(name: str, part: Mapping[str, Any]) -> Array:
    data, kind, shape = part["data"], part["dtype"], part["shape"]
    if kind == "BF16":  # float32 without its lower half
        wide = np.frombuffer(data, "<u2").astype(np.uint32) << 16
        return wide.view(np.float32).reshape(shape)
    if kind not in _DTYPES:
        raise ValueError(f"{name} is of {kind}, which NumPy does not have")
    dtype = np.dtype(_DTYPES[kind])
    return np.frombuffer(data, dtype).astype(dtype.newbyteorder("=")).reshape(shape)


def _checked(path: str | os.PathLike[str]) -> Path:
    # where a link leads, so that the link stays and its target is replaced
    path = Path(os.path.realpath(path))
    if path.suffix not in (".npz", ".safetensors"):
        raise ValueError(f"the name of the file must end in .npz or .safetensors: {path.name!r}")
    return path


def _replace(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write a file that is there as a whole or not at all, whatever stops the process."""
    part = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.part")
    try:
        with open(part, "xb") as file:
            with contextlib.suppress(FileNotFoundError):
                os.chmod(part, stat.S_IMODE(path.stat().st_mode))
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()
    if os.name == "posix":  # elsewhere a folder cannot be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
