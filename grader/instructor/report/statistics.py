"""A class in figures: scores, tasks, checks, time and memory, and what a person should look at. From records, plain data."""

import math
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from grader.assignment import BY_NAME, TASKS, TOTAL_POINTS
from grader.instructor.records import has_verdict
from grader.instructor.rows import Status
from grader.instructor.standings import Graded
from grader.outcomes import Outcome
from grader.report import CheckResult, Report, TaskResult

BINS = 11
_ORDER = {outcome: number for number, outcome in enumerate(Outcome)}  # of equally common ones the first
MOST = 5  # submissions named as those that took most
ENOUGH = 10  # students, below which a correlation says nothing
WEAK = 0.2  # a check below separates poorly (Ebel and Frisbie, Essentials of Educational Measurement, 1991)


@dataclass(frozen=True, slots=True)
class Scores:
    """The totals of the graded submissions, in points; all 0 where there are none."""

    count: int
    mean: float
    median: float
    deviation: float
    quarter: float
    three_quarters: float
    bins: tuple[
        int, ...
    ]  # students by score, equal steps from 0 to all points; the last holds full points, too


@dataclass(frozen=True, slots=True)
class TaskFigures:
    """One task over the graded submissions; shares from 0 to 1.

    diagnosis: the one that most of those got who lost points, and their share of them.
    """

    name: str
    points: float
    students: int
    passed: float
    mean: float
    outcome: Outcome | None  # the most common one of those who lost points
    outcome_share: float
    diagnosis: str
    diagnosis_share: float


@dataclass(frozen=True, slots=True)
class CheckFigures:
    """One check over the graded submissions. discrimination: None where it cannot be told.

    seconds: median and largest time. timeouts, memory: students who met that limit.
    """

    id: str
    task: str
    title: str
    hidden: bool
    points: float
    students: int
    passed: float
    discrimination: float | None
    seconds: float
    longest: float
    timeouts: int
    memory: int


@dataclass(frozen=True, slots=True)
class Spread:
    """What whole examinations took, in seconds or in bytes; all 0 where no record knows it."""

    median: float
    most: float  # 95 of 100 took at most so much
    largest: float


def scores(graded: Sequence[Graded]) -> Scores:
    """Of those that are graded in full; submissions that cannot be read are not among them."""
    totals = sorted(total for one in graded if is_graded(one) and (total := one.row.total) is not None)
    if not totals:
        return Scores(0, 0.0, 0.0, 0.0, 0.0, 0.0, (0,) * BINS)
    bins = Counter(min(BINS - 1, int(total / TOTAL_POINTS * BINS)) for total in totals)
    quarter, _, three_quarters = (
        statistics.quantiles(totals, n=4, method="inclusive") if len(totals) > 1 else totals * 3
    )
    return Scores(
        len(totals),
        statistics.fmean(totals),
        statistics.median(totals),
        statistics.pstdev(totals),
        quarter,
        three_quarters,
        tuple(bins[number] for number in range(BINS)),
    )


def is_graded(one: Graded) -> bool:
    """Does the submission count in figures: readable, and with a verdict on what was asked?"""
    return one.row.status in (Status.GRADED, Status.PARTLY)


def tasks(graded: Sequence[Graded]) -> list[TaskFigures]:
    """Each task's figures, in the assignment's order."""
    found = []
    by_task: dict[str, list[TaskResult]] = {task.name: [] for task in TASKS}
    for one in graded:
        if is_graded(one):
            for result in one.report.tasks:
                by_task[result.task].append(result)
    # a file that cannot be read has the same diagnosis in all of its tasks, and says nothing of this one
    spread = Counter(
        diagnosis for results in by_task.values() for diagnosis in set().union(*map(_diagnoses, results))
    )
    for task in TASKS:
        results = by_task[task.name]
        lost = [result for result in results if result.outcome is not Outcome.PASSED]
        outcomes = Counter(result.outcome for result in lost)
        diagnoses = Counter(diagnosis for result in lost for diagnosis in _diagnoses(result))
        outcome, with_outcome = min(
            outcomes.items(), key=lambda item: (-item[1], _ORDER[item[0]]), default=(None, 0)
        )
        diagnosis, with_diagnosis = _first(diagnoses, spread)
        found.append(
            TaskFigures(
                task.name,
                task.points,
                len(results),
                1 - len(lost) / len(results) if results else 0.0,
                statistics.fmean(result.earned for result in results) if results else 0.0,
                outcome,
                with_outcome / len(lost) if lost else 0.0,
                diagnosis,
                with_diagnosis / len(lost) if lost else 0.0,
            )
        )
    return found


def _diagnoses(result: TaskResult) -> set[str]:
    return {check.diagnosis for check in result.checks if check.diagnosis}


def _first(counts: Counter[str], spread: Counter[str]) -> tuple[str, int]:
    """The most common one; of equally common ones that of the fewest tasks, then the first by name.

    So the page is the same each time, and with other names.
    """
    return min(counts.items(), key=lambda item: (-item[1], spread[item[0]], item[0]), default=("", 0))


def checks(graded: Sequence[Graded]) -> list[CheckFigures]:
    """Each check's figures, in the order of the tasks."""
    found: dict[str, list[tuple[CheckResult, float | None]]] = {}
    for one in graded:
        if not is_graded(one):
            continue
        total = one.row.total
        for task in one.report.tasks:
            for check in task.checks:
                found.setdefault(check.id, []).append((check, total))
    order = {name: number for number, name in enumerate(BY_NAME)}
    made = [_figures(results) for results in found.values()]
    return sorted(made, key=lambda figures: (order.get(figures.task, len(order)), figures.hidden))


def _figures(results: Sequence[tuple[CheckResult, float | None]]) -> CheckFigures:
    first = results[0][0]
    passed = [check.outcome is Outcome.PASSED for check, _ in results]
    whole = [(check, total) for check, total in results if total is not None]
    seconds = [check.seconds for check, _ in results if check.outcome is not Outcome.SKIPPED]
    return CheckFigures(
        first.id,
        first.task,
        first.title,
        first.visibility == "hidden",
        first.points,
        len(results),
        sum(passed) / len(passed),
        discrimination(
            [check.outcome is Outcome.PASSED for check, _ in whole],
            [total - check.earned for check, total in whole],
        ),
        statistics.median(seconds) if seconds else 0.0,
        max(seconds, default=0.0),
        sum(check.outcome is Outcome.TIMEOUT for check, _ in results),
        sum(check.outcome is Outcome.MEMORY for check, _ in results),
    )


def discrimination(passed: Sequence[bool], rest: Sequence[float]) -> float | None:
    """The point-biserial correlation of passing a check with the rest score, the points of all other checks.

    (M1 - M0) / s * sqrt(p * q): the mean rest scores of those who passed and who did not, the rest scores' standard
    deviation, the shares who passed and who did not (Lord and Novick, Statistical Theories of Mental Test Scores,
    1968, section 15.5). The check's own points are left out of the score, else it would correlate with itself
    (Henrysson, Correction of item-total correlations in item analysis, Psychometrika 28, 1963). None for fewer
    than `ENOUGH` students, and where all or none passed or all rest scores are equal.
    """
    count = len(passed)
    ones = [score for did, score in zip(passed, rest, strict=True) if did]
    zeros = [score for did, score in zip(passed, rest, strict=True) if not did]
    if count < ENOUGH or not ones or not zeros:
        return None
    deviation = statistics.pstdev(rest)
    if deviation < 1e-9:
        return None
    share = len(ones) / count
    return (statistics.fmean(ones) - statistics.fmean(zeros)) / deviation * math.sqrt(share * (1 - share))


def spread(values: Sequence[float]) -> Spread:
    """Of those values that are known, which 0 is not."""
    known = sorted(value for value in values if value > 0)
    if not known:
        return Spread(0.0, 0.0, 0.0)
    most = known[math.ceil(0.95 * len(known)) - 1]
    return Spread(statistics.median(known), most, known[-1])


def largest(graded: Sequence[Graded], value: Callable[[Report], float]) -> list[Graded]:
    """The `MOST` submissions with the largest known values, the largest first."""
    known = [one for one in graded if value(one.report) > 0]
    return sorted(known, key=lambda one: -value(one.report))[:MOST]


def without_verdict(graded: Sequence[Graded]) -> list[tuple[Graded, CheckResult]]:
    """Each check on which the kit failed, with its submission."""
    return [
        (one, check)
        for one in graded
        for task in one.report.tasks
        if not has_verdict(task)
        for check in task.checks
        if check.outcome is Outcome.NO_VERDICT
    ]


def levels(graded: Sequence[Graded]) -> dict[str, list[Graded]]:
    """The submissions by their level of isolation, the best first; "" for those that had no worker."""
    found: dict[str, list[Graded]] = {}
    for one in graded:
        found.setdefault(one.report.level, []).append(one)
    return dict(sorted(found.items(), key=lambda item: item[0] or "~"))
