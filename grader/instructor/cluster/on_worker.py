"""What a Dask worker does: hand bytes on to a program beside it, and take back what that answers.

A worker's programs are started at the first task, kept between tasks, and ended when nothing was asked of
them for `IDLE` seconds or the worker ends: a command that was killed leaves nothing behind for long. Imports
neither torch nor pytest, so that the worker itself stays small.
"""

import hashlib
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

from grader.instructor.examiners import Terms
from grader.instructor.hosted import Host
from grader.kit import ROOT
from grader.outcomes import KitError

IDLE = 300.0  # seconds
WITHOUT_IMAGES = b"images?"  # a trainer's answer where it does not have those that it is asked to train on


class Unfit(Exception):
    """This worker cannot do what is asked of workers. Holds its address, and why."""

    def __init__(self, address: str, why: str):
        super().__init__(address, why)
        self.address = address
        self.why = why


class ProgramEnded(Exception):
    """The program ended before it answered; the text says where."""


class Programs:
    """Idle programs of one kind, each asked by one thread at a time."""

    def __init__(self, start: Callable[[], Connection], on_idle: Callable[[], None] = lambda: None):
        self._start = start
        self._on_idle = on_idle
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._asked = 0  # how many are being asked
        self._last = 0.0
        self._watched = False

    def ask(self, talk: Callable[[Connection], bytes]) -> bytes:
        """What a talk with one of them gives. Raises EOFError or OSError where it ends in the midst."""
        with self._lock:
            self._asked += 1
            program = self._idle.pop() if self._idle else None
            if not self._watched:
                self._watched = True
                threading.Thread(target=self._watch, daemon=True).start()
        try:
            program = program or self._start()
            try:
                answer = talk(program)
            except BaseException:
                program.close()
                raise
            with self._lock:
                self._idle.append(program)
            return answer
        finally:
            with self._lock:
                self._asked -= 1
                self._last = time.monotonic()

    def _watch(self) -> None:
        """End what is idle for too long."""
        while True:
            time.sleep(IDLE / 10)
            with self._lock:
                if self._asked or time.monotonic() - self._last < IDLE:
                    continue
                while self._idle:
                    self._idle.pop().close()
                self._on_idle()
                self._watched = False
                return


# -- examinations -----------------------------------------------------------------------------------


_examiners: dict[bytes, Programs] = {}  # by the digest of their terms: runs do not disturb each other
_lock = threading.Lock()


def examine(work: bytes, terms: bytes, submissions: int) -> bytes:
    """The report, as JSON, of pickled `Work` under pickled `Terms`; nothing where the examiner ended instead.

    submissions: how many this worker may expect. Raises `Unfit`.
    """

    def talk(examiner: Connection) -> bytes:
        examiner.send_bytes(work)
        return examiner.recv_bytes()

    key = hashlib.sha256(terms).digest()
    with _lock:
        if key not in _examiners:
            asked: Terms = pickle.loads(terms)
            host = Host(asked.isolation)
            host.ask_for(asked, submissions)

            def forget() -> None:  # the terms hold the course's secret
                host.close()
                _examiners.pop(key, None)

            _examiners[key] = Programs(host.fork, forget)
        examiners = _examiners[key]
    try:
        return examiners.ask(talk)
    except KitError as error:
        raise Unfit(_address(), f"cannot examine: {error}") from None
    except (EOFError, OSError):
        return b""


# -- experiments ------------------------------------------------------------------------------------


def _start_trainer() -> Connection:
    ours, theirs = socket.socketpair()
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    with theirs:
        subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.trainer", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the worker: with it, its programs end
        )  # it ends with its connection
    return Connection(ours.detach())


_trainers = Programs(_start_trainer)


def train(images: bytes, request: bytes) -> bytes:
    """The answer of a `trainer`. images: a packed data set; request: what to train on it, from which states.

    Raises `ProgramEnded`.
    """

    def talk(trainer: Connection) -> bytes:
        trainer.send_bytes(request)
        answer = trainer.recv_bytes()
        if answer == WITHOUT_IMAGES:
            trainer.send_bytes(images)
            answer = trainer.recv_bytes()
        return answer

    try:
        return _trainers.ask(talk)
    except (EOFError, OSError) as error:
        raise ProgramEnded(
            f"the program that trains on {_address()} ended (out of memory? The worker's log says more)"
        ) from error


def same(data: bytes) -> bytes:
    """The data, which from now on lie here."""
    return data


def _address() -> str:
    from distributed import get_worker

    return get_worker().address
