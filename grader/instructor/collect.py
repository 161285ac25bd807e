"""Finds a class's submissions in a folder and reads them: a folder, a zip or a tar.gz for each student.

An archive is hostile until it is read. Nothing of one is ever written to disk: its Python files are read
in memory within the caps of `grader.submission` and those below, whatever sizes it claims. What is
refused (paths that lead out, links, devices, encrypted entries, names that clash) is a sentence in the
submission's `problems`; an archive that cannot be read at all is a submission without files. One bad
submission never stops the others.
"""

import contextlib
import datetime
import gzip
import itertools
import os
import stat
import tarfile
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Literal

from grader.assignment import MODULES
from grader.instructor.course.layout import ASSIGNMENT, Course, collected, find_course
from grader.submission import (
    IGNORED,
    MAX_ENTRIES,
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_TOTAL_BYTES,
    Submission,
    SubmissionError,
    folded,
    locate_package,
    read_folder,
    walk,
)

MAX_ARCHIVE_BYTES = 500_000_000  # of a zip, which is read only where it holds Python files
MAX_UNPACKED_BYTES = 200_000_000  # of a tar.gz, which has to be unpacked from its start to its end
MAX_PROBLEMS = 20  # sentences about one submission
_MAX_HEADER_BYTES = 65_536  # of a tar's headers for long names
_MAX_PATH = 1_000  # characters

MAX_NOTEBOOKS = 20  # of a submission
MAX_NOTEBOOK_BYTES = 30_000_000

_Kind = Literal["folder", "zip", "tar", "unknown", "course", "files", "link"]
_SUBMITTED = "submitted"  # nbgrader's folder STUDENT/ASSIGNMENT, with a timestamp.txt of its own making
_SUFFIXES: dict[str, _Kind] = {
    ".zip": "zip",
    ".tar.gz": "tar",
    ".tgz": "tar",
    **dict.fromkeys((".tar.bz2", ".tbz", ".tar.xz", ".txz", ".tar.zst"), "unknown"),
    **dict.fromkeys((".rar", ".7z", ".tar", ".gz", ".bz2", ".xz", ".zst"), "unknown"),
}
_PLAIN_METHODS = (
    zipfile.ZIP_STORED,
    zipfile.ZIP_DEFLATED,
)  # the memory that others take is the archive's choice
_WITHOUT_DATA = (
    tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE
)  # fmt: skip
_ONLY_PACKAGE = "ask for one with nothing but the package student in it"


@dataclass(frozen=True, slots=True)
class Handed:
    """What one student handed in: where it is, not yet read.

    kind: "course" is a folder that `grade course collect` made, "files" are files beside each other whose names hold
    the student's. handed_in: when, ISO 8601 in UTC, "" where it is not known. notes: sentences for the student's row.
    parts: of "files", the names that they were handed in by and where they are; of two the last one counts.
    """

    student: str
    path: Path
    kind: _Kind
    handed_in: str = ""
    notes: tuple[str, ...] = ()
    parts: tuple[tuple[str, Path], ...] = ()


# -- finding ----------------------------------------------------------------------------------------


def find_submissions(folder: Path) -> list[Handed]:
    """The submissions in `folder`, sorted by the student's name; reads none of them.

    A student is called as the folder is, or as the archive without its suffix; of two that would be
    called the same (`anna/` and `anna.zip`), archives keep their whole name. Hidden and stray files are
    passed over, archives of a kind that is not read here are not. Raises `SubmissionError` where there
    is no such folder, nothing in it, or it may not be read.
    """
    try:
        with os.scandir(folder) as entries:
            found = [handed for entry in entries if (handed := _handed(entry))]
    except FileNotFoundError:
        raise SubmissionError(
            f"There is no folder {folder}. Name the one that holds a folder or a .zip for each student."
        ) from None
    except NotADirectoryError:
        raise SubmissionError(
            f"{folder} is a file. Name the folder that holds a folder or a .zip for each student."
        ) from None
    except PermissionError:
        raise SubmissionError(
            f"{folder} may not be read (permission denied). Give yourself the right to: chmod u+rx {folder}"
        ) from None
    if course := find_course(folder):
        return [Handed(student, course.submitted(student), "course") for student in _of_course(course)]
    if any((folder / f"{module}.py").exists() for module in MODULES):
        raise SubmissionError(
            f"{folder} is one student's submission. Name the folder above it, which holds one for each"
            f" student, or check this one alone: grade check --submission {folder}"
        )
    if not found:
        raise SubmissionError(
            f"There is no submission in {folder}. It should hold a folder, a .zip or a .tar.gz for each student."
        )
    if folder.resolve().name == _SUBMITTED:
        found = [_of_nbgrader(handed) for handed in found]
    return sorted(_told_apart(found), key=lambda handed: handed.student)


def _of_nbgrader(handed: Handed) -> Handed:
    """The assignment's folder in a student's, and when it was handed in; the folder itself where there is none."""
    if handed.kind != "folder":
        return handed

    def like_ours(folder: Path) -> tuple[bool, int]:
        modules = [f"{module}.py" for module in MODULES]
        held = [(folder / inner / name).is_file() for inner in ("", "student") for name in modules]
        return folder.name == ASSIGNMENT, sum(held)

    with os.scandir(handed.path) as entries:
        inside = [Path(e.path) for e in entries if e.is_dir(follow_symlinks=False) and e.name[:1] != "."]
    if not inside or any((handed.path / f"{module}.py").is_file() for module in MODULES):
        return handed
    chosen = max(sorted(inside), key=like_ours)
    return replace(handed, path=chosen, handed_in=read_timestamp(chosen))


def read_timestamp(folder: Path) -> str:
    """When nbgrader took in what is in `folder`, by its timestamp.txt: ISO 8601 in UTC, "" where it does not say."""
    try:
        with (folder / "timestamp.txt").open("rb") as file:
            text = file.read(200).decode().strip()
    except (OSError, UnicodeDecodeError):
        return ""
    zone = "+00:00" if text.endswith(("UTC", "Z")) else ""
    try:
        return utc(datetime.datetime.fromisoformat(text.removesuffix("UTC").removesuffix("Z").strip() + zone))
    except (ValueError, OverflowError):
        return ""


def utc(time: datetime.datetime) -> str:
    """A time as records have it: ISO 8601 in UTC, to the second. One without a zone is taken for UTC."""
    time = time.replace(tzinfo=datetime.UTC) if time.tzinfo is None else time.astimezone(datetime.UTC)
    return time.replace(microsecond=0).isoformat()


def _of_course(course: Course) -> list[str]:
    students = course.students()
    if not students:
        raise SubmissionError(
            f"There is no submission in {course.root / 'submitted'}. Fill it:"
            f" grade course collect {course.root} SUBMISSIONS"
        )
    return students


def _handed(entry: os.DirEntry[str]) -> Handed | None:
    if entry.name.startswith(".") or entry.name in IGNORED:
        return None
    stem, kind = kind_of(entry.name)
    if entry.is_dir() and not (kind and entry.is_symlink()):
        stem, kind = entry.name, "folder"
    if kind is None or not stem:
        return None
    if entry.is_symlink() or not (entry.is_dir() or entry.is_file()):
        kind = "link"
    return Handed(printable(stem), Path(entry.path), kind)


def kind_of(name: str) -> tuple[str, _Kind | None]:
    """The name without an archive's suffix, and the archive's kind; None where it is no archive."""
    for suffix, kind in _SUFFIXES.items():
        if name.lower().endswith(suffix):
            return name[: -len(suffix)], kind
    return name, None


def _told_apart(found: list[Handed]) -> Iterator[Handed]:
    readable = {folded(handed.student) for handed in found if handed.kind != "unknown"}
    # `anna.rar` beside the folder that it was unpacked into is no second submission
    kept = [h for h in found if h.kind != "unknown" or folded(h.student) not in readable]
    times = Counter(folded(handed.student) for handed in kept)
    for handed in kept:
        alone = handed.path.is_dir() or times[folded(handed.student)] == 1
        yield handed if alone else replace(handed, student=printable(handed.path.name))


def printable(name: str) -> str:
    r"""A name from the file system as text that can be encoded: bytes that are not UTF-8 as `\xe9`."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


# -- reading ----------------------------------------------------------------------------------------


def read(handed: Handed) -> Submission:
    """The submission as bytes. Never raises for what was handed in: `problems` says what is wrong with it."""
    handed_in = handed.handed_in
    files: Mapping[str, bytes]
    match handed.kind:
        case "folder":
            files, problems = _read_folder(handed.path)
        case "course":
            files, problems = _read_folder(handed.path)
            problems = [*collected(handed.path)["files"], *problems]
            handed_in = handed_in or read_timestamp(handed.path)
        case "files":
            found = Sieve()
            _read_parts(handed, found)
            files, problems = locate_package(found.files, found.problems), found.problems
        case "link":
            files, problems = {}, [f"{handed.path.name} is a link or special file: put a copy in its place"]
        case _:
            files, problems = _read_archive(handed.path, handed.kind)
    if not files and not problems:
        problems = ["there is no Python file in it"]
    if len(problems) > MAX_PROBLEMS:
        problems = [*problems[:MAX_PROBLEMS], f"and {len(problems) - MAX_PROBLEMS} more such problems"]
    said = tuple(map(printable, [*problems, *handed.notes]))
    return Submission(handed.student, files, said, printable(str(handed.path)), handed_in)


def _read_folder(folder: Path) -> tuple[Mapping[str, bytes], list[str]]:
    try:
        submission = read_folder(folder)
    except (SubmissionError, OSError) as error:
        return {}, [str(error)]
    return submission.files, list(submission.problems)


def _read_parts(handed: Handed, found: "Sieve") -> None:
    for part_name, path in handed.parts:
        if not (name := found.path(part_name)):
            continue
        if path.is_symlink() or not path.is_file():
            found.refuse(name, "a link or special file")
        elif name.endswith(found.suffix):
            try:
                found.add(name, path.stat().st_size, path.read_bytes)
            except _Refused as refusal:
                found.problems.append(f"what was handed in {refusal}")
                return
            except OSError as error:
                found.refuse(name, error.strerror or str(error))
        elif found.suffix == ".py" and kind_of(name)[1]:
            found.refuse(name, "an archive beside Python files")


def read_notebooks(handed: Handed) -> tuple[Mapping[str, bytes], list[str]]:
    """The `.ipynb` files of a submission by their paths, and what was refused; never raises for what they are."""
    found = Sieve(".ipynb", MAX_NOTEBOOKS, MAX_NOTEBOOK_BYTES, 2 * MAX_NOTEBOOK_BYTES)
    match handed.kind:
        case "folder" | "course":
            for entry in walk(handed.path):
                path = Path(entry.path)
                if not entry.name.endswith(".ipynb") or not entry.is_file(follow_symlinks=False):
                    continue
                name = found.path(path.relative_to(handed.path).as_posix())
                if name and len(found.files) < MAX_NOTEBOOKS:
                    with contextlib.suppress(OSError):
                        found.add(name, entry.stat().st_size, path.read_bytes)
        case "files":
            _read_parts(handed, found)
        case "zip" | "tar":
            _open_archive(handed.path, handed.kind, found)
    return found.files, found.problems


def _read_archive(path: Path, kind: _Kind) -> tuple[Mapping[str, bytes], list[str]]:
    found = Sieve()
    _open_archive(path, kind, found)
    return locate_package(found.files, found.problems), found.problems


def _open_archive(path: Path, kind: _Kind, found: "Sieve") -> None:
    """Fill `found`; what goes wrong is a sentence in its problems."""
    try:
        _READERS[kind](path, found)
    except _Refused as refusal:
        found.problems.append(f"{path.name} {refusal}")
    except Exception as error:  # the libraries raise whatever they trip over in bytes that lie
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        found.problems.append(
            f"{path.name} cannot be read ({_short(reason) or type(error).__name__}): ask for it again, as a .zip"
        )


class _Refused(Exception):
    """Why an archive, or the rest of it, is not read; the text goes on after the archive's name."""


class Sieve:
    """The files of one suffix in an archive as they are met, and what was refused."""

    def __init__(
        self,
        suffix: str = ".py",
        max_files: int = MAX_FILES,
        max_bytes: int = MAX_FILE_BYTES,
        max_total: int = MAX_TOTAL_BYTES,
    ) -> None:
        self.suffix = suffix
        self._max_files, self._max_bytes, self._max_total = max_files, max_bytes, max_total
        self.files: dict[str, bytes] = {}
        self.problems: list[str] = []
        self._total = 0
        self._by_folded: dict[str, str] = {}

    def refuse(self, name: str, why: str) -> None:
        self.problems.append(f"{_short(name)}: {why}, left out")

    def path(self, name: str) -> str:
        """The clean path of the entry `name`, "" for one that is passed over or refused."""
        name = unicodedata.normalize("NFC", name.replace("\\", "/"))  # some Windows programs write \
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if name.startswith("/") or name[1:2] == ":" or ".." in parts:
            self.refuse(name, "its path leads out of the archive")
            return ""
        if len(name) > _MAX_PATH:
            self.refuse(name, "its path is too long")
            return ""
        if not parts or any(part.startswith(".") or part in IGNORED for part in parts):
            return ""
        return "/".join(parts)

    def add(self, path: str, size: int, data: Callable[[], bytes]) -> None:
        """Keep a file within the caps. `data` is called only where the claimed `size` fits."""
        if len(self.files) >= self._max_files:
            kind = "Python files" if self.suffix == ".py" else "notebooks"
            raise _Refused(f"holds more than {self._max_files} {kind}: the rest is left out")
        other = self._by_folded.setdefault(folded(path), path)
        if other != path:
            self.refuse(path, f"its name differs from {_short(other)} only in case or Unicode form")
            return
        if size > self._max_bytes or self._total + size > self._max_total:
            self.refuse(path, f"{size:,} bytes is too large")
            return
        content = data()
        if path in self.files:
            self.problems.append(f"{_short(path)}: more than once in the archive, the last one counts")
        self.files[path] = content
        self._total += size


def _short(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:97]}..."


def _read_zip(path: Path, found: Sieve) -> None:
    with path.open("rb") as file:
        _count_entries(file)
        with zipfile.ZipFile(file) as archive:
            entries = [(found.path(info.filename), info) for info in archive.infolist()]
            # shallow ones first: the package before a forgotten virtual environment. Of names that differ
            # in case only, lower case first: layers.py is the one that Python imports
            for name, info in sorted(entries, key=lambda entry: (entry[0].count("/"), entry[0].swapcase())):
                if not name or info.is_dir():
                    continue
                kind = stat.S_IFMT(info.external_attr >> 16)
                if kind not in (0, stat.S_IFREG):
                    found.refuse(name, "a link or special file")
                elif not name.endswith(found.suffix):
                    _note_nested(name, found)
                elif info.flag_bits & 1:
                    found.refuse(name, "it is encrypted (ask for an archive without a password)")
                elif info.compress_type not in _PLAIN_METHODS:
                    found.refuse(
                        name, "it is compressed in a way that is not read here (ask for a plain .zip)"
                    )
                else:
                    _add_entry(found, name, archive, info)


def _add_entry(found: Sieve, name: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    def data() -> bytes:
        with archive.open(info) as stream:
            return stream.read(info.file_size + 1)

    try:
        found.add(name, info.file_size, data)
    except _Refused:
        raise
    except Exception as error:  # as above: this entry is broken, the next may be whole
        found.refuse(name, f"it cannot be read ({_short(str(error)) or type(error).__name__})")


def _count_entries(file: IO[bytes]) -> None:
    """Refuse a zip whose directory alone would take much memory, before `zipfile` reads it."""
    if os.fstat(file.fileno()).st_size > MAX_ARCHIVE_BYTES:
        raise _Refused(f"is larger than {MAX_ARCHIVE_BYTES // 1_000_000} MB: {_ONLY_PACKAGE}")
    entries, before = 0, b""
    while chunk := file.read(1 << 20):
        entries += (before + chunk).count(b"PK\1\2")  # each entry of the directory starts so
        before = chunk[-3:]
    if entries > MAX_ENTRIES:
        raise _Refused(f"has more than {MAX_ENTRIES:,} entries: {_ONLY_PACKAGE}")


def _note_nested(name: str, found: Sieve) -> None:
    if kind_of(name)[1]:
        found.refuse(name, "an archive inside the archive")


def _read_tar(path: Path, found: Sieve) -> None:
    """A tar.gz, header by header: `tarfile` itself trusts sizes, and loops for some hostile headers."""
    with gzip.open(path) as stream:
        tar = _Stream(stream)
        long_name = ""
        for count in itertools.count(1):
            block = tar.read(tarfile.BLOCKSIZE, at_end=True)
            if not block.strip(b"\0"):
                return
            if count > MAX_ENTRIES:
                raise _Refused(f"has more than {MAX_ENTRIES:,} entries: {_ONLY_PACKAGE}")
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            if info.size < 0:
                raise _Refused("is broken (a negative size): ask for it again, as a .zip")
            padded = -(-info.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
            if info.type in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE):
                if info.size > _MAX_HEADER_BYTES:
                    raise _Refused(
                        f"is broken (a header of {info.size:,} bytes): ask for it again, as a .zip"
                    )
                header = tar.read(padded)[: info.size]
                long_name = _pax_path(header) if info.type == tarfile.XHDTYPE else _c_string(header)
                continue
            if info.type in (tarfile.XGLTYPE, tarfile.GNUTYPE_LONGLINK):
                tar.skip(padded)
                continue
            name, long_name = found.path(long_name or info.name), ""
            if info.type in (tarfile.REGTYPE, tarfile.AREGTYPE):
                if name.endswith(found.suffix):
                    _add_member(found, name, tar, info.size, padded)
                    continue
                if name:
                    _note_nested(name, found)
            elif name and info.type != tarfile.DIRTYPE:
                found.refuse(name, "a link or special file")
            if info.type not in _WITHOUT_DATA:
                tar.skip(padded)


def _add_member(found: Sieve, name: str, tar: "_Stream", size: int, padded: int) -> None:
    read_to = tar.position + padded
    found.add(name, size, lambda: tar.read(size))
    tar.skip(read_to - tar.position)


def _c_string(data: bytes) -> str:
    return data.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _pax_path(header: bytes) -> str:
    """The `path` among the records `length key=value\\n` of an extended header, "" for none."""
    path, position = "", 0
    while header[position : position + 1].strip(b"\0"):
        space = header.index(b" ", position, position + 10)
        end = position + int(header[position:space])
        if not space < end <= len(header):
            raise ValueError("a broken header")
        key, _, value = header[space + 1 : end - 1].partition(b"=")
        if key == b"path":
            path = value.decode("utf-8", "surrogateescape")
        position = end
    return path


class _Stream:
    """A compressed stream read forward, up to `MAX_UNPACKED_BYTES`."""

    def __init__(self, stream: gzip.GzipFile):
        self.position = 0
        self._stream = stream

    def read(self, size: int, at_end: bool = False) -> bytes:
        """Exactly `size` bytes; with `at_end`, none where the stream is at its end."""
        if self.position + size > MAX_UNPACKED_BYTES:
            raise _Refused(
                f"unpacks to more than {MAX_UNPACKED_BYTES // 1_000_000} MB, the rest is left out: {_ONLY_PACKAGE}"
            )
        data = self._stream.read(size)
        if len(data) < size and (data or not at_end):
            raise EOFError("it is cut short")
        self.position += len(data)
        return data

    def skip(self, size: int) -> None:
        while size > 0:
            size -= len(self.read(min(size, 1 << 16)))


def _read_unknown(path: Path, found: Sieve) -> None:
    raise _Refused(
        f"is an archive of a kind that is not read here: unpack it into a folder {kind_of(path.name)[0]}"
        " beside it, or ask for a .zip"
    )


_READERS: dict[_Kind, Callable[[Path, Sieve], None]] = {
    "zip": _read_zip,
    "tar": _read_tar,
    "unknown": _read_unknown,
}
