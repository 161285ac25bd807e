"""The instructor's commands: `grade all`, `grade release`, and those of a course. Not part of a student's kit."""

import os
from pathlib import Path
from typing import Annotated

import typer

from grader.instructor.course.commands import course_app, feedback
from grader.instructor.course.layout import find_course
from grader.instructor.export.commands import export_app
from grader.instructor.report.commands import report
from grader.usage import complete_task, fail, messages, parse_tasks

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


def grade_all(
    submissions: Annotated[
        Path, typer.Argument(help="A folder with a folder or archive for each student, or a course.")
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
    force: Annotated[bool, typer.Option("--force", help="Examine also what has a record.")] = False,
) -> None:
    """Grade a class, with public and hidden checks; go on where a run was stopped.

    Exit status: 0 when every submission has a verdict, 1 when one has none, 2 for a wrong command.
    """
    tasks = None
    if task:
        tasks, only = parse_tasks(task)
        if only is not None:
            fail("--task takes tasks (conv2d), not single checks.")
    with messages():
        from grader.instructor.batch import command

        course = find_course(submissions)
        out = out or (course.results if course else Path("results"))
        status = command(submissions, out, jobs=jobs, tasks=tasks, students=student or None, force=force)
    raise typer.Exit(status)


def release(
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the student's kit is written.")] = Path(
        "dist"
    ),
) -> None:
    """Make student/ from solutions/, and the student's kit as one zip."""
    with messages():
        from grader.instructor.release import ReleaseError
        from grader.instructor.release import release as make

        try:
            made = make(ROOT, out)
        except ReleaseError as error:
            fail(str(error))
    for path in made:
        print(path)
