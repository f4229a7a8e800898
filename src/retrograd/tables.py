"""Tables for a terminal and for a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def as_text(rows: Sequence[Sequence[str]], right: Iterable[int] = ()) -> str:
    """Return a table as lines of text, the columns as wide as they must be.

    Args:
        rows: the cells, those of the head first.
        right: the columns that are flush right, as numbers are.

    >>> print(as_text([("a", "n"), ("long", "1")], right=[1]))
    a     n
    long  1
    """
    flush = set(right)
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            f"{cell:>{wide[i]}}" if i in flush else f"{cell:{wide[i]}}"
            for i, cell in enumerate(row)
        ).rstrip()
        for row in rows
    )


def as_html(
    rows: Sequence[Sequence[str]], right: Iterable[int] = (), caption: str = "",
    code: Iterable[int] = (),
) -> str:  # fmt: skip
    """Return a table as HTML.

    Args:
        rows: the cells, those of the head first; spaces at the beginning of one indent it.
        right: the columns that are flush right.
        caption: what stands below it.
        code: the columns that are code.

    >>> as_html([("a",), ("<",)]).count("&lt;")
    1
    """
    from html import escape  # which nothing needs that is no notebook

    flush, typed = set(right), set(code)

    def cell(tag: str, i: int, text: str) -> str:
        inside = text.lstrip()
        indent = "&nbsp;" * (len(text) - len(inside))
        shown = escape(inside)
        if tag == "td" and i in typed and shown:
            shown = f"<code>{shown}</code>"
        side = "right" if i in flush else "left"
        # twice: notebooks overrule attributes, and pages that show a notebook take styles out
        return f'<{tag} align="{side}" style="text-align:{side}">{indent}{shown}</{tag}>'

    head, *body = (
        "".join(cell("td" if n else "th", i, text) for i, text in enumerate(row))
        for n, row in enumerate(rows)
    )
    lines = "".join(f"<tr>{row}</tr>" for row in body)
    below = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{below}<thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"
