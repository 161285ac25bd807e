"""The page of pairs, side by side, and the CSV. The page holds no script, asks for nothing and shows text as text."""

import base64
import csv
import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from grader.instructor.similarity.compare import Pair, passages
from grader.instructor.similarity.tokens import Document

CONTEXT = 2  # lines shown before and after a passage
MAX_LINES = 400  # of one side of a pair
MAX_WIDTH = 300  # characters of a line
COLOURS = 6
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a line: `passage` is the number of the passage that it belongs to, 0 for none."""

    text: str
    passage: int
    first: bool = False  # the passage's first piece on this side: where links lead


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is shown; number 0: so many lines, or the file that begins, in the place of lines."""

    number: int
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """A pair as the page has it."""

    number: int
    first: str
    second: str
    alike: float
    tokens: int
    longest: int
    note: str
    sides: tuple[tuple[Line, ...], tuple[Line, ...]]


@dataclass(frozen=True, slots=True)
class Summary:
    """What was compared, and how alike the pairs are on the whole."""

    submissions: int
    earlier: int
    left_out: tuple[tuple[str, str], ...]  # name, and why it was not compared
    usual: float  # the median of all pairs of the class
    bins: tuple[int, ...]  # pairs of the class in tenths
    threshold: float
    pairs: int  # at least as alike as the threshold


def shown(
    pairs: Sequence[Pair], documents: Sequence[Document], notes: Sequence[str], number: int
) -> list[Shown]:
    """The pairs with their passages; at most `number` of them, and none of two documents that were shown twice."""
    times = [0] * len(documents)
    chosen: list[Shown] = []
    for pair, note in zip(pairs, notes, strict=True):
        if len(chosen) == number:
            break
        if times[pair.first] > 1 and times[pair.second] > 1:
            continue
        times[pair.first] += 1
        times[pair.second] += 1
        first, second = documents[pair.first], documents[pair.second]
        found = passages(first, second)
        sides = (tuple(_lines(first, found.first)), tuple(_lines(second, found.second)))
        chosen.append(
            Shown(
                len(chosen) + 1, visible(first.name), visible(second.name), pair.alike, found.tokens,
                found.longest, note, sides,
            )
        )  # fmt: skip
    return chosen


def render(shown_pairs: Sequence[Shown], summary: Summary) -> str:
    """The page, whole in itself."""
    css = files("grader.instructor.similarity").joinpath("page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    environment = Environment(
        loader=PackageLoader("grader.instructor.similarity", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("page.html.j2")
    return page.render(
        pairs=shown_pairs,
        summary=summary,
        css=Markup(css),
        style_hash=digest,
        colours=COLOURS,
        visible=visible,
    )


def write_csv(pairs: Sequence[Pair], documents: Sequence[Document], notes: Sequence[str]) -> str:
    """A row a pair, the most alike first. A name that a spreadsheet would take for a formula gets an apostrophe."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["first", "second", "alike", "note"])
    for pair, note in zip(pairs, notes, strict=True):
        names = (_cell(documents[pair.first].name), _cell(documents[pair.second].name))
        writer.writerow([*names, f"{pair.alike:.3f}", note])
    return text.getvalue()


def _cell(name: str) -> str:
    return f"'{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name


def visible(text: str) -> str:
    r"""`text` with control characters, invisible ones and changes of writing direction written out (`\u202e`)."""
    return _INVISIBLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _lines(document: Document, labels: np.ndarray) -> Iterator[Line]:
    """The lines with passages and what surrounds them, with a line of its own for what is left out."""
    spans = list(_passages_in_text(document, labels))
    lines = document.text.split("\n")
    begins = np.concatenate([[0], np.cumsum([len(line) + 1 for line in lines])])
    wanted: set[int] = set()
    for start, end, _ in spans:
        low, high = np.searchsorted(begins, (start, max(end - 1, start)), side="right") - 1
        wanted.update(range(max(low - CONTEXT, 0), min(high + CONTEXT + 1, len(lines))))
    firsts = {int(np.searchsorted(begins, start, side="right") - 1): path for path, start in document.files}
    seen: set[int] = set()
    offset, before, file = 0, -1, ""
    for index in sorted(wanted)[:MAX_LINES]:
        newest = max((first for first in firsts if first <= index), default=0)
        if firsts.get(newest, "") != file:
            offset, file, before = newest, firsts.get(newest, ""), newest - 1
            yield Line(0, (Span(visible(file), 0),))
        if index > before + 1:
            yield Line(0, (Span(f"… {index - before - 1} lines", 0),))
        before = index
        inside = [(s, e, n) for s, e, n in spans if s < begins[index + 1] and e > begins[index]]
        yield Line(index - offset + 1, tuple(_spans(lines[index], int(begins[index]), inside, seen)))
    if len(wanted) > MAX_LINES:
        yield Line(0, (Span(f"… and {len(wanted) - MAX_LINES} more lines with passages", 0),))


def _passages_in_text(document: Document, labels: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """(start, end, number) of the tokens of one passage on one line, by characters.

    What stands between two lines with tokens (given text, comments) is not part of a passage, so not marked.
    """
    open_number, start, end = 0, 0, 0
    for index in map(int, np.flatnonzero(labels)):
        first, number = int(document.starts[index]), int(labels[index])
        if number != open_number or "\n" in document.text[end:first]:
            if open_number:
                yield start, end, open_number
            open_number, start = number, first
        end = int(document.ends[index])
    if open_number:
        yield start, end, open_number


def _spans(line: str, begin: int, inside: Sequence[tuple[int, int, int]], seen: set[int]) -> Iterator[Span]:
    """The line's pieces, within its first `MAX_WIDTH` characters; leading spaces are never marked."""
    width, indent, position = min(len(line), MAX_WIDTH), len(line) - len(line.lstrip()), 0
    for start, end, number in inside:
        low, high = min(max(start - begin, indent, position), width), min(end - begin, width)
        if low >= high:
            continue
        if low > position:
            yield Span(visible(line[position:low]), 0)
        yield Span(visible(line[low:high]), number, number not in seen)
        seen.add(number)
        position = high
    rest = line[position:width] + (" …" if len(line) > MAX_WIDTH else "")
    if rest:
        yield Span(visible(rest), 0)
