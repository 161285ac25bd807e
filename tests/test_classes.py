"""`grade all FOLDER_OR_ZIP --roster FILE`: every way in which a class comes ends in one row a student, and says what was wrong.

What a submission's layers.py says is what its examination does (`stand_in` of test_batch).
"""

import csv
import io
import os
import stat
import tarfile
import tempfile
import unicodedata
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_batch import run, table
from test_course_collect import EXPORTS, METADATA, ROSTER, below, zipped

from grader.instructor.classes import find_class, noted_class
from grader.instructor.collect import read, read_timestamp
from grader.instructor.exports import find_export
from grader.instructor.records import read_record
from grader.instructor.roster import Roster
from grader.submission import SubmissionError

FILES = {f"{name}.py": b"ok\n" for name in ("layers", "lenet", "training", "transforms")}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.fixture
def roster(tmp_path: Path) -> Path:
    path = tmp_path / "class.csv"
    path.write_text(ROSTER, encoding="utf-8")
    return path


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def note(out: Path, student: str) -> str:
    return table(out)[student]["note"]


def with_stand_ins(files: dict[str, bytes]) -> dict[str, bytes]:
    """An export with files that `stand_in` understands in the place of real ones, in archives, too."""
    made = {}
    for name, data in files.items():
        if name.endswith(".zip"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                data = zipped(dict.fromkeys(archive.namelist(), b"ok\n"))
        made[name] = b"ok\n" if name.endswith(".py") else data
    return made


# -- what a class comes as


@pytest.mark.parametrize("packed", [True, False], ids=["zip", "folder"])
@pytest.mark.parametrize("files", EXPORTS.values(), ids=EXPORTS.keys())
def test_every_kind_of_export_is_graded(
    tmp_path: Path, out: Path, roster: Path, files: dict[str, bytes], packed: bool
) -> None:
    files = with_stand_ins(files)
    source = tmp_path / ("export.zip" if packed else "export")
    if packed:
        source.write_bytes(zipped(files))
    else:
        write(source, files)
    assert run(source, out, roster_file=roster).examined == 3
    assert {student: (row["total"], row["status"]) for student, row in table(out).items()} == dict.fromkeys(
        ("aberg", "cdoe", "zyam"), ("55", "graded")
    )
    assert run(source, out).examined == 0  # the roster was kept
    assert not (out / ".unpacked").exists()
    with noted_class(out) as found:  # for the feedback
        assert [read(one).digest for one in found.handed] == [
            record.digest
            for name in ("aberg", "cdoe", "zyam")
            if (record := read_record(out / "records", name))
        ]


def test_without_a_roster_platforms_names_are_the_students(tmp_path: Path, out: Path) -> None:
    (tmp_path / "export.zip").write_bytes(zipped(with_stand_ins(EXPORTS["Moodle"])))
    run(tmp_path / "export.zip", out)
    assert list(table(out)) == ["Anna Berg", "Carl van Doe", "Zoë Yamada"]


def test_two_of_one_name_are_told_apart_by_their_numbers(tmp_path: Path, out: Path) -> None:
    files = {
        **below("Kim Lee_1_assignsubmission_file_", FILES),
        **below("Kim Lee_2_assignsubmission_file_", FILES),
    }
    run(write(tmp_path / "class", files), out)
    assert list(table(out)) == ["Kim Lee (1)", "Kim Lee (2)"]


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("berganna_1234_99_layers.py", ("1234", "berganna")),
        ("berganna_LATE_1234_99_layers-2.py", ("1234", "berganna")),
        ("anna_b_1234_99_layers.py", ("1234", "anna_b")),
        ("anon_Xy12z_99_layers.py", ("Xy12z",)),
        ("LATE_anon_Xy12z_99_layers.py", ("Xy12z",)),
    ],
)
def test_canvas_file_names(tmp_path: Path, name: str, called: tuple[str, ...]) -> None:
    write(tmp_path / "class", {name: b"ok\n"})
    (found,) = find_export(tmp_path / "class", tmp_path / "scratch")
    assert found.names == called
    assert read(found.handed).files == {"layers.py": b"ok\n"}


def test_of_two_files_of_one_name_canvas_gave_the_newer_the_larger_number(tmp_path: Path) -> None:
    write(tmp_path / "class", {"b_1_200_layers-1.py": b"new\n", "b_1_99_layers.py": b"old\n"})
    (found,) = find_export(tmp_path / "class", tmp_path / "scratch")
    assert read(found.handed).files == {"layers.py": b"new\n"}


def test_an_attempt_of_blackboard_does_not_take_files_of_an_earlier_one(tmp_path: Path, out: Path) -> None:
    first, second = (f"gradebook_ML1_aberg_attempt_2026-05-0{day}-12-30-00_" for day in (1, 2))
    files = {f"{first}layers.py": b"fail relu\n", f"{first}helper.py": b"1\n", f"{second}layers.py": b"ok\n"}
    run(write(tmp_path / "class", files), out)
    assert table(out)["aberg"]["total"] == "55"
    with noted_class(out) as found:
        assert set(read(found.handed[0]).files) == {"layers.py"}
    assert "handed in 2 times" in note(out, "aberg")
    assert f"not graded: {first}" in note(out, "aberg")
    assert (tmp_path / "class" / f"{first}layers.py").exists()


def test_the_latest_of_several_counts_and_the_earlier_are_named(
    tmp_path: Path, out: Path, roster: Path
) -> None:
    write(tmp_path / "class" / "aberg", {"layers.py": b"fail relu\n"})
    (tmp_path / "class" / "Anna Berg.zip").write_bytes(zipped(FILES))
    os.utime(tmp_path / "class" / "aberg" / "layers.py", (1_700_000_000, 1_700_000_000))
    run(tmp_path / "class", out, roster_file=roster)
    assert table(out)["aberg"]["total"] == "55"
    assert (
        note(out, "aberg")
        == "handed in 2 times: Anna Berg.zip counts, the latest; kept, and not graded: aberg"
    )


def test_who_is_on_the_roster_and_handed_in_nothing_has_a_row(
    tmp_path: Path, out: Path, roster: Path
) -> None:
    result = run(write(tmp_path / "class", below("aberg", FILES)), out, roster_file=roster)
    rows = table(out)
    assert [(student, row["status"], row["total"]) for student, row in rows.items()] == [
        ("aberg", "graded", "55"), ("cdoe", "nothing handed in", ""), ("zyam", "nothing handed in", ""),
    ]  # fmt: skip
    assert result.without_verdict == ()
    assert result.summary.totals == [55.0]
    with pytest.raises(SubmissionError, match="cdoe is on the roster and handed in nothing"):
        run(tmp_path / "class", out, students=["cdoe"])


def test_who_is_not_on_the_roster_is_graded_and_named(tmp_path: Path, out: Path, roster: Path) -> None:
    write(tmp_path / "class", {**below("aberg", FILES), **below("stranger", FILES)})
    assert run(tmp_path / "class", out, roster_file=roster).unknown == ("stranger",)
    assert table(out)["stranger"]["total"] == "55"
    assert "on no line of the roster" in note(out, "stranger")


def test_a_single_submission_in_a_folder_is_not_taken_apart(tmp_path: Path, out: Path) -> None:
    write(tmp_path / "class" / "anna", {**below("student", FILES), "extra/notes.txt": b""})
    assert run(tmp_path / "class", out).submissions == 1
    assert list(table(out)) == ["anna"]


@pytest.mark.parametrize("packed", [True, False], ids=["zip", "folder"])
@pytest.mark.parametrize(
    "name",
    ["berganna_1_10_homework.pdf", "Anna Berg_1_assignsubmission_file_homework.pdf", "Anna Berg_1_assignsubmission_file_/x.pdf",
     "Anna Berg_1_assignsubmission_onlinetext_/onlinetext.html", "gradebook_ML1_anna_attempt_2026-05-01-12-30-00.txt"],
)  # fmt: skip
def test_who_handed_in_something_else_has_a_row(tmp_path: Path, out: Path, name: str, packed: bool) -> None:
    files = {name: b"%PDF", **below("Ben_2_assignsubmission_file_", FILES)}
    if packed:
        (tmp_path / "class.zip").write_bytes(zipped(files))
    else:
        write(tmp_path / "class", files)
    run(tmp_path / ("class.zip" if packed else "class"), out)
    assert sorted(row["status"] for row in table(out).values()) == ["graded", "unreadable"]
    assert "no Python file" in next(row["note"] for row in table(out).values() if row["note"])


def test_a_text_that_was_typed_in_is_no_second_submission(tmp_path: Path, out: Path) -> None:
    files = {
        "Ben_2_assignsubmission_onlinetext_/onlinetext.html": b"hello",
        **below("Ben_2_assignsubmission_file_", FILES),
    }
    run(write(tmp_path / "class", files), out)
    assert [(row["total"], row["note"]) for row in table(out).values()] == [("55", "")]


def test_folders_in_a_single_submission_are_no_students(tmp_path: Path, out: Path) -> None:
    write(tmp_path / "class" / "anna", {**below("source", FILES), "tests/test_mine.py": b""})
    run(tmp_path / "class", out)
    assert list(table(out)) == ["anna"]


def test_notebooks_beside_python_files_change_nothing(tmp_path: Path, out: Path) -> None:
    write(tmp_path / "class" / "anna", {**FILES, "report.ipynb": b"{}", "scratch.ipynb": b"junk"})
    run(tmp_path / "class", out)
    assert (table(out)["anna"]["total"], note(out, "anna")) == ("55", "")


# -- when it was handed in


def test_nbgraders_tree_says_when(tmp_path: Path, out: Path) -> None:
    tree = {
        **below(
            "submitted/anna/hw1", {"layers.py": b"fail relu\n", "timestamp.txt": b"2026-01-01 00:00:00 UTC"}
        ),
        **below("submitted/anna/lenet5", {**FILES, "timestamp.txt": b"2026-05-01 12:30:00.218563 UTC\n"}),
        **below("submitted/ben/hw5", {**FILES, "timestamp.txt": b"2026-05-02 14:00:00 +0200"}),
    }
    run(write(tmp_path, tree) / "submitted", out)
    rows = table(out)
    assert [(student, row["total"], row["handed_in"]) for student, row in rows.items()] == [
        ("anna", "55", "2026-05-01T12:30:00+00:00"), ("ben", "55", "2026-05-02T12:00:00+00:00"),
    ]  # fmt: skip
    record = read_record(out / "records", "anna")
    assert record is not None
    assert record.handed_in == "2026-05-01T12:30:00+00:00"
    (tmp_path / "tree.zip").write_bytes(zipped(tree))
    assert [one.handed.handed_in for one in find_export(tmp_path / "tree.zip", tmp_path / "scratch")] == [
        "2026-05-01T12:30:00+00:00", "2026-05-02T12:00:00+00:00",
    ]  # fmt: skip


def test_gradescope_and_blackboard_say_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "g", {"submission_metadata.yml": METADATA, **below("submission_1", FILES)})
    (found,) = find_export(tmp_path / "g", tmp_path / "scratch")
    assert found.handed.handed_in == "2026-05-01T12:30:00+00:00"
    write(tmp_path / "b", {"gradebook_ML1_aberg_attempt_2026-05-01-12-30-00_layers.py": b"ok\n"})
    (found,) = find_export(tmp_path / "b", tmp_path / "scratch")
    assert found.handed.handed_in.startswith("2026-05-0")


@pytest.mark.parametrize("kind", ["Moodle", "Canvas", "folders", "archives"])
def test_a_time_that_nobody_took_down_is_not_guessed(tmp_path: Path, out: Path, kind: str) -> None:
    """The times in Canvas's and Moodle's zips are those of the download; files' own times are the student's."""
    files = {
        **with_stand_ins(EXPORTS[kind]),
        **below("xaver", {**FILES, "timestamp.txt": b"1999-01-01 00:00:00 UTC"}),
    }
    (tmp_path / "export.zip").write_bytes(zipped(files))
    run(tmp_path / "export.zip", out)
    assert {row["handed_in"] for row in table(out).values()} == {""}


@pytest.mark.parametrize(
    ("text", "time"),
    [
        (b"2026-05-01 12:30:00 UTC\n", "2026-05-01T12:30:00+00:00"),
        (b"2026-05-01 12:30:00.5 UTC", "2026-05-01T12:30:00+00:00"),
        (b"2026-05-01T12:30:00Z", "2026-05-01T12:30:00+00:00"),
        (b"2026-05-01 12:30:00", "2026-05-01T12:30:00+00:00"),
        (b"2026-05-01 12:30:00 CEST", ""),
        (b"yesterday", ""),
        (b"\xff\xfe", ""),
        (b"", ""),
    ],
)
def test_timestamps_of_nbgrader(tmp_path: Path, text: bytes, time: str) -> None:
    (tmp_path / "timestamp.txt").write_bytes(text)
    assert read_timestamp(tmp_path) == time


def test_another_time_alone_examines_nothing_and_is_recorded(tmp_path: Path, out: Path) -> None:
    folder = tmp_path / "submitted"
    write(folder / "anna" / "lenet5", {**FILES, "timestamp.txt": b"2026-05-01 12:30:00 UTC"})
    run(folder, out)
    (folder / "anna" / "lenet5" / "timestamp.txt").write_text("2026-05-03 12:30:00 UTC")
    assert run(folder, out).examined == 0
    record = read_record(out / "records", "anna")
    assert record is not None
    assert record.handed_in == table(out)["anna"]["handed_in"] == "2026-05-03T12:30:00+00:00"
    assert record.earned == 55


# -- what is refused


def special(kind: str) -> Callable[[Path], object]:
    """Puts something that is no plain file in a place."""
    return {
        "a link to a file": lambda path: path.symlink_to("/etc/passwd"),
        "a link to a folder": lambda path: path.symlink_to("/etc"),
        "a link to nothing": lambda path: path.symlink_to("nowhere"),
        "a pipe": lambda path: os.mkfifo(path),
    }[kind]


KINDS = ("a link to a file", "a link to a folder", "a link to nothing", "a pipe")


@pytest.mark.skipif(os.name == "nt", reason="no such files")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["anna.zip", "anna.tar.gz"])
def test_an_archive_that_is_no_plain_file_is_a_row(tmp_path: Path, out: Path, kind: str, name: str) -> None:
    """A pipe would be waited for for ever, a link could be another student's work."""
    write(tmp_path / "class", below("ben", FILES))
    special(kind)(tmp_path / "class" / name)
    run(tmp_path / "class", out)
    assert table(out)["ben"]["total"] == "55"
    assert table(out)["anna"]["status"] == "unreadable"
    assert "link or special file" in note(out, "anna")


@pytest.mark.skipif(os.name == "nt", reason="no such files")
def test_a_students_folder_that_is_a_link_is_not_followed(tmp_path: Path, out: Path) -> None:
    write(tmp_path / "class", below("ben", FILES))
    (tmp_path / "class" / "anna").symlink_to("ben")
    run(tmp_path / "class", out)
    assert (table(out)["anna"]["status"], table(out)["ben"]["total"]) == ("unreadable", "55")
    assert "link" in note(out, "anna")


@pytest.mark.skipif(os.name == "nt", reason="no such files")
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_plain_file_in_a_folder_is_named(tmp_path: Path, out: Path, kind: str) -> None:
    write(tmp_path / "class", below("anna", FILES))
    special(kind)(tmp_path / "class" / "anna" / "helper.py")
    run(tmp_path / "class", out)
    assert table(out)["anna"]["total"] == "55"
    assert note(out, "anna") == "helper.py: a link or special file, left out"


def test_a_device_in_a_folder_is_named(tmp_path: Path, out: Path) -> None:
    write(tmp_path / "class", below("anna", FILES))
    try:
        os.mknod(tmp_path / "class" / "anna" / "zero.py", stat.S_IFCHR | 0o600, os.makedev(1, 5))
    except (AttributeError, PermissionError):
        pytest.skip("only root may make devices")
    run(tmp_path / "class", out)
    assert note(out, "anna") == "zero.py: a link or special file, left out"


@pytest.mark.parametrize("other", ["Layers.py", "LAYERS.PY".lower().replace("l", "L", 1)])
def test_files_whose_names_differ_in_case_only(tmp_path: Path, out: Path, other: str) -> None:
    write(tmp_path / "class" / "anna", {**FILES, other: b"fail relu\n"})
    if len(list((tmp_path / "class" / "anna").iterdir())) == len(FILES):
        pytest.skip("this file system knows no case")
    run(tmp_path / "class", out)
    assert table(out)["anna"]["total"] == "55"
    assert f"{other}: its name differs from layers.py only in case or Unicode form" in note(out, "anna")


@pytest.mark.parametrize("names", [("Anna", "anna"), ("Zoë", unicodedata.normalize("NFD", "Zoë"))])
def test_students_whose_names_differ_in_case_or_unicode_form_only(
    tmp_path: Path, out: Path, names: tuple[str, str]
) -> None:
    for name in names:
        write(tmp_path / "class" / name, FILES)
    if len(list((tmp_path / "class").iterdir())) == 1:
        pytest.skip("this file system takes the names for one")
    run(tmp_path / "class", out)
    assert set(table(out)) == set(names)
    for name in names:
        assert "only in case or Unicode form" in note(out, name)


def test_a_second_folder_in_a_zip_that_unicode_takes_for_the_first_is_named(
    tmp_path: Path, out: Path
) -> None:
    files = {
        **below("Zoë", FILES),
        **below(unicodedata.normalize("NFD", "Zoë"), {"layers.py": b"fail relu\n"}),
    }
    (tmp_path / "class.zip").write_bytes(zipped({**files, **below("ben", FILES)}))
    run(tmp_path / "class.zip", out)
    assert {student: row["total"] for student, row in table(out).items()} == {"Zoë": "55", "ben": "55"}
    assert "only in Unicode form, left out" in note(out, "Zoë")


def linked(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def encrypted(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name)  # the flag is set in the bytes


# entry of the platform's zip, its content -> the sentence in the student's row
IN_AN_EXPORT: dict[str, tuple[str | zipfile.ZipInfo, bytes, str]] = {
    "a link": (linked("anna/helper.py"), b"/etc/passwd", "helper.py: a link or special file, left out"),
    "a path that leads up": ("anna/../../evil.py", b"1", "leads out"),
    "too large": ("anna/big.py", bytes(3_000_000), "3,000,000 bytes is too large"),
    "a name that no file system takes": (f"anna/{'x' * 300}.py", b"1", "cannot be unpacked (File name too long)"),
    "a file in the place of a folder": ("anna/layers.py/x.py", b"1", "cannot be unpacked"),
    "a path that is too long": ("anna/" + "a/" * 2000 + "x.py", b"1", "too long"),
}  # fmt: skip


@pytest.mark.parametrize("case", IN_AN_EXPORT)
def test_what_is_refused_in_a_platforms_zip_is_in_the_students_row(
    tmp_path: Path, out: Path, case: str
) -> None:
    entry, content, says = IN_AN_EXPORT[case]
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, file in {**below("anna", FILES), **below("ben", FILES)}.items():
            archive.writestr(name, file)
        archive.writestr(entry, content)
    (tmp_path / "class.zip").write_bytes(data.getvalue())
    run(tmp_path / "class.zip", out)
    assert {student: row["total"] for student, row in table(out).items()} == {"anna": "55", "ben": "55"}
    assert says in note(out, "anna")
    assert note(out, "ben") == ""
    assert not list(tmp_path.rglob("evil.py"))


def test_an_entry_that_is_broken_and_cannot_be_named_stops_nobody(tmp_path: Path, out: Path) -> None:
    name = f"anna/{'x' * 300}.py"
    data = zipped({**below("anna", FILES), **below("ben", FILES), name: b"1"})
    start = data.rfind(b"PK\3\4")
    assert name.encode() in data[start:]
    (tmp_path / "class.zip").write_bytes(data[:start] + b"XX" + data[start + 2 :])
    run(tmp_path / "class.zip", out)
    assert {student: row["total"] for student, row in table(out).items()} == {"anna": "55", "ben": "55"}
    assert "cannot be read" in note(out, "anna")


def test_a_student_whose_only_file_is_refused_has_a_row(tmp_path: Path, out: Path) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("benjones_2_20_layers.py", b"ok\n")
        archive.writestr(linked("berganna_1_10_layers.py"), b"/etc/passwd")
    (tmp_path / "canvas.zip").write_bytes(data.getvalue())
    run(tmp_path / "canvas.zip", out)
    assert table(out)["berganna"]["status"] == "unreadable"
    assert "link or special file" in note(out, "berganna")


def test_a_flood_of_files_of_one_student_leaves_the_others_alone(tmp_path: Path, out: Path) -> None:
    flood = {f"anna/x/m{number}.py": b"" for number in range(2500)}
    (tmp_path / "class.zip").write_bytes(zipped({**below("anna", FILES), **flood, **below("ben", FILES)}))
    run(tmp_path / "class.zip", out)
    assert table(out)["ben"]["total"] == "55"
    assert table(out)["anna"]["total"] == "55"
    assert "more than 200 Python files" in note(out, "anna")


def test_a_folder_of_any_depth_is_read(tmp_path: Path, out: Path) -> None:
    """Deeper than Python recurses, and deeper than a path can be."""
    write(tmp_path / "class", {**below("anna", FILES), **below("ben", FILES)})
    here = os.getcwd()
    try:
        os.chdir(tmp_path / "class" / "anna")
        for _ in range(2500):
            os.mkdir("d")
            os.chdir("d")
    finally:
        os.chdir(here)
    try:
        run(tmp_path / "class", out)
        assert {student: row["total"] for student, row in table(out).items()} == {"anna": "55", "ben": "55"}
        assert "File name too long" in note(out, "anna")
    finally:
        os.system(f"rm -rf {tmp_path / 'class' / 'anna'}")  # shutil.rmtree recurses


def test_a_folder_of_too_many_files_is_cut(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grader.submission.MAX_ENTRIES", 50)
    write(tmp_path / "class" / "anna", {**FILES, **{f"data/{number}.txt": b"" for number in range(100)}})
    run(tmp_path / "class", out)
    assert table(out)["anna"]["total"] == "55"
    assert "more than 50 files: the rest is left out" in note(out, "anna")


def not_in_utf8() -> bytes:
    """A zip that says that a name is UTF-8, which it is not."""
    return zipped({"é/layers.py": b"ok\n"}).replace("é".encode(), b"\x80\x80")


@pytest.mark.parametrize("data", [zipped(below("anna", FILES))[:-40], not_in_utf8(), b"PK", b""])
def test_a_broken_platforms_zip_is_a_message_and_leaves_nothing(
    tmp_path: Path, out: Path, data: bytes
) -> None:
    (tmp_path / "class.zip").write_bytes(data)
    with pytest.raises(SubmissionError, match=r"class\.zip cannot be read .* download it again"):
        run(tmp_path / "class.zip", out)
    assert not (out / ".unpacked").exists()


# -- names that would do something


NAMES = ("=cmd|' /C calc'!A1", "+1", "-1+1", "@SUM(A1)", "a\nb,injected", "a\r\n=1", " \t=1", "<script>alert(1)</script>",
         "a\u2028b", "\u202egnp.exe", "\x1b[31mred", '"quoted", twice', "'; drop table")  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="no such names there")
def test_names_cannot_break_out_of_the_table(tmp_path: Path, out: Path) -> None:
    for name in NAMES:
        write(tmp_path / "class" / name, FILES)
    run(tmp_path / "class", out)
    lines = (out / "grades.csv").read_text("utf-8").split("\n")
    assert len(lines) == len(NAMES) + 2  # the header, and the end of the last line
    rows = list(csv.reader(io.StringIO((out / "grades.csv").read_text("utf-8"))))
    assert {len(row) for row in rows} == {len(rows[0])}
    for row in rows:
        assert not row[0].lstrip().startswith(("=", "+", "-", "@"))
        assert all(letter.isprintable() or unicodedata.category(letter) == "Cf" for letter in row[0])
    assert len(list((out / "records").iterdir())) == len(NAMES)


@pytest.mark.skipif(os.name == "nt", reason="no such names there")
def test_names_cannot_break_out_of_the_notes(tmp_path: Path, out: Path) -> None:
    """Names of files within a submission are shown, too."""
    hostile = "\n=HYPERLINK(1)\x1b[31m.py"
    write(tmp_path / "class" / "anna", FILES)
    (tmp_path / "class" / "anna" / hostile).symlink_to("/etc/passwd")
    run(tmp_path / "class", out)
    assert note(out, "anna").startswith("' =HYPERLINK(1)")
    assert "\n" not in note(out, "anna")
    assert "\x1b" not in note(out, "anna")


def test_an_archive_with_everything_at_once_is_one_row(tmp_path: Path, out: Path) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name, content in FILES.items():
            info = tarfile.TarInfo(f"student/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, kind in (("../a.py", tarfile.REGTYPE), ("b.py", tarfile.SYMTYPE), ("c.py", tarfile.FIFOTYPE),
                           ("d.py", tarfile.BLKTYPE), ("/e.py", tarfile.REGTYPE)):  # fmt: skip
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    write(tmp_path / "class", {"anna.tar.gz": data.getvalue(), **below("ben", FILES)})
    run(tmp_path / "class", out)
    assert table(out)["anna"]["total"] == "55"
    for name in ("../a.py", "b.py", "c.py", "d.py", "/e.py"):
        assert name in note(out, "anna")


# -- the command


@pytest.mark.slow
def test_the_command_takes_a_zip_and_a_roster(tmp_path: Path, grade: Callable[..., object]) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("aberg.zip", b"broken")  # nothing to examine: no torch
        archive.writestr("stranger.zip", b"broken")
    (tmp_path / "export.zip").write_bytes(data.getvalue())
    (tmp_path / "class.csv").write_text(ROSTER, encoding="utf-8")
    ran = grade("all", "export.zip", "--roster", "class.csv", "--out", "results")
    assert ran.returncode == 0, ran.stderr  # type: ignore[attr-defined]
    output = ran.stdout  # type: ignore[attr-defined]
    assert "2 submissions, 2 examined now. Unreadable: 2. Nothing handed in: 2." in output
    assert "On no line of the roster, or on two: stranger" in output
    assert [row["student"] for row in table(tmp_path / "results").values()] == [
        "aberg",
        "cdoe",
        "stranger",
        "zyam",
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere"], "There is no folder nowhere"),
        (["notes.txt"], "notes.txt is a file, and no .zip"),
        (["class", "--roster", "nowhere.csv"], "nowhere.csv cannot be read"),
        (["class", "--roster", "notes.txt"], "notes.txt has no column id"),
    ],
)
def test_what_cannot_be_a_class_is_a_message_and_makes_no_folder(
    tmp_path: Path, grade: Callable[..., object], arguments: list[str], says: str
) -> None:
    (tmp_path / "notes.txt").write_text("hello\n")
    write(tmp_path / "class", below("anna", FILES))
    ran = grade("all", *arguments, "--out", "results")
    assert ran.returncode == 2  # type: ignore[attr-defined]
    assert says in ran.stderr  # type: ignore[attr-defined]
    assert "Traceback" not in ran.stderr  # type: ignore[attr-defined]
    assert not (tmp_path / "results").exists()


# -- anything at all

PIECES = st.sampled_from(
    ["anna", "Ben Berg", "_", "_12_", "345_", "LATE_", "assignsubmission_file_", "_attempt_2026-05-01-12-30-00", "/", "..", ".zip",
     ".tar.gz", ".py", "layers", "student", "submitted", "timestamp.txt", "submission_metadata.yml", "\n", "=", "\u00e9", "e\u0301",
     "ANNA", "x" * 200]
)  # fmt: skip
CONTENTS = st.sampled_from(
    [b"", b"ok\n", METADATA, zipped({"layers.py": b"ok\n"}), b"PK\3\4 no zip", b"a: [b", b"2026-05-01"]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    entries=st.lists(st.tuples(st.lists(PIECES, min_size=1, max_size=6).map("".join), CONTENTS), max_size=8),
    bitten=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), max_size=4),
)
def test_any_zip_is_a_class_or_a_message(
    tmp_path: Path, entries: list[tuple[str, bytes]], bitten: list[tuple[int, int]]
) -> None:
    data = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(data, "w") as archive:
        warnings.simplefilter("ignore")  # of names that are there twice
        for name, content in entries:
            archive.writestr(name, content)
    content = bytearray(data.getvalue())
    for position, value in bitten:
        content[position % len(content)] = value
    (tmp_path / "class.zip").write_bytes(content)
    scratch = Path(tempfile.mkdtemp(dir=tmp_path))
    try:
        found = find_class(tmp_path / "class.zip", Roster(()), scratch)
    except SubmissionError as error:
        said = str(error)
    else:
        said = ""
    assert str(scratch) not in said  # but what the instructor named
    if said:
        return
    assert len({one.student for one in found.handed}) == len(found.handed)
    for one in found.handed:
        submission = read(one)
        assert submission.files or submission.problems
        "".join([submission.student, *submission.problems]).encode()  # can be recorded
    assert {path.name for path in tmp_path.iterdir()} <= {
        "class.zip",
        *(path.name for path in tmp_path.glob("tmp*")),
    }
