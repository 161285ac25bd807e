"""The untrusted parent: imports torch once, forks a clean child for each examination.

Run as a program of its own with an emptied environment. It knows nothing secret, and after the
imports it does no more than fork, kill and reap on orders from its control socket:

    {"do": "fork", "cpu": seconds}  with two descriptors (the child's channel, its output pipe) -> {"pid": n}
    {"do": "ask", "pid": n}  signal the child to say which lines it runs -> {}
    {"do": "end", "pid": n}  kill the child and all that it left behind -> {"status": n, "memory": bytes}, the most
                       that it held in memory beyond what it began with, 0 where that is not known
    {"do": "import", "name": one of `preload.HEAVY`}  import it for all later children -> {}
    {"do": "clone"} with one descriptor (another control socket): fork a second untrusted parent
    {"do": "compact"}  gather memory into huge pages -> {"pages": n}: a fork and its exit get three times as
                       fast, for a second once, which pays from some two hundred submissions on

One message a packet (SOCK_SEQPACKET). The process ends when the control socket closes.
"""

import array
import contextlib
import ctypes
import gc
import json
import os
import resource
import signal
import socket
from collections.abc import Collection
from pathlib import Path

from grader.worker import collector, preload, sandbox, server, untouched
from grader.worker.warm_up import warm_up

_PR_SET_CHILD_SUBREAPER, _PR_SET_DUMPABLE = 36, 4
_MADV_COLLAPSE, _HUGE_PAGE = 25, 2 << 20


def main(control: socket.socket, level: str) -> None:
    """Warm up, say so on the control socket, then obey it; `level` is that of the children's isolation."""
    try:
        plan = sandbox.prepare(level)
    except sandbox.LayerMissing as missing:
        control.send(json.dumps({"missing": str(missing)}).encode())
        os._exit(1)
    with collector.paused():
        warm_up(sealed=level == "B")
    _share()
    try:
        control.send(b'{"ready": true}')
        _obey(control, plan)
    except (
        BrokenPipeError,
        ConnectionResetError,
    ):  # the trusted process ended without taking our last answer
        os._exit(0)


def control_socket(where: str) -> socket.socket:
    """The control socket: a descriptor's number, or the path of a socket that listens."""
    if where.isdecimal():
        return socket.socket(fileno=int(where))
    control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    control.connect(where)
    return control


def _share() -> None:
    """Before a fork, after imports."""
    untouched.remember()
    gc.freeze()  # children share the pages of what lives now, and never walk over it


def _obey(control: socket.socket, plan: sandbox.Plan) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    # what a child leaves behind becomes ours to kill; other users' processes cannot trace us
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    libc.prctl(_PR_SET_DUMPABLE, 0)
    # children in use with the bytes of memory that they began with, and other untrusted parents, made by "clone"
    kept: dict[int, int] = {}
    while True:
        data, descriptors = _receive(control)
        if not data:
            os._exit(0)
        order = json.loads(data)
        match order["do"]:
            case "fork":
                channel_fd, output_fd = descriptors
                pid = os.fork()
                if pid == 0:
                    _be_child(plan, channel_fd, output_fd, order["cpu"])
                os.close(channel_fd)
                os.close(output_fd)
                kept[pid] = _resident(pid)
                answer = {"pid": pid}
            case "clone":
                pid = os.fork()
                if pid == 0:
                    control.close()
                    control = socket.socket(fileno=descriptors[0])
                    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
                    kept.clear()
                    continue
                os.close(descriptors[0])
                kept[pid] = 0
                answer = {"pid": pid}
            case "import":
                with collector.paused():
                    preload.heavy(order["name"])
                _share()
                answer = {}
            case "compact":
                answer = {"pages": _compact(libc)}
            case "ask":
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(order["pid"], signal.SIGUSR1)
                answer = {}
            case "end":
                began_with = kept.pop(order["pid"], 0)
                status, most = _end(order["pid"], kept)
                answer = {"status": status, "memory": max(0, most - began_with) if began_with else 0}
        control.send(json.dumps(answer).encode())


def _compact(libc: ctypes.CDLL) -> int:
    """Collapse this process's anonymous memory into huge pages where the kernel can (Linux 6.1); how many.

    A fork copies one entry a huge page instead of 512, and a child's exit frees as many less.
    """
    done = 0
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, access, _, _, inode, *name = line.split(maxsplit=5)
        if access != "rw-p" or inode != "0" or name not in ([], ["[heap]"]):
            continue
        start, end = (int(address, 16) for address in addresses.split("-"))
        for address in range(-(-start // _HUGE_PAGE) * _HUGE_PAGE, end - _HUGE_PAGE + 1, _HUGE_PAGE):
            done += libc.madvise(ctypes.c_void_p(address), ctypes.c_size_t(_HUGE_PAGE), _MADV_COLLAPSE) == 0
    return done


def _receive(control: socket.socket) -> tuple[bytes, list[int]]:
    space = socket.CMSG_SPACE(2 * array.array("i").itemsize)
    data, ancillary, _, _ = control.recvmsg(4096, space)
    descriptors = array.array("i")
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
    return data, list(descriptors)


def _be_child(plan: sandbox.Plan, channel_fd: int, output_fd: int, cpu_seconds: int) -> None:
    status = 1
    try:
        channel = socket.socket(fileno=channel_fd)  # asks the kernel what the filter refuses
        try:
            layers = sandbox.enter(plan, channel_fd, output_fd, cpu_seconds)
        except sandbox.LayerMissing as missing:
            server.refuse(channel, missing)
        else:
            server.serve(channel, layers)
        status = 0
    finally:
        os._exit(status)  # never back into the parent's loop, never its exit handlers


def _resident(pid: int) -> int:
    """What the process holds in memory, in bytes; 0 where it cannot be told."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


def _end(pid: int, kept: Collection[int]) -> tuple[int, int]:
    """Kill the child's session and whatever it left behind but `kept`.

    The child's wait status, and the most that it held in memory at a time, in bytes, by the kernel's account.
    """
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue
    _, status, usage = os.wait4(pid, 0)
    while orphans := [orphan for orphan in _children() if orphan not in kept]:
        for orphan in orphans:
            try:
                os.kill(orphan, signal.SIGKILL)
                os.waitpid(orphan, 0)
            except (ProcessLookupError, ChildProcessError):
                continue
    return status, usage.ru_maxrss * 1024


def _children() -> list[int]:
    """Our children, with those that became ours when the child that started them died."""
    task = Path(f"/proc/self/task/{os.getpid()}/children")
    try:
        return [int(pid) for pid in task.read_text().split()]
    except OSError:
        return []
