"""What a person is told of a task's checks that did not pass, for the terminal and for a notebook alike.

One cause is told once: what waits for another check is only named, and so is what failed for the same reason.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from grader.outcomes import Outcome
from grader.report import CheckResult, TaskResult
from grader.show.pictured import pictured

Row = tuple[str, str]  # a label and its text
Hints = Callable[[CheckResult], list[Row]]  # what is told beside the message of a check that did not pass
Seen = dict[Row, str]  # message and location of what was told before, and the check's name


@dataclass(frozen=True, slots=True)
class Failure:
    """A check that did not pass. same_as: the check that was told before, where the cause is the same."""

    check: CheckResult
    same_as: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """note: why all of the task is missing, where the table does not say it. waiting: names of skipped checks."""

    failures: tuple[Failure, ...] = ()
    waiting: tuple[str, ...] = ()
    note: str = ""


def told_of(task: TaskResult, seen: Seen, hinting: bool = False) -> Told:
    """What is told of the task. `seen` is added to. hinting: a stub is told where to begin, too."""
    if task.checks and all(check.outcome is Outcome.MISSING for check in task.checks):
        message = task.checks[0].message.rpartition("\n")[2]
        if "still the stub" not in message:  # of a stub the table says enough
            return Told(note=message)
        name = task.task
        begin = f"not begun; grade explain {name} says what it should do"
        begin += f", grade show {name} draws it" * (name in pictured())
        return Told(note=begin if hinting else "")
    failures = []
    for check in task.checks:
        if check.outcome in (Outcome.PASSED, Outcome.SKIPPED, Outcome.MISSING):
            continue
        cause = (check.message, check.location)
        if check.location and cause in seen:
            failures.append(Failure(check, seen[cause]))
            continue
        seen[cause] = check.name
        failures.append(Failure(check))
    waiting = (check.name.partition("/")[2] for check in task.checks if check.outcome is Outcome.SKIPPED)
    return Told(tuple(failures), tuple(waiting))


def message_rows(check: CheckResult) -> list[Row]:
    """What was asked, called and found; rows without text are left out."""
    called, _, found = check.message.rpartition("\n")
    return _full([("asked", check.title), ("called", called), ("found", found)])


def help_rows(check: CheckResult, again: str, hints: Hints | None = None) -> list[Row]:
    """Where it is, what helps, and the command for this check alone. Without `hints`: the diagnosis at once."""
    one = f"{again} {check.name}"
    if hints is not None:
        helping = hints(check)
    elif check.diagnosis or check.outcome is Outcome.NO_VERDICT:
        helping = [("likely", check.diagnosis)]
    else:
        helping = [("hint", f"{one} --hint")]
    return _full([("at", check.location), *helping, ("again", one)])


def _full(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row[1]]
