"""Tables as text and as HTML."""

from retrograd.tables import as_html, as_text

ROWS = [("name", "n"), ("  a < b", "10"), ("c", "")]


def test_columns_of_text_are_as_wide_as_they_must_be():
    assert as_text(ROWS, right=[1]).splitlines() == ["name      n", "  a < b  10", "c"]


def test_html_escapes_indents_and_has_its_caption():
    found = as_html(ROWS, right=[1], caption="1 & 2", code=[0])
    assert "<caption>1 &amp; 2</caption>" in found
    assert (
        '<td align="left" style="text-align:left">&nbsp;&nbsp;<code>a &lt; b</code></td>' in found
    )
    assert '<td align="right" style="text-align:right">10</td>' in found
    assert '<th align="left" style="text-align:left">name</th>' in found
