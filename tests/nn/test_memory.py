import subprocess
import sys

import pytest

from retrograd import nn

# arrays that are larger than what glibc keeps of its own accord, made and dropped together
CODE = """
import resource, sys
import numpy as np, retrograd as rg

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arrays = [np.ones(1 << 19) for _ in range(10)]
    del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if rg.nn.utils.retain_memory():
    faults()
    print(sum(faults() for _ in range(5)))
else:
    print(0)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no module resource")
def test_memory_that_is_retained_is_not_fetched_again():
    done = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True)
    assert int(done.stdout) < 100


@pytest.mark.parametrize("limit", [0, -1, 1 << 31, 0.5])
def test_a_limit_is_a_number_that_the_c_library_takes(limit):
    with pytest.raises(ValueError, match="retain_memory: limit"):
        nn.utils.retain_memory(limit)
