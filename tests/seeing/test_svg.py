import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrograd.seeing.svg import Box, Edge, Frame, Scene, Text, columns, paint, shorten
from seeing.pictures import check_text_fits, read, texts


def box(name, **options):
    return Box((Text(name, "name"), Text("np.tanh(x)"), Text("(3,)", "note")), **options)


@given(st.lists(st.text(max_size=60), min_size=1, max_size=4))
def test_whatever_the_names_the_document_is_well_formed_and_text_fits(names):
    boxes = [
        box(name, hint=name, kind=kind, heat=0.5)
        for name, kind in zip(names, KINDS * 4, strict=False)
    ]
    edges = [Edge(i, i + 1, (Text(names[i], "note"),)) for i in range(len(names) - 1)]
    scene = Scene(boxes, edges, [Frame(names[0])], "title", "description", notes=(names[0],))
    scene.boxes[0] = box(names[0], frame=0)
    root = read(paint(scene))
    assert len(texts(root)) == 3 * len(names) + len(edges) + 2
    if all(text.isascii() for text in names):
        check_text_fits(root)


KINDS = ["call", "view", "result", "parameter", "data", "folded"]


def test_a_long_text_loses_its_middle_and_characters_that_xml_does_not_know():
    assert shorten("a" * 40, 34) == "a" * 22 + "\N{HORIZONTAL ELLIPSIS}" + "a" * 11
    assert (
        shorten("one\x00two\ud800", 34)
        == "one\N{REPLACEMENT CHARACTER}two\N{REPLACEMENT CHARACTER}"
    )


def test_width_counts_east_asian_characters_twice_and_accents_not():
    assert columns("abc") == 3
    assert columns("\N{HIRAGANA LETTER A}") == 2
    assert columns("e\N{COMBINING ACUTE ACCENT}") == 1


def test_there_are_colours_for_light_and_for_dark_surroundings():
    drawing = paint(Scene([box("x")], title="t", description="d"))
    begin, style = drawing.split("<style>@media (prefers-color-scheme:dark)")
    style, light = style.split("</style>")
    assert ".page{fill:#12161d}" in style
    assert 'class="page" fill="#ffffff"' in light
    assert "font-family" in begin
    assert 'class="rg-drawing" fill="#1b2432"' in begin  # what text inherits


def test_a_drawing_is_whole_where_a_page_takes_style_sheets_out():
    boxes = [box(kind, kind=kind, heat=heat) for kind, heat in zip(KINDS, HEATS, strict=True)]
    edges = [Edge(0, 1), Edge(1, 2, heat=0.9), Edge(2, 3, (Text("1"),), is_dashed=True)]
    scene = Scene(boxes, edges, [Frame("f")], "t", "d", ("0", "1"), ("a note",))
    root = read(paint(scene))
    shapes = [e for e in root.iter() if e.tag.rpartition("}")[2] in ("rect", "path", "text")]
    own = [e for e in shapes if not e.tag.endswith("text")]
    assert [e.attrib for e in own if e.get("fill") is None] == []
    assert {e.get("fill") for e in own if e.get("class").startswith("box")} == {"#f5f7fa"}
    assert [e.attrib for e in shapes if "wire" in e.get("class") and not e.get("stroke")] == []
    assert [e.attrib for e in shapes if e.tag.endswith("text") and not e.get("font-size")] == []


HEATS = [None, 0.0, 0.5, 0.9, 1.0, None]


def luminance(color):
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(weight * p for weight, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def mixed(front, back, opacity):
    parts = [
        round(opacity * int(front[i : i + 2], 16) + (1 - opacity) * int(back[i : i + 2], 16))
        for i in (1, 3, 5)
    ]
    return "#" + "".join(f"{part:02x}" for part in parts)


@pytest.mark.parametrize("theme", ["_LIGHT", "_DARK"])
def test_text_stands_out_from_every_shade_in_light_and_dark(theme):
    from retrograd.seeing import svg

    colors = getattr(svg, theme)
    backs = [colors["page"], colors["box"]]
    backs += [mixed(heat, colors["box"], 0.3) for heat in svg._HEAT]
    for text, least in (("ink", 7.0), ("soft", 3.0)):
        for back in backs:
            one, two = sorted([luminance(colors[text]), luminance(back)])
            assert (two + 0.05) / (one + 0.05) > least, (text, back)


def test_equal_scenes_are_equal_documents_and_others_have_other_ids():
    scenes = [Scene([box(name)], title="t", description="d") for name in ("x", "x", "y")]
    one, two, three = map(paint, scenes)
    assert one == two
    assert read(one)[0].get("id") != read(three)[0].get("id")
