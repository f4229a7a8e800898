"""Compiled sources: where they are kept, and what happens when something is wrong there."""

import numpy as np
import pytest

import retrograd as rg
from retrograd.compiler import CompilerNotFoundError
from retrograd.compiler.c import build

SOURCE = "int probe(void *state) { return state != 0; }\n"


@pytest.fixture
def folder(compiler, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "retrograd"


def test_a_source_is_compiled_once(folder, monkeypatch):
    assert build.build(SOURCE).probe(None) == 0
    (library,) = folder.glob("*.so")
    assert folder.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(build, "_compile", None)
    assert build.build(SOURCE).probe(None) == 0
    assert [*folder.glob("*.so")] == [library]


def test_a_damaged_library_is_built_again(folder):
    build.build(SOURCE)
    (library,) = folder.glob("*.so")
    whole = library.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", whole[:-1] + b"x"):
        library.unlink()  # what is loaded already must not change
        library.write_bytes(damaged)
        assert build.build(SOURCE).probe(None) == 0
        assert len(library.read_bytes()) > 1000
        assert library.read_bytes() != damaged


def test_a_folder_that_others_may_write_into_is_not_used(folder):
    folder.mkdir(mode=0o700)
    folder.chmod(0o777)
    assert build.build(SOURCE).probe(None) == 0
    assert not [*folder.iterdir()]


def test_without_a_compiler_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(CompilerNotFoundError, match="apt install gcc"):
        rg.compile(lambda x: x, target="c")
    monkeypatch.setenv("CC", "no such compiler; touch here")
    with pytest.raises(CompilerNotFoundError, match="CC names 'no such compiler; touch here'"):
        rg.compile(lambda x: x, target="c")
    assert rg.compile(lambda x: x * 2)(np.ones(2)).data[0] == 2


def test_a_compiler_that_fails_is_named(compiler, folder, monkeypatch):
    monkeypatch.setenv("CC", f"{compiler[0]} --no-such-option")
    step = rg.compile(lambda x: np.exp(x), target="c")
    step(np.ones(2))  # recorded; the program is compiled when it is to run
    with pytest.raises(RuntimeError, match="does not take the program"):
        step(np.ones(2))
    monkeypatch.delenv("CC")
    assert step(np.ones(2)).data[0] == np.exp(1.0)


def test_another_target_is_refused():
    with pytest.raises(ValueError, match='target="numpy" or target="c", not \'gpu\''):
        rg.compile(lambda x: x, target="gpu")
