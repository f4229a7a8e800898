"""A file is written as a whole or not at all."""

import os
import signal
import stat
import subprocess
import sys

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


WRITER = """
import sys, time
from pathlib import Path
from retrograd.files import write_whole

def write(file):
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    time.sleep(60)

write_whole(Path(sys.argv[1]), write)
"""


def start_writer(path):
    command = [sys.executable, "-c", WRITER, str(path)]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert writer.stdout.readline() == b"writing\n"
    return writer


def end(writer):
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_what_a_killed_writer_left_is_removed_by_the_next_one(tmp_path):
    path = tmp_path / "numbers.bin"
    for _ in range(2):
        end(start_writer(path))
    near = tmp_path / ".numbers.bin.old.part"
    near.write_bytes(b"somebody else's")
    other = tmp_path / f".others.bin.{'0' * 16}.part"
    other.write_bytes(b"of another file")
    assert len(os.listdir(tmp_path)) >= 3
    write_whole(path, lambda file: file.write(b"new"))
    assert sorted(os.listdir(tmp_path)) == sorted(["numbers.bin", near.name, other.name])


@pytest.mark.skipif(os.name != "posix", reason="needs locks")
def test_what_another_process_is_writing_stays(tmp_path):
    path = tmp_path / "numbers.bin"
    writer = start_writer(path)
    try:
        write_whole(path, lambda file: file.write(b"new"))
        assert len(os.listdir(tmp_path)) == 2
    finally:
        end(writer)
    write_whole(path, lambda file: file.write(b"newer"))
    assert os.listdir(tmp_path) == ["numbers.bin"]
    assert path.read_bytes() == b"newer"
