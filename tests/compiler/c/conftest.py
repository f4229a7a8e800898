"""What the tests of programs in C need."""

import pytest

from retrograd.compiler import CompilerNotFoundError
from retrograd.compiler.c.build import find_compiler


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """Return a folder for compiled programs, which goes with the tests."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def compiler(cache, monkeypatch):
    """Return the command of the C compiler; skip where there is none."""
    try:
        command = find_compiler()
    except CompilerNotFoundError:
        pytest.skip("there is no C compiler")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    return command
