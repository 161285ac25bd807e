"""For authors: the proof of the assignment sees what is wrong, and docs/authors.md adds a task that holds together."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT
from doc_pages import follow

from grader.assignment import TASKS, TOTAL_POINTS
from grader.instructor.authoring.proof import handout_gaps, notebook_gaps, tolerance_gaps

HANDOUT = (ROOT / "docs" / "handout" / "handout.md").read_text(encoding="utf-8")
NOTEBOOK = (ROOT / "solutions" / "report.ipynb").read_text(encoding="utf-8")
TOLERANCES = (ROOT / "docs" / "tolerances.md").read_text(encoding="utf-8")

Run = Callable[..., subprocess.CompletedProcess[str]]


def mutants_by_task() -> dict[str, int]:
    from mutants import MUTANTS

    return {task.name: sum(mutant.loses == task.name for mutant in MUTANTS) for task in TASKS}


@pytest.mark.parametrize(
    ("old", "new", "gap"),
    [
        ("| `relu(x)` | `layers.py` | 1 |", "| `relu(x)` | `layers.py` | 2 |", "no row `relu(...)`"),
        ("### `linear` (2 points)", "### `linear`", "no heading ### `linear` (2 points)"),
        ("`layers.py`, 20 points)", "`layers.py`, 21 points)", "the heading of layers.py does not say 20"),
        (f"({TOTAL_POINTS} points)", "", f"nowhere ({TOTAL_POINTS} points)"),
    ],
)
def test_what_the_handout_lacks_is_named(old: str, new: str, gap: str) -> None:
    assert handout_gaps(HANDOUT) == []
    assert old in HANDOUT
    (found,) = handout_gaps(HANDOUT.replace(old, new))
    assert found.startswith(gap)


def test_what_the_notebooks_headings_lack_is_named() -> None:
    assert notebook_gaps(NOTEBOOK) == []
    assert notebook_gaps(NOTEBOOK.replace("`lenet.py` (8", "`lenet.py` (9")) == [
        "the notebook has no heading ### `lenet.py` (8 points)"
    ]


def test_tolerances_are_measured_with_the_mutants_of_now() -> None:
    counts = mutants_by_task()
    assert tolerance_gaps(TOLERANCES, counts) == []
    assert tolerance_gaps(TOLERANCES, {**counts, "relu": 99})[0].startswith("relu was measured with")
    assert tolerance_gaps(TOLERANCES, {"new": 1}) == ["new has no row in docs/tolerances.md"]
    row = next(line for line in TOLERANCES.splitlines() if line.startswith("| elu "))
    wrong = TOLERANCES.replace(row, f"| elu | 1.300 | 40 | elu_x | {counts['elu']} |")
    assert tolerance_gaps(wrong, counts) == [
        "elu: right and wrong versions lie on the same side of the tolerance"
    ]


# -- in a copy of the repository ----------------------------------------------------------------------


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The repository's files, in a folder of their own."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True,
    )  # fmt: skip
    root = tmp_path / "copy"
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("docs/reproduction/", "benchmarks/nbgrader")):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
    return root


@pytest.fixture
def run(copy: Path) -> Run:
    """Runs a command line of a page in the copy: its `grade`, its `python`."""

    def run(command: str) -> subprocess.CompletedProcess[str]:
        program, *arguments = command.split()
        start = {"grade": [sys.executable, "-m", "grader"], "python": [sys.executable]}[program]
        return subprocess.run(
            [*start, *arguments],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy), "COLUMNS": "100", "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=600,
        )

    return run


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.slow
def test_the_page_adds_a_task_that_holds_together(copy: Path, run: Run, tmp_path: Path) -> None:
    commands = []
    for command in follow(ROOT / "docs" / "authors.md", copy):
        done = run(command)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        commands.append(command)
    assert commands[-1].startswith("grade doctor --assignment")
    assert "The assignment holds together." in done.stdout

    stub = run("grade check avg_pool2d")
    assert (stub.returncode, "missing" in stub.stdout) == (1, True)
    wrong = tmp_path / "wrong"
    shutil.copytree(copy / "solutions", wrong)
    rewrite(wrong / "layers.py", "windows.mean(", "windows.sum(")
    told = run(f"grade check avg_pool2d --submission {wrong}")
    assert told.returncode == 1
    assert "You add up the pixels of a window." in " ".join(told.stdout.split())
    shutil.copytree(copy / "solutions", tmp_path / "cheat")
    rewrite(
        tmp_path / "cheat" / "layers.py",
        "return windows.mean(dim=(-2, -1))",
        "return F.avg_pool2d(x, kernel_size, stride)",
    )
    assert "forbidden" in run(f"grade check avg_pool2d --submission {tmp_path / 'cheat'}").stdout


@pytest.mark.slow
def test_what_does_not_hold_is_named_with_what_to_do(copy: Path, run: Run) -> None:
    rewrite(
        copy / "grader/checks/public/test_layers.py", '@check("relu", points=0.5)', '@check("relu", points=1)'
    )
    rewrite(copy / "tests/mutants.py", 'hint="capped_at_six"', 'hint="identity"')
    rewrite(copy / "solutions/layers.py", "`max(0, x)` of each element", "The larger of 0 and x")
    rewrite(
        copy / "grader/instructor/mistakes.py",
        "# -- relu",
        '@mistake("linear", "A hint that nobody hears.")\ndef linear_unheard(x, weight, bias=None):\n'
        "    return F.linear(x, weight, bias)\n\n\n# -- relu",
    )
    done = run("grade doctor --assignment --task relu")
    assert done.returncode == 1
    text = " ".join(done.stdout.split())
    for expected in (
        "solutions have all points ✓ pass",
        "relu: checks worth 1.5, the table says 1",
        "linear_unheard's hint is never told",
        "student/layers.py is not what solutions/ gives",
        "To do: grade release",
        "relu_capped_at_six does not hear relu_identity",
    ):
        assert expected in text, done.stdout
