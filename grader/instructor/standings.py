"""The class as its records have it, with the course's policy applied: what report and exports are made from.

Reads records, never a submission. A record is one of the class's if `grades.csv`, which `grade all` writes last, has
its student; where there is no such file, all are.
"""

import csv
import gc
from dataclasses import dataclass
from pathlib import Path

import msgspec

from grader.instructor.classes import choose_roster
from grader.instructor.course.layout import Course, find_course
from grader.instructor.policy import NAME, Policy, Standing, parse_handed_in, read_policy
from grader.instructor.records import record_path
from grader.instructor.roster import Roster
from grader.instructor.rows import Row, Status, row_of, sheet_text
from grader.report import SCHEMA, Report, decode
from grader.submission import SubmissionError


@dataclass(frozen=True, slots=True)
class Graded:
    """One student: the record, its row as in `grades.csv`, and what counts under the policy."""

    report: Report
    row: Row
    standing: Standing

    @property
    def student(self) -> str:
        return self.report.student


@dataclass(frozen=True, slots=True)
class Standings:
    """A class. results: where the records are; unread: files beside them that are no whole record.

    course: whose gradebook has the points of written answers, which are not here.
    """

    results: Path
    graded: tuple[Graded, ...]  # by the student's name
    policy: Policy | None
    roster: Roster | None
    unread: tuple[str, ...] = ()
    course: Course | None = None
    absent: tuple[Graded, ...] = ()  # on the roster, and nothing handed in: an empty report

    @property
    def everyone(self) -> tuple[Graded, ...]:
        """Those with a record and those who handed in nothing, by the student's name."""
        return tuple(sorted((*self.graded, *self.absent), key=lambda one: one.student))

    @property
    def unknown(self) -> tuple[str, ...]:
        """Students whom the policy names, and who are not in the class."""
        known = {one.student for one in self.everyone}
        return tuple(sorted(self.policy.named - known)) if self.policy else ()

    def find(self, student: str) -> Graded | None:
        return next((one for one in self.graded if one.student == student), None)


def read_standings(
    folder: Path, policy_file: Path | None = None, roster_file: Path | None = None
) -> Standings:
    """The class in `folder`: where `grade all` wrote its records, or a course.

    policy_file, roster_file: None for policy.toml and roster.csv of the course, or beside the records, where they are.
    Raises `SubmissionError` where there are no records, or policy or roster cannot be read.
    """
    course = find_course(folder)
    results = course.results if course else folder
    course = course or find_course(results.parent)
    records = results / "records"
    if not records.is_dir():
        raise SubmissionError(
            f"There are no records in {results}. Grade first: grade all SUBMISSIONS --out {results}; or name the"
            " folder that it wrote to."
        )
    home = course.root if course else results
    if policy_file is None and (home / NAME).is_file():
        policy_file = home / NAME
    policy = read_policy(policy_file) if policy_file is not None else None
    roster = choose_roster(course.root if course else results, results, roster_file)
    reports, unread = _read(records, _in_grades(results / "grades.csv"))
    if not reports:
        raise SubmissionError(f"There is no whole record in {records}. Grade again: grade all SUBMISSIONS")
    rules = policy or Policy()
    graded = []
    for report in reports:
        row = row_of(report.student, report)
        standing = rules.standing(report.student, row.points, parse_handed_in(report.handed_in))
        graded.append(Graded(report, row, standing))
    there = {report.student for report in reports}
    absent = [
        Graded(
            Report(person.id, "", "", ()),
            Row(person.id, {}, Status.ABSENT),
            rules.standing(person.id, {}, None),
        )
        for person in roster.people
        if person.id not in there
    ]
    return Standings(
        results,
        tuple(graded),
        policy,
        roster if roster.people else None,
        tuple(unread),
        course,
        tuple(absent),
    )


def _in_grades(path: Path) -> set[str] | None:
    """The students in grades.csv, as it writes them; None where there is none that can be read."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return {row["student"] for row in csv.DictReader(file) if row.get("student") is not None}
    except (OSError, ValueError, KeyError, csv.Error):
        return None


def _read(records: Path, in_class: set[str] | None) -> tuple[list[Report], list[str]]:
    reports, unread = [], []
    collecting = gc.isenabled()
    gc.disable()  # it would walk over all records again and again, and find nothing
    try:
        for path in sorted(records.glob("*.json")):
            if path.name.startswith("."):
                continue
            try:
                report = decode(path.read_bytes())
            except (OSError, msgspec.DecodeError):
                unread.append(path.name)
                continue
            if report.schema != SCHEMA or record_path(records, report.student).name != path.name:
                unread.append(path.name)
            elif in_class is None or sheet_text(report.student) in in_class:
                reports.append(report)
    finally:
        gc.freeze()
        if collecting:
            gc.enable()
    return sorted(reports, key=lambda report: report.student), unread
