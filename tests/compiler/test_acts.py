"""What acts on other processes is done once in each call, however often a program is compared."""

import numpy as np
import pytest

import retrograd as rg
from retrograd.engine import Rule, is_recording, is_rehearsal, rehearsal, run


class Act:
    """A function that doubles, and counts how often it did so in earnest."""

    def __init__(self):
        self.done, self.programs = [], []

        def act(x, out=None):
            out = np.empty_like(x) if out is None else out
            np.multiply(x, 2, out=out)
            if not is_rehearsal():
                self.done.append(x.copy())
            return out

        self.rule = Rule(act, (lambda g, out, x: self(g),), on_program=self.programs.append)

    def __call__(self, x):
        recorded = isinstance(x, rg.Tensor) or is_recording()
        return run(self.rule, (x,), {}) if recorded else self.rule.run(x)


@pytest.mark.parametrize("replay_first", [False, True])
def test_each_call_acts_once_also_where_it_records_compares_or_audits(replay_first):
    from retrograd.compiler import CompiledStep

    act, scale = Act(), {"by": 1.0}
    w = rg.nn.Parameter(np.ones(3))
    optimizer = rg.optim.SGD([w], lr=0.0)

    def step(x):
        optimizer.zero_grad()
        loss = (act(x) * w * scale["by"]).sum()
        loss.backward()
        optimizer.step()
        return loss

    compiled = CompiledStep(step, replay_first)
    for i in range(20):
        scale["by"] = 1.0 + i // 10  # another value is another recording
        x = np.full(3, i + 1.0)
        assert compiled(x).item() == 6 * (i + 1) * scale["by"]
        assert len(act.done) == i + 1
        np.testing.assert_array_equal(act.done[-1], x)
    assert len(act.programs) == 2
    assert act.programs[0][:2] == ["act", "multiply"]
    assert "act_2(x, out=act)" in compiled.fast_source
    assert "(x)" in compiled.source
    compiled.profile(x)
    compiled.find_nan(x)
    assert len(act.done) == 20


def test_acts_are_neither_merged_nor_left_out_nor_computed_before_the_run():
    act, fixed = Act(), np.ones(2)
    fixed.flags.writeable = False

    @rg.compile
    def step(x):
        act(x)
        act(x)
        return act(rg.Tensor(fixed)) + act(x)

    for _ in range(5):
        act.done.clear()
        np.testing.assert_array_equal(step(np.full(2, 3.0)).data, 8.0)
        assert len(act.done) == 4


def test_a_program_that_acts_is_not_exported(tmp_path):
    act = Act()
    step = rg.compile(lambda x: act(x))
    for _ in range(4):
        step(np.ones(2))
    with pytest.raises(TypeError, match="acts on other processes"):
        step.export(tmp_path / "step.py")


def test_a_function_with_a_graph_that_acts_runs_as_it_is():
    act, w = Act(), rg.nn.Parameter(np.ones(2))
    forward = rg.compile(lambda x: act(x * w).sum())
    for i in range(6):
        w.grad = None
        act.done.clear()
        forward(np.full(2, 1.0 + i)).backward()
        np.testing.assert_array_equal(w.grad, 2.0 * (1 + i))
        assert len(act.done) == 2  # forward and backward


def test_a_rehearsal_ends_with_its_context():
    assert not is_rehearsal()
    with rehearsal(), rehearsal():
        assert is_rehearsal()
    assert not is_rehearsal()
