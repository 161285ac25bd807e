"""A submission as plain data: the Python files of one student's package, as bytes.

Reading a submission never runs, imports or parses what is in it.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from grader.assignment import MODULES

MAX_FILES = 200
MAX_FILE_BYTES = 2_000_000
MAX_TOTAL_BYTES = 10_000_000


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
        for problem in self.problems:
            whole.update(problem.encode("utf-8", "surrogateescape"))
        object.__setattr__(self, "digest", whole.hexdigest())


def locate_package(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of the package `student` among `files` (posix paths), with paths relative to it.

    The package is the folder that holds the most of the graded modules; of equals, the one named
    `student`, then the least deep. With none of them, every path stays as it is.
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
    inside = {}
    for name, data in files.items():
        path = PurePosixPath(name)
        if path.is_relative_to(root):
            inside[str(path.relative_to(root))] = data
    return inside


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
    total = 0

    def unreadable(error: OSError) -> None:
        problems.append(f"{error.filename}: {error.strerror or error}")

    for where_text, folders, names in os.walk(folder, onerror=unreadable):
        where = Path(where_text)
        folders[:] = sorted(
            f for f in folders if not f.startswith(".") and f not in ("__pycache__", "node_modules")
        )
        for file_name in sorted(names):
            path = where / file_name
            relative = path.relative_to(folder).as_posix()
            if not file_name.endswith(".py") or file_name.startswith("."):
                continue
            if path.is_symlink() or not path.is_file():
                problems.append(f"{relative}: a link or special file, left out")
                continue
            if len(files) >= MAX_FILES:
                problems.append(f"more than {MAX_FILES} Python files: the rest is left out")
                return Submission(name, locate_package(files), tuple(problems), str(folder))
            try:
                size = path.stat().st_size
                if size > MAX_FILE_BYTES or total + size > MAX_TOTAL_BYTES:
                    problems.append(f"{relative}: {size:,} bytes is too large, left out")
                    continue
                files[relative] = path.read_bytes()
                total += size
            except OSError as error:
                unreadable(error)
    if not files and problems:
        raise SubmissionError(f"Nothing in {folder} could be read: {problems[0]}.")
    return Submission(name, locate_package(files), tuple(problems), str(folder))
