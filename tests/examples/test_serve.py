import importlib.util
import threading

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
        for bad in ([1.0], "no", [[1.0, 2.0], [3.0, 4.0]], None, [1.0, "x"]):
            assert "x must be 2 numbers" in serve.ask(server.server_port, bad)["error"]
        (answer,) = serve.ask(server.server_port, [0.1, 0.2])["y"]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    np.testing.assert_allclose(answer, model(np.float32([[0.1, 0.2]])).data[0], rtol=1e-5)
