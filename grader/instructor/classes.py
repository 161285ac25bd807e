"""Who is in the class and what counts of what each handed in: from a folder or a platform's zip, and a roster.

    folder of folders and archives, export of a platform, course ─► one submission a student, sorted by name
    roster.csv ─► what students are called, and who handed in nothing

`grade all` notes beside its records what they are of, so that the outputs find the same class again.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from grader.instructor.collect import Handed, find_submissions
from grader.instructor.course.layout import CLASS_FILE, find_course
from grader.instructor.exports import assign, find_export
from grader.instructor.records import write_whole
from grader.instructor.roster import Roster, read_roster
from grader.submission import SubmissionError, folded

ROSTER_FILE = "roster.csv"  # beside the records: the roster that was given last
_SCRATCH = ".unpacked"  # beside the records: a platform's zip, unpacked for as long as a run takes


@dataclass(frozen=True, slots=True)
class Class:
    """The class. absent: who is on the roster and handed in nothing; unknown: who handed in and is not on it."""

    handed: tuple[Handed, ...]
    absent: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def check_source(source: Path) -> None:
    """Raise `SubmissionError` where there is nothing at all that could be a class."""
    if not source.exists():
        raise SubmissionError(
            f"There is no folder {source}. Name the one that holds a folder or a .zip for each student, or a"
            " platform's zip."
        )
    if source.is_dir() and not os.access(source, os.R_OK | os.X_OK):
        raise SubmissionError(
            f"{source} may not be read (permission denied). Give yourself the right to: chmod u+rx {source}"
        )
    if source.is_file() and not source.name.lower().endswith(".zip"):
        raise SubmissionError(
            f"{source} is a file, and no .zip. Name the folder that holds a folder or a .zip for each student, or"
            " the zip that a platform gave you."
        )


def find_class(source: Path, roster: Roster, scratch: Path, out: Path | None = None) -> Class:
    """The class in a folder, a platform's zip or a course; reads no submission.

    scratch: where a zip is unpacked. out: no submission, though it may lie in the folder. Raises `SubmissionError`
    where there is none.
    """
    check_source(source)
    if find_course(source):
        handed = find_submissions(source)
        there = {one.student for one in handed}
        return Class(tuple(handed), tuple(p.id for p in roster.people if p.id not in there))
    found = find_export(source, scratch)
    if out is not None:
        found = [one for one in found if one.handed.path.resolve() != out.resolve()]
    if not found:
        raise SubmissionError(f"There is no submission in {source}.")
    assigned = assign(found, roster)
    absent = tuple(person.id for person in roster.people if person.id not in assigned.chosen)
    unknown = set(assigned.unknown)
    alike: dict[str, list[str]] = {}
    for student in (*assigned.chosen, *absent):
        alike.setdefault(folded(student), []).append(student)
    handed = []
    for student, one in sorted(assigned.chosen.items()):
        notes = one.handed.notes
        if student in unknown:
            notes = (*notes, "on no line of the roster, or on two")
        if others := [name for name in alike[folded(student)] if name != student]:
            notes = (
                *notes,
                f"the name differs from {others[0]} only in case or Unicode form: the same student?",
            )
        handed.append(replace(one.handed, notes=notes))
    return Class(tuple(handed), absent, assigned.unknown)


# -- beside the records -----------------------------------------------------------------------------


def scratch_of(out: Path) -> Path:
    """Where a run unpacks a platform's zip."""
    return out / _SCRATCH


def remove_scratch(out: Path) -> None:
    shutil.rmtree(scratch_of(out), ignore_errors=True)


def choose_roster(source: Path, out: Path, given: Path | None) -> Roster:
    """The roster that was given, or else the course's, or the one given to an earlier run; nobody where there is none."""
    course = find_course(source)
    for path in (given, course.roster if course else None, out / ROSTER_FILE):
        if path is not None and (path is given or path.is_file()):
            return read_roster(path)
    return Roster(())


def note_class(source: Path, out: Path, roster_file: Path | None) -> None:
    """Write down beside the records what they are of."""
    write_whole(out / CLASS_FILE, f"{source.resolve()}\n".encode("utf-8", "surrogateescape"))
    if roster_file is not None and roster_file.resolve() != (out / ROSTER_FILE).resolve():
        write_whole(out / ROSTER_FILE, roster_file.read_bytes())


@contextlib.contextmanager
def noted_class(out: Path) -> Iterator[Class]:
    """The class that the records in `out` are of, while the context lasts.

    Raises `OSError` where no run has noted it, `SubmissionError` where it is no longer there.
    """
    text = (out / CLASS_FILE).read_text(encoding="utf-8", errors="surrogateescape")
    source = Path(text.removesuffix("\n"))
    with tempfile.TemporaryDirectory(prefix="grade-class-") as scratch:
        yield find_class(source, choose_roster(source, out, None), Path(scratch), out)
