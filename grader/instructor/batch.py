"""A class, graded by a pool of processes: `grade all`.

    find and read ──► which records answer? ──► pool: examine() ──► one record each ──► grades.csv, summary
                                                                    └── as it was ────► changes.csv

A task of which a record tells what today's kit would find on the same submission is not examined again
(`grader.instructor.basis`), so a second run does only what depends on what changed, and a run that was
killed goes on where it was. Neither torch nor pytest is imported where nothing is to be examined. Of
submissions and reports, only those in flight are in memory.
"""

import contextlib
import difflib
import errno
import hashlib
import math
import os
import secrets
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from grader.assignment import TASKS
from grader.instructor import changes
from grader.instructor.basis import bases, points_by_check
from grader.instructor.classes import (
    Class,
    check_source,
    choose_roster,
    find_class,
    note_class,
    remove_scratch,
    scratch_of,
)
from grader.instructor.collect import Handed, read
from grader.instructor.examiners import Examine, Terms, Work
from grader.instructor.hosted import HOSTED, Host
from grader.instructor.outputs import Summary, print_summary
from grader.instructor.pool import LocalPool, Pool
from grader.instructor.records import (
    brought_up,
    is_current,
    merge,
    read_record,
    record_path,
    remove_temporary,
    still_holds,
    to_examine,
    with_bases,
    write_whole,
)
from grader.instructor.rows import Row, Status, row_of, write_grades_csv
from grader.isolation import Isolation, require
from grader.kit import kit_digest
from grader.limits import Limits
from grader.report import Report, TaskResult, decode, encode
from grader.submission import SubmissionError
from grader.terminal import clean
from grader.text import counted

if sys.platform != "win32":
    import fcntl

SECRET_VARIABLE = "GRADE_SECRET"
_MINUTE = 60.0  # seconds

OnProgress = Callable[[int, int, str], None]
OpenPool = Callable[[Terms, int], Pool]
Meanwhile = Callable[[Callable[[], bool]], None]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one run did, and the class as its records now have it."""

    submissions: int
    examined: int
    without_verdict: tuple[str, ...]  # students that this run was asked for and has no verdict on
    gone: int  # records of submissions that are no longer in the folder
    summary: Summary
    unknown: tuple[str, ...] = ()  # who handed in and is not on the roster
    moved: tuple[changes.Moved, ...] | None = (
        None  # since the last finished run; None where no record was replaced
    )


def command(
    folder: Path,
    out: Path,
    *,
    jobs: int,
    tasks: Sequence[str] | None = None,
    students: Sequence[str] | None = None,
    roster_file: Path | None = None,
    force: bool = False,
    scheduler: str | None = None,
    isolation: Isolation | None = None,
    host: Host | None = None,
    look_first: Callable[[], None] = lambda: None,
    meanwhile: Meanwhile = lambda ready: None,
    on_record: Callable[[str], None] = lambda student: None,
) -> int:
    """`grade all`: grade with a progress bar, print the summary; the exit status.

    scheduler: the address of a Dask scheduler, whose workers examine in the place of this machine's processes.
    host, look_first, meanwhile, on_record: see `grade_all`.

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
        lines = ProgressLines(time.monotonic())

        def show(done: int, total: int, student: str) -> None:
            nonlocal reached
            reached = (done, total)
            if student:
                progress.update(bar, description=clean(student)[:20])
            progress.update(bar, completed=done, total=total, visible=True, refresh=True)
            if not tty and (line := lines.line(done, total, time.monotonic())):
                console.print(Text(line))

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
                roster_file=roster_file,
                force=force,
                on_progress=show,
                open_pool=on_cluster if scheduler else None,
                isolation=isolation,
                host=host,
                look_first=look_first,
                meanwhile=meanwhile,
                on_record=on_record,
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


class ProgressLines:
    """How far a batch is and how long it may take, where there is no terminal: a line a minute."""

    def __init__(self, now: float):
        self._next = now + _MINUTE
        self._begun = (now, 0)  # when the first was counted, and how many that were

    def line(self, done: int, total: int, now: float) -> str:
        """What to print now, "" for nothing. now: seconds."""
        if self._begun[1] == 0 and done:
            self._begun = (now, done)
        if now < self._next or done == 0:
            return ""
        self._next = now + _MINUTE
        since, first = self._begun
        left = (now - since) / (done - first) * (total - done) if done > first else 0.0
        return f"{done} of {total} examined" + (f", some {math.ceil(left / 60)} min left" if left else "")


def _print_batch(console: Console, batch: Batch, folder: Path, out: Path) -> None:
    line = f"{counted(batch.submissions, 'submission')}, {batch.examined} examined now."
    for status, count in batch.summary.statuses.items():
        if status is not Status.GRADED:
            line += f" {str(status).capitalize()}: {count}."
    console.print(Text(line))
    print_summary(console, batch.summary)
    if batch.moved is not None:
        changes.print_changes(console, batch.moved)
        if batch.moved:
            console.print(Text(f"Who moved: {out / changes.CSV_FILE}"), soft_wrap=True)
    if batch.unknown:
        shown = ", ".join(clean(student) for student in batch.unknown[:5])
        more = f" and {len(batch.unknown) - 5} more" if len(batch.unknown) > 5 else ""
        console.print(
            Text(f"On no line of the roster, or on two: {shown}{more}", style="yellow"), soft_wrap=True
        )
    if batch.gone:
        console.print(
            Text(
                f"{batch.gone} more in {out / 'records'}: their submissions are no longer in {folder}, or the"
                " students are called otherwise now."
                " They are kept there, and not in grades.csv."
            ),
            soft_wrap=True,
        )
    if batch.summary.with_note:
        noted = counted(batch.summary.with_note, "submission")
        console.print(Text(f"With a note on what was handed in: {noted} (the column note of grades.csv)."))
    console.print(Text(f"Grades: {out / 'grades.csv'}, records: {out / 'records'}"), soft_wrap=True)


# -- the batch --------------------------------------------------------------------------------------


def grade_all(
    folder: Path,
    out: Path,
    *,
    jobs: int,
    tasks: Sequence[str] | None = None,
    students: Sequence[str] | None = None,
    roster_file: Path | None = None,
    force: bool = False,
    limits: Limits | None = None,
    examine: Examine | None = None,
    on_progress: OnProgress = lambda done, total, student: None,
    open_pool: OpenPool | None = None,
    isolation: Isolation | None = None,
    host: Host | None = None,
    look_first: Callable[[], None] = lambda: None,
    meanwhile: Meanwhile = lambda ready: None,
    on_record: Callable[[str], None] = lambda student: None,
) -> Batch:
    """Examine what no record answers yet, write records and `grades.csv` to `out`.

    folder: of a folder or archive for each student, a platform's zip, or a course. tasks, students: only these
    (None: all). roster_file: who is in the class; kept in `out`. force: also what a record answers. on_progress is
    called with the number done, the number to do and the student just done ("" where only time has passed).
    examine: in the place of `grader.examine.examine`, for tests. open_pool: makes, from the terms and the number of
    submissions, what examines them; without it `jobs` processes of this machine do, forked from `host`, which may
    be on its way already. look_first: called before anything is written, to refuse. meanwhile: called once while what
    examines gets ready, with a function that says whether it is. on_record: called with each student whose record
    was written. Raises `SubmissionError` where nothing can be graded at all; a KeyboardInterrupt leaves the finished
    records behind.
    """
    asked = tuple(task.name for task in TASKS if tasks is None or task.name in tasks)
    isolation = isolation or Isolation()
    check_source(folder)
    try:
        with contextlib.ExitStack() as stack:
            if HOSTED and open_pool is None and examine is None:
                host = stack.enter_context(host or Host(isolation))
            else:
                host = None
            roster = choose_roster(folder, out, roster_file)
            if folder.is_dir():  # before anything is written
                found = find_class(folder, roster, scratch_of(out), out)
                _chosen(found, students)
            look_first()
            stack.enter_context(_locked(out))
            stack.callback(remove_scratch, out)
            _tidy_up(out)
            if folder.is_file():
                found = find_class(folder, roster, scratch_of(out), out)
            note_class(folder, out, roster_file)
            run = _Run(out, found, _chosen(found, students), asked, force)

            def open_local(terms: Terms, submissions: int) -> Pool:
                if examine is None:
                    require(isolation)
                return LocalPool(min(jobs, submissions), terms, submissions, host)

            terms = run.terms(examine, limits or Limits(), isolation)
            return run.grade(terms, on_progress, open_pool or open_local, meanwhile, on_record)
    except OSError as error:
        raise SubmissionError(
            f"Grading stopped: {error.strerror or error} ({error.filename or out})."
            " What is finished is kept; the same command goes on from there."
        ) from error


def _tidy_up(out: Path) -> None:
    """Remove what a run that was killed has left, and has no use."""
    (out / "records").mkdir(exist_ok=True)
    for folder in (out, out / "records", out / "before"):
        remove_temporary(folder)
    remove_scratch(out)
    changes.forget(out)


class _Run:
    """One run over a class, with `out` locked: what is to be examined, and what becomes of the reports."""

    def __init__(self, out: Path, found: Class, chosen: Collection[str], asked: Sequence[str], force: bool):
        self._out = out
        self._records = out / "records"
        self._found = found
        self._chosen = chosen
        self._asked = tuple(asked)
        self._force = force
        self._secret = course_secret(out)
        self._bases = bases(self._secret)
        self._outdated: set[str] = set()  # students whose record holds what is no longer true

    def terms(self, examine: Examine | None, limits: Limits, isolation: Isolation) -> Terms:
        kit = f"{kit_digest()}-{hashlib.sha256(b'secret' + self._secret).hexdigest()[:16]}"
        return Terms(examine, self._secret, kit, limits, isolation)

    def grade(
        self,
        terms: Terms,
        on_progress: OnProgress,
        open_pool: OpenPool,
        meanwhile: Meanwhile,
        on_record: Callable[[str], None],
    ) -> Batch:
        todo = [one for one in self._found.handed if self._is_to_do(one)]
        if todo:
            done = 0
            on_progress(done, len(todo), "")
            with open_pool(terms, len(todo)) as pool:
                meanwhile(pool.ready)
                for result in pool.each(map(self._work, todo)):
                    if result is not None:
                        done += 1
                        self._record(*result)
                        on_record(result[0].submission.student)
                    on_progress(done, len(todo), result[0].submission.student if result else "")
        return self._finish(len(todo))

    def _is_to_do(self, one: Handed) -> bool:
        """Has the student to be examined? If not, the record is brought up to date otherwise."""
        submission = read(one)
        record = read_record(self._records, one.student)
        if record is not None and not is_current(
            record, submission.digest, self._bases, [task.task for task in record.tasks]
        ):
            self._outdated.add(one.student)
        if one.student not in self._chosen:
            return False
        if self._force or to_examine(record, submission.digest, self._bases, self._asked):
            return True
        assert record is not None
        if (today := brought_up(record, submission, points_by_check())) != record:
            self._write(today)
        return False

    def _work(self, one: Handed) -> Work:
        """What is to be examined of a submission; read only as the pool has room."""
        submission = read(one)
        record = read_record(self._records, one.student)
        needed = self._asked
        if not self._force:
            needed = to_examine(record, submission.digest, self._bases, self._asked) or self._asked
        earlier: tuple[TaskResult, ...] = ()
        if record is not None and record.digest == submission.digest:
            holding = (task for task in record.tasks if still_holds(task, self._bases))
            earlier = tuple(task for task in holding if task.task not in needed)
        return Work(submission, needed, earlier)

    def _record(self, work: Work, data: bytes) -> None:
        report = with_bases(decode(data), self._bases)
        record = read_record(self._records, report.student)
        report = merge(record, report, self._bases)
        self._write(brought_up(report, work.submission, points_by_check()))
        self._outdated.discard(report.student)

    def _write(self, report: Report) -> None:
        changes.keep_before(self._out, report.student)
        write_whole(record_path(self._records, report.student), encode(report))

    def _finish(self, examined: int) -> Batch:
        """Write what is made from the records, one after the other, and gather the summary on the way."""
        summary = Summary(self._asked)
        without_verdict = []

        def rows() -> Iterator[Row]:
            handed = {one.student: one for one in self._found.handed}
            for student in sorted({*handed, *self._found.absent}):
                if student not in handed:
                    row, report = Row(student, {}, Status.ABSENT), None
                else:
                    report = read_record(self._records, student)
                    row = row_of(student, report, current=student not in self._outdated)
                summary.add(row, report)
                if student in self._chosen and row.status in (Status.NO_VERDICT, Status.NOT_GRADED):
                    without_verdict.append(student)
                yield row

        write_grades_csv(self._out / "grades.csv", rows())
        moved: tuple[changes.Moved, ...] | None = None
        if changes.anything_before(self._out):
            moved = tuple(changes.moved_since(self._out, [one.student for one in self._found.handed]))
            changes.write_changes(self._out, moved)
            changes.finish(self._out)
        ours = {record_path(self._records, one.student).name for one in self._found.handed}
        gone = sum(path.suffix == ".json" and path.name not in ours for path in self._records.iterdir())
        return Batch(
            len(self._found.handed),
            examined,
            tuple(without_verdict),
            gone,
            summary,
            self._found.unknown,
            moved,
        )


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


def _chosen(found: Class, students: Sequence[str] | None) -> set[str]:
    """The names of the students asked for; a file's whole name ("anna.zip") will do, too."""
    if students is None:
        return {one.student for one in found.handed}
    known = {one.path.name: one.student for one in found.handed if one.kind != "course"}
    known |= {one.student: one.student for one in found.handed}
    for name in students:
        if name in found.absent:
            raise SubmissionError(f"{clean(name)} is on the roster and handed in nothing.")
        if name not in known:
            close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
            guess = f" Did you mean {' or '.join(map(clean, close))}?" if close else ""
            raise SubmissionError(f"There is no submission of {clean(name)}.{guess}")
    return {known[name] for name in students}


@contextlib.contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Make `out`, and keep a second batch away from it."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SubmissionError(
            f"{out} cannot be made or is no folder: {error.strerror or error}. Name another one with --out."
        ) from None
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
