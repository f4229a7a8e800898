"""`Module`: what it finds inside itself, and what it refuses."""

import copy
import pickle

import numpy as np
import pytest

import retrograd as rg
from retrograd import nn


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


@pytest.mark.parametrize("wrong", [None, [1.0], np.ones(2)])
def test_only_a_mapping_is_a_state_dict(wrong):
    with pytest.raises(TypeError, match="dict of arrays"):
        Net().load_state_dict(wrong)


@pytest.mark.parametrize("wrong", ["text", None, 1j])
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


# Layers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sizes", [(0, 2), (2, 0), (-1, 2), (2.0, 2), ("3", 2)], ids=[str(i) for i in range(5)]
)
def test_linear_takes_positive_numbers_of_features(sizes):
    with pytest.raises(ValueError, match="features"):
        nn.Linear(*sizes)


def test_linear_names_both_shapes_where_they_do_not_fit():
    with pytest.raises(ValueError, match=r"\(5, 4\).*\(2, 3\)"):
        nn.Linear(3, 2)(np.ones((5, 4)))
    with pytest.raises(ValueError, match=r"\(\)"):
        nn.Linear(3, 2)(rg.Tensor(1.0))


@pytest.mark.parametrize("loss", [nn.MSELoss, nn.BCELoss, nn.BCEWithLogitsLoss])
def test_a_loss_of_two_shapes_names_both(loss):
    with pytest.raises(ValueError, match=r"\(3, 1\).*\(3,\)"):
        loss()(rg.Tensor(np.full((3, 1), 0.5)), np.zeros(3))


@pytest.mark.parametrize(
    "loss", [nn.MSELoss, nn.BCELoss, nn.BCEWithLogitsLoss, nn.CrossEntropyLoss, nn.NLLLoss]
)
def test_a_reduction_is_one_of_three(loss):
    x = rg.Tensor(np.full((2, 3), 0.5))
    target = np.zeros(2, int) if loss in (nn.CrossEntropyLoss, nn.NLLLoss) else np.zeros((2, 3))
    with pytest.raises(ValueError, match="reduction"):
        loss(reduction="avg")(x, target)


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), nn.NLLLoss()])
def test_a_class_is_a_whole_number_within_the_classes(loss):
    x = rg.Tensor(np.zeros((2, 3)), requires_grad=True)
    with pytest.raises(TypeError, match="float64"):
        loss(x, np.zeros(2))
    with pytest.raises(ValueError, match=r"\(3,\)"):
        loss(x, np.zeros(3, int))
    with pytest.raises(IndexError):
        loss(x, np.array([0, 3]))


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
