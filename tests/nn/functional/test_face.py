"""What `retrograd.nn.functional` shows, and what it loads."""

import subprocess
import sys

from retrograd.nn import functional as F


def test_dir_shows_the_functions_and_nothing_else():
    assert sorted(dir(F)) == sorted(F.__all__)


def test_every_name_can_be_had():
    assert all(callable(getattr(F, name)) for name in F.__all__)


def test_what_a_small_dense_net_does_without_is_loaded_on_first_use():
    code = (
        "import sys, retrograd as rg; home = 'retrograd.nn.functional.'\n"
        "def rooms(): return {m.removeprefix(home) for m in sys.modules if m.startswith(home)}\n"
        "assert rooms() == {'activations', 'likelihoods', 'linear', 'losses'}, rooms()\n"
        "rg.nn.functional.conv2d\n"
        "assert 'convolution' in rooms() and 'pooling' not in rooms(), rooms()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
