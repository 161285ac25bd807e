"""Gradescope: `results.json` of one submission, by https://gradescope-autograders.readthedocs.io/en/latest/specs/.

Students read it, so of a hidden check it says what feedback pages say: outcome, points and hint, and no more. Text is
given as plain text, which Gradescope shows as it is. A submission without a verdict has no results: Gradescope then
tells the student to ask, where a score of 0 would look like a grade.
"""

from typing import Any

import msgspec

from grader.instructor.course.results import MEANING_AT_GRADING
from grader.instructor.policy import Standing
from grader.instructor.standings import Graded
from grader.outcomes import Outcome
from grader.report import CheckResult, Report
from grader.submission import SubmissionError
from grader.text import clean, points

MAX_TEXT = 4_000  # characters of a message
_HIDDEN = "after_published"  # when students see what hidden checks say


def results(one: Graded, *, with_policy: bool) -> bytes:
    """The submission's `results.json`: a test a check. with_policy: the score is the final one.

    Raises `SubmissionError` where there is no verdict or no final score.
    """
    if not one.report.has_verdict or not one.report.tasks:
        raise SubmissionError(
            f"There is no verdict on {clean(one.student)}: the kit itself failed. Run grade all again"
            " (no results are written, rather than a 0)."
        )
    content: dict[str, Any] = {
        "output": _summary(one.report, one.standing if with_policy else None),
        "output_format": "text",
        "execution_time": round(one.report.seconds),
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": [
            _test(check, f"{number}.{part}")
            for number, task in enumerate(one.report.tasks, 1)
            for part, check in enumerate(task.checks, 1)
        ],
        "extra_data": {"digest": one.report.digest, "kit": one.report.kit, "isolation": one.report.level},
    }
    if with_policy:
        if (final := one.standing.final) is None:
            raise SubmissionError(
                f"When {clean(one.student)} handed in is unknown, and could cost points: write the time into the"
                " policy, under [handed_in]."
            )
        content["score"] = final
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"


def _summary(report: Report, standing: Standing | None) -> str:
    lines = [_plain(problem) for problem in report.problems]
    if standing is not None:
        lines.append(f"Points earned: {points(standing.earned or 0)} of {points(standing.possible)}")
        if standing.days_late:
            used = f", {standing.days_used} of them free" if standing.days_used else ""
            lines.append(f"Days late: {standing.days_late}{used}")
        if standing.penalty:
            lines.append(f"Penalty: {points(standing.penalty)}")
        if standing.bonus:
            lines.append(f"Bonus: {points(standing.bonus)}")
    return "\n".join(lines)


def _test(check: CheckResult, number: str) -> dict[str, Any]:
    hidden = check.visibility == "hidden"
    passed = check.outcome is Outcome.PASSED
    name = check.id.split("/", 1)[1]
    return {
        "number": number,
        "name": f"{check.task}: at grading" if hidden else f"{name}: {_plain(check.title)}",
        "name_format": "text",
        "score": round(check.earned, 6),
        "max_score": check.points,
        "status": "passed" if passed else "failed",
        "output": "" if passed else _hidden(check) if hidden else _public(check),
        "output_format": "text",
        "visibility": _HIDDEN if hidden else "visible",
    }


def _hidden(check: CheckResult) -> str:
    return _lines(
        (str(check.outcome), MEANING_AT_GRADING.get(check.outcome, "")), ("likely", check.diagnosis)
    )


def _public(check: CheckResult) -> str:
    if check.outcome is Outcome.SKIPPED:
        return _lines((str(check.outcome), check.message))
    return _lines((str(check.outcome), check.message), ("likely", check.diagnosis), ("at", check.location))


def _lines(*parts: tuple[str, str]) -> str:
    return "\n".join(
        f"{label}: {_plain(text)}" if text else label
        for label, text in parts
        if text or label not in ("likely", "at")
    )


def _plain(text: str) -> str:
    shown = clean(text.encode("utf-8", "replace").decode())
    return shown if len(shown) <= MAX_TEXT else f"{shown[:MAX_TEXT]} ..."
