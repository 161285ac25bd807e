"""The class as one CSV or one JSON file: every task, and where there is a policy each step to the final score."""

import csv
import datetime
import io
from typing import Any

import msgspec

from grader.assignment import TASKS
from grader.instructor.rows import cell, sheet_text
from grader.instructor.standings import Graded, Standings
from grader.text import points

_POLICY = (
    "handed_in",
    "late_by_hours",
    "days_late",
    "late_days_used",
    "counted",
    "penalty",
    "bonus",
    "final",
)


def csv_bytes(standings: Standings) -> bytes:
    """One line a student, UTF-8 with a byte order mark, so that spreadsheets read all scripts; CRLF.

    A cell that a spreadsheet would take for a formula begins with an apostrophe.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    policy = _POLICY if standings.policy else ()
    writer.writerow(["student", *(task.name for task in TASKS), "total", *policy, "status"])
    for one in standings.everyone:
        tasks = [cell(one.row.points.get(task.name)) for task in TASKS]
        steps = [_text(value) for value in _steps(one).values()] if standings.policy else []
        writer.writerow([sheet_text(one.student), *tasks, cell(one.row.total), *steps, one.row.status])
    return b"\xef\xbb\xbf" + text.getvalue().encode("utf-8", "backslashreplace")


def json_bytes(standings: Standings) -> bytes:
    """The class with every check's outcome, as JSON; null where there is no verdict or no final score."""
    policy = standings.policy
    content = {
        "possible": {task.name: task.points for task in TASKS},
        "policy": dict(policy.lines()) if policy else None,
        "students": [_student(one, policy is not None) for one in standings.everyone],
    }
    return msgspec.json.encode(content) + b"\n"


def _student(one: Graded, with_policy: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "student": one.student,
        "status": one.row.status,
        "total": one.row.total,
        "tasks": {task.name: one.row.points.get(task.name) for task in TASKS},
        "checks": {check.id: check.outcome for task in one.report.tasks for check in task.checks},
        "digest": one.report.digest,
        "kit": one.report.kit,
        "isolation": one.report.level,
    }
    if with_policy:
        found |= {**_steps(one), "lateness": one.standing.lateness}
    return found


def _steps(one: Graded) -> dict[str, Any]:
    """From the raw score to the final one; None for what is not known."""
    standing = one.standing
    time = standing.handed_in
    unknown = standing.due is not None and time is None
    hours = round(standing.late_by / datetime.timedelta(hours=1), 2)
    values = (
        time.astimezone(datetime.UTC).isoformat() if time else None,
        None if unknown else hours,
        None if unknown else standing.days_late,
        None if unknown else standing.days_used,
        standing.earned,
        standing.penalty,
        standing.bonus,
        standing.final,
    )
    return dict(zip(_POLICY, values, strict=True))


def _text(value: object) -> str:
    if isinstance(value, float):
        return points(value)
    return "" if value is None else str(value)
