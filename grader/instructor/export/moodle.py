"""Moodle: an assignment's grading worksheet (*Download grading worksheet*) with grades, to be uploaded again.

    Identifier,"Full name","Email address",Status,Grade,"Maximum grade","Grade can be changed",
        "Last modified (submission)","Last modified (grade)","Feedback comments"
    "Participant 1234","Anna Berg",anna@example.org,"Submitted for grading",,55.00,Yes,-,-,

Moodle reads back `Identifier`, `Grade` and `Last modified (grade)`, by which it notices grades that changed since; so
all but the grade stays as it was, byte for byte. https://docs.moodle.org: "Offline grading"
"""

import re
from pathlib import Path

from grader.instructor.export.finals import CODE_ONLY, Finals
from grader.instructor.export.matching import Filled, place
from grader.instructor.export.sheet import Sheet, read_sheet
from grader.submission import SubmissionError
from grader.text import points

_IDENTIFYING = (
    "ID number",
    "Email address",
    "Username",
    "Full name",
)  # Full name: only as an id, never split


def fill(finals: Finals, path: Path, *, scale: bool = False) -> tuple[bytes, Filled]:
    """The worksheet at `path` with the final scores as grades.

    scale: to the worksheet's maximum grade, where it is not the assignment's. Raises `SubmissionError`.
    """
    sheet = read_sheet(path)
    names = {name.casefold(): index for index, name in enumerate(sheet.header)}
    for wanted in ("Identifier", "Grade", "Last modified (grade)"):
        if wanted.casefold() not in names:
            raise SubmissionError(
                f"{path} is no grading worksheet of Moodle: it has no column {wanted}. In the assignment, allow"
                " 'Offline grading worksheet' under Feedback types, then choose 'Download grading worksheet' (in"
                " English, since Moodle reads the columns by their names)."
            )
    grade, identifier = names["grade"], names["identifier"]
    maximum = names.get("maximum grade")
    changeable = names.get("grade can be changed")
    ids = [names[name.casefold()] for name in _IDENTIFYING if name.casefold() in names]
    rows = range(1, len(sheet.rows))
    keys = {
        row: [_number(sheet.value(row, identifier)), *(sheet.value(row, index) for index in ids)]
        for row in rows
        if sheet.value(row, identifier).strip()
    }
    placed, unmatched = place(finals, keys)
    without: dict[str, str] = {}
    filled = 0
    for row, one in placed.items():
        if one.points is None:
            without[one.student] = one.why
        elif not sheet.has(row, grade):
            without[one.student] = f"line {row + 1} of the file is cut short"
        elif changeable is not None and sheet.value(row, changeable).strip().casefold() == "no":
            without[one.student] = "Moodle says that this grade cannot be changed"
        else:
            told = sheet.value(row, maximum).strip() if maximum is not None else ""
            factor = _factor(sheet, told, finals, scale)
            score, best = one.points * factor, finals.possible * factor
            if score > best:
                without[one.student] = (
                    f"{points(score)} points are more than the maximum of {points(best)}, and Moodle takes"
                    " no more: enter it by hand in the gradebook"
                )
                continue
            text = f"{score:.2f}"
            sheet.fill(row, grade, text.replace(".", ",") if _decimal_comma(told) else text)
            filled += 1
    name = names.get("full name", identifier)
    return sheet.data(), Filled(
        filled, unmatched, without, [sheet.value(row, name) for row in keys if row not in placed]
    )


def _number(text: str) -> str:
    """The number in "Participant 1234", which Moodle's zips have in the names of folders."""
    match = re.search(r"(\d+)\s*$", text)
    return match[1] if match else ""


def _decimal_comma(text: str) -> bool:
    return re.fullmatch(r"\d+,\d+", text) is not None


def _factor(sheet: Sheet, told: str, finals: Finals, scale: bool) -> float:
    try:
        possible = float(told.replace(",", "."))
    except ValueError:
        return 1.0
    ours = finals.possible
    if possible == ours:
        return 1.0
    if finals.code_only:
        raise SubmissionError(f"In Moodle the maximum grade is {points(possible)}. {CODE_ONLY}")
    if not scale:
        raise SubmissionError(
            f"In Moodle the maximum grade is {points(possible)}, here it is {points(ours)}. Set it in Moodle and"
            " download the worksheet again, or let the scores be scaled: --scale"
        )
    return possible / ours
