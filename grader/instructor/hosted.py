"""The program that examiners are forked from (`host.py`), from outside: started, told what is asked for, ended.

    Host (here) ──control──► host.py ──fork──► examiner
                   "fork"

Imports little: `early` starts the program before all else.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from grader.isolation import Isolation, level_here
from grader.limits import READY_SECONDS
from grader.outcomes import KitError
from grader.untrusted import environment

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from grader.instructor.examiners import Terms

HOSTED = sys.platform == "linux"  # else none can be forked once torch is imported
_PROGRAM = Path(__file__).with_name("host.py")
_WITHOUT = "-"  # in the place of a level: no untrusted parent


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

    def __enter__(self) -> Host:
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
        if self._ready or self._control is None:
            return True
        looked = select.poll()
        looked.register(self._control, select.POLLIN)
        return bool(looked.poll(0))

    def fork(self) -> Connection:
        """A fresh examiner. Raises `KitError`, with what is missing, where none can be had."""
        from multiprocessing.connection import Connection

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
        from grader.instructor.examiners import packed

        with open(os.memfd_create("setup"), "w+b") as file, contextlib.suppress(ConnectionError):
            file.write(packed(terms, submissions))
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
