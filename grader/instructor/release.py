"""What students receive: `student/` made from `solutions/`, and the student's kit as one zip.

A stub is the solution's file with each marked body taken out; nbgrader's markers, in `.py` files:

    ### BEGIN SOLUTION
    ...
    ### END SOLUTION

The report's notebook is made by nbgrader itself (`grader.instructor.report_notebook`).

The same sources give the same bytes. No kit is written before all of it was searched for lines of
solutions and of hidden checks; a marker that is in doubt stops the release.
"""

import ast
import io
import re
import tempfile
import tomllib
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from grader.assignment import MODULES, TASKS
from grader.explain import descriptions
from grader.instructor import report_notebook
from grader.instructor.course import CourseError
from grader.instructor.handout import render

BEGIN = "### BEGIN SOLUTION"
END = "### END SOLUTION"
STUB = ("# YOUR CODE HERE", "raise NotImplementedError()")

_LIKE_A_MARKER = re.compile(r"#+\s*(begin|end)\s+(solution|hidden)", re.IGNORECASE)
_SHORT = 12  # a line of so few characters (`y = x + bias`) gives nothing away
_EPOCH = (1980, 1, 1, 0, 0, 0)  # of every file in the zip
_PYPROJECT_TABLES = (
    "build-system",
    "project",
    "project.scripts",
    "tool.setuptools",
    "tool.setuptools.packages.find",
    "tool.setuptools.package-data",
)


class ReleaseError(Exception):
    """The sources must be mended before a release; the text says where and how."""


def release(root: Path, out: Path) -> list[Path]:
    """Make `root/student` from `root/solutions` and the kit's zip in `out`; the two paths.

    The report's notebook in `solutions/` gets its test cells first: one for each task of the table, with its
    points. Raises `ReleaseError`; `student/` is then as it was, or whole.
    """
    student = root / "student"
    try:
        report_notebook.write_test_cells(root / "solutions" / report_notebook.NAME)
    except CourseError as error:
        raise ReleaseError(str(error)) from error
    write_student(root / "solutions", student)
    return [student, write_kit(root, out)]


# -- stubs --------------------------------------------------------------------------------------------


def make_stub(source: str, name: str) -> str:
    """The source with every marked body replaced by `STUB`, and without imports that only those needed.

    name: the file's, for messages. Raises `ReleaseError` for a marker that is misspelt, nested, stray,
    never closed or at the top level, and where the result is no Python.
    """
    lines = []
    opened = 0  # number of the line with the open BEGIN, 0 outside a solution
    for number, line in enumerate(source.splitlines(), 1):
        marker = line.strip()
        if marker not in (BEGIN, END):
            if _LIKE_A_MARKER.search(line):
                raise ReleaseError(
                    f"{name}:{number}: this looks like a marker but is none. "
                    f"Write `{BEGIN}` or `{END}`, alone on its line."
                )
            if not opened:
                lines.append(line)
        elif marker == BEGIN:
            indent = line[: line.index("#")]
            if opened:
                raise ReleaseError(
                    f"{name}:{number}: a BEGIN within the solution that begins in line {opened}. "
                    f"Close that one with `{END}` first, or take this marker out."
                )
            if not indent:
                raise ReleaseError(
                    f"{name}:{number}: a solution at the top level would leave a file that raises when it is "
                    "imported. Put the markers into the function, around its body."
                )
            opened = number
            lines += [indent + stub for stub in STUB]
        else:
            if not opened:
                raise ReleaseError(
                    f"{name}:{number}: an END without a BEGIN. Put `{BEGIN}` before the body, or take the END out."
                )
            opened = 0
    if opened:
        raise ReleaseError(
            f"{name}:{opened}: this solution is never closed. Put `{END}` after its last line."
        )
    return _without_unused_imports(lines, name)


def _without_unused_imports(lines: list[str], name: str) -> str:
    """The stub's text without imports, at its top level, of names that it does not use."""
    text = "".join(f"{line}\n" for line in lines)
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise ReleaseError(
            f"{name}: without its solutions this is no Python: {error.msg}, in line {error.lineno} of the stub. "
            "Mark whole statements: the body of a function, not its signature or docstring."
        ) from error
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for node in reversed(tree.body):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        kept = [item for item in node.names if (item.asname or item.name.partition(".")[0]) in used]
        if len(kept) == len(node.names):
            continue
        assert node.end_lineno is not None
        first, last = node.lineno - 1, node.end_lineno
        node.names = kept
        replacement = [ast.unparse(node)] if kept else []
        if not kept and lines[first - 1 : first] == [""] and lines[last : last + 1] == [""]:
            first -= 1  # it was a paragraph of its own
        lines[first:last] = replacement
    return "".join(f"{line}\n" for line in lines)


def stubs(solutions: Path) -> dict[str, str]:
    """The files of `student/` by name: the package's first file and the graded modules.

    Raises `ReleaseError` where a marker is in doubt or a task would go out with its solution.
    """
    names = ["__init__.py", *(f"{module}.py" for module in MODULES)]
    made = {name: make_stub(_read(solutions / name), f"{solutions.name}/{name}") for name in names}
    for task in TASKS:
        if not _is_stub(made[f"{task.module}.py"], task.name):
            raise ReleaseError(
                f"{solutions.name}/{task.module}.py: {task.name} would go out with its solution. "
                f"Put `{BEGIN}` and `{END}` around its body."
            )
    return made


def _is_stub(text: str, name: str) -> bool:
    """Is there a function or class of that name that raises NotImplementedError?"""
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return any(
                ast.unparse(inner) == STUB[1] for inner in ast.walk(node) if isinstance(inner, ast.Raise)
            )
    return False


def student_files(solutions: Path) -> dict[str, bytes]:
    """All files of `student/` by name: the stubs, and the report's notebook. Raises `ReleaseError`."""
    made = {name: text.encode() for name, text in stubs(solutions).items()}
    try:
        made[report_notebook.NAME] = report_notebook.student_notebook(solutions / report_notebook.NAME)
    except CourseError as error:
        raise ReleaseError(str(error)) from error
    return made


def write_student(solutions: Path, student: Path) -> None:
    """Make the folder `student` from `solutions`; a `.py` file in it that is not made from them goes."""
    made = student_files(solutions)
    student.mkdir(parents=True, exist_ok=True)
    for path in student.glob("*.py"):
        if path.name not in made:
            path.unlink()
    for name, data in made.items():
        (student / name).write_bytes(data)


# -- the kit ------------------------------------------------------------------------------------------


def write_kit(root: Path, out: Path) -> Path:
    """Write the student's kit to `out/lenet5-kit-VERSION.zip`, all in one folder of that name; its path.

    Runs the public checks on the solutions, for what they expect. Raises `ReleaseError` where a line of
    a solution or of a hidden check would be in it; nothing is written then.
    """
    files = kit_files(root)
    refuse_leaks(files, secret_lines(root))
    out.mkdir(parents=True, exist_ok=True)
    written = kit_path(root, out)
    written.write_bytes(kit_archive(root, files))
    return written


def kit_path(root: Path, out: Path) -> Path:
    """Where in `out` the kit of this version is written."""
    return out / f"{_kit_name(root)}.zip"


def kit_archive(root: Path, files: Mapping[str, bytes]) -> bytes:
    """The kit's zip; the same files give the same bytes."""
    name = _kit_name(root)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as kit:
        for path, data in sorted(files.items()):
            entry = zipfile.ZipInfo(f"{name}/{path}", _EPOCH)
            entry.create_system = 3  # Unix, on whatever machine: it gives the next line its meaning
            entry.external_attr = 0o644 << 16
            kit.writestr(entry, data, zipfile.ZIP_DEFLATED)
    return archive.getvalue()


def _kit_name(root: Path) -> str:
    project = tomllib.loads(_read(root / "pyproject.toml"))["project"]
    return f"{project['name']}-{project['version']}"


def kit_files(root: Path) -> dict[str, bytes]:
    """All files of the kit, by their paths in it. Raises `ReleaseError`."""
    handout = root / "docs" / "handout"
    figures = {f"figures/{path.name}": path.read_bytes() for path in handout.glob("figures/*.svg")}
    text = _read(handout / "handout.md")
    grader = [
        path
        for path in (root / "grader").rglob("*")
        if path.suffix in (".py", ".j2", ".bpf") and (root / "grader" / "instructor") not in path.parents
    ]
    return {
        **{f"student/{name}": data for name, data in student_files(root / "solutions").items()},
        **{path.relative_to(root).as_posix(): path.read_bytes() for path in grader},
        "grader/py.typed": b"",
        "grader/checks/expectations.npz": _recordings(),
        "grader/checks/tasks.json": _descriptions(root, text),
        "datasets.py": (root / "datasets.py").read_bytes(),
        "pyproject.toml": student_pyproject(_read(root / "pyproject.toml")).encode(),
        "LICENSE": (root / "LICENSE").read_bytes(),
        "README.md": (handout / "kit_readme.md").read_bytes(),
        "HANDOUT.md": text.encode(),
        "HANDOUT.html": render(text, figures).encode(),
        **figures,
    }


def _recordings() -> bytes:
    from grader.instructor.recordings import write_recordings  # imports torch

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "expectations.npz"
        write_recordings(path)
        return path.read_bytes()


def _descriptions(root: Path, handout: str) -> bytes:
    """What `grade explain` says of the tasks, from the stubs."""
    made = stubs(root / "solutions")
    found = descriptions({module: made[f"{module}.py"] for module in MODULES}, handout)
    return msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n"


def student_pyproject(text: str) -> str:
    """The repository's pyproject.toml without what only its authors and instructors need."""
    tables = re.split(r"^(?=\[)", text, flags=re.MULTILINE)
    kept = [table for table in tables if table[1:].partition("]")[0] in _PYPROJECT_TABLES]
    return re.sub(r', "instructor/[^"]*"', "", "".join(kept)).rstrip() + "\n"


def secret_lines(root: Path) -> dict[str, str]:
    """Lines that must not go out, without indentation, and where each is from.

    A line that a stub or a public check has, too, is no secret.
    """
    given = {line.strip() for stub in stubs(root / "solutions").values() for line in stub.splitlines()}
    checks = root / "grader" / "checks"
    public = {line.strip() for path in checks.rglob("*.py") for line in _read(path).splitlines()}
    secret = {}
    for module in MODULES:
        for line in solution_lines(_read(root / "solutions" / f"{module}.py")):
            if line not in given:
                secret[line] = f"solutions/{module}.py"
    notebook = root / "solutions" / report_notebook.NAME
    secret |= dict.fromkeys(report_notebook.answer_lines(notebook), f"solutions/{notebook.name}")
    for path in sorted((root / "grader" / "instructor" / "checks").rglob("*.py")):
        for line in map(str.strip, _read(path).splitlines()):
            if len(line) > _SHORT and line not in public and not line.startswith("@check("):
                secret[line] = path.relative_to(root).as_posix()
    return secret


def solution_lines(source: str) -> Iterable[str]:
    """The lines between the markers that are long enough to tell something, without indentation."""
    inside = False
    for line in map(str.strip, source.splitlines()):
        if line in (BEGIN, END):
            inside = line == BEGIN
        elif inside and len(line) > _SHORT:
            yield line


def refuse_leaks(files: Mapping[str, bytes], secret: Mapping[str, str]) -> None:
    """Raise `ReleaseError` where a file of the kit has a secret line, or a name that has no place in it."""
    for name, data in sorted(files.items()):
        if {"instructor", "solutions", "tests"} & set(name.split("/")):
            raise ReleaseError(f"{name} has no place in a student's kit: it is the instructor's.")
        lines = data.decode("utf-8", "replace").splitlines()
        if name.endswith(".ipynb"):
            lines = list(report_notebook.notebook_lines(data))
        for number, line in enumerate(lines, 1):
            if line.strip() in secret:
                raise ReleaseError(
                    f"{name}:{number} would give away a line of {secret[line.strip()]}: {line.strip()!r}. "
                    "Take it out of one of the two, or write it in another way."
                )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ReleaseError(
            f"{path} cannot be read: {error.strerror}. Run this in the whole repository."
        ) from error
