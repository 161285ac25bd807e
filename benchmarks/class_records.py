"""Records of a class of any size, made out of a few real reports: no student's are like another's.

Each student has an ability; on each task they either have the result of a report that is right there, or that of one
of the others, with its own messages, diagnoses and pictures.
"""

import csv
import datetime
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from grader.assignment import TOTAL_POINTS
from grader.instructor.records import record_path, write_whole
from grader.outcomes import Outcome
from grader.report import CheckResult, Report, TaskResult, encode

FIRST = (
    "Anna",
    "Ben",
    "Chloé",
    "Đorđe",
    "Eva",
    "فاطمة",
    "Gita",
    "Håkon",
    "Ирина",
    "José",
    "かおり",
    "Lê",
    "明",
    "Ngũgĩ",
    "Ólafur",
)
LAST = ("Berg", "O'Neil", "Smith, Jr.", "Núñez", "王", "Иванова", "de la Cruz", "Müller", "Şahin", "Öz")  # fmt: skip
DUE = datetime.datetime(2026, 5, 1, 21, 59, tzinfo=datetime.UTC)


def reports(real: Sequence[Report], count: int, seed: int = 1) -> Iterator[Report]:
    """`count` reports, each mixed of the `real` ones, of which at least one must have a task right."""
    draw = random.Random(seed)
    by_task = {task.task: [_task(one, task.task) for one in real] for task in real[0].tasks}
    for number in range(count):
        ability = draw.betavariate(4, 1.6)
        tasks = tuple(_choose(found, ability, draw, number) for found in by_task.values())
        late = datetime.timedelta(hours=draw.uniform(-96, 40))
        yield replace(
            real[0],
            student=f"{draw.choice(FIRST)} {draw.choice(LAST)} {number:04}",
            tasks=tasks,
            seconds=round(draw.lognormvariate(-0.9, 0.6), 3),
            memory=round(draw.lognormvariate(17.5, 0.1)),
            output=f"loss {draw.random()}\n" * draw.randrange(4),
            level=draw.choices("ABD", (90, 9, 1))[0],
            handed_in="" if number % 200 == 7 else (DUE + late).isoformat(timespec="seconds"),
        )


def write(folder: Path, made: Iterator[Report]) -> None:
    """Write them as records below `folder`, as `grade all` does."""
    records = folder / "records"
    records.mkdir(parents=True)
    for report in made:
        write_whole(record_path(records, report.student), encode(report))


def write_sheets(students: Sequence[str], canvas: Path, moodle: Path) -> None:
    """Write a gradebook of Canvas and a grading worksheet of Moodle with these students, by their names as ids."""
    with canvas.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("Student", "ID", "SIS User ID", "SIS Login ID", "Section", "LeNet-5 (7)"))
        writer.writerow(("    Points Possible", "", "", "", "", float(TOTAL_POINTS)))
        writer.writerows((name, 10_000 + n, "", name, "ML", "") for n, name in enumerate(students))
    with moodle.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            (
                "Identifier",
                "Full name",
                "Grade",
                "Maximum grade",
                "Grade can be changed",
                "Last modified (grade)",
            )
        )
        writer.writerows(
            (f"Participant {10_000 + n}", name, "", float(TOTAL_POINTS), "Yes", "-")
            for n, name in enumerate(students)
        )


def _task(report: Report, name: str) -> TaskResult:
    return next(task for task in report.tasks if task.task == name)


def _choose(found: Sequence[TaskResult], ability: float, draw: random.Random, number: int) -> TaskResult:
    right = [task for task in found if task.outcome is Outcome.PASSED]
    wrong = [task for task in found if task.outcome is not Outcome.PASSED]
    if right and (not wrong or draw.random() < ability):
        return right[0]
    task = draw.choice(wrong)
    # of a hidden check every student has numbers of their own
    return replace(task, checks=tuple(_check(check, draw, number) for check in task.checks))


def _check(check: CheckResult, draw: random.Random, number: int) -> CheckResult:
    if number % 300 == 11 and draw.random() < 0.05:
        return replace(
            check, outcome=Outcome.NO_VERDICT, message="the kit itself failed: OSError: no space left"
        )
    if check.visibility == "hidden" and check.message:
        return replace(
            check, message=f"{check.message} ({draw.gauss(0, 1):.6g} instead of {draw.gauss(0, 1):.6g})"
        )
    return check
