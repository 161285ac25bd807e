"""What a child gives up before it reads a byte of a student's code, in one order (`enter`).

    session             a session of its own, and death when the untrusted parent dies
    descriptors         0 from /dev/null, 1 and 2 into a pipe that is drained, the channel; all else closed
    own user            started as root: a user that nothing belongs to, where the libraries are open to all
    no capabilities     none is left, also where root stays root
    limits              address space, processor time, file size, descriptors, processes, no core file
    no new privileges   no program that is started gains any; Landlock and seccomp ask for it
    landlock            reads the interpreter and the libraries, writes nothing (`landlock`)
    seccomp             a list of system calls, some by their arguments (`seccomp`)
    sealed seccomp      in the place of the last two: no file can be opened any more

What takes time is done once, in the untrusted parent (`prepare`). `enter` returns the names of the layers
that hold; one that is wanted and cannot be had raises `LayerMissing`, and the child ends with that on its
channel. What a system does not know at all (Windows has no limits) is not wanted there. Levels: "A" with
Landlock and seccomp, "B" with sealed seccomp, "D" with neither.
"""

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from grader.worker import landlock, libraries, seccomp

if sys.platform != "win32":
    import resource  # before the fork: imports and look-ups cost each child milliseconds
LINUX = sys.platform == "linux"
if LINUX:
    _LIBC = ctypes.CDLL(None, use_errno=True)

MEMORY_BEYOND_START = 1 << 30  # bytes of address space that a child may add to what the fork gave it
FILE_BYTES = 1_000_000
OPEN_FILES = 64
PROCESSES = 256  # and threads, of a user of its own: others cannot be counted by user
STACK_BYTES = 8 << 20

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_CAP_KILL, _CAP_SETGID, _CAP_SETUID = 5, 6, 7
_CAPABILITY_VERSION = 0x2008_0522
# no user has these ids: systemd's list calls 0x7000_0000 to 0x7fff_ffff unused; process ids have 22 bits
_FIRST_USER, _USERS = 0x7000_0000, 1 << 22

_Made = TypeVar("_Made")


class LayerMissing(Exception):
    """A wanted layer could not be had. `layer` is its name, `reason` what the system said."""

    def __init__(self, layer: str, reason: str):
        super().__init__(f"{layer}: {reason}")
        self.layer, self.reason = layer, reason


@dataclass(frozen=True, slots=True)
class Plan:
    """What children take on; made once, in the untrusted parent."""

    own_user: bool = False
    ruleset: int | None = None  # Landlock's, a descriptor
    program: bytes | None = None  # seccomp's


def prepare(level: str) -> Plan:
    """The plan for a level, "A", "B" or "D". Raises `LayerMissing` where the machine does not give it."""
    if not LINUX:
        return Plan()
    readable = libraries.readable()
    own_user = _may_change_user() and libraries.readable_by_all(readable)
    ruleset = _get("landlock", lambda: landlock.ruleset(readable)) if level == "A" else None
    kind = {"A": "reading", "B": "sealed"}.get(level)
    program = _get(kind, lambda: seccomp.load(kind)) if kind else None
    return Plan(own_user, ruleset, program)


def enter(plan: Plan, channel: int, output: int, cpu_seconds: int) -> list[str]:
    """Apply every layer to this process; `channel` and `output` are the descriptors that it keeps."""
    if plan.program is not None and len(os.listdir("/proc/self/task")) > 1:
        raise LayerMissing("seccomp", "the process has other threads, which it would not hold")
    order: list[tuple[str, Callable[[], None]]] = []
    if sys.platform != "win32":
        order.append(("session", _session))
    order.append(("descriptors", lambda: _descriptors(output, channel, plan.ruleset)))
    if plan.own_user:
        order.append(("own user", _own_user))
    if LINUX:
        order.append(("no capabilities", _no_capabilities))
    if sys.platform != "win32":
        order.append(("limits", lambda: _limits(cpu_seconds, plan.own_user)))
    if LINUX:
        order.append(("no new privileges", _no_new_privileges))
    if (ruleset := plan.ruleset) is not None:
        order.append(("landlock", lambda: _landlock(ruleset)))
    if (program := plan.program) is not None:
        name = "seccomp" if plan.ruleset is not None else "sealed seccomp"
        order.append((name, lambda: seccomp.restrict(_LIBC, program)))
    for name, apply in order:
        _get(name, apply)
    _streams()
    return [name for name, _ in order]


def probe(level: str) -> None:
    """Take the layers of a level on and tell on standard output, as JSON, which hold or what is missing."""
    try:
        found: dict[str, object] = {"layers": enter(prepare(level), os.dup(1), 1, 60)}
    except LayerMissing as missing:
        found = {"missing": str(missing)}
    os.write(1, json.dumps(found).encode())


def _get(layer: str, make: Callable[[], _Made]) -> _Made:
    try:
        return make()
    except (OSError, ValueError) as error:
        raise LayerMissing(layer, str(error)) from error


def _session() -> None:
    if os.getsid(0) != os.getpid():
        os.setsid()
    die_with_parent()


def die_with_parent() -> None:
    """Have the kernel end this process with its parent, where it can."""
    if LINUX:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _descriptors(output: int, *kept: int | None) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    if sys.platform != "win32":
        after = 3
        for descriptor in sorted(descriptor for descriptor in kept if descriptor is not None):
            os.closerange(after, descriptor)
            after = descriptor + 1
        os.closerange(after, os.sysconf("SC_OPEN_MAX"))


def _own_user() -> None:
    user = _FIRST_USER + os.getpid() % _USERS
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    # a change of user undoes both
    die_with_parent()
    _prctl(_PR_SET_DUMPABLE, 0)


def _no_capabilities() -> None:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    none = (ctypes.c_uint32 * 6)()
    if _LIBC.capset(header, none):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _limits(cpu_seconds: int, own_user: bool) -> None:
    def limit(kind: int, soft: int, hard: int | None = None) -> None:
        _, ceiling = resource.getrlimit(kind)
        hard = soft if hard is None else hard
        if ceiling != resource.RLIM_INFINITY:
            soft, hard = min(soft, ceiling), min(hard, ceiling)
        resource.setrlimit(kind, (soft, hard))

    if LINUX:
        with open("/proc/self/statm") as statm:
            pages = int(statm.read().split()[0])
        limit(resource.RLIMIT_AS, pages * resource.getpagesize() + MEMORY_BEYOND_START)
        limit(resource.RLIMIT_STACK, STACK_BYTES)
    limit(resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + 5)
    limit(resource.RLIMIT_FSIZE, FILE_BYTES)
    limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    limit(resource.RLIMIT_CORE, 0)
    if own_user:
        limit(resource.RLIMIT_NPROC, PROCESSES)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write over the limit raises OSError instead


def _no_new_privileges() -> None:
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def _landlock(ruleset: int) -> None:
    landlock.restrict(_LIBC, ruleset)
    os.close(ruleset)


def _streams() -> None:
    # line ends and errors are settled here: a student's print must never raise for its text
    sys.stdin = os.fdopen(0, "r", encoding="utf-8", errors="replace", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    for name in ("stdin", "stdout", "stderr"):
        setattr(sys, f"__{name}__", getattr(sys, name))


def _prctl(option: int, value: int) -> None:
    if _LIBC.prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _may_change_user() -> bool:
    """Are we root, with the right to become another user and to end its processes, and is there one?"""
    if os.geteuid() != 0:
        return False
    status = Path("/proc/self/status").read_text()
    effective = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))
    if not all(effective >> capability & 1 for capability in (_CAP_KILL, _CAP_SETGID, _CAP_SETUID)):
        return False
    mapped = [tuple(map(int, line.split())) for line in Path("/proc/self/uid_map").read_text().splitlines()]
    # in a user namespace, as in a rootless container, few users exist
    return any(start <= _FIRST_USER and start + count >= _FIRST_USER + _USERS for start, _, count in mapped)
