import importlib.util
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Give a function that loads an example as a module; the test runs in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def load(name):
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def check(load, capsys):
    """Give a function that runs an example, checks it, and returns the lines it prints."""

    def check(name, *arguments):
        assert load(name).main(list(arguments)) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return out.splitlines()

    return check
