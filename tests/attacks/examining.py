"""Examines attacks one after the other with one examiner, and says what is not as it has to be."""

import os
from collections.abc import Iterator
from pathlib import Path

from attacks.attack import ORDINARY, POINTS, SOLUTIONS, Attack
from attacks.grounds import Grounds
from grader.examine import examine, prepare
from grader.instructor.collect import find_submissions, read
from grader.isolation import Isolation
from grader.outcomes import Outcome
from grader.report import Report, decode, encode
from grader.submission import Submission

ONE_A_MODULE = ("linear", "evaluate", "Invert")
EVERYTHING_AFTER = 12  # attacks: all that a submission can be asked takes half a second


class Examining:
    """One examiner among the canaries of `ground`."""

    def __init__(self, ground: Grounds, level: str):
        self._ground, self._level = ground, level
        self._count = 0
        self._secret = ground.markers["course"].encode()
        without = {"A": (), "B": ("landlock",), "D": ("landlock", "seccomp")}[level]
        prepare(ORDINARY, submissions=1, isolation=Isolation(require=level, without=without))
        if problems := list(self._honest()):
            raise SystemExit(f"the honest submission is not right before any attack: {problems}")
        ground.watch(*self._parents())

    def _parents(self) -> list[int]:
        workers = prepare().workers()
        return [os.getpid(), workers._process.pid]

    def problems(self, attack: Attack) -> Iterator[str]:
        """Everything that is not right about an attack, its record, what it left, and the one after it."""
        submission = self._submission(attack)
        if attack.says and not any(attack.says in problem for problem in submission.problems):
            yield f"outcome: no problem says {attack.says!r}: {submission.problems}"
        report = examine(
            submission, tasks=attack.tasks, hidden=True, secret=self._secret, limits=attack.limits
        )
        yield from self._judge(attack, report)
        record = encode(report)
        if decode(record) != report:
            yield "record: it is not read back as it was written"
        yield from self._ground.check(record)
        yield from self._honest()

    def _submission(self, attack: Attack) -> Submission:
        if attack.archive is None:
            return Submission("mallory", {**attack.files, "toolbox.py": self._ground.toolbox()})
        name, make = attack.archive
        folder = Path(self._ground.folder, "class")
        path = folder / name
        path.write_bytes(make())
        try:
            handed = next(found for found in find_submissions(folder) if found.path == path)
            return read(handed)
        finally:
            path.unlink()

    def _judge(self, attack: Attack, report: Report) -> Iterator[str]:
        for task in report.tasks:
            right = attack.expected(task.task)
            if task.outcome not in right:
                first = next((c for c in task.checks if c.outcome == task.outcome), None)
                said = f"{first.message[:300]} {first.location[:300]}" if first else ""
                yield f"outcome: {task.task} is {task.outcome}, right is {' or '.join(right)}: {said}"
            if task.earned > attack.ceiling(task.task):
                yield f"points: {task.task} earned {task.earned}, its honest part is worth {attack.ceiling(task.task)}"
            if any(check.outcome is Outcome.NO_VERDICT for check in task.checks):
                yield f"kit: {task.task} has no verdict"
        if report.level != self._level:
            yield f"level: the record says {report.level!r}"

    def _honest(self) -> Iterator[str]:
        """What is wrong with the next honest submission: all of its tasks now and then, one a module else."""
        self._count += 1
        tasks = None if self._count % EVERYTHING_AFTER == 1 else ONE_A_MODULE
        report = examine(
            Submission("honest", SOLUTIONS), tasks=tasks, hidden=True, secret=self._secret, limits=ORDINARY
        )
        lost = {task.task: str(task.outcome) for task in report.tasks if task.earned < POINTS[task.task]}
        if lost:
            yield f"next: the next honest submission lost {lost}"
