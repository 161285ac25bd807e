"""One JSON record for each student: what the batch has found, and what every output is made from.

A record is written whole or not at all. What cannot be read as a whole report of that student (cut
short, of another make, somebody's own file) counts as none, and is replaced.
"""

import contextlib
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import msgspec

from grader.assignment import BUILDS_ON, BY_NAME, TASKS
from grader.instructor.basis import Basis
from grader.isolation import weaker
from grader.outcomes import Outcome
from grader.report import SCHEMA, CheckResult, Report, TaskResult, decode
from grader.submission import Submission

UNREADABLE_CHECK = "readable"  # the name of the one check that a submission without files gets for each task
_WITH_ADVICE = (Outcome.FAILED, Outcome.ERROR)  # "mend your conv2d first"
_TEMPORARY = ".tmp"
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
    temporary = path.with_name(f".{path.name}{_TEMPORARY}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), mode)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make names in the folder outlive a power cut."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_temporary(folder: Path) -> None:
    """Remove what writers that were killed have left in the folder; no other may be writing there."""
    for path in folder.glob(f".*{_TEMPORARY}"):
        with contextlib.suppress(OSError):
            path.unlink()


# -- does it still answer? --------------------------------------------------------------------------


def still_holds(task: TaskResult, bases: Mapping[str, Basis]) -> bool:
    """Is the task judged, by what would judge it today?"""
    return has_verdict(task) and task.basis == bases.get(task.task)


def to_examine(
    record: Report | None, digest: str, bases: Mapping[str, Basis], tasks: Sequence[str]
) -> tuple[str, ...]:
    """Those of `tasks` that the record does not answer for the submission `digest`.

    bases: what verdicts stand on today, by task (`grader.instructor.basis`). A task without a verdict is one of them,
    and so is one that did not pass and builds on one of them: advice in its messages may depend on that.
    """
    if record is None or record.digest != digest:
        return tuple(tasks)
    found = {task.task: task for task in record.tasks if still_holds(task, bases)}
    needed = {task for task in tasks if task not in found}
    for task in TASKS:  # each after those that it builds on
        if task.name in tasks and needed & set(BUILDS_ON.get(task.name, ())):
            kept = found.get(task.name)
            if kept is not None and any(check.outcome in _WITH_ADVICE for check in kept.checks):
                needed.add(task.name)
    return tuple(task for task in tasks if task in needed)


def is_current(record: Report | None, digest: str, bases: Mapping[str, Basis], tasks: Sequence[str]) -> bool:
    """Does the record answer all of `tasks`, with verdicts, for this submission and today's kit?"""
    return not to_examine(record, digest, bases, tasks)


def has_verdict(task: TaskResult) -> bool:
    """Is the task judged, by the student's code rather than a failure of the kit?"""
    return all(check.outcome is not Outcome.NO_VERDICT for check in task.checks)


def with_bases(report: Report, bases: Mapping[str, Basis]) -> Report:
    """A fresh report, with what its verdicts stand on."""
    tasks = (replace(task, basis=dict(bases[task.task])) for task in report.tasks)
    return replace(report, tasks=tuple(tasks))


def merge(record: Report | None, report: Report, bases: Mapping[str, Basis]) -> Report:
    """`report` with the tasks that only `record`, of the same submission, has, where they still hold."""
    if record is None or record.digest != report.digest:
        return report
    fresh = {task.task: task for task in report.tasks}
    kept = {task.task: task for task in record.tasks if task.task not in fresh and still_holds(task, bases)}
    if not kept:
        return report
    tasks = kept | fresh
    return replace(
        report,
        tasks=tuple(tasks[task.name] for task in TASKS if task.name in tasks),
        isolation=tuple(layer for layer in report.isolation if layer in record.isolation),
        level=weaker(report.level, record.level),
        seconds=round(record.seconds + report.seconds, 4),
        memory=max(record.memory, report.memory),
        loaded={**record.loaded, **report.loaded},
        output=report.output or record.output,
    )


def brought_up(record: Report, submission: Submission, points: Mapping[str, float]) -> Report:
    """The record as it would be written today, where nothing has to be examined again.

    When the submission was handed in, and what is to be said of it, are the submission's; a check's points are those
    that it has now (`points`, by its id), since what it found does not depend on them.
    """

    def worth(check: CheckResult) -> float:
        if check.id == f"public/{check.task}/{UNREADABLE_CHECK}":
            return float(BY_NAME[check.task].points)
        return points.get(check.id, check.points)

    def today(task: TaskResult) -> TaskResult:
        if all(worth(check) == check.points for check in task.checks):
            return task
        checks = tuple(replace(check, points=worth(check)) for check in task.checks)
        return replace(task, checks=checks, points=sum(check.points for check in checks))

    tasks = tuple(today(task) for task in record.tasks)
    return replace(record, tasks=tasks, problems=submission.problems, handed_in=submission.handed_in)
