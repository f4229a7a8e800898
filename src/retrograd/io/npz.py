"""Files `.npz`: NumPy's own, a zip archive with a member for each array."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from typing import IO

from numpy.lib import format as npy

from retrograd.engine import Array
from retrograd.io.content import DESCRIPTION, plain


def write(file: IO[bytes], arrays: Mapping[str, Array], description: str) -> None:
    """Write arrays by name, and a description unless it is "". The same give the same bytes."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            if "\0" in name:
                raise ValueError(f"a name in an .npz file cannot have a zero byte: {name!r}")
            # a member without a date, as `ZipInfo` makes it
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                npy.write_array(member, array, allow_pickle=False)
        if description:
            archive.writestr(zipfile.ZipInfo(DESCRIPTION), description)


def read(file: IO[bytes]) -> tuple[dict[str, Array], str]:
    """Return arrays by name, and the description or "".

    The members must follow one another without a gap, each once and not compressed: so nothing is
    read twice or left out, and nothing unpacks to more than the file holds.
    """
    arrays: dict[str, Array] = {}
    description, end = "", 0
    with zipfile.ZipFile(file) as archive:
        for member in sorted(archive.infolist(), key=lambda member: member.header_offset):
            name, array = member.filename, member.filename.removesuffix(".npy")
            if member.header_offset != end:
                raise ValueError(f"{name} is not where the last member ends")
            if member.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{name} is compressed: use np.savez")
            # the header: 30 bytes, of which the last four are the lengths of name and extra field
            file.seek(end + 26)
            end += 30 + sum(struct.unpack("<HH", file.read(4))) + member.file_size
            with archive.open(member) as content:
                if name == DESCRIPTION:
                    description = content.read().decode()
                elif array == name or array in arrays:
                    raise ValueError(f"{name!r} is no array or there twice")
                else:
                    arrays[array] = _read_array(content, name)
        if end != archive.start_dir:
            raise ValueError("it has more than its members")
    return arrays, description


def _read_array(content: IO[bytes], name: str) -> Array:
    try:
        array: Array = npy.read_array(content, allow_pickle=False)
    except MemoryError as error:
        raise ValueError(f"{name} tells of more than fits into memory") from error
    if content.read():
        raise ValueError(f"{name} holds more than it tells of")
    return plain(array, name)
