"""Each student's failures, packed for the page: one JSON of all students with every text once, gzip, base64.

The page unpacks it when a student is opened. Texts are cut, pictures are kept up to a size, so that a large class's
page stays small whatever its students wrote.
"""

import base64
import gzip
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from grader.assignment import TASKS
from grader.instructor.report.anonymous import Names
from grader.instructor.standings import Graded
from grader.outcomes import Outcome
from grader.report import CheckResult
from grader.text import clean, megabytes, points

_MAX_TEXT = 2_000  # characters of a message or location
_MAX_OUTPUT = 1_000
_MAX_PICTURES = 1_500_000  # characters of base64, in the whole page
_BASE64 = re.compile(r"[A-Za-z0-9+/]+=*")
_UNSHOWN = (Outcome.PASSED, Outcome.SKIPPED)  # these need no words of their own
_OUTCOMES = {outcome: number for number, outcome in enumerate(Outcome)}


class Packer:
    """Packs students. steps: for each, the lines from raw to final score."""

    def __init__(self, names: Names):
        self._names = names
        self._texts: dict[str, int] = {"": 0}
        self._checks: list[tuple[str, ...]] = []
        self._numbers: dict[str, int] = {}  # of the checks, by id
        self._pictures = 0

    def pack(self, graded: Sequence[Graded], steps: Mapping[str, Sequence[tuple[str, str]]]) -> str:
        """All students as base64 of gzipped JSON."""
        students = [self._student(one, steps.get(one.student, ())) for one in graded]
        content = {
            "outcomes": list(Outcome),
            "texts": list(self._texts),
            "checks": self._checks,
            "students": students,
        }
        data = gzip.compress(msgspec.json.encode(content), compresslevel=6, mtime=0)
        return base64.b64encode(data).decode()

    def _student(self, one: Graded, steps: Sequence[tuple[str, str]]) -> list[Any]:
        report = one.report
        hide = self._names.hidden
        facts = [("Status", str(one.row.status))]
        if report.level:
            facts.append(("Isolation level", report.level))
        if report.tasks:
            facts.append(("Examined in", f"{report.seconds:.1f} s"))
        if report.memory:
            facts.append(("Memory at its peak", megabytes(report.memory)))
        if report.handed_in and not steps:
            facts.append(("Handed in", _cut(report.handed_in)))
        results = [self._check(check) for task in report.tasks for check in task.checks]
        return [
            [[self._text(label), self._text(value)] for label, value in (*facts, *steps)],
            results,
            [] if hide else [self._text(_cut(problem)) for problem in report.problems],
            0 if hide else self._text(_cut(report.output, _MAX_OUTPUT)),
        ]

    def _check(self, check: CheckResult) -> list[int]:
        number = self._numbers.get(check.id)
        if number is None:
            number = self._numbers[check.id] = len(self._checks)
            title = "" if self._names.hides(check) else clean(check.title)
            name = self._names.check(check)
            self._checks.append((name, check.task, title, check.visibility, points(check.points)))
        found = [number, _OUTCOMES[check.outcome]]
        if check.outcome in _UNSHOWN:
            return found
        words = [
            self._text(self._names.message(_cut(check.message), check)),
            self._text(_cut(check.diagnosis)),
            0 if self._names.hidden else self._text(_cut(check.location)),
            0 if self._names.hides(check) else self._picture(check.picture),
        ]
        while words and not words[-1]:
            words.pop()
        return found + words

    def _text(self, text: str) -> int:
        return self._texts.setdefault(text, len(self._texts))

    def _picture(self, picture: str) -> int:
        if not _BASE64.fullmatch(picture):
            return 0
        if picture not in self._texts:
            if self._pictures + len(picture) > _MAX_PICTURES:
                return 0
            self._pictures += len(picture)
        return self._text(picture)


def lost_in(one: Graded) -> list[str]:
    """The tasks in which points were lost, in the assignment's order."""
    return [
        task.name
        for task in TASKS
        if task.name in one.row.points and (one.row.points[task.name] or 0.0) < task.points
    ]


def _cut(text: str, limit: int = _MAX_TEXT) -> str:
    text = clean(text.encode("utf-8", "replace").decode()).strip()
    return text if len(text) <= limit else f"{text[:limit]} [... {len(text) - limit:,} characters left out]"
