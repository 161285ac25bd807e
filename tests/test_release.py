"""`grade release`: the stubs, and the student's kit, in which there is no solution and no hidden check."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT, SOLUTIONS

from grader.assignment import MODULES, TASKS
from grader.examine import examine
from grader.instructor import commands, release, report_notebook
from grader.instructor.authoring.proof import handout_gaps
from grader.instructor.course import CourseError
from grader.instructor.handout import render
from grader.instructor.release import ReleaseError, make_stub
from grader.outcomes import Outcome
from grader.submission import read_folder

HANDOUT = ROOT / "docs" / "handout"
STUDENT = ROOT / "student"
FILES = ["__init__.py", *(f"{module}.py" for module in MODULES)]


def lines(*text: str) -> str:
    return "".join(f"{line}\n" for line in text)


# -- one stub -----------------------------------------------------------------------------------------


def test_stub_keeps_all_but_the_body() -> None:
    source = lines(
        '"""A module."""',
        "",
        "import math",
        "",
        "",
        "class Area:",
        "    def of(self, radius: float) -> float:",
        '        """pi r^2"""',
        "        ### BEGIN SOLUTION",
        "        square = radius**2",
        "        return math.pi * square",
        "        ### END SOLUTION",
        "",
        "    def unit(self) -> float:",
        "        return self.of(math.sqrt(1))",
    )
    assert make_stub(source, "area.py") == lines(
        '"""A module."""',
        "",
        "import math",
        "",
        "",
        "class Area:",
        "    def of(self, radius: float) -> float:",
        '        """pi r^2"""',
        "        # YOUR CODE HERE",
        "        raise NotImplementedError()",
        "",
        "    def unit(self) -> float:",
        "        return self.of(math.sqrt(1))",
    )


@pytest.mark.parametrize(
    ("imports", "kept"),
    [
        (["import math"], []),
        (["import math", "import os"], ["import os"]),
        (["from math import pi, tau"], ["from math import tau"]),
        (["import os.path", "from math import pi as p"], ["import os.path"]),
        (["import os", "", "from math import (", "    pi,", ")", "", "A = 1"], ["import os", "", "A = 1"]),
    ],
)
def test_stub_drops_imports_that_only_the_solution_needs(imports: list[str], kept: list[str]) -> None:
    given = "def given():\n    return os, tau\n"
    body = ("def f():", "    ### BEGIN SOLUTION", "    return pi, math", "    ### END SOLUTION")
    stub = ("def f():", "    # YOUR CODE HERE", "    raise NotImplementedError()")
    assert make_stub(lines(*imports, *body) + given, "f.py") == lines(*kept, *stub) + given


BEGIN, END, DEF = "    ### BEGIN SOLUTION", "    ### END SOLUTION", "def f():"


@pytest.mark.parametrize(
    ("source", "where", "mend"),
    [
        ([DEF, BEGIN, "    return 1"], "f.py:2", "never closed. Put `### END SOLUTION`"),
        ([DEF, "    return 1", END], "f.py:3", "Put `### BEGIN SOLUTION` before"),
        ([DEF, BEGIN, "    return 1", END, END], "f.py:5", "END without a BEGIN"),
        ([DEF, BEGIN, BEGIN, "    return 1", END], "f.py:3", "begins in line 2. Close that one"),
        ([DEF, "    return (", BEGIN, "    1", END, "    )"], "f.py", "Mark whole statements"),
        ([BEGIN, DEF, "    return 1", END], "f.py", "Mark whole statements"),
        (["### BEGIN SOLUTION", "A = 1", "### END SOLUTION"], "f.py:1", "into the function"),
        ([DEF, "    ### BEGIN SOLUTIONS", "    return 1", "    ### END SOLUTIONS"], "f.py:2", "Write `###"),
        ([DEF, "    ## Begin solution", "    return 1", "    ## End solution"], "f.py:2", "Write `###"),
        ([DEF, "    return 1  ### BEGIN SOLUTION", END], "f.py:2", "alone on its line"),
        ([DEF, "    ### BEGIN HIDDEN TESTS", "    return 1"], "f.py:2", "Write `###"),
    ],
)
def test_a_marker_in_doubt_is_refused(source: list[str], where: str, mend: str) -> None:
    with pytest.raises(ReleaseError, match=re.escape(where)) as error:
        make_stub(lines(*source), "f.py")
    assert mend in str(error.value)


# -- student/ -----------------------------------------------------------------------------------------


def test_student_is_what_release_makes(tmp_path: Path) -> None:
    release.write_student(SOLUTIONS, tmp_path)
    made = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    committed = {path.name: (STUDENT / path.name).read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert sorted(made) == sorted([*FILES, "report.ipynb"])
    assert committed == made, "run `grade release` and commit student/"


def test_student_loses_old_files(tmp_path: Path) -> None:
    (tmp_path / "gone.py").write_text("old = 1\n")
    release.write_student(SOLUTIONS, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*FILES, "report.ipynb"])


@pytest.mark.parametrize("name", FILES)
def test_no_line_of_a_solution_is_in_student(name: str) -> None:
    stub = {line.strip() for line in (STUDENT / name).read_text(encoding="utf-8").splitlines()}
    inside, solution = False, set()
    for line in (SOLUTIONS / name).read_text(encoding="utf-8").splitlines():
        if "SOLUTION" in line:
            inside = "BEGIN" in line
        elif inside and line.strip():
            solution.add(line.strip())
    assert not stub & solution


def test_no_line_of_a_model_answer_or_mark_scheme_is_in_the_students_notebook() -> None:
    text = (STUDENT / "report.ipynb").read_text(encoding="utf-8")
    answers = set(report_notebook.answer_lines(SOLUTIONS / "report.ipynb"))
    assert len(answers) > 100
    assert not answers & set(report_notebook.notebook_lines(text.encode()))
    assert "Mark scheme" not in text
    assert not re.search(r'"outputs": \[\n', text), "outputs of the author's run"


def test_the_notebooks_cells_have_nbgraders_metadata_and_the_assignments_points() -> None:
    cells = json.loads((STUDENT / "report.ipynb").read_text(encoding="utf-8"))["cells"]
    about = {cell["metadata"]["nbgrader"]["grade_id"]: cell["metadata"]["nbgrader"] for cell in cells}
    tests = {name: one["points"] for name, one in about.items() if one["grade"] and not one["solution"]}
    written = {name: one["points"] for name, one in about.items() if one["grade"] and one["solution"]}
    assert tests == {task.name: task.points for task in TASKS}
    assert written == report_notebook.WRITTEN
    assert (sum(tests.values()), sum(written.values())) == (55, 45)
    assert all(about[name]["locked"] for name in tests)
    assert {one["schema_version"] for one in about.values()} == {3}
    for cell in cells:
        if cell["metadata"]["nbgrader"]["grade_id"] in tests:
            assert "".join(cell["source"]) == f'check("{cell["metadata"]["nbgrader"]["grade_id"]}")'


def notebook_with(path: Path, name_of_cell: str, **changes: object) -> Path:
    """The author's notebook with one cell changed; `points` is of its metadata."""
    made = json.loads((SOLUTIONS / "report.ipynb").read_text(encoding="utf-8"))
    (cell,) = (cell for cell in made["cells"] if cell["metadata"]["nbgrader"]["grade_id"] == name_of_cell)
    for name, value in changes.items():
        (cell["metadata"]["nbgrader"] if name in cell["metadata"]["nbgrader"] else cell)[name] = value
    path.write_text(json.dumps(made), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("grade_id", "changes", "says"),
    [
        ("conv2d", {"points": 5}, "the graded cell conv2d has 5 points and should have 6"),
        ("a1", {"points": 9}, "the graded cell a1 has 9 points and should have 8"),
        ("b", {"grade_id": "b2"}, "the graded cell b2? has"),
        ("a2", {"source": "### BEGIN SOLUTION\nx"}, "nbgrader cannot make the student's version.*[Nn]o end"),
        (
            "a1-question",
            {"source": "**Dropout.** In training each activation is set to 0 with probability $p$"},
            None,
        ),
        ("a1-question", {"source": "What?\n### BEGIN SOLUTION\nThis.\n### END SOLUTION"}, "Solution region"),
    ],
)
def test_a_notebook_in_doubt_is_not_released(
    tmp_path: Path, grade_id: str, changes: dict[str, object], says: str | None
) -> None:
    path = notebook_with(tmp_path / "report.ipynb", grade_id, **changes)
    if says is None:
        assert report_notebook.student_notebook(path)  # a line that stands elsewhere, too, is no secret
        return
    with pytest.raises(CourseError, match=says):
        report_notebook.student_notebook(path)


@pytest.mark.parametrize("data", [b"", b"[]", b'{"cells": 1}'])
def test_a_notebook_that_cannot_be_read_is_told(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "report.ipynb").write_bytes(data)
    with pytest.raises(CourseError, match="cannot be read"):
        report_notebook.student_notebook(tmp_path / "report.ipynb")


@pytest.mark.parametrize("name", FILES)
def test_signatures_and_docstrings_stay(name: str) -> None:
    def outline(path: Path) -> list[tuple[str, str | None]]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        return [(f"{node.name}({ast.unparse(node.args)})", ast.get_docstring(node)) for node in functions]

    assert outline(STUDENT / name) == outline(SOLUTIONS / name)


def test_every_check_of_student_says_missing() -> None:
    report = examine(read_folder(STUDENT))
    outcomes = {check.id: check.outcome for task in report.tasks for check in task.checks}
    assert set(outcomes.values()) == {Outcome.MISSING}, outcomes


def test_a_task_without_markers_is_refused(tmp_path: Path) -> None:
    shutil.copytree(SOLUTIONS, tmp_path / "solutions")
    layers = tmp_path / "solutions" / "layers.py"
    text = layers.read_text(encoding="utf-8")
    body = re.compile(r"    ### BEGIN SOLUTION\n(    return x.clamp.*\n)    ### END SOLUTION\n")
    layers.write_text(body.sub(r"\1", text), encoding="utf-8")
    with pytest.raises(ReleaseError, match=r"layers.py: relu would go out with its solution"):
        release.write_student(tmp_path / "solutions", tmp_path / "student")
    assert not (tmp_path / "student").exists()


# -- the kit ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The student's kit as `grade release` writes it."""
    return release.write_kit(ROOT, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def contents(kit: Path) -> dict[str, bytes]:
    """The kit's files by their paths below its one folder."""
    with zipfile.ZipFile(kit) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def unzipped(kit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kit's folder, unzipped on its own."""
    where = tmp_path_factory.mktemp("home")
    with zipfile.ZipFile(kit) as archive:
        archive.extractall(where)
    return where / kit.stem


@pytest.mark.slow
def test_kit_lies_in_one_folder_with_its_version(kit: Path) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert kit.name == f"lenet5-kit-{version}.zip"
    with zipfile.ZipFile(kit) as archive:
        assert {name.split("/")[0] for name in archive.namelist()} == {kit.stem}
        assert archive.namelist() == sorted(archive.namelist())


def test_kit_holds_what_a_student_needs_and_nothing_else(contents: dict[str, bytes]) -> None:
    figures = {f"figures/{path.name}" for path in HANDOUT.glob("figures/*.svg")}
    grader = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "grader").rglob("*")
        if path.suffix in (".py", ".j2", ".bpf") and "instructor" not in path.parts
    }
    assert {path for path in grader if path.startswith("grader/checks/public/")}
    assert set(contents) == {
        *(f"student/{name}" for name in (*FILES, "report.ipynb")),
        *grader,
        *figures,
        *("grader/py.typed", "grader/checks/expectations.npz", "grader/checks/tasks.json", "datasets.py"),
        *("pyproject.toml", "LICENSE", "README.md", "HANDOUT.md", "HANDOUT.html"),
    }
    assert not [name for name in contents if re.search("instructor|solutions|tests/|hidden", name)]


def test_kit_names_no_hidden_check(contents: dict[str, bytes]) -> None:
    hidden = {
        name
        for path in (ROOT / "grader" / "instructor" / "checks").glob("test_*.py")
        for name in re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8"))
    }
    assert hidden
    text = b"\n".join(contents.values()).decode("utf-8", "replace")
    assert not [name for name in hidden if f"{name}(" in text]


@pytest.mark.slow
def test_kit_is_the_same_each_time(kit: Path, tmp_path: Path) -> None:
    assert release.write_kit(ROOT, tmp_path).read_bytes() == kit.read_bytes()


@pytest.mark.parametrize(
    "source", ["solutions/lenet.py", "solutions/report.ipynb", "grader/instructor/checks/test_layers.py"]
)
def test_a_line_of_a_solution_or_hidden_check_stops_the_release(source: str) -> None:
    secret = release.secret_lines(ROOT)
    line = next(line for line, origin in secret.items() if origin == source)
    with pytest.raises(ReleaseError, match=re.escape(f"HANDOUT.md:2 would give away a line of {source}")):
        release.refuse_leaks({"HANDOUT.md": f"Tip:\n    {line}\n".encode()}, secret)


def test_a_line_of_a_solution_in_a_notebook_stops_the_release() -> None:
    secret = release.secret_lines(ROOT)
    line = next(line for line, origin in secret.items() if origin == "solutions/layers.py")
    kit = {"student/report.ipynb": json.dumps({"cells": [{"source": [f"  {line}\n"]}]}).encode()}
    with pytest.raises(
        ReleaseError, match=r"student/report.ipynb:\d+ would give away a line of solutions/layers"
    ):
        release.refuse_leaks(kit, secret)


@pytest.mark.parametrize("name", ["grader/instructor/mistakes.py", "solutions/layers.py", "tests/mutants.py"])
def test_a_file_of_the_instructor_stops_the_release(name: str) -> None:
    with pytest.raises(ReleaseError, match="no place in a student's kit"):
        release.refuse_leaks({name: b""}, {})


def test_students_pyproject_has_the_same_ranges_and_no_tools(contents: dict[str, bytes]) -> None:
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())
    theirs = tomllib.loads(contents["pyproject.toml"].decode())
    assert theirs["project"].pop("dependencies") == ours["project"]["dependencies"]
    assert theirs["project"]["scripts"] == ours["project"]["scripts"]
    assert "optional-dependencies" not in theirs["project"]
    assert set(theirs) == {"build-system", "project", "tool"}
    assert set(theirs["tool"]) == {"setuptools"}


def test_handout_has_every_task_with_its_points(contents: dict[str, bytes]) -> None:
    text = contents["HANDOUT.md"].decode()
    assert handout_gaps(text) == []


def test_handout_is_one_page_that_needs_no_network(contents: dict[str, bytes]) -> None:
    page = contents["HANDOUT.html"].decode()
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert {source.split(":")[0] for source in sources if not source.startswith("#")} == {"data"}
    anchors = set(re.findall(r'id="([^"]*)"', page))
    assert {source[1:] for source in sources if source.startswith("#")} <= anchors
    assert page.count("<img ") == page.count("data:image/svg+xml") == len(list(HANDOUT.glob("figures/*.svg")))
    assert all(re.findall(r'<img [^>]*alt="[^"]{40,}"', image) for image in re.findall(r"<img [^>]*>", page))
    assert "$" not in re.sub(r"<code>.*?</code>", "", page, flags=re.DOTALL), "a formula was not read as one"
    assert page.count("<math ") > 60


def test_handout_refuses_a_figure_that_is_not_there() -> None:
    with pytest.raises(KeyError):
        render("# Title\n\n![A figure](figures/none.svg)\n", {})


@pytest.fixture(scope="module")
def installed(unzipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command `grade` of the unzipped kit, installed into an environment of its own.

    The environment borrows the libraries of this one (torch has gigabytes), but not its `grader`.
    """
    environment = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (packages,) = environment.rglob("site-packages")
    (packages / "borrowed.pth").write_text(f"{Path(pytest.__file__).parents[1]}\n")
    options = ["--offline", "--no-deps", "--no-build-isolation", "--quiet", "--python", environment]
    subprocess.run([sys.executable, "-m", "uv", "pip", "install", *options, unzipped], check=True)
    (grade,) = environment.glob("*/grade*")
    return grade


def run_without_network(command: list[str | Path], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run with the network taken away, where the machine lets us."""
    unshare = ["unshare", "--net", "--map-root-user"]
    if not shutil.which("unshare") or subprocess.run([*unshare, "true"], capture_output=True).returncode:
        unshare = []
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [*unshare, *command],
        cwd=cwd,
        env=ours | {"NO_COLOR": "1", "COLUMNS": "100", "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.slow
def test_installed_kit_shows_what_is_missing(installed: Path, unzipped: Path) -> None:
    result = run_without_network([installed, "check"], unzipped)
    assert result.returncode == 1, result.stderr
    for task in TASKS:
        assert re.search(rf"^{task.name} .*missing", result.stdout, re.MULTILINE), result.stdout


@pytest.mark.slow
def test_installed_kit_judges_by_its_recordings(installed: Path, unzipped: Path, tmp_path: Path) -> None:
    work = tmp_path / "student"
    shutil.copytree(SOLUTIONS, work)
    result = run_without_network([installed, "check"], tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    layers = work / "layers.py"
    layers.write_text(layers.read_text(encoding="utf-8").replace("x @ weight.T", "x @ weight.T + 1"))
    result = run_without_network([installed, "check", "linear"], tmp_path)
    assert result.returncode == 1, result.stderr
    assert "linear/values" in result.stdout
    assert not {"all", "release"} & set(run_without_network([installed, "--help"], tmp_path).stdout.split())


def test_the_command_says_what_it_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(release, "release", lambda root, out: [root / "student", out / "kit.zip"])
    monkeypatch.chdir(tmp_path)
    commands.release(tmp_path / "dist")
    assert capsys.readouterr().out.splitlines() == [
        f"the students' files: {STUDENT}",
        f"the kit to hand out: {Path('dist', 'kit.zip')}",
        "Does it hold together? grade doctor --assignment",
    ]
