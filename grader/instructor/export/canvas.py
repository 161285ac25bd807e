"""Canvas: the scores in one column of the gradebook's own CSV (*Grades*, *Export*), to be imported again.

    Student,ID,SIS User ID,SIS Login ID,Section,Homework 1 (1234),Current Score
        Points Possible,,,,,55.0,(read only)
    "Berg, Anna",101,s101,aberg,ML1,,

Whose line it is, `ID`, `SIS User ID` and `SIS Login ID` say, as Canvas itself reads them back; the line *Points
Possible*, read-only columns and all other bytes stay. https://community.canvaslms.com: "How do I import grades in the
Gradebook?"
"""

import re
from pathlib import Path

from grader.instructor.export.finals import CODE_ONLY, Finals
from grader.instructor.export.matching import Filled, place
from grader.instructor.export.sheet import Sheet, read_sheet
from grader.submission import SubmissionError
from grader.text import points
from grader.usage import did_you_mean

_IDS = ("ID", "SIS User ID", "SIS Login ID")
_NAMES = ("Student", "LastName", "FirstName", "Section", "Integration ID", "Root Account")
_POSSIBLE = "Points Possible"
_COMPUTED = re.compile(r"(Current|Final|Override|Unposted)\b.*\b(Score|Points|Grade|Status)")


def fill(finals: Finals, path: Path, column: str, *, scale: bool = False) -> tuple[bytes, Filled]:
    """The gradebook at `path` with the final scores in `column`, named with or without its number.

    scale: to the column's possible points, where they are not the assignment's. Raises `SubmissionError`.
    """
    sheet = read_sheet(path)
    header = sheet.header
    if not header or header[0] not in ("Student", "LastName") or "ID" not in header:
        raise SubmissionError(
            f"{path} is no gradebook of Canvas: its first line should begin with Student,ID. Download it by"
            " Grades, Export."
        )
    at = _column(sheet, column)
    students = range(1, len(sheet.rows))
    factor = 1.0
    for row in students:
        if _POSSIBLE in sheet.value(row, 0):
            factor = _factor(sheet, row, at, finals, scale)
    ids = [header.index(name) for name in _IDS if name in header]
    keys = {row: [sheet.value(row, index) for index in ids] for row in students if _is_student(sheet, row)}
    placed, unmatched = place(finals, keys)
    without: dict[str, str] = {}
    filled = 0
    for row, one in placed.items():
        if one.points is None:
            without[one.student] = one.why
        elif not sheet.has(row, at):
            without[one.student] = f"line {row + 1} of the file is cut short"
        else:
            sheet.fill(row, at, points(one.points * factor))
            filled += 1
    left = [sheet.value(row, 0) for row in keys if row not in placed and not _is_test(sheet.value(row, 0))]
    return sheet.data(), Filled(filled, unmatched, without, left)


def _column(sheet: Sheet, column: str) -> int:
    header = sheet.header
    choices = {
        index: name
        for index, name in enumerate(header)
        if name and name not in (*_IDS, *_NAMES) and not _COMPUTED.match(name)
    }
    plain = {index: re.sub(r"\s*\(\d+\)$", "", name) for index, name in choices.items()}
    exact = [index for index, name in choices.items() if name == column.strip()]
    found = exact or [index for index, name in plain.items() if name == column.strip()]
    if len(found) == 1:
        return found[0]
    if found:
        names = " or ".join(repr(choices[index]) for index in found)
        raise SubmissionError(
            f"{sheet.path} has {len(found)} columns {column}: name it with its number, {names}."
        )
    shown = ", ".join(plain.values()) or "none"
    raise SubmissionError(
        f"{sheet.path} has no column {column}.{did_you_mean(column, plain.values())} Its assignments: {shown}."
        " Make the assignment in Canvas first, then export."
    )


def _factor(sheet: Sheet, row: int, at: int, finals: Finals, scale: bool) -> float:
    text = sheet.value(row, at).strip()
    if "read" in text.lower():
        raise SubmissionError(f"Canvas computes the column {sheet.header[at]} itself: it cannot be filled.")
    try:
        possible = float(text.replace(",", "."))
    except ValueError:
        return 1.0
    ours = finals.possible
    if possible == ours or not text:
        return 1.0
    if finals.code_only:
        raise SubmissionError(f"In Canvas {sheet.header[at]} has {points(possible)} points. {CODE_ONLY}")
    if not scale:
        raise SubmissionError(
            f"In Canvas {sheet.header[at]} has {points(possible)} points, here there are {points(ours)}. Set the"
            " points in Canvas and export again, or let the scores be scaled: --scale"
        )
    return possible / ours


def _is_student(sheet: Sheet, row: int) -> bool:
    """Not *Points Possible*, and not the line that says which columns are posted by hand."""
    return _POSSIBLE not in sheet.value(row, 0) and any(
        sheet.value(row, index).strip()
        for index, name in enumerate(sheet.header)
        if name in (*_IDS, "Student")
    )


def _is_test(name: str) -> bool:
    return name.strip() in ("Student, Test", "Test Student")
