"""What is published of one submission: its record, its notebook as handed in, and when it came.

Reads a course's `submitted/` and its records, and keeps what the answers were when they were published last.
"""

import datetime
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from grader.assignment import TASKS
from grader.instructor.collect import Handed, read
from grader.instructor.course import CourseError
from grader.instructor.course.answers import Answer
from grader.instructor.course.layout import NOTEBOOK, Course, collected
from grader.instructor.records import read_record, record_path
from grader.report import Report


@dataclass(frozen=True, slots=True)
class Entry:
    """One submission on its way to the gradebook. `notebook`: as handed in, None where there is none.

    folder: where its files are, to be copied beside the notebook; None for none.
    """

    student: str
    report: Report
    notebook: bytes | None
    problems: tuple[str, ...]
    timestamp: datetime.datetime | None
    folder: Path | None


@dataclass(frozen=True, slots=True)
class Refused:
    """A submission that is not published, and why."""

    student: str
    why: str


def course_entry(course: Course, student: str) -> Entry | Refused:
    """The submission of `student` in the course with its record; `Refused` where that does not speak of it."""
    folder = course.submitted(student)
    submission = read(Handed(student, folder, "course"))
    report = read_record(course.results / "records", student)
    again = f"run grade all {course.root} first"
    if report is None:
        return Refused(student, f"there is no record of it: {again}")
    if report.digest != submission.digest:
        return Refused(student, f"its record speaks of other files than those in {folder}: {again}")
    if missing := [task.name for task in TASKS if task.name not in {found.task for found in report.tasks}]:
        return Refused(student, f"its record has no result of {', '.join(missing[:3])}: {again}")
    notebook, problems = read_notebook(folder)
    return Entry(
        student,
        report,
        notebook,
        (*submission.problems, *problems, *collected(folder)["notebook"]),
        _timestamp(folder),
        folder,
    )


def read_notebook(folder: Path) -> tuple[bytes | None, tuple[str, ...]]:
    """The notebook of a submission's folder, None for none, and what is to be said of it."""
    path = folder / f"{NOTEBOOK}.ipynb"
    try:
        if path.is_symlink():
            return None, (f"{path.name} is a link: it was left out",)
        return path.read_bytes(), ()
    except FileNotFoundError:
        return None, (f"there is no {path.name}: the answers count as not given",)
    except OSError as error:
        return None, (f"{path.name} cannot be read ({error.strerror})",)


def _timestamp(folder: Path) -> datetime.datetime | None:
    """When it was handed in, UTC without a zone; None where nobody noted it."""
    from nbgrader.utils import parse_utc

    try:
        text = (folder / "timestamp.txt").read_text(encoding="utf-8").strip()
        return parse_utc(text) if text else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, OverflowError) as error:
        raise CourseError(
            f"{folder / 'timestamp.txt'} holds no time ({error}). Write one like 2026-05-01 23:59:00 UTC, or"
            " delete the file."
        ) from error


def answer_digests(answers: Mapping[str, Answer]) -> dict[str, str]:
    """What is kept of answers to see later whether they changed."""
    return {name: answer.digest for name, answer in answers.items()}


def answers_path(course: Course, student: str) -> Path:
    """Where the answers that were published last are kept."""
    return record_path(course.results / "answers", student)


def published_answers(course: Course, student: str) -> dict[str, str]:
    """The answers that were published last, as `answer_digests`; empty where nothing is known."""
    try:
        found = json.loads(answers_path(course, student).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def keep_answers(course: Course, student: str, answers: Mapping[str, Answer]) -> None:
    """Note the answers that are in the gradebook now; where the note is lost, all count as changed."""
    path = answers_path(course, student)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(answer_digests(answers), indent=1), encoding="utf-8")
    os.replace(temporary, path)
