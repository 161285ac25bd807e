"""The process that judges for a notebook: `python -c ... grader.judge.main()`, started by `grader.magic`.

A notebook's kernel runs the student's cells, which may change torch under everyone's feet: it is no place to
judge in. This process lives as long as the kernel keeps its input open, imports torch once, and answers one
line of JSON with one. It takes nothing from the kernel but names: files are read from disk, as they are saved,
and the student's functions run in workers as ever.
"""

import base64
import os
import sys
from functools import partial
from pathlib import Path
from typing import IO, Any

import msgspec

from grader.outcomes import KitError
from grader.report import Report
from grader.submission import SubmissionError, read_folder


class Check(msgspec.Struct, tag="check"):
    """Check tasks (with `only`: single checks) of the submission in `folder`."""

    folder: str
    tasks: list[str]
    only: list[str] | None = None
    hint: bool = False
    again: str = "grade check"


class Show(msgspec.Struct, tag="show"):
    """Draw the examples of tasks."""

    folder: str
    tasks: list[str]


class Checked(msgspec.Struct, tag="checked"):
    """hints: rows of label and text by the check's id, where hints in steps were asked for."""

    report: Report
    since: list[str]
    hints: dict[str, list[tuple[str, str]]] | None = None


class Picture(msgspec.Struct):
    """A PNG in base64, and what it shows in words."""

    task: str
    png: str
    words: str


class Shown(msgspec.Struct, tag="shown"):
    pictures: list[Picture]


class Refused(msgspec.Struct, tag="refused"):
    """Why there is no answer, for the person who asked."""

    message: str


Request = Check | Show
Answer = Checked | Shown | Refused


def main() -> None:
    """Answer requests until the input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    from grader.ready import get_ready

    workers = get_ready()
    from grader.examine import close, prepare

    prepare(workers=workers)
    try:
        _serve(sys.stdin.buffer, answers)
    finally:
        close()


def _serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    for line in requests:
        try:
            answer = _answer(msgspec.json.decode(line, type=Request))
        except (SubmissionError, KitError) as error:
            answer = Refused(str(error))
        answers.write(msgspec.json.encode(answer) + b"\n")
        answers.flush()


def _answer(request: Request) -> Answer:
    match request:
        case Check():
            return _check(request)
        case Show():
            return _show(request)


def _check(request: Check) -> Checked:
    from grader.check import STUDENT, stepwise
    from grader.examine import examine
    from grader.failures import told_of
    from grader.progress import Progress

    folder = Path(request.folder)
    report = examine(read_folder(folder, STUDENT), tasks=request.tasks, only=request.only)
    progress = Progress.of(folder)
    since = progress.since(report)
    progress.remember(report)
    hints = None
    if request.hint:
        seen: dict[tuple[str, str], str] = {}
        told = [failure for task in report.tasks for failure in told_of(task, seen).failures]
        step = partial(stepwise, progress, request.again)
        hints = {failure.check.id: step(failure.check) for failure in told if not failure.same_as}
    progress.save()
    return Checked(report, since, hints)


def _show(request: Show) -> Shown:
    from grader.check import STUDENT
    from grader.show.command import look_at
    from grader.show.drawing import png

    pictures: list[Picture] = []
    for seen in look_at(read_folder(Path(request.folder), STUDENT), request.tasks):
        words: list[Any] = [f"{seen.task}: {seen.outcome}", seen.message, seen.diagnosis]
        pictures.append(
            Picture(seen.task, base64.b64encode(png(seen)).decode(), ". ".join(w for w in words if w))
        )
    return Shown(pictures)
