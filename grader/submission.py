"""A submission as plain data: the Python files of one student's package, as bytes.

Reading a submission never runs, imports or parses what is in it.
"""

import hashlib
import itertools
import os
import unicodedata
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from grader.assignment import MODULES

MAX_FILES = 200
MAX_FILE_BYTES = 2_000_000
MAX_TOTAL_BYTES = 10_000_000
MAX_ENTRIES = 20_000  # of a folder or an archive: a course's virtual environment has fewer
IGNORED = ("__MACOSX", "__pycache__", "node_modules")  # folders, beside hidden ones


class SubmissionError(Exception):
    """The submission cannot be read at all; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Submission:
    """`files` maps paths inside the package `student` ("layers.py", "helpers/blocks.py") to their bytes."""

    student: str
    files: Mapping[str, bytes]
    problems: tuple[str, ...] = ()
    origin: str = ""  # the folder or archive that it was read from, for messages
    handed_in: str = ""  # when, ISO 8601 in UTC; "" where it is not known
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        whole = hashlib.sha256()
        for path, data in sorted(self.files.items()):
            whole.update(f"{path}\0{len(data)}\0".encode("utf-8", "surrogateescape"))
            whole.update(data)
        for problem in () if self.files else self.problems:  # else they are no part of what is judged
            whole.update(problem.encode("utf-8", "surrogateescape"))
        object.__setattr__(self, "digest", whole.hexdigest())


def locate_package(files: Mapping[str, bytes], problems: list[str] | None = None) -> dict[str, bytes]:
    """The files of the package `student` among `files` (posix paths), with paths relative to it.

    The package is the folder that holds the most of the graded modules; of equals, the one named
    `student`, then the least deep. With none of them, every path stays as it is. problems: is told where
    several folders are whole, as in a class that is taken for one submission.
    """
    held: dict[PurePosixPath, int] = {}
    for name in files:
        path = PurePosixPath(name)
        if path.suffix == ".py" and path.stem in MODULES:
            held[path.parent] = held.get(path.parent, 0) + 1
    if not held:
        return dict(files)
    root = max(
        held, key=lambda folder: (held[folder], folder.name == "student", -len(folder.parts), str(folder))
    )
    if problems is not None and len(whole := [folder for folder in held if held[folder] == len(MODULES)]) > 1:
        problems.append(f"{len(whole)} folders in it hold all files of the assignment: {root} counts")
    inside = {}
    for name, data in files.items():
        path = PurePosixPath(name)
        if path.is_relative_to(root):
            inside[str(path.relative_to(root))] = data
    return inside


def walk(
    folder: Path, unreadable: Callable[[OSError], None] = lambda error: None
) -> Iterator[os.DirEntry[str]]:
    """All entries below `folder` but folders, the least deep first; nothing of hidden folders and caches.

    Follows no link, however deep the folders are. After `MAX_ENTRIES` it ends, with an `OSError` to `unreadable`.
    """
    waiting, count = deque([str(folder)]), 0
    while waiting:
        try:
            with os.scandir(waiting.popleft()) as found:
                entries = list(itertools.islice(found, MAX_ENTRIES + 1 - count))
        except OSError as error:
            unreadable(error)
            continue
        count += len(entries)
        # of names that differ in case only, lower case first: layers.py is the one that Python imports
        for entry in sorted(entries, key=lambda entry: entry.name.swapcase()):
            if not entry.is_dir(follow_symlinks=False):
                yield entry
            elif not entry.name.startswith(".") and entry.name not in IGNORED:
                waiting.append(entry.path)
        if count > MAX_ENTRIES:
            unreadable(OSError(0, f"more than {MAX_ENTRIES:,} files: the rest is left out", str(folder)))
            return


def folded(name: str) -> str:
    """What two names share that a file system may take for one: they differ in case or Unicode form only."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def read_folder(folder: Path, student: str | None = None) -> Submission:
    """The submission in `folder`: the package itself, or a folder that holds it.

    Follows no links, reads only `.py` files within the caps above and says in `problems` what it
    left out. Raises `SubmissionError` where there is no such folder or it may not be read.
    """
    name = student if student is not None else folder.resolve().name
    if not folder.exists():
        raise SubmissionError(f"There is no folder {folder}. Name the folder that holds your layers.py.")
    if not folder.is_dir():
        raise SubmissionError(f"{folder} is a file. Name the folder that holds your layers.py.")
    files: dict[str, bytes] = {}
    problems: list[str] = []
    by_folded: dict[str, str] = {}
    total = 0

    def unreadable(error: OSError) -> None:
        where = str(error.filename).removeprefix(f"{folder}{os.sep}")
        where = where if len(where) <= 200 else f"{where[:97]}...{where[-100:]}"
        problems.append(f"{where}: {error.strerror or error}")

    for entry in walk(folder, unreadable):
        relative = Path(entry.path).relative_to(folder).as_posix()
        if entry.name.startswith("."):
            continue
        if entry.is_symlink() or not entry.is_file():
            # a link that is none to a file may stand for the package
            if entry.name.endswith(".py") or (
                entry.is_symlink() and not entry.is_file() and "/" not in relative
            ):
                problems.append(f"{relative}: a link or special file, left out")
            continue
        if not entry.name.endswith(".py"):
            continue
        if len(files) >= MAX_FILES:
            problems.append(f"more than {MAX_FILES} Python files: the rest is left out")
            break
        if (other := by_folded.setdefault(folded(relative), relative)) != relative:
            problems.append(
                f"{relative}: its name differs from {other} only in case or Unicode form, left out"
            )
            continue
        try:
            size = entry.stat().st_size
            if size > MAX_FILE_BYTES or total + size > MAX_TOTAL_BYTES:
                problems.append(f"{relative}: {size:,} bytes is too large, left out")
                continue
            files[relative] = Path(entry.path).read_bytes()
            total += size
        except OSError as error:
            unreadable(error)
    if not files and problems:
        raise SubmissionError(f"Nothing in {folder} could be read: {problems[0]}.")
    found = locate_package(files, problems)
    return Submission(name, found, tuple(problems), str(folder))
