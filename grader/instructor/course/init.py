"""Makes a course that nbgrader and formgrader open as their own: configuration, source, release, header, roster.

`source/` gets the notebook with its answers and the *stubs* of the Python files, since nbgrader copies those to the
students as they are. What is there already is never overwritten without being asked for; the gradebook, what was
handed in and what was graded never are.
"""

import datetime
import json
from pathlib import Path
from typing import Any

from grader.assignment import MODULES
from grader.instructor import report_notebook
from grader.instructor.course import CourseError
from grader.instructor.course.answers import read_cells, source_of
from grader.instructor.course.driver import api, quiet, succeed
from grader.instructor.course.layout import ASSIGNMENT, COLLECTED, HANDED_IN, NOTEBOOK, Course
from grader.instructor.handout import render
from grader.instructor.release import stubs
from grader.instructor.roster import COLUMNS

CONFIG_TEXT = '''\
"""An nbgrader course that is graded by the kit's records: see docs/instructors.md of the kit."""

import os
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent
# nbgrader runs `alembic` from PATH, also where the environment is not activated
os.environ["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = {course_id!r}
c.CourseDirectory.root = str(ROOT)
# others may hold the gradebook's lock for a moment: wait for them
c.CourseDirectory.db_url = f"sqlite:///{{ROOT / 'gradebook.db'}}?timeout=60"
c.CourseDirectory.ignore = [".ipynb_checkpoints", "*.pyc", "__pycache__", "feedback", {collected!r}, {handed_in!r}]
c.IncludeHeaderFooter.header = str(ROOT / "header.ipynb")

# Late submissions, where there is no policy.toml beside this file: the due date is the assignment's (formgrader, or grade course init --due). "none" takes nothing
# off, "zero" everything; for a policy of your own name a plugin:
# https://nbgrader.readthedocs.io/en/stable/plugins/late-plugin.html
c.LateSubmissionPlugin.penalty_method = "none"

# The kit's records in the place of a kernel: nbgrader autograde, and formgrader's button, run nothing of a student's.
c.Autograde.sanitize_preprocessors = ["grader.instructor.course.preprocessors.TakeAnswers"]
c.Autograde.autograde_preprocessors = [
    "grader.instructor.course.preprocessors.SaveRecordedScores",
    "nbgrader.preprocessors.CheckCellMetadata",
]
c.TakeAnswers.course_root = c.SaveRecordedScores.course_root = str(ROOT)
# else nbgrader would put the stubs of source/ over the students' files
c.Autograde.exclude_overwriting = {{{assignment!r}: {stubs!r}}}
'''

_HEADER = """\
**{course_id}** · Hand in the whole folder of this notebook as one zip, with the notebook's outputs saved. Points of test
cells are given by the kit's checks; at grading more of them run than here."""
_CODE_ONLY_HEADER = (
    "The points on this page are those of the code. Written answers are shown and have no points here."
)


def init_course(
    folder: Path,
    repository: Path,
    *,
    course_id: str,
    due: str = "",
    force: bool = False,
    code_only: bool = False,
) -> Course:
    """Make the course in `folder`, and release the assignment in it.

    due: when it is due ("2026-05-01 23:59 +0200"; UTC without a zone), "" for never. force: write
    configuration, header, source and release anew. code_only: answers are worth nothing. Raises `CourseError`.
    """
    when = due_date(due)
    course = Course(folder.resolve())
    if course.config.exists() and not force:
        raise CourseError(
            f"{folder} is a course already. Write its configuration, source and release anew with --force: gradebook,"
            " submissions and grades stay."
        )
    if folder.exists() and not folder.is_dir():
        raise CourseError(f"{folder} is a file. Name a folder for the course.")
    try:
        _write(course, repository, course_id, code_only)
    except OSError as error:
        raise CourseError(f"{folder} cannot be written: {error.strerror} ({error.filename}).") from error
    release(course, when)
    return course


def _write(course: Course, repository: Path, course_id: str, code_only: bool) -> None:
    source = course.source()
    source.mkdir(parents=True, exist_ok=True)
    (course.root / "submitted").mkdir(exist_ok=True)
    names = ["__init__.py", *(f"{module}.py" for module in MODULES)]
    for name, text in stubs(repository / "solutions").items():
        (source / name).write_text(text, encoding="utf-8")
    notebook = repository / "solutions" / report_notebook.NAME
    report_notebook.student_notebook(notebook)  # raises where it may not go out
    data = notebook.read_bytes()
    (source / f"{NOTEBOOK}.ipynb").write_bytes(_without_points(data) if code_only else data)
    said = _CODE_ONLY_HEADER if code_only else _HEADER.format(course_id=course_id)
    header = json.dumps(_header(said), indent=1, ensure_ascii=False)
    (course.root / "header.ipynb").write_text(f"{header}\n", encoding="utf-8")
    (course.root / "marking.html").write_text(marking_page(notebook), encoding="utf-8")
    if not course.roster.exists():
        course.roster.write_text(f"{','.join(COLUMNS)}\n", encoding="utf-8")
    # last: it is what makes the folder a course
    course.config.write_text(
        CONFIG_TEXT.format(
            course_id=course_id,
            assignment=ASSIGNMENT,
            stubs=names,
            collected=COLLECTED,
            handed_in=HANDED_IN,
        ),
        encoding="utf-8",
    )


def release(course: Course, due: datetime.datetime | None = None) -> None:
    """nbgrader's generate_assignment, and the due date (UTC without a zone). Raises `CourseError`."""
    with quiet():
        driven = api(course)
        succeed(driven.generate_assignment(ASSIGNMENT, force=True), f"release {ASSIGNMENT}")
        if due is not None:
            with driven.gradebook as gradebook:
                gradebook.update_or_create_assignment(ASSIGNMENT, duedate=due)


def due_date(text: str) -> datetime.datetime | None:
    """A time in UTC without a zone, as nbgrader keeps it; one that names no zone is UTC. None for "".

    nbgrader itself takes the zone +0200 for 200 seconds. Raises `CourseError`.
    """
    from dateutil.parser import ParserError, parse

    if not text:
        return None
    try:
        time = parse(text)
    except (ParserError, ValueError, OverflowError) as error:
        raise CourseError(f"--due {text}: this is no time. Write one like 2026-05-01 23:59 +0200.") from error
    return time if time.tzinfo is None else time.astimezone(datetime.UTC).replace(tzinfo=None)


def _without_points(notebook: bytes) -> bytes:
    """The notebook with answers that are worth nothing."""
    found = json.loads(notebook)
    for cell in found["cells"]:
        about = cell["metadata"].get("nbgrader", {})
        if about.get("solution") and about.get("grade"):
            about["points"] = 0
    return json.dumps(found, ensure_ascii=False).encode()


def _header(text: str) -> dict[str, Any]:
    about = {
        "grade": False,
        "grade_id": "header",
        "locked": True,
        "schema_version": 3,
        "solution": False,
        "task": False,
    }
    cell = {
        "cell_type": "markdown",
        "id": "header",
        "metadata": {"nbgrader": about},
        "source": text,
    }
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def marking_page(notebook: Path) -> str:
    """Questions, model answers and mark schemes as one page for graders, who see only students' answers beside it."""
    parts = [
        "# Marking the written answers\n",
        "For graders, not for students: questions, model answers and mark schemes.\n",
    ]
    for cell in read_cells(notebook.read_bytes()):
        about = cell["metadata"]["nbgrader"]
        if about.get("solution") and about.get("grade"):
            parts.append(f"#### Answer ({about['points']} points)\n\n{source_of(cell)}\n")
        elif about["grade_id"].endswith("-question"):
            parts.append(f"{source_of(cell)}\n")
    return render("\n".join(parts), {})
