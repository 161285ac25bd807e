"""From what a check raised to an outcome and the words that the student reads."""

from dataclasses import dataclass

from grader.authored import place_of
from grader.checking import WrongAnswer
from grader.hints import explain
from grader.outcomes import Outcome
from grader.remote import WorkerFailure
from grader.report import Grid
from grader.worker.wire import Frame


class Skip(Exception):
    """A check that is not run, and why."""


@dataclass(frozen=True, slots=True)
class Verdict:
    outcome: Outcome
    message: str = ""
    diagnosis: str = ""
    location: str = ""
    picture: str = ""
    grid: Grid | None = None


def verdict(error: BaseException | None, called: str) -> Verdict:
    """What it means that a check raised `error` (None: nothing) after the student's function was `called`."""
    match error:
        case None:
            return Verdict(Outcome.PASSED)
        case WrongAnswer():
            return Verdict(
                Outcome.FAILED, error.message, error.diagnosis, picture=error.picture, grid=error.grid
            )
        case Skip():
            return Verdict(Outcome.SKIPPED, str(error))
        case WorkerFailure():
            found = " ".join(error.message.split())  # a line: what was called has one of its own
            message = f"{called}\n{found}" if called and found else found
            hint = explain(found) if error.outcome is Outcome.ERROR else ""
            return Verdict(error.outcome, message, hint, "\n".join(map(_frame, error.frames)))
    place = place_of(error)
    where = f" ({place})" if place else ""
    return Verdict(Outcome.NO_VERDICT, f"the kit itself failed: {type(error).__name__}: {error}{where}")


def _frame(frame: Frame) -> str:
    """One line of the student's code as a traceback shows it."""
    where = f"{frame.file}, line {frame.line}"
    where += f", in {frame.function}" if frame.function else ""
    return f"{where}\n    {frame.text}" if frame.text else where
