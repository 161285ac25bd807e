"""One submission's workers: each task finds a clean one, and a fresh one follows a death."""

import re
from collections.abc import Callable

from grader.assignment import Task
from grader.limits import Limits
from grader.remote import Budget, Worker, WorkerFailure
from grader.submission import Submission
from grader.worker.preload import HEAVY

OpenWorker = Callable[[Limits, Budget, bytearray], Worker]


_IMPORT = re.compile(rb"^[ \t]*(?:from|import)[ \t]+(\w+)", re.MULTILINE)


def heavy_imports(submission: Submission) -> frozenset[str]:
    """Which modules that take seconds to import does the submission's text name? Read as bytes, never parsed."""
    named: set[bytes] = set()
    for name, data in submission.files.items():
        if name.endswith(".py"):
            named.update(_IMPORT.findall(data))
    return frozenset(module for module in HEAVY if module.encode() in named)


class Examination:
    """Gives the worker of a task; `open_worker` makes a new one. Nothing of a task is left for the next.

    reset_between_tasks: keep one worker and reset it instead, where a new one costs seconds.
    """

    def __init__(
        self,
        submission: Submission,
        limits: Limits,
        open_worker: OpenWorker,
        reset_between_tasks: bool = False,
    ):
        self.submission = submission
        self.output = bytearray()  # what the student's code printed
        self.layers: list[str] = []  # the sandbox layers that held
        self.memory = 0  # the most bytes that a worker which has ended held beyond what it began with
        self.loaded: dict[str, list[str]] = {}  # task -> the submission's files that it imports
        self._limits = limits
        self._budget = Budget(limits.submission)
        self._open_worker = open_worker
        self._reset_between_tasks = reset_between_tasks
        self._worker: Worker | None = None
        self._task: Task | None = None
        self._import_failures: dict[str, WorkerFailure] = {}  # module -> why it cannot be imported

    def worker(self, task: Task) -> Worker:
        """A live worker with the task's module imported; raises `WorkerFailure` where that fails.

        The worker of another task goes on where it says that nothing is left of that one
        (`grader.worker.untouched`).
        """
        if self._worker is not None and self._worker.alive and self._task == task:
            return self._worker
        if task.module in self._import_failures:
            raise self._import_failures[task.module]
        if self._goes_on(task):
            assert self._worker is not None
            self._task = task
            self.loaded[task.name] = self._worker.modules
            return self._worker
        worker = self._fresh()
        self._worker, self._task = worker, task
        self.layers = worker.layers
        try:
            worker.open(self.submission, task.module, task.bans)
        except WorkerFailure as failure:
            # the same file fails the same way for each task in it: ask once
            self._import_failures[task.module] = failure
            self.close()
            raise
        self.loaded[task.name] = worker.modules
        return worker

    def close(self) -> None:
        """End the worker."""
        if self._worker is not None:
            if self._worker.alive:
                self._worker.end()
            self.memory = max(self.memory, self._worker.memory)
        self._worker = None

    def _goes_on(self, task: Task) -> bool:
        if self._worker is None or not self._worker.alive:
            return False
        try:
            return self._worker.go_on(task.module, task.bans)
        except WorkerFailure:  # the import failed, perhaps for what is left: a fresh worker tells
            return False

    def _fresh(self) -> Worker:
        if self._reset_between_tasks and self._worker is not None and self._worker.alive:
            self._worker.reset()
            return self._worker
        self.close()
        return self._open_worker(self._limits, self._budget, self.output)
