"""Processes that examine submissions, one after the other, each over a connection of its own: work in, reports out.

    Host (here) ──control──► host.py ──fork──► examiner ──► grader.examine
                   "fork"                         ▲
    pool, or a Dask worker ──Work, pickled────────┘──► report as JSON

On Linux they are forked from a program that has torch, the checks and the untrusted parent ready (`host.py`), on this
machine as beside a Dask worker. Elsewhere, and for tests that examine otherwise, each is a process of
`multiprocessing`.
"""

import atexit
import contextlib
import faulthandler
import multiprocessing
import os
import pickle
import queue
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NoReturn

from grader.assignment import BY_NAME
from grader.authored import not_imported
from grader.instructor.records import UNREADABLE_CHECK
from grader.isolation import Isolation, level_here, require
from grader.limits import READY_SECONDS, Limits
from grader.outcomes import KitError, Outcome
from grader.ready import get_ready
from grader.report import CheckResult, Report, TaskResult, encode
from grader.submission import Submission
from grader.untrusted import ForkServer, Workers, environment
from grader.worker import collector

HOSTED = sys.platform == "linux"  # else none can be forked once torch is imported
_PROGRAM = Path(__file__).with_name("host.py")
_WITHOUT = "-"  # in the place of a level: no untrusted parent

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


# -- here -------------------------------------------------------------------------------------------


class Host:
    """The program that examiners are forked from, where there is Linux; started again where it died.

    A context, at whose end it ends. Serves one thread at a time.
    """

    def __init__(self, isolation: Isolation):
        self._isolation = isolation
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._asked: tuple[Terms, int] | None = None
        self._told = self._ready = False

    def __enter__(self) -> "Host":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(at_once=kind is not None)

    def start(self, own_parent: bool = False) -> None:
        """Start the program, if it is not on its way, and return at once: it takes a second to be ready.

        own_parent: it will start the untrusted parent itself, if it needs one, in the place of forking it.
        """
        if self._control is not None:
            return
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        level = _WITHOUT if own_parent or self._isolation.box else level_here(self._isolation)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", str(_PROGRAM), str(theirs.fileno()), level],
                pass_fds=[theirs.fileno()],
                env=environment(),
                cwd="/",
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for us: we end it
            )
        self._told = self._ready = False

    def ask_for(self, terms: Terms, submissions: int) -> None:
        """What its examiners are to go by, and how many submissions to expect: before the first `fork`.

        Starts the program where it is not on its way yet.
        """
        with self._lock:
            self._asked = terms, submissions
            self._set_off()

    def ready(self) -> bool:
        """Would `fork` answer at once?"""
        return self._ready or self._control is None or bool(wait([self._control], 0))

    def fork(self) -> Connection:
        """A fresh examiner. Raises `KitError`, with what is missing, where none can be had."""
        with self._lock:
            for _ in range(2):  # one that died while nothing was asked of it is replaced
                if not self._ready:
                    self._wait()
                assert self._control is not None
                ours, theirs = socket.socketpair()
                try:
                    with theirs:
                        socket.send_fds(self._control, [b"fork"], [theirs.fileno()])
                    if self._control.recv(16):
                        return Connection(ours.detach())
                except OSError:
                    pass
                ours.close()
                self._close()
        raise KitError("the program that examines submissions ends as soon as it is started")

    def close(self, at_once: bool = False) -> None:
        """Have the program end, and what was forked from it; at_once: without the time to tidy up."""
        with self._lock:
            if at_once and self._process is not None:
                self._process.kill()
            self._close()

    def _set_off(self) -> None:
        """Start the program, and tell it what is asked for, where that was not done."""
        assert self._asked is not None
        terms, submissions = self._asked
        self.start(own_parent=terms.examine is not None)
        if self._told:
            return
        assert self._control is not None
        with open(os.memfd_create("setup"), "w+b") as file, contextlib.suppress(ConnectionError):
            pickle.dump(Setup(dict(os.environ), sys.path, submissions), file)
            pickle.dump(terms, file)
            file.seek(0)
            socket.send_fds(self._control, [b"setup"], [file.fileno()])
        self._told = True

    def _wait(self) -> None:
        """Return when the program is ready to fork."""
        self._set_off()
        assert self._control is not None
        self._control.settimeout(2 * READY_SECONDS)
        try:
            said = self._control.recv(4096).decode("utf-8", "replace")
        except ConnectionError:
            said = ""
        except OSError as error:
            said = f"the program that examines submissions does not get ready ({error})"
        if said != "ready":
            self._close()
            ended = "the program that examines submissions ended before it was ready (see what it printed)"
            raise KitError(said or ended)
        self._ready = True

    def _close(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            _leave(self._process)
        self._control = self._process = None
        self._told = self._ready = False


_ending: list[subprocess.Popen[bytes]] = []  # programs that were told to end


def _leave(process: subprocess.Popen[bytes]) -> None:
    _ending[:] = [one for one in (*_ending, process) if one.poll() is None]


@atexit.register
def _see_them_end() -> None:
    for process in _ending:
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


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
    """Examine what comes over the connection, one after the other, and end when it closes."""
    waiting: queue.SimpleQueue[Work] = queue.SimpleQueue()

    def receive() -> None:
        try:
            while True:
                waiting.put(pickle.loads(connection.recv_bytes()))
        finally:  # whoever asked is gone
            os._exit(0)

    threading.Thread(target=receive, daemon=True).start()
    while True:
        connection.send_bytes(examine_one(waiting.get(), terms))


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
