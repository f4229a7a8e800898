import numpy as np
import pytest

import retrograd as rg
from retrograd import nn


def test_parameters_in_a_list_are_found_under_their_numbers():
    p = nn.Parameter([1.0])
    net = nn.Module()
    net.ws = nn.ParameterList([p, np.zeros(2)]).append(rg.Tensor([3.0])).extend([[4.0]])
    assert list(net.state_dict()) == ["ws.0", "ws.1", "ws.2", "ws.3"]
    assert [type(w) for w in net.ws] == [nn.Parameter] * 4
    assert net.ws[0] is p
    assert net.ws[-1].item() == 4.0
    assert len(net.ws) == 4
    assert [w.shape for w in net.ws[1:3]] == [(2,), (1,)]
    net.ws[1] = [5.0]
    assert net.ws[1].item() == 5.0
    with pytest.raises(IndexError):
        net.ws[4]
    assert repr(net.ws[:2]) == "ParameterList(0: float64[1], 1: float64[1])"
    assert len(nn.ParameterList()) == 0


def test_parameters_in_a_dict_are_found_under_their_names():
    net = nn.Module()
    net.ws = ws = nn.ParameterDict({"a": [1.0]})
    ws.update({"b": nn.Parameter([2.0]), "c": np.ones(2)})
    assert list(net.state_dict()) == ["ws.a", "ws.b", "ws.c"]
    assert list(ws) == list(ws.keys()) == ["a", "b", "c"]
    assert [w.size for w in ws.values()] == [1, 1, 2]
    assert dict(ws.items())["b"] is ws["b"]
    assert "b" in ws
    assert ws.pop("b").item() == 2.0
    del ws["c"]
    assert "b" not in ws
    ws.clear()
    assert len(ws) == 0
    for name in ("forward", "a.b"):
        with pytest.raises(KeyError, match="rename it"):
            ws[name] = [1.0]
    for call in (lambda: ws["none"], lambda: ws.pop("none")):
        with pytest.raises(KeyError):
            call()


def test_they_train():
    net = nn.ParameterList([[1.0], [2.0]])
    optimizer = rg.optim.SGD(net.parameters(), lr=0.5)
    (net[0] * net[1]).sum().backward()
    optimizer.step()
    assert [w.item() for w in net] == [0.0, 1.5]
