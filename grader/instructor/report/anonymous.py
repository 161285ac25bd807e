"""Whose row it is, for the instructor; or a code in its place, for a page that is shown in class.

A page without names is one that students see: it has no text that a student could have written (what code printed or
raised, file names), and of hidden checks no more than feedback pages say. A code comes from the course's secret, so
that it is the same in every report of the course, and nobody who knows the names can compute it.
"""

import base64
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable
from pathlib import Path

from grader.instructor.roster import Roster
from grader.outcomes import Outcome
from grader.report import CheckResult
from grader.text import clean

_LENGTH = 5
_OF_THE_KIT = (Outcome.FAILED, Outcome.MISSING)  # whose messages are the kit's words and numbers
_SHORTEST = 3  # characters of a name that is looked for in texts


class Names:
    """What students and checks are called on the page. secret: None where names are shown."""

    def __init__(self, students: Iterable[str], roster: Roster | None = None, secret: bytes | None = None):
        students = list(students)
        self.hidden = secret is not None
        self._codes = _codes(students, secret) if secret is not None else {}
        self._checks: dict[str, dict[str, int]] = {}
        parts = set(students)
        for person in roster.people if roster else ():
            parts |= {person.first_name, person.last_name, person.email, person.lms_user_id}
        words = {part for name in parts for part in (name, *re.split(r"[\s_.@,-]+", name))}
        pattern = "|".join(
            re.escape(word) for word in sorted(words, key=len, reverse=True) if len(word) >= _SHORTEST
        )
        self._pattern = re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE) if self.hidden and pattern else None

    def student(self, student: str) -> str:
        """The name, or the code in its place."""
        return self._codes[student] if self.hidden else clean(student)

    def hides(self, check: CheckResult) -> bool:
        """Is this a hidden check on a page that students see?"""
        return self.hidden and check.visibility == "hidden"

    def check(self, check: CheckResult) -> str:
        """What the check is called: without "public/", and hidden ones by number where students see them."""
        return self.check_name(check.id, check.task, hidden=check.visibility == "hidden")

    def check_name(self, id: str, task: str, *, hidden: bool) -> str:
        """The same, of its parts."""
        if self.hidden and hidden:
            numbers = self._checks.setdefault(task, {})
            return f"{task}/at grading {numbers.setdefault(id, len(numbers) + 1)}"
        return id.partition("/")[2] or id

    def message(self, message: str, check: CheckResult) -> str:
        """The message, as far as it may be shown."""
        if not self.hidden:
            return message
        if self.hides(check) or check.outcome not in _OF_THE_KIT:
            return ""
        return self._pattern.sub("…", message) if self._pattern else message


def course_key(results: Path) -> tuple[bytes, bool]:
    """What codes are made with: the course's secret, or where that is not at hand random bytes; and whether it lasts."""
    text = os.environ.get("GRADE_SECRET", "").strip()
    if not text:
        try:
            text = (results / "secret").read_text("ascii", "replace").strip()
        except OSError:
            text = ""
    return (text.encode(), True) if text else (secrets.token_bytes(32), False)


def _codes(students: list[str], secret: bytes) -> dict[str, str]:
    length = _LENGTH
    while True:
        codes = {student: f"Student {_code(student, secret)[:length]}" for student in students}
        if len(set(codes.values())) == len(students):
            return codes
        length += 1


def _code(student: str, secret: bytes) -> str:
    digest = hmac.new(
        secret, b"pseudonym\0" + student.encode("utf-8", "surrogatepass"), hashlib.sha256
    ).digest()
    return base64.b32encode(digest).decode()
