"""A platform's CSV in which single cells are filled in, and every other byte stays as it is.

Reads as RFC 4180 has it (quotes, doubled quotes, line ends within quotes), and also what spreadsheets make of it:
semicolons or tabs between cells, lines that end in CRLF, LF or CR, a byte order mark.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from grader.submission import SubmissionError


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its text, and where it stands, quotes included."""

    text: str
    start: int
    end: int


@dataclass(slots=True)
class Sheet:
    """A CSV file. `rows` are its lines as cells, the first one the header; `fill` notes what is to change."""

    path: Path
    text: str
    delimiter: str
    rows: list[list[Cell]]
    _filled: dict[tuple[int, int], str] = field(default_factory=dict)

    @property
    def header(self) -> list[str]:
        return [cell.text.strip() for cell in self.rows[0]]

    def value(self, row: int, column: int) -> str:
        """The cell's text, "" where the line is too short."""
        cells = self.rows[row]
        return cells[column].text if column < len(cells) else ""

    def fill(self, row: int, column: int, value: str) -> None:
        """Put `value` into the cell, which the line must have."""
        cell = self.rows[row][column]
        self._filled[cell.start, cell.end] = value

    def has(self, row: int, column: int) -> bool:
        return column < len(self.rows[row])

    def data(self) -> bytes:
        """The whole file with the filled cells."""
        parts, at = [], 0
        for (start, end), value in sorted(self._filled.items()):
            parts += [self.text[at:start], quoted(value, self.delimiter)]
            at = end
        return "".join([*parts, self.text[at:]]).encode("utf-8", "surrogateescape")


def quoted(value: str, delimiter: str) -> str:
    """`value` as a cell of a CSV file."""
    if any(sign in value for sign in (delimiter, '"', "\n", "\r")):
        doubled = value.replace('"', '""')
        return f'"{doubled}"'
    return value


def read_sheet(path: Path) -> Sheet:
    """The CSV file. Raises `SubmissionError` where it is none, or has nothing but a header."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SubmissionError(f"{path} cannot be read: {error.strerror}.") from error
    if data[:2] in (b"\xff\xfe", b"\xfe\xff", b"PK"):
        raise SubmissionError(f"{path} is no CSV in UTF-8: download it as CSV, or save it as CSV UTF-8.")
    # bytes that are no UTF-8 (a spreadsheet's own encoding) come out again as they were
    text = data.decode("utf-8", "surrogateescape")
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        rows = list(_rows(text, delimiter))
    except ValueError as error:
        raise SubmissionError(f"{path}, {error}: download it again.") from None
    if len(rows) < 2:
        raise SubmissionError(f"{path} holds no line of a student. Download it again, with your students.")
    return Sheet(path, text, delimiter, rows)


def _rows(text: str, delimiter: str) -> Iterator[list[Cell]]:
    at = 1 if text.startswith("\ufeff") else 0
    row: list[Cell] = []
    while at < len(text):
        cell, at = _cell(text, at, delimiter)
        row.append(cell)
        if at < len(text) and text[at] == delimiter:
            at += 1
            if at == len(text):
                row.append(Cell("", at, at))
            continue
        at += 2 if text.startswith("\r\n", at) else 1
        yield row
        row = []
    if row:
        yield row


def _cell(text: str, start: int, delimiter: str) -> tuple[Cell, int]:
    """The cell at `start`, and where it ends: at a delimiter, a line end or the end of the text."""
    if text.startswith('"', start):
        at = start + 1
        while True:
            at = text.find('"', at)
            if at < 0:
                raise ValueError(
                    f"line {text.count(chr(10), 0, start) + 1}: a quotation mark is never closed"
                )
            if not text.startswith('""', at):
                break
            at += 2
        end = at + 1
        if end == len(text) or text[end] in (delimiter, "\n", "\r"):
            return Cell(text[start + 1 : at].replace('""', '"'), start, end), end
    ends = [found for sign in (delimiter, "\n", "\r") if (found := text.find(sign, start)) >= 0]
    end = min(ends, default=len(text))
    return Cell(text[start:end], start, end), end
