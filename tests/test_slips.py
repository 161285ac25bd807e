"""Slips of an author are told with file, line, what is meant and what to do; a student's never."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, examine, with_body

from grader.authored import not_imported, place_of
from grader.instructor.authoring.slips import refuse, slips
from grader.outcomes import KitError, Outcome
from grader.usage import messages

TABLE, FINISHED = "grader/assignment.py", "grader/worker/finished.py"
MISTAKES, LAYERS = "grader/instructor/mistakes.py", "solutions/layers.py"
PUBLIC, HIDDEN = "grader/checks/public/test_layers.py", "grader/instructor/checks/test_layers.py"
ROW = 'Task("relu", "layers", 1, ("x",), bans="activation")'
CHECK = '@check("relu", points=0.5)\n'


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of the files in which slips are looked for."""
    for name in ("grader", "solutions"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def write(path: Path, old: str, new: str) -> int:
    """Replace the first `old`, or, where it is "", add to the end; the number of the line where `new` begins."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    start = text.index(old) if old else len(text)
    path.write_text(text[:start] + new + text[start + len(old) :], encoding="utf-8")
    return text[:start].count("\n") + 1


SLIPS = {
    "a mistake without a hint": (
        MISTAKES, "", '@mistake("relu")\ndef wrong(x):\n    return x\n',
        "@mistake of wrong gives no hint", '@mistake("TASK", "What the student reads.")',
    ),
    "a mistake that is not called": (
        MISTAKES, "", "@mistake\ndef wrong(x):\n    return x\n", "@mistake of wrong gives no hint", "after the task",
    ),
    "a mistake of no task": (
        MISTAKES, "", '@mistake("rellu", "Hint.")\ndef wrong(x):\n    return x\n',
        '@mistake("rellu", ...) names no task. Did you mean relu?', "name a task of the table",
    ),
    "a check of no task": (
        PUBLIC, CHECK, '@check("rel", points=0.5)\n',
        '@check("rel", ...) names no task. Did you mean relu?', "name a task of the table",
    ),
    "a hidden check of no task": (
        HIDDEN, '@check("conv2d",', '@check(task="conv2", ',
        '@check("conv2", ...) names no task. Did you mean conv2d?', "name a task of the table",
    ),
    "a check without points": (
        PUBLIC, CHECK, '@check("relu")\n', "does not give its points", '@check("TASK", points=1)',
    ),
    "a test that is no check": (PUBLIC, "", "def test_more():\n    pass\n", "test_more has no @check", "write @check("),
    "a check without a name": (
        PUBLIC, "", '@check("relu", points=1)\ndef test_relu(agree):\n    pass\n', "test_relu has no name of its own", "test_TASK__NAME",
    ),
    "needs what there is not": (
        PUBLIC, 'needs="values"', 'needs="value"',
        'needs "value", and conv2d has no check of this name. Did you mean values?', "name one of values,",
    ),
    "two checks of one name": (
        HIDDEN, "", '@check("relu", points=1)\ndef test_relu__values(agree):\n    pass\n',
        f"relu has two checks values, the other in {PUBLIC}", "another name",
    ),
    "a solution of another name": (
        LAYERS, "def relu(", "def rellu(",
        f"there is no function or class relu, which the table has ({TABLE}, line ", "Did you mean rellu?",
    ),
    "a file that there is not": (
        TABLE, ROW, ROW.replace('"layers"', '"layer"'),
        "relu stands in layer.py, and there is no solutions/layer.py. Did you mean layers?", "name one of layers,",
    ),
    "arguments of other names": (
        LAYERS, "def relu(x: Tensor)", "def relu(values: Tensor)",
        f"relu takes (values), and the table says (x) ({TABLE}, line ", "make them alike",
    ),
    "a group that is banned nowhere": (
        TABLE, ROW, ROW.replace("activation", "activations"),
        f'relu bans "activations", and OPERATORS in {FINISHED} has no such group. Did you mean activation?',
        "add its pattern to OPERATORS",
    ),
    "no Python in the checks": (
        PUBLIC, "", "def test_more(agree:\n    pass\n", "Python cannot read the file", "correct `def test_more(agree:`",
    ),
    "no Python in the mistakes": (MISTAKES, "", "x = = 1\n", "Python cannot read the file", "correct `x = = 1`"),
    "no Python in the solutions": (LAYERS, "", "x = = 1\n", "Python cannot read the file", "correct `x = = 1`"),
}  # fmt: skip


@pytest.mark.parametrize("what", SLIPS)
def test_a_slip_is_told_with_its_line_and_what_to_do(what: str, sources: Path) -> None:
    file, old, new, wrong, mend = SLIPS[what]
    line = write(sources / file, old, new)
    with pytest.raises(KitError) as error:
        refuse(sources)
    told = str(error.value)
    assert told.count("To do:") == 1, told
    assert f"{file}, line " in told
    found = int(told.split(f"{file}, line ")[1].split(":")[0])
    assert line <= found <= line + 1
    assert wrong in told
    assert mend in told


def test_a_group_needs_a_sentence_on_what_is_allowed(sources: Path) -> None:
    write(sources / FINISHED, '    "linear": r', '    "new": r"new",\n    "linear": r')
    assert slips(sources) == []
    write(sources / TABLE, ROW, ROW.replace("activation", "new"))
    (slip,) = slips(sources)
    assert "INSTEAD does not say" in slip.wrong
    assert '"new": "..."' in slip.mend


def test_the_assignment_has_none() -> None:
    assert slips(ROOT) == []


def test_several_are_told_together(sources: Path) -> None:
    write(sources / TABLE, ROW, ROW.replace("activation", "activations"))
    write(sources / MISTAKES, "", '@mistake("relu")\ndef wrong(x):\n    return x\n')
    assert [slip.file for slip in slips(sources)] == [TABLE, MISTAKES]


# -- what no text shows -------------------------------------------------------------------------------


def test_a_file_that_raises_when_it_is_imported_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    code = compile("x = 1\ndrow\n", str(ROOT / MISTAKES), "exec")
    with pytest.raises(SystemExit) as end, messages():
        exec(code, {})
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(
        f"grade: {MISTAKES}, line 2: the file cannot be imported.\n  NameError: name 'drow'"
    )


@pytest.mark.parametrize(
    ("file", "place"),
    [
        (ROOT / PUBLIC, f"{PUBLIC}, line 2"),
        (ROOT / "student/layers.py", ""),
        (Path("/home/me/layers.py"), ""),
    ],
)
def test_only_an_authors_files_are_places(file: Path, place: str) -> None:
    code = compile("def broken():\n    drow\n", str(file), "exec")
    names: dict[str, Callable[[], None]] = {}
    exec(code, names)
    with pytest.raises(NameError) as error:
        names["broken"]()
    assert place_of(error.value) == place
    assert not_imported(error.value) == ""  # it was imported


@pytest.mark.parametrize("body", ["raise KeyError('hinged')", "import solutions.layers", "return 1 +"])
@pytest.mark.slow
def test_a_students_error_stays_theirs(body: str) -> None:
    report = examine(with_body("layers", "relu", body), tasks=["relu"])
    check = report.tasks[0].checks[0]
    assert check.outcome in (Outcome.ERROR, Outcome.FORBIDDEN)
    assert "grader/" not in check.message + check.location
    assert "To do" not in check.message + check.diagnosis


# -- the commands -------------------------------------------------------------------------------------

COMMANDS = (
    "check relu --submission solutions",
    "all . --out results",
    "release",
    "doctor --assignment --task relu",
    "show relu --submission solutions",
    "explain relu",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_tells_it_alike_and_writes_nothing(command: str, sources: Path) -> None:
    line = write(sources / MISTAKES, "", '@mistake("relu")\ndef wrong(x):\n    return x\n')
    before = sorted(path for path in sources.rglob("*") if "__pycache__" not in path.parts)
    done = run(sources, command)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(
        f"grade: the assignment does not fit together.\n\n{MISTAKES}, line {line}: @mistake of wrong gives no hint."
    )
    assert "Traceback" not in done.stderr
    assert before == sorted(path for path in sources.rglob("*") if "__pycache__" not in path.parts)


@pytest.mark.slow
def test_a_check_file_that_cannot_be_imported_is_named(sources: Path) -> None:
    line = write(sources / PUBLIC, "", "drow(3)\n")
    done = run(sources, "check relu --submission solutions")
    assert done.returncode == 2
    assert f"{PUBLIC}, line {line}: the file cannot be imported." in done.stderr
    assert "NameError: name 'drow' is not defined" in done.stderr


def run(root: Path, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "grader", *command.split()],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
