"""A check's report as HTML for a notebook's cell. Text of students is text in it: escaped, without control characters."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import jinja2

from grader.failures import Row, Seen, help_rows, message_rows, told_of
from grader.outcomes import Outcome
from grader.report import CheckResult, Report
from grader.terminal import MARKS, WRONG, hidden_points
from grader.text import clean, counted, points


def html(
    report: Report,
    again: str,
    since: Iterable[str] = (),
    hints: Mapping[str, list[Row]] | None = None,
) -> str:
    """The report as one piece of HTML. hints: by the check's id, in the place of diagnoses."""
    seen: Seen = {}

    def helping(check: CheckResult) -> list[Row]:
        return help_rows(check, again, None if hints is None else lambda one: hints.get(one.id, []))

    environment = jinja2.Environment(autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined)
    environment.filters.update(
        clean=clean,
        points=points,
        counted=counted,
        marked=_marked,
        style=_style,
        message=message_rows,
        help=helping,
    )
    template = environment.from_string((Path(__file__).parent / "cell.html.j2").read_text(encoding="utf-8"))
    return template.render(
        report=report,
        tasks=[(task, told_of(task, seen, hinting=hints is not None)) for task in report.tasks],
        printed=clean(report.output).strip().splitlines(),
        hidden=hidden_points(report.tasks),
        since=list(since),
    )


def _marked(outcome: Outcome) -> str:
    return f"{MARKS.get(outcome, WRONG)} {outcome}"


def _style(outcome: Outcome) -> str:
    if outcome is Outcome.PASSED:
        return "grade-passed"
    return "grade-quiet" if outcome in (Outcome.MISSING, Outcome.SKIPPED) else "grade-not"
