"""What the playground's tests stand on: the page's Python, a served folder, a browser."""

import importlib.util
import os
import shutil
import sys
import threading
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PLAYGROUND = HERE.parents[2] / "examples" / "playground"
NAMES = ("build", "lesson", "recipe", "serve", "session")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def load_file(name, folder):
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def load_page_module():
    """Give a function that imports one of the playground's files; all is put back at the end."""
    before = {name: sys.modules.pop(name, None) for name in (*NAMES, "net")}
    sys.path.insert(0, str(PLAYGROUND))
    yield importlib.import_module
    sys.path.remove(str(PLAYGROUND))
    for name, module in before.items():
        sys.modules.pop(name, None)
        if module is not None:
            sys.modules[name] = module


@pytest.fixture(scope="session")
def cache():
    found = load_file("fetch", HERE).find_cache()
    if not (found / "runtime" / "pyodide-lock.json").is_file():
        pytest.skip(f"no Pyodide in {found}: python tests/examples/playground/fetch.py fetches it")
    return found


@pytest.fixture(scope="session")
def address(cache, load_page_module, tmp_path_factory):
    """Give the address of the built page, served from this process."""
    folder = tmp_path_factory.mktemp("site")
    wheel = os.environ.get("RETROGRAD_WHEEL")
    load_page_module("build").build(folder, cache / "runtime", wheel)
    with load_page_module("serve").make_server(folder) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip(
        "playwright.sync_api", reason='a browser is driven by pip install ".[browser]"'
    )
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is on PATH")
    with playwright.sync_playwright() as driver:
        # in a container there is no sandbox to be had; the page is this project's own
        opened = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()
