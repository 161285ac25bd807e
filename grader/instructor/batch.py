"""A class, graded by a pool of processes: `grade all`.

    find and read ──► which records answer? ──► pool: examine() ──► one record each ──► grades.csv, summary

What has a record of the same submission, kit and secret is not examined again, so a second run does only
what changed, and a run that was killed goes on where it was. Neither torch nor pytest is imported where
nothing is to be examined. Of submissions and reports, only those in flight are in memory.
"""

import contextlib
import difflib
import errno
import hashlib
import os
import secrets
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from grader.assignment import TASKS
from grader.instructor.collect import Handed, find_submissions, read
from grader.instructor.course.layout import CLASS_FILE
from grader.instructor.outputs import (
    Row,
    Status,
    Summary,
    print_summary,
    row_of,
    write_grades_csv,
)
from grader.instructor.pool import Examine, LocalPool, Pool, Terms, Work
from grader.instructor.records import merge, read_record, record_path, to_examine, write_whole
from grader.kit import kit_digest
from grader.limits import Limits
from grader.report import decode, encode
from grader.submission import SubmissionError
from grader.terminal import clean

if sys.platform != "win32":
    import fcntl

SECRET_VARIABLE = "GRADE_SECRET"

OnProgress = Callable[[int, int, str], None]
OpenPool = Callable[[Terms, int], Pool]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one run did, and the class as its records now have it."""

    submissions: int
    examined: int
    without_verdict: tuple[str, ...]  # students that this run was asked for and has no verdict on
    gone: int  # records of submissions that are no longer in the folder
    summary: Summary


def command(
    folder: Path,
    out: Path,
    *,
    jobs: int,
    tasks: Sequence[str] | None = None,
    students: Sequence[str] | None = None,
    force: bool = False,
    scheduler: str | None = None,
) -> int:
    """`grade all`: grade with a progress bar, print the summary; the exit status.

    scheduler: the address of a Dask scheduler, whose workers examine in the place of this machine's processes.

    0 where every submission has a verdict, 1 where one has none, 130 after Ctrl-C. Raises
    `SubmissionError` where nothing can be graded at all.
    """
    console = Console(highlight=False)
    tty = console.is_terminal
    columns = (
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("time left"),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    reached = (0, 0)
    # no thread of its own: the pool's processes are forked from this one
    with Progress(*columns, console=console, auto_refresh=False, transient=True, disable=not tty) as progress:
        bar = progress.add_task("starting", total=None, visible=False)

        def show(done: int, total: int, student: str) -> None:
            nonlocal reached
            reached = (done, total)
            if student:
                progress.update(bar, description=clean(student)[:20])
            progress.update(bar, completed=done, total=total, visible=True, refresh=True)

        def on_cluster(terms: Terms, submissions: int) -> Pool:
            from grader.instructor.cluster.pool import ClusterPool  # imports distributed

            assert scheduler is not None
            return ClusterPool(scheduler, terms, submissions, lambda text: progress.print(Text(text)))

        try:
            batch = grade_all(
                folder,
                out,
                jobs=jobs,
                tasks=tasks,
                students=students,
                force=force,
                on_progress=show,
                open_pool=on_cluster if scheduler else None,
            )
        except KeyboardInterrupt:
            progress.stop()
            done, total = reached
            console.print(
                Text(
                    f"Stopped: {done} of {total} examined and kept in {out}. The same command goes on from there."
                ),
                soft_wrap=True,
            )
            return 130
    _print_batch(console, batch, folder, out)
    return 1 if batch.without_verdict else 0


def _print_batch(console: Console, batch: Batch, folder: Path, out: Path) -> None:
    line = f"{batch.submissions} submissions, {batch.examined} examined now."
    for status, count in batch.summary.statuses.items():
        if status is not Status.GRADED:
            line += f" {str(status).capitalize()}: {count}."
    console.print(Text(line))
    print_summary(console, batch.summary)
    if batch.gone:
        console.print(
            Text(
                f"{batch.gone} more in {out / 'records'}: their submissions are no longer in {folder}."
                " They are kept there, and not in grades.csv."
            ),
            soft_wrap=True,
        )
    console.print(Text(f"Grades: {out / 'grades.csv'}, records: {out / 'records'}"), soft_wrap=True)


# -- the batch --------------------------------------------------------------------------------------


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
    open_pool: OpenPool | None = None,
) -> Batch:
    """Examine what no record answers yet, write records and `grades.csv` to `out`.

    tasks, students: only these (None: all); force: also what a record answers. on_progress is called
    with the number done, the number to do and the student just done ("" where only time has passed).
    examine: in the place of `grader.examine.examine`, for tests. open_pool: makes, from the terms and the number
    of submissions, what examines them; without it `jobs` processes of this machine do. Raises `SubmissionError` where nothing
    can be graded at all; a KeyboardInterrupt leaves the finished records behind.
    """
    handed = [one for one in find_submissions(folder) if one.path.resolve() != out.resolve()]
    chosen = _chosen(handed, students)
    asked = tuple(task.name for task in TASKS if tasks is None or task.name in tasks)
    records = out / "records"
    try:
        with _locked(out):
            secret = course_secret(out)
            kit = f"{kit_digest()}-{hashlib.sha256(b'secret' + secret).hexdigest()[:16]}"
            records.mkdir(exist_ok=True)
            write_whole(out / CLASS_FILE, f"{folder.resolve()}\n".encode("utf-8", "surrogateescape"))
            behind = {
                one.student
                for one in handed
                if to_examine(read_record(records, one.student), read(one).digest, kit, asked)
            }
            todo = [one for one in handed if one.student in chosen and (force or one.student in behind)]
            if todo:
                terms = Terms(examine, secret, kit, limits or Limits())
                done = 0
                on_progress(done, len(todo), "")
                opened = (
                    open_pool(terms, len(todo))
                    if open_pool
                    else LocalPool(min(jobs, len(todo)), terms, len(todo))
                )
                with opened as pool:
                    for result in pool.each(_work(todo, records, kit, asked, force)):
                        if result is not None:
                            done += 1
                            _record(records, *result)
                        on_progress(done, len(todo), result[0].submission.student if result else "")
            return _outputs(out, handed, chosen, asked, behind - chosen, len(todo))
    except OSError as error:
        raise SubmissionError(
            f"Grading stopped: {error.strerror or error} ({error.filename or out})."
            " What is finished is kept; the same command goes on from there."
        ) from error


def course_secret(out: Path) -> bytes:
    """What hidden checks draw their seeds from: GRADE_SECRET, or else the file `secret`, made once."""
    text = os.environ.get(SECRET_VARIABLE, "").strip()
    if not text:
        path = out / "secret"
        try:
            text = path.read_text("ascii", "replace").strip()
        except FileNotFoundError:
            text = secrets.token_hex(32)
            write_whole(path, f"{text}\n".encode(), mode=0o600)
        if not text:
            raise SubmissionError(
                f"{path} is empty, and should hold the course's secret. Put it back, or delete the file:"
                " then a new one is drawn, and everything is graded again."
            )
    return text.encode()


def _chosen(handed: Sequence[Handed], students: Sequence[str] | None) -> set[str]:
    """The names of the students asked for; a file's whole name ("anna.zip") will do, too."""
    if students is None:
        return {one.student for one in handed}
    known = {one.path.name: one.student for one in handed if one.kind != "course"}
    known |= {one.student: one.student for one in handed}
    for name in students:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
            guess = f" Did you mean {' or '.join(map(clean, close))}?" if close else ""
            raise SubmissionError(f"There is no submission of {clean(name)}.{guess}")
    return {known[name] for name in students}


@contextlib.contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Make `out`, and keep a second batch away from it."""
    out.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":
        yield
        return
    with (out / "lock").open("w") as lock:
        try:
            # not flock: forked processes would inherit it and hold it after this one was killed
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise SubmissionError(
                    f"Another `grade all` is writing to {out}. Wait for it, or name another folder with --out."
                ) from None
            # else a file system without locks
        yield


def _work(
    todo: Iterable[Handed], records: Path, kit: str, asked: Sequence[str], force: bool
) -> Iterator[Work]:
    """What is to be examined, read one after the other as the pool has room."""
    for one in todo:
        submission = read(one)
        record = None if force else read_record(records, one.student)
        needed = to_examine(record, submission.digest, kit, asked)
        yield Work(submission, needed or tuple(asked))


def _record(records: Path, work: Work, data: bytes) -> None:
    student = work.submission.student
    if len(work.tasks) < len(TASKS):
        data = encode(merge(read_record(records, student), decode(data)))
    write_whole(record_path(records, student), data)


def _outputs(
    out: Path,
    handed: Sequence[Handed],
    chosen: Collection[str],
    asked: Sequence[str],
    stale: Collection[str],
    examined: int,
) -> Batch:
    """Write grades.csv from the records, one after the other, and gather the summary on the way."""
    records = out / "records"
    summary = Summary(asked)
    without_verdict = []

    def rows() -> Iterator[Row]:
        for one in handed:
            report = read_record(records, one.student)
            row = row_of(one.student, report, current=one.student not in stale)
            summary.add(row, report)
            if one.student in chosen and row.status in (Status.NO_VERDICT, Status.NOT_GRADED):
                without_verdict.append(one.student)
            yield row

    write_grades_csv(out / "grades.csv", rows())
    ours = {record_path(records, one.student).name for one in handed}
    gone = sum(path.suffix == ".json" and path.name not in ours for path in records.iterdir())
    return Batch(len(handed), examined, tuple(without_verdict), gone, summary)
