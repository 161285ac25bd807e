"""What `grade check` prints: a table of tasks, then each failure in the student's terms.

Text that comes from a submission is shown as text: no markup, no control characters.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from grader.assignment import BY_NAME
from grader.failures import Hints, Seen, Told, help_rows, message_rows, told_of
from grader.outcomes import Outcome
from grader.report import CheckResult, Grid, Report, TaskResult
from grader.text import clean, counted, points

STYLES = {
    Outcome.PASSED: "green",
    Outcome.FAILED: "red",
    Outcome.ERROR: "red",
    Outcome.TIMEOUT: "red",
    Outcome.MEMORY: "red",
    Outcome.CRASHED: "red",
    Outcome.FORBIDDEN: "magenta",
    Outcome.MISSING: "dim",
    Outcome.SKIPPED: "dim",
    Outcome.NO_VERDICT: "yellow",
}
WRONG = "✗"  # the mark of every other outcome
_MARK = "*"  # of a wrong cell, with and without colour
_PRINTED = 10  # lines of the code's own output
MARKS = {Outcome.PASSED: "✓", Outcome.MISSING: "·", Outcome.SKIPPED: "·", Outcome.NO_VERDICT: "?"}


def outcome_text(outcome: Outcome, console: Console) -> Text:
    """The outcome with its mark, in its colour."""
    mark = MARKS.get(outcome, WRONG) if console.encoding.startswith("utf") else ""
    return Text(f"{mark} {outcome}".strip(), style=STYLES[outcome])


def print_report(
    console: Console, report: Report, again: str, since: Iterable[str] = (), hints: Hints | None = None
) -> None:
    """The whole of one check run. `again` is the command that ran it, up to the names of tasks.

    since: what is better or worse than the last time. hints: what is told in the place of the diagnosis.
    """
    console.print(_table(console, report))
    seen: Seen = {}
    alike: dict[
        str, list[str]
    ] = {}  # tasks that fail for one cause which is told before, as a file that cannot be read
    for task in report.tasks:
        told = told_of(task, seen, hinting=hints is not None)
        causes = {failure.same_as for failure in told.failures}
        if len(causes) == 1 and (cause := causes.pop()):
            alike.setdefault(cause, []).append(task.task)
        else:
            print_failures(console, task, told, again, hints)
    for cause, tasks in alike.items():
        console.print(Text(f"\n{', '.join(tasks)}: the same as {cause}", style="dim"))
    for problem in report.problems:
        console.print(Text(f"Note: {clean(problem)}", style="yellow"))
    if report.output.strip():
        lines = clean(report.output).strip().splitlines()
        console.print(Text(f"\nYour code printed ({counted(len(lines), 'line')}):", style="bold"))
        for line in lines[:_PRINTED]:
            console.print(Text(f"  {line[:200]}", style="dim"))
        if len(lines) > _PRINTED:
            console.print(Text(f"  ... {len(lines) - _PRINTED} more (all of them: --json)", style="dim"))
    print_total(console, report)
    for line in since:
        console.print(Text(line))
    if report.level:
        console.print(
            Text(f"Your code ran at isolation level {report.level} (see grade doctor).", style="dim")
        )


def _table(console: Console, report: Report) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("task")
    table.add_column("points", justify="right")
    table.add_column("outcome")
    table.add_column("checks", justify="right", style="dim")
    for task in report.tasks:
        passed = sum(check.outcome is Outcome.PASSED for check in task.checks)
        table.add_row(
            task.task,
            f"{points(task.earned)} / {points(task.points)}",
            outcome_text(task.outcome, console),
            f"{passed} of {len(task.checks)}",
        )
    return table


def print_failures(
    console: Console, task: TaskResult, told: Told, again: str, hints: Hints | None = None
) -> None:
    """What is `told` of a task's checks that did not pass; those that were skipped are only named."""
    if told.note:
        console.print(Text(f"\n{task.task}: {clean(told.note)}", style="dim"))
    for failure in told.failures:
        if failure.same_as:
            console.print(Text(f"\n{failure.check.name}: the same as {failure.same_as}", style="dim"))
        else:
            _print_failure(console, failure.check, again, hints)
    if told.waiting:
        names = ", ".join(told.waiting)
        wait = "waits" if len(told.waiting) == 1 else "wait"
        console.print(Text(f"  {task.task}: {len(told.waiting)} more {wait} for that ({names})", style="dim"))


def _print_failure(console: Console, check: CheckResult, again: str, hints: Hints | None) -> None:
    heading = Text("\n")
    heading.append(check.name, style="bold")
    heading.append("  ")
    heading.append_text(outcome_text(check.outcome, console))
    console.print(heading)
    print_labelled(console, message_rows(check))
    if check.grid is not None:
        print_grid(console, check.grid)
    print_labelled(console, help_rows(check, again, hints))


def print_grid(console: Console, grid: Grid) -> None:
    """The matrix as it is and as it should be, beside each other where there is room; wrong cells have a mark."""
    width = max(len(cell) for rows in (grid.got, grid.wanted) for row in rows for cell in row) + 1
    yours = _matrix(
        f"yours{grid.place and f' {grid.place}'}, {_MARK} is wrong",
        grid.got,
        grid.wrong,
        width,
        _MARK,
        "bold red",
    )
    wanted = _matrix("wanted", grid.wanted, grid.wrong, width, " ", "bold cyan")
    indent, gap = 11, 4  # to stand below the texts
    if indent + yours.longest + gap + wanted.longest <= console.width:
        lines = [
            line + Text(" " * (yours.longest - len(line) + gap)) + other
            for line, other in zip(yours.lines, wanted.lines, strict=True)
        ]
    else:
        lines = [*yours.lines, *wanted.lines]
    for line in lines:
        line.rstrip()
        console.print(Padding(line, (0, 0, 0, min(indent, max(2, console.width - len(line))))), no_wrap=True)


@dataclass(frozen=True, slots=True)
class _Lines:
    lines: list[Text]

    @property
    def longest(self) -> int:
        return max(map(len, self.lines))


def _matrix(
    heading: str,
    rows: Iterable[tuple[str, ...]],
    wrong: Iterable[tuple[bool, ...]],
    width: int,
    mark: str,
    style: str,
) -> _Lines:
    lines = [Text(heading, style="dim")]
    for row, marks in zip(rows, wrong, strict=True):
        line = Text()
        for cell, bad in zip(row, marks, strict=True):
            line.append(f"{cell:>{width}}" + (mark if bad else " "), style=style if bad else "")
        lines.append(line)
    return _Lines(lines)


def print_labelled(console: Console, rows: Iterable[tuple[str, str]]) -> None:
    """Indented rows of a label and its text, which may come from a submission; those without text are left out."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True, min_width=6)
    grid.add_column(overflow="fold")
    for label, text in rows:
        if text:
            style = {"likely": "yellow", "nudge": "yellow", "hint": "cyan", "again": "cyan"}.get(label, "")
            grid.add_row(label, Text(clean(text), style=style))
    console.print(Padding(grid, (0, 0, 0, 2), expand=False))


def print_total(console: Console, report: Report) -> None:
    """The points that these checks gave, and those that are decided only at grading."""
    total = Text("\n")
    total.append(f"{points(report.earned)} of {points(report.points)} points", style="bold")
    total.append(" in the checks that ran here.")
    hidden = hidden_points(report.tasks)
    if hidden > 0:
        total.append(
            f" {points(hidden)} more {'is' if hidden == 1 else 'are'} decided only at grading, by checks that are"
            " not run here, and not counted as passed."
        )
    console.print(total)


def hidden_points(tasks: Iterable[TaskResult]) -> float:
    """The points of these tasks that public checks do not decide."""
    return sum(
        BY_NAME[task.task].points - sum(c.points for c in task.checks if c.visibility == "public")
        for task in tasks
    )
