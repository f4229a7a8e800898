"""Reads drawings back: what a browser would make of an SVG document."""

from xml.etree import ElementTree

SVG = "{http://www.w3.org/2000/svg}"
WIDEST = 0.62  # of a character, in font sizes
SIZES = {"name": 13.0, "call": 12.0, "note": 10.5, "title": 11.5}


def read(svg):
    """Return the root of a document that is well-formed and refers to nothing outside."""
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    assert "href" not in svg
    assert "url(" not in svg
    title, desc = root[0], root[1]
    assert (title.tag, desc.tag) == (f"{SVG}title", f"{SVG}desc")
    assert root.get("aria-labelledby").split() == [title.get("id"), desc.get("id")]
    assert root.get("role") == "img"
    assert title.text.strip()
    assert desc.text.strip()
    return root


def texts(root):
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def check_text_fits(root):
    """Check that no line of text leaves its box, or a line outside of all the page."""
    width = float(root.get("width"))
    for group in root.iter(f"{SVG}g"):
        rects = group.findall(f"{SVG}rect")
        if not rects or group.get("transform"):
            continue
        # of a folded box the last one stands in front
        x, y, w, h = (float(rects[-1].get(name)) for name in ("x", "y", "width", "height"))
        for text in group.findall(f"{SVG}text"):
            size = SIZES[text.get("class")]
            half = len(text.text or "") * WIDEST * size / 2
            at, base = float(text.get("x")), float(text.get("y"))
            left, right = (at - half, at + half) if text.get("text-anchor") else (at, at + 2 * half)
            assert x <= left + 0.11, text.text
            assert right <= x + w + 0.11, text.text
            assert y < base - 0.7 * size, text.text
            assert base + 0.2 * size < y + h, text.text
            assert right <= width


def check(drawing):
    """Check all that is so of every drawing; return its texts."""
    root = read(drawing.svg)
    check_text_fits(root)
    return texts(root)
