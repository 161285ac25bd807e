"""What the commands share: errors as messages, names of tasks."""

import contextlib
import difflib
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import typer

from grader.assignment import BY_NAME, TASKS
from grader.authored import not_imported
from grader.kit import ROOT
from grader.outcomes import KitError
from grader.submission import SubmissionError


def fail(message: str) -> NoReturn:
    """End with exit status 2 and a message that says what to do."""
    print(f"grade: {message}", file=sys.stderr)
    sys.exit(2)


@contextlib.contextmanager
def messages() -> Iterator[None]:
    """Around a command: what a user can mend becomes a message, Ctrl-C ends without a traceback.

    So does an exception for which a file of the assignment's author cannot be imported.
    """
    try:
        yield
    except (SubmissionError, KitError) as error:
        fail(str(error))
    except Exception as error:
        if message := not_imported(error):
            fail(message)
        raise
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        raise typer.Exit(130) from None


def refuse_slips() -> None:
    """Before a command that stands on the whole assignment: raise `KitError` with the slips of its author.

    A student's kit has nothing to look for them with: it was released without any.
    """
    if importlib.util.find_spec("grader.instructor") is not None:
        from grader.instructor.authoring import slips

        slips.refuse(ROOT)


def complete_task(incomplete: str) -> list[str]:
    """The tasks whose names begin like this, for the shell's completion."""
    return [task.name for task in TASKS if task.name.startswith(incomplete)]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """ " Did you mean conv2d?" where one of the known names is like this one, else nothing."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f" Did you mean {close[0]}?" if close else ""


class UsageError(Exception):
    """A command that names something that there is not; the text says what to do."""


def read_tasks(names: Sequence[str]) -> tuple[list[str], set[str] | None]:
    """The tasks of `names`, and the single checks where any is named; all tasks for no name.

    Raises `UsageError`.
    """
    if not names:
        return [task.name for task in TASKS], None
    tasks: list[str] = []
    only: set[str] = set()
    for name in names:
        task, _, one = name.partition("/")
        if task not in BY_NAME and (name.endswith(".py") or Path(name).is_dir()):
            raise UsageError(
                f"{name} is a file or a folder, and a task is wanted: conv2d, say. A folder that holds a layers.py "
                "is named by --submission."
            )
        if task not in BY_NAME:
            raise UsageError(
                f"There is no task {task}.{did_you_mean(task, BY_NAME)} Tasks: {', '.join(BY_NAME)}."
            )
        tasks.append(task)
        if one:
            only.add(name)
    if not only:
        return tasks, None
    if len(only) < len(names):
        raise UsageError("Name either tasks (conv2d) or single checks (conv2d/stride), not both.")
    return tasks, only


def parse_tasks(names: Sequence[str]) -> tuple[list[str], set[str] | None]:
    """`read_tasks` for a command: what is wrong ends it with a message."""
    try:
        return read_tasks(names)
    except UsageError as error:
        fail(str(error))


def default_folder() -> Path:
    """The current folder where it has a layers.py, else `student` in it."""
    here = Path.cwd()
    return here if (here / "layers.py").is_file() else here / "student"
