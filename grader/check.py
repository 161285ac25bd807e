"""`grade check`: a student's folder, checked once or on every save."""

import json
import os
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from grader import terminal
from grader.assignment import TASKS
from grader.examine import close, examine, prepare
from grader.nudges import steps_of
from grader.outcomes import Outcome
from grader.progress import Progress
from grader.report import CheckResult, Report
from grader.submission import Submission, SubmissionError, read_folder
from grader.untrusted import Workers

STUDENT = "me"


def check(
    folder: Path,
    tasks: Sequence[str],
    only: Collection[str] | None,
    *,
    workers: Workers | None,
    again: str,
    as_json: bool = False,
    watch: bool = False,
    in_process: bool = False,
    debug: bool = False,
    hint: bool = False,
) -> int:
    """Check the submission in `folder` and print the report; the exit status.

    What came out is remembered for the next run in this folder. hint: tell hints in steps, one more each time.
    0 where all that ran passed, 1 otherwise. Raises `SubmissionError` where the folder cannot be read.
    """
    console = Console(highlight=False)
    open_worker = None
    if in_process:
        from grader.in_process import open_in_process

        open_worker = open_in_process(debug)
    else:
        prepare(workers=workers)
    try:
        if watch:
            return _watch(console, folder, tasks, again)
        report = examine(read_folder(folder, STUDENT), tasks=tasks, only=only, open_worker=open_worker)
    finally:
        close()
    progress = Progress.of(folder)
    if as_json:
        progress.remember(report)
        progress.save()
        extra = {"earned": report.earned, "points": report.points}
        extra["points_decided_at_grading"] = terminal.hidden_points(report.tasks)
        json.dump(msgspec.to_builtins(report) | extra, sys.stdout, indent=1, ensure_ascii=False)
        print()
    else:
        _print_progress(console, report, again, progress, hint=hint)
    return 0 if passed(report) else 1


def stepwise(progress: Progress, again: str, check: CheckResult) -> list[tuple[str, str]]:
    """The hints given so far for this failure, and one more."""
    steps = steps_of(check)
    count = progress.next_step(check, len(steps))
    more = [("more", f"{again} {check.name} --hint")] if count < len(steps) else []
    return steps[:count] + more


def passed(report: Report) -> bool:
    """Did every check that ran pass?"""
    return all(check.outcome is Outcome.PASSED for task in report.tasks for check in task.checks)


def _watch(console: Console, folder: Path, tasks: Sequence[str], again: str) -> int:
    """Check on every save, only the tasks that the saved files can have changed, until Ctrl-C."""
    chosen = [task for task in TASKS if task.name in tasks]
    submission = read_folder(folder, STUDENT)
    progress = Progress.of(folder)
    report = examine(submission, tasks=tasks)
    loaded = dict(report.loaded)
    _print_progress(console, report, again, progress)
    console.print(f"\nWatching {folder} (Ctrl-C ends) ...", style="dim")
    for changes in _saves(folder):
        changed_files = {os.path.basename(path) for _, path in changes}
        if not any(name.endswith(".py") for name in changed_files):
            continue
        start = time.monotonic()
        try:
            now = read_folder(folder, STUDENT)
        except SubmissionError as error:
            console.print(str(error), style="red")
            continue
        changed = _changed(submission, now)
        submission = now
        affected = [
            task.name
            for task in chosen
            if f"{task.module}.py" in changed or changed & set(loaded.get(task.name, changed))
        ]
        if not affected:
            continue
        report = examine(submission, tasks=affected)
        loaded |= report.loaded
        console.rule(style="dim")
        _print_progress(console, report, again, progress)
        console.print(f"checked {', '.join(affected)} in {time.monotonic() - start:.2f} s", style="dim")
    return 0


def _saves(folder: Path) -> Iterator[set[tuple[Any, str]]]:
    """What was saved, each time, until Ctrl-C, which is how watching ends."""
    import watchfiles

    # short intervals: an editor's save is one or two events, and a student waits for the answer
    try:
        yield from watchfiles.watch(folder, step=20, debounce=60)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)


def _print_progress(
    console: Console, report: Report, again: str, progress: Progress, *, hint: bool = False
) -> None:
    """Print the report with what is better or worse than before, and remember it and the hints given."""
    since = progress.since(report)
    progress.remember(report)
    hints = partial(stepwise, progress, again) if hint else None
    terminal.print_report(console, report, again, since, hints)
    progress.save()


def _changed(before: Submission, after: Submission) -> set[str]:
    """The files that are new, gone or different."""
    names = before.files.keys() | after.files.keys()
    return {name for name in names if before.files.get(name) != after.files.get(name)}
