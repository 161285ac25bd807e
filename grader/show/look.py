"""Asks the student's code and the reference for a task's example: what both gave, ready to be drawn."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from grader import compare
from grader.assignment import BY_NAME, INSTEAD
from grader.examination import Examination, OpenWorker
from grader.limits import Limits
from grader.outcomes import Outcome
from grader.proxy import Student
from grader.reference import Reference, plain
from grader.remote import WorkerFailure
from grader.show.examples import Example, example_of, key_of
from grader.submission import Submission
from grader.verdict import verdict

_OF_FORM = ("type", "keys", "length", "shape", "dtype", "none")  # differences after which nothing lines up


@dataclass(frozen=True, slots=True)
class Seen:
    """One task's example. `wanted` and `got` are the parts by name; `got` has those that can be drawn beside
    the wanted ones, `problems` says of each other part why not. `message`, `diagnosis` and `location` are
    those of a check."""

    task: str
    inputs: dict[str, Any]
    wanted: dict[str, Any]
    got: dict[str, Any]
    problems: dict[str, str]
    raw: dict[str, Any]  # whatever came back, in whatever form
    outcome: Outcome
    message: str = ""
    diagnosis: str = ""
    location: str = ""


def look(
    submission: Submission,
    tasks: Sequence[str],
    open_worker: OpenWorker,
    reference: Reference,
    limits: Limits,
    reset_between_tasks: bool = False,
) -> Iterator[Seen]:
    """The example of each of `tasks`, one after the other. Never raises for what is in a submission."""
    examination = Examination(submission, limits, open_worker, reset_between_tasks)
    try:
        for task in tasks:
            yield _look(task, examination, reference)
    finally:
        examination.close()


def _look(task: str, examination: Examination, reference: Reference) -> Seen:
    example = example_of(task, reference)
    inputs = plain(example.inputs)  # copies: a known mistake may change them
    student = Student(lambda: examination.worker(BY_NAME[task]))
    wanted = reference.wanted(key_of(task), example.experiment)
    try:
        got = plain(example.experiment(student))
    except WorkerFailure as failure:
        found = verdict(failure, "")
        diagnosis = found.diagnosis
        if found.outcome is Outcome.FORBIDDEN:
            diagnosis = f"Write it from ordinary operations: {INSTEAD[BY_NAME[task].bans]}"
        return Seen(
            task, inputs, wanted, {}, dict.fromkeys(wanted, found.message), {},
            found.outcome, found.message, diagnosis, found.location,
        )  # fmt: skip
    except Exception as error:  # the result does not fit what the example does with it
        message = f"the result cannot be used as the task says: {error}"
        problems = dict.fromkeys(wanted, message)
        return Seen(task, inputs, wanted, {}, problems, {}, Outcome.FAILED, message)
    return _compared(task, example, inputs, got, wanted, reference)


def _compared(
    task: str,
    example: Example,
    inputs: dict[str, Any],
    got: dict[str, Any],
    wanted: dict[str, Any],
    reference: Reference,
) -> Seen:
    fitting, problems, first = {}, {}, ""
    for part, value in wanted.items():
        found = compare.difference(got[part], value, atol=example.atol)
        if found is not None and found.kind in _OF_FORM:
            problems[part] = found.text
        else:
            fitting[part] = got[part]
        if found is not None and not first and part not in example.unjudged:
            first = f"{part}: {found.text}"
    diagnosis = _diagnosis(task, example, got, wanted, reference) if first else ""
    outcome = Outcome.FAILED if first else Outcome.PASSED
    return Seen(task, inputs, wanted, fitting, problems, got, outcome, first, diagnosis)


def _diagnosis(
    task: str, example: Example, got: dict[str, Any], wanted: dict[str, Any], reference: Reference
) -> str:
    """The known mistake that gives what the student's code gave, "" where there is none."""

    def judged(parts: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in parts.items() if name not in example.unjudged}

    atol = max(example.atol, 10 * compare.ATOL)
    for hint, mistaken in reference.mistaken(key_of(task), task, example.experiment, wanted):
        ours = judged(mistaken)
        # a mistake that only shows in a part that is not judged explains nothing
        if compare.difference(ours, judged(wanted), atol=example.atol) is None:
            continue
        if compare.difference(judged(got), ours, 10 * compare.RTOL, atol) is None:
            return hint
    return ""
