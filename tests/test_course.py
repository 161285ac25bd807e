"""A real course with real nbgrader: scores, regrades, late penalties, nbgrader's own autograde, feedback, export.

Records are made without an examination here, but in the last test, which takes the sample class all the way.
"""

import contextlib
import csv
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup
from conftest import ROOT, SOLUTIONS, solution_files
from course_kit import ANSWERS, FULL, MODEL, as_bytes, cell_of, hand_in, notebook, record, result, text_of

from grader.assignment import TOTAL_POINTS
from grader.instructor.course import CourseError
from grader.instructor.course.driver import load_config, succeed
from grader.instructor.course.feedback import _FEW, course_feedback
from grader.instructor.course.gradebook import open_gradebook
from grader.instructor.course.init import init_course
from grader.instructor.course.layout import Course
from grader.instructor.course.publish import Published, encode_notebook, publish_course
from grader.instructor.records import read_record
from grader.outcomes import Outcome
from grader.report import Report

pytestmark = pytest.mark.slow

NBGRADER = [sys.executable, "-m", "nbgrader"]
Grade = dict[str, Any]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course as `grade course init` makes it, to be copied."""
    root = tmp_path_factory.mktemp("made") / "course"
    init_course(root, ROOT, course_id="ml1", due="2026-05-01 23:59 +0200")
    return root


@pytest.fixture
def course(made: Path, tmp_path: Path) -> Course:
    shutil.copytree(made, tmp_path / "course")
    return Course(tmp_path / "course")


def nbgrader(course: Course, *arguments: str, check: bool = True) -> str:
    """Run nbgrader as an instructor would; where nothing is on PATH."""
    ran = subprocess.run(
        [*NBGRADER, *arguments],
        cwd=course.root,
        env={**os.environ, "PATH": os.defpath},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert not check or ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


@contextlib.contextmanager
def database(course: Course) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(course.gradebook, timeout=30)
    try:
        yield connection
        connection.commit()
    finally:
        connection.close()


def grades(course: Course, student: str) -> dict[str, Grade]:
    """The gradebook's rows of a student, by cell."""
    query = """select base_cell.name, grade.auto_score, grade.manual_score, grade.needs_manual_grade, grade.id
               from grade join base_cell on base_cell.id = grade.cell_id
               join submitted_notebook on submitted_notebook.id = grade.notebook_id
               join submitted_assignment on submitted_assignment.id = submitted_notebook.assignment_id
               where submitted_assignment.student_id = ?"""
    with database(course) as found:
        rows = found.execute(query, (student,)).fetchall()
    return {name: {"auto": a, "manual": m, "waits": bool(w), "id": i} for name, a, m, w, i in rows}


def give(course: Course, student: str, cell: str, points: float) -> None:
    """What formgrader does when a person gives points."""
    with database(course) as found:
        found.execute(
            "update grade set manual_score = ?, needs_manual_grade = 0 where id = ?",
            (points, grades(course, student)[cell]["id"]),
        )


def comment(course: Course, student: str, cell: str, text: str) -> None:
    with database(course) as found:
        found.execute(
            """update comment set manual_comment = ? where cell_id in (select id from base_cell where name = ?)
               and notebook_id in (select submitted_notebook.id from submitted_notebook join submitted_assignment
               on submitted_assignment.id = submitted_notebook.assignment_id where student_id = ?)""",
            (text, cell, student),
        )


def graded_cells(course: Course, student: str) -> list[Any]:
    return json.loads((course.autograded(student) / "report.ipynb").read_bytes())["cells"]


def page(course: Course, student: str) -> str:
    return (course.feedback(student) / "report.html").read_text(encoding="utf-8")


def class_of_three(course: Course) -> None:
    hand_in(course, "anna", as_bytes(notebook(a1="mine", b="curves")))
    hand_in(course, "ben")
    hand_in(course, "carl", None)
    record(course, "anna", result("conv2d", 1.5, message="conv2d(x)\nwrong", diagnosis="You flip it."))
    record(course, "ben", result("relu", 1, Outcome.MISSING))
    record(course, "carl")


# -- grade course init


def test_source_holds_stubs_and_release_no_answer(course: Course) -> None:
    solution = {
        line.strip() for line in (SOLUTIONS / "layers.py").read_text().splitlines() if "windows" in line
    }
    for folder in (course.source(), course.release()):
        for name in ("layers", "lenet", "training", "transforms"):
            text = (folder / f"{name}.py").read_text()
            assert "raise NotImplementedError()" in text
            assert not solution & set(map(str.strip, text.splitlines()))
    released = (course.release() / "report.ipynb").read_text(encoding="utf-8")
    assert "Mark scheme" not in released
    assert released.count("YOUR ANSWER HERE") == len(ANSWERS) + 1  # and the introduction speaks of it
    assert "Mark scheme" in (course.root / "marking.html").read_text(encoding="utf-8")


def test_nbgrader_opens_the_course_as_its_own(course: Course) -> None:
    shutil.rmtree(course.release())
    nbgrader(course, "generate_assignment", "lenet5", "--force")
    assert (course.release() / "report.ipynb").is_file()
    assert "ml1" in json.loads((course.release() / "report.ipynb").read_bytes())["cells"][0]["source"][0]


def test_the_gradebook_has_the_assignments_points(course: Course) -> None:
    with database(course) as found:
        rows = found.execute(
            "select name, max_score from base_cell join grade_cells on grade_cells.id = base_cell.id"
        ).fetchall()
        (due,) = found.execute("select duedate from assignment").fetchone()
    assert dict(rows) == FULL | {"a1": 8, "a2": 4, "a3": 4, "a4": 4, "b": 10, "c1": 5, "c2": 5, "c3": 5}
    assert sum(points for _, points in rows) == 100
    assert due.startswith("2026-05-01 21:59")


def test_a_course_is_not_made_over_another(course: Course) -> None:
    class_of_three(course)
    publish_course(course)
    with pytest.raises(CourseError, match="is a course already"):
        init_course(course.root, ROOT, course_id="ml1")
    init_course(course.root, ROOT, course_id="ml1", force=True)
    assert grades(course, "anna")["conv2d"]["auto"] == 4.5


@pytest.mark.parametrize("due", ["tomorrow evening", "2026-13-45"])
def test_a_due_date_that_is_none_is_a_message(tmp_path: Path, due: str) -> None:
    with pytest.raises(CourseError, match="this is no time"):
        init_course(tmp_path / "course", ROOT, course_id="ml1", due=due)


def test_a_course_is_made_where_alembic_is_not_on_the_path(grade: Callable[..., Any], tmp_path: Path) -> None:
    ran = grade("course", "init", "course", PATH=os.defpath)
    assert ran.returncode == 0, ran.stderr
    with database(Course(tmp_path / "course")) as found:
        assert found.execute("select count(*) from alembic_version").fetchone() == (1,)


# -- grade course publish


def test_scores_and_cells_are_the_records(course: Course) -> None:
    class_of_three(course)
    done = publish_course(course)
    assert done == Published(3, 2, (), ())
    shutil.rmtree(course.root / "submitted" / "anna")
    assert publish_course(course).gone == ("anna",)
    anna = grades(course, "anna")
    assert {name: anna[name]["auto"] for name in FULL} == FULL | {"conv2d": 4.5}
    assert {name for name, row in anna.items() if row["waits"]} == {"a1", "b"}
    assert {name: anna[name]["auto"] for name in ANSWERS} == dict.fromkeys(ANSWERS, 0) | {
        "a1": None,
        "b": None,
    }
    assert grades(course, "ben")["relu"]["auto"] == 0
    assert len(grades(course, "carl")) == len(FULL) + len(ANSWERS)
    html = cell_of({"cells": graded_cells(course, "anna")}, "conv2d")["outputs"][0]["data"]["text/html"]
    assert "You flip it." in html


def test_nbgraders_own_scoring_of_the_cells_agrees(course: Course) -> None:
    import nbformat
    from nbgrader.utils import compute_checksum, determine_grade

    class_of_three(course)
    publish_course(course)
    for student in ("anna", "ben", "carl"):
        rows = grades(course, student)
        cells = nbformat.from_dict({"cells": plain(graded_cells(course, student))}).cells
        for cell in cells:
            about = cell.metadata.get("nbgrader", {})
            if about.get("grade"):
                assert determine_grade(cell)[0] == rows[about["grade_id"]]["auto"], about["grade_id"]
            if about.get("locked"):
                assert about["checksum"] == compute_checksum(cell)
            assert not any(o.get("name") == "stderr" for o in cell.get("outputs", ()))


def test_the_graded_notebook_is_valid_and_read_only(course: Course) -> None:
    import nbformat

    class_of_three(course)
    publish_course(course)
    path = course.autograded("anna") / "report.ipynb"
    nbformat.validate(nbformat.read(path, 4))
    assert path.stat().st_mode & 0o222 == 0
    assert (path.parent / "layers.py").read_bytes() == solution_files()["layers.py"]
    publish_course(course)  # over read-only files


def test_a_notebook_is_laid_out_as_nbformat_does() -> None:
    notebook = json.loads(MODEL) | {"empty": [[], {}], "number": 0.1}
    written = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True)
    assert encode_notebook(notebook).decode() == f"{written}\n"
    notebook["cells"][0]["source"] = "half a \ud800 pair"
    assert b"half a ? pair" in encode_notebook(notebook)


@pytest.mark.parametrize(
    ("handed_in", "files"),
    [(None, None), (MODEL[:5000], None), (b"[]", None), (None, {}), (b"", {})],
    ids=["no notebook", "a broken notebook", "no notebook's JSON", "nothing at all", "no Python file"],
)
def test_every_submission_gets_its_row_and_its_page(
    course: Course, handed_in: bytes | None, files: Any
) -> None:
    hand_in(course, "anna", handed_in, files)
    record(
        course,
        "anna",
        *(result(task, points, Outcome.MISSING) for task, points in FULL.items()) if files == {} else (),
    )
    assert publish_course(course).written == 1
    rows = grades(course, "anna")
    assert sum(rows[name]["auto"] for name in FULL) == (0 if files == {} else TOTAL_POINTS)
    assert not any(row["waits"] for row in rows.values())
    course_feedback(course)
    assert "About what was handed in" in page(course, "anna") or handed_in == b""


def test_manual_grades_survive_and_only_changed_answers_wait_again(course: Course) -> None:
    class_of_three(course)
    publish_course(course)
    for cell, points in (("a1", 7), ("b", 9), ("conv2d", 5), ("relu", 0.5)):
        give(course, "anna", cell, points)
    comment(course, "anna", "a1", "Well said.")
    hand_in(course, "anna", as_bytes(notebook(a1="mine", b="other curves", c1="new")))
    record(course, "anna", result("conv2d", 3))
    publish_course(course)
    anna = grades(course, "anna")
    assert {name: row["manual"] for name, row in anna.items() if row["manual"] is not None} == {
        "a1": 7,
        "b": 9,
        "conv2d": 5,
        "relu": 0.5,
    }
    # b and c1 say something else now; conv2d was changed by hand, and its result is another
    assert {name for name, row in anna.items() if row["waits"]} == {"b", "c1", "conv2d"}
    course_feedback(course)
    assert "Well said." in page(course, "anna")


def test_publishing_again_changes_nothing(course: Course) -> None:
    class_of_three(course)
    publish_course(course)
    give(course, "anna", "a1", 7)
    before = (grades(course, "anna"), (course.autograded("anna") / "report.ipynb").read_bytes())
    publish_course(course)
    assert (grades(course, "anna"), (course.autograded("anna") / "report.ipynb").read_bytes()) == before


def test_an_answer_that_is_taken_back_waits_again(course: Course) -> None:
    class_of_three(course)
    publish_course(course)
    give(course, "anna", "a1", 7)
    hand_in(course, "anna")
    publish_course(course)
    assert grades(course, "anna")["a1"]["waits"]


def test_a_record_of_other_files_is_refused(course: Course) -> None:
    class_of_three(course)
    publish_course(course)
    before = grades(course, "ben")
    (course.submitted("ben") / "layers.py").write_text("x = 1\n")
    record(course, "carl", result("fit", 5))
    done = publish_course(course)
    assert done.written == 2
    assert [one.student for one in done.refused] == ["ben"]
    assert "speaks of other files" in done.refused[0].why
    assert "run grade all" in done.refused[0].why
    assert grades(course, "ben") == before
    assert grades(course, "carl")["fit"]["auto"] == 0


def test_a_submission_without_a_record_is_refused(course: Course) -> None:
    class_of_three(course)
    hand_in(course, "dora")
    done = publish_course(course)
    assert [(one.student, one.why[:24]) for one in done.refused] == [("dora", "there is no record of it")]
    assert grades(course, "dora") == {}


def test_no_verdict_waits_for_a_person_and_is_never_a_0(course: Course) -> None:
    hand_in(course, "anna")
    record(course, "anna", result("fit", 5, Outcome.NO_VERDICT, message="the kit itself failed"))
    assert publish_course(course).without_verdict == ("anna",)
    row = grades(course, "anna")["fit"]
    assert (row["auto"], row["waits"]) == (None, True)


@pytest.mark.parametrize(
    ("policy", "time", "total"),
    [
        ("none", "2026-05-03 12:00:00 UTC", 55),
        ("zero", "2026-05-03 12:00:00 UTC", 0),
        ("zero", "2026-05-01 21:00:00 UTC", 55),
        ("zero", "", 55),
    ],
)
def test_late_penalties_follow_the_courses_policy(
    course: Course, policy: str, time: str, total: float
) -> None:
    config = course.config.read_text()
    course.config.write_text(config.replace('penalty_method = "none"', f'penalty_method = "{policy}"'))
    hand_in(course, "anna", as_bytes(notebook(a1="mine")))
    (course.submitted("anna") / "timestamp.txt").write_text(time)
    record(course, "anna")
    publish_course(course)
    give(course, "anna", "a1", 8)  # of what is given later, a late submission loses its share, too
    course_feedback(course)
    score = re.search(r"report \(Score: ([\d.]+) / 100.0\)", page(course, "anna"))
    assert score
    assert float(score[1]) == (total + 8 if total else 0)


@pytest.mark.parametrize(
    ("time", "penalty"),
    [
        ("2026-05-01 21:00:00 UTC", 0.0),
        ("2026-05-02 21:00:00 UTC", 0.0),  # the free day
        ("2026-05-03 21:00:00 UTC", 0.1),
        ("2026-05-30 21:00:00 UTC", 0.5),  # the cap
    ],
)
def test_penalties_of_policy_toml_come_before_nbgraders(course: Course, time: str, penalty: float) -> None:
    config = course.config.read_text()
    course.config.write_text(config.replace('penalty_method = "none"', 'penalty_method = "zero"'))
    (course.root / "policy.toml").write_text(
        'due = 2026-05-01T23:59:00\nzone = "Europe/Berlin"\nlate_days = 1\npenalty_per_day = "10%"\ncap = "50%"\n'
    )
    hand_in(course, "anna", as_bytes(notebook(a1="mine")))
    (course.submitted("anna") / "timestamp.txt").write_text(time)
    record(course, "anna")
    publish_course(course)
    give(course, "anna", "a1", 8)
    course_feedback(course)
    score = re.search(r"report \(Score: ([\d.]+) / 100.0\)", page(course, "anna"))
    assert score
    assert float(score[1]) == pytest.approx(63 * (1 - penalty))


def test_a_policy_tells_whose_time_is_unknown_and_takes_nothing(course: Course) -> None:
    (course.root / "policy.toml").write_text("due = 2026-05-01T00:00:00Z\npenalty_per_day = 2\n")
    hand_in(course, "anna")
    record(course, "anna")
    (course.submitted("anna") / "timestamp.txt").unlink(missing_ok=True)
    assert publish_course(course).time_unknown == ("anna",)
    (course.root / "policy.toml").write_text("duet = 1\n")
    with pytest.raises(CourseError, match=r"policy\.toml, line 1, duet: there is no such setting"):
        publish_course(course)


def test_a_policy_that_names_nobody_in_the_class_is_told(course: Course) -> None:
    (course.root / "policy.toml").write_text("due = 2026-05-01T00:00:00Z\n[extensions]\nanna = 2\nadda = 2\n")
    hand_in(course, "anna")
    record(course, "anna")
    assert publish_course(course).not_known == ("adda",)


def test_a_time_that_is_none_is_a_message(course: Course) -> None:
    class_of_three(course)
    (course.submitted("ben") / "timestamp.txt").write_text("yesterday")
    with pytest.raises(CourseError, match="holds no time"):
        publish_course(course)


def test_publish_waits_for_another_writer(course: Course) -> None:
    class_of_three(course)
    publish_course(course)
    held = threading.Event()

    def hold() -> None:
        with database(course) as found:
            found.isolation_level = None
            found.execute("begin exclusive")
            held.set()
            time.sleep(7)  # SQLite gives up after five unless told otherwise
            found.execute("commit")

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    try:
        assert publish_course(course).written == 3
    finally:
        holder.join()


def test_half_a_gradebook_is_told(course: Course) -> None:
    class_of_three(course)
    with database(course) as found:
        found.execute("drop table alembic_version")
    with pytest.raises(CourseError, match="half a database"):
        publish_course(course)


def test_a_config_that_does_not_load_is_told(course: Course) -> None:
    course.config.write_text("c = get_confg()\n")
    with pytest.raises(CourseError, match="does not load"):
        load_config(course)


def test_a_failure_that_nbgraders_api_returns_is_raised() -> None:
    with pytest.raises(CourseError, match=r"could not do it: .*last line"):
        succeed({"success": False, "error": "Traceback\nlast line\n", "log": ""}, "do it")


def test_names_of_the_roster_reach_the_gradebook_as_plain_text(course: Course) -> None:
    class_of_three(course)
    course.roster.write_text(
        "id,first_name,last_name\nanna,<img src=x onerror=alert(1)>,O'Neil\n", encoding="utf-8"
    )
    publish_course(course)
    with database(course) as found:
        names = found.execute("select first_name, last_name from student where id = 'anna'").fetchone()
    assert names == ("‹img src=x onerror=alert(1)›", "O’Neil")


def test_the_command_says_only_what_people_need(course: Course, grade: Callable[..., Any]) -> None:
    class_of_three(course)
    ran = grade("course", "publish", course.root)
    assert ran.returncode == 0
    assert ran.stderr == ""  # none of SQLAlchemy's warnings
    assert "3 published" in ran.stdout
    assert "2 answers wait for a grader" in ran.stdout
    (course.submitted("ben") / "layers.py").write_text("x = 1\n")
    ran = grade("course", "publish", course.root)
    assert ran.returncode == 1
    assert "ben: not published: its record speaks of other files" in ran.stdout


# -- nbgrader autograde


def test_nbgraders_autograde_gives_the_same_scores_and_cells(course: Course) -> None:
    class_of_three(course)
    hand_in(course, "carl", as_bytes(notebook(c1="<script>alert(1)</script>")))
    publish_course(course)
    students = ("anna", "ben", "carl")
    before = {s: (drop_ids(grades(course, s)), graded_cells(course, s)) for s in students}
    course.gradebook.unlink()
    shutil.rmtree(course.root / "autograded")
    shutil.rmtree(course.results / "answers")
    nbgrader(course, "generate_assignment", "lenet5", "--force")
    nbgrader(course, "autograde", "lenet5")
    for student in students:
        assert drop_ids(grades(course, student)) == before[student][0]
        assert plain(graded_cells(course, student)) == plain(before[student][1])
        assert (course.autograded(student) / "layers.py").read_bytes() == solution_files()["layers.py"]


def drop_ids(rows: dict[str, Grade]) -> dict[str, Grade]:
    return {name: {key: value for key, value in row.items() if key != "id"} for name, row in rows.items()}


def plain(cells: list[Any]) -> list[Any]:
    """nbformat splits texts into lines."""

    def joined(value: Any) -> Any:
        if isinstance(value, list) and all(isinstance(line, str) for line in value):
            return "".join(value)
        if isinstance(value, dict):
            return {key: joined(inner) for key, inner in value.items()}
        return [joined(inner) for inner in value] if isinstance(value, list) else value

    return joined(cells)


def test_nbgraders_autograde_keeps_manual_grades_as_publishing_does(course: Course) -> None:
    class_of_three(course)
    publish_course(course)
    give(course, "anna", "a1", 7)
    give(course, "anna", "b", 9)
    hand_in(course, "anna", as_bytes(notebook(a1="mine", b="other")))
    nbgrader(course, "autograde", "lenet5", "--force", "--student", "anna")
    anna = grades(course, "anna")
    assert (anna["a1"]["manual"], anna["b"]["manual"]) == (7, 9)
    assert {name for name, row in anna.items() if row["waits"]} == {"b"}


def test_nbgraders_autograde_says_what_to_run_for_a_record_of_other_files(course: Course) -> None:
    class_of_three(course)
    (course.submitted("anna") / "layers.py").write_text("x = 1\n")
    said = nbgrader(course, "autograde", "lenet5", "--student", "anna", check=False)
    assert "its record speaks of other files" in said
    assert "grade all" in said


def test_nbgraders_autograde_runs_nothing_of_a_students(course: Course, tmp_path: Path) -> None:
    harm = f"open({str(tmp_path / 'ran')!r}, 'w')"
    hand_in(
        course, "anna", as_bytes(notebook(a3_figure=harm)), {**solution_files(), "layers.py": harm.encode()}
    )
    record(course, "anna")
    nbgrader(course, "autograde", "lenet5")
    course_feedback(course)
    assert not (tmp_path / "ran").exists()


# -- feedback


def test_feedback_has_points_comments_and_hints_and_no_hidden_check(course: Course) -> None:
    hand_in(course, "anna", as_bytes(notebook(a1="The answer is $x^2$.")))
    record(
        course,
        "anna",
        result("conv2d", 1, visibility="hidden", message="conv2d(x (7, 9))\ngot 3", diagnosis="You flip it."),
    )
    publish_course(course)
    give(course, "anna", "a1", 6)
    comment(course, "anna", "a1", "What of the *border*?")
    course_feedback(course)
    html = page(course, "anna")
    assert "report (Score: 60.0 / 100.0)" in html
    assert "What of the <em>border</em>?" in html
    assert "<msup><mi>x</mi><mn>2</mn></msup>" in html
    assert "You flip it." in html
    assert not re.search(r"\(7, 9\)|got 3|It moves|conv2d/stride", html)


def test_pages_are_nbgraders_own_though_they_are_made_otherwise(course: Course) -> None:
    hand_in(course, "anna", MODEL)
    record(course, "anna", result("conv2d", 2.0, message="a < b & c"))
    publish_course(course)
    course_feedback(course)
    ours = page(course, "anna")
    nbgrader(course, "generate_feedback", "lenet5", "--force")
    assert str(BeautifulSoup(ours, "html.parser")) == page(course, "anna")
    images = re.findall(r"<img[^>]*>", ours)
    assert images
    assert all('alt="' in image for image in images)


def test_pages_made_again_have_what_graders_gave_since(course: Course) -> None:
    hand_in(course, "anna", MODEL)
    record(course, "anna")
    publish_course(course)
    course_feedback(course)
    assert "Score: 55.0 / 100.0" in page(course, "anna")
    give(course, "anna", "a1", 2.0)
    comment(course, "anna", "a1", "Well said since.")
    course_feedback(course)
    assert "Score: 57.0 / 100.0" in page(course, "anna")
    assert "Well said since." in page(course, "anna")


def test_feedback_before_publishing_is_a_message(course: Course) -> None:
    with pytest.raises(CourseError, match="Nothing is published"):
        course_feedback(course)


def test_who_is_no_longer_in_the_gradebook_has_no_page_and_stops_nobody(course: Course) -> None:
    class_of_three(course)
    publish_course(course)
    with open_gradebook(f"sqlite:///{course.gradebook}", "") as gradebook:
        gradebook.remove_student("ben")
    made = course_feedback(course)
    assert (sorted(made.pages), made.without_row) == (["anna", "carl"], ("ben",))


def test_feedback_of_many_is_written_by_several_processes(course: Course) -> None:
    many = range(_FEW + 2)
    for number in many:
        hand_in(course, f"s{number:02}")
        record(course, f"s{number:02}", result("relu", 1 if number % 2 else 0.5))
    publish_course(course)
    pages = course_feedback(course).pages
    assert len(pages) == len(many)
    scores = {
        s: re.search(r"Score: ([\d.]+) / 100", p.read_text(encoding="utf-8"))[1] for s, p in pages.items()
    }  # type: ignore[index]
    assert scores == {f"s{number:02}": "54.0" if number % 2 else "54.5" for number in many}


def test_feedback_is_zipped_for_handing_out(
    course: Course, grade: Callable[..., Any], tmp_path: Path
) -> None:
    class_of_three(course)
    publish_course(course)
    ran = grade("feedback", course.root, "--zip", "feedback.zip")
    assert ran.returncode == 0, ran.stderr
    with zipfile.ZipFile(tmp_path / "feedback.zip") as archive:
        assert archive.namelist() == ["anna/report.html", "ben/report.html", "carl/report.html"]


def test_feedback_is_released_to_the_exchange(
    course: Course, grade: Callable[..., Any], tmp_path: Path
) -> None:
    class_of_three(course)
    publish_course(course)
    exchange = tmp_path / "exchange"
    exchange.mkdir(mode=0o777)
    exchange.chmod(0o777)
    ran = grade("feedback", course.root, "--release")
    assert ran.returncode == 2
    assert "No submission came through nbgrader's exchange" in ran.stderr
    for name, text in (("submission_secret.txt", "a1b2"), ("timestamp.txt", "2026-05-01 12:00:00 UTC")):
        (course.submitted("anna") / name).write_text(text)  # as nbgrader collect leaves them
    publish_course(course)
    with course.config.open("a") as file:
        file.write(f"\nc.Exchange.root = {str(exchange)!r}\n")
    ran = grade("feedback", course.root, "--release")
    assert ran.returncode == 0, ran.stderr
    assert len(list(exchange.rglob("*.html"))) == 1
    assert "did not hand in through the exchange: ben, carl" in ran.stdout


def test_feedback_after_a_plain_run_needs_no_course(grade: Callable[..., Any], tmp_path: Path) -> None:
    for name, made in (("anna", as_bytes(notebook(a1="<script>alert(1)</script> mine"))), ("<b>en", None)):
        folder = tmp_path / "class" / name / "student"
        folder.mkdir(parents=True)
        for file, data in solution_files().items():
            text = (
                data.decode().replace("x @ weight.T", "x @ weight.T + 1") if made is None else data.decode()
            )
            (folder / file).write_text(text)
        if made is not None:
            (folder / "report.ipynb").write_bytes(made)
    cache = str(tmp_path / "cache")
    assert grade("all", "class", "--jobs", "2").returncode == 0
    for _ in range(2):  # once more with the course that is there now
        ran = grade("feedback", XDG_CACHE_HOME=cache)
        assert ran.returncode == 0, ran.stderr
        assert "2 feedback pages: results/feedback" in ran.stdout
    pages = {
        path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "results" / "feedback").iterdir()
    }
    assert set(pages) == {"anna.html", next(name for name in pages if name.startswith("_b_en-"))}
    assert "report (Score: 55.0 / 55.0)" in pages["anna.html"]  # nobody grades the answers there
    assert "Written answers are shown and have no points here" in pages["anna.html"]
    assert "&lt;script&gt;alert(1)" in pages["anna.html"]
    (tmp_path / "class" / "anna" / "student" / "layers.py").write_text("x = 1\n")
    ran = grade("feedback", XDG_CACHE_HOME=cache)
    assert ran.returncode == 1
    assert "anna: no feedback: its record is not of the files that are there now" in ran.stdout


def test_one_command_gives_what_three_give(course: Course, grade: Callable[..., Any]) -> None:
    hand_in(course, "anna", MODEL)
    hand_in(course, "ben", files={"layers.py": b"def relu(x):\n    return x\n"})
    hand_in(course, "carl", as_bytes(notebook(a1="An answer with $x^2$.")))
    three = Course(course.root.with_name("three"))
    shutil.copytree(course.root, three.root)
    for command in (("all", "three"), ("course", "publish", "three"), ("feedback", "three")):
        assert grade(*command, GRADE_SECRET="s").returncode == 0
    ran = grade("all", "course", "--feedback", GRADE_SECRET="s")
    assert ran.returncode == 0, ran.stderr
    for said in ("3 submissions, 3 examined now.", "3 published to", "3 feedback pages: course/feedback/"):
        assert said in ran.stdout
    for student in ("anna", "ben", "carl"):
        assert page(course, student) == page(three, student)
        name = f"autograded/{student}/lenet5/report.ipynb"
        assert (course.root / name).read_bytes() == (three.root / name).read_bytes()
        ours, theirs = grades(course, student), grades(three, student)
        assert [(n, g["auto"], g["waits"]) for n, g in sorted(ours.items())] == [
            (n, g["auto"], g["waits"]) for n, g in sorted(theirs.items())
        ]
    again = grade("all", "course", "--feedback", GRADE_SECRET="s")  # nothing is to be examined
    assert again.returncode == 0, again.stderr
    assert "3 submissions, 0 examined now." in again.stdout
    assert "3 published to" in again.stdout


def test_where_publishing_fails_grading_goes_on(course: Course, grade: Callable[..., Any]) -> None:
    hand_in(course, "anna")
    hand_in(course, "ben")
    with database(course) as found:
        found.execute("drop table alembic_version")
    ran = grade("all", "course", "--feedback")
    assert ran.returncode == 2
    assert "2 submissions, 2 examined now." in ran.stdout
    assert "half a database" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert len(list((course.results / "records").glob("*.json"))) == 2


def test_a_plain_run_with_feedback_needs_no_course(grade: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / "class" / "anna"
    folder.mkdir(parents=True)
    for file, data in solution_files().items():
        (folder / file).write_bytes(data)
    ran = grade("all", "class", "--feedback", "--out", "there", XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert ran.returncode == 0, ran.stderr
    assert "1 feedback page: there/feedback" in ran.stdout
    assert "Score: 55.0 / 55.0" in (tmp_path / "there" / "feedback" / "anna.html").read_text(encoding="utf-8")


def test_feedback_of_a_course_is_from_its_own_results(course: Course, grade: Callable[..., Any]) -> None:
    hand_in(course, "anna")
    ran = grade("all", "course", "--feedback", "--out", "elsewhere")
    assert ran.returncode == 2
    assert "made from its own results: leave --out elsewhere out" in ran.stderr


def test_feedback_without_records_is_a_message(grade: Callable[..., Any]) -> None:
    ran = grade("feedback")
    assert ran.returncode == 2
    assert "There are no records in results. Grade first" in ran.stderr


# -- nbgrader validate


@pytest.mark.parametrize(("name", "status"), [("solutions", "Success"), ("student", "validation failed")])
def test_nbgrader_validate_tells_a_student_what_fails(tmp_path: Path, name: str, status: str) -> None:
    """On the test cells alone: the experiments take a minute."""
    shutil.copytree(ROOT / name, tmp_path / "student")
    path = tmp_path / "student" / "report.ipynb"
    made = json.loads(path.read_bytes())
    made["cells"] = [
        c for c in made["cells"] if c["metadata"]["nbgrader"]["grade_id"] in ("checks", "conv2d", "fit")
    ]
    path.write_text(json.dumps(made))
    ran = subprocess.run(
        [*NBGRADER, "validate", "report.ipynb"],
        cwd=path.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert status.lower() in (ran.stdout + ran.stderr).lower(), ran.stdout + ran.stderr
    if name == "student":
        assert "conv2d: missing" in ran.stdout


# -- all the way


def answers_graded(course: Course) -> None:
    give(course, "anna", "a1", 7)
    give(course, "anna", "b", 9)


def overruled(course: Course) -> None:
    answers_graded(course)
    give(course, "anna", "conv2d", 3)


def graded_again(course: Course) -> None:
    answers_graded(course)
    record(course, "anna")


def of_another_day(course: Course) -> None:
    answers_graded(course)
    (course.root / "policy.toml").write_text(
        'due = 2026-05-01T00:00:00Z\npenalty_per_day = "10%"\n[handed_in]\nanna = 2026-05-01T12:00:00Z\n'
    )


def of_no_known_day(course: Course) -> None:
    answers_graded(course)
    (course.root / "policy.toml").write_text("due = 2026-05-01T00:00:00Z\npenalty_per_day = 2\n")


def not_published(course: Course) -> None:
    with database(course) as found:
        for table in ("grade", "comment"):
            found.execute(f"delete from {table} where notebook_id in (select id from submitted_notebook)")
        found.execute("delete from submitted_notebook")
        found.execute("delete from submitted_assignment")


@pytest.mark.parametrize(
    ("what", "anna", "why"),
    [
        (answers_graded, "69.5", ""),
        (overruled, "68", ""),
        (of_another_day, "62.55", ""),
        (of_no_known_day, "", "anna: when it was handed in is unknown, and could cost points"),
        (lambda course: None, "", "anna: 2 cells to be graded by a person first, in formgrader"),
        (graded_again, "", "anna: was graded again since it was published: grade course publish"),
        (not_published, "", "anna: is not in the gradebook yet: grade course publish"),
    ],
)  # fmt: skip
def test_a_platform_gets_code_and_written_answers_once_all_are_graded(
    course: Course,
    grade: Callable[..., Any],
    tmp_path: Path,
    what: Callable[[Course], None],
    anna: str,
    why: str,
) -> None:
    hand_in(course, "anna", as_bytes(notebook(a1="mine", b="curves")))
    record(course, "anna", result("conv2d", 1.5))
    (course.submitted("anna") / "timestamp.txt").unlink(missing_ok=True)
    publish_course(course)
    what(course)
    sheet = tmp_path / "canvas.csv"
    sheet.write_text("Student,ID,SIS Login ID,LeNet-5\n  Points Possible,,,100\nAnna,1,anna,\n")
    done = grade("export", "canvas", sheet, course.root, "--column", "LeNet-5", "--written")
    assert done.returncode == (1 if why else 0), done.stdout + done.stderr
    assert why in done.stdout
    (row,) = list(csv.DictReader((course.results / "canvas.csv").open(encoding="utf-8")))[1:]
    assert row["LeNet-5"] == anna


def test_the_sample_class_from_init_to_export(grade: Callable[..., Any], tmp_path: Path) -> None:
    """Every score in the gradebook, in nbgrader's export and in the feedback page is the record's."""
    subprocess.run([sys.executable, ROOT / "examples" / "make.py", tmp_path / "class"], check=True)
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        for path in sorted((tmp_path / "class").rglob("*")):
            archive.write(path, path.relative_to(tmp_path / "class"))
    for command in (
        ("course", "init", "course"),
        ("course", "collect", "course", "export.zip"),
        ("all", "course", "--jobs", "2"),
        ("course", "publish", "course"),
        ("feedback", "course"),
    ):
        ran = grade(*command)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert "Traceback" not in ran.stderr
    course = Course(tmp_path / "course")
    nbgrader(course, "export")
    with (course.root / "grades.csv").open(encoding="utf-8", newline="") as file:
        exported = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert len(exported) == 15
    for student in course.students():
        found = read_record(course.results / "records", student)
        assert isinstance(found, Report)
        rows = grades(course, student)
        assert {task.task: task.earned for task in found.tasks} == {
            name: rows[name]["auto"] for name in FULL
        }, student
        assert exported[student] == pytest.approx(found.earned)
        html = page(course, student)
        assert f"Score: {round(found.earned, 2)} / 100.0" in html
        for task in found.tasks:
            place = f'<a href="#{task.task}">Test cell</a> (Score: {round(task.earned, 2)} / {round(task.points, 2)})'
            assert place in html, (student, task.task)
    assert text_of(cell_of({"cells": graded_cells(course, "ada")}, "a1")).startswith("<div")
    assert {name for name, row in grades(course, "ada").items() if row["waits"]} == set(ANSWERS)
    assert "not JSON" in page(course, "hugo")
    assert "olga.zip cannot be read" in page(course, "olga")
