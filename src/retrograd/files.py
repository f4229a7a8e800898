"""Files that are written as a whole or not at all."""

import contextlib
import os
import re
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # where there is none, a file that is open cannot be removed
    fcntl = None  # type: ignore[assignment]


def write_whole(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write a file as a whole or not at all.

    It is written beside its place, under a name of its own that ends in ".part". What writers of
    the same file left there when they were killed is removed.

    Args:
        path: where it is to be. A file that is there already stays until the new one is complete.
        write: writes into the file it is given.
    """
    _remove_left_parts(path)
    file = _new_part(path)
    part = Path(file.name)
    try:
        with file:
            with contextlib.suppress(FileNotFoundError):
                shutil.copymode(path, part)
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    if os.name == "posix":  # elsewhere a folder cannot be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _new_part(path: Path) -> IO[bytes]:
    """Return a new file to write to, which is locked for as long as it is open."""
    while True:
        part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
        file = open(part, "xb")  # noqa: SIM115, the caller closes it
        # another writer may have taken it for one that was left, before it was locked
        if _lock(file) is not False and part.exists():
            return file
        file.close()


def _lock(file: IO[bytes]) -> bool | None:
    """Lock a file for as long as it is open; False if somebody else has, None if it cannot be."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return None
    return True


def _remove_left_parts(path: Path) -> None:
    """Remove the parts of a file whose writers are gone: whoever writes holds a lock."""
    name = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{16}}\.part")
    with contextlib.suppress(OSError):  # a folder that cannot be listed
        left = [entry.path for entry in os.scandir(path.parent) if name.fullmatch(entry.name)]
        for part in left:
            with contextlib.suppress(OSError):  # somebody else was faster
                if fcntl is None:
                    os.unlink(part)  # an error as long as it is open
                    continue
                with open(part, "rb+") as file:
                    if _lock(file):
                        os.unlink(part)
