import re

import pytest

pytest.importorskip("resource")


def test_it_trains_on_files(check):
    first, second, third = check("larger_than_memory", "--megabytes", "64")
    assert first == "1 files, 62,500 samples, 64 MB"
    assert float(re.search(r"loss (\S+) ", second)[1]) < 0.6
    assert re.fullmatch(r"[\d.]+ s to train, at most \d+ MB of memory", third)


def test_too_little_is_refused(load):
    with pytest.raises(SystemExit):
        load("larger_than_memory").main(["--megabytes", "3"])
