"""What tests of worker processes share."""

import multiprocessing

import pytest

WAYS = multiprocessing.get_all_start_methods()
FORK = {"multiprocessing_context": "fork"}
forks = pytest.mark.skipif("fork" not in WAYS, reason="this system has no fork")
spawns = pytest.mark.skipif("spawn" not in WAYS, reason="this system has no spawn")
LIMIT = 60  # seconds: what hangs is a failure
