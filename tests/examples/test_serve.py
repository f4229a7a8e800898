import importlib.util
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("safetensors") is None, reason="the weights are a .safetensors file"
)


def test_the_server_answers_as_the_net_says(check):
    first, second, third = check("serve", "--requests", "20")
    assert float(first.removeprefix("trained: accuracy ").rstrip("%")) > 95
    assert second.startswith("predict.py: ")
    assert third == "20 requests on 4 threads, all as the net says"


def test_bad_requests_are_refused_and_the_server_goes_on(load, tmp_path):
    serve = load("serve")
    serve.train(tmp_path / "model.safetensors")
    model = serve.export(tmp_path / "model.safetensors", tmp_path / "predict.py")
    server = serve.make_server(tmp_path / "predict.py", 0)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        nan, inf = float("nan"), float("inf")
        for bad in ([1.0], "no", [[1.0, 2.0], [3.0, 4.0]], None, [1.0, "x"], [nan, 1.0], [1.0, inf],
                    [1e39, 0.0], [0.0] * 5000):  # fmt: skip
            assert "x must be 2 numbers" in serve.ask(server.server_port, bad)["error"]
        for length in ("abc", "-1", ""):
            request = urllib.request.Request(
                f"http://127.0.0.1:{server.server_port}/", b"{}", {"Content-Length": length}
            )
            with pytest.raises(urllib.error.HTTPError, match="400"):
                urllib.request.urlopen(request, timeout=10)
        (answer,) = serve.ask(server.server_port, [0.1, 0.2])["y"]
        # many that ask at once are waited for
        with ThreadPoolExecutor(32) as pool:
            many = [*pool.map(lambda _: serve.ask(server.server_port, [0.1, 0.2]), range(200))]
        assert all(found["y"] == [answer] for found in many)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    np.testing.assert_allclose(answer, model(np.float32([[0.1, 0.2]])).data[0], rtol=1e-5)
