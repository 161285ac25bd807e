"""One submission's examination: `examine(submission) -> Report`.

pytest runs the checks in this, the trusted, process; the student's functions run in workers
(`grader.remote`). A fresh worker for each task, and after a death. A process keeps its untrusted
parent and its checks between calls: what is spent on a submission is its own calls and comparisons.
"""

import gc
import os
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from grader.assignment import BUILDS_ON, BY_NAME, TASKS, Task
from grader.checking import Agree, CheckInfo, Draw, WrongAnswer, seed_of
from grader.kit import kit_digest, versions
from grader.outcomes import Outcome
from grader.proxy import Student
from grader.reference import Reference, choose
from grader.remote import Budget, MissingError, Worker, WorkerFailure
from grader.report import CheckResult, Report, TaskResult, Visibility
from grader.submission import Submission, SubmissionError
from grader.untrusted import (
    ForkServer,
    ForkServerDied,
    KitError,
    Limits,
    SpawnServer,
    Workers,
    start_workers,
)
from grader.worker.torch_setup import import_torch

CHECKS = {
    "public": Path(__file__).parent / "checks" / "public",
    "hidden": Path(__file__).parent / "instructor" / "checks",
}
_FATAL = (Outcome.TIMEOUT, Outcome.CRASHED, Outcome.MEMORY)  # not worth waiting for again in the same task

# plugins of pytest that have no part here; `unraisableexception` alone would walk torch's whole heap each time
_UNUSED_PLUGINS = [
    "cacheprovider",
    "capture",
    "debugging",
    "doctest",
    "faulthandler",
    "junitxml",
    "legacypath",
    "logging",
    "nose",
    "pastebin",
    "recwarn",
    "setuponly",
    "setupplan",
    "stepwise",
    "subtests",
    "terminal",
    "terminalprogress",
    "threadexception",
    "tmpdir",
    "unittest",
    "unraisableexception",
    "warnings",
]


class Examiner:
    """The state that a process keeps between examinations: its workers' parent and its reference."""

    def __init__(self, limits: Limits, workers: Workers | None = None, method: str = ""):
        self.limits = limits
        self._method = method
        self._workers = workers  # None until the first is needed
        self._owner = os.getpid()
        import_torch()
        self.reference: Reference = choose()
        gc.collect()
        gc.freeze()  # no later collection walks over torch's heap

    def workers(self) -> Workers:
        """This process's source of workers; after a fork, a clone of the one that was inherited."""
        if self._workers is None:
            self._workers = start_workers(self.limits, self._method)
        elif self._owner != os.getpid():
            inherited = self._workers
            self._workers = (
                inherited.clone() if isinstance(inherited, ForkServer) else SpawnServer(self.limits.cpu)
            )
        self._owner = os.getpid()
        return self._workers

    def make_ready_for_many(self) -> None:
        """Wait until workers can be had without delay, and make each of them cheap: before a batch."""
        workers = self.workers()
        if isinstance(workers, ForkServer):
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
    limits: Limits | None = None, workers: Workers | None = None, method: str = "", many: bool = False
) -> Examiner:
    """Start what examinations need, once for this process and those forked from it.

    workers: where they were started before (so that two processes import torch at the same time).
    many: this is before a batch; waits until the untrusted parent is ready, which processes that are
    forked from this one need, and spends half a second on making each worker cheaper.
    """
    global _examiner
    if _examiner is None:
        _examiner = Examiner(limits or Limits(), workers, method)
    elif limits is not None:
        _examiner.limits = limits
    if many:
        _examiner.make_ready_for_many()
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
    open_worker: Callable[[Budget, bytearray], Worker] | None = None,
) -> Report:
    """Run the checks of `tasks` (None: of all) on the submission.

    only: names of checks, "task/check", where not all of a task's are wanted.
    hidden: run the hidden checks, too, on seeds drawn from `secret`. on_check is called with each
    result as it is known. open_worker puts another kind of worker in the sandboxed one's place
    (`grade check --in-process`). Never raises for what is in a submission; raises `SubmissionError`
    where `only` names no check.
    """
    start = time.monotonic()
    chosen = [task for task in TASKS if tasks is None or task.name in tasks]
    examiner = prepare(limits)
    used = limits or examiner.limits
    reference = reference or examiner.reference
    examination = _Examination(submission, examiner, used, open_worker)
    run = _Run(chosen, only, examination, reference, secret, on_check, observe)
    visibilities: list[Visibility] = ["public", "hidden"] if hidden else ["public"]
    files = [
        CHECKS[visibility] / f"test_{module}.py"
        for visibility in visibilities
        for module in dict.fromkeys(task.module for task in chosen)
    ]
    try:
        _run_pytest(files, run)
    finally:
        examination.close()
    if run.unknown:
        raise SubmissionError(f"There is no check {run.unknown[0]}. There are: {', '.join(run.known)}.")
    return Report(
        student=submission.student,
        digest=submission.digest,
        kit=kit_digest(),
        tasks=run.task_results(visibilities),
        versions=versions(),
        isolation=tuple(examination.layers),
        seconds=round(time.monotonic() - start, 4),
        output=bytes(examination.output).decode("utf-8", "replace"),
        loaded={task: tuple(names) for task, names in examination.modules.items()},
        problems=submission.problems,
    )


def _run_pytest(files: Sequence[Path], plugin: object) -> None:
    arguments = [str(file) for file in files]
    arguments += ["--rootdir", str(Path(__file__).parent), "-c", os.devnull, "--noconftest"]
    arguments += ["--import-mode=importlib", "--assert=plain"]
    arguments += [option for name in _UNUSED_PLUGINS for option in ("-p", f"no:{name}")]
    before = os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    try:
        status = pytest.main(arguments, plugins=[plugin])
    finally:
        if before is None:
            del os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"]
        else:
            os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = before
    if status is pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise KitError(f"pytest could not run the checks (status {int(status)})")


class _Examination:
    """One submission's workers: a fresh one for each task and after a death."""

    def __init__(
        self,
        submission: Submission,
        examiner: Examiner,
        limits: Limits,
        open_worker: Callable[[Budget, bytearray], Worker] | None,
    ):
        self.output = bytearray()
        self.layers: list[str] = []
        self.modules: dict[str, list[str]] = {}  # task -> the submission's files that it loads
        self._submission = submission
        self._examiner = examiner
        self._limits = limits
        self._budget = Budget(limits.submission)
        self._open_worker = open_worker or self._sandboxed
        self._worker: Worker | None = None
        self._task: Task | None = None
        self._import_failures: dict[str, WorkerFailure] = {}  # module -> why it cannot be imported

    def worker(self, task: Task) -> Worker:
        """A live worker with the task's module imported."""
        if self._worker is not None and self._worker.alive and self._task == task:
            return self._worker
        if task.module in self._import_failures:
            raise self._import_failures[task.module]
        worker = self._fresh(task)
        self._worker, self._task = worker, task
        self.layers = worker.layers
        try:
            worker.open(self._submission, task.module, task.bans)
        except WorkerFailure as failure:
            # the same file fails the same way for each task in it: ask once
            self._import_failures[task.module] = failure
            self.close()
            raise
        self.modules[task.name] = worker.modules
        return worker

    def close(self) -> None:
        if self._worker is not None and self._worker.alive:
            self._worker.end()
        self._worker = None

    def _fresh(self, task: Task) -> Worker:
        reused = self._worker
        if reused is not None and reused.alive and isinstance(self._examiner.workers(), SpawnServer):
            reused.reset()
            return reused
        self.close()
        return self._open_worker(self._budget, self.output)

    def _sandboxed(self, budget: Budget, output: bytearray) -> Worker:
        try:
            return self._examiner.workers().worker(self._limits, budget, output)
        except ForkServerDied:
            return self._examiner.restart().worker(self._limits, budget, output)


class _Run:
    """The plugin of one pytest run: selects checks, gives fixtures, gathers outcomes."""

    def __init__(
        self,
        tasks: Sequence[Task],
        only: Collection[str] | None,
        examination: _Examination,
        reference: Reference,
        secret: bytes,
        on_check: Callable[[CheckResult], None] | None,
        observe: Callable[[str, float], None] | None,
    ):
        self._tasks = {task.name: position for position, task in enumerate(tasks)}
        self._only = only
        self._examination = examination
        self._reference = reference
        self._secret = secret
        self._on_check = on_check
        self._observe = observe
        self._results: dict[str, CheckResult] = {}  # by "task/check"
        self._students: dict[str, Student] = {}

    # -- hooks

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        names = {f"{_info(item).task}/{_name(item)}" for item in items if _info(item).task in self._tasks}
        self.unknown = sorted(set(self._only or ()) - names)
        self.known = sorted(names)
        items[:] = [
            item
            for item in items
            if _info(item).task in self._tasks
            and (self._only is None or f"{_info(item).task}/{_name(item)}" in self._only)
        ]
        # by task in the table's order; within one, as the files have them, public before hidden
        items.sort(key=lambda item: self._tasks[_info(item).task])

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        info = _info(item)
        needed = self._results.get(f"{info.task}/{info.needs}") if info.needs else None
        if needed is not None and needed.outcome is Outcome.MISSING:
            raise MissingError(needed.message)
        if needed is not None and needed.outcome is not Outcome.PASSED:
            raise _Skip(f"skipped until this passes: {needed.title}")
        for result in self._results.values():
            if result.task == info.task and result.outcome in _FATAL:
                raise _Skip(f"skipped, since {info.task} ended with a {result.outcome} before")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        if call.when == "call" or (call.when == "setup" and call.excinfo is not None):
            result = self._result(item, call)
            self._results[f"{result.task}/{_name(item)}"] = result
            if self._on_check is not None:
                self._on_check(result)
        return (yield)

    # -- fixtures

    @pytest.fixture
    def student(self, request: pytest.FixtureRequest) -> Student:
        """The student's code, for the task of the check."""
        task = BY_NAME[_info(request.node).task]
        student = Student(lambda: self._examination.worker(task))
        self._students[request.node.nodeid] = student
        return student

    @pytest.fixture
    def agree(self, request: pytest.FixtureRequest, student: Student) -> Agree:
        """Compares experiments on the student's code with the reference."""
        info = _info(request.node)
        return Agree(_check_id(request.node), info.task, student, self._reference, self._observe)

    @pytest.fixture
    def draw(self, request: pytest.FixtureRequest) -> Draw:
        """Random inputs from the check's seed."""
        student = self._examination._submission.student
        return Draw(seed_of(_check_id(request.node), student, self._secret))

    # -- results

    def _result(self, item: pytest.Item, call: pytest.CallInfo[None]) -> CheckResult:
        info = _info(item)
        error = call.excinfo.value if call.excinfo is not None else None
        outcome, message, diagnosis, location = self._verdict(item, error)
        if not diagnosis and outcome in (Outcome.FAILED, Outcome.ERROR):
            diagnosis = self._mend_first(info.task)
        return CheckResult(
            id=_check_id(item),
            task=info.task,
            title=" ".join((item.obj.__doc__ or _name(item)).split()),  # type: ignore[attr-defined]
            visibility=_visibility(item),
            points=info.points,
            outcome=outcome,
            message=message,
            diagnosis=diagnosis,
            location=location,
            seconds=round(call.duration, 4),
        )

    def _mend_first(self, task: str) -> str:
        """The advice to mend what the task's code may call, where that does not pass."""
        failing = [
            name
            for name in BUILDS_ON.get(task, ())
            if any(r.task == name and r.outcome is not Outcome.PASSED for r in self._results.values())
        ]
        if not failing:
            return ""
        return f"If it calls your {' and '.join(failing)}, mend that first: its own checks do not pass."

    def _verdict(self, item: pytest.Item, error: BaseException | None) -> tuple[Outcome, str, str, str]:
        """Outcome, message, diagnosis and location of what the check raised."""
        if isinstance(error, WorkerFailure):
            student = self._students.get(item.nodeid)
            called = student.last_call if student is not None else ""
            message = error.message if not called or not error.message else f"{called}\n{error.message}"
            location = "\n".join(
                f"{frame.file}, line {frame.line}"
                + (f", in {frame.function}" if frame.function else "")
                + (f"\n    {frame.text}" if frame.text else "")
                for frame in error.frames
            )
            return error.outcome, message, hint_for(error), location
        match error:
            case None:
                return Outcome.PASSED, "", "", ""
            case WrongAnswer():
                return Outcome.FAILED, error.message, error.diagnosis, ""
            case _Skip():
                return Outcome.SKIPPED, str(error), "", ""
        return Outcome.NO_VERDICT, f"the kit itself failed: {type(error).__name__}: {error}", "", ""

    def task_results(self, visibilities: Iterable[Visibility]) -> tuple[TaskResult, ...]:
        """The results by task, in the table's order, with the points that these checks are worth."""
        tasks = []
        for name in self._tasks:
            checks = tuple(result for result in self._results.values() if result.task == name)
            tasks.append(TaskResult(name, sum(check.points for check in checks), checks))
        return tuple(tasks)


class _Skip(Exception):
    """A check that is not run, and why."""


def _info(item: pytest.Item) -> CheckInfo:
    return item.obj.check_info  # type: ignore[attr-defined]


def _name(item: pytest.Item) -> str:
    return item.name.partition("__")[2]  # test_conv2d__stride -> stride


def _visibility(item: pytest.Item) -> Visibility:
    return "public" if item.path.parent == CHECKS["public"] else "hidden"


def _check_id(item: pytest.Item) -> str:
    return f"{_visibility(item)}/{_info(item).task}/{_name(item)}"


def hint_for(error: WorkerFailure) -> str:
    """What an exception of a student's code usually means."""
    from grader.hints import explain

    return explain(error.message) if error.outcome is Outcome.ERROR else ""
