"""One JSON record for each student: what the batch has found, and what every output is made from.

A record is written whole or not at all. What cannot be read as a whole report of that student (cut
short, of another make, somebody's own file) counts as none, and is replaced.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import msgspec

from grader.assignment import TASKS
from grader.isolation import weaker
from grader.outcomes import Outcome
from grader.report import SCHEMA, Report, TaskResult, decode

_NAME_LENGTH = 180  # of a record's file, before ".json": file systems allow 255 bytes


def record_path(records: Path, student: str) -> Path:
    """Where the student's record is: the name with unsafe characters percent-encoded, cut with a hash."""
    safe = quote(student, safe=" ").replace("~", "%7E")
    if safe.startswith((".", " ")):
        safe = f"%{ord(safe[0]):02X}{safe[1:]}"
    if len(safe) > _NAME_LENGTH:
        safe = f"{safe[:_NAME_LENGTH]}~{hashlib.sha256(student.encode()).hexdigest()[:16]}"
    return records / f"{safe}.json"


def read_record(records: Path, student: str) -> Report | None:
    """The student's record, None where there is none that is whole and theirs."""
    try:
        report = decode(record_path(records, student).read_bytes())
    except (OSError, msgspec.DecodeError):
        return None
    return report if report.student == student and report.schema == SCHEMA else None


def write_whole(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Write the file so that after a crash or a power cut it is there whole, or as it was before."""
    temporary = path.with_name(f".{path.name}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), mode)
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    if hasattr(os, "O_DIRECTORY"):  # the new name, too
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def to_examine(record: Report | None, digest: str, kit: str, tasks: Sequence[str]) -> tuple[str, ...]:
    """Those of `tasks` that the record does not answer for the submission `digest` as judged by `kit`.

    A task without a verdict is one of them; a record of other files or of another kit answers nothing.
    """
    if record is None or (record.digest, record.kit) != (digest, kit):
        return tuple(tasks)
    answered = {task.task for task in record.tasks if has_verdict(task)}
    return tuple(task for task in tasks if task not in answered)


def is_current(record: Report | None, digest: str, kit: str, tasks: Sequence[str]) -> bool:
    """Does the record answer all of `tasks`, with verdicts, for this submission and this kit?"""
    return not to_examine(record, digest, kit, tasks)


def has_verdict(task: TaskResult) -> bool:
    """Is the task judged, by the student's code rather than a failure of the kit?"""
    return all(check.outcome is not Outcome.NO_VERDICT for check in task.checks)


def merge(record: Report | None, report: Report) -> Report:
    """`report` with the tasks that only `record`, of the same submission and kit, has."""
    if record is None or (record.digest, record.kit) != (report.digest, report.kit):
        return report
    tasks = {task.task: task for task in (*record.tasks, *report.tasks)}
    if len(tasks) == len(report.tasks):
        return report
    return replace(
        report,
        tasks=tuple(tasks[task.name] for task in TASKS if task.name in tasks),
        isolation=tuple(layer for layer in report.isolation if layer in record.isolation),
        level=weaker(report.level, record.level),
        seconds=round(record.seconds + report.seconds, 4),
        loaded={**record.loaded, **report.loaded},
        output=report.output or record.output,
    )
