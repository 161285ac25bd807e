"""nbgrader stays out of a student's way: not imported where it is not needed, and missed with words that help."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from course_kit import record

from grader.instructor.course.layout import Course
from grader.notebook import check, use_this_folder


def run(code: str, *arguments: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
    )


WITHOUT = """
import sys
sys.modules["nbgrader"] = None  # as where it is not installed
sys.argv = ["grade", *sys.argv[1:]]
from grader.cli import main
main()
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ("course", "init", "new"),
        ("course", "publish", "made"),
        ("feedback",),
        ("feedback", "made"),
        ("all", "made", "--feedback"),
        ("export", "canvas", "sheet.csv", "made", "--column", "LeNet-5", "--written"),
    ],
)
def test_what_needs_nbgrader_says_what_to_install(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    submitted = tmp_path / "made" / "submitted" / "anna" / "lenet5"
    submitted.mkdir(parents=True)
    (tmp_path / "made" / "nbgrader_config.py").touch()
    record(Course(tmp_path / "made"), "anna")
    ran = run(WITHOUT, *arguments, cwd=tmp_path)
    assert ran.returncode == 2, ran.stdout + ran.stderr
    assert (
        "This needs nbgrader, which is not installed here. Install the instructor's extras: pip install -e \".["
        in (ran.stderr)
    )
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "arguments", [("--help",), ("course", "--help"), ("check", "relu", "-s", "solutions")]
)
def test_other_commands_do_without_nbgrader(arguments: tuple[str, ...]) -> None:
    ran = run(WITHOUT, *arguments)
    assert ran.returncode == 0, ran.stderr


def test_neither_help_nor_check_nor_all_imports_nbgrader(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from grader.cli import app\n"
        "from grader.instructor import batch, release, collect\n"
        "import grader.check\n"
        "sys.exit(any(name.split('.')[0] in ('nbgrader', 'nbconvert') for name in sys.modules))\n"
    )
    assert run(code).returncode == 0


_LATER = """
import sys
sys.path.insert(0, sys.argv[1])
from grader.instructor.course.driver import need_nbgrader
need_nbgrader()
assert "requests" not in sys.modules and "soupsieve" not in sys.modules
import bs4, nbgrader.auth.jupyterhub
assert bs4.BeautifulSoup("<p class=a>found</p>", "html.parser").select("p.a")[0].text == "found"
assert nbgrader.auth.jupyterhub.requests.get.__module__.startswith("requests")
"""


def test_what_nbgraders_import_leaves_out_is_there_when_it_is_used() -> None:
    ran = run(_LATER, ROOT)
    assert ran.returncode == 0, ran.stderr


_OTHERWISE = """
import sys
sys.path.insert(0, sys.argv[1])
from grader.instructor.course import driver
driver._WHEN_USED = (sys.argv[2],)
driver.need_nbgrader()
import nbgrader.api, nbgrader.apps
nbgrader.api.Gradebook, nbgrader.apps.NbGraderAPI
"""


@pytest.mark.parametrize("name", ["sqlalchemy", "jupyter_server"])  # `from it import a` and `import it.a`
def test_nbgrader_is_imported_though_it_uses_at_once_what_is_imported_later(name: str) -> None:
    ran = run(_OTHERWISE, ROOT, name)
    assert ran.returncode == 0, ran.stderr


def test_nbgrader_is_the_instructors_extra_alone() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert not [name for name in project["dependencies"] if name.startswith("nbgrader")]
    assert [name for name in project["optional-dependencies"]["instructor"] if name.startswith("nbgrader")]


def test_a_folder_that_is_no_course_is_told(grade: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    for command in (("course", "publish", "plain"), ("course", "collect", "plain", "plain")):
        ran = grade(*command)
        assert ran.returncode == 2
        assert (
            "plain is no course: there is no nbgrader_config.py. Make one: grade course init plain"
            in ran.stderr
        )


# -- the helpers of the notebook


@pytest.mark.parametrize("init", [None, "given = 3\n"])
def test_the_folders_modules_become_the_package_student(
    tmp_path: Path, init: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as in a notebook: no package that `grade reproduce` would train stands in this process
    ours = [finder for finder in sys.meta_path if not type(finder).__module__.startswith("grader.")]
    monkeypatch.setattr(sys, "meta_path", ours)
    folder = tmp_path / "lenet5"
    folder.mkdir()
    (folder / "layers.py").write_text("def relu(x):\n    return 'mine'\n")
    (folder / "training.py").write_text("from .layers import relu\n")
    if init is not None:
        (folder / "__init__.py").write_text(init)
    before = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "student"}
    try:
        use_this_folder(folder)
        from student.training import relu

        assert relu(1) == "mine"
        (folder / "layers.py").write_text("def relu(x):\n    return 'anew, and longer'\n")
        use_this_folder(folder)  # as when the cell is run again
        from student.layers import relu

        assert relu(1) == "anew, and longer"
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "student"]:
            del sys.modules[name]
        sys.modules.update(before)


def test_a_folder_without_the_files_is_told(tmp_path: Path) -> None:
    with pytest.raises(ImportError, match=r"There is no layers\.py in .*: open the notebook in the folder"):
        use_this_folder(tmp_path)


def test_checking_a_task_in_a_cell_passes_or_raises(capsys: pytest.CaptureFixture[str]) -> None:
    from grader.notebook import ChecksFailed

    check("relu", ROOT / "solutions")
    assert "relu: all public checks pass (0.5 of 0.5 points" in capsys.readouterr().out
    with pytest.raises(ChecksFailed, match=r"relu: missing, 0 of 0\.5 points"):
        check("relu", ROOT / "student")
    with pytest.raises(LookupError, match="There is no task 'rleu'"):
        check("rleu", ROOT / "solutions")


def test_a_failure_in_a_cell_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from grader.notebook import ChecksFailed

    (tmp_path / "layers.py").write_text("def relu(x):\n    return x.abs()\n")
    with pytest.raises(ChecksFailed, match="relu: failed"):
        check("relu", tmp_path)
    said = capsys.readouterr().out
    assert "asked" in said
    assert "grade check relu/values" in said


def test_every_cell_of_the_notebook_finds_what_it_imports() -> None:
    """The names that the notebook's given cells import are there; the whole notebook runs in a slow test."""
    cells = json.loads((ROOT / "student" / "report.ipynb").read_text(encoding="utf-8"))["cells"]
    given = [c for c in cells if c["cell_type"] == "code" and not c["metadata"]["nbgrader"]["solution"]]
    code = "\n".join("".join(c["source"]) for c in given if not c["metadata"]["nbgrader"]["grade"])
    ran = run(f"{code}\nprint(len(batches(data())[0]))", cwd=ROOT / "solutions")
    assert ran.stdout == "24\n", ran.stderr


@pytest.mark.slow
def test_the_authors_notebook_runs_from_top_to_bottom(tmp_path: Path) -> None:
    """On drawn digits, with the student's own functions: here the solutions."""
    nbformat = pytest.importorskip("nbformat")
    from nbclient import NotebookClient

    notebook = nbformat.read(ROOT / "solutions" / "report.ipynb", 4)
    for cell in notebook.cells:
        if cell.metadata.nbgrader.grade_id == "b-runs":
            cell.source = cell.source.replace("EPOCHS = 5", "EPOCHS = 1")
        cell.source = cell.source.replace("drawn_digits(1500, 500)", "drawn_digits(300, 100)")
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(ROOT / "solutions")}}).execute()
    images = [o for c in notebook.cells for o in c.get("outputs", []) if "image/png" in o.get("data", {})]
    assert len(images) == 3
