"""What a record says of a task, as the output of its test cell: points, and each check in the words students read.

Of a hidden check only its outcome, its points and the hint are shown: not its name, what it asked, what it called
or what came back, nor what the code printed or raised there, since a student's code could print what it was given.
All text is escaped here; nothing of it reaches Markdown or MathJax.
"""

import itertools
import re
from typing import Any

from grader.instructor.course.safe import IGNORED_BY_MATHJAX, html_text, image_url
from grader.outcomes import Outcome
from grader.report import CheckResult, TaskResult
from grader.terminal import points
from grader.text import counted

_COLOURS = {
    Outcome.PASSED: "#1a7f37",
    Outcome.FORBIDDEN: "#8250df",
    Outcome.MISSING: "#57606a",
    Outcome.SKIPPED: "#57606a",
    Outcome.NO_VERDICT: "#9a6700",
}
_RED = "#b42318"
_MARKS = {Outcome.PASSED: "✓", Outcome.MISSING: "·", Outcome.SKIPPED: "·", Outcome.NO_VERDICT: "?"}
_MEANING = {
    Outcome.MISSING: "still the stub, or not there",
    Outcome.SKIPPED: "not run, since something that comes before it did not pass",
    Outcome.NO_VERDICT: "the kit itself failed: this is no mistake of yours, and a person decides",
}
MEANING_AT_GRADING = {
    Outcome.FAILED: "a wrong answer: it asks what the handout says, on other sizes, options and numbers",
    Outcome.ERROR: "your code raised an exception",
    Outcome.TIMEOUT: "no answer in time",
    Outcome.MEMORY: "more memory than allowed",
    Outcome.CRASHED: "the process that ran your code ended",
    Outcome.FORBIDDEN: "a finished operation was used that this task asks you to write",
    **_MEANING,
}
_MAX_MESSAGE = 6_000
_LABEL = "color:#57606a;padding:1px 12px 1px 0;vertical-align:top;white-space:nowrap;text-align:left;border:0"
_VALUE = "padding:1px 0;text-align:left;border:0;white-space:pre-wrap;overflow-wrap:anywhere"


def score_of(task: TaskResult | None) -> float | None:
    """The points of a task, None where no score may be given: no verdict, or no result."""
    if task is None or any(check.outcome is Outcome.NO_VERDICT for check in task.checks):
        return None
    score = round(task.earned, 6)
    if not 0 <= score <= task.points:
        raise ValueError(f"{task.task} has {score} of {task.points} points")
    return score


def task_output(name: str, worth: float, task: TaskResult | None) -> dict[str, Any]:
    """The one output of the test cell of `name`: HTML for people, and the score as its value.

    The value is what nbgrader's own scoring takes for partial credit: a cell without one would get all points.
    """
    score = score_of(task)
    html = _page(name, worth, task, score)
    return {
        "output_type": "execute_result",
        "execution_count": 1,
        "data": {"text/html": html, "text/plain": repr(score or 0.0)},
        "metadata": {},
    }


def _page(name: str, worth: float, task: TaskResult | None, score: float | None) -> str:
    head = "no score yet" if score is None else f"{points(score)} of {points(worth)} points"
    parts = [f"<p><b>{html_text(name)}: {head}</b></p>"]
    if task is None or not task.checks:
        parts.append("<p>There is no result of this task.</p>")
    else:
        public = [check for check in task.checks if check.visibility == "public"]
        hidden = [check for check in task.checks if check.visibility == "hidden"]
        seen: dict[str, str] = {}
        parts += [_public(check, seen) for check in public]
        parts += [_hidden(list(alike)) for _, alike in itertools.groupby(sorted(hidden, key=_shown), _shown)]
    return f'<div class="{IGNORED_BY_MATHJAX}" style="font-size:13px;line-height:1.4">{"".join(parts)}</div>'


def _heading(outcome: Outcome, what: str, checks: list[CheckResult]) -> str:
    colour = _COLOURS.get(outcome, _RED)
    mark = _MARKS.get(outcome, "✗")
    earned = f"{points(sum(c.earned for c in checks))} / {points(sum(c.points for c in checks))}"
    return (
        f'<div style="margin-top:6px"><span style="color:{colour};font-weight:bold">{mark} {outcome}</span>'
        f" &nbsp;{what} <span style='color:#57606a'>({earned})</span></div>"
    )


def _public(check: CheckResult, seen: dict[str, str]) -> str:
    name = check.id.split("/", 1)[1]
    title = re.sub("`([^`]+)`", r"<code>\1</code>", html_text(check.title))
    heading = _heading(check.outcome, f"<code>{html_text(name)}</code> {title}", [check])
    if check.outcome in (Outcome.PASSED, Outcome.SKIPPED):
        return heading
    cause = check.message + check.location
    if check.location and cause in seen:  # one cause (a file that cannot be imported) is explained once
        return heading + _table([("found", f"the same as {seen[cause]}")])
    seen[cause] = name
    called, _, found = check.message.rpartition("\n")
    if check.outcome is Outcome.NO_VERDICT:
        called, found = "", _MEANING[Outcome.NO_VERDICT]
    rows = [("called", called), ("found", found), ("likely", check.diagnosis), ("at", check.location)]
    rows.append(("again", f"grade check {name}"))
    return heading + _table(rows) + _picture(check)


def _shown(check: CheckResult) -> tuple[bool, str, str]:
    """All that is shown of a hidden check; those that passed come first."""
    return check.outcome is not Outcome.PASSED, check.outcome, check.diagnosis


def _hidden(alike: list[CheckResult]) -> str:
    """Hidden checks of which the same is shown."""
    outcome, count = alike[0].outcome, len(alike)
    heading = _heading(outcome, f"{counted(count, 'check')} at grading", alike)
    if outcome is Outcome.PASSED:
        return heading
    return heading + _table([("found", MEANING_AT_GRADING.get(outcome, "")), ("likely", alike[0].diagnosis)])


def _table(rows: list[tuple[str, str]]) -> str:
    cells = [
        f'<tr style="background:none"><td style="{_LABEL}">{label}</td>'
        f'<td style="{_VALUE}{";font-family:monospace" if label in ("called", "at", "again") else ""}">'
        f"{html_text(value, _MAX_MESSAGE)}</td></tr>"
        for label, value in rows
        if value.strip()
    ]
    if not cells:
        return ""
    return f'<table style="margin:2px 0 6px 18px;border:0;font-size:13px">{"".join(cells)}</table>'


def _picture(check: CheckResult) -> str:
    url = image_url("image/png", check.picture)
    if not check.picture or not isinstance(url, str):
        return ""
    return (
        f'<div style="margin:2px 0 8px 18px"><img src="{url}" alt="the wanted image, yours, and where they differ"'
        ' style="image-rendering:pixelated;display:block;margin:0">'
        '<span style="color:#57606a">wanted, yours, where they differ (the first image that does)</span></div>'
    )
