"""The instructor's commands: `grade all` and `grade release`. Not part of a student's kit."""

from pathlib import Path
from typing import Annotated

import typer


def add_commands(app: typer.Typer) -> None:
    """Add the instructor's commands to the command line."""
    app.command("release")(release)


def release(
    out: Annotated[Path, typer.Option("--out", help="Where the student's kit is written.")] = Path("dist"),
) -> None:
    """Make student/ from solutions/, and the student's kit as one zip."""
    from grader.instructor.release import release as make

    for path in make(Path(__file__).resolve().parents[2], out):
        print(path)
