"""Compiled sources: where they are kept, and what happens when something is wrong there."""

import functools
import os
import shutil
import subprocess
import sys
import tempfile
import threading

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


# Compilers of all kinds ----------------------------------------------------------------------


def script(path, text):
    """Return the path of a program that a shell runs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def runs(fn=np.exp):
    step = rg.compile(lambda x: fn(x) * 2, target="c")
    for _ in range(4):
        found = step(np.ones(3))
    return found.data[0] == pytest.approx(2 * fn(1.0))


def test_a_compiler_may_be_named_with_arguments_or_stand_behind_another(
    compiler, folder, tmp_path, monkeypatch
):
    wrapper = script(tmp_path / "wrap per" / "ccache", 'exec "$@"')
    for named in (
        f"{compiler[0]} -DX=1",
        f"'{wrapper}' {compiler[0]}",
        f"'{wrapper}' {compiler[0]} '-DTEXT=a b'",
        str(script(tmp_path / "with space" / "my cc", f'exec {compiler[0]} "$@"')),
        "  ",  # as if it were not set
    ):
        monkeypatch.setenv("CC", named)
        assert runs(), named
    assert len([*folder.glob("*.so")]) == 5


@pytest.mark.parametrize("named", ["'no end", "/", "no-such-compiler", '""'])
def test_a_compiler_that_is_none_is_told(named, monkeypatch):
    monkeypatch.setenv("CC", named)
    with pytest.raises(CompilerNotFoundError, match="CC names"):
        rg.compile(np.exp, target="c")


def test_a_compiler_that_cannot_be_run_is_told(folder, tmp_path, monkeypatch):
    broken = script(tmp_path / "cc", "")
    broken.write_bytes(b"\x7fELF nothing")
    monkeypatch.setenv("CC", str(broken))
    step = rg.compile(lambda x: np.exp(x), target="c")
    step(np.ones(2))
    with pytest.raises(CompilerNotFoundError, match="cannot be run"):
        step(np.ones(2))


def test_a_compiler_that_makes_nothing_is_told(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("CC", str(script(tmp_path / "cc", "exit 0")))
    step = rg.compile(lambda x: np.exp(x), target="c")
    step(np.ones(2))
    with pytest.raises(RuntimeError, match="has made nothing"):
        step(np.ones(2))


def test_a_compiler_that_knows_no_native_machine_does_without(
    compiler, folder, tmp_path, monkeypatch
):
    refusing = 'for a; do [ "$a" = -march=native ] && { echo unknown >&2; exit 1; }; done'
    monkeypatch.setenv("CC", str(script(tmp_path / "cc", f'{refusing}\nexec {compiler[0]} "$@"')))
    assert runs()


def test_no_text_of_a_user_reaches_a_shell(compiler, folder, tmp_path, monkeypatch):
    room = tmp_path / "a b; touch here; $(touch there)"
    room.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(room))
    monkeypatch.setenv("TMPDIR", str(room))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.chdir(room)
    assert runs()
    assert {p.name for p in room.iterdir()} == {"retrograd"}


# The folder ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["a file", "a loop of links", "a link that leads nowhere"])
def test_where_the_folder_cannot_be_had_another_one_goes_with_the_process(
    compiler, tmp_path, monkeypatch, kind
):
    home = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    if kind == "a file":
        home.write_text("")
    else:
        home.mkdir()
        target = home / "retrograd" if kind == "a loop of links" else home / "nowhere" / "at all"
        (home / "retrograd").symlink_to(target)
    assert runs()
    assert not [*tmp_path.rglob("*.so")]


def test_a_link_to_a_folder_of_ones_own_is_followed(compiler, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "other").mkdir(mode=0o700)
    (tmp_path / "retrograd").symlink_to(tmp_path / "other")
    assert runs()
    assert [*(tmp_path / "other").glob("*.so")]


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root gives away")
def test_a_folder_of_another_user_is_not_used(folder):
    folder.mkdir(mode=0o700)
    os.chown(folder, 12345, 12345)
    assert runs()
    assert not [*folder.iterdir()]


def test_a_folder_that_is_full_is_left_alone(folder, monkeypatch):
    def fail(path, write):
        if folder in path.parents:
            raise OSError(28, "No space left on device")
        return write_whole(path, write)

    write_whole = build.write_whole
    monkeypatch.setattr(build, "write_whole", fail)
    assert runs()


def test_a_folder_whose_programs_cannot_be_loaded_is_left_alone(folder, monkeypatch):
    def fail(path):
        if str(folder) in path:
            raise OSError("failed to map segment from shared object")
        return load(path)

    load = build.ctypes.PyDLL
    monkeypatch.setattr(build.ctypes, "PyDLL", fail)
    assert runs()


def test_the_folder_of_a_process_is_made_again_where_it_is_gone(compiler, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    (tmp_path / "file").write_text("")
    assert runs()
    shutil.rmtree(build._passing_folder())
    assert runs(np.sin)


# At once ---------------------------------------------------------------------------------------


MANY = """
import sys
import numpy as np
import retrograd as rg

step = rg.compile(lambda x: np.tanh(x) * 3, target="c")
for _ in range(3):
    found = step(np.ones(4))
sys.exit(int(abs(found.data[0] - 3 * np.tanh(1.0)) > 1e-12))
"""


def test_processes_that_build_the_same_program_at_once(folder):
    started = [subprocess.Popen([sys.executable, "-c", MANY]) for _ in range(4)]
    assert [process.wait() for process in started] == [0] * 4
    assert len([*folder.glob("*.so")]) == 1
    assert not [*folder.glob(".*.part")]


def test_a_build_that_is_interrupted_is_done_at_the_next_call(folder, monkeypatch):
    step = rg.compile(lambda x: np.cosh(x) - 1, target="c")
    step(np.ones(3))
    make = build._make_library

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "_make_library", interrupted)
    with pytest.raises(KeyboardInterrupt):
        step(np.ones(3))
    assert not [*folder.iterdir()]
    monkeypatch.setattr(build, "_make_library", make)
    for _ in range(3):
        np.testing.assert_allclose(step(np.ones(3)).data, np.cosh(1.0) - 1, rtol=1e-14)


@pytest.mark.parametrize("n", [8, 100_000])
def test_threads_call_one_step_at_once(folder, n):
    w = rg.Tensor(np.zeros(n))

    @functools.partial(rg.compile, target="c")
    def step(x):
        y = np.exp(x) + np.tanh(x) * np.sin(x)
        with rg.no_grad():
            w.__iadd__(y)
        return np.sum(y)

    xs = [np.full(n, 0.1 * k) for k in range(4)]
    for x in xs:
        step(x)
    expected = [np.sum(np.exp(x) + np.tanh(x) * np.sin(x)) for x in xs]
    before, wrong = w.data.copy(), []

    def work(k):
        found = [step(xs[k]).item() for _ in range(25)]
        wrong.extend(v for v in found if not np.isclose(v, expected[k], rtol=1e-12))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
    total = 25 * sum(np.exp(x) + np.tanh(x) * np.sin(x) for x in xs)
    np.testing.assert_allclose(w.data - before, total, rtol=1e-10)
