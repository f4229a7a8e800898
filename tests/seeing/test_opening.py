from retrograd.seeing.folding import Group
from retrograd.seeing.opening import MOST_BOXES, Pane, Sheet, name_within, open_up


def show(part):
    if isinstance(part, Pane):
        return [part.title, *map(show, part.parts)]
    return f"<{part.title}>" if isinstance(part, Sheet) else part


def opened(group, **options):
    return show(open_up(group, lambda call: 1, str, **options))[1:]


def module(name, *parts):
    return Group("module", parts, name, name.rpartition(".")[2].title() or "Net")


def test_a_small_graph_is_shown_as_it_is():
    top = Group("all", ["x", module("net", module("net.head", "a", "b"), "c"), "loss"])
    assert opened(top) == ["x", ["net: Net", ["head: Head", "a", "b"], "c"], "loss"]


def test_a_level_that_does_not_fit_stays_folded_but_what_is_wanted_is_opened():
    layers = [module(f"net.{name}", *(f"{name}{i}" for i in range(9))) for name in "abcde"]
    top = Group("all", [module("net", *layers)])
    folded = [f"<{name}>" for name in "abcde"]
    assert opened(top)[0][1:] != folded, "little is shown so far: some of it is opened"
    wide = Group("all", [module("net", *layers, *(f"call{i}" for i in range(13)))])
    assert opened(wide)[0][1:6] == folded
    assert opened(wide, unfold=("net.b",))[0][2] == ["b: B", *(f"b{i}" for i in range(9))]
    assert len(opened(wide, unfold=True)[0]) == 19


def test_a_loop_shows_its_first_round_and_how_many_follow():
    loop = Group("loop", [Group("round", [f"a{i}", f"b{i}"]) for i in range(50)])
    assert opened(Group("all", [loop])) == [["50 equal parts", "a0", "b0", "<49 more>"]]
    everything = opened(Group("all", [loop]), unfold=True)
    assert everything[0][50] == ["part 50", "a49", "b49"]


def test_a_short_loop_of_calls_is_no_frame():
    loop = Group("loop", [Group("round", [f"a{i}"]) for i in range(3)])
    assert opened(Group("all", [loop])) == ["a0", "a1", "a2"]


def test_of_many_calls_the_first_and_the_last_are_shown():
    shown = opened(Group("all", [f"c{i}" for i in range(500)]))
    assert shown == [
        *(f"c{i}" for i in range(5)),
        "<490 calls>",
        *(f"c{i}" for i in range(495, 500)),
    ]


def test_groups_that_are_nothing_but_one_in_another_are_one():
    top = Group("all", [module("net", module("net.layers", module("net.layers.0", "a", "b")))])
    assert opened(top) == [["net: Net \u203a layers: Layers \u203a layers.0: 0", "a", "b"]]


def test_never_more_is_shown_than_one_can_look_at():
    def nested(name, depth):
        if not depth:
            return [f"{name}{i}" for i in range(4)]
        return [module(f"{name}.{c}", *nested(f"{name}.{c}", depth - 1)) for c in "abcd"]

    whole = open_up(Group("all", nested("net", 4)), lambda call: 1, str)
    assert len([*whole.flat()]) <= MOST_BOXES


def test_names_are_those_within_the_module_around():
    assert name_within("net.0", "") == "net.0"
    assert name_within("network.0", "net") == "network.0"
