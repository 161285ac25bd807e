"""The instructor's commands: `grade all`, `grade release`, and those of a course. Not part of a student's kit."""

import os
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from grader.instructor.course.commands import course_app, feedback, grade_with_feedback
from grader.instructor.course.layout import results_of
from grader.instructor.export.commands import export_app
from grader.instructor.report.commands import report
from grader.usage import complete_task, fail, messages, parse_tasks, refuse_slips

PROCESSORS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
ROOT = Path(__file__).resolve().parents[2]


def add_commands(app: typer.Typer) -> None:
    """Add the instructor's commands to the command line."""
    app.command("all")(grade_all)
    app.command("release")(release)
    app.add_typer(course_app)
    app.command("feedback")(feedback)
    app.command("report")(report)
    app.add_typer(export_app)
    app.command("similar")(similar)
    app.command("doctor")(doctor)


def grade_all(
    submissions: Annotated[
        Path,
        typer.Argument(
            help="A folder with a folder or archive for each student, a platform's zip, or a course."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Where grades.csv and records/ go.",
            show_default="results, in a course its own",
        ),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs", "-j", min=1, help="Processes that examine at once.", show_default="one a processor"
        ),
    ] = (PROCESSORS),
    task: Annotated[
        list[str] | None,
        typer.Option("--task", "-t", help="Only this task; may be repeated.", autocompletion=complete_task),
    ] = None,
    student: Annotated[
        list[str] | None, typer.Option("--student", help="Only this student; may be repeated.")
    ] = None,
    roster: Annotated[
        Path | None,
        typer.Option(
            "--roster",
            help="Who is in the class: a CSV with the column id. Kept beside the records for later runs.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Examine also what has a record.")] = False,
    with_feedback: Annotated[
        bool,
        typer.Option(
            "--feedback",
            help="Also publish to the course's gradebook, where it is one, and write each student's page.",
        ),
    ] = False,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            metavar="ADDRESS",
            help="Examine on the workers of a Dask cluster (tcp://HOST:PORT, tls://...), not here.",
        ),
    ] = None,
    require_isolation: Annotated[
        str,
        typer.Option(
            "--require-isolation",
            metavar="A|B|C|D",
            help="The weakest level of isolation from students' code that will do (see grade doctor).",
        ),
    ] = "B",
    unsafe: Annotated[
        bool, typer.Option("--unsafe", help="Take any level: the same as --require-isolation D.")
    ] = False,
    box: Annotated[
        str,
        typer.Option(
            "--box",
            metavar="BOX",
            help="Around the workers, for level C: bubblewrap, docker:IMAGE or apptainer:IMAGE.",
            show_default="none",
        ),
    ] = "",
) -> None:
    """Grade a class, with public and hidden checks; go on where a run was stopped.

    Exit status: 0 when every submission has a verdict, 1 when one has none, 2 for a wrong command.
    """
    tasks = None
    if task:
        tasks, only = parse_tasks(task)
        if only is not None:
            fail("--task takes tasks (conv2d), not single checks.")
    require_isolation = require_isolation.upper()
    with messages():
        from grader.instructor import early
        from grader.isolation import LEVELS, Isolation

        if require_isolation not in LEVELS:
            fail(f"--require-isolation takes a level, {', '.join(LEVELS)}.")

        out = results_of(submissions, out)
        isolation = Isolation(require="D" if unsafe else require_isolation, box=box)
        with early.take_over(isolation) as host:
            from grader.instructor.batch import command

            grade = partial(
                command,
                submissions,
                out,
                jobs=jobs,
                tasks=tasks,
                students=student or None,
                roster_file=roster,
                force=force,
                scheduler=scheduler,
                isolation=isolation,
                host=host,
                look_first=refuse_slips,
            )
            status = grade_with_feedback(submissions, out, grade) if with_feedback else grade()
    raise typer.Exit(status)


def doctor(
    assignment: Annotated[
        bool,
        typer.Option(
            "--assignment", help="Prove the assignment instead: solutions, checks, hints, mutants, kit."
        ),
    ] = False,
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            "-t",
            help="With --assignment: examine only this task's mutants; may be repeated.",
            autocompletion=complete_task,
        ),
    ] = None,
) -> None:
    """Look at this machine: which level of isolation it gives, and how to get a better one.

    Exit status: 0 where it is fit for grading (level A or B), with --assignment where all of the proof holds,
    else 1.
    """
    if task and not assignment:
        fail("--task goes with --assignment.")
    with messages():
        if assignment:
            refuse_slips()
            from grader.instructor.authoring.command import prove

            tasks, only = parse_tasks(task or [])
            if only is not None:
                fail("--task takes tasks (conv2d), not single checks.")
            raise typer.Exit(prove(ROOT, tasks))
        from grader.doctor import sections, show

        raise typer.Exit(show(sections()))


def release(
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the student's kit is written.")] = Path(
        "dist"
    ),
) -> None:
    """Make student/ from solutions/, and the student's kit as one zip."""
    with messages():
        refuse_slips()
        from grader.instructor.release import ReleaseError
        from grader.instructor.release import release as make

        try:
            made = make(ROOT, out)
        except ReleaseError as error:
            fail(str(error))
    told = ("the students' files", "the kit to hand out")
    for what, path in zip(told, made, strict=True):
        print(f"{what}: {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")
    print("Does it hold together? grade doctor --assignment")


def similar(
    submissions: Annotated[
        list[Path],
        typer.Argument(
            help="Folders with a folder or archive for each student, or courses.", show_default=False
        ),
    ],
    earlier: Annotated[
        list[Path] | None,
        typer.Option("--earlier", help="The submissions of an earlier year; may be repeated."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where similar.html and similar.csv go.")] = Path(
        "results/similar"
    ),
    pairs: Annotated[
        int, typer.Option("--pairs", min=1, max=1000, help="The most pairs that the page shows.")
    ] = 50,
    at_least: Annotated[
        int,
        typer.Option("--at-least", min=1, max=100, help="Per cent that a pair must be alike to be listed."),
    ] = 40,
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs", "-j", min=1, help="Processes that read at once.", show_default="one a processor"
        ),
    ] = (PROCESSORS),
) -> None:
    """Show which submissions are alike, side by side: a page to look at, no verdict on anybody.

    Compares the submissions with each other, with earlier years' and with the solution; what everybody was given
    does not count, and nothing is run.
    """
    with messages():
        from grader.instructor.release import ReleaseError
        from grader.instructor.similarity.command import compare

        try:
            compare(submissions, earlier or [], out, jobs=jobs, pairs=pairs, threshold=at_least / 100)
        except ReleaseError as error:
            fail(str(error))
