"""`grade show TASK`: the picture in a window where there is one, else, or with `--out`, as a PNG file."""

import os
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.text import Text

from grader import terminal
from grader.check import STUDENT
from grader.examination import heavy_imports
from grader.examine import close, prepare
from grader.outcomes import KitError, Outcome
from grader.show.drawing import draw, png
from grader.show.look import Seen, look
from grader.submission import Submission, read_folder
from grader.untrusted import Workers


def show(folder: Path, tasks: Sequence[str], *, workers: Workers | None, out: Path | None) -> None:
    """Draw the example of each of `tasks` for the submission in `folder`; say what is seen and where it is.

    out: a .png file (of a single task) or a folder; None for a window where there is a display, else for a file in
    the current folder. Raises `SubmissionError` where the folder cannot be read, `KitError` where a picture
    cannot be written.
    """
    console = Console(highlight=False)
    submission = read_folder(folder, STUDENT)
    prepare(workers=workers)
    windows = out is None and _has_windows()
    try:
        for seen in look_at(submission, tasks):
            _say(console, seen, "" if windows and _open(seen) else _write(seen, out))
    finally:
        close()
    if windows:
        import matplotlib.pyplot as plt

        plt.show()


def look_at(submission: Submission, tasks: Sequence[str]) -> Iterator[Seen]:
    """The examples, by the workers and the reference of this process."""
    examiner = prepare()
    return look(
        submission,
        tasks,
        partial(examiner.open_worker, heavy_imports(submission)),
        examiner.reference,
        examiner.limits,
        reset_between_tasks=examiner.workers_are_spawned,
    )


def _has_windows() -> bool:
    """Is there a display, and a toolkit that matplotlib can open a window with?"""
    if sys.platform not in ("win32", "darwin") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        return False
    import matplotlib.pyplot as plt

    return plt.get_backend().lower() != "agg"


def _open(seen: Seen) -> bool:
    import matplotlib.pyplot as plt

    draw(seen, plt.figure(f"grade show {seen.task}"))
    return True


def _write(seen: Seen, out: Path | None) -> str:
    out = out or Path()
    path = out if out.suffix.lower() == ".png" else out / f"{seen.task}.png"
    data = png(seen)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise KitError(
            f"{path} cannot be written ({error.strerror}). Name another place: grade show {seen.task} --out FILE.png"
        ) from None
    return str(path)


def _say(console: Console, seen: Seen, where: str) -> None:
    """A line on the outcome, what differs where something does, and where the picture is."""
    line = Text(seen.task, style="bold")
    line.append("  ")
    line.append_text(terminal.outcome_text(seen.outcome, console))
    if where:
        line.append(f"  {where}")
    console.print(line, soft_wrap=True)
    if seen.outcome in (Outcome.PASSED, Outcome.MISSING):
        return
    rows = [("found", seen.message), ("likely", seen.diagnosis), ("at", seen.location)]
    terminal.print_labelled(console, rows)
