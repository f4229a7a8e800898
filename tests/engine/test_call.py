import numpy as np

import retrograd as rg


def leaf(values):
    return rg.Tensor(values, requires_grad=True)


def test_a_call_has_its_function_and_its_arguments_and_reads_as_it_was_written():
    x, w = leaf([1.0, 2.0]), rg.name(leaf([[1.0, 2.0]]), "w")
    call = (w @ x).call
    assert (call.name, call.rule.fn) == ("np.matmul", np.matmul)
    assert call.inputs == (w, x)
    assert call.args[1] is x.data
    assert repr(call) == "np.matmul(w, float64[2])"
    assert repr(np.sum(w, axis=0).call) == "np.sum(w, axis=0)"
    assert repr((x * 3.0).call) == "np.multiply(float64[2], 3.0)"
    assert repr(x[np.array([0, 1], np.int64), None].call) == "getitem(float64[2], (int64[2], None))"


def test_a_leaf_has_no_call_and_a_freed_one_keeps_its_function():
    x = leaf(2.0)
    y = x * x
    assert x.call is None
    y.backward()
    assert repr(y.call) == "np.multiply(...), freed by backward"


def test_a_tensor_says_which_call_made_it():
    x = leaf([4.0])
    assert repr(x) == "Tensor([4.], requires_grad=True)"
    assert repr(x * 2) == "Tensor([8.], call=np.multiply)"
    assert repr(np.linalg.qr(leaf([[2.0]]))[1]) == "Tensor([[2.]], call=np.linalg.qr)"
    assert repr(rg.name(x.detach(), "x")) == "Tensor([4.], name='x')"
    assert repr(rg.name(x * 2, "y")) == "Tensor([8.], name='y', call=np.multiply)"
