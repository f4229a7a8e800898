import sys


def test_the_planted_bug_is_found_and_the_kink_is_told_from_it(check):
    text = "\n".join(check("check_your_own_gradient"))
    assert text.startswith("huber: right, to second order")
    assert "buggy huber: WRONG" in text
    assert "d out[0] / d residual[0]" in text
    assert "All are -1 times the difference quotient." in text
    assert "huber at the bend: a kink" in text
    assert "huber, as a property: right for everything" in text


def test_without_hypothesis_it_checks_what_it_can(check, monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    for name in [n for n in sys.modules if n.startswith("retrograd.testing")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(vars(sys.modules["retrograd"]), "testing", raising=False)
    lines = check("check_your_own_gradient")
    assert "pip install hypothesis" in lines[0]
    assert any("buggy huber: WRONG" in line for line in lines)
