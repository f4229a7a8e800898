import gc
import os

import pytest
from hypothesis import settings

# set before any test imports matplotlib: no test may need a display
os.environ["MPLBACKEND"] = "Agg"

# no deadlines: a shared machine is slow now and then, and speed is measured in benchmarks/
settings.register_profile("dev", max_examples=20, deadline=None)
settings.register_profile("ci", max_examples=60, deadline=None, derandomize=True, print_blob=True)
# the same draws each time, for other versions of Python and NumPy
settings.register_profile("wheel", max_examples=20, deadline=None, derandomize=True)
# where a test takes ten times as long, as under Pyodide
settings.register_profile("few", max_examples=2, deadline=None, derandomize=True)
settings.register_profile("thorough", max_examples=300, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))

# they need PyTorch, which no test does; the numbers that they wrote lie beside them
collect_ignore_glob = ["golden/make_*.py"]


def pytest_collection_modifyitems(items):
    """Refuse names of tests with addresses, which differ between the processes of one run."""
    named = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if named:
        raise pytest.UsageError(f"give these tests ids without addresses: {named[:5]}")


@pytest.fixture
def garbage():
    """How many objects a function leaves for the garbage collector, once all is loaded."""

    def count(use):
        use()
        gc.collect()
        gc.disable()
        try:
            use()
            return gc.collect()
        finally:
            gc.enable()

    return count
