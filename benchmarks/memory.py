"""Memory of a running `grade all`: its main process's, and what each forked worker does not share.

Linux only, and as root where workers have a user of their own.
"""

import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_UNTRUSTED = "boot.py"  # the program that forks workers


@dataclass(frozen=True, slots=True)
class Memory:
    """Megabytes. workers: the most private dirty memory that each worker was seen with."""

    main_peak: float
    workers: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Course:
    """How a run went. seconds: as long as it took; main, others: megabytes resident at most, of the main process and
    of the largest other one; half: of the main process when half of the time had passed."""

    seconds: float
    main: float
    half: float
    others: float


def follow(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], accept: Sequence[int] = (0,)
) -> Course:
    """Run the command and look at its memory twice a second, which costs it nothing that could be measured.

    Raises `RuntimeError` where its exit status is not accepted.
    """
    started = time.monotonic()
    process = subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.DEVNULL)
    seen: list[float] = []
    others = 0.0
    while True:
        try:
            process.wait(0.5)
            break
        except subprocess.TimeoutExpired:
            seen.append(_kilobytes(process.pid, "status", "VmRSS"))
            waiting = _children(process.pid)
            for pid in waiting:
                others = max(others, _kilobytes(pid, "status", "VmRSS"))
                waiting += _children(pid)
    seconds = time.monotonic() - started
    if process.returncode not in accept:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return Course(
        seconds, max(seen, default=0) / 1024, max(seen[: len(seen) // 2 + 1], default=0) / 1024, others / 1024
    )


def watch(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str], accept: Sequence[int] = (0,)
) -> Memory:
    """Run the command and look at its processes' memory all the while, some hundred times a second.

    Raises `RuntimeError` where its exit status is not accepted. Another user's processes show nothing: then
    `workers` is empty.
    """
    process = subprocess.Popen(command, cwd=cwd, env=env, stdout=subprocess.DEVNULL)
    main_peak = 0.0
    private: dict[int, float] = {}
    parents: set[int] = set()
    while process.poll() is None:
        main_peak = max(main_peak, _kilobytes(process.pid, "status", "VmHWM"))
        found = _untrusted(process.pid)
        parents.update(parent for _, parent in found)  # of workers: fork servers, which are none
        for pid in {pid for pid, _ in found} - parents:
            private[pid] = max(private.get(pid, 0.0), _kilobytes(pid, "smaps_rollup", "Private_Dirty"))
        time.sleep(0.002)
    if process.returncode not in accept:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    workers = [size for pid, size in private.items() if pid not in parents and size > 0]
    return Memory(main_peak / 1024, tuple(size / 1024 for size in workers))


def _untrusted(root: int) -> list[tuple[int, int]]:
    """(process, its parent) of all descendants of `root` that run the untrusted program."""
    found, waiting = [], [root]
    while waiting:
        parent = waiting.pop()
        for child in _children(parent):
            waiting.append(child)
            try:
                if _UNTRUSTED in Path(f"/proc/{child}/cmdline").read_text(errors="replace"):
                    found.append((child, parent))
            except OSError:  # it has ended
                continue
    return found


def _children(pid: int) -> list[int]:
    children = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            children += [int(child) for child in (task / "children").read_text().split()]
    except OSError:
        return children
    return children


def _kilobytes(pid: int, file: str, field: str) -> float:
    """A field of a file of /proc, 0 where the process has ended or is another user's."""
    try:
        text = Path(f"/proc/{pid}/{file}").read_text()
    except OSError:
        return 0.0
    for line in text.splitlines():
        if line.startswith(f"{field}:"):
            return float(line.split()[1])
    return 0.0
