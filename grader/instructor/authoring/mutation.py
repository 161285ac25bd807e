"""Mutants: wrong versions of the solutions (`tests/mutants.py`), examined and judged.

A mutant must lose points where it is wrong and nowhere else, hear the hint that belongs to it, and end as it must.
"""

import importlib.util
import multiprocessing
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Protocol

from grader.assignment import TASKS
from grader.examine import examine, prepare
from grader.instructor.mistakes import MISTAKES
from grader.outcomes import KitError, Outcome
from grader.report import CheckResult, Report
from grader.submission import Submission

Job = tuple[str, dict[str, bytes], tuple[str, ...]]  # name, files, tasks to examine


class Mutant(Protocol):
    """What `tests/mutants.py` says of one."""

    name: str
    module: str
    loses: str
    also: tuple[str, ...]
    hint: str
    outcome: str


def load(root: Path) -> ModuleType:
    """The module `tests/mutants.py` below `root`. Raises `KitError` where it does not load."""
    path = root / "tests" / "mutants.py"
    if "mutants" in sys.modules:
        return sys.modules["mutants"]
    spec = importlib.util.spec_from_file_location("mutants", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise KitError(f"{path} is not there. Run this in the whole repository.")
    module = sys.modules["mutants"] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules["mutants"]
        raise KitError(f"{path} does not load: {type(error).__name__}: {error}") from error
    return module


def examine_all(jobs: Sequence[Job]) -> dict[str, Report]:
    """The report of each job by its name: public and hidden checks, with one secret for all, in two processes."""
    prepare(submissions=len(jobs))
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
        reports = pool.map(_examined, jobs, chunksize=4)
    return {name: report for (name, _, _), report in zip(jobs, reports, strict=True)}


def _examined(job: Job) -> Report:
    name, files, tasks = job
    return examine(Submission(name, files), tasks=tasks, hidden=True, secret=b"mutants")


def reached(mutant: Mutant) -> tuple[str, ...]:
    """The tasks of the module that was changed, and those that build on the one that is wrong."""
    return tuple(task.name for task in TASKS if task.module == mutant.module or task.name in mutant.also)


def wrong_points(mutant: Mutant, report: Report) -> str:
    """Why the mutant's points are not as they must be, "" where they are."""
    task = next(task for task in report.tasks if task.task == mutant.loses)
    if not report.has_verdict:
        return f"{mutant.name}: a check has no verdict"
    if task.earned >= task.points:
        return f"{mutant.name} keeps all points of {mutant.loses}: no check sees the mistake"
    allowed = (mutant.loses, *mutant.also)
    for check in (check for other in report.tasks if other.task not in allowed for check in other.checks):
        if not check.earned:
            return f"{mutant.name} loses points of {check.id}, too: {check.message}"
    return ""


def wrong_hint(mutant: Mutant, report: Report) -> str:
    """Why the mutant does not hear the hint that belongs to it, "" where it does or none belongs to it."""
    if not mutant.hint:
        return ""
    hints = {mistake.name: mistake.hint for mistake in MISTAKES.get(mutant.loses, ())}
    if mutant.hint not in hints:
        return f"{mutant.name}: there is no mistake {mutant.hint} of {mutant.loses} in mistakes.py"
    told = {
        check.id: check.diagnosis
        for check in _checks(mutant, report)
        if check.outcome is Outcome.FAILED and check.diagnosis
    }
    if hints[mutant.hint] in told.values():
        return ""
    return f"{mutant.name} does not hear {mutant.hint}; it hears {told or 'nothing'}"


def wrong_outcome(mutant: Mutant, report: Report) -> str:
    """Why the mutant does not end as it must, "" where it does."""
    ends = [str(check.outcome) for check in _checks(mutant, report)]
    if not mutant.outcome or mutant.outcome in ends:
        return ""
    return f"{mutant.name} must end as {mutant.outcome}; its checks end as {', '.join(sorted(set(ends)))}"


def _checks(mutant: Mutant, report: Report) -> Sequence[CheckResult]:
    return next(task.checks for task in report.tasks if task.task == mutant.loses)
