"""From boxes with text and edges between them to SVG, readable on light and dark pages.

The text is set in a typeface of one width, so that its length is known without asking a font: no
text is longer than its box, whatever typeface of this kind a reader has.
"""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

from retrograd.seeing.layout import Area, Picture, Point, Sketch, Wire, lay_out

# font size, distance to the next line, in px
STYLES = {"name": (13.0, 17.0), "call": (12.0, 16.0), "note": (10.5, 14.0), "title": (11.5, 15.0)}
ADVANCE = 0.62  # of a character, in font sizes: the widest of usual typefaces of one width
HEATS = 7  # shades of the size of gradients
INSET = (11.0, 7.0)  # between the border of a box and its text
LABEL_INSET = (4.0, 1.0)
MARGIN = 16.0
LONGEST = 34  # characters of a line; the middle of longer ones is left out
LONGEST_TITLE = 64  # of a frame


@dataclass(frozen=True)
class Text:
    """A line of text.

    Args:
        text: what it says.
        style: "name", "call", "note" or "title".
    """

    text: str
    style: str = "call"

    def __post_init__(self) -> None:
        longest = LONGEST_TITLE if self.style == "title" else LONGEST
        object.__setattr__(self, "text", shorten(self.text, longest))

    @property
    def width(self) -> float:
        """Its width in px, or a little more."""
        return columns(self.text) * ADVANCE * STYLES[self.style][0]

    @property
    def height(self) -> float:
        """Its height in px, with what is left free to the next line."""
        return STYLES[self.style][1]


@dataclass(frozen=True)
class Box:
    """A box with text.

    Args:
        lines: what stands in it.
        kind: "call", "result", "parameter", "data" or "folded".
        heat: size of its gradient from 0 to 1, None where there is none.
        hint: what is shown while the pointer is on it.
        frame: the position of the frame that it stands in; None: in none.
        section: of a line of a program: "forward", "backward" or "update".
    """

    lines: tuple[Text, ...]
    kind: str = "call"
    heat: float | None = None
    hint: str = ""
    frame: int | None = None
    section: str = ""


@dataclass(frozen=True)
class Frame:
    """A frame around boxes.

    Args:
        title: what stands on it.
        hint: what is shown while the pointer is on the title.
        frame: the position of the frame around it; None: in none.
    """

    title: str
    hint: str = ""
    frame: int | None = None


@dataclass(frozen=True)
class Edge:
    """An arrow from one box to another.

    Args:
        source, target: their positions, the source before the target.
        lines: what is written on it.
        heat: the size of the gradient that goes back along it, as of a box.
        is_dashed: whether its line is broken.
    """

    source: int
    target: int
    lines: tuple[Text, ...] = ()
    heat: float | None = None
    is_dashed: bool = False


@dataclass(frozen=True)
class Scene:
    """All that a drawing shows.

    Args:
        boxes: each after those that edges come to it from.
        edges: the arrows.
        frames: each after the one around it.
        title: what it shows, in a few words, for those who do not see it.
        description: the same, in a sentence or more.
        scale: the smallest and the largest gradient, as they are to be written, for a scale of
            the shades; None for no such scale.
        notes: what is to be said below the drawing.
        goes_right: whether edges go to the right, rather than down.
    """

    boxes: Sequence[Box]
    edges: Sequence[Edge] = ()
    frames: Sequence[Frame] = ()
    title: str = ""
    description: str = ""
    scale: tuple[str, str] | None = None
    notes: tuple[str, ...] = field(default=())
    goes_right: bool = False


def columns(text: str) -> int:
    """Return how many characters wide a text is: East Asian ones count twice, accents nothing."""
    return sum(
        0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF")
        for c in text
    )


def shorten(text: str, longest: int) -> str:
    """Leave out the middle of a text that is too long, and characters that XML does not know."""
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    if columns(text) <= longest:
        return text
    begin, end = text[: longest * 2 // 3], text[-(longest // 3) :]
    while columns(begin) + columns(end) + 1 > longest:
        begin, end = begin[:-1], end[1:]
    return f"{begin}\N{HORIZONTAL ELLIPSIS}{end}"


def box_size(box: Box) -> tuple[float, float]:
    """Return width and height of a box, from its text."""
    width = max((line.width for line in box.lines), default=0.0) + 2 * INSET[0]
    height = sum(line.height for line in box.lines) + 2 * INSET[1]
    if box.kind in ("parameter", "data"):
        width += 6  # round ends
    return width, height


def label_size(lines: Sequence[Text]) -> tuple[float, float]:
    """Return width and height of the text on an edge."""
    width = max(line.width for line in lines) + 2 * LABEL_INSET[0]
    return width, sum(line.height for line in lines) + 2 * LABEL_INSET[1]


def place(scene: Scene) -> Picture:
    """Find places for all that a scene shows."""
    return lay_out(Sketch(
        boxes=[box_size(box) for box in scene.boxes],
        edges=[(edge.source, edge.target) for edge in scene.edges],
        labels={i: label_size(edge.lines) for i, edge in enumerate(scene.edges) if edge.lines},
        frames=[_title_size(frame) for frame in scene.frames],
        box_frames=[box.frame for box in scene.boxes],
        frame_frames=[frame.frame for frame in scene.frames],
        goes_right=scene.goes_right,
    ))  # fmt: skip


def _title_size(frame: Frame) -> tuple[float, float]:
    text = Text(frame.title, "title")
    return text.width + 4, text.height


def paint(scene: Scene) -> str:
    """Return a scene as an SVG document.

    It brings its own colours for light and dark surroundings, and refers to nothing outside.
    """
    picture = place(scene)
    below = _below(scene)
    width = max(picture.width, *(line_width for line_width, _ in below), 60.0) + 2 * MARGIN
    height = picture.height + 2 * MARGIN + sum(size for _, size in below)
    left = (width - picture.width) / 2
    body = [
        f'<g transform="translate({_number(left)} {_number(MARGIN)})">',
        *(_frame(f, area) for f, area in zip(scene.frames, picture.frames, strict=True)),
        *(_wire(wire, scene) for wire in picture.wires),
        *(_label(scene.edges[i], area) for i, area in sorted(picture.labels.items())),
        *(_box(box, area) for box, area in zip(scene.boxes, picture.boxes, strict=True)),
        "</g>",
    ]
    top = picture.height + MARGIN
    if scene.scale:
        body.append(_scale(scene.scale, top))
        top += _SCALE_HEIGHT
    for note in scene.notes:
        top += STYLES["note"][1]
        body.append(
            f'<text x="{_number(MARGIN)}" y="{_number(top)}"{_style("note")}>{_e(note)}</text>'
        )
    text = "\n".join(body)
    key = f"rg{zlib.crc32((scene.title + scene.description + text).encode()):08x}"
    size = f"{_number(width)} {_number(height)}"
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}"{_style("rg-drawing")}'
        f' width="{_number(width)}" height="{_number(height)}" style="max-width:100%;height:auto"'
        f' font-family="{_MONO}" role="img" aria-labelledby="{key}t {key}d">',
        f'<title id="{key}t">{_e(scene.title)}</title>',
        f'<desc id="{key}d">{_e(scene.description)}</desc>',
        f"<style>{_css()}</style>",
        f'<rect width="100%" height="100%" rx="8"{_style("page")}/>',
        text,
        "</svg>",
        "",
    ])  # fmt: skip


# Colours

_LIGHT = {
    "page": "#ffffff", "ink": "#1b2432", "soft": "#5b6675", "box": "#f5f7fa", "line": "#8592a3",
    "frame": "#64748b", "leaf": "#2563eb", "result": "#1b2432",
}  # fmt: skip
_DARK = {
    "page": "#12161d", "ink": "#eef1f5", "soft": "#a3aebd", "box": "#212835", "line": "#76839a",
    "frame": "#94a3b8", "leaf": "#7aa7ff", "result": "#eef1f5",
}  # fmt: skip
# of the sections of a program
_SECTIONS = {"forward": "#4f7fe8", "backward": "#ee8434", "update": "#3f9d5a"}
# from cold, a small gradient, to hot
_HEAT = ("#4f7fe8", "#3aa3d6", "#2fb5a3", "#8fb63b", "#e0ae2b", "#ee8434", "#e04a3f")


_MONO = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace"


def _looks(colors: dict[str, str]) -> dict[str, dict[str, str]]:
    """Return what each class of parts looks like, as attributes of SVG.

    Of several classes of one part the last that has an attribute decides on it.
    """
    c = colors
    looks = {
        "page": {"fill": c["page"]},
        "rg-drawing": {"fill": c["ink"]},  # of text, which inherits it
        "name": {"font-size": "13px", "font-weight": "700"},
        "call": {"font-size": "12px"},
        "note": {"font-size": "10.5px", "fill": c["soft"]},
        "title": {"font-size": "11.5px", "font-weight": "700", "fill": c["soft"]},
        "box": {"fill": c["box"], "stroke": c["line"], "stroke-width": "1.2"},
        "parameter": {"stroke": c["leaf"]},
        "data": {"stroke-dasharray": "3 2.5"},
        "result": {"stroke": c["result"], "stroke-width": "2.4"},
        "frame": {
            "fill": c["frame"], "fill-opacity": ".07",
            "stroke": c["frame"], "stroke-opacity": ".45",
        },
        "wire": {"fill": "none", "stroke": c["line"], "stroke-width": "1.3"},
        "dashed": {"stroke-dasharray": "5 3"},
        "head": {"fill": c["line"]},
        "chip": {"fill": c["page"], "fill-opacity": ".92"},
    }  # fmt: skip
    for section, color in _SECTIONS.items():
        looks[section] = {"fill": color, "fill-opacity": ".18", "stroke": color}
    for i, heat in enumerate(_HEAT):
        looks[f"tint{i}"] = {"fill": heat, "fill-opacity": ".3", "stroke": heat}
        looks[f"wire{i}"] = {"stroke": heat, "stroke-width": f"{1.3 + 0.3 * i:.1f}"}
        looks[f"head{i}"] = {"fill": heat}
    return looks


_LOOKS = _looks(_LIGHT)


def _css() -> str:
    """Return the rules for dark surroundings.

    The light colours are attributes of each part, so that a drawing is whole where a page that
    shows a notebook takes style sheets out.
    """
    rules = (
        f"{'' if name == 'rg-drawing' else '.rg-drawing '}.{name}"
        f"{{{';'.join(f'{k}:{v}' for k, v in look.items())}}}"
        for name, look in _looks(_DARK).items()
    )
    return f"@media (prefers-color-scheme:dark){{{''.join(rules)}}}"


def _style(classes: str) -> str:
    """Return the attributes of a part: its classes, and what they look like."""
    look: dict[str, str] = {}
    for name in classes.split():
        look |= _LOOKS.get(name, {})
    return "".join(f' {k}="{v}"' for k, v in {"class": classes, **look}.items())


def _shade(heat: float | None) -> int | None:
    return None if heat is None else min(int(heat * HEATS), HEATS - 1)


# Parts


def _e(text: str) -> str:
    return escape("".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text))


def _number(x: float) -> str:
    return f"{x:.1f}".removesuffix(".0")


def _rect(area: Area, classes: str, rx: float) -> str:
    x, y, w, h = (_number(v) for v in (area.x, area.y, area.width, area.height))
    return f'<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="{_number(rx)}"{_style(classes)}/>'


def _lines(lines: Sequence[Text], middle: float, top: float) -> str:
    """Return lines of text, centred, from a height downward."""
    found = []
    for line in lines:
        size = STYLES[line.style][0]
        base = top + (line.height + 0.7 * size) / 2
        found.append(
            f'<text x="{_number(middle)}" y="{_number(base)}" text-anchor="middle"'
            f"{_style(line.style)}>{_e(line.text)}</text>"
        )
        top += line.height
    return "".join(found)


def _box(box: Box, area: Area) -> str:
    rx = min(area.height / 2, 17.0) if box.kind in ("parameter", "data") else 6.0
    parts = []
    if box.kind == "folded":  # sheets behind it
        for shift in (6.0, 3.0):
            behind = Area(area.x + shift, area.y + shift, area.width, area.height)
            parts.append(_rect(behind, "box", rx))
    parts.append(_rect(area, f"box {box.kind}", rx))
    shade = _shade(box.heat)
    if shade is not None:
        parts.append(_rect(area, f"tint{shade}", rx))
    elif box.section:
        parts.append(_rect(area, f"section {box.section}", rx))
    text = sum(line.height for line in box.lines)
    top = area.y + (area.height - text) / 2
    parts.append(_lines(box.lines, area.x + area.width / 2, top))
    hint = f"<title>{_e(box.hint)}</title>" if box.hint else ""
    return f"<g>{hint}{''.join(parts)}</g>"


def _frame(frame: Frame, area: Area) -> str:
    hint = f"<title>{_e(frame.hint)}</title>" if frame.hint else ""
    title = Text(frame.title, "title")
    x, y = _number(area.x + 10), _number(area.y + 9 + STYLES["title"][0])
    text = f'<text x="{x}" y="{y}"{_style("title")}>{_e(title.text)}</text>'
    return f"<g>{hint}{_rect(area, 'frame', 10)}{text}</g>"


def _wire(wire: Wire, scene: Scene) -> str:
    edges = [scene.edges[i] for i in wire.edges]
    heats = [edge.heat for edge in edges if edge.heat is not None]
    shade = _shade(max(heats, default=None))
    mark = "" if shade is None else str(shade)
    points = wire.points
    tip = None
    if wire.arrives:
        points, tip = _shorter(points, scene.goes_right)
    dashed = " dashed" if all(edge.is_dashed for edge in edges) else ""
    own = f" wire{mark}" if mark else ""
    text = f'<path d="{_path(points, scene.goes_right)}"{_style(f"wire{own}{dashed}")}/>'
    if tip is not None:
        own = f" head{mark}" if mark else ""
        text += f'<path d="{_tip(tip, scene.goes_right)}"{_style(f"head{own}")}/>'
    return text


_TIP = 6.0


def _shorter(points: tuple[Point, ...], goes_right: bool) -> tuple[tuple[Point, ...], Point]:
    """Return points that end before the tip of the arrow, and where the tip is."""
    x, y = points[-1]
    end = (x - _TIP, y) if goes_right else (x, y - _TIP)
    return (*points[:-1], end), (x, y)


def _tip(at: Point, goes_right: bool) -> str:
    x, y = at
    a, b = ((-7, -4), (0, 8)) if goes_right else ((-4, -7), (8, 0))
    return f"M{_number(x)} {_number(y)}l{a[0]} {a[1]}l{b[0]} {b[1]}z"


def _path(points: Sequence[Point], goes_right: bool) -> str:
    """Return a line through points that leaves and arrives in the direction of the edges."""
    text = "M" + " ".join(map(_number, points[0]))
    for (x, y), (u, v) in pairwise(points):
        if abs(x - u) < 0.05 or abs(y - v) < 0.05:
            text += f"L{_number(u)} {_number(v)}"
            continue
        one, two = (((x + u) / 2, y), ((x + u) / 2, v))
        if not goes_right:
            one, two = (x, (y + v) / 2), (u, (y + v) / 2)
        ends = (*one, *two, u, v)
        text += "C" + " ".join(map(_number, ends))
    return text


def _label(edge: Edge, area: Area) -> str:
    chip = _rect(area, "chip", 3)
    return chip + _lines(edge.lines, area.x + area.width / 2, area.y + LABEL_INSET[1])


# Below the drawing


def _note(text: str, x: float, y: float) -> str:
    return f'<text x="{_number(x)}" y="{_number(y)}"{_style("note")}>{_e(text)}</text>'


_SCALE_HEIGHT = 34.0
_SWATCH = 20.0
_SCALE_TEXT = "root mean square of the gradient"


def _below(scene: Scene) -> list[tuple[float, float]]:
    """Return width and height of what stands below the drawing."""
    found = [(Text(note, "note").width, STYLES["note"][1]) for note in scene.notes]
    if scene.scale:
        low, high = (Text(text, "note").width for text in scene.scale)
        text = Text(_SCALE_TEXT, "note").width
        found.append((low + high + HEATS * _SWATCH + text + 32, _SCALE_HEIGHT))
    return found or [(0.0, 0.0)]


def _scale(scale: tuple[str, str], top: float) -> str:
    low, high = (Text(text, "note") for text in scale)
    y = top + 16
    parts = [_note(low.text, MARGIN, y + 9)]
    x = MARGIN + low.width + 6
    for i in range(HEATS):
        area = Area(x, y, _SWATCH, 11)
        parts.append(_rect(area, "box", 0) + _rect(area, f"tint{i}", 0))
        x += _SWATCH
    x += 6
    parts.append(_note(f"{high.text}  {_SCALE_TEXT}", x, y + 9))
    return "".join(parts)
