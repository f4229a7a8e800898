import json
import threading
import urllib.request

import pytest


@pytest.fixture
def build(load_page_module):
    return load_page_module("build")


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / "retrograd-0.1.0-py3-none-any.whl"
    path.write_bytes(b"a wheel")
    return path


@pytest.fixture
def runtime(build, tmp_path):
    folder = tmp_path / "runtime"
    folder.mkdir()
    for name in build.RUNTIME:
        (folder / name).write_text(name)
    packages = {"numpy": {"file_name": "numpy.whl"}, "scipy": {"file_name": "scipy.whl"}}
    (folder / build.LOCK).write_text(json.dumps({"info": {}, "packages": packages}))
    (folder / "numpy.whl").write_text("NumPy")
    return folder


def read_place(folder):
    return json.loads((folder / "config.js").read_text().removeprefix("self.PLAYGROUND = ")[:-2])


def test_a_folder_without_a_runtime_takes_the_public_one(build, wheel, tmp_path):
    sizes = build.build(tmp_path / "site", wheel=wheel)
    assert {*build.PAGE, "config.js", wheel.name} == sizes.keys()
    assert read_place(tmp_path / "site") == {"wheel": wheel.name, "runtime": build.CDN}


def test_a_folder_with_a_runtime_needs_no_other_server(build, wheel, runtime, tmp_path, capsys):
    site = tmp_path / "site"
    assert build.main([str(site), "--wheel", str(wheel), "--runtime", str(runtime)]) == 0
    assert read_place(site) == {"wheel": wheel.name, "runtime": "pyodide/"}
    assert {*build.RUNTIME, build.LOCK, "numpy.whl"} == {p.name for p in site.glob("pyodide/*")}
    assert json.loads((site / "pyodide" / build.LOCK).read_text())["packages"].keys() == {"numpy"}
    assert capsys.readouterr().out.splitlines()[-1].endswith("bytes at the first visit")


def test_what_is_missing_is_said(build, wheel, runtime, tmp_path, capsys):
    site = str(tmp_path / "site")
    assert build.main([site, "--wheel", str(tmp_path / "none.whl")]) == 1
    (runtime / "numpy.whl").unlink()
    assert build.main([site, "--wheel", str(wheel), "--runtime", str(runtime)]) == 1
    (runtime / build.LOCK).unlink()
    assert build.main([site, "--wheel", str(wheel), "--runtime", str(runtime)]) == 1
    first, second, third = capsys.readouterr().err.splitlines()
    assert "no wheel" in first
    assert "NumPy for Pyodide" in second
    assert build.LOCK in third


def test_webassembly_is_served_under_its_name(load_page_module, tmp_path):
    (tmp_path / "a.wasm").write_bytes(b"\0asm")
    with load_page_module("serve").make_server(tmp_path) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}/a.wasm"
        with urllib.request.urlopen(address, timeout=10) as answer:
            kind = answer.headers["Content-Type"]
        server.shutdown()
        thread.join()
    assert kind == "application/wasm"
