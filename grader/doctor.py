"""`grade doctor`: what this machine offers, which level of isolation it gives, and how to get a better one.

Sections of lines, printed as they come. The instructor's package adds sections of its own to those of
`sections` and prints them with `show`.
"""

import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from grader.isolation import Isolation, Machine, bubblewrap, enough, level_here, level_of, machine
from grader.outcomes import KitError
from grader.terminal import clean

FIT = "B"  # the weakest level that `grade all` takes without being told

_PROMISES = {
    "A": "A submission reads only the interpreter and its libraries, writes nothing, starts nothing, and has"
    " no network.",
    "B": "A submission cannot open any file, starts nothing, and has no network. A module that was not"
    " imported before it is refused.",
    "C": "A submission sees only what the box around it shows.",
    "D": "Scores are safe: a submission shares no process with what judges it, and has limits and deadlines."
    " Files of this user, the network and other processes are within its reach.",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was looked at. ok: None where it neither helps nor harms."""

    name: str
    found: str
    ok: bool | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """Lines under a heading, with advice below them. fit: can one grade with what it says?"""

    title: str
    lines: tuple[Line, ...]
    advice: tuple[str, ...] = ()
    fit: bool = True


def doctor() -> int:
    """Print the machine's sections; the exit status: 0 where it is fit for grading, 1 where it is not."""
    return show(sections())


def show(all_sections: Iterable[Section]) -> int:
    """Print sections; the exit status, 1 where one of them is not fit."""
    console = Console(highlight=False)
    status = 0
    for number, section in enumerate(all_sections):
        if number:
            console.print()
        _print(console, section)
        status = status or int(not section.fit)
    return status


def sections() -> list[Section]:
    """What is found on this machine. Takes the sandbox's layers on once, in a process of its own."""
    isolation = Isolation()
    offered = machine(isolation.without)
    return [_system(), _isolation(isolation, offered)]


def _system() -> Section:
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    lines = [
        Line("system", f"{platform.system()} {platform.release()}, {platform.machine()}"),
        Line("user", _user()),
        Line("processors", str(processors)),
        Line("Python", platform.python_version(), sys.version_info >= (3, 11)),
        *(_package(name) for name in ("torch", "numpy", "msgspec")),
    ]
    return Section("This machine", tuple(lines), fit=all(line.ok is not False for line in lines))


def _user() -> str:
    if not hasattr(os, "geteuid"):
        return "an ordinary user"
    return "root" if os.geteuid() == 0 else f"an ordinary user ({os.geteuid()})"


def _package(name: str) -> Line:
    try:
        return Line(name, importlib.metadata.version(name), True)
    except importlib.metadata.PackageNotFoundError:
        return Line(name, "not installed: see the README's first steps", False)


def _isolation(isolation: Isolation, offered: Machine) -> Section:
    level = level_here(isolation)
    lines = []
    if sys.platform == "linux":
        lines += [
            Line(
                "Landlock", f"ABI {offered.landlock}" if offered.landlock else "none", bool(offered.landlock)
            ),
            Line("seccomp", "yes" if offered.seccomp else "no filter can be taken on", offered.seccomp),
        ]
    else:
        lines.append(Line("Landlock, seccomp", "only Linux has them", False))
    if sys.platform == "linux":
        lines.append(Line("bubblewrap", f"{bubblewrap() or 'makes a box'} (only needed for level C)"))
    if isolation.without:
        lines.append(Line("left out", f"{', '.join(isolation.without)} (GRADE_WITHOUT)", False))
    worked, how = _try(isolation)
    lines.append(Line("a process in it", how, worked == level))
    fit = worked == level and enough(level, FIT)
    lines.append(Line("level", level if worked == level else f"none; {level} was tried", fit))
    if worked == level:
        advice = (_PROMISES[level], *_better(level, offered))
    else:
        advice = (
            "The kernel says that it has these layers, and then refuses one, as a container's own filter may do."
            " Grade outside of the container, or let the filter pass what docs/security.md names.",
        )
    return Section("Isolation of students' code", tuple(lines), advice, fit)


def _try(isolation: Isolation) -> tuple[str, str]:
    """The level that a process in the sandbox has, and its layers or what went wrong."""
    from grader.untrusted import probe

    try:
        layers = probe(isolation)
    except KitError as error:
        return "", f"failed: {error}"
    return level_of(layers), ", ".join(layers)


def _better(level: str, offered: Machine) -> list[str]:
    """How to get a better level."""
    if level == "A":
        return []
    if sys.platform == "win32":
        return ["A better level: grade in WSL2, which gives level A."]
    if sys.platform == "darwin":
        return ["A better level: grade in a Linux container or virtual machine (docs/security.md)."]
    advice = []
    if not offered.landlock:
        advice.append(
            "For level A: Linux 5.13 or newer with Landlock switched on (lsm=landlock,... on the kernel's"
            " command line; Ubuntu 22.04, Debian 12, Fedora 35, RHEL 9.6 have it), and in a container a"
            " seccomp profile that lets landlock_create_ruleset through (Docker 23's does)."
        )
    if not offered.seccomp:
        advice.append(
            "For level B: a kernel with CONFIG_SECCOMP_FILTER on x86-64 or ARM64, and a 64-bit Python."
        )
    if level == "D":
        advice.append("For level C: an outer box (`grade all --box`, docs/security.md).")
    return advice


def _print(console: Console, section: Section) -> None:
    console.print(Text(section.title, style="bold"))
    plain = not console.encoding.startswith("utf")
    marks = {True: ("ok" if plain else "✓", "green"), False: ("no" if plain else "✗", "red"), None: ("", "")}
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, width=2)
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for line in section.lines:
        mark, style = marks[line.ok]
        grid.add_row(Text(mark, style=style), line.name, Text(clean(line.found)))
    console.print(grid)
    for text in section.advice:
        console.print(Padding(Text(text), (0, 0, 0, 4)))
