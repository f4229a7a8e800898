"""Archives that are not what they seem."""

import io
import json
import struct
import zipfile

import numpy as np
import pytest

import retrograd as rg


def npy(header, data=b"", magic=b"\x93NUMPY\x01\x00"):
    text = header if isinstance(header, bytes) else repr(header).encode()
    return magic + struct.pack("<H", len(text)) + text + data


def zipped(*members, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return file.getvalue()


def saved(save, *args, **kwargs):
    file = io.BytesIO()
    save(file, *args, **kwargs)
    return file.getvalue()


def bomb():
    """Ten members that all lie on the same bytes."""
    content = bytearray(zipped(("a.npy", npy(F8 | {"shape": (1000,)}, b"\0" * 8000))))
    end = content.rfind(b"PK\x05\x06")
    start = content.rfind(b"PK\x01\x02")
    entry = bytes(content[start:end])
    names = [entry.replace(b"a.npy", b"%c.npy" % (97 + i)) for i in range(10)]
    tail = bytearray(content[end:])
    tail[8:12] = struct.pack("<HH", 10, 10)
    tail[12:16] = struct.pack("<I", 10 * len(entry))
    return bytes(content[:start]) + b"".join(names) + bytes(tail)


def described(tree):
    return zipped(("retrograd.json", json.dumps({"version": 1, "state": tree})))


class Evil:
    def __reduce__(self):
        return print, ("executed",)


F8 = {"descr": "<f8", "fortran_order": False, "shape": (2,)}
HOSTILE = {
    "nothing": b"",
    "text": b"not a zip file",
    "pickled objects": saved(np.savez, a=np.array([Evil()], dtype=object)),
    "compressed": saved(np.savez_compressed, a=np.zeros(10)),
    "a zip bomb": zipped(
        ("a.npy", npy(F8 | {"shape": (2**27,)}, b"\0" * 2**20)), compression=zipfile.ZIP_DEFLATED
    ),
    "overlapping members": bomb(),
    "another member": zipped(("readme.txt", b"hello")),
    "more than there is": zipped(("a.npy", npy(F8 | {"shape": (2**60,)}, b"\0" * 16))),
    "an overflowing shape": zipped(("a.npy", npy(F8 | {"shape": (2**64, 2**64, 0)}))),
    "a negative shape": zipped(("a.npy", npy(F8 | {"shape": (-1, -2)}, b"\0" * 16))),
    "a shape that is no shape": zipped(("a.npy", npy(F8 | {"shape": "xy"}, b"\0" * 16))),
    "objects": zipped(("a.npy", npy(F8 | {"descr": "|O"}, b"\0" * 16))),
    "records": zipped(("a.npy", npy(F8 | {"descr": [("x", "<f8")]}, b"\0" * 16))),
    "a header that is code": zipped(("a.npy", npy(b"__import__('os').abort()"))),
    "a header of brackets": zipped(("a.npy", npy(b"(" * 5000))),
    "a header that is too long": zipped(("a.npy", npy(b" " * 60000))),
    "a header without a shape": zipped(("a.npy", npy({"descr": "<f8"}))),
    "another version": zipped(("a.npy", npy(F8, b"\0" * 16, b"\x93NUMPY\x09\x00"))),
    "no array": zipped(("a.npy", b"\x93NUM")),
    "a description that is no JSON": zipped(("retrograd.json", b"{")),
    "a description of another version": zipped(("retrograd.json", b'{"version": 2}')),
    "a description without a state": zipped(("retrograd.json", b'{"version": 1}')),
    "a description that is a list": zipped(("retrograd.json", b"[]")),
    "a deep description": zipped(("retrograd.json", b'{"version": 1, "state": ' + b"[" * 100_000)),
    "an array that is not there": described({"array": "a"}),
    "an array without a name": described({"array": []}),
    "an unknown entry": described({"call": "print"}),
    "two entries": described({"array": "a", "tuple": []}),
    "a key that is a list": described({"dict": [[[], 1]]}),
    "a generator that is none": described({"generator": {"dict": [["bit_generator", "os"]]}}),
    "a generator without state": described({"generator": {"dict": [["bit_generator", "PCG64"]]}}),
}  # fmt: skip


def generated(kind, **values):
    """A file with a generator in a state that it cannot be in."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        state = getattr(np.random, kind)(0).state
        inner = []
        for name, value in state["state"].items():
            if isinstance(value, np.ndarray):
                archive.writestr(zipfile.ZipInfo(f"{name}.npy"), saved(np.save, value))
                value = {"array": name}
            inner.append([name, values.get(name, value)])
        if "buffer" in state:
            archive.writestr(zipfile.ZipInfo("buffer.npy"), saved(np.save, state["buffer"]))
        outer = {**state, "state": {"dict": inner}, "buffer": {"array": "buffer"}, **values}
        known = [[k, outer[k]] for k in state]
        tree = {"generator": {"dict": known}}
        archive.writestr(
            zipfile.ZipInfo("retrograd.json"), json.dumps({"version": 1, "state": tree})
        )
    return file.getvalue()


for _kind, _values in (
    ("MT19937", {"pos": 10**8}), ("MT19937", {"pos": -1}), ("MT19937", {"pos": 10**30}),
    ("Philox", {"buffer_pos": -(10**9)}), ("Philox", {"buffer_pos": 5}),
):  # fmt: skip
    HOSTILE[f"{_kind} with {_values}"] = generated(_kind, **_values)


@pytest.mark.parametrize(
    ("kind", "values"), [("MT19937", {"pos": 7}), ("Philox", {"buffer_pos": 2})]
)
def test_a_generator_in_the_middle_of_its_numbers_is_none_of_these(kind, values, tmp_path):
    path = tmp_path / "state.npz"
    path.write_bytes(generated(kind, **values))
    assert 0 <= rg.load(path).random() < 1


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_npz_is_one_clear_error(what, tmp_path, capsys):
    path = tmp_path / "state.npz"
    path.write_bytes(HOSTILE[what])
    with pytest.raises(ValueError, match=r"state\.npz cannot be read"):
        rg.load(path)
    assert capsys.readouterr().out == ""
