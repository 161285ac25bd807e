"""Renders the page: figures as text and inline SVG, the table of students, their failures packed beside it.

The page's policy (CSP) allows its own style and script by their hashes, pictures from data, and nothing else.
"""

import base64
import datetime
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from grader.assignment import TASKS, TOTAL_POINTS
from grader.instructor.policy import Lateness, Policy, Standing, show_time
from grader.instructor.report import statistics
from grader.instructor.report.anonymous import Names
from grader.instructor.report.details import Packer, lost_in
from grader.instructor.rows import Status
from grader.instructor.standings import Graded, Standings
from grader.report import Report
from grader.text import clean, counted, megabytes, points

_TAKEN: tuple[tuple[str, Callable[[Report], float], Callable[[float], str]], ...] = (
    ("Time", lambda report: report.seconds, lambda value: f"{value:.2f} s"),
    ("Memory", lambda report: report.memory, megabytes),
)
_LISTED = 50  # students named in a list of what needs a look


@dataclass(frozen=True, slots=True)
class Line:
    """A student's line in the table."""

    name: str
    total: float | None
    final: float | None
    bars: str  # an SVG path: a bar a task, as high as the share of its points
    lost: list[str]
    late: str
    status: str


def render(standings: Standings, names: Names, made: datetime.datetime) -> str:
    """The whole page. made: when, shown on it."""
    everyone = sorted(standings.everyone, key=lambda one: names.student(one.student).casefold())
    graded = [one for one in everyone if one.row.status is not Status.ABSENT]
    policy = standings.policy
    steps = {one.student: policy_lines(one.standing, policy) for one in graded} if policy else {}
    levels = statistics.levels(graded)
    best = next((level for level in levels if level), "")
    scores = statistics.scores(graded)
    environment = Environment(
        loader=PackageLoader("grader.instructor.report", ""),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )
    environment.filters |= {"points": points, "percent": _percent, "words": _words}
    style, script = _part("page.css"), _part("page.js")
    first_of = {one.student: number for number, one in enumerate(everyone)}
    checks = statistics.checks(graded)
    return environment.get_template("page.html.j2").render(
        style=Markup(style),
        script=Markup(script),
        csp=f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}';"
        " base-uri 'none'; form-action 'none'",
        anonymous=names.hidden,
        made=made.strftime("%Y-%m-%d %H:%M UTC"),
        versions=sorted({_versions(one) for one in graded}),
        possible=TOTAL_POINTS,
        scores=scores,
        bars=_histogram(scores.bins),
        tasks=statistics.tasks(graded),
        checks=checks,
        check_name=lambda check: names.check_name(check.id, check.task, hidden=check.hidden),
        weak=statistics.WEAK,
        enough=statistics.ENOUGH,
        poor=[c for c in checks if c.discrimination is not None and c.discrimination < statistics.WEAK],
        limits=[check for check in checks if check.timeouts or check.memory],
        minutes=sum(one.report.seconds for one in graded) / 60,
        examined=len([one for one in graded if one.report.level]),
        measured=len([one for one in graded if one.report.memory]),
        took=[
            (
                what,
                statistics.spread([value(one.report) for one in graded]),
                told,
                [
                    (first_of[one.student], names.student(one.student), value(one.report))
                    for one in statistics.largest(graded, value)
                ],
            )
            for what, value, told in _TAKEN
        ],
        lines=[_line(one, names, policy) for one in everyone],
        statuses=sorted({str(one.row.status) for one in everyone}),
        counts=_counts(everyone),
        policy=policy,
        policy_lines=policy.lines() if policy else [],
        unknown_time=[
            (first_of[one.student], names.student(one.student))
            for one in graded
            if policy and one.standing.lateness is Lateness.UNKNOWN
        ],
        not_known=[clean(student) for student in standings.unknown] if not names.hidden else [],
        without_verdict=[
            (
                first_of[one.student],
                names.student(one.student),
                names.check(check),
                "" if names.hidden else clean(check.message),
            )
            for one, check in statistics.without_verdict(graded)
        ],
        unreadable=[
            (first_of[one.student], names.student(one.student), "" if names.hidden else _why_unreadable(one))
            for one in graded
            if one.row.status is Status.UNREADABLE
        ],
        levels=[(level, len(students)) for level, students in levels.items()],
        lower=[
            (first_of[one.student], names.student(one.student), level)
            for level, students in levels.items()
            if level and level != best
            for one in students
        ],
        listed=_LISTED,
        task_names=[task.name for task in TASKS],
        details=Packer(names).pack(everyone, steps),
    )


def policy_lines(standing: Standing, policy: Policy | None) -> list[tuple[str, str]]:
    """One student's way from the raw score to the final one, line by line."""
    if policy is None:
        return []
    lines = [("Raw score", _points(standing.raw, "no verdict"))]
    if policy.drop:
        lines.append((f"Without {', '.join(policy.drop)}", _points(standing.earned, "no verdict")))
    if standing.due is not None:
        lines.append(("Due", show_time(standing.due, policy.zone)))
        came = show_time(standing.handed_in, policy.zone) if standing.handed_in else "unknown"
        lines.append(("Handed in", came))
        lines.append(("Late", late_text(standing)))
    if standing.days_late:
        lines.append(("Late days used", f"{standing.days_used} of {policy.late_days}"))
    lines.append(("Penalty", "unknown" if standing.penalty is None else _minus(standing.penalty)))
    if standing.bonus:
        lines.append(("Bonus", f"{standing.bonus:+g}"))
    final = _points(standing.final, "open")
    lines.append(("Final score", f"{final} of {points(standing.possible)}"))
    return lines


def late_text(standing: Standing) -> str:
    """How late, in words."""
    match standing.lateness:
        case Lateness.NEVER | Lateness.UNKNOWN:
            return str(standing.lateness)
        case Lateness.IN_TIME:
            return "in time, by the grace" if standing.late_by else "in time"
    minutes = int(standing.late_by.total_seconds() // 60)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [f"{days} d" if days else "", f"{hours} h" if hours else "", f"{minutes} min" if not days else ""]
    return f"{' '.join(part for part in parts if part)}: {counted(standing.days_late, 'day')}"


def _why_unreadable(one: Graded) -> str:
    """What the first of its checks says, which is the same for all."""
    return clean(next((check.message for task in one.report.tasks for check in task.checks), ""))


def _line(one: Graded, names: Names, policy: Policy | None) -> Line:
    return Line(
        names.student(one.student),
        one.row.total,
        one.standing.final if policy else None,
        _bars(one),
        lost_in(one),
        late_text(one.standing)
        if policy and one.standing.due is not None and one.row.status is not Status.ABSENT
        else "",
        str(one.row.status),
    )


def _bars(one: Graded) -> str:
    """Four units a task, ten high; a task without a point has a line at the foot."""
    parts = []
    for number, task in enumerate(TASKS):
        value = one.row.points.get(task.name)
        height = 1 if not value else max(2, round(10 * value / task.points))
        if value is not None:
            parts.append(f"M{4 * number} {10 - height}h3v{height}h-3z")
    return "".join(parts)


def _histogram(bins: Sequence[int]) -> list[dict[str, object]]:
    """The bars of the distribution, in the SVG's units."""
    most = max([*bins, 1])
    width = TOTAL_POINTS / len(bins)
    return [
        {
            "x": 40 + number * 56,
            "height": round(170 * count / most, 1),
            "count": count,
            "from": points(number * width),
            "to": points((number + 1) * width),
        }
        for number, count in enumerate(bins)
    ]


def _counts(graded: Sequence[Graded]) -> list[tuple[str, int]]:
    found: dict[str, int] = {}
    for one in graded:
        found[str(one.row.status)] = found.get(str(one.row.status), 0) + 1
    return sorted(found.items(), key=lambda item: -item[1])


def _versions(one: Graded) -> str:
    versions = one.report.versions
    return ", ".join(f"{name} {versions[name]}" for name in ("kit", "torch", "python") if name in versions)


def _points(value: float | None, otherwise: str) -> str:
    return otherwise if value is None else points(value)


def _minus(value: float) -> str:
    return f"−{points(value)}" if value else "0"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _words(text: str) -> Markup:
    """Text with `code` in it."""
    parts = clean(text).split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
        for number, part in enumerate(parts)
    )


def _part(name: str) -> str:
    return files("grader.instructor.report").joinpath(name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"
