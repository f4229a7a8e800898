"""`save` and `load`: state goes to a file as a whole, and comes back without being executed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Protocol

from retrograd.engine import Array
from retrograd.files import write_whole
from retrograd.io import npz, safetensors
from retrograd.io.content import decode, encode


class Kind(Protocol):
    """What writes and reads one kind of file: the modules `npz` and `safetensors`."""

    def write(self, file: IO[bytes], arrays: Mapping[str, Array], description: str) -> None:
        """Write arrays by name, and a description unless it is ""."""

    def read(self, file: IO[bytes]) -> tuple[dict[str, Array], str]:
        """Return arrays by name, in the order they were written, and the description or ""."""


def save(state: Any, path: str | os.PathLike[str]) -> None:
    """Write state to a file, as a whole: a process that is killed leaves the old file or the new.

    A dict of arrays, such as the `state_dict()` of a model, becomes a file that other programs
    open.

    Args:
        state: an array, a Tensor, a number, a string, None, a `numpy.random.Generator`; or a dict,
            list or tuple of these, as deep as you like. Keys are strings or ints.
        path: a name that ends in `.npz` or `.safetensors`. The latter needs an extra:
            `pip install "retrograd[safetensors]"`.

    Raises:
        TypeError: if there is something else in `state`; it names the place.
        ValueError: if the name ends otherwise, or if a kind of file cannot have the name of an
            array.
        ImportError: if safetensors is not installed.
        OSError: if the file cannot be written.

    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/run.npz"
    >>> rg.save({"model": rg.nn.Linear(2, 1).state_dict(), "epoch": 3}, path)
    >>> rg.load(path)["epoch"]
    3
    """
    real_path, kind = resolve(path)
    arrays, description = encode(state)
    write_whole(real_path, lambda file: kind.write(file, arrays, description))


def load(path: str | os.PathLike[str]) -> Any:
    """Return the state in a file. Nothing in it is executed.

    Args:
        path: a file that `save` wrote, or one of arrays of another program; its name ends in
            `.npz` or `.safetensors`.

    Returns:
        What `save` was given, Tensors as arrays; or a dict of arrays. bfloat16 becomes float32.

    Raises:
        ValueError: if the file is damaged, of another kind, or has arrays that NumPy has not.
        ImportError: if safetensors is not installed.
        OSError: if the file cannot be opened.

    >>> import tempfile
    >>> path = tempfile.mkdtemp() + "/run.npz"
    >>> rg.save([0.5, np.arange(2.0)], path)
    >>> rg.load(path)
    [0.5, array([0., 1.])]
    """
    real_path, kind = resolve(path)
    try:
        with open(real_path, "rb") as file:
            arrays, description = kind.read(file)
        return decode(arrays, description)
    except (MemoryError, OSError):
        raise
    except Exception as error:  # whatever reading something else may raise
        message = f"{real_path} cannot be read as {real_path.suffix} of arrays: {error}"
        raise ValueError(message) from error


def resolve(path: str | os.PathLike[str]) -> tuple[Path, Kind]:
    """Return where a file is and what writes its kind; ValueError or ImportError for none."""
    # where a link leads: the link itself stays when the file is replaced
    path = Path(os.path.realpath(path))
    if path.suffix == ".npz":
        return path, npz
    if path.suffix != ".safetensors":
        raise ValueError(f"a file's name must end in .npz or .safetensors, not {path.name!r}")
    safetensors.package()  # if it is not installed, that is an error now
    return path, safetensors
