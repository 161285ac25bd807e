"""The checks as a pytest suite that is collected once in a process and run for many submissions.

`Suite` is the pytest plugin: it gives the fixtures and takes outcomes from the reporting hook, never
from text. `Run` is one submission's way through it. Collecting 80 checks costs as much as running them,
so `pytest.main` only collects; items are run by pytest's own protocol for one item.
"""

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from grader.assignment import BUILDS_ON, BY_NAME, INSTEAD, Task
from grader.checking import Agree, CheckInfo, Draw, seed_of
from grader.examination import Examination
from grader.outcomes import KitError, Outcome
from grader.proxy import Student
from grader.reference import Reference
from grader.remote import MissingError
from grader.report import CheckResult, TaskResult, Visibility
from grader.verdict import Skip, verdict

FOLDERS: dict[Visibility, Path] = {
    "public": Path(__file__).parent / "checks" / "public",
    "hidden": Path(__file__).parent / "instructor" / "checks",
}
_FATAL = (Outcome.TIMEOUT, Outcome.CRASHED, Outcome.MEMORY)  # not worth waiting for again in the same task

# plugins of pytest that have no part here; `unraisableexception` alone would walk torch's whole heap each time
_UNUSED_PLUGINS = (
    "cacheprovider", "capture", "debugging", "doctest", "faulthandler", "junitxml", "legacypath", "logging", "nose",
    "pastebin", "recwarn", "setuponly", "setupplan", "stepwise", "subtests", "terminal", "terminalprogress",
    "threadexception", "tmpdir", "unittest", "unraisableexception", "warnings",
)  # fmt: skip


@dataclass
class Run:
    """One submission's run: where its workers and its expectations come from, and the results so far."""

    examination: Examination
    reference: Reference
    secret: bytes
    on_check: Callable[[CheckResult], None] | None = None
    observe: Callable[[str, float], None] | None = None
    results: dict[str, CheckResult] = field(default_factory=dict)  # by "task/check"

    def require(self, info: CheckInfo) -> None:
        """Raise `Skip` or `MissingError` where a check need not be run, given the results so far."""
        needed = self.results.get(f"{info.task}/{info.needs}") if info.needs else None
        if needed is not None and needed.outcome is Outcome.MISSING:
            raise MissingError(needed.message)
        if needed is not None and needed.outcome is not Outcome.PASSED:
            raise Skip(f"skipped until this passes: {needed.title}")
        for result in self.results.values():
            if result.task == info.task and result.outcome in _FATAL:
                raise Skip(f"skipped, since {info.task} ended with a {result.outcome} before")

    def mend_first(self, task: str) -> str:
        """The advice to mend what the task's code may call, where that does not pass."""
        failing = [
            name
            for name in BUILDS_ON.get(task, ())
            if any(r.task == name and r.outcome is not Outcome.PASSED for r in self.results.values())
        ]
        if not failing:
            return ""
        return f"If it calls your {' and '.join(failing)}, mend that first: its own checks do not pass."

    def task_results(self, tasks: Sequence[Task]) -> tuple[TaskResult, ...]:
        """The results by task, with the points that the checks that ran are worth."""
        found = []
        for task in tasks:
            checks = tuple(result for result in self.results.values() if result.task == task.name)
            found.append(TaskResult(task.name, sum(check.points for check in checks), checks))
        return tuple(found)


class Suite:
    """The checks of the given visibilities; `run` takes a submission through those of some tasks."""

    def __init__(self, visibilities: Sequence[Visibility]):
        self._items: list[pytest.Item] = []
        self._item: pytest.Item  # the check that is being run, and the student's code for it
        self._student: Student
        self._current: Run | None = None
        arguments = [str(FOLDERS[visibility]) for visibility in visibilities]
        arguments += ["--rootdir", str(Path(__file__).parent), "-c", os.devnull, "--noconftest"]
        arguments += ["--import-mode=importlib", "--assert=plain"]
        arguments += [option for name in _UNUSED_PLUGINS for option in ("-p", f"no:{name}")]
        with _no_foreign_plugins():
            status = pytest.main(arguments, plugins=[self])
        if status is not pytest.ExitCode.OK or not self._items:
            raise KitError(f"pytest could not collect the checks (status {int(status)})")

    def run(self, run: Run, tasks: Sequence[Task], only: Collection[str] | None) -> None:
        """Run the checks of `tasks` (with `only`: those of these names) and put the results into `run`.

        Raises `LookupError` with the names that there are, where one of `only` is not among them.
        """
        position = {task.name: index for index, task in enumerate(tasks)}
        items = [item for item in self._items if _info(item).task in position]
        names = [_name(item) for item in items]
        if unknown := sorted(set(only or ()) - set(names)):
            raise LookupError(f"There is no check {unknown[0]}. There are: {', '.join(sorted(names))}.")
        if only is not None:
            items = [item for item in items if _name(item) in only]
        # by task in the table's order; within one, as the files have them, public before hidden
        items.sort(key=lambda item: position[_info(item).task])
        self._current = run
        try:
            for item, after in zip(items, [*items[1:], None], strict=True):
                item.ihook.pytest_runtest_protocol(item=item, nextitem=after)
        finally:
            self._current = None

    @property
    def _run(self) -> Run:
        assert self._current is not None
        return self._current

    # -- hooks

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._items = list(session.items)
        return session.testsfailed == 0  # collected; nothing is run yet

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self._item = item
        self._run.require(_info(item))
        task, run = BY_NAME[_info(item).task], self._run
        self._student = Student(lambda: run.examination.worker(task))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> pytest.TestReport:
        if call.when == "call" or (call.when == "setup" and call.excinfo is not None):
            result = self._result(item, call)
            self._run.results[_name(item)] = result
            if self._run.on_check is not None:
                self._run.on_check(result)
        # pytest's own report would render a traceback of the check: 100 ms that no one reads
        assert call.when != "collect"
        outcome: Literal["passed", "failed"] = "passed" if call.excinfo is None else "failed"
        return pytest.TestReport(
            item.nodeid, item.location, {}, outcome, None, call.when, duration=call.duration
        )

    def _result(self, item: pytest.Item, call: pytest.CallInfo[None]) -> CheckResult:
        info, check_id = _info(item), _check_id(item)
        error = call.excinfo.value if call.excinfo is not None else None
        found = verdict(error, self._student.last_call if call.when == "call" else "")
        diagnosis = found.diagnosis
        if not diagnosis and found.outcome in (Outcome.FAILED, Outcome.ERROR):
            diagnosis = self._run.mend_first(info.task)
        if found.outcome is Outcome.FORBIDDEN:
            diagnosis = f"Write it from ordinary operations: {INSTEAD[BY_NAME[info.task].bans]}"
        return CheckResult(
            id=check_id,
            task=info.task,
            title=" ".join((_function(item).__doc__ or check_id).split()),
            visibility=_visibility(item),
            points=info.points,
            outcome=found.outcome,
            message=found.message,
            diagnosis=diagnosis,
            location=found.location,
            picture=found.picture,
            seconds=round(call.duration, 4),
        )

    # -- fixtures

    # without `request`, which costs each check as much as all the rest of its setting up

    @pytest.fixture
    def student(self) -> Student:
        """The student's code, for the task of the check."""
        return self._student

    @pytest.fixture
    def agree(self) -> Agree:
        """Compares experiments on the student's code with the reference."""
        task, run = _info(self._item).task, self._run
        return Agree(_check_id(self._item), task, self._student, run.reference, run.observe)

    @pytest.fixture
    def draw(self) -> Draw:
        """Random inputs from the check's seed."""
        name = self._run.examination.submission.student
        return Draw(seed_of(_check_id(self._item), name, self._run.secret))


@contextlib.contextmanager
def _no_foreign_plugins() -> Iterator[None]:
    """Plugins that happen to be installed have no part in grading."""
    variable = "PYTEST_DISABLE_PLUGIN_AUTOLOAD"
    before = os.environ.get(variable)
    os.environ[variable] = "1"
    try:
        yield
    finally:
        os.environ.pop(variable)
        if before is not None:
            os.environ[variable] = before


def _function(item: pytest.Item) -> Any:
    return item.obj  # type: ignore[attr-defined]


def _info(item: pytest.Item) -> CheckInfo:
    return _function(item).check_info


def _visibility(item: pytest.Item) -> Visibility:
    return "public" if item.path.parent == FOLDERS["public"] else "hidden"


def _name(item: pytest.Item) -> str:
    """ "conv2d/stride" of `test_conv2d__stride`."""
    return f"{_info(item).task}/{item.name.partition('__')[2]}"


def _check_id(item: pytest.Item) -> str:
    return f"{_visibility(item)}/{_name(item)}"
