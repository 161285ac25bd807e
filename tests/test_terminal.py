"""What the commands print on a real terminal of 80 and 120 columns, with and without colour, and into a file."""

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path

import pytest
from conftest import GRADE, ROOT, SOLUTIONS
from rich.cells import cell_len

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|\x1b[=>]")
_COLOUR = re.compile(r"\x1b\[(?:[0-9]+;)*(?:3[0-7]|38;[0-9;]+|9[0-7])(?:;[0-9]+)*m")

COMMANDS = [
    pytest.param(("--help",), "check", id="help"),
    pytest.param(("explain", "conv2d"), "conv2d", id="explain"),
    pytest.param(("doctor",), "evel", id="doctor"),
    pytest.param(("check", "conv2d", "relu", "linear"), "flipped", id="check", marks=pytest.mark.slow),
    pytest.param(("all", "class", "--out", "results", "--jobs", "1"), "graded", id="all", marks=pytest.mark.slow),
]  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a student's package that has a flipped kernel and a missing transpose, and a class of one."""
    student = shutil.copytree(SOLUTIONS, tmp_path / "student", ignore=shutil.ignore_patterns("_*", "*.ipynb"))
    layers = student / "layers.py"
    text = layers.read_text().replace("windows, weight)", "windows, weight.flip(-1, -2))")
    layers.write_text(text.replace("y = x @ weight.T", "y = x @ weight"))
    shutil.copytree(student, tmp_path / "class" / "ada")
    return tmp_path


def environment(**more: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "CI")}
    return {**plain, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **more}


def on_terminal(command: Sequence[str], home: Path, columns: int, **more: str) -> str:
    """All that the command writes to a terminal so wide."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        [*GRADE, *command], cwd=home, env=environment(**more), stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    written = bytearray()
    try:
        while piece := os.read(ours, 65536):
            written += piece
    except OSError:  # Linux's way to say that the other side is closed
        pass
    finally:
        os.close(ours)
        process.wait(120)
    return written.decode()


def lines(written: str) -> list[str]:
    return re.split(r"[\r\n]+", _ESCAPE.sub("", written))


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize(("command", "says"), COMMANDS)
def test_no_line_is_wider_than_the_terminal(
    home: Path, command: tuple[str, ...], says: str, columns: int
) -> None:
    written = on_terminal(command, home, columns)
    assert says in " ".join(written.split())
    assert max(map(cell_len, lines(written))) <= columns
    assert "Traceback" not in written


@pytest.mark.slow
@pytest.mark.parametrize(("command", "says"), [param for param in COMMANDS if param.id in ("check", "all")])
def test_colour_is_for_terminals_that_want_it(home: Path, command: tuple[str, ...], says: str) -> None:
    assert _COLOUR.search(on_terminal(command, home, 80))
    shutil.rmtree(home / "results", ignore_errors=True)
    without = on_terminal(command, home, 80, NO_COLOR="1")
    assert says in without
    assert not _COLOUR.search(without)


@pytest.mark.parametrize(("command", "says"), COMMANDS)
def test_a_file_gets_text_alone(home: Path, command: tuple[str, ...], says: str) -> None:
    with (home / "out.txt").open("wb") as file:
        subprocess.run([*GRADE, *command], cwd=home, env=environment(), stdout=file, timeout=120)
    text = (home / "out.txt").read_text(encoding="utf-8")
    assert says in text
    assert "\x1b" not in text
    assert "\r" not in text
