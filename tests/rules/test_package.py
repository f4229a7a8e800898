"""What `rg.rules` shows, and when its modules are loaded."""

import importlib
import subprocess
import sys

import pytest

import retrograd as rg
from retrograd.engine import spelled
from retrograd.engine.rule import ADAPTED, COMPOSED, REFUSED, RULES, load_rules
from rules import cases

# rooms without a function that differentiates, or whose functions return nothing
WITHOUT_CASES = {"nesting", "refusals", "writing"}

load_rules()


def test_dir_shows_the_families_and_nothing_else():
    assert dir(rg.rules) == sorted(rg.rules.__all__)
    for name in dir(rg.rules):
        assert getattr(rg.rules, name) is importlib.import_module(f"retrograd.rules.{name}")


def test_a_name_that_is_no_family_is_no_attribute():
    with pytest.raises(AttributeError, match="alchemy"):
        rg.rules.alchemy  # noqa: B018


def test_there_are_calls_for_every_family():
    assert set(cases.__all__) == set(rg.rules.__all__) - WITHOUT_CASES


def test_a_function_is_answered_in_one_way():
    ways = [set(ADAPTED), set(COMPOSED), set(REFUSED)]
    for i, one in enumerate(ways):
        for other in ways[:i]:
            assert not one & other, sorted(map(spelled, one & other))
    without = {fn for fn, rule in RULES.items() if not rule.differentiable}
    assert not without & set(ADAPTED)
    assert not without & set(COMPOSED)


SMALL_NET = """
import sys
import numpy as np
import retrograd as rg
from retrograd import nn

x, y = np.ones((4, 3)), np.array([0, 1, 1, 0])
net = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2))
optimizer = rg.optim.Adam(net.parameters(), lr=0.01)
for _ in range(2):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(net(x), y)
    loss.backward()
    optimizer.step()
np.mean(np.argmax(net(x), axis=1) == y)
before = 'retrograd.rules.linalg' in sys.modules
np.linalg.inv(rg.Tensor(np.eye(2)))
print(before, 'retrograd.rules.linalg' in sys.modules)
"""


def test_a_small_net_loads_no_further_rules():
    done = subprocess.run(
        [sys.executable, "-c", SMALL_NET], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["False", "True"]


def test_a_rule_that_is_not_loaded_is_found_by_a_method_of_a_ufunc():
    code = (
        "import numpy as np, retrograd as rg\n"
        "assert np.maximum.accumulate(rg.Tensor([1.0, 3.0, 2.0])).data.tolist() == [1, 3, 3]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
