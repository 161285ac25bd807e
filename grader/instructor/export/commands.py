"""`grade export`: what platforms take, made from records. Imports a format's module only within its command."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grader.usage import fail, messages

if TYPE_CHECKING:
    from grader.instructor.export.finals import Finals
    from grader.instructor.export.matching import Filled
    from grader.instructor.standings import Standings

export_app = typer.Typer(
    name="export",
    help="Scores for a platform, made from records: Canvas, Moodle, Gradescope, CSV, JSON. Grades nothing.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
gradescope_app = typer.Typer(
    name="gradescope",
    help="Gradescope: one submission's results.json, or the whole autograder.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
export_app.add_typer(gradescope_app)
_ROOT = Path(__file__).resolve().parents[3]
_SHOWN = 20

Results = Annotated[
    Path, typer.Argument(help="Where grade all wrote its records, or a course.", show_default="./results")
]
PolicyFile = Annotated[
    Path | None,
    typer.Option("--policy", help="The policy on late work.", show_default="policy.toml there, if any"),
]
RosterFile = Annotated[
    Path | None,
    typer.Option(
        "--roster",
        help="Who is in the class.",
        show_default="the course's, or the one that grade all was given",
    ),
]
Scale = Annotated[
    bool, typer.Option("--scale", help="Scale the scores to the platform's points, where they differ.")
]
Written = Annotated[
    bool,
    typer.Option("--written", help="With the points of written answers, from the course's gradebook."),
]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="The file to write.", show_default=False)]


@contextlib.contextmanager
def export_messages() -> Iterator[None]:
    """Around a command: errors of records, policy and roster as messages."""
    with messages():
        from grader.instructor.course import CourseError

        try:
            yield
        except CourseError as error:
            fail(str(error))


def write(path: Path, data: bytes) -> None:
    """Write the file whole; a message where that cannot be."""
    from grader.instructor.records import write_whole

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)
    except OSError as error:
        fail(f"{path} cannot be written: {error.strerror}.")


@export_app.command("csv")
def csv_(
    results: Results = Path("results"),
    policy: PolicyFile = None,
    roster: RosterFile = None,
    out: Out = None,
) -> None:
    """One table of the class: every task, and each step of the policy.

    Exit status: 0 when everyone who handed in has a final score and is on the roster (where there is one), else 1.
    """
    _table("csv", results, policy, roster, out)


@export_app.command("json")
def json_(
    results: Results = Path("results"),
    policy: PolicyFile = None,
    roster: RosterFile = None,
    out: Out = None,
) -> None:
    """The class as JSON, with every check's outcome.

    Exit status: 0 when everyone who handed in has a final score and is on the roster (where there is one), else 1.
    """
    _table("json", results, policy, roster, out)


def _table(kind: str, results: Path, policy: Path | None, roster: Path | None, out: Path | None) -> None:
    with export_messages():
        from grader.instructor.export import tables
        from grader.instructor.export.finals import why_without_score
        from grader.instructor.export.matching import not_on_roster
        from grader.instructor.standings import read_standings

        standings = read_standings(results, policy, roster)
        data = tables.csv_bytes(standings) if kind == "csv" else tables.json_bytes(standings)
        path = out or standings.results / f"class.{kind}"
        write(path, data)
        without = {one.student: why for one in standings.graded if (why := why_without_score(one))}
        missing = not_on_roster((one.student for one in standings.graded), standings.roster)
    print(f"{len(standings.everyone)} students: {path}")
    _tell("On the roster, and nothing handed in:", [one.student for one in standings.absent])
    problem = _tell("Without a final score:", without)
    problem |= _tell("On no line of the roster:", missing)
    if standings.course is not None:
        print(
            "These are the points of the code; those of written answers are in the gradebook (nbgrader export)."
        )
    if _tell_about(standings) or problem:
        raise typer.Exit(1)


@export_app.command()
def canvas(
    gradebook: Annotated[
        Path, typer.Argument(help="The CSV from Canvas: Grades, Export.", show_default=False)
    ],
    results: Results = Path("results"),
    column: Annotated[
        str,
        typer.Option("--column", "-c", help="The assignment, as its column is called.", show_default=False),
    ] = "",
    policy: PolicyFile = None,
    roster: RosterFile = None,
    written: Written = False,
    scale: Scale = False,
    out: Out = None,
) -> None:
    """Fill a column of your own Canvas gradebook; every other cell stays as it is.

    Exit status: 0 when every student got a score, 1 when one did not, 2 for a wrong command.
    """
    if not column:
        fail("Which assignment? Name its column as Canvas has it: --column 'Homework 1'")
    with export_messages():
        from grader.instructor.export import canvas as format_

        standings, finals = _finals(results, policy, roster, written)
        data, filled = format_.fill(finals, gradebook, column, scale=scale)
    _finish(standings, finals, gradebook, out or standings.results / "canvas.csv", data, filled)
    print("Next: in Canvas, Grades, Import, and choose this file.")


@export_app.command()
def moodle(
    worksheet: Annotated[
        Path, typer.Argument(help="The CSV from Moodle: Download grading worksheet.", show_default=False)
    ],
    results: Results = Path("results"),
    policy: PolicyFile = None,
    roster: RosterFile = None,
    written: Written = False,
    scale: Scale = False,
    out: Out = None,
) -> None:
    """Fill the grades into your own Moodle grading worksheet; every other cell stays as it is.

    Exit status: 0 when every student got a score, 1 when one did not, 2 for a wrong command.
    """
    with export_messages():
        from grader.instructor.export import moodle as format_

        standings, finals = _finals(results, policy, roster, written)
        data, filled = format_.fill(finals, worksheet, scale=scale)
    _finish(standings, finals, worksheet, out or standings.results / "moodle.csv", data, filled)
    print("Next: in Moodle, the assignment's Upload grading worksheet, and choose this file.")


@gradescope_app.command("results")
def gradescope_results(
    student: Annotated[
        str, typer.Argument(help="Whose submission, as grades.csv has it.", show_default=False)
    ],
    results: Results = Path("results"),
    policy: PolicyFile = None,
    out: Out = None,
) -> None:
    """One submission's results.json, as Gradescope shows it to the student; no file where there is no verdict."""
    with export_messages():
        from grader.instructor.export import gradescope as format_
        from grader.instructor.standings import read_standings
        from grader.text import clean
        from grader.usage import did_you_mean

        standings = read_standings(results, policy)
        one = standings.find(student)
        if one is None:
            guess = did_you_mean(student, (found.student for found in standings.graded))
            fail(f"There is no record of {clean(student)} in {standings.results}.{clean(guess)}")
        path = out or standings.results / "results.json"
        write(path, format_.results(one, with_policy=standings.policy is not None))
    print(path)


@gradescope_app.command("autograder")
def gradescope_autograder(
    results: Results = Path("results"),
    out: Annotated[Path, typer.Option("--out", "-o", help="The zip to write.")] = Path("dist/autograder.zip"),
) -> None:
    """The complete autograder as a zip for Configure Autograder, with hidden checks: never for students."""
    with export_messages():
        from grader.instructor.export.autograder import write_autograder

        known = write_autograder(_ROOT, results / "secret", out)
    print(f"{out}: upload it under Configure Autograder, with the newest Ubuntu as base image.")
    if not known:
        print(
            f"There is no {results / 'secret'} yet: hidden checks draw their numbers from a new secret in the zip."
        )
    print("It holds solutions, hidden checks and the secret: it is not for students.")


def _finals(
    results: Path, policy: Path | None, roster: Path | None, written: bool
) -> tuple["Standings", "Finals"]:
    from grader.instructor.export.finals import of_code, of_course
    from grader.instructor.standings import read_standings

    if written and policy is not None:
        fail("With --written late work costs what the course's own policy.toml says: leave out --policy.")
    standings = read_standings(results, policy, roster)
    return standings, of_course(standings) if written else of_code(standings)


# -- what is told -------------------------------------------------------------------------------------


def _finish(
    standings: "Standings", finals: "Finals", source: Path, path: Path, data: bytes, filled: "Filled"
) -> None:
    with contextlib.suppress(OSError):
        if path.resolve() == source.resolve():
            fail(f"{path} is your own file: name another one with --out.")
    write(path, data)
    print(f"{filled.placed} of {len(finals.students)} scores filled in: {path}")
    problem = _tell("Not filled in, found by no id:", filled.unmatched)
    problem |= _tell("Left as they were:", filled.without_score)
    _tell("On the platform, without a submission here, and left as they were:", filled.left)
    if finals.code_only:
        print(
            "These are the points of the code; --written adds those of the written answers, from the gradebook."
        )
    problem |= _tell_about(standings)
    if filled.unmatched:
        print(
            "Ids are compared as they are: mend them in roster.csv (email, lms_user_id) or in the submissions' names."
        )
    if problem:
        raise typer.Exit(1)


def _tell_about(standings: "Standings") -> bool:
    problem = _tell("The policy names students who have no record:", standings.unknown)
    return _tell("Records that cannot be read, and are left out:", standings.unread) or problem


def _tell(what: str, students: Mapping[str, str] | Sequence[str]) -> bool:
    """List the students, with reasons where there are some; whether there are any."""
    from grader.text import clean

    if not students:
        return False
    print(f"{what} {len(students)}")
    for student in list(students)[:_SHOWN]:
        why = students[student] if isinstance(students, Mapping) else ""
        print(f"  {clean(student)}" + (f": {clean(why)}" if why else ""))
    if len(students) > _SHOWN:
        print(f"  and {len(students) - _SHOWN} more")
    return True
