import pytest

from golden import CLIPPING, MODULES, OPTIMIZERS, SCHEDULES, cases, covers, pending

TITLES = [
    parameter.id
    for tables in (MODULES, CLIPPING, OPTIMIZERS, SCHEDULES)
    for key in ("name", "function")
    if tables is MODULES or key == "name"
    for parameter in cases(tables, key)
]


def test_no_two_cases_have_the_same_title():
    assert len(set(TITLES)) == len(TITLES)


@pytest.mark.parametrize("pattern", pending())
def test_each_line_of_the_pending_list_covers_a_case(pattern):
    assert any(covers(pattern, title) for title in TITLES)
