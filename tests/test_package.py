"""The package itself: what importing it wakes, and which names it has."""

import subprocess
import sys

import pytest

import retrograd as rg


def test_importing_wakes_no_lazy_module_of_numpy_and_no_other_package():
    code = (
        "import numpy, sys; before = set(sys.modules); import retrograd; "
        "print(*(m for m in sys.modules if m not in before and not m.startswith('retrograd')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {name.partition(".")[0] for name in done.stdout.split()} <= sys.stdlib_module_names


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        rg.nonsense  # noqa: B018


def test_every_name_of_the_package_is_there():
    for name in rg.__all__:
        assert name in dir(rg)
        assert getattr(rg, name) is not None
