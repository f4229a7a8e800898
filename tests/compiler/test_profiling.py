"""`step.profile` times the lines of a program, and puts all back."""

import numpy as np

import retrograd as rg
from compiler.test_finding import X, Y, net_and_step
from retrograd.compiler import profiling


def test_lines_are_those_of_the_source_in_order_or_the_hottest_first():
    _, _, step = net_and_step()
    step(X, Y)
    profile = step.profile(X, Y)
    assert [line.text for line in profile.lines] == [
        line.partition("  #")[0].strip()
        for line in step.fast_source.splitlines()[1:]
        if line.strip() and not line.strip().startswith(("#", "return"))
    ]
    assert {line.section for line in profile.lines} == {"forward", "backward", "update"}
    hottest = profile.hottest()
    assert sorted(hottest, key=lambda line: -line.microseconds) == hottest
    assert profile.hottest(2) == hottest[:2]
    first = str(profile).splitlines()[1]
    assert hottest[0].text in first
    shown = profile.in_order()
    assert shown.index("# forward") < shown.index("# backward") < shown.index("# update")
    assert profile.microseconds == sum(line.microseconds for line in profile.lines) > 0
    assert profile.runs >= 5
    assert "loss = F.cross_entropy(net(x), y)" in str(profile)
    assert f"<code>{hottest[0].text}</code>" in profile._repr_html_().replace("&#x27;", "'")
    assert "lines" in repr(profile)


def test_bytes_are_those_of_the_arrays_that_a_line_names():
    step = rg.compile(lambda x: np.sum(np.exp(x) + 1.0))
    profile = step.profile(np.zeros((100, 10), np.float32))
    assert (profile.lines[0].text, profile.lines[0].bytes) == ("np.exp(x, out=exp)", 8000)
    assert profile.lines[0].shape == "(100, 10)"


def test_a_profile_changes_nothing(monkeypatch):
    monkeypatch.setattr(profiling, "SECONDS", 0.0)

    def train(look):
        net, optimizer, step = net_and_step()
        losses = []
        for _ in range(8):
            if look:
                step.profile(X, Y)
            losses.append(step(X, Y).item())
            if look:
                step.profile(X, Y)
        grads = [p.grad for p in net.parameters()]
        return losses, net.state_dict(), optimizer.state_dict()["state"], grads

    watched, right = train(True), train(False)
    assert watched[0] == right[0]
    for mine, other in zip(rg.tree.leaves(watched), rg.tree.leaves(right), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_a_notebook_shows_the_hottest_lines_and_what_the_others_take():
    @rg.compile
    def step(x):
        for k in range(1, 22):
            x = np.sin(x) * k
        return x

    step(X)
    profile = step.profile(X)
    table, more = profile._repr_html_(), len(profile.lines) - 16
    assert table.count("<tr>") == 1 + 16 + 1
    assert f"{more} more lines" in table
    assert len(str(profile).splitlines()) == 1 + len(profile.lines) + 1
