"""A short run of the fuzzing in `fuzz.py`."""

import pytest
from fuzz import TARGETS, fuzz


@pytest.mark.parametrize("target", TARGETS)
def test_mangled_bytes_are_read_or_refused(target: str) -> None:
    fuzz(target, 250)
