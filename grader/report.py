"""What one examination found, as plain frozen data: the structure that every output is made from.

`encode` and `decode` turn a report into the bytes of a record and back; `decode` is strict and
raises `msgspec.DecodeError` (or its `ValidationError`) for anything that is not a whole report.
"""

from dataclasses import dataclass, field
from typing import Literal

import msgspec

from grader.outcomes import Outcome

SCHEMA = 1
Visibility = Literal["public", "hidden"]


@dataclass(frozen=True, slots=True)
class Grid:
    """A wrong matrix, small enough to be read, as text: rows of cells; `place` is where it is in the result."""

    place: str  # "weights[0, 2]", "" for the whole result
    got: tuple[tuple[str, ...], ...]
    wanted: tuple[tuple[str, ...], ...]
    wrong: tuple[tuple[bool, ...], ...]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The outcome of one check, in the words that the student reads."""

    id: str  # "public/conv2d/stride"
    task: str
    title: str  # the check's docstring: what was asked
    visibility: Visibility
    points: float
    outcome: Outcome
    message: str = ""  # what was called, wanted and got; or what was raised
    diagnosis: str = ""  # the known mistake that gives the same answer
    location: str = ""  # the student's own traceback lines
    picture: str = ""  # a PNG in base64: the wanted image, the student's, where they differ
    grid: Grid | None = None  # of a public check
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """ "conv2d/stride": as `grade check` takes it."""
        return self.id.split("/", 1)[1]

    @property
    def earned(self) -> float:
        return self.points if self.outcome is Outcome.PASSED else 0.0


@dataclass(frozen=True, slots=True)
class TaskResult:
    """The checks of one task. `outcome` is that of the first check that did not pass."""

    task: str
    points: float
    checks: tuple[CheckResult, ...]
    basis: dict[str, str] = field(default_factory=dict)  # in a record: digests of what the verdict stands on

    @property
    def earned(self) -> float:
        return sum(check.earned for check in self.checks)

    @property
    def outcome(self) -> Outcome:
        for check in self.checks:
            if check.outcome is not Outcome.PASSED:
                return check.outcome
        return Outcome.PASSED


@dataclass(frozen=True, slots=True)
class Report:
    """One submission's examination."""

    student: str
    digest: str  # of the submission's files
    kit: str  # digest of the whole kit that last examined it
    tasks: tuple[TaskResult, ...]
    versions: dict[str, str] = field(default_factory=dict)
    isolation: tuple[str, ...] = ()  # the layers that held, in the order in which they were applied
    seconds: float = 0.0
    memory: int = 0  # the most bytes that a worker held beyond what it began with; 0 where that is not known
    loaded: dict[str, tuple[str, ...]] = field(default_factory=dict)  # task -> the files that it imported
    output: str = ""  # what the student's code printed (capped)
    problems: tuple[str, ...] = ()  # what was wrong with the submission as it was handed in
    level: str = ""  # of isolation that its workers had: "A" to "D"; "" where none was started
    handed_in: str = ""  # when, ISO 8601 in UTC ("2026-05-01T23:59:00+00:00"); "" where it is not known
    schema: int = SCHEMA

    @property
    def earned(self) -> float:
        return sum(task.earned for task in self.tasks)

    @property
    def points(self) -> float:
        return sum(task.points for task in self.tasks)

    @property
    def has_verdict(self) -> bool:
        return all(c.outcome is not Outcome.NO_VERDICT for task in self.tasks for c in task.checks)


def encode(report: Report) -> bytes:
    """The report as indented JSON, UTF-8, with a newline at its end."""
    return msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"


def decode(data: bytes) -> Report:
    """The report that `encode` made `data` from."""
    return msgspec.json.decode(data, type=Report)
