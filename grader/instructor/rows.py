"""One student's line, as `grades.csv` and all that is made from records have it."""

import csv
import io
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from grader.assignment import TASKS
from grader.instructor.records import UNREADABLE_CHECK, has_verdict, write_whole
from grader.report import Report, TaskResult
from grader.text import points

_NOTE_LENGTH = 500  # characters in grades.csv: the whole is in the record
# control characters, surrogates, separators of lines and paragraphs
_NOT_IN_A_LINE = ("Cc", "Cs", "Zl", "Zp")


class Status(StrEnum):
    """What a row of `grades.csv` stands on."""

    GRADED = "graded"
    NO_VERDICT = "no verdict"  # the kit failed: a cell is empty, and so is the total
    UNREADABLE = "unreadable"  # nothing in the submission could be read: 0 points
    PARTLY = "partly graded"  # so far only some tasks (`--task`)
    OUTDATED = "outdated"  # submission or kit changed since, and `--student` left it out
    NOT_GRADED = "not graded"  # `--student` left it out
    ABSENT = "nothing handed in"  # on the roster, without a submission: no points, and no 0


@dataclass(frozen=True, slots=True)
class Row:
    """One student's line: the points by task, None where there is no verdict."""

    student: str
    points: dict[str, float | None]
    status: Status
    level: str = ""  # of isolation, "A" to "D"; "" where nothing was run
    handed_in: str = ""
    note: str = ""  # what was wrong with the submission as it was handed in

    @property
    def total(self) -> float | None:
        """The sum over the whole assignment, None where a task has no verdict."""
        earned = [self.points.get(task.name) for task in TASKS]
        return None if None in earned else sum(value for value in earned if value is not None)


def row_of(student: str, report: Report | None, current: bool = True) -> Row:
    """The student's line. current: the record answers all that this run was asked."""
    if report is None:
        return Row(student, {}, Status.NOT_GRADED)
    earned = {task.task: task.earned if has_verdict(task) else None for task in report.tasks}
    if not report.has_verdict:
        status = Status.NO_VERDICT
    elif not current:
        status = Status.OUTDATED
    elif any(_unreadable(task) for task in report.tasks):
        status = Status.UNREADABLE
    else:
        status = Status.GRADED if len(earned) == len(TASKS) else Status.PARTLY
    return Row(student, earned, status, report.level, report.handed_in, "; ".join(report.problems))


def _unreadable(task: TaskResult) -> bool:
    return any(check.id.endswith(f"/{UNREADABLE_CHECK}") for check in task.checks)


def write_grades_csv(path: Path, rows: Iterable[Row]) -> None:
    """Write `grades.csv`: `student`, the graded names in the table's order, `total`, `status`, `isolation`,
    `handed_in` and `note`.

    A student is one line: see `sheet_text`.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    columns = ("total", "status", "isolation", "handed_in", "note")
    writer.writerow(["student", *(task.name for task in TASKS), *columns])
    for row in rows:
        cells = [cell(row.points.get(task.name)) for task in TASKS]
        more = (row.status, row.level, row.handed_in, sheet_text(row.note[:_NOTE_LENGTH]))
        writer.writerow([sheet_text(row.student), *cells, cell(row.total), *more])
    write_whole(path, text.getvalue().encode())


def sheet_text(text: str) -> str:
    """`text` as a cell of one line that no spreadsheet takes for a formula.

    What begins as a formula does (with =, +, -, @, after spaces, too) gets an apostrophe before it, which
    spreadsheets read as 'this is text'. Line breaks and other control characters become spaces.
    """
    text = "".join(" " if unicodedata.category(letter) in _NOT_IN_A_LINE else letter for letter in text)
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠")) else text


def cell(value: float | None) -> str:
    """Points as a cell, empty where there is no verdict."""
    return "" if value is None else points(value)
