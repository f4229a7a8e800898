"""What is loaded when, and what `dir` shows of it."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import retrograd as rg

PUBLIC = [
    "data", "io", "nn", "nn.functional", "nn.utils", "optim", "optim.lr_scheduler",
    "parallel", "random", "testing", "training", "tree",
]  # fmt: skip


def output_of(code):
    """Return what code prints in a fresh process, as words."""
    environment = os.environ | {"PYTHONPATH": str(Path(rg.__file__).parents[1])}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return set(done.stdout.split())


def test_import_loads_what_a_small_net_needs_and_no_more():
    loaded = output_of("import sys, retrograd; print(*sys.modules)")
    assert {"retrograd.engine", "retrograd.nn.layers", "retrograd.optim.sgd"} <= loaded
    later = (
        "anomaly", "compiler", "data", "func", "inventory", "io", "parallel", "seeing", "stats",
        "special.scipy_ufuncs", "testing", "training", "optim.adam", "optim.lr_scheduler",
    )  # fmt: skip
    assert not loaded & {f"retrograd.{name}" for name in later}
    assert not loaded & {"numpy.random", "zipfile", "scipy"}


def test_a_star_import_gives_every_public_name_and_loads_no_other_package():
    code = "import sys; from retrograd import *; print(*globals()); print(*sys.modules)"
    found = output_of(code)
    assert {*rg.__all__} <= found
    assert not found & {"hypothesis", "matplotlib", "safetensors", "scipy", "tqdm"}


def test_modules_that_are_not_listed_are_loaded_when_asked_for():
    code = "import retrograd as rg; print(rg.io.load is rg.load, rg.training.fit is rg.fit)"
    assert output_of(code) == {"True"}


@pytest.mark.parametrize("name", PUBLIC)
def test_dir_shows_the_public_names_of_a_module_and_no_imports(name):
    module = importlib.import_module(f"retrograd.{name}")
    assert dir(module) == sorted(module.__all__)


def test_dir_shows_what_is_loaded_on_first_use():
    assert dir(rg) == sorted(rg.__all__)
    assert {"compile", "fit", "load", "Tensor"} <= {*dir(rg)}
    assert {"Adam", "LBFGS", "SGD", "lr_scheduler"} <= {*dir(rg.optim)}


@pytest.mark.parametrize("module", [rg, rg.nn, rg.nn.utils, rg.optim], ids=lambda m: m.__name__)
def test_a_name_that_is_nowhere_is_an_attribute_error(module):
    with pytest.raises(AttributeError, match=f"module '{module.__name__}' has no attribute 'tanj'"):
        module.tanj  # noqa: B018


def test_a_name_that_has_moved_is_found_where_it_was():
    assert rg.nn.utils.AveragedModel is rg.optim.AveragedModel
