"""The checks as a pytest suite that is collected once in a process and run for many submissions.

`Suite` is the pytest plugin; `Run` is one submission's way through it. Collecting 80 checks costs as much
as running them, so `pytest.main` only collects. pytest's own protocol for one item, with its three phases
of hooks, costs as much as a check's own work: a check has nothing to tear down, so its item is called in
one phase, with the arguments that `Suite` gives, and its outcome is taken from what it raised.
"""

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from grader.assignment import BUILDS_ON, BY_NAME, INSTEAD, Task
from grader.authored import not_imported
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
            # its last line: the one before tells a call, which this check did not make
            raise MissingError(needed.message.rpartition("\n")[2])
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
        which, whose = ("that", "its") if len(failing) == 1 else ("those", "their")
        return (
            f"If it calls your {' and '.join(failing)}, mend {which} first: {whose} own checks do not pass."
        )

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
        self._items: list[pytest.Function] = []
        self._broken: list[str] = []
        arguments = [str(FOLDERS[visibility]) for visibility in visibilities]
        arguments += ["--rootdir", str(Path(__file__).parent), "-c", os.devnull, "--noconftest"]
        arguments += ["--import-mode=importlib", "--assert=plain"]
        arguments += [option for name in _UNUSED_PLUGINS for option in ("-p", f"no:{name}")]
        with _no_foreign_plugins():
            status = pytest.main(arguments, plugins=[self])
        if self._broken:
            raise KitError("\n\n".join(self._broken))
        if status is not pytest.ExitCode.OK or not self._items:
            raise KitError(f"pytest could not collect the checks (status {int(status)})")
        for item in self._items:
            if unknown := [name for name in item.fixturenames if name not in _ARGUMENTS]:
                raise KitError(f"{_check_id(item)} asks for {unknown[0]}; there are {', '.join(_ARGUMENTS)}")

    def checks(self) -> dict[str, CheckInfo]:
        """What `@check` says about each, by id ("hidden/conv2d/views")."""
        return {_check_id(item): _info(item) for item in self._items}

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
        for item in items:
            result = _run_check(item, run)
            run.results[_name(item)] = result
            if run.on_check is not None:
                run.on_check(result)

    def pytest_exception_interact(self, node: pytest.Item | pytest.Collector, call: pytest.CallInfo) -> None:
        """pytest's hook: a file of checks cannot be imported."""
        if call.excinfo is None:
            return
        error = call.excinfo.value
        cause = error.__cause__ or error  # pytest wraps what an import raises in a text of its own
        name = node.path.name
        self._broken.append(
            not_imported(cause) or f"{name} cannot be collected: {type(cause).__name__}: {cause}"
        )

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """pytest's hook: nothing is run yet."""
        self._items = [item for item in session.items if isinstance(item, pytest.Function)]
        return session.testsfailed == 0


# what a check may take as arguments: the student's code for its task; `agree`, which compares experiments
# on it with the reference; random inputs from the check's seed
_ARGUMENTS = ("student", "agree", "draw")


def _run_check(item: pytest.Function, run: Run) -> CheckResult:
    info, check_id = _info(item), _check_id(item)
    student = Student(lambda: run.examination.worker(BY_NAME[info.task]))

    def call() -> None:
        run.require(info)
        seed = seed_of(check_id, run.examination.submission.student, run.secret)
        agree = Agree(check_id, info.task, student, run.reference, run.observe)
        item.funcargs = dict(zip(_ARGUMENTS, (student, agree, Draw(seed)), strict=True))
        item.runtest()

    called = pytest.CallInfo.from_call(call, "call", reraise=(pytest.exit.Exception, KeyboardInterrupt))
    error = called.excinfo.value if called.excinfo is not None else None
    found = verdict(error, student.last_call if error is not None else "")
    diagnosis = found.diagnosis
    if not diagnosis and found.outcome in (Outcome.FAILED, Outcome.ERROR):
        diagnosis = run.mend_first(info.task)
    if found.outcome is Outcome.FORBIDDEN:
        diagnosis = f"Write it from ordinary operations: {INSTEAD[BY_NAME[info.task].bans]}"
    return CheckResult(
        id=check_id,
        task=info.task,
        title=" ".join((item.obj.__doc__ or check_id).split()),
        visibility=_visibility(item),
        points=info.points,
        outcome=found.outcome,
        message=found.message,
        diagnosis=diagnosis,
        location=found.location,
        picture=found.picture,
        grid=found.grid if _visibility(item) == "public" else None,  # a hidden check's inputs stay hidden
        seconds=round(called.duration, 4),
    )


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


def _info(item: pytest.Function) -> CheckInfo:
    return item.obj.check_info


def _visibility(item: pytest.Function) -> Visibility:
    return "public" if item.path.parent == FOLDERS["public"] else "hidden"


def _name(item: pytest.Function) -> str:
    """ "conv2d/stride" of `test_conv2d__stride`."""
    return f"{_info(item).task}/{item.name.partition('__')[2]}"


def _check_id(item: pytest.Function) -> str:
    return f"{_visibility(item)}/{_name(item)}"
