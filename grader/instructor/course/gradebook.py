"""Scores in nbgrader's gradebook, by its own models: written one student a transaction, read for the class at once.

Automatic scores come from a record and nothing else. What people gave (scores, comments, extra credit, flags,
extensions) is never touched; a manually graded cell goes back into the queue only where what it judged changed.
"""

import contextlib
import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from grader.instructor import policy
from grader.instructor.course import CourseError
from grader.instructor.course.answers import Answer
from grader.instructor.course.driver import need_nbgrader, quiet, scripts_on_path
from grader.instructor.course.layout import ASSIGNMENT, NOTEBOOK, Course

NO_RESPONSE = "No response."  # nbgrader's own words


@dataclass(frozen=True, slots=True)
class Scores:
    """What is known of one submission.

    auto: points by test cell, None where there is no verdict. answers: the cells to fill, and `changed` those of
    them whose answer is not the one that was published before.
    """

    student: str
    timestamp: datetime.datetime | None  # UTC, without a zone, as nbgrader keeps it
    auto: Mapping[str, float | None]
    answers: Mapping[str, Answer]
    changed: frozenset[str]


@contextlib.contextmanager
def open_gradebook(url: str, course_id: str) -> Iterator[Any]:
    """nbgrader's `Gradebook` at `url`, for one process that writes.

    Raises `CourseError` where it cannot be opened, or is the half of one that a failed first use has left.
    """
    need_nbgrader()
    scripts_on_path()
    with quiet():
        from nbgrader.api import Gradebook
        from sqlalchemy import inspect
        from sqlalchemy.exc import SQLAlchemyError

        try:
            gradebook = Gradebook(url, course_id)
        except (SQLAlchemyError, OSError) as error:
            reason = str(getattr(error, "orig", error)).splitlines()[0]
            raise CourseError(
                f"The gradebook {url} cannot be opened ({reason}). Is another program writing to it?"
            ) from error
        try:
            if not inspect(gradebook.engine).has_table("alembic_version"):
                raise CourseError(
                    f"The gradebook {url} is half a database: nbgrader stopped while making it. If nothing was "
                    "graded by hand in it, delete the file and repeat the command; else: nbgrader db upgrade"
                )
            yield gradebook
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", error)).splitlines()[0]
            raise CourseError(
                f"The gradebook {url} could not be written ({reason}). What was published before is kept; "
                "the same command goes on from there."
            ) from error
        finally:
            gradebook.close()


def require_assignment(gradebook: Any) -> None:
    """Raise `CourseError` unless the gradebook knows the assignment and its notebook."""
    from nbgrader.api import MissingEntry

    try:
        gradebook.find_notebook(NOTEBOOK, ASSIGNMENT)
    except MissingEntry:
        raise CourseError(
            f"The gradebook has no assignment {ASSIGNMENT}: it was not released. Run nbgrader generate_assignment "
            f"{ASSIGNMENT} in the course's folder, or grade course init"
        ) from None


def save_scores(
    gradebook: Any, scores: Scores, late_penalty: "LatePenalty | PolicyPenalty | None" = None
) -> None:
    """Write one submission's scores; makes student and submission where they are new."""
    _enter(gradebook, scores, late_penalty)
    gradebook.db.commit()
    gradebook.db.expunge_all()  # of a class, one student is in memory


def rehearse(gradebook: Any) -> None:
    """Enter a student and take it back: statements are compiled with their first use."""
    from nbgrader.api import new_uuid

    nobody = Scores(new_uuid(), None, {}, {}, frozenset())
    with contextlib.suppress(Exception):  # which the first student meets again, and tells
        _enter(gradebook, nobody)
    gradebook.db.rollback()
    gradebook.db.expunge_all()


def _enter(gradebook: Any, scores: Scores, late_penalty: "LatePenalty | PolicyPenalty | None" = None) -> None:
    """As `save_scores`, in a transaction that goes on."""
    from nbgrader.api import Comment, Grade, MissingEntry, Student, SubmittedNotebook

    database = gradebook.db
    with _not_committed_yet(database):
        if database.get(Student, scores.student) is None:
            gradebook.add_student(scores.student)
        try:
            submission = gradebook.find_submission(ASSIGNMENT, scores.student)
        except MissingEntry:
            submission = gradebook.add_submission(ASSIGNMENT, scores.student)
    submission.timestamp = scores.timestamp
    (notebook,) = (found for found in submission.notebooks if found.notebook.name == NOTEBOOK)
    grades = database.query(Grade).filter(Grade.notebook_id == notebook.id).all()
    names = _cell_names(gradebook)
    for grade in grades:
        _save_grade(grade, names[grade.cell_id], scores)
    for comment in database.query(Comment).filter(Comment.notebook_id == notebook.id):
        answer = scores.answers.get(names[comment.cell_id])
        comment.auto_comment = NO_RESPONSE if answer is not None and not answer.answered else None
    database.flush()
    if late_penalty is not None:
        database.expire(notebook)  # its score is computed from the grades
        found = database.get(SubmittedNotebook, notebook.id)
        found.late_submission_penalty = late_penalty.of(scores.student, found.score, submission)


@contextlib.contextmanager
def _not_committed_yet(database: Any) -> Iterator[None]:
    """Within it, methods of nbgrader's gradebook that commit what they add only flush it."""
    database.commit = database.flush  # of this session alone: hides its method
    try:
        yield
    finally:
        del database.commit


def _save_grade(grade: Any, name: str, scores: Scores) -> None:
    if name in scores.auto:
        before, grade.auto_score = grade.auto_score, scores.auto[name]
        if grade.auto_score is None:
            grade.needs_manual_grade = grade.manual_score is None or grade.needs_manual_grade
        elif grade.manual_score is None:
            grade.needs_manual_grade = False
        else:  # someone decided otherwise, on another result
            grade.needs_manual_grade = bool(grade.needs_manual_grade) or before != grade.auto_score
        return
    answer = scores.answers.get(name)
    if answer is None:
        return
    grade.auto_score = None if answer.answered else 0.0
    if grade.manual_score is None:
        grade.needs_manual_grade = answer.answered
    else:
        grade.needs_manual_grade = bool(grade.needs_manual_grade) or name in scores.changed


def _cell_names(gradebook: Any) -> dict[str, str]:
    """The names of the assignment's cells by their ids; asked once of a gradebook."""
    if not hasattr(gradebook, "grade_cell_names"):
        from nbgrader.api import BaseCell

        gradebook.grade_cell_names = dict(gradebook.db.query(BaseCell.id, BaseCell.name).all())
    return gradebook.grade_cell_names


def late_penalty(course: Course, config: Any) -> "LatePenalty | PolicyPenalty":
    """What decides on late work: the course's policy.toml, and where there is none nbgrader's plugin.

    Raises `CourseError` where the policy cannot be read.
    """
    path = course.root / policy.NAME
    if not path.is_file():
        return LatePenalty(config)
    try:
        return PolicyPenalty(policy.read_policy(path))
    except policy.PolicyError as error:
        raise CourseError(str(error)) from None


class PolicyPenalty:
    """The course's policy.toml: its due date and extensions, not nbgrader's; a share is one of the whole score.

    unknown: students whose time of handing in is not known though it could cost points, as they were met.
    """

    def __init__(self, rules: policy.Policy):
        self._rules = rules
        self.unknown: set[str] = set()

    @property
    def named(self) -> frozenset[str]:
        """Students whom the policy names."""
        return frozenset(self._rules.named)

    def of(self, student: str, score: float, submission: Any) -> float | None:
        """The points to take off, between 0 and the score; None where none are, or the time is not known."""
        time = submission.timestamp
        handed_in = time.replace(tzinfo=datetime.UTC) if time is not None else None
        days = self._rules.days_late(student, handed_in)
        if days is None:
            if self._rules.penalty_per_day.value:
                self.unknown.add(student)
            return None
        return self._rules.deduction(score, days) or None


class LatePenalty:
    """nbgrader's plugin on late work, as the course's configuration names it."""

    unknown: frozenset[str] = frozenset()  # who has no time is not late

    def __init__(self, config: Any):
        from nbgrader.preprocessors import AssignLatePenalties

        preprocessor = AssignLatePenalties(config=config)
        preprocessor.init_plugin()
        self._plugin = preprocessor.plugin_inst

    def of(self, student: str, score: float, submission: Any) -> float | None:
        """The points to take off, between 0 and the score; None where it is not late, or late costs nothing."""
        seconds_late = submission.total_seconds_late
        if seconds_late <= 0:
            return None
        penalty = self._plugin.late_submission_penalty(student, score, seconds_late)
        return None if penalty is None else min(max(float(penalty), 0.0), score)


def renew_late_penalties(gradebook: Any, late_penalty: LatePenalty | PolicyPenalty) -> None:
    """Compute every late penalty anew: points given by hand since change what a share of the score is."""
    from nbgrader.api import MissingEntry

    try:
        submissions = gradebook.assignment_submissions(ASSIGNMENT)
    except MissingEntry:
        return
    for submission in submissions:
        for notebook in submission.notebooks:
            penalty = late_penalty.of(submission.student.id, notebook.score, submission)
            if notebook.late_submission_penalty != penalty:
                notebook.late_submission_penalty = penalty
    gradebook.db.commit()


@dataclass(frozen=True, slots=True)
class Total:
    """One submission as the gradebook has it.

    points: of code and written answers, less the late penalty; waiting: cells that wait for a person; auto: points by
    test cell as they were published, None where there was no verdict.
    """

    points: float
    waiting: int
    auto: Mapping[str, float | None]


def totals(gradebook: Any) -> tuple[float, dict[str, Total]]:
    """The points of the whole assignment, and the submissions by student."""
    from nbgrader.api import Grade, SubmittedAssignment, SubmittedNotebook

    names = _cell_names(gradebook)
    assignment = gradebook.find_assignment(ASSIGNMENT)
    cells: dict[str, list[tuple[str, float | None, bool]]] = {}
    rows = gradebook.db.query(
        SubmittedNotebook.assignment_id, Grade.cell_id, Grade.auto_score, Grade.needs_manual_grade
    ).join(SubmittedNotebook, Grade.notebook_id == SubmittedNotebook.id)
    for submission, cell, auto, waits in rows:
        cells.setdefault(submission, []).append((names[cell], auto, waits))
    found = {}
    # columns in the place of objects: those are asked for one by one after each commit
    submissions = gradebook.db.query(
        SubmittedAssignment.id,
        SubmittedAssignment.student_id,
        SubmittedAssignment.score,
        SubmittedAssignment.late_submission_penalty,
    )
    for submission, student, score, penalty in submissions.filter_by(assignment_id=assignment.id):
        grades = cells.get(submission, [])
        found[student] = Total(
            max(0.0, score - penalty),
            sum(waits for _, _, waits in grades),
            {name: auto for name, auto, _ in grades},
        )
    return assignment.max_score, found
