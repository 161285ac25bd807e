"""The proving ground: secrets to steal, targets to call, bystanders to hurt, and what is left of all after."""

import base64
import contextlib
import hashlib
import os
import secrets
import selectors
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLBOX = (Path(__file__).parent / "toolbox.py").read_text()
_KINDS = ("file", "solution", "hidden", "other", "environment", "course", "argument", "name", "recording")
_WATCHED = ("/tmp", "/var/tmp", "/dev/shm", "/run", "/", "/dev/mqueue", "/etc", "/root", "/home")


def build(folder: Path) -> dict[str, str]:
    """A copy of the kit with markers in what is secret, beside other secrets. Returns the markers by kind."""
    markers = {kind: f"CANARY-{kind}-{secrets.token_hex(12)}" for kind in _KINDS}
    kit = folder / "kit"
    for name in ("grader", "solutions"):
        shutil.copytree(ROOT / name, kit / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "datasets.py", kit)
    for path in (kit / "grader/instructor").rglob("*.py"):
        path.write_text(f"# {markers['hidden']}\n{path.read_text()}")
    for path in (kit / "solutions").glob("*.py"):
        path.write_text(f"# {markers['solution']}\n{path.read_text()}")
    (kit / "grader/checks/other.npz").write_text(markers["recording"])
    (folder / "secret.txt").write_text(markers["file"] + "\n")
    (folder / "secret.txt").chmod(0o600)
    (folder / "class/other").mkdir(parents=True)
    (folder / "class/other/layers.py").write_text(f"# {markers['other']}\n")
    (folder / "class" / markers["name"]).mkdir()
    (folder / "records").mkdir()
    (folder / "records/other.json").write_text(f'"{markers["other"]}"')
    (folder / "writable").mkdir(mode=0o777)
    (folder / "writable").chmod(0o777)
    return markers


class Listeners:
    """Servers on the loopback of this network namespace; `heard` lists what arrived."""

    def __init__(self, folder: Path):
        self.heard: list[str] = []
        self._selector = selectors.DefaultSelector()
        self.unix = str(folder / "listener.sock")
        self.abstract = f"grade-{secrets.token_hex(8)}"
        self.tcp4 = self._listen("TCP", socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
        self.udp = self._listen("UDP", socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
        self.tcp6 = 0
        with contextlib.suppress(OSError):
            self.tcp6 = self._listen("TCP over IPv6", socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0))
        self._listen("a Unix socket", socket.AF_UNIX, socket.SOCK_STREAM, self.unix)
        self._listen("a Unix datagram socket", socket.AF_UNIX, socket.SOCK_DGRAM, self.unix + "d")
        self._listen("an abstract socket", socket.AF_UNIX, socket.SOCK_STREAM, f"\0{self.abstract}")
        self._listen("an abstract datagram socket", socket.AF_UNIX, socket.SOCK_DGRAM, f"\0{self.abstract}d")
        threading.Thread(target=self._serve, daemon=True).start()

    def _listen(self, what: str, family: int, kind: int, address: object) -> int:
        server = socket.socket(family, kind)
        server.bind(address)  # type: ignore[arg-type]
        if kind == socket.SOCK_STREAM:
            server.listen(64)
        if family == socket.AF_UNIX and isinstance(address, str) and address.startswith("/"):
            os.chmod(address, 0o777)
        server.setblocking(False)
        self._selector.register(server, selectors.EVENT_READ, (what, kind))
        name = server.getsockname()
        return name[1] if isinstance(name, tuple) else 0

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                what, kind = key.data
                with contextlib.suppress(OSError):
                    if kind == socket.SOCK_STREAM:
                        key.fileobj.accept()[0].close()  # type: ignore[union-attr]
                    else:
                        key.fileobj.recv(4096)  # type: ignore[union-attr]
                    self.heard.append(what)


class Grounds:
    """What one runner has around it. `check` says what an attack has done to it."""

    def __init__(self, folder: Path, markers: Mapping[str, str]):
        self.folder, self.markers = folder, markers
        self.breach, self.mark = f"BREACH{secrets.token_hex(8)}", f"planted-{secrets.token_hex(8)}"
        self.listeners = Listeners(folder)
        self.bystander = self._start_bystander()
        self._forms = {kind: _forms(marker) for kind, marker in markers.items()}
        self._watched_pids: list[int] = []
        self._sockets = _sockets()
        self._ipc = _ipc()

    def _start_bystander(self) -> int:
        """Another program of the examiner's user, with a marker among its arguments and in its memory."""
        code = "import sys, time\nwhile True: time.sleep(1)"
        process = subprocess.Popen([sys.executable, "-I", "-c", code, self.markers["argument"]])
        return process.pid

    def toolbox(self) -> bytes:
        """The attacks' toolbox with the constants of this ground."""
        folder = self.folder
        constants = {
            "SECRET_FILE": folder / "secret.txt", "KIT": folder / "kit", "SOLUTIONS": folder / "kit/solutions",
            "HIDDEN": folder / "kit/grader/instructor/checks", "CLASS": folder / "class",
            "OTHER": folder / "class/other/layers.py", "RECORDS": folder / "records",
            "FOLDER": folder / "writable", "UNIX": self.listeners.unix, "ABSTRACT": self.listeners.abstract,
            "BREACH": self.breach, "MARK": self.mark,
            # of the interpreter's libraries: a file there would be run by every later Python
            "LIBRARIES": Path(os.__file__).parent, "PACKAGES": Path(__import__("torch").__file__).parent.parent,
        }  # fmt: skip
        numbers = {
            "EXAMINER": os.getpid(), "BYSTANDER": self.bystander, "TCP4": self.listeners.tcp4,
            "TCP6": self.listeners.tcp6, "UDP": self.listeners.udp,
        }  # fmt: skip
        lines = [f"{name} = {str(value)!r}" for name, value in constants.items()]
        lines += [f"{name} = {value}" for name, value in numbers.items()]
        return ("\n".join(lines) + "\n" + TOOLBOX).encode()

    def watch(self, *pids: int) -> None:
        """Take note of all as it is now: before the first attack. `pids` are processes that have to stay whole."""
        self._watched_pids = [*pids, self.bystander]
        self._vitals = {pid: _vitals(pid) for pid in self._watched_pids}
        self._files = dict(_tree(self.folder))
        self._processes = _processes()

    def check(self, record: bytes) -> Iterator[str]:
        """What an attack has done, as sentences; `record` is that of its examination."""
        yield from self.leaks(record)
        yield from (f"network: {what} was reached" for what in dict.fromkeys(self.listeners.heard))
        self.listeners.heard.clear()
        yield from self._left_processes()
        yield from self._left_files()
        for pid in self._watched_pids:
            if (now := _vitals(pid)) != self._vitals[pid]:
                yield f"canary: process {pid} was {self._vitals[pid]} and is {now}"
                self._vitals[pid] = now
        if (sockets := _sockets()) - self._sockets:
            yield f"socket: left {sockets - self._sockets}"
            self._sockets = sockets
        if (ipc := _ipc()) != self._ipc:
            yield f"file: System V objects left: {ipc}"
            self._ipc = ipc

    def leaks(self, record: bytes) -> Iterator[str]:
        """The planted secrets that are in the record, in any form, and breaches that were announced."""
        text = record.decode("utf-8", "replace")
        squeezed = "".join(text.split())
        for kind, forms in self._forms.items():
            for how, form in forms.items():
                if form in text or form in squeezed:
                    yield f"secret: {kind} is in the record ({how})"
                    break
        for part in text.split(self.breach)[1:]:
            yield f"breach:{part.partition(chr(92) + 'n')[0][:200]}"

    def _left_processes(self) -> Iterator[str]:
        for _ in range(40):  # what was killed may take a moment to be gone
            left = {pid: name for pid, name in _processes().items() if pid not in self._processes}
            if not left:
                return
            time.sleep(0.05)
        for pid, name in left.items():
            yield f"process: {pid} ({name}) is left"
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _left_files(self) -> Iterator[str]:
        now = dict(_tree(self.folder))
        if now != self._files:
            for path in now.keys() | self._files.keys():
                if now.get(path) != self._files.get(path):
                    yield f"file: {path} was {self._files.get(path)} and is {now.get(path)}"
                    if path not in self._files:
                        _remove(self.folder / path)
            self._files = dict(_tree(self.folder))
        package = Path(__import__("torch").__file__).parent
        places = (
            *_WATCHED,
            os.path.expanduser("~"),
            os.getcwd(),
            package,
            package.parent,
            Path(os.__file__).parent,
        )
        for place in {str(place) for place in places}:
            with contextlib.suppress(OSError):
                for name in os.listdir(place):
                    if self.mark in name:
                        yield f"file: {place}/{name} is left"
                        _remove(Path(place, name))


def _forms(marker: str) -> dict[str, str]:
    data = marker.encode()
    forms = {"plain": marker, "hex": data.hex(), "backwards": marker[::-1]}
    for shift in range(3):  # base64 of something longer with the marker in it, at any alignment
        whole = base64.b64encode(b"x" * shift + data + b"xx").decode()
        forms[f"base64, {shift}"] = whole[4 if shift else 0 : -4].rstrip("=")[:-1]
    return forms


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def _tree(folder: Path) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Every path under `folder` with mode, owner, time of change and content; compiled Python is passed over."""
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in (*folders, *names):
            path = Path(where, name)
            info = path.lstat()
            content = ""
            if stat.S_ISREG(info.st_mode):
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            changed = 0 if stat.S_ISDIR(info.st_mode) else info.st_mtime_ns
            yield (
                str(path.relative_to(folder)),
                (oct(info.st_mode), info.st_uid, info.st_gid, changed, content),
            )


def _processes() -> dict[int, str]:
    """The processes of this PID namespace, but for the dead that wait for their parent."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                name, _, rest = Path("/proc", entry, "stat").read_text().partition("(")[2].rpartition(")")
                if rest.split()[0] not in "ZX":
                    found[int(entry)] = name
    return found


def _vitals(pid: int) -> dict[str, object]:
    """What an attack could change of a process that it has no business with; {} where there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return {
            "stopped": fields[0] in "TtZX",
            "start": fields[19],
            "nice": fields[16],
            "affinity": sorted(os.sched_getaffinity(pid)),
            "policy": os.sched_getscheduler(pid),
            "limits": Path(f"/proc/{pid}/limits").read_text().split(),
            "oom": Path(f"/proc/{pid}/oom_score_adj").read_text().strip(),
        }
    except (OSError, ProcessLookupError):
        return {}


def _sockets() -> frozenset[str]:
    """Addresses that are bound in this network namespace."""
    found = set()
    for name in ("tcp", "tcp6", "udp", "udp6", "raw"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
                fields = line.split()
                if name.startswith("udp") or fields[3] == "0A":
                    found.add(f"{name} {fields[1]}")
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
            if len(fields := line.split()) > 7:
                found.add(f"unix {fields[7]}")
    return frozenset(found)


def _ipc() -> tuple[str, ...]:
    found = []
    for name in ("shm", "sem", "msg"):
        with contextlib.suppress(OSError):
            found += [f"{name} {line}" for line in Path(f"/proc/sysvipc/{name}").read_text().splitlines()[1:]]
    return tuple(found)
