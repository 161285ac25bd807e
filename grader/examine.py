"""One submission's examination: `examine(submission) -> Report`.

pytest runs the checks in this, the trusted, process; the student's functions run in workers
(`grader.remote`). A process keeps its untrusted parent and its collected checks between calls: what is
spent on a submission is its own calls and comparisons.
"""

import gc
import os
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial

from grader.assignment import TASKS
from grader.examination import Examination, OpenWorker, heavy_imports
from grader.isolation import Isolation, enough, level_of
from grader.kit import kit_digest, versions
from grader.limits import Limits
from grader.outcomes import KitError
from grader.reference import Reference, choose
from grader.remote import Budget, Worker
from grader.report import CheckResult, Report, TaskResult
from grader.submission import Submission, SubmissionError
from grader.suite import Run, Suite
from grader.untrusted import ForkServer, ForkServerDied, SpawnServer, Workers, start_workers
from grader.worker.torch_setup import import_torch

WORTH_COMPACTING = 200  # submissions: a second before the first, for 10 milliseconds at each


class Examiner:
    """The state that a process keeps between examinations: its workers' parent and its reference."""

    def __init__(
        self,
        limits: Limits,
        workers: Workers | None = None,
        method: str = "",
        isolation: Isolation | None = None,
    ):
        self.limits = limits
        self.isolation = isolation or Isolation()
        self._method = method
        self._workers = workers  # None until the first is needed
        self._owner = os.getpid()
        import_torch()
        self.reference: Reference = choose()
        self._suites: dict[bool, Suite] = {}
        gc.freeze()  # no later collection walks over torch's heap

    def workers(self) -> Workers:
        """This process's source of workers; after a fork, a clone of the one that was inherited."""
        if self._workers is None:
            self._workers = start_workers(self.limits, self._method, self.isolation)
        elif self._owner != os.getpid():
            inherited = self._workers
            self._workers = (
                inherited.clone()
                if isinstance(inherited, ForkServer)
                else SpawnServer(self.limits.cpu, self.isolation)
            )
        self._owner = os.getpid()
        return self._workers

    def open_worker(
        self, imports: frozenset[str], limits: Limits, budget: Budget, output: bytearray
    ) -> Worker:
        """A worker in its sandbox, with these imported (`preload.HEAVY`); a dead untrusted parent is replaced."""
        try:
            worker = self._ready(self.workers(), imports).worker(limits, budget, output)
        except ForkServerDied:
            worker = self._ready(self.restart(), imports).worker(limits, budget, output)
        level = level_of(worker.layers)
        if not enough(level, self.isolation.require):
            worker.end()
            raise KitError(
                f"isolation of level {level} is all that is to be had, {self.isolation.require} was asked for"
            )
        return worker

    @staticmethod
    def _ready(workers: Workers, imports: frozenset[str]) -> Workers:
        return workers.importing(imports) if isinstance(workers, ForkServer) else workers

    @property
    def workers_are_spawned(self) -> bool:
        return isinstance(self.workers(), SpawnServer)

    def suite(self, hidden: bool) -> Suite:
        """The public checks, or the public and the hidden ones; collected at the first call."""
        if hidden not in self._suites:
            self._suites[hidden] = Suite(["public", "hidden"] if hidden else ["public"])
        return self._suites[hidden]

    def make_ready(self, submissions: int) -> None:
        """Collect all checks, wait until workers can be had, make each of them cheap: before a batch."""
        self.suite(hidden=True)
        workers = self.workers()
        if isinstance(workers, ForkServer):
            workers.wait()
            if submissions >= WORTH_COMPACTING:
                workers.compact()

    def restart(self) -> Workers:
        """A new untrusted parent in the place of one that died."""
        if self._workers is not None:
            self._workers.close()
        self._workers = None
        return self.workers()

    def close(self) -> None:
        if self._workers is not None and self._owner == os.getpid():
            self._workers.close()
        self._workers = None


_examiner: Examiner | None = None


def prepare(
    limits: Limits | None = None,
    workers: Workers | None = None,
    method: str = "",
    submissions: int = 0,
    isolation: Isolation | None = None,
) -> Examiner:
    """Start what examinations need, once for this process and those forked from it.

    workers: where they were started before (so that two processes import torch at the same time).
    submissions: this is before a batch of so many: collect the checks, wait until the untrusted parent is
    ready, which processes that are forked from this one need, and, where it pays, make each worker cheaper.
    isolation: what is asked of workers; None: the best that this machine gives. Of one that is given later,
    only what it requires counts: workers that there are stay as they are.
    """
    global _examiner
    if _examiner is None:
        _examiner = Examiner(limits or Limits(), workers, method, isolation)
    else:
        _examiner.limits = limits or _examiner.limits
        _examiner.isolation = isolation or _examiner.isolation
    if submissions:
        _examiner.make_ready(submissions)
    return _examiner


def close() -> None:
    """End this process's workers."""
    global _examiner
    if _examiner is not None:
        _examiner.close()
        _examiner = None


def examine(
    submission: Submission,
    *,
    tasks: Sequence[str] | None = None,
    only: Collection[str] | None = None,
    hidden: bool = False,
    secret: bytes = b"",
    limits: Limits | None = None,
    on_check: Callable[[CheckResult], None] | None = None,
    observe: Callable[[str, float], None] | None = None,
    reference: Reference | None = None,
    open_worker: OpenWorker | None = None,
    earlier: Collection[TaskResult] = (),
) -> Report:
    """Run the checks of `tasks` (None: of all) on the submission.

    only: names of checks, "task/check", where not all of a task's are wanted.
    hidden: run the hidden checks, too, on seeds drawn from `secret`. on_check is called with each
    result as it is known. earlier: results of other tasks that still hold, for advice that
    depends on them. open_worker puts another kind of worker in the sandboxed one's place
    (`grade check --in-process`). Never raises for what is in a submission; raises `SubmissionError`
    where `only` names no check.
    """
    start = time.monotonic()
    chosen = [task for task in TASKS if tasks is None or task.name in tasks]
    examiner = prepare(limits)
    examination = Examination(
        submission,
        limits or examiner.limits,
        open_worker or partial(examiner.open_worker, heavy_imports(submission)),
        reset_between_tasks=open_worker is None and examiner.workers_are_spawned,
    )
    run = Run(examination, reference or examiner.reference, secret, on_check, observe)
    run.results.update({check.id.partition("/")[2]: check for task in earlier for check in task.checks})
    try:
        examiner.suite(hidden).run(run, chosen, only)
    except LookupError as error:
        raise SubmissionError(str(error)) from None
    finally:
        examination.close()
    return Report(
        student=submission.student,
        digest=submission.digest,
        kit=kit_digest(),
        tasks=run.task_results(chosen),
        versions=versions(),
        isolation=tuple(examination.layers),
        level=level_of(examination.layers) if examination.layers else "",
        seconds=round(time.monotonic() - start, 4),
        memory=examination.memory,
        output=bytes(examination.output).decode("utf-8", "replace"),
        loaded={task: tuple(names) for task, names in examination.loaded.items()},
        problems=submission.problems,
        handed_in=submission.handed_in,
    )
