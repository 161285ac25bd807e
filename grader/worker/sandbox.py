"""What a child gives up before it reads a byte of a student's code, in this order.

    session       a session of its own, and death when the untrusted parent dies
    descriptors   0 from /dev/null, 1 and 2 into a pipe that is drained, the channel; all else closed
    limits        address space, processor time, file size, descriptors, no core file
    -             the place for Landlock and seccomp, which come after the limits
    streams       fresh text streams on 1 and 2

`enter` returns the names of the layers that hold. A layer that cannot be had on a system is left out
of that list; one that fails where it should work raises, and the child ends.
"""

import ctypes
import os
import signal
import sys

if sys.platform != "win32":
    import resource  # before the fork: imports and look-ups cost each child milliseconds
if sys.platform == "linux":
    _LIBC = ctypes.CDLL(None)

MEMORY_BEYOND_START = 1 << 30  # bytes of address space that a child may add to what the fork gave it
FILE_BYTES = 1_000_000
OPEN_FILES = 64
STACK_BYTES = 8 << 20
_PR_SET_PDEATHSIG = 1


def enter(channel: int, output: int, cpu_seconds: int) -> list[str]:
    """Apply every layer to this process; `channel` and `output` are the descriptors that it keeps."""
    held = []
    if sys.platform != "win32":
        _session()
        held.append("session")
    _descriptors(channel, output)
    held.append("descriptors")
    if sys.platform != "win32":
        _limits(cpu_seconds)
        held.append("limits")
    # Landlock and seccomp go here.
    _streams()
    return held


def _session() -> None:
    if os.getsid(0) != os.getpid():
        os.setsid()
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _descriptors(channel: int, output: int) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    if sys.platform != "win32":
        os.closerange(3, channel)
        os.closerange(channel + 1, os.sysconf("SC_OPEN_MAX"))


def _limits(cpu_seconds: int) -> None:
    def limit(kind: int, soft: int, hard: int | None = None) -> None:
        _, ceiling = resource.getrlimit(kind)
        hard = soft if hard is None else hard
        if ceiling != resource.RLIM_INFINITY:
            soft, hard = min(soft, ceiling), min(hard, ceiling)
        resource.setrlimit(kind, (soft, hard))

    if sys.platform == "linux":
        with open("/proc/self/statm") as statm:
            pages = int(statm.read().split()[0])
        limit(resource.RLIMIT_AS, pages * resource.getpagesize() + MEMORY_BEYOND_START)
        limit(resource.RLIMIT_STACK, STACK_BYTES)
    limit(resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + 5)
    limit(resource.RLIMIT_FSIZE, FILE_BYTES)
    limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    limit(resource.RLIMIT_CORE, 0)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write over the limit raises OSError instead


def _streams() -> None:
    # line ends and errors are settled here: a student's print must never raise for its text
    sys.stdin = os.fdopen(0, "r", encoding="utf-8", errors="replace", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    for name in ("stdin", "stdout", "stderr"):
        setattr(sys, f"__{name}__", getattr(sys, name))
