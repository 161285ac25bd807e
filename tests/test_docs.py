"""The pages tell the truth: every command in them is one that there is, and is run where it can be run here."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, SOLUTIONS, solution_files
from doc_pages import blocks
from typer.main import get_command

from grader.cli import app

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
RUN_ELSEWHERE = {  # whole pages
    "authors.md": "test_authors.py follows it in a copy of the repository",
    "benchmarks.md": "a record of what was run; benchmarks/bench.py writes it",
    "commands.md": "made from the commands themselves",
    "tolerances.md": "a record of what was run; benchmarks/tolerances.py writes it",
}
NOT_RUN = {  # of a command, why it is not run here; what it says is checked nevertheless
    r"--watch\b": "it goes on until it is stopped (test_check_command.py has it)",
    r"--pdb\b": "it waits for a person at the debugger",
    r"^grade reproduce(?!.*--drawn)": "it downloads data sets and trains for hours",
    r"--scheduler\b|^dask\b|^sbatch\b": "it needs a cluster (test_cluster*.py start one)",
    r"--box\b": "it needs bubblewrap, Docker or Apptainer",
    r"--release\b": "it needs nbgrader's exchange (test_course.py has it)",
    r"^grade doctor --assignment": "test_authors.py runs it",
    r"^grade release": "it writes into the repository (test_release.py has it)",
    r"[A-Z]{3,}|\.\.\.|<\w+>": "it has a placeholder in it",
}
_PROGRAM = re.compile(r"(?:\.venv/bin/)?grade\b")


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a page; block: it stands on a line of its own, not within a sentence."""

    page: Path
    text: str
    block: bool

    def __str__(self) -> str:
        return f"{self.page.name}: {self.text}"


def commands_of(page: Path) -> Iterator[Command]:
    """Every `grade` command of the page, in order."""
    fenced = {(block.line, block.text) for block in blocks(page)}
    for _, text in sorted(fenced):
        yield from (Command(page, line, True) for line in _command_lines(text))
    rest = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for found in re.finditer(r"(?:^\n|\A)((?:    .*\n)(?:(?:    .*)?\n)*)", rest, re.MULTILINE):
        yield from (Command(page, line, True) for line in _command_lines(found[1]))
    sentences = re.sub(r"^    .*$", "", rest, flags=re.MULTILINE)
    for found in re.finditer(r"`(grade [^`]+)`", sentences):
        yield Command(page, " ".join(found[1].split()), False)


def _command_lines(text: str) -> Iterator[str]:
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    prompted = [line.strip()[2:] for line in lines if line.strip().startswith("$ ")]
    for line in prompted or [line.strip() for line in lines]:
        for part in re.split(r"\s*(?:&&|;)\s*", line):
            if _PROGRAM.match(part):
                yield part.removeprefix(".venv/bin/")


ALL = [command for page in PAGES if page.is_file() for command in commands_of(page)]


def words_of(text: str) -> list[str]:
    return shlex.split(text.split(" > ")[0].split(" | ")[0], comments=True)


@pytest.mark.parametrize("command", sorted({c.text for c in ALL}))
def test_every_command_is_one_that_there_is(command: str) -> None:
    found: Any = get_command(app)
    _, *words = words_of(command.replace("...", "NAME"))
    if "COMMAND" in words:
        return  # any of them
    name = "grade"
    while words and getattr(found, "commands", None) and not words[0].startswith("-"):
        assert words[0] in found.commands, f"there is no {name} {words[0]}"
        name, found = f"{name} {words[0]}", found.commands[words.pop(0)]
    options = {
        option for parameter in found.params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    options |= {"--help", "-h"}
    named = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    assert set(named) <= options, f"{name} has no {sorted(set(named) - options)}"
    takes = [parameter for parameter in found.params if parameter.param_type_name == "argument"]
    if not takes and not getattr(found, "commands", None):
        values = {p.opts[0] for p in found.params if p.param_type_name == "option" and not p.is_flag}
        assert not [w for w in words if not w.startswith("-")] or values, f"{name} takes no arguments"


def test_the_pages_hold_commands() -> None:
    assert len(ALL) > 40
    assert {"README.md", "instructors.md", "authors.md"} <= {command.page.name for command in ALL}
    assert set(RUN_ELSEWHERE) <= {page.name for page in PAGES}


def test_the_reference_is_what_the_commands_say() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "make_commands.py", "--check"],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stderr}\nMake it anew: python docs/make_commands.py"


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_figures_of_the_readme_stand_in_the_benchmarks() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    figures = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    quoted = re.findall(r"(\d+\.\d+) s\b", readme)
    assert [number for number in quoted if f"{number} s" not in figures] == []


# -- run --------------------------------------------------------------------------------------------


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A folder with what the pages speak of: a small class in several forms, a roster, solutions and stubs."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    for name, start in {"grade": "-m grader", "python": ""}.items():
        script = bin_folder / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {start} "$@"\n')
        script.chmod(0o755)
    here = tmp_path / "here"
    shutil.copytree(SOLUTIONS, here / "solutions")
    shutil.copytree(ROOT / "student", here / "student")
    notebook = (ROOT / "student" / "report.ipynb").read_bytes()
    for where in ("class", "submissions", "examples/class", "2025"):
        for student in ("ada", "ben"):
            folder = here / where / student / "student"
            folder.mkdir(parents=True)
            for name, data in {**solution_files(), "report.ipynb": notebook}.items():
                (folder / name).write_bytes(data)
    with zipfile.ZipFile(here / "submissions.zip", "w") as archive:
        for path in sorted((here / "class").rglob("*")):
            archive.write(path, path.relative_to(here / "class"))
    (here / "class.csv").write_text("id,first_name,last_name\nada,Ada,L\nben,Ben,M\n")
    return here


def why_not_run(text: str) -> str:
    return next((why for pattern, why in NOT_RUN.items() if re.search(pattern, text)), "")


RUN_HERE = [
    page
    for page in PAGES
    if page.name not in RUN_ELSEWHERE
    and any(c.block and not why_not_run(c.text) for c in ALL if c.page == page)
]


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN_HERE, ids=lambda page: page.name)
def test_every_command_of_a_page_runs_in_the_order_of_the_page(page: Path, world: Path) -> None:
    environment = {
        **os.environ,
        "PATH": f"{world.parent / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "NO_COLOR": "1",
        "COLUMNS": "100",
        "XDG_CACHE_HOME": str(world.parent / "cache"),
    }
    for command in (c for c in commands_of(page) if c.block and not why_not_run(c.text)):
        done = subprocess.run(
            ["sh", "-c", command.text],
            cwd=world,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
        )
        said = f"{command}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        assert done.returncode in (0, 1), said  # 1: something in the class does not pass
        assert "Traceback" not in done.stderr, said
