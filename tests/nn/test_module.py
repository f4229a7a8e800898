"""`Module`: what it finds inside itself, and what it refuses."""

import copy
import pickle

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn
from retrograd.nn.module import ATTRIBUTES


class Net(nn.Module):
    def __init__(self):
        self.body = nn.Sequential(nn.Linear(3, 4, rng=0), nn.ReLU())
        self.head = nn.Linear(4, 2, rng=1)
        self.scale = nn.Parameter([2.0])
        self.register_buffer("mean", np.zeros(3))

    def forward(self, x):
        return self.head(self.body(x - self.mean)) * self.scale


NAMES = ["scale", "body.0.weight", "body.0.bias", "head.weight", "head.bias"]


def test_it_finds_parameters_modules_and_buffers_by_attribute():
    net = Net()
    assert sorted(name for name, _ in net.named_parameters()) == sorted(NAMES)
    assert len(list(net.parameters())) == 5
    assert [name for name, _ in net.named_modules()] == ["", "body", "body.0", "body.1", "head"]
    assert [name for name, _ in net.named_children()] == ["body", "head"]
    assert [name for name, _ in net.named_buffers()] == ["mean"]


def test_a_shared_parameter_is_found_once_and_saved_under_every_name():
    net = Net()
    net.also = net.head
    assert len(list(net.parameters())) == 5
    assert {"head.weight", "also.weight"} <= set(net.state_dict())


def test_a_module_that_holds_itself_does_not_recurse():
    net = Net()
    net.body.parent = net
    assert len(list(net.modules())) == 5
    assert len(list(net.parameters())) == 5
    assert "head.weight" in net.state_dict()


def test_train_and_eval_reach_every_module():
    net = Net()
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    net.train()
    assert all(module.training for module in net.modules())


def test_zero_grad_drops_every_gradient():
    net = Net()
    np.sum(net(np.ones((2, 3)))).backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_a_module_without_forward_says_so():
    class Empty(nn.Module):
        pass

    with pytest.raises(NotImplementedError, match="Empty"):
        Empty()(1)


def test_the_repr_shows_what_is_inside():
    text = repr(Net())
    for part in ("Net(", "(body): Sequential(", "(0): Linear(3, 4, bias=True)", "(head): Linear"):
        assert part in text


# state_dict --------------------------------------------------------------------------------------


def test_a_state_dict_is_a_copy():
    net = Net()
    state = net.state_dict()
    assert set(state) == {*NAMES, "mean"}
    state["scale"][...] = 5.0
    assert net.scale.item() == 2.0


def test_a_state_dict_goes_from_net_to_net():
    first, second = Net(), Net()
    with rg.no_grad():
        first.scale += 1
    missing, unexpected = second.load_state_dict(first.state_dict())
    assert missing == unexpected == []
    assert second.scale.item() == 3.0
    x = np.ones((2, 3))
    np.testing.assert_array_equal(first(x).data, second(x).data)


def test_loading_writes_into_the_parameters_that_are_there():
    net = Net()
    before = net.scale
    net.load_state_dict({**net.state_dict(), "scale": rg.Tensor([7.0])})
    assert net.scale is before
    assert before.item() == 7.0


def test_every_way_a_state_dict_does_not_fit_is_listed_and_nothing_is_written():
    net = Net()
    state = net.state_dict()
    held = copy.deepcopy(state)
    del state["head.bias"]
    state["extra"] = np.ones(1)
    state["scale"] = np.full(1, 9.0)
    state["head.weight"] = np.ones((2, 5))
    with pytest.raises(RuntimeError) as caught:
        net.load_state_dict(state)
    for part in ("Net", "missing: head.bias", "unexpected: extra", "head.weight", "(2, 4)"):
        assert part in str(caught.value)
    assert "(2, 5)" in str(caught.value)
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, held[name])


def test_without_strict_names_may_be_missing_but_shapes_must_fit():
    net = Net()
    loaded = net.load_state_dict({"scale": [4.0], "extra": [1.0]}, strict=False)
    assert loaded.unexpected_keys == ["extra"]
    assert "head.bias" in loaded.missing_keys
    assert net.scale.item() == 4.0
    with pytest.raises(RuntimeError, match="shape of scale"):
        net.load_state_dict({"scale": np.ones(2)}, strict=False)
    with pytest.raises(RuntimeError, match="dtype of scale: here float64, there complex128"):
        net.load_state_dict({"scale": np.ones(1, complex)}, strict=False)


@pytest.mark.parametrize("wrong", [None, [1.0], np.ones(2)])
def test_only_a_mapping_is_a_state_dict(wrong):
    with pytest.raises(TypeError, match="dict of arrays"):
        Net().load_state_dict(wrong)


@pytest.mark.parametrize("wrong", ["text", None, object()])
def test_an_entry_that_is_no_array_writes_nothing(wrong):
    net = Net()
    state = {**net.state_dict(), "scale": [5.0], "head.bias": wrong}
    with pytest.raises(TypeError):
        net.load_state_dict(state)
    assert net.scale.item() == 2.0


def test_a_net_is_pickled_and_copied():
    net = Net()
    x = np.ones((2, 3))
    for other in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        np.testing.assert_array_equal(other(x).data, net(x).data)
        assert not np.shares_memory(other.scale.data, net.scale.data)


@pytest.mark.parametrize("value", [np.zeros((2, 2)), rg.Tensor(np.zeros((2, 2))), 1.0])
def test_what_is_no_parameter_cannot_take_the_place_of_one(value):
    net = nn.Linear(2, 2)
    with pytest.raises(TypeError, match=r"Linear.weight is a Parameter.*\.weight\.data"):
        net.weight = value
    assert [name for name, _ in net.named_parameters()] == ["weight", "bias"]


def test_a_parameter_can_be_replaced_by_another_left_out_or_deleted():
    net = nn.Linear(2, 2)
    net.weight = nn.Parameter(np.ones((2, 2)))
    net.bias = None
    assert [name for name, _ in net.named_parameters()] == ["weight"]
    del net.weight
    net.weight = np.ones((2, 2))
    assert not list(net.parameters())


def test_apply_reaches_the_innermost_first():
    net, order = nn.Sequential(nn.Sequential(nn.ReLU()), nn.Tanh()), []
    assert net.apply(lambda module: order.append(type(module).__name__)) is net
    assert order == ["ReLU", "Sequential", "Tanh", "Sequential"]


def test_to_changes_parameters_gradients_and_buffers_in_place():
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    weight = net[0].weight
    net(np.random.default_rng(0).normal(size=(4, 2))).sum().backward()
    assert net.to(np.float32) is net
    assert net[0].weight is weight
    assert weight.dtype == weight.grad.dtype == net[1].running_mean.dtype == np.float32
    assert net[1].num_batches_tracked.dtype == np.int64
    assert net(np.ones((4, 2), np.float32)).dtype == np.float32
    assert net.double().state_dict()["0.weight"].dtype == np.float64
    with pytest.raises(TypeError, match="int64"):
        net.to(np.int64)


def test_requires_grad_freezes_a_part():
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    net[0].requires_grad_(False)
    net(np.ones((4, 2))).sum().backward()
    assert net[0].weight.grad is None
    assert net[1].weight.grad is not None


def test_a_buffer_may_be_left_out_of_the_state():
    module = nn.Module()
    module.register_buffer("kept", [1.0])
    module.register_buffer("scratch", [2.0], persistent=False)
    module.register_buffer("missing", None)
    assert list(module.state_dict()) == ["kept"]
    assert [name for name, _ in module.named_buffers()] == ["kept", "scratch"]


def test_a_submodule_is_found_by_its_dotted_name():
    net = nn.Sequential(nn.Sequential(nn.ReLU()))
    assert isinstance(net.get_submodule("0.0"), nn.ReLU)
    assert net.get_submodule("") is net
    with pytest.raises(AttributeError, match=r"0\.1"):
        net.get_submodule("0.1")


def test_modules_and_parameters_are_registered_by_name():
    module = nn.Module()
    module.register_parameter("weight", nn.Parameter([1.0]))
    module.register_parameter("bias", None)
    module.add_module("0", nn.Linear(1, 1))
    assert list(module.state_dict()) == ["weight", "0.weight", "0.bias"]
    assert len(list(module.buffers())) == 0
    assert module.float().weight.dtype == np.float32


def test_what_is_set_or_deleted_is_counted_but_for_training():
    net = Net()
    before = ATTRIBUTES.count
    net.train().eval()
    net(np.ones((2, 3)))
    assert ATTRIBUTES.count == before
    net.note = 1
    assert ATTRIBUTES.count == before + 1
    del net.note
    assert ATTRIBUTES.count == before + 2


def test_a_prefix_comes_before_all_names():
    net = Net()
    assert [name for name, _ in net.named_parameters("net")] == [f"net.{n}" for n in order(net)]
    assert [name for name, _ in net.named_modules("net")][:2] == ["net", "net.body"]
    assert [name for name, _ in net.named_buffers("net")] == ["net.mean"]


def order(net):
    return [name for name, _ in net.named_parameters()]


def test_a_buffer_loses_no_gradient():
    computed = rg.Tensor([1.0, 2.0], requires_grad=True) * 2
    for make in (
        lambda: nn.Module().register_buffer("scale", computed),
        lambda: nn.CrossEntropyLoss(weight=computed),
        lambda: nn.NLLLoss(weight=computed), lambda: nn.BCELoss(weight=computed),
        lambda: nn.BCEWithLogitsLoss(pos_weight=computed),
        lambda: nn.MultiMarginLoss(weight=computed),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=r"is a buffer.*t\.detach\(\).*nn\.Parameter"):
            make()
    assert nn.CrossEntropyLoss(weight=computed.detach()).weight.tolist() == [2.0, 4.0]
    with pytest.raises(RuntimeError, match=r"from_pretrained\(t\).*lose the gradient"):
        nn.Embedding.from_pretrained(np.outer(computed, computed))


class Turned(rg.nn.Module):
    def __init__(self):
        super().__init__()
        self.turn = rg.nn.Parameter(np.array([1j, 1.0]))
        self.bias = rg.nn.Parameter(np.ones(2))

    def forward(self, x):
        return np.abs(x * self.turn) + self.bias


def test_complex_parameters_stay_complex_in_another_precision():
    net = Turned().to(np.float32)
    assert (net.turn.dtype, net.bias.dtype) == (np.complex64, np.float32)
    assert net(np.ones(2, np.float32)).dtype == np.float32
    assert Turned().to(np.float64).turn.dtype == np.complex128


def test_what_is_written_for_real_numbers_says_so():
    z = rg.Tensor([1j], requires_grad=True)
    for call in (
        lambda: rg.nn.functional.relu(z), lambda: rg.nn.functional.mse_loss(z, np.zeros(1)),
        lambda: rg.nn.functional.huber_loss(z, np.zeros(1)), lambda: rg.special.erf(z),
        lambda: rg.special.xlogy(z, z), lambda: rg.nn.Linear(2, 2, dtype=complex),
        lambda: rg.nn.init.normal_(rg.nn.Parameter([1j])),
    ):  # fmt: skip
        with pytest.raises(TypeError, match="real"):
            call()
