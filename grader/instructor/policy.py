"""A course's policy on late work, dropped tasks and bonus points: one small TOML file, read strictly, applied to scores.

    due = 2026-05-01T23:59:00        # or with its offset: 2026-05-01T23:59:00+02:00
    zone = "Europe/Berlin"           # of all times here that name no offset
    grace_minutes = 10               # so much after the end of a day still counts as that day
    late_days = 3                    # days that each student may be late without a penalty
    penalty_per_day = "10%"          # of the points earned, for each further day; or points: 2
    cap = "50%"                      # the penalty is never more; or points
    drop = ["fit"]                   # tasks that do not count, for nobody

    [extensions]                     # a later due date, or a number of days more
    anna = 2026-05-08T23:59:00
    "ben@example.org" = 2

    [handed_in]                      # where the record does not know, or does not know better
    chloe = 2026-05-01T22:10:00

    [bonus]                          # points beyond what was earned
    anna = 1.5

Every line may be left out. A record's score is never changed: `Policy.standing` computes beside it what counts. Whose
time of handing in is unknown has no final score where it could matter: nothing is guessed.
"""

import datetime
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from grader.assignment import BY_NAME, TASKS
from grader.submission import SubmissionError
from grader.text import counted
from grader.usage import did_you_mean

NAME = "policy.toml"
_TIME = "write a time like 2026-05-01T23:59:00, without quotation marks"
_DAY = datetime.timedelta(days=1)


class PolicyError(SubmissionError):
    """The policy cannot be read, with file, line and key, and what should stand there."""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """The file as it is written."""

    due: datetime.datetime | None = None
    zone: str = ""
    grace_minutes: float = 0
    late_days: int = 0
    penalty_per_day: float | str = 0
    cap: float | str = "100%"
    drop: list[str] = []
    extensions: dict[str, Any] = {}  # by hand, below: the message names the student
    handed_in: dict[str, Any] = {}
    bonus: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Amount:
    """Points, or a share of the points earned."""

    value: float
    is_share: bool

    def of(self, earned: float) -> float:
        """In points, of so many earned."""
        return self.value * earned if self.is_share else self.value

    def __str__(self) -> str:
        return f"{100 * self.value:g} %" if self.is_share else f"{self.value:g} points"


class Lateness(StrEnum):
    """What is known of when a submission came."""

    NEVER = "no due date"
    IN_TIME = "in time"
    LATE = "late"
    UNKNOWN = "time unknown"


@dataclass(frozen=True, slots=True)
class Standing:
    """One student's line under the policy: from the raw score to the final one.

    earned, possible: of the tasks that count. raw, penalty, final: None where they are not known. late_by: beyond the
    student's own due date. days_late: days begun beyond it and the grace; days_used: of those, free ones.
    """

    raw: float | None  # the record's total over all tasks
    earned: float | None
    possible: float
    lateness: Lateness
    due: datetime.datetime | None = None
    handed_in: datetime.datetime | None = None
    late_by: datetime.timedelta = datetime.timedelta()
    days_late: int = 0
    days_used: int = 0
    penalty: float | None = 0.0
    bonus: float = 0.0

    @property
    def final(self) -> float | None:
        """Points that count: never below 0 before the bonus."""
        if self.earned is None or self.penalty is None:
            return None
        return round(self.earned - self.penalty + self.bonus, 2)


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy, checked. Times are aware of their zone; `zone` is where a day ends at the due date's time of day."""

    due: datetime.datetime | None = None
    zone: datetime.tzinfo = datetime.UTC
    grace: datetime.timedelta = datetime.timedelta()
    late_days: int = 0
    penalty_per_day: Amount = Amount(0, False)
    cap: Amount = Amount(1, True)
    drop: tuple[str, ...] = ()
    extensions: Mapping[str, int | datetime.datetime] = field(default_factory=dict)
    handed_in: Mapping[str, datetime.datetime] = field(default_factory=dict)
    bonus: Mapping[str, float] = field(default_factory=dict)

    @property
    def possible(self) -> float:
        """The points of the tasks that count."""
        return sum(task.points for task in TASKS if task.name not in self.drop)

    @property
    def named(self) -> set[str]:
        """The students that the policy names."""
        return {*self.extensions, *self.handed_in, *self.bonus}

    def due_of(self, student: str) -> datetime.datetime | None:
        """The student's own due date: an extension in days moves the clock of `zone`, summer time included."""
        extension = self.extensions.get(student)
        if isinstance(extension, datetime.datetime):
            return extension
        if self.due is None or not extension:
            return self.due
        return self.due.astimezone(self.zone) + extension * _DAY

    def standing(
        self, student: str, points: Mapping[str, float | None], handed_in: datetime.datetime | None
    ) -> Standing:
        """What counts for the student.

        points: by task, None without a verdict. handed_in: as the record knows it, None where it does not.
        """
        raw = _total(points, [task.name for task in TASKS])
        earned = _total(points, [task.name for task in TASKS if task.name not in self.drop])
        time = self.handed_in.get(student, handed_in)
        due = self.due_of(student)
        lateness, late_by, days = self._late(due, time)
        used = min(days, self.late_days)
        bonus = self.bonus.get(student, 0.0)
        penalty = self.deduction(earned, days) if earned is not None else None
        if lateness is Lateness.UNKNOWN and self.penalty_per_day.value:
            penalty = None
        return Standing(raw, earned, self.possible, lateness, due, time, late_by, days, used, penalty, bonus)

    def deduction(self, earned: float, days_late: int) -> float:
        """The points that so many days late cost: at most the cap, and what was earned."""
        paid = max(0, days_late - self.late_days)
        penalty = min(paid * self.penalty_per_day.of(earned), self.cap.of(earned), earned)
        return round(max(penalty, 0.0), 4)

    def days_late(self, student: str, handed_in: datetime.datetime | None) -> int | None:
        """Days begun beyond the student's due date; None where the time is unknown and a due date is set."""
        time = self.handed_in.get(student, handed_in)
        lateness, _, days = self._late(self.due_of(student), time)
        return None if lateness is Lateness.UNKNOWN else days

    def _late(
        self, due: datetime.datetime | None, time: datetime.datetime | None
    ) -> tuple[Lateness, datetime.timedelta, int]:
        if due is None:
            return Lateness.NEVER, datetime.timedelta(), 0
        if time is None:
            return Lateness.UNKNOWN, datetime.timedelta(), 0
        late_by = time.astimezone(datetime.UTC) - due.astimezone(datetime.UTC)
        if late_by <= self.grace:
            return Lateness.IN_TIME, max(late_by, datetime.timedelta()), 0
        # days end at the due date's time of day, also where the clock changes in between
        clock = _wall(time, self.zone) - _wall(due, self.zone) - self.grace
        return Lateness.LATE, late_by, max(1, math.ceil(clock / _DAY))

    def lines(self) -> list[tuple[str, str]]:
        """The policy in words, for people: what, and how much."""
        found = []
        if self.due is not None:
            found.append(("Due", show_time(self.due, self.zone)))
        if self.grace:
            found.append(("Grace", f"{self.grace.total_seconds() / 60:g} minutes"))
        if self.late_days:
            found.append(("Free late days", f"{self.late_days} a student"))
        if self.penalty_per_day.value:
            of = " of the points earned"
            share = of if self.penalty_per_day.is_share else ""
            found.append(("Penalty", f"{self.penalty_per_day}{share} for each further day begun"))
            if self.cap != Amount(1, True):
                found.append(("Penalty at most", f"{self.cap}{of if self.cap.is_share else ''}"))
        if self.drop:
            found.append(("Not counted", ", ".join(self.drop)))
        if self.extensions:
            found.append(("Extensions", f"{len(self.extensions)}"))
        if self.bonus:
            found.append(("Bonus points", counted(len(self.bonus), "student")))
        return found


def _total(points: Mapping[str, float | None], names: list[str]) -> float | None:
    values = [points.get(name) for name in names]
    return None if None in values else sum(value for value in values if value is not None)


def _wall(time: datetime.datetime, zone: datetime.tzinfo) -> datetime.datetime:
    return time.astimezone(zone).replace(tzinfo=None)


def show_time(time: datetime.datetime, zone: datetime.tzinfo) -> str:
    """A time as people of that zone write it."""
    return time.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z").strip()


def parse_handed_in(text: str) -> datetime.datetime | None:
    """A record's time of handing in; None for "" and for what is no time with an offset."""
    try:
        time = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo is not None else None


# -- reading ------------------------------------------------------------------------------------------


def read_policy(path: Path) -> Policy:
    """The policy in the file. Raises `PolicyError` for anything that it does not mean exactly."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
        found = tomllib.loads(text)
    except UnicodeDecodeError:
        raise PolicyError(f"{path} is not UTF-8: save it as UTF-8.") from None
    except OSError as error:
        raise PolicyError(f"{path} cannot be read: {error.strerror}.") from error
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"{path} is no TOML: {error}. An example is in docs/report.md.") from None
    try:
        return _checked(msgspec.convert(found, _File))
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        raise PolicyError(_where(path, text, place.strip("`."), message)) from None
    except _Wrong as error:
        raise PolicyError(_where(path, text, error.key, error.why)) from None


class _Wrong(Exception):
    def __init__(self, key: str, why: str):
        self.key = key
        self.why = why


def _where(path: Path, text: str, key: str, why: str) -> str:
    """The message, with the line on which the key stands."""
    if match := re.match(r"Object contains unknown field `(.*)`", why):
        key = match[1]
        why = f"there is no such setting.{did_you_mean(key, _File.__struct_fields__)}"
    elif "RFC3339" in why:
        why = _TIME
    table, _, name = key.partition("/")
    wanted = re.escape((name or table).partition("[")[0])
    inside = not name
    for number, content in enumerate(text.splitlines(), 1):
        inside = inside or content.strip().startswith(f"[{table}]")
        if inside and re.match(rf"""\s*\[?["']?{wanted}["']?\s*[=\]]""", content):
            path_and_line = f"{path}, line {number}"
            break
    else:
        path_and_line = f"{path}"
    end = "" if why.endswith(("?", ".")) else "."
    return f"{path_and_line}, {name or key}: {why[:1].lower()}{why[1:]}{end}"


def _checked(file: _File) -> Policy:
    zone = _zone(file.zone)
    for name in file.drop:
        if name not in BY_NAME:
            raise _Wrong("drop", f"there is no task {name}.{did_you_mean(name, BY_NAME)}")
    if len(set(file.drop)) == len(TASKS):
        raise _Wrong("drop", "nothing is left that counts")
    if not 0 <= file.grace_minutes <= 1440:
        raise _Wrong("grace_minutes", "write minutes from 0 to 1440 (a day)")
    if file.late_days < 0:
        raise _Wrong("late_days", "write a whole number of days, 0 or more")
    due = _aware("due", file.due, zone) if file.due is not None else None
    policy = Policy(
        due,
        zone or (due.tzinfo if due is not None and due.tzinfo is not None else datetime.UTC),
        datetime.timedelta(minutes=file.grace_minutes),
        file.late_days,
        _amount("penalty_per_day", file.penalty_per_day),
        _amount("cap", file.cap),
        tuple(dict.fromkeys(file.drop)),
        {student: _extension(student, value, due, zone) for student, value in file.extensions.items()},
        {student: _aware(f"handed_in/{student}", time, zone) for student, time in file.handed_in.items()},
        {student: _bonus(student, value) for student, value in file.bonus.items()},
    )
    if policy.penalty_per_day.value and due is None and not file.extensions:
        raise _Wrong("penalty_per_day", "there is no due date that could be missed: set due, too")
    return policy


def _extension(
    student: str, value: object, due: datetime.datetime | None, zone: ZoneInfo | None
) -> int | datetime.datetime:
    key = f"extensions/{student}"
    if isinstance(value, int) and not isinstance(value, bool):
        if due is None or not 0 <= value <= 3650:
            raise _Wrong(key, "write a number of days, 0 or more, beyond the due date, which has to be set")
        return value
    return _aware(key, value, zone)


def _bonus(student: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise _Wrong(f"bonus/{student}", "write points, like 1.5")
    return float(value)


def _zone(name: str) -> ZoneInfo | None:
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _Wrong("zone", f"there is no time zone {name!r}: write one like Europe/Berlin or UTC") from None


def _aware(key: str, time: object, zone: ZoneInfo | None) -> datetime.datetime:
    if not isinstance(time, datetime.datetime):
        raise _Wrong(key, _TIME)
    if time.tzinfo is not None:
        return time
    if zone is None:
        raise _Wrong(
            key, 'this time names no zone: add zone = "Europe/Berlin" (yours) at the top of the file'
        )
    return time.replace(tzinfo=zone)


def _amount(key: str, value: float | str) -> Amount:
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", value)
        if not match or float(match[1]) > 100:
            raise _Wrong(key, 'write a share like "10%", or points like 2')
        return Amount(float(match[1]) / 100, True)
    if not 0 <= value < math.inf:
        raise _Wrong(key, 'write a share like "10%", or points like 2')
    return Amount(float(value), False)
