"""What learning platforms give an instructor to download, as one submission for each student.

    a folder      a folder or archive for each student; or what one of the zips below unpacks to
    Moodle        "Anna Berg_1234_assignsubmission_file_/layers.py", or the same without the slash
    Canvas        "berganna_LATE_1234_5678_layers.py", or the same with student.zip
    Blackboard    "gradebook_ML1_aberg_attempt_2026-05-01-12-30-00_student.zip"
    Gradescope    "submission_1234/..." beside submission_metadata.yml
    nbgrader      "submitted/aberg/lenet5/..." with a timestamp.txt

A zip is unpacked into a folder of the caller's: plain files within the caps of `grader.instructor.collect`,
under clean paths, no links; what is refused is a sentence with the student whose it is. Who somebody is, is not
decided here: `names` are what the platform calls them.

When something was handed in, only some of them say: Gradescope, Blackboard and nbgrader. The times in Canvas's and
Moodle's zips are those of the download (`lib/content_zipper.rb`; `zip_writer.php`), and those in a student's own
archive are the student's.
"""

import contextlib
import datetime
import errno
import os
import re
import shutil
import stat
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from grader.assignment import MODULES
from grader.instructor.collect import (
    MAX_ARCHIVE_BYTES,
    MAX_NOTEBOOK_BYTES,
    Handed,
    Sieve,
    find_submissions,
    kind_of,
    printable,
    utc,
)
from grader.instructor.roster import Roster
from grader.submission import MAX_ENTRIES, MAX_FILE_BYTES, SubmissionError, folded, walk

_CANVAS = re.compile(
    r"(?P<name>.+?)(_LATE)?_(?P<user>\d+)_(?P<file>\d+)_(?P<rest>.+)", re.IGNORECASE | re.DOTALL
)
_CANVAS_ANONYMOUS = re.compile(r"(LATE_)?anon_(?P<user>\w+?)_(?P<file>\d+)_(?P<rest>.+)", re.DOTALL)
_MOODLE = re.compile(r"(?P<name>.+?)_(?P<user>\d+)_assignsubmission_(file|onlinetext)_?.*", re.DOTALL)
_ONLINE_TEXT = re.compile(r"_\d+_assignsubmission_onlinetext_?")
_MOODLE_FILE = re.compile(r"(?P<name>.+?)_(?P<user>\d+)_assignsubmission_file_(?P<rest>.+)", re.DOTALL)
_BLACKBOARD = re.compile(
    r".+?_(?P<user>[^_]+)_attempt_(?P<time>\d{4}(-\d\d){5})(_(?P<rest>.+)|\.txt)?", re.IGNORECASE | re.DOTALL
)
_AGAIN = re.compile(r"-\d+(?=\.\w+$)")  # Canvas: layers-1.py is the second layers.py handed in
_METADATA = "submission_metadata.yml"
_KEPT = (".py", ".ipynb")
_LARGEST = {".py": MAX_FILE_BYTES, ".ipynb": MAX_NOTEBOOK_BYTES}
_NOT_TO_BE_NAMED = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.EINVAL, errno.EILSEQ)


@dataclass(frozen=True, slots=True)
class Found:
    """One student's submission in an export.

    names: what the platform calls the student, the most telling first, the most readable last. time: by which the
    latest of several is found, UTC without a zone: when it was handed in, or else when its newest file was changed;
    None where nothing is known. Of these `handed.handed_in` has only the first.
    """

    names: tuple[str, ...]
    handed: Handed
    time: datetime.datetime | None


@dataclass(slots=True)
class _Unpacked:
    """Where submissions are, and what was refused on the way there: paths below `folder`, with sentences."""

    folder: Path
    refused: list[tuple[str, str]] = field(default_factory=list)

    def notes(self, top: str) -> tuple[str, ...]:
        """The sentences on what lies in the folder `top`, or is the file of this name."""
        return tuple(f"{_short(path)}: {why}" for path, why in self.refused if path.partition("/")[0] == top)

    @property
    def refused_names(self) -> list[str]:
        return sorted({path for path, _ in self.refused if "/" not in path})


def _short(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:97]}..."


def find_export(path: Path, scratch: Path) -> list[Found]:
    """The submissions in a folder or in a platform's zip, by names. scratch: where zips are unpacked.

    Raises `SubmissionError` where there is none.
    """
    source = _Unpacked(path)
    if path.is_file():
        source = _unpack(path, scratch)
    try:
        inner = _only_folder(source.folder, of_a_zip=path.is_file())
    except OSError:  # what may not be read is no class
        inner = source.folder
    if inner != source.folder:
        top = f"{inner.name}/"
        below = [(p.removeprefix(top), why) for p, why in source.refused if p.startswith(top)]
        source = _Unpacked(inner, below)
    if (metadata := source.folder / _METADATA).is_file():
        return list(_gradescope(source, metadata))
    found = [*_by_file_name(source)] if source.folder.is_dir() else []
    try:
        folders = find_submissions(source.folder)
    except SubmissionError as error:
        if not found:
            raise SubmissionError(_about(str(error), source.folder, path)) from None
        folders = []
    found += [_of_folder(handed, source) for handed in folders if not _in_file_names(handed)]
    with_files = {one.names for one in found if not _ONLINE_TEXT.search(one.handed.path.name)}
    # Moodle: a text that was typed in, beside files
    found = [
        one for one in found if one.names not in with_files or not _ONLINE_TEXT.search(one.handed.path.name)
    ]
    return sorted(found, key=lambda one: (one.names, str(one.handed.path)))


def _about(message: str, folder: Path, path: Path) -> str:
    """A message with what the user named in it, in the place of where that was unpacked to."""
    return message.replace(str(folder), str(path)) if path.is_file() else message


def _in_file_names(handed: Handed) -> bool:
    """Was it taken already, for the student's name in its own?"""
    if handed.kind in ("folder", "course") or handed.path.is_dir():
        return False
    return _names_in(handed.path.name)


def _names_in(name: str) -> bool:
    """Is a student's name in this name of a file, as platforms put it there?"""
    patterns = (_CANVAS, _CANVAS_ANONYMOUS, _BLACKBOARD, _MOODLE_FILE)
    return any(pattern.fullmatch(name) for pattern in patterns)


def _only_folder(folder: Path, of_a_zip: bool) -> Path:
    """The folder itself, or the only one in it that is a class: zips often hold one folder around everything.

    A single student's own folder is no such one.
    """
    if not folder.is_dir():
        return folder
    inside = [path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX"))]
    if len(inside) != 1 or not inside[0].is_dir() or inside[0].is_symlink():
        return folder
    names = {path.name for path in inside[0].iterdir()}
    if _METADATA in names or inside[0].name == "submitted":
        return inside[0]
    students = [path for path in inside[0].iterdir() if of_a_zip and (path.is_dir() or kind_of(path.name)[1])]
    own = names & {"student", *(f"{module}.py" for module in MODULES)}
    named = any(pattern.fullmatch(name) for pattern in (_CANVAS, _MOODLE, _BLACKBOARD) for name in names)
    return inside[0] if (len(students) > 1 or named) and not own else folder


# -- zips ---------------------------------------------------------------------------------------------


def _unpack(path: Path, scratch: Path) -> _Unpacked:
    """Unpack what matters of a platform's zip: Python files, notebooks, inner archives, what says who and when."""
    unpacked = _Unpacked(scratch)
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path) as archive:
            if len(archive.infolist()) > 10 * MAX_ENTRIES:
                raise SubmissionError(
                    f"{path} has more than {10 * MAX_ENTRIES:,} entries: unpack it yourself, and name the folder."
                )
            _unpack_all(archive, path, unpacked)
    except SubmissionError:
        raise
    except OSError as error:
        raise SubmissionError(
            f"{path} cannot be unpacked: {error.strerror or error} ({error.filename or path})."
        ) from error
    except Exception as error:  # the library raises whatever it trips over in bytes that lie
        raise SubmissionError(
            f"{path} cannot be read ({_short(str(error)) or type(error).__name__}): download it again."
        ) from error
    return unpacked


def _unpack_all(archive: zipfile.ZipFile, path: Path, unpacked: _Unpacked) -> None:
    sieve = Sieve()  # for its clean paths
    tops: dict[str, str] = {}
    held: Counter[str] = Counter()
    total = 0
    for info in archive.infolist():
        refused = len(sieve.problems)
        name = sieve.path(info.filename)
        if len(sieve.problems) > refused:
            within = [part for part in info.filename.replace("\\", "/").split("/") if part not in ("", ".")]
            unpacked.refused.append(
                ("/".join(within), "its path leads out of the archive or is too long, left out")
            )
            continue
        if not name or info.is_dir():
            continue
        last, raw = name.rpartition("/")[2], info.filename.replace("\\", "/").partition("/")[0]
        if tops.setdefault(name.partition("/")[0], raw) != raw:  # another student's, perhaps
            unpacked.refused.append(
                (name, "its folder's name differs from another's only in Unicode form, left out")
            )
            continue
        target = unpacked.folder / name
        kept = bool(last.endswith(_KEPT) or kind_of(last)[1] or last in (_METADATA, "timestamp.txt"))
        why = _why_not(info, last, held, name) if kept else ""
        if why:
            unpacked.refused.append((name, f"{why}, left out"))
            kept = False
        total += info.file_size if kept else 0
        if total > 10 * MAX_ARCHIVE_BYTES:
            raise SubmissionError(
                f"{path} unpacks to more than {total // 1_000_000_000} GB: unpack it yourself, and name the folder."
            )
        try:
            # an empty folder still says that somebody handed in something
            target.parent.mkdir(parents=True, exist_ok=True)
            if kept:
                with archive.open(info) as source, target.open("wb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)
                _set_time(target, info)
            elif not why and "/" not in name and _names_in(name):
                target.touch()  # as this does, of whatever kind the file is
        except OSError as error:
            if error.errno not in _NOT_TO_BE_NAMED:
                raise
            unpacked.refused.append((name, f"it cannot be unpacked ({error.strerror}), left out"))
        except Exception as error:  # the library raises whatever it trips over in bytes that lie
            with contextlib.suppress(OSError):
                target.unlink()
            why = _short(str(error)) or type(error).__name__
            unpacked.refused.append((name, f"it cannot be read ({why}), left out"))


def _why_not(info: zipfile.ZipInfo, last: str, held: Counter[str], name: str) -> str:
    """Why an entry is not unpacked, "" where it is."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "a link or special file"
    if info.flag_bits & 1:
        return "it is encrypted (ask for an archive without a password)"
    if info.file_size > _LARGEST.get(os.path.splitext(last)[1], MAX_ARCHIVE_BYTES):
        return f"{info.file_size:,} bytes is too large"
    top = name.partition("/")[0]
    held[top] += 1
    return f"one of more than {_MAX_OF_ONE:,} files in this folder" if held[top] > _MAX_OF_ONE else ""


_MAX_OF_ONE = 2_000  # files of one student: a package has some ten


def _set_time(target: Path, info: zipfile.ZipInfo) -> None:
    """A file's own time is the entry's, taken for local time: of two, the newer one counts."""
    try:
        seconds = datetime.datetime(*info.date_time).timestamp()
        os.utime(target, (seconds, seconds))
    except (ValueError, OverflowError):
        pass


# -- platforms ----------------------------------------------------------------------------------------


def _by_file_name(source: _Unpacked) -> Iterator[Found]:
    """Canvas, Blackboard, and Moodle without folders: one flat folder, a student's name in each file's name."""
    by_student: dict[tuple[str, ...], list[tuple[int, str, Path]]] = {}
    times: dict[tuple[str, ...], datetime.datetime] = {}  # where the names say so
    notes: dict[tuple[str, ...], list[str]] = {}
    with os.scandir(source.folder) as entries:
        names = [entry.name for entry in entries if not entry.is_dir(follow_symlinks=False)]
    for name in sorted({*names, *source.refused_names}):
        path = source.folder / name
        file_id, rest = 0, ""
        if match := _BLACKBOARD.fullmatch(name):
            key: tuple[str, ...] = (match["user"], match["time"])  # each attempt is a submission of its own
            try:
                time = datetime.datetime.strptime(match["time"], "%Y-%m-%d-%H-%M-%S")
                times[key] = time.astimezone(datetime.UTC).replace(tzinfo=None)
            except (ValueError, OverflowError):
                continue
            rest = match["rest"] or ""
        elif match := _MOODLE_FILE.fullmatch(name):
            key, rest = (match["user"], match["name"]), match["rest"]
        elif match := _CANVAS_ANONYMOUS.fullmatch(name):
            key, rest, file_id = (match["user"],), _AGAIN.sub("", match["rest"]), int(match["file"])
        elif match := _CANVAS.fullmatch(name):
            key = (match["user"], match["name"])
            rest, file_id = _AGAIN.sub("", match["rest"]), int(match["file"])
        else:
            continue
        files = by_student.setdefault(key, [])
        notes.setdefault(key, [])
        if name in names and rest:
            files.append((file_id, rest, path))
        notes[key] += source.notes(name)
    for key, files in sorted(by_student.items()):
        who = key[:1] if key in times else key
        # of two of one name the newer one counts: the one of the larger number, or that was changed later
        files.sort(key=lambda file: (file[0], file[2].lstat().st_mtime, file[1]))
        said = tuple(map(printable, notes[key]))
        archives = [path for _, name, path in files if kind_of(name)[1] and not path.is_symlink()]
        newest = max((_changed(path) for _, _, path in files), default=None)
        handed = Handed(
            printable(who[-1]),
            files[0][2] if files else source.folder / printable(who[-1]),
            "files",
            utc(times[key]) if key in times else "",
            said,
            tuple((name, path) for _, name, path in files),
        )
        if archives and not any(name.endswith(".py") for _, name, _ in files):
            more = (f"{len(archives)} archives: the newest one counts",) if len(archives) > 1 else ()
            kind = kind_of(archives[-1].name)[1] or "unknown"
            handed = replace(handed, path=archives[-1], kind=kind, notes=(*more, *said), parts=())
        yield Found(tuple(map(printable, who)), handed, times.get(key, newest))


def _of_folder(handed: Handed, source: _Unpacked) -> Found:
    """A folder or an archive for a student; Moodle's tell a name and a number."""
    top = handed.path.relative_to(source.folder).parts[0] if handed.kind != "course" else ""
    # of two archives of one name each has its whole name, which no roster knows
    names: tuple[str, ...] = (handed.student, printable(kind_of(handed.path.name)[0]), handed.student)
    if match := _MOODLE.fullmatch(handed.student):
        names = (match["user"], match["name"])
    elif handed.path.is_dir():
        names = (handed.student,)
    inner = replace(_inner(handed), notes=(*handed.notes, *map(printable, source.notes(top))))
    if inner.handed_in:
        return Found(names, inner, datetime.datetime.fromisoformat(inner.handed_in).replace(tzinfo=None))
    return Found(names, inner, _newest(inner.path))


def _inner(handed: Handed) -> Handed:
    """The archive within a folder that holds nothing else to read."""
    if handed.kind != "folder":
        return handed
    files = [Path(entry.path) for entry in walk(handed.path) if entry.is_file(follow_symlinks=False)]
    archives = [path for path in files if kind_of(path.name)[1] and not path.name.startswith(".")]
    if not archives or any(path.suffix == ".py" for path in files):
        return handed
    newest = max(archives, key=lambda path: (path.stat().st_mtime, path.name))
    return replace(handed, path=newest, kind=kind_of(newest.name)[1] or "unknown")


def _gradescope(source: _Unpacked, metadata: Path) -> Iterator[Found]:
    """Gradescope's export: who handed in which folder, and when, is in a YAML file."""
    import yaml

    try:
        told: Any = yaml.safe_load(metadata.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise SubmissionError(
            f"{metadata.name} cannot be read ({type(error).__name__}): export again."
        ) from error
    for name, about in (
        sorted((str(name), about) for name, about in told.items()) if isinstance(told, dict) else ()
    ):
        path = source.folder / name
        if not isinstance(about, dict) or "/" in name or name in ("", ".", "..") or not path.is_dir():
            continue
        time = about.get(":created_at")
        handed_in = utc(time) if isinstance(time, datetime.datetime) else ""
        handed = _inner(Handed(name, path, "folder", handed_in, tuple(map(printable, source.notes(name)))))
        submitters = about.get(":submitters")
        for person in (
            submitters if isinstance(submitters, list) and submitters else [{}]
        ):  # of a group each gets it
            told_names = (
                [person.get(key) for key in (":sid", ":email", ":name")] if isinstance(person, dict) else []
            )
            names = tuple(str(value) for value in told_names if value) or (name,)
            when = datetime.datetime.fromisoformat(handed_in).replace(tzinfo=None) if handed_in else None
            yield Found(names, replace(handed, student=names[-1]), when)


# -- times --------------------------------------------------------------------------------------------


def _changed(path: Path) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(int(path.lstat().st_mtime), datetime.UTC).replace(tzinfo=None)


def _newest(path: Path) -> datetime.datetime | None:
    """When the newest file was changed that was handed in."""
    if not path.is_dir():
        return _changed(path)
    files = (entry for entry in walk(path) if entry.name.endswith(_KEPT) and not entry.is_symlink())
    return max((_changed(Path(entry.path)) for entry in files), default=None)


# -- whose it is --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Assigned:
    """One submission for each student, by what the student is called; and the earlier ones, which do not count."""

    chosen: dict[str, Found]
    earlier: dict[str, list[Found]]
    unknown: tuple[
        str, ...
    ]  # of these, who is on no line of the roster or on two: called as the platform does


def assign(found: Sequence[Found], roster: Roster) -> Assigned:
    """The latest submission of each student.

    A student is called by the roster's id; who is not on it, and everybody where it is empty, as the platform
    calls them, with what tells them apart where two are called the same.
    """
    by_student: dict[str, list[Found]] = {}
    strangers: dict[str, list[Found]] = {}
    for one in found:
        if roster.people and (student := roster.find(one.names)) is not None:
            by_student.setdefault(student, []).append(one)
        else:
            strangers.setdefault(one.names[0], []).append(one)
    called = Counter(folded(of_one[0].names[-1]) for of_one in strangers.values())
    called.update(map(folded, by_student))
    unknown = []
    for telling, of_one in sorted(strangers.items()):
        student = of_one[0].names[-1]
        if called[folded(student)] > 1 and telling != student:
            student = f"{student} ({telling})"
        while student in by_student:  # called like somebody on the roster
            student += " (not on the roster)"
        by_student[student] = of_one
        if roster.people:
            unknown.append(student)
    chosen, earlier = {}, {}
    for student, of_one in sorted(by_student.items()):
        *before, latest = sorted(of_one, key=lambda one: one.time or datetime.datetime.min)
        if before:
            earlier[student] = before
            others = ", ".join(map(_told, before))
            note = f"handed in {len(of_one)} times: {_told(latest)} counts, the latest; kept, and not graded: {others}"
            latest = replace(latest, handed=replace(latest.handed, notes=(*latest.handed.notes, note)))
        chosen[student] = replace(latest, handed=replace(latest.handed, student=student))
    return Assigned(chosen, earlier, tuple(unknown))


def _told(one: Found) -> str:
    when = f" of {one.handed.handed_in}" if one.handed.handed_in else ""
    return f"{_short(printable(one.handed.path.name))}{when}"
