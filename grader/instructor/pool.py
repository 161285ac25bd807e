"""A pool examines submissions: work goes in, each piece comes back with its report.

    with LocalPool(processes, task, submissions) as pool:
        for result in pool.each(work):   # (work, report as JSON), or None where only time has passed

`batch` knows no more of a pool than this (`Pool`), so that other machines can take the place of this one's
processes. Work is plain data, and reports are bytes. One submission never stops a pool: a process that
dies takes at most its own submission's verdict along, and what fails in the kit itself is a report, too.
"""

import contextlib
import faulthandler
import itertools
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from typing import Protocol

from grader.assignment import BY_NAME
from grader.instructor.records import UNREADABLE_CHECK
from grader.isolation import Isolation
from grader.limits import Limits
from grader.outcomes import KitError, Outcome
from grader.ready import get_ready
from grader.report import CheckResult, Report, TaskResult, encode
from grader.submission import Submission, SubmissionError

_FORK = sys.platform == "linux"  # macOS can fork, but not after torch is imported
_TICK = 0.5  # seconds between two looks at the time left
ENDED_TWICE = "the kit's process that examined it ended twice, the second time with nothing beside it"

Examine = Callable[..., Report]
Result = tuple["Work", bytes]


@dataclass(frozen=True, slots=True)
class Work:
    """One submission on its way through the pool, and the tasks to examine."""

    submission: Submission
    tasks: tuple[str, ...]
    earlier: tuple[TaskResult, ...] = ()  # results of other tasks that still hold


@dataclass(frozen=True, slots=True)
class Terms:
    """What all examinations of one run have in common."""

    examine: Examine | None  # in the place of `grader.examine.examine`, for tests
    secret: bytes
    kit: str
    limits: Limits
    isolation: Isolation = field(default_factory=Isolation)


class Pool(Protocol):
    """Something that examines submissions; a context within which it is ready to."""

    def __enter__(self) -> "Pool": ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None: ...

    def each(self, work: Iterable[Work]) -> Iterator[Result | None]:
        """Each piece of work with its report as JSON, in the order in which they are done.

        None where only time has passed. Takes no more work ahead than twice what it examines at once.
        """


class LocalPool:
    """Processes of this machine that examine submissions; started anew where one of them dies."""

    def __init__(self, processes: int, terms: Terms, submissions: int):
        self._submissions = submissions
        self._processes = processes
        self._terms = terms
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> "LocalPool":
        if _FORK and self._terms.examine is None:
            isolation = self._terms.isolation
            workers = get_ready(self._terms.limits, isolation)
            from grader.examine import prepare

            try:
                prepare(self._terms.limits, workers, submissions=self._submissions, isolation=isolation)
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
        if _FORK and self._terms.examine is None:
            from grader.examine import close

            close()

    def each(self, work: Iterable[Work]) -> Iterator[Result | None]:
        """See `Pool`."""
        work = iter(work)
        running: dict[Future[bytes], Work] = {}
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

    def _alone(self, item: Work) -> bytes:
        for _ in range(2):  # it may not even have begun when the pool broke
            self._start(1)
            with contextlib.suppress(BrokenProcessPool):
                return self._submit(item).result()
        return no_verdict(item, self._terms.kit, ENDED_TWICE)

    def _submit(self, item: Work) -> Future[bytes]:
        assert self._executor is not None
        with _interrupts_held():  # this may fork
            return self._executor.submit(_examine_here, item)

    def _start(self, processes: int) -> None:
        if self._executor is not None:
            self._executor.shutdown()
        self._executor = ProcessPoolExecutor(
            processes,
            mp_context=multiprocessing.get_context("fork" if _FORK else "spawn"),
            initializer=_enter,
            initargs=(self._terms,),
        )


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Let a Ctrl-C wait: one that comes while Python's own hooks around a fork run would be lost."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_terms: Terms  # of this process, where it is one of the pool


def _enter(terms: Terms) -> None:
    """The first thing in each process of the pool."""
    global _terms
    _terms = terms
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the batch: it ends us
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A batch that was killed leaves no process behind that waits for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _examine_here(item: Work) -> bytes:
    return examine_one(item, _terms)


# -- one submission, in whichever process -----------------------------------------------------------


def examine_one(item: Work, terms: Terms) -> bytes:
    """The report as JSON. Whatever fails in the kit itself is a report without a verdict.

    Ends this process where an examination hangs.
    """
    submission = item.submission
    if not submission.files:
        why = submission.problems[0] if submission.problems else ""
        return encode(_uniform(item, terms.kit, Outcome.MISSING, UNREADABLE_CHECK, why))
    try:
        with _watchdog(2 * terms.limits.submission + 60):
            examine = terms.examine or _real_examine(terms)
            report = examine(
                submission,
                tasks=item.tasks,
                hidden=True,
                secret=terms.secret,
                limits=terms.limits,
                earlier=item.earlier,
            )
        return encode(replace(report, kit=terms.kit))
    except (Exception, SystemExit) as error:
        reason = f"the kit itself failed: {type(error).__name__}: {error}"
        return no_verdict(item, terms.kit, reason, traceback.format_exc()[-2000:])


def no_verdict(item: Work, kit: str, reason: str, where: str = "") -> bytes:
    """The report, as JSON, of a submission that the kit failed on."""
    return encode(_uniform(item, kit, Outcome.NO_VERDICT, "kit", _encodable(reason), _encodable(where)))


def _real_examine(terms: Terms) -> Examine:
    from grader.examine import examine, prepare  # imports torch

    prepare(terms.limits, isolation=terms.isolation)
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


def _uniform(item: Work, kit: str, outcome: Outcome, name: str, message: str, location: str = "") -> Report:
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
        submission.student,
        submission.digest,
        kit,
        tuple(tasks),
        problems=tuple(submission.problems),
        handed_in=submission.handed_in,
    )
