"""Build the playground and serve it on this machine.

Run:    python examples/playground/serve.py [--port 8000] [--runtime FOLDER] [--wheel FILE]
Prints: the address to open:

    The playground is at http://localhost:8000/ (Ctrl-C ends it)
"""

import argparse
import functools
import sys
import tempfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from build import BuildError, build


class Handler(SimpleHTTPRequestHandler):
    # a browser compiles WebAssembly while it comes in only under this name
    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".wasm": "application/wasm"}  # noqa: RUF012, as in the base class

    def log_message(self, *what):
        pass


def make_server(folder, port=0):
    """Return a server of a folder, for this machine alone; port 0 leaves the choice to it."""
    handler = functools.partial(Handler, directory=str(folder))
    return ThreadingHTTPServer(("127.0.0.1", port), handler)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--runtime", type=Path, help="a folder with Pyodide and NumPy's wheel")
    parser.add_argument("--wheel", type=Path, help="the library's; otherwise made by pip")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        try:
            build(folder, args.runtime, args.wheel)
            server = make_server(folder, args.port)
        except (BuildError, OSError) as error:
            print(f"serve.py: {error}", file=sys.stderr)
            return 1
        with server:
            where = f"http://localhost:{server.server_port}/"
            print(f"The playground is at {where} (Ctrl-C ends it)", flush=True)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
