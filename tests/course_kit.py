"""Courses for tests: the released notebook with answers, submissions, and records without an examination."""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conftest import ROOT, solution_files

from grader.assignment import TASKS
from grader.instructor.collect import Handed, read
from grader.instructor.course.layout import CONFIG, Course
from grader.instructor.records import record_path
from grader.outcomes import Outcome
from grader.report import CheckResult, Report, TaskResult, encode

RELEASED: dict[str, Any] = json.loads((ROOT / "student" / "report.ipynb").read_text(encoding="utf-8"))
MODEL = (ROOT / "solutions" / "report.ipynb").read_bytes()
ANSWERS = ("a1", "a2", "a3", "a4", "b", "c1", "c2", "c3")
FULL = {task.name: float(task.points) for task in TASKS}


def grade_id(cell: Mapping[str, Any]) -> str:
    return cell["metadata"].get("nbgrader", {}).get("grade_id", "")


def cell_of(notebook: Mapping[str, Any], name: str) -> dict[str, Any]:
    (found,) = (cell for cell in notebook["cells"] if grade_id(cell) == name)
    return found


def text_of(cell: Mapping[str, Any]) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def notebook(**answers: str) -> dict[str, Any]:
    """The released notebook with these answers (`b_figure` for the cell b-figure)."""
    made = copy.deepcopy(RELEASED)
    for name, source in answers.items():
        cell_of(made, name.replace("_", "-"))["source"] = source
    return made


def as_bytes(made: Mapping[str, Any]) -> bytes:
    return json.dumps(made).encode()


def result(
    task: str, lost: float = 0.0, outcome: Outcome = Outcome.FAILED, visibility: Any = "public", **words: Any
) -> TaskResult:
    """A task of two checks, of which the second, worth `lost`, did not pass."""
    worth = FULL[task]
    checks = [CheckResult(f"public/{task}/values", task, "It works.", "public", worth - lost, Outcome.PASSED)]
    if lost:
        name = f"{visibility}/{task}/stride"
        checks.append(CheckResult(name, task, "It moves.", visibility, lost, outcome, **words))
    return TaskResult(task, worth, tuple(checks))


def report(student: str, digest: str = "", *changed: TaskResult, problems: tuple[str, ...] = ()) -> Report:
    """Full points but for the tasks in `changed`."""
    by_name = {task.task: task for task in changed}
    tasks = tuple(by_name.get(task.name, result(task.name)) for task in TASKS)
    return Report(student, digest, "kit", tasks, problems=problems)


def empty_course(root: Path) -> Course:
    """A course as far as collecting needs one: no nbgrader took part."""
    course = Course(root.resolve())
    course.release().mkdir(parents=True)
    (course.release() / "report.ipynb").write_bytes(as_bytes(RELEASED))
    (course.root / CONFIG).write_text("c = get_config()\n")
    return course


def hand_in(
    course: Course, student: str, made: bytes | None = b"", files: Mapping[str, bytes] | None = None
) -> None:
    """Put a submission into `submitted/`; `made` b"" for the released notebook, None for none."""
    folder = course.submitted(student)
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in (solution_files() if files is None else files).items():
        (folder / name).write_bytes(data)
    path = folder / "report.ipynb"
    path.unlink(missing_ok=True)
    if made is not None:
        path.write_bytes(made or as_bytes(RELEASED))


def record(course: Course, student: str, *changed: TaskResult) -> Report:
    """Write a record of what is in `submitted/` now."""
    digest = read(Handed(student, course.submitted(student), "course")).digest
    made = report(student, digest, *changed)
    path = record_path(course.results / "records", student)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(made))
    return made
