"""The program that examiners are forked from, and first of all the untrusted parent: torch is imported once for all.

    python -I host.py CONTROL LEVEL     LEVEL: of the workers' isolation, "-" where they come from elsewhere

    imports torch ──fork──► untrusted parent (boot.py zygote)
          │                        ▲ control socket
          └─ takes the terms ──────┴── collects the checks ──fork──► examiners, one for each "fork"

Started with an emptied environment, and it knows nothing but where the kit is before it has forked the untrusted
parent: nothing secret can be in that one's memory. Only then it reads from its control socket what examinations
need (in a file whose descriptor comes along), and after it, with each "fork", a descriptor over
which a forked process gets pickled `Work` and answers with reports. This process has one thread and does nothing
else, so that a fork is safe, and an examination is alone in its process. All end with whoever started it.
"""

import contextlib
import gc
import os
import runpy
import socket
import sys
import traceback
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grader.instructor.examiners import Terms

ROOT = Path(__file__).resolve().parents[2]


def _fork_untrusted_parent(control: socket.socket, level: str) -> tuple[socket.socket, int]:
    """Its control socket and process id."""
    # as `grader.worker.collector` does, of which nothing is imported yet
    gc.disable()
    sys.modules["cuda"] = None  # type: ignore[assignment]  # NVIDIA's bindings, which torch does without
    # Python's `inspect`, which torch asks often, would look up each folder of each module's path
    realpath = os.path.realpath
    os.path.realpath = lambda path, **options: os.path.abspath(path)  # type: ignore[assignment]
    import torch  # noqa: F401

    os.path.realpath = realpath
    del sys.modules["cuda"]
    gc.freeze()
    gc.enable()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        with _last_of_this_process():
            control.close()
            ours.close()
            os.setsid()
            boot = ROOT / "grader" / "worker" / "boot.py"
            sys.argv = [str(boot), "zygote", level, str(theirs.detach())]
            runpy.run_path(str(boot), run_name="__main__")
    theirs.close()
    return ours, pid


@contextlib.contextmanager
def _last_of_this_process() -> Iterator[None]:
    """A forked process ends here, whatever happens: never back into what its parent does."""
    try:
        yield
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def main(control: socket.socket, level: str) -> None:
    """Get everything ready, say so, then fork until the control socket closes."""
    parent = _fork_untrusted_parent(control, level) if level != "-" else None
    sys.path.insert(0, str(ROOT))
    from grader.instructor import examiners

    terms = examiners.prepare(control, parent)
    if terms is not None:
        with contextlib.suppress(ConnectionError):
            _obey(control, terms)
    if "grader.examine" in sys.modules:
        sys.modules["grader.examine"].close()


def _obey(control: socket.socket, terms: "Terms") -> None:
    from grader.instructor.examiners import serve
    from grader.worker.sandbox import die_with_parent

    host = os.getpid()
    children: set[int] = set()
    while True:
        order, descriptors, _, _ = socket.recv_fds(control, 16, 1)
        if not order:
            return
        children -= {pid for pid in children if os.waitpid(pid, os.WNOHANG)[0]}
        pid = os.fork()
        if pid == 0:
            with _last_of_this_process():
                control.close()
                die_with_parent()
                if os.getppid() == host:
                    serve(Connection(descriptors[0]), terms)
        os.close(descriptors[0])
        children.add(pid)
        control.send(b"forked")


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])), sys.argv[2])
    os._exit(0)
