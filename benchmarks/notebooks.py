"""What the nbgrader and the otter course share: their environment, and the tests' source in pieces."""

import inspect
import os
import subprocess
import tomllib
from pathlib import Path

import plain_tests

from grader.assignment import TASKS

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv-bench"
BIN = ENVIRONMENT / "bin"
PACKAGES = ("nbgrader", "otter-grader", "ipykernel", "torch", "torchvision")


def make_environment() -> None:
    """An environment of their own for nbgrader and otter, as old as the project's lock; kept once made."""
    if (BIN / "nbgrader").exists() and (BIN / "otter").exists():
        return
    with open(ROOT / "pyproject.toml", "rb") as file:
        date = tomllib.load(file)["tool"]["uv"]["exclude-newer"]
    uv, python = ROOT / ".venv" / "bin" / "uv", ROOT / ".venv" / "bin" / "python"
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", python, ENVIRONMENT], check=True)
    options = ["--quiet", "--python", BIN / "python", "--exclude-newer", date]
    compiled = "--compile-bytecode"  # uncompiled, both would be slower than they are
    subprocess.run([uv, "pip", "install", *options, compiled, *PACKAGES], check=True)


def environ() -> dict[str, str]:
    """The environment variables of both: its programs come first, and one thread each.

    nbgrader runs `alembic` from PATH. Small tensors are faster with one thread, more so on a busy machine.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return inherited | {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "VIRTUAL_ENV": str(ENVIRONMENT),
        "OMP_NUM_THREADS": "1",
    }


def helpers() -> str:
    """The source of `plain_tests` up to its first test."""
    return inspect.getsource(plain_tests).partition("\ndef test_")[0].strip() + "\n"


def test_source(task: str) -> str:
    """The source of the test of `task`: a function whose parameter is the student's."""
    return inspect.getsource(getattr(plain_tests, f"test_{task}"))


def imports() -> str:
    """The lines with which a notebook takes the student's functions from the package beside it."""
    lines = [f"from student.{task.module} import {task.name}" for task in TASKS]
    return "\n".join(lines) + "\n"
