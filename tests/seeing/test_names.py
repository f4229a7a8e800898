import numpy as np
import pytest

import retrograd as rg
from retrograd import nn
from retrograd.seeing import Graph, Names, label


def leaf(value):
    return rg.Tensor(value, requires_grad=True)


GLOBAL = leaf(7.0)


def labels_of(root):
    return [*label(Graph(root), Names()).values()]


def test_a_given_name_comes_before_a_variable():
    w = leaf(1.0)
    other = leaf(2.0)
    rg.name(w, "slope")
    names = Names()
    assert [*map(names.of, (w, other, GLOBAL))] == ["slope", "other", "GLOBAL"]
    w.name = None
    assert Names().of(w) == "w"


def test_a_name_is_a_string_of_a_tensor():
    with pytest.raises(TypeError, match="names a Tensor"):
        rg.name(np.ones(2), "x")
    with pytest.raises(TypeError, match="a string"):
        rg.name(leaf(1.0), 3)


def test_a_place_in_a_module_comes_before_a_variable_and_the_larger_module_first():
    layer = nn.Linear(2, 1)
    weight = layer.weight
    assert Names().of(weight) == "layer.weight"
    net = nn.Sequential(nn.Sequential(layer), nn.Linear(1, 1))
    names = Names()
    assert names.of(weight) == "net.0.0.weight"
    assert names.of_module(net[0][0]) == "net.0.0"
    assert names.owner(weight) == ("net", "0", "0")
    assert names.type_at(("net", "0", "0")) == "Linear"


def test_of_two_modules_that_hold_the_same_the_shorter_place_comes_first():
    net = nn.Sequential(nn.Linear(2, 1))
    wrapper = nn.Sequential(net)
    assert Names().of(wrapper[0][0].weight) == "net.0.weight"


def test_places_in_lists_dicts_and_objects_are_found():
    class Net:
        def __init__(self):
            self.w = leaf(1.0)

    net, weights, named = Net(), [leaf(2.0), leaf(3.0)], {"b": leaf(4.0)}
    layers = [nn.Linear(1, 1)]
    found = [net.w, weights[1], named["b"], layers[0].bias]
    names = [*map(Names().of, found)]
    assert names == ["net.w", "weights[1]", "named['b']", "layers[0].bias"]


def test_arrays_have_names_too():
    targets = np.ones(3)
    assert Names().of(targets) == "targets"
    assert Names().of(np.ones(3)) == ""


def test_inner_functions_come_first_and_outer_ones_are_seen():
    x = leaf(1.0)

    def look(t):
        return Names().of(t), Names().of(other)

    other = leaf(2.0)
    assert look(x) == ("t", "other")


def test_what_has_no_name_is_numbered_by_its_function():
    x = leaf([1.0, 2.0])
    h = np.tanh(np.tanh(x)[0] * leaf(2.0))
    assert labels_of(np.tanh(h).sum()) == [
        "x", "tanh1", "part1", "leaf1", "multiply1", "h", "tanh2",
        "root",
    ]  # fmt: skip


def test_labels_differ_where_two_values_have_one_name():
    x = leaf(1.0)
    tanh1 = x * 2
    loss = rg.name(np.tanh(tanh1), "y") + rg.name(np.tanh(np.tanh(tanh1)), "y")
    assert labels_of(loss) == ["x", "tanh1", "y", "tanh2", "y_1", "root"]


def test_names_are_copied_and_pickled_with_a_leaf():
    import copy
    import pickle

    w = rg.name(leaf(1.0), "w")
    assert copy.deepcopy(w).name == copy.copy(w).name == pickle.loads(pickle.dumps(w)).name == "w"
