"""What the batch shows on the terminal: the class in figures, from rows and records alone."""

import statistics
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from grader.assignment import BY_NAME, TASKS
from grader.instructor.rows import Row, Status, cell
from grader.isolation import enough
from grader.outcomes import Outcome
from grader.report import Report
from grader.terminal import clean, points
from grader.text import counted

_NOTES = 10  # students named one by one at the end
_TASKS_NAMED = 5
_ROWS_SHOWN = 30  # a class up to this size is shown student by student


class Summary:
    """The class in figures, gathered from one record after the other."""

    def __init__(self, tasks: Sequence[str]):
        self.tasks = tuple(tasks)
        self.possible = sum(BY_NAME[name].points for name in tasks)
        self.totals: list[float] = []  # of the readable submissions, over `tasks`
        self.statuses: Counter[Status] = Counter()
        self.earned = dict.fromkeys(self.tasks, 0.0)  # points by task, summed over those submissions
        self.failed: dict[str, Counter[Outcome]] = {name: Counter() for name in tasks}
        self.rows: list[Row] = []  # the first ones, to show a small class
        self.levels: Counter[str] = Counter()  # of isolation
        self.with_note = 0  # submissions, in the column of grades.csv
        self.notes: list[tuple[str, str]] = []  # student and what is the matter, the first few

    def add(self, row: Row, report: Report | None) -> None:
        """Count one student in."""
        self.statuses[row.status] += 1
        self.levels[row.level] += 1
        if len(self.rows) <= _ROWS_SHOWN:
            self.rows.append(row)
        if report is not None and row.status in (Status.NO_VERDICT, Status.UNREADABLE):
            self._note(row, report)
        self.with_note += bool(row.note)
        judged = row.status in (Status.GRADED, Status.PARTLY)
        if report is None or not judged or any(row.points.get(name) is None for name in self.tasks):
            return
        found = {task.task: task for task in report.tasks}
        for name in self.tasks:
            self.earned[name] += found[name].earned
            if found[name].outcome is not Outcome.PASSED:
                self.failed[name][found[name].outcome] += 1
        self.totals.append(sum(found[name].earned for name in self.tasks))

    @property
    def failed_most(self) -> list[str]:
        """The tasks that most students did not pass, the worst first; at most five."""
        order = sorted(self.tasks, key=lambda name: -self.failed[name].total())
        return [name for name in order if self.failed[name]][:_TASKS_NAMED]

    def _note(self, row: Row, report: Report) -> None:
        if len(self.notes) < _NOTES:
            kit = [c.message for t in report.tasks for c in t.checks if c.outcome is Outcome.NO_VERDICT]
            why = (kit or [*report.problems, "no reason was recorded"])[0]
            self.notes.append((row.student, f"{row.status}: {why}"))


def print_summary(console: Console, summary: Summary) -> None:
    """A small class's scores, the mean, the tasks that failed most, and who needs a look."""
    if 0 < len(summary.rows) <= _ROWS_SHOWN:
        console.print(_score_table(summary.rows))
    graded = len(summary.totals)
    if graded:
        line = Text("Mean ")
        line.append(points(statistics.fmean(summary.totals)), style="bold")
        line.append(
            f" of {points(summary.possible)} points, median {points(statistics.median(summary.totals))}"
        )
        line.append(f", over {counted(graded, 'graded submission')}.")
        console.print(line)
    if summary.failed_most:
        console.print(_failed_table(summary))
    if weak := _weakly_isolated(summary):
        console.print(Text(weak, style="yellow"), soft_wrap=True)
    for student, what in summary.notes:
        console.print(Text(f"{clean(student)}: {clean(what)}", style="yellow"))
    silent = summary.statuses[Status.NO_VERDICT] + summary.statuses[Status.UNREADABLE] - len(summary.notes)
    if silent:
        console.print(Text(f"and {silent} more like these: see the status column", style="yellow"))


def _weakly_isolated(summary: Summary) -> str:
    """How many had a level of isolation that `grade all` takes only when told to; "" for none."""
    weak = {
        level: count for level, count in sorted(summary.levels.items()) if level and not enough(level, "B")
    }
    if not weak:
        return ""
    counts = " and ".join(f"{count} at level {level}" for level, count in weak.items())
    return f"Examined with less isolation: {counts} (grade doctor says what that leaves open)."


def _score_table(rows: Sequence[Row]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("student")
    table.add_column("points", justify="right")
    table.add_column("not full", style="dim")
    table.add_column("status")
    for row in rows:
        lost = [
            task.name
            for task in TASKS
            if (earned := row.points.get(task.name)) is not None and earned < task.points
        ]
        few = ", ".join(lost[:3]) + (f" and {len(lost) - 3} more" if len(lost) > 3 else "")
        style = "" if row.status is Status.GRADED else "yellow"
        table.add_row(Text(clean(row.student)[:24]), cell(row.total), few, Text(row.status, style=style))
    return table


def _failed_table(summary: Summary) -> Table:
    graded = len(summary.totals)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("failed most")
    table.add_column("by", justify="right")
    table.add_column("mean points", justify="right")
    table.add_column("mostly", style="dim")
    for name in summary.failed_most:
        outcome, _ = summary.failed[name].most_common(1)[0]
        table.add_row(
            name,
            f"{summary.failed[name].total()} of {graded}",
            f"{points(summary.earned[name] / graded)} / {points(BY_NAME[name].points)}",
            str(outcome),
        )
    return table
