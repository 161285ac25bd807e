"""The course's commands: `grade course init`, `collect`, `publish`, and `grade feedback`.

Imports nbgrader only within a command: `grade --help` answers without it.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grader.instructor.course import CourseError
from grader.text import counted
from grader.usage import fail, messages

if TYPE_CHECKING:
    from grader.instructor.course.feedback import Feedback
    from grader.instructor.course.layout import Course
    from grader.instructor.course.publish import Published

course_app = typer.Typer(
    name="course",
    help="An nbgrader course around the records: make it, fill it, publish to its gradebook.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_ROOT = Path(__file__).resolve().parents[3]
_SHOWN = 10
_STOPPED = 130  # the exit status after Ctrl-C

CourseFolder = Annotated[Path, typer.Argument(help="The course's folder.", show_default=False)]


@contextlib.contextmanager
def _course_messages() -> Iterator[None]:
    with messages():
        try:
            yield
        except CourseError as error:
            fail(str(error))


@course_app.command()
def init(
    folder: CourseFolder,
    course_id: Annotated[str, typer.Option("--id", help="What nbgrader calls the course.")] = "lenet5",
    due: Annotated[
        str,
        typer.Option(
            "--due",
            help="When it is due, e.g. '2026-05-01 23:59 +0200'; UTC without a zone.",
            show_default="never",
        ),
    ] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Write configuration, source and release anew; grades stay.")
    ] = False,
) -> None:
    """Make a course that nbgrader and formgrader open as their own, and release the assignment in it."""
    with _course_messages():
        from grader.instructor.course.driver import require_nbgrader

        require_nbgrader()
        from grader.instructor.course.init import init_course

        if sys.stderr.isatty():
            print(
                "nbgrader makes its database and the notebook to hand out, some seconds ...", file=sys.stderr
            )
        course = init_course(folder, _ROOT, course_id=course_id, due=due, force=force)
    print(f"{course.root}: the course is made and the assignment released.")
    print(
        f"Who is in the class goes into {course.roster.name}; model answers and mark schemes are in marking.html."
    )
    print(f"Next: grade course collect {folder} SUBMISSIONS --roster CLASS.csv")


@course_app.command()
def collect(
    folder: CourseFolder,
    sources: Annotated[
        list[Path],
        typer.Argument(
            help="A folder, or a zip of Moodle, Canvas, Blackboard or Gradescope.", show_default=False
        ),
    ],
    roster: Annotated[
        Path | None,
        typer.Option(
            "--roster", help="Who is in the class: a CSV with the column id.", show_default="roster.csv"
        ),
    ] = None,
) -> None:
    """Fill submitted/ with each student's files and the time they came.

    Exit status: 0 when everybody was found on the roster, 1 when somebody was not, 2 for a wrong command.
    """
    with _course_messages():
        from grader.instructor.course.collect import collect as fill
        from grader.instructor.course.layout import course_in

        done = fill(course_in(folder), sources, roster)
    count = len(done.students)
    print(f"{counted(count, 'submission')} collected, {done.unchanged} of them unchanged.")
    for student, problems in list(done.problems.items())[:_SHOWN]:
        _tell(student, f"{problems[0]}" + (f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""))
    if len(done.problems) > _SHOWN:
        print(f"and {len(done.problems) - _SHOWN} more with notes: they are in their feedback")
    if not done.roster:
        print(
            "There is nobody in roster.csv: students are called as their folders or archives are (--roster)."
        )
    _list("Nothing new: a later submission is there already of", done.older)
    _list("On the roster, and nothing handed in:", done.missing)
    _list("On no line of the roster, or on two, and left out:", done.unknown)
    if done.strangers:
        _list("In submitted/, and not on the roster (from before there was one?):", done.strangers)
        print(f"Who is no student: delete their folders in {folder / 'submitted'}.")
    if done.unknown:
        print(f"Add them to the roster, and collect again: {folder / 'roster.csv'}")
        raise typer.Exit(1)
    print(f"Next: grade all {folder}")


@course_app.command()
def publish(folder: CourseFolder) -> None:
    """Write the records' scores to gradebook.db, and each student's notebook to autograded/. Grades nothing.

    Exit status: 0 when every submission was published with all its scores, 1 when one was not or its
    lateness is unknown, 2 for a wrong command.
    """
    with _course_messages():
        from grader.instructor.course.layout import course_in
        from grader.instructor.course.publish import publish_course

        course = course_in(folder)
        with _progress(len(course.students())) as step:
            done = publish_course(course, step)
    status = _tell_published(course, done)
    if status:
        raise typer.Exit(status)
    marking = f"grade the answers in formgrader (jupyter lab, in {folder}), then: " if done.to_grade else ""
    print(f"Next: {marking}grade feedback {folder}")


def grade_with_feedback(folder: Path, out: Path, grade: Callable[..., int]) -> int:
    """`grade all --feedback`: grade, publish where there is a course, and write the pages; the exit status.

    grade: `batch.command` with all but `meanwhile` and `on_record`.
    """
    with _course_messages():
        from grader.instructor.course.driver import require_nbgrader
        from grader.instructor.course.layout import find_course

        require_nbgrader()
        course = find_course(folder)
        if course is None:
            status = grade()
            if status == _STOPPED:
                return status
            from grader.instructor.course.feedback import plain_feedback

            return max(status, _tell_feedback(out, None, plain_feedback(out, _ROOT)))
        if out.resolve() != course.results.resolve():
            raise CourseError(f"Feedback of a course is made from its own results: leave --out {out} out.")
        from grader.instructor.course.along import Along

        with Along(course) as along:
            status = grade(meanwhile=along.begin, on_record=along.record)
            if status == _STOPPED:
                return status
            published, made = along.finish()
        status = max(status, _tell_published(course, published))
        return max(status, _tell_feedback(folder, course, made))


def _tell_published(course: "Course", done: "Published") -> int:
    """Print what was published; the exit status."""
    print(f"{done.written} published to {course.gradebook}; {done.to_grade} answers wait for a grader.")
    _list("No verdict on some task, which waits for a grader, too:", done.without_verdict)
    for refused in done.refused[:_SHOWN]:
        _tell(refused.student, f"not published: {refused.why}")
    if len(done.refused) > _SHOWN:
        print(f"and {len(done.refused) - _SHOWN} more like these")
    _list("By the policy late work costs points, and nobody knows when these came:", done.time_unknown)
    if done.time_unknown:
        print(
            "No penalty is taken. Write their times into policy.toml, under [handed_in], and publish again."
        )
    _list("The policy names, and nobody is called so:", done.not_known)
    _list("Published before, and no longer in submitted/; they stay in the gradebook:", done.gone)
    if done.gone:
        print(
            f"To take one out: delete its folder in {course.root / 'autograded'} and {course.root / 'feedback'},"
            " and there: nbgrader db student remove ID --force"
        )
    return 1 if done.refused or done.without_verdict or done.time_unknown or done.not_known else 0


def feedback(
    folder: Annotated[
        Path,
        typer.Argument(help="A course, or where grade all wrote its records.", show_default="./results"),
    ] = Path("results"),
    archive: Annotated[
        Path | None, typer.Option("--zip", help="Write all pages into one zip, too.", show_default=False)
    ] = None,
    release: Annotated[
        bool, typer.Option("--release", help="Give the pages to nbgrader's exchange (in a course).")
    ] = False,
) -> None:
    """Write each student's feedback page; needs no course, but knows graders' comments where there is one."""
    with _course_messages():
        from grader.instructor.course.driver import require_nbgrader

        require_nbgrader()
        from grader.instructor.course.feedback import (
            course_feedback,
            plain_feedback,
            release_feedback,
            write_zip,
        )
        from grader.instructor.course.layout import find_course

        course = find_course(folder)
        if release and course is None:
            fail("--release needs a course with an exchange: grade course init")
        made = course_feedback(course) if course is not None else plain_feedback(folder, _ROOT)
        if archive is not None:
            write_zip(made.pages, archive)
        without = release_feedback(course, made.pages) if release and course is not None else []
    status = _tell_feedback(folder, course, made)
    if archive is not None:
        print(f"All in one: {archive}")
    _list("Not released, since they did not hand in through the exchange:", without)
    if status:
        raise typer.Exit(status)


def _tell_feedback(folder: Path, course: "Course | None", made: "Feedback") -> int:
    """Print where the pages are; the exit status."""
    where = f"{folder / 'feedback'}" + ("" if course is None else "/STUDENT/lenet5/report.html")
    print(f"{counted(len(made.pages), 'feedback page')}: {where}")
    if made.to_grade and course is not None:
        print(f"{counted(made.to_grade, 'answer')} still to be graded: the pages show no points for them.")
    _list("Without a row in the gradebook, so without a page (delete them in autograded/):", made.without_row)
    refused = made.published.refused if made.published is not None else ()
    for one in refused[:_SHOWN]:
        _tell(one.student, f"no feedback: {one.why}")
    return 1 if refused else 0


def _tell(student: str, what: str) -> None:
    from grader.terminal import clean

    print(f"{clean(student)}: {clean(what)}")


def _list(what: str, students: Sequence[str]) -> None:
    from grader.terminal import clean

    if students:
        shown = ", ".join(map(clean, students[:_SHOWN]))
        print(f"{what} {shown}" + (f" and {len(students) - _SHOWN} more" if len(students) > _SHOWN else ""))


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Callable[[str], None]]:
    """A bar on a terminal, nothing elsewhere."""
    from tqdm import tqdm

    with tqdm(total=total, unit="student", disable=None, leave=False) as bar:

        def step(student: str) -> None:
            bar.update()

        yield step
