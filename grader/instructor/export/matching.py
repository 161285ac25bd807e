"""Which line of a platform's CSV is whose: by ids that are equal, and by nothing else.

A student has the id of the record, and what the roster says of that id (e-mail address, the platform's own number); a
line has the cells of those columns that identify people. Where one id means two lines, or one line two students, that
is told and nothing is filled in.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from grader.instructor.export.finals import Final, Finals
from grader.instructor.roster import Roster


@dataclass(frozen=True, slots=True)
class Filled:
    """What an export did with the class.

    placed: students with a line and a score. unmatched: students on no line, or not on one alone, and why;
    without_score: on a line, which stays as it was, and why. left: lines without a student of ours.
    """

    placed: int
    unmatched: Mapping[str, str]
    without_score: Mapping[str, str]
    left: Sequence[str]


def place(finals: Finals, keys: Mapping[int, Sequence[str]]) -> tuple[dict[int, Final], dict[str, str]]:
    """The students by line, and those who are on none alone with the reason.

    keys: what identifies each line's student, by the line's index.
    """
    lines: dict[str, set[int]] = {}
    for line, values in keys.items():
        for value in values:
            if key := same(value):
                lines.setdefault(key, set()).add(line)
    placed: dict[int, list[Final]] = {}
    unmatched: dict[str, str] = {}
    for one in finals.students:
        found = set().union(*(lines.get(key, set()) for key in ids_of(one.student, finals.roster)))
        if len(found) == 1:
            placed.setdefault(found.pop(), []).append(one)
        else:
            unmatched[one.student] = (
                "is on no line of it" if not found else f"could be {len(found)} different lines"
            )
    for line, students in placed.items():
        if len(students) > 1:
            for one in students:
                others = ", ".join(other.student for other in students if other is not one)
                unmatched[one.student] = f"is on line {line + 1}, and so is {others}"
    return {line: students[0] for line, students in placed.items() if len(students) == 1}, unmatched


def ids_of(student: str, roster: Roster | None) -> set[str]:
    """All that identifies the student, as `same` has it."""
    found = [student]
    for person in roster.people if roster else ():
        if person.id == student:
            found += [person.email, person.lms_user_id]
    return {key for key in map(same, found) if key}


def not_on_roster(students: Iterable[str], roster: Roster | None) -> list[str]:
    """The students that the roster, where there is one, has no line of."""
    if roster is None:
        return []
    known = {person.id for person in roster.people}
    return [student for student in students if student not in known]


def same(value: str) -> str:
    """An id as it is compared: without case, spaces around it, and the apostrophe that keeps spreadsheets off."""
    value = re.sub(r"\s+", " ", value).strip().casefold()
    return value[1:] if value[:1] == "'" and value[1:2] in ("=", "+", "-", "@") else value
