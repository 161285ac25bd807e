"""The command line: `grade check` for students; `grade all` and `grade release` where they are at hand.

Imports neither torch nor pytest before a command needs them: `grade --help` answers at once.
"""

import importlib.util
import os
from pathlib import Path
from typing import Annotated

import typer

from grader.reproduce.commands import reproduce
from grader.show.pictured import no_picture
from grader.usage import complete_task, default_folder, fail, messages, parse_tasks, refuse_slips

app = typer.Typer(
    name="grade",
    help="Check and grade the LeNet-5 homework.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command that the arguments name."""
    try:
        app(prog_name="grade")
    except BrokenPipeError:  # `grade check | head`
        os._exit(1)


def _print_version(wanted: bool) -> None:
    if wanted:
        from grader.kit import versions

        found = versions()
        print(f"grade {found['kit']} (torch {found['torch']}, Python {found['python']})")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the versions and exit."
        ),
    ] = False,
) -> None:
    """Check and grade the LeNet-5 homework."""


@app.command()
def check(
    tasks: Annotated[
        list[str] | None,
        typer.Argument(
            help="Tasks (conv2d) or single checks (conv2d/stride); none for all.",
            autocompletion=complete_task,
        ),
    ] = None,
    submission: Annotated[
        Path | None,
        typer.Option(
            "--submission", "-s", help="The folder that holds your layers.py.", show_default="./student"
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Check again on every save.")] = False,
    hint: Annotated[
        bool,
        typer.Option(
            "--hint", help="Hints in steps: first a nudge, next time the likely mistake, then where to read."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    in_process: Annotated[
        bool, typer.Option("--in-process", help="Run your code in this process, without the sandbox.")
    ] = False,
    pdb: Annotated[
        bool, typer.Option("--pdb", help="With --in-process: open the debugger where your code raises.")
    ] = False,
) -> None:
    """Check your own work: a table of tasks, then what is wrong and where.

    Exit status: 0 when all that ran passed, 1 when something did not, 2 for a wrong command.
    """
    if pdb and not in_process:
        fail("--pdb needs --in-process: a debugger cannot reach into the sandbox.")
    if hint and (watch or as_json):
        fail("--hint goes with neither --watch nor --json.")
    if watch and (as_json or in_process):
        fail("--watch goes with neither --json nor --in-process.")
    names, only = parse_tasks(tasks or [])
    folder = _folder(submission)
    again = "grade check" if submission is None else f"grade check --submission {submission}"
    with messages():
        refuse_slips()
        workers = None
        if not in_process:
            from grader.ready import get_ready

            workers = get_ready()
        from grader import check as command

        status = command.check(
            folder,
            names,
            only,
            workers=workers,
            again=again,
            as_json=as_json,
            watch=watch,
            in_process=in_process,
            debug=pdb,
            hint=hint,
        )
    raise typer.Exit(status)


@app.command()
def show(
    tasks: Annotated[
        list[str],
        typer.Argument(help="Tasks (conv2d), one or more.", autocompletion=complete_task),
    ],
    submission: Annotated[
        Path | None,
        typer.Option(
            "--submission", "-s", help="The folder that holds your layers.py.", show_default="./student"
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="A .png file or a folder.",
            show_default="a window, or ./TASK.png where there is none",
        ),
    ] = None,
) -> None:
    """Draw what your function does on an example, beside what it should do.

    For a stub, only what it should do. Nothing is judged here: the exit status is 0 wherever a picture was made.
    """
    names, only = parse_tasks(tasks)
    if only is not None:
        fail("Name tasks (conv2d), not single checks: each task has one picture.")
    names = list(dict.fromkeys(names))
    if out is not None and out.suffix.lower() == ".png" and len(names) > 1:
        fail(f"{out} is one file, and there are {len(names)} pictures: name a folder.")
    folder = _folder(submission)
    with messages():
        refuse_slips()
        if message := no_picture(names):
            fail(message)
        from grader.ready import get_ready

        workers = get_ready()
        from grader.show import command

        command.show(folder, names, workers=workers, out=out)


@app.command()
def explain(
    tasks: Annotated[
        list[str] | None,
        typer.Argument(help="Tasks (conv2d); none for a list of them.", autocompletion=complete_task),
    ] = None,
) -> None:
    """What a task asks: its docstring with the formula, its checks and points, and what is not allowed."""
    names, _ = parse_tasks([name.partition("/")[0] for name in tasks or []])
    with messages():
        refuse_slips()
        from rich.console import Console

        from grader import explain as command

        console = Console(highlight=False)
        if not tasks:
            command.overview(console)
            return
        for number, name in enumerate(dict.fromkeys(names)):
            if number:
                console.print()
            command.explain(console, name)


def doctor() -> None:
    """Look at this machine: which level of isolation it gives, and how to get a better one.

    Exit status: 0 where it is fit for grading (level A or B), 1 where it is not.
    """
    with messages():
        from grader.doctor import doctor as command

        raise typer.Exit(command())


app.command()(reproduce)


def _folder(submission: Path | None) -> Path:
    """The folder with layers.py: the one named, else this one or `student` in it."""
    folder = submission if submission is not None else default_folder()
    if folder.is_file():
        fail(
            f"{folder} is a file, and a folder is wanted: unpack it, or name the folder that holds layers.py."
        )
    if not folder.is_dir():
        fail(
            f"There is no folder {folder}. Run this in the kit's folder, which has student/ in it, or name the one "
            "that holds your layers.py: --submission FOLDER"
        )
    if not os.access(folder, os.R_OK | os.X_OK):
        fail(f"{folder}: permission denied. Make it readable (chmod u+rx) or name another folder.")
    return folder


if importlib.util.find_spec("grader.instructor") is not None:  # not in a student's kit
    from grader.instructor.commands import add_commands

    add_commands(app)  # with a `doctor` that looks at more
else:
    app.command()(doctor)
