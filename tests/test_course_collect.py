"""`grade course collect`: what platforms give, whose it is, and what lands in `submitted/`. No nbgrader takes part."""

import csv
import datetime
import io
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from conftest import solution_files
from course_kit import MODEL, RELEASED, as_bytes, empty_course, notebook

from grader.instructor.collect import find_submissions, read
from grader.instructor.course.collect import collect
from grader.instructor.course.layout import Course, collected, safe_id
from grader.instructor.roster import Person, Roster, read_roster
from grader.submission import SubmissionError

FILES = {**solution_files(), "report.ipynb": as_bytes(notebook(a1="mine"))}
ROSTER = (
    "id,first_name,last_name,email,lms_user_id\n"
    "aberg,Anna,Berg,anna.berg@example.org,1234\n"
    "zyam,Zoë,Yamada,zoe@example.org,77\n"
    "cdoe,Carl,van Doe,carl@example.org,99\n"
)
WHEN = (2026, 5, 1, 12, 30, 0)


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return empty_course(tmp_path / "course")


@pytest.fixture
def roster(tmp_path: Path) -> Path:
    path = tmp_path / "class.csv"
    path.write_text(ROSTER, encoding="utf-8")
    return path


def zipped(files: Mapping[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, WHEN), content)
    return data.getvalue()


def below(folder: str, files: Mapping[str, bytes] = FILES) -> dict[str, bytes]:
    return {f"{folder}/{name}": data for name, data in files.items()}


METADATA = b"""---
submission_1:
  :submitters:
  - :name: Anna Berg
    :sid: '1234'
    :email: anna.berg@example.org
  :created_at: 2026-05-01 12:30:00.218563000 Z
submission_2:
  :submitters:
  - :name: Zoe Yamada
    :sid:
    :email: zoe@example.org
  - :name: Carl Doe
    :sid: cdoe
    :email:
  :created_at: 2026-05-02 10:00:00.000000000 Z
"""
EXPORTS: dict[str, dict[str, bytes]] = {
    "folders": {**below("aberg"), **below("Zoë Yamada/student"), **below("cdoe")},
    "archives": {"aberg.zip": zipped(FILES), "zoe.zip": zipped(below("x/y")), "cdoe.zip": zipped(FILES)},
    "Moodle": {
        **below("Anna Berg_1234_assignsubmission_file_"),
        "Zoë Yamada_77_assignsubmission_file_/student.zip": zipped(below("student")),
        **below("Carl van Doe_99_assignsubmission_file_/homework"),
    },
    "Moodle without folders": {
        **{f"Anna Berg_1234_assignsubmission_file_{name}": data for name, data in FILES.items()},
        "Zoë Yamada_77_assignsubmission_file_student.zip": zipped(below("student")),
        "Carl van Doe_99_assignsubmission_file_homework.zip": zipped(FILES),
    },
    "Canvas": {
        **{f"berganna_1234_{5000 + i}_{name}": data for i, (name, data) in enumerate(FILES.items())},
        "yamadazo_LATE_77_6000_student-1.zip": zipped(below("student")),
        "vandoecarl_99_6001_student.zip": zipped(FILES),
    },
    "Blackboard": {
        "gradebook_ML_lenet5_aberg_attempt_2026-05-01-12-30-00_student.zip": zipped(FILES),
        "gradebook_ML_lenet5_aberg_attempt_2026-05-01-12-30-00.txt": b"Name: Anna",
        "gradebook_ML_lenet5_zyam_attempt_2026-05-01-12-30-00_student.zip": zipped(FILES),
        "gradebook_ML_lenet5_cdoe_attempt_2026-05-01-12-30-00_student.zip": zipped(FILES),
    },
    "Gradescope": {
        "assignment_9_export/submission_metadata.yml": METADATA,
        **below("assignment_9_export/submission_1"),
        **below("assignment_9_export/submission_2/student"),
    },
}


@pytest.mark.parametrize("packed", [True, False], ids=["zip", "folder"])
@pytest.mark.parametrize("kind", EXPORTS)
def test_every_kind_of_export_is_collected(
    course: Course, roster: Path, tmp_path: Path, kind: str, packed: bool
) -> None:
    files = EXPORTS[kind]
    source = tmp_path / ("export.zip" if packed else "export")
    if packed:
        source.write_bytes(zipped(files))
    else:
        for name, data in files.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes(data)
    done = collect(course, [source], roster)
    assert (done.students, done.unknown, done.missing, done.problems) == (
        ("aberg", "cdoe", "zyam"),
        (),
        (),
        {},
    )
    for student in done.students:
        folder = course.submitted(student)
        assert {
            path.name: path.read_bytes() for path in folder.iterdir() if path.name != "timestamp.txt"
        } == FILES
        known = kind in ("Blackboard", "Gradescope")  # the times in other zips are those of the download
        assert (folder / "timestamp.txt").exists() is known
        assert not known or (folder / "timestamp.txt").read_text().endswith(" UTC\n")


def test_gradescope_says_when_and_gives_a_group_to_each(course: Course, roster: Path, tmp_path: Path) -> None:
    (tmp_path / "export.zip").write_bytes(zipped(EXPORTS["Gradescope"]))
    collect(course, [tmp_path / "export.zip"], roster)
    times = {s: (course.submitted(s) / "timestamp.txt").read_text().strip() for s in course.students()}
    assert times == {
        "aberg": "2026-05-01 12:30:00 UTC",
        "cdoe": "2026-05-02 10:00:00 UTC",
        "zyam": "2026-05-02 10:00:00 UTC",
    }


def test_blackboards_file_names_say_when(course: Course, roster: Path, tmp_path: Path) -> None:
    (tmp_path / "export.zip").write_bytes(zipped(EXPORTS["Blackboard"]))
    collect(course, [tmp_path / "export.zip"], roster)
    wanted = datetime.datetime(*WHEN).astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC\n")
    assert (course.submitted("aberg") / "timestamp.txt").read_text() == wanted


def test_a_time_that_the_instructor_wrote_stays_as_long_as_the_files_do(
    course: Course, tmp_path: Path
) -> None:
    (tmp_path / "export.zip").write_bytes(zipped(EXPORTS["folders"]))
    collect(course, [tmp_path / "export.zip"])
    path = course.submitted("aberg") / "timestamp.txt"
    path.write_text("2026-05-01 21:30:00 UTC\n")
    assert collect(course, [tmp_path / "export.zip"]).unchanged == 3
    assert path.exists()
    changed = {**EXPORTS["folders"], "aberg/layers.py": b"# new\n"}
    (tmp_path / "export.zip").write_bytes(zipped(changed))
    assert collect(course, [tmp_path / "export.zip"]).unchanged == 2
    assert not path.exists()


def test_who_is_not_on_the_roster_is_named(course: Course, roster: Path, tmp_path: Path) -> None:
    (tmp_path / "export.zip").write_bytes(
        zipped({**below("aberg"), **below("stranger"), **below("Anna Berg/x")})
    )
    done = collect(course, [tmp_path / "export.zip"], roster)
    assert done.unknown == ("stranger",)
    assert done.students == ("aberg",)
    assert done.missing == ("zyam", "cdoe")


def test_who_was_collected_before_there_was_a_roster_is_named(
    course: Course, roster: Path, tmp_path: Path
) -> None:
    (tmp_path / "export.zip").write_bytes(zipped({**below("aberg"), **below("Anna Berg/x")}))
    assert not collect(course, [tmp_path / "export.zip"]).strangers
    assert len(collect(course, [tmp_path / "export.zip"], roster).strangers) == 1


def test_without_a_roster_folders_name_the_students(course: Course, tmp_path: Path) -> None:
    (tmp_path / "export.zip").write_bytes(zipped({**below("anna"), **below("<img src=x>")}))
    done = collect(course, [tmp_path / "export.zip"])
    assert done.students == (safe_id("<img src=x>"), "anna")
    assert "<" not in done.students[0]


def test_the_newest_of_two_submissions_counts(course: Course, roster: Path, tmp_path: Path) -> None:
    for name, text, time in (("one", "old", 1_700_000_000), ("two", "new", 1_700_009_999)):
        folder = tmp_path / name / "aberg"
        folder.mkdir(parents=True)
        (folder / "layers.py").write_text(f"# {text}\n")
        os.utime(folder / "layers.py", (time, time))
    collect(course, [tmp_path / "two", tmp_path / "one"], roster)
    assert (course.submitted("aberg") / "layers.py").read_text() == "# new\n"


def test_an_older_submission_does_not_take_the_place_of_a_newer_one(
    course: Course, roster: Path, tmp_path: Path
) -> None:
    for day in (1, 2):
        name = f"gradebook_ML1_aberg_attempt_2026-05-0{day}-12-30-00_layers.py"
        (tmp_path / f"day{day}").mkdir()
        (tmp_path / f"day{day}" / name).write_text(f"# {day}\n")
    collect(course, [tmp_path / "day2"], roster)
    done = collect(course, [tmp_path / "day1"])
    assert done.older == ("aberg",)
    assert (course.submitted("aberg") / "layers.py").read_text() == "# 2\n"


def test_collecting_again_changes_nothing(course: Course, roster: Path, tmp_path: Path) -> None:
    (tmp_path / "export.zip").write_bytes(zipped(EXPORTS["folders"]))
    collect(course, [tmp_path / "export.zip"], roster)
    assert collect(course, [tmp_path / "export.zip"]).unchanged == 3


def test_folders_within_a_package_stay(course: Course, tmp_path: Path) -> None:
    files = {**solution_files(), "helpers/blocks.py": b"x = 1\n", "helpers/deep/more.py": b"y = 2\n"}
    (tmp_path / "export.zip").write_bytes(zipped(below("anna/student", files)))
    collect(course, [tmp_path / "export.zip"])
    assert (course.submitted("anna") / "helpers" / "deep" / "more.py").read_bytes() == b"y = 2\n"


@pytest.mark.parametrize(
    ("files", "note", "kept"),
    [
        (solution_files(), "there is no report.ipynb", None),
        ({**solution_files(), "report.ipynb": MODEL[:4000]}, "report.ipynb cannot be read", MODEL[:4000]),
        (
            {**solution_files(), "old.ipynb": b"{}", "new.ipynb": b"{}"},
            "none of the 2 notebooks is called",
            None,
        ),
        ({"report.ipynb": MODEL}, "there is no Python file in it", None),
        ({"readme.md": b"hello"}, "there is no Python file in it", None),
    ],
)
def test_what_is_missing_is_noted_and_nbgrader_finds_a_notebook(
    course: Course, tmp_path: Path, files: dict[str, bytes], note: str, kept: bytes | None
) -> None:
    (tmp_path / "export.zip").write_bytes(zipped({**below("anna", files), **below("ben")}))
    done = collect(course, [tmp_path / "export.zip"])
    folder = course.submitted("anna")
    assert any(note in problem for problem in done.problems["anna"])
    assert json.loads((folder / "report.ipynb").read_bytes())["nbformat"] == 4
    if "report.ipynb" not in files or kept:
        assert json.loads((folder / "report.ipynb").read_bytes()) == RELEASED
    assert kept is None or (folder / "handed-in.ipynb.txt").read_bytes() == kept


@pytest.mark.parametrize("name", ["Report.ipynb", "report (1).ipynb", "report-anna.ipynb", "lenet.ipynb"])
def test_a_notebook_by_another_name_is_found(course: Course, tmp_path: Path, name: str) -> None:
    (tmp_path / "export.zip").write_bytes(
        zipped({**below("anna", {**solution_files(), name: MODEL}), **below("ben")})
    )
    done = collect(course, [tmp_path / "export.zip"])
    assert f"{name} was taken for report.ipynb" in done.problems["anna"][0]
    assert (course.submitted("anna") / "report.ipynb").read_bytes() == MODEL


def test_an_unreadable_archive_keeps_its_reason_until_it_is_graded(course: Course, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "olga.zip").write_bytes(zipped(FILES)[:200])
    (tmp_path / "in" / "anna.zip").write_bytes(zipped(FILES))
    collect(course, [tmp_path / "in"])
    handed = {one.student: one for one in find_submissions(course.root)}
    assert set(handed) == {"anna", "olga"}
    submission = read(handed["olga"])
    assert submission.files == {}
    assert "olga.zip cannot be read" in submission.problems[0]
    assert read(handed["anna"]).files.keys() == solution_files().keys()


def test_a_hostile_zip_writes_nothing_outside(course: Course, tmp_path: Path) -> None:
    link = zipfile.ZipInfo("anna/layers.py", WHEN)
    link.external_attr = 0o120777 << 16
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("../../evil.py", "x")
        archive.writestr("/evil.py", "x")
        archive.writestr("ben/layers.py", "x = 1\n")
        archive.writestr("ben/collected.json", '{"files": ["forged"]}')
        archive.writestr("ben/timestamp.txt", "1999-01-01 00:00:00 UTC")
    (tmp_path / "export.zip").write_bytes(data.getvalue())
    collect(course, [tmp_path / "export.zip"])
    assert not list(tmp_path.rglob("evil.py"))
    assert not (course.submitted("anna") / "layers.py").exists()
    assert collected(course.submitted("ben"))["files"] == []
    assert not (course.submitted("ben") / "timestamp.txt").exists()


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("nowhere", "There is no"),
        ("empty", "There is no submission in"),
        ("broken.zip", "cannot be read"),
    ],
)
def test_nothing_to_collect_is_a_message(course: Course, tmp_path: Path, source: str, says: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.zip").write_bytes(b"PK\3\4 no zip")
    with pytest.raises(SubmissionError, match=says):
        collect(course, [tmp_path / source])


# -- who somebody is


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("aberg",), "aberg"),
        (("ABERG",), "aberg"),
        (("Anna Berg",), "aberg"),
        (("Berg, Anna",), "aberg"),
        (("berganna",), "aberg"),
        (("anna.berg@example.org",), "aberg"),
        (("1234", "somebody"), "aberg"),
        (("Zoë Yamada",), "zyam"),
        (("Zoe\u0308 Yamada",), "zyam"),
        (("van Doe Carl",), "cdoe"),
        (("nobody",), None),
        (("",), None),
    ],
)
def test_platforms_names_find_one_person(tmp_path: Path, names: tuple[str, ...], found: str | None) -> None:
    (tmp_path / "r.csv").write_text(ROSTER, encoding="utf-8")
    assert read_roster(tmp_path / "r.csv").find(names) == found


def test_a_name_of_two_people_is_nobodys() -> None:
    roster = Roster(
        (Person("a1", "Kim", "Lee", lms_user_id="1"), Person("a2", "Kim", "Lee", lms_user_id="2"))
    )
    assert roster.find(["Kim Lee"]) is None
    assert roster.find(["2", "Kim Lee"]) == "a2"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name,email\nAnna,a@b\n", "no column id"),
        ("id\nanna\nANNA\n", r"line 3: the id ANNA is in line 2, too"),
        ("id,email\n,a@b\n", "line 2: there is no id"),
        ("id\n../anna\n", "cannot name a folder"),
        ("", "no column id"),
    ],
)
def test_a_roster_that_cannot_be_one_says_where(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "r.csv").write_text(text)
    with pytest.raises(SubmissionError, match=says):
        read_roster(tmp_path / "r.csv")


@pytest.mark.parametrize(
    "text", [ROSTER, ROSTER.replace(",", ";"), "\ufeff" + ROSTER, ROSTER.replace("\n", "\r\n")]
)
def test_rosters_as_spreadsheets_write_them(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.csv").write_bytes(text.encode())
    people = read_roster(tmp_path / "r.csv").people
    assert [person.id for person in people] == ["aberg", "zyam", "cdoe"]
    assert people[1].first_name == "Zoë"


@pytest.mark.parametrize("name", ["anna", "a.b-c_d@e.org", "Anna Berg", "Zoë 山田", "12345"])
def test_ids_that_everything_takes_stay(name: str) -> None:
    assert safe_id(name) == name


@pytest.mark.parametrize(
    "name", ["<script>", "a/b", "..", ".hidden", "a*b", "[a]", "a\nb", "", " a ", "a" * 300, "-x", "a,b"]
)
def test_other_names_become_ids_that_differ(name: str) -> None:
    made = safe_id(name)
    assert made == safe_id(made)
    assert made != safe_id(f"{name}?")
    assert len(made) <= 128
    assert not set(made) & set("<>/*[]\n,\\\"'&")
    assert not made.startswith((".", "-"))


def test_the_commands_table_has_nbgraders_columns(course: Course, roster: Path, tmp_path: Path) -> None:
    (tmp_path / "export.zip").write_bytes(zipped(EXPORTS["folders"]))
    collect(course, [tmp_path / "export.zip"], roster)
    with course.roster.open(encoding="utf-8", newline="") as file:
        assert next(csv.reader(file)) == ["id", "first_name", "last_name", "email", "lms_user_id"]
