from retrograd.seeing.entries import Entry, Sent
from retrograd.seeing.pages import as_table, as_text

CALL = Entry("call", 1, "y = f(x)", "2", ("3",), (Sent("x", "6", "3 x 2", ("g * 2",), ("note",)),))
LEAF = Entry("leaf", 0, "x", "1", ("6", "and more"))


def test_text_is_aligned_and_leaves_are_a_table_at_the_end():
    assert as_text("head", [LEAF, CALL, Entry("more", 0, "and so on")]).splitlines() == [
        "head",
        "",
        "    y = f(x) = 2",
        "        arrives  3",
        "        to x     3 x 2 = 6",
        "                 g * 2",
        "                 note",
        "",
        "and so on",
        "",
        "leaf  value  gradient",
        "x     1      6",
        "             and more",
    ]


def test_long_lines_are_wrapped():
    long = Entry("call", 0, "y", "1", (" + ".join(["0.123 (from multiply)"] * 9),))
    lines = as_text("head", [long]).splitlines()
    assert len(lines) > 4
    assert max(map(len, lines)) <= 100


def test_a_table_has_a_row_for_each_argument():
    two = CALL._replace(sent=CALL.sent * 2)
    table = as_table("a < b", [two, LEAF, Entry("more", 0, "and so on")])
    assert table.count("<tr>") == 1 + 2 + 1 + 1
    assert 'rowspan="2"' in table
    assert "a &lt; b" in table


def test_a_table_tells_code_from_words_and_a_product_from_an_argument_called_x():
    table = as_table("", [CALL, Entry("folded", 0, "net.0: 3 calls", "5")])
    assert "<samp>\u2003y = f(x)</samp>" in table
    assert "<samp>g * 2</samp><br>note" in table
    assert "3 × 2 = 6" in table  # noqa: RUF001, the sign is what is tested
    assert ">net.0: 3 calls<" in table


def test_a_table_is_flush_left_also_where_a_page_takes_styles_out():
    table = as_table("", [CALL])
    assert table.count("<td") + table.count("<th ") == table.count('align="left" valign="top"')


def test_a_table_has_a_line_for_what_each_sign_of_equality_says():
    sent = Sent("x", "6", "3 x 2", ("g * y = 3 * 2",))
    table = as_table("", [Entry("call", 0, "y = f(x, axis=0) = f(2)", "2", ("3",), (sent,))])
    assert "<samp>y = f(x, axis=0)<br>=\xa0f(2)</samp>" in table
    assert "<samp>g * y<br>=\xa03 * 2</samp>" in table
