"""Trees: what is a node, what is a leaf, and what fits what."""

from collections import Counter, OrderedDict, defaultdict, namedtuple

import numpy as np
import pytest

from retrograd import tree

Point = namedtuple("Point", "x y")

TREES = [
    1.0,
    [],
    (),
    {},
    None,
    [1, [2, (3,)], {"a": 4}],
    Point(1, [2, 3]),
    {"w": Point(None, 1), "b": ()},
    OrderedDict(b=1, a=[2]),
]


@pytest.mark.parametrize("given", TREES, ids=repr)
def test_a_tree_comes_back_from_its_leaves_and_structure(given):
    leaves, structure = tree.flatten(given)
    assert structure.size == len(leaves)
    back = structure.unflatten(leaves)
    assert back == given
    assert type(back) is type(given)
    assert tree.flatten(back)[1] == structure
    assert hash(tree.flatten(back)[1]) == hash(structure)


def test_leaves_come_in_order_with_the_paths_to_them():
    leaves, structure = tree.flatten({"b": [1, 2], "a": Point(3, 4)})
    assert leaves == [1, 2, 3, 4]
    assert structure.paths() == [("b", 0), ("b", 1), ("a", "x"), ("a", "y")]


def test_map_goes_by_key_whatever_the_order():
    got = tree.map(lambda x, y: x - y, {"a": 1, "b": 2}, {"b": 20, "a": 10})
    assert got == {"a": -9, "b": -18}


def test_a_further_tree_may_have_subtrees_where_the_first_has_leaves():
    assert tree.map(lambda x, y: (x, y), [1, 2], [{"a": 3}, None]) == [(1, {"a": 3}), (2, None)]


@pytest.mark.parametrize("other", [[1], [1, 2, 3], (1, 2), {"a": 1}, 5, None, np.ones(2)], ids=repr)
def test_trees_that_differ_are_refused_with_the_structure_asked_for(other):
    with pytest.raises(ValueError, match=r"\[\*, \*\]"):
        tree.map(lambda x, y: x, [1, 2], other)


def test_a_tree_is_made_of_as_many_leaves_as_it_has():
    with pytest.raises(ValueError, match="2 leaves cannot be made of 3"):
        tree.flatten([1, 2])[1].unflatten([1, 2, 3])


@pytest.mark.parametrize("leaf", [np.ones(2), "text", {1, 2}, range(3)], ids=repr)
def test_all_else_is_a_leaf(leaf):
    assert tree.leaves([leaf])[0] is leaf


@pytest.mark.parametrize(
    ("given", "text"),
    [((1,), "(*,)"), ((), "()"), ([None, 1], "[None, *]"), (Point(1, 2), "Point(x=*, y=*)"),
     ({"a": 1}, "{'a': *}")],
)  # fmt: skip
def test_a_structure_shows_stars_for_leaves(given, text):
    assert repr(tree.flatten(given)[1]) == text


def test_a_counter_and_a_defaultdict_are_made_again_as_what_they_were():
    counts = tree.map(lambda n: n * 2, Counter("aab"))
    assert type(counts) is Counter
    assert counts == Counter(a=4, b=2)
    lists = defaultdict(list, w=[1, 2], b=[3])
    made = tree.map(lambda n: n + 1, lists)
    assert type(made) is defaultdict
    assert made == {"w": [2, 3], "b": [4]}
    assert made["new"] == []
    assert tree.map(lambda x, y: x + y, lists, lists) == {"w": [2, 4], "b": [6]}

    class Named(dict):
        def __init__(self, name):
            super().__init__()
            self.name = name

    class Filled(dict):
        def __init__(self):
            super().__init__(always=1)

    for odd in (Named("x"), Filled()):
        odd["w"] = 1.0
        with pytest.raises(TypeError, match=r"cannot be made again.*dict\(tree\)"):
            tree.map(lambda x: x, odd)
