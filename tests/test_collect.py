"""Finding and reading submissions: archives are hostile until read."""

import gzip
import io
import os
import shutil
import stat
import struct
import subprocess
import sys
import tarfile
import time
import tracemalloc
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, SOLUTIONS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grader.instructor import collect
from grader.instructor.collect import Handed, find_submissions, read
from grader.submission import Submission, SubmissionError, read_folder

FOUR = {
    f"student/{name}.py": f"# {name}\n".encode() for name in ("layers", "lenet", "training", "transforms")
}
INSIDE = {name.removeprefix("student/"): data for name, data in FOUR.items()}


def zip_of(files: dict[str, bytes], *more: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    """A zip of the files and, after them, of more entries, which may be odd."""
    data = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, content in [*files.items(), *more]:
            archive.writestr(name, content)
    return data.getvalue()


def tar_of(files: dict[str, bytes], *more: tarfile.TarInfo, form: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar.gz of the files and, after them, of more members."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz", format=form) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in more:
            archive.addfile(member, io.BytesIO(bytes(member.size)))
    return data.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


def zip_link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.fixture
def read_bytes(tmp_path: Path) -> Callable[[bytes, str], Submission]:
    """Reads an archive with these bytes, handed in under this name."""

    def run(data: bytes, name: str = "anna.zip") -> Submission:
        (tmp_path / name).write_bytes(data)
        (handed,) = find_submissions(tmp_path)
        return read(handed)

    return run


# -- finding


def test_one_student_for_each_folder_and_archive_sorted_by_name(tmp_path: Path) -> None:
    for name in ("dora", "anna", ".git", "__MACOSX"):
        (tmp_path / name).mkdir()
    for name in (
        "carl.zip",
        "BEN.ZIP",
        "emil.tar.gz",
        "fay.tgz",
        "gus.rar",
        "grades.csv",
        "readme.txt",
        ".x.zip",
    ):
        (tmp_path / name).touch()
    found = [(handed.student, handed.kind) for handed in find_submissions(tmp_path)]
    assert found == [
        ("BEN", "zip"), ("anna", "folder"), ("carl", "zip"), ("dora", "folder"), ("emil", "tar"),
        ("fay", "tar"), ("gus", "unknown"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "students"),
    [
        (["anna/", "anna.zip"], ["anna", "anna.zip"]),
        (["anna.zip", "anna.tgz"], ["anna.tgz", "anna.zip"]),
        (["anna.zip", "Anna.tgz"], ["Anna.tgz", "anna.zip"]),  # one record file on a Mac otherwise
        (["anna/", "anna.rar"], ["anna"]),  # the folder is what the archive was unpacked into
        (["anna.7z", "anna.rar"], ["anna.7z", "anna.rar"]),
    ],
)
def test_two_of_one_name_are_told_apart_by_the_whole_name(
    tmp_path: Path, names: list[str], students: list[str]
) -> None:
    for name in names:
        (tmp_path / name).mkdir() if name.endswith("/") else (tmp_path / name).touch()
    assert [handed.student for handed in find_submissions(tmp_path)] == students


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
def test_a_name_that_is_not_utf8_becomes_text(tmp_path: Path) -> None:
    os.mkdir(os.fsencode(tmp_path) + b"/caf\xe9")
    (handed,) = find_submissions(tmp_path)
    assert handed.student == r"caf\xe9"
    assert read(handed).problems == ("there is no Python file in it",)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "There is no folder"),
        (lambda path: path.touch(), "is a file"),
        (lambda path: path.mkdir(), "There is no submission"),
        (lambda path: (path.mkdir(), (path / "grades.csv").touch()), "There is no submission"),
        (lambda path: (path.mkdir(), (path / "layers.py").touch()), "grade check --submission"),
    ],
)
def test_a_folder_without_submissions_is_explained(
    tmp_path: Path, make: Callable[[Path], object], says: str
) -> None:
    make(tmp_path / "class")
    with pytest.raises(SubmissionError, match=says):
        find_submissions(tmp_path / "class")


@pytest.mark.skipif(sys.platform == "win32", reason="no such permissions")
def test_a_folder_that_may_not_be_read(tmp_path: Path) -> None:
    """As an ordinary user: root may read everything."""
    (tmp_path / "closed").mkdir(mode=0o000)
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "anna").mkdir(mode=0o000)
    code = """
import os
from pathlib import Path
from grader.instructor.collect import find_submissions, read
from grader.submission import SubmissionError
if os.getuid() == 0:
    os.chmod(".", 0o755); os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    find_submissions(Path("closed"))
except SubmissionError as error:
    print(error)
print(*[read(handed).problems for handed in find_submissions(Path("class"))])
"""
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    for folder in ("closed", "class/anna"):
        (tmp_path / folder).chmod(0o700)
    assert "chmod u+rx closed" in ran.stdout, ran.stderr
    assert "Permission denied" in ran.stdout


# -- reading


def test_the_same_files_give_the_same_submission_in_every_wrapping(tmp_path: Path) -> None:
    for name, data in FOUR.items():
        path = tmp_path / "a" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "b.zip").write_bytes(zip_of(FOUR))
    (tmp_path / "c.zip").write_bytes(zip_of({f"my homework/{name}": data for name, data in FOUR.items()}))
    (tmp_path / "d.zip").write_bytes(zip_of(INSIDE))
    (tmp_path / "e.zip").write_bytes(zip_of({name.replace("/", "\\"): data for name, data in FOUR.items()}))
    (tmp_path / "f.tar.gz").write_bytes(tar_of(FOUR))
    (tmp_path / "g.tgz").write_bytes(
        tar_of({f"{'x' * 150}/{n}": d for n, d in FOUR.items()}, form=tarfile.GNU_FORMAT)
    )
    (tmp_path / "h.tgz").write_bytes(tar_of({f"{'x' * 150}/{n}": d for n, d in FOUR.items()}))
    submissions = [read(handed) for handed in find_submissions(tmp_path)]
    assert [dict(submission.files) for submission in submissions] == [INSIDE] * 8
    assert len({submission.digest for submission in submissions}) == 1
    assert not any(submission.problems for submission in submissions)


@pytest.mark.parametrize(
    "name",
    ["__MACOSX/student/._layers.py", "student/._layers.py", ".DS_Store", ".venv/lib/x.py", "student/__pycache__/l.py",
     "student/report.ipynb", "student/", "notes.txt"],
)  # fmt: skip
@pytest.mark.parametrize("wrap", [zip_of, tar_of])
def test_what_systems_and_editors_add_is_passed_over(
    read_bytes: Callable[..., Submission], wrap: Callable[[dict[str, bytes]], bytes], name: str
) -> None:
    suffix = "zip" if wrap is zip_of else "tgz"
    submission = read_bytes(wrap({**FOUR, name: b""}), f"anna.{suffix}")
    assert (dict(submission.files), submission.problems) == (INSIDE, ())


ZIPS: dict[str, tuple[bytes, str]] = {
    "a path that leads up": (zip_of(FOUR, ("../../evil.py", b"1")), "leads out"),
    "a path that leads up, the Windows way": (zip_of(FOUR, ("..\\evil.py", b"1")), "leads out"),
    "an absolute path": (zip_of(FOUR, ("/etc/evil.py", b"1")), "leads out"),
    "a path with a drive": (zip_of(FOUR, ("C:\\evil.py", b"1")), "leads out"),
    "a link": (zip_of(FOUR, (zip_link("student/evil.py"), b"/etc/passwd")), "link"),
    "a link to a folder": (zip_of(FOUR, (zip_link("student/all"), b"/")), "link"),
    "a name that differs in case": (zip_of(FOUR, ("student/Layers.py", b"1")), "only in case"),
    "one name twice": (zip_of({"student/layers.py": b"old"}, *FOUR.items()), "the last one counts"),
    "one name in two Unicode forms": (
        zip_of({**FOUR, "student/\u00e9.py": b"1"}, ("student/e\u0301.py", b"1")), "the last one counts"),
    "a file that is too large": (zip_of(FOUR, ("student/big.py", bytes(3_000_000))), "too large"),
    "too many files": (zip_of(FOUR, *[(f"student/x/m{i}.py", b"") for i in range(300)]), "more than 200"),
    "an archive inside": (zip_of(FOUR, ("student/data.zip", b"PK")), "archive inside"),
    "a path that is too long": (zip_of(FOUR, ("a/" * 2000 + "x.py", b"1")), "too long"),
}  # fmt: skip


@pytest.mark.parametrize("case", ZIPS)
def test_a_zip_entry_that_is_refused_is_a_sentence_and_the_rest_is_read(
    read_bytes: Callable[..., Submission], case: str
) -> None:
    data, says = ZIPS[case]
    submission = read_bytes(data)
    assert INSIDE.items() <= dict(submission.files).items()
    assert len(submission.problems) == 1
    assert says in submission.problems[0]
    assert "evil.py" not in submission.files


TARS: dict[str, tuple[list[tarfile.TarInfo], str]] = {
    "a path that leads up": ([member("../evil.py")], "leads out"),
    "an absolute path": ([member("/evil.py")], "leads out"),
    "a symbolic link": ([member("student/evil.py", tarfile.SYMTYPE, "/etc/passwd")], "link"),
    "a hard link": ([member("student/evil.py", tarfile.LNKTYPE, "student/layers.py")], "link"),
    "a device": ([member("student/evil.py", tarfile.CHRTYPE)], "special"),
    "a pipe": ([member("student/evil.py", tarfile.FIFOTYPE)], "special"),
    "a file that is too large": ([member("student/evil.py", size=3_000_000)], "too large"),
    "one name twice": ([member("student/x.py"), member("student/x.py")], "the last one counts"),
    "too many files": ([member(f"student/m{i}.py") for i in range(300)], "more than 200"),
}


@pytest.mark.parametrize("case", TARS)
def test_a_tar_member_that_is_refused_is_a_sentence_and_the_rest_is_read(
    read_bytes: Callable[..., Submission], case: str
) -> None:
    members, says = TARS[case]
    submission = read_bytes(tar_of(FOUR, *members), "anna.tar.gz")
    assert INSIDE.items() <= dict(submission.files).items()
    assert len(submission.problems) == 1
    assert says in submission.problems[0]
    assert "evil.py" not in submission.files


def with_flag(data: bytes, flag: int, method: int | None = None) -> bytes:
    """The zip with a flag set, or another method named, in all of its headers."""
    changed = bytearray(data)
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        start = changed.find(signature)
        while start >= 0:
            changed[start + offset] |= flag
            if method is not None:
                struct.pack_into("<H", changed, start + offset + 2, method)
            start = changed.find(signature, start + 4)
    return bytes(changed)


def lying_about_size(size: int) -> bytes:
    """A zip whose one file claims another size than its content has."""
    data = bytearray(zip_of({"student/layers.py": bytes(1_000_000)}))
    for signature, offset in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        struct.pack_into("<I", data, data.find(signature) + offset, size)
    return bytes(data)


def gzipped_zeros(megabytes: int) -> bytes:
    """Zeros, compressed a thousandfold, behind the header of a member of that size."""
    head = member("student/data.bin", size=megabytes << 20).tobuf()
    pack = zlib.compressobj(9, wbits=31)
    return (
        pack.compress(head) + b"".join(pack.compress(bytes(1 << 20)) for _ in range(megabytes)) + pack.flush()
    )


UNREADABLE: dict[str, tuple[str, bytes, str]] = {
    "an empty file": ("a.zip", b"", "cannot be read"),
    "no zip": ("a.zip", b"<html>Please log in</html>", "cannot be read"),
    "a zip cut short": ("a.zip", zip_of(FOUR)[:300], "cannot be read"),
    "an empty zip": ("a.zip", zip_of({}), "no Python file"),
    "a zip with a password": ("a.zip", with_flag(zip_of(FOUR), 1), "encrypted"),
    "a zip by another method": ("a.zip", with_flag(zip_of(FOUR), 0, method=14), "compressed in a way"),
    "a zip of too many entries": ("a.zip", b"PK\1\2" * 25_000, "more than 20,000 entries"),
    "a file larger than it says": ("a.zip", lying_about_size(10), "cannot be read"),
    "a file that claims 4 GB": ("a.zip", lying_about_size(4_000_000_000), "too large"),
    "no tar.gz": ("a.tar.gz", b"junk", "cannot be read"),
    "a gzip of no tar": ("a.tgz", gzip.compress(b"x" * 2000), "cannot be read"),
    "a tar.gz cut short": ("a.tgz", tar_of(FOUR)[:60], "cannot be read"),
    "a bomb": ("a.tgz", gzipped_zeros(300), "unpacks to more than 200 MB"),
    "a huge header": ("a.tgz", gzip.compress(member("x", tarfile.XHDTYPE, size=10**9).tobuf(tarfile.GNU_FORMAT)), "header"),
    "a rar": ("a.rar", b"Rar!", "unpack it into a folder a beside it"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNREADABLE)
def test_an_archive_that_cannot_be_read_is_a_submission_without_files(
    read_bytes: Callable[..., Submission], case: str
) -> None:
    name, data, says = UNREADABLE[case]
    tracemalloc.start()
    start = time.monotonic()
    submission = read_bytes(data, name)
    assert time.monotonic() - start < 20  # slow machines and tracing; a second as a rule
    assert tracemalloc.get_traced_memory()[1] < 60_000_000
    tracemalloc.stop()
    assert dict(submission.files) == {}
    assert any(says in problem for problem in submission.problems)


def test_a_flood_of_problems_is_cut(read_bytes: Callable[..., Submission]) -> None:
    submission = read_bytes(zip_of(FOUR, *[(f"../{i}.py", b"") for i in range(1000)]))
    assert len(submission.problems) == collect.MAX_PROBLEMS + 1
    assert submission.problems[-1] == "and 980 more such problems"


def test_nothing_is_written_beside_an_archive(tmp_path: Path, read_bytes: Callable[..., Submission]) -> None:
    read_bytes(zip_of(FOUR, ("../evil.py", b"1")))
    assert [path.name for path in tmp_path.iterdir()] == ["anna.zip"]
    assert not (tmp_path.parent / "evil.py").exists()


WHOLE = {"a.zip": zip_of(FOUR), "a.tgz": gzip.decompress(tar_of(FOUR))}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(["a.zip", "a.tgz"]), data=st.data())
def test_mutated_and_random_bytes_never_raise(tmp_path: Path, name: str, data: st.DataObject) -> None:
    """Bytes changed, cut, doubled or made up: the answer is a submission. (A tar is changed before it is zipped.)"""
    content = bytearray(WHOLE[name])
    if data.draw(st.booleans(), label="random"):
        content = bytearray(data.draw(st.binary(max_size=2000)))
    for position, value in data.draw(
        st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=20)
    ):
        if content:
            content[-1 - position % len(content)] = value
    content = content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content
    path = tmp_path / name
    path.write_bytes(gzip.compress(content, 1) if name == "a.tgz" and data.draw(st.booleans()) else content)
    submission = read(Handed("a", path, "zip" if name == "a.zip" else "tar"))
    assert submission.files or submission.problems
    "".join(submission.problems).encode()  # can be recorded


def test_a_folder_reads_as_grade_check_reads_it(tmp_path: Path) -> None:
    for name, data in FOUR.items():
        path = tmp_path / "anna" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (handed,) = find_submissions(tmp_path)
    assert read(handed).digest == read_folder(tmp_path / "anna").digest


def test_a_class_in_the_place_of_a_submission_is_told(tmp_path: Path) -> None:
    for student in ("anna", "ben"):
        shutil.copytree(SOLUTIONS, tmp_path / "class" / student)
    (only,) = find_submissions(tmp_path)
    assert any("2 folders in it hold all files" in problem for problem in read(only).problems)
