"""What `grade check` remembers of a folder between runs: each check's last outcome, and which hints were given.

One small JSON file for each submission's folder, in the user's state folder, not in the submission: it is not
handed in. Nothing depends on it: where it is damaged or cannot be written, the next run begins anew.
"""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import platformdirs

from grader.outcomes import Outcome
from grader.report import CheckResult, Report
from grader.text import points

STATE_VARIABLE = "GRADE_STATE_DIR"
"""The environment variable that names the state folder."""

_NAMED = 6  # names in a line


class GivenHints(msgspec.Struct):
    """How many hints were given for a failure of this kind; another kind of failure begins anew."""

    failure: str
    steps: int


class State(msgspec.Struct):
    """By "task/check": last outcomes, and hints that were given."""

    outcomes: dict[str, Outcome] = {}
    hints: dict[str, GivenHints] = {}


@dataclass
class Progress:
    """The state of one folder. `since` must be asked before `remember`."""

    path: Path | None  # None: there is no place to keep it
    state: State = field(default_factory=State)

    @classmethod
    def of(cls, folder: Path) -> "Progress":
        """What is known of the submission in `folder`; nothing where it cannot be read."""
        try:
            path = _state_folder() / f"{hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:24]}.json"
        except (OSError, RuntimeError):  # a user without a home
            return cls(None)
        try:
            return cls(path, msgspec.json.decode(path.read_bytes(), type=State))
        except (OSError, ValueError, msgspec.MsgspecError):
            return cls(path)

    def since(self, report: Report) -> list[str]:
        """A line on what is better than when it was last checked and one on what is worse; [] at the first time."""
        before, now = self.state.outcomes, list(_checks(report))
        known = [check for check in now if check.name in before]
        if not known:
            return []
        better = [c for c in known if c.earned and before[c.name] is not Outcome.PASSED]
        worse = [c for c in known if not c.earned and before[c.name] is Outcome.PASSED]
        lines = []
        if better:
            lines.append(f"Better than last time: {_names(better, report)} ({_points(better, '+')}).")
        if worse:
            lines.append(f"Worse than last time: {_names(worse, report)} ({_points(worse, '-')}).")
        same = all(check.outcome is before[check.name] for check in known)
        if same and any(not check.earned for check in known):
            lines.append("Neither better nor worse than last time.")
        return lines

    def remember(self, report: Report) -> None:
        """Keep the outcomes; checks that did not run stay as they were. What passes needs no hints any more."""
        for check in _checks(report):
            name = check.name
            self.state.outcomes[name] = check.outcome
            if check.outcome is Outcome.PASSED:
                self.state.hints.pop(name, None)

    def next_step(self, check: CheckResult, steps: int) -> int:
        """How many hints to give for this failure now: one more than the last time, at most `steps`."""
        failure = hashlib.sha256(f"{check.outcome}\0{check.diagnosis}".encode()).hexdigest()[:16]
        given = self.state.hints.get(check.name)
        count = given.steps if given is not None and given.failure == failure else 0
        count = min(count + 1, steps)
        self.state.hints[check.name] = GivenHints(failure, count)
        return count

    def save(self) -> None:
        """Write the state, whole or not at all; where it cannot be written, it is forgotten."""
        if self.path is None:
            return
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=".state-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(msgspec.json.encode(self.state))
                os.replace(name, self.path)
            except OSError:
                os.unlink(name)


def _state_folder() -> Path:
    chosen = os.environ.get(STATE_VARIABLE)
    return (
        Path(chosen).expanduser() if chosen else platformdirs.user_state_path("lenet5-kit", appauthor=False)
    )


def _checks(report: Report) -> Iterable[CheckResult]:
    """The checks that have a verdict: where the kit itself failed, nothing was learnt."""
    for task in report.tasks:
        yield from (check for check in task.checks if check.outcome is not Outcome.NO_VERDICT)


def _names(checks: list[CheckResult], report: Report) -> str:
    """The checks by name; a task's own where all of its checks are among them."""
    whole = {
        task.task
        for task in report.tasks
        if len(task.checks) > 1 and all(check in checks for check in task.checks)
    }
    names = list(dict.fromkeys(c.task if c.task in whole else c.name for c in checks))
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _points(checks: list[CheckResult], sign: str) -> str:
    total = points(sum(check.points for check in checks))
    return f"{sign}{total} point{'s' * (total != '1')}"
