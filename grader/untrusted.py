"""Starts the untrusted programs that workers come from: a fork server on Linux, spawned workers elsewhere.

Imports no torch, so that an untrusted program can import it while the trusted one does the same.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.box import boxed, sandbox_exec
from grader.isolation import Isolation, level_here
from grader.limits import READY_SECONDS, Limits
from grader.memory import LIMIT, MemoryWatch
from grader.outcomes import Ending, KitError

if TYPE_CHECKING:
    from grader.remote import Budget, Worker

BOOT = Path(__file__).parent / "worker" / "boot.py"
_PASSED_ON = ("LD_LIBRARY_PATH", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "SYSTEMROOT", "TEMP", "TMP")


def environment() -> dict[str, str]:
    """Of a program that students' code will run in: nothing of this process's but where libraries are."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {
        **passed_on,
        **threads,
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "HOME": os.devnull,
        "MPLBACKEND": "Agg",
        "TORCHINDUCTOR_CACHE_DIR": "/",  # torch's settings of determinism import a module that makes its folder
        "CUDA_VISIBLE_DEVICES": "",
        "KMP_INIT_AT_FORK": "FALSE",
        # memory in huge pages, where the kernel lets programs ask: a worker's fork, exit and first writes get cheaper
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    }


class ForkServer:
    """The untrusted parent, and the workers that it forks."""

    def __init__(
        self,
        control: socket.socket,
        process: subprocess.Popen[bytes] | _Forked | None,
        isolation: Isolation,
    ):
        self._control = control
        self._process = process
        self._isolation = isolation
        self._ready = process is None
        self._listening: Path | None = None  # the folder of the socket by which a boxed program will connect
        self._clones: dict[frozenset[str], ForkServer] = {}

    @classmethod
    def start(cls, isolation: Isolation) -> ForkServer:
        """Start the program and return at once: it imports torch while the caller does, too."""
        if isolation.box:
            return cls._start_boxed(isolation)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-I", str(BOOT), "zygote", level_here(isolation), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=environment(),
                cwd="/",
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for us: we end it
            )
        return cls(ours, process, isolation)

    @classmethod
    def adopt(cls, control: socket.socket, pid: int, isolation: Isolation) -> ForkServer:
        """The program of that process id: a child of this process, forked before there was anything secret in it."""
        return cls(control, _Forked(pid), isolation)

    @classmethod
    def _start_boxed(cls, isolation: Isolation) -> ForkServer:
        folder = Path(tempfile.mkdtemp(prefix="grade-"))
        try:
            arguments = ["zygote", level_here(replace(isolation, box=""))]
            command = boxed(isolation.box, arguments, folder, environment())
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            listener.bind(str(folder / "control"))
            listener.listen(1)
            process = subprocess.Popen(
                command, env=environment(), cwd="/", stdin=subprocess.DEVNULL, start_new_session=True
            )
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        started = cls(listener, process, isolation)
        started._listening = folder
        return started

    def _meet(self, folder: Path) -> None:
        """Take the boxed program's call, and nobody else's after it."""
        assert self._process is not None
        listener = self._control
        listener.settimeout(0.2)
        deadline = time.monotonic() + READY_SECONDS
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    self._control, _ = listener.accept()
                    return
                if self._process.poll() is not None or time.monotonic() > deadline:
                    kind = self._isolation.box.partition(":")[0]
                    raise KitError(f"the program that workers come from did not start in its box ({kind})")
        finally:
            listener.close()
            shutil.rmtree(folder, ignore_errors=True)

    def wait(self) -> None:
        """Return when the program is ready to fork workers."""
        if self._ready:
            return
        if self._listening is not None:
            folder, self._listening = self._listening, None
            self._meet(folder)
        self._control.settimeout(READY_SECONDS)
        try:
            data = self._control.recv(4096)
            if not data:
                raise EOFError
        except (OSError, EOFError, TimeoutError) as error:
            raise ForkServerDied("the process that starts workers did not start") from error
        if missing := json.loads(data).get("missing"):
            raise KitError(f"the sandbox of workers cannot be made here ({missing})")
        self._ready = True

    def compact(self) -> None:
        """Make forks several times as fast, for a second now: worth it before a large batch."""
        self._order({"do": "compact"})

    def clone(self) -> ForkServer:
        """A second untrusted parent, forked from this one: for another job, with nothing imported again."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._order({"do": "clone"}, theirs.fileno())
        return ForkServer(ours, None, self._isolation)

    def importing(self, modules: frozenset[str]) -> ForkServer:
        """A clone of this one that has imported these, of `preload.HEAVY`; kept for the next who asks."""
        if not modules:
            return self
        if modules not in self._clones:
            clone = self.clone()
            for name in sorted(modules):
                clone._order({"do": "import", "name": name})
            self._clones[modules] = clone
        return self._clones[modules]

    def worker(self, limits: Limits, budget: Budget, output: bytearray) -> Worker:
        """A fresh worker; what it prints is added to `output`."""
        ours, theirs = socket.socketpair()
        read_end, write_end = os.pipe()
        try:
            pid = self._order({"do": "fork", "cpu": limits.cpu}, theirs.fileno(), write_end)["pid"]
        finally:
            theirs.close()
            os.close(write_end)
        from grader.remote import SocketTransport, greet  # not at the top: it imports torch

        transport = SocketTransport(ours, read_end, output, lambda: self._ask(pid), lambda: self._end(pid))
        worker = greet(transport, limits, budget)
        if self._isolation.box:
            worker.layers.insert(0, f"box: {self._isolation.box.partition(':')[0]}")
        return worker

    def close(self) -> None:
        """End the untrusted parent (and with it every worker)."""
        for clone in self._clones.values():
            clone.close()
        self._control.close()
        if self._listening is not None:
            shutil.rmtree(self._listening, ignore_errors=True)
        if self._process is not None:
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _order(self, order: dict[str, Any], *descriptors: int) -> dict[str, Any]:
        self.wait()
        self._control.settimeout(READY_SECONDS)
        try:
            socket.send_fds(self._control, [json.dumps(order).encode()], list(descriptors))
            data = self._control.recv(4096)
            if not data:
                raise EOFError
            return json.loads(data)
        except (OSError, EOFError, TimeoutError) as error:
            raise ForkServerDied("the process that starts workers has died or does not answer") from error

    def _ask(self, pid: int) -> None:
        with contextlib.suppress(ForkServerDied):  # what waits for the answer finds that out
            self._order({"do": "ask", "pid": pid})

    def _end(self, pid: int) -> Ending:
        try:
            answer = self._order({"do": "end", "pid": pid})
        except ForkServerDied:
            return Ending()
        return Ending(_how_it_died(answer["status"]), answer["memory"])


class _Forked:
    """A child of this process that is no `subprocess.Popen`, and waited for like one."""

    def __init__(self, pid: int):
        self.pid = pid
        self._ended = False

    def poll(self) -> int | None:
        if not self._ended:
            self._ended = os.waitpid(self.pid, os.WNOHANG)[0] == self.pid
        return 0 if self._ended else None

    def wait(self, timeout: float | None = None) -> int:
        deadline = time.monotonic() + (READY_SECONDS if timeout is None else timeout)
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("the untrusted parent", timeout or READY_SECONDS)
            time.sleep(0.005)
        return 0

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


class ForkServerDied(KitError):
    """The untrusted parent is gone; a new one can take its place."""


def _how_it_died(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGXCPU:
        return ": it used up its processor time"
    if code == -signal.SIGKILL:
        return ""  # by us
    if code == -signal.SIGSYS:
        return ": the sandbox ended it for a system call of another architecture"
    if code == 0:
        return ": the code itself ended it, as os._exit does"
    if code < 0:
        try:
            return f" with {signal.Signals(-code).name}"
        except ValueError:
            return f" with signal {-code}"
    return f" with exit status {code}"


def probe(isolation: Isolation) -> list[str]:
    """The layers that hold in a process of the level that this machine gives. Imports no torch there either.

    Raises `KitError` where one is missing.
    """
    program = [sys.executable, "-I", str(BOOT), "probe", level_here(isolation)]
    try:
        done = subprocess.run(
            program, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, timeout=READY_SECONDS
        )
        found = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise KitError("the program that takes the sandbox's layers on did not answer") from error
    if "missing" in found:
        raise KitError(f"a layer of the sandbox is missing: {found['missing']}")
    return found["layers"]


class SpawnServer:
    """Workers that are programs of their own, each importing torch: for macOS and Windows.

    One worker serves a whole submission and is reset between tasks, since a fresh one costs seconds. Others
    are kept ready: they import torch while one works.
    """

    def __init__(self, cpu_seconds: int, isolation: Isolation):
        self._cpu_seconds = cpu_seconds
        self._isolation = isolation
        self._level = level_here(isolation)
        self._prefix = sandbox_exec() if sys.platform == "darwin" else []
        self._spares = deque(self._spawn() for _ in range(2 if (os.cpu_count() or 1) >= 4 else 1))

    def worker(self, limits: Limits, budget: Budget, output: bytearray) -> Worker:
        process, channel = self._spares.popleft()
        self._spares.append(self._spawn())
        from grader.remote import SocketTransport, greet  # not at the top: it imports torch

        assert process.stdout is not None
        watch: MemoryWatch | None = None
        output_pipe = os.dup(process.stdout.fileno())
        transport = SocketTransport(
            channel, output_pipe, output, lambda: _ask(process), lambda: _stop(process, watch)
        )
        worker = greet(transport, limits, budget)
        if self._prefix:
            worker.layers.insert(0, "box: sandbox-exec")
        watch = MemoryWatch(process.pid)
        worker.layers.append("memory watch")
        return worker

    def close(self) -> None:
        for process, channel in self._spares:
            channel.close()
            _stop(process)

    def _spawn(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        ours, theirs = socket.socketpair()
        windows = sys.platform == "win32"
        with theirs:
            process = subprocess.Popen(
                [
                    *self._prefix, sys.executable, "-I", str(BOOT), "spawned", self._level,
                    "share" if windows else str(theirs.fileno()), str(self._cpu_seconds),
                ],
                pass_fds=[] if windows else [theirs.fileno()],
                env=environment(),
                cwd=None if windows else "/",
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=not windows,
            )  # fmt: skip
            if windows:
                assert process.stdin is not None
                share = theirs.share(process.pid)  # type: ignore[attr-defined]
                process.stdin.write(base64.b64encode(share) + b"\n")
                process.stdin.flush()
        return process, ours


def _ask(process: subprocess.Popen[bytes]) -> None:
    """Signal a spawned worker to say which lines it runs."""
    if sys.platform == "win32":
        raise OSError("a worker cannot be signalled here")
    process.send_signal(signal.SIGUSR1)


def _stop(process: subprocess.Popen[bytes], watch: MemoryWatch | None = None) -> Ending:
    """Kill a spawned worker and its session."""
    if watch is not None:
        watch.stop()
    code = process.poll()
    if code is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
    peak = watch.peak if watch is not None else 0
    if watch is not None and watch.exceeded:
        return Ending(
            f": it used more than {LIMIT >> 30} GiB of memory beyond what it had at the start", peak
        )
    return Ending(f" with exit status {code}" if code else "", peak)


Workers = ForkServer | SpawnServer


def start_workers(limits: Limits, method: str = "", isolation: Isolation | None = None) -> Workers:
    """Workers by the best means of this system: forked on Linux, spawned elsewhere.

    isolation: None for the best that this machine gives, whatever that is.
    """
    isolation = isolation or Isolation()
    method = method or ("fork" if sys.platform == "linux" else "spawn")
    return ForkServer.start(isolation) if method == "fork" else SpawnServer(limits.cpu, isolation)
