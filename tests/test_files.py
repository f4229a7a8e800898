"""A file is written as a whole or not at all."""

import os
import stat

import pytest

from retrograd.files import write_whole


def test_a_file_is_what_was_written_into_it(tmp_path):
    path = tmp_path / "numbers.bin"
    for content in (b"12", b"3"):
        write_whole(path, lambda file, content=content: file.write(content))
        assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["numbers.bin"]


def test_an_error_leaves_the_old_file_with_its_permissions_and_nothing_else(tmp_path):
    path = tmp_path / "numbers.bin"
    path.write_bytes(b"old")
    path.chmod(0o640)

    def fail(file):
        file.write(b"new")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_whole(path, fail)
    assert path.read_bytes() == b"old"
    write_whole(path, lambda file: file.write(b"new"))
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["numbers.bin"]
