"""`grade similar`: reads the submissions in several processes, compares them, writes the page and the CSV."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from grader.instructor import release
from grader.instructor.collect import Handed, find_submissions, read
from grader.instructor.records import write_whole
from grader.instructor.similarity import page
from grader.instructor.similarity.compare import TOO_SHORT, Pair, alikeness, pairs_of
from grader.instructor.similarity.tokens import MAX_CHARACTERS, Document, Given, document, given
from grader.submission import read_folder
from grader.terminal import clean

SOLUTIONS = Path(__file__).resolve().parents[3] / "solutions"
SOLUTION = "the solution"
_FEW = 40  # submissions that are read without other processes
_SHOWN = 5  # pairs on the terminal

_From = Literal["class", "earlier"]


@dataclass(frozen=True, slots=True)
class Source:
    """A submission to read, under the name that tells it apart from all others."""

    name: str
    student: str
    handed: Handed
    origin: _From


def compare(
    submissions: Sequence[Path],
    earlier: Sequence[Path],
    out: Path,
    *,
    jobs: int,
    pairs: int,
    threshold: float,
) -> int:
    """The whole command; returns the exit status: 0, also where pairs stand out, since that is no failure.

    Raises `SubmissionError` where a folder holds no submissions.
    """
    sources = _sources(submissions, "class") + _sources(earlier, "earlier")
    stubs = release.stubs(SOLUTIONS)
    read_all = _read_all(sources, given(stubs), jobs)
    documents = [found for found, _ in read_all]
    count = sum(source.origin == "class" for source in sources)
    documents.append(document(SOLUTION, read_folder(SOLUTIONS).files, given(stubs)))

    alike = alikeness(documents, count, reference=1)
    found = pairs_of(alike, threshold)
    notes = [_note(pair, sources) for pair in found]
    summary = page.Summary(
        submissions=count,
        earlier=len(sources) - count,
        left_out=tuple(_left_out(read_all)),
        usual=float(np.median(_each_pair(alike[:, :count]))) if count > 1 else 0.0,
        bins=tuple(int(n) for n in np.histogram(_each_pair(alike[:, :count]), 10, (0, 1))[0]),
        threshold=threshold,
        pairs=len(found),
    )
    shown = page.shown(found, documents, notes, pairs)
    out.mkdir(parents=True, exist_ok=True)
    html, table = out / "similar.html", out / "similar.csv"
    write_whole(html, page.render(shown, summary).encode("utf-8", "replace"))
    write_whole(table, page.write_csv(found, documents, notes).encode("utf-8", "replace"))
    _print(Console(highlight=False, soft_wrap=True), shown, summary, html, table)
    return 0


def _sources(folders: Sequence[Path], origin: _From) -> list[Source]:
    """The submissions of all folders; with several folders of a kind, and for earlier years, the folder is in the name."""
    found = []
    for folder in folders:
        where = folder.resolve().name
        for handed in find_submissions(folder):
            told_apart = origin == "earlier" or len(folders) > 1
            name = f"{handed.student} ({where})" if told_apart else handed.student
            found.append(Source(name, handed.student, handed, origin))
    return found


def _read_all(sources: Sequence[Source], known: Given, jobs: int) -> list[tuple[Document, tuple[str, ...]]]:
    """Each submission's document and what was wrong with it, in the order of `sources`."""
    one = partial(_read, known=known)
    if jobs == 1 or len(sources) <= _FEW:
        return [one(source) for source in sources]
    with ProcessPoolExecutor(jobs) as pool:
        return list(pool.map(one, sources, chunksize=8))


def _read(source: Source, known: Given) -> tuple[Document, tuple[str, ...]]:
    submission = read(source.handed)
    return document(source.name, submission.files, known), submission.problems


def _left_out(read_all: Iterable[tuple[Document, tuple[str, ...]]]) -> Iterable[tuple[str, str]]:
    for found, problems in read_all:
        if len(found.grams) < TOO_SHORT:
            why = (
                problems[0] if problems else f"fewer than {TOO_SHORT} tokens of its own, too short to compare"
            )
            yield found.name, why
        elif found.cut:
            yield found.name, f"only its first {MAX_CHARACTERS:,} characters were compared"


def _each_pair(alike: np.ndarray) -> np.ndarray:
    return alike[np.triu_indices(len(alike), 1)]


def _note(pair: Pair, sources: Sequence[Source]) -> str:
    if pair.second >= len(sources):
        return "with the solution"
    first, second = sources[pair.first], sources[pair.second]
    if second.origin == "earlier":
        same = ", the same name: perhaps the same person again" if first.student == second.student else ""
        return f"with an earlier year{same}"
    return ""


def _print(
    console: Console, shown: Sequence[page.Shown], summary: page.Summary, html: Path, table: Path
) -> None:
    beside = f", {summary.earlier} of earlier years" if summary.earlier else ""
    console.print(f"{summary.submissions} submissions{beside} and the solution compared.")
    if summary.submissions > 1:
        console.print(f"Half of the pairs are at most {summary.usual:.0%} alike.")
    if shown:
        console.print(_table(shown[:_SHOWN]))
        console.print(f"{summary.pairs} pairs are at least {summary.threshold:.0%} alike.")
    else:
        console.print(f"No pair is at least {summary.threshold:.0%} alike.")
    if summary.left_out:
        console.print(f"Not compared, or not whole: {len(summary.left_out)} (named on the page).")
    console.print(
        "This asks for a look and says nothing about anybody: there are few ways to write a short function."
    )
    console.print(Text(f"Page: {html}, all pairs: {table}"))


def _table(shown: Sequence[page.Shown]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("one", "other"):
        table.add_column(heading)
    table.add_column("alike", justify="right")
    table.add_column("longest passage", justify="right")
    for pair in shown:
        names = (Text(clean(pair.first)[:28]), Text(clean(pair.second)[:28]))
        table.add_row(*names, f"{pair.alike:.0%}", f"{pair.longest} tokens")
    return table
