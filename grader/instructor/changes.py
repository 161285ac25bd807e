"""Who moved since the last finished run, from what to what, because of which check, and why that.

Before a run replaces a record it keeps the old one in `before/`, the first time since a run was finished. At the
end the two are compared: `changes.csv` has a line for each check of which the points changed, `changes.txt` the
same to read. Then `before/` goes. A run that was killed leaves it, and the next one's table still says all.
"""

import contextlib
import csv
import io
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from grader.instructor.records import has_verdict, read_record, record_path, sync_folder, write_whole
from grader.instructor.rows import cell, row_of, sheet_text
from grader.report import CheckResult, Report, TaskResult
from grader.terminal import clean, points

CSV_FILE, TEXT_FILE = "changes.csv", "changes.txt"
_BEFORE, _DONE = "before", ".before.done"
_EARLIER = "changes"
_SHOWN = 20  # students on the terminal
_CHECKS_NAMED = 3
# parts of a verdict's basis, the most telling first, and what it means that one differs
_REASONS = {
    "task": "the assignment changed",
    "helpers": "helpers of the checks changed",
    "solutions": "the solutions changed",
    "grader": "the grader or its libraries changed",
    "secret": "the course's secret changed",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One check of one student that gives other points than before; None and "" where it was not there."""

    check: str  # its id
    outcome_before: str
    outcome: str
    points_before: float | None
    points: float | None
    why: str


@dataclass(frozen=True, slots=True)
class Moved:
    """A student with other points, or a verdict more or less. total: None where there is none."""

    student: str
    total_before: float | None
    total: float | None
    changes: tuple[Change, ...]


def keep_before(out: Path, student: str) -> None:
    """Keep the student's record as it stands, unless an older one is kept; to be called before it is replaced."""
    record = record_path(out / "records", student)
    before = out / _BEFORE
    kept = before / record.name
    if kept.exists() or not record.exists():
        return
    if not before.is_dir():  # the first since a run was finished: the table as it stands is that run's
        _keep_earlier(out)
        before.mkdir()
    try:
        os.link(record, kept)
    except OSError:  # a file system without links
        write_whole(kept, record.read_bytes())
    else:
        sync_folder(before)


def anything_before(out: Path) -> bool:
    """Was a record replaced since the last finished run?"""
    return (out / _BEFORE).is_dir()


def moved_since(out: Path, students: Sequence[str]) -> Iterator[Moved]:
    """Those of the students who moved since the last finished run, one after the other."""
    for student in students:
        before = read_record(out / _BEFORE, student)
        after = read_record(out / "records", student)
        if before is not None and after is not None and (changes := tuple(_changes(before, after))):
            yield Moved(student, row_of(student, before).total, row_of(student, after).total, changes)


def finish(out: Path) -> None:
    """The run is finished: from now on the records as they are count as those before."""
    forget(out)
    with contextlib.suppress(FileNotFoundError):
        os.rename(out / _BEFORE, out / _DONE)  # in one step: half of it would be a table of half
    forget(out)


def forget(out: Path) -> None:
    """Remove what a finished run, that was killed while it cleaned up, has left."""
    shutil.rmtree(out / _DONE, ignore_errors=True)


# -- comparing --------------------------------------------------------------------------------------


def _changes(before: Report, after: Report) -> Iterator[Change]:
    old_tasks = {task.task: task for task in before.tasks}
    for task in after.tasks:
        old = old_tasks.get(task.task)
        if old is not None:
            yield from _in_task(before, old, after, task)


def _in_task(before: Report, old: TaskResult, after: Report, new: TaskResult) -> Iterator[Change]:
    old_checks = {check.id: check for check in old.checks}
    new_checks = {check.id: check for check in new.checks}
    for name in dict.fromkeys([*old_checks, *new_checks]):
        was, now = old_checks.get(name), new_checks.get(name)
        if (was and was.earned) == (now and now.earned) and _judged(was) == _judged(now):
            continue
        if not (was and was.earned) and not (now and now.earned) and _judged(was) and _judged(now):
            continue  # a check more or less that earned nothing
        why = _why(before, old, was, after, new, now)
        yield Change(
            name,
            str(was.outcome) if was else "",
            str(now.outcome) if now else "",
            was.earned if was and _judged(was) else None,
            now.earned if now and _judged(now) else None,
            why,
        )


def _judged(check: CheckResult | None) -> bool:
    return check is None or has_verdict(TaskResult(check.task, check.points, (check,)))


def _why(
    before: Report,
    old: TaskResult,
    was: CheckResult | None,
    after: Report,
    new: TaskResult,
    now: CheckResult | None,
) -> str:
    name = was.id if was else now.id if now else ""
    if before.digest != after.digest:
        return "the submission changed"
    if not _judged(was):
        return "it had no verdict before"
    if not _judged(now):
        return "it has no verdict now"
    if was is None:
        return "the check is new"
    if now is None:
        return "the check is gone"
    if old.basis.get(name) != new.basis.get(name):
        return "the check changed"
    if was.outcome is now.outcome and was.points != now.points:
        return "its points changed"
    for part, meaning in _REASONS.items():
        if old.basis.get(part) != new.basis.get(part):
            return meaning
    if old.basis != new.basis:
        return "another check of the task changed"
    return "it was examined again"


# -- the table --------------------------------------------------------------------------------------


def write_changes(out: Path, moved: Sequence[Moved]) -> None:
    """`changes.csv` and `changes.txt`."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            "student",
            "total_before",
            "total",
            "check",
            "outcome_before",
            "outcome",
            "points_before",
            "points",
            "why",
        ]
    )
    for one in moved:
        for change in one.changes:
            writer.writerow(
                [
                    sheet_text(one.student), cell(one.total_before), cell(one.total), change.check,
                    change.outcome_before, change.outcome, cell(change.points_before), cell(change.points), change.why,
                ]
            )  # fmt: skip
    write_whole(out / CSV_FILE, text.getvalue().encode())
    console = Console(file=io.StringIO(), width=160, color_system=None, force_terminal=False)
    print_changes(console, moved, shown=None)
    assert isinstance(console.file, io.StringIO)
    write_whole(out / TEXT_FILE, console.file.getvalue().encode())


def _keep_earlier(out: Path) -> None:
    """Who moved in an earlier run is evidence: it goes to `changes/`, named by its time, unless nobody did."""
    try:
        nobody = len((out / CSV_FILE).read_bytes().splitlines()) <= 1
        when = time.strftime("%Y-%m-%d-%H%M%S", time.localtime((out / CSV_FILE).stat().st_mtime))
    except FileNotFoundError:
        return
    if nobody:
        return
    (out / _EARLIER).mkdir(exist_ok=True)
    for name in (TEXT_FILE, CSV_FILE):
        with contextlib.suppress(FileNotFoundError):
            os.replace(out / name, out / _EARLIER / f"{when}{Path(name).suffix}")


def print_changes(console: Console, moved: Sequence[Moved], shown: int | None = _SHOWN) -> None:
    """Who moved: a line for each student, the first `shown` of them."""
    if not moved:
        console.print(Text("Nobody's points changed."))
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("moved")
    table.add_column("from", justify="right")
    table.add_column("to", justify="right")
    table.add_column("because of", overflow="fold")
    for one in moved[:shown]:
        table.add_row(
            Text(clean(one.student)[:24]), _total(one.total_before), _total(one.total), Text(_because(one))
        )
    console.print(table)
    if shown is not None and len(moved) > shown:
        console.print(Text(f"and {len(moved) - shown} more: {CSV_FILE}"))


def _total(value: float | None) -> str:
    return "none" if value is None else points(value)


def _because(one: Moved) -> str:
    """ "conv2d/stride (the check changed) -0.5, ..." """
    named = []
    whys = {change.why for change in one.changes}
    for change in one.changes[:_CHECKS_NAMED]:
        name = change.check.partition("/")[2]
        if change.points is None or change.points_before is None:
            difference = f"{change.outcome_before or 'not there'} -> {change.outcome or 'not there'}"
        else:
            difference = f"{'-' if change.points < change.points_before else '+'}"
            difference += points(abs(change.points - change.points_before))
        named.append(f"{name} {difference}" + (f" ({change.why})" if len(whys) > 1 else ""))
    more = f" and {len(one.changes) - _CHECKS_NAMED} more" if len(one.changes) > _CHECKS_NAMED else ""
    return ", ".join(named) + more + (f": {whys.pop()}" if len(whys) == 1 else "")
