"""What is peculiar to .safetensors: its package, bfloat16, files that are not what they seem."""

import json
import struct
import sys
import zlib

import numpy as np
import pytest

import retrograd as rg


def safetensors_file(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def test_bfloat16_is_read_as_float32(tmp_path):
    pytest.importorskip("safetensors")
    values = np.array([1.0, -2.5, 3e38], np.float32)
    data = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    header = {"w": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}}
    path = tmp_path / "w.safetensors"
    path.write_bytes(safetensors_file(header, data))
    np.testing.assert_allclose(rg.load(path)["w"], values, rtol=0.01)


def test_without_safetensors_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match=r"retrograd\[safetensors\]"):
        rg.save({}, tmp_path / "w.safetensors")
    with pytest.raises(ImportError, match=r"retrograd\[safetensors\]"):
        rg.load(tmp_path / "w.safetensors")


MISSING = '{"version": 1, "state": {"array": "b"}}'
TENSOR = {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]}
HOSTILE_TENSORS = {
    "nothing": b"",
    "text": b"not a safetensors file",
    "a header longer than the file": safetensors_file({}, length=2**62),
    "a header that is no JSON": safetensors_file(b"{{"),
    "a deep header": safetensors_file(b"[" * 100_000),
    "too little data": safetensors_file({"a": TENSOR}, b"\0" * 8),
    "too much data": safetensors_file({"a": TENSOR}, b"\0" * 24),
    "overlapping tensors": safetensors_file({"a": TENSOR, "b": TENSOR}, b"\0" * 16),
    "a shape that is too large": safetensors_file(
        {"a": TENSOR | {"shape": [2**62, 2**62]}}, b"\0" * 16
    ),
    "an unknown dtype": safetensors_file({"a": TENSOR | {"dtype": "F7"}}, b"\0" * 16),
    "a dtype that NumPy has not": safetensors_file(
        {"a": TENSOR | {"dtype": "F8_E4M3", "shape": [16]}}, b"\0" * 16
    ),
    "another checksum": safetensors_file(
        {"__metadata__": {"retrograd.json": "12345678"}, "a": TENSOR}, b"\0" * 16
    ),
    "an array that is not there": safetensors_file(
        {"__metadata__": {"retrograd.json": f"{zlib.crc32(MISSING.encode()):08x}{MISSING}"}}
    ),
}


@pytest.mark.parametrize("what", HOSTILE_TENSORS)
def test_a_hostile_safetensors_file_is_one_clear_error(what, tmp_path):
    pytest.importorskip("safetensors")
    path = tmp_path / "state.safetensors"
    path.write_bytes(HOSTILE_TENSORS[what])
    with pytest.raises(ValueError, match=r"state\.safetensors cannot be read"):
        rg.load(path)


@pytest.mark.parametrize("state", [
    {"a": np.arange(3.0), "b": np.ones((2, 2), "f4")}, {"model": {"w": np.arange(3.0)}, "epoch": 3},
], ids=["arrays", "nested"])  # fmt: skip
def test_a_flipped_bit_in_the_header_is_one_clear_error(state, tmp_path):
    pytest.importorskip("safetensors")
    path = tmp_path / "state.safetensors"
    rg.save(state, path)
    whole = path.read_bytes()
    length = 8 + int.from_bytes(whole[:8], "little")
    for i in range(8 * length):
        flipped = bytearray(whole)
        flipped[i // 8] ^= 1 << i % 8
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match=r"state\.safetensors cannot be read"):
            rg.load(path)


def test_other_programs_notes_are_no_damage(tmp_path):
    pytest.importorskip("safetensors")
    path = tmp_path / "state.safetensors"
    notes = {"format": "pt", "tensorflow.json": "12345678", "retrograd": "1"}
    path.write_bytes(safetensors_file({"__metadata__": notes, "a": TENSOR}, b"\0" * 16))
    assert list(rg.load(path)) == ["a"]


def test_complex_numbers_are_saved_as_far_as_the_format_goes(tmp_path):
    pytest.importorskip("safetensors")
    z = np.array([1 + 2j, -3.5], np.complex64)
    rg.save({"z": z}, tmp_path / "z.safetensors")
    loaded = rg.load(tmp_path / "z.safetensors")["z"]
    assert loaded.dtype == np.complex64
    np.testing.assert_array_equal(loaded, z)
    with pytest.raises(TypeError, match=r"z is an array of complex128.*\.npz"):
        rg.save({"z": z.astype(complex)}, tmp_path / "z.safetensors")
    rg.save({"z": z.astype(complex)}, tmp_path / "z.npz")
    assert rg.load(tmp_path / "z.npz")["z"].dtype == np.complex128
