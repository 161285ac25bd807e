"""A class, graded by a pool of processes: `grade all`.

    find and read ──► which records answer? ──► pool: examine() ──► one record each ──► grades.csv, summary

What has a record of the same submission, kit and secret is not examined again, so a second run does only
what changed, and a run that was killed goes on where it was. One submission never stops the batch: a
process of the pool that dies takes at most its own submission's verdict along. Neither torch nor pytest is
imported where nothing is to be examined. Of submissions and reports, only those in flight are in memory.
"""

import contextlib
import difflib
import faulthandler
import hashlib
import itertools
import multiprocessing
import os
import secrets
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from grader.assignment import BY_NAME, TASKS
from grader.instructor import outputs
from grader.instructor.collect import Handed, find_submissions, read
from grader.instructor.records import merge, read_record, record_path, to_examine, write_whole
from grader.kit import kit_digest
from grader.outcomes import Outcome
from grader.report import CheckResult, Report, TaskResult, decode, encode
from grader.submission import Submission, SubmissionError
from grader.terminal import clean
from grader.untrusted import Limits

if sys.platform != "win32":
    import fcntl

SECRET_VARIABLE = "GRADE_SECRET"
_TICK = 0.5  # seconds between two looks at the time left

Examine = Callable[..., Report]
OnProgress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one run did, and the class as its records now have it."""

    submissions: int
    examined: int
    without_verdict: int  # of the submissions that this run was asked for
    gone: int  # records of submissions that are no longer in the folder
    summary: outputs.Summary


def grade_all(
    folder: Path,
    out: Path,
    *,
    jobs: int,
    tasks: Sequence[str] | None = None,
    students: Sequence[str] | None = None,
    force: bool = False,
    limits: Limits | None = None,
    examine: Examine | None = None,
    on_progress: OnProgress = lambda done, total, student: None,
) -> Batch:
    """Examine what has no record yet, write records and `grades.csv` to `out`.

    tasks, students: only these (None: all); force: also what has a record. on_progress is called with
    the number done, the number to do and the student just done ("" where only time has passed).
    examine takes the place of `grader.examine.examine` in tests. Raises `SubmissionError` where nothing
    can be graded at all; KeyboardInterrupt leaves the records that are finished.
    """
    handed = [one for one in find_submissions(folder) if one.path.resolve() != out.resolve()]
    chosen = _chosen(handed, students)
    asked = tuple(task.name for task in TASKS if tasks is None or task.name in tasks)
    with _locked(out), _writing(out):
        secret = course_secret(out)
        kit = f"{kit_digest()}-{hashlib.sha256(b'secret' + secret).hexdigest()[:16]}"
        records = out / "records"
        records.mkdir(exist_ok=True)
        todo, stale = [], set()
        for one in handed:
            needed = to_examine(read_record(records, one.student), read(one).digest, kit, asked)
            if one.student in chosen and (needed or force):
                todo.append(one)
            elif needed:
                stale.add(one.student)
        if todo:
            on_progress(0, len(todo), "")
            work = _work(todo, records, kit, asked, force)
            tick = lambda done: on_progress(done, len(todo), "")  # noqa: E731
            with _pool(examine, secret, kit, limits or Limits(), min(jobs, len(todo))) as pool:
                for done, (item, data) in enumerate(_examine_each(work, pool, tick), start=1):
                    _record(records, item, data)
                    on_progress(done, len(todo), item.submission.student)
        return _outputs(out, handed, chosen, asked, stale, len(todo))
