"""How well a student's code is kept in: what a run asks for, what this machine gives, what a worker had.

    A  Landlock and seccomp: reads the interpreter and its libraries, writes nothing, no network, no process
    B  sealed seccomp, for kernels without Landlock: the same, and no file can be opened at all
    C  an outer box around the program that workers are forked from (bubblewrap, Apptainer, sandbox-exec)
    D  a process of its own with limits and deadlines: keeps scores true, hides no file of the same user

Everything is probed by system calls that change nothing. Imports no torch.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass, field

from grader.outcomes import KitError
from grader.worker import landlock, seccomp

LEVELS = ("A", "B", "C", "D")  # the best first
SANDBOXED = ("A", "B")  # where a filter refuses what a submission has no business to do
WITHOUT_VARIABLE = "GRADE_WITHOUT"  # layers to leave out, for tests: "landlock,seccomp"
CAN_LEAVE_OUT = ("landlock", "seccomp")


def _left_out() -> tuple[str, ...]:
    names = os.environ.get(WITHOUT_VARIABLE, "").replace(",", " ").split()
    for name in names:
        if name not in CAN_LEAVE_OUT:
            raise KitError(f"{WITHOUT_VARIABLE}={name}: only {' and '.join(CAN_LEAVE_OUT)} can be left out")
    return tuple(names)


@dataclass(frozen=True, slots=True)
class Isolation:
    """What a run asks for; plain data, so that it can go to other machines.

    require: the weakest level that will do. box: "bubblewrap" or an Apptainer image for level C, "" for none.
    without: layers left out, for tests; by default those that GRADE_WITHOUT names.
    """

    require: str = "D"
    box: str = ""
    without: tuple[str, ...] = field(default_factory=_left_out)


@dataclass(frozen=True, slots=True)
class Machine:
    """What this machine offers a worker."""

    landlock: int  # its ABI, 0 for none
    seccomp: bool
    root: bool

    @property
    def kernel_level(self) -> str:
        """The level that the kernel gives, without a box around."""
        if not self.seccomp:
            return "D"
        return "A" if self.landlock else "B"


class NotIsolated(KitError):
    """This machine does not give the level that the run asks for."""


def machine(without: Collection[str] = ()) -> Machine:
    """Probe this machine, as if it did not have the layers of `without`."""
    linux = sys.platform == "linux"
    return Machine(
        landlock=landlock.abi() if linux and "landlock" not in without else 0,
        seccomp=linux and "seccomp" not in without and seccomp.available(),
        root=hasattr(os, "geteuid") and os.geteuid() == 0,
    )


def level_here(isolation: Isolation) -> str:
    """The level that workers get here."""
    level = machine(isolation.without).kernel_level
    if level != "D":
        return level
    if sys.platform == "darwin":
        from grader.box import sandbox_exec

        return "C" if sandbox_exec() else "D"
    return "C" if isolation.box else "D"


def enough(level: str, require: str) -> bool:
    """Is `level` at least as good as `require`?"""
    return level in LEVELS and LEVELS.index(level) <= LEVELS.index(require)


def weaker(one: str, other: str) -> str:
    """The weaker of two levels; "" says nothing."""
    return max(one, other)


def level_of(layers: Collection[str]) -> str:
    """The level that a worker had, by the layers that it reported."""
    if "landlock" in layers and "seccomp" in layers:
        return "A"
    if "sealed seccomp" in layers:
        return "B"
    return "C" if any(layer.startswith("box") for layer in layers) else "D"


def require(isolation: Isolation) -> None:
    """Raise `NotIsolated` where this machine does not give what the run asks for, with what to do."""
    level = level_here(isolation)
    if enough(level, isolation.require):
        return
    raise NotIsolated(
        f"This machine isolates students' code at level {level}, and level {isolation.require} or better was"
        f" asked for: {missing(machine(isolation.without), isolation.require)}.\n"
        "`grade doctor` says how to get a better level. To grade at this level all the same,"
        + (" add --unsafe" if level == "D" else f" add --require-isolation {level}")
        + (
            ": scores stay true, but a submission could then read files of this user, other students' work and"
            " the solutions among them."
            if level == "D"
            else "."
        )
    )


def missing(offered: Machine, wanted: str) -> str:
    """What keeps the machine from the level, as a phrase."""
    if sys.platform != "linux":
        return "Landlock and seccomp are Linux's"
    lacks = []
    if not offered.seccomp:
        lacks.append("the kernel lets us take on no seccomp filter")
    if wanted == "A" and not offered.landlock:
        lacks.append("the kernel has no Landlock (Linux 5.13 or newer, and switched on)")
    return ", and ".join(lacks) or "nothing"


def bubblewrap() -> str | None:
    """Why no box of bubblewrap can be had here, None where one can. Starts a program in one."""
    program = shutil.which("bwrap")
    if program is None:
        return "not installed"
    namespaces = ["--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-pid"]
    command = [program, *namespaces, "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "true"]
    try:
        tried = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"fails: {error}"
    if tried.returncode == 0:
        return None
    return f"installed, but makes no box: {tried.stderr.decode(errors='replace').strip()[:200]}"
