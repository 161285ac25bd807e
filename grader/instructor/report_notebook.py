"""The report's notebook: the author's one in `solutions/`, and the student's made from it by nbgrader.

The author's holds model answers with mark schemes, and figures; the student's is what nbgrader's own
generate_assignment makes of it. It is made only where test cells and points are those of the assignment and no
line of an answer is left.
"""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grader.assignment import BY_NAME, TASKS, Task
from grader.instructor.course import CourseError
from grader.instructor.course.answers import Cell, UnreadableNotebook, read_cells, source_of
from grader.instructor.course.driver import generate_without_database

NAME = "report.ipynb"
WRITTEN: dict[str, int] = {"a1": 8, "a2": 4, "a3": 4, "a4": 4, "b": 10, "c1": 5, "c2": 5, "c3": 5}
_SHORT = 12  # a line of so few letters (a table's rule, `plt.show()`) gives nothing away


class StaleCells(CourseError):
    """The test cells are those of another table; `write_test_cells` makes them anew."""


def student_notebook(source: Path) -> bytes:
    """The student's version of the notebook `source`. Raises `CourseError` where it may not go out."""
    cells = _cells(source)
    _require_points(source, cells)
    with tempfile.TemporaryDirectory() as folder:
        made = generate_without_database(Path(folder), source)
    secret = set(answer_lines(source))
    for line in notebook_lines(made):
        if line in secret:
            raise CourseError(
                f"{source} would give away a line of an answer: {line!r}. It stands in another cell, too."
            )
    return made


def write_test_cells(source: Path) -> bool:
    """Give the author's notebook a test cell with the table's points for each task; was anything changed?

    A task that is new gets its cell after that of the task before it. No other cell is touched. Raises
    `CourseError` where the notebook cannot be read.
    """
    cells = _cells(source)
    notebook = json.loads(source.read_bytes())
    by_id = {_about(cell).get("grade_id"): cell for cell in cells}
    changed, place = False, 0
    for task in TASKS:
        found = by_id.get(task.name)
        if found is None:
            place += 1
            cells.insert(place, _test_cell(task))
            changed = True
            continue
        place = cells.index(found)
        if _about(found).get("points") != task.points:
            found["metadata"]["nbgrader"]["points"] = task.points
            changed = True
    if changed:
        notebook["cells"] = cells
        source.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return changed


def _test_cell(task: Task) -> Cell:
    about = {
        "grade": True,
        "grade_id": task.name,
        "locked": True,
        "points": task.points,
        "schema_version": 3,
        "solution": False,
        "task": False,
    }
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": task.name,
        "metadata": {"nbgrader": about},
        "outputs": [],
        "source": [f'check("{task.name}")'],
    }


def answer_lines(source: Path) -> Iterator[str]:
    """The lines of the answers in the author's notebook that are long enough to tell something."""
    cells = _cells(source)
    given = {line.strip() for cell in cells if not _about(cell).get("solution") for line in _lines(cell)}
    for cell in cells:
        if _about(cell).get("solution"):
            for line in map(str.strip, _lines(cell)):
                if sum(map(str.isalnum, line)) > _SHORT and line not in given:
                    yield line


def notebook_lines(data: bytes) -> Iterator[str]:
    """Every line of text in a notebook, of cells and of outputs, without indentation."""
    for text in _texts(json.loads(data)):
        yield from map(str.strip, text.splitlines())


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _cells(source: Path) -> list[Cell]:
    try:
        return read_cells(source.read_bytes())
    except OSError as error:
        raise CourseError(
            f"{source} cannot be read: {error.strerror}. Run this in the whole repository."
        ) from error
    except UnreadableNotebook as error:
        raise CourseError(f"{source} cannot be read: {error}.") from error


def _about(cell: Cell) -> dict[str, Any]:
    return cell.get("metadata", {}).get("nbgrader", {})


def _lines(cell: Cell) -> list[str]:
    return source_of(cell).splitlines()


def _require_points(source: Path, cells: list[Cell]) -> None:
    """Raise `CourseError` unless the graded cells are the assignment's, with its points."""
    found = {_about(c)["grade_id"]: _about(c).get("points") for c in cells if _about(c).get("grade")}
    wanted = {task.name: task.points for task in TASKS} | WRITTEN
    for name in [*sorted(found.keys() - wanted.keys()), *wanted]:  # strays first: no release can mend them
        if found.get(name) == wanted.get(name):
            continue
        message = (
            f"{source}: the graded cell {name} has {found.get(name, 'no')} points and should have "
            f"{wanted.get(name, 'none: there is no such task or question')}."
        )
        if name in BY_NAME:
            raise StaleCells(message)
        mend = "Give it these points in the notebook." if name in WRITTEN else "Take the cell out."
        raise CourseError(f"{message} {mend}")
