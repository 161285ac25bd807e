"""The proof itself: one finding after the other, each with what to do where it does not hold.

Runs the checks on solutions, stubs and mutants; writes nothing.
"""

import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType

from grader.assignment import TASKS, TOTAL_POINTS, Task
from grader.examine import examine, prepare
from grader.instructor import release
from grader.instructor.authoring import mutation
from grader.instructor.authoring.hints import Heard
from grader.instructor.mistakes import MISTAKES
from grader.instructor.release import ReleaseError
from grader.instructor.report_notebook import StaleCells
from grader.outcomes import Outcome
from grader.report import CheckResult, Report
from grader.submission import Submission, read_folder
from grader.terminal import points

_SAME_SIDE = "right and wrong versions lie on the same side of the tolerance"


@dataclass(frozen=True, slots=True)
class Gap:
    """One thing that is wrong, and what to do about it ("" where `wrong` says so itself)."""

    wrong: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what is so where all of it holds ("" where it cannot be looked at), what does not hold."""

    what: str
    goal: str
    gaps: tuple[Gap, ...] = ()

    @property
    def holds(self) -> bool:
        return not self.gaps

    @property
    def seen(self) -> str:
        """The goal where it is reached, else how much is missing."""
        if self.holds:
            return self.goal
        return f"{len(self.gaps)} wrong, see below" if self.goal else "cannot be told yet, see below"


def gaps(wrong: Iterable[str], mend: str) -> tuple[Gap, ...]:
    """What is wrong for one reason, mended in one way."""
    return tuple(Gap(one, mend) for one in wrong)


class Proof:
    """Findings about the assignment in the repository `root`; with `tasks`, mutants of these tasks only."""

    def __init__(self, root: Path, tasks: Sequence[Task] = TASKS):
        self.root = root
        self.tasks = tasks
        self._heard = Heard()
        self._errors: dict[str, float] = {}

    def findings(self) -> Iterator[Finding]:
        """One finding after the other, as each is known. Raises `KitError` where the kit itself is broken."""
        steps: tuple[Callable[[], Finding], ...] = (
            self.solutions, self.stubs, self.points, self.checks, self.hints, self.has_mutants, self.mutants,
            self.tolerances, self.handout, self.student, self.kit, self.secrets,
        )  # fmt: skip
        for step in steps:
            yield step()

    # -- checks on solutions and stubs ------------------------------------------------------------------

    @cached_property
    def _solved(self) -> Report:
        """The solutions' report, from a run in which every mistake was tried, too."""

        def observe(check: str, error: float) -> None:
            task = check.split("/")[1]
            self._errors[task] = max(self._errors.get(task, 0.0), error)

        submission = read_folder(self.root / "solutions")
        return examine(submission, hidden=True, secret=b"proof", reference=self._heard, observe=observe)

    def solutions(self) -> Finding:
        """The solutions have all points."""
        checks = [check for task in self._solved.tasks for check in task.checks]
        wrong = [f"{c.id} {c.outcome}: {_first_line(c)}" for c in checks if c.outcome is not Outcome.PASSED]
        worth = sum(check.points for check in checks)  # "points add up" looks at the table's
        return Finding(
            "solutions pass all checks",
            f"{points(self._solved.earned)} of the {points(worth)} points of {len(checks)} checks",
            gaps(wrong, "mend the function in solutions/, or the check"),
        )

    def stubs(self) -> Finding:
        """The stubs have no points, and every check says that they are missing."""
        try:
            made = release.stubs(self.root / "solutions")
        except ReleaseError as error:
            return Finding("stubs have no points", "", (Gap(str(error)),))
        files = {name: text.encode() for name, text in made.items()}
        report = examine(Submission("stubs", files), hidden=True, secret=b"proof")
        checks = [check for task in report.tasks for check in task.checks]
        wrong = [f"{c.id} ends as {c.outcome}" for c in checks if c.outcome is not Outcome.MISSING]
        return Finding(
            "stubs have no points",
            f"{points(report.earned)} points, {len(checks)} checks say missing",
            gaps(wrong, "let the check call the task's function before it decides anything"),
        )

    def points(self) -> Finding:
        """The checks of each task are worth the points of the table."""
        worth = {task.task: sum(check.points for check in task.checks) for task in self._solved.tasks}
        wrong = [
            f"{task.name}: checks worth {points(worth[task.name])}, the table says {task.points}"
            for task in TASKS
            if worth[task.name] != task.points
        ]
        return Finding(
            "points add up",
            f"{points(sum(worth.values()))} points in {len(TASKS)} tasks",
            gaps(wrong, "change points= of the task's checks, or the row in grader/assignment.py"),
        )

    def checks(self) -> Finding:
        """Each task has public and hidden checks, and each check says what it asks."""
        folders = {"public": "grader/checks/public/", "hidden": "grader/instructor/checks/"}
        wrong = []
        for task in self._solved.tasks:
            seen = {check.visibility for check in task.checks}
            for one in folders.keys() - seen:
                wrong.append(Gap(f"{task.task} has no {one} check", f"write it in {folders[one]}"))
            wrong += gaps(
                (f"{check.id} has no docstring" for check in task.checks if check.title == check.id),
                "write the sentence that the student reads where it does not pass",
            )
        return Finding("public and hidden checks", f"both for each of {len(TASKS)} tasks", tuple(wrong))

    def hints(self) -> Finding:
        """Every task has known mistakes, and every one's hint is heard by a student who makes just that one."""
        file = "grader/instructor/mistakes.py"
        missing = [f"{task.name} has no known mistake" for task in TASKS if not MISTAKES.get(task.name)]
        empty = [one.name for known in MISTAKES.values() for one in known if not one.hint.strip()]
        assert self._solved  # tries them
        infos = prepare().suite(hidden=True).checks()
        ids = {check.partition("/")[2]: check for check in infos}
        needs = {check: ids[f"{info.task}/{info.needs}"] for check, info in infos.items() if info.needs}
        unheard = [f"{name}'s hint is never told" for name in self._heard.unheard(needs) if name not in empty]
        return Finding(
            "every hint is reachable",
            f"{sum(map(len, MISTAKES.values()))} known mistakes",
            (
                *gaps(
                    missing,
                    f'add a wrong version under @mistake("TASK", "What the student reads.") in {file}',
                ),
                *gaps(
                    (f"{name}'s hint is empty" for name in empty), f"write what the student reads, in {file}"
                ),
                *gaps(
                    unheard,
                    "write a check on which it gives another result than the mistakes before it, or move it"
                    f" before them in {file}",
                ),
            ),
        )

    # -- mutants ----------------------------------------------------------------------------------------

    @cached_property
    def _mutants(self) -> ModuleType:
        return mutation.load(self.root)

    def has_mutants(self) -> Finding:
        """Every task has mutants, one that cheats where something is banned."""
        known = self._mutants.MUTANTS
        wrong = [f"{t.name} has no mutant" for t in TASKS if not any(m.loses == t.name for m in known)]
        wrong += [
            f"{task.name} has no mutant that cheats with the finished operation"
            for task in TASKS
            if task.bans and not any(m.loses == task.name and m.outcome == "forbidden" for m in known)
        ]
        names = [mutant.name for mutant in known]
        twice = sorted({n for n in names if names.count(n) > 1})
        return Finding(
            "mutants",
            f"{len(known)} mutants",
            (
                *gaps(wrong, "add it at the end of tests/mutants.py"),
                *gaps((f"two mutants are called {n}" for n in twice), "rename one in tests/mutants.py"),
            ),
        )

    def mutants(self) -> Finding:
        """Every mutant loses points where it is wrong and nowhere else, and hears its hint."""
        names = {task.name for task in self.tasks}
        chosen, jobs, wrong = [], [], []
        for mutant in self._mutants.MUTANTS:
            if mutant.loses not in names:
                continue
            try:
                jobs.append((mutant.name, self._mutants.apply(mutant), mutation.reached(mutant)))
                chosen.append(mutant)
            except ValueError as error:  # the text that it changes is not there, or more than once
                wrong.append(str(error))
        reports = mutation.examine_all(jobs) if jobs else {}
        none = [task.name for task in self.tasks if not self._count(task)]
        wrong += [
            reason
            for mutant in chosen
            for judge in (mutation.wrong_points, mutation.wrong_hint, mutation.wrong_outcome)
            if (reason := judge(mutant, reports[mutant.name]))
        ]
        return Finding(
            "mutants are caught",
            f"{len(chosen)} examined",
            (
                *gaps(
                    (f"{name} has no mutant to examine" for name in none),
                    "add some at the end of tests/mutants.py",
                ),
                *gaps(wrong, "write a check that sees it, or correct what tests/mutants.py expects"),
            ),
        )

    def tolerances(self) -> Finding:
        """`docs/tolerances.md` has measured each task with the mutants that there are now."""
        assert self._solved  # observes errors
        page = self.root / "docs" / "tolerances.md"
        text = page.read_text(encoding="utf-8") if page.is_file() else ""
        measured = tolerance_gaps(text, {t.name: self._count(t) for t in TASKS})
        alike = [wrong for wrong in measured if wrong.endswith(_SAME_SIDE)]
        options = " ".join(
            f"--task {t.name}" for t in TASKS if any(wrong.startswith(f"{t.name} ") for wrong in measured)
        )
        off = [
            f"{task}: the solutions are off by {e:.2f} tolerances"
            for task, e in self._errors.items()
            if e > 1
        ]
        worst = max(self._errors.values(), default=math.nan)
        return Finding(
            "tolerances measured",
            f"solutions within {worst:.2f} of a tolerance",
            (
                *gaps(
                    (wrong for wrong in measured if wrong not in alike),
                    f"python benchmarks/tolerances.py {options} --write docs/tolerances.md",
                ),
                *gaps(alike, "write a check that tells them apart, or give its `agree` an rtol and atol"),
                *gaps(
                    off,
                    "compute it more exactly in solutions/, or give `agree` of that check an rtol and atol",
                ),
            ),
        )

    def _count(self, task: Task) -> int:
        return sum(mutant.loses == task.name for mutant in self._mutants.MUTANTS)

    # -- what goes out ----------------------------------------------------------------------------------

    def handout(self) -> Finding:
        """Handout and notebook name every task with its file and points."""
        text = (self.root / "docs" / "handout" / "handout.md").read_text(encoding="utf-8")
        notebook = (self.root / "solutions" / release.report_notebook.NAME).read_text(encoding="utf-8")
        return Finding(
            "handout and notebook",
            f"{len(TASKS)} tasks, {TOTAL_POINTS} points",
            (
                *gaps(handout_gaps(text), "write it into docs/handout/handout.md"),
                *gaps(notebook_gaps(notebook), "change the heading in solutions/report.ipynb"),
            ),
        )

    def student(self) -> Finding:
        """`student/` is what a release would make of `solutions/` now."""
        try:
            made = release.student_files(self.root / "solutions")
        except ReleaseError as error:
            return Finding("student/ is fresh", "", (self._refused(error),))
        folder = self.root / "student"
        wrong = [
            f"student/{name} is not what solutions/ gives"
            for name, data in made.items()
            if not (folder / name).is_file() or (folder / name).read_bytes() != data
        ]
        return Finding("student/ is fresh", f"{len(made)} files", gaps(wrong, "grade release"))

    @cached_property
    def _kit(self) -> dict[str, bytes]:
        return release.kit_files(self.root)

    def kit(self) -> Finding:
        """The recordings can be made, and a kit that was written holds those of now."""
        try:
            recordings = self._kit["grader/checks/expectations.npz"]
            written = release.kit_path(self.root, self.root / "dist")
            stale = written.is_file() and written.read_bytes() != release.kit_archive(self.root, self._kit)
        except ReleaseError as error:
            return Finding("recordings are fresh", "", (self._refused(error),))
        wrong = (f"{written.relative_to(self.root)} is older than the sources",) if stale else ()
        seen = f"{len(recordings) / 1000:.0f} kB; " + (
            f"{written.name} holds them" if written.is_file() else "no kit in dist/ yet"
        )
        return Finding("recordings are fresh", seen, gaps(wrong, "grade release"))

    def secrets(self) -> Finding:
        """No line of a solution, an answer or a hidden check is in the kit."""
        try:
            secret = release.secret_lines(self.root)
            kit = self._kit
        except ReleaseError as error:
            return Finding("nothing secret in the kit", "", (self._refused(error),))
        seen = f"{len(secret)} secret lines in none of {len(kit)} files"
        try:
            release.refuse_leaks(kit, secret)
        except ReleaseError as error:  # it says what to do
            return Finding("nothing secret in the kit", seen, (Gap(str(error)),))
        return Finding("nothing secret in the kit", seen)

    def _refused(self, error: ReleaseError) -> Gap:
        """A release that is refused says what to do, but for test cells, which the release itself writes."""
        stale = isinstance(error.__cause__, StaleCells)
        told = str(error).replace(f"{self.root}{os.sep}", "")
        return Gap(told, "grade release, which writes the test cells of the table's tasks" if stale else "")


def handout_gaps(text: str) -> list[str]:
    """What the handout does not say of the tasks: rows of the table, sections, the sum."""
    wrong = []
    for task in TASKS:
        row = rf"^\| `{task.name}\(.*` \| `{task.module}\.py` \| {task.points} \|$"
        if not re.search(row, text, re.MULTILINE):
            wrong.append(f"the handout has no row `{task.name}(...)` | `{task.module}.py` | {task.points}")
        if not re.search(rf"^###.*`{task.name}`.*\({task.points} point", text, re.MULTILINE):
            wrong.append(f"the handout has no heading ### `{task.name}` ({task.points} points)")
    for module in dict.fromkeys(task.module for task in TASKS):
        total = sum(task.points for task in TASKS if task.module == module)
        if not re.search(rf"^## .*`{module}\.py`, {total} points\)$", text, re.MULTILINE):
            wrong.append(f"the handout's heading of {module}.py does not say {total} points")
    if f"({TOTAL_POINTS} points)" not in text:
        wrong.append(f"the sum of all tasks, ({TOTAL_POINTS} points), stands nowhere in the handout")
    return wrong


def notebook_gaps(text: str) -> list[str]:
    """What the headings of the report's notebook do not say: the points of each file, and of all."""
    wanted = [f"## Your functions ({TOTAL_POINTS} points)"]
    for module in dict.fromkeys(task.module for task in TASKS):
        total = sum(task.points for task in TASKS if task.module == module)
        wanted.append(f"### `{module}.py` ({total} points)")
    return [f"the notebook has no heading {heading}" for heading in wanted if heading not in text]


def tolerance_gaps(page: str, mutants: dict[str, int]) -> list[str]:
    """What `docs/tolerances.md` lacks or says of another assignment. mutants: how many there are, by task."""
    rows = {}
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5:
            rows[cells[0]] = cells[1:]
    wrong = []
    for task, count in mutants.items():
        if task not in rows:
            wrong.append(f"{task} has no row in docs/tolerances.md")
            continue
        right, smallest, _, measured = rows[task]
        if float(right) >= 1 or (smallest[0].isdigit() and float(smallest.replace(",", "")) <= 1):
            wrong.append(f"{task}: {_SAME_SIDE}")
        if measured != str(count):
            wrong.append(f"{task} was measured with {measured} mutants, there are {count}")
    return wrong


def _first_line(check: CheckResult) -> str:
    return check.message.strip().splitlines()[-1] if check.message.strip() else ""
