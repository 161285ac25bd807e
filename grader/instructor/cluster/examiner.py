"""The program beside a Dask worker that examiners are forked from: torch is imported, checks are collected once.

Told by its control socket: first pickled `Terms` and how many submissions to expect; then, with each "fork", a
descriptor over which a forked process gets pickled `Work` and answers with reports. This process has one
thread and does nothing else, so that a fork is safe, and an examination is alone in its process. All end with
the worker.
"""

import ctypes
import os
import pickle
import signal
import socket
import sys
from multiprocessing.connection import Connection

from grader.instructor.pool import LocalPool, Terms, examine_one
from grader.isolation import require
from grader.outcomes import KitError
from grader.submission import SubmissionError

_PR_SET_PDEATHSIG = 1


def main(control: socket.socket) -> None:
    """Prepare as a pool of this machine does, say so, then fork until the control socket closes."""
    packed, submissions = pickle.loads(control.recv(1 << 16))
    terms = pickle.loads(packed)
    try:
        require(terms.isolation)  # of this machine, which is not the instructor's
        with LocalPool(1, terms, submissions):
            control.send(b"ready")
            _obey(control, terms)
    except (KitError, SubmissionError) as error:
        control.send(str(error).encode("utf-8", "backslashreplace")[:4000])


def _obey(control: socket.socket, terms: Terms) -> None:
    host = os.getpid()
    children: set[int] = set()
    while True:
        order, descriptors, _, _ = socket.recv_fds(control, 16, 1)
        if not order:
            return
        children -= {pid for pid in children if os.waitpid(pid, os.WNOHANG)[0]}
        pid = os.fork()
        if pid == 0:
            control.close()
            _serve(Connection(descriptors[0]), host, terms)
        os.close(descriptors[0])
        children.add(pid)
        control.send(b"forked")


def _serve(connection: Connection, host: int, terms: Terms) -> None:
    """Examine until the connection closes; never returns."""
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # end with the host
        while os.getppid() == host:
            item = pickle.loads(connection.recv_bytes())
            connection.send_bytes(examine_one(item, terms))
    except (EOFError, OSError):
        pass
    finally:
        os._exit(0)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
    os._exit(0)
