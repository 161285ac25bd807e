"""Shared by the tests: submissions made from the solutions, and one examiner for the whole run."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browsers import launched

from grader import examine as examine_module
from grader.examine import Examiner, close, examine, prepare
from grader.isolation import Isolation
from grader.limits import Limits
from grader.progress import STATE_VARIABLE
from grader.report import CheckResult, Report
from grader.submission import Submission, read_folder

ROOT = Path(__file__).resolve().parent.parent
SOLUTIONS = ROOT / "solutions"
GRADE = [sys.executable, "-m", "grader"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # started in the background by a shell, which passes that on: tests send interrupts, and mean them
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What `grade check` remembers goes to a folder of the tests, not to the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(STATE_VARIABLE, str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _examiner() -> Iterator[None]:
    prepare()
    yield
    for examiner in _at_level.values():
        examiner.close()
    close()


LEFT_OUT = {"A": (), "B": ("landlock",), "D": ("landlock", "seccomp")}  # layers, for a level
_at_level: dict[str, Examiner] = {}


@contextlib.contextmanager
def isolated(level: str, method: str = "") -> Iterator[Examiner]:
    """Within it, `examine` gives workers of that level of isolation (by that method)."""
    key = level + method
    if key not in _at_level:
        isolation = Isolation(without=LEFT_OUT[level])
        _at_level[key] = Examiner(Limits(call=20.0), method=method, isolation=isolation)
    kept, examine_module._examiner = examine_module._examiner, _at_level[key]
    try:
        yield _at_level[key]
    finally:
        examine_module._examiner = kept


def solution_files() -> dict[str, bytes]:
    """The solutions as the files of a submission."""
    return dict(read_folder(SOLUTIONS).files)


def changed(module: str, *changes: tuple[str, str]) -> Submission:
    """The solutions with texts of one module replaced; each must be there."""
    files = solution_files()
    text = files[f"{module}.py"].decode()
    for old, new in changes:
        assert old in text, f"{module}.py has no {old!r}"
        text = text.replace(old, new)
    files[f"{module}.py"] = text.encode()
    return Submission("changed", files)


def with_body(module: str, function: str, body: str, preamble: str = "") -> Submission:
    """The solutions with the body of one function replaced, and `preamble` put before the module."""
    files = solution_files()
    lines = files[f"{module}.py"].decode().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"def {function}("))
    begin = next(i for i in range(start, len(lines)) if "### BEGIN SOLUTION" in lines[i])
    end = next(i for i in range(begin, len(lines)) if "### END SOLUTION" in lines[i])
    lines[begin : end + 1] = [f"    {line}" for line in body.splitlines()]
    files[f"{module}.py"] = ("\n".join([*preamble.splitlines(), *lines]) + "\n").encode()
    return Submission("changed", files)


def checks_of(report: Report, task: str) -> tuple[CheckResult, ...]:
    """The results of one task."""
    return next(found.checks for found in report.tasks if found.task == task)


def earned(report: Report) -> dict[str, float]:
    """Points earned by task."""
    return {task.task: task.earned for task in report.tasks}


@pytest.fixture
def grade(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `grade` as a user would, in a folder of its own, on a terminal of 80 columns."""

    def run(
        *arguments: str | Path, cwd: Path = tmp_path, typed: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*GRADE, *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, "COLUMNS": "80", "PYTHONPATH": str(ROOT), "NO_COLOR": "1", **environment},
            input=typed,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, for a module's tests."""
    yield from launched()


QUICK = Limits(call=4.0, load=6.0, submission=30.0, cpu=60)

__all__ = [
    "GRADE",
    "QUICK",
    "ROOT",
    "SOLUTIONS",
    "changed",
    "checks_of",
    "earned",
    "examine",
    "isolated",
    "solution_files",
    "with_body",
]
