"""Fills a course's `submitted/`: one folder a student, with timestamp.txt, from a folder or a platform's zip.

Archives are read, never unpacked as they are. Each submission gets its Python files, with the package at the root
whatever folders were around it, and a `report.ipynb` that nbgrader can read: where none was handed in, or one that
is broken, it is the empty one, and what came is kept beside it. What was wrong is noted for the student's feedback.
Whoever is not on the roster is told, not dropped in silence. A folder is replaced whole, or stays as it was.
"""

import datetime
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from grader.instructor.collect import read, read_notebooks
from grader.instructor.course import CourseError
from grader.instructor.course.answers import UnreadableNotebook, read_cells
from grader.instructor.course.layout import COLLECTED, HANDED_IN, NOTEBOOK, Course, safe_id
from grader.instructor.exports import Found, assign, find_export
from grader.instructor.roster import Roster, read_roster

_FORMAT = "%Y-%m-%d %H:%M:%S UTC"


@dataclass(frozen=True, slots=True)
class Collected:
    """What a run did. unknown: names on no line of the roster; older: students whose newer submission is there;
    problems: students with sentences on what was wrong."""

    students: tuple[str, ...]
    unchanged: int
    unknown: tuple[str, ...]
    older: tuple[str, ...]
    missing: tuple[str, ...]  # on the roster, and nothing in submitted/
    roster: bool  # whether there is anybody on it
    strangers: tuple[str, ...]  # in submitted/, and not on the roster
    problems: Mapping[str, Sequence[str]]


def collect(course: Course, sources: Sequence[Path], roster_file: Path | None = None) -> Collected:
    """Fill `submitted/` from `sources`.

    roster_file: becomes the course's roster.csv; None takes the one that is there. With nobody in it, students are
    called as their folders or archives are. Raises `CourseError`, or `SubmissionError` for what is to be read, where
    nothing can be collected at all.
    """
    released = course.release() / f"{NOTEBOOK}.ipynb"
    if not released.is_file():
        raise CourseError(
            f"{released} is not there: the course was not released. Run grade course init --force"
        )
    roster = _roster(course, roster_file)
    students: list[str] = []
    older: list[str] = []
    problems: dict[str, Sequence[str]] = {}
    unchanged = 0
    with tempfile.TemporaryDirectory(prefix="grade-collect-") as scratch:
        found = [
            one
            for number, source in enumerate(sources)
            for one in find_export(source, Path(scratch) / str(number))
        ]
        assigned = assign(found, roster)
        unknown = [assigned.chosen[student].names[-1] for student in assigned.unknown]
        for called, one in assigned.chosen.items():
            if called in assigned.unknown:
                continue
            student = called if roster.people else safe_id(called)
            files = _files(one, released.read_bytes())
            time = one.time if one.handed.handed_in else None  # a guess would cost points for lateness
            if (before := _time_of(course.submitted(student))) and time and before > time:
                older.append(student)
                continue
            students.append(student)
            if files.problems:
                problems[student] = files.problems
            unchanged += not _write(course.submitted(student), files, time)
    there = set(course.students())
    missing = tuple(person.id for person in roster.people if person.id not in there)
    known = {person.id for person in roster.people}
    strangers = tuple(sorted(there - known)) if known else ()
    return Collected(
        tuple(students), unchanged, tuple(unknown), tuple(older), missing, bool(known), strangers, problems
    )


def _roster(course: Course, roster_file: Path | None) -> Roster:
    roster = (
        read_roster(roster_file or course.roster) if roster_file or course.roster.is_file() else Roster(())
    )
    if roster_file is not None and roster_file.resolve() != course.roster:
        course.roster.write_bytes(roster_file.read_bytes())
    return roster


# -- one submission -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Files:
    """What goes into a submission's folder, by path."""

    content: Mapping[str, bytes]
    problems: Sequence[str]


def _files(one: Found, empty: bytes) -> _Files:
    submission = read(one.handed)
    content = dict(submission.files)
    notebook, notes = choose_notebook(*read_notebooks(one.handed))
    if notebook is not None:
        try:
            read_cells(notebook)
        except UnreadableNotebook as error:
            notes = [*notes, f"{NOTEBOOK}.ipynb cannot be read: {error}. The answers count as not given"]
            content[HANDED_IN] = notebook
            notebook = None
    content[f"{NOTEBOOK}.ipynb"] = empty if notebook is None else notebook
    noted = {"files": list(submission.problems), "notebook": notes}
    if submission.problems or notes:
        content[COLLECTED] = (json.dumps(noted, indent=1, ensure_ascii=False) + "\n").encode(
            "utf-8", "replace"
        )
    return _Files(content, [*submission.problems, *notes])


def choose_notebook(found: Mapping[str, bytes], problems: Sequence[str]) -> tuple[bytes | None, list[str]]:
    """Which of a submission's notebooks is the report, and what to say about it."""
    notes = [problem for problem in problems if ".ipynb" in problem]
    by_depth = sorted(found, key=lambda name: (name.count("/"), name))
    named = [name for name in by_depth if PurePosixPath(name).name.casefold() == f"{NOTEBOOK}.ipynb"]
    alike = [name for name in by_depth if PurePosixPath(name).name.casefold().startswith(NOTEBOOK)]
    for names in (named, alike, by_depth if len(by_depth) == 1 else []):
        if names:
            if PurePosixPath(names[0]).name != f"{NOTEBOOK}.ipynb":
                notes.append(f"{names[0]} was taken for {NOTEBOOK}.ipynb")
            if len(names) > 1:
                notes.append(f"there are {len(names)} notebooks: {names[0]} was taken")
            return found[names[0]], notes
    what = f"none of the {len(found)} notebooks is called" if found else "there is no"
    return None, [*notes, f"{what} {NOTEBOOK}.ipynb: the answers count as not given"]


def _time_of(folder: Path) -> datetime.datetime | None:
    try:
        return datetime.datetime.strptime((folder / "timestamp.txt").read_text("utf-8").strip(), _FORMAT)
    except (OSError, ValueError):
        return None


def _write(folder: Path, files: _Files, time: datetime.datetime | None) -> bool:
    """Replace the folder by these files; False where it holds just them already.

    time: None where nobody took it down; one that the instructor put there stays as long as the files do.
    """
    content = dict(files.content)
    there = _content(folder)
    if time is None:
        there.pop("timestamp.txt", None)
    if time is not None:
        content["timestamp.txt"] = f"{time.strftime(_FORMAT)}\n".encode()
    if there == content:
        return False
    making = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(making, ignore_errors=True)
    try:
        for name, data in content.items():
            path = making / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(making, folder)
    except OSError as error:
        raise CourseError(f"{folder} cannot be written: {error.strerror} ({error.filename}).") from error
    return True


def _content(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        return {}
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
