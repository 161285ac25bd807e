"""The final scores that a platform gets: those of the code, from records, or a course's whole, from its gradebook."""

from dataclasses import dataclass

from grader.instructor.course.layout import Course
from grader.instructor.course.results import score_of
from grader.instructor.roster import Roster
from grader.instructor.standings import Graded, Standings
from grader.submission import SubmissionError
from grader.text import counted

CODE_ONLY = (
    "Here are the points of the code alone: --written adds those of the written answers, which are in the course's"
    " gradebook. To fill in the code's points, let the platform's be the same as here."
)
_TIME_UNKNOWN = "when it was handed in is unknown, and could cost points: write the time into the policy, under [handed_in]"


@dataclass(frozen=True, slots=True)
class Final:
    """What a student who handed in gets: points, or None and why."""

    student: str
    points: float | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Finals:
    """A class. possible: the points of all that is counted; code_only: of a course, without its written answers."""

    students: tuple[Final, ...]
    possible: float
    roster: Roster | None
    code_only: bool = False


def of_code(standings: Standings) -> Finals:
    """The points of the code, as the policy counts them."""
    students = tuple(
        Final(one.student, one.standing.final, why_without_score(one)) for one in standings.graded
    )
    possible = standings.graded[0].standing.possible
    return Finals(students, possible, standings.roster, standings.course is not None)


def why_without_score(one: Graded) -> str:
    """Why the student has no final score of the code; "" where there is one."""
    if one.standing.final is not None:
        return ""
    return f"{one.row.status}: grade all decides" if one.standing.earned is None else _TIME_UNKNOWN


def of_course(standings: Standings) -> Finals:
    """The points of code and written answers, less late penalties, which are computed anew in the gradebook.

    No score has who is not published as graded last, or has answers that wait for a person. Raises `SubmissionError`
    where the class is no course, `CourseError` where its gradebook cannot be read.
    """
    course = standings.course
    if course is None:
        raise SubmissionError(
            f"{standings.results} is of no course, and only a course's gradebook has points of written answers."
        )
    from grader.instructor.course.driver import load_config, quiet
    from grader.instructor.course.gradebook import (
        late_penalty,
        renew_late_penalties,
        require_assignment,
        totals,
    )
    from grader.instructor.course.publish import course_gradebook

    config = load_config(course)
    late = late_penalty(course, config)
    with course_gradebook(course, config) as gradebook, quiet():
        require_assignment(gradebook)
        renew_late_penalties(gradebook, late)
        possible, found = totals(gradebook)
    students = []
    for one in standings.graded:
        total = found.get(one.student)
        scores = {task.task: score_of(task) for task in one.report.tasks}
        why = ""
        if total is None:
            why = f"is not in the gradebook yet: {_publish(course)}"
        elif any(total.auto.get(task) != score for task, score in scores.items()):
            why = f"was graded again since it was published: {_publish(course)}"
        elif total.waiting:
            why = f"{counted(total.waiting, 'cell')} to be graded by a person first, in formgrader"
        elif one.student in late.unknown:
            why = _TIME_UNKNOWN
        students.append(Final(one.student, total.points if total and not why else None, why))
    return Finals(tuple(students), possible, standings.roster)


def _publish(course: Course) -> str:
    return f"grade course publish {course.root}"
