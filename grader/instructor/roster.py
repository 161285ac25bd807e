"""Who is in the class: nbgrader's own CSV of students, and finding the one that a platform's file name means.

    id,first_name,last_name,email,lms_user_id

`id` is the student's name in nbgrader's folders and gradebook; the other columns may be empty or missing.
"""

import csv
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from grader.instructor.course.layout import safe_id
from grader.submission import SubmissionError

COLUMNS = ("id", "first_name", "last_name", "email", "lms_user_id")


@dataclass(frozen=True, slots=True)
class Person:
    """One line of the roster."""

    id: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    lms_user_id: str = ""

    def names(self) -> set[str]:
        """All that platforms call this person, folded."""
        first, last = self.first_name, self.last_name
        found = {self.id, self.email, self.email.partition("@")[0], self.lms_user_id}
        if first or last:
            found |= {
                f"{first} {last}",
                f"{last}, {first}",
                f"{last} {first}",
                f"{last}{first}",
                f"{first}{last}",
            }
        return {name for name in map(folded, found) if name}


@dataclass(frozen=True, slots=True)
class Roster:
    """The class. `find` gives the id of the one person that some of the names mean."""

    people: tuple[Person, ...]

    def find(self, names: Iterable[str]) -> str | None:
        """The id of whom the first telling name means; None where none does, or it means two people."""
        for name in names:
            wanted = folded(name)
            found = [person.id for person in self.people if wanted and wanted in person.names()]
            if len(found) == 1:
                return found[0]
        return None


def folded(name: str) -> str:
    """A name without case, accents' composition, punctuation between its words, and spaces."""
    name = unicodedata.normalize("NFKC", name).casefold()
    return re.sub(r"[\s,_.-]+", "", name)


def read_roster(path: Path) -> Roster:
    """The roster in the CSV `path`. Raises `SubmissionError` for what cannot be one, with the line."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SubmissionError(f"{path} is not UTF-8: save it as CSV UTF-8.") from None
    except OSError as error:
        raise SubmissionError(f"{path} cannot be read: {error.strerror}.") from error
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.DictReader(text.splitlines(), delimiter=delimiter)
    columns = [(name or "").strip().lower() for name in reader.fieldnames or ()]
    if "id" not in columns:
        raise SubmissionError(
            f"{path} has no column id. Its first line should be: {','.join(COLUMNS)} (all but id may be left out)."
        )
    people: list[Person] = []
    lines: dict[str, int] = {}
    for row in reader:
        cells = dict(zip(columns, ((value or "").strip() for value in _values(row, columns)), strict=True))
        if not any(cells.values()):
            continue
        person = Person(**{name: cells.get(name, "") for name in COLUMNS})
        where = f"{path}, line {reader.line_num}"
        if not person.id:
            raise SubmissionError(f"{where}: there is no id.")
        if safe_id(person.id) != person.id:
            raise SubmissionError(
                f"{where}: the id {person.id!r} cannot name a folder everywhere. Use letters, digits, . - _ @ and"
                " inner spaces."
            )
        if person.id.casefold() in lines:
            raise SubmissionError(
                f"{where}: the id {person.id} is in line {lines[person.id.casefold()]}, too."
            )
        lines[person.id.casefold()] = reader.line_num
        people.append(person)
    return Roster(tuple(people))


def _values(row: dict[str | None, object], columns: list[str]) -> list[str]:
    values = [value for key, value in row.items() if key is not None]
    return [value if isinstance(value, str) else "" for value in values][: len(columns)]
