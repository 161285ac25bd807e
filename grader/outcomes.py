"""The one vocabulary of outcomes that code, records, reports and docs share."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How a check ended. Only `PASSED` earns points; `NO_VERDICT` is the kit's own failure, never a 0."""

    PASSED = "passed"
    FAILED = "failed"  # a wrong answer
    ERROR = "error"  # the student's code raised
    TIMEOUT = "timeout"  # no answer in time
    MEMORY = "memory"  # more memory than allowed
    CRASHED = "crashed"  # the worker died, or its answer could not be read
    FORBIDDEN = "forbidden"  # the finished operation was used, or the sandbox refused something
    MISSING = "missing"  # still a stub, or not there
    SKIPPED = "skipped"  # a check that it needs did not pass
    NO_VERDICT = "no verdict"  # the kit itself failed


@dataclass(frozen=True, slots=True)
class Ending:
    """How a worker ended."""

    how: str = ""  # a phrase that says how it had died, "" where we ended it
    memory: int = 0  # the most bytes that it held beyond what it began with, 0 where that is not known


class KitError(Exception):
    """The kit itself failed; leads to *no verdict*."""
