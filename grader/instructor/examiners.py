"""Processes that examine submissions, one after the other, each over a connection of its own: work in, reports out.

    Host (here) ──control──► host.py ──fork──► examiner ──► grader.examine
                   "fork"                         ▲
    pool, or a Dask worker ──Work, pickled────────┘──► report as JSON

On Linux they are forked from a program that has torch, the checks and the untrusted parent ready (`host.py`, from
outside `hosted.py`), on this machine as beside a Dask worker. Elsewhere, and for tests that examine otherwise, each is
a process of `multiprocessing`.
"""

import contextlib
import faulthandler
import multiprocessing
import os
import pickle
import queue
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from typing import Any, NoReturn

from grader.assignment import BY_NAME
from grader.authored import not_imported
from grader.instructor.hosted import HOSTED
from grader.instructor.records import UNREADABLE_CHECK
from grader.isolation import Isolation, require
from grader.limits import Limits
from grader.outcomes import KitError, Outcome
from grader.ready import get_ready
from grader.report import CheckResult, Report, TaskResult, encode
from grader.submission import Submission
from grader.untrusted import ForkServer, Workers
from grader.worker import collector

Examine = Callable[..., Report]


@dataclass(frozen=True, slots=True)
class Work:
    """One submission on its way to an examiner, and the tasks to examine."""

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


# -- without the program -----------------------------------------------------------------------------


def start_here(
    terms: Terms, others: Sequence[Connection]
) -> tuple[Connection, multiprocessing.process.BaseProcess]:
    """An examiner that is a process of `multiprocessing`. others: the connections of those that there are."""
    ours, theirs = multiprocessing.Pipe()
    # a fork inherits our ends, and would keep them open when we close them
    inherited = (ours, *others) if HOSTED else ()
    context: Any = multiprocessing.get_context("fork" if HOSTED else "spawn")
    process = context.Process(target=_serve_here, args=(theirs, terms, inherited), daemon=True)
    with _interrupts_held():
        process.start()
    theirs.close()
    return ours, process


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


# -- in the program ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Setup:
    """What the program has to know beside the terms, which may be of a module that is found by the path."""

    environ: dict[str, str]
    path: list[str]
    submissions: int


def packed(terms: Terms, submissions: int) -> bytes:
    """The terms for the program, with what it has to know of this process before."""
    return pickle.dumps(Setup(dict(os.environ), sys.path, submissions)) + pickle.dumps(terms)


def prepare(control: socket.socket, parent: tuple[socket.socket, int] | None) -> Terms | None:
    """Take the terms from whoever started this program, and get ready; None where nothing can be examined.

    parent: control socket and process id of the untrusted parent that was forked. The answer is sent.
    """
    _, descriptors, _, _ = socket.recv_fds(control, 16, 1)
    if not descriptors:  # whoever started this is gone
        return None
    with open(descriptors[0], "rb") as file:
        unpickler = pickle.Unpickler(file)
        setup: Setup = unpickler.load()
        os.environ.clear()
        os.environ.update(setup.environ)
        sys.path += [entry for entry in setup.path if entry not in sys.path]
        terms: Terms = unpickler.load()
    try:
        require(terms.isolation)  # of this machine, which may be another than the instructor's
        if terms.examine is None:
            _prepare_real(terms, setup.submissions, parent)
        said = "ready"
    except Exception as error:
        said = str(error) if isinstance(error, KitError) else not_imported(error)
        if not said:
            raise
    with contextlib.suppress(ConnectionError):
        control.send(said.encode("utf-8", "backslashreplace")[:4000])
    return terms if said == "ready" else None


def _prepare_real(terms: Terms, submissions: int, parent: tuple[socket.socket, int] | None) -> None:
    if parent is None:
        workers: Workers = get_ready(terms.limits, terms.isolation)
    else:
        workers = ForkServer.adopt(*parent, terms.isolation)
    with collector.paused():
        from grader import examine

        examine.prepare(terms.limits, workers, submissions=submissions, isolation=terms.isolation)


def serve(connection: Connection, terms: Terms) -> NoReturn:
    """Examine what comes over the connection, one after the other, and end, silently, when the other end is closed."""
    waiting: queue.SimpleQueue[Work] = queue.SimpleQueue()

    def receive() -> None:
        try:
            while True:
                waiting.put(pickle.loads(connection.recv_bytes()))
        finally:  # whoever asked is gone
            os._exit(0)

    threading.Thread(target=receive, daemon=True).start()
    while True:
        report = examine_one(waiting.get(), terms)
        try:
            connection.send_bytes(report)
        except ConnectionError:  # gone, and the thread above has not been told yet
            os._exit(0)


def _serve_here(connection: Connection, terms: Terms, inherited: Sequence[Connection]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the batch: it ends us
    for other in inherited:
        other.close()
    serve(connection, terms)


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
