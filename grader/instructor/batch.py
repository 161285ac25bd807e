"""A class, graded by a pool of processes: `grade all`.

    find and read ──► which records answer? ──► pool: examine() ──► one record each ──► grades.csv, summary

What has a record of the same submission, kit and secret is not examined again, so a second run does only
what changed, and a run that was killed goes on where it was. One submission never stops the batch: a
process of the pool that dies takes at most its own submission's verdict along. Neither torch nor pytest is
imported where nothing is to be examined. Of submissions and reports, only those in flight are in memory.
"""

import contextlib
import difflib
import errno
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
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from grader.assignment import BY_NAME, TASKS
from grader.instructor.collect import Handed, find_submissions, read
from grader.instructor.course.layout import CLASS_FILE
from grader.instructor.outputs import Summary, print_summary
from grader.instructor.records import merge, read_record, record_path, to_examine, write_whole
from grader.instructor.rows import UNREADABLE_CHECK, Row, Status, row_of, write_grades_csv
from grader.kit import kit_digest
from grader.limits import Limits
from grader.outcomes import KitError, Outcome
from grader.report import CheckResult, Report, TaskResult, decode, encode
from grader.submission import Submission, SubmissionError
from grader.terminal import clean
from grader.untrusted import start_workers

if sys.platform != "win32":
    import fcntl

SECRET_VARIABLE = "GRADE_SECRET"
_FORK = sys.platform == "linux"  # macOS can fork, but not after torch is imported
_TICK = 0.5  # seconds between two looks at the time left

Examine = Callable[..., Report]
OnProgress = Callable[[int, int, str], None]


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
) -> int:
    """`grade all`: grade with a progress bar, print the summary; the exit status.

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

        try:
            batch = grade_all(
                folder, out, jobs=jobs, tasks=tasks, students=students, force=force, on_progress=show
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
) -> Batch:
    """Examine what no record answers yet, write records and `grades.csv` to `out`.

    tasks, students: only these (None: all); force: also what a record answers. on_progress is called
    with the number done, the number to do and the student just done ("" where only time has passed).
    examine: in the place of `grader.examine.examine`, for tests. Raises `SubmissionError` where nothing
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
                task = _PoolTask(examine, secret, kit, limits or Limits())
                done = 0
                on_progress(done, len(todo), "")
                with _Pool(min(jobs, len(todo)), task, len(todo)) as pool:
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
) -> Iterator["_Work"]:
    """What is to be examined, read one after the other as the pool has room."""
    for one in todo:
        submission = read(one)
        record = None if force else read_record(records, one.student)
        needed = to_examine(record, submission.digest, kit, asked)
        yield _Work(submission, needed or tuple(asked))


def _record(records: Path, work: "_Work", data: bytes) -> None:
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


# -- the pool ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Work:
    """One submission on its way through the pool, and the tasks to examine."""

    submission: Submission
    tasks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _PoolTask:
    """What every process of the pool knows."""

    examine: Examine | None
    secret: bytes
    kit: str
    limits: Limits


class _Pool:
    """Processes that examine submissions; started anew where one of them dies."""

    def __init__(self, processes: int, task: _PoolTask, submissions: int):
        self._submissions = submissions
        self._processes = processes
        self._task = task
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> "_Pool":
        if _FORK and self._task.examine is None:
            workers = start_workers(self._task.limits)  # imports torch while this process does, too
            from grader.examine import prepare

            try:
                prepare(self._task.limits, workers, submissions=self._submissions)
            except KitError as error:
                raise SubmissionError(f"Nothing can be examined here: {error}.") from error
        self._start(self._processes)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        assert self._executor is not None
        if kind is not None:  # do not wait for what nobody will take
            for process in multiprocessing.active_children():
                process.kill()
        self._executor.shutdown(cancel_futures=True)
        if _FORK and self._task.examine is None:
            from grader.examine import close

            close()

    def each(self, work: Iterable[_Work]) -> Iterator[tuple[_Work, bytes] | None]:
        """Each piece of work with its report as JSON, in the order in which they are done.

        None where only time has passed. Takes no more work than twice the number of processes ahead.
        """
        work = iter(work)
        running: dict[Future[bytes], _Work] = {}
        while True:
            lost = []
            for item in itertools.islice(work, 2 * self._processes - len(running)):
                try:
                    running[self._submit(item)] = item
                except BrokenProcessPool:
                    lost.append(item)
            if not running and not lost:
                return
            done, _ = wait(running, _TICK, FIRST_COMPLETED)
            if not done:
                yield None
            for future in done:
                item = running.pop(future)
                if isinstance(future.exception(), BrokenProcessPool):
                    lost.append(item)
                else:
                    yield item, future.result()
            if lost:  # whose submission ended the process is not known: each once more, alone
                lost += running.values()
                running.clear()
                for item in lost:
                    yield item, self._alone(item)
                self._start(self._processes)

    def _alone(self, item: _Work) -> bytes:
        self._start(1)
        try:
            return self._submit(item).result()
        except BrokenProcessPool:
            reason = "the kit's process that examined it ended twice, the second time with nothing beside it"
            return encode(_uniform(item, self._task.kit, Outcome.NO_VERDICT, "kit", reason))

    def _submit(self, item: _Work) -> Future[bytes]:
        assert self._executor is not None
        return self._executor.submit(_examine_one, item)

    def _start(self, processes: int) -> None:
        if self._executor is not None:
            self._executor.shutdown()
        self._executor = ProcessPoolExecutor(
            processes,
            mp_context=multiprocessing.get_context("fork" if _FORK else "spawn"),
            initializer=_enter,
            initargs=(self._task,),
        )


_task: _PoolTask  # of this process, where it is one of the pool


def _enter(task: _PoolTask) -> None:
    """The first thing in each process of the pool."""
    global _task
    _task = task
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the batch: it ends us
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A batch that was killed leaves no process behind that waits for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _examine_one(item: _Work) -> bytes:
    """The report as JSON. Whatever fails in the kit itself is a report without a verdict."""
    submission, kit = item.submission, _task.kit
    if not submission.files:
        why = submission.problems[0] if submission.problems else ""
        return encode(_uniform(item, kit, Outcome.MISSING, UNREADABLE_CHECK, why))
    try:
        with _watchdog(2 * _task.limits.submission + 60):
            examine = _task.examine or _real_examine()
            report = examine(
                submission, tasks=item.tasks, hidden=True, secret=_task.secret, limits=_task.limits
            )
        return encode(replace(report, kit=kit))
    except (Exception, SystemExit) as error:
        reason = f"the kit itself failed: {type(error).__name__}: {error}"
        where = traceback.format_exc()[-2000:]
        return encode(_uniform(item, kit, Outcome.NO_VERDICT, "kit", _encodable(reason), _encodable(where)))


def _real_examine() -> Examine:
    from grader.examine import examine  # imports torch

    return examine


@contextlib.contextmanager
def _watchdog(seconds: float) -> Iterator[None]:
    """End this process where an examination hangs that has deadlines of its own for what a student wrote."""
    with open(os.devnull, "w") as nowhere:
        faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _uniform(item: _Work, kit: str, outcome: Outcome, name: str, message: str, location: str = "") -> Report:
    """A report that says the same of every task, without an examination."""
    title = "The submission can be read." if name == UNREADABLE_CHECK else "The kit comes to a verdict."
    tasks = []
    for task in item.tasks:
        worth = float(BY_NAME[task].points)
        check = CheckResult(
            f"public/{task}/{name}", task, title, "public", worth, outcome, message, location=location
        )
        tasks.append(TaskResult(task, worth, (check,)))
    submission = item.submission
    return Report(
        submission.student, submission.digest, kit, tuple(tasks), problems=tuple(submission.problems)
    )
