"""The names that the examples in docstrings take for known."""

import numpy as np
import pytest

import retrograd as rg


@pytest.fixture(autouse=True)
def _names(doctest_namespace):
    doctest_namespace.update(np=np, rg=rg, F=rg.nn.functional)
