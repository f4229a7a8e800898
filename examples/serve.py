"""Serve a trained net over HTTP, with NumPy and the standard library alone.

A net is trained and its weights are saved. Whoever deploys it loads them into the net, exports
`predict`, a script that imports NumPy only, and starts a server that runs it. Here another process
then asks it for predictions.

Run:    python examples/serve.py            (--requests N)
        python examples/serve.py --serve predict.py --port 8000      (the server alone)
Needs:  python -m pip install "retrograd[safetensors]"
Prints: what was exported, and whether the answers are those of the net:

    trained: accuracy 99.0%
    predict.py: 104 lines, needs NumPy only
    200 requests on 4 threads, all as the net says

On a machine with many cores, start a server for each core, on ports of their own behind a proxy,
each with `OMP_NUM_THREADS=1`: a net as small as this gains nothing from more threads of BLAS, and
threads of Python take turns. A large net gains more from BLAS threads in one process.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

THREADS = 4
LONGEST = 10_000  # bytes of a request


# The server: it knows nothing of retrograd.


def load_predict(path):
    spec = importlib.util.spec_from_file_location("predict", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_server(path, port):
    exported = load_predict(path)
    ((_, shape, _),) = exported.ARGUMENTS

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            try:
                size = min(max(int(self.headers["Content-Length"]), 0), LONGEST)
                x = np.array(json.loads(self.rfile.read(size))["x"], float)
                if not np.all(np.abs(x) < 1e30):  # JSON in Python takes NaN and Infinity
                    raise ValueError("they must be finite")
                y = exported.predict(x.reshape(shape).astype(np.float32))
                code, answer = 200, {"y": y.tolist()}
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                code, answer = 400, {"error": f"x must be {shape[1]} numbers: {error}"}
            body = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *what):
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128  # so many may ask at once: beyond 5, others would be cut off

    return Server(("127.0.0.1", port), Handler)


def serve(path, port):
    with make_server(path, port) as server:
        print(server.server_port, flush=True)  # the caller may have left the choice to the system
        server.serve_forever()


# Training, and what a deployment does once.


def make_model():
    from retrograd import nn

    return nn.Sequential(nn.Linear(2, 16, rng=0), nn.Tanh(), nn.Linear(16, 1, rng=1), nn.Sigmoid())


def train(path):
    import retrograd as rg

    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 2)).astype(np.float32)
    y = (np.sum(x * x, axis=1, keepdims=True) < 1.4).astype(np.float32)
    model = make_model().to(np.float32)
    optimizer = rg.optim.Adam(model.parameters(), lr=0.05)
    data = rg.data.DataLoader(rg.data.TensorDataset(x, y), 100, shuffle=True, rng=rng)
    rg.fit(model, data, rg.nn.BCELoss(), optimizer, epochs=40, compile=True, progress=False)
    rg.save(model.state_dict(), path)
    with rg.no_grad():
        return float(np.mean((model(x).data > 0.5) == (y > 0.5)))


def export(weights, path):
    import retrograd as rg

    model = make_model().to(np.float32)
    model.load_state_dict(rg.load(weights))
    predict = rg.compile(model.eval())
    with rg.no_grad():
        predict(np.zeros((1, 2), np.float32))  # recorded for one sample at a time
    predict.export(path)
    return model


def ask(port, x):
    body = json.dumps({"x": x}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/predict", body)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--serve", metavar="PREDICT.py", help="serve an exported script")
    parser.add_argument("--port", type=int, default=0)
    args = parser.parse_args(argv)
    if args.serve:
        return serve(args.serve, args.port)
    with tempfile.TemporaryDirectory() as folder:
        weights, script = Path(folder, "model.safetensors"), Path(folder, "predict.py")
        print(f"trained: accuracy {train(weights):.1%}")
        model = export(weights, script)
        print(f"predict.py: {len(script.read_text().splitlines())} lines, needs NumPy only")
        command = [sys.executable, __file__, "--serve", str(script)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            port = int(server.stdout.readline())
            x = np.random.default_rng(1).normal(size=(args.requests, 2)).astype(np.float32)
            with ThreadPoolExecutor(THREADS) as pool:
                answers = [*pool.map(lambda row: ask(port, row), x.tolist())]
            refused = ask(port, [1.0])
        finally:
            server.terminate()
            server.wait()
            server.stdout.close()
    found = np.array([answer["y"][0] for answer in answers])
    same = np.allclose(found, model(x).data, atol=1e-5)
    print(f"{len(x)} requests on {THREADS} threads, {'all' if same else 'not all'} as the net says")
    return 0 if same and "error" in refused else 1


if __name__ == "__main__":
    sys.exit(main())
