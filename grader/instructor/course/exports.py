"""What learning platforms give an instructor to download, as one submission for each student.

    a folder      a folder or archive for each student; or what one of the zips below unpacks to
    Moodle        "Anna Berg_1234_assignsubmission_file_/layers.py", or the same without the slash
    Canvas        "berganna_LATE_1234_5678_layers.py", or the same with student.zip
    Blackboard    "gradebook_ML1_aberg_attempt_2026-05-01-12-30-00_student.zip"
    Gradescope    "submission_1234/..." beside submission_metadata.yml

A zip is unpacked into a folder of the caller's: plain files within the caps of `grader.instructor.collect`,
under clean paths, no links. Who somebody is, is not decided here: `names` are what the platform calls them.
"""

import datetime
import os
import re
import shutil
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.assignment import MODULES
from grader.instructor.collect import MAX_ARCHIVE_BYTES, Handed, find_submissions, kind_of, safe_entries
from grader.instructor.course import CourseError
from grader.submission import SubmissionError

_CANVAS = re.compile(
    r"(?P<name>[^_]+)(?P<late>_LATE)?_(?P<user>\d+)_(?P<file>\d+)_(?P<rest>.+)", re.IGNORECASE
)
_MOODLE = re.compile(r"(?P<name>.+?)_(?P<user>\d+)_assignsubmission_(file|onlinetext)_?.*")
_MOODLE_FILE = re.compile(r"(?P<name>.+?)_(?P<user>\d+)_assignsubmission_file_(?P<rest>.+)")
_BLACKBOARD = re.compile(
    r".+?_(?P<user>[^_]+)_attempt_(?P<time>\d{4}(-\d\d){5})(_(?P<rest>.+))?", re.IGNORECASE
)
_AGAIN = re.compile(r"-\d+(?=\.\w+$)")  # Canvas: layers-1.py is the second layers.py handed in
_METADATA = "submission_metadata.yml"
_KEPT = (".py", ".ipynb")


@dataclass(frozen=True, slots=True)
class Found:
    """One student's submission in an export.

    names: what the platform calls the student, the most telling first. time: when it was handed in, UTC without a
    zone, None where nothing says so.
    """

    names: tuple[str, ...]
    handed: Handed
    time: datetime.datetime | None


def find_export(path: Path, scratch: Path) -> list[Found]:
    """The submissions in a folder or in a platform's zip. scratch: an empty folder for what is unpacked.

    Raises `CourseError` where there is none.
    """
    if not path.exists():
        raise CourseError(f"There is no {path}. Name the folder or the zip with the submissions.")
    folder = path
    if path.is_file():
        folder = scratch / "unpacked"
        _unpack(path, folder)
    inner = _only_folder(folder)
    if (metadata := inner / _METADATA).is_file():
        return list(_gradescope(inner, metadata))
    grouped = scratch / "grouped"
    found = [*_by_file_name(inner, grouped)]
    try:
        folders = find_submissions(inner)
    except SubmissionError as error:
        if found:
            return _merged(found)
        raise CourseError(str(error)) from None
    taken = {one.handed.path for one in found}
    return _merged([*found, *(_of_folder(handed) for handed in folders if not _grouped(handed, taken))])


def _grouped(handed: Handed, taken: set[Path]) -> bool:
    """Was the file taken already, for the name in its name?"""
    patterns = (_CANVAS, _BLACKBOARD, _MOODLE_FILE)
    of_a_platform = any(pattern.fullmatch(handed.path.name) for pattern in patterns)
    return handed.path in taken or (handed.kind != "folder" and of_a_platform)


def _merged(found: list[Found]) -> list[Found]:
    return sorted(found, key=lambda one: one.names)


def _only_folder(folder: Path) -> Path:
    """The folder itself, or the only one in it: zips often hold one folder around everything.

    A single student's own folder is no such one.
    """
    inside = [path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX"))]
    if len(inside) != 1 or not inside[0].is_dir():
        return folder
    names = {path.name for path in inside[0].iterdir()}
    if _METADATA in names:
        return inside[0]
    students = [path for path in inside[0].iterdir() if path.is_dir() or kind_of(path.name)[1]]
    own = names & {"student", *(f"{module}.py" for module in MODULES)}
    return inside[0] if len(students) > 1 and not own else folder


# -- zips ---------------------------------------------------------------------------------------------


def _unpack(path: Path, folder: Path) -> None:
    """Unpack what matters of a platform's zip: Python files, notebooks, inner archives, Gradescope's metadata."""
    folder.mkdir(parents=True)
    total = 0
    try:
        with zipfile.ZipFile(path) as archive:
            for name, info in safe_entries(archive):
                last = name.rpartition("/")[2]
                if not (last.endswith(_KEPT) or kind_of(last)[1] or last == _METADATA):
                    # an empty folder still says that somebody handed in something
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    continue
                kind = stat.S_IFMT(info.external_attr >> 16)
                if kind not in (0, stat.S_IFREG) or info.flag_bits & 1:
                    continue
                total += info.file_size
                if total > 10 * MAX_ARCHIVE_BYTES:
                    raise CourseError(
                        f"{path} unpacks to more than {total // 1_000_000_000} GB: unpack it yourself."
                    )
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(info) as source, target.open("wb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)
                _set_time(target, info)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise CourseError(f"{path} cannot be read ({error}): download it again.") from error
    except OSError as error:
        raise CourseError(
            f"{path} cannot be unpacked: {error.strerror or error} ({error.filename})."
        ) from error


def _set_time(target: Path, info: zipfile.ZipInfo) -> None:
    """A file's own time is the entry's, which platforms set to when it was handed in (local time)."""
    try:
        seconds = datetime.datetime(*info.date_time).timestamp()
        os.utime(target, (seconds, seconds))
    except (ValueError, OverflowError):
        pass


# -- platforms ----------------------------------------------------------------------------------------


def _by_file_name(folder: Path, grouped: Path) -> Iterator[Found]:
    """Canvas, Blackboard, and Moodle without folders: one flat folder, a student's name in each file's name."""
    by_student: dict[tuple[str, ...], list[tuple[str, Path]]] = {}
    times: dict[tuple[str, ...], datetime.datetime] = {}
    for path in sorted(path for path in folder.iterdir() if path.is_file() and not path.is_symlink()):
        if not (path.suffix in (*_KEPT, ".txt") or kind_of(path.name)[1]):
            continue
        if match := _BLACKBOARD.fullmatch(path.name):
            names: tuple[str, ...] = (match["user"],)
            time = datetime.datetime.strptime(match["time"], "%Y-%m-%d-%H-%M-%S")
            times[names] = max(times.get(names, datetime.datetime.min), _utc(time))
            by_student.setdefault(names, [])
            if match["rest"]:
                by_student[names].append((match["rest"], path))
        elif match := _MOODLE_FILE.fullmatch(path.name) or _CANVAS.fullmatch(path.name):
            names = (match["user"], match["name"])
            times[names] = max(times.get(names, datetime.datetime.min), _modified(path))
            by_student.setdefault(names, []).append((_AGAIN.sub("", match["rest"]), path))
    for number, (names, files) in enumerate(sorted(by_student.items())):
        archives = [path for name, path in files if kind_of(name)[1]]
        if archives and not any(name.endswith(".py") for name, _ in files):
            newest = max(archives, key=lambda path: path.stat().st_mtime)
            handed = Handed(names[-1], newest, kind_of(newest.name)[1] or "unknown")
        else:
            target = grouped / str(number)
            target.mkdir(parents=True)
            for name, path in sorted(files, key=lambda file: file[1].stat().st_mtime):
                shutil.copyfile(path, target / name)  # of two the newer one
            handed = Handed(names[-1], target, "folder")
        yield Found(names, handed, times[names])


def _of_folder(handed: Handed) -> Found:
    """A folder or an archive for a student; Moodle's tell a name and a number."""
    names: tuple[str, ...] = (handed.student,)
    if match := _MOODLE.fullmatch(handed.student):
        names = (match["user"], match["name"])
    inner = _inner(handed)
    return Found(names, inner, _newest(inner.path))


def _inner(handed: Handed) -> Handed:
    """The archive within a folder that holds nothing else to read."""
    if handed.kind != "folder":
        return handed
    files = [path for path in handed.path.rglob("*") if path.is_file() and not path.is_symlink()]
    archives = [path for path in files if kind_of(path.name)[1] and not path.name.startswith(".")]
    if not archives or any(path.suffix == ".py" for path in files):
        return handed
    newest = max(archives, key=lambda path: path.stat().st_mtime)
    return Handed(handed.student, newest, kind_of(newest.name)[1] or "unknown")


def _gradescope(folder: Path, metadata: Path) -> Iterator[Found]:
    """Gradescope's export: who handed in which folder, and when, is in a YAML file."""
    import yaml

    try:
        told: Any = yaml.safe_load(metadata.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise CourseError(f"{metadata} cannot be read ({type(error).__name__}): export again.") from error
    for name, about in sorted(told.items()) if isinstance(told, dict) else ():
        path = folder / str(name)
        if not isinstance(about, dict) or "/" in str(name) or not path.is_dir():
            continue
        time = about.get(":created_at")
        for person in about.get(":submitters") or [{}]:  # of a group each gets the work
            told_names = (person.get(key) for key in (":sid", ":email", ":name"))
            names = tuple(str(value) for value in told_names if value)
            handed = _inner(Handed(names[-1] if names else str(name), path, "folder"))
            yield Found(
                names or (str(name),), handed, _utc(time) if isinstance(time, datetime.datetime) else None
            )


# -- times --------------------------------------------------------------------------------------------


def _utc(time: datetime.datetime) -> datetime.datetime:
    """A time (of this machine's zone, where it names none) in UTC without a zone."""
    return time.astimezone(datetime.UTC).replace(tzinfo=None)


def _modified(path: Path) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(int(path.stat().st_mtime), datetime.UTC).replace(tzinfo=None)


def _newest(path: Path) -> datetime.datetime | None:
    """When the newest file was changed that was handed in."""
    files = (
        [path] if path.is_file() else [p for p in path.rglob("*") if p.suffix in _KEPT and not p.is_symlink()]
    )
    times = [_modified(file) for file in files if file.is_file()]
    return max(times, default=None)
