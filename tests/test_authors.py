"""For authors: the proof of the assignment sees what is wrong, and docs/authors.md adds a task that holds together."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import ROOT
from doc_pages import follow
from rich.console import Console

from grader import compare
from grader.assignment import BY_NAME, TASKS, TOTAL_POINTS
from grader.checking import Draw
from grader.instructor.authoring.command import _print_wrong
from grader.instructor.authoring.proof import (
    Finding,
    Gap,
    Proof,
    handout_gaps,
    notebook_gaps,
    tolerance_gaps,
)
from grader.instructor.mistakes import MISTAKES, Mistake
from grader.outcomes import Outcome
from grader.report import CheckResult, Report, TaskResult
from grader.worker import probes

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
        (
            "| `relu(x)` | `layers.py` | 1 |",
            "| `relu(x)` | `layers.py` | 2 |",
            "the handout has no row `relu(...)`",
        ),
        ("### `linear` (2 points)", "### `linear`", "the handout has no heading ### `linear` (2 points)"),
        (
            "`layers.py`, 20 points)",
            "`layers.py`, 21 points)",
            "the handout's heading of layers.py does not say 20",
        ),
        (f"({TOTAL_POINTS} points)", "", f"the sum of all tasks, ({TOTAL_POINTS} points), stands nowhere"),
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


# -- what the proof says, from results made by hand ---------------------------------------------------


def proof_of(*checks: CheckResult) -> Proof:
    """The proof of an assignment whose solutions gave these results, one task for all."""
    proof = Proof(ROOT)
    tasks = (TaskResult("relu", 1, checks),)
    proof.__dict__["_solved"] = Report("", "", "", tasks)
    return proof


def result(name: str, title: str = "relu is right.", points: float = 1) -> CheckResult:
    visibility = "public" if name.startswith("public/") else "hidden"
    return CheckResult(name, "relu", title, visibility, points, Outcome.PASSED)


@pytest.mark.parametrize(
    ("checks", "gaps"),
    [
        ([result("public/relu/a"), result("hidden/relu/b")], ()),
        (
            [result("public/relu/a")],
            (Gap("relu has no hidden check", "write it in grader/instructor/checks/"),),
        ),
        (
            [result("public/relu/a", title="public/relu/a"), result("hidden/relu/b")],
            (
                Gap(
                    "public/relu/a has no docstring",
                    "write the sentence that the student reads where it does not pass",
                ),
            ),
        ),
    ],
)
def test_checks_of_both_kinds_say_what_they_ask(checks: list[CheckResult], gaps: tuple[Gap, ...]) -> None:
    assert proof_of(*checks).checks().gaps == gaps


def test_the_solutions_points_are_out_of_those_of_the_checks() -> None:
    found = proof_of(result("public/relu/a", points=2), result("hidden/relu/b")).solutions()
    assert (found.holds, found.seen) == (True, "3 of the 3 points of 2 checks")


@pytest.mark.parametrize(
    ("mistakes", "gap"),
    [
        ((), Gap("relu has no known mistake", "add a wrong version under @mistake")),
        ((Mistake("relu", "relu_empty", " ", abs),), Gap("relu_empty's hint is empty", "write what the student reads")),
        ((Mistake("relu", "relu_new", "Hint.", abs),), Gap("relu_new's hint is never told", "write a check on which")),
    ],
)  # fmt: skip
def test_what_is_wrong_with_hints_is_mended_by_its_cause(
    mistakes: tuple[Mistake, ...], gap: Gap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MISTAKES, "relu", mistakes)
    found = proof_of().hints().gaps
    (mine,) = [one for one in found if one.wrong.startswith("relu") and "leaky" not in one.wrong]
    assert mine.wrong == gap.wrong
    assert mine.mend.startswith(gap.mend)


def test_nothing_examined_is_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    proof = Proof(ROOT, [BY_NAME["relu"]])
    proof.__dict__["_mutants"] = SimpleNamespace(MUTANTS=())
    found = proof.mutants()
    assert [gap.wrong for gap in found.gaps] == ["relu has no mutant to examine"]


def test_test_cells_are_the_releases_to_write(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "solutions", tmp_path / "solutions")
    notebook = tmp_path / "solutions" / "report.ipynb"
    before, _, after = notebook.read_text(encoding="utf-8").partition('"grade_id": "relu"')
    notebook.write_text(f'{before}"grade_id": "relu"{after.replace("1", "2", 1)}', encoding="utf-8")
    (gap,) = Proof(tmp_path).student().gaps
    assert gap.wrong.startswith(
        "solutions/report.ipynb: the graded cell relu has 2 points and should have 1."
    )
    assert gap.mend.startswith("grade release")


@pytest.mark.parametrize(
    ("goal", "gaps", "seen"),
    [
        ("15 tasks", (), "15 tasks"),
        ("15 tasks", (Gap("a"), Gap("b")), "2 wrong, see below"),
        ("", (Gap("a"),), "cannot be told yet, see below"),
    ],
)
def test_a_row_states_its_goal_only_where_it_is_reached(goal: str, gaps: tuple[Gap, ...], seen: str) -> None:
    assert Finding("what", goal, gaps).seen == seen


def test_what_is_to_be_done_stands_below_its_own_cause(capsys: pytest.CaptureFixture[str]) -> None:
    found = Finding(
        "hints", "all", (Gap("one", "mend a"), Gap("two", "mend b"), Gap("three", "mend a"), Gap("four"))
    )
    _print_wrong(Console(width=80, highlight=False), found)
    lines = [line.strip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines == ["hints", "one", "three", "To do: mend a", "two", "To do: mend b", "four"]


# -- the page ---------------------------------------------------------------------------------------


def test_the_table_of_what_a_check_is_made_of_is_the_codes() -> None:
    page = (ROOT / "docs" / "authors.md").read_text(encoding="utf-8")
    table = page.partition("What a check is made of:")[2].partition("\n\nInputs")[0]
    drawn = {name for name in vars(Draw) if not name.startswith("_")}
    assert set(re.findall(r"draw\.(\w+)\(", table)) == drawn
    named = set(re.findall(r"probes\.(\w+)", table)) | {"network_gradients", "run_evaluate", "run_fit"}
    assert {name for name in named if not callable(getattr(probes, name, None))} == set()
    tolerances = re.search(r"rtol=([-.e0-9]+), atol=([-.e0-9]+)\)", table)
    assert tolerances is not None
    assert tuple(map(float, tolerances.groups())) == (compare.RTOL, compare.ATOL)


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
        "solutions pass all checks ✓ pass",
        "relu: checks worth 1.5, the table says 1",
        "linear_unheard's hint is never told",
        "student/layers.py is not what solutions/ gives",
        "To do: grade release",
        "relu_capped_at_six does not hear relu_identity",
    ):
        assert expected in text, done.stdout
