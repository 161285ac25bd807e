"""Exports, made from records: other people's sheets keep their bytes, names run nothing, nobody is guessed."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import changed, solution_files
from course_kit import report, result

from grader.assignment import TASKS
from grader.instructor.records import record_path
from grader.outcomes import Outcome
from grader.report import Report, encode

Grade = Callable[..., subprocess.CompletedProcess[str]]

ODD = ("=1+1", "@SUM(A1)", "-2", "+3", "\t=4", 'Smith, Jr. "Bob"', "two\nlines", "王明", "فاطمة", "a;b")
HALF = result("conv2d", 6.0)


def records(folder: Path, *reports: Report) -> Path:
    path = folder / "results"
    (path / "records").mkdir(parents=True)
    for one in reports:
        record_path(path / "records", one.student).write_bytes(encode(one))
    return path


def no_verdict(student: str) -> Report:
    return report(student, "", result("conv2d", 1.0, Outcome.NO_VERDICT))


# -- csv and json -------------------------------------------------------------------------------------


def test_odd_names_are_one_line_each_and_no_formula(tmp_path: Path, grade: Grade) -> None:
    results = records(tmp_path, *(report(name) for name in ODD))
    assert grade("export", "csv", results).returncode == 0
    data = (results / "class.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    lines = data.decode("utf-8-sig").split("\r\n")
    assert len(lines) == len(ODD) + 2  # the header, and the end of the last line
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert {row["total"] for row in rows} == {"55"}
    assert not [row["student"] for row in rows if row["student"].lstrip()[:1] in ("=", "+", "-", "@")]
    assert {'Smith, Jr. "Bob"', "two lines", "王明", "فاطمة"} <= {row["student"] for row in rows}


def test_json_has_names_as_they_are_and_null_without_a_verdict(tmp_path: Path, grade: Grade) -> None:
    results = records(tmp_path, *(report(name) for name in ODD), no_verdict("zoe"))
    done = grade("export", "json", results)
    assert done.returncode == 1
    assert "zoe: no verdict" in done.stdout
    found = {one["student"]: one for one in json.loads((results / "class.json").read_bytes())["students"]}
    assert set(found) == {*ODD, "zoe"}
    assert found["zoe"]["total"] is None
    assert found["=1+1"]["tasks"] == {task.name: task.points for task in TASKS}


def test_who_handed_in_nothing_has_a_line_and_no_zero(tmp_path: Path, grade: Grade) -> None:
    results = records(tmp_path, report("anna"))
    (results / "roster.csv").write_text("id,first_name\nanna,Anna\nben,Ben\n")
    done = grade("export", "csv", results)
    assert done.returncode == 0
    assert "On the roster, and nothing handed in: 1\n  ben" in done.stdout
    rows = list(csv.DictReader((results / "class.csv").read_text("utf-8-sig").splitlines()))
    assert [(row["student"], row["total"], row["status"]) for row in rows] == [
        ("anna", "55", "graded"),
        ("ben", "", "nothing handed in"),
    ]


def test_the_policy_counts_in_exports_and_never_in_the_total(tmp_path: Path, grade: Grade) -> None:
    results = records(tmp_path, report("anna"), report("ben"), report("chloe"))
    (results / "policy.toml").write_text(
        "due = 2026-05-01T12:00:00Z\npenalty_per_day = 2\n[bonus]\nben = 1.5\n[handed_in]\n"
        "anna = 2026-05-02T12:01:00Z\nben = 2026-05-01T12:00:00Z\n"
    )
    done = grade("export", "csv", results)
    assert done.returncode == 1
    assert "chloe: when it was handed in is unknown" in done.stdout
    rows = list(csv.DictReader((results / "class.csv").read_text("utf-8-sig").splitlines()))
    steps = [
        (row["student"], row["total"], row["days_late"], row["penalty"], row["bonus"], row["final"])
        for row in rows
    ]
    assert steps == [
        ("anna", "55", "2", "4", "0", "51"),
        ("ben", "55", "0", "0", "1.5", "56.5"),
        ("chloe", "55", "", "", "0", ""),
    ]


# -- canvas and moodle --------------------------------------------------------------------------------

CANVAS = (
    "\ufeffStudent,ID,SIS User ID,SIS Login ID,Section,LeNet-5 (77),Other (78),Current Score\r\n"
    "    Points Possible,,,,,55.0,10.0,(read only)\r\n"
    '"Berg, ""Anna""",101,s101,anna,ML1,,7.5,\r\n'
    "=1+1,102,s102,@ben,ML1,3,,\r\n"
    '"two\nlines",103,s103,王明,"ML1, late",,,\r\n'
    "Annas Twin,104,s104,anna2,ML1,12,,\r\n"
    '"Student, Test",999,,,ML1,,,\r\n'
)


def test_canvas_fills_its_column_and_keeps_every_other_byte(tmp_path: Path, grade: Grade) -> None:
    results = records(tmp_path, report("anna"), report("@ben", "", HALF), report("王明"))
    sheet = tmp_path / "grades.csv"
    sheet.write_bytes(CANVAS.encode())
    done = grade("export", "canvas", sheet, results, "--column", "LeNet-5")
    assert done.returncode == 0, done.stdout
    wanted = (
        CANVAS.replace("anna,ML1,,7.5", "anna,ML1,55,7.5")
        .replace("@ben,ML1,3,", "@ben,ML1,49,")
        .replace('"ML1, late",,', '"ML1, late",55,')
    )
    assert (results / "canvas.csv").read_bytes() == wanted.encode()
    assert sheet.read_bytes() == CANVAS.encode()


@pytest.mark.parametrize("student", ["ann", "Anna", "anna berg", "10", "s1010"])
def test_an_id_that_does_not_match_is_listed_and_not_guessed(
    tmp_path: Path, grade: Grade, student: str
) -> None:
    results = records(tmp_path, report(student))
    sheet = tmp_path / "grades.csv"
    sheet.write_bytes(CANVAS.replace("anna,", "aberg,").encode())
    done = grade("export", "canvas", sheet, results, "--column", "LeNet-5")
    assert done.returncode == 1
    assert f"{student}: is on no line of it" in done.stdout
    assert (results / "canvas.csv").read_bytes() == sheet.read_bytes()


def test_two_students_on_one_line_and_one_on_two_get_nothing(tmp_path: Path, grade: Grade) -> None:
    results = records(tmp_path, report("anna"), report("s101"), report("102"), report("zed"))
    sheet = tmp_path / "grades.csv"
    sheet.write_bytes(CANVAS.replace("s103", "102").encode())
    done = grade("export", "canvas", sheet, results, "-c", "LeNet-5 (77)")
    assert done.returncode == 1
    assert "0 of 4 scores filled in" in done.stdout
    assert "anna: is on line 3, and so is s101" in done.stdout
    assert "102: could be 2 different lines" in done.stdout


MOODLE = (
    'Identifier,"Full name","Email address",Status,Grade,"Maximum grade","Grade can be changed",'
    '"Last modified (submission)","Last modified (grade)","Feedback comments"\n'
    '"Participant 1234","Anna ""A"" Berg",anna@example.org,"Submitted",,55.00,Yes,"Friday, 1 May",-,"=1+1, and\nmore"\n'
    '"Participant 12",王明,wang@example.org,"Submitted",3.00,55.00,Yes,-,-,\n'
    '"Participant 123",Ben,ben@example.org,"Submitted",,55.00,No,-,-,\n'
)


def test_moodle_gets_grades_by_number_or_address_and_keeps_the_rest(tmp_path: Path, grade: Grade) -> None:
    results = records(tmp_path, report("anna"), report("12", "", HALF), report("ben@example.org"))
    (results / "roster.csv").write_text("id,email\nanna,Anna@example.org\n12,\nben@example.org,\n")
    sheet = tmp_path / "sheet.csv"
    sheet.write_bytes(MOODLE.encode())
    done = grade("export", "moodle", sheet, results)
    assert done.returncode == 1
    assert "ben@example.org: Moodle says that this grade cannot be changed" in done.stdout
    wanted = MOODLE.replace('"Submitted",,55.00,Yes', '"Submitted",55.00,55.00,Yes').replace("3.00", "49.00")
    assert (results / "moodle.csv").read_bytes() == wanted.encode()


def test_no_score_leaves_the_cell_and_other_points_ask_for_scale(tmp_path: Path, grade: Grade) -> None:
    results = records(tmp_path, no_verdict("anna"), report("12"))
    sheet = tmp_path / "sheet.csv"
    sheet.write_bytes(MOODLE.replace("55.00", "100,00").replace("100,00", '"100,00"').encode())
    done = grade("export", "moodle", sheet, results)
    assert (done.returncode, "--scale" in done.stderr) == (2, True)
    done = grade("export", "moodle", sheet, results, "--scale")
    assert done.returncode == 1
    rows = list(csv.DictReader((results / "moodle.csv").open(encoding="utf-8", newline="")))
    assert [row["Grade"] for row in rows] == ["", "100,00", ""]


def test_in_a_course_the_codes_points_are_not_scaled_to_the_whole(tmp_path: Path, grade: Grade) -> None:
    records(tmp_path, report("12"))
    (tmp_path / "nbgrader_config.py").touch()
    sheet = tmp_path / "sheet.csv"
    sheet.write_bytes(MOODLE.replace("55.00", "100.00").encode())
    done = grade("export", "moodle", sheet, tmp_path, "--scale")
    assert (done.returncode, "--written" in done.stderr) == (2, True)
    assert "those of written answers are in the gradebook" in grade("export", "csv", tmp_path).stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "is of no course, and only a course's gradebook has points of written answers"),
        (("--policy", "policy.toml"), "leave out --policy"),
    ],
)
def test_written_answers_have_points_in_a_course_only(
    tmp_path: Path, grade: Grade, arguments: tuple[str, ...], told: str
) -> None:
    results = records(tmp_path, report("12"))
    (tmp_path / "sheet.csv").write_bytes(MOODLE.encode())
    done = grade("export", "moodle", tmp_path / "sheet.csv", results, "--written", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in " ".join(done.stderr.split())


# -- gradescope ---------------------------------------------------------------------------------------


def test_gradescope_results_keep_hidden_checks_to_themselves(tmp_path: Path, grade: Grade) -> None:
    hidden = result("conv2d", 2.0, visibility="hidden", message="wanted 42")
    public = result("softmax", 1.0, message="<img src=x>", diagnosis="no shift")
    results = records(tmp_path, report("anna", "", hidden, public), no_verdict("ben"))
    assert grade("export", "gradescope", "results", "anna", results).returncode == 0
    text = (results / "results.json").read_text("utf-8")
    found = json.loads(text)
    assert "42" not in text
    assert "stride" not in [test["name"] for test in found["tests"] if test["visibility"] != "visible"]
    assert found["stdout_visibility"] == "hidden"
    assert sum(test["score"] for test in found["tests"]) == 52
    assert sum(test["max_score"] for test in found["tests"]) == 55
    assert {test["output_format"] for test in found["tests"]} == {"text"}
    (results / "results.json").unlink()
    done = grade("export", "gradescope", "results", "ben", results)
    assert done.returncode == 2
    assert "no verdict" in done.stderr
    assert not (results / "results.json").exists()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix" or not shutil.which("bash"), reason="Gradescope's machines have bash")
def test_the_autograder_runs_in_a_folder_laid_out_as_gradescopes(tmp_path: Path, grade: Grade) -> None:
    made = tmp_path / "autograder.zip"
    assert grade("export", "gradescope", "autograder", "--out", made).returncode == 0
    assert made.stat().st_mode & 0o077 == 0
    root = tmp_path / "autograder"
    with zipfile.ZipFile(made) as archive:
        archive.extractall(root / "source")
    assert {"setup.sh", "run_autograder"} <= {path.name for path in (root / "source").iterdir()}
    python = root / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    script = root / "run_autograder"
    shutil.copy(root / "source" / "run_autograder", script)
    script.chmod(0o755)
    (root / "results").mkdir()
    out = root / "results" / "results.json"
    forger = f"try:\n    open({str(out)!r}, 'w').write('{{\"score\": 55}}')\nexcept OSError:\n    pass\nimport torch\n"
    wrong = dict(changed("layers", ("windows, weight)", "windows, weight.flip(-1, -2))")).files)
    wrong["layers.py"] = wrong["layers.py"].replace(b"import torch\n", forger.encode(), 1)
    for files, full in ((solution_files(), True), (wrong, False)):
        shutil.rmtree(root / "submission", ignore_errors=True)
        (root / "submission").mkdir()
        for name, data in files.items():
            (root / "submission" / name).write_bytes(data)
        out.unlink(missing_ok=True)
        done = subprocess.run([script], cwd="/", capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        found = json.loads(out.read_bytes())
        assert sum(test["max_score"] for test in found["tests"]) == 55
        score = sum(test["score"] for test in found["tests"])
        assert score == 55 if full else 30 < score < 55
    assert "flipped" in out.read_text("utf-8")
