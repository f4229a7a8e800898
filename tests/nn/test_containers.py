import numpy as np
import pytest

import retrograd as rg
from retrograd import nn


def test_a_sequential_is_indexed_sliced_and_grown_like_a_list():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU()).append(nn.Linear(3, 1))
    assert len(net) == 3
    assert net[-1] is list(net)[2]
    head = net[:2]
    assert isinstance(head, nn.Sequential)
    assert head[0] is net[0]
    net[1] = nn.Tanh()
    assert "(1): Tanh()" in repr(net)
    assert next(iter(net.state_dict())) == "0.weight"
    assert net(np.ones((4, 2))).shape == (4, 1)


def test_a_sequential_of_a_dict_takes_its_names():
    net = nn.Sequential({"first": nn.Linear(2, 3), "act": nn.ReLU()})
    assert list(net.state_dict()) == ["first.weight", "first.bias"]
    assert net(np.ones((1, 2))).shape == (1, 3)


def test_a_named_module_is_replaced_under_its_name():
    net = nn.Sequential({"first": nn.Linear(2, 3), "act": nn.ReLU()})
    net[0] = nn.Linear(2, 1)
    assert [name for name, _ in net.named_children()] == ["first", "act"]
    assert net[0] is net.first
    assert net(np.ones((1, 2))).shape == (1, 1)
    assert len(list(net.parameters())) == 2


def test_a_sequential_applies_what_is_added_replaced_and_deleted_by_name():
    net = nn.Sequential(nn.Linear(2, 3))
    net.add_module("act", nn.ReLU())
    net.last = nn.Linear(3, 1)
    assert len(net) == 3
    assert net(np.ones((1, 2))).shape == (1, 1)
    net.last = nn.Linear(3, 4)
    assert net(np.ones((1, 2))).shape == (1, 4)
    del net.last
    assert net(np.ones((1, 2))).shape == (1, 3)


def test_a_sequential_calls_a_module_that_defines_call_itself():
    class Twice(nn.Module):
        def __call__(self, x):
            return 2 * x

    np.testing.assert_array_equal(nn.Sequential(Twice(), nn.Identity())(np.ones(2)), [2.0, 2.0])


def test_a_sequential_calls_the_hooks_of_what_is_in_it():
    net, seen = nn.Sequential(nn.ReLU(), nn.Tanh()), []
    net(np.ones(2))
    handle = net[0].register_forward_hook(lambda module, args, out: seen.append(module))
    net(np.ones(2))
    assert seen == [net[0]]
    handle.remove()
    net(np.ones(2))
    assert len(seen) == 1


def test_a_sequential_set_to_training_again_is_not_compiled_again():
    calls = []
    note = calls.append  # what a method of a list does, no check of a compiled function sees

    class Counted(nn.Module):
        def forward(self, x):
            note(1)
            return 2 * x

    net, x = nn.Sequential(Counted()), rg.nn.Parameter([1.0])

    @rg.compile
    def step():
        return net(x).sum()

    for _ in range(8):  # which is audited at calls 4, 8 and 16
        step()
    before = len(calls)
    for _ in range(4):
        net.train()
        nn.Linear(1, 1)  # sets attributes, so that the program looks at its own
        step()
    assert len(calls) == before


def test_a_module_list_registers_what_is_in_it():
    layers = nn.ModuleList([nn.Linear(2, 2)])
    layers.extend([nn.Linear(2, 2), nn.Linear(2, 2)])
    assert len(list(layers.parameters())) == 6
    assert isinstance(layers[1:], nn.ModuleList)
    assert len(layers[1:]) == 2
    with pytest.raises(NotImplementedError):
        layers(np.ones(2))


def test_a_module_dict_is_a_dict_of_modules():
    heads = nn.ModuleDict({"a": nn.Linear(2, 1)})
    heads["b"] = nn.ReLU()
    assert list(heads) == ["a", "b"] == list(heads.keys())
    assert "a" in heads
    assert len(heads) == 2
    del heads["a"]
    assert [type(m).__name__ for m in heads.values()] == ["ReLU"]
    with pytest.raises(KeyError):
        heads["a"]
    with pytest.raises(KeyError, match="method"):
        heads["forward"] = nn.ReLU()
    with pytest.raises(KeyError, match="method"):
        nn.Sequential({"forward": nn.ReLU()})


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(nn.ReLU(), 3),
        lambda: nn.Sequential({"a": 3}),
        lambda: nn.ModuleList([3]),
        lambda: nn.ModuleDict({"a": 3}),
    ],
)
def test_a_container_takes_nothing_but_modules(make):
    with pytest.raises(TypeError, match="Modules"):
        make()


def test_a_slice_of_a_sequential_keeps_the_names():
    model = rg.nn.Sequential(rg.nn.Linear(1, 2), rg.nn.ReLU(), rg.nn.Linear(2, 1))
    assert list(model[1:].state_dict()) == ["2.weight", "2.bias"]
    assert model[1:][1] is model[2]
    assert list(rg.nn.ModuleList(model)[1:].state_dict()) == ["1.weight", "1.bias"]


def test_a_name_in_a_dict_has_no_dot():
    with pytest.raises(KeyError, match=r"a\.b"):
        rg.nn.ModuleDict({"a.b": rg.nn.ReLU()})


@pytest.mark.parametrize("make", [nn.ModuleList, lambda modules: nn.Sequential(*modules)])
def test_modules_are_inserted_and_taken_out_and_numbered_anew(make):
    a, b, c = nn.ReLU(), nn.Tanh(), nn.Sigmoid()
    held = make([a, c])
    assert held.insert(1, b) is held
    assert list(held) == [a, b, c]
    assert [name for name, _ in held.named_children()] == ["0", "1", "2"]
    assert held.insert(-1, a)[2] is a
    assert held.pop() is c
    assert held.pop(0) is a
    del held[0]
    assert list(held) == [a]
    assert [name for name, _ in held.named_children()] == ["0"]
    held.append(b)
    assert list(held) == [a, b]
    with pytest.raises(IndexError):
        held.pop(5)
    with pytest.raises(TypeError, match="takes Modules"):
        held.insert(0, "text")
    del held[:]
    assert len(held) == 0
    held.append(a)
    held.clear()
    assert len(held) == 0


def test_names_that_are_no_numbers_stay():
    net = nn.Sequential({"a": nn.ReLU(), "b": nn.Tanh()})
    net.insert(1, nn.Sigmoid())
    assert [name for name, _ in net.named_children()] == ["a", "1", "b"]
    net.pop(0)
    assert [name for name, _ in net.named_children()] == ["0", "b"]
    assert net(np.zeros(1)).item() == np.tanh(0.5)


def test_modules_are_taken_out_of_a_dict():
    heads = nn.ModuleDict({"a": nn.ReLU(), "b": nn.Tanh()})
    assert "a" in heads
    assert repr(heads.pop("a")) == "ReLU()"
    assert "a" not in heads
    heads.clear()
    assert len(heads) == 0
    with pytest.raises(KeyError):
        heads.pop("a")
