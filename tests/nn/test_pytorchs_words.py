"""What those who come from PyTorch type works, or is answered with the word that is used here."""

import copy
import pickle

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn

F = nn.functional
T = rg.Tensor(np.ones((2, 2)))
ARRAY = np.ones((2, 2))


def test_inplace_is_taken_and_changes_nothing():
    x = rg.Tensor([-1.0, 2.0], requires_grad=True)
    for make in (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SELU, nn.SiLU, nn.Mish, nn.Hardtanh):
        np.testing.assert_array_equal(make(inplace=True)(x).data, make()(x).data)
    for fn in (F.relu, F.leaky_relu, F.elu, F.selu, F.silu, F.mish, F.hardtanh):
        for given in (x, x.data):
            np.testing.assert_array_equal(
                np.array(fn(given, inplace=True).tolist()), np.array(fn(given).tolist())
            )
    np.testing.assert_array_equal(F.relu(x, True).data, [0.0, 2.0])
    np.testing.assert_array_equal(x.data, [-1.0, 2.0])
    F.relu(x, inplace=True).sum().backward()
    np.testing.assert_array_equal(x.grad, [0.0, 1.0])
    np.testing.assert_array_equal(F.dropout(x, 0.5, False, True).data, x.data)
    assert nn.Dropout(0.5, True).p == 0.5


def test_an_activation_in_place_compiles_to_the_same_program():
    x = rg.Tensor([-1.0, 2.0], requires_grad=True)
    programs = [rg.compile(fn) for fn in (F.relu, lambda x: F.relu(x, inplace=True))]
    for program in programs:
        np.testing.assert_array_equal(program(x).data, [0.0, 2.0])


@pytest.mark.parametrize("device", [None, "cpu"])
@pytest.mark.parametrize(
    "make",
    [
        lambda **o: nn.Linear(2, 3, **o), lambda **o: nn.Embedding(2, 3, **o),
        lambda **o: nn.Conv1d(2, 3, 1, **o), lambda **o: nn.Conv2d(2, 3, 1, **o),
        lambda **o: nn.ConvTranspose2d(2, 3, 1, **o), lambda **o: nn.PReLU(**o),
        lambda **o: nn.BatchNorm1d(2, **o), lambda **o: nn.LayerNorm(2, **o),
        lambda **o: nn.RMSNorm(2, **o), lambda **o: nn.GroupNorm(2, 4, **o),
        lambda **o: nn.RNN(2, 3, **o), lambda **o: nn.LSTM(2, 3, **o),
        lambda **o: nn.GRUCell(2, 3, **o), lambda **o: nn.RNNCell(2, 3, **o),
        lambda **o: nn.MultiheadAttention(4, 2, **o),
        lambda **o: nn.TransformerEncoderLayer(4, 2, 8, **o),
    ],
)  # fmt: skip
def test_layers_are_made_on_the_cpu_and_nowhere_else(make, device):
    layer = make(device=device, dtype=np.float32)
    assert {p.dtype for p in layer.parameters()} == {np.dtype(np.float32)}
    name = type(layer).__name__
    with pytest.raises(ValueError, match=f"{name} got device='cuda:0', there is no GPU here"):
        make(device="cuda:0")


def test_modules_and_tensors_go_to_the_cpu_and_nowhere_else():
    net = nn.Sequential(nn.Linear(2, 3))
    assert net.to("cpu").cpu() is net
    assert net.to(device="cpu", dtype=np.float32)[0].weight.dtype == np.float32
    assert net.to("cpu", "float64")[0].weight.dtype == np.float64
    assert net.to()[0].weight.dtype == np.float64
    x = rg.Tensor([1.0])
    assert x.to("cpu").cpu() is x
    for each in (net, x):
        with pytest.raises(ValueError, match="there is no GPU here"):
            each.to("cuda")
    with pytest.raises(AttributeError, match=r"t\.astype"):
        x.to(np.float32)
    with pytest.raises(AttributeError, match="there is no GPU here"):
        x.cuda()
    with pytest.raises(TypeError, match="device and a dtype"):
        net.to("cpu", float, float)


@pytest.mark.parametrize(
    "call",
    [
        lambda: F.softmax(T, dim=1), lambda: F.softmax(ARRAY, dim=1),
        lambda: F.log_softmax(T, dim=1), lambda: F.glu(T, dim=1), lambda: F.normalize(T, dim=1),
        lambda: F.cosine_similarity(T, T, dim=1), lambda: F.unflatten(T, dim=1, sizes=(2, 1)),
        lambda: F.flatten(T, start_dim=1), lambda: F.flatten(T, end_dim=1),
        lambda: nn.Softmax(dim=1), lambda: nn.LogSoftmax(dim=1), lambda: nn.GLU(dim=1),
        lambda: nn.Flatten(start_dim=0), lambda: nn.Unflatten(dim=1, unflattened_size=(2, 1)),
        lambda: rg.special.softmax(T, dim=1), lambda: rg.special.logsumexp(T, dim=1),
        lambda: rg.special.log_softmax(ARRAY, dim=1),
        *[
            lambda name=name: getattr(T, name)(dim=1)
            for name in (
                "sum", "mean", "max", "min", "prod", "var", "std", "argmax", "argmin", "any", "all",
                "squeeze", "cumsum", "cumprod", "argsort",
            )
        ],
        lambda: T.take([0], dim=1), lambda: T.repeat(2, dim=1), lambda: T.compress([True], dim=1),
    ],
)  # fmt: skip
def test_dim_is_answered_with_axis(call):
    for _ in range(2):  # a function of arrays may have seen no Tensor before the first
        with pytest.raises(TypeError, match="axis"):
            call()


def test_keepdim_is_answered_with_keepdims():
    for call in (
        lambda: T.sum(1, keepdim=True),
        lambda: rg.special.logsumexp(T, 1, keepdim=True),
        lambda: rg.special.logsumexp(ARRAY, 1, keepdim=True),
    ):
        with pytest.raises(TypeError, match="keepdims="):
            call()


def test_other_unknown_keywords_are_pythons_own_error():
    for call in (lambda: T.sum(foo=1), lambda: F.softmax(T, foo=1), lambda: nn.Softmax(foo=1)):
        with pytest.raises(TypeError, match=r"got an unexpected keyword argument 'foo'"):
            call()


def test_a_module_and_a_primitive_of_ones_own_may_take_dim():
    class Attention(nn.Module):
        def __init__(self, dim, keepdim=False):
            self.dim = dim

    class Anything(nn.Module):
        def __init__(self, **options):
            self.options = options

    @rg.primitive
    def total(x, dim=None):
        return np.sum(x, axis=dim)

    rg.defvjp(total, lambda g, out, x, dim=None: g)
    assert Attention(dim=3, keepdim=True).dim == 3
    assert Anything(dim=3).options == {"dim": 3}
    assert total(rg.Tensor([1.0, 2.0]), dim=0).item() == 3.0
    with pytest.raises(TypeError, match=r"Attention.*unexpected keyword argument .size_average"):
        Attention(dim=3, size_average=True)


@pytest.mark.parametrize(
    "call",
    [
        lambda: nn.Conv2d(1), lambda: nn.MaxPool2d(), lambda: nn.BatchNorm1d(), lambda: nn.LSTM(2),
        lambda: nn.GRUCell(2), lambda: nn.Conv1d(1, 2, 3, foo=1), lambda: nn.MSELoss(foo=1),
        lambda: nn.AvgPool1d(2, foo=1), lambda: nn.RNN(2, 3)(), lambda: nn.BatchNorm2d(2)(),
        lambda: nn.LSTMCell(2, 3)(), lambda: nn.Sigmoid(3), lambda: nn.Tanh(foo=3),
    ],
)  # fmt: skip
def test_python_names_the_class_that_was_written(call):
    with pytest.raises(TypeError) as caught:
        call()
    name = str(caught.value).split("(")[0].split(".")[0]
    assert name in nn.__all__


def test_methods_that_speak_for_their_class_are_those_of_the_base():
    class Mine(nn.Conv2d):
        pass

    layer = Mine(1, 2, 3, padding_mode="reflect")
    assert layer(np.ones((1, 1, 5, 5))).shape == (1, 2, 3, 3)
    assert copy.deepcopy(layer).weight.shape == (2, 1, 3, 3)
    assert pickle.loads(pickle.dumps(nn.Conv1d(1, 2, 3))).weight.shape == (2, 1, 3)


def test_losses_answer_old_words_for_their_reduction():
    for word in ("size_average", "reduce"):
        with pytest.raises(TypeError, match=rf"MSELoss has no argument {word}=: write reduction="):
            nn.MSELoss(**{word: True})
    with pytest.raises(ValueError, match="reduction"):
        nn.MSELoss(None)
    with pytest.raises(TypeError, match="positional"):
        nn.CrossEntropyLoss(None, None)


def test_parameters_of_one_module_alone_and_states_with_a_prefix():
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    net.own = nn.Parameter([1.0])
    assert [p.shape for p in net.parameters(recurse=False)] == [(1,)]
    assert [name for name, _ in net.named_parameters("net", recurse=False)] == ["net.own"]
    assert list(net.buffers(recurse=False)) == []
    assert next(name for name, _ in net[1].named_buffers("b", False)) == "b.running_mean"
    assert list(nn.Linear(2, 3).state_dict(prefix="a.")) == ["a.weight", "a.bias"]


def test_zero_grad_may_leave_zeros():
    layer = nn.Linear(2, 1)
    layer(np.ones((1, 2))).sum().backward()
    layer.weight.grad = None
    layer.zero_grad(set_to_none=False)
    assert layer.weight.grad is None
    np.testing.assert_array_equal(layer.bias.grad, [0.0])
    layer.zero_grad()
    assert layer.bias.grad is None


class InAList(nn.Module):
    def __init__(self):
        self.layers = [nn.Linear(2, 2), (nn.ReLU(), nn.Linear(2, 1))]


class InADict(nn.Module):
    def __init__(self):
        self.heads = {"a": nn.Linear(2, 2)}


class PlainTensor(nn.Module):
    def __init__(self):
        self.w = rg.Tensor([1.0], requires_grad=True)


class ListOfParameters(nn.Module):
    def __init__(self):
        self.ws = [nn.Parameter([1.0])]


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (InAList, r"InAList.layers is a list.*nn\.ModuleList"),
        (InADict, r"InADict.heads is a dict.*nn\.ModuleDict"),
        (PlainTensor, r"PlainTensor.w is a Tensor and no Parameter.*nn\.Parameter"),
        (ListOfParameters, r"ListOfParameters.ws is a list.*nn\.ParameterList"),
    ],
)
def test_a_module_without_parameters_says_what_it_saw(kind, says):
    net = nn.Sequential(kind(), nn.ReLU())
    with pytest.warns(UserWarning, match=f"Sequential has no Parameters: {says}"):
        assert list(net.parameters()) == []
    with pytest.raises(
        ValueError, match=f"got no parameters: Sequential has no Parameters: {says}"
    ):
        rg.optim.SGD(net.parameters(), lr=0.1)
    net.to(np.float32).train().requires_grad_(False).zero_grad()  # these say nothing


def test_a_module_that_has_nothing_to_train_says_nothing():
    class Shared(nn.Module):
        def __init__(self):
            self.a = nn.Linear(2, 2)
            self.order = [self.a, self.a]

    net = Shared()
    assert len(list(net.parameters())) == 2
    assert list(nn.ReLU().parameters()) == []
    net = nn.Sequential(nn.ReLU())
    net.order = [net[0]]
    found = net.parameters()
    assert [*found, *found] == []
    with pytest.raises(ValueError, match=r"^an optimizer got no parameters$"):
        rg.optim.SGD(net.parameters(), lr=0.1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: nn.Linear(3, 2, dim=2),
        lambda: nn.ReLU(argnum=0),
        lambda: F.linear(np.ones((1, 2)), np.ones((3, 2)), dim=1),
        lambda: F.softmax(rg.Tensor([1.0]), axis=0, unbiased=True),
        lambda: rg.Tensor([1.0]).sum(correction=1),
        lambda: rg.func.grad(np.sum, dim=1),
    ],
)
def test_nothing_is_told_to_write_what_there_is_not_either(call):
    with pytest.raises(TypeError, match=r"unexpected keyword argument|takes no arguments"):
        call()
