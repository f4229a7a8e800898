from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrograd.seeing.layout import Area, Sketch, lay_out


@st.composite
def sketches(draw):
    """Graphs without circles, in frames as Modules and loops have them: runs in the order."""
    n = draw(st.integers(1, 25))
    edges = draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=40))
    edges = [(min(e), max(e)) for e in edges if e[0] != e[1]]
    frames, box_frames = [], [None] * n
    for begin, end in draw(st.lists(st.tuples(st.integers(0, n), st.integers(0, n)), max_size=4)):
        inside = box_frames[begin:end]
        if inside and len({*inside}) == 1:
            box_frames[begin:end] = [len(frames)] * len(inside)
            frames.append(inside[0])
    size = st.tuples(*(st.integers(15, top).map(float) for top in (200, 60)))
    marked = draw(st.sets(st.integers(0, len(edges) - 1))) if edges else ()
    return Sketch(
        draw(st.lists(size, min_size=n, max_size=n)), edges, dict.fromkeys(marked, (50.0, 20.0)),
        [(60.0, 15.0)] * len(frames), box_frames, frames, draw(st.booleans()),
    )  # fmt: skip


def overlap(a, b):
    across = min(a.x + a.width, b.x + b.width) - max(a.x, b.x)
    along = min(a.y + a.height, b.y + b.height) - max(a.y, b.y)
    return across > 1e-6 and along > 1e-6


def contains(outer, inner):
    return (
        outer.x <= inner.x + 1e-6
        and outer.y <= inner.y + 1e-6
        and inner.x + inner.width <= outer.x + outer.width + 1e-6
        and inner.y + inner.height <= outer.y + outer.height + 1e-6
    )


def frames_around(frame, sketch):
    while frame is not None:
        yield frame
        frame = sketch.frame_frames[frame]


@given(sketches())
def test_nothing_overlaps_and_frames_hold_what_is_theirs(sketch):
    picture = lay_out(sketch)
    whole = Area(0, 0, picture.width, picture.height)
    pieces = [*picture.boxes, *picture.labels.values()]
    assert not [pair for pair in combinations(pieces, 2) if overlap(*pair)]
    for box, frame in zip(picture.boxes, sketch.box_frames, strict=True):
        mine = {*frames_around(frame, sketch)}
        assert contains(whole, box)
        for i, area in enumerate(picture.frames):
            assert contains(area, box) if i in mine else not overlap(area, box)
    for i, j in combinations(range(len(picture.frames)), 2):
        if i not in frames_around(j, sketch):
            assert not overlap(picture.frames[i], picture.frames[j])


@given(sketches())
def test_edges_go_on_from_box_to_box_and_through_none(sketch):
    picture = lay_out(sketch)
    along = 0 if sketch.goes_right else 1
    reached = {i: [] for i in range(len(sketch.edges))}
    for wire in picture.wires:
        places = [point[along] for point in wire.points]
        assert all(b > a - 1e-6 for a, b in pairwise(places))
        for edge in wire.edges:
            reached[edge].append(wire)
        # a line stays in the rectangle of two of its points that follow on each other
        for (x, y), (u, v) in pairwise(wire.points):
            line = Area(min(x, u) - 0.01, min(y, v) - 0.01, abs(x - u) + 0.02, abs(y - v) + 0.02)
            assert not [box for box in picture.boxes if overlap(line, shrunk(box))]
    for edge, (source, target) in enumerate(sketch.edges):
        wires = reached[edge]
        assert touches(picture.boxes[source], [wire.points[0] for wire in wires])
        # each of its lines but the first goes on where another one ends
        ends = [wire.points[-1] for wire in wires]
        apart = [wire for wire in wires if not is_near(wire.points[0], ends)]
        assert len(apart) == 1
        assert touches(picture.boxes[target], [w.points[-1] for w in wires if w.arrives])


def is_near(point, others):
    return any(abs(point[0] - x) + abs(point[1] - y) < 1e-6 for x, y in others)


def shrunk(box):
    return Area(box.x + 1, box.y + 1, box.width - 2, box.height - 2)


def touches(box, points):
    grown = Area(box.x - 0.01, box.y - 0.01, box.width + 0.02, box.height + 0.02)
    return any(overlap(grown, Area(x - 0.01, y - 0.01, 0.02, 0.02)) for x, y in points)


def test_a_chain_with_parameters_beside_it_is_one_straight_line():
    boxes = [(80.0, 30.0)] * 9  # x, then twice: two parameters and a call, and a last call
    edges = [(0, 3), (1, 3), (2, 3), (3, 6), (4, 6), (5, 6), (6, 7), (7, 8)]
    picture = lay_out(Sketch(boxes, edges))
    middles = [picture.boxes[i].x + 40 for i in (3, 6, 7, 8)]
    assert max(middles) - min(middles) < 1


def test_a_planar_graph_is_drawn_without_crossings():
    # two chains, given in an order that crosses them at first
    edges = [(0, 3), (1, 2), (2, 5), (3, 4), (4, 6), (5, 6)]
    picture = lay_out(Sketch([(40.0, 20.0)] * 7, edges))
    left = [picture.boxes[a].x < picture.boxes[b].x for a, b in ((0, 1), (3, 2), (4, 5))]
    assert len({*left}) == 1


def test_lines_between_two_frames_stay_apart_and_do_not_cross():
    # two boxes in a frame, and in the next frame two that take one each, the other way round
    one = (40.0, 20.0)
    sketch = Sketch([one] * 4, [(0, 3), (1, 2)], {}, [one] * 2, [0, 0, 1, 1], [None, None])
    picture = lay_out(sketch)
    assert (picture.boxes[0].x < picture.boxes[1].x) == (picture.boxes[3].x < picture.boxes[2].x)
    wires = sorted(picture.wires, key=lambda wire: wire.points[0][1])
    lines = [[w for w in wires if w.edges == (edge,)] for edge in range(2)]
    assert [len(line) for line in lines] == [3, 3]
    for first, second, third in lines:
        assert first.points[-1] == second.points[0]
        assert second.points[-1] == third.points[0]


def test_edges_that_share_a_source_share_their_line_up_to_where_they_part():
    chain = [(i, i + 1) for i in range(1, 30)]
    far = [(0, i) for i in range(1, 31)]
    picture = lay_out(Sketch([(40.0, 20.0)] * 31, chain + far))
    assert sum(len(wire.points) for wire in picture.wires) < 500


@pytest.mark.parametrize("n", [1, 4000])
def test_work_grows_as_the_graph_does(n):
    edges = [(i, j) for i in range(n) for j in (i + 1, i + 3) if j < n]
    picture = lay_out(Sketch([(40.0, 20.0)] * n, edges))
    assert len(picture.boxes) == n
    assert sum(len(wire.points) for wire in picture.wires) <= 13 * n


def test_an_edge_that_goes_back_is_refused():
    with pytest.raises(ValueError, match="box 1 to 0 goes back"):
        lay_out(Sketch([(1.0, 1.0)] * 2, [(1, 0)]))


def test_frames_that_need_each_other_first_are_refused():
    sketch = Sketch(
        [(1.0, 1.0)] * 4, [(0, 1), (2, 3)], {}, [(1.0, 1.0)] * 2, [0, 1, 1, 0], [None] * 2
    )
    with pytest.raises(ValueError, match="one order"):
        lay_out(sketch)
