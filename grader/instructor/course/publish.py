"""From records to nbgrader: scores to the gradebook, notebooks to `autograded/`. Never grades.

    submitted/ID/lenet5  ──► read ──┐
    results/records      ──► record ┴─► graded notebook ──► gradebook.db, autograded/ID/lenet5/report.ipynb

One process writes, one student after the other; what was written stays where the next fails. A record of other
files than those in `submitted/` is refused: nothing of that student is touched.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from grader.assignment import BY_NAME, TASKS
from grader.instructor.course import CourseError
from grader.instructor.course.answers import Graded, UnreadableNotebook, graded_notebook, read_cells
from grader.instructor.course.entries import (
    Entry,
    Refused,
    answer_digests,
    course_entry,
    keep_answers,
    published_answers,
    read_notebook,
)
from grader.instructor.course.gradebook import (
    PolicyPenalty,
    Scores,
    late_penalty,
    open_gradebook,
    rehearse,
    require_assignment,
    save_scores,
)
from grader.instructor.course.layout import ASSIGNMENT, COLLECTED, HANDED_IN, NOTEBOOK, Course
from grader.instructor.course.results import score_of
from grader.instructor.roster import Roster, read_roster
from grader.report import Report
from grader.terminal import clean

_LOOK_ALIKE = str.maketrans("<>\"&'", "‹›”+’")
_COPIED = 2_000_000  # bytes: larger files of a submission stay in submitted/
_NOT_COPIED = (COLLECTED, HANDED_IN, f"{NOTEBOOK}.ipynb")


@dataclass(frozen=True, slots=True)
class Published:
    """What a run did: students written, those without a verdict on some task, and those refused."""

    written: int
    to_grade: int  # answers that wait for a person
    without_verdict: tuple[str, ...]
    refused: tuple[Refused, ...]
    not_known: tuple[str, ...] = ()  # whom the policy names, and nobody in the class is called so
    gone: tuple[str, ...] = ()  # published before, and no longer in submitted/
    time_unknown: tuple[str, ...] = ()  # whose lateness the policy asks for, and nobody knows


# -- one submission -----------------------------------------------------------------------------------


def grade_entry(released: Mapping[str, Any], entry: Entry) -> Graded:
    """The graded notebook of an entry; a notebook that cannot be read is one without answers, and says so."""
    problems = list(entry.problems)
    cells = []
    if entry.notebook is not None:
        try:
            cells = read_cells(entry.notebook)
        except UnreadableNotebook as error:
            problems.append(f"{NOTEBOOK}.ipynb cannot be read: {error}. The answers count as not given")
    return graded_notebook(released, cells, entry.report, problems)


def scores_of(entry: Entry, graded: Graded, before: Mapping[str, str]) -> Scores:
    """The scores of an entry. before: the answers that were published last, by `answer_digests`."""
    results = {task.task: task for task in entry.report.tasks}
    now = answer_digests(graded.answers)
    return Scores(
        entry.student,
        entry.timestamp,
        {task.name: score_of(results.get(task.name)) for task in TASKS},
        graded.answers,
        frozenset(name for name, digest in now.items() if before.get(name) != digest),
    )


def read_released(course: Course) -> dict[str, Any]:
    """The notebook in `release/`. Raises `CourseError` where it is not there or not the assignment's."""
    path = course.release() / f"{NOTEBOOK}.ipynb"
    try:
        released = json.loads(path.read_text(encoding="utf-8"))
        names = {cell["metadata"].get("nbgrader", {}).get("grade_id") for cell in released["cells"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CourseError(
            f"{path} cannot be read. Make it anew: nbgrader generate_assignment {ASSIGNMENT} --force"
        ) from error
    if missing := BY_NAME.keys() - names:
        raise CourseError(
            f"{path} has no test cell of {sorted(missing)[0]}: it is not this assignment's notebook."
        )
    return released


# -- the class ----------------------------------------------------------------------------------------


class Publisher:
    """Writes entries one after the other, while it is entered. Raises `CourseError` where nothing more can be written."""

    def __init__(self, course: Course, config: Any, roster: Roster | None = None):
        self._course = course
        self.config = config
        self._roster = roster
        self._open = contextlib.ExitStack()
        self._written = 0
        self._refused: list[Refused] = []
        self._without_verdict: list[str] = []
        self.met: set[str] = set()  # students whose entries came

    def __enter__(self) -> "Publisher":
        self._released = read_released(self._course)
        with contextlib.ExitStack() as stack:
            self.gradebook = stack.enter_context(course_gradebook(self._course, self.config))
            require_assignment(self.gradebook)
            self._late = late_penalty(self._course, self.config)
            _write_names(self.gradebook, self._roster)
            self._open = stack.pop_all()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._open.__exit__(*exception)

    def write(self, entry: Entry | Refused) -> None:
        """Write scores and notebook of a student."""
        self.met.add(entry.student)
        if isinstance(entry, Refused):
            self._refused.append(entry)
            return
        graded = grade_entry(self._released, entry)
        scores = scores_of(entry, graded, published_answers(self._course, entry.student))
        try:
            save_scores(self.gradebook, scores, self._late)
            write_autograded(self._course, entry, graded)
            keep_answers(self._course, entry.student, graded.answers)
        except OSError as error:
            raise CourseError(
                f"Publishing stopped at {clean(entry.student)}: {error.strerror or error}"
                f" ({error.filename}). What was written is kept; the same command goes on from there."
            ) from error
        self._written += 1
        if any(score is None for score in scores.auto.values()):
            self._without_verdict.append(entry.student)

    def rehearse(self) -> None:
        """Do what the first `write` would do once. Nothing is written, and nothing is told."""
        rehearse(self.gradebook)

    def look_ahead(self, student: str, look: Callable[[Mapping[str, Any]], None]) -> None:
        """Make HTML of the student's answers, for when they are written, and have the notebook looked at.

        Nothing is written, and nothing is told.
        """
        with contextlib.suppress(Exception):
            notebook, _ = read_notebook(self._course.submitted(student))
            if notebook is not None:
                made = graded_notebook(self._released, read_cells(notebook), Report(student, "", "", ()))
                look(made.notebook)

    def done(self) -> Published:
        """What was written, after the last entry."""
        unknown: tuple[str, ...] = ()
        not_known: tuple[str, ...] = ()
        if isinstance(self._late, PolicyPenalty):
            unknown = tuple(sorted(self._late.unknown))
            people = {person.id for person in self._roster.people} if self._roster is not None else set()
            not_known = tuple(sorted(self._late.named - self.met - people))
        return Published(
            self._written,
            waiting(self.gradebook),
            tuple(sorted(self._without_verdict)),
            tuple(sorted(self._refused, key=lambda one: one.student)),
            time_unknown=unknown,
            not_known=not_known,
        )


def course_publisher(course: Course) -> Publisher:
    """For what is in `submitted/`. Raises `CourseError`."""
    from grader.instructor.course.driver import load_config

    roster = read_roster(course.roster) if course.roster.is_file() else None
    return Publisher(course, load_config(course), roster)


def publish_rest(
    course: Course, publisher: Publisher, on_progress: Callable[[str], None] = lambda student: None
) -> Published:
    """Write everything in `submitted/` that was not written yet; what was published in all. Raises `CourseError`."""
    students = course.students()
    if not students:
        raise CourseError(
            f"Nothing is in {course.root / 'submitted'} yet. Fill it: grade course collect {course.root} SUBMISSIONS"
        )
    for student in students:
        if student not in publisher.met:
            publisher.write(course_entry(course, student))
        on_progress(student)
    return replace(publisher.done(), gone=tuple(sorted(set(course.published()) - set(students))))


def publish_course(course: Course, on_progress: Callable[[str], None] = lambda student: None) -> Published:
    """`grade course publish`: everything in `submitted/`. Raises `CourseError`."""
    with course_publisher(course) as publisher:
        return publish_rest(course, publisher, on_progress)


def course_gradebook(course: Course, config: Any) -> contextlib.AbstractContextManager[Any]:
    """The course's gradebook, as `open_gradebook` opens it."""
    return open_gradebook(database_url(course, config), str(config.CourseDirectory.get("course_id", "")))


def database_url(course: Course, config: Any) -> str:
    """The gradebook's address as the configuration names it, nbgrader's default where it does not."""
    return str(config.CourseDirectory.get("db_url", f"sqlite:///{course.gradebook}"))


def _write_names(gradebook: Any, roster: Roster | None) -> None:
    """Give the gradebook the names of the roster, without characters that a page could take for HTML."""
    if roster is None:
        return
    known = {student.id: student for student in gradebook.students}
    for person in roster.people:
        wanted = {
            "first_name": _plain(person.first_name),
            "last_name": _plain(person.last_name),
            "email": _plain(person.email),
            "lms_user_id": _plain(person.lms_user_id),
        }
        found = known.get(person.id)
        if found is None or any(getattr(found, name) != value for name, value in wanted.items()):
            gradebook.update_or_create_student(person.id, **wanted)


def _plain(name: str) -> str | None:
    """A name as the gradebook keeps it: formgrader puts it into its pages as it is."""
    kept = clean(name).translate(_LOOK_ALIKE)
    return kept.strip() or None


def waiting(gradebook: Any) -> int:
    from nbgrader.api import Grade

    return gradebook.db.query(Grade).filter(Grade.needs_manual_grade).count()


def write_autograded(course: Course, entry: Entry, graded: Graded) -> None:
    """Write `autograded/ID/lenet5`: the notebook, the submission's files beside it, and timestamp.txt.

    The old folder is replaced as a whole, read-only as nbgrader leaves it.
    """
    folder = course.autograded(entry.student)
    making = folder.with_name(f".{folder.name}.tmp")
    _remove(making)
    making.mkdir(parents=True)
    for source in _files(entry.folder):
        target = making / source.relative_to(entry.folder or source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        target.chmod(0o444)
    path = making / f"{NOTEBOOK}.ipynb"
    path.write_bytes(encode_notebook(graded.notebook))
    path.chmod(0o444)
    _remove(folder)
    os.replace(making, folder)


def encode_notebook(notebook: Mapping[str, Any]) -> bytes:
    """The notebook as JSON, laid out as nbformat does."""
    try:
        packed = msgspec.json.encode(notebook, order="sorted")
    except UnicodeEncodeError:  # half of a surrogate pair is no character
        packed = json.dumps(notebook, ensure_ascii=False, sort_keys=True).encode("utf-8", "replace")
    return msgspec.json.format(packed, indent=1) + b"\n"


def _files(folder: Path | None) -> Iterator[Path]:
    """The plain files of a submission that go beside the graded notebook."""
    if folder is None:
        return
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__pycache__"]
        for name in names:
            path = Path(where) / name
            if name in _NOT_COPIED or name.startswith(".") or path.is_symlink() or not path.is_file():
                continue
            if path.stat().st_size <= _COPIED and path.suffix in (".py", ".txt"):
                yield path


def _remove(folder: Path) -> None:
    if folder.is_dir():
        for where, folders, _ in os.walk(folder):
            for name in folders:
                (Path(where) / name).chmod(0o755)
        shutil.rmtree(folder)
